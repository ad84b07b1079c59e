/* bf16 in the tile order for AVX2 with FMA, by widening each half of a word. 6 rows x 16 columns in
 * 12 of 16 registers. */
#include "math/matmul_tiled.h"

#if defined(__x86_64__)

#include "math/matmul_vector256.h"

#define TILE_FORM TILE_HALVES
#define TILE_CHAINS
#define TILE_WORDS(p, i) tile_half256(p, i)
#define TILE_STEP(a, b, c) _mm256_fmadd_ps(a, b, c)

#include "math/matmul_tile_body.h"

const struct tile_kernel avx2_chains = TILE_KERNEL("6 x 16, AMX's order by widening");

#endif
