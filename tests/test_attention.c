#include "model/attention.h"

#include "base/rng.h"
#include "base/threads.h"
#include "math/elementary.h"
#include "math/rowops.h"
#include "test.h"

/* ---- the oracle: one query, one key after the other, as attention.h says it ---- */

static float tree16(const float *x, int n, int want_max)
{
	float lane[16];

	for (int i = 0; i < 16; i++)
		lane[i] = want_max ? -INFINITY : 0;
	for (int j = 0; j < n; j++) {
		float *l = &lane[j % 16];
		*l = want_max ? fmaxf(*l, x[j]) : *l + x[j];
	}
	for (int half = 8; half; half /= 2)
		for (int i = 0; i < half; i++)
			lane[i] = want_max ? fmaxf(lane[i], lane[i + half])
			                   : lane[i] + lane[i + half];
	return lane[0];
}

/* k[j], v[j] [E] for the n keys up to the query, of which it sees those from `from` on; writes o
 * [E], returns the log of the sum of exponentials. */
static float attend_one(const struct model_shape *shape, int from, int n, const float *q,
                        const float **k, const float **v, float *o)
{
	int   E = shape->head_width;
	float scale = (float)(1 / sqrt(E)), cap = (float)shape->scales.score_cap, max = -INFINITY,
	      sum = 0, p[PAGE_TOKENS];

	if (shape->scales.score > 0)
		scale = (float)shape->scales.score;
	memset(o, 0, (size_t)E * sizeof(float));
	for (int start = from / PAGE_TOKENS * PAGE_TOKENS; start < n; start += PAGE_TOKENS) {
		int   m = n - start < PAGE_TOKENS ? n - start : PAGE_TOKENS;
		float old = max;
		for (int j = 0; j < m; j++) {
			float s = 0;
			for (int e = 0; e < E; e++)
				s = fmaf(q[e], k[start + j][e], s);
			p[j] = s * scale;
			if (cap > 0)
				p[j] = cap * elementary_tanh(p[j] / cap);
			if (start + j < from)
				p[j] = -INFINITY;
		}
		max = fmaxf(old, tree16(p, m, 1));
		for (int j = 0; j < m; j++)
			p[j] = elementary_exp(p[j] - max);
		sum = fmaf(sum, elementary_exp(old - max), tree16(p, m, 0));
		for (int e = 0; e < E; e++) {
			o[e] *= elementary_exp(old - max);
			for (int j = 0; j < m; j++)
				o[e] = fmaf(p[j], v[start + j][e], o[e]);
		}
	}
	for (int e = 0; e < E; e++)
		o[e] /= sum;
	return max + elementary_log(sum);
}

/* ---- a batch with random rows ---- */

enum { LENGTH_MOST = 700, KEYS_MOST = 2000 };

struct world {
	struct model_shape shape;
	int                bf16; /* keys and values are, in the cache */
	int                window;
	struct packing     b;
	size_t             row; /* (H+2K)E */
	float             *qkv, *out, *lse;
	struct arena       a;
};

static int ids[LENGTH_MOST];

/* What queries see, and how scores are capped: all that a kind may ask for. */
static const struct sight {
	int    window;
	double score, cap;
} sights[] = {{0, 0, 0}, {1, 0, 0}, {50, 0.3, 2}, {64, 0, 0.5}, {100, 0, 0}};
enum { N_SIGHTS = sizeof sights / sizeof *sights };

static struct model_shape seen(struct model_shape s, const struct sight *sight)
{
	s.scales.score = sight->score;
	s.scales.score_cap = sight->cap;
	return s;
}

/* The first position that the query at this one sees. */
static int seen_from(const struct world *w, int position)
{
	return w->window && position >= w->window ? position - w->window + 1 : 0;
}

static struct model_shape shape_of(int H, int K, int E)
{
	return (struct model_shape){.n_layers = 2, .n_heads = H, .n_kv_heads = K, .head_width = E};
}

static float random_float(uint32_t seed, size_t i)
{
	return (float)rng_normal((struct rng_key){.seed = 3, .purpose = RNG_TEST, .item = seed},
	                         (uint32_t)i);
}

static float *random_floats(struct arena *a, size_t n, uint32_t seed)
{
	float *x;

	assert_ok(arena_take(a, n, "a test", &x));
	for (size_t i = 0; i < n; i++)
		x[i] = random_float(seed, i);
	return x;
}

/* a NaN, and two as bf16 */
static float poison(void)
{
	const uint32_t bits = 0x7fc07fc0;
	float          x;

	memcpy(&x, &bits, sizeof x);
	return x;
}

