/* algebraic.h - real numbers made from integers by + - * /, roots and cosines of fractions of a
 * turn. Compares them exactly.
 *
 * Fractions are kept as fractions (number.h). Everything else is a node over older nodes. Its sign
 * is found with intervals of growing precision. A small interval proves nothing by itself, but a
 * number made from integers cannot be arbitrarily close to 0 without being 0:
 *
 *     E != 0  =>  |E| >= 1 / (u^(D-1) l)
 *
 * with the bounds u, l of Burnikel, Funke, Mehlhorn, Schirra and Schmitt (ESA 2001), which are kept
 * as logarithms to base 2, rounded up:
 *
 *     fraction p/q      u = |p|                      l = |q|
 *     a + b, a - b      u = u_a l_b + l_a u_b        l = l_a l_b
 *     a b               u = u_a u_b                  l = l_a l_b
 *     a / b             u = u_a l_b                  l = l_a u_b
 *     k-th root of a    u = (u_a l_a^(k-1))^(1/k)    l = l_a      if u_a >= l_a
 *                       u = u_a                      l = (u_a^(k-1) l_a)^(1/k)    otherwise
 *     2 cos(2 pi k/n)   u = 2                        l = 1
 *                       (an algebraic integer, whose conjugates are such cosines too)
 *
 * D is the product of the degrees of all distinct roots below E and of phi(N)/2, where N is the
 * least common multiple of the n of its cosines. An interval inside that bound proves that E is 0.
 *
 * Nodes of other functions (pi, exp, ln, ...) have no such bound: a nonzero sign can be found, but
 * 0 cannot be proved. What is not decided within ALGEBRAIC_BITS of precision, ALGEBRAIC_NODES or
 * ALGEBRAIC_STEPS stays undecided. A step is roughly the work on one machine word. */
#ifndef VERIFY_ALGEBRAIC_H
#define VERIFY_ALGEBRAIC_H

#include "verify/interval.h"
#include "verify/number.h"

enum { ALGEBRAIC_NODES = 8192, ALGEBRAIC_BITS = 1 << 15, ALGEBRAIC_STEPS = 1 << 24 };

/* A number is a handle >= 0, or one of the negative values, which every operation passes on. */
enum { ALGEBRAIC_ZERO = 0, ALGEBRAIC_ONE = 1, ALGEBRAIC_UNDEFINED = -1, ALGEBRAIC_UNDECIDED = -2 };

struct algebra;

struct algebra *algebra_new(void); /* NULL when memory is short */
void            algebra_free(struct algebra *a);
long            algebra_steps(const struct algebra *a); /* so far */
/* counts work on numbers of that many bits; 0 when all steps are spent */
int algebra_spend(struct algebra *a, long bits);

int algebraic_number(struct algebra *a, const struct number *x);
int algebraic_fraction(struct algebra *a, long over, long under);
int algebraic_apply(struct algebra *a, char op, int x, int y);  /* + - * / */
int algebraic_power(struct algebra *a, int x, long n);          /* x^n */
int algebraic_root(struct algebra *a, int x, long degree);      /* of x >= 0; undefined below */
int algebraic_cosine(struct algebra *a, long over, long under); /* cos(2 pi over/under) */
int algebraic_pi(struct algebra *a);
int algebraic_rise(struct algebra *a, enum interval_function f, int x); /* exp, ln, asin, atan */
/* the cosine of any x */
int algebraic_cos(struct algebra *a, int x);

/* Writes the sign, -1, 0 or 1; returns 1 if it is known. */
int algebraic_sign(struct algebra *a, int x, int *sign);
int algebraic_equal(struct algebra *a, int x, int y); /* 1: proved */

/* NULL if x is not kept as a fraction; valid until the next call */
const struct number *algebraic_as_number(const struct algebra *a, int x);
/* returns 1 if it is known */
int algebraic_floor(struct algebra *a, int x, struct number *out);
/* an approximation, for guesses that are checked afterwards */
double algebraic_about(struct algebra *a, int x);

#endif
