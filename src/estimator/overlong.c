#include "estimator/overlong.h"

#include "base/error.h"

#include <assert.h>
#include <math.h>
#include <string.h>

double overlong_penalty(int n, int max, int buffer)
{
	double over = n - (max - buffer);

	assert(buffer > 0 && buffer <= max);
	return over > 0 ? -fmin(over / buffer, 1) : 0;
}

static void shape(const struct algorithm *a, struct batch *b, int row, struct overlong_stats *stats)
{
	int max = a->max_completion_length;
	int buffer = a->overlong_buffer ? a->overlong_buffer : (max + 4) / 5;
	int n = b->offset[row + 1] - b->offset[row];

	if (b->stop[row] == STOP_CONTEXT) /* it ran into a limit as well */
		n = max;
	b->penalty[row] = a->overlong_penalty * overlong_penalty(n, max, buffer);
	b->reward[row] += b->penalty[row];
	stats->shaped += b->penalty[row] != 0;
	stats->penalty += b->penalty[row];
}

static void mask(struct batch *b, int row, struct overlong_stats *stats)
{
	memset(b->trained + b->offset[row], 0, (size_t)(b->offset[row + 1] - b->offset[row]));
	stats->masked++;
}

int overlong_apply(const struct algorithm *a, struct batch *b, struct arena *arena,
                   struct overlong_stats *stats)
{
	TRY(BATCH_TAKE(b, penalty, arena));
	for (int r = 0; r < b->n; r++) {
		b->penalty[r] = 0;
		stats->rows++;
		stats->truncated += b->truncated[r] != 0;
		if (a->overlong == OVERLONG_SHAPE)
			shape(a, b, r, stats);
		if (a->overlong == OVERLONG_MASK && b->truncated[r])
			mask(b, r, stats);
	}
	return OK;
}
