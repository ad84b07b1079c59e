/* exp, log, pow, cos, sin of doubles against MPFR, and their bits against a table: they are the
 * same everywhere. */
#include "base/real.h"

#include "base/rng.h"
#include "test.h"

#include <mpfr.h>

#define REAL_BITS 0xf6b4221e2cb8567bu /* changes only with the functions */

enum { N_RANDOM = 200000 };

struct real_case {
	const char *name;
	double (*apply)(double);
	int (*truth)(mpfr_t, const mpfr_t, mpfr_rnd_t);
	double low, high, ulp, absolute; /* arguments; bounds of which one must hold */
	/* > 0: arguments spread over so many binary exponents below high, of both signs where
	 * low < 0 */
	int exponents;
};

static const struct real_case cases[] = {
        {"exp", real_exp, mpfr_exp, -708, 709.78, 1.0, 0, 0},
        {"exp", real_exp, mpfr_exp, -1, 1, 1.0, 0, 60},
        {"expm1", real_expm1, mpfr_expm1, -30, 700, 3.0, 0, 0},
        {"expm1", real_expm1, mpfr_expm1, -1, 1, 3.0, 0, 300},
        {"log", real_log, mpfr_log, 0, 0x1p1000, 1.5, 0, 2000},
        {"log", real_log, mpfr_log, 0.5, 2, 1.5, 0, 0},
        {"cos", real_cos, mpfr_cos, -1e7, 1e7, 0, 0x1p-52, 0},
        {"cos", real_cos, mpfr_cos, -10, 10, 0, 0x1p-52, 0},
        {"sin", real_sin, mpfr_sin, -1e7, 1e7, 0, 0x1p-52, 0},
        {"sin", real_sin, mpfr_sin, -10, 10, 0, 0x1p-52, 0},
        {"sin", real_sin, mpfr_sin, -0.78, 0.78, 1.5, 0, 200},
};

static double argument(const struct real_case *c, uint32_t i)
{
	struct rng_key key = {.purpose = RNG_TEST, .item = (uint32_t)(c - cases)};
	uint32_t       bits[4];
	double         u;

	rng_bits(key, i, bits);
	u = (bits[0] + bits[1] * 0x1p-32) * 0x1p-32;
	if (c->exponents == 0)
		return c->low + (c->high - c->low) * u;
	u = ldexp(c->high * (0.5 + u / 2), -(int)(bits[2] % (uint32_t)c->exponents));
	return c->low < 0 && bits[3] & 1 ? -u : u;
}

/* The difference in ulp of the true value, and as it is. */
static void measure(const struct real_case *c, double x, mpfr_t y, mpfr_t t, double *ulp,
                    double *absolute)
{
	double got = c->apply(x), want;
	int    exponent;

	mpfr_set_d(t, x, MPFR_RNDN);
	c->truth(y, t, MPFR_RNDN);
	want = mpfr_get_d(y, MPFR_RNDN);
	mpfr_sub_d(y, y, got, MPFR_RNDN);
	*absolute = fabs(mpfr_get_d(y, MPFR_RNDN));
	frexp(want, &exponent);
	*ulp = *absolute / ldexp(1, exponent - 53);
}

static void functions_keep_their_bounds_against_mpfr(void **state)
{
	(void)state;
	mpfr_t y, t;

	mpfr_init2(y, 200);
	mpfr_init2(t, 64);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct real_case *c = &cases[i];
		double                  worst_ulp = 0, worst = 0;
		for (uint32_t n = 0; n < N_RANDOM; n++) {
			double ulp, absolute;
			measure(c, argument(c, n), y, t, &ulp, &absolute);
			assert_true(c->ulp > 0 ? ulp <= c->ulp : absolute <= c->absolute);
			worst_ulp = fmax(worst_ulp, ulp);
			worst = fmax(worst, absolute);
		}
		print_message("%-6s %9.3g .. %-9.3g  %.3f ulp, %.2g\n", c->name, c->low, c->high,
		              worst_ulp, worst);
	}
	mpfr_clear(y);
	mpfr_clear(t);
}

static void powers_are_right_to_their_bound(void **state)
{
	(void)state;
	mpfr_t y, a, b;

	mpfr_inits2(200, y, a, b, (mpfr_ptr)NULL);
	for (uint32_t n = 0; n < N_RANDOM; n++) {
		double x = argument(&cases[4], n), e = argument(&cases[0], n) / 50,
		       got = real_pow(x, e), size = fabs(e * log(x));
		if (size > 700)
			continue;
		mpfr_set_d(a, x, MPFR_RNDN);
		mpfr_set_d(b, e, MPFR_RNDN);
		mpfr_pow(y, a, b, MPFR_RNDN);
		mpfr_d_div(y, got, y, MPFR_RNDN);
		mpfr_sub_d(y, y, 1, MPFR_RNDN);
		assert_true(fabs(mpfr_get_d(y, MPFR_RNDN)) <= 0x1p-52 * (1 + size));
	}
	assert_true(real_pow(0, 2) == 0 && real_pow(0, 0) == 1 && real_pow(7, 0) == 1 &&
	            real_pow(0, -1) == INFINITY);
	mpfr_clears(y, a, b, (mpfr_ptr)NULL);
}

static void limits_are_limits(void **state)
{
	(void)state;
	assert_true(real_exp(-INFINITY) == 0 && real_exp(INFINITY) == INFINITY &&
	            real_exp(0) == 1 && isnan(real_exp(NAN)));
	assert_true(real_log(0) == -INFINITY && real_log(1) == 0 &&
	            real_log(INFINITY) == INFINITY && isnan(real_log(-1)) && isnan(real_log(NAN)));
	assert_true(real_expm1(0) == 0 && real_expm1(-INFINITY) == -1 && isnan(real_expm1(NAN)));
	assert_true(real_cos(0) == 1 && real_sin(0) == 0 && isnan(real_cos(INFINITY)) &&
	            isnan(real_sin(NAN)));
	assert_true(real_cos(3.14159265358979323846) == -1);
}

/* One number over 20,000 results: another rounding anywhere, on any CPU or with any compiler,
 * changes it. */
static void bits_are_the_same_everywhere(void **state)
{
	(void)state;
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (uint32_t n = 0; n < 20000; n++) {
			double   y = cases[i].apply(argument(&cases[i], n));
			uint64_t bits;
			memcpy(&bits, &y, sizeof bits);
			hash = (hash ^ bits) * 0x100000001b3u;
		}
	print_message("%016llx\n", (unsigned long long)hash);
	assert_true(hash == REAL_BITS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(functions_keep_their_bounds_against_mpfr),
	        TEST(powers_are_right_to_their_bound),
	        TEST(limits_are_limits),
	        TEST(bits_are_the_same_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
