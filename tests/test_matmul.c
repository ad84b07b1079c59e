/* Matrix products: strict means that a row's bits depend on that row alone, whatever the backend,
 * the shape, the threads. */
#include "math/matmul.h"

#include "base/rng.h"
#include "base/threads.h"
#include "math/bf16.h"
#include "test.h"

#include <sys/wait.h>
#include <unistd.h>

enum { N_SHAPES = 100, MAX_WIDTH = 700, MAX_ROWS = 150 };

static const struct kind { /* of products */
	const char *backend, *precision, *order;
} kinds[] = {
        {"avx512", "f32", "pair"},     {"avx2", "f32", "pair"},       {"avx512", "bf16", "pair"},
        {"avx2", "bf16", "pair"},      {"amx", "bf16", "tile"},       {"avx512", "bf16", "tile"},
        {"avx2", "bf16", "tile"},      {"openblas", "f32", "pair"},   {"reference", "f32", "pair"},
        {"reference", "bf16", "pair"}, {"reference", "bf16", "tile"},
};
enum {
	N_KINDS = sizeof kinds / sizeof *kinds,
	N_OWN = 7,  /* the first ones: by the formula */
	N_QUICK = 8 /* all but the formula itself */
};

static const int row_counts[] = {1, 2, 3, 5, 8, 16, 31, 32, 33, 64, 65, 100, 127, 128, 150};
enum { N_COUNTS = sizeof row_counts / sizeof *row_counts };

struct operands { /* of one shape */
	int    n_out, n_in;
	float *W, *x, *dy; /* [out x in], [MAX_ROWS x in], [MAX_ROWS x out] */
};

/* Exponents from 2^-6 to 2^9, so that a change of order shows in almost every element. */
static float *random_floats(size_t n, uint32_t item)
{
	float         *x;
	struct rng_key key = {.purpose = RNG_TEST, .item = item};

	assert_ok(mem_take(n, "a test", &x));
	for (size_t i = 0; i < n; i++) {
		uint32_t bits[4];
		rng_bits(key, (uint32_t)i, bits);
		x[i] = ldexpf((float)(bits[0] >> 8) * 0x1p-24f - 0.5f, (int)(bits[1] & 15) - 6);
	}
	return x;
}

static float *poisoned_floats(size_t n)
{
	float *x;

	assert_ok(mem_take(n, "a test", &x));
	for (size_t i = 0; i < n; i++)
		x[i] = NAN;
	return x;
}

static struct operands operands_new(uint32_t shape)
{
	struct rng_key key = {.purpose = RNG_TEST, .sample = 1, .item = shape};
	/* mostly small, so that the test is quick */
	int             most = shape % 4 ? 130 : MAX_WIDTH;
	struct operands o = {.n_out = 1 + (int)rng_below(key, 0, (uint32_t)most),
	                     .n_in = 1 + (int)rng_below(key, 1, (uint32_t)most)};

	if (shape % 20 == 7)
		o.n_in += 1000; /* libraries cut long sums */
	if (shape % 3 == 0)
		o.n_out = (o.n_out + 15) / 16 * 16;
	o.W = random_floats((size_t)o.n_out * (size_t)o.n_in, 3 * shape);
	o.x = random_floats((size_t)MAX_ROWS * (size_t)o.n_in, 3 * shape + 1);
	o.dy = random_floats((size_t)MAX_ROWS * (size_t)o.n_out, 3 * shape + 2);
	return o;
}

static void operands_free(struct operands *o)
{
	mem_free(o->W);
	mem_free(o->x);
	mem_free(o->dy);
}

/* NULL when it is not there or refuses. */
static struct matmul *open_kind(const struct kind *k, const char *numerics)
{
	struct matmul_options o = {.backend = k->backend,
	                           .precision = k->precision,
	                           .numerics = numerics,
	                           .order = k->order};
	struct matmul        *m = NULL;

	if (matmul_new(&o, &m) != OK) {
		print_message("%s %s %s %s: %s\n", k->backend, k->precision, k->order, numerics,
		              error_message());
		return NULL;
	}
	return m;
}

/* The formula of that precision and order. */
static struct matmul *open_formula(const struct kind *k)
{
	return open_kind(&(struct kind){"reference", k->precision, k->order}, "strict");
}

static int bits_differ(const float *a, const float *b, size_t n)
{
	return memcmp(a, b, n * sizeof *a) != 0;
}

/* All rows at once, as the reference for every other way of computing them. */
struct whole {
	float *y, *dx;
};

