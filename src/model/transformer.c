#include "model/transformer.h"

#include "base/error.h"
#include "base/stop.h"
#include "math/rowops.h"
#include "model/kind.h"
#include "model/rope.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Products and what stands between them go through in chunks of rows, which bounds the scratch and
 * keeps it near the cores. */
enum { CHUNK_ROWS = 512 };

/* ---- the model ---- */

size_t model_bytes(const struct model_shape *s, const struct matmul *mm, int for_backward)
{
	struct product_shape p[LAYER_PRODUCTS];
	size_t               per_layer = 0;

	weights_products(s, p);
	for (int i = 0; i < LAYER_PRODUCTS; i++)
		per_layer += matmul_weight_bytes(mm, p[i].n_out, p[i].n_in, for_backward);
	return (weights_count(s) + (size_t)s->n_positions * (size_t)s->head_width) * sizeof(float) +
	       (size_t)s->n_layers * per_layer +
	       matmul_weight_bytes(matmul_head(mm), s->n_vocab, s->width, for_backward);
}

static int make_layer(struct model *m, struct matmul_weight **layer)
{
	struct product_shape p[LAYER_PRODUCTS];

	weights_products(&m->weights.shape, p);
	for (int i = 0; i < LAYER_PRODUCTS; i++)
		TRY(matmul_weight_new(m->mm, p[i].n_out, p[i].n_in, m->for_backward, &layer[i]));
	return OK;
}

static int make_parts(struct model *m)
{
	const struct model_shape *s = &m->weights.shape;
	float                     frequency[HEAD_WIDTH_MAX / 2];

	TRY(mem_take((size_t)s->n_layers, "the layers of the model", &m->layers));
	TRY(mem_take((size_t)s->n_positions * (size_t)s->head_width,
	             "the table of rotary positions", &m->rope));
	rope_frequencies(s, frequency);
	rope_table(s->n_positions, s->head_width, frequency, m->rope);
	for (int i = 0; i < s->n_layers; i++)
		TRY(make_layer(m, m->layers[i]));
	TRY(matmul_weight_new(matmul_head(m->mm), s->n_vocab, s->width, m->for_backward, &m->head));
	return model_repack(m);
}

int model_new(struct weights *w, struct matmul *mm, int for_backward, struct model **out)
{
	struct model *m;
	int           status;

	TRY(mem_take(1, "the model", &m));
	*m = (struct model){.weights = *w, .mm = mm, .for_backward = for_backward};
	status = make_parts(m);
	if (status != OK) {
		/* the rest stays with the caller */
		m->weights = (struct weights){.shape = w->shape};
		model_free(m);
		return status;
	}
	*w = (struct weights){0};
	*out = m;
	return OK;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	adapter_free(m->adapter);
	if (!m->is_view) {
		for (int i = 0; m->layers && i < m->weights.shape.n_layers; i++)
			for (int p = 0; p < LAYER_PRODUCTS; p++)
				matmul_weight_free(m->layers[i][p]);
		matmul_weight_free(m->head);
		mem_free(m->layers);
		mem_free(m->rope);
		weights_free(&m->weights);
	}
	mem_free(m);
}

int model_view(const struct model *m, struct adapter *adapter, struct model **out)
{
	struct model *view;

	TRY(mem_take(1, "a view of the model", &view));
	*view = *m;
	view->adapter = adapter;
	view->is_view = 1;
	view->for_backward = 0;
	*out = view;
	return OK;
}

struct weights *model_learned(struct model *m)
{
	return m->adapter ? &m->adapter->weights : &m->weights;
}

int model_repack(struct model *m)
{
	const struct weights *w = &m->weights;

	if (m->adapter)
		return adapter_pack(m->adapter);
	for (int i = 0; i < w->shape.n_layers; i++)
		for (int p = 0; p < LAYER_PRODUCTS; p++)
			TRY(matmul_weight_pack(m->layers[i][p], w->data + w->layers[i].product[p]));
	return matmul_weight_pack(m->head, w->data + w->head);
}

/* ---- what a layer computes and the backward pass needs ---- */

