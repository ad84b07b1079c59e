/* The batch is written down once: every column has its row in the table, everything that treats all
 * columns alike does so, and every estimator reads and writes what the table says. */
#include "estimator/batch.h"

#include "estimator/credit.h"
#include "estimator/overlong.h"
#include "estimator/token_weight.h"
#include "fixture_f1.h"
#include "rl/critic.h"
#include "test.h"

enum { COLUMNS = 64, BYTES = 128 }; /* more than there are, and than a column of F1 has */

static size_t elements(const struct batch *b, const struct batch_column *c)
{
	return (size_t)(c->per == BATCH_TOKENS ? b->offset[b->n] : b->n);
}

static size_t bytes_of(const struct batch *b, const struct batch_column *c)
{
	size_t n = elements(b, c) * c->size;

	assert_true(n <= BYTES);
	return n;
}

/* ---- the table ---- */

/* Not by the table: whatever pointer stands behind the shape is a column. */
static void every_field_of_the_batch_has_one_row_of_the_table(void **state)
{
	(void)state;
	const size_t first = offsetof(struct batch, trained);

	for (size_t at = first; at < sizeof(struct batch); at += sizeof(void *)) {
		const struct batch_column *c;
		int                        rows = 0;
		for (int i = 0; (c = batch_column_at(i)); i++)
			rows += c->at == at;
		assert_int_equal(rows, 1);
	}
}

static void every_column_has_somebody_who_fills_it_and_reads_it(void **state)
{
	(void)state;
	const struct batch_column *c;

	for (int i = 0; (c = batch_column_at(i)); i++) {
		assert_true(c->read_by);
		assert_true(c->written_by || c->at == offsetof(struct batch, logp_held));
		assert_int_equal(c->origin != BATCH_MADE, (c->written_by & BATCH_RECORD) != 0);
	}
}

/* ---- a batch with every column ---- */

static const struct context contexts[F1_R];

/* The shape of F1 with an untrained token in rows 0 and 3; no two elements of a column are alike
 * where its kind allows it. Numbers are such that every estimator has something to say: two groups,
 * the second without advantage, a reward that could not be computed, a guided row, stale tokens. */
static struct batch full(struct arena *a)
{
	static const int64_t groups[F1_R] = {5, 5, 8, 8};
	static const double  rewards[F1_R] = {1, NAN, .5, .25};
	static const double  parts[F1_R][2] = {{1, 2}, {3, 5}, {8, 13}, {21, 34}};
	static const double  part_weights[2] = {1, .5};
	struct batch         b;

	assert_ok(batch_new(F1_R, a, &b));
	b.n_components = 2;
	b.component_weights = part_weights;
	memcpy(b.offset, f1_offset, sizeof f1_offset);
	for (int i = 0; batch_column_at(i); i++) {
		const struct batch_column *c = batch_column_at(i);
		void                      *array;
		assert_ok(batch_take(&b, c->at, a));
		array = batch_array(&b, c);
		for (int k = 0; k < (int)elements(&b, c); k++)
			if (c->element == BATCH_FLOAT)
				((float *)array)[k] = -.3f - .07f * (float)((k * 7 + i * 3) % 23);
			else if (c->element == BATCH_DOUBLE)
				((double *)array)[k] = .01 * (1 + (k * 7 + i) % 13);
	}
	for (int t = 0; t < F1_T; t++) {
		b.trained[t] = t != 1 && t != 8;
		b.id[t] = t % 4;
		b.high[t] = t % 3 == 0;
		b.chosen[t] = t % 4 == 2;
		b.observed[t] = t == 1;
		b.entropy[t] = b.entropy_new[t] = .2f + .1f * (float)((t * 3) % 7);
		b.advantage[t] = t < f1_offset[2] ? .1f - .2f * (float)t : 0;
		b.logp_rollout[t] = -.3f - .25f * (float)t;
		b.c[t] = b.h[t] = 7;
	}
	for (int r = 0; r < F1_R; r++) {
		b.group_tokens[r] = 5 + r;
		b.good[r] = r == 0 || r == 3;
		b.components[r] = parts[r];
		b.prompt[r] = &contexts[r];
		b.group[r] = groups[r];
		b.reward[r] = rewards[r];
		b.guided[r] = r == 1;
		b.truncated[r] = r % 2;
		b.stop[r] = r == 2 ? STOP_CONTEXT : STOP_LENGTH;
	}
	return b;
}