static struct whole whole_new(const struct matmul_weight *w, const struct operands *o)
{
	struct whole all = {.y = poisoned_floats((size_t)MAX_ROWS * (size_t)o->n_out),
	                    .dx = poisoned_floats((size_t)MAX_ROWS * (size_t)o->n_in)};

	assert_ok(matmul_forward(w, MAX_ROWS, o->x, all.y));
	assert_ok(matmul_backward(w, MAX_ROWS, o->dy, all.dx));
	return all;
}

static void whole_free(struct whole *all)
{
	mem_free(all->y);
	mem_free(all->dx);
}

/* `count` rows taken from everywhere, in another order: row (7 i + start) mod MAX_ROWS at place i.
 * Returns 1 when a row's bits changed. */
static int picked_rows_differ(const struct matmul_weight *w, const struct operands *o,
                              const struct whole *all, int count, int start)
{
	size_t in = (size_t)o->n_in, out = (size_t)o->n_out;
	float *x = poisoned_floats((size_t)count * in), *dx = poisoned_floats((size_t)count * in);
	float *y = poisoned_floats((size_t)count * out), *dy = poisoned_floats((size_t)count * out);
	int    differ = 0;

	for (int i = 0; i < count; i++) {
		size_t from = (size_t)((7 * i + start) % MAX_ROWS);
		memcpy(x + (size_t)i * in, o->x + from * in, in * sizeof *x);
		memcpy(dy + (size_t)i * out, o->dy + from * out, out * sizeof *dy);
	}
	assert_ok(matmul_forward(w, count, x, y));
	assert_ok(matmul_backward(w, count, dy, dx));
	for (int i = 0; i < count; i++) {
		size_t from = (size_t)((7 * i + start) % MAX_ROWS);
		differ |= bits_differ(y + (size_t)i * out, all->y + from * out, out);
		differ |= bits_differ(dx + (size_t)i * in, all->dx + from * in, in);
	}
	mem_free(x);
	mem_free(dx);
	mem_free(y);
	mem_free(dy);
	return differ;
}

/* How many of the shapes first .. last-1 change a row's bits when rows are picked, permuted, or
 * computed by other numbers of threads. */
static int shapes_that_differ(struct matmul *m, uint32_t first, uint32_t last)
{
	static const int threads[] = {1, 2, 3, 8};
	int              n_differ = 0;

	for (uint32_t s = first; s < last; s++) {
		struct operands       o = operands_new(s);
		struct matmul_weight *w;
		int                   differ = 0;
		threads_set(1);
		assert_ok(matmul_weight_new(m, o.n_out, o.n_in, 1, &w));
		assert_ok(matmul_weight_pack(w, o.W));
		struct whole all = whole_new(w, &o);
		for (int t = 0; t < 4; t++) {
			threads_set(threads[t]);
			for (int c = 0; c < 4; c++)
				differ |= picked_rows_differ(
				        w, &o, &all,
				        row_counts[(s + (uint32_t)(4 * t + c)) % N_COUNTS],
				        (int)s + c);
		}
		n_differ += differ;
		whole_free(&all);
		matmul_weight_free(w);
		operands_free(&o);
	}
	threads_set(2);
	return n_differ;
}

/* These must not hide behind their self-test. OpenBLAS may: it takes the kernels of an old CPU
 * where it does not know the new one (other_kernels_refuse_strict_or_keep_it looks at them by
 * name). */
static int must_be_strict(const char *backend)
{
#if defined(__x86_64__)
	if (strcmp(backend, "amx") == 0)
		return matmul_cpu_has_amx();
	if (strcmp(backend, "avx2") == 0)
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	if (strcmp(backend, "avx512") == 0)
		return __builtin_cpu_supports("avx512f");
#endif
	return strcmp(backend, "reference") == 0;
}

static void strict_rows_depend_on_themselves_alone(void **state)
{
	(void)state;
	for (int b = 0; b < N_KINDS; b++) {
		struct matmul *m = open_kind(&kinds[b], "strict");
		if (!m && must_be_strict(kinds[b].backend))
			fail_msg("%s refused strict on a CPU where it should keep it",
			         kinds[b].backend);
		if (!m)
			continue;
		print_message("%s\n", matmul_describe(m));
		assert_int_equal(shapes_that_differ(m, 0, b < N_QUICK ? N_SHAPES : N_SHAPES / 5),
		                 0);
		matmul_free(m);
	}
}

/* Libraries share very long sums out among threads when there are not enough columns for them
 * (one of them from 20,000 on). Such is the gradient of a narrow model under a large
 * vocabulary. */
