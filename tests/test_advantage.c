#include "base/rng.h"
#include "estimator/advantage.h"
#include "estimator/overlong.h"
#include "fixture_f1.h"
#include "test.h"

#define TOLERANCE 2e-6

static struct advantage_stats fill(const struct algorithm *a, const struct batch *b,
                                   float *advantage)
{
	struct arena           scratch = {0};
	struct advantage_stats stats = {0};

	for (int t = 0; t < b->offset[b->n]; t++)
		advantage[t] = NAN;
	assert_ok(advantage_into(a, *b, &scratch, advantage, &stats));
	arena_free(&scratch);
	return stats;
}

/* Rows of one token each. */
enum { MANY = 64 };
static struct batch singles(int n, int64_t *group, double *reward)
{
	static int           offset[MANY + 1];
	static unsigned char trained[MANY];

	for (int i = 0; i <= MANY; i++)
		offset[i] = i;
	memset(trained, 1, sizeof trained);
	return (struct batch){
	        .n = n, .offset = offset, .trained = trained, .group = group, .reward = reward};
}

static void assert_rows(const struct algorithm *a, const double *want)
{
	struct batch b = f1();
	float        adv[F1_T];

	fill(a, &b, adv);
	for (int r = 0; r < F1_R; r++)
		for (int t = f1_offset[r]; t < f1_offset[r + 1]; t++)
			assert_close(adv[t], want[r], TOLERANCE);
}

/* ---- worked numbers ---- */

static void group_advantages_match_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("grpo");

	assert_rows(&a, (double[]){0.8660239, -0.8660239, -0.8660239, 0.8660239});
	a.advantage_eps = 1e-4;
	assert_rows(&a, (double[]){0.8658754, -0.8658754, -0.8658754, 0.8658754});
	a = f1_algorithm("dr_grpo");
	assert_rows(&a, (double[]){0.5, -0.5, -0.5, 0.5});
	a = f1_algorithm("rloo");
	a.beta = 0;
	assert_rows(&a, (double[]){0.6666667, -0.6666667, -0.6666667, 0.6666667});
	a = f1_algorithm("reinforce");
	assert_rows(&a, f1_reward);
	a.baseline = BASELINE_BATCH;
	assert_rows(&a, (double[]){0.5, -0.5, -0.5, 0.5});
}

static void whitened_returns_match_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("reinforce_pp");
	struct batch     b = f1();
	const double     want[F1_T] = {.621353,   .623421, .621353, -1.449134, -1.447066,
	                               -1.451203, .622387, .622387, .620319,   .616182};
	const double     returns[F1_T] = {1.002, 1.003,  1.002,  .001,   .002,
	                                  0,     1.0025, 1.0025, 1.0015, .9995};
	float            adv[F1_T];

	a.beta = 0.01;
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], want[t], TOLERANCE);
	a.whiten = 0;
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], returns[t], TOLERANCE);
	a = f1_algorithm("reinforce_pp");
	a.beta = 0;
	a.baseline = BASELINE_GROUP;
	assert_rows(&a, (double[]){.621059, -1.449138, -1.449138, .621059});
}

static void batch_scaling_matches_the_worked_numbers(void **state)
{
	(void)state;
	int64_t          group[8] = {1, 1, 1, 1, 2, 2, 2, 2};
	double           reward[8] = {1, 0, 0, 1, 1, 1, 1, 0};
	const double     want[8] = {.965905, -.965905, -.965905, .965905,
	                            .482953, .482953,  .482953,  -1.448858};
	struct batch     b = singles(8, group, reward);
	struct algorithm a = f1_algorithm("grpo");
	float            adv[8];

	a.scale_rewards = SCALE_BATCH;
	a.advantage_eps = 1e-4;
	fill(&a, &b, adv);
	for (int i = 0; i < 8; i++)
		assert_close(adv[i], want[i], TOLERANCE);
}

