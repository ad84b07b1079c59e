#include "text/template_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- making ---- */

struct value template_bool(int truth)
{
	return (struct value){.kind = V_BOOL, .as.i = truth != 0};
}

struct value template_int(int64_t i)
{
	return (struct value){.kind = V_INT, .as.i = i};
}

struct value template_constant(const char *text)
{
	return (struct value){.kind = V_TEXT, .n = strlen(text), .as.text = text};
}

int template_copy_text(struct template_run *r, const char *s, size_t n, struct value *out)
{
	char *copy;

	TRY(template_bytes(r, n + 1));
	TRY(arena_copy(&r->arena, s ? s : "", n, &copy));
	*out = (struct value){.kind = V_TEXT, .n = n, .as.text = copy};
	return OK;
}

int template_take_text(struct template_run *r, struct text *t, struct value *out)
{
	int status = text_status(t);

	if (status == OK)
		status = template_copy_text(r, t->data, t->n, out);
	text_free(t);
	return status;
}

static int list_from_json(struct template_run *r, const json_t *j, struct value *out)
{
	size_t        n = json_array_size(j);
	struct value *items;

	TRY(template_bytes(r, (n + 1) * sizeof *items));
	TRY(arena_take(&r->arena, n + 1, "a list of a template", &items));
	for (size_t i = 0; i < n; i++)
		TRY(template_from_json(r, json_array_get(j, i), &items[i]));
	*out = (struct value){.kind = V_LIST, .n = n, .as.items = items};
	return OK;
}

/* A JSON object has each key once, so no key is looked up. */
static int map_from_json(struct template_run *r, const json_t *j, struct value *out)
{
	size_t      n = json_object_size(j);
	struct map *m;
	const char *key;
	json_t     *v;

	TRY(template_bytes(r, sizeof *m + 2 * (n + 1) * sizeof *m->keys));
	TRY(arena_take(&r->arena, 1, "a value of a template", &m));
	TRY(arena_take(&r->arena, n + 1, "a map of a template", &m->keys));
	TRY(arena_take(&r->arena, n + 1, "a map of a template", &m->values));
	m->capacity = n + 1;
	json_object_foreach((json_t *)(uintptr_t)j, key, v)
	{
		m->keys[m->n] = template_constant(key);
		TRY(template_from_json(r, v, &m->values[m->n++]));
	}
	*out = (struct value){.kind = V_MAP, .as.map = m};
	return OK;
}

/* Borrows the texts. The JSON reader bounds the depth. */
int template_from_json(struct template_run *r, const json_t *j, struct value *out)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return map_from_json(r, j, out);
	case JSON_ARRAY:
		return list_from_json(r, j, out);
	case JSON_STRING:
		*out = (struct value){.kind = V_TEXT,
		                      .n = json_string_length(j),
		                      .as.text = json_string_value(j)};
		return OK;
	case JSON_INTEGER:
		*out = template_int(json_integer_value(j));
		return OK;
	case JSON_REAL:
		*out = (struct value){.kind = V_REAL, .as.x = json_real_value(j)};
		return OK;
	case JSON_NULL:
		*out = (struct value){.kind = V_NONE};
		return OK;
	default:
		*out = template_bool(json_is_true(j));
		return OK;
	}
}

/* ---- asking ---- */

const char *template_kind_name(const struct value *v)
{
	static const char *const names[] = {[V_UNDEFINED] = "an undefined value",
	                                    [V_NONE] = "none",
	                                    [V_BOOL] = "a truth value",
	                                    [V_INT] = "a number",
	                                    [V_REAL] = "a number",
	                                    [V_TEXT] = "a text",
	                                    [V_LIST] = "a list",
	                                    [V_MAP] = "a mapping",
	                                    [V_NAMESPACE] = "a namespace",
	                                    [V_METHOD] = "a method",
	                                    [V_FUNCTION] = "a function",
	                                    [V_MACRO] = "a macro"};

	return names[v->kind];
}

