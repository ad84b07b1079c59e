#include "task/formula.h"

#include <ctype.h>
#include <string.h>

/* Kinds of tokens that are not the sign itself:
 *
 *     n number   v variable or word   f function   F \frac   R \sqrt   B \binom   o infinity   p \pm   q \mp   l <=   g >=   n != is '~'
 *     S \{   T \}   U \cup   I \in   M \begin{matrix}   W \end{matrix}   \\ is 'N'   % \bmod   L \lim, \sum, \int   u anything else
 *     0 nothing: left out */
static const struct {
	const char *name;
	char        kind;
} commands[] = {
        {"frac", 'F'},     {"dfrac", 'F'},        {"tfrac", 'F'},      {"cfrac", 'F'},    {"sqrt", 'R'},       {"binom", 'B'},
        {"dbinom", 'B'},   {"tbinom", 'B'},       {"cdot", '*'},       {"times", '*'},    {"ast", '*'},        {"div", '/'},
        {"pm", 'p'},       {"mp", 'q'},           {"le", 'l'},         {"leq", 'l'},      {"leqslant", 'l'},   {"ge", 'g'},
        {"geq", 'g'},      {"geqslant", 'g'},     {"lt", '<'},         {"gt", '>'},       {"ne", '~'},         {"neq", '~'},
        {"cup", 'U'},      {"in", 'I'},           {"infty", 'o'},      {"left", 0},       {"right", 0},        {"big", 0},
        {"Big", 0},        {"bigg", 0},           {"Bigg", 0},         {"bigl", 0},       {"bigr", 0},         {"Bigl", 0},
        {"Bigr", 0},       {"displaystyle", 0},   {"textstyle", 0},    {"limits", 0},     {"circ", 'd'},       {"degree", 'd'},
        {"quad", 0},       {"qquad", 0},          {"ldots", 'v'},      {"dots", 'v'},     {"cdots", 'v'},      {"mid", '|'},
        {"vert", '|'},     {"lvert", '|'},        {"rvert", '|'},      {"bmod", '%'},     {"mod", '%'},        {"lim", 'L'},
        {"sum", 'L'},      {"int", 'L'},          {"prod", 'L'},       {"sin", 'f'},      {"cos", 'f'},        {"tan", 'f'},
        {"cot", 'f'},      {"sec", 'f'},          {"csc", 'f'},        {"arcsin", 'f'},   {"arccos", 'f'},     {"arctan", 'f'},
        {"sinh", 'f'},     {"cosh", 'f'},         {"tanh", 'f'},       {"ln", 'f'},       {"log", 'f'},        {"exp", 'f'},
        {"alpha", 'v'},    {"beta", 'v'},         {"gamma", 'v'},      {"delta", 'v'},    {"epsilon", 'v'},    {"varepsilon", 'v'},
        {"zeta", 'v'},     {"eta", 'v'},          {"theta", 'v'},      {"iota", 'v'},     {"kappa", 'v'},      {"lambda", 'v'},
        {"mu", 'v'},       {"nu", 'v'},           {"xi", 'v'},         {"rho", 'v'},      {"sigma", 'v'},      {"tau", 'v'},
        {"phi", 'v'},      {"varphi", 'v'},       {"chi", 'v'},        {"psi", 'v'},      {"omega", 'v'},      {"pi", 'v'},
        {"Gamma", 'v'},    {"Delta", 'v'},        {"Theta", 'v'},      {"Lambda", 'v'},   {"Sigma", 'v'},      {"Phi", 'v'},
        {"Psi", 'v'},      {"Omega", 'v'},        {"ell", 'v'},        {"mathbb", 'w'},   {"mathrm", 'w'},     {"mathbf", 'w'},
        {"mathit", 'w'},   {"operatorname", 'w'}, {"boldsymbol", 'w'}, {"mathcal", 'w'},  {"boxed", 'w'},      {"text", 't'},
        {"mbox", 't'},     {"textbf", 't'},       {"textit", 't'},     {"textrm", 't'},   {"hbox", 't'},       {"begin", 'b'},
        {"end", 'e'},      {"setminus", 'u'},     {"cap", 'u'},        {"emptyset", 'v'}, {"varnothing", 'v'}, {"angle", 'v'},
        {"triangle", 'v'}, {"overline", 'u'},
};

