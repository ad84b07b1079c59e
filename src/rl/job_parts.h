/* job_parts.h - the life of a job on disk, in pieces, each of which takes the parts of the job that
 * it touches. For job*.c only.
 *
 *     job_inputs.c        fingerprints of what a resume must find as it was
 *     job_folder.c        the run folder: new, gone on with, or set aside
 *     job_checkpoint.c    saving, and loading what was saved
 *     job_again.c         steps that were done before, once more, beside what they left behind
 *
 * Of several ranks the first one alone writes (job_ranks.h). */
#ifndef RL_JOB_PARTS_H
#define RL_JOB_PARTS_H

#include "rl/job.h"
#include "run/checkpoint.h"

enum { JOB_STATE_MAX = 1 << 28 }; /* of trainer_state.json: dump keeps up to 6 KB an arm */

/* Writes the fingerprints to the record; of what a job does not have, the empty one. */
int job_take_inputs(const struct job_data *data, const struct job_learner *l,
                    const struct job_sampler *s, struct job_record *r);
/* The fingerprints as an object of a state; NULL when memory is short. */
json_t *job_inputs_save(const struct job_record *r);
/* ERR_INPUT where they differ from the saved ones; `saved` is NULL in an older checkpoint, which
 * has none to compare. */
int job_inputs_check(const struct job_record *r, const char *place, const json_t *saved);

/* "the training problems or their tokens": the i-th fingerprint. */
const char *job_inputs_what(int i);

/* Makes the folder and takes its lock; then resumes, or sets an old run aside. A refusal changes
 * nothing in an old run. It takes the whole job, as a checkpoint holds something of every part. */
int job_folder_begin(struct job *job, enum job_begin how);
/* Writes config and findings, and opens the logs as of the record's step. */
int job_folder_open(const struct job_data *data, const struct job_learner *l, struct job_record *r);
/* Syncs the logs; samples and the rest are synced as they are written. */
int job_folder_sync(const struct job_record *r);

/* Goes on from the newest checkpoint that is whole, or from step 0 when there is none of any
 * kind. */
int job_resume_newest(struct job_learner *l, struct job_sampler *s, struct job_record *r);
struct checkpoint_limit job_checkpoint_limit(const struct run_options *o,
                                             const struct job_record  *r);
/* What a checkpoint takes on the disk, from what would be written now. */
int job_checkpoint_bytes(const struct job_learner *l, const struct job_sampler *s,
                         const struct job_record *r, uint64_t *bytes);

enum { STATE_MAX = 1 << 28 }; /* of trainer_state.json: dump keeps up to 6 KB an arm */

/* The text of trainer_state.json; freed with free(). */
int job_state_text(const struct job_learner *l, const struct job_sampler *s,
                   const struct job_record *r, char **out);
/* Loads a state, `place` in messages, into the parts of a job of the same config. Counts are
 * bounded, so that going on from them does not overflow. */
int job_state_load(struct job_learner *l, struct job_sampler *s, struct job_record *r,
                   const char *place, const json_t *state);
/* ERR_INPUT where a state is of another job than this one: other settings that matter, other
 * inputs. Changes nothing. */
int job_state_check(const struct job_learner *l, const struct job_record *r, const char *place,
                    const json_t *state);

#endif
