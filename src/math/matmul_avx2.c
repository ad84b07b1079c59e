/* The kernel for AVX2 with FMA: 6 rows x 16 columns in 12 of 16 registers. */
#include "math/matmul_tiled.h"

#if defined(__x86_64__)

#include "math/matmul_vector256.h"

#define TILE_STEP(a, b, c) _mm256_fmadd_ps(a, b, c)
#define TILE_FORM TILE_FLOATS
#define TILE_WORDS(p, i) TILE_LOAD(p)

#include "math/matmul_tile_body.h"

static const struct tile_kernel avx2_f32 = TILE_KERNEL("6 x 16");

static int avx2_open(struct matmul *m)
{
	const struct tile_kernel *kernel = !m->bf16      ? &avx2_f32
	                                   : m->in_tiles ? &avx2_chains
	                                                 : &avx2_bf16;

	return tiled_open(m, kernel,
	                  __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
}

const struct matmul_backend matmul_avx2 = TILED_BACKEND("avx2", avx2_open);

#endif