/* Python's truth: zero, empty, none and undefined are false. */
int template_truth(const struct value *v)
{
	switch (v->kind) {
	case V_UNDEFINED:
	case V_NONE:
		return 0;
	case V_BOOL:
	case V_INT:
		return v->as.i != 0;
	case V_REAL:
		return v->as.x != 0;
	case V_TEXT:
	case V_LIST:
		return v->n > 0;
	case V_MAP:
		return v->as.map->n > 0;
	default:
		return 1;
	}
}

static size_t characters(const char *s, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += ((unsigned char)s[i] & 0xc0) != 0x80;
	return count;
}

int template_length(const struct value *v, size_t *n)
{
	*n = v->kind == V_TEXT   ? characters(v->as.text, v->n)
	     : v->kind == V_LIST ? v->n
	     : v->kind == V_MAP  ? v->as.map->n
	                         : 0;
	return v->kind == V_TEXT || v->kind == V_LIST || v->kind == V_MAP || v->kind == V_UNDEFINED;
}

int template_is_iterable(const struct value *v)
{
	size_t n;

	return template_length(v, &n);
}

int template_is_number(const struct value *v)
{
	return v->kind == V_INT || v->kind == V_REAL || v->kind == V_BOOL;
}

double template_real_of(const struct value *v)
{
	return v->kind == V_REAL ? v->as.x : (double)v->as.i;
}

static int equal_maps(struct template_run *r, const struct map *a, const struct map *b, int *out)
{
	*out = a->n == b->n;
	for (size_t i = 0; *out && i < a->n; i++) {
		const struct value *v = template_map_find(r, b, &a->keys[i]);
		TRY(template_steps(r, 1 + b->n / 8));
		*out = v != NULL;
		if (v)
			TRY(template_equal(r, &a->values[i], v, out));
	}
	return OK;
}

/* Values are never circular, and nest no deeper than the JSON and the program that made them. */
int template_equal(struct template_run *r, const struct value *a, const struct value *b, int *out)
{
	TRY(template_steps(r, 1));
	if (template_is_number(a) && template_is_number(b)) {
		*out = a->kind == V_REAL || b->kind == V_REAL
		               ? template_real_of(a) == template_real_of(b)
		               : a->as.i == b->as.i;
		return OK;
	}
	*out = a->kind == b->kind;
	if (!*out || a->kind == V_NONE || a->kind == V_UNDEFINED)
		return OK;
	if (a->kind == V_TEXT) {
		TRY(template_steps(r, a->n / 64));
		*out = a->n == b->n && !memcmp(a->as.text, b->as.text, a->n);
		return OK;
	}
	if (a->kind == V_MAP) {
		int status;
		if (++r->depth > TEMPLATE_DEPTH)
			return template_error(r, "nested too deeply");
		status = equal_maps(r, a->as.map, b->as.map, out);
		r->depth--;
		return status;
	}
	if (a->kind != V_LIST) {
		*out = a->as.map == b->as.map;
		return OK;
	}
	if (++r->depth > TEMPLATE_DEPTH)
		return template_error(r, "nested too deeply");
	*out = a->n == b->n;
	for (size_t i = 0; *out && i < a->n; i++)
		TRY(template_equal(r, &a->as.items[i], &b->as.items[i], out));
	r->depth--;
	return OK;
}

static int less_text(struct template_run *r, const struct value *a, const struct value *b, int *out)
{
	int c;

	TRY(template_steps(r, a->n / 64));
	/* UTF-8 sorts as its code points */
	c = memcmp(a->as.text, b->as.text, a->n < b->n ? a->n : b->n);
	*out = c < 0 || (c == 0 && a->n < b->n);
	return OK;
}

/* The first items that differ decide, else the lengths. */
static int less_list(struct template_run *r, const struct value *a, const struct value *b, int *out)
{
	size_t n = a->n < b->n ? a->n : b->n;

	for (size_t i = 0; i < n; i++) {
		int same;
		TRY(template_equal(r, &a->as.items[i], &b->as.items[i], &same));
		if (!same)
			return template_less(r, &a->as.items[i], &b->as.items[i], out);
	}
	*out = a->n < b->n;
	return OK;
}

