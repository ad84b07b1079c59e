/* template_parts.h - what the files of the template interpreter share.
 *
 *     template_parse.c    text -> tree of nodes
 *     template_value.c    values: from JSON, truth, equality, text, items
 *     template_call.c     filters, tests, methods, functions
 *     template.c          runs a tree
 *
 * Nodes live in the arena of the template, values in that of the run; nothing is freed one by one. Texts carry their length. */
#ifndef MODEL_TEMPLATE_PARTS_H
#define MODEL_TEMPLATE_PARTS_H

#include "base/error.h"
#include "model/template.h"

/* ---- values ---- */

enum value_kind { V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_REAL, V_TEXT, V_LIST, V_MAP, V_NAMESPACE, V_METHOD, V_FUNCTION, V_MACRO };

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
	const struct node *node;
	struct scope      *scope; /* in which it was defined */
};

/* ---- nodes ---- */

enum node_kind {
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
	N_SET_BLOCK,
	N_MACRO,
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

struct node {
	enum node_kind kind;
	int            line;
	enum           operator op;
	struct value   value;        /* N_CONST */
	const char    *name;         /* of a variable, attribute, filter, test, macro */
	struct node   *a, *b, *c;    /* operands */
	struct node   *list;         /* arguments, elements, targets, keys and values in turn; linked by next */
	struct node   *body, *other; /* of a statement, linked by next */
	const char    *keyword;      /* of an argument given by name */
	int            star;         /* an argument that stands for a list of them */
	struct node   *next;
};

struct template
{
	struct arena arena;
	struct node *body;
};

/* ---- a run ---- */

struct scope {
	struct scope *parent;
	struct map    variables;
};

struct run {
	struct arena  arena;
	struct scope *scope;
	struct text  *out; /* of the block at hand */
	int64_t       now;
	size_t        bytes;
	int           steps, depth, line, jump; /* jump: N_BREAK or N_CONTINUE on its way to the loop, or 0 */
};

/* Fails with the line of the template at hand. */
int template_error(const struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Counts work; an error when there was too much. */
int template_steps(struct run *r, size_t n);
int template_bytes(struct run *r, size_t n);

/* ---- template_value.c ---- */

struct value template_bool(int truth);
struct value template_int(int64_t i);
struct value template_constant(const char *text); /* of a literal in C */

int         template_from_json(struct run *r, const json_t *j, struct value *out);
int         template_truth(const struct value *v);
const char *template_kind_name(const struct value *v);
int         template_copy_text(struct run *r, const char *s, size_t n, struct value *out);
int         template_take_text(struct run *r, struct text *t, struct value *out); /* frees *t */

int template_equal(struct run *r, const struct value *a, const struct value *b, int *out);
int template_less(struct run *r, const struct value *a, const struct value *b, int *out);
int template_contains(struct run *r, const struct value *whole, const struct value *part, int *out);

int template_print(struct run *r, const struct value *v, int quoted, struct text *out); /* as Python's str or, quoted, repr */
int template_to_text(struct run *r, const struct value *v, struct value *out);
int template_json(struct run *r, const struct value *v, int indent, int level, struct text *out); /* indent < 0: one line */

/* The elements of a list, characters of a text, keys of a mapping, nothing of what is undefined; an error for others. */
int template_items(struct run *r, const struct value *v, const struct value **items, size_t *n);
int template_length(const struct value *v, size_t *n); /* 0 when it has none */
int template_is_iterable(const struct value *v);

/* V_UNDEFINED when there is none. */
int template_attribute(struct run *r, const struct value *v, const char *name, struct value *out);
int template_item(struct run *r, const struct value *v, const struct value *key, struct value *out);
int template_slice(struct run *r, const struct value *v, const struct value *from, const struct value *to, const struct value *step,
                   struct value *out);

struct value *template_map_find(struct run *r, const struct map *m, const struct value *key); /* or NULL */
struct value *template_map_find_name(const struct map *m, const char *name);
int           template_map_put(struct run *r, struct map *m, struct value key, struct value value);

/* Python's idea of white space; the bytes of the character at s (0: not one). */
size_t template_space(const char *s, size_t n);

/* ---- template_call.c ---- */

enum { ARGUMENTS_MAX = 16 };
struct arguments {
	struct value values[ARGUMENTS_MAX];
	const char  *names[ARGUMENTS_MAX]; /* NULL: by position; those come first */
	int          n, n_positional;
};

/* The argument at this position or of this name; NULL when it was not given. position < 0: by name only. */
const struct value *template_argument(const struct arguments *a, int position, const char *name);

int template_call_filter(struct run *r, const char *name, const struct value *v, const struct arguments *a, struct value *out);
int template_call_test(struct run *r, const char *name, const struct value *v, const struct arguments *a, int *out);
int template_call_method(struct run *r, const struct method *m, const struct arguments *a, struct value *out);
int template_call_function(struct run *r, const char *name, const struct arguments *a, struct value *out);
int template_call_is_function(const struct run *r, const char *name);
int template_call_is_method(enum value_kind kind, const char *name);

#endif
