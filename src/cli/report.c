/* hone report RUN... [--output FILE] [--text] [--json FILE] */
#include "run/report.h"

#include "base/file.h"
#include "base/terminal.h"
#include "cli/command.h"

#include <stdio.h>

int command_report(int argc, char **argv)
{
	struct report_files      files = {0};
	int                      as_text = 0, n, status;
	const struct option_word words[] = {
	        {"--output", &files.page, NULL, NULL}, {"--json", &files.json, NULL, NULL}, {"--text", NULL, NULL, &as_text}};
	struct arena a = {0};
	struct text  markdown = {0};

	TRY(options_read(argc, argv, words, 3, &n));
	if (n == 0)
		return error_set(ERR_INPUT, "usage: hone report RUN... [--output FILE] [--text] [--json FILE]");
	if (!files.page)
		files.page = n == 1 ? file_join(&a, argv[0], "report.html") : "report.html";
	if (as_text)
		files.markdown = &markdown;
	status = files.page ? report_write((const char *const *)argv, n, &files) : ERR_INPUT;
	if (status == OK && as_text)
		terminal_write(stdout, markdown.data, markdown.n);
	if (status == OK)
		terminal_print(stdout, "%s\n", files.page);
	text_free(&markdown);
	arena_free(&a);
	return status;
}
