/* real.h - exp, log, pow, cos, sin for doubles, the same bits on every CPU and with every C
 * library.
 *
 * Weights, samples and picks depend on these: first weights, angles of positions, ratios of
 * probabilities, softmax over arms, schedules. libm may round the last bit in another way from one
 * version and one CPU to the next; scripts/check-libm sees that nobody calls it. Here every
 * rounding is written down (an fma stands where it is meant). What C's library does exactly by
 * definition is used: fma, sqrt, floor, ldexp, frexp, rint.
 *
 * Bounds, in units in the last place, against MPFR on random arguments (tests/test_real.c):
 *
 *     real_exp     1.0 ulp    below -708: 0, above 709.78: infinity; never a denormal
 *     real_expm1   3.0 ulp
 *     real_log     1.5 ulp    of 0 and denormals -infinity, of negative numbers NaN
 *     real_pow     exp(y log x): relative error 2^-52 (1 + |y log x|), for x > 0; pow(0, y) is 0
 *                  for y > 0 and pow(x, 0) 1
 *     real_cos, real_sin      absolute error 2^-52 for |x| up to 10^7
 *
 * NaN gives NaN. */
#ifndef BASE_REAL_H
#define BASE_REAL_H

double real_exp(double x);
double real_expm1(double x); /* exp(x) - 1, also for tiny x */
double real_log(double x);
double real_pow(double x, double y); /* x >= 0 */
double real_cos(double x);
double real_sin(double x);

#endif
