#include "model/attention.h"

#include "base/error.h"
#include "base/threads.h"
#include "math/elementary.h"
#include "math/rowops.h"
#include "math/tile.h"
#include "model/kind.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <omp.h>
#include <string.h>

/* A tile is the unit of work: up to QUERY_ROWS queries that share a key/value head. Its rows run
 * over the tokens and, within a token, over the H/K heads of the group. In the backward pass they
 * are of one segment: row r is position r / group, head r % group. */
enum {
	QUERY_ROWS = 48,
	PADDED_MAX = (HEAD_WIDTH_MAX + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS
};

struct layout {
	int    heads, kv_heads, group; /* H K H/K */
	int    E, padded;              /* padded: E rounded up to whole vectors */
	size_t qkv_row, out_row;       /* floats of a row: (H+2K)E, H*E */
	float  scale, cap;             /* of the scores; 0: no cap */
	int    window;                 /* positions that a query sees; 0: all */
};

static struct layout layout_of(const struct model_shape *s, int window)
{
	int H = s->n_heads, K = s->n_kv_heads, E = s->head_width;

	return (struct layout){.heads = H,
	                       .kv_heads = K,
	                       .group = H / K,
	                       .E = E,
	                       .padded = tile_pad(E),
	                       .qkv_row = (size_t)(H + 2 * K) * (size_t)E,
	                       .out_row = (size_t)H * (size_t)E,
	                       .scale = (float)kind_score_scale(s),
	                       .cap = (float)s->scales.score_cap,
	                       .window = window};
}

/* Offsets within a row of qkv. */
static size_t query_at(const struct layout *l, int kv_head, int in_group)
{
	return (size_t)(kv_head * l->group + in_group) * (size_t)l->E;
}

static size_t key_at(const struct layout *l, int kv_head)
{
	return (size_t)(l->heads + kv_head) * (size_t)l->E;
}

static size_t attention_value_at(const struct layout *l, int kv_head)
{
	return (size_t)(l->heads + l->kv_heads + kv_head) * (size_t)l->E;
}

/* ---- the cache ---- */

/* Of one layer and one key/value head. */
static size_t page_words(int bf16, int E)
{
	return (size_t)PAGE_TOKENS * (size_t)(E + tile_pad(E)) / (bf16 ? 2 : 1);
}

size_t kv_cache_bytes(const struct model_shape *s, int bf16, int n_layers, int n_pages)
{
	return (size_t)n_pages * (size_t)n_layers * (size_t)s->n_kv_heads *
	       page_words(bf16, s->head_width) * sizeof(float);
}

int kv_cache_new(const struct model_shape *s, int bf16, int n_layers, int n_pages,
                 struct kv_cache *out)
{
	assert(!bf16 || s->head_width % 2 == 0);
	*out = (struct kv_cache){.n_layers = n_layers,
	                         .n_pages = n_pages,
	                         .n_kv_heads = s->n_kv_heads,
	                         .head_width = s->head_width,
	                         .bf16 = bf16};
	return mem_take_bytes(kv_cache_bytes(s, bf16, n_layers, n_pages), 1, "the key/value cache",
	                      &out->data);
}

void kv_cache_free(struct kv_cache *c)
{
	mem_free(c->data);
	*c = (struct kv_cache){0};
}

static float *attention_keys_of(const struct kv_cache *c, int page, int layer, int kv_head)
{
	size_t heads = (size_t)c->n_kv_heads;

	assert(page >= 0 && page < c->n_pages && layer < c->n_layers && kv_head < c->n_kv_heads);
	return c->data +
	       (((size_t)page * (size_t)c->n_layers + (size_t)layer) * heads + (size_t)kv_head) *
	               page_words(c->bf16, c->head_width);
}

static float *attention_values_of(const struct kv_cache *c, float *keys)
{
	return keys + PAGE_TOKENS * c->head_width / (c->bf16 ? 2 : 1);
}

void kv_cache_copy_page(struct kv_cache *c, int from, int to)
{
	size_t n = (size_t)c->n_layers * (size_t)c->n_kv_heads * page_words(c->bf16, c->head_width);

	assert(from != to);
	memcpy(attention_keys_of(c, to, 0, 0), attention_keys_of(c, from, 0, 0), n * sizeof(float));
}

/* Of a bf16 in value the lower half is 0. */
static inline uint32_t attention_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	return bits;
}

/* Key and value [E] of the token at place `at` of a page, in words of two: a key's are its own, a
 * value's other halves belong to the token beside it. */
static void store_words(const struct kv_cache *c, float *keys, int at, const float *k,
                        const float *v)
{
	int      E = c->head_width, shift = at % 2 ? 0 : 16;
	uint32_t others = at % 2 ? 0x0000ffff : 0xffff0000, rounded_off = 0;
	float   *values = attention_values_of(c, keys) + at / 2 * tile_pad(E);

	for (int e = 0; e < E; e++)
		rounded_off |= (attention_bits(k[e]) | attention_bits(v[e])) & 0xffff;
	assert(rounded_off == 0);
	for (int e = 0; e < E; e += 2) {
		uint32_t word = attention_bits(k[e]) >> 16 | attention_bits(k[e + 1]);
		memcpy(keys + e / 2 * PAGE_TOKENS + at, &word, sizeof word);
	}
	for (int e = 0; e < E; e++) {
		uint32_t word =
		        (attention_bits(values[e]) & others) | attention_bits(v[e]) >> shift;
		memcpy(values + e, &word, sizeof word);
	}
}

