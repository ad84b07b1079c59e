#include "rl/algorithm.h"

#include "base/error.h"

#include <assert.h>
#include <string.h>

/* What papers leave open or libraries do otherwise; each is one override:
 *
 * adv_eps 1e-6   is verl's. TRL 1e-4, Dr.GRPO's code 1e-8, OpenRLHF 1e-9. Constant groups are exactly 0 without it, so it matters little.
 * reinforce      baseline: batch gives the textbook variance reduction.
 * rloo           the paper is plain REINFORCE on whole answers. TRL: importance_sampling_level sequence_sum, clip hard (0.2), loss_type sequence_mean.
 *                beta: the paper has 0.03 and 0.10 by task, TRL 0.05.
 * reinforce_pp   loss_type sequence_mean as in the paper; libraries average over tokens. baseline: group is the "-baseline" variant.
 * grpo           beta 0.04, k3 in the loss, is the paper's; TRL and verl train without it (beta 0). The paper gives no clip width; 0.2 is everyone's.
 *                verl adds delta 3.
 * dapo           the released recipe adds delta 10. Buffer and penalty are those of the paper: 4096 of 20480 tokens, factor 1.
 * gspo           widths are those of the paper; they look tiny because the ratio is a geometric mean over the answer.
 * cispo          the paper tunes only the ceiling and does not disclose it; 5 is ScaleRL's, as TRL reads it (of the ratio itself, no floor).
 *                verl clamps to 1 -+ 0.2: clip cap.
 *
 * num_iterations is 1 everywhere: with one update per batch the ratio is 1 and the clips are idle. Papers that rely on them cut a batch into
 * minibatches instead: dapo 16, gspo 4.
 *
 * Rows without a KL term carry the placement and estimator that beta > 0 would switch on. */
#define COMMON .adv_eps = 1e-6, .gamma = 1, .num_iterations = 1, .overlong_penalty = 1

/* clang-format off */
static const struct algorithm table[] = {
	/* name, baseline, scale, whiten, ratio level, clip, aggregation, KL placement, KL estimator, overlong, dynamic sampling,
	 *   beta, epsilon, epsilon_high, source, help */
	{ "reinforce", BASELINE_NONE, SCALE_NONE, 0, LEVEL_NONE, CLIP_NONE, SEQUENCE_SUM, KL_IN_REWARD, KL_K1, OVERLONG_KEEP, 0,
	  .beta = 0, .source = "Williams 1992", .help = "reward times log-probability, no baseline, no ratio", COMMON },
	{ "rloo", BASELINE_LEAVE_ONE_OUT, SCALE_NONE, 0, LEVEL_NONE, CLIP_NONE, SEQUENCE_SUM, KL_IN_REWARD, KL_K1, OVERLONG_KEEP, 0,
	  .beta = 0.05, .source = "arXiv:2402.14740", .help = "REINFORCE against the mean of the other answers", COMMON },
	{ "reinforce_pp", BASELINE_NONE, SCALE_NONE, 1, LEVEL_TOKEN, CLIP_HARD, SEQUENCE_MEAN, KL_IN_TOKEN_REWARD, KL_K1, OVERLONG_KEEP, 0,
	  .beta = 0.001, .epsilon = 0.2, .epsilon_high = 0.2,
	  .source = "arXiv:2501.03262", .help = "returns whitened over the tokens of the batch, clipped", COMMON },
	{ "grpo", BASELINE_GROUP, SCALE_GROUP, 0, LEVEL_TOKEN, CLIP_HARD, SEQUENCE_MEAN, KL_IN_LOSS, KL_K3, OVERLONG_KEEP, 0,
	  .beta = 0.04, .epsilon = 0.2, .epsilon_high = 0.2,
	  .source = "arXiv:2402.03300", .help = "rewards standardised in their group, clipped, mean per answer", COMMON },
	{ "dr_grpo", BASELINE_GROUP, SCALE_NONE, 0, LEVEL_TOKEN, CLIP_HARD, CONSTANT, KL_IN_LOSS, KL_K3, OVERLONG_KEEP, 0,
	  .beta = 0, .epsilon = 0.2, .epsilon_high = 0.2,
	  .source = "arXiv:2503.20783", .help = "GRPO without its length and difficulty biases", COMMON },
	{ "dapo", BASELINE_GROUP, SCALE_GROUP, 0, LEVEL_TOKEN, CLIP_HARD, TOKEN_MEAN, KL_IN_LOSS, KL_K3, OVERLONG_SHAPE, 1,
	  .beta = 0, .epsilon = 0.2, .epsilon_high = 0.28,
	  .source = "arXiv:2503.14476", .help = "GRPO with a higher ceiling, token mean, dynamic sampling, soft overlong penalty", COMMON },
	{ "gspo", BASELINE_GROUP, SCALE_GROUP, 0, LEVEL_SEQUENCE, CLIP_HARD, SEQUENCE_MEAN, KL_IN_LOSS, KL_K3, OVERLONG_KEEP, 0,
	  .beta = 0, .epsilon = 3e-4, .epsilon_high = 4e-4,
	  .source = "arXiv:2507.18071", .help = "one length-normalised ratio per answer, clipped as a whole", COMMON },
	{ "cispo", BASELINE_GROUP, SCALE_GROUP, 0, LEVEL_TOKEN, CLIP_CAP_ABSOLUTE, TOKEN_MEAN, KL_IN_LOSS, KL_K3, OVERLONG_SHAPE, 1,
	  .beta = 0, .epsilon = 1, .epsilon_high = 5,
	  .source = "arXiv:2506.13585", .help = "capped ratio as a constant weight: no token loses its gradient", COMMON },
};
/* clang-format on */

