/* eval.h - how good completions of a set of problems are, with standard errors over problems.
 *
 *     m_i        share of right completions among the n of problem i
 *     pass@1     mean of m_i
 *     pass@k     mean of 1 - C(n - c_i, k) / C(n, k),  c_i of them right: unbiased
 *                                                      (arXiv:2107.03374)
 *     maj@n      share of problems whose completion with the most votes is right
 *                (arXiv:2203.11171). vote.h says which completions share a vote. On a tie the
 *                completion that was sampled first counts
 *     unjudged   a problem with a completion that got no verdict (its command failed) is left out
 *                of all of these, and counted
 *     error      sqrt(sum (x_i - mean)^2 / (P - 1) / P) over the P problems; NaN for fewer than
 *                two
 *
 * Completions are sampled with keys of their own (RNG_EVAL, no step in them). So two evaluations of
 * the same weights agree, and the evaluations of a run can be compared pairwise. held_out.h
 * evaluates the model of a run. */
#ifndef RL_EVAL_H
#define RL_EVAL_H

#include "rl/rollout.h"
#include "verify/verifier.h"

struct eval_mean {
	double mean, error;
};

enum { EVAL_CURVE = 32 };

struct eval_result {                            /* of one category, or of all problems */
	const char      *category;              /* NULL: all */
	int              n_problems, n_samples; /* samples: completions of each */
	int              n_unjudged;            /* problems left out */
	struct eval_mean pass_1, pass_k, maj, reward;
	struct eval_mean curve[EVAL_CURVE]; /* [n_curve] pass@k for the k of eval_results.curve */
	double           length;            /* mean tokens of a completion */
	double           truncated;         /* share */
};

struct eval_results {
	/* [n] items[0]: all; then by category, in the order of their names */
	struct eval_result *items;
	int                 n;
	/* 1, 2, 4, ... below the number of completions, and that number */
	int curve[EVAL_CURVE], n_curve;
};

struct eval_slice { /* the problems first .. first + n - 1 of the prompts */
	const struct prompts *prompts;
	int                   first, n;
};

/* Samples and scores completions of the problems, and lets them vote. APPENDS a group for each
 * problem. `r` has the purpose RNG_EVAL. */
int eval_sample(struct decoder *d, const struct rollout_sampling *r,
                const struct eval_slice *problems, const struct reward_spec *judge, struct arena *a,
                struct groups *groups);

/* "38.0% +- 3.2", or "38.0%" where there is no error; a text in `out`. */
enum { EVAL_TEXT = 48 };
const char *eval_text(struct eval_mean x, char out[EVAL_TEXT]);

double eval_pass_k(int n, int c, int k); /* 1 <= k <= n, 0 <= c <= n */

/* All groups must have the same number of completions, with their votes. k <= that number.
 * ERR_FAILED when every problem is left out. */
int eval_groups(const struct group *groups, int n, int k, struct arena *a,
                struct eval_results *out);

/* pass@1 of the problems of one source alone; mean NaN when none of them is judged. */
int eval_source(const struct group *groups, int n, int source, struct arena *a,
                struct eval_mean *pass_1);

#endif