static void build(struct world *w, struct model_shape shape, const struct sequence *seqs, int n,
                  int share)
{
	struct unit_range *units;
	int                n_units;
	size_t             T;

	*w = (struct world){.shape = shape,
	                    .row = (size_t)(shape.n_heads + 2 * shape.n_kv_heads) *
	                           (size_t)shape.head_width};
	assert_ok(packing_plan(seqs, n, share, &w->a, &units, &n_units));
	assert_ok(packing_build(seqs, units, n_units, share, &w->a, &w->b));
	T = (size_t)w->b.n_tokens;
	w->qkv = random_floats(&w->a, T * w->row, 1);
	assert_ok(arena_take(&w->a, T * (size_t)(shape.n_heads * shape.head_width), "a test",
	                     &w->out));
	assert_ok(arena_take(&w->a, T * (size_t)shape.n_heads, "a test", &w->lse));
}

static void poison_cache(struct kv_cache *c)
{
	size_t bytes = kv_cache_bytes(
	        &(struct model_shape){.n_kv_heads = c->n_kv_heads, .head_width = c->head_width},
	        c->bf16, c->n_layers, c->n_pages);

	for (size_t i = 0; i < bytes / sizeof(float); i++)
		c->data[i] = poison();
}

static struct attention_tile *room(struct arena *a)
{
	struct attention_tile *t;

	assert_ok(attention_room_new(a, &t));
	return t;
}

static void forward(struct world *w)
{
	struct kv_cache cache;

	assert_ok(kv_cache_new(&w->shape, w->bf16, 1, w->b.n_pages, &cache));
	poison_cache(&cache);
	attention_forward(&w->shape, &(struct attention_input){&w->b, w->qkv, &cache, 0, w->window},
	                  room(&w->a), w->out, w->lse);
	kv_cache_free(&cache);
}

/* The tokens of the text up to and with `token`; returns their number. */
static int text_before(const struct packing *b, int token, int *out)
{
	int s = 0, n = b->position[token] + 1, at = token;

	while (token >= b->segments[s].first + b->segments[s].count)
		s++;
	for (int i = n - 1; i >= 0; i--) {
		if (i < b->segments[s].position) {
			s = b->segments[s].parent;
			at = b->segments[s].first + b->segments[s].count - 1;
		}
		out[i] = at--;
	}
	return n;
}

static void check_against_oracle(const struct world *w)
{
	static int   text[KEYS_MOST];
	const float *k[KEYS_MOST], *v[KEYS_MOST];
	int          H = w->shape.n_heads, K = w->shape.n_kv_heads, E = w->shape.head_width;

	for (int t = 0; t < w->b.n_tokens; t++) {
		int n = text_before(&w->b, t, text);
		for (int h = 0; h < H; h++) {
			float        o[HEAD_WIDTH_MAX], lse;
			const float *got = w->out + (size_t)(t * H + h) * (size_t)E;
			for (int j = 0; j < n; j++) {
				k[j] = w->qkv + (size_t)text[j] * w->row + (H + h / (H / K)) * E;
				v[j] = k[j] + K * E;
			}
			lse = attend_one(&w->shape, seen_from(w, n - 1), n,
			                 w->qkv + (size_t)t * w->row + h * E, k, v, o);
			assert_memory_equal(got, o, (size_t)E * sizeof(float));
			assert_memory_equal(&w->lse[t * H + h], &lse, sizeof lse);
		}
	}
}

/* Keys and values become bf16 in value, as model_forward rounds them, and in the cache. */
static void to_bf16(struct world *w)
{
	int queries = w->shape.n_heads * w->shape.head_width;

	w->bf16 = 1;
	for (int t = 0; t < w->b.n_tokens; t++)
		row_round_bf16(w->qkv + (size_t)t * w->row + queries, (int)w->row - queries);
}

static void the_kernel_is_the_oracle_bit_for_bit(void **state)
{
	const struct model_shape shapes[] = {shape_of(1, 1, 2),  shape_of(9, 3, 64),
	                                     shape_of(4, 4, 8),  shape_of(6, 2, 80),
	                                     shape_of(5, 1, 18), shape_of(50, 1, 6)};
	const struct sequence    seqs[] = {{ids, 70, ids, 3},     {ids, 70, ids, 90},
	                                   {ids, 70, ids, 1},     {ids + 1, 64, ids, 65},
	                                   {ids + 1, 64, ids, 2}, {ids + 2, 1, ids, 130},
	                                   {ids + 3, 200, ids, 1}};
	struct world             w;

	(void)state;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		for (int form = 0; form < 4 * N_SIGHTS; form++) {
			const struct sight *sight = &sights[form / 4];
			build(&w, seen(shapes[i], sight), seqs, 7, form % 2);
			w.window = sight->window;
			if (form / 2 % 2)
				to_bf16(&w);
			forward(&w);
			check_against_oracle(&w);
			arena_free(&w.a);
		}
}