static const struct {
	const char *text;
	char        kind;
} signs[] = {
        {"\xE2\x88\x92", '-'}, {"\xC3\x97", '*'},     {"\xC2\xB7", '*'},     {"\xC3\xB7", '/'}, {"\xC2\xB1", 'p'}, {"\xE2\x89\xA4", 'l'},
        {"\xE2\x89\xA5", 'g'}, {"\xE2\x89\xA0", '~'}, {"\xE2\x88\x9E", 'o'}, {"\xCF\x80", 'P'}, {"\xC2\xB0", 'd'}, {"\xE2\x88\x9A", 'r'},
        {"\xE2\x88\xAA", 'U'}, {"\xE2\x88\x88", 'I'}, {"<=", 'l'},           {">=", 'g'},       {"!=", '~'},       {"**", '^'}};

int formula_is_unit(struct span word)
{
	static const char *const units[] = {
	        "percent", "percentage", "pct",     "degree", "degrees", "deg",     "cm",    "mm",     "km",    "kg",     "mg",
	        "ml",      "inch",       "inches",  "feet",   "foot",    "ft",      "meter", "meters", "metre", "metres", "mile",
	        "miles",   "mph",        "unit",    "units",  "dollar",  "dollars", "cent",  "cents",  "hour",  "hours",  "minute",
	        "minutes", "second",     "seconds", "day",    "days",    "week",    "weeks", "year",   "years", "square", "sq",
	        "cubic",   "radian",     "radians", "gram",   "grams",   "liter",   "liters"};

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (span_equal_nocase(word, span_of(units[i])))
			return 1;
	return 0;
}

struct scanner {
	struct span    rest;
	struct tokens *out;
	int            depth;      /* of brackets: commas in there do not group digits */
	int            matrix;     /* inside a matrix \\ ends a row */
	int            text_depth; /* braces open since \text */
};

static void add(struct scanner *c, char kind, struct span s)
{
	struct tokens *t = c->out;

	if (kind == 0)
		return;
	if (t->n == FORMULA_TOKENS) {
		t->too_many = 1;
		return;
	}
	t->t[t->n++] = (struct token){kind, c->text_depth > 0, 0, s};
}

static size_t digits(struct span a)
{
	size_t n = 0;

	while (n < a.n && isdigit((unsigned char)a.s[n]))
		n++;
	return n;
}

/* A mark between groups of digits at the start of the span, with exactly three digits behind it: its length. */
static size_t group_mark(const struct scanner *c, struct span a)
{
	static const char *const marks[] = {"{,}", " {, }", "{, }", ",\\!", ", \\!", "\\,", ",", " "};

	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
		if (span_starts(a, marks[i]) && (i < 6 || c->depth == 0) && digits(span_from(a, strlen(marks[i]))) == 3)
			return strlen(marks[i]);
	return 0;
}

static size_t number_length(const struct scanner *c)
{
	struct span a = c->rest;
	size_t      n = digits(a), mark;

	if (n >= 1 && n <= 3 && a.s[0] != '0')
		while ((mark = group_mark(c, span_from(a, n))))
			n += mark + 3;
	if (n < a.n && a.s[n] == '.' && digits(span_from(a, n + 1)))
		n += 1 + digits(span_from(a, n + 1));
	return n;
}

static size_t letters(struct span a)
{
	size_t n = 0;

	while (n < a.n && isalpha((unsigned char)a.s[n]))
		n++;
	return n;
}

