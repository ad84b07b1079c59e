/* hone score --task NAME [--pattern P] [--tags T] [--word W] [--partial X] [--format-score X] [--compare FORM] [--command PROGRAM] ... */
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
	struct text               answer = {0};
	int                       status;

	if (!line)
		return error_set(ERR_INPUT, "%s: out of memory", place);
	status = verifier_score_row(spec, place, line, strlen(line), &answer);
	if (status == OK) /* "{...}\n": rows_run has braces of its own */
		text_add(out, answer.data + 1, answer.n - 3);
	text_free(&answer);
	free(line);
	return status;
}

static int read_number(const char *name, const char *text, double most, const char *wanted, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return *end || !(*out >= 0 && *out <= most) ? error_set(ERR_INPUT, "%s wants %s, not \"%s\"", name, wanted, text) : OK;
}

static int read_share(const char *name, const char *text, double *out)
{
	return read_number(name, text, 1, "a share from 0 to 1", out);
}

int command_score(int argc, char **argv)
{
	const char *task = NULL, *partial = "0", *format_score = "0", *compare = "text", *tolerance = "0", *relative = "0", *timeout = "10";
	struct verifier_options  o = {.command = {.workers = 1, .startup = 30, .say = options_say}};
	struct reward_spec       spec;
	int                      n, status;
	const struct option_word words[] = {{"--task", &task, NULL, NULL},
	                                    {"--pattern", &o.pattern, NULL, NULL},
	                                    {"--tags", &o.tags, NULL, NULL},
	                                    {"--word", &o.word, NULL, NULL},
	                                    {"--partial", &partial, NULL, NULL},
	                                    {"--format-score", &format_score, NULL, NULL},
	                                    {"--decimals", NULL, &o.decimals, NULL},
	                                    {"--strict-relations", NULL, NULL, &o.strict_relations},
	                                    {"--compare", &compare, NULL, NULL},
	                                    {"--tolerance", &tolerance, NULL, NULL},
	                                    {"--relative-tolerance", &relative, NULL, NULL},
	                                    {"--command", &o.command.line, NULL, NULL},
	                                    {"--timeout", &timeout, NULL, NULL},
	                                    {"--ignore-case", NULL, NULL, &o.compare.ignore_case}};

	TRY(options_read(argc, argv, words, 14, &n));
	if (n != 0 || !task)
		return error_set(ERR_INPUT, "usage: hone score --task NAME < rows.jsonl");
	if (o.decimals < 0 || o.decimals > 15)
		return error_set(ERR_INPUT, "--decimals wants a number from 0 to 15");
	TRY(read_share("--partial", partial, &o.partial));
	TRY(read_share("--format-score", format_score, &o.format_score));
	TRY(read_share("--relative-tolerance", relative, &o.compare.relative));
	TRY(read_number("--tolerance", tolerance, HUGE_VAL, "a number from 0 on", &o.compare.absolute));
	TRY(read_number("--timeout", timeout, 86400, "seconds", &o.command.timeout));
	if (!answer_form_find(compare, &o.compare.form))
		return error_set(ERR_INPUT, "--compare wants text, dense, number, list or set, not \"%s\"", compare);
	TRY(verifier_open(&spec, &task, NULL, 1, &o));
	status = rows_run(score_row, &spec);
	verifier_close(&spec);
	return status;
}
