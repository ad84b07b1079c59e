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

/* Writes the text with one spelling for each sign, in ASCII as far as possible. Returns the bytes
 * written, or 0 when `room` is too small. */
size_t formula_spell(struct span text, char *out, size_t room);

/* ---- tokens ---- */

/* A token's kind is its own character, or one of these:
 *
 *     n number   r repeating decimal   c time of day   v variable or word   f function
 *     F \frac   R \sqrt   B \binom   O \over   % \bmod   o infinity   p \pm   q \mp
 *     l <=   g >=   ~ !=   E \approx   I \in   U \cup   D \setminus   S \{   T \}
 *     M \begin{matrix}   W \end{matrix}   N \\   y Y floor   z Z ceiling
 *     L \lim, \sum, \int   a accent or opaque command   b \mathbb   x unit   u anything else
 *     0 left out */
struct token {
	char        kind;
	char        in_text;    /* it was inside \text{...} */
	char        is_command; /* a backslash was before it */
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
	/* VALUE: the expression; RELATION: left - right; -1: none */
	int v;
	/* VALUE: the digits of a number with a base ("52_8"); -1: none */
	int         based;
	int         as_relation; /* a named value read as a RELATION; -1: none */
	int         chain;       /* VALUE: the rounded value ("1/3 \approx 0.333"); -1: none */
	struct unit unit;
	/* SEQUENCE: its brackets, ':' for ratios; RELATION: '=', '<', 'l' or '~', turned so that
	 * the smaller side is left; LIST: 'o' when "or" separates; SPECIAL: 'R' or '0' */
	char        open, close;
	int         bound;         /* RELATION of a name and a constant: the constant; -1: none */
	int         opposite;      /* minus that constant */
	int         name_first;    /* with the sign of `open`, the name is on the left */
	int         absolute;      /* the name is between bars */
	int         from_relation; /* SEQUENCE, UNION: written as a < x < b */
	struct span name;          /* "x" of "x = 5" */
	int         from, to;      /* TEXT: its tokens */
	int         first, next, n;
};

/* What a chain claims about constants: x = y, or low <= x <= y. A text with a false claim is not a
 * formula. */
struct promise {
	int x, low, y; /* low -1: x = y */
};

struct formula {
	char                text[FORMULA_TEXT];
	struct tokens       read;                       /* as written, for words */
	struct token        t[2 * FORMULA_TOKENS];      /* one letter each, for the parser */
	int                 origin[2 * FORMULA_TOKENS]; /* the token of `read` it comes from */
	int                 n_tokens;
	struct formula_node node[FORMULA_NODES];
	int                 n_nodes, root, parsed;
	/* the value of a text like "1,22" read with a decimal comma; -1: none */
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

/* formula_parse.c: reads all of the tokens a..b as one expression; 0 when they are not one. */
int parse_range(struct parser *p, int a, int b, int *out);
/* the expression of a number token */
int parse_number_value(struct parser *p, const struct token *t);

/* formula_structure.c: reads the whole formula; returns the root node or -1. */
int parse_formula(struct formula *f);

/* ---- formula_bracket.c: brackets among the tokens a .. b-1 ---- */

/* how a token changes the bracket depth: -1, 0, 1 */
int formula_step(char kind);
/* the next token of one of `kinds` outside brackets, or b */
int formula_find(const struct formula *f, int a, int b, const char *kinds);
/* the token that closes the bracket at a, or b */
int formula_closing(const struct formula *f, int a, int b);
/* the brackets at a and b - 1 are a pair of these kinds */
int formula_is_enclosed(const struct formula *f, int a, int b, const char *open, const char *close);

/* ---- formula_node.c: making nodes; -1 when there is no room ---- */

int formula_node_new(struct formula *f, enum formula_node_kind kind);
int formula_node_append(struct formula *f, int parent, int child); /* 0 if either is missing */
int formula_node_value(struct formula *f, int v);                  /* VALUE of an expression */

/* ---- formula_unit.c: units among the tokens a .. b-1 ---- */

/* The start of the unit at the end of the tokens, or b when there is none. A value must remain
 * before it. */
int formula_unit_start(const struct formula *f, int a, int b, struct unit *u);
int formula_unit_is_currency(const struct token *t);
int formula_unit_is_share(const struct token *t); /* percent or degree */
int formula_unit_is_word(const struct token *t);  /* may name a thing that is counted */

/* ---- formula_matrix.c: arithmetic of MATRIX nodes; -1 when the shapes do not fit ---- */

int formula_matrix_multiply(struct formula *f, int x, int y);
/* op + or - with y, or * with the expression `scalar` (y = -1) */
int formula_matrix_entrywise(struct formula *f, char op, int x, int y, int scalar);

#endif
