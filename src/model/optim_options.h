/* optim_options.h - the options of the room optim: the optimizer, its learning rate, and how many
 * updates a batch gives. */
#ifndef MODEL_OPTIM_OPTIONS_H
#define MODEL_OPTIM_OPTIONS_H

#include "base/option.h"
#include "model/optimizer.h"
#include "model/schedule.h"

struct optim_options {
	struct schedule_options  schedule; /* but for total_steps, which are the run's */
	struct optimizer_options adam;
	int                      num_minibatches;
};
extern const struct option_table optim_options_table;

#endif
