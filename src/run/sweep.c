#include "run/sweep.h"

#include "base/error.h"
#include "base/json.h"
#include "run/checkpoint.h"
#include "run/config.h"
#include "run/config_yaml.h"
#include "run/run_options.h"
#include "run/schema.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A setting is one word of a command line, which Linux wants shorter than 128 KiB; a name is one of
 * a path, with endings such as ".jsonl.gz" behind it. */
enum { SETTING_MAX = 1 << 16, NAME_LENGTH_MAX = 200, FOLDER_LENGTH_MAX = FILE_PATH_MAX / 2 };

static const char folder_mark[] = "{output_dir}", seed_mark[] = "{seed}",
                  quoted_seed_mark[] = "\"{seed}\"";

const char *const sweep_state_name[] = {
        [SWEEP_MISSING] = "missing", [SWEEP_STARTED] = "started", [SWEEP_FINISHED] = "finished"};

struct settings { /* "key=value" texts; a later one wins */
	const char *items[SWEEP_SETTINGS_MAX];
	int         n;
};

struct file { /* the sweep file, key by key; NULL: not given */
	const struct yaml_node *base, *output_dir, *seeds, *before, *set, *arms, *grid;
};

struct sweep_arm {
	const char             *name, *base;
	const struct yaml_node *place;
	struct settings         settings;
};

struct before_step {
	const char *name, *command;
	int         each_seed;
};

struct reading {
	const struct schema *schema;
	const char          *path;
	struct sweep        *sweep;
	struct arena        *a;
	struct file          file;
	int                 *seed; /* [n_seeds] */
	int                  n_seeds;
	struct before_step  *steps; /* [n_steps] */
	int                  n_steps;
	struct sweep_arm    *arms; /* [n_arms] */
	int                  n_arms;
};

/* ---- values as text ---- */

/* ADDS `value` with `text` for each `mark`. Stops when it gets too long; `text` holds no such mark
 * (read_folder). */
static void add_replaced(const char *value, const char *mark, const char *text, struct text *out)
{
	const char *found;

	while ((found = strstr(value, mark)) && out->n <= SETTING_MAX) {
		text_add(out, value, (size_t)(found - value));
		text_add(out, text, strlen(text));
		value = found + strlen(mark);
	}
	text_add(out, value, strlen(value));
}

static int has_line_end(const char *s)
{
	return strpbrk(s, "\t\n\r") != NULL;
}

static int keep_setting(const struct reading *r, const char *key, const struct yaml_node *value,
                        const struct text *t, const char **out)
{
	if (has_line_end(t->data))
		return error_set(ERR_INPUT,
		                 "%s: %s: a value of a sweep has no tabs and no line ends",
		                 value->where, key);
	if (t->n > SETTING_MAX)
		return error_set(ERR_INPUT,
		                 "%s: %s: a value of a sweep has at most %d bytes; put it into a "
		                 "config and name that as base",
		                 value->where, key, SETTING_MAX);
	return arena_copy(r->a, t->data, t->n, out);
}

/* "key=value" for the command line. */
static int setting_text(const struct reading *r, const char *key, const struct yaml_node *value,
                        const char **out)
{
	struct text flow = {0}, t = {0};
	int         status;

	if (value->kind != YAML_TEXT)
		yaml_flow(value, &flow);
	text_print(&t, "%s=", key);
	add_replaced(value->kind == YAML_TEXT ? value->text
	             : flow.data              ? flow.data
	                                      : "",
	             folder_mark, r->sweep->output_dir, &t);
	status = flow.failed ? text_status(&flow) : text_status(&t);
	if (status == OK)
		status = keep_setting(r, key, value, &t, out);
	text_free(&flow);
	text_free(&t);
	return status;
}

/* ---- parts of the file ---- */

static int is_text(const struct yaml_node *node)
{
	return node->kind == YAML_TEXT && *node->text;
}

static int check_key(const struct reading *r, const struct yaml_node *node)
{
	const char *near;

	if (schema_find(r->schema, node->key) >= 0)
		return OK;
	near = schema_nearest(r->schema, node->key);
	return error_set(ERR_INPUT, "%s: %s is not an option; %s%s%s", node->where, node->key,
	                 near ? "did you mean " : "", near ? near : "see docs/options.md",
	                 near ? "?" : "");
}

