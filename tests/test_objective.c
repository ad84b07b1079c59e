#include "estimator/advantage.h"
#include "estimator/kl.h"
#include "estimator/objective.h"
#include "fixture_f1.h"
#include "test.h"

#define TOLERANCE 2e-6

/* Answers first .. first+n-1 of F1. */
static struct batch f1_batch(float *adv, int first, int n)
{
	static int group_tokens[F1_R] = {F1_T, F1_T, F1_T, F1_T};

	return (struct batch){
	        .n = n,
	        .group_tokens = group_tokens + first,
	        .offset = f1_offset + first,
	        .trained = f1_trained,
	        .logp_new = f1_new,
	        .logp_old = f1_old,
	        .logp_ref = f1_ref,
	        .advantage = adv,
	};
}

static struct objective_stats eval(const struct algorithm *a, const struct batch *b, float *c)
{
	struct totals          totals = {0};
	struct objective_stats stats = {0};

	totals_add(&totals, b);
	for (int t = b->offset[0]; t < b->offset[b->n]; t++)
		c[t] = NAN;
	assert_ok(eval_into(a, *b, &totals, c, NULL, &stats));
	return stats;
}

static void f1_advantages(const struct algorithm *a, float *adv)
{
	struct advantage_stats stats = {0};
	struct arena           scratch = {0};

	assert_ok(advantage_into(a, f1(), &scratch, adv, &stats));
	arena_free(&scratch);
}

/* Rewards to coefficients, on the whole of F1. */
static struct objective_stats f1_eval(const struct algorithm *a, float *c)
{
	float        adv[F1_T];
	struct batch b = f1_batch(adv, 0, F1_R);

	f1_advantages(a, adv);
	return eval(a, &b, c);
}

static void check_gradient(const struct algorithm *a, float *weight);

static void assert_array(const float *got, const double *want, int n, double tolerance)
{
	for (int i = 0; i < n; i++)
		if (!(fabs(got[i] - want[i]) <= tolerance))
			fail_msg("[%d] is %.9g, expected %.9g", i, got[i], want[i]);
}

/* ---- worked numbers ---- */

static void the_clipped_surrogate_matches_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm       a = f1_algorithm("grpo");
	struct objective_stats s;
	float                  c[F1_T];

	a.beta = 0;
	s = f1_eval(&a, c);
	assert_close(s.loss, -0.028021, TOLERANCE);
	assert_array(
	        c, (double[]){0, -.065301, 0, 0, .119638, .216506, -.056902, -.036282, 0, -.054126},
	        F1_T, TOLERANCE);
	assert_close(s.clip_low, 1, 0);
	assert_close(s.clip_high, 3, 0);
	assert_close(s.tokens, 10, 0);
	assert_close(s.rows, 4, 0);
	assert_close(s.ratio, 10.828535, TOLERANCE);
	assert_close(s.ratio_max, 1.648721, TOLERANCE);

	a.loss_type = TOKEN_MEAN;
	assert_close(f1_eval(&a, c).loss, -0.374231, TOLERANCE);
	assert_array(
	        c, (double[]){0, -.078361, 0, 0, .095710, .086602, -.091043, -.058051, 0, -.086602},
	        F1_T, TOLERANCE);

	a.loss_type = SEQUENCE_SUM;
	assert_close(f1_eval(&a, c).loss, -0.935578, TOLERANCE);
}

/* As above, in two updates of which the first holds answers 0 to 2: its own 6 tokens divide, those
 * of the batch do not. The sum over tokens is 10 times their mean. */
static void the_mean_of_an_update_and_the_sum_match_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm       a = f1_algorithm("bnpo");
	float                  adv[F1_T], c[F1_T];
	struct batch           part = f1_batch(adv, 0, 3);
	struct totals          totals = {.batch_tokens = F1_T, .updates = 2};
	struct objective_stats s = {0};

	assert_close(f1_eval(&a, c).loss, -0.374231, TOLERANCE);
	f1_advantages(&a, adv);
	totals_add(&totals, &part);
	assert_ok(eval_into(&a, part, &totals, c, NULL, &s));
	assert_array(c, (double[]){0, -.078361 * 10 / 6, 0, 0, .095710 * 10 / 6, .086602 * 10 / 6},
	             6, TOLERANCE);
	a.loss_type = TOKEN_SUM;
	assert_close(f1_eval(&a, c).loss, -3.742312, TOLERANCE);
	assert_array(c, (double[]){0, -.783611, 0, 0, .957105, .866024}, 6, TOLERANCE);
}

/* Answer 0 is one problem of 3 tokens, the others are another one of 7; worked out from the tokens
 * of above. */
static void the_mean_over_problems_matches_the_worked_numbers(void **state)
{
	(void)state;
	int64_t          group[F1_R] = {7, 9, 9, 9};
	struct algorithm a = f1_algorithm("grpo");
	struct arena     arena = {0};
	float            adv[F1_T], c[F1_T];
	struct batch     b = f1_batch(adv, 0, F1_R);

	f1_advantages(&a, adv);
	a.loss_type = PROMPT_MEAN;
	b.group = group;
	b.group_tokens = NULL;
	assert_ok(objective_prepare(&a, &b, &arena));
	assert_memory_equal(b.group_tokens, ((int[]){3, 7, 7, 7}), 4 * sizeof *b.group_tokens);
	assert_close(eval(&a, &b, c).loss, -0.539886, TOLERANCE);
	assert_array(
	        c, (double[]){0, -.130602, 0, 0, .068365, .061859, -.065030, -.041465, 0, -.061859},
	        F1_T, TOLERANCE);
	arena_free(&arena);
}

static void kl_in_the_loss_matches_the_worked_numbers(void **state)
{
	(void)state;
	const double           k3[F1_T] = {.070320, .021403, .040818, .091825, .005171,
	                                   0,       .001229, .148721, .018731, .001229};
	struct algorithm       a = f1_algorithm("grpo");
	struct objective_stats s;
	float                  c[F1_T];
	double                 k1 = 0, k2 = 0, abs = 0;

	a.beta = 0.04;
	for (int t = 0; t < F1_T; t++) {
		assert_close(kl_estimate(KL_K3, f1_new[t], f1_ref[t]).value, k3[t], TOLERANCE);
		abs += kl_estimate(KL_ABS, f1_new[t], f1_ref[t]).value;
		k1 += kl_estimate(KL_K1, f1_new[t], f1_ref[t]).value / F1_T;
		k2 += kl_estimate(KL_K2, f1_new[t], f1_ref[t]).value / F1_T;
	}
	assert_close(abs, 2.2, TOLERANCE);
	assert_close(kl_estimate(KL_ABS, -2, -1).slope, -1, 0);
	assert_close(kl_estimate(KL_ABS, -1, -2).slope, 1, 0);
	assert_close(kl_estimate(KL_ABS, -1, -1).slope, 0, 0);
	assert_close(k1, -.02, TOLERANCE);
	assert_close(k2, .03775, TOLERANCE);

	s = f1_eval(&a, c);
	assert_close(s.loss, -0.026670, TOLERANCE);
	assert_close(s.kl / s.tokens, .039945, TOLERANCE);
	assert_array(c, (double[]){.001099, -.066039, .000864}, 3, TOLERANCE);
}

