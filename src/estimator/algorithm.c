#include "estimator/algorithm.h"

#include "base/error.h"

#include <string.h>

/* What papers leave open or libraries do otherwise; each is one override:
 *
 * advantage_eps  1e-6 is verl's. TRL 1e-4, Dr.GRPO's code 1e-8, OpenRLHF 1e-9. Constant groups
 *                are exactly 0 without it, so it matters little.
 * reinforce      baseline: batch gives the textbook variance reduction.
 * rloo           the paper is plain REINFORCE on whole completions. TRL: importance_sampling_level
 *                sequence_sum, clip hard (0.2), loss_type sequence_mean. beta: the paper has 0.03
 *                and 0.10 by task, TRL 0.05.
 * reinforce_pp   loss_type sequence_mean as in the paper; libraries average over tokens.
 *                baseline: group is the "-baseline" variant.
 * grpo           without a KL term, as TRL, verl and prime-rl train today; the paper has beta
 *                0.04, k3 in the loss. It gives no clip width; 0.2 is everyone's. verl adds delta
 *                3.
 * dapo           the released recipe adds delta 10. Buffer and penalty are those of the paper:
 *                4096 of 20480 tokens, factor 1.
 * gspo           widths are those of the paper; they look tiny because the ratio is a geometric
 *                mean over the completion.
 * cispo          the paper tunes only the ceiling and does not disclose it; 5 is ScaleRL's, as
 *                TRL reads it (of the ratio itself, no floor). verl clamps to 1 -+ 0.2: clip cap,
 *                epsilon 0.2. The same 0.2 read as an absolute cap shrinks every step to a fifth:
 *                refused.
 * gmpo           widths are of the log-ratio. The released code has advantage_eps 1e-8.
 * sapo           libraries average over tokens (Trinity-RFT) or as here over completions (TRL).
 * topr           the ratio is that of whole completions, as in the paper. ROLL and Trinity-RFT take
 *                it per token (importance_sampling_level token), verl documents the geometric
 *                mean (sequence): three different methods. The paper divides by the length:
 *                sequence_mean.
 * ppo            the paper's lam; its gamma is 0.99, its value loss unclipped, and it neither
 *                whitens nor has a KL term. TRL: lam 0.95, beta 0.05, 4 passes, cliprange_value
 *                0.2; verl: lam 1, no KL, delta 3, cliprange_value 0.5; OpenRLHF: lam 1, beta
 *                0.01.
 * topr_*         the limits of its family: what each does with completions that the policy would no
 *                longer give.
 * bnpo           TRL divides by the tokens of the micro-batch, so its result depends on how a batch
 *                is cut; here by those of the update (verl's token-mean). The paper of that name
 *                (arXiv:2506.02864) standardises by a fitted Beta distribution: another method.
 * opo            strictly on policy, so without a ratio. Its length is that of the trained tokens.
 * maxrl          the paper's estimate is on policy; ratio and clip are those of libraries, which
 *                run it beside PPO's clip (SkyRL) or DPPO's mask (prime-rl).
 * gpg            as verl has it: the share of completions with a reward that is not 0. The paper's
 *                share is of completions in groups that are not constant.
 * grpo_passk     verl's name. Its deviation can be left out: scale_rewards none.
 * luspo          widths are those of the paper's section 5.1.
 * vespo          the ratio is that to the policy that sampled; TRL multiplies it by the truncated
 *                weight of stale rollouts, here no such rule stands beside it.
 * dppo           widths are those of verl's recipes. prime-rl, whose default loss is dppo_tv: 0.2,
 *                beside proximal 2e-3. verl's held weight, at most 20, has the same gradient.
 * dro            verl has no default for its dro_beta; 0.1 is ours. Which advantages it takes is
 *                left open there.
 * clip_cov       the share is the paper's; verl takes means over a micro-batch, here over the
 * kl_cov         update. verl's yaml has a coefficient of 0.1 for kl_cov, its code 1.
 * m2po           no clip, as in the paper; AReaL clips beside the mask, and takes the mask's
 *                tokens out of the divisor.
 * gdpo           deviations are those of TRL and the paper, over completions; verl whitens over
 *                tokens.
 * delta          for every row the same bound goes by two names: dual clip C (verl 3 always, its
 *                recipes 10; OpenRLHF off) and delta (TRL, off).
 *
 * num_iterations is 1 everywhere: with one update per batch the ratio is 1 and the clips are idle.
 * Papers that rely on them cut a batch into minibatches instead: dapo 16, gspo 4.
 *
 * Rows without a KL term carry the placement and estimator that beta > 0 would switch on. */
