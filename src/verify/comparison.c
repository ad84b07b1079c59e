#include "verify/comparison.h"

#include "base/fingerprint.h"
#include "verify/algebraic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Points are 0 .. COMPARISON_POINTS - 1, and TRUTH, where pi is pi and a variable has no value. */
enum {
	TRUTH = COMPARISON_POINTS,
	PLACES = COMPARISON_POINTS + 1,
	KERNELS = 192,
	PARTS = 12,
	POWERS = 600
};

struct complex_value { /* handles; re < 0: why there is none */
	int re, im;
};

/* What a fraction represents at one point: NAME(x, y), a power KEY^x, or an angle x. */
struct kernel {
	char        kind;
	struct span name;
	int         key, x, y;
	int         root; /* the fraction; for powers and angles that of their PARTS-th part */
};

struct comparison_place {
	struct kernel        kernel[KERNELS];
	int                  n;
	struct complex_value memo[2][EXPRESSION_NODES];
	char                 known[2][EXPRESSION_NODES];
};

struct comparison {
	const struct expressions *e[2];
	struct algebra           *a;
	uint64_t                  seed;
	struct comparison_place   place[PLACES];
};

/* One walk over one formula at one point. */
struct comparison_walk {
	struct comparison        *c;
	const struct expressions *e;
	struct algebra           *a;
	struct comparison_place  *place;
	int                       side, at;
};

static struct complex_value complex_of(int re)
{
	return (struct complex_value){re, ALGEBRAIC_ZERO};
}

static struct complex_value undefined_value(void)
{
	return complex_of(ALGEBRAIC_UNDEFINED);
}

static struct complex_value undecided_value(void)
{
	return complex_of(ALGEBRAIC_UNDECIDED);
}

/* ---- fractions that stand for something ---- */

static uint64_t comparison_mix(uint64_t h)
{
	h ^= h >> 31;
	h *= 0x9E3779B97F4A7C15u;
	h ^= h >> 29;
	h *= 0xBF58476D1CE4E5B9u;
	return h ^ h >> 32;
}

static uint64_t comparison_hash(const struct comparison_walk *w, struct span name, int n)
{
	uint64_t h = fingerprint_bytes(w->c->seed + (uint64_t)w->at, name.s, name.n);

	return comparison_mix(fingerprint_bytes(h, &n, sizeof n));
}

enum { UNDER = 65537 };

/* A fraction near `about`, otherwise chosen by the hash. */
static int fraction_near(const struct comparison_walk *w, double about, uint64_t h)
{
	if (!isfinite(about) || fabs(about) > 1e12)
		about = 1;
	return algebraic_fraction(w->a, (long)floor(about * UNDER * 16) + (long)(h % 256),
	                          16 * UNDER);
}

/* A variable's fraction, by the point: near 1, large, near -1, very negative, anything. */
static int variable_at(const struct comparison_walk *w, struct span name)
{
	uint64_t h = comparison_hash(w, name, 0);
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
	case TRUTH:
		return ALGEBRAIC_UNDECIDED;
	default:
		return algebraic_fraction(w->a, h >> 63 ? -over : over, 4099);
	}
}

static struct kernel *new_kernel(const struct comparison_walk *w, struct kernel k)
{
	if (w->place->n == KERNELS)
		return NULL;
	w->place->kernel[w->place->n] = k;
	return &w->place->kernel[w->place->n++];
}

/* NAME(x, y) gets the same fraction for the same name and equal arguments. */
static int opaque(const struct comparison_walk *w, struct span name, int x, int y, double about)
{
	struct kernel *k;

	if (x < 0 || y < 0)
		return x < 0 ? x : y;
	for (int i = 0; i < w->place->n; i++) {
		k = &w->place->kernel[i];
		if (k->kind == 'A' && span_equal(k->name, name) && algebraic_equal(w->a, k->x, x) &&
		    algebraic_equal(w->a, k->y, y))
			return k->root;
	}
	k = new_kernel(w, (struct kernel){.kind = 'A', .name = name, .x = x, .y = y});
	return k ? k->root = fraction_near(w, about, comparison_hash(w, name, w->place->n))
	         : ALGEBRAIC_UNDECIDED;
}

