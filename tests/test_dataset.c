#include "data/dataset.h"

#include "base/json.h"
#include "test.h"
#include "verify/verifier.h"
#include "world/generate.h"

#include <stdlib.h>
#include <unistd.h>

static const char *temporary(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "/tmp/hone-test-%d-%s", (int)getpid(), name);
	return path;
}

/* Writes the text to a file, reads it, removes it. */
static int read_text(const char *text, const struct dataset_options *o, struct dataset *d)
{
	const char *path = temporary("rows.jsonl");
	int         status;

	assert_ok(file_write(path, text, strlen(text)));
	status = dataset_read(&path, 1, o, d);
	unlink(path);
	return status;
}

static void a_row_fills_every_field_of_a_problem(void **state)
{
	(void)state;
	struct dataset d;

	assert_ok(read_text("{\"id\": 7, \"prompt\": \"p\", \"answer\": 42, \"category\": \"c\", "
	                    "\"difficulty\": 2.5, \"hint\": \"h\", "
	                    "\"demonstrations\": [\"x\", \"y\"], \"rubric\": \"r\", \"skills\": "
	                    "\"s\", \"extra\": {\"k\": 1}}\r\n\n"
	                    "{\"prompt\": \"q\", \"answer\": \"a\"}",
	                    NULL, &d));
	assert_int_equal(d.n, 2);
	const struct problem *p = &d.problems[0];
	assert_string_equal(p->id, "7");
	assert_string_equal(p->prompt, "p");
	assert_string_equal(p->answer, "42");
	assert_string_equal(p->category, "c");
	assert_close(p->difficulty, 2.5, 0);
	assert_string_equal(p->hint, "h");
	assert_int_equal(p->n_demonstrations, 2);
	assert_string_equal(p->demonstrations[1], "y");
	assert_string_equal(p->rubric, "r");
	assert_int_equal(p->n_skills, 1);
	assert_string_equal(p->skills[0], "s");
	assert_non_null(strstr(p->row, "\"extra\""));
	assert_int_equal(p->line, 1);
	assert_int_equal(d.problems[1].line, 3);
	assert_true(isnan(d.problems[1].difficulty));
	assert_null(d.problems[1].hint);
	assert_non_null(strstr(d.problems[1].id, "rows:3"));
	dataset_free(&d);
}

static void every_spelling_of_prompt_and_answer_is_found(void **state)
{
	(void)state;
	static const char *const rows[] = {
	        "{\"prompt\": \"p\", \"answer\": \"a\"}",
	        "{\"question\": \"p\", \"solution\": \"a\"}",
	        "{\"problem\": \"p\", \"ground_truth\": \"a\"}",
	        "{\"input\": \"p\", \"label\": \"a\"}",
	        "{\"prompt\": \"p\", \"reward_model\": {\"style\": \"rule\", \"ground_truth\": "
	        "\"a\"}}",
	        "{\"question\": \"no\", \"prompt\": \"p\", \"label\": \"no\", \"answer\": \"a\"}",
	        "{\"prompt\": null, \"question\": \"p\", \"answer\": null, \"solution\": \"a\"}",
	        "{\"prompt\": \"p\", \"ground_truth\": {\"no\": 1}, \"label\": \"a\"}",
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct dataset d;
		assert_ok(read_text(rows[i], NULL, &d));
		assert_string_equal(d.problems[0].prompt, "p");
		assert_string_equal(d.problems[0].answer, "a");
		dataset_free(&d);
	}
}

static void answers_that_are_no_texts_become_their_json(void **state)
{
	(void)state;
	static const struct {
		const char *json, *text;
	} cases[] = {{"42", "42"},
	             {"123456789012345678901234567890", "123456789012345678901234567890"},
	             {"-7", "-7"},
	             {"0.1", "0.1"},
	             {"42.0", "42.0"},
	             {"1e300", "1e+300"},
	             {"true", "true"},
	             {"[\"a\", 1]", "[\"a\",1]"},
	             {"\"\"", ""}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct dataset d;
		char           row[100];
		snprintf(row, sizeof row, "{\"prompt\": \"p\", \"answer\": %s}", cases[i].json);
		assert_ok(read_text(row, NULL, &d));
		assert_string_equal(d.problems[0].answer, cases[i].text);
		dataset_free(&d);
	}
}

static void rows_of_other_frameworks_are_read(void **state)
{
	(void)state;
	const char    *paths[] = {"tests/data/task/verl_gsm8k.jsonl",
	                          "tests/data/task/messages.jsonl"};
	struct dataset d;

	assert_ok(dataset_read(paths, 2, NULL, &d));
	assert_int_equal(d.n, 7);
	assert_string_equal(d.problems[0].answer, "72");
	assert_int_equal(d.problems[0].n_messages, 1);
	assert_string_equal(d.problems[0].messages[0].role, "user");
	assert_null(d.problems[0].prompt);
	assert_string_equal(d.problems[3].answer, "42");
	assert_string_equal(d.problems[3].messages[0].content, "What is 15 + 27?");
	assert_string_equal(d.problems[6].answer, "5");
	dataset_free(&d);
}

