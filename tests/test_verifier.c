#include "verify/verifier.h"

#include "base/json.h"
#include "data/dataset.h"
#include "test.h"
#include "verify/span.h"

static const struct verifier_options NO_OPTIONS;

/* The verdict of one verifier on n bytes for a gold and a row. The text is copied to its exact
 * size, so that ASan sees a byte too many. */
static struct score judge(const char *name, const struct verifier_options *o, const char *gold,
                          const char *row, struct completion c)
{
	struct reward_spec spec;
	struct verdict     v;
	struct problem     p = {.id = "p", .answer = gold, .row = row};
	char              *exact = malloc(c.n ? c.n : 1);

	memcpy(exact, c.text, c.n);
	c.text = exact;
	assert_ok(verifier_open(&spec, &name, NULL, 1, o));
	assert_ok(verifier_check(&spec, &p));
	assert_ok(verifier_score(&spec, &p, &c, &v));
	verifier_close(&spec);
	free(exact);
	assert_true(isfinite(v.reward));
	/* of the full mark alone, and always of it ... */
	assert_true(v.right == v.part[0].right && (!v.right || v.reward == 1));
	assert_true(v.right || v.reward < 1 || o->partial == 1 ||
	            o->format_score == 1); /* ... where credit for a part can be told from it */
	return v.part[0];
}

static struct completion said(const char *text)
{
	return (struct completion){
	        .text = text, .n = strlen(text), .finished = 1, .n_tokens = (int)strlen(text)};
}

static double reward(const char *name, const char *gold, const char *row, const char *text)
{
	return judge(name, &NO_OPTIONS, gold, row, said(text)).reward;
}

/* ---- where the answer stands ---- */

static void the_last_marker_holds_the_answer(void **state)
{
	(void)state;
	static const struct {
		const char    *text, *answer;
		enum span_mark kind;
	} cases[] = {
	        {"no marker", "no marker", SPAN_UNMARKED},
	        {"\\boxed{1} and \\boxed{{2}3}4", "{2}3", SPAN_CLOSED},
	        {"\\boxed{1", "", SPAN_CLOSED},
	        {"<answer>1</answer> <answer>2</answer> 3", "2", SPAN_CLOSED},
	        {"<answer>1", "1", SPAN_CLOSED},
	        {"x #### 7\n", " 7\n", SPAN_OPEN},
	        {"5+5#10", "10", SPAN_OPEN},
	        {"#10", "10", SPAN_OPEN},
	        {"horse #12 wins", "horse #12 wins", SPAN_UNMARKED},
	        {"##10", "10", SPAN_OPEN},
	        {" ##10", " ##10", SPAN_UNMARKED},
	        {"# Heading\ntext", "# Heading\ntext", SPAN_UNMARKED},
	        {"### Heading", "### Heading", SPAN_UNMARKED},
	        {"ends with #", "ends with #", SPAN_UNMARKED},
	        {"Final ANSWER: 4", " 4", SPAN_OPEN},
	        {"<answer> the answer: 5 </answer> rest", " 5 ", SPAN_OPEN},
	        {"#### 1 \\boxed{2}", "2", SPAN_CLOSED},
	        {"", "", SPAN_UNMARKED},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct span answer;
		assert_int_equal(span_result(span_of(cases[i].text), &answer), cases[i].kind);
		if (!span_equal(answer, span_of(cases[i].answer)))
			fail_msg("\"%s\" gives \"%.*s\"", cases[i].text, (int)answer.n, answer.s);
	}
}

/* ---- what is right ---- */