/* Numbers, texts and lists have an order among their kind; everything else is an error. */
int template_less(struct template_run *r, const struct value *a, const struct value *b, int *out)
{
	int status;

	TRY(template_steps(r, 1));
	if (template_is_number(a) && template_is_number(b)) {
		*out = a->kind == V_REAL || b->kind == V_REAL
		               ? template_real_of(a) < template_real_of(b)
		               : a->as.i < b->as.i;
		return OK;
	}
	if (a->kind == V_TEXT && b->kind == V_TEXT)
		return less_text(r, a, b, out);
	if (a->kind != V_LIST || b->kind != V_LIST)
		return template_error(r, "%s and %s have no order", template_kind_name(a),
		                      template_kind_name(b));
	if (++r->depth > TEMPLATE_DEPTH)
		return template_error(r, "nested too deeply");
	status = less_list(r, a, b, out);
	r->depth--;
	return status;
}

struct template_sorting {
	struct template_run *r;
	const struct value  *keys;
	int                  reverse;
	size_t              *order, *scratch; /* [n] places in keys */
};

/* Whether b must come before a, which comes first now. */
static int out_of_order(const struct template_sorting *s, size_t a, size_t b, int *out)
{
	return s->reverse ? template_less(s->r, &s->keys[a], &s->keys[b], out)
	                  : template_less(s->r, &s->keys[b], &s->keys[a], out);
}

/* Sorts order[from..to-1] by merging. Equal keys keep their order, also in reverse. */
static int merge_sort(const struct template_sorting *s, size_t from, size_t to)
{
	size_t *order = s->order, *scratch = s->scratch;
	size_t  middle = from + (to - from) / 2, i = from, j = middle, n = 0;

	if (to - from < 2)
		return OK;
	TRY(merge_sort(s, from, middle));
	TRY(merge_sort(s, middle, to));
	while (i < middle && j < to) {
		int swap;
		TRY(out_of_order(s, order[i], order[j], &swap));
		scratch[n++] = order[swap ? j++ : i++];
	}
	while (i < middle)
		scratch[n++] = order[i++];
	while (j < to)
		scratch[n++] = order[j++];
	memcpy(order + from, scratch, n * sizeof *order);
	return OK;
}

int template_sort(struct template_run *r, const struct value *keys, size_t n, int reverse,
                  size_t *order)
{
	struct template_sorting s = {.r = r, .keys = keys, .reverse = reverse, .order = order};

	TRY(template_bytes(r, (n + 1) * sizeof *s.scratch));
	TRY(arena_take(&r->arena, n + 1, "a list of a template", &s.scratch));
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	return merge_sort(&s, 0, n);
}

/* Python's `in`: part of a text, key of a mapping, element of a list. */
int template_contains(struct template_run *r, const struct value *whole, const struct value *part,
                      int *out)
{
	const struct value *items;
	size_t              n;

	if (whole->kind == V_TEXT) {
		if (part->kind != V_TEXT)
			return template_error(r, "%s cannot be in a text",
			                      template_kind_name(part));
		TRY(template_steps(r, whole->n / 16));
		*out = memmem(whole->as.text, whole->n, part->as.text, part->n) != NULL;
		return OK;
	}
	if (whole->kind == V_MAP) {
		TRY(template_steps(r, whole->as.map->n / 8));
		*out = template_map_find(r, whole->as.map, part) != NULL;
		return OK;
	}
	*out = 0;
	TRY(template_items(r, whole, &items, &n));
	for (size_t i = 0; !*out && i < n; i++)
		TRY(template_equal(r, &items[i], part, out));
	return OK;
}

/* ---- lists ---- */

int template_add_item(struct template_run *r, struct template_builder *b, struct value v)
{
	TRY(template_steps(r, 1));
	if (b->n == b->capacity) {
		size_t        capacity = b->capacity ? 2 * b->capacity : 8;
		struct value *items;
		TRY(template_bytes(r, capacity * sizeof *items));
		TRY(arena_take(&r->arena, capacity, "a list of a template", &items));
		if (b->n)
			memcpy(items, b->items, b->n * sizeof *items);
		b->items = items;
		b->capacity = capacity;
	}
	b->items[b->n++] = v;
	return OK;
}

