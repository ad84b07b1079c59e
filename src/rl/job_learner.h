/* job_learner.h - the part of a job that changes: the model, and all that moves its weights.
 *
 *     job_learner_open      algorithm, tokenizer, weights, adapter, reference (job_model.c), then
 *                           policy, schedule, credit, critic
 *     job_learner_replay    what recorded completions change: they may be stale, and the share of
 *                           good ones among them can decide the baseline */
#ifndef RL_JOB_LEARNER_H
#define RL_JOB_LEARNER_H

#include "model/schedule.h"
#include "rl/job_data.h"
#include "rl/learn.h"
#include "rl/replay.h"

struct job_learner {
	const struct job_config *config; /* borrowed */
	struct matmul           *mm;
	struct tokenizer        *tokenizer;
	/* where the weights came from; NULL: they were made from model.init */
	char                *model_folder;
	struct model        *model, *reference; /* reference: NULL when the algorithm needs none */
	struct policy        policy;
	struct critic        critic;   /* nothing in it unless learn.critic points to it */
	struct schedule      schedule; /* of the policy's learning rate */
	struct learn_options learn;    /* with the algorithm, whose beta a controller moves */
	struct arena         arena;
};

/* Writes the algorithm's values into the config for options that are not set (recipe.h). A
 * tokenizer of characters is made from the problems. */
int  job_learner_open(enum job_kind kind, struct job_config *c, const struct job_data *data,
                      struct job_learner *out);
int  job_learner_replay(const struct replay *replay, struct job_learner *l);
void job_learner_close(struct job_learner *l);

/* For job_data_render. */
struct job_reader job_learner_reader(const struct job_learner *l);

/* The schedules again, of the policy and the critic, where run.max_steps is another now. */
int job_learner_schedules(struct job_learner *l);

/* A schedule of the config with another peak: the critic has a rate of its own. */
int job_learner_schedule(const struct job_config *c, double learning_rate, struct schedule *out);

/* job_model.c: the tokenizer, the model and, where `reference` says so, the frozen one. */
int job_model_open(const struct job_data *data, int reference, struct job_learner *l);

#endif