static void very_long_sums_do_not_depend_on_threads(void **state)
{
	(void)state;
	enum { LONG = 20480, ROWS = 20 };
	static const int widths[] = {48, 200}, threads[] = {2, 3, 8};

	for (int b = 0; b < N_QUICK; b++) {
		struct matmul *m = open_kind(&kinds[b], "strict");
		for (uint32_t i = 0; m && i < 2; i++) {
			size_t width = (size_t)widths[i], n = ROWS * width;
			float *W = random_floats(width * LONG, i),
			      *x = random_floats((size_t)ROWS * LONG, i + 10);
			float                *one = poisoned_floats(n), *many = poisoned_floats(n);
			struct matmul_weight *w;
			threads_set(1);
			assert_ok(matmul_weight_new(m, widths[i], LONG, 0, &w));
			assert_ok(matmul_weight_pack(w, W));
			assert_ok(matmul_forward(w, ROWS, x, one));
			for (int t = 0; t < 3; t++) {
				threads_set(threads[t]);
				assert_ok(matmul_forward(w, ROWS, x, many));
				assert_false(bits_differ(one, many, n));
				assert_ok(matmul_forward(w, 1, x + LONG, many));
				assert_false(bits_differ(one + width, many, width));
			}
			matmul_weight_free(w);
			mem_free(W);
			mem_free(x);
			mem_free(one);
			mem_free(many);
		}
		matmul_free(m);
	}
	threads_set(2);
}

/* The first test can fail: a plain library call breaks the promise, and the test sees it. */
static void fast_openblas_is_caught_by_the_same_test(void **state)
{
	(void)state;
	struct matmul *m = open_kind(&(struct kind){"openblas", "f32", "pair"}, "fast");

	assert_non_null(m);
	int n = shapes_that_differ(m, 0, 20);
	print_message("%d of 20 shapes differ\n", n);
	assert_true(n > 0);
	matmul_free(m);
}

/* ---- gradients ---- */

static void gradients_do_not_depend_on_threads(void **state)
{
	(void)state;
	static const int rows[] = {1, 15, 16, 63, 64, 65, 200, 512, 513, 1300};

	for (int b = 0; b < N_KINDS; b++) {
		struct matmul *m = open_kind(&kinds[b], "strict");
		for (uint32_t i = 0; m && i < 10; i++) {
			int    n = rows[i], out = 33 + 41 * (int)i, in = i % 2 ? 64 : 90 + (int)i;
			size_t size = (size_t)out * (size_t)in;
			float *dy = random_floats((size_t)n * (size_t)out, i),
			      *x = random_floats((size_t)n * (size_t)in, i + 100);
			float *one = poisoned_floats(size), *many = poisoned_floats(size);
			threads_set(1);
			assert_ok(matmul_gradient(
			        m, &(struct matmul_gradient){n, out, in, dy, x, one}));
			for (int t = 2; t <= 8; t += t < 3 ? 1 : 5) {
				threads_set(t);
				assert_ok(matmul_gradient(
				        m, &(struct matmul_gradient){n, out, in, dy, x, many}));
				assert_false(bits_differ(one, many, size));
			}
			mem_free(dy);
			mem_free(x);
			mem_free(one);
			mem_free(many);
		}
		matmul_free(m);
	}
	threads_set(2);
}

/* ---- against the reference ---- */

/* |fl(sum of k products) - sum| <= k u sum |a b| for any order of adding, u = 2^-24; two such
 * results differ by at most twice that. */
static void assert_near(const float *got, const float *want, const float *magnitude, size_t n,
                        int k)
{
	for (size_t i = 0; i < n; i++)
		assert_close(got[i], want[i], 2.0 * k * 0x1p-24 * magnitude[i]);
}

static float *absolute(const float *x, size_t n)
{
	float *y;

	assert_ok(mem_take(n, "a test", &y));
	for (size_t i = 0; i < n; i++)
		y[i] = fabsf(x[i]);
	return y;
}

struct results {
	float *y, *dx, *dw;
};

static struct results compute(struct matmul *m, const struct operands *o)
{
	struct whole          all;
	struct matmul_weight *w;
	float                *dw = poisoned_floats((size_t)o->n_out * (size_t)o->n_in);