struct layer_state {
	float *x;       /* [T x D] the residual stream before the layer */
	float *r_attn;  /* [T] of its norm */
	float *qkv;     /* [T x (H+2K)E] rotated */
	float *qk_raw;  /* [T x (H+K)E] before their norms, of kinds that have these */
	float *r_qk;    /* [T x (H+K)] */
	float *o;       /* [T x H*E] of the attention */
	float *lse;     /* [T x H] */
	float *x_mid;   /* [T x D] between attention and feed-forward */
	float *r_mlp;   /* [T] */
	float *gate_up; /* [T x 2F], or one chunk of it in a pass that keeps nothing */
};

struct tape {
	struct model_shape  shape;
	int                 max_tokens;
	float              *data;    /* owned */
	struct layer_state *layers;  /* [L] owned; point into data */
	float              *x_final; /* [T x D] before the last norm */
	float              *r_final; /* [T] */
};

/* Hands out n floats, whole cache lines; with p->at NULL it only counts. */
struct carver {
	float *at;
	size_t used;
};

static float *carve(struct carver *c, size_t rows, int columns)
{
	float *p = c->at ? c->at + c->used : NULL;

	c->used += (rows * (size_t)columns + 15) / 16 * 16;
	return p;
}

static struct layer_state carve_layer(struct carver *c, const struct model_shape *s, size_t rows)
{
	int queries = s->n_heads * s->head_width, keys = s->n_kv_heads * s->head_width;
	int normed = kind_has(s, PART_QK_NORM) ? s->n_heads + s->n_kv_heads : 0;

	return (struct layer_state){
	        .x = carve(c, rows, s->width),
	        .r_attn = carve(c, rows, 1),
	        .qkv = carve(c, rows, queries + 2 * keys),
	        .qk_raw = carve(c, rows, normed * s->head_width),
	        .r_qk = carve(c, rows, normed),
	        .o = carve(c, rows, queries),
	        .lse = carve(c, rows, s->n_heads),
	        .x_mid = carve(c, rows, s->width),
	        .r_mlp = carve(c, rows, 1),
	        .gate_up = carve(c, rows, 2 * s->ff_width),
	};
}

static size_t carve_tape(struct tape *t, float *data)
{
	struct carver c = {.at = data};
	size_t        rows = (size_t)t->max_tokens;

	for (int i = 0; i < t->shape.n_layers; i++)
		t->layers[i] = carve_layer(&c, &t->shape, rows);
	t->x_final = carve(&c, rows, t->shape.width);
	t->r_final = carve(&c, rows, 1);
	return c.used;
}

size_t tape_bytes(const struct model_shape *s, int max_tokens)
{
	struct carver c = {0};
	size_t        rows = (size_t)max_tokens, per_layer;

	carve_layer(&c, s, rows);
	per_layer = c.used;
	carve(&c, rows, s->width);
	carve(&c, rows, 1);
	return (c.used + (size_t)(s->n_layers - 1) * per_layer) * sizeof(float);
}

static int tape_fit(struct tape *t, int tokens)
{
	if (t->data && tokens <= t->max_tokens)
		return OK;
	mem_free(t->data);
	t->data = NULL;
	t->max_tokens = tokens;
	TRY(mem_take_bytes(tape_bytes(&t->shape, tokens), 1, "the tape of the backward pass",
	                   &t->data));
	carve_tape(t, t->data);
	return OK;
}

int tape_new(const struct model_shape *s, int max_tokens, struct tape **out)
{
	struct tape *t;
	int          status;

	TRY(mem_take(1, "the tape", &t));
	t->shape = *s;
	status = mem_take((size_t)s->n_layers, "the tape", &t->layers);
	if (status == OK)
		status = tape_fit(t, max_tokens);
	if (status == OK)
		*out = t;
	else
		tape_free(t);
	return status;
}

void tape_free(struct tape *t)
{
	if (!t)
		return;
	mem_free(t->data);
	mem_free(t->layers);
	mem_free(t);
}

/* ---- forward ---- */

int model_cache_new(const struct model *m, int n_layers, int n_pages, struct kv_cache *out)
{
	return kv_cache_new(&m->weights.shape, matmul_is_bf16(m->mm), n_layers, n_pages, out);
}

