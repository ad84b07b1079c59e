/* The index of a model in shards: whatever it says, the weights that are read are the model's, or
 * it is refused. */
#include "fuzz.h"

#include "model/folder.h"

static struct model_shape shape = FUZZ_SHAPE(1);
static struct weights     whole;

/* model-1.safetensors and model-2.safetensors, half of the tensors each. */
static void write_shards(void)
{
	struct safetensors_item items[2][16];
	size_t                  n[2] = {0};

	PROMISE(weights_new(&shape, &whole) == OK && whole.n_tensors <= 32);
	weights_init(&whole, 1);
	for (int i = 0; i < whole.n_tensors; i++) {
		const struct tensor *t = &whole.tensors[i];
		items[i % 2][n[i % 2]++] =
		        (struct safetensors_item){.name = t->name,
		                                  .n_dims = t->n_dims,
		                                  .dims = {(uint64_t)t->rows, (uint64_t)t->columns},
		                                  .data = whole.data + t->offset};
	}
	PROMISE(safetensors_write(fuzz_path("model-1.safetensors"), SAFETENSORS_F32, items[0],
	                          n[0]) == OK);
	PROMISE(safetensors_write(fuzz_path("model-2.safetensors"), SAFETENSORS_F32, items[1],
	                          n[1]) == OK);
	fuzz_link("model.safetensors.index.json", 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct weights w;

	if (!whole.data)
		write_shards();
	fuzz_file(0, data, n);
	if (folder_read_weights(fuzz_folder(), &shape, &w) == OK) {
		PROMISE(w.n == whole.n && !memcmp(w.data, whole.data, w.n * sizeof *w.data));
		weights_free(&w);
	} else {
		PROMISE(strstr(error_message(), fuzz_folder()));
	}
	return 0;
}
