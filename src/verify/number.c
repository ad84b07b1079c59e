#include "verify/number.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void number_init(struct number *x)
{
	mpq_init(x->q);
	x->undefined = 0;
}

void number_clear(struct number *x)
{
	mpq_clear(x->q);
}

static void number_undefine(struct number *x)
{
	mpq_set_ui(x->q, 0, 1);
	x->undefined = 1;
}

void number_set(struct number *x, int64_t over, int64_t under)
{
	static_assert(sizeof(long) == sizeof(int64_t), "GMP takes longs");
	if (under == 0) {
		number_undefine(x);
		return;
	}
	mpz_set_si(mpq_numref(x->q), over);
	mpz_set_si(mpq_denref(x->q), under);
	mpq_canonicalize(x->q);
	x->undefined = 0;
}

void number_copy(const struct number *from, struct number *to)
{
	mpq_set(to->q, from->q);
	to->undefined = from->undefined;
}

/* ---- reading ---- */

enum { NUMBER_DIGITS = NUMBER_BITS / 4 }; /* 10^NUMBER_DIGITS < 2^NUMBER_BITS */

static int number_digit_at(struct span a, size_t i)
{
	return i < a.n && isdigit((unsigned char)a.s[i]);
}

/* The length of a thousands separator, in text or LaTeX, or 0. */
static size_t number_separator(struct span a)
{
	static const char *const forms[] = {",", "\\,", "{,}", ",\\!", "\\!,"};
	size_t                   n = 0;

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		if (span_starts(a, forms[i]) && strlen(forms[i]) > n)
			n = strlen(forms[i]);
	return n;
}

/* A group of thousands at i (",234" without a fourth digit): returns where its digits start, or
 * 0. */
static size_t number_group(struct span a, size_t i)
{
	size_t n = number_separator(span_from(a, i)), at = i + n;

	return n && number_digit_at(a, at) && number_digit_at(a, at + 1) &&
	                       number_digit_at(a, at + 2) && !number_digit_at(a, at + 3)
	               ? at
	               : 0;
}

/* Digits on their way into a numerator. They go in eighteen at a time, because one at a time would
 * cost their number squared. */
struct number_digits {
	mpz_ptr  to;
	uint64_t part, scale; /* the digits not in `to` yet; 10^(their number) */
	long     n;           /* digits so far, without leading zeros */
};

static void number_flush(struct number_digits *d)
{
	mpz_mul_ui(d->to, d->to, d->scale);
	mpz_add_ui(d->to, d->to, d->part);
	d->part = 0;
	d->scale = 1;
}

static void number_push(struct number_digits *d, char c)
{
	if (d->n == 0 && c == '0')
		return;
	if (++d->n > NUMBER_DIGITS)
		return;
	d->part = 10 * d->part + (uint64_t)(c - '0');
	d->scale *= 10;
	if (d->scale == 1000000000000000000u)
		number_flush(d);
}

static size_t number_read_whole(struct span a, struct number_digits *d)
{
	size_t i = 0, group;
	int    grouped;

	for (; number_digit_at(a, i); i++)
		number_push(d, a.s[i]);
	grouped = i >= 1 && i <= 3;
	while (grouped && (group = number_group(a, i)))
		for (i = group; i < group + 3; i++)
			number_push(d, a.s[i]);
	return i;
}

static size_t number_read_exponent(struct span a, size_t i, long *exponent)
{
	size_t at = i + 1;
	long   value = 0;
	int    minus = 0;

	if (i >= a.n || (a.s[i] != 'e' && a.s[i] != 'E'))
		return i;
	if (at < a.n && (a.s[at] == '-' || a.s[at] == '+'))
		minus = a.s[at++] == '-';
	if (!number_digit_at(a, at))
		return i;
	for (; number_digit_at(a, at); at++)
		if (value <= NUMBER_BITS)
			value = 10 * value + (a.s[at] - '0');
	*exponent += minus ? -value : value;
	return at;
}

/* value = digits 10^exponent, where each decimal lowers the exponent by one */
size_t number_read(struct span a, struct number *out)
{
	struct number_digits d = {.to = mpq_numref(out->q), .scale = 1};
	long                 exponent = 0;
	size_t               i;
	mpz_t                ten;

	number_set(out, 0, 1);
	i = number_read_whole(a, &d);
	if (i < a.n && a.s[i] == '.' && number_digit_at(a, i + 1))
		for (i++; number_digit_at(a, i); i++, exponent--)
			number_push(&d, a.s[i]);
	if (i)
		i = number_read_exponent(a, i, &exponent);
	number_flush(&d);
	if (d.n == 0) {
		number_set(out, 0, 1);
		return i;
	}
	if (d.n > NUMBER_DIGITS || labs(exponent) > NUMBER_DIGITS ||
	    d.n + exponent > NUMBER_DIGITS) {
		number_undefine(out);
		return i;
	}
	mpz_init(ten);
	mpz_ui_pow_ui(ten, 10, (unsigned long)labs(exponent));
	if (exponent < 0)
		mpz_set(mpq_denref(out->q), ten);
	else
		mpz_mul(mpq_numref(out->q), mpq_numref(out->q), ten);
	mpz_clear(ten);
	mpq_canonicalize(out->q);
	return i;
}

