/* tile.h - products of matrices so small that they stay in a core's cache: what attention is made
 * of. One thread, no packing.
 *
 *     c[r][j] <- chain over k = 0 .. n_k-1, in order, of fma(a[r][k], b[k][j], .), starting from
 *     c[r][j]
 *
 * Vectorised over j, never over k: each element is the scalar chain of fmaf, bit for bit, on every
 * CPU and with every width of vectors. Taken is what tile_choose says, at first the widest that the
 * CPU has. */
#ifndef MATH_TILE_H
#define MATH_TILE_H

#include <stddef.h>

enum { TILE_COLUMNS = 16 }; /* columns come in multiples of this; pad them */

/* b may hold bf16 in pairs of k, which are widened when they are read: that is exact, so the chains
 * are the same as those of the widened numbers. */

struct tile_product {
	const float *a; /* element (r, k) at r * a_row + k * a_k */
	size_t       a_row, a_k;
	/* element (k, j) at k * b_row + j. With b_pairs in the word (k + b_odd) / 2 * b_row + j,
	 * its lower half where k + b_odd is even: b_odd = 1 begins inside of a pair. */
	const float *b;
	size_t       b_row;
	int          b_pairs, b_odd;
	float       *c; /* element (r, j) at r * c_row + j; overlaps neither a nor b */
	size_t       c_row;
};

void tile_product(const struct tile_product *p, int rows, int columns, int n_k);

struct tile_width { /* a kernel: tile_body.h for vectors of one width */
	const char *name;
	void (*product)(const struct tile_product *p, int rows, int columns, int n_k);
};
extern const struct tile_width tile_plain;
#if defined(__x86_64__)
extern const struct tile_width tile_avx2, tile_avx512;
#endif

/* From serial code, for all threads: the kernel that goes with a backend of the matrix products, so
 * that compute.backend says which instructions a program uses. The widest for a backend that has
 * none of its name, and where the CPU has not that one. Changes no bit. */
void tile_choose(const char *backend);

/* For tests: the i-th of those that this CPU has, the widest first; NULL behind the last. */
const struct tile_width *tile_width_at(int i);
/* the one that tile_product takes */
const struct tile_width *tile_taken(void);

/* n rounded up to a multiple of TILE_COLUMNS */
static inline int tile_pad(int n)
{
	return (n + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
}

#endif
