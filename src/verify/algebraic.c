#include "verify/algebraic.h"

#include "base/fingerprint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	ALGEBRAIC_HASH = 2 * ALGEBRAIC_NODES,
	ALGEBRAIC_FIRST_BITS = 96,
	ALGEBRAIC_OPEN_BITS = 2048,
	FUNCTION_WORK = 8
};

/* op: n fraction, + - * / operators, r root (y: degree), c 2 cos(2 pi x/y) of integers, C
 * cosine of x, p pi, f function (y: which) */
struct algebraic_node {
	char            op;
	int             x, y;
	int             transcendental; /* it, or something below it, has no bound */
	long            u, l;           /* logarithms to base 2 of the bounds */
	struct number   q;              /* n */
	int             has_interval;
	long            bits; /* of the interval; 0 before the first */
	struct interval at;
	signed char     sign, sign_known;
	unsigned        mark; /* the walk that saw it last */
};

struct algebra {
	struct algebraic_node node[ALGEBRAIC_NODES];
	int                   n, slot[ALGEBRAIC_HASH]; /* slot: handle + 1, 0 for empty */
	long                  steps;
	unsigned              walk;
};

long algebra_steps(const struct algebra *a)
{
	return a->steps;
}

/* A product of numbers costs more than their length, so work grows faster than bits. */
int algebra_spend(struct algebra *a, long bits)
{
	long words = bits / 64 + 1;

	a->steps += words + words * words / 64;
	return a->steps <= ALGEBRAIC_STEPS;
}

static long algebraic_bits(const struct number *x)
{
	return (long)(mpz_sizeinbase(mpq_numref(x->q), 2) + mpz_sizeinbase(mpq_denref(x->q), 2));
}

/* ---- nodes ---- */

static size_t algebraic_hash(const struct algebraic_node *n)
{
	uint64_t h = fingerprint_bytes(1469598103934665603u, &n->op, 1);

	h = fingerprint_bytes(h, &n->x, sizeof n->x);
	h = fingerprint_bytes(h, &n->y, sizeof n->y);
	if (n->op == 'n') {
		h = fingerprint_bytes(h, mpz_limbs_read(mpq_numref(n->q.q)),
		                      mpz_size(mpq_numref(n->q.q)) * sizeof(mp_limb_t));
		h = fingerprint_bytes(h, mpz_limbs_read(mpq_denref(n->q.q)),
		                      mpz_size(mpq_denref(n->q.q)) * sizeof(mp_limb_t));
	}
	return (size_t)(h ^ h >> 29) % ALGEBRAIC_HASH;
}

static int algebraic_same(const struct algebraic_node *a, const struct algebraic_node *b)
{
	return a->op == b->op && a->x == b->x && a->y == b->y &&
	       (a->op != 'n' || number_equal(&a->q, &b->q));
}

/* Returns the handle of an equal older node, or of a new one, so that a root below two sums is one
 * root. Copies n->q. */
static int algebraic_intern(struct algebra *a, const struct algebraic_node *n)
{
	size_t                 at = algebraic_hash(n);
	struct algebraic_node *made;

	for (; a->slot[at]; at = (at + 1) % ALGEBRAIC_HASH)
		if (algebraic_same(&a->node[a->slot[at] - 1], n))
			return a->slot[at] - 1;
	if (a->n == ALGEBRAIC_NODES)
		return ALGEBRAIC_UNDECIDED;
	made = &a->node[a->n++];
	*made = *n;
	if (n->op == 'n') {
		number_init(&made->q);
		number_copy(&n->q, &made->q);
	}
	a->slot[at] = a->n;
	return a->n - 1;
}

static int algebraic_fails(int x, int y)
{
	return x == ALGEBRAIC_UNDEFINED || y == ALGEBRAIC_UNDEFINED ? ALGEBRAIC_UNDEFINED
	                                                            : ALGEBRAIC_UNDECIDED;
}

/* Does not zero the nodes, each of which is written when it is made: zeroing a megabyte took most
 * of the time of a short comparison. */
struct algebra *algebra_new(void)
{
	struct algebra *a = malloc(sizeof *a);

