/* hone explain RUN --step N [--group G] [--output FILE] [key=value ...] [--allow-command] */
#include "rl/explain.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "run/signals.h"

#include <stdio.h>
#include <string.h>

struct explain_call { /* the command line */
	struct job_again_call again;
	const char           *output;
	int                   step, group, allow_command;
};

static int explain_live(const struct explain_call *call, struct explained *x)
{
	char        name[64];
	const char *path = name;

	signals_catch();
	if (job_data_runs_program(&x->again.job.data))
		TRY(options_allow_command(&x->again.job.config, NULL, call->allow_command));
	TRY(explain_run(x, call->step, call->group));
	snprintf(name, sizeof name, "step-%d-group-%d.html", x->step, x->number);
	if (call->output)
		path = call->output;
	TRY(text_write(&x->page, path));
	terminal_print(stdout, "identical to the run; %s\n", path);
	return OK;
}

static int explain_open(const struct explain_call *call)
{
	struct explained *x;
	int               status;

	TRY(mem_take(1, "the step that is explained", &x));
	status = job_again_open(&call->again, &x->again);
	if (status == OK) {
		status = explain_live(call, x);
		job_again_close(&x->again);
		text_free(&x->page);
	}
	mem_free(x);
	return status;
}

int command_explain(const struct command *self, int argc, char **argv)
{
	struct explain_call      call = {.again = {.screen = stdout}};
	int                      n;
	const struct option_word words[] = {
	        {"--step N", NULL, &call.step, NULL, "the step, from 1 on"},
	        {"--group G", NULL, &call.group, NULL,
	         "which group of it, from 1 on; not given: the first whose rewards differ"},
	        {"--output FILE", &call.output, NULL, NULL,
	         "the page; not given: step-N-group-G.html"},
	        {"--allow-command", NULL, NULL, &call.allow_command,
	         "runs the program that the config of the run names (task.verifier.command, "
	         "task.environment.command)"}};

	TRY(options_read(self, argc, argv, words, sizeof words / sizeof *words, &n));
	if (n < 1 || strchr(argv[0], '=') || call.step < 1)
		return options_usage(self);
	call.again.run = argv[0];
	call.again.overrides = (const char *const *)argv + 1;
	call.again.n = n - 1;
	return explain_open(&call);
}