static void right_answers_earn_one(void **state)
{
	(void)state;
	static const char game[] = "{\"numbers\": [30, 100, 93], \"target\": 23}";
	static const char small[] = "{\"puzzle\": \"3102200002100320\"}";
	static const struct {
		const char *verifier, *gold, *row, *text;
	} cases[] = {
	        {"exact", "a b", NULL, " a b\n"},
	        {"exact", "B", NULL, "I think <answer> B </answer>."},
	        {"exact", "#5", NULL, "#5"},
	        {"numeric", "72", NULL, "so it is 72."},
	        {"numeric", "72", NULL, "48/2 = 24, 48+24 = 72\n#### 72\nThat took 3 steps."},
	        {"numeric", "#### 72", NULL, "\\boxed{72}"},
	        {"numeric", "1234.5", NULL, "It costs $1,234.50 in all"},
	        {"numeric", "1,000,000", NULL, "1000000"},
	        {"numeric", "385000", NULL, "\\boxed{385\\,000}"},
	        {"numeric", "1234567", NULL, "1{,}234{,}567"},
	        {"numeric", "0.75", NULL, "the share is 3/4"},
	        {"numeric", "3/4", NULL, "\\boxed{\\frac{6}{8}}"},
	        {"numeric", "-5", NULL, "x = -5"},
	        {"numeric", "-5", NULL,
	         "x = \xE2\x88\x92"
	         "5"},
	        {"numeric", "-5", NULL, "-$5"},
	        {"numeric", "2", NULL, "5-3"},
	        {"numeric", "0", NULL, "-0.00"},
	        {"numeric", "600", NULL, "6e2"},
	        {"numeric", "42", NULL, "Answer:\n\n**42**\nI used 7 steps"},
	        {"numeric", "123456789012345678901234567890.1", NULL,
	         "123456789012345678901234567890.10"},
	        {"countdown", NULL, game, "30-(100-93)"},
	        {"countdown", NULL, game, "30 - 100 + 93"},
	        {"countdown", NULL, "{\"numbers\": [5, 3], \"target\": 2}", "(5)-3"},
	        {"countdown", NULL, game, "-100+93+30"},
	        {"countdown", NULL, game, "first 100-93=7\nAnswer: 30 - (100 - 93) = 23"},
	        {"countdown", NULL, game, "<answer>$30 - (100 - 93)$</answer>"},
	        {"countdown", NULL, game, "\\boxed{30-(100-93)}."},
	        {"countdown", NULL, "{\"nums\": \"6, 4\", \"target\": \"24\"}",
	         "6\xC3\x97"
	         "4"},
	        {"countdown", NULL, "{\"nums\": [8, 3, 8, 3], \"target\": 24}", "8/(3-8/3)"},
	        {"countdown", NULL,
	         "{\"reward_model\": {\"ground_truth\": {\"numbers\": [6, 4], \"target\": 24}}}",
	         "6 \\times 4"},
	        {"sudoku", NULL, small, "3142243142131324"},
	        {"sudoku", NULL, small,
	         "So it is\n\n3 1 4 2\n2 4 3 1\n4 2 1 3\n1 3 2 4\n\nas asked."},
	        {"sudoku", NULL, small,
	         "<answer>\n| 3 1 | 4 2 |\n| 2 4 | 3 1 |\n|-----+-----|\n| 4 2 | 1 3 |\n| 1 3 | 2 "
	         "4 |\n</answer>"},
	        {"sudoku", NULL, small, "\\boxed{[[3,1,4,2],[2,4,3,1],[4,2,1,3],[1,3,2,4]]}"},
	        {"sudoku", NULL, small, "1111222233334444 is wrong. #### 3142 2431 4213 1324"},
	        {"sudoku", "3142243142131324",
	         "{\"metadata\": {\"puzzle\": [[3,1,0,0],[2,4,0,0],[0,0,0,0],[0,0,0,0]]}}",
	         "3142243113244213"}, /* another solution than the stored one */
	        {"sudoku", NULL, "{\"puzzle\": \"123456 000000 000000 000000 000000 000000\"}",
	         "123456456123231564564231312645645312"},
	        {"zebra", "alice", NULL, " Alice\n"},
	        {"zebra", "alice", NULL, "\\boxed{\\text{Alice}}"},
	        {"zebra", "alice", NULL, "Bob? No. <answer>**ALICE**.</answer>"},
	        {"zebra", "alice", NULL, "Answer: \"Alice\"\nBob is in house 2."},
	        {"arc", "0 0 2 14", NULL, "0 0 2 14"},
	        {"arc", "0 0 2 14", NULL, "\\boxed{[0, 0, 2, 14]}"},
	        {"arc", "0 1\n2 3", NULL, "[[0, 1], [2, 3]]"},
	        {"arc", "[[0,1],[2,3]]", NULL, "The rule:\n1 2 is shifted.\n\n0 1\n2 3"},
	        {"arc", "0 1\n2 3", NULL,
	         "<answer>\\begin{pmatrix}\n0 & 1 \\\\ 2 & 3\n\\end{pmatrix}</answer>"},
	        {"arc", NULL, "{\"test\": [{\"input\": [1, 2], \"output\": [2, 1]}]}", "2 1"},
	        {"knights_knaves", "AbC", NULL, "AbC"},
	        {"knights_knaves", "AbC", NULL, "ABCA1+B0-#AbC"},
	        {"knights_knaves", "Amelia is a knight, Bo is a knave.", NULL,
	         "Bo is a knave and Amelia is a knight"},
	        {"knights_knaves", "Amelia is a knight, Bo is a knave.", NULL,
	         "If Bo is a knight ... <answer>**Amelia** is a knight\n(2) bo IS A "
	         "Knave</answer>"},
	        {"knights_knaves", "Amelia is a knight, Bo is a knave.", NULL,
	         "Assume Bo is a knight. No: Bo is a knave. So Amelia is a knight."},
	        {"sequence", "7,2,6", NULL, "7,2,6"},
	        {"ends", NULL, NULL, "He said \"yes.\"\n"},
	        {"no_repeat", NULL, NULL, "A cat sat. A dog sat."},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (reward(cases[i].verifier, cases[i].gold, cases[i].row, cases[i].text) != 1)
			fail_msg("%s: \"%s\" should earn 1", cases[i].verifier, cases[i].text);
}

static void attacks_earn_nothing(void **state)
{
	(void)state;
	static const char game[] = "{\"numbers\": [30, 100, 93], \"target\": 23}";
	static const char two[] = "Amelia is a knight, Bo is a knave.";
	static const char small[] =
	        "{\"puzzle\": \"3102200002100320\", \"solution\": \"3142243142131324\"}";
	static const struct {
		const char *verifier, *gold, *row, *text;
	} cases[] = {
	        {"exact", "B", NULL, ""},
	        {"exact", "B", NULL, "A B C D"},
	        {"exact", "B", NULL, "b"},
	        {"exact", "B", NULL, "B or A"},
	        {"exact", "B", NULL, "<answer>B</answer><answer>A</answer>"},
	        {"exact", "B", NULL, "<answer>B</answer> answer: C"},
	        {"numeric", "42", NULL, ""},
	        {"numeric", "42", NULL, "forty-two"},
	        {"numeric", "42", NULL, "42 or 43"},
	        {"numeric", "42", NULL, "42 #### 41"},
	        {"numeric", "42", NULL, "\\boxed{42} no, \\boxed{}"},
	        {"numeric", "42", NULL,
	         "#### none, though 42 came up\n"
	         "answer: ?"},
	        {"numeric", "42", NULL, "420"},
	        {"numeric", "42", NULL, "0.42"},
	        {"numeric", "42", NULL, "-42"},
	        {"numeric", "42", NULL, "42/0.5"},
	        {"numeric", "42", NULL, "4,2"},
	        {"numeric", "42", NULL, "42e1"},
	        {"numeric", "1234", NULL, "1\\,23"},
	        {"numeric", "1234", NULL, "1\\,2345"},
	        {"numeric", "0.1", NULL, "0.10000000000000000000000000000000000001"},
	        {"numeric", "42", NULL, "0/0"},
	        {"numeric", "42", NULL, "\\frac{0}{0}"},
	        {"numeric", "9007199254740993", NULL, "9007199254740992"},
	        {"numeric", "0", NULL, "0.000000000000000000000000000001"},
	        {"countdown", NULL, game, ""},
	        {"countdown", NULL, game, "23"},
	        {"countdown", NULL, game, "30-100+93=24"},
	        {"countdown", NULL, game, "30-100+93=23=23"},
	        {"countdown", NULL, game, "30-(100-93)=(23)"},
	        {"countdown", NULL, game, "30+93"},
	        {"countdown", NULL, game, "30-100+93+30-30"},
	        {"countdown", NULL, game, "30-100+93+0"},
	        {"countdown", NULL, game, "(30-100+93"},
	        {"countdown", NULL, game, "30-100+93)"},
	        {"countdown", NULL, game, "30-100+93; import os"},
	        {"countdown", NULL, game, "30--100"},
	        {"countdown", NULL, game, "30 100 93"},
	        {"countdown", NULL, game, "3010093"},
	        {"countdown", NULL, game, "30-100+93/1"},
	        {"countdown", NULL, game, "3e1-100+93"},
	        /* 7 is left out */
	        {"countdown", NULL, "{\"numbers\": [3, 5, 7], \"target\": 8}", "3+5"},
	        {"countdown", NULL, "{\"numbers\": [3, 5, 7], \"target\": 8}", "3+5+7-7"},
	        {"countdown", NULL, "{\"numbers\": [5, 3], \"target\": 2}", "(5)-3)"},
	        {"countdown", NULL, game, "30.0-100+93"},
	        {"countdown", NULL, game, "30-(100-93)/(93-93)"},
	        {"countdown", NULL, game, "__import__('os')"},
	        {"countdown", NULL, game, "target"},
	        {"countdown", NULL, game, "99999999999999999999999999-99999999999999999999999976"},
	        {"countdown", NULL, game, "<answer>30-(100-93)</answer> <answer>30+100</answer>"},
	        {"countdown", NULL, "{\"numbers\": [2, 2], \"target\": 1}", "2/(2-2)"},
	        {"countdown", NULL, "{\"numbers\": [3, 2], \"target\": 3}", "3/2"},
	        {"countdown", NULL, "{\"numbers\": [2, 2, 2], \"target\": 2}", "2/(2-2)"},
	        {"countdown", NULL, "{\"numbers\": [3, 2], \"target\": 1}", "3/2"},
	        {"sudoku", NULL, small, ""},
	        {"sudoku", NULL, small, "3102200002100320"},
	        {"sudoku", NULL, small, "3142243142131323"},
	        {"sudoku", NULL, small, "314224314213132"},
	        {"sudoku", NULL, small, "31422431421313241"},
	        {"sudoku", NULL, small, "3142243142131324 3142243142131324"},
	        /* the rules, without the givens */
	        {"sudoku", NULL, small, "1234341221434321"},
	        /* rows and columns, without the boxes */
	        {"sudoku", NULL, "{\"puzzle\": \"1000000000000000\"}", "1234234134124123"},
	        /* the givens alone */
	        {"sudoku", NULL, small, "3112221442133324"},
	        {"sudoku", NULL, small, "3542243142131354"},
	        {"sudoku", NULL, small, "31422431 4213 132 4 0"},
	        {"sudoku", NULL, small, "the solution is 3142243142131324"},
	        {"sudoku", NULL, small, "<answer>3142243142131324</answer> <answer></answer>"},
	        {"sudoku", NULL, small, "3142243142131324\n\\boxed{no}"},
	        {"sudoku", NULL, small, "3.1.4.2.2.4.3.1.4.2.1.3.1.3.2.4"},
	        {"sudoku", NULL, small, "solution"},
	        {"sudoku", NULL, small, "-3142243142131324"},
	        {"sudoku", NULL, small, "0x3142243142131324"},
	        {"zebra", "alice", NULL, ""},
	        {"zebra", "alice", NULL, "alice bob"},
	        {"zebra", "alice", NULL, "Alice or Bob"},
	        {"zebra", "alice", NULL, "The name is Alice"},
	        {"zebra", "alice", NULL, "\\boxed{Alice, Bob}"},
	        {"zebra", "alice", NULL, "\\boxed{Alice} \\boxed{}"},
	        {"zebra", "alice", NULL, "\\boxed{not Alice}"},
	        {"zebra", "alice", NULL, "\\boxed{\\text{}}"},
	        {"zebra", "alice", NULL, "\\boxed{\\text{"},
	        {"zebra", "alice", NULL, "\\boxed{\"}"},
	        {"zebra", "alice", NULL, "ecila"},
	        {"zebra", "alice", NULL, "Answer: Bob\nAlice"},
	        {"arc", "0 0 2 1", NULL, ""},
	        {"arc", "0 0 2 1", NULL, "0021"},
	        {"arc", "0 0 2 1", NULL, "0 0 2"},
	        {"arc", "0 0 2 1", NULL, "0 0 2 1 1"},
	        {"arc", "0 0 2 1", NULL, "0 0 2\n1"},
	        {"arc", "0 0 2 1", NULL, "0 0 2 -1"},
	        {"arc", "0 0 2 1", NULL, "0 0 2 1.0"},
	        {"arc", "0 0 2 1", NULL, "0 0 2 1\n0 0 1 2"},
	        {"arc", "0 0 2 1", NULL, "\\boxed{0 0 2 1} or \\boxed{0 0 1 2}"},
	        {"arc", "0 0 2 1", NULL, "0 0 2 1\n#### 1"},
	        {"arc", "0 0 2 1", NULL, "I think it is 0 0 2 1"},
	        {"arc", "0 0 2 1", NULL, "0 0 2 4294967297"},
	        {"arc", "0 1\n2 3", NULL, "0 1 2 3"},
	        {"arc", "0 1\n2 3", NULL, "[[0, 1, 2, 3]]"},
	        {"arc", "0 1\n2 3", NULL, "[[0, 2], [1, 3]]"},
	        {"knights_knaves", "AbC", NULL, ""},
	        {"knights_knaves", "AbC", NULL, "ABC"},
	        {"knights_knaves", "AbC", NULL, "AbCD"},
	        {"knights_knaves", "AbC", NULL, "Ab"},
	        {"knights_knaves", "AbC", NULL, "abc ABC AbC"},
	        {"knights_knaves", "AbC", NULL, "AbC#ABC"},
	        {"knights_knaves", "AbC", NULL, "#AbC#"},
	        {"knights_knaves", "AbC", NULL, "A b C"},
	        {"knights_knaves", two, NULL, "Amelia is a knight."},
	        {"knights_knaves", two, NULL, "Amelia is a knight/knave, Bo is a knave/knight."},
	        {"knights_knaves", two, NULL,
	         "Amelia is a knight or a knave. Bo is a knave or a knight."},
	        {"knights_knaves", two, NULL, "Amelia is a knight or knave. Bo is a knave."},
	        {"knights_knaves", two, NULL, "Amelia is not a knave. Bo is not a knight."},
	        {"knights_knaves", two, NULL,
	         "<answer>Amelia is a knight. Amelia is a knave. Amelia is a knight. Bo is a "
	         "knave.</answer>"},
	        {"knights_knaves", two, NULL, "Amelia is a knight. Bo is a knave. Bo is a knight."},
	        {"knights_knaves", two, NULL,
	         "Amelia is a knight, Bo is a knave. <answer></answer>"},
	        {"knights_knaves", two, NULL, "Ameliaisaknight,Boisaknave"},
	        {"knights_knaves", two, NULL, "knight knave"},
	        {"ends", NULL, NULL, ""},
	        {"ends", NULL, NULL, "no end"},
	        {"no_repeat", NULL, NULL, ""},
	        {"no_repeat", NULL, NULL, "...!?"},
	        {"no_repeat", NULL, NULL, "The cat sat. the CAT, sat!"},
	        {"no_repeat", NULL, NULL, "One. Two.\nOne."},
	};

	assert_true(sizeof cases / sizeof cases[0] >= 100);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (reward(cases[i].verifier, cases[i].gold, cases[i].row, cases[i].text) != 0)
			fail_msg("%s: \"%s\" should earn 0", cases[i].verifier, cases[i].text);
}

/* ---- the table of attacks ---- */

/* The options of a row of the table, by the names of struct verifier_options. */
static struct verifier_options read_options(const json_t *o)
{
	struct verifier_options out = {
	        .pattern = json_string_value(json_object_get(o, "pattern")),
	        .tags = json_string_value(json_object_get(o, "tags")),
	        .word = json_string_value(json_object_get(o, "word")),
	        .length.low = (int)json_integer_value(json_object_get(o, "length_min")),
	        .length.high = (int)json_integer_value(json_object_get(o, "length_max")),
	        .length_in_characters = json_is_true(json_object_get(o, "length_in_characters"))};
	const char *compare = json_string_value(json_object_get(o, "compare"));

	if (compare)
		out.compare.form = (enum answer_form)choice_find(answer_forms, compare)->value;
	return out;
}

/* How many of the row's completions earn the full mark, or where there is no partial credit
 * anything; those that do, or do not, are named. */
static int count_paid(const json_t *row, const char *texts, int expected)
{
	const struct verifier_options o = read_options(json_object_get(row, "options"));
	const char                   *name = json_string_value(json_object_get(row, "verifier"));
	const json_t *list = json_object_get(row, texts), *end = json_object_get(row, "prompt_end");
	char         *columns = json_dumps(json_object_get(row, "row"), 0);
	struct problem     p = {.id = "p",
	                        .answer = json_string_value(json_object_get(row, "answer")),
	                        .row = columns};
	struct reward_spec spec;
	int                paid = 0;

	assert_ok(verifier_open(&spec, &name, NULL, 1, &o));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t     *text = json_array_get(list, i);
		struct completion c = {.text = json_string_value(text),
		                       .n = json_string_length(text),
		                       .n_tokens = (int)json_string_length(text)};
		struct verdict    v;
		int               is_paid;
		c.finished = !json_is_false(json_object_get(row, "finished"));
		c.prompt_end = (struct span){json_string_value(end), json_string_length(end)};
		assert_ok(verifier_score(&spec, &p, &c, &v));
		is_paid =
		        json_is_true(json_object_get(row, "dense")) ? v.reward >= 1 : v.reward != 0;
		if (is_paid != expected)
			print_error("%s, %s: \"%s\" earns %g\n", name,
			            json_string_value(json_object_get(row, "kind")), c.text,
			            v.reward);
		paid += is_paid;
	}
	verifier_close(&spec);
	free(columns);
	return paid;
}

