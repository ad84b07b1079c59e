#include "estimator/algorithm.h"

#include "base/error.h"

#include <assert.h>
#include <string.h>

/* What papers leave open or libraries do otherwise; each is one override:
 *
 * adv_eps 1e-6   is verl's. TRL 1e-4, Dr.GRPO's code 1e-8, OpenRLHF 1e-9. Constant groups are
 * exactly 0 without it, so it matters little.
 * reinforce      baseline: batch gives the textbook variance reduction.
 * rloo           the paper is plain REINFORCE on whole answers. TRL: importance_sampling_level
 * sequence_sum, clip hard (0.2), loss_type sequence_mean.
 *                beta: the paper has 0.03 and 0.10 by task, TRL 0.05.
 * reinforce_pp   loss_type sequence_mean as in the paper; libraries average over tokens. baseline:
 * group is the "-baseline" variant.
 * grpo           without a KL term, as TRL, verl and prime-rl train today; the paper has beta 0.04,
 * k3 in the loss. It gives no clip width; 0.2 is everyone's.
 *                verl adds delta 3.
 * dapo           the released recipe adds delta 10. Buffer and penalty are those of the paper: 4096
 * of 20480 tokens, factor 1.
 * gspo           widths are those of the paper; they look tiny because the ratio is a geometric
 * mean over the answer.
 * cispo          the paper tunes only the ceiling and does not disclose it; 5 is ScaleRL's, as TRL
 * reads it (of the ratio itself, no floor).
 *                verl clamps to 1 -+ 0.2: clip cap, epsilon 0.2. The same 0.2 read as an absolute
 *                cap shrinks every step to a fifth: refused.
 * gmpo           widths are of the log-ratio. The released code has adv_eps 1e-8.
 * sapo           libraries average over tokens (Trinity-RFT) or as here over answers (TRL).
 * topr           the ratio is that of whole answers, as in the paper. ROLL and Trinity-RFT take it
 * per token (importance_sampling_level token), verl
 *                documents the geometric mean (sequence): three different methods. The paper
 *                divides by the length: sequence_mean.
 * ppo            the paper's lam; its gamma is 0.99, its value loss unclipped, and it neither
 * whitens nor has a KL term. TRL: lam 0.95, beta 0.05, 4 passes,
 *                cliprange_value 0.2; verl: lam 1, no KL, delta 3, cliprange_value 0.5; OpenRLHF:
 *                lam 1, beta 0.01.
 * topr_*         the limits of its family: what each does with answers that the policy would no
 * longer give.
 * delta          for every row the same bound goes by two names: dual clip C (verl 3 always, its
 * recipes 10; OpenRLHF off) and delta (TRL, off).
 *
 * num_iterations is 1 everywhere: with one update per batch the ratio is 1 and the clips are idle.
 * Papers that rely on them cut a batch into minibatches instead: dapo 16, gspo 4.
 *
 * Rows without a KL term carry the placement and estimator that beta > 0 would switch on. */
#define TAPER(positive_low_, positive_high_, negative_low_, negative_high_) \
	.positive_low = positive_low_, .positive_high = positive_high_, \
	.negative_low = negative_low_, .negative_high = negative_high_
#define NUMBERS \
	.adv_eps = 1e-6, .gamma = 1, .num_iterations = 1, .overlong_penalty = 1, \
	.tau_positive = 1, .tau_negative = 1.05, .mismatch_max = 2, .top_entropy = 1, .lam = 0.95, \
	.kl_target = 0.1, .kl_horizon = 10000
#define COMMON NUMBERS, TAPER(1, 1, 0, 1)
/* clang-format off */
#define TOPR_FAMILY \
	BASELINE_NONE, SCALE_NONE, 0, LEVEL_SEQUENCE_SUM, CLIP_TAPER, SEQUENCE_MEAN, KL_IN_LOSS, KL_K3, OVERLONG_KEEP, 0, \
	        .beta = 0, .signed_rewards = 1, .source = "arXiv:2503.14286", NUMBERS