static void a_gold_deep_in_the_row_is_found_by_its_path(void **state)
{
	(void)state;
	const char *puzzles = "tests/data/task/verl_kk.jsonl",
	           *talks = "tests/data/task/conversations.jsonl";
	struct dataset_options o = {.answer_column =
	                                    "reward_model.ground_truth.solution_text_format"},
	                       none = {.answer_optional = 1};
	struct dataset d;

	assert_ok(dataset_read(&puzzles, 1, &o, &d));
	assert_int_equal(d.n, 2);
	assert_string_equal(d.problems[0].category, "kk_logic");
	assert_non_null(strstr(d.problems[0].answer, "(5) Amelia is a knave"));
	assert_non_null(strstr(d.problems[0].messages[0].content, "<|im_start|>system"));
	dataset_free(&d);
	o.answer_column = "reward_model.ground_truth.nothing";
	assert_error(dataset_read(&puzzles, 1, &o, &d), ERR_INPUT,
	             "verl_kk.jsonl:1: the answer column \"reward_model.ground_truth.nothing\" is "
	             "missing");
	assert_ok(dataset_read(&talks, 1, &none, &d));
	assert_int_equal(d.n, 3);
	assert_string_equal(d.problems[0].id, "conversations:1");
	assert_string_equal(d.problems[0].demonstrations[0], "The capital of France is Paris.");
	assert_int_equal(d.problems[1].n_messages, 2);
	assert_string_equal(d.problems[1].messages[0].role, "system");
	dataset_free(&d);
}

static void ids_and_categories_have_spellings_of_their_own(void **state)
{
	(void)state;
	static const char text[] = "{\"prompt\": \"p\", \"answer\": \"a\", \"unique_id\": "
	                           "\"test/7.json\", \"data_source\": \"math\", \"index\": 3}\n"
	                           "{\"prompt\": \"q\", \"answer\": \"a\", \"id\": 5, "
	                           "\"unique_id\": \"x\", \"dataset\": \"gsm8k\", \"index\": 4}\n"
	                           "{\"prompt\": \"r\", \"answer\": \"a\", \"category\": \"c\", "
	                           "\"dataset\": \"d\", \"index\": 5}\n"
	                           "{\"prompt\": \"s\", \"answer\": \"a\", \"index\": 6}\n";
	static const struct {
		struct dataset_options o;
		const char            *id[4], *category[4];
	} cases[] = {
	        {{0}, {"test/7.json", "5", NULL, NULL}, {"math", "gsm8k", "c", NULL}},
	        {{.id_column = "index", .category = "rest"},
	         {"3", "4", "5", "6"},
	         {"math", "gsm8k", "c", "rest"}},
	        {{.id_column = "line", .name = "my"},
	         {"my:1", "my:2", "my:3", "my:4"},
	         {"math", "gsm8k", "c", NULL}},
	        {{.id_column = "line", .category_column = "index"}, {NULL}, {"3", "4", "5", "6"}},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct dataset d;
		assert_ok(read_text(text, &cases[i].o, &d));
		for (int k = 0; k < 4; k++) {
			if (cases[i].id[k])
				assert_string_equal(d.problems[k].id, cases[i].id[k]);
			if (cases[i].category[k])
				assert_string_equal(d.problems[k].category, cases[i].category[k]);
			else
				assert_null(d.problems[k].category);
		}
		dataset_free(&d);
	}
}

static void the_last_word_of_the_assistant_is_a_demonstration(void **state)
{
	(void)state;
	struct dataset         d;
	struct dataset_options o = {.answer_optional = 1};

	assert_ok(read_text("{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": "
	                    "\"assistant\", \"content\": \"a\"}]}",
	                    &o, &d));
	assert_int_equal(d.problems[0].n_messages, 1);
	assert_string_equal(d.problems[0].demonstrations[0], "a");
	dataset_free(&d);
}

/* The same two problems as lines, as a list on one line and on many, as objects over several lines;
 * with a byte order mark, with the line ends of Windows, with nothing behind the last byte. */
static void a_file_of_any_layout_gives_the_same_problems(void **state)
{
	(void)state;
	static const char *const files[] = {
	        "{\"prompt\": \"a \\\"[{ b\", \"answer\": [1]}\n\n{\"prompt\": \"c\", \"answer\": "
	        "2}\n",
	        "\xEF\xBB\xBF{\"prompt\": \"a \\\"[{ b\", \"answer\": [1]}\r\n{\"prompt\": \"c\", "
	        "\"answer\": 2}",
	        "[{\"prompt\": \"a \\\"[{ b\", \"answer\": [1]},{\"prompt\": \"c\", \"answer\": "
	        "2}]",
	        "\xEF\xBB\xBF\n [\n  {\n    \"prompt\": \"a \\\"[{ b\",\n \"answer\": [\n1]\n },\n "
	        "{\n \"prompt\": \"c\", \"answer\": "
	        "2\n}\n]\n",
	        "{\r\n\"prompt\": \"a \\\"[{ b\",\r\n\"answer\": [1]\r\n}\r\n{\r\n\"prompt\": "
	        "\"c\",\r\n\"answer\": 2\r\n}",
	};
	static const int second_line[] = {3, 2, 1, 8, 5}, second_id[] = {3, 2, 2, 2, 2};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct dataset d;
		char           id[16];
		assert_ok(read_text(files[i], NULL, &d));
		assert_int_equal(d.n, 2);
		assert_string_equal(d.problems[0].prompt, "a \"[{ b");
		assert_string_equal(d.problems[0].answer, "[1]");
		assert_string_equal(d.problems[1].prompt, "c");
		assert_string_equal(d.problems[1].answer, "2");
		assert_int_equal(d.problems[1].line, second_line[i]);
		snprintf(id, sizeof id, ":%d", second_id[i]);
		assert_string_equal(strrchr(d.problems[1].id, ':'), id);
		dataset_free(&d);
	}
}

