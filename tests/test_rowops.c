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

static struct rownorm norm_of(int width, const float *gain)
{
	return (struct rownorm){.D = width, .gain = gain, .eps = 1e-5};
}

/* RMSNorm, with gains 1 + w, LayerNorm */
static const struct rownorm kinds[] = {{0}, {.shift = 1}, {.centred = 1}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };
static int kind;

static struct rownorm norm_of_kind(const float *gain)
{
	struct rownorm m = norm_of(D, gain);

	m.shift = kinds[kind].shift;
	m.centred = kinds[kind].centred;
	return m;
}

static void norm(struct problem *p)
{
	struct rownorm m = norm_of_kind(p->other);

	rownorm_forward(&m, N, p->x, p->out, p->r);
}

static void check_norm(void)
{
	struct problem p = {.forward = norm};
	struct rownorm m = norm_of_kind(p.other);

	problem_fill(&p, 3);
	norm(&p);
	for (int t = 0; t < N; t++) {
		double square = 0, mean = 0;
		for (int i = 0; i < D && m.centred; i++)
			mean += (double)p.x[t * D + i] / D;
		for (int i = 0; i < D; i++)
			square += (p.x[t * D + i] - mean) * (p.x[t * D + i] - mean);
		double r = 1 / sqrt(square / D + 1e-5);
		assert_close(p.r[t], r, 1e-6);
		for (int i = 0; i < D; i++)
			assert_close(p.out[t * D + i],
			             (p.x[t * D + i] - mean) * r * (p.other[i] + m.shift), 1e-5);
	}
	float kept[N * D];
	memcpy(kept, p.out, sizeof kept);
	rownorm_forward(&m, N, p.x, p.out, NULL);
	assert_memory_equal(kept, p.out, sizeof kept);
}

static void norms_are_their_formulas(void **state)
{
	(void)state;
	for (kind = 0; kind < N_KINDS; kind++)
		check_norm();
}

static void check_norm_gradients(void)
{
	struct problem p = {.n_out = N * D, .forward = norm};
	struct rownorm m = norm_of_kind(p.other);
	float          dx[N * D], dgain[D], already[N * D];

	problem_fill(&p, 4);
	norm(&p);
	fill(already, N * D, 99);
	memcpy(dx, already, sizeof dx);
	for (int i = 0; i < D; i++)
		dgain[i] = NAN; /* overwritten */
	rownorm_backward_add(&m, N, p.x, p.r, p.weight, dx);
	rownorm_gradient(&m, N, p.x, p.r, p.weight, dgain);
	for (int i = 0; i < N * D; i++)
		dx[i] -= already[i]; /* added */
	assert_gradient(&p, p.x, dx, N * D);
	assert_gradient(&p, p.other, dgain, D);
}

static void gradients_of_norms_match_differences(void **state)
{
	(void)state;
	for (kind = 0; kind < N_KINDS; kind++)
		check_norm_gradients();
}

/* HEADS heads are normalised, two of queries and one of keys; the values behind them stay as they
 * are. */