size_t model_cache_bytes(const struct model_shape *s, const struct matmul *mm, int n_layers,
                         int n_pages)
{
	return kv_cache_bytes(s, matmul_is_bf16(mm), n_layers, n_pages);
}

struct transformer_forward {
	const struct model   *m;
	const struct packing *b;
	struct kv_cache      *cache;
	int                   keeps;       /* every layer has a state of its own */
	float                *h, *y, *act; /* scratch of a chunk: [rows x D] twice, [rows x F] */

	struct attention_tile *room;
	struct adapter_scratch adapter;
};

static int chunk_rows(int left)
{
	return left < CHUNK_ROWS ? left : CHUNK_ROWS;
}

/* out = x + y; out may be x */
static void add_rows(int n, int D, const float *x, const float *y, float *out)
{
#pragma omp parallel for schedule(static) if (n > 1)
	for (int r = 0; r < n; r++)
		for (size_t i = (size_t)r * (size_t)D; i < (size_t)(r + 1) * (size_t)D; i++)
			out[i] = x[i] + y[i];
}

/* Tokens may come from a file and are an error; segments are ours and lie one behind the other. */
static int check_batch(const struct model *m, const struct packing *b)
{
	const struct model_shape *s = &m->weights.shape;
	int                       end = 0;

	for (int i = 0; i < b->n_segments; i++) {
		assert(b->segments[i].first == end && b->segments[i].parent < i);
		end += b->segments[i].count;
	}
	assert(end == b->n_tokens);
	for (int t = 0; t < b->n_tokens; t++) {
		if (b->token[t] < 0 || b->token[t] >= s->n_vocab)
			return error_set(ERR_INPUT,
			                 "token id %d is outside of the model's vocabulary of %d; "
			                 "is this the model's own tokenizer?",
			                 b->token[t], s->n_vocab);
		if (b->position[t] >= s->n_positions)
			return error_set(ERR_INPUT,
			                 "a text is longer than the %d positions that the model "
			                 "has (max_position_embeddings); shorten it",
			                 s->n_positions);
	}
	return OK;
}

static void embed(const struct model *m, const struct packing *b, float *x)
{
	size_t       D = (size_t)m->weights.shape.width;
	const float *table = m->weights.data + m->weights.embed;

	for (int t = 0; t < b->n_tokens; t++)
		memcpy(x + (size_t)t * D, table + (size_t)b->token[t] * D, D * sizeof(float));
}

/* The norm whose gain stands at that offset of the weights. */
static struct rmsnorm norm_of(const struct model *m, size_t gain)
{
	return (struct rmsnorm){.D = m->weights.shape.width,
	                        .gain = m->weights.data + gain,
	                        .eps = m->weights.shape.norm_eps};
}

static struct qknorm qk_norm(const struct model *m, int layer)
{
	const struct model_shape *s = &m->weights.shape;

	return (struct qknorm){.H = s->n_heads,
	                       .K = s->n_kv_heads,
	                       .E = s->head_width,
	                       .stride = (size_t)((s->n_heads + 2 * s->n_kv_heads) * s->head_width),
	                       .gain = m->weights.data + m->weights.layers[layer].qk_norm};
}

/* Y = X W^T, and what the adapter adds */
static int product_forward(const struct transformer_forward *p, int layer, enum product which,
                           int n, const float *X, float *Y)
{
	const struct adapter *a = p->m->adapter;

	TRY(matmul_forward(p->m->layers[layer][which], n, X, Y));
	return a ? adapter_forward(&a->layers[layer][which], n, X, &p->adapter, Y) : OK;
}

/* qkv of n rows from row `at` on = h W^T, and what the kind does to it before it is rotated */
static int project_qkv(const struct transformer_forward *p, int layer, int n, size_t at,
                       const struct layer_state *s)
{
	const struct model_shape *shape = &p->m->weights.shape;
	struct qknorm             norm = qk_norm(p->m, layer);
	size_t                    heads = (size_t)(norm.H + norm.K);
	float                    *qkv = s->qkv + at * norm.stride;

	TRY(product_forward(p, layer, PRODUCT_QKV, n, p->h, qkv));
	if (kind_has(shape, PART_QKV_BIAS))
		bias_forward(n, (int)norm.stride,
		             p->m->weights.data + p->m->weights.layers[layer].qkv_bias, qkv);
	if (kind_has(shape, PART_QK_NORM))
		qknorm_forward(&norm, n, shape->norm_eps, qkv,
		               p->keeps ? s->qk_raw + at * heads * (size_t)norm.E : NULL,
		               p->keeps ? s->r_qk + at * heads : NULL);
	return OK;
}

