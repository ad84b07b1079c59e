#include "verify/evaluation.h"

#include "base/fingerprint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 12 };

/* One walk over one formula at one point. */
struct evaluation_walk {
	struct evaluator         *v;
	const struct expressions *e;
	struct algebra           *a;
	struct evaluation_point  *point;
	int                       side, at;
};

/* ---- fractions that stand for something ---- */

static uint64_t evaluation_mix(uint64_t h)
{
	h ^= h >> 31;
	h *= 0x9E3779B97F4A7C15u;
	h ^= h >> 29;
	h *= 0xBF58476D1CE4E5B9u;
	return h ^ h >> 32;
}

static uint64_t evaluation_hash(const struct evaluation_walk *w, struct span name, int n)
{
	uint64_t h = fingerprint_bytes(w->v->seed + (uint64_t)w->at, name.s, name.n);

	return evaluation_mix(fingerprint_bytes(h, &n, sizeof n));
}

enum { UNDER = 65537 };

/* A fraction near `about`, otherwise chosen by the hash. */
static int fraction_near(const struct evaluation_walk *w, double about, uint64_t h)
{
	if (!isfinite(about) || fabs(about) > 1e12)
		about = 1;
	return algebraic_fraction(w->a, (long)floor(about * UNDER * 16) + (long)(h % 256),
	                          16 * UNDER);
}

/* A variable's fraction, by the point: near 1, large, near -1, very negative, anything. */
static int variable_at(const struct evaluation_walk *w, struct span name)
{
	uint64_t h = evaluation_hash(w, name, 0);
	long     over = 32768 + (long)(h % 65536);

	switch (w->at) {
	case 0:
		return algebraic_fraction(w->a, over, UNDER);
	case 1:
		return algebraic_fraction(w->a, over, 57);
	case 2:
		return algebraic_fraction(w->a, -over, UNDER);
	case 3:
		return algebraic_fraction(w->a, -over, 57);
	case EVALUATION_TRUTH:
		return ALGEBRAIC_UNDECIDED;
	default:
		return algebraic_fraction(w->a, h >> 63 ? -over : over, 4099);
	}
}

static struct evaluation_kernel *new_kernel(const struct evaluation_walk *w,
                                            struct evaluation_kernel      k)
{
	if (w->point->n == EVALUATION_KERNELS)
		return NULL;
	w->point->kernel[w->point->n] = k;
	return &w->point->kernel[w->point->n++];
}

/* NAME(x, y) gets the same fraction for the same name and equal arguments. */
static int opaque(const struct evaluation_walk *w, struct span name, int x, int y, double about)
{
	struct evaluation_kernel *k;

	if (x < 0 || y < 0)
		return x < 0 ? x : y;
	for (int i = 0; i < w->point->n; i++) {
		k = &w->point->kernel[i];
		if (k->kind == 'A' && span_equal(k->name, name) && algebraic_equal(w->a, k->x, x) &&
		    algebraic_equal(w->a, k->y, y))
			return k->root;
	}
	k = new_kernel(w, (struct evaluation_kernel){.kind = 'A', .name = name, .x = x, .y = y});
	return k ? k->root = fraction_near(w, about, evaluation_hash(w, name, w->point->n))
	         : ALGEBRAIC_UNDECIDED;
}

/* Is x = n/PARTS y for an integer n? The n is guessed, then checked. */
static int in_parts(const struct evaluation_walk *w, int x, int y, long *n)
{
	double ratio = algebraic_about(w->a, x) / algebraic_about(w->a, y) * PARTS;

	if (!isfinite(ratio) || fabs(ratio) > COMPLEX_POWER_MAX)
		return 0;
	*n = lround(ratio);
	return algebraic_equal(w->a, x,
	                       algebraic_apply(w->a, '*', y, algebraic_fraction(w->a, *n, PARTS)));
}

/* Finds the kernel of this kind and key whose x is a rational multiple of this x, or makes one. *n
 * is the number of its PARTS-th parts. */
static struct evaluation_kernel *kernel_of(const struct evaluation_walk *w, char kind, int key,
                                           int x, long *n)
{
	static const char *const  names[] = {"^", "@"};
	struct evaluation_kernel *k;

	for (int i = 0; i < w->point->n; i++) {
		k = &w->point->kernel[i];
		if (k->kind == kind && (key == k->key || algebraic_equal(w->a, k->key, key)) &&
		    in_parts(w, x, k->x, n))
			return k;
	}
	k = new_kernel(w, (struct evaluation_kernel){.kind = kind, .key = key, .x = x});
	*n = PARTS;
	if (k)
		k->root = algebraic_fraction(
		        w->a,
		        700 + (long)(evaluation_hash(w, span_of(names[kind == '@']), w->point->n) %
		                     1024),
		        1021);
	return k;
}

