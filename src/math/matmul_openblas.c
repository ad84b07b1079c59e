/* OpenBLAS. Strict: own tiles, each one a library call of one thread.
 *
 * A tile is at most TILE_ROWS rows by PANEL outputs. W is kept as panels of PANEL outputs, [in x
 * PANEL] each, zero behind the last output,
 * so that every call has the form  C [rows x PANEL] += A [rows x K] B [K x PANEL]  with K <= DEPTH:
 *
 *     DEPTH      below the depth at which the library cuts the inner dimension itself (320), so
 *                that the cuts are ours
 *     PANEL      a multiple of the vector: no element is computed by the code for ragged edges,
 *                which adds in another order
 *     TILE_ROWS  TILE_ROWS * PANEL * DEPTH < 10^6: small enough for the kernels that read B as it
 *                lies instead of packing it at every call, which are the fastest once W is packed
 *                already
 *
 * Measured (0.3.21, AVX-512 kernels SkylakeX and Cooperlake, 900 random shapes): within these
 * limits every element is one chain of fma per chunk of DEPTH, the chunks added in order, wherever
 * the row stands and however many there are. The AVX2 kernels (Haswell, Zen) treat the first 6 rows
 * of every 12 differently: there the self-test of matmul_new fails and strict is refused.
 *
 * Fast: one library call with all threads.
 *
 * The library is loaded when a job asks for it, not with the program. While it is loaded it starts
 * a thread for each core, and where the system has no room for them (ulimit -v) it kills the
 * process, or lets it hang when it exits. Nothing else here depends on it, so nothing else should
 * suffer from that; and it is loaded with one thread, which is all that strict products use. */
#include "math/matmul_backend.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"

#include <cblas.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PANEL = 64, TILE_ROWS = 32, DEPTH = 256 };

/* ---- the library ---- */

static struct openblas {
	void                                 *handle; /* NULL until it is loaded; then it stays */
	__typeof__(cblas_sgemm)              *sgemm;
	__typeof__(openblas_set_num_threads) *set_num_threads;
	__typeof__(openblas_get_corename)    *get_corename;
} openblas;

static int openblas_find(const char *name, void *function)
{
	void *symbol = dlsym(openblas.handle, name);

	if (!symbol)
		return error_set(ERR_INPUT, "OpenBLAS: %s", dlerror());
	memcpy(function, &symbol, sizeof symbol);
	return OK;
}

/* Loads the library with one thread. Programs that verifiers start keep the number that the user
 * chose for them. */
static int openblas_load(void)
{
	static const char variable[] = "OPENBLAS_NUM_THREADS";
	const char       *user = getenv(variable);
	char             *kept = NULL;

	if (openblas.handle)
		return OK;
	if (user)
		TRY(mem_copy(user, strlen(user), &kept));
	setenv(variable, "1", 1);
	openblas.handle = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
	if (kept)
		setenv(variable, kept, 1);
	else
		unsetenv(variable);
	mem_free(kept);
	if (!openblas.handle)
		return error_set(ERR_INPUT, "compute.backend: cannot load OpenBLAS: %s", dlerror());
	TRY(openblas_find("cblas_sgemm", &openblas.sgemm));
	TRY(openblas_find("openblas_set_num_threads", &openblas.set_num_threads));
	return openblas_find("openblas_get_corename", &openblas.get_corename);
}

/* ---- products ---- */

struct panels { /* B [depth x width] of a product C = A B */
	int    depth, width;
	float *data; /* [ceil(width / PANEL)] [depth x PANEL] */
};

struct matmul_openblas_packed {
	struct panels forward;  /* W^T: depth in, width out */
	struct panels backward; /* W: depth out, width in; no data when for_backward is 0 */
	float        *plain;    /* W as it came, instead of panels, when numerics are fast */
};

static int matmul_openblas_min(int a, int b)
{
	return a < b ? a : b;
}

static int blocks(int n, int size)
{
	return (n + size - 1) / size;
}

static size_t panels_count(int depth, int width)
{
	return (size_t)blocks(width, PANEL) * PANEL * (size_t)depth;
}