static void assert_same_row(const struct batch *a, int row_a, const struct batch *b, int row_b)
{
	const struct batch_column *c;

	for (int i = 0; (c = batch_column_at(i)); i++) {
		int    tokens = c->per == BATCH_TOKENS;
		size_t first_a = (size_t)(tokens ? a->offset[row_a] : row_a);
		size_t first_b = (size_t)(tokens ? b->offset[row_b] : row_b);
		size_t n = tokens ? (size_t)(a->offset[row_a + 1] - a->offset[row_a]) : 1;
		assert_non_null(batch_array(b, c));
		assert_memory_equal((char *)batch_array(a, c) + first_a * c->size,
		                    (char *)batch_array(b, c) + first_b * c->size, n * c->size);
	}
}

/* ---- loops over the table ---- */

static void permuted_rows_keep_every_column(void **state)
{
	(void)state;
	static const int order[F1_R] = {2, 3, 0, 1};
	struct arena     a = {0};
	struct batch     b = full(&a), out;

	b.batch_tokens = 8;
	b.updates = 3;
	b.n_components = 2;
	assert_ok(batch_permute(&b, order, &a, &out));
	assert_int_equal(out.n, F1_R);
	assert_int_equal(out.offset[F1_R], F1_T);
	assert_int_equal(out.batch_tokens, 8);
	assert_int_equal(out.updates, 3);
	assert_int_equal(out.n_components, 2);
	assert_ptr_equal(out.component_weights, b.component_weights);
	for (int r = 0; r < F1_R; r++)
		assert_same_row(&b, order[r], &out, r);
	arena_free(&a);
}

static void a_slice_has_every_column_of_its_rows(void **state)
{
	(void)state;
	struct arena a = {0};
	struct batch b = full(&a);

	for (int first = 0; first < F1_R; first++)
		for (int n = 1; first + n <= F1_R; n++) {
			struct batch part = batch_part(&b, first, n);
			assert_int_equal(part.n, n);
			for (int r = 0; r < n; r++)
				assert_same_row(&b, first + r, &part, r);
		}
	arena_free(&a);
}

static void a_column_that_is_not_there_stays_away(void **state)
{
	(void)state;
	static const int           order[F1_R] = {3, 2, 1, 0};
	const struct batch_column *c;
	struct arena               a = {0};
	struct batch               b = full(&a), out, part;

	for (int i = 0; (c = batch_column_at(i)); i++)
		memset((char *)&b + c->at, 0, sizeof(void *));
	assert_ok(batch_permute(&b, order, &a, &out));
	part = batch_part(&b, 1, 2);
	for (int i = 0; (c = batch_column_at(i)); i++)
		assert_true(!batch_array(&out, c) && !batch_array(&part, c));
	arena_free(&a);
}

static void no_column_that_is_read_hides_a_nan(void **state)
{
	(void)state;
	const struct batch_column *c;
	int                        seen = 0;

	for (int i = 0; (c = batch_column_at(i)); i++)
		for (int t = 0; t < F1_T; t++) {
			struct arena a = {0};
			struct batch b = full(&a);
			int          row = t < 3 ? 0 : t < 5 ? 1 : t < 6 ? 2 : 3, read;
			if (c->element == BATCH_FLOAT) {
				read = (c->read_by & BATCH_OBJECTIVE) && b.trained[t];
				assert_true(batch_is_finite(&b, row, BATCH_OBJECTIVE));
				((float *)batch_array(&b, c))[t] = t % 2 ? NAN : INFINITY;
				for (int r = 0; r < F1_R; r++)
					assert_int_equal(batch_is_finite(&b, r, BATCH_OBJECTIVE),
					                 !(read && r == row));
				seen += read;
			}
			arena_free(&a);
		}
	assert_true(seen >= 8 * 8); /* eight columns, or more, at eight trained tokens */
}

