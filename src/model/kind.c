#include "model/kind.h"

#include <assert.h>
#include <string.h>

static const struct kind kinds[MODEL_KINDS] = {
        [MODEL_LLAMA] = {"llama", "LlamaForCausalLM", 0, 0, 2048, 0, 0, 1},
        [MODEL_QWEN2] = {"qwen2", "Qwen2ForCausalLM", PART_QKV_BIAS, 1, 32768, 32, 0, 0},
        [MODEL_QWEN3] = {"qwen3", "Qwen3ForCausalLM", PART_QK_NORM, 1, 32768, 32, 128, 0},
};

const struct kind *kind_of(const struct model_shape *s)
{
	assert((unsigned)s->kind < MODEL_KINDS);
	return &kinds[s->kind];
}

int kind_has(const struct model_shape *s, enum kind_part part)
{
	return (kind_of(s)->parts & (unsigned)part) != 0;
}

int kind_find(const char *model_type, enum model_kind *out)
{
	for (int i = 0; i < MODEL_KINDS; i++) {
		if (strcmp(kinds[i].model_type, model_type) != 0)
			continue;
		*out = (enum model_kind)i;
		return 1;
	}
	return 0;
}

const char *kind_names(void)
{
	return "llama, qwen2, qwen3";
}