	assert_ok(matmul_weight_new(m, o->n_out, o->n_in, 1, &w));
	assert_ok(matmul_weight_pack(w, o->W));
	all = whole_new(w, o);
	assert_ok(matmul_gradient(
	        m, &(struct matmul_gradient){MAX_ROWS, o->n_out, o->n_in, o->dy, o->x, dw}));
	matmul_weight_free(w);
	return (struct results){all.y, all.dx, dw};
}

static void results_free(struct results *r)
{
	mem_free(r->y);
	mem_free(r->dx);
	mem_free(r->dw);
}

static void compare(struct matmul *m, struct matmul *reference, uint32_t shape)
{
	struct operands o = operands_new(shape);
	size_t          out = (size_t)o.n_out, in = (size_t)o.n_in;
	struct operands magnitudes = {o.n_out, o.n_in, absolute(o.W, out * in),
	                              absolute(o.x, MAX_ROWS * in), absolute(o.dy, MAX_ROWS * out)};
	struct results  got = compute(m, &o), want = compute(reference, &o),
	               size = compute(reference, &magnitudes);

	assert_near(got.y, want.y, size.y, MAX_ROWS * out, o.n_in);
	assert_near(got.dx, want.dx, size.dx, MAX_ROWS * in, o.n_out);
	assert_near(got.dw, want.dw, size.dw, out * in, MAX_ROWS);
	results_free(&got);
	results_free(&want);
	results_free(&size);
	operands_free(&o);
	operands_free(&magnitudes);
}

static void every_backend_agrees_with_the_reference(void **state)
{
	(void)state;
	static const char *const numerics[] = {"strict", "fast"};

	for (int b = 0; b < N_QUICK; b++) {
		struct matmul *reference = open_formula(&kinds[b]);
		for (int i = 0; i < 2; i++) {
			struct matmul *m = open_kind(&kinds[b], numerics[i]);
			for (uint32_t s = 0; m && s < 12; s++)
				compare(m, reference, s);
			matmul_free(m);
		}
		matmul_free(reference);
	}
}

static int results_differ(const struct results *a, const struct results *b, size_t rows, size_t out,
                          size_t in)
{
	return bits_differ(a->y, b->y, rows * out) || bits_differ(a->dx, b->dx, rows * in) ||
	       bits_differ(a->dw, b->dw, out * in);
}

/* Every bit of 100 shapes: any CPU gives what the scalar formula gives. */
static void own_kernels_give_the_bits_of_the_formula(void **state)
{
	(void)state;

	for (int b = 0; b < N_OWN; b++) {
		struct matmul *m = open_kind(&kinds[b], "strict"),
		              *reference = open_formula(&kinds[b]);
		for (uint32_t s = 0; m && s < N_SHAPES; s++) {
			struct operands o = operands_new(s);
			threads_set(1 + (int)s % 3);
			struct results got = compute(m, &o), want = compute(reference, &o);
			assert_false(results_differ(&got, &want, MAX_ROWS, (size_t)o.n_out,
			                            (size_t)o.n_in));
			results_free(&got);
			results_free(&want);
			operands_free(&o);
		}
		matmul_free(m);
		matmul_free(reference);
	}
	threads_set(2);
}

/* One row, two, ... 31: each height of tile, alone and beside others, at widths that fill panels
 * and that do not. */
/* Deeper and wider than what is packed at a time, with a rest in both. */
static void a_matrix_that_is_lent_gives_the_bits_of_one_that_is_kept(void **state)
{
	(void)state;
	enum { IN = 301, OUT = 901, MOST = 200 };
	static const int rows[] = {1, 3, 5, 16, 33, MOST};
	float           *W = random_floats(OUT * IN, 1), *dy = random_floats(MOST * OUT, 2),
	      *kept = poisoned_floats(MOST * IN), *lent = poisoned_floats(MOST * IN);

	for (int b = 0; b < N_OWN; b++) {
		struct matmul        *m = open_kind(&kinds[b], "strict");
		struct matmul_weight *both, *view;
		if (!m)
			continue;
		assert_ok(matmul_weight_new(m, OUT, IN, MATMUL_BOTH, &both));
		assert_ok(matmul_weight_new(m, OUT, IN, MATMUL_LENT, &view));
		assert_ok(matmul_weight_pack(both, W));
		assert_ok(matmul_weight_pack(view, W));
		for (int i = 0; i < 12; i++) {
			int n = rows[i / 2];
			threads_set(i % 2 ? 3 : 1);
			assert_ok(matmul_backward(both, n, dy, kept));
			assert_ok(matmul_backward(view, n, dy, lent));
			assert_false(bits_differ(kept, lent, (size_t)(n * IN)));
		}
		matmul_weight_free(both);
		matmul_weight_free(view);
		matmul_free(m);
	}
	threads_set(2);
	mem_free(W);
	mem_free(dy);
	mem_free(kept);
	mem_free(lent);
}

