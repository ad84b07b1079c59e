/* expression.h - a formula's expressions as trees over one pool of nodes, not yet evaluated.
 *
 *     n           number
 *     v           variable (name)
 *     i e p       the constants i, e, pi
 *     o           infinity
 *     + - * / ^   of a and b (a minus sign before a factor is 0 - b)
 *     R           root of a of degree b
 *     l           logarithm of a to base b
 *     B           binomial of a over b
 *     %           a modulo b
 *     f           function (name) of a: sin, ln, abs, floor, factorial, ...
 *     A           unknown function (name) of the arguments a: a chain of ',' nodes
 *
 * Children are older than their parents. A handle below 0 is not an expression, and neither is
 * anything made from one. */
#ifndef VERIFY_EXPRESSION_H
#define VERIFY_EXPRESSION_H

#include "verify/number.h"

enum { EXPRESSION_NODES = 2048, EXPRESSION_NAMES = 16384 };

struct expression_node {
	char          op;
	int           a, b;
	int           open;     /* contains a variable or an unknown function */
	int           infinite; /* contains the infinity */
	struct number q;        /* n: owned */
	struct span   name;     /* v, f, A: in the pool */
};

struct expressions {
	struct expression_node node[EXPRESSION_NODES];
	int                    n, n_names;
	char                   names[EXPRESSION_NAMES];
};

void expression_clear(struct expressions *e);

int expression_number(struct expressions *e, const struct number *x);
int expression_whole(struct expressions *e, long x);
/* v, f, A; the name is copied */
int expression_named(struct expressions *e, char op, struct span name, int a);
/* b: -1 if there is none */
int expression_make(struct expressions *e, char op, int a, int b);

/* 1 unless x computes with the infinity. The infinity alone, or with a minus sign, is allowed. */
int expression_is_finite_or_infinity(const struct expressions *e, int x);
int expression_is_infinity(const struct expressions *e, int x); /* 1, -1; 0 */

#endif
