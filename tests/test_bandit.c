/* sec and dump against the worked numbers of their papers and released code, and the mean-field
 * simulator in which only plumbing matters. */
#include "base/json.h"
#include "curriculum/arms.h"
#include "curriculum/curriculum.h"
#include "curriculum/dump.h"
#include "curriculum/sec.h"
#include "rl/outcome.h"
#include "test.h"

enum { G = 8 };

static const struct curriculum_item three[] = {{"a", 1}, {"b", 2}, {"c", 3}};

static struct curriculum *make(const struct curriculum_options *o,
                               const struct curriculum_item *items, int n)
{
	struct curriculum *c;

	assert_ok(curriculum_new(o, items, n, &c));
	return c;
}

/* One answer to `item` with this |A|. */
static struct curriculum_outcome seen(int item, const double *advantage)
{
	return (struct curriculum_outcome){
	        .item = item, .n_rollouts = 1, .accuracy = NAN, .advantage = advantage};
}

static void assert_probabilities(struct curriculum *c, const double *want, double tolerance)
{
	double P[64], sum = 0;

	assert_true(curriculum_arms(c) <= 64);
	assert_int_equal(curriculum_probabilities(c, P), 1);
	for (int a = 0; a < curriculum_arms(c); a++) {
		assert_close(P[a], want[a], tolerance);
		sum += P[a];
	}
	assert_close(sum, 1, 1e-12);
}

/* ---- the advantage ---- */

static void
the_advantage_of_a_group_is_largest_for_half_right_and_exactly_zero_for_equal_rewards(void **state)
{
	(void)state;
	static const double want[G + 1] = {0,       .618718, .810093, .905711, .935414,
	                                   .905711, .810093, .618718, 0};
	static const double equal[] = {-1, 0, .1, 1 / 3.0, 1};
	double              reward[G], A[G];

	for (int k = 0; k <= G; k++) {
		double mean = 0;
		for (int i = 0; i < G; i++)
			reward[i] = i < k;
		outcome_advantages(reward, G, A);
		for (int i = 0; i < G; i++)
			mean += A[i] / G;
		assert_close(mean, want[k], 1e-6);
	}
	for (int k = 0; k < 5; k++) {
		for (int i = 0; i < G; i++)
			reward[i] = equal[k];
		outcome_advantages(reward, G, A);
		for (int i = 0; i < G; i++)
			assert_true(A[i] == 0);
	}
}

static void rewards_with_format_terms_give_the_mean_of_the_absolute_values(void **state)
{
	(void)state;
	static const double reward[G] = {3, 3, -.5, -.5, -.5, -3, -.5, -.5},
	                    want[G] = {1.4630, 1.4630, .2802, .2802, .2802, 1.5253, .2802, .2802};
	double A[G], mean = 0;

	outcome_advantages(reward, G, A);
	for (int i = 0; i < G; i++) {
		assert_close(A[i], want[i], 5e-5);
		mean += A[i] / G;
	}
	assert_close(mean, .731523, 1e-6);
}

static void an_unusable_reward_is_no_outcome_and_a_lone_one_is_worth_nothing(void **state)
{
	(void)state;
	const double reward[4] = {NAN, 0, INFINITY, 1}, lone[2] = {NAN, 5},
	             huge[2] = {1e200, -1e200};
	double A[4];

	outcome_advantages(reward, 4, A);
	assert_true(isnan(A[0]) && isnan(A[2]));
	assert_close(A[1], sqrt(.5), 1e-12);
	assert_close(A[3], sqrt(.5), 1e-12);
	outcome_advantages(lone, 2, A);
	assert_true(isnan(A[0]) && A[1] == 0);
	outcome_advantages(huge, 2, A);
	assert_true(isnan(A[0]) && isnan(A[1]));
}

/* ---- sec ---- */

