/* tokenizer_split.c - pre-tokenizers cut a text into the words that BPE works on.
 *
 * The patterns that nearly every byte-level tokenizer uses have scanners of their own. They are
 * exact and many times faster than a regular expression, because these patterns decide everything
 * by the class of a character and of the next one.
 *
 *     gpt2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *     llama   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
 *             ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *     qwen    as llama, but each \p{N} alone */
#include "base/error.h"
#include "text/tokenizer_parts.h"

#include <string.h>

/* ---- what the scanners share; `at` is always below n ---- */

static enum char_class class_at(struct slice in, size_t at, size_t *length)
{
	return char_class_take(in.s + at, in.n - at, length);
}

/* The end of the run of that class that starts at `at`; the run may be empty. */
static size_t run_end(struct slice in, size_t at, enum char_class class)
{
	size_t length;

	while (at < in.n && class_at(in, at, &length) == class)
		at += length;
	return at;
}

static int is_newline(char c)
{
	return c == '\r' || c == '\n';
}

/* \s+(?!\S)|\s+ : the run of spaces, without its last one if there are several and something else
 * follows. */
static size_t spaces_end(struct slice in, size_t at)
{
	size_t length = 0, end = at, last = at;

	while (end < in.n && class_at(in, end, &length) == CHAR_SPACE) {
		last = end;
		end += length;
	}
	return end == in.n || last == at ? end : last;
}

/* The length of 's 't 're 've 'm 'll 'd at `at`, or 0. When case is ignored, U+017F (long s) is an
 * s too. */
static size_t contraction(struct slice in, size_t at, int any_case)
{
	size_t      left = in.n - at;
	const char *s = in.s + at;
	int         fold = any_case ? 0x20 : 0, a, b;

	if (left < 2 || s[0] != '\'')
		return 0;
	a = s[1] | fold;
	b = left > 2 ? s[2] | fold : 0;
	if (a == 's' || a == 't' || a == 'm' || a == 'd')
		return 2;
	if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
		return 3;
	return any_case && left > 2 && !memcmp(s + 1, "\xC5\xBF", 2) ? 3 : 0;
}

/* ---- the scanners: where the word that begins at `at` ends ---- */

static size_t gpt2_end(struct slice in, size_t at)
{
	size_t n = contraction(in, at, 0), start = at + (in.s[at] == ' ');
	enum char_class class;

	if (n)
		return at + n;
	if (start < in.n && (class = class_at(in, start, &n)) != CHAR_SPACE)
		return run_end(in, start + n, class);
	return spaces_end(in, at);
}

static size_t number_end(struct slice in, size_t at, int digits)
{
	size_t length;

	for (; digits > 0 && at < in.n && class_at(in, at, &length) == CHAR_NUMBER; digits--)
		at += length;
	return at;
}

/* \s*[\r\n]+ : through the last newline of the run of spaces; `at` when there is none. */
static size_t newlines_end(struct slice in, size_t at)
{
	size_t end = at, length;

	for (size_t i = at; i < in.n && class_at(in, i, &length) == CHAR_SPACE; i += length)
		if (is_newline(in.s[i]))
			end = i + length;
	return end;
}

/* The end of the word at `at` by the pattern of Llama 3; the alternatives are tried in the
 * pattern's order. */
static size_t llama_end(struct slice in, size_t at, int digits)
{
	size_t length, n = contraction(in, at, 1), next, start;
	enum char_class class = class_at(in, at, &length);

	if (n)
		return at + n;
	if (class == CHAR_NUMBER)
		return number_end(in, at, digits);
	next = at + length;
	if (class == CHAR_LETTER ||
	    (!is_newline(in.s[at]) && next < in.n && class_at(in, next, &n) == CHAR_LETTER))
		return run_end(in, next, CHAR_LETTER);
	start = in.s[at] == ' ' ? next : at;
	if (start < in.n && class_at(in, start, &n) == CHAR_OTHER) {
		n = run_end(in, start, CHAR_OTHER);
		while (n < in.n && is_newline(in.s[n]))
			n++;
		return n;
	}
	n = newlines_end(in, at);
	return n > at ? n : spaces_end(in, at);
}

/* ---- stages ---- */

int split_nothing(const struct splitter *s, struct split_work *w, struct slice in,
                  struct pieces *out)
{
	(void)s, (void)w;
	return pieces_add(out, in.s, in.n, 1);
}

int split_gpt2(const struct splitter *s, struct split_work *w, struct slice in, struct pieces *out)
{
	(void)s, (void)w;
	for (size_t at = 0, end; at < in.n; at = end) {
		end = gpt2_end(in, at);
		TRY(pieces_add(out, in.s + at, end - at, 1));
	}
	return OK;
}

int split_llama(const struct splitter *s, struct split_work *w, struct slice in, struct pieces *out)
{
	(void)w;
	for (size_t at = 0, end; at < in.n; at = end) {
		end = llama_end(in, at, s->digits);
		TRY(pieces_add(out, in.s + at, end - at, 1));
	}
	return OK;
}

/* Makes each character for which `is` returns 1 a match. */
static int split_each(struct slice in, int (*is)(int32_t c), struct pieces *out)
{
	size_t  done = 0, length;
	int32_t c;

	for (size_t at = 0; at < in.n; at += length) {
		length = utf8_take(in.s + at, in.n - at, &c);
		if (!is(c))
			continue;
		TRY(pieces_add(out, in.s + done, at - done, 0));
		TRY(pieces_add(out, in.s + at, length, 1));
		done = at + length;
	}
	return pieces_add(out, in.s + done, in.n - done, 0);
}