struct value template_built(const struct template_builder *b)
{
	return (struct value){.kind = V_LIST, .n = b->n, .as.items = b->items};
}

/* ---- mappings ---- */

static int same_key(const struct value *a, const struct value *b)
{
	if (a->kind == V_TEXT || b->kind == V_TEXT)
		return a->kind == b->kind && a->n == b->n && !memcmp(a->as.text, b->as.text, a->n);
	if (template_is_number(a) && template_is_number(b))
		return template_real_of(a) == template_real_of(b);
	return a->kind == b->kind && a->kind == V_NONE;
}

struct value *template_map_find(struct template_run *r, const struct map *m,
                                const struct value *key)
{
	(void)r;
	for (size_t i = 0; i < m->n; i++)
		if (same_key(&m->keys[i], key))
			return &m->values[i];
	return NULL;
}

struct value *template_map_find_name(const struct map *m, const char *name)
{
	struct value key = template_constant(name);

	return template_map_find(NULL, m, &key);
}

static int map_grow(struct template_run *r, struct map *m)
{
	size_t        capacity = m->capacity ? 2 * m->capacity : 4;
	struct value *keys, *values;

	TRY(template_bytes(r, 2 * capacity * sizeof *keys));
	TRY(arena_take(&r->arena, capacity, "a map of a template", &keys));
	TRY(arena_take(&r->arena, capacity, "a map of a template", &values));
	if (m->n) {
		memcpy(keys, m->keys, m->n * sizeof *keys);
		memcpy(values, m->values, m->n * sizeof *values);
	}
	m->keys = keys;
	m->values = values;
	m->capacity = capacity;
	return OK;
}

int template_map_put(struct template_run *r, struct map *m, struct value key, struct value value)
{
	struct value *at = template_map_find(r, m, &key);

	TRY(template_steps(r, 1 + m->n / 8));
	if (at) {
		*at = value;
		return OK;
	}
	if (key.kind != V_TEXT && key.kind != V_NONE && !template_is_number(&key))
		return template_error(r, "%s cannot be a key", template_kind_name(&key));
	if (m->n == m->capacity)
		TRY(map_grow(r, m));
	m->keys[m->n] = key;
	m->values[m->n++] = value;
	return OK;
}

/* ---- elements ---- */

static size_t character_bytes(const char *s, size_t n)
{
	size_t k = 1;

	while (k < n && ((unsigned char)s[k] & 0xc0) == 0x80)
		k++;
	return k;
}

/* Lists and mappings lend their own arrays; the characters of a text need a new one. */
int template_items(struct template_run *r, const struct value *v, const struct value **items,
                   size_t *n)
{
	struct value *list;

	if (!template_length(v, n))
		return template_error(r, "%s has no elements", template_kind_name(v));
	if (v->kind == V_LIST || *n == 0) {
		*items = v->kind == V_LIST ? v->as.items : NULL;
		return OK;
	}
	if (v->kind == V_MAP) {
		*items = v->as.map->keys;
		return OK;
	}
	TRY(template_bytes(r, *n * sizeof *list));
	TRY(arena_take(&r->arena, *n, "a list of a template", &list));
	for (size_t i = 0, at = 0; i < *n; i++) {
		size_t bytes = character_bytes(v->as.text + at, v->n - at);
		list[i] = (struct value){.kind = V_TEXT, .n = bytes, .as.text = v->as.text + at};
		at += bytes;
	}
	*items = list;
	return OK;
}

/* Where a slice of n elements begins or ends, as Python clips it. */
static int64_t clipped(const struct value *v, int64_t n, int64_t missing, int backwards)
{
	int64_t i;

	if (!v)
		return missing;
	i = v->as.i < 0 ? v->as.i + n : v->as.i;
	if (i < 0)
		return backwards ? -1 : 0;
	return i >= n ? (backwards ? n - 1 : n) : i;
}

