/* recipe.h - from the words of a config to the parts of an algorithm.
 *
 * `algorithm: NAME` takes a row of the table in algorithm.c; every option of the room `loss` that
 * the config sets replaces one part of it; what it does not set (loss.epsilon alone sets
 * loss.epsilon_high too) is written back into the config, so that the resolved config shows what
 * was used. */
#ifndef RL_RECIPE_H
#define RL_RECIPE_H

#include "estimator/algorithm.h"
#include "run/config.h"

/* ERR_INPUT for an unknown name and for parts that do not go together; the message names the option
 * and where it was set. */
int recipe_algorithm(struct config *c, struct algorithm *out);

#endif
