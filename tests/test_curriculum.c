#include "base/json.h"
#include "curriculum/curriculum.h"
#include "test.h"

enum { N = 10 };
static const struct curriculum_item items[N + 1] = {{"a", 3}, {"b", 1}, {"a", 2}, {"c", 2},
                                                    {"c", 1}, {"b", 1}, {"b", 2}, {"a", 3},
                                                    {"b", 1}, {"a", 3}};

static struct curriculum_options options_of(const char *kind)
{
	return (struct curriculum_options){.kind = kind,
	                                   .seed = 5,
	                                   .alpha = .5,
	                                   .temperature = .3,
	                                   .exploration = 1,
	                                   .window = 10,
	                                   .steps_per_level = 3};
}

static struct curriculum *make(const struct curriculum_options *o, int n)
{
	struct curriculum *c;

	assert_ok(curriculum_new(o, items, n, &c));
	return c;
}

static struct curriculum *uniform(uint64_t seed, int n)
{
	struct curriculum *c;

	assert_ok(curriculum_new(&(struct curriculum_options){.kind = "uniform", .seed = seed},
	                         items, n, &c));
	return c;
}

static void uniform_gives_every_problem_once_per_epoch(void **state)
{
	(void)state;
	struct curriculum *c = uniform(1, N);
	int                picked[3 * N], seen[N];

	for (int i = 0; i < 3 * N; i += 3)
		curriculum_pick(c, 3, picked + i);
	for (int epoch = 0; epoch < 3; epoch++) {
		memset(seen, 0, sizeof seen);
		for (int i = 0; i < N; i++)
			seen[picked[epoch * N + i]]++;
		for (int i = 0; i < N; i++)
			assert_int_equal(seen[i], 1);
	}
	curriculum_free(c);
}

static void uniform_orders_differ_by_epoch_and_by_seed(void **state)
{
	(void)state;
	struct curriculum *a = uniform(1, N), *b = uniform(1, N), *other = uniform(2, N);
	int                x[2 * N], y[2 * N], z[N];

	curriculum_pick(a, 2 * N, x);
	for (int i = 0; i < 2 * N; i++)
		curriculum_pick(b, 1, y + i);
	curriculum_pick(other, N, z);
	assert_memory_equal(x, y, sizeof x);
	assert_memory_not_equal(x, x + N, N * sizeof *x);
	assert_memory_not_equal(x, z, sizeof z);
	curriculum_free(a);
	curriculum_free(b);
	curriculum_free(other);
}

static void sequential_gives_the_order_of_the_data(void **state)
{
	(void)state;
	const struct curriculum_options o = options_of("sequential");
	struct curriculum              *c = make(&o, N);
	int                             picked[2 * N + 3];

	curriculum_pick(c, 2 * N + 3, picked);
	for (int i = 0; i < 2 * N + 3; i++)
		assert_int_equal(picked[i], i % N);
	curriculum_free(c);
}

/* ---- easy_to_hard ---- */

static void assert_difficulties(struct curriculum *c, int n, double low, double high)
{
	int picked[64];

	curriculum_pick(c, n, picked);
	for (int i = 0; i < n; i++)
		assert_true(items[picked[i]].difficulty >= low &&
		            items[picked[i]].difficulty <= high);
}

static void easy_to_hard_goes_level_by_level_and_stays_at_the_last(void **state)
{
	(void)state;
	struct curriculum_options o = options_of("easy_to_hard");
	struct curriculum        *up = make(&o, N), *down, *mixed;

	o.hard_first = 1;
	down = make(&o, N);
	o.hard_first = 0, o.cumulative = 1;
	mixed = make(&o, N);
	for (int step = 0; step < 20; step++) {
		int level = step / 3 < 3 ? step / 3 + 1 : 3;
		assert_difficulties(up, 8, level, level);
		assert_difficulties(down, 8, 4 - level, 4 - level);
		assert_difficulties(mixed, 8, 1, level);
		curriculum_observe(up, NULL, 0);
		curriculum_observe(down, NULL, 0);
		curriculum_observe(mixed, NULL, 0);
	}
	curriculum_free(up);
	curriculum_free(down);
	curriculum_free(mixed);
}

