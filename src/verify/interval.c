#include "verify/interval.h"

void interval_init(struct interval *x, long bits)
{
	mpfr_init2(x->lo, bits);
	mpfr_init2(x->hi, bits);
}

void interval_clear(struct interval *x)
{
	mpfr_clear(x->lo);
	mpfr_clear(x->hi);
}

static void interval_line(struct interval *x)
{
	mpfr_set_inf(x->lo, -1);
	mpfr_set_inf(x->hi, 1);
}

/* A bound that is not a number (inf - inf, 0 * inf) becomes infinite. */
static void interval_mend(struct interval *x)
{
	if (mpfr_nan_p(x->lo) || mpfr_nan_p(x->hi))
		interval_line(x);
}

void interval_number(struct interval *out, const struct number *x)
{
	mpfr_set_q(out->lo, x->q, MPFR_RNDD);
	mpfr_set_q(out->hi, x->q, MPFR_RNDU);
}

void interval_pi(struct interval *out)
{
	mpfr_const_pi(out->lo, MPFR_RNDD);
	mpfr_const_pi(out->hi, MPFR_RNDU);
}

typedef int interval_binary(mpfr_t, const mpfr_t, const mpfr_t, mpfr_rnd_t);

/* Products and quotients: the smallest and the greatest of the results for the four pairs of
 * bounds. `out` may be an operand. */
static void interval_corners(struct interval *out, interval_binary *f, const struct interval *a,
                             const struct interval *b)
{
	mpfr_srcptr     x[] = {a->lo, a->hi}, y[] = {b->lo, b->hi};
	struct interval one, best;

	interval_init(&one, mpfr_get_prec(out->lo));
	interval_init(&best, mpfr_get_prec(out->lo));
	for (int i = 0; i < 4; i++) {
		f(one.lo, x[i & 1], y[i >> 1], MPFR_RNDD);
		f(one.hi, x[i & 1], y[i >> 1], MPFR_RNDU);
		if (mpfr_nan_p(one.lo) || mpfr_nan_p(one.hi)) {
			interval_line(&best);
			break;
		}
		if (i == 0 || mpfr_less_p(one.lo, best.lo))
			mpfr_set(best.lo, one.lo, MPFR_RNDD);
		if (i == 0 || mpfr_greater_p(one.hi, best.hi))
			mpfr_set(best.hi, one.hi, MPFR_RNDU);
	}
	mpfr_swap(out->lo, best.lo);
	mpfr_swap(out->hi, best.hi);
	interval_clear(&one);
	interval_clear(&best);
}

/* [a + c, b + d], [a - d, b - c], and the corners for products and quotients. */
void interval_apply(struct interval *out, char op, const struct interval *a,
                    const struct interval *b)
{
	switch (op) {
	case '+':
		mpfr_add(out->lo, a->lo, b->lo, MPFR_RNDD);
		mpfr_add(out->hi, a->hi, b->hi, MPFR_RNDU);
		break;
	case '-': {
		mpfr_t lo;
		mpfr_init2(lo, mpfr_get_prec(out->lo));
		mpfr_sub(lo, a->lo, b->hi, MPFR_RNDD);
		mpfr_sub(out->hi, a->hi, b->lo, MPFR_RNDU);
		mpfr_swap(out->lo, lo);
		mpfr_clear(lo);
		break;
	}
	case '*':
		interval_corners(out, mpfr_mul, a, b);
		break;
	default:
		if (interval_sign(b) == 0)
			interval_line(out);
		else
			interval_corners(out, mpfr_div, a, b);
	}
	interval_mend(out);
}

void interval_root(struct interval *out, const struct interval *a, unsigned long degree)
{
	if (mpfr_sgn(a->hi) < 0) {
		interval_line(out);
		return;
	}
	if (mpfr_sgn(a->lo) > 0)
		mpfr_rootn_ui(out->lo, a->lo, degree, MPFR_RNDD);
	else
		mpfr_set_zero(out->lo, 1);
	mpfr_rootn_ui(out->hi, a->hi, degree, MPFR_RNDU);
	interval_mend(out);
}

/* The cosine changes no more than its argument: cos(lo) plus and minus the width. */
void interval_cosine(struct interval *out, const struct interval *a)
{
	mpfr_t width;

	mpfr_init2(width, mpfr_get_prec(out->lo));
	mpfr_sub(width, a->hi, a->lo, MPFR_RNDU);
	if (mpfr_number_p(a->lo) && mpfr_number_p(width) && mpfr_cmp_ui(width, 1) < 0 &&
	    mpfr_get_exp(a->lo) < mpfr_get_prec(out->lo)) {
		mpfr_cos(out->lo, a->lo, MPFR_RNDD);
		mpfr_cos(out->hi, a->lo, MPFR_RNDU);
		mpfr_sub(out->lo, out->lo, width, MPFR_RNDD);
		mpfr_add(out->hi, out->hi, width, MPFR_RNDU);
	} else {
		mpfr_set_si(out->lo, -1, MPFR_RNDD);
		mpfr_set_si(out->hi, 1, MPFR_RNDU);
	}
	mpfr_clear(width);
}

void interval_rise(struct interval *out, enum interval_function f, const struct interval *a)
{
	static int (*const functions[])(mpfr_t, const mpfr_t,
	                                mpfr_rnd_t) = {[INTERVAL_EXP] = mpfr_exp,
	                                               [INTERVAL_LN] = mpfr_log,
	                                               [INTERVAL_ASIN] = mpfr_asin,
	                                               [INTERVAL_ATAN] = mpfr_atan};

	functions[f](out->lo, a->lo, MPFR_RNDD);
	functions[f](out->hi, a->hi, MPFR_RNDU);
	interval_mend(out);
}

int interval_sign(const struct interval *x)
{
	return mpfr_sgn(x->lo) > 0 ? 1 : mpfr_sgn(x->hi) < 0 ? -1 : 0;
}

int interval_within(const struct interval *x, long bits)
{
	return mpfr_cmpabs_ui(x->lo, 1) < 0 && mpfr_cmpabs_ui(x->hi, 1) < 0 &&
	       (mpfr_zero_p(x->lo) || mpfr_get_exp(x->lo) <= -bits) &&
	       (mpfr_zero_p(x->hi) || mpfr_get_exp(x->hi) <= -bits);
}

int interval_floor(const struct interval *x, mpz_t out)
{
	mpz_t other;
	int   same;

	if (!mpfr_number_p(x->lo) || !mpfr_number_p(x->hi) ||
	    mpfr_get_exp(x->lo) > NUMBER_BITS / 2 || mpfr_get_exp(x->hi) > NUMBER_BITS / 2)
		return 0;
	mpz_init(other);
	mpfr_get_z(out, x->lo, MPFR_RNDD);
	mpfr_get_z(other, x->hi, MPFR_RNDD);
	same = mpz_cmp(out, other) == 0;
	mpz_clear(other);
	return same;
}

double interval_middle(const struct interval *x)
{
	return mpfr_get_d(x->lo, MPFR_RNDN) / 2 + mpfr_get_d(x->hi, MPFR_RNDN) / 2;
}
