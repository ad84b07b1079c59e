#include "run/config_yaml.h"

#include "base/error.h"

#include <ctype.h>
#include <string.h>
#include <yaml.h>

struct builder {
	const char       *name, *text; /* [n] */
	size_t            n;
	struct arena     *arena;
	yaml_parser_t     parser;
	struct yaml_node *root;
	/* containers around the current event, outermost first */
	struct yaml_node *open[YAML_DEPTH_MAX];
	struct yaml_node *last[YAML_DEPTH_MAX]; /* their newest children */
	/* [depth] columns of the innermost block around; -1 outside of all */
	int         indent[YAML_DEPTH_MAX + 1];
	int         depth, n_nodes;
	const char *key, *key_where; /* read, and waiting for its value */

	/* Flow collections: how many are open, and where the outermost begins. */
	int    flows;
	size_t flow_at;

	/* Where libyaml's last mark stands: it counts characters, we want bytes. */
	size_t at_index, at;
};

static int config_yaml_refuse(const struct builder *b, int line, const char *what)
{
	return error_set(ERR_INPUT, "%s:%d: %s", b->name, line, what);
}

/* ---- where libyaml is too generous ---- */

static int is_continuation(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

/* Bytes in front of a mark. Marks hardly ever go back, so that all of them together cost one walk
 * through the text. */
static size_t offset_of(struct builder *b, const yaml_mark_t *mark)
{
	for (; b->at_index < mark->index && b->at < b->n; b->at_index++)
		do
			b->at++;
		while (b->at < b->n && is_continuation(b->text[b->at]));
	for (; b->at_index > mark->index && b->at; b->at_index--)
		do
			b->at--;
		while (b->at && is_continuation(b->text[b->at]));
	return b->at;
}

/* Every line that begins within from .. to begins with more spaces than the block around it, but
 * for blank ones, comments and, because so many write them where the block begins, closing
 * brackets. */
static int is_indented(const struct builder *b, size_t from, size_t to)
{
	const char *line = b->text + from, *end = b->text + to;

	while (line < end && (line = memchr(line, '\n', (size_t)(end - line)))) {
		int spaces = 0;
		for (line++; line < end && *line == ' '; line++)
			spaces++;
		if (spaces > b->indent[b->depth] || line == end)
			continue;
		while (line < end && (*line == '\t' || *line == '\r'))
			line++;
		if (line < end && !strchr("\n#]}", *line))
			return 0;
	}
	return 1;
}

/* Behind a quoted text or an outermost flow collection, from .. to. */
static int check_extent(struct builder *b, size_t from, const yaml_mark_t *end)
{
	size_t to = offset_of(b, end);

	if (!is_indented(b, from, to))
		return config_yaml_refuse(b, (int)end->line + 1,
		                          "a line before the end of this is not indented, with "
		                          "spaces, more than what it belongs to");
	if (to < b->n && b->text[to] == '#')
		return config_yaml_refuse(b, (int)end->line + 1,
		                          "a comment needs a space before its #");
	return OK;
}

static int check_scalar(struct builder *b, const yaml_event_t *e, int line)
{
	yaml_scalar_style_t style = e->data.scalar.style;
	size_t              from = offset_of(b, &e->start_mark);

	if (b->flows && from && b->text[from - 1] == '?')
		return config_yaml_refuse(b, line, "put a text that begins with ? in quotes");
	if (style == YAML_PLAIN_SCALAR_STYLE && !strcmp((const char *)e->data.scalar.value, "-"))
		return config_yaml_refuse(
		        b, line, "a - that begins nothing; put it in quotes if it is a text");
	if (b->flows ||
	    (style != YAML_SINGLE_QUOTED_SCALAR_STYLE && style != YAML_DOUBLE_QUOTED_SCALAR_STYLE))
		return OK;
	return check_extent(b, from, &e->end_mark);
}

static void flow_begin(struct builder *b, const yaml_event_t *e)
{
	if (b->flows++ == 0)
		b->flow_at = offset_of(b, &e->start_mark);
}

static int flow_end(struct builder *b, const yaml_event_t *e)
{
	return --b->flows == 0 ? check_extent(b, b->flow_at, &e->end_mark) : OK;
}

/* ---- the tree ---- */

static int key_is_new(const struct builder *b, const char *key)
{
	for (struct yaml_node *c = b->open[b->depth - 1]->first; c; c = c->next)
		if (!strcmp(c->key, key))
			return 0;
	return 1;
}

/* Hangs a node into the innermost open container; a map's scalar that has no key yet becomes the
 * key. */
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
		if (strlen(node->text) > YAML_KEY_MAX)
			return error_set(ERR_INPUT, "%s: a key of more than %d bytes", node->where,
			                 YAML_KEY_MAX);
		if (!key_is_new(b, node->text))
			return error_set(ERR_INPUT,
			                 "%s: the key %s stands here for the second time",
			                 node->where, node->text);
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

/* column: where a block container begins, or negative for a flow collection. */
static int config_yaml_push(struct builder *b, struct yaml_node *node, int column)
{
	if (b->depth == YAML_DEPTH_MAX)
		return error_set(ERR_INPUT, "%s: nested deeper than %d", node->where,
		                 YAML_DEPTH_MAX);
	TRY(attach(b, node));
	b->open[b->depth++] = node;
	b->indent[b->depth] = column >= 0 ? column : b->indent[b->depth - 1];
	return OK;
}

static int node_new(struct builder *b, enum yaml_kind kind, int line, struct yaml_node **out)
{
	if (++b->n_nodes > YAML_NODES_MAX)
		return error_set(ERR_INPUT,
		                 "%s:%d: more than %d values; a config is not the place for data",
		                 b->name, line, YAML_NODES_MAX);
	TRY(arena_take(b->arena, 1, "a value of a config", out));
	(*out)->kind = kind;
	return arena_print(b->arena, &(*out)->where, "%s:%d", b->name, line);
}

static int add_scalar(struct builder *b, const yaml_event_t *e, int line)
{
	const char       *text = (const char *)e->data.scalar.value;
	size_t            n = e->data.scalar.length;
	struct yaml_node *node;

	if (e->data.scalar.anchor || e->data.scalar.tag)
		return config_yaml_refuse(b, line,
		                          "anchors (&) and tags (!) are not used here; put the "
		                          "text in quotes if it begins with one");
	if (memchr(text, 0, n))
		return config_yaml_refuse(b, line, "a text with a NUL byte in it");
	TRY(check_scalar(b, e, line));
	TRY(node_new(b, YAML_TEXT, line, &node));
	TRY(arena_copy(b->arena, text, n, &node->text));
	node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return attach(b, node);
}

static int add_container(struct builder *b, enum yaml_kind kind, const yaml_event_t *e, int marked,
                         int is_flow)
{
	int               line = (int)e->start_mark.line + 1;
	struct yaml_node *node;

	if (marked)
		return config_yaml_refuse(b, line, "anchors (&) and tags (!) are not used here");
	if (is_flow)
		flow_begin(b, e);
	TRY(node_new(b, kind, line, &node));
	return config_yaml_push(b, node, is_flow ? -1 : (int)e->start_mark.column);
}

static int end_container(struct builder *b, const yaml_event_t *e)
{
	b->depth--;
	return b->flows ? flow_end(b, e) : OK; /* within a flow collection all are */
}

static int begin_document(struct builder *b, const yaml_event_t *e)
{
	int line = (int)e->start_mark.line + 1;

	if (e->data.document_start.version_directive ||
	    e->data.document_start.tag_directives.start !=
	            e->data.document_start.tag_directives.end)
		return config_yaml_refuse(b, line, "directives (%) are not used here");
	return b->root ? config_yaml_refuse(b, line, "a second document; a config is one") : OK;
}

static int add_event(struct builder *b, const yaml_event_t *e)
{
	int line = (int)e->start_mark.line + 1;

	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return add_scalar(b, e, line);
	case YAML_MAPPING_START_EVENT:
		return add_container(b, YAML_MAP, e,
		                     e->data.mapping_start.anchor || e->data.mapping_start.tag,
		                     e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE);
	case YAML_SEQUENCE_START_EVENT:
		return add_container(b, YAML_LIST, e,
		                     e->data.sequence_start.anchor || e->data.sequence_start.tag,
		                     e->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return end_container(b, e);
	case YAML_ALIAS_EVENT:
		return config_yaml_refuse(
		        b, line,
		        "aliases (*name) are not used here; write the value out, or use extends");
	case YAML_DOCUMENT_START_EVENT:
		return begin_document(b, e);
	default:
		return OK;
	}
}

static int syntax_error(const struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	int                  line = (int)p->problem_mark.line + 1;

	if (p->error == YAML_MEMORY_ERROR)
		return error_memory("the parser of %s", b->name);
	if (p->error == YAML_READER_ERROR)
		return error_set(ERR_INPUT, "%s: not UTF-8 text: %s at byte %zu", b->name,
		                 p->problem ? p->problem : "bad byte", p->problem_offset);
	return error_set(ERR_INPUT, "%s:%d: not valid YAML: %s%s%s", b->name, line,
	                 p->problem ? p->problem : "", p->context ? " " : "",
	                 p->context ? p->context : "");
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

int yaml_parse(const char *name, const char *text, size_t n, struct arena *a,
               struct yaml_node **out)
{
	struct builder b = {.name = name, .text = text, .n = n, .arena = a, .indent = {-1}};
	int            status;

	*out = NULL;
	if (n > YAML_BYTES_MAX)
		return error_set(ERR_INPUT,
		                 "%s: %zu bytes, more than the %d that a config may have", name, n,
		                 YAML_BYTES_MAX);
	if (!yaml_parser_initialize(&b.parser))
		return error_memory("the parser of %s", name);
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, n);
	status = read_events(&b);
	yaml_parser_delete(&b.parser);
	TRY(status);
	if (!b.root || (b.root->kind == YAML_TEXT && b.root->plain && !*b.root->text))
		TRY(node_new(&b, YAML_MAP, 1, &b.root));
	*out = b.root;
	return OK;
}

/* What YAML may not hold as it is: controls, other line breaks, the byte order mark,
 * non-characters. 0 for anything else. */
static unsigned needs_escape(const unsigned char *s)
{
	unsigned c = s[0] < 0x80             ? s[0]
	             : (s[0] & 0xE0) == 0xC0 ? (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu)
	             : (s[0] & 0xF0) == 0xE0
	                     ? (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu)
	                     : 0x10000;

	return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFEFF ||
	                       c == 0xFFFE || c == 0xFFFF
	               ? c
	               : 0;
}

void yaml_quote(const char *s, struct text *out)
{
	text_add(out, "\"", 1);
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		unsigned escape = needs_escape(p);
		if (escape == '\n')
			text_add(out, "\\n", 2);
		else if (escape)
			text_print(out, "\\u%04X", escape);
		else
			text_print(out, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
		p += !escape || escape < 0x80 ? 1 : escape < 0x800 ? 2 : 3;
	}
	text_add(out, "\"", 1);
}

static int config_yaml_is_word(const char *s)
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
		if (node->plain && config_yaml_is_word(node->text))
			text_add(out, node->text, strlen(node->text));
		else
			yaml_quote(node->text, out);
		return;
	}
	text_add(out, ends, 1);
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		if (child != node->first)
			text_add(out, ", ", 2);
		if (child->key) {
			yaml_quote(child->key, out);
			text_add(out, ": ", 2);
		}
		yaml_flow(child, out);
	}
	text_add(out, ends + 1, 1);
}

const char *yaml_kind_name(enum yaml_kind kind)
{
	static const char *const names[] = {
	        [YAML_TEXT] = "a single value", [YAML_MAP] = "a map", [YAML_LIST] = "a list"};

	return names[kind];
}
