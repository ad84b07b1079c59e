#include "base/error.h"
#include "world/generate.h"

enum { DIGITS_MAX = 12 };

struct sum { /* digit 0 is the rightmost */
	int n;
	int left[DIGITS_MAX], right[DIGITS_MAX];
	int column[DIGITS_MAX]; /* 0 .. 19: digit + digit + carry, as worked */
};

static void generate_addition_draw(struct rng_stream *s, int n, int digit[DIGITS_MAX])
{
	for (int i = 0; i < n; i++)
		digit[i] = (int)rng_next_between(s, i == n - 1 && n > 1, 9);
}

/* Adds column by column; a column that errs holds one of the 19 other values, and its carry goes
 * on. */
static void work(struct sum *x, struct rng_stream *errors, double rate)
{
	for (int i = 0, carry = 0; i < x->n; carry = x->column[i++] / 10) {
		x->column[i] = x->left[i] + x->right[i] + carry;
		if (generate_errs(errors, rate))
			x->column[i] = (x->column[i] + (int)rng_next_between(errors, 1, 19)) % 20;
	}
}

static void generate_addition_add_number(struct text *t, const int digit[DIGITS_MAX], int n)
{
	while (n-- > 0)
		text_print(t, "%d", digit[n]);
}

static void add_result(struct text *t, const struct sum *x)
{
	if (x->column[x->n - 1] >= 10)
		text_add(t, "1", 1);
	for (int i = x->n; i-- > 0;)
		text_print(t, "%d", x->column[i] % 10);
}

static void generate_addition_add_columns(struct text *t, const struct sum *x)
{
	for (int i = 0; i < x->n; i++)
		text_print(t, "%s%d+%d+%d=%02d", i ? "," : "", x->left[i], x->right[i],
		           i ? x->column[i - 1] / 10 : 0, x->column[i]);
}

/* 1 when the right number is the smaller one. */
static int is_right_smaller(const struct sum *x)
{
	for (int i = x->n; i-- > 0;)
		if (x->left[i] != x->right[i])
			return x->right[i] < x->left[i];
	return 0;
}

/* A sum is the same in both orders. */
static int generate_addition_content_of(const struct sum *x, uint64_t *content)
{
	int         swap = is_right_smaller(x);
	struct text t = {0};

	generate_addition_add_number(&t, swap ? x->right : x->left, x->n);
	text_print(&t, "+");
	generate_addition_add_number(&t, swap ? x->left : x->right, x->n);
	return generate_content("addition", &t, content);
}

GENERATE(generate_addition)
{
	struct rng_stream puzzle = generate_puzzle_stream(q), errors = generate_error_stream(q);
	struct text       prompt = {0}, answer = {0}, hint = {0}, worked = {0};
	struct sum        x = {.n = q->level};
	int               status;

	generate_addition_draw(&puzzle, x.n, x.left);
	generate_addition_draw(&puzzle, x.n, x.right);
	work(&x, &errors, 0);
	generate_addition_add_number(&prompt, x.left, x.n);
	text_print(&prompt, "+");
	generate_addition_add_number(&prompt, x.right, x.n);
	text_print(&prompt, "=");
	add_result(&answer, &x);
	for (int i = 0; i < x.n; i++)
		text_print(&hint, "%d", x.column[i] / 10);

	errors = generate_error_stream(q);
	work(&x, &errors, q->error_rate);
	generate_addition_add_columns(&worked, &x);
	text_print(&worked, "#");
	add_result(&worked, &x);

	out->row = "{}";
	status = generate_addition_content_of(&x, content);
	status = generate_take(status, a, &prompt, &out->prompt);
	status = generate_take(status, a, &answer, &out->answer);
	status = generate_take(status, a, &hint, &out->hint);
	status = generate_worked(status, a, &worked, out);
	return status;
}
