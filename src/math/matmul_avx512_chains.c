/* bf16 in the tile order for AVX-512 without AMX, by widening each half of a word. 14 rows x 32
 * columns in 28 of 32 registers. */
#include "math/matmul_tiled.h"

#if defined(__x86_64__)

#include "math/matmul_vector512.h"

#define TILE_FORM TILE_HALVES
#define TILE_CHAINS
#define TILE_WORDS(p, i) tile_half512(p, i)
#define TILE_STEP(a, b, c) _mm512_fmadd_ps(a, b, c)

#include "math/matmul_tile_body.h"

const struct tile_kernel avx512_chains = TILE_KERNEL("14 x 32, AMX's order by widening");

#endif