static void store_floats(const struct kv_cache *c, float *keys, int at, const float *k,
                         const float *v)
{
	int E = c->head_width;

	for (int e = 0; e < E; e++)
		keys[e * PAGE_TOKENS + at] = k[e];
	memcpy(attention_values_of(c, keys) + at * tile_pad(E), v, (size_t)E * sizeof(float));
}

/* ---- forward ---- */

struct forward {
	struct layout         l;
	const struct packing *b;
	const float          *qkv;
	struct kv_cache      *cache;
	int                   layer;
	float                *out, *lse;

	int tile_rows, bundle_rows; /* at most, of a tile, and of several segments together */
	int has_children;           /* a segment may read what another one stores */
};

/* The token of the batch that stands at this position of the text that the segment belongs to. */
static int attention_token_at(const struct packing *b, const struct segment *s, int position)
{
	while (position < s->position) {
		assert(s->parent >= 0);
		s = &b->segments[s->parent];
	}
	return s->first + position - s->position;
}

/* Puts keys and values into page `block` of a segment: its own tokens and, when it has a parent,
 * the parent's that stand before them in this page, which is the segment's own. */
static void store_page(const struct forward *f, const struct segment *s, int block, int kv_head)
{
	const struct layout *l = &f->l;
	float               *keys = attention_keys_of(f->cache, s->pages[block], f->layer, kv_head);
	int                  start = block * PAGE_TOKENS;
	int                  from = s->parent < 0 && s->position > start ? s->position : start;
	int                  end = s->position + s->count;

	for (int p = from; p < end && p < start + PAGE_TOKENS; p++) {
		const float *row = f->qkv + (size_t)attention_token_at(f->b, s, p) * l->qkv_row;
		(f->cache->bf16 ? store_words : store_floats)(f->cache, keys, p - start,
		                                              row + key_at(l, kv_head),
		                                              row + attention_value_at(l, kv_head));
	}
}

/* Rows are pairs of the batch: pair p is token p / group, head p % group. */
struct attention_tile {
	const struct forward *f;
	int                   kv_head, first, rows; /* pairs first .. first+rows-1 */
	/* [rows] whose text it is, and where the token stands in it */
	const struct segment *segment[QUERY_ROWS];
	int                   position[QUERY_ROWS];
	/* of the scores so far; of exp(score - max) */
	float max[QUERY_ROWS], sum[QUERY_ROWS];
	float q[QUERY_ROWS * PADDED_MAX]; /* [rows x padded] */
	/* [rows x padded] sum of exp(score - max) v */
	float o[QUERY_ROWS * PADDED_MAX];
	/* [rows x PAGE_TOKENS] scores of a block, then their exponentials */
	float p[QUERY_ROWS * PAGE_TOKENS];
};

static int tiles_of(const struct layout *l, const struct segment *s)
{
	return (s->count * l->group + QUERY_ROWS - 1) / QUERY_ROWS;
}

static int rows_of(const struct layout *l, const struct segment *s, int tile)
{
	int left = s->count * l->group - tile * QUERY_ROWS;

	return left < QUERY_ROWS ? left : QUERY_ROWS;
}

static int clip(int n)
{
	return n < 0 ? 0 : n > PAGE_TOKENS ? PAGE_TOKENS : n;
}

/* The first position that a query at this one sees. */
static int first_seen(const struct layout *l, int position)
{
	return l->window && position >= l->window ? position - l->window + 1 : 0;
}

/* How many keys of the block, from its start, lie before the end of what this row may see. */
static int visible(const struct attention_tile *t, int row, int block)
{
	return clip(t->position[row] + 1 - block * PAGE_TOKENS);
}

/* How many of them lie before its window. */
static int hidden(const struct attention_tile *t, int row, int block)
{
	return clip(first_seen(&t->f->l, t->position[row]) - block * PAGE_TOKENS);
}

static int sees_some(const struct attention_tile *t, int row, int block)
{
	return visible(t, row, block) > hidden(t, row, block);
}

/* The lanes of rowops.h as vectors, so that they are folded in registers: lane i with i + 8, i + 4,
 * i + 2, i + 1. */
typedef float   attention_8 __attribute__((vector_size(8 * sizeof(float))));
typedef float   attention_4 __attribute__((vector_size(4 * sizeof(float))));
typedef int32_t attention_mask __attribute__((vector_size(8 * sizeof(float))));
_Static_assert(LANES == 16 && PAGE_TOKENS == 4 * LANES, "what the sums below add up");

