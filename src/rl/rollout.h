/* rollout.h - G completions of each picked problem, as records (record.h) in the arena of the step.
 *
 * The random key of a completion is (seed, purpose, step, problem, sample): it does not matter what
 * else is sampled, or in which order. A problem that is picked twice in one step goes on counting
 * its samples. A problem with an environment (world/environment.h), or with a program of the user's
 * that plays it (world/environment_program.h), is played in turns (episode.h). */
#ifndef RL_ROLLOUT_H
#define RL_ROLLOUT_H

#include "estimator/record.h"
#include "model/decode.h"
#include "rl/deal.h"
#include "rl/earlier.h"
#include "rl/prompts.h"
#include "world/environment_program.h"

struct rollout_sampling {
	struct decode_options decode; /* with a tokenizer if a problem may have an environment */
	int                   num_generations, max_completion_length, n_positions;
	uint64_t              seed;
	enum rng_purpose      purpose; /* RNG_SAMPLE, RNG_EVAL */
	struct deal_lengths  *lengths; /* of the prompts, for dealing; NULL: not known */
	/* of the problems of the picks, to guess from; kept up; NULL: not remembered */
	struct earlier *earlier;
	/* plays the problems that name no environment of their own; NULL: none does */
	struct environment_program *world;
};

struct groups { /* of one step; grows when dynamic sampling draws again */
	struct group *items;
	int           n, capacity;
};

/* Room for at most `capacity` groups. */
int groups_new(int capacity, struct arena *a, struct groups *out);

struct rollout_picks { /* the problems of one call; the same one may be picked twice */
	const struct prompts *prompts;
	const int            *items; /* [n] in 0 .. prompts->n - 1 */
	int                   n;
	uint32_t              step; /* of the run; 0 in evaluations */
};

/* APPENDS one group per pick, dealt to the ranks. The completions of this rank's groups are
 * sampled, the others are blank until deal_gather. Rewards are NaN until reward_score. */
int rollout_sample(struct decoder *d, const struct rollout_sampling *o,
                   const struct rollout_picks *picks, struct arena *a, struct groups *groups);

#endif
