#include "task/formula.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum node_kind { VALUE, LIST, SEQUENCE, UNION, MATRIX, RELATION };

struct node {
	enum node_kind kind;
	struct value   v;        /* VALUE; RELATION: left - right */
	char        open, close; /* SEQUENCE: brackets; RELATION: open is '=', '<', 'l' or '~', turned so that the smaller side is left */
	struct span name;        /* "x" of "x = 5" */
	int         first, next, n;
};

struct formula {
	struct tokens read;                  /* as they were written: for words */
	struct token  t[2 * FORMULA_TOKENS]; /* letters apart, units gone: for the parser */
	int           n_tokens;
	struct span   unit; /* the first of them */
	struct node   node[FORMULA_NODES];
	int           n_nodes, root, parsed;
};

struct parser {
	struct formula *f;
	int             at, end, depth;
	int             pm; /* the sign that \pm stands for: +1, -1 */
	int             failed;
	int             relations;
};

/* ---- values:  sum = product { (+|-) product },  product = factor { [*|/] factor },  factor = atom [!] [^ atom] ---- */

static char kind_at(const struct parser *p, int i)
{
	return i >= 0 && i < p->end ? p->f->t[i].kind : 0;
}

static char next_kind(const struct parser *p)
{
	return kind_at(p, p->at);
}

static int take(struct parser *p, char kind)
{
	if (next_kind(p) != kind)
		return 0;
	p->at++;
	return 1;
}

static struct value fail(struct parser *p)
{
	p->failed = 1;
	return value_number(span_of("0"));
}

static struct value number(const char *digits)
{
	return value_number(span_of(digits));
}

static struct value parse_sum(struct parser *p);
static struct value parse_factor(struct parser *p);
static struct value parse_product(struct parser *p);

/* A closing bracket; at the very end a missing one is forgiven. */
static void close_bracket(struct parser *p, char kind)
{
	if (p->at < p->end && !take(p, kind))
		p->failed = 1;
}

static struct value parse_enclosed(struct parser *p, char close)
{
	struct value v;

	if (++p->depth > FORMULA_DEPTH)
		return fail(p);
	v = parse_sum(p);
	close_bracket(p, close);
	p->depth--;
	return v;
}

static struct value parse_number(struct parser *p)
{
	return value_number(p->f->t[p->at++].s);
}

/* The argument of \frac, \sqrt, ^: braces, or one token; of \frac12 one digit. */
static struct value parse_argument(struct parser *p, int one_digit)
{
	struct token *t = &p->f->t[p->at];
	struct value  v;

	if (take(p, '{'))
		return parse_enclosed(p, '}');
	if (one_digit && next_kind(p) == 'n' && t->s.n > 1 && isdigit((unsigned char)t->s.s[0])) {
		v = value_number((struct span){t->s.s, 1});
		t->s = span_from(t->s, 1);
		return v;
	}
	if (!one_digit && (next_kind(p) == '-' || next_kind(p) == '+')) {
		int minus = kind_at(p, p->at++) == '-';
		v = parse_argument(p, 0);
		return minus ? value_apply('-', number("0"), v) : v;
	}
	if (next_kind(p) && strchr("nv(RF", next_kind(p)) && ++p->depth <= FORMULA_DEPTH) {
		switch (next_kind(p)) {
		case 'n':
			v = parse_number(p);
			break;
		case '(':
			p->at++;
			v = parse_enclosed(p, ')');
			break;
		default:
			v = parse_factor(p);
		}
		p->depth--;
		return v;
	}
	return fail(p);
}

/* \frac12 split its number in place, so the second argument may be what is left of it: undone by the copy in parse_range. */
static struct value parse_fraction(struct parser *p)
{
	struct value a = parse_argument(p, 1), b;

	b = parse_argument(p, 1);
	return value_apply('/', a, b);
}

static struct value parse_root(struct parser *p)
{
	struct value n = number("2");

	if (take(p, '['))
		n = parse_enclosed(p, ']');
	return value_root(parse_argument(p, 1), n);
}

