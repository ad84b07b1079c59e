#include "rl/prompts.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/chat.h"

#include <string.h>

struct renderer {
	const struct prompts_options *options;
	struct chat                  *chat;   /* owned; opened when the first messages come */
	json_t                       *kwargs; /* owned */
	int64_t                       now;
	struct text                   text;
};

static int renderer_open(struct renderer *r, const struct prompts_options *o)
{
	*r = (struct renderer){.options = o, .now = -1};
	if (o->kwargs)
		TRY(json_parse("data.chat_template_kwargs", o->kwargs, strlen(o->kwargs),
		               &r->kwargs));
	return chat_day(o->day ? o->day : "", &r->now) == OK ? OK : error_context("data.chat_date");
}

static void renderer_close(struct renderer *r)
{
	text_free(&r->text);
	chat_free(r->chat);
	json_decref(r->kwargs);
}

/* ---- the variables of a template ---- */

static int prompts_add_text(const char *role, const char *content, json_t *list)
{
	json_t *message = json_pack("{s:s, s:s}", "role", role, "content", content);

	return json_array_append_new(list, message) == 0 ? OK
	                                                 : error_memory("a message of a prompt");
}

/* A message that says more than role and content comes with all that it says. */
static int prompts_add_message(const struct message *m, json_t *list)
{
	json_t *message;
	int     bad = 0;

	if (!m->json)
		return prompts_add_text(m->role, m->content, list);
	TRY(json_parse("a message", m->json, strlen(m->json), &message));
	if (*m->content || json_is_string(json_object_get(message, "content")))
		/* a template of the data set may have shaped it */
		bad = json_object_set_new(message, "content", json_string(m->content));
	bad |= json_array_append_new(list, message);
	return bad ? error_memory("a message of a prompt") : OK;
}

/* The messages of a problem, or its text as the user's. */
static int prompts_add_messages(const struct problem *p, const char *system, json_t *list)
{
	if (system && (p->n_messages == 0 || strcmp(p->messages[0].role, "system")))
		TRY(prompts_add_text("system", system, list));
	for (int i = 0; i < p->n_messages; i++)
		TRY(prompts_add_message(&p->messages[i], list));
	return p->prompt ? prompts_add_text("user", p->prompt, list) : OK;
}

/* What the row says goes before what the run says. `all` is an object, or NULL: memory is short. */
static int prompts_add_variables(const struct problem *p, const struct renderer *r, json_t *all)
{
	json_t     *messages = json_array(), *own = NULL;
	const char *values = p->template_values;
	int         goes_on = p->n_messages > 0 && problem_asking(p) < p->n_messages - 1;
	int         status = prompts_add_messages(p, r->options->system, messages), bad = 0;

	if (status == OK && values)
		status = json_parse("a row's variables", values, strlen(values), &own);
	if (own)
		bad = json_object_update(all, own);
	json_decref(own);
	bad |= json_object_set_new(all, "messages", messages) |
	       json_object_set_new(all, "add_generation_prompt", json_boolean(!goes_on)) |
	       json_object_set_new(all, "continue_final_message", json_boolean(goes_on));
	return status == OK && bad ? error_memory("the variables of a chat template") : status;
}

static int render_messages(const struct problem *p, struct renderer *r, struct ids *ids)
{
	const struct prompts_options *o = r->options;
	json_t                       *variables;
	int                           status;

	if (!r->chat)
		TRY(chat_open(o->tokenizer, &r->chat));
	variables = r->kwargs ? json_copy(r->kwargs) : json_object();
	status = prompts_add_variables(p, r, variables);
	r->text.n = 0;
	if (status == OK)
		status = chat_render(r->chat, variables, r->now, &r->text);
	json_decref(variables);
	return status == OK ? tokenizer_encode(o->tokenizer, r->text.data ? r->text.data : "",
	                                       r->text.n, 0, ids)
	                    : status;
}

