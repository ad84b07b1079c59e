/* critic.h - a learned baseline: the value of the state before each token (PPO, arXiv:1707.06347).
 *
 *     V_t   value of the state before token t: a linear head (value_head.h) on the hidden state
 *           that predicts token t of the policy's network (critic.network: shared) or of a second
 *           network that starts as a copy of the policy (own)
 *
 *     loss  vf_coef / tokens * sum_t 1/2 max( (v - ret)^2, (clip(v, V_old - e, V_old + e) - ret)^2
 *           )        e = cliprange_value; 0: no clip
 *     dloss/dv = vf_coef / tokens * (v - ret), but 0 where v lies outside of the interval and the
 *     clipped square is the larger one
 *
 * V_old are the values before the first update of a batch, ret_t = A_t + V_t comes from advantage.h
 * (GAE); tokens counts the trained tokens of the whole update. A token without a target (NaN: its
 * reward could not be computed) has no loss.
 *
 * Shared: the head has its own AdamW and rate, and the layers get the gradient of both losses, the
 * value's scaled by vf_coef. Own: nothing of the policy moves; vf_coef is 1, because AdamW would
 * undo it. With warmup_steps only the critic learns in the first steps of a run; of a shared
 * network that is the head alone.
 *
 * The critic is the second head of a policy (policy.h), which runs it where it meets the
 * transformer. */
#ifndef RL_CRITIC_H
#define RL_CRITIC_H

#include "base/option.h"
#include "model/schedule.h"
#include "model/value_head.h"
#include "rl/policy.h"

struct critic_options {
	int    own; /* a second network; 0: the policy's */
	double vf_coef, cliprange_value;
	int    warmup_steps;
	/* of the head's weights at the start, drawn from the seed; 0: V starts at 0 */
	double          head_std;
	double          learning_rate; /* the peak of */
	struct schedule schedule;      /* the critic's learning rate */
	uint64_t        seed;
};
extern const struct option_table critic_options_table; /* the room critic */

struct critic_stats { /* sums over the updates of one step unless said; divide when printing */
	double tokens, loss;
	/* tokens whose clipped square was the larger: no gradient where v left the interval */
	double clipped;
	double updates, skipped; /* skipped: the gradient was not finite and changed nothing */
	/* the largest, of the head and, with a network of its own, of that */
	double grad_norm;
	/* tokens of the batch, before the first update, that the next ones sum over */
	double measured;
	double value, target, error; /* V_old, ret, (ret - V_old)^2 */
	/* 1 - Var(ret - V_old) / Var(ret); NaN where the targets are all the same */
	double variance_explained;
};

struct critic {
	struct critic_options options;
	struct value_head     head;
	struct optimizer      optimizer;     /* of the head */
	struct model         *model;         /* own network; NULL when shared */
	struct policy         own;           /* what trains it */
	struct policy        *network;       /* whose second head this is: &own, or the policy */
	double                learning_rate; /* of the step at hand, and so are the */
	struct critic_stats   stats;
};

/* Attaches to the policy when shared; otherwise copies its weights, which must be those that the
 * run starts from. *out may not be moved after. */
int    critic_new(const struct critic_options *o, struct policy *policy, struct critic *out);
void   critic_free(struct critic *c);
size_t critic_bytes(const struct critic *c, const struct policy_load *l); /* for the bill */

/* The loss of some rows, as above. Reads value_new, value (V_old) and target; writes d_value,
 * exactly 0 where there is no loss. ADDS to *stats. tokens: of the whole update. */
void critic_loss(const struct critic_options *o, const struct batch *b, int64_t tokens,
                 struct critic_stats *stats);

/* How well value foretold target, before the first update of a batch. Writes into *stats. */
void critic_measure(const struct batch *b, struct critic_stats *stats);

/* A new step: its learning rate, and stats from zero. 1 while only the critic may learn. */
void critic_begin(struct critic *c, int64_t step);
int  critic_warms_up(const struct critic *c, int64_t step);

/* One update of the critic alone. Its head learns, and the layers of a network of its own. */
int critic_update(struct critic *c, const struct batch *b, struct update_report *report);

/* One file of F32 tensors: the head, the own network, and the moments of both as "m." and "v."; the
 * counts of the optimizers' steps are the caller's to keep. All ranks save together; path NULL:
 * this one writes nothing, and gives what it has. */
int critic_save(const struct critic *c, const char *path);
int critic_load(struct critic *c, const char *path);

#endif
