#include "math/statistics.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct statistics_mean statistics_mean(const double *x, int n)
{
	struct statistics_mean m = {.n = n, .mean = NAN, .deviation = NAN, .error = NAN};
	double                 sum = 0, square = 0;

	for (int i = 0; i < n; i++)
		sum += x[i];
	if (n > 0)
		m.mean = sum / n;
	for (int i = 0; i < n; i++)
		square += (x[i] - m.mean) * (x[i] - m.mean);
	if (n > 1) {
		m.deviation = sqrt(square / (n - 1));
		m.error = m.deviation / sqrt(n);
	}
	return m;
}

/* ---- Student's t ---- */

/* P(|T| < t): with u = atan(t / sqrt(df)), a sum of powers of cos u. */
static double t_within(int df, double t)
{
	double u = atan(t / sqrt(df)), c = cos(u), term = df % 2 ? c : 1, sum = 0;

	for (int k = df % 2 ? 3 : 2; k <= df; k += 2) {
		sum += term;
		term *= c * c * (k - 1) / k;
	}
	return df % 2 ? 2 / M_PI * (u + sin(u) * sum) : sin(u) * sum;
}

double statistics_t_quantile(int df, double p)
{
	double low = 0, high = 1, within = fabs(2 * p - 1);

	assert(df >= 1 && p > 0 && p < 1);
	while (t_within(df, high) < within && high < 1e100)
		high *= 2;
	for (int i = 0; i < 200; i++) {
		double middle = low + (high - low) / 2;
		if (t_within(df, middle) < within)
			low = middle;
		else
			high = middle;
	}
	return p < 0.5 ? -high : high;
}

double statistics_t_beyond(int df, double t)
{
	return fmin(1, fmax(0, 1 - t_within(df, fabs(t))));
}

struct statistics_interval statistics_t_interval(const double *x, int n, double level)
{
	struct statistics_mean m = statistics_mean(x, n);
	double half = n > 1 ? statistics_t_quantile(n - 1, (1 + level) / 2) * m.error : NAN;

	return (struct statistics_interval){m.mean - half, m.mean + half};
}

/* ---- bootstrap ---- */

static int compare_reals(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Between two values on a straight line. */
static double quantile(const double *sorted, int n, double p)
{
	double at = p * (n - 1);
	int    i = (int)at;

	return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

int statistics_bootstrap(const double *x, int n, struct statistics_interval *at_90,
                         struct statistics_interval *at_95)
{
	enum { B = STATISTICS_RESAMPLES };
	double *mean;

	assert(n >= 1 && n <= STATISTICS_VALUES_MAX);
	TRY(mem_take(B, "bootstrap", &mean));
	for (int k = 0; k < B; k++) {
		double   sum = 0;
		uint32_t bits[4];
		for (int i = 0; i < n; i++) {
			if (i % 4 == 0)
				rng_bits((struct rng_key){0, RNG_BOOTSTRAP, (uint32_t)k, 0, 0},
				         (uint32_t)i / 4, bits);
			sum += x[(uint64_t)bits[i % 4] * (uint64_t)n >> 32];
		}
		mean[k] = sum / n;
	}
	qsort(mean, B, sizeof *mean, compare_reals);
	*at_90 = (struct statistics_interval){quantile(mean, B, 0.05), quantile(mean, B, 0.95)};
	*at_95 = (struct statistics_interval){quantile(mean, B, 0.025), quantile(mean, B, 0.975)};
	mem_free(mean);
	return OK;
}

/* ---- pairs ---- */

/* 1 above 0, -1 below, 0 when it holds 0 or is unknown. */
static int side(struct statistics_interval i)
{
	return (i.low > 0) - (i.high < 0);
}

static enum statistics_verdict statistics_judge(const struct statistics_pairs *p)
{
	int n = p->difference.n, sign = side(p->at_90);

	if (n < STATISTICS_SEEDS_MIN)
		return VERDICT_TOO_FEW;
	if (sign == 0 || (n >= STATISTICS_BOOTSTRAP_MIN && side(p->resampled) != sign))
		return VERDICT_NOT_SHOWN;
	return sign > 0 ? VERDICT_ABOVE : VERDICT_BELOW;
}

/* Differences that are all the same leave no doubt, unless they are 0. */
static double statistics_p_of(const struct statistics_mean *d)
{
	if (d->n < 2)
		return NAN;
	if (!(d->error > 0))
		return d->mean == 0 ? 1 : 0;
	return statistics_t_beyond(d->n - 1, d->mean / d->error);
}

/* How many of p are at least as small as p[i], those before it among equals; -1: it is NaN. */
static int statistics_rank(const double *p, int n, int i)
{
	int rank = 0;

	if (isnan(p[i]))
		return -1;
	for (int k = 0; k < n; k++)
		rank += p[k] < p[i] || (p[k] == p[i] && k < i);
	return rank;
}

void statistics_holm(const double *p, int n, double *adjusted)
{
	int m = 0;

	for (int i = 0; i < n; i++)
		m += !isnan(p[i]);
	for (int i = 0; i < n; i++) {
		int own = statistics_rank(p, n, i);
		adjusted[i] = own < 0 ? NAN : 0;
		for (int k = 0; k < n && own >= 0; k++) {
			int rank = statistics_rank(p, n, k);
			if (rank >= 0 && rank <= own)
				adjusted[i] = fmax(adjusted[i], fmin(1, (m - rank) * p[k]));
		}
	}
}

int statistics_pairs(const double *a, const double *b, int n, struct statistics_pairs *out)
{
	double                    *d;
	struct statistics_interval at_95;
	int                        status = OK;

	TRY(mem_take((size_t)n, "paired differences", &d));
	*out = (struct statistics_pairs){.resampled = {NAN, NAN}};
	for (int i = 0; i < n; i++) {
		d[i] = a[i] - b[i];
		out->positive += d[i] > 0;
		out->negative += d[i] < 0;
	}
	out->difference = statistics_mean(d, n);
	out->at_90 = statistics_t_interval(d, n, 0.9);
	out->at_95 = statistics_t_interval(d, n, 0.95);
	if (n >= STATISTICS_BOOTSTRAP_MIN)
		status = statistics_bootstrap(d, n, &out->resampled, &at_95);
	out->verdict = statistics_judge(out);
	out->p = statistics_p_of(&out->difference);
	mem_free(d);
	return status;
}
