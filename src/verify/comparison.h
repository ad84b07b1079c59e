/* comparison.h - decides exactly which expressions of two formulas are equal.
 *
 * Expressions are equal when they agree wherever they are evaluated. At each of COMPARISON_POINTS
 * points a variable is replaced by a fraction, which a hash of its name and of both formulas gives:
 * near 1, large, negative, ... Everything else becomes an algebraic number (algebraic.h) there:
 *
 *     + - * / roots             themselves
 *     cos, sin of k pi/n        themselves
 *     cos, sin of other angles  cos = (1-t^2)/(1+t^2), sin = 2t/(1+t^2) for a fraction t that
 *                               represents the angle; parts, multiples and sums of angles follow
 *                               the addition theorems
 *     a^x, e^x                  a fraction that represents it, and powers of that fraction:
 *                               a^(x+y) = a^x a^y, 4^x = (2^x)^2
 *     ln                        ln(ab) = ln a + ln b, down to primes and indivisible terms, each
 *                               represented by a fraction
 *     pi                        a fraction close to pi
 *     unknown functions, floor  a fraction for each name and its arguments
 *
 * These rules hold in general, so two formulas that agree at the points are equal, except with a
 * probability below (degree / 65536)^points: a polynomial may vanish at points that its own text
 * has chosen (Schwartz 1980; Zippel 1979). The converse does not hold: formulas that are equal only
 * by another rule count as different. Signs (of an absolute value, of a root's argument, of the
 * ends of an interval) are those of the true values. Floats only make guesses, which are then
 * checked. A point where either side has no real value does not count; at least two points must.
 *
 * All work is counted in steps (algebraic.h). Once ALGEBRAIC_STEPS are spent, nothing is equal. */
#ifndef VERIFY_COMPARISON_H
#define VERIFY_COMPARISON_H

#include "verify/expression.h"

enum { COMPARISON_POINTS = 5 };

struct comparison;

/* Both are borrowed; `right` may be `left`. NULL when there is no memory. */
struct comparison *comparison_new(const struct expressions *left, const struct expressions *right);
void               comparison_free(struct comparison *c);
long               comparison_steps(const struct comparison *c);

struct term { /* expression x of the left formula (side 0) or of the right one */
	int side, x;
};

/* x has a value at two or more points */
int comparison_defined(struct comparison *c, struct term x);
int comparison_equal(struct comparison *c, struct term x, struct term y);

/* Both are real constants and round to the same number with that many decimals. */
int comparison_rounds(struct comparison *c, struct term x, struct term y, int decimals);

/* If y = r x at every point for one real number r, returns the sign of r, else 0. Relations may be
 * multiplied by such an r. */
int comparison_ratio(struct comparison *c, struct term x, struct term y);

/* Writes the sign of x - y for real constants and infinities. Returns 0 if it is not known. */
int comparison_order(struct comparison *c, struct term x, struct term y, int *order);

/* Writes the real constant x to *out if it is a fraction; else returns 0. */
int comparison_number(struct comparison *c, struct term x, struct number *out);

#endif
