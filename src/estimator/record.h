/* record.h - what a step of learning is made of: completions, and the groups they belong to.
 *
 *     group    one problem and its G completions; the gold answer travels inside, as group->problem
 *     rollout  one completion: its ids as sampled (text is never tokenised again), what was seen
 *              while sampling, what came of it
 *
 * Groups are found by id, never by position: they may be shuffled, dropped or drawn again (dynamic
 * sampling). Plain data. Everything is borrowed from the arena of the step; after sampling only
 * `reward`, `penalty` and the contexts are edited.
 *
 * The estimators see the rollouts of a step as the rows of a batch (batch.h). */
#ifndef ESTIMATOR_RECORD_H
#define ESTIMATOR_RECORD_H

#include "base/ending.h"

#include <stddef.h>
#include <stdint.h>

struct problem; /* src/data/problem.h */

enum mark { MARK_UNKNOWN = -1, MARK_WRONG, MARK_RIGHT };
const char *mark_name(enum mark m); /* as files have it: "null", "false", "true" */

enum source { SOURCE_OWN, SOURCE_HINTED, SOURCE_TEACHER, SOURCE_DEMONSTRATION };

struct context { /* a prompt as the model sees it; completions that share one share the pointer */
	const int *ids; /* [n] */
	int        n;
};

enum span_kind { SPAN_THINK, SPAN_PLAN, SPAN_ANSWER, SPAN_TURN, SPAN_OBSERVATION, SPAN_KINDS };
/* "think", "plan", "answer", "turn", "observation" */
extern const char *const span_kind_name[SPAN_KINDS];
struct completion_span { /* tokens first .. first+count-1 of a completion */
	enum span_kind kind;
	int            first, count;
};

struct rollout {
	/* ids, logp and entropy were made under the first context; the gradient is taken under the
	 * second one. The same pointer for plain completions. */
	const struct context *sampled_under, *trained_under;

	int                           n;       /* tokens, end-of-sequence included; > 0 */
	const int                    *ids;     /* [n] */
	const unsigned char          *trained; /* [n] 0: no loss (tool output) */
	const float                  *logp;    /* [n] as sampled, with the temperature in it */
	const float                  *entropy; /* [n] as sampled */
	const struct completion_span *spans;   /* [n_spans] in order, without overlap */
	int                           n_spans;
	struct world_outcome          outcome; /* where a program played it */

	/* [n_text] decoded once, for verifiers and samples: what the prompt has begun, then the
	 * completion without special tokens */
	const char *text;
	size_t      n_text;
	int         parsed; /* the first verifier found an answer in it, right or wrong */
	int         failed; /* a verifier had no verdict */
	/* number in the group of the first completion with the same answer (vote.h); -1: no answer
	 * was found */
	int vote;

	/* as the verifiers gave it; NaN: it could not be computed, and the row counts nowhere */
	double reward;
	/* of overlong shaping, never positive: reward + penalty is trained on, reward alone is
	 * told */
	double penalty;
	/* [n] by how much the reward rises with each token (reward_follow); NULL: all of it comes
	 * with the last one */
	const double *rise;
	/* [n_components] before weighting, in the order of the verifiers; NaN where one does not
	 * apply */
	const double *components;
	int           n_components;
	/* full mark of the verifier that decides (reward.h); whoever asks for right or wrong asks
	 * here */
	enum mark        right;
	enum stop_reason stop;
	int              truncated; /* cut off, whatever the limit was */
	enum source      source;
	uint32_t         sample; /* its number in the group, as in the random key */
};

/* The number of its tokens that the model wrote: all but observations. */
int rollout_generated(const struct rollout *r);
int rollout_is_right(const struct rollout *r); /* an unknown one is not */

struct group {
	const struct problem *problem;
	/* unique within the step: a problem drawn twice makes two groups */
	int64_t id;
	/* number of the problem in the training set, for the curriculum */
	int             item;
	int             owner;    /* the rank that samples and judges it (deal.h) */
	int             n;        /* G */
	struct rollout *rollouts; /* [n] */
};

/* Whether some completions are right and some are wrong; unknown ones are passed over. Dynamic
 * sampling (DAPO, arXiv:2503.14476) draws another problem where not. Right decides, not the shaped
 * reward: an all-right group of different lengths is dropped too, and so is one of two wrong
 * formats. */
int group_right_varies(const struct group *g);

#endif