static int add_setting(const struct reading *r, struct settings *s, const char *key,
                       const struct yaml_node *value)
{
	const char *text;

	TRY(setting_text(r, key, value, &text));
	if (s->n == SWEEP_SETTINGS_MAX)
		return error_set(ERR_INPUT,
		                 "%s: more than %d settings for one run; put them into a config "
		                 "and name it as base",
		                 value->where, SWEEP_SETTINGS_MAX);
	s->items[s->n++] = text;
	return OK;
}

/* A map of options, as `set` is. */
static int add_settings(const struct reading *r, struct settings *s, const struct yaml_node *map)
{
	if (!map)
		return OK;
	if (map->kind != YAML_MAP)
		return error_set(ERR_INPUT,
		                 "%s: set is %s, but must be a map of options, key.path: value",
		                 map->where, yaml_kind_name(map->kind));
	for (const struct yaml_node *node = map->first; node; node = node->next) {
		TRY(check_key(r, node));
		if (!strcmp(node->key, "run.seed") || !strcmp(node->key, "run.output_dir"))
			return error_set(ERR_INPUT,
			                 "%s: %s is given by the sweep itself (seeds, output_dir)",
			                 node->where, node->key);
		TRY(add_setting(r, s, node->key, node));
	}
	return OK;
}

struct field {
	const char              *name;
	const struct yaml_node **to;
};

static int read_fields(const struct yaml_node *map, const char *what, const struct field *fields,
                       int n)
{
	struct text names = {0};
	int         status;

	for (const struct yaml_node *node = map->first; node; node = node->next) {
		int i = 0;
		while (i < n && strcmp(fields[i].name, node->key))
			i++;
		if (i < n) {
			*fields[i].to = node;
			continue;
		}
		for (i = 0; i < n; i++)
			text_print(&names, "%s%s", i ? ", " : "", fields[i].name);
		status = text_status(&names);
		if (status == OK)
			status = error_set(ERR_INPUT, "%s: %s is not a key of %s; there are %s",
			                   node->where, node->key, what, names.data);
		text_free(&names);
		return status;
	}
	return OK;
}

static int sweep_read_text(const struct yaml_node *node, const char *key, const char **out)
{
	if (!is_text(node))
		return error_set(ERR_INPUT, "%s: %s must be a text", node->where, key);
	if (has_line_end(node->text))
		return error_set(ERR_INPUT,
		                 "%s: %s: a text of a sweep has no tabs and no line ends",
		                 node->where, key);
	*out = node->text;
	return OK;
}

static int read_folder(const struct yaml_node *node, const char **out)
{
	TRY(sweep_read_text(node, "output_dir", out));
	if (strlen(*out) > FOLDER_LENGTH_MAX)
		return error_set(ERR_INPUT, "%s: output_dir has more than %d bytes", node->where,
		                 FOLDER_LENGTH_MAX);
	if (strstr(*out, folder_mark))
		return error_set(ERR_INPUT,
		                 "%s: output_dir is what %s stands for, and cannot hold it",
		                 node->where, folder_mark);
	return OK;
}

/* One folder's name: what it may hold keeps it one word in a shell and one level in a path. */
static int sweep_check_name(const struct yaml_node *node, const char *name)
{
	if (strlen(name) > NAME_LENGTH_MAX)
		return error_set(
		        ERR_INPUT,
		        "%s: a name becomes a folder and has at most %d bytes, not %zu: %.60s...",
		        node->where, NAME_LENGTH_MAX, strlen(name), name);
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_.+-=,", *c))
			return error_set(ERR_INPUT,
			                 "%s: the name %s becomes a folder: letters, digits and _ "
			                 ". + - = , only",
			                 node->where, name);
	if (*name == '.' || *name == '-' || !*name)
		return error_set(ERR_INPUT, "%s: the name \"%s\" must begin with a letter or digit",
		                 node->where, name);
	return OK;
}

