#include "verify/statement.h"

#include "verify/unit.h"

#include <ctype.h>
#include <string.h>

enum { GAP_MAX = 32, TOUCH_MAX = 64 };

static int only(struct statement *out, struct span a)
{
	out->piece[0] = span_trim(a);
	out->n = 1;
	return 1;
}

/* The closing brace of the one before `from`, or text.n when there is none. "\{" and "\}" do not
 * count. */
static size_t closing_brace(struct span text, size_t from)
{
	int depth = 1;

	for (size_t i = from; i < text.n; i++) {
		if (text.s[i] == '\\' && i + 1 < text.n && strchr("{}\\", text.s[i + 1]) &&
		    text.s[i + 1]) {
			i++;
			continue;
		}
		depth += (text.s[i] == '{') - (text.s[i] == '}');
		if (depth == 0)
			return i;
	}
	return text.n;
}

/* A box: its place in the text, from its backslash to behind it, and its content. */
struct box {
	size_t      from, to;
	struct span inside;
	int         closed;
};

/* Reads "\boxed{...}" or "\fbox {...}" at text[i]; "\boxed 5" holds the text up to white space. */
static int box_at(struct span text, size_t i, struct box *out)
{
	static const char *const names[] = {"\\boxed", "\\fbox"};
	size_t                   at = i, blank, end;

	for (size_t j = 0; j < 2; j++)
		if (span_starts(span_from(text, i), names[j]))
			at = i + strlen(names[j]);
	if (at == i)
		return 0;
	for (blank = at; at < text.n && text.s[at] == ' '; at++)
		;
	*out = (struct box){.from = i, .to = at};
	if (at < text.n && text.s[at] == '{') {
		end = closing_brace(text, at + 1);
		out->closed = end < text.n;
		out->inside = span_trim((struct span){text.s + at + 1, end - at - 1});
		out->to = end + (size_t)out->closed;
		return 1;
	}
	for (end = at;
	     end < text.n && (isalnum((unsigned char)text.s[end]) || strchr(".,/-", text.s[end])) &&
	     text.s[end];
	     end++)
		;
	while (end > at && strchr(".,", text.s[end - 1]))
		end--;
	out->inside = (struct span){text.s + at, end - at};
	out->to = end;
	out->closed = end > at && (at > blank || isdigit((unsigned char)text.s[at]));
	return out->closed;
}

static int contains_word(struct span a, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= a.n; i++)
		if (span_starts_nocase(span_from(a, i), word) &&
		    (i == 0 || !isalpha((unsigned char)a.s[i - 1])) &&
		    (i + n == a.n || !isalpha((unsigned char)a.s[i + n])))
			return 1;
	return 0;
}

/* Does the text between two boxes only join them? */
static int connects(struct span gap)
{
	int letters = 0;

	if (gap.n > GAP_MAX)
		return 0;
	if (contains_word(gap, "and") || contains_word(gap, "or"))
		return 1;
	for (size_t i = 0; i < gap.n; i++)
		letters += isalnum((unsigned char)gap.s[i]) != 0;
	return letters == 0 && memchr(gap.s, '.', gap.n) == NULL &&
	       memchr(gap.s, '\n', gap.n) == NULL && memchr(gap.s, '=', gap.n) == NULL;
}

/* Does the box touch a digit or an operator? A minus sign belongs to the box, and the piece then
 * starts there. A dash with a blank behind it at the start of a line is a bullet. */
