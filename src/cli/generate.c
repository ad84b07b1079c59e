/* hone generate MODEL --prompt TEXT [--chat] | --prompt-ids 1,2,3 [--max-tokens N]
 * [--temperature T] [--top-p P] [--top-k K] [--seed S] [--samples N] [--ids] [--base FOLDER]
 * [--precision NAME] ... */
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/talk.h"
#include "model/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct generate {
	struct opened          opened;
	struct compute_options compute;
	struct arena           arena;
	const char            *prompt, *prompt_ids, *temperature, *top_p, *base;
	int                    max_tokens, top_k, seed, samples, print_ids, chat, speculate;
};

static int parse_ids(const char *text, int n_vocab, struct ids *out)
{
	for (const char *p = text; *p;) {
		char *end;
		long  id = strtol(p, &end, 10);
		int   value = (int)id;
		if (end == p || id < 0 || id >= n_vocab || (*end && *end != ','))
			return error_set(ERR_INPUT,
			                 "--prompt-ids wants token ids from 0 to %d, separated by "
			                 "commas, not \"%s\"",
			                 n_vocab - 1, text);
		TRY(ids_add(out, &value, 1));
		p = *end ? end + 1 : end;
	}
	return OK;
}

/* The prompt as the one message of a conversation. */
static int read_message(const struct generate *g, struct ids *out)
{
	json_t      *messages = json_pack("[{ss, ss}]", "role", "user", "content", g->prompt);
	struct chat *c = NULL;
	int          status = messages ? chat_open(g->opened.tokenizer, &c)
	                               : error_set(ERR_INPUT, "--prompt: the text is not UTF-8");

	if (status == OK)
		status = talk_prompt(g->opened.tokenizer, c, messages, out);
	chat_free(c);
	json_decref(messages);
	return status;
}

static int read_prompt(const struct generate *g, struct ids *out)
{
	const struct model_shape *s = &g->opened.model->weights.shape;

	if (g->chat)
		TRY(read_message(g, out));
	else if (g->prompt_ids)
		TRY(parse_ids(g->prompt_ids, s->n_vocab, out));
	else
		TRY(tokenizer_encode(g->opened.tokenizer, g->prompt, strlen(g->prompt), 1, out));
	if (out->n == 0)
		return error_set(ERR_INPUT, "the prompt has no token");
	if ((int)out->n >= s->n_positions)
		return error_set(ERR_INPUT, "the prompt has %zu tokens, the model %d positions",
		                 out->n, s->n_positions);
	return OK;
}

static int print_completion(const struct generate *g, const struct decode_result *r)
{
	struct text text = {0};
	int         status;

	if (g->print_ids) {
		for (int i = 0; i < r->n; i++)
			printf(i ? " %d" : "%d", r->ids[i]);
		puts("");
		return OK;
	}
	status = tokenizer_decode(g->opened.tokenizer, r->ids, (size_t)r->n, 1, &text);
	if (status == OK) {
		if (g->prompt && !g->chat)
			terminal_write(stdout, g->prompt, strlen(g->prompt));
		terminal_write(stdout, text.data ? text.data : "", text.n);
		putchar('\n');
	}
	text_free(&text);
	return status;
}

static int generate_sample(struct generate *g, const struct ids *prompt,
                           const struct decode_options *o)
{
	int n = g->samples, room = g->opened.model->weights.shape.n_positions - (int)prompt->n;
	struct decode_request *q;
	struct decode_result  *r;
	int                    most = g->max_tokens < room ? g->max_tokens : room, status;
	struct decoder        *d;

	TRY(arena_take(&g->arena, (size_t)n, "the requests", &q));
	TRY(arena_take(&g->arena, (size_t)n, "the completions", &r));
	for (int i = 0; i < n; i++)
		q[i] = (struct decode_request){
		        .prompt = prompt->id,
		        .n_prompt = (int)prompt->n,
		        .max_new = most,
		        .key = {(uint64_t)g->seed, RNG_SAMPLE, 0, 0, (uint32_t)i}};
	TRY(decoder_new(g->opened.model, n < 64 ? n : 64, (int)prompt->n + most, &d));
	status = decode_run(d, o, q, n, &g->arena, r);
	for (int i = 0; status == OK && i < n; i++)
		status = print_completion(g, &r[i]);
	decoder_free(d);
	return status;
}