/* Rewards 1 .25 0 .5 for 3 2 1 4 tokens: mean .4375, by length .55, three of four not 0, deviation
 * sqrt(.546875 / 3). */
static void baselines_and_scales_of_the_field_match_the_worked_numbers(void **state)
{
	(void)state;
	double            reward[F1_R] = {1, .25, 0, .5};
	struct batch      b = f1();
	struct algorithm  a;
	float             adv[F1_T];
	const double      want[][F1_R] = {{.45, -.3, -.55, -.05},
	                                  {1.2857143, -.4285714, -1, .1428571},
	                                  {.75, -.25, -.5833333, .0833333},
	                                  {1.171078, 0, 0, 0}};
	const char *const names[] = {"opo", "maxrl", "gpg", "grpo_passk"};

	b.reward = reward;
	for (int i = 0; i < 4; i++) {
		a = f1_algorithm(names[i]);
		fill(&a, &b, adv);
		for (int r = 0; r < F1_R; r++)
			assert_close(adv[f1_offset[r]], want[i][r], TOLERANCE);
	}
	reward[3] = 1; /* two are the best: neither adds anything to the other */
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], 0, 0);
	a.scale_rewards = SCALE_NONE;
	reward[3] = .5;
	fill(&a, &b, adv);
	assert_close(adv[0], .5, 0);
	a = f1_algorithm("maxrl"); /* a mean below 0 is no scale */
	reward[0] = -1;
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], 0, 0);
	a = f1_algorithm("gpg");
	memset(reward, 0, sizeof reward);
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], 0, 0);
}

/* Two rewards with weights 1 and 1/2, of which the second says nothing of the last answer:
 * standardised 0.866 -0.866 -0.866 0.866 and -0.577 1.155 -0.577, together .577350 -.288675
 * -1.154698 .866024; their mean is 0, their deviation .912871. */
static void several_rewards_are_standardised_before_they_are_added(void **state)
{
	(void)state;
	static const double parts[F1_R][2] = {{1, .2}, {0, .8}, {0, .2}, {1, NAN}};
	const double       *components[F1_R] = {parts[0], parts[1], parts[2], parts[3]};
	const double        weights[] = {1, .5};
	struct batch        b = f1();
	struct algorithm    a = f1_algorithm("gdpo");

	b.n_components = 2;
	b.components = components;
	b.component_weights = weights;
	float adv[F1_T];
	fill(&a, &b, adv);
	for (int r = 0; r < F1_R; r++)
		assert_close(adv[f1_offset[r]],
		             ((double[]){.632455, -.316228, -1.264909, .948682})[r], TOLERANCE);
	a.baseline = BASELINE_NONE;
	a.scale_rewards = SCALE_NONE;
	fill(&a, &b, adv);
	for (int r = 0; r < F1_R; r++)
		assert_close(adv[f1_offset[r]],
		             ((double[]){.577350, -.288675, -1.154698, .866024})[r], TOLERANCE);
	b.n_components = 0; /* the reward alone */
	fill(&a, &b, adv);
	assert_close(adv[0], 0.8660239, TOLERANCE);
}

/* The share of the batch that is rewarded is one number for all its groups. */
static void the_rewarded_share_is_that_of_the_batch(void **state)
{
	(void)state;
	int64_t          group[8] = {1, 1, 1, 1, 2, 2, 2, 2};
	double           reward[8] = {1, 0, 0, 0, 1, 1, 0, 0};
	struct batch     b = singles(8, group, reward);
	struct algorithm a = f1_algorithm("gpg");
	float            adv[8];

	fill(&a, &b, adv);
	for (int i = 0; i < 8; i++)
		assert_close(adv[i], (reward[i] - (i < 4 ? .25 : .5)) * 8 / 3, TOLERANCE);
}