static void every_height_of_a_tile_gives_the_bits_of_the_formula(void **state)
{
	(void)state;
	enum { IN = 300, OUT = 99 };
	float *W = random_floats(OUT * IN, 1), *x = random_floats(31 * IN, 2), y[31 * OUT],
	      want[31 * OUT];

	for (int b = 0; b < N_OWN; b++) {
		struct matmul *m = open_kind(&kinds[b], "strict"),
		              *reference = open_formula(&kinds[b]);
		for (int out = OUT - 35; m && out <= OUT; out += 5) {
			struct matmul_weight *w, *formula;
			assert_ok(matmul_weight_new(m, out, IN, 0, &w));
			assert_ok(matmul_weight_new(reference, out, IN, 0, &formula));
			assert_ok(matmul_weight_pack(w, W));
			assert_ok(matmul_weight_pack(formula, W));
			for (int n = 1; n <= 31; n++) {
				assert_ok(matmul_forward(w, n, x, y));
				assert_ok(matmul_forward(formula, n, x, want));
				assert_false(bits_differ(y, want, (size_t)n * (size_t)out));
			}
			matmul_weight_free(w);
			matmul_weight_free(formula);
		}
		matmul_free(m);
		matmul_free(reference);
	}
	mem_free(W);
	mem_free(x);
}

/* -0, denormals (flushed), infinities and a chunk whose sum is -0. */
static void zeros_and_denormals_are_those_of_the_formula(void **state)
{
	(void)state;
	enum { N = 1100, OUT = 20, IN = 37 };
	static const float odd[] = {0, -0.0f, 1e-30f, -1e-30f, 1e-42f, -1e-42f, 1e30f, -1e-20f, 1};
	float *dy = random_floats(N * OUT, 1), *x = random_floats(N * IN, 2), got[OUT * IN],
	      want[OUT * IN];

	for (int i = 0; i < N * OUT; i++)
		dy[i] = odd[(i * 7 + i / 11) % 9];
	for (int i = 0; i < N * IN; i++)
		x[i] = odd[(i * 5 + i / 13) % 9];
	for (int i = 0; i < N; i++) { /* a product that flushes to -0 and nothing else */
		dy[i * OUT] = i ? 0 : -1e-30f;
		x[i * IN] = 1e-30f;
	}
	for (int b = 0; b < N_OWN; b++) {
		struct matmul *m = open_kind(&kinds[b], "strict"),
		              *reference = open_formula(&kinds[b]);
		for (int n = 1; m && n <= N; n += 333) {
			assert_ok(matmul_gradient(
			        m, &(struct matmul_gradient){n, OUT, IN, dy, x, got}));
			assert_ok(matmul_gradient(
			        reference, &(struct matmul_gradient){n, OUT, IN, dy, x, want}));
			assert_false(bits_differ(got, want, OUT * IN));
		}
		matmul_free(m);
		matmul_free(reference);
	}
	mem_free(dy);
	mem_free(x);
}

static void gradients_of_many_rows_agree_with_the_reference(void **state)
{
	(void)state;
	enum { OUT = 70, IN = 50 };
	static const int rows[] = {1, 17, 63, 64, 512, 513, 576, 1300};

	for (int b = 0; b < N_QUICK; b++) {
		struct matmul *m = open_kind(&kinds[b], "strict"),
		              *reference = open_formula(&kinds[b]);
		for (uint32_t i = 0; m && i < 8; i++) {
			size_t n_dy = (size_t)rows[i] * OUT, n_x = (size_t)rows[i] * IN;
			float *dy = random_floats(n_dy, i), *x = random_floats(n_x, i + 100),
			      *dy_size = absolute(dy, n_dy), *x_size = absolute(x, n_x);
			float got[OUT * IN], want[OUT * IN], size[OUT * IN];
			for (int j = 0; j < OUT * IN; j++)
				got[j] = want[j] = NAN;
			assert_ok(matmul_gradient(
			        m, &(struct matmul_gradient){rows[i], OUT, IN, dy, x, got}));
			assert_ok(matmul_gradient(
			        reference,
			        &(struct matmul_gradient){rows[i], OUT, IN, dy, x, want}));
			assert_ok(matmul_gradient(
			        reference, &(struct matmul_gradient){rows[i], OUT, IN, dy_size,
			                                             x_size, size}));
			assert_near(got, want, size, OUT * IN, rows[i]);
			mem_free(dy);
			mem_free(x);
			mem_free(dy_size);
			mem_free(x_size);
		}
		matmul_free(m);
		matmul_free(reference);
	}
}

