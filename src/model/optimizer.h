/* optimizer.h - AdamW (arXiv:1711.05101): from the gradient of a step to new weights.
 *
 *     norm = |g|                       over all tensors, before clipping
 *     g  <- g min(1, max_grad_norm / (norm + 1e-6))
 *     m  <- m + (1 - beta1) (g - m)
 *     v  <- beta2 v + (1 - beta2) g^2
 *     w  <- w (1 - rate * decay)       matrices only, not the gains of norms
 *     w  <- w - rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
 *
 * t counts the updates from 1. The order of operations is torch's, in f32; the factors that are the
 * same for all weights are computed in double.
 *
 * A gradient whose norm is not finite (or too large for v to hold its square) changes nothing: the
 * step is skipped and reported, so no NaN reaches the weights.
 *
 * Exact for any number of threads: each tensor is cut into blocks of OPTIMIZER_BLOCK weights from
 * its own start; a block's squares are summed in double in 16 lanes, blocks in order, then tensors
 * in order. The update is element by element.
 *
 * Of several ranks (base/ranks.h) each has the moments of its slice of the weights (slices.h) and
 * updates that. The sums of the tensors' squares go to all ranks, which add them up in the order of
 * the tensors, so the norm is the same bits everywhere; then the new weights go to all. */
#ifndef MODEL_OPTIMIZER_H
#define MODEL_OPTIMIZER_H

#include "model/safetensors.h"
#include "model/weights.h"

#include <stdint.h>

enum { OPTIMIZER_BLOCK = 4096 };

struct optimizer_options { /* zero is not a default: start from optimizer_defaults() */
	double beta1, beta2, epsilon;
	double weight_decay;
	double max_grad_norm; /* 0: no clipping */
};

struct optimizer_block;
struct optimizer {
	struct optimizer_options options;
	size_t                   n;      /* floats of the weights */
	struct arena             memory; /* one block for all below but `ranks`, owned */
	struct weights_span      mine;   /* the slice of this rank; of a single one, all */
	/* [mine.count] each, of the weights from mine.offset on */
	float   *m, *v;
	uint64_t step; /* updates done; a checkpoint keeps it */

	struct optimizer_block *blocks; /* [n_blocks] of the slice, tensors in order */
	double                 *sums;   /* [n_blocks] of squares */
	size_t                  n_blocks;

	struct arena         ranks;    /* holds what follows */
	struct weights_span *slices;   /* [ranks] */
	double              *squares;  /* [n_tensors] */
	struct ranks_piece  *out, *in; /* [ranks] */
};

struct optimizer_report {
	double grad_norm; /* before clipping */
	int    skipped;   /* the norm was not finite: weights, moments and step are as they were */
};

/* torch's, but no decay: 0.9, 0.999, 1e-8, 0; max_grad_norm 1 */
struct optimizer_options optimizer_defaults(void);

int  optimizer_new(const struct weights *w, const struct optimizer_options *o,
                   struct optimizer *out); /* ERR_INPUT for options out of range */
void optimizer_free(struct optimizer *o);
/* of such an optimizer, counted by the function that takes it, for the memory bill: of the rank
 * with the largest slice */
size_t optimizer_bytes(const struct weights *w);

/* Updates w->data from the gradient [n], of which it reads the slice, and which is not changed.
 * Allocates nothing. All ranks call it together; it fails only where one of them is lost. */
int optimizer_step(struct optimizer *o, struct weights *w, const float *gradient,
                   double learning_rate, struct optimizer_report *report);

/* Lists both moments of a tensor, in the order m, v, as what a file is to hold under such names.
 * Whatever rank has them, they are read as they are written (safetensors.h): all ranks write the
 * list together. In the arena. */
int optimizer_items(const struct optimizer *o, const struct tensor *t, struct arena *a,
                    struct safetensors_item out[2]);
/* Where the moment 'm' or 'v' of a tensor stands; NULL: on another rank. */
float *optimizer_moment(const struct optimizer *o, const struct tensor *t, char moment);

/* The moments as "m.<tensor>" and "v.<tensor>", F32, bit for bit. `step` is the caller's to keep.
 * All ranks save together: path NULL: this one writes nothing, and gives what it has.
 * Loading refuses a file that is of another model or holds a number that no moment can be; the
 * optimizer is then as it was, or partly overwritten: free it. A rank reads its slice. */
int optimizer_save(const struct optimizer *o, const struct weights *w, const char *path);
int optimizer_load(struct optimizer *o, const struct weights *w, const char *path);

#endif
