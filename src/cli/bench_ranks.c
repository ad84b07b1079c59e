/* What a step would take on many ranks (base/ranks.h): a model of the cost, from what was measured
 * on this machine, one rank's work at a time. A rank is as fast as this process, or `speed` times.
 *
 *     sampling     the costliest rank, of groups dealt as deal.h does by the lengths of an epoch
 *                  before: its prompts, and its completions in slots that are refilled; a step of
 *                  b slots takes what decoding b takes
 *     training     the costliest rank, of the units of packing.h in shares as shares.h cuts them
 *     gradients    a rank with u roots (blocks.h) sends them to the owners of all other slices, and
 *                  gets those of all others for its own: max(out, in) bytes / bandwidth; then all
 *                  roots are added on the slice, at the speed of memory
 *     weights      AdamW on the slice, the slice to all others, the whole packed again by each
 *     latency      two swaps a call, one call a piece of 1 MiB of the largest slice
 *
 *     efficiency = step on 1 rank / (R x step on R ranks)
 *
 * Left out: verifiers, which are dealt as sampling is; reading, saving, evaluation; what overlaps.
 * Slices end on borders of tensors; the owner of a tied embedding also gets the head's part. */
#include "cli/bench.h"

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/shares.h"
#include "model/blocks.h"
#include "model/packing.h"
#include "model/roots.h"
#include "rl/deal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { G = 8, PROMPT = 128, MEAN = 128, LONGEST = 256, SLOTS = 64, RANKS_MAX = 1024 };
enum { BYTES_PER_TOKEN = 20 /* of a completion that is gathered */ };
static const double latency = 1e-4; /* of a swap over TCP, with who waits asleep */

struct ranks_bench {
	struct bench *b;
	double        decode_base, decode_slot; /* seconds of a step: base + slots x slot */
	double        prefill, train;           /* seconds a token */
	double        adamw, repack;            /* seconds of the whole */
	double        read;                     /* bytes a second that additions move */
	int           prompts;                  /* of the step */
	struct group_length {                   /* [prompts] */
		int tokens[G], sum, before;
	} * groups;
	struct unit_range *units; /* [n_units] */
	int                n_units;
	struct arena       arena;
};

struct ranks_cost { /* seconds of a step on R ranks */
	double sampling, training, gradients, weights, step;
	double bytes; /* that the busiest rank sends or gets */
};

/* ---- the step ---- */

/* Not fmax: gcc 12 cannot compile a loop of several for aarch64. */
static double ranks_most(double a, double b)
{
	return a > b ? a : b;
}

/* From 16 to LONGEST, about MEAN in the mean, most of them shorter: -log u, cut off. */
static int ranks_length(uint32_t epoch, int group, int i)
{
	double x = (double)rng_uniform((struct rng_key){1, RNG_TEST, epoch, (uint32_t)group, 0},
	                               (uint32_t)i);
	int    n = (int)(-MEAN * log(1 - x));

	return n < 16 ? 16 : n > LONGEST ? LONGEST : n;
}

static int ranks_plan(struct ranks_bench *r, int prompts)
{
	struct sequence *sequences;

	arena_reset(&r->arena);
	r->prompts = prompts;
	TRY(arena_take(&r->arena, (size_t)prompts, "the groups", &r->groups));
	TRY(arena_take(&r->arena, (size_t)prompts * G, "the sequences", &sequences));
	for (int g = 0; g < prompts; g++)
		for (int i = 0; i < G; i++) {
			int n = ranks_length(1, g, i);
			r->groups[g].tokens[i] = n;
			r->groups[g].sum += n;
			r->groups[g].before += ranks_length(0, g, i);
			sequences[g * G + i] = (struct sequence){
			        r->b->ids + g % (BENCH_TOKENS - PROMPT), PROMPT, r->b->ids, n};
		}
	return packing_plan(sequences, prompts * G, 1, &r->arena, &r->units, &r->n_units);
}

/* ---- sampling ---- */

