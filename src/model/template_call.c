#include "model/template_parts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

/* ---- arguments ---- */

const struct value *template_argument(const struct arguments *a, int position, const char *name)
{
	if (position >= 0 && position < a->n_positional)
		return &a->values[position];
	for (int i = a->n_positional; i < a->n; i++)
		if (name && !strcmp(a->names[i], name))
			return &a->values[i];
	return NULL;
}

/* No more by position than `most`, and names only of those in `names` ("width first blank"). */
static int check_arguments(struct run *r, const char *what, const struct arguments *a, int most, const char *names)
{
	if (a->n_positional > most)
		return template_error(r, "%.64s takes at most %d arguments", what, most);
	for (int i = a->n_positional; i < a->n; i++) {
		const char *at = strstr(names, a->names[i]);
		size_t      n = strlen(a->names[i]);
		if (!at || (at > names && at[-1] != ' ') || (at[n] && at[n] != ' '))
			return template_error(r, "%.64s with the argument \"%.64s\" is not supported", what, a->names[i]);
	}
	return OK;
}

static int integer_argument(struct run *r, const struct arguments *a, int position, const char *name, int64_t low, int64_t high,
                            int64_t *out)
{
	const struct value *v = template_argument(a, position, name);

	if (!v || v->kind == V_NONE)
		return OK;
	if ((v->kind != V_INT && v->kind != V_BOOL) || v->as.i < low || v->as.i > high)
		return template_error(r, "\"%.64s\" must be a whole number from %lld to %lld", name, (long long)low, (long long)high);
	*out = v->as.i;
	return OK;
}

/* *out stays NULL when the argument is missing or none. */
static int text_argument(struct run *r, const struct arguments *a, int position, const char *name, const struct value **out)
{
	const struct value *v = template_argument(a, position, name);

	*out = v && v->kind != V_NONE ? v : NULL;
	if (*out && v->kind != V_TEXT)
		return template_error(r, "\"%.64s\" must be a text, not %s", name, template_kind_name(v));
	return OK;
}

static int needed_text(struct run *r, const struct arguments *a, int position, const char *name, const struct value **out)
{
	TRY(text_argument(r, a, position, name, out));
	return *out ? OK : template_error(r, "the argument \"%.64s\" is missing", name);
}

/* ---- texts ---- */

static size_t first_character(const char *s, size_t n)
{
	size_t k = 1;

	while (k < n && ((unsigned char)s[k] & 0xc0) == 0x80)
		k++;
	return k;
}

static size_t last_character(const char *s, size_t n)
{
	size_t k = 1;

	while (k < n && ((unsigned char)s[n - k] & 0xc0) == 0x80)
		k++;
	return k;
}

static int is_among(const char *c, size_t bytes, const struct value *set)
{
	for (size_t at = 0, n; at < set->n; at += n) {
		n = first_character(set->as.text + at, set->n - at);
		if (n == bytes && !memcmp(set->as.text + at, c, n))
			return 1;
	}
	return 0;
}

/* chars NULL: white space. */
static int strip(struct run *r, const struct value *v, const struct value *chars, int left, int right, struct value *out)
{
	const char *s = v->as.text;
	size_t      n = v->n, k;

	TRY(template_steps(r, 1 + n / 16 * (1 + (chars ? chars->n : 0))));
	while (left && n) {
		k = first_character(s, n);
		if (!(chars ? is_among(s, k, chars) : template_space(s, k) > 0))
			break;
		s += k;
		n -= k;
	}
	while (right && n) {
		k = last_character(s, n);
		if (!(chars ? is_among(s + n - k, k, chars) : template_space(s + n - k, k) > 0))
			break;
		n -= k;
	}
	return template_copy_text(r, s, n, out);
}

enum letter_case { UPPER, LOWER, CAPITALIZED, TITLE_WORDS, TITLE_LETTERS };

/* Simple mappings, one code point to one. A capital begins the text, a word behind one of "-({[<" and white space (the filter), or letters behind
 * something else (the method). */
