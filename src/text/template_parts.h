/* template_parts.h - what the files of the template interpreter share.
 *
 *     template.c            runs a tree
 *     template_filter.c     filters
 *     template_method.c     methods of texts, lists and mappings; x.y and x[y]
 *     template_call.c       arguments, tests, functions
 *     template_operator.c   + - * / // % ~, == < in ...
 *     template_value.c      values: from JSON, truth, equality, text, items
 *     template_run.c        errors, and the bounds of a run
 *
 *     template_parse.c      text -> tree of nodes
 *
 * A file calls only files below it. template_parse.c and template.c call themselves, because an
 * expression holds expressions and a body holds statements.
 *
 * Nodes live in the template's arena, values in the run's; nothing is freed on its own. Texts carry
 * their length. */
#ifndef TEXT_TEMPLATE_PARTS_H
#define TEXT_TEMPLATE_PARTS_H

#include "base/error.h"
#include "text/template.h"

#include <stdarg.h>

/* ---- values ---- */

enum value_kind {
	V_UNDEFINED,
	V_NONE,
	V_BOOL,
	V_INT,
	V_REAL,
	V_TEXT,
	V_LIST,
	V_MAP,
	V_NAMESPACE,
	V_METHOD,
	V_FUNCTION,
	V_MACRO
};

struct value {
	enum value_kind kind;
	size_t          n; /* bytes of a text, items of a list */
	union {
		int64_t             i; /* also of a bool */
		double              x;
		const char         *text;
		const struct value *items; /* [n] */
		struct map         *map;
		struct method      *method;
		struct macro       *macro;
		const char         *name; /* of a function, of what is undefined */
	} as;
};

struct map {                         /* in order of insertion */
	struct value *keys, *values; /* [n] */
	size_t        n, capacity;
};

struct method { /* bound */
	struct value self;
	const char  *name;
};

struct macro {
	const struct template_node *node;
	struct scope               *scope; /* in which it was defined */
};

/* ---- nodes ---- */

enum template_node_kind {
	N_CONST,
	N_NAME,
	N_ATTRIBUTE,
	N_ITEM,
	N_SLICE,
	N_CALL,
	N_FILTER,
	N_TEST,
	N_NEGATE,
	N_PLUS,
	N_NOT,
	N_AND,
	N_OR,
	N_IF_ELSE,
	N_BINARY,
	N_COMPARE,
	N_LIST,
	N_MAP,
	N_PRINT,
	N_IF,
	N_FOR,
	N_SET,
	N_CAPTURE, /* what a body renders to */
	N_MACRO,
	N_CALL_BLOCK,
	N_BREAK,
	N_CONTINUE
};

enum operator{
	OP_ADD,
	OP_SUBTRACT,
	OP_MULTIPLY,
	OP_DIVIDE,
	OP_FLOOR,
	OP_MODULO,
	OP_JOIN,
	OP_EQUAL,
	OP_UNEQUAL,
	OP_LESS,
	OP_LESS_EQUAL,
	OP_GREATER,
	OP_GREATER_EQUAL,
	OP_IN,
	OP_NOT_IN
};

struct template_node {
	enum template_node_kind kind;
	int                     line;
	enum                    operator op;
	struct value            value;     /* N_CONST */
	const char             *name;      /* of a variable, attribute, filter, test, macro */
	struct template_node   *a, *b, *c; /* operands */
	/* arguments, elements, targets, keys and values in turn; linked by next */
	struct template_node *list;
	struct template_node *body, *other; /* of a statement, linked by next */
	const char           *keyword;      /* of an argument given by name */
	int                   star;         /* *list: an argument that is a list of arguments */
	/* of a macro: bits of the special names that its body uses */
	unsigned              specials;
	struct template_node *next;
};

enum { SPECIAL_CALLER = 1, SPECIAL_VARARGS = 2, SPECIAL_KWARGS = 4 };

struct template
{
	struct arena          arena;
	struct template_node *body;
};

/* ---- a run ---- */

struct scope {
	struct scope *parent;
	struct map    variables;
};

struct template_run {
	struct arena  arena;
	struct scope *scope;
	struct text  *out; /* of the block at hand */
	int64_t       now;
	size_t        bytes;
	/* jump: N_BREAK or N_CONTINUE on its way to the loop, or 0 */
	int steps, depth, line, jump;
};

/* Sets an error that names a line of the template; in a run, the current one. ERR_INPUT. */
int template_error_at(int line, const char *format, va_list list)
        __attribute__((format(printf, 2, 0)));
