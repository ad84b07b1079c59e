#include "model/published.h"

#include "base/error.h"

#include <string.h>

static const struct published {
	const char        *name;
	struct model_shape shape;
} table[] = {
        {"SmolLM2-135M",
         {.kind = MODEL_LLAMA,
          .n_layers = 30,
          .width = 576,
          .n_heads = 9,
          .n_kv_heads = 3,
          .head_width = 64,
          .ff_width = 1536,
          .n_vocab = 49152,
          .n_positions = 8192,
          .rope_theta = 100000,
          .norm_eps = 1e-5,
          .tied = 1,
          .bos = 0,
          .eos = {0},
          .n_eos = 1}},
        {"Qwen2.5-0.5B",
         {.kind = MODEL_QWEN2,
          .n_layers = 24,
          .width = 896,
          .n_heads = 14,
          .n_kv_heads = 2,
          .head_width = 64,
          .ff_width = 4864,
          .n_vocab = 151936,
          .n_positions = 32768,
          .rope_theta = 1000000,
          .norm_eps = 1e-6,
          .tied = 1,
          .bos = 151643,
          .eos = {151645, 151643},
          .n_eos = 2}},
        {"Qwen3-0.6B",
         {.kind = MODEL_QWEN3,
          .n_layers = 28,
          .width = 1024,
          .n_heads = 16,
          .n_kv_heads = 8,
          .head_width = 128,
          .ff_width = 3072,
          .n_vocab = 151936,
          .n_positions = 40960,
          .rope_theta = 1000000,
          .norm_eps = 1e-6,
          .tied = 1,
          .bos = 151643,
          .eos = {151645, 151643},
          .n_eos = 2}},
        {"Llama-3.2-1B",
         {.kind = MODEL_LLAMA,
          .n_layers = 16,
          .width = 2048,
          .n_heads = 32,
          .n_kv_heads = 8,
          .head_width = 64,
          .ff_width = 8192,
          .n_vocab = 128256,
          .n_positions = 131072,
          .rope_theta = 500000,
          .rope = {.kind = ROPE_LLAMA3,
                   .original_positions = 8192,
                   .factor = 32,
                   .low_freq_factor = 1,
                   .high_freq_factor = 4},
          .norm_eps = 1e-5,
          .tied = 1,
          .bos = 128000,
          .eos = {128001, 128008, 128009},
          .n_eos = 3}},
};

static const char *published_name_at(int i)
{
	return (size_t)i < sizeof table / sizeof *table ? table[i].name : NULL;
}

const struct model_shape *published_shape(const char *name)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (!strcmp(table[i].name, name))
			return &table[i].shape;
	error_unknown("shape", name, published_name_at);
	return NULL;
}
