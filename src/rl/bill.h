/* bill.h - what a job will take before it takes it: memory when it is opened, disk when it starts.
 *
 * Every item is counted for the largest update and the longest text that the config allows. Texts
 * of problems and the records of a step are small beside them and left out.
 *
 *     moments, decoder, tape, scratch      the function that takes them from an arena runs on one
 *     of the backward pass                 that only counts (base/memory.h): the two cannot differ
 *     model, reference, adapter            weights and what a backend of matrix products packs them
 *                                          into: matmul_weight_bytes, which every backend answers
 *                                          beside its matmul_weight_new
 *     gradient                             levels of its tree, added as updates grow; how many an
 *                                          update needs is one function, asked by both
 *     how large an update gets             a bound from the config (policy_bytes), as the update is
 *                                          not known yet
 *
 * tests/test_bill.c holds all of it against what is allocated. */
#ifndef RL_BILL_H
#define RL_BILL_H

#include "rl/job_record.h"
#include "rl/job_sampler.h"

/* Decides how updates use memory, from the config and the machine alone, before the first one: the
 * size of their passes, and whether layers are computed again (compute.recompute). */
void bill_plan(enum job_kind kind, const struct job_sampler *s, struct job_learner *l);

/* ADDS a line for each item to *out; returns the sum in bytes. */
size_t bill_memory(enum job_kind kind, const struct job_learner *l, const struct job_sampler *s,
                   struct text *out);

/* ERR_INPUT with the bill when it is larger than compute.memory_limit_gb, or than this machine has
 * for each of the ranks on it. */
int bill_check_memory(enum job_kind kind, const struct job_learner *l, const struct job_sampler *s);

/* ADDS the lines of the disk, of a run whose checkpoint takes so many bytes (job_checkpoint_bytes)
 * and whose texts have at most `longest` tokens. ERR_INPUT when the run folder has no room for one
 * checkpoint. */
int bill_disk(const struct job_data *data, const struct job_record *record, int longest,
              uint64_t checkpoint, struct text *out);

#endif