/* The oracle itself, element by element in double: products of small integers are exact. */
static void the_reference_computes_what_the_formulas_say(void **state)
{
	(void)state;
	enum { N = 3, OUT = 2, IN = 4 };
	const float W[OUT * IN] = {1, 2, 3, 4, 5, 6, 7, 8},
	                    X[N * IN] = {1, 0, 0, 0, 0, 1, 0, -1, 2, 2, 2, 2};
	const float dY[N * OUT] = {1, 0, 0, 1, 2, -1};
	const float Y[N * OUT] = {1, 5, -2, -2, 20, 52},
	                  dX[N * IN] = {1, 2, 3, 4, 5, 6, 7, 8, -3, -2, -1, 0};
	const float           dW[OUT * IN] = {5, 4, 4, 4, -2, -1, -2, -3};
	float                 y[N * OUT], dx[N * IN], dw[OUT * IN];
	struct matmul        *m = open_kind(&(struct kind){"reference", "f32", "pair"}, "strict");
	struct matmul_weight *w;

	assert_ok(matmul_weight_new(m, OUT, IN, 1, &w));
	assert_ok(matmul_weight_pack(w, W));
	assert_ok(matmul_forward(w, N, X, y));
	assert_ok(matmul_backward(w, N, dY, dx));
	assert_ok(matmul_gradient(m, &(struct matmul_gradient){N, OUT, IN, dY, X, dw}));
	assert_memory_equal(y, Y, sizeof Y);
	assert_memory_equal(dx, dX, sizeof dX);
	assert_memory_equal(dw, dW, sizeof dW);
	assert_ok(matmul_gradient(m, &(struct matmul_gradient){0, OUT, IN, NULL, NULL, dw}));
	for (int i = 0; i < OUT * IN; i++)
		assert_true(dw[i] == 0);
	matmul_weight_free(w);
	matmul_free(m);
}

/* To the nearest multiple of 2^-8 of its binade, ties to even. */
static float nearest_bf16(float x)
{
	int    exponent;
	double fraction = frexp(x, &exponent);

	return (float)ldexp(rint(fraction * 256) / 256, exponent);
}

/* Operands rounded once; k in pairs, the odd one first; behind an odd depth a product of zeros. The
 * other order gives other bits. */
static void the_reference_in_bf16_is_a_chain_of_pairs_of_rounded_operands(void **state)
{
	(void)state;
	enum { OUT = 40, IN = 77 };
	float                *W = random_floats(OUT * IN, 1), *x = random_floats(IN, 2), y[OUT];
	struct matmul        *m = open_kind(&(struct kind){"reference", "bf16", "pair"}, "strict");
	struct matmul_weight *w;
	int                   turned = 0;

	assert_ok(matmul_weight_new(m, OUT, IN, 0, &w));
	assert_ok(matmul_weight_pack(w, W));
	assert_ok(matmul_forward(w, 1, x, y));
	for (int o = 0; o < OUT; o++) {
		float odd_first = 0, even_first = 0;
		for (int k = 0; k < IN; k += 2)
			for (int i = 1; i >= 0; i--) {
				int odd = k + i, even = k + 1 - i;
				if (odd < IN)
					odd_first = fmaf(nearest_bf16(x[odd]),
					                 nearest_bf16(W[o * IN + odd]), odd_first);
				if (even < IN)
					even_first =
					        fmaf(nearest_bf16(x[even]),
					             nearest_bf16(W[o * IN + even]), even_first);
			}
		assert_true(y[o] == odd_first);
		turned += odd_first != even_first;
	}
	assert_true(turned > 5);
	matmul_weight_free(w);
	matmul_free(m);
	mem_free(W);
	mem_free(x);
}

/* The formula of tiles, element by element: of 32 k the even ones and the odd ones in chains of
 * their own; behind the last k products of zeros. In pairs other bits come out. */
