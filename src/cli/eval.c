/* hone eval MODEL_OR_RUN --data FILE --task NAME [--samples N] [--k K] [--temperature T] [--max-tokens N] [--limit N] [--template T] [--seed S] [--json] [--base FOLDER] */
#include "base/json.h"
#include "cli/command.h"
#include "cli/opened.h"
#include "rl/prompts.h"
#include "rl/reward.h"
#include "rl/rollout.h"
#include "rl/tally.h"
#include "task/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct evaluation {
	struct opened      opened;
	struct dataset     data;
	struct prompts     prompts;
	struct reward_spec spec;
	struct arena       arena;
	const char        *file, *task, *temperature, *prompt_template, *convert, *base;
	int                samples, k, max_tokens, limit, seed, slots, json;
};

static int open_data(struct evaluation *e)
{
	const struct dataset_options o = {
	        .prompt_template = e->prompt_template, .convert = e->convert, .answer_optional = 1, .problems_max = e->limit};

	TRY(dataset_read(&e->file, 1, &o, &e->data));
	TRY(verifier_open(&e->spec, &e->task, NULL, 1, &(struct verifier_options){0}));
	for (int i = 0; i < e->data.n; i++)
		TRY(verifier_check(&e->spec, &e->data.problems[i]));
	return prompts_render(e->data.problems, e->data.n, e->opened.tokenizer, e->opened.model->weights.shape.n_positions - 1, &e->arena,
	                      &e->prompts);
}

static int answer_all(struct evaluation *e, const struct sampling *sampling, struct groups *groups)
{
	const struct model_shape    *s = &e->opened.model->weights.shape;
	const struct rollout_options o = {
	        .decode = {.sampling = *sampling, .eos = s->eos, .n_eos = s->n_eos, .tokenizer = e->opened.tokenizer, .share_prompt = 1},
	        .num_generations = e->samples,
	        .max_completion_length = e->max_tokens,
	        .n_positions = s->n_positions,
	        .seed = (uint64_t)e->seed,
	        .purpose = RNG_EVAL};
	int longest = e->prompts.longest + e->max_tokens, *all = arena_alloc(&e->arena, (size_t)e->prompts.n, sizeof *all), status;
	struct decoder *d;

	if (!all)
		return ERR_INPUT;
	for (int i = 0; i < e->prompts.n; i++)
		all[i] = i;
	TRY(groups_new(e->prompts.n, &e->arena, groups));
	TRY(decoder_new(e->opened.model, e->slots, longest < s->n_positions ? longest : s->n_positions, &d));
	status = rollout_sample(d, &o, &e->prompts, all, e->prompts.n, 0, &e->arena, groups);
	decoder_free(d);
	TRY(status);
	return reward_score(&e->spec, &e->spec, e->opened.tokenizer, groups->items, groups->n, &e->arena);
}

static void print_table(const struct evaluation *e, const struct tallies *t)
{
	printf("%-28s %8s %18s", "", "problems", "pass@1");
	if (e->samples > 1)
		printf(" %12s@%-3d %13s@%-3d", "pass", e->k, "maj", e->samples);
	printf(" %10s %8s %7s\n", "reward", "length", "cut");
	for (int i = 0; i < t->n; i++) {
		const struct tally *x = &t->items[i];
		printf("%-28s %8d   %6.2f%% +- %5.2f", x->category ? x->category : "all", x->n_problems, 100 * x->pass_1.mean,
		       100 * x->pass_1.error);
		if (e->samples > 1)
			printf("  %6.2f%% +- %5.2f  %6.2f%% +- %5.2f", 100 * x->pass_k.mean, 100 * x->pass_k.error, 100 * x->maj.mean,
			       100 * x->maj.error);
		printf(" %10.4f %8.1f %6.1f%%\n", x->reward.mean, x->length, 100 * x->truncated);
	}
}

static void add_number(struct text *out, const char *name, double x)
{
	text_print(out, ", \"%s\": ", name);
	json_add_real(out, x);
}