struct openblas_tile { /* C [rows x PANEL, stride ldc] = A [rows x depth] B [depth x PANEL] */
	int          rows, depth;
	const float *A, *B;
	float       *C;
	int          ldc;
};

/* In chunks of DEPTH, in order. */
static void chunks(const struct openblas_tile *t)
{
	for (int k = 0; k < t->depth; k += DEPTH)
		openblas.sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, t->rows, PANEL,
		               matmul_openblas_min(DEPTH, t->depth - k), 1, t->A + k, t->depth,
		               t->B + (size_t)k * PANEL, PANEL, k ? 1 : 0, t->C, t->ldc);
}

/* A panel that is not full is computed whole, because the width decides the order of its sums. */
static void tile(const struct panels *b, int n, const float *A, float *C, int block, int panel)
{
	int   row = block * TILE_ROWS, rows = matmul_openblas_min(TILE_ROWS, n - row);
	int   column = panel * PANEL, columns = matmul_openblas_min(PANEL, b->width - column);
	float ragged[TILE_ROWS * PANEL];
	struct openblas_tile t = {.rows = rows,
	                          .depth = b->depth,
	                          .A = A + (size_t)row * (size_t)b->depth,
	                          .B = b->data + (size_t)panel * PANEL * (size_t)b->depth,
	                          .C = ragged,
	                          .ldc = PANEL};

	C += (size_t)row * (size_t)b->width + column;
	if (columns == PANEL) {
		t.C = C;
		t.ldc = b->width;
		chunks(&t);
		return;
	}
	chunks(&t);
	for (int i = 0; i < rows; i++)
		memcpy(C + (size_t)i * (size_t)b->width, ragged + i * PANEL,
		       (size_t)columns * sizeof *C);
}

static void panels_product(const struct panels *b, int n, const float *A, float *C)
{
	int n_panels = blocks(b->width, PANEL), n_blocks = blocks(n, TILE_ROWS);

#pragma omp parallel for collapse(2) schedule(static)
	for (int panel = 0; panel < n_panels; panel++)
		for (int block = 0; block < n_blocks; block++)
			tile(b, n, A, C, block, panel);
}

/* Element (k, j) of B is at source[k * step_k + j * step_j]. */
static void panels_pack(struct panels *b, const float *source, size_t step_k, size_t step_j)
{
	int n_panels = blocks(b->width, PANEL);

#pragma omp parallel for schedule(static)
	for (int panel = 0; panel < n_panels; panel++) {
		float *to = b->data + (size_t)panel * PANEL * (size_t)b->depth;
		int    columns = matmul_openblas_min(PANEL, b->width - panel * PANEL);
		for (int j = 0; j < columns; j++)
			for (int k = 0; k < b->depth; k++)
				to[(size_t)k * PANEL + (size_t)j] =
				        source[(size_t)k * step_k +
				               (size_t)(panel * PANEL + j) * step_j];
	}
}

static int openblas_open(struct matmul *m)
{
	TRY(openblas_load());
	openblas.set_num_threads(1);
	snprintf(m->detail, sizeof m->detail, "%s kernels", openblas.get_corename());
	return OK;
}

static void openblas_close(struct matmul *m)
{
	(void)m;
}

static size_t matmul_openblas_packed_floats(const struct matmul_weight *w)
{
	if (!w->matmul->strict)
		return (size_t)w->n_out * (size_t)w->n_in;
	return panels_count(w->n_in, w->n_out) +
	       (w->for_backward ? panels_count(w->n_out, w->n_in) : 0);
}

static size_t openblas_weight_bytes(const struct matmul_weight *w)
{
	return sizeof(struct matmul_openblas_packed) +
	       matmul_openblas_packed_floats(w) * sizeof(float);
}

static int openblas_weight_new(struct matmul_weight *w)
{
	struct matmul_openblas_packed *p;
	float                         *data;

	TRY(mem_take_bytes(1, sizeof *p, "a packed matrix", &w->state));
	p = w->state;
	TRY(mem_take(matmul_openblas_packed_floats(w), "a packed matrix", &data));
	p->plain = data;
	p->forward = (struct panels){w->n_in, w->n_out, data};
	p->backward = (struct panels){w->n_out, w->n_in, data + panels_count(w->n_in, w->n_out)};
	return OK;
}

