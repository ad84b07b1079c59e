/* The math verifier: equal formulas earn 1, unequal ones and attacks 0, and others' verdicts are
 * met. */
#include "base/file.h"
#include "base/json.h"
#include "data/dataset.h"
#include "test.h"
#include "verify/algebraic.h"
#include "verify/formula.h"
#include "verify/statement.h"
#include "verify/verifier.h"

/* How many of the right pairs are met today: none may be lost. */
enum { RIGHT_PAIRS_MET = 406 };

static double judge(const struct verifier_options *o, const char *gold, const char *text, size_t n)
{
	const char        *name = "math";
	struct reward_spec spec;
	struct verdict     v;
	struct problem     p = {.id = "p", .answer = gold};
	/* its exact size, so that ASan sees a byte too many */
	char *exact = malloc(n ? n : 1);

	memcpy(exact, text, n);
	assert_ok(verifier_open(&spec, &name, NULL, 1, o));
	assert_ok(verifier_check(&spec, &p));
	assert_ok(verifier_score(&spec, &p,
	                         &(struct completion){.text = exact, .n = n, .finished = 1}, &v));
	verifier_close(&spec);
	free(exact);
	return v.reward;
}

static double reward(const char *gold, const char *text)
{
	const struct verifier_options none = {0};

	return judge(&none, gold, text, strlen(text));
}

/* 1 and a message when the reward is another one: a table is gone through to its end. */
static int differs(double want, const char *gold, const char *text)
{
	double got = reward(gold, text);

	if (got != want)
		print_error("gold \"%s\", answer \"%.300s\": reward %g, not %g\n", gold, text, got,
		            want);
	return got != want;
}

static void equal_formulas_earn_one(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	        {"1/2", "\\boxed{\\frac12}"},
	        {"-(ab + ac + bc)", "\\boxed{-ab - bc - ca}"},
	        {"|ad - bc|", "\\boxed{|ad - bc|}"},
	        {"f(z) = az^3 + bz^2 + cz + d", "\\boxed{az^3 + bz^2 + cz + d}"},
	        {"Arithmetic Progression", "\\boxed{arithmetic progression}"},
	        {"0.5", "The answer is $\\dfrac{1}{2}$."},
	        {"11/2", "\\boxed{5\\frac{1}{2}}"},
	        {"12345", "\\boxed{12{,}345}"},
	        {"2\\sqrt{2}", "\\boxed{\\sqrt{8}}"},
	        {"-2", "\\boxed{\\sqrt[3]{-8}}"},
	        {"2^{100}", "\\boxed{1267650600228229401496703205376}"},
	        {"x^2-1", "\\boxed{(x-1)(x+1)}"},
	        {"\\frac{1}{x-1}", "\\boxed{\\frac{x+1}{x^2-1}}"},
	        {"1+i", "\\boxed{\\frac{2i}{1+i}}"},
	        {"\\{1,2\\}", "\\boxed{2, 1}"},
	        {"1\\pm\\sqrt{5}", "\\boxed{1+\\sqrt5, 1-\\sqrt5}"},
	        {"(-\\infty,2]", "\\boxed{\\left(-\\infty, \\frac{4}{2}\\right]}"},
	        {"[0,1)\\cup(2,3]", "\\boxed{(2,3] \\cup [0,1)}"},
	        {"\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}",
	         "\\boxed{\\begin{bmatrix}1&2\\\\3&\\frac{8}{2}\\end{bmatrix}}"},
	        {"x + 2y = 3", "\\boxed{2x + 4y - 6 = 0}"},
	        {"x < 2", "\\boxed{-x > -2}"},
	        {"90^\\circ", "\\boxed{90}"},
	        {"28\\%", "It is \\boxed{28 percent}"},
	        {"15", "\\boxed{15\\text{ cm}^2}"},
	        {"\\text{Evelyn}", "So it is \\boxed{Evelyn}."},
	        {"\\text{(C)}", "\\boxed{C}"},
	        {"120", "\\binom{10}{3} = 120"},
	        {"\\frac{\\sqrt{3}}{2}", "\\boxed{\\sin(\\pi/3)}"},
	        {"3", "\\boxed{\\log_2 8}"},
	        {"1011_2", "\\boxed{1011_{2}}"},
	        {"7", "\\boxed{5} is not it. \\boxed{7}"},
	        {"-15", "<answer>-15</answer>"},
	        {"42", "Thus\n#### 42"},
	};

	int wrong = 0;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		wrong += differs(1, cases[i][0], cases[i][1]);
	assert_int_equal(wrong, 0);
}

