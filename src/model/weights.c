#include "model/weights.h"

#include "base/error.h"
#include "model/kind.h"
#include "model/rope.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the table of tensors ---- */

/* what a side of a tensor measures */
enum weights_side { ONE, WIDTH, VOCAB, QUERIES, KEYS, HEAD, FF };

struct row {
	const char       *name;
	enum tensor_kind  kind;
	enum weights_side rows, columns;
	int               into_residual;
	int               part; /* of the kinds that have it; 0: of all */
};

enum {
	IN_NORM_ATTN,
	IN_Q,
	IN_K,
	IN_V,
	IN_Q_BIAS,
	IN_K_BIAS,
	IN_V_BIAS,
	IN_Q_NORM,
	IN_K_NORM,
	IN_O,
	IN_NORM_MLP,
	IN_GATE,
	IN_UP,
	IN_DOWN,
	LAYER_TENSORS
};

static const struct row embed_row = {"model.embed_tokens.weight", TENSOR_EMBED, VOCAB, WIDTH, 0, 0};
static const struct row norm_row = {"model.norm.weight", TENSOR_NORM, WIDTH, ONE, 0, 0};
static const struct row head_row = {"lm_head.weight", TENSOR_HEAD, VOCAB, WIDTH, 0, 0};
static const struct row layer_rows[LAYER_TENSORS] = {
        [IN_NORM_ATTN] = {"input_layernorm.weight", TENSOR_NORM, WIDTH, ONE, 0, 0},
        [IN_Q] = {"self_attn.q_proj.weight", TENSOR_LINEAR, QUERIES, WIDTH, 0, 0},
        [IN_K] = {"self_attn.k_proj.weight", TENSOR_LINEAR, KEYS, WIDTH, 0, 0},
        [IN_V] = {"self_attn.v_proj.weight", TENSOR_LINEAR, KEYS, WIDTH, 0, 0},
        [IN_Q_BIAS] = {"self_attn.q_proj.bias", TENSOR_BIAS, QUERIES, ONE, 0, PART_QKV_BIAS},
        [IN_K_BIAS] = {"self_attn.k_proj.bias", TENSOR_BIAS, KEYS, ONE, 0, PART_QKV_BIAS},
        [IN_V_BIAS] = {"self_attn.v_proj.bias", TENSOR_BIAS, KEYS, ONE, 0, PART_QKV_BIAS},
        [IN_Q_NORM] = {"self_attn.q_norm.weight", TENSOR_NORM, HEAD, ONE, 0, PART_QK_NORM},
        [IN_K_NORM] = {"self_attn.k_norm.weight", TENSOR_NORM, HEAD, ONE, 0, PART_QK_NORM},
        [IN_O] = {"self_attn.o_proj.weight", TENSOR_LINEAR, WIDTH, QUERIES, 1, 0},
        [IN_NORM_MLP] = {"post_attention_layernorm.weight", TENSOR_NORM, WIDTH, ONE, 0, 0},
        [IN_GATE] = {"mlp.gate_proj.weight", TENSOR_LINEAR, FF, WIDTH, 0, 0},
        [IN_UP] = {"mlp.up_proj.weight", TENSOR_LINEAR, FF, WIDTH, 0, 0},
        [IN_DOWN] = {"mlp.down_proj.weight", TENSOR_LINEAR, WIDTH, FF, 1, 0},
};

/* What a row of the table of tensors calls a side, in this shape. */
static int side_length(const struct model_shape *s, enum weights_side side)
{
	switch (side) {
	case WIDTH:
		return s->width;
	case VOCAB:
		return s->n_vocab;
	case QUERIES:
		return s->n_heads * s->head_width;
	case KEYS:
		return s->n_kv_heads * s->head_width;
	case HEAD:
		return s->head_width;
	case FF:
		return s->ff_width;
	case ONE:
		break;
	}
	return 1;
}