static int tokenizer_split_is_number(int32_t c)
{
	return char_class_of(c) == CHAR_NUMBER;
}

static int tokenizer_split_is_space(int32_t c)
{
	return char_class_of(c) == CHAR_SPACE;
}

int split_digits(const struct splitter *s, struct split_work *w, struct slice in,
                 struct pieces *out)
{
	(void)s, (void)w;
	return split_each(in, tokenizer_split_is_number, out);
}

int split_punctuation(const struct splitter *s, struct split_work *w, struct slice in,
                      struct pieces *out)
{
	(void)s, (void)w;
	return split_each(in, unicode_is_punctuation, out);
}

int split_spaces(const struct splitter *s, struct split_work *w, struct slice in,
                 struct pieces *out)
{
	(void)s, (void)w;
	return split_each(in, tokenizer_split_is_space, out);
}

int split_literal(const struct splitter *s, struct split_work *w, struct slice in,
                  struct pieces *out)
{
	size_t      done = 0;
	const char *hit;

	(void)w;
	while ((hit = slice_find((struct slice){in.s + done, in.n - done}, s->literal))) {
		size_t at = (size_t)(hit - in.s);
		TRY(pieces_add(out, in.s + done, at - done, 0));
		TRY(pieces_add(out, hit, s->literal.n, 1));
		done = at + s->literal.n;
	}
	return pieces_add(out, in.s + done, in.n - done, 0);
}

/* Replaces spaces by marks and puts a mark in front. Each mark then starts a word, if the behavior
 * says so. */
int split_metaspace(const struct splitter *s, struct split_work *w, struct slice in,
                    struct pieces *out)
{
	struct slice mark = s->literal;

	TRY(slice_replace(in, (struct slice){" ", 1}, mark, w->memory, &in));
	if ((s->prefix == PREFIX_ALWAYS || (s->prefix == PREFIX_FIRST && w->at_start)) &&
	    (in.n < mark.n || memcmp(in.s, mark.s, mark.n) != 0))
		TRY(slice_prepend(in, mark, w->memory, &in));
	return s->behavior == SPLIT_WITH_NEXT ? split_literal(s, w, in, out)
	                                      : pieces_add(out, in.s, in.n, 1);
}

#define LLAMA(number) \
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" number \
	"| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const struct {
	const char *pattern;
	int (*run)(const struct splitter *, struct split_work *, struct slice, struct pieces *);
	int digits;
} scanners[] = {
        {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
         split_gpt2, 0},
        {LLAMA("\\p{N}{1,3}"), split_llama, 3},
        {LLAMA("\\p{N}"), split_llama, 1},
};

int splitter_compile(const char *place, struct slice pattern, struct splitter *out)
{
	for (size_t i = 0; i < sizeof scanners / sizeof *scanners; i++) {
		if (pattern.n != strlen(scanners[i].pattern) ||
		    memcmp(pattern.s, scanners[i].pattern, pattern.n) != 0)
			continue;
		out->run = scanners[i].run;
		out->digits = scanners[i].digits;
		return OK;
	}
	out->run = split_pattern;
	return pattern_compile(place, pattern, &out->code);
}

/* ---- behaviors ---- */

/* Whether a piece joins the previous one; `before` and `now` tell which of the two are matches. */
static int joins(enum split_behavior behavior, int before, int now)
{
	switch (behavior) {
	case SPLIT_WITH_PREVIOUS:
		return now && !before;
	case SPLIT_WITH_NEXT:
		return before && !now;
	case SPLIT_CONTIGUOUS:
		return before == now;
	default:
		return 0;
	}
}

/* Regroups the pieces from `first` on, in place. */
static void regroup(const struct splitter *s, struct pieces *p, size_t first)
{
	size_t kept = first;
	int    before = 0;

	for (size_t i = first; i < p->n; i++) {
		struct piece piece = p->at[i];
		int          now = piece.mark ^ s->invert;
		if (s->behavior == SPLIT_REMOVED && now)
			continue;
		if (i > first && joins(s->behavior, before, now))
			p->at[kept - 1].text.n += piece.text.n;
		else
			p->at[kept++] = piece;
		before = now;
	}
	p->n = kept;
}

/* Writes the words from `first` on in the alphabet of ByteLevel: each byte becomes one character of
 * one or two bytes. */
static int write_bytes(struct split_work *w, struct pieces *p, size_t first)
{
	for (size_t i = first; i < p->n; i++) {
		struct slice word = p->at[i].text;
		char        *to;
		size_t       n = 0;
		TRY(arena_take(w->memory, 2 * (word.n + 1), "a text to be encoded", &to));
		for (size_t k = 0; k < word.n; k++) {
			int c = byte_level_char((unsigned char)word.s[k]);
			if (c >= 0x80)
				to[n++] = (char)(0xC0 | c >> 6);
			to[n++] = (char)(c < 0x80 ? c : 0x80 | (c & 0x3F));
		}
		p->at[i].text = (struct slice){to, n};
	}
	return OK;
}

int splitter_apply(const struct splitter *s, struct split_work *w, struct slice in,
                   struct pieces *out)
{
	size_t first = out->n;

	if (s->prefix_space && in.n && in.s[0] != ' ')
		TRY(slice_prepend(in, (struct slice){" ", 1}, w->memory, &in));
	TRY(s->run(s, w, in, out));
	if (s->behavior != SPLIT_ISOLATED)
		regroup(s, out, first);
	return s->write_bytes ? write_bytes(w, out, first) : OK;
}
