/* The math verifier: equal formulas earn 1, unequal ones and attacks 0, and others' verdicts are met. */
#include "base/file.h"
#include "base/json.h"
#include "task/verifier.h"
#include "test.h"

static double judge(const struct verifier_options *o, const char *gold, const char *text, size_t n)
{
	const char        *name = "math";
	struct reward_spec spec;
	struct verdict     v;
	struct problem     p = {.id = "p", .answer = gold};
	char              *exact = malloc(n ? n : 1); /* its exact size, so that ASan sees a byte too many */

	memcpy(exact, text, n);
	assert_ok(verifier_open(&spec, &name, NULL, 1, o));
	assert_ok(verifier_check(&spec, &p));
	assert_ok(verifier_score(&spec, &p, &(struct completion){.text = exact, .n = n, .finished = 1}, &v));
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
		print_error("gold \"%s\", answer \"%.300s\": reward %g, not %g\n", gold, text, got, want);
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
	        {"\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", "\\boxed{\\begin{bmatrix}1&2\\\\3&\\frac{8}{2}\\end{bmatrix}}"},
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
	        {"7", "x = \\boxed{7"},
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
	static const char *const golds[] = {
	        "42", "\\frac{3}{7}", "x^2+1", "(1,2)", "[0,1)", "\\text{even}", "12345678901234567890123456789", "\\sqrt{2}"};
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
	        "\\boxed{\\begin{pmatrix}42\\\\2\\end{pmatrix}\\begin{pmatrix}%\\mathit\\2\\end{pmatrix}}",
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

static void nul_bytes_are_no_end_of_the_answer(void **state)
{
	(void)state;
	const struct verifier_options none = {0};
	static const char             in_box[] = "\\boxed{42\0}", more[] = "\\boxed{42\0003}", behind[] = "\\boxed{42}\0\\boxed{43}";

	assert_close(judge(&none, "42", more, sizeof more - 1), 0, 0);
	assert_close(judge(&none, "42", behind, sizeof behind - 1), 0, 0);
	assert_close(judge(&none, "42", in_box, sizeof in_box - 1), 1, 0); /* at an end it is white space, as for all verifiers */
}

/* A megabyte of each: what took quadratic time would not come to an end. */
static void a_megabyte_of_anything_is_read(void **state)
{
	(void)state;
	static const char *const pieces[] = {
	        "{",          "(",        "\\boxed{", "\\boxed{1}", "\\boxed{1},", "$",      "$1",      "\\(",     "\\[",
	        "[",          "]",        "9",        "9^",         "-",           "\\frac", "\\frac{", "\\text{", "\\begin{matrix}",
	        "answer is ", "answer: ", "1.",       "1,",         "|",           "\\sqrt", "x",       "word ",   "!",
	        "\\\\",       "<answer>", "#",        "is 1 ",      "\\left("};
	const struct verifier_options none = {0};
	size_t                        n = 1 << 20;
	char                         *text = malloc(n);

	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		size_t m = strlen(pieces[i]);
		for (size_t j = 0; j < n; j++)
			text[j] = pieces[i][j % m];
		assert_close(judge(&none, "42", text, n), 0, 0);
	}
	free(text);
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
		const struct verifier_options o = {.decimals = (int)json_integer_value(json_object_get(options, "precision")),
		                                   .interval_relations = json_is_true(json_object_get(options, "allow_set_relation_comp"))};
		const char                   *answer = json_string_value(json_object_get(row, "answer"));
		double                        want = json_number_value(json_object_get(row, "expected"));
		double                        got = judge(&o, json_string_value(json_object_get(row, "gold")), answer, strlen(answer));
		assert_true(got <= want); /* nothing wrong is accepted */
		met += got == want;
	}
	lines_close(in);
	assert_int_equal(n, 165);
	assert_true(met >= 161);
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
		met += (reward(json_string_value(json_object_get(row, "gold")), json_string_value(json_object_get(row, "answer"))) == 1) ==
		       json_is_true(json_object_get(row, "prm800k"));
	lines_close(in);
	assert_int_equal(n, 1158);
	assert_true(met >= 0.97 * n);
}

TEST_MAIN(TEST(equal_formulas_earn_one), TEST(attacks_earn_nothing), TEST(nul_bytes_are_no_end_of_the_answer),
          TEST(a_megabyte_of_anything_is_read), TEST(verdicts_of_published_tests_are_met), TEST(graded_pairs_agree))