/* What is not trained has no length. */
static void the_mean_by_length_counts_trained_tokens(void **state)
{
	(void)state;
	unsigned char    trained[F1_T] = {1, 0, 0, 1, 1, 1, 0, 0, 0, 0};
	struct batch     b = f1();
	struct algorithm a = f1_algorithm("opo");
	float            adv[F1_T];

	b.trained = trained;
	fill(&a, &b, adv); /* (1 1 + 2 0 + 1 0 + 0 1) / 4 */
	assert_close(adv[0], .75, 0);
	assert_close(adv[3], -.25, 0);
}

/* One success among n: A+ = sqrt(n) - 1/sqrt(n), A- = -1/sqrt(n), up to eps. */
static void one_success_among_n_stands_out_by_the_closed_form(void **state)
{
	(void)state;
	int64_t group[MANY] = {0};
	double  reward[MANY] = {1};
	float   adv[MANY];

	for (int n = 2; n <= 64; n *= 2) {
		struct batch     b = singles(n, group, reward);
		struct algorithm a = f1_algorithm("grpo");

		a.advantage_eps = 0;
		fill(&a, &b, adv);
		assert_close(adv[0], sqrt(n) - 1 / sqrt(n), TOLERANCE);
		assert_close(adv[n - 1], -1 / sqrt(n), TOLERANCE);
	}
}

/* ---- KL in the reward ---- */

static void kl_in_the_reward_acts_before_the_baseline_and_per_token_after_it(void **state)
{
	(void)state;
	struct batch           b = f1();
	struct algorithm       a = f1_algorithm("rloo");
	const double           kl[F1_R] = {-0.2, -0.1, 0, -0.25}; /* sums of logp_old - logp_ref */
	float                  adv[F1_T];
	struct advantage_stats stats;

	a.beta = 0.1;
	stats = fill(&a, &b, adv);
	for (int r = 0; r < F1_R; r++) {
		double others = 0, v = f1_reward[r] - 0.1 * kl[r];
		for (int s = 0; s < F1_R; s++)
			others += s == r ? 0 : (f1_reward[s] - 0.1 * kl[s]) / 3;
		for (int t = f1_offset[r]; t < f1_offset[r + 1]; t++)
			assert_close(adv[t], v - others, TOLERANCE);
	}
	assert_close(stats.kl, -0.55, TOLERANCE);

	a.signed_rewards = 1; /* the rewards become -1 and 1; the divergence stays what it is */
	fill(&a, &b, adv);
	for (int r = 0; r < F1_R; r++) {
		double others = 0, v = 2 * f1_reward[r] - 1 - 0.1 * kl[r];
		for (int s = 0; s < F1_R; s++)
			others += s == r ? 0 : (2 * f1_reward[s] - 1 - 0.1 * kl[s]) / 3;
		assert_close(adv[f1_offset[r]], v - others, TOLERANCE);
	}

	/* Per token it is not baselined, and a constant group keeps it. */
	a = f1_algorithm("grpo");
	a.advantage_eps = 0;
	a.beta = 0.1;
	a.kl_placement = KL_IN_TOKEN_REWARD;
	a.kl_estimator = KL_K1;
	b.reward = (double[]){1, 1, 1, 1};
	fill(&a, &b, adv);
	assert_close(adv[0], 0.02, TOLERANCE);
	assert_close(adv[2], 0.02, TOLERANCE);
	assert_close(adv[5], 0, TOLERANCE);
}

static void a_discount_reaches_back_over_trained_tokens_only(void **state)
{
	(void)state;
	unsigned char    trained[F1_T] = {1, 0, 1, 1, 1, 1, 1, 0, 1, 0};
	struct batch     b = f1();
	struct algorithm a = f1_algorithm("reinforce");
	const double     want[F1_T] = {.5, 0, 1, 0, 0, 0, .5, 0, 1, 0};
	float            adv[F1_T];

	a.gamma = 0.5;
	b.trained = trained;
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], want[t], 0);
}

/* Rewards to go 1 .8 .5 | 0 0 | 0 | 1 .6 .6 .2, their means over the four answers .5 .35 .275 .05;
 * the deviation of the rewards is 1/sqrt(3). */
