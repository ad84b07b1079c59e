#include "run/config.h"

#include "base/error.h"
#include "base/json.h"
#include "run/config_yaml.h"
#include "run/foreign.h"
#include "run/value.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RESOLVED "# resolved: every option that the run reads" /* the first line of such a file */

/* ---- one option ---- */

static int is_null(const struct yaml_node *node)
{
	return node->kind == YAML_TEXT && node->plain &&
	       (!*node->text || !strcmp(node->text, "null") || !strcmp(node->text, "~"));
}

/* The field of a row, which is of a struct somewhere behind the struct config. */
static void *config_struct(const struct config *c, int row)
{
	return (char *)(uintptr_t)c + schema_offset(c->schema, row);
}

static int read_default(const struct option *o, struct arena *a, void *base)
{
	struct yaml_node node = {.kind = !strcmp(o->standard, "[]") ? YAML_LIST : YAML_TEXT,
	                         .where = "default",
	                         .text = o->standard,
	                         .plain = 1};

	return value_read(o, &node, "", a, base);
}

static int set_default(struct config *c, int row)
{
	const struct option *o = schema_at(c->schema, row);

	c->where[row] = NULL;
	c->laid[row] = 0;
	if (o->standard)
		return read_default(o, &c->arena, config_struct(c, row));
	memset((char *)config_struct(c, row) + o->offset, 0, option_size(o));
	return OK;
}

static int set_option(struct config *c, int row, const struct yaml_node *node)
{
	const struct option *o = schema_at(c->schema, row);

	if (is_null(node) && (!o->standard || o->type == OPTION_TEXT || o->type == OPTION_JSON))
		return set_default(c, row);
	TRY(value_read(o, node, "", &c->arena, config_struct(c, row)));
	c->where[row] = node->where;
	c->laid[row] = 0;
	return OK;
}

static int config_unknown(const struct config *c, const char *where, const char *path)
{
	const char *near = schema_nearest(c->schema, path),
	           *elsewhere = schema_elsewhere(c->schema, path);
	const struct foreign *f = foreign_find(path);
	struct text           t = {0};
	/* called the same here */
	int ours = f && f->key && elsewhere && !strcmp(f->key, elsewhere), status;

	if (f && !ours)
		foreign_print(f, &t);
	else if (near && !(ours && strcmp(near, elsewhere)))
		text_print(&t, "did you mean %s?", near);
	else if (elsewhere)
		text_print(&t, "there is %s", elsewhere);
	else
		text_print(&t, "see docs/options.md");
	status = text_status(&t);
	if (status == OK)
		status = error_set(ERR_INPUT, "%s: %s is not an option; %s", where, path, t.data);
	text_free(&t);
	return status;
}

/* Within a map that is no room: *found is the first name of another program, and *path becomes its
 * path; NULL when there is none. */
static int find_foreign(struct config *c, const struct yaml_node *map, const char **path,
                        const struct yaml_node **found)
{
	const char *room = *path;

	*found = NULL;
	for (const struct yaml_node *node = map->kind == YAML_MAP ? map->first : NULL; node;
	     node = node->next) {
		TRY(arena_print(&c->arena, path, "%s.%s", room, node->key));
		if (foreign_find(*path))
			*found = node;
		else
			TRY(find_foreign(c, node, path, found));
		if (*found)
			return OK;
	}
	*path = room;
	return OK;
}

static int unknown_map(struct config *c, const struct yaml_node *node, const char *path)
{
	const struct yaml_node *found = NULL;

	if (!foreign_find(path))
		TRY(find_foreign(c, node, &path, &found));
	return config_unknown(c, found ? found->where : node->where, path);
}

/* ---- a file ---- */

static int is_room(const struct config *c, const char *path)
{
	size_t               n = strlen(path);
	const struct option *o;

	for (int i = 0; (o = schema_at(c->schema, i)); i++)
		if (!strncmp(o->path, path, n) && o->path[n] == '.')
			return 1;
	return 0;
}

/* An option as a file has it. A map in the place of a single value is refused by the name of
 * another program in it, if there is one. */
static int set_row(struct config *c, int row, const struct yaml_node *node)
{
	const struct option    *o = schema_at(c->schema, row);
	const struct yaml_node *found = NULL;
	const char             *path = o->path;

	if (node->kind == YAML_MAP && o->type < OPTION_TEXTS)
		TRY(find_foreign(c, node, &path, &found));
	return found ? unknown_map(c, node, o->path) : set_option(c, row, node);
}

