#include "model/adapter.h"

#include "base/error.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what can be adapted ---- */

const char *const adapter_target_name[ADAPTER_TARGETS] = {
        "q_proj",    "k_proj",   "v_proj",       "o_proj", "gate_proj", "up_proj",
        "down_proj", "qkv_proj", "gate_up_proj", "c_attn", "c_fc",      "c_proj"};

int adapter_target(const char *name, unsigned *bit)
{
	for (int i = 0; i < ADAPTER_TARGETS; i++)
		if (!strcmp(name, adapter_target_name[i])) {
			*bit = 1u << i;
			return OK;
		}
	return error_set(ERR_INPUT,
	                 "no projection is named \"%.64s\"; known: q_proj, k_proj, v_proj, o_proj, "
	                 "gate_proj, up_proj, down_proj; of some kinds qkv_proj, gate_up_proj, "
	                 "c_attn, c_fc, c_proj",
	                 name);
}

/* Of "model.layers.0.self_attn.q_proj.weight", that is q_proj; 0: it is none. */
static unsigned target_bit(const struct tensor *t)
{
	const char *dot = strrchr(t->name, '.'), *leaf = dot;

	if (t->kind != TENSOR_LINEAR)
		return 0;
	while (leaf > t->name && leaf[-1] != '.')
		leaf--;
	for (int i = 0; i < ADAPTER_TARGETS; i++)
		if (strlen(adapter_target_name[i]) == (size_t)(dot - leaf) &&
		    !strncmp(leaf, adapter_target_name[i], (size_t)(dot - leaf)))
			return 1u << i;
	return 0;
}

static int is_target(const struct adapter_options *o, const struct tensor *t)
{
	return (o->targets & target_bit(t)) != 0;
}

unsigned adapter_targets_in(const struct weights *base)
{
	unsigned targets = 0;

	for (int i = 0; i < base->n_tensors; i++)
		targets |= target_bit(&base->tensors[i]);
	return targets;
}

size_t adapter_count(const struct adapter_options *o, const struct weights *base)
{
	size_t sides = 0;

	for (int i = 0; i < base->n_tensors; i++)
		if (is_target(o, &base->tensors[i]))
			sides += (size_t)base->tensors[i].rows + (size_t)base->tensors[i].columns;
	return sides * (size_t)o->rank;
}

int adapter_check(const struct adapter_options *o)
{
	if (o->rank < 1 || o->rank > ADAPTER_RANK_MAX)
		return error_set(ERR_INPUT,
		                 "\"r\" is %d; the rank of an adapter must be between 1 and %d",
		                 o->rank, ADAPTER_RANK_MAX);
	if (!(o->alpha > 0 && o->alpha <= 1e6))
		return error_set(ERR_INPUT,
		                 "\"lora_alpha\" is %g; it must lie above 0 and at most be 1e6",
		                 o->alpha);
	if (!o->targets)
		return error_set(
		        ERR_INPUT,
		        "\"target_modules\" names no projection: nothing would be adapted");
	return OK;
}

static float scale_of(const struct adapter_options *o)
{
	return (float)(o->alpha / (o->rslora ? sqrt(o->rank) : o->rank));
}

/* ---- making ---- */

static size_t adapter_add_tensor(struct weights *w, const struct tensor *of, char which, int rows,
                                 int columns)
{
	struct tensor *t = &w->tensors[w->n_tensors++];
	int            stem = (int)(strrchr(of->name, '.') - of->name);

	*t = (struct tensor){.kind = TENSOR_LINEAR,
	                     .n_dims = 2,
	                     .rows = rows,
	                     .columns = columns,
	                     .offset = w->n,
	                     .count = (size_t)rows * (size_t)columns};
	snprintf(t->name, sizeof t->name, "base_model.model.%.*s.lora_%c.weight", stem, of->name,
	         which);
	w->n += t->count;
	return t->offset;
}

static void adapter_measure(struct adapter *a, const struct adapter_product *p)
{
	int    R = p->n_parts * a->options.rank, side = p->n_in > p->n_out ? p->n_in : p->n_out;
	size_t fused = (size_t)p->n_out * (size_t)R;

	a->most_rank = R > a->most_rank ? R : a->most_rank;
	a->most_side = side > a->most_side ? side : a->most_side;
	a->most_fused = fused > a->most_fused ? fused : a->most_fused;
}

