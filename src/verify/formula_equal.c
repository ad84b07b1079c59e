#include "verify/comparison.h"
#include "verify/formula_parts.h"
#include "verify/region.h"

#include <ctype.h>
#include <string.h>

struct equality {
	const struct formula         *gold, *said;
	const struct formula_options *o;
	struct comparison            *c;
};

static int nodes_equal(const struct equality *q, int x, int y);

static struct term left(int v)
{
	return (struct term){0, v};
}

static struct term right(int v)
{
	return (struct term){1, v};
}

/* ---- words ---- */

static int is_dress(const struct token *t)
{
	return t->kind == 'x' &&
	       (span_equal(t->s, span_of("percent")) || span_equal(t->s, span_of("degree")));
}

/* Words are equal when their tokens are, except for round brackets around them and a degree or
 * percent sign behind them. */
static int words_equal(const struct tokens *s, int a, int b, const struct tokens *t, int c, int d)
{
	while (b - a == 3 && s->t[a].kind == '(' && s->t[b - 1].kind == ')') {
		a++;
		b--;
	}
	while (d - c == 3 && t->t[c].kind == '(' && t->t[d - 1].kind == ')') {
		c++;
		d--;
	}
	while (b - a > 1 && is_dress(&s->t[b - 1]) && s->t[b - 2].kind == 'v')
		b--;
	while (d - c > 1 && is_dress(&t->t[d - 1]) && t->t[d - 2].kind == 'v')
		d--;
	if (b - a != d - c || a == b)
		return 0;
	for (; a < b; a++, c++) {
		const struct token *x = &s->t[a], *y = &t->t[c];
		int                 nocase = x->kind == 'v' && x->s.n >= 2;
		if (x->kind != y->kind)
			return 0;
		if (strchr("nrcvfuxLoab", x->kind) &&
		    !(nocase ? span_equal_nocase(x->s, y->s) : span_equal(x->s, y->s)))
			return 0;
	}
	return 1;
}

/* The whole text is one run of letters, such as "no" or "xy", which may be a word or a product. */
static int is_one_run(const struct formula *f)
{
	return f->read.n == 1 && f->read.t[0].kind == 'v' && !f->read.t[0].is_command &&
	       f->read.t[0].s.n >= 2;
}

static int is_english(const struct formula *f)
{
	static const char *const words[] = {
	        "no",  "yes", "on",  "off", "in",  "up",  "odd", "one", "two", "six", "ten",
	        "all", "any", "not", "red", "bad", "now", "won", "old", "new", "big", "low",
	        "top", "day", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "cat", "dog",
	        "he",  "she", "it",  "us",  "we",  "me",  "is",  "at",  "by"};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (span_equal_nocase(f->read.t[0].s, span_of(words[i])))
			return 1;
	return f->read.t[0].s.n >= 3 && isupper((unsigned char)f->read.t[0].s.s[0]) &&
	       islower((unsigned char)f->read.t[0].s.s[1]);
}

/* ---- values ---- */

static int values_equal(const struct equality *q, int x, int y)
{
	if (x < 0 || y < 0)
		return 0;
	return comparison_equal(q->c, left(x), right(y)) ||
	       (q->o->decimals > 0 && comparison_rounds(q->c, left(x), right(y), q->o->decimals));
}

/* One relation is a multiple of the other, by a positive number if it is an inequality. */
static int relations_equal(const struct equality *q, const struct formula_node *a,
                           const struct formula_node *b)
{
	int sign;

	if (a->open != b->open || a->v < 0 || b->v < 0)
		return 0;
	sign = comparison_ratio(q->c, left(a->v), right(b->v));
	return strchr("=~", a->open) ? sign != 0 : sign > 0;
}

static int units_agree(const struct formula_node *a, const struct formula_node *b)
{
	return unit_is_empty(&a->unit) || unit_is_empty(&b->unit) || unit_equal(&a->unit, &b->unit);
}

/* The result may omit the answer's base, or be the rounded value behind its "\approx". */
static int numbers_equal(const struct equality *q, const struct formula_node *a,
                         const struct formula_node *b)
{
	if (!units_agree(a, b))
		return 0;
	if (values_equal(q, a->v, b->v) || (a->chain >= 0 && values_equal(q, a->chain, b->v)))
		return 1;
	return a->based >= 0 && b->based < 0 && values_equal(q, a->based, b->v);
}

/* ---- structures ---- */

static int sequences_equal(const struct equality *q, const struct formula_node *a,
                           const struct formula_node *b)
{
	int i = a->first, j = b->first;

	for (; i >= 0 && j >= 0; i = q->gold->node[i].next, j = q->said->node[j].next)
		if (!nodes_equal(q, i, j))
			return 0;
	return i < 0 && j < 0;
}

/* Each child on one side has its own equal child on the other; in sets, any equal child. */
static int lists_equal(const struct equality *q, const struct formula_node *a,
                       const struct formula_node *b)
{
	char taken[FORMULA_NODES] = {0}, met[FORMULA_NODES] = {0};
	int  sets = a->kind == SET && b->kind == SET;

	if (!sets && a->n != b->n)
		return 0;
	for (int i = a->first; i >= 0; i = q->gold->node[i].next)
		for (int j = b->first; j >= 0; j = q->said->node[j].next)
			if ((sets || (!taken[j] && !met[i])) && nodes_equal(q, i, j))
				taken[j] = met[i] = 1;
	for (int i = a->first; i >= 0; i = q->gold->node[i].next)
		if (!met[i])
			return 0;
	for (int j = b->first; j >= 0; j = q->said->node[j].next)
		if (!taken[j])
			return 0;
	return 1;
}

