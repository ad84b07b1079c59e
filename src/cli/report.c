/* hone report RUN... [--output FILE] */
#include "run/report.h"

#include "base/file.h"
#include "cli/command.h"

#include <stdio.h>

int command_report(int argc, char **argv)
{
	const char              *output = NULL;
	const struct option_word words[] = {{"--output", &output, NULL, NULL}};
	struct arena             a = {0};
	int                      n, status;

	TRY(options_read(argc, argv, words, 1, &n));
	if (n == 0)
		return error_set(ERR_INPUT, "usage: hone report RUN... [--output FILE]");
	if (!output)
		output = n == 1 ? file_join(&a, argv[0], "report.html") : "report.html";
	status = output ? report_write((const char *const *)argv, n, output) : ERR_INPUT;
	if (status == OK)
		printf("%s\n", output);
	arena_free(&a);
	return status;
}