/* E over p = (.5, .3, .2) of k3's slope times the score is p - q, the gradient of the forward
 * divergence; of k1's it is nothing. */
static void kl_slopes_have_the_expected_gradients_on_policy(void **state)
{
	(void)state;
	const double p[3] = {.5, .3, .2}, q[3] = {.2, .5, .3};
	double       grad[3][3] = {{0}};

	for (int k = KL_K1; k <= KL_K3; k++)
		for (int v = 0; v < 3; v++)
			for (int z = 0; z < 3; z++)
				grad[k][z] +=
				        p[v] *
				        kl_estimate((enum kl_estimator)k, log(p[v]), log(q[v]))
				                .slope *
				        ((v == z) - p[z]);
	for (int z = 0; z < 3; z++) {
		double kl = 0;
		for (int v = 0; v < 3; v++)
			kl += p[v] * log(p[v] / q[v]);
		assert_close(grad[KL_K1][z], 0, 1e-12);
		assert_close(grad[KL_K2][z], p[z] * (log(p[z] / q[z]) - kl), 1e-12);
		assert_close(grad[KL_K3][z], p[z] - q[z], 1e-12);
	}
}

static void every_algorithm_matches_its_worked_loss(void **state)
{
	(void)state;
	struct algorithm a;
	float            c[F1_T];

	a = f1_algorithm("dr_grpo");
	assert_close(f1_eval(&a, c).loss, -0.135039, TOLERANCE);

	a = f1_algorithm("dapo");
	assert_close(f1_eval(&a, c).loss, -0.395016, TOLERANCE);

	a = f1_algorithm("rloo");
	a.beta = 0;
	assert_close(f1_eval(&a, c).loss, 0.258333, TOLERANCE);
	assert_close(c[0] * 4, -0.6666667, TOLERANCE);

	a.importance_sampling_level = LEVEL_SEQUENCE_SUM; /* as in TRL */
	a.clip = CLIP_HARD;
	a.epsilon = a.epsilon_high = 0.2;
	a.loss_type = SEQUENCE_MEAN;
	assert_close(f1_eval(&a, c).loss, -0.075212, TOLERANCE);
	assert_array(c, (double[]){0, 0, 0, 0, 0, .1666667, -.175212, -.175212, -.175212, -.175212},
	             F1_T, TOLERANCE);
}

static void the_sequence_ratio_matches_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm       a = f1_algorithm("gspo");
	struct objective_stats s;
	float                  c[F1_T];

	s = f1_eval(&a, c);
	assert_close(s.loss, -0.000238, TOLERANCE);
	assert_close(s.clip_low, 2, 0); /* in tokens: whole rows at a time */
	assert_close(s.clip_high, 7, 0);
	assert_array(c, (double[]){0, 0, 0, 0, 0, .216506, 0, 0, 0, 0}, F1_T, TOLERANCE);

	a.epsilon = a.epsilon_high = 0.2;
	assert_close(f1_eval(&a, c).loss, -0.085270, TOLERANCE);
	assert_array(c,
	             (double[]){0, 0, 0, .088630, .088630, .216506, -.054807, -.054807, -.054807,
	                        -.054807},
	             F1_T, TOLERANCE);
}

static void the_detached_cap_matches_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("cispo");
	float            c[F1_T];

	assert_close(f1_eval(&a, c).loss, 0.275635, TOLERANCE);
	a.epsilon_high = 0.2; /* what algorithm_check refuses: a silent slow-down */
	assert_close(f1_eval(&a, c).loss, 0.026847, TOLERANCE);
	a.clip = CLIP_CAP;
	assert_close(f1_eval(&a, c).loss, 0.182987, TOLERANCE);
	assert_array(c, (double[]){-.103923, -.078361, -.103923}, 3, TOLERANCE);
	for (int t = 0; t < F1_T; t++)
		assert_true(c[t] != 0);
	a.epsilon = 0.2;
	assert_close(f1_eval(&a, c).loss, 0.175806, TOLERANCE);
}

static void the_geometric_mean_of_clipped_ratios_matches_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm       a = f1_algorithm("gmpo");
	struct objective_stats s;
	float                  c[F1_T];

	s = f1_eval(&a, c);
	assert_close(s.loss, -0.080816, TOLERANCE);
	assert_close(s.ratio, 3 * 1.221403 + 2 * .860708 + 1 + 4 * 1.012578, 1e-5);
	assert_array(c, (double[]){-.088147, -.088147, 0, 0, .093174, .216506, -.054807, -.054807},
	             8, TOLERANCE);
	assert_close(c[9], -.054807, TOLERANCE); /* token 8 sits exactly on the boundary */
	assert_true(s.clip_high >= 1 && s.clip_low == 1);
}

static void the_soft_gate_matches_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("sapo");
	float            c[F1_T];

	assert_close(f1_eval(&a, c).loss, -0.146425, TOLERANCE);
	assert_array(c, (double[]){-.094496, -.065153, -.107296}, 3, TOLERANCE);
	for (int t = 0; t < F1_T; t++)
		assert_true(c[t] != 0); /* it fades and never ends */
}

/* Ratios of the answers .670 .670 1 .951 with the sums of the log-ratios .7 -.4 0 .05: weights
 * .193736 .582375 1 .947609. */
static void the_gamma_weight_matches_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("vespo");
	float            c[F1_T];

	assert_close(f1_eval(&a, c).loss, 0.013050, TOLERANCE);
	assert_array(c,
	             (double[]){-.016778, -.016778, -.016778, .050435, .050435, .086602, -.082065,
	                        -.082065, -.082065, -.082065},
	             F1_T, TOLERANCE);
}

/* Absurd exponents make no infinite weight. */
static void the_gamma_weight_has_a_bound(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("vespo");
	float            c[F1_T];

	a.vespo_k_pos = a.vespo_lambda_neg = 1e3;
	assert_true(isfinite(f1_eval(&a, c).loss));
	for (int t = 0; t < F1_T; t++)
		assert_true(fabs(c[t]) <= exp(20));
}

static void an_answer_counts_by_its_length_in_luspo(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("luspo");
	float            c[F1_T];

	assert_close(f1_eval(&a, c).loss, -0.870679, TOLERANCE);
	assert_array(c, (double[]){0, 0, 0, 0, 0, .216506, 0, 0, 0, 0}, F1_T, TOLERANCE);
	a.epsilon = a.epsilon_high = 0.2;
	assert_close(f1_eval(&a, c).loss, -1.085312, TOLERANCE);
	assert_array(c,
	             (double[]){0, 0, 0, .177260, .177260, .216506, -.219229, -.219229, -.219229,
	                        -.219229},
	             F1_T, TOLERANCE);
}