/* v[from:to:step] as in Python. The step is clipped to n + 1, so that i += by cannot overflow. */
int template_slice(struct template_run *r, const struct value *v, const struct value *from,
                   const struct value *to, const struct value *step, struct value *out)
{
	const struct value *items, *parts[] = {from, to, step};
	struct value       *list;
	struct text         t = {0};
	size_t              n, m = 0;
	int64_t             by = step ? step->as.i : 1, i, end;

	for (int k = 0; k < 3; k++)
		if (parts[k] && parts[k]->kind != V_INT)
			return template_error(r, "a slice needs whole numbers, not %s",
			                      template_kind_name(parts[k]));
	if (v->kind != V_LIST && v->kind != V_TEXT)
		return template_error(r, "%s has no slices", template_kind_name(v));
	if (by == 0)
		return template_error(r, "a slice cannot go in steps of 0");
	TRY(template_items(r, v, &items, &n));
	TRY(template_bytes(r, (n + 1) * sizeof *list));
	TRY(arena_take(&r->arena, n + 1, "a list of a template", &list));
	by = by > (int64_t)n ? (int64_t)n + 1 : by < -(int64_t)n ? -(int64_t)n - 1 : by;
	i = clipped(from, (int64_t)n, by > 0 ? 0 : (int64_t)n - 1, by < 0);
	end = clipped(to, (int64_t)n, by > 0 ? (int64_t)n : -1, by < 0);
	for (; by > 0 ? i < end : i > end; i += by)
		list[m++] = items[i];
	if (v->kind == V_LIST) {
		*out = (struct value){.kind = V_LIST, .n = m, .as.items = list};
		return OK;
	}
	for (size_t k = 0; k < m; k++)
		text_add(&t, list[k].as.text, list[k].n);
	return template_take_text(r, &t, out);
}

/* ---- as text ---- */

/* The shortest digits that read back, laid out as Python does: 1.0, 1e-05, 1e+16. */
static void print_real(double x, struct text *t)
{
	char   digits[40], *e;
	int    precision = 0, exponent;
	size_t n;

	if (!isfinite(x)) {
		text_print(t, "%s", isnan(x) ? "nan" : x < 0 ? "-inf" : "inf");
		return;
	}
	do
		snprintf(digits, sizeof digits, "%.*e", precision, x);
	while (strtod(digits, NULL) != x && ++precision < 17);
	e = strchr(digits, 'e');
	exponent = atoi(e + 1);
	if (exponent < -4 || exponent >= 16) {
		text_print(t, "%.*se%c%02d", (int)(e - digits), digits, exponent < 0 ? '-' : '+',
		           abs(exponent));
		return;
	}
	snprintf(digits, sizeof digits, "%.*f", precision > exponent ? precision - exponent : 0, x);
	n = strlen(digits);
	text_add(t, digits, n);
	if (!strchr(digits, '.'))
		text_add(t, ".0", 2);
}

/* As Python's repr: in single quotes, or in double ones if only single ones occur inside. */
static void print_quoted(const char *s, size_t n, struct text *t)
{
	char quote = memchr(s, '\'', n) && !memchr(s, '"', n) ? '"' : '\'';

	text_add(t, &quote, 1);
	for (size_t i = 0; i < n; i++) {
		const char *from = "\n\r\t", *at = s[i] ? strchr(from, s[i]) : NULL;
		if (at)
			text_print(t, "\\%c", "nrt"[at - from]);
		else if (s[i] == '\\' || s[i] == quote)
			text_print(t, "\\%c", s[i]);
		else if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			text_print(t, "\\x%02x", (unsigned)s[i]);
		else
			text_add(t, s + i, 1);
	}
	text_add(t, &quote, 1);
}

static int print_list(struct template_run *r, const struct value *v, struct text *out)
{
	text_add(out, "[", 1);
	for (size_t i = 0; i < v->n; i++) {
		if (i)
			text_add(out, ", ", 2);
		TRY(template_print(r, &v->as.items[i], 1, out));
	}
	text_add(out, "]", 1);
	return OK;
}

