/* A GGUF file: what is accepted lies within the file, and every tensor of it can be read, in pieces
 * as at once; a model of it is finite and no larger than its tensors; its tokenizer gives ids of
 * its own, and its values, written and read again, give the same ones. */
#include "fuzz.h"

#include "base/gguf.h"
#include "model/folder.h"
#include "model/gguf_quant.h"
#include "text/tokenizer.h"

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

static void read_model(const char *path, const struct gguf *g)
{
	struct model_shape s;
	struct weights     w;
	uint64_t           total = 0;

	if (folder_read_shape(path, &s) != OK)
		return;
	PROMISE(weights_check_shape(&s) == OK && s.n_eos >= 0 && s.n_eos <= SHAPE_EOS_MAX);
	if (folder_read_weights(path, &s, &w) != OK)
		return;
	for (size_t i = 0; i < g->n_tensors; i++)
		total += g->tensors[i].count;
	PROMISE(w.n <= total && weights_check_finite(&w) == OK);
	weights_free(&w);
}

/* The ids of a text by this tokenizer. */
static struct ids ids_of(const struct tokenizer *t)
{
	static const char usual[] = "abc  <s>a1\n\xC3\xA9\xF0\x9F\x98\x80</s>\xFF x";
	struct ids        ids = {0};
	struct text       text = {0};

	if (tokenizer_encode(t, usual, sizeof usual - 1, 1, &ids) == OK)
		PROMISE(tokenizer_decode(t, ids.id, ids.n, 0, &text) == OK);
	for (size_t i = 0; i < ids.n; i++)
		PROMISE(ids.id[i] >= 0 && ids.id[i] < tokenizer_size(t));
	text_free(&text);
	return ids;
}

/* Where the values can be written, they are the same tokenizer. */
static void write_again(const struct tokenizer *t, const struct ids *ids)
{
	struct tokenizer_ids model = {tokenizer_size(t) + 2, -1, NULL, 0};
	struct gguf_out      o = {0};
	struct file_out      f;
	struct tokenizer    *again;
	struct ids           same;
	char                 path[256];

	snprintf(path, sizeof path, "%s", fuzz_path("again.gguf"));
	if (tokenizer_gguf_values(t, &model, &o) == OK) {
		PROMISE(file_begin(path, &f) == OK);
		PROMISE(file_finish(&f, gguf_out_head(&o, &f)) == OK);
		PROMISE(tokenizer_load(path, &again) == OK);
		same = ids_of(again);
		PROMISE(same.n == ids->n &&
		        (!same.n || !memcmp(same.id, ids->id, same.n * sizeof *same.id)));
		ids_free(&same);
		tokenizer_free(again);
	}
	gguf_out_free(&o);
}

static void read_tokenizer(const char *path)
{
	struct tokenizer *t;
	struct ids        ids;

	if (tokenizer_load(path, &t) != OK)
		return;
	ids = ids_of(t);
	write_again(t, &ids);
	ids_free(&ids);
	tokenizer_free(t);
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
		read_model(path, &g);
		read_tokenizer(path);
	} else {
		PROMISE(strstr(error_message(), path));
	}
	gguf_close(&g);
	arena_free(&a);
	return 0;
}