/* Keys and values are bf16 where products are: rounded once, here, before they reach a page or a
 * score. Their gradient passes as if they were not. */
static void round_keys_values(int T, size_t keys_at, size_t qkv_row, float *qkv)
{
#pragma omp parallel for schedule(static) if (T > 1)
	for (int t = 0; t < T; t++)
		row_round_bf16(qkv + (size_t)t * qkv_row + keys_at, (int)(qkv_row - keys_at));
}

/* x_mid = x + attention(rmsnorm(x)) */
static int forward_attention(const struct transformer_forward *p, int layer,
                             const struct layer_state *s)
{
	const struct model_shape *shape = &p->m->weights.shape;
	int T = p->b->n_tokens, D = shape->width, H = shape->n_heads, K = shape->n_kv_heads,
	    E = shape->head_width;
	size_t         qkv_row = (size_t)(H + 2 * K) * (size_t)E, o_row = (size_t)H * (size_t)E;
	struct rmsnorm norm = norm_of(p->m, p->m->weights.layers[layer].norm_attn);

	for (int t = 0, n; t < T; t += n) {
		size_t at = (size_t)t;
		n = chunk_rows(T - t);
		rmsnorm_forward(&norm, n, s->x + at * (size_t)D, p->h, s->r_attn + at);
		TRY(project_qkv(p, layer, n, at, s));
	}
	rope_apply(&(struct rope_rows){T, H + K, E, qkv_row, p->b->position, p->m->rope}, +1,
	           s->qkv);
	if (matmul_is_bf16(p->m->mm))
		round_keys_values(T, (size_t)(H * E), qkv_row, s->qkv);
	attention_forward(shape,
	                  &(struct attention_input){.b = p->b,
	                                            .qkv = s->qkv,
	                                            .cache = p->cache,
	                                            .layer = p->cache->n_layers == 1 ? 0 : layer},
	                  p->room, s->o, s->lse);
	for (int t = 0, n; t < T; t += n) {
		size_t at = (size_t)t;
		n = chunk_rows(T - t);
		TRY(product_forward(p, layer, PRODUCT_O, n, s->o + at * o_row, p->y));
		add_rows(n, D, s->x + at * (size_t)D, p->y, s->x_mid + at * (size_t)D);
	}
	return OK;
}

/* x_out = x_mid + mlp(rmsnorm(x_mid)) */
static int forward_mlp(const struct transformer_forward *p, int layer, const struct layer_state *s,
                       float *x_out)
{
	const struct model_shape *shape = &p->m->weights.shape;
	int                       T = p->b->n_tokens, D = shape->width, F = shape->ff_width;
	struct rmsnorm            norm = norm_of(p->m, p->m->weights.layers[layer].norm_mlp);

	for (int t = 0, n; t < T; t += n) {
		size_t at = (size_t)t;
		float *gate_up = s->gate_up + (p->keeps ? at * 2 * (size_t)F : 0);
		n = chunk_rows(T - t);
		rmsnorm_forward(&norm, n, s->x_mid + at * (size_t)D, p->h, s->r_mlp + at);
		TRY(product_forward(p, layer, PRODUCT_GATE_UP, n, p->h, gate_up));
		swiglu_forward(n, F, gate_up, p->act);
		TRY(product_forward(p, layer, PRODUCT_DOWN, n, p->act, p->y));
		add_rows(n, D, s->x_mid + at * (size_t)D, p->y, x_out + at * (size_t)D);
	}
	return OK;
}

/* The one state that all layers share when nothing is kept: the residual stream is updated in
 * place. */
static int scratch_state(const struct model_shape *s, int T, struct arena *a,
                         struct layer_state *out)
{
	size_t rows = (size_t)T, queries = (size_t)(s->n_heads * s->head_width),
	       keys = (size_t)(s->n_kv_heads * s->head_width);

