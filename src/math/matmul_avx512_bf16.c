/* bf16 for AVX-512 without AVX512-BF16: the pair order of matmul.h by widening each half of a word.
 * 14 rows x 32 columns in 28 of 32 registers. */
#include "math/matmul_tiled.h"

#if defined(__x86_64__)

#include "math/matmul_vector512.h"

/* The odd bf16 of each word is its upper half; the even one has to be moved there. */
TILE_INLINE __m512 avx512_half(const float *words, size_t step)
{
	__m512i w = _mm512_loadu_si512(words);

	return _mm512_castsi512_ps(
	        step == 0 ? _mm512_and_si512(w, _mm512_set1_epi32((int)0xffff0000u))
	                  : _mm512_slli_epi32(w, 16));
}

#define TILE_FORM TILE_HALVES
#define TILE_WORDS(p, i) avx512_half(p, i)
#define TILE_STEP(a, b, c) _mm512_fmadd_ps(a, b, c)

#include "math/matmul_tile_body.h"

const struct tile_kernel avx512_bf16 = TILE_KERNEL("14 x 32, bf16 widened");

#endif