/* ---- the walk ---- */

static struct complex_value evaluation_of(const struct evaluation_walk *w, int x);

static struct evaluation_walk true_walk(const struct evaluation_walk *w)
{
	struct evaluation_walk t = *w;

	t.at = EVALUATION_TRUTH;
	t.point = &w->v->point[EVALUATION_TRUTH];
	return t;
}

static const struct expression_node *node_of(const struct evaluation_walk *w, int x)
{
	return &w->e->node[x];
}

/* The sign of a real expression: the true one of a constant, and that at the point of anything
 * else. */
static int sign_of(const struct evaluation_walk *w, int x, struct complex_value v, int *sign)
{
	struct evaluation_walk t = true_walk(w);
	struct complex_value   truth;

	if (node_of(w, x)->open || w->at == EVALUATION_TRUTH)
		return algebraic_sign(w->a, v.re, sign);
	truth = evaluation_of(&t, x);
	return truth.re >= 0 && complex_is_real(w->a, truth) == 1 &&
	       algebraic_sign(w->a, truth.re, sign);
}

/* The value of a constant that really is a fraction, not merely represented by one; else NULL.
 * Valid until the next node is made. */
static const struct number *fraction_of(const struct evaluation_walk *w, int x)
{
	struct evaluation_walk t = true_walk(w);
	struct complex_value   v = node_of(w, x)->open ? complex_undecided() : evaluation_of(&t, x);

	return v.im == ALGEBRAIC_ZERO ? algebraic_as_number(w->a, v.re) : NULL;
}

static int whole_of(const struct evaluation_walk *w, int x, long *out)
{
	const struct number *q = fraction_of(w, x);

	return q && number_whole(q, out);
}

/* ---- powers ---- */

/* exp(x) of a real x. */
static int exponential(const struct evaluation_walk *w, int x)
{
	struct evaluation_kernel *k;
	long                      n;

	if (x <= 0)
		return x == ALGEBRAIC_ZERO ? ALGEBRAIC_ONE : x;
	if (w->at == EVALUATION_TRUTH)
		return algebraic_rise(w->a, INTERVAL_EXP, x);
	k = kernel_of(w, 'e', 0, x, &n);
	return k ? algebraic_power(w->a, k->root, n) : ALGEBRAIC_UNDECIDED;
}

/* key^x. */
static int kernel_power(const struct evaluation_walk *w, int key, int x)
{
	struct evaluation_kernel *k;
	long                      n;

	if (key < 0 || x < 0)
		return key < 0 ? key : x;
	if (x == ALGEBRAIC_ZERO || key == ALGEBRAIC_ONE)
		return ALGEBRAIC_ONE;
	k = kernel_of(w, '^', key, x, &n);
	return k ? algebraic_power(w->a, k->root, n) : ALGEBRAIC_UNDECIDED;
}

enum { PRIMES = 1000 };

/* For each prime power of an integer: out = use(out, prime, exponent). The unfactored rest counts
 * as a prime. */
struct prime_sum {
	const struct evaluation_walk *w;
	int                           x; /* powers: the exponent */
	int                           out;
};

typedef void prime_use(struct prime_sum *s, int prime, long exponent);

/* Factors an integer: calls use(p, power) for each small prime, and once for the rest. */
static void for_primes(struct prime_sum *s, mpz_srcptr whole, int sign, prime_use *use)
{
	struct number left;

	algebra_spend(s->w->a, 64 * PRIMES / 4);
	number_init(&left);
	mpz_abs(mpq_numref(left.q), whole);
	for (unsigned long p = 2; p < PRIMES; p += 1 + (p > 2)) {
		long n = 0;
		while (mpz_divisible_ui_p(mpq_numref(left.q), p)) {
			mpz_divexact_ui(mpq_numref(left.q), mpq_numref(left.q), p);
			n++;
		}
		if (n)
			use(s, algebraic_fraction(s->w->a, (long)p, 1), sign * n);
	}
	if (mpz_cmp_ui(mpq_numref(left.q), 1) > 0)
		use(s, algebraic_number(s->w->a, &left), sign);
	number_clear(&left);
}

static void multiply_power(struct prime_sum *s, int prime, long n)
{
	struct algebra *a = s->w->a;
	int             exponent = algebraic_apply(a, '*', s->x, algebraic_fraction(a, n, 1));

	s->out = algebraic_apply(a, '*', s->out, kernel_power(s->w, prime, exponent));
}

