#include "verify/expression.h"

#include <string.h>

void expression_clear(struct expressions *e)
{
	for (int i = 0; i < e->n; i++)
		if (e->node[i].op == 'n')
			number_clear(&e->node[i].q);
	e->n = e->n_names = 0;
}

static int expression_new(struct expressions *e, char op, int a, int b)
{
	if (e->n == EXPRESSION_NODES)
		return -1;
	e->node[e->n] = (struct expression_node){.op = op, .a = a, .b = b};
	return e->n++;
}

int expression_number(struct expressions *e, const struct number *x)
{
	int made = x->undefined ? -1 : expression_new(e, 'n', -1, -1);

	if (made >= 0) {
		number_init(&e->node[made].q);
		number_copy(x, &e->node[made].q);
	}
	return made;
}

int expression_whole(struct expressions *e, long x)
{
	int made = expression_new(e, 'n', -1, -1);

	if (made >= 0) {
		number_init(&e->node[made].q);
		number_set(&e->node[made].q, x, 1);
	}
	return made;
}

static void expression_inherit(struct expressions *e, int x)
{
	struct expression_node *n = &e->node[x];

	for (int i = 0, child = n->a; i < 2; i++, child = n->b)
		if (child >= 0) {
			n->open |= e->node[child].open;
			n->infinite |= e->node[child].infinite;
		}
}

int expression_named(struct expressions *e, char op, struct span name, int a)
{
	int made;

	if ((op != 'v' && a < 0) || name.n > (size_t)(EXPRESSION_NAMES - e->n_names))
		return -1;
	made = expression_new(e, op, a, -1);
	if (made < 0)
		return -1;
	memcpy(e->names + e->n_names, name.s, name.n);
	e->node[made].name = (struct span){e->names + e->n_names, name.n};
	e->n_names += (int)name.n;
	e->node[made].open = op != 'f';
	expression_inherit(e, made);
	return made;
}

static int expression_is_constant(char op)
{
	return op && strchr("iepo", op) != NULL;
}

int expression_make(struct expressions *e, char op, int a, int b)
{
	int made;

	if (!expression_is_constant(op) && (a < 0 || (b < 0 && op != ',')))
		return -1;
	made = expression_new(e, op, a, b);
	if (made < 0)
		return -1;
	e->node[made].infinite = op == 'o';
	expression_inherit(e, made);
	return made;
}

int expression_is_infinity(const struct expressions *e, int x)
{
	const struct expression_node *n = &e->node[x];

	if (n->op == 'o')
		return 1;
	if (n->op == '-' && e->node[n->b].op == 'o' && e->node[n->a].op == 'n' &&
	    number_sign(&e->node[n->a].q) == 0)
		return -1;
	return 0;
}

int expression_is_finite_or_infinity(const struct expressions *e, int x)
{
	return !e->node[x].infinite || expression_is_infinity(e, x) != 0;
}
