/* Learning: a training step over texts that are there, and a whole step of GRPO, by the functions
 * that a run calls. */
#include "cli/bench.h"

#include "base/clock.h"
#include "base/error.h"
#include "data/problem.h"
#include "rl/learn.h"
#include "rl/rollout.h"

#include <stdio.h>
#include <string.h>

enum { GROUPS = 8, G = 8, PROMPT = 128, COMPLETION = 128 };

struct learn_bench {
	struct bench        *b;
	struct policy        policy;
	struct learn_options options;
	struct arena         arena; /* of one step */
	uint32_t             step;
	int                  n_groups; /* GRPO: of a step */
	/* of the newest step */
	struct update_report update;
	double               seconds_sampling, seconds_learning;

	/* training: one completion a group; GRPO: picks of the prompts */
	struct problem  problems[GROUPS];
	struct context  prompts[GROUPS];
	struct decoder *decoder;
};

static int learn_bench_new(struct bench *b, const char *algorithm, struct learn_bench *l)
{
	const struct policy_options o = {.micro_batch_tokens = b->compute.micro_batch_tokens,
	                                 .temperature = 1,
	                                 .optimizer = optimizer_defaults()};

	*l = (struct learn_bench){.b = b,
	                          .n_groups = GROUPS,
	                          .options = {.algorithm = *algorithm_find(algorithm),
	                                      .num_minibatches = 1,
	                                      .seed = 1}};
	for (int i = 0; i < GROUPS; i++) {
		l->problems[i] = (struct problem){.id = "bench"};
		l->prompts[i] = (struct context){b->ids + i * BENCH_LENGTH, PROMPT};
	}
	return policy_new(b->model, &o, &l->policy);
}

static void learn_bench_free(struct learn_bench *l)
{
	decoder_free(l->decoder);
	policy_free(&l->policy);
	arena_free(&l->arena);
}

static int learn_groups(struct learn_bench *l, struct group *groups, int n)
{
	const struct learn_input in = {.policy = &l->policy,
	                               .groups = groups,
	                               .n_groups = n,
	                               .step = l->step++,
	                               .learning_rate = 1e-6};
	struct learn_report      report;
	double                   start = clock_seconds();

	TRY(learn_from(&l->options, &in, &l->arena, &report));
	l->seconds_learning = clock_seconds() - start;
	l->update = report.update;
	return OK;
}

/* ---- a training step ---- */

/* One completion of a problem: all of its text but the first token. */
static int text_group(struct learn_bench *l, int i, struct group *out)
{
	int            n = BENCH_LENGTH - 1;
	unsigned char *trained;
	float         *zeros;

	TRY(arena_take(&l->arena, (size_t)n, "which tokens are trained", &trained));
	TRY(arena_take(&l->arena, (size_t)n, "the log-probs", &zeros));
	memset(trained, 1, (size_t)n);
	*out = (struct group){.problem = &l->problems[i], .id = i, .item = i, .n = 1};
	TRY(arena_take(&l->arena, 1, "a completion", &out->rollouts));
	l->prompts[i].n = 1;
	out->rollouts[0] = (struct rollout){.sampled_under = &l->prompts[i],
	                                    .trained_under = &l->prompts[i],
	                                    .n = n,
	                                    .ids = l->prompts[i].ids + 1,
	                                    .trained = trained,
	                                    .logp = zeros,
	                                    .entropy = zeros,
	                                    .reward = 1,
	                                    .right = MARK_RIGHT,
	                                    .stop = STOP_EOS,
	                                    .source = SOURCE_OWN};
	return OK;
}

static int training_once(void *context)
{
	struct learn_bench *l = context;
	struct group        groups[BENCH_SEQUENCES];

	arena_reset(&l->arena);
	for (int i = 0; i < BENCH_SEQUENCES; i++)
		TRY(text_group(l, i, &groups[i]));
	return learn_groups(l, groups, BENCH_SEQUENCES);
}

static void add_training(struct bench *b, const struct learn_bench *l, double seconds)
{
	const double            T = BENCH_TOKENS;
	const struct bench_work forward = bench_both(bench_layers(b, T, BENCH_LENGTH / 2.0),
	                                             bench_logits(b, T - BENCH_SEQUENCES), 1),
	                        all = bench_both(forward, (struct bench_work){0}, 3),
	                        backward = bench_both(forward, (struct bench_work){0}, 2),
	                        /* weights, moments, gradients: four arrays read, three written */
	        optimizer = {.bytes = 28.0 * (double)b->model->weights.n};

	bench_add(b, "training step, 2048 tokens", "tokens/s", T, &all, seconds);
	bench_add(b, "  its forward pass", "tokens/s", T, &forward, l->update.seconds_forward);
	bench_add(b, "  its backward pass", "tokens/s", T, &backward, l->update.seconds_backward);
	bench_add(b, "  its AdamW and repacking", "GB/s", optimizer.bytes * 1e-9, &optimizer,
	          l->update.seconds_optimizer);
}

