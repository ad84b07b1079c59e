/* The kernel for AVX-512. */
#if defined(__x86_64__)

#include <immintrin.h>

#define TILE_BITS 512
#define TILE_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)

#include "math/tile_body.h"

const struct tile_width tile_avx512 = {"avx512", tile_of_width};

#endif
