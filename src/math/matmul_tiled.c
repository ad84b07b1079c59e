#include "math/matmul_tiled.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

/* Pieces that fit a cache; none of them is part of a result. Of a piece of A, ROWS x DEPTH stay in
 * the second level while GROUP panels go by, and of a panel DEPTH in the first. The group's results
 * stay as well until the last piece of the inner dimension is added. */
enum { TILED_ROWS = 192, TILED_DEPTH = 384, TILED_GROUP = 8, TILED_OUTPUTS = 96 };

struct tiled { /* the state of a backend */
	const struct tile_kernel *kernel;
	/* [n_scratch] of the gradient: X as panels, then of each thread its columns of dY */
	float *scratch;
	size_t n_scratch;
};

struct tiled_matrix { /* B [depth x width] of a product C = A B */
	int    depth, width;
	float *panels; /* [panels of B] [depth x panel] */
};

struct tiled_weight {                 /* the state of a weight */
	struct tiled_matrix forward;  /* W^T: depth in, width out */
	struct tiled_matrix backward; /* W: depth out, width in; no panels when for_backward is 0 */
};

static int tiled_min(int a, int b)
{
	return a < b ? a : b;
}

static int tiled_parts(int n, int size)
{
	return (n + size - 1) / size;
}

static size_t tiled_floats(const struct tile_kernel *k, int depth, int width)
{
	return (size_t)tiled_parts(width, k->panel) * (size_t)k->panel * (size_t)depth;
}

static const struct tile_kernel *tiled_kernel(const struct matmul *m)
{
	return ((const struct tiled *)m->state)->kernel;
}

/* ---- opening, packing ---- */

int tiled_open(struct matmul *m, const struct tile_kernel *kernel, int supported)
{
	struct tiled *s;

	if (!supported)
		return error_set(ERR_INPUT, "compute.backend: this CPU has no %s; choose auto",
		                 m->backend->name);
	TRY(mem_take(1, "the matrix products", &s));
	s->kernel = kernel;
	m->state = s;
	snprintf(m->detail, sizeof m->detail, "tiles of %s", kernel->name);
	return OK;
}

void tiled_close(struct matmul *m)
{
	struct tiled *s = m->state;

	mem_free(s->scratch);
	mem_free(s);
}

static size_t tiled_weight_floats(const struct matmul_weight *w)
{
	const struct tile_kernel *k = tiled_kernel(w->matmul);

	return tiled_floats(k, w->n_in, w->n_out) +
	       (w->for_backward ? tiled_floats(k, w->n_out, w->n_in) : 0);
}

size_t tiled_weight_bytes(const struct matmul_weight *w)
{
	return sizeof(struct tiled_weight) + tiled_weight_floats(w) * sizeof(float);
}

int tiled_weight_new(struct matmul_weight *w)
{
	struct tiled_weight *t;
	float               *panels;

	TRY(mem_take_bytes(1, sizeof *t, "a packed matrix", &w->state));
	t = w->state;
	TRY(mem_take(tiled_weight_floats(w), "a packed matrix", &panels));
	t->forward = (struct tiled_matrix){w->n_in, w->n_out, panels};
	if (w->for_backward)
		t->backward = (struct tiled_matrix){
		        w->n_out, w->n_in,
		        panels + tiled_floats(tiled_kernel(w->matmul), w->n_in, w->n_out)};
	return OK;
}

void tiled_weight_free(struct matmul_weight *w)
{
	struct tiled_weight *t = w->state;

	if (t)
		mem_free(t->forward.panels);
	mem_free(t);
}

/* One panel of B = W^T: each of its columns is a row of W. Read along rows, four columns of which
 * stay in the cache until their line is used up. */
static void tiled_pack_transposed(const float *W, int depth, int columns, int panel, float *to)
{
	for (int k = 0; k < depth; k++) {
		for (int j = 0; j < columns; j++)
			to[(size_t)k * (size_t)panel + (size_t)j] =
			        W[(size_t)j * (size_t)depth + (size_t)k];
		for (int j = columns; j < panel; j++)
			to[(size_t)k * (size_t)panel + (size_t)j] = 0;
	}
}

