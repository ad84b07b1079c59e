/* schema.h - the one table of options. Parsing, bounds, --help, docs/options.md and the resolved
 * config all come from it.
 *
 * To add an option: a field in config.h and a row in schema.c. To add one that only one kind reads:
 * give it a `when`. */
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
	/* array and count of structs with a table of their own; one map stands for a list of one */
	OPTION_ROWS,
	/* const char *, never NULL: the JSON text of an object, or ""; written as a map, or as
	 * such a text */
	OPTION_JSON,
};

/* flag: changes nothing that is learned, so a resumed run may have another value */
enum { FREE_ON_RESUME = 1 };

struct option {
	const char      *path; /* "optim.learning_rate"; within a row of a list just "name" */
	enum option_type type;
	/* the default as one would write it; NULL: unset, the algorithm gives it; REQUIRED
	 * within rows */
	const char *standard;
	/* of numbers, both ends of ranges, bytes of texts, entries of lists */
	double      least, most;
	const char *choices; /* "a|b|c" */
	size_t      offset;  /* in struct config, or in the struct of the row */
	const char *help;    /* one line */
	/* of a real number: one nearer to 0, and not 0 itself, is refused; 0: OPTION_TINY */
	double tiny;
	/* read only where this condition holds, see below; NULL: always */
	const char               *when;
	int                       flags;
	const struct option_rows *rows;
};

struct option_rows {
	const struct option *options;
	int                  n;
	size_t               size; /* of the struct */
	/* a plain text stands for a row that sets its first option alone, and defaults are not
	 * printed */
	int brief;
};

#define OPTION_REQUIRED "\001" /* a standard that is none */
/* such numbers lose themselves in floats: 1e-300 is 0 there, and its inverse is infinite */
#define OPTION_TINY 1e-30

extern const struct option schema[];
extern const int           schema_n;

int schema_find(const char *path); /* row, or -1 */

/* The most similar path: of the room that the path names, of any where it names none; NULL when
 * none is similar. */
const char *schema_nearest(const struct option *rows, int n, const char *path);

/* An option of any room that is called as the path's last word; or NULL. */
const char *schema_elsewhere(const char *path);

/* ---- conditions ----
 *
 *     when       = all " or " all ...           one of them holds
 *     all        = comparison " and " ...       each of them holds
 *     comparison = PATH=a|b  or  PATH!=a|b      the option's value, as it is printed, is one of the
 *                                               words (none of them)
 *
 * "guidance.kind=guide", "model.path=" (empty), "data.eval!=[] or data.eval_generate!=[]",
 * "loss.beta!=0 and loss.kl_placement=loss". The path task.verifiers stands for all verifiers that
 * the config names. What hangs on an option that is itself not read is not read either. An option
 * that is unset makes its comparison true: the algorithm has yet to decide. */
/* the value as text, "a|b" for several; NULL: unset */
typedef const char *option_lookup(const void *context, const char *path);

int schema_when_holds(const char *when, option_lookup *value, const void *context);

void options_markdown(struct text *out);               /* docs/options.md */
void options_help(struct text *out, const char *room); /* for a terminal; NULL: all rooms */

#endif
