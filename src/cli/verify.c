/* hone verify RUN [key=value ...] [--steps A-B] [--allow-command] */
#include "base/terminal.h"
#include "cli/command.h"
#include "rl/job_again.h"
#include "run/signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "A-B" or "A"; both from 1 on. */
static int verify_steps(const char *text, int *first, int *last)
{
	char *end;
	long  a, b;

	*first = *last = 0;
	if (!text)
		return OK;
	a = b = strtol(text, &end, 10);
	if (end > text && *end == '-')
		b = strtol(end + 1, &end, 10);
	if (*end || end == text || a < 1 || b < a || b > 1000000000)
		return error_set(ERR_INPUT,
		                 "--steps %s: expected two steps as 11-20, or one, from "
		                 "1 on",
		                 text);
	*first = (int)a;
	*last = (int)b;
	return OK;
}

static void verify_say(const struct job_again *a, int first)
{
	terminal_print(stdout, "%s: steps %d to %d again, from %s %d\n", a->run, first, a->last,
	               a->from ? "the checkpoint of step" : "the weights of step", a->from);
}

static void verify_say_end(const struct job_again *a)
{
	terminal_print(stdout,
	               "identical: steps %d to %d; %d lines of metrics, %d evaluations, %d files "
	               "of samples, %d checkpoints\n",
	               a->from + 1, a->last, a->n_steps, a->n_evals, a->n_samples,
	               a->n_checkpoints);
}

static int verify_live(struct job_again *a, int first, int last, int allow_command)
{
	signals_catch();
	if (job_data_runs_program(&a->job.data))
		TRY(options_allow_command(&a->job.config, NULL, allow_command));
	TRY(job_again_start(a, &first, last));
	verify_say(a, first);
	TRY(job_again_run(a));
	verify_say_end(a);
	return OK;
}

int command_verify(const struct command *self, int argc, char **argv)
{
	const char              *steps = NULL;
	int                      allow_command = 0, n, first, last, status;
	const struct option_word words[] = {
	        {"--steps A-B", &steps, NULL, NULL,
	         "does these steps again, from the newest checkpoint before them; not given: all"},
	        {"--allow-command", NULL, NULL, &allow_command,
	         "runs the program that the config of the run names (task.verifier.command, "
	         "task.environment.command)"}};
	struct job_again     *a;
	struct job_again_call call = {.screen = stdout};

	TRY(options_read(self, argc, argv, words, 2, &n));
	if (n < 1 || strchr(argv[0], '='))
		return options_usage(self);
	TRY(verify_steps(steps, &first, &last));
	call.run = argv[0];
	call.overrides = (const char *const *)argv + 1;
	call.n = n - 1;
	TRY(mem_take(1, "the run that is done again", &a));
	status = job_again_open(&call, a);
	if (status == OK) {
		status = verify_live(a, first, last, allow_command);
		job_again_close(a);
	}
	mem_free(a);
	return status;
}
