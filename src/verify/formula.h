/* formula.h - the answer of a mathematical problem, as LaTeX or as plain text, and when two of them
 * say the same.
 *
 *     text      one spelling for each sign: full-width letters, superscripts, dashes, spaces of all
 *               kinds become LaTeX's (formula_text.c)
 *     tokens    LaTeX without its dress: \left, \!, $, \displaystyle vanish (formula_token.c)
 *     nodes     a typed value (formula_parse.c, formula_structure.c):
 *
 *         VALUE      a number or an expression (expression.h), with its unit (unit.h); perhaps
 *                    named: "x = 5", "f(x) = x^2"
 *         TEXT       words
 *         LIST       1, 2 and 3    1 \pm \sqrt{2}        in any order, each as often as it is there
 *         SET        \{1, 2, 3\}                         in any order, once
 *         SEQUENCE   (1, 2)    [0, 1)    1:2:3           in order; the brackets count; 1:2 is 2:4
 *         UNION      [0, 1) \cup (2, 3]                  of sets of real numbers
 *         MATRIX     \begin{pmatrix} ... \end{pmatrix}   in order, the shape counts
 *         RELATION   x - 2y = 3,  x < 1                  may be multiplied by a number
 *         SPECIAL    \mathbb{R}, \emptyset
 *
 * Equal are (formula_equal.c) values with the same value (comparison.h); a unit on one side only
 * falls away, two must be the same. Intervals, unions, inequalities of one variable and sets of
 * numbers are equal when they are the same set of real numbers. "x = 5" says 5, and so do "5 = x",
 * "2 + 3 = 5" (if it is true), "f(1) = 5" and "A : B = 5"; "x + y = 5" is a relation, and "y = 2x +
 * 1" may be compared as one. A chain that ends in "\approx 0.333" says what stands before, if that
 * rounds to it. What does not read as a formula is TEXT.
 *
 * Everything is bounded: FORMULA_TEXT, FORMULA_TOKENS, FORMULA_NODES, FORMULA_DEPTH, and the steps
 * of a comparison; what is larger is no formula. */
#ifndef VERIFY_FORMULA_H
#define VERIFY_FORMULA_H

#include "verify/span.h"

struct formula_options {
	int decimals;         /* > 0: numbers that round to the same are equal */
	int strict_relations; /* -2 <= x <= 7 is not x in [-2, 7] */
};

struct formula;

/* NULL when memory is short. Free with formula_free. */
struct formula *formula_new(struct span text);
void            formula_free(struct formula *f);
/* it reads as mathematics, not only as words */
int formula_parsed(const struct formula *f);
int formula_empty(const struct formula *f);

/* Does the completion's formula say what the gold does? Not symmetric: only a gold may be written
 * with a decimal comma, or with a base that the completion leaves out. *steps, where not NULL: the
 * work (comparison.h). */
int formula_equal(const struct formula *gold, const struct formula *said,
                  const struct formula_options *o, long *steps);

#endif
