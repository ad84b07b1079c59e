#include "rl/job_again.h"

#include "base/error.h"
#include "base/json.h"
#include "model/safetensors.h"
#include "rl/job_parts.h"
#include "rl/step_metrics.h"
#include "run/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AGAIN_LINE_MAX = 1 << 24 };

/* ---- rows ---- */

static int job_again_is_timed(const char *metric)
{
	const struct metric_row *row = metric_table_find(&step_metrics, metric);

	return row && metric_table_is_timed(row);
}

/* The first key in which two rows differ; NULL when there is none. */
static const char *job_again_differs(json_t *then, json_t *now)
{
	const char *key;
	json_t     *value;

	json_object_foreach(now, key, value)
	{
		if (!job_again_is_timed(key) && !json_equal(value, json_object_get(then, key)))
			return key;
	}
	json_object_foreach(then, key, value)
	{
		if (!job_again_is_timed(key) && !json_object_get(now, key))
			return key;
	}
	return NULL;
}

static void job_again_show(const json_t *value, struct text *out)
{
	char *s;

	if (json_is_real(value)) {
		json_add_real(out, json_real_value(value));
		return;
	}
	s = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
	text_print(out, "%.200s", s ? s : "missing");
	free(s);
}

/* ERR_FAILED where two lines of JSON differ; `what` says which they are. */
static int job_again_compare_rows(const char *what, json_t *then, json_t *now)
{
	const char *key = job_again_differs(then, now);
	struct text was = {0}, is = {0};
	int         status = OK;

	if (!key)
		return OK;
	job_again_show(json_object_get(then, key), &was);
	job_again_show(json_object_get(now, key), &is);
	status = text_status(&was);
	if (status == OK)
		status = text_status(&is);
	if (status == OK)
		status = error_set(ERR_FAILED, "%s: \"%s\" is %s, and computed again %s", what, key,
		                   was.data, is.data);
	text_free(&was);
	text_free(&is);
	return status;
}

struct job_again_row {
	const char *text;
	size_t      n;
};

static int job_again_compare_lines(const char *what, struct job_again_row then,
                                   struct job_again_row now)
{
	json_t *was = NULL, *is = NULL;
	int     status = json_parse(what, then.text, then.n, &was);

	if (status == OK)
		status = json_parse(what, now.text, now.n, &is);
	if (status == OK)
		status = job_again_compare_rows(what, was, is);
	json_decref(was);
	json_decref(is);
	return status;
}

/* ---- metrics.jsonl ---- */

/* One line of the log that was written anew. An evaluation that only one of the two made (another
 * run.eval_steps before a resume) is passed over. */
static int job_again_compare_metric(struct job_again *a, struct job_again_row now)
{
	json_t                      *row;
	int                          step, is_eval = 0;
	const char                  *key;
	json_t                      *value;
	const struct job_again_line *then;
	char                         what[FILE_PATH_MAX + 64];

	TRY(json_parse("a line", now.text, now.n, &row));
	step = (int)json_integer_value(json_object_get(row, "step"));
	json_object_foreach(row, key, value) is_eval |= !strncmp(key, "eval/", 5);
	json_decref(row);
	then = job_again_log_find(&a->log, step, is_eval);
	if (!then && is_eval)
		return OK;
	if (!then)
		return error_set(ERR_FAILED, "step %d: %s/metrics.jsonl has no line of it", step,
		                 a->run);
	snprintf(what, sizeof what, "step %d: %s/metrics.jsonl", step, a->run);
	TRY(job_again_compare_lines(
	        what, (struct job_again_row){a->log.bytes.data + then->at, then->n}, now));
	*(is_eval ? &a->n_evals : &a->n_steps) += 1;
	return OK;
}

static int job_again_compare_tail(struct job_again *a, char *tail, size_t n)
{
	const char *end;

	for (char *at = tail; (end = memchr(at, '\n', n - (size_t)(at - tail))); at += end + 1 - at)
		TRY(job_again_compare_metric(a, (struct job_again_row){at, (size_t)(end - at)}));
	return OK;
}