static void attacks_earn_nothing(void **state)
{
	(void)state;
	static const char *const golds[] = {"42",
	                                    "\\frac{3}{7}",
	                                    "x^2+1",
	                                    "(1,2)",
	                                    "[0,1)",
	                                    "\\text{even}",
	                                    "12345678901234567890123456789",
	                                    "\\sqrt{2}"};
	/* none of these is equal to any of the golds */
	static const char *const attacks[] = {
	        "",
	        " ",
	        "\n",
	        "\\boxed{}",
	        "\\boxed{ }",
	        "\\boxed{{}}",
	        "\\boxed{42}\\boxed{}",
	        "\\boxed{42} then \\boxed{ }",
	        "\\boxed{42} or \\boxed{43}",
	        "\\boxed{42, 43}",
	        "\\boxed{\\{42, x\\}}",
	        "\\boxed{42 \\text{ or } 43}",
	        "\\boxed{41} \\boxed{42}",
	        "\\boxed{\\boxed{}}",
	        "\\boxed",
	        "\\boxed{",
	        "\\boxed{?}",
	        "\\boxed{answer}",
	        "\\boxed{\\text{the answer}}",
	        "\\boxed{gold}",
	        "\\boxed{ground_truth}",
	        "\\boxed{\\cdot}",
	        "\\boxed{x}",
	        "\\boxed{\\text{42 or 43}}",
	        "\\boxed{NaN}",
	        "\\boxed{\\infty}",
	        "\\boxed{0/0}",
	        "\\boxed{\\frac{42}{0}}",
	        "\\boxed{\\frac{1}{0}}",
	        "\\boxed{0^0-1}",
	        "\\boxed{\\frac{0}{0}}",
	        "\\boxed{42/0}",
	        "\\boxed{1/(1-1)}",
	        "\\boxed{\\log 0}",
	        "\\boxed{\\tan}",
	        "\\boxed{9^9^9^9^9}",
	        "\\boxed{9^{9^{9^{9}}}}",
	        "\\boxed{10^{999999999}}",
	        "\\boxed{99999999999999999!}",
	        "\\boxed{5!!!!!!!!!!}",
	        "\\boxed{\\binom{99999999}{49999999}}",
	        "\\boxed{1e999}",
	        "\\boxed{42e0.1}",
	        "\\boxed{0x2A}",
	        "\\boxed{4 2}",
	        "\\boxed{4.2.}",
	        "\\boxed{4..2}",
	        "\\boxed{42.0.0}",
	        "\\boxed{--42}",
	        "\\boxed{-42}",
	        "\\boxed{+-42}",
	        "\\boxed{42 = 43}",
	        "\\boxed{43 = x}",
	        "\\boxed{x = 42 = 43}",
	        "\\boxed{x > 42}",
	        "\\boxed{x \\ge 42}",
	        "\\boxed{\\ne 42}",
	        "\\boxed{\\pm 42}",
	        "\\boxed{\\approx 42}",
	        "\\boxed{42 \\pm 1}",
	        "\\boxed{|42|i}",
	        "\\boxed{12345678901234567890123456788}",
	        "\\boxed{12345678901234567890123456790}",
	        "\\boxed{1.2345678901234567890123456788e28}",
	        "\\boxed{42.0000000000000000001}",
	        "\\boxed{41.9999999999999999999}",
	        "\\boxed{42 + 10^{-30}}",
	        "\\boxed{0.428571428571}",
	        "\\boxed{0.4286}",
	        "\\boxed{1.41421356}",
	        "\\boxed{\\sqrt{2.0000001}}",
	        "\\boxed{\\sqrt 3}",
	        "\\boxed{x^2+1+10^{-20}}",
	        "\\boxed{x^2+y}",
	        "\\boxed{X^2+1.1}",
	        "\\boxed{(x+1)^2}",
	        "\\boxed{(2,1)}",
	        "\\boxed{[1,2]}",
	        "\\boxed{(1,2]}",
	        "\\boxed{(1,2,3)}",
	        "\\boxed{(1)}",
	        "\\boxed{((1,2),(1,2))}",
	        "\\boxed{(0,1)}",
	        "\\boxed{[0,1]}",
	        "\\boxed{[0,1}",
	        "\\boxed{0,1)}",
	        "\\boxed{[0,1) \\cup (2,3)}",
	        "\\boxed{[0,1) \\cup}",
	        "\\boxed{\\text{odd}}",
	        "\\boxed{\\text{not even}}",
	        "\\boxed{evens}",
	        "\\boxed{even or odd}",
	        "\\boxed{\\text{even}, \\text{odd}}",
	        "<answer></answer>",
	        "<answer> </answer>",
	        "<answer>42</answer><answer></answer>",
	        "<answer>42</answer><answer>43</answer>",
	        "####",
	        "#### ",
	        "#### 42 or 43",
	        "42\n#### 43",
	        "The answer is",
	        "The answer is 43. It is not 42.",
	        "Answer:",
	        "answer: 42, or maybe 43",
	        "just 42",
	        "I think that maybe 42 or so",
	        "It has 42 parts and 7 others",
	        "41 42 43 44",
	        "1 2 3 4 5 6 7",
	        "$42$ or else $43$ is what it might be $$",
	        "\\(42\\) but then \\(43\\)",
	        "\\begin{pmatrix}42\\end{pmatrix",
	        "\\boxed{\\begin{pmatrix} 1 & 2 \\end{pmatrix}}",
	        "\\boxed{\\begin{pmatrix} \\end{pmatrix}}",
	        "\\boxed{\\begin{pmatrix}42\\end{pmatrix}\\begin{pmatrix}\\end{pmatrix}}",
	        "\\boxed{\\begin{pmatrix}42\\\\2\\end{pmatrix}\\begin{pmatrix}%\\mathit\\2\\end{"
	        "pmatrix}}",
	        "\\boxed{\\frac{}{}}",
	        "\\boxed{\\frac{3}{}7}",
	        "\\boxed{\\sqrt{}}",
	        "\\boxed{\\sqrt[0]{2}}",
	        "\\boxed{\\unknown{42}}",
	        "\\boxed{\\input{gold}}",
	        "\\boxed{\\FRAC{3}{7}}",
	        "\\boxed{}}}}}42",
	        "\\boxed{42}{43}\\boxed{43}",
	        "\\boxed{\\}",
	        "\\boxed{\\\\}",
	        "\\",
	        "$",
	        "$$",
	        "{",
	        "}",
	        "\xff\xfe",
	        "\xF0\x9F\x98\x80",
	};
	int n = sizeof attacks / sizeof attacks[0], wrong = 0;

	assert_true(n >= 100);
	for (int i = 0; i < n; i++)
		for (size_t j = 0; j < sizeof golds / sizeof golds[0]; j++)
			wrong += differs(0, golds[j], attacks[i]);
	assert_int_equal(wrong, 0);
}

