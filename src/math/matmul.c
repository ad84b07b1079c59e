#include "math/matmul.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/threads.h"
#include "math/matmul_backend.h"
#include "math/tile.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* In the order in which `auto` tries them. */
static const struct matmul_backend *const backends[] = {
#if defined(__x86_64__)
        &matmul_amx,      &matmul_avx512,    &matmul_avx2,
#endif
        &matmul_openblas, &matmul_reference,
};
enum { N_BACKENDS = sizeof backends / sizeof *backends };

/* ---- the self-test of strict numerics ---- */

/* libraries cut sums above 512 or 1024 */
enum { TEST_ROWS = 70, TEST_WIDTH = 200, TEST_DEPTH = 1100 };
/* So many of them are held against the formula, which is slow: two tiles of the tallest kernel and
 * a rest. */
enum { FORMULA_ROWS = 31 };
/* some libraries share out sums from 20,000 on */
enum { SUM_ROWS = 2, SUM_WIDTH = 8, SUM_DEPTH = 20480 };

struct matmul_kind { /* of products, whoever computes them */
	int strict, bf16, in_tiles;
};

static int open_backend(const struct matmul_backend *b, struct matmul_kind k, struct matmul **out);

struct selftest {
	struct matmul        *m;
	struct matmul_weight *w;
	int                   n_out, n_in;
	/* operands: [out x in], [TEST_ROWS x in], [TEST_ROWS x out] */
	float *W, *x, *dy;
	float *y, *dx, *y_part, *dx_part; /* of all rows, of some */
	float *dw, *dw_formula;           /* [out x in], of FORMULA_ROWS rows */
};

/* Widely spread exponents, so that another order of adding shows. */
static void matmul_fill(float *x, size_t n, uint32_t item)
{
	struct rng_key key = {.purpose = RNG_TEST, .item = item};
	uint32_t       bits[4];

	for (size_t i = 0; i < n; i++) {
		const uint32_t *mine = bits + i % 2 * 2; /* a draw is enough for two */
		if (i % 2 == 0)
			rng_bits(key, (uint32_t)(i / 2), bits);
		x[i] = ((float)(mine[0] >> 8) * 0x1p-24f - 0.5f) * (float)(1 << (mine[1] & 7));
	}
}

/* Rows first .. first+count-1, computed without the others, must have the bits that they have among
 * all of them. */
static int rows_agree(struct selftest *t, int first, int count)
{
	size_t in = (size_t)t->n_in, out = (size_t)t->n_out, row = (size_t)first,
	       rows = (size_t)count;

	TRY(matmul_forward(t->w, count, t->x + row * in, t->y_part));
	TRY(matmul_backward(t->w, count, t->dy + row * out, t->dx_part));
	if (memcmp(t->y + row * out, t->y_part, rows * out * sizeof *t->y) == 0 &&
	    memcmp(t->dx + row * in, t->dx_part, rows * in * sizeof *t->dx) == 0)
		return OK;
	return error_set(
	        ERR_INPUT,
	        "matrix products by %s (%s): on this CPU a row's result depends on the other rows "
	        "of the call, so numerics cannot be "
	        "strict; set compute.backend to reference (slow), or compute.numerics to fast",
	        t->m->backend->name, t->m->detail);
}

/* Kernels of our own: each bit must be that of the formula in matmul.h, which the reference
 * computes. Fills *_part with the formula's results. */
