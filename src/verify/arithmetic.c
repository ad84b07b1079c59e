#include "verify/arithmetic.h"

#include "verify/arithmetic_token.h"

#include <ctype.h>
#include <string.h>

enum { ARITHMETIC_BYTES = 4096, ARITHMETIC_DEPTH = 64 };

/* ---- the formula around the number ---- */

struct arithmetic_run { /* tokens first .. end-1 of the line */
	const struct arithmetic_token *token;
	int                            first, end;
};

static int arithmetic_joins(enum arithmetic_kind kind)
{
	return kind >= ARITHMETIC_NUMBER && kind <= ARITHMETIC_UNKNOWN;
}

/* Drops brackets whose partner is outside the run: "(10 - 7 apples)". */
static void arithmetic_strip(struct arithmetic_run *r)
{
	int depth = 0, lowest = 0;

	for (int i = r->first; i < r->end; i++) {
		depth += (r->token[i].kind == ARITHMETIC_OPEN) -
		         (r->token[i].kind == ARITHMETIC_CLOSE);
		lowest = depth < lowest ? depth : lowest;
	}
	for (int extra = depth - lowest; extra > 0 && r->token[r->first].kind == ARITHMETIC_OPEN;
	     extra--, depth--)
		r->first++;
	for (int extra = depth - lowest;
	     extra > 0 && r->end > r->first && r->token[r->end - 1].kind == ARITHMETIC_OPEN;
	     extra--)
		r->end--;
	for (; lowest < 0 && r->end > r->first && r->token[r->end - 1].kind == ARITHMETIC_CLOSE;
	     lowest++)
		r->end--;
	while (r->end > r->first && r->token[r->end - 1].kind == ARITHMETIC_OPERATOR &&
	       r->token[r->end - 1].is_word)
		r->end--; /* "7 times" */
}

static int arithmetic_is_value(const struct arithmetic_token *t)
{
	return t->kind == ARITHMETIC_NUMBER || t->kind == ARITHMETIC_CLOSE ||
	       t->kind == ARITHMETIC_SCALE || t->kind == ARITHMETIC_UNKNOWN;
}

static int arithmetic_is_one_of(struct span text, const struct arithmetic_token *t,
                                const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (t->is_word &&
		    span_equal_nocase((struct span){text.s + t->from, t->n}, span_of(words[i])))
			return 1;
	return 0;
}

/* "half of 7" and the like. */
static int arithmetic_is_part_of(struct span text, const struct arithmetic_token *t)
{
	static const char *const parts[] = {"half",    "third",      "quarter",   "double",
	                                    "twice",   "triple",     "thrice",    "root",
	                                    "square",  "cube",       "factorial", "opposite",
	                                    "inverse", "reciprocal", "logarithm"};

	return arithmetic_is_one_of(text, t, parts, sizeof parts / sizeof *parts);
}

/* Do the words before the run say that its value is not the result? */
static int arithmetic_denied_before(struct span text, const struct arithmetic_run *r)
{
	static const char *const       fillers[] = {"be",  "equal", "equals", "to",
	                                            "the", "a",     "an",     "exactly"};
	const struct arithmetic_token *t = r->token + r->first - 1;
	int                            n = r->first;

	if (n == 0)
		return 0;
	if (t->kind == ARITHMETIC_BOUND || t->kind == ARITHMETIC_OR ||
	    (t->kind == ARITHMETIC_LIST && n > 1 && arithmetic_is_value(t - 1)))
		return 1;
	if (n > 1 && span_equal_nocase((struct span){text.s + t->from, t->n}, span_of("of")) &&
	    arithmetic_is_part_of(text, t - 1))
		return 1;
	/* "cannot be", "not equal to" */
	while (n > 1 && arithmetic_is_one_of(text, t, fillers, sizeof fillers / sizeof *fillers))
		t--, n--;
	return t->kind == ARITHMETIC_NOT;
}

static int arithmetic_denied_behind(const struct arithmetic_line *line,
                                    const struct arithmetic_run  *r)
{
	const struct arithmetic_token *t = r->token + r->end;
	int                            n = line->n - r->end;

	if (n > 0 && (t->kind == ARITHMETIC_BOUND || t->kind == ARITHMETIC_OR))
		return !t->is_word || t->kind == ARITHMETIC_OR;
	if (n > 1 && t->kind == ARITHMETIC_LIST) /* "7 and a half" */
		return t[1].kind == ARITHMETIC_UNKNOWN ||
		       (n > 2 && t[1].is_word && t[2].kind == ARITHMETIC_UNKNOWN);
	return 0;
}

/* ---- its value ----
 *
 *     sum     = product { ("+" | "-") product }
 *     product = signed { ("*" | "/") signed }
 *     signed  = { "-" | "+" } power
 *     power   = scaled [ "^" signed ]
 *     scaled  = primary { "million" | "%" | ... }
 *     primary = NUMBER | NUMBER fraction | "\frac" primary primary | "(" sum ")" */

struct arithmetic_reader {
	struct span           text;
	struct arithmetic_run rest;
	int                   depth;
};

