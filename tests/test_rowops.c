/* Row operators: values against double formulas, every backward against finite differences, bits
 * independent of threads and other rows. */
#include "math/rowops.h"

#include "base/rng.h"
#include "base/threads.h"
#include "test.h"

static void fill(float *x, int n, uint32_t item)
{
	struct rng_key key = {.purpose = RNG_TEST, .item = item};

	for (int i = 0; i < n; i++)
		x[i] = (float)rng_normal(key, (uint32_t)i);
}

/* ---- lanes ---- */

/* The definition, as it stands in the header: element i to lane i mod 16, lanes in a tree. */
static float dot_by_definition(const float *x, const float *y, int n)
{
	float lane[LANES] = {0};

	for (int i = 0; i < n; i++)
		lane[i % LANES] = fmaf(x[i], y[i], lane[i % LANES]);
	for (int width = 8; width > 0; width /= 2)
		for (int l = 0; l < width; l++)
			lane[l] += lane[l + width];
	return lane[0];
}

static void sums_follow_the_definition_in_lanes_bit_for_bit(void **state)
{
	(void)state;
	enum { N = 1000 };
	static float x[N], y[N], one[N];

	fill(x, N, 1);
	fill(y, N, 2);
	for (int i = 0; i < N; i++)
		one[i] = 1;
	for (int n = 0; n < N; n += n < 70 ? 1 : 37) {
		float dot = row_dot(x, y, n), want = dot_by_definition(x, y, n);
		float sum = row_sum(x, n), want_sum = dot_by_definition(x, one, n);
		assert_memory_equal(&dot, &want, sizeof dot);
		assert_memory_equal(&sum, &want_sum, sizeof sum);
	}
}

/* ---- finite differences ---- */

enum {
	N = 3,
	D = 21,
	F = 19,
	E = 6,
	HEADS = 3,
	KEYS = 1,
	QKV = (HEADS + KEYS) * E,
	MOST = N * 2 * F
};

struct problem { /* loss = sum of weight * output of the operator at x */
	float x[MOST], other[MOST], weight[MOST], out[MOST], r[N * HEADS], raw[MOST];
	int   n_x, n_out;
	void (*forward)(struct problem *p); /* x -> out */
};

static double loss(struct problem *p)
{
	double sum = 0;

	p->forward(p);
	for (int i = 0; i < p->n_out; i++)
		sum += (double)p->weight[i] * (double)p->out[i];
	return sum;
}

/* Central differences of step 2^-6 err by about step^2 = 2.4e-4 of the third derivative and by
 * rounding 2^-24 / 2^-6 = 4e-6 of the loss. */
static void assert_gradient(struct problem *p, float *variable, const float *gradient, int n)
{
	const float step = 0x1p-6f;

	for (int i = 0; i < n; i++) {
		float  at = variable[i];
		double above, below;
		variable[i] = at + step;
		above = loss(p);
		variable[i] = at - step;
		below = loss(p);
		variable[i] = at;
		assert_close(gradient[i], (above - below) / (2 * (double)step), 2e-3);
	}
}

static void problem_fill(struct problem *p, uint32_t item)
{
	fill(p->x, MOST, 10 * item);
	fill(p->other, MOST, 10 * item + 1);
	fill(p->weight, MOST, 10 * item + 2);
}

static struct rmsnorm norm_of(int width, const float *gain)
{
	return (struct rmsnorm){.D = width, .gain = gain, .eps = 1e-5};
}

static void norm(struct problem *p)
{
	struct rmsnorm m = norm_of(D, p->other);

	rmsnorm_forward(&m, N, p->x, p->out, p->r);
}

