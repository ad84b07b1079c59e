/* What a model does without learning: prefill, decode, head, attention. */
#include "cli/bench.h"

#include "base/error.h"
#include "model/decode.h"
#include "model/head.h"

#include <stdio.h>

/* ---- work ---- */

double bench_linear(const struct model_shape *s)
{
	double D = s->width, HE = (double)s->n_heads * s->head_width,
	       KE = (double)s->n_kv_heads * s->head_width, F = s->ff_width;

	return s->n_layers * (D * (HE + 2 * KE) + HE * D + 3 * D * F);
}

static double weight_bytes(const struct matmul *mm)
{
	return matmul_is_bf16(mm) ? 2 : 4;
}

struct bench_work bench_layers(const struct bench *b, double tokens, double keys)
{
	const struct model_shape *s = &b->shape;

	return (struct bench_work){.products = 2 * tokens * bench_linear(s),
	                           .floats = 4.0 * s->n_layers * s->n_heads * s->head_width * keys *
	                                     tokens,
	                           .bytes = bench_linear(s) * weight_bytes(b->mm)};
}

struct bench_work bench_logits(const struct bench *b, double rows)
{
	double               weights = (double)b->shape.n_vocab * b->shape.width;
	const struct matmul *head = matmul_head(b->mm);
	struct bench_work    w = {.bytes = weights * weight_bytes(head)};

	*(matmul_is_bf16(head) ? &w.products : &w.floats) = 2 * rows * weights;
	return w;
}

struct bench_work bench_both(struct bench_work a, struct bench_work b, double times)
{
	return (struct bench_work){(a.products + b.products) * times, (a.floats + b.floats) * times,
	                           (a.bytes + b.bytes) * times};
}

/* ---- a forward pass ---- */

struct pass_bench { /* of BENCH_SEQUENCES texts of BENCH_LENGTH tokens */
	struct bench   *b;
	struct packing  batch;
	struct kv_cache cache; /* of one layer */
	float          *hidden;
};

static int pass_bench_new(struct bench *b, struct pass_bench *p)
{
	struct sequence   *seqs;
	struct unit_range *units;
	int                n_units;

	*p = (struct pass_bench){.b = b};
	TRY(arena_take(&b->arena, BENCH_SEQUENCES, "the sequences", &seqs));
	for (int i = 0; i < BENCH_SEQUENCES; i++) {
		const int *ids = b->ids + i * BENCH_LENGTH;
		seqs[i] = (struct sequence){.prompt = ids,
		                            .n_prompt = 1,
		                            .completion = ids + 1,
		                            .n_completion = BENCH_LENGTH - 1};
	}
	TRY(packing_plan(seqs, BENCH_SEQUENCES, 1, &b->arena, &units, &n_units));
	TRY(packing_build(seqs, units, n_units, 1, &b->arena, &p->batch));
	TRY(arena_take(&b->arena, (size_t)p->batch.n_tokens * (size_t)b->shape.width,
	               "the hidden states", &p->hidden));
	return model_cache_new(b->model, 1, p->batch.n_pages, &p->cache);
}

static void pass_bench_free(struct pass_bench *p)
{
	kv_cache_free(&p->cache);
	arena_reset(&p->b->arena);
}

static int pass_once(void *context)
{
	struct pass_bench *p = context;

	return model_forward(p->b->model, &p->batch, &p->cache, NULL, &p->b->arena, p->hidden);
}

int bench_prefill(struct bench *b)
{
	struct pass_bench p;
	int               status = pass_bench_new(b, &p);
	double            seconds, tokens;

	if (status == OK)
		status = bench_time(b, pass_once, &p, &seconds);
	if (status == OK) {
		const struct bench_work w =
		        bench_layers(b, tokens = p.batch.n_tokens, BENCH_LENGTH / 2.0);
		bench_add(b, "prefill, 8 x 256 tokens", "tokens/s", tokens, &w, seconds);
	}
	pass_bench_free(&p);
	return status;
}

/* ---- decode ---- */

enum { CONTEXT = 128, NEW_TOKENS = 24, GROUP = 8 };

struct decode_bench {
	struct bench   *b;
	struct decoder *d;
	int             n, max_new; /* completions, tokens of each */
};

