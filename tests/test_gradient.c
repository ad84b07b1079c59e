#include "model/gradient.h"

#include "base/threads.h"
#include "test.h"

static const struct model_shape tiny = {.n_layers = 1,
                                        .width = 6,
                                        .n_heads = 2,
                                        .n_kv_heads = 1,
                                        .head_width = 4,
                                        .ff_width = 5,
                                        .n_vocab = 7,
                                        .n_positions = 8,
                                        .rope_theta = 10000,
                                        .norm_eps = 1e-5,
                                        .tied = 1};

/* Element i of unit u: wide exponents, so that any other order of adding shows. */
static float value(uint32_t u, size_t i)
{
	struct rng_key key = {.seed = 1, .purpose = RNG_TEST, .item = u};

	return (float)ldexp(rng_normal(key, (uint32_t)i),
	                    (int)rng_below(key, (uint32_t)(i + (1 << 20)), 30));
}

/* The definition: level by level, node 2i + node 2i+1, an odd last node moves up unchanged. */
static float tree_sum(float *node, uint32_t n)
{
	for (; n > 1; n = (n + 1) / 2)
		for (uint32_t i = 0; i < (n + 1) / 2; i++)
			node[i] = 2 * i + 1 < n ? node[2 * i] + node[2 * i + 1] : node[2 * i];
	return n ? node[0] : 0;
}

static float wanted(uint32_t n_units, size_t i)
{
	float node[64];

	for (uint32_t u = 0; u < n_units; u++)
		node[u] = value(u, i);
	return tree_sum(node, n_units);
}

static void write_unit(struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	float *slot = gradient_slot(g, u, offset);

	for (size_t i = 0; i < count; i++)
		slot[i] = value(u, offset + i);
	gradient_merge(g, u, offset, count);
}

static void check_sum(const struct gradient *g, uint32_t n_units)
{
	for (size_t i = 0; i < g->n; i++) {
		float want = wanted(n_units, i);
		if (i >= g->embed && i - g->embed < g->n_extra)
			want += wanted(n_units, g->n + i - g->embed);
		assert_memory_equal(&g->level[0][i], &want, sizeof want);
	}
}

static void poison(struct gradient *g)
{
	for (int l = 0; l < g->n_levels; l++)
		for (size_t i = 0; i < g->n + g->n_extra; i++)
			g->level[l][i] = NAN;
}

/* Two regions, the second one all at once after the first: tensors need not keep step. */
static void units_are_summed_as_the_tree_is_defined(void **state)
{
	struct weights  w;
	struct gradient g;

	(void)state;
	assert_ok(weights_new(&tiny, &w));
	assert_ok(gradient_new(&w, 1, &g));
	for (uint32_t n = 0; n <= 20; n++) {
		assert_ok(gradient_begin(&g, n));
		poison(&g);
		for (uint32_t u = 0; u < n; u++)
			write_unit(&g, u, 0, 50);
		for (uint32_t u = 0; u < n; u++)
			for (size_t at = 50, n_end = g.n + g.n_extra; at < n_end; at += 40)
				write_unit(&g, u, at, n_end - at < 40 ? n_end - at : 40);
		g.n_units = n;
		gradient_finish(&g);
		check_sum(&g, n);
	}
	gradient_free(&g);
	weights_free(&w);
}

static void levels_suffice_and_are_counted_in_the_bill(void **state)
{
	const uint32_t units[] = {0, 1, 2, 3, 4, 7, 8, 9, 1000};
	const int    levels[] = {1, 1, 1, 2, 2, 3, 3, 3, 9}, pieces[] = {0, 0, 1, 0, 1, 0, 1, 1, 1};
	const size_t piece = 7 * 6 + 6 + 2 * 4 * 6; /* the embedding, a norm, the queries */
	struct weights  w;
	struct gradient g;

	(void)state;
	assert_ok(weights_new(&tiny, &w));
	for (size_t i = 0; i < 9; i++) {
		assert_ok(gradient_new(&w, (int)units[i], &g));
		assert_int_equal(g.n_levels, levels[i]);
		assert_int_equal(g.piece != NULL, pieces[i]);
		assert_int_equal(gradient_bytes(&w, (int)units[i]),
		                 ((size_t)levels[i] * (w.n + 7 * 6) + (size_t)pieces[i] * piece) *
		                         sizeof(float));
		for (uint32_t u = 0; u < units[i]; u++)
			gradient_slot(&g, u, 0);
		gradient_free(&g);
	}
	mem_fail_at(2);
	assert_memory(gradient_new(&w, 4, &g), "a gradient");
	weights_free(&w);
}

/* A region of many blocks, merged by several threads. */
static void threads_change_nothing(void **state)
{
	struct model_shape shape = tiny;
	struct weights     w;
	struct gradient    g;
	float             *first = NULL;

	(void)state;
	shape.n_vocab = 3000;
	shape.width = 32;
	assert_ok(weights_new(&shape, &w));
	for (int threads = 1; threads <= 3; threads++) {
		threads_set(threads);
		assert_ok(gradient_new(&w, 4, &g));
		for (uint32_t u = 0; u < 4; u++)
			for (size_t at = 0, n_end = g.n + g.n_extra; at < n_end; at += g.n_piece)
				write_unit(&g, u, at,
				           n_end - at < g.n_piece ? n_end - at : g.n_piece);
		g.n_units = 4;
		gradient_finish(&g);
		if (first)
			assert_memory_equal(first, g.level[0], g.n * sizeof(float));
		else if ((first = malloc(g.n * sizeof(float))))
			memcpy(first, g.level[0], g.n * sizeof(float));
		gradient_free(&g);
	}
	free(first);
	weights_free(&w);
}

TEST_MAIN(TEST(units_are_summed_as_the_tree_is_defined),
          TEST(levels_suffice_and_are_counted_in_the_bill), TEST(threads_change_nothing))
