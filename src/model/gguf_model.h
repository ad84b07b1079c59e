/* gguf_model.h - a model in one GGUF file, as llama.cpp has it: shape, weights, and what of the
 * tokenizer is the model's business (which ids end a completion). The texts of the tokenizer are
 * text/tokenizer_gguf.c's, the container base/gguf.h's, the numbers gguf_quant.h's.
 *
 *     general.architecture                    a row of the table in kind.c: llama, qwen2, ...
 *     ARCH.block_count, ...                   the sizes; a key of the architecture that is not
 *                                             known is refused by its name, like one whose value
 *                                             changes what is computed
 *     token_embd.weight, blk.0.attn_q.weight  the weights; without output.weight the embedding is
 *                                             the head
 *     rope_freqs.weight                       by what each rotary frequency is divided: Llama 3's
 *                                             scaling, or refused
 *
 * Files of `llama` turn neighbouring rows of a head's q and k, ours row j and row E/2 + j, so that
 * row 2j + s of a head there is row s E/2 + j here:
 *
 *     there      0      1     2      3    ...
 *     here       0     E/2    1   E/2 + 1 ... */
#ifndef MODEL_GGUF_MODEL_H
#define MODEL_GGUF_MODEL_H

#include "base/gguf.h"
#include "model/adapter.h"
#include "model/weights.h"

/* As folder_read_shape and folder_read_weights. */
int gguf_model_read_shape(const char *path, struct model_shape *out);
int gguf_model_read_weights(const char *path, const struct model_shape *shape, struct weights *out);

/* ---- writing: values of the model, then those of the tokenizer, then all of the file ---- */

/* ERR_INPUT when no GGUF file can say what this model computes. */
int gguf_model_check(const struct model_shape *s);

/* Of a shape that passed the check: ADDS general.* and ARCH.*. type: F32, F16, BF16 or Q8_0
 * (gguf_quant_writes). */
void gguf_model_values(const struct model_shape *s, const char *name, uint32_t type,
                       struct gguf_out *o);

/* The file appears whole or not at all. Vectors are F32 in any case; a matrix whose rows are no
 * whole blocks is F16. Consumes what o holds: the tensors are added here. */
int gguf_model_write(const char *path, const struct weights *w, uint32_t type, struct gguf_out *o);

/* An adapter for a model of this shape in a file of its own, as llama.cpp's --lora takes it:
 * general.type "adapter", blk.0.attn_q.weight.lora_a [r x in] and .lora_b [out x r],
 * adapter.lora.alpha, by which and the rank it is scaled: alpha / r. */
int gguf_adapter_write(const char *path, const struct adapter *adapter, const struct model_shape *s,
                       const char *name, uint32_t type);

#endif