/* Written without the table. */
static void the_records_fill_their_columns(void **state)
{
	(void)state;
	static const int     ids[] = {4, 5, 6, 7};
	static const float   logp[] = {-1, -2, -3, -4}, entropy[] = {.1f, .2f, .3f, .4f};
	static const double  rise[] = {.5, .25, .125, .0625}, parts[] = {1, 2};
	static unsigned char trained[] = {1, 0, 1, 1};
	struct rollout       r[2][2];
	struct group         g[2] = {{.id = 9, .n = 1, .rollouts = r[0]},
	                             {.id = 4, .n = 2, .rollouts = r[1]}};
	struct arena         a = {0};
	struct batch         b;

	for (int i = 0; i < 4; i++)
		r[i / 2][i % 2] = (struct rollout){.sampled_under = &contexts[i == 3 ? 1 : 0],
		                                   .trained_under = &contexts[0],
		                                   .n = 1 + i % 2,
		                                   .ids = ids + i,
		                                   .trained = trained + i,
		                                   .logp = logp + i,
		                                   .entropy = entropy + i,
		                                   .rise = rise + i,
		                                   .components = parts,
		                                   .n_components = 2,
		                                   .reward = i,
		                                   .truncated = i == 2,
		                                   .stop = i == 2 ? STOP_LENGTH : STOP_EOS};
	trained[1] = 0;
	r[1][1].n = 1;
	r[1][0].n = 2;
	assert_ok(batch_of_groups(g, 2, &a, &b));
	assert_int_equal(b.n, 3);
	assert_memory_equal(b.offset, ((int[]){0, 1, 3, 4}), 4 * sizeof *b.offset);
	assert_memory_equal(b.id, ((int[]){4, 6, 7, 7}), 4 * sizeof *b.id);
	assert_memory_equal(b.logp_old, ((float[]){-1, -3, -4, -4}), 4 * sizeof *b.logp_old);
	assert_memory_equal(b.entropy, ((float[]){.1f, .3f, .4f, .4f}), 4 * sizeof *b.entropy);
	assert_memory_equal(b.rise, ((double[]){.5, .125, .0625, .0625}), 4 * sizeof *b.rise);
	assert_memory_equal(b.trained, ((unsigned char[]){1, 1, 1, 1}), 4);
	assert_memory_equal(b.group, ((int64_t[]){9, 4, 4}), 3 * sizeof *b.group);
	assert_memory_equal(b.reward, ((double[]){0, 2, 3}), 3 * sizeof *b.reward);
	assert_memory_equal(b.guided, ((unsigned char[]){0, 0, 1}), 3);
	assert_int_equal(b.n_components, 2);
	assert_true(b.components[0] == parts && b.components[2] == parts);
	assert_memory_equal(b.truncated, ((int[]){0, 1, 0}), 3 * sizeof *b.truncated);
	assert_true(b.stop[0] == STOP_EOS && b.stop[1] == STOP_LENGTH && b.stop[2] == STOP_EOS);
	assert_true(b.prompt[0] == &contexts[0] && b.prompt[2] == &contexts[0]);
	assert_true(!b.advantage && !b.weight && !b.logp_ref);
	r[0][0].rise = NULL; /* no token rewards in this run */
	g[0].n = 1;
	assert_ok(batch_of_groups(g, 1, &a, &b));
	assert_null(b.rise);
	arena_free(&a);
}

/* ---- what the table says of the estimators ---- */

enum { VARIANTS = 3, STATS = 512 };
struct outcome { /* of one estimator on one batch */
	struct batch  b;
	struct arena  a;
	unsigned char stats[STATS];
};

#define KEEP(s) memcpy(out->stats, &(s), sizeof(s))