static int generate_run(struct generate *g, const char *path)
{
	const struct model_shape *s;
	struct decode_options     o = {.share_prompt = 1, .speculate = g->speculate};
	struct generation         like;
	struct ids                prompt = {0};
	double                    temperature, top_p;
	int                       status;

	TRY(opened_as(path, g->base, &g->compute, &g->opened));
	TRY(opened_generation(&g->opened, &like));
	o.sampling = generation_sampling(&like);
	o.penalty = &like.penalty;
	temperature = (double)o.sampling.temperature;
	top_p = (double)o.sampling.top_p;
	if (g->temperature)
		TRY(options_temperature("--temperature", g->temperature, &temperature));
	if (g->top_p)
		TRY(options_real("--top-p", g->top_p, &top_p));
	if (!(top_p > 0 && top_p <= 1))
		return error_set(ERR_INPUT, "--top-p must lie above 0 and at most be 1");
	s = &g->opened.model->weights.shape;
	o.sampling.temperature = generation_temperature(temperature);
	o.sampling.top_p = (float)top_p;
	o.sampling.top_k = g->top_k < 0 ? o.sampling.top_k : g->top_k;
	o.eos = s->eos;
	o.n_eos = s->n_eos;
	opened_cautions(&like, &o.sampling, g->samples);
	status = read_prompt(g, &prompt);
	if (status == OK)
		status = generate_sample(g, &prompt, &o);
	ids_free(&prompt);
	return status;
}

int command_generate(const struct command *self, int argc, char **argv)
{
	struct generate    g = {.max_tokens = 256, .samples = 1, .top_k = -1};
	const char        *how[N_COMPUTE_KEYS] = {NULL};
	int                n, status, n_words = 12;
	struct option_word words[12 + N_COMPUTE_KEYS] = {
	        {"--prompt TEXT", &g.prompt, NULL, NULL,
	         "the text before the completion, as it is, without a chat template"},
	        {"--chat", NULL, NULL, &g.chat,
	         "the prompt is a message: applies the model's chat template to it"},
	        {"--prompt-ids IDS", &g.prompt_ids, NULL, NULL, "the same as token ids: 1,2,3"},
	        {"--max-tokens N", NULL, &g.max_tokens, NULL, "rollout.max_completion_length"},
	        {"--temperature T", &g.temperature, NULL, NULL,
	         "0: greedy; not given: as the model's generation_config.json says"},
	        {"--top-p P", &g.top_p, NULL, NULL,
	         "samples from the smallest set of tokens with this probability; not given: as "
	         "that file says"},
	        {"--top-k K", NULL, &g.top_k, NULL,
	         "samples from the K likeliest tokens, 0: off; not given: as that file says"},
	        {"--seed S", NULL, &g.seed, NULL, "run.seed"},
	        {"--samples N", NULL, &g.samples, NULL, "completions of the prompt"},
	        {"--base FOLDER", &g.base, NULL, NULL,
	         "where the model of an adapter lies, when adapter_config.json does not say"},
	        {"--ids", NULL, NULL, &g.print_ids, "prints token ids in the place of text"},
	        {"--speculate", NULL, NULL, &g.speculate, "rollout.speculate"}};

	n_words += options_compute_words(how, words + n_words);
	TRY(options_read(self, argc, argv, words, n_words, &n));
	if (n != 1 || !g.prompt == !g.prompt_ids || (g.chat && !g.prompt))
		return options_usage(self);
	if (g.max_tokens == 0 || g.samples == 0)
		return error_set(ERR_INPUT, "--max-tokens and --samples must be at least 1");
	TRY(options_compute(self, how, &g.compute));
	status = generate_run(&g, argv[0]);
	opened_free(&g.opened);
	arena_free(&g.arena);
	return status;
}
