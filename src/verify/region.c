#include "verify/region.h"

#include <string.h>

struct region_walk {
	struct comparison    *c;
	const struct formula *f;
	int                   side;
	struct region        *out;
};

static struct term region_term_of(const struct region_walk *w, int v)
{
	return (struct term){w->side, v};
}

static int region_add(struct region_walk *w, int lo, int lo_closed, int hi, int hi_closed)
{
	struct region *r = w->out;
	int            order;

	if (lo < 0 || hi < 0 || r->n == REGION_PIECES ||
	    !comparison_order(w->c, region_term_of(w, lo), region_term_of(w, hi), &order) ||
	    order > 0 || (order == 0 && !(lo_closed && hi_closed)))
		return 0;
	r->piece[r->n].lo = region_term_of(w, lo);
	r->piece[r->n].hi = region_term_of(w, hi);
	r->piece[r->n].lo_closed = lo_closed;
	r->piece[r->n++].hi_closed = hi_closed;
	return 1;
}

static int region_interval(struct region_walk *w, const struct formula_node *n)
{
	const struct formula_node *lo, *hi;

	if (n->n != 2 || !strchr("([", n->open) || !strchr(")]", n->close) || n->open == 0 ||
	    n->close == 0)
		return 0;
	lo = &w->f->node[n->first];
	hi = &w->f->node[lo->next];
	return lo->kind == VALUE && hi->kind == VALUE &&
	       region_add(w, lo->v, n->open == '[', hi->v, n->close == ']');
}

/* x < c, x >= c, x != c; |x| < c and |x| > c for c > 0. */
static int region_relation(struct region_walk *w, const struct formula_node *n)
{
	const int *end = w->f->infinity;
	int        closed = n->open == 'l', below = n->name_first;

	if (n->bound < 0 || !strchr("<l~", n->open))
		return 0;
	if (n->open == '~')
		return !n->absolute && region_add(w, end[0], 0, n->bound, 0) &&
		       region_add(w, n->bound, 0, end[1], 0);
	if (n->absolute)
		return below ? region_add(w, n->opposite, closed, n->bound, closed)
		             : region_add(w, end[0], 0, n->opposite, closed) &&
		                       region_add(w, n->bound, closed, end[1], 0);
	return below ? region_add(w, end[0], 0, n->bound, closed)
	             : region_add(w, n->bound, closed, end[1], 0);
}

static int region_collect(struct region_walk *w, int x);

static int region_children(struct region_walk *w, const struct formula_node *n)
{
	for (int i = n->first; i >= 0; i = w->f->node[i].next)
		if (!region_collect(w, i))
			return 0;
	return 1;
}

static int region_points(struct region_walk *w, const struct formula_node *n)
{
	for (int i = n->first; i >= 0; i = w->f->node[i].next)
		if (w->f->node[i].kind != VALUE ||
		    !region_add(w, w->f->node[i].v, 1, w->f->node[i].v, 1))
			return 0;
	return 1;
}

/* Removes a point from the piece that contains it. */
static int region_puncture(struct region_walk *w, int v)
{
	struct region *r = w->out;
	struct term    x = region_term_of(w, v);

	for (int i = 0; i < r->n; i++) {
		int low, high;
		if (!comparison_order(w->c, r->piece[i].lo, x, &low) ||
		    !comparison_order(w->c, r->piece[i].hi, x, &high))
			return 0;
		if (low > 0 || high < 0)
			continue;
		if (low == 0 && high == 0)
			r->piece[i] = r->piece[--r->n];
		else if (low == 0)
			r->piece[i].lo_closed = 0;
		else if (high == 0)
			r->piece[i].hi_closed = 0;
		else if (r->n < REGION_PIECES) {
			r->piece[r->n] = r->piece[i];
			r->piece[i].hi = r->piece[r->n].lo = x;
			r->piece[i].hi_closed = r->piece[r->n++].lo_closed = 0;
		} else
			return 0;
		i = -1; /* the rest is open there and cannot contain it */
		if (low == 0 || high == 0)
			return 1;
	}
	return 1;
}

