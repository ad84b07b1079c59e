#include "base/error.h"
#include "base/json.h"
#include "data/dataset.h"
#include "verify/number.h"
#include "verify/verify.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS_MAX = 64, NUMBER_MAX = 1000000000, EXPRESSION_MAX = 4096, DEPTH_MAX = 64 };

/* ---- the game: numbers and target from the row ---- */

struct numbers {
	int64_t number[NUMBERS_MAX];
	int     n;
};

struct game {
	struct numbers given;
	int64_t        target;
};

/* Reads the next whole number of *s and moves behind it; 0 at the end, or when it is too large. */
static int next_number(const char **s, int64_t *out)
{
	int64_t x = 0;

	while (**s && !isdigit((unsigned char)**s))
		(*s)++;
	if (!**s)
		return 0;
	for (; isdigit((unsigned char)**s); (*s)++)
		if ((x = 10 * x + (**s - '0')) > NUMBER_MAX)
			return 0;
	*out = x;
	return 1;
}

static int verify_countdown_push(struct numbers *list, int64_t x)
{
	if (list->n == NUMBERS_MAX || x < 0 || x > NUMBER_MAX)
		return 0;
	list->number[list->n++] = x;
	return 1;
}

/* A list of integers, or a text with integers in it. */
static int read_numbers(const json_t *v, struct numbers *out)
{
	const char *s = json_string_value(v);
	int64_t     x;

	out->n = 0;
	if (s)
		while (next_number(&s, &x))
			if (!verify_countdown_push(out, x))
				return 0;
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *item = json_array_get(v, i);
		if (!json_is_integer(item) || !verify_countdown_push(out, json_integer_value(item)))
			return 0;
	}
	return out->n > 0;
}

static int read_target(const json_t *v, int64_t fallback, int64_t *out)
{
	const char *s = json_string_value(v);

	*out = fallback;
	if (!v)
		return fallback > 0;
	if (!json_is_integer(v))
		return s && next_number(&s, out) && *s == 0;
	*out = json_integer_value(v);
	return *out >= -NUMBER_MAX && *out <= NUMBER_MAX;
}

static int read_game_at(const json_t *object, int64_t target, struct game *g)
{
	const json_t *numbers = json_object_get(object, "numbers");

	if (!numbers)
		numbers = json_object_get(object, "nums");
	return read_numbers(numbers, &g->given) &&
	       read_target(json_object_get(object, "target"), target, &g->target);
}

static int read_game(const struct problem *p, int64_t target, struct game *g)
{
	static const char *const inner[] = {"ground_truth", "metadata", "extra_info",
	                                    "reward_model.ground_truth"};
	json_t                  *row = NULL;
	int                      found;

	if (!p->row || json_parse("row", p->row, strlen(p->row), &row) != OK)
		return 0;
	found = read_game_at(row, target, g);
	for (size_t i = 0; i < sizeof inner / sizeof inner[0] && !found; i++)
		found = read_game_at(dataset_column(row, inner[i]), target, g);
	json_decref(row);
	return found;
}

VERIFY_CHECK(verify_countdown_check)
{
	struct game g;

	if (read_game(p, spec->options.target, &g))
		return OK;
	return error_set(ERR_INPUT,
	                 "the row needs \"numbers\" (a list of 1 to %d integers, 0 to %d) and an "
	                 "integer \"target\"",
	                 NUMBERS_MAX, NUMBER_MAX);
}

/* ---- the expression ----
 *
 *     sum     = ["-"] product { ("+" | "-") product }
 *     product = factor { ("*" | "/") factor }
 *     factor  = digits | "(" sum ")"
 */

struct verify_countdown_parser {
	struct span    rest;
	struct numbers used;
	int            depth;
};

/* The spellings of each operator. */
static const struct {
	const char *text;
	char        op;
} spellings[] = {{"+", '+'},        {"-", '-'},           {"*", '*'},       {"/", '/'},
                 {"\xC3\x97", '*'}, {"\xC3\xB7", '/'},    {"\\times", '*'}, {"\\cdot", '*'},
                 {"\\div", '/'},    {"\xE2\x88\x92", '-'}};

/* Takes the next operator off the rest if it is one of `wanted`; else returns 0. */
static char take_operator(struct verify_countdown_parser *p, const char *wanted)
{
	p->rest = span_trim(p->rest);
	for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++)
		if (strchr(wanted, spellings[i].op) && span_starts(p->rest, spellings[i].text)) {
			p->rest = span_from(p->rest, strlen(spellings[i].text));
			return spellings[i].op;
		}
	return 0;
}

