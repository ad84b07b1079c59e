/* tally.h - what completions of a set of problems say about a model, with standard errors over
 * problems.
 *
 *     m_i        share of right ones among the n completions of problem i
 *     pass@1     mean of m_i
 *     pass@k     mean of 1 - C(n - c_i, k) / C(n, k),  c_i right ones: unbiased
 *                                                      (arXiv:2107.03374)
 *     maj@n      share of problems whose completion with the most votes is right
 *                (arXiv:2203.11171); which of them share a vote: vote.h. Of equally many votes the
 *                completion that was sampled first counts
 *     unjudged   problems with a completion that got no verdict (a command that failed) are left
 *                out of all of these, and counted
 *     error      sqrt(sum (x_i - mean)^2 / (P - 1) / P) over the P problems; NaN for fewer than
 *                two */
#ifndef RL_TALLY_H
#define RL_TALLY_H

#include "base/memory.h"
#include "estimator/record.h"

struct tally_mean {
	double mean, error;
};

enum { TALLY_CURVE = 32 };

struct tally {                                   /* of one category, or of all problems */
	const char       *category;              /* NULL: all */
	int               n_problems, n_samples; /* samples: completions of each */
	int               n_unjudged;            /* problems left out */
	struct tally_mean pass_1, pass_k, maj, reward;
	struct tally_mean curve[TALLY_CURVE]; /* [n_curve] pass@k for the k of tallies.curve */
	double            length;             /* mean tokens of a completion */
	double            truncated;          /* share */
};

struct tallies {
	struct tally *items; /* [n] items[0]: all; then by category, in the order of their names */
	int           n;
	/* 1, 2, 4, ... below the number of completions, and that number */
	int curve[TALLY_CURVE], n_curve;
};

/* "38.0% +- 3.2", or "38.0%" where there is no error; a text in `out`. */
enum { TALLY_TEXT = 48 };
const char *tally_text(struct tally_mean x, char out[TALLY_TEXT]);

double tally_pass_k(int n, int c, int k); /* 1 <= k <= n, 0 <= c <= n */

/* All groups must have the same number of completions, with their votes. k <= that number.
 * ERR_FAILED when every problem is left out. */
int tally_groups(const struct group *groups, int n, int k, struct arena *a, struct tallies *out);

/* pass@1 of the problems of one source alone; mean NaN when none of them is judged. */
int tally_source(const struct group *groups, int n, int source, struct arena *a,
                 struct tally_mean *pass_1);

#endif