/* name[_sub]: digits with a base ("1011_2") and letters with an index are names. */
static struct value parse_name(struct parser *p)
{
	char        name[64];
	size_t      n = 0;
	struct span s = p->f->t[p->at++].s;

	for (int braces = 0, first = 1;; first = 0) {
		if (n + s.n + 2 > sizeof name)
			return fail(p);
		memcpy(name + n, s.s, s.n);
		n += s.n;
		if (first) {
			if (!take(p, '_'))
				break;
			name[n++] = '_';
			braces = take(p, '{');
		} else if (!braces || take(p, '}') || p->at == p->end)
			break;
		if (!next_kind(p) || !strchr("nv+-", next_kind(p)))
			return fail(p);
		s = p->f->t[p->at++].s;
	}
	if (n == 1 && (name[0] == 'i' || name[0] == 'e'))
		return value_constant(name[0]);
	if (n == 2 && !memcmp(name, "pi", 2))
		return value_constant('p');
	return value_variable((struct span){name, n});
}

static struct value parse_function(struct parser *p)
{
	struct span  name = p->f->t[p->at++].s;
	struct value base = number("10"), power = number("1"), x;
	int          has_base = 0, known;

	if (take(p, '_')) {
		has_base = 1;
		base = parse_argument(p, 1);
	}
	if (take(p, '^'))
		power = parse_argument(p, 0);
	if (next_kind(p) == '(') {
		p->at++;
		x = parse_enclosed(p, ')');
	} else {
		if (++p->depth > FORMULA_DEPTH)
			return fail(p);
		x = parse_factor(p);
		while (!p->failed && next_kind(p) && strchr("nvF", next_kind(p))) /* \sin 2x */
			x = value_apply('*', x, parse_factor(p));
		p->depth--;
	}
	x = value_function(name, x, &known);
	if (!known)
		return fail(p);
	if (has_base)
		x = value_apply('/', x, value_function(name, base, &known));
	return value_apply('^', x, power);
}

static struct value parse_atom(struct parser *p)
{
	struct value v;
	int          known;

	switch (next_kind(p)) {
	case 'n':
		return kind_at(p, p->at + 1) == '_' ? parse_name(p) : parse_number(p);
	case 'v':
		return parse_name(p);
	case 'o':
		p->at++;
		return value_variable(span_of("infinity"));
	case 'f':
		return parse_function(p);
	case 'F':
		p->at++;
		return parse_fraction(p);
	case 'R':
		p->at++;
		return parse_root(p);
	case 'B':
		p->at++;
		v = parse_argument(p, 1);
		return value_binomial(v, parse_argument(p, 1));
	case '(':
		p->at++;
		return parse_enclosed(p, ')');
	case '[':
		p->at++;
		return parse_enclosed(p, ']');
	case '{':
		p->at++;
		return parse_enclosed(p, '}');
	case '|':
		p->at++;
		return value_function(span_of("abs"), parse_enclosed(p, '|'), &known);
	default:
		return fail(p);
	}
}

static struct value parse_factor(struct parser *p)
{
	struct value v;
	int          known;

	if (++p->depth > FORMULA_DEPTH)
		return fail(p);
	v = parse_atom(p);
	while (!p->failed && take(p, '!'))
		v = value_function(span_of("!"), v, &known);
	if (!p->failed && take(p, '^'))
		v = value_apply('^', v, parse_argument(p, 0));
	p->depth--;
	return v;
}

static struct value parse_signed_factor(struct parser *p)
{
	int minus = take(p, '-');

	return minus ? value_apply('-', number("0"), parse_factor(p)) : parse_factor(p);
}

static int is_whole_number(const struct parser *p, int i)
{
	return kind_at(p, i) == 'n' && !memchr(p->f->t[i].s.s, '.', p->f->t[i].s.n);
}

