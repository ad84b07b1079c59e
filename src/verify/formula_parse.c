#include "verify/formula_parts.h"

#include <ctype.h>
#include <string.h>

/* ---- expressions:  sum = product { (+|-) product },  product = factor { [*|/] factor },  factor =
 * atom [!] [^ atom] ---- */

static char kind_at(const struct parser *p, int i)
{
	return i >= 0 && i < p->end ? p->f->t[i].kind : 0;
}

static char next_kind(const struct parser *p)
{
	return kind_at(p, p->at);
}

static int formula_parse_take(struct parser *p, char kind)
{
	if (next_kind(p) != kind)
		return 0;
	p->at++;
	return 1;
}

static int formula_parse_fail(struct parser *p)
{
	p->failed = 1;
	return -1;
}

static int formula_parse_make(struct parser *p, char op, int a, int b)
{
	return expression_make(&p->f->e, op, a, b);
}

static int whole(struct parser *p, long x)
{
	return expression_whole(&p->f->e, x);
}

static int negative(struct parser *p, int x)
{
	return formula_parse_make(p, '-', whole(p, 0), x);
}

static int formula_parse_call(struct parser *p, const char *name, int x)
{
	return expression_named(&p->f->e, 'f', span_of(name), x);
}

static int variable(struct parser *p, struct span name)
{
	return expression_named(&p->f->e, 'v', name, -1);
}

static int formula_parse_sum(struct parser *p);
static int formula_parse_factor(struct parser *p);
static int formula_parse_product(struct parser *p);

/* A missing brace at the very end of the text is forgiven. */
static void close_bracket(struct parser *p, char kind)
{
	if (!formula_parse_take(p, kind) && !(kind == '}' && p->at == p->f->n_tokens))
		p->failed = 1;
}

static int parse_enclosed(struct parser *p, char close)
{
	int v;

	if (++p->depth > FORMULA_DEPTH)
		return formula_parse_fail(p);
	v = formula_parse_sum(p);
	if (close == '}' && formula_parse_take(p, 'O')) /* {a \over b} */
		v = formula_parse_make(p, '/', v, formula_parse_sum(p));
	close_bracket(p, close);
	p->depth--;
	return v;
}

/* ---- numbers ---- */

/* "0.1\overline{6}" = 0.1 + 6/90: the repeating digits over as many nines, shifted behind the other
 * decimals. */
static int repeating_value(struct parser *p, struct span s)
{
	const char   *mark = memchr(s.s, '\\', s.n);
	struct span   before = {s.s, (size_t)(mark - s.s)}, after = span_from(s, before.n);
	struct number x, part, nines, ten, n;
	size_t        from = 0, end, decimals;
	int           made;

	while (from < after.n && !isdigit((unsigned char)after.s[from]))
		from++;
	for (end = from; end < after.n && isdigit((unsigned char)after.s[end]); end++)
		;
	decimals =
	        before.n - 1 - (size_t)((const char *)memchr(before.s, '.', before.n) - before.s);
	number_init(&x), number_init(&part), number_init(&nines), number_init(&ten),
	        number_init(&n);
	number_read(before, &x);
	number_read((struct span){after.s + from, end - from}, &part);
	number_set(&ten, 10, 1);
	number_set(&n, (int64_t)(end - from), 1);
	number_apply('^', &ten, &n, &nines);
	number_set(&n, 1, 1);
	number_apply('-', &nines, &n, &nines);
	number_apply('/', &part, &nines, &part);
	number_set(&n, -(int64_t)decimals, 1);
	number_apply('^', &ten, &n, &ten);
	number_apply('*', &part, &ten, &part);
	number_apply('+', &x, &part, &x);
	made = expression_number(&p->f->e, &x);
	number_clear(&x), number_clear(&part), number_clear(&nines), number_clear(&ten),
	        number_clear(&n);
	return made;
}

static int is_decimal_mark(struct span a)
{
	size_t n = 3;

	while (n < a.n && isdigit((unsigned char)a.s[n]))
		n++;
	return span_starts(a, "{.}") || (span_starts(a, "{,}") && n != 6);
}

/* Writes the digits of a number token without separators. "{,}" before one, two or more than three
 * digits is a decimal comma. */