static json_t *next_row(struct lines *in, const char *path)
{
	const char *line;
	size_t      n;
	json_t     *row = NULL;

	assert_ok(lines_next(in, &line, &n));
	if (line)
		assert_ok(json_parse(path, line, n, &row));
	return row;
}

/* The rows of a table of golds and completions, and how many of them earn 1. */
static int table_rows(const char *path, int *earned, double report)
{
	struct lines *in;
	json_t       *row;
	int           n = 0;

	*earned = 0;
	assert_ok(lines_open(path, 1 << 20, &in));
	for (; (row = next_row(in, path)); json_decref(row), n++) {
		const char *gold = json_string_value(json_object_get(row, "gold")),
		           *said = json_string_value(json_object_get(row, "completion"));
		double got = reward(gold, said);
		*earned += got == 1;
		if (got == report)
			print_error("gold \"%s\", completion \"%.300s\": reward %g\n", gold, said,
			            got);
	}
	lines_close(in);
	return n;
}

/* Written by hand, before it was known which of them pass. */
static void right_pairs_earn_one_and_wrong_ones_nothing(void **state)
{
	(void)state;
	int earned, right = table_rows("tests/data/math/right_pairs.jsonl", &earned, 0), wrong,
	            paid;

	print_message("%d of %d right pairs earn 1\n", earned, right);
	assert_true(right >= 350);
	assert_true(earned >= 0.95 * right);
	assert_true(earned >= RIGHT_PAIRS_MET);
	wrong = table_rows("tests/data/math/wrong_pairs.jsonl", &paid, 1);
	print_message("%d of %d wrong pairs earn 1\n", paid, wrong);
	assert_true(wrong >= 200);
	assert_int_equal(paid, 0);
}

