/* evaluation.h - the value of an expression at a point, exactly. Private to comparison.c.
 *
 * At each of EVALUATION_POINTS points a variable is replaced by a fraction, which a hash of its
 * name and of both formulas gives: near 1, large, negative, ... Everything else becomes an
 * algebraic number (algebraic.h):
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
 * These rules hold in general. The recursion follows the expression: a power may call a logarithm
 * of its base, a logarithm the value of its argument, and so on downwards.
 *
 * At one more point, EVALUATION_TRUTH, pi is pi and a variable has no value. Signs (of an absolute
 * value, of a root's argument) are those of the true values there. Floats only make guesses, which
 * are then checked. */
#ifndef VERIFY_EVALUATION_H
#define VERIFY_EVALUATION_H

#include "verify/comparison.h"
#include "verify/complex.h"

enum {
	EVALUATION_POINTS = COMPARISON_POINTS,
	EVALUATION_TRUTH = EVALUATION_POINTS, /* the index of the true values */
	EVALUATION_KERNELS = 192
};

/* What a fraction represents at one point: NAME(x, y), a power KEY^x, or an angle x. */
struct evaluation_kernel {
	char        kind;
	struct span name;
	int         key, x, y;
	int         root; /* the fraction; for powers and angles that of a 12th part */
};

struct evaluation_point {
	struct evaluation_kernel kernel[EVALUATION_KERNELS];
	int                      n;
	struct complex_value     memo[2][EXPRESSION_NODES]; /* by side */
	char                     known[2][EXPRESSION_NODES];
};

struct evaluator {
	const struct expressions *e[2]; /* borrowed */
	struct algebra           *a;    /* owned */
	uint64_t                  seed;
	struct evaluation_point   point[EVALUATION_POINTS + 1]; /* the last: EVALUATION_TRUTH */
};

/* 0 when there is no memory */
int  evaluation_open(struct evaluator *v, const struct expressions *left,
                     const struct expressions *right);
void evaluation_close(struct evaluator *v);

struct complex_value evaluation_at(struct evaluator *v, struct term x, int at);

#endif
