/* matmul_tiled.h - what the own backends share: packing, cutting into tiles, threads. Seen by
 * matmul_tiled.c and the files of the kernels only.
 *
 * W is kept as panels (matmul_tile.h) for Y = X W^T, and with bf16 for dX = dY W. In f32 the panels
 * of dX are packed from a W that is lent, a group of them at a time, beside the product. That costs
 * 4 to 15% of the products backward (one comparison on a busy machine with AVX-512), half of the
 * packing after each update comes back, and the model takes a third less memory. With bf16 the
 * operands are rounded where they are packed, and A is packed as well, beside the product. The
 * gradient packs X into panels in chunks of GRADIENT_ROWS rows, and the columns of dY that a tile
 * needs beside it.
 *
 * Rows are independent and threads change nothing, because no sum is ever shared out: an element is
 * one chain of fma, wherever its tile lies. */
#ifndef MATH_MATMUL_TILED_H
#define MATH_MATMUL_TILED_H

#include "math/matmul_backend.h"
#include "math/matmul_tile.h"

#include <stdint.h>

/* of the files of the kernels */
extern const struct tile_kernel avx2_bf16, avx512_bf16, avx512_dot, avx2_chains, avx512_chains;
/* by AVX512-BF16, for panels of 32 columns */
extern const struct tile_packing matmul_pairs;

/* ERR_INPUT where the CPU has not the instructions of the kernel. */
int    tiled_open(struct matmul *m, const struct tile_kernel *kernel, int supported);
void   tiled_close(struct matmul *m);
size_t tiled_weight_bytes(const struct matmul_weight *w);
int    tiled_weight_new(struct matmul_weight *w);
void   tiled_weight_free(struct matmul_weight *w);
int    tiled_weight_pack(struct matmul_weight *w, const float *W);
int    tiled_forward(const struct matmul_weight *w, int n, const float *X, float *Y);
int    tiled_backward(const struct matmul_weight *w, int n, const float *dY, float *dX);
int    tiled_gradient(struct matmul *m, const struct matmul_gradient *g);

#define TILED_BACKEND(name_, open_) \
	{ \
		.name = name_, .is_formula = 1, .open = open_, .close = tiled_close, \
		.weight_bytes = tiled_weight_bytes, .weight_new = tiled_weight_new, \
		.weight_free = tiled_weight_free, .weight_pack = tiled_weight_pack, \
		.forward = tiled_forward, .backward = tiled_backward, .gradient = tiled_gradient, \
	}

#endif