#define ATTENTION_LARGER(a, b) \
	((attention_8)(((attention_mask)(b) & ((b) > (a))) | ((attention_mask)(a) & ~((b) > (a)))))

static float max_of(const float p[PAGE_TOKENS])
{
	attention_8 x[8];
	float       lane[8];

	memcpy(x, p, sizeof x);
	for (int half = 4; half; half /= 2) /* of a maximum the order is free */
		for (int i = 0; i < half; i++)
			x[i] = ATTENTION_LARGER(x[i], x[i + half]);
	memcpy(lane, x, sizeof lane);
	for (int half = 4; half; half /= 2)
		for (int i = 0; i < half; i++)
			lane[i] = lane[i + half] > lane[i] ? lane[i + half] : lane[i];
	return lane[0];
}

static float attention_sum_of(const float p[PAGE_TOKENS])
{
	attention_8 x[8], lane;
	attention_4 four[2];

	memcpy(x, p, sizeof x);
	lane = (((x[0] + x[2]) + x[4]) + x[6]) + (((x[1] + x[3]) + x[5]) + x[7]);
	memcpy(four, &lane, sizeof four);
	four[0] += four[1];
	return (four[0][0] + four[0][2]) + (four[0][1] + four[0][3]);
}

/* Turns a row's scores of a block into exp(score - max), 0 where it may not look, and moves its
 * running maximum, sum and output. It sees the keys first .. n_keys-1. */
static void soften(struct attention_tile *t, int row, int first, int n_keys)
{
	float *p = t->p + row * PAGE_TOKENS, *o = t->o + row * t->f->l.padded;
	float  scale = t->f->l.scale, old = t->max[row], max, correction;

	for (int j = 0; j < PAGE_TOKENS; j++)
		p[j] *= scale;
	if (t->f->l.cap)
		row_cap(p, PAGE_TOKENS, t->f->l.cap);
	for (int j = 0; j < first; j++)
		p[j] = -INFINITY;
	for (int j = n_keys; j < PAGE_TOKENS; j++)
		p[j] = -INFINITY;
	max = max_of(p);
	max = max > old ? max : old;
	correction = elementary_exp(old - max);
	for (int j = 0; j < PAGE_TOKENS; j++)
		p[j] = elementary_exp(p[j] - max); /* exp(-infinity) is 0 */
	t->max[row] = max;
	t->sum[row] = fmaf(t->sum[row], correction, attention_sum_of(p));
	if (correction != 1)
		for (int e = 0; e < t->f->l.padded; e++)
			o[e] *= correction;
}

static void add_values(struct attention_tile *t, const float *values, int row, int rows,
                       int first_key, int n_keys)
{
	size_t              padded = (size_t)t->f->l.padded;
	int                 pairs = t->f->cache->bf16;
	struct tile_product p = {.a = t->p + row * PAGE_TOKENS + first_key,
	                         .a_row = PAGE_TOKENS,
	                         .a_k = 1,
	                         .b = values + (size_t)(pairs ? first_key / 2 : first_key) * padded,
	                         .b_row = padded,
	                         .b_pairs = pairs,
	                         .b_odd = pairs && first_key % 2,
	                         .c = t->o + (size_t)row * padded,
	                         .c_row = padded};

	tile_product(&p, rows, t->f->l.padded, n_keys);
}

/* Rows of a tile that meet at a page; each sees as many of its keys as the one before it, or more.
 * */
struct run {
	int first, end;
};

/* A few rows at a time: first over the keys that all of them see, then each over what it sees
 * beyond. What a row does not see is not touched: it may be stale, and 0 * NaN is NaN. */
static void weigh_values(struct attention_tile *t, const float *values, int block, struct run run)
{
	enum { STEP = 6 };
	int rows;

	for (int r = run.first; r < run.end; r += rows) {
		int common = visible(t, r, block);
		rows = common == PAGE_TOKENS || run.end - r < STEP ? run.end - r : STEP;
		add_values(t, values, r, rows, 0, common);
		for (int i = r; i < r + rows; i++)
			if (visible(t, i, block) > common)
				add_values(t, values, i, 1, common, visible(t, i, block) - common);
	}
}

/* One page: scores of all visible keys, softened row by row with the running maximum, then the
 * values weighed. */
static void attend_page(struct attention_tile *t, int block, struct run run)
{
	const struct forward *f = t->f;
	float *keys = attention_keys_of(f->cache, t->segment[run.first]->pages[block], f->layer,
	                                t->kv_head);
	struct tile_product scores = {.a = t->q + run.first * f->l.padded,
	                              .a_row = (size_t)f->l.padded,
	                              .a_k = 1,
	                              .b = keys,
	                              .b_row = PAGE_TOKENS,
	                              .b_pairs = f->cache->bf16,
	                              .c = t->p + run.first * PAGE_TOKENS,
	                              .c_row = PAGE_TOKENS};

	memset(scores.c, 0, (size_t)(run.end - run.first) * PAGE_TOKENS * sizeof(float));
	tile_product(&scores, run.end - run.first, tile_pad(visible(t, run.end - 1, block)),
	             f->l.E);
	for (int r = run.first; r < run.end; r++)
		soften(t, r, hidden(t, r, block), visible(t, r, block));
	weigh_values(t, attention_values_of(f->cache, keys), block, run);
}

