/* tape.h - what the forward pass keeps for the backward pass: of each packing that a pass of units
 * (gradient.h) runs through the model, one behind the other.
 *
 *     kept of a layer, floats a token             recompute 0                       recompute 1
 *     the residual stream before it               D                                 D
 *     what lies between: norms, q k v, outputs    D + (2H+2K)E + 2F + H + 2 (+ ..)  -
 *
 * With recompute, what lies between is computed again from the residual stream when the backward
 * pass reaches the layer, for one packing at a time. The rows of a forward pass do not depend on
 * what else is computed, so these are the same bits; it costs about a quarter of a training step
 * and saves nine tenths of the tape. */
#ifndef MODEL_TAPE_H
#define MODEL_TAPE_H

#include "model/packing.h"
#include "model/weights.h"

struct tape_layer {
	float *x;                        /* [T x D] the residual stream before the layer */
	float *r_before[LAYER_BRANCHES]; /* [T] of the norms before attention and feed-forward */
	float *qkv;                      /* [T x (H+2K)E] rotated */
	float *qk_raw;  /* [T x (H+K)E] before their norms, of kinds that have these */
	float *r_qk;    /* [T x groups] */
	float *o;       /* [T x H*E] of the attention */
	float *lse;     /* [T x H] */
	float *x_mid;   /* [T x D] between attention and feed-forward */
	float *gate_up; /* [T x 2F], [T x F] without a gate */
	/* [T x D], [T]: what comes out of a branch, and of the norm behind it, of kinds that have
	 * one */
	float *y[LAYER_BRANCHES], *r_behind[LAYER_BRANCHES];
};

struct tape_piece {
	const struct packing *packing; /* borrowed */
	int                   first;   /* its tokens' place on the tape */
};

struct tape {
	struct model_shape shape;
	int                recompute;
	int                n_tokens, most_tokens; /* of all pieces */
	int                largest;               /* tokens of the largest piece that fits */
	struct tape_piece *pieces;                /* [n_pieces] owned */
	int                n_pieces;
	size_t             room_pieces;
	float             *data; /* owned; all below points into it */
	/* [L] of all tokens; with recompute x alone, and the rest is that of `again` */
	struct tape_layer *layers;
	struct tape_layer  again;   /* of one piece; its x is not used */
	float             *x_final; /* [T x D] before the last norm */
	float             *r_final; /* [T] */
};

int    tape_new(const struct model_shape *s, int recompute, struct tape **out);
void   tape_free(struct tape *t);
size_t tape_bytes(const struct model_shape *s, int recompute, int tokens, int largest);

/* Forgets all pieces; then it has room for pieces of so many tokens together, the largest of
 * `largest`. */
int tape_begin(struct tape *t, int tokens, int largest);

/* The next piece, which model_forward fills. */
int tape_add(struct tape *t, const struct packing *b, struct tape_piece *out);

/* The rows of a piece: what layer i computes, and what it leaves to the next one. */
struct tape_layer tape_layer_of(const struct tape *t, const struct tape_piece *p, int i);
float            *tape_output_of(const struct tape *t, const struct tape_piece *p, int i);

#endif
