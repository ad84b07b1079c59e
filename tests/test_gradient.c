#include "model/gradient.h"

#include "base/threads.h"
#include "test.h"
#include "unit_sums.h"

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

static float wanted(const struct gradient_units *u, size_t i)
{
	float node[64];

	for (uint32_t k = 0; k < u->n; k++)
		node[k] = u->silent && u->silent[k] ? 0 : value(k, i);
	return tree_sum(node, u->n);
}

static void write_unit(struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	float *slot = gradient_slot(g, u, offset, count);

	for (size_t i = 0; i < count; i++)
		slot[i] = value(u, offset + i);
	gradient_merge(g, u, offset, count);
}

/* A window in two regions, the second one all at once after the first: tensors need not keep
 * step. */
static void write_window(struct gradient *g, size_t offset, size_t count)
{
	size_t half = count / 2;

	assert_ok(gradient_open(g, offset, count));
	for (int second = 0; second < 2; second++)
		for (uint32_t u = g->first; u < g->end; u++)
			if (!g->units.silent || !g->units.silent[u])
				write_unit(g, u, offset + (second ? half : 0),
				           second ? count - half : half);
	gradient_close(g);
}

/* The windows of the vector from its end to its start, as a backward pass goes by. */
static void write_pass(struct gradient *g, size_t window)
{
	if (g->first_written == g->end) {
		assert_ok(gradient_add_zeros(g));
		return;
	}
	for (size_t end = g->n + g->n_extra, count; end > 0; end -= count) {
		count = end < window ? end : window;
		write_window(g, end - count, count);
	}
}

static void check_sum(const struct gradient *g)
{
	for (size_t i = 0; i < g->n; i++) {
		float want = wanted(&g->units, i);
		if (i >= g->embed && i - g->embed < g->n_extra)
			want += wanted(&g->units, g->n + i - g->embed);
		assert_memory_equal(&g->level[0][i], &want, sizeof want);
	}
}

static void poison(struct gradient *g)
{
	for (int l = 0; l < g->n_levels; l++)
		for (size_t i = 0; i < g->n + g->n_extra; i++)
			g->level[l][i] = NAN;
	for (size_t i = 0; i < (size_t)g->n_above * g->room; i++)
		g->above[i] = NAN;
}

static void write_step(struct gradient *g, const struct gradient_units *units, size_t window)
{
	assert_ok(gradient_begin(g, units));
	poison(g);
	for (uint32_t next = 0; next < units->n; next = g->end) {
		if (next)
			gradient_next_pass(g);
		write_pass(g, window);
	}
	assert_ok(gradient_finish(g));
}

static void check_step(struct gradient *g, const struct gradient_units *units, size_t window)
{
	write_step(g, units, window);
	check_sum(g);
}

/* Whatever the passes, the windows and the levels that earlier steps left. */
static void units_are_summed_as_the_tree_is_defined(void **state)
{
	struct weights  w;
	struct gradient g;

	(void)state;
	assert_ok(weights_new(&tiny, &w));
	assert_ok(gradient_new(&w, &g));
	for (uint32_t n = 0; n <= 20; n++)
		for (uint32_t per_pass = 0; per_pass <= 16; per_pass = per_pass ? 2 * per_pass : 1)
			for (size_t window = 50; window < 1000; window *= 5)
				check_step(&g,
				           &(struct gradient_units){.n = n, .per_pass = per_pass},
				           window);
	gradient_free(&g);
	weights_free(&w);
}

/* Every set of silent units of a step of nine, and some of larger ones: also first ones, last ones
 * and whole passes. */
static void silent_units_count_as_zeros(void **state)
{
	struct weights  w;
	struct gradient g;
	unsigned char   silent[20];

	(void)state;
	assert_ok(weights_new(&tiny, &w));
	assert_ok(gradient_new(&w, &g));
	for (uint32_t set = 0; set < 1 << 9; set++) {
		for (uint32_t u = 0; u < 20; u++)
			silent[u] = (unsigned char)(set >> (u * 7 % 9) & 1);
		check_step(&g, &(struct gradient_units){9, set & 1 ? 2 : 4, silent, NULL}, 120);
		check_step(&g, &(struct gradient_units){9 + set % 11, 1u << set % 5, silent, NULL},
		           500);
	}
	gradient_free(&g);
	weights_free(&w);
}

/* Levels in full, and those of a window. */
static void levels_suffice_and_are_counted_in_the_bill(void **state)
{
	static const struct {
		uint32_t n, per_pass;
		int      full, above;
	} cases[] = {{0, 0, 1, 0}, {1, 0, 1, 0},  {2, 0, 1, 1},  {3, 0, 1, 1},
	             {4, 0, 1, 2}, {8, 0, 1, 3},  {8, 4, 1, 3},  {8, 2, 2, 2},
	             {8, 1, 3, 1}, {12, 4, 1, 3}, {16, 4, 2, 3}, {1000, 8, 6, 4}};
	struct weights  w;
	struct gradient g;

	(void)state;
	assert_ok(weights_new(&tiny, &w));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct gradient_units units = {.n = cases[i].n, .per_pass = cases[i].per_pass};
		assert_ok(gradient_new(&w, &g));
		write_step(&g, &units, 100);
		assert_int_equal(g.n_levels, cases[i].full);
		assert_int_equal(g.n_above, cases[i].n > 1 ? cases[i].above : 0);
		assert_int_equal(
		        gradient_bytes(&w, &units, 100),
		        ((size_t)cases[i].full * (w.n + 7 * 6) + (size_t)cases[i].above * 100) *
		                sizeof(float));
		gradient_free(&g);
	}
	mem_fail_at(1);
	assert_memory(gradient_new(&w, &g), "a gradient");
	assert_ok(gradient_new(&w, &g));
	mem_fail_at(1);
	assert_memory(gradient_begin(&g, &(struct gradient_units){.n = 8, .per_pass = 1}),
	              "a gradient");
	mem_fail_at(0);
	assert_ok(gradient_begin(&g, &(struct gradient_units){.n = 8, .per_pass = 1}));
	mem_fail_at(1);
	assert_memory(gradient_open(&g, 0, 10), "the window of a gradient");
	mem_fail_at(0);
	gradient_free(&g);
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
		assert_ok(gradient_new(&w, &g));
		assert_ok(gradient_begin(&g, &(struct gradient_units){.n = 4}));
		write_pass(&g, 40000);
		assert_ok(gradient_finish(&g));
		if (first)
			assert_memory_equal(first, g.level[0], g.n * sizeof(float));
		else if ((first = malloc(g.n * sizeof(float))))
			memcpy(first, g.level[0], g.n * sizeof(float));
		gradient_free(&g);
	}
	free(first);
	weights_free(&w);
}

TEST_MAIN(TEST(units_are_summed_as_the_tree_is_defined), TEST(silent_units_count_as_zeros),
          TEST(levels_suffice_and_are_counted_in_the_bill), TEST(threads_change_nothing))