/* The rows from `first` on that read the same page of the block: those of a segment, and those of
 * the segments behind it that share the page, which see all of it. */
static struct run run_from(const struct attention_tile *t, int block, int first)
{
	int end = first;

	while (end < t->rows && sees_some(t, end, block) &&
	       t->segment[end]->pages[block] == t->segment[first]->pages[block]) {
		assert(visible(t, end, block) >= visible(t, end > first ? end - 1 : end, block));
		end++;
	}
	return (struct run){first, end};
}

static void attend_block(struct attention_tile *t, int block)
{
	struct run run;

	for (int r = 0; r<t->rows; r = run.end> r ? run.end : r + 1) {
		run = run_from(t, block, r);
		if (run.end > r)
			attend_page(t, block, run);
	}
}

/* Copies the queries of a tile, whose first pair belongs to segment s, and clears its sums. */
static void load_queries(struct attention_tile *t, const struct segment *s)
{
	const struct layout *l = &t->f->l;

	for (int r = 0; r < t->rows; r++) {
		int          pair = t->first + r, token = pair / l->group;
		const float *row = t->f->qkv + (size_t)token * l->qkv_row;
		while (token >= s->first + s->count)
			s++;
		t->segment[r] = s;
		t->position[r] = s->position + token - s->first;
		memcpy(t->q + r * l->padded, row + query_at(l, t->kv_head, pair % l->group),
		       (size_t)l->E * sizeof(float));
		memset(t->o + r * l->padded, 0, (size_t)l->padded * sizeof(float));
		t->max[r] = -INFINITY;
		t->sum[r] = 0;
	}
}

static void write_outputs(const struct attention_tile *t)
{
	const struct layout *l = &t->f->l;

	for (int r = 0; r < t->rows; r++) {
		int          pair = t->first + r, head = t->kv_head * l->group + pair % l->group;
		size_t       token = (size_t)(pair / l->group);
		const float *o = t->o + r * l->padded;
		float       *out =
		        t->f->out + token * l->out_row + query_at(l, t->kv_head, pair % l->group);
		for (int e = 0; e < l->E; e++)
			out[e] = o[e] / t->sum[r];
		if (t->f->lse)
			t->f->lse[token * (size_t)l->heads + (size_t)head] =
			        t->max[r] + elementary_log(t->sum[r]);
	}
}

/* ---- who works on what ---- */

/* Segments first .. end-1, whose pairs are cut into tiles. Several only where they are short and
 * begin with the same page, as completions of one prompt do in decoding: then a tile reads the
 * pages that they share once for all of them. */
struct bundle {
	int first, end, pairs;
};

static int begin_alike(const struct segment *a, const struct segment *b)
{
	return a->position >= PAGE_TOKENS && b->position >= PAGE_TOKENS &&
	       a->pages[0] == b->pages[0];
}

static struct bundle bundle_from(const struct forward *f, int first)
{
	const struct segment *s = f->b->segments;
	int                   pairs = s[first].count * f->l.group, end = first + 1;

	for (; end < f->b->n_segments && begin_alike(&s[end - 1], &s[end]) &&
	       pairs + s[end].count * f->l.group <= f->bundle_rows;
	     end++)
		pairs += s[end].count * f->l.group;
	return (struct bundle){first, end, pairs};
}

/* Tiles are as large as can be, and as many that each thread has some. */
static void share_work(struct forward *f)
{
	enum { TILES_EACH = 2 };
	const struct packing *b = f->b;
	int                   pairs = b->n_tokens * f->l.group, K = f->l.kv_heads;
	int                   enough = pairs * K / threads_count(), some = enough / TILES_EACH;

	f->tile_rows = enough < 1 ? 1 : enough < QUERY_ROWS ? enough : QUERY_ROWS;
	f->bundle_rows = some < QUERY_ROWS ? some : QUERY_ROWS;
	for (int i = 0; i < b->n_segments; i++)
		f->has_children |= b->segments[i].parent >= 0;
}

static int tiles_in(const struct forward *f, const struct bundle *b)
{
	return (b->pairs + f->tile_rows - 1) / f->tile_rows;
}

/* Whether nobody but its one tile reads what its segments store. */
static int is_alone(const struct forward *f, const struct bundle *b)
{
	return !f->has_children && tiles_in(f, b) == 1;
}

/* New keys and values of a segment, for one head. */
static void store_segment(const struct forward *f, const struct segment *s, int kv_head)
{
	for (int block = s->position / PAGE_TOKENS;
	     block <= (s->position + s->count - 1) / PAGE_TOKENS; block++)
		store_page(f, s, block, kv_head);
}

static void attend_tile(const struct forward *f, const struct bundle *bundle, int kv_head, int tile,
                        struct attention_tile *t)
{
	const struct segment *s = &f->b->segments[bundle->first];
	int                   left = bundle->pairs - tile * f->tile_rows, first = INT_MAX, last = 0;