/* The same text: as one segment, and token by token, through a cache of several layers and
 * scattered pages. */
static void check_token_by_token(int bf16, const struct sight *sight)
{
	const struct sequence seq = {ids, 150, ids, 1};
	struct world          w;
	struct kv_cache       cache;
	int                   pages[] = {4, 1, 3};

	build(&w, seen(shape_of(6, 3, 34), sight), &seq, 1, 0);
	w.window = sight->window;
	if (bf16)
		to_bf16(&w);
	forward(&w);
	assert_ok(kv_cache_new(&w.shape, w.bf16, 2, 5, &cache));
	poison_cache(&cache);
	for (int t = 0; t < w.b.n_tokens; t++) {
		struct segment s = {.count = 1, .position = t, .parent = -1, .pages = pages};
		struct packing one = {.n_tokens = 1,
		                      .n_segments = 1,
		                      .position = &t,
		                      .segments = &s,
		                      .n_pages = 5};
		size_t         n = (size_t)(6 * 34);
		float          out[6 * 34];
		if (t == 100) { /* the page moves: a fork of the text goes on elsewhere */
			kv_cache_copy_page(&cache, 1, 2);
			pages[1] = 2;
		}
		attention_forward(&w.shape,
		                  &(struct attention_input){&one, w.qkv + (size_t)t * w.row, &cache,
		                                            1, w.window},
		                  room(&w.a), out, NULL);
		assert_memory_equal(out, w.out + (size_t)t * n, n * sizeof(float));
	}
	kv_cache_free(&cache);
	arena_free(&w.a);
}

static void token_by_token_gives_the_bits_of_the_whole(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * N_SIGHTS; i++)
		check_token_by_token(i % 2, &sights[i / 2]);
}

/* The text in pieces of changing lengths, with other texts in the same batch. */
static void check_pieces_and_company(int bf16, const struct sight *sight)
{
	const struct sequence seq = {ids, 300, ids, 1};
	const int             cuts[] = {0, 1, 64, 65, 190, 300};
	struct world          w;
	struct kv_cache       cache;
	int                   pages[2][5] = {{0, 1, 2, 3, 4}, {9, 8, 7, 6, 5}};
	size_t                n = 4 * 16;

	build(&w, seen(shape_of(4, 2, 16), sight), &seq, 1, 0);
	w.window = sight->window;
	if (bf16)
		to_bf16(&w);
	forward(&w);
	assert_ok(kv_cache_new(&w.shape, w.bf16, 1, 10, &cache));
	poison_cache(&cache);
	for (int i = 0; i < 5; i++) {
		int            from = cuts[i], count = cuts[i + 1] - from;
		struct segment s[2] = {{.first = 0,
		                        .count = count,
		                        .position = from,
		                        .parent = -1,
		                        .pages = pages[0]},
		                       {.first = count,
		                        .count = count,
		                        .position = from,
		                        .parent = -1,
		                        .pages = pages[1]}};
		struct packing b = {
		        .n_tokens = 2 * count, .n_segments = 2, .segments = s, .n_pages = 10};
		float *twice, *out;
		assert_ok(arena_take(&w.a, 2 * (size_t)count * w.row, "a test", &twice));
		assert_ok(arena_take(&w.a, 2 * (size_t)count * n, "a test", &out));
		memcpy(twice, w.qkv + (size_t)from * w.row, (size_t)count * w.row * sizeof(float));
		for (size_t j = 0; j < (size_t)count * w.row; j++)
			twice[(size_t)count * w.row + j] = random_float(9, j);
		if (bf16)
			row_round_bf16(twice + (size_t)count * w.row, count * (int)w.row);
		attention_forward(&w.shape,
		                  &(struct attention_input){&b, twice, &cache, 0, w.window},
		                  room(&w.a), out, NULL);
		assert_memory_equal(out, w.out + (size_t)from * n,
		                    (size_t)count * n * sizeof(float));
	}
	kv_cache_free(&cache);
	arena_free(&w.a);
}