/* Completions wait in the order of their groups and enter slots that are free. */
static double ranks_sample(const struct ranks_bench *r, const int *owner, int rank)
{
	int    slot[SLOTS] = {0}, g = 0, i = 0, active;
	double seconds = 0;

	for (int k = 0; k < r->prompts; k++)
		seconds += owner[k] == rank ? PROMPT * r->prefill : 0;
	do {
		active = 0;
		for (int s = 0; s < SLOTS; s++) {
			while (slot[s] == 0 && g < r->prompts) {
				if (owner[g] == rank && i < G)
					slot[s] = r->groups[g].tokens[i++];
				if (i == G || owner[g] != rank) {
					g++;
					i = 0;
				}
			}
			active += slot[s] > 0;
			slot[s] -= slot[s] > 0;
		}
		seconds += active ? r->decode_base + active * r->decode_slot : 0;
	} while (active);
	return seconds;
}

static int ranks_sampling(struct ranks_bench *r, int R, double *seconds)
{
	struct arena_mark mark = arena_mark(&r->arena);
	int64_t          *cost;
	int              *owner;

	TRY(arena_take(&r->arena, (size_t)r->prompts, "the costs", &cost));
	TRY(arena_take(&r->arena, (size_t)r->prompts, "the owners", &owner));
	for (int g = 0; g < r->prompts; g++)
		cost[g] = PROMPT + r->groups[g].before;
	TRY(deal_costs(cost, r->prompts, R, &r->arena, owner));
	*seconds = 0;
	for (int k = 0; k < R; k++)
		*seconds = ranks_most(*seconds, ranks_sample(r, owner, k));
	arena_release(&r->arena, mark);
	return OK;
}

/* ---- training ---- */

static int64_t ranks_unit_work(const void *of, uint32_t unit)
{
	return ((const struct unit_range *)of)[unit].n_tokens;
}

static int64_t ranks_tensor_work(const void *of, uint32_t tensor)
{
	return (int64_t)((const struct weights *)of)->tensors[tensor].count;
}

/* Floats of the slices [R] whose owners finish them: of the weights, and with the head's part. */
static void ranks_slices(const struct weights *w, int R, double *weights, double *sums)
{
	uint32_t first[RANKS_MAX + 1];

	shares_cut(&(struct shares_of){(uint32_t)w->n_tensors, ranks_tensor_work, w}, R, 1, first);
	for (int k = 0; k < R; k++) {
		weights[k] = sums[k] = 0;
		for (uint32_t t = first[k]; t < first[k + 1]; t++) {
			const struct tensor *x = &w->tensors[t];
			int                  twice = x->kind == TENSOR_EMBED && w->shape.tied;
			weights[k] += (double)x->count;
			sums[k] += (double)x->count * (twice ? 2 : 1);
		}
	}
}

struct ranks_wire { /* of all ranks */
	double weights[RANKS_MAX], sums[RANKS_MAX];
	double all_weights, all_sums, all_roots;
	int    roots[RANKS_MAX];
};

static void ranks_share_units(const struct ranks_bench *r, int R, struct ranks_wire *w,
                              int64_t *largest)
{
	uint32_t         first[RANKS_MAX + 1], n = (uint32_t)r->n_units;
	struct shares_of shares = {n, ranks_unit_work, r->units};

	shares_cut_aligned(&shares, R, first);
	*largest = 0;
	w->all_roots = 0;
	for (int k = 0; k < R; k++) {
		int64_t work = 0;
		for (uint32_t u = first[k]; u < first[k + 1]; u++)
			work += ranks_unit_work(r->units, u);
		*largest = work > *largest ? work : *largest;
		w->roots[k] = first[k] < first[k + 1]
		                      ? blocks_count(first[k], blocks_end(first[k + 1], n))
		                      : 0;
		w->all_roots += w->roots[k];
	}
}

/* ---- a step ---- */

static void ranks_exchange_cost(const struct ranks_bench *r, int R, double bandwidth,
                                struct ranks_cost *c)
{
	struct ranks_wire w;
	int64_t           largest;
	double            wire = 0, adding = 0, gather = 0, slice = 0, most = 0, calls;

