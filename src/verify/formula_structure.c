#include "verify/formula_parts.h"

#include <ctype.h>
#include <string.h>

static const char relations[] = "=<>lg~IE";

static int parse_element(struct parser *p, int a, int b, int depth);

static int promise(struct formula *f, int x, int low, int y)
{
	if (f->n_promises == FORMULA_PROMISES)
		return 0;
	f->promise[f->n_promises++] = (struct promise){x, low, y};
	return 1;
}

static int is_open(const struct formula *f, int v)
{
	return f->e.node[v].open;
}

/* ---- values ---- */

/* A number with a base keeps its digits, because the result "52" is accepted for "52_8". */
static int based_digits(struct parser *p, int a, int b)
{
	const struct formula *f = p->f;
	int                   brackets = f->t[a].kind == '(' && b - a > 4;

	if (b - a - 2 * brackets < 3 || f->t[a + brackets].kind != 'n' ||
	    f->t[a + 1 + 2 * brackets].kind != '_')
		return -1;
	return parse_number_value(p, &f->t[a + brackets]);
}

/* Reads a number or an expression with its unit, which may be before it ("\$5") or behind it. */
static int parse_value(struct parser *p, int a, int b)
{
	struct formula *f = p->f;
	struct unit     u = unit_none();
	int minus = b - a > 2 && f->t[a].kind == '-' && formula_unit_is_currency(&f->t[a + 1]), v,
	    node, end = b;

	if (b - a > 1 && formula_unit_is_currency(&f->t[a + minus])) {
		if (!unit_add(&u, f->t[a + minus].s, 1, 0))
			return -1;
		a += 1 + minus;
	}
	if (u.n == 0)
		end = formula_unit_start(f, a, b, &u);
	else { /* "\$5 million", "\$18 dollars" */
		struct unit behind;
		end = formula_unit_start(f, a, b, &behind);
		if (behind.n && !unit_equal(&u, &behind))
			return -1;
		u.times = behind.times;
	}
	if (!parse_range(p, a, end, &v))
		return -1;
	if (minus)
		v = expression_make(&f->e, '-', expression_whole(&f->e, 0), v);
	if (u.times != 1)
		v = expression_make(&f->e, '*', v, expression_whole(&f->e, u.times));
	node = formula_node_value(f, v);
	if (node >= 0) {
		f->node[node].unit = u;
		f->node[node].based = based_digits(p, a, end);
	}
	return node;
}

/* Reads an item of a list that is words, not mathematics. */
static int parse_words(struct parser *p, int a, int b)
{
	int node;

	for (int i = a; i < b; i++)
		if (!(formula_unit_is_word(&p->f->t[i]) ||
		      (p->f->t[i].in_text && strchr("vn-", p->f->t[i].kind))))
			return -1;
	if (a >= b || (node = formula_node_new(p->f, TEXT)) < 0)
		return -1;
	p->f->node[node].from = p->f->origin[a];
	p->f->node[node].to = p->f->origin[b - 1] + 1;
	return node;
}

/* ---- lists ---- */

/* Splits the tokens a..b at the separators and appends the parts as children. */
static int parse_children(struct parser *p, int parent, int a, int b, const char *separators,
                          int depth)
{
	while (a <= b) {
		int end = formula_find(p->f, a, b, separators), child;
		if (end == a && a > 0 && a < b && p->f->t[a].kind == ',') { /* ", and" */
			a++;
			continue;
		}
		child = parse_element(p, a, end, depth);
		if (child < 0)
			child = parse_words(p, a, end);
		if (!formula_node_append(p->f, parent, child))
			return 0;
		a = end + 1;
	}
	return 1;
}

static int parse_structure(struct parser *p, enum formula_node_kind kind, int a, int b,
                           const char *separators, int depth)
{
	int node = formula_node_new(p->f, kind);

	if (node < 0 || !parse_children(p, node, a, b, separators, depth))
		return -1;
	for (int i = a; i < b && kind == LIST; i++)
		if (p->f->t[i].kind == ',' && span_equal_nocase(p->f->t[i].s, span_of("or")))
			p->f->node[node].open = 'o';
	return node;
}

/* ---- matrices ---- */