/* Probabilities moved by .129 -.058 .088 -.177 .032 0 .038 -.134 .121 0, their two-way divergences
 * are .034 .007 .025 .071 .002 0 .004 .042 .034 0; A is -+ 1/2 and the divisor 4 x 4. */
static void masks_by_divergence_match_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm       a = f1_algorithm("dppo_tv");
	struct objective_stats s;
	float                  c[F1_T];

	s = f1_eval(&a, c);
	assert_close(s.loss, -0.187864, TOLERANCE);
	assert_array(c,
	             (double[]){-.042183, -.028276, -.051523, 0, .034537, .031250, -.032852,
	                        -.020948, -.046620, -.031250},
	             F1_T, TOLERANCE);
	assert_close(s.clip_low, 1, 0);
	assert_close(s.clip_high, 0, 0);
	a.epsilon_high = .05; /* the likelier of the good ones go, too: 0, 2 and 8 */
	s = f1_eval(&a, c);
	assert_close(s.loss, -0.047539, TOLERANCE);
	assert_true(c[0] == 0 && c[2] == 0 && c[8] == 0 && c[3] == 0 && c[7] != 0);
	assert_close(s.clip_high, 3, 0);
	a.epsilon = .2;
	f1_eval(&a, c);
	assert_true(c[3] != 0);

	a = f1_algorithm("dppo_kl");
	assert_close(f1_eval(&a, c).loss, -0.187864, TOLERANCE);
	a.epsilon = a.epsilon_high = .03; /* 7 diverged as far, but away from its advantage */
	f1_eval(&a, c);
	assert_array(c,
	             (double[]){0, -.028276, -.051523, 0, .034537, .031250, -.032852, -.020948, 0,
	                        -.031250},
	             F1_T, TOLERANCE);
	a.epsilon = 1;
	f1_eval(&a, c);
	assert_true(c[3] != 0 && c[0] == 0);
}

/* A token that was all but sure has a divergence that is finite. */
static void a_sure_token_has_a_finite_divergence(void **state)
{
	(void)state;
	int              offset[2] = {0, 2};
	float            x[2] = {0, -30}, old[2] = {-30, 0}, adv[2] = {1, -1}, c[2];
	struct batch     b = {.n = 1,
	                      .offset = offset,
	                      .trained = f1_trained,
	                      .logp_new = x,
	                      .logp_old = old,
	                      .advantage = adv};
	struct algorithm a = f1_algorithm("dppo_kl");

	assert_true(isfinite(eval(&a, &b, c).loss));
	assert_true(c[0] == 0 && c[1] == 0);
}

static void the_pull_to_the_sampling_policy_matches_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("dro");
	float            c[F1_T];

	assert_close(f1_eval(&a, c).loss, 0.082162, TOLERANCE);
	assert_array(c,
	             (double[]){-.047, -.051, -.045, .045, .051, .05, -.0495, -.054, -.046, -.05},
	             F1_T, TOLERANCE);
}

/* A tenth of the mean of -logp over the 7 tokens of the two good answers, whatever their advantage
 * and however the rest is averaged. */
static void good_answers_are_also_learned_as_they_are(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("grpo");
	struct arena     arena = {0};
	float            adv[F1_T], c[F1_T];
	struct batch     b = f1_batch(adv, 0, F1_R);

	f1_advantages(&a, adv);
	a.positive_nll = .1;
	b.reward = f1_reward;
	assert_ok(objective_prepare(&a, &b, &arena));
	assert_close(eval(&a, &b, c).loss, 0.051264, TOLERANCE);
	assert_array(c,
	             (double[]){-.014286, -.079587, -.014286, 0, .119638, .216506, -.071187,
	                        -.050568, -.014286, -.068412},
	             F1_T, TOLERANCE);
	for (int t = 0; t < F1_T; t++)
		adv[t] = 0;
	assert_true(!objective_is_silent(&a, &b, 0) && objective_is_silent(&a, &b, 1));
	a.loss_type = CONSTANT;
	eval(&a, &b, c);
	for (int t = 0; t < F1_T; t++)
		assert_close(c[t], t < 3 || t > 5 ? -.1 / 7 : 0, 1e-8);
	arena_free(&arena);
}

/* Tokens 1, 4 and 7 were written by the world, -3 in all; the fifth, masked with its answer, is in
 * no mean. */
static void what_the_world_wrote_is_learned_by_its_mean(void **state)
{
	(void)state;
	unsigned char    trained[F1_T] = {1, 0, 1, 1, 0, 0, 1, 0, 1, 1};
	unsigned char    observed[F1_T] = {0, 1, 0, 0, 1, 1, 0, 1, 0, 0};
	struct algorithm a = f1_algorithm("grpo");
	float            adv[F1_T], c[F1_T], plain[F1_T];
	struct batch     b = f1_batch(adv, 0, F1_R);
	double           loss;

	f1_advantages(&a, adv);
	b.trained = trained;
	b.observed = observed;
	loss = eval(&a, &b, plain).loss;
	a.echo = .3;
	assert_close(eval(&a, &b, c).loss - loss, .1 * (.6 + 1.1 + 1.3), TOLERANCE);
	for (int t = 0; t < F1_T; t++)
		assert_close(c[t], observed[t] && t != 5 ? -.1 : plain[t], 1e-8);
	memset(adv, 0, sizeof adv);
	assert_true(!objective_is_silent(&a, &b, 0));
	memset(observed, 0, sizeof observed); /* no world */
	assert_true(objective_is_silent(&a, &b, 0));
	assert_close(eval(&a, &b, c).loss, 0, 0);
}

/* mean_t(logp_rollout - logp_new) = -.6 .15 0 -.0125: nothing is dropped at 0.5, the second answer
 * (A < 0) at 0.1, never a good one. */
static void the_off_policy_mask_drops_bad_answers_that_became_rare(void **state)
{
	(void)state;
	struct algorithm       a = f1_algorithm("grpo");
	float                  adv[F1_T], plain[F1_T], c[F1_T];
	struct batch           b = f1_batch(adv, 0, F1_R);
	struct objective_stats s;

	a.beta = 0;
	f1_advantages(&a, adv);
	b.logp_rollout = f1_rollout;
	eval(&a, &b, plain);
	a.off_policy_mask = 0.5;
	assert_close(eval(&a, &b, c).rows_masked, 0, 0);
	assert_memory_equal(c, plain, sizeof c);
	a.off_policy_mask = 0.1;
	s = eval(&a, &b, c);
	assert_close(s.rows_masked, 1, 0);
	for (int t = 0; t < F1_T; t++)
		/* the divisors stay */
		assert_true(t == 3 || t == 4 ? c[t] == 0 : c[t] == plain[t]);
	for (int t = 0; t < F1_T; t++)
		adv[t] = -adv[t];
	a.off_policy_mask = 1e-9;
	/* now that answer is good; the others, bad, became likelier */
	assert_close(eval(&a, &b, c).rows_masked, 0, 0);
}

