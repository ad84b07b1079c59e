#include "base/error.h"
#include "base/json.h"
#include "data/dataset.h"
#include "verify/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COMMAND_REWARD_MAX = 1000000 };

int verify_command_open(struct reward_spec *spec)
{
	if (!spec->options.command.line || !*spec->options.command.line)
		return error_set(ERR_INPUT, "the verifier command needs the program to run: set "
		                            "task.verifier.command (or --command)");
	return program_open(&spec->options.command, &spec->command);
}

/* ---- the question ---- */

/* Adds the problem's data row as it was read, without the keys that the question sets itself. */
static int verify_command_add_row(const struct problem *p, struct text *out)
{
	static const char *const own[] = {"completion", "finished", "tokens"};
	struct text              line = {0};
	json_t                  *row = NULL;
	char                    *rest = NULL;
	int                      status = dataset_add_row(&line, p);

	if (status == OK)
		status = text_status(&line);
	if (status == OK)
		status = json_parse("row", line.data, line.n, &row);
	for (size_t i = 0; status == OK && i < sizeof own / sizeof own[0]; i++)
		json_object_del(row, own[i]);
	if (status == OK && json_object_size(row) > 0 && !(rest = json_dumps(row, JSON_COMPACT)))
		status = error_memory("a row for the command");
	if (rest) {
		text_add(out, ", ", 2);
		text_add(out, rest + 1, strlen(rest) - 2);
	}
	free(rest);
	json_decref(row);
	text_free(&line);
	return status;
}

/* {"completion": ..., "finished": true, "tokens": 12, "id": ..., "prompt": ..., "answer": ...,
 * other columns} */
static int add_question(const struct problem *p, const struct completion *c, struct text *out)
{
	struct span text = verify_text(c);

	text_print(out, "{\"completion\": ");
	json_add_string(out, text.s, text.n);
	text_print(out, ", \"finished\": %s, \"tokens\": %d", c->finished ? "true" : "false",
	           c->n_tokens);
	TRY(verify_command_add_row(p, out));
	text_print(out, "}");
	return text_status(out);
}

/* ---- the reply ---- */

/* A reward is a number, or true for 1 and false for 0. null means, as {"error"} does, that there is
 * no verdict. Rewards are bounded, because their sums and squares must stay meaningful in single
 * precision. */
static int read_reward(const json_t *object, double *out)
{
	const json_t *v = json_object_get(object, "reward");

	if (json_is_null(v))
		return error_set(ERR_FAILED, "its reply: \"reward\" is null: no verdict");
	*out = json_is_true(v);
	if (!json_is_boolean(v))
		TRY(json_get_real("its reply", object, "reward", JSON_REQUIRED, out));
	if (fabs(*out) > COMMAND_REWARD_MAX)
		return error_set(
		        ERR_FAILED,
		        "its reply: the reward %g is beyond +-%g: no verdict; scale the rewards",
		        *out, (double)COMMAND_REWARD_MAX);
	return OK;
}

/* {"reward": 0.5, "right": false, "parsed": true} or {"error": "..."}; other keys are free. */
static int verify_command_read_reply(void *context, const char *line, size_t n)
{
	struct score *out = context;
	json_t       *object = NULL;
	const char   *excuse = NULL;
	int           status = json_parse("its reply", line, n, &object);

	*out = (struct score){.parsed = 1};
	if (status == OK)
		status = json_get_text("its reply", object, "error", JSON_OPTIONAL, &excuse);
	if (status == OK && excuse)
		status = error_set(ERR_FAILED, "it says: %.200s", excuse);
	if (status == OK)
		status = read_reward(object, &out->reward);
	out->right = out->reward >= 1;
	if (status == OK)
		status = json_get_bool("its reply", object, "right", JSON_OPTIONAL, &out->right);
	if (status == OK)
		status = json_get_bool("its reply", object, "parsed", JSON_OPTIONAL, &out->parsed);
	json_decref(object);
	return status;
}

VERIFY_SCORE(verify_command)
{
	struct text question = {0};
	int         status = add_question(p, c, &question);

	if (status == OK)
		status = program_ask(spec->command, question.data, question.n,
		                     verify_command_read_reply, out);
	if (status == ERR_FAILED)
		*out = (struct score){.reward = spec->options.on_error == COMMAND_ZERO ? 0 : NAN,
		                      .failed = 1};
	text_free(&question);
	return status == ERR_FAILED ? OK : status;
}
