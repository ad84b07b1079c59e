/* task_options.h - the options task.*: which verifiers give the reward, which one decides what is
 * right, and their settings. */
#ifndef VERIFY_TASK_OPTIONS_H
#define VERIFY_TASK_OPTIONS_H

#include "base/option.h"
#include "verify/verifier.h"
#include "world/environment_program.h"

struct task_reward { /* one row of task.rewards */
	const char *name;
	double      weight;
};

struct task_options {
	const char *reward, *eval_reward; /* empty: not named */
	int         permute_rewards, token_rewards;
	struct {
		struct task_reward *items;
		int                 n;
	} rewards;
	/* one set for all verifiers; an empty text means none. task_verifier_options completes
	 * it */
	struct verifier_options verifier;
	int                     interval_relations;
	/* of problems that name none */
	struct environment_program_options environment;
};
extern const struct option_table task_options_table;

struct verifier_options task_verifier_options(const struct task_options *t);

/* The verifier that decides what is right (rl/reward.h); "" if none is named. */
const char *task_judge(const struct task_options *t);

#endif