/* (p/q)^x by the primes of p and q, so that 4^x is (2^x)^2. */
static int fraction_power(const struct evaluation_walk *w, const struct number *base, int x)
{
	struct prime_sum s = {.w = w, .x = x, .out = ALGEBRAIC_ONE};
	int              sign = number_sign(base);
	struct number    copy;

	if (sign == 0)
		return ALGEBRAIC_UNDECIDED;
	if (mpz_sizeinbase(mpq_numref(base->q), 2) > 4096 ||
	    mpz_sizeinbase(mpq_denref(base->q), 2) > 4096)
		return ALGEBRAIC_UNDECIDED;
	number_init(&copy);
	number_copy(base, &copy);
	if (sign < 0)
		s.out = kernel_power(w, algebraic_fraction(w->a, -1, 1), x);
	for_primes(&s, mpq_numref(copy.q), 1, multiply_power);
	for_primes(&s, mpq_denref(copy.q), -1, multiply_power);
	number_clear(&copy);
	return s.out;
}

static int logarithm_of(const struct evaluation_walk *w, int x);

/* base^x for an exponent that is not a fraction and has the value x. Splits products and powers in
 * the base: (a b)^x = a^x b^x. */
static int open_power(const struct evaluation_walk *w, int base, int x)
{
	const struct expression_node *n = node_of(w, base);
	struct complex_value          v;

	if (w->at == EVALUATION_TRUTH)
		return exponential(w, algebraic_apply(w->a, '*', x, logarithm_of(w, base)));
	switch (n->op) {
	case 'e':
		return exponential(w, x);
	case '*':
	case '/':
		return algebraic_apply(w->a, n->op, open_power(w, n->a, x), open_power(w, n->b, x));
	case '^':
		v = evaluation_of(w, n->b);
		if (complex_is_real(w->a, v) == 1)
			return open_power(w, n->a, algebraic_apply(w->a, '*', v.re, x));
		return ALGEBRAIC_UNDECIDED;
	default:
		v = evaluation_of(w, base);
		if (complex_is_real(w->a, v) != 1)
			return v.re < 0 ? v.re : ALGEBRAIC_UNDECIDED;
		if (fraction_of(w, base))
			return fraction_power(w, fraction_of(w, base), x);
		return kernel_power(w, v.re, x);
	}
}

static struct complex_value turn_of(const struct evaluation_walk *w, int angle);

static int is_logarithm(const struct expression_node *n)
{
	return n->op == 'f' && span_equal(n->name, span_of("ln"));
}

/* exp of an expression that is not a sum; exp(x ln u) = u^x. */
static struct complex_value exponential_term(const struct evaluation_walk *w, int x)
{
	const struct expression_node *n = node_of(w, x);
	struct complex_value          v = evaluation_of(w, x), turn;

	if (v.re < 0)
		return v;
	if (is_logarithm(n))
		return evaluation_of(w, n->a);
	for (int i = 0; n->op == '*' && i < 2; i++) {
		int factor = i ? n->b : n->a, other = i ? n->a : n->b;
		if (is_logarithm(node_of(w, factor))) {
			struct complex_value y = evaluation_of(w, other);
			long                 whole;
			if (whole_of(w, other, &whole))
				return complex_whole_power(
				        w->a, evaluation_of(w, node_of(w, factor)->a), whole);
			if (complex_is_real(w->a, y) == 1)
				return complex_of(open_power(w, node_of(w, factor)->a, y.re));
		}
	}
	if (v.im == ALGEBRAIC_ZERO)
		return complex_of(exponential(w, v.re));
	turn = turn_of(w, v.im);
	return complex_apply(w->a, '*', complex_of(exponential(w, v.re)), turn);
}

static struct complex_value exponential_of(const struct evaluation_walk *w, int x)
{
	const struct expression_node *n = node_of(w, x);

	if (n->op == '+' || n->op == '-')
		return complex_apply(w->a, n->op == '+' ? '*' : '/', exponential_of(w, n->a),
		                     exponential_of(w, n->b));
	return exponential_term(w, x);
}

/* base^x for any exponent that is not a fraction: base^(x+y) = base^x base^y. */
static struct complex_value split_power(const struct evaluation_walk *w, int base, int x)
{
	const struct expression_node *n = node_of(w, x);
	struct complex_value          v = evaluation_of(w, x);
	long                          whole;