static void with_token_rewards_each_place_has_its_reward_to_go_and_its_baseline(void **state)
{
	(void)state;
	/* the last is not read: it gets what is left */
	double           rise[F1_T] = {.2, .3, .5, 0, 0, 0, .4, 0, .4, .1};
	const double     want[F1_T] = {.5, .45, .225, -.5, -.35, -.5, .5, .25, .325, .15};
	struct batch     b = f1();
	struct algorithm a = f1_algorithm("grpo");
	float            adv[F1_T];

	b.rise = rise;
	a.advantage_eps = 0;
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], want[t] * sqrt(3), TOLERANCE);
	a.scale_rewards = SCALE_NONE;
	a.signed_rewards = 1; /* rewards -1 and 1: what is earned counts twice */
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], want[t] * 2, TOLERANCE);
	a = f1_algorithm("rloo"); /* less the mean of the other three */
	a.beta = 0;
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], want[t] * 4 / 3, TOLERANCE);
	a = f1_algorithm("reinforce"); /* without a baseline: the reward to go */
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], ((double[]){1, .8, .5, 0, 0, 0, 1, .6, .6, .2})[t], TOLERANCE);
	/* a constant is no mean: it comes off the whole reward, at the end */
	a.baseline = BASELINE_CONSTANT;
	a.baseline_value = .25;
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], ((double[]){1, .8, .5, 0, 0, 0, 1, .6, .6, .2})[t] - .25,
		             TOLERANCE);
	a.baseline = BASELINE_BATCH;
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], want[t], TOLERANCE);
}

static void where_the_deviation_is_0_token_rewards_are_not_blown_up(void **state)
{
	(void)state;
	double rise[F1_T] = {.2, .3, .5, .5, .5, 1, .4, 0, .4, .2}, reward[F1_R] = {1, 1, 1, 1};
	struct batch     b = f1();
	struct algorithm a = f1_algorithm("grpo");
	float            adv[F1_T];

	b.rise = rise;
	b.reward = reward;
	fill(&a, &b, adv);
	for (int t = 0; t < F1_T; t++)
		assert_close(adv[t], 0, 0);
}

/* ---- properties, over every row of the table and every baseline ---- */

static void equal_rewards_give_exactly_zero(void **state)
{
	(void)state;
	const double            values[] = {-1, 0, .1, 1. / 3, 1};
	int64_t                 group[9] = {3, 3, 3, 5, 5, 5, 5, 5, 5};
	double                  reward[9];
	float                   adv[9];
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++)
		for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
			struct algorithm       a = *row;
			struct batch           b = singles(9, group, reward);
			struct advantage_stats stats;

			if (a.baseline == BASELINE_NONE && !a.whiten)
				a.baseline = BASELINE_BATCH;
			a.beta = 0;
			a.advantage_eps = 0;
			for (int r = 0; r < 9; r++)
				reward[r] = values[v];
			stats = fill(&a, &b, adv);
			for (int r = 0; r < 9; r++)
				assert_true(adv[r] == 0);
			assert_close(stats.groups, 2, 0);
			assert_close(stats.groups_constant, 2, 0);
		}
}

static void advantages_sum_to_zero_in_every_group(void **state)
{
	(void)state;
	int64_t                 group[9] = {3, 5, 3, 5, 3, 5, 5, 5, 5};
	double                  reward[9] = {1, .25, .1, 0, 0, 1, .7, .7, .3};
	float                   adv[9];
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++) {
		struct algorithm a = *row;
		struct batch     b = singles(9, group, reward);
		double           sum[2] = {0};

		a.beta = 0;
		if (a.baseline == BASELINE_CRITIC || a.baseline == BASELINE_NONE ||
		    a.baseline == BASELINE_SECOND_BEST)
			continue;
		fill(&a, &b, adv);
		for (int r = 0; r < 9; r++)
			sum[group[r] == 5] += adv[r];
		assert_close(sum[0], 0, 1e-6);
		assert_close(sum[1], 0, 1e-6);
	}
}

