/* tokenizer_added.c - finds added tokens in a text: leftmost first, then longest, as the library's
 * matcher does. */
#include "base/error.h"
#include "text/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

static int by_bytes(const void *p, const void *q)
{
	struct slice a = ((const struct added_token *)p)->text,
	             b = ((const struct added_token *)q)->text;
	int order = memcmp(a.s, b.s, a.n < b.n ? a.n : b.n);

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* Sorted tokens serve as a trie; `first` skips bytes that begin no token. */
int added_new(struct added_token *tokens, size_t n, struct added *out)
{
	int words = 0;

	if (n)
		qsort(tokens, n, sizeof *tokens, by_bytes);
	out->tokens = tokens;
	out->n = n;
	for (size_t i = 0; i < n; i++) {
		if (i && !by_bytes(&tokens[i - 1], &tokens[i]))
			return error_set(ERR_INPUT, "the added token \"%.*s\" occurs twice",
			                 (int)tokens[i].text.n, tokens[i].text.s);
		out->first[(unsigned char)tokens[i].text.s[0]] = 1;
		words |= tokens[i].single_word;
	}
	/* \w as the library's regex crate defines it */
	return words ? pattern_compile(
	                       "added tokens",
	                       slice_of("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]"),
	                       &out->word)
	             : OK;
}

void added_free(struct added *a)
{
	pcre2_code_free(a->word);
}

/* Among tokens[low..high-1], which share their first k bytes and are longer than k, finds the first
 * whose byte k is at least `byte`. */
static size_t lower_bound(const struct added *a, size_t low, size_t high, size_t k, int byte)
{
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if ((unsigned char)a->tokens[middle].text.s[k] < byte)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Finds the longest token at the start of s[0..n-1], or NULL, walking the sorted array as a
 * trie. */
static const struct added_token *longest_at(const struct added *a, const char *s, size_t n)
{
	const struct added_token *best = NULL;
	size_t                    low = 0, high = a->n;

	for (size_t k = 0;; k++) {
		if (low < high && a->tokens[low].text.n == k)
			best = &a->tokens[low++];
		if (low == high || k == n)
			return best;
		low = lower_bound(a, low, high, k, (unsigned char)s[k]);
		high = lower_bound(a, low, high, k, (unsigned char)s[k] + 1);
	}
}

/* The start of the character that ends before `at`. */
static size_t step_back(const char *s, size_t at)
{
	do
		at--;
	while (at && ((unsigned char)s[at] & 0xC0) == 0x80);
	return at;
}

static int tokenizer_added_is_word(const struct added *a, const char *s, size_t n, size_t at,
                                   int *yes)
{
	pcre2_match_data *match = pcre2_match_data_create(1, NULL);
	int               code;

	if (!match)
		return error_memory("PCRE2");
	code = pcre2_match(a->word, (PCRE2_SPTR)s, n, at, PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK,
	                   match, NULL);
	pcre2_match_data_free(match);
	*yes = code >= 0;
	return OK;
}

/* Neither neighbour of text[start..stop-1] is a word character. */
static int tokenizer_added_stands_alone(const struct added *a, struct slice text, size_t start,
                                        size_t stop, int *yes)
{
	int before = 0, after = 0;

	if (start)
		TRY(tokenizer_added_is_word(a, text.s, text.n, step_back(text.s, start), &before));
	if (stop < text.n)
		TRY(tokenizer_added_is_word(a, text.s, text.n, stop, &after));
	*yes = !before && !after;
	return OK;
}

static size_t spaces_before(struct slice text, size_t at, size_t limit)
{
	while (at > limit) {
		size_t length, before = step_back(text.s, at);
		if (char_class_take(text.s + before, text.n - before, &length) != CHAR_SPACE)
			break;
		at = before;
	}
	return at;
}

static size_t spaces_after(struct slice text, size_t at)
{
	size_t length;

	while (at < text.n && char_class_take(text.s + at, text.n - at, &length) == CHAR_SPACE)
		at += length;
	return at;
}

/* One pass from left to right; lstrip and rstrip let a token take the white space around it. */
int added_cut(const struct added *a, struct slice text, struct pieces *out)
{
	size_t done = 0;

	out->n = 0;
	for (size_t i = 0; a->n && i < text.n;) {
		const struct added_token *token = a->first[(unsigned char)text.s[i]]
		                                          ? longest_at(a, text.s + i, text.n - i)
		                                          : NULL;
		size_t                    start = i, stop;
		int                       alone = 1;

		if (!token) {
			i++;
			continue;
		}
		/* the search continues behind the token even when the token is rejected */
		i = stop = i + token->text.n;
		if (token->single_word)
			TRY(tokenizer_added_stands_alone(a, text, start, stop, &alone));
		if (!alone || start < done)
			continue;
		if (token->lstrip)
			start = spaces_before(text, start, done);
		if (token->rstrip)
			stop = spaces_after(text, stop);
		TRY(pieces_add(out, text.s + done, start - done, -1));
		TRY(pieces_add(out, text.s + start, stop - start, token->id));
		done = stop;
	}
	return pieces_add(out, text.s + done, text.n - done, -1);
}
