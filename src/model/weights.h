/* weights.h - all parameters of a model as one flat f32 vector, and the table that says what lies
 * where.
 *
 *     embed, (positions) | layer 0: norm before, q, k, v, (their biases), (norms of q, k), o,
 *     (norm behind), norm before, gate, up, down, (norm behind) | layer 1 ... | norm_final | head
 *
 * What stands in brackets only some kinds have (kind.h); the head is absent when it is tied to the
 * embedding. q, k, v lie side by side, so that they are one [(H+2K)E x D] matrix, and their biases
 * one vector; gate and up likewise are one [2F x D] matrix. Files of some kinds have one tensor for
 * them. A linear tensor is stored [outputs x inputs], as Hugging Face stores it but for GPT-2.
 * Gradients, moments and checkpoints use the same offsets.
 *
 * The table is the only place where tensor names stand. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "base/memory.h"
#include "base/rng.h"
#include "model/shape.h"

enum tensor_kind { TENSOR_EMBED, TENSOR_NORM, TENSOR_BIAS, TENSOR_LINEAR, TENSOR_HEAD };

struct tensor {
	char             name[96]; /* "model.layers.0.self_attn.q_proj.weight" */
	enum tensor_kind kind;
	int              n_dims;        /* 1: a gain or a bias, which is not decayed; 2: a matrix */
	int              rows, columns; /* columns = 1 for a vector */
	int              into_residual; /* its output is added to the residual stream */
	int              transposed;    /* model files have it [columns x rows] */
	size_t           offset, count; /* in floats, within the vector */
};

/* the fused matrices of a layer */
enum product { PRODUCT_QKV, PRODUCT_O, PRODUCT_GATE_UP, PRODUCT_DOWN, LAYER_PRODUCTS };

struct product_shape {
	int n_out, n_in;
};
void weights_products(const struct model_shape *shape, struct product_shape out[LAYER_PRODUCTS]);

struct weights_span { /* of the vector, in floats */
	size_t offset, count;
};

/* a layer adds to the residual stream twice */
enum branch { BRANCH_ATTENTION, BRANCH_MLP, LAYER_BRANCHES };

/* Offsets in floats; 0 is that of the embedding, and stands for what a kind does not have. */
struct norm_offsets {
	size_t gain, bias;
};
struct layer_offsets {
	struct weights_span span;
	struct norm_offsets before[LAYER_BRANCHES], behind[LAYER_BRANCHES];
	size_t              product[LAYER_PRODUCTS], bias[LAYER_PRODUCTS];
	size_t              qk_norm; /* gains of the queries, then of the keys */
};

struct weights {
	struct model_shape    shape;
	struct tensor        *tensors; /* [n_tensors], by offset */
	int                   n_tensors;
	struct layer_offsets *layers;      /* [L] */
	size_t                embed, head; /* head == embed when tied */
	size_t                positions;   /* of kinds that learn them */
	struct norm_offsets   norm_final;
	size_t                n;    /* floats in all */
	float                *data; /* [n] owned */
};

size_t weights_count(const struct model_shape *shape); /* floats in all */

/* Every size positive and bounded, K divides H, E even, ...: ERR_INPUT with the name that
 * config.json has for it. */
int weights_check_shape(const struct model_shape *shape);

/* Checks the shape and allocates; data is zero. */
int  weights_new(const struct model_shape *shape, struct weights *out);
void weights_free(struct weights *w);

/* Normal(0, 0.02) for matrices, with the two projections that write into the residual stream scaled
 * by 1/sqrt(2L) (GPT-2); gains 1, biases 0. */
void weights_init(struct weights *w, uint64_t seed);

const struct tensor *weights_find(const struct weights *w, const char *name); /* or NULL */

/* ERR_INPUT naming the first tensor and index that is not finite. */
int weights_check_finite(const struct weights *w);

#endif