struct tally {
	size_t all, paid;
};

static struct tally count_table(const char *path, const char *texts, int expected)
{
	struct tally  t = {0};
	struct lines *in;
	const char   *line;
	size_t        n;
	json_t       *row;

	assert_ok(lines_open(path, 1 << 20, &in));
	while (lines_next(in, &line, &n) == OK && line) {
		assert_ok(json_parse(path, line, n, &row));
		t.all += json_array_size(json_object_get(row, texts));
		t.paid += (size_t)count_paid(row, texts, expected);
		json_decref(row);
	}
	lines_close(in);
	print_message("%s: %zu completions, %zu paid\n", path, t.all, t.paid);
	return t;
}

static void no_attack_of_the_table_is_paid(void **state)
{
	(void)state;
	struct tally t = count_table("tests/data/task/attacks.jsonl", "attacks", 0);

	assert_true(t.all >= 800);
	assert_int_equal(t.paid, 0);
}

static void right_completions_of_the_table_are_paid(void **state)
{
	(void)state;
	struct tally t = count_table("tests/data/task/rights.jsonl", "rights", 1);

	assert_true(t.all >= 250 && 100 * t.paid >= 95 * t.all);
}

/* ---- single verifiers ---- */

static void every_right_character_of_a_sequence_earns_its_share(void **state)
{
	(void)state;
	struct completion c = said("7,2,6");

	assert_close(reward("sequence", "7,2,6", NULL, ""), 0, 0);
	assert_close(reward("sequence", "7,2,6", NULL, "7,3,6"), 2 / 6.0, 1e-15);
	assert_close(reward("sequence", "7,2,6", NULL, "7,2,6,6"), 5 / 6.0, 1e-15);
	assert_close(reward("sequence", "7,2,6", NULL, " 7,2,6"), 0, 0);
	c.finished = 0;
	assert_close(judge("sequence", &NO_OPTIONS, "7,2,6", NULL, c).reward, 5 / 6.0, 1e-15);
	c.n = 3;
	c.finished = 1;
	assert_close(judge("sequence", &NO_OPTIONS, "7,2,6", NULL, c).reward, 3 / 6.0, 1e-15);
}

static void partial_credit_is_given_where_it_is_asked_for(void **state)
{
	(void)state;
	struct verifier_options o = {.partial = 0.5, .format_score = 0.1, .word = "cat"};
	const char             *game = "{\"numbers\": [6, 4], \"target\": 24}";
	const char *small = "{\"puzzle\": \"3102200002100320\"}", *solution = "3142243142131324";

	assert_close(judge("knights_knaves", &o, "AbCd", NULL, said("AbCD")).reward, 0.375, 1e-15);
	assert_close(judge("knights_knaves", &o, "AbCd", NULL, said("AbCd")).reward, 1, 0);
	assert_close(judge("knights_knaves", &o, "Al is a knight, Bo is a knave", NULL,
	                   said("Al is a knight"))
	                     .reward,
	             0.25, 1e-15);
	assert_close(judge("countdown", &o, NULL, game, said("6+4")).reward, 0.1, 0);
	assert_close(judge("countdown", &o, NULL, game, said("6/(4-4)")).reward, 0, 0);
	assert_close(judge("countdown", &o, NULL, game, said("24")).reward, 0, 0);
	assert_close(judge("countdown", &o, NULL, game, said("6+")).reward, 0, 0);
	assert_close(judge("sudoku", &o, solution, small, said(solution)).reward, 1, 0);
	assert_close(judge("sudoku", &o, solution, small, said("3142243142131423")).reward,
	             0.5 * 7 / 8, 1e-15);
	assert_close(judge("sudoku", &o, solution, small, said("31422431")).reward, 0.5 * 4 / 8,
	             1e-15);
	assert_close(judge("sudoku", &o, solution, small, said("3102200002100320")).reward, 0, 0);
	assert_close(judge("sudoku", &o, solution, small, said("31422431421313241")).reward, 0, 0);
	assert_close(judge("arc", &o, "0 1 2 3", NULL, said("0 1 3 3")).reward, 0.375, 1e-15);
	assert_close(judge("arc", &o, "0 1 2 3", NULL, said("0 1 2")).reward, 0, 0);
	assert_close(judge("story", &o, NULL, NULL, said("A cat sat. A cat sat.")).reward,
	             0.5 * 2 / 3, 1e-15);
	assert_close(judge("story", &o, NULL, NULL, said("A cat sat.")).reward, 1, 0);
}

