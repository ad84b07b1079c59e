/* Means, intervals and verdicts against numbers worked by hand, and how often an interval covers
 * the truth. */
#include "math/statistics.h"

#include "base/rng.h"
#include "test.h"

static void mean_deviation_and_error_are_the_textbook_ones(void **state)
{
	(void)state;
	/* squares of deviations from 5: 9 1 1 1 0 0 4 16 = 32 */
	const double           x[] = {2, 4, 4, 4, 5, 5, 7, 9};
	struct statistics_mean m = statistics_mean(x, 8), one = statistics_mean(x, 1);

	assert_int_equal(m.n, 8);
	assert_close(m.mean, 5, 0);
	assert_close(m.deviation, sqrt(32.0 / 7), 1e-15);
	assert_close(m.error, sqrt(32.0 / 7 / 8), 1e-15);
	assert_close(one.mean, 2, 0);
	assert_true(isnan(one.deviation) && isnan(one.error) && isnan(statistics_mean(x, 0).mean));
}

/* The usual table of t. */
static void quantiles_of_t_are_those_of_the_table(void **state)
{
	(void)state;
	static const struct {
		int    df;
		double p, t;
	} table[] = {{1, 0.95, 6.313752},    {1, 0.975, 12.706205}, {2, 0.95, 2.919986},
	             {2, 0.975, 4.302653},   {3, 0.975, 3.182446},  {4, 0.95, 2.131847},
	             {4, 0.975, 2.776445},   {5, 0.95, 2.015048},   {9, 0.95, 1.833113},
	             {9, 0.975, 2.262157},   {10, 0.975, 2.228139}, {30, 0.975, 2.042272},
	             {1000, 0.975, 1.962339}};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		assert_close(statistics_t_quantile(table[i].df, table[i].p), table[i].t, 1e-6);
		assert_close(statistics_t_quantile(table[i].df, 1 - table[i].p), -table[i].t, 1e-6);
	}
}

static void the_t_interval_of_five_values(void **state)
{
	(void)state;
	const double               x[] = {1, 2, 3, 4, 5}; /* deviation sqrt(2.5), error sqrt(0.5) */
	struct statistics_interval i = statistics_t_interval(x, 5, 0.95);

	assert_close(i.low, 3 - 2.776445 * sqrt(0.5), 1e-6);
	assert_close(i.high, 3 + 2.776445 * sqrt(0.5), 1e-6);
	assert_true(isnan(statistics_t_interval(x, 1, 0.95).low));
}

/* Of {0, 1} a resample has mean 0, 1/2, 1 with probability 1/4, 1/2, 1/4. Of {0,0,0,0,1} at least
 * one 1 comes with probability 1 - 0.8^5 = 0.672, at least two with 0.263, three with 0.058, four
 * with 0.0067: the quantile 0.95 lies in 3/5, and 0.05 at 0. */
static void the_bootstrap_finds_quantiles_that_can_be_counted(void **state)
{
	(void)state;
	const double               two[] = {0, 1}, five[] = {0, 0, 0, 0, 1}, same[] = {3, 3, 3};
	struct statistics_interval at_90, at_95, again;

	assert_ok(statistics_bootstrap(two, 2, &at_90, &at_95));
	assert_close(at_90.low, 0, 0);
	assert_close(at_90.high, 1, 0);
	assert_ok(statistics_bootstrap(five, 5, &at_90, &at_95));
	assert_close(at_90.low, 0, 0);
	assert_close(at_90.high, 0.6, 1e-12);
	assert_ok(statistics_bootstrap(five, 5, &again, &at_95));
	assert_true(again.high == at_90.high);
	assert_ok(statistics_bootstrap(same, 3, &at_90, &at_95));
	assert_close(at_90.low, 3, 0);
	assert_close(at_95.high, 3, 0);
}

/* Share of intervals of n normal values that hold their mean, out of `trials`. */
struct coverage {
	double t, bootstrap;
};
static struct coverage coverage(int n, int trials)
{
	struct coverage c = {0, 0};
	double          x[32];