	*out = (struct layer_state){0};
	TRY(arena_take(a, rows * (size_t)s->width, "the residual stream", &out->x));
	out->x_mid = out->x;
	TRY(arena_take(a, rows, "the norms of a layer", &out->r_attn));
	out->r_mlp = out->r_attn;
	TRY(arena_take(a, rows * (queries + 2 * keys), "the state of a layer", &out->qkv));
	TRY(arena_take(a, rows * queries, "the state of a layer", &out->o));
	return arena_take(a, (size_t)chunk_rows(T) * 2 * (size_t)s->ff_width,
	                  "the state of a layer", &out->gate_up);
}

static int forward_scratch(struct transformer_forward *p, struct arena *a)
{
	const struct model_shape *s = &p->m->weights.shape;
	size_t                    rows = (size_t)chunk_rows(p->b->n_tokens);

	TRY(arena_take(a, rows * (size_t)s->width, "the scratch of a layer", &p->h));
	TRY(arena_take(a, rows * (size_t)s->width, "the scratch of a layer", &p->y));
	TRY(arena_take(a, rows * (size_t)s->ff_width, "the scratch of a layer", &p->act));
	TRY(attention_room_new(a, &p->room));
	return p->m->adapter ? adapter_scratch(p->m->adapter, (int)rows, 0, a, &p->adapter) : OK;
}

/* Embedding, layers, last norm. With a tape each layer keeps its state; without, all share one.
 * */
static int forward_layers(struct transformer_forward *p, struct tape *tape, struct arena *a,
                          float *hidden)
{
	const struct model_shape *s = &p->m->weights.shape;
	struct rmsnorm            norm = norm_of(p->m, p->m->weights.norm_final);
	struct layer_state        shared;
	float                    *x;

	TRY(check_batch(p->m, p->b));
	TRY(forward_scratch(p, a));
	TRY(tape ? tape_fit(tape, p->b->n_tokens) : scratch_state(s, p->b->n_tokens, a, &shared));
	x = tape ? tape->layers[0].x : shared.x;
	embed(p->m, p->b, x);
	for (int i = 0; i < s->n_layers; i++) {
		const struct layer_state *state = tape ? &tape->layers[i] : &shared;
		if (tape)
			x = i + 1 < s->n_layers ? tape->layers[i + 1].x : tape->x_final;
		TRY(stop_check());
		TRY(forward_attention(p, i, state));
		TRY(forward_mlp(p, i, state, x));
	}
	rmsnorm_forward(&norm, p->b->n_tokens, x, hidden, tape ? tape->r_final : NULL);
	return OK;
}

int model_forward(const struct model *m, const struct packing *b, struct kv_cache *cache,
                  struct tape *tape, struct arena *a, float *hidden)
{
	struct transformer_forward p = {.m = m, .b = b, .cache = cache, .keeps = tape != NULL};
	struct arena_mark          mark = arena_mark(a);
	int                        status;

	assert(cache->bf16 == matmul_is_bf16(m->mm));
	status = forward_layers(&p, tape, a, hidden);
	arena_release(a, mark);
	return status;
}

/* ---- backward ----
 *
 * dx [T x D] is the gradient of the residual stream; it walks from the last norm to the embedding.
 * Each product has two gradients: of its input, row by row, and of its weights, unit by unit. What
 * is cheap is computed again: the norms' outputs and silu(g) * u. */

struct transformer_backward {
	const struct model       *m;
	const struct packing     *b;
	const struct tape        *tape;
	const struct layer_state *state; /* of the layer at hand */
	struct arena             *a;
	struct gradient          *g;
	float                    *dx;          /* [T x D] */
	float                    *d_o, *d_qkv; /* [T x H*E], [T x (H+2K)E] */
	/* [rows x D], rows: of the largest unit */
	float                 *h, *dh;
	float                 *act, *d_act, *d_gate_up; /* [rows x F] twice, [rows x 2F] */
	struct adapter_scratch adapter;
};

struct transformer_rows { /* of a unit */
	uint32_t unit;    /* its number within the step */
	size_t   first;
	int      n;
};