static void leave_one_out_is_g_over_g_minus_one_times_the_centred_reward(void **state)
{
	(void)state;
	int64_t          group[5] = {1, 1, 1, 1, 1};
	double           reward[5] = {.9, .1, .4, 0, 1};
	struct batch     b = singles(5, group, reward);
	struct algorithm rloo = f1_algorithm("rloo"), dr = f1_algorithm("dr_grpo");
	float            x[5], y[5];

	rloo.beta = 0;
	fill(&rloo, &b, x);
	fill(&dr, &b, y);
	for (int i = 0; i < 5; i++) {
		double others = (2.4 - reward[i]) / 4;
		assert_close(x[i], 5. / 4 * y[i], 1e-7);
		assert_close(x[i], reward[i] - others, 1e-7);
	}
}

/* Two groups over F1's tokens, once as they are and once with the rows reversed: bit for bit the
 * same. */
static void the_order_of_the_rows_changes_no_bit(void **state)
{
	(void)state;
	int64_t group[F1_R] = {9, 4, 9, 4}, group_back[F1_R] = {4, 9, 4, 9};
	double  reward[F1_R] = {.3, .1, .7, 1. / 3}, reward_back[F1_R] = {1. / 3, .7, .1, .3};
	int     offset_back[F1_R + 1] = {0, 4, 5, 7, 10};
	/* token rewards */
	double                  rise[F1_T] = {.1, .2, .0, .1, .0, .7, 1. / 7, .0, .1, .09};
	double                  rise_back[F1_T];
	float                   old_back[F1_T], ref_back[F1_T], x[F1_T], y[F1_T];
	const struct algorithm *row;

	for (int r = 0; r < F1_R; r++) {
		size_t n = (size_t)(f1_offset[r + 1] - f1_offset[r]) * sizeof(float);
		memcpy(rise_back + offset_back[F1_R - 1 - r], rise + f1_offset[r], 2 * n);
		memcpy(old_back + offset_back[F1_R - 1 - r], f1_old + f1_offset[r], n);
		memcpy(ref_back + offset_back[F1_R - 1 - r], f1_ref + f1_offset[r], n);
	}
	for (int i = 0; (row = algorithm_at(i)); i++)
		for (int k = 0; k < 10; k++) {
			struct algorithm a = *row;
			struct batch     b = {.n = F1_R,
			                      .offset = f1_offset,
			                      .trained = f1_trained,
			                      .group = group,
			                      .reward = reward,
			                      .logp_old = f1_old,
			                      .logp_ref = f1_ref,
			                      .rise = k % 2 ? rise : NULL};
			struct batch     back = {.n = F1_R,
			                         .offset = offset_back,
			                         .trained = f1_trained,
			                         .group = group_back,
			                         .reward = reward_back,
			                         .logp_old = old_back,
			                         .logp_ref = ref_back,
			                         .rise = k % 2 ? rise_back : NULL};

			a.scale_rewards = (enum scale)(k / 2);
			fill(&a, &b, x);
			fill(&a, &back, y);
			for (int r = 0; r < F1_R; r++)
				assert_memory_equal(x + f1_offset[r], y + offset_back[F1_R - 1 - r],
				                    (size_t)(f1_offset[r + 1] - f1_offset[r]) *
				                            sizeof *x);
		}
}