/* ---- seeds ---- */

static int sweep_read_number(const struct yaml_node *node, const char *text, int length, int *out)
{
	long value = 0;

	for (int i = 0; i < length; i++) {
		if (!isdigit((unsigned char)text[i]) || i > 8)
			return error_set(ERR_INPUT,
			                 "%s: seeds must be whole numbers from 0 on: 0-4, or [0, "
			                 "1, 2]; not %s",
			                 node->where, text);
		value = 10 * value + text[i] - '0';
	}
	if (length == 0)
		return error_set(ERR_INPUT, "%s: a seed is missing", node->where);
	*out = (int)value;
	return OK;
}

static int add_seed(struct reading *r, const struct yaml_node *node, int seed)
{
	for (int i = 0; i < r->n_seeds; i++)
		if (r->seed[i] == seed)
			return error_set(ERR_INPUT, "%s: seed %d stands here for the second time",
			                 node->where, seed);
	if (r->n_seeds == SWEEP_SEEDS_MAX)
		return error_set(ERR_INPUT, "%s: more than %d seeds", node->where, SWEEP_SEEDS_MAX);
	r->seed[r->n_seeds++] = seed;
	return OK;
}

/* "3" or "0-4" */
static int add_seed_range(struct reading *r, const struct yaml_node *node)
{
	const char *dash;
	int         low = 0, high;

	if (!is_text(node))
		return error_set(ERR_INPUT, "%s: seeds must be whole numbers: 0-4, or [0, 1, 2]",
		                 node->where);
	dash = strchr(node->text, '-');
	TRY(sweep_read_number(node, node->text,
	                      dash ? (int)(dash - node->text) : (int)strlen(node->text), &low));
	high = low;
	if (dash)
		TRY(sweep_read_number(node, dash + 1, (int)strlen(dash + 1), &high));
	if (high < low)
		return error_set(ERR_INPUT, "%s: the seeds %s end before they begin", node->where,
		                 node->text);
	for (int seed = low; seed <= high; seed++)
		TRY(add_seed(r, node, seed));
	return OK;
}

static int read_seeds(struct reading *r)
{
	const struct yaml_node *node = r->file.seeds;

	TRY(arena_take(r->a, SWEEP_SEEDS_MAX, "the seeds of a sweep", &r->seed));
	if (!node)
		return r->seed[r->n_seeds++] = 0, OK;
	if (node->kind == YAML_MAP || (node->kind == YAML_LIST && !node->first))
		return error_set(ERR_INPUT, "%s: seeds must be whole numbers: 0-4, or [0, 1, 2]",
		                 node->where);
	if (node->kind == YAML_TEXT)
		return add_seed_range(r, node);
	for (const struct yaml_node *item = node->first; item; item = item->next)
		TRY(add_seed_range(r, item));
	return OK;
}

/* ---- runs ---- */

enum { NO_SEED = -1 };

/* The setting with the seed of its run in the place of the mark, as a number where a list or map
 * has the mark alone; as it is for NO_SEED. */
static int with_seed(const struct reading *r, const char *setting, int seed, const char **out)
{
	struct text numbers = {0}, all = {0};
	char        digits[16];
	int         status;

	*out = setting;
	if (seed == NO_SEED || !strstr(setting, seed_mark))
		return OK;
	snprintf(digits, sizeof digits, "%d", seed);
	add_replaced(setting, quoted_seed_mark, digits, &numbers);
	status = text_status(&numbers);
	if (status == OK) {
		add_replaced(numbers.data, seed_mark, digits, &all);
		status = text_status(&all);
	}
	if (status == OK)
		status = arena_copy(r->a, all.data, all.n, out);
	text_free(&numbers);
	text_free(&all);
	return status;
}

struct sweep_plan { /* what the runs of an arm or a step share */
	const char            *command, *config, *name;
	const struct settings *settings;
};

/* Fills `out` but for max_steps: NAME, or with a seed NAME/seed-N and its run.seed. */
static int make_run(const struct reading *r, const struct sweep_plan *plan, int seed,
                    struct sweep_run *out)
{
	const struct settings *s = plan->settings;
	const char            *name = plan->name, **next;