/* A list longer than what is read at once, and longer than any row may be. */
static void a_list_may_be_longer_than_a_row(void **state)
{
	(void)state;
	enum { N = 400 };
	struct text    t = {0};
	struct dataset d;

	for (int i = 0; i < N; i++) {
		text_print(&t, "%s{\"prompt\": \"%d ", i ? "," : "[", i);
		for (int k = 0; k < 900; k++)
			text_print(&t, "%-50d", k);
		text_print(&t, "\", \"answer\": %d}", i);
	}
	text_print(&t, "]");
	assert_true(t.n > DATASET_LINE_MAX);
	assert_ok(read_text(t.data, NULL, &d));
	assert_int_equal(d.n, N);
	for (int i = 0; i < N; i++) {
		assert_int_equal(atoi(d.problems[i].prompt), i);
		assert_int_equal(atoi(d.problems[i].answer), i);
	}
	dataset_free(&d);
	text_free(&t);
}

/* Runs the command of the error message and reads what it makes. */
static void assert_command_mends(const char *name, const char *bytes, size_t n, const char *made)
{
	const char    *path = temporary(name), *result;
	char           command[1000], in[300];
	struct dataset d;

	snprintf(in, sizeof in, "%s", path);
	path = in;
	assert_ok(file_write(path, bytes, n));
	assert_int_equal(dataset_read(&path, 1, NULL, &d), ERR_INPUT);
	assert_non_null(strstr(error_message(), "; run: "));
	snprintf(command, sizeof command, "%s", strstr(error_message(), "; run: ") + 7);
	assert_int_equal(system(command), 0);
	result = temporary(made);
	assert_ok(dataset_read(&result, 1, NULL, &d));
	assert_int_equal(d.n, 1);
	assert_string_equal(d.problems[0].prompt, "1, 2");
	assert_string_equal(d.problems[0].answer, "3");
	dataset_free(&d);
	unlink(in);
	unlink(result);
}

static void what_is_no_json_is_refused_with_the_command_that_mends_it(void **state)
{
	(void)state;
	static const char row[] = "{\"prompt\": \"1, 2\", \"answer\": 3}\n";
	char              wide[2 * sizeof row + 2] = "\xFF\xFE";
	size_t            n = strlen(row);
	static const struct {
		const char *text, *message;
	} cases[] = {
	        {"PAR1xxxx",
	         "this is a Parquet file, and no rows of JSON; run: python3 -c 'import pandas"},
	        {"PK\003\004xx", "this is a zip archive"},
	        {"BZh91AY", "compressed with bzip2, and no rows of JSON; run: bzip2 -dc /tmp/"},
	        {"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n",
	         "this is a Git LFS pointer, not the file it stands "
	         "for, and no rows of JSON; run: git -C /tmp lfs pull"},
	        {"/annex/objects/SHA256E-s1--a.jsonl\n", "run: git annex get /tmp/"},
	        {"<!DOCTYPE html>", "a web page or XML"},
	        {"prompt,answer\n1,2\n", "this is a table (CSV)"},
	        {"prompt\tanswer\n1\t2\n", "delimiter=\"\\t\")]' < /tmp/"},
	        {"prompt;answer\n1;2\n", "-rows.rows.jsonl"}, /* not onto itself */
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct dataset d;
		assert_error(read_text(cases[i].text, NULL, &d), ERR_INPUT, cases[i].message);
	}
	for (size_t i = 0; i < n; i++)
		wide[2 + 2 * i] = row[i];
	assert_command_mends("wide.jsonl", wide, 2 + 2 * n, "wide.utf8.jsonl");
	assert_command_mends("no mark.jsonl", wide + 2, 2 * n, "no mark.utf8.jsonl");
	if (system("command -v python3 > /dev/null") == 0) {
		assert_command_mends("it's.csv", "prompt,answer\n\"1, 2\",3\n", 23, "it's.jsonl");
		assert_command_mends("a.tsv", "prompt\tanswer\n1, 2\t3\n", 21, "a.jsonl");
	}
}

/* Each of them in a column that nobody reads; as rows these are what the dumps of Python and pandas
 * hold. */
