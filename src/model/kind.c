#include "model/kind.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
	LLAMA_PARTS = PART_NORM_BEFORE,
	GEMMA_PARTS = PART_NORM_BEFORE | PART_NORM_BEHIND | PART_WINDOW | PART_CAPS,
};

/* clang-format off */
static const struct kind kinds[MODEL_KINDS] = {
	[MODEL_LLAMA] = {
		"llama", "LlamaForCausalLM", LLAMA_PARTS, .activation = "silu",
		.gguf = "llama", .gguf_turned = 1,
		.missing = {.n_positions = 2048, .rope_theta = 10000, .norm_eps = 1e-6}},
	[MODEL_QWEN2] = {
		"qwen2", "Qwen2ForCausalLM", LLAMA_PARTS | PART_QKV_BIAS | PART_WINDOW, .activation = "silu",
		.window_switch = 1, .lists_layers = 1, .local_from = 28, .gguf = "qwen2",
		.missing = {.n_positions = 32768, .n_kv_heads = 32, .rope_theta = 10000, .norm_eps = 1e-6,
		            .window = 4096}},
	[MODEL_QWEN3] = {
		"qwen3", "Qwen3ForCausalLM", LLAMA_PARTS | PART_QK_NORM | PART_WINDOW, .activation = "silu",
		.window_switch = 1, .lists_layers = 1, .local_from = 28, .gguf = "qwen3",
		.missing = {.n_positions = 32768, .n_kv_heads = 32, .head_width = 128, .rope_theta = 10000,
		            .norm_eps = 1e-6, .window = 4096}},
	[MODEL_MISTRAL] = {
		"mistral", "MistralForCausalLM", LLAMA_PARTS | PART_WINDOW, .activation = "silu",
		.gguf = "llama", .gguf_turned = 1,
		.missing = {.n_positions = 131072, .n_kv_heads = 8, .rope_theta = 10000, .norm_eps = 1e-6,
		            .window = 4096}},
	[MODEL_GRANITE] = {
		"granite", "GraniteForCausalLM", LLAMA_PARTS | PART_SCALES, .activation = "silu",
		.gguf = "granite", .gguf_turned = 1,
		.missing = {.n_positions = 2048, .rope_theta = 10000, .norm_eps = 1e-6,
		            .scales = {.embedding = 1, .residual = 1, .score = 1, .logit_divisor = 1}}},
	[MODEL_OLMO2] = {
		"olmo2", "Olmo2ForCausalLM", PART_NORM_BEHIND | PART_QK_NORM_ALL, .activation = "silu",
		.gguf = "olmo2",
		.missing = {.n_positions = 2048, .rope_theta = 10000, .norm_eps = 1e-5}},
	[MODEL_SMOLLM3] = {
		"smollm3", "SmolLM3ForCausalLM", LLAMA_PARTS | PART_WINDOW | PART_NOPE, .activation = "silu",
		.window_switch = 1, .lists_layers = 1, .pad = 128004, .gguf = "smollm3", .gguf_turned = 1,
		.missing = {.n_positions = 32768, .n_kv_heads = 4, .rope_theta = 2000000, .norm_eps = 1e-6,
		            .tied = 1}},
	[MODEL_SEED_OSS] = {
		"seed_oss", "SeedOssForCausalLM", LLAMA_PARTS | PART_QKV_BIAS, .activation = "silu",
		.gguf = "seed_oss",
		.missing = {.n_positions = 524288, .n_kv_heads = 8, .head_width = 128, .rope_theta = 10000,
		            .norm_eps = 1e-6}},
	[MODEL_PHI3] = {
		"phi3", "Phi3ForCausalLM", LLAMA_PARTS | PART_FUSED | PART_WINDOW, .activation = "silu",
		.pad = 32000, .gguf = "phi3",
		.missing = {.n_positions = 4096, .rope_theta = 10000, .norm_eps = 1e-5}},
	[MODEL_GEMMA2] = {
		"gemma2", "Gemma2ForCausalLM", GEMMA_PARTS, NORM_RMS_ONE, MLP_GEGLU, "gelu_pytorch_tanh",
		.lists_layers = 1, .local_but = 2, .embedding_by_width = 1,
		.missing = {.n_positions = 8192, .n_kv_heads = 4, .head_width = 256, .rope_theta = 10000,
		            .norm_eps = 1e-6, .tied = 1, .window = 4096,
		            .scales = {.query_width = 256, .score_cap = 50, .logit_cap = 30}}},
	[MODEL_GEMMA3] = {
		"gemma3_text", "Gemma3ForCausalLM", GEMMA_PARTS | PART_QK_NORM, NORM_RMS_ONE, MLP_GEGLU,
		"gelu_pytorch_tanh",
		.lists_layers = 1, .local_but = 6, .embedding_by_width = 1,
		.missing = {.n_positions = 131072, .n_kv_heads = 4, .head_width = 256, .rope_theta = 1000000,
		            .local_theta = 10000, .norm_eps = 1e-6, .tied = 1, .window = 4096,
		            .scales = {.query_width = 256}}},
	[MODEL_GPT2] = {
		"gpt2", "GPT2LMHeadModel", PART_NORM_BEFORE | PART_QKV_BIAS | PART_FUSED | PART_GPT2, NORM_LAYER,
		MLP_GELU, "gelu_new", .gguf = "gpt2",
		.missing = {.n_positions = 1024, .rope_theta = 10000, .norm_eps = 1e-5, .tied = 1}},
};
/* clang-format on */

