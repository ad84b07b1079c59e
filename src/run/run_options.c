#include "run/run_options.h"

#include <limits.h>

#define HELD_OUT "data.eval!=[] or data.eval_generate!=[]"

static const struct choice run_dtypes[] = {
        {"f32", RUN_F32, NULL}, {"bf16", RUN_BF16, NULL}, {NULL, 0, NULL}};

#define HOME struct run_options
#define ROOM "run."
/* clang-format off */
static const struct option run_options[] = {
	TEXT(output_dir, "", 0, 3000, "the run folder; empty: runs/NAME of the config file",
	     .flags = FREE_ON_RESUME),
	INT(max_steps, "100", 0, INT_MAX, "steps of the run", .flags = FREE_ON_RESUME),
	REAL(num_train_epochs, "0", 0, 1e6,
	     "passes through the training problems, from which the steps follow; with run.max_steps "
	     "as well, the smaller number; 0: run.max_steps alone", .flags = FREE_ON_RESUME),
	INT(seed, "0", 0, INT_MAX, "all randomness is keyed by it"),
	INT(logging_steps, "1", 1, INT_MAX,
	    "prints a line every so many steps; metrics.jsonl has every step",
	    .flags = FREE_ON_RESUME),
	INT(save_steps, "50", 0, INT_MAX, "a checkpoint every so many steps; 0: only at the end",
	    .flags = FREE_ON_RESUME),
	INT(save_total_limit, "2", 0, INT_MAX, "checkpoints kept; 0: all", .flags = FREE_ON_RESUME),
	BOOL(save_only_model, "false",
	     "checkpoints hold the model without its moments: smaller, but no run goes on from one",
	     .flags = FREE_ON_RESUME),
	CHOICE(save_dtype, "f32", run_dtypes,
	       "of the weights in checkpoints; a run goes on from f32 alone",
	       .when = "run.save_only_model=true", .flags = FREE_ON_RESUME),
	INT(save_samples, "16", 0, 1 << 20,
	    "completions written to samples/ at each evaluation and at the last step; 0: none",
	    .flags = FREE_ON_RESUME),
	INT(check_steps, "20", 0, INT_MAX,
	    "of several ranks, compares weights every so many steps; 0: only at the "
	    "start", .flags = FREE_ON_RESUME),
	BOOL(log_ranks, "false", "shows what each of several ranks says, with its number",
	     .flags = FREE_ON_RESUME),
	INT(watchdog_seconds, "1800", 0, 43200,
	    "ends a job that made no progress for so long, and says where it hangs; 0: never",
	    .flags = FREE_ON_RESUME),
	BOOL(tensorboard, "true", "write events files", .flags = FREE_ON_RESUME),
	INT(eval_steps, "0", 0, INT_MAX,
	    "evaluate on the held-out problems every so many steps and at the end; 0: never",
	    .when = HELD_OUT, .flags = FREE_ON_RESUME),
	BOOL(eval_on_start, "true", "evaluates before the first step, too",
	     .when = "run.eval_steps!=0", .flags = FREE_ON_RESUME),
	INT(eval_samples, "1", 1, 65536, "completions per held-out problem", .when = HELD_OUT,
	    .flags = FREE_ON_RESUME),
	INT(eval_k, "0", 0, 65536, "the k of pass@k; 0: as run.eval_samples", .when = HELD_OUT,
	    .flags = FREE_ON_RESUME),
	REAL(eval_temperature, "1", 0, 100,
	     "0: greedy; where it is not set, hone eval takes the model's generation_config.json",
	     .tiny = 1e-3, .when = HELD_OUT, .flags = FREE_ON_RESUME),
	REAL(eval_top_p, "1", 1e-6, 1, "as rollout.top_p, for held-out problems",
	     .when = "run.eval_temperature!=0", .flags = FREE_ON_RESUME),
	TEXT(metric_for_best_model, "", 0, 79,
	     "a number of metrics.jsonl, as eval/pass@1 or reward: each time it is better than "
	     "before, a checkpoint is saved and stays until another is best, beside those of "
	     "run.save_total_limit; of the steps, its mean since the last multiple of "
	     "run.save_steps; empty: none", .flags = FREE_ON_RESUME),
	BOOL(greater_is_better, "true", "whether a larger value of it is better",
	     .when = "run.metric_for_best_model!=", .flags = FREE_ON_RESUME),
	INT(patience, "0", 0, INT_MAX,
	    "ends the run when so many comparisons of it in a row were no better; 0: never",
	    .when = "run.metric_for_best_model!=", .flags = FREE_ON_RESUME),
};
/* clang-format on */
const struct option_table run_options_table = OPTION_TABLE(run_options);
