#include "verify/formula_parts.h"

#include <ctype.h>
#include <string.h>

static const struct {
	const char *name;
	char        kind;
} commands[] = {
        {"frac", 'F'},      {"dfrac", 'F'},        {"tfrac", 'F'},
        {"cfrac", 'F'},     {"sqrt", 'R'},         {"binom", 'B'},
        {"dbinom", 'B'},    {"tbinom", 'B'},       {"over", 'O'},
        {"cdot", '*'},      {"times", '*'},        {"ast", '*'},
        {"div", '/'},       {"pm", 'p'},           {"mp", 'q'},
        {"le", 'l'},        {"leq", 'l'},          {"leqslant", 'l'},
        {"leqq", 'l'},      {"ge", 'g'},           {"geq", 'g'},
        {"geqslant", 'g'},  {"geqq", 'g'},         {"lt", '<'},
        {"gt", '>'},        {"ne", '~'},           {"neq", '~'},
        {"approx", 'E'},    {"cup", 'U'},          {"setminus", 'D'},
        {"backslash", 'D'}, {"in", 'I'},           {"infty", 'o'},
        {"left", 0},        {"right", 0},          {"big", 0},
        {"Big", 0},         {"bigg", 0},           {"Bigg", 0},
        {"bigl", 0},        {"bigr", 0},           {"Bigl", 0},
        {"Bigr", 0},        {"displaystyle", 0},   {"textstyle", 0},
        {"limits", 0},      {"nolimits", 0},       {"circ", 'd'},
        {"degree", 'd'},    {"quad", 0},           {"qquad", 0},
        {"ldots", 'v'},     {"dots", 'v'},         {"cdots", 'v'},
        {"mid", '|'},       {"vert", '|'},         {"lvert", '|'},
        {"rvert", '|'},     {"lfloor", 'y'},       {"rfloor", 'Y'},
        {"lceil", 'z'},     {"rceil", 'Z'},        {"bmod", '%'},
        {"mod", '%'},       {"lim", 'L'},          {"sum", 'L'},
        {"int", 'L'},       {"prod", 'L'},         {"sin", 'f'},
        {"cos", 'f'},       {"tan", 'f'},          {"cot", 'f'},
        {"sec", 'f'},       {"csc", 'f'},          {"arcsin", 'f'},
        {"arccos", 'f'},    {"arctan", 'f'},       {"sinh", 'f'},
        {"cosh", 'f'},      {"tanh", 'f'},         {"ln", 'f'},
        {"log", 'f'},       {"lg", 'f'},           {"exp", 'f'},
        {"alpha", 'v'},     {"beta", 'v'},         {"gamma", 'v'},
        {"delta", 'v'},     {"epsilon", 'v'},      {"varepsilon", 'v'},
        {"zeta", 'v'},      {"eta", 'v'},          {"theta", 'v'},
        {"vartheta", 'v'},  {"iota", 'v'},         {"kappa", 'v'},
        {"lambda", 'v'},    {"mu", 'v'},           {"nu", 'v'},
        {"xi", 'v'},        {"rho", 'v'},          {"sigma", 'v'},
        {"tau", 'v'},       {"phi", 'v'},          {"varphi", 'v'},
        {"chi", 'v'},       {"psi", 'v'},          {"omega", 'v'},
        {"pi", 'v'},        {"Gamma", 'v'},        {"Delta", 'v'},
        {"Theta", 'v'},     {"Lambda", 'v'},       {"Sigma", 'v'},
        {"Phi", 'v'},       {"Psi", 'v'},          {"Omega", 'v'},
        {"ell", 'v'},       {"hbar", 'v'},         {"partial", 'v'},
        {"nabla", 'v'},     {"mathbb", 'b'},       {"mathrm", 't'},
        {"mathbf", 'w'},    {"mathit", 'w'},       {"rm", 0},
        {"bf", 0},          {"operatorname", 't'}, {"boldsymbol", 'w'},
        {"mathcal", 'w'},   {"mathsf", 'w'},       {"boxed", 'w'},
        {"text", 't'},      {"mbox", 't'},         {"textbf", 't'},
        {"textit", 't'},    {"textrm", 't'},       {"textnormal", 't'},
        {"textsf", 't'},    {"textup", 't'},       {"texttt", 't'},
        {"hbox", 't'},      {"begin", '('},        {"end", ')'},
        {"cap", 'u'},       {"emptyset", 'v'},     {"varnothing", 'v'},
        {"angle", 'v'},     {"triangle", 'v'},     {"overline", 'a'},
        {"bar", 'a'},       {"vec", 'a'},          {"hat", 'a'},
        {"widehat", 'a'},   {"tilde", 'a'},        {"widetilde", 'a'},
        {"dot", 'a'},       {"ddot", 'a'},         {"overrightarrow", 'a'},
        {"prime", '\''},    {"pounds", 'x'},       {"euro", 'x'},
        {"dollar", 'x'},    {"percent", 'x'},      {"not", '!'},
};

