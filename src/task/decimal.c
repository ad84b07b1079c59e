#include "task/decimal.h"

#include <ctype.h>
#include <string.h>

static int digit_at(struct span a, size_t i)
{
	return i < a.n && isdigit((unsigned char)a.s[i]);
}

/* Drops zeros at both ends, so that equal values look the same. */
static void normalise(struct decimal *d)
{
	int zeros = 0;

	while (zeros < d->n && d->digit[zeros] == 0)
		zeros++;
	memmove(d->digit, d->digit + zeros, (size_t)(d->n - zeros));
	d->n -= zeros;
	while (d->n && d->digit[d->n - 1] == 0) {
		d->n--;
		d->exponent++;
	}
	if (d->n == 0)
		d->negative = d->exponent = 0;
}

static void push(struct decimal *d, char c)
{
	if (d->n == 0 && c == '0')
		return;
	if (d->n == DECIMAL_DIGITS)
		d->too_long = 1;
	else
		d->digit[d->n++] = (unsigned char)(c - '0');
}

/* A comma between thousands, as text or as LaTeX: its bytes, 0 for none. */
static size_t separator(struct span a)
{
	static const char *const forms[] = {",", "\\,", "{,}", ",\\!", "\\!,"};
	size_t                   n = 0;

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		if (span_starts(a, forms[i]) && strlen(forms[i]) > n)
			n = strlen(forms[i]);
	return n;
}

/* ",234" and no fourth digit, a group of thousands, at i: where its digits start; 0 when it is none. */
static size_t group_at(struct span a, size_t i)
{
	size_t n = separator(span_from(a, i)), at = i + n;

	return n && digit_at(a, at) && digit_at(a, at + 1) && digit_at(a, at + 2) && !digit_at(a, at + 3) ? at : 0;
}

static size_t read_whole(struct span a, struct decimal *d)
{
	size_t i = 0, group;
	int    grouped;

	for (; digit_at(a, i); i++)
		push(d, a.s[i]);
	grouped = i >= 1 && i <= 3;
	while (grouped && (group = group_at(a, i))) {
		for (i = group; i < group + 3; i++)
			push(d, a.s[i]);
	}
	return i;
}

static size_t read_fraction(struct span a, size_t i, struct decimal *d)
{
	if (i >= a.n || a.s[i] != '.' || !digit_at(a, i + 1))
		return i;
	for (i++; digit_at(a, i); i++) {
		push(d, a.s[i]);
		if (!d->too_long)
			d->exponent--;
	}
	return i;
}

static size_t read_exponent(struct span a, size_t i, struct decimal *d)
{
	size_t at = i + 1, digits = 0;
	int    value = 0, minus = 0;

	if (i >= a.n || (a.s[i] != 'e' && a.s[i] != 'E'))
		return i;
	if (at < a.n && (a.s[at] == '-' || a.s[at] == '+'))
		minus = a.s[at++] == '-';
	for (; digit_at(a, at) && digits <= 3; at++, digits++)
		value = 10 * value + (a.s[at] - '0');
	if (digits == 0 || digits > 3)
		return i;
	d->exponent += minus ? -value : value;
	return at;
}

size_t decimal_read(struct span a, struct decimal *out)
{
	size_t i;

	*out = (struct decimal){0};
	i = read_whole(a, out);
	i = read_fraction(a, i, out);
	if (i)
		i = read_exponent(a, i, out);
	normalise(out);
	return i;
}

void decimal_multiply(const struct decimal *a, const struct decimal *b, struct decimal *out)
{
	int sum[2 * DECIMAL_DIGITS] = {0}, n = a->n + b->n, first;

	*out = (struct decimal){.negative = a->negative ^ b->negative, .too_long = a->too_long || b->too_long};
	for (int i = 0; i < a->n; i++)
		for (int j = 0; j < b->n; j++)
			sum[i + j + 1] += a->digit[i] * b->digit[j];
	for (int i = n; i-- > 1;) {
		sum[i - 1] += sum[i] / 10;
		sum[i] %= 10;
	}
	for (first = 0; first < n && sum[first] == 0; first++)
		;
	while (n > first && sum[n - 1] == 0)
		n--;
	out->exponent = a->exponent + b->exponent + (a->n + b->n - n);
	if (n - first > DECIMAL_DIGITS)
		out->too_long = 1;
	for (int i = first; i < n && !out->too_long; i++)
		out->digit[out->n++] = (unsigned char)sum[i];
	normalise(out);
}

int decimal_equal(const struct decimal *a, const struct decimal *b)
{
	if (a->too_long || b->too_long)
		return 0;
	return a->negative == b->negative && a->exponent == b->exponent && a->n == b->n && memcmp(a->digit, b->digit, (size_t)a->n) == 0;
}
