/* eval.h - how good the model is on problems it does not learn from.
 *
 * Answers are sampled with keys of their own (RNG_EVAL, no step in them), so that two evaluations of the same weights agree and evaluations of a run
 * can be compared pairwise. pass@1, pass@k, maj@n and their standard errors: tally.h. */
#ifndef RL_EVAL_H
#define RL_EVAL_H

#include "rl/job.h"

struct eval_options {
	int   samples, k; /* answers to each problem; the k of pass@k */
	float temperature, top_p;
};

/* Evaluates on job->eval; *groups (in the step's arena) holds the answers. */
int eval_run(struct job *job, const struct eval_options *o, struct groups *groups, struct tallies *out);

/* When run.eval_steps says so at job->step (and always at the last one): evaluates, logs eval/..., writes samples, remembers first and last. */
int eval_due(struct job *job);

#endif
