/* config.json and generation_config.json of a model, with a NUL byte between them: a shape that is
 * accepted can be built and counted without overflow. */
#include "fuzz.h"

#include "model/folder.h"
#include "model/generation.h"

static void check_shape(const struct model_shape *s)
{
	PROMISE(s->n_eos >= 0 && s->n_eos <= SHAPE_EOS_MAX);
	if (weights_check_shape(s) != OK)
		return;
	PROMISE(s->n_heads % s->n_kv_heads == 0 && s->head_width % 2 == 0 &&
	        s->head_width <= HEAD_WIDTH_MAX);
	PROMISE(weights_count(s) >= (size_t)s->n_vocab * (size_t)s->width);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int         linked;
	struct fuzz_part   config = fuzz_next(&data, &n);
	struct model_shape shape;
	struct generation  generation;
	struct arena       arena = {0};

	if (!linked++) {
		fuzz_link("config.json", 0);
		fuzz_link("generation_config.json", 1);
	}
	fuzz_file(0, config.s, config.n);
	fuzz_file(1, n ? (const void *)data : "{}", n ? n : 2);
	if (folder_read_shape(fuzz_folder(), &shape) == OK)
		check_shape(&shape);
	else
		PROMISE(strstr(error_message(), fuzz_folder()));
	if (generation_read(fuzz_folder(), &arena, &generation) == OK)
		PROMISE(generation.top_p > 0 && generation.penalty.repetition > 0 &&
		        generation.penalty.ngram >= 0);
	arena_free(&arena);
	return 0;
}