	if (n->op == '+' || n->op == '-')
		return complex_apply(w->a, n->op == '+' ? '*' : '/', split_power(w, base, n->a),
		                     split_power(w, base, n->b));
	if (v.re < 0)
		return v;
	if (whole_of(w, x, &whole))
		return complex_whole_power(w->a, evaluation_of(w, base), whole);
	return complex_is_real(w->a, v) == 1 ? complex_of(open_power(w, base, v.re))
	                                     : complex_undecided();
}

/* The n-th root. Even roots of negative constants are complex; an even root of any other negative
 * value is undefined. */
static struct complex_value root_of(const struct evaluation_walk *w, int x, long degree)
{
	struct complex_value v = evaluation_of(w, x);
	int                  real, sign;

	if (v.re < 0)
		return v;
	real = complex_is_real(w->a, v);
	if (real < 0 || degree <= 0)
		return degree <= 0 ? complex_undefined() : complex_undecided();
	if (!real)
		return degree == 2   ? complex_square_root(w->a, v)
		       : degree == 1 ? v
		                     : complex_undecided();
	if (!sign_of(w, x, v, &sign))
		return complex_undecided();
	if (sign >= 0)
		return complex_of(algebraic_root(w->a, v.re, degree));
	v.re = algebraic_root(w->a, algebraic_apply(w->a, '-', ALGEBRAIC_ZERO, v.re), degree);
	if (degree % 2)
		return complex_of(algebraic_apply(w->a, '-', ALGEBRAIC_ZERO, v.re));
	if (node_of(w, x)->open)
		return complex_undefined();
	return degree == 2 ? complex_check((struct complex_value){ALGEBRAIC_ZERO, v.re})
	                   : complex_undecided();
}

/* base^(over/under) is a power of the under-th root. e^x and exponents that are not fractions are
 * handled apart. */
static struct complex_value power_of(const struct evaluation_walk *w, int base, int exponent)
{
	struct complex_value b = evaluation_of(w, base), x, root;
	const struct number *q;
	long                 over, under;

	if (node_of(w, base)->op == 'e')
		return exponential_of(w, exponent);
	x = evaluation_of(w, exponent);
	if (b.re < 0 || x.re < 0)
		return b.re < 0 ? b : x;
	q = fraction_of(w, exponent);
	if (!q)
		return split_power(w, base, exponent);
	if (!mpz_fits_slong_p(mpq_numref(q->q)) || !mpz_fits_slong_p(mpq_denref(q->q)))
		return complex_undecided();
	over = mpz_get_si(mpq_numref(q->q));
	under = mpz_get_si(mpq_denref(q->q));
	root = under == 1 ? b : root_of(w, base, under);
	return root.re < 0 ? root : complex_whole_power(w->a, root, over);
}

/* ---- logarithms ---- */

static void add_logarithm(struct prime_sum *s, int prime, long n)
{
	struct algebra *a = s->w->a;
	int             one =
	        opaque(s->w, span_of("ln"), prime, ALGEBRAIC_ZERO, log(algebraic_about(a, prime)));

	s->out = algebraic_apply(a, '+', s->out,
	                         algebraic_apply(a, '*', one, algebraic_fraction(a, n, 1)));
}

static int fraction_logarithm(const struct evaluation_walk *w, const struct number *x)
{
	struct prime_sum s = {.w = w, .out = ALGEBRAIC_ZERO};
	struct number    copy;

	if (number_sign(x) <= 0)
		return ALGEBRAIC_UNDEFINED;
	if (mpz_sizeinbase(mpq_numref(x->q), 2) > 4096 ||
	    mpz_sizeinbase(mpq_denref(x->q), 2) > 4096)
		return ALGEBRAIC_UNDECIDED;
	number_init(&copy);
	number_copy(x, &copy);
	for_primes(&s, mpq_numref(copy.q), 1, add_logarithm);
	for_primes(&s, mpq_denref(copy.q), -1, add_logarithm);
	number_clear(&copy);
	return s.out;
}

