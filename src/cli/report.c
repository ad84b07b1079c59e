/* hone report RUN... [--output FILE] [--text] [--json FILE] [--samples N] [--baseline ARM]
 * [--measure NAME] */
#include "run/report.h"

#include "base/file.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "rl/job_config.h"
#include "rl/step_metrics.h"

#include <stdio.h>

int command_report(const struct command *self, int argc, char **argv)
{
	struct report_files      files = {.schema = &job_schema, .metrics = &step_metrics};
	int                      as_text = 0, n, status = OK;
	const struct option_word words[] = {
	        {"--output FILE", &files.page, NULL, NULL,
	         "the page; not given: report.html, in the folder of the run where there is one "
	         "run"},
	        {"--json FILE", &files.json, NULL, NULL, "writes the figures as JSON, too"},
	        {"--samples N", NULL, &files.samples, NULL,
	         "completions in the page, of all kept steps together; not given: 256"},
	        {"--baseline ARM", &files.question.baseline, NULL, NULL,
	         "the arm that the others are held against; not given: the first"},
	        {"--measure NAME", &files.question.measure, NULL, NULL,
	         "of held-out pass@1: final, last_five or at_tokens; not given: final"},
	        {"--text", NULL, NULL, &as_text, "prints the report as Markdown, too"}};
	struct arena a = {0};
	struct text  markdown = {0};

	TRY(options_read(self, argc, argv, words, sizeof words / sizeof *words, &n));
	if (n == 0)
		return options_usage(self);
	if (as_text)
		files.markdown = &markdown;
	if (!files.page && n == 1)
		status = file_path(&a, argv[0], "report.html", &files.page);
	else if (!files.page)
		files.page = "report.html";
	if (status == OK)
		status = report_write((const char *const *)argv, n, &files);
	if (status == OK && as_text)
		terminal_write(stdout, markdown.data, markdown.n);
	if (status == OK)
		terminal_print(stdout, "%s\n", files.page);
	text_free(&markdown);
	arena_free(&a);
	return status;
}