static void a_value_that_nobody_reads_stops_nobody(void **state)
{
	(void)state;
	static const char *const values[] = {"NaN",
	                                     "-Infinity",
	                                     "[Infinity, NaN]",
	                                     "[NaN, \"NaN \\\" -Infinity\"]",
	                                     "\"\\ud83d\"",
	                                     "\"\\uDE00 \\uD83D\\uDE00\"",
	                                     "{\"NaN\": \"NaN \\\" NaN\"}"};
	static const char *const kept[] = {"null",
	                                   "null",
	                                   "[null, null]",
	                                   "[null, \"NaN \\\" -Infinity\"]",
	                                   "\"\xEF\xBF\xBD\"",
	                                   "\"\xEF\xBF\xBD \xF0\x9F\x98\x80\"",
	                                   "{\"NaN\": \"NaN \\\" NaN\"}"};

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct dataset d;
		struct text    t = {0}, row = {0};
		json_t        *json, *want;
		text_print(&row,
		           "{\"prompt\": \"p\", \"answer\": \"\\ud83d\\ude00\", \"score\": %s}",
		           values[i]);
		assert_ok(read_text(row.data, NULL, &d));
		assert_string_equal(d.problems[0].answer, "\xF0\x9F\x98\x80");
		assert_ok(json_parse("row", d.problems[0].row, strlen(d.problems[0].row), &json));
		assert_ok(json_parse("want", kept[i], strlen(kept[i]), &want));
		assert_true(json_equal(json_object_get(json, "score"), want));
		assert_ok(dataset_add_row(&t, &d.problems[0]));
		json_decref(json);
		json_decref(want);
		text_free(&row);
		text_free(&t);
		dataset_free(&d);
	}
}

static void scales_of_difficulty_that_are_no_numbers_are_not_read(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		double      difficulty;
	} cases[] = {
	        {"3", 3},          {"\"3\"", 3},     {"\"-2.5e1\"", -25}, {"\"hard\"", NAN},
	        {"\"0x10\"", NAN}, {"\"nan\"", NAN}, {"\"\"", NAN},       {"{\"level\": 3}", NAN},
	        {"NaN", NAN},      {"[3]", NAN},     {"\"3 of 5\"", NAN}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct dataset d;
		struct text    row = {0}, t = {0};
		text_print(&row,
		           "{\"prompt\": \"p\", \"answer\": 1, \"category\": {\"a\": 1}, "
		           "\"difficulty\": %s}",
		           cases[i].json);
		assert_ok(read_text(row.data, NULL, &d));
		assert_true(isnan(cases[i].difficulty)
		                    ? isnan(d.problems[0].difficulty)
		                    : d.problems[0].difficulty == cases[i].difficulty);
		assert_null(d.problems[0].category);
		assert_ok(dataset_add_row(&t, &d.problems[0]));
		/* not lost when it is written */
		assert_non_null(
		        strstr(t.data, i == 3 ? "\"difficulty\": \"hard\"" : "\"difficulty\": "));
		text_free(&row);
		text_free(&t);
		dataset_free(&d);
	}
}

static void an_id_that_became_a_real_is_the_integer_it_was(void **state)
{
	(void)state;
	struct dataset d;

	assert_ok(read_text("{\"prompt\": \"p\", \"answer\": 1, \"id\": 17.0}\n{\"prompt\": \"p\", "
	                    "\"answer\": 1, \"id\": NaN}",
	                    NULL, &d));
	assert_string_equal(d.problems[0].id, "17");
	assert_string_equal(strrchr(d.problems[1].id, ':'), ":2");
	dataset_free(&d);
}

/* What is asked, and what is worked, in the shapes that data sets are published in. */
static void prompts_come_in_the_shapes_that_people_publish(void **state)
{
	(void)state;
	static const struct {
		const char *row, *prompt, *last, *worked; /* prompt, or else the last message */
		int         n_messages;
	} cases[] = {
	        {"{\"instruction\": \"Add.\", \"input\": \"2+2\", \"output\": \"4\"}", "Add.\n2+2",
	         NULL, "4", 0},
	        {"{\"instruction\": \"What is 2+2?\", \"input\": \"\", \"output\": \"4\"}",
	         "What is 2+2?", NULL, "4", 0},
	        {"{\"instruction\": \"Who?\", \"context\": \"Ada.\", \"response\": \"Ada\", "
	         "\"category\": \"qa\"}",
	         "Who?\nAda.", NULL, "Ada", 0},
	        {"{\"prompt\": \"q\", \"instruction\": \"i\", \"input\": \"x\", \"output\": \"o\"}",
	         "q", NULL, NULL, 0},
	        {"{\"prompt\": \"q\", \"completion\": \" c\"}", "q", NULL, " c", 0},
	        {"{\"prompt\": \"q\", \"completion\": \"c\", \"demonstrations\": [\"d\"]}", "q",
	         NULL, "d", 0},
	        {"{\"prompt\": [{\"role\": \"user\", \"content\": \"q\"}], \"completion\": "
	         "[{\"role\": \"assistant\", \"content\": "
	         "\"c\"}]}",
	         NULL, "q", "c", 1},
	        {"{\"prompt\": \"q\", \"completion\": {\"tokens\": 3}}", "q", NULL, NULL, 0},
	        {"{\"prompt\": \"q\", \"completion\": \"c\", \"demonstrations\": []}", "q", NULL,
	         "c", 0},
	        {"{\"prompt\": \" [{\\\"role\\\": \\\"user\\\", \\\"content\\\": \\\"2+2?\\\"}]\"}",
	         NULL, "2+2?", NULL, 1},
	        {"{\"prompt\": \"[1, 2, 3]\"}", "[1, 2, 3]", NULL, NULL, 0},
	        {"{\"prompt\": \"[]\"}", "[]", NULL, NULL, 0},
	        {"{\"prompt\": \"[{\\\"role\\\": 1}]\"}", "[{\"role\": 1}]", NULL, NULL, 0},
	        {"{\"prompt\": \"[{\"}", "[{", NULL, NULL, 0},
	        {"{\"conversations\": [{\"from\": \"system\", \"value\": \"s\"}, {\"from\": "
	         "\"human\", \"value\": \"q\"}, {\"from\": "
	         "\"gpt\", \"value\": \"a\"}]}",
	         NULL, "q", "a", 2},
	        {"{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": "
	         "\"assistant\", \"content\": \"a\"}]}",
	         NULL, "q", "a", 1},
	        {"{\"prompt\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": "
	         "\"assistant\", \"content\": \"so \"}]}",
	         NULL, "so ", NULL, 2},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct dataset        d;
		const struct problem *p;
		assert_ok(read_text(cases[i].row, &(struct dataset_options){.answer_optional = 1},
		                    &d));
		p = &d.problems[0];
		if (cases[i].prompt)
			assert_string_equal(p->prompt, cases[i].prompt);
		assert_int_equal(p->n_messages, cases[i].n_messages);
		if (cases[i].last)
			assert_string_equal(p->messages[p->n_messages - 1].content, cases[i].last);
		assert_int_equal(p->n_demonstrations, cases[i].worked != NULL);
		if (cases[i].worked)
			assert_string_equal(p->demonstrations[0], cases[i].worked);
		dataset_free(&d);
	}
}

