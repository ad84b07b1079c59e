/* loop.h - the life of a job, whatever a step of it is: evaluate, step, save, until all steps are
 * done, the run gets no better (best.h) or a signal asks for an end.
 *
 * A step that is stopped before its first update is as if it had never begun: the weights are as
 * they were, the curriculum is put back, nothing was logged; since all chance is keyed, the step
 * comes again with the same bits after --resume. From its first update on a step is finished. An
 * evaluation that is stopped is made up for when the run is resumed.
 *
 * Of several ranks (base/ranks.h) each runs this loop. They meet at the end of every step, of every
 * evaluation and of every checkpoint; whether the loop goes on is decided there. */
#ifndef RL_LOOP_H
#define RL_LOOP_H

#include "rl/job.h"

/* `step` does one step and counts it, or returns STOPPED without having changed anything but the
 * curriculum. */
int loop_run(struct job *job, int (*step)(struct job *job));

/* Whether no step is left: all are done, or run.patience is used up (best.h). */
int loop_is_over(const struct job *job);

#endif
