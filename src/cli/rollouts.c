/* hone rollouts CONFIG [key=value ...] [--steps N] [--output FILE]
 *
 * The completions that N steps of hone train would sample if the weights stood still: the same
 * problems, the same random keys. Without --steps enough of them to meet every problem once. The
 * output is by default the run folder's name with .jsonl.gz; it must not exist. --allow-command:
 * see options_allow_command. */
#include "base/terminal.h"
#include "cli/command.h"
#include "rl/job.h"
#include "rl/step.h"
#include "run/signals.h"

#include <stdio.h>
#include <string.h>

static int one_step(struct job *job, struct text *t, int *n_groups, int64_t *n_tokens)
{
	int         P = job->config.rollout.prompts_per_step, *picked;
	struct step s = {.number = job->record.step, .arena = &job->step_arena};

	arena_reset(&job->step_arena);
	TRY(arena_take(&job->step_arena, (size_t)P, "the problems of a step", &picked));
	TRY(groups_new(P, &job->step_arena, &s.sampled));
	curriculum_pick(job->sampler.curriculum, P, picked);
	TRY(step_sample(&job->data, &job->sampler, picked, P, &s));
	TRY(step_observe(&job->sampler, &s));
	TRY(replay_add_groups(t, &s.sampled, job->record.step, n_groups, &job->step_arena));
	for (int g = 0; g < s.sampled.n; g++)
		for (int i = 0; i < s.sampled.items[g].n; i++)
			*n_tokens += s.sampled.items[g].rollouts[i].n;
	job->record.step++;
	return text_status(t);
}

static int write(const char *path, const struct text *t)
{
	size_t n = strlen(path);

	return n > 3 && !strcmp(path + n - 3, ".gz") ? file_write_gzip(path, t->data, t->n)
	                                             : file_write(path, t->data, t->n);
}

static int rollouts_collect(struct job *job, int steps, const char *path)
{
	const struct replay_header h = {.model = job->learner.model,
	                                .tokenizer = job->learner.tokenizer,
	                                .rollout = &job->sampler.rollout,
	                                .reward = &job->data.reward,
	                                .model_name = job->config.model.path,
	                                .n = (int64_t)steps * job->config.rollout.prompts_per_step *
	                                     job->config.rollout.num_generations};
	struct text                t = {0};
	int                        n_groups = 0, status;
	int64_t                    n_tokens = 0;

	status = replay_add_header(&t, &h, &job->record.arena);
	while (status == OK && job->record.step < steps && !signals_stop())
		status = one_step(job, &t, &n_groups, &n_tokens);
	if (status == STOPPED || (status == OK && job->record.step < steps))
		status = error_set(ERR_FAILED, "stopped at step %d of %d; nothing was written",
		                   job->record.step, steps);
	if (status == OK)
		status = write(path, &t);
	if (status == OK)
		terminal_print(stdout, "%s: %lld completions of %lld tokens to %d groups\n", path,
		               (long long)h.n, (long long)n_tokens, n_groups);
	text_free(&t);
	return status;
}

static int print_findings(const struct job *job)
{
	struct text t = {0};
	int         status = findings_lines(&job->data.findings, &t);

	if (status == OK && t.data)
		terminal_print(stderr, "%s", t.data);
	text_free(&t);
	return status;
}

static int rollouts_run(struct job *job, int steps, const char *output)
{
	int         P = job->config.rollout.prompts_per_step;
	const char *path = output;

	if (!path)
		TRY(arena_print(&job->record.arena, &path, "%s.jsonl.gz",
		                job->config.run.output_dir));
	if (file_exists(path))
		return error_set(
		        ERR_INPUT,
		        "%s is there already; name another file with --output, or remove it", path);
	if (*job->config.rollout.source)
		return error_set(ERR_INPUT,
		                 "%s: rollout.source is set: these completions would be replayed, "
		                 "not sampled",
		                 config_where(&job->config.base, "rollout.source"));
	if (job->sampler.guidance.num_generations)
		return error_set(ERR_INPUT,
		                 "%s: a data set of rollouts holds plain completions, and "
		                 "guidance.kind guide cannot be replayed; set it to none",
		                 config_where(&job->config.base, "guidance.kind"));
	signals_catch();
	TRY(print_findings(job));
	return rollouts_collect(job, steps ? steps : (job->data.train.prompts.n + P - 1) / P, path);
}

int command_rollouts(const struct command *self, int argc, char **argv)
{
	const char              *output = NULL;
	int                      steps = 0, allow_command = 0, n, status;
	const struct option_word words[] = {
	        {"--output FILE", &output, NULL, NULL,
	         "the new file; not given: the run folder's name with .jsonl.gz"},
	        {"--steps N", NULL, &steps, NULL,
	         "as many steps of training; 0: enough to meet every problem once"},
	        {"--allow-command", NULL, NULL, &allow_command,
	         "runs the program that a config names which yours extends "
	         "(task.verifier.command, task.environment.command)"}};
	struct job job;

	TRY(options_read(self, argc, argv, words, 3, &n));
	if (n == 0 || strchr(argv[0], '='))
		return options_usage(self);
	TRY(job_open(JOB_TRAIN, JOB_NEW, argv[0], (const char *const *)argv + 1, n - 1, &job));
	status = job_data_runs_program(&job.data)
	                 ? options_allow_command(&job.config, argv[0], allow_command)
	                 : OK;
	if (status == OK && job_data_runs_program(&job.data))
		status = file_make_folders(job.config.run.output_dir); /* for its standard error */
	if (status == OK)
		status = rollouts_run(&job, steps, output);
	job_close(&job);
	return status;
}
