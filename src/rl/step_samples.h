/* step_samples.h - samples/step-N.jsonl.gz: completions as they were at step N, for people and for
 * the report. One JSON object a line. Which files there are: run/samples.h */
#ifndef RL_STEP_SAMPLES_H
#define RL_STEP_SAMPLES_H

#include "rl/job_config.h"
#include "rl/rollout.h"
#include "text/tokenizer.h"

/* Writes the first completion of each of up to run.save_samples groups; nothing when that is 0. */
int step_samples_write(const struct job_config *c, const struct tokenizer *tokenizer, int step,
                       const struct groups *groups, struct arena *a);

#endif
