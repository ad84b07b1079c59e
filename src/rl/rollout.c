#include "rl/rollout.h"

#include "base/error.h"
#include "rl/episode.h"
#include "world/environment.h"

#include <assert.h>
#include <math.h>
#include <string.h>

int groups_new(int capacity, struct arena *a, struct groups *out)
{
	*out = (struct groups){.capacity = capacity};
	return arena_take(a, (size_t)capacity, "the groups of a step", &out->items);
}

/* How many samples of this problem the step has already. */
static int samples_before(const struct groups *groups, int n, int item)
{
	int samples = 0;

	for (int g = 0; g < n; g++)
		if (groups->items[g].item == item)
			samples += groups->items[g].n;
	return samples;
}

static int rollout_min(int a, int b)
{
	return a < b ? a : b;
}

/* ---- from requests to records ---- */

struct rollout_completions { /* of one call, in the order of the requests */
	int                    n;
	const struct problem **problems;
	struct decode_request *requests;
	struct rollout       **rollouts;
};

static int completions_new(int capacity, struct arena *a, struct rollout_completions *out)
{
	size_t n = (size_t)capacity;

	*out = (struct rollout_completions){0};
	TRY(arena_take(a, n, "the problems of the completions", &out->problems));
	TRY(arena_take(a, n, "the requests for completions", &out->requests));
	return arena_take(a, n, "the completions", &out->rollouts);
}

static int sample_at_once(struct decoder *d, const struct decode_options *o,
                          const struct rollout_completions *w, struct arena *a)
{
	struct decode_result *r;
	unsigned char        *trained;

	TRY(arena_take(a, (size_t)w->n, "the decoded completions", &r));
	if (w->n)
		TRY(decode_run(d, o, w->requests, w->n, a, r));
	for (int i = 0; i < w->n; i++) {
		struct rollout *out = w->rollouts[i];
		out->n = r[i].n;
		out->ids = r[i].ids;
		out->logp = r[i].logp;
		out->entropy = r[i].entropy;
		out->stop = r[i].stop;
		TRY(arena_take(a, (size_t)r[i].n, "which tokens are trained", &trained));
		memset(trained, 1, (size_t)r[i].n);
		out->trained = trained;
	}
	return OK;
}

/* `world` NULL: the problems name their environments. */
static int sample_in_turns(struct decoder *d, const struct decode_options *o,
                           struct environment_program *world, const struct rollout_completions *w,
                           struct arena *a)
{
	struct episodes episodes = {w->n, w->problems, w->requests, w->rollouts, world};

	return w->n ? episode_run(d, o, &episodes, a) : OK;
}

static void rollout_settle(const struct rollout_sampling *o, const struct rollout_completions *w)
{
	for (int i = 0; i < w->n; i++) {
		struct rollout *r = w->rollouts[i];
		r->truncated = r->stop == STOP_LENGTH;
		if (r->truncated && w->requests[i].max_new < o->max_completion_length)
			r->stop = STOP_CONTEXT;
	}
}

/* Appends a group of blank records. */
static int add_group(const struct rollout_sampling *o, const struct rollout_picks *picks, int item,
                     struct arena *a, struct groups *groups)
{
	struct group         *group = &groups->items[groups->n];
	const struct context *prompt = &picks->prompts->contexts[item];
	int G = o->num_generations, first = samples_before(groups, groups->n, item);

	*group = (struct group){
	        .problem = picks->prompts->problems[item], .id = groups->n, .item = item, .n = G};
	TRY(arena_take(a, (size_t)G, "a group of completions", &group->rollouts));
	for (int i = 0; i < G; i++)
		group->rollouts[i] = (struct rollout){.sampled_under = prompt,
		                                      .trained_under = prompt,
		                                      .reward = NAN,
		                                      .right = MARK_UNKNOWN,
		                                      .source = SOURCE_OWN,
		                                      .sample = (uint32_t)(first + i)};
	groups->n++;
	return OK;
}

/* Adds the requests for completions that fill a group's blank records. */
static void request_group(const struct rollout_sampling *o, uint32_t step,
                          const struct group *group, struct rollout_completions *w)
{
	const struct earlier_group before =
	        o->earlier ? o->earlier->items[group->item] : (struct earlier_group){0};

	for (int i = 0; i < group->n; i++, w->n++) {
		struct rollout       *r = &group->rollouts[i];
		const struct context *prompt = r->sampled_under;
		w->requests[w->n] = (struct decode_request){
		        .prompt = prompt->ids,
		        .n_prompt = prompt->n,
		        .max_new =
		                rollout_min(o->max_completion_length, o->n_positions - prompt->n),
		        .key = {o->seed, o->purpose, step, (uint32_t)group->item, r->sample},
		        .earlier = before.ids,
		        .n_earlier = before.n,
		};
		w->rollouts[w->n] = r;
		w->problems[w->n] = group->problem;
	}
}

int rollout_sample(struct decoder *d, const struct rollout_sampling *o,
                   const struct rollout_picks *picks, struct arena *a, struct groups *groups)
{
	struct rollout_completions whole, turns, played;
	int                        first = groups->n, n = picks->n * o->num_generations;

	assert(groups->n + picks->n <= groups->capacity);
	TRY(completions_new(n, a, &whole));
	TRY(completions_new(n, a, &turns));
	TRY(completions_new(n, a, &played));
	for (int p = 0; p < picks->n; p++) {
		assert(picks->items[p] >= 0 && picks->items[p] < picks->prompts->n);
		TRY(add_group(o, picks, picks->items[p], a, groups));
	}
	TRY(deal_groups(o->lengths, groups->items + first, picks->n, a));
	for (int g = first; g < groups->n; g++)
		if (deal_is_mine(&groups->items[g]))
			request_group(o, picks->step, &groups->items[g],
			              environment_has(groups->items[g].problem) ? &turns
			              : o->world                                ? &played
			                                                        : &whole);
	TRY(sample_at_once(d, &o->decode, &whole, a));
	TRY(sample_in_turns(d, &o->decode, NULL, &turns, a));
	TRY(sample_in_turns(d, &o->decode, o->world, &played, a));
	rollout_settle(o, &whole);
	rollout_settle(o, &turns);
	rollout_settle(o, &played);
	for (int g = first; o->earlier && g < groups->n; g++)
		if (deal_is_mine(&groups->items[g]))
			TRY(earlier_remember(o->earlier, &groups->items[g]));
	return OK;
}
