#include "model/head.h"

#include "base/error.h"
#include "base/stop.h"
#include "math/rowops.h"

#include <assert.h>
#include <string.h>

struct chunk { /* targets first .. first+n-1 of the batch */
	const struct model   *m;
	const struct packing *b;
	float                 inverse_temperature;
	int                   first, n;
	float *x, *z; /* [HEAD_ROWS x D] their hidden states, [HEAD_ROWS x V] logits */
};

static size_t width_of(const struct model *m)
{
	return (size_t)m->weights.shape.width;
}

static size_t vocab_of(const struct model *m)
{
	return (size_t)m->weights.shape.n_vocab;
}

static float head_scale(const struct model *m)
{
	double divisor = m->weights.shape.scales.logit_divisor;

	return divisor ? (float)(1 / divisor) : 1;
}

static void scale_row(float *z, size_t V, float scale)
{
	for (size_t v = 0; v < V; v++)
		z[v] *= scale;
}

int head_logits(const struct model *m, int n, const float *hidden, float *logits)
{
	size_t V = vocab_of(m);
	float  scale = head_scale(m), cap = (float)m->weights.shape.scales.logit_cap;

	TRY(matmul_forward(m->head, n, hidden, logits));
	if (scale == 1 && cap == 0)
		return OK;
#pragma omp parallel for schedule(static)
	for (int i = 0; i < n; i++) {
		scale_row(logits + (size_t)i * V, V, scale);
		if (cap)
			row_cap(logits + (size_t)i * V, (int)V, cap);
	}
	return OK;
}

static size_t head_rows(int targets)
{
	return (size_t)(targets < HEAD_ROWS ? targets : HEAD_ROWS);
}

/* Of a batch of so many targets. */
static int chunk_take(const struct model *m, int targets, struct arena *a, struct chunk *out)
{
	TRY(arena_take(a, head_rows(targets) * width_of(m), "the logits of a chunk", &out->x));
	return arena_take(a, head_rows(targets) * vocab_of(m), "the logits of a chunk", &out->z);
}

static int head_chunk_new(const struct head_input *in, struct arena *a, struct chunk *out)
{
	assert(in->temperature > 0);
	*out = (struct chunk){.m = in->m, .b = in->b, .inverse_temperature = 1 / in->temperature};
	return chunk_take(in->m, in->b->n_targets, a, out);
}

/* Moves to the targets from `first` on, before `end`, and computes their logits. */
static int chunk_load(struct chunk *c, int first, int end, const float *hidden)
{
	size_t D = width_of(c->m);

	TRY(stop_check());
	c->first = first;
	c->n = end - first < HEAD_ROWS ? end - first : HEAD_ROWS;
	for (int i = 0; i < c->n; i++) {
		assert(c->b->row[first + i] >= 0 && c->b->row[first + i] < c->b->n_tokens);
		memcpy(c->x + (size_t)i * D, hidden + (size_t)c->b->row[first + i] * D,
		       D * sizeof(float));
	}
	return head_logits(c->m, c->n, c->x, c->z);
}

static void chunk_logprobs(const struct chunk *c, const struct head_result *out)
{
	size_t V = vocab_of(c->m);

#pragma omp parallel for schedule(static)
	for (int i = 0; i < c->n; i++) {
		const float *z = c->z + (size_t)i * V;
		int          at = c->first + i;
		assert(c->b->target[at] >= 0 && (size_t)c->b->target[at] < V);
		row_softmax_stats(z, (int)V, c->inverse_temperature, &out->lse[at],
		                  &out->entropy[at]);
		out->logp[at] =
		        row_logprob(z, c->b->target[at], c->inverse_temperature, out->lse[at]);
	}
}

static int forward_chunks(const struct head_input *in, struct arena *a, struct head_result *out)
{
	struct chunk c;

	TRY(head_chunk_new(in, a, &c));
	for (int i = 0; i < in->b->n_targets; i += c.n) {
		TRY(chunk_load(&c, i, in->b->n_targets, in->hidden));
		chunk_logprobs(&c, out);
	}
	return OK;
}

int head_forward(const struct head_input *in, struct arena *a, struct head_result *out)
{
	struct arena_mark mark = arena_mark(a);
	int               status = forward_chunks(in, a, out);

	arena_release(a, mark);
	return status;
}

/* ---- backward ---- */

struct head_backward_work {
	struct chunk             c;
	const struct head_piece *piece;
	float                   *dx; /* [HEAD_ROWS x D] */
	/* [V x D] of the second and later chunks of a unit; NULL when no unit has them */
	float           *dw;
	struct gradient *g;
};

