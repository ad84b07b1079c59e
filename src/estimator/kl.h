/* kl.h - estimators of the divergence from the reference policy, from one sampled token (Schulman,
 * "Approximating KL divergence").
 *
 *     x = logp_ref - logp        k1 = -x        k2 = x^2 / 2        k3 = exp(x) - x - 1
 *
 *     dk1/dlogp = 1              dk2/dlogp = -x                     dk3/dlogp = 1 - exp(x)
 *
 *     abs: |x|, derivative -sign(x), 0 at 0 (verl's name)
 *     k3+: the value of k3 with the derivative of k2 (verl's name)
 *
 * In the loss the three do not estimate the gradient of what they estimate the value of: on policy
 * k1 gives 0, k2 the gradient of KL(policy, reference), k3 that of KL(reference, policy). x is kept
 * in -20 .. 20; beyond, the derivative is 0. */
#ifndef ESTIMATOR_KL_H
#define ESTIMATOR_KL_H

#include "estimator/algorithm.h"

/* -20 .. 20; a NaN stays one (fmin and fmax would swallow it). */
double log_ratio_clamp(double x);

struct kl {
	double value, slope; /* slope = dvalue / dlogp */
};
struct kl kl_estimate(enum kl_estimator estimator, double logp, double logp_ref);

/* The weight of the KL term after n completions whose divergence was kl nats a token (adaptive
 * controller of arXiv:1909.08593), at least a tenth of beta, whatever n is:
 *
 *     beta (1 + clip(kl / kl_target - 1, -0.2, 0.2) n / kl_horizon)
 *
 * With controller fixed, or a kl that is not finite, beta. */
double kl_adapt(const struct algorithm *a, double kl, double n);

#endif