	for (int k = 0; k < trials; k++) {
		struct statistics_interval at_90, at_95, t;
		for (int i = 0; i < n; i++)
			x[i] = rng_normal((struct rng_key){5, RNG_TEST, (uint32_t)k, (uint32_t)i,
			                                   (uint32_t)n},
			                  0);
		assert_ok(statistics_bootstrap(x, n, &at_90, &at_95));
		t = statistics_t_interval(x, n, 0.9);
		assert_true(at_95.low <= at_90.low && at_90.high <= at_95.high);
		c.bootstrap += (at_90.low <= 0 && 0 <= at_90.high) / (double)trials;
		c.t += (t.low <= 0 && 0 <= t.high) / (double)trials;
	}
	print_message("n = %d: t %.3f, bootstrap %.3f of nominal 0.9\n", n, c.t, c.bootstrap);
	return c;
}

/* The tolerances are three standard errors of that many trials. The bootstrap is near normal theory
 * with the divisor n: P(|t| < 1.645 sqrt((n - 1) / n)), t with n - 1 degrees of freedom, is 0.785
 * for n = 5 (a little more here: the resamples of five values are few) and 0.875 for n = 20. */
static void a_t_interval_covers_as_it_says_and_a_bootstrap_of_few_values_less(void **state)
{
	(void)state;
	struct coverage five = coverage(5, 600), twenty = coverage(20, 300);

	assert_close(five.t, 0.9, 0.037);
	assert_close(twenty.t, 0.9, 0.052);
	assert_close(five.bootstrap, 0.80, 0.05);
	assert_close(twenty.bootstrap, 0.875, 0.057);
	assert_true(five.bootstrap < twenty.bootstrap);
}

/* ---- pairs and the verdict ---- */

static enum statistics_verdict verdict_of(const double *d, int n)
{
	const double            zero[16] = {0};
	struct statistics_pairs p;

	assert_ok(statistics_pairs(d, zero, n, &p));
	return p.verdict;
}

static void a_sign_is_shown_by_a_t_interval_without_0(void **state)
{
	(void)state;
	/* n = 5: 2.1318 errors. {5 5 5 5 -0.1} 3.98 +- 2.17; {50 50 50 -1 -1} 29.6 +- 26.6; {30 30
	 * 30 -1 -9} 16 +- 18.3; four pairs are too few */
	const double all[] = {1, 2, 3, 4, 5}, down[] = {-1, -2, -3, -4, -5},
	             four[] = {5, 5, 5, 5, -0.1}, three[] = {50, 50, 50, -1, -1},
	             wide[] = {30, 30, 30, -1, -9}, zeros[] = {0, 0, 0, 0, 0},
	             same[] = {2, 2, 2, 2, 2};

	assert_int_equal(verdict_of(all, 5), VERDICT_ABOVE);
	assert_int_equal(verdict_of(down, 5), VERDICT_BELOW);
	assert_int_equal(verdict_of(four, 5), VERDICT_ABOVE);
	assert_int_equal(verdict_of(three, 5), VERDICT_ABOVE);
	assert_int_equal(verdict_of(wide, 5), VERDICT_NOT_SHOWN);
	assert_int_equal(verdict_of(zeros, 5), VERDICT_NOT_SHOWN);
	assert_int_equal(verdict_of(same, 5), VERDICT_ABOVE);
	assert_int_equal(verdict_of(all, 4), VERDICT_TOO_FEW);
	assert_int_equal(verdict_of(all, 0), VERDICT_TOO_FEW);
}

/* Of {-3.15, 1 x 11} the t interval begins at (7.85 - 1.796 x 4.15) / 12 = +0.03. A resample has
 * the -3.15 three times or more with probability 0.07 (of twelve draws, 1/12 each) and then a mean
 * of at most (9 - 9.45) / 12 = -0.04. Below ten pairs nothing is resampled. */
