/* step.h - what one step of training gathers on its way: groups, and statistics to tell of them.
 *
 * These functions act. step_report.h tells what came of it, step_samples.h keeps completions. */
#ifndef RL_STEP_H
#define RL_STEP_H

#include "rl/job_data.h"
#include "rl/job_sampler.h"
#include "rl/step_stats.h"

struct step {
	int               number; /* finished steps before it */
	struct arena     *arena;  /* of the step */
	double            started;
	struct step_stats stats;
	struct groups     sampled; /* everything that was sampled */
	struct groups     guided;  /* completions under hints, for those of them that failed */
	/* [sampled.n] the same groups after guidance; without it they are the same */
	struct groups edited;
	struct groups used; /* what is trained on, of edited */
};

/* Samples completions of the picked problems and scores them: appends to s->sampled. */
int step_sample(const struct job_data *data, const struct job_sampler *sampler, const int *picked,
                int n, struct step *s);

/* From sampled group `first` on: appends to s->edited, with guided completions where guidance.h has
 * some. */
int step_guide(const struct job_data *data, const struct job_sampler *sampler, int first,
               struct step *s);

/* Tells the curriculum what came of the sampled groups: before learning, whose overlong shaping
 * edits the rewards of those it trains on. */
int step_observe(struct job_sampler *sampler, const struct step *s);

#endif
