#include "math/rowops.h"

#include "base/real.h"
#include "math/bf16.h"
#include "math/elementary.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- sums in lanes ---- */

/* The fixed tree: 16 -> 8 -> 4 -> 2 -> 1, lane l with lane l + width. */
static float tree(float *lane)
{
	for (int width = LANES / 2; width > 0; width /= 2)
		for (int l = 0; l < width; l++)
			lane[l] += lane[l + width];
	return lane[0];
}

static double tree_double(double *lane)
{
	for (int width = LANES / 2; width > 0; width /= 2)
		for (int l = 0; l < width; l++)
			lane[l] += lane[l + width];
	return lane[0];
}

float row_sum(const float *x, int n)
{
	float lane[LANES] = {0};
	int   i = 0;

	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++)
			lane[l] += x[i + l];
	for (int l = 0; i + l < n; l++)
		lane[l] += x[i + l];
	return tree(lane);
}

float row_dot(const float *x, const float *y, int n)
{
	float lane[LANES] = {0};
	int   i = 0;

	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++)
			lane[l] = fmaf(x[i + l], y[i + l], lane[l]);
	for (int l = 0; i + l < n; l++)
		lane[l] = fmaf(x[i + l], y[i + l], lane[l]);
	return tree(lane);
}

void row_round_bf16(float *x, int n)
{
	for (int i = 0; i < n; i++)
		x[i] = bf16_widen(bf16_operand(x[i]));
}

/* ---- norms ---- */

/* 1 / sqrt(mean of (x - m)^2 + eps) */
static float norm_factor(const float *x, float m, int n, double eps)
{
	float lane[LANES] = {0};
	int   i = 0;

	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++)
			lane[l] = fmaf(x[i + l] - m, x[i + l] - m, lane[l]);
	for (int l = 0; i + l < n; l++)
		lane[l] = fmaf(x[i + l] - m, x[i + l] - m, lane[l]);
	return (float)(1 / sqrt((double)tree(lane) / n + eps));
}

/* sum of (dy (gain + shift)) (x - m) */
static float norm_pull(const float *dy, const float *gain, float shift, const float *x, float m,
                       int n)
{
	float lane[LANES] = {0};
	int   i = 0;

	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++)
			lane[l] = fmaf(dy[i + l] * (gain[i + l] + shift), x[i + l] - m, lane[l]);
	for (int l = 0; i + l < n; l++)
		lane[l] = fmaf(dy[i + l] * (gain[i + l] + shift), x[i + l] - m, lane[l]);
	return tree(lane);
}

static float norm_mean(const struct rownorm *m, const float *x)
{
	return m->centred ? row_sum(x, m->D) / (float)m->D : 0;
}

void rownorm_forward(const struct rownorm *m, int n, const float *x, float *y, float *r)
{
	const float *gain = m->gain;
	const float  shift = m->shift;
	double       eps = m->eps;
	int          D = m->D;

	assert(!m->centred || shift == 0);
#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++) {
		const float *xt = x + (size_t)t * (size_t)D;
		float       *yt = y + (size_t)t * (size_t)D, mean = norm_mean(m, xt);
		float        factor = norm_factor(xt, mean, D, eps);
		for (int i = 0; i < D; i++)
			yt[i] = (xt[i] - mean) * factor * (gain[i] + shift);
		if (r)
			r[t] = factor;
	}
}

/* With g_i = (gain_i + shift) dy_i and x_i less their mean:
 * dx_i = r g_i - x_i (r^3 / D) sum_j g_j x_j, and where x is centred, less r mean(g) */
void rownorm_backward_add(const struct rownorm *m, int n, const float *x, const float *r,
                          const float *dy, float *dx)
{
	const float *gain = m->gain;
	const float  shift = m->shift;
	int          D = m->D;

#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++) {
		const float *xt = x + (size_t)t * (size_t)D, *dyt = dy + (size_t)t * (size_t)D;
		float *restrict dxt = dx + (size_t)t * (size_t)D;
		float mean = norm_mean(m, xt), factor = r[t],
		      pull = factor * factor * factor / (float)D *
		             norm_pull(dyt, gain, shift, xt, mean, D);
		for (int i = 0; i < D; i++)
			dxt[i] += fmaf(-pull, xt[i] - mean, factor * (gain[i] + shift) * dyt[i]);
		if (m->centred) {
			float level = factor / (float)D * row_dot(dyt, gain, D);
			for (int i = 0; i < D; i++)
				dxt[i] -= level;
		}
	}
}

