#include "rl/prompts.h"

#include "base/error.h"

#include <string.h>

/* The template is already part of the prompt: task/dataset.h puts it there. */
static int render(const struct problem *p, const struct tokenizer *t, struct ids *ids)
{
	ids->n = 0;
	if (!p->prompt)
		return error_set(ERR_INPUT,
		                 "problem %s: its prompt is a list of messages, which needs a chat template; give it as one text", p->id);
	TRY(tokenizer_encode(t, p->prompt, strlen(p->prompt), 1, ids));
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
	struct ids ids = {0};
	int        status = OK;

	*out = (struct prompts){0};
	out->problems = arena_alloc(a, (size_t)n, sizeof *out->problems);
	out->contexts = arena_alloc(a, (size_t)n, sizeof *out->contexts);
	if (!out->problems || !out->contexts)
		return ERR_INPUT;
	for (int i = 0; status == OK && i < n; i++) {
		status = render(&problems[i], t, &ids);
		if (status == OK && ids.n > (size_t)max_prompt_length) {
			out->first_long = out->n_long++ ? out->first_long : problems[i].id;
			continue;
		}
		if (status == OK)
			status = add(out, &problems[i], &ids, a);
	}
	ids_free(&ids);
	if (status == OK && out->n == 0)
		status = error_set(ERR_INPUT, "all %d prompts are longer than data.max_prompt_length %d", n, max_prompt_length);
	return status;
}