static void rmsnorm_is_its_formula(void **state)
{
	(void)state;
	struct problem p = {.forward = norm};
	struct rmsnorm m = norm_of(D, p.other);

	problem_fill(&p, 3);
	norm(&p);
	for (int t = 0; t < N; t++) {
		double square = 0;
		for (int i = 0; i < D; i++)
			square += (double)p.x[t * D + i] * p.x[t * D + i];
		double r = 1 / sqrt(square / D + 1e-5);
		assert_close(p.r[t], r, 1e-6);
		for (int i = 0; i < D; i++)
			assert_close(p.out[t * D + i], p.x[t * D + i] * r * p.other[i], 1e-5);
	}
	float kept[N * D];
	memcpy(kept, p.out, sizeof kept);
	rmsnorm_forward(&m, N, p.x, p.out, NULL);
	assert_memory_equal(kept, p.out, sizeof kept);
}

static void rmsnorm_gradients_match_differences(void **state)
{
	(void)state;
	struct problem p = {.n_out = N * D, .forward = norm};
	struct rmsnorm m = norm_of(D, p.other);
	float          dx[N * D], dgain[D], already[N * D];

	problem_fill(&p, 4);
	norm(&p);
	fill(already, N * D, 99);
	memcpy(dx, already, sizeof dx);
	for (int i = 0; i < D; i++)
		dgain[i] = NAN; /* overwritten */
	rmsnorm_backward_add(&m, N, p.x, p.r, p.weight, dx);
	rmsnorm_gradient(&m, N, p.x, p.r, p.weight, dgain);
	for (int i = 0; i < N * D; i++)
		dx[i] -= already[i]; /* added */
	assert_gradient(&p, p.x, dx, N * D);
	assert_gradient(&p, p.other, dgain, D);
}

/* HEADS heads are normalised, two of queries and one of keys; the values behind them stay as they
 * are. */
static struct qknorm heads_of(const float *gain)
{
	return (struct qknorm){.H = HEADS - KEYS, .K = KEYS, .E = E, .stride = QKV, .gain = gain};
}

static void normed_heads(struct problem *p)
{
	struct qknorm q = heads_of(p->other);

	memcpy(p->out, p->x, sizeof p->out);
	qknorm_forward(&q, N, 1e-5, p->out, p->raw, p->r);
}

static void every_head_is_normalised_by_itself(void **state)
{
	(void)state;
	struct problem p = {.forward = normed_heads};
	struct qknorm  q = heads_of(p.other);
	float          kept[MOST], alone[E];

	problem_fill(&p, 13);
	normed_heads(&p);
	for (int t = 0; t < N; t++) {
		for (int h = 0; h < HEADS; h++) {
			struct rmsnorm m = norm_of(E, p.other + (h < HEADS - KEYS ? 0 : E));
			rmsnorm_forward(&m, 1, p.x + t * QKV + h * E, alone, NULL);
			assert_memory_equal(alone, p.out + t * QKV + h * E, sizeof alone);
			assert_memory_equal(p.raw + (t * HEADS + h) * E, p.x + t * QKV + h * E,
			                    sizeof alone);
		}
		assert_memory_equal(p.out + t * QKV + HEADS * E, p.x + t * QKV + HEADS * E,
		                    KEYS * E * sizeof(float));
	}
	memcpy(kept, p.x, sizeof kept);
	qknorm_forward(&q, N, 1e-5, kept, NULL, NULL);
	assert_memory_equal(kept, p.out, sizeof kept);
}

static void gradients_of_normed_heads_match_differences(void **state)
{
	(void)state;
	struct problem p = {.n_out = N * QKV, .forward = normed_heads};
	struct qknorm  q = heads_of(p.other);
	float          d[MOST], dgain[2 * E];

	problem_fill(&p, 14);
	normed_heads(&p);
	memcpy(d, p.weight, sizeof d);
	for (int i = 0; i < 2 * E; i++)
		dgain[i] = NAN; /* overwritten */
	qknorm_gradient(&q, N, p.raw, p.r, d, dgain);
	qknorm_backward(&q, N, p.raw, p.r, d);
	assert_gradient(&p, p.x, d, N * QKV);
	assert_gradient(&p, p.other, dgain, 2 * E);
}