enum { COLUMNS = 64 }; /* of a gradient that one thread sums over all rows */

void rownorm_gradient(const struct rownorm *m, int n, const float *x, const float *r,
                      const float *dy, float *dgain)
{
	int D = m->D;

#pragma omp parallel for schedule(static) if (D > COLUMNS)
	for (int first = 0; first < D; first += COLUMNS) {
		int   count = D - first < COLUMNS ? D - first : COLUMNS;
		float sum[COLUMNS] = {0};
		for (int t = 0; t < n; t++) {
			const float *xt = x + (size_t)t * (size_t)D,
			            *dyt = dy + (size_t)t * (size_t)D + first;
			float mean = norm_mean(m, xt);
			for (int i = 0; i < count; i++)
				sum[i] = fmaf(dyt[i], (xt[first + i] - mean) * r[t], sum[i]);
		}
		for (int i = 0; i < count; i++)
			dgain[first + i] = sum[i];
	}
}

/* ---- RMSNorm of queries and keys ---- */

struct norm_group { /* one of a row's */
	int    width;
	size_t at;   /* in the row; the groups stand one behind the other */
	size_t gain; /* of its first element */
};

static struct norm_group group_of(const struct qknorm *q, int i)
{
	size_t queries = (size_t)q->q.n * (size_t)q->q.width;

	if (i < q->q.n)
		return (struct norm_group){q->q.width, (size_t)i * (size_t)q->q.width, 0};
	return (struct norm_group){q->k.width, queries + (size_t)(i - q->q.n) * (size_t)q->k.width,
	                           (size_t)q->q.width};
}

static int groups_in(const struct qknorm *q)
{
	return q->q.n + q->k.n;
}

/* floats of a row that are normalised */
static size_t normed_in(const struct qknorm *q)
{
	return (size_t)q->q.n * (size_t)q->q.width + (size_t)q->k.n * (size_t)q->k.width;
}

void qknorm_forward(const struct qknorm *q, int n, double eps, float *x, float *raw, float *r)
{
	int    groups = groups_in(q);
	size_t floats = normed_in(q);

#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++) {
		float *row = x + (size_t)t * q->stride;
		if (raw)
			memcpy(raw + (size_t)t * floats, row, floats * sizeof *row);
		for (int h = 0; h < groups; h++) {
			struct norm_group g = group_of(q, h);
			float       *xh = row + g.at, factor = norm_factor(xh, 0, g.width, eps);
			const float *gain = q->gain + g.gain;
			if (raw)
				r[(size_t)t * (size_t)groups + (size_t)h] = factor;
			for (int i = 0; i < g.width; i++)
				xh[i] = xh[i] * factor * (gain[i] + q->shift);
		}
	}
}

void qknorm_gradient(const struct qknorm *q, int n, const float *raw, const float *r,
                     const float *dy, float *dgain)
{
	int    groups = groups_in(q);
	size_t floats = normed_in(q);

#pragma omp parallel for schedule(static)
	for (int part = 0; part < 2; part++) { /* the queries' gain, the keys' */
		int first = part ? q->q.n : 0, end = part ? groups : q->q.n,
		    width = part ? q->k.width : q->q.width;
		float *restrict sum = dgain + (part ? q->q.width : 0);
		memset(sum, 0, (size_t)width * sizeof *sum);
		for (int t = 0; t < n; t++) {
			for (int h = first; h < end; h++) {
				size_t       at = group_of(q, h).at;
				const float *x = raw + (size_t)t * floats + at,
				            *d = dy + (size_t)t * q->stride + at;
				float factor = r[(size_t)t * (size_t)groups + (size_t)h];
				for (int i = 0; i < width; i++)
					sum[i] = fmaf(d[i], x[i] * factor, sum[i]);
			}
		}
	}
}

/* The formula of rownorm_backward_add. */
void qknorm_backward(const struct qknorm *q, int n, const float *raw, const float *r, float *d)
{
	int    groups = groups_in(q);
	size_t floats = normed_in(q);

#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++) {
		for (int h = 0; h < groups; h++) {
			struct norm_group g = group_of(q, h);
			const float *x = raw + (size_t)t * floats + g.at, *gain = q->gain + g.gain;
			float       *dh = d + (size_t)t * q->stride + g.at, shift = q->shift,
			      factor = r[(size_t)t * (size_t)groups + (size_t)h];
			float pull = factor * factor * factor / (float)g.width *
			             norm_pull(dh, gain, shift, x, 0, g.width);
			for (int i = 0; i < g.width; i++)
				dh[i] = fmaf(-pull, x[i], factor * (gain[i] + shift) * dh[i]);
		}
	}
}