int bench_training(struct bench *b)
{
	struct learn_bench l;
	double             seconds;
	int                status = learn_bench_new(b, "reinforce", &l);

	if (status == OK)
		status = bench_time(b, training_once, &l, &seconds);
	if (status == OK)
		add_training(b, &l, seconds);
	learn_bench_free(&l);
	return status;
}

/* ---- a whole step of GRPO ---- */

/* Every second completion is right: no group is silent. */
static void give_rewards(struct groups *groups)
{
	for (int g = 0; g < groups->n; g++)
		for (int i = 0; i < groups->items[g].n; i++) {
			groups->items[g].rollouts[i].reward = i % 2;
			groups->items[g].rollouts[i].right = i % 2 ? MARK_RIGHT : MARK_WRONG;
		}
}

static int grpo_once(void *context)
{
	static const int      items[GROUPS] = {0, 1, 2, 3, 4, 5, 6, 7};
	struct learn_bench   *l = context;
	const struct problem *problems[GROUPS];
	struct prompts        prompts = {.n = GROUPS, .problems = problems, .contexts = l->prompts};
	struct rollout_sampling o = {
	        .decode = {.sampling = {.temperature = 1, .top_p = 1}, .share_prompt = 1},
	        .num_generations = G,
	        .max_completion_length = COMPLETION,
	        .n_positions = l->b->shape.n_positions,
	        .seed = 1,
	        .purpose = RNG_SAMPLE};
	struct groups groups;
	double        start = clock_seconds();

	arena_reset(&l->arena);
	for (int i = 0; i < GROUPS; i++)
		problems[i] = &l->problems[i];
	TRY(groups_new(l->n_groups, &l->arena, &groups));
	TRY(rollout_sample(l->decoder, &o,
	                   &(struct rollout_picks){&prompts, items, l->n_groups, l->step},
	                   &l->arena, &groups));
	give_rewards(&groups);
	l->seconds_sampling = clock_seconds() - start;
	return learn_groups(l, groups.items, groups.n);
}

static void add_grpo(struct bench *b, const struct learn_bench *l, double seconds)
{
	const double            n = GROUPS * G;
	const struct bench_work none = {0},
	                        prompts = bench_layers(b, GROUPS * PROMPT, PROMPT / 2.0),
	                        token = bench_both(bench_layers(b, n, PROMPT + COMPLETION / 2.0),
	                                           bench_logits(b, n), 1),
	                        texts = bench_both(
	                                bench_layers(b, n * COMPLETION, PROMPT + COMPLETION / 2.0),
	                                bench_logits(b, n * COMPLETION), 1),
	                        sampling =
	                                bench_both(bench_both(token, none, COMPLETION), prompts, 1),
	                        learning = bench_both(texts, prompts, 3),
	                        all = bench_both(sampling, learning, 1);

	bench_add(b, "GRPO step, 8 x 8, 128 + 128 tokens", "tokens/s", n * COMPLETION, &all,
	          seconds);
	bench_add(b, "  its sampling", "tokens/s", n * COMPLETION, &sampling, l->seconds_sampling);
	bench_add(b, "  its learning", "tokens/s", n * COMPLETION, &learning, l->seconds_learning);
}

int bench_grpo(struct bench *b)
{
	struct learn_bench l;
	double             seconds;
	int                status = learn_bench_new(b, "grpo", &l);

	if (status == OK)
		status = decoder_new(b->model, GROUPS * G, PROMPT + COMPLETION, &l.decoder);
	if (status == OK)
		status = bench_time(b, grpo_once, &l, &seconds);
	if (status == OK)
		add_grpo(b, &l, seconds);
	learn_bench_free(&l);
	return status;
}

int bench_grpo_part(struct bench *b, int prompts, double *sampling, double *learning)
{
	struct learn_bench l;
	double             seconds;
	int                status = learn_bench_new(b, "grpo", &l);

	l.n_groups = prompts;
	if (status == OK)
		status = decoder_new(b->model, GROUPS * G, PROMPT + COMPLETION, &l.decoder);
	if (status == OK)
		status = bench_time(b, grpo_once, &l, &seconds);
	*sampling = l.seconds_sampling;
	*learning = l.seconds_learning;
	learn_bench_free(&l);
	return status;
}
