#include "base/error.h"
#include "base/json.h"
#include "data/dataset_parts.h"

#include <stdlib.h>
#include <string.h>

static const char *const prompt_columns[] = {"prompt",  "messages",    "conversations", "question",
                                             "problem", "instruction", "input",         NULL};

/* ---- messages ---- */

/* Conversations come with role and content, or with from and value. */
static const char *const prompt_speakers[][2] = {{"human", "user"}, {"gpt", "assistant"}};

static const json_t *prompt_either(const json_t *message, const char *name, const char *other)
{
	const json_t *v = json_object_get(message, name);

	return v ? v : json_object_get(message, other);
}

/* Whether a message says more than role and content. */
static int prompt_says_more(const json_t *message)
{
	return json_object_get(message, "role") &&
	       json_object_size(message) > 1 + (json_object_get(message, "content") != NULL);
}

static int prompt_keep_json(const struct reader *r, const json_t *message, const char **out)
{
	char *s = json_dumps(message, JSON_COMPACT);
	int   status = s ? arena_copy(r->arena, s, strlen(s), out)
	                 : error_memory("a message of %s", r->place);

	free(s);
	return status;
}

/* ShareGPT's from and value are read as role and content. A message that says more than that
 * keeps its JSON for the template. */
static int prompt_read_message(const struct reader *r, const json_t *v, size_t i, struct message *m)
{
	const json_t *role = prompt_either(v, "role", "from"),
	             *content = prompt_either(v, "content", "value");
	int more = prompt_says_more(v), silent = more && (!content || json_is_null(content));

	if (!json_is_string(role) || !(json_is_string(content) || silent))
		return error_set(
		        ERR_INPUT,
		        "%s: message %zu of the prompt needs \"role\" and \"content\", both texts",
		        r->place, i);
	TRY(dataset_copy_string(r, "role", role, &m->role));
	for (size_t k = 0; k < sizeof prompt_speakers / sizeof *prompt_speakers; k++)
		if (!json_object_get(v, "role") && !strcmp(m->role, prompt_speakers[k][0]))
			m->role = prompt_speakers[k][1];
	m->content = "";
	if (!silent)
		TRY(dataset_copy_string(r, "content", content, &m->content));
	return more ? prompt_keep_json(r, v, &m->json) : OK;
}

static int prompt_ends_with_assistant(const struct problem *p)
{
	return p->n_messages > 0 && !strcmp(p->messages[p->n_messages - 1].role, "assistant");
}

/* The last word of a conversation is what a model should say, not what it is asked. */
static int prompt_split_off_reply(const struct reader *r, struct problem *p)
{
	const char **reply;

	TRY(arena_take(r->arena, 1, "the completion of a row", &reply));
	*reply = p->messages[--p->n_messages].content;
	p->demonstrations = reply;
	p->n_demonstrations = 1;
	return OK;
}

/* Of a column that is named for them, "messages" or "a.messages". */
static int prompt_is_conversation(const char *name)
{
	const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;

	return !strcmp(last, "messages") || !strcmp(last, "conversations") ||
	       !strcmp(last, "conversation");
}

/* A conversation that ends with the assistant is a prompt and its demonstration. */
static int prompt_read_messages(const struct reader *r, const char *name, const json_t *list,
                                struct problem *p)
{
	size_t          n = json_array_size(list);
	struct message *m;
	int             asked = 0;

	TRY(arena_take(r->arena, n, "the messages of a prompt", &m));
	for (size_t i = 0; i < n; i++) {
		m[i] = (struct message){0};
		TRY(prompt_read_message(r, json_array_get(list, i), i, &m[i]));
		asked |= strcmp(m[i].role, "assistant") != 0;
	}
	p->messages = m;
	p->n_messages = (int)n;
	if (!asked)
		return error_set(ERR_INPUT,
		                 "%s: \"%s\" asks nothing: it needs a message of the user",
		                 r->place, name);
	return prompt_ends_with_assistant(p) && prompt_is_conversation(name)
	               ? prompt_split_off_reply(r, p)
	               : OK;
}

/* A list of messages in a text, as tables and some exporters keep it; NULL when the text is not
 * one. Owned. */
static json_t *prompt_parse_messages(const char *text, size_t n)
{
	json_t *list = NULL, *item;
	size_t  i, blank = strspn(text, " \t\r\n");

	if (text[blank] != '[' || json_parse("prompt", text, n, &list) != OK)
		return NULL;
	json_array_foreach(list, i,
	                   item) if (!json_is_string(prompt_either(item, "role", "from")) ||
	                             !(json_object_get(item, "content") ||
	                               json_object_get(item, "value") ||
	                               json_object_get(item, "tool_calls")))
	{
		json_decref(list);
		return NULL;
	}
	if (json_array_size(list) > 0)
		return list;
	json_decref(list);
	return NULL;
}

/* ---- texts ---- */

