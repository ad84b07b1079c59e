#include "run/schema.h"

#include <limits.h>
#include <string.h>

enum { WHEN_MAX = 256 }; /* bytes of a condition */

/* The room that a row is of; *row becomes its number there. NULL past the last. */
static const struct schema_room *room_of_row(const struct schema *s, int *row)
{
	for (int i = 0; *row >= 0 && i < s->n_rooms; *row -= s->rooms[i++].table->n)
		if (*row < s->rooms[i].table->n)
			return &s->rooms[i];
	return NULL;
}

const struct option *schema_at(const struct schema *s, int row)
{
	const struct schema_room *room = room_of_row(s, &row);

	return room ? &room->table->options[row] : NULL;
}

size_t schema_offset(const struct schema *s, int row)
{
	return room_of_row(s, &row)->offset;
}

int schema_n(const struct schema *s)
{
	int n = 0;

	for (int i = 0; i < s->n_rooms; i++)
		n += s->rooms[i].table->n;
	return n;
}

int schema_find(const struct schema *s, const char *path)
{
	int row = 0;

	for (int i = 0; i < s->n_rooms; row += s->rooms[i++].table->n)
		for (int k = 0; k < s->rooms[i].table->n; k++)
			if (!strcmp(s->rooms[i].table->options[k].path, path))
				return row + k;
	return -1;
}

/* ---- the nearest known key ---- */

enum { PATH_MAX_COMPARED = 63 };

static int least_of(int a, int b, int c)
{
	return a < b ? (a < c ? a : c) : (b < c ? b : c);
}

/* Levenshtein's distance of the first 63 bytes, where it can be less than `limit`; otherwise
 * `limit`. */