static int print_json(const struct evaluation *e, const struct tallies *t)
{
	struct text out = {0};
	int         status;

	for (int i = 0; i < t->n; i++) {
		const struct tally *x = &t->items[i];
		text_print(&out, "{\"category\": ");
		json_add_string(&out, x->category ? x->category : "all", strlen(x->category ? x->category : "all"));
		text_print(&out, ", \"problems\": %d, \"samples\": %d, \"k\": %d", x->n_problems, x->n_samples, e->k);
		add_number(&out, "pass@1", x->pass_1.mean);
		add_number(&out, "pass@1_stderr", x->pass_1.error);
		add_number(&out, "pass@k", x->pass_k.mean);
		add_number(&out, "pass@k_stderr", x->pass_k.error);
		add_number(&out, "maj", x->maj.mean);
		add_number(&out, "maj_stderr", x->maj.error);
		add_number(&out, "reward", x->reward.mean);
		add_number(&out, "reward_stderr", x->reward.error);
		add_number(&out, "mean_length", x->length);
		add_number(&out, "clipped_ratio", x->truncated);
		text_add(&out, "}\n", 2);
	}
	status = text_status(&out);
	if (status == OK)
		fwrite(out.data, 1, out.n, stdout);
	text_free(&out);
	return status;
}

static int run(struct evaluation *e, const char *path)
{
	double          temperature = 1;
	struct sampling sampling;
	struct groups   groups;
	struct tallies  t;
	char           *end;

	if (e->temperature) {
		temperature = strtod(e->temperature, &end);
		if (*end || !(temperature >= 0))
			return error_set(ERR_INPUT, "--temperature wants a number from 0 on, not \"%s\"", e->temperature);
	}
	if (e->samples < 1 || e->max_tokens < 1 || e->k > e->samples)
		return error_set(ERR_INPUT, "--samples and --max-tokens must be at least 1, and --k at most --samples");
	e->k = e->k ? e->k : e->samples;
	TRY(opened_new(path, e->base, &e->opened));
	TRY(open_data(e));
	TRY(opened_sampling(&e->opened, &sampling));
	if (e->temperature)
		sampling.temperature = (float)temperature;
	fprintf(stderr, "sampling: temperature %g, top_k %d, top_p %g, min_p %g\n", (double)sampling.temperature, sampling.top_k,
	        (double)sampling.top_p, (double)sampling.min_p);
	TRY(answer_all(e, &sampling, &groups));
	TRY(tally_groups(groups.items, groups.n, e->k, &e->arena, &t));
	if (e->prompts.n_long)
		fprintf(stderr, "%d problems left out: their prompts are too long; %s is the first\n", e->prompts.n_long,
		        e->prompts.first_long);
	if (e->json)
		return print_json(e, &t);
	print_table(e, &t);
	return OK;
}

int command_eval(int argc, char **argv)
{
	struct evaluation        e = {.samples = 1, .max_tokens = 256, .slots = 64};
	int                      n, status;
	const struct option_word words[] = {{"--data", &e.file, NULL, NULL},
	                                    {"--task", &e.task, NULL, NULL},
	                                    {"--samples", NULL, &e.samples, NULL},
	                                    {"--k", NULL, &e.k, NULL},
	                                    {"--temperature", &e.temperature, NULL, NULL},
	                                    {"--max-tokens", NULL, &e.max_tokens, NULL},
	                                    {"--limit", NULL, &e.limit, NULL},
	                                    {"--template", &e.prompt_template, NULL, NULL},
	                                    {"--convert", &e.convert, NULL, NULL},
	                                    {"--seed", NULL, &e.seed, NULL},
	                                    {"--base", &e.base, NULL, NULL},
	                                    {"--json", NULL, NULL, &e.json}};

	TRY(options_read(argc, argv, words, 12, &n));
	if (n != 1 || !e.file || !e.task)
		return error_set(ERR_INPUT, "usage: hone eval MODEL_OR_RUN --data FILE --task NAME [--samples N]");
	status = run(&e, argv[0]);
	opened_free(&e.opened);
	dataset_free(&e.data);
	verifier_close(&e.spec);
	arena_free(&e.arena);
	return status;
}
