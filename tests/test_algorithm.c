#include "fixture_f1.h"
#include "test.h"

static void every_row_is_complete_and_sensible(void **state)
{
	(void)state;
	const struct algorithm *row;
	int                     n = 0;

	for (; (row = algorithm_at(n)); n++) {
		struct algorithm a = *row;

		a.max_completion_length = 100;
		assert_ok(algorithm_check(&a, 8));
		assert_ptr_equal(algorithm_find(row->name), row);
		assert_true(row->source && *row->source && row->help && *row->help);
		assert_true(row->gamma == 1 && row->num_iterations == 1 && row->advantage_eps > 0);
	}
	assert_true(n >= 8);
	assert_null(algorithm_find("gpro"));
}

static void the_rows_carry_the_published_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		double      beta, epsilon, epsilon_high;
		int         loss_type;
	} want[] = {
	        {"reinforce", 0, 0, 0, SEQUENCE_SUM},
	        {"rloo", .05, 0, 0, SEQUENCE_SUM},
	        {"reinforce_pp", .001, .2, .2, SEQUENCE_MEAN},
	        {"grpo", 0, .2, .2, SEQUENCE_MEAN},
	        {"dr_grpo", 0, .2, .2, CONSTANT},
	        {"dapo", 0, .2, .28, TOKEN_MEAN},
	        {"gspo", 0, 3e-4, 4e-4, SEQUENCE_MEAN},
	        {"cispo", 0, 1, 5, TOKEN_MEAN},
	        {"gmpo", 0, .4, .4, SEQUENCE_MEAN},
	        {"sapo", 0, 0, 0, SEQUENCE_MEAN},
	        {"topr", 0, 0, 0, SEQUENCE_MEAN},
	        {"bnpo", 0, .2, .2, UPDATE_TOKEN_MEAN},
	        {"gdpo", 0, .2, .2, SEQUENCE_MEAN},
	        {"luspo", 0, 2e-3, 2.5e-3, SEQUENCE_SUM},
	        {"vespo", 0, 0, 0, TOKEN_MEAN},
	        {"dppo_tv", 0, .15, .15, CONSTANT},
	        {"dppo_kl", 0, .05, .05, CONSTANT},
	        {"dro", 0, 0, 0, TOKEN_MEAN},
	        {"clip_cov", 0, .2, .2, TOKEN_MEAN},
	        {"kl_cov", 0, 0, 0, TOKEN_MEAN},
	        {"m2po", 0, 0, 0, TOKEN_MEAN},
	        {"opo", 0, 0, 0, TOKEN_MEAN},
	        {"maxrl", 0, .2, .2, TOKEN_MEAN},
	        {"gpg", 0, 0, 0, TOKEN_MEAN},
	        {"grpo_passk", 0, .2, .2, TOKEN_MEAN},
	};

	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		const struct algorithm *a = algorithm_find(want[i].name);

		assert_non_null(a);
		assert_close(a->beta, want[i].beta, 0);
		assert_close(a->epsilon, want[i].epsilon, 0);
		assert_close(a->epsilon_high, want[i].epsilon_high, 0);
		assert_int_equal(a->loss_type, want[i].loss_type);
		assert_int_equal(algorithm_needs_reference(a), want[i].beta > 0);
	}
}

