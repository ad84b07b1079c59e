/* matmul_tile_body.h - the kernel that matmul_tile.h describes, as a template. Before including it,
 * define
 *
 *     TILE_VECTOR, TILE_LANES              a vector of floats and their number
 *     TILE_ZERO, TILE_LOAD(p), TILE_STORE(p, v), TILE_SPREAD(p) (*p in all lanes), TILE_FMA(a, b,
 *     c), TILE_SUM(a, b)
 *     TILE_KEEP(v)                         an empty asm that holds v in a register
 *     TILE_ROWS                            rows of the largest tile: 2 * TILE_ROWS + 3 vectors must
 *                                          fit into the registers
 *     TILE_SEVERAL(X)                      X(rows, panels at once) for 1 .. TILE_ROWS rows, rows *
 *                                          panels <= TILE_ROWS */

enum { TILE_PANEL = 2 * TILE_LANES };

#if defined(__clang__)
#define TILE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TILE_UNROLL _Pragma("GCC unroll 32")
#endif

/* `rows`, `panels` and `packed` are constants where this is inlined, so that acc lives in
 * registers. */
static inline __attribute__((always_inline)) void
tile_any(const struct tile *t, enum tile_start start, int rows, int panels, int packed)
{
	TILE_VECTOR  acc[2 * TILE_ROWS];
	const float *a = t->a, *b = t->b;
	const size_t a_row = packed ? 1 : t->a_row, a_next = packed ? TILE_ROWS : 1,
	             b_panel = t->b_panel;
	const int n = 2 * panels, depth = t->depth; /* n: vectors of a row */

	TILE_UNROLL
	for (int i = 0; i < rows * n; i++)
		acc[i] = start == TILE_GO_ON
		                 ? TILE_LOAD(t->c + (size_t)(i / n) * t->c_row + i % n * TILE_LANES)
		                 : TILE_ZERO;
	for (int k = 0; k < depth; k++, a += a_next, b += TILE_PANEL) {
		TILE_UNROLL
		for (int p = 0; p < panels; p++) {
			TILE_VECTOR b0 = TILE_LOAD(b + (size_t)p * b_panel),
			            b1 = TILE_LOAD(b + (size_t)p * b_panel + TILE_LANES);
			/* or compilers load them again for each row, and loads become the limit */
			if (rows > 1) {
				TILE_KEEP(b0);
				TILE_KEEP(b1);
			}
			TILE_UNROLL
			for (int r = 0; r < rows; r++) {
				TILE_VECTOR spread = TILE_SPREAD(a + (size_t)r * a_row);
				acc[r * n + 2 * p] = TILE_FMA(spread, b0, acc[r * n + 2 * p]);
				acc[r * n + 2 * p + 1] =
				        TILE_FMA(spread, b1, acc[r * n + 2 * p + 1]);
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
		.name = name_, .rows = TILE_ROWS, .panel = TILE_PANEL, \
		.together = {TILE_SEVERAL(TILE_TOGETHER)}, \
		.several = {TILE_SEVERAL(TILE_NAME_SEVERAL)}, \
		.one = {TILE_SEVERAL(TILE_NAME_ONE)}, \
		.one_packed = {TILE_SEVERAL(TILE_NAME_PACKED)}, \
	}
