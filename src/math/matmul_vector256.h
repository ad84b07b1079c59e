/* matmul_vector256.h - what matmul_tile_body.h wants to know of vectors of 256 bits, whatever the
 * form of the operands. Tiles have 6 rows x 16 columns, in 12 of 16 registers.
 *
 * The file of a kernel includes this, defines TILE_FORM, TILE_WORDS and TILE_STEP, and includes the
 * body. */
#ifndef MATH_MATMUL_VECTOR256_H
#define MATH_MATMUL_VECTOR256_H

#include <immintrin.h>

#define TILE_VECTOR __m256
#define TILE_LANES 8
#define TILE_ZERO _mm256_setzero_ps()
#define TILE_LOAD(p) _mm256_loadu_ps(p)
#define TILE_STORE(p, v) _mm256_storeu_ps(p, v)
#define TILE_SPREAD(p) _mm256_broadcast_ss(p)
#define TILE_SUM(a, b) _mm256_add_ps(a, b)
#define TILE_KEEP(v) __asm__("" : "+x"(v))
#define TILE_ROWS 6
#define TILE_SEVERAL(X) X(1, 4) X(2, 2) X(3, 2) X(4, 1) X(5, 1) X(6, 1)

/* The odd bf16 of each word is its upper half; the even one has to be moved there. */
TILE_INLINE __m256 tile_half256(const float *words, size_t step)
{
	__m256i w = _mm256_loadu_si256((const __m256i *)(const void *)words);

	return _mm256_castsi256_ps(
	        step == 0 ? _mm256_and_si256(w, _mm256_set1_epi32((int)0xffff0000u))
	                  : _mm256_slli_epi32(w, 16));
}

#endif
