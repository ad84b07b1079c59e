/* The oracle: every element is one chain of fmaf over the inner dimension, in increasing order; a
 * gradient is one chain per chunk of GRADIENT_ROWS rows, the chunks added in order. Nothing here is
 * clever, so that it can be checked by eye. The loops run over outputs innermost, so that compilers
 * use vectors without changing any chain. */
#include "math/matmul_backend.h"

#include "base/error.h"
#include "base/memory.h"
#include "math/bf16.h"

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

static float reference_operand(const struct matmul *m, float x)
{
	return m->bf16 ? bf16_widen(bf16_operand(x)) : x;
}

/* The k that comes at place i of a chain, of `depth`: i; with bf16 the odd one of a pair before the
 * even one. May be `depth`: there a product of zeros is added. */
static int reference_turn(const struct matmul *m, int i)
{
	return m->bf16 ? i ^ 1 : i;
}

static int reference_turns(const struct matmul *m, int depth)
{
	return m->bf16 ? (depth + 1) / 2 * 2 : depth;
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

	for (size_t o = 0; o < out; o++)
		for (size_t i = 0; i < in; i++) {
			float x = reference_operand(w->matmul, W[o * in + i]);
			copy[o * in + i] = x;
			transposed[i * out + o] = x;
		}
	return OK;
}

/* c[j] <- fma(a, b[j], c[j]) for all j */
static void reference_step(float a, const float *restrict b, int width, float *restrict c)
{
	for (int j = 0; j < width; j++)
		c[j] = __builtin_fmaf(a, b[j], c[j]);
}

/* c[j] <- fma(0, 0, c[j]), which makes -0 a 0 */
static void reference_step_of_zeros(int width, float *restrict c)
{
	for (int j = 0; j < width; j++)
		c[j] = __builtin_fmaf(0.0f, 0.0f, c[j]);
}

struct reference_product { /* C [n x width] = A [n x depth] B [depth x width] */
	int          n, depth, width;
	const float *A, *B;
	float       *C;
};

/* Row by row, one chain over k for each element, in the order of the weight (matmul.h). */
static void product(const struct matmul *m, const struct reference_product *p)
{
	int depth = p->depth, width = p->width;

#pragma omp parallel for schedule(static)
	for (int r = 0; r < p->n; r++) {
		const float *a = p->A + (size_t)r * (size_t)depth;
		float       *c = p->C + (size_t)r * (size_t)width;
		memset(c, 0, (size_t)width * sizeof *c);
		for (int i = 0; i < reference_turns(m, depth); i++) {
			int k = reference_turn(m, i);
			if (k < depth)
				reference_step(reference_operand(m, a[k]),
				               p->B + (size_t)k * (size_t)width, width, c);
			else
				reference_step_of_zeros(width, c);
		}
	}
}

static int reference_forward(const struct matmul_weight *w, int n, const float *X, float *Y)
{
	const float *W = w->state;

	product(w->matmul, &(struct reference_product){n, w->n_in, w->n_out, X,
	                                               W + (size_t)w->n_out * (size_t)w->n_in, Y});
	return OK;
}

static int reference_backward(const struct matmul_weight *w, int n, const float *dY, float *dX)
{
	product(w->matmul, &(struct reference_product){n, w->n_out, w->n_in, dY, w->state, dX});
	return OK;
}

enum { STRIP = 64 }; /* elements of a row of dW at a time: a chunk's sum stays on the stack */

static void gradient_strip(const struct matmul *m, const struct matmul_gradient *g, int o,
                           int first, int count)
{
	float *dw = g->dW + (size_t)o * (size_t)g->n_in + first;
	float  chunk[STRIP], x[STRIP];

	memset(dw, 0, (size_t)count * sizeof *dw);
	for (int start = 0; start < g->n; start += GRADIENT_ROWS) {
		int rows = start + GRADIENT_ROWS < g->n ? GRADIENT_ROWS : g->n - start;
		memset(chunk, 0, sizeof chunk);
		for (int i = 0; i < reference_turns(m, rows); i++) {
			size_t r = (size_t)(start + reference_turn(m, i));
			if (reference_turn(m, i) >= rows) {
				reference_step_of_zeros(count, chunk);
				continue;
			}
			for (int j = 0; j < count; j++)
				x[j] = reference_operand(
				        m, g->X[r * (size_t)g->n_in + (size_t)(first + j)]);
			reference_step(
			        reference_operand(m, g->dY[r * (size_t)g->n_out + (size_t)o]), x,
			        count, chunk);
		}
		for (int i = 0; i < count; i++)
			dw[i] += chunk[i];
	}
}

static int reference_gradient(struct matmul *m, const struct matmul_gradient *g)
{
#pragma omp parallel for schedule(static)
	for (int o = 0; o < g->n_out; o++)
		for (int i = 0; i < g->n_in; i += STRIP)
			gradient_strip(m, g, o, i, g->n_in - i < STRIP ? g->n_in - i : STRIP);
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
