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
		assert_true(got.epsilon_high == row->epsilon_high && c.loss.epsilon_high == row->epsilon_high);
		assert_string_equal(c.loss.clip, choice_name(choices_clip, row->clip));
		config_free(&c);
	}
}

TEST_MAIN(TEST(the_schema_knows_the_words_of_the_algorithm_and_no_others), TEST(every_row_of_the_table_becomes_a_config_and_comes_back))
