/* recipe.h - from a config to the parts of an algorithm.
 *
 * `algorithm: NAME` takes a row of the table in algorithm.c; every option of the room loss that the
 * config sets replaces one part of it, and those of guidance say how guided rows are bounded. What
 * the config does not set (loss.epsilon alone sets loss.epsilon_high too) is laid under it, so that
 * the resolved config shows what was used. */
#ifndef RL_RECIPE_H
#define RL_RECIPE_H

#include "rl/job_config.h"

/* ERR_INPUT for parts that do not go together; the message names the option and where it was
 * set. */
int recipe_algorithm(struct job_config *c, struct algorithm *out);

#endif