static int parse_matrix(struct parser *p, int a, int b, int depth)
{
	int node = formula_node_new(p->f, MATRIX);

	if (b > a && p->f->t[b - 1].kind == 'N')
		b--;
	while (node >= 0 && a < b) {
		int end = formula_find(p->f, a, b, "N");
		if (!formula_node_append(p->f, node,
		                         parse_structure(p, SEQUENCE, a, end, "&", depth)))
			return -1;
		a = end + 1;
	}
	return node;
}

/* [scalar] matrix matrix ... */
static int parse_matrix_product(struct parser *p, int a, int b, int depth)
{
	struct formula *f = p->f;
	int             at = formula_find(f, a, b, "M"), scalar = -1, x = -1, before = at;

	if (before > a && f->t[before - 1].kind == '*')
		before--;
	if (before > a && !parse_range(p, a, before, &scalar))
		return -1;
	while (at < b) {
		int end = formula_closing(f, at, b), y;
		if (f->t[at].kind != 'M' || end == b)
			return -1;
		y = parse_matrix(p, at + 1, end, depth);
		x = y < 0 ? -1 : x < 0 ? y : formula_matrix_multiply(f, x, y);
		if (x < 0)
			return -1;
		at = end + 1;
		if (at < b && f->t[at].kind == '*')
			at++;
	}
	return x < 0 || scalar < 0 ? x : formula_matrix_entrywise(f, '*', x, -1, scalar);
}

/* Sums of such products. */
static int parse_matrices(struct parser *p, int a, int b, int depth)
{
	struct formula *f = p->f;
	int             sum = -1, sign = 1;

	if (f->t[a].kind == '-') {
		sign = -1;
		a++;
	}
	while (a < b) {
		int end = formula_find(f, a, b, "+-"), x = parse_matrix_product(p, a, end, depth);
		if (x >= 0 && sum < 0)
			sum = sign > 0 ? x
			               : formula_matrix_entrywise(f, '*', x, -1,
			                                          expression_whole(&f->e, -1));
		else
			sum = x < 0 ? -1
			            : formula_matrix_entrywise(f, sign > 0 ? '+' : '-', sum, x, -1);
		if (sum < 0)
			return -1;
		sign = end < b && f->t[end].kind == '-' ? -1 : 1;
		a = end + 1;
	}
	return sum;
}

/* ---- what holds no relation ---- */

static int has_pm(const struct formula *f, int a, int b)
{
	for (int i = a; i < b; i++)
		if (f->t[i].kind == 'p' || f->t[i].kind == 'q')
			return 1;
	return 0;
}

static int parse_both_signs(struct parser *p, int a, int b, int depth)
{
	int node = formula_node_new(p->f, LIST), ok = 1;

	for (p->pm = 1; p->pm >= -1; p->pm -= 2)
		ok = ok && formula_node_append(p->f, node, parse_element(p, a, b, depth));
	p->pm = 0;
	return ok ? node : -1;
}

static int formula_structure_parse_set(struct parser *p, int a, int b, int depth)
{
	return a == b ? formula_node_new(p->f, SET) : parse_structure(p, SET, a, b, ",;", depth);
}

/* a : b : c as 1, b/a, c/a. */
static int parse_ratio(struct parser *p, int a, int b)
{
	int node = formula_node_new(p->f, SEQUENCE), first = -1, v;

	while (node >= 0 && a <= b) {
		int end = formula_find(p->f, a, b, ":");
		if (!parse_range(p, a, end, &v))
			return -1;
		if (first < 0)
			first = v;
		if (!formula_node_append(
		            p->f, node,
		            formula_node_value(p->f, expression_make(&p->f->e, '/', v, first))))
			return -1;
		a = end + 1;
	}
	if (node >= 0)
		p->f->node[node].open = p->f->node[node].close = ':';
	return node;
}

static int parse_special(struct parser *p, char which)
{
	int node = formula_node_new(p->f, SPECIAL);

	if (node >= 0)
		p->f->node[node].open = which;
	return node;
}

static int is_empty_set(const struct token *t)
{
	return t->kind == 'v' && t->is_command &&
	       (span_equal(t->s, span_of("emptyset")) || span_equal(t->s, span_of("varnothing")));
}

