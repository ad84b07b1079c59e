/* step_report.h - what is told of a step: a line of metrics, a line on the screen, samples at the
 * end. */
#ifndef RL_STEP_REPORT_H
#define RL_STEP_REPORT_H

#include "rl/step.h"

/* Tells of the finished step (job->step): completes s->stats, counts its tokens, writes
 * metrics.jsonl, TensorBoard and the screen, and samples after the last step. */
int step_report(struct job *job, struct step *s);

/* Writes one line, of whatever kind, to metrics.jsonl and TensorBoard. */
int step_log(struct job *job, const struct metrics *m);

#endif