	if (a) {
		a->n = 0;
		a->steps = 0;
		a->walk = 0;
		memset(a->slot, 0, sizeof a->slot);
		algebraic_fraction(a, 0, 1);
		algebraic_fraction(a, 1, 1);
	}
	return a;
}

void algebra_free(struct algebra *a)
{
	for (int i = 0; a && i < a->n; i++) {
		if (a->node[i].op == 'n')
			number_clear(&a->node[i].q);
		if (a->node[i].has_interval)
			interval_clear(&a->node[i].at);
	}
	mpfr_free_cache2(MPFR_FREE_LOCAL_CACHE); /* pi: a thread would leak it at its end */
	free(a);
}

int algebraic_number(struct algebra *a, const struct number *x)
{
	struct algebraic_node n = {.op = 'n', .q = *x};

	if (x->undefined)
		return ALGEBRAIC_UNDECIDED;
	n.u = mpq_sgn(x->q) ? (long)mpz_sizeinbase(mpq_numref(x->q), 2) : 0;
	n.l = (long)mpz_sizeinbase(mpq_denref(x->q), 2);
	if (n.u == 1) /* +-1 */
		n.u = 0;
	if (n.l == 1)
		n.l = 0;
	return algebraic_intern(a, &n);
}

int algebraic_fraction(struct algebra *a, long over, long under)
{
	struct number x;
	int           made;

	number_init(&x);
	number_set(&x, over, under);
	made = x.undefined ? ALGEBRAIC_UNDEFINED : algebraic_number(a, &x);
	number_clear(&x);
	return made;
}

const struct number *algebraic_as_number(const struct algebra *a, int x)
{
	return x >= 0 && a->node[x].op == 'n' ? &a->node[x].q : NULL;
}

/* ---- operators ---- */

static int algebraic_fractions(struct algebra *a, char op, const struct number *x,
                               const struct number *y)
{
	struct number z;
	int           made;

	if (!algebra_spend(a, algebraic_bits(x) + algebraic_bits(y)))
		return ALGEBRAIC_UNDECIDED;
	number_init(&z);
	number_apply(op, x, y, &z);
	made = algebraic_number(a, &z);
	number_clear(&z);
	return made;
}

/* Handles what needs no node: x + 0, x - 0, x 1, x 0, x / 1, 0 / x, x - x, x / x. Otherwise returns
 * ALGEBRAIC_UNDECIDED. */
static int algebraic_trivial(char op, int x, int y)
{
	switch (op) {
	case '+':
		return x == ALGEBRAIC_ZERO ? y : y == ALGEBRAIC_ZERO ? x : ALGEBRAIC_UNDECIDED;
	case '-':
		return y == ALGEBRAIC_ZERO ? x : x == y ? ALGEBRAIC_ZERO : ALGEBRAIC_UNDECIDED;
	case '*':
		if (x == ALGEBRAIC_ZERO || y == ALGEBRAIC_ZERO)
			return ALGEBRAIC_ZERO;
		return x == ALGEBRAIC_ONE ? y : y == ALGEBRAIC_ONE ? x : ALGEBRAIC_UNDECIDED;
	default:
		return y == ALGEBRAIC_ONE    ? x
		       : x == ALGEBRAIC_ZERO ? ALGEBRAIC_ZERO
		       : x == y              ? ALGEBRAIC_ONE
		                             : ALGEBRAIC_UNDECIDED;
	}
}

static long algebraic_greater(long a, long b)
{
	return a > b ? a : b;
}

/* The bounds u and l follow the table in algebraic.h, as logarithms: a product is a sum, and a sum
 * of two is at most twice the greater (+ 1). */
