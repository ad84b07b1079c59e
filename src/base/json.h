/* json.h - jansson with bounds and messages: one document or one row, never deeper than
 * JSON_DEPTH_MAX.
 *
 * Reading refuses invalid UTF-8, NUL bytes, duplicate keys and trailing bytes. An integer beyond 64
 * bits is read as the text of its digits, so that it stays exact and passes for no other number.
 * The getters take the name that a message should use for the place ("config.json",
 * "rows.jsonl:17") and say which key was wrong and what was expected. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/file.h"

#include <jansson.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 64 };

/* Parses text[0..n-1]; *out is an owned reference (json_decref). `place` stands in the message. */
int json_parse(const char *place, const char *text, size_t n, json_t **out);
int json_read(const char *path, size_t max, json_t **out);

/* Members of an object. A missing key leaves *out as it is when `required` is 0. */
enum { JSON_OPTIONAL = 0, JSON_REQUIRED = 1 };
struct json_range { /* of an integer, both ends allowed */
	int64_t low, high;
};
static inline struct json_range json_range(int64_t low, int64_t high)
{
	return (struct json_range){low, high};
}
int json_get_int(const char *place, const json_t *object, const char *key, int required,
                 struct json_range range, int64_t *out);
int json_get_real(const char *place, const json_t *object, const char *key, int required,
                  double *out);
int json_get_bool(const char *place, const json_t *object, const char *key, int required, int *out);
/* borrowed */
int json_get_text(const char *place, const json_t *object, const char *key, int required,
                  const char **out);

/* ---- writing: straight into a text, numbers with all their digits ---- */
/* quoted; invalid UTF-8 becomes U+FFFD */
void json_add_string(struct text *t, const char *s, size_t n);
/* shortest form that reads back; NaN and infinities as null */
void json_add_real(struct text *t, double x);

#endif
