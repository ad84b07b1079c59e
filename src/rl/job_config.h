/* job_config.h - what a job is: the options of every room, side by side.
 *
 *     struct job_config c;
 *     TRY(job_config_load("configs/addition/demo.yaml", overrides, n_overrides, &c));
 *     ... c.rollout.num_generations, config_where(&c.base, "rollout.num_generations") ...
 *     config_free(&c.base);
 *
 * Each room has its options in a table of its own (base/option.h); here they become one schema, and
 * what goes beyond one room is checked. */
#ifndef RL_JOB_CONFIG_H
#define RL_JOB_CONFIG_H

#include "curriculum/curriculum.h"
#include "data/data_options.h"
#include "estimator/algorithm.h"
#include "estimator/credit.h"
#include "math/compute_options.h"
#include "model/model_options.h"
#include "model/optim_options.h"
#include "rl/critic.h"
#include "rl/guidance.h"
#include "rl/rollout_options.h"
#include "run/config.h"
#include "run/run_options.h"
#include "verify/task_options.h"

struct sft_options {
	int    batch_size; /* sequences per step */
	double hint_rate;  /* share of the prompts that carry their hint */
};

struct job_config {
	struct config base; /* who set what: for messages and the resolved file */

	struct model_options      model;
	struct data_options       data;
	struct task_options       task;
	const char               *algorithm; /* name of a row */
	struct algorithm          loss;      /* what the config sets of it; see recipe.h */
	struct guidance_options   guidance;
	struct credit_options     credit;
	struct curriculum_options curriculum;
	struct rollout_options    rollout;
	struct optim_options      optim;
	struct critic_options     critic;
	struct compute_options    compute;
	struct run_options        run;
	struct sft_options        sft;
};
extern const struct schema job_schema;

/* As config_load and config_parse. */
int job_config_load(const char *path, const char *const *overrides, int n, struct job_config *out);
int job_config_parse(const char *name, const char *text, size_t n_text,
                     const char *const *overrides, int n, struct job_config *out);

#endif