/* clang-format off */
#define TAPER(positive_low_, positive_high_, negative_low_, negative_high_) \
	.positive_low = positive_low_, .positive_high = positive_high_, \
	.negative_low = negative_low_, .negative_high = negative_high_
#define NUMBERS \
	.advantage_eps = 1e-6, .gamma = 1, .num_iterations = 1, .overlong_penalty = 1, \
	.tau_positive = 1, .tau_negative = 1.05, .mismatch_max = 2, .top_entropy = 1, .lam = 0.95, \
	.kl_target = 0.1, .kl_horizon = 10000, .vespo_k_pos = 2, .vespo_lambda_pos = 3, \
	.vespo_k_neg = 3, .vespo_lambda_neg = 2, .mismatch_moment = 0.04, \
	.resample_power = 2, .covariance_ratio = 2e-4, .covariance_low = 1, .covariance_high = 5, .covariance_coef = 1
#define COMMON NUMBERS, TAPER(1, 1, 0, 1)
#define TOPR_FAMILY \
	.source = "arXiv:2503.14286", .signed_rewards = 1, \
	.importance_sampling_level = LEVEL_SEQUENCE_SUM, .clip = CLIP_TAPER, \
	.loss_type = SEQUENCE_MEAN, .kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, NUMBERS

/* What a row does not name is 0: no baseline, no scale, no ratio, no clip, no KL term. */
static const struct algorithm table[] = {
	{
		.name = "reinforce", .source = "Williams 1992",
		.help = "reward times log-probability, no baseline, no ratio",
		.loss_type = SEQUENCE_SUM,
		.kl_placement = KL_IN_REWARD, .kl_estimator = KL_K1, COMMON,
	},
	{
		.name = "rloo", .source = "arXiv:2402.14740",
		.help = "REINFORCE against the mean of the other completions",
		.baseline = BASELINE_LEAVE_ONE_OUT, .loss_type = SEQUENCE_SUM,
		.beta = 0.05, .kl_placement = KL_IN_REWARD, .kl_estimator = KL_K1, COMMON,
	},
	{
		.name = "reinforce_pp", .source = "arXiv:2501.03262",
		.help = "returns whitened over the tokens of the batch, clipped",
		.whiten = 1, .importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_HARD, .epsilon = 0.2, .epsilon_high = 0.2, .loss_type = SEQUENCE_MEAN,
		.beta = 0.001, .kl_placement = KL_IN_TOKEN_REWARD, .kl_estimator = KL_K1, COMMON,
	},
	{
		.name = "grpo", .source = "arXiv:2402.03300",
		.help = "rewards standardised in their group, clipped, mean per completion",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_HARD, .epsilon = 0.2, .epsilon_high = 0.2, .loss_type = SEQUENCE_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "dr_grpo", .source = "arXiv:2503.20783",
		.help = "GRPO without its length and difficulty biases",
		.baseline = BASELINE_GROUP, .importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_HARD, .epsilon = 0.2, .epsilon_high = 0.2, .loss_type = CONSTANT,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "dapo", .source = "arXiv:2503.14476",
		.help = "GRPO with a higher ceiling, token mean, dynamic sampling, soft overlong "
			"penalty",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_HARD, .epsilon = 0.2, .epsilon_high = 0.28, .loss_type = TOKEN_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3,
		.overlong = OVERLONG_SHAPE, .dynamic_sampling = 1, COMMON,
	},
	{
		.name = "gspo", .source = "arXiv:2507.18071",
		.help = "one length-normalised ratio per completion, clipped as a whole",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_SEQUENCE,
		.clip = CLIP_HARD, .epsilon = 3e-4, .epsilon_high = 4e-4, .loss_type = SEQUENCE_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "cispo", .source = "arXiv:2506.13585",
		.help = "capped ratio as a constant weight: no token loses its gradient",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_CAP_ABSOLUTE, .epsilon = 1, .epsilon_high = 5, .loss_type = TOKEN_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3,
		.overlong = OVERLONG_SHAPE, .dynamic_sampling = 1, COMMON,
	},
	{
		.name = "ppo", .source = "arXiv:1707.06347",
		.help = "a learned value of every token as baseline (GAE), whitened, clipped",
		.baseline = BASELINE_CRITIC, .whiten = 1, .importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_HARD, .epsilon = 0.2, .epsilon_high = 0.2, .loss_type = TOKEN_MEAN,
		.kl_placement = KL_IN_TOKEN_REWARD, .kl_estimator = KL_K1, COMMON,
	},
	{
		.name = "gmpo", .source = "arXiv:2507.20673",
		.help = "geometric mean of token ratios, each clipped before it is taken",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_SEQUENCE,
		.clip = CLIP_LOG, .epsilon = 0.4, .epsilon_high = 0.4, .loss_type = SEQUENCE_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "sapo", .source = "arXiv:2511.20347",
		.help = "GRPO with a smooth gate instead of the clip",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_TOKEN, .clip = CLIP_SOFT,
		.loss_type = SEQUENCE_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "bnpo", .source = "TRL, loss_type bnpo",
		.help = "GRPO with a mean over the tokens of each update",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_HARD, .epsilon = 0.2, .epsilon_high = 0.2,
		.loss_type = UPDATE_TOKEN_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "opo", .source = "arXiv:2505.23585",
		.help = "REINFORCE against the mean reward of the group, weighted by length",
		.baseline = BASELINE_GROUP_BY_LENGTH, .loss_type = TOKEN_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "maxrl", .source = "arXiv:2602.02710",
		.help = "rewards of the group over their mean: the rarer a success, the more it counts",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_MEAN,
		.importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_HARD, .epsilon = 0.2, .epsilon_high = 0.2, .loss_type = TOKEN_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "gpg", .source = "arXiv:2504.02546",
		.help = "REINFORCE on centred rewards, more where few completions are rewarded",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_NONZERO, .loss_type = TOKEN_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "grpo_passk", .source = "arXiv:2503.19595",
		.help = "for pass@k: the best completion of a problem, by what it is better than the "
			"second",
		.baseline = BASELINE_SECOND_BEST, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_HARD, .epsilon = 0.2, .epsilon_high = 0.2, .loss_type = TOKEN_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "gdpo", .source = "arXiv:2601.05242",
		.help = "GRPO with several rewards, each standardised in its group before they are added",
		.baseline = BASELINE_BATCH, .scale_rewards = SCALE_BATCH,
		.multi_objective_aggregation = NORMALIZE_THEN_SUM,
		.importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_HARD, .epsilon = 0.2, .epsilon_high = 0.2, .loss_type = SEQUENCE_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "luspo", .source = "arXiv:2602.05261",
		.help = "GSPO with the loss of a completion times its length",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_SEQUENCE,
		.clip = CLIP_HARD, .epsilon = 2e-3, .epsilon_high = 2.5e-3, .loss_type = SEQUENCE_SUM,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "vespo", .source = "arXiv:2602.10693",
		.help = "whole completions weighed by their ratio, smoothly less the more it left 1",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_SEQUENCE_SUM, .clip = CLIP_GAMMA,
		.loss_type = TOKEN_MEAN,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "dppo_tv", .source = "arXiv:2602.04879",
		.help = "clipped by how far the probability of the token moved, not by its ratio",
		.baseline = BASELINE_GROUP, .importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_TV, .epsilon = 0.15, .epsilon_high = 0.15, .loss_type = CONSTANT,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "dppo_kl", .source = "arXiv:2602.04879",
		.help = "the same, by the divergence of the two-way choice: this token or not",
		.baseline = BASELINE_GROUP, .importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_BINARY_KL, .epsilon = 0.05, .epsilon_high = 0.05, .loss_type = CONSTANT,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "dro", .source = "arXiv:2405.19107",
		.help = "score function and a quadratic pull back to the policy that sampled",
		.baseline = BASELINE_GROUP, .loss_type = TOKEN_MEAN, .proximal = 0.1,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "clip_cov", .source = "arXiv:2505.22617",
		.help = "GRPO that leaves out a few tokens which would lower the entropy",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_TOKEN,
		.clip = CLIP_HARD, .epsilon = 0.2, .epsilon_high = 0.2, .loss_type = TOKEN_MEAN,
		.covariance = COVARIANCE_CLIP,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "kl_cov", .source = "arXiv:2505.22617",
		.help = "no clip; the tokens that would lower the entropy most are held back",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_TOKEN, .loss_type = TOKEN_MEAN,
		.covariance = COVARIANCE_KL,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "m2po", .source = "arXiv:2510.01161",
		.help = "stale rollouts: the tokens that strayed furthest are left out until the rest is near",
		.baseline = BASELINE_GROUP, .scale_rewards = SCALE_GROUP,
		.importance_sampling_level = LEVEL_TOKEN, .loss_type = TOKEN_MEAN,
		.mismatch = MISMATCH_SECOND_MOMENT,
		.kl_placement = KL_IN_LOSS, .kl_estimator = KL_K3, COMMON,
	},
	{
		.name = "topr", TOPR_FAMILY, TAPER(1, 1, 0, 1),
		.help = "full weight on good completions, ratio at most 1 on bad ones: for replayed "
			"rollouts",
	},
	{
		.name = "topr_naive", TOPR_FAMILY, TAPER(1, 1, 1, 1),
		.help = "the same with weight 1 on all: REINFORCE that ignores who sampled",
	},
	{
		.name = "topr_positives", TOPR_FAMILY, TAPER(1, 1, 0, 0),
		.help = "the same with weight 0 on bad completions: supervised learning on good ones",
	},
	{
		.name = "topr_is", TOPR_FAMILY, TAPER(0, 1e9, 0, 1e9),
		.help = "the same with the ratio on all: importance sampling, without bias and "
			"without bound",
	},
	{
		.name = "topr_tis", TOPR_FAMILY, TAPER(0, 1, 0, 1),
		.help = "the same with the ratio, at most 1, on all: truncated importance sampling",
	},
};
/* clang-format on */

