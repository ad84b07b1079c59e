#include "estimator/resample.h"

#include "base/real.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct reward_range {
	double low, high;
};

static struct reward_range range_of(const struct batch *b)
{
	struct reward_range r = {INFINITY, -INFINITY};

	for (int i = 0; i < b->n; i++)
		if (isfinite(b->reward[i])) {
			r.low = fmin(r.low, b->reward[i]);
			r.high = fmax(r.high, b->reward[i]);
		}
	return r;
}

static double resample_weight(const struct algorithm *a, double reward, struct reward_range r)
{
	const double least = 1e-8;

	if (!isfinite(reward))
		return 0;
	switch (a->resample) {
	case RESAMPLING_NONE:
		return 1;
	case RESAMPLING_POWER:
		return least + real_pow(fabs(reward), a->resample_power);
	case RESAMPLING_EXTREMES:
		return least + (reward == r.low || reward == r.high);
	case RESAMPLING_BEST:
		return least + (reward == r.high ? 0.4 : 0.1);
	}
	return 1;
}

static int resample_ascending(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* The row in which the sum of the weights passes `at`; at most the last with a weight. */
static int row_at(const struct algorithm *a, const struct batch *b, struct reward_range r,
                  double at)
{
	double sum = 0;
	int    last = 0;

	for (int i = 0; i < b->n; i++) {
		double w = resample_weight(a, b->reward[i], r);
		if (w == 0)
			continue;
		sum += w;
		last = i;
		if (at < sum)
			break;
	}
	return last;
}

void resample_rows(const struct algorithm *a, const struct batch *b, struct rng_key key, int *rows)
{
	struct reward_range r = range_of(b);
	double              total = 0;

	assert(b->reward);
	for (int i = 0; i < b->n; i++)
		total += resample_weight(a, b->reward[i], r);
	for (int i = 0; i < b->n; i++)
		rows[i] = row_at(a, b, r, total * rng_double(key, (uint32_t)i));
	qsort(rows, (size_t)b->n, sizeof *rows, resample_ascending);
}
