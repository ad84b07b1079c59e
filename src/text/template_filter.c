#include "text/template_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- filters ---- */

typedef int filter(struct template_run *r, const struct value *v, const struct arguments *a,
                   struct value *out);

/* The texts between elements and behind keys: as given, else Python's defaults, which end the
 * separator with a space when everything is on one line. */
static int read_separators(struct template_run *r, const struct arguments *a,
                           struct template_json *how)
{
	const struct value *pair = template_argument(a, 2, "separators");

	how->between = template_constant(how->indent < 0 ? ", " : ",");
	how->behind_key = template_constant(": ");
	if (!pair || pair->kind == V_NONE)
		return OK;
	if (pair->kind != V_LIST || pair->n != 2 || pair->as.items[0].kind != V_TEXT ||
	    pair->as.items[1].kind != V_TEXT)
		return template_error(r, "\"separators\" must be two texts");
	how->between = pair->as.items[0];
	how->behind_key = pair->as.items[1];
	return OK;
}

static int filter_tojson(struct template_run *r, const struct value *v, const struct arguments *a,
                         struct value *out)
{
	struct template_json how = {.ascii = template_flag(a, 0, "ensure_ascii"),
	                            .sort_keys = template_flag(a, 3, "sort_keys")};
	struct text          t = {0};
	int64_t              indent = -1;
	int                  status;

	TRY(template_integer_argument(r, a, &(struct template_whole){1, "indent", 0, 32}, &indent));
	how.indent = (int)indent;
	TRY(read_separators(r, a, &how));
	status = template_to_json(r, &how, v, &t);
	if (status == OK)
		return template_take_text(r, &t, out);
	text_free(&t);
	return status;
}

static int filter_length(struct template_run *r, const struct value *v, const struct arguments *a,
                         struct value *out)
{
	size_t n;

	(void)a;
	if (!template_length(v, &n))
		return template_error(r, "%s has no length", template_kind_name(v));
	TRY(template_steps(r, v->kind == V_TEXT ? v->n / 16 : 0));
	*out = template_int((int64_t)n);
	return OK;
}

static int filter_string(struct template_run *r, const struct value *v, const struct arguments *a,
                         struct value *out)
{
	(void)a;
	return template_to_text(r, v, out);
}

static int filter_trim(struct template_run *r, const struct value *v, const struct arguments *a,
                       struct value *out)
{
	const struct value *chars;
	struct value        text;

	TRY(template_text_argument(r, a, 0, "chars", &chars));
	TRY(template_to_text(r, v, &text));
	return template_strip(r, &text, chars, 1, 1, out);
}

static int with_case(struct template_run *r, const struct value *v, enum letter_case how,
                     struct value *out)
{
	struct value text;

	TRY(template_to_text(r, v, &text));
	return template_change_case(r, &text, how, out);
}
static int filter_upper(struct template_run *r, const struct value *v, const struct arguments *a,
                        struct value *out)
{
	(void)a;
	return with_case(r, v, UPPER, out);
}
static int filter_lower(struct template_run *r, const struct value *v, const struct arguments *a,
                        struct value *out)
{
	(void)a;
	return with_case(r, v, LOWER, out);
}
static int filter_capitalize(struct template_run *r, const struct value *v,
                             const struct arguments *a, struct value *out)
{
	(void)a;
	return with_case(r, v, CAPITALIZED, out);
}
static int filter_title(struct template_run *r, const struct value *v, const struct arguments *a,
                        struct value *out)
{
	(void)a;
	return with_case(r, v, TITLE_WORDS, out);
}

static int filter_replace(struct template_run *r, const struct value *v, const struct arguments *a,
                          struct value *out)
{
	struct value text;

	TRY(template_to_text(r, v, &text));
	return template_replace(r, &text, a, out);
}

static int filter_default(struct template_run *r, const struct value *v, const struct arguments *a,
                          struct value *out)
{
	const struct value *instead = template_argument(a, 0, "default_value"),
	                   *also_false = template_argument(a, 1, "boolean");

	(void)r;
	*out = *v;
	if (v->kind == V_UNDEFINED ||
	    (also_false && template_truth(also_false) && !template_truth(v)))
		*out = instead ? *instead : template_constant("");
	return OK;
}

static int filter_items(struct template_run *r, const struct value *v, const struct arguments *a,
                        struct value *out)
{
	struct template_builder none = {0};