static void more_attacks_earn_nothing(void **state)
{
	(void)state;
	int paid, n = table_rows("tests/data/math/attacks.jsonl", &paid, 1);

	print_message("%d of %d attacks earn 1\n", paid, n);
	assert_true(n >= 400);
	assert_int_equal(paid, 0);
}

static void nul_bytes_are_no_end_of_the_answer(void **state)
{
	(void)state;
	const struct verifier_options none = {0};
	static const char             in_box[] = "\\boxed{42\0}", more[] = "\\boxed{42\0003}",
	                  behind[] = "\\boxed{42}\0\\boxed{43}";

	assert_close(judge(&none, "42", more, sizeof more - 1), 0, 0);
	assert_close(judge(&none, "42", behind, sizeof behind - 1), 0, 0);
	/* at an end it is white space, as for all verifiers */
	assert_close(judge(&none, "42", in_box, sizeof in_box - 1), 1, 0);
}

/* The rewards of rows as `hone score` reads them: `data.answer_list: any`. NAN for an error. */
static double row_reward(const struct reward_spec *spec, const char *row)
{
	struct text out = {0};
	double      got = NAN;
	int         status = verifier_score_row(spec, "rows:1", row, strlen(row), &out);

	if (status == OK) {
		json_t *v;
		assert_ok(json_parse("out", out.data, out.n, &v));
		got = json_number_value(json_object_get(v, "reward"));
		json_decref(v);
	}
	text_free(&out);
	return got;
}

static void a_list_of_golds_means_any_of_them(void **state)
{
	(void)state;
	static const struct {
		const char *verifier, *answer, *completion;
		double      want;
	} cases[] = {{"math", "[\"42\"]", "\\\\boxed{42}", 1},
	             {"math", "[\"$x^2$\"]", "\\\\boxed{x^2}", 1},
	             {"math", "[1, 2]", "\\\\boxed{2, 1}", 1},
	             {"math", "[\"1\", \"2\"]", "\\\\boxed{2}", 1},
	             {"math", "[\"1\", \"2\"]", "\\\\boxed{3}", 0},
	             {"math", "[\"1\", \"2\"]", "\\\\boxed{1, 2, 3}", 0},
	             {"math", "[1e-05]", "\\\\boxed{0.00001}", 1},
	             {"math", "[true]", "\\\\boxed{true}", 1},
	             {"numeric", "[\"1\", \"2\"]", "It is 2", 1},
	             {"numeric", "[\"1\", \"2\"]", "It is 3", 0},
	             {"exact", "[\"Rome\", \"Roma\"]", "Roma", 1},
	             {"exact", "[\"Rome\", \"Roma\"]", "Milan", 0}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct reward_spec spec;
		char               row[256];
		assert_ok(verifier_open(&spec, &cases[i].verifier, NULL, 1, NULL));
		snprintf(row, sizeof row, "{\"completion\": \"%s\", \"answer\": %s}",
		         cases[i].completion, cases[i].answer);
		if (row_reward(&spec, row) != cases[i].want)
			fail_msg("%s: not %g", row, cases[i].want);
		verifier_close(&spec);
	}
}

static void a_list_is_one_value_where_lists_are_compared(void **state)
{
	(void)state;
	const char                   *exact = "exact";
	const struct verifier_options set = {.compare = {.form = ANSWER_SET}};
	struct reward_spec            spec;

	assert_ok(verifier_open(&spec, &exact, NULL, 1, &set));
	assert_close(row_reward(&spec, "{\"completion\": \"2, 1\", \"answer\": [\"1\", \"2\"]}"), 1,
	             0);
	assert_close(row_reward(&spec, "{\"completion\": \"1\", \"answer\": [\"1\", \"2\"]}"), 0,
	             0);
	verifier_close(&spec);
}

