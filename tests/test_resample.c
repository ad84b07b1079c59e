/* Rows drawn with replacement, by their rewards. */
#include "estimator/resample.h"
#include "test.h"

enum { ROWS = 4, DRAWS = 4000 };

/* How often each of four rows is drawn in 1,000 batches. */
static void count(enum resampling kind, double *reward, int *drawn)
{
	struct batch     b = {.n = ROWS, .reward = reward};
	struct algorithm a = {.resample = kind, .resample_power = 2};
	int              rows[ROWS];

	memset(drawn, 0, ROWS * sizeof *drawn);
	for (uint32_t step = 0; step < DRAWS / ROWS; step++) {
		resample_rows(&a, &b, (struct rng_key){5, RNG_TEST, step, 0, 0}, rows);
		for (int i = 0; i < ROWS; i++) {
			assert_true(i == 0 || rows[i] >= rows[i - 1]);
			drawn[rows[i]]++;
		}
	}
}

/* Shares of the weights: 4 0 1 1, 1 0 0 1 (the extremes are 2 and -1), .4 .1 .1 .1; deviations of
 * the counts are at most 32. */
static void rows_are_drawn_in_proportion_to_their_weights(void **state)
{
	(void)state;
	double              reward[ROWS] = {2, 0, 1, -1};
	static const double want[][ROWS] = {
	        {4. / 6, 0, 1. / 6, 1. / 6}, {.5, 0, 0, .5}, {4. / 7, 1. / 7, 1. / 7, 1. / 7}};
	int drawn[ROWS];

	for (int kind = RESAMPLING_POWER; kind <= RESAMPLING_BEST; kind++) {
		count((enum resampling)kind, reward, drawn);
		for (int i = 0; i < ROWS; i++) {
			assert_close(drawn[i], DRAWS * want[kind - 1][i], 5 * 32);
			assert_true(want[kind - 1][i] > 0 || drawn[i] == 0);
		}
	}
}

static void a_batch_without_weight_is_drawn_from_evenly_and_a_missing_reward_never(void **state)
{
	(void)state;
	double reward[ROWS] = {0, NAN, 0, 0};
	int    drawn[ROWS];

	for (int kind = RESAMPLING_POWER; kind <= RESAMPLING_BEST; kind++) {
		count((enum resampling)kind, reward, drawn);
		assert_int_equal(drawn[1], 0);
		for (int i = 0; i < ROWS; i++)
			assert_close(drawn[i], i == 1 ? 0 : DRAWS / 3., 5 * 32);
	}
}

TEST_MAIN(TEST(rows_are_drawn_in_proportion_to_their_weights),
          TEST(a_batch_without_weight_is_drawn_from_evenly_and_a_missing_reward_never))