/* The lines that were written since the last call. */
static int job_again_compare_metrics(struct job_again *a)
{
	const struct metrics_log *log = &a->job.record.log;
	size_t                    n = (size_t)log->bytes - a->compared;
	uint64_t                  size;
	char                     *tail;
	int                       fd, status;

	if (n == 0)
		return OK;
	TRY(mem_take(n, "lines of metrics.jsonl", &tail));
	status = file_open(log->path, &fd, &size);
	if (status == OK) {
		status = lseek(fd, (off_t)a->compared, SEEK_SET) < 0
		                 ? error_system(log->path, "read it")
		                 : file_get_all(log->path, fd, tail, n);
		close(fd);
	}
	if (status == OK)
		status = job_again_compare_tail(a, tail, n);
	a->compared += n;
	mem_free(tail);
	return status;
}

/* ---- samples ---- */

static int job_again_compare_sample_lines(const char *path, struct lines *then, struct lines *now)
{
	struct job_again_row was, is;
	char                 what[FILE_PATH_MAX + 32];

	for (;;) {
		TRY(lines_next(then, &was.text, &was.n));
		TRY(lines_next(now, &is.text, &is.n));
		if (!was.text && !is.text)
			return OK;
		snprintf(what, sizeof what, "%s:%zu", path, lines_number(was.text ? then : now));
		if (!was.text || !is.text)
			return error_set(ERR_FAILED, "%s: this completion is %s", what,
			                 was.text ? "not there when computed again" : "missing");
		TRY(job_again_compare_lines(what, was, is));
	}
}

static int job_again_compare_samples(struct job_again *a, int step)
{
	char         *own, *path;
	struct lines *then, *now;
	int           status;

	TRY(arena_print(&a->arena, &own, "%s/samples/step-%d.jsonl.gz", a->folder, step));
	TRY(arena_print(&a->arena, &path, "%s/samples/step-%d.jsonl.gz", a->run, step));
	if (!file_exists(own) || !file_exists(path))
		return OK;
	TRY(lines_open(path, AGAIN_LINE_MAX, &then));
	status = lines_open(own, AGAIN_LINE_MAX, &now);
	if (status == OK) {
		status = job_again_compare_sample_lines(path, then, now);
		lines_close(now);
	}
	lines_close(then);
	a->n_samples += status == OK;
	return status == ERR_FAILED ? error_context("step %d", step) : status;
}

/* ---- checkpoints ---- */

struct job_again_tensor {
	const struct safetensors       *file;
	const struct safetensors_entry *entry;
	float                          *data; /* [count] */
};

static int job_again_read_tensor(struct arena *a, struct job_again_tensor *t)
{
	TRY(arena_take(a, (size_t)t->entry->count, "a tensor", &t->data));
	return safetensors_read(t->file, t->entry, t->data);
}

static int job_again_same_shape(const struct safetensors_entry *x,
                                const struct safetensors_entry *y)
{
	return x->type == y->type && x->n_dims == y->n_dims &&
	       !memcmp(x->dims, y->dims, (size_t)x->n_dims * sizeof *x->dims);
}

/* By their bits: no two zeros or NaNs are taken for the same. */
static int job_again_compare_tensor(struct job_again_tensor *then, struct job_again_tensor *now,
                                    struct arena *a)
{
	uint64_t n = now->entry->count, first = n, differ = 0;

	TRY(job_again_read_tensor(a, then));
	TRY(job_again_read_tensor(a, now));
	for (uint64_t i = 0; i < n; i++)
		if (memcmp(&then->data[i], &now->data[i], sizeof *now->data)) {
			first = differ++ ? first : i;
		}
	if (!differ)
		return OK;
	return error_set(ERR_FAILED,
	                 "%s: tensor \"%s\" differs in %llu of %llu numbers; number %llu is %.9g "
	                 "there, and computed again %.9g",
	                 then->file->path, now->entry->name, (unsigned long long)differ,
	                 (unsigned long long)n, (unsigned long long)first,
	                 (double)then->data[first], (double)now->data[first]);
}

