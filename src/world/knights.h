/* knights.h - puzzles of knights, who always tell the truth, and knaves, who always lie.
 *
 * Each person makes one claim about who is what. An assignment is a set of knights (bit i: person i
 * is one); it fits when every claim is true exactly if its speaker is a knight. A good puzzle has
 * one assignment that fits. */
#ifndef WORLD_KNIGHTS_H
#define WORLD_KNIGHTS_H

#include "base/file.h"
#include "base/memory.h"

#include <stdint.h>

enum { KNIGHTS_MAX = 14, KNIGHTS_GENERATED_MAX = 8, KNIGHTS_DEPTH_MAX = 8, KNIGHTS_PARTS_MAX = 8 };

enum knights_kind {
	KNIGHTS_KNIGHT,
	KNIGHTS_KNAVE,
	KNIGHTS_NOT,
	KNIGHTS_AND,
	KNIGHTS_OR,
	KNIGHTS_IF,
	KNIGHTS_IFF
};

struct knights_claim { /* a tree; parts are borrowed from the same arena */
	enum knights_kind           kind;
	int                         person;  /* of KNIGHT and KNAVE */
	int                         n_parts; /* NOT 1, IF and IFF 2, AND and OR 2 or more */
	const struct knights_claim *part[KNIGHTS_PARTS_MAX];
};

struct knights_puzzle {
	int                         n; /* people */
	const struct knights_claim *claim[KNIGHTS_MAX];
};

int knights_is_true(const struct knights_claim *c, unsigned knights);
int knights_fits(const struct knights_puzzle *p, unsigned knights);

/* How many assignments fit; *knights is the last of them in the order of knights_assignment. */
int knights_solve(const struct knights_puzzle *p, unsigned *knights);

/* Assignment k of 0 .. 2^n - 1: all knights first, the last person changing fastest. */
unsigned knights_assignment(int n, unsigned k);

/* Reads the published formal text, Python tuples or JSON lists, one claim a person:
 * "(('not', ('telling-truth', 2)), ('or', ('lying', 1), ('telling-truth', 0)), ...)". */
int knights_parse(const char *place, const char *text, int n, struct arena *a,
                  struct knights_puzzle *out);

/* ---- signs; generator.h describes them. All ADD to the text. ---- */
/* A:B>c,B:!A? */
void knights_add_puzzle(struct text *t, const struct knights_puzzle *p);
void knights_add_people(struct text *t, int n, unsigned knights);                         /* Ab */
void knights_add_values(struct text *t, const struct knights_claim *c, unsigned knights); /* 1>0 */

/* ---- words ---- */
void knights_add_words(struct text *t, const struct knights_claim *c, const char *const *names);

#endif
