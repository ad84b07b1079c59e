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

/* of a table of rotary positions */
static size_t rope_floats(const struct model_shape *s)
{
	return (size_t)s->n_positions * (size_t)s->head_width;
}

size_t model_bytes(const struct model_shape *s, const struct matmul *mm, int for_backward)
{
	struct product_shape p[LAYER_PRODUCTS];
	size_t               per_layer = 0;

	weights_products(s, p);
	for (int i = 0; i < LAYER_PRODUCTS; i++)
		per_layer +=
		        matmul_weight_bytes(mm, p[i].n_out, p[i].n_in, model_use(for_backward));
	return (weights_count(s) + rope_floats(s) * (s->local_theta ? 2 : 1)) * sizeof(float) +
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

static int make_rope(const struct model_shape *s, float **out)
{
	float frequency[HEAD_WIDTH_MAX / 2];

	TRY(mem_take(rope_floats(s), "the table of rotary positions", out));
	rope_frequencies(s, frequency);
	rope_table(s->n_positions, s->head_width, frequency, *out);
	return OK;
}

static int make_parts(struct model *m)
{
	const struct model_shape *s = &m->weights.shape;
	struct model_shape        local = *s;

	local.rope_theta = s->local_theta;
	local.rope = (struct rope_scaling){0};
	TRY(mem_take((size_t)s->n_layers, "the layers of the model", &m->layers));
	TRY(make_rope(s, &m->rope));
	if (s->local_theta)
		TRY(make_rope(&local, &m->rope_local));
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
		mem_free(m->rope_local);
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

/* out = x + scale y; out may be x. With a scale of 1 it is the plain sum. */
static void add_rows(const struct model *m, int n, const float *x, const float *y, float *out)
{
	const struct model_scales *scales = &m->weights.shape.scales;
	size_t                     D = (size_t)m->weights.shape.width;
	float                      scale = scales->residual ? (float)scales->residual : 1;

#pragma omp parallel for schedule(static) if (n > 1)
	for (int r = 0; r < n; r++)
		for (size_t i = (size_t)r * D; i < (size_t)(r + 1) * D; i++)
			out[i] = x[i] + scale * y[i];
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

/* x = scale embed[token] [+ positions[position]] */
static void embed(const struct model *m, const struct packing *b, float *x)
{
	size_t       D = (size_t)m->weights.shape.width;
	const float *table = m->weights.data + m->weights.embed,
	            *places = m->weights.data + m->weights.positions;
	float scale = (float)kind_embedding_scale(&m->weights.shape);

	for (int t = 0; t < b->n_tokens; t++) {
		const float *row = table + (size_t)b->token[t] * D,
		            *place = places + (size_t)b->position[t] * D;
		float *xt = x + (size_t)t * D;
		for (size_t i = 0; i < D; i++)
			xt[i] = scale * row[i];
		for (size_t i = 0; m->weights.positions && i < D; i++)
			xt[i] += place[i];
	}
}

/* The norm whose gain stands at that offset of the weights. */
static struct rownorm norm_of(const struct model *m, struct norm_offsets at)
{
	enum kind_norm kind = kind_of(&m->weights.shape)->norm;

	return (struct rownorm){.D = m->weights.shape.width,
	                        .gain = m->weights.data + at.gain,
	                        .shift = kind == NORM_RMS_ONE,
	                        .centred = kind == NORM_LAYER,
	                        .eps = m->weights.shape.norm_eps};
}

static void norm_rows(const struct model *m, struct norm_offsets at, int n, const float *x,
                      float *y, float *r)
{
	struct rownorm norm = norm_of(m, at);

	rownorm_forward(&norm, n, x, y, r);
	if (at.bias)
		bias_forward(n, norm.D, m->weights.data + at.bias, y);
}

/* Of each head, or of all heads together. */
static struct qknorm qk_norm(const struct model *m, int layer)
{
	const struct model_shape *s = &m->weights.shape;
	int                       H = s->n_heads, K = s->n_kv_heads, E = s->head_width,
	    all = kind_has(s, PART_QK_NORM_ALL);

	return (struct qknorm){.q = {all ? 1 : H, all ? H * E : E},
	                       .k = {all ? 1 : K, all ? K * E : E},
	                       .stride = (size_t)((H + 2 * K) * E),
	                       .gain = m->weights.data + m->weights.layers[layer].qk_norm,
	                       .shift = kind_of(s)->norm == NORM_RMS_ONE};
}

/* direction -1: back */
static void rotate(const struct model *m, int layer, const struct packing *b, int direction,
                   float *qkv)
{
	const struct model_shape *s = &m->weights.shape;
	int                       H = s->n_heads, K = s->n_kv_heads, E = s->head_width;
	const float *table = m->rope_local && kind_is_local(s, layer) ? m->rope_local : m->rope;

	if (kind_is_turned(s, layer))
		rope_apply(&(struct rope_rows){b->n_tokens, H + K, E, (size_t)((H + 2 * K) * E),
		                               b->position, table},
		           direction, qkv);
}

/* What stands between the two products of the feed-forward part. */
static const struct mlp {
	void (*forward)(int n, int F, const float *inner, float *act);
	void (*backward)(int n, int F, const float *inner, const float *d_act, float *d_inner);
} mlps[] = {
        [MLP_SWIGLU] = {swiglu_forward, swiglu_backward},
        [MLP_GEGLU] = {geglu_forward, geglu_backward},
        [MLP_GELU] = {gelu_forward, gelu_backward},
};

static const struct mlp *mlp_of(const struct model *m)
{
	return &mlps[kind_of(&m->weights.shape)->mlp];
}

/* Y = X W^T [+ what the adapter adds] [+ bias] */
static int product_forward(const struct transformer_forward *p, int layer, enum product which,
                           int n, const float *X, float *Y)
{
	const struct adapter *a = p->m->adapter;
	const struct weights *w = &p->m->weights;
	struct product_shape  shapes[LAYER_PRODUCTS];

	TRY(matmul_forward(p->m->layers[layer][which], n, X, Y));
	if (a)
		TRY(adapter_forward(&a->layers[layer][which], n, X, &p->adapter, Y));
	if (w->layers[layer].bias[which]) {
		weights_products(&w->shape, shapes);
		bias_forward(n, shapes[which].n_out, w->data + w->layers[layer].bias[which], Y);
	}
	return OK;
}

struct layer_rows { /* rows at .. at+n-1 of the batch, in a layer */
	int                      layer, n;
	size_t                   at;
	const struct tape_layer *s;
};

/* What goes into a branch of the layer: x [T x D] of the whole batch, normed where the kind norms
 * it. Returns where the rows stand. */
static const float *branch_input(const struct transformer_forward *p, const struct layer_rows *r,
                                 enum branch branch, const float *x)
{
	struct norm_offsets at = p->m->weights.layers[r->layer].before[branch];
	const float        *rows = x + r->at * (size_t)p->m->weights.shape.width;

	if (!at.gain)
		return rows;
	norm_rows(p->m, at, r->n, rows, p->h, r->s->r_before[branch] + r->at);
	return p->h;
}

/* Where the last product of a branch goes: what a norm behind it takes is kept. */
static float *branch_output(const struct transformer_forward *p, const struct layer_rows *r,
                            enum branch branch)
{
	return p->keeps && r->s->y[branch]
	               ? r->s->y[branch] + r->at * (size_t)p->m->weights.shape.width
	               : p->y;
}

/* The rows of a branch's last product, normed where the kind norms them. */
static const float *branch_result(const struct transformer_forward *p, const struct layer_rows *r,
                                  enum branch branch)
{
	struct norm_offsets at = p->m->weights.layers[r->layer].behind[branch];
	const float        *y = branch_output(p, r, branch);

	if (!at.gain)
		return y;
	norm_rows(p->m, at, r->n, y, p->h, p->keeps ? r->s->r_behind[branch] + r->at : NULL);
	return p->h;
}

/* out = x + what the branch gives; both [T x D] of the whole batch */
static void branch_add(const struct transformer_forward *p, const struct layer_rows *r,
                       enum branch branch, const float *x, float *out)
{
	size_t first = r->at * (size_t)p->m->weights.shape.width;

	add_rows(p->m, r->n, x + first, branch_result(p, r, branch), out + first);
}

/* qkv of the rows, and what the kind does to it before it is rotated */
static int project_qkv(const struct transformer_forward *p, const struct layer_rows *r)
{
	const struct model_shape *shape = &p->m->weights.shape;
	struct qknorm             norm = qk_norm(p->m, r->layer);
	size_t                    groups = (size_t)(norm.q.n + norm.k.n);
	size_t floats = (size_t)((shape->n_heads + shape->n_kv_heads) * shape->head_width);
	float *qkv = r->s->qkv + r->at * norm.stride;

	TRY(product_forward(p, r->layer, PRODUCT_QKV, r->n,
	                    branch_input(p, r, BRANCH_ATTENTION, r->s->x), qkv));
	if (p->m->weights.layers[r->layer].qk_norm)
		qknorm_forward(&norm, r->n, shape->norm_eps, qkv,
		               p->keeps ? r->s->qk_raw + r->at * floats : NULL,
		               p->keeps ? r->s->r_qk + r->at * groups : NULL);
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

/* x_mid = x + attention(norm(x)) */
static int forward_attention(const struct transformer_forward *p, int layer,
                             const struct tape_layer *s)
{
	const struct model_shape *shape = &p->m->weights.shape;
	int    T = p->b->n_tokens, H = shape->n_heads, K = shape->n_kv_heads, E = shape->head_width;
	size_t qkv_row = (size_t)(H + 2 * K) * (size_t)E, o_row = (size_t)H * (size_t)E;

	for (int t = 0; t < T; t += CHUNK_ROWS)
		TRY(project_qkv(p, &(struct layer_rows){layer, chunk_rows(T - t), (size_t)t, s}));
	rotate(p->m, layer, p->b, +1, s->qkv);
	if (matmul_is_bf16(p->m->mm))
		round_keys_values(T, (size_t)(H * E), qkv_row, s->qkv);
	attention_forward(shape,
	                  &(struct attention_input){.b = p->b,
	                                            .qkv = s->qkv,
	                                            .cache = p->cache,
	                                            .layer = p->cache->n_layers == 1 ? 0 : layer,
	                                            .window = kind_window(shape, layer)},
	                  p->room, s->o, s->lse);
	for (int t = 0; t < T; t += CHUNK_ROWS) {
		struct layer_rows r = {layer, chunk_rows(T - t), (size_t)t, s};
		TRY(product_forward(p, layer, PRODUCT_O, r.n, s->o + r.at * o_row,
		                    branch_output(p, &r, BRANCH_ATTENTION)));
		branch_add(p, &r, BRANCH_ATTENTION, s->x, s->x_mid);
	}
	return OK;
}

/* The first product of the feed-forward part; returns where it stands. */
static int project_gate_up(const struct transformer_forward *p, const struct layer_rows *r,
                           float **out)
{
	*out = r->s->gate_up +
	       (p->keeps ? r->at * (size_t)kind_inner_width(&p->m->weights.shape) : 0);
	return product_forward(p, r->layer, PRODUCT_GATE_UP, r->n,
	                       branch_input(p, r, BRANCH_MLP, r->s->x_mid), *out);
}

/* Both products, and what stands between them. */
static int project_mlp(const struct transformer_forward *p, const struct layer_rows *r)
{
	float *gate_up;

	TRY(project_gate_up(p, r, &gate_up));
	mlp_of(p->m)->forward(r->n, p->m->weights.shape.ff_width, gate_up, p->act);
	return product_forward(p, r->layer, PRODUCT_DOWN, r->n, p->act,
	                       branch_output(p, r, BRANCH_MLP));
}

/* x_out = x_mid + mlp(norm(x_mid)) */
static int forward_mlp(const struct transformer_forward *p, int layer, const struct tape_layer *s,
                       float *x_out)
{
	int T = p->b->n_tokens;

	for (int t = 0; t < T; t += CHUNK_ROWS) {
		struct layer_rows r = {layer, chunk_rows(T - t), (size_t)t, s};
		TRY(project_mlp(p, &r));
		branch_add(p, &r, BRANCH_MLP, s->x_mid, x_out);
	}
	return OK;
}

/* All of a layer's state from its x. */
static int forward_again(const struct transformer_forward *p, int layer, const struct tape_layer *s)
{
	int    T = p->b->n_tokens;
	float *gate_up;

	TRY(forward_attention(p, layer, s));
	for (int t = 0; t < T; t += CHUNK_ROWS) {
		struct layer_rows r = {layer, chunk_rows(T - t), (size_t)t, s};
		if (!kind_has(&p->m->weights.shape, PART_NORM_BEHIND)) {
			TRY(project_gate_up(p, &r, &gate_up));
			continue;
		}
		TRY(project_mlp(p, &r));
		branch_result(p, &r, BRANCH_MLP);
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
	TRY(arena_take(a, rows, "the norms of a layer", &out->r_before[BRANCH_ATTENTION]));
	out->r_before[BRANCH_MLP] = out->r_before[BRANCH_ATTENTION];
	TRY(arena_take(a, rows * (queries + 2 * keys), "the state of a layer", &out->qkv));
	TRY(arena_take(a, rows * queries, "the state of a layer", &out->o));
	return arena_take(a, (size_t)chunk_rows(T) * (size_t)kind_inner_width(s),
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
	norm_rows(p->m, p->m->weights.norm_final, p->b->n_tokens, x, hidden,
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
 * outputs of the norms before a branch and silu(g) * u; all that a layer computed, where the tape
 * holds only its x. */

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
	float                 *h, *dh, *d_y;
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

/* The gradient of a bias, or of what is added like one: the sum over the unit's rows. */
static void backward_bias(const struct transformer_backward *p, struct transformer_rows r,
                          size_t at, int width, const float *dy)
{
	if (!at || p->m->adapter)
		return;
	bias_gradient(r.n, width, dy, gradient_slot(p->g, r.unit, at, (size_t)width));
	gradient_merge(p->g, r.unit, at, (size_t)width);
}

/* dX = dY W, and the gradient of what learns: of W, dY^T X, and its bias, or of the adapter. */
static int product_backward(const struct transformer_backward *p, int layer, enum product which,
                            struct transformer_rows r, struct product_rows x)
{
	const struct layer_offsets *offsets = &p->m->weights.layers[layer];
	size_t                      at = offsets->product[which], count;
	struct product_shape        shapes[LAYER_PRODUCTS], *s = &shapes[which];

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
	backward_bias(p, r, offsets->bias[which], s->n_out, x.dY);
	return OK;
}

struct norm {
	struct norm_offsets at; /* in the weights */
	const float *x, *r;     /* its input and what its forward pass kept; of the whole batch */
};

/* From the gradient of a norm's output: ADDS to dx of the rows, and the gain's and the bias's
 * gradient to the unit. */
static void backward_norm(const struct transformer_backward *p, struct transformer_rows r,
                          struct norm n, const float *dh, float *dx)
{
	struct rownorm norm = norm_of(p->m, n.at);
	size_t         D = (size_t)norm.D, first = r.first * D;

	if (!p->m->adapter) {
		rownorm_gradient(&norm, r.n, n.x + first, n.r + r.first, dh,
		                 gradient_slot(p->g, r.unit, n.at.gain, D));
		gradient_merge(p->g, r.unit, n.at.gain, D);
	}
	backward_bias(p, r, n.at.bias, norm.D, dh);
	rownorm_backward_add(&norm, r.n, n.x + first, n.r + r.first, dh, dx);
}

/* The rows of the stream's gradient. */
static float *stream_rows(const struct transformer_backward *p, struct transformer_rows r)
{
	return p->dx + r.first * (size_t)p->m->weights.shape.width;
}

/* The gradient of what the last product of a branch gave: that of the stream, scaled, and back
 * through the norm behind the product, where there is one. */
static const float *branch_leave_back(const struct transformer_backward *p, int layer,
                                      enum branch branch, struct transformer_rows r)
{
	struct norm  behind = {p->m->weights.layers[layer].behind[branch], p->state.y[branch],
	                       p->state.r_behind[branch]};
	double       scale = p->m->weights.shape.scales.residual;
	size_t       n = (size_t)r.n * (size_t)p->m->weights.shape.width;
	const float *dx = stream_rows(p, r);

	if (scale) {
#pragma omp parallel for schedule(static)
		for (size_t i = 0; i < n; i++)
			p->dh[i] = (float)scale * dx[i];
		dx = p->dh;
	}
	if (!behind.at.gain)
		return dx;
	memset(p->d_y, 0, n * sizeof *p->d_y);
	backward_norm(p, r, behind, dx, p->d_y);
	return p->d_y;
}

/* What went into a branch, computed again: x [T x D] of the whole batch, normed where the kind
 * norms it. */
static const float *branch_input_again(const struct transformer_backward *p, int layer,
                                       enum branch branch, struct transformer_rows r,
                                       const float *x)
{
	struct norm_offsets at = p->m->weights.layers[layer].before[branch];
	const float        *rows = x + r.first * (size_t)p->m->weights.shape.width;

	if (!at.gain)
		return rows;
	norm_rows(p->m, at, r.n, rows, p->h, NULL);
	return p->h;
}

/* dh, the gradient of what went into a branch, goes to the stream. */
static void branch_enter_back(const struct transformer_backward *p, int layer, enum branch branch,
                              struct transformer_rows r, const float *x)
{
	struct norm before = {p->m->weights.layers[layer].before[branch], x,
	                      p->state.r_before[branch]};
	size_t      n = (size_t)r.n * (size_t)p->m->weights.shape.width;
	float      *dx = stream_rows(p, r);

	if (before.at.gain) {
		backward_norm(p, r, before, p->dh, dx);
		return;
	}
#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < n; i++)
		dx[i] += p->dh[i];
}

static int backward_mlp_unit(const struct transformer_backward *p, int layer,
                             struct transformer_rows r)
{
	const struct model_shape *s = &p->m->weights.shape;
	const float *gate_up = p->state.gate_up + r.first * (size_t)kind_inner_width(s),
	            *x = p->state.x_mid;

	mlp_of(p->m)->forward(r.n, s->ff_width, gate_up, p->act);
	TRY(product_backward(p, layer, PRODUCT_DOWN, r,
	                     (struct product_rows){p->act,
	                                           branch_leave_back(p, layer, BRANCH_MLP, r),
	                                           p->d_act}));
	mlp_of(p->m)->backward(r.n, s->ff_width, gate_up, p->d_act, p->d_gate_up);
	TRY(product_backward(p, layer, PRODUCT_GATE_UP, r,
	                     (struct product_rows){branch_input_again(p, layer, BRANCH_MLP, r, x),
	                                           p->d_gate_up, p->dh}));
	branch_enter_back(p, layer, BRANCH_MLP, r, x);
	return OK;
}

/* dx -> d_o */
static int backward_output_unit(const struct transformer_backward *p, int layer,
                                struct transformer_rows r)
{
	const struct model_shape *s = &p->m->weights.shape;
	size_t                    at = r.first * (size_t)(s->n_heads * s->head_width);

	return product_backward(
	        p, layer, PRODUCT_O, r,
	        (struct product_rows){p->state.o + at,
	                              branch_leave_back(p, layer, BRANCH_ATTENTION, r),
	                              p->d_o + at});
}

/* d_qkv, rotated back, becomes the gradient of the product, back through the norms of q and k where
 * the kind has them. */
static void backward_qk_norm(const struct transformer_backward *p, int layer,
                             struct transformer_rows r)
{
	const struct model_shape *s = &p->m->weights.shape;
	struct qknorm             norm = qk_norm(p->m, layer);
	size_t                    at = p->m->weights.layers[layer].qk_norm,
	       gains = (size_t)(norm.q.width + norm.k.width),
	       floats = (size_t)((s->n_heads + s->n_kv_heads) * s->head_width);
	const float *raw = p->state.qk_raw + r.first * floats,
	            *factor = p->state.r_qk + r.first * (size_t)(norm.q.n + norm.k.n);
	float *d_qkv = p->d_qkv + r.first * norm.stride;

	if (!p->m->adapter) {
		qknorm_gradient(&norm, r.n, raw, factor, d_qkv,
		                gradient_slot(p->g, r.unit, at, gains));
		gradient_merge(p->g, r.unit, at, gains);
	}
	qknorm_backward(&norm, r.n, raw, factor, d_qkv);
}

/* d_qkv -> dx */
static int backward_qkv_unit(const struct transformer_backward *p, int layer,
                             struct transformer_rows r)
{
	const struct model_shape *s = &p->m->weights.shape;
	const float              *d_qkv =
	        p->d_qkv + r.first * (size_t)((s->n_heads + 2 * s->n_kv_heads) * s->head_width);

	if (p->m->weights.layers[layer].qk_norm)
		backward_qk_norm(p, layer, r);
	TRY(product_backward(
	        p, layer, PRODUCT_QKV, r,
	        (struct product_rows){branch_input_again(p, layer, BRANCH_ATTENTION, r, p->state.x),
	                              d_qkv, p->dh}));
	branch_enter_back(p, layer, BRANCH_ATTENTION, r, p->state.x);
	return OK;
}

/* One layer of one piece. */
static int backward_piece(const struct transformer_backward *p, int layer)
{
	const struct model_shape *s = &p->m->weights.shape;
	struct attention_kept     kept = {p->state.qkv, p->state.o, p->state.lse,
	                                  kind_window(s, layer)};

	for (int u = 0; u < p->b->n_units; u++) {
		TRY(backward_mlp_unit(p, layer, unit_rows(p, u)));
		TRY(backward_output_unit(p, layer, unit_rows(p, u)));
	}
	TRY(attention_backward(s, p->b, &kept, p->d_o, p->a, p->d_qkv));
	rotate(p->m, layer, p->b, -1, p->d_qkv);
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
	return m->adapter ? adapter_span(m->adapter, layer) : m->weights.layers[layer].span;
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

/* ---- tables: the embedding, the learned positions ----
 *
 * Of a table each token takes one row, by its id or by its position. */

struct table_rows {
	size_t at; /* in the weights */
	size_t n;
	int    by_position;
};

static int transformer_by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The tokens of the pass, those of each unit by themselves in the order of (row, place in the
 * piece). */
static void backward_sort_tokens(const struct transformer_backward *p, const struct table_rows *t,
                                 uint64_t *order)
{
	for (int i = 0; i < p->tape->n_pieces; i++) {
		const struct packing *b = p->tape->pieces[i].packing;
		const int            *row = t->by_position ? b->position : b->token;
		for (int k = 0; k < b->n_tokens; k++)
			order[k] = (uint64_t)row[k] << 32 | (uint64_t)k;
		for (int u = 0; u < b->n_units; u++)
			qsort(order + b->unit_token[u],
			      (size_t)(b->unit_token[u + 1] - b->unit_token[u]), sizeof *order,
			      transformer_by_value);
		order += b->n_tokens;
	}
}

/* Rows first .. first+n-1 of a table at `at`: those that the unit uses get the sum of dx over their
 * tokens in order, all others 0. order: of the piece. */
static void backward_table_unit(const struct transformer_backward *p, struct transformer_rows r,
                                const uint64_t *order, struct table_rows window, size_t first)
{
	size_t D = (size_t)p->m->weights.shape.width, n = window.n, at = window.at + first * D;
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
static size_t table_rows_at_once(const struct model_shape *s, size_t n)
{
	size_t most = ((size_t)1 << 22) / (size_t)s->width + 1;

	return n < most ? n : most;
}

static int backward_table(struct transformer_backward *p, const struct table_rows *t,
                          uint64_t *order)
{
	size_t D = (size_t)p->m->weights.shape.width,
	       most = table_rows_at_once(&p->m->weights.shape, t->n);

	backward_sort_tokens(p, t, order);
	for (size_t first = 0, n; first < t->n; first += n) {
		n = t->n - first < most ? t->n - first : most;
		TRY(gradient_open(p->g, t->at + first * D, n * D));
		for (int i = 0; i < p->tape->n_pieces; i++) {
			const struct tape_piece *piece = &p->tape->pieces[i];
			backward_turn_to(p, piece);
			for (int u = 0; u < p->b->n_units; u++)
				backward_table_unit(p, unit_rows(p, u), order + piece->first,
				                    (struct table_rows){t->at, n, 0}, first);
		}
		gradient_close(p->g);
	}
	return OK;
}

/* The positions first: what they get is not scaled. */
static int backward_tables(struct transformer_backward *p)
{
	const struct weights *w = &p->m->weights;
	size_t                n = (size_t)p->tape->n_tokens * (size_t)w->shape.width;
	float                 scale = (float)kind_embedding_scale(&w->shape);
	struct table_rows     embed = {w->embed, (size_t)w->shape.n_vocab, 0},
	                  positions = {w->positions, (size_t)w->shape.n_positions, 1};
	uint64_t *order;

	TRY(arena_take(p->a, (size_t)p->tape->n_tokens, "the order of the tokens", &order));
	if (w->positions)
		TRY(backward_table(p, &positions, order));
	for (size_t i = 0; scale != 1 && i < n; i++)
		p->dx_all[i] *= scale;
	return backward_table(p, &embed, order);
}

/* ---- the whole ---- */

size_t model_window(const struct model *m)
{
	const struct model_shape *s = &m->weights.shape;
	int    longest = s->n_vocab > s->n_positions ? s->n_vocab : s->n_positions;
	size_t most = m->adapter ? 0 : table_rows_at_once(s, (size_t)longest) * (size_t)s->width;

	for (int i = 0; i < s->n_layers; i++)
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
	if (kind_has(s, PART_NORM_BEHIND))
		TRY(arena_take(p->a, rows * D, "the backward pass of a layer", &p->d_y));
	TRY(arena_take(p->a, rows * F, "the scratch of a layer", &p->act));
	TRY(arena_take(p->a, rows * F, "the backward pass of a layer", &p->d_act));
	TRY(arena_take(p->a, rows * (size_t)kind_inner_width(s), "the backward pass of a layer",
	               &p->d_gate_up));
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
		TRY(gradient_open(p->g, w->norm_final.gain, w->norm_final.bias ? 2 * D : D));
	for (int i = 0; i < p->tape->n_pieces; i++) {
		size_t      first = (size_t)p->tape->pieces[i].first;
		struct norm last = {w->norm_final, p->tape->x_final + first * D,
		                    p->tape->r_final + first};
		backward_turn_to(p, &p->tape->pieces[i]);
		for (int u = 0; u < p->b->n_units; u++)
			backward_norm(p, unit_rows(p, u), last,
			              d_hidden + (first + unit_rows(p, u).first) * D,
			              stream_rows(p, unit_rows(p, u)));
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
	return p->m->adapter ? OK : backward_tables(p);
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
