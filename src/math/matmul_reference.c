/* The oracle: the formulas of matmul.h as they stand there, a gradient in chunks of GRADIENT_ROWS
 * rows that are added in order. Nothing here is clever, so that it can be checked by eye. The loops
 * run over outputs innermost, so that compilers use vectors without changing any chain. */
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

enum { STRIP = 64 }; /* results of a row at a time: their chains stay on the stack */

/* c[j] = sum over k of a[k] b[k][j], for j < width <= STRIP */
struct reference_sum {
	const float *a, *b;
	size_t       a_step, b_row; /* from k to k + 1 */
	int          depth, width;
};

/* c[j] <- fma(a[k], b[k][j], c[j]) for all j; behind the last k the product is of zeros. */
static void reference_step(const struct matmul *m, const struct reference_sum *s, int k,
                           float *restrict c)
{
	const float *b;
	float        a;

	if (k >= s->depth) {
		for (int j = 0; j < s->width; j++)
			c[j] = __builtin_fmaf(0.0f, 0.0f, c[j]); /* makes -0 a 0 */
		return;
	}
	a = reference_operand(m, s->a[(size_t)k * s->a_step]);
	b = s->b + (size_t)k * s->b_row;
	if (m->bf16)
		for (int j = 0; j < s->width; j++)
			c[j] = __builtin_fmaf(a, bf16_widen(bf16_operand(b[j])), c[j]);
	else
		for (int j = 0; j < s->width; j++)
			c[j] = __builtin_fmaf(a, b[j], c[j]);
}

/* f32: every k; bf16: the odd one of a pair before the even one. */
static void reference_chain(const struct matmul *m, const struct reference_sum *s, float *c)
{
	memset(c, 0, (size_t)s->width * sizeof *c);
	if (!m->bf16)
		for (int k = 0; k < s->depth; k++)
			reference_step(m, s, k, c);
	else
		for (int k = 0; k < s->depth; k += 2) {
			reference_step(m, s, k + 1, c);
			reference_step(m, s, k, c);
		}
}

/* bf16 in tiles: of each 32 k a chain of the even ones and one of the odd ones. */
static void reference_tiles(const struct matmul *m, const struct reference_sum *s, float *c)
{
	float even[STRIP], odd[STRIP];

	memset(c, 0, (size_t)s->width * sizeof *c);
	for (int k = 0; k < s->depth; k += 32) {
		memset(even, 0, sizeof even);
		memset(odd, 0, sizeof odd);
		for (int i = k; i < k + 32; i += 2) {
			reference_step(m, s, i, even);
			reference_step(m, s, i + 1, odd);
		}
		for (int j = 0; j < s->width; j++)
			c[j] = c[j] + (even[j] + odd[j]);
	}
}

static void reference_add_up(const struct matmul *m, const struct reference_sum *s, float *c)
{
	if (m->in_tiles)
		reference_tiles(m, s, c);
	else
		reference_chain(m, s, c);
}

struct reference_product { /* C [n x width] = A [n x depth] B [depth x width] */
	int          n, depth, width;
	const float *A, *B;
	float       *C;
};

static void product(const struct matmul *m, const struct reference_product *p)
{
	size_t depth = (size_t)p->depth, width = (size_t)p->width;

#pragma omp parallel for schedule(static)
	for (int r = 0; r < p->n; r++)
		for (int j = 0; j < p->width; j += STRIP) {
			struct reference_sum s = {.a = p->A + (size_t)r * depth,
			                          .b = p->B + j,
			                          .a_step = 1,
			                          .b_row = width,
			                          .depth = p->depth};
			s.width = p->width - j < STRIP ? p->width - j : STRIP;
			reference_add_up(m, &s, p->C + (size_t)r * width + j);
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

/* Up to STRIP elements of row o of dW, from element `first`: chunk by chunk. */
static void gradient_strip(const struct matmul *m, const struct matmul_gradient *g, int o,
                           int first)
{
	int    count = g->n_in - first < STRIP ? g->n_in - first : STRIP;
	float *dw = g->dW + (size_t)o * (size_t)g->n_in + first;
	float  chunk[STRIP];

	memset(dw, 0, (size_t)count * sizeof *dw);
	for (int start = 0; start < g->n; start += GRADIENT_ROWS) {
		struct reference_sum s = {.a = g->dY + (size_t)start * (size_t)g->n_out + o,
		                          .b = g->X + (size_t)start * (size_t)g->n_in + first,
		                          .a_step = (size_t)g->n_out,
		                          .b_row = (size_t)g->n_in,
		                          .width = count};
		s.depth = start + GRADIENT_ROWS < g->n ? GRADIENT_ROWS : g->n - start;
		reference_add_up(m, &s, chunk);
		for (int i = 0; i < count; i++)
			dw[i] += chunk[i];
	}
}

static int reference_gradient(struct matmul *m, const struct matmul_gradient *g)
{
#pragma omp parallel for schedule(static)
	for (int o = 0; o < g->n_out; o++)
		for (int i = 0; i < g->n_in; i += STRIP)
			gradient_strip(m, g, o, i);
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
