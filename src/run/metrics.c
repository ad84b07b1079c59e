#include "run/metrics.h"

#include "base/error.h"
#include "base/json.h"

#include <math.h>
#include <string.h>

void metrics_add(struct metrics *m, const char *name, double value)
{
	if (m->n == METRICS_MAX)
		return;
	snprintf(m->items[m->n].name, METRIC_NAME_MAX, "%s", name);
	m->items[m->n++].value = value;
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

int metrics_log_open(const char *path, uint64_t bytes, struct metrics_log *out)
{
	*out = (struct metrics_log){.bytes = bytes};
	if (bytes == 0)
		TRY(file_write(path, "", 0));
	else
		TRY(file_truncate(path, bytes));
	out->path = mem_text(path, strlen(path));
	return out->path ? OK : ERR_INPUT;
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
	else if (file_truncate(log->path, log->bytes) != OK) /* half a line would spoil the file for its readers */
		status = error_context("half a line stays behind");
	text_free(&line);
	return status;
}

void metrics_log_close(struct metrics_log *log)
{
	mem_free(log->path);
	*log = (struct metrics_log){0};
}
