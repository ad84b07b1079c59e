/* elementary.h - exp, log, sigmoid, silu, tanh and gelu for floats, the same bits on every CPU with
 * fused multiply-add.
 *
 * libm picks other code on other CPUs and cannot be vectorised; these are polynomials whose every
 * rounding is written down (an fma stands where it is meant), without branches, so that gcc and
 * clang vectorise a loop around them. Bounds, in units in the last place of the correctly rounded
 * result, over all floats (a dense sample of them is checked against double libm in
 * tests/test_elementary.c):
 *
 *     exp       1.0 ulp    x < -87.33 gives 0, x > 88.72 gives infinity: never a denormal
 *     log       1.0 ulp    0, and denormals, which count as 0: -infinity; negative: NaN
 *     sigmoid   2.5 ulp    x < -87.33: a denormal, which threads_set() makes 0, or 0
 *     silu      3.0 ulp    x sigmoid(x)
 *     tanh      2.0 ulp
 *     gelu      7.0 ulp    x > -2, below that 4e-8 absolutely: x sigmoid(2 u), u = sqrt(2/pi) (x +
 *                          0.044715 x^3), which is x (1 + tanh(u)) / 2 (arXiv:1606.08415)
 *
 * NaN gives NaN. Infinities give their limits, but for silu and gelu of -infinity, which are NaN:
 * an infinite activation shall not pass for a number. */
#ifndef MATH_ELEMENTARY_H
#define MATH_ELEMENTARY_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t elementary_bits(float x)
{
	uint32_t u;

	memcpy(&u, &x, sizeof u);
	return u;
}

static inline float elementary_float(uint32_t u)
{
	float x;

	memcpy(&x, &u, sizeof x);
	return x;
}

/* x = n ln 2 + r with |r| <= ln(2)/2:  exp(x) = 2^n (1 + r + r^2 q(r)),  q a minimax polynomial,
 * relative error 3e-9. */
static inline float elementary_exp(float x)
{
	/* adding it rounds to an integer, which then stands in the low bits */
	const float rounder = 0x1.8p23f;
	float       t = fmaf(x, 0x1.715476p0f, rounder);
	float       n = t - rounder;
	/* ln 2 rounded to float, then what that left out */
	float r = fmaf(n, -0x1.62e430p-1f, x);
	float q, y;

	r = fmaf(n, 1.90465430e-9f, r);
	q = fmaf(0.00138144672f, r, 0.00836878084f);
	q = fmaf(q, r, 0.0416683927f);
	q = fmaf(q, r, 0.166665196f);
	q = fmaf(q, r, 0.49999994f);
	y = 1.0f + fmaf(q, r * r, r);
	y = elementary_float(elementary_bits(y) + (elementary_bits(t) << 23)); /* times 2^n */
	y = x < -87.33f ? 0.0f : y;
	y = x > 88.72283f ? INFINITY : y;
	return x != x ? x : y;
}

/* x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2):  log(x) = e ln 2 + f - f^2/2 + f^3 p(f),  p
 * minimax, relative error 8e-10. */
static inline float elementary_log(float x)
{
	const uint32_t root_half = 0x3f3504f3; /* bits of sqrt(1/2) */
	uint32_t       u = elementary_bits(x) - root_half;
	float          e = (float)((int32_t)u >> 23);
	float          f = elementary_float((u & 0x7fffff) + root_half) - 1.0f;
	float          p, y;

	p = fmaf(0.0674664453f, f, -0.116756573f);
	p = fmaf(p, f, 0.118881635f);
	p = fmaf(p, f, -0.124055885f);
	p = fmaf(p, f, 0.142195523f);
	p = fmaf(p, f, -0.166679963f);
	p = fmaf(p, f, 0.200021192f);
	p = fmaf(p, f, -0.250000089f);
	p = fmaf(p, f, 0.333333135f);
	y = fmaf(fmaf(p, f, -0.5f), f * f, f);
	y = fmaf(e, -1.90465430e-9f, y);
	y = fmaf(e, 0x1.62e430p-1f, y);
	y = x < 0x1p-126f ? -INFINITY : y;
	y = x <= -0x1p-126f ? NAN : y;
	y = x == INFINITY ? INFINITY : y;
	return x != x ? x : y;
}

static inline float elementary_sigmoid(float x)
{
	return 1.0f / (1.0f + elementary_exp(-x));
}

static inline float elementary_silu(float x)
{
	return x * elementary_sigmoid(x);
}

/* |x| < 0.6:  tanh(x) = x + x^3 p(x^2),  p minimax, relative error 3e-9;  else 1 - 2 / (exp(2 |x|)
 * + 1) with the sign of x. */
static inline float elementary_tanh(float x)
{
	float a = fabsf(x), square = x * x, p, y;

	p = fmaf(-0.0059058671f, square, 0.020805383f);
	p = fmaf(p, square, -0.0537866838f);
	p = fmaf(p, square, 0.133319587f);
	p = fmaf(p, square, -0.333332986f);
	p = fmaf(p * square, x, x);
	y = 1.0f - 2.0f / (elementary_exp(2.0f * a) + 1.0f);
	y = x < 0 ? -y : y;
	return a < 0.6f ? p : y;
}

/* 2 u of gelu, and its derivative */
static inline float elementary_gelu_inner(float x)
{
	return 1.59576912f * fmaf(0.044715f * x * x, x, x);
}

static inline float elementary_gelu_inner_slope(float x)
{
	return 1.59576912f * fmaf(0.134145f * x, x, 1.0f);
}

static inline float elementary_gelu(float x)
{
	return x * elementary_sigmoid(elementary_gelu_inner(x));
}

/* With s = sigmoid(v(x)):  (x s)' = s + x s (1 - s) v'(x) */
static inline float elementary_gelu_slope(float x)
{
	float s = elementary_sigmoid(elementary_gelu_inner(x));

	return fmaf(x * elementary_gelu_inner_slope(x), s * (1.0f - s), s);
}

#endif
