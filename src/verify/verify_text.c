#include "base/error.h"
#include "base/fingerprint.h"
#include "base/json.h"
#include "data/dataset.h"
#include "verify/verify.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

VERIFY_CHECK(verify_has_answer)
{
	(void)spec;
	if (!p->answer)
		return error_set(ERR_INPUT, "the problem has no answer");
	return span_trim(span_of(p->answer)).n
	               ? OK
	               : error_set(ERR_INPUT, "the answer is empty: a completion that says nothing "
	                                      "would be right");
}

VERIFY_SCORE(verify_exact)
{
	const struct answer_rule *rule = &spec->options.compare;
	struct span gold = span_of(p->answer), text = span_trim(verify_text(c)), result;

	span_result(text, &result);
	out->parsed = text.n > 0;
	verify_mark(out,
	            span_trim(gold).n &&
	                    (answer_equal(rule, gold, text) || answer_equal(rule, gold, result)),
	            0);
	return OK;
}

/* Drops \text{...} and quotes. */
static struct span bare_word(struct span a)
{
	a = span_undress(a);
	if (span_starts(a, "\\text{") && a.s[a.n - 1] == '}')
		a = (struct span){a.s + 6, a.n - 7};
	if (a.n >= 2 && strchr("\"'", a.s[0]) && a.s[a.n - 1] == a.s[0])
		a = (struct span){a.s + 1, a.n - 2};
	return span_trim(a);
}

/* An unmarked text must be the word alone; a marked one may be dressed up. */
VERIFY_SCORE(verify_zebra)
{
	struct span gold = span_trim(span_of(p->answer)), result;

	(void)spec;
	switch (span_result(verify_text(c), &result)) {
	case SPAN_UNMARKED:
		result = span_trim(result);
		break;
	case SPAN_OPEN:
		result = span_line(result);
		/* fall through */
	case SPAN_CLOSED:
		result = bare_word(result);
		break;
	}
	out->parsed = result.n > 0;
	verify_mark(out, p->answer && gold.n && span_equal_nocase(result, gold), 0);
	return OK;
}

VERIFY_SCORE(verify_sequence)
{
	struct span gold = span_of(p->answer), text = verify_text(c);
	size_t      right = 0;

	(void)spec;
	while (right < gold.n && right < text.n && text.s[right] == gold.s[right])
		right++;
	if (right == gold.n && text.n == gold.n && c->finished)
		right++;
	out->parsed = 1;
	if (span_trim(gold).n == 0)
		right = 0;
	verify_mark(out, right == gold.n + 1, (double)right / (double)(gold.n + 1));
	return OK;
}

VERIFY_CHECK(verify_length_check)
{
	const struct verifier_options *o = &spec->options;

	(void)p;
	if (o->length.low < 0 || o->length.high < o->length.low || o->length.high == 0 ||
	    o->length_slack < 0)
		return error_set(ERR_INPUT, "task.verifier.length %d-%d (slack %d) is not a range",
		                 o->length.low, o->length.high, o->length_slack);
	return OK;
}

VERIFY_SCORE(verify_length)
{
	const struct verifier_options *o = &spec->options;
	double                         n = o->length_in_characters ? (double)c->n : c->n_tokens;
	double                         over = n < o->length.low    ? o->length.low - n
	                                      : n > o->length.high ? n - o->length.high
	                                                           : 0;

	(void)p;
	out->parsed = 1;
	verify_mark(out, over == 0, over < o->length_slack ? 1 - over / o->length_slack : 0);
	return OK;
}

/* ---- stories ---- */

enum { WORD_MAX = 128, SENTENCES_MAX = 4096, STORY_WORDS = 3 };

/* Copies the word to look for to `out`; 0 when there is none. */
static int find_word(const struct reward_spec *spec, const struct problem *p, char out[WORD_MAX])
{
	const char *word = spec->options.word;
	json_t     *row = NULL;
	size_t      n;

	if (!word && p->row && json_parse("row", p->row, strlen(p->row), &row) == OK)
		word = json_string_value(dataset_column(row, "word"));
	n = word ? strlen(word) : 0;
	if (n >= WORD_MAX)
		n = 0;
	if (n)
		memcpy(out, word, n);
	out[n] = 0;
	json_decref(row);
	return n > 0;
}

VERIFY_CHECK(verify_has_word)
{
	char word[WORD_MAX];

	return find_word(spec, p, word)
	               ? OK
	               : error_set(ERR_INPUT, "no word to look for: set task.verifier.word, or "
	                                      "give the rows a column \"word\"");
}

