/* arithmetic_token.h - a line of a completion, cut into what matters to arithmetic. Private to
 * arithmetic.c.
 *
 * Dollars, emphasis (**7**, _7_), white space of LaTeX, \text and its kind, \left and \right,
 * degrees and currencies are gone; everything that is not understood is UNKNOWN where it is
 * mathematics and END where it is prose. */
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
	ARITHMETIC_UNKNOWN, /* x, a root, "squared": whatever it touches has no value */
	ARITHMETIC_LIST,    /* , ; and to: behind a number the next one is not the only one */
	ARITHMETIC_OR,      /* no number beside it is the only one */
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

/* Cuts text[from .. to) into tokens. `bare`: nothing but the answer stands there, so that "7!" is
 * no exclamation. More tokens than there is room for: the line has none. */
void arithmetic_cut(struct span text, size_t from, size_t to, int bare,
                    struct arithmetic_line *out);

#endif