/* Is x = n/PARTS y for an integer n? The n is guessed, then checked. */
static int in_parts(const struct comparison_walk *w, int x, int y, long *n)
{
	double ratio = algebraic_about(w->a, x) / algebraic_about(w->a, y) * PARTS;

	if (!isfinite(ratio) || fabs(ratio) > POWERS)
		return 0;
	*n = lround(ratio);
	return algebraic_equal(w->a, x,
	                       algebraic_apply(w->a, '*', y, algebraic_fraction(w->a, *n, PARTS)));
}

/* Finds the kernel of this kind and key whose x is a rational multiple of this x, or makes one. *n
 * is the number of its PARTS-th parts. */
static struct kernel *kernel_of(const struct comparison_walk *w, char kind, int key, int x, long *n)
{
	static const char *const names[] = {"^", "@"};
	struct kernel           *k;

	for (int i = 0; i < w->place->n; i++) {
		k = &w->place->kernel[i];
		if (k->kind == kind && (key == k->key || algebraic_equal(w->a, k->key, key)) &&
		    in_parts(w, x, k->x, n))
			return k;
	}
	k = new_kernel(w, (struct kernel){.kind = kind, .key = key, .x = x});
	*n = PARTS;
	if (k)
		k->root = algebraic_fraction(
		        w->a,
		        700 + (long)(comparison_hash(w, span_of(names[kind == '@']), w->place->n) %
		                     1024),
		        1021);
	return k;
}

/* ---- complex arithmetic ---- */

/* Is v real? 1, 0, or -1 when not known. */
static int is_real(const struct comparison_walk *w, struct complex_value v)
{
	int sign;

	if (v.re < 0 || v.im < 0)
		return -1;
	return v.im == ALGEBRAIC_ZERO ? 1 : algebraic_sign(w->a, v.im, &sign) ? sign == 0 : -1;
}

static struct complex_value complex_check(struct complex_value v)
{
	return v.re < 0 ? complex_of(v.re) : v.im < 0 ? complex_of(v.im) : v;
}

static struct complex_value complex_multiply(const struct comparison_walk *w,
                                             struct complex_value x, struct complex_value y)
{
	struct algebra *a = w->a;

	if (x.im == ALGEBRAIC_ZERO && y.im == ALGEBRAIC_ZERO)
		return complex_of(algebraic_apply(a, '*', x.re, y.re));
	return (struct complex_value){algebraic_apply(a, '-', algebraic_apply(a, '*', x.re, y.re),
	                                              algebraic_apply(a, '*', x.im, y.im)),
	                              algebraic_apply(a, '+', algebraic_apply(a, '*', x.re, y.im),
	                                              algebraic_apply(a, '*', x.im, y.re))};
}

static struct complex_value complex_divide(const struct comparison_walk *w, struct complex_value x,
                                           struct complex_value y)
{
	struct algebra *a = w->a;
	int             norm;

	if (y.im == ALGEBRAIC_ZERO)
		return (struct complex_value){algebraic_apply(a, '/', x.re, y.re),
		                              algebraic_apply(a, '/', x.im, y.re)};
	norm = algebraic_apply(a, '+', algebraic_apply(a, '*', y.re, y.re),
	                       algebraic_apply(a, '*', y.im, y.im));
	y.im = algebraic_apply(a, '-', ALGEBRAIC_ZERO, y.im);
	x = complex_multiply(w, x, y);
	return (struct complex_value){algebraic_apply(a, '/', x.re, norm),
	                              algebraic_apply(a, '/', x.im, norm)};
}

static struct complex_value complex_apply(const struct comparison_walk *w, char op,
                                          struct complex_value x, struct complex_value y)
{
	if (x.re < 0 || y.re < 0)
		return x.re == ALGEBRAIC_UNDEFINED || y.re == ALGEBRAIC_UNDEFINED
		               ? undefined_value()
		               : undecided_value();
	switch (op) {
	case '*':
		return complex_check(complex_multiply(w, x, y));
	case '/':
		return complex_check(complex_divide(w, x, y));
	default:
		return complex_check((struct complex_value){algebraic_apply(w->a, op, x.re, y.re),
		                                            algebraic_apply(w->a, op, x.im, y.im)});
	}
}

static struct complex_value complex_whole_power(const struct comparison_walk *w,
                                                struct complex_value x, long n)
{
	struct complex_value out = complex_of(ALGEBRAIC_ONE);