static void openblas_weight_free(struct matmul_weight *w)
{
	struct matmul_openblas_packed *p = w->state;

	if (p)
		mem_free(p->plain);
	mem_free(p);
}

static int openblas_weight_pack(struct matmul_weight *w, const float *W)
{
	struct matmul_openblas_packed *p = w->state;

	if (!w->matmul->strict) {
		memcpy(p->plain, W, matmul_openblas_packed_floats(w) * sizeof *W);
		return OK;
	}
	panels_pack(&p->forward, W, 1, (size_t)w->n_in);
	if (w->for_backward)
		panels_pack(&p->backward, W, (size_t)w->n_in, 1);
	return OK;
}

static int openblas_forward(const struct matmul_weight *w, int n, const float *X, float *Y)
{
	const struct matmul_openblas_packed *p = w->state;

	if (w->matmul->strict) {
		panels_product(&p->forward, n, X, Y);
		return OK;
	}
	openblas.set_num_threads(threads_count());
	openblas.sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, w->n_out, w->n_in, 1, X, w->n_in,
	               p->plain, w->n_in, 0, Y, w->n_out);
	openblas.set_num_threads(1);
	return OK;
}

static int openblas_backward(const struct matmul_weight *w, int n, const float *dY, float *dX)
{
	const struct matmul_openblas_packed *p = w->state;

	if (w->matmul->strict) {
		panels_product(&p->backward, n, dY, dX);
		return OK;
	}
	openblas.set_num_threads(threads_count());
	openblas.sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, w->n_in, w->n_out, 1, dY,
	               w->n_out, p->plain, w->n_in, 0, dX, w->n_in);
	openblas.set_num_threads(1);
	return OK;
}

/* TILE_ROWS rows of dW over all n rows of the operands, DEPTH at a time: that piece of dY is
 * transposed, so that the calls are those of a tile. Which calls are made follows from the sizes
 * alone; ragged edges may be added in another order, but always in the same one. */
static void gradient_block(const struct matmul_gradient *g, int block)
{
	float dYt[TILE_ROWS * DEPTH];
	int   o = block * TILE_ROWS, rows = matmul_openblas_min(TILE_ROWS, g->n_out - o);

	for (int k = 0; k < g->n; k += DEPTH) {
		int depth = matmul_openblas_min(DEPTH, g->n - k);
		for (int i = 0; i < depth; i++)
			for (int j = 0; j < rows; j++)
				dYt[j * DEPTH + i] =
				        g->dY[(size_t)(k + i) * (size_t)g->n_out + (size_t)(o + j)];
		for (int j = 0; j < g->n_in; j += PANEL)
			openblas.sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows,
			               matmul_openblas_min(PANEL, g->n_in - j), depth, 1, dYt,
			               DEPTH, g->X + (size_t)k * (size_t)g->n_in + j, g->n_in,
			               k ? 1 : 0, g->dW + (size_t)o * (size_t)g->n_in + j, g->n_in);
	}
}

static int openblas_gradient(struct matmul *m, const struct matmul_gradient *g)
{
	int n_blocks = blocks(g->n_out, TILE_ROWS);

	if (m->strict) {
#pragma omp parallel for schedule(static)
		for (int block = 0; block < n_blocks; block++)
			gradient_block(g, block);
		return OK;
	}
	openblas.set_num_threads(threads_count());
	openblas.sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, g->n_out, g->n_in, g->n, 1, g->dY,
	               g->n_out, g->X, g->n_in, 0, g->dW, g->n_in);
	openblas.set_num_threads(1);
	return OK;
}

const struct matmul_backend matmul_openblas = {
        .name = "openblas",
        .open = openblas_open,
        .close = openblas_close,
        .weight_bytes = openblas_weight_bytes,
        .weight_new = openblas_weight_new,
        .weight_free = openblas_weight_free,
        .weight_pack = openblas_weight_pack,
        .forward = openblas_forward,
        .backward = openblas_backward,
        .gradient = openblas_gradient,
};
