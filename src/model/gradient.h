/* gradient.h - the sum of a step's gradients in a fixed order.
 *
 * Each unit u (see packing.h) gives one gradient vector. They are added as a binary tree over the
 * unit number: level by level node 2i + node 2i+1, an odd last node moves up unchanged. So threads,
 * micro-batches and ranks change nothing, bit for bit. It is done with a stack, like carrying in a
 * binary counter: unit u is written above the blocks (blocks.h) that wait, popcount(u) of them; for
 * each trailing 1 of u the top is added to the level below.
 *
 *     u      0   1        2   3                    4   finish
 *     stack  0   0,1→01   01,2   01,2,3→01,23→0123   0123,4   01234
 *
 * The stack is held for a part of the vector at a time, the window. Units go by in passes, runs of
 * 2^k of them; within a pass each window is opened once, all units of the pass write it, and it is
 * closed. So only what waits between two passes is held in full. Before pass i, i > 0, these are
 * popcount(i) subtrees: one level for up to three passes, two for up to seven, ... A step in one
 * pass holds one vector, its result.
 *
 * Of several ranks each adds up the units of its share, in passes of its own that end at multiples
 * of 2^k, and holds in full what it cannot add up alone: one vector where its share is one block.
 * gradient_finish exchanges these roots (roots.h); each rank then has the sum of its slice.
 *
 * Within a window tensors may be written in any order, each tensor unit by unit. Units named silent
 * write nothing: they count as zeros, which is what a unit writes whose coefficients are 0, since
 * every sum over its tokens begins with 0.
 *
 * When the head is tied to the embedding, the head's part has a place of its own behind the vector
 * and is added to the embedding in gradient_finish. */
#ifndef MODEL_GRADIENT_H
#define MODEL_GRADIENT_H

#include "model/weights.h"

enum { GRADIENT_LEVELS_MAX = 64 };

struct gradient_units { /* of a step */
	uint32_t n;
	/* units of a pass: a power of 2; 0: the step is one pass */
	uint32_t per_pass;
	/* [n] 1: the unit's gradient is zeros, and nobody writes it; borrowed; NULL: none is */
	const unsigned char *silent;
	/* [ranks + 1] rank r writes the units share[r] .. share[r+1]-1; borrowed; NULL: this
	 * process writes all */
	const uint32_t *share;
};

struct gradient {
	size_t                n;       /* floats of the weights */
	size_t                n_extra; /* V*D when tied, else 0 */
	size_t                embed;   /* offset of the embedding, for the tied part */
	struct weights_span  *slices;  /* [ranks] of the n floats */
	struct arena          arena;   /* holds them; scratch of gradient_finish */
	struct gradient_units units;
	uint32_t              begin, last; /* this rank's units are begin .. last-1 */
	/* units of the pass at hand; the first of them that is not silent, or end */
	uint32_t first, end, first_written;
	int      n_levels; /* held in full */
	/* [n + n_extra] each; level[0] holds the sum after gradient_finish: of the slice of this
	 * rank */
	float *level[GRADIENT_LEVELS_MAX];
	/* the levels above them, [n_above] of `room` floats, for the `count` floats from `offset`
	 * on */
	size_t offset, count, room;
	int    n_above, is_open;
	int    n_needed; /* levels of the step at hand, in full and of the window */
	float *above;
};

int  gradient_new(const struct weights *w, struct gradient *out);
void gradient_free(struct gradient *g);
/* For steps of at most so many units, no window larger than that many floats; of several ranks as
 * if all units were equal work. */
size_t gradient_bytes(const struct weights *w, const struct gradient_units *units, size_t window);

/* A new step; allocates what is missing. Its first pass has begun. */
int  gradient_begin(struct gradient *g, const struct gradient_units *units);
void gradient_next_pass(struct gradient *g);

/* All units of the pass write `count` floats from `offset` on, between these two. */
int  gradient_open(struct gradient *g, size_t offset, size_t count);
void gradient_close(struct gradient *g);

/* Where unit u writes `count` floats from `offset` (overwrite, not add), and after it was written:
 * before another slot is asked for. */
float *gradient_slot(struct gradient *g, uint32_t u, size_t offset, size_t count);
void   gradient_merge(struct gradient *g, uint32_t u, size_t offset, size_t count);

/* All units of the pass are silent. */
int gradient_add_zeros(struct gradient *g);

/* Adds the tied part. A step with no unit gives zeros. Of several ranks all call it; then all have
 * what they own of the sum, and what else stands in level[0] is of no use. */
int gradient_finish(struct gradient *g);

#endif
