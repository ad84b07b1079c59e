#include "run/value.h"

#include "base/error.h"
#include "base/json.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct value_place { /* of a message and of memory */
	const struct option *option;
	const char          *prefix;
	struct arena        *arena;
	void                *field;
};

struct list { /* how every list in a struct of options begins */
	void *items;
	int   n;
};

static int value_wrong(const struct value_place *p, const struct yaml_node *node,
                       const char *wanted)
{
	const char *quote = node->plain ? "" : "\"", *got = *node->text   ? node->text
	                                                    : node->plain ? "empty"
	                                                                  : "";

	return error_set(ERR_INPUT, "%s: %s%s is %s%.60s%s, but must be %s", node->where, p->prefix,
	                 p->option->path, quote, got, quote, wanted);
}

static int wrong_kind(const struct value_place *p, const struct yaml_node *node, const char *wanted)
{
	return error_set(ERR_INPUT, "%s: %s%s is %s, but must be %s", node->where, p->prefix,
	                 p->option->path, yaml_kind_name(node->kind), wanted);
}

static int out_of_bounds(const struct value_place *p, const struct yaml_node *node)
{
	return error_set(ERR_INPUT, "%s: %s%s is %.60s, outside %.10g .. %.10g", node->where,
	                 p->prefix, p->option->path, node->text, p->option->least, p->option->most);
}

/* ---- scalars ---- */

/* Decimal digits with an optional sign; no leading zeros. NULL when s does not begin with one, else
 * what follows it. */
