#include "math/tile.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* A vector of floats and its fused multiply-add. A panel of ROWS x VECTORS accumulators fills the
 * registers: 24 of 32 with AVX-512 and NEON, 12 of 16 with AVX2. */
#if defined(__AVX512F__)
enum { VECTOR = 16, VECTORS = 4 };
#elif defined(__AVX2__) && defined(__FMA__)
enum { VECTOR = 8, VECTORS = 2 };
#else
enum { VECTOR = 4, VECTORS = 4 };
#endif
enum { ROWS = 6 };

typedef float vector __attribute__((vector_size(VECTOR * sizeof(float))));

#define INLINE static inline __attribute__((always_inline))

INLINE vector fma_vector(vector a, vector b, vector c)
{
#if defined(__AVX512F__)
	return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
	return _mm256_fmadd_ps(a, b, c);
#else
	for (int i = 0; i < VECTOR; i++)
		c[i] = fmaf(a[i], b[i], c[i]);
	return c;
#endif
}

INLINE vector tile_load(const float *p)
{
	vector v;

	memcpy(&v, p, sizeof v);
	return v;
}

INLINE void store(float *p, vector v)
{
	memcpy(p, &v, sizeof v);
}

/* rows x vectors of c, both constants where this is called, so that acc lives in registers. */
INLINE void panel(const struct tile_product *p, int n_k, int rows, int vectors)
{
	vector acc[ROWS][VECTORS], b[VECTORS];

	for (int r = 0; r < rows; r++)
		for (int j = 0; j < vectors; j++)
			acc[r][j] = tile_load(p->c + (size_t)r * p->c_row + j * VECTOR);
	for (size_t k = 0; k < (size_t)n_k; k++) {
		for (int j = 0; j < vectors; j++)
			b[j] = tile_load(p->b + k * p->b_row + j * VECTOR);
		for (int r = 0; r < rows; r++) {
			/* in every lane: x - 0 is x, -0 too */
			vector a = p->a[(size_t)r * p->a_row + k * p->a_k] - (vector){0};
			for (int j = 0; j < vectors; j++)
				acc[r][j] = fma_vector(a, b[j], acc[r][j]);
		}
	}
	for (int r = 0; r < rows; r++)
		for (int j = 0; j < vectors; j++)
			store(p->c + (size_t)r * p->c_row + j * VECTOR, acc[r][j]);
}

/* All columns of a few rows: wide panels, then what is left vector by vector. */
INLINE void strip(struct tile_product p, int columns, int n_k, int rows)
{
	for (; columns >= VECTORS * VECTOR; columns -= VECTORS * VECTOR) {
		panel(&p, n_k, rows, VECTORS);
		p.b += VECTORS * VECTOR;
		p.c += VECTORS * VECTOR;
	}
	for (; columns > 0; columns -= VECTOR) {
		panel(&p, n_k, rows, 1);
		p.b += VECTOR;
		p.c += VECTOR;
	}
}

void tile_product(const struct tile_product *product, int rows, int columns, int n_k)
{
	struct tile_product p = *product;

	assert(columns % TILE_COLUMNS == 0);
	while (rows > 0) {
		int step = rows >= ROWS ? ROWS : rows >= 3 ? 3 : 1;
		if (step == ROWS)
			strip(p, columns, n_k, ROWS);
		else if (step == 3)
			strip(p, columns, n_k, 3);
		else
			strip(p, columns, n_k, 1);
		p.a += (size_t)step * p.a_row;
		p.c += (size_t)step * p.c_row;
		rows -= step;
	}
}
