#include "rl/prompts.h"

#include "base/error.h"
#include "base/file.h"
#include "model/chat.h"

#include <string.h>

struct renderer {
	const struct tokenizer *tokenizer;
	struct chat            *chat; /* owned; opened when the first list of messages comes */
	struct text             text;
};

static json_t *variables_of(const struct problem *p)
{
	json_t *messages = json_array();

	for (int i = 0; i < p->n_messages; i++)
		json_array_append_new(messages, json_pack("{s:s, s:s}", "role", p->messages[i].role, "content", p->messages[i].content));
	return json_pack("{s:o, s:b}", "messages", messages, "add_generation_prompt", 1);
}

static int render_messages(const struct problem *p, struct renderer *r, struct ids *ids)
{
	json_t *variables;
	int     status;

	if (!r->chat)
		TRY(chat_open(r->tokenizer, &r->chat));
	variables = variables_of(p);
	r->text.n = 0;
	status = variables ? chat_render(r->chat, variables, -1, &r->text) : error_set(ERR_INPUT, "out of memory");
	json_decref(variables);
	return status == OK ? tokenizer_encode(r->tokenizer, r->text.data ? r->text.data : "", r->text.n, 0, ids) : status;
}

/* data.prompt_template is already part of the prompt: task/dataset.h puts it there. */
static int render(const struct problem *p, struct renderer *r, struct ids *ids)
{
	ids->n = 0;
	if (!p->prompt && render_messages(p, r, ids) != OK)
		return error_context("problem %s: its prompt is a list of messages", p->id);
	if (p->prompt)
		TRY(tokenizer_encode(r->tokenizer, p->prompt, strlen(p->prompt), 1, ids));
	if (ids->n == 0)
		return error_set(ERR_INPUT, "problem %s: its prompt has no token", p->id);
	return OK;
}

static int add(struct prompts *out, const struct problem *p, const struct ids *ids, struct arena *a)
{
	int *copy = arena_alloc(a, ids->n, sizeof *copy);

	if (!copy)
		return ERR_INPUT;
	memcpy(copy, ids->id, ids->n * sizeof *copy);
	out->problems[out->n] = p;
	out->contexts[out->n++] = (struct context){.ids = copy, .n = (int)ids->n};
	out->longest = (int)ids->n > out->longest ? (int)ids->n : out->longest;
	return OK;
}

int prompts_render(const struct problem *problems, int n, const struct tokenizer *t, int max_prompt_length, struct arena *a,
                   struct prompts *out)
{
	struct renderer r = {.tokenizer = t};
	struct ids      ids = {0};
	int             status = OK;

	*out = (struct prompts){0};
	out->problems = arena_alloc(a, (size_t)n, sizeof *out->problems);
	out->contexts = arena_alloc(a, (size_t)n, sizeof *out->contexts);
	if (!out->problems || !out->contexts)
		return ERR_INPUT;
	for (int i = 0; status == OK && i < n; i++) {
		status = render(&problems[i], &r, &ids);
		if (status == OK && ids.n > (size_t)max_prompt_length) {
			out->first_long = out->n_long++ ? out->first_long : problems[i].id;
			continue;
		}
		if (status == OK)
			status = add(out, &problems[i], &ids, a);
	}
	ids_free(&ids);
	text_free(&r.text);
	chat_free(r.chat);
	if (status == OK && out->n == 0)
		status = error_set(ERR_INPUT, "all %d prompts are longer than data.max_prompt_length %d", n, max_prompt_length);
	return status;
}

/* ---- with hints ---- */

/* The template with its two words filled in. */
static void fill(const char *template, const struct problem *p, struct text *out)
{
	out->n = 0;
	while (*template) {
		if (!strncmp(template, "{prompt}", 8)) {
			text_add(out, p->prompt, strlen(p->prompt));
			template += 8;
		} else if (!strncmp(template, "{hint}", 6)) {
			text_add(out, p->hint, strlen(p->hint));
			template += 6;
		} else {
			text_add(out, template ++, 1);
		}
	}
}

/* Leaves *out empty where the problem has no hint, or not enough room for it. */
static int render_hinted(const struct problem *p, const char *template, const struct tokenizer *t, int max_prompt_length, struct text *text,
                         struct ids *ids, struct arena *a, struct context *out)
{
	int *copy;

	*out = (struct context){0};
	if (!p->hint || !*p->hint || !p->prompt)
		return OK;
	fill(template, p, text);
	TRY(text_status(text));
	ids->n = 0;
	TRY(tokenizer_encode(t, text->data, text->n, 1, ids));
	if (ids->n > (size_t)max_prompt_length)
		return OK;
	copy = arena_alloc(a, ids->n, sizeof *copy);
	if (!copy)
		return ERR_INPUT;
	memcpy(copy, ids->id, ids->n * sizeof *copy);
	*out = (struct context){copy, (int)ids->n};
	return OK;
}

int prompts_hinted(const struct prompts *plain, const char *template, const struct tokenizer *t, int max_prompt_length, struct arena *a,
                   struct prompts *out)
{
	struct ids  ids = {0};
	struct text text = {0};
	int         status = OK, hinted = 0;

	if (!strstr(template, "{prompt}") || !strstr(template, "{hint}"))
		return error_set(ERR_INPUT, "guidance.template is \"%s\", but must hold {prompt} and {hint}", template);
	*out = *plain;
	out->longest = 0;
	out->contexts = arena_alloc(a, (size_t)plain->n, sizeof *out->contexts);
	if (!out->contexts)
		return ERR_INPUT;
	for (int i = 0; status == OK && i < plain->n; i++) {
		struct context *c = &out->contexts[i];
		status = render_hinted(plain->problems[i], template, t, max_prompt_length, &text, &ids, a, c);
		hinted += c->n > 0;
		out->longest = c->n > out->longest ? c->n : out->longest;
	}
	ids_free(&ids);
	text_free(&text);
	if (status == OK && hinted == 0)
		status = error_set(
		        ERR_INPUT,
		        "none of the %d training problems has a hint that fits into data.max_prompt_length: give the rows a column hint",
		        plain->n);
	return status;
}
