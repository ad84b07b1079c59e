#include "model/sampling.h"

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

/* p = (.1, .4, .1, .2, .15, .05): drawn from an even grid of u, each token must come up as often as its p says */
static const float logits[V] = {-2.3025851f, -0.9162907f, -2.3025851f, -1.6094379f, -1.8971200f, -2.9957323f};

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
	        {{1, 2, 1, 0}, {0, 2 / 3., 0, 1 / 3., 0, 0}},               /* the two largest */
	        {{1, -1, 1, 0}, {.1, .4, .1, .2, .15, .05}},                /* -1 is off */
	        {{1, 0, .7f, 0}, {0, .4 / .75, 0, .2 / .75, .15 / .75, 0}}, /* .4 + .2 + .15 is the first sum >= .7 */
	        {{1, 5, 1, 0}, {.1 / .95, .4 / .95, .1 / .95, .2 / .95, .15 / .95, 0}},
	        {{1, 4, 1, 0}, {.1 / .85, .4 / .85, 0, .2 / .85, .15 / .85, 0}}, /* a tie at the cut: the smaller id stays */
	        {{1, 2, .6f, 0}, {0, 1, 0, 0, 0, 0}},                            /* top_p counts in what top_k left: .4/.6 >= .6 */
	        {{1, 0, 1, .3f}, {0, .4 / .75, 0, .2 / .75, .15 / .75, 0}},      /* p >= .3 * .4 */
	};
	double share[V];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		frequencies(&cases[i].s, share);
		for (int v = 0; v < V; v++)
			if (!(fabs(share[v] - cases[i].p[v]) <= 2e-4))
				fail_msg("case %zu: token %d has share %.5f, expected %.5f", i, v, share[v], cases[i].p[v]);
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
	const struct sampling all[] = {{1, 0, 1, 0}, {1, 2, 1, 0}, {1, 0, .9f, 0}, {1, 0, 1, .1f}, {0, 0, 1, 0}};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (int k = 0; k < 3; k++) {
			struct sampled a = draw(&all[i], z, 4, k == 2 ? 0x1.fffffep-1f : 0.5f * (float)k);
			assert_int_equal(a.token, 1);
			assert_close(a.logp, 0, 1e-6);
			assert_close(a.entropy, 0, 1e-6);
		}
}

TEST_MAIN(TEST(tokens_come_up_as_often_as_their_probability), TEST(filters_keep_what_their_definitions_say),
          TEST(filters_never_change_what_is_recorded), TEST(temperature_zero_ignores_the_random_number_and_takes_the_first_of_equals),
          TEST(temperature_divides_the_logits), TEST(extreme_logits_give_finite_results))
