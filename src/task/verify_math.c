#include "base/error.h"
#include "task/formula.h"
#include "task/verify.h"

#include <ctype.h>
#include <string.h>

/* ---- where the answer stands ----
 *
 * 1. the last \boxed{...} or \fbox{...}; boxes that follow each other, parted by "and", "or", a comma or nothing, are one list
 * 2. <answer>...</answer>, #### ...
 * 3. behind the last "answer is" or "answer:", to the end of the sentence; of "The volume is 120" what follows "is"
 * 4. the whole text when it is no prose
 * 5. the last $...$, \(...\) or \[...\]
 * 6. the last [...]
 * 7. the last number that is announced: behind "is", "=", ":", "are", "it's"
 */

enum { PIECES_MAX = 16, GAP_MAX = 32, ANSWER_MAX = 4096 };

struct found {
	struct span piece[PIECES_MAX];
	int         n;
};

static int only(struct found *out, struct span a)
{
	out->piece[0] = span_trim(a);
	out->n = 1;
	return 1;
}

/* The end of what the brace before `from` opens; text.n when nothing closes it. "\{" and "\}" do not count. */
static size_t closing_brace(struct span text, size_t from)
{
	int depth = 1;

	for (size_t i = from; i < text.n; i++) {
		if (text.s[i] == '\\' && i + 1 < text.n && strchr("{}\\", text.s[i + 1]) && text.s[i + 1]) {
			i++;
			continue;
		}
		depth += (text.s[i] == '{') - (text.s[i] == '}');
		if (depth == 0)
			return i;
	}
	return text.n;
}

/* Behind "\boxed" or "\fbox" and its opening brace at text[i]; 0 when there is none. "\boxed 5" is not one. */
static size_t box_at(struct span text, size_t i)
{
	static const char *const names[] = {"\\boxed", "\\fbox"};

	for (size_t j = 0; j < 2; j++)
		if (span_starts(span_from(text, i), names[j])) {
			size_t at = i + strlen(names[j]);
			while (at < text.n && text.s[at] == ' ')
				at++;
			return at < text.n && text.s[at] == '{' ? at + 1 : 0;
		}
	return 0;
}

static int contains_word(struct span a, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= a.n; i++)
		if (span_starts_nocase(span_from(a, i), word) && (i == 0 || !isalpha((unsigned char)a.s[i - 1])) &&
		    (i + n == a.n || !isalpha((unsigned char)a.s[i + n])))
			return 1;
	return 0;
}

/* Is what stands between two boxes a mere connection? */
static int connects(struct span gap)
{
	int letters = 0;

	if (gap.n > GAP_MAX)
		return 0;
	if (contains_word(gap, "and") || contains_word(gap, "or"))
		return 1;
	for (size_t i = 0; i < gap.n; i++)
		letters += isalnum((unsigned char)gap.s[i]) != 0;
	return letters == 0 && memchr(gap.s, '.', gap.n) == NULL && memchr(gap.s, '\n', gap.n) == NULL && memchr(gap.s, '=', gap.n) == NULL;
}

static int find_boxes(struct span text, struct found *out)
{
	size_t end = 0;

	out->n = 0;
	for (size_t i = 0; i < text.n; i++) {
		size_t from = text.s[i] == '\\' ? box_at(text, i) : 0, close;
		if (!from)
			continue;
		close = closing_brace(text, from);
		if (out->n && (out->n == PIECES_MAX || !connects((struct span){text.s + end, i - end})))
			out->n = 0;
		out->piece[out->n++] = span_trim((struct span){text.s + from, close - from});
		if (close == text.n && out->piece[out->n - 1].n > 1 && memchr(out->piece[out->n - 1].s, '\n', out->piece[out->n - 1].n))
			out->piece[out->n - 1] = span_line(out->piece[out->n - 1]);
		end = close < text.n ? close + 1 : close;
		i = end ? end - 1 : end;
	}
	return out->n > 0;
}

/* The end of the sentence that starts the span: a line's end, a full stop before white space, a mark of a chat. */
static struct span sentence(struct span a)
{
	a = span_trim(a);
	for (size_t i = 0; i < a.n; i++)
		if ((a.s[i] == '\n' && i && a.s[i - 1] != '[' && a.s[i - 1] != '$' && a.s[i - 1] != '(') ||
		    (a.s[i] == '.' && (i + 1 == a.n || isspace((unsigned char)a.s[i + 1]))) || span_starts(span_from(a, i), "<|"))
			return (struct span){a.s, i};
	return a;
}