	if (x.im == ALGEBRAIC_ZERO)
		return complex_of(algebraic_power(w->a, x.re, n));
	if (labs(n) > POWERS)
		return undecided_value();
	for (long m = labs(n); m; m >>= 1, x = complex_apply(w, '*', x, x))
		if (m & 1)
			out = complex_apply(w, '*', out, x);
	return n < 0 ? complex_apply(w, '/', complex_of(ALGEBRAIC_ONE), out) : out;
}

static int complex_size(const struct comparison_walk *w, struct complex_value v)
{
	struct algebra *a = w->a;

	return algebraic_root(a,
	                      algebraic_apply(a, '+', algebraic_apply(a, '*', v.re, v.re),
	                                      algebraic_apply(a, '*', v.im, v.im)),
	                      2);
}

/* The square root with the greater real part: re = sqrt((|z| + Re z) / 2), im = Im z / (2 re). */
static struct complex_value complex_square_root(const struct comparison_walk *w,
                                                struct complex_value          v)
{
	struct algebra *a = w->a;
	int             two = algebraic_fraction(a, 2, 1), re;

	re = algebraic_root(
	        a, algebraic_apply(a, '/', algebraic_apply(a, '+', complex_size(w, v), v.re), two),
	        2);
	return complex_check((struct complex_value){
	        re, algebraic_apply(a, '/', v.im, algebraic_apply(a, '*', two, re))});
}

/* ---- the walk ---- */

static struct complex_value value_of(const struct comparison_walk *w, int x);

static struct comparison_walk true_walk(const struct comparison_walk *w)
{
	struct comparison_walk t = *w;

	t.at = TRUTH;
	t.place = &w->c->place[TRUTH];
	return t;
}

static const struct expression_node *node_of(const struct comparison_walk *w, int x)
{
	return &w->e->node[x];
}

/* The sign of a real expression: the true one of a constant, and that at the point of anything
 * else. */
static int sign_of(const struct comparison_walk *w, int x, struct complex_value v, int *sign)
{
	struct comparison_walk t = true_walk(w);
	struct complex_value   truth;

	if (node_of(w, x)->open || w->at == TRUTH)
		return algebraic_sign(w->a, v.re, sign);
	truth = value_of(&t, x);
	return truth.re >= 0 && is_real(w, truth) == 1 && algebraic_sign(w->a, truth.re, sign);
}

/* The value of a constant that really is a fraction, not merely represented by one; else NULL.
 * Valid until the next node is made. */
static const struct number *fraction_of(const struct comparison_walk *w, int x)
{
	struct comparison_walk t = true_walk(w);
	struct complex_value   v = node_of(w, x)->open ? undecided_value() : value_of(&t, x);

	return v.im == ALGEBRAIC_ZERO ? algebraic_as_number(w->a, v.re) : NULL;
}

static int whole_of(const struct comparison_walk *w, int x, long *out)
{
	const struct number *q = fraction_of(w, x);

	return q && number_whole(q, out);
}

/* ---- powers ---- */

/* exp(x) of a real x. */
static int exponential(const struct comparison_walk *w, int x)
{
	struct kernel *k;
	long           n;

	if (x <= 0)
		return x == ALGEBRAIC_ZERO ? ALGEBRAIC_ONE : x;
	if (w->at == TRUTH)
		return algebraic_rise(w->a, INTERVAL_EXP, x);
	k = kernel_of(w, 'e', 0, x, &n);
	return k ? algebraic_power(w->a, k->root, n) : ALGEBRAIC_UNDECIDED;
}

