/* verify_procedural.c - which rule judges which task of reasoning-gym
 * (github.com/open-thought/reasoning-gym). docs/verifiers.md says how far the verdicts agree with
 * the tasks' own scorers. */
#include "base/error.h"
#include "base/json.h"
#include "verify/verify.h"

#include <string.h>

#define SAME(form_, ...) \
	.score = verify_exact, .check = verify_has_answer, \
	.options.compare = {.form = form_, __VA_ARGS__}
#define VERIFIER(name) .score = verify_##name, .check = verify_##name##_check
#define RULE(rule_) .rule = rule_

static const struct task {
	const char *name;
	int (*score)(const struct reward_spec *spec, const struct problem *p,
	             const struct completion *c, struct score *out);
	int (*check)(const struct reward_spec *spec, const struct problem *p);
	verify_rule            *rule;
	struct verifier_options options;
} tasks[] = {
        {"aiw", SAME(ANSWER_NUMBER, )},
        {"arc_1d", VERIFIER(arc)},
        {"base_conversion", SAME(ANSWER_TEXT, )},
        {"basic_arithmetic", SAME(ANSWER_NUMBER, )},
        {"binary_matrix", VERIFIER(arc)},
        {"bitwise_arithmetic", SAME(ANSWER_TEXT, .ignore_case = 1)},
        {"caesar_cipher", SAME(ANSWER_TEXT, )},
        {"calendar_arithmetic", SAME(ANSWER_TEXT, .ignore_case = 1)},
        {"chain_sum", SAME(ANSWER_NUMBER, )},
        {"circuit_logic", SAME(ANSWER_TEXT, )},
        {"coin_flip", SAME(ANSWER_NUMBER, .absolute = 1e-4)},
        {"complex_arithmetic", SAME(ANSWER_DENSE, .ignore_case = 1)},
        {"count_bits", SAME(ANSWER_NUMBER, )},
        {"count_primes", SAME(ANSWER_NUMBER, )},
        {"countdown", VERIFIER(countdown)},
        {"course_schedule", SAME(ANSWER_TEXT, )},
        {"cryptarithm", SAME(ANSWER_SET, )},
        {"decimal_arithmetic", SAME(ANSWER_NUMBER, .absolute = 1e-3)},
        {"decimal_chain_sum", SAME(ANSWER_NUMBER, )},
        {"family_relationships", SAME(ANSWER_TEXT, .ignore_case = 1)},
        {"fraction_simplification", RULE(arrange_fraction)},
        {"futoshiki", SAME(ANSWER_DENSE, )},
        {"gcd", SAME(ANSWER_NUMBER, )},
        {"graph_color", RULE(arrange_colours)},
        {"jugs", RULE(plan_jugs)},
        {"knights_knaves", VERIFIER(knights)},
        {"largest_island", SAME(ANSWER_NUMBER, )},
        {"lcm", SAME(ANSWER_NUMBER, )},
        {"leg_counting", SAME(ANSWER_NUMBER, )},
        {"letter_counting", SAME(ANSWER_NUMBER, )},
        {"list_functions", SAME(ANSWER_TEXT, )},
        {"maze", SAME(ANSWER_NUMBER, )},
        {"mini_sudoku", VERIFIER(sudoku)},
        {"n_queens", RULE(arrange_queens)},
        {"number_filtering", SAME(ANSWER_TEXT, )},
        {"number_sequence", SAME(ANSWER_NUMBER, )},
        {"number_sorting", SAME(ANSWER_LIST, )},
        {"palindrome_generation", RULE(arrange_palindrome)},
        {"polynomial_equations", SAME(ANSWER_SET, )},
        {"power_function", SAME(ANSWER_NUMBER, .relative = 0.005)},
        {"prime_factorization", SAME(ANSWER_DENSE, )},
        {"products", SAME(ANSWER_NUMBER, )},
        {"puzzle24", VERIFIER(countdown), .options.target = 24},
        {"quantum_lock", RULE(plan_lock)},
        {"rectangle_count", SAME(ANSWER_TEXT, )},
        {"rotate_matrix", VERIFIER(arc)},
        {"self_reference", SAME(ANSWER_TEXT, )},
        {"shortest_path", RULE(plan_path)},
        {"simple_equations", SAME(ANSWER_NUMBER, )},
        {"spell_backward", SAME(ANSWER_TEXT, .ignore_case = 1)},
        {"spiral_matrix", VERIFIER(arc)},
        {"string_manipulation", SAME(ANSWER_TEXT, )},
        {"sudoku", VERIFIER(sudoku)},
        {"syllogism", SAME(ANSWER_TEXT, )},
        {"time_intervals", SAME(ANSWER_TEXT, )},
        {"tower_of_hanoi", RULE(plan_hanoi)},
        {"word_ladder", SAME(ANSWER_LIST, .ignore_case = 1)},
        {"word_sorting", SAME(ANSWER_LIST, )},
        {"zebra_puzzles", .score = verify_zebra, .check = verify_has_answer},
};

static const struct task *verify_procedural_find(const json_t *row, const char **name)
{
	static const char *const columns[] = {"task", "source_dataset", "data_source"};

	*name = NULL;
	for (size_t i = 0; i < sizeof columns / sizeof columns[0] && !*name; i++)
		*name = json_string_value(verify_column(row, columns[i]));
	for (size_t i = 0; *name && i < sizeof tasks / sizeof tasks[0]; i++)
		if (!strcmp(tasks[i].name, *name))
			return &tasks[i];
	return NULL;
}

static int verify_procedural_read_row(const struct problem *p, json_t **row)
{
	*row = NULL;
	return p->row ? json_parse("row", p->row, strlen(p->row), row) : OK;
}

static struct reward_spec spec_of(const struct task *t)
{
	return (struct reward_spec){.options = t->options};
}

/* The row must name a known task and pass the check of its rule. */
VERIFY_CHECK(verify_procedural_check)
{
	const struct task *t;
	struct reward_spec inner;
	const char        *name;
	json_t            *row;
	int                status;

	(void)spec;
	TRY(verify_procedural_read_row(p, &row));
	t = verify_procedural_find(row, &name);
	if (!name)
		status = error_set(ERR_INPUT,
		                   "the row needs a column \"task\" with the name of its task");
	else if (!t)
		status = error_set(
		        ERR_INPUT,
		        "no task \"%s\" is known; src/verify/verify_procedural.c has the list",
		        name);
	else if (!t->check)
		status = OK;
	else if ((inner = spec_of(t), status = t->check(&inner, p)) != OK)
		error_context("task %s", name);
	json_decref(row);
	return status;
}

/* A task has a rule for its result, or another verifier with options of its own. */
VERIFY_SCORE(verify_procedural)
{
	const struct task *t;
	struct reward_spec inner;
	struct span        result;
	const char        *name;
	json_t            *row;
	int                status = OK;

	(void)spec;
	*out = (struct score){0};
	TRY(verify_procedural_read_row(p, &row));
	t = verify_procedural_find(row, &name);
	if (t && t->rule) {
		span_result(verify_text(c), &result);
		result = span_trim(result);
		out->parsed = result.n > 0;
		verify_mark(out, t->rule(row, result), 0);
	} else if (t) {
		inner = spec_of(t);
		status = t->score(&inner, p, c, out);
	}
	json_decref(row);
	return status;
}