static void
sec_reproduces_the_two_steps_under_both_update_rules_and_three_temperatures(void **state)
{
	(void)state;
	static const double temperature[] = {1, .4, .2};
	static const double want[2][3][3] = {
	        {{.315804, .278696, .405500},
	         {.277788, .203234, .518977},
	         {.198981, .106507, .694512}},
	        {{.353348, .275188, .371464},
	         {.374755, .200592, .424653},
	         {.389025, .111457, .499518}},
	};
	const double A[] = {.8, .3, .9};

	for (int keep = 0; keep < 2; keep++)
		for (int t = 0; t < 3; t++) {
			struct curriculum *c =
			        make(&(struct curriculum_options){.kind = "sec",
			                                          .seed = 1,
			                                          .alpha = .5,
			                                          .temperature = temperature[t],
			                                          .keep_unsampled = keep},
			             three, 3);
			struct curriculum_outcome first[] = {seen(0, &A[0]), seen(1, &A[1])},
			                          second = seen(2, &A[2]);
			assert_probabilities(c, (double[]){1 / 3.0, 1 / 3.0, 1 / 3.0}, 1e-15);
			curriculum_observe(c, first, 2);
			curriculum_observe(c, &second, 1);
			assert_probabilities(c, want[keep][t], 1e-6);
			curriculum_free(c);
		}
}

static void the_two_update_rules_differ_in_the_arms_that_were_not_sampled(void **state)
{
	(void)state;
	double code[3] = {0}, kept[3] = {0};

	sec_update(.5, 0, (double[]){.8, .3, NAN}, 3, code);
	sec_update(.5, 1, (double[]){.8, .3, NAN}, 3, kept);
	assert_memory_equal(code, kept, sizeof code);
	sec_update(.5, 0, (double[]){NAN, NAN, .9}, 3, code);
	sec_update(.5, 1, (double[]){NAN, NAN, .9}, 3, kept);
	for (int a = 0; a < 3; a++) {
		assert_close(code[a], ((double[]){.2, .075, .45})[a], 1e-15);
		assert_close(kept[a], ((double[]){.4, .15, .45})[a], 1e-15);
	}
}

static void answers_count_alike_whatever_group_of_the_arm_they_stand_in(void **state)
{
	(void)state;
	static const struct curriculum_item items[] = {{"a", 1}, {"a", 1}, {"b", 2}};
	const double                        many[] = {1, 1, 1, NAN}, few[] = {.2};
	struct curriculum_outcome           o[] = {{0, 4, NAN, many}, {1, 1, NAN, few}};
	struct curriculum                  *c = make(
	                         &(struct curriculum_options){
	                                 .kind = "sec", .seed = 1, .alpha = 1, .temperature = 1},
	                         items, 3);
	double odds = exp(.8);

	curriculum_observe(c, o, 2); /* (1 + 1 + 1 + .2) / 4 */
	assert_probabilities(c, (double[]){odds / (odds + 1), 1 / (odds + 1)}, 1e-12);
	curriculum_free(c);
}

static void with_one_arm_the_probability_is_1(void **state)
{
	(void)state;
	double Q = 0, A = .6;

	for (int k = 0; k < 2; k++) {
		struct curriculum *c = make(&(struct curriculum_options){.kind = k ? "dump" : "sec",
		                                                         .seed = 1,
		                                                         .alpha = .5,
		                                                         .temperature = .2,
		                                                         .window = 300,
		                                                         .exploration = 1},
		                            three, 1);
		for (int i = 0; i < 10; i++) {
			struct curriculum_outcome o = seen(0, &A);
			int                       x;
			curriculum_pick(c, 1, &x);
			assert_int_equal(x, 0);
			assert_probabilities(c, (double[]){1}, 0);
			curriculum_observe(c, &o, 1);
		}
		curriculum_free(c);
	}
	for (int i = 1; i <= 30; i++) {
		sec_update(.5, 0, &A, 1, &Q);
		/* converges geometrically to mean |A| */
		assert_close(Q, .6 * (1 - pow(.5, i)), 1e-12);
	}
}

