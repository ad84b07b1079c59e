#include "text/template_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- tokens ---- */

/* T_CLOSE: the end of the tag */
enum token_kind { T_END, T_NAME, T_TEXT, T_INT, T_REAL, T_SIGN, T_CLOSE };

struct template_parse_token {
	enum token_kind kind;
	const char     *at; /* in the source; of a name or sign */
	size_t          n;
	struct value    value;
};

struct template_parser {
	struct arena *a;
	const char   *source, *end, *p;
	int           line, depth;
	int           line_starting; /* the last tag ended with a line */
	char          closing;       /* '}' or '%', of the tag at hand */
	/* brackets within it: }} may also close two mappings */
	int                         open;
	struct template_parse_token token;    /* within a tag: the one to look at */
	unsigned                    specials; /* of the macro at hand */
};

static int template_parse_fail(const struct template_parser *p, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
static int template_parse_fail(const struct template_parser *p, const char *format, ...)
{
	va_list list;
	int     status;

	va_start(list, format);
	status = template_error_at(p->line, format, list);
	va_end(list);
	return status;
}

static int template_parse_is_name(char c, int first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

static int template_parse_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void template_parse_skip(struct template_parser *p, size_t n)
{
	for (; n && p->p < p->end; n--)
		p->line += *p->p++ == '\n';
}

static void skip_spaces(struct template_parser *p)
{
	while (p->p < p->end && template_parse_is_space(*p->p))
		template_parse_skip(p, 1);
}

static char template_parse_peek(const struct template_parser *p, size_t i)
{
	return (size_t)(p->end - p->p) > i ? p->p[i] : 0;
}

static void add_code_point(struct text *t, unsigned c)
{
	char   s[4];
	size_t n = 0;

	if (c < 0x80) {
		s[n++] = (char)c;
	} else if (c < 0x800) {
		s[n++] = (char)(0xc0 | c >> 6);
		s[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		s[n++] = (char)(0xe0 | c >> 12);
		s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		s[n++] = (char)(0x80 | (c & 0x3f));
	}
	text_add(t, s, n);
}

/* Reads one escape as Python's literals do. An unknown escape keeps its backslash. */
static int read_escape(struct template_parser *p, struct text *t)
{
	static const char from[] = "nrtbfv0\\'\"", to[] = "\n\r\t\b\f\v\0\\'\"";
	char              c = template_parse_peek(p, 0);
	const char       *at = c ? strchr(from, c) : NULL;
	unsigned          value = 0;

	if (c == 'u' || c == 'x') {
		size_t digits = c == 'u' ? 4 : 2;
		for (size_t i = 1; i <= digits; i++) {
			const char *hex = "0123456789abcdefABCDEF",
			           *d = template_parse_peek(p, i)
			                        ? strchr(hex, template_parse_peek(p, i))
			                        : NULL;
			if (!d)
				return template_parse_fail(
				        p, "an escape \\%c needs %zu hexadecimal digits", c,
				        digits);
			value = value * 16 + (unsigned)(d - hex < 16 ? d - hex : d - hex - 6);
		}
		if (value >= 0xd800 && value < 0xe000)
			return template_parse_fail(p, "a text holds half of a surrogate pair");
		add_code_point(t, value);
		template_parse_skip(p, digits + 1);
	} else if (at) {
		text_add(t, &to[at - from], 1);
		template_parse_skip(p, 1);
	} else {
		text_add(t, "\\", 1);
	}
	return OK;
}

/* Reads up to the same quote and resolves escapes. */
static int template_parse_read_text(struct template_parser *p, struct text *t)
{
	char quote = *p->p;

	template_parse_skip(p, 1);
	while (p->p < p->end && *p->p != quote) {
		if (*p->p == '\\') {
			template_parse_skip(p, 1);
			TRY(read_escape(p, t));
		} else {
			text_add(t, p->p, 1);
			template_parse_skip(p, 1);
		}
	}
	if (p->p == p->end)
		return template_parse_fail(p, "a text in quotes does not end");
	template_parse_skip(p, 1);
	return text_status(t);
}

static int text_token(struct template_parser *p)
{
	struct text t = {0};
	int         status = template_parse_read_text(p, &t);
	char       *copy;

	if (status == OK) {
		status = arena_copy(p->a, t.data ? t.data : "", t.n, &copy);
		p->token.kind = T_TEXT;
		p->token.value = (struct value){.kind = V_TEXT, .n = t.n, .as.text = copy};
	}
	text_free(&t);
	return status;
}

/* The length of a number in bytes: digits, "_" between them, a fraction, an exponent. */
static size_t number_bytes(const struct template_parser *p, int *real)
{
	int    indexes = p->p > p->source && p->p[-1] == '.'; /* x.0.1: two places, no fraction */
	size_t n = 0;

	while (is_digit(template_parse_peek(p, n)) ||
	       (template_parse_peek(p, n) == '_' && is_digit(template_parse_peek(p, n + 1))))
		n++;
	*real = 0;
	if (indexes)
		return n;
	*real = template_parse_peek(p, n) == '.' && is_digit(template_parse_peek(p, n + 1));
	for (n += (size_t)*real; *real && is_digit(template_parse_peek(p, n)); n++)
		;
	if (template_parse_peek(p, n) == 'e' || template_parse_peek(p, n) == 'E') {
		size_t sign = template_parse_peek(p, n + 1) == '+' ||
		              template_parse_peek(p, n + 1) == '-';
		if (is_digit(template_parse_peek(p, n + 1 + sign))) {
			*real = 1;
			for (n += 1 + sign; is_digit(template_parse_peek(p, n)); n++)
				;
		}
	}
	return n;
}

/* Copies the number without underscores first, because strtod and strtoll do not know them. */
static int number_token(struct template_parser *p)
{
	char   digits[64];
	int    real;
	size_t n = number_bytes(p, &real), m = 0;

	if (n >= sizeof digits)
		return template_parse_fail(p, "a number is too long");
	for (size_t i = 0; i < n; i++)
		if (p->p[i] != '_')
			digits[m++] = p->p[i];
	digits[m] = 0;
	template_parse_skip(p, n);
	errno = 0;
	p->token.kind = real ? T_REAL : T_INT;
	p->token.value = real ? (struct value){.kind = V_REAL, .as.x = strtod(digits, NULL)}
	                      : template_int(strtoll(digits, NULL, 10));
	return errno ? template_parse_fail(p, "a number is too large") : OK;
}

/* Tries signs of two characters before those of one. */
static int sign_token(struct template_parser *p)
{
	static const char *const signs[] = {"==", "!=", "<=", ">=", "//", "**", "+", "-", "*",
	                                    "/",  "%",  "~",  "<",  ">",  "=",  "(", ")", "[",
	                                    "]",  "{",  "}",  ",",  ".",  ":",  "|"};

	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		size_t n = strlen(signs[i]);
		if ((size_t)(p->end - p->p) < n || memcmp(p->p, signs[i], n) != 0)
			continue;
		p->token.kind = T_SIGN;
		p->token.at = p->p;
		p->token.n = n;
		p->open += strchr("([{", *p->p) ? 1 : strchr(")]}", *p->p) ? -1 : 0;
		template_parse_skip(p, n);
		return OK;
	}
	return template_parse_fail(p, "the character \"%c\" has no meaning here", *p->p);
}

/* The length of the tag's end if it is here, else 0. Inside a mapping a brace closes that. */
static size_t closes(const struct template_parser *p)
{
	size_t n = template_parse_peek(p, 0) == '-' ||
	           (template_parse_peek(p, 0) == '+' && p->closing == '%');

	return template_parse_peek(p, n) == p->closing && template_parse_peek(p, n + 1) == '}'
	               ? n + 2
	               : 0;
}

/* The next token of a tag. Inside brackets "%}" and "}}" do not close the tag. */
static int advance(struct template_parser *p)
{
	size_t n;

	skip_spaces(p);
	p->token = (struct template_parse_token){.kind = T_END, .at = p->p};
	if (p->p == p->end)
		return template_parse_fail(p, "a tag does not end");
	n = p->open > 0 ? 0 : closes(p);
	if (n) {
		p->token.kind = T_CLOSE;
		return OK;
	}
	if (*p->p == '"' || *p->p == '\'')
		return text_token(p);
	if (*p->p >= '0' && *p->p <= '9')
		return number_token(p);
	if (!template_parse_is_name(*p->p, 1))
		return sign_token(p);
	p->token.kind = T_NAME;
	while (p->p < p->end && template_parse_is_name(*p->p, 0))
		template_parse_skip(p, 1);
	p->token.n = (size_t)(p->p - p->token.at);
	return OK;
}

static int is(const struct template_parser *p, enum token_kind kind, const char *s)
{
	return p->token.kind == kind && p->token.n == strlen(s) &&
	       !memcmp(p->token.at, s, p->token.n);
}
static int is_sign(const struct template_parser *p, const char *s)
{
	return is(p, T_SIGN, s);
}
static int template_parse_is_word(const struct template_parser *p, const char *s)
{
	return is(p, T_NAME, s);
}

/* Steps over the sign or word if it comes next. */
static int accept(struct template_parser *p, enum token_kind kind, const char *s, int *found)
{
	*found = is(p, kind, s);
	return *found ? advance(p) : OK;
}

static int unexpected(const struct template_parser *p, const char *wanted)
{
	if (p->token.kind == T_NAME || p->token.kind == T_SIGN)
		return template_parse_fail(p, "\"%.*s\" where %s is expected",
		                           (int)(p->token.n < 40 ? p->token.n : 40), p->token.at,
		                           wanted);
	return template_parse_fail(p, "%s where %s is expected",
	                           p->token.kind == T_CLOSE ? "the end of the tag" : "a value",
	                           wanted);
}

static int expect(struct template_parser *p, enum token_kind kind, const char *s)
{
	char wanted[32];

	if (is(p, kind, s))
		return advance(p);
	snprintf(wanted, sizeof wanted, "\"%s\"", s);
	return unexpected(p, wanted);
}

static int expect_name(struct template_parser *p, const char **out)
{
	if (p->token.kind != T_NAME)
		return unexpected(p, "a name");
	TRY(arena_copy(p->a, p->token.at, p->token.n, out));
	return advance(p);
}

/* ---- expressions ---- */

static int template_parse_make(struct template_parser *p, enum template_node_kind kind,
                               struct template_node *a, struct template_node *b,
                               struct template_node **out)
{
	struct template_node *n;

	TRY(arena_take(p->a, 1, "a template", &n));
	n->kind = kind;
	n->line = p->line;
	n->a = a;
	n->b = b;
	*out = n;
	return OK;
}

static int parse_expression(struct template_parser *p, struct template_node **out);
static int parse_unary(struct template_parser *p, int filters, struct template_node **out);

static int deeper(struct template_parser *p)
{
	return ++p->depth > TEMPLATE_DEPTH / 2 ? template_parse_fail(p, "nested too deeply") : OK;
}

/* Behind "(": arguments up to ")". */
static int template_parse_arguments(struct template_parser *p, struct template_node **list)
{
	struct template_node **end = list;
	int                    comma = 1, found;

	while (!is_sign(p, ")")) {
		const char *keyword = NULL;
		int         star;
		if (!comma)
			return unexpected(p, "\",\" or \")\"");
		if (is_sign(p, "**"))
			return template_parse_fail(p,
			                           "arguments as a mapping (**) are not supported");
		TRY(accept(p, T_SIGN, "*", &star));
		if (p->token.kind == T_NAME) { /* perhaps name=value */
			struct template_parser before = *p;
			TRY(expect_name(p, &keyword));
			TRY(accept(p, T_SIGN, "=", &found));
			if (!found) {
				*p = before;
				keyword = NULL;
			}
		}
		TRY(parse_expression(p, end));
		(*end)->keyword = keyword;
		(*end)->star = star;
		end = &(*end)->next;
		TRY(accept(p, T_SIGN, ",", &comma));
	}
	return advance(p);
}

static int template_parse_sequence(struct template_parser *p, const char *close,
                                   struct template_node *n)
{
	struct template_node **end = &n->list;
	int                    comma = 1;

	while (!is_sign(p, close)) {
		if (!comma)
			return unexpected(p, "\",\"");
		TRY(parse_expression(p, end));
		end = &(*end)->next;
		TRY(accept(p, T_SIGN, ",", &comma));
	}
	return advance(p);
}

static int parse_map(struct template_parser *p, struct template_node *n)
{
	struct template_node **end = &n->list;
	int                    comma = 1;

	while (!is_sign(p, "}")) {
		if (!comma)
			return unexpected(p, "\",\" or \"}\"");
		TRY(parse_expression(p, end));
		end = &(*end)->next;
		TRY(expect(p, T_SIGN, ":"));
		TRY(parse_expression(p, end));
		end = &(*end)->next;
		TRY(accept(p, T_SIGN, ",", &comma));
	}
	return advance(p);
}

/* Behind "(": an expression, or a tuple, which is treated as a list. */
static int parse_parenthesis(struct template_parser *p, struct template_node **out)
{
	struct template_node *list, *first;

	if (!is_sign(p, ")")) {
		TRY(parse_expression(p, &first));
		if (is_sign(p, ")")) {
			*out = first;
			return advance(p);
		}
		TRY(template_parse_make(p, N_LIST, NULL, NULL, &list));
		TRY(expect(p, T_SIGN, ","));
		TRY(template_parse_sequence(p, ")", list));
		first->next = list->list;
		list->list = first;
		*out = list;
		return OK;
	}
	TRY(template_parse_make(p, N_LIST, NULL, NULL, out));
	return advance(p);
}

/* A constant or a variable. Notes the special names of a macro (caller, varargs, kwargs). */
static int template_parse_name(struct template_parser *p, struct template_node **out)
{
	static const struct {
		const char  *word;
		struct value value;
	} words[] = {{"true", {.kind = V_BOOL, .as.i = 1}},
	             {"True", {.kind = V_BOOL, .as.i = 1}},
	             {"false", {.kind = V_BOOL}},
	             {"False", {.kind = V_BOOL}},
	             {"none", {.kind = V_NONE}},
	             {"None", {.kind = V_NONE}}};

	p->specials |= template_parse_is_word(p, "caller")    ? SPECIAL_CALLER
	               : template_parse_is_word(p, "varargs") ? SPECIAL_VARARGS
	               : template_parse_is_word(p, "kwargs")  ? SPECIAL_KWARGS
	                                                      : 0;
	TRY(template_parse_make(p, N_NAME, NULL, NULL, out));
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (!template_parse_is_word(p, words[i].word))
			continue;
		(*out)->kind = N_CONST;
		(*out)->value = words[i].value;
		return advance(p);
	}
	return expect_name(p, &(*out)->name);
}

static int parse_constant(struct template_parser *p, struct template_node **out)
{
	TRY(template_parse_make(p, N_CONST, NULL, NULL, out));
	(*out)->value = p->token.value;
	TRY(advance(p));
	while ((*out)->value.kind == V_TEXT && p->token.kind == T_TEXT) { /* 'a' 'b' */
		struct value *v = &(*out)->value;
		char         *both;
		TRY(arena_take(p->a, v->n + p->token.value.n + 1, "a text of a template", &both));
		memcpy(both, v->as.text, v->n);
		memcpy(both + v->n, p->token.value.as.text, p->token.value.n);
		v->n += p->token.value.n;
		v->as.text = both;
		TRY(advance(p));
	}
	return OK;
}

/* A name, a constant, or what stands in brackets: (tuple or group), [list], {map}. */
static int parse_primary(struct template_parser *p, struct template_node **out)
{
	int found;

	if (p->token.kind == T_NAME)
		return template_parse_name(p, out);
	if (p->token.kind == T_TEXT || p->token.kind == T_INT || p->token.kind == T_REAL)
		return parse_constant(p, out);
	TRY(accept(p, T_SIGN, "(", &found));
	if (found)
		return parse_parenthesis(p, out);
	TRY(accept(p, T_SIGN, "[", &found));
	if (found) {
		TRY(template_parse_make(p, N_LIST, NULL, NULL, out));
		return template_parse_sequence(p, "]", *out);
	}
	if (!is_sign(p, "{"))
		return unexpected(p, "a value");
	TRY(advance(p));
	TRY(template_parse_make(p, N_MAP, NULL, NULL, out));
	return parse_map(p, *out);
}

/* Behind "[": an index or from:to:step. */
static int parse_subscript(struct template_parser *p, struct template_node *of,
                           struct template_node **out)
{
	struct template_node *parts[3] = {NULL, NULL, NULL};
	int                   n = 0, colon;

	do {
		if (!is_sign(p, ":") && !is_sign(p, "]"))
			TRY(parse_expression(p, &parts[n]));
		TRY(accept(p, T_SIGN, ":", &colon));
		n++;
	} while (colon && n < 3);
	if (n == 1 && !parts[0])
		return unexpected(p, "an index");
	TRY(template_parse_make(p, n == 1 ? N_ITEM : N_SLICE, of, parts[0], out));
	(*out)->c = parts[1];
	(*out)->other = parts[2];
	return expect(p, T_SIGN, "]");
}

/* Behind ".": a name, or a number, which is an index: x.0 is x[0]. */
static int parse_attribute(struct template_parser *p, struct template_node *of,
                           struct template_node **out)
{
	struct template_node *index;

	if (p->token.kind != T_INT) {
		TRY(template_parse_make(p, N_ATTRIBUTE, of, NULL, out));
		return expect_name(p, &(*out)->name);
	}
	TRY(template_parse_make(p, N_CONST, NULL, NULL, &index));
	index->value = p->token.value;
	TRY(template_parse_make(p, N_ITEM, of, index, out));
	return advance(p);
}

/* Any number of .name, [index] and (arguments) behind a value. */
static int parse_postfix(struct template_parser *p, struct template_node **out)
{
	for (;;) {
		struct template_node *of = *out;
		int                   found;
		TRY(accept(p, T_SIGN, ".", &found));
		if (found) {
			TRY(parse_attribute(p, of, out));
			continue;
		}
		TRY(accept(p, T_SIGN, "[", &found));
		if (found) {
			TRY(parse_subscript(p, of, out));
			continue;
		}
		TRY(accept(p, T_SIGN, "(", &found));
		if (!found)
			return OK;
		TRY(template_parse_make(p, N_CALL, of, NULL, out));
		TRY(template_parse_arguments(p, &(*out)->list));
	}
}

static int parse_filter(struct template_parser *p, struct template_node **out)
{
	int found;

	TRY(template_parse_make(p, N_FILTER, *out, NULL, out));
	TRY(expect_name(p, &(*out)->name));
	TRY(accept(p, T_SIGN, "(", &found));
	return found ? template_parse_arguments(p, &(*out)->list) : OK;
}

/* Behind "is". An argument may stand without parentheses: x is divisibleby 3. */
static int parse_test(struct template_parser *p, struct template_node **out)
{
	struct template_node *test;
	int                   negated, found;

	TRY(accept(p, T_NAME, "not", &negated));
	TRY(template_parse_make(p, N_TEST, *out, NULL, &test));
	TRY(expect_name(p, &test->name));
	TRY(accept(p, T_SIGN, "(", &found));
	if (found) {
		TRY(template_parse_arguments(p, &test->list));
	} else if (p->token.kind == T_TEXT || p->token.kind == T_INT || p->token.kind == T_REAL ||
	           is_sign(p, "[") || is_sign(p, "{") ||
	           (p->token.kind == T_NAME && !template_parse_is_word(p, "else") &&
	            !template_parse_is_word(p, "or") && !template_parse_is_word(p, "and") &&
	            !template_parse_is_word(p, "if") && !template_parse_is_word(p, "is"))) {
		TRY(parse_primary(p, &test->list));
		TRY(parse_postfix(p, &test->list));
	}
	*out = test;
	return negated ? template_parse_make(p, N_NOT, test, NULL, out) : OK;
}

/* Any number of |filter and "is test", which bind more loosely than .name and [index]. */
static int parse_filters(struct template_parser *p, struct template_node **out)
{
	for (;;) {
		int found;
		TRY(accept(p, T_SIGN, "|", &found));
		if (found) {
			TRY(parse_filter(p, out));
			continue;
		}
		TRY(accept(p, T_NAME, "is", &found));
		if (found) {
			TRY(parse_test(p, out));
			continue;
		}
		if (!is_sign(p, "("))
			return OK;
		TRY(parse_postfix(p, out));
	}
}

/* A sign binds more tightly than a filter: -1|abs is (-1)|abs, as in Jinja. */
static int parse_unary(struct template_parser *p, int filters, struct template_node **out)
{
	struct template_node *operand;
	int                   minus, plus = 0;

	TRY(accept(p, T_SIGN, "-", &minus));
	if (!minus)
		TRY(accept(p, T_SIGN, "+", &plus));
	if (minus || plus) {
		TRY(deeper(p));
		TRY(parse_unary(p, 0, &operand));
		p->depth--;
		TRY(template_parse_make(p, minus ? N_NEGATE : N_PLUS, operand, NULL, out));
	} else {
		TRY(parse_primary(p, out));
	}
	TRY(parse_postfix(p, out));
	return filters ? parse_filters(p, out) : OK;
}

/* The operators of each level associate to the left; the next level binds tighter. */
static const struct template_parse_level {
	const char *signs[5];
	enum        operator ops[4];
} levels[] = {
        {{"+", "-", NULL}, {OP_ADD, OP_SUBTRACT}},
        {{"~", NULL}, {OP_JOIN}},
        {{"*", "//", "/", "%", NULL}, {OP_MULTIPLY, OP_FLOOR, OP_DIVIDE, OP_MODULO}},
};
enum { N_LEVELS = sizeof levels / sizeof *levels };

/* Parses binary operators by precedence, left to right. The signs come after the last level. */
static int parse_level(struct template_parser *p, int level, struct template_node **out)
{
	if (level == N_LEVELS) {
		TRY(parse_unary(p, 1, out));
		return is_sign(p, "**") ? template_parse_fail(p, "powers (**) are not supported")
		                        : OK;
	}
	TRY(parse_level(p, level + 1, out));
	for (int i = 0; levels[level].signs[i]; i++) {
		struct template_node *left = *out, *right;
		int                   found;
		TRY(accept(p, T_SIGN, levels[level].signs[i], &found));
		if (!found)
			continue;
		TRY(parse_level(p, level + 1, &right));
		TRY(template_parse_make(p, N_BINARY, left, right, out));
		(*out)->op = levels[level].ops[i];
		i = -1;
	}
	return OK;
}

/* Which comparison comes next, if any: a sign, "in", or "not in". */
static int comparison(struct template_parser *p, enum operator* op, int *found)
{
	static const struct {
		const char *sign;
		enum        operator op;
	} signs[] = {{"==", OP_EQUAL},      {"!=", OP_UNEQUAL}, {"<", OP_LESS},
	             {"<=", OP_LESS_EQUAL}, {">", OP_GREATER},  {">=", OP_GREATER_EQUAL}};

	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		TRY(accept(p, T_SIGN, signs[i].sign, found));
		*op = signs[i].op;
		if (*found)
			return OK;
	}
	*op = OP_IN;
	TRY(accept(p, T_NAME, "in", found));
	if (*found || !template_parse_is_word(p, "not"))
		return OK;
	*op = OP_NOT_IN;
	*found = 1;
	TRY(advance(p));
	return expect(p, T_NAME, "in");
}

