/* matmul_tile_chains.h - the part of matmul_tile_body.h that adds, in the tile order of matmul.h:
 * of each TILE_CHAIN words the odd halves in a chain from 0, the even halves in another, their sum
 * to the result. It is what AMX does, for CPUs that have not got it.
 *
 * One chain of each element is in registers at a time, as with the other orders. What the odd ones
 * have come to, and the results, wait in memory that the first cache holds. */

struct tile_half { /* of the words of a chain */
	const float *a, *b;
	size_t       step; /* 0: the odd halves; 1: the even ones (TILE_WORDS) */
};

/* acc = the chains over one half of TILE_CHAIN words, from 0. */
TILE_INLINE void tile_chain(const struct tile *t, struct tile_half h, TILE_VECTOR *acc, int rows,
                            int panels, int packed)
{
	const float *a = h.a + (1 - h.step) * (packed ? TILE_ROWS : 1), *b = h.b;
	const size_t a_row = packed ? 1 : t->a_row, b_panel = t->b_panel;
	const int    n = 2 * panels;

	TILE_UNROLL
	for (int i = 0; i < rows * n; i++)
		acc[i] = TILE_ZERO;
	for (int k = 0; k < TILE_CHAIN; k++, a += packed ? 2 * TILE_ROWS : 2, b += TILE_PANEL) {
		TILE_UNROLL
		for (int p = 0; p < panels; p++) {
			TILE_VECTOR b0 = TILE_WORDS(b + (size_t)p * b_panel, h.step),
			            b1 = TILE_WORDS(b + (size_t)p * b_panel + TILE_LANES, h.step);
			if (rows > 1) {
				TILE_KEEP(b0);
				TILE_KEEP(b1);
			}
			TILE_UNROLL
			for (int r = 0; r < rows; r++) {
				const int   c = r * n + 2 * p;
				TILE_VECTOR spread = TILE_SPREAD(a + (size_t)r * a_row);
				acc[c] = TILE_STEP(spread, b0, acc[c]);
				acc[c + 1] = TILE_STEP(spread, b1, acc[c + 1]);
			}
		}
	}
}

/* `rows`, `panels` and `packed` are constants where this is inlined, so that acc lives in
 * registers. */
TILE_INLINE void tile_any(const struct tile *t, enum tile_start start, int rows, int panels,
                          int packed)
{
	TILE_VECTOR      acc[2 * TILE_ROWS];
	float            odd[2 * TILE_ROWS * TILE_LANES], sum[2 * TILE_ROWS * TILE_LANES];
	const int        n = 2 * panels, depth = t->depth; /* n: vectors of a row */
	struct tile_half h = {t->a, t->b, 0};

	for (int i = 0; i < rows * n; i++)
		TILE_STORE(sum + i * TILE_LANES,
		           start == TILE_GO_ON ? TILE_LOAD(t->c + (size_t)(i / n) * t->c_row +
		                                           i % n * TILE_LANES)
		                               : TILE_ZERO);
	for (int k = 0; k < depth; k += TILE_CHAIN) {
		h.step = 0;
		tile_chain(t, h, acc, rows, panels, packed);
		TILE_UNROLL
		for (int i = 0; i < rows * n; i++)
			TILE_STORE(odd + i * TILE_LANES, acc[i]);
		/* or compilers hold both in the registers that acc needs */
		__asm__ volatile("" : : "r"(odd), "r"(sum) : "memory");
		h.step = 1;
		tile_chain(t, h, acc, rows, panels, packed);
		TILE_UNROLL
		for (int i = 0; i < rows * n; i++) {
			TILE_VECTOR both = TILE_SUM(acc[i], TILE_LOAD(odd + i * TILE_LANES));
			TILE_STORE(sum + i * TILE_LANES,
			           TILE_SUM(TILE_LOAD(sum + i * TILE_LANES), both));
		}
		__asm__ volatile("" : : "r"(odd), "r"(sum) : "memory");
		h.a += TILE_CHAIN * (packed ? 2 * TILE_ROWS : 2);
		h.b += TILE_CHAIN * TILE_PANEL;
	}
	for (int i = 0; i < rows * n; i++) {
		float      *c = t->c + (size_t)(i / n) * t->c_row + i % n * TILE_LANES;
		TILE_VECTOR v = TILE_LOAD(sum + i * TILE_LANES);
		if (start == TILE_ADD || start == TILE_ADD_ZERO)
			v = TILE_SUM(start == TILE_ADD ? TILE_LOAD(c) : TILE_ZERO, v);
		TILE_STORE(c, v);
	}
}