/* ---- biases ---- */

void bias_forward(int n, int D, const float *bias, float *y)
{
#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++) {
		float *restrict yt = y + (size_t)t * (size_t)D;
		for (int i = 0; i < D; i++)
			yt[i] += bias[i];
	}
}

void bias_gradient(int n, int D, const float *dy, float *dbias)
{
#pragma omp parallel for schedule(static) if (D > COLUMNS)
	for (int first = 0; first < D; first += COLUMNS) {
		int   count = D - first < COLUMNS ? D - first : COLUMNS;
		float sum[COLUMNS] = {0};
		for (int t = 0; t < n; t++)
			for (int i = 0; i < count; i++)
				sum[i] += dy[(size_t)t * (size_t)D + (size_t)(first + i)];
		for (int i = 0; i < count; i++)
			dbias[first + i] = sum[i];
	}
}

/* ---- SwiGLU ---- */

void swiglu_forward(int n, int F, const float *gu, float *a)
{
#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++) {
		const float *g = gu + (size_t)t * 2 * (size_t)F, *u = g + F;
		float *restrict at = a + (size_t)t * (size_t)F;
		for (int i = 0; i < F; i++)
			at[i] = elementary_silu(g[i]) * u[i];
	}
}

/* With s = sigmoid(g):  silu'(g) = s (1 + g (1 - s)) */
void swiglu_backward(int n, int F, const float *gu, const float *da, float *dgu)
{
#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++) {
		const float *g = gu + (size_t)t * 2 * (size_t)F, *u = g + F,
		            *dat = da + (size_t)t * (size_t)F;
		float *restrict dg = dgu + (size_t)t * 2 * (size_t)F, *restrict du = dg + F;
		for (int i = 0; i < F; i++) {
			float s = elementary_sigmoid(g[i]);
			dg[i] = dat[i] * u[i] * s * fmaf(g[i], 1.0f - s, 1.0f);
			du[i] = dat[i] * g[i] * s;
		}
	}
}

/* ---- GELU, with a gate and without ---- */

void geglu_forward(int n, int F, const float *gu, float *a)
{
#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++) {
		const float *g = gu + (size_t)t * 2 * (size_t)F, *u = g + F;
		float *restrict at = a + (size_t)t * (size_t)F;
		for (int i = 0; i < F; i++)
			at[i] = elementary_gelu(g[i]) * u[i];
	}
}

void geglu_backward(int n, int F, const float *gu, const float *da, float *dgu)
{
#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++) {
		const float *g = gu + (size_t)t * 2 * (size_t)F, *u = g + F,
		            *dat = da + (size_t)t * (size_t)F;
		float *restrict dg = dgu + (size_t)t * 2 * (size_t)F, *restrict du = dg + F;
		for (int i = 0; i < F; i++) {
			dg[i] = dat[i] * u[i] * elementary_gelu_slope(g[i]);
			du[i] = dat[i] * elementary_gelu(g[i]);
		}
	}
}

void gelu_forward(int n, int F, const float *g, float *a)
{
#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++)
		for (size_t i = (size_t)t * (size_t)F; i < (size_t)(t + 1) * (size_t)F; i++)
			a[i] = elementary_gelu(g[i]);
}

void gelu_backward(int n, int F, const float *g, const float *da, float *dg)
{
#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++)
		for (size_t i = (size_t)t * (size_t)F; i < (size_t)(t + 1) * (size_t)F; i++)
			dg[i] = da[i] * elementary_gelu_slope(g[i]);
}

/* ---- rotary positions ---- */

/* The angle is rounded to float, as in the models' own training code: at position 2000 the angle of
 * the fastest pair moves by up to 6e-5. */
void rope_table(int n_positions, int E, const float *frequency, float *table)
{
	int half = E / 2;

	for (int i = 0; i < half; i++) {
		for (int p = 0; p < n_positions; p++) {
			float angle = (float)p * frequency[i];
			table[(size_t)p * (size_t)E + (size_t)i] = (float)real_cos((double)angle);
			table[(size_t)p * (size_t)E + (size_t)(half + i)] =
			        (float)real_sin((double)angle);
		}
	}
}

