/* job_again.h - steps of a run that is there, done again in a temporary folder and held against
 * what they left behind. The run's folder is only read.
 *
 *     job_again_open     the job of RUN/config.yaml, and what RUN/metrics.jsonl says of its steps
 *     job_again_start    begins from RUN's newest valid checkpoint before the first of the steps,
 *                        or from where the run itself began
 *     job_again_run      does the steps; stops at the first difference
 *
 * Compared bit for bit, as soon as each is there:
 *
 *     metrics.jsonl    every number of the step's line, and of an evaluation's where both have one;
 *                      but for what a clock measured
 *     samples          where both have a file of the step
 *     checkpoint-N     every tensor of its files, and what its state counts
 *     inputs           the settings, problems and weights that the newest checkpoint says the run
 *                      had
 *
 * Nothing of this depends on threads, ranks or micro-batches, so it does not matter how the run was
 * made. The first difference is an ERR_FAILED that names the step and the tensor or number; what
 * cannot be compared (a run without its data) is ERR_INPUT. */
#ifndef RL_JOB_AGAIN_H
#define RL_JOB_AGAIN_H

#include "rl/job.h"

struct job_again_log { /* the lines of a metrics.jsonl */
	struct bytes bytes;
	struct job_again_line { /* [n] in the order of the file */
		size_t at, n;
		int    step, is_eval;
	} * lines;
	size_t n, capacity;
	int    last; /* the newest step that was done */
	int    kind; /* enum job_kind */
};

struct job_again {
	struct job  job; /* the first member: its steps are handed nothing else */
	const char *run; /* borrowed */
	int (*step)(struct job *job);
	char                 folder[64];
	int                  from, last;    /* the state it begins from; the last step */
	int                  compared_step; /* the newest whose files were compared; -1: none */
	size_t               compared;      /* bytes of its own log that were */
	struct job_again_log log;
	FILE                *screen; /* how far it is; NULL: nowhere */
	struct progress      progress;
	int                  n_steps, n_evals, n_samples, n_checkpoints; /* found identical */
	struct arena         arena;
};

struct job_again_call {
	const char        *run;
	const char *const *overrides; /* [n] of keys that change nothing, or where files lie now */
	int                n;
	FILE              *screen;
};

/* On an error nothing is owned. */
int  job_again_open(const struct job_again_call *call, struct job_again *out);
void job_again_close(struct job_again *a);

/* The steps first .. last of the run; 0, 0: all that it did. *first becomes what is meant by 0.
 * ERR_INPUT where the run did not do them. */
int job_again_start(struct job_again *a, int *first, int last);

/* STOPPED when a signal came. */
int job_again_run(struct job_again *a);

/* Compares what was done since the last call; job_again_run calls it behind every step. */
int job_again_compare(struct job_again *a);

/* job_again_log.c */
int  job_again_log_read(const char *run, struct job_again_log *out);
void job_again_log_free(struct job_again_log *log);
/* NULL when there is none */
const struct job_again_line *job_again_log_find(const struct job_again_log *log, int step,
                                                int is_eval);

#endif