static int touches(struct span text, const struct box *box, struct span *piece)
{
	size_t i = box->from;
	int    blank = 0;

	if (box->to < text.n && (isdigit((unsigned char)text.s[box->to]) || text.s[box->to] == '^'))
		return 1;
	while (i && box->from - i < TOUCH_MAX && (strchr(" ${(", text.s[i - 1]) && text.s[i - 1])) {
		blank |= text.s[--i] == ' ';
	}
	if (i == 0)
		return 0;
	if (isdigit((unsigned char)text.s[i - 1]))
		return i == box->from;
	if (text.s[i - 1] == '-') {
		size_t before = i - 1;
		while (before && i - before < TOUCH_MAX && strchr(" $(", text.s[before - 1]) &&
		       text.s[before - 1])
			before--;
		if (before == 0 || text.s[before - 1] == '\n')
			return blank ? 0
			             : (*piece = (struct span){text.s + i - 1, box->to - i + 1}, 0);
		if (strchr("=:{", text.s[before - 1]) ||
		    (isalpha((unsigned char)text.s[before - 1]) && !blank)) {
			*piece = (struct span){text.s + i - 1, box->to - i + 1};
			return 0;
		}
		return 1;
	}
	if (text.s[i - 1] == '*')
		return !(i >= 2 && text.s[i - 2] == '*') &&
		       !(i == 1 || text.s[i - 2] == '\n' || text.s[i - 2] == ' ');
	return strchr("+/^", text.s[i - 1]) != NULL ||
	       (i >= 5 && !memcmp(text.s + i - 5, "\\cdot", 5)) ||
	       (i >= 6 && !memcmp(text.s + i - 6, "\\times", 6)) ||
	       (i >= 3 && !memcmp(text.s + i - 3, "\\pm", 3));
}

enum statement_found { NOWHERE, FOUND, NO_ANSWER };

/* Finds the last boxes. If the last one is open, or part of a formula, there is no result, whatever
 * comes before it. */
static enum statement_found find_boxes(struct span text, int open_counts, struct statement *out)
{
	struct box box;
	size_t     end = 0;
	int        none = 0, any = 0;

	out->n = 0;
	for (size_t i = 0; i < text.n; i++) {
		out->steps++;
		if (text.s[i] != '\\' || !box_at(text, i, &box))
			continue;
		out->steps += (long)(box.to - box.from);
		if (out->n && (out->n == STATEMENT_PIECES ||
		               !connects((struct span){text.s + end, i - end}))) {
			out->n = 0;
			none = 0;
		}
		out->piece[out->n] = box.inside;
		none |= (!box.closed && !open_counts) || touches(text, &box, &out->piece[out->n]);
		out->n++;
		any = 1;
		end = box.to;
		i = end - 1;
	}
	return none ? NO_ANSWER : any ? FOUND : NOWHERE;
}

/* Does the text have words that change a result or take it back? */
static int statement_is_hedged(struct span a)
{
	static const char *const words[] = {
	        "not",   "never",   "neither", "nor",     "isn't",    "wasn't",   "cannot",
	        "can't", "doesn't", "don't",   "more",    "less",     "than",     "either",
	        "least", "between", "million", "billion", "trillion", "thousand", "dozen",
	        "half",  "twice",   "unless",  "except",  "wrong",    "incorrect"};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (contains_word(a, words[i]))
			return 1;
	return 0;
}

/* The sentence around text[i], between full stops or newlines. */
static struct span sentence_around(struct span text, size_t i)
{
	size_t from = i, to = i;

	while (from && i - from < 400 && text.s[from - 1] != '\n' &&
	       !(text.s[from - 1] == ' ' && from >= 2 && strchr(".?!", text.s[from - 2])))
		from--;
	while (to < text.n && to - i < 400 && text.s[to] != '\n' &&
	       !(text.s[to] == '.' && (to + 1 == text.n || text.s[to + 1] == ' ')))
		to++;
	return (struct span){text.s + from, to - from};
}

/* The first sentence of the span: up to a newline, a full stop before white space, or a chat
 * marker. */
static struct span sentence(struct span a)
{
	a = span_trim(a);
	for (size_t i = 0; i < a.n; i++)
		if ((a.s[i] == '\n' && i && a.s[i - 1] != '[' && a.s[i - 1] != '$' &&
		     a.s[i - 1] != '(') ||
		    (a.s[i] == '.' && (i + 1 == a.n || isspace((unsigned char)a.s[i + 1]))) ||
		    span_starts(span_from(a, i), "<|") ||
		    span_starts(span_from(a, i), "\xE3\x80\x82"))
			return (struct span){a.s, i};
	return a;
}

