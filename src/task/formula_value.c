#include "task/formula_value.h"

#include "base/fingerprint.h"
#include "base/rng.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

static const uint64_t P = 2305843009213693921, ROOT_OF_MINUS_1 = 583529827753931384;

static uint64_t times(uint64_t a, uint64_t b)
{
	return (uint64_t)((wide)a * b % P);
}

static uint64_t power(uint64_t a, uint64_t n)
{
	uint64_t x = 1;

	for (; n; n >>= 1, a = times(a, a))
		if (n & 1)
			x = times(x, a);
	return x;
}

static struct value constant(long double complex f, uint64_t r, int exact)
{
	struct value v = {.exact = exact};

	for (int i = 0; i < VALUE_POINTS; i++) {
		v.f[i] = f;
		v.r[i] = r;
	}
	return v;
}

static struct value nothing(void)
{
	return constant(NAN, 0, 0);
}

struct value value_number(struct span digits)
{
	long double f = 0, scale = 1;
	uint64_t    r = 0, ten = 1;
	int         fraction = 0;

	for (size_t i = 0; i < digits.n; i++) {
		if (digits.s[i] == '.')
			fraction = 1;
		if (!isdigit((unsigned char)digits.s[i]))
			continue;
		f = 10 * f + (digits.s[i] - '0');
		r = (times(r, 10) + (uint64_t)(digits.s[i] - '0')) % P;
		if (fraction) {
			scale *= 10;
			ten = times(ten, 10);
		}
	}
	return constant(f / scale, times(r, power(ten, P - 2)), 1);
}

/* Well mixed: the same name has the same value in every formula. */
static uint64_t hash(struct span name, uint64_t h)
{
	h = fingerprint_bytes(h, name.s, name.n);
	h ^= h >> 31;
	h *= 0x9E3779B97F4A7C15u;
	h ^= h >> 29;
	h *= 0xBF58476D1CE4E5B9u;
	return h ^ h >> 32;
}

struct value value_variable(struct span name)
{
	struct value v = {.exact = 1};

	for (int i = 0; i < VALUE_POINTS; i++) {
		uint64_t    h = hash(name, 1469598103934665603u + (uint64_t)i);
		long double x = 0.5L + (long double)(h >> 11) / (1ull << 53);
		v.f[i] = i == 2 ? -x : x;
		v.r[i] = h % P;
	}
	return v;
}

struct value value_constant(char c)
{
	struct value v;

	if (c == 'i')
		return constant(I, ROOT_OF_MINUS_1, 1);
	v = value_variable((struct span){&c, 1});
	for (int i = 0; i < VALUE_POINTS; i++)
		v.f[i] = c == 'p' ? acosl(-1) : expl(1);
	return v;
}

/* The whole number that the value is, at every point; 0 when it is none. */
static int whole(const struct value *v, long limit, long *out)
{
	long n;

	if (!v->exact || !(fabsl(creall(v->f[0])) <= (long double)limit))
		return 0;
	n = lroundl(creall(v->f[0]));
	for (int i = 0; i < VALUE_POINTS; i++)
		if (v->r[i] != (n < 0 ? P - (uint64_t)-n : (uint64_t)n))
			return 0;
	*out = n;
	return 1;
}

static long double complex power_float(long double complex a, long double complex b, long n, int is_whole)
{
	long double complex x = 1;

	if (!is_whole)
		return a == 0                                              ? (creall(b) > 0 ? 0 : (long double)NAN)
		       : cimagl(a) == 0 && cimagl(b) == 0 && creall(a) > 0 ? powl(creall(a), creall(b))
		                                                           : cpowl(a, b);
	for (unsigned long m = n < 0 ? 0ul - (unsigned long)n : (unsigned long)n; m; m >>= 1, a *= a)
		if (m & 1)
			x *= a;
	return n < 0 ? 1 / x : x;
}

static struct value raise(struct value a, struct value b)
{
	long n = 0;
	int  is_whole = whole(&b, 1000000, &n);

	for (int i = 0; i < VALUE_POINTS; i++) {
		a.f[i] = power_float(a.f[i], b.f[i], n, is_whole);
		if (n < 0 && a.r[i] == 0)
			return nothing();
		a.r[i] = power(n < 0 ? power(a.r[i], P - 2) : a.r[i], (uint64_t)(n < 0 ? -n : n));
	}
	a.exact &= is_whole;
	return a;
}

struct value value_apply(char op, struct value a, struct value b)
{
	if (op == '^')
		return raise(a, b);
	for (int i = 0; i < VALUE_POINTS; i++) {
		if (op == '/' && (b.f[i] == 0 || (b.exact && b.r[i] == 0)))
			return nothing();
		a.f[i] = op == '+' ? a.f[i] + b.f[i] : op == '-' ? a.f[i] - b.f[i] : op == '*' ? a.f[i] * b.f[i] : a.f[i] / b.f[i];
		a.r[i] = op == '+'   ? (a.r[i] + b.r[i]) % P
		         : op == '-' ? (a.r[i] + P - b.r[i]) % P
		                     : times(a.r[i], op == '*' ? b.r[i] : power(b.r[i], P - 2));
	}
	a.exact &= b.exact;
	return a;
}

static long double complex absolute(long double complex x)
{
	return cabsl(x);
}

