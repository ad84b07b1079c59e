/* chat.h - the chat template of a model: from messages to the text that the model was trained to go
 * on from.
 *
 * The template is chat_template.jinja beside the tokenizer, else "chat_template" in
 * tokenizer_config.json (of a list of them the one named "default"). It sees its variables and the
 * texts of the tokenizer's special tokens: bos_token, eos_token, ...
 *
 * With "continue_final_message": true the last message is the beginning of what the model is to
 * say: the text ends where that message ends, and nothing closes it. White space at its end is
 * there where the template keeps it, as in transformers.
 *
 * The day is an argument, never the clock: templates ask for it as strftime_now(format) or as
 * date_string ("26 Jul 2024").
 *
 * A rendered text holds every special token that belongs there. It is tokenized without those that
 * the tokenizer's post-processor adds to plain text: otherwise it would begin with two <s>. */
#ifndef TEXT_CHAT_H
#define TEXT_CHAT_H

#include "text/tokenizer.h"

struct chat;

/* ERR_INPUT when there is no template, or it is not supported */
int  chat_open(const struct tokenizer *t, struct chat **out);
void chat_free(struct chat *c);

/* "2024-07-26" -> seconds since 1970; "" -> -1, no day. ERR_INPUT for anything else. */
int chat_day(const char *text, int64_t *out);

/* ADDS the text to *out. `variables` is an object with "messages", and perhaps
 * "add_generation_prompt", "tools", ...; now: seconds since 1970, or negative: there is no day, and
 * templates that ask for it take the one that is written in them. */
int chat_render(const struct chat *c, const json_t *variables, int64_t now, struct text *out);

#endif