static int compare_with_formula(struct selftest *t, struct matmul *reference)
{
	size_t y = (size_t)FORMULA_ROWS * (size_t)t->n_out,
	       dx = (size_t)FORMULA_ROWS * (size_t)t->n_in;
	size_t                dw = (size_t)t->n_out * (size_t)t->n_in;
	struct matmul_weight *w;
	int                   status;

	TRY(matmul_weight_new(reference, t->n_out, t->n_in, 1, &w));
	status = matmul_weight_pack(w, t->W);
	if (status == OK)
		status = matmul_forward(w, FORMULA_ROWS, t->x, t->y_part);
	if (status == OK)
		status = matmul_backward(w, FORMULA_ROWS, t->dy, t->dx_part);
	matmul_weight_free(w);
	TRY(status);
	TRY(matmul_gradient(t->m, &(struct matmul_gradient){FORMULA_ROWS, t->n_out, t->n_in, t->dy,
	                                                    t->x, t->dw}));
	TRY(matmul_gradient(reference, &(struct matmul_gradient){FORMULA_ROWS, t->n_out, t->n_in,
	                                                         t->dy, t->x, t->dw_formula}));
	if (memcmp(t->y, t->y_part, y * sizeof *t->y) == 0 &&
	    memcmp(t->dx, t->dx_part, dx * sizeof *t->dx) == 0 &&
	    memcmp(t->dw, t->dw_formula, dw * sizeof *t->dw) == 0)
		return OK;
	return error_set(ERR_FAILED,
	                 "matrix products by %s (%s) differ from their definition on this CPU; "
	                 "please report it, and set compute.backend to "
	                 "reference (slow) until then",
	                 t->m->backend->name, t->m->detail);
}

static int selftest_formula(struct selftest *t)
{
	struct matmul *reference;

	if (!t->m->backend->is_formula)
		return OK;
	TRY(open_backend(&matmul_reference, (struct matmul_kind){0, t->m->bf16, t->m->in_tiles},
	                 &reference));
	int status = compare_with_formula(t, reference);
	matmul_free(reference);
	return status;
}

static int selftest_shape(struct selftest *t, uint32_t seed)
{
	matmul_fill(t->W, (size_t)t->n_out * (size_t)t->n_in, seed);
	matmul_fill(t->x, (size_t)TEST_ROWS * (size_t)t->n_in, seed + 1);
	matmul_fill(t->dy, (size_t)TEST_ROWS * (size_t)t->n_out, seed + 2);
	TRY(matmul_weight_pack(t->w, t->W));
	TRY(matmul_forward(t->w, TEST_ROWS, t->x, t->y));
	TRY(matmul_backward(t->w, TEST_ROWS, t->dy, t->dx));
	TRY(selftest_formula(t));
	for (int first = 0, count = 1; first + count <= TEST_ROWS;
	     first += count, count = count * 2 - (count > 4))
		TRY(rows_agree(t, first, count));
	return rows_agree(t, TEST_ROWS - 1, 1);
}

/* A very long sum into few columns, with one thread and with several. */
static int threads_agree(struct selftest *t)
{
	int threads = threads_count(), several = threads > 4 ? threads : 4;

	threads_set(1);
	TRY(matmul_forward(t->w, SUM_ROWS, t->x, t->y));
	int status = threads_set(several);
	if (status == OK)
		status = matmul_forward(t->w, SUM_ROWS, t->x, t->y_part);
	threads_set(threads);
	TRY(status);
	if (memcmp(t->y, t->y_part, SUM_ROWS * SUM_WIDTH * sizeof *t->y) == 0)
		return OK;
	return error_set(
	        ERR_INPUT,
	        "matrix products by %s (%s): long sums depend on the number of threads, so "
	        "numerics cannot be strict; set "
	        "compute.backend to openblas or reference (slow), or compute.numerics to fast",
	        t->m->backend->name, t->m->detail);
}

static int selftest_threads(struct selftest *t)
{
	matmul_fill(t->W, SUM_WIDTH * SUM_DEPTH, 100);
	matmul_fill(t->x, SUM_ROWS * SUM_DEPTH, 101);
	TRY(matmul_weight_new(t->m, SUM_WIDTH, SUM_DEPTH, 0, &t->w));
	int status = matmul_weight_pack(t->w, t->W);
	if (status == OK)
		status = threads_agree(t);
	matmul_weight_free(t->w);
	return status;
}

static int selftest_shapes(struct selftest *t)
{
	static const int shapes[][2] = {{64, 64}, {96, 300}, {TEST_WIDTH, 33}, {17, TEST_DEPTH}};

	for (uint32_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		t->n_out = shapes[i][0];
		t->n_in = shapes[i][1];
		TRY(matmul_weight_new(t->m, t->n_out, t->n_in, i % 2 ? MATMUL_LENT : MATMUL_BOTH,
		                      &t->w));
		int status = selftest_shape(t, 3 * i);
		matmul_weight_free(t->w);
		TRY(status);
	}
	return OK;
}

