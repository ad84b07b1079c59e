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

/* Weights that learn stay where they are. */
static int model_use(int for_backward)
{
	return for_backward ? MATMUL_LENT : MATMUL_FORWARD;
}

size_t model_bytes(const struct model_shape *s, const struct matmul *mm, int for_backward)
{
	struct product_shape p[LAYER_PRODUCTS];
	size_t               per_layer = 0;

	weights_products(s, p);
	for (int i = 0; i < LAYER_PRODUCTS; i++)
		per_layer +=
		        matmul_weight_bytes(mm, p[i].n_out, p[i].n_in, model_use(for_backward));
	return (weights_count(s) + (size_t)s->n_positions * (size_t)s->head_width) * sizeof(float) +
	       (size_t)s->n_layers * per_layer +
	       matmul_weight_bytes(matmul_head(mm), s->n_vocab, s->width, model_use(for_backward));
}

static int make_layer(struct model *m, struct matmul_weight **layer)
{
	struct product_shape p[LAYER_PRODUCTS];

	weights_products(&m->weights.shape, p);
	for (int i = 0; i < LAYER_PRODUCTS; i++)
		TRY(matmul_weight_new(m->mm, p[i].n_out, p[i].n_in, model_use(m->for_backward),
		                      &layer[i]));
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
	TRY(matmul_weight_new(matmul_head(m->mm), s->n_vocab, s->width, model_use(m->for_backward),
	                      &m->head));
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
	int                   keeps; /* for the backward pass: all rows of gate_up, raw q and k */
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
                       const struct tape_layer *s)
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
                             const struct tape_layer *s)
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

/* gate_up of n rows from row `at` on = rmsnorm(x_mid) W_gate_up^T; returns where it stands. */
static int project_gate_up(const struct transformer_forward *p, int layer, int n, size_t at,
                           const struct tape_layer *s, float **out)
{
	const struct model_shape *shape = &p->m->weights.shape;
	struct rmsnorm            norm = norm_of(p->m, p->m->weights.layers[layer].norm_mlp);

	*out = s->gate_up + (p->keeps ? at * 2 * (size_t)shape->ff_width : 0);
	rmsnorm_forward(&norm, n, s->x_mid + at * (size_t)shape->width, p->h, s->r_mlp + at);
	return product_forward(p, layer, PRODUCT_GATE_UP, n, p->h, *out);
}

/* x_out = x_mid + mlp(rmsnorm(x_mid)) */
static int forward_mlp(const struct transformer_forward *p, int layer, const struct tape_layer *s,
                       float *x_out)
{
	int    T = p->b->n_tokens, D = p->m->weights.shape.width;
	float *gate_up;

	for (int t = 0, n; t < T; t += n) {
		size_t at = (size_t)t;
		n = chunk_rows(T - t);
		TRY(project_gate_up(p, layer, n, at, s, &gate_up));
		swiglu_forward(n, p->m->weights.shape.ff_width, gate_up, p->act);
		TRY(product_forward(p, layer, PRODUCT_DOWN, n, p->act, p->y));
		add_rows(n, D, s->x_mid + at * (size_t)D, p->y, x_out + at * (size_t)D);
	}
	return OK;
}

/* All of a layer's state from its x. */
static int forward_again(const struct transformer_forward *p, int layer, const struct tape_layer *s)
{
	float *gate_up;

	TRY(forward_attention(p, layer, s));
	for (int t = 0, n; t < p->b->n_tokens; t += n) {
		n = chunk_rows(p->b->n_tokens - t);
		TRY(project_gate_up(p, layer, n, (size_t)t, s, &gate_up));
	}
	return OK;
}

/* The one state that all layers share when nothing is kept: the residual stream is updated in
 * place. */
static int scratch_state(const struct model_shape *s, int T, struct arena *a,
                         struct tape_layer *out)
{
	size_t rows = (size_t)T, queries = (size_t)(s->n_heads * s->head_width),
	       keys = (size_t)(s->n_kv_heads * s->head_width);