static int change_case(struct run *r, const struct value *v, enum letter_case how, struct value *out)
{
	struct text t = {0};
	int         begins = 1;

	TRY(template_steps(r, v->n / 4));
	for (size_t at = 0; at < v->n;) {
		const char      *s = v->as.text + at;
		utf8proc_uint8_t bytes[4];
		utf8proc_int32_t c, mapped;
		utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)(v->n - at), &c);
		if (n <= 0) {
			text_add(&t, s, 1);
			at++;
			continue;
		}
		mapped = how == UPPER || (how != LOWER && begins) ? utf8proc_toupper(c) : utf8proc_tolower(c);
		text_add(&t, (const char *)bytes, (size_t)utf8proc_encode_char(mapped, bytes));
		if (how == TITLE_WORDS)
			begins = template_space(s, (size_t)n) || (n == 1 && strchr("-({[<", *s));
		else if (how == TITLE_LETTERS)
			begins = utf8proc_toupper(c) == c && utf8proc_tolower(c) == c;
		else
			begins = 0;
		at += (size_t)n;
	}
	return template_take_text(r, &t, out);
}

static int replace(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	const struct value *from, *to;
	const char         *s = v->as.text, *end = s + v->n, *at;
	int64_t             most = INT64_MAX;
	struct text         t = {0};

	TRY(needed_text(r, a, 0, "old", &from));
	TRY(needed_text(r, a, 1, "new", &to));
	TRY(integer_argument(r, a, 2, "count", -1, INT64_MAX, &most));
	if (from->n == 0)
		return template_error(r, "replacing an empty text is not supported");
	TRY(template_steps(r, v->n / 16));
	for (; most && (at = memmem(s, (size_t)(end - s), from->as.text, from->n)); most -= most > 0) {
		int status = t.n + to->n > TEMPLATE_BYTES ? template_error(r, "more than %d bytes of text", TEMPLATE_BYTES)
		                                          : template_steps(r, 1);
		if (status != OK) {
			text_free(&t);
			return status;
		}
		text_add(&t, s, (size_t)(at - s));
		text_add(&t, to->as.text, to->n);
		s = at + from->n;
	}
	text_add(&t, s, (size_t)(end - s));
	return template_take_text(r, &t, out);
}

struct builder { /* of a list */
	struct value *items;
	size_t        n, capacity;
};

static int add_item(struct run *r, struct builder *b, struct value v)
{
	TRY(template_steps(r, 1));
	if (b->n == b->capacity) {
		size_t        capacity = b->capacity ? 2 * b->capacity : 8;
		struct value *items;
		TRY(template_bytes(r, capacity * sizeof *items));
		items = arena_alloc(&r->arena, capacity, sizeof *items);
		if (!items)
			return ERR_INPUT;
		if (b->n)
			memcpy(items, b->items, b->n * sizeof *items);
		b->items = items;
		b->capacity = capacity;
	}
	b->items[b->n++] = v;
	return OK;
}

static struct value built(const struct builder *b)
{
	return (struct value){.kind = V_LIST, .n = b->n, .as.items = b->items};
}

static int add_part(struct run *r, struct builder *b, const char *s, size_t n)
{
	struct value part;

	TRY(template_copy_text(r, s, n, &part));
	return add_item(r, b, part);
}

static int split_at_spaces(struct run *r, const struct value *v, int64_t most, struct builder *b)
{
	const char *s = v->as.text, *end = s + v->n;
	size_t      k;

	for (;;) {
		const char *from;
		while (s < end && (k = template_space(s, (size_t)(end - s))))
			s += k;
		if (s == end)
			return OK;
		from = s;
		if (most-- == 0)
			s = end;
		while (s < end && !template_space(s, (size_t)(end - s)))
			s++;
		TRY(add_part(r, b, from, (size_t)(s - from)));
	}
}

