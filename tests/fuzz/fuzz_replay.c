/* Data sets of rollouts: what is accepted is made of the problems and tokens at hand, and any step
 * of it can be picked. */
#include "fuzz.h"

#include "rl/replay.h"

#include <math.h>

enum { N_PROBLEMS = 3, N_POSITIONS = 16 };

static struct model      model;
static struct tokenizer *tokenizer;
static struct prompts    prompts;
static struct arena      arena;

static void make_everything(void)
{
	static const struct tokenizer_special specials[] = {{"eos", "E"}};
	static const struct model_shape       shape = {.n_layers = 1,
	                                               .width = 2,
	                                               .n_heads = 1,
	                                               .n_kv_heads = 1,
	                                               .head_width = 2,
	                                               .ff_width = 1,
	                                               .n_vocab = 4,
	                                               .n_positions = N_POSITIONS,
	                                               .rope_theta = 10000,
	                                               .norm_eps = 1e-6,
	                                               .tied = 1};
	static struct problem problems[N_PROBLEMS] = {{.id = "a", .prompt = "01", .answer = "1"},
	                                              {.id = "b", .prompt = "1", .answer = "2"},
	                                              {.id = "c", .prompt = "210", .answer = "0"}};

	PROMISE(weights_new(&shape, &model.weights) == OK);
	PROMISE(tokenizer_chars("012", specials, 1, &tokenizer) == OK);
	PROMISE(prompts_render(
	                problems, N_PROBLEMS,
	                &(struct prompts_options){.tokenizer = tokenizer, .max_prompt_length = 8},
	                &arena, &prompts) == OK);
}

static void pick_all(struct replay *r)
{
	struct arena  a = {0};
	struct groups groups;

	PROMISE(r->n > 0 && r->n_completions >= r->n && r->n_good <= r->n_completions);
	for (int step = 0; step < 2; step++) {
		PROMISE(groups_new(r->n, &a, &groups) == OK &&
		        replay_pick(r, 7, step, r->n, &a, &groups) == OK);
		for (int g = 0; g < groups.n; g++)
			for (int i = 0; i < groups.items[g].n; i++) {
				const struct rollout *o = &groups.items[g].rollouts[i];
				PROMISE(o->n > 0 && o->n + o->sampled_under->n <= N_POSITIONS);
				for (int k = 0; k < o->n; k++)
					PROMISE(o->ids[k] >= 0 && o->ids[k] < 4 &&
					        isfinite(o->logp[k]) && isfinite(o->entropy[k]));
			}
	}
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char   *path = fuzz_file(0, data, n);
	struct replay r;

	if (!tokenizer)
		make_everything();
	if (replay_open(path,
	                &(struct replay_options){.model = &model,
	                                         .tokenizer = tokenizer,
	                                         .prompts = &prompts,
	                                         .temperature = 1,
	                                         .max_completion_length = 8,
	                                         .n_positions = N_POSITIONS,
	                                         .curation = (enum curation)(n % 3),
	                                         .max_negatives = n % 2 ? 1 : 0},
	                &r) == OK) {
		pick_all(&r);
		replay_close(&r);
	} else {
		PROMISE(strstr(error_message(), path));
	}
	return 0;
}