static void pieces_and_company_change_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * N_SIGHTS; i++)
		check_pieces_and_company(i % 2, &sights[i / 2]);
}

/* Completions of three prompts, of one and two new tokens, at different positions, in one batch;
 * first and second share their pages, and some of theirs lie between those of others. */
enum { FORKS = 22, FORK_PAGES = 5 };

static void check_forks(struct model_shape shape, int bf16, int threads, int window)
{
	const struct sequence seq = {ids, 300, ids, 1};
	struct world          w;
	struct kv_cache       cache;
	int                   pages[FORKS][FORK_PAGES];
	struct segment        s[FORKS];
	struct packing        b = {.segments = s, .n_pages = 3 * FORK_PAGES + 4 * FORKS};
	float                *out, *alone;
	size_t                n = (size_t)(shape.n_heads * shape.head_width);

	threads_set(threads);
	build(&w, shape, &seq, 1, 0);
	w.window = window;
	if (bf16)
		to_bf16(&w);
	assert_ok(kv_cache_new(&shape, bf16, 1, b.n_pages, &cache));
	assert_ok(arena_take(&w.a, 300 * n, "a test", &out));
	assert_ok(arena_take(&w.a, 2 * n, "a test", &alone));
	for (int prompt = 0; prompt < 3; prompt++) { /* each its own numbers */
		int            own[FORK_PAGES];
		struct segment all = {.count = 300 - prompt, .parent = -1, .pages = own};
		struct packing one = {.n_tokens = all.count,
		                      .n_segments = 1,
		                      .segments = &all,
		                      .n_pages = b.n_pages};
		for (int i = 0; i < FORK_PAGES; i++)
			own[i] = prompt * FORK_PAGES + i;
		attention_forward(&shape,
		                  &(struct attention_input){&one, w.qkv + (size_t)prompt * w.row,
		                                            &cache, 0, w.window},
		                  room(&w.a), out, NULL);
	}
	for (int i = 0; i < FORKS; i++) {
		int prompt = i < 18 ? i / 9 : i % 3, shared = i % 9 == 4 ? 2 : 3;
		s[i] = (struct segment){.first = b.n_tokens,
		                        .count = 1 + i % 5 / 4,
		                        .position = PAGE_TOKENS * shared + 5 * i % PAGE_TOKENS,
		                        .parent = -1,
		                        .pages = pages[i]};
		b.n_tokens += s[i].count;
		b.n_segments++;
		for (int page = 0; page < FORK_PAGES; page++) {
			pages[i][page] = prompt * FORK_PAGES + page;
			if (page < shared || page == FORK_PAGES - 1)
				continue;
			pages[i][page] = 3 * FORK_PAGES + i * 4 + page - 1;
			kv_cache_copy_page(&cache, prompt * FORK_PAGES + page, pages[i][page]);
		}
	}
	attention_forward(&shape, &(struct attention_input){&b, w.qkv, &cache, 0, w.window},
	                  room(&w.a), out, NULL);
	for (int i = 0; i < FORKS; i++) {
		struct segment one = s[i];
		struct packing just = {.n_tokens = one.count,
		                       .n_segments = 1,
		                       .segments = &one,
		                       .n_pages = b.n_pages};
		one.first = 0;
		attention_forward(&shape,
		                  &(struct attention_input){&just,
		                                            w.qkv + (size_t)s[i].first * w.row,
		                                            &cache, 0, window},
		                  room(&w.a), alone, NULL);
		assert_memory_equal(alone, out + (size_t)s[i].first * n,
		                    (size_t)one.count * n * sizeof *alone);
	}
	kv_cache_free(&cache);
	arena_free(&w.a);
}

static void completions_that_share_pages_give_the_bits_of_each_alone(void **state)
{
	const struct model_shape shapes[] = {shape_of(9, 3, 16), shape_of(7, 1, 6),
	                                     shape_of(4, 4, 8)};

	(void)state;
	for (int i = 0; i < 3; i++)
		for (int bf16 = 0; bf16 < 2; bf16++)
			for (int threads = 1; threads <= 8; threads *= 8)
				for (int k = 0; k < N_SIGHTS; k++)
					check_forks(seen(shapes[i], &sights[k]), bf16, threads,
					            sights[k].window);
	threads_set(2);
}

/* Rows of numbers that are bf16 in value: the form of the pages changes no bit, and half the bytes
 * hold them. */
