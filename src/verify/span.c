#include "verify/span.h"

#include <ctype.h>
#include <string.h>

struct span span_of(const char *text)
{
	return (struct span){text ? text : "", text ? strlen(text) : 0};
}

struct span span_from(struct span a, size_t at)
{
	return at < a.n ? (struct span){a.s + at, a.n - at} : (struct span){a.s + a.n, 0};
}

static int span_is_blank(char c)
{
	return c == 0 || isspace((unsigned char)c);
}

struct span span_trim(struct span a)
{
	while (a.n && span_is_blank(a.s[0]))
		a = span_from(a, 1);
	while (a.n && span_is_blank(a.s[a.n - 1]))
		a.n--;
	return a;
}

struct span span_line(struct span a)
{
	const char *end;

	a = span_trim(a);
	end = a.n ? memchr(a.s, '\n', a.n) : NULL;
	if (end)
		a.n = (size_t)(end - a.s);
	return span_trim(a);
}

int span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

int span_equal_nocase(struct span a, struct span b)
{
	if (a.n != b.n)
		return 0;
	for (size_t i = 0; i < a.n; i++)
		if (tolower((unsigned char)a.s[i]) != tolower((unsigned char)b.s[i]))
			return 0;
	return 1;
}

int span_starts(struct span a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.n >= n && memcmp(a.s, prefix, n) == 0;
}

int span_starts_nocase(struct span a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.n >= n && span_equal_nocase((struct span){a.s, n}, (struct span){prefix, n});
}

struct span span_undress(struct span a)
{
	for (size_t before = a.n + 1; before != a.n;) {
		before = a.n;
		a = span_trim(a);
		if (a.n && strchr("$`", a.s[0]))
			a = span_from(a, 1);
		if (span_starts(a, "**"))
			a = span_from(a, 2);
		if (a.n && strchr("$`.", a.s[a.n - 1]))
			a.n--;
		if (a.n >= 2 && !memcmp(a.s + a.n - 2, "**", 2))
			a.n -= 2;
	}
	return a;
}

/* ---- the result ---- */

/* The text up to the brace that closes the one before the span; empty when none does. */
static struct span up_to_brace(struct span a)
{
	int depth = 1;

	for (size_t i = 0; i < a.n; i++) {
		depth += (a.s[i] == '{') - (a.s[i] == '}');
		if (depth == 0)
			return (struct span){a.s, i};
	}
	return (struct span){a.s, 0};
}

static struct span up_to_tag(struct span a)
{
	for (size_t i = 0; i < a.n; i++)
		if (a.s[i] == '<' && span_starts(span_from(a, i), "</answer>"))
			return (struct span){a.s, i};
	return a;
}

static int span_is_visible(struct span a, size_t i)
{
	return i < a.n && a.s[i] != '#' && !span_is_blank(a.s[i]);
}

/* Is the '#' at text[i] the last of a marker? */
static int is_hash_marker(struct span text, size_t i)
{
	size_t run = 0;

	while (run < 4 && run <= i && text.s[i - run] == '#')
		run++;
	return run >= 4 ||
	       (span_is_visible(text, i + 1) && (run > i || span_is_visible(text, i - run)));
}

/* Does a marker start at text[i]? Then *result is the text that it marks. */
static enum span_mark marked_at(struct span text, size_t i, struct span *result)
{
	struct span at = span_from(text, i);

	if (span_starts(at, "\\boxed{")) {
		*result = up_to_brace(span_from(at, 7));
		return SPAN_CLOSED;
	}
	if (span_starts(at, "<answer>")) {
		*result = up_to_tag(span_from(at, 8));
		return SPAN_CLOSED;
	}
	if (at.s[0] == '#' && is_hash_marker(text, i)) {
		*result = up_to_tag(span_from(at, 1));
		return SPAN_OPEN;
	}
	if (span_starts_nocase(at, "answer:")) {
		*result = up_to_tag(span_from(at, 7));
		return SPAN_OPEN;
	}
	return SPAN_UNMARKED;
}

enum span_mark span_result(struct span text, struct span *result)
{
	for (size_t i = text.n; i-- > 0;) {
		enum span_mark kind = marked_at(text, i, result);
		if (kind != SPAN_UNMARKED)
			return kind;
	}
	*result = text;
	return SPAN_UNMARKED;
}
