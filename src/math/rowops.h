/* rowops.h - everything a transformer does to a row that is not a matrix product.
 *
 * Each function handles n rows, one thread per row, and sums inside a row in a fixed number of
 * lanes (LANES partial sums, element i goes to lane i mod LANES, lanes combined in a fixed tree):
 * the result depends neither on threads nor on vector width nor on other rows. Every backward is
 * checked against finite differences in tests/test_rowops.c. Functions named *_add add to their
 * output. */
#ifndef MATH_ROWOPS_H
#define MATH_ROWOPS_H

#include <math.h>
#include <stddef.h>

enum { LANES = 16 };

float row_sum(const float *x, int n);
float row_dot(const float *x, const float *y, int n);
void  row_round_bf16(float *x, int n); /* in place, as an operand of a product (bf16.h) */

/* y = (x - m) r (gain + shift), for n rows:
 *
 *     RMSNorm (arXiv:1910.07467)     m = 0,         r = 1 / sqrt(mean(x^2) + eps)
 *     LayerNorm (arXiv:1607.06450)   m = mean(x),   r = 1 / sqrt(mean((x - m)^2) + eps)
 *
 * r [n] is kept for the backward pass (may be NULL). A bias is added by bias_forward. */
struct rownorm {
	int          D;
	const float *gain; /* [D] */
	float        shift;
	int          centred; /* LayerNorm; shift is 0 */
	double       eps;
};
void rownorm_forward(const struct rownorm *m, int n, const float *x, float *y, float *r);
/* dgain [D] = sum over the rows in order (overwritten) */
void rownorm_gradient(const struct rownorm *m, int n, const float *x, const float *r,
                      const float *dy, float *dgain);
/* dx += ..., for n rows */
void rownorm_backward_add(const struct rownorm *m, int n, const float *x, const float *r,
                          const float *dy, float *dx);

/* RMSNorm of queries and keys (qk-norm, arXiv:2302.05442): in each row of x, rows `stride` floats
 * apart, stand q.n groups of q.width, then k.n groups of k.width, and each is normalised by itself
 * and in place. A group is a head (Qwen3, arXiv:2505.09388), or all heads (OLMo 2,
 * arXiv:2501.00656). gain [q.width + k.width]. What they were goes to raw [n x groups' floats] and
 * the factors to r [n x groups], for the backward pass (both may be NULL). */
struct qknorm {
	struct {
		int n, width;
	} q, k;
	size_t       stride;
	const float *gain;
	float        shift;
};
void qknorm_forward(const struct qknorm *q, int n, double eps, float *x, float *raw, float *r);
/* dgain = sum over rows, and in a row over groups, in order (overwritten), from the gradient dy of
 * the output, which lies as x does */
void qknorm_gradient(const struct qknorm *q, int n, const float *raw, const float *r,
                     const float *dy, float *dgain);
/* d in place: from the gradient of the output to that of the input */
void qknorm_backward(const struct qknorm *q, int n, const float *raw, const float *r, float *d);

/* y += bias, for n rows; dbias [D] = sum over the rows of dy in order (overwritten) */
void bias_forward(int n, int D, const float *bias, float *y);
void bias_gradient(int n, int D, const float *dy, float *dbias);

/* a = silu(g) * u from gu [n x 2F] = (g | u) per row */
void swiglu_forward(int n, int F, const float *gu, float *a);
void swiglu_backward(int n, int F, const float *gu, const float *da, float *dgu);
/* a = gelu(g) * u, as above (arXiv:2002.05202) */
void geglu_forward(int n, int F, const float *gu, float *a);
void geglu_backward(int n, int F, const float *gu, const float *da, float *dgu);
/* a = gelu(g) from g [n x F] */
void gelu_forward(int n, int F, const float *g, float *a);
void gelu_backward(int n, int F, const float *g, const float *da, float *dg);

/* Rotary positions (arXiv:2104.09864), half-split pairing (i, i + E/2) as Hugging Face has it.
 * table [n_positions x E]: cos then sin of the position times frequency [E/2]. x points at the
 * first of the heads of row 0. direction +1 rotates, -1 rotates back (the backward pass). */
void rope_table(int n_positions, int E, const float *frequency, float *table);
struct rope_rows {
	int          n, heads, E;
	size_t       stride;   /* floats from row to row */
	const int   *position; /* [n] */
	const float *table;
};
void rope_apply(const struct rope_rows *r, int direction, float *x);

/* z = cap tanh(z / cap) for a row, in place (arXiv:2408.00118); in the other direction the factor
 * of an element, from its capped value */
void                row_cap(float *z, int n, float cap);
static inline float row_cap_slope(float capped, float cap)
{
	float t = capped / cap;

	return fmaf(-t, t, 1.0f);
}

/* One row of logits z[V] divided by the temperature: the log of the sum of exponentials (of
 * z/temperature) and the entropy in nats. Maximum first; sums in double in fixed lanes. The one
 * routine for sampling, old, new and reference passes. */
void row_softmax_stats(const float *z, int V, float inverse_temperature, float *lse,
                       float *entropy);
/* log p of token y under the same row */
float row_logprob(const float *z, int y, float inverse_temperature, float lse);
/* dz_v = inverse_temperature * (c (1[v=y] - p_v) + h (-p_v (log p_v + entropy))), over z in place:
 * c = dL/dlogp, h = dL/dentropy. Where z has gone through row_cap, dz is that of what went in. */
struct row_backward {
	int   y;
	float inverse_temperature, lse, entropy; /* as in the forward pass */
	float c, h;
	float cap; /* of row_cap; 0: none */
};
void row_logprob_backward(float *z, int V, const struct row_backward *d);

#endif
