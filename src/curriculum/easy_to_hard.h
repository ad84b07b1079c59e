/* easy_to_hard.h - level by level, so many steps each: the schedule by hand that adaptive curricula
 * are compared with.
 *
 *     level of step k    min(k / steps_per_level, last); the last level stays until the end
 *     within a level     shuffled passes without repetition; each level is a deck of its own
 *                        (deck.h)
 *
 * Options:
 *     levels = 0         a level is all problems of one difficulty
 *     levels = K > 0     the problems sorted by difficulty (ties by number), cut into K parts as
 *                        equal as they go: for difficulties on a fine scale
 *     cumulative         the levels before stay in the mix: all problems up to the level, each
 *                        equally likely
 *     hard_first         the levels backwards: the negative control
 *
 * Outcomes are ignored; a step is a call of curriculum_observe. State: the step and the position of
 * each level's deck. Every problem needs a difficulty. */
#ifndef CURRICULUM_EASY_TO_HARD_H
#define CURRICULUM_EASY_TO_HARD_H

#include "curriculum/curriculum.h"

extern const struct curriculum_kind curriculum_easy_to_hard;

#endif
