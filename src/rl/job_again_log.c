#include "rl/job_again.h"

#include "base/error.h"
#include "base/json.h"

#include <string.h>

/* An evaluation has nothing but numbers of its own; sampled completions have a reward. */
static void job_again_look(const json_t *row, struct job_again_line *line, int *kind)
{
	const char *key;
	json_t     *value;

	json_object_foreach((json_t *)(uintptr_t)row, key, value)
	{
		(void)value;
		if (!strncmp(key, "eval/", 5))
			line->is_eval = 1;
		if (!strcmp(key, "reward"))
			*kind = JOB_TRAIN;
	}
}

static int job_again_add_line(const char *place, struct job_again_line line,
                              struct job_again_log *log)
{
	json_t *row;
	int64_t step;
	int     status;

	TRY(json_parse(place, log->bytes.data + line.at, line.n, &row));
	status = json_get_int(place, row, "step", JSON_REQUIRED, json_range(0, INT32_MAX), &step);
	if (status == OK)
		job_again_look(row, &line, &log->kind);
	json_decref(row);
	TRY(status);
	line.step = (int)step;
	if (!line.is_eval && line.step > log->last)
		log->last = line.step;
	TRY(mem_room(&log->lines, &log->capacity, log->n + 1, "the lines of metrics.jsonl"));
	log->lines[log->n++] = line;
	return OK;
}

/* The whole lines; a run that lives may be writing the last one. */
static int job_again_read_lines(const char *path, struct job_again_log *log)
{
	const char *begin, *end;
	char        place[FILE_PATH_MAX + 32];

	TRY(file_read(path, SIZE_MAX / 2, &log->bytes));
	begin = log->bytes.data;
	for (const char *at = begin; (end = memchr(at, '\n', log->bytes.n - (size_t)(at - begin)));
	     at = end + 1) {
		snprintf(place, sizeof place, "%s:%zu", path, log->n + 1);
		TRY(job_again_add_line(place,
		                       (struct job_again_line){.at = (size_t)(at - begin),
		                                               .n = (size_t)(end - at)},
		                       log));
	}
	return OK;
}

int job_again_log_read(const char *run, struct job_again_log *out)
{
	struct arena a = {0};
	char        *path;
	int          status = file_path(&a, run, "metrics.jsonl", &path);

	*out = (struct job_again_log){.kind = JOB_SFT};
	if (status == OK && !file_exists(path))
		status = error_set(ERR_INPUT,
		                   "%s: it has no metrics.jsonl; expected the folder of "
		                   "a run",
		                   run);
	if (status == OK)
		status = job_again_read_lines(path, out);
	if (status == OK && out->last == 0)
		status = error_set(ERR_INPUT, "%s: no step of this run is done yet", path);
	arena_free(&a);
	if (status != OK)
		job_again_log_free(out);
	return status;
}

void job_again_log_free(struct job_again_log *log)
{
	bytes_free(&log->bytes);
	mem_free(log->lines);
	*log = (struct job_again_log){0};
}

/* The last one: a step that came again replaced what was logged before. */
const struct job_again_line *job_again_log_find(const struct job_again_log *log, int step,
                                                int is_eval)
{
	for (size_t i = log->n; i-- > 0;)
		if (log->lines[i].step == step && log->lines[i].is_eval == is_eval)
			return &log->lines[i];
	return NULL;
}