static int set_tree(struct config *c, const char *room, const struct yaml_node *map)
{
	for (const struct yaml_node *node = map->first; node; node = node->next) {
		const char *path = node->key;
		int         row;

		if (*room)
			TRY(arena_print(&c->arena, &path, "%s.%s", room, node->key));
		row = schema_find(c->schema, path);
		if (strchr(node->key, '.'))
			return error_set(ERR_INPUT,
			                 "%s: write %s as maps inside one another, one key each",
			                 node->where, path);
		if (row >= 0)
			TRY(set_row(c, row, node));
		else if (!is_room(c, path))
			return unknown_map(c, node, path);
		else if (node->kind == YAML_MAP)
			TRY(set_tree(c, path, node));
		else if (!is_null(node))
			return error_set(ERR_INPUT, "%s: %s is %s, but must be a map of options",
			                 node->where, path, yaml_kind_name(node->kind));
	}
	return OK;
}

/* The files that led here, for messages and against circles. */
struct chain {
	const char         *path;
	const struct chain *from;
};

static int same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int check_chain(const struct chain *at, const char *where)
{
	int depth = 0;

	for (const struct chain *before = at->from; before; before = before->from) {
		if (same_file(before->path, at->path))
			return error_set(ERR_INPUT, "%s: extends goes in a circle: %s", where,
			                 at->path);
		if (++depth == CONFIG_EXTENDS_MAX)
			return error_set(ERR_INPUT, "%s: extends goes through more than %d files",
			                 where, CONFIG_EXTENDS_MAX);
	}
	return OK;
}

static int set_file(struct config *c, const struct chain *at);

/* Messages about a config quote it. What a stranger's config names shall be a config then, and not
 * a file that happens to be readable here. */
static int config_check_name(const char *path, const char *where)
{
	char        real[PATH_MAX];
	const char *name = realpath(path, real) ? real : path, *dot = strrchr(name, '.');

	return dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"))
	               ? OK
	               : error_set(
	                         ERR_INPUT,
	                         "%s: extends names %s, but a config's name ends in .yaml or .yml",
	                         where, path);
}

/* Takes the key `extends` out of the map and sets what that file says. */
static int set_extended(struct config *c, struct yaml_node *map, const struct chain *from)
{
	for (struct yaml_node **link = &map->first; *link; link = &(*link)->next) {
		struct yaml_node *node = *link;
		const char       *slash = strrchr(from->path, '/');
		struct chain      at = {.from = from};

		if (strcmp(node->key, "extends"))
			continue;
		if (node->kind != YAML_TEXT || !*node->text)
			return error_set(ERR_INPUT, "%s: extends must name one file", node->where);
		if (*node->text == '/' || !slash)
			at.path = node->text;
		else
			TRY(arena_print(&c->arena, &at.path, "%.*s/%s", (int)(slash - from->path),
			                from->path, node->text));
		TRY(config_check_name(at.path, node->where));
		TRY(check_chain(&at, node->where));
		if (set_file(c, &at) != OK)
			return error_context("%s: extends", node->where);
		*link = node->next;
		return OK;
	}
	return OK;
}

static int set_yaml(struct config *c, const struct chain *at, const char *text, size_t n)
{
	struct yaml_node *root;

	if (n > sizeof RESOLVED && !strncmp(text, RESOLVED, sizeof RESOLVED - 1))
		c->resolved = at->path;
	TRY(yaml_parse(at->path, text, n, &c->arena, &root));
	if (root->kind != YAML_MAP)
		return error_set(ERR_INPUT, "%s: the file holds %s, but must hold a map of options",
		                 at->path, yaml_kind_name(root->kind));
	TRY(set_extended(c, root, at));
	return set_tree(c, "", root);
}

static int set_file(struct config *c, const struct chain *at)
{
	struct bytes b;
	int          status;

	TRY(file_read(at->path, YAML_BYTES_MAX, &b));
	status = set_yaml(c, at, b.data, b.n);
	bytes_free(&b);
	return status;
}

/* ---- the command line ---- */