/* The longest known command that starts the name: "quadx" is \quad x. */
static size_t command(struct span name, char *kind)
{
	size_t best = 0;

	*kind = 'u';
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		size_t n = strlen(commands[i].name);
		if (n > best && span_starts(name, commands[i].name)) {
			best = n;
			*kind = commands[i].kind;
		}
	}
	if (best && best < name.n && *kind == 'v') { /* \pid is no \pi d */
		*kind = 'u';
		return name.n;
	}
	return best ? best : name.n;
}

static void skip(struct scanner *c, size_t n)
{
	c->rest = span_from(c->rest, n);
}

static size_t braced(struct span a)
{
	const char *end = a.n && a.s[0] == '{' ? memchr(a.s, '}', a.n) : NULL;

	return end ? (size_t)(end - a.s) + 1 : 0;
}

/* \begin{...} and \end{...}: matrices of every kind; an array's columns are dropped; other environments vanish. */
static void environment(struct scanner *c, int begins)
{
	size_t      n;
	struct span name;

	c->rest = span_trim(c->rest);
	n = braced(c->rest);
	name = n ? span_trim((struct span){c->rest.s + 1, n - 2}) : (struct span){c->rest.s, 0};
	skip(c, n);
	if (span_equal(name, span_of("array")) && begins)
		skip(c, braced(c->rest));
	if (span_equal(name, span_of("array")) || (name.n >= 6 && !memcmp(name.s + name.n - 6, "matrix", 6))) {
		add(c, begins ? 'M' : 'W', name);
		c->matrix += begins ? 1 : -1;
	}
}

static int is_known(struct span name)
{
	char kind;

	command(name, &kind);
	return kind != 'u';
}

/* Does a \text{...} hold mathematics? Then it is no text. */
static int holds_command(struct span a)
{
	size_t n = braced(span_trim(a));

	return n && memchr(span_trim(a).s, '\\', n) != NULL;
}

static void backslash(struct scanner *c)
{
	struct span name;
	size_t      n = letters(span_from(c->rest, 1));
	char        kind, next = c->rest.n > 1 ? c->rest.s[1] : ' ';

	if (next == '\\') { /* a row's end; or a backslash written twice */
		name = span_from(c->rest, 2);
		name.n = letters(name);
		if (c->matrix > 0)
			add(c, 'N', (struct span){c->rest.s, 2});
		skip(c, c->matrix <= 0 && name.n && is_known(name) ? 1 : 2);
		return;
	}
	if (n == 0) {
		if (next == '{' || next == '}')
			add(c, next == '{' ? 'S' : 'T', (struct span){c->rest.s, 2});
		if (next == '{' || next == '}')
			c->depth += next == '{' ? 1 : -1;
		if (next == '|')
			add(c, '|', (struct span){c->rest.s, 2});
		skip(c, 2);
		return;
	}
	name = (struct span){c->rest.s + 1, n};
	n = command(name, &kind);
	name.n = n;
	skip(c, 1 + n);
	if (kind == 'b' || kind == 'e')
		environment(c, kind == 'b');
	else if (kind == 't')
		c->text_depth = holds_command(c->rest) ? 0 : -1;
	else if (kind != 'w') {
		int before = c->out->n;
		add(c, kind, name);
		if (c->out->n > before)
			c->out->t[before].is_command = 1;
	}
}

static int is_connective(struct span word)
{
	return span_equal_nocase(word, span_of("and")) || span_equal_nocase(word, span_of("or"));
}

static int is_function(struct span word)
{
	char kind;

	return command(word, &kind) == word.n && kind == 'f';
}

static void word(struct scanner *c)
{
	struct span w = {c->rest.s, letters(c->rest)};
	int         n = c->out->n;

	if (c->text_depth > 0)
		while (w.n < c->rest.n && (isalnum((unsigned char)w.s[w.n]) || w.s[w.n] == '\'' || w.s[w.n] == '-'))
			w.n++;
	if (n && strchr("n)", c->out->t[n - 1].kind) && span_starts(w, "or") && w.n <= 4 && w.n > 2)
		w.n = 2; /* 1orW(x) */
	skip(c, w.n);
	if (is_connective(w))
		add(c, ',', w);
	else if (c->text_depth <= 0 && is_function(w))
		add(c, 'f', w);
	else if (c->text_depth <= 0 && span_equal(w, span_of("pi")))
		add(c, 'v', w);
	else if (c->text_depth <= 0 && n && c->out->t[n - 1].kind != 'v' && formula_is_unit(w))
		add(c, 'x', w); /* a unit */
	else
		add(c, 'v', w);
}

