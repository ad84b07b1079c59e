/* replay.h - data sets of rollouts: written by `hone rollouts`, trained on again and again by
 * `rollout.source: FILE`. data/recorded.h has the format.
 *
 * Only plain completions are recorded. Hinted ones (guidance.h) have two contexts, so `hone
 * rollouts` refuses to make them.
 *
 * Replay is exact: the completions of one step, replayed from the weights that sampled them, give
 * the same bits of new weights.
 *
 * Order. An epoch is a permutation of the groups, keyed by (seed, epoch); step s takes the
 * positions s P .. s P + P - 1 of the epochs laid end to end. So nothing needs saving for a resume.
 * Within a step the groups stand in the order of the file.
 *
 * Iterated off-policy learning (arXiv:2503.14286). Without a file, a large rollout.prompts_per_step
 * cut by optim.num_minibatches is one round: it is sampled, learned from once, and sampled anew.
 * With files, `hone rollouts` samples from the last checkpoint, `hone train` learns from that file,
 * and so on. */
#ifndef RL_REPLAY_H
#define RL_REPLAY_H

#include "base/file.h"
#include "model/transformer.h"
#include "rl/prompts.h"
#include "rl/rollout.h"
#include "verify/verifier.h"

/* Good is *right*, under every algorithm. */
enum curation { CURATION_ALL, CURATION_BALANCED, CURATION_ONE_POSITIVE };

struct replay_options {
	const struct model     *model;
	const struct tokenizer *tokenizer;
	const struct prompts   *prompts; /* of the training problems */
	/* of this run: the verifiers must be those of the file; NULL: nobody asks */
	const struct reward_spec *reward;
	float                     temperature;
	int                       max_completion_length, n_positions;
	enum curation             curation;
	int                       max_negatives; /* of a group that are kept; 0: all */
};

struct replay {
	const char   *path;
	struct group *groups; /* [n] in the order of the file */
	int           n, n_completions, n_good;
	int           largest;  /* completions of the largest group */
	int           other_mu; /* the weights at hand are not those that sampled */
	/* How they were sampled: completions of each problem, before curation, and the filters. */
	int          num_generations, top_k;
	double       top_p, min_p;
	uint32_t    *order; /* [n] of epoch order_epoch */
	int64_t      order_epoch;
	struct arena arena;
};

/* Reads, checks and curates a file. ERR_INPUT names the file and line: no data set of rollouts, cut
 * off, another tokenizer, temperature or verifier, an unknown problem or one asked differently, ids
 * out of range, lists of unequal lengths, a number that is no log-probability. On an error nothing
 * is owned. */
int  replay_open(const char *path, const struct replay_options *o, struct replay *out);
void replay_close(struct replay *r);

/* The P groups of a step, copied into the arena of the step: what is edited while learning never
 * reaches the next epoch. */
int replay_pick(struct replay *r, uint64_t seed, int step, int P, struct arena *a,
                struct groups *out);

/* ---- writing ---- */
struct replay_header {
	const struct model            *model;
	const struct tokenizer        *tokenizer;
	const struct rollout_sampling *rollout;
	const struct reward_spec      *reward;
	const char                    *model_name;
	int64_t                        n; /* completions of the file */
};
/* Both ADD lines to t, with scratch in `a`; *n_groups numbers the groups on. */
int replay_add_header(struct text *t, const struct replay_header *h, struct arena *a);
int replay_add_groups(struct text *t, const struct groups *groups, int step, int *n_groups,
                      struct arena *a);

#endif
