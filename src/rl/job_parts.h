/* job_parts.h - the life of a job on disk, in pieces. For job*.c and bill.c only.
 *
 *     job_inputs.c        fingerprints of what a resume must find as it was
 *     job_folder.c        the run folder: new, gone on with, or set aside
 *     job_checkpoint.c    saving, and loading what was saved */
#ifndef RL_JOB_PARTS_H
#define RL_JOB_PARTS_H

#include "rl/job.h"
#include "run/checkpoint.h"

int job_take_inputs(struct job *job);
/* NULL: out of memory */
json_t *job_inputs_save(const struct job_record *r);
/* NULL, of an older checkpoint: nothing to compare */
int job_inputs_check(const struct job_record *r, const char *place, const json_t *saved);

/* changes nothing that a refusal would regret */
int job_folder_begin(struct job *job, enum job_begin how);
/* config, findings and logs as of record.step */
int job_folder_open(struct job *job);
/* the logs; samples and the rest are synced as they are written */
int job_folder_sync(const struct job_record *r);

/* from the newest checkpoint that is whole; from step 0 when there is none of any kind */
int                     job_resume_newest(struct job *job);
struct checkpoint_limit job_checkpoint_limit(const struct run_options *o,
                                             const struct job_record  *r);
/* of one, on the disk: from what would be written now */
int job_checkpoint_bytes(const struct job *job, uint64_t *bytes);

/* trainer_state.json: its text, to be freed with free(); and a read one, `place` in messages, into
 * a job of the same config. Counts are bounded so that going on from them does not overflow. */
int job_state_text(const struct job *job, char **out);
int job_state_load(struct job *job, const char *place, const json_t *state);

#endif
