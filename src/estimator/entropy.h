/* entropy.h - a bonus for entropy that comes and goes (Skywork-OR1, arXiv:2505.22312; TRL's
 * use_adaptive_entropy).
 *
 *     e_k    mean entropy of the trained tokens of step k, as sampled
 *     bonus  c_k where e_k <= entropy_target, else 0
 *     c_k+1  c_k + entropy_coef_delta where e_k < entropy_target, c_k - entropy_coef_delta where
 *            it is above; kept in entropy_coef_min .. entropy_coef_max
 *
 * c_0 is loss.entropy_coef. The coefficient is part of a checkpoint. */
#ifndef ESTIMATOR_ENTROPY_H
#define ESTIMATOR_ENTROPY_H

#include "estimator/algorithm.h"
#include "estimator/batch.h"

/* e_k; NaN where no trained token has an entropy. */
double entropy_mean(const struct batch *b);

/* The bonus of a step, and the coefficient of the next one; without use_adaptive_entropy, or with
 * an entropy that is not known, `coef` itself. */
double entropy_bonus(const struct algorithm *a, double coef, double entropy);
double entropy_adapt(const struct algorithm *a, double coef, double entropy);

#endif