/* a < b < c is (a < b) and (b < c). b is computed twice; expressions have no effects, so nothing
 * shows it. */
static int parse_comparison(struct template_parser *p, struct template_node **out)
{
	struct template_node *left, *right, *one, *all = NULL;
	enum                  operator op;
	int                   found;

	TRY(parse_level(p, 0, &left));
	for (;;) {
		TRY(comparison(p, &op, &found));
		if (!found)
			break;
		TRY(parse_level(p, 0, &right));
		TRY(template_parse_make(p, N_COMPARE, left, right, &one));
		one->op = op;
		if (all)
			TRY(template_parse_make(p, N_AND, all, one, &all));
		else
			all = one;
		left = right;
	}
	*out = all ? all : left;
	return OK;
}

static int parse_not(struct template_parser *p, struct template_node **out)
{
	struct template_node *operand;
	int                   found;

	TRY(accept(p, T_NAME, "not", &found));
	if (!found)
		return parse_comparison(p, out);
	TRY(deeper(p));
	TRY(parse_not(p, &operand));
	p->depth--;
	return template_parse_make(p, N_NOT, operand, NULL, out);
}

static int parse_and(struct template_parser *p, struct template_node **out)
{
	int found;

	TRY(parse_not(p, out));
	for (;;) {
		struct template_node *left = *out, *right;
		TRY(accept(p, T_NAME, "and", &found));
		if (!found)
			return OK;
		TRY(parse_not(p, &right));
		TRY(template_parse_make(p, N_AND, left, right, out));
	}
}