static int print_map(struct template_run *r, const struct map *m, struct text *out)
{
	text_add(out, "{", 1);
	for (size_t i = 0; i < m->n; i++) {
		if (i)
			text_add(out, ", ", 2);
		TRY(template_print(r, &m->keys[i], 1, out));
		text_add(out, ": ", 2);
		TRY(template_print(r, &m->values[i], 1, out));
	}
	text_add(out, "}", 1);
	return OK;
}

/* A list that holds one list many times prints a lot from little, so the output is bounded while it
 * grows. */
static int print_nested(struct template_run *r, const struct value *v, struct text *out)
{
	int status;

	if (++r->depth > TEMPLATE_DEPTH)
		return template_error(r, "nested too deeply");
	status = v->kind == V_LIST ? print_list(r, v, out) : print_map(r, v->as.map, out);
	r->depth--;
	return status;
}

/* Only inside a list or a mapping are texts quoted and undefined values printed. */
int template_print(struct template_run *r, const struct value *v, int quoted, struct text *out)
{
	TRY(template_steps(r, 1 + (v->kind == V_TEXT ? v->n / 64 : 0)));
	if (out->n > TEMPLATE_BYTES)
		return template_error(r, "more than %d bytes of text", TEMPLATE_BYTES);
	switch (v->kind) {
	case V_UNDEFINED:
		if (quoted)
			text_add(out, "Undefined", 9);
		return OK;
	case V_NONE:
		text_add(out, "None", 4);
		return OK;
	case V_BOOL:
		text_print(out, "%s", v->as.i ? "True" : "False");
		return OK;
	case V_INT:
		text_print(out, "%lld", (long long)v->as.i);
		return OK;
	case V_REAL:
		print_real(v->as.x, out);
		return OK;
	case V_TEXT:
		if (quoted)
			print_quoted(v->as.text, v->n, out);
		else
			text_add(out, v->as.text, v->n);
		return OK;
	case V_LIST:
	case V_MAP:
		return print_nested(r, v, out);
	default:
		return template_error(r, "%s cannot be printed", template_kind_name(v));
	}
}

int template_to_text(struct template_run *r, const struct value *v, struct value *out)
{
	struct text t = {0};
	int         status;

	if (v->kind == V_TEXT) {
		*out = *v;
		return OK;
	}
	status = template_print(r, v, 0, &t);
	if (status == OK)
		return template_take_text(r, &t, out);
	text_free(&t);
	return status;
}

/* ---- as JSON ---- */

/* \u00e9, and above the first plane a surrogate pair, as Python's ensure_ascii. */
static size_t json_escape(const char *s, size_t n, struct text *t)
{
	utf8proc_int32_t c;
	utf8proc_ssize_t bytes =
	        utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &c);

	if (bytes <= 0) {
		c = 0xfffd;
		bytes = 1;
	}
	if (c < 0x10000)
		text_print(t, "\\u%04x", (unsigned)c);
	else
		text_print(t, "\\u%04x\\u%04x", 0xd800u + (unsigned)(c - 0x10000) / 0x400,
		           0xdc00u + (unsigned)(c - 0x10000) % 0x400);
	return (size_t)bytes;
}

static void json_text(const struct template_json *how, const char *s, size_t n, struct text *t)
{
	text_add(t, "\"", 1);
	for (size_t i = 0, bytes; i < n; i += bytes) {
		const char *from = "\"\\\n\r\t\b\f", *at = s[i] ? strchr(from, s[i]) : NULL;
		bytes = 1;
		if (at)
			text_print(t, "\\%c", "\"\\nrtbf"[at - from]);
		else if ((unsigned char)s[i] < ' ' || (how->ascii && (unsigned char)s[i] >= 0x7f))
			bytes = json_escape(s + i, n - i, t);
		else
			text_add(t, s + i, 1);
	}
	text_add(t, "\"", 1);
}

static void json_break(const struct template_json *how, int level, struct text *out)
{
	if (how->indent < 0)
		return;
	text_add(out, "\n", 1);
	for (int i = 0; i < how->indent * level; i++)
		text_add(out, " ", 1);
}

static int json_value(struct template_run *r, const struct template_json *how,
                      const struct value *v, int level, struct text *out);