int algebraic_apply(struct algebra *a, char op, int x, int y)
{
	struct algebraic_node        n = {.op = op, .x = x, .y = y};
	const struct algebraic_node *s, *t;
	int                          sign, made;

	if (x < 0 || y < 0)
		return algebraic_fails(x, y);
	if (op == '/' && (!algebraic_sign(a, y, &sign) || sign == 0))
		return algebraic_sign(a, y, &sign) ? ALGEBRAIC_UNDEFINED : ALGEBRAIC_UNDECIDED;
	made = algebraic_trivial(op, x, y);
	if (made != ALGEBRAIC_UNDECIDED)
		return made;
	s = &a->node[x];
	t = &a->node[y];
	if (s->op == 'n' && t->op == 'n')
		return algebraic_fractions(a, op, &s->q, &t->q);
	if (op == '*' && x == y && s->op == 'r' && s->y == 2)
		return s->x;
	if ((op == '+' || op == '*') && x > y) { /* x + y and y + x are one node */
		n.x = y;
		n.y = x;
	}
	n.transcendental = s->transcendental | t->transcendental;
	n.u = op == '*'   ? s->u + t->u
	      : op == '/' ? s->u + t->l
	                  : algebraic_greater(s->u + t->l, s->l + t->u) + 1;
	n.l = op == '/' ? s->l + t->u : s->l + t->l;
	return algebra_spend(a, 0) ? algebraic_intern(a, &n) : ALGEBRAIC_UNDECIDED;
}

/* Fractions are raised exactly, everything else by repeated squaring; x^-n = 1 / x^n. */
int algebraic_power(struct algebra *a, int x, long n)
{
	const struct number *q = algebraic_as_number(a, x);
	int                  out = ALGEBRAIC_ONE;

	if (x < 0)
		return x;
	if (q) {
		int           made;
		struct number y, exponent;
		if (n < 0 && number_sign(q) == 0)
			return ALGEBRAIC_UNDEFINED;
		number_init(&y);
		number_init(&exponent);
		number_set(&exponent, n, 1);
		number_apply('^', q, &exponent, &y);
		made = algebra_spend(a, y.undefined ? 0 : algebraic_bits(&y))
		               ? algebraic_number(a, &y)
		               : ALGEBRAIC_UNDECIDED;
		number_clear(&y);
		number_clear(&exponent);
		return made;
	}
	if (n > ALGEBRAIC_BITS || n < -ALGEBRAIC_BITS)
		return ALGEBRAIC_UNDECIDED;
	for (unsigned long m = n < 0 ? 0ul - (unsigned long)n : (unsigned long)n; m; m >>= 1) {
		if (m & 1)
			out = algebraic_apply(a, '*', out, x);
		if (m > 1)
			x = algebraic_apply(a, '*', x, x);
	}
	return n < 0 ? algebraic_apply(a, '/', ALGEBRAIC_ONE, out) : out;
}

/* ---- roots ---- */

enum { ALGEBRAIC_PRIMES = 1000, ALGEBRAIC_DEGREE = 1000 };

/* Moves the k-th powers of small primes out of x: x = (*outside)^k x'. */
static void algebraic_take_powers(mpz_t x, unsigned long k, mpz_t outside)
{
	mpz_t power;

	mpz_set_ui(outside, 1);
	mpz_init(power);
	for (unsigned long p = 2; p < ALGEBRAIC_PRIMES && mpz_sgn(x); p += 1 + (p > 2)) {
		if (!mpz_divisible_ui_p(x, p))
			continue;
		mpz_ui_pow_ui(power, p, k);
		while (mpz_divisible_p(x, power)) {
			mpz_divexact(x, x, power);
			mpz_mul_ui(outside, outside, p);
		}
	}
	mpz_clear(power);
}

/* The k-th root of an integer x > 0 that is not a k-th power; of a lower degree if x is a power. */
static int algebraic_whole_root(struct algebra *a, mpz_t x, long k)
{
	struct algebraic_node n = {.op = 'r'};
	struct number         q;
	mpz_t                 root;

	mpz_init(root);
	for (long d = k; d > 1; d--)
		if (k % d == 0 && mpz_root(root, x, (unsigned long)d)) {
			mpz_set(x, root);
			k /= d;
			d = k + 1;
		}
	mpz_clear(root);
	number_init(&q);
	mpz_set(mpq_numref(q.q), x);
	n.x = algebraic_number(a, &q);
	number_clear(&q);
	if (k == 1 || n.x < 0)
		return n.x;
	n.y = (int)k;
	n.u = a->node[n.x].u / k + 1;
	return algebraic_intern(a, &n);
}