/* A \setminus B. */
static int parse_difference(struct parser *p, int a, int b, int depth)
{
	int at = formula_find(p->f, a, b, "D"), node = formula_node_new(p->f, UNION);

	if (!formula_node_append(p->f, node, parse_element(p, a, at, depth)) ||
	    !formula_node_append(p->f, node, parse_element(p, at + 1, b, depth)))
		return -1;
	p->f->node[node].open = 'D';
	return node;
}

static int formula_structure_parse_sequence(struct parser *p, int a, int b, int depth)
{
	struct formula *f = p->f;
	int             node;

	/* brackets around one thing say nothing */
	if (formula_find(f, a + 1, b - 1, ",;") == b - 1)
		return f->t[a].kind == (f->t[b - 1].kind == ')' ? '(' : '[')
		               ? parse_element(p, a + 1, b - 1, depth)
		               : -1;
	node = parse_structure(p, SEQUENCE, a + 1, b - 1, ",;", depth);
	if (node >= 0) {
		f->node[node].open = f->t[a].kind;
		f->node[node].close = f->t[b - 1].kind;
	}
	return node;
}

/* Drops signs of money, percent and degrees around a structure that is not a number: "[10,
 * 20]\%". */
static void undress(const struct formula *f, int *a, int *b)
{
	int from = *a, to = *b;

	if (to - from > 3 && formula_unit_is_currency(&f->t[from]))
		from++;
	while (to - from > 3 && formula_unit_is_share(&f->t[to - 1]))
		to -= 1 + (f->t[to - 2].kind == '^');
	if ((from > *a || to < *b) && (formula_find(f, from, to, "UM") < to ||
	                               (formula_is_enclosed(f, from, to, "([S", ")]T") &&
	                                formula_find(f, from + 1, to - 1, ",;") < to - 1))) {
		*a = from;
		*b = to;
	}
}

/* Reads what remains without relations and names: sets, unions, matrices, tuples, and finally a
 * value. */
static int parse_plain(struct parser *p, int a, int b, int depth)
{
	struct formula *f = p->f;
	int             colon;

	undress(f, &a, &b);

	if (b - a == 1 && f->t[a].kind == 'b' && span_equal(f->t[a].s, span_of("R")))
		return parse_special(p, 'R');
	if (b - a == 1 && is_empty_set(&f->t[a]))
		return parse_special(p, '0');
	if (formula_find(f, a, b, "U") < b)
		return parse_structure(p, UNION, a, b, "U", depth);
	if (formula_find(f, a, b, "D") < b)
		return parse_difference(p, a, b, depth);
	if (formula_is_enclosed(f, a, b, "S", "T"))
		return formula_structure_parse_set(p, a + 1, b - 1, depth);
	if (formula_is_enclosed(f, a, b, "{", "}") && formula_find(f, a + 1, b - 1, "O") == b - 1)
		return b - a == 2 ? -1 : parse_structure(p, LIST, a + 1, b - 1, ",;", depth);
	if (formula_find(f, a, b, "M") < b)
		return parse_matrices(p, a, b, depth);
	colon = formula_find(f, a, b, ":");
	if (colon < b && formula_find(f, colon + 1, b, ":") < b)
		return parse_ratio(p, a, b);
	if (formula_is_enclosed(f, a, b, "([", ")]"))
		return formula_structure_parse_sequence(p, a, b, depth);
	return parse_value(p, a, b);
}

/* ---- relations ---- */

/* Is the text before "=" only a name: "x", "x_1", "f(2)", "(p, q)", "AB", "V_1 : V_2",
 * "\frac{AB}{CD}"? A fraction of numbers is not. */
static int formula_structure_is_name(const struct formula *f, int a, int b)
{
	int depth = 0, letters = 0, capitals = 1, any = 0, fraction = a < b && f->t[a].kind == 'F';

	for (int i = a; i < b; i++) {
		char kind = f->t[i].kind;
		int  index = i > a && (f->t[i - 1].kind == '_' || f->t[i - 1].kind == '{');
		if (!strchr("v_{}()n,/:F'a", kind) || (kind == 'n' && (depth == 0 || fraction) &&
		                                       !(i > a && f->t[i - 1].kind == '_')))
			return 0;
		if (kind == 'v' && (i == a || !index || fraction) && (depth == 0 || fraction)) {
			letters++;
			capitals &= isupper((unsigned char)f->t[i].s.s[0]) != 0;
		}
		any |= kind == 'v' || kind == 'a';
		depth += formula_step(kind);
	}
	return a < b && f->t[a].kind != 'n' && f->t[a].kind != '\'' && any &&
	       (letters <= 1 || capitals);
}

