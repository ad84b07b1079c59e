#include "math/tile.h"

#include "base/rng.h"
#include "test.h"

enum { ROWS_MOST = 15, COLUMNS_MOST = 112, DEPTH_MOST = 40, SPACE = 5 /* between rows */ };

static float number(uint32_t matrix, uint32_t i)
{
	return (float)rng_normal((struct rng_key){.seed = 1, .purpose = RNG_TEST, .item = matrix},
	                         i);
}

/* Element (r, j) against the scalar chain; what stands between the rows stays as it is. */
static void check(int rows, int columns, int n_k, int transposed)
{
	enum { B_ROW = COLUMNS_MOST + SPACE };
	static float a[ROWS_MOST * DEPTH_MOST], b[DEPTH_MOST * B_ROW], c[ROWS_MOST * B_ROW],
	        want[ROWS_MOST * B_ROW];
	struct tile_product p = {.a = a,
	                         .a_row = DEPTH_MOST,
	                         .a_k = 1,
	                         .b = b,
	                         .b_row = B_ROW,
	                         .c = c,
	                         .c_row = B_ROW};

	if (transposed) {
		p.a_row = 1;
		p.a_k = ROWS_MOST;
	}
	for (uint32_t i = 0; i < ROWS_MOST * DEPTH_MOST; i++)
		a[i] = number(1, i);
	for (uint32_t i = 0; i < DEPTH_MOST * B_ROW; i++)
		b[i] = number(2, i);
	for (uint32_t i = 0; i < ROWS_MOST * B_ROW; i++)
		want[i] = c[i] = number(3, i);
	for (int r = 0; r < rows; r++)
		for (int j = 0; j < columns; j++)
			for (int k = 0; k < n_k; k++)
				want[r * B_ROW + j] = fmaf(a[r * (int)p.a_row + k * (int)p.a_k],
				                           b[k * B_ROW + j], want[r * B_ROW + j]);
	tile_product(&p, rows, columns, n_k);
	assert_memory_equal(c, want, sizeof c);
}

static void every_element_is_the_scalar_chain(void **state)
{
	(void)state;
	for (int rows = 0; rows <= ROWS_MOST; rows++)
		for (int columns = 0; columns <= COLUMNS_MOST; columns += TILE_COLUMNS)
			for (int transposed = 0; transposed < 2; transposed++) {
				check(rows, columns, 37, transposed);
				check(rows, columns, rows % 3, transposed);
			}
}

static void padding_rounds_up_to_whole_vectors(void **state)
{
	(void)state;
	assert_int_equal(tile_pad(0), 0);
	assert_int_equal(tile_pad(1), 16);
	assert_int_equal(tile_pad(16), 16);
	assert_int_equal(tile_pad(17), 32);
}

TEST_MAIN(TEST(every_element_is_the_scalar_chain), TEST(padding_rounds_up_to_whole_vectors))
