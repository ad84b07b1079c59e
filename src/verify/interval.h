/* interval.h - real numbers between two bounds, by MPFR: lo is always rounded down and hi up, so
 * the number is never outside.
 *
 * An operation that is undefined somewhere in its operands (division by an interval with 0, the
 * logarithm of one with negative numbers) gives the whole line. */
#ifndef VERIFY_INTERVAL_H
#define VERIFY_INTERVAL_H

#include "verify/number.h"

#include <mpfr.h>

struct interval {
	mpfr_t lo, hi; /* owned */
};

void interval_init(struct interval *x, long bits); /* bits: precision of both bounds */
void interval_clear(struct interval *x);

void interval_number(struct interval *out, const struct number *x);
void interval_pi(struct interval *out);
/* + - * / */
void interval_apply(struct interval *out, char op, const struct interval *a,
                    const struct interval *b);
/* a must not be negative */
void interval_root(struct interval *out, const struct interval *a, unsigned long degree);
void interval_cosine(struct interval *out, const struct interval *a);

/* Increasing functions. */
enum interval_function { INTERVAL_EXP, INTERVAL_LN, INTERVAL_ASIN, INTERVAL_ATAN };
void interval_rise(struct interval *out, enum interval_function f, const struct interval *a);

int interval_sign(const struct interval *x);              /* -1 or 1; 0 if 0 may be inside */
int interval_within(const struct interval *x, long bits); /* 1: certainly |x| < 2^-bits */
/* returns 1 if both bounds have the same floor */
int interval_floor(const struct interval *x, mpz_t out);
/* an approximation, for guesses that are checked afterwards */
double interval_middle(const struct interval *x);

#endif