/* The chunk's logits become their own gradient, and that goes back to the hidden states. */
static int backward_chunk(const struct head_backward_work *p)
{
	const struct chunk *c = &p->c;
	size_t              V = vocab_of(c->m), D = width_of(c->m);
	float scale = head_scale(c->m), cap = (float)c->m->weights.shape.scales.logit_cap;

#pragma omp parallel for schedule(static)
	for (int i = 0; i < c->n; i++) {
		int at = c->first + i;
		row_logprob_backward(
		        c->z + (size_t)i * V, (int)V,
		        &(struct row_backward){.y = c->b->target[at],
		                               .inverse_temperature = c->inverse_temperature,
		                               .lse = p->piece->forward.lse[at],
		                               .entropy = p->piece->forward.entropy[at],
		                               .c = p->piece->terms.c[at],
		                               .h = p->piece->terms.h ? p->piece->terms.h[at] : 0,
		                               .cap = cap});
		if (scale != 1)
			scale_row(c->z + (size_t)i * V, V, scale);
	}
	TRY(matmul_backward(c->m->head, c->n, c->z, p->dx));
	for (int i = 0; i < c->n; i++) {
		float *d = p->piece->d_hidden + (size_t)c->b->row[c->first + i] * D;
		for (size_t j = 0; j < D; j++)
			d[j] += p->dx[(size_t)i * D + j];
	}
	return OK;
}

/* slot = or += dZ^T X of the chunk */
static int weights_chunk(const struct head_backward_work *p, int is_first, float *slot)
{
	const struct chunk *c = &p->c;
	size_t              n = vocab_of(c->m) * width_of(c->m);

	TRY(matmul_gradient(matmul_head(c->m->mm),
	                    &(struct matmul_gradient){c->n, (int)vocab_of(c->m),
	                                              (int)width_of(c->m), c->z, c->x,
	                                              is_first ? slot : p->dw}));
	if (is_first)
		return OK;
#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < n; i++)
		slot[i] += p->dw[i];
	return OK;
}

size_t head_window(const struct model *m)
{
	return m->adapter ? 0 : vocab_of(m) * width_of(m);
}

static size_t head_offset(const struct model *m, const struct gradient *g)
{
	return g->n_extra ? g->n : m->weights.head;
}

/* The targets of one unit, chunk by chunk, into its slot of the gradient. */
static int head_backward_unit(struct head_backward_work *p, int u)
{
	const struct model *m = p->c.m;
	const int          *bound = p->c.b->unit_target;
	uint32_t            unit = p->c.b->first_unit + (uint32_t)u;
	size_t              n = head_window(m), offset = head_offset(m, p->g);
	/* NULL: the head stands still */
	float *slot = n ? gradient_slot(p->g, unit, offset, n) : NULL;

	if (slot && bound[u] == bound[u + 1])
		memset(slot, 0, n * sizeof(float));
	for (int i = bound[u]; i < bound[u + 1]; i += p->c.n) {
		TRY(chunk_load(&p->c, i, bound[u + 1], p->piece->in.hidden));
		TRY(backward_chunk(p));
		if (slot)
			TRY(weights_chunk(p, i == bound[u], slot));
	}
	if (slot)
		gradient_merge(p->g, unit, offset, n);
	return OK;
}

/* What the backward pass takes beside its chunk, for a largest unit of so many targets. */
static int head_backward_take(const struct model *m, int most, struct arena *a,
                              struct head_backward_work *p)
{
	TRY(arena_take(a, head_rows(most) * width_of(m), "the backward pass of the head", &p->dx));
	return most > HEAD_ROWS && !m->adapter ? arena_take(a, vocab_of(m) * width_of(m),
	                                                    "the gradient of the head", &p->dw)
	                                       : OK;
}

size_t head_bytes(const struct model *m, int targets)
{
	struct arena              count = {.counts = 1};
	struct head_backward_work p = {0};
	int                       status = chunk_take(m, targets, &count, &p.c);

	if (status == OK)
		status = head_backward_take(m, targets, &count, &p);
	assert(status == OK); /* nothing is allocated */
	return count.used;
}

/* Scratch for the largest unit, then unit after unit. */
static int backward_units(struct head_backward_work *p, struct arena *a)
{
	const struct model   *m = p->piece->in.m;
	const struct packing *b = p->piece->in.b;
	int                   most = 0;

	assert(p->piece->terms.c && p->piece->forward.lse && p->piece->forward.entropy);
	for (int u = 0; u < b->n_units; u++) {
		assert(b->unit_target[u] <= b->unit_target[u + 1]);
		if (b->unit_target[u + 1] - b->unit_target[u] > most)
			most = b->unit_target[u + 1] - b->unit_target[u];
	}
	TRY(head_chunk_new(&p->piece->in, a, &p->c));
	TRY(head_backward_take(m, most, a, p));
	memset(p->piece->d_hidden, 0, (size_t)b->n_tokens * width_of(m) * sizeof(float));
	for (int u = 0; u < b->n_units; u++)
		TRY(head_backward_unit(p, u));
	return OK;
}

int head_backward(const struct head_piece *pieces, int n, struct arena *a, struct gradient *g)
{
	const struct model *m = pieces->in.m;

	if (!m->adapter)
		TRY(gradient_open(g, head_offset(m, g), head_window(m)));
	for (int i = 0; i < n; i++) {
		struct head_backward_work work = {.piece = &pieces[i], .g = g};
		struct arena_mark         mark = arena_mark(a);
		int                       status = backward_units(&work, a);
		arena_release(a, mark);
		TRY(status);
	}
	if (!m->adapter)
		gradient_close(g);
	return OK;
}