static int split(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	const struct value *by;
	const char         *s = v->as.text, *end = s + v->n, *at;
	struct builder      b = {0};
	int64_t             most = -1;

	TRY(text_argument(r, a, 0, "sep", &by));
	TRY(integer_argument(r, a, 1, "maxsplit", -1, INT64_MAX, &most));
	TRY(template_steps(r, v->n / 16));
	if (!by) {
		TRY(split_at_spaces(r, v, most, &b));
		*out = built(&b);
		return OK;
	}
	if (by->n == 0)
		return template_error(r, "a text cannot be split at an empty one");
	for (; most && (at = memmem(s, (size_t)(end - s), by->as.text, by->n)); s = at + by->n, most -= most > 0)
		TRY(add_part(r, &b, s, (size_t)(at - s)));
	TRY(add_part(r, &b, s, (size_t)(end - s)));
	*out = built(&b);
	return OK;
}

static int join(struct run *r, const struct value *list, const struct value *between, struct value *out)
{
	const struct value *items;
	struct text         t = {0};
	size_t              n;
	int                 status = template_items(r, list, &items, &n);

	for (size_t i = 0; status == OK && i < n; i++) {
		if (i && between)
			text_add(&t, between->as.text, between->n);
		status = template_print(r, &items[i], 0, &t);
	}
	if (status == OK)
		return template_take_text(r, &t, out);
	text_free(&t);
	return status;
}

static int ends_at(const struct value *v, const struct value *part, int at_start)
{
	return part->n <= v->n && !memcmp(v->as.text + (at_start ? 0 : v->n - part->n), part->as.text, part->n);
}

/* ---- methods ---- */

static const char *const text_methods[] = {"capitalize", "count", "endswith",   "find",  "join",  "lower", "lstrip", "replace",
                                           "rstrip",     "split", "startswith", "strip", "title", "upper", NULL};
static const char *const map_methods[] = {"get", "items", "keys", "values", NULL};

int template_call_is_method(enum value_kind kind, const char *name)
{
	const char *const *names = kind == V_TEXT ? text_methods : kind == V_MAP ? map_methods : NULL;

	for (; names && *names; names++)
		if (!strcmp(*names, name))
			return 1;
	return 0;
}

static int count_or_find(struct run *r, const struct value *v, const struct arguments *a, int find, struct value *out)
{
	const struct value *part;
	const char         *s = v->as.text, *end = s + v->n, *at;
	struct value        before = {.kind = V_TEXT, .as.text = s};
	int64_t             n = 0;
	size_t              length;

	TRY(needed_text(r, a, 0, "sub", &part));
	TRY(template_steps(r, v->n / 16));
	if (part->n == 0)
		return template_error(r, "looking for an empty text is not supported");
	if (find) {
		at = memmem(s, v->n, part->as.text, part->n);
		before.n = at ? (size_t)(at - s) : 0;
		template_length(&before, &length);
		*out = template_int(at ? (int64_t)length : -1);
		return OK;
	}
	for (; (at = memmem(s, (size_t)(end - s), part->as.text, part->n)); s = at + part->n)
		n++;
	*out = template_int(n);
	return OK;
}

/* One text, or any of a list of them. */
static int starts_or_ends(struct run *r, const struct value *v, const struct arguments *a, int at_start, struct value *out)
{
	const struct value *part = template_argument(a, 0, "prefix"), *parts;
	size_t              n = 1;
	int                 truth = 0;

	if (!part || (part->kind != V_TEXT && part->kind != V_LIST))
		return template_error(r, "startswith and endswith need a text or several");
	parts = part;
	if (part->kind == V_LIST)
		TRY(template_items(r, part, &parts, &n));
	for (size_t i = 0; i < n; i++) {
		if (parts[i].kind != V_TEXT)
			return template_error(r, "startswith and endswith need a text or several");
		TRY(template_steps(r, 1 + parts[i].n / 64));
		truth |= ends_at(v, &parts[i], at_start);
	}
	*out = template_bool(truth);
	return OK;
}

