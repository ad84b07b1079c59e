#include "verify/formula_parts.h"

/* The expression of entry i of a matrix row, or -1. */
static int formula_matrix_entry(const struct formula *f, int row, int i)
{
	int x = f->node[row].first;

	for (; x >= 0 && i; i--)
		x = f->node[x].next;
	return x < 0 || f->node[x].kind != VALUE ? -1 : f->node[x].v;
}

/* x [m,k] times y [k,n]: out_ij = sum over l of x_il y_lj. -1 when the shapes do not fit, y is
 * empty or an entry is not a value. */
int formula_matrix_multiply(struct formula *f, int x, int y)
{
	int first = f->node[y].first, columns = first >= 0 ? f->node[first].n : 0,
	    out = formula_node_new(f, MATRIX);

	if (columns == 0)
		return -1;
	for (int row = f->node[x].first; row >= 0 && out >= 0; row = f->node[row].next) {
		int made = formula_node_new(f, SEQUENCE);
		if (f->node[row].n != f->node[y].n || !formula_node_append(f, out, made))
			return -1;
		for (int j = 0; j < columns; j++) {
			int sum = expression_whole(&f->e, 0), k = 0;
			for (int other = f->node[y].first; other >= 0;
			     other = f->node[other].next, k++)
				sum = expression_make(
				        &f->e, '+', sum,
				        expression_make(&f->e, '*', formula_matrix_entry(f, row, k),
				                        formula_matrix_entry(f, other, j)));
			if (!formula_node_append(f, made, formula_node_value(f, sum)))
				return -1;
		}
	}
	return out;
}

/* Combines each entry of x with that of y ('+', '-'), or with `scalar` ('*', y = -1). */
int formula_matrix_entrywise(struct formula *f, char op, int x, int y, int scalar)
{
	int out = formula_node_new(f, MATRIX), other = y < 0 ? -1 : f->node[y].first;

	if (y >= 0 && f->node[x].n != f->node[y].n)
		return -1;
	for (int row = f->node[x].first; row >= 0 && out >= 0; row = f->node[row].next) {
		int made = formula_node_new(f, SEQUENCE);
		if ((y >= 0 && f->node[row].n != f->node[other].n) ||
		    !formula_node_append(f, out, made))
			return -1;
		for (int j = 0; j < f->node[row].n; j++) {
			int with = y < 0 ? scalar : formula_matrix_entry(f, other, j);
			if (!formula_node_append(
			            f, made,
			            formula_node_value(
			                    f, expression_make(&f->e, op,
			                                       formula_matrix_entry(f, row, j),
			                                       with))))
				return -1;
		}
		other = y < 0 ? -1 : f->node[other].next;
	}
	return out;
}
