/* job_order.h - in which order the products of a run in bf16 add (compute.order, math/matmul.h).
 *
 * The order is part of what a run computes, so auto is decided once: a new run takes tile where the
 * CPUs of all ranks have AMX, else pair; a resumed one keeps what its newest checkpoint says, on
 * whatever CPU. What was decided stands in the resolved config, and so in the run folder and in
 * each checkpoint. A checkpoint that names no order was written when pair was the only one. */
#ifndef RL_JOB_ORDER_H
#define RL_JOB_ORDER_H

#include "rl/job.h"

/* Decides compute.order where the config says auto and anything reads it. All ranks call it. */
int job_order_settle(struct job_config *c, enum job_begin how);

/* The same for the config of an earlier run, of which nothing is known but that. */
int job_order_of_old(struct job_config *then);

/* *order: that of the run in bf16 that wrote this checkpoint, as in matmul_options; NULL where the
 * run was in f32, or the folder is no checkpoint that can be read. ERR_MEMORY. */
int job_order_recorded(const char *folder, const char **order);

#endif