static void run_overlong(struct outcome *out, int variant)
{
	struct algorithm      a = f1_algorithm("dapo");
	struct overlong_stats s = {0};

	a.overlong = (enum overlong)variant;
	assert_ok(overlong_apply(&a, &out->b, &out->a, &s));
	KEEP(s);
}

static void run_token_weight(struct outcome *out, int variant)
{
	struct algorithm          a = f1_algorithm("grpo");
	struct token_weight_stats s = {0};

	a.mismatch = variant ? MISMATCH_SEQUENCE_TRUNCATE : MISMATCH_TOKEN_TRUNCATE;
	a.mismatch_max = 9;
	a.top_entropy = .5;
	assert_ok(token_weight_fill(&a, &out->b, &out->a, &s));
	KEEP(s);
}

static void run_advantage(struct outcome *out, int variant)
{
	struct algorithm       a = f1_algorithm(variant == 0 ? "ppo" : "rloo");
	struct advantage_stats s = {0};

	a.beta = .1;
	a.kl_placement = variant == 2 ? KL_IN_TOKEN_REWARD : KL_IN_REWARD;
	a.multi_objective_aggregation = variant == 2 ? NORMALIZE_THEN_SUM : SUM_THEN_NORMALIZE;
	assert_ok(advantage_fill(&a, &out->b, &out->a, &s));
	KEEP(s);
}

static void run_credit(struct outcome *out, int variant)
{
	static const unsigned char line_end[] = {0, 1, 0, 0};
	struct credit_options      o = {.empg = 1, .k = 1, .k_bonus = 1, .zeta = .1};
	struct credit_stats        s;

	o.line_end = line_end;
	o.zero_variance = variant ? ZERO_VARIANCE_ZERO : ZERO_VARIANCE_SHAPE;
	assert_ok(credit_apply(&o, &out->b, (struct rng_key){1, RNG_TEST, 0, 0, 0}, &out->a, &s));
	KEEP(s);
}

static void run_objective(struct outcome *out, int variant)
{
	struct algorithm a = f1_algorithm(variant == 0 ? "grpo" : variant == 1 ? "cispo" : "dapo");
	struct totals    totals = {0};
	struct objective_stats s = {0};

	a.guided_clip = CLIP_HARD;
	a.entropy_coef = .1;
	a.beta = .1;
	a.kl_placement = KL_IN_LOSS;
	a.off_policy_mask = variant == 2 ? .1 : 0;
	a.loss_type = variant == 1 ? PROMPT_MEAN : a.loss_type;
	a.positive_nll = .1;
	a.echo = .1;
	a.covariance = COVARIANCE_CLIP;
	totals_add(&totals, &out->b);
	assert_ok(objective_eval(&a, &out->b, &totals, &s));
	KEEP(s);
}

static void run_critic(struct outcome *out, int variant)
{
	struct critic_options o = {.vf_coef = .5, .cliprange_value = variant * .1};
	struct critic_stats   s = {0};

	if (variant == 2)
		critic_measure(&out->b, &s);
	else
		critic_loss(&o, &out->b, F1_T, &s);
	KEEP(s);
}

static const struct estimator {
	enum batch_user user;
	void (*run)(struct outcome *out, int variant);
} estimators[] = {{BATCH_OVERLONG, run_overlong},   {BATCH_TOKEN_WEIGHT, run_token_weight},
                  {BATCH_ADVANTAGE, run_advantage}, {BATCH_CREDIT, run_credit},
                  {BATCH_OBJECTIVE, run_objective}, {BATCH_CRITIC, run_critic}};
enum { ESTIMATORS = sizeof estimators / sizeof *estimators };

/* Moves the elements of a column on by one place; each stays one that can stand there. */
static void rotate(const struct batch *b, const struct batch_column *c)
{
	unsigned char  last[16];
	unsigned char *array = batch_array(b, c);
	size_t         n = bytes_of(b, c);

	memcpy(last, array + n - c->size, c->size);
	memmove(array + c->size, array, n - c->size);
	memcpy(array, last, c->size);
}

/* The batch after the estimator, with column `moved` moved on before, and that column as it was
 * before. */
