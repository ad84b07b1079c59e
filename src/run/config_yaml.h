/* config_yaml.h - YAML text to a small tree, bounded before anything is built.
 *
 * Only the part of YAML that a config needs: one document of maps, lists and scalars. Anchors,
 * aliases, tags, directives, a second document, duplicate keys, keys of more than YAML_KEY_MAX
 * bytes, NUL bytes and depth beyond YAML_DEPTH_MAX are refused with file and line. Scalars stay
 * text: what `1e-6`, `yes` or `010` mean is decided by the type of the option they are given to
 * (value.h), not by YAML's guesses. What is accepted is read as YAML 1.2 reads it; where libyaml is
 * more generous, what it lets pass is refused here. */
#ifndef RUN_CONFIG_YAML_H
#define RUN_CONFIG_YAML_H

#include "base/file.h"
#include "base/memory.h"

enum { YAML_BYTES_MAX = 1 << 20, YAML_DEPTH_MAX = 16, YAML_NODES_MAX = 20000, YAML_KEY_MAX = 128 };

enum yaml_kind { YAML_TEXT, YAML_MAP, YAML_LIST };

struct yaml_node {
	enum yaml_kind kind;
	/* "configs/demo.yaml:12", the line of its key or, in a list, its own; for messages */
	const char *where;
	const char *key;  /* of the map this node stands in, or NULL */
	const char *text; /* YAML_TEXT */
	/* YAML_TEXT without quotes: may be a number, a truth value or null */
	int               plain;
	struct yaml_node *first, *next; /* children in order; the next sibling */
};

/* Everything in `a`. `name` stands in messages ("configs/demo.yaml"). An empty document gives an
 * empty map. */
int yaml_parse(const char *name, const char *text, size_t n, struct arena *a,
               struct yaml_node **out);

/* ADDS a text in double quotes, with escapes for what YAML may not hold as it is or would take for
 * the end of a line. */
void yaml_quote(const char *s, struct text *out);

/* ADDS a tree as YAML on one line, such as the command line takes for lists. */
void yaml_flow(const struct yaml_node *node, struct text *out);

const char *yaml_kind_name(enum yaml_kind kind); /* "a list" */

#endif
