/* statistics.h - what a handful of seeds can say: means, intervals, paired differences, the verdict
 * rule.
 *
 *     mean, deviation   two-pass, divisor n - 1; error = deviation / sqrt(n). NaN for the last two
 *                       below two values
 *     t interval        mean +- t(n - 1, (1 + level) / 2) error: right for values that are about
 *                       normal, for any n >= 2
 *     bootstrap         percentile interval of the mean over B resamples with replacement (Efron
 *                       1979). With few values it is too narrow: of normal values a 90% interval
 *                       covers the truth in about 80% of cases for n = 5 and 87% for n = 20, so
 *                       that of arms that do not differ one in ten would be called better at five
 *                       seeds
 *     paired            the same of d_i = a_i - b_i, where i is a seed that both arms share
 *
 * Verdict rule: a sign is shown only if the 90% t interval of the paired differences excludes 0;
 * from STATISTICS_BOOTSTRAP_MIN pairs on the bootstrap interval, which asks nothing of the shape of
 * the differences, must exclude it too. Otherwise it is not shown; there is no "trend". With fewer
 * than STATISTICS_SEEDS_MIN pairs nothing is said. Of arms that do not differ at most about 5% are
 * called above, and as many below; the coverage and this share are simulated in
 * tests/test_statistics.c. Each pair of arms is judged by itself: among twenty pairs one false sign
 * is to be expected. Where several are judged at once, Holm's step-down correction (1979) keeps the
 * chance of any false sign among them at the level of one: sorted p(1) <= ... <= p(m) become
 * max over j <= i of min(1, (m - j + 1) p(j)).
 *
 * Resample k draws with key (0, RNG_BOOTSTRAP, step k), four values a position: the same numbers
 * give the same interval. */
#ifndef MATH_STATISTICS_H
#define MATH_STATISTICS_H

enum {
	STATISTICS_SEEDS_MIN = 5,
	STATISTICS_BOOTSTRAP_MIN = 10,
	STATISTICS_RESAMPLES = 10000,
	STATISTICS_VALUES_MAX = 1000
};

struct statistics_interval {
	double low, high;
};

struct statistics_mean {
	int    n;
	double mean, deviation, error;
};

struct statistics_mean statistics_mean(const double *x, int n);

/* The quantile p of Student's t with df >= 1 degrees of freedom: exact sums for whole df
 * (Abramowitz and Stegun 26.7.3, 26.7.4), by bisection. */
double statistics_t_quantile(int df, double p);

/* NaN below two values */
struct statistics_interval statistics_t_interval(const double *x, int n, double level);

/* Both intervals from the same resamples; 1 <= n <= STATISTICS_VALUES_MAX. */
int statistics_bootstrap(const double *x, int n, struct statistics_interval *at_90,
                         struct statistics_interval *at_95);

enum statistics_verdict { VERDICT_TOO_FEW, VERDICT_ABOVE, VERDICT_BELOW, VERDICT_NOT_SHOWN };

struct statistics_pairs {
	struct statistics_mean     difference;
	int                        positive, negative; /* signs of d_i */
	struct statistics_interval at_90, at_95;       /* of t; NaN below two pairs */
	double                     p; /* two-sided, of the paired t test; NaN below two pairs */
	/* bootstrap, 90%; NaN below STATISTICS_BOOTSTRAP_MIN pairs */
	struct statistics_interval resampled;
	enum statistics_verdict    verdict;
};
int statistics_pairs(const double *a, const double *b, int n, struct statistics_pairs *out);

/* P(|T| > |t|) of Student's t with df >= 1 degrees of freedom. */
double statistics_t_beyond(int df, double t);

/* Writes adjusted [n]; a p that is NaN is not of the family and stays NaN. */
void statistics_holm(const double *p, int n, double *adjusted);

#endif
