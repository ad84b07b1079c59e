/* schema.h - the option tables of all rooms as one: to find an option, to say when it is read, and
 * to document it.
 *
 * What a table holds, and how a condition is written: base/option.h. This room knows no option by
 * its name but its own (run_options.h); whoever puts the tables together hands them in. */
#ifndef RUN_SCHEMA_H
#define RUN_SCHEMA_H

#include "base/file.h"
#include "base/memory.h"
#include "base/option.h"

struct config;

struct schema_room {
	const struct option_table *table;
	size_t                     offset, size; /* of the table's struct in the config */
};

struct schema {
	const struct schema_room *rooms; /* [n_rooms] in the order of the documents */
	int                       n_rooms;
	size_t size; /* of the config, a struct that begins with a struct config */

	/* What goes beyond one option: ERR_INPUT for what does not go together. May set options. */
	int (*check)(struct config *c);

	/* The value of a path in conditions that is no option, "a|b" for several, in the arena;
	 * NULL: there is no such path. */
	const char *(*derived)(const struct config *c, const char *path, struct arena *a);
};

/* Rows are numbered through all tables. NULL past the last. */
const struct option *schema_at(const struct schema *s, int row);
int                  schema_n(const struct schema *s);
size_t               schema_offset(const struct schema *s, int row); /* of its table's struct */
int                  schema_find(const struct schema *s, const char *path); /* row, or -1 */

/* The most similar path: of the room that the path names, of any where it names none; NULL when
 * none is similar. The second of a list's rows. */
const char *schema_nearest(const struct schema *s, const char *path);
const char *schema_nearest_in(const struct option_table *rows, const char *path);

/* An option of any room that is called as the path's last word; or NULL. */
const char *schema_elsewhere(const struct schema *s, const char *path);

/* The value as text, "a|b" for several; NULL: unset. */
typedef const char *option_lookup(void *context, const char *path);

int schema_when_holds(const struct schema *s, const char *when, option_lookup *value,
                      void *context);

void schema_add_words(const struct option *o, const char *between, struct text *out); /* "a|b" */

void options_markdown(const struct schema *s, struct text *out); /* docs/options.md */

/* ADDS a row for each option whose path or help holds the word; NULL: for all of them. Returns how
 * many that are. */
int options_help(const struct schema *s, struct text *out, const char *word);

/* ADDS "0 to 1; 0.5": the values that an option takes, and its default. */
void options_add_values(const struct option *o, struct text *out);

#endif