static int is_absolute_name(const struct formula *f, int a, int b)
{
	return b - a > 2 && f->t[a].kind == '|' && f->t[b - 1].kind == '|' &&
	       formula_structure_is_name(f, a + 1, b - 1);
}

static int has_letters(const struct formula *f, int a, int b)
{
	for (int i = a; i < b; i++)
		if (f->t[i].kind == 'v' &&
		    !(span_equal(f->t[i].s, span_of("pi")) || formula_unit_is_word(&f->t[i])))
			return 1;
	return 0;
}

/* The text of a name, without the arguments of a call. */
static struct span name_text(const struct formula *f, int a, int b)
{
	int end = a;

	if (a >= b || f->t[a].kind != 'v')
		return (struct span){NULL, 0};
	while (end < b && f->t[end].kind != '(')
		end++;
	return (struct span){f->t[a].s.s,
	                     (size_t)(f->t[end - 1].s.s + f->t[end - 1].s.n - f->t[a].s.s)};
}

/* Makes a relation: left - right with the sign turned to <, so that x > 1 and 1 < x are one. A lone
 * name on one side is bound to the other side. */
static int new_relation(struct parser *p, int a, int sign, int b)
{
	struct formula *f = p->f;
	char            kind = f->t[sign].kind;
	int             left, right, node, name_left, name_right;

	if (!parse_range(p, a, sign, &left) || !parse_range(p, sign + 1, b, &right) ||
	    (node = formula_node_new(f, RELATION)) < 0)
		return -1;
	f->node[node].open = kind == 'g' ? 'l' : kind == '>' ? '<' : kind;
	f->node[node].v = strchr("g>", kind) ? expression_make(&f->e, '-', right, left)
	                                     : expression_make(&f->e, '-', left, right);
	name_left = formula_structure_is_name(f, a, sign) || is_absolute_name(f, a, sign);
	name_right = formula_structure_is_name(f, sign + 1, b) || is_absolute_name(f, sign + 1, b);
	if (name_left && !is_open(f, right))
		f->node[node].bound = right;
	else if (name_right && !is_open(f, left))
		f->node[node].bound = left;
	if (f->node[node].bound >= 0)
		f->node[node].opposite = expression_make(&f->e, '-', expression_whole(&f->e, 0),
		                                         f->node[node].bound);
	f->node[node].name_first = (f->node[node].bound == right) != (strchr("g>", kind) != NULL);
	f->node[node].absolute = f->t[f->node[node].bound == right ? a : sign + 1].kind == '|';
	return f->node[node].v < 0 ? -1 : node;
}

static int new_interval(struct parser *p, int low, int high, char open, char close)
{
	int node = formula_node_new(p->f, SEQUENCE);

	if (!formula_node_append(p->f, node, formula_node_value(p->f, low)) ||
	    !formula_node_append(p->f, node, formula_node_value(p->f, high)))
		return -1;
	p->f->node[node].open = open;
	p->f->node[node].close = close;
	p->f->node[node].from_relation = 1;
	return node;
}