static void the_order_of_many_rows_changes_no_bit(void **state)
{
	(void)state;
	int64_t                 group[MANY], group_back[MANY];
	double                  reward[MANY], reward_back[MANY];
	float                   x[MANY], y[MANY];
	const struct algorithm *row;

	for (int r = 0; r < MANY; r++) {
		group[r] = group_back[MANY - 1 - r] = r % 5;
		reward[r] = reward_back[MANY - 1 - r] =
		        rng_double((struct rng_key){1, RNG_TEST, 0, 0, 0}, (uint32_t)r);
	}
	/* Two giants that cancel: any other order of adding would leave its mark on the rest. */
	reward[0] = reward_back[MANY - 1] = 1e17;
	reward[40] = reward_back[MANY - 1 - 40] = -1e17;
	for (int i = 0; (row = algorithm_at(i)); i++)
		for (int whiten = 0; whiten <= 1; whiten++) {
			struct algorithm a = *row;
			struct batch     b = singles(MANY, group, reward),
			             back = singles(MANY, group_back, reward_back);

			a.beta = 0;
			a.whiten = whiten;
			a.scale_rewards = SCALE_BATCH;
			fill(&a, &b, x);
			fill(&a, &back, y);
			for (int r = 0; r < MANY; r++)
				assert_memory_equal(&x[r], &y[MANY - 1 - r], sizeof *x);
		}
}

static void an_uncomputable_reward_counts_nowhere(void **state)
{
	(void)state;
	int64_t                 group[7] = {1, 1, 1, 1, 1, 2, 2};
	double                  reward[7] = {1, NAN, 0, INFINITY, 0, -1e31, .5};
	int64_t                 group_clean[4] = {1, 1, 1, 2};
	double                  reward_clean[4] = {1, 0, 0, .5};
	const int               kept[4] = {0, 2, 4, 6};
	float                   x[7], y[4];
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++) {
		struct algorithm a = *row;
		struct batch     b = singles(7, group, reward),
		             clean = singles(4, group_clean, reward_clean);
		struct advantage_stats stats;

		a.beta = 0;
		stats = fill(&a, &b, x);
		fill(&a, &clean, y);
		for (int k = 0; k < 4; k++)
			assert_memory_equal(&x[kept[k]], &y[k], sizeof *x);
		assert_true(x[1] == 0 && x[3] == 0 && x[5] == 0);
		if (a.baseline != BASELINE_NONE && a.baseline != BASELINE_CRITIC &&
		    a.baseline != BASELINE_BATCH)
			assert_true(x[6] == 0); /* the only valid one of its group */
		assert_close(stats.invalid, 3, 0);
		assert_close(stats.rows, 4, 0);
		assert_close(stats.groups_lone, 1, 0);
		assert_close(stats.reward, 1.5, 0);
	}
}

static void a_reference_that_is_not_finite_takes_out_its_row(void **state)
{
	(void)state;
	struct batch           b = f1();
	struct algorithm       a = f1_algorithm("reinforce_pp");
	float                  ref[F1_T], adv[F1_T];
	struct advantage_stats stats;

	memcpy(ref, f1_ref, sizeof ref);
	b.logp_ref = ref;
	for (int i = 0; i < 3; i++) {
		ref[4] = (float[]){NAN, -INFINITY, -1e4f}[i];
		stats = fill(&a, &b, adv);
		assert_close(stats.invalid, i < 2, 0); /* a merely absurd one is clamped */
		for (int t = 0; t < F1_T; t++)
			assert_true(isfinite(adv[t]));
		assert_true(i == 2 || (adv[3] == 0 && adv[4] == 0));
	}
}

static void what_is_not_trained_is_not_read_and_gets_zero(void **state)
{
	(void)state;
	unsigned char           trained[F1_T] = {1, 0, 1, 0, 1, 1, 1, 1, 0, 0};
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++) {
		struct algorithm a = *row;
		struct batch     b = f1();
		float            old[2][F1_T], ref[2][F1_T], adv[2][F1_T];

		for (int k = 0; k < 2; k++) {
			memcpy(old[k], f1_old, sizeof old[k]);
			memcpy(ref[k], f1_ref, sizeof ref[k]);
			for (int t = 0; t < F1_T; t++)
				if (!trained[t])
					old[k][t] = ref[k][t] = k ? NAN : 1e30f;
			b.trained = trained;
			b.logp_old = old[k];
			b.logp_ref = ref[k];
			fill(&a, &b, adv[k]);
		}
		assert_memory_equal(adv[0], adv[1], sizeof adv[0]);
		for (int t = 0; t < F1_T; t++)
			assert_true(trained[t] || adv[0][t] == 0);
	}
}

