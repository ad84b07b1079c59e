#include "math/matmul_tiled.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"
#include "math/bf16.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

/* Pieces that fit a cache; none of them is part of a result. Of a piece of A, ROWS x DEPTH stay in
 * the second level while GROUP panels go by, and of a panel DEPTH in the first. The group's results
 * stay as well until the last piece of the inner dimension is added. */
enum { TILED_ROWS = 192, TILED_DEPTH = 384, TILED_GROUP = 8, TILED_OUTPUTS = 96 };

struct tiled { /* the state of a backend */
	const struct tile_kernel *kernel;
	/* [n_scratch] of the gradient: X as panels, then of each thread its columns of dY; of a
	 * product with bf16: A rounded */
	float *scratch;
	size_t n_scratch;
};

struct tiled_matrix {              /* B [depth x width] of a product C = A B */
	int          depth, width; /* depth: in words (matmul_tile.h) */
	float       *panels;       /* [panels of B] [depth x panel], or NULL, and then */
	const float *rows; /* [depth x width]: packed a group at a time, beside the product */
};

/* The state of a weight. In f32 a W that is lent serves the products backward itself: its panels
 * are short rows of it, and many rows of dY share the copying. */
struct tiled_weight {
	struct tiled_matrix forward;  /* W^T: depth in, width out */
	struct tiled_matrix backward; /* W: depth out, width in; empty when for_backward is 0 */
};

static int tiled_min(int a, int b)
{
	return a < b ? a : b;
}

static int tiled_parts(int n, int size)
{
	return (n + size - 1) / size;
}

/* Words of a column of B that is so long, in whole chains. */
static int tiled_words(const struct tile_kernel *k, int depth)
{
	return k->form == TILE_FLOATS ? depth
	                              : tiled_parts(tiled_parts(depth, 2), k->chain) * k->chain;
}

static size_t tiled_floats(const struct tile_kernel *k, int depth, int width)
{
	return (size_t)tiled_parts(width, k->panel) * (size_t)k->panel *
	       (size_t)tiled_words(k, depth);
}