/* The natural logarithm of a real expression. */
static int logarithm_of(const struct evaluation_walk *w, int x)
{
	const struct expression_node *n = node_of(w, x);
	struct complex_value          v = evaluation_of(w, x), y;
	int                           sign;

	if (complex_is_real(w->a, v) != 1)
		return v.re < 0 ? v.re : ALGEBRAIC_UNDECIDED;
	if (!n->open && (!sign_of(w, x, v, &sign) || sign <= 0))
		return sign_of(w, x, v, &sign) ? ALGEBRAIC_UNDEFINED : ALGEBRAIC_UNDECIDED;
	if (w->at == EVALUATION_TRUTH)
		return algebraic_rise(w->a, INTERVAL_LN, v.re);
	if (fraction_of(w, x))
		return fraction_logarithm(w, fraction_of(w, x));
	switch (n->op) {
	case '*':
		return algebraic_apply(w->a, '+', logarithm_of(w, n->a), logarithm_of(w, n->b));
	case '/':
		return algebraic_apply(w->a, '-', logarithm_of(w, n->a), logarithm_of(w, n->b));
	case 'e':
		return ALGEBRAIC_ONE;
	case '^':
		y = evaluation_of(w, n->b);
		if (complex_is_real(w->a, y) == 1)
			return algebraic_apply(w->a, '*', y.re, logarithm_of(w, n->a));
		break;
	case 'R':
		y = evaluation_of(w, n->b);
		if (complex_is_real(w->a, y) == 1)
			return algebraic_apply(w->a, '/', logarithm_of(w, n->a), y.re);
		break;
	default:
		break;
	}
	return opaque(w, span_of("ln"), v.re, ALGEBRAIC_ZERO,
	              log(fabs(algebraic_about(w->a, v.re)) + 0.1));
}

/* ---- angles ---- */

static int pi_at(const struct evaluation_walk *w)
{
	if (w->at == EVALUATION_TRUTH)
		return algebraic_pi(w->a);
	return fraction_near(w, acos(-1), evaluation_hash(w, span_of("pi"), 1));
}

/* Is x = over/under pi? At a point, pi is a fraction with a denominator that no other number
 * has. */
static int part_of_turn(const struct evaluation_walk *w, int x, long *over, long *under)
{
	int ratio = w->at == EVALUATION_TRUTH ? -1 : algebraic_apply(w->a, '/', x, pi_at(w));
	const struct number *q = algebraic_as_number(w->a, ratio);

	if (!q || !mpz_fits_slong_p(mpq_numref(q->q)) || mpz_cmp_ui(mpq_denref(q->q), 360) > 0)
		return 0;
	*over = mpz_get_si(mpq_numref(q->q));
	*under = mpz_get_si(mpq_denref(q->q));
	return *over < LONG_MAX / 8 && *over > LONG_MIN / 8;
}

/* cos + i sin of the angle with the value x. */
static struct complex_value turn_of(const struct evaluation_walk *w, int x)
{
	struct algebra           *a = w->a;
	struct evaluation_kernel *k;
	struct complex_value      unit;
	int                       t, square, under;
	long                      over, parts, n;

	if (x < 0)
		return complex_of(x);
	if (x == ALGEBRAIC_ZERO)
		return complex_of(ALGEBRAIC_ONE);
	if (part_of_turn(w, x, &over, &parts)) /* sin(2 pi t) = cos(2 pi (1/4 - t)) */
		return complex_check((struct complex_value){
		        algebraic_cosine(a, over % (2 * parts), 2 * parts),
		        algebraic_cosine(a, parts - 2 * (over % (2 * parts)), 4 * parts)});
	if (w->at == EVALUATION_TRUTH)
		return complex_check((struct complex_value){
		        algebraic_cos(a, x),
		        algebraic_cos(a,
		                      algebraic_apply(a, '-',
		                                      algebraic_apply(a, '/', algebraic_pi(a),
		                                                      algebraic_fraction(a, 2, 1)),
		                                      x))});
	k = kernel_of(w, '@', 0, x, &n);
	if (!k)
		return complex_undecided();
	t = k->root;
	square = algebraic_apply(a, '*', t, t);
	under = algebraic_apply(a, '+', ALGEBRAIC_ONE, square);
	unit.re = algebraic_apply(a, '/', algebraic_apply(a, '-', ALGEBRAIC_ONE, square), under);
	unit.im = algebraic_apply(a, '/', algebraic_apply(a, '+', t, t), under);
	return complex_whole_power(w->a, unit, n);
}

/* cos + i sin of an expression; turn(x + y) = turn(x) turn(y). */
static struct complex_value turn_of_sum(const struct evaluation_walk *w, int x)
{
	const struct expression_node *n = node_of(w, x);
	struct complex_value          v;

	if (w->at != EVALUATION_TRUTH && (n->op == '+' || n->op == '-'))
		return complex_apply(w->a, n->op == '+' ? '*' : '/', turn_of_sum(w, n->a),
		                     turn_of_sum(w, n->b));
	v = evaluation_of(w, x);
	return v.re < 0                        ? v
	       : complex_is_real(w->a, v) == 1 ? turn_of(w, v.re)
	                                       : complex_undecided();
}