/* Compares the backend with the formula of matmul.h, rows alone and among others, and one thread
 * with several. */
static int selftest(struct matmul *m)
{
	struct selftest t = {.m = m};
	size_t matrix = (size_t)TEST_WIDTH * TEST_DEPTH, wide = (size_t)TEST_ROWS * TEST_DEPTH;
	float *block;
	int    status;

	TRY(mem_take(3 * matrix + 6 * wide, "the self-test of matrix products", &block));
	t.W = block;
	t.x = t.W + matrix;
	t.dy = t.x + wide;
	t.y = t.dy + wide;
	t.dx = t.y + wide;
	t.y_part = t.dx + wide;
	t.dx_part = t.y_part + wide;
	t.dw = t.dx_part + wide;
	t.dw_formula = t.dw + matrix;
	status = selftest_shapes(&t);
	if (status == OK)
		status = selftest_threads(&t);
	mem_free(block);
	return status;
}

/* ---- choosing ---- */

/* In strict mode a backend that fails the self-test is refused. */
static int open_backend(const struct matmul_backend *b, struct matmul_kind k, struct matmul **out)
{
	struct matmul *m;
	int            status;

	TRY(mem_take(1, "the matrix products", &m));
	m->backend = b;
	m->strict = k.strict;
	m->bf16 = k.bf16;
	m->in_tiles = k.in_tiles;
	m->head = m;
	status = k.bf16 && !b->is_formula
	                 ? error_set(ERR_INPUT,
	                             "compute.backend: %s has no bf16; choose auto, or "
	                             "compute.precision: f32",
	                             b->name)
	                 : b->open(m);
	if (status == OK && k.strict) {
		status = selftest(m);
		if (status != OK)
			b->close(m);
	}
	if (status != OK) {
		mem_free(m);
		return status;
	}
	snprintf(m->description, sizeof m->description, "%s %s %s%s (%s)", b->name,
	         k.bf16 ? "bf16" : "f32", k.strict ? "strict" : "fast",
	         k.in_tiles ? ", tile order" : "", m->detail);
	*out = m;
	return OK;
}

/* The first backend that fits; strict, of those that compute the formula, or auto would give other
 * bits where no kernel fits. Memory that is short is no reason to take a slower one. */
static int open_first(struct matmul_kind k, struct matmul **out)
{
	int status = ERR_INPUT;

	for (int i = 0; i < N_BACKENDS && status != OK && status != ERR_MEMORY; i++)
		if (backends[i]->is_formula || !k.strict)
			status = open_backend(backends[i], k, out);
	return status;
}

static int unknown_backend(const char *name)
{
	return error_set(ERR_INPUT,
	                 "compute.backend: there is no '%s'; choose auto, amx, avx512, avx2, "
	                 "openblas or reference",
	                 name);
}

int matmul_is_strict(const struct matmul_options *o)
{
	return strcmp(o->numerics, "strict") == 0;
}

static int open_named(const char *name, struct matmul_kind k, struct matmul **out)
{
	if (strcmp(name, "auto") == 0)
		return open_first(k, out);
	for (int i = 0; i < N_BACKENDS; i++)
		if (strcmp(name, backends[i]->name) == 0)
			return open_backend(backends[i], k, out);
	return unknown_backend(name);
}

static int read_precision(const char *option, const char *name, int *bf16)
{
	*bf16 = strcmp(name, "bf16") == 0;
	return *bf16 || strcmp(name, "f32") == 0
	               ? OK
	               : error_set(ERR_INPUT, "%s: there is no '%s'; choose f32 or bf16", option,
	                           name);
}

const char *matmul_order(const struct matmul_options *o)
{
	return o->order && strcmp(o->order, "auto") != 0 ? o->order
	       : matmul_cpu_has_amx()                    ? "tile"
	                                                 : "pair";
}

static int read_order(const struct matmul_options *o, int bf16, int *in_tiles)
{
	const char *order = bf16 ? matmul_order(o) : "pair";

	*in_tiles = strcmp(order, "tile") == 0;
	return *in_tiles || strcmp(order, "pair") == 0
	               ? OK
	               : error_set(ERR_INPUT,
	                           "compute.order: there is no '%s'; choose auto, pair or tile",
	                           order);
}