static int parse_or(struct template_parser *p, struct template_node **out)
{
	int found;

	TRY(parse_and(p, out));
	for (;;) {
		struct template_node *left = *out, *right;
		TRY(accept(p, T_NAME, "or", &found));
		if (!found)
			return OK;
		TRY(parse_and(p, &right));
		TRY(template_parse_make(p, N_OR, left, right, out));
	}
}

/* Parses "a if b else c" and everything below it. The node is in no list yet: the caller may link
 * it through `next`. */
static int parse_expression(struct template_parser *p, struct template_node **out)
{
	struct template_node *value, *condition, *otherwise = NULL;
	int                   found;

	TRY(deeper(p));
	TRY(parse_or(p, &value));
	for (;;) {
		TRY(accept(p, T_NAME, "if", &found));
		if (!found)
			break;
		TRY(parse_or(p, &condition));
		otherwise = NULL;
		TRY(accept(p, T_NAME, "else", &found));
		if (found)
			TRY(parse_expression(p, &otherwise));
		TRY(template_parse_make(p, N_IF_ELSE, value, condition, &value));
		value->c = otherwise;
	}
	p->depth--;
	*out = value;
	return OK;
}

/* ---- text between tags ---- */

static int add_statement(struct template_node ***end, struct template_node *n)
{
	**end = n;
	*end = &n->next;
	return OK;
}