/* Tools, variables, calls: kept for the chat template, and written as they came. */
static void what_the_chat_template_is_to_see_is_kept(void **state)
{
	(void)state;
	static const char *const rows[] = {
	        "{\"prompt\": \"p\", \"tools\": [{\"name\": \"f\"}], \"chat_template_kwargs\": "
	        "{\"enable_thinking\": false}}",
	        "{\"prompt\": \"p\", \"tools\": \"[{\\\"name\\\": \\\"f\\\"}]\", "
	        "\"chat_template_kwargs\": \"{\\\"enable_thinking\\\": "
	        "false}\"}",
	};
	struct dataset_options o = {.answer_optional = 1};
	struct dataset         d;
	struct text            t = {0};

	for (int i = 0; i < 2; i++) {
		assert_ok(read_text(rows[i], &o, &d));
		assert_string_equal(d.problems[0].template_values,
		                    "{\"enable_thinking\":false,\"tools\":[{\"name\":\"f\"}]}");
		dataset_free(&d);
	}
	assert_ok(
	        read_text("{\"prompt\": \"p\", \"tools\": [\"search\"], \"chat_template_kwargs\": "
	                  "null}\n{\"prompt\": \"p\", \"tools\": \"search\"}",
	                  &o, &d));
	assert_null(d.problems[0].template_values);
	assert_null(d.problems[1].template_values);
	dataset_free(&d);
	assert_ok(read_text("{\"prompt\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": "
	                    "\"assistant\", \"content\": null, "
	                    "\"tool_calls\": [1]}, "
	                    "{\"role\": \"tool\", \"name\": \"f\", \"content\": \"4\"}]}",
	                    &o, &d));
	assert_null(d.problems[0].messages[0].json);
	assert_string_equal(d.problems[0].messages[1].content, "");
	assert_string_equal(d.problems[0].messages[1].json,
	                    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[1]}");
	assert_ok(dataset_add_row(&t, &d.problems[0]));
	assert_non_null(strstr(t.data, "{\"role\": \"user\", \"content\": \"q\"}, "
	                               "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[1]"
	                               "}, {\"role\":\"tool\""));
	text_free(&t);
	dataset_free(&d);
}

static void published_puzzles_come_in_words_and_in_signs(void **state)
{
	(void)state;
	const char            *path = "data/knights-knaves/3ppl_test.jsonl.gz";
	struct dataset_options words = {.prompt_column = "quiz",
	                                .answer_column = "solution_text",
	                                .category_column = "people"};
	struct dataset_options signs = {.convert = generate_knights_convert, .problems_max = 5};
	struct dataset         d;

	assert_ok(dataset_read(&path, 1, &words, &d));
	assert_int_equal(d.n, 100);
	assert_string_equal(
	        d.problems[0].answer,
	        "(1) Amelia is a knight\n(2) Penelope is a knight\n(3) Evelyn is a knave");
	assert_string_equal(d.problems[0].category, "3");
	dataset_free(&d);
	assert_ok(dataset_read(&path, 1, &signs, &d));
	assert_int_equal(d.n, 5);
	assert_string_equal(d.problems[0].prompt, "A:!C,B:B|c,C:B=b?");
	assert_string_equal(d.problems[0].answer, "ABc");
	assert_string_equal(d.problems[0].demonstrations[0], "ABCA!1-ABcA!0+B1|1+c1=0+#ABc");
	assert_string_equal(d.problems[0].category, "knights_knaves/3");
	assert_string_equal(d.problems[0].id, "3ppl_test:1");
	dataset_free(&d);
}

