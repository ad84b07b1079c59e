/* comparison.h - two formulas side by side: which expressions are equal, exactly.
 *
 * Expressions are equal when they agree wherever they are evaluated. At each of COMPARISON_POINTS
 * points a variable stands for a fraction that a hash of its name and of both formulas gives: near
 * 1, large, negative, ... Everything else becomes an algebraic number (algebraic.h) there:
 *
 *     + - * / roots             themselves
 *     cos, sin of k pi/n        themselves
 *     cos, sin of other angles  cos = (1-t^2)/(1+t^2), sin = 2t/(1+t^2) for a fraction t that
 *                               stands for the angle; parts, multiples and sums of angles by the
 *                               theorems of addition
 *     a^x, e^x                  a fraction that stands for it, and its powers:
 *                               a^(x+y) = a^x a^y, 4^x = (2^x)^2
 *     ln                        ln(ab) = ln a + ln b, down to primes and to what is no product;
 *                               a fraction stands for each of those
 *     pi                        a fraction close to it
 *     unknown functions, floor  a fraction for each name and arguments
 *
 * All these are rules that hold in general, so that two formulas that agree this way are equal, but
 * for a chance of less than (degree / 65536)^points that a polynomial vanishes at points that its
 * own text has chosen (Schwartz 1980; Zippel 1979). The converse does not hold: what would need
 * another rule is not seen to be equal, and is refused. Signs (of an absolute value, of a root's
 * argument, of the ends of an interval) are those of the true values; floats only make guesses that
 * are then checked. A point where either side has no real value says nothing; two must remain.
 *
 * All work is counted in steps (algebraic.h) and ends at ALGEBRAIC_STEPS: then nothing is equal any
 * more. */
#ifndef VERIFY_COMPARISON_H
#define VERIFY_COMPARISON_H

#include "verify/expression.h"

enum { COMPARISON_POINTS = 5 };

struct comparison;

/* `right` may be `left`. NULL when memory is short. Both are borrowed. */
struct comparison *comparison_new(const struct expressions *left, const struct expressions *right);
void               comparison_free(struct comparison *c);
long               comparison_steps(const struct comparison *c);

struct term { /* expression x of the left formula (side 0) or of the right one */
	int side, x;
};

/* it has a value at two points at least */
int comparison_defined(struct comparison *c, struct term x);
int comparison_equal(struct comparison *c, struct term x, struct term y);

/* Both are real constants that round to the same number of decimals. */
int comparison_rounds(struct comparison *c, struct term x, struct term y, int decimals);

/* y = r x for one real number r at every point: its sign, else 0. For relations, which may be
 * multiplied by a number. */
int comparison_ratio(struct comparison *c, struct term x, struct term y);

/* The sign of x - y, of real constants; infinities included. 0 and *order where it is not known. */
int comparison_order(struct comparison *c, struct term x, struct term y, int *order);

/* x, a real constant, in *out where it is a fraction. */
int comparison_number(struct comparison *c, struct term x, struct number *out);

#endif
