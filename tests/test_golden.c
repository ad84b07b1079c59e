/* The published checkpoints against numbers that were computed once in float64 by another program
 * (data/models/SOURCE.md). */
#include "base/json.h"
#include "base/threads.h"
#include "model/folder.h"
#include "model/head.h"
#include "model/transformer.h"
#include "test.h"

enum { TOKENS_MAX = 512 };

static const double logit_tolerance = 2e-4;

struct fixture {
	struct matmul *mm;
	struct model  *model;
	json_t        *golden;
	struct arena   arena;
};

static void open_fixture(const char *folder, struct fixture *f)
{
	struct matmul_options o = {.backend = "auto", .precision = "f32", .numerics = "strict"};
	struct model_shape    shape;
	struct weights        weights;
	char                  path[256];

	*f = (struct fixture){0};
	snprintf(path, sizeof path, "%s/golden.json", folder);
	threads_set(2);
	assert_ok(json_read(path, 1 << 20, &f->golden));
	assert_ok(folder_read_shape(folder, &shape));
	assert_ok(folder_read_weights(folder, &shape, &weights));
	assert_ok(matmul_new(&o, &f->mm));
	assert_ok(model_new(&weights, f->mm, 1, &f->model));
}

static void close_fixture(struct fixture *f)
{
	model_free(f->model);
	matmul_free(f->mm);
	json_decref(f->golden);
	arena_free(&f->arena);
}

/* Copies an array of token ids; returns how many there are. */
static int ids_of(const json_t *row, const char *key, int *ids)
{
	const json_t *list = json_object_get(row, key);
	size_t        n = json_array_size(list);

	assert_in_range(n, 1, TOKENS_MAX);
	for (size_t i = 0; i < n; i++)
		ids[i] = (int)json_integer_value(json_array_get(list, i));
	return (int)n;
}

static double number_at(const json_t *list, int i)
{
	const json_t *v = json_array_get(list, (size_t)i);

	assert_true(json_is_number(v));
	return json_number_value(v);
}

static void assert_numbers(const json_t *want, const float *got, int n, double tolerance)
{
	assert_int_equal(json_array_size(want), n);
	for (int i = 0; i < n; i++)
		if (!(fabs(got[i] - number_at(want, i)) <= tolerance))
			fail_msg("number %d of %d is %.9g, expected %.9g", i, n, (double)got[i],
			         number_at(want, i));
}

/* The logits after each of n tokens whose first has this position; earlier tokens are in the cache.
 * Owned by the arena. */
static const float *logits_after(struct fixture *f, struct kv_cache *cache, const int *ids, int n,
                                 int position)
{
	const struct model_shape *s = &f->model->weights.shape;
	int            pages[TOKENS_MAX / PAGE_TOKENS], positions[TOKENS_MAX], token[TOKENS_MAX];
	struct segment segment = {
	        .first = 0, .count = n, .position = position, .parent = -1, .pages = pages};
	struct packing b = {.n_tokens = n,
	                    .n_segments = 1,
	                    .token = token,
	                    .position = positions,
	                    .segments = &segment};
	float         *hidden, *logits;

	assert_ok(arena_take(&f->arena, (size_t)(n * s->width), "a test", &hidden));
	assert_ok(arena_take(&f->arena, (size_t)(n * s->n_vocab), "a test", &logits));
	b.n_pages = cache->n_pages;
	for (int i = 0; i < cache->n_pages; i++)
		pages[i] = i;
	for (int i = 0; i < n; i++) {
		token[i] = ids[i];
		positions[i] = position + i;
	}
	assert_ok(model_forward(f->model, &b, cache, NULL, &f->arena, hidden));
	assert_ok(head_logits(f->model, n, hidden, logits));
	return logits;
}

static struct kv_cache new_cache(const struct fixture *f, int n_tokens)
{
	struct kv_cache cache;