/* arcsin, arccos, arctan of x: a multiple of pi/60 that is guessed and checked, or opaque. `about`
 * is the true value. */
static int inverse_angle(const struct evaluation_walk *w, struct span name, int x, double about)
{
	struct algebra      *a = w->a;
	long                 n = lround(about * 60 / acos(-1));
	struct complex_value turn;
	int                  back;

	if (isfinite(about)) {
		turn.re = algebraic_cosine(a, n, 120);
		turn.im = algebraic_cosine(a, 30 - n, 120);
		back = span_equal(name, span_of("arcsin"))   ? turn.im
		       : span_equal(name, span_of("arccos")) ? turn.re
		       : n == 30 || n == -30                 ? ALGEBRAIC_UNDEFINED
		                             : algebraic_apply(a, '/', turn.im, turn.re);
		if (algebraic_equal(a, back, x))
			return algebraic_apply(a, '*', algebraic_fraction(a, n, 60), pi_at(w));
	}
	return w->at == EVALUATION_TRUTH ? ALGEBRAIC_UNDECIDED
	                                 : opaque(w, name, x, ALGEBRAIC_ZERO, about);
}

/* ---- functions ---- */

enum { FACTORIAL_MOST = 2000, BINOMIAL_TOP = 1000000 };

/* n! of an integer >= 0 within bounds; opaque for an unknown. */
static int factorial_of(const struct evaluation_walk *w, int x)
{
	struct complex_value v = evaluation_of(w, x);
	struct number        out;
	long                 n;
	int                  made;

	if (node_of(w, x)->open)
		return opaque(w, span_of("!"), v.re, v.im, 1);
	if (v.re < 0)
		return v.re;
	if (!whole_of(w, x, &n) || n < 0)
		return ALGEBRAIC_UNDEFINED;
	if (n > FACTORIAL_MOST || !algebra_spend(w->a, 16 * n))
		return ALGEBRAIC_UNDECIDED;
	number_init(&out);
	mpz_fac_ui(mpq_numref(out.q), (unsigned long)n);
	made = algebraic_number(w->a, &out);
	number_clear(&out);
	return made;
}

/* n over k = n over n-k, computed with the smaller of the two; opaque for unknowns. */
static int binomial_of(const struct evaluation_walk *w, int top, int under)
{
	struct complex_value a = evaluation_of(w, top), b = evaluation_of(w, under);
	struct number        out;
	long                 n, k;
	int                  made;

	if (node_of(w, top)->open || node_of(w, under)->open)
		return opaque(w, span_of("binom"), a.re, b.re, 1);
	if (!whole_of(w, top, &n) || !whole_of(w, under, &k) || k < 0 || n < k)
		return ALGEBRAIC_UNDEFINED;
	if (n > BINOMIAL_TOP || (k > FACTORIAL_MOST && n - k > FACTORIAL_MOST) ||
	    !algebra_spend(w->a, 32 * (k < n - k ? k : n - k)))
		return ALGEBRAIC_UNDECIDED;
	number_init(&out);
	mpz_bin_uiui(mpq_numref(out.q), (unsigned long)n, (unsigned long)(k < n - k ? k : n - k));
	made = algebraic_number(w->a, &out);
	number_clear(&out);
	return made;
}

static int modulo_of(const struct evaluation_walk *w, int x, int y)
{
	struct complex_value a = evaluation_of(w, x), b = evaluation_of(w, y);
	const struct number *p = fraction_of(w, x), *q = fraction_of(w, y);
	struct number        out;
	int                  made;

	if (node_of(w, x)->open || node_of(w, y)->open)
		return opaque(w, span_of("mod"), a.re, b.re, 1);
	if (!p || !q || !number_is_whole(p) || !number_is_whole(q) || number_sign(q) <= 0)
		return ALGEBRAIC_UNDEFINED;
	number_init(&out);
	mpz_fdiv_r(mpq_numref(out.q), mpq_numref(p->q), mpq_numref(q->q));
	made = algebraic_number(w->a, &out);
	number_clear(&out);
	return made;
}

