/* resample.h - which completions of a batch are trained on: as many as there are, drawn with
 * replacement (PF-PPO, arXiv:2409.06957, as in verl).
 *
 *     weight of a row   pow          |R|^resample_power
 *                       max_min      1 where R is the largest or the smallest of the batch, else 0
 *                       max_random   0.4 where R is the largest, else 0.1
 *     each plus 1e-8, so that a batch without any weight is drawn from evenly
 *
 * Advantages are those of the whole batch. A row without a reward has weight 0. */
#ifndef ESTIMATOR_RESAMPLE_H
#define ESTIMATOR_RESAMPLE_H

#include "base/rng.h"
#include "estimator/algorithm.h"
#include "estimator/batch.h"

/* Writes rows [R]: the numbers of the rows that were drawn, ascending. Reads reward. */
void resample_rows(const struct algorithm *a, const struct batch *b, struct rng_key key, int *rows);

#endif
