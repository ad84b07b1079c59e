/* matmul_vector512.h - what matmul_tile_body.h wants to know of vectors of 512 bits, whatever the
 * form of the operands. Tiles have 14 rows x 32 columns, in 28 of 32 registers.
 *
 * The file of a kernel includes this, defines TILE_FORM, TILE_WORDS and TILE_STEP, and includes the
 * body. */
#ifndef MATH_MATMUL_VECTOR512_H
#define MATH_MATMUL_VECTOR512_H

#include <immintrin.h>

#define TILE_VECTOR __m512
#define TILE_LANES 16
#define TILE_ZERO _mm512_setzero_ps()
#define TILE_LOAD(p) _mm512_loadu_ps(p)
#define TILE_STORE(p, v) _mm512_storeu_ps(p, v)
#define TILE_SPREAD(p) _mm512_set1_ps(*(p))
#define TILE_SUM(a, b) _mm512_add_ps(a, b)
#define TILE_KEEP(v) __asm__("" : "+v"(v))
#define TILE_ROWS 14
#define TILE_SEVERAL(X) \
	X(1, 8) \
	X(2, 4) \
	X(3, 3) \
	X(4, 3) X(5, 2) X(6, 2) X(7, 1) X(8, 1) X(9, 1) X(10, 1) X(11, 1) X(12, 1) X(13, 1) X(14, 1)

/* The odd bf16 of each word is its upper half; the even one has to be moved there. */
TILE_INLINE __m512 tile_half512(const float *words, size_t step)
{
	__m512i w = _mm512_loadu_si512(words);

	return _mm512_castsi512_ps(
	        step == 0 ? _mm512_and_si512(w, _mm512_set1_epi32((int)0xffff0000u))
	                  : _mm512_slli_epi32(w, 16));
}

#endif
