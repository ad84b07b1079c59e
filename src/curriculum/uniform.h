/* uniform.h - every problem once per epoch, in an order that depends on (seed, epoch) alone: one
 * deck (deck.h) of all problems.
 *
 * The whole state is the position. Outcomes are ignored. An arm's probability is its share of the
 * problems. */
#ifndef CURRICULUM_UNIFORM_H
#define CURRICULUM_UNIFORM_H

#include "curriculum/curriculum.h"

extern const struct curriculum_kind curriculum_uniform;

#endif