/* (p/q)^(1/k) = (p q^(k-1))^(1/k) / q, with k-th powers moved out of the root. */
static int algebraic_fraction_root(struct algebra *a, const struct number *x, long k)
{
	mpz_t         inside, outside;
	struct number before;
	int           made = ALGEBRAIC_UNDECIDED;

	if (number_sign(x) == 0)
		return ALGEBRAIC_ZERO;
	if (algebraic_bits(x) * k > NUMBER_BITS / 4 || !algebra_spend(a, algebraic_bits(x) * k) ||
	    !algebra_spend(a, 64 * ALGEBRAIC_PRIMES))
		return made;
	mpz_init(inside);
	mpz_init(outside);
	number_init(&before);
	mpz_pow_ui(inside, mpq_denref(x->q), (unsigned long)k - 1);
	mpz_mul(inside, inside, mpq_numref(x->q));
	algebraic_take_powers(inside, (unsigned long)k, outside);
	mpz_set(mpq_numref(before.q), outside);
	mpz_set(mpq_denref(before.q), mpq_denref(x->q));
	mpq_canonicalize(before.q);
	made = algebraic_whole_root(a, inside, k);
	made = algebraic_apply(a, '*', algebraic_number(a, &before), made);
	mpz_clear(inside);
	mpz_clear(outside);
	number_clear(&before);
	return made;
}

/* Writes the bounds of a root from the table in algebraic.h, as logarithms. */
int algebraic_root(struct algebra *a, int x, long degree)
{
	struct algebraic_node        n = {.op = 'r', .x = x, .y = (int)degree};
	const struct algebraic_node *s;
	int                          sign;

	if (x < 0)
		return x;
	if (degree < 1)
		return ALGEBRAIC_UNDEFINED;
	if (degree > ALGEBRAIC_DEGREE || !algebraic_sign(a, x, &sign))
		return ALGEBRAIC_UNDECIDED;
	if (sign < 0)
		return ALGEBRAIC_UNDEFINED;
	if (degree == 1 || sign == 0)
		return sign == 0 ? ALGEBRAIC_ZERO : x;
	s = &a->node[x];
	if (s->op == 'n')
		return algebraic_fraction_root(a, &s->q, degree);
	n.transcendental = s->transcendental;
	n.u = s->u >= s->l ? (s->u + (degree - 1) * s->l) / degree + 1 : s->u;
	n.l = s->u >= s->l ? s->l : ((degree - 1) * s->u + s->l) / degree + 1;
	return algebraic_intern(a, &n);
}

/* ---- cosines and other functions ---- */

static long algebraic_divisor(long a, long b)
{
	while (b) {
		long r = a % b;
		a = b;
		b = r;
	}
	return a;
}

/* Reduces the angle to 0 .. half a turn in lowest terms; the node is 2 cos, an algebraic
 * integer. */
int algebraic_cosine(struct algebra *a, long over, long under)
{
	struct algebraic_node n = {.op = 'c', .u = 1};
	long                  divisor;
	int                   made;

	if (under <= 0 || under > ALGEBRAIC_DEGREE)
		return ALGEBRAIC_UNDECIDED;
	over = (over % under + under) % under;
	if (2 * over > under) /* cos(-x) = cos(x) */
		over = under - over;
	divisor = algebraic_divisor(under, over);
	over /= divisor;
	under /= divisor;
	switch (under) { /* the only rational ones (Niven) */
	case 1:
		return ALGEBRAIC_ONE;
	case 2:
		return algebraic_fraction(a, -1, 1);
	case 3:
		return algebraic_fraction(a, -1, 2);
	case 4:
		return ALGEBRAIC_ZERO;
	case 6:
		return algebraic_fraction(a, 1, 2);
	default:
		n.x = (int)over;
		n.y = (int)under;
		made = algebraic_intern(a, &n);
		return algebraic_apply(a, '/', made, algebraic_fraction(a, 2, 1));
	}
}

int algebraic_pi(struct algebra *a)
{
	return algebraic_intern(a, &(struct algebraic_node){.op = 'p', .transcendental = 1});
}

int algebraic_cos(struct algebra *a, int x)
{
	return x < 0 ? x
	             : algebraic_intern(
	                       a, &(struct algebraic_node){.op = 'C', .x = x, .transcendental = 1});
}