/* One panel of B, `columns` wide, from the rows of a matrix of that stride. */
static void tiled_pack_rows(const float *B, size_t stride, int depth, int columns, int panel,
                            float *to)
{
	for (int k = 0; k < depth; k++, to += panel) {
		memcpy(to, B + (size_t)k * stride, (size_t)columns * sizeof *to);
		memset(to + columns, 0, (size_t)(panel - columns) * sizeof *to);
	}
}

int tiled_weight_pack(struct matmul_weight *w, const float *W)
{
	struct tiled_weight *t = w->state;
	int                  panel = tiled_kernel(w->matmul)->panel, in = w->n_in, out = w->n_out;

#pragma omp parallel for schedule(static)
	for (int j = 0; j < out; j += panel)
		tiled_pack_transposed(W + (size_t)j * (size_t)in, in, tiled_min(panel, out - j),
		                      panel, t->forward.panels + (size_t)j * (size_t)in);
	if (!w->for_backward)
		return OK;
#pragma omp parallel for schedule(static)
	for (int j = 0; j < in; j += panel)
		tiled_pack_rows(W + j, (size_t)in, out, tiled_min(panel, in - j), panel,
		                t->backward.panels + (size_t)j * (size_t)out);
	return OK;
}

/* ---- forward and backward: C = A B ---- */

struct tiled_block { /* some rows of A and C */
	const struct tile_kernel  *kernel;
	const struct tiled_matrix *B;
	const float               *a; /* [rows x B.depth] */
	float                     *c; /* [rows x B.width] */
	int                        rows, tiles;
};

/* Rows in front of tile i: all tiles are as good as equally high, since a tile of one row costs
 * nearly as much as one of three. */
static int tiled_first_row(const struct tiled_block *b, int i)
{
	return (int)((int64_t)b->rows * i / b->tiles);
}

/* Its tile at this row and panel, for k = first .. first+depth-1. */
static struct tile tiled_tile(const struct tiled_block *b, int row, int panel, int first, int depth)
{
	const struct tiled_matrix *B = b->B;
	size_t                     width = (size_t)b->kernel->panel, whole = (size_t)B->depth;

	return (struct tile){.depth = depth,
	                     .a = b->a + (size_t)row * whole + first,
	                     .a_row = whole,
	                     .b = B->panels + (size_t)panel * width * whole + (size_t)first * width,
	                     .b_panel = width * whole,
	                     .c = b->c + (size_t)row * (size_t)B->width + (size_t)panel * width,
	                     .c_row = (size_t)B->width};
}

/* All rows of a block by `count` panels, as many as the kernel takes at once or one. */
static void tiled_column(const struct tiled_block *b, int panel, int count, int first, int depth)
{
	const struct tile_kernel *kernel = b->kernel;
	enum tile_start           start = first ? TILE_GO_ON : TILE_FROM_ZERO;

	for (int i = 0; i < b->tiles; i++) {
		int         row = tiled_first_row(b, i), rows = tiled_first_row(b, i + 1) - row;
		struct tile t = tiled_tile(b, row, panel, first, depth);
		if (count > 1 && kernel->together[rows] == count) {
			kernel->several[rows](&t, start);
			continue;
		}
		for (int j = 0; j < count; j++, t.b += t.b_panel, t.c += kernel->panel)
			kernel->one[rows](&t, start);
	}
}

/* Whole panels first .. last-1. */
static void tiled_panels(const struct tiled_block *b, int first, int last)
{
	int together = b->kernel->together[tiled_parts(b->rows, b->tiles)],
	    pieces = tiled_parts(b->B->depth, TILED_DEPTH);

	for (int group = first; group < last; group += TILED_GROUP)
		for (int i = 0; i < pieces; i++) {
			int k = (int)((int64_t)b->B->depth * i / pieces),
			    depth = (int)((int64_t)b->B->depth * (i + 1) / pieces) - k;
			int end = tiled_min(group + TILED_GROUP, last);
			for (int p = group, count; p < end; p += count) {
				count = end - p < together ? 1 : together;
				tiled_column(b, p, count, k, depth);
			}
		}
}

