/* hone bench [MODEL] [--backend B] [--numerics N] [--threads N] [--json]: how fast this machine
 * runs the program, as medians of five, each also as a fraction of the matrix peak that the same
 * run measures first.
 *
 * Without MODEL: random weights of the 135M shape (SmolLM2-135M's sizes). What is counted as useful
 * work:
 *     product of a linear layer     2 x outputs x inputs per token, forward; twice that again in
 *                                   the backward pass
 *     attention                     4 x H x E x (keys seen) per token and layer, forward; twice
 *                                   that again backward
 * The logits that the backward pass computes a second time are not counted: they are a cost of
 * ours. */
#include "base/clock.h"
#include "base/file.h"
#include "base/threads.h"
#include "cli/command.h"
#include "model/decode.h"
#include "model/folder.h"
#include "model/head.h"
#include "model/optimizer.h"
#include "model/published.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REPEATS = 5,
	SEQUENCES = 8,
	LENGTH = 256,
	TOKENS = SEQUENCES * LENGTH,
	CONTEXT = 128,
	NEW_TOKENS = 24,
	BATCH_MAX = 64
};

struct bench {
	struct matmul *mm;
	struct model  *model;
	struct arena   arena; /* of one measurement */
	double         peak;  /* FLOP/s */
	int            json;
	int            ids[TOKENS];
};

static int bench_by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *x, int n)
{
	qsort(x, (size_t)n, sizeof *x, bench_by_value);
	return x[n / 2];
}

static void bench_print_row(const struct bench *b, const char *what, double value, const char *unit,
                            double flops)
{
	if (b->json)
		printf("{\"what\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"gflops\": %.4g, "
		       "\"of_peak\": %.4g}\n",
		       what, value, unit, flops * 1e-9, b->peak > 0 ? flops / b->peak : 0);
	else if (flops > 0)
		printf("  %-34s %12.4g %-10s %8.1f GFLOP/s  %5.1f%% of peak\n", what, value, unit,
		       flops * 1e-9, 100 * flops / b->peak);
	else
		printf("  %-34s %12.4g %s\n", what, value, unit);
	fflush(stdout);
}

/* ---- counting ---- */

static double linear_flops(const struct model_shape *s) /* per token, forward, without the head */
{
	double D = s->width, HE = (double)s->n_heads * s->head_width,
	       KE = (double)s->n_kv_heads * s->head_width, F = s->ff_width;

	return 2 * s->n_layers * (D * (HE + 2 * KE) + HE * D + 3 * D * F);
}

static double head_flops(const struct model_shape *s)
{
	return 2.0 * s->n_vocab * s->width;
}

static double attention_flops(const struct model_shape *s, double keys)
{
	return 4.0 * s->n_layers * s->n_heads * s->head_width * keys;
}

/* ---- measurements ---- */

/* The fastest of five runs of matmul_peak: what the machine's f32 units give to a program that does
 * nothing but large products. */
static int measure_peak(struct bench *b)
{
	for (int r = 0; r < REPEATS; r++) {
		double flops;
		TRY(matmul_peak(b->mm, &flops));
		b->peak = flops > b->peak ? flops : b->peak;
	}
	bench_print_row(b, "matrix peak, f32", b->peak * 1e-9, "GFLOP/s", 0);
	return OK;
}

static int build_batch(struct bench *b, struct packing *out)
{
	struct sequence   *seqs;
	struct unit_range *units;
	int                n_units;

	TRY(arena_take(&b->arena, SEQUENCES, "the sequences", &seqs));
	for (int i = 0; i < SEQUENCES; i++) {
		const int *ids = b->ids + i * LENGTH;
		seqs[i] = (struct sequence){.prompt = ids,
		                            .n_prompt = 1,
		                            .completion = ids + 1,
		                            .n_completion = LENGTH - 1};
	}
	TRY(packing_plan(seqs, SEQUENCES, 1, &b->arena, &units, &n_units));
	return packing_build(seqs, units, n_units, 1, &b->arena, out);
}

static int measure_prefill(struct bench *b)
{
	const struct model_shape *s = &b->model->weights.shape;
	double                    seconds[REPEATS], flops;
	struct kv_cache           cache;
	struct packing            batch;
	float                    *hidden;

	TRY(build_batch(b, &batch));
	TRY(model_cache_new(b->model, 1, batch.n_pages, &cache));
	TRY(arena_take(&b->arena, (size_t)batch.n_tokens * (size_t)s->width, "the hidden states",
	               &hidden));
	for (int r = -1; r < REPEATS; r++) {
		double start = clock_seconds();
		TRY(model_forward(b->model, &batch, &cache, NULL, &b->arena, hidden));
		if (r >= 0)
			seconds[r] = clock_seconds() - start;
	}
	flops = batch.n_tokens * (linear_flops(s) + attention_flops(s, LENGTH / 2.0));
	bench_print_row(b, "prefill, 8 x 256 tokens", batch.n_tokens / median(seconds, REPEATS),
	                "tokens/s", flops / median(seconds, REPEATS));
	kv_cache_free(&cache);
	arena_reset(&b->arena);
	return OK;
}