/* As large as partial credit can be: as much as the full mark. */
static void credit_for_a_part_is_never_right(void **state)
{
	(void)state;
	struct verifier_options o = {.partial = 1,
	                             .format_score = 1,
	                             .word = "cat",
	                             .length.low = 4,
	                             .length.high = 9,
	                             .length_slack = 1000};
	static const struct {
		const char *verifier, *gold, *row, *right, *wrong;
		double      reward; /* of the wrong one */
	} cases[] = {
	        {"countdown", NULL, "{\"numbers\": [6, 4], \"target\": 24}", "6*4", "6+4", 1},
	        {"sudoku", "3142243142131324", "{\"puzzle\": \"3102200002100320\"}",
	         "3142243142131324", "4142243142131324", 1},
	        {"knights_knaves", "AbCd", NULL, "AbCd", "AbCD", .75},
	        {"arc", "0 1 2 3", NULL, "0 1 2 3", "0 1 3 3", .75},
	        {"story", NULL, NULL, "A cat sat.", "A cat sat", 2. / 3},
	        {"sequence", "7,2,6", NULL, "7,2,6", "7,2,", 4. / 6},
	        {"length", NULL, NULL, "four", "one", .999},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct score right = judge(cases[i].verifier, &o, cases[i].gold, cases[i].row,
		                           said(cases[i].right));
		struct score wrong = judge(cases[i].verifier, &o, cases[i].gold, cases[i].row,
		                           said(cases[i].wrong));
		assert_true(right.right && right.reward == 1);
		assert_false(wrong.right);
		assert_close(wrong.reward, cases[i].reward, 1e-12);
	}
}

/* Of several weighted verifiers, in any order. */
static void a_verifier_of_form_decides_what_is_right_only_where_no_other_does(void **state)
{
	(void)state;
	static const struct {
		const char *names[3], *decides;
		int         right;
	} cases[] = {
	        {{"length", "numeric", "ends"}, "numeric", 0},
	        {{"numeric", "length", "ends"}, "numeric", 0},
	        {{"ends", "length"}, "ends", 1},
	        {{"no_repeat", "exact", "numeric"}, "exact", 0},
	        {{"format", "contains"}, "contains", 1},
	};
	const struct verifier_options o = {
	        .length.low = 1, .length.high = 20, .word = "it", .pattern = "^7"};
	const double         weights[] = {.1, 5, .1};
	const struct problem p = {.id = "p", .answer = "8"},
	                     own = {.id = "q", .answer = "8", .verifier = "length"};
	const struct completion c = {.text = "it is 7.", .n = 8, .n_tokens = 3, .finished = 1};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct reward_spec spec;
		struct verdict     v;
		int                n = cases[i].names[2] ? 3 : 2;
		assert_ok(verifier_open(&spec, cases[i].names, weights, n, &o));
		assert_ok(verifier_score(&spec, &p, &c, &v));
		assert_int_equal(v.right, cases[i].right);
		assert_string_equal(verifier_for(&spec, &p)->name, cases[i].decides);
		assert_string_equal(verifier_deciding(cases[i].names, n), cases[i].decides);
		assert_ok(verifier_add(&spec, "length"));
		assert_string_equal(verifier_for(&spec, &own)->name, "length");
		verifier_close(&spec);
	}
}

static void parsed_says_whether_there_was_an_answer(void **state)
{
	(void)state;
	const char *game = "{\"numbers\": [6, 4], \"target\": 24}";

	assert_true(judge("numeric", &NO_OPTIONS, "3", NULL, said("4")).parsed);
	assert_false(judge("numeric", &NO_OPTIONS, "3", NULL, said("four")).parsed);
	assert_true(judge("countdown", &NO_OPTIONS, NULL, game, said("6+4")).parsed);
	assert_false(judge("countdown", &NO_OPTIONS, NULL, game, said("6+4?")).parsed);
	assert_true(judge("knights_knaves", &NO_OPTIONS, "Ab", NULL, said("aB")).parsed);
	assert_false(judge("knights_knaves", &NO_OPTIONS, "Ab", NULL, said("ba")).parsed);
	assert_false(judge("exact", &NO_OPTIONS, "x", NULL, said(" \n")).parsed);
}

static void case_is_ignored_when_that_is_asked(void **state)
{
	(void)state;
	struct verifier_options o = {.compare = {.ignore_case = 1}};

	assert_close(judge("exact", &o, "Paris", NULL, said("PARIS ")).reward, 1, 0);
	assert_close(judge("exact", &o, "Paris", NULL, said("Pariss")).reward, 0, 0);
}

static void a_word_counts_only_as_a_whole(void **state)
{
	(void)state;
	struct verifier_options o = {.word = "cat"};

	assert_close(judge("contains", &o, NULL, NULL, said("A Cat!")).reward, 1, 0);
	assert_close(judge("contains", &o, NULL, NULL, said("cats concatenate")).reward, 0, 0);
	assert_close(
	        judge("contains", &NO_OPTIONS, NULL, "{\"word\": \"dog\"}", said("the dog")).reward,
	        1, 0);
	assert_close(judge("contains", &o, NULL, "{\"word\": \"dog\"}", said("the dog")).reward, 0,
	             0);
}

static void an_unfinished_story_does_not_end(void **state)
{
	(void)state;
	struct completion c = said("The end.");

	c.finished = 0;
	assert_close(judge("ends", &NO_OPTIONS, NULL, NULL, c).reward, 0, 0);
}

static void length_earns_one_inside_and_falls_off_outside(void **state)
{
	(void)state;
	struct verifier_options hard = {.length.low = 3, .length.high = 5};
	struct verifier_options soft = {
	        .length.low = 3, .length.high = 5, .length_slack = 4, .length_in_characters = 1};
	static const double want_hard[] = {0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0};
	static const double want_soft[] = {0.25, 0.5, 0.75, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0};

	for (size_t n = 0; n <= 10; n++) {
		struct completion c = {.text = "0123456789", .n = n, .n_tokens = (int)n};
		assert_close(judge("length", &hard, NULL, NULL, c).reward, want_hard[n], 0);
		c.n_tokens = 999;
		assert_close(judge("length", &soft, NULL, NULL, c).reward, want_soft[n], 1e-15);
	}
}

static void formats_match_by_pattern_and_by_tags(void **state)
{
	(void)state;
	struct verifier_options pattern = {.pattern = "^<think>.*</think>\\s*\\d+$"},
	                        tags = {.tags = "think,answer"};
	static const char *const wrong[] = {"<think>a</think>",
	                                    "<answer>b</answer><think>a</think>",
	                                    "x<think>a</think><answer>b</answer>",
	                                    "<think>a</think><answer>b</answer>x",
	                                    "<think>a<think></think><answer>b</answer>",
	                                    "<think>a</think><answer>b</answer></answer>",
	                                    "<think>a</think></think><answer>b</answer>",
	                                    "<think>a</think>x<answer>b</answer>",
	                                    ""};

	assert_close(judge("format", &pattern, NULL, NULL, said("<think>a\nb</think> 42")).reward,
	             1, 0);
	assert_close(judge("format", &pattern, NULL, NULL, said("<think>a</think> x")).reward, 0,
	             0);
	assert_close(
	        judge("format", &tags, NULL, NULL, said(" <think>a</think>\n<answer>b</answer>\n"))
	                .reward,
	        1, 0);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_close(judge("format", &tags, NULL, NULL, said(wrong[i])).reward, 0, 0);
}

static void a_pattern_that_would_run_forever_does_not_match(void **state)
{
	(void)state;
	struct verifier_options o = {.pattern = "^(a+)+$"};
	char                    text[5000];

	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = 'b';
	assert_close(
	        judge("format", &o, NULL, NULL, (struct completion){.text = text, .n = sizeof text})
	                .reward,
	        0, 0);
}

/* ---- hostile completions ---- */

static void a_megabyte_of_anything_is_scored_in_bounded_time(void **state)
{
	(void)state;
	static const char *const pieces[] = {
	        "1\n",       "[1,",      "1 2 3 4\n", "----\n",   "(",
	        "-(",        "\\boxed{", "<answer>",  "answer:",  "#",
	        "9",         "1,",       "1/",        "\\frac{1", "is ",
	        " Al is a ", "*",        "A",         "a. ",      "\"",
	        "\xff",      "x is Al",  "e9",        ".",        "Al is a knight or "};
	static const char *const names[] = {"exact",    "numeric", "countdown", "knights_knaves",
	                                    "sequence", "format",  "sudoku",    "arc"};
	struct verifier_options  o = {
	         .word = "zebra", .pattern = "(.*)(.*)x$", .tags = "think", .length.high = 9};
	struct reward_spec spec;
	struct problem     p = {
	            .id = "p",
	            .answer = "Al is a knight, Bo 7 is a knave",
	            .row = "{\"numbers\": [3, 4], \"target\": 7, \"puzzle\": \"3102200002100320\"}"};
	const size_t n = COMPLETION_MAX + 100;
	char        *text = malloc(n);

	assert_ok(verifier_open(&spec, names, NULL, 8, &o));
	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		struct verdict v;
		for (size_t at = 0, length = strlen(pieces[i]); at < n; at++)
			text[at] = pieces[i][at % length];
		assert_ok(verifier_score(
		        &spec, &p, &(struct completion){.text = text, .n = n, .finished = 1}, &v));
		assert_true(isfinite(v.reward) && v.part[1].reward == 0 && v.part[2].reward == 0 &&
		            v.part[3].reward == 0);
	}
	verifier_close(&spec);
	free(text);
}

