/* matmul.h - the three matrix products of a linear layer, behind one interface.
 *
 *     forward    Y  = X W^T      Y [n x out], X [n x in], W [out x in]
 *     backward   dX = dY W       dX [n x in], dY [n x out]
 *     gradient   dW = dY^T X     summed over n rows, in chunks of at most GRADIENT_ROWS anchored at row 0, added in order
 *
 * numerics strict (the default): row i of Y and dX depends on row i of X and dY (and W) alone, bit for bit: not on n, not on
 * its place among the rows, not on threads. dW depends on its operands and n alone, not on threads.
 * numerics fast drops this promise. How each backend keeps it (or why it refuses) stands at the top of its file.
 *
 *     backend     needs                     strict
 *     onednn      HAVE_ONEDNN, AVX-512      yes, when the implementation that it picks is one whose rows were seen to be independent
 *     openblas    OpenBLAS                  yes, by fixed call shapes, one thread a call, our own parallel loop
 *     reference   nothing                   yes; a chain of fmaf over the inner dimension, in order: the oracle
 *
 * auto is the first of this table that opens. Measured, strict, in GFLOP/s of one core with AVX-512 (Zen 4, at most 116; best of 5, shapes of a
 * model of width 576: 576 to 3072 outputs and the vocabulary of 49152; a single row reads the latter from memory):
 *
 *                 n >= 500: forward   backward   gradient n = 512   gradient n = 2048   forward n = 64   n = 8    n = 1
 *     onednn      105-115             102-114    99-113             99-104              98-117           55-114   8
 *     openblas    97-110              97-111     95-99              72-90               99-112           70-109   14
 *
 * Two cores give 1.8 to 2 times as much. Long gradients put onednn first; the reference is 3 to 10 times slower than either.
 *
 * Adding one (bf16, a device) = one file with a struct matmul_backend and one row in matmul.c. */
#ifndef MATH_MATMUL_H
#define MATH_MATMUL_H

#include <stddef.h>

enum { GRADIENT_ROWS = 512 };

struct matmul;        /* a chosen backend; const after matmul_new, shared by all threads */
struct matmul_weight; /* one W, packed the way the backend likes; repacked after every update */

struct matmul_options {
	const char *backend;   /* auto, onednn, openblas, reference */
	const char *precision; /* f32 */
	const char *numerics;  /* strict, fast */
};

/* ERR_INPUT when the backend is unknown, not built in, not fit for this CPU, or cannot be strict (the message says what to
 * set instead). In strict mode a short self-test on random shapes runs here. */
int         matmul_new(const struct matmul_options *o, struct matmul **out);
void        matmul_free(struct matmul *m);
const char *matmul_describe(const struct matmul *m); /* "onednn 2.6.3 f32 strict (brg:avx512_core)": for the start line */

/* for_backward = 0 leaves out what only matmul_backward needs (a rollout-only model). */
int    matmul_weight_new(struct matmul *m, int n_out, int n_in, int for_backward, struct matmul_weight **out);
void   matmul_weight_free(struct matmul_weight *w);
size_t matmul_weight_bytes(const struct matmul *m, int n_out, int n_in, int for_backward); /* for the memory bill */
int    matmul_weight_pack(struct matmul_weight *w, const float *W /* [out x in] */);

/* Each uses all threads; call them from serial code. X, Y, dX, dY must not overlap. */
int matmul_forward(const struct matmul_weight *w, int n, const float *X, float *Y);
int matmul_backward(const struct matmul_weight *w, int n, const float *dY, float *dX);
int matmul_gradient(struct matmul *m, int n, int n_out, int n_in, const float *dY, const float *X, float *dW /* overwritten */);

/* The yardstick of `hone bench`: FLOP/s of the best of 40 products of 1152 x 1152 matrices with the current number of threads. */
int matmul_peak(struct matmul *m, double *flops);

#endif
