/* bf16 by AVX512-BF16, whose vdpbf16ps is a step of the pair order of matmul.h: the odd products
 * are added, then the even ones, each by an fma rounded to f32; denormals count as zeros. 14 rows x
 * 32 columns in 28 of 32 registers. */
#include "math/matmul_tiled.h"

#if defined(__x86_64__)

#include "math/matmul_vector512.h"

#define TILE_FORM TILE_PAIRS
#define TILE_PACKING &matmul_pairs
#define TILE_WORDS(p, i) TILE_LOAD(p)
#define TILE_STEP(a, b, c) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))

#include "math/matmul_tile_body.h"

const struct tile_kernel avx512_dot = TILE_KERNEL("14 x 32, dpbf16");

#endif
