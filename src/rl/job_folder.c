/* A job in its run folder: a new one, one that goes on, or one that begins again beside what it
 * sets aside. */
#include "rl/job_parts.h"

#include "base/error.h"
#include "base/ranks.h"
#include "base/terminal.h"
#include "math/matmul.h"
#include "rl/job_ranks.h"
#include "run/checkpoint.h"
#include "run/events.h"
#include "run/provenance.h"
#include "run/samples.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

/* ---- what is there already ---- */

/* Beside checkpoints. The log is the last of them: where there is one, there is a run. */
static const char *const files_of_a_run[] = {"samples",          "tensorboard",  "report.html",
                                             "verifier.log",     "data.json",    "config.yaml",
                                             "provenance.jsonl", "metrics.jsonl"};

/* A log, or what was written beside one. Whether there is any must be known: beside what cannot be
 * seen nothing is begun. */
static int holds_run(const char *run, struct arena *a, int *holds)
{
	static const char *const names[] = {"metrics.jsonl", "tensorboard", "samples"};

	TRY(checkpoint_count(run, holds));
	for (size_t i = 0; !*holds && i < sizeof names / sizeof *names; i++) {
		char *path;
		TRY(file_path(a, run, names[i], &path));
		TRY(file_there(path, holds));
	}
	return OK;
}

static int refuse_old_run(const char *run, struct arena *a)
{
	int holds;

	TRY(holds_run(run, a, &holds));
	return holds ? error_set(ERR_INPUT,
	                         "%s holds a run already; add --resume to go on with it, "
	                         "--from-scratch to set it aside and begin again, or "
	                         "name another folder with run.output_dir=",
	                         run)
	             : OK;
}

/* What a run that never came to its first step may have left, whole or half written, for a kill or
 * a loss of power can be as early as that; and names that begin with a dot, which are nobody's
 * work. */
static int may_be_ours(const char *name)
{
	for (size_t i = 0; i < sizeof files_of_a_run / sizeof *files_of_a_run; i++) {
		size_t n = strlen(files_of_a_run[i]);
		if (!strncmp(name, files_of_a_run[i], n) &&
		    (!name[n] || !strcmp(name + n, ".part")))
			return 1;
	}
	return *name == '.' || !strncmp(name, "checkpoint-", strlen("checkpoint-")) ||
	       !strncmp(name, "old-", strlen("old-"));
}

/* A folder of something else is not written into: config.yaml or report.html in it may be
 * somebody's. */
static int refuse_other_folder(const char *run, struct arena *a)
{
	DIR           *dir = opendir(run);
	struct dirent *entry;
	int            holds = 0, status;

	if (!dir)
		return errno == ENOENT ? OK : error_system(run, "open the folder");
	status = holds_run(run, a, &holds);
	errno = 0;
	while (status == OK && !holds && (errno = 0, entry = readdir(dir)))
		if (!may_be_ours(entry->d_name))
			status = error_set(ERR_INPUT,
			                   "%s holds %.80s and no run; name a folder that is empty "
			                   "or not there yet with run.output_dir=",
			                   run, entry->d_name);
	if (status == OK && errno)
		status = error_system(run, "read the folder");
	closedir(dir);
	return status;
}

/* RUN/old-K for the first K that is free. */
static int make_old_folder(const char *run, struct arena *a, char **folder)
{
	int there = 1;

	for (int k = 1; there; k++) {
		TRY(arena_print(a, folder, "%s/old-%d", run, k));
		TRY(file_there(*folder, &there));
	}
	return file_make_folders(*folder);
}

static int move_aside(const char *run, const char *old, const char *name, struct arena *a)
{
	char *from, *to;

	TRY(file_path(a, run, name, &from));
	TRY(file_path(a, old, name, &to));
	return rename(from, to) && errno != ENOENT ? error_system(from, "set it aside") : OK;
}

static int move_checkpoints(const char *run, const char *old, struct arena *a)
{
	DIR           *dir = opendir(run);
	struct dirent *entry;
	int            status = OK;

	if (!dir)
		return error_system(run, "open the folder");
	while (status == OK && (errno = 0, entry = readdir(dir)))
		if (!strncmp(entry->d_name, "checkpoint-", strlen("checkpoint-")))
			status = move_aside(run, old, entry->d_name, a);
	if (status == OK && errno)
		status = error_system(run, "read the folder");
	closedir(dir);
	return status;
}