static const struct {
	const char *open, *close;
} delimiters[] = {{"$$", "$$"}, {"$", "$"}, {"\\(", "\\)"}, {"\\[", "\\]"}};

/* A piece of mathematics that starts at text[i], its end in *end; "\$" is money. */
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
		close = rest.n ? memmem(rest.s, rest.n, delimiters[j].close, strlen(delimiters[j].close)) : NULL;
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
	static const char *const formulas[] = {"and", "or", "pi", "sin", "cos", "tan", "cot", "sec", "csc", "ln", "log", "exp", "sqrt"};
	int                      small = 0;

	for (size_t i = 0; i < w.n; i++)
		small |= islower((unsigned char)w.s[i]) != 0;
	for (size_t i = 0; i < sizeof formulas / sizeof formulas[0]; i++)
		if (span_equal_nocase(w, span_of(formulas[i])))
			return 0;
	return w.n >= 2 && small && !formula_is_unit(w);
}

static size_t letters(struct span a)
{
	size_t n = 0;

	while (n < a.n && isalpha((unsigned char)a.s[n]))
		n++;
	return n;
}

/* The last piece of mathematics. *prose counts the words of prose outside of such pieces.
 * After one unclosed delimiter the search for it is not repeated, so the scan stays linear. */
static int last_math(struct span text, struct span *out, int *prose)
{
	int found = 0, dead = 0;

	*prose = 0;
	for (size_t i = 0; i < text.n;) {
		size_t end;
		if (text.s[i] == '\\' && i + 1 < text.n && !strchr("([", text.s[i + 1])) {
			i += 2;
			continue;
		}
		if ((text.s[i] == '$' || text.s[i] == '\\') && dead < 8) {
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

/* Two such words, outside of commands and of the braces of \text and \begin, make prose. */
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
			if (span_starts(span_from(a, i), braced[j]) && i + n < a.n && a.s[i + n] == '{') {
				n = closing_brace(a, i + n + 1) - i;
				break;
			}
		i += n ? n : (size_t)!command;
	}
	return words >= 2;
}

/* Behind the last " word ", else the whole. */
static struct span behind_last(struct span a, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = a.n; i-- > 0;)
		if (span_starts_nocase(span_from(a, i), word))
			return span_from(a, i + n);
	return a;
}

static int find_in_sentence(struct span a, struct found *out)
{
	struct span piece;
	int         prose;

	a = behind_last(a, " is ");
	if (span_starts(a, "**"))
		a = span_from(a, 2);
	if (a.n >= 2 && !memcmp(a.s + a.n - 2, "**", 2))
		a.n -= 2;
	if (last_math(a, &piece, &prose) && prose)
		return only(out, piece);
	return only(out, a);
}

static int find_announced(struct span text, struct found *out)
{
	static const char *const marks[] = {"answer is", "answer:"};

	for (size_t i = text.n; i-- > 0;)
		for (size_t j = 0; j < 2; j++)
			if ((text.s[i] | 32) == 'a' && span_starts_nocase(span_from(text, i), marks[j])) {
				struct span rest = span_trim(span_from(text, i + strlen(marks[j])));
				if (rest.n && rest.s[0] == ':')
					rest = span_from(rest, 1);
				return find_in_sentence(sentence(rest), out);
			}
	return 0;
}

static int find_bracket(struct span text, struct found *out)
{
	for (size_t i = text.n; i-- > 0;)
		if (text.s[i] == ']')
			for (size_t j = i; j-- > 0;)
				if (text.s[j] == '[')
					return only(out, (struct span){text.s + j + 1, i - j - 1});
	return 0;
}

static int is_announced(struct span text, size_t i)
{
	static const char *const words[] = {" is", "=", ":", " are", "'s", " equals", " be", "\xE2\x89\x88"};

	while (i && (text.s[i - 1] == ' ' || text.s[i - 1] == '$' || text.s[i - 1] == '-' || text.s[i - 1] == '*'))
		i--;
	for (size_t j = 0; j < sizeof words / sizeof words[0]; j++) {
		size_t n = strlen(words[j]);
		if (i >= n && span_starts_nocase(span_from(text, i - n), words[j]))
			return 1;
	}
	return 0;
}

