/* best.h - the best checkpoint by a number that the run logs, and the end of a run that no longer
 * gets better (run.metric_for_best_model, run.greater_is_better, run.patience).
 *
 *     a number of the evaluations    is compared after each of them
 *     a number of the steps          is compared at every multiple of run.save_steps: its mean over
 *                                    the steps since the multiple before
 *
 * What is better than all before makes its step the best one: job_save_due then saves it, and
 * rotation leaves it. The first of equals stays. Step 0 is the model that is there already. A
 * number that is missing or not finite is not compared. After run.patience comparisons in a row
 * that were no better the run ends. All of this is part of a checkpoint, so that a resumed run
 * chooses and ends as one that never stopped. */
#ifndef RL_BEST_H
#define RL_BEST_H

#include "rl/job_data.h"
#include "run/metrics.h"

struct best {
	int    step;   /* the best one; -1: none yet */
	int    waited; /* comparisons since then */
	double value;  /* of the best one */
	double sum;    /* over `count` steps since the last comparison */
	int    count;
};

/* ERR_INPUT when run.metric_for_best_model is a number that no line of this run will have. */
int best_check(enum job_kind kind, const struct job_data *data);

/* The line of an evaluation, or of a step, after so many steps. */
void best_see_evaluation(const struct job_config *c, const struct metrics *m, int step,
                         struct best *b);
void best_see_step(const struct job_config *c, const struct metrics *m, int step, struct best *b);

/* Whether run.patience is used up. */
int best_is_over(const struct run_options *o, const struct best *b);

/* Under the names of transformers where it has one. best_load leaves *b alone where the state is of
 * another metric: what was best in that is no measure of this one. */
int best_save(const char *metric, const struct best *b, json_t *state);
int best_load(const char *metric, const char *place, const json_t *state, struct best *b);

#endif
