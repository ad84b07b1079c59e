/* bench.h - how fast this machine runs the program, each figure as a fraction of what the machine
 * can do at most. Private to `hone bench`.
 *
 *     limits     FLOP/s of f32 fma, of dpbf16 and of AMX from registers, bytes/s read from memory
 *                (math/machine.h), by the same command on the same threads
 *     work       of one measurement: FLOP of products, FLOP that are f32 whatever the precision
 *                is, bytes that must be read or written at least once
 *     fraction   = max(products / peak + floats / fma, bytes / read) / seconds
 *                with peak = in bf16 dpbf16, or AMX in the order of tiles, where the CPU has it,
 *                else fma
 *
 * What is counted as useful work:
 *     product of a linear layer     2 x outputs x inputs per token, forward; twice that again in
 *                                   the backward pass
 *     attention                     4 x H x E x (keys seen) per token and layer, forward; twice
 *                                   that again backward; f32
 *     bytes                         the weights of each product once (4 or 2 bytes each), keys and
 *                                   values once
 *
 * Logits that a backward pass computes a second time are not counted: they are a cost of ours. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "math/compute_options.h"
#include "model/transformer.h"

struct bench_work {
	double products, floats; /* FLOP */
	double bytes;
};

struct bench_figure {
	char        what[80];  /* "decode, batch 64" */
	const char *precision; /* f32, bf16 */
	const char *unit;      /* "tokens/s" */
	const char *limit;     /* what bounds it: "fma", "dpbf16", "AMX", "read" */
	double      value, seconds, fraction;
};

/* A short row is measured when nothing is said, the others with --full or --only, the last with
 * --only. */
enum bench_extent { BENCH_SHORT, BENCH_FULL, BENCH_NAMED };

/* The batch of prefill and training: 8 x 256 tokens. */
enum { BENCH_SEQUENCES = 8, BENCH_LENGTH = 256, BENCH_TOKENS = 2048, BENCH_FIGURES = 256 };

struct bench {
	/* of the command line */
	struct compute_options compute;
	enum bench_extent      extent;
	double                 seconds; /* that a measurement is repeated for, about */

	/* of the machine */
	double fma, dot, amx, read; /* dot, amx: 0 without the instruction */
	double share;               /* of the cores that other programs left, at the start */

	/* of the precision at hand */
	struct matmul *mm;
	struct model  *model; /* NULL for families that need none */

	struct model_shape  shape;             /* of MODEL, else SmolLM2-135M's */
	const char         *name;              /* of the shape */
	int                 is_published;      /* no MODEL was named */
	int                 ids[BENCH_TOKENS]; /* random */
	struct arena        arena;             /* of one measurement */
	struct bench_figure figures[BENCH_FIGURES];
	int                 n_figures;
	int                 quiet; /* figures are not printed as they come */
	int                 given; /* figures come from a file, and nothing is measured */
};

/* ---- measuring ---- */

/* The median of the seconds that once(context) takes, repeated for about b->seconds after a first
 * time that does not count. */
int bench_time(const struct bench *b, int (*once)(void *context), void *context, double *seconds);

/* Adds a figure, and prints it. */
void bench_put(struct bench *b, const char *what, struct bench_figure figure);

/* The same of units / seconds, of products at hand. */
void bench_add(struct bench *b, const char *what, const char *unit, double units,
               const struct bench_work *w, double seconds);

/* ---- work ---- */

double bench_linear(const struct model_shape *s); /* weights of all layers */

/* A forward pass of so many tokens, each of which sees so many keys; bytes: of one pass. */
struct bench_work bench_layers(const struct bench *b, double tokens, double keys);
struct bench_work bench_logits(const struct bench *b, double rows);

/* a and b together, so many times */
struct bench_work bench_both(struct bench_work a, struct bench_work b, double times);

/* ---- the families of figures ---- */

/* Sets what is of the machine; its figures are the limits, by one thread and by all. */
int bench_machine(struct bench *b);
int bench_products(struct bench *b);
int bench_prefill(struct bench *b);
int bench_decode(struct bench *b);
int bench_head(struct bench *b);
int bench_attention(struct bench *b);
int bench_training(struct bench *b);
int bench_grpo(struct bench *b);
int bench_ranks(struct bench *b);

/* Reads figures that --json printed. ERR_INPUT. */
int bench_read_figures(const char *path, struct bench *b);

/* Of bench_grpo's step with so many of its prompts: seconds of sampling and of learning. */
int bench_grpo_part(struct bench *b, int prompts, double *sampling, double *learning);

#endif