static int render_ready(const struct problem *p, struct renderer *r, struct ids *ids)
{
	r->text.n = 0;
	if (p->prompt)
		text_add(&r->text, p->prompt, strlen(p->prompt));
	for (int i = 0; i < p->n_messages; i++)
		text_add(&r->text, p->messages[i].content, strlen(p->messages[i].content));
	TRY(text_status(&r->text));
	return tokenizer_encode(r->options->tokenizer, r->text.data ? r->text.data : "", r->text.n,
	                        0, ids);
}

static int is_chat(const struct prompts_options *o)
{
	return o->chat == CHAT_ALWAYS ||
	       (o->chat == CHAT_AUTO && tokenizer_chat_template(o->tokenizer));
}

/* data.prompt_template is already part of the prompt: data/dataset.h puts it there. */
static int render(const struct problem *p, struct renderer *r, struct ids *ids)
{
	ids->n = 0;
	if (r->options->chat == CHAT_READY)
		TRY(render_ready(p, r, ids));
	else if (p->prompt && !is_chat(r->options))
		TRY(tokenizer_encode(r->options->tokenizer, p->prompt, strlen(p->prompt), 1, ids));
	else if (render_messages(p, r, ids) != OK)
		return error_context(
		        p->prompt ? "problem %s: its prompt is made a message (data.chat)"
		                  : "problem %s: its prompt is a list of messages",
		        p->id);
	if (ids->n == 0)
		return error_set(ERR_INPUT, "problem %s: its prompt has no token", p->id);
	return OK;
}

static int prompts_make_room(int n, struct arena *a, struct prompts *out)
{
	*out = (struct prompts){0};
	TRY(arena_take(a, (size_t)n, "the problems of the prompts", &out->problems));
	TRY(arena_take(a, (size_t)n, "the prompts", &out->contexts));
	TRY(arena_take(a, (size_t)n, "the prompts that are too long", &out->longs));
	return arena_take(a, (size_t)n, "the prompts that leave little room", &out->tights);
}

static int prompts_add(struct prompts *out, const struct problem *p, const struct ids *ids,
                       struct arena *a)
{
	int *copy, room = out->positions - (int)ids->n;

	TRY(arena_take(a, ids->n + 1, "a prompt", &copy)); /* no token: there is no hint */
	if (ids->n)
		memcpy(copy, ids->id, ids->n * sizeof *copy);
	out->problems[out->n] = p;
	out->contexts[out->n++] = (struct context){.ids = copy, .n = (int)ids->n};
	out->longest = (int)ids->n > out->longest ? (int)ids->n : out->longest;
	if (out->positions && room < out->wanted)
		out->tights[out->n_tight++] = (struct long_prompt){p->id, room};
	return OK;
}

static int prompts_leave_out_long(const struct prompts_options *o, const struct problem *p,
                                  size_t tokens, struct prompts *out)
{
	if (o->refuse_long)
		return error_set(ERR_INPUT,
		                 "problem %s: its prompt has %zu tokens, more than %d; raise "
		                 "data.max_prompt_length, or leave such prompts out "
		                 "with data.overlong_prompts=drop",
		                 p->id, tokens, o->max_prompt_length);
	out->longs[out->n_long++] = (struct long_prompt){p->id, (int)tokens};
	return OK;
}

void prompts_add_longs(const struct prompts *p, struct text *out)
{
	enum { NAMED = 5 };

	if (p->n_long)
		text_print(out, ": %d left out, their prompts%s being too long:", p->n_long,
		           p->worked_too ? " or worked completions" : "");
	for (int i = 0; i < p->n_long && i < NAMED; i++)
		text_print(out, "%s %.80s (%d%s)", i ? "," : "", p->longs[i].id, p->longs[i].tokens,
		           i ? "" : " tokens");
	if (p->n_long > NAMED)
		text_print(out, ", ...");
}

/* ---- the first one, shown ---- */

