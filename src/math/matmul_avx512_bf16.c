/* bf16 for AVX-512 without AVX512-BF16, or where that is slower (machine_dot_pays): the pair order
 * of matmul.h by widening each half of a word. 14 rows x 32 columns in 28 of 32 registers. */
#include "math/matmul_tiled.h"

#if defined(__x86_64__)

#include "math/matmul_vector512.h"

#define TILE_FORM TILE_HALVES
#define TILE_WORDS(p, i) tile_half512(p, i)
#define TILE_STEP(a, b, c) _mm512_fmadd_ps(a, b, c)

#include "math/matmul_tile_body.h"

const struct tile_kernel avx512_bf16 = TILE_KERNEL("14 x 32, bf16 widened");

#endif