	t->f = f;
	t->kv_head = kv_head;
	t->first = s->first * f->l.group + tile * f->tile_rows;
	t->rows = left < f->tile_rows ? left : f->tile_rows;
	if (is_alone(f, bundle))
		for (int i = bundle->first; i < bundle->end; i++)
			store_segment(f, &f->b->segments[i], kv_head);
	load_queries(t, s);
	for (int r = 0; r < t->rows; r++) {
		int from = first_seen(&f->l, t->position[r]) / PAGE_TOKENS,
		    to = t->position[r] / PAGE_TOKENS;
		first = from < first ? from : first;
		last = to > last ? to : last;
	}
	for (int block = first; block <= last; block++)
		attend_block(t, block);
	write_outputs(t);
}

int attention_room_new(struct arena *a, struct attention_tile **out)
{
	return arena_take(a, (size_t)threads_count(), "the tiles of the attention", out);
}

/* Stores what tiles of other threads will read; returns whether there is any. */
static int store_all(const struct forward *f)
{
	int shared = 0;

	for (int i = 0; i < f->b->n_segments;) {
		struct bundle bundle = bundle_from(f, i);
		for (; i < bundle.end && !is_alone(f, &bundle); i++) {
			const struct segment *s = &f->b->segments[i];
			int                   first = s->position / PAGE_TOKENS,
			    last = (s->position + s->count - 1) / PAGE_TOKENS;
			shared = 1;
#pragma omp for collapse(2) schedule(dynamic) nowait
			for (int k = 0; k < f->l.kv_heads; k++)
				for (int block = first; block <= last; block++)
					store_page(f, s, block, k);
		}
		i = bundle.end;
	}
	return shared;
}

static void attend_all(const struct forward *f, struct attention_tile *room)
{
	for (int i = 0; i < f->b->n_segments;) {
		struct bundle bundle = bundle_from(f, i);
		int           n_tiles = tiles_in(f, &bundle);
#pragma omp for collapse(2) schedule(dynamic) nowait
		for (int k = 0; k < f->l.kv_heads; k++)
			for (int tile = 0; tile < n_tiles; tile++)
				attend_tile(f, &bundle, k, tile, &room[omp_get_thread_num()]);
		i = bundle.end;
	}
}

/* Threads run on from segment to segment without waiting for each other: a batch of many short
 * segments and one of a single long segment both keep all of them busy. */
void attention_forward(const struct model_shape *shape, const struct attention_input *in,
                       struct attention_tile *room, float *out, float *lse)
{
	const struct kv_cache *cache = in->cache;
	struct forward         f = {.l = layout_of(shape, in->window),
	                            .b = in->b,
	                            .qkv = in->qkv,
	                            .cache = in->cache,
	                            .layer = in->layer,
	                            .out = out,
	                            .lse = lse};

	assert(in->layer < cache->n_layers && in->b->n_pages <= cache->n_pages &&
	       cache->head_width == f.l.E && cache->n_kv_heads == f.l.kv_heads);
	share_work(&f);
#pragma omp parallel
	{
		if (store_all(&f)) { /* the same answer in every thread */
#pragma omp barrier
		}
		attend_all(&f, room);
	}
}

/* ---- backward ----
 *
 *     p_j = exp(s_j - lse)      dv_j = sum_i p_ij do_i
 *     dp_j = do . v_j           ds_j = p_j (dp_j - delta) / sqrt(E),  delta = do . o
 *     dq = sum_j ds_j k_j       dk_j = sum_i ds_ij q_i
 *
 * Two passes, each with one writer for each result: over tiles of queries for dq, over blocks of
 * keys for dk and dv. Both compute p and ds of a (tile, block) pair; doing that twice costs 2 of 7
 * products, and leaves nothing to be summed between threads. */

struct attention_backward_work {
	struct layout         l;
	const struct packing *b;
	const float          *qkv, *out, *lse, *d_out;
	float                *d_qkv;
	float                *delta; /* [T x H] */
	/* [S+1] blocks of segment s are block_first[s] .. block_first[s+1]-1 */
	int   *block_first;
	float *blocks; /* [blocks x K x block_floats] */

	struct backward_room *room; /* [threads] */
};

/* PAGE_TOKENS keys of a segment, counted from its start, the missing ones 0: K^T [E x PAGE_TOKENS],
 * V^T alike, K [PAGE_TOKENS x padded]. */
struct key_block {
	int    n, position; /* keys; position of the first */
	float *kt, *vt, *k;
};

static size_t block_floats(const struct layout *l)
{
	return PAGE_TOKENS * (size_t)(2 * l->E + l->padded);
}

static struct key_block key_block_of(const struct attention_backward_work *w, int segment,
                                     int block, int kv_head)
{
	const struct segment *s = &w->b->segments[segment];
	size_t                index =
	        (size_t)(w->block_first[segment] + block) * (size_t)w->l.kv_heads + (size_t)kv_head;
	float *p = w->blocks + index * block_floats(&w->l);
	int    E = w->l.E;

	return (struct key_block){.n = clip(s->count - block * PAGE_TOKENS),
	                          .position = s->position + block * PAGE_TOKENS,
	                          .kt = p,
	                          .vt = p + E * PAGE_TOKENS,
	                          .k = p + 2 * E * PAGE_TOKENS};
}