/* How the texts of a set become prompts. */
static const char *manner_of(const struct prompts_options *o, int messages)
{
	int has_template = tokenizer_chat_template(o->tokenizer) != NULL;

	if (o->chat == CHAT_READY)
		return "as it is (data.chat: ready)";
	if (messages || is_chat(o))
		return "in the model's chat template";
	return has_template
	               ? "as raw text, although the model has a chat template (data.chat: never)"
	               : "as raw text; the model has no chat template";
}

static int keep_first(const struct prompts_options *o, struct arena *a, struct prompts *out)
{
	struct text t = {0};
	int         status;

	if (out->n == 0)
		return OK;
	status = tokenizer_decode(o->tokenizer, out->contexts[0].ids, (size_t)out->contexts[0].n, 0,
	                          &t);
	if (status == OK)
		status = arena_copy(a, t.data ? t.data : "", t.n, &out->shown);
	out->n_shown = t.n;
	out->manner = manner_of(o, out->problems[0]->n_messages > 0);
	text_free(&t);
	return status;
}

/* The number of bytes up to a place near `at` that does not cut a character. */
static size_t whole_characters(const char *s, size_t at)
{
	while (at > 0 && ((unsigned char)s[at] & 0xC0) == 0x80)
		at--;
	return at;
}

void prompts_add_first(const struct prompts *p, struct text *out)
{
	enum { SHOWN_WHOLE = 1600, SHOWN_HEAD = 1000, SHOWN_TAIL = 500 };
	size_t head, tail;

	if (!p->shown)
		return;
	text_print(out, "first prompt, %.80s %s, %d tokens: ", p->problems[0]->id, p->manner,
	           p->contexts[0].n);
	head = p->n_shown > SHOWN_WHOLE ? whole_characters(p->shown, SHOWN_HEAD) : p->n_shown;
	tail = p->n_shown > SHOWN_WHOLE ? whole_characters(p->shown, p->n_shown - SHOWN_TAIL)
	                                : p->n_shown;
	json_add_string(out, p->shown, head);
	if (tail < p->n_shown) {
		text_print(out, " ... %zu bytes ... ", tail - head);
		json_add_string(out, p->shown + tail, p->n_shown - tail);
	}
	text_add(out, "\n", 1);
}

void prompts_add_tights(const char *what, const struct prompts *p, struct text *out)
{
	enum { NAMED = 3 };
	int least = p->n_tight ? p->tights[0].tokens : 0;

	if (p->n_tight == 0)
		return;
	for (int i = 1; i < p->n_tight; i++)
		least = p->tights[i].tokens < least ? p->tights[i].tokens : least;
	text_print(out,
	           "caution: %d %s leave less than rollout.max_completion_length (%d) tokens of "
	           "the model's %d positions, at least %d: ",
	           p->n_tight, what, p->wanted, p->positions, least);
	for (int i = 0; i < p->n_tight && i < NAMED; i++)
		text_print(out, "%s%.80s (%d)", i ? ", " : "", p->tights[i].id,
		           p->tights[i].tokens);
	text_print(out, p->n_tight > NAMED ? ", ...\n" : "\n");
}

/* ---- all of them ---- */

int prompts_render(const struct problem *problems, int n, const struct prompts_options *o,
                   struct arena *a, struct prompts *out)
{
	struct renderer r;
	struct ids      ids = {0};
	int             status;

	TRY(prompts_make_room(n, a, out));
	out->positions = o->positions;
	out->wanted = o->wanted;
	status = renderer_open(&r, o);
	for (int i = 0; status == OK && i < n; i++) {
		status = render(&problems[i], &r, &ids);
		if (status == OK && ids.n > (size_t)o->max_prompt_length)
			status = prompts_leave_out_long(o, &problems[i], ids.n, out);
		else if (status == OK)
			status = prompts_add(out, &problems[i], &ids, a);
	}
	ids_free(&ids);
	renderer_close(&r);
	if (status == OK && out->n == 0)
		status = error_set(ERR_INPUT,
		                   "all %d prompts are longer than data.max_prompt_length %d", n,
		                   o->max_prompt_length);
	return status == OK ? keep_first(o, a, out) : status;
}

