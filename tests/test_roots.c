/* The gradient and the weights of several ranks: whoever computes which units, each slice of the
 * sum is what the definition of the tree says, the norm is the same bits, and weights and moments
 * are those of one process. */
#include "on_ranks.h"
#include "run.h"
#include "unit_sums.h"

#include "base/shares.h"
#include "model/gradient.h"
#include "model/optimizer.h"
#include "model/roots.h"
#include "model/slices.h"

#include <math.h>

/* ---- shares ---- */

static int64_t work_of(const void *of, uint32_t item)
{
	return ((const int64_t *)of)[item];
}

static int64_t largest_share(const int64_t *work, const uint32_t *first, int parts)
{
	int64_t most = 0;

	for (int p = 0; p < parts; p++) {
		int64_t sum = 0;
		for (uint32_t i = first[p]; i < first[p + 1]; i++)
			sum += work[i];
		most = sum > most ? sum : most;
	}
	return most;
}

/* The smallest largest share of the items from `at` on, by trying all borders. */
static int64_t best_share(const int64_t *work, uint32_t at, uint32_t n, int parts)
{
	int64_t sum = 0, best = INT64_MAX;

	for (uint32_t i = at; i < n && parts == 1; i++)
		sum += work[i];
	if (parts == 1)
		return sum;
	for (uint32_t end = at; end <= n; end++) {
		int64_t rest = best_share(work, end, n, parts - 1), most = sum > rest ? sum : rest;
		best = most < best ? most : best;
		sum += end < n ? work[end] : 0;
	}
	return best;
}

static void shares_are_as_equal_as_they_can_be(void **state)
{
	(void)state;
	int64_t  work[12];
	uint32_t first[6];

	for (uint32_t trial = 0; trial < 300; trial++) {
		struct rng_key   key = {.seed = 2, .purpose = RNG_TEST, .item = trial};
		uint32_t         n = rng_below(key, 0, 13);
		int              parts = 1 + (int)rng_below(key, 1, 5);
		struct shares_of s = {n, work_of, work};
		int64_t          best;
		for (uint32_t i = 0; i < n; i++)
			work[i] = rng_below(key, 2 + i, trial % 3 ? 20 : 2);
		best = best_share(work, 0, n, parts);
		assert_int_equal(shares_cut(&s, parts, 1, first), best);
		assert_int_equal(largest_share(work, first, parts), best);
		assert_int_equal(first[0], 0);
		assert_int_equal(first[parts], n);
		shares_cut_aligned(&s, parts, first);
		assert_true(largest_share(work, first, parts) <= best + best / SHARES_LOSS);
	}
}

/* Equal units, as many as a power of 2: every rank of 2, 4, 8 has one root. Of 6 units on
 * 2 ranks, whole blocks would give one of them a third more work. */
static void shares_are_whole_blocks_where_that_costs_little(void **state)
{
	(void)state;
	int64_t  work[64];
	uint32_t first[9];

	for (int i = 0; i < 64; i++)
		work[i] = 500 + i % 7;
	for (int parts = 1; parts <= 8; parts *= 2) {
		shares_cut_aligned(&(struct shares_of){64, work_of, work}, parts, first);
		for (int p = 0; p < parts; p++)
			assert_int_equal(roots_count(first[p], first[p + 1], 64), 1);
	}
	shares_cut_aligned(&(struct shares_of){6, work_of, work}, 2, first);
	assert_int_equal(first[1], 3);
}

/* ---- the tree over ranks ---- */

static float wanted(const struct gradient_units *units, size_t i)
{
	float node[64];

	for (uint32_t u = 0; u < units->n; u++)
		node[u] = units->silent && units->silent[u] ? 0 : value(u, i);
	return tree_sum(node, units->n);
}

static void write_window(struct gradient *g, size_t offset, size_t count)
{
	CHECK(gradient_open(g, offset, count) == OK);
	for (uint32_t u = g->first; u < g->end; u++) {
		float *slot;
		if (g->units.silent && g->units.silent[u])
			continue;
		slot = gradient_slot(g, u, offset, count);
		for (size_t i = 0; i < count; i++)
			slot[i] = value(u, offset + i);
		gradient_merge(g, u, offset, count);
	}
	gradient_close(g);
}