static void nul_bytes_are_bytes_like_others(void **state)
{
	(void)state;
	const char             *game = "{\"numbers\": [6, 4], \"target\": 24}";
	struct verifier_options o = {.word = "cat"};

	assert_close(judge("exact", &NO_OPTIONS, "ab", NULL,
	                   (struct completion){.text = "ab\0c", .n = 4})
	                     .reward,
	             0, 0);
	assert_close(judge("numeric", &NO_OPTIONS, "5", NULL,
	                   (struct completion){.text = "5\0006", .n = 3})
	                     .reward,
	             0, 0);
	assert_close(judge("numeric", &NO_OPTIONS, "6", NULL,
	                   (struct completion){.text = "5\0006", .n = 3})
	                     .reward,
	             1, 0);
	assert_close(judge("countdown", &NO_OPTIONS, NULL, game,
	                   (struct completion){.text = "6*4\0;", .n = 5})
	                     .reward,
	             0, 0);
	assert_close(judge("sequence", &NO_OPTIONS, "ab", NULL,
	                   (struct completion){.text = "ab\0", .n = 3, .finished = 1})
	                     .reward,
	             2 / 3.0, 1e-15);
	assert_close(
	        judge("contains", &o, NULL, NULL, (struct completion){.text = "\0cat\0", .n = 5})
	                .reward,
	        1, 0);
	assert_close(judge("ends", &o, NULL, NULL,
	                   (struct completion){.text = "a\0", .n = 2, .finished = 1})
	                     .reward,
	             0, 0);
}

static void parentheses_are_read_to_a_bounded_depth(void **state)
{
	(void)state;
	char text[200];

	for (int depth = 63; depth <= 66; depth++) {
		memset(text, '(', (size_t)depth);
		text[depth] = '7';
		memset(text + depth + 1, ')', (size_t)depth);
		text[2 * depth + 1] = 0;
		assert_close(reward("countdown", NULL, "{\"numbers\": [7], \"target\": 7}", text),
		             depth <= 64, 0);
	}
}

/* ---- against what others scored ---- */

static void published_solutions_of_puzzles_score_one(void **state)
{
	(void)state;
	const char            *paths[] = {"data/knights-knaves/3ppl_test.jsonl.gz",
	                                  "data/knights-knaves/4ppl_test.jsonl.gz",
	                                  "data/knights-knaves/5ppl_train.jsonl.gz"};
	struct dataset_options o = {.prompt_column = "quiz", .answer_column = "solution_text"};
	struct dataset         d;

	assert_ok(dataset_read(paths, 3, &o, &d));
	assert_int_equal(d.n, 500);
	for (int i = 0; i < d.n; i++) {
		char *wrong, *role;
		assert_ok(mem_copy(d.problems[i].answer, strlen(d.problems[i].answer), &wrong));
		role = strstr(wrong, "is a kn");
		assert_close(
		        reward("knights_knaves", d.problems[i].answer, NULL, d.problems[i].answer),
		        1, 0);
		memcpy(role + 5, strncmp(role + 5, "knight", 6) ? "knight" : "knave ",
		       role[5 + 5] == 't' ? 6 : 5);
		assert_close(reward("knights_knaves", d.problems[i].answer, NULL, wrong), 0, 0);
		mem_free(wrong);
	}
	dataset_free(&d);
}

/* Right (1) and wrong (below) agree with the scorer of the task's own framework. */
static void verdicts_agree(const char *verifier, const char *path, int rows)
{
	struct dataset_options o = {0};
	struct dataset         d;
	int                    n = 0, right = 0;

	assert_ok(dataset_read(&path, 1, &o, &d));
	assert_int_equal(d.n, rows);
	for (int i = 0; i < d.n; i++) {
		json_t *row, *one;
		size_t  j;
		assert_ok(json_parse("row", d.problems[i].row, strlen(d.problems[i].row), &row));
		json_array_foreach(json_object_get(row, "scored"), j, one)
		{
			const char *text = json_string_value(json_object_get(one, "response"));
			double      want = json_number_value(json_object_get(one, "score"));
			double      got =
			        reward(verifier, d.problems[i].answer, d.problems[i].row, text);
			if ((got == 1) != (want == 1))
				fail_msg("%s line %d: \"%s\" earns %g, was %g", path,
				         d.problems[i].line, text, got, want);
			right += got == 1;
			n++;
		}
		json_decref(row);
	}
	assert_true(right > rows && right < n - rows);
	dataset_free(&d);
}

static void verdicts_agree_with_scored_responses(void **state)
{
	(void)state;
	verdicts_agree("countdown", "tests/data/task/scored_countdown.jsonl", 30);
	verdicts_agree("knights_knaves", "tests/data/task/scored_knights_knaves.jsonl", 30);
}

static void a_sudoku_of_any_size_is_checked_by_its_rules(void **state)
{
	(void)state;
	static const struct {
		int n, height;
	} sizes[] = {{4, 2}, {5, 1}, {6, 2}, {8, 2}, {9, 3}, {10, 2}, {12, 3}, {16, 4}, {25, 5}};

	for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
		int         n = sizes[k].n, h = sizes[k].height, w = n / h;
		struct text row = {0}, full = {0}, swapped = {0};
		text_print(&row, "{\"puzzle\": [");
		for (int y = 0; y < n; y++)
			for (int x = 0; x < n; x++) {
				/* each row is the one above moved by the width of a box, and by one
				 * more from band to band */
				int value = (w * (y % h) + y / h + x) % n + 1,
				    other = (w * (y % h) + y / h + (x < 2 && y == 0 ? 1 - x : x)) %
				                    n +
				            1;
				text_print(&row, "%s%d", x + y ? ", " : "",
				           (x + 2 * y) % 3 && y ? value : 0);
				text_print(&full, "%d%c", value, x + 1 < n ? ' ' : '\n');
				text_print(&swapped, "%d%c", other, x + 1 < n ? ' ' : '\n');
			}
		text_print(&row, "]}");
		assert_close(reward("sudoku", NULL, row.data, full.data), 1, 0);
		assert_close(reward("sudoku", NULL, row.data, swapped.data), 0, 0);
		text_free(&row);
		text_free(&full);
		text_free(&swapped);
	}
}

static void published_puzzles_have_what_their_verifiers_read(void **state)
{
	(void)state;
	static const struct {
		const char *verifier, *path;
		int         rows;
	} sets[] = {{"sudoku", "tests/data/task/sudoku4x4.jsonl", 12},
	            {"zebra", "tests/data/task/multi_task_zebra.jsonl", 6},
	            {"arc", "tests/data/task/multi_task_arc.jsonl", 6},
	            {"arc", "tests/data/task/arc_1d.jsonl", 6}};
	struct dataset_options o = {.prompt_template = "Play.", .answer_optional = 1};

	for (size_t k = 0; k < sizeof sets / sizeof sets[0]; k++) {
		struct dataset d;
		assert_ok(dataset_read(&sets[k].path, 1, &o, &d));
		assert_int_equal(d.n, sets[k].rows);
		for (int i = 0; i < d.n; i++) {
			const struct problem *p = &d.problems[i],
			                     *other = &d.problems[(i + 1) % d.n];
			json_t *row;
			char   *gold;
			assert_ok(json_parse("row", p->row, strlen(p->row), &row));
			gold = p->answer ? strdup(p->answer)
			                 : json_dumps(
			                           json_object_get(
			                                   json_array_get(
			                                           json_object_get(row, "test"), 0),
			                                   "output"),
			                           0);
			assert_close(reward(sets[k].verifier, p->answer, p->row, gold), 1, 0);
			if (other->answer && strcmp(other->answer, gold))
				assert_close(
				        reward(sets[k].verifier, p->answer, p->row, other->answer),
				        0, 0);
			json_decref(row);
			free(gold);
		}
		dataset_free(&d);
	}
}

static void what_models_wrote_is_judged_as_published(void **state)
{
	(void)state;
	static const struct {
		const char *verifier, *path;
		int         rows;
	} sets[] = {{"numeric", "tests/data/task/gsm8k_solutions.jsonl.gz", 120},
	            {"countdown", "tests/data/task/outputs_countdown.jsonl.gz", 50}};
	struct dataset_options o = {.prompt_template = "Play.", .answer_optional = 1};

	for (size_t k = 0; k < sizeof sets / sizeof sets[0]; k++) {
		struct dataset d;
		int            right = 0;
		assert_ok(dataset_read(&sets[k].path, 1, &o, &d));
		assert_int_equal(d.n, sets[k].rows);
		for (int i = 0; i < d.n; i++) {
			json_t *row;
			int     want;
			assert_ok(json_parse("row", d.problems[i].row, strlen(d.problems[i].row),
			                     &row));
			want = json_is_true(json_object_get(row, "right"));
			assert_close(reward(sets[k].verifier, d.problems[i].answer,
			                    d.problems[i].row,
			                    json_string_value(json_object_get(row, "output"))),
			             want, 0);
			right += want;
			json_decref(row);
		}
		assert_true(right >= 20 && right <= d.n - 20);
		dataset_free(&d);
	}
}

