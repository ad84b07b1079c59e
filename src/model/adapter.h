/* adapter.h - LoRA (arXiv:2106.09685): a model learns through a small sum beside some of its
 * products, while its own weights stand still.
 *
 *     Y = X W^T + s (X A^T) B^T       A [r x in], B [out x r], s = lora_alpha / r, or lora_alpha /
 *                                     sqrt(r) (rsLoRA, arXiv:2312.03732)
 *
 *     dB = s dY^T U,   dU = s dY B,   dA = dU^T X,   dX += dU A       with U = X A^T
 *
 * So the gradient comes from the activations; nothing of the size of W's gradient is ever held. The
 * sum is never merged into W while the model learns: decoding and training compute the same
 * products in the same order, an update packs A and B alone, and without the sum the very same
 * packed weights are the model that the adapter began from, bit for bit.
 *
 * Projections of one input are one product (weights.h), and so are their adapters: the A of q, k
 * and v lie one below the other, [R x in] with R = r times the adapted ones; packed, their B are
 * one [out x R] matrix that holds s B_q, s B_k, s B_v as blocks down its diagonal and 0 elsewhere.
 *
 * A starts uniform in +-1/sqrt(in), B at 0 (as in PEFT): an adapter that has not learned yet
 * changes nothing. Tensors have PEFT's names. */
#ifndef MODEL_ADAPTER_H
#define MODEL_ADAPTER_H

#include "math/matmul.h"
#include "model/gradient.h"
#include "model/weights.h"

enum { ADAPTER_TARGETS = 12, ADAPTER_PARTS = 3, ADAPTER_RANK_MAX = 4096 };
/* "q_proj", ..., "down_proj", then those of kinds with other names (kind.h) */
extern const char *const adapter_target_name[ADAPTER_TARGETS];

struct adapter_options {
	int      rank;
	double   alpha;
	int      rslora;
	unsigned targets; /* bit i: adapter_target_name[i] */
};

struct adapter_part {      /* one adapted projection of a product */
	size_t a, b;       /* offsets of its A and B in the weights */
	int    row, n_out; /* its outputs within the product's */
};

struct adapter_product { /* n_parts 0: not adapted */
	int                   n_in, n_out, n_parts;
	struct adapter_part   parts[ADAPTER_PARTS];
	struct matmul_weight *A, *B; /* packed; see above */
};

struct adapter {
	struct adapter_options options;
	/* what learns: every A and B; the shape has nothing but its width */
	struct weights weights;
	struct matmul *mm; /* borrowed */
	struct adapter_product (*layers)[LAYER_PRODUCTS];
	/* the largest R, the longest side of an adapted product */
	int    n_layers, most_rank, most_side;
	size_t most_fused; /* the largest out * R */
	float *fused;      /* [most_fused] room to fuse B in */
};

/* The bit of a name; ERR_INPUT when there is no such projection. */
int adapter_target(const char *name, unsigned *bit);
/* Those of the targets that a model of these weights has. */
unsigned adapter_targets_in(const struct weights *base);
/* ERR_INPUT, naming the key as adapter_config.json has it */
int adapter_check(const struct adapter_options *o);

/* For a model of these weights, of which it keeps nothing; A and B are 0. Of the targets it keeps
 * those that the model has; ERR_INPUT when it has none. for_backward = 0: it will not learn. */
int  adapter_new(const struct adapter_options *o, const struct weights *base, struct matmul *mm,
                 int for_backward, struct adapter **out);
void adapter_free(struct adapter *a);
/* floats of all A and B */
size_t adapter_count(const struct adapter_options *o, const struct weights *base);
/* where the weights of a layer lie */
struct weights_span adapter_span(const struct adapter *a, int layer);
/* for the memory bill */
size_t adapter_bytes(const struct adapter *a, int for_backward);

void adapter_init(struct adapter *a, uint64_t seed);
int  adapter_pack(struct adapter *a); /* after its weights changed */

/* W += s B A for every adapted projection of w; the sum over r in double. */
void adapter_merge(const struct adapter *a, struct weights *w);

/* ---- beside a product of a layer ---- */

struct adapter_scratch { /* of so many rows, in an arena */
	float *u, *du;   /* [rows x R] */
	float *y;        /* [rows x longest side] */
	float *db;       /* [out x R]; NULL when there is no backward pass */
};
int adapter_scratch(const struct adapter *a, int rows, int for_backward, struct arena *arena,
                    struct adapter_scratch *out);

/* ADDS to Y [n x out] of a product of a layer, n at most the rows of the scratch. */
int adapter_forward(const struct adapter_product *p, int n, const float *X,
                    const struct adapter_scratch *s, float *Y);

struct adapter_rows { /* of one gradient unit */
	uint32_t     unit;
	int          n;
	const float *X, *dY; /* [n x in], [n x out] */
	float       *dX;     /* [n x in] ADDED to */
};
/* The gradient of the unit's A and B goes into its place in g. */
int adapter_backward(const struct adapter *a, int layer, enum product p,
                     const struct adapter_rows *r, const struct adapter_scratch *s,
                     struct gradient *g);

#endif
