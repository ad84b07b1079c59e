#include "rl/rollout.h"

#include "base/error.h"

#include <assert.h>
#include <math.h>
#include <string.h>

int groups_new(int capacity, struct arena *a, struct groups *out)
{
	*out = (struct groups){.capacity = capacity};
	out->items = arena_alloc(a, (size_t)capacity, sizeof *out->items);
	return out->items ? OK : ERR_INPUT;
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

static int min(int a, int b)
{
	return a < b ? a : b;
}

static void request_group(const struct rollout_options *o, const struct context *prompt, int item, int first_sample, uint32_t step,
                          struct decode_request *out)
{
	for (int i = 0; i < o->num_generations; i++)
		out[i] = (struct decode_request){
		        .prompt = prompt->ids,
		        .n_prompt = prompt->n,
		        .max_new = min(o->max_completion_length, o->n_positions - prompt->n),
		        .key = {o->seed, o->purpose, step, (uint32_t)item, (uint32_t)(first_sample + i)},
		};
}

static int record(const struct rollout_options *o, const struct context *prompt, const struct decode_request *q,
                  const struct decode_result *d, struct arena *a, struct rollout *out)
{
	int context_full = d->stop == STOP_LENGTH && q->max_new < o->max_completion_length;

	*out = (struct rollout){
	        .sampled_under = prompt,
	        .trained_under = prompt,
	        .n = d->n,
	        .ids = d->ids,
	        .trained = arena_alloc(a, (size_t)d->n, 1),
	        .logp = d->logp,
	        .entropy = d->entropy,
	        .reward = NAN,
	        .accuracy = NAN,
	        .stop = context_full ? STOP_CONTEXT : d->stop,
	        .truncated = d->stop == STOP_LENGTH,
	        .source = SOURCE_OWN,
	        .sample = q->key.sample,
	};
	if (!out->trained)
		return ERR_INPUT;
	memset(out->trained, 1, (size_t)d->n);
	return OK;
}

int rollout_sample(struct decoder *d, const struct rollout_options *o, const struct prompts *prompts, const int *picked, int n_picked,
                   uint32_t step, struct arena *a, struct groups *groups)
{
	int                    G = o->num_generations, n = n_picked * G;
	struct decode_request *q = arena_alloc(a, (size_t)n, sizeof *q);
	struct decode_result  *r = arena_alloc(a, (size_t)n, sizeof *r);

	assert(groups->n + n_picked <= groups->capacity);
	if (!q || !r)
		return ERR_INPUT;
	for (int p = 0; p < n_picked; p++) {
		int           item = picked[p], id = groups->n + p;
		struct group *group = &groups->items[id];
		request_group(o, &prompts->contexts[item], item, samples_before(groups, id, item), step, q + (size_t)p * (size_t)G);
		*group = (struct group){.problem = prompts->problems[item], .id = id, .item = item, .n = G};
		group->rollouts = arena_alloc(a, (size_t)G, sizeof *group->rollouts);
		if (!group->rollouts)
			return ERR_INPUT;
	}
	TRY(decode_run(d, &o->decode, q, n, a, r));
	for (int i = 0; i < n; i++)
		TRY(record(o, &prompts->contexts[picked[i / G]], &q[i], &r[i], a, &groups->items[groups->n + i / G].rollouts[i % G]));
	groups->n += n_picked;
	return OK;
}
