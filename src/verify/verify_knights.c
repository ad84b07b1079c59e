#include "base/error.h"
#include "verify/verify.h"

#include <ctype.h>
#include <string.h>

enum { PEOPLE_MAX = 26 };

/* ---- letters: "AbC" ---- */

/* One letter per person, in order: A or a, B or b, ... */
static int is_letters(struct span a)
{
	for (size_t i = 0; i < a.n; i++)
		if (toupper((unsigned char)a.s[i]) != (int)('A' + i))
			return 0;
	return a.n > 0 && a.n <= PEOPLE_MAX;
}

static int count_letters(struct span gold, struct span result)
{
	int right = 0;

	for (size_t i = 0; i < gold.n; i++)
		right += gold.s[i] == result.s[i];
	return right;
}

/* ---- words: "Amelia is a knight" ---- */

struct claim {
	/* the role is empty when the claim is not definite: "is not a knight", "is a knight or a
	 * knave" */
	struct span name, role;
};

static int verify_knights_is_letter(char c)
{
	return isalpha((unsigned char)c) || (unsigned char)c >= 0x80;
}

static int verify_knights_is_gap(char c)
{
	return isspace((unsigned char)c) || c == '*' || c == '_' || c == 0;
}

static size_t skip_gap(struct span a, size_t i)
{
	while (i < a.n && verify_knights_is_gap(a.s[i]))
		i++;
	return i;
}

/* The word at i, including signs that make it another word ("angel/devil", "knight-errant"). */
static struct span word_at(struct span a, size_t i)
{
	size_t end = i;

	while (end < a.n &&
	       (verify_knights_is_letter(a.s[end]) || isdigit((unsigned char)a.s[end]) ||
	        (a.s[end] && strchr("/-'", a.s[end]))))
		end++;
	return (struct span){a.s + i, end - i};
}

static struct span word_before(struct span a, size_t i)
{
	size_t end = i, start;

	while (end && verify_knights_is_gap(a.s[end - 1]))
		end--;
	for (start = end; start && verify_knights_is_letter(a.s[start - 1]);)
		start--;
	return (struct span){a.s + start, end - start};
}

static int verify_knights_is_word(struct span word, const char *text)
{
	return span_equal_nocase(word, span_of(text));
}

static int is_article(struct span word)
{
	return verify_knights_is_word(word, "a") || verify_knights_is_word(word, "an") ||
	       verify_knights_is_word(word, "the");
}

/* The word at i, or the next one when that is an article. *i moves behind it. */
static struct span noun_at(struct span a, size_t *i)
{
	struct span word = word_at(a, skip_gap(a, *i));

	if (is_article(word))
		word = word_at(a, skip_gap(a, (size_t)(word.s - a.s) + word.n));
	*i = (size_t)(word.s - a.s) + word.n;
	return word;
}

/* "... or a knave", "... and a knave" behind a role; "... or Ella is a knave" is another claim. */
static int verify_knights_is_hedged(struct span a, size_t i)
{
	struct span word = noun_at(a, &i), article, verb;

	if (!verify_knights_is_word(word, "or") && !verify_knights_is_word(word, "and"))
		return 0;
	article = word_at(a, skip_gap(a, i));
	noun_at(a, &i);
	verb = noun_at(a, &i);
	return !verify_knights_is_word(verb, "is") && !verify_knights_is_word(verb, "are") &&
	       (verify_knights_is_word(word, "or") || is_article(article));
}

/* Does "is" at text[i] make a claim? Looks at one word before and at most four behind, so a scan
 * over all i stays linear. */
static int claim_at(struct span text, size_t i, struct claim *out)
{
	size_t at = i + 2;

	if (!span_starts_nocase(span_from(text, i), "is") || i == 0 ||
	    !verify_knights_is_gap(text.s[i - 1]) || at >= text.n ||
	    !verify_knights_is_gap(text.s[at]))
		return 0;
	out->name = word_before(text, i);
	out->role = noun_at(text, &at);
	if (verify_knights_is_word(out->role, "not") || verify_knights_is_hedged(text, at))
		out->role.n = 0;
	return out->name.n > 0;
}

struct people {
	struct claim claim[PEOPLE_MAX];
	int          n;
};