	if (seed != NO_SEED)
		TRY(arena_print(r->a, &name, "%s/seed-%d", name, seed));
	*out = (struct sweep_run){.name = name,
	                          .command = plan->command,
	                          .config = plan->config,
	                          .n = s->n + 1 + (seed != NO_SEED)};
	TRY(file_path(r->a, r->sweep->output_dir, name, &out->folder));
	TRY(arena_take(r->a, (size_t)out->n, "the settings of a run", &out->overrides));
	next = out->overrides;
	for (int i = 0; i < s->n; i++)
		TRY(with_seed(r, s->items[i], seed, next++));
	if (seed != NO_SEED)
		TRY(arena_print(r->a, next++, "run.seed=%d", seed));
	return arena_print(r->a, next, "run.output_dir=%s", out->folder);
}

/* Checks the config of a run as a whole, and takes max_steps from it. */
static int check_run(const struct reading *r, const struct yaml_node *place, struct sweep_run *run)
{
	struct config            *c;
	const struct run_options *options;
	int                       status;

	TRY(mem_take_bytes(1, r->schema->size, "a config", &c));
	status = config_load(r->schema, run->config, run->overrides, run->n, c);
	if (status == OK) {
		options = config_room(c, &run_options_table);
		run->max_steps = options->max_steps;
		config_free(c);
	}
	mem_free(c);
	return status == OK ? OK : error_context("%s: %s", place->where, run->name);
}

static int makes_rollouts(const char *command)
{
	return !strcmp(command, "rollouts");
}

/* The model of the last step before that made one. */
static int add_model(const struct reading *r, struct settings *s)
{
	int i = r->n_steps;

	while (i > 0 && makes_rollouts(r->steps[i - 1].command))
		i--;
	if (i == 0)
		return OK;
	return arena_print(r->a, &s->items[s->n++], "model.path=%s/%s%s%s", r->sweep->output_dir,
	                   r->steps[i - 1].name, r->steps[i - 1].each_seed ? "/seed-" : "",
	                   r->steps[i - 1].each_seed ? seed_mark : "");
}

static int read_truth(const struct yaml_node *node, const char *key, int *out)
{
	*out = is_text(node) && !strcmp(node->text, "true");
	if (*out || (is_text(node) && !strcmp(node->text, "false")))
		return OK;
	return error_set(ERR_INPUT, "%s: %s must be true or false", node->where, key);
}

/* A step as the file has it: a config alone, or a map. */
static int read_step_node(const struct yaml_node *node, struct before_step *step,
                          const char **config, const struct yaml_node **set)
{
	const struct yaml_node *name = NULL, *command = NULL, *base = NULL, *each_seed = NULL;
	const struct field      fields[] = {{"name", &name},
	                                    {"command", &command},
	                                    {"base", &base},
	                                    {"set", set},
	                                    {"each_seed", &each_seed}};

	*step = (struct before_step){.name = "before", .command = "sft"};
	if (node->kind != YAML_MAP && !is_text(node))
		return error_set(ERR_INPUT,
		                 "%s: before must be a config, or a list of {name, command, base, "
		                 "set, each_seed}",
		                 node->where);
	if (node->kind != YAML_MAP)
		return sweep_read_text(node, "before", config);
	TRY(read_fields(node, "a step before", fields, sizeof fields / sizeof *fields));
	if (!base)
		return error_set(ERR_INPUT,
		                 "%s: a step before needs a base, the config that it runs",
		                 node->where);
	TRY(sweep_read_text(base, "base", config));
	if (name)
		TRY(sweep_read_text(name, "name", &step->name));
	if (command)
		TRY(sweep_read_text(command, "command", &step->command));
	if (each_seed)
		TRY(read_truth(each_seed, "each_seed", &step->each_seed));
	if (strcmp(step->command, "sft") && strcmp(step->command, "train") &&
	    !makes_rollouts(step->command))
		return error_set(ERR_INPUT, "%s: command is %s, but must be sft, train or rollouts",
		                 command->where, step->command);
	return OK;
}

