#include "base/error.h"
#include "task/verify.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string.h>

/* A pattern that backtracks more than this does not match: time and memory stay bounded whatever was written. */
enum { MATCH_LIMIT = 1000000, HEAP_LIMIT_KIB = 65536 };

int verify_format_open(struct reward_spec *spec)
{
	const char *pattern = spec->options.pattern;
	PCRE2_SIZE  where;
	int         code;
	pcre2_code *compiled =
	        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
	                      PCRE2_DOTALL | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &where, NULL);
	PCRE2_UCHAR message[128];

	if (!compiled) {
		pcre2_get_error_message(code, message, sizeof message);
		return error_set(ERR_INPUT, "task.pattern: \"%s\": at character %zu: %s", pattern, (size_t)where, (const char *)message);
	}
	spec->pattern = compiled;
	return OK;
}

void verify_format_close(struct reward_spec *spec)
{
	pcre2_code_free(spec->pattern);
	spec->pattern = NULL;
}

VERIFY_CHECK(verify_format_check)
{
	(void)p;
	if (!spec->pattern && !spec->options.tags)
		return error_set(ERR_INPUT, "set task.pattern or task.tags");
	return OK;
}

static int match_pattern(const pcre2_code *code, struct span text, int *matches)
{
	pcre2_match_context *limits = pcre2_match_context_create(NULL);
	pcre2_match_data    *data = pcre2_match_data_create(1, NULL);
	int                  result = PCRE2_ERROR_NOMEMORY;

	if (limits && data) {
		pcre2_set_match_limit(limits, MATCH_LIMIT);
		pcre2_set_heap_limit(limits, HEAP_LIMIT_KIB);
		result = pcre2_match(code, (PCRE2_SPTR)text.s, text.n, 0, 0, data, limits);
	}
	pcre2_match_data_free(data);
	pcre2_match_context_free(limits);
	*matches = result >= 0;
	return limits && data ? OK : error_set(ERR_INPUT, "out of memory: a match of task.pattern");
}

static size_t find(struct span text, const char *what)
{
	const char *at = text.n ? memmem(text.s, text.n, what, strlen(what)) : NULL;

	return at ? (size_t)(at - text.s) : text.n;
}

/* Takes "<tag>...</tag>" and the white space before it off the text; neither tag may come again inside or behind it. */
static int take_block(struct span *text, const char *tag, size_t n)
{
	char   open[64], close[64];
	size_t end;

	snprintf(open, sizeof open, "<%.*s>", (int)(n < 48 ? n : 48), tag);
	snprintf(close, sizeof close, "</%.*s>", (int)(n < 48 ? n : 48), tag);
	*text = span_trim(*text);
	if (!span_starts(*text, open))
		return 0;
	*text = span_from(*text, strlen(open));
	end = find(*text, close);
	if (end == text->n || find(*text, open) < text->n)
		return 0;
	*text = span_from(*text, end + strlen(close));
	return find(*text, close) == text->n;
}

static int has_blocks(const char *tags, struct span text)
{
	while (*tags) {
		size_t n = strcspn(tags, ",");
		if (!take_block(&text, tags, n))
			return 0;
		tags += n + (tags[n] == ',');
	}
	return span_trim(text).n == 0;
}

VERIFY_SCORE(verify_format)
{
	struct span text = verify_text(c);
	int         matches = 1;

	(void)p;
	if (spec->pattern)
		TRY(match_pattern(spec->pattern, text, &matches));
	out->parsed = text.n > 0;
	verify_mark(out, matches && (!spec->options.tags || has_blocks(spec->options.tags, text)), 0);
	return OK;
}
