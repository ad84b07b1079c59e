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

/* The most ones of a number from 0 to n: those of the largest 2^k - 1 that is not above it. */
static int most_ones(uint32_t n)
{
	int k = 0;

	while ((2ull << k) - 1 <= n)
		k++;
	return k;
}

/* Unit u stands on level popcount(u). */
static int levels_needed(const struct gradient_units *u)
{
	return u->n ? most_ones(u->n - 1) + 1 : 1;
}

/* What waits before pass i stands on levels 0 .. popcount(i)-1; level 0 is the result. */
static int levels_full(const struct gradient_units *u)
{
	uint32_t passes = u->per_pass ? (u->n + u->per_pass - 1) / u->per_pass : 1;
	int      most = passes > 1 ? most_ones(passes - 1) : 1;

	return most;
}

/* Levels of the window above those that are held in full. */
static int levels_above(const struct gradient_units *u)
{
	return levels_needed(u) - levels_full(u);
}

static size_t extra_of(const struct model_shape *s)
{
	return s->tied ? (size_t)s->n_vocab * (size_t)s->width : 0;
}

static int gradient_allocate(struct gradient *g, int n_levels)
{
	assert(n_levels <= GRADIENT_LEVELS_MAX);
	for (; g->n_levels < n_levels; g->n_levels++)
		TRY(mem_take(g->n + g->n_extra, "a gradient", &g->level[g->n_levels]));
	return OK;
}

int gradient_new(const struct weights *w, struct gradient *out)
{
	*out = (struct gradient){.n = w->n, .n_extra = extra_of(&w->shape), .embed = w->embed};
	return gradient_allocate(out, 1);
}

void gradient_free(struct gradient *g)
{
	for (int i = 0; i < g->n_levels; i++)
		mem_free(g->level[i]);
	mem_free(g->above);
	*g = (struct gradient){0};
}

size_t gradient_bytes(const struct weights *w, const struct gradient_units *u, size_t window)
{
	return ((size_t)levels_full(u) * (w->n + extra_of(&w->shape)) +
	        (size_t)levels_above(u) * window) *
	       sizeof(float);
}

/* ---- a step, its passes, their windows ---- */

static int gradient_is_silent(const struct gradient *g, uint32_t u)
{
	return g->units.silent && g->units.silent[u];
}

static void gradient_begin_pass(struct gradient *g, uint32_t first)
{
	uint32_t left = g->units.n - first, most = g->units.per_pass;

	assert(!g->is_open);
	g->first = first;
	g->end = most && most < left ? first + most : g->units.n;
	g->first_written = first;
	while (g->first_written < g->end && gradient_is_silent(g, g->first_written))
		g->first_written++;
}

int gradient_begin(struct gradient *g, const struct gradient_units *units)
{
	assert((units->per_pass & (units->per_pass - 1)) == 0);
	g->units = *units;
	g->is_open = 0;
	gradient_begin_pass(g, 0);
	return gradient_allocate(g, levels_full(units));
}

void gradient_next_pass(struct gradient *g)
{
	gradient_begin_pass(g, g->end);
}

int gradient_open(struct gradient *g, size_t offset, size_t count)
{
	int n_above = levels_above(&g->units);

	assert(!g->is_open && offset + count <= g->n + g->n_extra);
	if (n_above > g->n_above || count > g->room) {
		size_t room = count > g->room ? count : g->room;
		mem_free(g->above);
		g->n_above = 0;
		TRY(mem_take((size_t)n_above * room, "the window of a gradient", &g->above));
		g->n_above = n_above;
		g->room = room;
	}
	g->offset = offset;
	g->count = count;
	g->is_open = 1;
	return OK;
}

/* ---- adding ---- */

static float *place(const struct gradient *g, int level, size_t offset)
{
	return level < g->n_levels
	               ? g->level[level] + offset
	               : g->above + (size_t)(level - g->n_levels) * g->room + (offset - g->offset);
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

/* Unit u stands on its level; it is added to those that waited for it. */
static void gradient_carry(struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	int trailing_ones = 0;

	while (u >> trailing_ones & 1)
		trailing_ones++;
	fold(g, popcount(u), trailing_ones, offset, count);
}

/* Unit u and those that follow it count as zeros, up to one that is not silent. */
static void gradient_pass_silent(struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	for (; u < g->end && gradient_is_silent(g, u); u++) {
		memset(place(g, popcount(u), offset), 0, count * sizeof(float));
		gradient_carry(g, u, offset, count);
	}
}

static int gradient_is_within(const struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	return g->is_open && g->first <= u && u < g->end && offset >= g->offset &&
	       offset + count <= g->offset + g->count;
}

float *gradient_slot(struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	assert(gradient_is_within(g, u, offset, count));
	assert(!gradient_is_silent(g, u));
	if (u == g->first_written)
		gradient_pass_silent(g, g->first, offset, count);
	return place(g, popcount(u), offset);
}

void gradient_merge(struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	assert(gradient_is_within(g, u, offset, count));
	gradient_carry(g, u, offset, count);
	gradient_pass_silent(g, u + 1, offset, count);
}

void gradient_close(struct gradient *g)
{
	/* subtrees that wait, the oldest and largest at the bottom; after the last pass for none */
	int depth = popcount(g->end);

	assert(g->is_open);
	if (g->end == g->units.n && depth > 1)
		fold(g, depth - 1, depth - 1, g->offset, g->count);
	g->is_open = 0;
}

int gradient_add_zeros(struct gradient *g)
{
	size_t n = g->n + g->n_extra, most = 64 * BLOCK;

	for (size_t at = 0, count; at < n; at += count) {
		count = n - at < most ? n - at : most;
		TRY(gradient_open(g, at, count));
		gradient_pass_silent(g, g->first, at, count);
		gradient_close(g);
	}
	return OK;
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
	assert(!g->is_open && g->end == g->units.n);
	if (g->units.n == 0)
		memset(g->level[0], 0, (g->n + g->n_extra) * sizeof(float));
	add_tied(g);
}