static struct qknorm heads_of(const float *gain)
{
	return (struct qknorm){.q = {HEADS - KEYS, E}, .k = {KEYS, E}, .stride = QKV, .gain = gain};
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
			struct rownorm m = norm_of(E, p.other + (h < HEADS - KEYS ? 0 : E));
			rownorm_forward(&m, 1, p.x + t * QKV + h * E, alone, NULL);
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

/* All heads of the queries are one group, those of the keys another. */
static struct qknorm all_heads_of(const float *gain)
{
	return (struct qknorm){.q = {1, (HEADS - KEYS) * E},
	                       .k = {1, KEYS * E},
	                       .stride = QKV,
	                       .gain = gain,
	                       .shift = 1};
}

static void normed_together(struct problem *p)
{
	struct qknorm q = all_heads_of(p->other);

	memcpy(p->out, p->x, sizeof p->out);
	qknorm_forward(&q, N, 1e-5, p->out, p->raw, p->r);
}

static void heads_that_are_normalised_together_are_one_wide_head(void **state)
{
	(void)state;
	struct problem p = {.n_out = N * QKV, .forward = normed_together};
	struct qknorm  q = all_heads_of(p.other);
	float          d[MOST], dgain[HEADS * E], alone[HEADS * E];

	problem_fill(&p, 16);
	normed_together(&p);
	for (int t = 0; t < N; t++)
		for (int part = 0; part < 2; part++) {
			int width = (part ? KEYS : HEADS - KEYS) * E,
			    at = part * (HEADS - KEYS) * E;
			struct rownorm m = norm_of(width, p.other + at);
			m.shift = 1;
			rownorm_forward(&m, 1, p.x + t * QKV + at, alone, NULL);
			assert_memory_equal(alone, p.out + t * QKV + at,
			                    (size_t)width * sizeof *alone);
		}
	memcpy(d, p.weight, sizeof d);
	qknorm_gradient(&q, N, p.raw, p.r, d, dgain);
	qknorm_backward(&q, N, p.raw, p.r, d);
	assert_gradient(&p, p.x, d, N * QKV);
	assert_gradient(&p, p.other, dgain, HEADS * E);
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

static double true_gelu(double x)
{
	return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

static void geglu(struct problem *p)
{
	geglu_forward(N, F, p->x, p->out);
}

static void ungated(struct problem *p)
{
	gelu_forward(N, F, p->x, p->out);
}

static void gelu_with_a_gate_and_without_and_their_gradients_are_right(void **state)
{
	(void)state;
	struct problem p = {.n_out = N * F, .forward = geglu};
	float          d[N * 2 * F];

	problem_fill(&p, 17);
	geglu(&p);
	for (int i = 0; i < N * F; i++) {
		double g = p.x[i / F * 2 * F + i % F], u = p.x[i / F * 2 * F + F + i % F];
		assert_close(p.out[i], true_gelu(g) * u, 2e-6);
	}
	geglu_backward(N, F, p.x, p.weight, d);
	assert_gradient(&p, p.x, d, N * 2 * F);
	p.forward = ungated;
	ungated(&p);
	for (int i = 0; i < N * F; i++)
		assert_close(p.out[i], true_gelu((double)p.x[i]), 2e-6);
	gelu_backward(N, F, p.x, p.weight, d);
	assert_gradient(&p, p.x, d, N * F);
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

static float logit_cap; /* 0: none */

/* L = c log p_y + h entropy, in double, by its definition; of logits that are capped first. */
static double logprob_loss(const float *raw, int y, double it, double c, double h)
{
	double lse, entropy;
	float  z[V];

	memcpy(z, raw, sizeof z);
	if (logit_cap > 0)
		row_cap(z, V, logit_cap);
	stats_by_definition(z, V, it, &lse, &entropy);
	return c * ((double)z[y] * it - lse) + h * entropy;
}

static void check_logprob_gradient(float c, float h)
{
	const float step = 0x1p-8f, it = 1.25f;
	const int   y = 17;
	float       z[V], dz[V], lse, entropy;

	fill(z, V, 9);
	if (logit_cap == 0)
		z[40] = -INFINITY;
	memcpy(dz, z, sizeof z);
	if (logit_cap > 0)
		row_cap(dz, V, logit_cap);
	row_softmax_stats(dz, V, it, &lse, &entropy);
	row_logprob_backward(dz, V, &(struct row_backward){y, it, lse, entropy, c, h, logit_cap});
	for (int v = 0; v < V; v++) {
		float at = z[v];
		z[v] = at + step;
		double above = logprob_loss(z, y, it, c, h);
		z[v] = at - step;
		double below = logprob_loss(z, y, it, c, h);
		z[v] = at;
		/* capped logits are floats */
		assert_close(dz[v], isinf(at) ? 0 : (above - below) / (2 * (double)step),
		             logit_cap > 0 ? 2e-5 : 3e-6);
	}
}

static void logprob_gradient_matches_differences(void **state)
{
	(void)state;
	static const float c[] = {1, -0.7f, 0, 0.4f}, h[] = {0, 0, 1, -0.3f};

	for (logit_cap = 0; logit_cap < 3; logit_cap += 1.5f)
		for (int k = 0; k < 4; k++)
			check_logprob_gradient(c[k], h[k]);
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
	struct rownorm m = norm_of(WIDTH, gain);
	struct qknorm q = {.q = {2, WIDTH / 4}, .k = {1, WIDTH / 4}, .stride = WIDTH, .gain = gain};
	int           position[ROWS];

	fill(x, ROWS * WIDTH, 20);
	fill(dy, ROWS * WIDTH, 21);
	fill(gain, WIDTH, 22);
	plain_table(ROWS, WIDTH, table);
	memset(o, 0, sizeof *o);
	for (int i = 0; i < n; i++)
		position[i] = first + i;
	rownorm_forward(&m, n, xf, o->y, o->r);
	rownorm_backward_add(&m, n, xf, o->r, dyf, o->dx);
	rownorm_gradient(&m, n, xf, o->r, dyf, o->dgain);
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

TEST_MAIN(TEST(sums_follow_the_definition_in_lanes_bit_for_bit), TEST(norms_are_their_formulas),
          TEST(gradients_of_norms_match_differences), TEST(every_head_is_normalised_by_itself),
          TEST(gradients_of_normed_heads_match_differences),
          TEST(heads_that_are_normalised_together_are_one_wide_head),
          TEST(gelu_with_a_gate_and_without_and_their_gradients_are_right),
          TEST(a_bias_is_added_to_every_row_and_gets_their_sum),
          TEST(swiglu_and_its_gradient_are_right), TEST(rope_turns_each_pair_by_its_angle_and_back),
          TEST(softmax_stats_match_double_arithmetic),
          TEST(a_nan_among_the_logits_reaches_the_result),
          TEST(logprob_gradient_matches_differences), TEST(threads_and_other_rows_change_no_bit))
