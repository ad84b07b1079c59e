#include "verify/formula_parts.h"

int formula_node_new(struct formula *f, enum formula_node_kind kind)
{
	if (f->n_nodes == FORMULA_NODES)
		return -1;
	f->node[f->n_nodes] = (struct formula_node){.kind = kind,
	                                            .v = -1,
	                                            .based = -1,
	                                            .as_relation = -1,
	                                            .chain = -1,
	                                            .bound = -1,
	                                            .opposite = -1,
	                                            .first = -1,
	                                            .next = -1,
	                                            .unit = unit_none()};
	return f->n_nodes++;
}

int formula_node_append(struct formula *f, int parent, int child)
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

int formula_node_value(struct formula *f, int v)
{
	int node = v < 0 ? -1 : formula_node_new(f, VALUE);

	if (node >= 0)
		f->node[node].v = v;
	return node;
}