static int value_node(struct config *c, const char *who, const struct option *o, const char *value,
                      struct yaml_node **out)
{
	if (o->type >= OPTION_TEXTS && (*value == '[' || *value == '{')) {
		TRY(yaml_parse(who, value, strlen(value), &c->arena, out));
	} else {
		TRY(arena_take(&c->arena, 1, "a value of the command line", out));
		**out = (struct yaml_node){.kind = YAML_TEXT,
		                           .plain = o->type != OPTION_TEXT || !*value};
		TRY(arena_copy(&c->arena, value, strlen(value), &(*out)->text));
	}
	return arena_copy(&c->arena, who, strlen(who), &(*out)->where);
}

static int set_text(struct config *c, const char *who, const char *path, const char *value)
{
	struct yaml_node *node;
	int               row = schema_find(c->schema, path);

	if (row < 0)
		return is_room(c, path)
		               ? error_set(ERR_INPUT,
		                           "%s: %s is a room; name an option in it, such as "
		                           "%s.KEY=VALUE",
		                           who, path, path)
		               : config_unknown(c, who, path);
	TRY(value_node(c, who, schema_at(c->schema, row), value, &node));
	return set_option(c, row, node);
}

static int check_utf8(const char *text)
{
	json_t *any = json_string_nocheck(text), *utf8 = json_string(text);
	int     status = OK;

	if (!any)
		status = error_memory("the command line");
	else if (!utf8)
		status = error_set(ERR_INPUT, "command line: %.80s is not UTF-8 text", text);
	json_decref(utf8);
	json_decref(any);
	return status;
}

static int set_override(struct config *c, const char *text)
{
	const char *equals = strchr(text, '=');
	char        path[128];

	TRY(check_utf8(text));
	if (!equals || equals == text || equals - text >= (long)sizeof path)
		return error_set(ERR_INPUT, "command line: %.80s is not of the form key.path=value",
		                 text);
	snprintf(path, sizeof path, "%.*s", (int)(equals - text), text);
	return set_text(c, "command line", path, equals + 1);
}

/* ---- checks over several options ---- */

struct lookup {
	const struct config *config;
	struct arena         arena;
	int                  short_of_memory;
};

/* For schema_when_holds: texts as they are, everything else as it is printed. NULL when unset, or
 * when memory is short. */
static const char *option_value(void *context, const char *path)
{
	struct lookup       *l = context;
	const struct config *c = l->config;
	int                  row = schema_find(c->schema, path);
	const struct option *o = schema_at(c->schema, row);
	struct text          t = {0};
	const char          *copy = NULL;

	if (row < 0) {
		copy = c->schema->derived(c, path, &l->arena);
		l->short_of_memory |= !copy;
		return copy;
	}
	if (!o->standard && !c->where[row])
		return NULL;
	if (o->type == OPTION_TEXT)
		return *(const char *const *)((const char *)config_struct(c, row) + o->offset);
	value_print(o, config_struct(c, row), &t);
	if (text_status(&t) != OK || (t.n && arena_copy(&l->arena, t.data, t.n, &copy) != OK))
		l->short_of_memory = 1;
	text_free(&t);
	return copy;
}

int config_when_holds(const struct config *c, const char *when, int *holds)
{
	struct lookup l = {.config = c};

	*holds = schema_when_holds(c->schema, when, option_value, &l);
	arena_free(&l.arena);
	return l.short_of_memory ? ERR_MEMORY : OK;
}

/* Whether nobody asked for the value: an algorithm laid it under, or it stands in a resolved
 * config, which lists what was read when it was written. Where an override changes what is read
 * (hone eval RUN --temperature 0), such values go. */
static int is_laid(const struct config *c, int row)
{
	size_t n = c->resolved ? strlen(c->resolved) : 0;

	return c->laid[row] ||
	       (n && !strncmp(c->where[row], c->resolved, n) && c->where[row][n] == ':');
}

static int check_unread(struct config *c)
{
	const struct option *o;

	for (int i = 0, read; (o = schema_at(c->schema, i)); i++) {
		if (!c->where[i])
			continue;
		TRY(config_when_holds(c, o->when, &read));
		if (read)
			continue;
		if (!is_laid(c, i))
			return error_set(ERR_INPUT, "%s: %s is set, but it is read only when %s",
			                 c->where[i], o->path, o->when);
		TRY(set_default(c, i));
	}
	return OK;
}

int config_check(struct config *c)
{
	TRY(check_unread(c));
	return c->schema->check(c);
}

/* ---- from outside ---- */

