/* matmul.h - the three matrix products of a linear layer, behind one interface.
 *
 *     forward    Y  = X W^T      Y [n x out], X [n x in], W [out x in]
 *     backward   dX = dY W       dX [n x in], dY [n x out]
 *     gradient   dW = dY^T X     summed over n rows, in chunks of at most GRADIENT_ROWS anchored at
 *                                row 0, added in order
 *
 * Each element is defined by a formula, with every rounding in it:
 *
 *     Y[i][o], dX[i][j]   acc = 0; for k = 0, 1, ...: acc = fma(a[k], b[k], acc)
 *                         one chain over the whole inner dimension
 *     dW[o][j]            that chain for each chunk of GRADIENT_ROWS rows; dW = 0 + chunk 0 + chunk
 *                         1 + ..., from the left
 *
 * precision bf16 rounds both operands to bf16 first (bf16.h). Then there are two orders, and a run
 * keeps that with which it began. The order of pairs takes k in pairs, the odd one before the even
 * one; an odd inner dimension is filled up with a zero:
 *
 *     acc = 0; for k = 0, 2, ...: acc = fma(a[k+1], b[k+1], acc); acc = fma(a[k], b[k], acc)
 *
 * which is what AVX512-BF16 computes for two k at once. The order of tiles takes 32 k at once, the
 * even ones and the odd ones each in a chain of 16; the inner dimension is filled up with zeros:
 *
 *     acc = 0; for k = 0, 32, ...: even = odd = 0
 *                                  for i = k, k+2, .. k+30: even = fma(a[i], b[i], even)
 *                                                           odd = fma(a[i+1], b[i+1], odd)
 *                                  acc = acc + (even + odd)
 *
 * which is what AMX computes (seen on a Xeon of the fifth generation: of 8 million results with
 * exponents over the whole range, zeros, denormals, infinities, under each rounding mode of the
 * thread, none differs but in the payload of a NaN). Sums and results are f32.
 *
 * All in f32, round to nearest even, denormals flushed to zero in and out (base/threads.h). amx,
 * avx512, avx2 and reference compute exactly this, so they give the same bits on every CPU that has
 * them; matmul_new compares them with the formula when a run starts. What libraries compute is
 * another order.
 *
 * numerics strict (the default): row i of Y and dX depends on row i of X and dY (and W) alone, bit
 * for bit: not on n, not on its place among the rows, not on threads. dW depends on its operands
 * and n alone, not on threads. numerics fast drops this promise. How each backend keeps it (or why
 * it refuses) stands at the top of its file.
 *
 *     backend     needs                     strict
 *     amx         AMX, AVX512-BF16; bf16    yes, by the formula
 *                 in tiles alone
 *     avx512      AVX-512F                  yes, by the formula
 *     avx2        AVX2 and FMA              yes, by the formula
 *     openblas    OpenBLAS                  yes, by fixed call shapes, one thread a call, our own
 *                                           parallel loop
 *     reference   nothing                   yes, by the formula: the oracle
 *
 * auto is the first of this table that opens; strict, the first by the formula, so that auto gives
 * the same bits on every CPU, if slowly where there is no kernel for it.
 *
 * Measured on one core with AVX2 (Zen 3, at most 112 GFLOP/s; the best of three runs in turns;
 * strict f32 : strict bf16 : fast OpenBLAS in f32), with outputs and inputs 576 and 1536:
 *
 *     1 row            35 : 57 : 6
 *     4 rows           77 : 91 : 26
 *     16 rows          87 : 94 : 58
 *     64 rows          82 : 92 : 76
 *     512 and 2048     85 : 88 : 89     gradients   83 : 75 : 89
 *     49152 outputs    12 : 22 : 3 for one row, 79 : 88 : 68 for 64 (out of the cache)
 *
 * On one core with AVX-512 and AMX (Xeon of the fifth generation, shared with other programs; from
 * registers 176, 88, 2666 GFLOP/s; CPU time, the best of three turns; f32 : bf16 in pairs : bf16 in
 * tiles), 576 outputs and 1536 inputs:
 *
 *     1 row            14 : 56 : 55
 *     4 rows           53 : 77 : 202
 *     16 rows          137 : 79 : 734
 *     64 rows          157 : 84 : 801   gradients   130 : 76 : 338
 *     256 rows         152 : 83 : 788   gradients   130 : 76 : 515
 *
 * Adding one (a device) = one file with a struct matmul_backend and one row in matmul.c. */
