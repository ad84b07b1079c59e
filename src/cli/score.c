/* hone score --task NAME [--pattern P] [--tags T] [--word W] [--partial X] [--format-score X]
 * [--compare FORM] [--command PROGRAM] ... */
#include "cli/command.h"
#include "cli/rows.h"
#include "verify/verifier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int score_row(void *context, const char *place, const json_t *row, struct text *out)
{
	const struct reward_spec *spec = context;
	char                     *line = json_dumps(row, JSON_COMPACT);
	struct text               verdict = {0};
	int                       status;

	if (!line)
		return error_memory("the row of %s", place);
	status = verifier_score_row(spec, place, line, strlen(line), &verdict);
	if (status == OK) /* "{...}\n": rows_run has braces of its own */
		text_add(out, verdict.data + 1, verdict.n - 3);
	text_free(&verdict);
	free(line);
	return status;
}

static int score_read_number(const char *name, const char *text, double most, const char *wanted,
                             double *out)
{
	char *end;

	*out = strtod(text, &end);
	return *end || !(*out >= 0 && *out <= most)
	               ? error_set(ERR_INPUT, "%s wants %s, not \"%s\"", name, wanted, text)
	               : OK;
}

static int read_share(const char *name, const char *text, double *out)
{
	return score_read_number(name, text, 1, "a share from 0 to 1", out);
}

int command_score(const struct command *self, int argc, char **argv)
{
	const char *task = NULL, *partial = "0", *format_score = "0", *compare = "text",
	           *tolerance = "0", *relative = "0", *timeout = "10";
	struct verifier_options  o = {.command = {.workers = 1, .startup = 30, .say = options_say}};
	const struct choice     *form;
	struct reward_spec       spec;
	int                      n, status;
	const struct option_word words[] = {
	        {"--task NAME", &task, NULL, NULL, "the verifier (docs/verifiers.md)"},
	        {"--pattern P", &o.pattern, NULL, NULL, "task.verifier.pattern"},
	        {"--tags T", &o.tags, NULL, NULL, "task.verifier.tags"},
	        {"--word W", &o.word, NULL, NULL, "task.verifier.word"},
	        {"--partial X", &partial, NULL, NULL, "task.verifier.partial"},
	        {"--format-score X", &format_score, NULL, NULL, "task.verifier.format_score"},
	        {"--decimals N", NULL, &o.decimals, NULL, "task.verifier.decimals"},
	        {"--strict-relations", NULL, NULL, &o.strict_relations,
	         "-2 <= x <= 7 is not [-2, 7] (task math)"},
	        {"--compare FORM", &compare, NULL, NULL, "task.verifier.compare"},
	        {"--tolerance X", &tolerance, NULL, NULL, "task.verifier.tolerance"},
	        {"--relative-tolerance X", &relative, NULL, NULL,
	         "task.verifier.relative_tolerance"},
	        {"--command PROGRAM", &o.command.line, NULL, NULL, "task.verifier.command"},
	        {"--timeout SECONDS", &timeout, NULL, NULL, "task.verifier.command_timeout"},
	        {"--ignore-case", NULL, NULL, &o.compare.ignore_case, "task.verifier.ignore_case"}};

	TRY(options_read(self, argc, argv, words, 14, &n));
	if (n != 0 || !task)
		return options_usage(self);
	if (o.decimals < 0 || o.decimals > 15)
		return error_set(ERR_INPUT, "--decimals wants a number from 0 to 15");
	TRY(read_share("--partial", partial, &o.partial));
	TRY(read_share("--format-score", format_score, &o.format_score));
	TRY(read_share("--relative-tolerance", relative, &o.compare.relative));
	TRY(score_read_number("--tolerance", tolerance, HUGE_VAL, "a number from 0 on",
	                      &o.compare.absolute));
	TRY(score_read_number("--timeout", timeout, 86400, "seconds", &o.command.timeout));
	form = choice_find(answer_forms, compare);
	if (!form)
		return error_set(ERR_INPUT,
		                 "--compare wants text, dense, number, list or set, not \"%s\"",
		                 compare);
	o.compare.form = (enum answer_form)form->value;
	TRY(verifier_open(&spec, &task, NULL, 1, &o));
	status = rows_run(score_row, &spec);
	verifier_close(&spec);
	return status;
}
