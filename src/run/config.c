#include "run/config.h"

#include "base/error.h"
#include "base/json.h"
#include "run/config_yaml.h"
#include "run/foreign.h"
#include "run/schema.h"
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

static const size_t empty_sizes[] = {
        [OPTION_INT] = sizeof(int),
        [OPTION_REAL] = sizeof(double),
        [OPTION_BOOL] = sizeof(int),
        [OPTION_CHOICE] = sizeof(char *),
};

static int set_default(struct config *c, int row)
{
	const struct option *o = &schema[row];
	struct yaml_node     node = {.kind = o->standard && !strcmp(o->standard, "[]") ? YAML_LIST
	                                                                               : YAML_TEXT,
	                             .where = "default",
	                             .text = o->standard,
	                             .plain = 1};

	c->where[row] = NULL;
	c->laid[row] = 0;
	if (o->standard)
		return value_read(o, &node, "", &c->arena, c);
	memset((char *)c + o->offset, 0, empty_sizes[o->type]);
	return OK;
}

static int set_option(struct config *c, int row, const struct yaml_node *node)
{
	const struct option *o = &schema[row];

	if (is_null(node) && (!o->standard || o->type == OPTION_TEXT || o->type == OPTION_JSON))
		return set_default(c, row);
	TRY(value_read(o, node, "", &c->arena, c));
	c->where[row] = node->where;
	c->laid[row] = 0;
	return OK;
}

static int config_unknown(const char *where, const char *path)
{
	const char *near = schema_nearest(schema, schema_n, path),
	           *elsewhere = schema_elsewhere(path);
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
	status = error_set(ERR_INPUT, "%s: %s is not an option; %s", where, path,
	                   t.data ? t.data : "out of memory");
	text_free(&t);
	return status;
}

/* Within a map that is no room: the first name of another program, with its path in *path; NULL
 * when there is none. */
static const struct yaml_node *find_foreign(struct config *c, const struct yaml_node *map,
                                            const char **path)
{
	const char *room = *path;

	for (const struct yaml_node *node = map->kind == YAML_MAP ? map->first : NULL; node;
	     node = node->next) {
		const struct yaml_node *found = node;
		*path = arena_format(&c->arena, "%s.%s", room, node->key);
		if (*path && !foreign_find(*path))
			found = find_foreign(c, node, path);
		if (found && *path)
			return found;
	}
	*path = room;
	return NULL;
}

static int unknown_map(struct config *c, const struct yaml_node *node, const char *path)
{
	const struct yaml_node *found = foreign_find(path) ? NULL : find_foreign(c, node, &path);

	return config_unknown(found ? found->where : node->where, path);
}

/* ---- a file ---- */

static int is_room(const char *path)
{
	size_t n = strlen(path);

	for (int i = 0; i < schema_n; i++)
		if (!strncmp(schema[i].path, path, n) && schema[i].path[n] == '.')
			return 1;
	return 0;
}

