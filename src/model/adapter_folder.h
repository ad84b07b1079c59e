/* adapter_folder.h - an adapter on disk, as PEFT lays it out: what it writes we load, what we write
 * it loads.
 *
 *     adapter_config.json          {"peft_type": "LORA", "base_model_name_or_path", "r",
 *                                  "lora_alpha", "target_modules", "use_rslora", ...}
 *     adapter_model.safetensors    "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
 *                                  [r x in], ...lora_B.weight [out x r]
 *
 * A setting that would change what the adapter computes and that we do not have (DoRA, trained
 * biases, other ranks for some layers, saved copies of modules, an initialisation that changed the
 * base, ...) is refused by its key. Dropout is passed over: here it is 0. Names in target_modules
 * are the last part of a projection's name; patterns are refused. */
#ifndef MODEL_ADAPTER_FOLDER_H
#define MODEL_ADAPTER_FOLDER_H

#include "model/adapter.h"
#include "model/safetensors.h"

int adapter_folder_is(const char *folder, int *is); /* whether it holds an adapter_config.json */

/* *base: the folder of the model that the adapter belongs to, as the file names it, in `a`; "" when
 * it does not say. */
int adapter_folder_read_options(const char *folder, struct adapter_options *out, struct arena *a,
                                const char **base);

/* A new, packed *out for the model `base`. ERR_INPUT: a tensor is missing, not known, of another
 * shape than the base and the options make it, or not finite. */
int adapter_folder_read(const char *folder, const struct adapter_options *o,
                        const struct weights *base, struct matmul *mm, int for_backward,
                        struct adapter **out);

/* The same into an adapter that is there. */
int adapter_folder_load(const char *folder, struct adapter *adapter);

/* Makes the folder where it is missing and writes both files, the weights last and as `type`. */
int adapter_folder_write(const char *folder, const struct adapter *adapter,
                         enum safetensors_type type, const char *base);

#endif