/* ---- dump ---- */

static void assert_scores(const double *L, const double *count, const double *score,
                          const double *P, double tolerance)
{
	double got[3], p[3];

	for (int a = 0; a < 3; a++) {
		got[a] = dump_score(L[a], count[a], count[0] + count[1] + count[2], 1);
		assert_close(got[a], score[a], 1e-6);
	}
	arms_softmax(got, .1, 3, p);
	for (int a = 0; a < 3; a++)
		assert_close(p[a], P[a], tolerance);
}

static void dump_reproduces_the_three_worked_states(void **state)
{
	(void)state;
	const double L[] = {.5, .8, .78}, bonus[] = {.110677, .156458, .247087};

	assert_scores((double[]){.8, .3, 0}, (double[]){100, 50, 0},
	              (double[]){1.115202, .743572, 3.167737}, (double[]){1.2e-9, 3e-11, 1}, 1e-8);
	assert_scores(L, (double[]){20000, 10000, 4000}, (double[]){.532301, .845680, .852220},
	              (double[]){.020630, .473676, .505694}, 1e-6);
	assert_scores(L, (double[]){1250, 625, 250},
	              (double[]){L[0] + bonus[0], L[1] + bonus[1], L[2] + bonus[2]},
	              (double[]){.010301, .327017, .662682}, 1e-6);
}

/* The same through the interface, which counts and keeps windows by itself: groups of 4 answers. */
static void dump_counts_answers_or_problems(void **state)
{
	(void)state;
	const double A[] = {.9, .9, .1, .1};

	for (int prompts = 0; prompts < 2; prompts++) {
		struct curriculum        *c = make(&(struct curriculum_options){.kind = "dump",
		                                                                .seed = 1,
		                                                                .temperature = .1,
		                                                                .exploration = 1,
		                                                                .window = 300,
		                                                                .count_prompts = prompts},
		                                   three, 3);
		struct curriculum_outcome o[] = {{0, 4, NAN, A}, {0, 4, NAN, A}, {1, 4, NAN, A}};
		double                    unit = prompts ? 1 : 4, score[3], P[3];
		assert_probabilities(c, (double[]){1 / 3.0, 1 / 3.0, 1 / 3.0}, 1e-15);
		curriculum_observe(c, o, 3);
		score[0] = .5 + sqrt(2 * log(3 * unit + 1) / (2 * unit + 1));
		score[1] = .5 + sqrt(2 * log(3 * unit + 1) / (unit + 1));
		score[2] = sqrt(2 * log(3 * unit + 1));
		arms_softmax(score, .1, 3, P);
		assert_probabilities(c, P, 1e-6);
		curriculum_free(c);
	}
}

/* 310 answers worth 1, then 300 worth 0: exactly the last 300 are left, and a single newer one
 * enters with weight 1/300. */
static void the_window_keeps_exactly_the_last_300_answers(void **state)
{
	(void)state;
	struct curriculum *c = make(
	        &(struct curriculum_options){
	                .kind = "dump", .seed = 1, .temperature = 1, .window = 300},
	        three, 2);
	const double one = 1, zero = 0;

	for (int i = 0; i < 310; i++)
		curriculum_observe(c, &(struct curriculum_outcome){0, 1, NAN, &one}, 1);
	assert_probabilities(c, (double[]){1 / (1 + exp(-1)), 1 / (1 + exp(1))}, 1e-9);
	for (int i = 0; i < 299; i++)
		curriculum_observe(c, &(struct curriculum_outcome){0, 1, NAN, &zero}, 1);
	assert_probabilities(c, (double[]){1 / (1 + exp(-1 / 300.0)), 1 / (1 + exp(1 / 300.0))},
	                     1e-9);
	curriculum_observe(c, &(struct curriculum_outcome){0, 1, NAN, &zero}, 1);
	assert_probabilities(c, (double[]){.5, .5}, 1e-15);
	curriculum_observe(c, &(struct curriculum_outcome){0, 1, NAN, &one}, 1);
	assert_probabilities(c, (double[]){1 / (1 + exp(-1 / 300.0)), 1 / (1 + exp(1 / 300.0))},
	                     1e-9);
	curriculum_free(c);
}

