/* The kernel for AVX2 with FMA. */
#if defined(__x86_64__)

#include <immintrin.h>

#define TILE_BITS 256
#define TILE_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)

#include "math/tile_body.h"

const struct tile_width tile_avx2 = {"avx2", tile_of_width};

#endif