static int attention_blocks_of(const struct attention_backward_work *w, int segment)
{
	return w->block_first[segment + 1] - w->block_first[segment];
}

static void pack_block(const struct attention_backward_work *w, int segment, int block, int kv_head)
{
	const struct layout *l = &w->l;
	size_t               first = (size_t)(w->b->segments[segment].first + block * PAGE_TOKENS);
	struct key_block     to = key_block_of(w, segment, block, kv_head);

	for (int j = 0; j < to.n; j++) {
		const float *row = w->qkv + (first + (size_t)j) * l->qkv_row;
		const float *key = row + key_at(l, kv_head),
		            *value = row + attention_value_at(l, kv_head);
		for (int e = 0; e < l->E; e++) {
			to.kt[e * PAGE_TOKENS + j] = key[e];
			to.vt[e * PAGE_TOKENS + j] = value[e];
		}
		memcpy(to.k + j * l->padded, key, (size_t)l->E * sizeof(float));
	}
}

struct query_tile { /* rows as in struct attention_tile */
	const struct attention_backward_work *w;
	const struct segment                 *s;
	int                                   kv_head, first, rows;
	/* [rows x padded] */
	float q[QUERY_ROWS * PADDED_MAX], d_o[QUERY_ROWS * PADDED_MAX];
	float lse[QUERY_ROWS], delta[QUERY_ROWS];
	/* [rows x PAGE_TOKENS] of the pair at hand */
	float p[QUERY_ROWS * PAGE_TOKENS], ds[QUERY_ROWS * PAGE_TOKENS];
};

struct backward_room { /* of a thread: too much for its stack */
	struct query_tile tile;
	/* [rows x padded] */
	float dq[QUERY_ROWS * PADDED_MAX];
	/* [PAGE_TOKENS x padded] */
	float dk[PAGE_TOKENS * PADDED_MAX], dv[PAGE_TOKENS * PADDED_MAX];
};

static struct backward_room *room_of(const struct attention_backward_work *w)
{
	return &w->room[omp_get_thread_num()];
}

static int query_position(const struct query_tile *t, int row)
{
	return t->s->position + (t->first + row) / t->w->l.group;
}

/* Copies queries and dO of a tile, padded for the product, with the lse and delta of each row.
 * */
static void load_query_tile(struct query_tile *t, const struct attention_backward_work *w,
                            const struct segment *s, int kv_head, int tile)
{
	const struct layout *l = &w->l;
	size_t               E = (size_t)l->E, padding = (size_t)(l->padded - l->E) * sizeof(float);

	t->w = w;
	t->s = s;
	t->kv_head = kv_head;
	t->first = tile * QUERY_ROWS;
	t->rows = rows_of(l, s, tile);
	for (int r = 0; r < t->rows; r++) {
		int    in_group = (t->first + r) % l->group;
		size_t token = (size_t)(s->first + (t->first + r) / l->group);
		size_t head = (size_t)(kv_head * l->group + in_group),
		       at = query_at(l, kv_head, in_group);
		float *q = t->q + r * l->padded, *d_o = t->d_o + r * l->padded;
		memcpy(q, w->qkv + token * l->qkv_row + at, E * sizeof(float));
		memset(q + E, 0, padding);
		memcpy(d_o, w->d_out + token * l->out_row + at, E * sizeof(float));
		memset(d_o + E, 0, padding);
		t->lse[r] = w->lse[token * (size_t)l->heads + head];
		t->delta[r] = w->delta[token * (size_t)l->heads + head];
	}
}

/* A row's scores and dp become its p and ds, 0 but for the keys first .. end-1 of the block. */
static void soften_back(struct query_tile *t, int row, int first, int end)
{
	const struct layout *l = &t->w->l;
	float *p = t->p + row * PAGE_TOKENS, *ds = t->ds + row * PAGE_TOKENS, lse = t->lse[row],
	      delta = t->delta[row], slope[PAGE_TOKENS];

	for (int j = 0; j < PAGE_TOKENS; j++)
		p[j] *= l->scale;
	if (l->cap) {
		row_cap(p, PAGE_TOKENS, l->cap);
		for (int j = 0; j < PAGE_TOKENS; j++)
			slope[j] = row_cap_slope(p[j], l->cap);
	}
	for (int j = 0; j < PAGE_TOKENS; j++) {
		float x = elementary_exp(p[j] - lse);
		p[j] = j >= first && j < end ? x : 0;
		ds[j] = p[j] * (ds[j] - delta) * l->scale;
	}
	for (int j = 0; l->cap && j < PAGE_TOKENS; j++)
		ds[j] *= slope[j];
}

/* Computes p and ds of the tile's queries and a block's keys, 0 where a query may not look. Returns
 * how many of the keys, from the first on, any of them sees. */