enum { N_ALGORITHMS = sizeof table / sizeof *table };

const struct algorithm *algorithm_at(int i)
{
	return i >= 0 && i < N_ALGORITHMS ? &table[i] : NULL;
}

const struct algorithm *algorithm_find(const char *name)
{
	for (int i = 0; i < N_ALGORITHMS; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

int algorithm_needs_reference(const struct algorithm *a)
{
	return a->beta > 0;
}

/* ---- what does not go together ---- */

static int check_advantage(const struct algorithm *a, int num_generations)
{
	int grouped = a->baseline == BASELINE_GROUP || a->baseline == BASELINE_LEAVE_ONE_OUT;

	if (grouped && num_generations < 2)
		return error_set(ERR_INPUT,
		                 "%s: baseline %s compares the answers to one problem, but num_generations is %d; "
		                 "set it to 2 or more, or baseline to batch or none",
		                 a->name, choice_name(choices_baseline, a->baseline), num_generations);
	if (a->dynamic_sampling && num_generations < 2)
		return error_set(ERR_INPUT,
		                 "%s: dynamic_sampling would drop every problem, because one answer never differs from itself; "
		                 "set num_generations to 2 or more, or dynamic_sampling to false",
		                 a->name);
	if (a->scale_rewards == SCALE_GROUP && !grouped)
		return error_set(ERR_INPUT,
		                 "%s: scale_rewards group divides by the deviation from a group mean that baseline %s does not subtract; "
		                 "set baseline to group, or scale_rewards to none",
		                 a->name, choice_name(choices_baseline, a->baseline));
	if (a->scale_rewards == SCALE_BATCH && a->baseline == BASELINE_NONE)
		return error_set(ERR_INPUT,
		                 "%s: scale_rewards batch divides by the deviation from a mean that nothing subtracts; "
		                 "set baseline to batch or group, or scale_rewards to none",
		                 a->name);
	return OK;
}

static int check_ratio(const struct algorithm *a)
{
	if (a->importance_sampling_level == LEVEL_NONE && a->clip != CLIP_NONE)
		return error_set(ERR_INPUT,
		                 "%s: clip %s has no ratio to bound when importance_sampling_level is none; "
		                 "set the level to token or sequence, or clip to none",
		                 a->name, choice_name(choices_clip, a->clip));
	if (a->clip == CLIP_CAP_ABSOLUTE && a->epsilon_high < 1)
		return error_set(ERR_INPUT,
		                 "%s: epsilon_high %g is the largest ratio itself when clip is cap_absolute, so every step would shrink "
		                 "to that fraction; use 1 or more (5 is usual), or clip: cap for 1 + epsilon_high",
		                 a->name, a->epsilon_high);
	if (a->epsilon < 0 || a->epsilon > 1 || a->epsilon_high < 0)
		return error_set(ERR_INPUT,
		                 "%s: epsilon %g and epsilon_high %g do not leave room for a ratio of 1; "
		                 "epsilon lies in 0..1, epsilon_high is not negative",
		                 a->name, a->epsilon, a->epsilon_high);
	if (a->delta != 0 && a->clip != CLIP_HARD)
		return error_set(ERR_INPUT, "%s: delta belongs to clip hard and is not read by clip %s; remove it", a->name,
		                 choice_name(choices_clip, a->clip));
	if (a->delta != 0 && !(a->delta >= 1 + a->epsilon_high))
		return error_set(ERR_INPUT,
		                 "%s: delta %g lies inside the clip interval, which ends at 1 + epsilon_high = %g; "
		                 "it is the second, wider bound: set it higher, or to 0",
		                 a->name, a->delta, 1 + a->epsilon_high);
	return OK;
}

static int check_kl(const struct algorithm *a)
{
	if (!(a->beta >= 0))
		return error_set(ERR_INPUT, "%s: beta is %g; a negative one would drive the policy away from the reference", a->name,
		                 a->beta);
	if (a->beta > 0 && a->kl_placement == KL_IN_LOSS && a->kl_estimator == KL_K1)
		return error_set(ERR_INPUT,
		                 "%s: k1 in the loss has an expected gradient of exactly zero; use kl_estimator k2 or k3, "
		                 "or kl_placement reward",
		                 a->name);
	return OK;
}

static int check_length(const struct algorithm *a)
{
	if (a->loss_type == CONSTANT && a->max_completion_length <= 0)
		return error_set(ERR_INPUT, "%s: loss_type constant divides by max_completion_length, which is not set", a->name);
	if (a->overlong == OVERLONG_SHAPE && (a->overlong_buffer < 0 || a->max_completion_length <= a->overlong_buffer))
		return error_set(ERR_INPUT,
		                 "%s: overlong shape needs a buffer shorter than the answers: overlong_buffer is %d, "
		                 "max_completion_length %d",
		                 a->name, a->overlong_buffer, a->max_completion_length);
	if (!(a->gamma > 0 && a->gamma <= 1))
		return error_set(ERR_INPUT, "%s: gamma is %g; a discount lies above 0 and is at most 1", a->name, a->gamma);
	return OK;
}

int algorithm_check(const struct algorithm *a, int num_generations)
{
	TRY(check_advantage(a, num_generations));
	TRY(check_ratio(a));
	TRY(check_kl(a));
	return check_length(a);
}

/* ---- names ---- */

const struct choice choices_baseline[] = {
        {"none", BASELINE_NONE, "the reward itself"},
        {"batch", BASELINE_BATCH, "minus the mean reward of the batch"},
        {"group", BASELINE_GROUP, "minus the mean reward of the answers to the same problem"},
        {"leave_one_out", BASELINE_LEAVE_ONE_OUT, "minus the mean reward of the other answers to the same problem"},
        {0},
};
const struct choice choices_scale[] = {
        {"none", SCALE_NONE, "not divided"},
        {"group", SCALE_GROUP, "divided by the standard deviation of the group"},
        {"batch", SCALE_BATCH, "divided by the standard deviation of the batch"},
        {0},
};
const struct choice choices_level[] = {
        {"none", LEVEL_NONE, "no ratio: the plain score function"},
        {"token", LEVEL_TOKEN, "one ratio per token"},
        {"sequence", LEVEL_SEQUENCE, "one per answer: the geometric mean of its token ratios"},
        {"sequence_sum", LEVEL_SEQUENCE_SUM, "one per answer: the product of its token ratios"},
        {0},
};
const struct choice choices_clip[] = {
        {"none", CLIP_NONE, "the ratio as it is"},
        {"hard", CLIP_HARD, "no gradient once the ratio has left [1 - epsilon, 1 + epsilon_high] in the direction of the advantage"},
        {"cap", CLIP_CAP, "constant weight: the ratio kept in [1 - epsilon, 1 + epsilon_high]"},
        {"cap_absolute", CLIP_CAP_ABSOLUTE, "constant weight: the ratio kept in [1 - epsilon, epsilon_high]"},
        {0},
};
const struct choice choices_aggregation[] = {
        {"sequence_mean", SEQUENCE_MEAN, "mean over answers of the mean over their tokens"},
        {"grpo", SEQUENCE_MEAN, "the same, by TRL's name"},
        {"token_mean", TOKEN_MEAN, "mean over all tokens of the step"},
        {"dapo", TOKEN_MEAN, "the same, by TRL's name"},
        {"sequence_sum", SEQUENCE_SUM, "mean over answers of the sum over their tokens"},
        {"constant", CONSTANT, "sum over all tokens divided by answers times max_completion_length"},
        {"dr_grpo", CONSTANT, "the same, by TRL's name"},
        {0},
};
const struct choice choices_kl_placement[] = {
        {"reward", KL_IN_REWARD, "subtracted from the reward of the answer, before the baseline"},
        {"token_reward", KL_IN_TOKEN_REWARD, "subtracted token by token, after the baseline"},
        {"loss", KL_IN_LOSS, "a term of the loss, with gradient"},
        {0},
};
const struct choice choices_kl_estimator[] = {
        {"k1", KL_K1, "log p - log r: unbiased, of either sign"},
        {"k2", KL_K2, "half its square: in the loss its gradient is that of KL(policy, reference)"},
        {"k3", KL_K3, "r/p - 1 - log(r/p): never negative; in the loss its gradient is that of KL(reference, policy)"},
        {0},
};
const struct choice choices_overlong[] = {
        {"keep", OVERLONG_KEEP, "truncated answers are trained like others"},
        {"mask", OVERLONG_MASK, "truncated answers are left out of the loss; their reward still counts in the group"},
        {"shape", OVERLONG_SHAPE, "long answers lose reward, the more the closer to the limit"},
        {0},
};

const struct choice *choice_find(const struct choice *list, const char *name)
{
	for (; list->name; list++)
		if (strcmp(list->name, name) == 0)
			return list;
	return NULL;
}

const char *choice_name(const struct choice *list, int value)
{
	while (list->name && list->value != value)
		list++;
	assert(list->name);
	return list->name;
}
