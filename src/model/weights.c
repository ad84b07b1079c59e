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
enum weights_side { ONE, WIDTH, VOCAB, POSITIONS, QUERIES, KEYS, QKV, HEAD, FF, INNER };

struct row {
	const char       *name, *gpt2_name; /* NULL: there is none under these names */
	enum tensor_kind  kind;
	enum weights_side rows, columns;
	int               into_residual;
	unsigned          with, without; /* parts of the kinds that have it */
	size_t            at;            /* where its offset goes */
};

#define NOWHERE ((size_t)-1) /* right behind the row before */
#define OF_MODEL(member) offsetof(struct weights, member)
#define OF_LAYER(member) offsetof(struct layer_offsets, member)

/* clang-format off */
static const struct row first_rows[] = {
	{"model.embed_tokens.weight", "transformer.wte.weight", TENSOR_EMBED, VOCAB, WIDTH, .at = OF_MODEL(embed)},
	{NULL, "transformer.wpe.weight", TENSOR_EMBED, POSITIONS, WIDTH, .at = OF_MODEL(positions)},
};
static const struct row last_rows[] = {
	{"model.norm.weight", "transformer.ln_f.weight", TENSOR_NORM, WIDTH, ONE, .at = OF_MODEL(norm_final.gain)},
	{NULL, "transformer.ln_f.bias", TENSOR_BIAS, WIDTH, ONE, .at = OF_MODEL(norm_final.bias)},
};
static const struct row head_row = {"lm_head.weight", "lm_head.weight", TENSOR_HEAD, VOCAB, WIDTH,
                                    .at = OF_MODEL(head)};
static const struct row layer_rows[] = {
	{"input_layernorm.weight", "ln_1.weight", TENSOR_NORM, WIDTH, ONE, .with = PART_NORM_BEFORE,
	 .at = OF_LAYER(before[BRANCH_ATTENTION].gain)},
	{NULL, "ln_1.bias", TENSOR_BIAS, WIDTH, ONE, .at = OF_LAYER(before[BRANCH_ATTENTION].bias)},
	{"self_attn.q_proj.weight", NULL, TENSOR_LINEAR, QUERIES, WIDTH, .without = PART_FUSED,
	 .at = OF_LAYER(product[PRODUCT_QKV])},
	{"self_attn.k_proj.weight", NULL, TENSOR_LINEAR, KEYS, WIDTH, .without = PART_FUSED, .at = NOWHERE},
	{"self_attn.v_proj.weight", NULL, TENSOR_LINEAR, KEYS, WIDTH, .without = PART_FUSED, .at = NOWHERE},
	{"self_attn.qkv_proj.weight", "attn.c_attn.weight", TENSOR_LINEAR, QKV, WIDTH, .with = PART_FUSED,
	 .at = OF_LAYER(product[PRODUCT_QKV])},
	{"self_attn.q_proj.bias", NULL, TENSOR_BIAS, QUERIES, ONE, .with = PART_QKV_BIAS,
	 .at = OF_LAYER(bias[PRODUCT_QKV])},
	{"self_attn.k_proj.bias", NULL, TENSOR_BIAS, KEYS, ONE, .with = PART_QKV_BIAS, .at = NOWHERE},
	{"self_attn.v_proj.bias", NULL, TENSOR_BIAS, KEYS, ONE, .with = PART_QKV_BIAS, .at = NOWHERE},
	{NULL, "attn.c_attn.bias", TENSOR_BIAS, QKV, ONE, .at = OF_LAYER(bias[PRODUCT_QKV])},
	{"self_attn.q_norm.weight", NULL, TENSOR_NORM, HEAD, ONE, .with = PART_QK_NORM, .at = OF_LAYER(qk_norm)},
	{"self_attn.k_norm.weight", NULL, TENSOR_NORM, HEAD, ONE, .with = PART_QK_NORM, .at = NOWHERE},
	{"self_attn.q_norm.weight", NULL, TENSOR_NORM, QUERIES, ONE, .with = PART_QK_NORM_ALL,
	 .at = OF_LAYER(qk_norm)},
	{"self_attn.k_norm.weight", NULL, TENSOR_NORM, KEYS, ONE, .with = PART_QK_NORM_ALL, .at = NOWHERE},
	{"self_attn.o_proj.weight", "attn.c_proj.weight", TENSOR_LINEAR, WIDTH, QUERIES, 1,
	 .at = OF_LAYER(product[PRODUCT_O])},
	{NULL, "attn.c_proj.bias", TENSOR_BIAS, WIDTH, ONE, .at = OF_LAYER(bias[PRODUCT_O])},
	{"post_attention_layernorm.weight", NULL, TENSOR_NORM, WIDTH, ONE, .with = PART_NORM_BEHIND,
	 .at = OF_LAYER(behind[BRANCH_ATTENTION].gain)},
	{"post_attention_layernorm.weight", "ln_2.weight", TENSOR_NORM, WIDTH, ONE, .without = PART_NORM_BEHIND,
	 .at = OF_LAYER(before[BRANCH_MLP].gain)},
	{"pre_feedforward_layernorm.weight", NULL, TENSOR_NORM, WIDTH, ONE,
	 .with = PART_NORM_BEFORE | PART_NORM_BEHIND, .at = OF_LAYER(before[BRANCH_MLP].gain)},
	{NULL, "ln_2.bias", TENSOR_BIAS, WIDTH, ONE, .at = OF_LAYER(before[BRANCH_MLP].bias)},
	{"mlp.gate_proj.weight", NULL, TENSOR_LINEAR, FF, WIDTH, .without = PART_FUSED,
	 .at = OF_LAYER(product[PRODUCT_GATE_UP])},
	{"mlp.up_proj.weight", NULL, TENSOR_LINEAR, FF, WIDTH, .without = PART_FUSED, .at = NOWHERE},
	{"mlp.gate_up_proj.weight", "mlp.c_fc.weight", TENSOR_LINEAR, INNER, WIDTH, .with = PART_FUSED,
	 .at = OF_LAYER(product[PRODUCT_GATE_UP])},
	{NULL, "mlp.c_fc.bias", TENSOR_BIAS, INNER, ONE, .at = OF_LAYER(bias[PRODUCT_GATE_UP])},
	{"mlp.down_proj.weight", "mlp.c_proj.weight", TENSOR_LINEAR, WIDTH, FF, 1,
	 .at = OF_LAYER(product[PRODUCT_DOWN])},
	{NULL, "mlp.c_proj.bias", TENSOR_BIAS, WIDTH, ONE, .at = OF_LAYER(bias[PRODUCT_DOWN])},
	{"post_feedforward_layernorm.weight", NULL, TENSOR_NORM, WIDTH, ONE, .with = PART_NORM_BEHIND,
	 .at = OF_LAYER(behind[BRANCH_MLP].gain)},
};
/* clang-format on */