/* The products of the head, where they have another precision, belong to the others. amx has none
 * in f32. */
static int open_f32_head(const struct matmul_options *o, struct matmul *m)
{
	struct matmul *head;
	size_t         n = strlen(m->description);

	TRY(open_named(strcmp(o->backend, "amx") ? o->backend : "auto",
	               (struct matmul_kind){.strict = m->strict}, &head));
	m->head = head;
	snprintf(m->description + n, sizeof m->description - n, ", head f32");
	return OK;
}

int matmul_new(const struct matmul_options *o, struct matmul **out)
{
	struct matmul_kind k = {.strict = matmul_is_strict(o)};
	int                head_bf16, status = OK;

	TRY(read_precision("compute.precision", o->precision, &k.bf16));
	TRY(read_order(o, k.bf16, &k.in_tiles));
	TRY(read_precision("compute.head_precision",
	                   o->head_precision ? o->head_precision : o->precision, &head_bf16));
	if (!k.strict && strcmp(o->numerics, "fast") != 0)
		return error_set(ERR_INPUT,
		                 "compute.numerics: there is no '%s'; choose strict or fast",
		                 o->numerics);
	TRY(open_named(o->backend, k, out));
	if (k.bf16 && !head_bf16)
		status = open_f32_head(o, *out);
	if (status != OK)
		matmul_free(*out);
	else
		tile_choose((*out)->backend->name);
	return status;
}

void matmul_free(struct matmul *m)
{
	if (!m)
		return;
	if (m->head != m)
		matmul_free(m->head);
	m->backend->close(m);
	mem_free(m);
}

struct matmul *matmul_head(const struct matmul *m)
{
	return m->head;
}

int matmul_is_bf16(const struct matmul *m)
{
	return m->bf16;
}

int matmul_in_tiles(const struct matmul *m)
{
	return m->in_tiles;
}

int matmul_cpu_has_bf16(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bf16");
#else
	return 0;
#endif
}

const char matmul_sums[] =
        "f32: k ascending; bf16: k in pairs, the odd one first, or in tiles of 32, "
        "even and odd ones apart";

const char *matmul_describe(const struct matmul *m)
{
	return m->description;
}

/* ---- weights and products ---- */

int matmul_weight_new(struct matmul *m, int n_out, int n_in, int for_backward,
                      struct matmul_weight **out)
{
	struct matmul_weight *w;

	assert(n_out > 0 && n_in > 0);
	TRY(mem_take(1, "a packed matrix", &w));
	*w = (struct matmul_weight){
	        .matmul = m, .n_out = n_out, .n_in = n_in, .for_backward = for_backward};
	int status = m->backend->weight_new(w);
	if (status == OK)
		*out = w;
	else
		matmul_weight_free(w);
	return status;
}

void matmul_weight_free(struct matmul_weight *w)
{
	if (w)
		w->matmul->backend->weight_free(w);
	mem_free(w);
}

size_t matmul_weight_bytes(const struct matmul *m, int n_out, int n_in, int for_backward)
{
	struct matmul        copy = *m;
	struct matmul_weight w = {
	        .matmul = &copy, .n_out = n_out, .n_in = n_in, .for_backward = for_backward};

	return sizeof w + m->backend->weight_bytes(&w);
}

int matmul_weight_pack(struct matmul_weight *w, const float *W)
{
	return w->matmul->backend->weight_pack(w, W);
}

int matmul_forward(const struct matmul_weight *w, int n, const float *X, float *Y)
{
	assert(n >= 0);
	return n ? w->matmul->backend->forward(w, n, X, Y) : OK;
}

int matmul_backward(const struct matmul_weight *w, int n, const float *dY, float *dX)
{
	assert(n >= 0 && w->for_backward);
	return n ? w->matmul->backend->backward(w, n, dY, dX) : OK;
}

int matmul_gradient(struct matmul *m, const struct matmul_gradient *g)
{
	assert(g->n >= 0 && g->n_out > 0 && g->n_in > 0);
	if (g->n)
		return m->backend->gradient(m, g);
	memset(g->dW, 0, (size_t)g->n_out * (size_t)g->n_in * sizeof *g->dW);
	return OK;
}