/* Seconds of sampling `n` completions of `max_new` tokens each. */
static int time_decode(struct bench *b, struct decoder *d, int n, int max_new, double *seconds)
{
	const struct decode_options o = {.sampling = {.temperature = 1, .top_p = 1},
	                                 .share_prompt = 1};
	struct decode_request      *q;
	struct decode_result       *r;
	double                      start;

	TRY(arena_take(&b->arena, (size_t)n, "the requests", &q));
	TRY(arena_take(&b->arena, (size_t)n, "the completions", &r));
	for (int i = 0; i < n; i++)
		q[i] = (struct decode_request){.prompt = b->ids + (i / 8) * CONTEXT,
		                               .n_prompt = CONTEXT,
		                               .max_new = max_new,
		                               .key = {1, RNG_SAMPLE, 0, (uint32_t)i, 0}};
	start = clock_seconds();
	TRY(decode_run(d, &o, q, n, &b->arena, r));
	*seconds = clock_seconds() - start;
	arena_reset(&b->arena);
	return OK;
}

/* Tokens per second of the decode steps alone: a long run minus one that stops after the first
 * token. */
static int measure_decode(struct bench *b, int n, double *rate)
{
	const struct model_shape *s = &b->model->weights.shape;
	double                    seconds[REPEATS], flops;
	struct decoder           *d;
	char                      what[64];

	TRY(decoder_new(b->model, n, CONTEXT + NEW_TOKENS + 1, &d));
	for (int r = -1; r < REPEATS; r++) {
		double all, first;
		TRY(time_decode(b, d, n, 1, &first));
		TRY(time_decode(b, d, n, 1 + NEW_TOKENS, &all));
		if (r >= 0)
			seconds[r] = all - first;
	}
	decoder_free(d);
	*rate = n * NEW_TOKENS / median(seconds, REPEATS);
	flops = *rate *
	        (linear_flops(s) + head_flops(s) + attention_flops(s, CONTEXT + NEW_TOKENS / 2.0));
	snprintf(what, sizeof what, "decode, batch %d", n);
	bench_print_row(b, what, *rate, "tokens/s", flops);
	return OK;
}

struct training { /* what a training step of the bench needs */
	struct packing     batch;
	struct kv_cache    cache;
	struct tape       *tape;
	struct gradient    gradient;
	struct optimizer   optimizer;
	struct head_result head;
	float             *hidden, *d_hidden, *c;
};

static int training_new(struct bench *b, struct training *t)
{
	const struct model_shape *s = &b->model->weights.shape;
	struct optimizer_options  o;
	size_t                    N, n_hidden;

	TRY(build_batch(b, &t->batch));
	N = (size_t)t->batch.n_targets;
	TRY(model_cache_new(b->model, 1, t->batch.n_pages, &t->cache));
	TRY(tape_new(s, t->batch.n_tokens, &t->tape));
	TRY(gradient_new(&b->model->weights, t->batch.n_units, &t->gradient));
	o = optimizer_defaults();
	TRY(optimizer_new(&b->model->weights, &o, &t->optimizer));
	n_hidden = (size_t)t->batch.n_tokens * (size_t)s->width;
	TRY(arena_take(&b->arena, N, "the log-probs", &t->head.logp));
	TRY(arena_take(&b->arena, N, "the entropies", &t->head.entropy));
	TRY(arena_take(&b->arena, N, "the log-sum-exps", &t->head.lse));
	TRY(arena_take(&b->arena, N, "the gradient of the log-probs", &t->c));
	TRY(arena_take(&b->arena, n_hidden, "the hidden states", &t->hidden));
	TRY(arena_take(&b->arena, n_hidden, "their gradient", &t->d_hidden));
	for (size_t i = 0; i < N; i++)
		t->c[i] = -1.0f / (float)N;
	return OK;
}

static void training_free(struct training *t)
{
	kv_cache_free(&t->cache);
	tape_free(t->tape);
	gradient_free(&t->gradient);
	optimizer_free(&t->optimizer);
}

enum {
	PART_FORWARD,
	PART_HEAD,
	PART_HEAD_BACKWARD,
	PART_BACKWARD,
	PART_OPTIMIZER,
	PART_REPACK,
	PARTS
};
static const char *const part_name[PARTS] = {"  forward",
                                             "  head",
                                             "  head, backward",
                                             "  layers, backward",
                                             "  gradient norm and AdamW",
                                             "  repacking"};