static void write_pass(struct gradient *g, size_t window)
{
	if (g->first_written == g->end) {
		CHECK(gradient_add_zeros(g) == OK);
		return;
	}
	for (size_t end = g->n + g->n_extra, count; end > 0; end -= count) {
		count = end < window ? end : window;
		write_window(g, end - count, count);
	}
}

/* All passes of this rank, on levels that hold something else from before. */
static int write_step(struct gradient *g, const struct gradient_units *units, size_t window)
{
	TRY(gradient_begin(g, units));
	for (int l = 0; l < g->n_levels; l++)
		for (size_t i = 0; i < g->n + g->n_extra; i++)
			g->level[l][i] = NAN;
	for (uint32_t next = g->begin; next < g->last; next = g->end) {
		if (next > g->begin)
			gradient_next_pass(g);
		write_pass(g, window);
	}
	return gradient_finish(g);
}

static int is_wanted(const struct gradient *g)
{
	const struct weights_span mine = g->slices[ranks_number()];
	int                       same = 1;

	for (size_t i = mine.offset; i < mine.offset + mine.count; i++) {
		float want = wanted(&g->units, i);
		if (i >= g->embed && i - g->embed < g->n_extra)
			want += wanted(&g->units, g->n + i - g->embed);
		same &= !memcmp(&g->level[0][i], &want, sizeof want);
	}
	return same;
}

/* Borders of shares at random, empty ones among them. */
static void any_shares(uint32_t trial, uint32_t n, uint32_t *share)
{
	struct rng_key key = {.seed = 3, .purpose = RNG_TEST, .item = trial};
	int            R = ranks_count();

	share[0] = 0;
	share[R] = n;
	for (int r = 1; r < R; r++)
		share[r] = rng_below(key, (uint32_t)r, n + 1);
	for (int r = 1; r < R; r++)
		for (int q = r; q > 1 && share[q] < share[q - 1]; q--) {
			uint32_t swap = share[q];
			share[q] = share[q - 1];
			share[q - 1] = swap;
		}
}

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

static int add_up(void)
{
	struct weights  w;
	struct gradient g;
	uint32_t        share[RANKS_MOST + 1];
	unsigned char   silent[40];

	TRY(weights_new(&tiny, &w));
	TRY(gradient_new(&w, &g));
	for (uint32_t n = 1; n <= 40; n += n < 12 ? 1 : 7)
		for (uint32_t trial = 0; trial < 6; trial++) {
			struct gradient_units units = {n,
			                               (const uint32_t[]){0, 1, 2, 4, 8, 16}[trial],
			                               trial % 2 ? silent : NULL, share};
			any_shares(n * 8 + trial, n, share);
			for (uint32_t u = 0; u < n; u++)
				silent[u] = (u * 7 + trial) % 5 < 2 || trial == 5;
			TRY(write_step(&g, &units, trial % 3 ? 100 : 1000));
			CHECK(is_wanted(&g));
		}
	gradient_free(&g);
	weights_free(&w);
	return OK;
}

static void any_shares_of_units_give_the_sum_of_one_process(void **state)
{
	(void)state;
	for (int n = 1; n <= RANKS_MOST; n++) {
		on_ranks(n, add_up, 0);
		for (int r = 0; r < n; r++)
			assert_int_equal(outcomes[r].status, OK);
	}
}

/* What an all-reduce does: each rank adds up its units, then the ranks' sums are added in order. If
 * that were the same, the tests above would show nothing. */
static void sums_in_the_order_of_ranks_are_other_bits(void **state)
{
	(void)state;
	int differ = 0, n = 16, R = 4;

	for (size_t i = 0; i < 200; i++) {
		struct gradient_units units = {.n = (uint32_t)n};
		float                 sum = 0, want = wanted(&units, i);
		for (int r = 0; r < R; r++) {
			float local = 0;
			for (int u = r * n / R; u < (r + 1) * n / R; u++)
				local += value((uint32_t)u, i);
			sum += local;
		}
		differ += sum != want;
	}
	assert_true(differ > 20);
}

/* ---- long vectors ---- */

enum { TENSORS = 5 };

/* Weights of this length, in a few tensors of lengths of their own. */
static void make_weights(size_t n, struct tensor *t, struct weights *w)
{
	size_t at = 0;

	*w = (struct weights){.tensors = t, .n = n};
	for (int i = 0; i < TENSORS && at < n; i++) {
		size_t left = n - at, count = i + 1 < TENSORS ? left / 2 + 1 : left;
		t[w->n_tensors] = (struct tensor){
		        .n_dims = 1 + i % 2, .rows = (int)count, .columns = 1, .offset = at};
		snprintf(t[w->n_tensors].name, sizeof t->name, "tensor.%d", i);
		t[w->n_tensors++].count = count;
		at += count;
	}
}

