/* arithmetic_token.h - cuts a line of a completion into the tokens that matter to arithmetic.
 * Private to arithmetic.c.
 *
 * Dollar signs, emphasis (**7**, _7_), LaTeX's white space, \text and the like, \left and \right,
 * degrees and currencies are dropped. What is not understood is UNKNOWN if it is mathematics and
 * END if it is prose. */
#ifndef VERIFY_ARITHMETIC_TOKEN_H
#define VERIFY_ARITHMETIC_TOKEN_H

#include "verify/span.h"

enum arithmetic_kind {
	ARITHMETIC_END,      /* a word, "=", the end of a sentence: nothing reaches across */
	ARITHMETIC_NUMBER,   /* digits, as number_read reads them */
	ARITHMETIC_OPERATOR, /* op: + - * / ^ */
	ARITHMETIC_OPEN,     /* ( [ { */
	ARITHMETIC_CLOSE,
	ARITHMETIC_FRAC,    /* \frac: two numbers or groups follow */
	ARITHMETIC_SCALE,   /* op: the row of arithmetic_scales: million, percent */
	ARITHMETIC_UNKNOWN, /* x, a root, "squared": a formula that touches it has no value */
	ARITHMETIC_LIST,    /* , ; and to: the number behind it is one of several */
	ARITHMETIC_OR,      /* the numbers beside it are alternatives */
	ARITHMETIC_BOUND,   /* <, "than", "least": a number beside it is a bound */
	ARITHMETIC_NOT      /* a denial: "not 7", "cannot be 7" */
};

struct arithmetic_token {
	enum arithmetic_kind kind;
	char                 op;
	int                  is_word; /* written in letters */
	size_t               from, n; /* bytes of the text */
};

struct arithmetic_scale {
	const char *name;
	long        over, under;
};
extern const struct arithmetic_scale arithmetic_scales[];

enum { ARITHMETIC_TOKENS = 1024 };

struct arithmetic_line {
	struct arithmetic_token token[ARITHMETIC_TOKENS];
	int                     n;
};

/* Cuts text[from .. to) into tokens. `bare`: the text is the result and nothing else, so "7!" is a
 * factorial and not an exclamation. A line with more than ARITHMETIC_TOKENS tokens gets none. */
void arithmetic_cut(struct span text, size_t from, size_t to, int bare,
                    struct arithmetic_line *out);

#endif