/* Its name is new, and it begins with nothing that only a seed has. */
static int check_step(const struct reading *r, const struct yaml_node *node,
                      const struct before_step *step, const struct settings *s)
{
	TRY(sweep_check_name(node, step->name));
	for (int i = 0; i < r->n_steps; i++) {
		if (!strcmp(r->steps[i].name, step->name))
			return error_set(ERR_INPUT, "%s: two steps before are called %s",
			                 node->where, step->name);
		if (!step->each_seed && r->steps[i].each_seed)
			return error_set(ERR_INPUT,
			                 "%s: the step %s follows %s, of which each seed has its "
			                 "own: give it each_seed: true as well",
			                 node->where, step->name, r->steps[i].name);
	}
	for (int i = 0; i < s->n && !step->each_seed; i++)
		if (strstr(s->items[i], seed_mark))
			return error_set(ERR_INPUT,
			                 "%s: the step %s is run once: %s needs each_seed: true",
			                 node->where, step->name, seed_mark);
	return OK;
}

static int read_step(struct reading *r, const struct yaml_node *node)
{
	struct before_step      step;
	const char             *config = "";
	const struct yaml_node *set = NULL;
	struct settings         s = {0};
	struct sweep_plan       plan;
	struct sweep_run       *first = &r->sweep->before[r->sweep->n_before];

	TRY(read_step_node(node, &step, &config, &set));
	TRY(add_model(r, &s));
	TRY(add_settings(r, &s, set));
	TRY(check_step(r, node, &step, &s));
	r->steps[r->n_steps++] = step;
	plan = (struct sweep_plan){step.command, config, step.name, &s};
	for (int i = 0; i < (step.each_seed ? r->n_seeds : 1); i++) {
		TRY(make_run(r, &plan, step.each_seed ? r->seed[i] : NO_SEED, first + i));
		if (i == 0) /* its seeds differ in nothing else */
			TRY(check_run(r, node, first));
		first[i].max_steps = first->max_steps;
		r->sweep->n_before++;
	}
	return OK;
}

static int read_before(struct reading *r)
{
	const struct yaml_node *node = r->file.before;
	int                     n = 1;

	if (!node)
		return OK;
	for (const struct yaml_node *step = node->first; step && node->kind == YAML_LIST;
	     step = step->next)
		n++;
	if (n > SWEEP_RUNS_MAX / r->n_seeds)
		return error_set(ERR_INPUT, "%s: more than %d runs before", node->where,
		                 SWEEP_RUNS_MAX);
	TRY(arena_take(r->a, (size_t)n, "the steps before a sweep", &r->steps));
	TRY(arena_take(r->a, (size_t)n * (size_t)r->n_seeds, "the runs before a sweep",
	               &r->sweep->before));
	if (node->kind != YAML_LIST)
		return read_step(r, node);
	for (const struct yaml_node *step = node->first; step; step = step->next)
		TRY(read_step(r, step));
	return OK;
}

/* ---- arms ---- */

static int add_arm(struct reading *r, const struct sweep_arm *arm)
{
	TRY(sweep_check_name(arm->place, arm->name));
	for (int i = 0; i < r->n_arms; i++)
		if (!strcmp(r->arms[i].name, arm->name))
			return error_set(ERR_INPUT, "%s: two arms are called %s", arm->place->where,
			                 arm->name);
	for (int i = 0; i < r->n_steps; i++)
		if (!strcmp(r->steps[i].name, arm->name))
			return error_set(ERR_INPUT,
			                 "%s: an arm and a step before are called %s, and would "
			                 "share a folder",
			                 arm->place->where, arm->name);
	if (r->n_arms == SWEEP_ARMS_MAX)
		return error_set(ERR_INPUT, "%s: more than %d arms", arm->place->where,
		                 SWEEP_ARMS_MAX);
	r->arms[r->n_arms++] = *arm;
	return OK;
}

