/* policy.h - a model that learns (or its adapter does, where it has one): log-probabilities of
 * completions, and one update from one coefficient per token.
 *
 *     for each pass (2^k units):  forward -> log-probabilities -> objective: c = dL/dlogp
 *                                 backward through the head, then layer by layer
 *     sum of gradients (fixed tree) -> clip, AdamW -> repack the weights for the matrix products
 *
 * The only place where estimators and transformer meet: down goes a number per token, up come
 * log-probabilities. Of several ranks (base/ranks.h) each computes a share of the units, contiguous
 * and of equal work (base/shares.h), and all get what is said of every token; so each of them adds
 * up the same statistics in the same order. How their gradients become one, and who updates which
 * weights, is the business of gradient.h and optimizer.h. All ranks make the same calls.
 *
 * A second head, a critic's (critic.h), may sit on the network: then one update
 * serves both losses. The size of a pass (compute.micro_batch_tokens) and whether layers are
 * computed again on the way back (compute.recompute; tape.h) change memory and speed, not one bit
 * of the result. A prompt that completions share is always computed once: whether it is decides the
 * order in which its gradient is summed, so it is no option.
 *
 * Zeros are not computed. Where all rows of a unit have coefficients that are certainly 0 (groups
 * whose rewards are equal, masked rows), its gradient is zeros without a backward pass; and without
 * a forward pass in the first update after sampling, when the log-probabilities that it would find
 * are those that sampling recorded. No bit of weights or metrics changes. */
#ifndef RL_POLICY_H
#define RL_POLICY_H

#include "estimator/objective.h"
#include "model/head.h"
#include "model/optimizer.h"

struct policy_options {
	/* of a pass, and of a micro-batch where nothing is learned; one unit may have more */
	int micro_batch_tokens;
	/* passes are cut for units as large as this, or as the largest of the update */
	int                      unit_tokens;
	int                      recompute;   /* may be set until the first update */
	float                    temperature; /* of sampling: part of every log-probability */
	struct optimizer_options optimizer;
	/* of tests: units whose coefficients are certainly 0 are computed all the same */
	int computes_zeros;
};

/* A head on the last hidden states beside that of the tokens, with a loss and weights of its own;
 * the policy knows nothing else of it. */
struct policy_head {
	void *owner; /* handed to each function; NULL: there is no such head */

	/* Before the micro-batches of an update of such units: takes its columns of b in `a`,
	 * value_new among them. */
	int (*begin)(void *owner, struct batch *b, const struct gradient_units *units,
	             struct arena *a);
	/* Writes value [N] of the targets of a micro-batch. */
	void (*values)(void *owner, const struct packing *p, const float *hidden, float *value);
	/* ADDS the gradient of its loss on the rows of a micro-batch to d_hidden, and its weights'
	 * to its own sum. tokens: trained ones of the whole update. */
	void (*backward)(void *owner, const struct packing *p, const float *hidden,
	                 const struct batch *rows, int64_t tokens, float *d_hidden);
	/* ADDS what value_new of all rows says to its statistics */
	void (*measure)(void *owner, const struct batch *b, int64_t tokens);
	int (*step)(void *owner); /* the sum becomes new weights */
};

/* Somebody who looks at an update: all columns of its rows, once they are complete and before the
 * weights change. NULL: nobody. */
struct policy_watch {
	void *owner;
	int (*seen)(void *owner, const struct batch *b);
};

struct policy {
	struct model         *model; /* borrowed */
	struct policy_options options;
	struct optimizer      optimizer;
	struct gradient       gradient;
	struct tape          *tape;  /* NULL before the first update */
	struct kv_cache       cache; /* one layer; grows to the largest packing */
	struct arena          scratch;
	struct policy_head    second;
	struct policy_watch   watch;
};

struct update_report {                    /* of the updates of one step; starts as zero */
	struct objective_stats objective; /* sums */
	/* skipped: the gradient was not finite and changed nothing */
	int    updates, skipped;
	double grad_norm; /* the largest, before clipping */
	/* of |logp_new - logp_old| in the first update after sampling, guided rows left out: 0,
	 * always, in strict mode */
	double logp_difference_max;
	int    tokens_silent; /* that had no backward pass, prompts left out */
	double seconds_forward, seconds_backward, seconds_optimizer;
};

int  policy_new(struct model *m, const struct policy_options *o, struct policy *out);
void policy_free(struct policy *p);

/* For the bill: moments, gradients, the tape and the scratch of an update that holds at most so
 * much. */
struct policy_load {
	int tokens, trees, segments; /* in all (packing.h) */
	int tree, targets;           /* tokens and targets of the largest tree */
};
size_t policy_bytes(const struct policy *p, const struct policy_load *l);
/* tokens of the largest unit of such an update */
int policy_unit_tokens(const struct policy_load *l);

/* The rows of a batch (batch.h) are what is computed on; they need id and prompt.
 *
 * Writes logp [T] and, unless it is NULL, entropy [T], at the tokens of the batch, under any model
 * of the same vocabulary: the reference, the policy itself. */
int policy_logprobs(struct policy *p, const struct model *m, const struct batch *b, float *logp,
                    float *entropy);

/* Writes value [T]: what the second head says of the state before each token. */
int policy_values(struct policy *p, const struct batch *b, float *value);

/* One update of the weights from all rows of the batch, and of the second head where there is one.
 * ADDS to *report. The columns of the update at hand are
 * its own: the caller's batch stays as it is. A gradient that is not finite changes nothing and is
 * counted. */
int policy_update(struct policy *p, const struct algorithm *alg, const struct batch *b,
                  double learning_rate, struct update_report *report);

/* One update by the loss of the second head alone. The layers learn at this rate; NULL: they stand
 * still, and only the head learns. */
int policy_update_second(struct policy *p, const struct batch *b, const double *learning_rate,
                         struct update_report *report);

#endif
