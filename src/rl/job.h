/* job.h - everything a run needs, put together from a config, and its life on disk.
 *
 * A job is four parts, each with a file, an open and a close of its own. A function takes the parts
 * that it touches; only what holds all of them together takes the job: the loops (loop.h), and its
 * life on disk.
 *
 *     data       problems, verifiers, prompts, findings             job_data.h
 *     learner    policy, critic, reference, schedule, algorithm     job_learner.h
 *     sampler    curriculum, decoder, guidance, replay              job_sampler.h
 *     record     step, log, TensorBoard, screen, checkpoints        job_record.h
 *
 *     job_open     the parts, in the order in which they need each other, and the bill; nothing is
 *                  written yet
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

#include "rl/job_data.h"
#include "rl/job_learner.h"
#include "rl/job_record.h"
#include "rl/job_sampler.h"

struct job {
	enum job_kind      kind;
	struct job_config  config; /* the parts borrow it: a job is not moved */
	struct job_data    data;
	struct job_learner learner;
	struct job_sampler sampler;
	struct job_record  record;
	struct arena       step_arena; /* reset by every step and evaluation */
};

enum job_begin {
	JOB_NEW,         /* the output folder must not hold a run yet */
	JOB_RESUME,      /* from its newest valid checkpoint; step 0 when it has none of any kind */
	JOB_FROM_SCRATCH /* what it holds goes into its folder old-K, whole */
};

/* Everything but the run folder; an old run is asked for its order of sums (job_order.h). On an
 * error nothing is owned. */
int job_open(enum job_kind kind, enum job_begin how, const char *config_path,
             const char *const *overrides, int n_overrides, struct job *out);

/* ERR_INPUT while another process is writing there. Prints the start lines and the bill to the
 * screen. */
int  job_start(struct job *job, enum job_begin how);
void job_close(struct job *job);

int job_save(struct job *job);     /* now, unless this step is saved already */
int job_save_due(struct job *job); /* when run.save_steps says so */

#endif
