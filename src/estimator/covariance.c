#include "estimator/covariance.h"

#include "base/error.h"
#include "base/real.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct covariance_job {
	const struct algorithm *alg;
	const struct batch     *b;
	const float            *logp;
	double                  mean_advantage, mean_logp;
	int                     n; /* trained tokens */
};

static void covariance_means(struct covariance_job *j)
{
	const struct batch *b = j->b;
	double              advantage = 0, logp = 0;

	for (int t = b->offset[0]; t < b->offset[b->n]; t++)
		if (b->trained[t]) {
			advantage += b->advantage[t];
			logp += j->logp[t];
			j->n++;
		}
	j->mean_advantage = j->n ? advantage / j->n : 0;
	j->mean_logp = j->n ? logp / j->n : 0;
}

static double covariance_of(const struct covariance_job *j, int t)
{
	return (j->b->advantage[t] - j->mean_advantage) * (j->logp[t] - j->mean_logp);
}

static int covariance_count(const struct covariance_job *j)
{
	int k = (int)(j->alg->covariance_ratio * j->n);

	return k > 1 ? k : 1;
}

/* Whether the hard clip takes the gradient of the token anyway. */
static int is_clipped(const struct covariance_job *j, int t)
{
	double q;

	if (j->alg->clip != CLIP_HARD)
		return 0;
	q = real_exp((double)j->logp[t] - j->b->logp_old[t]);
	return j->b->advantage[t] > 0 ? q > 1 + j->alg->epsilon_high
	                              : j->b->advantage[t] < 0 && q < 1 - j->alg->epsilon;
}

/* Some of the tokens between the bounds, in a keyed order. */
static int choose_some(const struct covariance_job *j, struct rng_key key, struct arena *a)
{
	const struct batch *b = j->b;
	int                *from, n = 0, k = covariance_count(j);
	uint32_t           *order;

	TRY(arena_take(a, (size_t)j->n, "the tokens to choose from", &from));
	TRY(arena_take(a, (size_t)j->n, "the tokens to choose from", &order));
	for (int t = b->offset[0]; t < b->offset[b->n]; t++) {
		double cov = b->trained[t] ? covariance_of(j, t) : 0;
		if (b->trained[t] && cov > j->alg->covariance_low &&
		    cov < j->alg->covariance_high && !is_clipped(j, t))
			from[n++] = t;
	}
	rng_permutation(key, (uint32_t)n, order);
	for (int i = 0; i < n && i < k; i++)
		b->chosen[from[order[i]]] = 1;
	return OK;
}

static int covariance_descending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

/* The tokens of the largest covariance; equal ones go together. */
static int choose_largest(const struct covariance_job *j, struct arena *a)
{
	const struct batch *b = j->b;
	double             *sorted, least;
	int                 n = 0;

	TRY(arena_take(a, (size_t)j->n, "the covariances of the tokens", &sorted));
	for (int t = b->offset[0]; t < b->offset[b->n]; t++)
		if (b->trained[t])
			sorted[n++] = covariance_of(j, t);
	qsort(sorted, (size_t)n, sizeof *sorted, covariance_descending);
	least = sorted[covariance_count(j) - 1];
	for (int t = b->offset[0]; t < b->offset[b->n]; t++)
		b->chosen[t] = b->trained[t] && covariance_of(j, t) >= least;
	return OK;
}

int covariance_choose(const struct algorithm *alg, const struct batch *b, const float *logp,
                      struct rng_key key, struct arena *a)
{
	struct covariance_job j = {.alg = alg, .b = b, .logp = logp};
	struct arena_mark     mark = arena_mark(a);
	int                   status = OK;

	assert(b->chosen && b->advantage && logp);
	memset(b->chosen + b->offset[0], 0, (size_t)(b->offset[b->n] - b->offset[0]));
	covariance_means(&j);
	if (j.n > 0)
		status = alg->covariance == COVARIANCE_CLIP ? choose_some(&j, key, a)
		                                            : choose_largest(&j, a);
	arena_release(a, mark);
	return status;
}