static void a_level_is_dealt_in_passes(void **state)
{
	(void)state;
	const struct curriculum_options o = options_of("easy_to_hard");
	struct curriculum              *c = make(&o, N);
	/* four problems have difficulty 1 */
	int picked[8], seen[N] = {0};

	curriculum_pick(c, 8, picked);
	for (int i = 0; i < 8; i++)
		assert_int_equal(seen[picked[i]]++, i / 4);
	curriculum_free(c);
}

static void levels_on_a_fine_scale_are_parts_of_equal_size(void **state)
{
	(void)state;
	struct curriculum_item    fine[11];
	struct curriculum_options o = options_of("easy_to_hard");
	struct curriculum        *c;
	int                       picked[4];
	static const int          first[] = {0, 3, 7, 11};

	for (int i = 0; i < 11; i++)
		fine[i] = (struct curriculum_item){NULL, .01 * (i * 3 % 11)};
	o.levels = 3, o.steps_per_level = 1; /* 3, 4 and 4 problems */
	assert_ok(curriculum_new(&o, fine, 11, &c));
	for (int level = 0; level < 3; level++) {
		int n = level ? 4 : 3, seen[11] = {0};
		curriculum_pick(c, n, picked);
		for (int i = 0; i < n; i++) {
			int rank = picked[i] * 3 % 11;
			assert_in_range(rank, first[level], first[level + 1] - 1);
			assert_int_equal(seen[picked[i]]++, 0);
		}
		curriculum_observe(c, NULL, 0);
	}
	curriculum_free(c);
}

static void easy_to_hard_wants_a_difficulty_of_every_problem(void **state)
{
	(void)state;
	const struct curriculum_item items_without[] = {{"a", 1}, {"a", NAN}};
	struct curriculum_options    o = options_of("easy_to_hard");
	struct curriculum           *c;

	assert_error(curriculum_new(&o, items_without, 2, &c), ERR_INPUT,
	             "problem 2 of the data (counted from 1) has no difficulty");
	assert_null(c);
	o.levels = 11;
	assert_error(curriculum_new(&o, items, N, &c), ERR_INPUT,
	             "curriculum.levels is 11, but there are only 10 problems");
}

/* ---- state ---- */

static void step(struct curriculum *c, int *x)
{
	double                    A[4][2];
	struct curriculum_outcome o[4];

	curriculum_pick(c, 2, x);
	curriculum_pick(c, 2, x + 2); /* as dynamic sampling does */
	for (int i = 0; i < 4; i++) {
		A[i][0] = 0.1 * x[i];
		A[i][1] = x[i] % 3 ? 0.7 / (1 + x[i]) : NAN;
		o[i] = (struct curriculum_outcome){x[i], 2, 0.1 * x[i], A[i]};
	}
	curriculum_observe(c, o, 4);
}

