/* folder.h - a model folder in Hugging Face layout: what transformers writes we read, what we write
 * transformers reads.
 *
 *     config.json                       the shape of the model
 *     generation_config.json            optional: which ids end a completion; the rest of it in
 *                                       generation.h
 *     model.safetensors                 the weights, or
 *     model.safetensors.index.json      the names of the files that hold them: {"weight_map":
 *                                       {"tensor": "file"}}
 *     tokenizer.json, ...               not read here; copied when a folder is written
 *
 * A setting that would change what the model computes and that we do not have is refused by its
 * key, never passed over. Kinds of models are rows of a table in kind.c. Every file is checked
 * before it is used; errors name file, key or tensor.
 *
 * Where a folder is read a GGUF file may stand, which is a model by itself (gguf_model.h). */
#ifndef MODEL_FOLDER_H
#define MODEL_FOLDER_H

#include "model/safetensors.h"
#include "model/weights.h"

/* From config.json; bos and eos from generation_config.json where that has them. Ids that end a
 * completion: as stored, at most SHAPE_EOS_MAX. */
int folder_read_shape(const char *folder, struct model_shape *out);

/* A new *out of this shape, as f32. Every tensor of the weights' table must be there, once, with
 * the shape that the table says, finite; a tensor that the table does not know is an error, but for
 * what lies beside a model and is passed over (tables of rotary positions, masked_bias, TRL's
 * v_head), and for the lm_head of a tied model, which must equal the embedding bit for bit. Files
 * of an index may lie in folders within the folder. model.safetensors goes before an index. */
int folder_read_weights(const char *folder, const struct model_shape *shape, struct weights *out);

/* The same over weights that are there already, of their shape: no second copy. On an error they
 * are partly overwritten. */
int folder_load_weights(const char *folder, struct weights *w);

/* Makes the folder where it is missing and writes config.json, generation_config.json,
 * model.safetensors (as `type`) and copies of the tokenizer files of the folder `source` (NULL:
 * none), whose generation_config.json is kept but for its ids. Each file appears whole or not at
 * all, model.safetensors last. */
int folder_write(const char *folder, const struct weights *w, enum safetensors_type type,
                 const char *source);

#endif