static int verify_countdown_take(struct verify_countdown_parser *p, char c)
{
	p->rest = span_trim(p->rest);
	if (p->rest.n == 0 || p->rest.s[0] != c)
		return 0;
	p->rest = span_from(p->rest, 1);
	return 1;
}

static int verify_countdown_parse_sum(struct verify_countdown_parser *p, struct number *out);

static int verify_countdown_parse_number(struct verify_countdown_parser *p, struct number *out)
{
	int64_t x = 0;

	p->rest = span_trim(p->rest);
	if (p->rest.n == 0 || !isdigit((unsigned char)p->rest.s[0]))
		return 0;
	for (; p->rest.n && isdigit((unsigned char)p->rest.s[0]); p->rest = span_from(p->rest, 1))
		if ((x = 10 * x + (p->rest.s[0] - '0')) > NUMBER_MAX)
			return 0;
	number_set(out, x, 1);
	return verify_countdown_push(&p->used, x);
}

static int verify_countdown_parse_factor(struct verify_countdown_parser *p, struct number *out)
{
	if (!verify_countdown_take(p, '('))
		return verify_countdown_parse_number(p, out);
	if (p->depth == DEPTH_MAX)
		return 0;
	p->depth++;
	if (!verify_countdown_parse_sum(p, out))
		return 0;
	p->depth--;
	return verify_countdown_take(p, ')');
}

static int verify_countdown_parse_product(struct verify_countdown_parser *p, struct number *out)
{
	struct number right;
	int           ok = verify_countdown_parse_factor(p, out);
	char          op;

	number_init(&right);
	while (ok && (op = take_operator(p, "*/"))) {
		ok = verify_countdown_parse_factor(p, &right);
		number_apply(op, out, &right, out);
	}
	number_clear(&right);
	return ok;
}

static int verify_countdown_parse_sum(struct verify_countdown_parser *p, struct number *out)
{
	struct number right;
	int  negative = take_operator(p, "-") != 0, ok = verify_countdown_parse_product(p, out);
	char op;

	number_init(&right);
	number_set(&right, negative ? -1 : 1, 1);
	number_apply('*', out, &right, out);
	while (ok && (op = take_operator(p, "+-"))) {
		ok = verify_countdown_parse_product(p, &right);
		number_apply(op, out, &right, out);
	}
	number_clear(&right);
	return ok;
}

/* ---- the verdict ---- */

/* Splits "EXPRESSION = VALUE"; 0 when VALUE is not the target. */
static int split_equation(struct span *expression, int64_t target)
{
	const char *sign = expression->n ? memchr(expression->s, '=', expression->n) : NULL;
	char        value[24];
	struct span right;

	if (!sign)
		return 1;
	right = span_trim(span_from(*expression, (size_t)(sign - expression->s) + 1));
	expression->n = (size_t)(sign - expression->s);
	snprintf(value, sizeof value, "%lld", (long long)target);
	return span_equal(right, span_of(value));
}

static int compare_numbers(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int same_numbers(struct numbers *a, struct numbers *b)
{
	qsort(a->number, (size_t)a->n, sizeof a->number[0], compare_numbers);
	qsort(b->number, (size_t)b->n, sizeof b->number[0], compare_numbers);
	return a->n == b->n &&
	       memcmp(a->number, b->number, (size_t)a->n * sizeof a->number[0]) == 0;
}

/* Evaluates the rest of p, an expression that "= VALUE" may follow. *right: it equals the target.
 * Returns 0 when it is not an expression. */
static int verify_countdown_judge(struct verify_countdown_parser *p, int64_t target, int *right)
{
	struct number value, wanted;
	int           equation = split_equation(&p->rest, target), ok;

	number_init(&value);
	number_init(&wanted);
	number_set(&wanted, target, 1);
	ok = verify_countdown_parse_sum(p, &value) && span_trim(p->rest).n == 0;
	*right = ok && equation && number_equal(&value, &wanted);
	number_clear(&wanted);
	number_clear(&value);
	return ok;
}

/* The numbers must be those given, each once; then the value decides. */
VERIFY_SCORE(verify_countdown)
{
	struct game                    g;
	struct verify_countdown_parser parser = {0};
	int                            right;

	*out = (struct score){0};
	if (!read_game(p, spec->options.target, &g))
		return OK;
	if (span_result(verify_text(c), &parser.rest) == SPAN_OPEN)
		parser.rest = span_line(parser.rest);
	parser.rest = span_undress(parser.rest);
	if (parser.rest.n > EXPRESSION_MAX || !verify_countdown_judge(&parser, g.target, &right))
		return OK;
	out->parsed = 1;
	if (same_numbers(&parser.used, &g.given))
		verify_mark(out, right, spec->options.format_score);
	return OK;
}