static int text_method(struct run *r, const struct method *m, const struct arguments *a, struct value *out)
{
	const struct value *v = &m->self, *chars = NULL;
	char                c = m->name[0];

	if (!strcmp(m->name, "split"))
		return split(r, v, a, out);
	if (!strcmp(m->name, "replace"))
		return replace(r, v, a, out);
	if (!strcmp(m->name, "startswith") || !strcmp(m->name, "endswith"))
		return starts_or_ends(r, v, a, c == 's', out);
	if (!strcmp(m->name, "count") || !strcmp(m->name, "find"))
		return count_or_find(r, v, a, c == 'f', out);
	if (!strcmp(m->name, "join")) {
		if (a->n != 1)
			return template_error(r, "join needs one list");
		return join(r, &a->values[0], v, out);
	}
	if (strstr(m->name, "strip")) {
		TRY(text_argument(r, a, 0, "chars", &chars));
		return strip(r, v, chars, c != 'r', c != 'l', out);
	}
	return change_case(r, v, c == 'u' ? UPPER : c == 'l' ? LOWER : c == 'c' ? CAPITALIZED : TITLE_LETTERS, out);
}

static int map_items(struct run *r, const struct map *m, struct value *out)
{
	struct builder b = {0};

	for (size_t i = 0; i < m->n; i++) {
		struct builder pair = {0};
		TRY(add_item(r, &pair, m->keys[i]));
		TRY(add_item(r, &pair, m->values[i]));
		TRY(add_item(r, &b, built(&pair)));
	}
	*out = built(&b);
	return OK;
}

static int map_method(struct run *r, const struct method *m, const struct arguments *a, struct value *out)
{
	const struct map   *map = m->self.as.map;
	const struct value *key = template_argument(a, 0, NULL), *at, *otherwise = template_argument(a, 1, NULL);

	if (!strcmp(m->name, "items"))
		return map_items(r, map, out);
	if (!strcmp(m->name, "keys") || !strcmp(m->name, "values")) {
		struct builder b = {0};
		for (size_t i = 0; i < map->n; i++)
			TRY(add_item(r, &b, m->name[0] == 'k' ? map->keys[i] : map->values[i]));
		*out = built(&b);
		return OK;
	}
	if (!key)
		return template_error(r, "get needs a key");
	TRY(template_steps(r, 1 + map->n / 8));
	at = template_map_find(r, map, key);
	*out = at ? *at : otherwise ? *otherwise : (struct value){.kind = V_NONE};
	return OK;
}

int template_call_method(struct run *r, const struct method *m, const struct arguments *a, struct value *out)
{
	TRY(check_arguments(r, m->name, a, 3, "sep maxsplit chars old new count"));
	return m->self.kind == V_TEXT ? text_method(r, m, a, out) : map_method(r, m, a, out);
}

/* ---- functions ---- */

static int range(struct run *r, const struct arguments *a, struct value *out)
{
	int64_t        v[3] = {0, 0, 1};
	struct builder b = {0};

	if (a->n_positional < 1 || a->n_positional > 3 || a->n > a->n_positional)
		return template_error(r, "range takes one to three whole numbers");
	for (int i = 0; i < a->n_positional; i++)
		TRY(integer_argument(r, a, i, "range", -TEMPLATE_STEPS, TEMPLATE_STEPS, &v[i]));
	if (a->n_positional == 1) {
		v[1] = v[0];
		v[0] = 0;
	}
	if (v[2] == 0)
		return template_error(r, "range cannot go in steps of 0");
	for (int64_t i = v[0]; v[2] > 0 ? i < v[1] : i > v[1]; i += v[2])
		TRY(add_item(r, &b, template_int(i)));
	*out = built(&b);
	return OK;
}

static int make_namespace(struct run *r, const struct arguments *a, struct value *out)
{
	struct map *m = arena_alloc(&r->arena, 1, sizeof *m);

	TRY(template_bytes(r, sizeof *m));
	if (!m)
		return ERR_INPUT;
	if (a->n_positional)
		return template_error(r, "namespace takes arguments by name");
	for (int i = 0; i < a->n; i++)
		TRY(template_map_put(r, m, template_constant(a->names[i]), a->values[i]));
	*out = (struct value){.kind = V_NAMESPACE, .as.map = m};
	return OK;
}

static int raise_exception(struct run *r, const struct arguments *a, struct value *out)
{
	struct value text = template_constant("");

	if (a->n)
		TRY(template_to_text(r, &a->values[0], &text));
	*out = text;
	return template_error(r, "%.*s", (int)(text.n < 400 ? text.n : 400), text.as.text);
}