	ranks_share_units(r, R, &w, &largest);
	ranks_slices(&r->b->model->weights, R, w.weights, w.sums);
	w.all_weights = w.all_sums = 0;
	for (int k = 0; k < R; k++) {
		w.all_weights += w.weights[k];
		w.all_sums += w.sums[k];
	}
	for (int k = 0; k < R; k++) {
		double out = w.roots[k] * (w.all_sums - w.sums[k]) * 4,
		       in = w.sums[k] * (w.all_roots - w.roots[k]) * 4;
		wire = ranks_most(wire, ranks_most(out, in));
		adding = ranks_most(adding, w.sums[k] * w.all_roots * 3 * 4);
		gather = ranks_most(
		        gather,
		        ranks_most(w.weights[k] * (R - 1), w.all_weights - w.weights[k]) * 4);
		most = ranks_most(most, w.sums[k]);
		slice = ranks_most(slice, w.weights[k] / w.all_weights);
	}
	calls = R > 1 ? most / ROOTS_PIECE + 2 : 0;
	c->training = (double)largest * r->train;
	c->gradients = wire / bandwidth + calls * 2 * latency + (R > 1 ? adding / r->read : 0);
	c->weights = r->adamw * slice + r->repack + gather / bandwidth;
	c->bytes = wire + gather;
}

/* speed: of a rank, in this process's. */
static int ranks_step(struct ranks_bench *r, int R, double speed, double bandwidth,
                      struct ranks_cost *c)
{
	double tokens = 0;

	TRY(ranks_sampling(r, R, &c->sampling));
	for (int g = 0; g < r->prompts; g++)
		tokens += r->groups[g].sum;
	ranks_exchange_cost(r, R, bandwidth, c);
	c->sampling = c->sampling / speed + tokens * BYTES_PER_TOKEN * (R - 1) / R / bandwidth;
	c->training /= speed;
	c->step = c->sampling + c->training + c->gradients + c->weights;
	return OK;
}

/* ---- what is printed ---- */

static int ranks_table(struct ranks_bench *r, int prompts, double speed, double gigabits)
{
	static const int  counts[] = {1, 2, 3, 4, 5, 8, 16, 32, 64, 128, 256, 512, 1024};
	struct ranks_cost one, c;

	TRY(ranks_plan(r, prompts));
	printf("  %d prompts x %d, %d + about %d tokens, %d units, ranks %g times as fast as this "
	       "process, %g Gb/s\n"
	       "    ranks  sampling  training  gradients   weights      step s  efficiency        "
	       "MB\n",
	       prompts, G, PROMPT, MEAN, r->n_units, speed, gigabits);
	for (size_t i = 0; i < sizeof counts / sizeof *counts && counts[i] <= prompts; i++) {
		TRY(ranks_step(r, counts[i], speed, gigabits * 1e9 / 8, &c));
		one = i ? one : c;
		printf("    %5d %9.2f %9.2f %10.4f %9.4f %11.2f %10.1f%% %9.2f\n", counts[i],
		       c.sampling, c.training, c.gradients, c.weights, c.step,
		       100 * one.step / (counts[i] * c.step), c.bytes * 1e-6);
		fflush(stdout);
	}
	return OK;
}

/* The model against the work of the costliest rank, when 1, 2, 4, 8 ranks share 8 prompts. */
static int ranks_check(struct ranks_bench *r)
{
	printf("  8 prompts x %d, 128 + 128 tokens, one rank's work at a time\n"
	       "    ranks  sampling, by the model  training, by the model\n",
	       G);
	for (int prompts = 8; prompts >= 1; prompts /= 2) {
		double sampling, learning, tokens = prompts * G * 128, text = prompts * PROMPT;
		double decode = 127 * (r->decode_base + prompts * G * r->decode_slot);
		TRY(bench_grpo_part(r->b, prompts, &sampling, &learning));
		printf("    %5d %9.2f %13.2f %9.2f %13.2f\n", 8 / prompts, sampling,
		       decode + text * r->prefill, learning,
		       (tokens + text) * r->train + r->adamw + r->repack);
		fflush(stdout);
	}
	return OK;
}

/* ---- what is measured, or read ---- */

static int ranks_repack_once(void *context)
{
	return model_repack(((struct bench *)context)->model);
}

static int ranks_measure(struct bench *b)
{
	/* the weights read, their packed form written */
	const struct bench_work work = {.bytes = 8.0 * (double)b->model->weights.n};
	double                  seconds;

	TRY(bench_prefill(b));
	TRY(bench_decode(b));
	TRY(bench_training(b));
	TRY(bench_time(b, ranks_repack_once, b, &seconds));
	bench_add(b, "packing the weights", "GB/s", work.bytes * 1e-9, &work, seconds);
	return OK;
}

