/* Why a batch teaches nothing: each cause is told from the others. */
#include "rl/diagnose.h"

#include "test.h"

enum { N = 4 };

static const int   ids[3] = {1, 2, 3};
static const float sure[3] = {0, 0, 0}, unsure[3] = {1, 1, 1};

/* One group of completions that are alike but for their ids. */
static enum diagnosis diagnosis_of(struct rollout like)
{
	struct rollout rollouts[N];
	struct group   g = {.rollouts = rollouts, .n = N};

	like.n = 2;
	like.entropy = unsure;
	for (int i = 0; i < N; i++) {
		rollouts[i] = like;
		rollouts[i].ids = ids + i % 2;
	}
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
	        {{.truncated = 1, .parsed = 1, .stop = STOP_LENGTH},
	         SIGNAL_ALL_TRUNCATED,
	         "every completion was cut off: raise"},
	        {{.truncated = 1, .stop = STOP_LENGTH},
	         SIGNAL_NOTHING_REACHED,
	         "cut off, and none has the form"},
	        {{.truncated = 1, .stop = STOP_CONTEXT}, SIGNAL_CONTEXT, "no more positions"},
	        {{.parsed = 0}, SIGNAL_NOTHING_PARSED, "no completion has the form"},
	        {{.parsed = 1}, SIGNAL_ALL_WRONG, "no completion is right"},
	        {{.parsed = 1, .reward = 0.3}, SIGNAL_CONSTANT, "the same reward"},
	        {{.parsed = 1, .reward = -1e200}, SIGNAL_OVERFLOW, "not finite"},
	        {{.reward = NAN}, SIGNAL_INVALID, "no reward could be computed"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		assert_int_equal(diagnosis_of(table[i].like), table[i].want);
		assert_non_null(strstr(diagnosis_advice(table[i].want), table[i].part));
	}
}

static void completions_that_differ_are_a_signal(void **state)
{
	(void)state;
	struct rollout rollouts[2] = {{.truncated = 1, .reward = 0.5}, {.truncated = 1}};
	struct group   g = {.rollouts = rollouts, .n = 2};

	assert_int_equal(diagnose(&g, 1), SIGNAL_FINE);
	assert_int_equal(diagnose(&g, 0), SIGNAL_FINE);
	rollouts[0] = (struct rollout){.right = 1, .parsed = 1};
	assert_int_equal(diagnose(&g, 1), SIGNAL_ALL_EQUAL);
	rollouts[0].penalty = -0.25; /* overlong shaping tells them apart */
	assert_int_equal(diagnose(&g, 1), SIGNAL_FINE);
}

/* One completion a problem, cut off or not, at no entropy, and wrong. */
static void a_collapse_is_told_from_short_or_cut_completions(void **state)
{
	(void)state;
	struct rollout rollouts[4];
	struct group   g[2] = {{.rollouts = rollouts, .n = 2}, {.rollouts = rollouts + 2, .n = 2}};

	for (int i = 0; i < 4; i++)
		rollouts[i] = (struct rollout){
		        .n = 3, .ids = ids, .entropy = sure, .truncated = 1, .stop = STOP_LENGTH};
	assert_int_equal(diagnose(g, 2), SIGNAL_COLLAPSED);
	rollouts[3].ids = (const int[]){1, 2, 4};
	assert_int_equal(diagnose(g, 2), SIGNAL_NOTHING_REACHED);
	rollouts[3].ids = ids;
	rollouts[1].entropy = unsure;
	assert_int_equal(diagnose(g, 2), SIGNAL_NOTHING_REACHED);
	for (int i = 0; i < 4; i++)
		rollouts[i] = (struct rollout){
		        .n = 3, .ids = ids, .entropy = sure, .right = 1, .reward = 1};
	/* sure of the right ones is what was wanted */
	assert_int_equal(diagnose(g, 2), SIGNAL_ALL_RIGHT);
}

static void what_was_learned_decides_over_what_the_rewards_look_like(void **state)
{
	(void)state;
	struct rollout       rollouts[2] = {{.reward = 1, .parsed = 1}, {.parsed = 1}};
	struct group         g = {.rollouts = rollouts, .n = 2};
	struct diagnose_step s = {
	        .groups = &g, .n = 1, .n_used = 1, .advantage = 1, .baseline = BASELINE_GROUP};

	assert_int_equal(diagnose_learned(&s), SIGNAL_FINE);
	s.advantage = 0;
	assert_int_equal(diagnose_learned(&s), SIGNAL_MASKED);
	s.n_used = 0; /* dynamic sampling took neither: rewards differ, but none is right */
	assert_int_equal(diagnose_learned(&s), SIGNAL_ALL_WRONG);
	rollouts[0].reward = 0;
	/* all below the constant: a signal */
	s.n_used = 1, s.advantage = 1, s.baseline = BASELINE_CONSTANT;
	assert_int_equal(diagnose_learned(&s), SIGNAL_FINE);
	s.kl_in_reward = 1;
	assert_int_equal(diagnose_learned(&s), SIGNAL_FINE);
	s.baseline = BASELINE_BATCH; /* here the KL term alone makes advantages */
	assert_int_equal(diagnose_learned(&s), SIGNAL_ALL_WRONG);
	s.baseline = BASELINE_LEAVE_ONE_OUT;
	assert_int_equal(diagnose_learned(&s), SIGNAL_ALL_WRONG);
	s.kl_in_reward = 0;
	assert_int_equal(diagnose_learned(&s), SIGNAL_FINE);
}

TEST_MAIN(TEST(every_cause_has_its_name), TEST(completions_that_differ_are_a_signal),
          TEST(a_collapse_is_told_from_short_or_cut_completions),
          TEST(what_was_learned_decides_over_what_the_rewards_look_like))