static void from_ten_pairs_on_resampling_must_agree(void **state)
{
	(void)state;
	const double skewed[] = {-3.15, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
	             ten[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 7}, zero[16] = {0};
	struct statistics_pairs p;

	assert_int_equal(verdict_of(ten, 10), VERDICT_ABOVE);
	assert_ok(statistics_pairs(skewed, zero, 12, &p));
	assert_close(p.at_90.low, (7.85 - 1.795885 * 4.15) / 12, 1e-5);
	assert_close(p.resampled.low, -0.0375, 1e-12);
	assert_int_equal(p.verdict, VERDICT_NOT_SHOWN);
	assert_ok(statistics_pairs(ten, zero, 9, &p));
	assert_true(isnan(p.resampled.low) && isnan(p.resampled.high));
}

/* ---- arms that do not differ ---- */

static double draw_normal(struct rng_key k)
{
	return rng_normal(k, 0);
}

static double draw_flat(struct rng_key k)
{
	return rng_double(k, 0) - 0.5;
}

static double draw_long_tailed(struct rng_key k) /* Laplace */
{
	return log((rng_double(k, 0) + 1e-300) / (rng_double(k, 1) + 1e-300));
}

/* Of 36 problems with 14 answers each, as in experiments/addition.yaml, a mean of five evaluations:
 * steps of 1/2520. */
static double draw_score(struct rng_key k)
{
	return round(2520 * 0.03 * rng_normal(k, 0)) / 2520;
}

/* Differences of arms that do not differ are symmetric around 0, whatever else they are. At five
 * seeds the 90% interval must cover 0 in 88 to 92% of cases for normal ones and no less for others,
 * and no more than 5% may be called above, or below. Three standard errors of 20000 trials: 0.6%,
 * 0.5%. */
static void
at_five_seeds_an_interval_covers_what_it_says_and_few_false_signs_are_shown(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		double (*draw)(struct rng_key k);
		double covers_most;
	} shapes[] = {{"normal", draw_normal, 0.92},
	              {"flat", draw_flat, 0.92},
	              {"long-tailed", draw_long_tailed, 0.95},
	              {"scores", draw_score, 0.92}};
	enum { TRIALS = 20000, SEEDS = 5 };

	for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
		double covers = 0, above = 0, below = 0;
		for (int k = 0; k < TRIALS; k++) {
			double                  a[SEEDS], b[SEEDS];
			struct statistics_pairs p;
			for (int i = 0; i < SEEDS; i++) {
				double shared =
				        10 * rng_normal((struct rng_key){7, RNG_TEST, (uint32_t)k,
				                                         (uint32_t)i, 2},
				                        0);
				a[i] = shared + shapes[s].draw((struct rng_key){
				                        7, RNG_TEST, (uint32_t)k, (uint32_t)i, 0});
				b[i] = shared + shapes[s].draw((struct rng_key){
				                        7, RNG_TEST, (uint32_t)k, (uint32_t)i, 1});
			}
			assert_ok(statistics_pairs(a, b, SEEDS, &p));
			covers += (p.at_90.low <= 0 && 0 <= p.at_90.high) / (double)TRIALS;
			above += (p.verdict == VERDICT_ABOVE) / (double)TRIALS;
			below += (p.verdict == VERDICT_BELOW) / (double)TRIALS;
		}
		print_message("%s: covers %.3f, false signs %.3f above, %.3f below\n",
		              shapes[s].name, covers, above, below);
		assert_in_range((int)(1000 * covers), 880, (int)(1000 * shapes[s].covers_most));
		assert_true(above <= 0.055 && below <= 0.055);
		assert_close(covers + above + below, 1, 1e-9);
	}
}

/* ---- resamples ---- */

/* Each resample draws each of its values anew: the mean of n values with deviation 1 has the
 * deviation sqrt((n - 1) / n / n) over the resamples, so the 90% interval of 400 values is 2 x
 * 1.645 / 20 wide. Were all resamples one, the interval would be a point; were the values of a
 * resample one draw, or four draws repeated, it would be 10 to 20 times as wide. */
static void resamples_are_distinct_and_so_are_the_draws_of_each(void **state)
{
	(void)state;
	enum { N = 400 };
	double                     x[N];
	struct statistics_interval at_90, at_95;

	for (int i = 0; i < N; i++)
		x[i] = i % 2 ? 1 : -1;
	assert_ok(statistics_bootstrap(x, N, &at_90, &at_95));
	assert_close(at_90.high - at_90.low, 2 * 1.645 / 20, 0.012);
	assert_close(at_95.high - at_95.low, 2 * 1.960 / 20, 0.012);
	assert_close(at_90.high + at_90.low, 0, 0.012);
}

