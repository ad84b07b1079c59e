#include "base/real.h"

#include <math.h>

/* c[0] + c[1] x + ... + c[n-1] x^(n-1), by Horner's rule. */
static double real_polynomial(const double *c, int n, double x)
{
	double sum = c[n - 1];

	for (int i = n - 2; i >= 0; i--)
		sum = fma(sum, x, c[i]);
	return sum;
}

/* ln 2 and pi/2, each as a double and what that left out. */
static const double ln2 = 0x1.62e42fefa39efp-1, ln2_rest = 0x1.abc9e3b39803fp-56;
static const double half_pi = 0x1.921fb54442d18p0, half_pi_rest = 0x1.1a62633145c07p-54;

/* 1 / 2!, 1 / 3!, ...: exp(r) = 1 + r + r^2 (1/2! + r/3! + ...). With |r| <= ln(2)/2 what follows
 * the last one is below 2^-58. */
static const double real_exp_terms[] = {1.0 / 2,
                                        1.0 / 6,
                                        1.0 / 24,
                                        1.0 / 120,
                                        1.0 / 720,
                                        1.0 / 5040,
                                        1.0 / 40320,
                                        1.0 / 362880,
                                        1.0 / 3628800,
                                        1.0 / 39916800,
                                        1.0 / 479001600.0,
                                        1.0 / 6227020800.0,
                                        1.0 / 87178291200.0};

static double real_exp_tail(double r) /* exp(r) - 1 - r */
{
	return r * r *
	       real_polynomial(real_exp_terms, sizeof real_exp_terms / sizeof *real_exp_terms, r);
}

/* x = n ln 2 + r, exp(x) = 2^n exp(r). r = high - rest; high = x - n ln2 is exact, as it has no bit
 * below that of ln2's last. */
double real_exp(double x)
{
	double n, high, rest;

	if (!(x >= -708))
		return x < -708 ? 0 : x;
	if (x > 709.78)
		return INFINITY;
	n = rint(x * 0x1.71547652b82fep0);
	high = fma(-n, ln2, x);
	rest = n * ln2_rest;
	return ldexp(1 + (high + (real_exp_tail(high - rest) - rest)), (int)n);
}

double real_expm1(double x)
{
	return fabs(x) < 0.34 ? x + real_exp_tail(x) : real_exp(x) - 1;
}

/* x = 2^e m with sqrt(1/2) <= m < sqrt(2), s = (m - 1) / (m + 1):  log m = 2 s (1 + s^2/3 + s^4/5 +
 * ...), |s| < 0.172.
 * With f = m - 1:  2 s = f - s f, and so log m = f - s (f - 2 s^2 (1/3 + s^2/5 + ...)), whose large
 * part f is exact. */
double real_log(double x)
{
	static const double terms[] = {1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11,
	                               1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21};
	double              m, f, s, series;
	int                 e;

	if (!(x >= 0x1p-1022) || x == INFINITY)
		return x < 0 ? NAN : x < 0x1p-1022 ? -INFINITY : x;
	m = frexp(x, &e);
	if (m < 0x1.6a09e667f3bcdp-1) {
		m *= 2;
		e--;
	}
	f = m - 1;
	s = f / (m + 1);
	series = 2 * s * s * real_polynomial(terms, sizeof terms / sizeof *terms, s * s);
	return fma(e, ln2, f - (s * (f - series) - e * ln2_rest));
}

double real_pow(double x, double y)
{
	if (y == 0)
		return 1;
	if (x == 0)
		return y > 0 ? 0 : INFINITY;
	return real_exp(y * real_log(x));
}

/* x = n pi/2 + r with |r| <= pi/4; n mod 4 says which of +-sin r, +-cos r it is. The first fma is
 * exact, as x - n half_pi has no bit below that of half_pi's last. */
static double real_wave(double x, int quarters)
{
	static const double sine[] = {
	        -1.0 / 6,        1.0 / 120,          -1.0 / 5040,           1.0 / 362880,
	        -1.0 / 39916800, 1.0 / 6227020800.0, -1.0 / 1307674368000.0};
	static const double cosine[] = {
	        1.0 / 24,          -1.0 / 720,           1.0 / 40320,           -1.0 / 3628800,
	        1.0 / 479001600.0, -1.0 / 87178291200.0, 1.0 / 20922789888000.0};
	double n = rint(x * 0x1.45f306dc9c883p-1), r = fma(-n, half_pi_rest, fma(-n, half_pi, x)),
	       r2 = r * r, y;
	int quarter = (int)(n - 4 * floor(n / 4)) + quarters;

	if (quarter % 2 == 0)
		y = fma(r * r2, real_polynomial(sine, sizeof sine / sizeof *sine, r2), r);
	else
		y = 1 -
		    r2 * (0.5 - r2 * real_polynomial(cosine, sizeof cosine / sizeof *cosine, r2));
	return quarter % 4 >= 2 ? -y : y;
}

double real_sin(double x)
{
	return isfinite(x) ? real_wave(x, 0) : NAN;
}

double real_cos(double x)
{
	return isfinite(x) ? real_wave(x, 1) : NAN;
}
