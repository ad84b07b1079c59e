#include "run/series.h"

#include "base/error.h"
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LINES_MAX = 2000000, METRICS_LINE_MAX = 1 << 16 };

void series_free(struct series_run *run)
{
	for (int i = 0; i < run->n; i++) {
		mem_free(run->series[i].name);
		mem_free(run->series[i].points);
	}
}

const struct series *series_find(const struct series_run *run, const char *name)
{
	for (int i = 0; i < run->n; i++)
		if (!strcmp(run->series[i].name, name))
			return &run->series[i];
	return NULL;
}

/* Lines repeat the names in one order, so the search begins behind the series found last:
 * run->series[*cursor]. */
static int find_or_make(struct series_run *run, const char *name, int *cursor)
{
	for (int i = 0; i < run->n; i++) {
		int k = (*cursor + 1 + i) % run->n;
		if (!strcmp(run->series[k].name, name))
			return *cursor = k, OK;
	}
	if (run->n == SERIES_MAX)
		return error_set(
		        ERR_INPUT,
		        "%s/metrics.jsonl: more than %d different metrics; is this a run's log?",
		        run->folder, SERIES_MAX);
	TRY(mem_copy(name, strlen(name), &run->series[run->n].name));
	*cursor = run->n++;
	return OK;
}

/* A step that comes again replaces what was logged from there on: the run was taken up from before
 * it. */
static int add_point(struct series *s, double step, double value)
{
	while (s->n && s->points[s->n - 1].x >= step)
		s->n--;
	TRY(mem_room(&s->points, &s->capacity, (size_t)s->n + 1, "the metrics of a report"));
	s->points[s->n++] = (struct point){step, value, 0};
	return OK;
}

static int can_be_drawn(const json_t *value)
{
	return json_is_number(value) && fabs(json_number_value(value)) <= SERIES_LARGEST;
}

static int series_add_row(struct series_run *run, json_t *row)
{
	const json_t *step = json_object_get(row, "step");
	const char   *name;
	json_t       *value;
	int           cursor = -1;

	if (!can_be_drawn(step))
		return OK;
	run->last_step = json_number_value(step);
	json_object_foreach(row, name, value)
	{
		if (!can_be_drawn(value))
			continue;
		TRY(find_or_make(run, name, &cursor));
		TRY(add_point(&run->series[cursor], run->last_step, json_number_value(value)));
	}
	return OK;
}

static int series_read_line(struct series_run *run, const char *path, size_t number,
                            const char *line, size_t n)
{
	char    place[FILE_PATH_MAX + 32];
	json_t *row;
	int     status;

	snprintf(place, sizeof place, "%s:%zu", path, number);
	if (number > LINES_MAX)
		return error_set(ERR_INPUT, "%s: more than %d lines; shorten the log", path,
		                 LINES_MAX);
	TRY(json_parse(place, line, n, &row));
	status = json_is_object(row) ? series_add_row(run, row)
	                             : error_set(ERR_INPUT, "%s: not a JSON object", place);
	json_decref(row);
	return status;
}

/* The series NAME_stderr, however long the name is. */
static const struct series *error_of(const struct series_run *run, const char *name)
{
	size_t n = strlen(name);

	for (int i = 0; i < run->n; i++)
		if (!strncmp(run->series[i].name, name, n) &&
		    !strcmp(run->series[i].name + n, "_stderr"))
			return &run->series[i];
	return NULL;
}

/* Beside each mean its error, where they were logged for the same step. */
static void join_errors(struct series_run *run)
{
	for (int i = 0; i < run->n; i++) {
		struct series       *mean = &run->series[i];
		const struct series *error = error_of(run, mean->name);
		for (int k = 0, e = 0; error && k < mean->n; k++) {
			while (e < error->n && error->points[e].x < mean->points[k].x)
				e++;
			if (e < error->n && error->points[e].x == mean->points[k].x)
				mean->points[k].error = fmax(0, error->points[e].y);
		}
	}
}

int series_read(const char *folder, struct series_run *run)
{
	char          path[FILE_PATH_MAX];
	struct lines *in;
	const char   *line;
	size_t        n;
	int           status;

	run->folder = folder;
	if (snprintf(path, sizeof path, "%s/metrics.jsonl", folder) >= (int)sizeof path)
		return error_set(ERR_INPUT, "%s: the path is too long", folder);
	if (!file_exists(path))
		return error_set(
		        ERR_INPUT,
		        "%s: there is no such file; give the folder of a run (its run.output_dir)",
		        path);
	TRY(lines_open(path, METRICS_LINE_MAX, &in));
	while ((status = lines_next(in, &line, &n)) == OK && line) {
		status = n ? series_read_line(run, path, lines_number(in), line, n) : OK;
		if (status != OK)
			break;
	}
	lines_close(in);
	join_errors(run);
	return status;
}
