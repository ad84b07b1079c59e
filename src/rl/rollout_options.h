/* rollout_options.h - the options of the room rollout: how completions are sampled, or which
 * recorded ones are replayed. */
#ifndef RL_ROLLOUT_OPTIONS_H
#define RL_ROLLOUT_OPTIONS_H

#include "base/option.h"
#include "rl/replay.h"

struct rollout_options {
	int num_generations, prompts_per_step, max_completion_length, top_k, batch_size,
	        share_prompt, speculate;
	double           temperature, top_p, min_p; /* in floats when sampling */
	struct text_list stop;
	const char      *source; /* of replay; empty: completions are sampled */
	enum curation    curation;
	int              max_negatives;
};
extern const struct option_table rollout_options_table;

#endif
