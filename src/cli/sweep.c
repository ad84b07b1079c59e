/* hone sweep SWEEP [--only NAME | --folder]: the runs of a sweep, one a line, for scripts/sweep */
#include "run/sweep.h"

#include "cli/command.h"

#include <stdio.h>
#include <string.h>

/* KIND STATE NAME FOLDER COMMAND CONFIG OVERRIDE...  between tabs */
static void print_run(const char *kind, const struct sweep_run *run)
{
	printf("%s\t%s\t%s\t%s\t%s\t%s", kind, sweep_state_name[sweep_state_of(run)], run->name,
	       run->folder, run->command, run->config);
	for (int i = 0; i < run->n; i++)
		printf("\t%s", run->overrides[i]);
	printf("\n");
}

int command_sweep(const struct command *self, int argc, char **argv)
{
	int                      n, folder = 0;
	const char              *only = NULL;
	const struct option_word words[] = {
	        {"--only NAME", &only, NULL, NULL, "the run of this name alone"},
	        {"--folder", NULL, NULL, &folder, "prints the folder of the sweep instead"}};
	struct sweep s;

	TRY(options_read(self, argc, argv, words, 2, &n));
	if (n != 1)
		return options_usage(self);
	TRY(sweep_read(&job_schema, argv[0], &s));
	if (folder)
		printf("%s\n", s.output_dir);
	for (int i = 0; i < s.n_before && !folder; i++)
		if (!only || !strcmp(only, s.before[i].name))
			print_run("before", &s.before[i]);
	for (int i = 0; i < s.n && !folder; i++)
		if (!only || !strcmp(only, s.runs[i].name))
			print_run("run", &s.runs[i]);
	sweep_free(&s);
	return OK;
}
