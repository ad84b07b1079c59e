/* region.h - sets of real numbers (intervals and points), read from a node of a formula. Each set
 * has one form.
 *
 *     (-inf, 2)   x < 2   2 > x   \{1, 2\}   [0, 1) \cup (2, 3]   \mathbb{R} \setminus \{0\}
 *     x \ne 0   |x| < 3   \emptyset   x < 1 or x > 2 */
#ifndef VERIFY_REGION_H
#define VERIFY_REGION_H

#include "verify/comparison.h"
#include "verify/formula_parts.h"

enum { REGION_PIECES = 32 };

struct region {
	int n;
	struct {
		struct term lo, hi;
		int         lo_closed, hi_closed;
	} piece[REGION_PIECES]; /* in ascending order, none touching the next */
};

/* Reads node x of the formula on that side of the comparison as a set. Returns 0 when it is not a
 * set, or when the order of its ends is not known. */
int region_of(struct comparison *c, const struct formula *f, int side, int x, struct region *out);
int region_equal(struct comparison *c, const struct region *a, const struct region *b);

#endif
