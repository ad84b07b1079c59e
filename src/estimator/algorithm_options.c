#include "estimator/algorithm.h"

/* ---- words ---- */

const struct choice choices_baseline[] = {
        {"none", BASELINE_NONE, "the reward itself"},
        {"batch", BASELINE_BATCH, "minus the mean reward of the batch"},
        {"group", BASELINE_GROUP, "minus the mean reward of the completions of the same problem"},
        {"leave_one_out", BASELINE_LEAVE_ONE_OUT,
         "minus the mean reward of the other completions of the same problem"},
        {"constant", BASELINE_CONSTANT, "minus baseline_value"},
        {"critic", BASELINE_CRITIC,
         "minus the learned value of the state before each token, by GAE"},
        {"group_by_length", BASELINE_GROUP_BY_LENGTH,
         "minus the mean reward of the same problem, each completion counted by its trained "
         "tokens"},
        {"second_best", BASELINE_SECOND_BEST,
         "the best completion of a problem minus the second best; 0 for all others"},
        {0},
};
const struct choice choices_scale[] = {
        {"none", SCALE_NONE, "not divided"},
        {"group", SCALE_GROUP, "divided by the standard deviation of the group"},
        {"batch", SCALE_BATCH, "divided by the standard deviation of the batch"},
        {"mean", SCALE_MEAN, "divided by the mean of the group; 0 where that is not above 0"},
        {"nonzero", SCALE_NONZERO,
         "divided by the share of the batch's completions whose reward is not 0"},
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
        {"tv", CLIP_TV,
         "no gradient once the token's probability rose by more than epsilon_high (A > 0) or fell "
         "by more than epsilon (A < 0)"},
        {"binary_kl", CLIP_BINARY_KL,
         "no gradient once the divergence of token or not exceeds epsilon_high (A > 0, and the "
         "probability rose) or epsilon (A < 0, and it fell)"},
        {"gamma", CLIP_GAMMA,
         "constant weight: q^k exp(lambda (1 - q)), k and lambda by the sign of A"},
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
        {"update_token_mean", UPDATE_TOKEN_MEAN, "mean over the tokens of the update at hand"},
        {"bnpo", UPDATE_TOKEN_MEAN, "the same, by TRL's name"},
        {"token_sum", TOKEN_SUM, "sum over all tokens, not divided"},
        {"prompt_mean", PROMPT_MEAN,
         "mean over problems of the mean over all tokens of their completions"},
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
        {"abs", KL_ABS, "|log p - log r|"},
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
        {"second_moment", MISMATCH_SECOND_MOMENT,
         "rho of the token; 0 for those whose log rho is largest, until the mean of its square is "
         "below mismatch_moment"},
        {0},
};

const struct choice choices_covariance[] = {
        {"none", COVARIANCE_NONE, "all tokens alike"},
        {"clip", COVARIANCE_CLIP, "of those in covariance_low..high some, at random, are left out"},
        {"kl", COVARIANCE_KL, "those of the largest covariance are held to where they were"},
        {0},
};

const struct choice choices_objectives[] = {
        {"sum_then_normalize", SUM_THEN_NORMALIZE, "the reward is the weighted sum"},
        {"normalize_then_sum", NORMALIZE_THEN_SUM,
         "each verifier's reward is standardised in its group before they are added"},
        {0},
};
const struct choice choices_resampling[] = {
        {"none", RESAMPLING_NONE, "all completions, once"},
        {"pow", RESAMPLING_POWER, "by |reward| to resample_power"},
        {"max_min", RESAMPLING_EXTREMES, "only those of the largest and the smallest reward"},
        {"max_random", RESAMPLING_BEST, "those of the largest reward four times as often"},
        {0},
};

/* ---- options ---- */

#define HOME struct algorithm
#define CLIPPED "loss.clip=hard|cap|cap_absolute|log|tv|binary_kl or guidance.clip=hard"
#define RHO_BOUNDED \
	"loss.mismatch=token_truncate|token_mask|sequence_truncate|sequence_mask|" \
	"sequence_mean_mask"
#define KL_IN_THE_LOSS "loss.beta!=0 and loss.kl_placement=loss"
#define ADAPTIVE_ENTROPY "loss.use_adaptive_entropy=true"
#define KL_IN_THE_REWARD "loss.beta!=0 and loss.kl_placement=reward|token_reward"

