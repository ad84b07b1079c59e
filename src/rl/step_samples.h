/* step_samples.h - samples/step-N.jsonl.gz: completions as they were at step N, for people and for
 * the report. One JSON object a line. Which files there are: run/samples.h */
#ifndef RL_STEP_SAMPLES_H
#define RL_STEP_SAMPLES_H

#include "rl/job_config.h"
#include "rl/rollout.h"
#include "text/tokenizer.h"
#include "verify/verifier.h"

struct step_samples { /* whose completions they are; borrowed */
	const struct job_config  *config;
	const struct tokenizer   *tokenizer;
	const struct reward_spec *reward; /* that judged them: it names the components */
	int                       step;
};

/* Writes the first completion of each of up to run.save_samples groups; nothing when that is 0. */
int step_samples_write(const struct step_samples *s, const struct groups *groups, struct arena *a);

#endif
