#include "verify/formula_parts.h"

#include <ctype.h>
#include <string.h>

int formula_unit_is_word(const struct token *t)
{
	return t->kind == 'v' && !t->is_command && isalpha((unsigned char)t->s.s[0]) &&
	       (t->in_text || t->s.n >= 4);
}

static int is_per(const struct token *t)
{
	return t->kind == '/' ||
	       (formula_unit_is_word(t) && span_equal_nocase(t->s, span_of("per")));
}

/* Reads the exponent behind a unit at i: "^2", "^{-1}". Writes its end to *end; returns 0 when it
 * cannot be one. */
static int unit_power(const struct formula *f, int i, int b, int *end)
{
	int braces, minus;

	*end = i;
	if (i >= b || f->t[i].kind != '^')
		return 1;
	braces = i + 1 < b && f->t[i + 1].kind == '{';
	minus = i + 1 + braces < b && f->t[i + 1 + braces].kind == '-';
	i += 1 + braces + minus;
	if (i >= b || f->t[i].kind != 'n' || f->t[i].s.n != 1 ||
	    (braces && (i + 1 >= b || f->t[i + 1].kind != '}')))
		return 0;
	*end = i + 1 + braces;
	return (minus ? -1 : 1) * (f->t[i].s.s[0] - '0');
}

/* Percent and degrees have no powers, and do not count behind another unit. */
static int is_share_name(const char *name)
{
	return !strcmp(name, "percent") || !strcmp(name, "degree");
}

int formula_unit_is_share(const struct token *t)
{
	return t->kind == 'x' &&
	       (span_equal(t->s, span_of("percent")) || span_equal(t->s, span_of("degree")));
}

/* Reads one or more words at i as one name, because adjacent unknown words name one thing. Writes
 * their end to *end. */
static int unit_words(const struct formula *f, int i, int b, int power, struct unit *u, int *end)
{
	char   joined[UNIT_NAME];
	size_t n = 0;
	int    count = 0;

	*end = i;
	if (u->n && !is_share_name(u->factor[u->n - 1].name) && f->t[i].kind == 'x' &&
	    formula_unit_is_share(&f->t[i])) { /* "3 boxes\%" */
		++*end;
		return 1;
	}
	if (f->t[i].kind == 'x' || unit_is_known(f->t[i].s) ||
	    unit_add(&(struct unit){.times = 1}, f->t[i].s, 1, 0)) {
		int after, own = unit_power(f, i + 1, b, &after);
		*end = after;
		return own && unit_add(u, f->t[i].s, power * own, 0);
	}
	for (; *end < b && formula_unit_is_word(&f->t[*end]) && !is_per(&f->t[*end]) &&
	       !unit_is_known(f->t[*end].s);
	     ++*end, count++) {
		struct span s = f->t[*end].s;
		if (n + s.n + 1 >= sizeof joined || unit_changes_meaning(s) || count == 4)
			return 0;
		if (n)
			joined[n++] = '_';
		memcpy(joined + n, s.s, s.n);
		n += s.n;
	}
	return n && unit_add(u, (struct span){joined, n}, power, 1);
}

/* Reads all of the tokens a..b as a unit: "cm^2", "km / h", "(apples)", "\frac{km}{h}", "square
 * feet". `power`: 1, or -1 below a fraction's bar. */
static int unit_tokens(const struct formula *f, int a, int b, int power, struct unit *u, int depth)
{
	int sign = 1, dimension = 1, items = 0;

	for (int i = a, end; i < b; i = end) {
		const struct token *t = &f->t[i];
		end = i + 1;
		if (depth > 4)
			return 0;
		if (is_per(t)) {
			sign = -1;
			continue;
		}
		if (t->kind == '*' || t->kind == '.')
			continue;
		if (t->kind == '(' || t->kind == '{') {
			end = formula_closing(f, i, b) + 1;
			if (end > b || !unit_tokens(f, i + 1, end - 1, power * sign, u, depth + 1))
				return 0;
		} else if (t->kind == 'F' && end < b && f->t[end].kind == '{') {
			int bar = formula_closing(f, end, b);
			int last = bar + 1 < b && f->t[bar + 1].kind == '{'
			                   ? formula_closing(f, bar + 1, b)
			                   : b;
			if (last >= b ||
			    !unit_tokens(f, end + 1, bar, power * sign, u, depth + 1) ||
			    !unit_tokens(f, bar + 2, last, -power * sign, u, depth + 1))
				return 0;
			end = last + 1;
		} else if (formula_unit_is_word(t) && unit_dimension(t->s) && end < b) {
			dimension = unit_dimension(t->s);
			continue;
		} else if (!(t->kind == 'x' || formula_unit_is_word(t)) ||
		           !unit_words(f, i, b, power * sign * dimension, u, &end))
			return 0;
		sign = dimension = 1;
		items++;
	}
	return items > 0 && sign == 1;
}

/* Is there a function before i, so that degrees at i belong to its argument? */
static int is_called(const struct formula *f, int a, int i)
{
	return formula_find(f, a, i, "f") < i;
}

static int is_plausible(const struct unit *u)
{
	for (int i = 0; i < u->n; i++)
		if (u->factor[i].power != 1 && is_share_name(u->factor[i].name))
			return 0;
	return 1;
}

/* The start of the unit at the end of the tokens a..b, or b when there is none. A value must remain
 * before it. */
int formula_unit_start(const struct formula *f, int a, int b, struct unit *u)
{
	int from = b - a > 16 ? b - 16 : a + 1;

	for (int i = from; i < b; i++) {
		if (!(f->t[i].kind == 'x' || f->t[i].kind == '(' || f->t[i].kind == 'F' ||
		      formula_unit_is_word(&f->t[i])))
			continue;
		*u = unit_none();
		if (unit_tokens(f, i, b, 1, u, 0) && is_plausible(u) &&
		    !(u->n == 1 && !strcmp(u->factor[0].name, "degree") && is_called(f, a, i)))
			return i;
	}
	*u = unit_none();
	return b;
}

int formula_unit_is_currency(const struct token *t)
{
	static const char *const signs[] = {"dollar",       "pound",    "euro",        "\xC2\xA3",
	                                    "\xE2\x82\xAC", "\xC2\xA5", "\xE2\x82\xB9"};

	for (size_t i = 0; t->kind == 'x' && i < sizeof signs / sizeof signs[0]; i++)
		if (span_equal(t->s, span_of(signs[i])))
			return 1;
	return 0;
}
