/* Products of linear layers: the four of a layer one after another, with so many layers in turns
 * that no cache holds their weights, as when a model runs. */
#include "cli/bench.h"

#include "base/error.h"
#include "model/published.h"

#include <stdio.h>

enum { PRODUCTS = 4, LAYERS_MAX = 64 };
static const double layers_bytes = 128 << 20; /* of all layers together, at least */

struct product_bench {
	int                   n; /* rows */
	int                   n_out[PRODUCTS], n_in[PRODUCTS];
	int                   n_layers, layer; /* the next one */
	struct matmul        *mm;
	struct matmul_weight *w[LAYERS_MAX][PRODUCTS];
	float                *x, *y;  /* [n x widest] */
	float                *W, *dw; /* [n_layers x weights of a layer] */
};

/* ---- once through a layer ---- */

static int next_layer(struct product_bench *p)
{
	p->layer = (p->layer + 1) % p->n_layers;
	return p->layer;
}

static int products_forward(void *context)
{
	struct product_bench *p = context;
	int                   layer = next_layer(p);

	for (int i = 0; i < PRODUCTS; i++)
		TRY(matmul_forward(p->w[layer][i], p->n, p->x, p->y));
	return OK;
}

static int products_backward(void *context)
{
	struct product_bench *p = context;
	int                   layer = next_layer(p);

	for (int i = PRODUCTS; i-- > 0;)
		TRY(matmul_backward(p->w[layer][i], p->n, p->y, p->x));
	return OK;
}

static size_t layer_weights(const struct product_bench *p)
{
	size_t n = 0;

	for (int i = 0; i < PRODUCTS; i++)
		n += (size_t)p->n_out[i] * (size_t)p->n_in[i];
	return n;
}

static int products_gradient(void *context)
{
	struct product_bench *p = context;
	float                *dw = p->dw + (size_t)next_layer(p) * layer_weights(p);

	for (int i = 0; i < PRODUCTS; i++) {
		TRY(matmul_gradient(p->mm, &(struct matmul_gradient){p->n, p->n_out[i], p->n_in[i],
		                                                     p->y, p->x, dw}));
		dw += (size_t)p->n_out[i] * (size_t)p->n_in[i];
	}
	return OK;
}

static const struct {
	const char *name;
	int (*once)(void *context);
	/* bytes of a weight that pass: packed in the precision, or a gradient in f32 */
	int is_gradient;
} kinds[] = {{"forward", products_forward, 0},
             {"backward", products_backward, 0},
             {"gradient", products_gradient, 1}};

static const struct {
	int               n;
	enum bench_extent extent;
} product_rows[] = {{1, BENCH_SHORT},  {4, BENCH_FULL},    {8, BENCH_FULL},   {16, BENCH_FULL},
                    {64, BENCH_SHORT}, {512, BENCH_SHORT}, {2048, BENCH_FULL}};
enum { N_PRODUCT_ROWS = sizeof product_rows / sizeof *product_rows, MOST_ROWS = 2048 };

/* ---- a shape ---- */

static void shape_products(const struct model_shape *s, struct product_bench *p)
{
	int D = s->width, HE = s->n_heads * s->head_width, KE = s->n_kv_heads * s->head_width,
	    F = s->ff_width;
	const int n_out[PRODUCTS] = {HE + 2 * KE, D, 2 * F, D}, n_in[PRODUCTS] = {D, HE, D, F};

	for (int i = 0; i < PRODUCTS; i++) {
		p->n_out[i] = n_out[i];
		p->n_in[i] = n_in[i];
	}
}

/* Some operands. */
static int product_bench_new(struct bench *b, struct product_bench *p)
{
	size_t each = layer_weights(p), widest = 0, most = MOST_ROWS;

	p->mm = b->mm;
	p->n_layers = 1;
	while (p->n_layers < LAYERS_MAX && (double)p->n_layers * (double)each * 4 < layers_bytes)
		p->n_layers++;
	for (int i = 0; i < PRODUCTS; i++) {
		size_t wide = (size_t)(p->n_out[i] > p->n_in[i] ? p->n_out[i] : p->n_in[i]);
		widest = wide > widest ? wide : widest;
	}
	TRY(arena_take(&b->arena, most * widest, "rows of operands", &p->x));
	TRY(arena_take(&b->arena, most * widest, "rows of operands", &p->y));
	TRY(arena_take(&b->arena, (size_t)p->n_layers * each, "weights", &p->W));
	TRY(arena_take(&b->arena, (size_t)p->n_layers * each, "gradients", &p->dw));
	for (size_t i = 0; i < most * widest; i++)
		p->x[i] = p->y[i] = (float)((int)(i % 17) - 8) * 0x1p-6f;
	for (size_t i = 0; i < (size_t)p->n_layers * each; i++)
		p->W[i] = (float)((int)(i % 23) - 11) * 0x1p-6f;
	for (int layer = 0; layer < p->n_layers; layer++)
		for (int i = 0; i < PRODUCTS; i++) {
			TRY(matmul_weight_new(b->mm, p->n_out[i], p->n_in[i], MATMUL_LENT,
			                      &p->w[layer][i]));
			TRY(matmul_weight_pack(p->w[layer][i], p->W + (size_t)layer * each));
		}
	return OK;
}

static void product_bench_free(struct product_bench *p)
{
	for (int layer = 0; layer < p->n_layers; layer++)
		for (int i = 0; i < PRODUCTS; i++)
			matmul_weight_free(p->w[layer][i]);
}

static int measure_kind(struct bench *b, struct product_bench *p, size_t kind, const char *shape)
{
	double            weights = (double)layer_weights(p), seconds;
	struct bench_work w = {.products = 2 * weights * p->n};
	char              what[80];

	w.bytes = weights * (matmul_is_bf16(b->mm) && !kinds[kind].is_gradient ? 2 : 4);
	TRY(bench_time(b, kinds[kind].once, p, &seconds));
	snprintf(what, sizeof what, "products %s, %s, %d row%s", shape, kinds[kind].name, p->n,
	         p->n > 1 ? "s" : "");
	bench_add(b, what, "GFLOP/s", w.products * 1e-9, &w, seconds);
	return OK;
}

static int measure_shape(struct bench *b, const struct model_shape *s, const char *name)
{
	struct product_bench p = {0};
	int                  status;

	shape_products(s, &p);
	status = product_bench_new(b, &p);
	for (int r = 0; status == OK && r < N_PRODUCT_ROWS; r++) {
		p.n = product_rows[r].n;
		for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
			if (status == OK && product_rows[r].extent <= b->extent)
				status = measure_kind(b, &p, kind, name);
	}
	product_bench_free(&p);
	arena_reset(&b->arena);
	return status;
}

int bench_products(struct bench *b)
{
	static const char second[] = "Qwen2.5-0.5B";

	TRY(measure_shape(b, &b->shape, b->name));
	return b->is_published && b->extent == BENCH_FULL
	               ? measure_shape(b, published_shape(second), second)
	               : OK;
}
