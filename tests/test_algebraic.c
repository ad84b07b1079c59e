/* Algebraic numbers: equal ones are proved equal, near ones are told apart, and what takes too long
 * stays undecided. */
#include "test.h"
#include "verify/algebraic.h"

static int whole(struct algebra *a, long x)
{
	return algebraic_fraction(a, x, 1);
}

static int root(struct algebra *a, long x, long degree)
{
	return algebraic_root(a, whole(a, x), degree);
}

static int sign_of(struct algebra *a, int x)
{
	int sign;

	assert_true(algebraic_sign(a, x, &sign));
	return sign;
}

static void nested_roots_are_what_they_come_to(void **state)
{
	(void)state;
	struct algebra *a = algebra_new();
	int             x = algebraic_apply(a, '+', root(a, 2, 2), root(a, 3, 2));
	int             y = algebraic_root(a,
	                                   algebraic_apply(a, '+', whole(a, 5),
	                                                   algebraic_apply(a, '*', whole(a, 2), root(a, 6, 2))),
	                                   2);

	assert_true(algebraic_equal(a, x, y));
	x = algebraic_root(a, algebraic_apply(a, '+', whole(a, 2), root(a, 5, 2)), 3);
	y = algebraic_apply(a, '/', algebraic_apply(a, '+', whole(a, 1), root(a, 5, 2)),
	                    whole(a, 2));
	assert_true(algebraic_equal(a, x, y));
	algebra_free(a);
}

/* However near: sqrt(10^2k + 1) is not 10^k, with a difference of 10^-k / 2. */
static void what_is_near_is_not_equal(void **state)
{
	(void)state;
	for (long k = 1; k <= 1000; k *= 10) {
		struct algebra *a = algebra_new();
		int             ten = algebraic_power(a, whole(a, 10), k);
		int             x = algebraic_root(
		                    a, algebraic_apply(a, '+', algebraic_apply(a, '*', ten, ten), whole(a, 1)),
		                    2);
		assert_false(algebraic_equal(a, x, ten));
		assert_int_equal(sign_of(a, algebraic_apply(a, '-', x, ten)), 1);
		algebra_free(a);
	}
}

/* (sqrt 2 - 1)^n is small, and is known to a closed form: (sqrt 2 - 1)^n (sqrt 2 + 1)^n = 1. */
static void powers_of_small_numbers_keep_their_sign(void **state)
{
	(void)state;
	struct algebra *a = algebra_new();
	int             small = algebraic_apply(a, '-', root(a, 2, 2), whole(a, 1)),
	    large = algebraic_apply(a, '+', root(a, 2, 2), whole(a, 1));
	int x = algebraic_power(a, small, 200), y = algebraic_power(a, large, -200);

	assert_int_equal(sign_of(a, x), 1);
	assert_true(algebraic_equal(a, x, y));
	assert_false(algebraic_equal(a, x, algebraic_power(a, large, -201)));
	algebra_free(a);
}

static void roots_of_fractions_come_in_lowest_terms(void **state)
{
	(void)state;
	struct algebra *a = algebra_new();

	assert_int_equal(root(a, 49, 2), whole(a, 7));
	assert_int_equal(root(a, 4, 4), root(a, 2, 2));
	assert_int_equal(algebraic_apply(a, '/', root(a, 12, 2), whole(a, 2)),
	                 algebraic_apply(a, '/',
	                                 algebraic_apply(a, '*', whole(a, 2), root(a, 3, 2)),
	                                 whole(a, 2)));
	assert_int_equal(algebraic_root(a, algebraic_fraction(a, 1, 4), 2),
	                 algebraic_fraction(a, 1, 2));
	assert_int_equal(algebraic_root(a, whole(a, -1), 2), ALGEBRAIC_UNDEFINED);
	assert_int_equal(algebraic_apply(a, '/', whole(a, 1),
	                                 algebraic_apply(a, '-', root(a, 8, 2),
	                                                 algebraic_apply(a, '+', root(a, 2, 2),
	                                                                 root(a, 2, 2)))),
	                 ALGEBRAIC_UNDEFINED);
	algebra_free(a);
}

/* The sum of the cosines of all n-th parts of a turn is 0; the product formula for 1/8 of them. */
static void cosines_of_parts_of_a_turn_are_algebraic(void **state)
{
	(void)state;
	for (long n = 2; n <= 24; n++) {
		struct algebra *a = algebra_new();
		int             sum = whole(a, 0);
		for (long k = 0; k < n; k++)
			sum = algebraic_apply(a, '+', sum, algebraic_cosine(a, k, n));
		assert_int_equal(sign_of(a, sum), 0);
		algebra_free(a);
	}
	struct algebra *a = algebra_new();
	int             root5 = root(a, 5, 2);
	assert_true(algebraic_equal(
	        a, algebraic_cosine(a, 1, 5),
	        algebraic_apply(a, '/', algebraic_apply(a, '-', root5, whole(a, 1)), whole(a, 4))));
	assert_true(algebraic_equal(a, algebraic_cosine(a, 1, 8),
	                            algebraic_apply(a, '/', root(a, 2, 2), whole(a, 2))));
	assert_int_equal(sign_of(a, algebraic_cosine(a, 2, 5)), -1);
	algebra_free(a);
}

/* e^(pi sqrt 163) = 262537412640768743.99999999999925...: its sign against the whole number is
 * known, its being equal never is. */
