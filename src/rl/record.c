#include "rl/record.h"

#include "base/error.h"

#include <math.h>

const char *const span_kind_name[SPAN_KINDS] = {"think", "plan", "answer", "turn", "observation"};

int rollout_generated(const struct rollout *r)
{
	int n = r->n;

	for (int i = 0; i < r->n_spans; i++)
		n -= r->spans[i].kind == SPAN_OBSERVATION ? r->spans[i].count : 0;
	return n;
}

int rows_check(const struct rows *rows)
{
	for (int r = 0; r < rows->n; r++)
		if (rows->offset[r + 1] <= rows->offset[r])
			return error_set(ERR_INPUT,
			                 "answer %d of the batch has no token, not even an end-of-sequence token; "
			                 "drop such answers before they are rewarded",
			                 r);
	return OK;
}

int rows_trained(const struct rows *rows, int row)
{
	int n = 0;

	for (int t = rows->offset[row]; t < rows->offset[row + 1]; t++)
		n += rows->trained[t] != 0;
	return n;
}

int group_accuracy_varies(const struct group *g)
{
	double low = INFINITY, high = -INFINITY;

	for (int i = 0; i < g->n; i++) {
		low = fmin(low, g->rollouts[i].accuracy); /* an unknown one, NaN, is passed over */
		high = fmax(high, g->rollouts[i].accuracy);
	}
	return low < high;
}