struct scanner {
	struct span    rest;
	struct tokens *out;
	int            depth;      /* of brackets, in which commas do not group digits */
	int            matrix;     /* inside a matrix \\ ends a row */
	int            text_depth; /* braces open since \text */
};

static void formula_token_add(struct scanner *c, char kind, struct span s)
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

static char last_kind(const struct scanner *c)
{
	return c->out->n ? c->out->t[c->out->n - 1].kind : 0;
}

/* ---- numbers ---- */

static size_t token_digits(struct span a)
{
	size_t n = 0;

	while (n < a.n && isdigit((unsigned char)a.s[n]))
		n++;
	return n;
}

/* The length of a separator at the start of the span that has exactly three digits behind it. */
static size_t group_mark(const struct scanner *c, struct span a)
{
	static const char *const marks[] = {"{,}",   " {, }",   "{, }", ",\\!", ", \\!",
	                                    ",\\! ", ",\\!\\!", "\\!,", "\\,",  "\\ ",
	                                    ",",     " ",       "~"};

	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
		if (span_starts(a, marks[i]) && (i < 10 || c->depth == 0) &&
		    token_digits(span_from(a, strlen(marks[i]))) == 3)
			return strlen(marks[i]);
	return 0;
}

/* The length of "e33", "E-3", "e-05" behind a number. In "2e-1" the e may be the number e, so that
 * is not an exponent. */
static size_t exponent_length(struct span a, struct span mantissa)
{
	size_t at = 1, n;

	if (a.n < 2 || (a.s[0] != 'e' && a.s[0] != 'E'))
		return 0;
	at += a.s[1] == '-' || a.s[1] == '+';
	n = token_digits(span_from(a, at));
	if (n == 0 ||
	    (at + n < a.n && (isalpha((unsigned char)a.s[at + n]) || strchr("^_", a.s[at + n]))))
		return 0;
	if (at == 2 && n == 1 && a.s[0] == 'e' && !memchr(mantissa.s, '.', mantissa.n))
		return 0;
	return at + n;
}

/* Digits in groups of three, a decimal point or a comma in braces, an exponent. */
static size_t number_length(const struct scanner *c)
{
	struct span a = c->rest;
	size_t      n = token_digits(a), mark;

	if (n >= 1 && n <= 3 && a.s[0] != '0')
		while ((mark = group_mark(c, span_from(a, n))))
			n += mark + 3;
	if (n < a.n && a.s[n] == '.' && token_digits(span_from(a, n + 1)))
		n += 1 + token_digits(span_from(a, n + 1));
	/* a decimal comma in braces */
	else if ((span_starts(span_from(a, n), "{,}") || span_starts(span_from(a, n), "{.}")) &&
	         n) {
		size_t more = token_digits(span_from(a, n + 3));
		if (more && (more != 3 || a.s[n + 1] == '.'))
			n += 3 + more;
	}
	return n ? n + exponent_length(span_from(a, n), (struct span){a.s, n}) : 0;
}

/* The length of a repeating decimal such as "0.1\overline{6}", "0.\bar{3}", "0.\dot{3}", or 0. */
static size_t repeating_length(struct span a)
{
	static const char *const marks[] = {"\\overline{", "\\bar{", "\\dot{",
	                                    "\\overline ", "\\bar ", "\\dot "};
	size_t                   n = token_digits(a), at;

	if (n == 0 || n >= a.n || a.s[n] != '.')
		return 0;
	n++;
	n += token_digits(span_from(a, n));
	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
		size_t digits;
		if (!span_starts(span_from(a, n), marks[i]))
			continue;
		at = n + strlen(marks[i]);
		digits =
		        i < 3 ? token_digits(span_from(a, at)) : token_digits(span_from(a, at)) > 0;
		if (digits == 0 || (i < 3 && (at + digits >= a.n || a.s[at + digits] != '}')))
			return 0;
		return at + digits + (i < 3);
	}
	return 0;
}