/* Nothing is deleted. The log goes last: until then the folder is known to hold a run. */
static int set_aside(const char *run, struct job_record *r)
{
	char *old;
	int   holds;

	TRY(holds_run(run, &r->arena, &holds));
	if (!holds)
		return OK;
	TRY(make_old_folder(run, &r->arena, &old));
	TRY(move_checkpoints(run, old, &r->arena));
	for (size_t i = 0; i < sizeof files_of_a_run / sizeof *files_of_a_run; i++)
		TRY(move_aside(run, old, files_of_a_run[i], &r->arena));
	if (r->screen)
		terminal_print(r->screen, "what was there before is in %s\n", old);
	TRY(file_sync(old));
	return file_sync(run);
}

static int job_folder_take(const char *run, struct job_record *r)
{
	TRY(refuse_other_folder(run, &r->arena));
	TRY(file_make_folders(run));
	/* before a resume, which clears away what looks half written */
	return file_lock(run, &r->run_lock);
}

/* What was there before. */
static int job_folder_clear(const struct run_options *o, enum job_begin how, struct job_record *r)
{
	switch (how) {
	case JOB_NEW:
		return refuse_old_run(o->output_dir, &r->arena);
	case JOB_RESUME: /* the disk is billed after this */
		return checkpoint_tidy(o->output_dir, r->step, job_checkpoint_limit(o, r));
	case JOB_FROM_SCRATCH:
		return set_aside(o->output_dir, r);
	}
	return OK;
}

int job_folder_begin(struct job *job, enum job_begin how)
{
	const struct run_options *o = &job->config.run;

	if (ranks_first())
		TRY(job_folder_take(o->output_dir, &job->record));
	TRY(ranks_agree("the run folder"));
	TRY(job_take_inputs(&job->data, &job->learner, &job->sampler, &job->record));
	TRY(job_ranks_check_inputs(job));
	if (how == JOB_RESUME)
		TRY(job_resume_newest(&job->learner, &job->sampler, &job->record));
	TRY(job_ranks_check_weights(&job->learner, job->record.step));
	return ranks_first() ? job_folder_clear(o, how, &job->record) : OK;
}

/* ---- files of the run ---- */

static int job_folder_write_config(const struct job_config *c)
{
	struct text  t = {0};
	struct arena a = {0};
	char        *path;
	int          status = file_path(&a, c->run.output_dir, "config.yaml", &path);

	if (status == OK)
		status = config_resolved(&c->base, &t);
	if (status == OK)
		status = text_write(&t, path);
	text_free(&t);
	arena_free(&a);
	return status;
}

static int write_findings(const struct findings *f, const char *run)
{
	struct text  t = {0};
	struct arena a = {0};
	char        *path;
	int          status = file_path(&a, run, "data.json", &path);

	if (status == OK)
		status = findings_json(f, &t);
	if (status == OK)
		status = text_write(&t, path);
	text_free(&t);
	arena_free(&a);
	return status;
}

static int open_metrics(const char *run, int resumed, struct text *caution, struct job_record *r)
{
	uint64_t bytes = r->log.bytes; /* as the checkpoint knows */
	char    *path;

	TRY(file_path(&r->arena, run, "metrics.jsonl", &path));
	return resumed ? metrics_log_resume(path, r->step, bytes, caution, &r->log)
	               : metrics_log_new(path, &r->log);
}

/* What no checkpoint knows of will be done again, and must not stand twice. */
static int open_logs(const struct run_options *o, struct text *caution, struct job_record *r)
{
	int   resumed = r->saved_step >= 0, known = resumed ? r->step : -1;
	char *events, *samples;

	TRY(file_path(&r->arena, o->output_dir, "tensorboard", &events));
	TRY(file_path(&r->arena, o->output_dir, "samples", &samples));
	TRY(open_metrics(o->output_dir, resumed, caution, r));
	TRY(events_cut(events, known, caution));
	TRY(samples_cut(samples, known));
	return o->tensorboard ? events_open(events, r->step, &r->events) : OK;
}

int job_folder_open(const struct job_data *data, const struct job_learner *l, struct job_record *r)
{
	const struct run_options *o = &l->config->run;
	struct text               caution = {0};
	int                       status;

	TRY(job_folder_write_config(l->config));
	TRY(provenance_write(o->output_dir, r->step, matmul_describe(l->mm)));
	TRY(write_findings(&data->findings, o->output_dir));
	status = open_logs(o, &caution, r);
	if (status == OK && r->screen && caution.n)
		terminal_print(r->screen, "caution: %s", caution.data);
	text_free(&caution);
	return status;
}

int job_folder_sync(const struct job_record *r)
{
	TRY(metrics_log_sync(&r->log));
	return r->events ? events_sync(r->events) : OK;
}