static const struct algorithm table[] = {
	/* name, baseline, scale, whiten, ratio level, clip, aggregation, KL placement, KL
	 * estimator, overlong, dynamic sampling,
	 *   beta, epsilon, epsilon_high, source, help */
	{ "reinforce", BASELINE_NONE, SCALE_NONE, 0, LEVEL_NONE, CLIP_NONE, SEQUENCE_SUM, KL_IN_REWARD, KL_K1, OVERLONG_KEEP, 0,
	  .beta = 0, .source = "Williams 1992", .help = "reward times log-probability, no baseline, no ratio", COMMON },
	{ "rloo", BASELINE_LEAVE_ONE_OUT, SCALE_NONE, 0, LEVEL_NONE, CLIP_NONE, SEQUENCE_SUM, KL_IN_REWARD, KL_K1, OVERLONG_KEEP, 0,
	  .beta = 0.05, .source = "arXiv:2402.14740", .help = "REINFORCE against the mean of the other completions", COMMON },
	{ "reinforce_pp", BASELINE_NONE, SCALE_NONE, 1, LEVEL_TOKEN, CLIP_HARD, SEQUENCE_MEAN, KL_IN_TOKEN_REWARD, KL_K1, OVERLONG_KEEP, 0,
	  .beta = 0.001, .epsilon = 0.2, .epsilon_high = 0.2,
	  .source = "arXiv:2501.03262", .help = "returns whitened over the tokens of the batch, clipped", COMMON },
	{ "grpo", BASELINE_GROUP, SCALE_GROUP, 0, LEVEL_TOKEN, CLIP_HARD, SEQUENCE_MEAN, KL_IN_LOSS, KL_K3, OVERLONG_KEEP, 0,
	  .beta = 0, .epsilon = 0.2, .epsilon_high = 0.2,
	  .source = "arXiv:2402.03300", .help = "rewards standardised in their group, clipped, mean per completion", COMMON },
	{ "dr_grpo", BASELINE_GROUP, SCALE_NONE, 0, LEVEL_TOKEN, CLIP_HARD, CONSTANT, KL_IN_LOSS, KL_K3, OVERLONG_KEEP, 0,
	  .beta = 0, .epsilon = 0.2, .epsilon_high = 0.2,
	  .source = "arXiv:2503.20783", .help = "GRPO without its length and difficulty biases", COMMON },
	{ "dapo", BASELINE_GROUP, SCALE_GROUP, 0, LEVEL_TOKEN, CLIP_HARD, TOKEN_MEAN, KL_IN_LOSS, KL_K3, OVERLONG_SHAPE, 1,
	  .beta = 0, .epsilon = 0.2, .epsilon_high = 0.28,
	  .source = "arXiv:2503.14476", .help = "GRPO with a higher ceiling, token mean, dynamic sampling, soft overlong penalty", COMMON },
	{ "gspo", BASELINE_GROUP, SCALE_GROUP, 0, LEVEL_SEQUENCE, CLIP_HARD, SEQUENCE_MEAN, KL_IN_LOSS, KL_K3, OVERLONG_KEEP, 0,
	  .beta = 0, .epsilon = 3e-4, .epsilon_high = 4e-4,
	  .source = "arXiv:2507.18071", .help = "one length-normalised ratio per completion, clipped as a whole", COMMON },
	{ "cispo", BASELINE_GROUP, SCALE_GROUP, 0, LEVEL_TOKEN, CLIP_CAP_ABSOLUTE, TOKEN_MEAN, KL_IN_LOSS, KL_K3, OVERLONG_SHAPE, 1,
	  .beta = 0, .epsilon = 1, .epsilon_high = 5,
	  .source = "arXiv:2506.13585", .help = "capped ratio as a constant weight: no token loses its gradient", COMMON },
	{ "gmpo", BASELINE_GROUP, SCALE_GROUP, 0, LEVEL_SEQUENCE, CLIP_LOG, SEQUENCE_MEAN, KL_IN_LOSS, KL_K3, OVERLONG_KEEP, 0,
	  .beta = 0, .epsilon = 0.4, .epsilon_high = 0.4,
	  .source = "arXiv:2507.20673", .help = "geometric mean of token ratios, each clipped before it is taken", COMMON },
	{ "sapo", BASELINE_GROUP, SCALE_GROUP, 0, LEVEL_TOKEN, CLIP_SOFT, SEQUENCE_MEAN, KL_IN_LOSS, KL_K3, OVERLONG_KEEP, 0,
	  .beta = 0, .source = "arXiv:2511.20347", .help = "GRPO with a smooth gate instead of the clip", COMMON },
	{ "ppo", BASELINE_CRITIC, SCALE_NONE, 1, LEVEL_TOKEN, CLIP_HARD, TOKEN_MEAN, KL_IN_TOKEN_REWARD, KL_K1, OVERLONG_KEEP, 0,
	  .beta = 0, .epsilon = 0.2, .epsilon_high = 0.2,
	  .source = "arXiv:1707.06347", .help = "a learned value of every token as baseline (GAE), whitened, clipped", COMMON },
	{ "topr", TOPR_FAMILY, .help = "full weight on good completions, ratio at most 1 on bad ones: for replayed rollouts", TAPER(1, 1, 0, 1) },
	{ "topr_naive", TOPR_FAMILY, .help = "the same with weight 1 on all: REINFORCE that ignores who sampled", TAPER(1, 1, 1, 1) },
	{ "topr_positives", TOPR_FAMILY, .help = "the same with weight 0 on bad completions: supervised learning on good ones", TAPER(1, 1, 0, 0) },
	{ "topr_is", TOPR_FAMILY, .help = "the same with the ratio on all: importance sampling, without bias and without bound",
	  TAPER(0, 1e9, 0, 1e9) },
	{ "topr_tis", TOPR_FAMILY, .help = "the same with the ratio, at most 1, on all: truncated importance sampling", TAPER(0, 1, 0, 1) },
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

const char *algorithm_caution(const struct algorithm *a)
{
	if (a->baseline == BASELINE_NONE && !a->signed_rewards && a->clip == CLIP_TAPER)
		return "rewards that are never negative and no baseline: bad completions get "
		       "weight 0, "
		       "so this is supervised learning on good "
		       "ones; "
		       "loss.signed_rewards: true, or loss.baseline: constant with "
		       "loss.baseline_value, gives them a part";
	if (a->clip == CLIP_TAPER && a->baseline == BASELINE_CONSTANT && a->baseline_value >= 1)
		return "loss.baseline_value of 1 or more leaves good completions no weight: this "
		       "run "
		       "only unlearns";
	return NULL;
}

/* ---- what does not go together ---- */

static int check_advantage(const struct algorithm *a, int num_generations)
{
	int grouped = a->baseline == BASELINE_GROUP || a->baseline == BASELINE_LEAVE_ONE_OUT;

	if (grouped && num_generations < 2)
		return error_set(ERR_INPUT,
		                 "%s: baseline %s compares the completions of one problem, but "
		                 "num_generations is %d; "
		                 "set it to 2 or more, or baseline to batch or none",
		                 a->name, choice_name(choices_baseline, a->baseline),
		                 num_generations);
	if (a->dynamic_sampling && num_generations < 2)
		return error_set(ERR_INPUT,
		                 "%s: dynamic_sampling would drop every problem, because one "
		                 "completion never differs from itself; "
		                 "set num_generations to 2 or more, or dynamic_sampling to false",
		                 a->name);
	if (a->scale_rewards == SCALE_GROUP && !grouped)
		return error_set(ERR_INPUT,
		                 "%s: scale_rewards group divides by the deviation from a group "
		                 "mean that baseline %s does not subtract; "
		                 "set baseline to group, or scale_rewards to none",
		                 a->name, choice_name(choices_baseline, a->baseline));
	if (a->scale_rewards != SCALE_NONE && a->baseline == BASELINE_CRITIC)
		return error_set(ERR_INPUT,
		                 "%s: scale_rewards %s would divide the reward but not the values "
		                 "that baseline critic subtracts; set "
		                 "scale_rewards to none (whiten divides the advantages)",
		                 a->name, choice_name(choices_scale, a->scale_rewards));
	if (a->scale_rewards == SCALE_BATCH && a->baseline == BASELINE_NONE)
		return error_set(ERR_INPUT,
		                 "%s: scale_rewards batch divides by the deviation from a mean "
		                 "that nothing subtracts; "
		                 "set baseline to batch or group, or scale_rewards to none",
		                 a->name);
	return OK;
}

static int check_ratio(const struct algorithm *a)
{
	if (a->importance_sampling_level == LEVEL_NONE && a->clip != CLIP_NONE)
		return error_set(
		        ERR_INPUT,
		        "%s: clip %s has no ratio to bound when importance_sampling_level is none; "
		        "set the level to token or sequence, or clip to none",
		        a->name, choice_name(choices_clip, a->clip));
	if (a->clip == CLIP_CAP_ABSOLUTE && a->epsilon_high < 1)
		return error_set(ERR_INPUT,
		                 "%s: epsilon_high %g is the largest ratio itself when clip is "
		                 "cap_absolute, so every step would shrink "
		                 "to that fraction; use 1 or more (5 is usual), or clip: cap for 1 "
		                 "+ epsilon_high",
		                 a->name, a->epsilon_high);
	if (a->epsilon < 0 || a->epsilon > 1 || a->epsilon_high < 0)
		return error_set(
		        ERR_INPUT,
		        "%s: epsilon %g and epsilon_high %g do not leave room for a ratio of 1; "
		        "epsilon lies in 0..1, epsilon_high is not negative",
		        a->name, a->epsilon, a->epsilon_high);
	if (a->delta != 0 && a->clip != CLIP_HARD)
		return error_set(
		        ERR_INPUT,
		        "%s: delta belongs to clip hard and is not read by clip %s; remove it",
		        a->name, choice_name(choices_clip, a->clip));
	if (a->delta != 0 && !(a->delta >= 1 + a->epsilon_high))
		return error_set(ERR_INPUT,
		                 "%s: delta %g lies inside the clip interval, which ends at 1 + "
		                 "epsilon_high = %g; "
		                 "it is the second, wider bound: set it higher, or to 0",
		                 a->name, a->delta, 1 + a->epsilon_high);
	return OK;
}

static int check_taper(const struct algorithm *a)
{
	if (a->clip == CLIP_SOFT && !(a->tau_positive > 0 && a->tau_negative > 0))
		return error_set(ERR_INPUT,
		                 "%s: tau_positive %g and tau_negative %g must be above 0: at 0 "
		                 "the gate of clip soft is flat",
		                 a->name, a->tau_positive, a->tau_negative);
	if (a->clip == CLIP_TAPER &&
	    !(0 <= a->positive_low && a->positive_low <= a->positive_high && 0 <= a->negative_low &&
	      a->negative_low <= a->negative_high))
		return error_set(
		        ERR_INPUT,
		        "%s: clip taper keeps weights in positive_low..positive_high (%g..%g) and "
		        "negative_low..negative_high "
		        "(%g..%g); each must be 0 or more and the low one not above the high one",
		        a->name, a->positive_low, a->positive_high, a->negative_low,
		        a->negative_high);
	return OK;
}

static int algorithm_check_weights(const struct algorithm *a)
{
	if (a->mismatch != MISMATCH_NONE && a->importance_sampling_level == LEVEL_NONE)
		return error_set(ERR_INPUT,
		                 "%s: mismatch %s corrects a ratio, but importance_sampling_level "
		                 "is none; set the level to token or sequence, or "
		                 "mismatch to none",
		                 a->name, choice_name(choices_mismatch, a->mismatch));
	if (a->mismatch != MISMATCH_NONE && a->clip == CLIP_TAPER)
		return error_set(ERR_INPUT,
		                 "%s: clip taper weighs by the ratio to the policy that sampled "
		                 "already; with mismatch %s the same staleness would "
		                 "count twice: set it to none",
		                 a->name, choice_name(choices_mismatch, a->mismatch));
	if (!(a->mismatch_min >= 0 && a->mismatch_min <= 1 && a->mismatch_max >= 1))
		return error_set(ERR_INPUT,
		                 "%s: mismatch_min %g and mismatch_max %g do not hold a weight of "
		                 "1 between them, so that fresh completions "
		                 "would be cut",
		                 a->name, a->mismatch_min, a->mismatch_max);
	if (!(a->off_policy_mask >= 0))
		return error_set(ERR_INPUT,
		                 "%s: off_policy_mask is %g; it is a distance in nats a token, 0 "
		                 "switches it off",
		                 a->name, a->off_policy_mask);
	if (!(a->top_entropy > 0 && a->top_entropy <= 1))
		return error_set(ERR_INPUT,
		                 "%s: top_entropy is %g; a share of the tokens lies above 0 and is "
		                 "at most 1",
		                 a->name, a->top_entropy);
	return OK;
}

static int check_kl(const struct algorithm *a)
{
	if (!(a->beta >= 0))
		return error_set(ERR_INPUT,
		                 "%s: beta is %g; a negative one would drive the policy away from "
		                 "the reference",
		                 a->name, a->beta);
	if (a->use_bias_correction_kl && a->kl_placement != KL_IN_LOSS)
		return error_set(ERR_INPUT,
		                 "%s: use_bias_correction_kl lets the gradient through the ratio, "
		                 "but kl_placement %s has no gradient; set "
		                 "kl_placement to loss",
		                 a->name, choice_name(choices_kl_placement, a->kl_placement));
	if (a->beta > 0 && a->kl_placement == KL_IN_LOSS && a->kl_estimator == KL_K1 &&
	    !a->use_bias_correction_kl)
		return error_set(ERR_INPUT,
		                 "%s: k1 in the loss has an expected gradient of exactly zero; use "
		                 "kl_estimator k2 or k3, "
		                 "or kl_placement reward",
		                 a->name);
	return OK;
}

static int check_controller(const struct algorithm *a)
{
	if (a->kl_controller != KL_ADAPTIVE)
		return OK;
	if (!(a->beta > 0) || a->kl_placement == KL_IN_LOSS)
		return error_set(ERR_INPUT,
		                 "%s: kl_controller adaptive steers the weight of a KL term in the "
		                 "reward, but beta is %g and kl_placement %s; "
		                 "set beta above 0 and kl_placement to reward or token_reward, or "
		                 "kl_controller to fixed",
		                 a->name, a->beta,
		                 choice_name(choices_kl_placement, a->kl_placement));
	if (!(a->kl_target > 0 && a->kl_horizon > 0))
		return error_set(ERR_INPUT, "%s: kl_target %g and kl_horizon %g must be above 0",
		                 a->name, a->kl_target, a->kl_horizon);
	return OK;
}

static int algorithm_check_length(const struct algorithm *a)
{
	if (a->loss_type == CONSTANT && a->max_completion_length <= 0)
		return error_set(
		        ERR_INPUT,
		        "%s: loss_type constant divides by max_completion_length, which is not set",
		        a->name);
	if (a->overlong == OVERLONG_SHAPE &&
	    (a->overlong_buffer < 0 || a->max_completion_length <= a->overlong_buffer))
		return error_set(ERR_INPUT,
		                 "%s: overlong shape needs a buffer shorter than the completions: "
		                 "overlong_buffer is %d, "
		                 "max_completion_length %d",
		                 a->name, a->overlong_buffer, a->max_completion_length);
	if (!(a->lam >= 0 && a->lam <= 1))
		return error_set(ERR_INPUT, "%s: lam is %g; it lies in 0..1", a->name, a->lam);
	if (!(a->gamma > 0 && a->gamma <= 1))
		return error_set(ERR_INPUT,
		                 "%s: gamma is %g; a discount lies above 0 and is at most 1",
		                 a->name, a->gamma);
	return OK;
}

int algorithm_check(const struct algorithm *a, int num_generations)
{
	TRY(check_advantage(a, num_generations));
	TRY(check_ratio(a));
	TRY(check_taper(a));
	TRY(algorithm_check_weights(a));
	TRY(check_kl(a));
	TRY(check_controller(a));
	return algorithm_check_length(a);
}

/* ---- names ---- */

const struct choice choices_baseline[] = {
        {"none", BASELINE_NONE, "the reward itself"},
        {"batch", BASELINE_BATCH, "minus the mean reward of the batch"},
        {"group", BASELINE_GROUP, "minus the mean reward of the completions of the same problem"},
        {"leave_one_out", BASELINE_LEAVE_ONE_OUT,
         "minus the mean reward of the other completions of the same problem"},
        {"constant", BASELINE_CONSTANT, "minus baseline_value"},
        {"critic", BASELINE_CRITIC,
         "minus the learned value of the state before each token, by GAE"},
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
        {"sequence", LEVEL_SEQUENCE, "one per completion: the geometric mean of its token ratios"},
        {"sequence_sum", LEVEL_SEQUENCE_SUM, "one per completion: the product of its token ratios"},
        {0},
};
const struct choice choices_clip[] = {
        {"none", CLIP_NONE, "the ratio as it is"},
        {"hard", CLIP_HARD,
         "no gradient once the ratio has left [1 - epsilon, 1 + epsilon_high] in the direction of "
         "the advantage"},
        {"cap", CLIP_CAP, "constant weight: the ratio kept in [1 - epsilon, 1 + epsilon_high]"},
        {"cap_absolute", CLIP_CAP_ABSOLUTE,
         "constant weight: the ratio kept in [1 - epsilon, epsilon_high]"},
        {"log", CLIP_LOG,
         "token log-ratios kept below epsilon_high (A > 0) or above -epsilon (A < 0), before they "
         "are averaged"},
        {"soft", CLIP_SOFT,
         "a gate that fades smoothly as the ratio leaves 1, at tau_positive or tau_negative"},
        {"taper", CLIP_TAPER,
         "constant weight: the ratio kept in positive_low..high where A >= 0, in "
         "negative_low..high where A < 0"},
        {0},
};
const struct choice choices_guided_clip[] = {
        {"squash", CLIP_SQUASH, "q / (q + g)"},
        {"none", CLIP_NONE, "the ratio as it is"},
        {"hard", CLIP_HARD, "as loss.clip: hard, with loss.epsilon"},
        {"power", CLIP_POWER, "q to a power"},
        {0},
};
const struct choice choices_aggregation[] = {
        {"sequence_mean", SEQUENCE_MEAN, "mean over completions of the mean over their tokens"},
        {"grpo", SEQUENCE_MEAN, "the same, by TRL's name"},
        {"token_mean", TOKEN_MEAN, "mean over all tokens of the step"},
        {"dapo", TOKEN_MEAN, "the same, by TRL's name"},
        {"sequence_sum", SEQUENCE_SUM, "mean over completions of the sum over their tokens"},
        {"constant", CONSTANT,
         "sum over all tokens divided by the number of completions times max_completion_length"},
        {"dr_grpo", CONSTANT, "the same, by TRL's name"},
        {0},
};
const struct choice choices_kl_placement[] = {
        {"reward", KL_IN_REWARD,
         "subtracted from the reward of the completion, before the baseline"},
        {"token_reward", KL_IN_TOKEN_REWARD, "subtracted token by token, after the baseline"},
        {"loss", KL_IN_LOSS, "a term of the loss, with gradient"},
        {0},
};
const struct choice choices_kl_estimator[] = {
        {"k1", KL_K1, "log p - log r: unbiased, of either sign"},
        {"k2", KL_K2, "half its square: in the loss its gradient is that of KL(policy, reference)"},
        {"k3", KL_K3,
         "r/p - 1 - log(r/p): never negative; in the loss its gradient is that of KL(reference, "
         "policy)"},
        {"k3+", KL_K3_PLUS, "the value of k3 with the gradient of k2"},
        {0},
};
const struct choice choices_kl_controller[] = {
        {"fixed", KL_FIXED, "beta stays as it is"},
        {"adaptive", KL_ADAPTIVE,
         "beta rises while the divergence is above kl_target and falls while it is below"},
        {0},
};
const struct choice choices_overlong[] = {
        {"keep", OVERLONG_KEEP, "truncated completions are trained like others"},
        {"mask", OVERLONG_MASK,
         "truncated completions are left out of the loss; their reward still counts in the group"},
        {"shape", OVERLONG_SHAPE, "long completions lose reward, the more the closer to the limit"},
        {0},
};

const struct choice choices_mismatch[] = {
        {"none", MISMATCH_NONE,
         "the recorded log-probabilities are the denominator of the ratio, whatever policy they "
         "are of"},
        {"token_truncate", MISMATCH_TOKEN_TRUNCATE,
         "weight min(rho, mismatch_max), rho = old / recorded probability of the token"},
        {"token_mask", MISMATCH_TOKEN_MASK,
         "weight rho within [mismatch_min, mismatch_max], else 0"},
        {"sequence_truncate", MISMATCH_SEQUENCE_TRUNCATE,
         "the same with the rho of the whole completion"},
        {"sequence_mask", MISMATCH_SEQUENCE_MASK, "the same with the rho of the whole completion"},
        {"sequence_mean_mask", MISMATCH_SEQUENCE_MEAN_MASK,
         "rho of the token where the completion's geometric mean lies within, else 0"},
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