static struct transformer_rows unit_rows(const struct transformer_backward *p, int u)
{
	const int *bound = p->b->unit_token;

	return (struct transformer_rows){.unit = p->g->n_units + (uint32_t)u,
	                                 .first = (size_t)bound[u],
	                                 .n = bound[u + 1] - bound[u]};
}

struct product_rows { /* of a unit, at a product */
	const float *X, *dY;
	float       *dX;
};

/* dX = dY W, and the gradient of what learns: of W, dY^T X, or of the adapter. */
static int product_backward(const struct transformer_backward *p, int layer, enum product which,
                            struct transformer_rows r, struct product_rows x)
{
	size_t               at = p->m->weights.layers[layer].product[which];
	struct product_shape shapes[LAYER_PRODUCTS], *s = &shapes[which];

	TRY(matmul_backward(p->m->layers[layer][which], r.n, x.dY, x.dX));
	if (p->m->adapter)
		return adapter_backward(p->m->adapter, layer, which,
		                        &(struct adapter_rows){r.unit, r.n, x.X, x.dY, x.dX},
		                        &p->adapter, p->g);
	weights_products(&p->m->weights.shape, shapes);
	TRY(matmul_gradient(p->m->mm, &(struct matmul_gradient){r.n, s->n_out, s->n_in, x.dY, x.X,
	                                                        gradient_slot(p->g, r.unit, at)}));
	gradient_merge(p->g, r.unit, at, (size_t)s->n_out * (size_t)s->n_in);
	return OK;
}

struct norm {
	size_t       gain;  /* offset in the weights */
	const float *x, *r; /* its input and what its forward pass kept; of the whole batch */
};

static void norm_again(const struct transformer_backward *p, struct transformer_rows r,
                       struct norm n, float *h)
{
	struct rmsnorm norm = norm_of(p->m, n.gain);

	rmsnorm_forward(&norm, r.n, n.x + r.first * (size_t)norm.D, h, NULL);
}

/* From the gradient of a norm's output: adds to dx, and the gain's gradient to the unit. */
static void backward_norm(const struct transformer_backward *p, struct transformer_rows r,
                          struct norm n, const float *dh)
{
	struct rmsnorm norm = norm_of(p->m, n.gain);
	size_t         at = r.first * (size_t)norm.D;

	if (!p->m->adapter) {
		rmsnorm_gradient(&norm, r.n, n.x + at, n.r + r.first, dh,
		                 gradient_slot(p->g, r.unit, n.gain));
		gradient_merge(p->g, r.unit, n.gain, (size_t)norm.D);
	}
	rmsnorm_backward_add(&norm, r.n, n.x + at, n.r + r.first, dh, p->dx + at);
}

static int backward_mlp_unit(const struct transformer_backward *p, int layer,
                             struct transformer_rows r)
{
	int         D = p->m->weights.shape.width, F = p->m->weights.shape.ff_width;
	struct norm norm = {p->m->weights.layers[layer].norm_mlp, p->state->x_mid, p->state->r_mlp};
	const float *gate_up = p->state->gate_up + r.first * 2 * (size_t)F,
	            *dx = p->dx + r.first * (size_t)D;

	swiglu_forward(r.n, F, gate_up, p->act);
	TRY(product_backward(p, layer, PRODUCT_DOWN, r,
	                     (struct product_rows){p->act, dx, p->d_act}));
	swiglu_backward(r.n, F, gate_up, p->d_act, p->d_gate_up);
	norm_again(p, r, norm, p->h);
	TRY(product_backward(p, layer, PRODUCT_GATE_UP, r,
	                     (struct product_rows){p->h, p->d_gate_up, p->dh}));
	backward_norm(p, r, norm, p->dh);
	return OK;
}

/* dx -> d_o */
static int backward_output_unit(const struct transformer_backward *p, int layer,
                                struct transformer_rows r)
{
	const struct model_shape *s = &p->m->weights.shape;
	size_t                    at = r.first * (size_t)(s->n_heads * s->head_width);

	return product_backward(p, layer, PRODUCT_O, r,
	                        (struct product_rows){p->state->o + at,
	                                              p->dx + r.first * (size_t)s->width,
	                                              p->d_o + at});
}