/* A list of one item is that item. */
static int formula_equal_unwrap(const struct formula *f, int x)
{
	while ((f->node[x].kind == LIST || (f->node[x].kind == UNION && f->node[x].open != 'D')) &&
	       f->node[x].n == 1)
		x = f->node[x].first;
	return x;
}

/* Compares names without blanks, braces and backslashes. */
static int names_agree(struct span a, struct span b)
{
	size_t i = 0, j = 0;

	if (a.n == 0 || b.n == 0)
		return 1;
	for (;; i++, j++) {
		while (i < a.n && strchr(" {}\\", a.s[i]))
			i++;
		while (j < b.n && strchr(" {}\\", b.s[j]))
			j++;
		if (i == a.n || j == b.n)
			return i == a.n && j == b.n;
		if (a.s[i] != b.s[j])
			return 0;
	}
}

/* Is the node written as a set of real numbers, not merely as a pair? */
static int is_region(const struct formula_node *n)
{
	return n->kind == UNION || n->kind == SPECIAL || n->kind == RELATION ||
	       (n->kind == LIST && n->open == 'o') ||
	       (n->kind == SEQUENCE && n->n == 2 && n->open != ':') || n->kind == SET;
}

static int is_relation(const struct formula_node *n)
{
	return n->kind == RELATION || (n->kind == LIST && n->open == 'o');
}

static int regions_equal(const struct equality *q, int x, int y)
{
	const struct formula_node *a = &q->gold->node[x], *b = &q->said->node[y];
	struct region              r, s;

	if (!is_region(a) || !is_region(b) ||
	    (q->o->strict_relations && is_relation(a) != is_relation(b)))
		return 0;
	return region_of(q->c, q->gold, 0, x, &r) && region_of(q->c, q->said, 1, y, &s) &&
	       region_equal(q->c, &r, &s);
}

/* Compares two nodes of one kind part by part. */
static int same_kind_equal(const struct equality *q, const struct formula_node *a,
                           const struct formula_node *b)
{
	switch (a->kind) {
	case VALUE:
		return numbers_equal(q, a, b);
	case TEXT:
		return words_equal(&q->gold->read, a->from, a->to, &q->said->read, b->from, b->to);
	case LIST:
	case SET:
	case UNION:
		return a->open == 'D' || b->open == 'D' ? 0 : lists_equal(q, a, b);
	case RELATION:
		return relations_equal(q, a, b);
	case SPECIAL:
		return a->open == b->open;
	default:
		return a->open == b->open && a->close == b->close && sequences_equal(q, a, b);
	}
}

/* Compares nodes as relations, then by their kind, then as sets of numbers: x > 1 is (1,
 * infinity). */
static int nodes_equal(const struct equality *q, int x, int y)
{
	const struct formula_node *a, *b;

	x = formula_equal_unwrap(q->gold, x);
	y = formula_equal_unwrap(q->said, y);
	a = &q->gold->node[x];
	b = &q->said->node[y];
	if (a->as_relation >= 0 || b->as_relation >= 0) { /* y = 2x + 1 against 2x - y + 1 = 0 */
		int s = a->kind == RELATION ? x : a->as_relation,
		    t = b->kind == RELATION ? y : b->as_relation;
		if (s >= 0 && t >= 0 && relations_equal(q, &q->gold->node[s], &q->said->node[t]))
			return 1;
	}
	if (!names_agree(a->name, b->name) ||
	    (q->o->strict_relations && a->from_relation != b->from_relation))
		return 0;
	if (a->kind == b->kind ? same_kind_equal(q, a, b)
	    : (a->kind == LIST && b->kind == SET) || (a->kind == SET && b->kind == LIST)
	            ? lists_equal(q, a, b)
	            : 0)
		return 1;
	return regions_equal(q, x, y);
}

/* ---- the whole ---- */

/* "1,22" as one number; only an answer is read this way. */
static int comma_equal(const struct equality *q)
{
	const struct formula_node *b = &q->said->node[formula_equal_unwrap(q->said, q->said->root)];
	int                        v = b->kind == VALUE ? b->v : q->said->comma_number;

	return q->gold->comma_number >= 0 && values_equal(q, q->gold->comma_number, v);
}

/* Equal words decide first; two single words, or an English word, are never compared as
 * products. */
int formula_equal(const struct formula *gold, const struct formula *said,
                  const struct formula_options *o, long *steps)
{
	struct equality q = {gold, said, o, NULL};
	int             equal, one = is_one_run(gold), other = is_one_run(said);

	if (steps)
		*steps = 0;
	if (formula_empty(gold) || formula_empty(said))
		return 0;
	if (words_equal(&gold->read, 0, gold->read.n, &said->read, 0, said->read.n))
		return 1;
	if (!gold->parsed || !said->parsed || (one && other) || (one && is_english(gold)) ||
	    (other && is_english(said)))
		return 0;
	q.c = comparison_new(&gold->e, &said->e);
	if (!q.c)
		return 0;
	equal = nodes_equal(&q, gold->root, said->root) || comma_equal(&q);
	if (steps)
		*steps = comparison_steps(q.c);
	comparison_free(q.c);
	return equal;
}