static int row_of(const struct config *c, const char *path)
{
	int row = schema_find(c->schema, path);

	assert(row >= 0);
	return row;
}

static int print_default(const struct config *c, const struct option *o, struct text *out)
{
	struct arena a = {0};
	void        *plain;
	int          status = arena_take_bytes(&a, 1, c->schema->size, "a default", &plain);

	if (status == OK)
		status = read_default(o, &a, plain);
	if (status == OK)
		value_print(o, plain, out);
	arena_free(&a);
	return status == OK ? text_status(out) : status;
}

/* Whether an option has another value than its default. (In a resolved config everything is
 * set.) */
static int is_given(const struct config *c, const char *path, int *given)
{
	int                  row = row_of(c, path), status;
	const struct option *o = schema_at(c->schema, row);
	struct text          now = {0}, standard = {0};

	*given = c->where[row] != NULL;
	if (!*given || !o->standard)
		return OK;
	value_print(o, config_struct(c, row), &now);
	status = text_status(&now);
	if (status == OK)
		status = print_default(c, o, &standard);
	if (status == OK)
		*given = now.n != standard.n || (now.n && memcmp(now.data, standard.data, now.n));
	text_free(&now);
	text_free(&standard);
	return status;
}

int config_not_both(const struct config *c, const char *a, const char *b)
{
	int given_a, given_b;

	TRY(is_given(c, a, &given_a));
	TRY(is_given(c, b, &given_b));
	if (!given_a || !given_b)
		return OK;
	return error_set(ERR_INPUT,
	                 "%s: %s stands beside %s (%s), but one of them decides; keep one",
	                 config_where(c, b), b, a, config_where(c, a));
}

/* Fills c from its defaults, then from a file or a text, then from the overrides. */
static int config_fill(struct config *c, const struct config_text *t, const char *const *overrides,
                       int n)
{
	struct chain at = {.path = t->name};
	size_t       n_options = (size_t)schema_n(c->schema);

	TRY(arena_copy(&c->arena, t->name, strlen(t->name), &c->name));
	TRY(arena_take(&c->arena, n_options, "who set which option", &c->where));
	TRY(arena_take(&c->arena, n_options, "which options are laid", &c->laid));
	for (int i = 0; schema_at(c->schema, i); i++)
		TRY(set_default(c, i));
	TRY(t->text ? set_yaml(c, &at, t->text, t->n) : set_file(c, &at));
	for (int i = 0; i < n; i++)
		TRY(set_override(c, overrides[i]));
	return config_check(c);
}

/* The file of the name where there is no text. */
static int config_read(const struct schema *schema, const struct config_text *t,
                       const char *const *overrides, int n, struct config *out)
{
	int status;

	for (int i = 0; i < schema->n_rooms; i++)
		assert(schema->rooms[i].size == schema->rooms[i].table->size);
	memset(out, 0, schema->size);
	out->schema = schema;
	status = config_fill(out, t, overrides, n);
	if (status != OK)
		config_free(out);
	return status;
}

int config_load(const struct schema *s, const char *path, const char *const *overrides, int n,
                struct config *out)
{
	return config_read(s, &(struct config_text){.name = path}, overrides, n, out);
}

int config_parse(const struct schema *s, const struct config_text *t, const char *const *overrides,
                 int n, struct config *out)
{
	assert(t->text);
	return config_read(s, t, overrides, n, out);
}

void config_free(struct config *c)
{
	arena_free(&c->arena);
	if (c->schema)
		memset(c, 0, c->schema->size);
}

int config_set(struct config *c, const char *who, const char *path, const char *value)
{
	return set_text(c, who, path, value);
}

int config_unset(struct config *c, const char *path)
{
	return set_default(c, row_of(c, path));
}

int config_set_if_unset(struct config *c, const char *who, const char *path, const char *value)
{
	int row = row_of(c, path), read;

	TRY(config_when_holds(c, schema_at(c->schema, row)->when, &read));
	if (c->where[row] || !read)
		return OK;
	TRY(set_text(c, who, path, value));
	c->laid[row] = 1;
	return OK;
}

static void copy_field(const struct option *o, const void *from, void *to)
{
	memcpy((char *)to + o->offset, (const char *)from + o->offset, option_size(o));
}

/* The first row of a table; the others follow it. */
static int first_row(const struct config *c, const struct option_table *table)
{
	return row_of(c, table->options[0].path);
}

