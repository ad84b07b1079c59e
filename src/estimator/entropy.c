#include "estimator/entropy.h"

#include <math.h>

double entropy_mean(const struct batch *b)
{
	double sum = 0, n = 0;

	for (int t = 0; b->entropy && t < b->offset[b->n]; t++)
		if (b->trained[t]) {
			sum += (double)b->entropy[t];
			n++;
		}
	return n > 0 ? sum / n : NAN;
}

double entropy_bonus(const struct algorithm *a, double coef, double entropy)
{
	return a->use_adaptive_entropy && entropy > a->entropy_target ? 0 : coef;
}

double entropy_adapt(const struct algorithm *a, double coef, double entropy)
{
	if (!a->use_adaptive_entropy || !isfinite(entropy))
		return coef;
	if (entropy < a->entropy_target)
		coef += a->entropy_coef_delta;
	if (entropy > a->entropy_target)
		coef -= a->entropy_coef_delta;
	return fmin(fmax(coef, a->entropy_coef_min), a->entropy_coef_max);
}
