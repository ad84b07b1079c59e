#include "run/metrics.h"

#include "base/error.h"
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void metrics_add(struct metrics *m, const char *name, double value)
{
	assert(metric_table_find(m->table, name));
	if (m->n == METRICS_MAX)
		return;
	snprintf(m->items[m->n].name, METRIC_NAME_MAX, "%s", name);
	m->items[m->n++].value = value;
}

void metrics_add_member(struct metrics *m, const char *family, const char *member, double value)
{
	const char *open = strchr(family, '<'), *close = strchr(family, '>');
	char        name[METRIC_NAME_MAX];

	assert(open && close);
	snprintf(name, sizeof name, "%.*s%.*s%s", (int)(open - family), family, METRIC_MEMBER_MAX,
	         member, close + 1);
	metrics_add(m, name, value);
}

double metrics_get(const struct metrics *m, const char *name)
{
	for (int i = 0; i < m->n; i++)
		if (!strcmp(m->items[i].name, name))
			return m->items[i].value;
	return NAN;
}

void metrics_json(const struct metrics *m, struct text *out)
{
	text_add(out, "{", 1);
	for (int i = 0; i < m->n; i++) {
		if (i)
			text_add(out, ", ", 2);
		json_add_string(out, m->items[i].name, strlen(m->items[i].name));
		text_add(out, ": ", 2);
		json_add_real(out, m->items[i].value);
	}
	text_add(out, "}", 1);
}

static int log_open(const char *path, uint64_t bytes, struct metrics_log *out)
{
	*out = (struct metrics_log){.bytes = bytes};
	return mem_copy(path, strlen(path), &out->path);
}

int metrics_log_new(const char *path, struct metrics_log *out)
{
	TRY(file_write(path, "", 0));
	return log_open(path, 0, out);
}

/* The step of a line; -1 for what is no line of a log, such as the zeros that a power loss leaves
 * in a file. */
static int64_t metrics_step_of(const char *line, size_t n)
{
	json_t *row;
	int64_t step = -1;

	if (json_parse("a line", line, n, &row) != OK)
		return -1;
	if (json_is_object(row) && json_is_integer(json_object_get(row, "step")))
		step = json_integer_value(json_object_get(row, "step"));
	json_decref(row);
	return step;
}

/* ADDS the whole lines of steps up to `last`, but for one that goes back in time: no step stands
 * twice. Returns the step of the last line that stays, -1 when none does. */
static int64_t keep_lines(const struct bytes *b, int64_t last, struct text *out)
{
	int64_t     newest = -1, step;
	const char *end;

	for (const char *line = b->data;
	     (end = memchr(line, '\n', b->n - (size_t)(line - b->data))); line = end + 1) {
		step = metrics_step_of(line, (size_t)(end - line));
		if (step < 0 || step < newest || step > last)
			continue;
		text_add(out, line, (size_t)(end + 1 - line));
		newest = step;
	}
	return newest;
}

/* Cuts the file where the checkpoint says if that leaves the lines worth keeping and nothing else;
 * else writes it anew. */
static int log_repair(const char *path, int step, uint64_t bytes, const struct bytes *b,
                      struct text *caution, uint64_t *kept)
{
	struct text        lines = {0};
	const struct bytes known = {.data = b->data, .n = bytes < b->n ? (size_t)bytes : b->n};
	int64_t            newest = keep_lines(&known, step, &lines);
	int                status;

	/* what the checkpoint knows is not there: all that can be kept stays */
	if (lines.n != bytes || (newest != step && step > 0)) {
		lines.n = 0;
		newest = keep_lines(b, step, &lines);
	}
	status = text_status(&lines);
	*kept = lines.n;
	if (status == OK && lines.n == bytes &&
	    (bytes == 0 || !memcmp(lines.data, b->data, (size_t)bytes))) {
		status = file_truncate(path, bytes);
	} else if (status == OK) {
		status = file_write(path, lines.data ? lines.data : "", lines.n);
		text_print(caution,
		           "%s: not the %llu bytes that the checkpoint of step %d knows of; its "
		           "whole lines stay, the newest of step %lld, "
		           "and "
		           "the run goes on\n",
		           path, (unsigned long long)bytes, step, (long long)newest);
	}
	text_free(&lines);
	return status;
}

int metrics_log_resume(const char *path, int step, uint64_t bytes, struct text *caution,
                       struct metrics_log *out)
{
	struct bytes b;
	uint64_t     kept;
	int          there, status;

	*out = (struct metrics_log){0};
	TRY(file_there(path, &there));
	if (!there) {
		if (step > 0)
			text_print(caution,
			           "%s: it is not there; a new one begins behind step %d\n", path,
			           step);
		return metrics_log_new(path, out);
	}
	TRY(file_read(path, SIZE_MAX / 2, &b));
	status = log_repair(path, step, bytes, &b, caution, &kept);
	bytes_free(&b);
	return status == OK ? log_open(path, kept, out) : status;
}

int metrics_log_sync(const struct metrics_log *log)
{
	return file_sync(log->path);
}

int metrics_log_write(struct metrics_log *log, const struct metrics *m)
{
	struct text line = {0};
	int         status;

	metrics_json(m, &line);
	text_add(&line, "\n", 1);
	status = text_status(&line);
	if (status == OK)
		status = file_append(log->path, line.data, line.n);
	if (status == OK)
		log->bytes += line.n;
	/* half a line would spoil the file for its readers */
	else if (file_truncate(log->path, log->bytes) != OK)
		status = error_context("half a line stays behind");
	text_free(&line);
	return status;
}

void metrics_log_close(struct metrics_log *log)
{
	mem_free(log->path);
	*log = (struct metrics_log){0};
}
