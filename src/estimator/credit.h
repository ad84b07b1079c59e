/* credit.h - how an advantage is spread over the segments of a completion; between advantage.h and
 * objective.h, over any algorithm row.
 *
 *     segment    trained tokens of one completion, cut wherever tokens stand that are not trained
 *                (an observation, a tool's output), and with segments: newline also behind each
 *                token that holds a newline. A line end belongs to the line it ends.
 *
 * empg, entropy-modulated policy gradients (arXiv:2509.09265). Over the N segments s of the batch,
 * A_s the mean advantage of a segment's tokens:
 *
 *     H_s    mean entropy of the tokens of s, as sampled
 *     h_s    = (H_s - min H) / (max H - min H + 1e-8)
 *     g_s    = exp(-k h_s) / mean over segments of exp(-k h)            the mean of g is 1
 *     f_s    = exp(-k_bonus h_s)
 *     b_s    = zeta f_next    next: the segment that follows s in the same completion; 0: the last
 *     A_t   <- A_t g_s + b_s - mean over segments of (A_s g_s + b_s)
 *
 * That mean counts segments, not tokens.
 *
 * With an estimator that gives all tokens of a completion one advantage, A_t = A_s and this is the
 * published form; with a critic the tokens of a segment keep their differences. g, f and H are
 * constants of the gradient. A completion without a usable reward counts nowhere and keeps 0.
 *
 * A group in which every advantage is 0 (all right, all wrong) gets b - mean from this: learning
 * without reward. zero_variance decides:
 *
 *     shape      as published
 *     zero       such a group stays 0 and counts in no minimum, mean or N, as if it had not been
 *                drawn
 *
 * shuffle: the entropies change places among all segments of the batch (keyed): a control that
 * keeps their distribution and loses their meaning.
 *
 * Without shuffle the order of the rows changes nothing, not by one bit: sums are taken over sorted
 * numbers. */
#ifndef ESTIMATOR_CREDIT_H
#define ESTIMATOR_CREDIT_H

#include "base/option.h"
#include "base/rng.h"
#include "estimator/batch.h"

enum credit_segments { CREDIT_LINES, CREDIT_TURNS };
enum zero_variance { ZERO_VARIANCE_SHAPE, ZERO_VARIANCE_ZERO };

struct credit_options {
	int                  empg; /* 0: credit_apply changes nothing */
	enum credit_segments segments;
	double               k, k_bonus, zeta;
	enum zero_variance   zero_variance;
	int                  shuffle;
	/* [V] 1: the token holds a newline, and ends a segment; NULL: segments are turns. Borrowed;
	 * whoever knows the tokens gives it, where segments are lines */
	const unsigned char *line_end;
};

extern const struct option_table credit_options_table; /* the room credit */

struct credit_stats { /* of one batch; of the segments that count */
	double rows, segments;
	/* rows whose group had no advantage other than 0, whatever became of them */
	double rows_zero;
	double entropy_min, entropy_mean, entropy_max;
	double g_min, g_max;
	double bonus; /* mean of b */
	double shift; /* the mean that was subtracted */
};

/* Edits advantage; writes *stats. Reads group, reward, entropy as sampled, and the ids where
 * lines end segments. Scratch from `a` is released. */
int credit_apply(const struct credit_options *o, struct batch *b, struct rng_key key,
                 struct arena *a, struct credit_stats *stats);

#endif
