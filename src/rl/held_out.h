/* held_out.h - how good the model of a run is on problems that it does not learn from (eval.h). */
#ifndef RL_HELD_OUT_H
#define RL_HELD_OUT_H

#include "rl/job_data.h"
#include "rl/job_record.h"
#include "rl/job_sampler.h"

/* Whether the evaluations of this run will measure the number of this name. */
int held_out_measures(const struct job_data *data, const char *name, int *is);

/* When run.eval_steps says so of the step at hand, and always at the last one: resets the arena,
 * evaluates, logs eval/..., remembers the first, the newest and the best evaluation, and writes
 * samples. */
int held_out_due(const struct job_data *data, const struct job_sampler *sampler,
                 struct job_record *r, struct arena *a);

/* ADDS "held out: pass@1 24.0% +- 6.0 at step 8, 38.0% +- 6.9 after", by the first evaluation of
 * the run and the newest one; nothing before any. "before" is said of step 0 alone, and "after" of
 * step max_steps. */
void held_out_summary(const struct job_record *r, int max_steps, struct text *out);

#endif
