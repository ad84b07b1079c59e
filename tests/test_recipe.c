#include "rl/recipe.h"

#include "test.h"

static void same_options(const struct algorithm *a, const struct algorithm *b)
{
	for (int i = 0; i < loss_options_table.n; i++) {
		const struct option *o = &loss_options_table.options[i];
		if (!o->standard && memcmp((const char *)a + o->offset, (const char *)b + o->offset,
		                           option_size(o)) != 0)
			fail_msg("%s: %s differs", a->name, o->path);
	}
}

static void every_row_of_the_table_becomes_a_config_and_comes_back(void **state)
{
	(void)state;
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++) {
		char              text[64];
		struct job_config c, again;
		struct algorithm  got;
		struct text       t = {0};
		snprintf(text, sizeof text, "algorithm: %s\n", row->name);
		assert_ok(job_config_parse("test.yaml", text, strlen(text), NULL, 0, &c));
		assert_ok(recipe_algorithm(&c, &got));
		same_options(row, &got);
		assert_ok(config_resolved(&c.base, &t));
		assert_ok(job_config_parse("test.yaml", t.data, t.n, NULL, 0, &again));
		assert_ok(recipe_algorithm(&again, &got));
		same_options(row, &got);
		text_free(&t);
		config_free(&again.base);
		config_free(&c.base);
	}
}

/* The values of a row are taken back where the config makes that nothing reads them; what the user
 * wrote is refused. */
static void what_a_part_does_not_read_is_refused_and_not_resolved(void **state)
{
	(void)state;
	static const struct {
		const char *text, *path; /* path: what is refused; NULL: nothing */
	} cases[] = {
	        {"loss: {beta: 0}", NULL},
	        {"loss: {beta: 0, overlong_buffer: 10}", "loss.overlong_buffer"},
	        {"loss: {beta: 0, overlong_penalty: 2}", "loss.overlong_penalty"},
	        {"loss: {beta: 0, kl_estimator: k1}", "loss.kl_estimator"},
	        {"loss: {beta: 0, kl_placement: reward}", "loss.kl_placement"},
	        {"loss: {beta: 0, use_bias_correction_kl: true}", "loss.use_bias_correction_kl"},
	        {"loss: {beta: 0, kl_controller: adaptive}", "loss.kl_controller"},
	        {"loss: {beta: 0.1, kl_placement: reward, use_bias_correction_kl: false}",
	         "loss.use_bias_correction_kl"},
	        {"algorithm: reinforce\nloss: {epsilon: 0.3}", "loss.epsilon"},
	        {"algorithm: sapo\nloss: {epsilon_high: 0.3}", "loss.epsilon_high"},
	        {"algorithm: sapo\nloss: {delta: 3}", "loss.delta"},
	        {"algorithm: sapo\nguidance: {kind: guide, clip: hard}\nloss: {epsilon: 0.3}",
	         NULL},
	        {"loss: {advantage_eps: 0.1, scale_rewards: none}", "loss.advantage_eps"},
	        {"loss: {mismatch: token_truncate}", "loss.mismatch"},
	        {"compute: {numerics: fast}\nloss: {mismatch: token_truncate, mismatch_min: 0.5}",
	         NULL},
	        {"compute: {numerics: fast}\nloss: {mismatch: token_mask, mismatch_min: 0.5}",
	         NULL},
	        {"algorithm: dapo\nloss: {overlong_buffer: 10}", NULL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char              message[128];
		struct job_config c;
		struct algorithm  a;
		struct text       t = {0};
		int status = job_config_parse("test.yaml", cases[i].text, strlen(cases[i].text),
		                              NULL, 0, &c);
		if (status == OK)
			status = recipe_algorithm(&c, &a);
		snprintf(message, sizeof message, "%s ",
		         cases[i].path ? strchr(cases[i].path, '.') + 1 : "");
		if (status != (cases[i].path ? ERR_INPUT : OK) ||
		    (cases[i].path && !strstr(error_message(), message)))
			fail_msg("%s: %s", cases[i].text, error_message());
		if (!cases[i].path) {
			assert_ok(config_resolved(&c.base, &t));
			assert_true(!strstr(t.data, "kl_estimator") == !(a.beta > 0));
			assert_true(!strstr(t.data, "overlong_buffer") ==
			            (a.overlong != OVERLONG_SHAPE));
		}
		text_free(&t);
		config_free(&c.base);
	}
}

static void what_trl_calls_a_part_resolves_to_our_word(void **state)
{
	(void)state;
	static const char text[] = "loss: {loss_type: dapo, mask_truncated_completions: true}";
	struct job_config c;
	struct algorithm  a;
	struct text       t = {0};

	assert_ok(job_config_parse("test.yaml", text, strlen(text), NULL, 0, &c));
	assert_ok(recipe_algorithm(&c, &a));
	assert_int_equal(a.loss_type, TOKEN_MEAN);
	assert_int_equal(a.overlong, OVERLONG_MASK);
	assert_ok(config_resolved(&c.base, &t));
	assert_non_null(strstr(t.data, "loss_type: token_mean"));
	assert_non_null(strstr(t.data, "overlong: mask"));
	assert_non_null(strstr(t.data, "mask_truncated_completions: null"));
	text_free(&t);
	config_free(&c.base);
}

/* As in TRL: one width for both sides, until the other is set. */
static void epsilon_alone_sets_both_sides_of_the_clip(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double      low, high;
	} cases[] = {
	        {"algorithm: grpo\nloss: {epsilon: 0.1}", .1, .1},
	        {"algorithm: grpo\nloss: {epsilon: 0.1, epsilon_high: 0.28}", .1, .28},
	        {"algorithm: grpo\nloss: {epsilon_high: 0.3}", .2, .3},
	        {"algorithm: dapo\nloss: {epsilon: 0.3}", .3, .3},
	        {"algorithm: dapo", .2, .28},
	        /* there the ceiling is no width */
	        {"algorithm: cispo\nloss: {epsilon: 0.5}", .5, 5},
	        {"algorithm: cispo\nloss: {clip: cap, epsilon: 0.5}", .5, .5},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct job_config c;
		struct algorithm  got;
		char              row[40];
		assert_ok(job_config_parse("test.yaml", cases[i].text, strlen(cases[i].text), NULL,
		                           0, &c));
		assert_ok(recipe_algorithm(&c, &got));
		snprintf(row, sizeof row, "algorithm %s", got.name);
		assert_close(got.epsilon, cases[i].low, 0);
		assert_close(got.epsilon_high, cases[i].high, 0);
		/* the resolved config says so */
		assert_close(c.loss.epsilon_high, cases[i].high, 0);
		assert_string_equal(config_where(&c.base, "loss.epsilon"),
		                    strstr(cases[i].text, "epsilon:") ? "test.yaml:2" : row);
		config_free(&c.base);
	}
}

TEST_MAIN(TEST(epsilon_alone_sets_both_sides_of_the_clip),
          TEST(what_a_part_does_not_read_is_refused_and_not_resolved),
          TEST(what_trl_calls_a_part_resolves_to_our_word),
          TEST(every_row_of_the_table_becomes_a_config_and_comes_back))