/* "3 \frac{1}{2}" and "3 1/2": where a whole number is followed by a fraction of two. */
static int is_mixed(const struct parser *p, int i)
{
	if (!is_whole_number(p, i))
		return 0;
	if (kind_at(p, i + 1) == 'F')
		return (kind_at(p, i + 2) == '{' && is_whole_number(p, i + 3) && kind_at(p, i + 4) == '}' && kind_at(p, i + 5) == '{' &&
		        is_whole_number(p, i + 6) && kind_at(p, i + 7) == '}') ||
		       (is_whole_number(p, i + 2) && p->f->t[i + 2].s.n == 2) || (is_whole_number(p, i + 2) && is_whole_number(p, i + 3));
	return is_whole_number(p, i + 1) && kind_at(p, i + 2) == '/' && is_whole_number(p, i + 3);
}

static struct value parse_mixed(struct parser *p)
{
	struct value whole = parse_number(p), v;

	if (take(p, 'F'))
		return value_apply('+', whole, parse_fraction(p));
	v = parse_number(p);
	p->at++;
	return value_apply('+', whole, value_apply('/', v, parse_number(p)));
}

static struct value parse_product(struct parser *p)
{
	struct value v = is_mixed(p, p->at) ? parse_mixed(p) : parse_factor(p);

	while (!p->failed) {
		char op = next_kind(p);
		if (op == '*' || op == '/' || op == ':') {
			p->at++;
			v = value_apply(op == ':' ? '/' : op, v, parse_signed_factor(p));
		} else if (op == '%') {
			p->at++;
			v = value_modulo(v, parse_factor(p));
		} else if (op && strchr("vofFRB([{", op))
			v = value_apply('*', v, parse_factor(p));
		else
			break;
	}
	return v;
}

/* + or - or \pm as it is read now; 0 for none. */
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
		p->at++;
		return p->pm;
	case 'q':
		p->at++;
		return -p->pm;
	default:
		return 0;
	}
}

static struct value parse_sum(struct parser *p)
{
	int          sign = take_sign(p);
	struct value v = parse_product(p);

	if (sign < 0)
		v = value_apply('-', number("0"), v);
	while (!p->failed && (sign = take_sign(p)))
		v = value_apply(sign < 0 ? '-' : '+', v, parse_product(p));
	return v;
}

/* The value of tokens a..b, all of them. */
static int parse_range(struct parser *p, int a, int b, struct value *out)
{
	struct token keep[64];
	int          n = b - a < 64 ? b - a : 0; /* longer ones are read once only */

	memcpy(keep, p->f->t + a, (size_t)n * sizeof *keep);
	p->at = a;
	p->end = b;
	p->depth = p->failed = 0;
	if (a >= b)
		return 0;
	*out = parse_sum(p);
	if (n)
		memcpy(p->f->t + a, keep, (size_t)n * sizeof *keep);
	return !p->failed && p->at == b;
}

/* ---- structures ---- */

static int new_node(struct formula *f, enum node_kind kind)
{
	if (f->n_nodes == FORMULA_NODES)
		return -1;
	f->node[f->n_nodes] = (struct node){.kind = kind, .first = -1, .next = -1};
	return f->n_nodes++;
}

static int append(struct formula *f, int parent, int child)
{
	int *link;

	if (parent < 0 || child < 0)
		return 0;
	for (link = &f->node[parent].first; *link >= 0; link = &f->node[*link].next)
		;
	*link = child;
	f->node[parent].n++;
	return 1;
}

/* How a token changes the depth of brackets. |...| is left alone. */
static int step(char kind)
{
	return (strchr("([{SM", kind) != NULL) - (strchr(")]}TW", kind) != NULL);
}

/* The next token of one of `kinds` outside of brackets, from a on; b when there is none. */
static int find_outside(const struct formula *f, int a, int b, const char *kinds)
{
	int depth = 0;

	for (int i = a; i < b; i++) {
		if (depth == 0 && strchr(kinds, f->t[i].kind))
			return i;
		depth += step(f->t[i].kind);
	}
	return b;
}