	(void)a;
	if (v->kind == V_MAP)
		return template_pairs(r, v->as.map, out);
	if (v->kind != V_UNDEFINED)
		return template_error(r, "only a mapping has items, not %s", template_kind_name(v));
	*out = template_built(&none);
	return OK;
}

static int filter_list(struct template_run *r, const struct value *v, const struct arguments *a,
                       struct value *out)
{
	*out = (struct value){.kind = V_LIST};
	(void)a;
	return template_items(r, v, &out->as.items, &out->n);
}

/* -1: the last */
static int end_of(struct template_run *r, const struct value *v, int last, struct value *out)
{
	const struct value *items;
	size_t              n;

	TRY(template_items(r, v, &items, &n));
	*out = n ? items[last ? n - 1 : 0]
	         : (struct value){.kind = V_UNDEFINED, .as.name = "an element of an empty list"};
	return OK;
}
static int filter_first(struct template_run *r, const struct value *v, const struct arguments *a,
                        struct value *out)
{
	(void)a;
	return end_of(r, v, 0, out);
}
static int filter_last(struct template_run *r, const struct value *v, const struct arguments *a,
                       struct value *out)
{
	(void)a;
	return end_of(r, v, 1, out);
}

static int filter_reverse(struct template_run *r, const struct value *v, const struct arguments *a,
                          struct value *out)
{
	struct value back = template_int(-1);

	(void)a;
	return template_slice(r, v, NULL, NULL, &back, out);
}

/* Reads a text as Python's float does, except inf, nan and underscores; 0 when it is not a
 * number. */
static int template_filter_read_number(const struct value *v, double *x)
{
	char        digits[64], *end;
	const char *s = v->as.text;
	size_t      n = v->n, k;

	for (; n && (k = template_space(s, n)); n -= k)
		s += k;
	while (n && template_space(s + n - 1, 1))
		n--;
	if (n == 0 || n >= sizeof digits)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!memchr("0123456789.eE+-", s[i], 15))
			return 0;
	memcpy(digits, s, n);
	digits[n] = 0;
	*x = strtod(digits, &end);
	return !*end;
}

static struct value real(double x)
{
	return (struct value){.kind = V_REAL, .as.x = x};
}

static int filter_int(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	const struct value *otherwise = template_argument(a, 0, "default");
	double              x;

	(void)r;
	*out = otherwise ? *otherwise : template_int(0);
	if (v->kind == V_INT || v->kind == V_BOOL)
		*out = template_int(v->as.i);
	if (v->kind == V_REAL && v->as.x > -1e18 && v->as.x < 1e18)
		*out = template_int((int64_t)v->as.x);
	if (v->kind == V_TEXT && template_filter_read_number(v, &x) && x > -1e15 && x < 1e15)
		*out = template_int((int64_t)x);
	return OK;
}

static int filter_float(struct template_run *r, const struct value *v, const struct arguments *a,
                        struct value *out)
{
	const struct value *otherwise = template_argument(a, 0, "default");
	double              x;

	(void)r;
	*out = otherwise ? *otherwise : real(0);
	if (template_is_number(v))
		*out = real(template_real_of(v));
	else if (v->kind == V_TEXT && template_filter_read_number(v, &x))
		*out = real(x);
	return OK;
}

static int need_number(struct template_run *r, const char *what, const struct value *v)
{
	return template_is_number(v) ? OK
	                             : template_error(r, "%s of %s", what, template_kind_name(v));
}

static int filter_abs(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	(void)a;
	TRY(need_number(r, "abs", v));
	if (v->kind == V_REAL)
		*out = real(fabs(v->as.x));
	else if (v->as.i == INT64_MIN)
		return template_error(r, "a number is too large");
	else
		*out = template_int(v->as.i < 0 ? -v->as.i : v->as.i);
	return OK;
}

/* "common" rounds the decimal form half to even. Integers stay as they are. */
static int filter_round(struct template_run *r, const struct value *v, const struct arguments *a,
                        struct value *out)
{
	const struct value *method;
	char                digits[400];
	int64_t             precision = 0;
	double              unit = 1;

