#include "estimator/overlong.h"

#include <math.h>
#include <string.h>

double overlong_penalty(int n, int max, int buffer)
{
	double over = n - (max - buffer);

	return over > 0 ? -fmin(over / buffer, 1) : 0;
}

static void shape(const struct algorithm *a, struct rollout *r, struct overlong_stats *stats)
{
	int max = a->max_completion_length;
	int buffer = a->overlong_buffer ? a->overlong_buffer : (max + 4) / 5;
	/* cut off by the model's positions: it ran into a limit as well */
	int    n = r->stop == STOP_CONTEXT ? max : r->n;
	double penalty = a->overlong_penalty * overlong_penalty(n, max, buffer);

	r->penalty = penalty;
	stats->shaped += penalty != 0;
	stats->penalty += penalty;
}

static void mask(struct rollout *r, struct overlong_stats *stats)
{
	memset(r->trained, 0, (size_t)r->n);
	stats->masked++;
}

void overlong_apply(const struct algorithm *a, struct rollout *r, struct overlong_stats *stats)
{
	stats->rows++;
	stats->truncated += r->truncated != 0;
	if (a->overlong == OVERLONG_SHAPE)
		shape(a, r, stats);
	if (a->overlong == OVERLONG_MASK && r->truncated)
		mask(r, stats);
}
