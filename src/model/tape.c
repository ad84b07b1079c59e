#include "model/tape.h"

#include "base/error.h"
#include "base/memory.h"
#include "model/kind.h"

#include <assert.h>

/* ---- memory ---- */

/* Hands out n floats, whole cache lines; with at NULL it only counts. */
struct tape_carver {
	float *at;
	size_t used;
};

static float *tape_carve(struct tape_carver *c, size_t rows, int columns)
{
	float *p = c->at ? c->at + c->used : NULL;

	c->used += (rows * (size_t)columns + 15) / 16 * 16;
	return p;
}

/* How many floats a token has in each array of a layer. */
struct tape_widths {
	int x, qkv, qk_raw, r_qk, o, lse, gate_up;
};

static struct tape_widths tape_widths_of(const struct model_shape *s)
{
	int normed = kind_has(s, PART_QK_NORM) ? s->n_heads + s->n_kv_heads : 0;

	return (struct tape_widths){.x = s->width,
	                            .qkv = (s->n_heads + 2 * s->n_kv_heads) * s->head_width,
	                            .qk_raw = normed * s->head_width,
	                            .r_qk = normed,
	                            .o = s->n_heads * s->head_width,
	                            .lse = s->n_heads,
	                            .gate_up = 2 * s->ff_width};
}

/* A layer but for its x. */
static struct tape_layer tape_carve_layer(struct tape_carver *c, const struct model_shape *s,
                                          size_t rows)
{
	struct tape_widths w = tape_widths_of(s);

	return (struct tape_layer){.r_attn = tape_carve(c, rows, 1),
	                           .qkv = tape_carve(c, rows, w.qkv),
	                           .qk_raw = tape_carve(c, rows, w.qk_raw),
	                           .r_qk = tape_carve(c, rows, w.r_qk),
	                           .o = tape_carve(c, rows, w.o),
	                           .lse = tape_carve(c, rows, w.lse),
	                           .x_mid = tape_carve(c, rows, w.x),
	                           .r_mlp = tape_carve(c, rows, 1),
	                           .gate_up = tape_carve(c, rows, w.gate_up)};
}

/* Returns the floats of all; of a tape without layers that is all it does. */
static size_t tape_carve_all(struct tape *t)
{
	struct tape_carver c = {.at = t->data};
	size_t             rows = (size_t)t->most_tokens;

	if (t->recompute)
		t->again = tape_carve_layer(&c, &t->shape, (size_t)t->largest);
	for (int i = 0; i < t->shape.n_layers; i++) {
		struct tape_layer layer = {0};
		if (!t->recompute)
			layer = tape_carve_layer(&c, &t->shape, rows);
		layer.x = tape_carve(&c, rows, t->shape.width);
		if (t->layers)
			t->layers[i] = layer;
	}
	t->x_final = tape_carve(&c, rows, t->shape.width);
	t->r_final = tape_carve(&c, rows, 1);
	return c.used;
}

size_t tape_bytes(const struct model_shape *s, int recompute, int tokens, int largest)
{
	struct tape t = {
	        .shape = *s, .recompute = recompute, .most_tokens = tokens, .largest = largest};

	return tape_carve_all(&t) * sizeof(float);
}

int tape_new(const struct model_shape *s, int recompute, struct tape **out)
{
	struct tape *t;
	int          status;

	TRY(mem_take(1, "the tape", &t));
	t->shape = *s;
	t->recompute = recompute;
	status = mem_take((size_t)s->n_layers, "the tape", &t->layers);
	if (status == OK)
		*out = t;
	else
		tape_free(t);
	return status;
}

void tape_free(struct tape *t)
{
	if (!t)
		return;
	mem_free(t->data);
	mem_free(t->layers);
	mem_free(t->pieces);
	mem_free(t);
}

/* ---- pieces ---- */

int tape_begin(struct tape *t, int tokens, int largest)
{
	assert(0 < largest && largest <= tokens);
	t->n_tokens = 0;
	t->n_pieces = 0;
	if (t->data && tokens <= t->most_tokens && largest <= t->largest)
		return OK;
	mem_free(t->data);
	t->data = NULL;
	t->most_tokens = tokens > t->most_tokens ? tokens : t->most_tokens;
	t->largest = largest > t->largest ? largest : t->largest;
	TRY(mem_take_bytes(tape_bytes(&t->shape, t->recompute, t->most_tokens, t->largest), 1,
	                   "the tape of the backward pass", &t->data));
	tape_carve_all(t);
	return OK;
}

int tape_add(struct tape *t, const struct packing *b, struct tape_piece *out)
{
	assert(t->n_tokens + b->n_tokens <= t->most_tokens && b->n_tokens <= t->largest);
	TRY(mem_room(&t->pieces, &t->room_pieces, (size_t)t->n_pieces + 1,
	             "the pieces of the tape"));
	*out = (struct tape_piece){b, t->n_tokens};
	t->pieces[t->n_pieces++] = *out;
	t->n_tokens += b->n_tokens;
	return OK;
}

struct tape_layer tape_layer_of(const struct tape *t, const struct tape_piece *p, int i)
{
	struct tape_widths w = tape_widths_of(&t->shape);
	struct tape_layer  l = t->layers[i];
	size_t             first = (size_t)p->first;
	float             *x = l.x + first * (size_t)w.x;

	if (t->recompute) {
		l = t->again;
		l.x = x;
		return l;
	}
	return (struct tape_layer){.x = x,
	                           .r_attn = l.r_attn + first,
	                           .qkv = l.qkv + first * (size_t)w.qkv,
	                           .qk_raw = l.qk_raw + first * (size_t)w.qk_raw,
	                           .r_qk = l.r_qk + first * (size_t)w.r_qk,
	                           .o = l.o + first * (size_t)w.o,
	                           .lse = l.lse + first * (size_t)w.lse,
	                           .x_mid = l.x_mid + first * (size_t)w.x,
	                           .r_mlp = l.r_mlp + first,
	                           .gate_up = l.gate_up + first * (size_t)w.gate_up};
}

float *tape_output_of(const struct tape *t, const struct tape_piece *p, int i)
{
	float *x = i + 1 < t->shape.n_layers ? t->layers[i + 1].x : t->x_final;

	return x + (size_t)p->first * (size_t)t->shape.width;
}
