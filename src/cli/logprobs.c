/* hone logprobs MODEL [--base FOLDER] [--precision NAME] ... */
#include "cli/command.h"
#include "cli/opened.h"
#include "cli/rows.h"
#include "model/head.h"

#include <math.h>

struct logprobs_context {
	struct opened opened;
	struct arena  arena; /* of one row */
};

/* log p(ids[i+1] | ids[..i]) for every i: one sequence whose prompt is the first id. logp [n-1] */
static int sequence_logprobs(struct logprobs_context *c, const int *ids, int n, float **logp)
{
	const struct model *m = c->opened.model;
	struct sequence     s = {
	            .prompt = ids, .n_prompt = 1, .completion = ids + 1, .n_completion = n - 1};
	struct unit_range *units;
	struct packing     b;
	struct kv_cache    cache;
	struct head_result r;
	float             *hidden;
	int                n_units, status;

	TRY(packing_plan(&s, 1, 1, &c->arena, &units, &n_units));
	TRY(packing_build(&s, units, n_units, 1, &c->arena, &b));
	TRY(arena_take(&c->arena, (size_t)b.n_tokens * (size_t)m->weights.shape.width,
	               "the hidden states", &hidden));
	TRY(arena_take(&c->arena, (size_t)b.n_targets, "the log-probs", &r.logp));
	TRY(arena_take(&c->arena, (size_t)b.n_targets, "the entropies", &r.entropy));
	TRY(arena_take(&c->arena, (size_t)b.n_targets, "the log-sum-exps", &r.lse));
	TRY(model_cache_new(m, 1, b.n_pages, &cache));
	status = model_forward(m, &b, &cache, NULL, &c->arena, hidden);
	if (status == OK)
		status = head_forward(&(struct head_input){m, &b, hidden, 1}, &c->arena, &r);
	kv_cache_free(&cache);
	*logp = r.logp;
	return status;
}

static int logprobs_row(void *context, const char *place, const json_t *row, struct text *out)
{
	struct logprobs_context *c = context;
	int                      n, *ids, n_positions = c->opened.model->weights.shape.n_positions;
	float                   *logp = NULL;

	arena_reset(&c->arena);
	TRY(rows_get_ids(place, row, c->opened.model->weights.shape.n_vocab, &c->arena, &ids, &n));
	if (n > n_positions)
		return error_set(ERR_INPUT, "%s: %d ids, but the model has %d positions", place, n,
		                 n_positions);
	if (n >= 2)
		TRY(sequence_logprobs(c, ids, n, &logp));
	text_print(out, "\"logprobs\": [");
	for (int i = 0; i + 1 < n; i++) {
		if (i)
			text_add(out, ", ", 2);
		json_add_real(out, (double)logp[i]);
	}
	text_add(out, "]", 1);
	return OK;
}

int command_logprobs(const struct command *self, int argc, char **argv)
{
	struct logprobs_context c = {0};
	struct compute_options  compute;
	const char             *base = NULL, *how[N_COMPUTE_KEYS] = {NULL};
	int                     n, status;
	struct option_word      words[1 + N_COMPUTE_KEYS] = {
	             {"--base FOLDER", &base, NULL, NULL,
	              "where the model of an adapter lies, when adapter_config.json does not say"}};
	int n_words = 1 + options_compute_words(how, words + 1);

	TRY(options_read(self, argc, argv, words, n_words, &n));
	if (n != 1)
		return options_usage(self);
	TRY(options_compute(self, how, &compute));
	status = opened_as(argv[0], base, &compute, &c.opened);
	if (status == OK)
		status = rows_run(logprobs_row, &c);
	opened_free(&c.opened);
	arena_free(&c.arena);
	return status;
}
