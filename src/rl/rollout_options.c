#include "rl/rollout_options.h"

#include <limits.h>

static const struct choice curations[] = {{"all", CURATION_ALL, NULL},
                                          {"balanced", CURATION_BALANCED, NULL},
                                          {"one_positive", CURATION_ONE_POSITIVE, NULL},
                                          {0}};

#define HOME struct rollout_options
#define ROOM "rollout."
/* clang-format off */
static const struct option rollout_options[] = {
	INT(num_generations, "8", 1, 65536, "completions sampled per problem"),
	INT(prompts_per_step, "16", 1, 1 << 20, "problems per step"),
	INT(max_completion_length, "256", 1, 1 << 20, "most tokens of a completion"),
	REAL(temperature, "1", 0, 100, "0: greedy", .tiny = 1e-3),
	REAL(top_p, "1", 1e-6, 1,
	     "samples from the smallest set of tokens with this probability; 1: off",
	     .when = "rollout.temperature!=0"),
	INT(top_k, "0", -1, INT_MAX, "samples from the k likeliest tokens; 0 or -1: off",
	    .when = "rollout.temperature!=0"),
	REAL(min_p, "0", 0, 1,
	     "samples from tokens at least this many times as likely as the likeliest; 0: off",
	     .when = "rollout.temperature!=0"),
	TEXTS(stop, "[]", 0, 32, "texts that end a completion, besides the end token",
	      .when = "rollout.source= or data.eval!=[] or data.eval_generate!=[]"),
	INT(batch_size, "64", 1, 65536,
	    "completions decoded at once; changes only speed and memory", .flags = FREE_ON_RESUME),
	BOOL(share_prompt, "true",
	     "computes the prompt of a group once while decoding; changes only speed and memory",
	     .flags = FREE_ON_RESUME),
	BOOL(speculate, "false",
	     "guesses the next tokens of a completion while few are running and computes them in one "
	     "pass; changes only speed",
	     .flags = FREE_ON_RESUME),
	TEXT(source, "", 0, 4000,
	     "rollouts recorded by hone rollouts, to train on instead of sampling; empty: sample"),
	CHOICE(curation, "all", curations,
	       "what is kept of each group of the source; balanced: as many right as wrong "
	       "completions; one_positive: the first right one and the wrong ones",
	       .when = "rollout.source!="),
	INT(max_negatives, "0", 0, INT_MAX,
	    "most bad completions kept of each group of the source; 0: all",
	    .when = "rollout.source!="),
};
/* clang-format on */
const struct option_table rollout_options_table = OPTION_TABLE(rollout_options);