static size_t plain_digits(struct span s, char *out, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.s[i];
		if (is_decimal_mark(span_from(s, i))) {
			c = '.';
			i += 2;
		}
		if (!isdigit((unsigned char)c) && !strchr(".eE+-", c))
			continue;
		if (c == '-' || c == '+' ? n == 0 || !strchr("eE", out[n - 1]) : 0)
			continue;
		if (n < room)
			out[n] = c;
		n++;
	}
	return n <= room ? n : 0;
}

int parse_number_value(struct parser *p, const struct token *t)
{
	char          digits[FORMULA_TEXT];
	struct number x;
	size_t        n;
	int           made;

	if (t->kind == 'r')
		return repeating_value(p, t->s);
	n = plain_digits(t->s, digits, sizeof digits);
	number_init(&x);
	made = n && number_read((struct span){digits, n}, &x) == n ? expression_number(&p->f->e, &x)
	                                                           : -1;
	number_clear(&x);
	return made;
}

static int formula_parse_number(struct parser *p)
{
	return parse_number_value(p, &p->f->t[p->at++]);
}

/* ---- names ---- */

struct name {
	char   s[96];
	size_t n;
};

static int name_add(struct name *name, struct span s)
{
	if (name->n + s.n > sizeof name->s)
		return 0;
	memcpy(name->s + name->n, s.s, s.n);
	name->n += s.n;
	return 1;
}

static int name_add_token(struct name *name, const struct token *t)
{
	static const struct {
		char        kind;
		const char *text;
	} spelled[] = {{'F', "/"},  {'{', "{"},  {'}', "}"},    {'I', "in"}, {'l', "<="},
	               {'g', ">="}, {'o', "oo"}, {'R', "sqrt"}, {'*', "*"}};

	for (size_t i = 0; i < sizeof spelled / sizeof spelled[0]; i++)
		if (spelled[i].kind == t->kind)
			return name_add(name, span_of(spelled[i].text));
	return name_add(name, t->s);
}

/* Treats the tokens from..to as one unknown. */
static int opaque_range(struct parser *p, int from, int to)
{
	struct name name = {.n = 0};

	for (int i = from; i < to; i++)
		if (!name_add_token(&name, &p->f->t[i]) || !name_add(&name, span_of(" ")))
			return formula_parse_fail(p);
	p->at = to;
	return variable(p, (struct span){name.s, name.n});
}

/* Reads the base of a number: "8", "{8}", "{\text{eight}}"; 0 when there is none. */
static int base_at(const struct parser *p, int i, int *end)
{
	static const char *const words[] = {"two",   "three", "four", "five", "six",
	                                    "seven", "eight", "nine", "ten"};
	const struct token      *t;
	int                      braces = kind_at(p, i) == '{', base = 0;

	if (i < 0)
		return 0;
	t = &p->f->t[i + braces];
	*end = i + 1 + 2 * braces;
	if (!kind_at(p, i + braces) || (braces && kind_at(p, i + 2) != '}'))
		return 0;
	if (t->kind == 'n' && t->s.n <= 2)
		for (size_t j = 0; j < t->s.n; j++)
			base = 10 * base + (t->s.s[j] - '0');
	for (int j = 0; j < 9; j++)
		if (t->kind == 'v' && span_equal_nocase(t->s, span_of(words[j])))
			base = j + 2;
	return base >= 2 && base <= 36 ? base : 0;
}

/* "1011_2" becomes a name of its own; in base ten it is the number itself. */
static int parse_based(struct parser *p, const struct token *digits)
{
	struct name name = {.n = 0};
	char        suffix[] = {'_', 'A'};
	int         end, base = base_at(p, p->at + 1, &end);

	if (!base || digits->kind != 'n')
		return formula_parse_fail(p);
	p->at = end;
	if (base == 10)
		return parse_number_value(p, digits);
	suffix[1] = (char)('A' + base - 2);
	if (!name_add(&name, digits->s) || !name_add(&name, (struct span){suffix, 2}))
		return formula_parse_fail(p);
	return variable(p, (struct span){name.s, name.n});
}

/* Adds the index of a name: one token, or the tokens in braces. It may contain blackboard letters
 * and words. */
