/* run_options.h - the options of the room run: how long, how often, where to, and by which seed. */
#ifndef RUN_RUN_OPTIONS_H
#define RUN_RUN_OPTIONS_H

#include "base/option.h"

enum run_dtype { RUN_F32, RUN_BF16 };

struct run_options {
	const char *output_dir;
	int max_steps, seed, save_steps, save_total_limit, logging_steps, eval_steps, eval_samples,
	        eval_k, eval_on_start, save_samples, tensorboard, check_steps, log_ranks,
	        watchdog_seconds;
	double      eval_temperature, eval_top_p;
	const char *metric_for_best_model;
	int         greater_is_better, patience;
	double      num_train_epochs;
	int         save_only_model, save_dtype; /* of enum run_dtype */
};
extern const struct option_table run_options_table;

#endif