static int template_parse_add_text(struct template_parser *p, struct template_node ***end,
                                   const char *from, const char *to)
{
	struct template_node *print, *text;

	if (from == to)
		return OK;
	TRY(template_parse_make(p, N_CONST, NULL, NULL, &text));
	text->value = (struct value){.kind = V_TEXT, .n = (size_t)(to - from), .as.text = from};
	TRY(template_parse_make(p, N_PRINT, text, NULL, &print));
	return add_statement(end, print);
}

/* The end of the text before a tag that opens at `to`. The tag removes white space before it when
 * it has a minus sign or stands alone on its line. */
static const char *template_parse_trimmed(const struct template_parser *p, const char *from,
                                          const char *to, char kind, char sign)
{
	const char *line = to;

	if (sign == '-') {
		while (to > from && template_parse_is_space(to[-1]))
			to--;
		return to;
	}
	if (kind == '{' || sign == '+')
		return to;
	while (line > from && line[-1] != '\n' && template_parse_is_space(line[-1]))
		line--;
	return line > from ? (line[-1] == '\n' ? line : to) : (p->line_starting ? line : to);
}

/* Steps over the end of a tag and the white space that it removes. */
static void finish_tag(struct template_parser *p)
{
	char   sign = template_parse_peek(p, 0);
	size_t n = sign == '-' || sign == '+' ? 3 : 2;
	int    is_expression = template_parse_peek(p, n - 2) == '}';

	template_parse_skip(p, n);
	if (sign == '-')
		skip_spaces(p);
	else if (!is_expression && sign != '+' && template_parse_peek(p, 0) == '\n')
		template_parse_skip(p, 1);
	p->line_starting = p->p[-1] == '\n';
}

