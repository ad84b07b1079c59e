/* algorithm.h - every algorithm of the family is one row: which parts, which numbers, from which
 * paper.
 *
 *     loss = sum_tokens w ( -W gain(ratio, A) + beta k(policy, reference) ) - entropy_coef mean H
 *
 *     A      advantage.h    (reward - baseline) / scale, spread over the tokens, perhaps whitened
 *     ratio  objective.h    pi / pi_old of a token or of a whole completion, or none
 *     gain   objective.h    how the ratio is kept in bounds
 *     w      objective.h    what the sum is divided by
 *     k      kl.h           estimator of the divergence; in the loss, or (without gradient) in the
 *                           reward
 *     W      token_weight.h factor of the gain: 1, or a correction of stale rollouts, or 0 for
 *            tokens of low entropy
 *
 * A config names a row and may override any field: that is an ablation. Where a paper and the
 * libraries differ the row is the paper's (but for the KL term of grpo, which nobody trains with
 * any more), and a comment at the table says what the others do. Field names are TRL's where TRL
 * has one.
 *
 * To add one: a row in algorithm.c; when it needs a new part, a row in that part's table and the
 * part's word in algorithm_options.c; its worked numbers in tests/test_objective.c or
 * test_advantage.c (their loops over the table pick the row up by themselves); a card in the
 * docs. */
#ifndef ESTIMATOR_ALGORITHM_H
#define ESTIMATOR_ALGORITHM_H

#include "base/option.h"

enum baseline {
	BASELINE_NONE,
	BASELINE_BATCH,
	BASELINE_GROUP,
	BASELINE_LEAVE_ONE_OUT,
	BASELINE_CONSTANT,
	BASELINE_CRITIC,
	BASELINE_GROUP_BY_LENGTH,
	BASELINE_SECOND_BEST
};
enum scale { SCALE_NONE, SCALE_GROUP, SCALE_BATCH, SCALE_MEAN, SCALE_NONZERO };
enum objectives { SUM_THEN_NORMALIZE, NORMALIZE_THEN_SUM };
enum resampling { RESAMPLING_NONE, RESAMPLING_POWER, RESAMPLING_EXTREMES, RESAMPLING_BEST };
enum level { LEVEL_NONE, LEVEL_TOKEN, LEVEL_SEQUENCE, LEVEL_SEQUENCE_SUM };
enum clip {
	CLIP_NONE,
	CLIP_HARD,
	CLIP_CAP,
	CLIP_CAP_ABSOLUTE,
	CLIP_LOG,
	CLIP_SOFT,
	CLIP_TAPER,
	CLIP_SQUASH,
	CLIP_POWER,
	CLIP_TV,
	CLIP_BINARY_KL,
	CLIP_GAMMA
};
enum aggregation {
	SEQUENCE_MEAN,
	TOKEN_MEAN,
	SEQUENCE_SUM,
	CONSTANT,
	UPDATE_TOKEN_MEAN,
	TOKEN_SUM,
	PROMPT_MEAN
};
enum kl_placement { KL_IN_REWARD, KL_IN_TOKEN_REWARD, KL_IN_LOSS };
enum kl_estimator { KL_K1, KL_K2, KL_K3, KL_K3_PLUS, KL_ABS };
enum mismatch {
	MISMATCH_NONE,
	MISMATCH_TOKEN_TRUNCATE,
	MISMATCH_TOKEN_MASK,
	MISMATCH_SEQUENCE_TRUNCATE,
	MISMATCH_SEQUENCE_MASK,
	MISMATCH_SEQUENCE_MEAN_MASK,
	MISMATCH_SECOND_MOMENT
};
enum covariance { COVARIANCE_NONE, COVARIANCE_CLIP, COVARIANCE_KL };
enum kl_controller { KL_FIXED, KL_ADAPTIVE };
enum overlong { OVERLONG_KEEP, OVERLONG_MASK, OVERLONG_SHAPE };

struct algorithm {
	const char *name;

	enum baseline baseline;
	enum scale    scale_rewards;
	/* rewards of several verifiers: added with their weights, or each standardised in its group
	 * before that; TRL's name */
	enum objectives multi_objective_aggregation;
	/* which completions are trained on, drawn from the batch (resample.h) */
	enum resampling resample;
	double          resample_power;
	/* 1: advantages of all trained tokens of the batch to mean 0, variance 1 */
	int               whiten;
	enum level        importance_sampling_level;
	enum clip         clip;
	enum aggregation  loss_type;
	enum kl_placement kl_placement;
	enum kl_estimator kl_estimator;
	/* what becomes of truncated (mask) or long (shape) completions */
	enum overlong overlong;
	/* 1: only problems with right and wrong completions are trained on */
	int dynamic_sampling;
	int dynamic_sampling_max_batches; /* sampled for one step, at most */

	/* weight of the KL term; 0 switches it off, and no reference model is needed */
	double beta;
	double epsilon; /* the ratio's floor is 1 - epsilon */
	/* its ceiling is 1 + epsilon_high (a config that sets epsilon alone sets both); for
	 * clip: cap_absolute it is the ceiling itself */
	double epsilon_high;
	/* hard clip: ceiling of the ratio where A < 0; 0: none. TRL's name; the dual clip C of
	 * verl and OpenRLHF */
	double delta;
	double entropy_coef; /* weight of the mean entropy of a token */
	/* 1: it comes and goes with the entropy (entropy.h) */
	int    use_adaptive_entropy;
	double entropy_target, entropy_coef_delta, entropy_coef_min, entropy_coef_max;

