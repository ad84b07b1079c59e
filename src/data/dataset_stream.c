#include "data/dataset_stream.h"

#include "base/error.h"
#include "data/dataset_parts.h"

#include <ctype.h>
#include <string.h>

/* ---- how the file is laid out ---- */

/* Follows one byte of JSON: whether it lies in a text, and how many brackets are open. */
struct stream_place {
	int in_text, escaped, depth;
};

static void stream_follow(struct stream_place *p, char c)
{
	if (p->in_text) {
		p->in_text = p->escaped || c != '"';
		p->escaped = !p->escaped && c == '\\';
	} else {
		p->in_text = c == '"';
		p->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
	}
}

/* A first line that ends inside an object, but in none of its texts, is the beginning of an object
 * over several lines. A list is a list. */
static enum dataset_layout stream_layout(const char *head, size_t n)
{
	struct stream_place p = {0};
	size_t              i = 0;

	while (i < n && isspace((unsigned char)head[i]))
		i++;
	if (i < n && head[i] == '[')
		return DATASET_LIST;
	for (; i < n && head[i] != '\n'; i++)
		stream_follow(&p, head[i]);
	return i < n && head[i] == '\n' && p.depth > 0 && !p.in_text && n > i + 1 ? DATASET_OBJECTS
	                                                                          : DATASET_LINES;
}

int dataset_stream_open(const char *path, struct dataset_stream *s)
{
	const char *head;
	size_t      n;
	int         status;

	*s = (struct dataset_stream){.path = path, .line = 1};
	TRY(lines_open(path, DATASET_LINE_MAX, &s->in));
	status = lines_head(s->in, &head, &n);
	if (status == OK)
		status = dataset_refuse_foreign(path, head, n);
	if (status == OK)
		s->layout = stream_layout(head, n);
	else
		dataset_stream_close(s);
	return status;
}

void dataset_stream_close(struct dataset_stream *s)
{
	lines_close(s->in);
	text_free(&s->row);
	s->in = NULL;
}

/* ---- objects over several lines ---- */

/* The byte at hand, or -1 at the end. */
static int stream_peek(struct dataset_stream *s, int *c)
{
	if (s->at == s->n_piece) {
		TRY(lines_piece(s->in, &s->piece, &s->n_piece));
		s->at = 0;
	}
	*c = s->n_piece ? (unsigned char)s->piece[s->at] : -1;
	return OK;
}

static void stream_take(struct dataset_stream *s)
{
	s->line += s->piece[s->at++] == '\n';
}

static int stream_skip_blank(struct dataset_stream *s, int *c)
{
	for (;;) {
		TRY(stream_peek(s, c));
		if (*c < 0 || !isspace(*c))
			return OK;
		stream_take(s);
	}
}

/* The object that begins here goes into s->row, whole: up to the bracket that closes it. */
static int stream_object(struct dataset_stream *s)
{
	struct stream_place p = {0};
	size_t              begins = s->line;

	s->row.n = 0;
	do {
		int  c;
		char byte;
		TRY(stream_peek(s, &c));
		if (c < 0)
			return error_set(ERR_INPUT,
			                 "%s:%zu: the object that begins here does not end; is the "
			                 "file cut off?",
			                 s->path, begins);
		if (c == '\n' && p.in_text)
			return error_set(ERR_INPUT,
			                 "%s:%zu: not valid JSON: a text does not end on its line",
			                 s->path, s->line);
		if (s->row.n == DATASET_LINE_MAX)
			return error_set(ERR_INPUT,
			                 "%s:%zu: the row that begins here is longer than %d bytes",
			                 s->path, begins, DATASET_LINE_MAX);
		byte = (char)c;
		stream_follow(&p, byte);
		text_add(&s->row, &byte, 1);
		stream_take(s);
	} while (p.depth > 0);
	return text_status(&s->row);
}

/* What stands between the items of a list; *c is then the first byte of an item, or -1 behind the
 * list. */
static int stream_separator(struct dataset_stream *s, int *c)
{
	int comma = 0;

	TRY(stream_skip_blank(s, c));
	if (!s->begun || (s->number > 0 && *c == ',')) {
		comma = s->begun;
		s->begun = 1; /* the bracket itself */
		stream_take(s);
		TRY(stream_skip_blank(s, c));
	} else if (*c >= 0 && *c != ']') {
		return error_set(
		        ERR_INPUT,
		        "%s:%zu: not valid JSON: a comma is missing between two items of the list",
		        s->path, s->line);
	}
	if (*c < 0)
		return error_set(ERR_INPUT, "%s:%zu: the list does not end; is the file cut off?",
		                 s->path, s->line);
	if (*c != ']' || comma)
		return OK;
	stream_take(s);
	TRY(stream_skip_blank(s, c));
	return *c < 0 ? OK
	              : error_set(ERR_INPUT, "%s:%zu: something stands behind the list", s->path,
	                          s->line);
}

static int stream_next_object(struct dataset_stream *s, int *c)
{
	TRY(s->layout == DATASET_LIST ? stream_separator(s, c) : stream_skip_blank(s, c));
	if (*c >= 0 && *c != '{')
		return error_set(ERR_INPUT,
		                 "%s:%zu: row %zu must be a JSON object, such as {\"prompt\": "
		                 "\"...\", \"answer\": \"...\"}",
		                 s->path, s->line, s->number + 1);
	return OK;
}

/* ---- rows ---- */

static int stream_next_line(struct dataset_stream *s, const char **row, size_t *n)
{
	size_t blank;

	do {
		TRY(lines_next(s->in, row, n));
		for (blank = 0; *row && blank < *n && isspace((unsigned char)(*row)[blank]);
		     blank++)
			;
	} while (*row && blank == *n);
	s->number = s->begins = lines_number(s->in);
	return OK;
}

int dataset_stream_next(struct dataset_stream *s, const char **row, size_t *n)
{
	int c;

	*row = NULL;
	*n = 0;
	if (s->layout == DATASET_LINES)
		return stream_next_line(s, row, n);
	if (s->ended)
		return OK;
	TRY(stream_next_object(s, &c));
	s->ended = c < 0;
	if (s->ended)
		return OK;
	s->begins = s->line;
	TRY(stream_object(s));
	s->number++;
	*row = s->row.data;
	*n = s->row.n;
	return OK;
}