static int name_add_index(struct parser *p, struct name *name)
{
	int braces = formula_parse_take(p, '{'), n = 0;

	while (next_kind(p) && (braces || n == 0) && !(braces && next_kind(p) == '}')) {
		if (!strchr("nv+-,*", next_kind(p)) || !name_add_token(name, &p->f->t[p->at++]))
			return 0;
		n++;
	}
	return n && (!braces || formula_parse_take(p, '}'));
}

/* Does "(" at i start the arguments of a function of that name? For f, g, h always. For another
 * letter if it encloses one number, one letter or several arguments: "x(t)" and "y(0)" are calls,
 * "x(x+1)" is a product. */
static int starts_arguments(const struct parser *p, const struct name *name, int i)
{
	int end = formula_closing(p->f, i, p->end), minus = kind_at(p, i + 1) == '-';

	if (kind_at(p, i) != '(' || end == p->end)
		return 0;
	if (name->n == 1 && strchr("ie", name->s[0]))
		return 0;
	if ((strchr("fghFGH", name->s[0]) && (name->n == 1 || strchr("_'", name->s[1]))) ||
	    name->s[name->n - 1] == '\'')
		return end > i + 1;
	if (end == i + 2 + minus)
		return kind_at(p, end - 1) == 'n' || (kind_at(p, end - 1) == 'v' && !minus);
	return formula_find(p->f, i + 1, end, ",") < end;
}

/* Reads the arguments of f(x, y) and chains them by ','. */
static int formula_parse_arguments(struct parser *p)
{
	int args[8], n = 0, chain = -1;

	p->at++;
	if (++p->depth > FORMULA_DEPTH)
		return formula_parse_fail(p);
	do {
		if (n == 8)
			return formula_parse_fail(p);
		args[n++] = formula_parse_sum(p);
	} while (!p->failed && formula_parse_take(p, ','));
	close_bracket(p, ')');
	p->depth--;
	while (n--)
		chain = formula_parse_make(p, ',', args[n], chain);
	return chain;
}

/* name ['] [_index] [']: a constant, a variable or a call of an unknown function. */
static int formula_parse_name(struct parser *p)
{
	struct name         name = {.n = 0};
	const struct token *first = &p->f->t[p->at++];
	int                 arguments;

	/* a word */
	if (first->s.n > 1 && !first->is_command && !span_equal(first->s, span_of("pi")))
		return formula_parse_fail(p);
	if (!name_add(&name, first->s))
		return formula_parse_fail(p);
	while (next_kind(p) == '\'')
		if (!name_add(&name, span_of("'")) || !++p->at)
			return formula_parse_fail(p);
	if (formula_parse_take(p, '_') &&
	    !(name_add(&name, span_of("_")) && name_add_index(p, &name)))
		return formula_parse_fail(p);
	while (next_kind(p) == '\'')
		if (!name_add(&name, span_of("'")) || !++p->at)
			return formula_parse_fail(p);
	if (span_equal((struct span){name.s, name.n}, span_of("varnothing")))
		return formula_parse_fail(p);
	if (span_equal((struct span){name.s, name.n}, span_of("pi")))
		return formula_parse_make(p, 'p', -1, -1);
	if (name.n == 1 && (name.s[0] == 'i' || name.s[0] == 'e'))
		return formula_parse_make(p, name.s[0], -1, -1);
	if (!starts_arguments(p, &name, p->at))
		return variable(p, (struct span){name.s, name.n});
	arguments = formula_parse_arguments(p);
	return p->failed
	               ? -1
	               : expression_named(&p->f->e, 'A', (struct span){name.s, name.n}, arguments);
}

/* \overline{AB}, \vec v: an unknown of that name. Over a number an accent means something else, so
 * that fails. */
static int parse_accent(struct parser *p)
{
	int from = p->at, to = kind_at(p, from + 1) == '{'
	                               ? formula_closing(p->f, from + 1, p->end) + 1
	                               : from + 2;

	if (to > p->end || kind_at(p, from + 1) == 'n' || kind_at(p, from + 2) == 'n')
		return formula_parse_fail(p);
	return opaque_range(p, from, to);
}

/* ---- fractions, roots, functions ---- */

