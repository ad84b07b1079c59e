/* objective.h - from log-probabilities and advantages to a loss and its gradient.
 *
 *     loss  L = sum_t w_t ( -W_t gain_t + beta k_t + proximal d_t^2 / 2 + held_t )
 *                 - entropy_coef mean_t H_t - positive_nll mean_good logp_new
 *                 - echo mean_observed logp_new
 *     c_t = dL/dlogp_new,   h_t = dL/dH_t = -entropy_coef / (number of tokens in that mean)
 *
 * Ratio. A unit is a token (level token) or a whole completion of n trained tokens (level
 * sequence, sequence_sum):
 *
 *     x = f sum_unit (logp_new - logp_old),  q = exp(x)
 *     f = 1 for token and sequence_sum, 1/n for sequence (GSPO)
 *     x is kept in -20 .. 20, after the sum; beyond, its derivative is 0
 *
 * Gain, clip by clip (A is the token's advantage):
 *
 *     none          q A
 *     hard          min(q A, clip(q, 1 - epsilon, 1 + epsilon_high) A), with delta if A < 0
 *     cap           W A logp_new, W = clip(q, 1 - epsilon, 1 + epsilon_high) held still
 *                   (CISPO, arXiv:2506.13585)
 *     cap_absolute  the same, W = clip(q, 1 - epsilon, epsilon_high)
 *     level none    A logp_new, no ratio at all (REINFORCE)
 *     log           q A, the log-ratios of the tokens limited before they are summed: min(d,
 *                   epsilon_high) where A > 0, max(d, -epsilon) where A < 0; a limited token has no
 *                   gradient, the others of the completion keep theirs (GMPO, arXiv:2507.20673)
 *     soft          A (4 / tau) sigmoid(tau (q - 1)), tau_positive where A > 0, else tau_negative
 *                   (SAPO, arXiv:2511.20347)
 *     taper         W A logp_new, W = clip(q, positive_low, positive_high) where A >= 0, clip(q,
 *                   negative_low, negative_high) where A < 0, held still (TOPR, arXiv:2503.14286);
 *                   far below 1 it goes on to 0, it stops at exp(20) only
 *
 *     tv            q A, and nothing where p - p_old > epsilon_high (A > 0) or < -epsilon (A < 0),
 *                   p = exp(logp_new) (DPPO, arXiv:2602.04879)
 *     binary_kl     q A, and nothing where D > epsilon_high and p > p_old (A > 0), or D > epsilon
 *                   and p < p_old (A < 0), D = p_old log(p_old / p) + (1 - p_old) log((1 - p_old +
 *                   1e-8) / (1 - p + 1e-8))
 *     gamma         W A logp_new, W = q^k exp(lambda (1 - q)) held still, k and lambda by the sign
 *                   of A: 1 at q = 1, its peak at q = k / lambda (VESPO, arXiv:2602.10693); far
 *                   below 1 it goes on to 0, it stops at exp(20)
 *
 *     squash        A q / (q + g), g held still: a constant, or the squash_percentile of the q of
 *                   the completion's trained tokens, at least 1e-4
 *     power         A q^power
 *
 * Guided rows were sampled under another context than they are trained under (guidance.h): logp_old
 * is under that one, with the hint, logp_new without it. Their ratio is not 1 before any update, so
 * they go by guided_clip and token by token, whatever the algorithm does elsewhere.
 *
 * W_t, from token_weight.h, multiplies the gain alone. It is 0 for a whole completion where
 * off_policy_mask > 0, the sum of its A is negative, and mean_t (logp_rollout - logp_new) >
 * off_policy_mask (DeepSeek-V3.2's mask); the divisors stay as they are.
 *
 * Pulls to the policy that sampled, d_t = logp_new - logp_old whatever the level is: half its
 * square at every token (proximal; DRO, prime-rl's kl_tau), and covariance_coef |d_t| at the chosen
 * tokens with covariance: kl. With covariance: clip a chosen token has no gain (covariance.h).
 *
 * positive_nll: the mean of -logp_new over the trained tokens of the update's rows whose reward is
 * above 0 (VAPO, arXiv:2504.05118, equation 10).
 *
 * echo: the mean of -logp_new over what the world wrote (observed, not trained otherwise) in the
 * rows with a trained token (prime-rl's ECHO).
 *
 * use_bias_correction_kl: k times the ratio q of its unit, unclipped, gradient through both
 * (DeepSeek-V3.2's unbiased estimate, there token by token; for a whole completion as in TRL). With
 * level none the unit is the token.
 *
 * Entropy. The bonus is a mean over tokens, whatever the weights below, so that entropy_coef means
 * the same for every loss_type (as in TRL): over the trained tokens of the update, or over those
 * that top_entropy keeps (token_weight.h).
 *
 * Weight, from totals of the whole update (all its micro-batches and ranks), never of the piece at
 * hand:
 *
 *     sequence_mean  1 / (rows n)
 *     token_mean     updates / batch_tokens
 *     sequence_sum   1 / rows
 *     constant       1 / (rows max_completion_length)
 *     update_token_mean
 *                    1 / tokens
 *     token_sum      1
 *     prompt_mean    1 / (prompts g), g the trained tokens of the row's group, all its rows; groups
 *                    are never cut (SkyRL's prompt_mean)
 *
 *     Where a batch is cut into several updates (num_minibatches), token_mean divides each by the
 *     same number: the tokens of the batch over the number of updates. So a token weighs the same
 *     in whichever update it falls (as TRL's dapo; verl divides by the tokens of the minibatch).
 *
 *     n = trained tokens of the row. rows counts rows with n > 0: a masked completion does not
 *     dilute the mean (as in verl, not as in TRL).
 *     RLOO as in TRL is level sequence_sum, clip hard, loss_type sequence_mean: one gain per
 *     completion, averaged over completions.
 *
 * Pure functions: no allocation, no I/O, no globals; callable from any thread. Sums in double, row
 * by row: cutting a batch into several, in order, changes no bit of coefficients or statistics. The
 * loss value is for the log; REINFORCE's and CISPO's contain logp_new itself. */