	*out = (struct tape_layer){0};
	TRY(arena_take(a, rows * (size_t)s->width, "the residual stream", &out->x));
	out->x_mid = out->x;
	TRY(arena_take(a, rows, "the norms of a layer", &out->r_attn));
	out->r_mlp = out->r_attn;
	TRY(arena_take(a, rows * (queries + 2 * keys), "the state of a layer", &out->qkv));
	TRY(arena_take(a, rows * queries, "the state of a layer", &out->o));
	return arena_take(a, (size_t)chunk_rows(T) * 2 * (size_t)s->ff_width,
	                  "the state of a layer", &out->gate_up);
}

static int forward_scratch(struct transformer_forward *p, int tokens, struct arena *a)
{
	const struct model_shape *s = &p->m->weights.shape;
	size_t                    rows = (size_t)chunk_rows(tokens);

	TRY(arena_take(a, rows * (size_t)s->width, "the scratch of a layer", &p->h));
	TRY(arena_take(a, rows * (size_t)s->width, "the scratch of a layer", &p->y));
	TRY(arena_take(a, rows * (size_t)s->ff_width, "the scratch of a layer", &p->act));
	TRY(attention_room_new(a, &p->room));
	return p->m->adapter ? adapter_scratch(p->m->adapter, (int)rows, 0, a, &p->adapter) : OK;
}

size_t model_forward_bytes(const struct model *m, int tokens)
{
	struct arena               count = {.counts = 1};
	struct transformer_forward p = {.m = m};
	struct tape_layer          shared;
	int                        status = forward_scratch(&p, tokens, &count);

	if (status == OK)
		status = scratch_state(&m->weights.shape, tokens, &count, &shared);
	assert(status == OK); /* nothing is allocated, and no size is that large */
	return count.used;
}

/* Embedding, layers, last norm. With a tape each layer keeps its state; without, all share one.
 * */