/* Reads a < x < b as the interval of x, and a < |x| < b as two intervals. */
static int parse_interval(struct parser *p, int a, int first, int second, int b)
{
	struct formula     *f = p->f;
	struct expressions *e = &f->e;
	const struct token *t = f->t;
	int                 up = strchr("<l", t[first].kind) != NULL,
	    absolute = is_absolute_name(f, first + 1, second), low, high, node;
	char open, close;

	if (!strchr("<>lg", t[first].kind) || !strchr("<>lg", t[second].kind) ||
	    up != (strchr("<l", t[second].kind) != NULL) ||
	    !(absolute || formula_structure_is_name(f, first + 1, second)))
		return -1;
	if (!parse_range(p, a, first, up ? &low : &high) ||
	    !parse_range(p, second + 1, b, up ? &high : &low))
		return -1;
	open = strchr("lg", t[up ? first : second].kind) ? '[' : '(';
	close = strchr("lg", t[up ? second : first].kind) ? ']' : ')';
	if (!absolute)
		return new_interval(p, low, high, open, close);
	node = formula_node_new(f, UNION);
	if (node >= 0)
		f->node[node].from_relation = 1;
	return formula_node_append(f, node, new_interval(p, low, high, open, close)) &&
	                       formula_node_append(
	                               f, node,
	                               new_interval(
	                                       p,
	                                       expression_make(e, '-', expression_whole(e, 0),
	                                                       high),
	                                       expression_make(e, '-', expression_whole(e, 0), low),
	                                       close == ']' ? '[' : '(', open == '[' ? ']' : ')'))
	               ? node
	               : -1;
}

/* Reads a < b < c as a < b and b < c. */
static int parse_chain(struct parser *p, int a, int b)
{
	int node = formula_node_new(p->f, LIST);

	while (node >= 0) {
		int sign = formula_find(p->f, a, b, relations), end;
		if (sign == b)
			return node;
		end = formula_find(p->f, sign + 1, b, relations);
		if (strchr("IE", p->f->t[sign].kind) ||
		    !formula_node_append(p->f, node, new_relation(p, a, sign, end)))
			return -1;
		a = sign + 1;
	}
	return -1;
}

/* Reads "name = value". With letters in the value, as in y = 2x + 1, it is a relation too. */
static int parse_named(struct parser *p, int name, int name_end, int a, int b, int depth)
{
	struct formula *f = p->f;
	int             node = parse_element(p, a, b, depth), left, right, relation;

	if (node < 0)
		return -1;
	if (formula_structure_is_name(f, name, name_end))
		f->node[node].name = name_text(f, name, name_end);
	if (f->node[node].kind == VALUE && parse_range(p, name, name_end, &left) &&
	    parse_range(p, a, b, &right) && (relation = formula_node_new(f, RELATION)) >= 0) {
		f->node[relation].open = '=';
		f->node[relation].v = expression_make(&f->e, '-', left, right);
		if (f->node[relation].v >= 0)
			f->node[node].as_relation = relation;
	}
	return node;
}

/* The constants in a chain of "=" must really be equal. Members with letters claim nothing, and
 * neither does a chain that has a name. */
static int promise_chain(struct parser *p, int a, int b)
{
	struct formula *f = p->f;
	int             before = -1;

	while (a < b) {
		int end = formula_find(f, a, b, "="), node = parse_value(p, a, end), v;
		if (node < 0)
			return 0;
		v = f->node[node].v;
		if (!is_open(f, v)) {
			if (before >= 0 && !promise(f, before, -1, v))
				return 0;
			before = v;
		}
		a = end + 1;
	}
	return 1;
}

struct formula_chain { /* tokens a .. b-1 with n relation signs, the first and last of them */
	int a, sign, last, b, n;
};

/* a = b = ... = z, where `last` is the last sign: returns its value if it has one, or -1 if it is a
 * relation. */
static int parse_equation(struct parser *p, const struct formula_chain *c, int depth)
{
	struct formula *f = p->f;
	int             a = c->a, sign = c->sign, last = c->last, n = c->n, b = c->b;
	int             named = formula_structure_is_name(f, a, sign);

	if (named || f->t[a].kind == 'L')
		return parse_named(p, a, sign, last + 1, b, depth);
	if (n == 1 && formula_structure_is_name(f, sign + 1, b) && !has_letters(f, a, sign))
		return parse_named(p, sign + 1, b, a, sign, depth);
	if (n > 1 || (!has_letters(f, a, sign) && !has_letters(f, sign + 1, b))) {
		if (formula_find(f, a, b, "M") == b && !has_letters(f, a, b) &&
		    !promise_chain(p, a, b))
			return -1;
		return parse_element(p, last + 1, b, depth);
	}
	return new_relation(p, a, sign, b);
}