/* ---- softmax ---- */

static void the_softmax_bears_scores_up_to_1000_and_temperature_0(void **state)
{
	(void)state;
	double P[3];

	arms_softmax((double[]){1000, 999.9, -1000}, .1, 3, P);
	assert_close(P[0], 1 / (1 + exp(-1)), 1e-9);
	assert_close(P[0] + P[1], 1, 1e-12);
	assert_true(P[2] == 0);
	arms_softmax((double[]){1000, 1000, 1000}, 1e-3, 3, P);
	assert_close(P[1], 1 / 3.0, 1e-15);
	arms_softmax((double[]){.5, .8, .8}, 0, 3, P);
	assert_true(P[0] == 0 && P[1] == .5 && P[2] == .5);
}

static void unusable_advantages_leave_no_trace(void **state)
{
	(void)state;
	static const char *const kinds[] = {"sec", "dump"};
	const double             bad[] = {NAN, INFINITY}, A = .7;

	for (int k = 0; k < 2; k++) {
		const struct curriculum_options o = {.kind = kinds[k],
		                                     .seed = 1,
		                                     .alpha = .5,
		                                     .temperature = .2,
		                                     .window = 10,
		                                     .exploration = 1};
		struct curriculum        *with = make(&o, three, 3), *without = make(&o, three, 3);
		struct curriculum_outcome both[] = {seen(0, &A), {1, 2, NAN, bad}};
		double                    P[3];
		curriculum_observe(with, both, 2);
		curriculum_observe(without, both, 1);
		curriculum_probabilities(without, P);
		assert_probabilities(with, P, 0);
		curriculum_free(with);
		curriculum_free(without);
	}
}

/* ---- the mean-field simulator: five arms of difficulty 0 2 4 6 8, one scalar skill; u_a is the
 * exact expectation of mean |A| ---- */

enum { ARMS = 5, STEPS_MAX = 600, NEVER = -1 };

static double expected_advantage(double q)
{
	double sum = 0, choose = 1;

	for (int k = 0; k <= G; k++) {
		double reward[G], A[G], mean = 0;
		for (int i = 0; i < G; i++)
			reward[i] = i < k;
		outcome_advantages(reward, G, A);
		for (int i = 0; i < G; i++)
			mean += A[i] / G;
		sum += choose * pow(q, k) * pow(1 - q, G - k) * mean;
		choose = choose * (G - k) / (k + 1);
	}
	return sum;
}

static void the_expected_advantage_is_flatter_than_the_formula(void **state)
{
	(void)state;
	static const double q[] = {.01, .05, .1, .25, .5},
	                    want[] = {.048319, .219767, .391924, .710722, .867904};

	for (int i = 0; i < 5; i++)
		assert_close(expected_advantage(q[i]), want[i], 1e-6);
}

struct world {
	/* counts: of dump, real numbers as the simulator wants them */
	double skill, u[ARMS], P[ARMS], counts[ARMS];
	int    reached[4]; /* first step with skill >= 2, 4, 6, 8 */
};

static void world_look(struct world *w, int step)
{
	for (int a = 0; a < ARMS; a++)
		w->u[a] = expected_advantage(1 / (1 + exp(-(w->skill - 2 * a))));
	for (int i = 0; i < 4; i++)
		if (w->reached[i] == NEVER && w->skill >= 2 * (i + 1))
			w->reached[i] = step;
}

static void world_learn(struct world *w)
{
	double gain = 0;

	for (int a = 0; a < ARMS; a++)
		gain += w->P[a] * w->u[a];
	w->skill += .1 * gain;
}

