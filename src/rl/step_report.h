/* step_report.h - what is told of a step: a line of metrics, a line on the screen, samples at the
 * end. */
#ifndef RL_STEP_REPORT_H
#define RL_STEP_REPORT_H

#include "rl/job.h"
#include "rl/step.h"

/* Tells of the finished step (job->record.step): completes s->stats, counts its tokens, writes
 * metrics.jsonl, TensorBoard and the screen, and samples after the last step. */
int step_report(struct job *job, struct step *s);

#endif
