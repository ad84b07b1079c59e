/* The tensors of what learned: adapter_model.safetensors of a small adapter, and
 * optimizer.safetensors with its moments. The header, a NUL byte, the data; the length in front of
 * the header is put there. Accepted weights are finite and, written and read again, the same;
 * accepted moments are finite, no v is negative, and they too are the same again. */
#include "fuzz.h"

#include "model/adapter_folder.h"
#include "model/optimizer.h"

#include <math.h>

enum { WRITTEN_ONE_IN = 16 };

static struct weights   base;
static struct matmul   *mm;
static struct adapter  *adapter;
static struct optimizer moments;

static void make_everything(void)
{
	static const struct model_shape shape = FUZZ_SHAPE(3);
	struct adapter_options          options = {.rank = 2, .alpha = 4};
	struct optimizer_options        defaults = optimizer_defaults();

	PROMISE(weights_new(&shape, &base) == OK &&
	        matmul_new(&(struct matmul_options){"reference", "f32", "strict", NULL, NULL},
	                   &mm) == OK);
	PROMISE(adapter_target("q_proj", &options.targets) == OK &&
	        adapter_new(&options, &base, mm, 0, &adapter) == OK);
	PROMISE(optimizer_new(&adapter->weights, &defaults, &moments) == OK);
	fuzz_link("adapter_model.safetensors", 0);
}

/* Writes what the header's length should be in front of it. */
static const char *put_file(struct fuzz_part header, const uint8_t *data, size_t n)
{
	uint8_t    *all = malloc(8 + header.n + n);
	const char *path;

	PROMISE(all);
	for (int i = 0; i < 8; i++)
		all[i] = (uint8_t)((uint64_t)header.n >> 8 * i);
	if (header.n)
		memcpy(all + 8, header.s, header.n);
	if (n)
		memcpy(all + 8 + header.n, data, n);
	path = fuzz_file(0, all, 8 + header.n + n);
	free(all);
	return path;
}

static void check_adapter(int again)
{
	struct weights *w = &adapter->weights;
	float           kept[64];

	PROMISE(w->n <= 64 && weights_check_finite(w) == OK);
	if (!again)
		return;
	memcpy(kept, w->data, w->n * sizeof *kept);
	PROMISE(adapter_folder_write(fuzz_path("again"), adapter, SAFETENSORS_F32, "base") == OK);
	memset(w->data, 0, w->n * sizeof *kept);
	PROMISE(adapter_folder_load(fuzz_path("again"), adapter) == OK);
	PROMISE(!memcmp(kept, w->data, w->n * sizeof *kept));
}

static void check_moments(int again)
{
	float kept[2][64];

	for (size_t i = 0; i < moments.n; i++)
		PROMISE(isfinite(moments.m[i]) && isfinite(moments.v[i]) && moments.v[i] >= 0);
	if (!again)
		return;
	memcpy(kept[0], moments.m, moments.n * sizeof **kept);
	memcpy(kept[1], moments.v, moments.n * sizeof **kept);
	PROMISE(optimizer_save(&moments, &adapter->weights, fuzz_path("moments.safetensors")) ==
	        OK);
	memset(moments.m, 0, moments.n * sizeof **kept);
	PROMISE(optimizer_load(&moments, &adapter->weights, fuzz_path("moments.safetensors")) ==
	        OK);
	PROMISE(!memcmp(kept[0], moments.m, moments.n * sizeof **kept) &&
	        !memcmp(kept[1], moments.v, moments.n * sizeof **kept));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const int        again = n % WRITTEN_ONE_IN == 0;
	struct fuzz_part header = fuzz_next(&data, &n);
	const char      *path;

	if (!adapter)
		make_everything();
	path = put_file(header, data, n);
	fuzz_forget_message();
	if (adapter_folder_load(fuzz_folder(), adapter) == OK)
		check_adapter(again);
	else
		PROMISE(strstr(error_message(), "adapter_model.safetensors"));
	if (optimizer_load(&moments, &adapter->weights, path) == OK)
		check_moments(again);
	else
		PROMISE(strstr(error_message(), path));
	return 0;
}
