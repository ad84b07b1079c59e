/* value_head.h - a value head: one number for every target of a packing, from the hidden state that
 * predicts it.
 *
 *     v_i = score . hidden[row_i] + bias          row_i as in packing.h: the state before target i
 *                                                 was drawn
 *
 * The head has weights of its own (score.weight [1 x D], score.bias [1]) and a gradient of its own,
 * summed over the units in the same fixed tree as the model's (gradient.h). It starts at 0, so that
 * every value does, or at random. */
#ifndef MODEL_VALUE_HEAD_H
#define MODEL_VALUE_HEAD_H

#include "model/gradient.h"
#include "model/packing.h"
#include "model/weights.h"

struct value_head {
	struct weights  weights; /* two tensors; the shape has nothing but its width */
	struct gradient gradient;
};

/* std: of the weights at the start, drawn from the seed; 0: none is drawn, all are 0. The bias is
 * 0. */
int  value_head_new(int width, double std, uint64_t seed, struct value_head *out);
void value_head_free(struct value_head *h);

/* value [N] of the N targets of the packing under hidden [T x D]. */
void value_head_forward(const struct value_head *h, const struct packing *b, const float *hidden,
                        float *value);

/* A step of such units, before the first batch and after the last: then gradient.level[0] holds
 * the sum (of several ranks, of their slices). */
int value_head_begin(struct value_head *h, const struct gradient_units *units);
int value_head_finish(struct value_head *h);

/* From d_value [N] = dL/dv ADDS to d_hidden [T x D], and adds the head's gradient of the batch's
 * units to h->gradient. */
void value_head_backward(struct value_head *h, const struct packing *b, const float *hidden,
                         const float *d_value, float *d_hidden);

#endif