/* "learning_rate=1e-4": what a folder's name may not hold becomes '_'. */
static int value_name(const struct reading *r, const char *key, const struct yaml_node *value,
                      char **out)
{
	const char *dot = strrchr(key, '.'), *setting;

	TRY(setting_text(r, key, value, &setting));
	if (dot)
		setting += dot + 1 - key;
	TRY(arena_copy(r->a, setting, strlen(setting), out));
	for (char *c = *out; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_.+-=", *c))
			*c = '_';
	return OK;
}

/* Every combination of the keys from `key` on: the first key varies slowest. */
static int add_combinations(struct reading *r, const struct sweep_arm *arm,
                            const struct yaml_node *key)
{
	if (!key)
		return add_arm(r, arm);
	for (const struct yaml_node *value = key->first; value; value = value->next) {
		struct sweep_arm next = *arm;
		char            *name;
		TRY(value_name(r, key->key, value, &name));
		next.name = name;
		if (*arm->name)
			TRY(arena_print(r->a, &next.name, "%s,%s", arm->name, name));
		TRY(add_setting(r, &next.settings, key->key, value));
		TRY(add_combinations(r, &next, key->next));
	}
	return OK;
}

static int check_grid(const struct reading *r, const struct yaml_node *grid)
{
	if (!grid)
		return OK;
	if (grid->kind != YAML_MAP)
		return error_set(ERR_INPUT, "%s: grid is %s, but must be a map, key.path: [values]",
		                 grid->where, yaml_kind_name(grid->kind));
	for (const struct yaml_node *key = grid->first; key; key = key->next) {
		TRY(check_key(r, key));
		if (!strcmp(key->key, "run.seed") || !strcmp(key->key, "run.output_dir"))
			return error_set(ERR_INPUT,
			                 "%s: %s is given by the sweep itself (seeds, output_dir)",
			                 key->where, key->key);
		if (key->kind != YAML_LIST || !key->first)
			return error_set(ERR_INPUT, "%s: grid: %s must be a list of values",
			                 key->where, key->key);
	}
	return OK;
}

static int read_arm(struct reading *r, const struct yaml_node *node, struct sweep_arm *arm)
{
	const struct yaml_node *name = NULL, *base = NULL, *set = NULL;
	const struct field      fields[] = {{"name", &name}, {"base", &base}, {"set", &set}};

	if (node->kind != YAML_MAP)
		return error_set(ERR_INPUT, "%s: an arm must be a map: {name, set, base}",
		                 node->where);
	TRY(read_fields(node, "an arm", fields, 3));
	if (!name)
		return error_set(ERR_INPUT, "%s: an arm needs a name", node->where);
	TRY(sweep_read_text(name, "name", &arm->name));
	arm->place = name;
	if (base)
		TRY(sweep_read_text(base, "base", &arm->base));
	if (!arm->base)
		return error_set(ERR_INPUT,
		                 "%s: neither the sweep nor the arm %s names a base, the config to "
		                 "start from",
		                 node->where, arm->name);
	return add_settings(r, &arm->settings, set);
}

static int read_arms(struct reading *r)
{
	const struct yaml_node *arms = r->file.arms, *grid = r->file.grid;
	struct sweep_arm        plain = {.name = "", .place = r->file.output_dir};

	TRY(arena_take(r->a, SWEEP_ARMS_MAX, "the arms of a sweep", &r->arms));
	TRY(check_grid(r, grid));
	if (r->file.base)
		TRY(sweep_read_text(r->file.base, "base", &plain.base));
	TRY(add_model(r, &plain.settings));
	TRY(add_settings(r, &plain.settings, r->file.set));
	if (arms && (arms->kind != YAML_LIST || !arms->first))
		return error_set(ERR_INPUT, "%s: arms must be a list of {name, set, base}",
		                 arms->where);
	for (const struct yaml_node *node = arms ? arms->first : NULL; node; node = node->next) {
		struct sweep_arm arm = plain;
		TRY(read_arm(r, node, &arm));
		TRY(add_combinations(r, &arm, grid ? grid->first : NULL));
	}
	if (arms)
		return OK;
	if (!plain.base)
		return error_set(ERR_INPUT, "%s: a sweep needs a base, the config to start from",
		                 r->path);
	if (!grid || !grid->first)
		plain.name = "base";
	return add_combinations(r, &plain, grid ? grid->first : NULL);
}

/* The runs of an arm differ in the seed and the folder alone, so the config of the first one is
 * checked for all. */
static int make_runs(struct reading *r)
{
	int n = r->n_seeds * r->n_arms;

	if (n > SWEEP_RUNS_MAX)
		return error_set(ERR_INPUT, "%s: %d arms times %d seeds are more than %d runs",
		                 r->path, r->n_arms, r->n_seeds, SWEEP_RUNS_MAX);
	TRY(arena_take(r->a, (size_t)n, "the runs of a sweep", &r->sweep->runs));
	for (int i = 0; i < n; i++) {
		const struct sweep_arm *arm = &r->arms[i % r->n_arms];
		struct sweep_plan       plan = {"train", arm->base, arm->name, &arm->settings};
		TRY(make_run(r, &plan, r->seed[i / r->n_arms], &r->sweep->runs[i]));
		if (i < r->n_arms)
			TRY(check_run(r, arm->place, &r->sweep->runs[i]));
		r->sweep->runs[i].max_steps = r->sweep->runs[i % r->n_arms].max_steps;
	}
	r->sweep->n = n;
	return OK;
}

/* ---- the file ---- */

static int read_tree(struct reading *r, const struct yaml_node *root)
{
	struct file       *f = &r->file;
	const struct field fields[] = {{"base", &f->base},   {"output_dir", &f->output_dir},
	                               {"seeds", &f->seeds}, {"before", &f->before},
	                               {"set", &f->set},     {"arms", &f->arms},
	                               {"grid", &f->grid}};

	if (root->kind != YAML_MAP)
		return error_set(ERR_INPUT, "%s: the file holds %s, but must hold a map", r->path,
		                 yaml_kind_name(root->kind));
	TRY(read_fields(root, "a sweep", fields, sizeof fields / sizeof *fields));
	if (!f->output_dir)
		return error_set(ERR_INPUT,
		                 "%s: a sweep needs an output_dir, the folder of its runs",
		                 r->path);
	TRY(read_folder(f->output_dir, &r->sweep->output_dir));
	TRY(read_seeds(r));
	TRY(read_before(r));
	TRY(read_arms(r));
	return make_runs(r);
}

static int read_bytes(struct reading *r, struct bytes *b)
{
	struct yaml_node *root;

	TRY(file_read(r->path, YAML_BYTES_MAX, b));
	TRY(yaml_parse(r->path, b->data, b->n, r->a, &root));
	return read_tree(r, root);
}

int sweep_read(const struct schema *s, const char *path, struct sweep *out)
{
	struct reading r = {.schema = s, .path = path, .sweep = out, .a = &out->arena};
	struct bytes   b = {0};
	int            status;

	*out = (struct sweep){0};
	status = read_bytes(&r, &b);
	bytes_free(&b);
	if (status != OK)
		sweep_free(out);
	return status;
}

void sweep_free(struct sweep *s)
{
	arena_free(&s->arena);
	*s = (struct sweep){0};
}

/* ---- what is done ---- */

static enum sweep_state rollouts_state(const struct sweep_run *run)
{
	char path[FILE_PATH_MAX];

	snprintf(path, sizeof path, "%s.jsonl.gz", run->folder); /* written whole or not at all */
	return file_exists(path) ? SWEEP_FINISHED : SWEEP_MISSING;
}

enum sweep_state sweep_state_of(const struct sweep_run *run)
{
	struct arena     a = {0};
	enum sweep_state state = file_exists(run->folder) ? SWEEP_STARTED : SWEEP_MISSING;
	char            *folder, *name;
	int              step;

	if (makes_rollouts(run->command))
		return rollouts_state(run);
	if (state == SWEEP_STARTED && checkpoint_resolve(run->folder, &a, &folder) == OK) {
		name = strrchr(folder, '/');
		if (name && sscanf(name, "/checkpoint-%9d", &step) == 1 && step >= run->max_steps)
			state = SWEEP_FINISHED;
	}
	arena_free(&a);
	return state;
}
