#include "model/optim_options.h"

#include <limits.h>

#define HOME struct optim_options
#define ROOM "optim."
/* clang-format off */
static const struct option optim_options[] = {
	REAL_AS("learning_rate", schedule.learning_rate, "1e-6", 0, 10, "the peak"),
	NAMED_AS("lr_scheduler_type", schedule.name, "constant", schedule_name,
	     "as transformers names them"),
	REAL_AS("min_lr_rate", schedule.min_lr_rate, "0", 0, 1,
	        "share of the peak at which it ends",
	        .when = "optim.lr_scheduler_type=cosine_with_min_lr"),
	INT_AS("warmup_steps", schedule.warmup_steps, "0", 0, INT_MAX,
	       "steps over which the rate rises from 0",
	       .when = "optim.lr_scheduler_type!=constant"),
	REAL_AS("warmup_ratio", schedule.warmup_ratio, "0", 0, 1,
	        "the same as a share of run.max_steps",
	        .when = "optim.lr_scheduler_type!=constant"),
	REAL_AS("weight_decay", adam.weight_decay, "0", 0, 10, "decoupled"),
	REAL_AS("adam_beta1", adam.beta1, "0.9", 0, 0.999999, "decay of the first moment"),
	REAL_AS("adam_beta2", adam.beta2, "0.999", 0, 0.99999999, "decay of the second moment"),
	REAL_AS("adam_epsilon", adam.epsilon, "1e-8", 1e-15, 1,
	        "added to the root of the second moment"),
	REAL_AS("max_grad_norm", adam.max_grad_norm, "1", 0, 1e9,
	        "clip of the gradient's global norm; 0: off"),
	INT(num_minibatches, "1", 1, 65536, "updates per pass over a batch of rollouts"),
};
/* clang-format on */
const struct option_table optim_options_table = OPTION_TABLE(optim_options);
