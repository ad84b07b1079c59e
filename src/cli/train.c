/* hone train CONFIG, hone sft CONFIG */
#include "rl/train.h"
#include "base/ranks.h"
#include "base/terminal.h"

#include "cli/command.h"
#include "rl/held_out.h"
#include "rl/job_report.h"
#include "rl/loop.h"
#include "rl/sft.h"
#include "rl/step_metrics.h"
#include "run/foreign.h"
#include "run/rank_lines.h"
#include "run/schema.h"
#include "run/signals.h"
#include "run/watchdog.h"

#include <stdio.h>
#include <string.h>

static int print_markdown(const char *from, int metrics)
{
	struct text t = {0};
	int         status;

	if (from)
		foreign_markdown(strcmp(from, "TRL") ? FOREIGN_VERL : FOREIGN_TRL, &t);
	else if (metrics)
		step_metrics_markdown(&t);
	else
		options_markdown(&job_schema, &t);
	status = text_status(&t);
	if (status == OK)
		fwrite(t.data, 1, t.n, stdout);
	text_free(&t);
	return status;
}

/* A signal that came when all was done changes nothing. */
static int is_stopped(const struct job *job)
{
	return signals_stop() && (!loop_is_over(job) || job->record.eval_missed);
}

static void print_end(const struct job *job)
{
	struct text held_out = {0};

	held_out_summary(&job->record, job->config.run.max_steps, &held_out);
	if (held_out.n)
		printf("%s\n", held_out.data);
	text_free(&held_out);
	if (job->record.best.step >= 0)
		terminal_print(stdout, "best in %s: %.4g at step %d, kept as %s/checkpoint-%d\n",
		               job->config.run.metric_for_best_model, job->record.best.value,
		               job->record.best.step, job->config.run.output_dir,
		               job->record.best.step);
	terminal_print(stdout, "%s: step %d of %d; report in %s/report.html\n",
	               is_stopped(job) ? "stopped and saved" : "done", job->record.step,
	               job->config.run.max_steps, job->config.run.output_dir);
}

/* Of several ranks the first one speaks; all of them, where run.log_ranks asks for it. */
static int open_screen(int log_ranks, FILE **out)
{
	*out = ranks_first() ? stdout : NULL;
	return log_ranks && ranks_count() > 1 ? rank_lines_open(stdout, out) : OK;
}

static int live(struct job *job, enum job_begin how)
{
	TRY(job_start(job, how));
	TRY(job->kind == JOB_TRAIN ? train_run(job) : sft_run(job));
	progress_close(&job->record.progress);
	watchdog_phase(WATCHDOG_REPORT);
	if (ranks_first()) {
		TRY(job_report_write(job));
		print_end(job);
	}
	return is_stopped(job) ? STOPPED : OK;
}

struct train_call { /* the command line */
	enum job_kind      kind;
	const char        *config;
	const char *const *overrides; /* [n] */
	int                n;
	enum job_begin     how;
	int                allow_command, ranks;
};

static int run_job(const struct train_call *call)
{
	struct job job;
	int        status;

	TRY(job_open(call->kind, call->how, call->config, call->overrides, call->n, &job));
	signals_catch();
	status = open_screen(job.config.run.log_ranks, &job.record.screen);
	if (status == OK && job_data_runs_program(&job.data))
		status = options_allow_command(&job.config, call->config, call->allow_command);
	if (status == OK)
		status = live(&job, call->how);
	progress_close(&job.record.progress);
	if (job.record.screen && job.record.screen != stdout)
		fclose(job.record.screen);
	job_close(&job);
	return status;
}

static int run_ranks(const struct train_call *call)
{
	int status = ranks_open(call->ranks);

	if (status == OK)
		status = watchdog_start();
	if (status == OK)
		status = run_job(call);
	status = ranks_together("the end", status);
	watchdog_stop();
	return ranks_close(status);
}

static int run(const struct command *self, enum job_kind kind, int argc, char **argv)
{
	int resume = 0, from_scratch = 0, allow_command = 0, ranks = 0, markdown = 0, metrics = 0,
	    n;
	const char              *from = NULL;
	const struct option_word words[] = {
	        {"--resume", NULL, NULL, &resume, "goes on from the newest valid checkpoint"},
	        {"--from-scratch", NULL, NULL, &from_scratch,
	         "sets what is in the run folder aside, into old-1/, and starts again"},
	        {"--allow-command", NULL, NULL, &allow_command,
	         "runs the program that a config names which yours extends "
	         "(task.verifier.command, task.environment.command)"},
	        {"--ranks N", NULL, &ranks, NULL,
	         "runs as so many processes of this machine, with the same results; mpirun and "
	         "srun "
	         "start ranks on many"},
	        {"--help-from NAME", &from, NULL, NULL,
	         "TRL or verl: the names of their options, and ours, as Markdown"},
	        {"--help-markdown", NULL, NULL, &markdown, "the keys of a config as Markdown"},
	        {"--help-metrics", NULL, NULL, &metrics,
	         "what stands in metrics.jsonl, as Markdown"}};

	TRY(options_read(self, argc, argv, words, sizeof words / sizeof *words, &n));
	if (markdown || from || metrics)
		return print_markdown(from, metrics);
	if (n == 0 || strchr(argv[0], '='))
		return options_usage(self);
	return run_ranks(&(struct train_call){.kind = kind,
	                                      .config = argv[0],
	                                      .overrides = (const char *const *)argv + 1,
	                                      .n = n - 1,
	                                      .how = from_scratch ? JOB_FROM_SCRATCH
	                                             : resume     ? JOB_RESUME
	                                                          : JOB_NEW,
	                                      .allow_command = allow_command,
	                                      .ranks = ranks});
}

int command_train(const struct command *self, int argc, char **argv)
{
	return run(self, JOB_TRAIN, argc, argv);
}

int command_sft(const struct command *self, int argc, char **argv)
{
	return run(self, JOB_SFT, argc, argv);
}