/* Do the brackets at a and b - 1 belong together? */
static int is_enclosed(const struct formula *f, int a, int b, const char *open, const char *close)
{
	int depth = 0;

	if (b - a < 2 || !strchr(open, f->t[a].kind) || !strchr(close, f->t[b - 1].kind))
		return 0;
	for (int i = a; i < b - 1; i++)
		if ((depth += step(f->t[i].kind)) <= 0)
			return 0;
	return 1;
}

static int parse_element(struct parser *p, int a, int b, int depth);

/* Children a..b of a node, apart at the separators. */
static int parse_children(struct parser *p, int parent, int a, int b, const char *separators, int depth)
{
	while (a <= b) {
		int end = find_outside(p->f, a, b, separators);
		if (end == a && a > 0 && a < b && p->f->t[a].kind == ',') { /* ", and" */
			a++;
			continue;
		}
		if (!append(p->f, parent, parse_element(p, a, end, depth)))
			return 0;
		a = end + 1;
	}
	return 1;
}

static int parse_structure(struct parser *p, enum node_kind kind, int a, int b, const char *separators, int depth)
{
	int node = new_node(p->f, kind);

	return node >= 0 && parse_children(p, node, a, b, separators, depth) ? node : -1;
}

static int parse_matrix(struct parser *p, int a, int b, int depth)
{
	int node = new_node(p->f, MATRIX);

	if (b > a && p->f->t[b - 1].kind == 'N')
		b--;
	while (node >= 0 && a < b) {
		int end = find_outside(p->f, a, b, "N");
		if (!append(p->f, node, parse_structure(p, SEQUENCE, a, end, "&", depth)))
			return -1;
		a = end + 1;
	}
	return node;
}

static int parse_value(struct parser *p, int a, int b)
{
	struct value v;
	int          node;

	if (!parse_range(p, a, b, &v))
		return -1;
	node = new_node(p->f, VALUE);
	if (node >= 0)
		p->f->node[node].v = v;
	return node;
}

static const struct node *child(const struct formula *f, int x, int i)
{
	for (x = f->node[x].first; x >= 0 && i; i--)
		x = f->node[x].next;
	return x < 0 || f->node[x].kind != VALUE ? NULL : &f->node[x];
}

/* x [m,k] times y [k,n]; -1 when the shapes do not fit, y is empty or an entry is no value. */
static int multiply(struct formula *f, int x, int y)
{
	int first = f->node[y].first, columns = first >= 0 ? f->node[first].n : 0, out = new_node(f, MATRIX);

	if (columns == 0)
		return -1;
	for (int row = f->node[x].first; row >= 0 && out >= 0; row = f->node[row].next) {
		int made = new_node(f, SEQUENCE);
		if (f->node[row].n != f->node[y].n || !append(f, out, made))
			return -1;
		for (int j = 0; j < columns; j++) {
			struct value sum = number("0");
			int          k = 0, cell = new_node(f, VALUE);
			for (int other = f->node[y].first; other >= 0; other = f->node[other].next, k++) {
				const struct node *a = child(f, row, k), *b = child(f, other, j);
				if (!a || !b)
					return -1;
				sum = value_apply('+', sum, value_apply('*', a->v, b->v));
			}
			if (!append(f, made, cell))
				return -1;
			f->node[cell].v = sum;
		}
	}
	return out;
}

/* A matrix, or a product of them. */
static int parse_matrices(struct parser *p, int a, int b, int depth)
{
	int end, x, y;

	for (end = a; end < b && p->f->t[end].kind != 'W'; end++)
		;
	if (end == b || (x = parse_matrix(p, a + 1, end, depth)) < 0)
		return -1;
	if (end + 1 == b)
		return x;
	if (p->f->t[end + 1].kind != 'M' || (y = parse_matrices(p, end + 1, b, depth)) < 0)
		return -1;
	return multiply(p->f, x, y);
}

static int has_pm(const struct formula *f, int a, int b)
{
	for (int i = a; i < b; i++)
		if (f->t[i].kind == 'p' || f->t[i].kind == 'q')
			return 1;
	return 0;
}

