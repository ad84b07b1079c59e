/* overlong.h - what becomes of completions that ran into the length limit: keep, mask, or shape
 * (DAPO, arXiv:2503.14476, section 3.4).
 *
 *     shape: reward + factor * penalty(n) is trained on
 *
 *                  0 |---------.
 *     penalty        |          \
 *                 -1 |           `------
 *                    +---------+--+------ n
 *                    max - buffer max
 *
 * n counts every token of the completion, the end-of-sequence token too. Cut off by the model's
 * positions: as n = max.
 *
 * mask takes the row out of the loss and leaves its reward in the group's statistics, as TRL
 * does. */
#ifndef ESTIMATOR_OVERLONG_H
#define ESTIMATOR_OVERLONG_H

#include "estimator/algorithm.h"
#include "estimator/batch.h"

struct overlong_stats {   /* sums */
	double rows;      /* completions seen */
	double truncated; /* of those, cut off */
	double masked;    /* taken out of the loss */
	double shaped;    /* given a penalty */
	double penalty;   /* total of those penalties, never positive */
};

double overlong_penalty(int n, int max, int buffer); /* in -1 .. 0; 0 < buffer <= max */

/* Applies a->overlong to every row after the completions were rewarded: writes penalty, adds it to
 * reward, or edits trained. Takes penalty from `arena` where it is not there. ADDS to *stats.
 * Reads truncated and stop. */
int overlong_apply(const struct algorithm *a, struct batch *b, struct arena *arena,
                   struct overlong_stats *stats);

#endif
