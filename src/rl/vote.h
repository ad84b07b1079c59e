/* vote.h - which completions of a problem say the same, so that they can vote (self-consistency,
 * arXiv:2203.11171).
 *
 *     completion    0      1      2      3        4
 *     says          1/2    0.5    3      (none)   \frac{1}{2}
 *     vote          0      0      2      -1       0
 *
 * In the order of sampling, a completion joins the first one that it equals in the sense of the
 * verifier (verifier_same); if it equals none, others may join it. So the votes depend on the
 * completions and their order alone. */
#ifndef RL_VOTE_H
#define RL_VOTE_H

#include "estimator/record.h"
#include "verify/verifier.h"

/* Writes the vote of every rollout; they must be scored. Groups are compared in parallel. */
int vote_groups(const struct reward_spec *judge, struct group *groups, int n);

#endif