static int parse_both_signs(struct parser *p, int a, int b, int depth)
{
	int node = new_node(p->f, LIST), ok = 1;

	for (p->pm = 1; p->pm >= -1; p->pm -= 2)
		ok = ok && append(p->f, node, parse_element(p, a, b, depth));
	p->pm = 0;
	return ok ? node : -1;
}

/* What holds no relation. */
static int parse_plain(struct parser *p, int a, int b, int depth)
{
	struct formula *f = p->f;
	int             node;

	if (find_outside(f, a, b, "U") < b)
		return parse_structure(p, UNION, a, b, "U", depth);
	if (is_enclosed(f, a, b, "S", "T"))
		return parse_structure(p, LIST, a + 1, b - 1, ",;", depth);
	if (is_enclosed(f, a, b, "{", "}"))
		return parse_structure(p, LIST, a + 1, b - 1, ",;", depth);
	if (f->t[a].kind == 'M')
		return parse_matrices(p, a, b, depth);
	if (!is_enclosed(f, a, b, "([", ")]"))
		return parse_value(p, a, b);
	if (find_outside(f, a + 1, b - 1, ",;") == b - 1)
		return f->t[a].kind == (f->t[b - 1].kind == ')' ? '(' : '[') ? parse_element(p, a + 1, b - 1, depth) : -1;
	node = parse_structure(p, SEQUENCE, a + 1, b - 1, ",;", depth);
	if (node >= 0) {
		f->node[node].open = f->t[a].kind;
		f->node[node].close = f->t[b - 1].kind;
	}
	return node;
}

/* ---- relations ---- */

static const char relations[] = "=<>lg~I";

/* "x", "x_1", "f(2)", "(p, q)", "AB", "V_1 : V_2", "\frac{AB}{CD}": what stands before "=" and only names the answer. */
static int is_name(const struct formula *f, int a, int b)
{
	int depth = 0, letters = 0, capitals = 1;

	for (int i = a; i < b; i++) {
		char kind = f->t[i].kind;
		if (!strchr("v_{}()n,/:F", kind) || (kind == 'n' && depth == 0 && (i == a || f->t[i - 1].kind != '_')))
			return 0;
		if (kind == 'v' && (i == a || (f->t[i - 1].kind != '_' && f->t[i - 1].kind != '{')) &&
		    (depth == 0 || f->t[a].kind == 'F')) {
			letters++;
			capitals &= isupper((unsigned char)f->t[i].s.s[0]) != 0;
		}
		depth += step(kind);
	}
	return a < b && f->t[a].kind != 'n' && (letters <= 1 || capitals);
}

static int has_letters(const struct formula *f, int a, int b)
{
	for (int i = a; i < b; i++)
		if (f->t[i].kind == 'v')
			return 1;
	return 0;
}

static int new_relation(struct parser *p, int a, int sign, int b)
{
	struct value left, right;
	char         kind = p->f->t[sign].kind;
	int          node;

	if (!parse_range(p, a, sign, &left) || !parse_range(p, sign + 1, b, &right) || (node = new_node(p->f, RELATION)) < 0)
		return -1;
	p->f->node[node].open = kind == 'g' ? 'l' : kind == '>' ? '<' : kind;
	p->f->node[node].v = strchr("g>", kind) ? value_apply('-', right, left) : value_apply('-', left, right);
	return node;
}

/* a < x < b as the interval of x. */
static int parse_interval(struct parser *p, int a, int first, int second, int b)
{
	const struct token *t = p->f->t;
	int                 up = strchr("<l", t[first].kind) != NULL, node = new_node(p->f, SEQUENCE), low, high;

	if (up != (strchr("<l", t[second].kind) != NULL) || !is_name(p->f, first + 1, second))
		return -1;
	low = parse_value(p, a, first);
	high = parse_value(p, second + 1, b);
	if (!append(p->f, node, up ? low : high) || !append(p->f, node, up ? high : low))
		return -1;
	p->f->node[node].open = strchr("lg", t[up ? first : second].kind) ? '[' : '(';
	p->f->node[node].close = strchr("lg", t[up ? second : first].kind) ? ']' : ')';
	return node;
}