/* Log-probabilities that are exact in binary: the mean distance is the threshold itself, which
 * keeps the answer; a bit more drops it. */
static void the_off_policy_mask_keeps_what_lies_at_its_threshold(void **state)
{
	(void)state;
	int              offset[2] = {0, 2};
	float            adv[2] = {-1, -1}, old[2] = {-1, -2};
	float            x[2] = {-1.25f, -2.25f}, c[2];
	struct batch     b = {.n = 1,
	                      .offset = offset,
	                      .trained = f1_trained,
	                      .logp_new = x,
	                      .logp_old = old,
	                      .advantage = adv};
	struct algorithm a = f1_algorithm("grpo");

	a.off_policy_mask = .25;
	assert_close(eval(&a, &b, c).rows_masked, 0, 0);
	x[1] = nextafterf(x[1], -3);
	assert_close(eval(&a, &b, c).rows_masked, 1, 0);
}

/* GMPO limits the log-ratio above at epsilon_high where A > 0, below at -epsilon where A < 0: .2
 * and .4 are not to be confused. */
static void each_side_of_the_geometric_mean_has_its_own_width(void **state)
{
	(void)state;
	int              offset[2] = {0, 2};
	float            old[2] = {-2, -2};
	float            x[2] = {-1.7f, -1}, adv[2] = {1, 1}, c[2];
	struct batch     b = {.n = 1,
	                      .offset = offset,
	                      .trained = f1_trained,
	                      .logp_new = x,
	                      .logp_old = old,
	                      .advantage = adv};
	struct algorithm a = f1_algorithm("gmpo");

	a.epsilon = .2, a.epsilon_high = .4;
	/* .3 is inside, 1 is not */
	assert_close(eval(&a, &b, c).ratio_max, exp((.3 + .4) / 2), 1e-7);
	assert_true(c[0] != 0 && c[1] == 0);
	x[0] = -2.1f, x[1] = -3;
	adv[0] = adv[1] = -1;
	assert_close(eval(&a, &b, c).ratio_max, exp(-(.1 + .2) / 2), 1e-7);
	assert_true(c[0] != 0 && c[1] == 0);
	x[0] = -2.3f; /* beyond .2, within .4 */
	assert_close(eval(&a, &b, c).ratio_max, exp(-.2), 1e-7);
	assert_true(c[0] == 0 && c[1] == 0);
}

/* Value of k3, slope of k2; and k3 times the ratio against differences. */
static void further_forms_of_the_divergence_do_what_they_say(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("grpo");

	for (int t = 0; t < F1_T; t++) {
		struct kl k = kl_estimate(KL_K3_PLUS, f1_new[t], f1_ref[t]);
		assert_close(k.value, kl_estimate(KL_K3, f1_new[t], f1_ref[t]).value, 0);
		assert_close(k.slope, kl_estimate(KL_K2, f1_new[t], f1_ref[t]).slope, 0);
	}
	a.beta = 0.04;
	a.use_bias_correction_kl = 1;
	for (int level = LEVEL_NONE; level <= LEVEL_SEQUENCE_SUM; level++)
		for (int k = KL_K1; k <= KL_K3; k++) {
			a.importance_sampling_level = (enum level)level;
			a.clip = level == LEVEL_NONE ? CLIP_NONE
			         : k == KL_K2        ? CLIP_LOG
			                             : CLIP_HARD;
			a.kl_estimator = (enum kl_estimator)k;
			check_gradient(&a, NULL);
		}
	/* On policy E[score (k1 + 1)] is the gradient of KL(policy, reference): what k1 alone
	 * misses. */
	const double p[3] = {.5, .3, .2}, q[3] = {.2, .5, .3};
	double       kl = 0;
	for (int v = 0; v < 3; v++)
		kl += p[v] * log(p[v] / q[v]);
	for (int z = 0; z < 3; z++) {
		double grad = 0;
		for (int v = 0; v < 3; v++)
			grad += p[v] * ((v == z) - p[z]) * (log(p[v] / q[v]) + 1);
		assert_close(grad, p[z] * (log(p[z] / q[z]) - kl), 1e-12);
	}
}

/* As in TRL: with a ratio of whole answers every k of an answer is multiplied by that one. */
static void the_bias_correction_of_the_divergence_takes_the_ratio_of_the_level(void **state)
{
	(void)state;
	for (int level = LEVEL_TOKEN; level <= LEVEL_SEQUENCE_SUM; level++) {
		struct algorithm a = f1_algorithm("grpo");
		float            c[F1_T];
		double           want = 0;

		a.beta = 0.04;
		a.importance_sampling_level = (enum level)level;
		a.use_bias_correction_kl = 1;
		for (int r = 0; r < F1_R; r++) {
			double sum = 0, n = f1_offset[r + 1] - f1_offset[r];
			for (int t = f1_offset[r]; t < f1_offset[r + 1]; t++)
				sum += (double)f1_new[t] - f1_old[t];
			for (int t = f1_offset[r]; t < f1_offset[r + 1]; t++) {
				double d = (double)f1_ref[t] - f1_new[t],
				       own = (double)f1_new[t] - f1_old[t];
				want += (exp(d) - d - 1) * exp(level == LEVEL_TOKEN      ? own
				                               : level == LEVEL_SEQUENCE ? sum / n
				                                                         : sum);
			}
		}
		assert_close(f1_eval(&a, c).kl, want, 1e-9);
	}
}

/* One token with ratio 5 and A = -1. */
static void the_guard_bounds_the_pull_of_bad_tokens_that_became_likely(void **state)
{
	(void)state;
	int                    offset[2] = {0, 1};
	float                  x[1] = {-1}, old[1] = {-1 - 1.6094379f}, adv[1] = {-1};
	struct batch           b = {.n = 1,
	                            .offset = offset,
	                            .trained = f1_trained,
	                            .logp_new = x,
	                            .logp_old = old,
	                            .advantage = adv};
	struct algorithm       a = f1_algorithm("grpo");
	struct objective_stats s;
	float                  c[1];

	a.beta = 0;
	assert_close(eval(&a, &b, c).loss, 5, 1e-6);
	assert_close(c[0], 5, 1e-6);
	a.delta = 3;
	s = eval(&a, &b, c);
	assert_close(s.loss, 3, 1e-12);
	assert_close(c[0], 0, 0);
	assert_close(s.guarded, 1, 0);
}

/* One-token answers, p = (.5, .3, .2), symbols 0 1 0 2, rewards 1 0 1 0: the gradient in the
 * logits. */
