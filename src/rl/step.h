/* step.h - what one step of training gathers on its way, and how it is told: metrics, samples, one
 * line on the screen.
 *
 * Names of metrics as in TRL where TRL has one; the rest under curriculum/, eval/, timing_s/, and
 * signal/. */
#ifndef RL_STEP_H
#define RL_STEP_H

#include "rl/diagnose.h"
#include "rl/job.h"

struct step {
	double started;
	double seconds_rollout, seconds_reward;
	/* sampled for this step; more than 1 with dynamic sampling */
	int           batches;
	struct groups sampled; /* everything that was sampled */
	struct groups guided;  /* answers under hints, to those of them that failed */
	/* [sampled.n] the same groups after guidance; without it they are the same */
	struct groups         edited;
	struct groups         used; /* what is trained on, of edited */
	double                learning_rate;
	struct learn_report   learn;
	struct guidance_stats guidance;
	double                seconds_guidance;
};

/* Answers and scores the picked problems: appends to s->sampled. */
int step_sample(struct job *job, const int *picked, int n, struct step *s);

/* From sampled group `first` on: appends to s->edited, with guided answers where guidance.h has
 * some. */
int step_guide(struct job *job, int first, struct step *s);

/* Tells the curriculum what came of the sampled groups: before learning, whose overlong shaping
 * edits the rewards of those it trains on. */
int step_observe(struct job *job, const struct step *s);

/* Writes the finished step (job->step) to metrics.jsonl, TensorBoard and the screen. */
int step_report(struct job *job, const struct step *s);

/* samples/step-N.jsonl.gz: up to run.save_samples answers of these groups, one JSON object each. */
int step_write_samples(struct job *job, const struct groups *groups);

#endif