static void a_template_makes_prompts_from_columns(void **state)
{
	(void)state;
	const char            *path = "tests/data/task/countdown3.jsonl";
	struct dataset_options o = {.prompt_template = "Make {target} of {numbers}. {x y} {",
	                            .answer_optional = 1};
	struct dataset         d;

	assert_ok(dataset_read(&path, 1, &o, &d));
	assert_string_equal(d.problems[0].prompt, "Make 23 of 30, 100, 93. {x y} {");
	dataset_free(&d);
	o.prompt_template = "Q: {prompt}\nA:";
	assert_ok(read_text("{\"prompt\": \"{target}?\"}", &o, &d));
	assert_string_equal(d.problems[0].prompt, "Q: {target}?\nA:");
	dataset_free(&d);
	assert_ok(read_text("{\"prompt\": [{\"role\": \"system\", \"content\": \"s\"}, {\"role\": "
	                    "\"user\", \"content\": \"u\"}]}",
	                    &o, &d));
	assert_string_equal(d.problems[0].messages[0].content, "s");
	assert_string_equal(d.problems[0].messages[1].content, "Q: u\nA:");
	dataset_free(&d);
	assert_ok(read_text("{\"prompt\": [{\"role\": \"user\", \"content\": \"u\"}, {\"role\": "
	                    "\"assistant\", \"content\": \"so\"}]}",
	                    &o, &d));
	/* the one that asks, not the one that is continued */
	assert_string_equal(d.problems[0].messages[0].content, "Q: u\nA:");
	assert_string_equal(d.problems[0].messages[1].content, "so");
	dataset_free(&d);
}

static void a_path_goes_into_lists_by_number(void **state)
{
	(void)state;
	const char            *path = "tests/data/task/arc_1d.jsonl";
	struct dataset_options o = {.prompt_template =
	                                    "{train.0.input}\n{train.2.output}\n{test.0.input}",
	                            .answer_column = "test.0.output"};
	struct dataset         d;
	const char            *nested = "{\"a\": [[1, {\"b\": 2}]], \"a.0\": 3}";
	json_t                *row;

	assert_ok(dataset_read(&path, 1, &o, &d));
	assert_int_equal(d.n, 6);
	for (int i = 0; i < d.n; i++) {
		assert_int_equal(d.problems[i].answer[0], '[');
		assert_non_null(strchr(d.problems[i].prompt, '\n'));
	}
	dataset_free(&d);
	assert_ok(json_parse("row", nested, strlen(nested), &row));
	assert_int_equal(json_integer_value(dataset_column(row, "a.0.1.b")), 2);
	assert_int_equal(json_integer_value(dataset_column(row, "a.0")), 3);
	assert_null(dataset_column(row, "a.1"));
	assert_null(dataset_column(row, "a.0.2"));
	assert_null(dataset_column(row, "a.-1.0"));
	assert_null(dataset_column(row, "a.0.0x"));
	assert_null(dataset_column(row, "a..0"));
	assert_null(dataset_column(row, "a.99999999999999999999"));
	json_decref(row);
}

static void a_written_row_reads_back_the_same(void **state)
{
	(void)state;
	const char    *rows = "{\"id\": \"a\\n\\u00e9\", \"prompt\": [{\"role\": \"user\", "
	                      "\"content\": \"\\\"q\\\"\"}], \"answer\": 0.5, "
	                      "\"difficulty\": 0.1, "
	                      "\"category\": \"c\", \"hint\": \"h\", \"rubric\": \"r\", \"skills\": "
	                      "[\"s\", \"t\"], \"demonstrations\": "
	                      "[\"d\"], \"extra\": {\"k\": [1, 2.5]}}\n";
	struct dataset d, again;
	struct text    t = {0}, twice = {0};

	assert_ok(read_text(rows, NULL, &d));
	assert_ok(dataset_add_row(&t, &d.problems[0]));
	assert_ok(read_text(t.data, NULL, &again));
	assert_ok(dataset_add_row(&twice, &again.problems[0]));
	assert_string_equal(t.data, twice.data);
	assert_string_equal(again.problems[0].id, d.problems[0].id);
	assert_string_equal(again.problems[0].messages[0].content, "\"q\"");
	assert_string_equal(again.problems[0].answer, "0.5");
	assert_true(again.problems[0].difficulty == d.problems[0].difficulty);
	assert_string_equal(again.problems[0].skills[1], "t");
	assert_non_null(strstr(again.problems[0].row, "\"extra\""));
	text_free(&t);
	text_free(&twice);
	dataset_free(&again);
	dataset_free(&d);
}

#define PROMPT "\"prompt\": \"p\""
#define ANSWER "\"answer\": \"a\""

