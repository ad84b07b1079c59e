/* learn.h - from scored groups to new weights.
 *
 *     groups      become a batch (batch.h); then each part writes its columns of it:
 *     overlong    penalty, or trained      (overlong.h)
 *     weight      weight, high             (token_weight.h), stale rollouts: logp_old
 *     value       value                    of the critic (critic.h), if there is one
 *     reference   logp_ref                 only if beta > 0
 *     advantage   advantage, target        (advantage.h)
 *     credit      advantage                (credit.h)
 *     resample    the rows drawn anew      (resample.h), if the algorithm asks
 *     objective   group_tokens, good, observed       (objective.h), if the loss asks
 *     update      num_iterations times: groups in a keyed order, cut into num_minibatches, one
 *                 update each (policy.h), before which covariance.h may choose some of its tokens
 *
 * Old log-probabilities are the recorded ones: they are exact, so no second forward pass computes
 * them. Only where rollouts may be stale (replayed, or fast numerics) and the algorithm corrects
 * for that (token_weight.h) does one pass find the old ones anew.
 *
 * With a critic each minibatch is an update of the critic, and of the policy unless the critic
 * warms up. A shared network learns both in one update. The adaptive controller changes
 * algorithm.beta at the end.
 *
 * Minibatches hold whole groups; with one minibatch the order is that of sampling. Advantages are
 * computed once, from the whole batch. Rows whose two contexts differ (guidance.h) are marked as
 * guided. */
#ifndef RL_LEARN_H
#define RL_LEARN_H

#include "estimator/advantage.h"
#include "estimator/credit.h"
#include "estimator/overlong.h"
#include "estimator/token_weight.h"
#include "rl/critic.h"
#include "rl/policy.h"

struct learn_input;
/* Somebody who looks at a step: its groups and their batch, once the advantages are final. NULL:
 * nobody. */
struct learn_watch {
	void *owner;
	int (*seen)(void *owner, const struct learn_input *in, const struct batch *b);
};

struct learn_options {
	/* its beta as the controller left it: part of a checkpoint */
	struct algorithm algorithm;
	/* of the adaptive controller, whose bonus algorithm.entropy_coef is: in a checkpoint */
	double         entropy_coef;
	struct critic *critic; /* borrowed; NULL: none */
	/* of the verifiers of the reward, in their order; borrowed */
	const double *component_weights;
	/* how advantages are spread over segments; all 0: as they are */
	struct credit_options credit;
	int                   num_minibatches;
	/* the recorded log-probabilities may be those of another policy than the one at hand */
	int stale;
	/* of guided rows: found anew without the hint (guidance.h) */
	int      plain_denominator;
	uint64_t seed;

	struct learn_watch watch;
};

struct learn_report {
	struct overlong_stats     overlong;
	struct advantage_stats    advantage;
	struct credit_stats       credit; /* all 0 without credit assignment */
	struct update_report      update;
	struct token_weight_stats weight; /* all 0 when every weight is 1 */
	/* sum of |A| over trained tokens; trained tokens of the batch */
	double              advantage_abs, tokens;
	struct critic_stats critic;             /* all 0 without one */
	double              beta, entropy_coef; /* in this step */
	double              seconds_reference, seconds_values;
};

struct learn_input { /* of one step; borrowed */
	struct policy      *policy;
	const struct model *reference; /* NULL when the algorithm needs none */
	const struct group *groups;    /* [n_groups] at least one; they need not be of one size */
	int                 n_groups;
	uint32_t            step;
	double              learning_rate;
};

/* Changes the weights of the policy, and writes the penalty of each rollout. Scratch stays in `a`,
 * the arena of the step. */
int learn_from(struct learn_options *o, const struct learn_input *in, struct arena *a,
               struct learn_report *report);

#endif