/* The adapted projections of a product are those tensors of the base that lie within it. */
static void make_product(struct adapter *a, const struct weights *base, size_t at,
                         struct product_shape s, struct adapter_product *p)
{
	const struct tensor *of[ADAPTER_PARTS];
	int                  r = a->options.rank;

	*p = (struct adapter_product){.n_in = s.n_in, .n_out = s.n_out};
	for (int i = 0; i < base->n_tensors; i++) {
		const struct tensor *t = &base->tensors[i];
		if (t->offset < at || t->offset >= at + (size_t)s.n_out * (size_t)s.n_in ||
		    !is_target(&a->options, t))
			continue;
		of[p->n_parts] = t;
		p->parts[p->n_parts++] = (struct adapter_part){
		        .a = adapter_add_tensor(&a->weights, t, 'A', r, t->columns),
		        .row = (int)((t->offset - at) / (size_t)s.n_in),
		        .n_out = t->rows};
	}
	for (int i = 0; i < p->n_parts; i++)
		p->parts[i].b = adapter_add_tensor(&a->weights, of[i], 'B', of[i]->rows, r);
	if (p->n_parts)
		adapter_measure(a, p);
}

static int pack_new(struct adapter *a, struct adapter_product *p, int for_backward)
{
	int R = p->n_parts * a->options.rank;

	if (!p->n_parts)
		return OK;
	TRY(matmul_weight_new(a->mm, R, p->n_in, for_backward, &p->A));
	return matmul_weight_new(a->mm, p->n_out, R, for_backward, &p->B);
}

static int adapter_make(struct adapter *a, const struct weights *base, int for_backward)
{
	struct product_shape shapes[LAYER_PRODUCTS];

	TRY(mem_take((size_t)a->n_layers, "the layers of the adapter", &a->layers));
	TRY(mem_take(2 * (size_t)base->n_tensors, "the tensors of the adapter",
	             &a->weights.tensors));
	TRY(mem_take(adapter_count(&a->options, base), "the adapter", &a->weights.data));
	weights_products(&base->shape, shapes);
	for (int i = 0; i < a->n_layers; i++)
		for (int p = 0; p < LAYER_PRODUCTS; p++) {
			make_product(a, base, base->layers[i].product[p], shapes[p],
			             &a->layers[i][p]);
			TRY(pack_new(a, &a->layers[i][p], for_backward));
		}
	TRY(mem_take(a->most_fused, "the adapter", &a->fused));
	return adapter_pack(a);
}

int adapter_new(const struct adapter_options *o, const struct weights *base, struct matmul *mm,
                int for_backward, struct adapter **out)
{
	struct adapter *a;
	int             status;

	TRY(adapter_check(o));
	TRY(mem_take(1, "the adapter", &a));
	*a = (struct adapter){.options = *o,
	                      .weights = {.shape = {.width = base->shape.width}},
	                      .mm = mm,
	                      .n_layers = base->shape.n_layers};
	a->options.targets &= adapter_targets_in(base);
	status = a->options.targets
	                 ? OK
	                 : error_set(ERR_INPUT, "\"target_modules\" names no projection that the "
	                                        "model has: nothing would be adapted");
	if (status == OK)
		status = adapter_make(a, base, for_backward);
	if (status == OK)
		*out = a;
	else
		adapter_free(a);
	return status;
}

void adapter_free(struct adapter *a)
{
	if (!a)
		return;
	for (int i = 0; a->layers && i < a->n_layers; i++)
		for (int p = 0; p < LAYER_PRODUCTS; p++) {
			matmul_weight_free(a->layers[i][p].A);
			matmul_weight_free(a->layers[i][p].B);
		}
	mem_free(a->layers);
	mem_free(a->fused);
	weights_free(&a->weights);
	mem_free(a);
}

