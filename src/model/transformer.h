/* transformer.h - the model: a decoder-only transformer of a kind of kind.h, forward and backward. One forward serves
 * prefill, decode and training: sampled and trained log-probabilities are the same bits because they are the same code on the same rows.
 *
 *     x = embed[token]
 *     per layer:  h = rmsnorm(x);  q,k,v = h W_qkv^T [+ b];  [q,k = rmsnorm of each head];  rotate q,k;  x += attention(q,k,v) W_o^T
 *                 h = rmsnorm(x);  g,u = h W_gate_up^T;            x += (silu(g) * u) W_down^T
 *     hidden = rmsnorm(x)
 *
 * What stands in brackets only some kinds have. Logits are not computed here: see head.h. */
#ifndef MODEL_TRANSFORMER_H
#define MODEL_TRANSFORMER_H

#include "math/matmul.h"
#include "model/attention.h"
#include "model/batch.h"
#include "model/gradient.h"
#include "model/weights.h"

struct layer_products { /* the packed matrices of one layer */
	struct matmul_weight *qkv, *o, *gate_up, *down;
};

struct model {
	struct weights         weights;
	struct matmul         *mm;     /* borrowed */
	struct layer_products *layers; /* [L] */
	struct matmul_weight  *head;
	float                 *rope; /* [n_positions x E] */
	int                    for_backward;
};

/* Takes over the weights (moves them out of *w; on failure they stay there) and packs them. for_backward = 0: a frozen model
 * (reference, evaluation). */
int    model_new(struct weights *w, struct matmul *mm, int for_backward, struct model **out);
void   model_free(struct model *m);
int    model_repack(struct model *m);                                                       /* after the weights changed */
size_t model_bytes(const struct model_shape *s, const struct matmul *mm, int for_backward); /* weights and packed copies */

/* What the backward pass needs; one block, reused by every micro-batch. */
struct tape;
int    tape_new(const struct model_shape *s, int max_tokens, struct tape **out); /* grows when a single tree is larger */
void   tape_free(struct tape *t);
size_t tape_bytes(const struct model_shape *s, int max_tokens);

/* Writes hidden [T x D], the normalised final states. tape NULL: nothing is kept (sampling, frozen models).
 * A cache of one layer serves batches that bring all their keys (each layer overwrites the one before). ERR_INPUT: a token that is not in
 * the vocabulary, a text longer than n_positions. Scratch in `a`, released before return. */
int model_forward(const struct model *m, const struct batch *b, struct kv_cache *cache, struct tape *tape, struct arena *a, float *hidden);

/* From d_hidden [T x D] adds the gradients of this micro-batch's units to *g: their numbers continue from g->n_units, which then counts them.
 * The tape is that of the model_forward before. Scratch in `a`, released before return. */
int model_backward(const struct model *m, const struct batch *b, const struct tape *tape, struct arena *a, const float *d_hidden,
                   struct gradient *g);

#endif