/* a < b < c is a < b and b < c. */
static int parse_chain(struct parser *p, int a, int b)
{
	int node = new_node(p->f, LIST);

	while (node >= 0) {
		int sign = find_outside(p->f, a, b, relations), end;
		if (sign == b)
			return node;
		end = find_outside(p->f, sign + 1, b, relations);
		if (p->f->t[sign].kind == 'I' || !append(p->f, node, new_relation(p, a, sign, end)))
			return -1;
		a = sign + 1;
	}
	return -1;
}

static int parse_named(struct parser *p, int a, int sign, int b, int depth)
{
	int node = parse_element(p, sign + 1, b, depth);

	if (node >= 0 && is_name(p->f, a, sign) && p->f->t[a].kind == 'v')
		p->f->node[node].name = p->f->t[a].s;
	return node;
}

static int parse_relation(struct parser *p, int a, int sign, int b, int depth)
{
	struct formula *f = p->f;
	int             last = sign, n = 1, node;

	for (int next = sign; (next = find_outside(f, next + 1, b, relations)) < b; n++)
		last = next;
	if (f->t[sign].kind == '=' && f->t[last].kind == '=' &&
	    (is_name(f, a, sign) || f->t[a].kind == 'L' || n > 1 || (!has_letters(f, a, sign) && !has_letters(f, sign + 1, b))))
		return parse_named(p, a, n == 1 || is_name(f, a, sign) ? (f->t[last].kind == '=' ? last : sign) : last, b, depth);
	if (f->t[sign].kind == 'I')
		return n == 1 && is_name(f, a, sign) ? parse_named(p, a, sign, b, depth) : -1;
	if (n == 1)
		return new_relation(p, a, sign, b);
	if (n == 2 && p->relations && (node = parse_interval(p, a, sign, last, b)) >= 0)
		return node;
	return parse_chain(p, a, b);
}

static int parse_element(struct parser *p, int a, int b, int depth)
{
	int sign;

	if (a >= b || depth > FORMULA_DEPTH)
		return -1;
	if (p->pm == 0 && has_pm(p->f, a, b) && find_outside(p->f, a, b, "U") == b && !is_enclosed(p->f, a, b, "([S{", ")]T}"))
		return parse_both_signs(p, a, b, depth + 1);
	sign = find_outside(p->f, a, b, relations);
	return sign < b ? parse_relation(p, a, sign, b, depth + 1) : parse_plain(p, a, b, depth + 1);
}

/* The outermost list: its name before "=" holds for all of it ("n = 1, 2, 3"). ";" parts what "," joins ("p=5,q=2; p=7,q=2"). */
static int parse_all(struct parser *p)
{
	struct formula *f = p->f;
	int             n = f->n_tokens, node, sign;

	if (find_outside(f, 0, n, ",;") == n)
		return parse_element(p, 0, n, 0);
	if (find_outside(f, 0, n, ";") == n || find_outside(f, 0, n, ",") == n) {
		sign = find_outside(f, 0, n, relations);
		if (sign < find_outside(f, 0, n, ",;") && is_name(f, 0, sign) && f->t[sign].kind == '=' &&
		    find_outside(f, sign + 1, n, relations) == n)
			return parse_structure(p, LIST, sign + 1, n, ",;", 0);
		return parse_structure(p, LIST, 0, n, ",;", 0);
	}
	node = new_node(f, LIST);
	for (int a = 0; a <= n && node >= 0;) {
		int end = find_outside(f, a, n, ";"), child = parse_structure(p, SEQUENCE, a, end, ",", 0);
		if (!append(f, node, child))
			return -1;
		f->node[child].open = '(';
		f->node[child].close = ')';
		a = end + 1;
	}
	return node;
}

