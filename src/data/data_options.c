#include "data/data_options.h"

#include <limits.h>

/* clang-format off */
#define WEIGHT_HELP \
	"share of what is drawn, relative to the other weights; 0: every source by its number of problems"

#define ROOM "" /* a row's options have no room before their names */

#define HOME struct generator_options
#define GENERATOR \
	TEXT(name, OPTION_REQUIRED, 1, 100, "countdown, knights_knaves, addition, sequence, ..."), \
	TEXT(reward, "", 0, 100, "the verifier of its problems, instead of those under task"), \
	RANGE(levels, "1", 0, 100, "difficulty, or a range of them such as 1-3"), \
	INT(count, "1000", 1, 1e8, "problems, spread evenly over the levels"), \
	INT(seed, "0", 0, INT_MAX, "another seed gives other problems"), \
	INT(first, "0", 0, 1e9, "number of the first problem")
static const struct option generator_options[] = {
	GENERATOR,
	REAL(error_rate, "0", 0, 1,
	     "share of wrong steps in worked solutions: an imperfect corpus for hone sft"),
	REAL(weight, "0", 0, 1e6, WEIGHT_HELP),
};
static const struct option eval_generator_options[] = {GENERATOR};
static const struct option_table generator_rows = OPTION_TABLE(generator_options);
static const struct option_table eval_generator_rows = OPTION_TABLE(eval_generator_options);
#undef HOME

#define HOME struct source_options
#define SOURCE \
	TEXT(file, OPTION_REQUIRED, 1, 4000, "rows of JSON, plain or gzip"), \
	TEXT(name, "", 0, 100, \
	     "name of the file in tables and messages; empty: the file's name up to its first dot"), \
	TEXT(reward, "", 0, 100, "the verifier of its problems, instead of those under task"), \
	TEXT(category, "", 0, 200, "category of rows that have none"), \
	TEXT(prompt_column, "", 0, 200, "for this file, as data.prompt_column; empty: as there"), \
	TEXT(answer_column, "", 0, 200, "for this file, as data.answer_column; empty: as there"), \
	TEXT(category_column, "", 0, 200, \
	     "for this file, as data.category_column; empty: as there"), \
	TEXT(id_column, "", 0, 200, "for this file, as data.id_column; empty: as there"), \
	TEXT(prompt_template, "", 0, 100000, \
	     "for this file, as data.prompt_template; empty: as there")
static const struct option source_options[] = {
	SOURCE,
	REAL(weight, "0", 0, 1e6, WEIGHT_HELP),
};
static const struct option eval_source_options[] = {SOURCE};
static const struct option_table source_rows = OPTION_TABLE(source_options, .brief = 1);
static const struct option_table eval_source_rows = OPTION_TABLE(eval_source_options, .brief = 1);
#undef HOME
#undef ROOM
/* clang-format on */

static const struct choice chats[] = {{"never", CHAT_NEVER, NULL},
                                      {"auto", CHAT_AUTO, NULL},
                                      {"always", CHAT_ALWAYS, NULL},
                                      {"ready", CHAT_READY, NULL},
                                      {0}};
static const struct choice answer_lists[] = {{"any", 0, NULL}, {"all", 1, NULL}, {0}};
static const struct choice unreadables[] = {{"error", 0, NULL}, {"drop", 1, NULL}, {0}};
static const struct choice overlongs[] = {{"drop", 0, NULL}, {"error", 1, NULL}, {0}};

#define FILES "data.train!=[] or data.eval!=[]"
#define HELD_OUT "data.eval!=[] or data.eval_generate!=[]"

#define HOME struct data_options
#define ROOM "data."
/* clang-format off */
static const struct option data_options[] = {
	ROWS(train, &source_rows, 1000, "problems to train on: files, as names or as maps"),
	ROWS(generate, &generator_rows, 100,
	     "generated problems to train on, never those that can be held out "
	     "(src/world/generator.h)"),
	ROWS(eval, &eval_source_rows, 1000,
	     "held-out problems: files, as names or as maps; hone eval reports each file"),
	ROWS(eval_generate, &eval_generator_rows, 100,
	     "generated held-out problems, each once; by construction data.generate can make "
	     "none of them, whatever its numbers and seeds"),
	TEXT(prompt_column, "prompt", 1, 200,
	     "column with the prompt: a string or a list of messages", .when = FILES),
	TEXT(answer_column, "", 0, 200,
	     "column with the answer, a.b for one inside another; empty: the first of answer, "
	     "solution, ground_truth, label, reward_model.ground_truth, ground_truth.target",
	     .when = FILES),
	TEXT(category_column, "category", 1, 200,
	     "column by which curricula and evaluation group the problems; category also finds "
	     "data_source and dataset", .when = FILES),
	TEXT(id_column, "", 0, 200,
	     "column with the id; empty: the first of id, unique_id, otherwise FILE:LINE; line: "
	     "always FILE:LINE", .when = FILES),
	TEXT(prompt_template, "{prompt}", 1, 100000,
	     "text around each prompt; {prompt} stands for it", .when = FILES),
	CHOICE(chat, "auto", chats,
	       "applies the model's chat template to string prompts, too; auto: where the model "
	       "has one; ready: prompts are rendered already, and neither template nor special "
	       "tokens are added"),
	TEXT(system_prompt, "", 0, 100000,
	     "system message for messages that begin with none; empty: none",
	     .when = "data.chat!=ready"),
	JSON(chat_template_kwargs, "", 0, 100000,
	     "variables of the chat template, such as {enable_thinking: false}; a row's own "
	     "column chat_template_kwargs takes precedence", .when = "data.chat!=ready"),
	TEXT(chat_date, "2024-07-26", 0, 10,
	     "the date for a chat template that asks for it (strftime_now, date_string): always "
	     "the same, so that a run does not depend on the day; empty: none",
	     .when = "data.chat!=ready"),
	INT(max_prompt_length, "512", 1, 1 << 20, "tokens; a longer prompt is never cut"),
	CHOICE_AS("answer_list", join_answers, "any", answer_lists,
	     "an answer that is a list: any of its items is right, or all of them together are "
	     "the answer", .when = FILES),
	CHOICE_AS("unreadable_answers", drop_unreadable, "error", unreadables,
	     "problems whose answer the verifier cannot use: an error, or left out, counted and "
	     "named"),
	CHOICE_AS("overlong_prompts", refuse_long, "drop", overlongs,
	     "prompts that are longer than that, and in hone sft prompts without room for their "
	     "worked completion: left out, counted and named, or an error"),
	INT(max_problems, "0", 0, INT_MAX,
	    "uses only so many training problems, the first ones; 0: all"),
	INT(eval_max_problems, "0", 0, INT_MAX,
	    "uses only so many held-out problems of each file or generator, the first ones; 0: all",
	    .when = HELD_OUT, .flags = FREE_ON_RESUME),
	TEXT(convert, "", 0, 100,
	     "generator that rewrites published rows in its own compact text: knights_knaves",
	     .when = FILES),
};
/* clang-format on */
const struct option_table data_options_table = OPTION_TABLE(data_options);