static int decode_once(void *context)
{
	const struct decode_bench  *c = context;
	const struct decode_options o = {.sampling = {.temperature = 1, .top_p = 1},
	                                 .share_prompt = 1};
	struct decode_request      *q;
	struct decode_result       *r;
	struct arena                a = {0};
	int                         status = arena_take(&a, (size_t)c->n, "the requests", &q);

	if (status == OK)
		status = arena_take(&a, (size_t)c->n, "the completions", &r);
	for (int i = 0; status == OK && i < c->n; i++)
		q[i] = (struct decode_request){.prompt = c->b->ids + (i / GROUP) * GROUP,
		                               .n_prompt = CONTEXT,
		                               .max_new = c->max_new,
		                               .key = {1, RNG_SAMPLE, 0, (uint32_t)i, 0}};
	if (status == OK)
		status = decode_run(c->d, &o, q, c->n, &a, r);
	arena_free(&a);
	return status;
}

/* The decode steps alone: a long run less one that stops after the first token. */
static int measure_decode(struct bench *b, int n)
{
	const double        keys = CONTEXT + NEW_TOKENS / 2.0;
	struct decode_bench c = {.b = b, .n = n, .max_new = 1};
	double              first, all = 0;
	struct bench_work   w;
	char                what[80];
	int                 status;

	TRY(decoder_new(b->model, n, CONTEXT + NEW_TOKENS + 1, &c.d));
	status = bench_time(b, decode_once, &c, &first);
	c.max_new += NEW_TOKENS;
	if (status == OK)
		status = bench_time(b, decode_once, &c, &all);
	decoder_free(c.d);
	TRY(status);
	w = bench_both(bench_layers(b, n, keys), bench_logits(b, n), NEW_TOKENS);
	snprintf(what, sizeof what, "decode, batch %d", n);
	/* of a model of no size the difference can be lost in noise */
	bench_add(b, what, "tokens/s", n * NEW_TOKENS, &w, all > first ? all - first : all);
	return OK;
}

int bench_decode(struct bench *b)
{
	static const struct {
		int               n;
		enum bench_extent extent;
	} batches[] = {{1, BENCH_SHORT}, {16, BENCH_FULL}, {64, BENCH_SHORT}, {256, BENCH_FULL}};

	for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
		if (batches[i].extent <= b->extent)
			TRY(measure_decode(b, batches[i].n));
	return OK;
}

/* ---- head ---- */

struct head_bench {
	struct pass_bench  pass;
	int                n;
	float             *logits;
	struct head_result result;
};

static int logits_once(void *context)
{
	struct head_bench *h = context;

	return head_logits(h->pass.b->model, h->n, h->pass.hidden, h->logits);
}

static int head_once(void *context)
{
	struct head_bench *h = context;

	return head_forward(
	        &(struct head_input){h->pass.b->model, &h->pass.batch, h->pass.hidden, 1},
	        &h->pass.b->arena, &h->result);
}

static int head_bench_new(struct bench *b, struct head_bench *h)
{
	size_t N;

	*h = (struct head_bench){0};
	TRY(pass_bench_new(b, &h->pass));
	N = (size_t)h->pass.batch.n_targets;
	TRY(arena_take(&b->arena, (size_t)64 * (size_t)b->shape.n_vocab, "logits", &h->logits));
	TRY(arena_take(&b->arena, N, "the log-probs", &h->result.logp));
	TRY(arena_take(&b->arena, N, "the entropies", &h->result.entropy));
	TRY(arena_take(&b->arena, N, "the log-sum-exps", &h->result.lse));
	return pass_once(&h->pass);
}

static int measure_head(struct bench *b, struct head_bench *h)
{
	static const struct {
		const char *what;
		int         n; /* 0: all targets */
		int (*once)(void *context);
	} rows[] = {{"head, logits of 1 row", 1, logits_once},
	            {"head, logits of 64 rows", 64, logits_once},
	            {"head, log-probs of 2040 targets", 0, head_once}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		double            seconds, n = rows[i].n ? rows[i].n : h->pass.batch.n_targets;
		struct bench_work w = bench_logits(b, n);
		h->n = rows[i].n;
		TRY(bench_time(b, rows[i].once, h, &seconds));
		bench_add(b, rows[i].what, "rows/s", n, &w, seconds);
	}
	return OK;
}

int bench_head(struct bench *b)
{
	struct head_bench h;
	int               status = head_bench_new(b, &h);

	if (status == OK)
		status = measure_head(b, &h);
	pass_bench_free(&h.pass);
	return status;
}

/* ---- attention ---- */

