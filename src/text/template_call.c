#include "text/template_parts.h"

#include <string.h>
#include <time.h>

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

/* The position of a name among names ("width first blank"), or -1. */
static int position_of(const char *names, const char *name)
{
	for (int k = 0; *names; k++) {
		size_t n = strcspn(names, " ");
		if (strlen(name) == n && !memcmp(names, name, n))
			return k;
		names += n + (names[n] == ' ');
	}
	return -1;
}

/* A named argument counts towards s->least when its position does. */
int template_check_arguments(struct template_run *r, const char *what, const struct arguments *a,
                             const struct template_signature *s)
{
	int given = a->n_positional;

	if (a->n_positional > s->most)
		return template_error(r, "%.64s takes at most %d arguments", what, s->most);
	for (int i = a->n_positional; s->names && i < a->n; i++) {
		int k = position_of(s->names, a->names[i]);
		if (k < 0)
			return template_error(r,
			                      "%.64s with the argument \"%.64s\" is not supported",
			                      what, a->names[i]);
		if (k < a->n_positional && s->most < ARGUMENTS_MAX)
			return template_error(r, "%.64s is given \"%.64s\" twice", what,
			                      a->names[i]);
		given += k < s->least;
	}
	return given < s->least ? template_error(r, "%.64s needs %d arguments", what, s->least)
	                        : OK;
}

int template_integer_argument(struct template_run *r, const struct arguments *a,
                              const struct template_whole *w, int64_t *out)
{
	const struct value *v = template_argument(a, w->position, w->name);

	if (!v || v->kind == V_NONE)
		return OK;
	if ((v->kind != V_INT && v->kind != V_BOOL) || v->as.i < w->low || v->as.i > w->high)
		return template_error(r, "\"%.64s\" must be a whole number from %lld to %lld",
		                      w->name, (long long)w->low, (long long)w->high);
	*out = v->as.i;
	return OK;
}

/* *out stays NULL when the argument is missing or none. */
int template_text_argument(struct template_run *r, const struct arguments *a, int position,
                           const char *name, const struct value **out)
{
	const struct value *v = template_argument(a, position, name);

	*out = v && v->kind != V_NONE ? v : NULL;
	if (*out && v->kind != V_TEXT)
		return template_error(r, "\"%.64s\" must be a text, not %s", name,
		                      template_kind_name(v));
	return OK;
}

int template_needed_text(struct template_run *r, const struct arguments *a, int position,
                         const char *name, const struct value **out)
{
	TRY(template_text_argument(r, a, position, name, out));
	return *out ? OK : template_error(r, "the argument \"%.64s\" is missing", name);
}

int template_flag(const struct arguments *a, int position, const char *name)
{
	const struct value *v = template_argument(a, position, name);

	return v && template_truth(v);
}

/* ---- functions ---- */

/* range(stop), range(start, stop), range(start, stop, step), as a list. */
static int range(struct template_run *r, const struct arguments *a, struct value *out)
{
	int64_t                 v[3] = {0, 0, 1};
	struct template_builder b = {0};

	for (int i = 0; i < a->n_positional; i++)
		TRY(template_integer_argument(
		        r, a, &(struct template_whole){i, "range", -TEMPLATE_STEPS, TEMPLATE_STEPS},
		        &v[i]));
	if (a->n_positional == 1) {
		v[1] = v[0];
		v[0] = 0;
	}
	if (v[2] == 0)
		return template_error(r, "range cannot go in steps of 0");
	for (int64_t i = v[0]; v[2] > 0 ? i < v[1] : i > v[1]; i += v[2])
		TRY(template_add_item(r, &b, template_int(i)));
	*out = template_built(&b);
	return OK;
}

static int make_namespace(struct template_run *r, const struct arguments *a, struct value *out)
{
	struct map *m;

	TRY(template_bytes(r, sizeof *m));
	TRY(arena_take(&r->arena, 1, "a value of a template", &m));
	if (a->n_positional && a->values[0].kind != V_MAP)
		return template_error(r, "a mapping or arguments by name are needed, not %s",
		                      template_kind_name(&a->values[0]));
	for (size_t i = 0; a->n_positional && i < a->values[0].as.map->n; i++)
		TRY(template_map_put(r, m, a->values[0].as.map->keys[i],
		                     a->values[0].as.map->values[i]));
	for (int i = a->n_positional; i < a->n; i++)
		TRY(template_map_put(r, m, template_constant(a->names[i]), a->values[i]));
	*out = (struct value){.kind = V_NAMESPACE, .as.map = m};
	return OK;
}

static int make_dict(struct template_run *r, const struct arguments *a, struct value *out)
{
	TRY(make_namespace(r, a, out));
	out->kind = V_MAP;
	return OK;
}

static int raise_exception(struct template_run *r, const struct arguments *a, struct value *out)
{
	struct value text;

	TRY(template_to_text(r, &a->values[0], &text));
	*out = text;
	return template_error(r, "%.*s", (int)(text.n < 400 ? text.n : 400), text.as.text);
}

static int strftime_now(struct template_run *r, const struct arguments *a, struct value *out)
{
	const struct value *format;
	time_t              now = (time_t)r->now;
	struct tm           date;
	char                text[256];
	size_t              n;

	TRY(template_needed_text(r, a, 0, "format", &format));
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
	int (*call)(struct template_run *r, const struct arguments *a, struct value *out);
	struct template_signature takes;
} functions[] = {
        {"range", range, {1, 3, ""}},
        {"namespace", make_namespace, {0, 1, NULL}},
        {"dict", make_dict, {0, 1, NULL}},
        {"raise_exception", raise_exception, {1, 1, "message"}},
        {"strftime_now", strftime_now, {1, 1, "format"}},
};
enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

int template_call_is_function(const struct template_run *r, const char *name)
{
	for (int i = 0; i < N_FUNCTIONS; i++)
		if (!strcmp(functions[i].name, name))
			return functions[i].call != strftime_now || r->now >= 0;
	return 0;
}

int template_call_function(struct template_run *r, const char *name, const struct arguments *a,
                           struct value *out)
{
	for (int i = 0; i < N_FUNCTIONS; i++) {
		if (strcmp(functions[i].name, name) != 0)
			continue;
		TRY(template_check_arguments(r, name, a, &functions[i].takes));
		return functions[i].call(r, a, out);
	}
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
             {"number", template_is_number},
             {"integer", is_integer},
             {"float", is_float},
             {"iterable", template_is_iterable},
             {"sequence", template_is_iterable},
             {"odd", is_odd},
             {"even", is_even}};

static const struct template_call_comparison {
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

/* Tests without an argument, then divisibleby, then comparisons with one argument. */
int template_call_test(struct template_run *r, const char *name, const struct value *v,
                       const struct arguments *a, int *out)
{
	static const struct template_signature none = {0, 0, ""}, one = {1, 1, ""};
	const struct value                    *with = template_argument(a, 0, NULL);

	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		if (!strcmp(tests[i].name, name)) {
			TRY(template_check_arguments(r, name, a, &none));
			*out = tests[i].is(v);
			return OK;
		}
	if (with)
		TRY(template_check_arguments(r, name, a, &one));
	if (!strcmp(name, "divisibleby") && with && with->kind == V_INT && with->as.i &&
	    v->kind == V_INT) {
		*out = with->as.i == -1 || v->as.i % with->as.i == 0;
		return OK;
	}
	for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
		if (with && !strcmp(comparisons[i].name, name))
			return template_compare(r, comparisons[i].op, v, with, out);
	return template_error(r, "the test \"%.64s\" is not supported, or not with these values",
	                      name);
}