static const char *find_tag(const struct template_parser *p)
{
	for (const char *s = p->p; s + 1 < p->end; s++)
		if (s[0] == '{' && (s[1] == '{' || s[1] == '%' || s[1] == '#'))
			return s;
	return p->end;
}

static int skip_comment(struct template_parser *p)
{
	template_parse_skip(p, 2);
	while (p->p < p->end) {
		size_t n = template_parse_peek(p, 0) == '-' || template_parse_peek(p, 0) == '+';
		if (template_parse_peek(p, n) == '#' && template_parse_peek(p, n + 1) == '}') {
			finish_tag(p);
			return OK;
		}
		template_parse_skip(p, 1);
	}
	return template_parse_fail(p, "a comment does not end");
}

/* ---- statements ---- */

static int parse_body(struct template_parser *p, const char *const *ends,
                      struct template_node **body);

static int close_tag(struct template_parser *p)
{
	if (p->token.kind != T_CLOSE)
		return unexpected(p, "the end of the tag");
	finish_tag(p);
	return OK;
}

/* `set` and `for`: a, b, c */
static int parse_targets(struct template_parser *p, struct template_node **list)
{
	struct template_node **end = list;
	int                    comma, bracket;

	TRY(accept(p, T_SIGN, "(", &bracket));
	do {
		TRY(template_parse_make(p, N_NAME, NULL, NULL, end));
		TRY(expect_name(p, &(*end)->name));
		end = &(*end)->next;
		TRY(accept(p, T_SIGN, ",", &comma));
	} while (comma);
	return bracket ? expect(p, T_SIGN, ")") : OK;
}

