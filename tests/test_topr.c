/* TOPR and the limits of its family (arXiv:2503.14286) on numbers worked out outside this
 * program. */
#include "estimator/advantage.h"
#include "estimator/objective.h"
#include "fixture_f1.h"
#include "test.h"

#define TOLERANCE 1e-6

static unsigned char all[1024] = {[0 ... 1023] = 1};

static struct objective_stats eval(const struct algorithm *a, struct batch b, float *c)
{
	struct totals          totals = {0};
	struct objective_stats stats = {0};

	totals_add(&totals, &b);
	assert_ok(eval_into(a, b, &totals, c, NULL, &stats));
	return stats;
}

/* The bad answer: log x = -1.3. The good one behind it. */
static int   two_offset[3] = {0, 3, 6};
static float two_new[6] = {-2, -1, -3, -1, -.5f, -2}, two_mu[6] = {-1.5f, -1.2f, -2, -.1f, -9, -1};
static float two_adv[6] = {-1, -1, -1, 1, 1, 1};

static struct batch two(int first, int n)
{
	return (struct batch){.n = n,
	                      .offset = two_offset + first,
	                      .trained = all,
	                      .logp_new = two_new,
	                      .logp_old = two_mu,
	                      .advantage = two_adv};
}

static void the_three_forms_of_the_ratio_are_three_methods(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("topr");
	float            c[6];

	/* the paper: product over the answer */
	assert_close(eval(&a, two(0, 1), c).loss, -0.545064, TOLERANCE);
	for (int t = 0; t < 3; t++)
		assert_close(3 * c[t], 0.272532, TOLERANCE);
	a.loss_type = SEQUENCE_SUM;
	assert_close(eval(&a, two(0, 1), c).loss, -1.635191, TOLERANCE);
	a.importance_sampling_level = LEVEL_TOKEN; /* ROLL, Trinity-RFT */
	assert_close(eval(&a, two(0, 1), c).loss, -3.316700, TOLERANCE);
	assert_close(c[0], 0.606531, TOLERANCE);
	assert_close(c[1], 1, 0);
	assert_close(c[2], 0.367879, TOLERANCE);
	/* geometric mean, as verl's documentation has it */
	a.importance_sampling_level = LEVEL_SEQUENCE;
	eval(&a, two(0, 1), c);
	for (int t = 0; t < 3; t++)
		assert_close(c[t], 0.648344, TOLERANCE);
}

static void a_good_answer_ignores_its_ratio(void **state)
{
	(void)state;
	struct algorithm       a = f1_algorithm("topr");
	struct objective_stats s;
	float                  c[6];

	assert_close(eval(&a, two(1, 1), c).loss, 3.5 / 3, TOLERANCE);
	for (int t = 3; t < 6; t++)
		assert_close(3 * c[t], -1, TOLERANCE);
	s = eval(&a, two(0, 2), c);
	assert_close(s.loss, 0.310802, TOLERANCE);
	for (int t = 0; t < 6; t++)
		assert_close(c[t], t < 3 ? 0.045422 : -0.166667, TOLERANCE);
	assert_close(s.negative, 3, 0);
	assert_close(s.negative_weight / s.negative, 0.272532, TOLERANCE);
}

static void a_bad_answer_weighs_one_at_most_and_nothing_when_it_became_impossible(void **state)
{
	(void)state;
	enum { LONG = 1000 };
	static int       offset[2] = {0, LONG};
	static float     x[LONG], mu[LONG], adv[LONG], c[LONG];
	struct batch     b = {.n = 1,
	                      .offset = offset,
	                      .trained = all,
	                      .logp_new = x,
	                      .logp_old = mu,
	                      .advantage = adv};
	struct algorithm a = f1_algorithm("topr");

	for (int t = 0; t < LONG; t++)
		x[t] = -3, mu[t] = -1, adv[t] = -1; /* log x = -2000 */
	assert_close(eval(&a, b, c).loss, 0, 0);
	for (int t = 0; t < LONG; t++)
		assert_true(c[t] == 0);
	for (int t = 0; t < LONG; t++)
		x[t] = -.5f; /* log x = 500 */
	eval(&a, b, c);
	for (int t = 0; t < LONG; t++)
		assert_close(c[t] * LONG, 1, 1e-6);
}

/* A difference that computes alpha anew must not match. */
static void alpha_carries_no_gradient(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("topr");
	float            x[6], c[6], unused[6];
	struct batch     b = two(0, 1);
	double           above, below;

	eval(&a, b, c);
	memcpy(x, two_new, sizeof x);
	b.logp_new = x;
	x[0] = two_new[0] + 1e-3f;
	above = eval(&a, b, unused).loss;
	x[0] = two_new[0] - 1e-3f;
	below = eval(&a, b, unused).loss;
	assert_true(fabs((above - below) / 2e-3 - c[0]) > 0.1);
}

static void the_baseline_sets_the_share_of_good_answers(void **state)
{
	(void)state;
	static const double at[][3] = {
	        {.5, .8, .1}, {.1, -.5, .25}, {.3, .4, .155172}, {.9, .8, .5}, {.3, -1, 1}};
	static const double wanted[][2] = {
	        {.5, .7}, {.1, -.227273}, {.8, .915493}, {.02, -.792683}};

	for (size_t i = 0; i < 5; i++) {
		double p = at[i][0], c = at[i][1];
		assert_close(p * (1 - c) / (p * (1 - c) + (1 - p) * (1 + c)), at[i][2], TOLERANCE);
		assert_close(advantage_baseline_for(p, at[i][2]), c, 1e-4);
	}
	for (size_t i = 0; i < 4; i++)
		assert_close(advantage_baseline_for(wanted[i][0], .15), wanted[i][1], TOLERANCE);
}

