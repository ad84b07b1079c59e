/* slices.h - of several ranks (base/ranks.h), which part of a vector of weights each one finishes
 * and updates.
 *
 * Slices are contiguous, cover the vector in the order of the ranks and end on borders of tensors,
 * the largest as small as that allows: a model whose embedding is a quarter of it has a largest
 * slice of a quarter, however many ranks there are. With one rank the slice is the vector; with
 * more ranks than tensors some are empty. */
#ifndef MODEL_SLICES_H
#define MODEL_SLICES_H

#include "model/weights.h"

/* *out: [ranks_count()], one for each rank, in the arena. */
int slices_cut(const struct weights *w, struct arena *a, struct weights_span **out);

/* Floats of the largest slice, for bills. */
size_t slices_largest(const struct weights *w);

#endif
