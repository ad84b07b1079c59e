/* objective.h - from log-probabilities and advantages to a loss and its gradient.
 *
 *     loss  L = sum_t w_t ( -gain_t + beta k_t - entropy_coef H_t )
 *     c_t = dL/dlogp_new,   h_t = dL/dH_t = -entropy_coef w_t
 *
 * Ratio. A unit is a token (level token) or a whole answer of n trained tokens (level sequence):
 *
 *     x = f sum_unit (logp_new - logp_old),  q = exp(x)      f = 1 for token and sequence_sum, 1/n for sequence (GSPO)
 *     x is kept in -20 .. 20, after the sum; beyond, its derivative is 0
 *
 * Gain, clip by clip (A is the token's advantage):
 *
 *     none          q A                        hard          min(q A, clip(q, 1 - epsilon, 1 + epsilon_high) A), with delta if A < 0
 *     cap           W A logp_new,  W = clip(q, 1 - epsilon, 1 + epsilon_high) held still (CISPO, arXiv:2506.13585)
 *     cap_absolute  the same, W = clip(q, 1 - epsilon, epsilon_high)
 *     level none    A logp_new, no ratio at all (REINFORCE)
 *
 * Weight, from totals of the whole update (all its micro-batches and ranks), never of the piece at hand:
 *
 *     sequence_mean  1 / (rows n)      token_mean  1 / tokens      sequence_sum  1 / rows      constant  1 / (rows max_completion_length)
 *
 *     n = trained tokens of the row. rows counts rows with n > 0: a masked answer does not dilute the mean (as in verl, not as in TRL).
 *     RLOO as in TRL is level sequence_sum, clip hard, loss_type sequence_mean: one gain per answer, averaged over answers.
 *
 * Pure functions: no allocation, no I/O, no globals; callable from any thread. Sums in double, row by row: cutting a batch into several, in
 * order, changes no bit of coefficients or statistics. The loss value is for the log; REINFORCE's and CISPO's contain logp_new itself. */
#ifndef RL_OBJECTIVE_H
#define RL_OBJECTIVE_H

#include "rl/algorithm.h"
#include "rl/record.h"

#include <stdint.h>

struct objective_batch { /* borrowed; arrays [T], read at trained tokens only */
	struct rows  rows;
	const float *logp_new; /* under the policy being trained */
	const float *logp_old; /* as sampled: the denominator of the ratio; not read with level none */
	const float *logp_ref; /* under the reference; read only with beta > 0 and kl_placement: loss */
	const float *entropy;  /* under the policy being trained; NULL: not measured (then entropy_coef must be 0) */
	const float *advantage;
	const float *logp_held; /* where held weights are computed; NULL: logp_new. Tests keep it still while they move logp_new */
};

struct totals {
	int64_t rows, tokens; /* with at least one trained token; trained tokens */
};

struct objective_gradient { /* arrays [T], caller's; overwritten, exactly 0 where not trained */
	float *c;
	float *h; /* or NULL when entropy_coef is 0 */
};

struct objective_stats { /* sums over trained tokens unless said; divide when printing */
	double tokens, rows;
	double rows_skipped; /* rows with an input that is not finite: left out with coefficient 0 */
	double loss;         /* weighted: the step's loss is the plain sum */
	double kl, entropy;
	double ratio, ratio_max;
	double clip_low, clip_high; /* tokens past the floor or ceiling: without gradient (hard) or with a bounded weight (cap) */
	double guarded;             /* tokens stopped by delta */
	double clamped;             /* tokens whose log-ratio lay beyond -20 .. 20 */
};

/* ADDS the counts of these rows. */
void totals_add(struct totals *totals, const struct rows *rows);

/* Writes *out, ADDS to *stats. ERR_INPUT: a row without token; *stats is then as it was. */
int objective_eval(const struct algorithm *a, const struct objective_batch *b, const struct totals *totals,
                   const struct objective_gradient *out, struct objective_stats *stats);

#endif