static int ranks_read_figure(const char *path, const json_t *row, struct bench_figure *f)
{
	const char *what, *precision;

	TRY(json_get_text(path, row, "what", JSON_REQUIRED, &what));
	TRY(json_get_text(path, row, "precision", JSON_REQUIRED, &precision));
	TRY(json_get_real(path, row, "value", JSON_REQUIRED, &f->value));
	if (!(f->value > 0))
		return error_set(ERR_INPUT, "%s: \"%.60s\" is %g", path, what, f->value);
	snprintf(f->what, sizeof f->what, "%s", what);
	f->precision = strcmp(precision, "bf16") ? "f32" : "bf16";
	return OK;
}

int bench_read_figures(const char *path, struct bench *b)
{
	json_t *all, *row;
	size_t  i;
	int     status;

	TRY(json_read(path, 1 << 20, &all));
	status = json_array_size(json_object_get(all, "figures")) > BENCH_FIGURES
	                 ? error_set(ERR_INPUT, "%s: more than %d figures", path, BENCH_FIGURES)
	                 : OK;
	json_array_foreach(json_object_get(all, "figures"), i, row) if (status == OK)
	{
		status = ranks_read_figure(path, row, &b->figures[i]);
		b->n_figures = (int)i + 1;
	}
	json_decref(all);
	b->given = 1;
	return status;
}

/* The newest of this name in the precision at hand; names are indented where they are printed. */
static int ranks_figure(const struct bench *b, const char *what, double *value)
{
	const char *precision = matmul_is_bf16(b->mm) ? "bf16" : "f32";

	for (int i = b->n_figures - 1; i >= 0; i--) {
		const struct bench_figure *f = &b->figures[i];
		if (!strncmp(f->what + strspn(f->what, " "), what, strlen(what)) &&
		    !strcmp(f->precision, precision)) {
			*value = f->value;
			return OK;
		}
	}
	return error_set(ERR_INPUT, "there is no figure \"%s\" in %s", what, precision);
}

static int ranks_take(struct ranks_bench *r)
{
	const struct bench *b = r->b;
	double n = (double)b->model->weights.n * 1e-9, one, many, prefill, forward, backward, adamw,
	       packing;

	TRY(ranks_figure(b, "prefill, 8 x 256 tokens", &prefill));
	TRY(ranks_figure(b, "decode, batch 1", &one));
	TRY(ranks_figure(b, "decode, batch 64", &many));
	TRY(ranks_figure(b, "its forward pass", &forward));
	TRY(ranks_figure(b, "its backward pass", &backward));
	TRY(ranks_figure(b, "its AdamW and repacking", &adamw));
	TRY(ranks_figure(b, "packing the weights", &packing));
	r->decode_slot = ranks_most(64 / many - 1 / one, 0) / 63;
	r->decode_base = 1 / one - r->decode_slot;
	r->prefill = 1 / prefill;
	r->train = 1 / forward + 1 / backward;
	r->repack = 8 * n / packing;
	r->adamw = ranks_most(28 * n / adamw - r->repack, 0);
	r->read = adamw * 1e9;
	printf("  a decode step %.4g + %.4g x slots s, a trained token %.4g s, AdamW %.3g s, "
	       "packing the weights %.3g s\n",
	       r->decode_base, r->decode_slot, r->train, r->adamw, r->repack);
	return OK;
}

static int ranks_tables(struct ranks_bench *r)
{
	TRY(ranks_take(r));
	if (!r->b->given)
		TRY(ranks_check(r));
	TRY(ranks_table(r, 64, 1, 25));
	TRY(ranks_table(r, 64, 16, 25));
	TRY(ranks_table(r, 64, 16, 100));
	TRY(ranks_table(r, 1024, 16, 25));
	return ranks_table(r, 1024, 16, 100);
}

/* With --json what is measured is printed, for --figures, and no table. */
int bench_ranks(struct bench *b)
{
	struct ranks_bench r = {.b = b};
	int                status = b->given ? OK : ranks_measure(b);

	if (status == OK && !b->quiet)
		status = ranks_tables(&r);
	arena_free(&r.arena);
	return status;
}