static void combinations_without_sense_are_refused_with_the_reason(void **state)
{
	(void)state;
	struct algorithm a;

#define REFUSED(row, g, edit, reason) \
	do { \
		a = f1_algorithm(row); \
		a.max_completion_length = 100; \
		edit; \
		assert_error(algorithm_check(&a, g), ERR_INPUT, reason); \
	} while (0)

	REFUSED("grpo", 1, (void)0, "num_generations is 1");
	REFUSED("rloo", 1, (void)0, "num_generations is 1");
	REFUSED("reinforce", 1, a.dynamic_sampling = 1,
	        "dynamic_sampling would drop every problem");
	REFUSED("reinforce", 8, a.scale_rewards = SCALE_GROUP, "baseline none does not subtract");
	REFUSED("reinforce", 8, a.scale_rewards = SCALE_BATCH, "nothing subtracts");
	REFUSED("reinforce", 8, a.clip = CLIP_HARD, "no ratio to bound");
	REFUSED("cispo", 8, a.epsilon_high = 0.2, "largest ratio itself");
	REFUSED("grpo", 8, a.epsilon = 1.5, "room for a ratio of 1");
	REFUSED("grpo", 8, a.epsilon_high = -0.1, "room for a ratio of 1");
	REFUSED("cispo", 8, a.delta = 3, "belongs to clip hard");
	REFUSED("grpo", 8, a.delta = 1.1, "inside the clip interval");
	REFUSED("grpo", 8, a.beta = -1, "beta is -1");
	REFUSED("grpo", 8, a.beta = NAN, "beta is");
	REFUSED("grpo", 8, (a.beta = .04, a.kl_estimator = KL_K1),
	        "expected gradient of exactly zero");
	REFUSED("dr_grpo", 8, a.max_completion_length = 0, "divides by max_completion_length");
	REFUSED("dapo", 8, a.overlong_buffer = 100, "buffer shorter than the completions");
	REFUSED("reinforce_pp", 8, a.gamma = 0, "gamma is 0");
	REFUSED("ppo", 8, a.lam = 1.1, "lam is 1.1");
	REFUSED("ppo", 8, a.scale_rewards = SCALE_BATCH,
	        "not the values that baseline critic subtracts");
	REFUSED("dppo_tv", 8, a.importance_sampling_level = LEVEL_SEQUENCE,
	        "bounds the probability of a token");
	REFUSED("kl_cov", 8, a.importance_sampling_level = LEVEL_NONE, "holds tokens back");
	REFUSED("vespo", 8, a.mismatch = MISMATCH_TOKEN_MASK, "clip gamma weighs by the ratio");
	REFUSED("gdpo", 8, a.overlong = OVERLONG_SHAPE, "overlong shape changes only their sum");
	REFUSED("gdpo", 8, a.signed_rewards = 1, "signed_rewards changes only their sum");
	REFUSED("gdpo", 8, (a.beta = .1, a.kl_placement = KL_IN_REWARD),
	        "kl_placement reward changes only their sum");
	REFUSED("opo", 1, (void)0, "num_generations is 1");
	REFUSED("grpo_passk", 1, (void)0, "num_generations is 1");
	REFUSED("maxrl", 8, a.baseline = BASELINE_BATCH, "mean of a group");
	REFUSED("maxrl", 8, a.signed_rewards = 1, "signed_rewards makes it -1");
	REFUSED("gpg", 8, a.signed_rewards = 1, "signed_rewards makes it -1");
	REFUSED("ppo", 8, a.kl_controller = KL_ADAPTIVE, "beta is 0");
	REFUSED("grpo", 8, a.kl_controller = KL_ADAPTIVE, "kl_placement loss");
	REFUSED("ppo", 8, (a.beta = .1, a.kl_controller = KL_ADAPTIVE, a.kl_target = 0),
	        "must be above 0");
	REFUSED("reinforce", 8, a.mismatch = MISMATCH_TOKEN_MASK,
	        "importance_sampling_level is none");
	REFUSED("topr", 8, a.mismatch = MISMATCH_TOKEN_MASK, "count twice");
	REFUSED("grpo", 8, a.mismatch_max = 0.5, "do not hold a weight of 1");
	REFUSED("grpo", 8, a.top_entropy = 0, "top_entropy is 0");
	REFUSED("grpo", 8, a.off_policy_mask = -1, "off_policy_mask is -1");
	REFUSED("sapo", 8, a.tau_negative = 0, "must be above 0");
	REFUSED("topr", 8, a.negative_low = 2, "not above the high one");
	REFUSED("rloo", 8, a.use_bias_correction_kl = 1, "has no gradient");
#undef REFUSED
	a = f1_algorithm("topr");
	assert_ok(algorithm_check(&a, 1)); /* no group statistic */
	assert_null(algorithm_caution(&a));
	a.signed_rewards = 0; /* rewards 0 and 1 without a baseline */
	assert_non_null(strstr(algorithm_caution(&a), "supervised learning"));
	a.baseline = BASELINE_CONSTANT, a.baseline_value = 0.5;
	assert_null(algorithm_caution(&a));
	a.baseline_value = 1;
	assert_non_null(strstr(algorithm_caution(&a), "only unlearns"));
	a = f1_algorithm("reinforce");
	assert_ok(algorithm_check(&a, 1));
	a = f1_algorithm("reinforce_pp");
	assert_ok(algorithm_check(&a, 1));
	a = f1_algorithm("ppo");
	assert_ok(algorithm_check(&a, 1));
	a = f1_algorithm("grpo");
	a.delta = 3;
	assert_ok(algorithm_check(&a, 2));
}

static void names_and_values_lead_to_each_other(void **state)
{
	(void)state;
	static const struct {
		const struct choice *list;
		int                  last;
	} lists[] = {
	        {choices_baseline, BASELINE_SECOND_BEST},   {choices_scale, SCALE_NONZERO},
	        {choices_level, LEVEL_SEQUENCE_SUM},        {choices_clip, CLIP_TAPER},
	        {choices_aggregation, PROMPT_MEAN},         {choices_kl_placement, KL_IN_LOSS},
	        {choices_kl_controller, KL_ADAPTIVE},       {choices_kl_estimator, KL_ABS},
	        {choices_mismatch, MISMATCH_SECOND_MOMENT}, {choices_covariance, COVARIANCE_KL},
	        {choices_objectives, NORMALIZE_THEN_SUM},   {choices_resampling, RESAMPLING_BEST},
	        {choices_overlong, OVERLONG_SHAPE},
	};

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		for (int v = 0; v <= lists[i].last; v++)
			assert_int_equal(
			        choice_find(lists[i].list, choice_name(lists[i].list, v))->value,
			        v);
		assert_null(choice_find(lists[i].list, "nonsense"));
	}
	assert_int_equal(choice_find(choices_aggregation, "dr_grpo")->value, CONSTANT);
	assert_string_equal(choice_name(choices_aggregation, CONSTANT), "constant");
}

TEST_MAIN(TEST(every_row_is_complete_and_sensible), TEST(the_rows_carry_the_published_numbers),
          TEST(combinations_without_sense_are_refused_with_the_reason),
          TEST(names_and_values_lead_to_each_other))
