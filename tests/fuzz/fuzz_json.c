/* JSON rows and files: what is accepted can be written and read again as the same value, and any
 * bytes can be written as a string. */
#include "fuzz.h"

#include "base/json.h"

static void write_and_read(const json_t *value)
{
	char   *s = json_dumps(value, JSON_ENCODE_ANY);
	json_t *again;

	PROMISE(s && json_parse("again", s, strlen(s), &again) == OK);
	PROMISE(json_equal(value, again));
	json_decref(again);
	free(s);
}

static void as_string(const uint8_t *data, size_t n)
{
	struct text t = {0};
	json_t     *again;

	json_add_string(&t, (const char *)data, n);
	PROMISE(text_status(&t) == OK && json_parse("string", t.data, t.n, &again) == OK &&
	        json_is_string(again));
	PROMISE(json_string_length(again) >= n || memchr(t.data, 0xEF, t.n));
	json_decref(again);
	text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	json_t *value;

	if (json_parse("input", (const char *)data, n, &value) == OK)
		write_and_read(value);
	else
		PROMISE(!value && strstr(error_message(), "input: "));
	json_decref(value);
	as_string(data, n);
	return 0;
}
