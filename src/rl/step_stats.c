#include "rl/step_stats.h"

#include "base/error.h"

#include <assert.h>
#include <math.h>

static void sampled_add_rollout(const struct rollout *r, struct sampled_stats *s)
{
	assert(r->n > 0 && r->entropy); /* even an empty completion has its end token */
	s->completions++;
	s->length += r->n;
	s->length_min = s->completions == 1 || r->n < s->length_min ? r->n : s->length_min;
	s->length_max = r->n > s->length_max ? r->n : s->length_max;
	s->clipped += r->truncated;
	s->length_ended += r->truncated ? 0 : r->n;
	s->failed += r->failed;
	s->judged += r->right != MARK_UNKNOWN;
	s->right += rollout_is_right(r);
	s->generated += rollout_generated(r);
	s->seen += r->n + r->sampled_under->n;
	for (int i = 0; i < r->n_spans; i++)
		s->turns += r->spans[i].kind == SPAN_TURN;
	for (int t = 0; t < r->n; t++)
		s->entropy += (double)r->entropy[t];
}

enum { OF_REWARD = -1 };

/* The reward of each completion, or its component i, where it could be computed. */
static int sampled_values(const struct group *g, int i, double *out)
{
	int n = 0;

	for (int k = 0; k < g->n; k++) {
		const struct rollout *r = &g->rollouts[k];
		out[n] = i == OF_REWARD ? r->reward : i < r->n_components ? r->components[i] : NAN;
		n += isfinite(out[n]) != 0;
	}
	return n;
}

/* The deviation of fewer than two values is 0 here. */
static struct statistics_mean sampled_mean(const double *x, int n)
{
	struct statistics_mean m = statistics_mean(x, n);

	m.deviation = n > 1 ? m.deviation : 0;
	return m;
}

static void sampled_add_group(const struct group *g, double *x, struct sampled_stats *s)
{
	struct statistics_mean m = sampled_mean(x, sampled_values(g, OF_REWARD, x));

	s->groups++;
	s->groups_constant += m.deviation <= 1e-8; /* torch.isclose */
	s->group_std += m.deviation;
	for (int i = 0; i < g->n; i++)
		sampled_add_rollout(&g->rollouts[i], s);
}

int sampled_stats_of(const struct groups *groups, struct arena *a, struct sampled_stats *out)
{
	int     most = 1;
	double *x, ended;

	*out = (struct sampled_stats){0};
	for (int g = 0; g < groups->n; g++)
		most += groups->items[g].n;
	TRY(arena_take(a, (size_t)most, "the rewards of a step", &x));
	for (int i = OF_REWARD; i < REWARD_PARTS; i++) {
		int n = 0;
		for (int g = 0; g < groups->n; g++)
			n += sampled_values(&groups->items[g], i, x + n);
		*(i == OF_REWARD ? &out->reward : &out->component[i]) = sampled_mean(x, n);
	}
	for (int g = 0; g < groups->n; g++)
		sampled_add_group(&groups->items[g], x, out);
	ended = out->completions - out->clipped;
	out->length_ended = ended > 0 ? out->length_ended / ended : 0;
	out->invalid = out->completions - out->reward.n;
	out->completions_in_turns = out->turns > 0 ? out->completions : 0;
	return OK;
}