	assert_ok(model_cache_new(f->model, f->model->weights.shape.n_layers,
	                          (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS, &cache));
	return cache;
}

/* Rows {"ids", KEY: logits after the last id}. */
static void check_last_logits(const char *folder, const char *rows, const char *key)
{
	struct fixture f;
	const json_t  *list, *row;
	size_t         i;

	open_fixture(folder, &f);
	list = json_object_get(f.golden, rows);
	assert_true(json_array_size(list) > 0);
	json_array_foreach((json_t *)(uintptr_t)list, i, row)
	{
		int ids[TOKENS_MAX], n = ids_of(row, "ids", ids),
		                     V = f.model->weights.shape.n_vocab;
		struct kv_cache cache = new_cache(&f, n);
		const float    *logits = logits_after(&f, &cache, ids, n, 0);
		assert_numbers(json_object_get(row, key), logits + (size_t)(n - 1) * (size_t)V, V,
		               logit_tolerance);
		kv_cache_free(&cache);
	}
	close_fixture(&f);
}

static void the_logits_of_stories_agree(void **state)
{
	(void)state;
	check_last_logits("data/models/stories260k", "last_logits", "logits");
}

static void the_logits_of_the_sharded_bf16_stories_agree(void **state)
{
	(void)state;
	check_last_logits("data/models/stories260k-bf16-sharded", "last_logits", "logits");
}

static void the_logits_of_digit_completion_agree(void **state)
{
	(void)state;
	check_last_logits("data/models/digit-completion", "logits", "last_logits");
}

/* A training pass over one text: the first id is the prompt, all others are targets. */
struct pass {
	struct packing     batch;
	struct kv_cache    cache;
	struct tape       *tape;
	float             *hidden; /* [T x D] */
	struct head_result result;
};

static void run_pass(struct fixture *f, const int *ids, int n, struct pass *p)
{
	const struct model_shape *s = &f->model->weights.shape;
	struct sequence           text = {
	                  .prompt = ids, .n_prompt = 1, .completion = ids + 1, .n_completion = n - 1};
	struct unit_range *units;
	int                n_units;

	assert_ok(packing_plan(&text, 1, 1, &f->arena, &units, &n_units));
	assert_ok(packing_build(&text, units, n_units, 1, &f->arena, &p->batch));
	assert_int_equal(p->batch.n_targets, n - 1);
	assert_ok(model_cache_new(f->model, 1, p->batch.n_pages, &p->cache));
	assert_ok(tape_new(s, 0, &p->tape));
	assert_ok(tape_begin(p->tape, p->batch.n_tokens, p->batch.n_tokens));
	assert_ok(arena_take(&f->arena, (size_t)(p->batch.n_tokens * s->width), "a test",
	                     &p->hidden));
	assert_ok(arena_take(&f->arena, (size_t)n, "a test", &p->result.logp));
	assert_ok(arena_take(&f->arena, (size_t)n, "a test", &p->result.entropy));
	assert_ok(arena_take(&f->arena, (size_t)n, "a test", &p->result.lse));
	assert_ok(model_forward(f->model, &p->batch, &p->cache, p->tape, &f->arena, p->hidden));
	assert_ok(head_forward(&(struct head_input){f->model, &p->batch, p->hidden, 1}, &f->arena,
	                       &p->result));
}

static void close_pass(struct pass *p)
{
	kv_cache_free(&p->cache);
	tape_free(p->tape);
}

static void check_logprobs(const char *folder)
{
	struct fixture f;
	const json_t  *list, *row;
	size_t         i;

	open_fixture(folder, &f);
	list = json_object_get(f.golden, "logprobs");
	assert_true(json_array_size(list) > 0);
	json_array_foreach((json_t *)(uintptr_t)list, i, row)
	{
		int         ids[TOKENS_MAX], n = ids_of(row, "ids", ids);
		struct pass p;
		run_pass(&f, ids, n, &p);
		assert_numbers(json_object_get(row, "logprobs"), p.result.logp, n - 1,
		               logit_tolerance);
		close_pass(&p);
	}
	close_fixture(&f);
}

static void the_log_probs_of_stories_agree(void **state)
{
	(void)state;
	check_logprobs("data/models/stories260k");
}

static void the_log_probs_of_the_sharded_bf16_stories_agree(void **state)
{
	(void)state;
	check_logprobs("data/models/stories260k-bf16-sharded");
}

static int arg_max(const float *x, int n)
{
	int best = 0;

	for (int i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best;
}

/* The prompt in one piece, then token by token through the cache; each arg-max must be the token
 * that the golden text has next. */
static void greedy_stories_agree_to_their_last_token(void **state)
{
	(void)state;
	struct fixture f;
	const json_t  *row;
	size_t         i;

	open_fixture("data/models/stories260k", &f);
	json_array_foreach(json_object_get(f.golden, "greedy"), i, row)
	{
		int prompt[TOKENS_MAX], ids[TOKENS_MAX], at = 0, V = f.model->weights.shape.n_vocab;
		int n_prompt = ids_of(row, "prompt_ids", prompt), n = ids_of(row, "ids", ids);
		struct kv_cache cache = new_cache(&f, n);
		assert_true(n > n_prompt + 200);
		for (int next = n_prompt; next < n; next++) {
			int          count = next - at;
			const float *logits = logits_after(&f, &cache, ids + at, count, at);
			if (arg_max(logits + (size_t)(count - 1) * (size_t)V, V) != ids[next])
				fail_msg("story %zu leaves the golden text at token %d", i, next);
			at = next;
			arena_reset(&f.arena);
		}
		kv_cache_free(&cache);
	}
	close_fixture(&f);
}

/* Where a named weight lies in the flat vector. */
static size_t place_of(const struct weights *w, const json_t *grad)
{
	const struct tensor *t =
	        weights_find(w, json_string_value(json_object_get(grad, "tensor")));
	const json_t *index = json_object_get(grad, "index");
	size_t        row = (size_t)number_at(index, 0);

	assert_non_null(t);
	if (json_array_size(index) == 1)
		return t->offset + row;
	return t->offset + row * (size_t)t->columns + (size_t)number_at(index, 1);
}

/* Mean next-token cross-entropy and its derivative by 240 single weights, within 1e-4 of the larger
 * of the derivative and a floor. A derivative is a sum over 81 tokens whose terms are mostly larger
 * than the sum; f32 rounds each of them at 6e-8 of its size. The floor is a sixtieth of the largest
 * derivative in the table (0.057) and below the median (0.006): smaller ones are differences of
 * terms of that size, and are held to an absolute 1e-7. */
static void the_gradient_of_stories_agrees(void **state)
{
	(void)state;
	const double    floor = 1e-3;
	struct fixture  f;
	const json_t   *golden, *grad;
	struct gradient g;
	struct pass     p;
	int             ids[TOKENS_MAX], n, N;
	float          *c, *d_hidden;
	double          loss = 0;
	size_t          i;

	open_fixture("data/models/stories260k", &f);
	golden = json_object_get(f.golden, "gradient");
	n = ids_of(golden, "ids", ids);
	N = n - 1;
	run_pass(&f, ids, n, &p);
	assert_ok(arena_take(&f.arena, (size_t)N, "a test", &c));
	assert_ok(arena_take(&f.arena, (size_t)(p.batch.n_tokens * f.model->weights.shape.width),
	                     "a test", &d_hidden));
	for (int k = 0; k < N; k++) {
		loss -= p.result.logp[k] / (double)N;
		c[k] = (float)(-1.0 / N);
	}
	assert_close(loss, json_number_value(json_object_get(golden, "loss")), 1e-6);
	assert_ok(gradient_new(&f.model->weights, &g));
	assert_ok(gradient_begin(&g, &(struct gradient_units){.n = (uint32_t)p.batch.n_units}));
	assert_ok(head_backward(
	        &(struct head_piece){
	                {f.model, &p.batch, p.hidden, 1}, p.result, {.c = c}, d_hidden},
	        1, &f.arena, &g));
	assert_ok(model_backward(f.model, p.tape, &p.cache, &f.arena, d_hidden, &g));
	assert_ok(gradient_finish(&g));
	json_array_foreach(json_object_get(golden, "grads"), i, grad)
	{
		double want = json_number_value(json_object_get(grad, "grad"));
		double got = g.level[0][place_of(&f.model->weights, grad)];
		if (!(fabs(got - want) <= 1e-4 * fmax(fabs(want), floor)))
			fail_msg("derivative %zu (%s) is %.9g, expected %.9g", i,
			         json_string_value(json_object_get(grad, "tensor")), got, want);
	}
	assert_int_equal(i, 240);
	gradient_free(&g);
	close_pass(&p);
	close_fixture(&f);
}

TEST_MAIN(TEST(the_logits_of_stories_agree), TEST(the_logits_of_the_sharded_bf16_stories_agree),
          TEST(the_logits_of_digit_completion_agree), TEST(the_log_probs_of_stories_agree),
          TEST(the_log_probs_of_the_sharded_bf16_stories_agree),
          TEST(greedy_stories_agree_to_their_last_token), TEST(the_gradient_of_stories_agrees))