static int json_key(struct template_run *r, const struct template_json *how,
                    const struct value *key, struct text *out)
{
	struct text t = {0};
	int         status = OK;

	if (key->kind == V_TEXT) {
		json_text(how, key->as.text, key->n, out);
		return OK;
	}
	status = json_value(r, how, key, 0, &t);
	json_text(how, t.data ? t.data : "", t.n, out);
	text_free(&t);
	return status;
}

/* Writes the order of a mapping's pairs: their positions, sorted by key if asked for. */
static int json_order(struct template_run *r, const struct template_json *how, const struct map *m,
                      size_t **order)
{
	TRY(arena_take(&r->arena, m->n + 1, "a list of a template", order));
	TRY(template_bytes(r, (m->n + 1) * sizeof **order));
	for (size_t i = 0; i < m->n; i++)
		(*order)[i] = i;
	return how->sort_keys ? template_sort(r, m->keys, m->n, 0, *order) : OK;
}

/* Writes a list or an object item by item, on one line or indented, keys sorted if asked for. */
static int json_nested(struct template_run *r, const struct template_json *how,
                       const struct value *v, int level, struct text *out)
{
	const struct map *m = v->kind == V_MAP ? v->as.map : NULL;
	size_t            n = m ? m->n : v->n, *order = NULL;

	if (m)
		TRY(json_order(r, how, m, &order));
	text_add(out, m ? "{" : "[", 1);
	for (size_t i = 0; i < n; i++) {
		if (i)
			text_add(out, how->between.as.text, how->between.n);
		json_break(how, level + 1, out);
		if (m) {
			TRY(json_key(r, how, &m->keys[order[i]], out));
			text_add(out, how->behind_key.as.text, how->behind_key.n);
		}
		TRY(json_value(r, how, m ? &m->values[order[i]] : &v->as.items[i], level + 1, out));
	}
	if (n)
		json_break(how, level, out);
	text_add(out, m ? "}" : "]", 1);
	return OK;
}

/* As Python's json.dumps: NaN and the infinities by name. Depth and length are bounded. */
static int json_value(struct template_run *r, const struct template_json *how,
                      const struct value *v, int level, struct text *out)
{
	TRY(template_steps(r, 1 + (v->kind == V_TEXT ? v->n / 64 : 0)));
	if (out->n > TEMPLATE_BYTES)
		return template_error(r, "more than %d bytes of text", TEMPLATE_BYTES);
	switch (v->kind) {
	case V_NONE:
		text_add(out, "null", 4);
		return OK;
	case V_BOOL:
		text_print(out, "%s", v->as.i ? "true" : "false");
		return OK;
	case V_TEXT:
		json_text(how, v->as.text, v->n, out);
		return OK;
	case V_REAL:
		if (isnan(v->as.x) || isinf(v->as.x)) {
			text_print(out, "%s",
			           isnan(v->as.x) ? "NaN"
			           : v->as.x < 0  ? "-Infinity"
			                          : "Infinity");
			return OK;
		}
		return template_print(r, v, 0, out);
	case V_INT:
		return template_print(r, v, 0, out);
	case V_LIST:
	case V_MAP:
		if (level >= TEMPLATE_DEPTH)
			return template_error(r, "nested too deeply");
		return json_nested(r, how, v, level, out);
	default:
		return template_error(r, "%s has no form in JSON", template_kind_name(v));
	}
}

int template_to_json(struct template_run *r, const struct template_json *how, const struct value *v,
                     struct text *out)
{
	return json_value(r, how, v, 0, out);
}

/* ---- white space ---- */

size_t template_space(const char *s, size_t n)
{
	utf8proc_int32_t c;
	utf8proc_ssize_t bytes;

	if (n == 0)
		return 0;
	if ((unsigned char)*s < 0x80)
		return *s == ' ' || (*s >= '\t' && *s <= '\r') || (*s >= 0x1c && *s <= 0x1f);
	bytes = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &c);
	if (bytes <= 0)
		return 0;
	return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
	                       c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
	                       c == 0x3000
	               ? (size_t)bytes
	               : 0;
}
