/* tokenizer_pattern.c - runs the regular expressions of tokenizer.json in PCRE2 with the meaning
 * they have in Oniguruma (Ruby syntax).
 *
 * The two engines agree on what tokenizers use except for a few escapes: in PCRE2, \s includes
 * U+180E and \w lacks marks. Those escapes are written out, and so are the characters of \p{L},
 * \p{Lu}, ... that only the library's newer Unicode knows (tokenizer_unicode.c). Anything that
 * might mean two things is refused: anchors, back-references, nested or intersected classes, {n}+,
 * inline flags except (?i:). */
#include "base/error.h"
#include "text/tokenizer_parts.h"

#include <ctype.h>
#include <string.h>

#define SPACES "\\t-\\r\\x{85}\\p{Z}"
/* with the digits of Latin-1 */
#define WORDS "\\p{Alphabetic}\\p{L}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"

/* What replaces an escape: a pattern, which is translated in turn. */
static const struct escape {
	char        letter;
	const char *outside, *inside; /* a character class; NULL: refused there */
} escapes[] = {
        {'s', "[" SPACES "]", SPACES}, {'S', "[^" SPACES "]", NULL}, {'w', "[" WORDS "]", WORDS},
        {'W', "[^" WORDS "]", NULL},   {'d', "\\p{Nd}", "\\p{Nd}"},  {'D', "\\P{Nd}", "\\P{Nd}"},
        {'v', "\\x{b}", "\\x{b}"},
};

struct translation {
	const char  *place;
	struct slice pattern;
	size_t       at;
	int          in_class;
	struct text  out;
};

static int tokenizer_pattern_refuse(const struct translation *t, const char *why)
{
	return error_set(ERR_INPUT, "%s: pattern \"%.*s\", byte %zu: %s is not supported", t->place,
	                 (int)t->pattern.n, t->pattern.s, t->at, why);
}

/* The byte k places ahead; 0 behind the end (a pattern with a NUL is refused when it is read). */
static char tokenizer_pattern_peek(const struct translation *t, size_t k)
{
	return t->at + k < t->pattern.n ? t->pattern.s[t->at + k] : 0;
}

static void copy(struct translation *t, size_t n)
{
	text_add(&t->out, t->pattern.s + t->at, n);
	t->at += n;
}

/* Adds to a class the newer characters of the categories that start with `name`: "L", "Lu". */
static void add_newer(struct translation *t, struct slice name)
{
	for (size_t i = 0; name.n <= 2 && i < n_unicode_newer; i++)
		if (!memcmp(unicode_newer[i].category, name.s, name.n))
			text_print(&t->out, "\\x{%X}-\\x{%X}",
			           (unsigned)unicode_newer[i].range.first,
			           (unsigned)unicode_newer[i].range.last);
}

/* \p{L}, \P{Han}, \x{3040}, through the closing brace. A property becomes a class, so that newer
 * characters can be added. That is impossible for \P within a class, where a newer character counts
 * as unknown. */
static int escape_braced(struct translation *t)
{
	const char *start = t->pattern.s + t->at, *brace = memchr(start, '}', t->pattern.n - t->at);
	char        kind = start[1];
	int         alone = kind != 'x' && !t->in_class;
	struct slice name;

	if (tokenizer_pattern_peek(t, 2) != '{' || !brace)
		return tokenizer_pattern_refuse(t, "an escape of this kind without braces");
	name = (struct slice){start + 3, (size_t)(brace - start) - 3};
	if (alone)
		text_print(&t->out, "[%s", kind == 'P' ? "^" : "");
	text_print(&t->out, "\\%c{%.*s}", alone ? 'p' : kind, (int)name.n, name.s);
	if (alone || kind == 'p')
		add_newer(t, name);
	if (alone)
		text_add(&t->out, "]", 1);
	t->at += name.n + 4;
	return OK;
}

