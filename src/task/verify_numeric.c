#include "base/error.h"
#include "task/decimal.h"
#include "task/verify.h"

#include <ctype.h>

struct quotient {
	struct decimal over, under;
};

/* "-" or the minus sign U+2212 right before text[i], with a "$" allowed between, and nothing before it from which it could subtract. */
static int is_negative(struct span text, size_t i)
{
	if (i && text.s[i - 1] == '$')
		i--;
	if (i && text.s[i - 1] == '-')
		i--;
	else if (i >= 3 && span_starts(span_from(text, i - 3), "\xE2\x88\x92"))
		i -= 3;
	else
		return 0;
	return i == 0 || (!isalnum((unsigned char)text.s[i - 1]) && text.s[i - 1] != ')');
}

/* "3", "0.5", "3/4": bytes read, 0 for none. A fraction over zero is no number. */
static size_t read_quotient(struct span a, struct quotient *q)
{
	const struct decimal one = {.n = 1, .digit = {1}};
	size_t               n = decimal_read(a, &q->over), m;

	q->under = one;
	if (n == 0 || n >= a.n || a.s[n] != '/')
		return n;
	m = decimal_read(span_from(a, n + 1), &q->under);
	if (m == 0 || q->under.n == 0) {
		q->under = one;
		return n;
	}
	return n + 1 + m;
}

/* "\frac{3}{4}" or \dfrac, \tfrac. */
static size_t read_latex(struct span a, struct quotient *q)
{
	size_t at, n;

	if (a.n < 6 || a.s[0] != '\\')
		return 0;
	at = a.s[1] == 'd' || a.s[1] == 't' ? 2 : 1;
	if (!span_starts(span_from(a, at), "frac{"))
		return 0;
	at += 5;
	n = decimal_read(span_from(a, at), &q->over);
	if (n == 0 || !span_starts(span_from(a, at + n), "}{"))
		return 0;
	at += n + 2;
	n = decimal_read(span_from(a, at), &q->under);
	at += n;
	return n && q->under.n && at < a.n && a.s[at] == '}' ? at + 1 : 0;
}

static size_t read_number(struct span text, size_t i, struct quotient *q)
{
	size_t n = text.s[i] == '\\' ? read_latex(span_from(text, i), q) : read_quotient(span_from(text, i), q);

	if (n && q->over.n)
		q->over.negative = is_negative(text, i);
	return n;
}

static int last_number(struct span text, struct quotient *out)
{
	struct quotient q;
	int             found = 0;

	for (size_t i = 0; i < text.n;) {
		int    may = text.s[i] == '\\' || text.s[i] == '.' || isdigit((unsigned char)text.s[i]);
		size_t n = may ? read_number(text, i, &q) : 0;
		if (n) {
			*out = q;
			found = 1;
		}
		i += n ? n : 1;
	}
	return found;
}

static int read_answer(struct span text, struct quotient *out)
{
	struct span answer;

	if (span_answer(text, &answer) == ANSWER_OPEN)
		answer = span_line(answer);
	return last_number(answer, out);
}

/* a/b = c/d where ad = cb. */
static int equal(const struct quotient *x, const struct quotient *y)
{
	struct decimal left, right;

	decimal_multiply(&x->over, &y->under, &left);
	decimal_multiply(&y->over, &x->under, &right);
	return decimal_equal(&left, &right);
}

VERIFY_CHECK(verify_numeric_check)
{
	struct quotient gold;

	TRY(verify_has_answer(spec, p));
	return read_answer(span_of(p->answer), &gold) ? OK : error_set(ERR_INPUT, "the answer \"%.60s\" has no number in it", p->answer);
}

VERIFY_SCORE(verify_numeric)
{
	struct quotient gold, got;

	(void)spec;
	out->parsed = read_answer(verify_text(c), &got);
	verify_mark(out, out->parsed && read_answer(span_of(p->answer), &gold) && equal(&got, &gold), 0);
	return OK;
}