/* Reads the argument of \frac, \sqrt, ^: braces or one token; in \frac12 one digit. */
static int parse_argument(struct parser *p, int one_digit)
{
	struct token *t = &p->f->t[p->at];
	int           v;

	if (formula_parse_take(p, '{'))
		return parse_enclosed(p, '}');
	if (one_digit && next_kind(p) == 'n' && t->s.n > 1 && isdigit((unsigned char)t->s.s[0])) {
		v = parse_number_value(p, &(struct token){.kind = 'n', .s = {t->s.s, 1}});
		t->s = span_from(t->s, 1);
		return v;
	}
	if (!one_digit && (next_kind(p) == '-' || next_kind(p) == '+')) {
		int minus = kind_at(p, p->at++) == '-';
		v = parse_argument(p, 0);
		return minus ? negative(p, v) : v;
	}
	if (next_kind(p) && strchr("nrv(RFabo", next_kind(p)) && ++p->depth <= FORMULA_DEPTH) {
		switch (next_kind(p)) {
		case 'n':
		case 'r':
			v = formula_parse_number(p);
			break;
		case '(':
			p->at++;
			v = parse_enclosed(p, ')');
			break;
		case 'v':
			/* ^ab is ^a b: letters are apart here */
			if (p->f->t[p->at].s.n > 1 && !p->f->t[p->at].is_command)
				return formula_parse_fail(p);
			v = one_digit || kind_at(p, p->at + 1) != '('
			            ? formula_parse_name(p)
			            : variable(p, p->f->t[p->at++].s);
			break;
		default:
			v = formula_parse_factor(p);
		}
		p->depth--;
		return v;
	}
	return formula_parse_fail(p);
}

static int formula_parse_is_letter(const struct parser *p, int i, const char *letter)
{
	return kind_at(p, i) == 'v' && span_equal(p->f->t[i].s, span_of(letter));
}

/* \frac{dy}{dx}, \frac{d}{dx}, \frac{d^2y}{dx^2}: a derivative is one unknown. */
static int parse_derivative(struct parser *p)
{
	int over = p->at + 1,
	    end = kind_at(p, over) == '{' ? formula_closing(p->f, over, p->end) : p->end,
	    under = end + 1, stop;

	if (end == p->end || kind_at(p, under) != '{' ||
	    !(formula_parse_is_letter(p, over + 1, "d") ||
	      formula_parse_is_letter(p, over + 1, "partial")) ||
	    !(formula_parse_is_letter(p, under + 1, "d") ||
	      formula_parse_is_letter(p, under + 1, "partial")))
		return 0;
	stop = formula_closing(p->f, under, p->end);
	return stop < p->end && stop >= under + 3 ? stop + 1 : 0;
}

/* \frac12 splits its number token in place, so the second argument may be its rest. The copy in
 * parse_range undoes that. */
static int parse_fraction(struct parser *p)
{
	int a = parse_argument(p, 1), b = parse_argument(p, 1);

	return formula_parse_make(p, '/', a, b);
}

static int parse_root(struct parser *p)
{
	int n = formula_parse_take(p, '[') ? parse_enclosed(p, ']') : whole(p, 2),
	    x = parse_argument(p, 1);

	return formula_parse_make(p, 'R', x, n);
}

/* The argument may lack brackets: \sin 2x takes the factors that follow and stops before a sum. */
static int parse_function_argument(struct parser *p)
{
	int x;

	if (formula_parse_take(p, '(')) {
		x = parse_enclosed(p, ')');
		while (!p->failed && formula_parse_take(p, '!'))
			x = formula_parse_call(p, "!", x);
		return x;
	}
	if (++p->depth > FORMULA_DEPTH)
		return formula_parse_fail(p);
	x = formula_parse_take(p, '-') ? negative(p, formula_parse_factor(p))
	                               : formula_parse_factor(p);
	while (!p->failed &&
	       /* \sin 2x */
	       (strchr("nv", next_kind(p) ? next_kind(p) : '?') ||
	        (next_kind(p) == '/' && kind_at(p, p->at + 1) == 'n')))
		x = formula_parse_take(p, '/')
		            ? formula_parse_make(p, '/', x, formula_parse_factor(p))
		            : formula_parse_make(p, '*', x, formula_parse_factor(p));
	p->depth--;
	return x;
}