static void an_empty_list_is_no_gold(void **state)
{
	(void)state;
	const char        *math = "math";
	struct reward_spec spec;

	assert_ok(verifier_open(&spec, &math, NULL, 1, NULL));
	assert_true(isnan(row_reward(&spec, "{\"completion\": \"\\\\boxed{4}\", \"answer\": []}")));
	assert_non_null(strstr(error_message(), "empty list"));
	verifier_close(&spec);
}

static void all_of_a_list_is_asked_for_where_the_data_say_so(void **state)
{
	(void)state;
	const struct dataset_options all = {.join_answers = 1};
	const char                  *row = "{\"prompt\": \"?\", \"answer\": [\"1\", \"2\"]}";
	struct arena                 arena = {0};
	struct problem               p;

	assert_ok(dataset_read_row("rows:1", row, strlen(row), &all, &arena, &p));
	assert_string_equal(p.answer, "1, 2");
	assert_int_equal(p.n_answers, 0);
	arena_free(&arena);
}

static void a_row_with_a_list_of_golds_is_written_as_it_was_read(void **state)
{
	(void)state;
	const struct dataset_options any = {0};
	const char    *row = "{\"id\": \"a\", \"prompt\": \"?\", \"answer\": [\"1\", \"2\"]}";
	struct arena   arena = {0};
	struct problem p, again;
	struct text    t = {0};

	assert_ok(dataset_read_row("rows:1", row, strlen(row), &any, &arena, &p));
	assert_ok(dataset_add_row(&t, &p));
	assert_ok(dataset_read_row("rows:1", t.data, t.n, &any, &arena, &again));
	assert_int_equal(again.n_answers, 3);
	assert_string_equal(again.answers[1], "2");
	assert_string_equal(again.answers[2], "1, 2");
	text_free(&t);
	arena_free(&arena);
}

/* Votes: two completions are compared, neither of them is a gold. */
static void completions_that_say_the_same_are_one_vote(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		int         same;
	} cases[] = {{"The answer is 0.5.", "\\boxed{\\frac12}", 1},
	             {"<think>\\boxed{3}</think> \\boxed{4}", "so \\boxed{4}", 1},
	             {"\\boxed{3}", "The answer is 4.", 0},
	             {"I do not know.", "Neither do I.", 0}};
	const char        *math = "math";
	struct reward_spec spec;

	assert_ok(verifier_open(&spec, &math, NULL, 1, NULL));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct problem    p = {.id = "p", .answer = "1"};
		const struct completion a = {.text = cases[i].a, .n = strlen(cases[i].a)},
		                        b = {.text = cases[i].b, .n = strlen(cases[i].b)};
		int same;
		assert_ok(verifier_same(&spec, &p, &a, &b, &same));
		assert_int_equal(same, cases[i].same);
	}
	verifier_close(&spec);
}

static void a_gold_that_does_not_equal_itself_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "$$", "\\boxed{}", "\\frac{1}{2", "a} b"};
	const char              *math = "math";
	struct reward_spec       spec;

	assert_ok(verifier_open(&spec, &math, NULL, 1, NULL));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(
		        verifier_check(&spec, &(struct problem){.id = "p", .answer = bad[i]}),
		        ERR_INPUT);
	verifier_close(&spec);
}

