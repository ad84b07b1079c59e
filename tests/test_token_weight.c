#include "estimator/token_weight.h"

#include "estimator/advantage.h"
#include "estimator/objective.h"
#include "fixture_f1.h"
#include "test.h"

#define TOLERANCE 2e-6

static unsigned char stays[F1_T];

static struct token_weight_stats fill(const struct algorithm *a, const struct batch *b,
                                      float *weight)
{
	struct token_weight_stats stats = {0};
	struct arena              scratch = {0};
	struct batch              with = *b;

	with.weight = weight;
	with.high = stays;
	for (int t = 0; t < F1_T; t++)
		weight[t] = NAN;
	assert_ok(token_weight_fill(a, &with, &scratch, &stats));
	arena_free(&scratch);
	return stats;
}

static const struct batch stale = {.n = F1_R,
                                   .offset = f1_offset,
                                   .trained = f1_trained,
                                   .logp_old = f1_old,
                                   .logp_rollout = f1_rollout};

/* GRPO's clipped loss of F1 with these weights, averaged over tokens. */
static double loss(const struct algorithm *a, float *weight)
{
	struct algorithm       clipped = *a;
	float                  adv[F1_T], c[F1_T];
	struct batch           ab = {.n = F1_R,
	                             .offset = f1_offset,
	                             .trained = f1_trained,
	                             .group = f1_group,
	                             .reward = f1_reward,
	                             .logp_old = f1_old,
	                             .logp_ref = f1_ref};
	struct advantage_stats as = {0};
	struct batch           ob = {.n = F1_R,
	                             .offset = f1_offset,
	                             .trained = f1_trained,
	                             .logp_new = f1_new,
	                             .logp_old = f1_old,
	                             .advantage = adv,
	                             .weight = weight};
	struct objective_stats os = {0};
	struct totals          totals = {0};
	struct arena           scratch = {0};

	clipped.loss_type = TOKEN_MEAN;
	assert_ok(advantage_into(&clipped, ab, &scratch, adv, &as));
	totals_add(&totals, &ob);
	assert_ok(eval_into(&clipped, ob, &totals, c, NULL, &os));
	arena_free(&scratch);
	return os.loss;
}

static struct algorithm rule(enum mismatch mismatch, double low, double high)
{
	struct algorithm a = f1_algorithm("grpo");

	a.beta = 0;
	a.mismatch = mismatch;
	a.mismatch_min = low;
	a.mismatch_max = high;
	return a;
}

static void every_correction_matches_its_worked_loss(void **state)
{
	(void)state;
	const double     tis[F1_T] = {1.105171, 1, 2, 1, 1.105171, 1, 1, 1, 1, 1};
	struct algorithm a = rule(MISMATCH_TOKEN_TRUNCATE, 0, 2);
	float            w[F1_T];

	fill(&a, &stale, w);
	for (int t = 0; t < F1_T; t++)
		assert_close(w[t], tis[t], TOLERANCE);
	assert_close(loss(&a, w), -0.479018, TOLERANCE);
	a.mismatch_normalise = 1;
	assert_close(fill(&a, &stale, w).weight, F1_T, 1e-5);
	assert_close(w[1], 1 / 1.121034, TOLERANCE);
	assert_close(loss(&a, w), -0.427300, TOLERANCE);

	a = rule(MISMATCH_TOKEN_MASK, 0.5, 2);
	assert_close(fill(&a, &stale, w).masked, 1, 0);
	assert_close(w[2], 0, 0);
	assert_close(loss(&a, w), -0.271172, TOLERANCE);

	a = rule(MISMATCH_SEQUENCE_TRUNCATE, 0, 2);
	fill(&a, &stale, w);
	assert_close(loss(&a, w), -0.643086, TOLERANCE);

	a = rule(MISMATCH_SEQUENCE_MASK, 0, 3);
	/* 3.004 > 3: the whole first answer, dropped and not truncated */
	assert_close(fill(&a, &stale, w).masked, 3, 0);
	assert_close(w[3], 1.105171, TOLERANCE);
	assert_close(loss(&a, w), -0.070672, TOLERANCE);
}

/* Squares of the log-ratios: 1 at token 2, .01 at 0 and 4, else 0. Their mean is .102, without the
 * largest .0022, without the three 0. */
static void outliers_go_until_the_second_moment_is_small(void **state)
{
	(void)state;
	struct algorithm a = rule(MISMATCH_SECOND_MOMENT, 0, 2);
	float            w[F1_T];

	a.mismatch_moment = .04;
	assert_close(fill(&a, &stale, w).masked, 1, 0);
	assert_close(w[2], 0, 0);
	assert_close(w[0], exp(.1), TOLERANCE);
	assert_close(loss(&a, w), -0.271172, TOLERANCE); /* as of token_mask above */
	a.mismatch_moment = .11;
	assert_close(fill(&a, &stale, w).masked, 0, 0);
	assert_close(w[2], exp(1), TOLERANCE);
	a.mismatch_moment = 1e-9;
	assert_close(fill(&a, &stale, w).masked, 3, 0);
	assert_true(w[0] == 0 && w[2] == 0 && w[4] == 0 && w[1] == 1);
	a.mismatch_moment = 0; /* nothing is below */
	assert_close(fill(&a, &stale, w).masked, F1_T, 0);
}

/* The answer's geometric mean is 3.004^(1/3) = 1.443. */
static void the_mean_mask_tests_the_answer_and_weighs_the_token(void **state)
{
	(void)state;
	struct algorithm a = rule(MISMATCH_SEQUENCE_MEAN_MASK, 0.5, 1.5);
	float            w[F1_T];

	assert_close(fill(&a, &stale, w).masked, 0, 0);
	assert_close(w[2], exp(1), TOLERANCE); /* beyond the bound and not limited */
	a.mismatch_max = 1.4;
	assert_close(fill(&a, &stale, w).masked, 3, 0);
	assert_close(w[2], 0, 0);
}