static const struct {
	const char *open, *close;
} delimiters[] = {{"$$", "$$"}, {"$", "$"}, {"\\(", "\\)"}, {"\\[", "\\]"}};

/* Reads a piece of mathematics that starts at text[i] and writes its end; "\$" is money. */
static int math_at(struct span text, size_t i, struct span *piece, size_t *end)
{
	if (text.s[i] != '$' && text.s[i] != '\\')
		return 0;
	for (size_t j = 0; j < 4; j++) {
		struct span rest = span_from(text, i);
		const char *close;
		if (!span_starts(rest, delimiters[j].open))
			continue;
		rest = span_from(rest, strlen(delimiters[j].open));
		close = rest.n ? memmem(rest.s, rest.n, delimiters[j].close,
		                        strlen(delimiters[j].close))
		               : NULL;
		if (!close)
			continue;
		*piece = span_trim((struct span){rest.s, (size_t)(close - rest.s)});
		*end = (size_t)(close - text.s) + strlen(delimiters[j].close);
		return 1;
	}
	return 0;
}

/* A word that a formula would not hold. */
static int is_prose_word(struct span w)
{
	static const char *const formulas[] = {"and", "or",  "pi", "sin", "cos", "tan", "cot",
	                                       "sec", "csc", "ln", "log", "exp", "sqrt"};
	int                      small = 0;

	for (size_t i = 0; i < w.n; i++)
		small |= islower((unsigned char)w.s[i]) != 0;
	for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++)
		if (span_equal_nocase(w, span_of(formulas[i])))
			return 0;
	return w.n >= 2 && small && !unit_is_known(w);
}

static size_t letters(struct span a)
{
	size_t n = 0;

	while (n < a.n && isalpha((unsigned char)a.s[n]))
		n++;
	return n;
}

/* Finds the last piece of mathematics. *prose counts the words of prose outside such pieces. A
 * delimiter that was found unclosed is not searched for again, so the scan stays linear. */
static int last_math(struct span text, struct span *out, int *prose, long *steps)
{
	int found = 0, dead = 0;

	*prose = 0;
	for (size_t i = 0; i < text.n; ++*steps) {
		size_t end;
		if (text.s[i] == '\\' && i + 1 < text.n && !strchr("([", text.s[i + 1])) {
			i += 2;
			continue;
		}
		if ((text.s[i] == '$' || text.s[i] == '\\') && dead < 8) {
			*steps += dead ? (long)(text.n - i) : 0;
			if (math_at(text, i, out, &end)) {
				found = 1;
				i = end;
				continue;
			}
			dead++;
		}
		if (isalpha((unsigned char)text.s[i])) {
			struct span w = {text.s + i, letters(span_from(text, i))};
			*prose += is_prose_word(w);
			i += w.n;
			continue;
		}
		i++;
	}
	return found;
}

/* Two words of prose, outside commands and the braces of \text and \begin, make a text prose. */
static int is_prose(struct span a)
{
	static const char *const braced[] = {"text", "mbox", "begin", "end", "operatorname"};
	int                      words = 0;

	for (size_t i = 0; i < a.n;) {
		int    command = a.s[i] == '\\';
		size_t n;
		while (i < a.n && a.s[i] == '\\')
			i++;
		n = letters(span_from(a, i));
		words += !command && is_prose_word((struct span){a.s + i, n});
		for (size_t j = 0; command && j < sizeof braced / sizeof braced[0]; j++)
			if (span_starts(span_from(a, i), braced[j]) && i + n < a.n &&
			    a.s[i + n] == '{') {
				n = closing_brace(a, i + n + 1) - i;
				break;
			}
		i += n ? n : (size_t)!command;
	}
	return words >= 2;
}

/* The text behind the last " word ", else the whole text. */
static struct span behind_last(struct span a, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = a.n; i-- > 0;)
		if (span_starts_nocase(span_from(a, i), word))
			return span_from(a, i + n);
	return a;
}

/* Finds the last formula of a sentence that announces a result: behind "is", unless the sentence
 * denies it or leaves it open. */
