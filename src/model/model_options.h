/* model_options.h - the options of the room model: which weights, and what learns of them. */
#ifndef MODEL_MODEL_OPTIONS_H
#define MODEL_MODEL_OPTIONS_H

#include "base/option.h"
#include "model/adapter.h"
#include "model/shape.h"

struct reference_options { /* whether the reference follows the policy (rl/reference.h) */
	int    sync, every;
	double alpha;
};

struct model_options {
	const char              *path, *tokenizer, *reference, *adapter; /* empty: none named */
	struct adapter_options   lora; /* of a new one; rank 0: none. Its targets by name: */
	struct text_list         lora_target_modules; /* empty: all */
	struct reference_options reference_sync;
	struct model_shape       init; /* where path is empty; but for what the tokenizer decides */
};
extern const struct option_table model_options_table;

#endif
