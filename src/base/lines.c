#include "base/lines.h"

#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* Text shrinks to a tenth or a thirtieth; deflate could go to a thousandth. */
enum { EXPANSION_MAX = 256, EXPANSION_FREE = 16 << 20 };

struct lines {
	char         *path;
	int           fd, gzip, at_end, begun;
	z_stream      z;
	size_t        max, number;
	uint64_t      stored, expanded; /* bytes of gzip so far, and of what it held */
	unsigned char in[1 << 15];      /* bytes as stored */
	size_t        in_n, in_at;
	char          out[1 << 15]; /* bytes after decompression */
	size_t        out_n, out_at;
	char         *line;
	size_t        line_capacity;
};

static int lines_fill_in(struct lines *l)
{
	ssize_t got = file_get(l->fd, l->in, sizeof l->in);

	if (got < 0)
		return error_system(l->path, "read it");
	l->in_n = (size_t)got;
	l->in_at = 0;
	return OK;
}

static int lines_open_fd(struct lines *l)
{
	uint64_t size;

	if (!strcmp(l->path, "-"))
		l->fd = STDIN_FILENO;
	else
		TRY(file_open(l->path, &l->fd, &size));
	TRY(lines_fill_in(l));
	l->gzip = l->fd != STDIN_FILENO && l->in_n >= 2 && l->in[0] == 0x1f && l->in[1] == 0x8b;
	if (l->gzip && inflateInit2(&l->z, 15 + 16) != Z_OK) {
		l->gzip = 0;
		return error_memory("unpacking %s", l->path);
	}
	return OK;
}

int lines_open(const char *path, size_t max, struct lines **out)
{
	struct lines *l;
	int           status;

	*out = NULL;
	TRY(mem_take(1, path, &l));
	l->fd = -1;
	l->max = max;
	status = mem_copy(path, strlen(path), &l->path);
	if (status == OK)
		status = lines_open_fd(l);
	if (status != OK)
		lines_close(l);
	else
		*out = l;
	return status;
}

/* Decompresses until at least one byte comes out, or the stream ends. Members may follow one
 * another (cat a.gz b.gz), with zeros behind each, as writers of whole blocks leave them. */
static int lines_inflate(struct lines *l)
{
	l->z.next_out = (unsigned char *)l->out;
	l->z.avail_out = sizeof l->out;
	while (l->z.avail_out == sizeof l->out) {
		int code;
		if (l->in_at == l->in_n) {
			TRY(lines_fill_in(l));
			if (l->in_n == 0) {
				if (!l->at_end)
					return error_set(ERR_INPUT,
					                 "%s: the gzip stream is cut off; copy the "
					                 "file again",
					                 l->path);
				break;
			}
		}
		if (l->at_end) {
			while (l->in_at < l->in_n && l->in[l->in_at] == 0)
				l->in_at++;
			if (l->in_at == l->in_n)
				continue;
			l->at_end = 0;
			inflateReset(&l->z);
		}
		l->z.next_in = l->in + l->in_at;
		l->z.avail_in = (uInt)(l->in_n - l->in_at);
		code = inflate(&l->z, Z_NO_FLUSH);
		l->stored += l->in_n - l->in_at - l->z.avail_in;
		l->in_at = l->in_n - l->z.avail_in;
		l->at_end = code == Z_STREAM_END;
		if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
			return error_set(ERR_INPUT, "%s: broken gzip stream near line %zu (%s)",
			                 l->path, l->number + 1, l->z.msg ? l->z.msg : "bad data");
	}
	l->out_n = sizeof l->out - l->z.avail_out;
	l->out_at = 0;
	l->expanded += l->out_n;
	if (l->expanded > EXPANSION_FREE && l->expanded / EXPANSION_MAX > l->stored)
		return error_set(ERR_INPUT,
		                 "%s: near line %zu it has grown to more than %d times its size; "
		                 "if it is no gzip bomb, unpack it first",
		                 l->path, l->number, EXPANSION_MAX);
	return OK;
}

static int lines_copy(struct lines *l)
{
	if (l->in_at == l->in_n)
		TRY(lines_fill_in(l));
	memcpy(l->out, l->in + l->in_at, l->in_n - l->in_at);
	l->out_n = l->in_n - l->in_at;
	l->out_at = 0;
	l->in_at = l->in_n;
	return OK;
}

static int lines_fill_out(struct lines *l)
{
	TRY(l->gzip ? lines_inflate(l) : lines_copy(l));
	if (!l->begun && l->out_n >= 3 && !memcmp(l->out, "\xEF\xBB\xBF", 3))
		l->out_at = 3; /* a byte order mark */
	l->begun = 1;
	return OK;
}

static int line_add(struct lines *l, size_t have, const char *p, size_t n)
{
	if (have + n > l->max)
		return error_set(ERR_INPUT, "%s:%zu: the line is longer than %zu bytes", l->path,
		                 l->number, l->max);
	TRY(mem_room(&l->line, &l->line_capacity, have + n + 1, l->path));
	memcpy(l->line + have, p, n);
	l->line[have + n] = 0;
	return OK;
}

int lines_next(struct lines *l, const char **line, size_t *n)
{
	size_t have = 0;
	int    any = 0;

	*line = NULL;
	*n = 0;
	l->number++;
	for (;;) {
		char  *start, *end;
		size_t rest;

		while (l->out_at == l->out_n) {
			TRY(lines_fill_out(l));
			if (l->out_n == 0)
				break;
		}
		if (l->out_n == 0)
			break;
		any = 1;
		start = l->out + l->out_at;
		rest = l->out_n - l->out_at;
		end = memchr(start, '\n', rest);
		TRY(line_add(l, have, start, end ? (size_t)(end - start) : rest));
		have += end ? (size_t)(end - start) : rest;
		l->out_at += end ? (size_t)(end - start) + 1 : rest;
		if (end)
			break;
	}
	if (!any)
		return OK;
	if (have && l->line[have - 1] == '\r')
		l->line[--have] = 0;
	*line = l->line;
	*n = have;
	return OK;
}

int lines_head(struct lines *l, const char **bytes, size_t *n)
{
	if (!l->begun)
		TRY(lines_fill_out(l));
	*bytes = l->out + l->out_at;
	*n = l->out_n - l->out_at;
	return OK;
}

int lines_piece(struct lines *l, const char **bytes, size_t *n)
{
	if (l->out_at == l->out_n)
		TRY(lines_fill_out(l));
	*bytes = l->out + l->out_at;
	*n = l->out_n - l->out_at;
	l->out_at = l->out_n;
	return OK;
}

size_t lines_number(const struct lines *l)
{
	return l->number;
}

void lines_close(struct lines *l)
{
	if (!l)
		return;
	if (l->gzip)
		inflateEnd(&l->z);
	if (l->fd > STDIN_FILENO)
		close(l->fd);
	mem_free(l->path);
	mem_free(l->line);
	mem_free(l);
}
