#include "math/matmul.h"
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

/* Element (r, j) by every kernel that this CPU has against the scalar chain; what stands between
 * the rows stays as it is. */
static void check(int rows, int columns, int n_k, struct form f)
{
	enum { B_ROW = COLUMNS_MOST + SPACE };
	static float a[ROWS_MOST * DEPTH_MOST], b[DEPTH_MOST * B_ROW], words[DEPTH_MOST * B_ROW],
	        start[ROWS_MOST * B_ROW], c[ROWS_MOST * B_ROW], want[ROWS_MOST * B_ROW];
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
		want[i] = start[i] = number(3, i);
	if (f.pairs)
		pack_pairs(b, DEPTH_MOST, B_ROW, words);
	for (int r = 0; r < rows; r++)
		for (int j = 0; j < columns; j++)
			for (int k = 0; k < n_k; k++)
				want[r * B_ROW + j] =
				        fmaf(a[r * (int)p.a_row + k * (int)p.a_k],
				             b[(k + f.odd) * B_ROW + j], want[r * B_ROW + j]);
	for (int i = 0; tile_width_at(i); i++) {
		memcpy(c, start, sizeof c);
		tile_width_at(i)->product(&p, rows, columns, n_k);
		if (memcmp(c, want, sizeof c) != 0)
			fail_msg("%s: %d x %d of %d differ", tile_width_at(i)->name, rows, columns,
			         n_k);
	}
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

/* Those who call it get the widest kernel, and in place. */
static void the_first_kernel_is_the_one_that_is_called(void **state)
{
	(void)state;
	float               a = 3, b[TILE_COLUMNS] = {2}, c[TILE_COLUMNS] = {1};
	struct tile_product p = {.a = &a, .a_row = 1, .a_k = 1, .b = b, .c = c};

	assert_non_null(tile_width_at(0));
	tile_product(&p, 1, TILE_COLUMNS, 1);
	assert_close(c[0], 7, 0);
	assert_close(c[1], 0, 0);
}

/* What compute.backend names is what attention computes with. */
static void the_kernel_goes_with_the_backend(void **state)
{
	(void)state;
	static const char *const backends[] = {"avx512", "avx2", "reference"};
	struct matmul           *m;

	for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
		if (matmul_new(&(struct matmul_options){.backend = backends[i],
		                                        .precision = "f32",
		                                        .numerics = "fast"},
		               &m) != OK)
			continue; /* not of this CPU */
		assert_string_equal(tile_taken()->name, backends[i]);
		matmul_free(m);
	}
	tile_choose("openblas");
	assert_ptr_equal(tile_taken(), tile_width_at(0));
}

static void padding_rounds_up_to_whole_vectors(void **state)
{
	(void)state;
	assert_int_equal(tile_pad(0), 0);
	assert_int_equal(tile_pad(1), 16);
	assert_int_equal(tile_pad(16), 16);
	assert_int_equal(tile_pad(17), 32);
}

TEST_MAIN(TEST(every_element_is_the_scalar_chain), TEST(the_first_kernel_is_the_one_that_is_called),
          TEST(the_kernel_goes_with_the_backend), TEST(padding_rounds_up_to_whole_vectors))
