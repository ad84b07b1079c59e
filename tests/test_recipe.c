#include "rl/recipe.h"

#include "run/schema.h"
#include "test.h"

static const struct {
	const char          *path;
	const struct choice *list;
} words[] = {
        {"loss.baseline", choices_baseline},
        {"loss.scale_rewards", choices_scale},
        {"loss.importance_sampling_level", choices_level},
        {"loss.clip", choices_clip},
        {"loss.loss_type", choices_aggregation},
        {"loss.kl_placement", choices_kl_placement},
        {"loss.overlong", choices_overlong},
        {"loss.kl_controller", choices_kl_controller},
        {"loss.kl_estimator", choices_kl_estimator},
        {"loss.mismatch", choices_mismatch},
};

/* "a|b|c" in one string: the schema has exactly the words of the table, in its order. */
static void the_schema_knows_the_words_of_the_algorithm_and_no_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		char joined[256] = "";
		int  row = schema_find(words[i].path);
		assert_true(row >= 0);
		for (const struct choice *c = words[i].list; c->name; c++) {
			strcat(joined, *joined ? "|" : "");
			strcat(joined, c->name);
		}
		assert_string_equal(schema[row].choices, joined);
	}
}

static void every_row_of_the_table_becomes_a_config_and_comes_back(void **state)
{
	(void)state;
	const struct algorithm *row;

	for (int i = 0; (row = algorithm_at(i)); i++) {
		char             text[64];
		struct config    c;
		struct algorithm got;
		snprintf(text, sizeof text, "algorithm: %s\n", row->name);
		assert_ok(config_parse("test.yaml", text, strlen(text), NULL, 0, &c));
		assert_ok(recipe_algorithm(&c, &got));
		assert_int_equal(got.clip, row->clip);
		assert_int_equal(got.loss_type, row->loss_type);
		assert_true(got.epsilon_high == row->epsilon_high &&
		            c.loss.epsilon_high == row->epsilon_high);
		assert_string_equal(c.loss.clip, choice_name(choices_clip, row->clip));
		config_free(&c);
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
		char             message[128];
		struct config    c;
		struct algorithm a;
		struct text      t = {0};
		int status = config_parse("test.yaml", cases[i].text, strlen(cases[i].text), NULL,
		                          0, &c);
		if (status == OK)
			status = recipe_algorithm(&c, &a);
		snprintf(message, sizeof message, "%s ",
		         cases[i].path ? strchr(cases[i].path, '.') + 1 : "");
		if (status != (cases[i].path ? ERR_INPUT : OK) ||
		    (cases[i].path && !strstr(error_message(), message)))
			fail_msg("%s: %s", cases[i].text, error_message());
		if (!cases[i].path) {
			assert_ok(config_resolved(&c, &t));
			assert_true(!strstr(t.data, "kl_estimator") == !(a.beta > 0));
			assert_true(!strstr(t.data, "overlong_buffer") ==
			            (a.overlong != OVERLONG_SHAPE));
		}
		text_free(&t);
		config_free(&c);
	}
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
		struct config    c;
		struct algorithm got;
		assert_ok(config_parse("test.yaml", cases[i].text, strlen(cases[i].text), NULL, 0,
		                       &c));
		assert_ok(recipe_algorithm(&c, &got));
		assert_close(got.epsilon, cases[i].low, 0);
		assert_close(got.epsilon_high, cases[i].high, 0);
		/* the resolved config says so */
		assert_close(c.loss.epsilon_high, cases[i].high, 0);
		config_free(&c);
	}
}

TEST_MAIN(TEST(epsilon_alone_sets_both_sides_of_the_clip),
          TEST(what_a_part_does_not_read_is_refused_and_not_resolved),
          TEST(the_schema_knows_the_words_of_the_algorithm_and_no_others),
          TEST(every_row_of_the_table_becomes_a_config_and_comes_back))