/* 0 when the kind has no such tensor */
static size_t row_count(const struct model_shape *s, const struct row *r)
{
	if (r->part && !kind_has(s, (enum kind_part)r->part))
		return 0;
	return (size_t)side_length(s, r->rows) * (size_t)side_length(s, r->columns);
}

size_t weights_count(const struct model_shape *s)
{
	size_t per_layer = 0;

	for (int i = 0; i < LAYER_TENSORS; i++)
		per_layer += row_count(s, &layer_rows[i]);
	return row_count(s, &embed_row) + (size_t)s->n_layers * per_layer +
	       row_count(s, &norm_row) + (s->tied ? 0 : row_count(s, &head_row));
}

void weights_products(const struct model_shape *s, struct product_shape out[LAYER_PRODUCTS])
{
	int queries = side_length(s, QUERIES), keys = side_length(s, KEYS);

	out[PRODUCT_QKV] = (struct product_shape){queries + 2 * keys, s->width};
	out[PRODUCT_O] = (struct product_shape){s->width, queries};
	out[PRODUCT_GATE_UP] = (struct product_shape){2 * s->ff_width, s->width};
	out[PRODUCT_DOWN] = (struct product_shape){s->width, s->ff_width};
}

/* ---- the shape ---- */

/* The bounds keep every product of sizes far from the end of int and size_t; they are beyond the
 * models that fit a CPU. */
int weights_check_shape(const struct model_shape *s)
{
	const struct {
		const char *name; /* as in config.json */
		int         value, most;
	} sizes[] = {
	        {"num_hidden_layers", s->n_layers, 1 << 10},
	        {"hidden_size", s->width, 1 << 16},
	        {"num_attention_heads", s->n_heads, 1 << 10},
	        {"num_key_value_heads", s->n_kv_heads, 1 << 10},
	        {"head_dim", s->head_width, HEAD_WIDTH_MAX},
	        {"intermediate_size", s->ff_width, 1 << 18},
	        {"vocab_size", s->n_vocab, 1 << 21},
	        {"max_position_embeddings", s->n_positions, 1 << 22},
	};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (sizes[i].value < 1 || sizes[i].value > sizes[i].most)
			return error_set(ERR_INPUT,
			                 "model shape: %s is %d; it must be between 1 and %d",
			                 sizes[i].name, sizes[i].value, sizes[i].most);
	if (s->n_heads % s->n_kv_heads)
		return error_set(ERR_INPUT,
		                 "model shape: num_key_value_heads is %d; it must divide "
		                 "num_attention_heads, %d",
		                 s->n_kv_heads, s->n_heads);
	if (s->head_width % 2)
		return error_set(
		        ERR_INPUT,
		        "model shape: head_dim is %d; rotary positions need an even number",
		        s->head_width);
	if (!(s->norm_eps >= 0) || !isfinite(s->norm_eps))
		return error_set(ERR_INPUT,
		                 "model shape: rms_norm_eps is %g; it must not be negative",
		                 s->norm_eps);
	return rope_check(s);
}

/* ---- making ---- */

/* Appends a tensor to the table, if the kind has it; returns its offset. */
static size_t weights_add_tensor(struct weights *w, const struct row *r, int layer)
{
	size_t         count = row_count(&w->shape, r);
	struct tensor *t = &w->tensors[w->n_tensors];

	if (count == 0)
		return 0;
	w->n_tensors++;
	t->kind = r->kind;
	t->n_dims = r->kind == TENSOR_NORM || r->kind == TENSOR_BIAS ? 1 : 2;
	t->into_residual = r->into_residual;
	t->rows = side_length(&w->shape, r->rows);
	t->columns = side_length(&w->shape, r->columns);
	t->offset = w->n;
	t->count = count;
	if (layer >= 0)
		snprintf(t->name, sizeof t->name, "model.layers.%d.%s", layer, r->name);
	else
		snprintf(t->name, sizeof t->name, "%s", r->name);
	w->n += t->count;
	return t->offset;
}