#define NEW_WORLD \
	{ \
		.reached = { NEVER, NEVER, NEVER, NEVER } \
	}

/* Step 0 is uniform for all methods, as nothing is known yet; a schedule therefore begins at step
 * 1. */
static struct world simulate(const struct curriculum_options *o, int steps, double *P_at_100)
{
	static const struct curriculum_item items[ARMS] = {
	        {"0", 0}, {"2", 2}, {"4", 4}, {"6", 6}, {"8", 8}};
	struct world       w = NEW_WORLD;
	struct curriculum *c = make(o, items, ARMS);

	for (int step = 0; step < steps; step++) {
		struct curriculum_outcome outcomes[ARMS];
		curriculum_probabilities(c, w.P);
		for (int a = 0; step == 0 && a < ARMS; a++)
			w.P[a] = 1.0 / ARMS;
		if (step == 100 && P_at_100)
			memcpy(P_at_100, w.P, sizeof w.P);
		world_look(&w, step);
		world_learn(&w);
		for (int a = 0; a < ARMS; a++)
			outcomes[a] = seen(a, &w.u[a]);
		if (step > 0 || !o->steps_per_level)
			curriculum_observe(c, outcomes, ARMS);
	}
	curriculum_free(c);
	return w;
}

/* dump with real-valued counts, so by its formula instead of through the interface. */
static struct world simulate_dump(double *P_at_100)
{
	struct world w = NEW_WORLD;
	double       score[ARMS] = {0};

	for (int step = 0; step < STEPS_MAX; step++) {
		double n = 0;
		arms_softmax(score, .1, ARMS, w.P);
		if (step == 100)
			memcpy(P_at_100, w.P, sizeof w.P);
		world_look(&w, step);
		world_learn(&w);
		for (int a = 0; a < ARMS; a++)
			n += w.counts[a] += 2048 * w.P[a];
		for (int a = 0; a < ARMS; a++)
			score[a] = dump_score(w.u[a], w.counts[a], n, 1);
	}
	return w;
}

static void assert_reached(const struct world *w, int a, int b, int c, int d)
{
	const int want[] = {a, b, c, d};

	for (int i = 0; i < 4; i++)
		assert_int_equal(w->reached[i], want[i]);
}

static void the_mean_field_world_is_climbed_in_exactly_the_known_numbers_of_steps(void **state)
{
	(void)state;
	static const double sec_at_100[] = {.012, .014, .032, .421, .521},
	                    dump_at_100[] = {0, 0, 0, .028, .971};
	double       P[ARMS];
	struct world w =
	        simulate(&(struct curriculum_options){.kind = "uniform", .seed = 1}, 300, NULL);

	assert_reached(&w, 60, 112, 165, 224);
	w = simulate(
	        &(struct curriculum_options){
	                .kind = "sec", .seed = 1, .alpha = .5, .temperature = 1},
	        300, NULL);
	assert_reached(&w, 46, 88, 131, 175);
	w = simulate(
	        &(struct curriculum_options){
	                .kind = "sec", .seed = 1, .alpha = .5, .temperature = .4},
	        300, NULL);
	assert_reached(&w, 35, 68, 102, 135);
	w = simulate(
	        &(struct curriculum_options){
	                .kind = "sec", .seed = 1, .alpha = .5, .temperature = .2},
	        300, P);
	assert_reached(&w, 29, 56, 84, 111);
	for (int a = 0; a < ARMS; a++)
		assert_close(P[a], sec_at_100[a], 5.1e-4);
	w = simulate_dump(P);
	assert_reached(&w, 26, 52, 77, 102);
	for (int a = 0; a < ARMS; a++)
		assert_close(P[a], dump_at_100[a], 5.1e-4);
	w = simulate(&(struct curriculum_options){.kind = "easy_to_hard",
	                                          .seed = 1,
	                                          .steps_per_level = 120},
	             STEPS_MAX, NULL);
	assert_reached(&w, 30, 125, 234, 349);
	w = simulate(
	        &(struct curriculum_options){
	                .kind = "easy_to_hard", .seed = 1, .steps_per_level = 120, .hard_first = 1},
	        STEPS_MAX, NULL);
	assert_reached(&w, 329, 359, 465, NEVER);
}