static void rowops_rotate(float *restrict x, const float *restrict cosine,
                          const float *restrict sine, int half, float direction)
{
	for (int i = 0; i < half; i++) {
		float a = x[i], b = x[half + i], s = direction * sine[i];
		x[i] = fmaf(a, cosine[i], -(b * s));
		x[half + i] = fmaf(b, cosine[i], a * s);
	}
}

void rope_apply(const struct rope_rows *r, int direction, float *x)
{
	int n = r->n, E = r->E;

	assert(E % 2 == 0 && (direction == 1 || direction == -1));
#pragma omp parallel for schedule(static) if (n > 1)
	for (int t = 0; t < n; t++) {
		const float *row = r->table + (size_t)r->position[t] * (size_t)E;
		for (int h = 0; h < r->heads; h++)
			rowops_rotate(x + (size_t)t * r->stride + (size_t)h * (size_t)E, row,
			              row + E / 2, E / 2, (float)direction);
	}
}

/* ---- softmax over the vocabulary ---- */

void row_cap(float *z, int n, float cap)
{
	for (int i = 0; i < n; i++)
		z[i] = cap * elementary_tanh(z[i] / cap);
}

/* exp() of anything below is 0; a masked logit of -infinity then counts as 0 log 0 = 0. */
static const float log_tiny = -88.0f;

static float row_max(const float *z, int V)
{
	float lane[LANES];
	int   i = 0;

	for (int l = 0; l < LANES; l++)
		lane[l] = -INFINITY;
	for (; i + LANES <= V; i += LANES)
		for (int l = 0; l < LANES; l++)
			lane[l] = z[i + l] > lane[l] ? z[i + l] : lane[l];
	for (int l = 0; i + l < V; l++)
		lane[l] = z[i + l] > lane[l] ? z[i + l] : lane[l];
	for (int l = 1; l < LANES; l++)
		lane[0] = lane[l] > lane[0] ? lane[l] : lane[0];
	return lane[0];
}

struct exp_sums {                   /* over v, with t = (z_v - max) / temperature */
	double e[LANES], et[LANES]; /* of exp(t), of exp(t) t */
};

static inline void add_exp(struct exp_sums *s, int l, float shifted)
{
	float t = shifted < log_tiny ? log_tiny : shifted;
	float e = elementary_exp(t);

	s->e[l] += (double)e;
	s->et[l] = fma((double)e, (double)t, s->et[l]);
}

/* With m the maximum of z / temperature and S = sum_v exp(t_v):  lse = m + log S,  entropy = log S
 * - (sum_v exp(t_v) t_v) / S */
void row_softmax_stats(const float *z, int V, float inverse_temperature, float *lse, float *entropy)
{
	struct exp_sums sums = {{0}, {0}};
	float           max = row_max(z, V);
	int             i = 0;

	for (; i + LANES <= V; i += LANES)
		for (int l = 0; l < LANES; l++)
			add_exp(&sums, l, (z[i + l] - max) * inverse_temperature);
	for (int l = 0; i + l < V; l++)
		add_exp(&sums, l, (z[i + l] - max) * inverse_temperature);

	double sum = tree_double(sums.e), log_sum = (double)elementary_log((float)sum);
	*lse = (float)((double)max * (double)inverse_temperature + log_sum);
	*entropy = (float)(log_sum - tree_double(sums.et) / sum);
}

float row_logprob(const float *z, int y, float inverse_temperature, float lse)
{
	return fmaf(z[y], inverse_temperature, -lse);
}

void row_logprob_backward(float *z, int V, const struct row_backward *d)
{
	const float inverse_temperature = d->inverse_temperature, lse = d->lse,
	            entropy = d->entropy, c = d->c, h = d->h, cap = d->cap,
	            at_y = cap ? row_cap_slope(z[d->y], cap) : 1;

	for (int v = 0; v < V; v++) {
		float slope = cap ? row_cap_slope(z[v], cap) : 1,
		      logp = fmaf(z[v], inverse_temperature, -lse);
		logp = logp < log_tiny ? log_tiny : logp;
		z[v] = -inverse_temperature * elementary_exp(logp) * fmaf(h, logp + entropy, c) *
		       slope;
	}
	z[d->y] = fmaf(inverse_temperature * at_y, c, z[d->y]);
}