enum { N_ALGORITHMS = sizeof table / sizeof *table };

const struct algorithm *algorithm_at(int i)
{
	return i >= 0 && i < N_ALGORITHMS ? &table[i] : NULL;
}

const char *algorithm_name(int i)
{
	return i >= 0 && i < N_ALGORITHMS ? table[i].name : NULL;
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

/* Whether the completions of one problem are compared with each other. */
static int is_grouped(enum baseline baseline)
{
	return baseline == BASELINE_GROUP || baseline == BASELINE_LEAVE_ONE_OUT ||
	       baseline == BASELINE_GROUP_BY_LENGTH || baseline == BASELINE_SECOND_BEST;
}

/* The scales that are no deviation. */
static int check_scale(const struct algorithm *a)
{
	if (a->scale_rewards == SCALE_MEAN && !is_grouped(a->baseline))
		return error_set(ERR_INPUT,
		                 "%s: scale_rewards mean divides by the mean of a group that "
		                 "baseline %s does not subtract; set baseline to group, or "
		                 "scale_rewards to none",
		                 a->name, choice_name(choices_baseline, a->baseline));
	if ((a->scale_rewards == SCALE_MEAN || a->scale_rewards == SCALE_NONZERO) &&
	    a->signed_rewards)
		return error_set(
		        ERR_INPUT,
		        "%s: scale_rewards %s reads what a wrong completion gets as 0, but "
		        "signed_rewards makes it -1; set signed_rewards to false",
		        a->name, choice_name(choices_scale, a->scale_rewards));
	return OK;
}

/* What only the sum of several rewards has. */
static int check_objectives(const struct algorithm *a)
{
	const char *what = a->signed_rewards                                ? "signed_rewards"
	                   : a->overlong == OVERLONG_SHAPE                  ? "overlong shape"
	                   : a->beta > 0 && a->kl_placement == KL_IN_REWARD ? "kl_placement reward"
	                                                                    : NULL;

	if (a->multi_objective_aggregation == NORMALIZE_THEN_SUM && what)
		return error_set(ERR_INPUT,
		                 "%s: multi_objective_aggregation normalize_then_sum standardises "
		                 "the rewards of the verifiers, and %s changes only their sum: "
		                 "leave one of them out",
		                 a->name, what);
	return OK;
}

/* Baseline and scale: what is compared needs others to compare with. */
static int check_advantage(const struct algorithm *a, int num_generations)
{
	int grouped = is_grouped(a->baseline);

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

/* Level, clip and the interval that holds the ratio. */
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

/* Parts that need a ratio, or one of a certain kind. */
static int check_kind_of_ratio(const struct algorithm *a)
{
	if ((a->clip == CLIP_TV || a->clip == CLIP_BINARY_KL) &&
	    a->importance_sampling_level != LEVEL_TOKEN)
		return error_set(ERR_INPUT,
		                 "%s: clip %s bounds the probability of a token, but "
		                 "importance_sampling_level is %s; set it to token",
		                 a->name, choice_name(choices_clip, a->clip),
		                 choice_name(choices_level, a->importance_sampling_level));
	if (a->covariance == COVARIANCE_KL && a->importance_sampling_level == LEVEL_NONE)
		return error_set(ERR_INPUT,
		                 "%s: covariance kl holds tokens back by their ratio, but "
		                 "importance_sampling_level is none; set it to token",
		                 a->name);
	return OK;
}

/* The numbers of clip soft and clip taper. */
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

/* W: corrections of stale rollouts, the off-policy mask, the share of high entropy. */
static int algorithm_check_weights(const struct algorithm *a)
{
	if (a->mismatch != MISMATCH_NONE && a->importance_sampling_level == LEVEL_NONE)
		return error_set(ERR_INPUT,
		                 "%s: mismatch %s corrects a ratio, but importance_sampling_level "
		                 "is none; set the level to token or sequence, or "
		                 "mismatch to none",
		                 a->name, choice_name(choices_mismatch, a->mismatch));
	if (a->mismatch != MISMATCH_NONE && (a->clip == CLIP_TAPER || a->clip == CLIP_GAMMA))
		return error_set(ERR_INPUT,
		                 "%s: clip %s weighs by the ratio to the policy that sampled "
		                 "already; with mismatch %s the same staleness would "
		                 "count twice: set it to none",
		                 a->name, choice_name(choices_clip, a->clip),
		                 choice_name(choices_mismatch, a->mismatch));
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

/* The KL term: its weight, and an estimator that has the gradient it is asked for. */
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

/* The adaptive controller of that weight. */
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

/* What depends on the length of completions, and the discounts along it. */
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
	TRY(check_scale(a));
	TRY(check_objectives(a));
	TRY(check_ratio(a));
	TRY(check_kind_of_ratio(a));
	TRY(check_taper(a));
	TRY(algorithm_check_weights(a));
	TRY(check_kl(a));
	TRY(check_controller(a));
	return algorithm_check_length(a);
}
