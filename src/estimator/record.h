/* record.h - what a step of learning is made of: answers, and the groups they belong to.
 *
 *     group    one problem and the G answers to it; the gold answer travels inside, as
 *              group->problem
 *     rollout  one answer: ids as sampled (text is never tokenised again), what was seen while
 *              sampling, what came of it
 *
 * Groups are found by id, never by position: rows may be shuffled, dropped or drawn again (dynamic
 * sampling). Plain data. Everything is borrowed from the arena of the step; only `reward`,
 * `penalty` and the contexts are edited after sampling.
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

/* a prompt as the model sees it; answers that share one point to the same struct */
struct context {
	const int *ids; /* [n] */
	int        n;
};

enum span_kind { SPAN_THINK, SPAN_PLAN, SPAN_ANSWER, SPAN_TURN, SPAN_OBSERVATION, SPAN_KINDS };
/* "think", "plan", "answer", "turn", "observation" */
extern const char *const span_kind_name[SPAN_KINDS];
/* tokens first .. first+count-1 of an answer */
struct answer_span {
	enum span_kind kind;
	int            first, count;
};

struct rollout {
	/* ids, logp and entropy were made under this one ... */
	const struct context *sampled_under;
	/* ... and the gradient is taken under this one; the same pointer for plain answers */
	const struct context *trained_under;
	/* tokens of the answer, end-of-sequence included; > 0 */
	int        n;
	const int *ids; /* [n] */
	/* [n] 0: no gradient (tool output; everything when masked as overlong) */
	unsigned char            *trained;
	const float              *logp;    /* [n] as sampled, with the temperature in it */
	const float              *entropy; /* [n] as sampled */
	const struct answer_span *spans;   /* [n_spans] in order, without overlap */
	int                       n_spans;

	const char *
	        /* [n_text] decoded once, for verifiers and samples; special tokens left out, and
	         * before it what its prompt has begun */
	        text;
	size_t  n_text;
	int     parsed; /* the first verifier found an answer in it, right or wrong */
	int     failed; /* a verifier had no verdict */
	/* number in the group of the first answer that says the same (vote.h); -1: no answer was
	 * found */
	int vote;

	/* as the verifiers gave it; NaN when it could not be computed: the row then counts
	 * nowhere */
	double reward;
	/* of overlong shaping, never positive: reward + penalty is trained on, reward alone is
	 * told */
	double penalty;
	/* [n] by how much the reward rises with each token (reward_follow); NULL: all of it
	 * comes with the last */
	const double *rise;
	/* [n_components] before weighting, in the order of the verifiers; NaN where one does not
	 * apply */
	const double *components;
	int           n_components;
	/* the full mark of the verifier that decides (reward.h); whoever asks for right or wrong
	 * asks here */
	enum mark        right;
	enum stop_reason stop;
	int              truncated; /* cut off, whatever the limit was */
	enum source      source;
	/* its number among the answers to this problem in this step, as in the random key */
	uint32_t sample;
};

/* its tokens that the model wrote: all but observations */
int rollout_generated(const struct rollout *r);
int rollout_is_right(const struct rollout *r); /* an unknown one is not */

struct group {
	const struct problem *problem;
	/* unique within the step: a problem drawn twice makes two groups */
	int64_t id;
	/* number of the problem in the training set, for the curriculum */
	int             item;
	int             n;        /* G */
	struct rollout *rollouts; /* [n] */
};

/* Whether some completions are right and some are wrong; unknown ones are passed over. Dynamic
 * sampling (DAPO, arXiv:2503.14476) draws another problem where not. Right decides, not the shaped
 * reward: an all-right group of different lengths is dropped too, and so is one of two wrong
 * formats. */
int group_right_varies(const struct group *g);

#endif
