/* formula.h - reads a mathematical result, in LaTeX or plain text, and compares it with the answer.
 *
 *     text      one spelling for each sign: full-width letters, superscripts, dashes and spaces of
 *               all kinds become LaTeX's (formula_text.c)
 *     tokens    LaTeX without decoration: \left, \!, $, \displaystyle vanish (formula_token.c)
 *     nodes     a typed value (formula_parse.c, formula_structure.c):
 *
 *         VALUE      a number or an expression (expression.h) with its unit (unit.h); it may have
 *                    a name: "x = 5", "f(x) = x^2"
 *         TEXT       words
 *         LIST       1, 2 and 3    1 \pm \sqrt{2}        in any order; repetition counts
 *         SET        \{1, 2, 3\}                         in any order; repetition does not count
 *         SEQUENCE   (1, 2)    [0, 1)    1:2:3           in order; the brackets count; 1:2 is 2:4
 *         UNION      [0, 1) \cup (2, 3]                  of sets of real numbers
 *         MATRIX     \begin{pmatrix} ... \end{pmatrix}   in order, the shape counts
 *         RELATION   x - 2y = 3,  x < 1                  may be multiplied by a number
 *         SPECIAL    \mathbb{R}, \emptyset
 *
 * Expressions are equal when they have the same value (formula_equal.c, comparison.h). A unit on
 * one side only is ignored; two units must be the same. Intervals, unions, inequalities in one
 * variable and sets of numbers are equal when they are the same set of real numbers. "x = 5" means
 * 5, and so do "5 = x", "2 + 3 = 5" (because it is true), "f(1) = 5" and "A : B = 5". "x + y = 5"
 * is a relation, and "y = 2x + 1" can be compared as one. A chain that ends in "\approx 0.333"
 * means what comes before it, if that rounds to 0.333. What cannot be read as a formula is TEXT.
 *
 * Everything is bounded by FORMULA_TEXT, FORMULA_TOKENS, FORMULA_NODES, FORMULA_DEPTH and the steps
 * of a comparison. A larger text is not a formula. */
#ifndef VERIFY_FORMULA_H
#define VERIFY_FORMULA_H

#include "verify/span.h"

struct formula_options {
	int decimals;         /* > 0: numbers are equal if they round to the same */
	int strict_relations; /* 1: -2 <= x <= 7 does not equal [-2, 7] */
};

struct formula;

/* NULL when there is no memory. Free it with formula_free. */
struct formula *formula_new(struct span text);
void            formula_free(struct formula *f);
/* the text could be read as mathematics, not only as words */
int formula_parsed(const struct formula *f);
int formula_empty(const struct formula *f);

/* Does the completion's formula equal the answer's? The two are not treated alike: only an answer
 * may have a decimal comma, or a base that the completion omits. `steps` (may be NULL) receives the
 * work (comparison.h). */
int formula_equal(const struct formula *gold, const struct formula *said,
                  const struct formula_options *o, long *steps);

#endif