static const struct arithmetic_token *arithmetic_peek(const struct arithmetic_reader *p, int ahead)
{
	return p->rest.first + ahead < p->rest.end ? p->rest.token + p->rest.first + ahead : NULL;
}

static int arithmetic_next_is(const struct arithmetic_reader *p, int ahead,
                              enum arithmetic_kind kind, const char *ops)
{
	const struct arithmetic_token *t = arithmetic_peek(p, ahead);

	return t && t->kind == kind && (!ops || strchr(ops, t->op));
}

static int arithmetic_sum(struct arithmetic_reader *p, struct number *out);
static int arithmetic_primary(struct arithmetic_reader *p, struct number *out);

static int arithmetic_digits(struct arithmetic_reader *p, struct number *out)
{
	const struct arithmetic_token *t = arithmetic_peek(p, 0);

	if (!arithmetic_next_is(p, 0, ARITHMETIC_NUMBER, NULL))
		return 0;
	p->rest.first++;
	return number_read((struct span){p->text.s + t->from, t->n}, out) == t->n;
}

static int arithmetic_frac(struct arithmetic_reader *p, struct number *out)
{
	struct number under;
	int           ok;

	p->rest.first++;
	number_init(&under);
	ok = arithmetic_primary(p, out) && arithmetic_primary(p, &under);
	number_apply('/', out, &under, out);
	number_clear(&under);
	return ok;
}

/* Reads the fraction of a mixed number (7 1/2, 7\frac12) and adds it to *out. */
static int arithmetic_mixed(struct arithmetic_reader *p, struct number *out)
{
	struct number part, under;
	int           ok = 1;

	if (!arithmetic_next_is(p, 0, ARITHMETIC_FRAC, NULL) &&
	    !(arithmetic_next_is(p, 0, ARITHMETIC_NUMBER, NULL) &&
	      arithmetic_next_is(p, 1, ARITHMETIC_OPERATOR, "/")))
		return 1;
	number_init(&part);
	number_init(&under);
	if (arithmetic_next_is(p, 0, ARITHMETIC_FRAC, NULL)) {
		ok = arithmetic_frac(p, &part);
	} else {
		ok = arithmetic_digits(p, &part);
		p->rest.first++;
		ok = ok && arithmetic_digits(p, &under);
		number_apply('/', &part, &under, &part);
	}
	ok = ok && number_is_whole(out) && !number_is_whole(&part);
	number_apply('+', out, &part, out);
	number_clear(&under);
	number_clear(&part);
	return ok;
}

/* Reads a \frac, a sum in brackets, or digits. The depth is bounded, because the text is
 * untrusted. */
static int arithmetic_primary(struct arithmetic_reader *p, struct number *out)
{
	int ok;

	if (p->depth == ARITHMETIC_DEPTH)
		return 0;
	p->depth++;
	if (arithmetic_next_is(p, 0, ARITHMETIC_FRAC, NULL)) {
		ok = arithmetic_frac(p, out);
	} else if (arithmetic_next_is(p, 0, ARITHMETIC_OPEN, NULL)) {
		p->rest.first++;
		ok = arithmetic_sum(p, out) && arithmetic_next_is(p, 0, ARITHMETIC_CLOSE, NULL);
		p->rest.first++;
	} else {
		ok = arithmetic_digits(p, out);
	}
	p->depth--;
	return ok;
}

static int arithmetic_scaled(struct arithmetic_reader *p, struct number *out)
{
	struct number factor;
	int           mixes = arithmetic_next_is(p, 0, ARITHMETIC_NUMBER, NULL);

	if (!arithmetic_primary(p, out) || (mixes && !arithmetic_mixed(p, out)))
		return 0;
	number_init(&factor);
	for (; arithmetic_next_is(p, 0, ARITHMETIC_SCALE, NULL); p->rest.first++) {
		const struct arithmetic_scale *s =
		        &arithmetic_scales[(int)arithmetic_peek(p, 0)->op];
		number_set(&factor, s->over, s->under);
		number_apply('*', out, &factor, out);
	}
	number_clear(&factor);
	return 1;
}

/* A power binds more tightly than the sign before it, so -2^2 is -(2^2); the exponent of 2^-1 has
 * its own sign. */
static int arithmetic_signed(struct arithmetic_reader *p, struct number *out)
{
	struct number other;
	int           ok, negative = 0;

	while (arithmetic_next_is(p, 0, ARITHMETIC_OPERATOR, "+-")) {
		negative ^= arithmetic_peek(p, 0)->op == '-';
		if (arithmetic_peek(p, 0)->op == '+' && arithmetic_peek(p, 0)->is_word)
			return 0;
		p->rest.first++;
	}
	if (p->depth == ARITHMETIC_DEPTH || !arithmetic_scaled(p, out))
		return 0;
	number_init(&other);
	ok = 1;
	if (arithmetic_next_is(p, 0, ARITHMETIC_OPERATOR, "^")) {
		p->rest.first++;
		p->depth++;
		ok = arithmetic_signed(p, &other);
		p->depth--;
		number_apply('^', out, &other, out);
	}
	number_set(&other, negative ? -1 : 1, 1);
	number_apply('*', out, &other, out);
	number_clear(&other);
	return ok;
}

