/* kind.h - the kinds of models: decoders that differ from Llama by a part or two. A row of the
 * table in kind.c says what a kind is called in config.json, of which parts it is made, and what a
 * key that its config.json leaves out means there. Which tensors a part brings stands in weights.c,
 * what it computes in transformer.c.
 *
 *     llama      Llama 2, 3, 3.2, SmolLM2    the plain one
 *                                            arXiv:2307.09288, 2407.21783, 2502.02737
 *     qwen2      Qwen2, Qwen2.5              biases of the queries, keys and values
 *                                            arXiv:2407.10671, 2412.15115
 *     qwen3      Qwen3                       RMSNorm of each query and key head before it is
 *                                            rotated; arXiv:2505.09388
 *     mistral    Mistral 7B, Nemo            queries may see a window of the last positions alone
 *                                            arXiv:2310.06825
 *     granite    Granite 3                   constants that scale the embedding, the scores, what a
 *                                            layer adds and the logits; arXiv:2408.13359
 *     olmo2      OLMo 2                      norms behind attention and feed-forward, none before;
 *                                            queries and keys normed over all heads together
 *                                            arXiv:2501.00656
 *     smollm3    SmolLM3                     every fourth layer is not rotated; arXiv:2501.18795
 *     seed_oss   Seed-OSS                    biases as in qwen2
 *     phi3       Phi-3, Phi-3.5 mini         q, k, v are one tensor, gate and up another
 *                                            arXiv:2404.14219
 *     gemma2     Gemma 2                     norms before and behind, their gains 1 + w; GeGLU;
 *                                            scores and logits capped; every second layer local
 *                                            arXiv:2408.00118
 *     gemma3     Gemma 3 (text)              as gemma2 without caps, with norms of heads; local
 *                                            layers have another rotary base; arXiv:2503.19786
 *     gpt2       GPT-2                       LayerNorm, biases everywhere, learned positions, no
 *                                            gate; its matrices lie transposed in the files */
#ifndef MODEL_KIND_H
#define MODEL_KIND_H

#include "model/shape.h"

enum kind_part { /* bits */
	         PART_QKV_BIAS = 1,
	         PART_QK_NORM = 2,      /* of each head */
	         PART_QK_NORM_ALL = 4,  /* of all heads together */
	         PART_NORM_BEFORE = 8,  /* of what goes into attention and feed-forward */
	         PART_NORM_BEHIND = 16, /* of what comes out of them */
	         PART_FUSED = 32,       /* one tensor for q, k, v, one for gate and up */
	         PART_WINDOW = 64,      /* config.json may ask for local layers */
	         PART_NOPE = 128,       /* ... for layers that are not rotated */
	         PART_SCALES = 256,     /* ... for constants that scale, under Granite's names */
	         PART_CAPS = 512, /* ... for caps, and another width in the scores: Gemma's names */
	         PART_GPT2 =
	                 1024, /* biases of all products and norms, learned positions, its names */
};

/* RMSNorm, RMSNorm with gains 1 + w, LayerNorm */
enum kind_norm { NORM_RMS, NORM_RMS_ONE, NORM_LAYER };
/* silu(g) * u, gelu(g) * u, gelu(g) */
enum kind_mlp { MLP_SWIGLU, MLP_GEGLU, MLP_GELU };

struct kind {
	const char    *model_type, *architecture; /* "qwen2", "Qwen2ForCausalLM" */
	unsigned       parts;
	enum kind_norm norm;
	enum kind_mlp  mlp;
	const char    *activation; /* as config.json names what is in the feed-forward part */
	/* "sliding_window" counts only with "use_sliding_window": true */
	int window_switch;
	int lists_layers; /* its config.json may list which layers are local */
	/* where it does not: all but every n-th, or all from the n-th on; both 0: all */
	int local_but, local_from;
	int embedding_by_width; /* the embedding is scaled by sqrt(D) */
	int pad; /* the id that transformers pads with, if config.json names none; 0: none */
	/* general.architecture of GGUF files, NULL: none is read or written; they turn neighbouring
	 * rows of q and k (gguf_model.h) */
	const char *gguf;
	int         gguf_turned;
	/* what a key means that config.json leaves out; n_kv_heads 0: n_heads, head_width 0:
	 * width / n_heads */
	struct model_shape missing;
};

const struct kind *kind_of(const struct model_shape *s);
int                kind_has(const struct model_shape *s, enum kind_part part);

/* Writes the kind of this model_type; 0 when there is none. */
int kind_find(const char *model_type, enum model_kind *out);
/* The same by general.architecture of a GGUF file. */
int kind_find_gguf(const char *architecture, enum model_kind *out);

/* "llama, qwen2, qwen3, ...": for messages; for_gguf: those that GGUF files have, by the names
 * there */
enum { KIND_NAMES_BYTES = 256 };
const char *kind_names(int for_gguf, char out[KIND_NAMES_BYTES]);

/* What a token's embedding and a layer's scores are multiplied by. */
double kind_embedding_scale(const struct model_shape *s);
double kind_score_scale(const struct model_shape *s);

/* Columns of what goes into the activation: 2F, or F without a gate. */
int kind_inner_width(const struct model_shape *s);

/* What layer i does. */
int kind_is_local(const struct model_shape *s, int layer);
int kind_is_turned(const struct model_shape *s, int layer);
/* The positions that a query of layer i sees, its own included; 0: all. */
int kind_window(const struct model_shape *s, int layer);

#endif
