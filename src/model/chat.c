#include "model/chat.h"

#include "base/error.h"
#include "model/template.h"

#include <string.h>

struct chat {
	struct template *template;
	json_t *tokens; /* owned: {"bos_token": "<s>", ...} */
};

static const char *const token_names[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
enum { N_TOKEN_NAMES = sizeof token_names / sizeof *token_names };

/* A token stands as a string or as an object with its text in "content". */
static int read_tokens(const struct tokenizer *t, struct chat *c)
{
	c->tokens = json_object();
	for (int i = 0; c->tokens && i < N_TOKEN_NAMES; i++) {
		json_t *v = json_object_get(tokenizer_config(t), token_names[i]);
		v = json_is_object(v) ? json_object_get(v, "content") : v;
		if (json_is_string(v) && json_object_set(c->tokens, token_names[i], v) != 0)
			return error_set(ERR_INPUT, "out of memory: the special tokens of a chat template");
	}
	return c->tokens ? OK : error_set(ERR_INPUT, "out of memory: the special tokens of a chat template");
}

int chat_open(const struct tokenizer *t, struct chat **out)
{
	const char  *source = tokenizer_chat_template(t);
	struct chat *c;
	int          status;

	*out = NULL;
	if (!source)
		return error_set(
		        ERR_INPUT,
		        "the model has no chat template (chat_template.jinja, or \"chat_template\" in tokenizer_config.json), which "
		        "messages need");
	c = mem_alloc(1, sizeof *c, "a chat template");
	if (!c)
		return ERR_INPUT;
	status = read_tokens(t, c);
	if (status == OK)
		status = template_parse(source, strlen(source), &c->template);
	if (status == OK)
		*out = c;
	else
		chat_free(c);
	return status == OK ? OK : error_context("chat template");
}

void chat_free(struct chat *c)
{
	if (!c)
		return;
	template_free(c->template);
	json_decref(c->tokens);
	mem_free(c);
}

int chat_render(const struct chat *c, const json_t *variables, int64_t now, struct text *out)
{
	json_t *all = json_copy(c->tokens);
	int     status = ERR_INPUT;

	if (!all || json_object_update(all, (json_t *)(uintptr_t)variables) != 0)
		error_set(ERR_INPUT, "out of memory: the variables of a chat template");
	else
		status = template_render(c->template, all, now, out);
	json_decref(all);
	return status;
}