int algebraic_rise(struct algebra *a, enum interval_function f, int x)
{
	int sign;

	if (x < 0)
		return x;
	if (f == INTERVAL_LN && !(algebraic_sign(a, x, &sign) && sign > 0))
		return algebraic_sign(a, x, &sign) ? ALGEBRAIC_UNDEFINED : ALGEBRAIC_UNDECIDED;
	if (x == ALGEBRAIC_ZERO)
		return f == INTERVAL_EXP ? ALGEBRAIC_ONE : ALGEBRAIC_ZERO;
	return algebraic_intern(
	        a, &(struct algebraic_node){.op = 'f', .x = x, .y = (int)f, .transcendental = 1});
}

/* ---- signs ---- */

static int algebraic_has_children(const struct algebraic_node *n)
{
	return strchr("+-*/rCf", n->op) != NULL;
}

static int algebraic_has_two(const struct algebraic_node *n)
{
	return strchr("+-*/", n->op) != NULL;
}

/* Marks everything below x and returns the smallest handle there. Children are older than their
 * parents, so one pass downwards suffices. */
static int algebraic_mark(struct algebra *a, int x)
{
	int least = x;

	a->node[x].mark = ++a->walk;
	for (int i = x; i >= least; i--) {
		const struct algebraic_node *n = &a->node[i];
		if (n->mark != a->walk || !algebraic_has_children(n))
			continue;
		a->node[n->x].mark = a->walk;
		if (n->x < least)
			least = n->x;
		if (algebraic_has_two(n)) {
			a->node[n->y].mark = a->walk;
			if (n->y < least)
				least = n->y;
		}
	}
	a->steps += x - least + 1;
	return least;
}

/* Computes the node's interval from the intervals of its parts. */
static void algebraic_compute(struct algebra *a, struct algebraic_node *n)
{
	const struct algebraic_node *x = &a->node[n->x];
	struct number                q;

	switch (n->op) {
	case 'n':
		interval_number(&n->at, &n->q);
		return;
	case 'r':
		interval_root(&n->at, &x->at, (unsigned long)n->y);
		return;
	case 'p':
		interval_pi(&n->at);
		return;
	case 'C':
		interval_cosine(&n->at, &x->at);
		return;
	case 'f':
		interval_rise(&n->at, (enum interval_function)n->y, &x->at);
		return;
	case 'c': { /* 2 cos(2 pi x/y) */
		struct interval turn;
		number_init(&q);
		number_set(&q, 2 * n->x, n->y);
		interval_init(&turn, n->bits);
		interval_number(&turn, &q);
		interval_pi(&n->at);
		interval_apply(&turn, '*', &turn, &n->at);
		interval_cosine(&n->at, &turn);
		mpfr_mul_2ui(n->at.lo, n->at.lo, 1, MPFR_RNDD);
		mpfr_mul_2ui(n->at.hi, n->at.hi, 1, MPFR_RNDU);
		interval_clear(&turn);
		number_clear(&q);
		return;
	}
	default:
		interval_apply(&n->at, n->op, &x->at, &a->node[n->y].at);
	}
}

/* Computes the interval of x, and of everything below it, with that many bits. */
static int algebraic_refine(struct algebra *a, int x, long bits)
{
	for (int i = algebraic_mark(a, x); i <= x; i++) {
		struct algebraic_node *n = &a->node[i];
		if (n->mark != a->walk || n->bits >= bits)
			continue;
		if (!algebra_spend(a, bits) ||
		    (strchr("rcCfp", n->op) && !algebra_spend(a, FUNCTION_WORK * bits)))
			return 0;
		if (n->has_interval)
			interval_clear(&n->at);
		interval_init(&n->at, bits);
		n->has_interval = 1;
		n->bits = bits;
		algebraic_compute(a, n);
	}
	return 1;
}

/* phi(n)/2, the degree of the field generated by the cosines of n-th parts of a turn; 1 for small
 * n. */
static double algebraic_field(long n)
{
	double degree = (double)n;
	long   left = n;

	for (long p = 2; p * p <= left; p++)
		if (left % p == 0) {
			degree *= (double)(p - 1) / (double)p;
			while (left % p == 0)
				left /= p;
		}
	if (left > 1)
		degree *= (double)(left - 1) / (double)left;
	return degree > 2 ? ceil(degree / 2) : 1;
}