static int verify_text_is_letter(unsigned char c)
{
	return isalnum(c) || c >= 0x80;
}

static int verify_text_stands_alone(struct span text, size_t at, size_t n)
{
	return (at == 0 || !verify_text_is_letter((unsigned char)text.s[at - 1])) &&
	       (at + n >= text.n || !verify_text_is_letter((unsigned char)text.s[at + n]));
}

VERIFY_SCORE(verify_contains)
{
	struct span text = verify_text(c);
	char        word[WORD_MAX];
	int         found = 0;

	if (find_word(spec, p, word))
		for (size_t i = 0; i < text.n && !found; i++)
			found = span_starts_nocase(span_from(text, i), word) &&
			        verify_text_stands_alone(text, i, strlen(word));
	out->parsed = text.n > 0;
	verify_mark(out, found, 0);
	return OK;
}

static struct span verify_text_next_word(struct span *text)
{
	struct span word;
	size_t      n = 0;

	while (text->n && !verify_text_is_letter((unsigned char)text->s[0]))
		*text = span_from(*text, 1);
	while (n < text->n && verify_text_is_letter((unsigned char)text->s[n]))
		n++;
	word = (struct span){text->s, n};
	*text = span_from(*text, n);
	return word;
}

VERIFY_SCORE(verify_ends)
{
	struct span text = span_trim(verify_text(c)), words = text;

	(void)spec, (void)p;
	while (text.n && strchr("\"')", text.s[text.n - 1]))
		text.n--;
	out->parsed = text.n > 0;
	verify_mark(out,
	            c->finished && text.n && strchr(".!?", text.s[text.n - 1]) != NULL &&
	                    verify_text_next_word(&words).n > 0,
	            0);
	return OK;
}

static int compare_hashes(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Hashes the letters of each sentence in lower case, with a space between words. Only the first
 * SENTENCES_MAX sentences are compared. Returns their number. */
static int hash_sentences(struct span text, uint64_t hash[SENTENCES_MAX])
{
	uint64_t h = FINGERPRINT_EMPTY;
	int      n = 0, gap = 0;

	for (size_t i = 0; i <= text.n && n < SENTENCES_MAX; i++) {
		unsigned char byte = i < text.n ? (unsigned char)text.s[i] : '.',
		              small = (unsigned char)tolower(byte);
		if (verify_text_is_letter(byte)) {
			if (gap && h != FINGERPRINT_EMPTY)
				h = fingerprint_bytes(h, " ", 1);
			h = fingerprint_bytes(h, &small, 1);
			gap = 0;
		} else if (byte == '.' || byte == '!' || byte == '?' || byte == '\n') {
			if (h != FINGERPRINT_EMPTY)
				hash[n++] = h;
			h = FINGERPRINT_EMPTY;
			gap = 0;
		} else {
			gap |= byte == ' ';
		}
	}
	return n;
}

VERIFY_SCORE(verify_no_repeat)
{
	uint64_t hash[SENTENCES_MAX];
	int      n = hash_sentences(verify_text(c), hash), repeats = 0;

	(void)spec, (void)p;
	qsort(hash, (size_t)n, sizeof hash[0], compare_hashes);
	for (int i = 1; i < n; i++)
		repeats += hash[i] == hash[i - 1];
	out->parsed = n > 0;
	verify_mark(out, n > 0 && repeats == 0, 0);
	return OK;
}

/* Are there STORY_WORDS different words? "dog." alone is not a story. */
static int has_words(struct span text)
{
	struct span known[STORY_WORDS], word;
	int         n = 0;

	while (n < STORY_WORDS && (word = verify_text_next_word(&text)).n) {
		int i = 0;
		while (i < n && !span_equal_nocase(known[i], word))
			i++;
		if (i == n)
			known[n++] = word;
	}
	return n == STORY_WORDS;
}

VERIFY_SCORE(verify_story)
{
	struct score word, end, fresh;
	int          right;

	TRY(verify_contains(spec, p, c, &word));
	TRY(verify_ends(spec, p, c, &end));
	TRY(verify_no_repeat(spec, p, c, &fresh));
	right = has_words(verify_text(c)) ? word.right + end.right + fresh.right : 0;
	out->parsed = fresh.parsed;
	verify_mark(out, right == 3, spec->options.partial * right / 3);
	return OK;
}