static void run(const struct estimator *e, int variant, const struct batch_column *moved,
                struct outcome *out, unsigned char *before)
{
	*out = (struct outcome){0};
	out->b = full(&out->a);
	if (moved) {
		rotate(&out->b, moved);
		memcpy(before, batch_array(&out->b, moved), bytes_of(&out->b, moved));
	}
	e->run(out, variant);
}

/* Whether the two outcomes differ in anything but an untouched column that was moved. */
static int differ(const struct outcome *x, const struct outcome *y,
                  const struct batch_column *moved, const unsigned char *before)
{
	const struct batch_column *c;

	if (memcmp(x->stats, y->stats, STATS))
		return 1;
	for (int i = 0; (c = batch_column_at(i)); i++) {
		const void *after = batch_array(&y->b, c);
		size_t      n = bytes_of(&y->b, c);
		if (c == moved && !memcmp(after, before, n))
			continue;
		if (memcmp(batch_array(&x->b, c), after, n))
			return 1;
	}
	return 0;
}

static void every_estimator_writes_the_columns_that_the_table_says(void **state)
{
	(void)state;
	for (int e = 0; e < ESTIMATORS; e++) {
		const struct batch_column *c;
		int                        written[COLUMNS] = {0};

		for (int v = 0; v < VARIANTS; v++) {
			struct arena   a = {0};
			struct batch   b = full(&a);
			struct outcome out;
			run(&estimators[e], v, NULL, &out, NULL);
			for (int i = 0; (c = batch_column_at(i)); i++)
				written[i] |= memcmp(batch_array(&b, c), batch_array(&out.b, c),
				                     bytes_of(&b, c)) != 0;
			arena_free(&out.a);
			arena_free(&a);
		}
		for (int i = 0; (c = batch_column_at(i)); i++)
			if (written[i] != ((c->written_by & estimators[e].user) != 0))
				fail_msg("estimator %d: column %s", e, c->name);
	}
}

static void every_estimator_reads_the_columns_that_the_table_says(void **state)
{
	(void)state;
	for (int e = 0; e < ESTIMATORS; e++) {
		const struct batch_column *c;

		for (int i = 0; (c = batch_column_at(i)); i++) {
			unsigned char before[BYTES];
			int           read = 0;
			for (int v = 0; v < VARIANTS; v++) {
				struct outcome as_it_is, moved;
				run(&estimators[e], v, NULL, &as_it_is, NULL);
				run(&estimators[e], v, c, &moved, before);
				read |= differ(&as_it_is, &moved, c, before);
				arena_free(&as_it_is.a);
				arena_free(&moved.a);
			}
			if (read != ((c->read_by & estimators[e].user) != 0))
				fail_msg("estimator %d: column %s", e, c->name);
		}
	}
}

static void short_memory_is_an_error_of_every_loop(void **state)
{
	(void)state;
	static const int order[F1_R] = {3, 2, 1, 0};
	struct arena     a = {0}, empty = {0};
	struct batch     b = full(&a), out;

	mem_fail_at(1);
	assert_memory(batch_permute(&b, order, &empty, &out), "the rows of the batch");
	b.weight = NULL;
	mem_fail_at(1);
	assert_memory(BATCH_TAKE(&b, weight, &empty), "a column of the batch");
	mem_fail_at(0);
	arena_free(&empty);
	arena_free(&a);
}

TEST_MAIN(TEST(every_field_of_the_batch_has_one_row_of_the_table),
          TEST(every_column_has_somebody_who_fills_it_and_reads_it),
          TEST(permuted_rows_keep_every_column), TEST(a_slice_has_every_column_of_its_rows),
          TEST(a_column_that_is_not_there_stays_away), TEST(no_column_that_is_read_hides_a_nan),
          TEST(the_records_fill_their_columns),
          TEST(every_estimator_writes_the_columns_that_the_table_says),
          TEST(every_estimator_reads_the_columns_that_the_table_says),
          TEST(short_memory_is_an_error_of_every_loop))