static int strftime_now(struct run *r, const struct arguments *a, struct value *out)
{
	const struct value *format;
	time_t              now = (time_t)r->now;
	struct tm           date;
	char                text[256];
	size_t              n;

	TRY(needed_text(r, a, 0, "format", &format));
	if (memchr(format->as.text, 0, format->n) || !gmtime_r(&now, &date))
		return template_error(r, "this date cannot be written");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	n = strftime(text, sizeof text, format->as.text, &date);
#pragma GCC diagnostic pop
	return template_copy_text(r, text, n, out);
}

static const struct function {
	const char *name;
	int (*call)(struct run *r, const struct arguments *a, struct value *out);
} functions[] = {{"range", range}, {"namespace", make_namespace}, {"raise_exception", raise_exception}, {"strftime_now", strftime_now}};
enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

int template_call_is_function(const struct run *r, const char *name)
{
	for (int i = 0; i < N_FUNCTIONS; i++)
		if (!strcmp(functions[i].name, name))
			return functions[i].call != strftime_now || r->now >= 0;
	return 0;
}

int template_call_function(struct run *r, const char *name, const struct arguments *a, struct value *out)
{
	for (int i = 0; i < N_FUNCTIONS; i++)
		if (!strcmp(functions[i].name, name))
			return functions[i].call(r, a, out);
	return template_error(r, "there is no function \"%.64s\"", name);
}

/* ---- tests ---- */

static int is_undefined(const struct value *v)
{
	return v->kind == V_UNDEFINED;
}
static int is_defined(const struct value *v)
{
	return v->kind != V_UNDEFINED;
}
static int is_none(const struct value *v)
{
	return v->kind == V_NONE;
}
static int is_boolean(const struct value *v)
{
	return v->kind == V_BOOL;
}
static int is_true(const struct value *v)
{
	return v->kind == V_BOOL && v->as.i;
}
static int is_false(const struct value *v)
{
	return v->kind == V_BOOL && !v->as.i;
}
static int is_string(const struct value *v)
{
	return v->kind == V_TEXT;
}
static int is_mapping(const struct value *v)
{
	return v->kind == V_MAP;
}
static int is_number(const struct value *v)
{
	return v->kind == V_INT || v->kind == V_REAL || v->kind == V_BOOL;
}
static int is_integer(const struct value *v)
{
	return v->kind == V_INT;
}
static int is_float(const struct value *v)
{
	return v->kind == V_REAL;
}
static int is_odd(const struct value *v)
{
	return v->kind == V_INT && v->as.i % 2 != 0;
}
static int is_even(const struct value *v)
{
	return v->kind == V_INT && v->as.i % 2 == 0;
}

static const struct test {
	const char *name;
	int (*is)(const struct value *v);
} tests[] = {{"undefined", is_undefined},
             {"defined", is_defined},
             {"none", is_none},
             {"boolean", is_boolean},
             {"true", is_true},
             {"false", is_false},
             {"string", is_string},
             {"mapping", is_mapping},
             {"number", is_number},
             {"integer", is_integer},
             {"float", is_float},
             {"iterable", template_is_iterable},
             {"sequence", template_is_iterable},
             {"odd", is_odd},
             {"even", is_even}};

static const struct comparison {
	const char *name;
	enum        operator op;
} comparisons[] = {{"equalto", OP_EQUAL},
                   {"eq", OP_EQUAL},
                   {"==", OP_EQUAL},
                   {"ne", OP_UNEQUAL},
                   {"!=", OP_UNEQUAL},
                   {"lt", OP_LESS},
                   {"<", OP_LESS},
                   {"lessthan", OP_LESS},
                   {"gt", OP_GREATER},
                   {">", OP_GREATER},
                   {"greaterthan", OP_GREATER},
                   {"le", OP_LESS_EQUAL},
                   {"<=", OP_LESS_EQUAL},
                   {"ge", OP_GREATER_EQUAL},
                   {">=", OP_GREATER_EQUAL},
                   {"in", OP_IN}};