static void coefficients_chain_to_the_logits(void **state)
{
	(void)state;
	const double           p[3] = {.5, .3, .2};
	int                    symbol[4] = {0, 1, 0, 2}, offset[5] = {0, 1, 2, 3, 4};
	double                 reward[4] = {1, 0, 1, 0};
	struct algorithm       a = f1_algorithm("grpo");
	struct batch           ab = {.n = 4,
	                             .offset = offset,
	                             .trained = f1_trained,
	                             .group = f1_group,
	                             .reward = reward};
	struct advantage_stats stats = {0};
	struct arena           scratch = {0};
	float                  x[4], adv[4], c[4];
	double                 dz[3] = {0};

	a.beta = a.advantage_eps = 0;
	for (int i = 0; i < 4; i++)
		x[i] = (float)log(p[symbol[i]]);
	assert_ok(advantage_into(&a, ab, &scratch, adv, &stats));
	arena_free(&scratch);
	eval(&a,
	     &(struct batch){.n = 4,
	                     .offset = offset,
	                     .trained = f1_trained,
	                     .logp_new = x,
	                     .logp_old = x,
	                     .advantage = adv},
	     c);
	for (int i = 0; i < 4; i++)
		for (int v = 0; v < 3; v++)
			dz[v] += c[i] * ((v == symbol[i]) - p[v]);
	assert_close(dz[0], -.433013, TOLERANCE);
	assert_close(dz[1], .216506, TOLERANCE);
	assert_close(dz[2], .216506, TOLERANCE);
}

/* Two wrong answers of 10 and 100 tokens, A = -0.866: the mean per answer punishes a token of the
 * long one ten times less. */
static void only_the_mean_per_answer_favours_long_wrong_answers(void **state)
{
	(void)state;
	int              offset[3] = {0, 10, 110}, group_tokens[2] = {110, 110};
	unsigned char    trained[110];
	float            x[110], adv[110], c[110];
	struct batch     b = {.n = 2,
	                      .offset = offset,
	                      .trained = trained,
	                      .logp_new = x,
	                      .logp_old = x,
	                      .advantage = adv};
	struct algorithm a = f1_algorithm("grpo");

	a.beta = 0;
	a.max_completion_length = 100;
	memset(trained, 1, sizeof trained);
	for (int t = 0; t < 110; t++)
		x[t] = -1, adv[t] = -0.866f;
	eval(&a, &b, c);
	assert_close(c[0], .0866 / 2, 1e-7);
	assert_close(c[50], .00866 / 2, 1e-7);
	b.group_tokens = group_tokens;
	for (int mode = TOKEN_MEAN; mode <= PROMPT_MEAN; mode++) {
		a.loss_type = (enum aggregation)mode;
		eval(&a, &b, c);
		assert_close(c[0], c[50], 0);
	}
}

/* ---- every rule against central differences ---- */

static float on_grid(float x) /* so that x + h and x - h are exact in float */
{
	return roundf(x * 4096) / 4096;
}

static void check_gradient(const struct algorithm *a, float *weight)
{
	static unsigned char trained[F1_T] = {1, 1, 1, 1, 1, 1, 1, 0, 1, 1};
	/* differs within an answer */
	static float adv[F1_T] = {.7f, .9f, -.4f, -.6f, .3f, -1.1f, .8f, 5, -.9f, .2f};
	const float  h = 1.0f / 4096;
	float        x[F1_T], held[F1_T], old[F1_T], ref[F1_T], c[F1_T], unused[F1_T];
	struct batch b = f1_batch(adv, 0, F1_R);

	for (int t = 0; t < F1_T; t++)
		x[t] = held[t] = on_grid(f1_new[t]), old[t] = on_grid(f1_old[t]);
	memcpy(ref, f1_ref, sizeof ref);
	ref[5] -= .25f; /* abs has a corner where policy and reference agree */
	b.logp_ref = ref;
	b.logp_old = old;
	b.trained = trained;
	b.logp_new = x;
	b.logp_held = held;
	b.weight = weight;
	eval(a, &b, c);
	for (int t = 0; t < F1_T; t++) {
		double above, below, slope;

		x[t] = held[t] + h;
		above = eval(a, &b, unused).loss;
		x[t] = held[t] - h;
		below = eval(a, &b, unused).loss;
		x[t] = held[t];
		slope = (above - below) / (2.0 * h);
		if (!(fabs(c[t] - slope) <= 1e-6 * fabs(slope) + 1e-9))
			fail_msg("%s level %d clip %d kl %d weight %d token %d: %.9g, differences "
			         "say %.9g",
			         a->name, a->importance_sampling_level, a->clip, a->kl_estimator,
			         a->loss_type, t, c[t], slope);
	}
}

static void every_gradient_matches_central_differences(void **state)
{
	(void)state;
	static float            weight[F1_T] = {.5f, 2, 0, 1.5f, 1, .25f, 3, 1, .75f, 0};
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++) {
		struct algorithm a = f1_algorithm(row->name);
		check_gradient(&a, NULL);
		check_gradient(&a, weight);
		a.beta = 0.04;
		a.proximal = 0.3;
		a.kl_placement = KL_IN_LOSS;
		a.kl_estimator = KL_ABS;
		check_gradient(&a, weight);
	}
	for (int level = LEVEL_NONE; level <= LEVEL_SEQUENCE_SUM; level++)
		for (int clip = CLIP_NONE; clip <= CLIP_GAMMA; clip++)
			for (int kl = KL_K1; kl <= KL_K3; kl++)
				for (int mode = SEQUENCE_MEAN; mode <= PROMPT_MEAN; mode++) {
					struct algorithm a = f1_algorithm("grpo");

					if (level == LEVEL_NONE && clip != CLIP_NONE)
						continue;
					if (clip == CLIP_SQUASH || clip == CLIP_POWER)
						continue; /* of guided rows */
					a.beta = 0.04;
					a.importance_sampling_level = (enum level)level;
					a.clip = (enum clip)clip;
					a.kl_estimator = (enum kl_estimator)kl;
					a.loss_type = (enum aggregation)mode;
					a.epsilon_high = clip == CLIP_CAP_ABSOLUTE
					                         ? 1.3
					                         /* no log-ratio of F1 is that:
					                          * limits are not smooth there */
					                         : 0.31;
					a.delta = 1.45;
					a.positive_low = 0.5, a.positive_high = 1.2,
					a.negative_low = 0.7;
					check_gradient(&a, NULL);
				}
}

/* A difference that computes the weight anew must not match: the weight is a constant. */
static void a_capped_weight_carries_no_gradient(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("cispo");
	float            x[F1_T], adv[F1_T], c[F1_T], unused[F1_T];
	struct batch     b = f1_batch(adv, 0, F1_R);
	double           above, below;

	f1_advantages(&a, adv);
	memcpy(x, f1_new, sizeof x);
	b.logp_new = x;
	eval(&a, &b, c);
	x[1] += 1e-3f;
	above = eval(&a, &b, unused).loss;
	x[1] -= 2e-3f;
	below = eval(&a, &b, unused).loss;
	assert_true(fabs((above - below) / 2e-3 - c[1]) > 1e-2);
}

/* As in TRL: entropy_coef times the mean over the tokens that the bonus acts on, whatever divides
 * the rest of the loss. */
