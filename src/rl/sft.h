/* sft.h - supervised warm start: the loop of train.c with worked completions instead of sampled
 * ones.
 *
 * The text to learn is a problem's first demonstration, or else its answer, followed by the end
 * token. An episode (world/environment.h) is tokenized piece by piece as in a rollout; its
 * observations carry no loss, and it needs no end token, as its environment ends it. Only the
 * tokens of the completion carry loss: the mean over all of them in a step of -log p. It runs
 * through the same policy_update as reinforcement learning: coefficient -1/tokens on each. */
#ifndef RL_SFT_H
#define RL_SFT_H

#include "rl/job.h"

/* Tokenizes the worked completions once, while the job is opened: a bad row is refused before
 * anything is written. A problem whose prompt and worked completion are longer than the model's
 * positions is left out, counted and named, or an error (data.overlong_prompts). Before the prompts
 * are mixed. */
int sft_open(const struct job_reader *reader, struct job_data *d);

int sft_run(struct job *job);

/* One step of it, for loop.h. */
int sft_step(struct job *job);

#endif