static int pair_with(struct query_tile *t, const struct key_block *keys)
{
	const struct layout *l = &t->w->l;
	int                  n = query_position(t, t->rows - 1) + 1 - keys->position, columns;
	struct tile_product  scores = {.a = t->q,
	                               .a_row = (size_t)l->padded,
	                               .a_k = 1,
	                               .b = keys->kt,
	                               .b_row = PAGE_TOKENS,
	                               .c = t->p,
	                               .c_row = PAGE_TOKENS};
	struct tile_product  d_p = scores;

	n = n < keys->n ? n : keys->n;
	if (n <= 0 || first_seen(l, query_position(t, 0)) >= keys->position + n)
		return 0;
	columns = tile_pad(n);
	d_p.a = t->d_o;
	d_p.b = keys->vt;
	d_p.c = t->ds;
	memset(t->p, 0, (size_t)t->rows * PAGE_TOKENS * sizeof(float));
	memset(t->ds, 0, (size_t)t->rows * PAGE_TOKENS * sizeof(float));
	tile_product(&scores, t->rows, columns, l->E);
	tile_product(&d_p, t->rows, columns, l->E);
	for (int r = 0; r < t->rows; r++) {
		int position = query_position(t, r), seen = position + 1 - keys->position;
		soften_back(t, r, first_seen(l, position) - keys->position, seen < n ? seen : n);
	}
	return n;
}

/* dq [rows x padded] += ds K over the keys of the segment's ancestors, root first, then its own. */
static void add_dq(struct query_tile *t, int segment, float *dq)
{
	const struct attention_backward_work *w = t->w;
	size_t                                padded = (size_t)w->l.padded;
	int                                   parent = w->b->segments[segment].parent;

	if (parent >= 0)
		add_dq(t, parent, dq);
	for (int block = 0; block < attention_blocks_of(w, segment); block++) {
		struct key_block    keys = key_block_of(w, segment, block, t->kv_head);
		int                 n = pair_with(t, &keys);
		struct tile_product p = {.a = t->ds,
		                         .a_row = PAGE_TOKENS,
		                         .a_k = 1,
		                         .b = keys.k,
		                         .b_row = padded,
		                         .c = dq,
		                         .c_row = padded};
		tile_product(&p, t->rows, w->l.padded, n);
	}
}

static void backward_queries(const struct attention_backward_work *w, int segment, int kv_head,
                             int tile)
{
	const struct layout  *l = &w->l;
	const struct segment *s = &w->b->segments[segment];
	struct query_tile    *t = &room_of(w)->tile;
	float                *dq = room_of(w)->dq;

	load_query_tile(t, w, s, kv_head, tile);
	memset(dq, 0, (size_t)(t->rows * l->padded) * sizeof(float));
	add_dq(t, segment, dq);
	for (int r = 0; r < t->rows; r++) {
		int    pair = t->first + r;
		float *row = w->d_qkv + (size_t)(s->first + pair / l->group) * l->qkv_row;
		memcpy(row + query_at(l, kv_head, pair % l->group), dq + r * l->padded,
		       (size_t)l->E * sizeof(float));
	}
}

/* dk += ds^T q and dv += p^T do over the queries of a segment. */
static void add_dkv(const struct attention_backward_work *w, int segment, int kv_head,
                    const struct key_block *keys, float *dk, float *dv)
{
	const struct segment *s = &w->b->segments[segment];
	size_t                padded = (size_t)w->l.padded;
	struct query_tile    *t = &room_of(w)->tile;

	for (int tile = 0; tile < tiles_of(&w->l, s); tile++) {
		struct tile_product from_p = {.a = t->p,
		                              .a_row = 1,
		                              .a_k = PAGE_TOKENS,
		                              .b = t->d_o,
		                              .b_row = padded,
		                              .c = dv,
		                              .c_row = padded};
		struct tile_product from_ds = {.a = t->ds,
		                               .a_row = 1,
		                               .a_k = PAGE_TOKENS,
		                               .b = t->q,
		                               .b_row = padded,
		                               .c = dk,
		                               .c_row = padded};
		int                 n;
		if (s->position + ((tile + 1) * QUERY_ROWS - 1) / w->l.group < keys->position ||
		    first_seen(&w->l, s->position + tile * QUERY_ROWS / w->l.group) >=
		            keys->position + keys->n)
			continue; /* all before the keys, or all have them before their windows */
		load_query_tile(t, w, s, kv_head, tile);
		n = pair_with(t, keys);
		tile_product(&from_p, n, w->l.padded, t->rows);
		tile_product(&from_ds, n, w->l.padded, t->rows);
	}
}

static int is_in_text_of(const struct packing *b, int ancestor, int segment)
{
	while (segment > ancestor)
		segment = b->segments[segment].parent;
	return segment == ancestor;
}

/* dK and dV of one block: the sum over all later queries of its text, the children's too, in
 * segment order. */
