#include "verify/arithmetic_token.h"

#include "verify/number.h"

#include <ctype.h>
#include <string.h>
#include <utf8proc.h>

enum { BRACES_MAX = 64 };

struct arithmetic_cutter {
	struct span             text; /* up to the end of the line */
	size_t                  i;
	struct number           number; /* room for number_read */
	struct arithmetic_line *line;
	int                     bare, has_words, bold, italic, full;
	/* by depth: 1 for the braces of \text and the like */
	char falls_away[BRACES_MAX];
	int  depth;
};

const struct arithmetic_scale arithmetic_scales[] = {
        {"percent", 1, 100},     {"hundred", 100, 1},        {"thousand", 1000, 1},
        {"million", 1000000, 1}, {"billion", 1000000000, 1}, {"trillion", 1000000000000, 1},
        {"dozen", 12, 1},        {"permille", 1, 1000}};

enum {
	SCALE_PERCENT = 0,
	SCALE_PERMILLE = 7,
	N_SCALES = sizeof arithmetic_scales / sizeof *arithmetic_scales
};

/* Words that do more than end a formula. */
static const struct {
	const char          *name;
	enum arithmetic_kind kind;
	char                 op;
} arithmetic_words[] = {
        {"plus", ARITHMETIC_OPERATOR, '+'},
        {"minus", ARITHMETIC_OPERATOR, '-'},
        {"negative", ARITHMETIC_OPERATOR, '-'},
        {"times", ARITHMETIC_OPERATOR, '*'},
        {"multiplied", ARITHMETIC_OPERATOR, '*'},
        {"over", ARITHMETIC_OPERATOR, '/'},
        {"divided", ARITHMETIC_OPERATOR, '/'},
        {"and", ARITHMETIC_LIST, 0},
        {"to", ARITHMETIC_LIST, 0},
        {"through", ARITHMETIC_LIST, 0},
        {"or", ARITHMETIC_OR, 0},
        {"than", ARITHMETIC_BOUND, 0},
        {"least", ARITHMETIC_BOUND, 0},
        {"most", ARITHMETIC_BOUND, 0},
        {"under", ARITHMETIC_BOUND, 0},
        {"below", ARITHMETIC_BOUND, 0},
        {"above", ARITHMETIC_BOUND, 0},
        {"but", ARITHMETIC_BOUND, 0},
        {"except", ARITHMETIC_BOUND, 0},
        {"not", ARITHMETIC_NOT, 0},
        {"never", ARITHMETIC_NOT, 0},
        {"cannot", ARITHMETIC_NOT, 0},
        {"half", ARITHMETIC_UNKNOWN, 0},
        {"halves", ARITHMETIC_UNKNOWN, 0},
        {"third", ARITHMETIC_UNKNOWN, 0},
        {"thirds", ARITHMETIC_UNKNOWN, 0},
        {"fourth", ARITHMETIC_UNKNOWN, 0},
        {"fourths", ARITHMETIC_UNKNOWN, 0},
        {"fifth", ARITHMETIC_UNKNOWN, 0},
        {"fifths", ARITHMETIC_UNKNOWN, 0},
        {"sixths", ARITHMETIC_UNKNOWN, 0},
        {"sevenths", ARITHMETIC_UNKNOWN, 0},
        {"eighths", ARITHMETIC_UNKNOWN, 0},
        {"ninths", ARITHMETIC_UNKNOWN, 0},
        {"tenth", ARITHMETIC_UNKNOWN, 0},
        {"tenths", ARITHMETIC_UNKNOWN, 0},
        {"hundredth", ARITHMETIC_UNKNOWN, 0},
        {"hundredths", ARITHMETIC_UNKNOWN, 0},
        {"thousandth", ARITHMETIC_UNKNOWN, 0},
        {"thousandths", ARITHMETIC_UNKNOWN, 0},
        {"millionths", ARITHMETIC_UNKNOWN, 0},
        {"squared", ARITHMETIC_UNKNOWN, 0},
        {"cubed", ARITHMETIC_UNKNOWN, 0},
        {"factorial", ARITHMETIC_UNKNOWN, 0},
        {"mod", ARITHMETIC_UNKNOWN, 0},
        {"modulo", ARITHMETIC_UNKNOWN, 0},
        {"sqrt", ARITHMETIC_UNKNOWN, 0},
        {"root", ARITHMETIC_UNKNOWN, 0},
        {"log", ARITHMETIC_UNKNOWN, 0},
        {"ln", ARITHMETIC_UNKNOWN, 0},
        {"sin", ARITHMETIC_UNKNOWN, 0},
        {"cos", ARITHMETIC_UNKNOWN, 0},
        {"tan", ARITHMETIC_UNKNOWN, 0},
        {"exp", ARITHMETIC_UNKNOWN, 0},
        {"pi", ARITHMETIC_UNKNOWN, 0},
        {"infinity", ARITHMETIC_UNKNOWN, 0},
};

