#include "math/tile.h"

#include "base/rng.h"
#include "math/rowops.h"
#include "test.h"

enum { ROWS_MOST = 15, COLUMNS_MOST = 112, DEPTH_MOST = 40, SPACE = 5 /* between rows */ };

static float number(uint32_t matrix, uint32_t i)
{
	return (float)rng_normal((struct rng_key){.seed = 1, .purpose = RNG_TEST, .item = matrix},
	                         i);
}

/* Numbers as bf16 in words of two k, the even one in the lower half; they become what they are. */
static void pack_pairs(float *b, int rows, int row, float *words)
{
	row_round_bf16(b, rows * row);
	for (int k = 0; k < rows; k++)
		for (int j = 0; j < row; j++) {
			uint32_t bits, word;
			memcpy(&bits, &b[k * row + j], sizeof bits);
			memcpy(&word, &words[k / 2 * row + j], sizeof word);
			word = k % 2 ? word | bits : bits >> 16;
			memcpy(&words[k / 2 * row + j], &word, sizeof word);
		}
}

struct form { /* of the operands */
	int transposed, pairs, odd;
};

/* Element (r, j) against the scalar chain; what stands between the rows stays as it is. */
static void check(int rows, int columns, int n_k, struct form f)
{
	enum { B_ROW = COLUMNS_MOST + SPACE };
	static float a[ROWS_MOST * DEPTH_MOST], b[DEPTH_MOST * B_ROW], words[DEPTH_MOST * B_ROW],
	        c[ROWS_MOST * B_ROW], want[ROWS_MOST * B_ROW];
	struct tile_product p = {.a = a,
	                         .a_row = f.transposed ? 1 : DEPTH_MOST,
	                         .a_k = f.transposed ? ROWS_MOST : 1,
	                         .b = f.pairs ? words : b,
	                         .b_row = B_ROW,
	                         .b_pairs = f.pairs,
	                         .b_odd = f.odd,
	                         .c = c,
	                         .c_row = B_ROW};

	for (uint32_t i = 0; i < ROWS_MOST * DEPTH_MOST; i++)
		a[i] = number(1, i);
	for (uint32_t i = 0; i < DEPTH_MOST * B_ROW; i++)
		b[i] = number(2, i);
	for (uint32_t i = 0; i < ROWS_MOST * B_ROW; i++)
		want[i] = c[i] = number(3, i);
	if (f.pairs)
		pack_pairs(b, DEPTH_MOST, B_ROW, words);
	for (int r = 0; r < rows; r++)
		for (int j = 0; j < columns; j++)
			for (int k = 0; k < n_k; k++)
				want[r * B_ROW + j] =
				        fmaf(a[r * (int)p.a_row + k * (int)p.a_k],
				             b[(k + f.odd) * B_ROW + j], want[r * B_ROW + j]);
	tile_product(&p, rows, columns, n_k);
	assert_memory_equal(c, want, sizeof c);
}

static void every_element_is_the_scalar_chain(void **state)
{
	const struct form forms[] = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {1, 1, 0}, {0, 1, 1}};

	(void)state;
	for (int rows = 0; rows <= ROWS_MOST; rows++)
		for (int columns = 0; columns <= COLUMNS_MOST; columns += TILE_COLUMNS)
			for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
				check(rows, columns, 37 - columns / 16 % 2, forms[f]);
				check(rows, columns, rows % 3, forms[f]);
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
