/* hone tokenize MODEL [--no-special], hone detokenize MODEL */
#include "cli/command.h"
#include "cli/opened.h"
#include "cli/rows.h"

#include <stdio.h>
#include <string.h>

struct tokenize_context {
	struct opened opened;
	struct arena  arena;
	int           no_special;
};

static int tokenize_row(void *context, const char *place, const json_t *row, struct text *out)
{
	struct tokenize_context *c = context;
	const json_t            *text = json_object_get(row, "text");
	struct ids               ids = {0};
	int                      status;

	if (!json_is_string(text))
		return error_set(ERR_INPUT, "%s: \"text\" must be a string", place);
	status = tokenizer_encode(c->opened.tokenizer, json_string_value(text),
	                          json_string_length(text), !c->no_special, &ids);
	text_print(out, "\"ids\": [");
	for (size_t i = 0; i < ids.n; i++)
		text_print(out, "%s%d", i ? ", " : "", ids.id[i]);
	text_add(out, "]", 1);
	ids_free(&ids);
	return status;
}

static int detokenize_row(void *context, const char *place, const json_t *row, struct text *out)
{
	struct tokenize_context *c = context;
	struct text              text = {0};
	int                     *ids, n, status;

	arena_reset(&c->arena);
	TRY(rows_get_ids(place, row, tokenizer_size(c->opened.tokenizer), &c->arena, &ids, &n));
	status = tokenizer_decode(c->opened.tokenizer, ids, (size_t)n, c->no_special, &text);
	text_print(out, "\"text\": ");
	json_add_string(out, text.data ? text.data : "", text.n);
	text_free(&text);
	return status;
}

static int tokenize_run(const struct command *self, int argc, char **argv, rows_reply *reply)
{
	struct tokenize_context  c = {0};
	const struct option_word words[] = {
	        {"--no-special", NULL, NULL, &c.no_special,
	         "tokenize: puts no special tokens around the text; detokenize: leaves them out"}};
	int n_positional, status;

	TRY(options_read(self, argc, argv, words, 1, &n_positional));
	if (n_positional != 1)
		return options_usage(self);
	status = opened_tokenizer(argv[0], &c.opened);
	if (status == OK)
		status = rows_run(reply, &c);
	opened_free(&c.opened);
	arena_free(&c.arena);
	return status;
}

int command_tokenize(const struct command *self, int argc, char **argv)
{
	return tokenize_run(self, argc, argv, tokenize_row);
}

int command_detokenize(const struct command *self, int argc, char **argv)
{
	return tokenize_run(self, argc, argv, detokenize_row);
}