/* (0 - 1/2)^2 + (1 - 1/2)^2 = 1/2, over n - 1 = 1: deviation sqrt(1/2); over n = 2: error 1/2. */
static void the_standard_error_of_0_and_1_is_a_half(void **state)
{
	(void)state;
	struct statistics_mean m = statistics_mean((const double[]){0, 1}, 2);

	assert_close(m.deviation, sqrt(0.5), 1e-15);
	assert_close(m.error, 0.5, 1e-15);
}

/* What seeds share goes away: differences of 1 between arms that vary by 100 from seed to seed. */
static void pairing_takes_out_what_the_arms_share(void **state)
{
	(void)state;
	const double            a[] = {101.2, 1, -98.9, 51.1, 31}, b[] = {100, 0, -100, 50, 30};
	struct statistics_pairs p;

	assert_ok(statistics_pairs(a, b, 5, &p));
	assert_close(p.difference.mean, (1.2 + 1 + 1.1 + 1.1 + 1) / 5, 1e-12);
	assert_int_equal(p.positive, 5);
	assert_true(p.at_90.low > 1 - 1e-9 && p.at_90.high < 1.2 + 1e-9);
	assert_true(p.at_95.low <= p.at_90.low && p.at_90.high <= p.at_95.high);
	assert_int_equal(p.verdict, VERDICT_ABOVE);
}

/* 2.776445 is the 0.975 quantile for 4 degrees of freedom. */
static void p_of_a_paired_test_is_what_lies_beyond(void **state)
{
	(void)state;
	const double            a[] = {1, 2, 3}, b[] = {0, 1, 2}, c[] = {1, 2, 3};
	struct statistics_pairs p;

	assert_close(statistics_t_beyond(4, 2.776445), 0.05, 1e-6);
	assert_close(statistics_t_beyond(4, -2.776445), 0.05, 1e-6);
	assert_close(statistics_t_beyond(1, 0), 1, 1e-12);
	assert_ok(statistics_pairs(a, b, 3, &p));
	assert_close(p.p, 0, 0);
	assert_ok(statistics_pairs(a, c, 3, &p));
	assert_close(p.p, 1, 0);
	assert_ok(statistics_pairs(a, c, 1, &p));
	assert_true(isnan(p.p));
}

/* Holm's own example of a step-down: 0.01 x 4, 0.02 x 3, then never below the one before. */
static void holm_multiplies_by_what_is_left_and_never_falls(void **state)
{
	(void)state;
	const double p[] = {0.03, 0.01, NAN, 0.02, 0.04}, ties[] = {0.5, 0.5, 0.01};
	double       adjusted[5];

	statistics_holm(p, 5, adjusted);
	assert_close(adjusted[1], 0.04, 1e-15);
	assert_close(adjusted[3], 0.06, 1e-15);
	assert_close(adjusted[0], 0.06, 1e-15);
	assert_close(adjusted[4], 0.06, 1e-15);
	assert_true(isnan(adjusted[2]));
	statistics_holm(ties, 3, adjusted);
	assert_close(adjusted[2], 0.03, 1e-15);
	assert_close(adjusted[0], 1, 0);
	assert_close(adjusted[1], 1, 0);
}

TEST_MAIN(TEST(p_of_a_paired_test_is_what_lies_beyond),
          TEST(holm_multiplies_by_what_is_left_and_never_falls),
          TEST(mean_deviation_and_error_are_the_textbook_ones),
          TEST(quantiles_of_t_are_those_of_the_table), TEST(the_t_interval_of_five_values),
          TEST(the_bootstrap_finds_quantiles_that_can_be_counted),
          TEST(a_t_interval_covers_as_it_says_and_a_bootstrap_of_few_values_less),
          TEST(a_sign_is_shown_by_a_t_interval_without_0),
          TEST(from_ten_pairs_on_resampling_must_agree),
          TEST(at_five_seeds_an_interval_covers_what_it_says_and_few_false_signs_are_shown),
          TEST(resamples_are_distinct_and_so_are_the_draws_of_each),
          TEST(the_standard_error_of_0_and_1_is_a_half),
          TEST(pairing_takes_out_what_the_arms_share))
