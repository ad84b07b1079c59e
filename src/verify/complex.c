#include "verify/complex.h"

#include <stdlib.h>

struct complex_value complex_of(int re)
{
	return (struct complex_value){re, ALGEBRAIC_ZERO};
}

struct complex_value complex_undefined(void)
{
	return complex_of(ALGEBRAIC_UNDEFINED);
}

struct complex_value complex_undecided(void)
{
	return complex_of(ALGEBRAIC_UNDECIDED);
}

/* Is v real? 1, 0, or -1 when not known. */
int complex_is_real(struct algebra *a, struct complex_value v)
{
	int sign;

	if (v.re < 0 || v.im < 0)
		return -1;
	return v.im == ALGEBRAIC_ZERO ? 1 : algebraic_sign(a, v.im, &sign) ? sign == 0 : -1;
}

struct complex_value complex_check(struct complex_value v)
{
	return v.re < 0 ? complex_of(v.re) : v.im < 0 ? complex_of(v.im) : v;
}

static struct complex_value complex_multiply(struct algebra *a, struct complex_value x,
                                             struct complex_value y)
{
	if (x.im == ALGEBRAIC_ZERO && y.im == ALGEBRAIC_ZERO)
		return complex_of(algebraic_apply(a, '*', x.re, y.re));
	return (struct complex_value){algebraic_apply(a, '-', algebraic_apply(a, '*', x.re, y.re),
	                                              algebraic_apply(a, '*', x.im, y.im)),
	                              algebraic_apply(a, '+', algebraic_apply(a, '*', x.re, y.im),
	                                              algebraic_apply(a, '*', x.im, y.re))};
}

static struct complex_value complex_divide(struct algebra *a, struct complex_value x,
                                           struct complex_value y)
{
	int norm;

	if (y.im == ALGEBRAIC_ZERO)
		return (struct complex_value){algebraic_apply(a, '/', x.re, y.re),
		                              algebraic_apply(a, '/', x.im, y.re)};
	norm = algebraic_apply(a, '+', algebraic_apply(a, '*', y.re, y.re),
	                       algebraic_apply(a, '*', y.im, y.im));
	y.im = algebraic_apply(a, '-', ALGEBRAIC_ZERO, y.im);
	x = complex_multiply(a, x, y);
	return (struct complex_value){algebraic_apply(a, '/', x.re, norm),
	                              algebraic_apply(a, '/', x.im, norm)};
}

struct complex_value complex_apply(struct algebra *a, char op, struct complex_value x,
                                   struct complex_value y)
{
	if (x.re < 0 || y.re < 0)
		return x.re == ALGEBRAIC_UNDEFINED || y.re == ALGEBRAIC_UNDEFINED
		               ? complex_undefined()
		               : complex_undecided();
	switch (op) {
	case '*':
		return complex_check(complex_multiply(a, x, y));
	case '/':
		return complex_check(complex_divide(a, x, y));
	default:
		return complex_check((struct complex_value){algebraic_apply(a, op, x.re, y.re),
		                                            algebraic_apply(a, op, x.im, y.im)});
	}
}

struct complex_value complex_whole_power(struct algebra *a, struct complex_value x, long n)
{
	struct complex_value out = complex_of(ALGEBRAIC_ONE);

	if (x.im == ALGEBRAIC_ZERO)
		return complex_of(algebraic_power(a, x.re, n));
	if (labs(n) > COMPLEX_POWER_MAX)
		return complex_undecided();
	for (long m = labs(n); m; m >>= 1, x = complex_apply(a, '*', x, x))
		if (m & 1)
			out = complex_apply(a, '*', out, x);
	return n < 0 ? complex_apply(a, '/', complex_of(ALGEBRAIC_ONE), out) : out;
}

int complex_size(struct algebra *a, struct complex_value v)
{
	return algebraic_root(a,
	                      algebraic_apply(a, '+', algebraic_apply(a, '*', v.re, v.re),
	                                      algebraic_apply(a, '*', v.im, v.im)),
	                      2);
}

/* The square root with the greater real part: re = sqrt((|z| + Re z) / 2), im = Im z / (2 re). */
struct complex_value complex_square_root(struct algebra *a, struct complex_value v)
{
	int two = algebraic_fraction(a, 2, 1), re;

	re = algebraic_root(
	        a, algebraic_apply(a, '/', algebraic_apply(a, '+', complex_size(a, v), v.re), two),
	        2);
	return complex_check((struct complex_value){
	        re, algebraic_apply(a, '/', v.im, algebraic_apply(a, '*', two, re))});
}
