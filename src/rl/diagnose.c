#include "rl/diagnose.h"

#include <math.h>

struct counts {
	int answers, valid, right, truncated, parsed, groups_varied;
};

static void count_group(const struct group *g, struct counts *c)
{
	double low = INFINITY, high = -INFINITY;

	for (int i = 0; i < g->n; i++) {
		const struct rollout *r = &g->rollouts[i];
		c->answers++;
		c->truncated += r->truncated;
		c->parsed += r->parsed;
		c->right += rollout_is_right(r);
		if (!isfinite(r->reward))
			continue;
		c->valid++;
		low = r->reward < low ? r->reward : low;
		high = r->reward > high ? r->reward : high;
	}
	c->groups_varied += high > low;
}

enum diagnosis diagnose(const struct group *groups, int n)
{
	struct counts c = {0};

	for (int g = 0; g < n; g++)
		count_group(&groups[g], &c);
	if (c.groups_varied > 0 || c.answers == 0)
		return SIGNAL_FINE;
	if (c.valid == 0)
		return SIGNAL_INVALID;
	if (c.right == c.answers)
		return SIGNAL_ALL_RIGHT;
	if (c.truncated == c.answers)
		return c.parsed == 0 ? SIGNAL_NOTHING_REACHED : SIGNAL_ALL_TRUNCATED;
	if (c.parsed == 0)
		return SIGNAL_NOTHING_PARSED;
	if (c.right == 0)
		return SIGNAL_ALL_WRONG;
	return SIGNAL_ALL_EQUAL;
}

const char *diagnosis_advice(enum diagnosis d)
{
	static const char *const advice[] = {
	        [SIGNAL_FINE] = "",
	        [SIGNAL_ALL_RIGHT] = "every answer is right: there is nothing to learn here; take harder problems",
	        [SIGNAL_ALL_TRUNCATED] =
	                "every answer was cut off: raise rollout.max_completion_length, or warm-start the model to end its answers",
	        [SIGNAL_NOTHING_PARSED] =
	                "no answer has the form that the verifier looks for: check data.prompt_template, or warm-start the model",
	        [SIGNAL_ALL_WRONG] = "no answer is right: take easier problems, raise rollout.num_generations, or warm-start the model",
	        [SIGNAL_ALL_EQUAL] = "within every group all rewards are equal: raise rollout.num_generations or rollout.temperature",
	        [SIGNAL_NOTHING_REACHED] = ("every answer was cut off, and none has the form that the verifier looks for: raise "
	                                    "rollout.max_completion_length, check data.prompt_template, or warm-start the model"),
	        [SIGNAL_INVALID] = "no reward could be computed: the verifier failed on every answer",
	};
	return advice[d];
}
