/* sequential.h - the problems in the order of the data, again from the first when all were there.
 *
 * The whole state is the position. Outcomes are ignored; nothing is drawn, so an arm has no
 * probability. */
#ifndef CURRICULUM_SEQUENTIAL_H
#define CURRICULUM_SEQUENTIAL_H

#include "curriculum/curriculum.h"

extern const struct curriculum_kind curriculum_sequential;

#endif
