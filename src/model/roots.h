/* roots.h - of several ranks (base/ranks.h), how the gradient of a step becomes whole: each rank
 * has added up the units that are its own, as blocks of the fixed tree (blocks.h); the owner of a
 * slice (slices.h) gets all blocks' roots of its slice and finishes the tree there.
 *
 *     units      0 1 2 3 4 | 5 6 7 8 9         of ranks 0 and 1
 *     roots      0123  4   | 5  67  89..15     each a vector of n floats
 *     sum        ((0123) + ((4 + 5) + 67)) + 89..15     on each slice, by its owner
 *
 * These are the additions of one process, in its order, whatever the number of ranks and wherever
 * their borders are. A rank with b roots sends b times the floats of all slices but its own, and
 * gets for its slice the roots of all others. They come in pieces of ROOTS_PIECE floats, so that
 * no second vector is held. */
#ifndef MODEL_ROOTS_H
#define MODEL_ROOTS_H

#include "base/memory.h"
#include "model/weights.h"

#include <stdint.h>

enum { ROOTS_PIECE = 1 << 18 };

struct roots {
	uint32_t        n_units; /* of all ranks */
	const uint32_t *share;   /* [ranks + 1] rank r has the units share[r] .. share[r+1]-1 */
	float *const   *mine;    /* this rank's roots in order; scratch afterwards */
	float          *sum;     /* the same floats as mine[0] */
};

/* How many roots the rank of these units has. */
int roots_count(uint32_t first, uint32_t end, uint32_t n_units);

/* Writes the sum of this rank's span; spans: [ranks], the part of the vector that each of them
 * finishes. All ranks call it together. Scratch in `a`. */
int roots_add(const struct roots *r, const struct weights_span *spans, struct arena *a);

/* For bills: scratch of ranks with so many roots together. */
size_t roots_bytes(int n_roots);

#endif