int config_lay(struct config *c, const char *who, const struct option_table *table,
               const void *from)
{
	int first = first_row(c, table);

	TRY(arena_copy(&c->arena, who, strlen(who), &who));
	for (int row = first; row < first + table->n; row++) {
		const struct option *o = schema_at(c->schema, row);
		int                  read;
		if (o->standard || o->flags & SECOND_NAME || c->where[row])
			continue;
		TRY(config_when_holds(c, o->when, &read));
		if (!read)
			continue;
		copy_field(o, from, config_struct(c, row));
		c->where[row] = who;
		c->laid[row] = 1;
	}
	return OK;
}

void config_take(const struct config *c, const struct option_table *table, void *to)
{
	int first = first_row(c, table);

	for (int row = first; row < first + table->n; row++) {
		const struct option *o = schema_at(c->schema, row);
		if (o->standard || c->where[row])
			copy_field(o, config_struct(c, row), to);
	}
}

const void *config_room(const struct config *c, const struct option_table *table)
{
	return config_struct(c, first_row(c, table));
}

int config_is_set(const struct config *c, const char *path)
{
	return c->where[row_of(c, path)] != NULL;
}

const char *config_where(const struct config *c, const char *path)
{
	const char *where = c->where[row_of(c, path)];

	return where ? where : "default";
}

int config_require(const struct config *c, const char *const *paths)
{
	struct text t = {0};
	int         status;

	for (int i = 0, given; paths[i]; i++) {
		TRY(is_given(c, paths[i], &given));
		if (given)
			return OK;
	}
	for (int i = 0; paths[i]; i++)
		text_print(&t, "%s%s", i ? " or " : "", paths[i]);
	status = text_status(&t);
	if (status == OK)
		status = error_set(ERR_INPUT, "%s: %s must be given", c->name, t.data);
	text_free(&t);
	return status;
}

/* ---- the resolved config ---- */

static void config_print_value(const struct config *c, int row, struct text *out)
{
	if (!schema_at(c->schema, row)->standard && !c->where[row])
		text_add(out, "null", 4);
	else
		value_print(schema_at(c->schema, row), config_struct(c, row), out);
}

/* Opens the rooms of `path` that `before` was not in; returns its leaf. */
static const char *print_rooms(const char *before, const char *path, struct text *out)
{
	const char *start = path, *dot;
	int         depth = 0;

	for (; (dot = strchr(start, '.')); start = dot + 1, depth++)
		if (strncmp(before, path, (size_t)(dot + 1 - path)))
			text_print(out, "%*s%.*s:\n", 2 * depth, "", (int)(dot - start), start);
	text_print(out, "%*s", 2 * depth, "");
	return start;
}

int config_resolved(const struct config *c, struct text *out)
{
	const char          *before = "";
	const struct option *o;

	text_print(out, RESOLVED "\n");
	for (int i = 0, read; (o = schema_at(c->schema, i)); i++) {
		TRY(config_when_holds(c, o->when, &read));
		if (!read)
			continue;
		text_print(out, "%s: ", print_rooms(before, o->path, out));
		config_print_value(c, i, out);
		text_add(out, "\n", 1);
		before = o->path;
	}
	return text_status(out);
}

/* Prints the value of an option that decides the result of a run: one that is read, has a value and
 * is not free on resume. */
static void print_decisive(const struct config *c, int row, struct text *out)
{
	const struct option *o = schema_at(c->schema, row);
	int                  read;

	if (config_when_holds(c, o->when, &read) != OK)
		out->failed = 1;
	else if ((o->standard || c->where[row]) && !(o->flags & FREE_ON_RESUME) && read)
		config_print_value(c, row, out);
}

int config_differences(const struct config *then, const struct config *now, struct text *out)
{
	int n = 0;

	for (int i = 0; schema_at(then->schema, i); i++) {
		struct text a = {0}, b = {0};
		print_decisive(then, i, &a);
		print_decisive(now, i, &b);
		if (a.n != b.n || (a.n && memcmp(a.data, b.data, a.n))) {
			text_print(out, "%s: %s -> %s\n", schema_at(then->schema, i)->path,
			           a.n ? a.data : "(not read)", b.n ? b.data : "(not read)");
			n++;
		}
		out->failed |= a.failed | b.failed;
		text_free(&a);
		text_free(&b);
	}
	return n;
}
