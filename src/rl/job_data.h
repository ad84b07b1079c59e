/* job_data.h - the part of a job that is learned from: problems, the verifiers that judge
 * completions of them, the prompts that the model sees, and the findings about them.
 *
 * It opens in two steps, because a tokenizer of characters is made from the problems, and prompts
 * are made with a tokenizer:
 *
 *     job_data_read      files and generators -> problems
 *     job_data_render    verifiers; problems that they can judge -> prompts as ids; worked
 *                        completions (sft.h); findings; the mixture */
#ifndef RL_JOB_DATA_H
#define RL_JOB_DATA_H

#include "rl/findings.h"
#include "rl/job_config.h"
#include "rl/problems.h"
#include "run/progress.h"
#include "verify/verifier.h"
#include "world/environment_program.h"

enum job_kind { JOB_TRAIN, JOB_SFT };

struct worked {                       /* a completion to learn from, with its end token */
	const int           *ids;     /* [n] */
	const unsigned char *trained; /* [n] 0: an observation of its environment */
	int                  n;
};

struct job_data {
	const struct job_config    *config;      /* borrowed */
	struct problem_set          train, eval; /* eval.n == 0: no evaluation */
	struct reward_spec          reward, eval_reward;
	struct worked              *worked; /* [train.n] by problem; of sft */
	struct environment_program *world;  /* of task.environment; or NULL */
	struct findings             findings;
	struct arena                arena;
};

int job_data_read(const struct job_config *c, struct job_data *out);

struct job_reader { /* who reads the prompts; borrowed */
	const struct tokenizer *tokenizer;
	int                     n_positions, eos; /* of the model */
	struct progress        *progress;         /* shows what a verifier's command says */
};
int  job_data_render(enum job_kind kind, const struct job_reader *reader, struct job_data *d);
void job_data_close(struct job_data *d);

/* Whether a program of the user's would be run: see options_allow_command (cli/command.h). */
int job_data_runs_program(const struct job_data *d);

/* How this job's prompts are made. */
struct prompts_options job_data_prompts(const struct job_data *d, const struct job_reader *reader);

#endif