static void fresh_answers_weigh_exactly_one_by_every_rule(void **state)
{
	(void)state;
	const struct batch fresh = {.n = F1_R,
	                            .offset = f1_offset,
	                            .trained = f1_trained,
	                            .logp_old = f1_old,
	                            .logp_rollout = f1_old};
	float              w[F1_T];

	for (int m = MISMATCH_NONE; m <= MISMATCH_SEQUENCE_MEAN_MASK; m++)
		for (int normalise = 0; normalise <= 1; normalise++) {
			struct algorithm          a = rule((enum mismatch)m, 0.999, 1.001);
			struct token_weight_stats s;

			a.mismatch_normalise = normalise;
			assert_false(token_weight_needed(&a, 0));
			assert_int_equal(token_weight_needed(&a, 1), m != MISMATCH_NONE);
			s = fill(&a, &fresh, w);
			for (int t = 0; t < F1_T; t++)
				assert_true(w[t] == 1);
			assert_close(s.distance + s.masked, 0, 0);
			assert_close(s.weight, s.tokens, 0);
		}
}

/* TRL's lower bound: a truncated ratio is kept in both. */
static void truncation_keeps_a_ratio_in_both_bounds(void **state)
{
	(void)state;
	float old[F1_T], w[F1_T];

	for (int t = 0; t < F1_T; t++)
		/* rho e^-1 of the first token, and of the first answer */
		old[t] = f1_rollout[t] + (t == 0 ? -1.f : 0);
	for (int m = MISMATCH_TOKEN_TRUNCATE; m <= MISMATCH_SEQUENCE_TRUNCATE;
	     m += MISMATCH_SEQUENCE_TRUNCATE - MISMATCH_TOKEN_TRUNCATE)
		for (int low = 0; low <= 1; low++) {
			struct algorithm a = rule((enum mismatch)m, low ? 0.5 : 0, 2);
			struct batch     b = {.n = F1_R,
			                      .offset = f1_offset,
			                      .trained = f1_trained,
			                      .logp_old = old,
			                      .logp_rollout = f1_rollout};
			fill(&a, &b, w);
			assert_close(w[0], low ? 0.5 : exp(-1), TOLERANCE);
			assert_close(w[1], m == MISMATCH_SEQUENCE_TRUNCATE ? w[0] : 1, TOLERANCE);
		}
}

static void only_the_tokens_of_the_highest_entropy_keep_their_weight(void **state)
{
	(void)state;
	static unsigned char trained[F1_T] = {1, 1, 1, 1, 1, 1, 1, 0, 1, 1};
	static float         entropy[F1_T] = {.5f, .25f, 1, 2, .125f, .75f, 1, NAN, .3f, .5f};
	const struct batch   b = {.n = F1_R,
	                          .offset = f1_offset,
	                          .trained = trained,
	                          .logp_old = f1_old,
	                          .logp_rollout = f1_old,
	                          .entropy = entropy};
	struct algorithm     a = rule(MISMATCH_NONE, 0, 2);
	float                w[F1_T];

	a.top_entropy = 0.3; /* from number ceil(.7 x 8) = 6 of 0 .. 8 on: those of 2, 1 and 1 */
	assert_true(token_weight_needed(&a, 0));
	assert_close(fill(&a, &b, w).low_entropy, 6, 0);
	for (int t = 0; t < F1_T; t++)
		assert_true(w[t] == (t == 2 || t == 3 || t == 6) && stays[t] == w[t]);
	a.top_entropy = 0.4; /* ceil(.6 x 8) = 5: .75 too */
	assert_close(fill(&a, &b, w).low_entropy, 5, 0);
	a.top_entropy = 0.2; /* the second and the third are equal and stay together */
	assert_close(fill(&a, &b, w).low_entropy, 6, 0);
	a.top_entropy = 1;
	assert_close(fill(&a, &b, w).weight, 9, 0);
	a.top_entropy = 1e-9;
	assert_close(fill(&a, &b, w).weight, 1, 0);
}

static void absurd_distances_give_finite_weights(void **state)
{
	(void)state;
	for (int sign = -1; sign <= 1; sign += 2)
		for (int m = MISMATCH_TOKEN_TRUNCATE; m <= MISMATCH_SEQUENCE_MEAN_MASK; m++) {
			struct algorithm a = rule((enum mismatch)m, 0, 1e9);
			float            old[F1_T], w[F1_T];
			struct batch     b = {.n = F1_R,
			                      .offset = f1_offset,
			                      .trained = f1_trained,
			                      .logp_old = old,
			                      .logp_rollout = f1_rollout};

			for (int t = 0; t < F1_T; t++)
				old[t] = (float)sign * 1e4f;
			fill(&a, &b, w);
			for (int t = 0; t < F1_T; t++)
				assert_true(isfinite(w[t]) && w[t] >= 0);
		}
}

TEST_MAIN(TEST(every_correction_matches_its_worked_loss),
          TEST(outliers_go_until_the_second_moment_is_small),
          TEST(the_mean_mask_tests_the_answer_and_weighs_the_token),
          TEST(fresh_answers_weigh_exactly_one_by_every_rule),
          TEST(truncation_keeps_a_ratio_in_both_bounds),
          TEST(only_the_tokens_of_the_highest_entropy_keep_their_weight),
          TEST(absurd_distances_give_finite_weights))
