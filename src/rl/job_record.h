/* job_record.h - the part of a job that remembers: how far it is, its log, TensorBoard, the screen,
 * the newest and the best checkpoint. */
#ifndef RL_JOB_RECORD_H
#define RL_JOB_RECORD_H

#include "rl/best.h"
#include "rl/eval.h"
#include "run/events.h"
#include "run/metrics.h"
#include "run/progress.h"

#include <stdio.h>

enum job_input { INPUT_PROBLEMS, INPUT_BASE, INPUT_REFERENCE, INPUT_ROLLOUTS, JOB_INPUTS };

struct job_record {
	int     step;     /* finished steps */
	int64_t n_tokens; /* generated (train) or trained on (sft) so far */
	int64_t n_seen;   /* tokens of prompts and completions so far */
	/* a signal came before the evaluation of this step was done: a resume begins with it */
	int eval_missed;
	/* saved_step: of the newest checkpoint, -1 before the first */
	int         skipped_in_a_row, saved_step;
	struct best best; /* by run.metric_for_best_model */
	/* pass@1 of the first and the newest evaluation; mean NaN: none yet */
	struct eval_mean first_eval, last_eval;
	int              first_eval_step, last_eval_step;

	/* Fingerprints (base/fingerprint.h) of what the run reads again at every start; a resume
	 * compares them. */
	uint64_t inputs[JOB_INPUTS];

	/* held on the run folder from job_start on: two writers would spoil it */
	int                run_lock;
	struct metrics_log log;
	struct events     *events;      /* TensorBoard; or NULL */
	double             report_next; /* on the clock: when report.html is written again */
	FILE              *screen;      /* progress goes here; NULL: nowhere */
	struct progress    progress;
	struct arena       arena;
};

void job_record_open(struct job_record *out); /* of a run that has done nothing yet */
void job_record_close(struct job_record *r);

/* A line of the log, and TensorBoard; of several ranks the first one writes. */
int job_record_write(struct job_record *r, const struct metrics *m);

#endif
