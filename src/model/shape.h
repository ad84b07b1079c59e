/* shape.h - the sizes of a model, and the letters for them. These letters mean the same thing in
 * every file.
 *
 *     L layers            D width of the residual stream     V entries of the vocabulary
 *     H query heads       K key/value heads (K divides H)    E width of one head (H*E need not be
 *                                                            D)
 *     F width of the feed-forward part
 *     T tokens of a batch, N rows for which logits are wanted, P problems, G completions of each, B
 *     = P*G rollouts, U gradient units
 *
 * Arrays are row-major; a comment such as [T x D] gives the shape, the last letter running
 * fastest. */
#ifndef MODEL_SHAPE_H
#define MODEL_SHAPE_H

#include <stddef.h>

enum { SHAPE_EOS_MAX = 8, HEAD_WIDTH_MAX = 256, SHAPE_LAYERS_MAX = 1 << 10 };

/* rows of the table in kind.c */
enum model_kind {
	MODEL_LLAMA,
	MODEL_QWEN2,
	MODEL_QWEN3,
	MODEL_MISTRAL,
	MODEL_GRANITE,
	MODEL_OLMO2,
	MODEL_SMOLLM3,
	MODEL_SEED_OSS,
	MODEL_PHI3,
	MODEL_GEMMA2,
	MODEL_GEMMA3,
	MODEL_GPT2,
	MODEL_KINDS
};

enum rope_kind { ROPE_PLAIN, ROPE_LINEAR, ROPE_LLAMA3 };

struct rope_scaling { /* see rope.h; what a kind does not use is 0 */
	enum rope_kind kind;
	int            original_positions;
	double         factor, low_freq_factor, high_freq_factor;
};

/* what sets a layer apart from the others; bits */
enum layer_trait {
	LAYER_LOCAL = 1,    /* its queries see the last `window` positions alone */
	LAYER_UNTURNED = 2, /* its queries and keys are not rotated */
};

/* Constants that multiply what a model computes; 0: there is none. */
struct model_scales {
	double embedding, residual; /* of what a token brings, of what a branch of a layer adds */
	double score;               /* of q . k; 0: 1 / sqrt(E) */
	double query_width;         /* E of that, where the kind sets another */
	double score_cap;           /* s = cap tanh(s / cap), of the scores */
	double logit_divisor, logit_cap;
};

struct model_shape {
	enum model_kind kind;
	/* L D H K E F V */
	int                 n_layers, width, n_heads, n_kv_heads, head_width, ff_width, n_vocab;
	int                 n_positions; /* the longest sequence the model was made for */
	double              rope_theta;
	struct rope_scaling rope;
	double              local_theta; /* of local layers; 0: rope_theta, scaled as others */
	double              norm_eps;
	struct model_scales scales;
	int                 window;                   /* of local layers; 0: it is all */
	unsigned char       layers[SHAPE_LAYERS_MAX]; /* [L] traits */
	int                 tied;                     /* the output projection is the embedding */
	int                 bos;                      /* token id or -1 */
	/* ids that end a completion; generation_config.json wins over config.json */
	int eos[SHAPE_EOS_MAX], n_eos;
};

#endif
