/* generator.h - problems made on the spot: levels, answers, worked solutions, hints. One table.
 *
 * Problem (part, seed, level, index) is the same whatever else is made, in whatever order, on any
 * thread. Its key is {seed, RNG_GENERATE, step = level, item = index, sample = 2 draw}.
 *
 * Two parts. What is held out is never trained on, whatever seeds, counts, levels and first numbers
 * are asked for, because each generator's space of problems is parted once and for all:
 *
 *     content      what the prompt means, not how it is written: 27+46 is 46+27; the numbers of a
 *                  countdown have no order; a progression is its first two numbers modulo 9,
 *                  however many more are asked for; people of a puzzle may change places and names,
 *                  so that puzzles in words and in signs are parted alike; a world is its first
 *                  observation and the oracle's episode
 *     held out     when a number drawn with the key {hash(content), RNG_HELD_OUT} below
 *                  GENERATOR_HELD_OUT_OF is 0: a quarter of all contents
 *     a problem    is drawn again (draw 0, 1, ...) until it lies in the part that was asked for
 *
 * A training set is drawn with replacement, so a small space gives the same problem often (a corpus
 * of worked solutions with errors needs that; the screen says how many repeat). In a held-out set
 * every problem stands once: numbers whose problem has come are passed over, and a set that asks
 * for more problems than its part of the space has is refused (addition of one digit: 100 prompts,
 * 36 of them held out).
 *
 * Texts are ASCII over a small alphabet, so that a model of a few million weights with one token a
 * character can learn them. The worked solution goes in steps that each look at a few characters
 * only, and ends with "#ANSWER":
 *
 *     addition          level: digits a number, 1 .. 12
 *         prompt        358+467=
 *         answer        825
 *         worked        8+7+0=15,5+6+1=12,3+4+1=08#825
 *                       digit + digit + carry = carry, digit; from the right
 *         hint          110                     the carries
 *     countdown         level: numbers, 2 .. 6
 *         prompt        3,7,12>15:
 *         answer        (12-7)*3                any expression that uses each number once
 *         worked        12-7=5,5*3=15#(12-7)*3
 *         hint          12-7=5                  the first step
 *     knights_knaves    level: people, 2 .. 8
 *         prompt        A:A,B:A=C,C:c&B?        B "B is a knight"   b "B is a knave"   ! not
 *                                               & and   | or   > if .. then   = if and only if
 *         answer        Abc                     a capital is a knight; exactly one assignment fits
 *         worked        ABCA1+B1=1+C0&1-ABcA1+B1=0-AbCA1+b1=1-AbcA1+b1=0+c1&0+#Abc
 *                       The assignments are tried from all knights on, the last person changing
 *                       fastest; behind each one, claim by claim until the first that fits its
 *                       speaker badly: who speaks, the claim with 1 and 0 for true and false,
 *                       + (fits) or -. Without worked solution above 6 people.
 *         hint          A                       the first person
 *     knights_words     the same puzzle (same key) in the words of the published ones
 *         answer        (1) Amelia is a knight\n(2) ...
 *     sequence          level: how many numbers, 0 .. 9
 *         prompt        3,5:9,4
 *         answer        7,0,2,4                 3, 5, ... goes on by 5 - 3, modulo 9
 *         worked        as the answer (no '#')
 *         hint          2                       the step
 *     nav, household, shop: worlds that answer back; environment.h has their texts
 *         prompt        the first observation
 *         answer        the oracle's episode, as worked
 *         hint          what the oracle had to find out
 *                       They are scored by the verifier `environment`, never by comparison with
 *                       the answer.
 *
 * Imperfect corpora. With an error rate e each step of a worked solution goes wrong with
 * probability e, and what follows goes on from the wrong step: a wrong sum (addition), a claim
 * judged wrongly (knights), a wrong number (sequence); for countdown the whole solution makes
 * another target; in a world that answers back an action strays, and the oracle goes on from where
 * that led, so that some episodes end at the limit of turns. Prompt, answer and hint stay right. A
 * model warmed up on it is right about (1 - e)^steps of the time. The errors have a key of their
 * own: the same puzzle with any e. */
#ifndef WORLD_GENERATOR_H
#define WORLD_GENERATOR_H

#include "data/dataset.h"
#include "data/problem.h"

#include <stdint.h>

struct generator_request {
	int      level;
	uint64_t seed;
	uint32_t index;
	double   error_rate; /* in [0, 1] */
	int      held_out;   /* from which part */
	uint32_t draw;       /* set by generator_make: how often it was drawn before */
};

enum { GENERATOR_HELD_OUT_OF = 4 };

struct generator { /* one row; static, never freed */
	const char *name;
	const char *help;  /* one line */
	const char *level; /* what the level counts */
	int         level_min, level_max;
	const char *alphabet; /* every character of prompts, worked solutions, answers and hints */
	const char *verifier; /* the one to score its problems with */

	/* Fills prompt, answer, hint, demonstrations and row, and *content. Use generator_make. */
	int (*make)(const struct generator_request *q, struct arena *a, struct problem *out,
	            uint64_t *content);

	/* A published row of this kind rewritten as this generator would have written it; NULL when
	 * there are none. */
	dataset_convert *convert;
};

/* row i; NULL past the last */
const struct generator *generator_at(int i);
/* an error names the rows there are */
int generator_find(const char *name, const struct generator **out);
/* its convert; NULL for no name */
int generator_converter(const char *name, dataset_convert **out);

/* One problem in the arena: id "NAME/LEVEL/SEED/INDEX", category "NAME/LEVEL", difficulty the
 * level. A level out of range is an error, and so is a part in which no problem is found. */
int generator_make(const struct generator *g, const struct generator_request *q, struct arena *a,
                   struct problem *out);

/* a data set: indices from `first` on, one after the other, and the levels take turns */
struct generator_range {
	int      level_min, level_max;
	uint64_t seed;
	uint32_t first;
	int      count;
	double   error_rate;
	int      held_out; /* the part; and every problem once */
};
int generator_dataset(const struct generator *g, const struct generator_range *range,
                      struct dataset *out);

#endif