/* An expression, or several with commas between them, which make a list. */
static int parse_values(struct template_parser *p, struct template_node **out)
{
	struct template_node *first, **end;
	int                   comma;

	TRY(parse_expression(p, &first));
	*out = first;
	if (!is_sign(p, ","))
		return OK;
	TRY(template_parse_make(p, N_LIST, NULL, NULL, out));
	(*out)->list = first;
	end = &first->next;
	TRY(accept(p, T_SIGN, ",", &comma));
	while (comma && p->token.kind != T_CLOSE) {
		TRY(parse_expression(p, end));
		end = &(*end)->next;
		TRY(accept(p, T_SIGN, ",", &comma));
	}
	return OK;
}

/* Parses the body up to one of `ends` as an expression: its text, passed through the filters of the
 * tag. */
static int parse_captured(struct template_parser *p, int filtered, const char *const *ends,
                          struct template_node **out)
{
	struct template_node *body;
	int                   more = filtered;

	TRY(template_parse_make(p, N_CAPTURE, NULL, NULL, &body));
	*out = body;
	while (more) {
		TRY(parse_filter(p, out));
		TRY(accept(p, T_SIGN, "|", &more));
	}
	TRY(close_tag(p));
	TRY(parse_body(p, ends, &body->body));
	TRY(advance(p));
	return close_tag(p);
}

/* {% set a, b = values %}, {% set x.y = value %}, or the block form that ends with endset. */
static int template_parse_set(struct template_parser *p, struct template_node **out)
{
	static const char *const ends[] = {"endset", NULL};
	int                      found;

	TRY(template_parse_make(p, N_SET, NULL, NULL, out));
	TRY(parse_targets(p, &(*out)->list));
	TRY(accept(p, T_SIGN, ".", &found));
	if (found)
		TRY(expect_name(p, &(*out)->name));
	TRY(accept(p, T_SIGN, "=", &found));
	if (found) {
		TRY(parse_values(p, &(*out)->a));
		return close_tag(p);
	}
	if (p->token.kind != T_CLOSE && !is_sign(p, "|"))
		return unexpected(p, "\"=\"");
	TRY(accept(p, T_SIGN, "|", &found));
	return parse_captured(p, found, ends, &(*out)->a);
}

