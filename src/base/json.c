#include "base/json.h"

#include "base/error.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* jansson recurses; so the depth is bounded by a scan that does not. Brackets inside strings do not
 * count. */
static int depth_is_fine(const char *text, size_t n)
{
	int depth = 0, in_string = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = 0;
		} else if (c == '"') {
			in_string = 1;
		} else if (c == '[' || c == '{') {
			if (++depth > JSON_DEPTH_MAX)
				return 0;
		} else if (c == ']' || c == '}') {
			depth--;
		}
	}
	return 1;
}

/* ---- integers beyond 64 bits, which jansson refuses ---- */

/* Length of the integer at s when it does not fit into 64 bits, or 0. */
static size_t big_integer(const char *s, size_t n)
{
	size_t sign = n && *s == '-', i = sign;
	char   digits[24];

	while (i < n && s[i] >= '0' && s[i] <= '9')
		i++;
	if (i - sign < 19 || s[sign] == '0' ||
	    (i < n && (s[i] == '.' || s[i] == 'e' || s[i] == 'E')))
		return 0;
	if (i - sign > 19)
		return i;
	memcpy(digits, s, i);
	digits[i] = 0;
	errno = 0;
	(void)strtoll(digits, NULL, 10);
	return errno == ERANGE ? i : 0;
}

/* ADDS the text with every such integer in quotes, or as 0. */
static void add_rewritten(struct text *t, const char *text, size_t n, int as_zero)
{
	int in_string = 0;

	for (size_t i = 0; i < n;) {
		char   c = text[i];
		int    follows = i && ((text[i - 1] >= '0' && text[i - 1] <= '9') ||
                                    strchr("+-.eE", text[i - 1]));
		size_t length = in_string || follows ? 0 : big_integer(text + i, n - i);
		if (length && as_zero)
			text_add(t, "0", 1);
		else if (length)
			text_print(t, "\"%.*s\"", (int)length, text + i);
		else
			text_add(t, text + i, length = in_string && c == '\\' && i + 1 < n ? 2 : 1);
		in_string ^= c == '"';
		i += length;
	}
}

/* With a 0 in their place the text must be valid; in quotes alone, they could stand where only a
 * string may. */
static int load_big(const char *text, size_t n, size_t flags, json_error_t *e, json_t **out)
{
	int status = OK;

	for (int as_zero = 1; as_zero >= 0; as_zero--) {
		struct text t = {0};
		json_decref(*out);
		*out = NULL;
		add_rewritten(&t, text, n, as_zero);
		status = text_status(&t);
		if (status == OK)
			*out = json_loadb(t.data, t.n, flags, e);
		text_free(&t);
		if (!*out)
			break;
	}
	return status;
}

int json_parse(const char *place, const char *text, size_t n, json_t **out)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
	json_error_t e;

	*out = NULL;
	/* jansson takes one behind the value for the end of the text */
	if (n && memchr(text, 0, n))
		return error_set(ERR_INPUT, "%s: not valid JSON: a NUL byte in it", place);
	if (!depth_is_fine(text, n))
		return error_set(ERR_INPUT, "%s: JSON nested deeper than %d", place,
		                 JSON_DEPTH_MAX);
	*out = json_loadb(text, n, flags, &e);
	if (!*out && json_error_code(&e) == json_error_numeric_overflow)
		TRY(load_big(text, n, flags, &e, out));
	if (!*out && json_error_code(&e) == json_error_out_of_memory)
		return error_memory("reading %s", place);
	if (!*out)
		return error_set(ERR_INPUT, "%s: not valid JSON: line %d, column %d: %s", place,
		                 e.line, e.column, e.text);
	return OK;
}

int json_read(const char *path, size_t max, json_t **out)
{
	struct bytes b;
	int          status;

	*out = NULL;
	TRY(file_read(path, max, &b));
	status = json_parse(path, b.data, b.n, out);
	bytes_free(&b);
	return status;
}