	TRY(need_number(r, "round", v));
	TRY(template_integer_argument(r, a, &(struct template_whole){0, "precision", 0, 15},
	                              &precision));
	TRY(template_text_argument(r, a, 1, "method", &method));
	for (int64_t i = 0; i < precision; i++)
		unit *= 10; /* exact up to 1e22 */
	if (method && method->n == 4 && !memcmp(method->as.text, "ceil", 4)) {
		*out = real(ceil(template_real_of(v) * unit) / unit);
	} else if (method && method->n == 5 && !memcmp(method->as.text, "floor", 5)) {
		*out = real(floor(template_real_of(v) * unit) / unit);
	} else if (method && (method->n != 6 || memcmp(method->as.text, "common", 6) != 0)) {
		return template_error(r, "the method of round must be common, ceil or floor");
	} else if (v->kind != V_REAL) {
		*out = template_int(v->as.i);
	} else {
		snprintf(digits, sizeof digits, "%.*f", (int)precision, v->as.x);
		*out = real(strtod(digits, NULL));
	}
	return OK;
}

static int filter_safe(struct template_run *r, const struct value *v, const struct arguments *a,
                       struct value *out)
{
	(void)a;
	(void)r;
	*out = *v;
	return OK;
}

/* Puts `width` spaces in front of every line except the first and empty ones. */
static int filter_indent(struct template_run *r, const struct value *v, const struct arguments *a,
                         struct value *out)
{
	const struct value *first = template_argument(a, 1, "first"),
	                   *blank = template_argument(a, 2, "blank");
	int in_first = first && template_truth(first), in_blank = blank && template_truth(blank);
	int64_t      width = 4;
	struct value text;
	struct text  t = {0};

	TRY(template_integer_argument(r, a, &(struct template_whole){0, "width", 0, 64}, &width));
	TRY(template_to_text(r, v, &text));
	TRY(template_bytes(r, text.n));
	for (size_t i = 0; i <= text.n; i++) {
		int starts = i == 0 ? in_first : text.as.text[i - 1] == '\n';
		if (starts && (in_blank || (i < text.n && text.as.text[i] != '\n')))
			for (int64_t k = 0; k < width; k++)
				text_add(&t, " ", 1);
		if (i < text.n)
			text_add(&t, text.as.text + i, 1);
		if (t.n > TEMPLATE_BYTES) {
			text_free(&t);
			return template_error(r, "more than %d bytes of text", TEMPLATE_BYTES);
		}
	}
	return template_take_text(r, &t, out);
}

/* "role" or "3": digits are an index into a list. */
static struct value part_of_path(const char *part)
{
	return *part && strspn(part, "0123456789") == strlen(part) && strlen(part) < 10
	               ? template_int(atoi(part))
	               : template_constant(part);
}

/* Follows "function.name" attribute by attribute. An undefined result becomes `otherwise` unless
 * that is NULL. */
static int template_filter_follow(struct template_run *r, const struct value *v,
                                  const struct value *path, const struct value *otherwise,
                                  struct value *out)
{
	char *name, *dot;

	if (path->kind == V_INT)
		return template_item(r, v, path, out);
	if (path->kind != V_TEXT || memchr(path->as.text, 0, path->n))
		return template_error(r, "an attribute needs a name, not %s",
		                      template_kind_name(path));
	TRY(template_bytes(r, path->n + 1));
	TRY(arena_copy(&r->arena, path->as.text, path->n, &name));
	*out = *v;
	do {
		struct value of = *out, key;
		dot = strchr(name, '.');
		if (dot)
			*dot = 0;
		if (of.kind == V_UNDEFINED)
			return template_error(r, "\"%.64s\" is undefined, so it has no \"%.64s\"",
			                      of.as.name, name);
		key = part_of_path(name);
		TRY(template_item(r, &of, &key, out));
		if (out->kind == V_UNDEFINED && otherwise)
			*out = *otherwise;
		name = dot ? dot + 1 : NULL;
	} while (name);
	return OK;
}

/* The key by which an item is sorted, grouped or added: the named attribute, or the item itself; in
 * lower case unless case counts. */
static int template_filter_key_of(struct template_run *r, const struct value *item,
                                  const struct value *attribute, int case_counts, struct value *out)
{
	struct value x = *item;

	if (attribute && attribute->kind != V_NONE)
		TRY(template_filter_follow(r, item, attribute, NULL, &x));
	*out = x;
	return x.kind == V_TEXT && !case_counts ? template_change_case(r, &x, LOWER, out) : OK;
}