/* Through text, as a checkpoint does it. */
static void carry_over(const struct curriculum *from, struct curriculum *to)
{
	json_t *saved;
	char   *text;

	assert_ok(curriculum_save(from, &saved));
	text = json_dumps(saved, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
	json_decref(saved);
	assert_ok(json_parse("state", text, strlen(text), &saved));
	assert_ok(curriculum_load(to, "state", saved));
	free(text);
	json_decref(saved);
}

static char *metrics_of(const struct curriculum *c)
{
	json_t *m = json_object();
	char   *text;

	assert_ok(curriculum_metrics(c, m));
	text = json_dumps(m, JSON_REAL_PRECISION(17));
	json_decref(m);
	return text;
}

/* Over all kinds, with outcomes observed in between, so that a new kind is under test. */
static void a_loaded_curriculum_continues_as_if_nothing_had_happened(void **state)
{
	(void)state;
	const char *kind;

	for (int k = 0; (kind = curriculum_kind_name(k)); k++)
		for (int cut = 0; cut < 14; cut++) {
			const struct curriculum_options o = options_of(kind);
			struct curriculum              *whole = make(&o, N), *resumed = make(&o, N);
			int                             x[4], y[4];

			for (int i = 0; i < cut; i++)
				step(whole, x);
			step(resumed, y); /* what it did before is forgotten */
			carry_over(whole, resumed);
			for (int i = 0; i < 12; i++) {
				step(whole, x);
				step(resumed, y);
				assert_memory_equal(x, y, sizeof x);
				char *a = metrics_of(whole), *b = metrics_of(resumed);
				assert_string_equal(a, b);
				free(a);
				free(b);
			}
			curriculum_free(whole);
			curriculum_free(resumed);
		}
}

static void set(json_t *state, const char *key, const char *value)
{
	json_error_t e;
	json_t      *v = json_loads(value, JSON_DECODE_ANY, &e);

	assert_non_null(v);
	json_object_set_new(state, key, v);
}

/* One thing wrong at a time; the picks afterwards are those of a curriculum that never saw the
 * file. */
static void a_damaged_state_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *kind, *key, *value;
	} wrong[] = {
	        {"sec", "Q", "\"0.1 0.2\""},
	        {"sec", "Q", "\"0.1 0.2 0.3 0.4\""},
	        {"sec", "Q", "\"0.1 0.2 nan\""},
	        {"sec", "Q", "\"0.1 0.2 1e999\""},
	        {"sec", "Q", "[0.1, 0.2, 0.3]"},
	        {"sec", "positions", "\"1 2 -3\""},
	        {"sec", "positions", "\"1 2 x\""},
	        {"sec", "draws", "-1"},
	        {"sec", "arms", "\"0123456789abcdef\""},
	        {"dump", "seen", "\"1 2\""},
	        {"dump", "lengths", "\"0 0 11\""},
	        {"dump", "lengths", "\"1 0 0\""},
	        {"dump", "windows", "\"1e31\""},
	        {"dump", "windows", "7"},
	        {"dump", "draws", "\"1\""},
	        {"easy_to_hard", "step", "-1"},
	        {"easy_to_hard", "positions", "\"\""},
	        {"easy_to_hard", "positions", "\"1 2 99999999999999999999\""},
	        {"sequential", "position", "-1"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const struct curriculum_options o = options_of(wrong[i].kind);
		struct curriculum              *c = make(&o, N), *fresh = make(&o, N);
		json_t                         *saved;
		int                             x[4], y[4];

		assert_ok(curriculum_save(c, &saved));
		set(saved, wrong[i].key, wrong[i].value);
		assert_error(curriculum_load(c, "f.json", saved), ERR_INPUT, "f.json");
		json_object_del(saved, wrong[i].key);
		assert_error(curriculum_load(c, "f.json", saved), ERR_INPUT, wrong[i].key);
		json_decref(saved);
		for (int k = 0; k < 5; k++) {
			step(c, x);
			step(fresh, y);
			assert_memory_equal(x, y, sizeof x);
		}
		curriculum_free(c);
		curriculum_free(fresh);
	}
}

static void a_state_that_does_not_fit_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *state, *message;
	} wrong[] = {
	        {"{\"kind\":\"uniform\",\"problems\":11,\"position\":3}", "11 problems"},
	        {"{\"kind\":\"sec\",\"problems\":10,\"position\":3}", "curriculum.kind sec"},
	        {"{\"kind\":\"uniform\",\"problems\":10,\"position\":-3}", "position"},
	        {"{\"kind\":\"uniform\",\"problems\":10,\"position\":\"3\"}", "position"},
	        {"{\"kind\":\"uniform\",\"problems\":10}", "position"},
	        {"{\"problems\":10,\"position\":3}", "kind"},
	        {"[]", "f.json"},
	};
	struct curriculum *c = uniform(1, N), *fresh = uniform(1, N);
	int                x[N], y[N];

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		json_t *s;

		assert_ok(json_parse("state", wrong[i].state, strlen(wrong[i].state), &s));
		assert_error(curriculum_load(c, "f.json", s), ERR_INPUT, wrong[i].message);
		json_decref(s);
	}
	curriculum_pick(c, N, x);
	curriculum_pick(fresh, N, y);
	assert_memory_equal(x, y, sizeof x);
	curriculum_free(c);
	curriculum_free(fresh);
}

