/* job_sampler.h - the part of a job that picks problems and samples completions of them, or takes
 * them from a file: curriculum, decoder, rollout options, guidance, replay. */
#ifndef RL_JOB_SAMPLER_H
#define RL_JOB_SAMPLER_H

#include "curriculum/curriculum.h"
#include "rl/guidance.h"
#include "rl/job_learner.h"
#include "rl/replay.h"
#include "rl/rollout.h"

struct job_sampler {
	const struct job_config *config; /* borrowed */
	struct curriculum       *curriculum;
	struct decoder          *decoder; /* NULL for sft without evaluation */
	int                      longest; /* tokens of prompt and completion, at most */
	struct rollout_sampling  rollout;
	struct earlier           earlier;  /* with rollout.speculate */
	struct deal_lengths *eval_lengths; /* of held-out prompts; those of training: in rollout */
	struct guidance      guidance;     /* its hinted prompts serve sft.hint_rate, too */
	struct replay        replay;       /* n == 0: completions are sampled */
	struct arena         arena;
};

/* Writes into the config what recorded completions and the kind of curriculum decide. It samples
 * with the learner's model. */
int  job_sampler_open(enum job_kind kind, struct job_config *c, const struct job_data *data,
                      const struct job_learner *learner, struct job_sampler *out);
void job_sampler_close(struct job_sampler *s);

/* job_replay.c, job_curriculum.c */
int job_replay_open(struct job_config *c, const struct job_data *data,
                    const struct job_learner *learner, struct job_sampler *s);
int job_curriculum_open(enum job_kind kind, struct job_config *c, const struct job_data *data,
                        struct job_sampler *s);

#endif