/* ---- reading ---- */

static int is_word(const struct token *t)
{
	return t->kind == 'v' && (t->in_text || t->s.n >= 4) && !t->is_command && isalpha((unsigned char)t->s.s[0]);
}

static void drop_power(const struct tokens *r, int *i)
{
	if (*i + 2 < r->n && r->t[*i + 1].kind == '^' && r->t[*i + 2].kind == 'n')
		*i += 2;
	else if (*i + 4 < r->n && r->t[*i + 1].kind == '^' && r->t[*i + 2].kind == '{' && r->t[*i + 4].kind == '}')
		*i += 4;
}

/* Letters apart, units away. */
static int spell_out(struct formula *f)
{
	const struct tokens *r = &f->read;

	for (int i = 0; i < r->n; i++) {
		const struct token *t = &r->t[i];
		int unit = t->kind == 'x' || (t->in_text && is_word(t) && f->n_tokens && strchr("n})]vx", f->t[f->n_tokens - 1].kind));
		if (f->n_tokens + 16 > 2 * FORMULA_TOKENS)
			return 0;
		if (unit) {
			if (!f->unit.n)
				f->unit = t->s;
			drop_power(r, &i);
		} else if (t->kind == 'v' && t->s.n == 4 && span_equal(t->s, span_of("sqrt")) && i + 1 < r->n && r->t[i + 1].kind == '(')
			f->t[f->n_tokens++] = (struct token){'f', 0, 0, t->s};
		else if (t->kind == 'v' && !t->is_command && !span_equal(t->s, span_of("pi")) && !is_word(t))
			for (size_t j = 0; j < t->s.n; j++)
				f->t[f->n_tokens++] = (struct token){'v', 0, 0, {t->s.s + j, 1}};
		else if (is_word(t))
			return 0;
		else
			f->t[f->n_tokens++] = *t;
	}
	return f->n_tokens > 0;
}

/* Lists within a list ("1/2, 2 \pm \sqrt{3}") are part of it. */
static void flatten(struct formula *f, int x)
{
	int *link = &f->node[x].first;

	if (f->node[x].kind != LIST)
		return;
	f->node[x].n = 0;
	while (*link >= 0) {
		int child = *link;
		if (f->node[child].kind == LIST && f->node[child].first >= 0) {
			int last = f->node[child].first;
			while (f->node[last].next >= 0)
				last = f->node[last].next;
			f->node[last].next = f->node[child].next;
			*link = f->node[child].first;
		} else {
			f->node[x].n++;
			link = &f->node[child].next;
		}
	}
}

/* Values without a number (a division by zero, an overflow) make the formula no formula. */
static int has_values(const struct formula *f)
{
	for (int i = 0; i < f->n_nodes; i++)
		if (f->node[i].kind == VALUE && !(isfinite(creall(f->node[i].v.f[0])) && isfinite(cimagl(f->node[i].v.f[0]))))
			return 0;
	return 1;
}

struct formula *formula_new(struct span text, const struct formula_options *o)
{
	struct formula *f = calloc(1, sizeof *f);
	struct parser   p = {.f = f, .relations = o->relations};

	if (!f)
		return NULL;
	f->root = -1;
	formula_tokens(text, &f->read);
	if (f->read.too_many || f->read.n == 0)
		return f;
	if (spell_out(f))
		f->root = parse_all(&p);
	if (f->root >= 0)
		flatten(f, f->root);
	f->parsed = f->root >= 0 && has_values(f);
	return f;
}

void formula_free(struct formula *f)
{
	free(f);
}

int formula_parsed(const struct formula *f)
{
	return f->parsed;
}

int formula_empty(const struct formula *f)
{
	return f->read.n == 0 || f->read.too_many;
}

/* ---- equality ---- */

static int nodes_equal(const struct formula *a, int x, const struct formula *b, int y, int decimals);