/* Where the scorers of the tasks are known to differ; docs/verifiers.md says how. */
static int differs_on_purpose(const char *task)
{
	static const char *const tasks[] = {"puzzle24", "coin_flip", "time_intervals",
	                                    "complex_arithmetic"};

	for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
		if (!strcmp(tasks[i], task))
			return 1;
	return 0;
}

/* Is it the gold with white space around it? Some scorers refuse that, or the half of it. */
static int is_padded(const char *text, const char *gold)
{
	struct span a = span_of(text);

	return strcmp(text, gold) && span_equal(span_trim(a), span_trim(span_of(gold)));
}

static void fifty_nine_tasks_are_judged_as_by_their_own_scorers(void **state)
{
	(void)state;
	const char            *path = "tests/data/task/procedural.jsonl.gz";
	struct dataset_options o = {.answer_optional = 1};
	struct dataset         d;
	int                    n = 0, right = 0;

	assert_ok(dataset_read(&path, 1, &o, &d));
	assert_int_equal(d.n, 2 * 59);
	for (int i = 0; i < d.n; i++) {
		json_t     *row, *one;
		size_t      j;
		const char *task;
		assert_ok(json_parse("row", d.problems[i].row, strlen(d.problems[i].row), &row));
		task = json_string_value(json_object_get(row, "task"));
		json_array_foreach(json_object_get(row, "scored"), j, one)
		{
			const char *text = json_string_value(json_object_get(one, "response"));
			double      want = json_number_value(json_object_get(one, "score"));
			double      got =
			        reward("procedural", d.problems[i].answer, d.problems[i].row, text);
			assert_true(got == 0 || got == 1);
			if ((want != 0 && want != 1) || is_padded(text, d.problems[i].answer) ||
			    (differs_on_purpose(task) && got != want))
				continue;
			if (got != want)
				fail_msg("%s: \"%s\" earns %g, was %g", task, text, got, want);
			right += got == 1;
			n++;
		}
		json_decref(row);
	}
	assert_true(right >= 130 && n - right >= 400);
	dataset_free(&d);
}

