#include "run/rank_lines.h"

#include "base/error.h"
#include "base/ranks.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct rank_lines {
	FILE       *to;
	struct text line; /* begun */
};

static ssize_t rank_lines_write(void *cookie, const char *data, size_t n)
{
	struct rank_lines *l = cookie;
	const char        *end;

	for (size_t at = 0; at < n; at += (size_t)(end - data) - at) {
		const char *newline = memchr(data + at, '\n', n - at);
		end = newline ? newline + 1 : data + n;
		text_add(&l->line, data + at, (size_t)(end - data) - at);
		if (!newline || l->line.failed)
			continue;
		fprintf(l->to, "[%d] %.*s", ranks_number(), (int)l->line.n, l->line.data);
		fflush(l->to);
		l->line.n = 0;
	}
	return (ssize_t)n;
}

static int rank_lines_close(void *cookie)
{
	struct rank_lines *l = cookie;

	text_free(&l->line);
	free(l);
	return 0;
}

int rank_lines_open(FILE *to, FILE **out)
{
	const cookie_io_functions_t how = {.write = rank_lines_write, .close = rank_lines_close};
	struct rank_lines          *l = calloc(1, sizeof *l);

	if (!l)
		return error_memory("the lines of a rank");
	l->to = to;
	*out = fopencookie(l, "w", how);
	if (!*out) {
		free(l);
		return error_memory("the lines of a rank");
	}
	setvbuf(*out, NULL, _IOLBF, 0);
	return OK;
}