static int training_step(struct bench *b, struct training *t, double *part)
{
	struct model           *m = b->model;
	double                  at[PARTS + 1];
	struct optimizer_report report;
	const struct head_input in = {m, &t->batch, t->hidden, 1};

	at[0] = clock_seconds();
	TRY(gradient_begin(&t->gradient, (uint32_t)t->batch.n_units));
	TRY(model_forward(m, &t->batch, &t->cache, t->tape, &b->arena, t->hidden));
	at[1] = clock_seconds();
	TRY(head_forward(&in, &b->arena, &t->head));
	at[2] = clock_seconds();
	TRY(head_backward(&in, &t->head, &(struct head_terms){.c = t->c}, &b->arena, t->d_hidden,
	                  &t->gradient));
	at[3] = clock_seconds();
	TRY(model_backward(m, &t->batch, t->tape, &b->arena, t->d_hidden, &t->gradient));
	at[4] = clock_seconds();
	gradient_finish(&t->gradient);
	optimizer_step(&t->optimizer, &m->weights, t->gradient.level[0], 1e-5, &report);
	at[5] = clock_seconds();
	TRY(model_repack(m));
	at[6] = clock_seconds();
	for (int i = 0; i < PARTS; i++)
		part[i] = at[i + 1] - at[i];
	return OK;
}

static int measure_training(struct bench *b)
{
	const struct model_shape *s = &b->model->weights.shape;
	double                    seconds[REPEATS], part[PARTS], parts[PARTS][REPEATS], flops;
	struct training           t = {0};

	TRY(training_new(b, &t));
	for (int r = -1; r < REPEATS; r++) {
		TRY(training_step(b, &t, part));
		for (int i = 0; r >= 0 && i < PARTS; i++) {
			parts[i][r] = part[i];
			seconds[r] = (i ? seconds[r] : 0) + part[i];
		}
	}
	flops = 3 * (t.batch.n_tokens * (linear_flops(s) + attention_flops(s, LENGTH / 2.0)) +
	             t.batch.n_targets * head_flops(s));
	bench_print_row(b, "training step, 2048 tokens",
	                t.batch.n_tokens / median(seconds, REPEATS), "tokens/s",
	                flops / median(seconds, REPEATS));
	for (int i = 0; i < PARTS; i++)
		bench_print_row(b, part_name[i], median(parts[i], REPEATS), "s", 0);
	training_free(&t);
	arena_reset(&b->arena);
	return OK;
}

static int bench_model(struct bench *b, const char *path)
{
	struct weights     w;
	struct model_shape s = *published_shape("SmolLM2-135M");

	if (path) {
		TRY(folder_read_shape(path, &s));
		TRY(folder_read_weights(path, &s, &w));
	} else {
		TRY(weights_new(&s, &w));
		weights_init(&w, 1);
	}
	if (s.n_positions < LENGTH) {
		weights_free(&w);
		return error_set(ERR_INPUT, "%s: max_position_embeddings is %d; bench needs %d",
		                 path, s.n_positions, LENGTH);
	}
	for (int i = 0; i < TOKENS; i++)
		b->ids[i] = (int)rng_below((struct rng_key){1, RNG_TEST, 0, 0, 0}, (uint32_t)i,
		                           (uint32_t)s.n_vocab);
	return model_new(&w, b->mm, 1, &b->model);
}

static int bench_run(struct bench *b, const char *path)
{
	double one, many;

	TRY(measure_peak(b));
	TRY(bench_model(b, path));
	TRY(measure_prefill(b));
	TRY(measure_decode(b, 1, &one));
	TRY(measure_decode(b, 16, &many));
	TRY(measure_decode(b, BATCH_MAX, &many));
	bench_print_row(b, "decode, batch 64 over batch 1", many / one, "times", 0);
	TRY(measure_training(b));
	bench_print_row(b, "memory, peak", memory_peak_bytes() / (1 << 20), "MiB", 0);
	return OK;
}

int command_bench(const struct command *self, int argc, char **argv)
{
	struct matmul_options    mm = {.backend = "auto", .precision = "f32", .numerics = "strict"};
	int                      threads = 0, n_positional, status;
	struct bench             b = {0};
	const struct option_word words[] = {
	        {"--backend NAME", &mm.backend, NULL, NULL, "compute.backend"},
	        {"--precision NAME", &mm.precision, NULL, NULL, "compute.precision"},
	        {"--head-precision NAME", &mm.head_precision, NULL, NULL, "compute.head_precision"},
	        {"--numerics KIND", &mm.numerics, NULL, NULL, "compute.numerics"},
	        {"--threads N", NULL, &threads, NULL, "0: all cores"},
	        {"--json", NULL, NULL, &b.json, "prints the figures as JSON"}};

	TRY(options_read(self, argc, argv, words, 6, &n_positional));
	if (n_positional > 1)
		return error_set(ERR_INPUT, "hone bench: one model folder at most");
	TRY(threads_set(threads));
	TRY(matmul_new(&mm, &b.mm));
	if (!b.json)
		printf("%s, %d threads; medians of %d\n", matmul_describe(b.mm), threads_count(),
		       REPEATS);
	status = bench_run(&b, n_positional ? argv[0] : NULL);
	model_free(b.model);
	matmul_free(b.mm);
	arena_free(&b.arena);
	return status;
}