/* floor, or ceil = -floor(-x), of the true value of a constant. */
static int rounded(const struct evaluation_walk *w, struct span name, int x)
{
	struct evaluation_walk t = true_walk(w);
	int                    up = span_equal(name, span_of("ceil")), made = ALGEBRAIC_UNDECIDED;
	struct complex_value   v = node_of(w, x)->open ? evaluation_of(w, x) : evaluation_of(&t, x);
	struct number          out;

	if (v.re < 0 || complex_is_real(w->a, v) != 1)
		return v.re < 0 ? v.re : ALGEBRAIC_UNDECIDED;
	if (node_of(w, x)->open)
		return opaque(w, name, v.re, ALGEBRAIC_ZERO, 1);
	number_init(&out);
	if (algebraic_floor(w->a, up ? algebraic_apply(w->a, '-', ALGEBRAIC_ZERO, v.re) : v.re,
	                    &out)) {
		if (up)
			mpq_neg(out.q, out.q);
		made = algebraic_number(w->a, &out);
	}
	number_clear(&out);
	return made;
}

static struct complex_value absolute_of(const struct evaluation_walk *w, int x)
{
	struct complex_value v = evaluation_of(w, x);
	int                  real = complex_is_real(w->a, v), sign;

	if (v.re < 0 || real < 0)
		return v.re < 0 ? v : complex_undecided();
	if (!real)
		return complex_of(complex_size(w->a, v));
	if (!sign_of(w, x, v, &sign))
		return complex_undecided();
	return complex_of(sign < 0 ? algebraic_apply(w->a, '-', ALGEBRAIC_ZERO, v.re) : v.re);
}

enum circle { SIN, COS, TAN, SEC, CSC, COT };

/* All six follow from the point (cos, sin) of the circle. */
static struct complex_value circular(const struct evaluation_walk *w, enum circle f, int x)
{
	struct complex_value v = turn_of_sum(w, x);
	int                  one = ALGEBRAIC_ONE;

	if (v.re < 0)
		return v;
	switch (f) {
	case SIN:
		return complex_of(v.im);
	case COS:
		return complex_of(v.re);
	case TAN:
		return complex_of(algebraic_apply(w->a, '/', v.im, v.re));
	case SEC:
		return complex_of(algebraic_apply(w->a, '/', one, v.re));
	case CSC:
		return complex_of(algebraic_apply(w->a, '/', one, v.im));
	default:
		return complex_of(algebraic_apply(w->a, '/', v.re, v.im));
	}
}

/* sinh = (E - 1/E)/2, cosh = (E + 1/E)/2 with E = exp(x). */
static struct complex_value hyperbolic(const struct evaluation_walk *w, struct span name, int x)
{
	struct complex_value e = exponential_of(w, x),
	                     inverse = complex_apply(w->a, '/', complex_of(ALGEBRAIC_ONE), e);
	struct complex_value up = complex_apply(w->a, '-', e, inverse),
	                     under = complex_apply(w->a, '+', e, inverse);
	struct complex_value two = complex_of(algebraic_fraction(w->a, 2, 1));

	if (span_equal(name, span_of("tanh")))
		return complex_apply(w->a, '/', up, under);
	return complex_apply(w->a, '/', span_equal(name, span_of("sinh")) ? up : under, two);
}

static struct complex_value inverse_of(const struct evaluation_walk *w, struct span name, int x)
{
	struct evaluation_walk t = true_walk(w);
	struct complex_value   v = evaluation_of(w, x),
	                     truth = node_of(w, x)->open ? v : evaluation_of(&t, x);
	double at = truth.re < 0 ? NAN : algebraic_about(w->a, truth.re), about;

	if (complex_is_real(w->a, v) != 1)
		return v.re < 0 ? v : complex_undecided();
	about = span_equal(name, span_of("arcsin"))   ? asin(at)
	        : span_equal(name, span_of("arccos")) ? acos(at)
	                                              : atan(at);
	if (!node_of(w, x)->open && fabs(at) > 1.5 && !span_equal(name, span_of("arctan")))
		return complex_undefined();
	return complex_of(inverse_angle(w, name, v.re, node_of(w, x)->open ? (double)NAN : about));
}

/* Evaluates a function by name. One that is not known is opaque: equal to itself at equal
 * arguments. */
