#include "cli/talk.h"

#include "base/error.h"

#include <string.h>

int talk_open(const char *path, const struct talk_options *o, struct talk *t)
{
	int n_positions;

	*t = (struct talk){.options = *o};
	TRY(opened_as(path, o->base, o->compute, &t->opened));
	TRY(opened_generation(&t->opened, &t->like));
	t->sampling = generation_sampling(&t->like);
	TRY(chat_open(t->opened.tokenizer, &t->chat));
	n_positions = t->opened.model->weights.shape.n_positions;
	if (t->options.context > n_positions)
		t->options.context = n_positions;
	t->messages = json_array();
	if (!t->messages)
		return error_memory("the messages");
	return stream_new(t->opened.model, t->options.context, &t->stream);
}

void talk_close(struct talk *t)
{
	json_decref(t->messages);
	stream_free(t->stream);
	chat_free(t->chat);
	ids_free(&t->prompt);
	ids_free(&t->drawn);
	text_free(&t->reply);
	opened_free(&t->opened);
	*t = (struct talk){0};
}

/* ---- messages ---- */

static int talk_has_system(const struct talk *t)
{
	const char *role =
	        json_string_value(json_object_get(json_array_get(t->messages, 0), "role"));

	return role && !strcmp(role, "system");
}

/* Puts a message at a place of the list; ERR_INPUT when the text is not UTF-8. */
static int talk_insert(struct talk *t, size_t at, const char *role, const char *text, size_t n)
{
	json_t *content = json_stringn(text, n), *message = json_object();

	if (!content) {
		json_decref(message);
		return error_set(ERR_INPUT, "the text is not UTF-8");
	}
	if (!message || json_object_set_new(message, "role", json_string(role)) != 0) {
		json_decref(content);
		json_decref(message);
		return error_memory("a message");
	}
	if (json_object_set_new(message, "content", content) != 0 ||
	    json_array_insert_new(t->messages, at, message) != 0)
		return error_memory("a message");
	return OK;
}

int talk_system(struct talk *t, const char *text)
{
	int had = talk_has_system(t);

	if (*text)
		TRY(talk_insert(t, 0, "system", text, strlen(text)));
	if (had)
		json_array_remove(t->messages, *text ? 1 : 0);
	return OK;
}

void talk_take_back(struct talk *t)
{
	json_array_remove(t->messages, json_array_size(t->messages) - 1);
}

void talk_reset(struct talk *t)
{
	while (json_array_size(t->messages) > (size_t)talk_has_system(t))
		talk_take_back(t);
}

int talk_prompt(const struct tokenizer *t, const struct chat *c, json_t *messages, struct ids *out)
{
	struct text text = {0};
	json_t *variables = json_pack("{sO, sb}", "messages", messages, "add_generation_prompt", 1);
	int     status = variables ? chat_render(c, variables, -1, &text)
	                           : error_memory("the variables of a chat template");

	json_decref(variables);
	if (status == OK)
		status = tokenizer_encode(t, text.data ? text.data : "", text.n, 0, out);
	text_free(&text);
	return status;
}

/* ---- a reply ---- */

/* The stream has room for one token at least behind the conversation. */
static int talk_render(struct talk *t)
{
	t->prompt.n = 0;
	TRY(talk_prompt(t->opened.tokenizer, t->chat, t->messages, &t->prompt));
	if (t->prompt.n == 0)
		return error_set(ERR_INPUT, "the chat template makes no token of the conversation");
	if (t->prompt.n >= (size_t)t->options.context)
		return error_set(
		        ERR_INPUT,
		        "the conversation has %zu tokens, and with the reply there is room "
		        "for %d; /reset forgets it, --context gives more",
		        t->prompt.n, t->options.context);
	return OK;
}

int talk_ask(struct talk *t, const char *text)
{
	int status;

	TRY(talk_insert(t, json_array_size(t->messages), "user", text, strlen(text)));
	status = talk_render(t);
	if (status != OK) {
		talk_take_back(t);
		return status;
	}
	stream_read(t->stream, t->prompt.id, (int)t->prompt.n);
	t->drawn.n = 0;
	t->reply.n = t->n_shown = 0;
	t->over = t->cut = 0;
	return OK;
}

static int talk_is_end(const struct model_shape *s, int token)
{
	for (int i = 0; i < s->n_eos; i++)
		if (s->eos[i] == token)
			return 1;
	return 0;
}

/* Bytes of s without the U+FFFD at its end: they may be the beginning of a character. */
static size_t talk_whole(const char *s, size_t n)
{
	while (n >= 3 && !memcmp(s + n - 3, "\xEF\xBF\xBD", 3))
		n -= 3;
	return n;
}

/* Decodes the reply anew, because a token may complete the character that the one before began, and
 * moves n_shown. What has been shown stays: while bytes are missing the decoder may turn their
 * neighbours into U+FFFD for a moment. */
static int talk_decode(struct talk *t)
{
	struct text text = {0};
	int    status = tokenizer_decode(t->opened.tokenizer, t->drawn.id, t->drawn.n, 1, &text);
	size_t n = !text.n ? 0 : t->over ? text.n : talk_whole(text.data, text.n);

	if (status == OK && n > t->n_shown &&
	    (!t->n_shown || !memcmp(text.data, t->reply.data, t->n_shown))) {
		t->reply.n = 0;
		text_add(&t->reply, text.data, n);
		t->n_shown = n;
		status = text_status(&t->reply);
	}
	text_free(&text);
	return status;
}

int talk_step(struct talk *t)
{
	const struct model_shape *s = &t->opened.model->weights.shape;
	struct stream_options     o = {
	            .sampling = t->sampling,
	            .penalty = &t->like.penalty,
	            .ends = s->eos,
	            .n_ends = s->n_eos,
	            .key = {(uint64_t)t->options.seed, RNG_SAMPLE, (uint32_t)t->turn, 0, 0}};
	int token;

	TRY(stream_next(t->stream, &o, &token));
	t->over = talk_is_end(s, token);
	if (!t->over) {
		TRY(ids_add(&t->drawn, &token, 1));
		t->over = t->cut = t->drawn.n == (size_t)t->options.max_tokens ||
		                   stream_length(t->stream) == t->options.context;
	}
	TRY(talk_decode(t));
	if (!t->over)
		return OK;
	t->turn++;
	return talk_insert(t, json_array_size(t->messages), "assistant",
	                   t->reply.data ? t->reply.data : "", t->n_shown);
}