/* key^x. */
static int kernel_power(const struct comparison_walk *w, int key, int x)
{
	struct kernel *k;
	long           n;

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
	const struct comparison_walk *w;
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
static int fraction_power(const struct comparison_walk *w, const struct number *base, int x)
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

static int logarithm_of(const struct comparison_walk *w, int x);

/* base^x for an exponent that is not a fraction and has the value x. Splits products and powers in
 * the base: (a b)^x = a^x b^x. */
static int open_power(const struct comparison_walk *w, int base, int x)
{
	const struct expression_node *n = node_of(w, base);
	struct complex_value          v;

	if (w->at == TRUTH)
		return exponential(w, algebraic_apply(w->a, '*', x, logarithm_of(w, base)));
	switch (n->op) {
	case 'e':
		return exponential(w, x);
	case '*':
	case '/':
		return algebraic_apply(w->a, n->op, open_power(w, n->a, x), open_power(w, n->b, x));
	case '^':
		v = value_of(w, n->b);
		if (is_real(w, v) == 1)
			return open_power(w, n->a, algebraic_apply(w->a, '*', v.re, x));
		return ALGEBRAIC_UNDECIDED;
	default:
		v = value_of(w, base);
		if (is_real(w, v) != 1)
			return v.re < 0 ? v.re : ALGEBRAIC_UNDECIDED;
		if (fraction_of(w, base))
			return fraction_power(w, fraction_of(w, base), x);
		return kernel_power(w, v.re, x);
	}
}

static struct complex_value turn_of(const struct comparison_walk *w, int angle);

static int is_logarithm(const struct expression_node *n)
{
	return n->op == 'f' && span_equal(n->name, span_of("ln"));
}

/* exp of an expression that is not a sum; exp(x ln u) = u^x. */
static struct complex_value exponential_term(const struct comparison_walk *w, int x)
{
	const struct expression_node *n = node_of(w, x);
	struct complex_value          v = value_of(w, x), turn;

	if (v.re < 0)
		return v;
	if (is_logarithm(n))
		return value_of(w, n->a);
	for (int i = 0; n->op == '*' && i < 2; i++) {
		int factor = i ? n->b : n->a, other = i ? n->a : n->b;
		if (is_logarithm(node_of(w, factor))) {
			struct complex_value y = value_of(w, other);
			long                 whole;
			if (whole_of(w, other, &whole))
				return complex_whole_power(w, value_of(w, node_of(w, factor)->a),
				                           whole);
			if (is_real(w, y) == 1)
				return complex_of(open_power(w, node_of(w, factor)->a, y.re));
		}
	}
	if (v.im == ALGEBRAIC_ZERO)
		return complex_of(exponential(w, v.re));
	turn = turn_of(w, v.im);
	return complex_apply(w, '*', complex_of(exponential(w, v.re)), turn);
}

static struct complex_value exponential_of(const struct comparison_walk *w, int x)
{
	const struct expression_node *n = node_of(w, x);

	if (n->op == '+' || n->op == '-')
		return complex_apply(w, n->op == '+' ? '*' : '/', exponential_of(w, n->a),
		                     exponential_of(w, n->b));
	return exponential_term(w, x);
}

/* base^x for any exponent that is not a fraction: base^(x+y) = base^x base^y. */
static struct complex_value split_power(const struct comparison_walk *w, int base, int x)
{
	const struct expression_node *n = node_of(w, x);
	struct complex_value          v = value_of(w, x);
	long                          whole;

	if (n->op == '+' || n->op == '-')
		return complex_apply(w, n->op == '+' ? '*' : '/', split_power(w, base, n->a),
		                     split_power(w, base, n->b));
	if (v.re < 0)
		return v;
	if (whole_of(w, x, &whole))
		return complex_whole_power(w, value_of(w, base), whole);
	return is_real(w, v) == 1 ? complex_of(open_power(w, base, v.re)) : undecided_value();
}

/* The n-th root. Even roots of negative constants are complex; an even root of any other negative
 * value is undefined. */
static struct complex_value root_of(const struct comparison_walk *w, int x, long degree)
{
	struct complex_value v = value_of(w, x);
	int                  real, sign;

	if (v.re < 0)
		return v;
	real = is_real(w, v);
	if (real < 0 || degree <= 0)
		return degree <= 0 ? undefined_value() : undecided_value();
	if (!real)
		return degree == 2   ? complex_square_root(w, v)
		       : degree == 1 ? v
		                     : undecided_value();
	if (!sign_of(w, x, v, &sign))
		return undecided_value();
	if (sign >= 0)
		return complex_of(algebraic_root(w->a, v.re, degree));
	v.re = algebraic_root(w->a, algebraic_apply(w->a, '-', ALGEBRAIC_ZERO, v.re), degree);
	if (degree % 2)
		return complex_of(algebraic_apply(w->a, '-', ALGEBRAIC_ZERO, v.re));
	if (node_of(w, x)->open)
		return undefined_value();
	return degree == 2 ? complex_check((struct complex_value){ALGEBRAIC_ZERO, v.re})
	                   : undecided_value();
}

/* base^(over/under) is a power of the under-th root. e^x and exponents that are not fractions are
 * handled apart. */
static struct complex_value power_of(const struct comparison_walk *w, int base, int exponent)
{
	struct complex_value b = value_of(w, base), x, root;
	const struct number *q;
	long                 over, under;

	if (node_of(w, base)->op == 'e')
		return exponential_of(w, exponent);
	x = value_of(w, exponent);
	if (b.re < 0 || x.re < 0)
		return b.re < 0 ? b : x;
	q = fraction_of(w, exponent);
	if (!q)
		return split_power(w, base, exponent);
	if (!mpz_fits_slong_p(mpq_numref(q->q)) || !mpz_fits_slong_p(mpq_denref(q->q)))
		return undecided_value();
	over = mpz_get_si(mpq_numref(q->q));
	under = mpz_get_si(mpq_denref(q->q));
	root = under == 1 ? b : root_of(w, base, under);
	return root.re < 0 ? root : complex_whole_power(w, root, over);
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

static int fraction_logarithm(const struct comparison_walk *w, const struct number *x)
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
static int logarithm_of(const struct comparison_walk *w, int x)
{
	const struct expression_node *n = node_of(w, x);
	struct complex_value          v = value_of(w, x), y;
	int                           sign;

	if (is_real(w, v) != 1)
		return v.re < 0 ? v.re : ALGEBRAIC_UNDECIDED;
	if (!n->open && (!sign_of(w, x, v, &sign) || sign <= 0))
		return sign_of(w, x, v, &sign) ? ALGEBRAIC_UNDEFINED : ALGEBRAIC_UNDECIDED;
	if (w->at == TRUTH)
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
		y = value_of(w, n->b);
		if (is_real(w, y) == 1)
			return algebraic_apply(w->a, '*', y.re, logarithm_of(w, n->a));
		break;
	case 'R':
		y = value_of(w, n->b);
		if (is_real(w, y) == 1)
			return algebraic_apply(w->a, '/', logarithm_of(w, n->a), y.re);
		break;
	default:
		break;
	}
	return opaque(w, span_of("ln"), v.re, ALGEBRAIC_ZERO,
	              log(fabs(algebraic_about(w->a, v.re)) + 0.1));
}

/* ---- angles ---- */

static int pi_at(const struct comparison_walk *w)
{
	if (w->at == TRUTH)
		return algebraic_pi(w->a);
	return fraction_near(w, acos(-1), comparison_hash(w, span_of("pi"), 1));
}

/* Is x = over/under pi? At a point, pi is a fraction with a denominator that no other number
 * has. */
static int part_of_turn(const struct comparison_walk *w, int x, long *over, long *under)
{
	int                  ratio = w->at == TRUTH ? -1 : algebraic_apply(w->a, '/', x, pi_at(w));
	const struct number *q = algebraic_as_number(w->a, ratio);

	if (!q || !mpz_fits_slong_p(mpq_numref(q->q)) || mpz_cmp_ui(mpq_denref(q->q), 360) > 0)
		return 0;
	*over = mpz_get_si(mpq_numref(q->q));
	*under = mpz_get_si(mpq_denref(q->q));
	return *over < LONG_MAX / 8 && *over > LONG_MIN / 8;
}

/* cos + i sin of the angle with the value x. */
static struct complex_value turn_of(const struct comparison_walk *w, int x)
{
	struct algebra      *a = w->a;
	struct kernel       *k;
	struct complex_value unit;
	int                  t, square, under;
	long                 over, parts, n;

	if (x < 0)
		return complex_of(x);
	if (x == ALGEBRAIC_ZERO)
		return complex_of(ALGEBRAIC_ONE);
	if (part_of_turn(w, x, &over, &parts)) /* sin(2 pi t) = cos(2 pi (1/4 - t)) */
		return complex_check((struct complex_value){
		        algebraic_cosine(a, over % (2 * parts), 2 * parts),
		        algebraic_cosine(a, parts - 2 * (over % (2 * parts)), 4 * parts)});
	if (w->at == TRUTH)
		return complex_check((struct complex_value){
		        algebraic_cos(a, x),
		        algebraic_cos(a,
		                      algebraic_apply(a, '-',
		                                      algebraic_apply(a, '/', algebraic_pi(a),
		                                                      algebraic_fraction(a, 2, 1)),
		                                      x))});
	k = kernel_of(w, '@', 0, x, &n);
	if (!k)
		return undecided_value();
	t = k->root;
	square = algebraic_apply(a, '*', t, t);
	under = algebraic_apply(a, '+', ALGEBRAIC_ONE, square);
	unit.re = algebraic_apply(a, '/', algebraic_apply(a, '-', ALGEBRAIC_ONE, square), under);
	unit.im = algebraic_apply(a, '/', algebraic_apply(a, '+', t, t), under);
	return complex_whole_power(w, unit, n);
}

/* cos + i sin of an expression; turn(x + y) = turn(x) turn(y). */
static struct complex_value turn_of_sum(const struct comparison_walk *w, int x)
{
	const struct expression_node *n = node_of(w, x);
	struct complex_value          v;

	if (w->at != TRUTH && (n->op == '+' || n->op == '-'))
		return complex_apply(w, n->op == '+' ? '*' : '/', turn_of_sum(w, n->a),
		                     turn_of_sum(w, n->b));
	v = value_of(w, x);
	return v.re < 0 ? v : is_real(w, v) == 1 ? turn_of(w, v.re) : undecided_value();
}

/* arcsin, arccos, arctan of x: a multiple of pi/60 that is guessed and checked, or opaque. `about`
 * is the true value. */
static int inverse_angle(const struct comparison_walk *w, struct span name, int x, double about)
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
	return w->at == TRUTH ? ALGEBRAIC_UNDECIDED : opaque(w, name, x, ALGEBRAIC_ZERO, about);
}