static enum statement_found find_in_sentence(struct span a, struct statement *out)
{
	struct span piece;
	int         prose;

	a = behind_last(a, " is ");
	if (span_starts(a, "**"))
		a = span_from(a, 2);
	if (a.n >= 2 && !memcmp(a.s + a.n - 2, "**", 2))
		a.n -= 2;
	if (span_starts_nocase(a, "not ") || span_starts_nocase(a, "either "))
		return NO_ANSWER;
	if (last_math(a, &piece, &prose, &out->steps) && prose) {
		if (statement_is_hedged(a))
			return NO_ANSWER;
		return only(out, piece) ? FOUND : NOWHERE;
	}
	return only(out, a) ? FOUND : NOWHERE;
}

/* Where the result starts behind "answer is", "answer:", "answer**:", "**Answer:**" or a heading
 * that ends in "answer" at text[i]; 0 for none. */
static size_t announced_at(struct span text, size_t i)
{
	static const char *const chinese[] = {"\xE7\xAD\x94\xE6\xA1\x88\xE6\x98\xAF",
	                                      "\xE7\xAD\x94\xE6\xA1\x88\xE4\xB8\xBA",
	                                      "\xE7\xAD\x94\xE6\xA1\x88"};
	size_t                   at = i + 6, line = i;
	int                      colon = 0;

	for (size_t j = 0; j < 3; j++)
		if (span_starts(span_from(text, i), chinese[j])) {
			at = i + strlen(chinese[j]);
			if (span_starts(span_from(text, at), "\xEF\xBC\x9A"))
				return at + 3;
			return at < text.n && text.s[at] == ':' ? at + 1 : j < 2 ? at : 0;
		}
	if (!span_starts_nocase(span_from(text, i), "answer"))
		return 0;
	while (at < text.n && strchr("*_ ", text.s[at]) && text.s[at])
		at++;
	if (span_starts_nocase(span_from(text, at), "is") &&
	    !(at + 2 < text.n && isalnum((unsigned char)text.s[at + 2])))
		return span_starts(span_from(text, at + 2), "n't")
		               ? 0
		               : at + 2 + (at + 2 < text.n && text.s[at + 2] == ':');
	if (span_starts(span_from(text, at), "\xEF\xBC\x9A"))
		return at + 3;
	colon = at < text.n && text.s[at] == ':';
	if (colon)
		return at + 1;
	/* checked first, because a long line full of "answer" would cost its length squared */
	if (at >= text.n || text.s[at] != '\n')
		return 0;
	while (line && text.s[line - 1] != '\n')
		line--;
	return strchr("#*", text.s[line]) && text.s[line] ? at + 1 : 0;
}

/* Finds the last "answer is" or the like, from the end, and takes the text behind it to the end of
 * the sentence. */
static enum statement_found find_announced(struct span text, struct statement *out)
{
	for (size_t i = text.n; i-- > 0;) {
		unsigned char c = (unsigned char)text.s[i];
		size_t        at = (c | 32) == 'a' || c == 0xE7 ? announced_at(text, i) : 0;
		struct span   rest;
		out->steps++;
		if (!at)
			continue;
		rest = span_trim(span_from(text, at));
		out->steps += (long)rest.n;
		if (rest.n && rest.s[0] == ':')
			rest = span_trim(span_from(rest, 1));
		if (span_starts(rest, "**")) /* "**Answer:** 5" */
			rest = span_trim(span_from(rest, 2));
		return rest.n ? find_in_sentence(sentence(rest), out) : NO_ANSWER;
	}
	return NOWHERE;
}

static int find_bracket(struct span text, struct statement *out)
{
	for (size_t i = text.n; i-- > 0;)
		if (text.s[i] == ']') {
			for (size_t j = i; j-- > 0;)
				if (text.s[j] == '[')
					return only(out, (struct span){text.s + j + 1, i - j - 1});
			return 0;
		}
	return 0;
}

