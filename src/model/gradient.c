#include "model/gradient.h"

#include "base/error.h"

#include <assert.h>
#include <string.h>

enum { BLOCK = 1 << 14 }; /* floats that a thread handles at a time: the blocks of a few levels stay in its cache */

/* ---- memory ---- */

static int popcount(uint32_t u)
{
	return __builtin_popcount(u);
}

/* Unit u stands on level popcount(u). */
static int levels_needed(uint32_t n_units)
{
	int bits = 0;

	while (n_units >> bits)
		bits++;
	/* among u < n_units, that is 2^(bits-1) - 1, with bits - 1 of them */
	return bits ? bits : 1;
}

static int allocate_levels(struct gradient *g, int n)
{
	assert(n <= GRADIENT_LEVELS_MAX);
	for (; g->n_levels < n; g->n_levels++) {
		float *level = mem_alloc(g->n + g->n_extra, sizeof(float), "a gradient");
		if (!level)
			return ERR_INPUT;
		g->level[g->n_levels] = level;
	}
	return OK;
}

static size_t extra_of(const struct model_shape *s)
{
	return s->tied ? (size_t)s->n_vocab * (size_t)s->width : 0;
}

int gradient_new(const struct weights *w, int n_units_max, struct gradient *out)
{
	struct gradient g = {.n = w->n, .n_extra = extra_of(&w->shape), .embed = w->embed};
	int             status = allocate_levels(&g, levels_needed((uint32_t)n_units_max));

	if (status != OK)
		gradient_free(&g);
	*out = g;
	return status;
}

void gradient_free(struct gradient *g)
{
	for (int i = 0; i < g->n_levels; i++)
		mem_free(g->level[i]);
	*g = (struct gradient){0};
}

size_t gradient_bytes(const struct weights *w, int n_units_max)
{
	return (size_t)levels_needed((uint32_t)n_units_max) * (w->n + extra_of(&w->shape)) * sizeof(float);
}

int gradient_begin(struct gradient *g, uint32_t n_units)
{
	g->n_units = 0;
	return allocate_levels(g, levels_needed(n_units));
}

/* ---- adding ---- */

float *gradient_slot(struct gradient *g, uint32_t u, size_t offset)
{
	assert(popcount(u) < g->n_levels && offset < g->n + g->n_extra);
	return g->level[popcount(u)] + offset;
}

static void add(float *restrict y, const float *restrict x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] += x[i];
}

/* level[top-1] += level[top], then one lower, `times` times, on the floats offset .. offset+count-1. */
static void fold(struct gradient *g, int top, int times, size_t offset, size_t count)
{
	size_t n_blocks = (count + BLOCK - 1) / BLOCK;

#pragma omp parallel for schedule(static) if (times > 0 && n_blocks > 1)
	for (size_t b = 0; b < n_blocks; b++) {
		size_t first = offset + b * BLOCK;
		size_t n = b + 1 < n_blocks ? BLOCK : count - b * BLOCK;
		for (int l = top; l > top - times; l--)
			add(g->level[l - 1] + first, g->level[l] + first, n);
	}
}

void gradient_merge(struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	int trailing_ones = 0;

	while (u >> trailing_ones & 1)
		trailing_ones++;
	fold(g, popcount(u), trailing_ones, offset, count);
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
	int depth = popcount(g->n_units); /* subtrees that wait, the oldest and largest at the bottom */

	if (depth == 0) {
		memset(g->level[0], 0, (g->n + g->n_extra) * sizeof(float));
		return;
	}
	fold(g, depth - 1, depth - 1, 0, g->n + g->n_extra);
	add_tied(g);
}