static struct complex_value function_of(const struct evaluation_walk *w,
                                        const struct expression_node *n)
{
	static const char *const circles[] = {[SIN] = "sin", [COS] = "cos", [TAN] = "tan",
	                                      [SEC] = "sec", [CSC] = "csc", [COT] = "cot"};
	static const char *const hyperbolas[] = {"sinh", "cosh", "tanh"}, *const inverses[] = {
	                                                                          "arcsin",
	                                                                          "arccos",
	                                                                          "arctan"};
	struct complex_value v;

	for (int i = 0; i < 6; i++)
		if (span_equal(n->name, span_of(circles[i])))
			return circular(w, (enum circle)i, n->a);
	for (int i = 0; i < 3; i++)
		if (span_equal(n->name, span_of(hyperbolas[i])))
			return hyperbolic(w, n->name, n->a);
	for (int i = 0; i < 3; i++)
		if (span_equal(n->name, span_of(inverses[i])))
			return inverse_of(w, n->name, n->a);
	if (span_equal(n->name, span_of("ln")))
		return complex_of(logarithm_of(w, n->a));
	if (span_equal(n->name, span_of("exp")))
		return exponential_of(w, n->a);
	if (span_equal(n->name, span_of("abs")))
		return absolute_of(w, n->a);
	if (span_equal(n->name, span_of("!")))
		return complex_of(factorial_of(w, n->a));
	if (span_equal(n->name, span_of("floor")) || span_equal(n->name, span_of("ceil")))
		return complex_of(rounded(w, n->name, n->a));
	v = evaluation_of(w, n->a);
	return complex_of(opaque(w, n->name, v.re, v.im, 1));
}

/* An unknown function of one or more arguments: f(x, y, z) is f of ((x, y), z). */
static int application_of(const struct evaluation_walk *w, const struct expression_node *n)
{
	int folded = ALGEBRAIC_ZERO;

	for (int i = n->a; i >= 0; i = node_of(w, i)->b) {
		struct complex_value v = evaluation_of(w, node_of(w, i)->a);
		if (v.re < 0)
			return v.re;
		folded = opaque(w, n->name, folded, v.re, 1);
		if (v.im != ALGEBRAIC_ZERO)
			folded = opaque(w, n->name, folded, v.im, 1);
	}
	return folded;
}

/* The value of a node, by its operator (expression.h lists the letters). */
static struct complex_value compute(const struct evaluation_walk *w, int x)
{
	const struct expression_node *n = node_of(w, x);
	long                          degree;

	switch (n->op) {
	case 'n':
		return complex_of(algebraic_number(w->a, &n->q));
	case 'v':
		return complex_of(variable_at(w, n->name));
	case 'i':
		return (struct complex_value){ALGEBRAIC_ZERO, ALGEBRAIC_ONE};
	case 'e':
		return complex_of(exponential(w, ALGEBRAIC_ONE));
	case 'p':
		return complex_of(pi_at(w));
	case '+':
	case '-':
	case '*':
	case '/':
		return complex_apply(w->a, n->op, evaluation_of(w, n->a), evaluation_of(w, n->b));
	case '^':
		return power_of(w, n->a, n->b);
	case 'R':
		return whole_of(w, n->b, &degree) ? root_of(w, n->a, degree) : complex_undecided();
	case 'l':
		return complex_apply(w->a, '/', complex_of(logarithm_of(w, n->a)),
		                     complex_of(logarithm_of(w, n->b)));
	case 'B':
		return complex_of(binomial_of(w, n->a, n->b));
	case '%':
		return complex_of(modulo_of(w, n->a, n->b));
	case 'f':
		return function_of(w, n);
	case 'A':
		return complex_of(application_of(w, n));
	default: /* the infinity */
		return complex_undefined();
	}
}

static struct complex_value evaluation_of(const struct evaluation_walk *w, int x)
{
	struct evaluation_point *p = w->point;

	if (!p->known[w->side][x]) {
		p->memo[w->side][x] = complex_check(compute(w, x));
		p->known[w->side][x] = 1;
	}
	return p->memo[w->side][x];
}

/* ---- from outside ---- */

static uint64_t seed_of(const struct expressions *e)
{
	return fingerprint_bytes(1469598103934665603u + (uint64_t)e->n, e->names,
	                         (size_t)e->n_names);
}

/* Does not zero everything: a value is read only if it is known, a kernel only if it is counted. */
int evaluation_open(struct evaluator *v, const struct expressions *left,
                    const struct expressions *right)
{
	v->a = algebra_new();
	if (!v->a)
		return 0;
	for (int at = 0; at <= EVALUATION_TRUTH; at++) {
		v->point[at].n = 0;
		memset(v->point[at].known, 0, sizeof v->point[at].known);
	}
	v->e[0] = left;
	v->e[1] = right;
	v->seed = evaluation_mix(seed_of(left)) + 3 * evaluation_mix(seed_of(right));
	return 1;
}

void evaluation_close(struct evaluator *v)
{
	algebra_free(v->a);
}

struct complex_value evaluation_at(struct evaluator *v, struct term x, int at)
{
	struct evaluation_walk w = {.v = v,
	                            .e = v->e[x.side],
	                            .a = v->a,
	                            .point = &v->point[at],
	                            .side = x.side,
	                            .at = at};

	return evaluation_of(&w, x.x);
}