static int sequences_equal(const struct formula *a, int x, const struct formula *b, int y, int decimals)
{
	int i = a->node[x].first, j = b->node[y].first;

	for (; i >= 0 && j >= 0; i = a->node[i].next, j = b->node[j].next)
		if (!nodes_equal(a, i, b, j, decimals))
			return 0;
	return i < 0 && j < 0;
}

/* Each child on one side has its own on the other. */
static int lists_equal(const struct formula *a, int x, const struct formula *b, int y, int decimals)
{
	char taken[FORMULA_NODES] = {0};

	if (a->node[x].n != b->node[y].n)
		return 0;
	for (int i = a->node[x].first; i >= 0; i = a->node[i].next) {
		int j = b->node[y].first;
		while (j >= 0 && (taken[j] || !nodes_equal(a, i, b, j, decimals)))
			j = b->node[j].next;
		if (j < 0)
			return 0;
		taken[j] = 1;
	}
	return 1;
}

static int relations_equal(const struct node *a, const struct node *b)
{
	int sign = value_ratio_sign(a->v, b->v);

	return a->open == b->open && (strchr("=~", a->open) ? sign != 0 : sign > 0);
}

/* A list of one is that one. */
static int unwrap(const struct formula *f, int x)
{
	while ((f->node[x].kind == LIST || f->node[x].kind == UNION) && f->node[x].n == 1)
		x = f->node[x].first;
	return x;
}

static int names_agree(struct span a, struct span b)
{
	return a.n == 0 || b.n == 0 || span_equal(a, b);
}

static int nodes_equal(const struct formula *a, int x, const struct formula *b, int y, int decimals)
{
	const struct node *s, *t;

	x = unwrap(a, x);
	y = unwrap(b, y);
	s = &a->node[x];
	t = &b->node[y];
	if (s->kind != t->kind || !names_agree(s->name, t->name))
		return 0;
	switch (s->kind) {
	case VALUE:
		return value_equal(s->v, t->v, decimals);
	case LIST:
	case UNION:
		return lists_equal(a, x, b, y, decimals);
	case RELATION:
		return relations_equal(s, t);
	case SEQUENCE:
	case MATRIX:
		return s->open == t->open && s->close == t->close && sequences_equal(a, x, b, y, decimals);
	}
	return 0;
}

/* Words: the same tokens, without round brackets around and without what only names them. */
static void bare(const struct tokens *t, int *a, int *b)
{
	while (*b - *a >= 2 && t->t[*b - 1].kind == 'v' && t->t[*b - 1].in_text && formula_is_unit(t->t[*b - 1].s))
		--*b;
	while (*b - *a >= 3 && t->t[*a].kind == '(' && t->t[*b - 1].kind == ')' && *b - *a <= 3) {
		++*a;
		--*b;
	}
}

static int words_equal(const struct tokens *s, const struct tokens *t)
{
	int a = 0, b = s->n, c = 0, d = t->n;

	bare(s, &a, &b);
	bare(t, &c, &d);
	if (b - a != d - c || a == b)
		return 0;
	for (; a < b; a++, c++) {
		const struct token *x = &s->t[a], *y = &t->t[c];
		int                 nocase = x->kind == 'v' && x->s.n >= 2;
		if (x->kind != y->kind)
			return 0;
		if (strchr("nvfuxLo", x->kind) && !(nocase ? span_equal_nocase(x->s, y->s) : span_equal(x->s, y->s)))
			return 0;
	}
	return 1;
}

static struct span singular(struct span unit)
{
	if (unit.n > 2 && unit.s[unit.n - 1] == 's')
		unit.n--;
	return unit;
}

int formula_equal(const struct formula *a, const struct formula *b, const struct formula_options *o)
{
	if (formula_empty(a) || formula_empty(b))
		return 0;
	if (words_equal(&a->read, &b->read))
		return 1;
	if (!a->parsed || !b->parsed || (a->unit.n && b->unit.n && !span_equal_nocase(singular(a->unit), singular(b->unit))))
		return 0;
	return nodes_equal(a, a->root, b, b->root, o->decimals);
}
