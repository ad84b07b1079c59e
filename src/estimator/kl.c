#include "estimator/kl.h"

#include "base/real.h"

#include <math.h>

double log_ratio_clamp(double x)
{
	const double bound = 20;

	return x > bound ? bound : x < -bound ? -bound : x;
}

struct kl kl_estimate(enum kl_estimator estimator, double logp, double logp_ref)
{
	double    raw = logp_ref - logp, x = log_ratio_clamp(raw);
	struct kl k = {0};

	switch (estimator) {
	case KL_K1:
		k = (struct kl){-x, 1};
		break;
	case KL_K2:
		k = (struct kl){x * x / 2, -x};
		break;
	case KL_K3:
		k = (struct kl){real_expm1(x) - x, -real_expm1(x)};
		break;
	case KL_K3_PLUS:
		k = (struct kl){real_expm1(x) - x, -x};
		break;
	case KL_ABS:
		k = (struct kl){fabs(x), (x < 0) - (x > 0)};
		break;
	}
	if (x != raw)
		k.slope = 0;
	return k;
}

double kl_adapt(const struct algorithm *a, double kl, double n)
{
	if (a->kl_controller != KL_ADAPTIVE || !isfinite(kl))
		return a->beta;
	return a->beta *
	       fmax(0.1, 1 + fmin(fmax(kl / a->kl_target - 1, -0.2), 0.2) * n / a->kl_horizon);
}