int prompts_leave_out(const int *tokens, const struct prompts_options *o, struct arena *a,
                      struct prompts *p)
{
	int kept = 0, n = p->n;

	p->longest = 0;
	p->worked_too = 1;
	for (int i = 0; i < n; i++) {
		if (tokens[i]) {
			p->longs[p->n_long++] = (struct long_prompt){p->problems[i]->id, tokens[i]};
			continue;
		}
		p->longest = p->contexts[i].n > p->longest ? p->contexts[i].n : p->longest;
		p->problems[kept] = p->problems[i];
		p->contexts[kept++] = p->contexts[i];
	}
	p->n = kept;
	if (kept == 0)
		return error_set(ERR_INPUT,
		                 "all %d problems are longer, with their worked completions, than "
		                 "the model's %d positions",
		                 n, o->positions);
	return keep_first(o, a, p);
}

/* ---- with hints ---- */

/* The template with its two words filled in. */
static int prompts_fill(const char *template, const char *prompt, const char *hint, struct arena *a,
                        const char **out)
{
	struct text t = {0};
	int         status;

	while (*template) {
		if (!strncmp(template, "{prompt}", 8)) {
			text_add(&t, prompt, strlen(prompt));
			template += 8;
		} else if (!strncmp(template, "{hint}", 6)) {
			text_add(&t, hint, strlen(hint));
			template += 6;
		} else {
			text_add(&t, template ++, 1);
		}
	}
	status = text_status(&t);
	if (status == OK)
		status = arena_copy(a, t.data, t.n, out);
	text_free(&t);
	return status;
}

/* The problem as it would ask with its hint. */
static int ask_with_hint(const struct problem *p, const char *template, struct arena *a,
                         struct problem *out)
{
	struct message *m;

	*out = *p;
	if (p->prompt)
		return prompts_fill(template, p->prompt, p->hint, a, &out->prompt);
	TRY(arena_take(a, (size_t)p->n_messages, "the messages of a prompt", &m));
	memcpy(m, p->messages, (size_t)p->n_messages * sizeof *m);
	out->messages = m;
	m += problem_asking(p);
	return prompts_fill(template, m->content, p->hint, a, &m->content);
}

/* Adds a problem without tokens where there is no hint, or not enough room for it. */
static int add_hinted(struct prompts *out, const struct problem *p, const char *template,
                      struct renderer *r, struct ids *ids, struct arena *a)
{
	struct arena   scratch = {0};
	struct problem asked;
	int            status = OK;

	ids->n = 0;
	if (p->hint && *p->hint) {
		status = ask_with_hint(p, template, &scratch, &asked);
		if (status == OK)
			status = render(&asked, r, ids);
	}
	if (ids->n > (size_t)r->options->max_prompt_length)
		ids->n = 0;
	arena_free(&scratch);
	return status == OK ? prompts_add(out, p, ids, a) : status;
}

int prompts_hinted(const struct prompts         *plain, const char *template,
                   const struct prompts_options *o, struct arena *a, struct prompts *out)
{
	struct renderer r;
	struct ids      ids = {0};
	int             status;

	if (!strstr(template, "{prompt}") || !strstr(template, "{hint}"))
		return error_set(ERR_INPUT,
		                 "guidance.template is \"%s\", but must hold {prompt} and {hint}",
		                 template);
	TRY(prompts_make_room(plain->n, a, out));
	status = renderer_open(&r, o);
	for (int i = 0; status == OK && i < plain->n; i++)
		status = add_hinted(out, plain->problems[i], template, &r, &ids, a);
	ids_free(&ids);
	renderer_close(&r);
	if (status == OK && out->longest == 0)
		status = error_set(ERR_INPUT,
		                   "none of the %d training problems has a hint that fits into "
		                   "data.max_prompt_length: give the rows a column hint",
		                   plain->n);
	return status;
}