static const char *scan_int(const char *s, long *out)
{
	const char *digits = s + (*s == '-' || *s == '+');
	char       *end;

	if (digits[0] < '0' || digits[0] > '9' ||
	    (digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9'))
		return NULL;
	errno = 0;
	*out = strtol(s, &end, 10);
	if (errno)
		*out = *s == '-' ? LONG_MIN : LONG_MAX;
	return end;
}

static int is_decimal(const char *s)
{
	return *s && strspn(s, "+-.0123456789eE") == strlen(s);
}

static int read_int(const struct value_place *p, const struct yaml_node *node)
{
	long        x;
	const char *end = node->plain ? scan_int(node->text, &x) : NULL;

	if (!end || *end)
		return value_wrong(p, node, "an integer, such as 12");
	if ((double)x < p->option->least || (double)x > p->option->most)
		return out_of_bounds(p, node);
	*(int *)p->field = (int)x;
	return OK;
}

/* Whether the text of a number that reads as 0 holds another digit in front of its exponent:
 * 1e-400. */
static int underflows(const char *s)
{
	return strcspn(s, "123456789") < strcspn(s, "eE");
}

static int value_read_real(const struct value_place *p, const struct yaml_node *node)
{
	double tiny = p->option->tiny > 0 ? p->option->tiny : OPTION_TINY;
	char  *end = NULL;
	double x = node->plain && is_decimal(node->text) ? strtod(node->text, &end) : 0;

	if (!end || *end)
		return value_wrong(p, node, "a number, such as 0.5 or 1e-6");
	if (!isfinite(x) || x < p->option->least || x > p->option->most)
		return out_of_bounds(p, node);
	if (fabs(x) < tiny && (x != 0 || underflows(node->text)))
		return error_set(ERR_INPUT,
		                 "%s: %s%s is %.60s, too near to 0; write 0, or %g or more",
		                 node->where, p->prefix, p->option->path, node->text, tiny);
	*(double *)p->field = x + 0.0; /* -0 becomes 0 */
	return OK;
}

static int read_bool(const struct value_place *p, const struct yaml_node *node)
{
	if (node->plain && !strcmp(node->text, "true"))
		*(int *)p->field = 1;
	else if (node->plain && !strcmp(node->text, "false"))
		*(int *)p->field = 0;
	else
		return value_wrong(p, node, "true or false");
	return OK;
}

static int value_read_text(const struct value_place *p, const struct yaml_node *node)
{
	size_t n = strlen(node->text);

	if ((double)n < p->option->least)
		return error_set(ERR_INPUT, "%s: %s%s must not be empty", node->where, p->prefix,
		                 p->option->path);
	if ((double)n > p->option->most)
		return error_set(ERR_INPUT, "%s: %s%s is a text of %zu bytes, more than %.0f",
		                 node->where, p->prefix, p->option->path, n, p->option->most);
	return arena_copy(p->arena, node->text, n, (const char **)p->field);
}

static int not_a_word(const struct value_place *p, const struct yaml_node *node)
{
	struct text words = {0};
	int         status;

	schema_add_words(p->option, "|", &words);
	status = text_status(&words);
	if (status == OK)
		status = error_set(ERR_INPUT, "%s: %s%s is %.60s, but must be one of %s",
		                   node->where, p->prefix, p->option->path,
		                   *node->text ? node->text : "empty", words.data);
	text_free(&words);
	return status;
}

static int read_choice(const struct value_place *p, const struct yaml_node *node)
{
	const struct choice *choice = choice_find(p->option->choices, node->text);

	if (!choice)
		return not_a_word(p, node);
	memcpy(p->field, &choice->value, sizeof choice->value);
	return OK;
}

static int read_name(const struct value_place *p, const struct yaml_node *node)
{
	const char *name;

	for (int i = 0; (name = p->option->names(i)); i++)
		if (!strcmp(name, node->text)) {
			*(const char **)p->field = name;
			return OK;
		}
	return not_a_word(p, node);
}

static int read_range(const struct value_place *p, const struct yaml_node *node)
{
	struct int_range *r = p->field;
	long              low, high;
	/* people quote ranges, so that YAML takes them for nothing else */
	const char *end = scan_int(node->text, &low);

	high = low = end ? low : 0;
	if (end && *end == '-')
		end = scan_int(end + 1, &high);
	if (!end || *end || high < low)
		return value_wrong(p, node, "an integer or a range such as 1-3");
	if ((double)low < p->option->least || (double)high > p->option->most)
		return out_of_bounds(p, node);
	*r = (struct int_range){(int)low, (int)high};
	return OK;
}

/* ---- lists ---- */

/* The entries: of a list its children, of anything else that alone. Allocates the items. */
static int list_begin(const struct value_place *p, const struct yaml_node *node, size_t size,
                      struct list *out, const struct yaml_node **first)
{
	*out = (struct list){0};
	*first = node->kind == YAML_LIST ? node->first : node;
	for (const struct yaml_node *c = *first; c; c = node->kind == YAML_LIST ? c->next : NULL)
		out->n++;
	if (out->n > p->option->most)
		return error_set(ERR_INPUT, "%s: %s%s has %d entries, more than %.0f", node->where,
		                 p->prefix, p->option->path, out->n, p->option->most);
	return arena_take_bytes(p->arena, (size_t)out->n, size, "the entries of a list",
	                        &out->items);
}

static int value_read_texts(const struct value_place *p, const struct yaml_node *node)
{
	const struct yaml_node *c;
	struct text_list       *list = p->field;
	struct list             made;

	TRY(list_begin(p, node, sizeof(char *), &made, &c));
	*list = (struct text_list){made.items, made.n};
	for (int i = 0; i < list->n; i++, c = c->next) {
		if (c->kind != YAML_TEXT)
			return wrong_kind(p, c, "a list of texts");
		if (!*c->text)
			return error_set(ERR_INPUT, "%s: %s%s: entry %d is empty", c->where,
			                 p->prefix, p->option->path, i + 1);
		TRY(arena_copy(p->arena, c->text, strlen(c->text), &list->items[i]));
	}
	return OK;
}

static const struct option *row_option(const struct option_table *rows, const char *name)
{
	for (int i = 0; i < rows->n; i++)
		if (!strcmp(rows->options[i].path, name))
			return &rows->options[i];
	return NULL;
}

static int unknown_in_row(const struct option_table *rows, const char *prefix,
                          const struct yaml_node *node)
{
	const char *near = schema_nearest_in(rows, node->key);

	return error_set(ERR_INPUT, "%s: %s%s is not an option; %s%s%s", node->where, prefix,
	                 node->key, near ? "did you mean " : "",
	                 near ? near : "see docs/options.md", near ? "?" : "");
}

static int row_defaults(const struct option_table *rows, const char *prefix, struct arena *a,
                        void *base)
{
	for (int i = 0; i < rows->n; i++) {
		const struct option *o = &rows->options[i];
		struct yaml_node     node = {.where = "default", .text = o->standard, .plain = 1};
		struct yaml_node     none = {.kind = YAML_LIST};
		if (strcmp(o->standard, OPTION_REQUIRED))
			TRY(value_read(o, o->type == OPTION_TEXTS ? &none : &node, prefix, a,
			               base));
	}
	return OK;
}

static int value_read_row(const struct option_table *rows, const struct yaml_node *map,
                          const char *prefix, struct arena *a, void *base)
{
	TRY(row_defaults(rows, prefix, a, base));
	for (const struct yaml_node *c = map->first; c; c = c->next) {
		const struct option *o = row_option(rows, c->key);
		if (!o)
			return unknown_in_row(rows, prefix, c);
		TRY(value_read(o, c, prefix, a, base));
	}
	for (int i = 0; i < rows->n; i++) {
		const struct option *o = &rows->options[i]; /* what is required is a text */
		if (!strcmp(o->standard, OPTION_REQUIRED) &&
		    !*(const char **)((char *)base + o->offset))
			return error_set(ERR_INPUT, "%s: %s%s is missing", map->where, prefix,
			                 o->path);
	}
	return OK;
}

/* "a.jsonl" for {file: a.jsonl}: what a plain text stands for where rows are brief. */
static int read_brief(const struct option_table *rows, const struct yaml_node *text,
                      const char *prefix, struct arena *a, void *base)
{
	TRY(row_defaults(rows, prefix, a, base));
	return value_read(&rows->options[0], text, prefix, a, base);
}

static int value_read_rows(const struct value_place *p, const struct yaml_node *node)
{
	const struct option_table *rows = p->option->rows;
	const struct yaml_node    *c;
	struct list                made;

	TRY(list_begin(p, node, rows->size, &made, &c));
	memcpy(p->field, &made, sizeof made);
	for (int i = 0; i < made.n; i++, c = c->next) {
		void *base = (char *)made.items + (size_t)i * rows->size;
		char  prefix[128];
		snprintf(prefix, sizeof prefix, "%s%s[%d].", p->prefix, p->option->path, i);
		if (c->kind == YAML_MAP)
			TRY(value_read_row(rows, c, prefix, p->arena, base));
		else if (c->kind == YAML_TEXT && rows->brief)
			TRY(read_brief(rows, c, prefix, p->arena, base));
		else
			return wrong_kind(p, c,
			                  rows->brief ? "a list of texts or maps"
			                              : "a list of maps, such as [{name: exact}]");
	}
	return OK;
}

/* ---- maps that are kept as JSON ---- */

static json_t *json_of(const struct yaml_node *node);

/* NULL when memory is short; so is a child that is NULL refused. */
static json_t *json_of_children(const struct yaml_node *node)
{
	json_t *all = node->kind == YAML_MAP ? json_object() : json_array();
	int     bad = !all;

	for (const struct yaml_node *c = node->first; c && !bad; c = c->next)
		bad = node->kind == YAML_MAP ? json_object_set_new(all, c->key, json_of(c))
		                             : json_array_append_new(all, json_of(c));
	if (!bad)
		return all;
	json_decref(all);
	return NULL;
}

/* A plain scalar is what JSON would read there, if it reads anything; else, and in quotes, it is a
 * text. NULL when memory is short: a text of YAML is UTF-8. */
static json_t *json_of(const struct yaml_node *node)
{
	json_t *value = NULL;

	if (node->kind != YAML_TEXT)
		return json_of_children(node);
	if (node->plain && (!*node->text || !strcmp(node->text, "~")))
		return json_null();
	if (node->plain && json_parse("scalar", node->text, strlen(node->text), &value) == OK &&
	    !json_is_string(value))
		return value;
	json_decref(value);
	return json_string(node->text);
}

/* The text of a JSON object; NULL when memory was short. */
static int keep_json(const struct value_place *p, const struct yaml_node *node, const char *text)
{
	if (!text)
		return error_memory("the JSON of %s%s", p->prefix, p->option->path);
	if (strlen(text) > p->option->most)
		return error_set(ERR_INPUT, "%s: %s%s is more than %.0f bytes of JSON", node->where,
		                 p->prefix, p->option->path, p->option->most);
	return arena_copy(p->arena, text, strlen(text), (const char **)p->field);
}

static int read_json(const struct value_place *p, const struct yaml_node *node)
{
	json_t *object = NULL;
	char   *text;
	int     status;

	*(const char **)p->field = "";
	if (node->kind == YAML_TEXT && !*node->text)
		return OK;
	if (node->kind == YAML_MAP && !(object = json_of(node)))
		return error_memory("the JSON of %s%s", p->prefix, p->option->path);
	if (node->kind == YAML_TEXT &&
	    json_parse(node->where, node->text, strlen(node->text), &object) != OK)
		return error_context("%s%s", p->prefix, p->option->path);
	if (!json_is_object(object)) {
		json_decref(object);
		return error_set(ERR_INPUT,
		                 "%s: %s%s must be a map, such as {enable_thinking: false}, or its "
		                 "JSON text",
		                 node->where, p->prefix, p->option->path);
	}
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	status = keep_json(p, node, text);
	free(text);
	return status;
}

int value_read(const struct option *o, const struct yaml_node *node, const char *prefix,
               struct arena *a, void *base)
{
	static int (*const readers[])(const struct value_place *, const struct yaml_node *) = {
	        [OPTION_INT] = read_int,         [OPTION_REAL] = value_read_real,
	        [OPTION_BOOL] = read_bool,       [OPTION_TEXT] = value_read_text,
	        [OPTION_CHOICE] = read_choice,   [OPTION_NAMED] = read_name,
	        [OPTION_RANGE] = read_range,     [OPTION_TEXTS] = value_read_texts,
	        [OPTION_ROWS] = value_read_rows, [OPTION_JSON] = read_json,
	};
	struct value_place p = {o, prefix, a, (char *)base + o->offset};

	if (o->type < OPTION_TEXTS && node->kind != YAML_TEXT)
		return wrong_kind(&p, node, "a single value");
	return readers[o->type](&p, node);
}

/* ---- printing ---- */

/* Plain is safe for what begins with a letter, holds only harmless bytes, and is not a word that
 * some YAML reads as something else. */
static int plain_is_safe(const char *s)
{
	static const char safe[] =
	        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-";
	static const char *words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};

	if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/", *s) || !*s ||
	    strspn(s, safe) != strlen(s))
		return 0;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (!strcasecmp(s, words[i]))
			return 0;
	return 1;
}

