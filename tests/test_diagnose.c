/* Why a batch teaches nothing: each cause is told from the others. */
#include "rl/diagnose.h"

#include "test.h"

enum { N = 4 };

/* One group of answers that are all alike. */
static enum diagnosis diagnosis_of(struct rollout like)
{
	struct rollout rollouts[N];
	struct group   g = {.rollouts = rollouts, .n = N};

	for (int i = 0; i < N; i++)
		rollouts[i] = like;
	return diagnose(&g, 1);
}

static void every_cause_has_its_name(void **state)
{
	(void)state;
	static const struct {
		struct rollout like;
		enum diagnosis want;
		const char    *part;
	} table[] = {
	        {{.reward = 1, .right = 1, .parsed = 1}, SIGNAL_ALL_RIGHT, "harder"},
	        {{.truncated = 1, .parsed = 1}, SIGNAL_ALL_TRUNCATED, "every answer was cut off: raise"},
	        {{.truncated = 1}, SIGNAL_NOTHING_REACHED, "cut off, and none has the form"},
	        {{.parsed = 0}, SIGNAL_NOTHING_PARSED, "no answer has the form"},
	        {{.parsed = 1}, SIGNAL_ALL_WRONG, "no answer is right"},
	        {{.reward = NAN}, SIGNAL_INVALID, "no reward could be computed"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		assert_int_equal(diagnosis_of(table[i].like), table[i].want);
		assert_non_null(strstr(diagnosis_advice(table[i].want), table[i].part));
	}
}

static void answers_that_differ_are_a_signal(void **state)
{
	(void)state;
	struct rollout rollouts[2] = {{.truncated = 1, .reward = 0.5}, {.truncated = 1}};
	struct group   g = {.rollouts = rollouts, .n = 2};

	assert_int_equal(diagnose(&g, 1), SIGNAL_FINE);
	assert_int_equal(diagnose(&g, 0), SIGNAL_FINE);
	rollouts[0] = (struct rollout){.right = 1, .parsed = 1};
	assert_int_equal(diagnose(&g, 1), SIGNAL_ALL_EQUAL);
}

TEST_MAIN(TEST(every_cause_has_its_name), TEST(answers_that_differ_are_a_signal))
