#include "base/error.h"
#include "world/generate.h"

#include <stdio.h>
#include <string.h>

/* By construction: two of the numbers are taken and put together until one is left, which becomes
 * the target. Every result on the way is a whole number from 1 to RESULT_MAX. */

enum {
	NUMBERS_MAX = 6,
	NUMBER_MAX = 20,
	RESULT_MAX = 999,
	EXPRESSION_MAX = 64,
	STEP_MAX = 40,
	TRIES = 32
};

/* what an expression is at its top: how strongly it holds together */
enum binding { SUM, PRODUCT, ATOM };

struct generate_countdown_item {
	int          value;
	enum binding binding;
	char         text[EXPRESSION_MAX];
};

struct path { /* one way from the numbers to a result */
	struct generate_countdown_item result;
	int                            n_steps;
	char                           step[NUMBERS_MAX - 1][STEP_MAX]; /* "12-7=5" */
};

/* a OP b, or 0 when that is not allowed. */
static int combine(char op, int a, int b)
{
	switch (op) {
	case '+':
		return a + b <= RESULT_MAX ? a + b : 0;
	case '-':
		return a > b ? a - b : 0;
	case '*':
		return a * b <= RESULT_MAX ? a * b : 0;
	default:
		return a % b == 0 ? a / b : 0;
	}
}

static int needs_parentheses(const struct generate_countdown_item *x, char op, int on_the_right)
{
	if (op == '+')
		return 0;
	if (op == '-')
		return on_the_right && x->binding == SUM;
	return x->binding == SUM || (op == '/' && on_the_right && x->binding == PRODUCT);
}

/* *a becomes "a OP b". */
static void generate_countdown_join(struct generate_countdown_item *a, char op,
                                    const struct generate_countdown_item *b, int value)
{
	int  left = needs_parentheses(a, op, 0), right = needs_parentheses(b, op, 1);
	char text[2 * EXPRESSION_MAX + 8] = "";

	snprintf(text, sizeof text, "%s%s%s%c%s%s%s", left ? "(" : "", a->text, left ? ")" : "", op,
	         right ? "(" : "", b->text, right ? ")" : "");
	/* 6 numbers of 2 digits, 5 operators, 8 parentheses at most */
	memcpy(a->text, text, EXPRESSION_MAX - 1);
	a->value = value;
	a->binding = op == '+' || op == '-' ? SUM : PRODUCT;
}

/* One allowed step between two random items; there is always one. */
static void take_step(struct rng_stream *s, struct generate_countdown_item *item, int n,
                      struct path *path)
{
	for (;;) {
		int i = (int)rng_next_below(s, (uint32_t)n),
		    j = (int)rng_next_below(s, (uint32_t)n);
		char op = "+-*/"[rng_next_below(s, 4)];
		int  value = i == j ? 0 : combine(op, item[i].value, item[j].value);

		if (value == 0)
			continue;
		snprintf(path->step[path->n_steps++], STEP_MAX, "%d%c%d=%d", item[i].value, op,
		         item[j].value, value);
		generate_countdown_join(&item[i], op, &item[j], value);
		item[j] = item[n - 1];
		return;
	}
}

static void find_path(struct rng_stream *s, const int number[NUMBERS_MAX], int n, struct path *path)
{
	struct generate_countdown_item item[NUMBERS_MAX];

	for (int i = 0; i < n; i++) {
		item[i] = (struct generate_countdown_item){.value = number[i], .binding = ATOM};
		snprintf(item[i].text, sizeof item[i].text, "%d", number[i]);
	}
	path->n_steps = 0;
	for (int left = n; left > 1; left--)
		take_step(s, item, left, path);
	path->result = item[0];
}

/* Another path over the same numbers, to another result if one is found soon. */
static void find_wrong_path(struct rng_stream *s, const int number[NUMBERS_MAX], int n,
                            struct path *path)
{
	int target = path->result.value;

	for (int i = 0; i < TRIES; i++) {
		find_path(s, number, n, path);
		if (path->result.value != target)
			return;
	}
}

static void generate_countdown_add_numbers(struct text *t, const int number[NUMBERS_MAX], int n)
{
	for (int i = 0; i < n; i++)
		text_print(t, "%s%d", i ? "," : "", number[i]);
}

static void generate_countdown_add_path(struct text *t, const struct path *path)
{
	for (int i = 0; i < path->n_steps; i++)
		text_print(t, "%s%s", i ? "," : "", path->step[i]);
	text_print(t, "#%s", path->result.text);
}

/* The numbers, which have no order, and the target. */
static int generate_countdown_content_of(const int number[NUMBERS_MAX], int n, int target,
                                         uint64_t *content)
{
	struct text t = {0};
	int         sorted[NUMBERS_MAX];

	for (int i = 0; i < n; i++) {
		int k = i;
		for (; k > 0 && sorted[k - 1] > number[i]; k--)
			sorted[k] = sorted[k - 1];
		sorted[k] = number[i];
	}
	generate_countdown_add_numbers(&t, sorted, n);
	text_print(&t, ">%d", target);
	return generate_content("countdown", &t, content);
}

GENERATE(generate_countdown)
{
	struct rng_stream puzzle = generate_puzzle_stream(q), errors = generate_error_stream(q);
	struct text       prompt = {0}, row = {0}, worked = {0};
	struct path       path;
	int               number[NUMBERS_MAX] = {0}, n = q->level, status;

	for (int i = 0; i < n; i++)
		number[i] = (int)rng_next_between(&puzzle, 1, NUMBER_MAX);
	find_path(&puzzle, number, n, &path);
	TRY(generate_countdown_content_of(number, n, path.result.value, content));
	generate_countdown_add_numbers(&prompt, number, n);
	text_print(&prompt, ">%d:", path.result.value);
	text_print(&row, "{\"numbers\": [");
	generate_countdown_add_numbers(&row, number, n);
	text_print(&row, "], \"target\": %d}", path.result.value);
	status = arena_copy(a, path.result.text, strlen(path.result.text), &out->answer);
	if (status == OK)
		status = arena_copy(a, path.step[0], strlen(path.step[0]), &out->hint);

	if (generate_errs(&errors, q->error_rate))
		find_wrong_path(&errors, number, n, &path);
	generate_countdown_add_path(&worked, &path);

	status = generate_take(status, a, &prompt, &out->prompt);
	status = generate_take(status, a, &row, &out->row);
	status = generate_worked(status, a, &worked, out);
	return status;
}
