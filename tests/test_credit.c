#include "estimator/credit.h"

#include "test.h"

#define TOLERANCE 1e-6

/* The worked example: five segments in two answers of one group, with an observation between the
 * turns that must not matter. Lengths of the segments 2, 2, 1 | 2, 1; 0 in `trained` is the
 * observation. */
enum { R = 2, T = 11, SEGMENTS = 5 };
static int           offset[R + 1] = {0, 7, 11};
static unsigned char trained[T] = {1, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1};
static float         entropy[T] = {0.1f, 0.3f, 90, 1.5f, 0.5f, -7, 0.6f, 1.3f, 1.5f, 55, 0.4f};
static int64_t       group[R] = {3, 3};
static double        reward[R] = {1, 0};
static const int     segment_of[T] = {0, 0, -1, 1, 1, -1, 2, 3, 3, -1, 4};

static struct batch worked(void)
{
	return (struct batch){.n = R,
	                      .offset = offset,
	                      .trained = trained,
	                      .group = group,
	                      .reward = reward,
	                      .entropy = entropy};
}

static struct credit_options empg(void)
{
	return (struct credit_options){.empg = 1, .k = 1, .k_bonus = 1, .zeta = 0.1};
}

static struct credit_stats apply(const struct credit_options *o, const struct batch *b,
                                 float *advantage)
{
	struct credit_stats stats;
	struct arena        scratch = {0};
	struct batch        with = *b;

	with.advantage = advantage;
	assert_ok(
	        credit_apply(o, &with, (struct rng_key){1, RNG_CREDIT, 5, 0, 0}, &scratch, &stats));
	arena_free(&scratch);
	return stats;
}

static void spread(double first, double second, float *advantage)
{
	for (int t = 0; t < T; t++)
		advantage[t] = trained[t] ? (float)(t < offset[1] ? first : second) : 0;
}

static void assert_segments(const float *advantage, const double *want)
{
	for (int t = 0; t < T; t++)
		assert_close(advantage[t], segment_of[t] < 0 ? 0 : want[segment_of[t]], TOLERANCE);
}

static void turns_match_the_worked_numbers(void **state)
{
	(void)state;
	struct credit_options o = empg();
	struct batch          b = worked();
	struct credit_stats   s;
	float                 a[T];

	spread(1, -1, a);
	s = apply(&o, &b, a);
	assert_segments(a, (double[]){1.166623, .480577, .703779, -.785779, -1.565200});
	assert_close(s.segments, SEGMENTS, 0);
	assert_close(s.shift, .336388, TOLERANCE);
	assert_close(s.g_min, .534039, TOLERANCE);
	assert_close(s.g_max, 1.451670, TOLERANCE);
}

/* The two exponents are two: 1.3 and .7, by the formula at the top of credit.h. */
static void the_scale_and_the_bonus_have_exponents_of_their_own(void **state)
{
	(void)state;
	struct credit_options o = {.empg = 1, .k = 1.3, .k_bonus = .7, .zeta = .1};
	struct batch          b = worked();
	const double          H[SEGMENTS] = {.2, 1, .6, 1.4, .4}, A[SEGMENTS] = {1, 1, 1, -1, -1};
	double                g[SEGMENTS], want[SEGMENTS], sum = 0, mean = 0;
	float                 a[T];

	for (int s = 0; s < SEGMENTS; s++)
		sum += g[s] = exp(-1.3 * (H[s] - .2) / (1.2 + 1e-8));
	for (int s = 0; s < SEGMENTS; s++) {
		double bonus =
		        s == 2 || s == 4 ? 0 : .1 * exp(-.7 * (H[s + 1] - .2) / (1.2 + 1e-8));
		want[s] = A[s] * g[s] / (sum / SEGMENTS) + bonus;
		mean += want[s] / SEGMENTS;
	}
	for (int s = 0; s < SEGMENTS; s++)
		want[s] -= mean;
	spread(1, -1, a);
	apply(&o, &b, a);
	assert_segments(a, want);
}

static void a_group_without_advantage_is_shaped_or_stays_zero(void **state)
{
	(void)state;
	struct credit_options o = empg();
	struct batch          b = worked();
	struct credit_stats   s;
	float                 a[T];

	spread(0, 0, a);
	s = apply(&o, &b, a);
	assert_segments(a, (double[]){.009813, .030125, -.041529, .043120, -.041529});
	assert_close(s.rows_zero, R, 0);
	o.zero_variance = ZERO_VARIANCE_ZERO;
	s = apply(&o, &b, (spread(0, 0, a), a));
	assert_segments(a, (double[SEGMENTS]){0});
	assert_close(s.segments, 0, 0);
}