/* Reads an answer in words: each name once, each with a role. */
static int read_people(struct span gold, struct people *out)
{
	struct claim claim;

	out->n = 0;
	for (size_t i = 0; i < gold.n; i++) {
		if (!claim_at(gold, i, &claim))
			continue;
		if (out->n == PEOPLE_MAX || claim.role.n == 0)
			return 0;
		for (int j = 0; j < out->n; j++)
			if (span_equal_nocase(out->claim[j].name, claim.name))
				return 0;
		out->claim[out->n++] = claim;
	}
	return out->n > 0;
}

/* ---- sentences ---- */

/* Is the word one that keeps a sentence from stating a fact? "not" counts only before "that": "Bo
 * is not a knight" makes no claim anyway. */
static int is_doubt(struct span word)
{
	static const char *const doubts[] = {
	        "if",         "iff",        "suppose",      "supposing", "assume",    "assuming",
	        "assumption", "whether",    "then",         "perhaps",   "maybe",     "possibly",
	        "might",      "could",      "would",        "either",    "neither",   "unless",
	        "when",       "whenever",   "says",         "said",      "say",       "claims",
	        "claimed",    "states",     "stated",       "thinks",    "believes",  "nobody",
	        "imagine",    "false",      "wrong",        "untrue",    "incorrect", "case",
	        "hypothesis", "impossible", "contradiction"};

	for (size_t i = 0; i < sizeof doubts / sizeof *doubts; i++)
		if (verify_knights_is_word(word, doubts[i]))
			return 1;
	return 0;
}

/* The end of the sentence at i; *certain: it asks, supposes and denies nothing. */
static size_t read_sentence(struct span text, size_t i, int *certain)
{
	int denies = 0;

	*certain = 1;
	while (i < text.n && !strchr(".!?\n", text.s[i] ? text.s[i] : ' ')) {
		struct span word = word_at(text, i);
		denies |= verify_knights_is_word(word, "not");
		if (is_doubt(word) || (denies && verify_knights_is_word(word, "that")))
			*certain = 0;
		i += word.n ? word.n : 1;
	}
	if (i < text.n && text.s[i] == '?')
		*certain = 0;
	return i + 1;
}

struct verify_knights_tally {
	int right, named;
};

/* Counts the last claim about each person. With `strict`, two different claims about one person
 * count as wrong. */
static struct verify_knights_tally count_people(const struct people *gold, struct span text,
                                                int strict)
{
	struct span                 said[PEOPLE_MAX] = {0};
	int                         known[PEOPLE_MAX] = {0};
	struct verify_knights_tally t = {0};
	struct claim                claim;
	size_t                      end = 0;
	int                         certain = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (i >= end)
			end = read_sentence(text, i, &certain);
		if (!certain || !claim_at(text, i, &claim))
			continue;
		for (int j = 0; j < gold->n; j++) {
			if (!span_equal_nocase(gold->claim[j].name, claim.name))
				continue;
			if (strict && known[j] && !span_equal_nocase(said[j], claim.role))
				claim.role.n = 0;
			known[j] = 1;
			said[j] = claim.role;
		}
	}
	for (int j = 0; j < gold->n; j++) {
		t.named += known[j];
		t.right += known[j] && span_equal_nocase(said[j], gold->claim[j].role);
	}
	return t;
}

/* ---- the verdict ---- */

VERIFY_CHECK(verify_knights_check)
{
	struct people people;

	TRY(verify_has_answer(spec, p));
	if (is_letters(span_trim(span_of(p->answer))) || read_people(span_of(p->answer), &people))
		return OK;
	return error_set(ERR_INPUT,
	                 "the answer \"%.60s\" must read \"AbC\" or \"Amelia is a knight, ...\", "
	                 "each of at most %d people once",
	                 p->answer, PEOPLE_MAX);
}

/* Letters are compared one by one, words by the last claim about each person. */
VERIFY_SCORE(verify_knights)
{
	struct span    gold = span_trim(span_of(p->answer)), result;
	enum span_mark kind = span_result(verify_text(c), &result);
	struct people  people;
	int            right = 0, all = 1;

	*out = (struct score){0};
	result = span_trim(result);
	if (is_letters(gold)) {
		all = (int)gold.n;
		out->parsed = is_letters(result) && result.n == gold.n;
		right = out->parsed ? count_letters(gold, result) : 0;
	} else if (read_people(gold, &people)) {
		struct verify_knights_tally t =
		        count_people(&people, result, kind != SPAN_UNMARKED);
		all = people.n;
		out->parsed = t.named == all;
		right = t.right;
	}
	verify_mark(out, right == all, spec->options.partial * right / all);
	return OK;
}