static int forward_layers(struct transformer_forward *p, struct tape *tape, struct arena *a,
                          float *hidden)
{
	const struct model_shape *s = &p->m->weights.shape;
	struct rmsnorm            norm = norm_of(p->m, p->m->weights.norm_final);
	struct tape_piece         piece;
	struct tape_layer         state;
	float                    *x;

	TRY(check_batch(p->m, p->b));
	TRY(forward_scratch(p, p->b->n_tokens, a));
	TRY(tape ? tape_add(tape, p->b, &piece) : scratch_state(s, p->b->n_tokens, a, &state));
	x = tape ? tape_layer_of(tape, &piece, 0).x : state.x;
	embed(p->m, p->b, x);
	for (int i = 0; i < s->n_layers; i++) {
		if (tape) {
			state = tape_layer_of(tape, &piece, i);
			x = tape_output_of(tape, &piece, i);
		}
		TRY(stop_check());
		TRY(forward_attention(p, i, &state));
		TRY(forward_mlp(p, i, &state, x));
	}
	rmsnorm_forward(&norm, p->b->n_tokens, x, hidden,
	                tape ? tape->r_final + piece.first : NULL);
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
 * dx [T x D] is the gradient of the residual stream; it walks from the last norm to the embedding,
 * layer by layer, and in each layer piece by piece of the tape. Each product has two gradients: of
 * its input, row by row, and of its weights, unit by unit. What is cheap is computed again: the
 * norms' outputs and silu(g) * u; all that a layer computed, where the tape holds only its x. */

struct transformer_backward {
	const struct model        *m;
	const struct tape         *tape;
	struct arena              *a;
	struct gradient           *g;
	struct transformer_forward again;  /* computes a layer again */
	float                     *dx_all; /* [T x D] of all pieces */

	/* the piece at hand, in the layer at hand: its first row is row 0 of everything */
	const struct packing *b;
	struct tape_layer     state;
	float                *dx;
	float                *d_o, *d_qkv; /* [T x H*E], [T x (H+2K)E] */
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

	return (struct transformer_rows){.unit = p->b->first_unit + (uint32_t)u,
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
	size_t               at = p->m->weights.layers[layer].product[which], count;
	struct product_shape shapes[LAYER_PRODUCTS], *s = &shapes[which];

	TRY(matmul_backward(p->m->layers[layer][which], r.n, x.dY, x.dX));
	if (p->m->adapter)
		return adapter_backward(p->m->adapter, layer, which,
		                        &(struct adapter_rows){r.unit, r.n, x.X, x.dY, x.dX},
		                        &p->adapter, p->g);
	weights_products(&p->m->weights.shape, shapes);
	count = (size_t)s->n_out * (size_t)s->n_in;
	TRY(matmul_gradient(p->m->mm,
	                    &(struct matmul_gradient){r.n, s->n_out, s->n_in, x.dY, x.X,
	                                              gradient_slot(p->g, r.unit, at, count)}));
	gradient_merge(p->g, r.unit, at, count);
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
		size_t D = (size_t)norm.D;
		rmsnorm_gradient(&norm, r.n, n.x + at, n.r + r.first, dh,
		                 gradient_slot(p->g, r.unit, n.gain, D));
		gradient_merge(p->g, r.unit, n.gain, D);
	}
	rmsnorm_backward_add(&norm, r.n, n.x + at, n.r + r.first, dh, p->dx + at);
}

static int backward_mlp_unit(const struct transformer_backward *p, int layer,
                             struct transformer_rows r)
{
	int          D = p->m->weights.shape.width, F = p->m->weights.shape.ff_width;
	struct norm  norm = {p->m->weights.layers[layer].norm_mlp, p->state.x_mid, p->state.r_mlp};
	const float *gate_up = p->state.gate_up + r.first * 2 * (size_t)F,
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
	                        (struct product_rows){p->state.o + at,
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
		const float *raw = p->state.qk_raw + heads * (size_t)norm.E,
		            *factor = p->state.r_qk + heads;
		if (learns) {
			qknorm_gradient(
			        &norm, r.n, raw, factor, d_qkv,
			        gradient_slot(p->g, r.unit, at->qk_norm, 2 * (size_t)norm.E));
			gradient_merge(p->g, r.unit, at->qk_norm, 2 * (size_t)norm.E);
		}
		qknorm_backward(&norm, r.n, raw, factor, d_qkv);
	}
	if (learns && kind_has(s, PART_QKV_BIAS)) {
		bias_gradient(r.n, (int)norm.stride, d_qkv,
		              gradient_slot(p->g, r.unit, at->qkv_bias, norm.stride));
		gradient_merge(p->g, r.unit, at->qkv_bias, norm.stride);
	}
}

/* d_qkv -> dx */
static int backward_qkv_unit(const struct transformer_backward *p, int layer,
                             struct transformer_rows r)
{
	const struct model_shape *s = &p->m->weights.shape;
	struct norm  norm = {p->m->weights.layers[layer].norm_attn, p->state.x, p->state.r_attn};
	const float *d_qkv =
	        p->d_qkv + r.first * (size_t)((s->n_heads + 2 * s->n_kv_heads) * s->head_width);

	backward_qkv_parts(p, layer, r);
	norm_again(p, r, norm, p->h);
	TRY(product_backward(p, layer, PRODUCT_QKV, r, (struct product_rows){p->h, d_qkv, p->dh}));
	backward_norm(p, r, norm, p->dh);
	return OK;
}

/* One layer of one piece. */
static int backward_piece(const struct transformer_backward *p, int layer)
{
	const struct model_shape *s = &p->m->weights.shape;
	struct attention_kept     kept = {p->state.qkv, p->state.o, p->state.lse};
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

static void backward_turn_to(struct transformer_backward *p, const struct tape_piece *piece)
{
	p->b = p->again.b = piece->packing;
	p->dx = p->dx_all + (size_t)piece->first * (size_t)p->m->weights.shape.width;
}

/* Where the weights of a layer that learn lie. */
static struct weights_span layer_span(const struct model *m, int layer)
{
	const struct weights *w = &m->weights;
	size_t                first = w->layers[layer].norm_attn;

	if (m->adapter)
		return adapter_span(m->adapter, layer);
	return (struct weights_span){
	        first,
	        (layer + 1 < w->shape.n_layers ? w->layers[layer + 1].norm_attn : w->norm_final) -
	                first};
}

/* One layer of all pieces. */
static int backward_layer(struct transformer_backward *p, int layer)
{
	struct weights_span span = layer_span(p->m, layer);

	TRY(stop_check());
	TRY(gradient_open(p->g, span.offset, span.count));
	for (int i = 0; i < p->tape->n_pieces; i++) {
		const struct tape_piece *piece = &p->tape->pieces[i];
		backward_turn_to(p, piece);
		p->state = tape_layer_of(p->tape, piece, layer);
		if (p->tape->recompute)
			TRY(forward_again(&p->again, layer, &p->state));
		TRY(backward_piece(p, layer));
	}
	gradient_close(p->g);
	return OK;
}

/* ---- the embedding ---- */

static int transformer_by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The tokens of the pass, those of each unit by themselves in the order of (id, place in the
 * piece). */
static int backward_sort_tokens(const struct transformer_backward *p, uint64_t **out)
{
	uint64_t *order;

	TRY(arena_take(p->a, (size_t)p->tape->n_tokens, "the order of the tokens", &order));
	*out = order;
	for (int i = 0; i < p->tape->n_pieces; i++) {
		const struct packing *b = p->tape->pieces[i].packing;
		for (int t = 0; t < b->n_tokens; t++)
			order[t] = (uint64_t)b->token[t] << 32 | (uint64_t)t;
		for (int u = 0; u < b->n_units; u++)
			qsort(order + b->unit_token[u],
			      (size_t)(b->unit_token[u + 1] - b->unit_token[u]), sizeof *order,
			      transformer_by_value);
		order += b->n_tokens;
	}
	return OK;
}

/* Rows first .. first+n-1 of the embedding: those that the unit uses get the sum of dx over their
 * tokens in order, all others 0. order: of the piece. */
static void backward_embed_unit(const struct transformer_backward *p, struct transformer_rows r,
                                const uint64_t *order, size_t first, size_t n)
{
	size_t D = (size_t)p->m->weights.shape.width, at = p->m->weights.embed + first * D;
	float *slot = gradient_slot(p->g, r.unit, at, n * D);

	order += r.first;
#pragma omp parallel for schedule(static)
	for (size_t v = 0; v < n; v++)
		memset(slot + v * D, 0, D * sizeof(float));
#pragma omp parallel for schedule(static)
	for (int i = 0; i < r.n; i++) {
		uint64_t id = order[i] >> 32;
		if (id < first || id - first >= n || (i > 0 && order[i - 1] >> 32 == id))
			continue; /* of other rows, or of the run that starts before */
		for (int j = i; j < r.n && order[j] >> 32 == id; j++) {
			const float *dx = p->dx + (uint32_t)order[j] * D;
			for (size_t d = 0; d < D; d++)
				slot[(id - first) * D + d] += dx[d];
		}
	}
	gradient_merge(p->g, r.unit, at, n * D);
}

/* As many rows as a window of a few megabytes holds. */
static size_t embed_rows(const struct model_shape *s)
{
	size_t V = (size_t)s->n_vocab, most = ((size_t)1 << 22) / (size_t)s->width + 1;

	return V < most ? V : most;
}

static int backward_embed(struct transformer_backward *p)
{
	const struct weights *w = &p->m->weights;
	size_t                V = (size_t)w->shape.n_vocab, D = (size_t)w->shape.width;
	uint64_t             *order;

	TRY(backward_sort_tokens(p, &order));
	for (size_t first = 0, n; first < V; first += n) {
		n = V - first < embed_rows(&w->shape) ? V - first : embed_rows(&w->shape);
		TRY(gradient_open(p->g, w->embed + first * D, n * D));
		for (int i = 0; i < p->tape->n_pieces; i++) {
			const struct tape_piece *piece = &p->tape->pieces[i];
			backward_turn_to(p, piece);
			for (int u = 0; u < p->b->n_units; u++)
				backward_embed_unit(p, unit_rows(p, u), order + piece->first, first,
				                    n);
		}
		gradient_close(p->g);
	}
	return OK;
}

/* ---- the whole ---- */

size_t model_window(const struct model *m)
{
	size_t most =
	        m->adapter ? 0 : embed_rows(&m->weights.shape) * (size_t)m->weights.shape.width;

	for (int i = 0; i < m->weights.shape.n_layers; i++)
		if (layer_span(m, i).count > most)
			most = layer_span(m, i).count;
	return most;
}

static struct model_load backward_load(const struct tape *t)
{
	struct model_load l = {.recompute = t->recompute, .tokens = t->n_tokens};

	for (int i = 0; i < t->n_pieces; i++) {
		const struct packing *b = t->pieces[i].packing;
		l.piece = b->n_tokens > l.piece ? b->n_tokens : l.piece;
		for (int u = 0; u < b->n_units; u++) {
			int n = b->unit_token[u + 1] - b->unit_token[u];
			l.unit = n > l.unit ? n : l.unit;
		}
	}
	return l;
}

/* The MLP goes unit by unit, the attention over all tokens of a piece at once. */
static int backward_take(struct transformer_backward *p, const struct model_load *l)
{
	const struct model_shape *s = &p->m->weights.shape;
	size_t T = (size_t)l->piece, rows = (size_t)l->unit, D = (size_t)s->width,
	       F = (size_t)s->ff_width, queries = (size_t)(s->n_heads * s->head_width),
	       keys = (size_t)(s->n_kv_heads * s->head_width);

	TRY(arena_take(p->a, (size_t)l->tokens * D, "the backward pass of a layer", &p->dx_all));
	TRY(arena_take(p->a, T * queries, "the backward pass of a layer", &p->d_o));
	TRY(arena_take(p->a, T * (queries + 2 * keys), "the backward pass of a layer", &p->d_qkv));
	TRY(arena_take(p->a, rows * D, "the scratch of a layer", &p->h));
	TRY(arena_take(p->a, rows * D, "the backward pass of a layer", &p->dh));
	TRY(arena_take(p->a, rows * F, "the scratch of a layer", &p->act));
	TRY(arena_take(p->a, rows * F, "the backward pass of a layer", &p->d_act));
	TRY(arena_take(p->a, rows * 2 * F, "the backward pass of a layer", &p->d_gate_up));
	if (p->m->adapter)
		TRY(adapter_scratch(p->m->adapter, l->unit, 1, p->a, &p->adapter));
	return l->recompute ? forward_scratch(&p->again, l->piece, p->a) : OK;
}

size_t model_backward_bytes(const struct model *m, const struct model_load *l)
{
	struct arena                count = {.counts = 1};
	struct transformer_backward p = {.m = m, .a = &count, .again = {.m = m}};
	int                         status = backward_take(&p, l);

	assert(status == OK); /* nothing is allocated, and no size is that large */
	return count.used + attention_backward_bytes(&m->weights.shape, l->piece, l->pages);
}

/* The last norm of all pieces. */
static int backward_last_norm(struct transformer_backward *p, const float *d_hidden)
{
	const struct weights *w = &p->m->weights;
	size_t                D = (size_t)w->shape.width;

	if (!p->m->adapter)
		TRY(gradient_open(p->g, w->norm_final, D));
	for (int i = 0; i < p->tape->n_pieces; i++) {
		size_t      first = (size_t)p->tape->pieces[i].first;
		struct norm last = {w->norm_final, p->tape->x_final + first * D,
		                    p->tape->r_final + first};
		backward_turn_to(p, &p->tape->pieces[i]);
		for (int u = 0; u < p->b->n_units; u++)
			backward_norm(p, unit_rows(p, u), last,
			              d_hidden + (first + unit_rows(p, u).first) * D);
	}
	if (!p->m->adapter)
		gradient_close(p->g);
	return OK;
}

static int backward_layers(struct transformer_backward *p, const float *d_hidden)
{
	struct model_load load = backward_load(p->tape);

	TRY(backward_take(p, &load));
	TRY(backward_last_norm(p, d_hidden));
	for (int i = p->m->weights.shape.n_layers - 1; i >= 0; i--)
		TRY(backward_layer(p, i));
	return p->m->adapter ? OK : backward_embed(p);
}

int model_backward(const struct model *m, const struct tape *tape, struct kv_cache *cache,
                   struct arena *a, const float *d_hidden, struct gradient *g)
{
	struct transformer_backward p = {.m = m,
	                                 .tape = tape,
	                                 .a = a,
	                                 .g = g,
	                                 .again = {.m = m, .cache = cache, .keeps = 1}};
	struct arena_mark           mark = arena_mark(a);
	int                         status;

	assert(m->for_backward && tape->n_pieces > 0);
	status = backward_layers(&p, d_hidden);
	arena_release(a, mark);
	return status;
}
