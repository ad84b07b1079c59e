/* Exact numbers: every digit counts, sizes are bounded before GMP is asked, and what is undefined
 * stays so. */
#include "test.h"
#include "verify/number.h"

struct numbers {
	struct number a, b, c;
};

static struct numbers *numbers_of(void **state)
{
	return *state;
}

static int numbers_open(void **state)
{
	struct numbers *n = malloc(sizeof *n);

	number_init(&n->a);
	number_init(&n->b);
	number_init(&n->c);
	*state = n;
	return 0;
}

static int numbers_close(void **state)
{
	struct numbers *n = *state;

	number_clear(&n->a);
	number_clear(&n->b);
	number_clear(&n->c);
	free(n);
	return 0;
}

static void read_all(const char *text, struct number *x)
{
	size_t n = strlen(text);
	char  *exact = malloc(n ? n : 1);

	memcpy(exact, text, n);
	assert_int_equal(number_read((struct span){exact, n}, x), n);
	free(exact);
}

static void one_number_has_many_spellings(void **state)
{
	struct numbers          *n = numbers_of(state);
	static const char *const same[][2] = {
	        {"1,234.50", "1234.5"},
	        {"1{,}234", "1234"},
	        {"1\\,234", "1234"},
	        {"10,\\!080", "10080"},
	        {".5", "0.50"},
	        {"6e-3", "0.006"},
	        {"6E+3", "6000"},
	        {"000", "0"},
	        {"0e999999999999999999999", "0"},
	        {"1e30", "1000000000000000000000000000000"},
	        {"123456789012345678901234567890.5", "1234567890123456789012345678905e-1"}};

	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		read_all(same[i][0], &n->a);
		read_all(same[i][1], &n->b);
		assert_true(number_equal(&n->a, &n->b));
	}
}

static void a_number_ends_where_its_spelling_does(void **state)
{
	struct numbers *n = numbers_of(state);
	static const struct {
		const char *text;
		size_t      length;
	} cases[] = {{"12,34", 2}, {"1234,567", 4}, {"1,2345", 1}, {"5.", 1}, {"5e", 1},
	             {"5e+", 1},   {"", 0},         {"x", 0},      {".", 0},  {"-1", 0}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(number_read(span_of(cases[i].text), &n->a), cases[i].length);
}

static void arithmetic_is_that_of_fractions(void **state)
{
	struct numbers *n = numbers_of(state);
	static const struct {
		char op;
		long a[2], b[2], want[2];
	} cases[] = {{'+', {1, 6}, {-2, 3}, {-1, 2}},
	             {'-', {1, 6}, {2, 3}, {-1, 2}},
	             {'*', {2, -3}, {3, 4}, {-1, 2}},
	             {'/', {1, 2}, {-3, 4}, {-2, 3}},
	             {'^', {-2, 3}, {-3, 1}, {-27, 8}},
	             {'^', {0, 1}, {0, 1}, {1, 1}},
	             {'^', {-1, 1}, {1000000000000000001, 1}, {-1, 1}},
	             {'-', {INT64_MIN, 1}, {INT64_MAX, 1}, {0, 0}}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		number_set(&n->a, cases[i].a[0], cases[i].a[1]);
		number_set(&n->b, cases[i].b[0], cases[i].b[1]);
		number_apply(cases[i].op, &n->a, &n->b, &n->a); /* in place */
		assert_false(n->a.undefined);
		if (cases[i].want[1] == 0)
			continue; /* it only has to be defined: no 64 bits bound it */
		number_set(&n->c, cases[i].want[0], cases[i].want[1]);
		assert_true(number_equal(&n->a, &n->c));
	}
}

static void what_is_undefined_equals_nothing_and_stays_so(void **state)
{
	struct numbers *n = numbers_of(state);
	static const struct {
		char        op;
		const char *a, *b;
	} cases[] = {{'/', "1", "0"},
	             {'^', "2", "99999999"},
	             {'^', "2", "99999999999999999999"},
	             {'^', "2", "0.5"},
	             {'+', "1e99999999", "1"}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		read_all(cases[i].a, &n->a);
		read_all(cases[i].b, &n->b);
		number_apply(cases[i].op, &n->a, &n->b, &n->c);
		assert_true(n->c.undefined);
		assert_false(number_equal(&n->c, &n->c));
		number_set(&n->a, 0, 1);
		number_apply('*', &n->c, &n->a, &n->c);
		assert_true(n->c.undefined);
		assert_int_equal(number_sign(&n->c), 0);
	}
	number_set(&n->a, 0, 1);
	number_set(&n->b, -1, 1);
	number_apply('^', &n->a, &n->b, &n->c);
	assert_true(n->c.undefined);
}

/* Products of products double in size; the bound ends that before memory does. */
static void sizes_are_bounded(void **state)
{
	struct numbers *n = numbers_of(state);
	int             i = 0;

	number_set(&n->a, 3, 7);
	for (; !n->a.undefined && i < 64; i++) {
		assert_true(mpz_sizeinbase(mpq_numref(n->a.q), 2) <= NUMBER_BITS);
		assert_true(mpz_sizeinbase(mpq_denref(n->a.q), 2) <= NUMBER_BITS);
		number_apply('*', &n->a, &n->a, &n->a);
	}
	assert_true(n->a.undefined);
	assert_in_range(i, 14, 18);
}

static void many_digits_are_a_number_and_too_many_are_none(void **state)
{
	struct numbers *n = numbers_of(state);
	size_t          most = NUMBER_BITS / 4;
	char           *text = malloc(most + 2);

	memset(text, '9', most + 1);
	assert_int_equal(number_read((struct span){text, most}, &n->a), most);
	assert_false(n->a.undefined);
	assert_int_equal(number_read((struct span){text, most + 1}, &n->a), most + 1);
	assert_true(n->a.undefined);
	free(text);
}

static void nearness_is_exact_at_its_bound(void **state)
{
	struct numbers *n = numbers_of(state);

	read_all("10.5", &n->a);
	read_all("10", &n->b);
	assert_true(number_near(&n->a, &n->b, 0.5, 0));
	read_all("10.50000000000000000000000000001", &n->a);
	assert_false(number_near(&n->a, &n->b, 0.5, 0));
	assert_true(number_near(&n->a, &n->b, 0.25, 0.03125));
	assert_false(number_near(&n->a, &n->b, (double)NAN, 0));
}

#define NUMBER_TEST(f) cmocka_unit_test_setup_teardown(f, numbers_open, numbers_close)
TEST_MAIN(NUMBER_TEST(one_number_has_many_spellings),
          NUMBER_TEST(a_number_ends_where_its_spelling_does),
          NUMBER_TEST(arithmetic_is_that_of_fractions),
          NUMBER_TEST(what_is_undefined_equals_nothing_and_stays_so),
          NUMBER_TEST(sizes_are_bounded),
          NUMBER_TEST(many_digits_are_a_number_and_too_many_are_none),
          NUMBER_TEST(nearness_is_exact_at_its_bound))