/* The last panel, when B does not fill it: a tile writes whole panels, so it writes beside C. */
static void tiled_ragged(const struct tiled_block *b, int panel)
{
	float  beside[TILE_ROWS_MAX * TILE_PANEL_MAX];
	size_t bytes = (size_t)(b->B->width - panel * b->kernel->panel) * sizeof *beside;

	for (int i = 0; i < b->tiles; i++) {
		int         row = tiled_first_row(b, i), rows = tiled_first_row(b, i + 1) - row;
		struct tile t = tiled_tile(b, row, panel, 0, b->B->depth);
		float      *c = t.c;
		t.c = beside;
		t.c_row = (size_t)b->kernel->panel;
		b->kernel->one[rows](&t, TILE_FROM_ZERO);
		for (int r = 0; r < rows; r++)
			memcpy(c + (size_t)r * (size_t)b->B->width, beside + (size_t)r * t.c_row,
			       bytes);
	}
}

/* Item i of blocks x panels. A thread takes a run of items, so that the work is shared to a panel,
 * whatever the shape. */
static void tiled_product(const struct tile_kernel *kernel, const struct tiled_matrix *B, int n,
                          const float *A, float *C)
{
	int64_t panels = tiled_parts(B->width, kernel->panel), whole = B->width / kernel->panel,
	        items = panels * tiled_parts(n, TILED_ROWS);

#pragma omp parallel
	{
		int64_t T = omp_get_num_threads(), t = omp_get_thread_num(),
		        end = items * (t + 1) / T;
		for (int64_t i = items * t / T, next; i < end; i = next) {
			size_t  first_row = (size_t)(i / panels) * TILED_ROWS;
			int64_t first = i % panels,
			        last = first + (end - i) < panels ? first + (end - i) : panels;
			struct tiled_block b = {.kernel = kernel,
			                        .B = B,
			                        .rows = tiled_min(TILED_ROWS, n - (int)first_row)};
			b.a = A + first_row * (size_t)B->depth;
			b.c = C + first_row * (size_t)B->width;
			b.tiles = tiled_parts(b.rows, kernel->rows);
			next = i + (last - first);
			tiled_panels(&b, (int)first, (int)(last < whole ? last : whole));
			if (last > whole)
				tiled_ragged(&b, (int)whole);
		}
	}
}

int tiled_forward(const struct matmul_weight *w, int n, const float *X, float *Y)
{
	tiled_product(tiled_kernel(w->matmul), &((const struct tiled_weight *)w->state)->forward, n,
	              X, Y);
	return OK;
}

int tiled_backward(const struct matmul_weight *w, int n, const float *dY, float *dX)
{
	tiled_product(tiled_kernel(w->matmul), &((const struct tiled_weight *)w->state)->backward,
	              n, dY, dX);
	return OK;
}

/* ---- gradient: dW = dY^T X, a chain for each chunk of GRADIENT_ROWS rows, the chunks added in
 * order ---- */

struct tiled_chunk { /* rows first .. first+rows-1 of dY and X */
	const struct tile_kernel     *kernel;
	const struct matmul_gradient *g;
	int                           first, rows;
	float                        *X; /* as panels [rows x panel] */
};

static void tiled_pack_x(const struct tiled_chunk *c)
{
	int in = c->g->n_in, panel = c->kernel->panel;

#pragma omp for schedule(static)
	for (int j = 0; j < in; j += panel)
		tiled_pack_rows(c->g->X + (size_t)c->first * (size_t)in + j, (size_t)in, c->rows,
		                tiled_min(panel, in - j), panel,
		                c->X + (size_t)j * (size_t)c->rows);
}