/* ---- drawing ---- */

static void draws_follow_the_probabilities(void **state)
{
	(void)state;
	enum { DRAWS = 100000 };
	static int               picked[DRAWS];
	static const char *const kinds[] = {"sec", "dump"};
	const double             A[] = {.1, .5, .9};

	for (int k = 0; k < 2; k++) {
		struct curriculum        *c = make(&(struct curriculum_options){.kind = kinds[k],
		                                                                .seed = 3,
		                                                                .alpha = 1,
		                                                                .temperature = .5,
		                                                                .window = 10,
		                                                                .exploration = 1},
		                                   three, 3);
		struct curriculum_outcome o[] = {seen(0, &A[0]), seen(1, &A[1]), seen(2, &A[2])};
		double                    P[3];
		int                       count[3] = {0};
		curriculum_observe(c, o, 3);
		curriculum_probabilities(c, P);
		curriculum_pick(c, DRAWS, picked);
		for (int i = 0; i < DRAWS; i++)
			count[picked[i]]++;
		for (int a = 0; a < 3; a++)
			assert_close(count[a], DRAWS * P[a], 3 * sqrt(DRAWS * P[a] * (1 - P[a])));
		curriculum_free(c);
	}
}

/* sec deals the problems of an arm in passes, dump draws them with replacement. */
static void how_an_arm_is_emptied(void **state)
{
	(void)state;
	enum { N = 7, SMALL = 2, DRAWS = 4000 };
	static int             picked[DRAWS];
	struct curriculum_item items[N];
	int                    count[N] = {0}, least = DRAWS, most = 0, repeats = 0;

	for (int i = 0; i < N; i++)
		items[i] = (struct curriculum_item){i < SMALL ? "small" : "large", i < SMALL};
	struct curriculum *sec = make(
	        &(struct curriculum_options){
	                .kind = "sec", .seed = 3, .alpha = .5, .temperature = 1},
	        items, N);
	curriculum_pick(sec, DRAWS, picked);
	for (int i = 0, in_small = 0, in_large = 0; i < DRAWS; i++) {
		int *in_arm = picked[i] < SMALL ? &in_small : &in_large,
		    n = picked[i] < SMALL ? SMALL : N - SMALL;
		/* every problem of the arm once before any comes again */
		assert_int_equal(count[picked[i]], *in_arm / n);
		count[picked[i]]++;
		++*in_arm;
	}
	curriculum_free(sec);

	struct curriculum *dump = make(
	        &(struct curriculum_options){
	                .kind = "dump", .seed = 3, .temperature = 1, .window = 1},
	        items, N);
	memset(count, 0, sizeof count);
	curriculum_pick(dump, DRAWS, picked);
	for (int i = 0; i < DRAWS; i++) {
		repeats += i && picked[i] == picked[i - 1];
		count[picked[i]]++;
	}
	for (int i = SMALL; i < N; i++) {
		least = count[i] < least ? count[i] : least;
		most = count[i] > most ? count[i] : most;
	}
	assert_close(count[0] + count[1], DRAWS / 2, 3 * sqrt(DRAWS / 4));
	assert_true(least > DRAWS / 10 * 3 / 4 && most < DRAWS / 10 * 5 / 4);
	/* in passes there would be hardly any */
	assert_close(repeats, DRAWS * (.25 / SMALL + .25 / (N - SMALL)), 3 * sqrt(DRAWS * .2));
	curriculum_free(dump);
}

