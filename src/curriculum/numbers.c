#include "curriculum/numbers.h"

#include "base/error.h"
#include "base/json.h"

#include <errno.h>
#include <stdlib.h>

static int numbers_put(json_t *object, const char *key, struct text *t)
{
	int status = text_status(t);

	if (status == OK &&
	    json_object_set_new(object, key, json_string(t->data ? t->data : "")) != 0)
		status = error_memory("the state of the curriculum");
	text_free(t);
	return status;
}

int numbers_save(json_t *object, const char *key, const double *x, int n)
{
	struct text t = {0};

	for (int i = 0; i < n; i++)
		text_print(&t, "%s%.17g", i ? " " : "", x[i]);
	return numbers_put(object, key, &t);
}

int numbers_save_int(json_t *object, const char *key, const int64_t *x, int n)
{
	struct text t = {0};

	for (int i = 0; i < n; i++)
		text_print(&t, "%s%lld", i ? " " : "", (long long)x[i]);
	return numbers_put(object, key, &t);
}

static int numbers_wrong(const char *place, const char *key, int n)
{
	return error_set(ERR_INPUT, "%s: curriculum: %s must hold %d numbers within its bounds",
	                 place, key, n);
}

int numbers_load(const char *place, const json_t *object, const char *key,
                 struct numbers_bounds bounds, int n, double *x)
{
	const char *s;
	char       *end;

	TRY(json_get_text(place, object, key, JSON_REQUIRED, &s));
	for (int i = 0; i < n; i++, s = end) {
		x[i] = strtod(s, &end);
		if (end == s || !(x[i] >= bounds.low && x[i] <= bounds.high))
			return numbers_wrong(place, key, n);
	}
	return *s ? numbers_wrong(place, key, n) : OK;
}

int numbers_load_int(const char *place, const json_t *object, const char *key, int64_t high, int n,
                     int64_t *x)
{
	const char *s;
	char       *end;

	TRY(json_get_text(place, object, key, JSON_REQUIRED, &s));
	for (int i = 0; i < n; i++, s = end) {
		errno = 0;
		x[i] = strtoll(s, &end, 10);
		if (end == s || errno || x[i] < 0 || x[i] > high)
			return numbers_wrong(place, key, n);
	}
	return *s ? numbers_wrong(place, key, n) : OK;
}