/* The decimals of a number token that is all of a..b, or -1. */
static int decimals_of(const struct formula *f, int a, int b)
{
	const char *point;

	if (b - a < 1 || f->t[a].kind != 'n')
		return -1;
	point = memchr(f->t[a].s.s, '.', f->t[a].s.n);
	return point ? (int)(f->t[a].s.s + f->t[a].s.n - point - 1) : 0;
}

/* exact \approx rounded has the exact value, if that rounds to the other. */
static int parse_approximation(struct parser *p, int a, int sign, int b, int depth)
{
	struct formula     *f = p->f;
	struct expressions *e = &f->e;
	int                 minus = sign + 1 < b && f->t[sign + 1].kind == '-',
	    decimals = decimals_of(f, sign + 1 + minus, b);
	int node = parse_element(p, a, sign, depth), about = parse_value(p, sign + 1, b), place, v;

	if (node < 0 || about < 0 || decimals < 0 || f->node[node].kind != VALUE ||
	    is_open(f, f->node[node].v))
		return -1;
	v = f->node[about].v;
	place = expression_make(
	        e, '^', expression_whole(e, 10),
	        expression_make(e, '-', expression_whole(e, 0), expression_whole(e, decimals)));
	if (place < 0 || !promise(f, f->node[node].v, expression_make(e, '-', v, place),
	                          expression_make(e, '+', v, place)))
		return -1;
	f->node[node].chain = v;
	if (unit_is_empty(&f->node[node].unit))
		f->node[node].unit = f->node[about].unit;
	return node;
}

/* One sign makes a relation; two may make an interval (1 < x < 2) or a chain. In a chain of
 * equations the value comes last. */
static int parse_relation(struct parser *p, int a, int sign, int b, int depth)
{
	struct formula *f = p->f;
	int             last = sign, n = 1, equations = f->t[sign].kind == '=', node;

	for (int next = sign; (next = formula_find(f, next + 1, b, relations)) < b; n++) {
		if (f->t[next].kind == 'E' && f->t[sign].kind != 'E')
			return parse_approximation(p, a, next, b, depth);
		equations &= f->t[next].kind == '=';
		last = next;
	}
	if (f->t[sign].kind == 'E')
		return n == 1 ? parse_approximation(p, a, sign, b, depth) : -1;
	if (equations)
		return parse_equation(p, &(struct formula_chain){a, sign, last, b, n}, depth);
	if (f->t[sign].kind == '=' && f->t[last].kind == '=' && n > 1)
		return parse_element(p, last + 1, b, depth);
	if (f->t[sign].kind == 'I')
		return n == 1 && formula_structure_is_name(f, a, sign)
		               ? parse_named(p, a, sign, sign + 1, b, depth)
		               : -1;
	if (n == 1)
		return new_relation(p, a, sign, b);
	if (n == 2 && (node = parse_interval(p, a, sign, last, b)) >= 0)
		return node;
	return parse_chain(p, a, b);
}

static int parse_element(struct parser *p, int a, int b, int depth)
{
	int sign;

	if (a >= b || depth > FORMULA_DEPTH)
		return -1;
	if (p->pm == 0 && has_pm(p->f, a, b) && formula_find(p->f, a, b, "U") == b &&
	    !formula_is_enclosed(p->f, a, b, "([S{", ")]T}"))
		return parse_both_signs(p, a, b, depth + 1);
	sign = formula_find(p->f, a, b, relations);
	return sign < b ? parse_relation(p, a, sign, b, depth + 1)
	                : parse_plain(p, a, b, depth + 1);
}

/* ---- the whole ---- */

/* Reads items of items: "p=5,q=2; p=7,q=2". */
static int parse_pairs(struct parser *p)
{
	struct formula *f = p->f;
	int             n = f->n_tokens, node = formula_node_new(f, LIST);

	for (int a = 0; a <= n && node >= 0;) {
		int end = formula_find(f, a, n, ";"),
		    child = parse_structure(p, SEQUENCE, a, end, ",", 0);
		if (!formula_node_append(f, node, child))
			return -1;
		f->node[child].open = '(';
		f->node[child].close = ')';
		a = end + 1;
	}
	return node;
}

/* Reads the outermost list. A name before "=" holds for the whole list ("n = 1, 2, 3"). ";"
 * separates groups of items with ",". */