size_t adapter_bytes(const struct adapter *a, int for_backward)
{
	size_t bytes = (a->weights.n + a->most_fused) * sizeof(float);

	for (int i = 0; i < a->n_layers; i++)
		for (int k = 0; k < LAYER_PRODUCTS; k++) {
			const struct adapter_product *p = &a->layers[i][k];
			int                           R = p->n_parts * a->options.rank;
			if (R)
				bytes += matmul_weight_bytes(a->mm, R, p->n_in, for_backward) +
				         matmul_weight_bytes(a->mm, p->n_out, R, for_backward);
		}
	return bytes;
}

/* A layer's tensors lie together: those of product after product. */
struct weights_span adapter_span(const struct adapter *a, int layer)
{
	struct weights_span s = {0};

	for (int k = 0; k < LAYER_PRODUCTS; k++) {
		const struct adapter_product *p = &a->layers[layer][k];
		size_t                        r = (size_t)a->options.rank, first;
		if (!p->n_parts)
			continue;
		first = p->parts[0].a;
		if (s.count == 0)
			s.offset = first;
		s.count = first - s.offset + (size_t)p->n_parts * r * (size_t)p->n_in;
		for (int i = 0; i < p->n_parts; i++)
			s.count += (size_t)p->parts[i].n_out * r;
	}
	return s;
}

/* ---- weights ---- */

void adapter_init(struct adapter *a, uint64_t seed)
{
	memset(a->weights.data, 0, a->weights.n * sizeof *a->weights.data);
	for (int i = 0; i < a->weights.n_tensors; i++) {
		const struct tensor *t = &a->weights.tensors[i];
		struct rng_key key = {.seed = seed, .purpose = RNG_ADAPTER, .item = (uint32_t)i};
		float          bound = (float)(1 / sqrt(t->columns));
		int            is_b = strstr(t->name, ".lora_B.") != NULL;
		for (size_t k = 0; k < t->count && !is_b; k++)
			a->weights.data[t->offset + k] =
			        bound * (2 * rng_uniform(key, (uint32_t)k) - 1);
	}
}

/* s B of every part as a block of [out x R] */
static void fuse(const struct adapter *a, const struct adapter_product *p)
{
	size_t r = (size_t)a->options.rank, R = (size_t)p->n_parts * r;
	float  scale = scale_of(&a->options);

	memset(a->fused, 0, (size_t)p->n_out * R * sizeof *a->fused);
	for (size_t k = 0; k < (size_t)p->n_parts; k++) {
		const float *b = a->weights.data + p->parts[k].b;
		float       *block = a->fused + (size_t)p->parts[k].row * R + k * r;
		for (size_t i = 0; i < (size_t)p->parts[k].n_out; i++)
			for (size_t j = 0; j < r; j++)
				block[i * R + j] = scale * b[i * r + j];
	}
}

int adapter_pack(struct adapter *a)
{
	for (int i = 0; i < a->n_layers; i++)
		for (int k = 0; k < LAYER_PRODUCTS; k++) {
			const struct adapter_product *p = &a->layers[i][k];
			if (!p->n_parts)
				continue;
			fuse(a, p);
			TRY(matmul_weight_pack(p->A, a->weights.data + p->parts[0].a));
			TRY(matmul_weight_pack(p->B, a->fused));
		}
	return OK;
}

static void merge_row(const float *A, const float *b, int r, int n, double scale, float *row)
{
	enum { BLOCK = 256 };

	for (int first = 0; first < n; first += BLOCK) {
		int    count = n - first < BLOCK ? n - first : BLOCK;
		double sum[BLOCK] = {0};
		for (int k = 0; k < r; k++)
			for (int j = 0; j < count; j++)
				sum[j] += (double)b[k] *
				          (double)A[(size_t)k * (size_t)n + (size_t)(first + j)];
		for (int j = 0; j < count; j++)
			row[first + j] = (float)((double)row[first + j] + scale * sum[j]);
	}
}

