#include "data/category.h"

#include "base/error.h"
#include "base/json.h"
#include "data/dataset.h"

#include <math.h>
#include <string.h>

static int missing(const struct problem *p, const char *column)
{
	return error_set(ERR_INPUT,
	                 "problem %s has no column \"%s\" with a text, a number or a boolean",
	                 p->id, column);
}

static int add_column(const struct problem *p, const char *column, struct text *out)
{
	json_t       *row;
	const json_t *v;

	TRY(json_parse(p->id, p->row ? p->row : "{}", p->row ? strlen(p->row) : 2, &row));
	v = dataset_column(row, column);
	if (json_is_string(v))
		text_add(out, json_string_value(v), json_string_length(v));
	else if (json_is_number(v))
		text_print(out, "%.15g", json_number_value(v));
	else if (json_is_boolean(v))
		text_print(out, "%s", json_is_true(v) ? "true" : "false");
	else
		v = NULL;
	json_decref(row);
	return v ? OK : missing(p, column);
}

static int category_add_value(const struct problem *p, const char *column, struct text *out)
{
	if (!strcmp(column, "category")) {
		const char *category = p->category ? p->category : "all";
		text_add(out, category, strlen(category));
		return OK;
	}
	if (strcmp(column, "difficulty") != 0)
		return add_column(p, column, out);
	if (isnan(p->difficulty))
		return missing(p, column);
	text_print(out, "%.15g", p->difficulty);
	return OK;
}

int category_name(const struct problem *p, const char *const *columns, int n, struct arena *a,
                  const char **out)
{
	struct text t = {0};
	int         status = OK;

	if (n == 0 || (n == 1 && !strcmp(columns[0], "category") && p->category)) {
		*out = n ? p->category : "all";
		return OK;
	}
	for (int i = 0; status == OK && i < n; i++) {
		if (i)
			text_add(&t, "/", 1);
		status = category_add_value(p, columns[i], &t);
	}
	if (status == OK)
		status = text_status(&t);
	if (status == OK)
		status = arena_copy(a, t.data ? t.data : "", t.n, out);
	text_free(&t);
	return status;
}
