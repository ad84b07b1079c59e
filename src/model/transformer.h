/* transformer.h - the model: a decoder-only transformer of a kind of kind.h, forward and backward.
 * One forward serves prefill, decode and training: sampled and trained log-probabilities are the
 * same bits because they are the same code on the same rows.
 *
 *     x = embed[token] [scaled] [+ positions[position]]
 *     per layer:  h = [norm](x);  q,k,v = h W_qkv^T [+ b];  [q,k = norm of them];  [rotate q,k];
 *                                       y = attention(q,k,v) W_o^T [+ b];  x += [scaled] [norm](y)
 *                 h = [norm](x);  g,u = h W_gate_up^T [+ b];
 *                                       y = (act(g) [* u]) W_down^T [+ b]; x += [scaled] [norm](y)
 *     hidden = norm(x)
 *
 * What stands in brackets only some kinds have, and the table in kind.c says which: norm is RMSNorm
 * or LayerNorm, act is silu or gelu. A layer is two branches, attention and feed-forward, that each
 * take from the residual stream and add to it. Logits are not computed here: see head.h. With an
 * adapter (adapter.h) a product of a layer is W's and the adapter's together; then the adapter
 * alone learns, and no gradient of the model's own weights is computed. */
#ifndef MODEL_TRANSFORMER_H
#define MODEL_TRANSFORMER_H

#include "math/matmul.h"
#include "model/adapter.h"
#include "model/attention.h"
#include "model/gradient.h"
#include "model/packing.h"
#include "model/tape.h"
#include "model/weights.h"

struct model {
	struct weights weights;
	struct matmul *mm;                               /* borrowed */
	struct matmul_weight *(*layers)[LAYER_PRODUCTS]; /* [L] packed */
	struct matmul_weight *head;
	float                *rope;       /* [n_positions x E] */
	float                *rope_local; /* of local layers; NULL: the same */
	int                   for_backward;
	struct adapter       *adapter; /* owned; NULL: none, the weights themselves learn */
	int                   is_view; /* nothing but the adapter is its own */
};

/* Takes over the weights (moves them out of *w; on failure they stay there) and packs them.
 * for_backward = 0: a frozen model (reference, evaluation). */
int  model_new(struct weights *w, struct matmul *mm, int for_backward, struct model **out);
void model_free(struct model *m);
/* after what learns changed */
int model_repack(struct model *m);
/* weights and packed copies */
size_t model_bytes(const struct model_shape *s, const struct matmul *mm, int for_backward);

/* What an update changes: the adapter's weights where there is one. */
struct weights *model_learned(struct model *m);

/* The same model with another adapter (taken over; NULL: none), for log-probabilities only. It
 * borrows all but the adapter from m, which must not learn but through its own adapter and lives
 * longer. */
int model_view(const struct model *m, struct adapter *adapter, struct model **out);

/* A cache for model_forward: with products in bf16 its keys and values are bf16, too. */
int    model_cache_new(const struct model *m, int n_layers, int n_pages, struct kv_cache *out);
size_t model_cache_bytes(const struct model_shape *s, const struct matmul *mm, int n_layers,
                         int n_pages);

/* Writes hidden [T x D], the normalised final states. With a tape (tape_begin) the packing becomes
 * its next piece, for the backward pass, and stays as it is until then; NULL: nothing is kept
 * (sampling, frozen models). A cache of one layer serves batches that bring all their keys (each
 * layer overwrites the one before). ERR_INPUT: a token that is not in the vocabulary, a text longer
 * than n_positions. Scratch in `a`, released before return. */
int model_forward(const struct model *m, const struct packing *b, struct kv_cache *cache,
                  struct tape *tape, struct arena *a, float *hidden);

/* The most floats that a window of the gradient has in model_backward. */
size_t model_window(const struct model *m);
/* For the memory bill: scratch of a forward pass of so many tokens that keeps nothing, counted by
 * the functions that take it. */
size_t model_forward_bytes(const struct model *m, int tokens);

/* For the memory bill: scratch of the backward pass of `tokens` on the tape, counted by the
 * functions that take it. The forward pass takes less. */
struct model_load {
	int recompute;
	int tokens, piece, unit; /* of the pass, its largest piece, its largest unit */
	int pages;               /* of that piece: blocks of PAGE_TOKENS, begun ones included */
};
size_t model_backward_bytes(const struct model *m, const struct model_load *l);

/* From d_hidden [T x D] of all pieces of the tape, one behind the other, adds the gradients of
 * their units to *g: layer by layer, and in a layer piece by piece. The cache is that of
 * model_forward, whose keys are overwritten. Scratch in `a`, released before return. */
int model_backward(const struct model *m, const struct tape *tape, struct kv_cache *cache,
                   struct arena *a, const float *d_hidden, struct gradient *g);

#endif