/* The length of "10:30" or "7:05:59": a time of day or a duration, not a quotient. */
static size_t clock_length(const struct scanner *c)
{
	struct span a = c->rest;
	size_t      n = token_digits(a), parts = 1;

	if (n < 1 || n > 2 || last_kind(c) == ':')
		return 0;
	while (n < a.n && a.s[n] == ':' && token_digits(span_from(a, n + 1)) == 2 &&
	       a.s[n + 1] < '6') {
		n += 3;
		parts++;
	}
	return parts >= 2 && parts <= 3 &&
	                       !(n < a.n &&
	                         (a.s[n] == ':' || a.s[n] == '.' || isdigit((unsigned char)a.s[n])))
	               ? n
	               : 0;
}

/* ---- names ---- */

static size_t token_letters(struct span a)
{
	size_t n = 0;

	while (n < a.n && isalpha((unsigned char)a.s[n]))
		n++;
	return n;
}

/* The length of the longest known command at the start of the name: "quadx" is \quad x. */
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
	if (best && best < name.n && *kind && strchr("vtwabL", *kind)) { /* \pid is not \pi d */
		*kind = 'u';
		return name.n;
	}
	return best ? best : name.n;
}

static void formula_token_skip(struct scanner *c, size_t n)
{
	c->rest = span_from(c->rest, n);
}

static size_t braced(struct span a)
{
	const char *end = a.n && a.s[0] == '{' ? memchr(a.s, '}', a.n) : NULL;

	return end ? (size_t)(end - a.s) + 1 : 0;
}

/* \begin{...} and \end{...}: all kinds of matrices, without an array's column format. A
 * determinant, cases and other environments are not matrices. */
static void environment(struct scanner *c, int begins)
{
	size_t      n;
	struct span name;

	c->rest = span_trim(c->rest);
	n = braced(c->rest);
	name = n ? span_trim((struct span){c->rest.s + 1, n - 2}) : (struct span){c->rest.s, 0};
	formula_token_skip(c, n);
	if (span_equal(name, span_of("array")) && begins)
		formula_token_skip(c, braced(c->rest));
	if (span_equal(name, span_of("array")) || span_equal(name, span_of("matrix")) ||
	    span_equal(name, span_of("pmatrix")) || span_equal(name, span_of("bmatrix")) ||
	    span_equal(name, span_of("Bmatrix")) || span_equal(name, span_of("smallmatrix"))) {
		formula_token_add(c, begins ? 'M' : 'W', name);
		c->matrix += begins ? 1 : -1;
	} else if (!span_starts(name, "align") && !span_starts(name, "equation") &&
	           !span_starts(name, "gather"))
		formula_token_add(c, 'u', name);
}

static int is_known(struct span name)
{
	char kind;

	command(name, &kind);
	return kind != 'u';
}

/* The text in \text or \mathrm may be mathematics after all: if it has a command, or is one of the
 * letters that \mathrm sets upright. */
static int holds_formula(struct span a, struct span name)
{
	size_t      n = braced(span_trim(a));
	struct span inside =
	        n ? span_trim((struct span){span_trim(a).s + 1, n - 2}) : (struct span){"", 0};
	int upright = span_equal(name, span_of("mathrm")) ||
	              span_equal(name, span_of("operatorname")) ||
	              span_equal(name, span_of("text"));

	for (size_t i = 0; i + 1 < inside.n; i++)
		if (inside.s[i] == '\\' && isalpha((unsigned char)inside.s[i + 1]))
			return 1;
	return upright && inside.n == 1 && strchr("eidRP", inside.s[0]);
}

/* \operatorname{arcsin} is \arcsin. Returns its length, or 0. */
static size_t named_function(struct span a, struct span *name)
{
	struct span before = span_trim(a);
	size_t      n = braced(before);
	char        kind;

	*name = n ? span_trim((struct span){before.s + 1, n - 2}) : (struct span){"", 0};
	return n && command(*name, &kind) == name->n && kind == 'f' ? (size_t)(before.s - a.s) + n
	                                                            : 0;
}

/* "\\" ends a row in a matrix; elsewhere it means nothing, or is a backslash written twice. */
static void two_backslashes(struct scanner *c)
{
	struct span name = span_from(c->rest, 2);

	name.n = token_letters(name);
	if (c->matrix > 0)
		formula_token_add(c, 'N', (struct span){c->rest.s, 2});
	formula_token_skip(c, c->matrix <= 0 && name.n && is_known(name) ? 1 : 2);
}

/* \{ and \} are a set's braces, \$ and \% are units, other escaped signs are white space. */
static void escaped_sign(struct scanner *c, char next)
{
	struct span both = {c->rest.s, 2};

	switch (next) {
	case '{':
	case '}':
		formula_token_add(c, next == '{' ? 'S' : 'T', both);
		c->depth += next == '{' ? 1 : -1;
		break;
	case '|':
		formula_token_add(c, '|', both);
		break;
	case '$':
		formula_token_add(c, 'x', span_of("dollar"));
		break;
	case '%':
		formula_token_add(c, 'x', span_of("percent"));
		break;
	default:
		break;
	}
	formula_token_skip(c, 2);
}