static void an_unknown_kind_and_an_empty_data_set_are_refused(void **state)
{
	(void)state;
	struct curriculum *c;

	assert_error(curriculum_new(&(struct curriculum_options){.kind = "unifrom", .seed = 1},
	                            items, N, &c),
	             ERR_INPUT, "no curriculum \"unifrom\"; there are: uniform, sequential");
	assert_null(c);
	assert_error(curriculum_new(&(struct curriculum_options){.kind = "uniform", .seed = 1},
	                            items, 0, &c),
	             ERR_INPUT, "no problems");
}

static void a_failed_allocation_is_returned_and_leaks_nothing(void **state)
{
	(void)state;
	const char *kind;

	for (int k = 0; (kind = curriculum_kind_name(k)); k++) {
		const struct curriculum_options o = options_of(kind);
		struct curriculum              *c = NULL;
		int                             failures = 0;
		for (long n = 1; !c; n++) {
			mem_fail_at(n);
			int status = curriculum_new(&o, items, N, &c);
			mem_fail_at(0);
			if (c)
				assert_int_equal(status, OK);
			else
				assert_memory(status, "");
			failures += !c;
		}
		assert_true(failures > 7);
		curriculum_free(c);
	}
}

/* ---- arms and metrics ---- */

static double metric(const json_t *m, const char *name)
{
	const json_t *v = json_object_get(m, name);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

static void arms_stand_in_the_order_of_difficulty_then_of_the_numbers_in_their_names(void **state)
{
	(void)state;
	const struct curriculum_item    mixed[] = {{"x/10", NAN}, {"x/9", NAN}, {"hard", 5},
	                                           {"easy", 1},   {"hard", 3},  {"middle", 3.5},
	                                           {NULL, 0}};
	static const char *const        want[] = {"all", "easy", "middle", "hard", "x/9", "x/10"};
	const struct curriculum_options o = options_of("uniform");
	struct curriculum              *c;

	assert_ok(curriculum_new(&o, mixed, 7, &c));
	assert_int_equal(curriculum_arms(c), 6);
	for (int i = 0; i < 6; i++)
		assert_string_equal(curriculum_arm_name(c, i), want[i]);
	curriculum_free(c);
}

static void metrics_tell_of_each_arm_what_was_drawn_and_what_came_of_it(void **state)
{
	(void)state;
	const struct curriculum_options o = options_of("uniform");
	const double                    A[] = {.5, NAN, .25, .3, .3, .3};
	struct curriculum              *c = make(&o, N);
	int                             picked[N];
	struct curriculum_outcome       outcomes[] = {
	              {1, 3, 1, A}, {5, 3, .5, A + 3}, {0, 1, NAN, A + 1}};

	/* the second step knows nothing of the first */
	for (int step_number = 0; step_number < 2; step_number++) {
		json_t *m = json_object();
		curriculum_pick(c, N, picked);
		curriculum_observe(c, outcomes, 3);
		assert_ok(curriculum_metrics(c, m));
		assert_close(metric(m, "curriculum/b/count"), 4, 0);
		assert_close(metric(m, "curriculum/a/count"), 4, 0);
		assert_close(metric(m, "curriculum/c/count"), 2, 0);
		assert_close(metric(m, "curriculum/b/probability"), .4, 1e-15);
		assert_close(metric(m, "curriculum/b/advantage"), (.5 + .25 + .9) / 5, 1e-15);
		assert_close(metric(m, "curriculum/b/accuracy"), .75, 1e-15);
		assert_close(metric(m, "curriculum/entropy"), -(.8 * log(.4) + .2 * log(.2)),
		             1e-12);
		assert_null(json_object_get(m, "curriculum/a/accuracy"));
		assert_null(json_object_get(m, "curriculum/a/advantage"));
		json_decref(m);
	}
	curriculum_free(c);
}

static void many_arms_are_shown_as_16_that_still_add_up(void **state)
{
	(void)state;
	enum { ARMS = 10000 };
	static struct curriculum_item   many[ARMS];
	static char                     names[ARMS][16];
	static int                      picked[ARMS];
	const struct curriculum_options o = options_of("sec");
	struct curriculum              *c;
	json_t                         *m = json_object(), *value;
	const char                     *name;
	double                          probability = 0, count = 0;
	int                             shown = 0;

	for (int i = 0; i < ARMS; i++) {
		snprintf(names[i], sizeof names[0], "arm %d", i);
		many[i] = (struct curriculum_item){names[i], i};
	}
	assert_ok(curriculum_new(&o, many, ARMS, &c));
	curriculum_pick(c, ARMS, picked);
	curriculum_observe(c, NULL, 0);
	assert_ok(curriculum_metrics(c, m));
	json_object_foreach(m, name, value)
	{
		probability += strstr(name, "/probability") ? json_number_value(value) : 0;
		count += strstr(name, "/count") ? json_number_value(value) : 0;
		shown += strstr(name, "/count") != NULL;
	}
	assert_int_equal(shown, 16);
	assert_close(probability, 1, 1e-9);
	assert_close(count, ARMS, 0);
	assert_close(metric(m, "curriculum/arms 1-625/probability"), 1 / 16.0, 1e-9);
	json_decref(m);
	curriculum_free(c);
}

static void long_names_stay_apart(void **state)
{
	(void)state;
	char                            a[100], b[100];
	const struct curriculum_options o = options_of("uniform");
	struct curriculum              *c;
	json_t                         *m = json_object();
	int                             x[2];

	memset(a, 'x', sizeof a);
	a[98] = 'a', a[99] = 0;
	a[39] = '\xc3', a[40] = '\xa4'; /* where it is cut */
	memcpy(b, a, sizeof b);
	b[98] = 'b';
	const struct curriculum_item two[] = {{a, 1}, {b, 2}};
	assert_ok(curriculum_new(&o, two, 2, &c));
	curriculum_pick(c, 2, x);
	assert_ok(curriculum_metrics(c, m));
	assert_close(metric(m, "curriculum/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx~1/count"), 1, 0);
	assert_close(metric(m, "curriculum/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx~2/count"), 1, 0);
	json_decref(m);
	curriculum_free(c);
}

static void the_epoch_is_a_metric(void **state)
{
	(void)state;
	struct curriculum *c = uniform(1, N);
	json_t            *m = json_object();
	int                x[15];

	curriculum_pick(c, 15, x);
	assert_ok(curriculum_metrics(c, m));
	assert_close(json_number_value(json_object_get(m, "curriculum/epoch")), 1.5, 0);
	json_decref(m);
	curriculum_free(c);
}

TEST_MAIN(TEST(uniform_gives_every_problem_once_per_epoch),
          TEST(uniform_orders_differ_by_epoch_and_by_seed),
          TEST(sequential_gives_the_order_of_the_data),
          TEST(easy_to_hard_goes_level_by_level_and_stays_at_the_last),
          TEST(a_level_is_dealt_in_passes), TEST(levels_on_a_fine_scale_are_parts_of_equal_size),
          TEST(easy_to_hard_wants_a_difficulty_of_every_problem),
          TEST(a_loaded_curriculum_continues_as_if_nothing_had_happened),
          TEST(a_damaged_state_is_refused_and_changes_nothing),
          TEST(a_state_that_does_not_fit_is_refused_and_changes_nothing),
          TEST(an_unknown_kind_and_an_empty_data_set_are_refused),
          TEST(a_failed_allocation_is_returned_and_leaks_nothing),
          TEST(arms_stand_in_the_order_of_difficulty_then_of_the_numbers_in_their_names),
          TEST(metrics_tell_of_each_arm_what_was_drawn_and_what_came_of_it),
          TEST(many_arms_are_shown_as_16_that_still_add_up), TEST(long_names_stay_apart),
          TEST(the_epoch_is_a_metric))