static void add_layer(struct weights *w, int layer)
{
	size_t at[LAYER_TENSORS];

	for (int i = 0; i < LAYER_TENSORS; i++)
		at[i] = weights_add_tensor(w, &layer_rows[i], layer);
	w->layers[layer] =
	        (struct layer_offsets){.norm_attn = at[IN_NORM_ATTN],
	                               .norm_mlp = at[IN_NORM_MLP],
	                               .product = {at[IN_Q], at[IN_O], at[IN_GATE], at[IN_DOWN]},
	                               .qkv_bias = at[IN_Q_BIAS],
	                               .qk_norm = at[IN_Q_NORM]};
}

static int weights_take(const struct model_shape *shape, struct weights *w)
{
	size_t n_layers = (size_t)shape->n_layers;

	TRY(mem_take(n_layers * LAYER_TENSORS + 3, "the table of tensors", &w->tensors));
	TRY(mem_take(n_layers, "the table of layers", &w->layers));
	return mem_take(weights_count(shape), "the weights of the model", &w->data);
}

int weights_new(const struct model_shape *shape, struct weights *out)
{
	struct weights w = {.shape = *shape};
	int            status;

	*out = (struct weights){0};
	TRY(weights_check_shape(shape));
	status = weights_take(shape, &w);
	if (status != OK) {
		weights_free(&w);
		return status;
	}
	w.embed = weights_add_tensor(&w, &embed_row, -1);
	for (int i = 0; i < shape->n_layers; i++)
		add_layer(&w, i);
	w.norm_final = weights_add_tensor(&w, &norm_row, -1);
	w.head = shape->tied ? w.embed : weights_add_tensor(&w, &head_row, -1);
	assert(w.n == weights_count(shape));
	*out = w;
	return OK;
}

void weights_free(struct weights *w)
{
	mem_free(w->tensors);
	mem_free(w->layers);
	mem_free(w->data);
	*w = (struct weights){0};
}

static float init_value(enum tensor_kind kind, double deviation, struct rng_key key, size_t i)
{
	if (kind == TENSOR_NORM || kind == TENSOR_BIAS)
		return kind == TENSOR_NORM;
	key.sample = (uint32_t)(i >> 32);
	return (float)(deviation * rng_normal(key, (uint32_t)i));
}

static void init_tensor(struct weights *w, int tensor, uint64_t seed)
{
	const struct tensor *t = &w->tensors[tensor];
	double         deviation = t->into_residual ? 0.02 / sqrt(2.0 * w->shape.n_layers) : 0.02;
	struct rng_key key = {.seed = seed, .purpose = RNG_INIT, .item = (uint32_t)tensor};
	float         *x = w->data + t->offset;

#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < t->count; i++)
		x[i] = init_value(t->kind, deviation, key, i);
}

void weights_init(struct weights *w, uint64_t seed)
{
	for (int i = 0; i < w->n_tensors; i++)
		init_tensor(w, i, seed);
}

/* ---- looking ---- */

const struct tensor *weights_find(const struct weights *w, const char *name)
{
	for (int i = 0; i < w->n_tensors; i++)
		if (!strcmp(w->tensors[i].name, name))
			return &w->tensors[i];
	return NULL;
}

int weights_check_finite(const struct weights *w)
{
	size_t bad = w->n;

#pragma omp parallel for reduction(min : bad) schedule(static)
	for (size_t i = 0; i < w->n; i++)
		if (!isfinite(w->data[i]) && i < bad)
			bad = i;
	for (int i = 0; i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
		if (bad >= t->offset && bad - t->offset < t->count)
			return error_set(
			        ERR_INPUT,
			        "tensor %s holds %g at index %zu; the weights must be finite",
			        t->name, (double)w->data[bad], bad - t->offset);
	}
	return OK;
}