/* ---- functions ---- */

enum { FACTORIAL_MOST = 2000, BINOMIAL_TOP = 1000000 };

/* n! of an integer >= 0 within bounds; opaque for an unknown. */
static int factorial_of(const struct comparison_walk *w, int x)
{
	struct complex_value v = value_of(w, x);
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
static int binomial_of(const struct comparison_walk *w, int top, int under)
{
	struct complex_value a = value_of(w, top), b = value_of(w, under);
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

static int modulo_of(const struct comparison_walk *w, int x, int y)
{
	struct complex_value a = value_of(w, x), b = value_of(w, y);
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
static int rounded(const struct comparison_walk *w, struct span name, int x)
{
	struct comparison_walk t = true_walk(w);
	int                    up = span_equal(name, span_of("ceil")), made = ALGEBRAIC_UNDECIDED;
	struct complex_value   v = node_of(w, x)->open ? value_of(w, x) : value_of(&t, x);
	struct number          out;

	if (v.re < 0 || is_real(w, v) != 1)
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

static struct complex_value absolute_of(const struct comparison_walk *w, int x)
{
	struct complex_value v = value_of(w, x);
	int                  real = is_real(w, v), sign;

	if (v.re < 0 || real < 0)
		return v.re < 0 ? v : undecided_value();
	if (!real)
		return complex_of(complex_size(w, v));
	if (!sign_of(w, x, v, &sign))
		return undecided_value();
	return complex_of(sign < 0 ? algebraic_apply(w->a, '-', ALGEBRAIC_ZERO, v.re) : v.re);
}

enum circle { SIN, COS, TAN, SEC, CSC, COT };

/* All six follow from the point (cos, sin) of the circle. */
static struct complex_value circular(const struct comparison_walk *w, enum circle f, int x)
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
static struct complex_value hyperbolic(const struct comparison_walk *w, struct span name, int x)
{
	struct complex_value e = exponential_of(w, x),
	                     inverse = complex_apply(w, '/', complex_of(ALGEBRAIC_ONE), e);
	struct complex_value up = complex_apply(w, '-', e, inverse),
	                     under = complex_apply(w, '+', e, inverse);
	struct complex_value two = complex_of(algebraic_fraction(w->a, 2, 1));

	if (span_equal(name, span_of("tanh")))
		return complex_apply(w, '/', up, under);
	return complex_apply(w, '/', span_equal(name, span_of("sinh")) ? up : under, two);
}

static struct complex_value inverse_of(const struct comparison_walk *w, struct span name, int x)
{
	struct comparison_walk t = true_walk(w);
	struct complex_value v = value_of(w, x), truth = node_of(w, x)->open ? v : value_of(&t, x);
	double               at = truth.re < 0 ? NAN : algebraic_about(w->a, truth.re), about;

	if (is_real(w, v) != 1)
		return v.re < 0 ? v : undecided_value();
	about = span_equal(name, span_of("arcsin"))   ? asin(at)
	        : span_equal(name, span_of("arccos")) ? acos(at)
	                                              : atan(at);
	if (!node_of(w, x)->open && fabs(at) > 1.5 && !span_equal(name, span_of("arctan")))
		return undefined_value();
	return complex_of(inverse_angle(w, name, v.re, node_of(w, x)->open ? (double)NAN : about));
}

/* Evaluates a function by name. One that is not known is opaque: equal to itself at equal
 * arguments. */
static struct complex_value function_of(const struct comparison_walk *w,
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
	v = value_of(w, n->a);
	return complex_of(opaque(w, n->name, v.re, v.im, 1));
}

/* An unknown function of one or more arguments: f(x, y, z) is f of ((x, y), z). */
static int application_of(const struct comparison_walk *w, const struct expression_node *n)
{
	int folded = ALGEBRAIC_ZERO;

	for (int i = n->a; i >= 0; i = node_of(w, i)->b) {
		struct complex_value v = value_of(w, node_of(w, i)->a);
		if (v.re < 0)
			return v.re;
		folded = opaque(w, n->name, folded, v.re, 1);
		if (v.im != ALGEBRAIC_ZERO)
			folded = opaque(w, n->name, folded, v.im, 1);
	}
	return folded;
}

/* The value of a node, by its operator (expression.h lists the letters). */
static struct complex_value compute(const struct comparison_walk *w, int x)
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
		return complex_apply(w, n->op, value_of(w, n->a), value_of(w, n->b));
	case '^':
		return power_of(w, n->a, n->b);
	case 'R':
		return whole_of(w, n->b, &degree) ? root_of(w, n->a, degree) : undecided_value();
	case 'l':
		return complex_apply(w, '/', complex_of(logarithm_of(w, n->a)),
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
		return undefined_value();
	}
}

static struct complex_value value_of(const struct comparison_walk *w, int x)
{
	struct comparison_place *p = w->place;

	if (!p->known[w->side][x]) {
		p->memo[w->side][x] = complex_check(compute(w, x));
		p->known[w->side][x] = 1;
	}
	return p->memo[w->side][x];
}

/* ---- both sides ---- */

static uint64_t seed_of(const struct expressions *e)
{
	return fingerprint_bytes(1469598103934665603u + (uint64_t)e->n, e->names,
	                         (size_t)e->n_names);
}

/* Does not zero everything: a value is read only if it is known, a kernel only if it is counted. */
struct comparison *comparison_new(const struct expressions *left, const struct expressions *right)
{
	struct comparison *c = malloc(sizeof *c);

	if (!c || !(c->a = algebra_new())) {
		free(c);
		return NULL;
	}
	for (int at = 0; at < PLACES; at++) {
		c->place[at].n = 0;
		memset(c->place[at].known, 0, sizeof c->place[at].known);
	}
	c->e[0] = left;
	c->e[1] = right;
	c->seed = comparison_mix(seed_of(left)) + 3 * comparison_mix(seed_of(right));
	return c;
}

void comparison_free(struct comparison *c)
{
	if (c)
		algebra_free(c->a);
	free(c);
}

long comparison_steps(const struct comparison *c)
{
	return algebra_steps(c->a);
}

static struct complex_value comparison_value_at(struct comparison *c, struct term x, int at)
{
	struct comparison_walk w = {.c = c,
	                            .e = c->e[x.side],
	                            .a = c->a,
	                            .place = &c->place[at],
	                            .side = x.side,
	                            .at = at};

	return value_of(&w, x.x);
}

static int term_infinity(const struct comparison *c, struct term x)
{
	return expression_is_infinity(c->e[x.side], x.x);
}

int comparison_defined(struct comparison *c, struct term x)
{
	int defined = 0;

	if (term_infinity(c, x))
		return 1;
	if (!expression_is_finite_or_infinity(c->e[x.side], x.x))
		return 0;
	for (int at = 0; at < COMPARISON_POINTS; at++) {
		int re = comparison_value_at(c, x, at).re;
		if (re == ALGEBRAIC_UNDECIDED)
			return 0;
		defined += re >= 0;
	}
	return defined >= 2;
}

/* Equal at every point where both are defined, of which there must be two. */
int comparison_equal(struct comparison *c, struct term x, struct term y)
{
	int compared = 0;

	if (term_infinity(c, x) || term_infinity(c, y))
		return term_infinity(c, x) == term_infinity(c, y);
	for (int at = 0; at < COMPARISON_POINTS; at++) {
		struct complex_value v = comparison_value_at(c, x, at),
		                     u = comparison_value_at(c, y, at);
		if (v.re == ALGEBRAIC_UNDECIDED || u.re == ALGEBRAIC_UNDECIDED)
			return 0;
		if (v.re < 0 || u.re < 0)
			continue;
		if (!algebraic_equal(c->a, v.re, u.re) || !algebraic_equal(c->a, v.im, u.im))
			return 0;
		compared++;
	}
	return compared >= 2;
}

/* A constant's true value, if it is real. */
static int true_value(struct comparison *c, struct term x)
{
	struct complex_value v =
	        c->e[x.side]->node[x.x].open ? undecided_value() : comparison_value_at(c, x, TRUTH);
	int sign;

	return v.re >= 0 && (v.im == ALGEBRAIC_ZERO ||
	                     (algebraic_sign(c->a, v.im, &sign) && sign == 0))
	               ? v.re
	               : ALGEBRAIC_UNDECIDED;
}

/* floor(10^decimals x + 1/2) = floor(10^decimals y + 1/2) */
int comparison_rounds(struct comparison *c, struct term x, struct term y, int decimals)
{
	int ten = algebraic_power(c->a, algebraic_fraction(c->a, 10, 1), decimals),
	    half = algebraic_fraction(c->a, 1, 2), same;
	int           v = true_value(c, x), u = true_value(c, y);
	struct number a, b;

	number_init(&a);
	number_init(&b);
	same = algebraic_floor(c->a,
	                       algebraic_apply(c->a, '+', algebraic_apply(c->a, '*', v, ten), half),
	                       &a) &&
	       algebraic_floor(c->a,
	                       algebraic_apply(c->a, '+', algebraic_apply(c->a, '*', u, ten), half),
	                       &b) &&
	       number_equal(&a, &b);
	number_clear(&a);
	number_clear(&b);
	return same;
}

/* y / x is the same at all points when x_1 y_i = y_1 x_i, without a division. */
int comparison_ratio(struct comparison *c, struct term x, struct term y)
{
	struct complex_value first = undefined_value(), second = first;
	int                  compared = 0, sign = 0, other;

	for (int at = 0; at < COMPARISON_POINTS; at++) {
		struct complex_value v = comparison_value_at(c, x, at),
		                     u = comparison_value_at(c, y, at);
		if (v.re == ALGEBRAIC_UNDECIDED || u.re == ALGEBRAIC_UNDECIDED)
			return 0;
		if (v.re < 0 || u.re < 0)
			continue;
		if (v.im != ALGEBRAIC_ZERO || u.im != ALGEBRAIC_ZERO ||
		    !algebraic_sign(c->a, v.re, &sign) || !algebraic_sign(c->a, u.re, &other) ||
		    sign == 0 || other == 0)
			return 0;
		if (compared++ == 0) {
			first = v;
			second = u;
		} else if (!algebraic_equal(c->a, algebraic_apply(c->a, '*', first.re, u.re),
		                            algebraic_apply(c->a, '*', second.re, v.re)))
			return 0;
	}
	return compared >= 2 ? sign * other : 0;
}

int comparison_order(struct comparison *c, struct term x, struct term y, int *order)
{
	int a = term_infinity(c, x), b = term_infinity(c, y);

	*order = a - b;
	if (a || b)
		return 1;
	if (!c->e[x.side]->node[x.x].open && !c->e[y.side]->node[y.x].open &&
	    comparison_equal(c, x, y))
		return 1;
	return algebraic_sign(c->a, algebraic_apply(c->a, '-', true_value(c, x), true_value(c, y)),
	                      order) &&
	       *order != 0;
}

int comparison_number(struct comparison *c, struct term x, struct number *out)
{
	const struct number *q = algebraic_as_number(c->a, true_value(c, x));

	if (q)
		number_copy(q, out);
	return q != NULL;
}
