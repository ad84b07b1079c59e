#include "math/elementary.h"
#include "math/rowops.h"
#include "model/penalty.h"

#include "test.h"

enum { V = 6 };
static const struct sampling plain = {.temperature = 1, .top_p = 1};

static struct sampled draw(const struct sampling *s, const float *z, int n, float u)
{
	struct candidate scratch[64];
	struct sampled   out;

	assert_true(n <= 64);
	sampling_draw(s, z, n, u, scratch, &out);
	return out;
}

/* p = (.1, .4, .1, .2, .15, .05): drawn from an even grid of u, each token must come up as often as
 * its p says */
static const float logits[V] = {-2.3025851f, -0.9162907f, -2.3025851f,
                                -1.6094379f, -1.8971200f, -2.9957323f};

static void frequencies(const struct sampling *s, double *share)
{
	enum { N = 20000 };

	memset(share, 0, V * sizeof *share);
	for (int i = 0; i < N; i++)
		share[draw(s, logits, V, (float)(i + 0.5) / N).token] += 1.0 / N;
}

static void tokens_come_up_as_often_as_their_probability(void **state)
{
	(void)state;
	const double p[V] = {.1, .4, .1, .2, .15, .05};
	double       share[V];

	frequencies(&plain, share);
	for (int v = 0; v < V; v++)
		assert_close(share[v], p[v], 2e-4);
}

static void filters_keep_what_their_definitions_say(void **state)
{
	(void)state;
	static const struct {
		struct sampling s;
		double          p[V];
	} cases[] = {
	        {{1, 2, 1, 0}, {0, 2 / 3., 0, 1 / 3., 0, 0}}, /* the two largest */
	        {{1, -1, 1, 0}, {.1, .4, .1, .2, .15, .05}},  /* -1 is off */
	        /* .4 + .2 + .15 is the first sum >= .7 */
	        {{1, 0, .7f, 0}, {0, .4 / .75, 0, .2 / .75, .15 / .75, 0}},
	        {{1, 5, 1, 0}, {.1 / .95, .4 / .95, .1 / .95, .2 / .95, .15 / .95, 0}},
	        /* a tie at the cut: the smaller id stays */
	        {{1, 4, 1, 0}, {.1 / .85, .4 / .85, 0, .2 / .85, .15 / .85, 0}},
	        /* top_p counts in what top_k left: .4/.6 >= .6 */
	        {{1, 2, .6f, 0}, {0, 1, 0, 0, 0, 0}},
	        {{1, 0, 1, .3f}, {0, .4 / .75, 0, .2 / .75, .15 / .75, 0}}, /* p >= .3 * .4 */
	};
	double share[V];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		frequencies(&cases[i].s, share);
		for (int v = 0; v < V; v++)
			if (!(fabs(share[v] - cases[i].p[v]) <= 2e-4))
				fail_msg("case %zu: token %d has share %.5f, expected %.5f", i, v,
				         share[v], cases[i].p[v]);
	}
}

/* A set whose probability is top_p exactly is enough. The bounds are the sums that the sampler
 * itself adds up. */
static void a_nucleus_ends_where_its_sum_is_top_p(void **state)
{
	(void)state;
	static const float z[4] = {0, -1, -1, -2};
	struct candidate   c[4];
	struct sampled     out;

	/* a filter that keeps all: c has the probabilities, sorted */
	sampling_draw(&(struct sampling){.temperature = 1, .top_k = 4, .top_p = 1}, z, 4, 0, c,
	              &out);
	for (int kept = 1; kept <= 2; kept++) {
		double          sum = kept == 1 ? (double)c[0].p : (double)c[0].p + (double)c[1].p;
		struct sampling exact = {.temperature = 1, .top_p = (float)sum};
		/* of two floats: rounded up it would ask for more */
		if ((double)exact.top_p != sum)
			exact.top_p = nextafterf((float)sum, 0);
		assert_int_equal(draw(&exact, z, 4, .999999f).token, kept - 1);
		exact.top_p = nextafterf(nextafterf((float)sum, 1), 1);
		assert_int_equal(draw(&exact, z, 4, .999999f).token, kept);
	}
}