static void the_entropy_bonus_is_a_mean_over_tokens_whatever_the_loss_type(void **state)
{
	(void)state;
	float                  entropy[F1_T] = {.5f, .25f, 1, 2, .125f, .75f, 1, 1, 1, .5f};
	unsigned char          some[F1_T] = {0, 0, 1, 1, 0, 0, 1, 0, 0, 0};
	struct algorithm       a = f1_algorithm("grpo");
	float                  adv[F1_T], c[F1_T], c_plain[F1_T], h[F1_T];
	struct batch           b = f1_batch(adv, 0, F1_R);
	struct objective_stats plain;

	a.max_completion_length = 20;
	f1_advantages(&a, adv);
	for (int mode = SEQUENCE_MEAN; mode <= PROMPT_MEAN; mode++)
		for (int masked = 0; masked <= 1; masked++) {
			struct totals          totals = {0};
			struct objective_stats s = {0};
			double                 n = masked ? 3 : F1_T, sum = masked ? 4 : 8.125;

			a.loss_type = (enum aggregation)mode;
			a.entropy_coef = 0;
			b.entropy_new = NULL;
			plain = eval(&a, &b, c_plain);
			a.entropy_coef = 0.01;
			b.entropy_new = entropy;
			b.high = masked ? some : NULL;
			totals_add(&totals, &b);
			assert_int_equal(totals.high, n);
			assert_ok(eval_into(&a, b, &totals, c, h, &s));
			for (int t = 0; t < F1_T; t++)
				assert_close(h[t], masked && !some[t] ? 0 : -0.01 / n, 1e-9);
			assert_memory_equal(c, c_plain, sizeof c);
			assert_close(s.loss - plain.loss, -0.01 * sum / n, 1e-12);
			assert_close(s.entropy, 8.125, 0); /* the metric is of all tokens */
		}
}

/* Two updates of F1: a token weighs the same in whichever it falls, and their mean is the loss of
 * the whole. */
static void the_token_mean_of_several_updates_has_one_divisor(void **state)
{
	(void)state;
	struct algorithm a = f1_algorithm("dapo");
	float            adv[F1_T], whole[F1_T], part[F1_T];
	struct batch     b = f1_batch(adv, 0, F1_R);
	double           loss, sum = 0;

	f1_advantages(&a, adv);
	loss = eval(&a, &b, whole).loss;
	for (int r = 0; r < F1_R; r += 3) { /* 6 + 4 of the 10 tokens */
		struct batch           piece = f1_batch(adv, r, r ? 1 : 3);
		struct totals          totals = {.batch_tokens = F1_T, .updates = 2};
		struct objective_stats s = {0};

		totals_add(&totals, &piece);
		assert_ok(eval_into(&a, piece, &totals, part, NULL, &s));
		sum += s.loss / 2;
	}
	for (int t = 0; t < F1_T; t++)
		assert_close(part[t], 2 * whole[t], 1e-7);
	assert_close(sum, loss, 1e-12);
}

/* ---- exactness ---- */

static void the_first_update_moves_every_token_by_its_advantage_to_the_bit(void **state)
{
	(void)state;
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++) {
		struct algorithm       a = f1_algorithm(row->name);
		float                  adv[F1_T], c[F1_T];
		struct batch           b = f1_batch(adv, 0, F1_R);
		struct totals          one = {.rows = 1, .tokens = F1_T};
		struct objective_stats s = {0};

		for (int r = 0; r < F1_R; r++)
			for (int t = f1_offset[r]; t < f1_offset[r + 1]; t++)
				adv[t] = (float)((r % 2 ? -1.0 : 1.0) * (0.1 + 0.3 * r) / 0.7);
		a.beta = 0;
		a.loss_type = SEQUENCE_SUM; /* with one row in the totals every weight is 1 */
		b.logp_old = b.logp_new;
		assert_ok(eval_into(&a, b, &one, c, NULL, &s));
		for (int t = 0; t < F1_T; t++)
			/* supervised: bad answers are not read */
			adv[t] = adv[t] < 0 && row->negative_high == 0 ? 0.0f : -adv[t];
		for (int t = 0; t < F1_T; t++)
			assert_true(c[t] == adv[t]);
		assert_close(s.clip_low + s.clip_high + s.guarded, row->negative_high == 0 ? 6 : 0,
		             0);
		assert_close(s.ratio, F1_T, 0);
		assert_close(s.ratio_max, 1, 0);
	}
}

static void cutting_a_step_into_pieces_changes_no_bit(void **state)
{
	(void)state;
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++)
		for (int mode = SEQUENCE_MEAN; mode <= PROMPT_MEAN; mode++) {
			struct algorithm a = f1_algorithm(row->name);
			float            adv[F1_T], whole[F1_T], parts[F1_T];

			f1_advantages(&a, adv);
			a.loss_type = (enum aggregation)mode;
			for (int size = 4; size >= 1; size /= 2) {
				struct totals                 totals = {0};
				struct objective_stats        s = {0};
				static struct objective_stats once;

				for (int r = 0; r < F1_R; r += size) {
					struct batch b = f1_batch(adv, r, size);
					totals_add(&totals, &b);
				}
				for (int r = 0; r < F1_R; r += size) {
					struct batch b = f1_batch(adv, r, size);
					assert_ok(eval_into(&a, b, &totals, parts, NULL, &s));
				}
				if (size == 4) {
					memcpy(whole, parts, sizeof whole);
					once = s;
				}
				assert_memory_equal(whole, parts, sizeof whole);
				assert_memory_equal(&once, &s, sizeof s);
			}
		}
}

static void shuffled_rows_give_shuffled_coefficients(void **state)
{
	(void)state;
	int                     offset[F1_R + 1] = {0, 4, 5, 7, 10}; /* F1 backwards */
	const float            *from[4] = {f1_new, f1_old, f1_ref, NULL};
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++) {
		struct algorithm a = f1_algorithm(row->name);
		float            adv[F1_T], to[4][F1_T], c[F1_T], back[F1_T];
		struct batch     b = f1_batch(adv, 0, F1_R);
		struct batch     reversed = {.n = F1_R,
		                             .offset = offset,
		                             .trained = f1_trained,
		                             .logp_new = to[0],
		                             .logp_old = to[1],
		                             .logp_ref = to[2],
		                             .advantage = to[3]};

		f1_advantages(&a, adv);
		from[3] = adv;
		for (int k = 0; k < 4; k++)
			for (int r = 0; r < F1_R; r++)
				memcpy(to[k] + offset[F1_R - 1 - r], from[k] + f1_offset[r],
				       (size_t)(f1_offset[r + 1] - f1_offset[r]) * sizeof(float));
		assert_close(eval(&a, &b, c).loss, eval(&a, &reversed, back).loss, 1e-12);
		for (int r = 0; r < F1_R; r++)
			assert_memory_equal(c + f1_offset[r], back + offset[F1_R - 1 - r],
			                    (size_t)(f1_offset[r + 1] - f1_offset[r]) *
			                            sizeof(float));
	}
}

