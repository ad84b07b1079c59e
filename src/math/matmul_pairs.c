/* Packing in words of two bf16 (matmul_tile.h) by AVX512-BF16, for the kernels of CPUs that have
 * it: amx and dpbf16. The instruction rounds as bf16_operand does, all 2^32 floats: to nearest
 * even, a denormal to a zero of its sign, a NaN to a quiet one, whatever the thread's flags say. */
#include "math/matmul_tiled.h"

#if defined(__x86_64__)

#include <immintrin.h>

enum { PAIRS_SIDE = 16, PAIRS_PANEL = 32 };

/* A row of n floats from `at` on, of which a vector takes up to 16. */
TILE_INLINE __m512 pairs_load(const float *at, int n)
{
	return n >= PAIRS_SIDE ? _mm512_loadu_ps(at)
	       : n > 0         ? _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), at)
	                       : _mm512_setzero_ps();
}

/* Words of neighbours in a row: (x[0], x[1]), (x[2], x[3]), ... of n floats. */
TILE_INLINE __m512i pairs_along(const float *at, int n)
{
	return (__m512i)_mm512_cvtne2ps_pbh(pairs_load(at + PAIRS_SIDE, n - PAIRS_SIDE),
	                                    pairs_load(at, n));
}

/* Words of two rows: (even[0], odd[0]), (even[1], odd[1]), ... of n columns. */
TILE_INLINE __m512i pairs_across(const float *even, const float *odd, int n)
{
	__m512i e = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(pairs_load(even, n))),
	        o = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(pairs_load(odd, n)));

	return _mm512_or_si512(e, _mm512_slli_epi32(o, 16));
}

/* Row k + 1 of a view, or n = 0 where there is none. */
TILE_INLINE __m512i pairs_of_rows(const struct tile_view *v, int word, int column)
{
	const float *even = v->at + (size_t)(2 * word) * v->down + column;
	int          n = v->columns - column;

	if (2 * word + 1 < v->depth)
		return pairs_across(even, even + v->down, n);
	return 2 * word < v->depth
	               ? _mm512_and_si512(pairs_across(even, even, n), _mm512_set1_epi32(0xffff))
	               : _mm512_setzero_si512();
}

#define PAIRS_LOW(a, b) _mm512_unpacklo_epi32(a, b)
#define PAIRS_HIGH(a, b) _mm512_unpackhi_epi32(a, b)
#define PAIRS_LOW2(a, b) _mm512_unpacklo_epi64(a, b)
#define PAIRS_HIGH2(a, b) _mm512_unpackhi_epi64(a, b)

/* v[i] word j <-> v[j] word i, first in squares of 4 x 4, then these squares. */
TILE_INLINE void pairs_turn(__m512i *v)
{
	__m512i t[PAIRS_SIDE];

#pragma GCC unroll 4
	for (int i = 0; i < 16; i += 4) {
		__m512i a = PAIRS_LOW(v[i], v[i + 1]), b = PAIRS_HIGH(v[i], v[i + 1]),
		        c = PAIRS_LOW(v[i + 2], v[i + 3]), d = PAIRS_HIGH(v[i + 2], v[i + 3]);
		t[i] = PAIRS_LOW2(a, c);
		t[i + 1] = PAIRS_HIGH2(a, c);
		t[i + 2] = PAIRS_LOW2(b, d);
		t[i + 3] = PAIRS_HIGH2(b, d);
	}
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) {
		__m512i a = _mm512_shuffle_i32x4(t[i], t[i + 4], 0x88),
		        b = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0x88),
		        c = _mm512_shuffle_i32x4(t[i], t[i + 4], 0xdd),
		        d = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0xdd);
		v[i] = _mm512_shuffle_i32x4(a, b, 0x88);
		v[i + 8] = _mm512_shuffle_i32x4(a, b, 0xdd);
		v[i + 4] = _mm512_shuffle_i32x4(c, d, 0x88);
		v[i + 12] = _mm512_shuffle_i32x4(c, d, 0xdd);
	}
}

static void pairs_round(const float *a, int depth, int words, float *to)
{
	for (int w = 0; w < words; w += PAIRS_SIDE) {
		int left = words - w;
		_mm512_mask_storeu_epi32(to + w,
		                         (__mmask16)(left < PAIRS_SIDE ? (1u << left) - 1 : 0xffff),
		                         pairs_along(a + 2 * w, depth - 2 * w));
	}
}

/* A panel whose columns are rows in memory: of each 16 columns 16 words are turned at once. */
static void pairs_panel_turned(const struct tile_view *v, int words, float *to)
{
	for (int j = 0; j < PAIRS_PANEL; j += PAIRS_SIDE)
		for (int w = 0; w < words; w += PAIRS_SIDE) {
			__m512i word[PAIRS_SIDE];
#pragma GCC unroll 16
			for (int i = 0; i < PAIRS_SIDE; i++)
				word[i] = j + i < v->columns
				                  ? pairs_along(v->at + (size_t)(j + i) * v->right +
				                                        2 * w,
				                                v->depth - 2 * w)
				                  : _mm512_setzero_si512();
			pairs_turn(word);
			for (int i = 0; i < PAIRS_SIDE && w + i < words; i++)
				_mm512_storeu_si512(to + (size_t)(w + i) * PAIRS_PANEL + j,
				                    word[i]);
		}
}

static void pairs_panel(const struct tile_view *v, int words, float *to)
{
	if (v->right != 1) {
		pairs_panel_turned(v, words, to);
		return;
	}
	for (int w = 0; w < words; w++, to += PAIRS_PANEL) {
		_mm512_storeu_si512(to, pairs_of_rows(v, w, 0));
		_mm512_storeu_si512(to + PAIRS_SIDE, pairs_of_rows(v, w, PAIRS_SIDE));
	}
}

static void pairs_columns(const struct tile_view *v, int words, float *to)
{
	for (int j = 0; j < v->columns; j += PAIRS_SIDE)
		for (int w = 0; w < words; w += PAIRS_SIDE) {
			__m512i word[PAIRS_SIDE];
#pragma GCC unroll 16
			for (int i = 0; i < PAIRS_SIDE; i++)
				word[i] = pairs_of_rows(v, w + i, j);
			pairs_turn(word);
			for (int i = 0; i < PAIRS_SIDE && j + i < v->columns; i++)
				_mm512_storeu_si512(to + (size_t)(j + i) * (size_t)words + w,
				                    word[i]);
		}
}

const struct tile_packing matmul_pairs = {
        .round = pairs_round, .panel = pairs_panel, .columns = pairs_columns};

#endif
