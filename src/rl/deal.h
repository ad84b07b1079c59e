/* deal.h - of several ranks (base/ranks.h), who samples and judges the completions of which
 * problem, and how all of them get the results.
 *
 *     cost(group)  =  tokens of the prompt  +  G x expected tokens of a completion
 *
 * Groups go to ranks as wholes, the costliest first, each to the rank with the least to do so far:
 * at most 4/3 of the best share (Graham 1969). What is expected is the length that completions of
 * the problem had when it was last sampled; before that, of all problems so far. Every number in
 * this is one that all ranks have, so each deals alone and all deal the same. Who computes a
 * completion changes no bit of it.
 *
 *     deal_groups     writes group->owner
 *     ...             the owner samples and judges: what it decides (a verifier's time was over) is
 *                     decided once
 *     deal_gather     every rank gets what the owners have, in the order of the groups
 *
 * With one rank all groups are its own and nothing is copied. */
#ifndef RL_DEAL_H
#define RL_DEAL_H

#include "base/memory.h"
#include "estimator/record.h"

struct deal_lengths {   /* what is known of the problems of one list of prompts */
	int    *tokens; /* [n] of a completion when it was last sampled; 0: never */
	int     n;
	int64_t sum, count; /* of all completions so far */
};
int deal_lengths_new(int n, struct arena *a, struct deal_lengths *out);

/* Of n groups of these costs, who of so many ranks gets which: writes owner [n]. */
int deal_costs(const int64_t *cost, int n, int ranks, struct arena *a, int *owner);

/* Writes the owners of n blank groups; `lengths` may be NULL. */
int deal_groups(const struct deal_lengths *lengths, struct group *groups, int n, struct arena *a);

int deal_is_mine(const struct group *g); /* this rank owns it */

/* Fills the rollouts of others' groups, but for the contexts, which every rank has; in the arena.
 * Remembers the lengths; they may be NULL. ERR_* of any rank. */
int deal_gather(struct deal_lengths *lengths, struct group *groups, int n, struct arena *a);

#endif