static void backward_keys(const struct attention_backward_work *w, int segment, int kv_head,
                          int block)
{
	const struct layout  *l = &w->l;
	const struct packing *b = w->b;
	const struct segment *s = &b->segments[segment];
	struct key_block      keys = key_block_of(w, segment, block, kv_head);
	float                *dk = room_of(w)->dk, *dv = room_of(w)->dv;

	memset(dk, 0, (size_t)(PAGE_TOKENS * l->padded) * sizeof(float));
	memset(dv, 0, (size_t)(PAGE_TOKENS * l->padded) * sizeof(float));
	/* to the end of the tree */
	for (int i = segment; i < b->n_segments && (i == segment || b->segments[i].parent >= 0);
	     i++)
		if (is_in_text_of(b, segment, i))
			add_dkv(w, i, kv_head, &keys, dk, dv);
	for (int j = 0; j < keys.n; j++) {
		float *row = w->d_qkv + (size_t)(s->first + block * PAGE_TOKENS + j) * l->qkv_row;
		memcpy(row + key_at(l, kv_head), dk + j * l->padded, (size_t)l->E * sizeof(float));
		memcpy(row + attention_value_at(l, kv_head), dv + j * l->padded,
		       (size_t)l->E * sizeof(float));
	}
}

static void prepare(const struct attention_backward_work *w)
{
	const struct layout *l = &w->l;

#pragma omp for schedule(static) nowait
	for (int t = 0; t < w->b->n_tokens; t++)
		for (int h = 0; h < l->heads; h++) {
			size_t at = (size_t)t * l->out_row + (size_t)(h * l->E);
			w->delta[t * l->heads + h] = row_dot(w->out + at, w->d_out + at, l->E);
		}
	for (int i = 0; i < w->b->n_segments; i++) {
#pragma omp for collapse(2) schedule(dynamic) nowait
		for (int k = 0; k < l->kv_heads; k++)
			for (int block = 0; block < attention_blocks_of(w, i); block++)
				pack_block(w, i, block, k);
	}
#pragma omp barrier
}

static int attention_blocks_in(int tokens)
{
	return (tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
}

/* Of a batch of so many tokens, segments and blocks of keys. */
static int attention_take(struct attention_backward_work *w, struct arena *a, int tokens,
                          int segments, int blocks)
{
	const char *what = "the backward pass of the attention";

	TRY(arena_take(a, (size_t)segments + 1, "the blocks of keys", &w->block_first));
	TRY(arena_take(a, (size_t)tokens * (size_t)w->l.heads, what, &w->delta));
	TRY(arena_take(a, (size_t)threads_count(), what, &w->room));
	return arena_take(a, (size_t)blocks * (size_t)w->l.kv_heads * block_floats(&w->l),
	                  "the blocks of keys", &w->blocks);
}

size_t attention_backward_bytes(const struct model_shape *shape, int tokens, int blocks)
{
	struct attention_backward_work w = {.l = layout_of(shape, 0)};
	struct arena                   count = {.counts = 1};
	int                            status = attention_take(&w, &count, tokens, blocks, blocks);

	assert(status == OK);
	return count.used;
}

static int attention_allocate(struct attention_backward_work *w, struct arena *a)
{
	const struct packing *b = w->b;
	int                   blocks = 0;

	for (int i = 0; i < b->n_segments; i++)
		blocks += attention_blocks_in(b->segments[i].count);
	TRY(attention_take(w, a, b->n_tokens, b->n_segments, blocks));
	for (int i = 0; i < b->n_segments; i++) {
		assert(b->segments[i].parent >= 0 || b->segments[i].position == 0);
		w->block_first[i + 1] =
		        w->block_first[i] + attention_blocks_in(b->segments[i].count);
	}
	return OK;
}

int attention_backward(const struct model_shape *shape, const struct packing *b,
                       const struct attention_kept *kept, const float *d_out, struct arena *a,
                       float *d_qkv)
{
	struct attention_backward_work w = {.l = layout_of(shape, kept->window),
	                                    .b = b,
	                                    .qkv = kept->qkv,
	                                    .out = kept->out,
	                                    .lse = kept->lse,
	                                    .d_out = d_out,
	                                    .d_qkv = d_qkv};
	struct arena_mark              mark = arena_mark(a);
	int                            status = attention_allocate(&w, a);

#pragma omp parallel if (status == OK)
	if (status == OK) {
		prepare(&w);
		for (int i = 0; i < b->n_segments; i++) {
			int n_tiles = tiles_of(&w.l, &b->segments[i]);
#pragma omp for collapse(2) schedule(dynamic) nowait
			for (int k = 0; k < w.l.kv_heads; k++)
				for (int tile = 0; tile < n_tiles; tile++)
					backward_queries(&w, i, k, tile);
		}
		for (int i = 0; i < b->n_segments; i++) {
#pragma omp for collapse(2) schedule(dynamic) nowait
			for (int k = 0; k < w.l.kv_heads; k++)
				for (int block = 0; block < attention_blocks_of(&w, i); block++)
					backward_keys(&w, i, k, block);
		}
	}
	arena_release(a, mark);
	return status;
}