/* sin^-1 is the inverse function; any other power of a function's name raises its value. */
static int parse_function(struct parser *p)
{
	struct span name = p->f->t[p->at++].s;
	char        inverse[16] = "arc";
	int logarithm = span_equal(name, span_of("log")), base = whole(p, 10), power = -1, x;

	if (formula_parse_take(p, '_'))
		base = logarithm ? parse_argument(p, 1) : formula_parse_fail(p);
	if (formula_parse_take(p, '^')) {
		int from = p->at;
		power = parse_argument(p, 0);
		for (int i = from; i + 1 < p->at && name.n == 3; i++)
			if (kind_at(p, i) == '-' && kind_at(p, i + 1) == 'n' &&
			    span_equal(p->f->t[i + 1].s, span_of("1"))) {
				memcpy(inverse + 3, name.s, 3);
				name = span_of(inverse);
				power = -1;
				break;
			}
		if (power < 0 && name.n == 3)
			return formula_parse_fail(p);
	}
	p->in_function++;
	x = parse_function_argument(p);
	p->in_function--;
	if (p->failed)
		return -1;
	if (logarithm || span_equal(name, span_of("lg")))
		x = formula_parse_make(p, 'l', x, base);
	else
		x = expression_named(&p->f->e, 'f', name, x);
	return power < 0 ? x : formula_parse_make(p, '^', x, power);
}

/* |...|, up to the next bar. */
static int parse_bars(struct parser *p)
{
	p->at++;
	return formula_parse_call(p, "abs", parse_enclosed(p, '|'));
}

/* "(1011)_2" has its base behind the brackets. */
static int parse_round(struct parser *p)
{
	if (kind_at(p, p->at + 1) == 'n' && kind_at(p, p->at + 2) == ')' &&
	    kind_at(p, p->at + 3) == '_') {
		p->at += 2;
		p->at++;
		return parse_based(p, &p->f->t[p->at - 2]);
	}
	p->at++;
	return parse_enclosed(p, ')');
}

/* Brackets group; floor, ceiling and bars compute. */
static int parse_bracketed(struct parser *p)
{
	switch (next_kind(p)) {
	case '(':
		return parse_round(p);
	case '[':
		p->at++;
		return parse_enclosed(p, ']');
	case '{':
		p->at++;
		return parse_enclosed(p, '}');
	case 'y':
		p->at++;
		return formula_parse_call(p, "floor", parse_enclosed(p, 'Y'));
	case 'z':
		p->at++;
		return formula_parse_call(p, "ceil", parse_enclosed(p, 'Z'));
	case '|':
		return parse_bars(p);
	default:
		return formula_parse_fail(p);
	}
}

/* Reads an atom by the kind of the next token (formula_parts.h lists the letters). */
static int parse_atom(struct parser *p)
{
	int a, end;

	switch (next_kind(p)) {
	case 'n':
		if (kind_at(p, p->at + 1) == '_') {
			p->at++;
			return parse_based(p, &p->f->t[p->at - 1]);
		}
		return formula_parse_number(p);
	case 'r':
		return formula_parse_number(p);
	case 'v':
		return formula_parse_name(p);
	case 'c':
	case 'b':
		return opaque_range(p, p->at, p->at + 1);
	case 'a':
		return parse_accent(p);
	case 'o':
		p->at++;
		return formula_parse_make(p, 'o', -1, -1);
	case 'f':
		return parse_function(p);
	case 'F':
		end = parse_derivative(p);
		if (end)
			return opaque_range(p, p->at, end);
		p->at++;
		return parse_fraction(p);
	case 'R':
		p->at++;
		return parse_root(p);
	case 'B':
		p->at++;
		a = parse_argument(p, 1);
		return formula_parse_make(p, 'B', a, parse_argument(p, 1));
	case 'L':
		/* a sum or an integral extends to the end */
		return opaque_range(p, p->at, p->end);
	default:
		return parse_bracketed(p);
	}
}

/* Inside a function, x degrees are x pi/180. Elsewhere they are a unit, which is dropped inside a
 * sum. */
static int take_degrees(struct parser *p, int v)
{
	if (next_kind(p) != 'x' || !span_equal(p->f->t[p->at].s, span_of("degree")))
		return v;
	p->at++;
	return p->in_function
	               ? formula_parse_make(p, '*', v,
	                                    formula_parse_make(p, '/',
	                                                       formula_parse_make(p, 'p', -1, -1),
	                                                       whole(p, 180)))
	               : v;
}