static int is_announced(struct span text, size_t i)
{
	static const char *const words[] = {" is", "=",       ":",   " are",
	                                    "'s",  " equals", " be", "\xE2\x89\x88"};

	while (i && (text.s[i - 1] == ' ' || text.s[i - 1] == '$' || text.s[i - 1] == '-' ||
	             text.s[i - 1] == '*'))
		i--;
	for (size_t j = 0; j < sizeof words / sizeof words[0]; j++) {
		size_t n = strlen(words[j]);
		if (i >= n && span_starts_nocase(span_from(text, i - n), words[j]))
			return 1;
	}
	return 0;
}

/* The part of the sentence before text[i] since the last digit: "not 10, it's 12" does not deny
 * 12. */
static struct span since_last_number(struct span text, size_t i)
{
	struct span a = sentence_around(text, i);
	size_t      from = i;

	while (from > (size_t)(a.s - text.s) && !isdigit((unsigned char)text.s[from - 1]))
		from--;
	return (struct span){text.s + from, (size_t)(a.s - text.s) + a.n - from};
}

/* Takes the last number of the text if the words before it announce a result. */
static int find_number(struct span text, struct statement *out)
{
	for (size_t i = text.n; i-- > 0;) {
		size_t end = i + 1, start = i;
		out->steps++;
		if (!isdigit((unsigned char)text.s[i]))
			continue;
		while (start &&
		       (isdigit((unsigned char)text.s[start - 1]) ||
		        strchr(".,/", text.s[start - 1])) &&
		       text.s[start - 1])
			start--;
		if (start < end && strchr(",/", text.s[start]))
			start++;
		if (!is_announced(text, start) ||
		    statement_is_hedged(since_last_number(text, start)))
			return 0;
		if (start && text.s[start - 1] == '-')
			start--;
		return only(out, (struct span){text.s + start, end - start});
	}
	return 0;
}

/* Drops the thinking; 0 when it never ends. */
static int behind_thinking(struct span *text)
{
	struct span a = *text;

	for (size_t i = a.n; i-- > 0;)
		if (a.s[i] == '<' && span_starts(span_from(a, i), "</think>")) {
			*text = span_from(a, i + 8);
			return 1;
		}
	for (size_t i = 0; i < a.n; i++)
		if (a.s[i] == '<' && span_starts(span_from(a, i), "<think>"))
			return 0;
	return 1;
}

/* Tries the places in the order that statement.h lists; each may also end the search. */
int statement_of_completion(struct span text, struct statement *out)
{
	struct span          a;
	int                  prose;
	enum statement_found found;

	out->n = 0;
	out->steps = 3 * (long)text.n; /* the scans for thinking and for the markers of span.h */
	if (!behind_thinking(&text))
		return 0;
	text = span_trim(text);
	found = find_boxes(text, 0, out);
	if (found != NOWHERE)
		return found == FOUND;
	switch (span_result(text, &a)) {
	case SPAN_CLOSED:
		return only(out, a);
	case SPAN_OPEN:
		if (a.s > text.s && a.s[-1] == '#')
			return only(out, span_line(a));
		break;
	case SPAN_UNMARKED:
		break;
	}
	found = find_announced(text, out);
	if (found != NOWHERE)
		return found == FOUND;
	if (last_math(text, &a, &prose, &out->steps) && prose)
		return !statement_is_hedged(sentence_around(text, (size_t)(a.s - text.s))) &&
		       only(out, a);
	if (!is_prose(text))
		return only(out, text);
	return find_bracket(text, out) || find_number(text, out);
}

/* An answer hedges nothing and has no prose, so only its markers are looked for. */
int statement_of_gold(struct span text, struct statement *out)
{
	struct span a;

	out->steps = 0;
	text = span_trim(text);
	if (find_boxes(text, 1, out) != NOWHERE)
		return out->n > 0;
	switch (span_result(text, &a)) {
	case SPAN_CLOSED:
		return only(out, a);
	case SPAN_OPEN:
		if (a.s > text.s && a.s[-1] == '#' && a.s - text.s >= 4 &&
		    !memcmp(a.s - 4, "####", 4))
			return only(out, span_line(a));
		break;
	case SPAN_UNMARKED:
		break;
	}
	return only(out, text);
}
