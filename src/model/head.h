/* head.h - from hidden states to log-probabilities of given tokens, and back, never holding [tokens
 * x vocabulary].
 *
 *     z       = hidden W_head^T          divided by a constant, then cap tanh(z / cap), where the
 *                                        model has them (kind.h)
 *     logp    = z_y / tau - lse(z / tau)
 *     entropy = - sum_v p_v log p_v,  p = softmax(z / tau)
 *
 * Rows go through in chunks of HEAD_ROWS (in the backward pass anchored at the first target of a
 * unit: one chunk for all but the largest trees). The backward pass computes a chunk's logits again
 * and turns them into their own gradient in place: to keep them would take 4 V bytes for each
 * target of a micro-batch, 400 MB for 2048 of them at 49,152 outputs.
 *
 * Where the time goes, ms for 256 targets at 49,152 outputs and width 576, f32, one core with AVX2:
 *
 *     forward     logits 219   statistics 19
 *     backward    logits again 219   their gradient 8   dX 208   dW 206
 *
 * and in decoding, 64 rows: logits 64, statistics and draws 7. What is not a product is 3% of the
 * one and 10% of the other, so the logits go through memory and nothing is fused. */
#ifndef MODEL_HEAD_H
#define MODEL_HEAD_H

#include "model/transformer.h"

enum { HEAD_ROWS = 512 };

struct head_input {
	const struct model   *m;
	const struct packing *b;           /* its N targets are asked for (packing.h) */
	const float          *hidden;      /* [T x D] the last hidden states */
	float                 temperature; /* tau > 0 */
};

struct head_result { /* arrays [N], caller's */
	float *logp, *entropy, *lse;
};

/* All that an estimator may ask of the model, one number for each target. Distillation will add one
 * more: a divergence from the logits of a second model. */
struct head_terms {     /* arrays [N] */
	const float *c; /* dL/dlogp */
	const float *h; /* dL/dentropy; NULL: 0 */
};

/* Scratch in `a`, released before return. */
int head_forward(const struct head_input *in, struct arena *a, struct head_result *out);

struct head_piece { /* one packing of a pass (gradient.h), on its way back */
	struct head_input  in;
	struct head_result forward; /* what head_forward wrote for the same input */
	struct head_terms  terms;
	float *d_hidden; /* [T x D] written: rows without target get 0, a row with several
	                              * targets the sum in target order */
};

/* Writes d_hidden of all n pieces of a pass and adds the head's gradient of their units to *g. */
int head_backward(const struct head_piece *pieces, int n, struct arena *a, struct gradient *g);
/* The floats of the gradient's window. */
size_t head_window(const struct model *m);

/* For the memory bill: scratch of both, counted by the functions that take it, for units of at most
 * so many targets. */
size_t head_bytes(const struct model *m, int targets);

/* Plain logits of n rows: logits [n x V]. For sampling (n <= a decode batch) and for golden
 * tests. */
int head_logits(const struct model *m, int n, const float *hidden, float *logits);

#endif
