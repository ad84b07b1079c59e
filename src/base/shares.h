/* shares.h - items in a row, cut into contiguous shares of equal work, one for each rank.
 *
 *     work       5 3 | 6 1 | 7         three shares; the largest has 8
 *
 * The largest share is as small as it can be; of all such cuts it is the one whose first shares
 * take as many items as fit. A share may be empty. The cut depends on the numbers alone, so ranks
 * that have the same numbers make the same cut, and nobody tells the others. */
#ifndef BASE_SHARES_H
#define BASE_SHARES_H

#include <stdint.h>

struct shares_of {
	uint32_t n;                                     /* items */
	int64_t (*work)(const void *of, uint32_t item); /* >= 0 */
	const void *of;
};

/* Writes first [parts + 1]: share i is the items first[i] .. first[i+1]-1; every border but the
 * last is a multiple of `align`, a power of 2. NULL: nothing is written. Returns the work of the
 * largest share. */
int64_t shares_cut(const struct shares_of *s, int parts, uint32_t align, uint32_t *first);

/* With the largest `align` that makes the largest share at most a SHARES_LOSS-th larger: an aligned
 * share is fewer subtrees of a binary tree over the items. */
enum { SHARES_LOSS = 16 };
void shares_cut_aligned(const struct shares_of *s, int parts, uint32_t *first);

#endif