/* The bound of x: |x| >= 2^-bound unless x is 0. A bound over ALGEBRAIC_BITS is useless. */
static long algebraic_bound(struct algebra *a, int x)
{
	double degree = 1, bound;
	long   parts = 1;

	for (int i = algebraic_mark(a, x); i <= x; i++) {
		const struct algebraic_node *n = &a->node[i];
		if (n->mark != a->walk || degree > ALGEBRAIC_BITS || parts > ALGEBRAIC_BITS)
			continue;
		if (n->op == 'r')
			degree *= n->y;
		else if (n->op == 'c')
			parts = parts / algebraic_divisor(parts, n->y) * n->y;
	}
	degree *= algebraic_field(parts);
	bound = (degree - 1) * (double)a->node[x].u + (double)a->node[x].l;
	return bound < ALGEBRAIC_BITS ? (long)bound : ALGEBRAIC_BITS + 1;
}

static int algebraic_find_sign(struct algebra *a, int x, int *sign)
{
	long bound = a->node[x].transcendental ? ALGEBRAIC_BITS + 1 : algebraic_bound(a, x);
	long most = bound <= ALGEBRAIC_BITS ? ALGEBRAIC_BITS * 2 : ALGEBRAIC_OPEN_BITS;

	for (long bits = ALGEBRAIC_FIRST_BITS; bits <= most; bits *= 2) {
		if (!algebraic_refine(a, x, bits))
			return 0;
		*sign = interval_sign(&a->node[x].at);
		if (*sign)
			return 1;
		if (bound <= ALGEBRAIC_BITS && interval_within(&a->node[x].at, bound + 1))
			return 1;
	}
	return 0;
}

/* A node remembers its sign, or that it could not be found. */
int algebraic_sign(struct algebra *a, int x, int *sign)
{
	struct algebraic_node *n;

	*sign = 0;
	if (x < 0)
		return 0;
	n = &a->node[x];
	if (n->op == 'n') {
		*sign = number_sign(&n->q);
		return 1;
	}
	if (!n->sign_known) {
		n->sign_known = algebraic_find_sign(a, x, sign) ? 1 : -1;
		n->sign = (signed char)*sign;
	}
	*sign = n->sign;
	return n->sign_known > 0;
}

int algebraic_equal(struct algebra *a, int x, int y)
{
	int sign;

	if (x < 0 || y < 0)
		return 0;
	return x == y || (algebraic_sign(a, algebraic_apply(a, '-', x, y), &sign) && sign == 0);
}

/* Refines until both bounds have one floor; if they never do, x may be the integer between them. */
int algebraic_floor(struct algebra *a, int x, struct number *out)
{
	const struct number *q = algebraic_as_number(a, x);

	number_set(out, 0, 1);
	if (x < 0)
		return 0;
	if (q) {
		mpz_fdiv_q(mpq_numref(out->q), mpq_numref(q->q), mpq_denref(q->q));
		return 1;
	}
	for (long bits = ALGEBRAIC_FIRST_BITS; bits <= ALGEBRAIC_OPEN_BITS; bits *= 2)
		if (!algebraic_refine(a, x, bits))
			return 0;
		else if (interval_floor(&a->node[x].at, mpq_numref(out->q)))
			return 1;
	/* the interval contains an integer: is x that integer? */
	if (!mpfr_number_p(a->node[x].at.hi) ||
	    mpfr_get_exp(a->node[x].at.hi) > ALGEBRAIC_OPEN_BITS)
		return 0;
	mpfr_get_z(mpq_numref(out->q), a->node[x].at.hi, MPFR_RNDD);
	return algebraic_equal(a, x, algebraic_number(a, out));
}

double algebraic_about(struct algebra *a, int x)
{
	const struct number *q = algebraic_as_number(a, x);

	if (x < 0)
		return NAN;
	if (q)
		return mpq_get_d(q->q);
	return algebraic_refine(a, x, ALGEBRAIC_FIRST_BITS) ? interval_middle(&a->node[x].at) : NAN;
}