static int escape_unicode(struct translation *t) /* \u3040 */
{
	for (size_t k = 2; k < 6; k++)
		if (!isxdigit((unsigned char)tokenizer_pattern_peek(t, k)))
			return tokenizer_pattern_refuse(t, "\\u without four hexadecimal digits");
	text_print(&t->out, "\\x{%.4s}", t->pattern.s + t->at + 2);
	t->at += 6;
	return OK;
}

static int translate_one(struct translation *t);

static int insert(struct translation *t, const char *pattern)
{
	struct translation inner = *t;
	int                status = OK;

	inner.pattern = slice_of(pattern);
	inner.at = 0;
	while (status == OK && inner.at < inner.pattern.n)
		status = translate_one(&inner);
	t->out = inner.out;
	return status;
}

/* Escapes whose meaning differs between Oniguruma and PCRE2 are replaced; unknown ones are
 * refused. */
static int escape(struct translation *t)
{
	char c = tokenizer_pattern_peek(t, 1);

	if (c == 'p' || c == 'P' || c == 'x')
		return escape_braced(t);
	if (c == 'u')
		return escape_unicode(t);
	if (ispunct((unsigned char)c) || (c && strchr("nrtfae", c))) {
		copy(t, 2);
		return OK;
	}
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
		const char *to = t->in_class ? escapes[i].inside : escapes[i].outside;
		if (escapes[i].letter != c)
			continue;
		if (!to)
			break;
		t->at += 2;
		return insert(t, to);
	}
	return tokenizer_pattern_refuse(t, "this escape");
}

static int in_class(struct translation *t)
{
	char c = tokenizer_pattern_peek(t, 0);

	if (c == '[')
		return tokenizer_pattern_refuse(t, "a class within a class");
	if (c == '&' && tokenizer_pattern_peek(t, 1) == '&')
		return tokenizer_pattern_refuse(t, "the intersection of classes");
	if (c == ']')
		t->in_class = 0;
	copy(t, 1);
	return OK;
}

static int open_class(struct translation *t)
{
	copy(t, tokenizer_pattern_peek(t, 1) == '^' ? 2 : 1);
	if (tokenizer_pattern_peek(t, 0) == ']')
		return tokenizer_pattern_refuse(t, "] as the first of a class");
	t->in_class = 1;
	return OK;
}

static int open_group(struct translation *t)
{
	static const char *const known[] = {"(?:", "(?i:", "(?=", "(?!", "(?>", "(?<=", "(?<!"};

	if (tokenizer_pattern_peek(t, 1) != '?' && tokenizer_pattern_peek(t, 1) != '*') {
		copy(t, 1);
		return OK;
	}
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		size_t n = strlen(known[i]);
		if (t->pattern.n - t->at >= n && !memcmp(t->pattern.s + t->at, known[i], n)) {
			copy(t, n);
			return OK;
		}
	}
	return tokenizer_pattern_refuse(t, "a group of this kind");
}

static int counted_repeat(struct translation *t) /* {3} {1,3} {2,} */
{
	size_t k = 1;

	while (isdigit((unsigned char)tokenizer_pattern_peek(t, k)) ||
	       (k > 1 && tokenizer_pattern_peek(t, k) == ','))
		k++;
	if (k == 1 || tokenizer_pattern_peek(t, k) != '}' ||
	    tokenizer_pattern_peek(t, k + 1) == '+' || tokenizer_pattern_peek(t, k + 1) == '?')
		return tokenizer_pattern_refuse(t, "a brace that is not {n}, {n,} or {n,m}");
	copy(t, k + 1);
	return OK;
}

/* Translates one element of the pattern: opens classes and groups, gives dots Oniguruma's meaning
 * and refuses anchors. */
static int translate_one(struct translation *t)
{
	char c = tokenizer_pattern_peek(t, 0);

	if (c == '\\')
		return escape(t);
	if (t->in_class)
		return in_class(t);
	switch (c) {
	case '[':
		return open_class(t);
	case '(':
		return open_group(t);
	case '{':
		return counted_repeat(t);
	case '^':
	case '$':
		return tokenizer_pattern_refuse(t, "an anchor");
	case '.':
		text_add(&t->out, "[^\\n]", 5);
		t->at++;
		return OK;
	default:
		copy(t, 1);
		return OK;
	}
}