int template_error(const struct template_run *r, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Count the work and the memory of a run; an error past the bound. */
int template_steps(struct template_run *r, size_t n);
int template_bytes(struct template_run *r, size_t n);

/* ---- template_value.c ---- */

struct value template_bool(int truth);
struct value template_int(int64_t i);
struct value template_constant(const char *text); /* of a literal in C */

int         template_from_json(struct template_run *r, const json_t *j, struct value *out);
int         template_truth(const struct value *v);
int         template_is_number(const struct value *v); /* a truth value is one */
double      template_real_of(const struct value *v);   /* of a number */
const char *template_kind_name(const struct value *v);
int         template_copy_text(struct template_run *r, const char *s, size_t n, struct value *out);
/* frees *t */
int template_take_text(struct template_run *r, struct text *t, struct value *out);

int template_equal(struct template_run *r, const struct value *a, const struct value *b, int *out);
int template_less(struct template_run *r, const struct value *a, const struct value *b, int *out);
int template_contains(struct template_run *r, const struct value *whole, const struct value *part,
                      int *out);

/* as Python's str or, quoted, repr */
int template_print(struct template_run *r, const struct value *v, int quoted, struct text *out);
int template_to_text(struct template_run *r, const struct value *v, struct value *out);

struct template_json {                    /* as Python's json.dumps */
	int          indent;              /* < 0: one line */
	int          ascii, sort_keys;    /* other characters as \uXXXX; mappings by their keys */
	struct value between, behind_key; /* texts */
};
int template_to_json(struct template_run *r, const struct template_json *how, const struct value *v,
                     struct text *out);

struct template_builder { /* of a list */
	struct value *items;
	size_t        n, capacity;
};
int          template_add_item(struct template_run *r, struct template_builder *b, struct value v);
struct value template_built(const struct template_builder *b);

/* Writes order [n]: the positions of the keys in ascending order (reverse: descending). Equal keys
 * keep their order, as in Python's sorted. */
int template_sort(struct template_run *r, const struct value *keys, size_t n, int reverse,
                  size_t *order);

/* The elements of a list, the characters of a text, the keys of a mapping; none for an undefined
 * value. Anything else is an error. */
int template_items(struct template_run *r, const struct value *v, const struct value **items,
                   size_t *n);
int template_length(const struct value *v, size_t *n); /* 0 when it has none */
int template_is_iterable(const struct value *v);

int template_slice(struct template_run *r, const struct value *v, const struct value *from,
                   const struct value *to, const struct value *step, struct value *out);

/* or NULL */
struct value *template_map_find(struct template_run *r, const struct map *m,
                                const struct value *key);
struct value *template_map_find_name(const struct map *m, const char *name);
int template_map_put(struct template_run *r, struct map *m, struct value key, struct value value);

/* The length in bytes of the white space character at s, by Python's idea of white space; 0 when
 * there is none. */
size_t template_space(const char *s, size_t n);

/* ---- template_operator.c ---- */

int template_binary(struct template_run *r, enum operator op, const struct value *a,
                    const struct value *b, struct value *out);
int template_negate(struct template_run *r, const struct value *v, struct value *out);
int template_compare(struct template_run *r, enum operator op, const struct value *a,
                     const struct value *b, int *out);

/* ---- template_call.c ---- */

enum { ARGUMENTS_MAX = 16 };
struct arguments {
	struct value values[ARGUMENTS_MAX];
	const char  *names[ARGUMENTS_MAX]; /* NULL: by position; those come first */
	int          n, n_positional;
};

struct template_signature { /* what a function, method or filter takes */
	/* how many arguments it needs, and how many it takes by position; with most =
	 * ARGUMENTS_MAX, named arguments are by name only */
	int least, most;
	/* the names by position, as "width first blank"; "*": no name; NULL: any name */
	const char *names;
};

/* A wrong number of arguments, an unknown one and one given twice are errors that name `what`. */
int template_check_arguments(struct template_run *r, const char *what, const struct arguments *a,
                             const struct template_signature *s);

/* The argument at this position or with this name; NULL when it was not given. position < 0: by
 * name only. */
const struct value *template_argument(const struct arguments *a, int position, const char *name);
struct template_whole { /* an argument that must be a whole number from low to high */
	int         position;
	const char *name;
	int64_t     low, high;
};
/* *out is as it was when the argument is missing or none */
int template_integer_argument(struct template_run *r, const struct arguments *a,
                              const struct template_whole *w, int64_t *out);
int template_text_argument(struct template_run *r, const struct arguments *a, int position,
                           const char          *name,
                           const struct value **out); /* NULL when it is missing or none */
int template_needed_text(struct template_run *r, const struct arguments *a, int position,
                         const char *name, const struct value **out);
/* 0 when it is missing */
int template_flag(const struct arguments *a, int position, const char *name);

int template_call_test(struct template_run *r, const char *name, const struct value *v,
                       const struct arguments *a, int *out);
int template_call_function(struct template_run *r, const char *name, const struct arguments *a,
                           struct value *out);
int template_call_is_function(const struct template_run *r, const char *name);

/* ---- template_method.c ---- */

enum letter_case { UPPER, LOWER, CAPITALIZED, TITLE_WORDS, TITLE_LETTERS };

int template_strip(struct template_run *r, const struct value *v, const struct value *chars,
                   int left, int right, struct value *out);
int template_change_case(struct template_run *r, const struct value *v, enum letter_case how,
                         struct value *out);
/* old, new, count */
int template_replace(struct template_run *r, const struct value *v, const struct arguments *a,
                     struct value *out);
int template_join(struct template_run *r, const struct value *list, const struct value *between,
                  struct value *out);
/* [[key, value], ...] */
int template_pairs(struct template_run *r, const struct map *m, struct value *out);
int template_splitlines(struct template_run *r, const struct value *v, int keep, struct value *out);

/* V_UNDEFINED when there is none. */
int template_attribute(struct template_run *r, const struct value *v, const char *name,
                       struct value *out);
int template_item(struct template_run *r, const struct value *v, const struct value *key,
                  struct value *out);
int template_call_method(struct template_run *r, const struct method *m, const struct arguments *a,
                         struct value *out);

/* ---- template_filter.c ---- */

int template_call_filter(struct template_run *r, const char *name, const struct value *v,
                         const struct arguments *a, struct value *out);

#endif
