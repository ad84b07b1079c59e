#include "base/error.h"
#include "base/json.h"
#include "data/dataset.h"
#include "verify/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int verify_command_open(struct reward_spec *spec)
{
	if (!spec->options.command.line || !*spec->options.command.line)
		return error_set(ERR_INPUT, "the verifier command needs the program to run: set "
		                            "task.verifier.command (or --command)");
	return program_open(&spec->options.command, &spec->command);
}

/* ---- the question ---- */

/* {"completion": ..., "finished": true, "tokens": 12, "id": ..., "prompt": ..., "answer": ...,
 * other columns} */
static int add_question(const struct problem *p, const struct completion *c, struct text *out)
{
	static const char *const own[] = {"completion", "finished", "tokens", NULL};
	struct span              text = verify_text(c);

	text_print(out, "{\"completion\": ");
	json_add_string(out, text.s, text.n);
	text_print(out, ", \"finished\": %s, \"tokens\": %d", c->finished ? "true" : "false",
	           c->n_tokens);
	TRY(dataset_add_columns(out, p, own));
	text_print(out, "}");
	return text_status(out);
}

/* ---- the reply ---- */

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
		status = program_reward(object, JSON_REQUIRED, &out->reward);
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
