#include "run/config_yaml.h"

#include "base/error.h"
#include "base/json.h"

#include <ctype.h>
#include <string.h>
#include <yaml.h>

struct builder {
	const char       *name;
	struct arena     *arena;
	yaml_parser_t     parser;
	struct yaml_node *root;
	struct yaml_node *open[YAML_DEPTH_MAX]; /* containers around the current event, outermost first */
	struct yaml_node *last[YAML_DEPTH_MAX]; /* their newest children */
	int               depth, n_nodes;
	const char       *key, *key_where; /* read, and waiting for its value */
};

static int refuse(const struct builder *b, int line, const char *what)
{
	return error_set(ERR_INPUT, "%s:%d: %s", b->name, line, what);
}

static int key_is_new(const struct builder *b, const char *key)
{
	for (struct yaml_node *c = b->open[b->depth - 1]->first; c; c = c->next)
		if (!strcmp(c->key, key))
			return 0;
	return 1;
}

/* Hangs a node into the innermost open container; a map's scalar that has no key yet becomes the key. */
static int attach(struct builder *b, struct yaml_node *node)
{
	struct yaml_node *parent = b->depth ? b->open[b->depth - 1] : NULL;

	if (!parent) {
		b->root = node;
		return OK;
	}
	if (parent->kind == YAML_MAP && !b->key) {
		if (node->kind != YAML_TEXT)
			return error_set(ERR_INPUT, "%s: a key must be a text", node->where);
		if (!key_is_new(b, node->text))
			return error_set(ERR_INPUT, "%s: the key %s stands here for the second time", node->where, node->text);
		b->key = node->text;
		b->key_where = node->where;
		return OK;
	}
	node->key = b->key;
	if (b->key)
		node->where = b->key_where;
	b->key = NULL;
	*(parent->first ? &b->last[b->depth - 1]->next : &parent->first) = node;
	b->last[b->depth - 1] = node;
	return OK;
}

static int push(struct builder *b, struct yaml_node *node)
{
	if (b->depth == YAML_DEPTH_MAX)
		return error_set(ERR_INPUT, "%s: nested deeper than %d", node->where, YAML_DEPTH_MAX);
	TRY(attach(b, node));
	b->open[b->depth++] = node;
	return OK;
}

static struct yaml_node *node_new(struct builder *b, enum yaml_kind kind, int line)
{
	struct yaml_node *node;

	if (++b->n_nodes > YAML_NODES_MAX) {
		error_set(ERR_INPUT, "%s:%d: more than %d values; a config is not the place for data", b->name, line, YAML_NODES_MAX);
		return NULL;
	}
	node = arena_alloc(b->arena, 1, sizeof *node);
	if (!node)
		return NULL;
	node->kind = kind;
	node->where = arena_format(b->arena, "%s:%d", b->name, line);
	return node->where ? node : NULL;
}

static int add_scalar(struct builder *b, const yaml_event_t *e, int line)
{
	const char       *text = (const char *)e->data.scalar.value;
	size_t            n = e->data.scalar.length;
	struct yaml_node *node;

	if (e->data.scalar.anchor || e->data.scalar.tag)
		return refuse(b, line, "anchors (&) and tags (!) are not used here; put the text in quotes if it begins with one");
	if (memchr(text, 0, n))
		return refuse(b, line, "a text with a NUL byte in it");
	node = node_new(b, YAML_TEXT, line);
	if (!node)
		return ERR_INPUT;
	node->text = arena_text(b->arena, text, n);
	node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return node->text ? attach(b, node) : ERR_INPUT;
}

static int add_container(struct builder *b, enum yaml_kind kind, const yaml_char_t *anchor, const yaml_char_t *tag, int line)
{
	struct yaml_node *node;

	if (anchor || tag)
		return refuse(b, line, "anchors (&) and tags (!) are not used here");
	node = node_new(b, kind, line);
	return node ? push(b, node) : ERR_INPUT;
}

static int add_event(struct builder *b, const yaml_event_t *e)
{
	int line = (int)e->start_mark.line + 1;

	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return add_scalar(b, e, line);
	case YAML_MAPPING_START_EVENT:
		return add_container(b, YAML_MAP, e->data.mapping_start.anchor, e->data.mapping_start.tag, line);
	case YAML_SEQUENCE_START_EVENT:
		return add_container(b, YAML_LIST, e->data.sequence_start.anchor, e->data.sequence_start.tag, line);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		b->depth--;
		return OK;
	case YAML_ALIAS_EVENT:
		return refuse(b, line, "aliases (*name) are not used here; write the value out, or use extends");
	case YAML_DOCUMENT_START_EVENT:
		return b->root ? refuse(b, line, "a second document; a config is one") : OK;
	default:
		return OK;
	}
}

static int syntax_error(const struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	int                  line = (int)p->problem_mark.line + 1;

	if (p->error == YAML_READER_ERROR)
		return error_set(ERR_INPUT, "%s: not UTF-8 text: %s at byte %zu", b->name, p->problem ? p->problem : "bad byte",
		                 p->problem_offset);
	return error_set(ERR_INPUT, "%s:%d: not valid YAML: %s%s%s", b->name, line, p->problem ? p->problem : "out of memory",
	                 p->context ? " " : "", p->context ? p->context : "");
}

static int read_events(struct builder *b)
{
	for (int at_end = 0; !at_end;) {
		yaml_event_t e;
		int          status;

		if (!yaml_parser_parse(&b->parser, &e))
			return syntax_error(b);
		status = add_event(b, &e);
		at_end = e.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
		TRY(status);
	}
	return OK;
}

int yaml_parse(const char *name, const char *text, size_t n, struct arena *a, struct yaml_node **out)
{
	struct builder b = {.name = name, .arena = a};
	int            status;

	*out = NULL;
	if (n > YAML_BYTES_MAX)
		return error_set(ERR_INPUT, "%s: %zu bytes, more than the %d that a config may have", name, n, YAML_BYTES_MAX);
	if (!yaml_parser_initialize(&b.parser))
		return error_set(ERR_INPUT, "%s: libyaml has no memory", name);
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, n);
	status = read_events(&b);
	yaml_parser_delete(&b.parser);
	TRY(status);
	if (!b.root || (b.root->kind == YAML_TEXT && b.root->plain && !*b.root->text))
		b.root = node_new(&b, YAML_MAP, 1);
	*out = b.root;
	return b.root ? OK : ERR_INPUT;
}

static int is_word(const char *s)
{
	for (const char *c = s; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_.+-/", *c))
			return 0;
	return *s != 0;
}

void yaml_flow(const struct yaml_node *node, struct text *out)
{
	const char *ends = node->kind == YAML_MAP ? "{}" : "[]";

	if (node->kind == YAML_TEXT) {
		if (node->plain && is_word(node->text))
			text_add(out, node->text, strlen(node->text));
		else
			json_add_string(out, node->text, strlen(node->text));
		return;
	}
	text_add(out, ends, 1);
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		if (child != node->first)
			text_add(out, ", ", 2);
		if (child->key) {
			json_add_string(out, child->key, strlen(child->key));
			text_add(out, ": ", 2);
		}
		yaml_flow(child, out);
	}
	text_add(out, ends + 1, 1);
}

const char *yaml_kind_name(enum yaml_kind kind)
{
	static const char *const names[] = {[YAML_TEXT] = "a single value", [YAML_MAP] = "a map", [YAML_LIST] = "a list"};

	return names[kind];
}
