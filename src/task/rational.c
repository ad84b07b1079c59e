#include "task/rational.h"

#include <assert.h>

static uint64_t magnitude(int64_t x)
{
	return x < 0 ? -(uint64_t)x : (uint64_t)x;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t r = a % b;
		a = b;
		b = r;
	}
	return a;
}

/* num/den in lowest terms with the sign above; INT64_MIN has no negative and is refused. */
static int reduce(int64_t num, int64_t den, struct rational *out)
{
	uint64_t divisor;

	if (den == 0 || num == INT64_MIN || den == INT64_MIN)
		return 0;
	divisor = common_divisor(magnitude(num), magnitude(den));
	if (den < 0)
		divisor = -divisor;
	*out = (struct rational){num / (int64_t)divisor, den / (int64_t)divisor};
	return 1;
}

static int product(struct rational a, struct rational b, struct rational *out)
{
	int64_t num, den;

	return !__builtin_mul_overflow(a.num, b.num, &num) && !__builtin_mul_overflow(a.den, b.den, &den) && reduce(num, den, out);
}

static int sum(struct rational a, struct rational b, struct rational *out)
{
	int64_t left, right, num, den;

	return !__builtin_mul_overflow(a.num, b.den, &left) && !__builtin_mul_overflow(b.num, a.den, &right) &&
	       !__builtin_add_overflow(left, right, &num) && !__builtin_mul_overflow(a.den, b.den, &den) && reduce(num, den, out);
}

int rational_apply(char op, struct rational a, struct rational b, struct rational *out)
{
	switch (op) {
	case '+':
		return sum(a, b, out);
	case '-':
		return sum(a, (struct rational){-b.num, b.den}, out);
	case '*':
		return product(a, b, out);
	case '/':
		return b.num != 0 && product(a, (struct rational){b.den, b.num}, out);
	default:
		assert(!"an operator of arithmetic");
		return 0;
	}
}
