#include "estimator/token_weight.h"

#include "base/error.h"
#include "estimator/kl.h"
#include "math/real.h"

#include <math.h>
#include <stdlib.h>

struct ratios { /* of one token */
	double token, sequence, mean;
};

static double truncated(double rho, const struct algorithm *a)
{
	return fmin(fmax(rho, a->mismatch_min), a->mismatch_max);
}

static int token_weight_within(double rho, const struct algorithm *a)
{
	return rho >= a->mismatch_min && rho <= a->mismatch_max;
}

static double mismatch_weight(const struct algorithm *a, struct ratios rho)
{
	switch (a->mismatch) {
	case MISMATCH_NONE:
		return 1;
	case MISMATCH_TOKEN_TRUNCATE:
		return truncated(rho.token, a);
	case MISMATCH_TOKEN_MASK:
		return token_weight_within(rho.token, a) ? rho.token : 0;
	case MISMATCH_SEQUENCE_TRUNCATE:
		return truncated(rho.sequence, a);
	case MISMATCH_SEQUENCE_MASK:
		return token_weight_within(rho.sequence, a) ? rho.sequence : 0;
	case MISMATCH_SEQUENCE_MEAN_MASK:
		return token_weight_within(rho.mean, a) ? rho.token : 0;
	}
	return 1;
}

static void fill_row(const struct algorithm *alg, const struct token_weight_batch *b, int row,
                     float *weight, struct token_weight_stats *stats)
{
	int first = b->rows.offset[row], last = b->rows.offset[row + 1],
	    n = rows_trained(&b->rows, row);
	double sum = 0;

	for (int t = first; t < last; t++)
		sum += b->rows.trained[t] ? (double)b->logp_old[t] - b->logp_rollout[t] : 0;
	for (int t = first; t < last; t++) {
		double        d = (double)b->logp_old[t] - b->logp_rollout[t];
		struct ratios rho = {real_exp(log_ratio_clamp(d)), real_exp(log_ratio_clamp(sum)),
		                     real_exp(log_ratio_clamp(sum / n))};

		weight[t] = 0;
		if (!b->rows.trained[t])
			continue;
		weight[t] = (float)mismatch_weight(alg, rho);
		stats->tokens++;
		stats->masked += weight[t] == 0;
		stats->distance -= d;
	}
}

static double token_weight_sum_of(const struct rows *rows, const float *weight)
{
	double sum = 0;

	for (int t = rows->offset[0]; t < rows->offset[rows->n]; t++)
		sum += rows->trained[t] ? (double)weight[t] : 0;
	return sum;
}

static void normalise(const struct rows *rows, double tokens, float *weight)
{
	double mean = token_weight_sum_of(rows, weight) / tokens;

	for (int t = rows->offset[0]; mean > 0 && t < rows->offset[rows->n]; t++)
		weight[t] = (float)(weight[t] / mean);
}

/* ---- entropy ---- */

static int token_weight_ascending(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* The lowest entropy that stays. */
static int threshold(const struct algorithm *alg, const struct token_weight_batch *b,
                     struct arena *a, float *out)
{
	int    T = b->rows.offset[b->rows.n] - b->rows.offset[0], n = 0;
	float *sorted = arena_alloc(a, (size_t)T, sizeof *sorted);

	if (!sorted)
		return ERR_INPUT;
	for (int t = b->rows.offset[0]; t < b->rows.offset[b->rows.n]; t++)
		if (b->rows.trained[t])
			sorted[n++] = b->entropy[t];
	qsort(sorted, (size_t)n, sizeof *sorted, token_weight_ascending);
	*out = n ? sorted[(int)ceil((1 - alg->top_entropy) * (n - 1))] : 0;
	return OK;
}

static int keep_top_entropy(const struct algorithm *alg, const struct token_weight_batch *b,
                            struct arena *a, float *weight, unsigned char *high,
                            struct token_weight_stats *stats)
{
	struct arena_mark mark = arena_mark(a);
	float             lowest;

	TRY(threshold(alg, b, a, &lowest));
	for (int t = b->rows.offset[0]; t < b->rows.offset[b->rows.n]; t++) {
		high[t] = b->rows.trained[t] && b->entropy[t] >= lowest;
		if (!high[t])
			weight[t] = 0;
		stats->low_entropy += b->rows.trained[t] && !high[t];
	}
	arena_release(a, mark);
	return OK;
}

int token_weight_needed(const struct algorithm *a, int stale)
{
	return (stale && a->mismatch != MISMATCH_NONE) || a->top_entropy < 1;
}

int token_weight_fill(const struct algorithm *alg, const struct token_weight_batch *b,
                      struct arena *a, float *weight, unsigned char *high,
                      struct token_weight_stats *stats)
{
	double before = stats->tokens;

	for (int r = 0; r < b->rows.n; r++)
		fill_row(alg, b, r, weight, stats);
	if (alg->mismatch_normalise)
		normalise(&b->rows, stats->tokens - before, weight);
	if (alg->top_entropy < 1)
		TRY(keep_top_entropy(alg, b, a, weight, high, stats));
	stats->weight += token_weight_sum_of(&b->rows, weight);
	return OK;
}
