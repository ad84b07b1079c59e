/* explain.h - one group of one step of a run, worked: computed again and written down with every
 * number that decided what it taught.
 *
 *     the step         job_again.h: from the newest checkpoint before it, compared with the run bit
 *                      for bit on the way
 *     before           what sampling recorded: tokens, log-probabilities, entropies
 *     in the updates   what the estimator made of them (batch.h): advantage, ratio, coefficient, of
 *                      the first update that the group was in
 *     after            the log-probabilities of the same tokens under the new weights
 *
 * Looking changes nothing: it reads the columns of the batch where they are complete. */
#ifndef RL_EXPLAIN_H
#define RL_EXPLAIN_H

#include "rl/job_again.h"

struct explained_row {
	const struct rollout *rollout;
	double                reward, penalty; /* trained on; the overlong part of it */
	double                weight;          /* w of objective.h, of each of its tokens */
	int                   trained;         /* tokens with a loss */
	/* [rollout->n]; ratio NaN: the algorithm has none. reference, gain: NULL without any */
	const float *advantage, *ratio, *c, *after, *reference, *gain;
};

struct explained {
	struct job_again      again;             /* the first member */
	int                   step, number;      /* the step, and which of its groups, from 1 on */
	int                   n_groups, updates; /* of the step; that the group was in */
	struct algorithm      algorithm;
	double                learning_rate;
	const struct group   *group;
	struct explained_row *rows; /* [group->n] */
	/* of the update: rows and tokens with a loss; of all rows of the step: mean and deviation
	 * of the rewards */
	struct totals totals;
	double        batch_mean, batch_deviation;
	int           batch_rows, seen;
	struct text   page;
};

/* Does the step again and writes the page of its group `number`, from 1 on, into out->page. The
 * caller closes `again` and frees the page, on an error too. 0: the first group whose rewards are
 * not all the same. ERR_FAILED where the step is not what
 * the run left behind; ERR_INPUT where it has no such group. */
int explain_run(struct explained *out, int step, int number);

/* explain_page.c */
int explain_page(struct explained *x);
/* explain_formula.c: ADDS the algorithm's row with the numbers of this group put in. */
void explain_formula(const struct explained *x, struct text *out);

#endif
