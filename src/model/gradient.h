/* gradient.h - the sum of a step's gradients in a fixed order.
 *
 * Each unit u (see packing.h) gives one gradient vector. They are added as a binary tree over the
 * unit number: level by level node 2i + node 2i+1, an odd last node moves up unchanged. So threads,
 * micro-batches and (later) ranks change nothing, bit for bit. It is done with a stack, like
 * carrying in a binary counter: unit u is written to level popcount(u); for each trailing 1 of u
 * the top is added to the level below.
 *
 *     u      0   1        2   3                    4   finish
 *     stack  0   0,1→01   01,2   01,2,3→01,23→0123   0123,4   01234
 *
 * Only levels at which some unit waits for another one are held in full: what an odd unit writes is
 * merged at once. Where no even unit stands on the top level (every number of units but 1, 3, 7,
 * ...: of 4 units, unit 3 alone stands on level 2) there is room for one piece instead, as all that
 * is merged in one call lies within three neighbouring tensors (weights.h).
 *
 * Tensors may be added in any order and at different times, each tensor unit by unit. When the head
 * is tied to the embedding, the head's part has a place of its own behind the vector and is added
 * to the embedding in gradient_finish. */
#ifndef MODEL_GRADIENT_H
#define MODEL_GRADIENT_H

#include "model/weights.h"

enum { GRADIENT_LEVELS_MAX = 32 };

struct gradient {
	size_t n;       /* floats of the weights */
	size_t n_extra; /* V*D when tied, else 0 */
	size_t embed;   /* offset of the embedding, for the tied part */
	/* added so far in this step; model_backward counts them */
	uint32_t n_units;
	int      n_levels; /* held in full */
	/* [n + n_extra] each; level[0] holds the sum after gradient_finish */
	float *level[GRADIENT_LEVELS_MAX];
	size_t n_piece;
	float *piece; /* [n_piece] in place of the level above; NULL: no unit stands there */
};

/* room for that many units */
int    gradient_new(const struct weights *w, int n_units_max, struct gradient *out);
void   gradient_free(struct gradient *g);
size_t gradient_bytes(const struct weights *w, int n_units_max);
/* a new step of so many units; allocates what is missing */
int gradient_begin(struct gradient *g, uint32_t n_units);

/* Where unit u writes `count` floats from `offset` (overwrite, not add), and after it was written:
 * before another slot is asked for. */
float *gradient_slot(struct gradient *g, uint32_t u, size_t offset);
void   gradient_merge(struct gradient *g, uint32_t u, size_t offset, size_t count);

/* The next `count` units have a gradient of zeros: what is written is what a unit writes whose
 * coefficients are 0, since every sum over its tokens begins with 0. w: as in gradient_new. */
void gradient_add_zeros(struct gradient *g, const struct weights *w, uint32_t count);

/* Folds what is left, adds the tied part. A step with no unit gives zeros. */
void gradient_finish(struct gradient *g);

#endif