static void the_same_problems_in_another_order_get_the_same_probabilities_bit_for_bit(void **state)
{
	(void)state;
	enum { N = 40 };
	static const char *const kinds[] = {"sec", "dump"};
	static const char *const names[] = {"e", "d", "c", "b", "a"};

	for (int k = 0; k < 2; k++) {
		const struct curriculum_options o = {.kind = kinds[k],
		                                     .seed = 3,
		                                     .alpha = .5,
		                                     .temperature = .3,
		                                     .window = 10,
		                                     .exploration = 1};
		struct curriculum_item          items[N], turned[N];
		double                          A[N], P[5], Q[5];
		for (int i = 0; i < N; i++) {
			items[i] = turned[(i * 7 + 3) % N] = (struct curriculum_item){
			        names[i * i % 5], .1 * (i * i % 5) + .01 * i};
			A[i] = .1 * (i % 9);
		}
		struct curriculum *a = make(&o, items, N), *b = make(&o, turned, N);
		for (int i = 0; i < N; i++) {
			struct curriculum_outcome x = seen(i, &A[i]),
			                          y = seen((i * 7 + 3) % N, &A[i]);
			curriculum_observe(a, &x, 1);
			curriculum_observe(b, &y, 1);
		}
		curriculum_probabilities(a, P);
		curriculum_probabilities(b, Q);
		assert_memory_equal(P, Q, (size_t)curriculum_arms(a) * sizeof *P);
		for (int i = 0; i < curriculum_arms(a); i++)
			assert_string_equal(curriculum_arm_name(a, i), curriculum_arm_name(b, i));
		curriculum_free(a);
		curriculum_free(b);
	}
}

/* Renaming the arms so that they stand in another order takes their probabilities along. */
static void permuting_the_arms_permutes_the_probabilities(void **state)
{
	(void)state;
	static const char *const kinds[] = {"sec", "dump"};
	static const int         to[] = {2, 0, 1};
	const double             A[] = {.1, .5, .9};

	for (int k = 0; k < 2; k++) {
		const struct curriculum_options o = {.kind = kinds[k],
		                                     .seed = 3,
		                                     .alpha = .5,
		                                     .temperature = .3,
		                                     .window = 10,
		                                     .exploration = 1};
		struct curriculum              *a = make(&o, three, 3), *b = make(&o, three, 3);
		double                          P[3], Q[3];
		for (int i = 0; i < 3; i++) {
			struct curriculum_outcome x[] = {seen(i, &A[i]), seen(0, &A[1])},
			                          y[] = {seen(to[i], &A[i]), seen(to[0], &A[1])};
			curriculum_observe(a, x, 2);
			curriculum_observe(b, y, 2);
		}
		curriculum_probabilities(a, P);
		curriculum_probabilities(b, Q);
		for (int i = 0; i < 3; i++)
			assert_close(Q[to[i]], P[i], 1e-15);
		curriculum_free(a);
		curriculum_free(b);
	}
}

/* However dump counts: a group of which no reward can be used was not seen. */
static void a_group_without_a_usable_reward_leaves_no_trace(void **state)
{
	(void)state;
	const struct curriculum_item items[] = {{"a", 1}, {"b", 2}};
	const double                 none[] = {NAN, NAN};

	for (int prompts = 0; prompts <= 1; prompts++) {
		struct curriculum *c = make(&(struct curriculum_options){.kind = "dump",
		                                                         .seed = 3,
		                                                         .temperature = .3,
		                                                         .window = 300,
		                                                         .exploration = 1,
		                                                         .count_prompts = prompts},
		                            items, 2);
		double             P[2];
		curriculum_observe(c, &(struct curriculum_outcome){0, 2, NAN, none}, 1);
		curriculum_probabilities(c, P);
		assert_close(P[0], .5, 0);
		curriculum_free(c);
	}
}

