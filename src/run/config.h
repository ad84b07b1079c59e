/* config.h - the machine of configs: options read from YAML and from key=value on the command line
 * into a struct, checked, and written down again.
 *
 * The options stand in the tables of a schema (schema.h, base/option.h); this machine knows none of
 * them by name. The struct that the schema describes begins with a struct config, which knows who
 * set what:
 *
 *     struct job_config c;                                            (rl/job_config.h)
 *     TRY(config_load(&job_schema, "configs/addition/demo.yaml", overrides, n_overrides, &c.base));
 *     ... c.optim.schedule.learning_rate, config_where(&c.base, "optim.learning_rate") ...
 *     config_free(&c.base);
 *
 * Precedence, later wins: the defaults, the file named by `extends`, the file, the command line. A
 * list given later replaces the earlier one as a whole. An unknown key, a wrong type, a value out
 * of bounds, and an option that nothing would read (guidance.clip beside guidance.kind: none) are
 * errors that name file, line, key and the way out.
 *
 * Options without a default ("from the algorithm" in docs/options.md) are unset unless somebody
 * sets them: their field is 0 or NULL and config_is_set() is 0. Whoever knows their values lays
 * them under what the user wrote (config_lay, config_set_if_unset), so that the resolved config
 * shows what was used.
 *
 * The resolved config lists every option that is read, in the order of the table. Loading it again
 * gives the same text. Where what is given beside it makes that one of its options is no longer
 * read, the option goes without a word: nobody wrote it by hand. */
#ifndef RUN_CONFIG_H
#define RUN_CONFIG_H

#include "base/file.h"
#include "base/memory.h"
#include "run/schema.h"

#include <stdint.h>

enum { CONFIG_EXTENDS_MAX = 8 };

struct config {
	const struct schema *schema;
	const char          *name; /* the file, for messages */
	/* by row of the schema: "demo.yaml:12" of who set it; NULL: the default stands */
	const char **where;
	char        *laid;     /* by row; 1: by config_lay or config_set_if_unset */
	const char  *resolved; /* name of the resolved config among its files, or NULL */
	struct arena arena;    /* owns every text and list, and the two above */
};

/* Overrides are "key.path=value"; lists and rows are written as YAML (rollout.stop=["\n", "."]),
 * texts as they are. On an error nothing is owned. */
int config_load(const struct schema *s, const char *path, const char *const *overrides, int n,
                struct config *out);
struct config_text { /* of a config; `name` stands for it in messages */
	const char *name, *text;
	size_t      n;
};
int  config_parse(const struct schema *s, const struct config_text *t, const char *const *overrides,
                  int n, struct config *out);
void config_free(struct config *c); /* one that is all zero, too */

/* ---- what is set ----  A path below must be one of the schema, a table one of its tables. */

int config_is_set(const struct config *c, const char *path);

/* As in `where`, or "default". */
const char *config_where(const struct config *c, const char *path);

/* ERR_INPUT unless one of the paths (NULL ends them) has another value than its default:
 * "data.train or data.generate must be given". */
int config_require(const struct config *c, const char *const *paths);

/* ERR_INPUT where both have another value than their default. */
int config_not_both(const struct config *c, const char *a, const char *b);

/* Writes whether a condition of schema.h holds, such as "loss.beta!=0"; NULL always does.
 * ERR_MEMORY: then nothing is known. */
int config_when_holds(const struct config *c, const char *when, int *holds);

const void *config_room(const struct config *c, const struct option_table *table); /* its struct */

/* Copies the fields that somebody set, or that have a default, over those of a struct of the
 * table. */
void config_take(const struct config *c, const struct option_table *table, void *to);

/* ---- setting afterwards, in the name of `who` ("algorithm dapo") ----
 *
 * Call config_check when done: it finds options that now nothing reads, refuses those that the user
 * set and takes back those that were laid. */

int config_set(struct config *c, const char *who, const char *path, const char *value);
int config_unset(struct config *c, const char *path); /* its default again */

/* Only where nobody has set it and it is read: so defaults are laid under what the user wrote. */
int config_set_if_unset(struct config *c, const char *who, const char *path, const char *value);

/* The same for all options of a table that have no default, from a struct of the table. */
int config_lay(struct config *c, const char *who, const struct option_table *table,
               const void *from);

int config_check(struct config *c);

/* ---- the resolved config ---- */

int config_resolved(const struct config *c, struct text *out); /* YAML */

/* ADDS the options in which `now` differs from `then`, one "key: then -> now" a line, only those
 * that a resumed run may not change; returns the number of lines. */
int config_differences(const struct config *then, const struct config *now, struct text *out);

#endif
