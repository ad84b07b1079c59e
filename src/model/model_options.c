#include "model/model_options.h"

#include <limits.h>

#define SYNC "model.sync_ref_model=true"
#define HOME struct model_options
#define ROOM "model."
/* clang-format off */
static const struct option model_options[] = {
	TEXT(path, "", 0, 4000,
	     "folder in the Hugging Face layout, or a GGUF file; empty: random weights of the shape model.init"),
	TEXT(tokenizer, "", 0, 4000,
	     "folder or tokenizer.json; chars:ALPHABET makes one of single characters; empty: "
	     "the model's own"),
	TEXT(reference, "", 0, 4000,
	     "folder of the reference model; empty: the weights that the run starts from",
	     .when = "loss.beta!=0"),
	BOOL_AS("sync_ref_model", reference_sync.sync, "false",
	        "the reference follows the policy: every so many steps it becomes a mixture of both",
	        .when = "loss.beta!=0"),
	REAL_AS("ref_model_mixup_alpha", reference_sync.alpha, "0.6", 0, 1,
	        "share of the policy in it", .when = SYNC),
	INT_AS("ref_model_sync_steps", reference_sync.every, "512", 1, INT_MAX,
	       "how many steps; 1, with a small share: a moving average", .when = SYNC),
	TEXT(adapter, "", 0, 4000,
	     "folder of a LoRA adapter of this model, or a run of one, to continue from; only "
	     "the adapter learns", .when = "model.path!="),
	INT_AS("lora_r", lora.rank, "0", 0, 4096,
	       "rank of a new LoRA adapter, and only the adapter learns; 0: none, the model "
	       "itself learns", .when = "model.path!="),
	REAL_AS("lora_alpha", lora.alpha, "32", 1e-6, 1e6,
	        "scales what the adapter adds by lora_alpha / lora_r", .when = "model.lora_r!=0"),
	BOOL_AS("use_rslora", lora.rslora, "false", "scales by lora_alpha / sqrt(lora_r) instead",
	        .when = "model.lora_r!=0"),
	TEXTS(lora_target_modules, "[]", 0, 12,
	      "projections that get an adapter; empty: all, as docs/models.md lists them for each "
	      "kind (q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj for most)", .when = "model.lora_r!=0"),
	INT(init.width, "128", 2, 65536, "width of the residual stream", .when = "model.path="),
	INT(init.n_layers, "4", 1, 1000, "layers", .when = "model.path="),
	INT(init.n_heads, "4", 1, 1024, "query heads", .when = "model.path="),
	INT(init.n_kv_heads, "4", 1, 1024, "key and value heads; divides n_heads",
	    .when = "model.path="),
	INT(init.head_width, "32", 2, 1024, "width of one head; even", .when = "model.path="),
	INT(init.ff_width, "384", 1, 262144, "width of the feed-forward part",
	    .when = "model.path="),
	INT(init.n_positions, "512", 2, 1 << 20, "longest sequence", .when = "model.path="),
	REAL(init.rope_theta, "10000", 1, 1e9, "base of the rotary angles", .when = "model.path="),
	BOOL(init.tied, "true", "the output projection is the embedding", .when = "model.path="),
};
/* clang-format on */
const struct option_table model_options_table = OPTION_TABLE(model_options);