/* Two arms of twenty: the first pass of one is no copy of the other's. */
static void each_arm_has_an_order_of_its_own(void **state)
{
	(void)state;
	enum { EACH = 20, DRAWN = 200 };
	struct curriculum_item items[2 * EACH];
	struct curriculum     *c;
	int                    picked[DRAWN], order[2][EACH], n[2] = {0}, same = 0;

	for (int i = 0; i < 2 * EACH; i++)
		items[i] = (struct curriculum_item){i < EACH ? "a" : "b", 1};
	c = make(
	        &(struct curriculum_options){
	                .kind = "sec", .seed = 3, .alpha = .5, .temperature = 1},
	        items, 2 * EACH);
	curriculum_pick(c, DRAWN, picked);
	for (int i = 0; i < DRAWN; i++) {
		int a = picked[i] / EACH;
		if (n[a] < EACH)
			order[a][n[a]++] = picked[i] % EACH;
	}
	for (int i = 0; i < EACH; i++)
		same += order[0][i] == order[1][i];
	assert_true(n[0] == EACH && n[1] == EACH && same < EACH / 2);
	curriculum_free(c);
}

/* Before anything was observed all are alike; ten draws an arm, so that none is drawn fifty
 * times. */
static void ten_thousand_arms_are_drawn_alike(void **state)
{
	(void)state;
	enum { N = 30000, DRAWS = 100000 };
	static struct curriculum_item items[N];
	static char                   names[N / 3][16];
	static int                    picked[DRAWS];
	static const char *const      kinds[] = {"sec", "dump"};

	for (int i = 0; i < N; i++) {
		snprintf(names[i / 3], sizeof names[0], "arm %d", i / 3);
		items[i] = (struct curriculum_item){names[i / 3], i / 3};
	}
	for (int k = 0; k < 2; k++) {
		struct curriculum *c = make(&(struct curriculum_options){.kind = kinds[k],
		                                                         .seed = 3,
		                                                         .alpha = .5,
		                                                         .temperature = .3,
		                                                         .window = 300,
		                                                         .exploration = 1},
		                            items, N);
		int                drawn[N / 3] = {0}, most = 0;
		assert_int_equal(curriculum_arms(c), N / 3);
		curriculum_pick(c, DRAWS, picked);
		for (int i = 0; i < DRAWS; i++) {
			assert_in_range(picked[i], 0, N - 1);
			if (++drawn[picked[i] / 3] > most)
				most = drawn[picked[i] / 3];
		}
		assert_in_range(most, 15, 50);
		curriculum_free(c);
	}
}

TEST_MAIN(
        TEST(the_advantage_of_a_group_is_largest_for_half_right_and_exactly_zero_for_equal_rewards),
        TEST(rewards_with_format_terms_give_the_mean_of_the_absolute_values),
        TEST(an_unusable_reward_is_no_outcome_and_a_lone_one_is_worth_nothing),
        TEST(sec_reproduces_the_two_steps_under_both_update_rules_and_three_temperatures),
        TEST(the_two_update_rules_differ_in_the_arms_that_were_not_sampled),
        TEST(answers_count_alike_whatever_group_of_the_arm_they_stand_in),
        TEST(with_one_arm_the_probability_is_1), TEST(dump_reproduces_the_three_worked_states),
        TEST(dump_counts_answers_or_problems), TEST(the_window_keeps_exactly_the_last_300_answers),
        TEST(the_softmax_bears_scores_up_to_1000_and_temperature_0),
        TEST(unusable_advantages_leave_no_trace),
        TEST(the_expected_advantage_is_flatter_than_the_formula),
        TEST(the_mean_field_world_is_climbed_in_exactly_the_known_numbers_of_steps),
        TEST(draws_follow_the_probabilities), TEST(how_an_arm_is_emptied),
        TEST(the_same_problems_in_another_order_get_the_same_probabilities_bit_for_bit),
        TEST(permuting_the_arms_permutes_the_probabilities),
        TEST(ten_thousand_arms_are_drawn_alike),
        TEST(a_group_without_a_usable_reward_leaves_no_trace),
        TEST(each_arm_has_an_order_of_its_own))