static void pages_in_bf16_give_the_bits_of_pages_in_f32(void **state)
{
	const struct sequence seqs[] = {
	        {ids, 130, ids, 40}, {ids, 130, ids, 1}, {ids, 130, ids, 9}};
	struct world w;
	float       *out, *lse;
	size_t       n;

	(void)state;
	build(&w, shape_of(6, 2, 34), seqs, 3, 1);
	to_bf16(&w);
	forward(&w);
	out = w.out;
	lse = w.lse;
	n = (size_t)w.b.n_tokens * 6;
	w.out = random_floats(&w.a, n * 34, 5);
	w.lse = random_floats(&w.a, n, 5);
	w.bf16 = 0;
	forward(&w);
	assert_memory_equal(w.out, out, n * 34 * sizeof *out);
	assert_memory_equal(w.lse, lse, n * sizeof *lse);
	assert_int_equal(kv_cache_bytes(&w.shape, 0, 3, 7), 2 * kv_cache_bytes(&w.shape, 1, 3, 7));
	arena_free(&w.a);
}

/* Not even multiplied by 0: NaN in a token's key and value does not reach the queries before it. */
static void what_stands_later_is_not_touched(void **state)
{
	enum { LATER = 75, HEADS = 6, E = 10 };
	const struct sequence seq = {ids, 100, ids, 1};
	struct world          w;
	float                 before[LATER * HEADS * E];

	(void)state;
	build(&w, shape_of(HEADS, 2, E), &seq, 1, 0);
	forward(&w);
	memcpy(before, w.out, sizeof before);
	for (size_t i = LATER * w.row; i < 100 * w.row; i++)
		w.qkv[i] = poison();
	forward(&w);
	assert_memory_equal(before, w.out, sizeof before);
	arena_free(&w.a);
}

/* Nor what lies in pages before a window. */
static void what_lies_before_the_window_is_not_touched(void **state)
{
	enum { HEADS = 6, E = 10, FROM = 200 };
	const struct sequence seq = {ids, 300, ids, 1};
	struct world          w;
	float                 behind[(300 - FROM) * HEADS * E];

	(void)state;
	build(&w, shape_of(HEADS, 2, E), &seq, 1, 0);
	w.window = FROM - 2 * PAGE_TOKENS + 1; /* the first page of query FROM is the third one */
	forward(&w);
	memcpy(behind, w.out + FROM * HEADS * E, sizeof behind);
	for (size_t i = 0; i < 2 * PAGE_TOKENS * w.row; i++)
		w.qkv[i] = poison();
	forward(&w);
	assert_memory_equal(behind, w.out + FROM * HEADS * E, sizeof behind);
	assert_true(isnan(w.out[(FROM - 1) * HEADS * E]));
	arena_free(&w.a);
}

/* ---- backward ---- */

/* sum_i out_i r_i in double, by the formula and nothing else. */
static double loss_of(const struct world *w, const double *qkv, const float *r)
{
	static int text[KEYS_MOST];
	double     s[KEYS_MOST], total = 0, cap = w->shape.scales.score_cap,
	                     scale = w->shape.scales.score > 0 ? w->shape.scales.score
	                                                       : 1 / sqrt(w->shape.head_width);
	int H = w->shape.n_heads, K = w->shape.n_kv_heads, E = w->shape.head_width;

	for (int t = 0; t < w->b.n_tokens; t++) {
		int n = text_before(&w->b, t, text);
		for (int h = 0; h < H; h++) {
			const double *q = qkv + (size_t)t * w->row + h * E;
			double        sum = 0, dot = 0;
			for (int j = seen_from(w, n - 1); j < n; j++) {
				const double *k = qkv + (size_t)text[j] * w->row +
				                  (H + h / (H / K)) * E,
				             *v = k + K * E;
				double value = 0;
				s[j] = 0;
				for (int e = 0; e < E; e++) {
					s[j] += q[e] * k[e] * scale;
					value += v[e] * (double)r[(size_t)(t * H + h) * (size_t)E +
					                          (size_t)e];
				}
				if (cap > 0)
					s[j] = cap * tanh(s[j] / cap);
				sum += exp(s[j]);
				dot += exp(s[j]) * value;
			}
			total += dot / sum;
		}
	}
	return total;
}

static void backward(struct world *w, const float *d_out, float *d_qkv)
{
	struct attention_kept kept = {w->qkv, w->out, w->lse, w->window};

	for (size_t i = 0; i < (size_t)w->b.n_tokens * w->row; i++)
		d_qkv[i] = poison();
	assert_ok(attention_backward(&w->shape, &w->b, &kept, d_out, &w->a, d_qkv));
}

