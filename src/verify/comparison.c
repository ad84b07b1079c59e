#include "verify/comparison.h"

#include "verify/evaluation.h"

#include <stdlib.h>

struct comparison {
	struct evaluator v;
};

struct comparison *comparison_new(const struct expressions *left, const struct expressions *right)
{
	struct comparison *c = malloc(sizeof *c);

	if (c && !evaluation_open(&c->v, left, right)) {
		free(c);
		return NULL;
	}
	return c;
}

void comparison_free(struct comparison *c)
{
	if (c)
		evaluation_close(&c->v);
	free(c);
}

long comparison_steps(const struct comparison *c)
{
	return algebra_steps(c->v.a);
}

static int term_infinity(const struct comparison *c, struct term x)
{
	return expression_is_infinity(c->v.e[x.side], x.x);
}

int comparison_defined(struct comparison *c, struct term x)
{
	int defined = 0;

	if (term_infinity(c, x))
		return 1;
	if (!expression_is_finite_or_infinity(c->v.e[x.side], x.x))
		return 0;
	for (int at = 0; at < EVALUATION_POINTS; at++) {
		int re = evaluation_at(&c->v, x, at).re;
		if (re == ALGEBRAIC_UNDECIDED)
			return 0;
		defined += re >= 0;
	}
	return defined >= 2;
}

/* Equal at every point where both are defined, of which there must be two. */
int comparison_equal(struct comparison *c, struct term x, struct term y)
{
	int compared = 0;

	if (term_infinity(c, x) || term_infinity(c, y))
		return term_infinity(c, x) == term_infinity(c, y);
	for (int at = 0; at < EVALUATION_POINTS; at++) {
		struct complex_value v = evaluation_at(&c->v, x, at),
		                     u = evaluation_at(&c->v, y, at);
		if (v.re == ALGEBRAIC_UNDECIDED || u.re == ALGEBRAIC_UNDECIDED)
			return 0;
		if (v.re < 0 || u.re < 0)
			continue;
		if (!algebraic_equal(c->v.a, v.re, u.re) || !algebraic_equal(c->v.a, v.im, u.im))
			return 0;
		compared++;
	}
	return compared >= 2;
}

/* A constant's true value, if it is real. */
static int true_value(struct comparison *c, struct term x)
{
	struct complex_value v = c->v.e[x.side]->node[x.x].open
	                                 ? complex_undecided()
	                                 : evaluation_at(&c->v, x, EVALUATION_TRUTH);
	int                  sign;

	return v.re >= 0 && (v.im == ALGEBRAIC_ZERO ||
	                     (algebraic_sign(c->v.a, v.im, &sign) && sign == 0))
	               ? v.re
	               : ALGEBRAIC_UNDECIDED;
}

/* floor(10^decimals x + 1/2) = floor(10^decimals y + 1/2) */
int comparison_rounds(struct comparison *c, struct term x, struct term y, int decimals)
{
	int ten = algebraic_power(c->v.a, algebraic_fraction(c->v.a, 10, 1), decimals),
	    half = algebraic_fraction(c->v.a, 1, 2), same;
	int           v = true_value(c, x), u = true_value(c, y);
	struct number a, b;

	number_init(&a);
	number_init(&b);
	same = algebraic_floor(
	               c->v.a,
	               algebraic_apply(c->v.a, '+', algebraic_apply(c->v.a, '*', v, ten), half),
	               &a) &&
	       algebraic_floor(
	               c->v.a,
	               algebraic_apply(c->v.a, '+', algebraic_apply(c->v.a, '*', u, ten), half),
	               &b) &&
	       number_equal(&a, &b);
	number_clear(&a);
	number_clear(&b);
	return same;
}

/* y / x is the same at all points when x_1 y_i = y_1 x_i, without a division. */
int comparison_ratio(struct comparison *c, struct term x, struct term y)
{
	struct complex_value first = complex_undefined(), second = first;
	int                  compared = 0, sign = 0, other;

	for (int at = 0; at < EVALUATION_POINTS; at++) {
		struct complex_value v = evaluation_at(&c->v, x, at),
		                     u = evaluation_at(&c->v, y, at);
		if (v.re == ALGEBRAIC_UNDECIDED || u.re == ALGEBRAIC_UNDECIDED)
			return 0;
		if (v.re < 0 || u.re < 0)
			continue;
		if (v.im != ALGEBRAIC_ZERO || u.im != ALGEBRAIC_ZERO ||
		    !algebraic_sign(c->v.a, v.re, &sign) || !algebraic_sign(c->v.a, u.re, &other) ||
		    sign == 0 || other == 0)
			return 0;
		if (compared++ == 0) {
			first = v;
			second = u;
		} else if (!algebraic_equal(c->v.a, algebraic_apply(c->v.a, '*', first.re, u.re),
		                            algebraic_apply(c->v.a, '*', second.re, v.re)))
			return 0;
	}
	return compared >= 2 ? sign * other : 0;
}

int comparison_order(struct comparison *c, struct term x, struct term y, int *order)
{
	int a = term_infinity(c, x), b = term_infinity(c, y);

	*order = a - b;
	if (a || b)
		return 1;
	if (!c->v.e[x.side]->node[x.x].open && !c->v.e[y.side]->node[y.x].open &&
	    comparison_equal(c, x, y))
		return 1;
	return algebraic_sign(c->v.a,
	                      algebraic_apply(c->v.a, '-', true_value(c, x), true_value(c, y)),
	                      order) &&
	       *order != 0;
}

int comparison_number(struct comparison *c, struct term x, struct number *out)
{
	const struct number *q = algebraic_as_number(c->v.a, true_value(c, x));

	if (q)
		number_copy(q, out);
	return q != NULL;
}