static int formula_parse_factor(struct parser *p)
{
	int v;

	if (++p->depth > FORMULA_DEPTH)
		return formula_parse_fail(p);
	v = parse_atom(p);
	while (!p->failed && formula_parse_take(p, '!'))
		v = formula_parse_call(p, "!", v);
	if (!p->failed && formula_parse_take(p, '^'))
		v = formula_parse_make(p, '^', v, parse_argument(p, 0));
	if (!p->failed)
		v = take_degrees(p, v);
	p->depth--;
	return v;
}

static int parse_signed_factor(struct parser *p)
{
	int minus = formula_parse_take(p, '-');

	return minus ? negative(p, formula_parse_factor(p)) : formula_parse_factor(p);
}

/* ---- products and sums ---- */

static int is_whole_number(const struct parser *p, int i)
{
	return kind_at(p, i) == 'n' && token_is_whole(&p->f->t[i]);
}

/* "3 \frac{1}{2}" and "3 1/2": a whole number followed by a fraction of two whole numbers. */
static int is_mixed(const struct parser *p, int i)
{
	if (!is_whole_number(p, i))
		return 0;
	if (kind_at(p, i + 1) == 'F')
		return (kind_at(p, i + 2) == '{' && is_whole_number(p, i + 3) &&
		        kind_at(p, i + 4) == '}' && kind_at(p, i + 5) == '{' &&
		        is_whole_number(p, i + 6) && kind_at(p, i + 7) == '}') ||
		       (is_whole_number(p, i + 2) && p->f->t[i + 2].s.n == 2) ||
		       (is_whole_number(p, i + 2) && is_whole_number(p, i + 3));
	return is_whole_number(p, i + 1) && kind_at(p, i + 2) == '/' && is_whole_number(p, i + 3);
}

static int parse_mixed(struct parser *p)
{
	int first = formula_parse_number(p), v;

	if (formula_parse_take(p, 'F'))
		return formula_parse_make(p, '+', first, parse_fraction(p));
	v = formula_parse_number(p);
	p->at++;
	return formula_parse_make(p, '+', first,
	                          formula_parse_make(p, '/', v, formula_parse_number(p)));
}

/* Reads factors with or without a sign between them; 2 1/2 is a mixed number only at the start. */
static int formula_parse_product(struct parser *p)
{
	int v = is_mixed(p, p->at) ? parse_mixed(p) : formula_parse_factor(p);

	while (!p->failed) {
		char op = next_kind(p);
		if (op == '*' || op == '/' || op == ':') {
			p->at++;
			v = formula_parse_make(p, op == ':' ? '/' : op, v, parse_signed_factor(p));
		} else if (op == '%') {
			p->at++;
			v = formula_parse_make(p, '%', v, formula_parse_factor(p));
		} else if (op && (strchr("vofFRBab([{yz", op) ||
		                  (op == 'n' && kind_at(p, p->at - 1) == '!')))
			v = formula_parse_make(p, '*', v, formula_parse_factor(p));
		else
			break;
	}
	return v;
}

/* Takes +, -, or \pm with its current sign; 0 when there is none. */
static int take_sign(struct parser *p)
{
	switch (next_kind(p)) {
	case '+':
		p->at++;
		return 1;
	case '-':
		p->at++;
		return -1;
	case 'p':
	case 'q':
		if (p->pm == 0)
			return 0;
		return p->f->t[p->at++].kind == 'p' ? p->pm : -p->pm;
	default:
		return 0;
	}
}

static int formula_parse_sum(struct parser *p)
{
	int sign = take_sign(p), v = formula_parse_product(p);

	if (sign < 0)
		v = negative(p, v);
	while (!p->failed && (sign = take_sign(p)))
		v = formula_parse_make(p, sign < 0 ? '-' : '+', v, formula_parse_product(p));
	return v;
}

int parse_range(struct parser *p, int a, int b, int *out)
{
	struct token keep[64];
	int          n = b - a < 64 ? b - a : 0; /* longer ones are read once only */

	if (a >= b || ++p->calls > FORMULA_TOKENS)
		return 0;
	memcpy(keep, p->f->t + a, (size_t)n * sizeof *keep);
	p->at = a;
	p->end = b;
	p->depth = p->failed = p->in_function = 0;
	*out = formula_parse_sum(p);
	if (n)
		memcpy(p->f->t + a, keep, (size_t)n * sizeof *keep);
	return !p->failed && p->at == b && *out >= 0;
}
