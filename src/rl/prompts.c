#include "rl/prompts.h"

#include "base/error.h"
#include "base/file.h"
#include "model/chat.h"

#include <assert.h>
#include <string.h>

enum prompts_chat prompts_chat_find(const char *name)
{
	static const char *const names[] = {[CHAT_NEVER] = "never", [CHAT_AUTO] = "auto", [CHAT_ALWAYS] = "always", [CHAT_READY] = "ready"};
	int                      i = 0;

	while (i < CHAT_READY && strcmp(names[i], name))
		i++;
	assert(!strcmp(names[i], name));
	return (enum prompts_chat)i;
}

struct renderer {
	const struct prompts_options *options;
	struct chat                  *chat; /* owned; opened when the first messages come */
	struct text                   text;
};

static int add_message(json_t *list, const char *role, const char *content)
{
	return json_array_append_new(list, json_pack("{s:s, s:s}", "role", role, "content", content));
}

/* The messages of a problem, or its text as the user's. */
static json_t *variables_of(const struct problem *p, const char *system)
{
	json_t *messages = json_array();

	if (system && (p->n_messages == 0 || strcmp(p->messages[0].role, "system")))
		add_message(messages, "system", system);
	for (int i = 0; i < p->n_messages; i++)
		add_message(messages, p->messages[i].role, p->messages[i].content);
	if (p->prompt)
		add_message(messages, "user", p->prompt);
	return json_pack("{s:o, s:b}", "messages", messages, "add_generation_prompt", 1);
}

static int render_messages(const struct problem *p, struct renderer *r, struct ids *ids)
{
	const struct prompts_options *o = r->options;
	json_t                       *variables;
	int                           status;

	if (!r->chat)
		TRY(chat_open(o->tokenizer, &r->chat));
	variables = variables_of(p, o->system);
	r->text.n = 0;
	status = variables ? chat_render(r->chat, variables, -1, &r->text) : error_set(ERR_INPUT, "out of memory");
	json_decref(variables);
	return status == OK ? tokenizer_encode(o->tokenizer, r->text.data ? r->text.data : "", r->text.n, 0, ids) : status;
}

static int render_ready(const struct problem *p, struct renderer *r, struct ids *ids)
{
	r->text.n = 0;
	if (p->prompt)
		text_add(&r->text, p->prompt, strlen(p->prompt));
	for (int i = 0; i < p->n_messages; i++)
		text_add(&r->text, p->messages[i].content, strlen(p->messages[i].content));
	TRY(text_status(&r->text));
	return tokenizer_encode(r->options->tokenizer, r->text.data ? r->text.data : "", r->text.n, 0, ids);
}

static int is_chat(const struct prompts_options *o)
{
	return o->chat == CHAT_ALWAYS || (o->chat == CHAT_AUTO && tokenizer_chat_template(o->tokenizer));
}

/* data.prompt_template is already part of the prompt: task/dataset.h puts it there. */
static int render(const struct problem *p, struct renderer *r, struct ids *ids)
{
	ids->n = 0;
	if (r->options->chat == CHAT_READY)
		TRY(render_ready(p, r, ids));
	else if (p->prompt && !is_chat(r->options))
		TRY(tokenizer_encode(r->options->tokenizer, p->prompt, strlen(p->prompt), 1, ids));
	else if (render_messages(p, r, ids) != OK)
		return error_context(p->prompt ? "problem %s: its prompt is made a message (data.chat)"
		                               : "problem %s: its prompt is a list of messages",
		                     p->id);
	if (ids->n == 0)
		return error_set(ERR_INPUT, "problem %s: its prompt has no token", p->id);
	return OK;
}

static void renderer_close(struct renderer *r)
{
	text_free(&r->text);
	chat_free(r->chat);
}

static int make_room(int n, struct arena *a, struct prompts *out)
{
	*out = (struct prompts){0};
	out->problems = arena_alloc(a, (size_t)n, sizeof *out->problems);
	out->contexts = arena_alloc(a, (size_t)n, sizeof *out->contexts);
	out->longs = arena_alloc(a, (size_t)n, sizeof *out->longs);
	return out->problems && out->contexts && out->longs ? OK : ERR_INPUT;
}