static int job_again_compare_tensors(const struct safetensors *then, const struct safetensors *now)
{
	if (then->n != now->n)
		return error_set(ERR_FAILED, "%s: it has %zu tensors, and computed again %zu",
		                 then->path, then->n, now->n);
	for (size_t i = 0; i < now->n; i++) {
		struct job_again_tensor is = {.file = now, .entry = &now->entries[i]};
		struct job_again_tensor was = {.file = then,
		                               .entry = safetensors_find(then, is.entry->name)};
		struct arena            a = {0};
		int                     status;
		if (!was.entry || !job_again_same_shape(was.entry, is.entry))
			return error_set(ERR_FAILED,
			                 "%s: tensor \"%s\" is missing, or of another shape or "
			                 "type than computed again",
			                 then->path, is.entry->name);
		status = job_again_compare_tensor(&was, &is, &a);
		arena_free(&a);
		TRY(status);
	}
	return OK;
}

/* `name` of both folders; where the new one has no such file, the old one shall not either. */
static int job_again_compare_file(struct job_again *a, const char *then, const char *now,
                                  const char *name)
{
	char              *was_path, *is_path;
	struct safetensors was, is;
	int                status;

	TRY(file_path(&a->arena, then, name, &was_path));
	TRY(file_path(&a->arena, now, name, &is_path));
	if (!file_exists(is_path) || !file_exists(was_path))
		return file_exists(is_path) == file_exists(was_path)
		               ? OK
		               : error_set(ERR_FAILED,
		                           "%s: only one of it and what was computed "
		                           "again is there",
		                           was_path);
	TRY(safetensors_open(was_path, &was));
	status = safetensors_open(is_path, &is);
	if (status == OK) {
		status = job_again_compare_tensors(&was, &is);
		safetensors_close(&is);
	}
	safetensors_close(&was);
	return status;
}

/* What the states of two checkpoints have in common: not the program, not the log's length. */
static int job_again_compare_states(struct job_again *a, const char *then, const char *now)
{
	static const char *const keys[] = {"step",   "optimizer_step", "num_tokens",
	                                   "beta",   "curriculum",     "skipped_in_a_row",
	                                   "inputs", "critic"};
	char                    *was_path, *is_path;
	json_t                  *was = NULL, *is = NULL;
	int                      status;

	TRY(file_path(&a->arena, then, "trainer_state.json", &was_path));
	TRY(file_path(&a->arena, now, "trainer_state.json", &is_path));
	status = json_read(was_path, STATE_MAX, &was);
	if (status == OK)
		status = json_read(is_path, STATE_MAX, &is);
	for (size_t i = 0; status == OK && i < sizeof keys / sizeof *keys; i++) {
		json_t *x = json_object_get(was, keys[i]), *y = json_object_get(is, keys[i]);
		if ((x || y) && !(x && y && json_equal(x, y)))
			status = error_set(ERR_FAILED,
			                   "%s: \"%s\" is not what it is when computed again",
			                   was_path, keys[i]);
	}
	json_decref(was);
	json_decref(is);
	return status;
}

static int job_again_compare_folders(struct job_again *a, const char *then, const char *now)
{
	static const char *const names[] = {"model.safetensors", "adapter_model.safetensors",
	                                    "optimizer.safetensors", "critic.safetensors"};

	TRY(checkpoint_check(then));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		TRY(job_again_compare_file(a, then, now, names[i]));
	return job_again_compare_states(a, then, now);
}

/* Saves this step, where the run has saved it, too. */
static int job_again_compare_checkpoint(struct job_again *a, int step)
{
	char *then, *now;
	int   status;

	TRY(arena_print(&a->arena, &then, "%s/checkpoint-%d", a->run, step));
	TRY(arena_print(&a->arena, &now, "%s/checkpoint-%d", a->folder, step));
	if (step <= a->from || !file_is_folder(then))
		return OK;
	TRY(job_save(&a->job));
	status = job_again_compare_folders(a, then, now);
	a->n_checkpoints += status == OK;
	return status == ERR_FAILED ? error_context("step %d", step) : status;
}

/* ---- all of it ---- */

int job_again_compare(struct job_again *a)
{
	int step = a->job.record.step;

	TRY(job_again_compare_metrics(a));
	if (step == a->compared_step)
		return OK;
	a->compared_step = step;
	TRY(job_again_compare_samples(a, step));
	return job_again_compare_checkpoint(a, step);
}