static void biased(struct problem *p)
{
	memcpy(p->out, p->x, sizeof p->out);
	bias_forward(N, D, p->other, p->out);
}

static void a_bias_is_added_to_every_row_and_gets_their_sum(void **state)
{
	(void)state;
	struct problem p = {.n_out = N * D, .forward = biased};
	float          dbias[D];

	problem_fill(&p, 15);
	biased(&p);
	for (int i = 0; i < N * D; i++)
		assert_true(p.out[i] == p.x[i] + p.other[i % D]);
	bias_gradient(N, D, p.weight, dbias);
	assert_gradient(&p, p.other, dbias, D);
}

static void swiglu(struct problem *p)
{
	swiglu_forward(N, F, p->x, p->out);
}

static void swiglu_and_its_gradient_are_right(void **state)
{
	(void)state;
	struct problem p = {.n_out = N * F, .forward = swiglu};
	float          dgu[N * 2 * F];

	problem_fill(&p, 5);
	swiglu(&p);
	for (int i = 0; i < N * F; i++) {
		double g = p.x[i / F * 2 * F + i % F], u = p.x[i / F * 2 * F + F + i % F];
		assert_close(p.out[i], g / (1 + exp(-g)) * u, 2e-6);
	}
	swiglu_backward(N, F, p.x, p.weight, dgu);
	assert_gradient(&p, p.x, dgu, N * 2 * F);
}

/* ---- rotary positions ---- */

static void plain_table(int n, int width, float *table)
{
	float frequency[128];

	for (int i = 0; i < width / 2; i++)
		frequency[i] = (float)pow(10000, -2.0 * i / width);
	rope_table(n, width, frequency, table);
}

static void rope_turns_each_pair_by_its_angle_and_back(void **state)
{
	(void)state;
	enum { STRIDE = HEADS * E + 5, POSITIONS = 40 };
	float     table[POSITIONS * E], x[N * STRIDE], before[N * STRIDE];
	const int position[N] = {0, 7, 39};

	plain_table(POSITIONS, E, table);
	fill(x, N * STRIDE, 6);
	memcpy(before, x, sizeof x);
	rope_apply(&(struct rope_rows){N, HEADS, E, STRIDE, position, table}, 1, x);
	for (int t = 0; t < N; t++)
		for (int h = 0; h < HEADS; h++)
			for (int i = 0; i < E / 2; i++) {
				double angle = position[t] * pow(10000, -2.0 * i / E);
				double a = before[t * STRIDE + h * E + i],
				       b = before[t * STRIDE + h * E + E / 2 + i];
				assert_close(x[t * STRIDE + h * E + i],
				             a * cos(angle) - b * sin(angle), 1e-5);
				assert_close(x[t * STRIDE + h * E + E / 2 + i],
				             b * cos(angle) + a * sin(angle), 1e-5);
			}
	for (int t = 0; t < N; t++) /* what lies behind the heads is not touched */
		assert_memory_equal(x + t * STRIDE + HEADS * E, before + t * STRIDE + HEADS * E,
		                    5 * sizeof *x);
	rope_apply(&(struct rope_rows){N, HEADS, E, STRIDE, position, table}, -1, x);
	for (int i = 0; i < N * STRIDE; i++)
		assert_close(x[i], before[i], 1e-6);
}

/* ---- softmax ---- */

enum { V = 83, VOCABULARY = 49152 };

static void stats_by_definition(const float *z, int n, double inverse_temperature, double *lse,
                                double *entropy)
{
	double max = -INFINITY, sum = 0, weighted = 0;

	for (int v = 0; v < n; v++)
		max = fmax(max, (double)z[v] * inverse_temperature);
	for (int v = 0; v < n; v++) {
		double t = (double)z[v] * inverse_temperature - max;
		sum += exp(t);
		weighted += t > -700 ? exp(t) * t : 0;
	}
	*lse = max + log(sum);
	*entropy = log(sum) - weighted / sum;
}