static void any_solution_that_keeps_the_rules_is_right(void **state)
{
	(void)state;
	static const char jugs[] = "{\"task\": \"jugs\", \"metadata\": {\"puzzle\": "
	                           "{\"jug_capacities\": [3, 5], \"target\": 4}}}";
	static const char hanoi[] = "{\"task\": \"tower_of_hanoi\", \"metadata\": {\"num_disks\": "
	                            "2, \"num_pegs\": 3, \"start_peg\": 1, "
	                            "\"target_peg\": 3, \"solution_length\": 3}}";
	static const char path[] = "{\"task\": \"shortest_path\", \"metadata\": {\"matrix\": "
	                           "[[\"*\", \"O\"], [\"O\", \"O\"], [\"X\", \"#\"]], "
	                           "\"solution\": [\"down\", \"right\", \"down\"]}}";
	static const char nowhere[] = "{\"task\": \"shortest_path\", \"metadata\": {\"matrix\": "
	                              "[[\"*\", \"X\", \"#\"]], \"solution\": []}}";
	static const char lock[] =
	        "{\"task\": \"quantum_lock\", \"metadata\": {\"solution_path\": [\"A\", \"B\"], "
	        "\"target_value\": 4, \"initial_state\": "
	        "\"red\", "
	        "\"initial_value\": 1, \"buttons\": [{\"name\": \"A\", \"type\": \"add\", "
	        "\"value\": 1, \"active_state\": \"any\"}, "
	        "{\"name\": \"B\", \"type\": \"multiply\", \"value\": 2, \"active_state\": "
	        "\"green\"}, "
	        "{\"name\": \"C\", \"type\": \"add\", \"value\": 3, \"active_state\": \"red\"}]}}";
	static const char queens[] = "{\"task\": \"n_queens\", \"question\": \"Place them.\\n_ _ _ "
	                             "_\\n_ _ _ _\\n_ _ _ _\\n_ _ _ _\\n\"}";
	static const char given[] = "{\"task\": \"n_queens\", \"question\": \"Place them.\\n_ _ Q "
	                            "_\\n_ _ _ _\\n_ _ _ _\\n_ _ _ _\\n\"}";
	static const char graph[] = "{\"task\": \"graph_color\", \"metadata\": {\"puzzle\": "
	                            "{\"vertices\": [0, 1, 2], \"edges\": [[0, 1], [1, 2]], "
	                            "\"color_options\": [1, 2]}}}";
	static const char letters[] = "{\"task\": \"palindrome_generation\", \"metadata\": "
	                              "{\"letters\": [\"a\", \"b\", \"a\", \"b\"]}}";
	static const char fraction[] = "{\"task\": \"fraction_simplification\", \"metadata\": "
	                               "{\"simplified_numerator\": 1, "
	                               "\"simplified_denominator\": 2}}";
	static const struct {
		const char *row, *text;
		int         right;
	} cases[] = {
	        {jugs,
	         "[\"fill B\", \"pour B->A\", \"empty A\", \"pour B->A\", \"fill B\", \"pour "
	         "B->A\"]",
	         1},
	        {jugs,
	         "<answer>[\"fill A\", \"pour A->B\", \"fill A\", \"pour A->B\", \"empty B\", "
	         "\"pour A->B\", \"fill A\", \"pour "
	         "A->B\"]</answer>",
	         1},
	        {jugs, "[\"fill B\"]", 0},
	        {jugs, "[]", 0},
	        {jugs, "[\"fill D\"]", 0},
	        {jugs, "[\"pour A->A\"]", 0},
	        {jugs,
	         "[\"fill B\", \"pour B->A\", \"empty A\", \"pour B->A\", \"fill B\", \"pour "
	         "B->A\"",
	         0},
	        {jugs, "[\"set B 4\"]", 0},
	        {jugs, "4", 0},
	        {hanoi,
	         "Move disk 1 from Peg 1 to Peg 2\nMove disk 2 from Peg 1 to Peg 3\nMove disk 1 "
	         "from Peg 2 to Peg 3",
	         1},
	        {hanoi, "Move disk 2 from Peg 1 to Peg 3\nMove disk 1 from Peg 1 to Peg 3", 0},
	        {hanoi, "Move disk 1 from Peg 1 to Peg 3\nMove disk 2 from Peg 1 to Peg 3", 0},
	        {hanoi, "Move disk 1 from Peg 1 to Peg 2\nMove disk 2 from Peg 1 to Peg 3", 0},
	        {hanoi,
	         "Move disk 1 from Peg 1 to Peg 3\nMove disk 1 from Peg 3 to Peg 2\nMove disk 2 "
	         "from Peg 1 to Peg 3\nMove disk 1 from Peg "
	         "2 to "
	         "Peg 3",
	         0},
	        {hanoi, "Move disk 9 from Peg 1 to Peg 3", 0},
	        {hanoi, "Move disk 1 from Peg 1 to Peg 9", 0},
	        {hanoi, "", 0},
	        {path, "down right down", 1},
	        {path, "right down down", 1},
	        {path, "right down", 0},
	        {path, "down down right", 0},
	        {path, "right left right down down", 0},
	        {path, "up down right down", 0},
	        {path, "infeasible", 0},
	        {nowhere, "infeasible", 1},
	        {nowhere, "right right", 0},
	        {nowhere, "", 0},
	        {lock, "A \xE2\x86\x92 B", 1},
	        {lock, "I press C -> A? No: a->b", 1},
	        {lock, "C", 1},
	        {lock, "B \xE2\x86\x92 A", 0},
	        {lock, "A \xE2\x86\x92 A \xE2\x86\x92 A", 0},
	        {lock, "AB", 0},
	        {lock, "", 0},
	        {queens, "_ Q _ _\n_ _ _ Q\nQ _ _ _\n_ _ Q _", 1},
	        {queens, "_ _ Q _\nQ _ _ _\n_ _ _ Q\n_ Q _ _", 1},
	        {given, "_ _ Q _\nQ _ _ _\n_ _ _ Q\n_ Q _ _", 1},
	        {given, "_ Q _ _\n_ _ _ Q\nQ _ _ _\n_ _ Q _", 0},
	        {queens, "Q _ _ _\n_ Q _ _\n_ _ Q _\n_ _ _ Q", 0},
	        {queens, "_ Q _ _\n_ _ _ Q\nQ _ _ _\n_ _ _ _", 0},
	        {queens, "Q", 0},
	        {queens, "_ Q _ _\n_ _ _ Q\nQ _ _ _\n_ _ Q", 0},
	        {graph, "{\"0\": 1, \"1\": 2, \"2\": 1}", 1},
	        {graph, "{\"0\": 1, \"1\": 1, \"2\": 2}", 0},
	        {graph, "{\"0\": 1, \"1\": 2}", 0},
	        {graph, "{\"0\": 1, \"1\": 3, \"2\": 1}", 0},
	        {graph, "{\"0\": 1, \"1\": 1, \"1\": 2, \"2\": 1}", 0},
	        {graph, "[1, 2, 1]", 0},
	        {graph, "{}", 0},
	        {letters, "abba", 1},
	        {letters, "BAab", 1},
	        {letters, "abab", 0},
	        {letters, "aaaa", 0},
	        {letters, "abbaabba", 0},
	        {letters, "", 0},
	        {fraction, "\\boxed{\\frac{1}{2}}", 1},
	        {fraction, "2/4 = 1/2", 1},
	        {fraction, "2/4", 0},
	        {fraction, "1/20", 0},
	        {fraction, "1", 0},
	        {fraction, "99999999999999999999999999999/2", 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (reward("procedural", NULL, cases[i].row, cases[i].text) != cases[i].right)
			fail_msg("%s: \"%s\" should earn %d", cases[i].row, cases[i].text,
			         cases[i].right);
}

static void answers_are_compared_as_text_numbers_lists_or_sets(void **state)
{
	(void)state;
	static const struct {
		struct answer_rule rule;
		const char        *gold, *answer;
		int                equal;
	} cases[] = {
	        {{.form = ANSWER_TEXT}, "a b", " a b\n", 1},
	        {{.form = ANSWER_TEXT}, "a b", "ab", 0},
	        {{.form = ANSWER_DENSE}, "a b", "a\n b ", 1},
	        {{.form = ANSWER_DENSE}, "a b", "a b c", 0},
	        {{.form = ANSWER_DENSE}, "a b", "A B", 0},
	        {{.form = ANSWER_DENSE, .ignore_case = 1}, "a b", "AB", 1},
	        {{.form = ANSWER_NUMBER}, "43", "43.", 1},
	        {{.form = ANSWER_NUMBER}, "43", "+43.0", 1},
	        {{.form = ANSWER_NUMBER}, "1234.5", "1,234.50", 1},
	        {{.form = ANSWER_NUMBER}, "-0.75", "-3/4", 1},
	        {{.form = ANSWER_NUMBER}, "600", "6e2", 1},
	        {{.form = ANSWER_NUMBER}, "43", "43.0.", 0},
	        {{.form = ANSWER_NUMBER}, "43", "43 x", 0},
	        {{.form = ANSWER_NUMBER}, "43", "43,", 0},
	        {{.form = ANSWER_NUMBER}, "43", "--43", 0},
	        {{.form = ANSWER_NUMBER}, "43", "- 43", 0},
	        {{.form = ANSWER_NUMBER}, "43", "it is 43", 0},
	        {{.form = ANSWER_NUMBER}, "0", "0/0", 0},
	        {{.form = ANSWER_NUMBER}, "0", "nan", 0},
	        {{.form = ANSWER_NUMBER, .absolute = 1e9}, "0", "inf", 0},
	        {{.form = ANSWER_NUMBER, .absolute = 1e9}, "0", "0e999", 1},
	        {{.form = ANSWER_NUMBER, .absolute = 1e9}, "0", "1e999", 0},
	        {{.form = ANSWER_NUMBER}, "9007199254740993", "9007199254740992", 0},
	        {{.form = ANSWER_NUMBER, .absolute = 0.01}, "0.333", "1/3", 1},
	        {{.form = ANSWER_NUMBER, .absolute = 0.01}, "0.333", "0.35", 0},
	        {{.form = ANSWER_NUMBER, .absolute = 0.01}, "1234", "1{,}234", 1},
	        {{.form = ANSWER_NUMBER, .relative = 0.01}, "1e-12", "1.005e-12", 1},
	        {{.form = ANSWER_NUMBER, .relative = 0.01}, "1e-12", "0", 0},
	        {{.form = ANSWER_LIST}, "['1.0', '2']", "[1, 2.00]", 1},
	        {{.form = ANSWER_LIST}, "a, b", "a,b", 1},
	        {{.form = ANSWER_LIST}, "1 2 3", "(1, 2, 3)", 1},
	        {{.form = ANSWER_LIST}, "a, b", "b, a", 0},
	        {{.form = ANSWER_LIST}, "a, b", "a, b,", 0},
	        {{.form = ANSWER_LIST}, "a, b", "a", 0},
	        {{.form = ANSWER_LIST}, "[]", "", 1},
	        {{.form = ANSWER_LIST}, "a", "", 0},
	        {{.form = ANSWER_SET}, "a, b, b", "b, a, b", 1},
	        {{.form = ANSWER_SET}, "a, b, b", "b, a, a", 0},
	        {{.form = ANSWER_SET, .absolute = 0.1}, "1, 2", "2.05, 1.01", 1},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (answer_equal(&cases[i].rule, span_of(cases[i].gold),
		                 span_of(cases[i].answer)) != cases[i].equal)
			fail_msg("form %d: \"%s\" and \"%s\" should be %s", cases[i].rule.form,
			         cases[i].gold, cases[i].answer,
			         cases[i].equal ? "equal" : "different");
}

static void countdown_rows_of_three_sources_have_what_the_verifier_reads(void **state)
{
	(void)state;
	const char            *paths[] = {"tests/data/task/countdown3.jsonl",
	                                  "tests/data/task/multi_task_countdown.jsonl"};
	const char            *name = "countdown";
	struct dataset_options o = {.prompt_template = "Play.", .answer_optional = 1};
	struct reward_spec     spec;
	struct dataset         d;

	assert_ok(verifier_open(&spec, &name, NULL, 1, NULL));
	assert_ok(dataset_read(paths, 2, &o, &d));
	assert_int_equal(d.n, 18);
	for (int i = 0; i < d.n; i++)
		assert_ok(verifier_check(&spec, &d.problems[i]));
	assert_close(reward("countdown", NULL, d.problems[0].row, "30-(100-93)"), 1, 0);
	assert_close(reward("countdown", NULL, d.problems[14].row, "31+47+84"), 1, 0);
	dataset_free(&d);
}

static void digit_completion_answers_earn_one(void **state)
{
	(void)state;
	const char    *path = "tests/data/task/digit_completion.jsonl";
	struct dataset d;

	assert_ok(dataset_read(&path, 1, NULL, &d));
	assert_int_equal(d.n, 20);
	for (int i = 0; i < d.n; i++)
		if (*d.problems[i].answer)
			assert_close(reward("sequence", d.problems[i].answer, NULL,
			                    d.problems[i].answer),
			             1, 0);
	dataset_free(&d);
}

static void an_empty_gold_is_refused_before_the_run(void **state)
{
	(void)state;
	static const char *const names[] = {"exact", "sequence", "zebra"}, *const golds[] = {"",
	                                                                                     " \n"};
	struct reward_spec spec;

	for (size_t i = 0; i < 6; i++) {
		struct problem p = {.id = "p", .answer = golds[i % 2]};
		assert_ok(verifier_open(&spec, &names[i / 2], NULL, 1, NULL));
		assert_error(verifier_check(&spec, &p), ERR_INPUT, "the answer is empty");
		verifier_close(&spec);
	}
}

/* ---- several, and rows ---- */

static void a_reward_is_the_weighted_sum_of_its_parts(void **state)
{
	(void)state;
	const char             *names[] = {"numeric", "length", "ends"};
	const double            weights[] = {1, -0.5, 0.25};
	struct verifier_options o = {.length.low = 2, .length.high = 4};
	struct reward_spec      spec;
	struct verdict          v;
	struct problem          p = {.id = "p", .answer = "7"};
	struct completion       c = {.text = "it is 7.", .n = 8, .n_tokens = 3, .finished = 1};

	assert_ok(verifier_open(&spec, names, weights, 3, &o));
	assert_ok(verifier_score(&spec, &p, &c, &v));
	assert_close(v.reward, 0.75, 1e-15);
	assert_close(v.part[0].reward, 1, 0);
	assert_close(v.part[1].reward, 1, 0);
	assert_close(v.part[2].reward, 1, 0);
	c.n_tokens = 9;
	assert_ok(verifier_score(&spec, &p, &c, &v));
	assert_close(v.reward, 1.25, 1e-15);
	verifier_close(&spec);
}

static void a_problem_with_a_verifier_of_its_own_is_scored_by_that_alone(void **state)
{
	(void)state;
	const char             *common[] = {"exact", "length"};
	const double            weights[] = {0.5, 0.25};
	const struct completion c = {.text = "it is 5", .n = 7, .finished = 1, .n_tokens = 3},
	                        same = {.text = "so 5.0", .n = 6, .finished = 1};
	const struct problem plain = {.id = "a", .answer = "five"},
	                     own = {.id = "b", .answer = "5", .verifier = "numeric"},
	                     listed = {.id = "c", .answer = "it is 5", .verifier = "exact"},
	                     wordy = {.id = "d", .answer = "five", .verifier = "numeric"};
	struct reward_spec spec;
	struct verdict     v;
	int                equal;

	assert_ok(verifier_open(&spec, common, weights, 2,
	                        &(struct verifier_options){.length.low = 1, .length.high = 5}));
	assert_ok(verifier_add(&spec, "numeric"));
	assert_ok(verifier_add(&spec, "exact"));
	assert_int_equal(spec.n, 3);
	assert_ok(verifier_score(&spec, &plain, &c, &v));
	assert_close(v.reward, 0.25, 0);
	assert_true(v.part[0].reward == 0 && v.part[1].reward == 1 && isnan(v.part[2].reward));
	assert_ok(verifier_score(&spec, &own, &c, &v));
	assert_close(v.reward, 1, 0);
	assert_true(isnan(v.part[0].reward) && isnan(v.part[1].reward) && v.part[2].reward == 1 &&
	            v.parsed);
	assert_ok(verifier_score(&spec, &listed, &c, &v)); /* whatever it weighs for the others */
	assert_close(v.reward, 1, 0);
	assert_ok(verifier_same(&spec, &own, &c, &same, &equal));
	assert_true(equal);
	assert_ok(verifier_same(&spec, &plain, &c, &same, &equal));
	assert_false(equal);
	assert_ok(verifier_check(&spec, &plain));
	assert_error(verifier_check(&spec, &wordy), ERR_INPUT, "problem d: verifier numeric");
	assert_error(verifier_add(&spec, "exakt"), ERR_INPUT, "no verifier \"exakt\"");
	verifier_close(&spec);
}

static void wrong_rewards_are_refused(void **state)
{
	(void)state;
	const char *twice[] = {"exact", "exact"}, *unknown = "nope", *format = "format",
	           *length = "length", *exact = "exact", *numeric = "numeric";
	const char *countdown = "countdown", *contains = "contains", *knights = "knights_knaves",
	           *sudoku = "sudoku", *arc = "arc", *procedural = "procedural";
	const double            nan_weight = NAN;
	struct verifier_options bad_pattern = {.pattern = "(a"};
	struct reward_spec      spec;
	struct problem          task = {.id = "p9", .row = "{\"task\": \"chess\"}"},
	               puzzle = {.id = "p10", .row = "{\"task\": \"sudoku\"}"};
	struct problem none = {.id = "p7"}, word = {.id = "p8",
	                                            .answer = "x",
	                                            .row = "{\"numbers\": [1.5], \"target\": 3}"};

	assert_error(verifier_open(&spec, &unknown, NULL, 1, NULL), ERR_INPUT,
	             "no verifier \"nope\"; there are: exact, numeric");
	assert_error(verifier_open(&spec, twice, NULL, 2, NULL), ERR_INPUT, "named twice");
	assert_error(verifier_open(&spec, twice, NULL, 0, NULL), ERR_INPUT, "1 to 8");
	assert_error(verifier_open(&spec, &exact, &nan_weight, 1, NULL), ERR_INPUT, "weight");
	assert_error(verifier_open(&spec, &format, NULL, 1, &bad_pattern), ERR_INPUT,
	             "task.verifier.pattern: \"(a\"");
	const struct {
		const char           *name;
		const struct problem *p;
		const char           *message;
	} checks[] = {{format, &none, "task.verifier.pattern or task.verifier.tags"},
	              {length, &none, "is not a range"},
	              {exact, &none, "problem p7: verifier exact: the problem has no answer"},
	              {numeric, &word, "\"x\" has no number"},
	              {countdown, &word, "\"numbers\""},
	              {contains, &none, "task.verifier.word"},
	              {sudoku, &word, "needs a \"puzzle\" of n x n cells"},
	              {arc, &word, "must be a grid of numbers"},
	              {procedural, &word, "needs a column \"task\""},
	              {procedural, &task, "no task \"chess\" is known"},
	              {procedural, &puzzle, "task sudoku: the row needs a \"puzzle\""},
	              {knights, &word, "must read \"AbC\""}};
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
		assert_ok(verifier_open(&spec, &checks[i].name, NULL, 1, NULL));
		assert_error(verifier_check(&spec, checks[i].p), ERR_INPUT, checks[i].message);
		verifier_close(&spec);
	}
}

static void a_row_may_say_how_its_prompt_ended(void **state)
{
	(void)state;
	const char *name = "format",
	           *end[] = {"", ", \"prompt_end\": \"<think>\\n\"", ", \"prompt_end\": 3"};
	const struct verifier_options o = {.tags = "think,answer"};
	struct reward_spec            spec;

	assert_ok(verifier_open(&spec, &name, NULL, 1, &o));
	for (int i = 0; i < 3; i++) {
		struct text row = {0}, out = {0};
		text_print(&row, "{\"completion\": \"a</think><answer>3</answer>\"%s}", end[i]);
		if (i == 2)
			assert_error(verifier_score_row(&spec, "stdin:1", row.data, row.n, &out),
			             ERR_INPUT, "\"prompt_end\"");
		else
			assert_ok(verifier_score_row(&spec, "stdin:1", row.data, row.n, &out));
		if (i < 2)
			assert_non_null(strstr(out.data, i ? "\"reward\": 1" : "\"reward\": 0"));
		text_free(&row);
		text_free(&out);
	}
	verifier_close(&spec);
}

static void rows_are_scored_as_json(void **state)
{
	(void)state;
	const char *names[] = {"sequence", "exact"};
	const char *good = "{\"completion\": \"ab\", \"answer\": \"ab\"}",
	           *cut = "{\"completion\": \"ab\", \"answer\": \"ab\", \"finished\": false}";
	const double       weights[] = {3, 1};
	struct reward_spec spec;
	struct text        t = {0};
	static const char *bad[][2] = {
	        {"", "not valid JSON"},
	        {"[]", "JSON object"},
	        {"{\"answer\": \"x\"}", "\"completion\" is missing"},
	        {"{\"completion\": 3, \"answer\": \"x\"}", "not a text"},
	        {"{\"completion\": \"x\"}", "has no answer"},
	        {"{\"completion\": \"x\", \"answer\": \"x\", \"finished\": 1}", "\"finished\""},
	        {"{\"completion\": \"x\", \"answer\": \"x\", \"tokens\": -1}", "\"tokens\""}};

	assert_ok(verifier_open(&spec, names, weights, 2, NULL));
	assert_ok(verifier_score_row(&spec, "stdin:1", good, strlen(good), &t));
	assert_ok(verifier_score_row(&spec, "stdin:2", cut, strlen(cut), &t));
	assert_string_equal(t.data,
	                    "{\"reward\": 4, \"right\": true, \"components\": {\"sequence\": 1, "
	                    "\"exact\": 1}, \"parsed\": true}\n"
	                    "{\"reward\": 3, \"right\": false, \"components\": {\"sequence\": "
	                    "0.6666666666666666, \"exact\": 1}, \"parsed\": true}\n");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		size_t before = t.n;
		assert_error(verifier_score_row(&spec, "stdin:3", bad[i][0], strlen(bad[i][0]), &t),
		             ERR_INPUT, bad[i][1]);
		assert_non_null(strstr(error_message(), "stdin:3"));
		assert_int_equal(t.n, before);
	}
	text_free(&t);
	verifier_close(&spec);
}

TEST_MAIN(TEST(the_last_marker_holds_the_answer), TEST(right_answers_earn_one),
          TEST(attacks_earn_nothing), TEST(no_attack_of_the_table_is_paid),
          TEST(right_completions_of_the_table_are_paid),
          TEST(every_right_character_of_a_sequence_earns_its_share),
          TEST(partial_credit_is_given_where_it_is_asked_for),
          TEST(credit_for_a_part_is_never_right),
          TEST(a_verifier_of_form_decides_what_is_right_only_where_no_other_does),
          TEST(parsed_says_whether_there_was_an_answer), TEST(case_is_ignored_when_that_is_asked),
          TEST(a_word_counts_only_as_a_whole), TEST(an_unfinished_story_does_not_end),
          TEST(length_earns_one_inside_and_falls_off_outside),
          TEST(formats_match_by_pattern_and_by_tags),
          TEST(a_pattern_that_would_run_forever_does_not_match),
          TEST(a_megabyte_of_anything_is_scored_in_bounded_time),
          TEST(nul_bytes_are_bytes_like_others), TEST(parentheses_are_read_to_a_bounded_depth),
          TEST(published_solutions_of_puzzles_score_one),
          TEST(verdicts_agree_with_scored_responses),
          TEST(a_sudoku_of_any_size_is_checked_by_its_rules),
          TEST(published_puzzles_have_what_their_verifiers_read),
          TEST(what_models_wrote_is_judged_as_published),
          TEST(fifty_nine_tasks_are_judged_as_by_their_own_scorers),
          TEST(any_solution_that_keeps_the_rules_is_right),
          TEST(answers_are_compared_as_text_numbers_lists_or_sets),
          TEST(countdown_rows_of_three_sources_have_what_the_verifier_reads),
          TEST(digit_completion_answers_earn_one), TEST(an_empty_gold_is_refused_before_the_run),
          TEST(a_reward_is_the_weighted_sum_of_its_parts),
          TEST(a_problem_with_a_verifier_of_its_own_is_scored_by_that_alone),
          TEST(wrong_rewards_are_refused), TEST(a_row_may_say_how_its_prompt_ended),
          TEST(rows_are_scored_as_json))