enum {
	FIRST_TENSORS = sizeof first_rows / sizeof *first_rows,
	LAYER_TENSORS = sizeof layer_rows / sizeof *layer_rows,
	LAST_TENSORS = sizeof last_rows / sizeof *last_rows,
};

/* What a row of the table of tensors calls a side, in this shape. */
static int side_length(const struct model_shape *s, enum weights_side side)
{
	switch (side) {
	case WIDTH:
		return s->width;
	case VOCAB:
		return s->n_vocab;
	case POSITIONS:
		return s->n_positions;
	case QUERIES:
		return s->n_heads * s->head_width;
	case KEYS:
		return s->n_kv_heads * s->head_width;
	case QKV:
		return (s->n_heads + 2 * s->n_kv_heads) * s->head_width;
	case HEAD:
		return s->head_width;
	case FF:
		return s->ff_width;
	case INNER:
		return kind_inner_width(s);
	case ONE:
		break;
	}
	return 1;
}

static const char *row_name(const struct model_shape *s, const struct row *r)
{
	return kind_has(s, PART_GPT2) ? r->gpt2_name : r->name;
}

/* 0 when the kind has no such tensor */
static size_t row_count(const struct model_shape *s, const struct row *r)
{
	unsigned parts = kind_of(s)->parts;

	if (!row_name(s, r) || (parts & r->with) != r->with || parts & r->without)
		return 0;
	return (size_t)side_length(s, r->rows) * (size_t)side_length(s, r->columns);
}

static size_t rows_count(const struct model_shape *s, const struct row *rows, int n)
{
	size_t count = 0;

	for (int i = 0; i < n; i++)
		count += row_count(s, &rows[i]);
	return count;
}

size_t weights_count(const struct model_shape *s)
{
	return rows_count(s, first_rows, FIRST_TENSORS) +
	       (size_t)s->n_layers * rows_count(s, layer_rows, LAYER_TENSORS) +
	       rows_count(s, last_rows, LAST_TENSORS) + (s->tied ? 0 : row_count(s, &head_row));
}