static void sign(struct scanner *c)
{
	char   ch = c->rest.s[0];
	size_t n = 1;
	char   kind = ch;

	for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
		if (span_starts(c->rest, signs[i].text)) {
			n = strlen(signs[i].text);
			kind = signs[i].kind;
			break;
		}
	if (c->text_depth && ch == '{')
		c->text_depth = c->text_depth < 0 ? 1 : c->text_depth + 1;
	else if (c->text_depth > 0 && ch == '}')
		c->text_depth--;
	else if (kind == 'P')
		add(c, 'v', span_of("pi"));
	else if (kind == 'r')
		add(c, 'R', (struct span){c->rest.s, n});
	else if (!isspace((unsigned char)ch) && !strchr("$%`", ch))
		add(c,
		    (unsigned char)ch >= 0x80 && kind == ch            ? 'u'
		    : strchr("nvfFRBoxSTUIMWNLuwtbe0", kind) && n == 1 ? 'u'
		                                                       : kind,
		    (struct span){c->rest.s, n});
	else if (ch == 0)
		add(c, 'u', (struct span){c->rest.s, 1});
	if (strchr("([", ch) && ch)
		c->depth++;
	if (strchr(")]", ch) && ch)
		c->depth--;
	skip(c, n);
}

/* "^d" and "^{d}" and "d" for degrees fall away. */
static void drop_degrees(struct tokens *t)
{
	int n = 0;

	for (int i = 0; i < t->n; i++) {
		if (t->t[i].kind == 'd') {
			if (i + 1 < t->n && n && t->t[n - 1].kind == '{' && t->t[i + 1].kind == '}') {
				n--;
				i++;
			}
			if (n && t->t[n - 1].kind == '^')
				n--;
			continue;
		}
		t->t[n++] = t->t[i];
	}
	t->n = n;
}

/* ".0" behind a number or a fraction of numbers says nothing new. */
static int ends_in_zero(const struct tokens *t)
{
	if (t->n < 2 || t->t[t->n - 1].kind != 'n' || !span_equal(t->t[t->n - 1].s, span_of(".0")))
		return 0;
	if (t->t[0].kind != 'F' && t->t[t->t[0].kind == '-'].kind != 'F' && t->n > 2)
		return 0;
	for (int i = 0; i < t->n - 1; i++)
		if (!strchr("nFR{}-", t->t[i].kind) || (i == t->n - 2 && memchr(t->t[i].s.s, '.', t->t[i].s.n)))
			return 0;
	return 1;
}

static void drop_end(struct tokens *t)
{
	while (t->n && strchr(".,;:", t->t[t->n - 1].kind))
		t->n--;
	t->n -= ends_in_zero(t);
}

void formula_tokens(struct span text, struct tokens *out)
{
	struct scanner c = {.rest = span_trim(text), .out = out};

	out->n = out->too_many = 0;
	while (c.rest.n && !out->too_many) {
		unsigned char ch = (unsigned char)c.rest.s[0];
		size_t        n = isdigit(ch) || ch == '.' ? number_length(&c) : 0;
		if (c.text_depth < 0 && ch != '{')
			c.text_depth = 0; /* \text without braces */
		if (n) {
			add(&c, 'n', (struct span){c.rest.s, n});
			skip(&c, n);
		} else if (ch == '\\')
			backslash(&c);
		else if (isalpha(ch))
			word(&c);
		else
			sign(&c);
	}
	drop_degrees(out);
	drop_end(out);
}
