/* covariance.h - the tokens of an update that move the entropy most (arXiv:2505.22617).
 *
 *     cov_t = (A_t - mean A) (logp_t - mean logp)      means over the trained tokens of the update
 *
 * A step on the score function lowers the entropy by about the mean of these: a token that is
 * likely and praised, or unlikely and blamed, narrows the policy. A few of them do most of it. With
 * N trained tokens and k = max(1, floor(covariance_ratio N)):
 *
 *     clip    of the tokens with covariance_low < cov < covariance_high that the clip leaves a
 *             gradient, k at random (keyed): they lose their gain
 *     kl      those whose cov is at least that of number k from above: covariance_coef |log-ratio|
 *             holds them back
 *
 * logp is under the weights that the update begins with. The statistics are of the whole update,
 * whatever pieces it is computed in; verl takes them over a micro-batch. */
#ifndef ESTIMATOR_COVARIANCE_H
#define ESTIMATOR_COVARIANCE_H

#include "base/rng.h"
#include "estimator/algorithm.h"
#include "estimator/batch.h"

/* Writes chosen, which must be there. Reads trained, advantage, logp, and with a hard clip
 * logp_old. Scratch from `a` is released. */
int covariance_choose(const struct algorithm *alg, const struct batch *b, const float *logp,
                      struct rng_key key, struct arena *a);

#endif