static void transcendental_numbers_have_signs_and_no_zeros(void **state)
{
	(void)state;
	struct algebra *a = algebra_new();
	int             x = algebraic_rise(a, INTERVAL_EXP,
	                                   algebraic_apply(a, '*', algebraic_pi(a), root(a, 163, 2))),
	    sign;
	struct number n;

	number_init(&n);
	assert_int_equal(sign_of(a, algebraic_apply(a, '-', x, whole(a, 262537412640768744))), -1);
	assert_true(algebraic_floor(a, x, &n));
	assert_int_equal(mpz_cmp_si(mpq_numref(n.q), 262537412640768743), 0);
	x = algebraic_apply(
	        a, '-',
	        algebraic_rise(a, INTERVAL_LN, algebraic_rise(a, INTERVAL_EXP, whole(a, 2))),
	        whole(a, 2));
	assert_false(algebraic_sign(a, x, &sign));
	number_clear(&n);
	algebra_free(a);
}

static void floors_are_those_of_the_exact_value(void **state)
{
	(void)state;
	static const struct {
		long x, degree, want;
	} cases[] = {{10, 2, 3}, {16, 2, 4}, {17, 2, 4}, {1000000, 3, 100}, {999999, 3, 99}};
	struct algebra *a = algebra_new();
	struct number   n;

	number_init(&n);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_true(algebraic_floor(a, root(a, cases[i].x, cases[i].degree), &n));
		assert_int_equal(mpz_get_si(mpq_numref(n.q)), cases[i].want);
		assert_true(algebraic_floor(
		        a,
		        algebraic_apply(a, '-', whole(a, 0), root(a, cases[i].x, cases[i].degree)),
		        &n));
		assert_in_range(-mpz_get_si(mpq_numref(n.q)), cases[i].want, cases[i].want + 1);
	}
	/* sqrt 2 sqrt 2 is 2, though no interval says so */
	assert_true(algebraic_floor(a, algebraic_apply(a, '*', root(a, 8, 2), root(a, 2, 2)), &n));
	assert_int_equal(mpz_get_si(mpq_numref(n.q)), 4);
	number_clear(&n);
	algebra_free(a);
}

/* Thirteen different square roots have a bound beyond any precision: their sum is told from what it
 * is not, and not from itself in another order. */
static void what_takes_too_long_stays_undecided(void **state)
{
	(void)state;
	static const long primes[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41};
	struct algebra   *a = algebra_new();
	int               up = whole(a, 0), down = whole(a, 0), sign;

	for (int i = 0; i < 13; i++) {
		up = algebraic_apply(a, '+', up, root(a, primes[i], 2));
		down = algebraic_apply(a, '+', down, root(a, primes[12 - i], 2));
	}
	assert_false(algebraic_sign(a, algebraic_apply(a, '-', up, down), &sign));
	assert_int_equal(sign_of(a, algebraic_apply(a, '-', up, whole(a, 60))), -1);
	assert_true(algebra_steps(a) <= ALGEBRAIC_STEPS);
	algebra_free(a);
}

/* cos(2 pi/n) + cos(4 pi/n) + ... of an odd n is -1/2, to be proved with precision that grows with
 * n: for 101 it is, for 199 the steps end first. At most one more function is begun then. */
static void a_deep_refinement_ends_with_the_steps(void **state)
{
	(void)state;
	for (long n = 101; n <= 199; n += 98) {
		struct algebra *a = algebra_new();
		int             sum = algebraic_fraction(a, 1, 2), sign, known;
		for (long k = 1; 2 * k < n; k++)
			sum = algebraic_apply(a, '+', sum, algebraic_cosine(a, k, n));
		known = algebraic_sign(a, sum, &sign);
		assert_int_equal(known, n == 101);
		assert_int_equal(sign, 0);
		assert_int_equal(algebra_steps(a) > ALGEBRAIC_STEPS, n == 199);
		assert_true(algebra_steps(a) < ALGEBRAIC_STEPS * 9L / 8);
		algebra_free(a);
	}
}

/* Random sums, products and quotients of roots against their values in long double: signs agree
 * where those are clear. */
static void signs_agree_with_floating_point_where_that_is_clear(void **state)
{
	(void)state;
	uint64_t seed = 12345;
	int      clear = 0;

	for (int round = 0; round < 300; round++) {
		struct algebra *a = algebra_new();
		int             x[8];
		long double     v[8];
		for (int i = 0; i < 8; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			long n = (long)(seed >> 33) % 50 + 1, op = (long)(seed >> 60) % 4;
			x[i] = root(a, n, 2);
			v[i] = sqrtl((long double)n);
			if (i < 2)
				continue;
			x[i] = algebraic_apply(a, "+-*/"[op], x[i - 1], op < 2 ? x[i] : x[i - 2]);
			v[i] = op == 0   ? v[i - 1] + v[i]
			       : op == 1 ? v[i - 1] - v[i]
			       : op == 2 ? v[i - 1] * v[i - 2]
			                 : v[i - 1] / v[i - 2];
			if (x[i] < 0)
				break;
			if (fabsl(v[i]) > 1e-9L && fabsl(v[i]) < 1e9L) {
				int sign;
				if (algebraic_sign(a, x[i], &sign)) {
					clear++;
					assert_int_equal(sign, v[i] > 0 ? 1 : -1);
				}
			}
		}
		algebra_free(a);
	}
	assert_true(clear > 1000);
}

TEST_MAIN(TEST(nested_roots_are_what_they_come_to), TEST(what_is_near_is_not_equal),
          TEST(powers_of_small_numbers_keep_their_sign),
          TEST(roots_of_fractions_come_in_lowest_terms),
          TEST(cosines_of_parts_of_a_turn_are_algebraic),
          TEST(transcendental_numbers_have_signs_and_no_zeros),
          TEST(floors_are_those_of_the_exact_value), TEST(what_takes_too_long_stays_undecided),
          TEST(a_deep_refinement_ends_with_the_steps),
          TEST(signs_agree_with_floating_point_where_that_is_clear))