static int json_member(const char *place, const json_t *object, const char *key, int required,
                       const json_t **out)
{
	*out = NULL;
	if (!json_is_object(object))
		return error_set(ERR_INPUT, "%s: expected a JSON object with a key \"%s\"", place,
		                 key);
	*out = json_object_get(object, key);
	if (json_is_null(*out))
		*out = NULL;
	if (!*out && required)
		return error_set(ERR_INPUT, "%s: the key \"%s\" is missing", place, key);
	return OK;
}

int json_get_int(const char *place, const json_t *object, const char *key, int required,
                 struct json_range range, int64_t *out)
{
	const json_t *v;

	TRY(json_member(place, object, key, required, &v));
	if (!v)
		return OK;
	if (!json_is_integer(v))
		return error_set(ERR_INPUT, "%s: \"%s\" must be an integer", place, key);
	if (json_integer_value(v) < range.low || json_integer_value(v) > range.high)
		return error_set(ERR_INPUT, "%s: \"%s\" is %lld, outside %lld .. %lld", place, key,
		                 (long long)json_integer_value(v), (long long)range.low,
		                 (long long)range.high);
	*out = json_integer_value(v);
	return OK;
}

int json_get_real(const char *place, const json_t *object, const char *key, int required,
                  double *out)
{
	const json_t *v;

	TRY(json_member(place, object, key, required, &v));
	if (!v)
		return OK;
	if (!json_is_number(v))
		return error_set(ERR_INPUT, "%s: \"%s\" must be a number", place, key);
	*out = json_number_value(v);
	return OK;
}

int json_get_bool(const char *place, const json_t *object, const char *key, int required, int *out)
{
	const json_t *v;

	TRY(json_member(place, object, key, required, &v));
	if (!v)
		return OK;
	if (!json_is_boolean(v))
		return error_set(ERR_INPUT, "%s: \"%s\" must be true or false", place, key);
	*out = json_is_true(v);
	return OK;
}

int json_get_text(const char *place, const json_t *object, const char *key, int required,
                  const char **out)
{
	const json_t *v;

	TRY(json_member(place, object, key, required, &v));
	if (!v)
		return OK;
	if (!json_is_string(v))
		return error_set(ERR_INPUT, "%s: \"%s\" must be a string", place, key);
	if (strlen(json_string_value(v)) != json_string_length(v))
		return error_set(ERR_INPUT, "%s: \"%s\" has a NUL byte in it", place, key);
	*out = json_string_value(v);
	return OK;
}

/* ---- writing ---- */

/* Bytes of the UTF-8 character at s, or 0 when it is not one (overlong, surrogate, too large,
 * cut). */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	size_t   length = s[0] < 0x80                   ? 1
	                  : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
	                  : s[0] >= 0xE0 && s[0] < 0xF0 ? 3
	                  : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
	                                                : 0;
	unsigned second_low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
	unsigned second_high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;

	if (length == 0 || length > n)
		return 0;
	if (length > 1 && (s[1] < second_low || s[1] > second_high))
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	return length;
}

void json_add_string(struct text *t, const char *s, size_t n)
{
	text_add(t, "\"", 1);
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)s[i];
		size_t        length = utf8_length((const unsigned char *)s + i, n - i);
		if (c == '"' || c == '\\') {
			text_print(t, "\\%c", c);
		} else if (c == '\n') {
			text_add(t, "\\n", 2);
		} else if (c < 0x20 || c == 0x7f) {
			text_print(t, "\\u%04x", c);
		} else if (length == 0) {
			text_add(t, "\xEF\xBF\xBD", 3);
		} else {
			text_add(t, s + i, length);
		}
		i += length ? length : 1;
	}
	text_add(t, "\"", 1);
}

void json_add_real(struct text *t, double x)
{
	char s[40];

	if (!isfinite(x)) {
		text_add(t, "null", 4);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(s, sizeof s, "%.*g", digits, x);
		if (strtod(s, NULL) == x)
			break;
	}
	text_add(t, s, strlen(s));
}