enum command_effect { COMMAND_GONE, COMMAND_TEXT, COMMAND_TOKEN };

/* LaTeX commands that are dropped, are dropped with the braces behind them, or are a token. Any
 * other command is UNKNOWN. */
static const struct {
	const char          *name;
	enum command_effect  effect;
	enum arithmetic_kind kind;
	char                 op;
} arithmetic_commands[] = {
        {"left", COMMAND_GONE, 0, 0},
        {"right", COMMAND_GONE, 0, 0},
        {"big", COMMAND_GONE, 0, 0},
        {"Big", COMMAND_GONE, 0, 0},
        {"bigl", COMMAND_GONE, 0, 0},
        {"bigr", COMMAND_GONE, 0, 0},
        {"quad", COMMAND_GONE, 0, 0},
        {"qquad", COMMAND_GONE, 0, 0},
        {"displaystyle", COMMAND_GONE, 0, 0},
        {"degree", COMMAND_GONE, 0, 0},
        {"boxed", COMMAND_TEXT, 0, 0},
        {"fbox", COMMAND_TEXT, 0, 0},
        {"text", COMMAND_TEXT, 0, 0},
        {"textbf", COMMAND_TEXT, 0, 0},
        {"textit", COMMAND_TEXT, 0, 0},
        {"textrm", COMMAND_TEXT, 0, 0},
        {"textnormal", COMMAND_TEXT, 0, 0},
        {"mathrm", COMMAND_TEXT, 0, 0},
        {"mathbf", COMMAND_TEXT, 0, 0},
        {"mathit", COMMAND_TEXT, 0, 0},
        {"mathsf", COMMAND_TEXT, 0, 0},
        {"mbox", COMMAND_TEXT, 0, 0},
        {"operatorname", COMMAND_TEXT, 0, 0},
        {"bold", COMMAND_TEXT, 0, 0},
        {"boldsymbol", COMMAND_TEXT, 0, 0},
        {"underline", COMMAND_TEXT, 0, 0},
        {"frac", COMMAND_TOKEN, ARITHMETIC_FRAC, 0},
        {"dfrac", COMMAND_TOKEN, ARITHMETIC_FRAC, 0},
        {"tfrac", COMMAND_TOKEN, ARITHMETIC_FRAC, 0},
        {"cfrac", COMMAND_TOKEN, ARITHMETIC_FRAC, 0},
        {"times", COMMAND_TOKEN, ARITHMETIC_OPERATOR, '*'},
        {"cdot", COMMAND_TOKEN, ARITHMETIC_OPERATOR, '*'},
        {"ast", COMMAND_TOKEN, ARITHMETIC_OPERATOR, '*'},
        {"div", COMMAND_TOKEN, ARITHMETIC_OPERATOR, '/'},
        {"over", COMMAND_TOKEN, ARITHMETIC_OPERATOR, '/'},
        {"approx", COMMAND_TOKEN, ARITHMETIC_END, 0},
        {"equiv", COMMAND_TOKEN, ARITHMETIC_END, 0},
        {"to", COMMAND_TOKEN, ARITHMETIC_END, 0},
        {"rightarrow", COMMAND_TOKEN, ARITHMETIC_END, 0},
        {"Rightarrow", COMMAND_TOKEN, ARITHMETIC_END, 0},
        {"implies", COMMAND_TOKEN, ARITHMETIC_END, 0},
        {"therefore", COMMAND_TOKEN, ARITHMETIC_END, 0},
        {"ne", COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {"neq", COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {"not", COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {"lt", COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {"gt", COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {"le", COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {"ge", COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {"leq", COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {"geq", COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
};

/* Characters beyond ASCII. Other letters end a formula; other digits and mathematical signs are
 * UNKNOWN. */
static const struct {
	int                  code;
	enum command_effect  effect;
	enum arithmetic_kind kind;
	char                 op;
} arithmetic_signs[] = {
        {0x2010, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '-'},
        {0x2011, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '-'},
        {0x2012, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '-'},
        {0x2013, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '-'},
        {0x2212, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '-'},
        {0xFF0D, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '-'},
        {0xFE63, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '-'},
        {0xFF0B, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '+'},
        {0xD7, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '*'},
        {0xB7, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '*'},
        {0x22C5, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '*'},
        {0x2219, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '*'},
        {0xF7, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '/'},
        {0x2044, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '/'},
        {0x2215, COMMAND_TOKEN, ARITHMETIC_OPERATOR, '/'},
        {0x2264, COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {0x2265, COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {0x2260, COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {0xFF1C, COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {0xFF1E, COMMAND_TOKEN, ARITHMETIC_BOUND, 0},
        {0x2248, COMMAND_TOKEN, ARITHMETIC_END, 0},
        {0xFF1D, COMMAND_TOKEN, ARITHMETIC_END, 0},
        {0x2192, COMMAND_TOKEN, ARITHMETIC_END, 0},
        {0x21D2, COMMAND_TOKEN, ARITHMETIC_END, 0},
        {0xFF0C, COMMAND_TOKEN, ARITHMETIC_LIST, 0},
        {0x3001, COMMAND_TOKEN, ARITHMETIC_LIST, 0},
        {0xFF1B, COMMAND_TOKEN, ARITHMETIC_LIST, 0},
        {0xFF05, COMMAND_TOKEN, ARITHMETIC_SCALE, SCALE_PERCENT},
        {0x2030, COMMAND_TOKEN, ARITHMETIC_SCALE, SCALE_PERMILLE},
};

/* ---- tokens ---- */

static struct arithmetic_token *arithmetic_before(struct arithmetic_cutter *c, int back)
{
	return c->line->n >= back ? &c->line->token[c->line->n - back] : NULL;
}

static int arithmetic_is_operand(const struct arithmetic_token *t)
{
	return t && (t->kind == ARITHMETIC_NUMBER || t->kind == ARITHMETIC_CLOSE ||
	             t->kind == ARITHMETIC_SCALE || t->kind == ARITHMETIC_UNKNOWN);
}

static void arithmetic_push(struct arithmetic_cutter *c, enum arithmetic_kind kind, char op,
                            size_t n)
{
	if (c->line->n == ARITHMETIC_TOKENS)
		c->full = 1;
	else
		c->line->token[c->line->n++] =
		        (struct arithmetic_token){.kind = kind, .op = op, .from = c->i, .n = n};
	c->i += n;
}

static char arithmetic_at(const struct arithmetic_cutter *c, size_t ahead)
{
	return c->i + ahead < c->text.n ? c->text.s[c->i + ahead] : 0;
}

static int arithmetic_is_gap(char c)
{
	return c == 0 || isspace((unsigned char)c);
}

/* Does the last token end right here? */
static int arithmetic_touches(struct arithmetic_cutter *c)
{
	const struct arithmetic_token *t = arithmetic_before(c, 1);

	return t && t->from + t->n == c->i;
}

/* The sign before a word is not an operator: "7 - this", "7/hour", "7-year". */
static void arithmetic_end_before_word(struct arithmetic_cutter *c)
{
	struct arithmetic_token *t = arithmetic_before(c, 1);

	if (t && t->kind == ARITHMETIC_OPERATOR && !t->is_word && strchr("-/", t->op) &&
	    arithmetic_is_operand(arithmetic_before(c, 2)))
		t->kind = ARITHMETIC_END;
}

/* ---- words ---- */

static size_t arithmetic_letter(struct span a, size_t i)
{
	utf8proc_int32_t    code;
	utf8proc_ssize_t    n;
	utf8proc_category_t category;

	if (i >= a.n)
		return 0;
	if (!(a.s[i] & 0x80))
		return isalpha((unsigned char)a.s[i]) ? 1 : 0;
	n = utf8proc_iterate((const utf8proc_uint8_t *)a.s + i, (utf8proc_ssize_t)(a.n - i), &code);
	if (n <= 0 || (code >= 0x370 && code < 0x400)) /* Greek letters name unknowns */
		return 0;
	category = utf8proc_category(code);
	return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO ? (size_t)n : 0;
}

/* The length of a word: letters, and apostrophes between them. */
static size_t arithmetic_word_length(struct span a, size_t i)
{
	size_t start = i, n;

	while ((n = arithmetic_letter(a, i)) > 0) {
		i += n;
		if (i < a.n && a.s[i] == '\'' && arithmetic_letter(a, i + 1))
			i++;
		else if (span_starts(span_from(a, i), "\xE2\x80\x99") &&
		         arithmetic_letter(a, i + 3))
			i += 3;
	}
	return i - start;
}

/* The kind of a word of one letter: an unknown, unless it is a unit behind a number or an
 * article. */
static enum arithmetic_kind arithmetic_letter_kind(struct arithmetic_cutter *c)
{
	char letter = arithmetic_at(c, 0);
	int  alone = arithmetic_is_gap(arithmetic_at(c, 1)) && !arithmetic_touches(c);

	if (arithmetic_is_operand(arithmetic_before(c, 1)) && strchr("mgshlLACFVWJN", letter))
		return ARITHMETIC_END;
	return alone && strchr("aAI", letter) ? ARITHMETIC_END : ARITHMETIC_UNKNOWN;
}

/* Words that compute (million, percent, times, minus, ...) have a kind of their own; a word that
 * ends in n't denies. */
static enum arithmetic_kind arithmetic_word_kind(struct arithmetic_cutter *c, struct span word,
                                                 char *op)
{
	for (int i = 0; i < N_SCALES; i++)
		if (span_equal_nocase(word, span_of(arithmetic_scales[i].name))) {
			*op = (char)i;
			return arithmetic_is_operand(arithmetic_before(c, 1)) ||
			                       (arithmetic_before(c, 1) &&
			                        arithmetic_before(c, 1)->kind ==
			                                ARITHMETIC_OPERATOR)
			               ? ARITHMETIC_SCALE
			               : ARITHMETIC_END;
		}
	for (size_t i = 0; i < sizeof arithmetic_words / sizeof *arithmetic_words; i++)
		if (span_equal_nocase(word, span_of(arithmetic_words[i].name))) {
			*op = arithmetic_words[i].op;
			return arithmetic_words[i].kind;
		}
	if (word.n >= 4 && span_equal_nocase(span_from(word, word.n - 2), span_of("'t")))
		return ARITHMETIC_NOT;
	if (word.n >= 6 && span_equal_nocase(span_from(word, word.n - 4), span_of("\xE2\x80\x99t")))
		return ARITHMETIC_NOT;
	return ARITHMETIC_END;
}

/* The length of "^2" behind a unit, or 0. */
static size_t arithmetic_unit_power(struct span a)
{
	size_t i = 1;

	if (a.n < 2 || a.s[0] != '^')
		return 0;
	if (isdigit((unsigned char)a.s[1]))
		return 2;
	if (a.s[1] != '{')
		return 0;
	while (++i < a.n && (isdigit((unsigned char)a.s[i]) || a.s[i] == '-'))
		;
	return i < a.n && a.s[i] == '}' ? i + 1 : 0;
}

/* Most words end an expression; operators, scales ("7 million") and their parts ("divided by") do
 * not. */
static void arithmetic_take_word(struct arithmetic_cutter *c)
{
	struct span          word = {c->text.s + c->i, arithmetic_word_length(c->text, c->i)};
	char                 op = 0, next = arithmetic_at(c, word.n);
	enum arithmetic_kind kind =
	        word.n == 1 ? arithmetic_letter_kind(c) : arithmetic_word_kind(c, word, &op);
	struct arithmetic_token *last = arithmetic_before(c, 1);

	if (span_equal_nocase(word, span_of("by")) && last && last->kind == ARITHMETIC_OPERATOR &&
	    last->is_word) {
		c->i += word.n; /* "divided by" */
		return;
	}
	if (span_equal_nocase(word, span_of("per")) &&
	    span_starts_nocase(span_from(c->text, c->i + 3), " cent")) {
		word.n = 8;
		kind = ARITHMETIC_SCALE;
		op = SCALE_PERCENT;
	}
	if (kind == ARITHMETIC_END && !(word.s[word.n - 1] & 0x80) && next &&
	    (isdigit((unsigned char)next) || strchr("(_", next)))
		kind = ARITHMETIC_UNKNOWN; /* x7, sqrt(7), x_7 */
	if (kind == ARITHMETIC_SCALE && last->kind == ARITHMETIC_OPERATOR)
		c->line->n--; /* "7-million" */
	if (kind == ARITHMETIC_END) {
		arithmetic_end_before_word(c);
		c->has_words = 1;
	}
	arithmetic_push(c, kind, op, word.n);
	arithmetic_before(c, 1)->is_word = 1;
}

/* ---- LaTeX ---- */

/* Steps over the opening brace behind a command, white space allowed, and notes that the closing
 * one is to be dropped too. */
static void arithmetic_open_text(struct arithmetic_cutter *c)
{
	size_t i = c->i;

	while (i < c->text.n && arithmetic_is_gap(c->text.s[i]))
		i++;
	if (i < c->text.n && c->text.s[i] == '{' && c->depth < BRACES_MAX) {
		c->falls_away[c->depth++] = 1;
		c->i = i + 1;
	}
}

/* Reads a LaTeX command by its row of the table: a token, nothing, or the start of a text. */
static void arithmetic_take_name(struct arithmetic_cutter *c, size_t n)
{
	struct span name = {c->text.s + c->i + 1, n};

	for (size_t i = 0; i < sizeof arithmetic_commands / sizeof *arithmetic_commands; i++) {
		if (!span_equal(name, span_of(arithmetic_commands[i].name)))
			continue;
		if (arithmetic_commands[i].effect == COMMAND_TOKEN) {
			arithmetic_push(c, arithmetic_commands[i].kind, arithmetic_commands[i].op,
			                n + 1);
			return;
		}
		c->i += n + 1;
		if (arithmetic_commands[i].effect == COMMAND_TEXT)
			arithmetic_open_text(c);
		return;
	}
	arithmetic_push(c, ARITHMETIC_UNKNOWN, 0, n + 1);
}

/* Reads what a backslash begins: a command, \% as a scale, \\ between lines, or a meaningless
 * space. */
static void arithmetic_take_command(struct arithmetic_cutter *c)
{
	size_t n = 0;

	while (isalpha((unsigned char)arithmetic_at(c, 1 + n)))
		n++;
	if (n)
		arithmetic_take_name(c, n);
	else if (arithmetic_at(c, 1) == '%')
		arithmetic_push(c,
		                arithmetic_is_operand(arithmetic_before(c, 1)) ? ARITHMETIC_SCALE
		                                                               : ARITHMETIC_END,
		                SCALE_PERCENT, 2);
	else if (arithmetic_at(c, 1) == '\\')
		arithmetic_push(c, ARITHMETIC_LIST, 0, 2);
	else if (arithmetic_at(c, 1) == '|')
		arithmetic_push(c, ARITHMETIC_UNKNOWN, 0, 2);
	else
		c->i += arithmetic_at(c, 1) ? 2 : 1; /* \, \; \! \$ \( \[ \{ */
}

static void arithmetic_take_brace(struct arithmetic_cutter *c)
{
	if (arithmetic_at(c, 0) == '{') {
		if (c->depth < BRACES_MAX)
			c->falls_away[c->depth] = 0;
		c->depth++;
		arithmetic_push(c, ARITHMETIC_OPEN, '{', 1);
		return;
	}
	c->depth -= c->depth > 0;
	if (c->depth < BRACES_MAX && c->falls_away[c->depth]) {
		c->falls_away[c->depth] = 0;
		c->i++;
		return;
	}
	arithmetic_push(c, ARITHMETIC_CLOSE, '{', 1);
}

/* ---- the rest ---- */

/* '*': emphasis, a bullet, a product or a power. */
static void arithmetic_take_star(struct arithmetic_cutter *c)
{
	int  two = arithmetic_at(c, 1) == '*', *open = two ? &c->bold : &c->italic;
	char next = arithmetic_at(c, two ? 2 : 1);
	int  after = arithmetic_is_operand(arithmetic_before(c, 1));

	if (*open && !arithmetic_is_gap(c->i ? c->text.s[c->i - 1] : 0)) {
		*open = 0;
		c->i += two ? 2 : 1;
	} else if (after &&
	           (!two || isalnum((unsigned char)next) || (next && strchr("( {\\-", next)))) {
		arithmetic_push(c, ARITHMETIC_OPERATOR, two ? '^' : '*', two ? 2 : 1);
	} else if (!after && (!arithmetic_is_gap(next) || c->line->n == 0)) {
		*open = !arithmetic_is_gap(next);
		c->i += two ? 2 : 1;
	} else {
		arithmetic_push(c, two ? ARITHMETIC_END : ARITHMETIC_OPERATOR, '*', two ? 2 : 1);
	}
}

/* Degrees and the powers of units ("cm^2") are not operators. */
static void arithmetic_take_power(struct arithmetic_cutter *c)
{
	static const char *const       degrees[] = {"^\\circ", "^{\\circ}", "^\\degree"};
	const struct arithmetic_token *last = arithmetic_before(c, 1);
	size_t                         n;

	for (size_t i = 0; i < sizeof degrees / sizeof *degrees; i++)
		if (span_starts(span_from(c->text, c->i), degrees[i])) {
			c->i += strlen(degrees[i]);
			return;
		}
	n = last && last->kind == ARITHMETIC_END && last->is_word
	            ? arithmetic_unit_power(span_from(c->text, c->i))
	            : 0;
	if (n)
		c->i += n;
	else
		arithmetic_push(c, ARITHMETIC_OPERATOR, '^', 1);
}

static void arithmetic_take_dot(struct arithmetic_cutter *c)
{
	const struct arithmetic_token *last = arithmetic_before(c, 1);
	int touches = arithmetic_touches(c) && arithmetic_is_operand(last),
	    digit = isdigit((unsigned char)arithmetic_at(c, 1)) != 0;
	int dots = arithmetic_at(c, 1) == '.';

	if (digit && !touches && !(c->i && c->text.s[c->i - 1] == '.'))
		arithmetic_push(c, ARITHMETIC_NUMBER, 0,
		                number_read(span_from(c->text, c->i), &c->number));
	else
		arithmetic_push(c,
		                digit || (dots && !arithmetic_is_gap(arithmetic_at(c, 2)))
		                        ? ARITHMETIC_UNKNOWN
		                        : ARITHMETIC_END,
		                0, 1);
}

/* The length of a tag such as "<answer>", "</b>", "<|im_end|>" or "<<3+4=7>>" (a calculator's
 * note), or 0. */
static size_t arithmetic_tag(struct span a)
{
	size_t i = 1;

	if (a.n > 2 && a.s[1] == '<') {
		for (i = 2; i + 1 < a.n && i < 128 && a.s[i] != '<'; i++)
			if (a.s[i] == '>' && a.s[i + 1] == '>')
				return i + 2;
		return 0;
	}
	while (i < a.n && i < 64 &&
	       (isalnum((unsigned char)a.s[i]) || (a.s[i] && strchr("/|_-", a.s[i]))))
		i++;
	return i > 1 && i < a.n && a.s[i] == '>' && !isdigit((unsigned char)a.s[1]) ? i + 1 : 0;
}

static void arithmetic_take_less(struct arithmetic_cutter *c)
{
	size_t tag = arithmetic_tag(span_from(c->text, c->i));

	arithmetic_push(c, tag ? ARITHMETIC_END : ARITHMETIC_BOUND, 0, tag ? tag : 1);
}

static void arithmetic_take_minus(struct arithmetic_cutter *c)
{
	if (arithmetic_at(c, 1) == '>')
		arithmetic_push(c, ARITHMETIC_END, 0, 2);
	else
		arithmetic_push(c, ARITHMETIC_OPERATOR, '-', 1);
}

static void arithmetic_take_bang(struct arithmetic_cutter *c)
{
	int factorial = arithmetic_touches(c) && arithmetic_is_operand(arithmetic_before(c, 1)) &&
	                (c->bare || !c->has_words);

	if (arithmetic_at(c, 1) == '=')
		arithmetic_push(c, ARITHMETIC_BOUND, 0, 2);
	else
		arithmetic_push(c, factorial ? ARITHMETIC_UNKNOWN : ARITHMETIC_END, 0, 1);
}

/* A ':' or '_' between two digits (6:7, 7_8) makes a formula without a value; elsewhere it is prose
 * or emphasis. */
static void arithmetic_take_joint(struct arithmetic_cutter *c)
{
	int before = arithmetic_touches(c) && arithmetic_is_operand(arithmetic_before(c, 1));
	int behind = isdigit((unsigned char)arithmetic_at(c, 1)) != 0;

	if (before && behind)
		arithmetic_push(c, ARITHMETIC_UNKNOWN, 0, 1);
	else if (arithmetic_at(c, 0) == '_')
		c->i++;
	else
		arithmetic_push(c, ARITHMETIC_END, 0, 1);
}

/* '|' around a number is an absolute value; with blanks inside it is the border of a table. */
static void arithmetic_take_bar(struct arithmetic_cutter *c)
{
	char before = c->i ? c->text.s[c->i - 1] : 0, next = arithmetic_at(c, 1);

	arithmetic_push(c,
	                arithmetic_is_gap(before) && arithmetic_is_gap(next) ? ARITHMETIC_END
	                                                                     : ARITHMETIC_UNKNOWN,
	                0, 1);
}

/* Reads a character beyond ASCII that is not a letter. */
static void arithmetic_take_sign(struct arithmetic_cutter *c)
{
	struct span      rest = span_from(c->text, c->i);
	utf8proc_int32_t code;
	utf8proc_ssize_t n =
	        utf8proc_iterate((const utf8proc_uint8_t *)rest.s, (utf8proc_ssize_t)rest.n, &code);
	utf8proc_category_t category;

	if (n <= 0) {
		arithmetic_push(c, ARITHMETIC_END, 0, 1);
		return;
	}
	for (size_t i = 0; i < sizeof arithmetic_signs / sizeof *arithmetic_signs; i++)
		if (arithmetic_signs[i].code == code) {
			arithmetic_push(c, arithmetic_signs[i].kind, arithmetic_signs[i].op,
			                (size_t)n);
			return;
		}
	category = utf8proc_category(code);
	if (category == UTF8PROC_CATEGORY_SM ||
	    (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) ||
	    (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO))
		arithmetic_push(c, ARITHMETIC_UNKNOWN, 0, (size_t)n);
	else if (category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_CF ||
	         category == UTF8PROC_CATEGORY_SC || category == UTF8PROC_CATEGORY_SO)
		c->i += (size_t)n; /* blanks, invisible ones, currencies, degrees */
	else
		arithmetic_push(c, ARITHMETIC_END, 0, (size_t)n);
}

/* ASCII signs that need no context. */
static void arithmetic_take_plain(struct arithmetic_cutter *c)
{
	switch (arithmetic_at(c, 0)) {
	case '+':
	case '/':
		arithmetic_push(c, ARITHMETIC_OPERATOR, arithmetic_at(c, 0), 1);
		return;
	case '(':
	case '[':
		arithmetic_push(c, ARITHMETIC_OPEN, '(', 1);
		return;
	case ')':
	case ']':
		arithmetic_push(c, ARITHMETIC_CLOSE, '(', 1);
		return;
	case ',':
	case ';':
	case '&':
		arithmetic_push(c, ARITHMETIC_LIST, 0, 1);
		return;
	case '%':
		arithmetic_push(c,
		                arithmetic_is_operand(arithmetic_before(c, 1)) ? ARITHMETIC_SCALE
		                                                               : ARITHMETIC_END,
		                SCALE_PERCENT, 1);
		return;
	case '>':
		arithmetic_push(c,
		                arithmetic_before(c, 1) && arithmetic_touches(c) &&
		                                c->text.s[c->i - 1] == '='
		                        ? ARITHMETIC_END
		                        : ARITHMETIC_BOUND,
		                0, 1);
		return;
	case '=': /* of <= and >=, too */
		arithmetic_push(c,
		                arithmetic_touches(c) &&
		                                arithmetic_before(c, 1)->kind == ARITHMETIC_BOUND
		                        ? ARITHMETIC_BOUND
		                        : ARITHMETIC_END,
		                0, 1);
		return;
	case '$':
	case '`':
	case '~':
	case '"':
	case '\'':
		c->i++;
		return;
	default:
		arithmetic_push(c, ARITHMETIC_END, 0, 1);
	}
}

/* Reads one token by its first character; characters without a row in the table are plain. */
static void arithmetic_take(struct arithmetic_cutter *c)
{
	char                           here = arithmetic_at(c, 0);
	const struct arithmetic_token *last = arithmetic_before(c, 1),
	                              *third = arithmetic_before(c, 2);

	if (isdigit((unsigned char)here)) {
		/* \frac17 and \frac1{7}: each argument is one digit */
		int one = (last && last->kind == ARITHMETIC_FRAC) ||
		          (third && third->kind == ARITHMETIC_FRAC &&
		           last->kind == ARITHMETIC_NUMBER);
		arithmetic_push(c, ARITHMETIC_NUMBER, 0,
		                one ? 1 : number_read(span_from(c->text, c->i), &c->number));
	} else if (here != '\n' && here && arithmetic_is_gap(here)) {
		c->i++;
	} else if (arithmetic_letter(c->text, c->i)) {
		arithmetic_take_word(c);
	} else if (here & 0x80) {
		arithmetic_take_sign(c);
	} else {
		static const struct {
			char sign;
			void (*take)(struct arithmetic_cutter *c);
		} signs[] = {{'\\', arithmetic_take_command}, {'{', arithmetic_take_brace},
		             {'}', arithmetic_take_brace},    {'*', arithmetic_take_star},
		             {'^', arithmetic_take_power},    {'.', arithmetic_take_dot},
		             {'<', arithmetic_take_less},     {'-', arithmetic_take_minus},
		             {'!', arithmetic_take_bang},     {':', arithmetic_take_joint},
		             {'_', arithmetic_take_joint},    {'|', arithmetic_take_bar}};
		for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
			if (signs[i].sign == here) {
				signs[i].take(c);
				return;
			}
		arithmetic_take_plain(c);
	}
}

void arithmetic_cut(struct span text, size_t from, size_t to, int bare, struct arithmetic_line *out)
{
	struct arithmetic_cutter c = {.text = {text.s, to}, .i = from, .line = out, .bare = bare};

	out->n = 0;
	number_init(&c.number);
	while (c.i < to && !c.full)
		arithmetic_take(&c);
	number_clear(&c.number);
	if (c.full)
		out->n = 0;
}
