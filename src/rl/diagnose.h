/* diagnose.h - why a batch teaches nothing, in words that say what to change.
 *
 * A batch whose advantages are all 0 moves no weight, or moves it by the KL term alone. That has
 * few causes, and each has a cure: */
#ifndef RL_DIAGNOSE_H
#define RL_DIAGNOSE_H

#include "estimator/algorithm.h"
#include "estimator/record.h"

enum diagnosis { /* the numbers stand in metrics.jsonl (signal/problem): new ones go to the end */
	         SIGNAL_FINE,
	         SIGNAL_ALL_RIGHT, /* every completion is right: harder problems */
	         /* every completion was cut off: more room, or a warm start that teaches to end */
	         SIGNAL_ALL_TRUNCATED,
	         /* no completion in the expected form was found: the format, or a warm start */
	         SIGNAL_NOTHING_PARSED,
	         /* completions were read and none is right: easier problems, more samples, a
	          * warm start */
	         SIGNAL_ALL_WRONG,
	         SIGNAL_ALL_EQUAL, /* equal rewards within every group for another reason */
	         SIGNAL_INVALID,   /* no reward could be computed */
	         /* every completion was cut off, and by then none had the expected form: what a
	          * random model gives */
	         SIGNAL_NOTHING_REACHED,
	         /* one and the same reward, which is not 0, for everything although not all is
	          * right: partial credit, or a blind verifier */
	         SIGNAL_CONSTANT,
	         /* a reward so large that sums and squares of rewards are not finite */
	         SIGNAL_OVERFLOW,
	         /* every completion was cut off, by the model's positions and not by
	          * rollout.max_completion_length */
	         SIGNAL_CONTEXT,
	         /* the policy knows one completion a problem, and that is not right */
	         SIGNAL_COLLAPSED,
	         /* rewards differ, but only in completions that are not trained on */
	         SIGNAL_MASKED,
	         SIGNAL_PROBLEMS
};

/* Over the groups of a step, after rewards: FINE when some group's rewards (with their penalty)
 * differ. Completions count as cut off by the context when that stopped more than half of them, and
 * the policy as collapsed below COLLAPSED_ENTROPY nats a generated token (0.999 for one token at
 * every place). */
#define COLLAPSED_ENTROPY 1e-3
enum diagnosis diagnose(const struct group *groups, int n);

/* The same after learning, when the advantages decide: a constant baseline makes a signal of equal
 * rewards, and a mask takes that of different ones away. A KL term in the reward makes advantages
 * too, though no reward differs from those that it is compared with: that is no signal. */
struct diagnose_step {
	const struct group *groups; /* [n] that were sampled */
	int                 n, n_used;
	double              advantage; /* sum of |A| over what was trained */
	enum baseline       baseline;  /* what rewards are compared with */
	int                 kl_in_reward;
};
enum diagnosis diagnose_learned(const struct diagnose_step *step);

const char *diagnosis_advice(enum diagnosis d); /* one line; static */

#endif