static const struct {
	const char *name;
	long double complex (*f)(long double complex);
} functions[] = {{"sqrt", csqrtl},   {"sin", csinl},     {"cos", ccosl},   {"tan", ctanl},   {"arcsin", casinl},
                 {"arccos", cacosl}, {"arctan", catanl}, {"sinh", csinhl}, {"cosh", ccoshl}, {"tanh", ctanhl},
                 {"ln", clogl},      {"log", clogl},     {"exp", cexpl},   {"abs", absolute}};

static struct value factorial(struct value x)
{
	long         n;
	struct value v = constant(1, 1, 1);

	if (!whole(&x, 2000, &n) || n < 0)
		return nothing();
	for (long i = 2; i <= n; i++)
		v = value_apply('*', v, constant(i, (uint64_t)i, 1));
	return v;
}

/* Reciprocals of sine, cosine, tangent. */
static int reciprocal(struct span name, struct value *v)
{
	static const struct {
		const char *name, *of;
	} pairs[] = {{"sec", "cos"}, {"csc", "sin"}, {"cot", "tan"}};

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		if (span_equal(name, span_of(pairs[i].name))) {
			int known;
			*v = value_apply('/', constant(1, 1, 1), value_function(span_of(pairs[i].of), *v, &known));
			return 1;
		}
	return 0;
}

/* The absolute value of an exact real constant stays exact. */
static int exact_absolute(const struct value *x, struct value *out)
{
	for (int i = 0; i < VALUE_POINTS; i++)
		if (!x->exact || cimagl(x->f[i]) != 0 || x->f[i] != x->f[0])
			return 0;
	*out = creall(x->f[0]) < 0 ? value_apply('-', constant(0, 0, 1), *x) : *x;
	return 1;
}

struct value value_function(struct span name, struct value x, int *known)
{
	*known = 1;
	if (span_equal(name, span_of("!")))
		return factorial(x);
	if (span_equal(name, span_of("abs")) && exact_absolute(&x, &x))
		return x;
	if (reciprocal(name, &x))
		return x;
	for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
		if (span_equal(name, span_of(functions[i].name))) {
			for (int j = 0; j < VALUE_POINTS; j++)
				x.f[j] = functions[i].f(x.f[j]);
			x.exact = 0;
			return x;
		}
	*known = 0;
	return x;
}

struct value value_root(struct value x, struct value n)
{
	long degree;

	if (whole(&n, 1000, &degree) && degree % 2 && degree > 0) /* the real root of a negative number */
		for (int i = 0; i < VALUE_POINTS; i++)
			if (cimagl(x.f[i]) == 0 && creall(x.f[i]) < 0) {
				x.f[i] = -powl(-creall(x.f[i]), 1 / (long double)degree);
				x.exact = 0;
			} else
				x.f[i] = power_float(x.f[i], 1 / (long double)degree, 0, 0);
	else
		x = raise(x, value_apply('/', constant(1, 1, 1), n));
	x.exact = 0;
	return x;
}

struct value value_binomial(struct value n, struct value k)
{
	long         top, under;
	struct value v = constant(1, 1, 1);

	if (!whole(&n, 1000000, &top) || !whole(&k, 2000, &under) || under < 0 || top < under)
		return nothing();
	for (long i = 0; i < under; i++)
		v = value_apply('/', value_apply('*', v, constant(top - i, (uint64_t)(top - i), 1)), constant(i + 1, (uint64_t)i + 1, 1));
	return v;
}

struct value value_modulo(struct value a, struct value b)
{
	long x, y;

	if (!whole(&a, 1000000000000000, &x) || !whole(&b, 1000000000000000, &y) || y <= 0)
		return nothing();
	x = (x % y + y) % y;
	return constant(x, (uint64_t)x, 1);
}

static int is_finite(long double complex x)
{
	return isfinite(creall(x)) && isfinite(cimagl(x));
}

static int close_to(long double complex a, long double complex b, int decimals)
{
	long double size = fmaxl(1, fmaxl(cabsl(a), cabsl(b)));

	if (cabsl(a - b) <= 1e-13L * size)
		return 1;
	return decimals && cimagl(a) == 0 && cimagl(b) == 0 &&
	       fabsl(roundl(creall(a) * powl(10, decimals)) - roundl(creall(b) * powl(10, decimals))) < 0.5L;
}

int value_equal(struct value a, struct value b, int decimals)
{
	for (int i = 0; i < VALUE_POINTS; i++) {
		if (!is_finite(a.f[i]) || !is_finite(b.f[i])) {
			if (i < 2)
				return 0;
			continue;
		}
		if (i == 2 && (cimagl(a.f[i]) != 0) != (cimagl(b.f[i]) != 0) && !(a.exact && b.exact))
			continue; /* one branch of a root of a negative number */
		if (!close_to(a.f[i], b.f[i], decimals) || (a.exact && b.exact && a.r[i] != b.r[i] && !decimals))
			return 0;
	}
	return 1;
}

int value_ratio_sign(struct value a, struct value b)
{
	struct value c = value_apply('/', b, a);

	for (int i = 0; i < VALUE_POINTS; i++)
		if (!is_finite(c.f[i]) || fabsl(cimagl(c.f[i])) > 1e-13L || cabsl(c.f[i] - c.f[0]) > 1e-12L * cabsl(c.f[0]) ||
		    (c.exact && c.r[i] != c.r[0]))
			return 0;
	return creall(c.f[0]) > 0 ? 1 : creall(c.f[0]) < 0 ? -1 : 0;
}