static int formula_structure_parse_all(struct parser *p)
{
	struct formula *f = p->f;
	int             n = f->n_tokens, sign;

	if (formula_find(f, 0, n, ",;") == n)
		return parse_element(p, 0, n, 0);
	if (formula_find(f, 0, n, ";") < n && formula_find(f, 0, n, ",") < n)
		return parse_pairs(p);
	sign = formula_find(f, 0, n, relations);
	if (sign < formula_find(f, 0, n, ",;") && formula_structure_is_name(f, 0, sign) &&
	    f->t[sign].kind == '=' && formula_find(f, sign + 1, n, relations) == n)
		return parse_structure(p, LIST, sign + 1, n, ",;", 0);
	return parse_structure(p, LIST, 0, n, ",;", 0);
}

static void formula_structure_push(struct formula *f, struct token t, int origin)
{
	f->origin[f->n_tokens] = origin;
	f->t[f->n_tokens++] = t;
}

/* Is the run of letters, outside \text, a unit here? Yes in "12 cm" and "4 km/h", no in "x min". */
static int is_plain_unit(const struct formula *f, const struct token *t)
{
	char before = f->n_tokens ? f->t[f->n_tokens - 1].kind : 0,
	     second = f->n_tokens > 1 ? f->t[f->n_tokens - 2].kind : 0;

	if (t->is_command || !before || !unit_is_known(t->s))
		return 0;
	return (t->s.n > 1 && strchr("nrc})]!x", before)) ||
	       (strchr("/*", before) && second == 'x') || (before == '(' && t->s.n > 1);
}

/* Copies the tokens for the parser: runs of letters are split, units stay in one piece. */
static int spell_out(struct formula *f)
{
	for (int i = 0; i < f->read.n; i++) {
		struct token t = f->read.t[i];
		if (f->n_tokens + (int)t.s.n + 1 > 2 * FORMULA_TOKENS)
			return 0;
		if (t.kind != 'v' || t.is_command || span_equal(t.s, span_of("pi")) || t.in_text)
			formula_structure_push(f, t, i);
		else if (span_equal(t.s, span_of("sqrt")) && i + 1 < f->read.n &&
		         f->read.t[i + 1].kind == '(')
			formula_structure_push(f, (struct token){'f', 0, 0, t.s}, i);
		else if (is_plain_unit(f, &t)) {
			t.kind = 'x';
			formula_structure_push(f, t, i);
		} else if (t.s.n >= 4)
			formula_structure_push(f, t, i);
		else
			for (size_t j = 0; j < t.s.n; j++)
				formula_structure_push(f, (struct token){'v', 0, 0, {t.s.s + j, 1}},
				                       i);
	}
	return f->n_tokens > 0;
}

/* Some countries write ]1, 2[ for (1, 2). */
static void turn_brackets(struct formula *f)
{
	int last = f->n_tokens - 1;

	if (last < 3 || !(f->t[0].kind == ']' || (f->t[0].kind == '[' && f->t[last].kind == '[')))
		return;
	if (f->t[last].kind != '[' && f->t[last].kind != ']')
		return;
	f->t[0].kind = f->t[0].kind == ']' ? '(' : '[';
	f->t[last].kind = f->t[last].kind == '[' ? ')' : ']';
}

/* Merges a list within a list ("1/2, 2 \pm \sqrt{3}") into it. */
static void formula_structure_flatten(struct formula *f, int x)
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

/* "\text{all real numbers}". */
static int is_all_reals(const struct formula *f)
{
	static const char *const words[] = {"all", "real", "numbers"};
	int                      matched = 0;

	for (int i = 0; i < f->read.n; i++)
		if (matched == 3 || !span_equal_nocase(f->read.t[i].s, span_of(words[matched++])))
			return 0;
	return matched == 3 || (matched == 2 && f->read.n == 2);
}

int parse_formula(struct formula *f)
{
	struct parser p = {.f = f};
	int           root = -1;

	if (is_all_reals(f))
		return parse_special(&p, 'R');
	if (spell_out(f)) {
		turn_brackets(f);
		root = formula_structure_parse_all(&p);
	}
	if (root >= 0)
		formula_structure_flatten(f, root);
	return root;
}
