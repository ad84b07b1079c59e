/* step_stats.h - everything that a line of metrics.jsonl is made of: one struct of numbers, filled
 * on the way through a step or an evaluation, and the table that names each of them.
 *
 * Numbers are sums and counts, or finished values where a sum would not do; the row of the table in
 * step_metrics.c says which, and divides. To add a metric: a field here or in one of the structs
 * below, the line that fills it, a row of the table, and `make docs`.
 *
 * What was sampled is measured with the rewards as the verifiers gave them, without the penalty of
 * overlong shaping. */
#ifndef RL_STEP_STATS_H
#define RL_STEP_STATS_H

#include "math/statistics.h"
#include "rl/eval.h"
#include "rl/guidance.h"
#include "rl/learn.h"
#include "verify/verifier.h"

struct sampled_stats {                 /* sums over all completions of a step unless said */
	double completions, generated; /* completions; tokens that the model wrote */
	double seen;                   /* tokens of the completions and of their prompts */
	double failed;                 /* completions on which a verifier had no verdict */
	double judged, right;          /* completions whose mark is known; right ones */
	double invalid;                /* completions whose reward could not be computed */
	double length, length_min, length_max;
	double clipped, entropy; /* completions that were cut off; entropies of all tokens */
	double length_ended; /* mean length of those that ended by themselves; 0 when none did */
	double turns;
	double completions_in_turns; /* all of them in a step with turns, else 0 */
	double groups, groups_constant,
	        group_std; /* groups; with equal rewards; sum of their std */
	struct statistics_mean reward, component[REWARD_PARTS]; /* of those that could be computed;
	                                                           deviation 0 below two */
};

struct step_stats {
	int    step;       /* finished steps */
	double num_tokens; /* so far */
	double num_seen;   /* tokens of prompts and completions so far */

	/* Of a step of training or of SFT. */
	double                seconds, learning_rate;
	double                loss, entropy, entropy_tokens;
	struct sampled_stats  sampled;
	struct guidance_stats guidance;
	struct learn_report   learn;
	double                kl, kl_tokens;       /* sum over tokens, wherever it enters */
	double                clipped;             /* tokens past either bound of the ratio */
	double                plain_tokens;        /* trained ones that are not guided */
	double                value_learning_rate; /* of the critic */
	int                   batches;             /* more than 1 with dynamic sampling */
	int                   signal;              /* enum diagnosis */
	double                seconds_rollout, seconds_reward, seconds_guidance;
	double                seconds_learn; /* all of the learning */

	/* Of an evaluation. */
	struct eval_result eval;
	int                eval_errors;  /* there are problems enough for standard errors */
	int                eval_command; /* the judge is a command, which may have no verdict */
};

/* Writes the statistics of these groups; scratch from `a`. */
int sampled_stats_of(const struct groups *groups, struct arena *a, struct sampled_stats *out);

#endif