/* ---- arithmetic ---- */

static size_t number_over(const struct number *x)
{
	return mpz_sizeinbase(mpq_numref(x->q), 2);
}

static size_t number_under(const struct number *x)
{
	return mpz_sizeinbase(mpq_denref(x->q), 2);
}

static size_t number_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* a^n. Bounds base and exponent together before calling GMP. */
static void number_raise(const struct number *a, const struct number *n, struct number *out)
{
	long          exponent;
	unsigned long size;
	/* -1, 0, 1 */
	int tiny = mpz_cmpabs_ui(mpq_numref(a->q), 1) <= 0 && number_under(a) == 1;

	if (!number_whole(n, &exponent) || (exponent < 0 && mpq_sgn(a->q) == 0)) {
		number_undefine(out);
		return;
	}
	size = exponent < 0 ? -(unsigned long)exponent : (unsigned long)exponent;
	if (tiny)
		size = size ? 2 - size % 2 : 0; /* the same sign */
	else if (size > NUMBER_BITS ||
	         size * number_max(number_over(a), number_under(a)) > NUMBER_BITS) {
		number_undefine(out);
		return;
	}
	mpz_pow_ui(mpq_numref(out->q), mpq_numref(a->q), size);
	mpz_pow_ui(mpq_denref(out->q), mpq_denref(a->q), size);
	if (exponent < 0)
		mpq_inv(out->q, out->q);
	out->undefined = 0;
}

/* Would the sum, the product or the quotient have too many bits? */
static int number_grows(char op, const struct number *a, const struct number *b)
{
	size_t over, under;

	switch (op) {
	case '*':
		over = number_over(a) + number_over(b);
		under = number_under(a) + number_under(b);
		break;
	case '/':
		over = number_over(a) + number_under(b);
		under = number_under(a) + number_over(b);
		break;
	default:
		over = number_max(number_over(a) + number_under(b),
		                  number_over(b) + number_under(a)) +
		       1;
		under = number_under(a) + number_under(b);
	}
	return over > NUMBER_BITS || under > NUMBER_BITS;
}

/* GMP is called only when the result exists and fits. */
void number_apply(char op, const struct number *a, const struct number *b, struct number *out)
{
	if (a->undefined || b->undefined || (op == '/' && mpq_sgn(b->q) == 0)) {
		number_undefine(out);
		return;
	}
	if (op == '^') {
		number_raise(a, b, out);
		return;
	}
	if (number_grows(op, a, b)) {
		number_undefine(out);
		return;
	}
	out->undefined = 0;
	switch (op) {
	case '+':
		mpq_add(out->q, a->q, b->q);
		break;
	case '-':
		mpq_sub(out->q, a->q, b->q);
		break;
	case '*':
		mpq_mul(out->q, a->q, b->q);
		break;
	case '/':
		mpq_div(out->q, a->q, b->q);
		break;
	default:
		assert(!"an operator of arithmetic");
	}
}

int number_equal(const struct number *a, const struct number *b)
{
	return !a->undefined && !b->undefined && mpq_equal(a->q, b->q);
}

int number_sign(const struct number *x)
{
	return x->undefined ? 0 : mpq_sgn(x->q);
}

int number_is_whole(const struct number *x)
{
	return !x->undefined && mpz_cmp_ui(mpq_denref(x->q), 1) == 0;
}

int number_whole(const struct number *x, long *out)
{
	if (!number_is_whole(x) || !mpz_fits_slong_p(mpq_numref(x->q)))
		return 0;
	*out = mpz_get_si(mpq_numref(x->q));
	return 1;
}

/* A double is a fraction whose denominator is a power of two, so nothing is rounded here either. */
static int number_set_double(struct number *x, double value)
{
	if (!isfinite(value))
		return 0;
	mpq_set_d(x->q, value);
	x->undefined = 0;
	return 1;
}

/* |x - gold| <= absolute + relative |gold| in exact fractions */
int number_near(const struct number *x, const struct number *gold, double absolute, double relative)
{
	struct number distance, bound, part;
	int           near;

	number_init(&distance);
	number_init(&bound);
	number_init(&part);
	near = number_set_double(&bound, absolute) && number_set_double(&part, relative);
	number_apply('-', x, gold, &distance);
	number_apply('*', &part, gold, &part);
	mpq_abs(part.q, part.q);
	mpq_abs(distance.q, distance.q);
	number_apply('+', &bound, &part, &bound);
	near = near && !distance.undefined && !bound.undefined && mpq_cmp(distance.q, bound.q) <= 0;
	number_clear(&distance);
	number_clear(&bound);
	number_clear(&part);
	return near;
}
