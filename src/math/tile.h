/* tile.h - products of matrices so small that they stay in a core's cache: what attention is made
 * of. One thread, no packing.
 *
 *     c[r][j] <- chain over k = 0 .. n_k-1, in order, of fma(a[r][k], b[k][j], .), starting from
 *     c[r][j]
 *
 * Vectorised over j, never over k: each element is the scalar chain of fmaf, bit for bit, on every
 * CPU. */
#ifndef MATH_TILE_H
#define MATH_TILE_H

#include <stddef.h>

enum { TILE_COLUMNS = 16 }; /* columns come in multiples of this; pad them */

struct tile_product {
	const float *a; /* element (r, k) at r * a_row + k * a_k */
	size_t       a_row, a_k;
	const float *b; /* element (k, j) at k * b_row + j */
	size_t       b_row;
	float       *c; /* element (r, j) at r * c_row + j; overlaps neither a nor b */
	size_t       c_row;
};

void tile_product(const struct tile_product *p, int rows, int columns, int n_k);

/* n rounded up to a multiple of TILE_COLUMNS */
static inline int tile_pad(int n)
{
	return (n + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
}

#endif