/* Steps are counted, not seconds. */
static void a_long_text_of_anything_is_read_in_bounded_steps(void **state)
{
	(void)state;
	static const char *const      pieces[] = {"{",          "(",           "\\boxed{",
	                                          "\\boxed{1}", "\\boxed{1},", "$",
	                                          "$1",         "\\(",         "\\[",
	                                          "[",          "]",           "9",
	                                          "9^",         "-",           "\\frac",
	                                          "\\frac{",    "\\text{",     "\\begin{matrix}",
	                                          "answer is ", "answer: ",    "1.",
	                                          "1,",         "|",           "\\sqrt",
	                                          "x",          "word ",       "!",
	                                          "\\\\",       "<answer>",    "#",
	                                          "is 1 ",      "\\left(",     "answer",
	                                          "<think>",    "\\boxed ",    "</think>",
	                                          "answer\n",   "\\boxed 1",   "- ",
	                                          "not ",       "is not 1. "};
	const struct verifier_options none = {0};
	size_t                        n = 1 << 17;
	char                         *text = malloc(n);

	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		size_t           m = strlen(pieces[i]);
		struct statement found;
		for (size_t j = 0; j < n; j++)
			text[j] = pieces[i][j % m];
		statement_of_completion((struct span){text, n}, &found);
		assert_true(found.steps >= (long)n / 2);
		if (found.steps > STATEMENT_STEPS * (long)n)
			fail_msg("%zu bytes of \"%s\" took %ld steps", n, pieces[i], found.steps);
		assert_close(judge(&none, "42", text, n), 0, 0);
	}
	free(text);
}

/* What asks for endless digits, or for numbers without end, is given up after so many steps. */
static void a_comparison_ends_after_so_many_steps(void **state)
{
	(void)state;
	static const char *const hostile[] = {
	        "\\sqrt{2+\\sqrt{3+\\sqrt{5+\\sqrt{7+\\sqrt{11+\\sqrt{13+\\sqrt{17}}}}}}}",
	        "\\sqrt{2}+\\sqrt{3}+\\sqrt{5}+\\sqrt{7}+\\sqrt{11}+\\sqrt{13}+\\sqrt{17}+\\sqrt{"
	        "19}+\\sqrt{23}+\\sqrt{29}+\\sqrt{31}",
	        "9^{9^{9}}",
	        "2^{131000}+3^{82000}",
	        "1000!\\cdot 999!\\cdot 998!+1",
	        "\\binom{1000000}{2000}+\\binom{999999}{1999}",
	        "(x+y+z)^{999}(x-y)^{999}",
	        "x^{100000}",
	        "e^{e^{e^{e}}}",
	        "\\lfloor e^{100} \\rfloor",
	        "\\sin 10^{1000}",
	        "\\cos\\frac{\\pi}{359}+\\cos\\frac{\\pi}{353}+\\cos\\frac{\\pi}{349}",
	        "\\sqrt[997]{2}+\\sqrt[991]{3}",
	        "(\\sqrt{2}+\\sqrt{3}+\\sqrt{5})^{500}",
	        "|(\\sqrt{2}-1)^{500}-(\\sqrt{3}-1)^{700}|",
	        "\\ln(\\ln(\\ln(\\ln 2)))",
	        "2^{x^{y^{z}}}",
	        "\\{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20\\}"};
	struct formula_options o = {0};
	int                    n = sizeof hostile / sizeof hostile[0];

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			struct formula *a = formula_new(span_of(hostile[i])),
			               *b = formula_new(span_of(hostile[j]));
			long steps;
			int  equal = formula_equal(a, b, &o, &steps);
			if (equal != (i == j) || steps > ALGEBRAIC_STEPS * 5L / 4)
				fail_msg("\"%s\" against \"%s\": equal %d after %ld steps",
				         hostile[i], hostile[j], equal, steps);
			formula_free(a);
			formula_free(b);
		}
}

/* head, n times the piece, tail; or the same with a 0 in front, so that it is not the same text. */
static struct formula *hostile_formula(const char *zero, const char *head, const char *piece, int n,
                                       const char *tail)
{
	struct text     t = {0};
	struct formula *f;

	text_print(&t, "%s%s", zero, head);
	for (int i = 0; i < n; i++)
		text_print(&t, "%s", piece);
	text_print(&t, "%s", tail);
	assert_ok(text_status(&t));
	f = formula_new((struct span){t.data, t.n});
	text_free(&t);
	return f;
}

/* A row for each kind of work. All but that work is free (x - x and x + 0 need no step), so the
 * steps are spent only if the work is charged. As many pieces as two formulas may have not: equal
 * things are then refused, and soon after the last step. A quarter as many: they are equal. */