/* Instruction and input are one question on two columns. */
static int prompt_add_input(const struct reader *r, struct problem *p)
{
	const json_t *input = dataset_column(r->row, "input");
	const char   *text, *name = input ? "input" : "context";

	if (!input)
		input = dataset_column(r->row, "context");
	if (!json_is_string(input) || json_string_length(input) == 0)
		return OK;
	TRY(dataset_copy_string(r, name, input, &text));
	return arena_print(r->arena, &p->prompt, "%s\n%s", p->prompt, text);
}

static int prompt_read_text(const struct reader *r, const char *name, const json_t *v,
                            struct problem *p)
{
	json_t *list;
	int     status;

	if (json_string_length(v) == 0)
		return error_set(ERR_INPUT, "%s: the prompt \"%s\" is empty", r->place, name);
	list = prompt_parse_messages(json_string_value(v), json_string_length(v));
	if (list) {
		status = prompt_read_messages(r, name, list, p);
		json_decref(list);
		return status;
	}
	TRY(dataset_copy_string(r, name, v, &p->prompt));
	return !r->options->prompt_column && !strcmp(name, "instruction") ? prompt_add_input(r, p)
	                                                                  : OK;
}

/* ---- the worked completion ---- */

/* The text of a completion: a text, or a list of one message of the assistant. NULL: something
 * else, which stays a column. */
static const json_t *prompt_completion(const json_t *v)
{
	const json_t *message = json_array_size(v) == 1 ? json_array_get(v, 0) : NULL,
	             *role = json_object_get(message, "role");
	const json_t *text =
	        role && !strcmp(json_is_string(role) ? json_string_value(role) : "", "assistant")
	                ? json_object_get(message, "content")
	                : v;

	return json_is_string(text) ? text : NULL;
}

/* completion beside a prompt; output or response beside an instruction. */
static int prompt_read_completion(const struct reader *r, const char *prompt_name,
                                  struct problem *p)
{
	static const char *const names[] = {"completion", "output", "response"};
	int                      n = prompt_name && !strcmp(prompt_name, "instruction") ? 3 : 1;

	for (int i = 0; i < n && p->n_demonstrations == 0; i++) {
		const json_t *text = prompt_completion(dataset_column(r->row, names[i]));
		const char  **reply;
		if (!text)
			continue;
		TRY(arena_take(r->arena, 1, "the completion of a row", &reply));
		TRY(dataset_copy_string(r, names[i], text, reply));
		p->demonstrations = reply;
		p->n_demonstrations = 1;
	}
	return OK;
}

/* ---- what the chat template is to see beside the messages ---- */

/* A value of a column, or the JSON that stands in its text; owned, NULL when there is none. */
static json_t *prompt_value(const struct reader *r, const char *name)
{
	const json_t *v = dataset_column(r->row, name);
	json_t       *parsed = NULL;

	if (!json_is_string(v))
		return v ? json_incref((json_t *)(uintptr_t)v) : NULL;
	return json_parse(name, json_string_value(v), json_string_length(v), &parsed) == OK ? parsed
	                                                                                    : NULL;
}

int dataset_read_template_values(const struct reader *r, struct problem *p)
{
	json_t *kwargs = prompt_value(r, "chat_template_kwargs"), *tools = prompt_value(r, "tools"),
	       *all = NULL;
	int status = OK, has_tools = json_is_object(json_array_get(tools, 0));

	if (!json_is_object(kwargs) && dataset_column(r->row, "chat_template_kwargs"))
		status = error_set(ERR_INPUT,
		                   "%s: \"chat_template_kwargs\" must be an object of the chat "
		                   "template's variables",
		                   r->place);
	else if (json_object_size(kwargs) > 0 || has_tools) {
		all = kwargs ? json_copy(kwargs) : json_object();
		if (!all || (has_tools && json_object_set(all, "tools", tools) != 0))
			status = error_memory("the template's values of %s", r->place);
		if (status == OK)
			status = prompt_keep_json(r, all, &p->template_values);
	}
	json_decref(all);
	json_decref(kwargs);
	json_decref(tools);
	return status;
}

/* ---- all of it ---- */

int dataset_read_prompt(const struct reader *r, struct problem *p)
{
	const char   *name;
	const json_t *v =
	        dataset_chosen_column(r, r->options->prompt_column, prompt_columns, &name);

	if (!v)
		return r->options->prompt_optional
		               ? OK
		               : dataset_missing_column(r, "prompt", r->options->prompt_column,
		                                        prompt_columns);
	if (!json_is_array(v) && !json_is_string(v))
		return error_set(ERR_INPUT,
		                 "%s: the prompt \"%s\" must be a text or a list of messages",
		                 r->place, name);
	TRY(json_is_array(v) ? prompt_read_messages(r, name, v, p)
	                     : prompt_read_text(r, name, v, p));
	return prompt_read_completion(r, name, p);
}