enum { LAYERS_MOST = 64 };
static const double cache_bytes = 128 << 20; /* of keys and values, more than caches hold */

struct attention_bench { /* of one layer after another */
	struct attention_input    in;
	struct packing            batch;
	struct kv_cache           cache;
	struct attention_tile    *room;
	const struct model_shape *shape;
	float                    *qkv, *out;
};

static int attention_once(void *context)
{
	struct attention_bench *a = context;

	a->in.layer = (a->in.layer + 1) % a->cache.n_layers;
	attention_forward(a->shape, &a->in, a->room, a->out, NULL);
	return OK;
}

/* Texts of `length` tokens, of which the last `n_new` are computed: all of them as in a prefill,
 * one as in a decode step. Keys and values before them are zeros, which cost as much as others. */
static int attention_bench_new(struct bench *b, int n_texts, int length, int n_new,
                               struct attention_bench *a)
{
	const struct model_shape *s = &b->shape;
	int                       each = (length + PAGE_TOKENS - 1) / PAGE_TOKENS, layers = 1,
	    bf16 = matmul_is_bf16(b->mm), *pages;
	size_t T = (size_t)n_texts * (size_t)n_new, E = (size_t)s->head_width,
	       wide = ((size_t)s->n_heads + 2 * (size_t)s->n_kv_heads) * E;

	*a = (struct attention_bench){.shape = s};
	a->batch = (struct packing){
	        .n_tokens = (int)T, .n_segments = n_texts, .n_pages = n_texts * each};
	TRY(arena_take(&b->arena, T, "the positions", &a->batch.position));
	TRY(arena_take(&b->arena, (size_t)n_texts, "the segments", &a->batch.segments));
	TRY(arena_take(&b->arena, (size_t)(n_texts * each), "the pages", &pages));
	TRY(arena_take(&b->arena, T * wide, "queries, keys and values", &a->qkv));
	TRY(arena_take(&b->arena, T * (size_t)s->n_heads * E, "what attention gives", &a->out));
	for (int i = 0; i < n_texts * each; i++)
		pages[i] = i;
	for (int i = 0; i < n_texts; i++)
		a->batch.segments[i] = (struct segment){.first = i * n_new,
		                                        .count = n_new,
		                                        .position = length - n_new,
		                                        .parent = -1,
		                                        .pages = pages + i * each};
	for (size_t t = 0; t < T; t++)
		a->batch.position[t] = length - n_new + (int)(t % (size_t)n_new);
	for (size_t i = 0; i < T * wide; i++)
		a->qkv[i] = (float)((int)(i % 17) - 8) * 0x1p-4f;
	TRY(attention_room_new(&b->arena, &a->room));
	while (layers < LAYERS_MOST &&
	       (double)kv_cache_bytes(s, bf16, layers, n_texts * each) < cache_bytes)
		layers++;
	TRY(kv_cache_new(s, bf16, layers, n_texts * each, &a->cache));
	a->in = (struct attention_input){.b = &a->batch, .qkv = a->qkv, .cache = &a->cache};
	return OK;
}

static int measure_attention(struct bench *b, int n_texts, int length, int n_new)
{
	const struct model_shape *s = &b->shape;
	double keys = n_new == 1 ? length : length / 2.0, tokens = (double)n_texts * n_new, seconds;
	struct bench_work      w = {.floats = 4.0 * s->n_heads * s->head_width * keys * tokens};
	struct attention_bench a;
	char                   what[80];
	int                    status = attention_bench_new(b, n_texts, length, n_new, &a);

	if (status == OK) {
		w.bytes = (double)kv_cache_bytes(s, a.cache.bf16, 1, a.batch.n_pages);
		status = bench_time(b, attention_once, &a, &seconds);
	}
	if (status == OK) {
		snprintf(what, sizeof what,
		         n_new == 1 ? "attention, decode, %d x %d keys"
		                    : "attention, prefill, %d x %d tokens",
		         n_texts, length);
		bench_add(b, what, "tokens/s", tokens, &w, seconds);
	}
	kv_cache_free(&a.cache);
	arena_reset(&b->arena);
	return status;
}

int bench_attention(struct bench *b)
{
	int length = b->shape.n_positions < 2048 ? b->shape.n_positions : 2048;

	TRY(measure_attention(b, BENCH_SEQUENCES, BENCH_LENGTH, BENCH_LENGTH));
	TRY(measure_attention(b, 1, length, 1));
	return measure_attention(b, 32, length, 1);
}