static int compare(struct run *r, enum operator op, const struct value *v, const struct value *with, int *out)
{
	switch (op) {
	case OP_EQUAL:
		return template_equal(r, v, with, out);
	case OP_IN:
		return template_contains(r, with, v, out);
	case OP_LESS:
		return template_less(r, v, with, out);
	case OP_GREATER:
		return template_less(r, with, v, out);
	case OP_UNEQUAL:
		TRY(template_equal(r, v, with, out));
		break;
	case OP_LESS_EQUAL:
		TRY(template_less(r, with, v, out));
		break;
	default:
		TRY(template_less(r, v, with, out));
	}
	*out = !*out;
	return OK;
}

int template_call_test(struct run *r, const char *name, const struct value *v, const struct arguments *a, int *out)
{
	const struct value *with = template_argument(a, 0, NULL);

	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		if (!strcmp(tests[i].name, name)) {
			*out = tests[i].is(v);
			return OK;
		}
	if (!strcmp(name, "divisibleby") && with && with->kind == V_INT && with->as.i && v->kind == V_INT) {
		*out = with->as.i == -1 || v->as.i % with->as.i == 0;
		return OK;
	}
	for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
		if (with && !strcmp(comparisons[i].name, name))
			return compare(r, comparisons[i].op, v, with, out);
	return template_error(r, "the test \"%.64s\" is not supported, or not with these values", name);
}

/* ---- filters ---- */

typedef int filter(struct run *r, const struct value *v, const struct arguments *a, struct value *out);

static int filter_tojson(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	struct text t = {0};
	int64_t     indent = -1;
	int         status;

	TRY(integer_argument(r, a, 0, "indent", 0, 32, &indent));
	status = template_json(r, v, (int)indent, 0, &t);
	if (status == OK)
		return template_take_text(r, &t, out);
	text_free(&t);
	return status;
}

static int filter_length(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	size_t n;

	(void)a;
	if (!template_length(v, &n))
		return template_error(r, "%s has no length", template_kind_name(v));
	TRY(template_steps(r, v->kind == V_TEXT ? v->n / 16 : 0));
	*out = template_int((int64_t)n);
	return OK;
}

static int filter_string(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	(void)a;
	return template_to_text(r, v, out);
}

static int filter_trim(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	const struct value *chars;
	struct value        text;

	TRY(text_argument(r, a, 0, "chars", &chars));
	TRY(template_to_text(r, v, &text));
	return strip(r, &text, chars, 1, 1, out);
}

static int with_case(struct run *r, const struct value *v, enum letter_case how, struct value *out)
{
	struct value text;

	TRY(template_to_text(r, v, &text));
	return change_case(r, &text, how, out);
}
static int filter_upper(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	(void)a;
	return with_case(r, v, UPPER, out);
}
static int filter_lower(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	(void)a;
	return with_case(r, v, LOWER, out);
}
static int filter_capitalize(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	(void)a;
	return with_case(r, v, CAPITALIZED, out);
}
static int filter_title(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	(void)a;
	return with_case(r, v, TITLE_WORDS, out);
}

static int filter_replace(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	struct value text;

	TRY(template_to_text(r, v, &text));
	return replace(r, &text, a, out);
}

static int filter_default(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	const struct value *instead = template_argument(a, 0, "default_value"), *also_false = template_argument(a, 1, "boolean");

	(void)r;
	*out = *v;
	if (v->kind == V_UNDEFINED || (also_false && template_truth(also_false) && !template_truth(v)))
		*out = instead ? *instead : template_constant("");
	return OK;
}

static int filter_items(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	struct builder none = {0};

	(void)a;
	if (v->kind == V_MAP)
		return map_items(r, v->as.map, out);
	if (v->kind != V_UNDEFINED)
		return template_error(r, "only a mapping has items, not %s", template_kind_name(v));
	*out = built(&none);
	return OK;
}

static int filter_list(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	*out = (struct value){.kind = V_LIST};
	(void)a;
	return template_items(r, v, &out->as.items, &out->n);
}

