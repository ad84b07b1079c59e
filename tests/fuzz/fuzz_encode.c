/* Texts through real tokenizers; the first byte chooses one. Byte-level ones give every text back,
 * but for ill-formed parts, which become U+FFFD. */
#include "fuzz.h"

#include "base/json.h"
#include "text/tokenizer.h"

static struct {
	const char       *path;
	int               gives_back; /* no normalizer, no token that takes spaces with it */
	struct tokenizer *t;
} tokenizers[] = {
        {"tests/data/tokenizers/plain.json.gz", 1, NULL},
        {"tests/data/tokenizers/nfc-split-qwen.json.gz", 0, NULL},
        {"tests/data/tokenizers/split-llama-ignore-merges.json.gz", 1, NULL},
        {"tests/data/tokenizers/split-deepseek.json.gz", 1, NULL},
        {"tests/data/tokenizers/strip-added.json.gz", 0, NULL},
        {"data/models/stories260k/tokenizer.json", 0, NULL},
        {"tests/data/tokenizers/digits-alone.json.gz", 1, NULL},
        {"tests/data/tokenizers/split-inverted.json.gz", 0, NULL},
};

enum { N = sizeof tokenizers / sizeof *tokenizers };

/* The text with ill-formed parts replaced, as the JSON writer does it byte by byte; both are then
 * compared without U+FFFD. */
static size_t well_formed(const char *s, size_t n, char *out)
{
	struct text t = {0};
	json_t     *value;
	size_t      n_out = 0;

	json_add_string(&t, s, n);
	PROMISE(json_parse("text", t.data, t.n, &value) == OK);
	for (size_t i = 0; i < json_string_length(value); i++) {
		const char *c = json_string_value(value) + i;
		if (!strncmp(c, "\xEF\xBF\xBD", 3))
			i += 2;
		else
			out[n_out++] = *c;
	}
	json_decref(value);
	text_free(&t);
	return n_out;
}

static void compare(const char *s, size_t n, const struct text *decoded)
{
	char  *a = malloc(n + 1), *b = malloc(decoded->n + 1);
	size_t n_a = well_formed(s, n, a),
	       n_b = well_formed(decoded->data ? decoded->data : "", decoded->n, b);

	PROMISE(n_a == n_b && !memcmp(a, b, n_a));
	free(a);
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ids  ids = {0};
	struct text text = {0};
	int         i = n ? data[0] % N : 0;
	char       *s = fuzz_text((struct fuzz_part){(const char *)data + (n > 0), n - (n > 0)});
	struct tokenizer *t;

	if (!tokenizers[i].t)
		PROMISE(tokenizer_load(tokenizers[i].path, &tokenizers[i].t) == OK);
	t = tokenizers[i].t;
	n -= n > 0;
	PROMISE(tokenizer_encode(t, s, n, 0, &ids) == OK);
	PROMISE(tokenizer_decode(t, ids.id, ids.n, 0, &text) == OK);
	if (tokenizers[i].gives_back)
		compare(s, n, &text);
	ids_free(&ids);
	text_free(&text);
	free(s);
	return 0;
}