static void gradients_match_central_differences(void **state)
{
	const struct model_shape shapes[] = {shape_of(2, 1, 6), shape_of(3, 3, 4),
	                                     shape_of(6, 2, 18)};
	const struct sequence    seqs[] = {
	           {ids, 66, ids, 5}, {ids, 66, ids, 1}, {ids, 66, ids, 70}, {ids + 1, 3, ids, 4}};
	const double step = 1e-4;
	struct world w;

	(void)state;
	for (size_t i = 0; i < N_SIGHTS * sizeof shapes / sizeof *shapes; i++) {
		size_t  n, n_out;
		float  *d_out, *d_qkv;
		double *x;
		build(&w, seen(shapes[i / N_SIGHTS], &sights[i % N_SIGHTS]), seqs, 4, 1);
		w.window = sights[i % N_SIGHTS].window;
		forward(&w);
		n = (size_t)w.b.n_tokens * w.row;
		n_out = (size_t)(w.b.n_tokens * w.shape.n_heads * w.shape.head_width);
		d_out = random_floats(&w.a, n_out, 2);
		assert_ok(arena_take(&w.a, n, "a test", &d_qkv));
		assert_ok(arena_take(&w.a, n, "a test", &x));
		backward(&w, d_out, d_qkv);
		for (size_t j = 0; j < n; j++)
			x[j] = (double)w.qkv[j];
		for (size_t j = i; j < n; j += n / 40) {
			double above, below;
			x[j] += step;
			above = loss_of(&w, x, d_out);
			x[j] -= 2 * step;
			below = loss_of(&w, x, d_out);
			x[j] += step;
			assert_close((double)d_qkv[j], (above - below) / (2 * step), 3e-6);
		}
		arena_free(&w.a);
	}
}

static void threads_change_nothing(void **state)
{
	const struct sequence seqs[] = {{ids, 100, ids, 50},
	                                {ids, 100, ids, 2},
	                                {ids, 100, ids, 200},
	                                {ids + 1, 3, ids, 40}};
	struct world          w;
	float                *d_out, *first_d = NULL, *first_out = NULL;
	size_t                n, n_out;

	(void)state;
	for (int threads = 1; threads <= 8; threads += threads < 3 ? 1 : 5) {
		float *d_qkv;
		threads_set(threads);
		build(&w, shape_of(6, 2, 20), seqs, 4, 1);
		n = (size_t)w.b.n_tokens * w.row * sizeof(float);
		n_out = (size_t)(w.b.n_tokens * 6 * 20) * sizeof(float);
		d_out = random_floats(&w.a, n_out / sizeof(float), 2);
		assert_ok(arena_take(&w.a, n / sizeof *d_qkv, "a test", &d_qkv));
		forward(&w);
		backward(&w, d_out, d_qkv);
		if (!first_d) {
			first_d = malloc(n);
			first_out = malloc(n_out);
			memcpy(first_d, d_qkv, n);
			memcpy(first_out, w.out, n_out);
		}
		assert_memory_equal(first_out, w.out, n_out);
		assert_memory_equal(first_d, d_qkv, n);
		arena_free(&w.a);
	}
	free(first_d);
	free(first_out);
}

static void short_memory_is_an_error(void **state)
{
	const struct sequence seq = {ids, 20, ids, 1};
	struct attention_kept kept;
	struct world          w;
	struct kv_cache       cache;
	struct arena          empty = {0};

	(void)state;
	build(&w, shape_of(2, 2, 4), &seq, 1, 0);
	kept = (struct attention_kept){w.qkv, w.out, w.lse, w.window};
	mem_fail_at(1);
	assert_memory(attention_backward(&w.shape, &w.b, &kept, w.out, &empty, w.qkv),
	              "the blocks of keys");
	mem_fail_at(1);
	assert_memory(kv_cache_new(&w.shape, w.bf16, 1, 1, &cache), "the key/value cache");
	arena_free(&w.a);
}

TEST_MAIN(TEST(the_kernel_is_the_oracle_bit_for_bit),
          TEST(token_by_token_gives_the_bits_of_the_whole), TEST(pieces_and_company_change_nothing),
          TEST(completions_that_share_pages_give_the_bits_of_each_alone),
          TEST(pages_in_bf16_give_the_bits_of_pages_in_f32), TEST(what_stands_later_is_not_touched),
          TEST(what_lies_before_the_window_is_not_touched),
          TEST(gradients_match_central_differences), TEST(threads_change_nothing),
          TEST(short_memory_is_an_error))