/* -1: the last */
static int end_of(struct run *r, const struct value *v, int last, struct value *out)
{
	const struct value *items;
	size_t              n;

	TRY(template_items(r, v, &items, &n));
	*out = n ? items[last ? n - 1 : 0] : (struct value){.kind = V_UNDEFINED, .as.name = "an element of an empty list"};
	return OK;
}
static int filter_first(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	(void)a;
	return end_of(r, v, 0, out);
}
static int filter_last(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	(void)a;
	return end_of(r, v, 1, out);
}

static int filter_reverse(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	struct value back = template_int(-1);

	(void)a;
	return template_slice(r, v, NULL, NULL, &back, out);
}

static int filter_int(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	const struct value *otherwise = template_argument(a, 0, "default");
	char                digits[32], *end;

	*out = otherwise ? *otherwise : template_int(0);
	if (v->kind == V_INT || v->kind == V_BOOL)
		*out = template_int(v->as.i);
	if (v->kind == V_REAL && v->as.x > -1e18 && v->as.x < 1e18)
		*out = template_int((int64_t)v->as.x);
	if (v->kind == V_TEXT && v->n && v->n < sizeof digits) {
		double x;
		memcpy(digits, v->as.text, v->n);
		digits[v->n] = 0;
		x = strtod(digits, &end);
		while (template_space(end, strlen(end)))
			end++;
		if (!*end && end != digits && x > -1e15 && x < 1e15)
			*out = template_int((int64_t)x);
	}
	(void)r;
	return OK;
}

static int filter_float(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	(void)a;
	if (!is_number(v))
		return template_error(r, "float of %s is not supported", template_kind_name(v));
	*out = (struct value){.kind = V_REAL, .as.x = v->kind == V_REAL ? v->as.x : (double)v->as.i};
	return OK;
}

static int filter_safe(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	(void)a;
	(void)r;
	*out = *v;
	return OK;
}

