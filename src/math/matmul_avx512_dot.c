/* bf16 by AVX512-BF16, whose vdpbf16ps is a step of the pair order of matmul.h: the odd products
 * are added, then the even ones, each by an fma rounded to f32; denormals count as zeros. 14 rows x
 * 32 columns in 28 of 32 registers. */
#include "math/matmul_tiled.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TILE_VECTOR __m512
#define TILE_LANES 16
#define TILE_FORM TILE_PAIRS
#define TILE_ZERO _mm512_setzero_ps()
#define TILE_LOAD(p) _mm512_loadu_ps(p)
#define TILE_STORE(p, v) _mm512_storeu_ps(p, v)
#define TILE_SPREAD(p) _mm512_set1_ps(*(p))
#define TILE_WORDS(p, i) TILE_LOAD(p)
#define TILE_STEP(a, b, c) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))
#define TILE_SUM(a, b) _mm512_add_ps(a, b)
#define TILE_KEEP(v) __asm__("" : "+v"(v))
#define TILE_ROWS 14
#define TILE_SEVERAL(X) \
	X(1, 8) \
	X(2, 4) \
	X(3, 3) \
	X(4, 3) X(5, 2) X(6, 2) X(7, 1) X(8, 1) X(9, 1) X(10, 1) X(11, 1) X(12, 1) X(13, 1) X(14, 1)

#include "math/matmul_tile_body.h"

const struct tile_kernel avx512_dot = TILE_KERNEL("14 x 32, dpbf16");

#endif
