/* talk.h - a conversation with one model: messages, the model's chat template, replies that come
 * token by token.
 *
 *     talk_open(path, &options, &t)
 *     talk_ask(&t, "hello")            the message, rendered and tokenized
 *     while (!t.over)
 *             talk_step(&t)            one token; t.reply[0 .. t.n_shown-1] can be shown
 *
 * The reply is text as the tokenizer decodes it. A token may end inside a character, so the last
 * bytes wait until they are whole: what can be shown is valid UTF-8 and does not change any more.
 *
 * The first reply is the one that `hone generate --chat` gives with the same seed. */
#ifndef CLI_TALK_H
#define CLI_TALK_H

#include "cli/opened.h"
#include "model/stream.h"
#include "text/chat.h"

struct talk_options {
	const struct compute_options *compute;
	const char                   *base; /* of an adapter; NULL: as it says itself */
	/* tokens of a reply, and of the whole conversation; the model's positions bound both */
	int max_tokens, context, seed;
};

struct talk {
	struct opened       opened;
	struct chat        *chat;
	struct stream      *stream;
	struct talk_options options;
	struct generation   like;
	struct sampling     sampling;
	json_t             *messages; /* owned: [{"role", "content"}, ...] */
	struct ids          prompt, drawn;
	int                 turn; /* replies so far, for their random keys */

	/* the reply at hand */
	struct text reply;
	size_t      n_shown;
	int         over, cut; /* cut: at max_tokens, or because the conversation is full */
};

int  talk_open(const char *path, const struct talk_options *o, struct talk *out);
void talk_close(struct talk *t);

/* The first message becomes this system text; "": there is none. */
int talk_system(struct talk *t, const char *text);
/* Forgets everything but the system text. */
void talk_reset(struct talk *t);

/* ERR_INPUT leaves the conversation as it was: the text is not UTF-8, the template refuses it, or
 * there is no room for a reply. */
int talk_ask(struct talk *t, const char *text);
/* Forgets the last message, such as one that was asked and not answered. */
void talk_take_back(struct talk *t);
/* When the reply is over it is a message of the conversation. */
int talk_step(struct talk *t);

/* ADDS the ids of a conversation that the model is to answer: rendered with
 * "add_generation_prompt", tokenized as chat.h says. */
int talk_prompt(const struct tokenizer *t, const struct chat *c, json_t *messages, struct ids *out);

#endif