const struct kind *kind_of(const struct model_shape *s)
{
	assert((unsigned)s->kind < MODEL_KINDS);
	return &kinds[s->kind];
}

int kind_has(const struct model_shape *s, enum kind_part part)
{
	return (kind_of(s)->parts & (unsigned)part) != 0;
}

/* ---- names ---- */

static const char *kind_name(int i, int for_gguf)
{
	return for_gguf ? kinds[i].gguf : kinds[i].model_type;
}

static int kind_search(const char *name, int for_gguf, enum model_kind *out)
{
	for (int i = 0; i < MODEL_KINDS; i++) {
		if (!kind_name(i, for_gguf) || strcmp(kind_name(i, for_gguf), name) != 0)
			continue;
		*out = (enum model_kind)i;
		return 1;
	}
	return 0;
}

int kind_find(const char *model_type, enum model_kind *out)
{
	return kind_search(model_type, 0, out);
}

int kind_find_gguf(const char *architecture, enum model_kind *out)
{
	return kind_search(architecture, 1, out);
}

/* A name that several kinds have stands once. */
const char *kind_names(int for_gguf, char out[KIND_NAMES_BYTES])
{
	size_t          n = 0;
	enum model_kind first;

	for (int i = 0; i < MODEL_KINDS; i++) {
		const char *name = kind_name(i, for_gguf);
		if (name && kind_search(name, for_gguf, &first) && (int)first == i)
			n += (size_t)snprintf(out + n, KIND_NAMES_BYTES - n, "%s%s", n ? ", " : "",
			                      name);
		assert(n < KIND_NAMES_BYTES);
	}
	return out;
}

/* ---- what follows from a kind and its sizes ---- */

double kind_embedding_scale(const struct model_shape *s)
{
	if (kind_of(s)->embedding_by_width)
		return sqrt(s->width);
	return s->scales.embedding ? s->scales.embedding : 1;
}

double kind_score_scale(const struct model_shape *s)
{
	if (s->scales.score)
		return s->scales.score;
	return 1 / sqrt(s->scales.query_width ? s->scales.query_width : s->head_width);
}

int kind_inner_width(const struct model_shape *s)
{
	return kind_of(s)->mlp == MLP_GELU ? s->ff_width : 2 * s->ff_width;
}

int kind_is_local(const struct model_shape *s, int layer)
{
	return (s->layers[layer] & LAYER_LOCAL) != 0;
}

int kind_is_turned(const struct model_shape *s, int layer)
{
	return !kind_has(s, PART_GPT2) && !(s->layers[layer] & LAYER_UNTURNED);
}

int kind_window(const struct model_shape *s, int layer)
{
	return kind_is_local(s, layer) ? s->window : 0;
}
