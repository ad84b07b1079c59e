/* The kernel for AVX-512: 14 rows x 32 columns in 28 of 32 registers. */
#include "math/machine.h"
#include "math/matmul_tiled.h"

#if defined(__x86_64__)

#include "math/matmul_vector512.h"

#define TILE_STEP(a, b, c) _mm512_fmadd_ps(a, b, c)
#define TILE_FORM TILE_FLOATS
#define TILE_WORDS(p, i) TILE_LOAD(p)

#include "math/matmul_tile_body.h"

static const struct tile_kernel avx512_f32 = TILE_KERNEL("14 x 32");

static int avx512_open(struct matmul *m)
{
	const struct tile_kernel *kernel = !m->bf16             ? &avx512_f32
	                                   : m->in_tiles        ? &avx512_chains
	                                   : machine_dot_pays() ? &avx512_dot
	                                                        : &avx512_bf16;

	return tiled_open(m, kernel, __builtin_cpu_supports("avx512f"));
}

const struct matmul_backend matmul_avx512 = TILED_BACKEND("avx512", avx512_open);

#endif
