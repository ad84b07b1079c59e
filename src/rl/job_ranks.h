/* job_ranks.h - what several ranks (base/ranks.h) of a job must have in common.
 *
 * All ranks have the same weights, bit for bit. What they divide among them is the sampling and
 * judging (deal.h), the computing of units (policy.h), and slices of the weights with their moments
 * (model/slices.h). The first one alone writes; the others are at the same step of the same run,
 * and know what it wrote.
 *
 *     at the start           what each has read: config, problems, models, rollouts; the weights,
 *                            after a resume, too
 *     run.check_steps        weights, by the CRC-32 of each tensor: a difference means broken
 *                            hardware or a mixed build
 *
 * A moment stands on one rank, so there is nothing to compare it with.
 *
 * Where they differ, all return an error that names the rank, its machine, and what differs: the
 * rank that is not as most are, or of two not as rank 0. */
#ifndef RL_JOB_RANKS_H
#define RL_JOB_RANKS_H

#include "rl/job.h"

/* After job_take_inputs; ERR_INPUT. */
int job_ranks_check_inputs(const struct job *job);

/* ERR_FAILED; ERR_INPUT where ranks are at different steps. */
int job_ranks_check_weights(const struct job_learner *l, int step);

#endif