#ifndef ESTIMATOR_OBJECTIVE_H
#define ESTIMATOR_OBJECTIVE_H

#include "estimator/algorithm.h"
#include "estimator/batch.h"

struct totals {               /* of one update, */
	int64_t rows, tokens; /* with at least one trained token; trained tokens */
	int64_t high;         /* tokens in the mean of the entropy bonus */
	int64_t batch_tokens; /* and of the batch that it is cut from; 0: tokens */
	int     updates;      /* into so many; 0: 1 */
	/* groups with a trained token, as the sum over rows of their shares of the group's tokens:
	 * the nearest integer is meant. 0 without group_tokens */
	double  prompts;
	int64_t good;     /* trained tokens of rows that are good */
	int64_t observed; /* tokens that the world wrote, in rows with a trained one */
};

/* Sums over trained tokens unless said; divide when printing. Doubles only: rows are added up in a
 * loop over all of them. */
struct objective_stats {
	double tokens, rows;
	/* rows with an input that is not finite: left out with coefficient 0 */
	double rows_skipped;
	double loss; /* weighted: the step's loss is the plain sum */
	double kl, entropy;
	double ratio, ratio_max; /* of rows that are not guided */
	/* of guided rows: tokens; sum of ratios; tokens with A != 0 without gradient */
	double guided_tokens, guided_ratio, guided_silent;
	/* tokens past the floor or ceiling: without gradient (hard) or with a bounded weight
	 * (cap) */
	double clip_low, clip_high;
	double guarded; /* tokens stopped by delta */
	/* tokens with A < 0; sum of their weights: how much of -A is left in their gradient */
	double negative, negative_weight;
	double rows_masked; /* by off_policy_mask */
	double clamped;     /* tokens whose log-ratio lay beyond -20 .. 20 */
};

/* Columns that the loss needs of the whole batch, before it is cut into updates: group_tokens with
 * loss_type prompt_mean, good with positive_nll. From `arena`, whose scratch is released; reads
 * trained, group and reward. With echo the caller writes observed. */
int objective_prepare(const struct algorithm *a, struct batch *b, struct arena *arena);

/* ADDS the counts of these rows; reads high, group_tokens, good and observed. */
void totals_add(struct totals *totals, const struct batch *b);

/* w of each trained token of the row. */
double objective_weight(const struct algorithm *a, const struct batch *b,
                        const struct totals *totals, int row);

/* Whether c and h of the row are certainly 0, whatever the log-probabilities turn out to be: no
 * advantage at any trained token, and no term of the loss without one. */
int objective_is_silent(const struct algorithm *a, const struct batch *b, int row);

/* Writes c, and h where it is there: the head terms of each token, exactly 0 where not trained (but
 * for c of observed tokens, with echo).
 * ADDS to *stats. Reads, at trained tokens only:
 *
 *     logp_new, advantage, weight, high, guided
 *     logp_old      unless level is none; of guided rows always
 *     logp_ref      with beta > 0 and kl_placement: loss
 *     logp_rollout  with off_policy_mask > 0
 *     group_tokens  with loss_type prompt_mean
 *     good          with positive_nll
 *     observed      with echo, and logp_new there
 *     chosen        where it is there
 *     entropy_new   must be there when entropy_coef is not 0, and so must h
 *
 * ERR_INPUT: a row without token; *stats is then as it was. */
int objective_eval(const struct algorithm *a, const struct batch *b, const struct totals *totals,
                   struct objective_stats *stats);

#endif