static int find_number(struct span text, struct found *out)
{
	for (size_t i = text.n; i-- > 0;) {
		size_t end = i + 1, start = i;
		if (!isdigit((unsigned char)text.s[i]))
			continue;
		while (start && (isdigit((unsigned char)text.s[start - 1]) || strchr(".,/", text.s[start - 1])) && text.s[start - 1])
			start--;
		if (start < end && strchr(",/", text.s[start]))
			start++;
		if (!is_announced(text, start))
			return 0;
		if (start && text.s[start - 1] == '-')
			start--;
		return only(out, (struct span){text.s + start, end - start});
	}
	return 0;
}

static int find_answer(struct span text, struct found *out)
{
	struct span a;
	int         prose, math;

	text = span_trim(text);
	out->n = 0;
	if (find_boxes(text, out))
		return 1;
	switch (span_answer(text, &a)) {
	case ANSWER_CLOSED:
		return only(out, a);
	case ANSWER_OPEN:
		if (a.s > text.s && a.s[-1] == '#')
			return only(out, span_line(a));
		break;
	case ANSWER_UNMARKED:
		break;
	}
	if (find_announced(text, out))
		return 1;
	math = last_math(text, &a, &prose);
	if (math && prose)
		return only(out, a);
	if (!is_prose(text))
		return only(out, text);
	return find_bracket(text, out) || find_number(text, out);
}

/* ---- the verdict ---- */

/* The pieces as one text, in the scratch when there are several. */
static struct span join(const struct found *f, char *scratch)
{
	size_t n = 0;

	if (f->n == 1)
		return f->piece[0];
	for (int i = 0; i < f->n; i++) {
		if (f->piece[i].n == 0 || n + f->piece[i].n + 2 > ANSWER_MAX)
			return (struct span){scratch, 0};
		if (i)
			scratch[n++] = ';'; /* parts (1, 2); (3, 4) as well as 1; 2 */
		memcpy(scratch + n, f->piece[i].s, f->piece[i].n);
		n += f->piece[i].n;
	}
	return (struct span){scratch, n};
}

static int new_formula(struct span a, const struct formula_options *o, struct formula **out)
{
	if (a.n > ANSWER_MAX)
		a.n = 0;
	*out = formula_new(a, o);
	return *out ? OK : error_set(ERR_INPUT, "out of memory: a formula");
}

static int read_answer(struct span text, const struct formula_options *o, char *scratch, struct formula **out)
{
	struct found found;
	int          there = find_answer(text, &found);

	return new_formula(there ? join(&found, scratch) : (struct span){"", 0}, o, out);
}

/* A gold is an answer even where it looks like prose: "ab + ac", "arithmetic progression". */
static int read_gold(const char *text, const struct formula_options *o, char *scratch, struct formula **out)
{
	struct span  whole = span_trim(span_of(text));
	struct found found;

	return new_formula(find_answer(whole, &found) ? join(&found, scratch) : whole, o, out);
}

static struct formula_options options_of(const struct reward_spec *spec)
{
	return (struct formula_options){.decimals = spec->options.decimals, .relations = spec->options.interval_relations};
}

VERIFY_CHECK(verify_math_check)
{
	const struct formula_options o = options_of(spec);
	char                         scratch[ANSWER_MAX];
	struct formula              *gold;
	int                          empty;

	TRY(verify_has_answer(spec, p));
	TRY(read_gold(p->answer, &o, scratch, &gold));
	empty = formula_empty(gold);
	formula_free(gold);
	return empty ? error_set(ERR_INPUT, "no formula and no word could be found in the answer \"%.60s\"", p->answer) : OK;
}

VERIFY_SCORE(verify_math)
{
	const struct formula_options o = options_of(spec);
	char                         scratch[2][ANSWER_MAX];
	struct formula              *gold = NULL, *got = NULL;
	int                          status = read_answer(verify_text(c), &o, scratch[0], &got);

	*out = (struct score){0};
	if (status == OK)
		status = read_gold(p->answer, &o, scratch[1], &gold);
	if (status == OK) {
		out->parsed = !formula_empty(got);
		verify_mark(out, formula_equal(gold, got, &o), 0);
	}
	formula_free(gold);
	formula_free(got);
	return status;
}
