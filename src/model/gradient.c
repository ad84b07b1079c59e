#include "model/gradient.h"

#include "base/error.h"

#include <assert.h>
#include <string.h>

/* floats that a thread handles at a time: the blocks of a few levels stay in its cache */
enum { BLOCK = 1 << 14 };

/* ---- memory ---- */

static int popcount(uint32_t u)
{
	return __builtin_popcount(u);
}

/* Unit u stands on level popcount(u): of u < n_units, the one with most ones is 2^k - 1. */
static int levels_needed(uint32_t n_units)
{
	int bits = 0;

	while (n_units >> bits)
		bits++;
	return bits ? bits : 1;
}

/* The lowest even unit on level l is 2^(l+1) - 2. */
static int levels_full(uint32_t n_units)
{
	int top = levels_needed(n_units) - 1;

	return top == 0 || (2ull << top) - 2 < n_units ? top + 1 : top;
}

static size_t extra_of(const struct model_shape *s)
{
	return s->tied ? (size_t)s->n_vocab * (size_t)s->width : 0;
}

static size_t piece_of(const struct weights *w)
{
	size_t most = 0;

	for (int i = 0; i < w->n_tensors; i++) {
		int    last = i + 2 < w->n_tensors ? i + 2 : w->n_tensors - 1;
		size_t n = w->tensors[last].offset + w->tensors[last].count - w->tensors[i].offset;
		most = n > most ? n : most;
	}
	return most;
}

static int gradient_allocate(struct gradient *g, uint32_t n_units)
{
	int n_full = levels_full(n_units);

	assert(n_full <= GRADIENT_LEVELS_MAX);
	for (; g->n_levels < n_full; g->n_levels++)
		TRY(mem_take(g->n + g->n_extra, "a gradient", &g->level[g->n_levels]));
	if (g->piece || levels_needed(n_units) <= g->n_levels)
		return OK;
	return mem_take(g->n_piece, "a piece of a gradient", &g->piece);
}

int gradient_new(const struct weights *w, int n_units_max, struct gradient *out)
{
	struct gradient g = {.n = w->n,
	                     .n_extra = extra_of(&w->shape),
	                     .embed = w->embed,
	                     .n_piece = piece_of(w)};
	int             status = gradient_allocate(&g, (uint32_t)n_units_max);

	if (status != OK)
		gradient_free(&g);
	*out = g;
	return status;
}

void gradient_free(struct gradient *g)
{
	for (int i = 0; i < g->n_levels; i++)
		mem_free(g->level[i]);
	mem_free(g->piece);
	*g = (struct gradient){0};
}

size_t gradient_bytes(const struct weights *w, int n_units_max)
{
	int    n_full = levels_full((uint32_t)n_units_max);
	size_t piece = levels_needed((uint32_t)n_units_max) > n_full ? piece_of(w) : 0;

	return ((size_t)n_full * (w->n + extra_of(&w->shape)) + piece) * sizeof(float);
}

int gradient_begin(struct gradient *g, uint32_t n_units)
{
	g->n_units = 0;
	return gradient_allocate(g, n_units);
}

/* ---- adding ---- */

static float *place(const struct gradient *g, int level, size_t offset)
{
	return level < g->n_levels ? g->level[level] + offset : g->piece;
}

float *gradient_slot(struct gradient *g, uint32_t u, size_t offset)
{
	assert(popcount(u) <= g->n_levels && offset < g->n + g->n_extra);
	return place(g, popcount(u), offset);
}

static void gradient_add(float *restrict y, const float *restrict x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += x[i];
}

/* level[top-1] += level[top], then one lower, `times` times, on the floats offset ..
 * offset+count-1. */
static void fold(struct gradient *g, int top, int times, size_t offset, size_t count)
{
	size_t n_blocks = (count + BLOCK - 1) / BLOCK;

#pragma omp parallel for schedule(static) if (times > 0 && n_blocks > 1)
	for (size_t b = 0; b < n_blocks; b++) {
		size_t n = b + 1 < n_blocks ? BLOCK : count - b * BLOCK;
		for (int l = top; l > top - times; l--)
			gradient_add(place(g, l - 1, offset) + b * BLOCK,
			             place(g, l, offset) + b * BLOCK, n);
	}
}

void gradient_merge(struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	int trailing_ones = 0;

	assert(popcount(u) < g->n_levels || count <= g->n_piece);
	while (u >> trailing_ones & 1)
		trailing_ones++;
	fold(g, popcount(u), trailing_ones, offset, count);
}

static void gradient_zero(struct gradient *g, size_t offset, size_t count)
{
	memset(gradient_slot(g, g->n_units, offset), 0, count * sizeof(float));
	gradient_merge(g, g->n_units, offset, count);
}

void gradient_add_zeros(struct gradient *g, const struct weights *w, uint32_t count)
{
	for (uint32_t u = 0; u < count; u++, g->n_units++) {
		for (int i = 0; i < w->n_tensors; i++)
			gradient_zero(g, w->tensors[i].offset, w->tensors[i].count);
		if (g->n_extra)
			gradient_zero(g, g->n, g->n_extra);
	}
}

/* The embedding += the head's part behind the vector. */
static void add_tied(struct gradient *g)
{
	float       *embed = g->level[0] + g->embed;
	const float *head = g->level[0] + g->n;

#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < g->n_extra; i++)
		embed[i] += head[i];
}

void gradient_finish(struct gradient *g)
{
	/* subtrees that wait, the oldest and largest at the bottom */
	int depth = popcount(g->n_units);

	if (depth == 0) {
		memset(g->level[0], 0, (g->n + g->n_extra) * sizeof(float));
		return;
	}
	fold(g, depth - 1, depth - 1, 0, g->n + g->n_extra);
	add_tied(g);
}