/* Columns o .. o+n-1 of dY as tiles want them: [tiles] [rows x kernel rows] */
static void tiled_pack_dy(const struct tiled_chunk *c, int o, int n, float *to)
{
	int high = c->kernel->rows;

	for (int i = 0; i < n; i += high, to += (size_t)c->rows * (size_t)high) {
		const float *from = c->g->dY + (size_t)c->first * (size_t)c->g->n_out + o + i;
		for (int r = 0; r < c->rows; r++, from += c->g->n_out)
			memcpy(to + (size_t)r * (size_t)high, from,
			       (size_t)tiled_min(high, n - i) * sizeof *to);
	}
}

/* Outputs o .. o+n-1 of dW by one panel of inputs; dY has been packed for them. */
static void tiled_gradient_panel(const struct tiled_chunk *c, int o, int n, int panel,
                                 const float *dY)
{
	const struct tile_kernel *kernel = c->kernel;
	int                       in = c->g->n_in, high = kernel->rows, j = panel * kernel->panel,
	    columns = tiled_min(kernel->panel, in - j);
	float           beside[TILE_ROWS_MAX * TILE_PANEL_MAX];
	enum tile_start start = c->first ? TILE_ADD : TILE_ADD_ZERO;

	for (int i = 0; i < n; i += high) {
		int         rows = tiled_min(high, n - i);
		float      *dW = c->g->dW + (size_t)(o + i) * (size_t)in + j;
		struct tile t = {.depth = c->rows,
		                 .a = dY + (size_t)i * (size_t)c->rows,
		                 .b = c->X + (size_t)j * (size_t)c->rows,
		                 .c = dW,
		                 .c_row = (size_t)in};
		if (columns == kernel->panel) {
			kernel->one_packed[rows](&t, start);
			continue;
		}
		t.c = beside;
		t.c_row = (size_t)kernel->panel;
		kernel->one_packed[rows](&t, TILE_FROM_ZERO);
		for (int r = 0; r < rows; r++, dW += in)
			for (int k = 0; k < columns; k++)
				dW[k] = (c->first ? dW[k] : 0) +
				        beside[(size_t)r * t.c_row + (size_t)k];
	}
}

/* Items are blocks of outputs x panels of inputs; a thread takes a run of them and packs dY for
 * each block that it meets. */
static void tiled_gradient_chunk(const struct tiled_chunk *c, int outputs, float *dY)
{
	int64_t panels = tiled_parts(c->g->n_in, c->kernel->panel),
	        items = panels * tiled_parts(c->g->n_out, outputs);
	int64_t T = omp_get_num_threads(), t = omp_get_thread_num(), first = items * t / T,
	        end = items * (t + 1) / T;

	for (int64_t i = first; i < end; i++) {
		int o = (int)(i / panels) * outputs, n = tiled_min(outputs, c->g->n_out - o);
		if (i == first || i % panels == 0)
			tiled_pack_dy(c, o, n, dY);
		tiled_gradient_panel(c, o, n, (int)(i % panels), dY);
	}
}

static int tiled_reserve(struct tiled *s, size_t n)
{
	float *larger;

	if (n <= s->n_scratch)
		return OK;
	TRY(mem_take(n, "the gradient of a matrix", &larger));
	mem_free(s->scratch);
	s->scratch = larger;
	s->n_scratch = n;
	return OK;
}

int tiled_gradient(struct matmul *m, const struct matmul_gradient *g)
{
	struct tiled             *s = m->state;
	const struct tile_kernel *kernel = s->kernel;
	int                       rows = tiled_min(GRADIENT_ROWS, g->n),
	    outputs = TILED_OUTPUTS / kernel->rows * kernel->rows;
	size_t x = tiled_floats(kernel, rows, g->n_in), dy = (size_t)rows * (size_t)(outputs);

	TRY(tiled_reserve(s, x + dy * (size_t)threads_count()));
#pragma omp parallel
	for (int first = 0; first < g->n; first += GRADIENT_ROWS) {
		struct tiled_chunk c = {kernel, g, first, tiled_min(GRADIENT_ROWS, g->n - first),
		                        s->scratch};
		tiled_pack_x(&c); /* ends with a barrier */
		tiled_gradient_chunk(&c, outputs,
		                     s->scratch + x + dy * (size_t)omp_get_thread_num());
#pragma omp barrier
	}
	return OK;
}
