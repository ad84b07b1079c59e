/* job.h - everything a run needs, put together from a config, and its life on disk.
 *
 *     job_open     model, tokenizer, problems, verifiers, algorithm, optimizer, decoder, the bill;
 *                  nothing is written yet
 *     job_start    the run folder: a new one, or the newest valid checkpoint of an old one
 *                  (--resume), or again (--from-scratch)
 *     job_save     a checkpoint that holds all of it
 *
 * A checkpoint is a Hugging Face folder (model or, where one learns, the adapter alone; tokenizer)
 * plus optimizer.safetensors, critic.safetensors (with a critic) and trainer_state.json: step,
 * optimizer's step, curriculum, tokens so far, bytes of metrics.jsonl, text of the config,
 * fingerprints of what no checkpoint holds (problems, weights that stand still). Weights and
 * moments are f32, bit for bit; a resumed run gives the same bits as one that never stopped.
 * Threads, batch sizes and micro-batches are not part of it. */
#ifndef RL_JOB_H
#define RL_JOB_H

#include "curriculum/curriculum.h"
#include "model/schedule.h"
#include "rl/findings.h"
#include "rl/guidance.h"
#include "rl/job_config.h"
#include "rl/learn.h"
#include "rl/replay.h"
#include "rl/rollout.h"
#include "rl/tally.h"
#include "run/metrics.h"
#include "run/progress.h"
#include "verify/verifier.h"

#include <stdio.h>

enum job_kind { JOB_TRAIN, JOB_SFT };
enum { JOB_INPUTS = 4 }; /* problems, base, reference, rollouts */

struct worked {                       /* a completion to learn from, with its end token */
	const int           *ids;     /* [n] */
	const unsigned char *trained; /* [n] 0: an observation of its environment */
	int                  n;
};

struct job {
	enum job_kind     kind;
	struct job_config config;
	struct algorithm  algorithm;

	struct matmul    *mm;
	struct tokenizer *tokenizer;
	/* that the weights came from; NULL: made from model.init */
	char           *model_folder;
	struct model   *model, *reference; /* reference: NULL when the algorithm needs none */
	struct policy   policy;
	struct critic   critic;  /* nothing in it unless learn.critic points to it */
	struct decoder *decoder; /* NULL for sft without evaluation */
	struct schedule schedule;

	struct problem_set     train, eval; /* eval.n == 0: no evaluation */
	struct findings        findings;
	struct reward_spec     reward, eval_reward;
	struct curriculum     *curriculum;
	struct replay          replay; /* n == 0: completions are sampled */
	struct worked         *worked; /* [train.n] by problem; sft: from sft_open */
	struct learn_options   learn;
	struct rollout_options rollout;
	struct guidance        guidance; /* its hinted prompts serve sft.hint_rate, too */

	int     step;     /* finished steps */
	int64_t n_tokens; /* generated (train) or trained on (sft) so far */
	/* a signal came before the evaluation of this step was done: a resume begins with it */
	int eval_missed;
	/* saved_step: of the newest checkpoint, -1 before the first */
	int skipped_in_a_row, saved_step;
	/* whose evaluation was best in run.metric_for_best_model; -1: none yet */
	int    best_step;
	double best_metric; /* its value */

	/* Fingerprints (base/fingerprint.h) of what the run reads again at every start; a resume
	 * compares them. */
	uint64_t inputs[JOB_INPUTS];

	/* held on the run folder from job_start on: two writers would spoil it */
	int                run_lock;
	struct metrics_log log;
	struct events     *events; /* TensorBoard; or NULL */
	FILE              *screen; /* progress goes here; NULL: nowhere */
	struct progress    progress;
	double             started;
	/* pass@1 of the first and the newest evaluation; mean NaN: none yet */
	struct tally_mean first_eval, last_eval;
	int               first_eval_step, last_eval_step;

	struct arena arena, step_arena; /* of the run; of the step */
};

/* Everything but the run folder. On an error nothing is owned. */
int job_open(enum job_kind kind, const char *config_path, const char *const *overrides,
             int n_overrides, struct job *out);

enum job_begin {
	JOB_NEW,         /* the output folder must not hold a run yet */
	JOB_RESUME,      /* from its newest valid checkpoint; step 0 when it has none of any kind */
	JOB_FROM_SCRATCH /* what it holds goes into its folder old-K, whole */
};

/* ERR_INPUT while another process is writing there. Prints the start lines and the bill to the
 * screen. */
int  job_start(struct job *job, enum job_begin how);
void job_close(struct job *job);

int job_save(struct job *job);     /* now, unless this step is saved already */
int job_save_due(struct job *job); /* when run.save_steps says so */

#endif
