/* The kernel for AVX2 with FMA: 6 rows x 16 columns in 12 of 16 registers. */
#include "math/matmul_tiled.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TILE_VECTOR __m256
#define TILE_LANES 8
#define TILE_ZERO _mm256_setzero_ps()
#define TILE_LOAD(p) _mm256_loadu_ps(p)
#define TILE_STORE(p, v) _mm256_storeu_ps(p, v)
#define TILE_SPREAD(p) _mm256_broadcast_ss(p)
#define TILE_STEP(a, b, c) _mm256_fmadd_ps(a, b, c)
#define TILE_FORM TILE_FLOATS
#define TILE_WORDS(p, i) TILE_LOAD(p)
#define TILE_SUM(a, b) _mm256_add_ps(a, b)
#define TILE_KEEP(v) __asm__("" : "+x"(v))
#define TILE_ROWS 6
#define TILE_SEVERAL(X) X(1, 4) X(2, 2) X(3, 2) X(4, 1) X(5, 1) X(6, 1)

#include "math/matmul_tile_body.h"

static const struct tile_kernel avx2_f32 = TILE_KERNEL("6 x 16");

static int avx2_open(struct matmul *m)
{
	return tiled_open(m, m->bf16 ? &avx2_bf16 : &avx2_f32,
	                  __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
}

const struct matmul_backend matmul_avx2 = TILED_BACKEND("avx2", avx2_open);

#endif
