/* A GGUF file: what is accepted lies within the file, and every tensor of it can be read, in pieces
 * as at once. */
#include "fuzz.h"

#include "base/gguf.h"
#include "model/gguf_quant.h"

/* The last bytes of a tensor, read from the middle on, are those that the whole has there. */
static void read_tensor(const struct gguf *g, const struct gguf_tensor *t)
{
	const struct gguf_type *type = gguf_type_of(t->type);
	unsigned char          *data = malloc(t->bytes + 1), *half = malloc(t->bytes + 1);
	uint64_t                from = t->bytes / 2;

	PROMISE(gguf_find_tensor(g, t->name) == t);
	PROMISE(t->bytes / type->bytes * type->block == t->count);
	PROMISE(gguf_read(g, t, 0, data, t->bytes) == OK);
	PROMISE(gguf_read(g, t, from, half, t->bytes - from) == OK);
	PROMISE(!memcmp(data + from, half, t->bytes - from));
	if (gguf_quant_check("file", t) == OK) {
		float *x = malloc(t->count * sizeof *x);
		gguf_quant_read(t->type, data, t->count / type->block, x);
		free(x);
	} else {
		PROMISE(strstr(error_message(), type->name));
	}
	free(data);
	free(half);
}

static void read_value(const struct gguf *g, const struct gguf_value *v, struct arena *a)
{
	const char       *text = "";
	struct gguf_text *texts;
	double            x = 0;
	int64_t           n = 0;

	PROMISE(gguf_find(g, v->key) == v);
	if (gguf_get_text(g, v->key, GGUF_REQUIRED, a, &text) == OK)
		PROMISE(v->kind == GGUF_TEXT && !v->array);
	if (gguf_get_int(g, v->key, GGUF_REQUIRED, -5, 5, &n) == OK)
		PROMISE(n >= -5 && n <= 5 && gguf_get_real(g, v->key, 1, &x) == OK);
	if (v->kind == GGUF_TEXT) {
		PROMISE(gguf_texts(g, v, a, &texts) == OK);
		for (uint64_t i = 0; i < v->count; i++)
			PROMISE(!memchr(texts[i].s, 0, texts[i].n) || texts[i].n);
	}
	if (v->kind == GGUF_F32)
		for (uint64_t i = 0; i < v->count; i++)
			x += (double)gguf_float(g, v, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char  *path = fuzz_file(0, data, n);
	struct gguf  g;
	struct arena a = {0};

	if (gguf_open(path, &g) == OK) {
		for (size_t i = 0; i < g.n_tensors; i++)
			read_tensor(&g, &g.tensors[i]);
		for (size_t i = 0; i < g.n_values; i++)
			read_value(&g, &g.values[i], &a);
	} else {
		PROMISE(strstr(error_message(), path));
	}
	gguf_close(&g);
	arena_free(&a);
	return 0;
}
