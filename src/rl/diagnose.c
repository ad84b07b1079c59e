#include "rl/diagnose.h"

#include <assert.h>
#include <math.h>

struct diagnose_counts {
	int completions, valid, right, truncated, by_context, parsed, groups_varied, groups_mixed;
	/* rewards of all; entropies added up, of so many tokens */
	double low, high, entropy, generated;
};

static void count_completion(const struct rollout *r, struct diagnose_counts *c)
{
	c->completions++;
	c->truncated += r->truncated;
	c->by_context += r->truncated && r->stop == STOP_CONTEXT;
	c->parsed += r->parsed;
	c->right += rollout_is_right(r);
	c->generated += rollout_generated(r);
	for (int t = 0; r->entropy && t < r->n; t++)
		c->entropy += (double)r->entropy[t];
}

static int same_ids(const struct rollout *a, const struct rollout *b)
{
	for (int t = 0; t < a->n && t < b->n; t++)
		if (a->ids[t] != b->ids[t])
			return 0;
	return a->n == b->n;
}

static void count_group(const struct group *g, struct diagnose_counts *c)
{
	double low = INFINITY, high = -INFINITY;
	int    mixed = 0;

	for (int i = 0; i < g->n; i++) {
		const struct rollout *r = &g->rollouts[i];
		double                reward = r->reward + r->penalty;
		count_completion(r, c);
		mixed |= !same_ids(r, &g->rollouts[0]);
		if (!isfinite(reward))
			continue;
		c->valid++;
		low = fmin(low, reward);
		high = fmax(high, reward);
	}
	c->groups_varied += high > low;
	c->groups_mixed += mixed;
	c->low = fmin(c->low, low);
	c->high = fmax(c->high, high);
}

/* The cause that all the others would hide comes first. */
static enum diagnosis cause(const struct diagnose_counts *c)
{
	if (c->valid == 0)
		return SIGNAL_INVALID;
	if (c->right == c->completions)
		return SIGNAL_ALL_RIGHT;
	if (c->groups_mixed == 0 && c->generated > 0 &&
	    c->entropy < COLLAPSED_ENTROPY * c->generated && c->right == 0)
		return SIGNAL_COLLAPSED;
	if (c->truncated == c->completions && 2 * c->by_context > c->truncated)
		return SIGNAL_CONTEXT;
	if (c->truncated == c->completions)
		return c->parsed == 0 ? SIGNAL_NOTHING_REACHED : SIGNAL_ALL_TRUNCATED;
	if (c->parsed == 0)
		return SIGNAL_NOTHING_PARSED;
	if (c->low == c->high && c->low != 0 && c->valid > 1)
		return SIGNAL_CONSTANT;
	return c->right == 0 ? SIGNAL_ALL_WRONG : SIGNAL_ALL_EQUAL;
}

static struct diagnose_counts counts_of(const struct group *groups, int n)
{
	struct diagnose_counts c = {.low = INFINITY, .high = -INFINITY};

	for (int g = 0; g < n; g++)
		count_group(&groups[g], &c);
	return c;
}

/* Squares of rewards are added up; no batch has 1e20 of them. */
static int overflows(const struct diagnose_counts *c)
{
	return c->valid > 0 && fmax(fabs(c->low), fabs(c->high)) > 1e140;
}

enum diagnosis diagnose(const struct group *groups, int n)
{
	struct diagnose_counts c = counts_of(groups, n);

	if (overflows(&c))
		return SIGNAL_OVERFLOW;
	return c.groups_varied > 0 || c.completions == 0 ? SIGNAL_FINE : cause(&c);
}

/* Whether no reward differs from those that the baseline compares it with. */
static int is_silent(const struct diagnose_counts *c, enum baseline baseline)
{
	switch (baseline) {
	case BASELINE_GROUP:
	case BASELINE_LEAVE_ONE_OUT:
	case BASELINE_GROUP_BY_LENGTH:
	case BASELINE_SECOND_BEST:
		return c->groups_varied == 0;
	case BASELINE_BATCH:
		return !(c->high > c->low);
	default:
		return 0;
	}
}

enum diagnosis diagnose_learned(const struct diagnose_step *step)
{
	struct diagnose_counts c = counts_of(step->groups, step->n);

	assert(step->n_used <= step->n && !(step->advantage < 0));
	if (c.completions == 0)
		return SIGNAL_FINE;
	if (overflows(&c))
		return SIGNAL_OVERFLOW;
	if (step->n_used == 0 || (step->kl_in_reward && is_silent(&c, step->baseline)))
		return cause(&c);
	if (step->advantage > 0)
		return SIGNAL_FINE;
	return c.groups_varied > 0 ? SIGNAL_MASKED : cause(&c);
}

const char *diagnosis_advice(enum diagnosis d)
{
	static const char *const advice[SIGNAL_PROBLEMS] = {
	        [SIGNAL_FINE] = "",
	        [SIGNAL_ALL_RIGHT] = "every completion is right: there is nothing to learn here; "
	                             "take harder problems",
	        [SIGNAL_ALL_TRUNCATED] =
	                "every completion was cut off: raise rollout.max_completion_length, or "
	                "warm-start the model to end its completions",
	        [SIGNAL_NOTHING_PARSED] = "no completion has the form that the verifier looks for: "
	                                  "check data.prompt_template, or warm-start the model",
	        [SIGNAL_ALL_WRONG] = "no completion is right: take easier problems, raise "
	                             "rollout.num_generations, or warm-start the model",
	        [SIGNAL_ALL_EQUAL] = "within every group all rewards are equal: raise "
	                             "rollout.num_generations or rollout.temperature",
	        [SIGNAL_NOTHING_REACHED] = ("every completion was cut off, and none has the form "
	                                    "that the verifier looks for: raise "
	                                    "rollout.max_completion_length, check "
	                                    "data.prompt_template, or warm-start the model"),
	        [SIGNAL_INVALID] =
	                "no reward could be computed: the verifier failed on every completion",
	        [SIGNAL_CONSTANT] =
	                ("every completion has the same reward, though not every one is right: "
	                 "check that the verifier looks at "
	                 "the completion and that more than its partial credit can be reached"),
	        [SIGNAL_OVERFLOW] = "rewards are so large that their sums are not finite: scale "
	                            "the verifier's rewards down",
	        [SIGNAL_CONTEXT] = ("every completion was cut off because the model has no more "
	                            "positions, long before "
	                            "rollout.max_completion_length: shorten the prompts "
	                            "(data.max_prompt_length), or take a model with a longer "
	                            "context"),
	        [SIGNAL_COLLAPSED] =
	                ("the policy writes one wrong completion to each problem, with entropy 0: "
	                 "it has collapsed (take an earlier "
	                 "checkpoint, lower optim.learning_rate, set optim.max_grad_norm or "
	                 "loss.beta), or rollout.temperature is "
	                 "too low"),
	        [SIGNAL_MASKED] = ("rewards differ only in completions that are left out of the "
	                           "loss: raise rollout.max_completion_length, or "
	                           "set loss.overlong: keep"),
	};
	return advice[d];
}
