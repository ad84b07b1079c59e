/* tile_body.h - the kernel of tile.h, compiled once for each width of vectors. The file of a kernel
 * defines TILE_BITS, the width, and TILE_FMA(a, b, c) of such vectors where the CPU has one, and
 * includes this; then tile_of_width() is its tile_product. */
#ifndef TILE_BITS
#error "this is the body of tile_plain.c, tile_avx2.c and tile_avx512.c"
#endif

#include "math/tile.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* A vector of floats and its fused multiply-add. ACCUMULATORS of them stay in registers, 24 of 32
 * with AVX-512 and NEON, 12 of 16 with AVX2: a panel of 6 rows x 4 or 2 vectors. Fewer rows take
 * more vectors, or an fma would wait for the one before it in its chain. */
enum { VECTOR = TILE_BITS / 32, ACCUMULATORS = TILE_BITS == 256 ? 12 : 24 };
enum { ROWS = 6, VECTORS_MOST = VECTOR == 16 ? 4 : 8 };

typedef float    vector __attribute__((vector_size(VECTOR * sizeof(float))));
typedef uint32_t tile_words __attribute__((vector_size(VECTOR * sizeof(float))));

#define INLINE static inline __attribute__((always_inline))

INLINE vector fma_vector(vector a, vector b, vector c)
{
#ifdef TILE_FMA
	return TILE_FMA(a, b, c);
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

/* x in every lane: x - 0 is x, -0 too */
INLINE vector tile_spread(const float *x)
{
	return *x - (vector){0};
}

struct tile_row { /* a row of b: floats (half -1), or words of which it is the even or odd bf16 */
	const float *b;
	int          half;
};

/* Vector j of a row; a bf16 is the upper half of its f32. */
INLINE vector tile_row_vector(struct tile_row row, int j)
{
	tile_words w;

	memcpy(&w, row.b + j * VECTOR, sizeof w);
	return row.half < 0 ? (vector)w : (vector)(row.half ? w & 0xffff0000u : w << 16);
}

struct panel { /* of c, its sizes constants where it is used, so that acc lives in registers */
	vector acc[ROWS][VECTORS_MOST];
};

/* acc[r][j] = fma(a[r][k], b[k][j], acc[r][j]) for one k and its row of b. */
INLINE void tile_step(struct panel *t, const struct tile_product *p, size_t k, struct tile_row row,
                      int rows, int vectors)
{
	vector ak[ROWS], bk[VECTORS_MOST];

	/* What there is less of is held in registers. */
	for (int r = 0; r < rows && rows < vectors; r++)
		ak[r] = tile_spread(p->a + (size_t)r * p->a_row + k * p->a_k);
	for (int j = 0; j < vectors && rows >= vectors; j++)
		bk[j] = tile_row_vector(row, j);
	for (int j = 0; j < vectors && rows < vectors; j++) {
		bk[j] = tile_row_vector(row, j);
		for (int r = 0; r < rows; r++)
			t->acc[r][j] = fma_vector(ak[r], bk[j], t->acc[r][j]);
	}
	for (int r = 0; r < rows && rows >= vectors; r++) {
		ak[r] = tile_spread(p->a + (size_t)r * p->a_row + k * p->a_k);
		for (int j = 0; j < vectors; j++)
			t->acc[r][j] = fma_vector(ak[r], bk[j], t->acc[r][j]);
	}
}

/* All k of a panel; with pairs, each word of b for its even and then its odd k. */
INLINE void tile_steps(struct panel *t, const struct tile_product *p, size_t n_k, int pairs,
                       int rows, int vectors)
{
	const float *b = p->b;
	size_t       k = 0;

	if (pairs && p->b_odd && n_k) {
		tile_step(t, p, k++, (struct tile_row){b, 1}, rows, vectors);
		b += p->b_row;
	}
	for (; pairs && k + 1 < n_k; k += 2, b += p->b_row) {
		tile_step(t, p, k, (struct tile_row){b, 0}, rows, vectors);
		tile_step(t, p, k + 1, (struct tile_row){b, 1}, rows, vectors);
	}
	if (pairs && k < n_k)
		tile_step(t, p, k, (struct tile_row){b, 0}, rows, vectors);
	for (; !pairs && k < n_k; k++, b += p->b_row)
		tile_step(t, p, k, (struct tile_row){b, -1}, rows, vectors);
}

INLINE void panel(const struct tile_product *p, int n_k, int rows, int vectors)
{
	struct panel t;

	for (int r = 0; r < rows; r++)
		for (int j = 0; j < vectors; j++)
			t.acc[r][j] = tile_load(p->c + (size_t)r * p->c_row + j * VECTOR);
	if (p->b_pairs)
		tile_steps(&t, p, (size_t)n_k, 1, rows, vectors);
	else
		tile_steps(&t, p, (size_t)n_k, 0, rows, vectors);
	for (int r = 0; r < rows; r++)
		for (int j = 0; j < vectors; j++)
			store(p->c + (size_t)r * p->c_row + j * VECTOR, t.acc[r][j]);
}

/* So many vectors of a strip at once: as many as there are accumulators for, a power of two. */
INLINE int tile_vectors(int rows)
{
	int vectors = VECTORS_MOST;

	while (vectors * rows > ACCUMULATORS)
		vectors /= 2;
	return vectors;
}

/* All columns of a few rows: wide panels, then what is left, TILE_COLUMNS at a time. */
INLINE void strip(struct tile_product p, int columns, int n_k, int rows)
{
	const int wide = tile_vectors(rows);

	for (; columns >= wide * VECTOR; columns -= wide * VECTOR) {
		panel(&p, n_k, rows, wide);
		p.b += wide * VECTOR;
		p.c += wide * VECTOR;
	}
	for (; columns > 0; columns -= TILE_COLUMNS) {
		panel(&p, n_k, rows, TILE_COLUMNS / VECTOR);
		p.b += TILE_COLUMNS;
		p.c += TILE_COLUMNS;
	}
}

/* The number of rows becomes a constant. */
static void tile_strip(const struct tile_product *p, int columns, int n_k, int rows)
{
	switch (rows) {
	case 1:
		strip(*p, columns, n_k, 1);
		break;
	case 2:
		strip(*p, columns, n_k, 2);
		break;
	case 3:
		strip(*p, columns, n_k, 3);
		break;
	case 4:
		strip(*p, columns, n_k, 4);
		break;
	case 5:
		strip(*p, columns, n_k, 5);
		break;
	default:
		assert(rows == ROWS);
		strip(*p, columns, n_k, ROWS);
	}
}

/* Strips as equally high as can be: one of a single row costs nearly as much as one of three. */
static void tile_of_width(const struct tile_product *product, int rows, int columns, int n_k)
{
	struct tile_product p = *product;

	assert(columns % TILE_COLUMNS == 0);
	for (int left = (rows + ROWS - 1) / ROWS; left > 0; left--) {
		int high = (rows + left - 1) / left;
		tile_strip(&p, columns, n_k, high);
		p.a += (size_t)high * p.a_row;
		p.c += (size_t)high * p.c_row;
		rows -= high;
	}
}