/* sort takes several attributes, "a,b", and compares the lists of their values. */
static int template_filter_keys_of(struct template_run *r, const struct value *item,
                                   const struct value *attributes, int case_counts,
                                   struct value *out)
{
	struct template_builder b = {0};
	struct value            part, x;
	const char             *s, *comma;

	if (!attributes || attributes->kind != V_TEXT) {
		TRY(template_filter_key_of(r, item, attributes, case_counts, &x));
		TRY(template_add_item(r, &b, x));
		*out = template_built(&b);
		return OK;
	}
	s = attributes->as.text;
	for (const char *end = s + attributes->n; s; s = comma ? comma + 1 : NULL) {
		comma = memchr(s, ',', (size_t)(end - s));
		part = (struct value){
		        .kind = V_TEXT, .n = (size_t)((comma ? comma : end) - s), .as.text = s};
		TRY(template_filter_key_of(r, item, &part, case_counts, &x));
		TRY(template_add_item(r, &b, x));
	}
	*out = template_built(&b);
	return OK;
}

static int in_order(struct template_run *r, const struct value *items, const struct value *keys,
                    size_t n, int reverse, struct value *out)
{
	struct template_builder b = {0};
	size_t                 *order;

	TRY(template_bytes(r, (n + 1) * sizeof *order));
	TRY(arena_take(&r->arena, n + 1, "a list of a template", &order));
	TRY(template_sort(r, keys, n, reverse, order));
	for (size_t i = 0; i < n; i++)
		TRY(template_add_item(r, &b, items[order[i]]));
	*out = template_built(&b);
	return OK;
}

static int filter_sort(struct template_run *r, const struct value *v, const struct arguments *a,
                       struct value *out)
{
	const struct value     *items;
	struct template_builder keys = {0};
	size_t                  n;

	TRY(template_items(r, v, &items, &n));
	for (size_t i = 0; i < n; i++) {
		struct value key;
		TRY(template_filter_keys_of(r, &items[i], template_argument(a, 2, "attribute"),
		                            template_flag(a, 1, "case_sensitive"), &key));
		TRY(template_add_item(r, &keys, key));
	}
	return in_order(r, items, keys.items, n, template_flag(a, 0, "reverse"), out);
}

/* Sorts the pairs [key, value] by key or by value. */
static int filter_dictsort(struct template_run *r, const struct value *v, const struct arguments *a,
                           struct value *out)
{
	const struct value     *by, *side;
	struct template_builder keys = {0};
	struct value            pairs;

	TRY(template_text_argument(r, a, 1, "by", &by));
	if (v->kind != V_MAP)
		return template_error(r, "only a mapping can be sorted by dictsort, not %s",
		                      template_kind_name(v));
	side = v->as.map->keys;
	if (by && by->n == 5 && !memcmp(by->as.text, "value", 5))
		side = v->as.map->values;
	else if (by && (by->n != 3 || memcmp(by->as.text, "key", 3) != 0))
		return template_error(r, "dictsort goes by \"key\" or \"value\"");
	TRY(template_pairs(r, v->as.map, &pairs));
	for (size_t i = 0; i < pairs.n; i++) {
		struct value key;
		TRY(template_filter_key_of(r, &side[i], NULL, template_flag(a, 0, "case_sensitive"),
		                           &key));
		TRY(template_add_item(r, &keys, key));
	}
	return in_order(r, pairs.as.items, keys.items, pairs.n, template_flag(a, 2, "reverse"),
	                out);
}

/* Keeps the first item of each key. */
static int filter_unique(struct template_run *r, const struct value *v, const struct arguments *a,
                         struct value *out)
{
	const struct value     *items;
	struct template_builder b = {0};
	struct map              seen = {0};
	size_t                  n;

	TRY(template_items(r, v, &items, &n));
	for (size_t i = 0; i < n; i++) {
		struct value key;
		TRY(template_filter_key_of(r, &items[i], template_argument(a, 1, "attribute"),
		                           template_flag(a, 0, "case_sensitive"), &key));
		TRY(template_steps(r, 1 + seen.n / 8));
		if (template_map_find(r, &seen, &key))
			continue;
		TRY(template_map_put(r, &seen, key, template_bool(1)));
		TRY(template_add_item(r, &b, items[i]));
	}
	*out = template_built(&b);
	return OK;
}

