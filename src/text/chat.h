/* chat.h - a model's chat template turns messages into the text that the model was trained to
 * continue.
 *
 * The template is chat_template.jinja beside the tokenizer, else "chat_template" in
 * tokenizer_config.json (when that is a list, the entry named "default"). It sees the variables it
 * is given and the texts of the tokenizer's special tokens: bos_token, eos_token, ...
 *
 * With "continue_final_message": true the last message is the start of the model's reply. The text
 * ends where that message ends, and nothing closes it. Trailing white space stays if the template
 * keeps it, as in transformers.
 *
 * The date is an argument, never the clock: templates ask for it as strftime_now(format) or as
 * date_string ("26 Jul 2024").
 *
 * A rendered text already holds every special token. Tokenize it with add_special = 0: the
 * post-processor would add a second <s>. */
#ifndef TEXT_CHAT_H
#define TEXT_CHAT_H

#include "text/tokenizer.h"

struct chat;

/* ERR_INPUT when there is no template, or it is not supported */
int  chat_open(const struct tokenizer *t, struct chat **out);
void chat_free(struct chat *c);

/* "2024-07-26" -> seconds since 1970; "" -> -1, no date. ERR_INPUT for anything else. */
int chat_day(const char *text, int64_t *out);

/* ADDS the text to *out. `variables` is an object with "messages" and, if wanted,
 * "add_generation_prompt", "tools", ... `now` is in seconds since 1970. When it is negative there
 * is no date, and templates that ask for one fall back on the one written in them. */
int chat_render(const struct chat *c, const json_t *variables, int64_t now, struct text *out);

#endif
