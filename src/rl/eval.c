#include "rl/eval.h"

#include "base/error.h"
#include "data/problem.h"
#include "rl/reward.h"
#include "rl/vote.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the completions ---- */

int eval_sample(struct decoder *d, const struct rollout_sampling *r,
                const struct eval_slice *problems, const struct reward_spec *judge, struct arena *a,
                struct groups *groups)
{
	struct group *sampled = groups->items + groups->n;
	int          *items, n = problems->n;

	assert(r->purpose == RNG_EVAL && problems->first + n <= problems->prompts->n);
	TRY(arena_take(a, (size_t)n, "the picked problems", &items));
	for (int i = 0; i < n; i++)
		items[i] = problems->first + i;
	TRY(rollout_sample(d, r, &(struct rollout_picks){problems->prompts, items, n, 0}, a,
	                   groups));
	TRY(reward_score(judge, judge, r->decode.tokenizer, sampled, n, a));
	TRY(deal_gather(r->lengths, sampled, n, a));
	TRY(reward_check(judge, judge, sampled, n));
	return vote_groups(judge, sampled, n);
}

/* ---- what they say ---- */

double eval_pass_k(int n, int c, int k)
{
	double all_wrong = 1; /* C(n-c, k) / C(n, k) = prod (1 - c/i) for i = n-k+1 .. n */

	assert(1 <= k && k <= n && 0 <= c && c <= n);
	if (n - c < k)
		return 1;
	for (int i = n - k + 1; i <= n; i++)
		all_wrong *= 1 - (double)c / i;
	return 1 - all_wrong;
}

const char *eval_text(struct eval_mean x, char out[EVAL_TEXT])
{
	if (isfinite(x.error))
		snprintf(out, EVAL_TEXT, "%.1f%% +- %.1f", 100 * x.mean, 100 * x.error);
	else
		snprintf(out, EVAL_TEXT, "%.1f%%", 100 * x.mean);
	return out;
}

static int votes_for(const struct group *g, int first)
{
	int votes = 0;

	for (int i = 0; i < g->n; i++)
		votes += g->rollouts[i].vote == first;
	return votes;
}

/* The first of the completions with the most votes decides. */
static int majority_right(const struct group *g)
{
	int most = 0, best = -1;

	for (int i = 0; i < g->n; i++)
		if (g->rollouts[i].vote == i && votes_for(g, i) > most) {
			most = votes_for(g, i);
			best = i;
		}
	return best >= 0 && rollout_is_right(&g->rollouts[best]);
}

static struct eval_mean eval_mean_of(const double *x, int n)
{
	double mean = 0, square = 0;

	for (int i = 0; i < n; i++)
		mean += x[i];
	mean /= n;
	for (int i = 0; i < n; i++)
		square += (x[i] - mean) * (x[i] - mean);
	return (struct eval_mean){mean, n > 1 ? sqrt(square / (n - 1) / n) : NAN};
}

static int is_judged(const struct group *g)
{
	for (int i = 0; i < g->n; i++)
		if (g->rollouts[i].right == MARK_UNKNOWN)
			return 0;
	return 1;
}

static int eval_belongs(const struct group *g, const char *category)
{
	return !category || (g->problem->category && !strcmp(g->problem->category, category));
}

static struct eval_mean pass_at(int k, const int *right, int P, int samples, double *x)
{
	for (int i = 0; i < P; i++)
		x[i] = k == 1 ? (double)right[i] / samples : eval_pass_k(samples, right[i], k);
	return eval_mean_of(x, P);
}

struct eval_set { /* the groups of an evaluation, and the k of its pass@k */
	const struct group *groups;
	int                 n, k;
};