/* {% filter upper | trim %} ... {% endfilter %} */
static int parse_filter_block(struct template_parser *p, struct template_node **out)
{
	static const char *const ends[] = {"endfilter", NULL};

	TRY(template_parse_make(p, N_PRINT, NULL, NULL, out));
	return parse_captured(p, 1, ends, &(*out)->a);
}

/* An elif is an if inside the else, so the branches form a chain. */
static int parse_if(struct template_parser *p, struct template_node **out)
{
	static const char *const ends[] = {"elif", "else", "endif", NULL}, *const last[] = {"endif",
	                                                                                    NULL};
	struct template_node **branch = out;
	int                    found = 1;

	while (found) {
		TRY(template_parse_make(p, N_IF, NULL, NULL, branch));
		TRY(parse_expression(p, &(*branch)->a));
		TRY(close_tag(p));
		TRY(parse_body(p, ends, &(*branch)->body));
		branch = &(*branch)->other;
		TRY(accept(p, T_NAME, "elif", &found));
	}
	TRY(accept(p, T_NAME, "else", &found));
	if (found) {
		TRY(close_tag(p));
		TRY(parse_body(p, last, branch));
	}
	TRY(advance(p));
	return close_tag(p);
}

/* {% for targets in list if condition %}, with an optional else that runs for an empty list. */
static int parse_for(struct template_parser *p, struct template_node **out)
{
	static const char *const ends[] = {"else", "endfor", NULL}, *const last[] = {"endfor",
	                                                                             NULL};
	int found;

	TRY(template_parse_make(p, N_FOR, NULL, NULL, out));
	TRY(parse_targets(p, &(*out)->list));
	TRY(expect(p, T_NAME, "in"));
	TRY(parse_or(p, &(*out)->a));
	TRY(accept(p, T_NAME, "if", &found));
	if (found)
		TRY(parse_expression(p, &(*out)->b));
	if (template_parse_is_word(p, "recursive"))
		return template_parse_fail(p, "recursive loops are not supported");
	TRY(close_tag(p));
	TRY(parse_body(p, ends, &(*out)->body));
	TRY(accept(p, T_NAME, "else", &found));
	if (found) {
		TRY(close_tag(p));
		TRY(parse_body(p, last, &(*out)->other));
	}
	TRY(advance(p));
	return close_tag(p);
}

/* Behind "(": names, some with a default value. */
static int parse_parameters(struct template_parser *p, struct template_node **list)
{
	struct template_node **end = list;
	int                    comma = 1, found;

	while (!is_sign(p, ")")) {
		if (!comma)
			return unexpected(p, "\",\" or \")\"");
		TRY(template_parse_make(p, N_NAME, NULL, NULL, end));
		TRY(expect_name(p, &(*end)->name));
		TRY(accept(p, T_SIGN, "=", &found));
		if (found)
			TRY(parse_expression(p, &(*end)->a));
		end = &(*end)->next;
		TRY(accept(p, T_SIGN, ",", &comma));
	}
	return advance(p);
}

/* Parses the rest of the tag, the body and its end. Notes the special names that the body uses,
 * also for the macro around it. */
static int parse_macro_body(struct template_parser *p, const char *const *ends,
                            struct template_node *macro)
{
	unsigned outer = p->specials;

	p->specials = 0;
	TRY(close_tag(p));
	TRY(parse_body(p, ends, &macro->body));
	macro->specials = p->specials;
	p->specials |= outer;
	TRY(advance(p));
	return close_tag(p);
}

static int parse_macro(struct template_parser *p, struct template_node **out)
{
	static const char *const ends[] = {"endmacro", NULL};

	TRY(template_parse_make(p, N_MACRO, NULL, NULL, out));
	TRY(expect_name(p, &(*out)->name));
	TRY(expect(p, T_SIGN, "("));
	TRY(parse_parameters(p, &(*out)->list));
	return parse_macro_body(p, ends, *out);
}

/* {% call(a) f(x) %} ... {% endcall %} */
static int parse_call_block(struct template_parser *p, struct template_node **out)
{
	static const char *const ends[] = {"endcall", NULL};
	int                      found;

	TRY(template_parse_make(p, N_CALL_BLOCK, NULL, NULL, out));
	(*out)->name = "caller";
	TRY(accept(p, T_SIGN, "(", &found));
	if (found)
		TRY(parse_parameters(p, &(*out)->list));
	TRY(parse_expression(p, &(*out)->a));
	if ((*out)->a->kind != N_CALL)
		return template_parse_fail(p, "a call block needs a call, such as f(x)");
	return parse_macro_body(p, ends, *out);
}

/* The body of {% generation %} marks what a trainer may mask. Here it is rendered like any other
 * text. */
static int parse_generation(struct template_parser *p, struct template_node **out)
{
	static const char *const ends[] = {"endgeneration", NULL};

	TRY(template_parse_make(p, N_IF, NULL, NULL, out));
	TRY(template_parse_make(p, N_CONST, NULL, NULL, &(*out)->a));
	(*out)->a->value = template_bool(1);
	TRY(close_tag(p));
	TRY(parse_body(p, ends, &(*out)->body));
	TRY(advance(p));
	return close_tag(p);
}