/* d_qkv, rotated back, becomes the gradient of the product; what the kind has behind the product
 * gets its own. */
static void backward_qkv_parts(const struct transformer_backward *p, int layer,
                               struct transformer_rows r)
{
	const struct model_shape   *s = &p->m->weights.shape;
	const struct layer_offsets *at = &p->m->weights.layers[layer];
	struct qknorm               norm = qk_norm(p->m, layer);
	size_t                      heads = r.first * (size_t)(norm.H + norm.K);
	float                      *d_qkv = p->d_qkv + r.first * norm.stride;
	int                         learns = !p->m->adapter;

	if (kind_has(s, PART_QK_NORM)) {
		const float *raw = p->state->qk_raw + heads * (size_t)norm.E,
		            *factor = p->state->r_qk + heads;
		if (learns) {
			qknorm_gradient(&norm, r.n, raw, factor, d_qkv,
			                gradient_slot(p->g, r.unit, at->qk_norm));
			gradient_merge(p->g, r.unit, at->qk_norm, 2 * (size_t)norm.E);
		}
		qknorm_backward(&norm, r.n, raw, factor, d_qkv);
	}
	if (learns && kind_has(s, PART_QKV_BIAS)) {
		bias_gradient(r.n, (int)norm.stride, d_qkv,
		              gradient_slot(p->g, r.unit, at->qkv_bias));
		gradient_merge(p->g, r.unit, at->qkv_bias, norm.stride);
	}
}

/* d_qkv -> dx */
static int backward_qkv_unit(const struct transformer_backward *p, int layer,
                             struct transformer_rows r)
{
	const struct model_shape *s = &p->m->weights.shape;
	struct norm  norm = {p->m->weights.layers[layer].norm_attn, p->state->x, p->state->r_attn};
	const float *d_qkv =
	        p->d_qkv + r.first * (size_t)((s->n_heads + 2 * s->n_kv_heads) * s->head_width);

	backward_qkv_parts(p, layer, r);
	norm_again(p, r, norm, p->h);
	TRY(product_backward(p, layer, PRODUCT_QKV, r, (struct product_rows){p->h, d_qkv, p->dh}));
	backward_norm(p, r, norm, p->dh);
	return OK;
}

static int backward_layer(const struct transformer_backward *p, int layer)
{
	const struct model_shape *s = &p->m->weights.shape;
	struct attention_kept     kept = {p->state->qkv, p->state->o, p->state->lse};
	size_t qkv_row = (size_t)((s->n_heads + 2 * s->n_kv_heads) * s->head_width);

	for (int u = 0; u < p->b->n_units; u++) {
		TRY(backward_mlp_unit(p, layer, unit_rows(p, u)));
		TRY(backward_output_unit(p, layer, unit_rows(p, u)));
	}
	TRY(attention_backward(s, p->b, &kept, p->d_o, p->a, p->d_qkv));
	rope_apply(&(struct rope_rows){p->b->n_tokens, s->n_heads + s->n_kv_heads, s->head_width,
	                               qkv_row, p->b->position, p->m->rope},
	           -1, p->d_qkv);
	for (int u = 0; u < p->b->n_units; u++)
		TRY(backward_qkv_unit(p, layer, unit_rows(p, u)));
	return OK;
}

static int transformer_by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Rows of the embedding that the unit uses get the sum of dx over their tokens in order, all others
 * 0. */
static int backward_embed_unit(const struct transformer_backward *p, struct transformer_rows r)
{
	size_t V = (size_t)p->m->weights.shape.n_vocab, D = (size_t)p->m->weights.shape.width,
	       embed = p->m->weights.embed;
	/* token id, then place in the unit */
	uint64_t *order;
	float    *slot = gradient_slot(p->g, r.unit, embed);

	TRY(arena_take(p->a, (size_t)r.n, "the order of the tokens", &order));
	for (int i = 0; i < r.n; i++)
		order[i] = (uint64_t)p->b->token[r.first + (size_t)i] << 32 | (uint64_t)i;
	qsort(order, (size_t)r.n, sizeof *order, transformer_by_value);
#pragma omp parallel for schedule(static)
	for (size_t v = 0; v < V; v++)
		memset(slot + v * D, 0, D * sizeof(float));
#pragma omp parallel for schedule(static)
	for (int i = 0; i < r.n; i++) {
		uint64_t id = order[i] >> 32;
		if (i > 0 && order[i - 1] >> 32 == id)
			continue; /* belongs to the run that starts before */
		for (int j = i; j < r.n && order[j] >> 32 == id; j++) {
			const float *dx = p->dx + (r.first + (uint32_t)order[j]) * D;
			for (size_t d = 0; d < D; d++)
				slot[id * D + d] += dx[d];
		}
	}
	gradient_merge(p->g, r.unit, embed, V * D);
	return OK;
}

