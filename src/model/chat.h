/* chat.h - the chat template of a model: from messages to the text that the model was trained to go on from.
 *
 * The template is chat_template.jinja beside the tokenizer, else "chat_template" in tokenizer_config.json (of a list of them the one named
 * "default"). It sees its variables and the texts of the tokenizer's special tokens: bos_token, eos_token, ...
 *
 * A rendered text holds every special token that belongs there. It is tokenized without those that the tokenizer's post-processor adds to plain
 * text: otherwise it would begin with two <s>. */
#ifndef MODEL_CHAT_H
#define MODEL_CHAT_H

#include "model/tokenizer.h"

struct chat;

int  chat_open(const struct tokenizer *t, struct chat **out); /* ERR_INPUT when there is no template, or it is not supported */
void chat_free(struct chat *c);

/* ADDS the text to *out. `variables` is an object with "messages", and perhaps "add_generation_prompt", "tools", ...; now: see template_render. */
int chat_render(const struct chat *c, const json_t *variables, int64_t now, struct text *out);

#endif