static void add_command(struct scanner *c, char kind, struct span name)
{
	int before = c->out->n;

	if (kind == 'x' && span_equal(name, span_of("pounds")))
		name = span_of("pound");
	formula_token_add(c, kind, name);
	if (c->out->n > before)
		c->out->t[before].is_command = 1;
}

/* \mathbb{R} becomes one token, named by its letter. */
static void blackboard(struct scanner *c)
{
	size_t      n;
	struct span name;

	c->rest = span_trim(c->rest);
	n = braced(c->rest);
	name = n ? span_trim((struct span){c->rest.s + 1, n - 2})
	         : (struct span){c->rest.s, c->rest.n > 0};
	formula_token_add(c, name.n == 1 ? 'b' : 'u', name);
	formula_token_skip(c, n ? n : name.n);
}

/* Reads a command: a bracket, a letter, a function, text that may hold a formula, or decoration,
 * which is dropped. */
static void backslash(struct scanner *c)
{
	struct span name, inside;
	size_t      n = token_letters(span_from(c->rest, 1));
	char        kind, next = c->rest.n > 1 ? c->rest.s[1] : ' ';

	if (next == '\\') {
		two_backslashes(c);
		return;
	}
	if (n == 0) {
		escaped_sign(c, next);
		return;
	}
	name = (struct span){c->rest.s + 1, n};
	n = command(name, &kind);
	name.n = n;
	formula_token_skip(c, 1 + n);
	if (kind == '(' || kind == ')')
		environment(c, kind == '(');
	else if (kind == 'b')
		blackboard(c);
	else if (kind == '!') { /* \not= */
		c->rest = span_trim(c->rest);
		formula_token_add(c, span_starts(c->rest, "=") ? '~' : 'u', name);
		formula_token_skip(c, span_starts(c->rest, "="));
	} else if (kind == 't' && (n = named_function(c->rest, &inside))) {
		add_command(c, 'f', inside);
		formula_token_skip(c, n);
	} else if (kind == 't')
		c->text_depth = holds_formula(c->rest, name) ? 0 : -1;
	else if (kind != 'w')
		add_command(c, kind, name);
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

/* "a.m." and "p.m." in text. */
static size_t noon_length(struct span a)
{
	return span_starts_nocase(a, "a.m.") || span_starts_nocase(a, "p.m.") ? 4 : 0;
}

/* Reads a run of letters: a connective, a function, or a name. "1orW(x)" has a connective too. */
static void word(struct scanner *c)
{
	struct span w = {c->rest.s, token_letters(c->rest)};
	int         n = c->out->n;

	if (c->text_depth > 0)
		while (w.n < c->rest.n &&
		       (isalnum((unsigned char)w.s[w.n]) || w.s[w.n] == '\'' || w.s[w.n] == '-'))
			w.n++;
	if (noon_length(c->rest))
		w.n = noon_length(c->rest);
	if (n && strchr("n)", c->out->t[n - 1].kind) && span_starts(w, "or") && w.n <= 4 && w.n > 2)
		w.n = 2; /* 1orW(x) */
	formula_token_skip(c, w.n);
	if (is_connective(w))
		formula_token_add(c, ',', w);
	else if (c->text_depth <= 0 && is_function(w))
		formula_token_add(c, 'f', w);
	else
		formula_token_add(c, 'v', w);
}

/* Reads a sign that is not a letter, a digit or a backslash. */
static void sign(struct scanner *c)
{
	static const struct {
		const char *text;
		char        kind;
	} doubles[] = {{"<=", 'l'}, {">=", 'g'}, {"!=", '~'}, {"**", '^'}};
	char   ch = c->rest.s[0], kind = ch;
	size_t n = 1;

	for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++)
		if (span_starts(c->rest, doubles[i].text)) {
			n = 2;
			kind = doubles[i].kind;
		}
	for (; (unsigned char)ch >= 0xC0 && n < c->rest.n && (c->rest.s[n] & 0xC0) == 0x80; n++)
		; /* one character of UTF-8 is one token */
	if (c->text_depth && ch == '{')
		c->text_depth = c->text_depth < 0 ? 1 : c->text_depth + 1;
	else if (c->text_depth > 0 && ch == '}')
		c->text_depth--;
	else if (ch == '%')
		formula_token_add(c, 'x', span_of("percent"));
	else if (n == 1 && ch && strchr("nrcvfFRBopqlgESTUDIMWNOyYzZLabxu0d", ch))
		formula_token_add(c, 'u', (struct span){c->rest.s, 1});
	else if ((unsigned char)ch >= 0x80)
		formula_token_add(c, unit_is_known((struct span){c->rest.s, n}) ? 'x' : 'u',
		                  (struct span){c->rest.s, n});
	else if (ch == 0)
		formula_token_add(c, 'u', (struct span){c->rest.s, 1});
	else if (!isspace((unsigned char)ch) && !strchr("$~`", ch))
		formula_token_add(c, kind, (struct span){c->rest.s, n});
	if (ch == '(' || ch == '[')
		c->depth++;
	if (ch == ')' || ch == ']')
		c->depth--;
	formula_token_skip(c, n);
}