static int parse_jump(struct template_parser *p, enum template_node_kind kind,
                      struct template_node **out)
{
	TRY(template_parse_make(p, kind, NULL, NULL, out));
	return close_tag(p);
}

static int parse_break(struct template_parser *p, struct template_node **out)
{
	return parse_jump(p, N_BREAK, out);
}

static int parse_continue(struct template_parser *p, struct template_node **out)
{
	return parse_jump(p, N_CONTINUE, out);
}

static const struct template_parse_statement {
	const char *word;
	int (*parse)(struct template_parser *p, struct template_node **out);
} statements[] = {
        {"if", parse_if},       {"for", parse_for},           {"set", template_parse_set},
        {"macro", parse_macro}, {"call", parse_call_block},   {"filter", parse_filter_block},
        {"break", parse_break}, {"continue", parse_continue}, {"generation", parse_generation},
};

/* Behind "{%". When the word is one of `ends`, it stays the current token and *ended is 1. */
static int parse_statement(struct template_parser *p, const char *const *ends,
                           struct template_node **out, int *ended)
{
	*ended = 0;
	for (int i = 0; ends[i]; i++)
		if (template_parse_is_word(p, ends[i])) {
			*ended = 1;
			return OK;
		}
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
		if (template_parse_is_word(p, statements[i].word)) {
			TRY(advance(p));
			return statements[i].parse(p, out);
		}
	if (p->token.kind != T_NAME)
		return unexpected(p, "a statement");
	return template_parse_fail(p,
	                           "the statement \"%.*s\" has no place here or is not supported",
	                           (int)(p->token.n < 40 ? p->token.n : 40), p->token.at);
}

/* Parses one tag, from its two opening characters and sign. */
static int parse_tag(struct template_parser *p, const char *const *ends,
                     struct template_node ***end, int *ended)
{
	char                  kind = p->p[1];
	struct template_node *n, *value;

	*ended = 0;
	if (kind == '#')
		return skip_comment(p);
	template_parse_skip(p, template_parse_peek(p, 2) == '-' ||
	                                       (template_parse_peek(p, 2) == '+' && kind == '%')
	                               ? 3
	                               : 2);
	p->closing = kind == '{' ? '}' : '%';
	p->open = 0;
	TRY(advance(p));
	if (kind == '%') {
		TRY(parse_statement(p, ends, &n, ended));
		return *ended ? OK : add_statement(end, n);
	}
	TRY(parse_values(p, &value));
	TRY(template_parse_make(p, N_PRINT, value, NULL, &n));
	TRY(close_tag(p));
	return add_statement(end, n);
}

/* Parses text and tags up to one of `ends`, which is then the current token, or to the end of the
 * template when there are none. */
static int parse_body(struct template_parser *p, const char *const *ends,
                      struct template_node **body)
{
	struct template_node **end = body;
	int                    ended = 0;

	TRY(deeper(p));
	while (!ended) {
		const char *from = p->p, *tag = find_tag(p);
		char        kind = tag < p->end ? tag[1] : 0,
		     sign = tag < p->end && tag + 2 < p->end ? tag[2] : 0;
		TRY(template_parse_add_text(
		        p, &end, from,
		        tag < p->end ? template_parse_trimmed(p, from, tag, kind, sign) : tag));
		template_parse_skip(p, (size_t)(tag - from));
		if (p->p == p->end) {
			if (ends[0])
				return template_parse_fail(
				        p, "the template ends where \"%s\" is expected", ends[0]);
			break;
		}
		TRY(parse_tag(p, ends, &end, &ended));
	}
	p->depth--;
	return OK;
}

/* Turns "\r\n" and "\r" into "\n" and drops one at the very end, as Jinja does. */
static int normalized(struct arena *a, const char *text, size_t n, struct template_parser *p)
{
	char  *out;
	size_t m = 0;

	TRY(arena_take(a, n + 1, "the text of a template", &out));
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\r' && i + 1 < n && text[i + 1] == '\n')
			continue;
		out[m++] = text[i] == '\r' ? '\n' : text[i];
	}
	p->source = p->p = out;
	p->end = out + (m && out[m - 1] == '\n' ? m - 1 : m);
	return OK;
}

static int template_parse_all(struct template *t, const char *text, size_t n)
{
	static const char *const nothing[] = {NULL};
	struct template_parser   p = {.a = &t->arena, .line = 1, .line_starting = 1};

	if (n > TEMPLATE_SOURCE_MAX)
		return error_set(ERR_INPUT, "template: %zu bytes, at most %d are read", n,
		                 TEMPLATE_SOURCE_MAX);
	TRY(normalized(&t->arena, text, n, &p));
	return parse_body(&p, nothing, &t->body);
}

int template_parse(const char *text, size_t n, struct template **out)
{
	struct template *t;
	int              status;

	*out = NULL;
	TRY(mem_take(1, "a template", &t));
	status = template_parse_all(t, text, n);
	if (status == OK)
		*out = t;
	else
		template_free(t);
	return status;
}

void template_free(struct template *t)
{
	if (!t)
		return;
	arena_free(&t->arena);
	mem_free(t);
}
