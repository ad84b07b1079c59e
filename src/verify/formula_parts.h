/* formula_parts.h - what the files of formula.h share. Private to formula*.c. */
#ifndef VERIFY_FORMULA_PARTS_H
#define VERIFY_FORMULA_PARTS_H

#include "verify/expression.h"
#include "verify/formula.h"
#include "verify/unit.h"

enum {
	FORMULA_TEXT = 16384,
	FORMULA_TOKENS = 1024,
	FORMULA_NODES = 256,
	FORMULA_DEPTH = 48,
	FORMULA_PROMISES = 32
};

/* ---- text ---- */

/* One spelling for each sign, in ASCII as far as it goes. Returns the bytes written; more than
 * `room` would be: 0. */
size_t formula_spell(struct span text, char *out, size_t room);

/* ---- tokens ---- */

/* Kinds that are not the sign itself:
 *
 *     n number   r repeating decimal   c time of day   v variable or word   f function
 *     F \frac   R \sqrt   B \binom   O \over   % \bmod   o infinity   p \pm   q \mp
 *     l <=   g >=   ~ !=   E \approx   I \in   U \cup   D \setminus   S \{   T \}
 *     M \begin{matrix}   W \end{matrix}   N \\   y Y floor   z Z ceiling
 *     L \lim, \sum, \int   a accent or opaque command   b \mathbb   x unit   u anything else
 *     0 left out */
struct token {
	char        kind;
	char        in_text;    /* it stood in \text{...} */
	char        is_command; /* a backslash stood before it */
	struct span s;
};

struct tokens {
	int          n, too_many;
	struct token t[FORMULA_TOKENS];
};

void formula_tokens(struct span text, struct tokens *out);
int  token_is_whole(const struct token *t); /* a number without a fraction or an exponent */

/* ---- nodes ---- */

enum formula_node_kind { VALUE, TEXT, LIST, SET, SEQUENCE, UNION, MATRIX, RELATION, SPECIAL };

struct formula_node {
	enum formula_node_kind kind;
	/* VALUE: the expression; RELATION: left - right; -1 for none */
	int v;
	/* VALUE: the digits of a number with a base ("52_8"), -1 for none */
	int         based;
	int         as_relation; /* the RELATION that a named value also is; -1 */
	int         chain;       /* VALUE: what it is about ("1/3 \approx 0.333"); -1 */
	struct unit unit;
	/* SEQUENCE: brackets, ':' for ratios; RELATION: '=', '<', 'l' or '~', turned so that the
	 * smaller side is left; LIST: 'o' when "or" parts it; SPECIAL: 'R' or '0' */
	char        open, close;
	int         bound;    /* RELATION of one name and a constant: that constant; -1 for none */
	int         opposite; /* minus that constant */
	int         name_first;    /* the name stands before the sign, as it is in `open` */
	int         absolute;      /* the name stands between bars */
	int         from_relation; /* SEQUENCE, UNION: it was written as a < x < b */
	struct span name;          /* "x" of "x = 5" */
	int         from, to;      /* TEXT: its tokens */
	int         first, next, n;
};

/* What a chain claims of two constants: x = y, or low <= x <= y. A formula with a false claim is
 * none. */
struct promise {
	int x, low, y; /* low -1: x = y */
};

struct formula {
	char                text[FORMULA_TEXT];
	struct tokens       read;                       /* as they were written: for words */
	struct token        t[2 * FORMULA_TOKENS];      /* letters apart: for the parser */
	int                 origin[2 * FORMULA_TOKENS]; /* which token of `read` each was */
	int                 n_tokens;
	struct formula_node node[FORMULA_NODES];
	int                 n_nodes, root, parsed;
	/* the expression of a whole text like "1,22" read with a decimal comma; -1 */
	int                comma_number;
	int                infinity[2]; /* the expressions of minus and plus infinity */
	struct promise     promise[FORMULA_PROMISES];
	int                n_promises;
	struct expressions e;
};

struct parser {
	struct formula *f;
	int             at, end, depth;
	int             pm; /* the sign that \pm stands for: +1, -1 */
	int             in_function, failed, calls;
};

/* formula_parse.c: the expression that tokens a..b make, all of them; 0 when they make none. */
int parse_range(struct parser *p, int a, int b, int *out);
/* the expression of a number token */
int parse_number_value(struct parser *p, const struct token *t);

/* formula_structure.c: the whole formula; the root node, -1. */
int parse_formula(struct formula *f);

/* how a token changes the depth of brackets */
int formula_step(char kind);
/* the next of `kinds` outside of brackets; b */
int formula_find(const struct formula *f, int a, int b, const char *kinds);
/* what closes the bracket at a; b */
int formula_closing(const struct formula *f, int a, int b);

#endif
