/* formula_value.h - the value of a formula at a few fixed points, twice: in floating point, and exactly modulo a prime.
 *
 * Two formulas are equal when they agree wherever they are evaluated: each variable stands for fixed numbers (from a hash of its name), two sets
 * of them positive and one negative. Rational arithmetic is carried along modulo P = 2^61 - 31, a prime where -1 has a square root (so i has
 * a residue); there every digit counts, however long the number. pi, e and the infinity are variables for the residue. What has no residue
 * (roots, logarithms, sines) is compared in 80-bit floating point alone, to 1e-13: so many right digits of a root are taken for it. A chance agreement of different
 * polynomials of degree d has probability d / P per point (Schwartz 1980; Zippel 1979). */
#ifndef TASK_FORMULA_VALUE_H
#define TASK_FORMULA_VALUE_H

#include "task/span.h"

#include <complex.h>
#include <stdint.h>

enum { VALUE_POINTS = 3 };

struct value {
	long double complex f[VALUE_POINTS];
	uint64_t            r[VALUE_POINTS];
	int                 exact; /* r counts */
};

struct value value_number(struct span digits); /* decimal digits with at most one point */
struct value value_variable(struct span name);
struct value value_constant(char c);                                       /* 'i', 'e', 'p' for pi */
struct value value_apply(char op, struct value a, struct value b);         /* + - * / ^ ; what has no value becomes NaN */
struct value value_function(struct span name, struct value x, int *known); /* sqrt, cbrt, sin, ... , abs, factorial */
struct value value_root(struct value x, struct value n);
struct value value_binomial(struct value n, struct value k);
struct value value_modulo(struct value a, struct value b);

/* decimals > 0: real values also when they round to the same number of decimals. */
int value_equal(struct value a, struct value b, int decimals);

/* b = c a for one real number c at every point: its sign, else 0. For relations, which may be multiplied by a number. */
int value_ratio_sign(struct value a, struct value b);

#endif