static int arithmetic_product(struct arithmetic_reader *p, struct number *out)
{
	struct number right;
	int           ok = arithmetic_signed(p, out);

	number_init(&right);
	while (ok && arithmetic_next_is(p, 0, ARITHMETIC_OPERATOR, "*/")) {
		char op = arithmetic_peek(p, 0)->op;
		p->rest.first++;
		/* 1/2% */
		ok = arithmetic_signed(p, &right) &&
		     (op == '*' || p->rest.token[p->rest.first - 1].kind != ARITHMETIC_SCALE);
		number_apply(op, out, &right, out);
	}
	number_clear(&right);
	return ok;
}

static int arithmetic_sum(struct arithmetic_reader *p, struct number *out)
{
	struct number right;
	int           ok = arithmetic_product(p, out);

	number_init(&right);
	while (ok && arithmetic_next_is(p, 0, ARITHMETIC_OPERATOR, "+-")) {
		char op = arithmetic_peek(p, 0)->op;
		p->rest.first++;
		ok = arithmetic_product(p, &right);
		number_apply(op, out, &right, out);
	}
	number_clear(&right);
	return ok;
}

/* ---- the line ---- */

/* Reads the last number of the line within text[from .. to). Returns 1 when there is one; *out is
 * its value, or undefined if it has none. `cut`: the line began earlier. */
static int arithmetic_read_line(struct span text, const struct arithmetic_line *line, size_t from,
                                size_t to, int cut, struct number *out)
{
	struct arithmetic_reader p = {.text = text};
	struct arithmetic_run    r = {.token = line->token};
	int                      i = line->n - 1;

	while (i >= 0 && (line->token[i].kind != ARITHMETIC_NUMBER || line->token[i].from < from ||
	                  line->token[i].from >= to))
		i--;
	if (i < 0)
		return 0;
	for (r.first = i; r.first > 0 && arithmetic_joins(line->token[r.first - 1].kind);)
		r.first--;
	for (r.end = i + 1; r.end < line->n && arithmetic_joins(line->token[r.end].kind);)
		r.end++;
	arithmetic_strip(&r);
	p.rest = r;
	if ((cut && r.first == 0) || arithmetic_denied_before(text, &r) ||
	    arithmetic_denied_behind(line, &r) || !arithmetic_sum(&p, out) ||
	    p.rest.first != p.rest.end)
		number_set(out, 0, 0);
	return 1;
}

struct arithmetic_span { /* the place of the result in the text */
	size_t         from, to;
	enum span_mark kind;
	int            boxed;
};

/* The start and the end of the line that holds text[i], within [from, to]. */
static size_t arithmetic_line_start(struct span text, size_t i, size_t from)
{
	while (i > from && text.s[i - 1] != '\n')
		i--;
	return i;
}

static size_t arithmetic_line_end(struct span text, size_t i, size_t to)
{
	while (i < to && text.s[i] != '\n')
		i++;
	return i;
}

static int arithmetic_has_digit(struct span text, size_t from, size_t to)
{
	while (from < to && !isdigit((unsigned char)text.s[from]))
		from++;
	return from < to;
}

/* A box does not bound its number: the rest of the line counts, as in -\boxed{7} or \boxed{7}
 * million. */
static int arithmetic_is_boxed(struct span text, size_t from)
{
	return from >= 7 && !memcmp(text.s + from - 7, "\\boxed{", 7);
}

/* Tries the line text[start .. end) of the result, with what is beside it on the line if it is
 * boxed. */
static int arithmetic_try_line(struct span text, struct arithmetic_span result, size_t start,
                               size_t end, struct number *out)
{
	struct arithmetic_line line;
	size_t                 first = start, last = end, begin;

	if (!arithmetic_has_digit(text, start, end))
		return 0;
	if (result.boxed && start == result.from)
		first = arithmetic_line_start(text, start, 0);
	if (result.boxed && end == result.to)
		last = arithmetic_line_end(text, end,
		                           end + ARITHMETIC_BYTES < text.n ? end + ARITHMETIC_BYTES
		                                                           : text.n);
	begin = end - first > ARITHMETIC_BYTES ? end - ARITHMETIC_BYTES : first;
	arithmetic_cut(text, begin, last, result.kind != SPAN_UNMARKED, &line);
	return arithmetic_read_line(text, &line, start, end, begin > first, out);
}

/* Tries the lines of the result from the last one upwards. */
int arithmetic_last(struct span text, struct number *out)
{
	struct arithmetic_span a;
	struct span            result;

	a.kind = span_result(text, &result);
	a.boxed = a.kind == SPAN_CLOSED && arithmetic_is_boxed(text, (size_t)(result.s - text.s));
	if (a.kind == SPAN_OPEN)
		result = span_line(result);
	a.from = (size_t)(result.s - text.s);
	a.to = a.from + result.n;
	for (size_t end = a.to, start;; end = start - 1) {
		start = arithmetic_line_start(text, end, a.from);
		if (arithmetic_try_line(text, a, start, end, out))
			return !out->undefined;
		if (start == a.from)
			break;
	}
	number_set(out, 0, 0);
	return 0;
}