/* The sums of the definition, one token after the other, over more tokens than are looked at
 * together. */
static void a_draw_is_the_first_token_whose_running_sum_exceeds_u(void **state)
{
	enum { MANY = 2500 };
	static float            z[MANY];
	static struct candidate c[MANY];
	struct sampled          out;
	float                   lse, entropy;

	(void)state;
	for (int v = 0; v < MANY; v++)
		z[v] = v % 7 == 3 ? -INFINITY : (float)(v * 37 % 101) / 25;
	row_softmax_stats(z, MANY, 1, &lse, &entropy);
	for (int i = 0; i < 400; i++) {
		float  u = (float)i / 400;
		double sum = 0;
		int    v = -1;
		do {
			v++;
			sum += elementary_exp(z[v] - lse);
		} while (sum <= u);
		sampling_draw(&plain, z, MANY, u, c, &out);
		assert_int_equal(out.token, v);
	}
}

static void filters_never_change_what_is_recorded(void **state)
{
	(void)state;
	const struct sampling narrow = {1, 3, .9f, .01f};

	for (int i = 0; i < 50; i++) {
		struct sampled a = draw(&narrow, logits, V, (float)i / 50);
		assert_close(a.logp, logits[a.token], 1e-6);
		assert_close(a.entropy, 1.5833, 1e-3);
	}
}

static void temperature_zero_ignores_the_random_number_and_takes_the_first_of_equals(void **state)
{
	(void)state;
	const struct sampling greedy = {.temperature = 0, .top_p = 1};
	const float           tie[4] = {1, 3, 3, 2};

	for (int i = 0; i < 10; i++)
		assert_int_equal(draw(&greedy, tie, 4, (float)i / 10).token, 1);
}

static void temperature_divides_the_logits(void **state)
{
	(void)state;
	const struct sampling hot = {.temperature = 2, .top_p = 1};
	const float           z[2] = {2, 0};
	struct sampled        a = draw(&hot, z, 2, 0);

	assert_int_equal(a.token, 0);
	assert_close(a.logp, -log1p(exp(-1)), 1e-6);
}

static void extreme_logits_give_finite_results(void **state)
{
	(void)state;
	const float           z[4] = {-1e30f, 80, -1e30f, -1e4f};
	const struct sampling all[] = {
	        {1, 0, 1, 0}, {1, 2, 1, 0}, {1, 0, .9f, 0}, {1, 0, 1, .1f}, {0, 0, 1, 0}};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (int k = 0; k < 3; k++) {
			struct sampled a =
			        draw(&all[i], z, 4, k == 2 ? 0x1.fffffep-1f : 0.5f * (float)k);
			assert_int_equal(a.token, 1);
			assert_close(a.logp, 0, 1e-6);
			assert_close(a.entropy, 0, 1e-6);
		}
}

