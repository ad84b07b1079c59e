/* train.h - the loop: act, learn, remember. */
#ifndef RL_TRAIN_H
#define RL_TRAIN_H

#include "rl/job.h"

/* Runs the job from its current step to run.max_steps, or until a signal asks to stop; either way
 * the last thing it does is a checkpoint. ERR_FAILED when updates keep being skipped because
 * gradients are not finite. */
int train_run(struct job *job);

/* One step of it, for loop.h. */
int train_step(struct job *job);

#endif