static void what_is_not_trained_is_not_read_and_gets_zero(void **state)
{
	(void)state;
	/* the third answer not at all */
	unsigned char           trained[F1_T] = {1, 0, 1, 0, 1, 0, 1, 1, 0, 0};
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++) {
		struct algorithm       a = f1_algorithm(row->name);
		float                  in[2][5][F1_T], c[2][F1_T], h[2][F1_T];
		struct objective_stats s[2];
		struct totals          totals = {0};

		memset(s, 0, sizeof s);
		a.entropy_coef = 0.1;
		for (int k = 0; k < 2; k++) {
			const float *from[5] = {f1_new, f1_old, f1_ref, f1_old, f1_new};
			struct batch b = {.n = F1_R,
			                  .offset = f1_offset,
			                  .trained = trained,
			                  .logp_new = in[k][0],
			                  .logp_old = in[k][1],
			                  .logp_ref = in[k][2],
			                  .entropy_new = in[k][3],
			                  .advantage = in[k][4]};

			for (int j = 0; j < 5; j++)
				for (int t = 0; t < F1_T; t++)
					in[k][j][t] = trained[t] ? from[j][t] : k ? NAN : 1e30f;
			totals = (struct totals){0};
			totals_add(&totals, &b);
			assert_ok(eval_into(&a, b, &totals, c[k], h[k], &s[k]));
			for (int t = 0; t < F1_T; t++)
				assert_true(trained[t] || (c[k][t] == 0 && h[k][t] == 0));
		}
		/* a row without trained tokens does not dilute the mean */
		assert_int_equal(totals.rows, 3);
		assert_int_equal(totals.tokens, 5);
		assert_memory_equal(c[0], c[1], sizeof c[0]);
		assert_memory_equal(h[0], h[1], sizeof h[0]);
		assert_memory_equal(&s[0], &s[1], sizeof s[0]);
		assert_close(s[0].rows_skipped, 0, 0);
	}
}

/* F1 with an untrained token before, inside and behind each answer: at every level, with every
 * rule, the trained ones get what they got. */
static void tokens_that_are_not_trained_might_as_well_not_be_there(void **state)
{
	(void)state;
	enum { LONG = 2 * F1_T + F1_R };
	int           offset[F1_R + 1] = {0}, place[F1_T];
	unsigned char trained[LONG] = {0}, guided[F1_R] = {0, 0, 1, 1};
	float x[LONG], old[LONG], ref[LONG], roll[LONG], adv[LONG], entropy[LONG], c[LONG], h[LONG],
	        plain_c[F1_T], plain_h[F1_T];
	float plain_adv[F1_T], plain_entropy[F1_T];

	for (int r = 0, at = 0; r < F1_R; r++) {
		for (int t = f1_offset[r]; t < f1_offset[r + 1]; t++) {
			place[t] = at + 1;
			at += 2;
		}
		offset[r + 1] = ++at;
	}
	for (int t = 0; t < LONG; t++)
		x[t] = old[t] = ref[t] = roll[t] = adv[t] = entropy[t] = NAN;
	for (int t = 0; t < F1_T; t++) {
		int p = place[t];
		plain_adv[t] = t % 3 ? .5f : -.75f;
		plain_entropy[t] = entropy[p] = .1f * (float)t;
		trained[p] = 1, x[p] = f1_new[t], old[p] = f1_old[t], ref[p] = f1_ref[t],
		roll[p] = f1_rollout[t], adv[p] = plain_adv[t];
	}
	for (int level = LEVEL_NONE; level <= LEVEL_SEQUENCE_SUM; level++)
		for (int clip = CLIP_NONE; clip <= CLIP_GAMMA; clip++)
			for (int mode = SEQUENCE_MEAN; mode <= PROMPT_MEAN; mode++) {
				struct algorithm a = f1_algorithm("grpo");
				struct batch     plain = f1_batch(plain_adv, 0, F1_R), b = plain;
				struct totals    totals[2] = {{0}, {0}};
				struct objective_stats s[2];
				if (level == LEVEL_NONE && clip != CLIP_NONE)
					continue;
				if (clip == CLIP_SQUASH || clip == CLIP_POWER)
					continue; /* of guided rows */
				memset(s, 0, sizeof s);
				a.importance_sampling_level = (enum level)level,
				a.clip = (enum clip)clip, a.loss_type = (enum aggregation)mode;
				a.beta = .1, a.use_bias_correction_kl = clip % 2,
				a.entropy_coef = .2, a.off_policy_mask = .05;
				a.guided_clip = CLIP_SQUASH, a.squash_percentile = .4;
				a.epsilon_high = clip == CLIP_CAP_ABSOLUTE ? 1.3 : .4;
				plain.entropy_new = plain_entropy, plain.guided = guided,
				plain.logp_rollout = f1_rollout;
				b = (struct batch){.n = F1_R,
				                   .offset = offset,
				                   .trained = trained,
				                   .logp_new = x,
				                   .logp_old = old,
				                   .logp_ref = ref,
				                   .advantage = adv,
				                   .entropy_new = entropy,
				                   .guided = guided,
				                   .group_tokens = plain.group_tokens,
				                   .logp_rollout = roll};
				totals_add(&totals[0], &plain);
				totals_add(&totals[1], &b);
				assert_memory_equal(&totals[0], &totals[1], sizeof totals[0]);
				assert_ok(
				        eval_into(&a, plain, &totals[0], plain_c, plain_h, &s[0]));
				assert_ok(eval_into(&a, b, &totals[1], c, h, &s[1]));
				assert_memory_equal(&s[0], &s[1], sizeof s[0]);
				for (int t = 0; t < F1_T; t++)
					assert_true(c[place[t]] == plain_c[t] &&
					            h[place[t]] == plain_h[t]);
			}
}

/* ---- what must never reach the weights ---- */

static void absurd_log_probabilities_keep_the_gradient_finite(void **state)
{
	(void)state;
	const float             absurd[] = {-1e4f, 1e3f, -1e3f};
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++)
		for (int k = 0; k < 3; k++)
			for (int sign = -1; sign <= 1; sign += 2) {
				struct algorithm       a = f1_algorithm(row->name);
				float                  x[F1_T], adv[F1_T], c[F1_T];
				struct batch           b = f1_batch(adv, 0, F1_R);
				struct objective_stats s;

				for (int t = 0; t < F1_T; t++)
					adv[t] = (float)sign;
				memcpy(x, f1_new, sizeof x);
				x[4] = absurd[k];
				b.logp_new = x;
				s = eval(&a, &b, c);
				assert_true(isfinite(s.loss));
				assert_close(s.rows_skipped, 0, 0);
				if (a.clip != CLIP_LOG) /* that one limits before the clamp */
					assert_close(s.clamped > 0,
					             a.importance_sampling_level != LEVEL_NONE, 0);
				for (int t = 0; t < F1_T; t++)
					assert_true(isfinite(c[t]));
				if (a.clip == CLIP_HARD && a.beta == 0)
					/* past the clamp the ratio no longer moves */
					assert_true(c[4] == 0);
			}
}

