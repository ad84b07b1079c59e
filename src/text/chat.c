#include "text/chat.h"

#include "base/error.h"
#include "text/template_parts.h"

#include <string.h>
#include <time.h>

struct chat {
	struct template *template;
	json_t *tokens; /* owned: {"bos_token": "<s>", ...} */
};

static const char *const token_names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                          "pad_token", "cls_token", "mask_token"};
enum { N_TOKEN_NAMES = sizeof token_names / sizeof *token_names };

/* A token stands as a string or as an object with its text in "content". */
static int read_tokens(const struct tokenizer *t, struct chat *c)
{
	int bad;

	c->tokens = json_object();
	bad = !c->tokens;
	for (int i = 0; !bad && i < N_TOKEN_NAMES; i++) {
		json_t *v = json_object_get(tokenizer_config(t), token_names[i]);
		v = json_is_object(v) ? json_object_get(v, "content") : v;
		bad = json_is_string(v) && json_object_set(c->tokens, token_names[i], v) != 0;
	}
	return bad ? error_memory("the special tokens of a chat template") : OK;
}

/* Parses the template once; a failure names its line. */
int chat_open(const struct tokenizer *t, struct chat **out)
{
	const char  *source = tokenizer_chat_template(t);
	struct chat *c;
	int          status;

	*out = NULL;
	if (!source)
		return error_set(ERR_INPUT, "the model has no chat template (chat_template.jinja, "
		                            "or \"chat_template\" in tokenizer_config.json), which "
		                            "messages need");
	TRY(mem_take(1, "a chat template", &c));
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

int chat_day(const char *text, int64_t *out)
{
	struct tm   date = {0};
	const char *end = *text ? strptime(text, "%Y-%m-%d", &date) : text;

	*out = *text && end ? timegm(&date) : -1;
	if (!end || *end || (*text && *out < 0))
		return error_set(ERR_INPUT, "\"%.40s\" is not a date such as 2025-01-15", text);
	return OK;
}

/* Some templates ask for the date as date_string. A value that the caller gave stays. */
static int add_day(json_t *variables, int64_t now)
{
	time_t    seconds = (time_t)now;
	struct tm date;
	char      text[40];

	if (now < 0 || json_object_get(variables, "date_string"))
		return OK;
	if (!gmtime_r(&seconds, &date) || strftime(text, sizeof text, "%d %b %Y", &date) == 0)
		return error_set(ERR_INPUT, "this date cannot be written");
	return json_object_set_new(variables, "date_string", json_string(text)) == 0
	               ? OK
	               : error_memory("the day of a chat template");
}

/* ---- continuing the last message ---- */

/* Marks the end of the last message while it is rendered, so the text can be cut there. Whether its
 * trailing blank survives tells whether the template trims messages. */
static const char continue_mark[] = "HONE-GOES-ON-FROM-HERE ";

/* Appends the mark to the last message. The caller's list and message stay as they are: both are
 * copied first. */
static int add_mark(json_t *variables)
{
	json_t *messages = json_copy(json_object_get(variables, "messages")), *last = NULL,
	       *content;
	size_t      n = json_array_size(messages);
	const char *text;
	int         bad = 0;

	if (n > 0)
		last = json_copy(json_array_get(messages, n - 1));
	content = json_object_get(last, "content");
	text = json_string_value(content);
	if (text) {
		struct text marked = {0};
		text_add(&marked, text, json_string_length(content));
		text_print(&marked, "%s", continue_mark);
		bad = text_status(&marked) != OK ||
		      json_object_set_new(last, "content", json_stringn(marked.data, marked.n)) !=
		              0 ||
		      json_array_set(messages, n - 1, last) != 0 ||
		      json_object_set(variables, "messages", messages) != 0 ||
		      json_object_set_new(variables, "add_generation_prompt", json_false()) != 0;
		text_free(&marked);
	}
	json_decref(last);
	json_decref(messages);
	if (!text)
		return error_set(
		        ERR_INPUT,
		        "continue_final_message: the last message has no text to go on from");
	return bad ? error_memory("the last message of a chat") : OK;
}

/* Finds the last mark (without its blank) in t->data[from ..]; NULL when there is none. */
static char *find_mark(const struct text *t, size_t from)
{
	size_t n = strlen(continue_mark) - 1;
	char  *found = NULL;

	for (char *at = t->data ? t->data + from : NULL;
	     at && (at = memmem(at, (size_t)(t->data + t->n - at), continue_mark, n)); at++)
		found = at;
	return found;
}

/* The length of s without trailing white space. */
static size_t chat_trimmed(const char *s, size_t n)
{
	while (n > 0) {
		size_t at = n - 1;
		while (at > 0 && ((unsigned char)s[at] & 0xC0) == 0x80)
			at--;
		if (template_space(s + at, n - at) != n - at)
			break;
		n = at;
	}
	return n;
}

/* Removes the earlier marks: a template may print the last message more than once. */
static void remove_marks(struct text *t, size_t from)
{
	size_t n = strlen(continue_mark) - 1;

	for (char *at; (at = find_mark(t, from));) {
		char *end = at + n + (at + n < t->data + t->n && at[n] == ' ');
		memmove(at, end, (size_t)(t->data + t->n - end));
		t->n -= (size_t)(end - at);
	}
	t->data[t->n] = 0;
}

static int cut_at_mark(struct text *t, size_t from)
{
	char *mark = find_mark(t, from);

	if (!mark)
		return error_set(ERR_INPUT, "continue_final_message: the chat template leaves the "
		                            "end of the last message out");
	t->n = (size_t)(mark - t->data);
	/* the template trims messages, so the blanks before the mark go too */
	if (mark[strlen(continue_mark) - 1] != ' ')
		t->n = from + chat_trimmed(t->data + from, t->n - from);
	remove_marks(t, from);
	return OK;
}

/* ---- rendering ---- */

static int render_all(const struct chat *c, json_t *variables, int64_t now, struct text *out)
{
	int    goes_on = json_is_true(json_object_get(variables, "continue_final_message"));
	size_t from = out->n;

	TRY(add_day(variables, now));
	if (goes_on)
		TRY(add_mark(variables));
	TRY(template_render(c->template, variables, now, out));
	return goes_on ? cut_at_mark(out, from) : OK;
}

int chat_render(const struct chat *c, const json_t *variables, int64_t now, struct text *out)
{
	json_t *all = json_copy(c->tokens);
	int     status = OK;

	if (!all || json_object_update(all, (json_t *)(uintptr_t)variables) != 0)
		status = error_memory("the variables of a chat template");
	if (status == OK)
		status = render_all(c, all, now, out);
	json_decref(all);
	return status;
}
