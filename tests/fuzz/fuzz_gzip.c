/* Lines of plain and gzip files: all members or an error, the same lines as from the text that zlib
 * gives for each member. */
#include "fuzz.h"

#include <zlib.h>

enum { EXPANDED_MAX = 1 << 17, LINE_MAX_HERE = 1 << 12 };

/* Every member with zlib alone, then nothing but zeros. 0 when the bytes are anything else. */
static int expand(const uint8_t *data, size_t n, struct text *out)
{
	static char buffer[1 << 13];
	z_stream    z = {0};
	int         code = Z_OK, whole = 0;

	PROMISE(inflateInit2(&z, 15 + 16) == Z_OK);
	z.next_in = (unsigned char *)(uintptr_t)data;
	z.avail_in = (uInt)n;
	while (code == Z_OK && out->n < EXPANDED_MAX) {
		z.next_out = (unsigned char *)buffer;
		z.avail_out = sizeof buffer;
		code = inflate(&z, Z_NO_FLUSH);
		text_add(out, buffer, sizeof buffer - z.avail_out);
		whole = code == Z_STREAM_END;
		if (whole) {
			while (z.avail_in && *z.next_in == 0)
				z.next_in++, z.avail_in--;
			code = z.avail_in ? inflateReset(&z) : Z_STREAM_END;
		}
	}
	inflateEnd(&z);
	return whole && code == Z_STREAM_END;
}

static size_t next_line(const struct text *t, size_t at, size_t *n)
{
	const char *end = memchr(t->data + at, '\n', t->n - at);

	*n = end ? (size_t)(end - t->data) - at : t->n - at;
	at += *n + (end != NULL);
	return at;
}

/* A byte order mark at the start is no part of the first line. */
static size_t mark_of(const struct text *t)
{
	return t->n >= 3 && !memcmp(t->data, "\xEF\xBB\xBF", 3) ? 3 : 0;
}

/* Lines from the file, and, if `want` is not NULL, compared with those of the text. */
static int read_lines(const char *path, const struct text *want)
{
	struct lines *in;
	const char   *line;
	size_t        n, m, at = want ? mark_of(want) : 0;
	int           status = lines_open(path, LINE_MAX_HERE, &in);

	while (status == OK && (status = lines_next(in, &line, &n)) == OK && line) {
		PROMISE(n <= LINE_MAX_HERE && line[n] == 0);
		if (want) {
			const char *start = want->data + at;
			PROMISE(at < want->n);
			at = next_line(want, at, &m);
			m -= m && start[m - 1] == '\r';
			PROMISE(m == n && !memcmp(line, start, n));
		}
	}
	if (status == OK)
		PROMISE(!want || at == want->n);
	lines_close(in);
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char        *path = fuzz_file(0, data, n);
	static struct text t; /* keeps its room */
	int                whole, gzip = n >= 2 && data[0] == 0x1f && data[1] == 0x8b;

	t.n = 0;
	if (!gzip)
		text_add(&t, (const char *)data, n);
	whole = gzip ? expand(data, n, &t) : 1;
	if (t.n < EXPANDED_MAX) {
		/* the mark is looked for in what a first call of zlib gives, which may be less */
		int comparable = whole && !(gzip && mark_of(&t));
		if (read_lines(path, comparable ? &t : NULL) == OK)
			PROMISE(whole);
		else
			PROMISE(strstr(error_message(), path));
	}
	return 0;
}