void weights_products(const struct model_shape *s, struct product_shape out[LAYER_PRODUCTS])
{
	int queries = side_length(s, QUERIES);

	out[PRODUCT_QKV] = (struct product_shape){side_length(s, QKV), s->width};
	out[PRODUCT_O] = (struct product_shape){s->width, queries};
	out[PRODUCT_GATE_UP] = (struct product_shape){kind_inner_width(s), s->width};
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
	        {"num_hidden_layers", s->n_layers, SHAPE_LAYERS_MAX},
	        {"hidden_size", s->width, 1 << 16},
	        {"num_attention_heads", s->n_heads, 1 << 10},
	        {"num_key_value_heads", s->n_kv_heads, 1 << 10},
	        {"head_dim", s->head_width, HEAD_WIDTH_MAX},
	        {"intermediate_size", s->ff_width, 1 << 18},
	        {"vocab_size", s->n_vocab, 1 << 21},
	        {"max_position_embeddings", s->n_positions, 1 << 22},
	};

	const struct {
		const char *name;
		double      value;
	} scales[] = {
	        {"rms_norm_eps", s->norm_eps},
	        {"embedding_multiplier", s->scales.embedding},
	        {"residual_multiplier", s->scales.residual},
	        {"attention_multiplier", s->scales.score},
	        {"query_pre_attn_scalar", s->scales.query_width},
	        {"attn_logit_softcapping", s->scales.score_cap},
	        {"logits_scaling", s->scales.logit_divisor},
	        {"final_logit_softcapping", s->scales.logit_cap},
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
	for (size_t i = 0; i < sizeof scales / sizeof *scales; i++)
		if (!(scales[i].value >= 0) || !isfinite(scales[i].value))
			return error_set(ERR_INPUT,
			                 "model shape: %s is %g; it must not be negative",
			                 scales[i].name, scales[i].value);
	return rope_check(s);
}

/* ---- making ---- */

/* Appends a tensor to the table, if the kind has it, and writes its offset into `offsets`. */
static void weights_add_tensor(struct weights *w, const struct row *r, int layer, void *offsets)
{
	size_t         count = row_count(&w->shape, r);
	const char    *name = row_name(&w->shape, r);
	struct tensor *t = &w->tensors[w->n_tensors];

	if (count == 0)
		return;
	w->n_tensors++;
	t->kind = r->kind;
	t->n_dims = r->kind == TENSOR_NORM || r->kind == TENSOR_BIAS ? 1 : 2;
	t->into_residual = r->into_residual;
	t->transposed = r->kind == TENSOR_LINEAR && kind_has(&w->shape, PART_GPT2);
	t->rows = side_length(&w->shape, r->rows);
	t->columns = side_length(&w->shape, r->columns);
	t->offset = w->n;
	t->count = count;
	if (layer >= 0)
		snprintf(t->name, sizeof t->name, "%s.%d.%s",
		         kind_has(&w->shape, PART_GPT2) ? "transformer.h" : "model.layers", layer,
		         name);
	else
		snprintf(t->name, sizeof t->name, "%s", name);
	w->n += t->count;
	if (r->at != NOWHERE)
		*(size_t *)(void *)((char *)offsets + r->at) = t->offset;
}

static void add_layer(struct weights *w, int layer)
{
	size_t first = w->n;

	w->layers[layer] = (struct layer_offsets){0};
	for (int i = 0; i < LAYER_TENSORS; i++)
		weights_add_tensor(w, &layer_rows[i], layer, &w->layers[layer]);
	w->layers[layer].span = (struct weights_span){first, w->n - first};
}

static void add_all(struct weights *w)
{
	for (int i = 0; i < FIRST_TENSORS; i++)
		weights_add_tensor(w, &first_rows[i], -1, w);
	for (int i = 0; i < w->shape.n_layers; i++)
		add_layer(w, i);
	for (int i = 0; i < LAST_TENSORS; i++)
		weights_add_tensor(w, &last_rows[i], -1, w);
	if (w->shape.tied)
		w->head = w->embed;
	else
		weights_add_tensor(w, &head_row, -1, w);
	assert(w->embed == 0 && w->n == weights_count(&w->shape));
}

static int weights_take(const struct model_shape *shape, struct weights *w)
{
	size_t n_layers = (size_t)shape->n_layers;

	TRY(mem_take(n_layers * LAYER_TENSORS + FIRST_TENSORS + LAST_TENSORS + 1,
	             "the table of tensors", &w->tensors));
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
	add_all(&w);
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

static float init_value(const struct weights *w, enum tensor_kind kind, double deviation,
                        struct rng_key key, size_t i)
{
	if (kind == TENSOR_NORM || kind == TENSOR_BIAS)
		return kind == TENSOR_NORM && kind_of(&w->shape)->norm != NORM_RMS_ONE;
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
		x[i] = init_value(w, t->kind, deviation, key, i);
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
