/* outcome.h - what a curriculum is told of a group: accuracy, and |A| of each completion by the
 * definition in curriculum.h. */
#ifndef RL_OUTCOME_H
#define RL_OUTCOME_H

#include "base/memory.h"
#include "curriculum/curriculum.h"
#include "estimator/record.h"

/* Writes advantage [n]: |R_i - mean| / std over the usable rewards of one group, std unbiased.
 * Usable: finite and no larger than 1e30; the others get NaN. Exactly 0 where the usable ones are
 * equal or fewer than two. */
void outcome_advantages(const double *reward, int n, double *advantage);

/* out [n], with arrays from the arena. */
int outcome_of_groups(const struct group *groups, int n, struct arena *a,
                      struct curriculum_outcome **out);

#endif