/* The first of the smallest items, or of the greatest. */
static int extreme(struct template_run *r, const struct value *v, const struct arguments *a,
                   int greatest, struct value *out)
{
	const struct value *items;
	struct value        best = {0}, key;
	size_t              n;

	*out = (struct value){.kind = V_UNDEFINED, .as.name = "the least or greatest of nothing"};
	TRY(template_items(r, v, &items, &n));
	for (size_t i = 0; i < n; i++) {
		int better = 1;
		TRY(template_filter_key_of(r, &items[i], template_argument(a, 1, "attribute"),
		                           template_flag(a, 0, "case_sensitive"), &key));
		if (i)
			TRY(greatest ? template_less(r, &best, &key, &better)
			             : template_less(r, &key, &best, &better));
		if (!better)
			continue;
		best = key;
		*out = items[i];
	}
	return OK;
}
static int filter_min(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	return extreme(r, v, a, 0, out);
}
static int filter_max(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	return extreme(r, v, a, 1, out);
}

static int filter_sum(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	const struct value *items, *start = template_argument(a, 1, "start");
	size_t              n;

	*out = start ? *start : template_int(0);
	TRY(template_items(r, v, &items, &n));
	for (size_t i = 0; i < n; i++) {
		struct value x, sum = *out;
		TRY(template_filter_key_of(r, &items[i], template_argument(a, 0, "attribute"), 1,
		                           &x));
		TRY(template_binary(r, OP_ADD, &sum, &x, out));
	}
	return OK;
}

/* With an attribute, joins the attributes instead of the items. */
static int filter_join(struct template_run *r, const struct value *v, const struct arguments *a,
                       struct value *out)
{
	const struct value     *between, *attribute = template_argument(a, 1, "attribute"), *items;
	struct template_builder b = {0};
	struct value            list = *v;
	size_t                  n;

	TRY(template_text_argument(r, a, 0, "d", &between));
	if (attribute) {
		TRY(template_items(r, v, &items, &n));
		for (size_t i = 0; i < n; i++) {
			struct value x;
			TRY(template_filter_follow(r, &items[i], attribute, NULL, &x));
			TRY(template_add_item(r, &b, x));
		}
		list = template_built(&b);
	}
	return template_join(r, &list, between, out);
}

/* The arguments behind the first `skip`. */
static struct arguments behind(const struct arguments *a, int skip)
{
	struct arguments rest = {0};

	for (int i = skip; i < a->n; i++) {
		rest.values[rest.n] = a->values[i];
		rest.names[rest.n++] = a->names[i];
	}
	rest.n_positional = a->n_positional > skip ? a->n_positional - skip : 0;
	return rest;
}

static int template_filter_name_of(struct template_run *r, const struct value *v, const char **out)
{
	struct value copy;

	if (v->kind != V_TEXT)
		return template_error(r, "a name is needed, not %s", template_kind_name(v));
	TRY(template_copy_text(r, v->as.text, v->n, &copy));
	*out = copy.as.text;
	return OK;
}

/* Either an attribute of each item, or each item through a filter with the remaining arguments.
 * */
static int filter_map(struct template_run *r, const struct value *v, const struct arguments *a,
                      struct value *out)
{
	const struct value *attribute = template_argument(a, -1, "attribute"),
	                   *otherwise = template_argument(a, -1, "default"), *items;
	struct arguments        rest = behind(a, 1);
	struct template_builder b = {0};
	const char             *name = NULL;
	size_t                  n;

	if (!attribute && !a->n_positional)
		return template_error(r, "map needs a filter or an attribute");
	if (!attribute)
		TRY(template_filter_name_of(r, &a->values[0], &name));
	TRY(template_items(r, v, &items, &n));
	for (size_t i = 0; i < n; i++) {
		struct value x;
		TRY(attribute ? template_filter_follow(r, &items[i], attribute, otherwise, &x)
		              : template_call_filter(r, name, &items[i], &rest, &x));
		TRY(template_add_item(r, &b, x));
	}
	*out = template_built(&b);
	return OK;
}

/* Keeps the items that pass a test, or that fail it. With an attribute, tests the attribute;
 * without a test, tests truth. */
static int template_filter_choose(struct template_run *r, const struct value *v,
                                  const struct arguments *a, int by_attribute, int wanted,
                                  struct value *out)
{
	struct arguments        rest = behind(a, by_attribute + 1);
	const struct value     *items;
	struct template_builder b = {0};
	const char             *test = NULL;
	size_t                  n;

