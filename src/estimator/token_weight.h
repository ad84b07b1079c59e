/* token_weight.h - constants that multiply the gain of each token (W in objective.h): stale
 * rollouts, and tokens of high entropy only.
 *
 * Stale rollouts. Three policies may differ: the one that sampled, the one at the beginning of the
 * step (old), the one being trained (new). The ratio new / old is bounded by the clip; what is left
 * of old / sampled is corrected here:
 *
 *     rho_t = exp(logp_old - logp_rollout)        rho = prod_t rho_t        mean = rho^(1/n)
 *
 *     token_truncate      rho_t kept in [mismatch_min, mismatch_max]
 *                         TIS, whose lower bound is 0
 *     token_mask          rho_t where it lies in the bounds, else 0
 *                         IcePop
 *     sequence_truncate   rho kept in the bounds, on every token of the completion
 *     sequence_mask       rho where it lies in the bounds, else 0
 *                         TRL's default mode, there with the upper bound 3
 *     sequence_mean_mask  rho_t where mean lies in the bounds, else 0
 *                         OpenRLHF
 *     second_moment       rho_t, and 0 for the tokens whose (log rho_t)^2 is largest: so many that
 *                         its mean over the others of the batch is below mismatch_moment; equal
 *                         ones go together (M2PO, arXiv:2510.01161)
 *
 *     mismatch_normalise  the weights divided by their mean over the trained tokens of the batch
 *                         (verl)
 *
 * Completions sampled by the policy of the step have rho = 1 exactly, because their recorded
 * log-probabilities are the trainer's own; then nothing is computed. Without a mismatch rule the
 * recorded log-probabilities are the denominator of the ratio itself ("bypass" in verl).
 *
 * High entropy (arXiv:2506.01939). The share top_entropy of the batch's trained tokens whose
 * entropy, as sampled, is highest keeps its weight, the others get 0: of n in ascending order,
 * those from number ceil((1 - top_entropy) (n - 1)) on, from 0 (TRL's quantile); equal entropies
 * stay or go together (they stay). The divisors of the loss do not change, as in TRL; the mean of
 * an entropy bonus is taken over the tokens that stay. */
#ifndef ESTIMATOR_TOKEN_WEIGHT_H
#define ESTIMATOR_TOKEN_WEIGHT_H

#include "estimator/algorithm.h"
#include "estimator/batch.h"

struct token_weight_stats { /* sums over trained tokens; divide when printing */
	double tokens, weight;
	double masked;      /* weight 0 by the mismatch rule */
	double low_entropy; /* weight 0 by top_entropy */
	double distance;    /* of logp_rollout - logp_old: an estimate of KL(rollout, old) */
};

int token_weight_needed(const struct algorithm *a, int stale); /* 0: every weight would be 1 */

/* Writes weight, 0 where not trained, and with top_entropy < 1 high; takes them from `a` where they
 * are not there. ADDS to *stats. Reads logp_old and logp_rollout, and with top_entropy < 1 entropy
 * as sampled. Scratch from `a` is released. */
int token_weight_fill(const struct algorithm *alg, struct batch *b, struct arena *a,
                      struct token_weight_stats *stats);

#endif