static int edit_distance(const char *a, const char *b, int limit)
{
	int row[PATH_MAX_COMPARED + 1], m = (int)strnlen(a, PATH_MAX_COMPARED),
	                                n = (int)strnlen(b, PATH_MAX_COMPARED);

	if (m - n >= limit || n - m >= limit)
		return limit;
	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 0; i < m; i++) {
		int diagonal = row[0];
		row[0] = i + 1;
		for (int j = 0; j < n; j++) {
			int above = row[j + 1];
			row[j + 1] = least_of(row[j] + 1, above + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[n];
}

static const char *leaf(const char *path)
{
	const char *dot = strrchr(path, '.');
	return dot ? dot + 1 : path;
}

static size_t room_length(const char *path)
{
	return strcspn(path, ".");
}

static int same_room(const char *a, const char *b)
{
	size_t n = room_length(a);
	return n == room_length(b) && !strncmp(a, b, n);
}

static int schema_has_room(const struct schema *s, const char *path)
{
	const struct option *o;

	for (int i = 0; strchr(path, '.') && (o = schema_at(s, i)); i++)
		if (strchr(o->path, '.') && same_room(o->path, path))
			return 1;
	return 0;
}

struct nearest {
	const char *path;
	int         distance;
};

/* In a room that there is, only its own options are near. Where the room is missing or none, the
 * right leaf counts as one typing error. */
static void compare_paths(const char *path, int has_room, const char *candidate,
                          struct nearest *best)
{
	int whole = edit_distance(path, candidate, best->distance), last = whole, distance;

	if (has_room && !same_room(candidate, path))
		return;
	if (!has_room)
		last = 1 + edit_distance(leaf(path), leaf(candidate), best->distance);
	distance = whole < last ? whole : last;
	if (distance < best->distance && distance < (int)strlen(leaf(path)))
		*best = (struct nearest){candidate, distance};
}

const char *schema_nearest(const struct schema *s, const char *path)
{
	struct nearest       best = {.distance = 4};
	int                  has_room = schema_has_room(s, path);
	const struct option *o;

	for (int i = 0; (o = schema_at(s, i)); i++)
		compare_paths(path, has_room, o->path, &best);
	return best.path;
}

const char *schema_nearest_in(const struct option_table *rows, const char *path)
{
	struct nearest best = {.distance = 4};

	for (int i = 0; i < rows->n; i++)
		compare_paths(path, 0, rows->options[i].path, &best);
	return best.path;
}

const char *schema_elsewhere(const struct schema *s, const char *path)
{
	const struct option *o;

	for (int i = 0; (o = schema_at(s, i)); i++)
		if (!strcmp(leaf(o->path), leaf(path)))
			return o->path;
	return NULL;
}

/* ---- conditions ---- */

static const char *schema_next_word(const char *words)
{
	const char *bar = strchr(words, '|');
	return bar ? bar + 1 : NULL;
}

/* Whether "a|b" and "b|c" have a word in common; "" is the one word "". */
static int words_meet(const char *a, const char *b)
{
	for (; a; a = schema_next_word(a))
		for (const char *w = b; w; w = schema_next_word(w))
			if (strcspn(a, "|") == strcspn(w, "|") && !strncmp(a, w, strcspn(a, "|")))
				return 1;
	return 0;
}

/* The part of a condition before `word` (" and ", " or "), copied; returns what stands behind the
 * word, NULL behind the last part. */
static const char *next_part(const char *when, const char *word, char part[WHEN_MAX])
{
	const char *end = strstr(when, word);

	snprintf(part, WHEN_MAX, "%.*s", (int)(end ? end - when : WHEN_MAX - 1), when);
	return end ? end + strlen(word) : NULL;
}

/* What a condition is looked up in. */
struct schema_values {
	const struct schema *schema;
	option_lookup       *value;
	void                *context;
};

static int values_fulfil(const struct schema_values *v, const char *when);

/* "PATH=a|b" or "PATH!=a|b". */
static int comparison_holds(const struct schema_values *v, const char *comparison)
{
	char        path[WHEN_MAX];
	const char *equals = strchr(comparison, '='), *got;
	int         negated = equals[-1] == '!', row;

	snprintf(path, sizeof path, "%.*s", (int)(equals - comparison) - negated, comparison);
	row = schema_find(v->schema, path);
	if (row >= 0 && !values_fulfil(v, schema_at(v->schema, row)->when))
		return 0;
	got = v->value(v->context, path);
	return !got || words_meet(got, equals + 1) != negated;
}

static int all_hold(const struct schema_values *v, const char *comparisons)
{
	char comparison[WHEN_MAX];

	while (comparisons) {
		comparisons = next_part(comparisons, " and ", comparison);
		if (!comparison_holds(v, comparison))
			return 0;
	}
	return 1;
}

static int values_fulfil(const struct schema_values *v, const char *when)
{
	char part[WHEN_MAX];
	int  holds = when == NULL;

	while (when && !holds) {
		when = next_part(when, " or ", part);
		holds = all_hold(v, part);
	}
	return holds;
}

int schema_when_holds(const struct schema *s, const char *when, option_lookup *value, void *context)
{
	return values_fulfil(&(struct schema_values){s, value, context}, when);
}

/* ---- the table as text ---- */

static int has_bounds(const struct option *o)
{
	return o->type == OPTION_INT || o->type == OPTION_REAL || o->type == OPTION_RANGE;
}

void schema_add_words(const struct option *o, const char *between, struct text *out)
{
	const char *word;

	for (int i = 0; (word = option_word(o, i)); i++)
		text_print(out, "%s%s", i ? between : "", word);
}

static void add_bounds(struct text *t, const struct option *o)
{
	schema_add_words(o, ", ", t);
	if (!has_bounds(o))
		return;
	if (o->tiny > 0)
		text_print(t, "0 or ");
	text_print(t, o->most >= INT_MAX ? "at least %.10g" : "%.10g to %.10g",
	           o->tiny > 0 ? o->tiny : o->least, o->most);
}

static const char *type_name(enum option_type type)
{
	static const char *const names[] = {[OPTION_INT] = "integer",
	                                    [OPTION_REAL] = "number",
	                                    [OPTION_BOOL] = "true or false",
	                                    [OPTION_TEXT] = "text",
	                                    [OPTION_CHOICE] = "one of",
	                                    [OPTION_NAMED] = "one of",
	                                    [OPTION_RANGE] = "integer or range",
	                                    [OPTION_TEXTS] = "list of texts",
	                                    [OPTION_ROWS] = "list of maps",
	                                    [OPTION_JSON] = "map"};
	return names[type];
}

static const char *default_name(const struct option *o)
{
	if (!o->standard)
		return "from the algorithm";
	return !strcmp(o->standard, OPTION_REQUIRED) ? "required"
	       : *o->standard                        ? o->standard
	                                             : "empty";
}

static void markdown_row(struct text *t, const struct option *o, const char *prefix)
{
	text_print(t, "| `%s%s` | %s", prefix, o->path, type_name(o->type));
	if (has_bounds(o))
		text_add(t, ", ", 2);
	else if (option_word(o, 0))
		text_add(t, " ", 1);
	add_bounds(t, o);
	text_print(t, " | %s | %s", default_name(o), o->help);
	if (o->when) {
		text_print(t, " (when `");
		for (const char *c = o->when; *c; c++)
			text_print(t, *c == '|' ? "\\%c" : "%c", *c); /* a bar would end the cell */
		text_print(t, "`)");
	}
	text_print(t, "%s |\n", o->flags & FREE_ON_RESUME ? " ↻" : "");
	for (int i = 0; o->rows && i < o->rows->n; i++) {
		char inner[128];
		snprintf(inner, sizeof inner, "%s%s[].", prefix, o->path);
		markdown_row(t, &o->rows->options[i], inner);
	}
}

void options_markdown(const struct schema *s, struct text *t)
{
	const struct option *o, *before = NULL;

	text_print(t, "# Options\n\nMade by `make docs` from the rooms' tables of options; do not "
	              "edit.\n\n"
	              "A config is YAML; `extends: other.yaml` inherits from another file, "
	              "`key.path=value` on the command line overrides.\n"
	              "An option marked ↻ may differ when a run is resumed. \"From the "
	              "algorithm\": the row of the algorithm table gives it,\n"
	              "and a config overrides it.\n");
	for (int i = 0; (o = schema_at(s, i)); before = o, i++) {
		if (!before || !same_room(before->path, o->path))
			text_print(t,
			           "\n## %.*s\n\n| option | type | default | what it does "
			           "|\n|---|---|---|---|\n",
			           (int)room_length(o->path), o->path);
		markdown_row(t, o, "");
	}
}

void options_add_values(const struct option *o, struct text *t)
{
	add_bounds(t, o);
	text_print(t, "%s%s", has_bounds(o) || option_word(o, 0) ? "; " : "", default_name(o));
}

static void help_row(struct text *t, const struct option *o, int indent)
{
	text_print(t, "%*s%-*s  %s [", indent, "", 34 - indent, o->path, o->help);
	options_add_values(o, t);
	text_print(t, "]\n");
	for (int i = 0; o->rows && i < o->rows->n; i++)
		help_row(t, &o->rows->options[i], indent + 4);
}

int options_help(const struct schema *s, struct text *t, const char *word)
{
	const struct option *o;
	int                  n = 0;

	for (int i = 0; (o = schema_at(s, i)); i++)
		if (!word || strcasestr(o->path, word) || strcasestr(o->help, word)) {
			help_row(t, o, 2);
			n++;
		}
	return n;
}