static int eval_one(const struct eval_set *set, const char *category, struct arena *a,
                    const struct eval_results *all, struct eval_result *out)
{
	double *x, *maj, *reward;
	int    *right, P = 0, completions = 0, n = set->n;

	*out = (struct eval_result){.category = category};
	TRY(arena_take(a, (size_t)n, "pass@k of the problems", &x));
	TRY(arena_take(a, (size_t)n, "the majorities of the problems", &maj));
	TRY(arena_take(a, (size_t)n, "the rewards of the problems", &reward));
	TRY(arena_take(a, (size_t)n, "the right completions", &right));
	for (int g = 0; g < n; g++) {
		const struct group *group = &set->groups[g];
		if (!eval_belongs(group, category))
			continue;
		if (!is_judged(group)) {
			out->n_unjudged++;
			continue;
		}
		reward[P] = 0;
		for (int i = 0; i < group->n; i++) {
			const struct rollout *r = &group->rollouts[i];
			right[P] += rollout_is_right(r);
			reward[P] += r->reward / group->n;
			out->length += r->n;
			out->truncated += r->truncated;
		}
		completions += group->n;
		out->n_samples = group->n;
		maj[P++] = majority_right(group);
	}
	out->n_problems = P;
	out->pass_1 = pass_at(1, right, P, out->n_samples, x);
	out->pass_k = pass_at(set->k, right, P, out->n_samples, x);
	for (int i = 0; i < all->n_curve; i++)
		out->curve[i] = pass_at(all->curve[i], right, P, out->n_samples, x);
	out->maj = eval_mean_of(maj, P);
	out->reward = eval_mean_of(reward, P);
	out->length /= completions;
	out->truncated /= completions;
	return OK;
}

int eval_source(const struct group *groups, int n, int source, struct arena *a,
                struct eval_mean *pass_1)
{
	double *share;
	int     P = 0;

	TRY(arena_take(a, (size_t)n, "pass@1 of the problems", &share));
	for (int g = 0; g < n; g++) {
		if (groups[g].problem->source != source || !is_judged(&groups[g]))
			continue;
		share[P] = 0;
		for (int i = 0; i < groups[g].n; i++)
			share[P] += (double)rollout_is_right(&groups[g].rollouts[i]) / groups[g].n;
		P++;
	}
	*pass_1 = eval_mean_of(share, P);
	return OK;
}

static int eval_by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The different categories, sorted. */
static int categories(const struct group *groups, int n, const char **out)
{
	int count = 0, kept = 0;

	for (int g = 0; g < n; g++)
		if (groups[g].problem->category)
			out[count++] = groups[g].problem->category;
	qsort(out, (size_t)count, sizeof *out, eval_by_name);
	for (int i = 0; i < count; i++)
		if (i == 0 || strcmp(out[i], out[kept - 1]))
			out[kept++] = out[i];
	return kept;
}

int eval_groups(const struct group *groups, int n, int k, struct arena *a, struct eval_results *out)
{
	const struct eval_set set = {groups, n, k};
	const char          **names;
	int                   n_names;

	*out = (struct eval_results){0};
	if (n == 0)
		return error_set(ERR_INPUT, "there are no problems to evaluate");
	assert(1 <= k && k <= groups[0].n);
	for (int g = 0; g < n; g++)
		assert(groups[g].n == groups[0].n);
	TRY(arena_take(a, (size_t)n, "the names of the categories", &names));
	for (int at = 1; at < groups[0].n; at *= 2)
		out->curve[out->n_curve++] = at;
	out->curve[out->n_curve++] = groups[0].n;
	n_names = categories(groups, n, names);
	TRY(arena_take(a, (size_t)n_names + 1, "the results of an evaluation", &out->items));
	TRY(eval_one(&set, NULL, a, out, &out->items[out->n++]));
	if (out->items[0].n_problems == 0)
		return error_set(ERR_FAILED,
		                 "none of %d problems has a verdict on all of its completions", n);
	for (int i = 0; n_names > 1 && i < n_names; i++)
		TRY(eval_one(&set, names[i], a, out, &out->items[out->n++]));
	return OK;
}
