/* uniform.h - every problem once per epoch, in an order that depends on (seed, epoch) alone.
 *
 *     position   0 1 2 ... n-1 | n ... 2n-1 | ...        epoch = position / n
 *     problem    order_epoch[position mod n]             order_epoch: the permutation keyed (seed, RNG_ORDER, epoch)
 *
 * The whole state is the position. Outcomes are ignored. */
#ifndef CURRICULUM_UNIFORM_H
#define CURRICULUM_UNIFORM_H

#include "curriculum/curriculum.h"

extern const struct curriculum_kind curriculum_uniform;

#endif
