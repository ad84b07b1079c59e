/* schema.h - the one table of options. Parsing, bounds, --help, docs/options.md and the resolved config all come from it.
 *
 * To add an option: a field in config.h and a row in schema.c. To add one that only one kind reads: give it a `when`. */
#ifndef RUN_SCHEMA_H
#define RUN_SCHEMA_H

#include "base/file.h"

#include <stddef.h>

enum option_type {
	OPTION_INT,    /* int */
	OPTION_REAL,   /* double */
	OPTION_BOOL,   /* int */
	OPTION_TEXT,   /* const char *, never NULL */
	OPTION_CHOICE, /* const char *, one of `choices`; NULL only when unset */
	OPTION_RANGE,  /* struct int_range */
	OPTION_TEXTS,  /* struct text_list; one text stands for a list of one */
	OPTION_ROWS,   /* array and count of structs with a table of their own; one map stands for a list of one */
};

enum { FREE_ON_RESUME = 1 }; /* flag: changes nothing that is learned, so a resumed run may have another value */

struct option {
	const char      *path; /* "optim.learning_rate"; within a row of a list just "name" */
	enum option_type type;
	const char      *standard;    /* the default as one would write it; NULL: unset, the algorithm gives it; REQUIRED within rows */
	double           least, most; /* of numbers, both ends of ranges, bytes of texts, entries of lists */
	const char      *choices;     /* "a|b|c" */
	size_t           offset;      /* in struct config, or in the struct of the row */
	const char      *help;        /* one line */
	const char      *when; /* read only then: "guidance.kind=teacher|hint", "run.eval_steps!=0", "model.path=" (empty); NULL: always.
	                         task.verifiers stands for the names in task.reward, task.rewards and task.eval_reward */
	int              flags;
	const struct option_rows *rows;
};

struct option_rows {
	const struct option *options;
	int                  n;
	size_t               size;  /* of the struct */
	int                  brief; /* a plain text stands for a row that sets its first option alone, and defaults are not printed */
};

#define OPTION_REQUIRED "\001" /* a standard that is none */

extern const struct option schema[];
extern const int           schema_n;

int         schema_find(const char *path);                                      /* row, or -1 */
const char *schema_nearest(const struct option *rows, int n, const char *path); /* the most similar path; NULL when none is similar */

/* Whether `when` holds: `value` gives the text of an option by its path ("a|b" where it has several), NULL when it is unset (then the
 * answer is yes: the algorithm decides). What hangs on an option that is itself not read is not read either. */
int schema_when_holds(const char *when, const char *(*value)(const void *context, const char *path), const void *context);

void options_markdown(struct text *out);               /* docs/options.md */
void options_help(struct text *out, const char *room); /* for a terminal; NULL: all rooms */

#endif