/* A cheap value, of which a million are made for each unit. */
static float cheap(uint32_t u, size_t i)
{
	uint32_t h = (uint32_t)(i * 2654435761u) ^ (u + 1) * 2246822519u;

	h ^= h >> 15;
	h *= 2654435761u;
	h ^= h >> 13;
	return (float)ldexp((double)h - 2147483648.0, -(int)(h >> 8 & 31));
}

static void fill(struct gradient *g)
{
	CHECK(gradient_open(g, 0, g->n) == OK);
	for (uint32_t u = g->first; u < g->end; u++) {
		float *slot = gradient_slot(g, u, 0, g->n);
		for (size_t i = 0; i < g->n; i++)
			slot[i] = cheap(u, i);
		gradient_merge(g, u, 0, g->n);
	}
	gradient_close(g);
}

/* Seven units, in shares that are no blocks, of a vector of body_parameter floats. */
static int add_up_long(void)
{
	struct weights        w;
	struct tensor         t[TENSORS];
	struct gradient       g;
	uint32_t              share[RANKS_MOST + 1];
	struct gradient_units units = {.n = 7, .share = share};
	struct weights_span   mine;

	make_weights((size_t)body_parameter, t, &w);
	for (int r = 0; r <= ranks_count(); r++)
		share[r] = 7u * (uint32_t)r / (uint32_t)ranks_count();
	TRY(gradient_new(&w, &g));
	TRY(gradient_begin(&g, &units));
	fill(&g);
	TRY(gradient_finish(&g));
	mine = g.slices[ranks_number()];
	for (size_t i = mine.offset; i < mine.offset + mine.count; i++) {
		float node[7], want;
		for (uint32_t u = 0; u < 7; u++)
			node[u] = cheap(u, i);
		want = tree_sum(node, 7);
		CHECK(!memcmp(&g.level[0][i], &want, sizeof want));
	}
	gradient_free(&g);
	return OK;
}

static void every_element_of_vectors_of_any_length_arrives(void **state)
{
	(void)state;
	static const int lengths[] = {
	        1, 2, 3, 7, 63, 1000, 4097, 65537, ROOTS_PIECE, 3 * ROOTS_PIECE + 1, 1000000};

	for (int n = 2; n <= RANKS_MOST; n += n < 5 ? 1 : 3)
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
			if (lengths[i] > 70000 && n != 3 && n != RANKS_MOST)
				continue;
			on_ranks(n, add_up_long, lengths[i]);
			for (int r = 0; r < n; r++)
				assert_int_equal(outcomes[r].status, OK);
		}
}

/* ---- the optimizer ---- */

enum { MANY = 20000, STEPS = 3 };

struct trained { /* by one process, or by what the ranks do together */
	float  w[MANY];
	double norm[STEPS];
};
static struct trained alone;

static int train(const char *from, const char *to, struct trained *out)
{
	struct weights          w;
	struct tensor           t[TENSORS];
	struct optimizer        o;
	struct optimizer_report report;
	static float            g[MANY];

	make_weights(MANY, t, &w);
	w.data = out->w;
	TRY(optimizer_new(&w,
	                  &(struct optimizer_options){.beta1 = 0.9,
	                                              .beta2 = 0.99,
	                                              .epsilon = 1e-8,
	                                              .weight_decay = 0.1,
	                                              .max_grad_norm = 1},
	                  &o));
	if (from)
		TRY(optimizer_load(&o, &w, from));
	o.step = from ? STEPS : 0;
	for (int step = 0; step < STEPS; step++) {
		for (size_t i = 0; i < MANY; i++) /* what is another rank's is of no use */
			g[i] = i >= o.mine.offset && i < o.mine.offset + o.mine.count
			               ? cheap((uint32_t)step, i) * 1e-9f
			               : NAN;
		TRY(optimizer_step(&o, &w, g, 0.01, &report));
		CHECK(!report.skipped);
		out->norm[step] = report.grad_norm;
	}
	TRY(optimizer_save(&o, &w, ranks_first() ? to : NULL));
	optimizer_free(&o);
	return OK;
}

