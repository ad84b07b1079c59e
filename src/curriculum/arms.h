/* arms.h - the problems parted into arms: those between which a curriculum chooses.
 *
 *     arm        0        1      2            in order of mean difficulty (unknown ones last), then
 *                                             of name (numbers in it by value)
 *     members  | 3 8 9  | 0 4  | 1 2 5 6 7    numbers of problems, ascending within an arm
 *     of[3] = 0, of[0] = 1, ...
 *
 * An arm is all problems whose items name the same arm. The order above depends on the data alone,
 * never on the order in which arms are first met, so that the same problems in another order get
 * the same probabilities bit for bit. Nothing here changes once it is made. */
#ifndef CURRICULUM_ARMS_H
#define CURRICULUM_ARMS_H

#include "curriculum/curriculum.h"

struct arm {
	const char *name;       /* borrowed from the items */
	double      difficulty; /* mean over its problems; NaN when none is known */
	const int  *members;    /* [n] */
	int         n;          /* > 0 */
};

struct arms {
	struct arm *items; /* [n] */
	int         n;
	int        *members; /* [n_problems] */
	int        *of;      /* [n_problems] */
	int         n_problems;
	uint64_t    hash; /* of names and members: whether a saved state belongs to these arms */
};

/* n > 0; after an error, too, arms_free(out) is due */
int  arms_new(const struct curriculum_item *items, int n, struct arms *out);
void arms_free(struct arms *a);

/* P_a = exp(score_a / temperature) / sum_b exp(score_b / temperature), the largest score subtracted
 * first, so that any finite scores will do. Temperature 0: the best arms share equally. Writes P
 * [n]. */
void arms_softmax(const double *score, double temperature, int n, double *P);

#endif
