/* reward.h - from sampled answers to rewards: text, verifiers, the accuracy that evaluation and dynamic sampling look at.
 *
 *     text       the answer's ids decoded once, special tokens left out; it is read by verifiers and samples and never tokenized again
 *     reward     weighted sum of the reward's verifiers (task/verifier.h); NaN when none could be computed
 *     accuracy   the evaluation verifier's reward, clipped to 0 .. 1: right or wrong, without shaping
 *
 * Answers are scored in parallel; a verdict depends on its answer and problem alone. */
#ifndef RL_REWARD_H
#define RL_REWARD_H

#include "model/tokenizer.h"
#include "rl/record.h"
#include "task/verifier.h"

/* Fills text, answer, parsed, reward, components and accuracy of every rollout of the groups. */
int reward_score(const struct reward_spec *reward, const struct reward_spec *accuracy, const struct tokenizer *t, struct group *groups,
                 int n, struct arena *a);

#endif