static void the_reference_in_tiles_is_two_chains_for_every_32_k(void **state)
{
	(void)state;
	enum { OUT = 40, IN = 77 };
	float         *W = random_floats(OUT * IN, 1), *x = random_floats(IN, 2), y[OUT];
	struct matmul *m = open_kind(&(struct kind){"reference", "bf16", "tile"}, "strict"),
	              *pairs = open_kind(&(struct kind){"reference", "bf16", "pair"}, "strict");
	struct matmul_weight *w;
	int                   other = 0;

	assert_ok(matmul_weight_new(m, OUT, IN, 0, &w));
	assert_ok(matmul_weight_pack(w, W));
	assert_ok(matmul_forward(w, 1, x, y));
	for (int o = 0; o < OUT; o++) {
		float sum = 0, part[2];
		for (int k = 0; k < 96; k++) {
			if (k % 32 == 0)
				part[0] = part[1] = 0;
			part[k % 2] = fmaf(k < IN ? nearest_bf16(x[k]) : 0,
			                   k < IN ? nearest_bf16(W[o * IN + k]) : 0, part[k % 2]);
			if (k % 32 == 31)
				sum += part[0] + part[1];
		}
		assert_true(y[o] == sum);
	}
	matmul_weight_free(w);
	assert_ok(matmul_weight_new(pairs, OUT, IN, 0, &w));
	assert_ok(matmul_weight_pack(w, W));
	float in_pairs[OUT];
	assert_ok(matmul_forward(w, 1, x, in_pairs));
	for (int o = 0; o < OUT; o++)
		other += y[o] != in_pairs[o];
	assert_true(other > 5);
	matmul_weight_free(w);
	matmul_free(m);
	matmul_free(pairs);
	mem_free(W);
	mem_free(x);
}

/* Ties go to the even neighbour, NaN stays NaN, what is too large becomes infinite; as an operand a
 * denormal is a zero of its sign. */
static void rounding_to_bf16_is_to_nearest_even(void **state)
{
	(void)state;
	static const struct {
		uint32_t from;
		uint16_t to, operand;
	} cases[] = {
	        {0x3f800000, 0x3f80, 0x3f80}, {0x3f808000, 0x3f80, 0x3f80},
	        {0x3f808001, 0x3f81, 0x3f81}, {0x3f818000, 0x3f82, 0x3f82},
	        {0x7f7fffff, 0x7f80, 0x7f80}, {0x7f800001, 0x7fc0, 0x7fc0},
	        {0xff800000, 0xff80, 0xff80}, {0x80000000, 0x8000, 0x8000},
	        {0x007fffff, 0x0080, 0x0000}, {0x80400000, 0x8040, 0x8000},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		float x;
		memcpy(&x, &cases[i].from, sizeof x);
		assert_int_equal(bf16_round(x), cases[i].to);
		assert_int_equal(bf16_operand(x), cases[i].operand);
	}
	for (uint32_t b = 0; b < 65536; b++)
		if ((b & 0x7fff) <= 0x7f80)
			assert_int_equal(bf16_round(bf16_widen((uint16_t)b)), b);
}

/* ---- choosing, refusing, failing ---- */

static void auto_finds_a_strict_backend_and_wrong_names_are_explained(void **state)
{
	(void)state;
	struct matmul_options o = {.backend = "auto", .precision = "f32", .numerics = "strict"};
	struct matmul        *m;

	assert_ok(matmul_new(&o, &m));
	assert_non_null(strstr(matmul_describe(m), "strict"));
	assert_true(matmul_weight_bytes(m, 24, 40, 1) > matmul_weight_bytes(m, 24, 40, 0));
	assert_true(matmul_weight_bytes(m, 24, 40, 0) >= 24 * 40 * sizeof(float));
	matmul_free(m);

	assert_error(matmul_new(&(struct matmul_options){"mkl", "f32", "strict", NULL, NULL}, &m),
	             ERR_INPUT, "'mkl'");
	assert_error(
	        matmul_new(&(struct matmul_options){"openblas", "bf16", "strict", NULL, NULL}, &m),
	        ERR_INPUT, "no bf16");
	assert_error(matmul_new(&(struct matmul_options){"auto", "f64", "strict", NULL, NULL}, &m),
	             ERR_INPUT, "'f64'");
	assert_error(matmul_new(&(struct matmul_options){"auto", "f32", "strickt", NULL, NULL}, &m),
	             ERR_INPUT, "'strickt'");
	assert_error(
	        matmul_new(&(struct matmul_options){"auto", "bf16", "strict", NULL, "rows"}, &m),
	        ERR_INPUT, "'rows'");
	assert_error(matmul_new(&(struct matmul_options){"amx", "f32", "strict", NULL, NULL}, &m),
	             ERR_INPUT, "tile order alone");
	assert_error(
	        matmul_new(&(struct matmul_options){"amx", "bf16", "strict", NULL, "pair"}, &m),
	        ERR_INPUT, "tile order alone");
	assert_string_equal(matmul_order(&(struct matmul_options){.order = "auto"}),
	                    matmul_cpu_has_amx() ? "tile" : "pair");
	assert_string_equal(matmul_order(&(struct matmul_options){.order = "pair"}), "pair");
}