#ifndef MATH_MATMUL_H
#define MATH_MATMUL_H

#include <stddef.h>

enum { GRADIENT_ROWS = 512 };

struct matmul;        /* a chosen backend; const after matmul_new, shared by all threads */
struct matmul_weight; /* one W, packed the way the backend likes; repacked after every update */

struct matmul_options {
	const char *backend;   /* auto or a row of the table above */
	const char *precision; /* f32, bf16 */
	const char *numerics;  /* strict, fast */
	/* of the products of matmul_head, when the others are bf16: f32, bf16; NULL: bf16 */
	const char *head_precision;
	/* of bf16: auto, pair, tile; NULL: auto */
	const char *order;
};

/* The products of attention take the backend's instructions, too (tile_choose), in the whole
 * process. ERR_INPUT when the backend is unknown, not built in, not fit for this CPU, or cannot be
 * strict (the message says what to set instead). In strict mode a short self-test on random shapes
 * runs here. */
int  matmul_is_strict(const struct matmul_options *o);
int  matmul_new(const struct matmul_options *o, struct matmul **out);
void matmul_free(struct matmul *m);
/* Those for the last product of a model, whose results are logits: m itself, or with another
 * head_precision those that belong to m. */
struct matmul *matmul_head(const struct matmul *m);
int            matmul_is_bf16(const struct matmul *m);
int            matmul_in_tiles(const struct matmul *m); /* in bf16, in the order of tiles */
/* Whether this CPU has an instruction for products in bf16 (AVX512-BF16); the others compute the
 * same bits by f32 fma, not faster. */
int matmul_cpu_has_bf16(void);
/* Whether this CPU has AMX for bf16 and the system lets this process use it. */
int matmul_cpu_has_amx(void);
/* The order that a run gets: "pair" or "tile" where the options name it, else "tile" where the CPU
 * has AMX. */
const char *matmul_order(const struct matmul_options *o);
/* The order in which the formula adds, in a few words, for who compares two programs. */
extern const char matmul_sums[];
/* "avx2 f32 strict (tiles of 6 x 16)": for the start line */
const char *matmul_describe(const struct matmul *m);

/* for_backward: */
enum {
	MATMUL_FORWARD, /* leaves out what only matmul_backward needs (a rollout-only model) */
	MATMUL_BOTH,
	/* W stays where it is packed from, as it is, until it is packed again: a backend may read
	 * it there instead of holding a copy (kernels of our own do, in f32) */
	MATMUL_LENT,
};
int  matmul_weight_new(struct matmul *m, int n_out, int n_in, int for_backward,
                       struct matmul_weight **out);
void matmul_weight_free(struct matmul_weight *w);
/* for the memory bill */
size_t matmul_weight_bytes(const struct matmul *m, int n_out, int n_in, int for_backward);
int    matmul_weight_pack(struct matmul_weight *w, const float *W /* [out x in] */);

/* Each uses all threads; call them from serial code. X, Y, dX, dY must not overlap. */
int matmul_forward(const struct matmul_weight *w, int n, const float *X, float *Y);
int matmul_backward(const struct matmul_weight *w, int n, const float *dY, float *dX);

struct matmul_gradient { /* dW [out x in] = dY^T X over n rows */
	int          n, n_out, n_in;
	const float *dY, *X;
	float       *dW; /* overwritten; zeros for n = 0 */
};
int matmul_gradient(struct matmul *m, const struct matmul_gradient *g);

#endif
