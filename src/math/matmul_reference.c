/* The oracle: every element is one chain of fmaf over the inner dimension, in increasing order; a
 * gradient is one chain per chunk of GRADIENT_ROWS rows, the chunks added in order. Nothing here is
 * clever, so that it can be checked by eye. The loops run over outputs innermost, so that compilers
 * use vectors without changing any chain. */
#include "math/matmul_backend.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

static int reference_open(struct matmul *m)
{
	snprintf(m->detail, sizeof m->detail, "plain C");
	return OK;
}

static void reference_close(struct matmul *m)
{
	(void)m;
}

/* The state is W [out x in] and behind it W^T [in x out]. */
static size_t reference_weight_bytes(const struct matmul_weight *w)
{
	return 2 * sizeof(float) * (size_t)w->n_out * (size_t)w->n_in;
}

static int reference_weight_new(struct matmul_weight *w)
{
	return mem_take_bytes(reference_weight_bytes(w), 1, "a weight matrix", &w->state);
}

static void reference_weight_free(struct matmul_weight *w)
{
	mem_free(w->state);
}

static int reference_weight_pack(struct matmul_weight *w, const float *W)
{
	size_t out = (size_t)w->n_out, in = (size_t)w->n_in;
	float *copy = w->state, *transposed = copy + out * in;

	memcpy(copy, W, out * in * sizeof *W);
	for (size_t o = 0; o < out; o++)
		for (size_t i = 0; i < in; i++)
			transposed[i * out + o] = W[o * in + i];
	return OK;
}

/* C [n x width] = A [n x depth] B [depth x width] */
static void product(int n, int depth, int width, const float *A, const float *B, float *C)
{
#pragma omp parallel for schedule(static)
	for (int r = 0; r < n; r++) {
		const float *a = A + (size_t)r * (size_t)depth;
		float *restrict c = C + (size_t)r * (size_t)width;
		memset(c, 0, (size_t)width * sizeof *c);
		for (int k = 0; k < depth; k++) {
			const float *restrict b = B + (size_t)k * (size_t)width;
			for (int j = 0; j < width; j++)
				c[j] = __builtin_fmaf(a[k], b[j], c[j]);
		}
	}
}

static int reference_forward(const struct matmul_weight *w, int n, const float *X, float *Y)
{
	const float *W = w->state;

	product(n, w->n_in, w->n_out, X, W + (size_t)w->n_out * (size_t)w->n_in, Y);
	return OK;
}

static int reference_backward(const struct matmul_weight *w, int n, const float *dY, float *dX)
{
	product(n, w->n_out, w->n_in, dY, w->state, dX);
	return OK;
}

enum { STRIP = 64 }; /* elements of a row of dW at a time: a chunk's sum stays on the stack */

static void gradient_strip(const struct matmul_gradient *g, int o, int first, int count)
{
	float *restrict dw = g->dW + (size_t)o * (size_t)g->n_in + first;
	float chunk[STRIP];

	memset(dw, 0, (size_t)count * sizeof *dw);
	for (int start = 0; start < g->n; start += GRADIENT_ROWS) {
		int end = start + GRADIENT_ROWS < g->n ? start + GRADIENT_ROWS : g->n;
		memset(chunk, 0, sizeof chunk);
		for (int r = start; r < end; r++) {
			const float *restrict x = g->X + (size_t)r * (size_t)g->n_in + first;
			float dy = g->dY[(size_t)r * (size_t)g->n_out + (size_t)o];
			for (int i = 0; i < count; i++)
				chunk[i] = __builtin_fmaf(dy, x[i], chunk[i]);
		}
		for (int i = 0; i < count; i++)
			dw[i] += chunk[i];
	}
}

static int reference_gradient(struct matmul *m, const struct matmul_gradient *g)
{
	(void)m;
#pragma omp parallel for schedule(static)
	for (int o = 0; o < g->n_out; o++)
		for (int i = 0; i < g->n_in; i += STRIP)
			gradient_strip(g, o, i, g->n_in - i < STRIP ? g->n_in - i : STRIP);
	return OK;
}

const struct matmul_backend matmul_reference = {
        .name = "reference",
        .is_formula = 1,
        .open = reference_open,
        .close = reference_close,
        .weight_bytes = reference_weight_bytes,
        .weight_new = reference_weight_new,
        .weight_free = reference_weight_free,
        .weight_pack = reference_weight_pack,
        .forward = reference_forward,
        .backward = reference_backward,
        .gradient = reference_gradient,
};