void value_print_text(struct text *out, const char *s)
{
	if (plain_is_safe(s))
		text_add(out, s, strlen(s));
	else
		yaml_quote(s, out);
}

static void print_texts(const struct text_list *list, struct text *out)
{
	text_add(out, "[", 1);
	for (int i = 0; i < list->n; i++) {
		if (i)
			text_add(out, ", ", 2);
		value_print_text(out, list->items[i]);
	}
	text_add(out, "]", 1);
}

static int is_default(const struct option *o, const void *base)
{
	struct text now = {0};
	int         same;

	value_print(o, base, &now);
	same = !strcmp(now.data ? now.data : "", *o->standard ? o->standard : "\"\"");
	text_free(&now);
	return same;
}

/* Whether only the first option of a row says something. */
static int is_brief(const struct option_table *rows, const void *base)
{
	for (int j = 1; rows->brief && j < rows->n; j++)
		if (!is_default(&rows->options[j], base))
			return 0;
	return rows->brief;
}

static void value_print_row(const struct option_table *rows, const void *base, struct text *out)
{
	if (is_brief(rows, base)) {
		value_print(&rows->options[0], base, out);
		return;
	}
	for (int j = 0; j < rows->n; j++) {
		if (rows->brief && j && is_default(&rows->options[j], base))
			continue;
		text_print(out, "%s%s: ", j ? ", " : "{", rows->options[j].path);
		value_print(&rows->options[j], base, out);
	}
	text_add(out, "}", 1);
}

