/* decimal.h - numbers as they are written: every digit counts, nothing is rounded.
 *
 *     value = (-1)^negative * d1 d2 ... dn * 10^exponent        d1 and dn are not 0; zero has n = 0
 *
 * so equal values have equal fields. More than DECIMAL_DIGITS digits are read over, and such a number equals nothing. */
#ifndef TASK_DECIMAL_H
#define TASK_DECIMAL_H

#include "task/span.h"

enum { DECIMAL_DIGITS = 256 };

struct decimal {
	int           negative, n, exponent;
	int           too_long;
	unsigned char digit[DECIMAL_DIGITS]; /* 0 .. 9, most significant first */
};

/* Reads an unsigned number at the start of the span: digits, or digits in groups of three with commas (also \, and {,} of LaTeX); a fraction; an exponent of
 * at most three digits ("1,234.50", ".5", "6e-3"). Returns the bytes read, 0 when no number starts here. */
size_t decimal_read(struct span a, struct decimal *out);

void decimal_multiply(const struct decimal *a, const struct decimal *b, struct decimal *out);
int  decimal_equal(const struct decimal *a, const struct decimal *b);

#endif
