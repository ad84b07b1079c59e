#include "base/json.h"
#include "curriculum/curriculum.h"
#include "test.h"

enum { N = 10 };
static const struct curriculum_item items[N + 1];

static struct curriculum *uniform(uint64_t seed, int n)
{
	struct curriculum *c;

	assert_ok(curriculum_new(&(struct curriculum_options){"uniform", seed}, items, n, &c));
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

/* Over all kinds, with outcomes observed in between, so that a new kind is under test. */
static void a_loaded_curriculum_continues_as_if_nothing_had_happened(void **state)
{
	(void)state;
	struct curriculum_outcome o[4];
	const char               *kind;

	for (int k = 0; (kind = curriculum_kind_name(k)); k++)
		for (int cut = 0; cut < 12; cut++) {
			struct curriculum *whole, *resumed;
			json_t            *saved;
			char              *text;
			int                x[4], y[4];

			assert_ok(curriculum_new(&(struct curriculum_options){kind, 5}, items, N, &whole));
			assert_ok(curriculum_new(&(struct curriculum_options){kind, 5}, items, N, &resumed));
			for (int step = 0; step < cut; step++) {
				curriculum_pick(whole, 4, x);
				for (int i = 0; i < 4; i++)
					o[i] = (struct curriculum_outcome){x[i], 8, 0.1 * x[i], 0.1 * x[i], 0.3};
				curriculum_observe(whole, o, 4);
			}
			assert_ok(curriculum_save(whole, &saved));
			text = json_dumps(saved, 0);
			json_decref(saved);
			assert_ok(json_parse("state", text, strlen(text), &saved));
			assert_ok(curriculum_load(resumed, "state", saved));
			for (int step = 0; step < 6; step++) {
				curriculum_pick(whole, 4, x);
				curriculum_pick(resumed, 4, y);
				assert_memory_equal(x, y, sizeof x);
			}
			free(text);
			json_decref(saved);
			curriculum_free(whole);
			curriculum_free(resumed);
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

	assert_error(curriculum_new(&(struct curriculum_options){"unifrom", 1}, items, N, &c), ERR_INPUT, "there is: uniform");
	assert_null(c);
	assert_error(curriculum_new(&(struct curriculum_options){"uniform", 1}, items, 0, &c), ERR_INPUT, "no problems");
}

static void a_failed_allocation_is_returned_and_leaks_nothing(void **state)
{
	(void)state;
	struct curriculum *c;

	for (long n = 1; n <= 3; n++) {
		mem_fail_at(n);
		assert_int_equal(curriculum_new(&(struct curriculum_options){"uniform", 1}, items, N, &c), ERR_INPUT);
		assert_null(c);
	}
	mem_fail_at(0);
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

TEST_MAIN(TEST(uniform_gives_every_problem_once_per_epoch), TEST(uniform_orders_differ_by_epoch_and_by_seed),
          TEST(a_loaded_curriculum_continues_as_if_nothing_had_happened), TEST(a_state_that_does_not_fit_is_refused_and_changes_nothing),
          TEST(an_unknown_kind_and_an_empty_data_set_are_refused), TEST(a_failed_allocation_is_returned_and_leaks_nothing),
          TEST(the_epoch_is_a_metric))