/* Rows of the largest unit: the MLP goes unit by unit, the attention over all tokens at once. */
static int backward_scratch(struct transformer_backward *p)
{
	const struct model_shape *s = &p->m->weights.shape;
	size_t T = (size_t)p->b->n_tokens, D = (size_t)s->width, F = (size_t)s->ff_width, rows = 0;
	size_t queries = (size_t)(s->n_heads * s->head_width),
	       keys = (size_t)(s->n_kv_heads * s->head_width);

	for (int u = 0; u < p->b->n_units; u++)
		if ((size_t)unit_rows(p, u).n > rows)
			rows = (size_t)unit_rows(p, u).n;
	TRY(arena_take(p->a, T * D, "the backward pass of a layer", &p->dx));
	TRY(arena_take(p->a, T * queries, "the backward pass of a layer", &p->d_o));
	TRY(arena_take(p->a, T * (queries + 2 * keys), "the backward pass of a layer", &p->d_qkv));
	TRY(arena_take(p->a, rows * D, "the scratch of a layer", &p->h));
	TRY(arena_take(p->a, rows * D, "the backward pass of a layer", &p->dh));
	TRY(arena_take(p->a, rows * F, "the scratch of a layer", &p->act));
	TRY(arena_take(p->a, rows * F, "the backward pass of a layer", &p->d_act));
	TRY(arena_take(p->a, rows * 2 * F, "the backward pass of a layer", &p->d_gate_up));
	return p->m->adapter ? adapter_scratch(p->m->adapter, (int)rows, 1, p->a, &p->adapter) : OK;
}

size_t model_backward_bytes(const struct model *m, int tokens, int unit)
{
	const struct model_shape *s = &m->weights.shape;
	size_t                    T = (size_t)tokens, rows = (size_t)unit, D = (size_t)s->width,
	       F = (size_t)s->ff_width;
	size_t heads = (size_t)((2 * s->n_heads + 2 * s->n_kv_heads) * s->head_width);

	return (T * (3 * D + heads) + rows * (2 * D + 4 * F)) * sizeof(float) +
	       (m->adapter ? adapter_scratch_bytes(m->adapter, unit) : 0);
}

static int backward_layers(struct transformer_backward *p, const float *d_hidden)
{
	const struct weights *w = &p->m->weights;
	struct norm           last = {w->norm_final, p->tape->x_final, p->tape->r_final};

	TRY(backward_scratch(p));
	for (int u = 0; u < p->b->n_units; u++)
		backward_norm(p, unit_rows(p, u), last,
		              d_hidden + unit_rows(p, u).first * (size_t)w->shape.width);
	for (int i = w->shape.n_layers - 1; i >= 0; i--) {
		p->state = &p->tape->layers[i];
		TRY(stop_check());
		TRY(backward_layer(p, i));
	}
	for (int u = 0; u < p->b->n_units && !p->m->adapter; u++)
		TRY(backward_embed_unit(p, unit_rows(p, u)));
	return OK;
}

int model_backward(const struct model *m, const struct packing *b, const struct tape *tape,
                   struct arena *a, const float *d_hidden, struct gradient *g)
{
	struct transformer_backward p = {.m = m, .b = b, .tape = tape, .a = a, .g = g};
	struct arena_mark           mark = arena_mark(a);
	int                         status;

	assert(m->for_backward && b->unit_token[b->n_units] == b->n_tokens);
	status = backward_layers(&p, d_hidden);
	g->n_units += (uint32_t)b->n_units;
	arena_release(a, mark);
	return status;
}