/* Every line but the first, and no empty one, gets `width` spaces in front. */
static int filter_indent(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	const struct value *first = template_argument(a, 1, "first"), *blank = template_argument(a, 2, "blank");
	int                 in_first = first && template_truth(first), in_blank = blank && template_truth(blank);
	int64_t             width = 4;
	struct value        text;
	struct text         t = {0};

	TRY(integer_argument(r, a, 0, "width", 0, 64, &width));
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

/* "function.name": the attributes one after another */
static int follow(struct run *r, const struct value *v, const struct value *path, struct value *out)
{
	char *name, *rest, *part;

	if (path->kind == V_INT)
		return template_item(r, v, path, out);
	if (path->kind != V_TEXT)
		return template_error(r, "an attribute needs a name, not %s", template_kind_name(path));
	TRY(template_bytes(r, path->n + 1));
	name = arena_text(&r->arena, path->as.text, path->n);
	*out = *v;
	for (part = name ? strtok_r(name, ".", &rest) : NULL; part; part = strtok_r(NULL, ".", &rest)) {
		struct value of = *out, key = template_constant(part);
		if (of.kind == V_UNDEFINED)
			return OK;
		TRY(template_item(r, &of, &key, out));
	}
	return name ? OK : ERR_INPUT;
}

static int filter_join(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	const struct value *between, *attribute = template_argument(a, 1, "attribute"), *items;
	struct builder      b = {0};
	struct value        list = *v;
	size_t              n;

	TRY(text_argument(r, a, 0, "d", &between));
	if (attribute) {
		TRY(template_items(r, v, &items, &n));
		for (size_t i = 0; i < n; i++) {
			struct value x;
			TRY(follow(r, &items[i], attribute, &x));
			TRY(add_item(r, &b, x));
		}
		list = built(&b);
	}
	return join(r, &list, between, out);
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

static int name_of(struct run *r, const struct value *v, const char **out)
{
	struct value copy;

	if (v->kind != V_TEXT)
		return template_error(r, "a name is needed, not %s", template_kind_name(v));
	TRY(template_copy_text(r, v->as.text, v->n, &copy));
	*out = copy.as.text;
	return OK;
}

static int filter_map(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	const struct value *attribute = template_argument(a, -1, "attribute"), *otherwise = template_argument(a, -1, "default"), *items;
	struct arguments    rest = behind(a, 1);
	struct builder      b = {0};
	const char         *name = NULL;
	size_t              n;

	if (!attribute && !a->n_positional)
		return template_error(r, "map needs a filter or an attribute");
	if (!attribute)
		TRY(name_of(r, &a->values[0], &name));
	TRY(template_items(r, v, &items, &n));
	for (size_t i = 0; i < n; i++) {
		struct value x;
		TRY(attribute ? follow(r, &items[i], attribute, &x) : template_call_filter(r, name, &items[i], &rest, &x));
		TRY(add_item(r, &b, x.kind == V_UNDEFINED && otherwise ? *otherwise : x));
	}
	*out = built(&b);
	return OK;
}

/* The items, or those whose attribute, pass a test (without one: are true), or do not. */
static int choose(struct run *r, const struct value *v, const struct arguments *a, int by_attribute, int wanted, struct value *out)
{
	struct arguments    rest = behind(a, by_attribute + 1);
	const struct value *items;
	struct builder      b = {0};
	const char         *test = NULL;
	size_t              n;

	if (a->n_positional < by_attribute)
		return template_error(r, "selectattr and rejectattr need the name of an attribute");
	if (a->n_positional > by_attribute)
		TRY(name_of(r, &a->values[by_attribute], &test));
	TRY(template_items(r, v, &items, &n));
	for (size_t i = 0; i < n; i++) {
		struct value x = items[i];
		int          truth;
		if (by_attribute)
			TRY(follow(r, &items[i], &a->values[0], &x));
		truth = template_truth(&x);
		if (test)
			TRY(template_call_test(r, test, &x, &rest, &truth));
		if (truth == wanted)
			TRY(add_item(r, &b, items[i]));
	}
	*out = built(&b);
	return OK;
}
static int filter_select(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	return choose(r, v, a, 0, 1, out);
}
static int filter_reject(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	return choose(r, v, a, 0, 0, out);
}
static int filter_selectattr(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	return choose(r, v, a, 1, 1, out);
}
static int filter_rejectattr(struct run *r, const struct value *v, const struct arguments *a, struct value *out)
{
	return choose(r, v, a, 1, 0, out);
}

static const struct filter_row {
	const char *name;
	filter     *call;
	int         most; /* arguments by position */
	const char *names;
} filters[] = {
        {"tojson", filter_tojson, 1, "indent"},
        {"length", filter_length, 0, ""},
        {"count", filter_length, 0, ""},
        {"string", filter_string, 0, ""},
        {"trim", filter_trim, 1, "chars"},
        {"upper", filter_upper, 0, ""},
        {"lower", filter_lower, 0, ""},
        {"capitalize", filter_capitalize, 0, ""},
        {"title", filter_title, 0, ""},
        {"replace", filter_replace, 3, "old new count"},
        {"default", filter_default, 2, "default_value boolean"},
        {"d", filter_default, 2, "default_value boolean"},
        {"items", filter_items, 0, ""},
        {"list", filter_list, 0, ""},
        {"first", filter_first, 0, ""},
        {"last", filter_last, 0, ""},
        {"reverse", filter_reverse, 0, ""},
        {"int", filter_int, 1, "default"},
        {"float", filter_float, 0, ""},
        {"safe", filter_safe, 0, ""},
        {"indent", filter_indent, 3, "width first blank"},
        {"join", filter_join, 2, "d attribute"},
        {"map", filter_map, ARGUMENTS_MAX, "attribute default"},
        {"select", filter_select, 3, ""},
        {"reject", filter_reject, 3, ""},
        {"selectattr", filter_selectattr, 3, ""},
        {"rejectattr", filter_rejectattr, 3, ""},
};

int template_call_filter(struct run *r, const char *name, const struct value *v, const struct arguments *a, struct value *out)
{
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
		int status;
		if (strcmp(filters[i].name, name) != 0)
			continue;
		TRY(check_arguments(r, name, a, filters[i].most, filters[i].names));
		if (++r->depth > TEMPLATE_DEPTH) /* map('map', ...) */
			return template_error(r, "nested too deeply");
		status = filters[i].call(r, v, a, out);
		r->depth--;
		return status;
	}
	return template_error(r, "the filter \"%.64s\" is not supported", name);
}