static int compile(const struct translation *t, pcre2_code **out)
{
	uint32_t   options = PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_BACKSLASH_C;
	int        code;
	PCRE2_SIZE where;
	char       message[128];

	*out = pcre2_compile((PCRE2_SPTR)t->out.data, t->out.n, options, &code, &where, NULL);
	if (!*out) {
		pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
		return error_set(ERR_INPUT, "%s: pattern \"%.*s\": %s", t->place, (int)t->pattern.n,
		                 t->pattern.s, message);
	}
	/* without it matching is slower and the same */
	pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE);
	return OK;
}

int pattern_compile(const char *place, struct slice pattern, pcre2_code **out)
{
	struct translation t = {.place = place, .pattern = pattern};
	int                status = OK;

	*out = NULL;
	while (status == OK && t.at < pattern.n)
		status = translate_one(&t);
	if (status == OK && !t.out.n)
		status = tokenizer_pattern_refuse(&t, "an empty pattern");
	if (status == OK)
		status = text_status(&t.out);
	if (status == OK)
		status = compile(&t, out);
	text_free(&t.out);
	return status;
}

/* ---- matching ---- */

enum { MATCH_LIMIT = 50000000, HEAP_LIMIT_KIB = 1 << 18, STACK_MAX = 64 << 20 };

static int work_begin(struct split_work *w)
{
	if (w->match)
		return OK;
	w->match = pcre2_match_data_create(1, NULL);
	w->limits = pcre2_match_context_create(NULL);
	w->stack = pcre2_jit_stack_create(1 << 15, STACK_MAX, NULL);
	if (!w->match || !w->limits || !w->stack) {
		split_work_free(w);
		return error_memory("PCRE2 cannot begin to match");
	}
	pcre2_set_match_limit(w->limits, MATCH_LIMIT);
	pcre2_set_heap_limit(w->limits, HEAP_LIMIT_KIB);
	pcre2_jit_stack_assign(w->limits, NULL, w->stack);
	return OK;
}

void split_work_free(struct split_work *w)
{
	pcre2_match_data_free(w->match);
	pcre2_match_context_free(w->limits);
	pcre2_jit_stack_free(w->stack);
	w->match = NULL;
	w->limits = NULL;
	w->stack = NULL;
}

static size_t next_char(struct slice in, size_t at)
{
	int32_t c;

	return at < in.n ? at + utf8_take(in.s + at, in.n - at, &c) : at + 1;
}

/* An empty match cuts the text at its place, unless the match before ends there: then the search
 * moves on by a character. */
int split_pattern(const struct splitter *s, struct split_work *w, struct slice in,
                  struct pieces *out)
{
	size_t from = 0, done = 0;
	int    any = 0;

	TRY(work_begin(w));
	while (from <= in.n) {
		int code = pcre2_match(s->code, (PCRE2_SPTR)in.s, in.n, from, PCRE2_NO_UTF_CHECK,
		                       w->match, w->limits);
		const PCRE2_SIZE *match = pcre2_get_ovector_pointer(w->match);
		if (code == PCRE2_ERROR_NOMATCH)
			break;
		if (code < 0)
			return error_set(ERR_INPUT,
			                 "a pattern of the tokenizer takes too long on this text "
			                 "(PCRE2 error %d); shorten the text",
			                 code);
		if (match[0] == match[1] && any && match[1] == done) {
			from = next_char(in, from);
			continue;
		}
		TRY(pieces_add(out, in.s + done, match[0] - done, 0));
		TRY(pieces_add(out, in.s + match[0], match[1] - match[0], 1));
		from = done = match[1];
		any = 1;
	}
	return pieces_add(out, in.s + done, in.n - done, 0);
}