/* A set without the points of another. */
static int region_difference(struct region_walk *w, const struct formula_node *n)
{
	const struct formula_node *points = &w->f->node[w->f->node[n->first].next];

	if (!region_collect(w, n->first) || points->kind != SET)
		return 0;
	for (int i = points->first; i >= 0; i = w->f->node[i].next)
		if (w->f->node[i].kind != VALUE || !region_puncture(w, w->f->node[i].v))
			return 0;
	return 1;
}

/* ADDS the intervals of a node to the walk; 0 when it is not a set of real numbers. */
static int region_collect(struct region_walk *w, int x)
{
	const struct formula_node *n = &w->f->node[x];

	switch (n->kind) {
	case SEQUENCE:
		return region_interval(w, n);
	case SET:
		return region_points(w, n);
	case UNION:
		return n->open == 'D' ? region_difference(w, n) : region_children(w, n);
	case RELATION:
		return region_relation(w, n);
	case SPECIAL:
		return n->open == '0' || region_add(w, w->f->infinity[0], 0, w->f->infinity[1], 0);
	case LIST: /* "x < 1 or x > 2" */
		for (int i = n->first; i >= 0; i = w->f->node[i].next)
			if (n->open != 'o' || w->f->node[i].kind != RELATION)
				return 0;
		return region_children(w, n);
	default:
		return 0;
	}
}

/* Insertion sort by the lower end, closed before open. */
static int region_sort(struct comparison *c, struct region *r)
{
	for (int i = 1; i < r->n; i++)
		for (int j = i; j > 0; j--) {
			int  order;
			char swap[sizeof r->piece[0]];
			if (!comparison_order(c, r->piece[j - 1].lo, r->piece[j].lo, &order))
				return 0;
			if (order < 0 ||
			    (order == 0 && r->piece[j - 1].lo_closed >= r->piece[j].lo_closed))
				break;
			memcpy(swap, &r->piece[j], sizeof swap);
			r->piece[j] = r->piece[j - 1];
			memcpy(&r->piece[j - 1], swap, sizeof swap);
		}
	return 1;
}

/* Merges pieces that overlap or touch. */
static int region_merge(struct comparison *c, struct region *r)
{
	int n = 0;

	for (int i = 1; i < r->n; i++) {
		int gap, order;
		if (!comparison_order(c, r->piece[n].hi, r->piece[i].lo, &gap) ||
		    !comparison_order(c, r->piece[n].hi, r->piece[i].hi, &order))
			return 0;
		if (gap < 0 || (gap == 0 && !r->piece[n].hi_closed && !r->piece[i].lo_closed)) {
			r->piece[++n] = r->piece[i];
			continue;
		}
		if (order < 0) {
			r->piece[n].hi = r->piece[i].hi;
			r->piece[n].hi_closed = r->piece[i].hi_closed;
		} else if (order == 0)
			r->piece[n].hi_closed |= r->piece[i].hi_closed;
	}
	if (r->n)
		r->n = n + 1;
	return 1;
}

int region_of(struct comparison *c, const struct formula *f, int side, int x, struct region *out)
{
	struct region_walk w = {c, f, side, out};

	out->n = 0;
	return region_collect(&w, x) && region_sort(c, out) && region_merge(c, out);
}

int region_equal(struct comparison *c, const struct region *a, const struct region *b)
{
	if (a->n != b->n)
		return 0;
	for (int i = 0; i < a->n; i++) {
		int low, high;
		if (!comparison_order(c, a->piece[i].lo, b->piece[i].lo, &low) ||
		    !comparison_order(c, a->piece[i].hi, b->piece[i].hi, &high) || low || high ||
		    a->piece[i].lo_closed != b->piece[i].lo_closed ||
		    a->piece[i].hi_closed != b->piece[i].hi_closed)
			return 0;
	}
	return 1;
}
