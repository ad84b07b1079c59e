/* interval.h - real numbers between two bounds, by MPFR: lo is always rounded down and hi up, so
 * the number is never outside.
 *
 * An operation that has no value somewhere in its operands (a division by what may be 0, the
 * logarithm of what may be negative) gives the whole line. */
#ifndef VERIFY_INTERVAL_H
#define VERIFY_INTERVAL_H

#include "verify/number.h"

#include <mpfr.h>

struct interval {
	mpfr_t lo, hi; /* owned */
};

void interval_init(struct interval *x, long bits); /* the precision of both bounds; clear it */
void interval_clear(struct interval *x);

void interval_number(struct interval *out, const struct number *x);
void interval_pi(struct interval *out);
/* + - * / */
void interval_apply(struct interval *out, char op, const struct interval *a,
                    const struct interval *b);
/* of what is not negative */
void interval_root(struct interval *out, const struct interval *a, unsigned long degree);
void interval_cosine(struct interval *out, const struct interval *a);

/* Functions that only rise. */
enum interval_function { INTERVAL_EXP, INTERVAL_LN, INTERVAL_ASIN, INTERVAL_ATAN };
void interval_rise(struct interval *out, enum interval_function f, const struct interval *a);

int interval_sign(const struct interval *x);              /* -1 or 1; 0 where 0 may be inside */
int interval_within(const struct interval *x, long bits); /* |x| < 2^-bits for certain */
/* 1 where both bounds have the same floor */
int interval_floor(const struct interval *x, mpz_t out);
/* about: for guesses that are checked afterwards */
double interval_middle(const struct interval *x);

#endif
