#include "rl/job_again.h"

#include "base/error.h"
#include "base/json.h"
#include "rl/job_parts.h"
#include "rl/loop.h"
#include "rl/sft.h"
#include "rl/train.h"
#include "run/checkpoint.h"
#include "run/signals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- opening ---- */

static int job_again_make_folder(char *out, size_t room)
{
	const char *parent = getenv("TMPDIR");

	if (snprintf(out, room, "%s/hone-again-XXXXXX", parent && *parent ? parent : "/tmp") >=
	    (int)room)
		return error_set(ERR_INPUT, "TMPDIR=%s: the path is too long", parent);
	return mkdtemp(out) ? OK
	                    : error_system(parent && *parent ? parent : "/tmp",
	                                   "make a temporary folder in it");
}

/* The config of the run, written where nothing of the run is touched. */
static int job_again_open_job(const struct job_again_call *call, struct job_again *a)
{
	static const char *const own[] = {"run.tensorboard=false", "run.save_steps=0",
	                                  "run.save_total_limit=1", "run.log_ranks=false"};
	enum { N_OWN = sizeof own / sizeof *own };
	const char **overrides, *folder;
	char        *config;
	int          n = call->n;

	TRY(arena_take(&a->arena, (size_t)n + N_OWN + 1, "the overrides", &overrides));
	TRY(arena_print(&a->arena, &folder, "run.output_dir=%s", a->folder));
	TRY(file_path(&a->arena, call->run, "config.yaml", &config));
	for (int i = 0; i < n; i++)
		overrides[i] = call->overrides[i];
	for (int i = 0; i < N_OWN; i++)
		overrides[n++] = own[i];
	overrides[n++] = folder;
	a->step = a->log.kind == JOB_TRAIN ? train_step : sft_step;
	return job_open((enum job_kind)a->log.kind, JOB_NEW, config, overrides, n, &a->job);
}

int job_again_open(const struct job_again_call *call, struct job_again *out)
{
	int status;

	*out = (struct job_again){.run = call->run, .screen = call->screen, .compared_step = -1};
	status = job_again_log_read(call->run, &out->log);
	if (status == OK)
		status = job_again_make_folder(out->folder, sizeof out->folder);
	if (status == OK)
		status = job_again_open_job(call, out);
	if (status != OK)
		job_again_close(out);
	return status;
}

void job_again_close(struct job_again *a)
{
	if (a->job.config.base.schema)
		job_close(&a->job);
	if (*a->folder)
		file_remove_folder(a->folder);
	job_again_log_free(&a->log);
	arena_free(&a->arena);
	*a = (struct job_again){0};
}

/* ---- starting ---- */

/* A link to the newest valid checkpoint before the steps, from which the job resumes. */
static int job_again_link(struct job_again *a, int most)
{
	char *folder, *whole, *link;
	int   step;

	TRY(checkpoint_until(a->run, most, &a->arena, &folder, &step, NULL));
	a->from = step;
	a->compared_step = step > 0 ? step : -1; /* what the run began from is given */
	if (!folder)
		return OK;
	whole = realpath(folder, NULL);
	if (!whole)
		return error_system(folder, "find it");
	if (arena_print(&a->arena, &link, "%s/checkpoint-%d", a->folder, step) != OK) {
		free(whole);
		return ERR_MEMORY;
	}
	step = symlink(whole, link);
	free(whole);
	return step == 0 ? OK : error_system(link, "make the link");
}

/* Whether the newest checkpoint is one of this job. Damaged ones are named where their step is. */
static int job_again_check_inputs(struct job_again *a)
{
	char   *folder, *path;
	json_t *state;
	int     step, status;

	if (checkpoint_newest(a->run, &a->arena, &folder, &step, NULL) != OK || !folder)
		return OK;
	TRY(file_path(&a->arena, folder, "trainer_state.json", &path));
	TRY(json_read(path, STATE_MAX, &state));
	status = job_state_check(&a->job.learner, &a->job.record, path, state);
	json_decref(state);
	return status;
}

int job_again_start(struct job_again *a, int *first, int last)
{
	*first = *first ? *first : 1;
	a->last = last ? last : a->log.last;
	if (*first > a->last || a->last > a->log.last)
		return error_set(ERR_INPUT, "%s: it has done steps 1 to %d, and not %d to %d",
		                 a->run, a->log.last, *first, a->last);
	if (a->last > a->job.config.run.max_steps)
		return error_set(ERR_INPUT, "%s: step %d is beyond run.max_steps = %d", a->run,
		                 a->last, a->job.config.run.max_steps);
	TRY(job_again_link(a, *first - 1));
	TRY(job_start(&a->job, a->from ? JOB_RESUME : JOB_NEW));
	a->job.record.report_next = INFINITY; /* nobody watches */
	TRY(job_again_check_inputs(a));
	progress_open(&a->progress, a->screen, (a->last - a->from + 9) / 10, a->from);
	return OK;
}

/* ---- running ---- */

/* Nothing more is wanted: what the loop would save at its end is saved where it is compared. */
static int job_again_end(struct job *job)
{
	job->record.saved_step = job->record.step;
	return STOPPED;
}

static int job_again_step(struct job *job)
{
	struct job_again *a = (struct job_again *)job;
	int               step = job->record.step;

	TRY(job_again_compare(a));
	if (step > a->from && step < a->last)
		progress_step(&a->progress, step, a->last, "identical");
	if (step >= a->last)
		return job_again_end(job);
	return a->step(job);
}

int job_again_run(struct job_again *a)
{
	int status = loop_run(&a->job, job_again_step);

	if (status == OK && signals_stop() && a->job.record.step < a->last)
		status = STOPPED;
	if (status == OK)
		status = job_again_compare(a);
	if (status == OK)
		progress_step(&a->progress, a->last, a->last, "identical");
	progress_close(&a->progress);
	return status;
}
