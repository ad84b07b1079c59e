/* hone train CONFIG, hone sft CONFIG */
#include "rl/train.h"
#include "base/terminal.h"

#include "cli/command.h"
#include "rl/eval.h"
#include "rl/sft.h"
#include "run/foreign.h"
#include "run/report.h"
#include "run/schema.h"
#include "run/signals.h"

#include <stdio.h>
#include <string.h>

static int print_options(int markdown, const char *from)
{
	struct text t = {0};
	int         status;

	if (from)
		foreign_markdown(strcmp(from, "TRL") ? FOREIGN_VERL : FOREIGN_TRL, &t);
	else if (markdown)
		options_markdown(&t);
	else
		options_help(&t, NULL);
	status = text_status(&t);
	if (status == OK)
		fwrite(t.data, 1, t.n, stdout);
	text_free(&t);
	return status;
}

/* A signal that came when all was done changes nothing. */
static int is_stopped(const struct job *job)
{
	return signals_stop() && (job->step < job->config.run.max_steps || job->eval_missed);
}

static void print_end(const struct job *job)
{
	struct text held_out = {0};

	eval_summary(job, &held_out);
	if (held_out.n)
		printf("%s\n", held_out.data);
	text_free(&held_out);
	if (job->best_step >= 0)
		terminal_print(stdout, "best in %s: %.4g at step %d, kept as %s/checkpoint-%d\n", job->config.run.metric_for_best_model,
		               job->best_metric, job->best_step, job->config.run.output_dir, job->best_step);
	terminal_print(stdout, "%s: step %d of %d; report in %s/report.html\n", is_stopped(job) ? "stopped and saved" : "done", job->step,
	               job->config.run.max_steps, job->config.run.output_dir);
}

static int write_report(const struct job *job)
{
	const char  *runs[] = {job->config.run.output_dir};
	struct arena a = {0};
	char        *path = file_join(&a, runs[0], "report.html");
	int          status = path ? report_write(runs, 1, &(struct report_files){.page = path}) : ERR_INPUT;

	arena_free(&a);
	return status;
}

static int run_job(enum job_kind kind, const char *config, const char *const *overrides, int n, enum job_begin how, int allow_command)
{
	struct job job;
	int        status;

	TRY(job_open(kind, config, overrides, n, &job));
	job.screen = stdout;
	signals_catch();
	status = job.reward.command || job.eval_reward.command ? options_allow_command(&job.config, config, allow_command) : OK;
	if (status == OK)
		status = job_start(&job, how);
	if (status == OK)
		status = kind == JOB_TRAIN ? train_run(&job) : sft_run(&job);
	progress_close(&job.progress);
	if (status == OK)
		status = write_report(&job);
	if (status == OK) {
		print_end(&job);
		status = is_stopped(&job) ? STOPPED : OK;
	}
	job_close(&job);
	return status;
}

static int run(enum job_kind kind, int argc, char **argv)
{
	int                      resume = 0, from_scratch = 0, allow_command = 0, help = 0, markdown = 0, n;
	const char              *from = NULL;
	const struct option_word words[] = {{"--resume", NULL, NULL, &resume},
	                                    {"--from-scratch", NULL, NULL, &from_scratch},
	                                    {"--allow-command", NULL, NULL, &allow_command},
	                                    {"--help", NULL, NULL, &help},
	                                    {"--help-from", &from, NULL, NULL}, /* TRL, verl: their names and ours */
	                                    {"--help-markdown", NULL, NULL, &markdown}};

	TRY(options_read(argc, argv, words, sizeof words / sizeof *words, &n));
	if (help || markdown || from)
		return print_options(markdown, from);
	if (n == 0 || strchr(argv[0], '='))
		return error_set(ERR_INPUT, "usage: hone %s CONFIG [key=value ...] [--resume | --from-scratch]; --help lists the keys",
		                 kind == JOB_TRAIN ? "train" : "sft");
	return run_job(kind, argv[0], (const char *const *)argv + 1, n - 1,
	               from_scratch ? JOB_FROM_SCRATCH
	               : resume     ? JOB_RESUME
	                            : JOB_NEW,
	               allow_command);
}

int command_train(int argc, char **argv)
{
	return run(JOB_TRAIN, argc, argv);
}

int command_sft(int argc, char **argv)
{
	return run(JOB_SFT, argc, argv);
}