	double advantage_eps; /* added to the standard deviation that rewards are divided by */
	double gamma;         /* discount per token */
	/* baseline: critic: GAE's lambda, TRL's name. 1: no bias; 0: the critic's word is final */
	double lam;
	int    num_iterations; /* passes over one batch of completions */

	/* tokens; divisor of loss_type: constant, and where overlong: shape ends */
	int max_completion_length;
	/* tokens over which the shaped penalty grows from 0 to 1; 0: a fifth of
	 * max_completion_length */
	int    overlong_buffer;
	double overlong_penalty;           /* factor on that penalty */
	int    mask_truncated_completions; /* TRL's name for overlong: mask, which it becomes */

	double baseline_value; /* baseline: constant; the c of TOPR */
	/* above 0: that constant gives good completions this share of the weight (advantage.h) */
	double positive_share;
	int    signed_rewards; /* 1: rewards 0 .. 1 become -1 .. 1 before everything else */
	/* clip: soft, where A > 0: how fast the weight fades as the ratio leaves 1 */
	double tau_positive;
	double tau_negative; /* where A <= 0 */
	/* clip: taper: the weight is the ratio kept in these limits; where A >= 0 */
	double positive_low;
	double positive_high; /* a ratio never exceeds exp(20): 1e9 is no limit */
	double negative_low;  /* where A < 0 */
	double negative_high;
	/* clip: gamma, TRL's names: exponent of the ratio and how fast a large one fades; where
	 * A >= 0 */
	double vespo_k_pos, vespo_lambda_pos;
	double vespo_k_neg, vespo_lambda_neg; /* where A < 0 */
	/* weight of half the squared log-ratio of every token, to the policy that sampled */
	double proximal;
	/* weight of the mean -log pi over the tokens of completions whose reward is above 0 */
	double positive_nll;
	/* weight of the mean -log pi over the tokens that the world wrote */
	double echo;

	/* what becomes of the tokens that move the entropy most (covariance.h) */
	enum covariance covariance;
	double          covariance_ratio; /* the share of the tokens, at least one */
	double          covariance_low;   /* clip: only tokens above, */
	double          covariance_high;  /* and below, are chosen from */
	double          covariance_coef;  /* kl: weight of their |log-ratio| */

	/* KL in the loss: times the ratio of the token or completion, with gradient (TRL's name) */
	int use_bias_correction_kl;

	/* rollouts of an older policy: which weight corrects for it */
	enum mismatch mismatch;
	double        mismatch_min;       /* truncate: the least weight; mask: below, it is 0 */
	double        mismatch_max;       /* truncate: the largest weight; mask: above, it is 0 */
	int           mismatch_normalise; /* weights divided by their mean over the batch */
	/* second_moment: what the mean square of the log-ratios stays below */
	double mismatch_moment;
	/* of guided rows (guidance.h), whose ratio is taken token by token */
	enum clip guided_clip;
	/* g of clip: squash; 0: the percentile of the completion's ratios */
	double squash;
	double squash_percentile; /* in 0 .. 1 */
	double power;             /* of clip: power */

	/* a completion with A < 0 that became rarer by more than this, in nats a token, is left
	 * out; 0: off */
	double off_policy_mask;
	/* share of the tokens, those of the highest entropy, that the policy term trains; 1: all */
	double top_entropy;

	enum kl_controller kl_controller; /* of beta, with KL in the reward; see kl_adapt */
	double             kl_target;     /* adaptive: in nats a token */
	/* adaptive: completions over which beta may change by a fifth */
	double kl_horizon;

	const char *source; /* arXiv id, or the paper's name where it has none */
	const char *help;   /* one line */
};

const struct algorithm *algorithm_find(const char *name); /* static; or NULL */
const struct algorithm *algorithm_at(int i);              /* row i; NULL past the last */
const char             *algorithm_name(int i);            /* its name; NULL past the last */

/* OK, or ERR_INPUT saying which fields do not go together and why, and what to set instead. */
int algorithm_check(const struct algorithm *a, int num_generations);

/* What is allowed but seldom meant, as one sentence for the start of a run; NULL when there is
 * nothing to say. */
const char *algorithm_caution(const struct algorithm *a);

int algorithm_needs_reference(const struct algorithm *a); /* beta > 0 */

/* ---- words and options (algorithm_options.c) ---- */

extern const struct choice choices_baseline[], choices_scale[], choices_level[], choices_clip[],
        choices_aggregation[], choices_kl_placement[], choices_kl_estimator[],
        choices_kl_controller[], choices_overlong[], choices_guided_clip[], choices_mismatch[],
        choices_covariance[], choices_objectives[], choices_resampling[];

/* The options of the room loss, and those of guidance that bound guided rows: both over struct
 * algorithm. Those without a default are the row's. */
extern const struct option_table loss_options_table, guided_options_table;

#endif