void adapter_merge(const struct adapter *a, struct weights *w)
{
	int r = a->options.rank;

	for (int i = 0; i < a->n_layers; i++)
		for (int k = 0; k < LAYER_PRODUCTS; k++) {
			const struct adapter_product *p = &a->layers[i][k];
			for (int part = 0; part < p->n_parts; part++) {
				const struct adapter_part *q = &p->parts[part];
				float                     *W = w->data + w->layers[i].product[k] +
				           (size_t)q->row * (size_t)p->n_in;
#pragma omp parallel for schedule(static)
				for (int row = 0; row < q->n_out; row++)
					merge_row(a->weights.data + q->a,
					          a->weights.data + q->b + (size_t)row * (size_t)r,
					          r, p->n_in, (double)scale_of(&a->options),
					          W + (size_t)row * (size_t)p->n_in);
			}
		}
}

/* ---- beside a product ---- */

int adapter_scratch(const struct adapter *a, int rows, int for_backward, struct arena *arena,
                    struct adapter_scratch *out)
{
	const char *what = "the products of the adapter";
	size_t      narrow = (size_t)rows * (size_t)a->most_rank;

	*out = (struct adapter_scratch){0};
	TRY(arena_take(arena, narrow, what, &out->u));
	TRY(arena_take(arena, (size_t)rows * (size_t)a->most_side, what, &out->y));
	if (!for_backward)
		return OK;
	TRY(arena_take(arena, narrow, what, &out->du));
	return arena_take(arena, a->most_fused, what, &out->db);
}

/* to += from */
static void adapter_add(int rows, int columns, const float *from, float *to)
{
#pragma omp parallel for schedule(static)
	for (int r = 0; r < rows; r++)
		for (size_t i = (size_t)r * (size_t)columns; i < (size_t)(r + 1) * (size_t)columns;
		     i++)
			to[i] += from[i];
}

int adapter_forward(const struct adapter_product *p, int n, const float *X,
                    const struct adapter_scratch *s, float *Y)
{
	assert(n > 0);
	if (!p->n_parts)
		return OK;
	TRY(matmul_forward(p->A, n, X, s->u));
	TRY(matmul_forward(p->B, n, s->u, s->y));
	adapter_add(n, p->n_out, s->y, Y);
	return OK;
}

/* Of dY^T U the blocks on the diagonal are the gradients of s B; what lies beside them belongs to
 * nobody. */
static void keep_blocks(const struct adapter *a, const struct adapter_product *p, uint32_t unit,
                        const float *db, struct gradient *g)
{
	size_t r = (size_t)a->options.rank, R = (size_t)p->n_parts * r;
	float  scale = scale_of(&a->options);

	for (size_t k = 0; k < (size_t)p->n_parts; k++) {
		size_t       count = (size_t)p->parts[k].n_out * r;
		float       *slot = gradient_slot(g, unit, p->parts[k].b, count);
		const float *block = db + (size_t)p->parts[k].row * R + k * r;
		for (size_t i = 0; i < (size_t)p->parts[k].n_out; i++)
			for (size_t j = 0; j < r; j++)
				slot[i * r + j] = scale * block[i * R + j];
		gradient_merge(g, unit, p->parts[k].b, count);
	}
}

int adapter_backward(const struct adapter *a, int layer, enum product which,
                     const struct adapter_rows *x, const struct adapter_scratch *s,
                     struct gradient *g)
{
	const struct adapter_product *p = &a->layers[layer][which];
	int                           R = p->n_parts * a->options.rank;
	size_t                        count = (size_t)R * (size_t)p->n_in;

	assert(layer >= 0 && layer < a->n_layers && x->n > 0 && s->db);
	if (!p->n_parts)
		return OK;
	TRY(matmul_forward(p->A, x->n, x->X, s->u));
	TRY(matmul_gradient(a->mm,
	                    &(struct matmul_gradient){x->n, p->n_out, R, x->dY, s->u, s->db}));
	keep_blocks(a, p, x->unit, s->db, g);
	TRY(matmul_backward(p->B, x->n, x->dY, s->du));
	TRY(matmul_gradient(
	        a->mm, &(struct matmul_gradient){x->n, R, p->n_in, s->du, x->X,
	                                         gradient_slot(g, x->unit, p->parts[0].a, count)}));
	gradient_merge(g, x->unit, p->parts[0].a, count);
	TRY(matmul_backward(p->A, x->n, s->du, s->y));
	adapter_add(x->n, p->n_in, s->y, x->dX);
	return OK;
}