/* clang-format off */
#define ROOM "loss."
static const struct option loss_options[] = {
	CHOICE(baseline, NULL, choices_baseline, "what is subtracted from the reward"),
	REAL(baseline_value, NULL, -1e6, 1e6, "the constant, on the scale of the signed rewards",
	     .when = "loss.baseline=constant"),
	REAL(positive_share, "0", 0, 0.999999,
	     "choose the constant so that good completions make up this share of the weight of "
	     "rollout.source; 0: off", .when = "loss.baseline=constant and rollout.source!="),
	BOOL(signed_rewards, NULL, "rewards 0 .. 1 become -1 .. 1"),
	CHOICE(scale_rewards, NULL, choices_scale, "standard deviation that divides the advantage"),
	CHOICE(multi_objective_aggregation, NULL, choices_objectives,
	       "how the rewards of several verifiers become one"),
	CHOICE(resample, "none", choices_resampling,
	       "which completions an update trains on: as many as there are, drawn from the batch "
	       "with replacement"),
	REAL(resample_power, "2", 0, 100, "the power", .when = "loss.resample=pow"),
	BOOL(whiten, NULL, "advantages of all tokens of the batch to mean 0, variance 1"),
	REAL(advantage_eps, NULL, 0, 1, "added to the standard deviation of scale_rewards",
	     .when = "loss.scale_rewards=group|batch or "
	             "loss.multi_objective_aggregation=normalize_then_sum"),
	REAL(gamma, NULL, 0, 1, "discount per token"),
	REAL(lam, NULL, 0, 1, "GAE's lambda: 1 trusts the reward, 0 the critic",
	     .when = "loss.baseline=critic"),
	CHOICE(importance_sampling_level, NULL, choices_level,
	       "what the ratio is computed over; sequence is normalised by the length"),
	CHOICE(clip, NULL, choices_clip,
	       "hard: PPO's clipped surrogate; cap: CISPO's capped weight; log: GMPO's; soft: "
	       "SAPO's gate; taper: TOPR's limits; tv, binary_kl: DPPO's masks; gamma: VESPO's"),
	REAL(epsilon, NULL, 0, 1,
	     "ratios below 1 - epsilon are clipped; set alone it sets epsilon_high too",
	     .when = CLIPPED),
	REAL(epsilon_high, NULL, 0, 1e6,
	     "ratios above 1 + epsilon_high are clipped; with cap_absolute the cap itself",
	     .when = CLIPPED),
	REAL(delta, NULL, 0, 1e6,
	     "two-sided or dual clip: cap of the ratio where the advantage is negative; 0: off",
	     .when = "loss.clip=hard"),
	REAL(tau_positive, NULL, 0, 1e6, "how fast the soft gate fades, A > 0",
	     .when = "loss.clip=soft"),
	REAL(tau_negative, NULL, 0, 1e6, "the same, A <= 0", .when = "loss.clip=soft"),
	REAL(positive_low, NULL, 0, 1e9, "least weight of a completion with A >= 0",
	     .when = "loss.clip=taper"),
	REAL(positive_high, NULL, 0, 1e9, "largest weight of a completion with A >= 0",
	     .when = "loss.clip=taper"),
	REAL(negative_low, NULL, 0, 1e9, "least weight of a completion with A < 0",
	     .when = "loss.clip=taper"),
	REAL(negative_high, NULL, 0, 1e9, "largest weight of a completion with A < 0",
	     .when = "loss.clip=taper"),
	CHOICE(mismatch, NULL, choices_mismatch,
	       "correction of replayed rollouts by the policy of the step over the one that "
	       "sampled", .when = "rollout.source!= or compute.numerics=fast"),
	REAL(mismatch_min, NULL, 0, 1,
	     "masks: a smaller ratio drops the token or completion; truncation: the least weight",
	     .when = RHO_BOUNDED),
	REAL(mismatch_max, NULL, 1, 1e9,
	     "masks: a larger ratio drops it; truncation: the largest weight",
	     .when = RHO_BOUNDED),
	REAL(mismatch_moment, "0.04", 0, 1e6,
	     "what the mean square of log rho stays below, over the tokens that count",
	     .when = "loss.mismatch=second_moment"),
	BOOL(mismatch_normalise, NULL, "divides the weights by their mean",
	     .when = "loss.mismatch!=none"),
	REAL(vespo_k_pos, "2", 0, 1e3, "exponent of the ratio of completions with A >= 0",
	     .when = "loss.clip=gamma"),
	REAL(vespo_lambda_pos, "3", 0, 1e3, "how fast their weight fades as the ratio grows",
	     .when = "loss.clip=gamma"),
	REAL(vespo_k_neg, "3", 0, 1e3, "the exponent where A < 0", .when = "loss.clip=gamma"),
	REAL(vespo_lambda_neg, "2", 0, 1e3, "how fast it fades there", .when = "loss.clip=gamma"),
	REAL(proximal, NULL, 0, 1e6,
	     "coefficient of half the squared log-ratio of each token to the policy that sampled; "
	     "verl's dro_beta, twice prime-rl's kl_tau"),
	REAL(positive_nll, "0", 0, 1e6,
	     "coefficient of the mean -log p over the tokens of completions with a reward above 0"),
	REAL(echo, "0", 0, 1e6,
	     "coefficient of the mean -log p over the tokens of observations, in worlds that "
	     "answer back"),
	CHOICE(covariance, NULL, choices_covariance,
	       "what becomes of tokens with a large covariance of log-probability and advantage: "
	       "they are what lowers the entropy"),
	REAL(covariance_ratio, NULL, 0, 1, "share of an update's tokens, at least one",
	     .when = "loss.covariance!=none"),
	REAL(covariance_low, "1", -1e6, 1e6, "covariances below are let alone",
	     .when = "loss.covariance=clip"),
	REAL(covariance_high, "5", -1e6, 1e6, "covariances above are let alone",
	     .when = "loss.covariance=clip"),
	REAL(covariance_coef, "1", 0, 1e6, "coefficient of |log-ratio| of the chosen tokens",
	     .when = "loss.covariance=kl"),
	REAL(off_policy_mask, NULL, 0, 1e6,
	     "leaves out completions with A < 0 that became rarer by more than this, in nats "
	     "per token; 0: off"),
	REAL(top_entropy, NULL, 0, 1,
	     "trains only this share of the tokens, those with the highest entropy; 1: all"),
	CHOICE(loss_type, NULL, choices_aggregation,
	       "weights of the tokens; grpo, dapo, dr_grpo and bnpo are TRL's names of "
	       "sequence_mean, token_mean, constant and update_token_mean"),
	REAL(beta, NULL, 0, 1e3,
	     "coefficient of the KL divergence from the reference; 0: no reference model"),
	CHOICE(kl_placement, NULL, choices_kl_placement, "where the KL divergence enters",
	       .when = "loss.beta!=0"),
	CHOICE(kl_estimator, NULL, choices_kl_estimator,
	       "its estimator; k3+: value of k3, gradient of k2", .when = "loss.beta!=0"),
	CHOICE(kl_controller, NULL, choices_kl_controller,
	       "KL in the reward: keep loss.beta, or steer it towards loss.kl_target",
	       .when = KL_IN_THE_REWARD),
	REAL(kl_target, NULL, 0, 1e6, "nats per token", .when = "loss.kl_controller=adaptive"),
	REAL(kl_horizon, NULL, 1, 1e12,
	     "completions over which loss.beta changes by at most a fifth",
	     .when = "loss.kl_controller=adaptive"),
	BOOL(use_bias_correction_kl, NULL,
	     "KL in the loss: times the ratio of the token, or of the completion where "
	     "importance_sampling_level says so, with gradient", .when = KL_IN_THE_LOSS),
	REAL(entropy_coef, NULL, -1e3, 1e3,
	     "coefficient of the mean entropy of the trained tokens (of those that top_entropy "
	     "keeps), which is added as a bonus"),
	BOOL(use_adaptive_entropy, "false",
	     "raises that coefficient while the entropy is below loss.entropy_target, lowers it "
	     "while it is above, and drops the bonus there", .when = "rollout.source="),
	REAL(entropy_target, "0.2", 0, 1e3, "nats per token", .when = ADAPTIVE_ENTROPY),
	REAL(entropy_coef_delta, "0.005", 0, 1e3, "the change of a step", .when = ADAPTIVE_ENTROPY),
	REAL(entropy_coef_min, "0", -1e3, 1e3, "the coefficient's least value",
	     .when = ADAPTIVE_ENTROPY),
	REAL(entropy_coef_max, "1", -1e3, 1e3, "its largest", .when = ADAPTIVE_ENTROPY),
	CHOICE(overlong, NULL, choices_overlong,
	       "truncated completions: keep them, or mask them from the loss; shape: a soft "
	       "penalty on long completions"),
	BOOL(mask_truncated_completions, NULL, "TRL's name for loss.overlong: mask",
	     .flags = SECOND_NAME),
	INT(overlong_buffer, NULL, 0, 1 << 20,
	    "tokens over which the penalty grows; 0: a fifth of rollout.max_completion_length",
	    .when = "loss.overlong=shape"),
	REAL(overlong_penalty, NULL, 0, 1e6, "the full penalty", .when = "loss.overlong=shape"),
	BOOL(dynamic_sampling, NULL,
	     "replaces groups whose completions are all right or all wrong by other problems"),
	INT(dynamic_sampling_max_batches, "10", 1, 1000, "most batches sampled for one step",
	    .when = "loss.dynamic_sampling!=false"),
	INT(num_iterations, NULL, 1, 1000, "passes over each batch of rollouts"),
};
#undef ROOM

#define ROOM "guidance."
static const struct option guided_options[] = {
	CHOICE_AS("clip", guided_clip, "squash", choices_guided_clip,
	     "how the ratio of guided tokens is kept in bounds", .when = "guidance.kind=guide"),
	REAL(squash, "0", 0, 1e6, "g of q/(q + g); 0: the percentile of the completion's ratios",
	     .when = "guidance.clip=squash"),
	REAL(squash_percentile, "0.9", 0, 1, "which one",
	     .when = "guidance.clip=squash and guidance.squash=0"),
	REAL(power, "1", 0, 10, "of clip: power", .when = "guidance.clip=power"),
};
#undef ROOM
/* clang-format on */

const struct option_table loss_options_table = OPTION_TABLE(loss_options);
const struct option_table guided_options_table = OPTION_TABLE(guided_options);