/* A word: two bf16, the even k in the lower half. */
static inline float tiled_pair(float even, float odd)
{
	uint32_t bits = (uint32_t)bf16_operand(odd) << 16 | bf16_operand(even);
	float    word;

	memcpy(&word, &bits, sizeof word);
	return word;
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

static int tiled_packs_backward(const struct matmul_weight *w)
{
	int is_f32 = tiled_kernel(w->matmul)->form == TILE_FLOATS;

	return w->for_backward == MATMUL_BOTH || (w->for_backward == MATMUL_LENT && !is_f32);
}

static size_t tiled_weight_floats(const struct matmul_weight *w)
{
	const struct tile_kernel *k = tiled_kernel(w->matmul);

	return tiled_floats(k, w->n_in, w->n_out) +
	       (tiled_packs_backward(w) ? tiled_floats(k, w->n_out, w->n_in) : 0);
}

size_t tiled_weight_bytes(const struct matmul_weight *w)
{
	return sizeof(struct tiled_weight) + tiled_weight_floats(w) * sizeof(float);
}

int tiled_weight_new(struct matmul_weight *w)
{
	const struct tile_kernel *k = tiled_kernel(w->matmul);
	struct tiled_weight      *t;
	float                    *panels;

	TRY(mem_take_bytes(1, sizeof *t, "a packed matrix", &w->state));
	t = w->state;
	TRY(mem_take(tiled_weight_floats(w), "a packed matrix", &panels));
	t->forward = (struct tiled_matrix){tiled_words(k, w->n_in), w->n_out, panels, NULL};
	t->backward = (struct tiled_matrix){.depth = tiled_words(k, w->n_out), .width = w->n_in};
	if (tiled_packs_backward(w))
		t->backward.panels = panels + tiled_floats(k, w->n_in, w->n_out);
	return OK;
}

void tiled_weight_free(struct matmul_weight *w)
{
	struct tiled_weight *t = w->state;

	if (t)
		mem_free(t->forward.panels);
	mem_free(t);
}

/* A few floats: a call of memcpy would take longer than the copying. */
static void tiled_copy(const float *from, int n, float *to)
{
	for (; n >= 16; n -= 16, from += 16, to += 16)
		memcpy(to, from, 16 * sizeof *to);
	if (n >= 8) {
		memcpy(to, from, 8 * sizeof *to);
		n -= 8, from += 8, to += 8;
	}
	for (; n >= 2; n -= 2, from += 2, to += 2)
		memcpy(to, from, 2 * sizeof *to);
	if (n)
		*to = *from;
}

/* One panel of B. Inlined with one of the steps constant. */
TILE_INLINE void tiled_pack(const struct tile_kernel *kernel, struct tile_view B, float *to)
{
	size_t down = B.down, right = B.right;
	int    words = tiled_words(kernel, B.depth), panel = kernel->panel, columns = B.columns;

	for (int k = 0; k < words; k++, to += panel) {
		if (kernel->form == TILE_FLOATS && right == 1)
			tiled_copy(B.at + (size_t)k * down, columns, to);
		else if (kernel->form == TILE_FLOATS)
			for (int j = 0; j < columns; j++)
				to[j] = B.at[(size_t)k * down + (size_t)j * right];
		else if (2 * k + 1 < B.depth)
			for (int j = 0; j < columns; j++)
				to[j] = tiled_pair(
				        B.at[(size_t)(2 * k) * down + (size_t)j * right],
				        B.at[(size_t)(2 * k + 1) * down + (size_t)j * right]);
		else
			for (int j = 0; j < columns; j++)
				to[j] = 2 * k < B.depth ? tiled_pair(B.at[(size_t)(2 * k) * down +
				                                          (size_t)j * right],
				                                     0)
				                        : 0;
		if (columns < panel)
			memset(to + columns, 0, (size_t)(panel - columns) * sizeof *to);
	}
}

/* Of B = W^T: each of its columns is a row of W. */
static void tiled_pack_transposed(const struct tile_kernel *kernel, const float *W, int depth,
                                  int columns, float *to)
{
	struct tile_view B = {W, 1, (size_t)depth, depth, columns};

	if (kernel->packing)
		kernel->packing->panel(&B, tiled_words(kernel, depth), to);
	else
		tiled_pack(kernel, B, to);
}

/* From the rows of a matrix of that stride. */
static void tiled_pack_rows(const struct tile_kernel *kernel, const float *B, size_t stride,
                            int depth, int columns, float *to)
{
	struct tile_view view = {B, stride, 1, depth, columns};

	if (kernel->packing)
		kernel->packing->panel(&view, tiled_words(kernel, depth), to);
	else
		tiled_pack(kernel, view, to);
}

int tiled_weight_pack(struct matmul_weight *w, const float *W)
{
	const struct tile_kernel *kernel = tiled_kernel(w->matmul);
	struct tiled_weight      *t = w->state;
	int                       panel = kernel->panel, in = w->n_in, out = w->n_out;

#pragma omp parallel for schedule(static)
	for (int j = 0; j < out; j += panel)
		tiled_pack_transposed(kernel, W + (size_t)j * (size_t)in, in,
		                      tiled_min(panel, out - j),
		                      t->forward.panels + (size_t)j * (size_t)t->forward.depth);
	t->backward.rows = W;
	if (!tiled_packs_backward(w))
		return OK;
#pragma omp parallel for schedule(static)
	for (int j = 0; j < in; j += panel)
		tiled_pack_rows(kernel, W + j, (size_t)in, out, tiled_min(panel, in - j),
		                t->backward.panels + (size_t)j * (size_t)t->backward.depth);
	return OK;
}

/* Makes room for n floats beside the products. */
static int tiled_reserve(struct tiled *s, size_t n)
{
	float *larger;

	if (n <= s->n_scratch)
		return OK;
	TRY(mem_take(n, "the operands of matrix products", &larger));
	mem_free(s->scratch);
	s->scratch = larger;
	s->n_scratch = n;
	return OK;
}

/* ---- forward and backward: C = A B ---- */

struct tiled_block { /* some rows of A and C */
	const struct tile_kernel  *kernel;
	const struct tiled_matrix *B;
	const float               *a;     /* [rows x a_row] */
	size_t                     a_row; /* B.depth, twice that with TILE_HALVES */
	float                     *c;     /* [rows x B.width] */
	int                        rows, tiles;
	float                     *beside; /* [TILED_GROUP x TILED_DEPTH x panel] of the thread */
};

/* Rows in front of tile i: all tiles are as good as equally high, since a tile of one row costs
 * nearly as much as one of three. */
static int tiled_first_row(const struct tiled_block *b, int i)
{
	int granule = b->kernel->granule, granules = tiled_parts(b->rows, granule);

	return tiled_min(b->rows, granules * i / b->tiles * granule);
}

/* The place of so many rows in the tables of the kernel. */
static int tiled_height(const struct tile_kernel *k, int rows)
{
	return tiled_parts(rows, k->granule);
}

struct tiled_piece { /* words first .. first+depth-1 of the panels panel .. end-1 of B */
	int          panel, end, first, depth;
	const float *b; /* of the first panel */
	size_t       b_panel;
	int          next_panel, next_first; /* of the piece that comes after it */
};

/* Sets what is cut, piece i of the inner dimension in whole chains, and where it lies: B without
 * panels is packed. */
static void tiled_cut(const struct tiled_block *b, int i, struct tiled_piece *p)
{
	const struct tiled_matrix *B = b->B;
	int pieces = tiled_parts(B->depth, TILED_DEPTH), panel = b->kernel->panel,
	    chain = b->kernel->chain, chains = B->depth / chain;
	size_t width = (size_t)B->width;

	p->first = chains * i / pieces * chain;
	p->depth = chains * (i + 1) / pieces * chain - p->first;
	p->next_panel = i + 1 < pieces ? p->panel : p->end;
	p->next_first = i + 1 < pieces ? p->first + p->depth : 0;
	p->b_panel = (size_t)panel * (size_t)(B->panels ? B->depth : p->depth);
	p->b = B->panels ? B->panels + (size_t)p->panel * p->b_panel + (size_t)(p->first * panel)
	                 : b->beside;
	for (int j = p->panel; j < p->end && !B->panels; j++)
		tiled_pack_rows(b->kernel, B->rows + (size_t)p->first * width + (size_t)(j * panel),
		                width, p->depth, tiled_min(panel, B->width - j * panel),
		                b->beside + (size_t)(j - p->panel) * p->b_panel);
}

/* Its tile i, at this panel. */
static struct tile tiled_tile(const struct tiled_block *b, const struct tiled_piece *p, int i,
                              int panel)
{
	int    row = tiled_first_row(b, i);
	size_t c_row = (size_t)b->B->width;

	return (struct tile){.rows = tiled_first_row(b, i + 1) - row,
	                     .depth = p->depth,
	                     .a = b->a + (size_t)row * b->a_row +
	                          (size_t)(p->first * tile_per_word(b->kernel->form)),
	                     .a_row = b->a_row,
	                     .b = p->b + (size_t)(panel - p->panel) * p->b_panel,
	                     .b_panel = p->b_panel,
	                     .ahead = p->b,
	                     .c = b->c + (size_t)row * c_row + (size_t)(panel * b->kernel->panel),
	                     .c_row = c_row};
}

/* Of what comes after a column of panels, each tile fetches a part, or the first tile there would
 * wait for all of it: of the next column, or where B is packed as it goes by, of the rows under
 * this column in the next piece. Tile i is at the first panel of the column. */
static void tiled_ahead(const struct tiled_block *b, const struct tiled_piece *p, int i, int panel,
                        struct tile *t)
{
	const struct tiled_matrix *B = b->B;
	int width = b->kernel->panel, line = width / TILE_LINE * i / b->tiles * TILE_LINE,
	    next = B->panels ? panel + 1 : p->next_panel + panel - p->panel,
	    first = tiled_min(p->next_first, B->depth - p->depth);

	if (next >= B->width / width)
		return;
	t->ahead = B->panels ? t->b + t->b_panel + line * p->depth
	                     : B->rows + (size_t)first * (size_t)B->width + next * width + line;
	t->ahead_step = B->panels ? TILE_LINE : (size_t)B->width;
}

/* All rows of a block by `count` panels, as many as the kernel takes at once or one. */
static void tiled_column(const struct tiled_block *b, const struct tiled_piece *p, int panel,
                         int count)
{
	const struct tile_kernel *kernel = b->kernel;
	enum tile_start           start = p->first ? TILE_GO_ON : TILE_FROM_ZERO;

	for (int i = 0; i < b->tiles; i++) {
		struct tile t = tiled_tile(b, p, i, panel);
		int         height = tiled_height(kernel, t.rows);
		if (count > 1 && kernel->together[height] == count) {
			kernel->several[height](&t, start);
			continue;
		}
		tiled_ahead(b, p, i, panel + count - 1, &t);
		for (int j = 0; j < count; j++, t.b += t.b_panel, t.c += kernel->panel)
			kernel->one[height](&t, start);
	}
}

/* Whole panels first .. last-1. */
static void tiled_panels(const struct tiled_block *b, int first, int last)
{
	int highest = tiled_parts(tiled_height(b->kernel, b->rows), b->tiles),
	    together = b->kernel->together[highest], pieces = tiled_parts(b->B->depth, TILED_DEPTH);

	for (int group = first; group < last; group += TILED_GROUP)
		for (int i = 0; i < pieces; i++) {
			struct tiled_piece p = {.panel = group,
			                        .end = tiled_min(group + TILED_GROUP, last)};
			tiled_cut(b, i, &p);
			for (int panel = group, count; panel < p.end; panel += count) {
				count = p.end - panel < together ? 1 : together;
				tiled_column(b, &p, panel, count);
			}
		}
}

/* The last panel, when B does not fill it: a tile writes whole panels, so it writes beside C. */
static void tiled_ragged(const struct tiled_block *b, int panel)
{
	float  beside[TILE_ROWS_MAX * TILE_PANEL_MAX];
	int    pieces = tiled_parts(b->B->depth, TILED_DEPTH);
	size_t bytes = (size_t)(b->B->width - panel * b->kernel->panel) * sizeof *beside;

	for (int i = 0; i < b->tiles; i++) {
		int    row = tiled_first_row(b, i), rows = tiled_first_row(b, i + 1) - row;
		float *c = b->c + (size_t)row * (size_t)b->B->width +
		           (size_t)(panel * b->kernel->panel);
		for (int j = 0; j < pieces; j++) {
			struct tiled_piece p = {.panel = panel, .end = panel + 1};
			struct tile        t;
			tiled_cut(b, j, &p);
			t = tiled_tile(b, &p, i, panel);
			t.c = beside;
			t.c_row = (size_t)b->kernel->panel;
			b->kernel->one[tiled_height(b->kernel, rows)](&t, j ? TILE_GO_ON
			                                                    : TILE_FROM_ZERO);
		}
		for (int r = 0; r < rows; r++)
			memcpy(c + (size_t)r * (size_t)b->B->width, beside + r * b->kernel->panel,
			       bytes);
	}
}

static void tiled_begin(const struct tile_kernel *k)
{
	if (k->begin)
		k->begin();
}

static void tiled_end(const struct tile_kernel *k)
{
	if (k->end)
		k->end();
}

/* Floats beside a product, of each thread: a group of panels where B comes as rows. */
static size_t tiled_beside(const struct tile_kernel *kernel, const struct tiled_matrix *B)
{
	return B->panels ? 0 : (size_t)(TILED_GROUP * TILED_DEPTH * kernel->panel);
}

/* Item i of blocks x panels. A thread takes a run of items, so that the work is shared to a panel,
 * whatever the shape. `beside` is that of all threads. */
static void tiled_product(const struct tile_kernel *kernel, const struct tiled_matrix *B, int n,
                          const float *A, float *C, float *beside)
{
	int64_t panels = tiled_parts(B->width, kernel->panel), whole = B->width / kernel->panel,
	        items = panels * tiled_parts(n, TILED_ROWS);
	size_t a_row = (size_t)B->depth * (size_t)tile_per_word(kernel->form);

#pragma omp parallel
	{
		int64_t T = omp_get_num_threads(), t = omp_get_thread_num(),
		        end = items * (t + 1) / T;
		tiled_begin(kernel);
		for (int64_t i = items * t / T, next; i < end; i = next) {
			size_t  first_row = (size_t)(i / panels) * TILED_ROWS;
			int64_t first = i % panels,
			        last = first + (end - i) < panels ? first + (end - i) : panels;
			struct tiled_block b = {.kernel = kernel,
			                        .B = B,
			                        .a_row = a_row,
			                        .beside = beside +
			                                  (size_t)t * tiled_beside(kernel, B),
			                        .rows = tiled_min(TILED_ROWS, n - (int)first_row)};
			b.a = A + first_row * a_row;
			b.c = C + first_row * (size_t)B->width;
			b.tiles = tiled_parts(b.rows, kernel->rows);
			next = i + (last - first);
			tiled_panels(&b, (int)first, (int)(last < whole ? last : whole));
			if (last > whole)
				tiled_ragged(&b, (int)whole);
		}
		tiled_end(kernel);
	}
}

/* A row of A, `depth` floats, rounded to bf16 in the form of the kernel and filled up with zeros to
 * `row` of whatever the form has. */
static void tiled_round(const struct tile_kernel *kernel, const float *a, int depth, float *to,
                        int row)
{
	if (kernel->packing) {
		kernel->packing->round(a, depth, row, to);
		return;
	}
	for (int k = 0; k < depth; k++)
		to[k] = bf16_widen(bf16_operand(a[k]));
	memset(to + depth, 0, (size_t)(row - depth) * sizeof *to);
}

/* C = A B for A [n x depth], which bf16 rounds first. */
static int tiled_multiply(struct matmul *m, const struct tiled_matrix *B, int n, int depth,
                          const float *A, float *C)
{
	struct tiled  *s = m->state;
	enum tile_form form = s->kernel->form;
	size_t         row = (size_t)B->depth * (size_t)tile_per_word(form);

	if (form != TILE_FLOATS) {
		size_t rows = (size_t)(tiled_height(s->kernel, n) * s->kernel->granule);
		TRY(tiled_reserve(s, rows * row));
#pragma omp parallel for schedule(static) if (n > 4)
		for (int i = 0; i < n; i++)
			tiled_round(s->kernel, A + (size_t)i * (size_t)depth, depth,
			            s->scratch + (size_t)i * row, (int)row);
		memset(s->scratch + (size_t)n * row, 0, (rows - (size_t)n) * row * sizeof *A);
		A = s->scratch;
	} else {
		TRY(tiled_reserve(s, tiled_beside(s->kernel, B) * (size_t)threads_count()));
	}
	tiled_product(s->kernel, B, n, A, C, s->scratch);
	return OK;
}

int tiled_forward(const struct matmul_weight *w, int n, const float *X, float *Y)
{
	const struct tiled_weight *t = w->state;

	return tiled_multiply(w->matmul, &t->forward, n, w->n_in, X, Y);
}

int tiled_backward(const struct matmul_weight *w, int n, const float *dY, float *dX)
{
	const struct tiled_weight *t = w->state;

	return tiled_multiply(w->matmul, &t->backward, n, w->n_out, dY, dX);
}

/* ---- gradient: dW = dY^T X, a chain for each chunk of GRADIENT_ROWS rows, the chunks added in
 * order ---- */

struct tiled_chunk { /* rows first .. first+rows-1 of dY and X */
	const struct tile_kernel     *kernel;
	const struct matmul_gradient *g;
	int                           first, rows;
	int                           words; /* of a column of X */
	float                        *X;     /* as panels [words x panel] */
};

static void tiled_pack_x(const struct tiled_chunk *c)
{
	int in = c->g->n_in, panel = c->kernel->panel;

#pragma omp for schedule(static)
	for (int j = 0; j < in; j += panel)
		tiled_pack_rows(c->kernel, c->g->X + (size_t)c->first * (size_t)in + j, (size_t)in,
		                c->rows, tiled_min(panel, in - j),
		                c->X + (size_t)j * (size_t)c->words);
}

/* Row r of `n` columns of dY, rounded to bf16; zeros behind the last row. */
static void tiled_round_dy(const struct tiled_chunk *c, const float *from, int r, int n, float *to)
{
	for (int i = 0; i < n; i++)
		to[i] = r < c->rows ? bf16_widen(bf16_operand(from[i])) : 0;
}

/* Columns o .. o+n-1 of dY as tiles want them: [tiles] [words x per word x kernel rows] */
static void tiled_pack_dy(const struct tiled_chunk *c, int o, int n, float *to)
{
	const struct tile_kernel *kernel = c->kernel;
	const size_t              high = (size_t)kernel->rows, out = (size_t)c->g->n_out;
	const int                 rows = c->words * tile_per_word(kernel->form);

	if (kernel->form == TILE_SQUARES) {
		const struct tile_view columns = {c->g->dY + (size_t)c->first * out + o, out, 1,
		                                  c->rows, n};
		kernel->packing->columns(&columns, c->words, to);
		return;
	}
	for (int i = 0; i < n; i += kernel->rows) {
		const float *from = c->g->dY + (size_t)c->first * out + o + i;
		int          columns = tiled_min(kernel->rows, n - i);
		for (int r = 0; r < rows; r++, to += high)
			if (kernel->form == TILE_FLOATS)
				tiled_copy(from + (size_t)r * out, columns, to);
			else if (kernel->form == TILE_HALVES)
				tiled_round_dy(c, from + (size_t)r * out, r, columns, to);
			else
				for (int k = 0; k < columns; k++)
					to[k] = tiled_pair(
					        from[(size_t)(2 * r) * out + (size_t)k],
					        2 * r + 1 < c->rows
					                ? from[(size_t)(2 * r + 1) * out +
					                       (size_t)k]
					                : 0);
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
		struct tile t = {.rows = rows,
		                 .depth = c->words,
		                 .a_row = (size_t)c->words,
		                 .a = dY +
		                      (size_t)i * (size_t)(c->words * tile_per_word(kernel->form)),
		                 .b = c->X + (size_t)j * (size_t)c->words,
		                 .c = dW,
		                 .c_row = (size_t)in};
		if (columns == kernel->panel) {
			kernel->one_packed[tiled_height(kernel, rows)](&t, start);
			continue;
		}
		t.c = beside;
		t.c_row = (size_t)kernel->panel;
		kernel->one_packed[tiled_height(kernel, rows)](&t, TILE_FROM_ZERO);
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

	tiled_begin(c->kernel);
	for (int64_t i = first; i < end; i++) {
		int o = (int)(i / panels) * outputs, n = tiled_min(outputs, c->g->n_out - o);
		if (i == first || i % panels == 0)
			tiled_pack_dy(c, o, n, dY);
		tiled_gradient_panel(c, o, n, (int)(i % panels), dY);
	}
	tiled_end(c->kernel);
}

int tiled_gradient(struct matmul *m, const struct matmul_gradient *g)
{
	struct tiled             *s = m->state;
	const struct tile_kernel *kernel = s->kernel;
	int rows = tiled_min(GRADIENT_ROWS, g->n), words = tiled_words(kernel, rows),
	    outputs = TILED_OUTPUTS / kernel->rows * kernel->rows;
	size_t x = tiled_floats(kernel, rows, g->n_in),
	       dy = (size_t)(words * tile_per_word(kernel->form)) * (size_t)outputs;

	TRY(tiled_reserve(s, x + dy * (size_t)threads_count()));
#pragma omp parallel
	for (int first = 0; first < g->n; first += GRADIENT_ROWS) {
		struct tiled_chunk c = {.kernel = kernel,
		                        .g = g,
		                        .first = first,
		                        .rows = tiled_min(GRADIENT_ROWS, g->n - first),
		                        .X = s->scratch};
		c.words = tiled_words(kernel, c.rows);
		tiled_pack_x(&c); /* ends with a barrier */
		tiled_gradient_chunk(&c, outputs,
		                     s->scratch + x + dy * (size_t)omp_get_thread_num());
#pragma omp barrier
	}
	return OK;
}