static void an_absurd_divergence_has_a_finite_value_and_no_slope(void **state)
{
	(void)state;
	for (int k = KL_K1; k <= KL_K3; k++)
		for (int sign = -1; sign <= 1; sign += 2) {
			struct kl kl = kl_estimate((enum kl_estimator)k, -500 + sign * 400, -500);

			assert_true(isfinite(kl.value));
			assert_close(kl.slope, 0, 0);
			assert_true(isnan(kl_estimate((enum kl_estimator)k, NAN, -1).value));
		}
}

/* A thousand small log-ratios whose sum in float would be off by the width of GSPO's clip. */
static void long_sums_of_log_ratios_are_taken_in_double(void **state)
{
	(void)state;
	enum { LONG = 1000 };
	int                  offset[2] = {0, LONG};
	static unsigned char trained[LONG];
	static float         x[LONG], old[LONG], adv[LONG], c[LONG];
	struct batch         b = {.n = 1,
	                          .offset = offset,
	                          .trained = trained,
	                          .logp_new = x,
	                          .logp_old = old,
	                          .advantage = adv};
	struct algorithm     a = f1_algorithm("gspo");
	double               sum = 0;

	for (int t = 0; t < LONG; t++) {
		trained[t] = 1;
		x[t] = -0.1f - 0.0007f * (float)t;
		old[t] = -3.3f + 0.0011f * (float)t;
		adv[t] = 1;
		sum += (double)x[t] - (double)old[t];
	}
	assert_close(eval(&a, &b, c).ratio_max, exp(sum / LONG), 1e-12);
}

static void a_row_that_is_not_finite_is_left_out_and_counted(void **state)
{
	(void)state;
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++)
		for (int array = 0; array < 4; array++) {
			struct algorithm       a = f1_algorithm(row->name);
			float                  in[4][F1_T], adv[F1_T], c[F1_T], clean[F1_T];
			struct batch           b = f1_batch(adv, 0, F1_R);
			struct objective_stats s;
			int                    read = array == 0 || array == 3 ||
			           (array == 1 && (a.importance_sampling_level != LEVEL_NONE ||
			                           a.proximal > 0)) ||
			           (array == 2 && a.beta > 0 && a.kl_placement == KL_IN_LOSS);

			f1_advantages(&a, adv);
			eval(&a, &b, clean);
			memcpy(in[0], f1_new, sizeof in[0]);
			memcpy(in[1], f1_old, sizeof in[1]);
			memcpy(in[2], f1_ref, sizeof in[2]);
			memcpy(in[3], adv, sizeof in[3]);
			in[array][8] = array % 2 ? INFINITY : NAN;
			b.logp_new = in[0], b.logp_old = in[1], b.logp_ref = in[2],
			b.advantage = in[3];
			s = eval(&a, &b, c);
			assert_close(s.rows_skipped, read, 0);
			assert_close(s.rows, 4 - read, 0);
			assert_true(isfinite(s.loss) && isfinite(s.kl) && isfinite(s.ratio));
			assert_memory_equal(c, clean, 6 * sizeof *c);
			for (int t = 6; t < F1_T; t++)
				assert_true(read ? c[t] == 0 : c[t] == clean[t]);
		}
}

static void an_answer_of_one_token_trains_and_one_of_none_is_refused(void **state)
{
	(void)state;
	int                    none[F1_R + 1] = {0, 3, 5, 5, 10};
	struct algorithm       a = f1_algorithm("gspo");
	float                  adv[F1_T], c[F1_T];
	struct batch           b = f1_batch(adv, 2, 1);
	struct totals          totals = {.rows = 1, .tokens = 1};
	struct objective_stats s = {0}, before = {0};

	f1_advantages(&a, adv);
	eval(&a, &b, c);
	assert_close(c[5], .8660239, TOLERANCE);
	b = (struct batch){.n = F1_R,
	                   .offset = none,
	                   .trained = f1_trained,
	                   .logp_new = f1_new,
	                   .advantage = adv};
	assert_error(eval_into(&a, b, &totals, c, NULL, &s), ERR_INPUT, "completion 2");
	assert_memory_equal(&s, &before, sizeof s);
}

TEST_MAIN(TEST(the_clipped_surrogate_matches_the_worked_numbers),
          TEST(the_mean_of_an_update_and_the_sum_match_the_worked_numbers),
          TEST(the_mean_over_problems_matches_the_worked_numbers),
          TEST(kl_in_the_loss_matches_the_worked_numbers),
          TEST(kl_slopes_have_the_expected_gradients_on_policy),
          TEST(every_algorithm_matches_its_worked_loss),
          TEST(the_sequence_ratio_matches_the_worked_numbers),
          TEST(the_detached_cap_matches_the_worked_numbers),
          TEST(the_guard_bounds_the_pull_of_bad_tokens_that_became_likely),
          TEST(coefficients_chain_to_the_logits),
          TEST(the_geometric_mean_of_clipped_ratios_matches_the_worked_numbers),
          TEST(the_soft_gate_matches_the_worked_numbers),
          TEST(the_gamma_weight_matches_the_worked_numbers), TEST(the_gamma_weight_has_a_bound),
          TEST(an_answer_counts_by_its_length_in_luspo),
          TEST(masks_by_divergence_match_the_worked_numbers),
          TEST(a_sure_token_has_a_finite_divergence),
          TEST(the_pull_to_the_sampling_policy_matches_the_worked_numbers),
          TEST(good_answers_are_also_learned_as_they_are),
          TEST(what_the_world_wrote_is_learned_by_its_mean),
          TEST(the_off_policy_mask_drops_bad_answers_that_became_rare),
          TEST(the_off_policy_mask_keeps_what_lies_at_its_threshold),
          TEST(each_side_of_the_geometric_mean_has_its_own_width),
          TEST(further_forms_of_the_divergence_do_what_they_say),
          TEST(the_bias_correction_of_the_divergence_takes_the_ratio_of_the_level),
          TEST(only_the_mean_per_answer_favours_long_wrong_answers),
          TEST(every_gradient_matches_central_differences),
          TEST(a_capped_weight_carries_no_gradient),
          TEST(the_entropy_bonus_is_a_mean_over_tokens_whatever_the_loss_type),
          TEST(the_token_mean_of_several_updates_has_one_divisor),
          TEST(the_first_update_moves_every_token_by_its_advantage_to_the_bit),
          TEST(cutting_a_step_into_pieces_changes_no_bit),
          TEST(shuffled_rows_give_shuffled_coefficients),
          TEST(what_is_not_trained_is_not_read_and_gets_zero),
          TEST(tokens_that_are_not_trained_might_as_well_not_be_there),
          TEST(absurd_log_probabilities_keep_the_gradient_finite),
          TEST(an_absurd_divergence_has_a_finite_value_and_no_slope),
          TEST(long_sums_of_log_ratios_are_taken_in_double),
          TEST(a_row_that_is_not_finite_is_left_out_and_counted),
          TEST(an_answer_of_one_token_trains_and_one_of_none_is_refused))