static void a_row_without_a_token_is_refused(void **state)
{
	(void)state;
	int                    offset[F1_R + 1] = {0, 3, 3, 6, 10};
	struct batch           b = f1();
	struct arena           scratch = {0};
	struct advantage_stats stats = {0};
	float                  adv[F1_T];

	b.offset = offset;
	assert_error(advantage_into(algorithm_find("grpo"), b, &scratch, adv, &stats), ERR_INPUT,
	             "completion 1");
	arena_free(&scratch);
}

static void short_memory_is_returned(void **state)
{
	(void)state;
	struct batch           b = f1();
	struct arena           scratch = {0};
	struct advantage_stats stats = {0};
	float                  adv[F1_T];

	mem_fail_at(1);
	assert_memory(advantage_into(algorithm_find("grpo"), b, &scratch, adv, &stats),
	              "the outcomes of the rows");
	mem_fail_at(0);
	arena_free(&scratch);
}

/* ---- overlong answers, dynamic sampling ---- */

static void the_overlong_penalty_follows_its_table(void **state)
{
	(void)state;
	const double table[][2] = {{10, 0}, {16, 0}, {17, -.25}, {18, -.5}, {20, -1}, {21, -1}};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		assert_close(overlong_penalty((int)table[i][0], 20, 4), table[i][1], 0);
}

/* Rows of completions that were rewarded 1, after this policy: limit 20, full penalty 1/2. */
static struct batch overlong_batch(struct algorithm *a, struct rollout *r, int n,
                                   struct arena *arena, struct overlong_stats *stats)
{
	static int           ids[32];
	static unsigned char trained[32];
	struct group         group = {.n = n, .rollouts = r};
	struct batch         b;

	memset(trained, 1, sizeof trained);
	*stats = (struct overlong_stats){0};
	a->max_completion_length = 20;
	a->overlong_penalty = .5;
	for (int i = 0; i < n; i++) {
		r[i].ids = ids;
		r[i].trained = trained;
		r[i].reward = 1;
	}
	assert_ok(batch_of_groups(&group, 1, arena, &b));
	assert_ok(overlong_apply(a, &b, arena, stats));
	for (int t = 0; t < 32; t++)
		assert_int_equal(trained[t], 1); /* the record stays as it is */
	return b;
}

static void each_overlong_policy_does_its_thing_and_shows_in_the_counts(void **state)
{
	(void)state;
	for (int policy = OVERLONG_KEEP; policy <= OVERLONG_SHAPE; policy++) {
		struct algorithm      a = f1_algorithm("dapo");
		struct overlong_stats stats;
		struct arena          arena = {0};
		struct rollout        r[3] = {{.n = 15},
		                              {.n = 20, .truncated = 1},
		                              {.n = 2, .truncated = 1, .stop = STOP_CONTEXT}};
		double                full = policy == OVERLONG_SHAPE ? -.5 : 0;
		struct batch          b;

		a.overlong = (enum overlong)policy;
		b = overlong_batch(&a, r, 3, &arena, &stats);
		assert_close(stats.rows, 3, 0);
		assert_close(stats.truncated, 2, 0);
		assert_close(stats.masked, policy == OVERLONG_MASK ? 2 : 0, 0);
		assert_close(stats.shaped, policy == OVERLONG_SHAPE ? 2 : 0, 0);
		assert_close(stats.penalty, 2 * full, 0);
		assert_close(b.penalty[0], 0, 0);
		assert_close(b.penalty[1], full, 0);
		assert_close(b.penalty[2], full, 0); /* the model's positions are a limit, too */
		for (int i = 0; i < 3; i++) {
			assert_close(r[i].reward, 1, 0); /* told as the verifiers gave it */
			assert_close(b.reward[i], 1 + b.penalty[i], 0);
			assert_int_equal(batch_trained(&b, i),
			                 policy == OVERLONG_MASK && i > 0 ? 0 : r[i].n);
		}
		arena_free(&arena);
	}
}