/* R - c of rewards 0 and 1 taken as -1 and 1; NaN stays out; no group statistic, so a group of one
 * and an all-bad group learn. */
static void advantages_are_signed_rewards_minus_the_constant(void **state)
{
	(void)state;
	int          offset[4] = {0, 1, 2, 3};
	int64_t      group[3] = {1, 2, 3};
	double       reward[3] = {1, 0, NAN};
	struct batch b = {
	        .n = 3, .offset = offset, .trained = all, .group = group, .reward = reward};
	struct algorithm       a = f1_algorithm("topr");
	struct advantage_stats stats = {0};
	struct arena           scratch = {0};
	float                  adv[3];

	assert_ok(advantage_into(&a, b, &scratch, adv, &stats));
	assert_true(adv[0] == 1 && adv[1] == -1 && adv[2] == 0);
	a.baseline = BASELINE_CONSTANT;
	a.baseline_value = .75;
	assert_ok(advantage_into(&a, b, &scratch, adv, &stats));
	assert_true(adv[0] == .25f && adv[1] == -1.75f);
	a.signed_rewards = 0;
	assert_ok(advantage_into(&a, b, &scratch, adv, &stats));
	assert_true(adv[0] == .25f && adv[1] == -.75f);
	arena_free(&scratch);
}

/* ---- the tabular run ----
 *
 * Three answers of one token: right, wrong, and garbage that is never sampled; mu = (.1, .9, 0), so
 * ten rows, one right and nine wrong. Gradient ascent on the logits at rate 0.1, from pi = (.05,
 * .15, .80). */

struct table {
	double z[3], p[3], gradient[3];
};

static void softmax(struct table *t)
{
	double sum = 0;

	for (int i = 0; i < 3; i++)
		sum += t->p[i] = exp(t->z[i]);
	for (int i = 0; i < 3; i++)
		t->p[i] /= sum;
}

static void ascend(const struct algorithm *a, struct table *t)
{
	static int   offset[11] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	float        x[10], mu[10], adv[10], c[10];
	struct batch b = {.n = 10,
	                  .offset = offset,
	                  .trained = all,
	                  .logp_new = x,
	                  .logp_old = mu,
	                  .advantage = adv};

	softmax(t);
	for (int i = 0; i < 10; i++) {
		x[i] = (float)log(t->p[i > 0]);
		mu[i] = (float)log(i > 0 ? .9 : .1);
		adv[i] = i > 0 ? -1 : 1;
	}
	eval(a, b, c);
	for (int v = 0; v < 3; v++) {
		t->gradient[v] = 0;
		for (int i = 0; i < 10; i++)
			t->gradient[v] -= c[i] * ((v == (i > 0)) - t->p[v]);
	}
	for (int v = 0; v < 3; v++)
		t->z[v] += 0.1 * t->gradient[v];
}

static void the_family_runs_through_its_table(void **state)
{
	(void)state;
	static const struct {
		const char *row;
		int         hard;
		/* pi(right), pi(garbage) after 100, 500 and 2000 steps */
		double first[3], after[3][2];
	} want[] = {
	        {"topr_naive", 0, {.14, -.78, .64}, {{.0001, .9999}, {0, 1}, {0, 1}}},
	        {"topr_positives",
	         0,
	         {.095, -.015, -.08},
	         {{.1906, .6130}, {.7883, .1315}, {.9609, .0222}}},
	        {"topr_tis",
	         0,
	         {.055, -.135, .08},
	         {{.0790, .8647}, {.7966, .1911}, {.9752, .0231}}},
	        {"topr_is",
	         0,
	         {.055, -.135, .08},
	         {{.0790, .8647}, {.9803, .0155}, {.9970, .0022}}},
	        {"topr", 0, {.1025, -.1425, .04}, {{.1420, .7952}, {.8296, .1594}, {.9761, .0222}}},
	        {"topr",
	         1,
	         {.0475, -.0075, -.04},
	         {{.1209, .6933}, {.1209, .6933}, {.1209, .6933}}},
	};

	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		struct algorithm a = f1_algorithm(want[i].row);
		struct table     t = {.z = {log(.05), log(.15), log(.80)}};

		if (want[i].hard) { /* PPO's clip on the same data */
			a.clip = CLIP_HARD;
			a.epsilon = a.epsilon_high = 0.2;
		}
		for (int step = 1; step <= 2000; step++) {
			ascend(&a, &t);
			for (int v = 0; step == 1 && v < 3; v++)
				assert_close(t.gradient[v], want[i].first[v], 1e-6);
			softmax(&t);
			if (step == 100 || step == 500 || step == 2000) {
				const double *w = want[i].after[step == 100   ? 0
				                                : step == 500 ? 1
				                                              : 2];
				if (fabs(t.p[0] - w[0]) > 1e-4 || fabs(t.p[2] - w[1]) > 1e-4)
					fail_msg("%s%s after %d: %.5f / %.5f, expected %.4f / %.4f",
					         want[i].row, want[i].hard ? " with clip" : "",
					         step, t.p[0], t.p[2], w[0], w[1]);
			}
		}
	}
}

TEST_MAIN(TEST(the_three_forms_of_the_ratio_are_three_methods),
          TEST(a_good_answer_ignores_its_ratio),
          TEST(a_bad_answer_weighs_one_at_most_and_nothing_when_it_became_impossible),
          TEST(alpha_carries_no_gradient), TEST(the_baseline_sets_the_share_of_good_answers),
          TEST(advantages_are_signed_rewards_minus_the_constant),
          TEST(the_family_runs_through_its_table))
