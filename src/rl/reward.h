/* reward.h - from sampled completions to rewards: text, verifiers, and *right*, which is what
 * triggers, filters and evaluation look at.
 *
 *     text       the completion's ids decoded once, special tokens left out; it is read by
 *                verifiers and samples and never tokenized again
 *     reward     weighted sum of the reward's verifiers (verify/verifier.h); NaN when none could be
 *                computed
 *     right      the full mark of the judge: of task.eval_reward, or of that verifier of the reward
 *                which decides (verifier_for), or of the problem's own. Partial credit is never
 *                right. Unknown where the judge had no verdict (with COMMAND_ZERO such a completion
 *                is wrong)
 *
 *     rise       task.token_rewards: score(tokens 0 .. t) - score(tokens 0 .. t-1). A prefix counts
 *                as cut off. So a dense verifier pays each token what it earned (advantage.h says
 *                how), and the sum is still the reward: a potential function of the prefix (Ng,
 *                Harada, Russell 1999) changes which token gets the credit, not what is best
 *
 * Completions are scored in parallel; a verdict depends on its completion and problem alone. */
#ifndef RL_REWARD_H
#define RL_REWARD_H

#include "estimator/record.h"
#include "text/tokenizer.h"
#include "verify/verifier.h"

/* Fills text, parsed, failed, reward, components and right of every rollout of this rank's groups
 * (deal.h). Both specs have the same options, so a verifier of both judges once. */
int reward_score(const struct reward_spec *reward, const struct reward_spec *judge,
                 const struct tokenizer *t, struct group *groups, int n, struct arena *a);

/* A command that fails on everything teaches nothing: better to end than to go on. ERR_FAILED when
 * it had no verdict on any of the completions, or with COMMAND_STOP on one, on the ranks where that
 * happened. After deal_gather: whether it ends the job is no question of who owns what. */
int reward_check(const struct reward_spec *reward, const struct reward_spec *judge,
                 const struct group *groups, int n);

/* Fills rise [n] of every rollout of this rank's groups, after reward_score; a reward of a part
 * that cannot be computed rises by 0. Every prefix is decoded and scored, so this takes time
 * quadratic in the length of a completion. */
int reward_follow(const struct reward_spec *reward, const struct tokenizer *t, struct group *groups,
                  int n, struct arena *a);

/* Fills the text of one rollout: what its prompt has begun of it (data/problem.h), then its tokens
 * without the end token. For rollouts that were scored before. */
int reward_text(const struct tokenizer *t, const struct problem *p, struct rollout *r,
                struct arena *a);

/* The negative control: within each group the rewards change places by a permutation keyed (seed,
 * RNG_PERMUTE, step, group->id).
 *
 *     reward_i <- reward_p(i),   E[reward_p(i)] = mean of the group, for every i
 *
 * Mean, spread and every other statistic of the group stay what they were, but on average a right
 * completion gets no more than a wrong one: whatever a run learns all the same, it learned from
 * something else than its reward. Right and components stay with their completions. */
int reward_permute(struct group *groups, int n, uint64_t seed, uint32_t step, struct arena *a);

/* Whose failures reward_check tells of: a verifier's program, or the one that plays; NULL: none. */
struct program *reward_program(const struct reward_spec *reward, const struct reward_spec *judge);

#endif
