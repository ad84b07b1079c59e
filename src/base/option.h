/* option.h - what a user may set: a room's table of options over a struct of its own.
 *
 * An option is two edits: a field of the struct and a row of the table. The row says everything
 * else: default, bounds or words, when it is read, help. src/run reads YAML and the command line
 * into the fields, checks, documents and writes down what was used, and knows no room; src/rl lays
 * the tables side by side (job_config.h).
 *
 *     #define HOME struct credit_options                      whose fields these are
 *     #define ROOM "credit."                                  before their names
 *     static const struct option options[] = {
 *             CHOICE(kind, "none", kinds, "how the advantage is spread"),
 *             REAL(k, "1", 0, 100, "how much more they count", .when = "credit.kind=empg"),
 *     };
 *     const struct option_table credit_options_table = OPTION_TABLE(options);
 *
 *     INT, REAL      field, default, least, most, help
 *     BOOL           field, default, help
 *     TEXT, JSON     field, default, least and most bytes, help
 *     TEXTS          field, default, least, most entries, help
 *     RANGE          field, default, least and most of both ends, help
 *     CHOICE         field, default, list of choices, help       the field is an enum or an int
 *     NAMED          field, default, function of names, help     the field is the name itself
 *     ROWS           field, table of a row, most entries, help
 *
 * Any other member of struct option may follow, by its name. The default is what one would write;
 * NULL: unset, and the algorithm's row decides. The path is ROOM and the field; INT_AS(name, field,
 * ...) and its like are for a field that is called otherwise. _Generic refuses, at compile time, a
 * field of another type.
 *
 * A condition says when an option is read:
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
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include <stddef.h>

struct text_list {
	const char **items;
	int          n;
};

struct int_range { /* low <= high; written "2" or "1-3" */
	int low, high;
};

/* The words of an enum, ended by a row without a name. Several words may mean the same; the first
 * is the canonical one, which is printed. */
struct choice {
	const char *name;
	int         value;
	const char *help; /* or NULL */
};
const struct choice *choice_find(const struct choice *list, const char *name); /* or NULL */
const char *choice_name(const struct choice *list, int value); /* the value must be of the list */

enum option_type {
	OPTION_INT,    /* int */
	OPTION_REAL,   /* double */
	OPTION_BOOL,   /* int */
	OPTION_TEXT,   /* const char *, never NULL */
	OPTION_CHOICE, /* enum, or int */
	OPTION_NAMED,  /* const char *, static; NULL only when unset */
	OPTION_RANGE,  /* struct int_range */
	OPTION_TEXTS,  /* struct text_list; one text stands for a list of one */
	OPTION_ROWS,   /* array and count of structs; one map stands for a list of one */
	OPTION_JSON,   /* const char *, never NULL: an object as text, or ""; written as a map */
};

enum option_flag {
	FREE_ON_RESUME = 1, /* changes nothing that is learned, so a resumed run may differ */
	SECOND_NAME = 2     /* of another option, which it becomes when the config is checked */
};

struct option {
	const char      *path; /* "optim.learning_rate"; of a row of a list just "name" */
	enum option_type type;
	size_t           offset; /* in HOME */

	/* as one would write it; OPTION_REQUIRED in rows; NULL: unset */
	const char *standard;

	double least, most; /* of numbers, ends of ranges, bytes of texts, entries of lists */
	double tiny;        /* a real number nearer to 0, and not 0, is refused; 0: OPTION_TINY */

	const struct choice *choices;
	const char *(*names)(int i); /* NULL past the last */

	const struct option_table *rows;

	const char *help;  /* one line */
	const char *when;  /* read only where this holds; NULL: always */
	int         flags; /* of enum option_flag */
};

struct option_table {
	const struct option *options; /* [n] */
	int                  n;
	size_t               size; /* of HOME */
	/* of a row: a text stands for one whose first option is set alone, and defaults are not
	 * printed */
	int brief;
};

#define OPTION_REQUIRED "\001" /* a standard that is none */
#define OPTION_TINY 1e-30      /* such numbers lose themselves in floats: 1e-300 is 0 there */

size_t      option_size(const struct option *o);        /* of its field */
const char *option_word(const struct option *o, int i); /* word i of choices or names, or NULL */

/* ---- how a table is written ---- */

/* clang-format off */
#define OPTION_TABLE(...) OPTION_TABLE_OF(__VA_ARGS__, )
#define OPTION_TABLE_OF(rows_, ...) \
	{.options = rows_, .n = sizeof rows_ / sizeof *rows_, .size = sizeof(HOME), __VA_ARGS__}
#define OPTION_PLACE(field, type) offsetof(HOME, field) + _Generic(((HOME *)0)->field, type: 0)
#define OPTION_ROW(kind, ctype, name, field, standard_, help_, ...) \
	{ \
		.path = ROOM name, .type = kind, .standard = standard_, .offset = OPTION_PLACE(field, ctype), \
		.help = help_, __VA_ARGS__ \
	}
#define OPTION_BOUNDED(kind, ctype, name, field, standard_, least_, most_, help_, ...) \
	OPTION_ROW(kind, ctype, name, field, standard_, help_, .least = least_, .most = most_, __VA_ARGS__)

#define INT_AS(name, ...) OPTION_BOUNDED(OPTION_INT, int, name, __VA_ARGS__, )
#define REAL_AS(name, ...) OPTION_BOUNDED(OPTION_REAL, double, name, __VA_ARGS__, )
#define TEXT_AS(name, ...) OPTION_BOUNDED(OPTION_TEXT, const char *, name, __VA_ARGS__, )
#define RANGE_AS(name, ...) OPTION_BOUNDED(OPTION_RANGE, struct int_range, name, __VA_ARGS__, )
#define BOOL_AS(name, ...) OPTION_ROW(OPTION_BOOL, int, name, __VA_ARGS__, )
#define CHOICE_AS(name, field, standard_, choices_, help_, ...) \
	{ \
		.path = ROOM name, .type = OPTION_CHOICE, .standard = standard_, .choices = choices_, \
		.offset = offsetof(HOME, field) + _Generic(((HOME *)0)->field, int: 0, unsigned: 0), \
		.help = help_, __VA_ARGS__ \
	}
#define NAMED_AS(name, field, standard_, names_, help_, ...) \
	{ \
		.path = ROOM name, .type = OPTION_NAMED, .standard = standard_, .names = names_, \
		.offset = OPTION_PLACE(field, const char *), .help = help_, __VA_ARGS__ \
	}

#define INT(field, ...) INT_AS(#field, field, __VA_ARGS__)
#define REAL(field, ...) REAL_AS(#field, field, __VA_ARGS__)
#define TEXT(field, ...) TEXT_AS(#field, field, __VA_ARGS__)
#define RANGE(field, ...) RANGE_AS(#field, field, __VA_ARGS__)
#define BOOL(field, ...) BOOL_AS(#field, field, __VA_ARGS__)
#define CHOICE(field, ...) CHOICE_AS(#field, field, __VA_ARGS__)
#define NAMED(field, ...) NAMED_AS(#field, field, __VA_ARGS__)
#define JSON(field, ...) OPTION_BOUNDED(OPTION_JSON, const char *, #field, field, __VA_ARGS__, )
#define TEXTS(field, ...) OPTION_BOUNDED(OPTION_TEXTS, struct text_list, #field, field, __VA_ARGS__, )
#define ROWS(field, rows_, most_, help_) \
	{ \
		.path = ROOM #field, .type = OPTION_ROWS, .standard = "[]", .most = most_, \
		.offset = offsetof(HOME, field), .help = help_, .rows = rows_ \
	}
/* clang-format on */

#endif
