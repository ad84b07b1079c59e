#include "verify/answer.h"

#include "verify/number.h"

#include <ctype.h>
#include <string.h>

static int equal_text(const struct answer_rule *rule, struct span a, struct span b)
{
	return rule->ignore_case ? span_equal_nocase(a, b) : span_equal(a, b);
}

static int answer_is_blank(char c)
{
	return c == 0 || isspace((unsigned char)c);
}

static int equal_dense(const struct answer_rule *rule, struct span a, struct span b)
{
	size_t i = 0, j = 0;

	for (;; i++, j++) {
		while (i < a.n && answer_is_blank(a.s[i]))
			i++;
		while (j < b.n && answer_is_blank(b.s[j]))
			j++;
		if (i == a.n || j == b.n)
			return i == a.n && j == b.n;
		if (!equal_text(rule, (struct span){a.s + i, 1}, (struct span){b.s + j, 1}))
			return 0;
	}
}

/* ---- numbers ---- */

/* Reads a span that is "43", "43." or "3/4", with or without a sign, and nothing else. */
static int answer_read_number(struct span a, struct number *out)
{
	struct number other;
	int           minus = 0, ok;
	size_t        n;

	a = span_trim(a);
	if (a.n && (a.s[0] == '-' || a.s[0] == '+')) {
		minus = a.s[0] == '-';
		a = span_from(a, 1);
	}
	n = number_read(a, out);
	ok = n > 0;
	number_init(&other);
	if (ok && n + 1 < a.n && a.s[n] == '/') {
		struct span under = span_from(a, n + 1);
		ok = number_read(under, &other) == under.n;
		number_apply('/', out, &other, out);
	} else if (n < a.n &&
	           (n + 1 != a.n || a.s[n] != '.' || memchr(a.s, '.', n) || memchr(a.s, 'e', n))) {
		ok = 0;
	}
	if (minus) {
		number_set(&other, -1, 1);
		number_apply('*', out, &other, out);
	}
	number_clear(&other);
	return ok && !out->undefined;
}

static int equal_number(const struct answer_rule *rule, struct span gold, struct span result)
{
	struct number a, b;
	int           equal;

	number_init(&a);
	number_init(&b);
	equal = answer_read_number(gold, &a) && answer_read_number(result, &b) &&
	        number_near(&b, &a, rule->absolute, rule->relative);
	number_clear(&a);
	number_clear(&b);
	return equal;
}

/* ---- lists ---- */

struct items {
	struct span item[ANSWER_ITEMS];
	int         n;
};

/* Drops one pair of brackets or quotes around the span. */
static struct span answer_unwrap(struct span a, const char *open, const char *close)
{
	const char *at;

	a = span_trim(a);
	at = a.n >= 2 && a.s[0] ? strchr(open, a.s[0]) : NULL;
	return at && a.s[a.n - 1] == close[at - open] ? span_trim((struct span){a.s + 1, a.n - 2})
	                                              : a;
}

/* Splits at commas if there is one, else at white space. Drops one pair of brackets around the list
 * and quotes around items. */
static int answer_split(struct span a, struct items *out)
{
	int commas;

	out->n = 0;
	a = answer_unwrap(a, "[({", "])}");
	commas = a.n && memchr(a.s, ',', a.n) != NULL;
	for (size_t start = 0, i = 0; i <= a.n && a.n; i++) {
		struct span item = {a.s + start, i - start};
		if (i < a.n && (commas ? a.s[i] != ',' : !answer_is_blank(a.s[i])))
			continue;
		start = i + 1;
		if (!commas && item.n == 0)
			continue;
		if (out->n == ANSWER_ITEMS)
			return 0;
		out->item[out->n++] = answer_unwrap(item, "\"'`", "\"'`");
	}
	return 1;
}

static int equal_item(const struct answer_rule *rule, struct span gold, struct span result)
{
	return equal_text(rule, gold, result) || equal_number(rule, gold, result);
}

/* Each item of the result takes the first equal item of the answer that is still free. */
static int equal_set(const struct answer_rule *rule, const struct items *gold,
                     const struct items *result)
{
	unsigned char taken[ANSWER_ITEMS] = {0};

	for (int i = 0; i < result->n; i++) {
		int j = 0;
		while (j < gold->n &&
		       (taken[j] || !equal_item(rule, gold->item[j], result->item[i])))
			j++;
		if (j == gold->n)
			return 0;
		taken[j] = 1;
	}
	return 1;
}

static int equal_list(const struct answer_rule *rule, struct span gold, struct span result)
{
	struct items a, b;

	if (!answer_split(gold, &a) || !answer_split(result, &b) || a.n != b.n)
		return 0;
	if (rule->form == ANSWER_SET)
		return equal_set(rule, &a, &b);
	for (int i = 0; i < a.n; i++)
		if (!equal_item(rule, a.item[i], b.item[i]))
			return 0;
	return 1;
}

/* ---- the table ---- */

const struct choice answer_forms[] = {
        {"text", ANSWER_TEXT, NULL}, {"dense", ANSWER_DENSE, NULL}, {"number", ANSWER_NUMBER, NULL},
        {"list", ANSWER_LIST, NULL}, {"set", ANSWER_SET, NULL},     {0}};

static int (*const equal[])(const struct answer_rule *rule, struct span gold,
                            struct span result) = {[ANSWER_TEXT] = equal_text,
                                                   [ANSWER_DENSE] = equal_dense,
                                                   [ANSWER_NUMBER] = equal_number,
                                                   [ANSWER_LIST] = equal_list,
                                                   [ANSWER_SET] = equal_list};

int answer_equal(const struct answer_rule *rule, struct span gold, struct span result)
{
	return equal[rule->form](rule, span_trim(gold), span_trim(result));
}
