/* matmul_tile_body.h - the kernel that matmul_tile.h describes, as a template. Before including it,
 * define
 *
 *     TILE_VECTOR, TILE_LANES   a vector of floats and their number
 *     TILE_ZERO, TILE_LOAD(p), TILE_STORE(p, v), TILE_SUM(a, b)
 *     TILE_FORM                 of the operands
 *     TILE_CHAINS               for the tile order alone, where TILE_FORM is TILE_HALVES
 *     TILE_SPREAD(p)            the word of A at p in all lanes
 *     TILE_WORDS(p, i)          of the words of B at p, what step i takes: i = 0, and 1 with
 *                               TILE_HALVES (first the odd half, then the even one)
 *     TILE_STEP(a, b, c)        c after a step of its chain
 *     TILE_PACKING              the kernel's packing, where it has one
 *     TILE_KEEP(v)              an empty asm that holds v in a register
 *     TILE_ROWS                 rows of the largest tile: 2 * TILE_ROWS + 3 vectors must fit into
 *                               the registers
 *     TILE_SEVERAL(X)           X(rows, panels at once) for 1 .. TILE_ROWS rows, rows * panels <=
 *                               TILE_ROWS
 *
 * All but TILE_FORM, TILE_WORDS and TILE_STEP go by the width of the vectors alone:
 * matmul_vector256.h, matmul_vector512.h. */

enum { TILE_PANEL = 2 * TILE_LANES };

#if defined(__clang__)
#define TILE_UNROLL _Pragma("clang loop unroll(full)")
#define TILE_UNROLL_TWICE _Pragma("clang loop unroll_count(2)")
#else
#define TILE_UNROLL _Pragma("GCC unroll 32")
#define TILE_UNROLL_TWICE _Pragma("GCC unroll 2")
#endif

#ifndef TILE_PACKING
#define TILE_PACKING NULL
#endif

#ifdef TILE_CHAINS
enum { TILE_CHAIN = TILE_CHAIN_WORDS };
#include "math/matmul_tile_chains.h"
#else
enum { TILE_CHAIN = 1 };
/* `rows`, `panels` and `packed` are constants where this is inlined, so that acc lives in
 * registers. */
TILE_INLINE void tile_any(const struct tile *t, enum tile_start start, int rows, int panels,
                          int packed)
{
	TILE_VECTOR  acc[2 * TILE_ROWS];
	const float *a = t->a, *b = t->b;
	const size_t steps = (size_t)tile_per_word(TILE_FORM), b_panel = t->b_panel;
	/* floats from a row of A to the next one, from a step to the next one */
	const size_t a_row = packed ? 1 : t->a_row, a_step = packed ? TILE_ROWS : 1;
	const int    n = 2 * panels, depth = t->depth; /* n: vectors of a row */

	TILE_UNROLL
	for (int i = 0; i < rows * n; i++)
		acc[i] = start == TILE_GO_ON
		                 ? TILE_LOAD(t->c + (size_t)(i / n) * t->c_row + i % n * TILE_LANES)
		                 : TILE_ZERO;
	/* A gradient's results are out of the caches. */
	for (int i = 0; i < rows * n && packed; i++)
		__builtin_prefetch(t->c + (size_t)(i / n) * t->c_row + i % n * TILE_LANES, 1);
	TILE_UNROLL_TWICE
	for (int k = 0; k < depth; k++, a += steps * a_step, b += TILE_PANEL) {
		if (!packed && panels == 1)
			__builtin_prefetch(t->ahead + (size_t)k * t->ahead_step, 0, 2);
		TILE_UNROLL
		for (size_t i = 0; i < steps; i++) {
			const float *of_step = a + (steps - 1 - i) * a_step; /* the odd k first */
			TILE_UNROLL
			for (int p = 0; p < panels; p++) {
				TILE_VECTOR b0 = TILE_WORDS(b + (size_t)p * b_panel, i),
				            b1 = TILE_WORDS(b + (size_t)p * b_panel + TILE_LANES,
				                            i);
				/* or compilers load them again for each row, and loads become the
				 * limit */
				if (rows > 1) {
					TILE_KEEP(b0);
					TILE_KEEP(b1);
				}
				TILE_UNROLL
				for (int r = 0; r < rows; r++) {
					const int   c = r * n + 2 * p;
					TILE_VECTOR spread =
					        TILE_SPREAD(of_step + (size_t)r * a_row);
					acc[c] = TILE_STEP(spread, b0, acc[c]);
					acc[c + 1] = TILE_STEP(spread, b1, acc[c + 1]);
				}
			}
		}
	}
	TILE_UNROLL
	for (int i = 0; i < rows * n; i++) {
		float *c = t->c + (size_t)(i / n) * t->c_row + i % n * TILE_LANES;
		if (start == TILE_ADD || start == TILE_ADD_ZERO)
			acc[i] = TILE_SUM(start == TILE_ADD ? TILE_LOAD(c) : TILE_ZERO, acc[i]);
		TILE_STORE(c, acc[i]);
	}
}
#endif

#define TILE_DEFINE(rows, panels) \
	static void tile_several_##rows(const struct tile *t, enum tile_start start) \
	{ \
		tile_any(t, start, rows, panels, 0); \
	} \
	static void tile_one_##rows(const struct tile *t, enum tile_start start) \
	{ \
		tile_any(t, start, rows, 1, 0); \
	} \
	static void tile_packed_##rows(const struct tile *t, enum tile_start start) \
	{ \
		tile_any(t, start, rows, 1, 1); \
	}
TILE_SEVERAL(TILE_DEFINE)

#define TILE_TOGETHER(rows, panels) [rows] = panels,
#define TILE_NAME_SEVERAL(rows, panels) [rows] = tile_several_##rows,
#define TILE_NAME_ONE(rows, panels) [rows] = tile_one_##rows,
#define TILE_NAME_PACKED(rows, panels) [rows] = tile_packed_##rows,

#define TILE_KERNEL(name_) \
	{ \
		.name = name_, .form = TILE_FORM, .chain = TILE_CHAIN, .rows = TILE_ROWS, \
		.panel = TILE_PANEL, .granule = 1, .packing = TILE_PACKING, \
		.together = {TILE_SEVERAL(TILE_TOGETHER)}, \
		.several = {TILE_SEVERAL(TILE_NAME_SEVERAL)}, \
		.one = {TILE_SEVERAL(TILE_NAME_ONE)}, \
		.one_packed = {TILE_SEVERAL(TILE_NAME_PACKED)}, \
	}
