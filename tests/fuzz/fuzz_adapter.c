/* adapter_config.json beside the tensors of a good adapter: what is accepted has bounded options,
 * and if it loads at all it is that adapter. */
#include "fuzz.h"

#include "model/adapter_folder.h"

#include <math.h>

static struct weights  base;
static struct matmul  *mm;
static struct adapter *whole;

static void write_adapter(void)
{
	static const struct model_shape shape = FUZZ_SHAPE(3);
	struct adapter_options          options = {.rank = 2, .alpha = 4};
	unsigned                        bit;

	PROMISE(weights_new(&shape, &base) == OK &&
	        matmul_new(&(struct matmul_options){"reference", "f32", "strict", NULL, NULL},
	                   &mm) == OK);
	for (int i = 0; i < 2; i++) {
		PROMISE(adapter_target(i ? "v_proj" : "q_proj", &bit) == OK);
		options.targets |= bit;
	}
	PROMISE(adapter_new(&options, &base, mm, 0, &whole) == OK);
	adapter_init(whole, 1);
	PROMISE(adapter_folder_write(fuzz_folder(), whole, SAFETENSORS_F32, "base") == OK);
	PROMISE(unlink(fuzz_path("adapter_config.json")) == 0);
	fuzz_link("adapter_config.json", 0);
}

static void load(const struct adapter_options *o)
{
	struct adapter *a;

	PROMISE(o->rank > 0 && o->rank <= ADAPTER_RANK_MAX && isfinite(o->alpha) && o->targets &&
	        o->targets < 1u << ADAPTER_TARGETS);
	if (adapter_folder_read(fuzz_folder(), o, &base, mm, 0, &a) != OK) {
		PROMISE(strstr(error_message(), fuzz_folder()));
		return;
	}
	PROMISE(o->rank == whole->options.rank && o->targets == whole->options.targets);
	PROMISE(!memcmp(a->weights.data, whole->weights.data,
	                whole->weights.n * sizeof *a->weights.data));
	adapter_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct adapter_options o;
	struct arena           a = {0};
	const char            *name;

	if (!whole)
		write_adapter();
	fuzz_file(0, data, n);
	if (adapter_folder_read_options(fuzz_folder(), &o, &a, &name) == OK)
		load(&o);
	else
		PROMISE(strstr(error_message(), fuzz_folder()));
	arena_free(&a);
	return 0;
}
