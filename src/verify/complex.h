/* complex.h - complex numbers whose parts are algebraic numbers (algebraic.h).
 *
 * A number without a value has no real part: re is ALGEBRAIC_UNDEFINED or ALGEBRAIC_UNDECIDED, and
 * every operation passes that on. */
#ifndef VERIFY_COMPLEX_H
#define VERIFY_COMPLEX_H

#include "verify/algebraic.h"

enum { COMPLEX_POWER_MAX = 600 };

struct complex_value { /* handles; re < 0: why there is no value */
	int re, im;
};

struct complex_value complex_of(int re);
struct complex_value complex_undefined(void);
struct complex_value complex_undecided(void);

/* Is v real? 1, 0, or -1 when not known. */
int complex_is_real(struct algebra *a, struct complex_value v);

/* Moves a missing imaginary part into the real part, so that one test of re suffices. */
struct complex_value complex_check(struct complex_value v);

struct complex_value complex_apply(struct algebra *a, char op, struct complex_value x,
                                   struct complex_value y); /* + - * / */
struct complex_value complex_whole_power(struct algebra *a, struct complex_value x, long n);

int complex_size(struct algebra *a, struct complex_value v); /* |v| */

/* The square root with the greater real part; of v that is not real. */
struct complex_value complex_square_root(struct algebra *a, struct complex_value v);

#endif