static void each_kind_of_work_is_charged_until_the_steps_are_spent(void **state)
{
	(void)state;
	static const struct {
		const char *head, *piece, *tail;
		int         n;
	} rows[] = {{"", "2000!-2000!+", "65535^{8000}+1+1+1+1+1+1+1+1", 150},
	            {"", "\\binom{10000}{2000}-\\binom{10000}{2000}+", "1", 60},
	            {"", "\\sqrt{2}-\\sqrt{2}+", "1", 60},
	            {"", "65535^{8000}-65535^{8000}+", "1", 15},
	            {"65535^{8000}", "+1", "", 30}};
	const struct formula_options o = {0};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (int part = 1; part <= 4; part += 3) {
			int             n = rows[i].n / part;
			struct formula *a =
			        hostile_formula("", rows[i].head, rows[i].piece, n, rows[i].tail);
			struct formula *b =
			        hostile_formula("0+", rows[i].head, rows[i].piece, n, rows[i].tail);
			long steps;
			int  equal = formula_equal(a, b, &o, &steps),
			    spent = steps > ALGEBRAIC_STEPS;
			assert_true(formula_parsed(a) && formula_parsed(b));
			if (equal != (part > 1) || spent != (part == 1) ||
			    steps > ALGEBRAIC_STEPS * 5L / 4)
				fail_msg("%d times \"%s\": equal %d after %ld steps", n,
				         rows[i].piece, equal, steps);
			formula_free(a);
			formula_free(b);
		}
}

/* Which ones are missed, and why, stands in docs/verifiers.md. */
static void verdicts_of_published_tests_are_met(void **state)
{
	(void)state;
	const char   *path = "tests/data/math/triples.jsonl.gz";
	struct lines *in;
	json_t       *row;
	int           n = 0, met = 0;

	assert_ok(lines_open(path, 1 << 20, &in));
	for (; (row = next_row(in, path)); json_decref(row), n++) {
		const json_t                 *options = json_object_get(row, "options");
		const struct verifier_options o = {
		        .decimals = (int)json_integer_value(json_object_get(options, "precision")),
		        .strict_relations =
		                json_is_false(json_object_get(options, "allow_set_relation_comp"))};
		const char *answer = json_string_value(json_object_get(row, "answer"));
		double      want = json_number_value(json_object_get(row, "expected"));
		double      got = judge(&o, json_string_value(json_object_get(row, "gold")), answer,
		                        strlen(answer));
		assert_true(got <= want); /* nothing wrong is accepted */
		met += got == want;
	}
	lines_close(in);
	assert_int_equal(n, 165);
	print_message("%d of %d triples are met\n", met, n);
	assert_true(met >= 163);
}

static void graded_pairs_agree(void **state)
{
	(void)state;
	const char   *path = "tests/data/math/graded_pairs.jsonl.gz";
	struct lines *in;
	json_t       *row;
	int           n = 0, met = 0;

	assert_ok(lines_open(path, 1 << 20, &in));
	for (; (row = next_row(in, path)); json_decref(row), n++)
		met += (reward(json_string_value(json_object_get(row, "gold")),
		               json_string_value(json_object_get(row, "answer"))) == 1) ==
		       json_is_true(json_object_get(row, "prm800k"));
	lines_close(in);
	assert_int_equal(n, 1158);
	print_message("%d of %d graded pairs agree\n", met, n);
	assert_true(met >= 1125);
}

TEST_MAIN(TEST(equal_formulas_earn_one), TEST(attacks_earn_nothing),
          TEST(more_attacks_earn_nothing), TEST(right_pairs_earn_one_and_wrong_ones_nothing),
          TEST(nul_bytes_are_no_end_of_the_answer), TEST(a_list_of_golds_means_any_of_them),
          TEST(a_list_is_one_value_where_lists_are_compared), TEST(an_empty_list_is_no_gold),
          TEST(all_of_a_list_is_asked_for_where_the_data_say_so),
          TEST(a_row_with_a_list_of_golds_is_written_as_it_was_read),
          TEST(completions_that_say_the_same_are_one_vote),
          TEST(a_gold_that_does_not_equal_itself_is_refused),
          TEST(a_long_text_of_anything_is_read_in_bounded_steps),
          TEST(a_comparison_ends_after_so_many_steps),
          TEST(each_kind_of_work_is_charged_until_the_steps_are_spent),
          TEST(verdicts_of_published_tests_are_met), TEST(graded_pairs_agree))
