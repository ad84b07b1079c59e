#include "model/sampling.h"

#include "math/elementary.h"
#include "math/rowops.h"

#include <assert.h>
#include <stdlib.h>

static int argmax(const float *z, int V)
{
	int best = 0;

	for (int v = 1; v < V; v++)
		if (z[v] > z[best])
			best = v;
	return best;
}

static int by_falling_p(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->p != y->p)
		return x->p > y->p ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* The candidates that may survive the filters, sorted. A token with p below (1 - top_p) / V cannot
 * belong to the nucleus: all such tokens together weigh less than 1 - top_p. So the sort sees few
 * tokens even of a large vocabulary. */
static int candidates_sorted(const struct sampling *s, const float *z, int V, float lse,
                             struct candidate *c)
{
	float inverse = 1 / s->temperature, bound = 0, largest = 0;
	int   n = 0;

	for (int v = 0; v < V; v++) {
		c[v].p = elementary_exp(z[v] * inverse - lse);
		c[v].id = v;
		largest = c[v].p > largest ? c[v].p : largest;
	}
	if (s->top_k <= 0 && s->top_p < 1)
		bound = (1 - s->top_p) / (float)V * 0.999f; /* a little below: p is rounded */
	if (s->min_p * largest * 0.999f > bound && s->top_k <= 0 && s->top_p >= 1)
		bound = s->min_p * largest * 0.999f;
	for (int v = 0; v < V; v++)
		if (c[v].p >= bound)
			c[n++] = c[v];
	qsort(c, (size_t)n, sizeof *c, by_falling_p);
	return n;
}

static double sum_first(const struct candidate *c, int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += c[i].p;
	return sum;
}

/* How many of the n sorted candidates pass the filters; at least one. */
static int keep(const struct sampling *s, const struct candidate *c, int n)
{
	if (s->top_k > 0 && s->top_k < n)
		n = s->top_k;
	if (s->top_p < 1) {
		double enough = s->top_p * (s->top_k > 0 ? sum_first(c, n) : 1.0), sum = 0;
		int    kept = 0;
		while (kept < n && sum < enough)
			sum += c[kept++].p;
		n = kept > 0 ? kept : 1;
	}
	while (n > 1 && c[n - 1].p < s->min_p * c[0].p)
		n--;
	return n;
}

static int draw_kept(const struct candidate *c, int n, float u)
{
	double threshold = u * sum_first(c, n), sum = 0;

	for (int i = 0; i < n; i++) {
		sum += c[i].p;
		if (sum > threshold)
			return c[i].id;
	}
	return c[n - 1].id;
}

/* The whole distribution, by id, as far as the draw goes. The sum of all p is 1 up to rounding; a u
 * beyond it takes the last token with p > 0. */
static int draw_all(const float *z, int V, float inverse, float lse, float u)
{
	enum { BLOCK = 1024 };
	float  p[BLOCK];
	double sum = 0;
	int    last = 0;

	for (int first = 0; first < V; first += BLOCK) {
		int n = V - first < BLOCK ? V - first : BLOCK;
		for (int i = 0; i < n; i++)
			p[i] = elementary_exp(z[first + i] * inverse - lse);
		for (int i = 0; i < n; i++) {
			if (p[i] > 0)
				last = first + i;
			sum += p[i];
			if (sum > u)
				return last;
		}
	}
	return last;
}

void sampling_draw(const struct sampling *s, const float *z, int V, float u,
                   struct candidate *scratch, struct sampled *out)
{
	int   filtered = s->top_k > 0 || s->top_p < 1 || s->min_p > 0;
	float inverse = s->temperature > 0 ? 1 / s->temperature : 1, lse;

	assert(V > 0 && s->temperature >= 0 && u >= 0 && u < 1);
	assert(s->top_p > 0 && s->top_p <= 1 && s->min_p >= 0 && s->min_p <= 1);
	row_softmax_stats(z, V, inverse, &lse, &out->entropy);
	if (s->temperature == 0) {
		out->token = argmax(z, V);
	} else if (filtered) {
		int n = candidates_sorted(s, z, V, lse, scratch);
		out->token = draw_kept(scratch, keep(s, scratch, n), u);
	} else {
		out->token = draw_all(z, V, inverse, lse, u);
	}
	out->logp = row_logprob(z, out->token, inverse, lse);
}
