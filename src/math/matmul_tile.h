/* matmul_tile.h - the kernel of the own backends: a block of results kept in vector registers while
 * the inner dimension goes by.
 *
 *     C [rows x width] = sum over k of  A(r, k) B(k, j)        one chain of fma for each element, k
 *                                                              increasing: the formula of matmul.h
 *
 * B comes as panels: `panel` neighbouring columns, [depth x panel], zero behind the last column.
 * One vector holds several columns of one row; no vector ever holds several k, so the width of a
 * vector is not part of the result: AVX2, AVX-512 and plain C give the same bits. To stop a chain
 * after some k and to go on from the stored float is exact, too; so the caller may cut the inner
 * dimension into pieces that fit a cache.
 *
 *     for k:   b0 b1 = B(k, 0 .. panel-1)                   two vectors
 *              for r:   a = A(r, k) in every lane           acc[r][0] = fma(a, b0, acc[r][0]);
 *                                                           acc[r][1] = fma(a, b1, acc[r][1])
 *
 * With bf16 the inner dimension goes by in pairs. A word of B is the pair k, k + 1 of a column, the
 * even k in its lower half, and A comes in whatever form the kernel's instructions take:
 *
 *     form          word of B     A for a word of B              a step of a chain
 *     TILE_FLOATS   f32           f32                            fma
 *     TILE_HALVES   pair of bf16  two f32, already rounded       widen the odd half, fma; the even
 *     TILE_PAIRS    pair of bf16  pair of bf16                   one instruction: odd, then even
 *     TILE_SQUARES  pair of bf16  pair of bf16, by rows always   AMX: 16 rows, 16 words at once
 *
 * In the tile order (`chain` is TILE_CHAIN_WORDS, not 1) depth is filled up with zeros to whole
 * chains.
 *
 * `rows` is as large as the registers allow. A few rows leave registers free: then some panels are
 * computed at once (`together`), or the adder would wait for each chain (an fma takes 4 cycles, two
 * start in each).
 *
 * This file is the interface; matmul_tile_body.h is the kernel, compiled once for each kind of
 * vector and form of its operands (matmul_avx2.c, matmul_avx2_bf16.c, ...). */
#ifndef MATH_MATMUL_TILE_H
#define MATH_MATMUL_TILE_H

#include <stddef.h>

/* or what is constant in a call would not be in the loop */
#define TILE_INLINE static inline __attribute__((always_inline))

/* of a table of kernels, of a tile */
enum { TILE_HEIGHTS_MAX = 14, TILE_ROWS_MAX = 32, TILE_PANEL_MAX = 32 };
/* words of a chain in the tile order of matmul.h: 32 k */
enum { TILE_CHAIN_WORDS = 16 };
enum { TILE_LINE = 16 }; /* floats of a line of a cache */

enum tile_start {
	TILE_FROM_ZERO, /* C = the sum */
	TILE_GO_ON,     /* the chain goes on from C, the sum of the k before these */
	TILE_ADD,       /* C = C + the sum */
	/* C = 0 + the sum: the first of several that are added; it turns -0 into 0 */
	TILE_ADD_ZERO,
};

enum tile_form { TILE_FLOATS, TILE_HALVES, TILE_PAIRS, TILE_SQUARES };

/* how many floats, or pairs of bf16, of A meet a word of B */
static inline int tile_per_word(enum tile_form form)
{
	return form == TILE_HALVES ? 2 : 1;
}

struct tile { /* words are 32 bits and stand in arrays of float whatever they hold */
	int          rows;
	int          depth; /* words of B in a column */
	const float *a; /* A(r, k) = a[r * a_row + k], or packed: a[k * rows of the kernel + r] */
	size_t       a_row;
	const float *b; /* the first panel; the next one is b_panel floats further */
	size_t       b_panel;
	/* What other tiles will read: `one` fetches it into the second cache, a line for each word
	 * of depth, the next one ahead_step floats further. */
	const float *ahead;
	size_t       ahead_step;
	float       *c; /* C(r, j) = c[r * c_row + j] */
	size_t       c_row;
};

/* Element (k, j) of a [depth x columns] matrix is at[k * down + j * right]. */
struct tile_view {
	const float *at;
	size_t       down, right;
	int          depth, columns;
};

/* How operands become words of bf16 where the CPU has instructions for that; all of them fill up
 * with zeros to so many words. */
struct tile_packing {
	/* a row of A: to [words] */
	void (*round)(const float *a, int depth, int words, float *to);
	/* a panel of B, 32 columns: to [words x 32]; either down or right is 1 */
	void (*panel)(const struct tile_view *B, int words, float *to);
	/* the columns of a matrix as rows of A, right is 1: to [columns x words] */
	void (*columns)(const struct tile_view *A, int words, float *to);
};

typedef void tile_run(const struct tile *t, enum tile_start start);

struct tile_kernel {
	const char    *name;
	enum tile_form form;
	int            chain;       /* words of a chain: 1 where a chain has all k */
	int            rows, panel; /* of the largest tile */
	/* rows from a height of tile to the next one; A has whole granules of rows in memory */
	int granule;
	/* by height, in granules: */
	int                        together[TILE_HEIGHTS_MAX + 1];   /* panels at once */
	tile_run                  *several[TILE_HEIGHTS_MAX + 1];    /* that many panels */
	tile_run                  *one[TILE_HEIGHTS_MAX + 1];        /* one panel */
	tile_run                  *one_packed[TILE_HEIGHTS_MAX + 1]; /* one panel, A packed */
	const struct tile_packing *packing; /* or NULL: matmul_tiled.c does it */
	/* what each thread does before its first tile and behind its last one; or NULL */
	void (*begin)(void);
	void (*end)(void);
};

#endif