/* A second group, all alike, beside the worked one. */
static void a_group_left_at_zero_does_not_move_the_others(void **state)
{
	(void)state;
	int           offsets[R + 2] = {0, 7, 11, 13};
	unsigned char with[T + 2] = {1, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1};
	float entropies[T + 2] = {0.1f, 0.3f, 90, 1.5f, 0.5f, -7, 0.6f, 1.3f, 1.5f, 55, 0.4f, 3, 4};
	int64_t               groups[R + 1] = {3, 3, 4};
	struct batch          b = {.n = R + 1,
	                           .offset = offsets,
	                           .trained = with,
	                           .group = groups,
	                           .reward = (double[]){1, 0, 0},
	                           .entropy = entropies};
	struct credit_options o = empg();
	float                 a[T + 2] = {0}, moved[T + 2] = {0};

	spread(1, -1, a);
	spread(1, -1, moved);
	apply(&o, &b, moved);
	o.zero_variance = ZERO_VARIANCE_ZERO;
	apply(&o, &b, a);
	assert_segments(a, (double[]){1.166623, .480577, .703779, -.785779, -1.565200});
	assert_true(a[T] == 0 && a[T + 1] == 0);
	assert_true(fabsf(moved[0] - a[0]) > 0.01f && moved[T] != 0);
}

static void without_k_and_zeta_only_the_mean_over_segments_is_taken_off(void **state)
{
	(void)state;
	struct credit_options o = {.empg = 1};
	struct batch          b = worked();
	float                 a[T];

	spread(1, -1, a);
	apply(&o, &b, a);
	assert_segments(a, (double[]){.8, .8, .8, -1.2, -1.2});
}

static void scales_have_mean_one(void **state)
{
	(void)state;
	struct credit_options o = {.empg = 1, .k = 2.5};
	struct batch          b = worked();
	float                 a[T];

	/* with one advantage for all, A g - mean(A g) is A (g - mean g): the shift is A times the
	 * mean of g */
	spread(1, 1, a);
	assert_close(apply(&o, &b, a).shift, 1, 1e-12);
}

static void equal_entropies_leave_only_the_bonus(void **state)
{
	(void)state;
	struct credit_options o = empg();
	struct batch          b = worked();
	float                 same[T], a[T];

	for (int t = 0; t < T; t++)
		same[t] = 0.7f;
	b.entropy = same;
	spread(0, 0, a);
	apply(&o, &b, a); /* 0.1 where a segment follows, 3 of 5 */
	assert_segments(a, (double[]){.04, .04, -.06, .04, -.06});
}

static void observations_have_no_influence(void **state)
{
	(void)state;
	struct credit_options o = empg();
	struct batch          b = worked();
	float                 other[T], a[T], c[T];

	for (int t = 0; t < T; t++)
		other[t] = trained[t] ? entropy[t] : NAN;
	spread(1, -1, a);
	spread(1, -1, c);
	apply(&o, &b, a);
	b.entropy = other;
	apply(&o, &b, c);
	assert_memory_equal(a, c, sizeof a);
}

static void the_order_of_answers_changes_no_bit(void **state)
{
	(void)state;
	int                   offsets[R + 1] = {0, 4, 11};
	unsigned char         with[T];
	float                 entropies[T], a[T], c[T];
	struct credit_options o = empg();
	struct batch          b = worked(), swapped = {.n = R,
	                                               .offset = offsets,
	                                               .trained = with,
	                                               .group = group,
	                                               .reward = (double[]){0, 1},
	                                               .entropy = entropies};

	memcpy(with, trained + 7, 4);
	memcpy(with + 4, trained, 7);
	memcpy(entropies, entropy + 7, 4 * sizeof *entropy);
	memcpy(entropies + 4, entropy, 7 * sizeof *entropy);
	spread(1, -1, a);
	memcpy(c, a + 7, 4 * sizeof *a);
	memcpy(c + 4, a, 7 * sizeof *a);
	apply(&o, &b, a);
	apply(&o, &swapped, c);
	assert_memory_equal(a, c + 4, 7 * sizeof *a);
	assert_memory_equal(a + 7, c, 4 * sizeof *a);
}

