/* kind.h - the kinds of models: decoders that differ from Llama by a part or two. A row of the
 * table in kind.c says what a kind is called in config.json, which parts it has, and what a key
 * that its config.json leaves out means there. Which tensors a part brings stands in weights.c,
 * what it computes in transformer.c.
 *
 *     llama    Llama 2, 3, 3.2, SmolLM2     no other part
 *                                           arXiv:2307.09288, 2407.21783, 2502.02737
 *     qwen2    Qwen2, Qwen2.5               biases of the queries, keys and values
 *                                           arXiv:2407.10671, 2412.15115
 *     qwen3    Qwen3                        RMSNorm of each query and key head before it is rotated
 *                                           arXiv:2505.09388 */
#ifndef MODEL_KIND_H
#define MODEL_KIND_H

#include "model/shape.h"

enum kind_part { PART_QKV_BIAS = 1, PART_QK_NORM = 2 }; /* bits */

struct kind {
	const char *model_type, *architecture; /* "qwen2", "Qwen2ForCausalLM" */
	unsigned    parts;
	/* "sliding_window" counts only with "use_sliding_window": true */
	int window_switch;
	/* of a config.json that does not say; 0: n_heads, width / n_heads */
	int n_positions, n_kv_heads, head_width;
	/* GGUF files turn neighbouring rows of q and k (gguf_model.h) */
	int gguf_turned;
};

const struct kind *kind_of(const struct model_shape *s);
int                kind_has(const struct model_shape *s, enum kind_part part);

/* Writes the kind of this model_type; 0 when there is none. */
int kind_find(const char *model_type, enum model_kind *out);

/* "llama, qwen2, qwen3": for messages */
const char *kind_names(void);

#endif