static int train_together(void)
{
	static struct trained ours;

	TRY(train(NULL, "together", &ours));
	CHECK(!memcmp(&ours, &alone, sizeof ours));
	/* on from the moments that one process wrote */
	TRY(train("alone", "together", &ours));
	return OK;
}

static void moments_are_shared_out_and_no_bit_changes(void **state)
{
	(void)state;
	static struct trained on;
	size_t                n, m;
	char                 *one, *many;

	assert_ok(train(NULL, "alone", &alone));
	on = alone;
	assert_ok(train("alone", "on", &on));
	one = read_all("on", &n);
	for (int R = 2; R <= RANKS_MOST; R++) {
		on_ranks(R, train_together, 0);
		for (int r = 0; r < R; r++)
			assert_int_equal(outcomes[r].status, OK);
		many = read_all("together", &m);
		assert_int_equal(n, m);
		assert_memory_equal(one, many, n);
		free(many);
	}
	free(one);
}

/* ---- losses ---- */

/* Rank body_parameter % 4 ends in the exchange of a gradient, of the norm or of the weights. */
static int lose_one(void)
{
	struct weights           w;
	struct tensor            t[TENSORS];
	struct gradient          g;
	struct optimizer         o;
	struct optimizer_report  report;
	struct optimizer_options options = optimizer_defaults();
	uint32_t                 share[] = {0, 1, 3, 6, 7};
	int                      dies = ranks_number() == body_parameter % 4;
	static float             data[MANY];

	make_weights(MANY, t, &w);
	w.data = data;
	TRY(gradient_new(&w, &g));
	TRY(optimizer_new(&w, &options, &o));
	TRY(gradient_begin(&g, &(struct gradient_units){.n = 7, .share = share}));
	fill(&g);
	if (dies && body_parameter / 4 == 0)
		raise(SIGKILL);
	TRY(gradient_finish(&g));
	if (dies && body_parameter / 4 == 1)
		raise(SIGKILL);
	TRY(optimizer_step(&o, &w, g.level[0], 0.01, &report));
	if (dies)
		raise(SIGKILL);
	return optimizer_save(&o, &w, ranks_first() ? "lost" : NULL);
}

static void a_rank_that_is_lost_in_an_exchange_ends_the_others(void **state)
{
	(void)state;
	char wanted[64];

	for (int when = 0; when < 12; when++) {
		on_ranks(4, lose_one, when);
		snprintf(wanted, sizeof wanted, "rank %d on ", when % 4);
		for (int r = 0; r < 4; r++) {
			if (r == when % 4)
				continue;
			assert_int_equal(outcomes[r].status, ERR_FAILED);
			assert_true(strstr(outcomes[r].message, wanted) == outcomes[r].message);
		}
	}
	assert_false(file_exists("lost")); /* nothing that is half written */
}

/* Of R ranks each has about a part in R of the moments; the slices cover the vector. */
static int count_moments(void)
{
	struct weights       w;
	struct weights_span *slices;
	struct arena         a = {0};
	size_t               at = 0;

	TRY(weights_new(&tiny, &w));
	TRY(slices_cut(&w, &a, &slices));
	for (int r = 0; r < ranks_count(); r++) {
		CHECK(slices[r].offset == at && slices[r].count <= slices_largest(&w));
		at += slices[r].count;
	}
	CHECK(at == w.n);
	CHECK(slices_largest(&w) <= w.n / (size_t)ranks_count() + 48);
	CHECK(optimizer_bytes(&w) < 2 * sizeof(float) * slices_largest(&w) + 4096);
	arena_free(&a);
	weights_free(&w);
	return OK;
}

static void slices_cover_the_vector_and_are_about_equal(void **state)
{
	(void)state;
	for (int n = 1; n <= RANKS_MOST; n++)
		on_ranks(n, count_moments, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(shares_are_as_equal_as_they_can_be),
	        TEST(shares_are_whole_blocks_where_that_costs_little),
	        TEST(any_shares_of_units_give_the_sum_of_one_process),
	        TEST(sums_in_the_order_of_ranks_are_other_bits),
	        TEST(every_element_of_vectors_of_any_length_arrives),
	        TEST(moments_are_shared_out_and_no_bit_changes),
	        TEST(a_rank_that_is_lost_in_an_exchange_ends_the_others),
	        TEST(slices_cover_the_vector_and_are_about_equal),
	};

	run_in_temporary_folder();
	threads_set(1); /* copies of a process with threads could not have any */
	on_ranks_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
