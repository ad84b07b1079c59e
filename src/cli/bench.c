/* hone bench [MODEL] [--full] [--only NAME] [--seconds S] [--json] [--precision NAME] ...
 *
 * The limits of the machine, then each family of figures in f32 and in bf16, or in the one that
 * --precision says. Without MODEL: random weights of SmolLM2-135M's shape. bench.h says what is
 * counted. */
#include "cli/bench.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/threads.h"
#include "cli/command.h"
#include "model/folder.h"
#include "model/published.h"
#include "run/provenance.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In this order; --only names one. */
static const struct bench_family {
	const char *name;
	int (*run)(struct bench *b);
	int               needs_model;
	enum bench_extent extent;
} families[] = {
        {"products", bench_products, 0, BENCH_SHORT},
        {"prefill", bench_prefill, 1, BENCH_SHORT},
        {"decode", bench_decode, 1, BENCH_SHORT},
        {"head", bench_head, 1, BENCH_SHORT},
        {"attention", bench_attention, 0, BENCH_SHORT},
        {"training", bench_training, 1, BENCH_SHORT},
        {"grpo", bench_grpo, 1, BENCH_FULL},
        {"ranks", bench_ranks, 1, BENCH_NAMED},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

struct bench_words { /* the command line */
	const char *path, *only, *seconds, *figures, *how[N_COMPUTE_KEYS];
	int         full, json;
};

/* ---- measuring ---- */

enum { REPEATS_MAX = 1000, REPEATS_QUICK = 3 };
static const double quick_seconds = 0.1; /* such a measurement is repeated in any case */

static int bench_by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int bench_time(const struct bench *b, int (*once)(void *context), void *context, double *seconds)
{
	double times[REPEATS_MAX], sum = 0;
	int    n = 0;

	if (b->seconds > 0)
		TRY(once(context)); /* memory is touched for the first time */
	do {
		double start = clock_seconds();
		TRY(once(context));
		times[n] = clock_seconds() - start;
		sum += times[n++];
	} while (n < REPEATS_MAX &&
	         (sum < b->seconds || (sum < quick_seconds && n < REPEATS_QUICK)));
	qsort(times, (size_t)n, sizeof *times, bench_by_value);
	*seconds = times[n / 2];
	return OK;
}

static void print_figure(const struct bench_figure *f)
{
	printf("  %-46s %10.4g %-9s %6.1f%% of %s\n", f->what, f->value, f->unit, 100 * f->fraction,
	       f->limit);
	fflush(stdout);
}

void bench_put(struct bench *b, const char *what, struct bench_figure figure)
{
	struct bench_figure *f = &b->figures[b->n_figures++];

	assert(b->n_figures <= BENCH_FIGURES);
	*f = figure;
	snprintf(f->what, sizeof f->what, "%s", what);
	if (!b->quiet)
		print_figure(f);
}

struct bench_peak { /* what bounds products */
	const char *name;
	double      rate;
};

/* Products in bf16 are bounded by the instruction of their order, or where there is none, or a slow
 * one, by f32 fma. */
static struct bench_peak bench_peak(const struct bench *b)
{
	struct bench_peak fma = {"fma", b->fma}, peak = fma;

	if (matmul_is_bf16(b->mm))
		peak = matmul_in_tiles(b->mm) ? (struct bench_peak){"AMX", b->amx}
		                              : (struct bench_peak){"dpbf16", b->dot};
	return peak.rate > fma.rate ? peak : fma;
}

void bench_add(struct bench *b, const char *what, const char *unit, double units,
               const struct bench_work *w, double seconds)
{
	struct bench_peak peak = bench_peak(b);
	double            computing = w->floats / b->fma + w->products / peak.rate;
	double            reading = w->bytes / b->read, least = reading;
	const char       *limit = "read";

	if (computing >= reading) {
		least = computing;
		limit = w->products > 0 ? peak.name : "fma";
	}
	bench_put(b, what,
	          (struct bench_figure){.precision = matmul_is_bf16(b->mm) ? "bf16" : "f32",
	                                .unit = unit,
	                                .limit = limit,
	                                .value = units / seconds,
	                                .seconds = seconds,
	                                .fraction = least / seconds});
}

/* ---- the model ---- */

static int bench_shape(const struct bench_words *w, struct bench *b)
{
	b->is_published = !w->path;
	b->name = w->path ? "of the model" : "SmolLM2-135M";
	if (w->path)
		TRY(folder_read_shape(w->path, &b->shape));
	else
		b->shape = *published_shape(b->name);
	if (b->shape.n_positions < BENCH_LENGTH)
		return error_set(ERR_INPUT, "%s: max_position_embeddings is %d; bench needs %d",
		                 w->path, b->shape.n_positions, BENCH_LENGTH);
	for (int i = 0; i < BENCH_TOKENS; i++)
		b->ids[i] = (int)rng_below((struct rng_key){1, RNG_TEST, 0, 0, 0}, (uint32_t)i,
		                           (uint32_t)b->shape.n_vocab);
	return OK;
}

static int bench_open_model(struct bench *b, const char *path)
{
	struct weights w = {0};
	int            status;

	if (b->model)
		return OK;
	if (path) {
		TRY(folder_read_weights(path, &b->shape, &w));
	} else {
		TRY(weights_new(&b->shape, &w));
		if (!b->given)
			weights_init(&w, 1);
	}
	status = model_new(&w, b->mm, 1, &b->model);
	if (status != OK)
		weights_free(&w);
	return status;
}

/* ---- all families in all precisions ---- */

static int is_wanted(const struct bench *b, const struct bench_words *w,
                     const struct bench_family *f)
{
	return w->only ? !strcmp(w->only, f->name) : f->extent <= b->extent;
}

static int bench_families(struct bench *b, const struct bench_words *w)
{
	for (int i = 0; i < N_FAMILIES; i++)
		if (is_wanted(b, w, &families[i])) {
			if (families[i].needs_model)
				TRY(bench_open_model(b, w->path));
			TRY(families[i].run(b));
		}
	return OK;
}

static int bench_precision(struct bench *b, const struct bench_words *w, const char *precision,
                           struct text *kernels)
{
	int status;

	b->compute.matmul.precision = precision;
	TRY(matmul_new(&b->compute.matmul, &b->mm));
	text_print(kernels, "%s%s", kernels->n ? "; " : "", matmul_describe(b->mm));
	if (!b->quiet)
		printf("%s\n", matmul_describe(b->mm));
	status = bench_families(b, w);
	model_free(b->model);
	matmul_free(b->mm);
	arena_free(&b->arena);
	b->model = NULL;
	b->mm = NULL;
	return status;
}

/* Both precisions, unless the command line says which. */
static int bench_run(struct bench *b, const struct bench_words *w, struct text *kernels)
{
	const char *precision = b->compute.matmul.precision;
	int         both = !w->how[0];

	assert(!strcmp(options_compute_keys[0].key, "compute.precision"));
	if (!b->given)
		TRY(bench_machine(b));
	if (!b->given && b->share < 0.9 && !b->quiet)
		printf("caution: other programs leave %.0f%% of these cores; what follows is too "
		       "low\n",
		       100 * b->share);
	TRY(bench_precision(b, w, precision, kernels));
	return both ? bench_precision(b, w, "bf16", kernels) : OK;
}

/* ---- JSON ---- */

static void add_figure(struct text *t, const struct bench_figure *f)
{
	text_print(t, "{\"what\": ");
	json_add_string(t, f->what + strspn(f->what, " "), strlen(f->what + strspn(f->what, " ")));
	text_print(t,
	           ", \"precision\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"seconds\": %.6g, "
	           "\"fraction\": %.4g, \"of\": \"%s\"}",
	           f->precision, f->value, f->unit, f->seconds, f->fraction, f->limit);
}

static int print_json(const struct bench *b, const struct text *kernels)
{
	struct text t = {0};
	int         status;

	text_print(&t, "{\"threads\": %d", threads_count());
	provenance_add_program(kernels->n ? kernels->data : "", &t);
	text_print(&t, ", \"share\": %.3f, \"memory_mib\": %.0f, \"figures\": [", b->share,
	           memory_peak_bytes() / (1 << 20));
	for (int i = 0; i < b->n_figures; i++) {
		text_print(&t, i ? ",\n" : "\n");
		add_figure(&t, &b->figures[i]);
	}
	text_print(&t, "]}\n");
	status = text_status(&t);
	if (status == OK)
		fwrite(t.data, 1, t.n, stdout);
	text_free(&t);
	return status;
}

/* ---- the command line ---- */

static int check_only(const char *only)
{
	int known = !only || !strcmp(only, "machine");

	for (int i = 0; i < N_FAMILIES && !known; i++)
		known = !strcmp(only, families[i].name);
	return known ? OK
	             : error_set(ERR_INPUT,
	                         "--only: there is no '%s'; choose machine, products, prefill, "
	                         "decode, head, attention, training, grpo or ranks",
	                         only);
}

static int bench_read_words(const struct command *self, int argc, char **argv,
                            struct bench_words *w, struct bench *b)
{
	struct option_word words[5 + N_COMPUTE_KEYS] = {
	        {"--full", NULL, NULL, &w->full,
	         "every row: all row counts and batches, a second shape, a step of GRPO"},
	        {"--only NAME", &w->only, NULL, NULL,
	         "machine, products, prefill, decode, head, attention, training, grpo or ranks "
	         "alone; ranks: from what is measured, what a step takes on many"},
	        {"--seconds S", &w->seconds, NULL, NULL,
	         "how long each figure is measured, at least once (1)"},
	        {"--figures FILE", &w->figures, NULL, NULL,
	         "with --only ranks: takes what a quiet machine printed with --json"},
	        {"--json", NULL, NULL, &w->json, "prints one JSON object at the end"}};
	char *end = NULL;
	int   n_words = 5 + options_compute_words(w->how, words + 5), n;

	TRY(options_read(self, argc, argv, words, n_words, &n));
	if (n > 1)
		return options_usage(self);
	w->path = n ? argv[0] : NULL;
	TRY(check_only(w->only));
	if (w->figures && (!w->only || strcmp(w->only, "ranks")))
		return error_set(ERR_INPUT, "--figures is of --only ranks");
	if (w->figures)
		TRY(bench_read_figures(w->figures, b));
	b->seconds = w->seconds ? strtod(w->seconds, &end) : 1;
	if (end && (end == w->seconds || *end || !(b->seconds >= 0 && b->seconds <= 3600)))
		return error_set(ERR_INPUT, "--seconds wants a number from 0 to 3600, not \"%s\"",
		                 w->seconds);
	b->extent = w->full ? BENCH_FULL : BENCH_SHORT;
	b->quiet = w->json;
	return options_compute(self, w->how, &b->compute);
}

int command_bench(const struct command *self, int argc, char **argv)
{
	struct bench_words w = {0};
	struct bench      *b;
	struct text        kernels = {0};
	int                status;

	TRY(mem_take(1, "the bench", &b));
	status = bench_read_words(self, argc, argv, &w, b);
	if (status == OK)
		status = bench_shape(&w, b);
	if (status == OK)
		status = threads_set(b->compute.threads);
	if (status == OK)
		status = bench_run(b, &w, &kernels);
	if (status == OK && w.json)
		status = print_json(b, &kernels);
	if (status == OK && !w.json)
		printf("memory, at most: %.0f MiB\n", memory_peak_bytes() / (1 << 20));
	text_free(&kernels);
	mem_free(b);
	return status;
}
