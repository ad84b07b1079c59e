#include "model/gradient.h"

#include "base/error.h"
#include "base/ranks.h"
#include "model/blocks.h"
#include "model/roots.h"
#include "model/slices.h"

#include <assert.h>
#include <string.h>

/* floats that a thread handles at a time: the blocks of a few levels stay in its cache */
enum { BLOCK = 1 << 14 };

/* ---- memory ---- */

struct gradient_levels {
	int full, all; /* held in full; at most in use at a time */
};

static int gradient_larger(int a, int b)
{
	return a > b ? a : b;
}

/* Of a rank that writes the units first .. end-1: before unit u as many blocks wait as there are in
 * first .. u-1; those that wait at the end of a pass, and the roots, are held in full. */
static struct gradient_levels levels_of(const struct gradient_units *u, uint32_t first,
                                        uint32_t end)
{
	struct gradient_levels l = {gradient_larger(1, roots_count(first, end, u->n)), 1};

	for (uint32_t k = first; k < end; k++) {
		int wait = blocks_count(first, k);
		l.all = gradient_larger(l.all, wait + 1);
		if (u->per_pass && k % u->per_pass == 0)
			l.full = gradient_larger(l.full, wait);
	}
	return l;
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
	int status;

	*out = (struct gradient){.n = w->n, .n_extra = extra_of(&w->shape), .embed = w->embed};
	status = gradient_allocate(out, 1);
	if (status == OK)
		status = slices_cut(w, &out->arena, &out->slices);
	if (status != OK)
		gradient_free(out);
	return status;
}

void gradient_free(struct gradient *g)
{
	for (int i = 0; i < g->n_levels; i++)
		mem_free(g->level[i]);
	mem_free(g->above);
	arena_free(&g->arena);
	*g = (struct gradient){0};
}

size_t gradient_bytes(const struct weights *w, const struct gradient_units *u, size_t window)
{
	size_t most = 0, n = w->n + extra_of(&w->shape);
	int    R = ranks_count(), n_roots = 0;

	for (int r = 0; r < R; r++) {
		uint32_t first = (uint32_t)((uint64_t)u->n * (uint32_t)r / (uint32_t)R),
		         end = (uint32_t)((uint64_t)u->n * ((uint32_t)r + 1) / (uint32_t)R);
		struct gradient_levels l = levels_of(u, first, end);
		size_t floats = (size_t)l.full * n + (size_t)(l.all - l.full) * window;
		most = floats > most ? floats : most;
		n_roots += roots_count(first, end, u->n);
	}
	return most * sizeof(float) + (R > 1 ? roots_bytes(n_roots) : 0);
}

/* ---- a step, its passes, their windows ---- */

static int gradient_is_silent(const struct gradient *g, uint32_t u)
{
	return g->units.silent && g->units.silent[u];
}

static void gradient_begin_pass(struct gradient *g, uint32_t first)
{
	uint32_t left = g->last - first,
	         most = g->units.per_pass ? g->units.per_pass - first % g->units.per_pass : 0;

	assert(!g->is_open);
	g->first = first;
	g->end = most && most < left ? first + most : g->last;
	g->first_written = first;
	while (g->first_written < g->end && gradient_is_silent(g, g->first_written))
		g->first_written++;
}

int gradient_begin(struct gradient *g, const struct gradient_units *units)
{
	struct gradient_levels levels;

	assert((units->per_pass & (units->per_pass - 1)) == 0);
	g->units = *units;
	g->begin = units->share ? units->share[ranks_number()] : 0;
	g->last = units->share ? units->share[ranks_number() + 1] : units->n;
	g->is_open = 0;
	gradient_begin_pass(g, g->begin);
	levels = levels_of(units, g->begin, g->last);
	g->n_needed = levels.all;
	return gradient_allocate(g, levels.full);
}

void gradient_next_pass(struct gradient *g)
{
	gradient_begin_pass(g, g->end);
}

int gradient_open(struct gradient *g, size_t offset, size_t count)
{
	int n_above = g->n_needed > g->n_levels ? g->n_needed - g->n_levels : 0;

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

/* The level of unit u: above the blocks that wait. */
static int gradient_level(const struct gradient *g, uint32_t u)
{
	return blocks_count(g->begin, u);
}

/* Unit u stands on its level; it is added to those that waited for it. */
static void gradient_carry(struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	int level = gradient_level(g, u);

	fold(g, level, level + 1 - gradient_level(g, u + 1), offset, count);
}

/* Unit u and those that follow it count as zeros, up to one that is not silent. */
static void gradient_pass_silent(struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	for (; u < g->end && gradient_is_silent(g, u); u++) {
		memset(place(g, gradient_level(g, u), offset), 0, count * sizeof(float));
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
	return place(g, gradient_level(g, u), offset);
}

void gradient_merge(struct gradient *g, uint32_t u, size_t offset, size_t count)
{
	assert(gradient_is_within(g, u, offset, count));
	gradient_carry(g, u, offset, count);
	gradient_pass_silent(g, u + 1, offset, count);
}

void gradient_close(struct gradient *g)
{
	/* blocks that wait, the oldest at the bottom; after the last unit of all for none */
	int depth = gradient_level(g, g->end), roots = roots_count(g->begin, g->end, g->units.n);

	assert(g->is_open);
	if (g->end == g->last && depth > roots)
		fold(g, depth - 1, depth - roots, g->offset, g->count);
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

static int owns_embedding(const struct weights_span *s, size_t embed)
{
	return s->offset <= embed && embed < s->offset + s->count;
}

/* The roots of all ranks become the sum, each slice at its owner; the tied part goes with the
 * embedding. */
static int gradient_exchange(struct gradient *g)
{
	struct roots         roots = {g->units.n, g->units.share, g->level, g->level[0]};
	struct arena_mark    mark = arena_mark(&g->arena);
	struct weights_span *tied;
	int                  status;

	TRY(arena_take(&g->arena, (size_t)ranks_count(), "the slices of the ranks", &tied));
	for (int r = 0; r < ranks_count(); r++)
		if (owns_embedding(&g->slices[r], g->embed))
			tied[r] = (struct weights_span){g->n, g->n_extra};
	status = roots_add(&roots, g->slices, &g->arena);
	if (status == OK && g->n_extra)
		status = roots_add(&roots, tied, &g->arena);
	arena_release(&g->arena, mark);
	return status;
}

int gradient_finish(struct gradient *g)
{
	assert(!g->is_open && g->end == g->last);
	if (g->units.n == 0)
		memset(g->level[0], 0, (g->n + g->n_extra) * sizeof(float));
	else if (g->units.share && ranks_count() > 1)
		TRY(gradient_exchange(g));
	if (owns_embedding(&g->slices[ranks_number()], g->embed))
		add_tied(g);
	return OK;
}
