#include "model/tape.h"

#include "base/error.h"
#include "base/memory.h"
#include "model/kind.h"

#include <assert.h>
#include <string.h>

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

/* The arrays of a layer but for its x, and how many floats a token has in each; 0: the kind has
 * none, and its pointer is NULL. */
enum { TAPE_ARRAYS = 13 };
struct tape_array {
	size_t at; /* in struct tape_layer */
	int    width;
};

static void tape_arrays(const struct model_shape *s, struct tape_array out[TAPE_ARRAYS])
{
	int heads = s->n_heads + s->n_kv_heads, D = s->width,
	    groups = kind_has(s, PART_QK_NORM)       ? heads
	             : kind_has(s, PART_QK_NORM_ALL) ? 2
	                                             : 0,
	    behind = kind_has(s, PART_NORM_BEHIND);
	const struct tape_array arrays[TAPE_ARRAYS] = {
	        {offsetof(struct tape_layer, r_before[BRANCH_ATTENTION]), 1},
	        {offsetof(struct tape_layer, qkv), (heads + s->n_kv_heads) * s->head_width},
	        {offsetof(struct tape_layer, qk_raw), groups ? heads * s->head_width : 0},
	        {offsetof(struct tape_layer, r_qk), groups},
	        {offsetof(struct tape_layer, o), s->n_heads * s->head_width},
	        {offsetof(struct tape_layer, lse), s->n_heads},
	        {offsetof(struct tape_layer, x_mid), D},
	        {offsetof(struct tape_layer, r_before[BRANCH_MLP]), 1},
	        {offsetof(struct tape_layer, gate_up), kind_inner_width(s)},
	        {offsetof(struct tape_layer, y[BRANCH_ATTENTION]), behind * D},
	        {offsetof(struct tape_layer, r_behind[BRANCH_ATTENTION]), behind},
	        {offsetof(struct tape_layer, y[BRANCH_MLP]), behind * D},
	        {offsetof(struct tape_layer, r_behind[BRANCH_MLP]), behind},
	};

	memcpy(out, arrays, sizeof arrays);
}

static float **tape_array_of(struct tape_layer *l, const struct tape_array *a)
{
	return (float **)(void *)((char *)l + a->at);
}

/* A layer but for its x. */
static struct tape_layer tape_carve_layer(struct tape_carver *c, const struct model_shape *s,
                                          size_t rows)
{
	struct tape_array arrays[TAPE_ARRAYS];
	struct tape_layer layer = {0};

	tape_arrays(s, arrays);
	for (int i = 0; i < TAPE_ARRAYS; i++)
		if (arrays[i].width)
			*tape_array_of(&layer, &arrays[i]) = tape_carve(c, rows, arrays[i].width);
	return layer;
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
	struct tape_array arrays[TAPE_ARRAYS];
	struct tape_layer l = t->recompute ? t->again : t->layers[i];
	size_t            first = (size_t)p->first;

	l.x = t->layers[i].x + first * (size_t)t->shape.width;
	if (t->recompute)
		return l;
	tape_arrays(&t->shape, arrays);
	for (int k = 0; k < TAPE_ARRAYS; k++)
		if (arrays[k].width)
			*tape_array_of(&l, &arrays[k]) += first * (size_t)arrays[k].width;
	return l;
}

float *tape_output_of(const struct tape *t, const struct tape_piece *p, int i)
{
	float *x = i + 1 < t->shape.n_layers ? t->layers[i + 1].x : t->x_final;

	return x + (size_t)p->first * (size_t)t->shape.width;
}