/* OpenBLAS picks its kernels when it is loaded, so other kernels need another process: this program
 * again, told to run one check. Whatever the kernels, strict either is refused or holds. */
static int strict_is_refused_or_holds(void)
{
	struct matmul *m = open_kind(&(struct kind){"openblas", "f32", "pair"}, "strict");
	int            differ;

	if (!m)
		return strstr(error_message(), "depends on the other rows") ? 10 : 1;
	differ = shapes_that_differ(m, 0, 12);
	matmul_free(m);
	return differ ? 1 : 0;
}

static int run_with_kernels(const char *kernels)
{
	pid_t child = fork();
	int   status = -1;

	if (child == 0) {
		setenv("OPENBLAS_CORETYPE", kernels, 1);
		execl("/proc/self/exe", "test_matmul", "strict-is-refused-or-holds", (char *)NULL);
		_exit(127);
	}
	assert_true(child > 0 && waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void other_kernels_refuse_strict_or_keep_it(void **state)
{
	(void)state;
#if defined(__x86_64__)
	static const char *const kernels[] = {"Haswell", "Zen", "SkylakeX", "Nehalem"};

	for (int i = 0; i < 4; i++) {
		if (i == 2 && !__builtin_cpu_supports("avx512f"))
			continue;
		int status = run_with_kernels(kernels[i]);
		print_message("%s: %s\n", kernels[i],
		              status == 0    ? "strict holds"
		              : status == 10 ? "strict is refused"
		                             : "BROKEN");
		/* AVX-512 kernels must not refuse */
		assert_true(status == 0 || (status == 10 && i != 2));
	}
#endif
}

/* Whichever allocation fails, the call says so and leaves nothing behind (the sanitizer build looks
 * for leaks). */
static void failing_allocations_are_reported_and_leak_nothing(void **state)
{
	(void)state;
	static float some[3 * (40 + 24)];

	for (int b = 0; b < N_KINDS; b++)
		for (long n = 1, done = 0; !done && n < 60; n++) {
			struct matmul_options o = {.backend = kinds[b].backend,
			                           .precision = kinds[b].precision,
			                           .numerics = "fast",
			                           .order = kinds[b].order};
			struct matmul        *m = NULL;
			struct matmul_weight *w = NULL;
			mem_fail_at(n);
			int status = matmul_new(&o, &m);
			if (status == OK)
				status = matmul_weight_new(m, 24, 40, 1, &w);
			if (status == OK)
				status = matmul_forward(w, 3, some, some + 3 * 40);
			done = status == OK;
			mem_fail_at(0);
			if (!done && strstr(error_message(), "this CPU has no"))
				break;
			if (!done)
				assert_memory(status, "");
			matmul_weight_free(w);
			matmul_free(m);
		}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_reference_computes_what_the_formulas_say),
	        TEST(the_reference_in_bf16_is_a_chain_of_pairs_of_rounded_operands),
	        TEST(the_reference_in_tiles_is_two_chains_for_every_32_k),
	        TEST(rounding_to_bf16_is_to_nearest_even),
	        TEST(strict_rows_depend_on_themselves_alone),
	        TEST(very_long_sums_do_not_depend_on_threads),
	        TEST(fast_openblas_is_caught_by_the_same_test),
	        TEST(gradients_do_not_depend_on_threads),
	        TEST(own_kernels_give_the_bits_of_the_formula),
	        TEST(a_matrix_that_is_lent_gives_the_bits_of_one_that_is_kept),
	        TEST(every_height_of_a_tile_gives_the_bits_of_the_formula),
	        TEST(zeros_and_denormals_are_those_of_the_formula),
	        TEST(every_backend_agrees_with_the_reference),
	        TEST(gradients_of_many_rows_agree_with_the_reference),
	        TEST(auto_finds_a_strict_backend_and_wrong_names_are_explained),
	        TEST(other_kernels_refuse_strict_or_keep_it),
	        TEST(failing_allocations_are_reported_and_leak_nothing),
	};

	if (argc == 2 && strcmp(argv[1], "strict-is-refused-or-holds") == 0)
		return strict_is_refused_or_holds();
	threads_set(2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
