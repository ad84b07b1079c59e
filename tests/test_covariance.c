/* Which tokens of an update move the entropy most, and what becomes of them. */
#include "estimator/advantage.h"
#include "estimator/covariance.h"
#include "fixture_f1.h"
#include "test.h"

#define TOLERANCE 2e-6

static const struct rng_key key = {1, RNG_TEST, 2, 3, 4};

/* F1 with GRPO's advantages. */
static struct batch f1_update(struct algorithm *a, float *adv, unsigned char *chosen)
{
	struct arena           arena = {0};
	struct advantage_stats stats = {0};
	struct batch           b = f1();

	assert_ok(advantage_into(a, b, &arena, adv, &stats));
	arena_free(&arena);
	b.advantage = adv;
	b.chosen = chosen;
	b.logp_new = f1_new;
	return b;
}

static void choose(const struct algorithm *a, const struct batch *b)
{
	struct arena arena = {0};

	memset(b->chosen, 7, (size_t)b->offset[b->n]);
	assert_ok(covariance_choose(a, b, f1_new, key, &arena));
	arena_free(&arena);
}

/* The advantages have the mean .346410, the log-probabilities -.955, so that the covariances are
 * .1325 .1845 -.2832 .4183 .1758 .7820 .3663 -.1793 -.0234 .3923: those of tokens 5, 3 and 9 are
 * the largest three of ten. */
static void the_largest_covariances_are_held_back(void **state)
{
	(void)state;
	struct algorithm       a = f1_algorithm("kl_cov");
	float                  adv[F1_T], c[F1_T];
	unsigned char          chosen[F1_T];
	struct batch           b = f1_update(&a, adv, chosen);
	struct totals          totals = {0};
	struct objective_stats s = {0};
	const double           want[F1_T] = {-.116901, -.078361, -.142783, -.047473, .095710,
	                                     .086602,  -.091043, -.058051, -.129196, -.086602};

	a.covariance_ratio = .3;
	choose(&a, &b);
	assert_memory_equal(chosen, ((unsigned char[]){0, 0, 0, 1, 0, 1, 0, 0, 0, 1}), F1_T);
	totals_add(&totals, &b);
	assert_ok(eval_into(&a, b, &totals, c, NULL, &s));
	assert_close(s.loss, -.418097, TOLERANCE);
	for (int t = 0; t < F1_T; t++)
		assert_close(c[t], want[t], TOLERANCE);
	a.covariance_coef = 2; /* -.6 + .5 of token 3, once more */
	s = (struct objective_stats){0};
	assert_ok(eval_into(&a, b, &totals, c, NULL, &s));
	assert_close(c[3], want[3] - .1, TOLERANCE);
	a.covariance_ratio = 1e-9; /* one at least */
	choose(&a, &b);
	assert_memory_equal(chosen, ((unsigned char[]){0, 0, 0, 0, 0, 1, 0, 0, 0, 0}), F1_T);
}

/* Between .15 and .5 lie tokens 1, 3, 4, 6 and 9; the clip has token 3 already. */
static void some_covariances_between_the_bounds_lose_their_gain(void **state)
{
	(void)state;
	const unsigned char    between[F1_T] = {0, 1, 0, 0, 1, 0, 1, 0, 0, 1};
	struct algorithm       a = f1_algorithm("clip_cov");
	float                  adv[F1_T], c[F1_T], plain[F1_T];
	unsigned char          chosen[F1_T];
	struct batch           b = f1_update(&a, adv, chosen), without = b;
	struct totals          totals = {0};
	struct objective_stats s = {0};
	int                    n = 0;

	a.covariance_low = .15, a.covariance_high = .5;
	a.covariance_ratio = 1;
	choose(&a, &b);
	assert_memory_equal(chosen, between, F1_T);
	a.covariance_ratio = .2;
	choose(&a, &b);
	for (int t = 0; t < F1_T; t++) {
		assert_true(!chosen[t] || between[t]);
		n += chosen[t];
	}
	assert_int_equal(n, 2);
	without.chosen = NULL;
	totals_add(&totals, &b);
	assert_ok(eval_into(&a, without, &totals, plain, NULL, &s));
	assert_ok(eval_into(&a, b, &totals, c, NULL, &s));
	for (int t = 0; t < F1_T; t++)
		assert_true(c[t] == (chosen[t] ? 0 : plain[t]));
}

/* An update that is not the first of its batch lies somewhere in its columns, and what is not
 * trained is not read. */
static void a_part_has_its_own_means(void **state)
{
	(void)state;
	unsigned char    trained[F1_T] = {1, 1, 1, 1, 1, 1, 1, 0, 1, 1}, chosen[F1_T];
	float            adv[F1_T];
	struct algorithm a = f1_algorithm("kl_cov");
	struct batch     b = f1_update(&a, adv, chosen), part;
	struct arena     arena = {0};

	b.trained = trained;
	adv[7] = NAN;
	adv[6] = 2, adv[8] = -1, adv[9] = 1.4f; /* mean .8; of logp -.25 -1 -.2: -.483333 */
	part = batch_part(&b, 3, 1);
	memset(chosen, 7, sizeof chosen);
	a.covariance_ratio = .5;
	assert_ok(covariance_choose(&a, &part, f1_new, key, &arena));
	/* .28 .93 .17, so token 8 */
	assert_memory_equal(chosen, ((unsigned char[]){7, 7, 7, 7, 7, 7, 0, 0, 1, 0}), F1_T);
	arena_free(&arena);
}

TEST_MAIN(TEST(the_largest_covariances_are_held_back),
          TEST(some_covariances_between_the_bounds_lose_their_gain), TEST(a_part_has_its_own_means))