static int set_tree(struct config *c, const char *room, const struct yaml_node *map)
{
	for (const struct yaml_node *node = map->first; node; node = node->next) {
		const char *path =
		        *room ? arena_format(&c->arena, "%s.%s", room, node->key) : node->key;
		int row;

		if (!path)
			return ERR_INPUT;
		row = schema_find(path);
		if (strchr(node->key, '.'))
			return error_set(ERR_INPUT,
			                 "%s: write %s as maps inside one another, one key each",
			                 node->where, path);
		if (row >= 0 && node->kind == YAML_MAP && schema[row].type < OPTION_TEXTS &&
		    find_foreign(c, node, &path))
			return unknown_map(c, node, schema[row].path);
		if (row >= 0)
			TRY(set_option(c, row, node));
		else if (!is_room(path))
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
			at.path = arena_format(&c->arena, "%.*s/%s", (int)(slash - from->path),
			                       from->path, node->text);
		if (!at.path)
			return ERR_INPUT;
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
	struct yaml_node *node = arena_alloc(&c->arena, 1, sizeof *node);
	int               is_yaml = o->type >= OPTION_TEXTS && (*value == '[' || *value == '{');

	*out = node;
	if (!node)
		return ERR_INPUT;
	if (is_yaml)
		TRY(yaml_parse(who, value, strlen(value), &c->arena, out));
	else
		*node = (struct yaml_node){.kind = YAML_TEXT,
		                           .plain = o->type != OPTION_TEXT || !*value};
	if (!is_yaml)
		node->text = arena_text(&c->arena, value, strlen(value));
	(*out)->where = arena_text(&c->arena, who, strlen(who));
	return is_yaml || (node->text && node->where) ? OK : ERR_INPUT;
}

static int set_text(struct config *c, const char *who, const char *path, const char *value)
{
	struct yaml_node *node;
	int               row = schema_find(path);

	if (row < 0)
		return is_room(path) ? error_set(ERR_INPUT,
		                                 "%s: %s is a room; name an option in it, such as "
		                                 "%s.KEY=VALUE",
		                                 who, path, path)
		                     : config_unknown(who, path);
	TRY(value_node(c, who, &schema[row], value, &node));
	return set_option(c, row, node);
}

static int set_override(struct config *c, const char *text)
{
	const char *equals = strchr(text, '=');
	char        path[128];
	json_t     *utf8 = json_string(text); /* NULL for anything else */

	json_decref(utf8);
	if (!utf8)
		return error_set(ERR_INPUT, "command line: %.80s is not UTF-8 text", text);
	if (!equals || equals == text || equals - text >= (long)sizeof path)
		return error_set(ERR_INPUT, "command line: %.80s is not of the form key.path=value",
		                 text);
	snprintf(path, sizeof path, "%.*s", (int)(equals - text), text);
	return set_text(c, "command line", path, equals + 1);
}

/* ---- checks over several options ---- */

struct lookup {
	const struct config *config;
	struct arena        *arena;
};

static const char *add_files(const struct lookup *l, const char *names,
                             const struct source_list *files)
{
	for (int i = 0; names && i < files->n; i++)
		names = arena_format(l->arena, "%s|%s", names, files->items[i].reward);
	return names;
}

static const char *add_generators(const struct lookup *l, const char *names,
                                  const struct generator_config *rows, int n)
{
	for (int i = 0; names && i < n; i++)
		names = arena_format(l->arena, "%s|%s", names, rows[i].reward);
	return names;
}

/* "exact|format": all verifiers that the config names. */
static const char *verifier_names(const struct lookup *l)
{
	const struct config_data *d = &l->config->data;
	const struct config_task *t = &l->config->task;
	const char *names = arena_format(l->arena, "%s|%s", t->reward, t->eval_reward);

	for (int i = 0; names && i < t->rewards.n; i++)
		names = arena_format(l->arena, "%s|%s", names, t->rewards.items[i].name);
	names = add_files(l, add_files(l, names, &d->train), &d->eval);
	names = add_generators(l, names, d->generate.items, d->generate.n);
	return add_generators(l, names, d->eval_generate.items, d->eval_generate.n);
}

/* For schema_when_holds: texts as they are, everything else as it is printed. NULL when unset. */
static const char *option_value(const void *context, const char *path)
{
	const struct lookup *l = context;
	int                  row = schema_find(path);
	const struct option *o = &schema[row];
	struct text          t = {0};
	const char          *copy;

	if (!strcmp(path, "task.verifiers"))
		return verifier_names(l);
	assert(row >= 0);
	if (o->type == OPTION_TEXT || o->type == OPTION_CHOICE)
		return *(const char *const *)((const char *)l->config + o->offset);
	if (!o->standard && !config_is_set(l->config, path))
		return NULL;
	value_print(o, l->config, &t);
	copy = t.data ? arena_text(l->arena, t.data, t.n) : NULL;
	text_free(&t);
	return copy;
}

int config_when_holds(const struct config *c, const char *when)
{
	struct arena  scratch = {0};
	struct lookup l = {c, &scratch};
	int           holds = schema_when_holds(when, option_value, &l);

	arena_free(&scratch);
	return holds;
}

static int is_read(const struct config *c, const struct option *o)
{
	return config_when_holds(c, o->when);
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
	for (int i = 0; i < schema_n; i++) {
		if (!c->where[i] || is_read(c, &schema[i]))
			continue;
		if (!is_laid(c, i))
			return error_set(ERR_INPUT, "%s: %s is set, but it is read only when %s",
			                 c->where[i], schema[i].path, schema[i].when);
		TRY(set_default(c, i));
	}
	return OK;
}

/* Whether an option has another value than its default. (In a resolved config everything is
 * set.) */
static int is_given(const struct config *c, const char *path)
{
	int           row = schema_find(path), differs;
	struct config plain = {0};
	struct text   now = {0}, standard = {0};

	assert(row >= 0);
	if (!c->where[row] || !schema[row].standard || set_default(&plain, row) != OK) {
		arena_free(&plain.arena);
		return c->where[row] != NULL;
	}
	value_print(&schema[row], c, &now);
	value_print(&schema[row], &plain, &standard);
	differs = now.n != standard.n || memcmp(now.data, standard.data, now.n);
	text_free(&now);
	text_free(&standard);
	arena_free(&plain.arena);
	return differs;
}

static int check_not_both(const struct config *c, const char *a, const char *b)
{
	if (!is_given(c, a) || !is_given(c, b))
		return OK;
	return error_set(ERR_INPUT,
	                 "%s: %s stands beside %s (%s), but one of them decides; keep one",
	                 config_where(c, b), b, a, config_where(c, a));
}

static int check_init(const struct config *c)
{
	if (*c->model.path)
		return OK;
	if (c->model.init.n_heads % c->model.init.n_kv_heads)
		return error_set(
		        ERR_INPUT,
		        "%s: model.init.n_kv_heads (%d) must divide model.init.n_heads (%d)",
		        c->name, c->model.init.n_kv_heads, c->model.init.n_heads);
	if (c->model.init.head_width % 2)
		return error_set(ERR_INPUT, "%s: model.init.head_width (%d) must be even", c->name,
		                 c->model.init.head_width);
	if (c->rollout.max_completion_length >= c->model.init.n_positions)
		return error_set(ERR_INPUT,
		                 "%s: rollout.max_completion_length (%d) leaves no room for a "
		                 "prompt in model.init.n_positions (%d)",
		                 c->name, c->rollout.max_completion_length,
		                 c->model.init.n_positions);
	return OK;
}

/* Whether a template asks for a column: {prompt}, {a.b}. */
static int has_column(const char *template)
{
	static const char name[] =
	        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";

	for (const char *s = template; (s = strchr(s, '{')); s++) {
		size_t n = strspn(s + 1, name);
		if (n && s[1 + n] == '}')
			return 1;
	}
	return 0;
}

static int check_template(const char *where, const char *room, int row, const char *template)
{
	char at[32];

	if (has_column(template))
		return OK;
	snprintf(at, sizeof at, row < 0 ? "%s" : "%s[%d]", room, row);
	return error_set(ERR_INPUT,
	                 "%s: %s.prompt_template is \"%.60s\", which holds neither {prompt} nor "
	                 "another column in braces: every problem "
	                 "would ask the same",
	                 where, at, template);
}

static int config_check_templates(const struct config *c)
{
	static const char *const        rooms[] = {"data.train", "data.eval"};
	const struct source_list *const lists[] = {&c->data.train, &c->data.eval};

	TRY(check_template(config_where(c, "data.prompt_template"), "data", -1,
	                   c->data.prompt_template));
	for (int l = 0; l < 2; l++)
		for (int i = 0; i < lists[l]->n; i++)
			if (*lists[l]->items[i].prompt_template)
				TRY(check_template(config_where(c, rooms[l]), rooms[l], i,
				                   lists[l]->items[i].prompt_template));
	return OK;
}

static int check_eval(const struct config *c)
{
	if (c->run.eval_k > c->run.eval_samples)
		return error_set(ERR_INPUT,
		                 "%s: run.eval_k (%d) must be at most run.eval_samples (%d)",
		                 config_where(c, "run.eval_k"), c->run.eval_k, c->run.eval_samples);
	return OK;
}

/* TRL's name for a policy becomes that policy, so that there is one place to read it from. */
static int fold_mask_truncated(struct config *c)
{
	int row = schema_find("loss.mask_truncated_completions");

	if (!c->where[row])
		return OK;
	TRY(set_text(c, c->where[row], "loss.overlong",
	             c->loss.mask_truncated_completions ? "mask" : "keep"));
	return set_default(c, row);
}

/* runs/NAME, from the name of the config file without its ending. */
static int name_output(struct config *c)
{
	const char *slash = strrchr(c->name, '/'), *stem = slash ? slash + 1 : c->name,
	           *dot = strrchr(stem, '.');
	const char *folder;

	if (*c->run.output_dir)
		return OK;
	folder = arena_format(&c->arena, "runs/%.*s",
	                      (int)(dot && dot > stem ? (size_t)(dot - stem) : strlen(stem)), stem);
	return folder ? set_text(c, "default", "run.output_dir", folder) : ERR_INPUT;
}

int config_check(struct config *c)
{
	TRY(check_unread(c));
	TRY(check_not_both(c, "task.reward", "task.rewards"));
	TRY(check_not_both(c, "optim.warmup_steps", "optim.warmup_ratio"));
	TRY(check_init(c));
	TRY(config_check_templates(c));
	TRY(check_eval(c));
	TRY(check_not_both(c, "loss.mask_truncated_completions", "loss.overlong"));
	TRY(fold_mask_truncated(c));
	return name_output(c);
}

/* ---- from outside ---- */

/* Fills c from its defaults, then from a file or a text, then from the overrides. */
static int config_fill(struct config *c, const char *name, const char *text, size_t n_text,
                       const char *const *overrides, int n)
{
	struct chain at = {.path = name};

	c->name = arena_text(&c->arena, name, strlen(name));
	if (!c->name)
		return ERR_INPUT;
	for (int i = 0; i < schema_n; i++)
		TRY(set_default(c, i));
	TRY(text ? set_yaml(c, &at, text, n_text) : set_file(c, &at));
	for (int i = 0; i < n; i++)
		TRY(set_override(c, overrides[i]));
	return config_check(c);
}

int config_parse(const char *name, const char *text, size_t n_text, const char *const *overrides,
                 int n, struct config *out)
{
	int status;

	*out = (struct config){0};
	status = config_fill(out, name, text, n_text, overrides, n);
	if (status != OK)
		config_free(out);
	return status;
}

int config_load(const char *path, const char *const *overrides, int n, struct config *out)
{
	return config_parse(path, NULL, 0, overrides, n, out);
}

void config_free(struct config *c)
{
	arena_free(&c->arena);
	*c = (struct config){0};
}

int config_set(struct config *c, const char *who, const char *path, const char *value)
{
	return set_text(c, who, path, value);
}

int config_set_if_unset(struct config *c, const char *who, const char *path, const char *value)
{
	int row = schema_find(path);

	assert(row >= 0);
	if (c->where[row] || !is_read(c, &schema[row]))
		return OK;
	TRY(set_text(c, who, path, value));
	c->laid[row] = 1;
	return OK;
}

int config_is_set(const struct config *c, const char *path)
{
	int row = schema_find(path);

	assert(row >= 0);
	return c->where[row] != NULL;
}

const char *config_where(const struct config *c, const char *path)
{
	int row = schema_find(path);

	assert(row >= 0);
	return c->where[row] ? c->where[row] : "default";
}

int config_require(const struct config *c, const char *const *paths)
{
	struct text t = {0};
	int         status;

	for (int i = 0; paths[i]; i++)
		if (is_given(c, paths[i]))
			return OK;
	for (int i = 0; paths[i]; i++)
		text_print(&t, "%s%s", i ? " or " : "", paths[i]);
	status = text_status(&t) != OK
	                 ? ERR_INPUT
	                 : error_set(ERR_INPUT, "%s: %s must be given", c->name, t.data);
	text_free(&t);
	return status;
}

/* ---- the resolved config ---- */

static void config_print_value(const struct config *c, int row, struct text *out)
{
	if (!schema[row].standard && !c->where[row])
		text_add(out, "null", 4);
	else
		value_print(&schema[row], c, out);
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
	const char *before = "";

	text_print(out, RESOLVED "\n");
	for (int i = 0; i < schema_n; i++) {
		if (!is_read(c, &schema[i]))
			continue;
		text_print(out, "%s: ", print_rooms(before, schema[i].path, out));
		config_print_value(c, i, out);
		text_add(out, "\n", 1);
		before = schema[i].path;
	}
	return text_status(out);
}

/* What decides the result of a run: the options that are read, have a value and are not free on
 * resume. */
static int decides(const struct config *c, int row)
{
	int has_value = schema[row].standard || c->where[row];

	return has_value && !(schema[row].flags & FREE_ON_RESUME) && is_read(c, &schema[row]);
}

uint64_t config_hash(const struct config *c)
{
	struct text t = {0};
	uint64_t    hash = 0xcbf29ce484222325u;

	for (int i = 0; i < schema_n; i++) {
		if (!decides(c, i))
			continue;
		text_print(&t, "%s: ", schema[i].path);
		config_print_value(c, i, &t);
		text_add(&t, "\n", 1);
	}
	for (size_t i = 0; i < t.n; i++)
		hash = (hash ^ (unsigned char)t.data[i]) * 0x100000001b3u;
	text_free(&t);
	return hash;
}

int config_differences(const struct config *then, const struct config *now, struct text *out)
{
	int n = 0;

	for (int i = 0; i < schema_n; i++) {
		struct text a = {0}, b = {0};
		if (decides(then, i))
			config_print_value(then, i, &a);
		if (decides(now, i))
			config_print_value(now, i, &b);
		if (a.n != b.n || (a.n && memcmp(a.data, b.data, a.n))) {
			text_print(out, "%s: %s -> %s\n", schema[i].path,
			           a.n ? a.data : "(not read)", b.n ? b.data : "(not read)");
			n++;
		}
		out->failed |= a.failed | b.failed;
		text_free(&a);
		text_free(&b);
	}
	return n;
}