static void softmax_stats_match_double_arithmetic(void **state)
{
	(void)state;
	static float       z[VOCABULARY];
	static const float temperatures[] = {1, 0.7f, 2, 1e-3f};

	for (int i = 0; i < 4; i++)
		for (int n = 1; n <= VOCABULARY; n = n < 100 ? n + 13 : n * 7 + 1) {
			double lse, entropy;
			float  got_lse, got_entropy, it = 1 / temperatures[i];
			fill(z, n, (uint32_t)n);
			if (n > 20)
				z[n - 1] = -INFINITY; /* a masked token */
			stats_by_definition(z, n, (double)it, &lse, &entropy);
			row_softmax_stats(z, n, it, &got_lse, &got_entropy);
			assert_close(got_lse, lse, 2e-7 * fabs(lse) + 1e-6);
			assert_close(got_entropy, entropy, 3e-6);
			assert_close(row_logprob(z, 0, it, got_lse),
			             (double)z[0] * (double)it - lse,
			             4e-7 * (fabs(lse) + fabs((double)(z[0] * it))) + 1e-6);
		}
}

static void a_nan_among_the_logits_reaches_the_result(void **state)
{
	(void)state;
	float z[V], lse, entropy;

	for (int at = 0; at < V; at += 11) {
		fill(z, V, 8);
		z[at] = NAN;
		row_softmax_stats(z, V, 1, &lse, &entropy);
		assert_true(isnan(lse) && isnan(entropy));
	}
}

/* L = c log p_y + h entropy, in double, by its definition. */
static double logprob_loss(const float *z, int y, double it, double c, double h)
{
	double lse, entropy;

	stats_by_definition(z, V, it, &lse, &entropy);
	return c * ((double)z[y] * it - lse) + h * entropy;
}

static void logprob_gradient_matches_differences(void **state)
{
	(void)state;
	static const float c[] = {1, -0.7f, 0, 0.4f}, h[] = {0, 0, 1, -0.3f};

	for (int k = 0; k < 4; k++) {
		const float step = 0x1p-8f, it = 1.25f;
		const int   y = 17;
		float       z[V], dz[V], lse, entropy;
		fill(z, V, 9);
		z[40] = -INFINITY;
		row_softmax_stats(z, V, it, &lse, &entropy);
		memcpy(dz, z, sizeof z);
		row_logprob_backward(dz, V,
		                     &(struct row_backward){y, it, lse, entropy, c[k], h[k]});
		for (int v = 0; v < V; v++) {
			float at = z[v];
			z[v] = at + step;
			double above = logprob_loss(z, y, it, c[k], h[k]);
			z[v] = at - step;
			double below = logprob_loss(z, y, it, c[k], h[k]);
			z[v] = at;
			assert_close(dz[v], v == 40 ? 0 : (above - below) / (2 * (double)step),
			             3e-6);
		}
	}
}

/* ---- bits ---- */

enum { ROWS = 33, WIDTH = 150 };

struct outputs {
	float y[ROWS * WIDTH], r[ROWS], dx[ROWS * WIDTH], dgain[WIDTH], a[ROWS * WIDTH / 2],
	        dgu[ROWS * WIDTH], rope[ROWS * WIDTH];
	float normed[ROWS * WIDTH], raw[ROWS * WIDTH], r_heads[ROWS * WIDTH], d_heads[ROWS * WIDTH],
	        dgain_heads[WIDTH], biased[ROWS * WIDTH], dbias[WIDTH];
};

