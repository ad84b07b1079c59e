/* hone render MODEL [--date YYYY-MM-DD] < {"messages", ...}: the text that the model's chat
 * template makes of them.
 *
 * The other members of a row are variables of the template: add_generation_prompt, tools,
 * enable_thinking, ...; those of an object "chat_template_kwargs" are, too. With
 * "continue_final_message": true the text ends where the last message ends. Without --date a
 * template cannot ask for the day, and takes the one that is written in it. */
#include "cli/command.h"
#include "cli/opened.h"
#include "cli/rows.h"
#include "text/chat.h"

struct render {
	struct opened opened;
	struct chat  *chat;
	int64_t       now;
};

static int render_row(void *context, const char *place, const json_t *row, struct text *out)
{
	struct render *c = context;
	struct text    text = {0};
	json_t        *variables;
	int            status;

	if (!json_is_array(json_object_get(row, "messages")))
		return error_set(ERR_INPUT, "%s: \"messages\" must be a list", place);
	variables = json_object_get(row, "chat_template_kwargs")
	                    ? json_copy(json_object_get(row, "chat_template_kwargs"))
	                    : json_object();
	if (variables && !json_is_object(variables))
		status = error_set(ERR_INPUT, "%s: \"chat_template_kwargs\" must be an object",
		                   place);
	else if (json_object_update(variables, (json_t *)(uintptr_t)row) != 0)
		status = error_memory("the variables of %s", place);
	else
		status = chat_render(c->chat, variables, c->now, &text);
	json_decref(variables);
	text_print(out, "\"text\": ");
	json_add_string(out, text.data ? text.data : "", text.n);
	text_free(&text);
	return status;
}

int command_render(const struct command *self, int argc, char **argv)
{
	struct render            c = {.now = -1};
	const char              *date = NULL;
	const struct option_word words[] = {
	        {"--date YYYY-MM-DD", &date, NULL, NULL,
	         "the day that a template may ask for; not given: the one that is written in it"}};
	int n, status;

	TRY(options_read(self, argc, argv, words, 1, &n));
	if (n != 1)
		return options_usage(self);
	if (date && chat_day(date, &c.now) != OK)
		return error_context("--date");
	status = opened_tokenizer(argv[0], &c.opened);
	if (status == OK)
		status = chat_open(c.opened.tokenizer, &c.chat);
	if (status == OK)
		status = rows_run(render_row, &c);
	chat_free(c.chat);
	opened_free(&c.opened);
	return status;
}
