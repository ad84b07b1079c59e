/* tokenizer.json, then a text, with a NUL byte between them: ids lie in the vocabulary, encoding is
 * the same every time, decoding gives UTF-8. */
#include "fuzz.h"

#include "base/json.h"
#include "text/tokenizer.h"

static void encode_and_decode(const struct tokenizer *t, const char *s, size_t n)
{
	struct ids  ids = {0}, again = {0};
	struct text text = {0}, quoted = {0};
	json_t     *valid;

	if (tokenizer_encode(t, s, n, 1, &ids) == OK) {
		PROMISE(tokenizer_encode(t, s, n, 1, &again) == OK && again.n == ids.n);
		for (size_t i = 0; i < ids.n; i++)
			PROMISE(ids.id[i] >= 0 && ids.id[i] < tokenizer_size(t) &&
			        ids.id[i] == again.id[i]);
		PROMISE(tokenizer_decode(t, ids.id, ids.n, 0, &text) == OK);
		json_add_string(&quoted, text.data ? text.data : "", text.n);
		PROMISE(json_parse("decoded", quoted.data, quoted.n, &valid) == OK &&
		        json_string_length(valid) == text.n);
		json_decref(valid);
	}
	ids_free(&ids);
	ids_free(&again);
	text_free(&text);
	text_free(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char usual[] =
	        "Hello  World 123's\n\xC3\xA9\xE4\xBD\xA0 <s>\xF0\x9F\x98\x80</s>\xFF x";
	struct fuzz_part  file = fuzz_next(&data, &n);
	const char       *path = fuzz_file(0, file.s, file.n);
	struct tokenizer *t;

	if (tokenizer_load(path, &t) == OK) {
		encode_and_decode(t, usual, sizeof usual - 1);
		encode_and_decode(t, (const char *)data, n);
		tokenizer_free(t);
	} else {
		PROMISE(strstr(error_message(), path));
	}
	return 0;
}
