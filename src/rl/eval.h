/* eval.h - how good the model is on problems it does not learn from.
 *
 * Completions are sampled with keys of their own (RNG_EVAL, no step in them), so that two
 * evaluations of the same weights agree and evaluations of a run can be compared pairwise. pass@1,
 * pass@k, maj@n and their standard errors: tally.h. */
#ifndef RL_EVAL_H
#define RL_EVAL_H

#include "rl/job.h"

/* Completions of the problems first .. first + n - 1 of the prompts: sampled, scored, voting.
 * APPENDS one group for each. `r` with purpose RNG_EVAL. */
int eval_sample(struct decoder *d, const struct rollout_options *r, const struct prompts *prompts,
                int first, int n, const struct reward_spec *judge, struct arena *a,
                struct groups *groups);

/* When run.eval_steps says so of the step at hand, and always at the last one: evaluates, logs
 * eval/..., writes samples, remembers first and last. */
int eval_due(struct job *job);

/* ADDS "held out: pass@1 24.0% +- 6.0 at step 8, 38.0% +- 6.9 after", by the first evaluation of
 * the run and the newest one; nothing before any. "before" is said of step 0 alone, and "after" of
 * the last step. */
void eval_summary(const struct job *job, struct text *out);

#endif
