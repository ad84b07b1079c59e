#include "data/dataset_parts.h"

#include <ctype.h>
#include <string.h>

/* The number of a \uXXXX at s, or -1. */
static long mend_unit(const char *s, size_t n)
{
	long unit = 0;

	if (n < 6 || s[0] != '\\' || s[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		const char *digits = "0123456789abcdef",
		           *d = memchr(digits, tolower((unsigned char)s[i]), 16);
		if (!d)
			return -1;
		unit = 16 * unit + (d - digits);
	}
	return unit;
}

static int mend_is_high(long unit)
{
	return unit >= 0xD800 && unit <= 0xDBFF;
}

static int mend_is_low(long unit)
{
	return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* What stands at s inside a text, as it is or mended; returns its bytes. */
static size_t mend_in_text(const char *s, size_t n, struct text *out, int *halves)
{
	long   unit = mend_unit(s, n);
	size_t length = *s == '\\' && n > 1 ? 2 : 1;

	if (unit >= 0)
		length = 6;
	if (mend_is_high(unit) && mend_is_low(mend_unit(s + 6, n - 6)))
		length = 12;
	else if (mend_is_high(unit) || mend_is_low(unit)) {
		text_print(out, "\\ufffd");
		++*halves;
		return length;
	}
	text_add(out, s, length);
	return length;
}

/* Length of NaN, Infinity or -Infinity at s, or 0. */
static size_t mend_no_number(const char *s, size_t n)
{
	static const char *const words[] = {"NaN", "Infinity", "-Infinity"};

	for (int i = 0; i < 3; i++)
		if (n >= strlen(words[i]) && !memcmp(s, words[i], strlen(words[i])))
			return strlen(words[i]);
	return 0;
}

int dataset_mend(const char *row, size_t n, struct text *out, int *halves)
{
	int in_text = 0, numbers = 0;

	*halves = 0;
	for (size_t i = 0; i < n;) {
		size_t length = in_text ? 0 : mend_no_number(row + i, n - i);
		if (length) {
			text_print(out, "null");
			numbers++;
		} else if (in_text && row[i] != '"') {
			length = mend_in_text(row + i, n - i, out, halves);
		} else {
			in_text ^= row[i] == '"';
			text_add(out, row + i, length = 1);
		}
		i += length;
	}
	return numbers + *halves;
}