static void value_print_rows(const struct option_table *rows, const struct list *list,
                             struct text *out)
{
	text_add(out, "[", 1);
	for (int i = 0; i < list->n; i++) {
		text_add(out, ", ", i ? 2 : 0);
		value_print_row(rows, (const char *)list->items + (size_t)i * rows->size, out);
	}
	text_add(out, "]", 1);
}

void value_print(const struct option *o, const void *base, struct text *out)
{
	const void *field = (const char *)base + o->offset;
	struct list list;
	const int  *i = field;

	switch (o->type) {
	case OPTION_INT:
		text_print(out, "%d", *i);
		break;
	case OPTION_REAL:
		json_add_real(out, *(const double *)field);
		break;
	case OPTION_BOOL:
		text_print(out, "%s", *i ? "true" : "false");
		break;
	case OPTION_TEXT:
	case OPTION_JSON:
		value_print_text(out, *(const char *const *)field);
		break;
	case OPTION_CHOICE:
		text_print(out, "%s", choice_name(o->choices, *i));
		break;
	case OPTION_NAMED:
		text_print(out, "%s", *(const char *const *)field);
		break;
	case OPTION_RANGE:
		text_print(out, i[0] == i[1] ? "%d" : "%d-%d", i[0], i[1]);
		break;
	case OPTION_TEXTS:
		print_texts(field, out);
		break;
	case OPTION_ROWS:
		memcpy(&list, field, sizeof list);
		value_print_rows(o->rows, &list, out);
		break;
	}
}