static void hostile_rows_are_refused_with_their_place(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
	        {"", "no rows"},
	        {"\n \n\t\n", "no rows"},
	        {"[1]", ":1: row 1 must be a JSON object, such as {\"prompt\""},
	        {"[]", "no rows"},
	        {"3", "no rows of JSON: a row is an object, such as {\"prompt\": \"...\", "
	              "\"answer\": \"...\"}, but the file begins with \"3\""},
	        {"{" PROMPT ", " ANSWER "}\n3", ":2: expected one JSON object"},
	        {"[", ":1: the list does not end; is the file cut off?"},
	        {"[{" PROMPT ", " ANSWER "}", ":1: the list does not end"},
	        {"[{" PROMPT ", " ANSWER "}\n{" PROMPT ", " ANSWER "}]",
	         ":2: not valid JSON: a comma is missing between two items"},
	        {"[{" PROMPT ", " ANSWER "},\n]", ":2: row 2 must be a JSON object"},
	        {"[{" PROMPT ", " ANSWER "}] 1", ":1: something stands behind the list"},
	        {"[\n{" PROMPT "}]", ":2 (row 1): no answer"},
	        {"[\n{" PROMPT ", " ANSWER "},\n{\"prompt\": \"x\ny\"}]",
	         ":3: not valid JSON: a text does not end on its line"},
	        {"{\n" PROMPT ",\n" ANSWER "\n}\n{\n" PROMPT,
	         ":5: the object that begins here does not end"},
	        {"{\n" PROMPT ",\n" ANSWER "\n}\n3", ":5: row 2 must be a JSON object"},
	        {"{\n" PROMPT ",\n" ANSWER ",\n}", ":1 (row 1): not valid JSON: line 4"},
	        {"{" PROMPT ", " ANSWER "}\n{", ":2: not valid JSON"},
	        {"{" PROMPT ", " ANSWER "} x", ":1: not valid JSON"},
	        {"{" PROMPT ", " ANSWER ", " PROMPT "}", "duplicate"},
	        {"{\"prompt\": \"\xff\", " ANSWER "}", "decode byte 0xff"},
	        {"{" ANSWER "}", "data.prompt_column"},
	        {"{\"prompt\": \"\", " ANSWER "}", "is empty"},
	        {"{\"prompt\": 3, " ANSWER "}", "must be a text or a list of messages"},
	        {"{\"prompt\": [], " ANSWER "}", "asks nothing"},
	        {"{\"prompt\": [{\"role\": \"assistant\", \"content\": \"x\"}], " ANSWER "}",
	         "asks nothing"},
	        {"{\"prompt\": [\"x\"], " ANSWER "}", "message 0"},
	        {"{\"prompt\": [{\"role\": \"user\"}], " ANSWER "}", "message 0"},
	        {"{\"prompt\": [{\"role\": \"user\", \"content\": [1]}], " ANSWER "}",
	         "both texts"},
	        {"{\"prompt\": \"a\\u0000b\", " ANSWER "}", "NUL"},
	        {"{" PROMPT ", \"answer\": \"a\\u0000\"}", "NUL"},
	        {"{" PROMPT "}", "data.answer_column"},
	        {"{" PROMPT ", \"answer\": null}", "data.answer_column"},
	        {"{" PROMPT ", \"answer\": {\"x\": 1}}", "no answer"},
	        {"{" PROMPT ", \"answer\": 1e999}", "overflow"},
	        {"{" PROMPT ", " ANSWER ", \"chat_template_kwargs\": [1]}",
	         "\"chat_template_kwargs\" must be an object"},
	        {"{\"prompt\": NaN, " ANSWER "}", "no prompt"},
	        {"{" PROMPT ", \"answer\": NaN}", "no answer"},
	        {"{" PROMPT ", \"answer\": Nan}", "not valid JSON"},
	        {"{\"prompt\": \"\\ud83d?\", " ANSWER "}",
	         ":1: \"prompt\" has half of a surrogate pair"},
	        {"{" PROMPT ", \"answer\": \"\\udE00\"}",
	         ":1: \"answer\" has half of a surrogate pair"},
	        {"{\"version\": 1, \"data\": [{" PROMPT "}]}",
	         "no prompt (looked for prompt, messages, conversations, question, problem, "
	         "instruction, input); name its column with data.prompt_column; the row has "
	         "version, data; if the rows are the items of \"data\", take them out of there: "
	         "jq -c '.[\"data\"][]'"},
	        {"{" PROMPT ", " ANSWER ", \"skills\": [1]}",
	         "\"skills\" must be a text or a list of texts"},
	        {"{" PROMPT ", " ANSWER ", \"demonstrations\": {}}", "\"demonstrations\""},
	        {"{" PROMPT ", " ANSWER ", \"id\": 1.5}", "\"id\" must be a text or an integer"},
	        {"{" PROMPT ", " ANSWER ", \"id\": \"x\"}\n{" PROMPT ", " ANSWER ", \"id\": \"x\"}",
	         "rows.jsonl:2; ids must differ"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct dataset d;
		assert_error(read_text(cases[i].text, NULL, &d), ERR_INPUT, cases[i].message);
		assert_null(d.problems);
		assert_int_equal(d.n, 0);
	}
}

static void deep_nesting_and_missing_files_are_refused(void **state)
{
	(void)state;
	struct dataset d;
	const char    *missing = "no/such/file.jsonl";
	char           deep[20000];
	size_t         n = (size_t)snprintf(deep, sizeof deep, "{\"prompt\": ");

	memset(deep + n, '[', sizeof deep - n - 1);
	deep[sizeof deep - 1] = 0;
	assert_error(read_text(deep, NULL, &d), ERR_INPUT, "nested deeper");
	assert_error(dataset_read(&missing, 1, NULL, &d), ERR_INPUT, "no/such/file.jsonl");
}

