#include "estimator/token_weight.h"

#include "base/error.h"
#include "base/real.h"
#include "estimator/kl.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct ratios { /* of one token: rho_t, and rho and its mean over the completion */
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

/* The weight of a token by the table of the header. */
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
	case MISMATCH_SECOND_MOMENT:
		return rho.token; /* which tokens stay is a question of the batch: see below */
	}
	return 1;
}

/* The weights of one row. Without logp_rollout nothing is stale: rho is 1. */
static void fill_row(const struct algorithm *alg, struct batch *b, int row,
                     struct token_weight_stats *stats)
{
	const float *old = b->logp_old, *rollout = b->logp_rollout ? b->logp_rollout : old;
	int          first = b->offset[row], last = b->offset[row + 1], n = batch_trained(b, row);
	double       sum = 0;

	for (int t = first; t < last; t++)
		sum += b->trained[t] ? (double)old[t] - rollout[t] : 0;
	for (int t = first; t < last; t++) {
		double        d = (double)old[t] - rollout[t];
		struct ratios rho = {real_exp(log_ratio_clamp(d)), real_exp(log_ratio_clamp(sum)),
		                     real_exp(log_ratio_clamp(sum / n))};

		b->weight[t] = 0;
		if (!b->trained[t])
			continue;
		b->weight[t] = (float)mismatch_weight(alg, rho);
		stats->tokens++;
		stats->masked += b->weight[t] == 0;
		stats->distance -= d;
	}
}

static double token_weight_sum(const struct batch *b)
{
	double sum = 0;

	for (int t = b->offset[0]; t < b->offset[b->n]; t++)
		sum += b->trained[t] ? (double)b->weight[t] : 0;
	return sum;
}

static void normalise(struct batch *b, double tokens)
{
	double mean = token_weight_sum(b) / tokens;

	for (int t = b->offset[0]; mean > 0 && t < b->offset[b->n]; t++)
		b->weight[t] = (float)(b->weight[t] / mean);
}

/* ---- the second moment ---- */

static double log_rho_square(const struct batch *b, int t)
{
	double d = b->logp_rollout ? (double)b->logp_old[t] - b->logp_rollout[t] : 0;

	return d * d;
}

static int token_weight_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The least square that goes: n squares in ascending order, of which as many stay as have a mean
 * below the bound. */
static double least_outlier(double *square, int n, double bound)
{
	double sum = 0;
	int    stay = 0;

	qsort(square, (size_t)n, sizeof *square, token_weight_doubles);
	for (int i = 0; i < n; i++) {
		sum += square[i];
		if (sum / (i + 1) < bound)
			stay = i + 1;
	}
	return stay < n ? square[stay] : INFINITY;
}

static int mask_outliers(const struct algorithm *alg, struct batch *b, struct arena *a,
                         struct token_weight_stats *stats)
{
	struct arena_mark mark = arena_mark(a);
	int               n = 0;
	double           *square, least;

	TRY(arena_take(a, (size_t)(b->offset[b->n] - b->offset[0]), "squares of the log-ratios",
	               &square));
	for (int t = b->offset[0]; t < b->offset[b->n]; t++)
		if (b->trained[t])
			square[n++] = log_rho_square(b, t);
	least = least_outlier(square, n, alg->mismatch_moment);
	for (int t = b->offset[0]; t < b->offset[b->n]; t++)
		if (b->trained[t] && log_rho_square(b, t) >= least) {
			b->weight[t] = 0;
			stats->masked++;
		}
	arena_release(a, mark);
	return OK;
}

/* ---- entropy ---- */

static int token_weight_ascending(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* The lowest entropy that stays: number ceil((1 - top_entropy) (n - 1)) of n in ascending order. */
static int threshold(const struct algorithm *alg, const struct batch *b, struct arena *a,
                     float *out)
{
	int    T = b->offset[b->n] - b->offset[0], n = 0;
	float *sorted;

	TRY(arena_take(a, (size_t)T, "the entropies of the batch", &sorted));
	for (int t = b->offset[0]; t < b->offset[b->n]; t++)
		if (b->trained[t])
			sorted[n++] = b->entropy[t];
	qsort(sorted, (size_t)n, sizeof *sorted, token_weight_ascending);
	*out = n ? sorted[(int)ceil((1 - alg->top_entropy) * (n - 1))] : 0;
	return OK;
}

/* Marks the tokens of high entropy; the others weigh 0. */
static int keep_top_entropy(const struct algorithm *alg, struct batch *b, struct arena *a,
                            struct token_weight_stats *stats)
{
	struct arena_mark mark = arena_mark(a);
	float             lowest;

	TRY(threshold(alg, b, a, &lowest));
	for (int t = b->offset[0]; t < b->offset[b->n]; t++) {
		b->high[t] = b->trained[t] && b->entropy[t] >= lowest;
		if (!b->high[t])
			b->weight[t] = 0;
		stats->low_entropy += b->trained[t] && !b->high[t];
	}
	arena_release(a, mark);
	return OK;
}

int token_weight_needed(const struct algorithm *a, int stale)
{
	return (stale && a->mismatch != MISMATCH_NONE) || a->top_entropy < 1;
}

int token_weight_fill(const struct algorithm *alg, struct batch *b, struct arena *a,
                      struct token_weight_stats *stats)
{
	double before = stats->tokens;

	assert(alg->top_entropy > 0 && alg->top_entropy <= 1);
	assert(alg->mismatch == MISMATCH_NONE || alg->mismatch_min <= alg->mismatch_max);
	TRY(BATCH_TAKE(b, weight, a));
	if (alg->top_entropy < 1)
		TRY(BATCH_TAKE(b, high, a));
	for (int r = 0; r < b->n; r++)
		fill_row(alg, b, r, stats);
	if (alg->mismatch == MISMATCH_SECOND_MOMENT)
		TRY(mask_outliers(alg, b, a, stats));
	if (alg->mismatch_normalise)
		normalise(b, stats->tokens - before);
	if (alg->top_entropy < 1)
		TRY(keep_top_entropy(alg, b, a, stats));
	stats->weight += token_weight_sum(b);
	return OK;
}
