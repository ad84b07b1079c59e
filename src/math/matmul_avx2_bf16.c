/* bf16 for AVX2 with FMA, which has no instruction for it: the pair order of matmul.h by widening
 * each half of a word. 6 rows x 16 columns in 12 of 16 registers. */
#include "math/matmul_tiled.h"

#if defined(__x86_64__)

#include "math/matmul_vector256.h"

/* The odd bf16 of each word is its upper half; the even one has to be moved there. */
TILE_INLINE __m256 avx2_half(const float *words, size_t step)
{
	__m256i w = _mm256_loadu_si256((const __m256i *)(const void *)words);

	return _mm256_castsi256_ps(
	        step == 0 ? _mm256_and_si256(w, _mm256_set1_epi32((int)0xffff0000u))
	                  : _mm256_slli_epi32(w, 16));
}

#define TILE_FORM TILE_HALVES
#define TILE_WORDS(p, i) avx2_half(p, i)
#define TILE_STEP(a, b, c) _mm256_fmadd_ps(a, b, c)

#include "math/matmul_tile_body.h"

const struct tile_kernel avx2_bf16 = TILE_KERNEL("6 x 16, bf16 widened");

#endif
