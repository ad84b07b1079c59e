#include "base/error.h"
#include "verify/verify.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string.h>
#include <utf8proc.h>

/* A pattern that backtracks more than this does not match, so time and memory stay bounded whatever
 * the text is. */
enum { MATCH_LIMIT = 1000000, HEAP_LIMIT_KIB = 65536 };

/* '.' matches a newline, and a completion that is not UTF-8 can be searched. */
int verify_format_open(struct reward_spec *spec)
{
	const char *pattern = spec->options.pattern;
	PCRE2_SIZE  where;
	int         code;
	pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
	                                     PCRE2_DOTALL | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF |
	                                             PCRE2_NEVER_BACKSLASH_C,
	                                     &code, &where, NULL);
	PCRE2_UCHAR message[128];

	if (!compiled) {
		pcre2_get_error_message(code, message, sizeof message);
		return error_set(ERR_INPUT, "task.verifier.pattern: \"%s\": at character %zu: %s",
		                 pattern, (size_t)where, (const char *)message);
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
		return error_set(ERR_INPUT, "set task.verifier.pattern or task.verifier.tags");
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
	return limits && data ? OK : error_memory("a match of task.verifier.pattern");
}

/* The position of `what` in the text, or text.n. */
static size_t verify_format_find(struct span text, struct span what)
{
	const char *at = text.n ? memmem(text.s, text.n, what.s, what.n) : NULL;

	return at ? (size_t)(at - text.s) : text.n;
}

static int verify_format_count(struct span text, struct span what)
{
	int    n = 0;
	size_t at;

	for (; (at = verify_format_find(text, what)) < text.n; n++)
		text = span_from(text, at + what.n);
	return n;
}

/* Does the text have a visible character, that is, not a blank of any kind nor an invisible one? */
static int verify_format_is_visible(struct span text)
{
	for (size_t i = 0; i < text.n;) {
		utf8proc_int32_t    code;
		utf8proc_ssize_t    n = utf8proc_iterate((const utf8proc_uint8_t *)text.s + i,
		                                         (utf8proc_ssize_t)(text.n - i), &code);
		utf8proc_category_t category =
		        n > 0 ? utf8proc_category(code) : UTF8PROC_CATEGORY_CC;
		if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_SO)
			return 1;
		i += n > 0 ? (size_t)n : 1;
	}
	return 0;
}

struct tag {
	char open[64], close[64];
};

static struct tag tag_of(const char *name, size_t n)
{
	struct tag t;

	snprintf(t.open, sizeof t.open, "<%.*s>", (int)(n < 48 ? n : 48), name);
	snprintf(t.close, sizeof t.close, "</%.*s>", (int)(n < 48 ? n : 48), name);
	return t;
}

/* The tag "<name>" at the end of the prompt, ignoring white space behind it; else an empty span. */
static struct span opened_by(struct span prompt)
{
	struct span end = span_trim(prompt);
	size_t      i = end.n;

	if (i == 0 || end.s[i - 1] != '>')
		return (struct span){"", 0};
	while (i-- > 0 && end.s[i] != '<')
		;
	return i < end.n && end.n - i > 2 && end.s[i + 1] != '/' ? span_from(end, i)
	                                                         : (struct span){"", 0};
}

/* Takes "<tag>...</tag>" and the white space before it off the text. If the prompt has `opened` the
 * tag, the block starts behind it. */
static int take_block(struct span *text, const struct tag *tag, int opened)
{
	size_t end;

	*text = span_trim(*text);
	if (!opened && !span_starts(*text, tag->open))
		return 0;
	*text = span_from(*text, opened ? 0 : strlen(tag->open));
	end = verify_format_find(*text, span_of(tag->close));
	if (end == text->n || !verify_format_is_visible((struct span){text->s, end}))
		return 0;
	*text = span_from(*text, end + strlen(tag->close));
	return 1;
}

static int has_blocks(const char *tags, struct span text, struct span opened)
{
	const struct span all = text;

	for (int first = 1; *tags; first = 0) {
		size_t     n = strcspn(tags, ",");
		struct tag tag = tag_of(tags, n);
		int        is_open = first && span_equal(opened, span_of(tag.open));
		if (verify_format_count(all, span_of(tag.open)) != !is_open ||
		    verify_format_count(all, span_of(tag.close)) != 1 ||
		    !take_block(&text, &tag, is_open))
			return 0;
		tags += n + (tags[n] == ',');
	}
	return span_trim(text).n == 0;
}

/* Does the text match? If the pattern names the tag that the prompt opened, the tag goes in
 * front. */
static int matches_pattern(const struct reward_spec *spec, struct span text, struct span opened,
                           int *matches)
{
	struct text joined = {0};
	int         status;

	if (opened.n == 0 || verify_format_find(span_of(spec->options.pattern), opened) ==
	                             strlen(spec->options.pattern))
		return match_pattern(spec->pattern, text, matches);
	text_add(&joined, opened.s, opened.n);
	text_add(&joined, text.s, text.n);
	status = text_status(&joined);
	if (status == OK)
		status =
		        match_pattern(spec->pattern, (struct span){joined.data, joined.n}, matches);
	text_free(&joined);
	return status;
}

VERIFY_SCORE(verify_format)
{
	struct span text = verify_text(c), opened = opened_by(c->prompt_end);
	int         matches = 1;

	(void)p;
	if (spec->pattern)
		TRY(matches_pattern(spec, text, opened, &matches));
	out->parsed = text.n > 0;
	verify_mark(out,
	            matches &&
	                    (!spec->options.tags || has_blocks(spec->options.tags, text, opened)),
	            0);
	return OK;
}