/* Every operator on the rows first .. first+n-1. */
static void apply_all(int first, int n, struct outputs *o)
{
	static float   x[ROWS * WIDTH], dy[ROWS * WIDTH], gain[WIDTH], table[ROWS * WIDTH];
	const float   *xf = x + first * WIDTH, *dyf = dy + first * WIDTH;
	struct rmsnorm m = norm_of(WIDTH, gain);
	struct qknorm  q = {.H = 2, .K = 1, .E = WIDTH / 4, .stride = WIDTH, .gain = gain};
	int            position[ROWS];

	fill(x, ROWS * WIDTH, 20);
	fill(dy, ROWS * WIDTH, 21);
	fill(gain, WIDTH, 22);
	plain_table(ROWS, WIDTH, table);
	memset(o, 0, sizeof *o);
	for (int i = 0; i < n; i++)
		position[i] = first + i;
	rmsnorm_forward(&m, n, xf, o->y, o->r);
	rmsnorm_backward_add(&m, n, xf, o->r, dyf, o->dx);
	rmsnorm_gradient(&m, n, xf, o->r, dyf, o->dgain);
	swiglu_forward(n, WIDTH / 2, xf, o->a);
	swiglu_backward(n, WIDTH / 2, xf, dy + first * WIDTH / 2, o->dgu);
	memcpy(o->rope, xf, (size_t)(n * WIDTH) * sizeof *o->rope);
	rope_apply(&(struct rope_rows){n, 1, WIDTH, WIDTH, position, table}, 1, o->rope);
	memcpy(o->normed, xf, (size_t)(n * WIDTH) * sizeof *xf);
	memcpy(o->biased, xf, (size_t)(n * WIDTH) * sizeof *xf);
	memcpy(o->d_heads, dyf, (size_t)(n * WIDTH) * sizeof *xf);
	qknorm_forward(&q, n, 1e-5, o->normed, o->raw, o->r_heads);
	qknorm_gradient(&q, n, o->raw, o->r_heads, dyf, o->dgain_heads);
	qknorm_backward(&q, n, o->raw, o->r_heads, o->d_heads);
	bias_forward(n, WIDTH, gain, o->biased);
	bias_gradient(n, WIDTH, dyf, o->dbias);
}

static void threads_and_other_rows_change_no_bit(void **state)
{
	(void)state;
	static struct outputs whole, other;

	threads_set(1);
	apply_all(0, ROWS, &whole);
	for (int t = 2; t <= 8; t += t < 3 ? 1 : 5) {
		threads_set(t);
		apply_all(0, ROWS, &other);
		assert_memory_equal(&whole, &other, sizeof whole);
	}
	for (int row = 0; row < ROWS; row += 4) {
		apply_all(row, 1, &other);
		assert_memory_equal(whole.y + row * WIDTH, other.y, WIDTH * sizeof(float));
		assert_memory_equal(whole.dx + row * WIDTH, other.dx, WIDTH * sizeof(float));
		assert_memory_equal(whole.a + row * WIDTH / 2, other.a, WIDTH / 2 * sizeof(float));
		assert_memory_equal(whole.dgu + row * WIDTH, other.dgu, WIDTH * sizeof(float));
		assert_memory_equal(whole.rope + row * WIDTH, other.rope, WIDTH * sizeof(float));
		assert_memory_equal(whole.normed + row * WIDTH, other.normed,
		                    WIDTH * sizeof(float));
		assert_memory_equal(whole.d_heads + row * WIDTH, other.d_heads,
		                    WIDTH * sizeof(float));
		assert_memory_equal(whole.biased + row * WIDTH, other.biased,
		                    WIDTH * sizeof(float));
	}
	threads_set(2);
}

TEST_MAIN(TEST(sums_follow_the_definition_in_lanes_bit_for_bit), TEST(rmsnorm_is_its_formula),
          TEST(rmsnorm_gradients_match_differences), TEST(every_head_is_normalised_by_itself),
          TEST(gradients_of_normed_heads_match_differences),
          TEST(a_bias_is_added_to_every_row_and_gets_their_sum),
          TEST(swiglu_and_its_gradient_are_right), TEST(rope_turns_each_pair_by_its_angle_and_back),
          TEST(softmax_stats_match_double_arithmetic),
          TEST(a_nan_among_the_logits_reaches_the_result),
          TEST(logprob_gradient_matches_differences), TEST(threads_and_other_rows_change_no_bit))