static int add(struct prompts *out, const struct problem *p, const struct ids *ids, struct arena *a)
{
	int *copy = arena_alloc(a, ids->n + 1, sizeof *copy); /* no token: there is no hint */

	if (!copy)
		return ERR_INPUT;
	if (ids->n)
		memcpy(copy, ids->id, ids->n * sizeof *copy);
	out->problems[out->n] = p;
	out->contexts[out->n++] = (struct context){.ids = copy, .n = (int)ids->n};
	out->longest = (int)ids->n > out->longest ? (int)ids->n : out->longest;
	return OK;
}

static int leave_out(const struct prompts_options *o, const struct problem *p, size_t tokens, struct prompts *out)
{
	if (o->refuse_long)
		return error_set(
		        ERR_INPUT,
		        "problem %s: its prompt has %zu tokens, more than %d; raise data.max_prompt_length, or leave such prompts out "
		        "with data.overlong_prompts=drop",
		        p->id, tokens, o->max_prompt_length);
	out->longs[out->n_long++] = (struct long_prompt){p->id, (int)tokens};
	return OK;
}

void prompts_add_longs(const struct prompts *p, struct text *out)
{
	enum { NAMED = 5 };

	if (p->n_long)
		text_print(out, ": %d left out, their prompts being too long:", p->n_long);
	for (int i = 0; i < p->n_long && i < NAMED; i++)
		text_print(out, "%s %.80s (%d%s)", i ? "," : "", p->longs[i].id, p->longs[i].tokens, i ? "" : " tokens");
	if (p->n_long > NAMED)
		text_print(out, ", ...");
}

int prompts_render(const struct problem *problems, int n, const struct prompts_options *o, struct arena *a, struct prompts *out)
{
	struct renderer r = {.options = o};
	struct ids      ids = {0};
	int             status = OK;

	TRY(make_room(n, a, out));
	for (int i = 0; status == OK && i < n; i++) {
		status = render(&problems[i], &r, &ids);
		if (status == OK && ids.n > (size_t)o->max_prompt_length)
			status = leave_out(o, &problems[i], ids.n, out);
		else if (status == OK)
			status = add(out, &problems[i], &ids, a);
	}
	ids_free(&ids);
	renderer_close(&r);
	if (status == OK && out->n == 0)
		status = error_set(ERR_INPUT, "all %d prompts are longer than data.max_prompt_length %d", n, o->max_prompt_length);
	return status;
}

/* ---- with hints ---- */

/* The template with its two words filled in. */
static const char *fill(const char *template, const char *prompt, const char *hint, struct arena *a)
{
	struct text t = {0};
	const char *out = NULL;

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
	if (text_status(&t) == OK)
		out = arena_text(a, t.data, t.n);
	text_free(&t);
	return out;
}

/* The problem as it would ask with its hint. */
static int ask_with_hint(const struct problem *p, const char *template, struct arena *a, struct problem *out)
{
	struct message *m = arena_alloc(a, (size_t)p->n_messages + 1, sizeof *m);

	*out = *p;
	if (!m)
		return ERR_INPUT;
	if (p->prompt)
		return (out->prompt = fill(template, p->prompt, p->hint, a)) ? OK : ERR_INPUT;
	memcpy(m, p->messages, (size_t)p->n_messages * sizeof *m);
	out->messages = m;
	m += p->n_messages - 1;
	return (m->content = fill(template, m->content, p->hint, a)) ? OK : ERR_INPUT;
}

/* Adds a problem without tokens where there is no hint, or not enough room for it. */
static int add_hinted(struct prompts *out, const struct problem *p, const char *template, struct renderer *r, struct ids *ids,
                      struct arena *a)
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
	return status == OK ? add(out, p, ids, a) : status;
}

int prompts_hinted(const struct prompts *plain, const char *template, const struct prompts_options *o, struct arena *a, struct prompts *out)
{
	struct renderer r = {.options = o};
	struct ids      ids = {0};
	int             status = OK;

	if (!strstr(template, "{prompt}") || !strstr(template, "{hint}"))
		return error_set(ERR_INPUT, "guidance.template is \"%s\", but must hold {prompt} and {hint}", template);
	TRY(make_room(plain->n, a, out));
	for (int i = 0; status == OK && i < plain->n; i++)
		status = add_hinted(out, plain->problems[i], template, &r, &ids, a);
	ids_free(&ids);
	renderer_close(&r);
	if (status == OK && out->longest == 0)
		status = error_set(
		        ERR_INPUT,
		        "none of the %d training problems has a hint that fits into data.max_prompt_length: give the rows a column hint",
		        plain->n);
	return status;
}