/* ---- what tokens come to ---- */

/* Turns "^d", "^{d}" and "d" into the unit of degrees, and "^\prime", "^{\prime\prime}" into
 * primes. */
static void join_marks(struct tokens *t)
{
	int n = 0;

	for (int i = 0; i < t->n; i++) {
		int  end = i + 1, braces = n && t->t[n - 1].kind == '{';
		char kind = t->t[i].kind;
		if (kind != 'd' && kind != '\'') {
			t->t[n++] = t->t[i];
			continue;
		}
		while (kind == '\'' && end < t->n && t->t[end].kind == '\'')
			end++;
		if (braces && end < t->n && t->t[end].kind == '}') {
			n--;
			end++;
		}
		if (n && t->t[n - 1].kind == '^')
			n--;
		if (kind == 'd')
			t->t[n++] = (struct token){'x', 0, 0, span_of("degree")};
		else
			for (; i < end; i++)
				if (t->t[i].kind == '\'')
					t->t[n++] = t->t[i];
		i = end - 1;
	}
	t->n = n;
}

/* Does the text end in a ".0" that adds nothing to a number or a fraction of numbers? */
static int ends_in_zero(const struct tokens *t)
{
	if (t->n < 2 || t->t[t->n - 1].kind != 'n' || !span_equal(t->t[t->n - 1].s, span_of(".0")))
		return 0;
	if (t->t[t->n - 2].kind == 'x') /* 40^\circ.0 */
		return 1;
	if (t->t[0].kind != 'F' && t->t[t->t[0].kind == '-'].kind != 'F' && t->n > 2)
		return 0;
	for (int i = 0; i < t->n - 1; i++)
		if (!strchr("nFR{}-", t->t[i].kind) ||
		    (i == t->n - 2 && memchr(t->t[i].s.s, '.', t->t[i].s.n)))
			return 0;
	return 1;
}

static void drop_end(struct tokens *t)
{
	struct token *last;

	while (t->n && strchr(".,;:", t->t[t->n - 1].kind))
		t->n--;
	t->n -= ends_in_zero(t);
	last = t->n > 1 ? &t->t[t->n - 1] : NULL;
	if (last && last->kind == 'n' && strchr("F_", last[-1].kind) && last->s.n > 2 &&
	    !memcmp(last->s.s + last->s.n - 2, ".0", 2))
		last->s.n -= 2; /* \frac94.0 */
}

/* Takes at least one token off the rest. */
static void scan_token(struct scanner *c)
{
	unsigned char ch = (unsigned char)c->rest.s[0];
	size_t        n;

	if (c->text_depth < 0 && ch != '{' && !isspace(ch))
		c->text_depth = 0; /* \text without braces */
	if (isdigit(ch) || ch == '.') {
		static const char kinds[] = "rcn";
		size_t lengths[] = {repeating_length(c->rest), clock_length(c), number_length(c)};
		for (int i = 0; i < 3; i++)
			if ((n = lengths[i])) {
				formula_token_add(c, kinds[i], (struct span){c->rest.s, n});
				formula_token_skip(c, n);
				return;
			}
	}
	if (ch == '\\')
		backslash(c);
	else if (isalpha(ch))
		word(c);
	else
		sign(c);
}

void formula_tokens(struct span text, struct tokens *out)
{
	struct scanner c = {.rest = span_trim(text), .out = out};

	out->n = out->too_many = 0;
	while (c.rest.n && !out->too_many)
		scan_token(&c);
	join_marks(out);
	drop_end(out);
}

int token_is_whole(const struct token *t)
{
	return t->kind == 'n' && !memchr(t->s.s, '.', t->s.n) && !memchr(t->s.s, 'e', t->s.n) &&
	       !memchr(t->s.s, 'E', t->s.n);
}
