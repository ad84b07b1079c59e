/* blocks.h - the fixed binary tree over unit numbers (gradient.h), seen as blocks.
 *
 *     level by level, node 2i + node 2i+1; an odd last node moves up unchanged
 *
 * A block is a subtree: the 2^k units from a multiple of 2^k on. Whoever has the units first ..
 * end-1 can add up the largest blocks in there and nothing above them; how many these are is
 * blocks_count. In a tree of n units those behind the last are nothing: what they are added to
 * stays as it is. So whoever has the last unit has all of them, too, up to a power of 2
 * (blocks_end).
 *
 *     n = 11    units 3 .. 7     blocks 3 | 4 5 6 7               two
 *               units 3 .. 10    blocks 3 | 4 5 6 7 | 8 .. 15     three: 8+9 and 10 are one
 *
 * Blocks of neighbours, in order, add up to the tree: two that stand side by side below the same
 * node become one (blocks_meet), until one is left. */
#ifndef MODEL_BLOCKS_H
#define MODEL_BLOCKS_H

#include <stdint.h>

struct block {
	uint64_t first, size; /* a power of 2; first is a multiple of it */
};

/* The largest block that begins at `first` and ends by `end`; first < end. */
struct block blocks_next(uint64_t first, uint64_t end);

/* How many such blocks there are, one behind the other; 0 for none. */
int blocks_count(uint64_t first, uint64_t end);

/* `end`, or the power of 2 behind it where that is the end of all n units. */
uint64_t blocks_end(uint32_t end, uint32_t n);

/* Whether a and b, which follow each other, are the two halves of one block. */
int blocks_meet(const struct block *a, const struct block *b);

#endif
