/* exp, log, sigmoid, silu, tanh, gelu against double libm, on a sample of all floats that steps
 * through their bit patterns. */
#include "math/elementary.h"
#include "test.h"

/* of bit patterns: 4 million floats; a prime, so that the low bits of the mantissa vary */
enum { STRIDE = 1009 };

static float apply_exp(float x)
{
	return elementary_exp(x);
}
static float apply_log(float x)
{
	return elementary_log(x);
}
static float apply_sigmoid(float x)
{
	return elementary_sigmoid(x);
}
static float apply_silu(float x)
{
	return elementary_silu(x);
}
static float apply_tanh(float x)
{
	return elementary_tanh(x);
}
static float apply_gelu(float x)
{
	return elementary_gelu(x);
}
static double true_gelu(double x)
{
	return x / (1 + exp(-2 * sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}
static double true_sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}
static double true_silu(double x)
{
	return x / (1 + exp(-x));
}

static const struct function {
	const char *name;
	float (*apply)(float);
	double (*truth)(double);
	float  low, high; /* where the bound holds */
	double bound;     /* ulp */
} functions[] = {
        /* name       apply          truth         low       high       bound */
        {"exp", apply_exp, exp, -87.33f, 88.7228f, 1.0},
        {"log", apply_log, log, 0x1p-126f, 0x1.fffffep127f, 1.0},
        {"sigmoid", apply_sigmoid, true_sigmoid, -87.33f, 0x1.fffffep127f, 2.5},
        {"silu", apply_silu, true_silu, -87.33f, 0x1.fffffep127f, 3.0},
        {"tanh", apply_tanh, tanh, -0x1.fffffep127f, 0x1.fffffep127f, 2.0},
        {"gelu", apply_gelu, true_gelu, -2, 0x1.fffffep127f, 7.0},
};
enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

/* Distance from the true value in units in the last place of a float of that size. */
static double ulps(float got, double want)
{
	int exponent;

	frexp(fmax(fabs(want), 0x1p-126), &exponent);
	return fabs(got - want) / ldexp(1, exponent - 24);
}

static double worst(const struct function *f, uint32_t stride)
{
	double most = 0;

	for (uint64_t u = 0; u < UINT64_C(1) << 32; u += stride) {
		float x = elementary_float((uint32_t)u);
		if (!(x >= f->low && x <= f->high))
			continue;
		double error = ulps(f->apply(x), f->truth(x));
		if (!(error <= most))
			most = error;
	}
	return most;
}

static void every_function_keeps_its_bound_on_a_dense_sample(void **state)
{
	(void)state;
	for (int i = 0; i < N_FUNCTIONS; i++) {
		double most = worst(&functions[i], STRIDE);
		print_message("%-8s %.3f ulp\n", functions[i].name, most);
		if (!(most <= functions[i].bound))
			fail_msg("%s is off by %.3f ulp, promised %.1f", functions[i].name, most,
			         functions[i].bound);
	}
}

static void bounds_hold_at_the_ends_of_the_range_too(void **state)
{
	(void)state;
	for (int i = 0; i < N_FUNCTIONS; i++) {
		float x = functions[i].low, y = functions[i].high;
		for (int step = 0; step < 2000; step++) {
			assert_true(ulps(functions[i].apply(x), functions[i].truth(x)) <=
			            functions[i].bound);
			assert_true(ulps(functions[i].apply(y), functions[i].truth(y)) <=
			            functions[i].bound);
			x = nextafterf(x, functions[i].high);
			y = nextafterf(y, functions[i].low);
		}
	}
}

static void nan_and_infinity_come_out_as_they_should(void **state)
{
	(void)state;
	for (int i = 0; i < N_FUNCTIONS; i++)
		assert_true(isnan(functions[i].apply(NAN)));
	assert_true(elementary_exp(INFINITY) == INFINITY && elementary_exp(88.73f) == INFINITY);
	assert_true(elementary_exp(-INFINITY) == 0 && elementary_exp(-87.34f) == 0 &&
	            elementary_exp(-1e30f) == 0);
	assert_true(elementary_log(INFINITY) == INFINITY);
	assert_true(elementary_log(0.0f) == -INFINITY && elementary_log(-0.0f) == -INFINITY);
	assert_true(isnan(elementary_log(-1.0f)) && isnan(elementary_log(-INFINITY)));
	assert_true(elementary_sigmoid(INFINITY) == 1 && elementary_sigmoid(-INFINITY) == 0);
	assert_true(elementary_silu(INFINITY) == INFINITY && isnan(elementary_silu(-INFINITY)));
	assert_true(elementary_exp(0) == 1 && elementary_log(1) == 0 &&
	            elementary_sigmoid(0) == 0.5f && elementary_silu(0) == 0);
}

/* A loop that the compiler vectorises and the same function called one by one must agree, also in
 * the remainder of the loop. */
static void vectors_and_scalars_give_the_same_bits(void **state)
{
	(void)state;
	enum { N = 1003 };
	static float x[N], y[N];

	for (int i = 0; i < N; i++)
		x[i] = (float)(i - 500) * 0.1937f;
	for (int i = 0; i < N; i++)
		y[i] = elementary_log(elementary_exp(x[i]) + elementary_silu(x[i]));
	for (int i = 0; i < N; i++) {
		float one = apply_log(apply_exp(x[i]) + apply_silu(x[i]));
		assert_true(elementary_bits(one) == elementary_bits(y[i]) ||
		            (isnan(one) && isnan(y[i])));
	}
}

TEST_MAIN(TEST(every_function_keeps_its_bound_on_a_dense_sample),
          TEST(bounds_hold_at_the_ends_of_the_range_too),
          TEST(nan_and_infinity_come_out_as_they_should),
          TEST(vectors_and_scalars_give_the_same_bits))
