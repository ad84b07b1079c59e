#include "model/roots.h"

#include "base/error.h"
#include "base/ranks.h"
#include "model/blocks.h"

#include <assert.h>
#include <string.h>

struct roots_node {
	struct block block;
	int          rank, number; /* whose, and which of its roots */
	float       *room;         /* of others' roots: [ROOTS_PIECE] */
	float       *data;         /* the piece at hand */
};

struct roots_sum { /* of nodes that have met */
	struct block block;
	float       *data;
};

struct roots_work {
	const struct roots        *r;
	const struct weights_span *spans;
	struct roots_node         *nodes; /* [n] of all ranks, in the order of their units */
	struct roots_sum          *stack; /* [n] */
	struct ranks_piece        *out, *in;
	int                        n, most; /* most: of one rank */
	size_t                     at;      /* where in each span the piece begins */
};

int roots_count(uint32_t first, uint32_t end, uint32_t n_units)
{
	int n = 0;

	for (uint64_t at = first; at < end; n++)
		at += blocks_next(at, blocks_end(end, n_units)).size;
	return n;
}

size_t roots_bytes(int n_roots)
{
	return (size_t)n_roots * ROOTS_PIECE * sizeof(float);
}

static int roots_of_rank(const struct roots *r, int rank)
{
	return roots_count(r->share[rank], r->share[rank + 1], r->n_units);
}

/* Floats of the piece at hand in the span of a rank. */
static size_t roots_piece(const struct roots_work *w, int rank)
{
	size_t n = w->spans[rank].count, left = n > w->at ? n - w->at : 0;

	return left < ROOTS_PIECE ? left : ROOTS_PIECE;
}

/* ---- the roots of all ranks ---- */

static int roots_list_rank(struct roots_work *w, int rank, struct arena *a)
{
	const struct roots *r = w->r;
	uint64_t            first = r->share[rank];

	for (int k = 0; k < roots_of_rank(r, rank); k++) {
		struct roots_node *node = &w->nodes[w->n++];
		node->block = blocks_next(first, blocks_end(r->share[rank + 1], r->n_units));
		node->rank = rank;
		node->number = k;
		first += node->block.size;
		if (rank != ranks_number() && w->spans[ranks_number()].count)
			TRY(arena_take(a, ROOTS_PIECE, "the gradients of other ranks",
			               &node->room));
	}
	return OK;
}

static int roots_list(struct roots_work *w, struct arena *a)
{
	size_t n = 0, R = (size_t)ranks_count();

	for (int rank = 0; rank < ranks_count(); rank++) {
		int count = roots_of_rank(w->r, rank);
		n += (size_t)count;
		w->most = count > w->most ? count : w->most;
	}
	TRY(arena_take(a, n, "the roots of all ranks", &w->nodes));
	TRY(arena_take(a, n, "the roots of all ranks", &w->stack));
	TRY(arena_take(a, R, "the roots of all ranks", &w->out));
	TRY(arena_take(a, R, "the roots of all ranks", &w->in));
	for (int rank = 0; rank < ranks_count(); rank++)
		TRY(roots_list_rank(w, rank, a));
	return OK;
}

/* ---- a piece of each span ---- */

/* Each rank gives the k-th of its roots; whoever has fewer gives nothing. */
static int roots_exchange(struct roots_work *w, int k)
{
	const struct roots *r = w->r;
	int                 me = ranks_number(), mine = roots_of_rank(r, me);

	for (int rank = 0; rank < ranks_count(); rank++) {
		size_t n = k < mine && rank != me ? roots_piece(w, rank) : 0;
		w->in[rank] = (struct ranks_piece){0};
		w->out[rank] = (struct ranks_piece){
		        n ? r->mine[k] + w->spans[rank].offset + w->at : NULL, n * sizeof(float)};
	}
	for (int i = 0; i < w->n; i++) {
		struct roots_node *node = &w->nodes[i];
		if (node->number != k)
			continue;
		node->data =
		        node->rank == me ? r->mine[k] + w->spans[me].offset + w->at : node->room;
		if (node->rank != me)
			w->in[node->rank] = (struct ranks_piece){node->data, roots_piece(w, me) *
			                                                             sizeof(float)};
	}
	return ranks_exchange("the gradient", w->out, w->in);
}

static void roots_meet(float *restrict y, const float *restrict x, size_t n)
{
#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < n; i++)
		y[i] += x[i];
}

/* Two halves of a block become one as soon as both are there; then the last ones move up. */
static void roots_fold(struct roots_work *w)
{
	size_t n = roots_piece(w, ranks_number());
	float *sum = w->r->sum + w->spans[ranks_number()].offset + w->at;
	int    top = 0;

	for (int i = 0; i < w->n; i++) {
		w->stack[top++] = (struct roots_sum){w->nodes[i].block, w->nodes[i].data};
		for (; top > 1 && blocks_meet(&w->stack[top - 2].block, &w->stack[top - 1].block);
		     top--) {
			roots_meet(w->stack[top - 2].data, w->stack[top - 1].data, n);
			w->stack[top - 2].block.size *= 2;
		}
	}
	for (; top > 1; top--) /* behind the last unit there is nothing */
		roots_meet(w->stack[top - 2].data, w->stack[top - 1].data, n);
	if (w->stack[0].data != sum)
		memcpy(sum, w->stack[0].data, n * sizeof *sum);
}

static int roots_add_pieces(struct roots_work *w)
{
	size_t longest = 0;

	for (int rank = 0; rank < ranks_count(); rank++)
		longest = w->spans[rank].count > longest ? w->spans[rank].count : longest;
	for (w->at = 0; w->at < longest; w->at += ROOTS_PIECE) {
		for (int k = 0; k < w->most; k++)
			TRY(roots_exchange(w, k));
		if (roots_piece(w, ranks_number()))
			roots_fold(w);
	}
	return OK;
}

int roots_add(const struct roots *r, const struct weights_span *spans, struct arena *a)
{
	struct roots_work w = {.r = r, .spans = spans};
	struct arena_mark mark = arena_mark(a);
	int               status;

	assert(r->n_units > 0);
	status = roots_list(&w, a);
	if (status == OK)
		status = roots_add_pieces(&w);
	arena_release(a, mark);
	return status;
}