	if (a->n_positional > by_attribute)
		TRY(template_filter_name_of(r, &a->values[by_attribute], &test));
	TRY(template_items(r, v, &items, &n));
	for (size_t i = 0; i < n; i++) {
		struct value x = items[i];
		int          truth;
		if (by_attribute)
			TRY(template_filter_follow(r, &items[i], &a->values[0], NULL, &x));
		truth = template_truth(&x);
		if (test)
			TRY(template_call_test(r, test, &x, &rest, &truth));
		if (truth == wanted)
			TRY(template_add_item(r, &b, items[i]));
	}
	*out = template_built(&b);
	return OK;
}
static int filter_select(struct template_run *r, const struct value *v, const struct arguments *a,
                         struct value *out)
{
	return template_filter_choose(r, v, a, 0, 1, out);
}
static int filter_reject(struct template_run *r, const struct value *v, const struct arguments *a,
                         struct value *out)
{
	return template_filter_choose(r, v, a, 0, 0, out);
}
static int filter_selectattr(struct template_run *r, const struct value *v,
                             const struct arguments *a, struct value *out)
{
	return template_filter_choose(r, v, a, 1, 1, out);
}
static int filter_rejectattr(struct template_run *r, const struct value *v,
                             const struct arguments *a, struct value *out)
{
	return template_filter_choose(r, v, a, 1, 0, out);
}

/* The arguments have jinja2's names and order; those of tojson are transformers'. */
static const struct filter_row {
	const char               *name;
	filter                   *call;
	struct template_signature takes;
} filters[] = {
        {"tojson", filter_tojson, {0, 4, "ensure_ascii indent separators sort_keys"}},
        {"length", filter_length, {0, 0, ""}},
        {"count", filter_length, {0, 0, ""}},
        {"string", filter_string, {0, 0, ""}},
        {"trim", filter_trim, {0, 1, "chars"}},
        {"upper", filter_upper, {0, 0, ""}},
        {"lower", filter_lower, {0, 0, ""}},
        {"capitalize", filter_capitalize, {0, 0, ""}},
        {"title", filter_title, {0, 0, ""}},
        {"replace", filter_replace, {2, 3, "old new count"}},
        {"default", filter_default, {0, 2, "default_value boolean"}},
        {"d", filter_default, {0, 2, "default_value boolean"}},
        {"items", filter_items, {0, 0, ""}},
        {"list", filter_list, {0, 0, ""}},
        {"first", filter_first, {0, 0, ""}},
        {"last", filter_last, {0, 0, ""}},
        {"reverse", filter_reverse, {0, 0, ""}},
        {"sort", filter_sort, {0, 3, "reverse case_sensitive attribute"}},
        {"dictsort", filter_dictsort, {0, 3, "case_sensitive by reverse"}},
        {"unique", filter_unique, {0, 2, "case_sensitive attribute"}},
        {"min", filter_min, {0, 2, "case_sensitive attribute"}},
        {"max", filter_max, {0, 2, "case_sensitive attribute"}},
        {"sum", filter_sum, {0, 2, "attribute start"}},
        {"abs", filter_abs, {0, 0, ""}},
        {"round", filter_round, {0, 2, "precision method"}},
        {"int", filter_int, {0, 1, "default"}},
        {"float", filter_float, {0, 1, "default"}},
        {"safe", filter_safe, {0, 0, ""}},
        {"indent", filter_indent, {0, 3, "width first blank"}},
        {"join", filter_join, {0, 2, "d attribute"}},
        {"map", filter_map, {0, ARGUMENTS_MAX, "attribute default"}},
        {"select", filter_select, {0, 3, ""}},
        {"reject", filter_reject, {0, 3, ""}},
        {"selectattr", filter_selectattr, {1, 3, "*"}},
        {"rejectattr", filter_rejectattr, {1, 3, "*"}},
};

int template_call_filter(struct template_run *r, const char *name, const struct value *v,
                         const struct arguments *a, struct value *out)
{
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
		int status;
		if (strcmp(filters[i].name, name) != 0)
			continue;
		TRY(template_check_arguments(r, name, a, &filters[i].takes));
		if (++r->depth > TEMPLATE_DEPTH) /* map('map', ...) */
			return template_error(r, "nested too deeply");
		status = filters[i].call(r, v, a, out);
		r->depth--;
		return status;
	}
	return template_error(r, "the filter \"%.64s\" is not supported", name);
}
