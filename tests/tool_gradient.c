/* tool_gradient MODEL OUTPUT PROMPT:COMPLETION... - gradients for other programs to compare with.
 *
 *     loss = - (1/N) sum log p(token | what stands before it)     N completion tokens of all texts
 *
 * Writes the gradient as a safetensors file under the names of the weights, and prints {"loss",
 * "targets", "units"}. PROMPT and COMPLETION are ids with commas between them; texts that follow
 * each other with the same prompt share it, as the completions of a group do. */
#include "base/error.h"
#include "base/threads.h"
#include "model/folder.h"
#include "model/head.h"
#include "model/safetensors.h"
#include "model/transformer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work {
	struct arena    arena;
	struct matmul  *mm;
	struct model   *model;
	struct tape    *tape;
	struct kv_cache cache;
	struct gradient gradient;
};

/* ---- the texts ---- */

static int read_ids(struct arena *a, const char *s, size_t n, int n_vocab, int **ids, int *count)
{
	const char *end = s + n;

	*count = 0;
	TRY(arena_take(a, n + 1, "the ids", ids));
	while (s < end) {
		char *rest;
		long  id = strtol(s, &rest, 10);
		if (rest == s || id < 0 || id >= n_vocab || (rest < end && *rest != ','))
			return error_set(
			        ERR_INPUT,
			        "\"%.20s\": expected ids from 0 to %d with commas between them", s,
			        n_vocab - 1);
		(*ids)[(*count)++] = (int)id;
		s = rest + 1;
	}
	return *count ? OK : error_set(ERR_INPUT, "a prompt or a completion is empty");
}

static int read_texts(struct arena *a, char **argv, int n, int n_vocab, struct sequence *out)
{
	for (int i = 0; i < n; i++) {
		const char *colon = strchr(argv[i], ':');
		size_t      n_prompt = colon ? (size_t)(colon - argv[i]) : 0;
		int        *ids;
		if (!colon)
			return error_set(ERR_INPUT, "\"%.20s\": expected PROMPT:COMPLETION",
			                 argv[i]);
		if (i && !strncmp(argv[i], argv[i - 1], n_prompt + 1)) {
			out[i].prompt = out[i - 1].prompt;
			out[i].n_prompt = out[i - 1].n_prompt;
		} else {
			TRY(read_ids(a, argv[i], n_prompt, n_vocab, &ids, &out[i].n_prompt));
			out[i].prompt = ids;
		}
		TRY(read_ids(a, colon + 1, strlen(colon + 1), n_vocab, &ids, &out[i].n_completion));
		out[i].completion = ids;
	}
	return OK;
}

/* ---- the gradient ---- */

static int open_model(struct work *w, const char *path)
{
	struct model_shape shape;
	struct weights     weights;
	int                status;

	threads_set(0);
	TRY(matmul_new(&(struct matmul_options){"auto", "f32", "strict", NULL, NULL}, &w->mm));
	TRY(folder_read_shape(path, &shape));
	TRY(folder_read_weights(path, &shape, &weights));
	status = model_new(&weights, w->mm, 1, &w->model);
	weights_free(&weights);
	return status;
}

/* Forward, c = dloss/dlogp = -1/N for every target, backward. The loss is summed in double. */
static int differentiate(struct work *w, const struct packing *b, double *loss)
{
	size_t N = (size_t)b->n_targets,
	       n_hidden = (size_t)b->n_tokens * (size_t)w->model->weights.shape.width;
	float             *hidden, *d_hidden, *c;
	struct head_result r;

	TRY(arena_take(&w->arena, n_hidden, "the hidden states", &hidden));
	TRY(arena_take(&w->arena, n_hidden, "their gradient", &d_hidden));
	TRY(arena_take(&w->arena, N, "the gradient of the log-probs", &c));
	TRY(arena_take(&w->arena, N, "the log-probs", &r.logp));
	TRY(arena_take(&w->arena, N, "the entropies", &r.entropy));
	TRY(arena_take(&w->arena, N, "the log-sum-exps", &r.lse));
	TRY(model_forward(w->model, b, &w->cache, w->tape, &w->arena, hidden));
	TRY(head_forward(&(struct head_input){w->model, b, hidden, 1}, &w->arena, &r));
	*loss = 0;
	for (size_t i = 0; i < N; i++) {
		*loss -= (double)r.logp[i] / (double)N;
		c[i] = -1 / (float)N;
	}
	TRY(head_backward(&(struct head_piece){{w->model, b, hidden, 1}, r, {.c = c}, d_hidden}, 1,
	                  &w->arena, &w->gradient));
	return model_backward(w->model, w->tape, &w->cache, &w->arena, d_hidden, &w->gradient);
}

static int write_gradient(struct work *w, const char *path)
{
	const struct weights    *weights = &w->model->weights;
	struct safetensors_item *items;

	TRY(arena_take(&w->arena, (size_t)weights->n_tensors, "the tensors", &items));
	for (int i = 0; i < weights->n_tensors; i++) {
		const struct tensor *t = &weights->tensors[i];
		items[i] =
		        (struct safetensors_item){.name = t->name,
		                                  .n_dims = t->n_dims,
		                                  .dims = {(uint64_t)t->rows, (uint64_t)t->columns},
		                                  .data = w->gradient.level[0] + t->offset};
	}
	return safetensors_write(path, SAFETENSORS_F32, items, (size_t)weights->n_tensors);
}

static int run(struct work *w, int argc, char **argv)
{
	struct sequence   *texts;
	struct unit_range *units;
	struct packing     b;
	double             loss;
	int                n = argc - 3, n_units;

	if (n < 1)
		return error_set(ERR_INPUT,
		                 "usage: tool_gradient MODEL OUTPUT PROMPT:COMPLETION...");
	TRY(open_model(w, argv[1]));
	TRY(arena_take(&w->arena, (size_t)n, "the texts", &texts));
	TRY(read_texts(&w->arena, argv + 3, n, w->model->weights.shape.n_vocab, texts));
	TRY(packing_plan(texts, n, 1, &w->arena, &units, &n_units));
	TRY(packing_build(texts, units, n_units, 1, &w->arena, &b));
	TRY(tape_new(&w->model->weights.shape, 0, &w->tape));
	TRY(tape_begin(w->tape, b.n_tokens, b.n_tokens));
	TRY(model_cache_new(w->model, 1, b.n_pages, &w->cache));
	TRY(gradient_new(&w->model->weights, &w->gradient));
	TRY(gradient_begin(&w->gradient, &(struct gradient_units){.n = (uint32_t)n_units}));
	TRY(differentiate(w, &b, &loss));
	TRY(gradient_finish(&w->gradient));
	printf("{\"loss\": %.17g, \"targets\": %d, \"units\": %d}\n", loss, b.n_targets, n_units);
	return write_gradient(w, argv[2]);
}

int main(int argc, char **argv)
{
	struct work w = {0};
	int         status = run(&w, argc, argv);

	if (status != OK)
		fprintf(stderr, "tool_gradient: %s\n", error_message());
	gradient_free(&w.gradient);
	kv_cache_free(&w.cache);
	tape_free(w.tape);
	model_free(w.model);
	matmul_free(w.mm);
	arena_free(&w.arena);
	return status;
}
