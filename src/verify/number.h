/* number.h - exact fractions of whole numbers, computed by GMP. Nothing is rounded.
 *
 * GMP ends the process when it gets no memory, so the size of every result is bounded before GMP is
 * called: numerator and denominator have at most NUMBER_BITS bits each. A larger result and a
 * division by zero are UNDEFINED. An undefined number equals nothing, not even itself, and
 * everything computed from it is undefined too, so it is enough to check the end of a chain of
 * operations.
 *
 *     struct number a, b;
 *     number_init(&a), number_init(&b);
 *     number_read(span_of("1,234.50"), &a);
 *     number_set(&b, 3, 4);
 *     number_apply('*', &a, &b, &a);          the result may be an operand
 *     number_clear(&a), number_clear(&b); */
#ifndef VERIFY_NUMBER_H
#define VERIFY_NUMBER_H

#include "verify/span.h"

#include <gmp.h>
#include <stdint.h>

enum { NUMBER_BITS = 1 << 17 };

struct number {
	mpq_t q; /* in lowest terms, the denominator positive; owned */
	int   undefined;
};

void number_init(struct number *x); /* 0; free it with number_clear */
void number_clear(struct number *x);
void number_set(struct number *x, int64_t over, int64_t under); /* undefined if under is 0 */
void number_copy(const struct number *from, struct number *to);

/* Reads an unsigned number at the start of the span: digits, or digits in groups of three with
 * commas (also \, and {,} of LaTeX); a fraction; an exponent ("1,234.50", ".5", "6e-3"). Returns
 * the bytes read, 0 (and *out is 0) when no number starts here. */
size_t number_read(struct span a, struct number *out);

/* *out = a OP b for OP in + - * / ^; the exponent of ^ is whole. 0^0 is 1. */
void number_apply(char op, const struct number *a, const struct number *b, struct number *out);

int number_equal(const struct number *a, const struct number *b);
int number_sign(const struct number *x); /* -1, 0, 1; 0 if undefined */
int number_is_whole(const struct number *x);
/* writes *out and returns 1 if x is a whole number that fits */
int number_whole(const struct number *x, long *out);

/* |x - gold| <= absolute + relative |gold|, computed exactly. */
int number_near(const struct number *x, const struct number *gold, double absolute,
                double relative);

#endif