/* Worked by the rules of transformers' processors (logits_process.py of 5.24). N: never. */
static void penalties_are_those_of_transformers(void **state)
{
	(void)state;
	enum { W = 6 };
	const float N = PENALTY_NEVER;
	int words[][3] = {{4}, {1, 2, 5}, {3}, {9}, {0, 1, 2}}, lists[][2] = {{2, -1}, {0, 77}};
	static const int    prompt[] = {1, 2}, completion[] = {1, 2}, end[] = {3, 5};
	struct penalty_list word[] = {
	        {words[0], 1}, {words[1], 3}, {words[2], 1}, {words[3], 1}, {words[4], 3}};
	const struct {
		struct penalty p;
		int            n_completion;
		float          z[W];
	} cases[] = {
	        /* once, though 1 and 2 stand twice in the text */
	        {{.repetition = 2}, 2, {1, -4, 1, 3, -1, 0}},
	        {{.repetition = 0.5}, 2, {1, -1, 4, 3, -1, 0}},
	        {{.repetition = 1}, 2, {1, -2, 2, 3, -1, 0}},
	        {{.ngram = 1}, 2, {1, N, N, 3, -1, 0}},
	        {{.ngram = 1}, 0, {1, N, N, 3, -1, 0}}, /* the last token, too */
	        {{.ngram = 2}, 2, {1, N, 2, 3, -1, 0}}, /* 2 1 stands there */
	        {{.ngram = 3}, 2, {1, N, 2, 3, -1, 0}}, /* 1 2 1 */
	        {{.ngram = 4}, 2, {1, -2, 2, 3, -1, 0}},
	        {{.ngram = 9}, 2, {1, -2, 2, 3, -1, 0}},
	        {{.ngram = 2}, 1, {1, -2, N, 3, -1, 0}},
	        /* an end alone is no bad word, 9 no token */
	        {{.word = word, .n_words = 5}, 2, {1, -2, 2, 3, N, N}},
	        {{.word = word, .n_words = 5}, 1, {1, -2, 2, 3, N, 0}},
	        {{.min_length = 4}, 2, {1, -2, 2, 3, -1, 0}},
	        {{.min_length = 5}, 2, {1, -2, 2, N, -1, N}},
	        {{.min_new_tokens = 2}, 2, {1, -2, 2, 3, -1, 0}},
	        {{.min_new_tokens = 3}, 2, {1, -2, 2, N, -1, N}},
	        {{.suppress = {lists[0], 2}}, 2, {1, -2, N, 3, -1, 0}},
	        {{.begin = {lists[1], 2}}, 1, {1, -2, 2, 3, -1, 0}},
	        {{.begin = {lists[1], 2}}, 0, {N, -2, 2, 3, -1, 0}},
	        /* suppressed after, not scaled */
	        {{.repetition = 2, .suppress = {lists[0], 2}}, 2, {1, -4, N, 3, -1, 0}},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct penalty_text text = {prompt, completion, end, 2, cases[i].n_completion,
		                                  2};
		float                     z[W] = {1, -2, 2, 3, -1, 0};
		struct candidate          scratch[W];
		penalty_apply(&cases[i].p, &text, W, z, scratch);
		for (int v = 0; v < W; v++)
			if (z[v] != cases[i].z[v])
				fail_msg("case %zu, token %d: %g, expected %g", i, v, (double)z[v],
				         (double)cases[i].z[v]);
	}
}

static void a_row_with_tokens_that_never_come_still_has_an_entropy(void **state)
{
	(void)state;
	const float    z[V] = {PENALTY_NEVER, 1, PENALTY_NEVER, 1, PENALTY_NEVER, PENALTY_NEVER};
	struct sampled s = draw(&plain, z, V, .75f);

	assert_int_equal(s.token, 3);
	assert_close(s.logp, -0.6931472, 1e-6);
	assert_close(s.entropy, 0.6931472, 1e-6);
	assert_int_equal(
	        draw(&(struct sampling){.temperature = 0.001f, .top_p = 1}, z, V, .25f).token, 1);
}

TEST_MAIN(TEST(penalties_are_those_of_transformers),
          TEST(a_row_with_tokens_that_never_come_still_has_an_entropy),
          TEST(tokens_come_up_as_often_as_their_probability),
          TEST(filters_keep_what_their_definitions_say),
          TEST(a_draw_is_the_first_token_whose_running_sum_exceeds_u),
          TEST(a_nucleus_ends_where_its_sum_is_top_p), TEST(filters_never_change_what_is_recorded),
          TEST(temperature_zero_ignores_the_random_number_and_takes_the_first_of_equals),
          TEST(temperature_divides_the_logits), TEST(extreme_logits_give_finite_results))
