/* formula.h - the answer of a mathematical problem, as LaTeX or as plain text, and when two of them say the same.
 *
 *     tokens    LaTeX without its dress: \left, \!, $, \displaystyle, \mathrm, % and degrees vanish; spellings of one sign become one
 *     nodes     a value (formula_value.h), or a structure of nodes:
 *
 *         LIST       1, 2 and 3    \{1, 2, 3\}    1 \pm \sqrt{2}       in any order
 *         SEQUENCE   (1, 2)    [0, 1)                                  in order; the brackets count
 *         UNION      [0, 1) \cup (2, 3]                                in any order
 *         MATRIX     \begin{pmatrix} ... \end{pmatrix}                 in order, the shape counts
 *         RELATION   x - 2y = 3,  x < 1                                may be multiplied by a number
 *
 *     words     what does not read as a formula equals what has the same tokens, letters in any case where they are words
 *
 * "x = 5" says 5, and so do "2 + 3 = 5", "f(1) = 5" and "A : B = 5"; "x + y = 5" is a relation. Units behind a number fall away; when both
 * sides name one, it must be the same. Everything is bounded: FORMULA_TOKENS, FORMULA_NODES, FORMULA_DEPTH; what is larger is no formula. */
#ifndef TASK_FORMULA_H
#define TASK_FORMULA_H

#include "task/formula_value.h"
#include "task/span.h"

enum { FORMULA_TOKENS = 1024, FORMULA_NODES = 256, FORMULA_DEPTH = 48 };

struct token {
	char        kind;       /* the sign itself, or a letter: formula_token.c */
	char        in_text;    /* it stood in \text{...} */
	char        is_command; /* a backslash stood before it */
	struct span s;
};

struct tokens {
	int          n, too_many;
	struct token t[FORMULA_TOKENS];
	int          words[FORMULA_TOKENS]; /* scratch: indices */
};

void formula_tokens(struct span text, struct tokens *out);
int  formula_is_unit(struct span word);

struct formula_options {
	int decimals;  /* > 0: numbers that round to the same are equal */
	int relations; /* -2 <= x <= 7 is x in [-2, 7] */
};

struct formula;

/* NULL when memory is short. Free with formula_free. The text is borrowed. */
struct formula *formula_new(struct span text, const struct formula_options *o);
void            formula_free(struct formula *f);
int             formula_parsed(const struct formula *f); /* it reads as mathematics, not only as words */
int             formula_empty(const struct formula *f);
int             formula_equal(const struct formula *a, const struct formula *b, const struct formula_options *o);

#endif
