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

enum { SHAPE_EOS_MAX = 8, HEAD_WIDTH_MAX = 256 };

/* rows of the table in kind.c */
enum model_kind { MODEL_LLAMA, MODEL_QWEN2, MODEL_QWEN3, MODEL_KINDS };

enum rope_kind { ROPE_PLAIN, ROPE_LINEAR, ROPE_LLAMA3 };

struct rope_scaling { /* see rope.h; what a kind does not use is 0 */
	enum rope_kind kind;
	int            original_positions;
	double         factor, low_freq_factor, high_freq_factor;
};

struct model_shape {
	enum model_kind kind;
	/* L D H K E F V */
	int                 n_layers, width, n_heads, n_kv_heads, head_width, ff_width, n_vocab;
	int                 n_positions; /* the longest sequence the model was made for */
	double              rope_theta;
	struct rope_scaling rope;
	double              norm_eps;
	int                 tied; /* the output projection is the embedding */
	int                 bos;  /* token id or -1 */
	/* ids that end a completion; generation_config.json wins over config.json */
	int eos[SHAPE_EOS_MAX], n_eos;
};

#endif