/* A little more than a line may have. */
static void a_huge_row_is_refused_with_its_line(void **state)
{
	(void)state;
	const char    *path = temporary("huge.jsonl");
	char          *text = malloc(DATASET_LINE_MAX + 200);
	size_t         n = (size_t)snprintf(text, 100, "{" PROMPT ", " ANSWER "}\n{\"x\": \"");
	struct dataset d;

	memset(text + n, 'x', DATASET_LINE_MAX);
	snprintf(text + n + DATASET_LINE_MAX, 50, "\", " PROMPT ", " ANSWER "}\n");
	assert_ok(file_write(path, text, n + DATASET_LINE_MAX));
	assert_error(dataset_read(&path, 1, NULL, &d), ERR_INPUT,
	             "huge.jsonl:2: the line is longer than 16777216 bytes");
	unlink(path);
	free(text);
}

static void ids_that_two_files_share_are_named_with_both_places(void **state)
{
	(void)state;
	const char            *paths[] = {"tests/data/task/conversations.jsonl",
	                                  "tests/data/task/conversations.jsonl"};
	struct dataset_options o = {.answer_optional = 1};
	struct dataset         d;

	assert_error(dataset_read(paths, 2, &o, &d), ERR_INPUT,
	             "the id \"conversations:1\": tests/data/task/conversations.jsonl:1 and "
	             "tests/data/task/conversations.jsonl:1; ids "
	             "must differ");
	assert_null(d.problems);
}

static void wrong_columns_of_the_options_are_named(void **state)
{
	(void)state;
	struct dataset         d;
	struct dataset_options prompt = {.prompt_column = "quiz"},
	                       answer = {.answer_column = "a.b"}, object = {.answer_column = "o"};
	struct dataset_options template = {.prompt_template = "{nothing}"};
	struct dataset_options knights = {.convert = generate_knights_convert};
	const char            *row =
	        "{" PROMPT ", \"o\": {}, \"statements\": \"(('lying', 0),)\", \"people\": 1}";

	assert_error(read_text(row, &prompt, &d), ERR_INPUT, "\"quiz\" is missing");
	assert_error(read_text(row, &answer, &d), ERR_INPUT, "\"a.b\" is missing");
	assert_error(read_text(row, &object, &d), ERR_INPUT, "\"o\" must be a text");
	assert_error(read_text(row, &template, &d), ERR_INPUT, "\"nothing\"");
	assert_error(generator_converter("x", &template.convert), ERR_INPUT, "no generator \"x\"");
	assert_error(generator_converter("addition", &template.convert), ERR_INPUT,
	             "knows no published rows");
	assert_ok(generator_converter("knights_knaves", &template.convert));
	assert_true(template.convert == knights.convert);
	assert_error(read_text(row, &knights, &d), ERR_INPUT, "none or several solutions");
	assert_error(read_text("{}", &knights, &d), ERR_INPUT, "\"statements\"");
	assert_error(read_text("{\"people\": 15, \"statements\": \"\"}", &knights, &d), ERR_INPUT,
	             "people");
}

static void memory_that_runs_out_leaves_nothing_behind(void **state)
{
	(void)state;
	struct dataset d;
	const char    *path = "tests/data/task/verl_gsm8k.jsonl";
	int            failures = 0;

	for (long i = 1; i < 12; i++) {
		int status;
		mem_fail_at(i);
		status = dataset_read(&path, 1, NULL, &d);
		if (status == OK)
			dataset_free(&d);
		else
			assert_memory(status, "");
		failures += status != OK;
		assert_null(d.problems);
	}
	mem_fail_at(0);
	assert_true(failures > 3);
}

TEST_MAIN(TEST(a_row_fills_every_field_of_a_problem),
          TEST(every_spelling_of_prompt_and_answer_is_found),
          TEST(answers_that_are_no_texts_become_their_json),
          TEST(rows_of_other_frameworks_are_read),
          TEST(a_gold_deep_in_the_row_is_found_by_its_path),
          TEST(ids_and_categories_have_spellings_of_their_own),
          TEST(the_last_word_of_the_assistant_is_a_demonstration),
          TEST(a_file_of_any_layout_gives_the_same_problems), TEST(a_list_may_be_longer_than_a_row),
          TEST(what_is_no_json_is_refused_with_the_command_that_mends_it),
          TEST(a_value_that_nobody_reads_stops_nobody),
          TEST(scales_of_difficulty_that_are_no_numbers_are_not_read),
          TEST(an_id_that_became_a_real_is_the_integer_it_was),
          TEST(prompts_come_in_the_shapes_that_people_publish),
          TEST(what_the_chat_template_is_to_see_is_kept),
          TEST(published_puzzles_come_in_words_and_in_signs),
          TEST(a_template_makes_prompts_from_columns), TEST(a_path_goes_into_lists_by_number),
          TEST(a_written_row_reads_back_the_same), TEST(hostile_rows_are_refused_with_their_place),
          TEST(deep_nesting_and_missing_files_are_refused),
          TEST(a_huge_row_is_refused_with_its_line),
          TEST(ids_that_two_files_share_are_named_with_both_places),
          TEST(wrong_columns_of_the_options_are_named),
          TEST(memory_that_runs_out_leaves_nothing_behind))