/* The same segments as turns, cut by line ends instead of observations. */
static void lines_are_segments_too(void **state)
{
	(void)state;
	enum { N = 8 };
	unsigned char         all[N] = {1, 1, 1, 1, 1, 1, 1, 1}, line_end[] = {0, 1};
	int                   id[N] = {0, 1, 0, 1, 1, 0, 1, 0};
	float                 entropies[N] = {0.1f, 0.3f, 1.5f, 0.5f, 0.6f, 1.3f, 1.5f, 0.4f};
	const double          want[N] = {1.166623, 1.166623, .480577,  .480577,
	                                 .703779,  -.785779, -.785779, -1.565200};
	struct batch          b = {.n = R,
	                           .offset = (int[]){0, 5, 8},
	                           .trained = all,
	                           .group = group,
	                           .reward = reward,
	                           .entropy = entropies,
	                           .id = id};
	struct credit_options o = empg();
	float                 a[N] = {1, 1, 1, 1, 1, -1, -1, -1};

	o.line_end = line_end;
	apply(&o, &b, a);
	for (int t = 0; t < N; t++)
		assert_close(a[t], want[t], TOLERANCE);
}

static void shuffled_entropies_keep_their_distribution(void **state)
{
	(void)state;
	struct credit_options o = empg();
	struct batch          b = worked();
	struct credit_stats   plain, shuffled;
	float                 a[T], c[T], again[T];

	spread(1, -1, a);
	spread(1, -1, c);
	spread(1, -1, again);
	plain = apply(&o, &b, a);
	o.shuffle = 1;
	shuffled = apply(&o, &b, c);
	apply(&o, &b, again);
	assert_memory_equal(c, again, sizeof c);
	assert_memory_not_equal(a, c, sizeof a);
	assert_true(plain.g_min == shuffled.g_min && plain.g_max == shuffled.g_max &&
	            plain.entropy_mean == shuffled.entropy_mean);
}

static void an_answer_without_reward_counts_nowhere(void **state)
{
	(void)state;
	struct credit_options o = empg();
	struct batch          b = worked();
	float                 a[T];

	b.reward = (double[]){1, NAN};
	spread(1, 0, a);
	assert_close(apply(&o, &b, a).segments, 3, 0);
	for (int t = offset[1]; t < T; t++)
		assert_true(a[t] == 0);
}

static void tokens_of_a_segment_keep_their_differences(void **state)
{
	(void)state;
	struct credit_options o = {.empg = 1};
	struct batch          b = worked();
	float                 a[T];

	/* as a critic gives them: the mean over the segment is unchanged, and so is the shift */
	spread(1, -1, a);
	a[0] = 1.5f;
	a[1] = 0.5f;
	apply(&o, &b, a);
	assert_close(a[0], 1.3, TOLERANCE);
	assert_close(a[1], 0.3, TOLERANCE);
}

static void nothing_changes_without_empg_or_without_tokens(void **state)
{
	(void)state;
	struct credit_options o = {.k = 1, .zeta = 1};
	struct batch          b = worked();
	unsigned char         none[T] = {0};
	float                 a[T], before[T];

	spread(1, -1, a);
	memcpy(before, a, sizeof a);
	apply(&o, &b, a);
	assert_memory_equal(a, before, sizeof a);
	o.empg = 1;
	b.trained = none;
	assert_close(apply(&o, &b, a).segments, 0, 0);
}

TEST_MAIN(TEST(turns_match_the_worked_numbers),
          TEST(the_scale_and_the_bonus_have_exponents_of_their_own),
          TEST(a_group_without_advantage_is_shaped_or_stays_zero),
          TEST(a_group_left_at_zero_does_not_move_the_others),
          TEST(without_k_and_zeta_only_the_mean_over_segments_is_taken_off),
          TEST(scales_have_mean_one), TEST(equal_entropies_leave_only_the_bonus),
          TEST(observations_have_no_influence), TEST(the_order_of_answers_changes_no_bit),
          TEST(lines_are_segments_too), TEST(shuffled_entropies_keep_their_distribution),
          TEST(an_answer_without_reward_counts_nowhere),
          TEST(tokens_of_a_segment_keep_their_differences),
          TEST(nothing_changes_without_empg_or_without_tokens))
