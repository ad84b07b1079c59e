/* comparison.h - decides exactly which expressions of two formulas are equal.
 *
 * Expressions are equal when they agree wherever they are evaluated (evaluation.h), at
 * COMPARISON_POINTS points. The rules of evaluation hold in general, so two formulas that agree at
 * the points are equal, except with a probability below (degree / 65536)^points: a polynomial may
 * vanish at points that its own text has chosen (Schwartz 1980; Zippel 1979). The converse does not
 * hold: formulas that are equal only by another rule count as different. A point where either side
 * has no real value does not count; at least two points must.
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
