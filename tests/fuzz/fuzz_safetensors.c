/* safetensors: what is accepted lies within the file, and its tensors, written and read again, are
 * the same to the bit. The length in front of the header follows most mutations, or else hardly any
 * would be read further than that. */
#include "fuzz.h"

#include "model/safetensors.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);

enum { LENGTH = 8 };

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned seed)
{
	uint64_t header = 0;
	size_t   before = n;

	if (n < LENGTH || max < LENGTH || seed % 8 == 0)
		return LLVMFuzzerMutate(data, n, max);
	memcpy(&header, data, LENGTH);
	n = LENGTH + LLVMFuzzerMutate(data + LENGTH, n - LENGTH, max - LENGTH);
	/* the mutation is taken to lie in the header: the data keep their number */
	if (seed % 8 != 1 && header <= before)
		header = header + n > before ? header + n - before : 0;
	memcpy(data, &header, LENGTH);
	return n;
}

/* Every tensor that can be read, into one block of just the right size. */
static float *read_all(const struct safetensors *s, struct safetensors_item *items, size_t *n_items)
{
	float *data, *at;
	size_t count = 0;

	for (size_t i = 0; i < s->n; i++)
		count += s->entries[i].type <= SAFETENSORS_F16 ? (size_t)s->entries[i].count : 0;
	at = data = malloc((count + 1) * sizeof *data);
	*n_items = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct safetensors_entry *e = &s->entries[i];
		PROMISE(safetensors_find(s, e->name) == e);
		if (e->type > SAFETENSORS_F16) {
			PROMISE(safetensors_read(s, e, at) == ERR_INPUT);
			continue;
		}
		PROMISE(safetensors_read(s, e, at) == OK);
		items[(*n_items)++] =
		        (struct safetensors_item){.name = e->name, .n_dims = e->n_dims, .data = at};
		for (int d = 0; d < e->n_dims && d < SAFETENSORS_DIMS_MAX; d++)
			items[*n_items - 1].dims[d] = e->dims[d];
		*n_items -= e->n_dims > SAFETENSORS_DIMS_MAX; /* more than can be written */
		at += e->count;
	}
	return data;
}

static void write_and_read(struct safetensors_item *items, size_t n)
{
	static char        path[256];
	struct safetensors s;

	snprintf(path, sizeof path, "%s", fuzz_path("again.safetensors"));
	PROMISE(safetensors_write(path, SAFETENSORS_F32, items, n) == OK);
	PROMISE(safetensors_open(path, &s) == OK && s.n == n);
	for (size_t i = 0; i < n; i++) {
		const struct safetensors_entry *e = safetensors_find(&s, items[i].name);
		float                          *x;
		PROMISE(e && e->n_dims == items[i].n_dims && e->type == SAFETENSORS_F32);
		for (int d = 0; d < e->n_dims; d++)
			PROMISE(e->dims[d] == items[i].dims[d]);
		x = malloc(e->count * sizeof *x + 1);
		PROMISE(safetensors_read(&s, e, x) == OK &&
		        !memcmp(x, items[i].data, e->count * sizeof *x));
		free(x);
	}
	safetensors_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char        *path = fuzz_file(0, data, n);
	struct safetensors s;

	if (safetensors_open(path, &s) == OK) {
		struct safetensors_item *items = malloc((s.n + 1) * sizeof *items);
		size_t                   n_items;
		float                   *values = read_all(&s, items, &n_items);
		write_and_read(items, n_items);
		free(values);
		free(items);
	} else {
		PROMISE(strstr(error_message(), path));
	}
	safetensors_close(&s);
	return 0;
}