/* Without a buffer of its own the penalty begins a fifth before the limit: 16 of 20 are free, 17
 * lose a quarter of it. */
static void the_shaped_penalty_begins_a_fifth_before_the_limit(void **state)
{
	(void)state;
	for (int n = 16; n <= 17; n++)
		for (int buffer = 0; buffer <= 8; buffer += 8) {
			struct algorithm      a = f1_algorithm("dapo");
			struct overlong_stats stats;
			struct arena          arena = {0};
			struct rollout        r = {.n = n};
			double                want = buffer ? (n - 12) / 8. : (n - 16) / 4.;

			a.overlong_buffer = buffer;
			assert_close(overlong_batch(&a, &r, 1, &arena, &stats).penalty[0],
			             -.5 * want, 1e-15);
			arena_free(&arena);
		}
}

static void a_masked_row_still_moves_the_mean_of_its_group(void **state)
{
	(void)state;
	unsigned char    trained[F1_T] = {1, 1, 1, 1, 1, 0, 1, 1, 1, 1};
	struct batch     b = f1();
	struct algorithm a = f1_algorithm("dr_grpo");
	float            adv[F1_T];

	b.trained = trained;
	fill(&a, &b, adv);
	assert_close(adv[0], .5, 0);
	assert_close(adv[5], 0, 0);
}

static void dynamic_sampling_asks_for_right_not_for_reward(void **state)
{
	(void)state;
	struct rollout r[3] = {{.reward = .5, .right = 1},
	                       {.reward = 1, .right = 1},
	                       {.reward = 0, .right = MARK_UNKNOWN}};
	struct group   g = {.n = 3, .rollouts = r};

	assert_false(group_right_varies(&g));
	r[2].right = 0;
	assert_true(group_right_varies(&g));
	g.n = 0;
	assert_false(group_right_varies(&g));
}

TEST_MAIN(TEST(group_advantages_match_the_worked_numbers),
          TEST(whitened_returns_match_the_worked_numbers),
          TEST(with_token_rewards_each_place_has_its_reward_to_go_and_its_baseline),
          TEST(where_the_deviation_is_0_token_rewards_are_not_blown_up),
          TEST(batch_scaling_matches_the_worked_numbers),
          TEST(baselines_and_scales_of_the_field_match_the_worked_numbers),
          TEST(several_rewards_are_standardised_before_they_are_added),
          TEST(the_rewarded_share_is_that_of_the_batch),
          TEST(the_mean_by_length_counts_trained_tokens),
          TEST(one_success_among_n_stands_out_by_the_closed_form),
          TEST(kl_in_the_reward_acts_before_the_baseline_and_per_token_after_it),
          TEST(a_discount_reaches_back_over_trained_tokens_only),
          TEST(equal_rewards_give_exactly_zero), TEST(advantages_sum_to_zero_in_every_group),
          TEST(leave_one_out_is_g_over_g_minus_one_times_the_centred_reward),
          TEST(the_order_of_the_rows_changes_no_bit), TEST(the_order_of_many_rows_changes_no_bit),
          TEST(an_uncomputable_reward_counts_nowhere),
          TEST(a_reference_that_is_not_finite_takes_out_its_row),
          TEST(what_is_not_trained_is_not_read_and_gets_zero),
          TEST(a_row_without_a_token_is_refused), TEST(short_memory_is_returned),
          TEST(the_overlong_penalty_follows_its_table),
          TEST(each_overlong_policy_does_its_thing_and_shows_in_the_counts),
          TEST(the_shaped_penalty_begins_a_fifth_before_the_limit),
          TEST(a_masked_row_still_moves_the_mean_of_its_group),
          TEST(dynamic_sampling_asks_for_right_not_for_reward))
