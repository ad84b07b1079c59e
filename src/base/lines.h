/* lines.h - a file line by line, plain or gzip.
 *
 *     struct lines *in;
 *     TRY(lines_open("rows.jsonl.gz", 1 << 20, &in));
 *     while (lines_next(in, &line, &n) == OK && line)
 *             ... line[0..n-1], valid until the next call; lines_number(in) for messages
 *
 * gzip is recognised by its first two bytes, not by the name. A line longer than `max` bytes, a
 * broken gzip stream or a cut one is an error, and so is one that expands beyond 16 MiB and 256
 * times its size: a gzip bomb costs little memory and little time. "\r\n" ends a line as "\n" does;
 * the last line needs no end. A byte order mark of UTF-8 at the start is passed over. */
#ifndef BASE_LINES_H
#define BASE_LINES_H

#include <stddef.h>

struct lines;
/* path "-" is standard input, plain only */
int lines_open(const char *path, size_t max, struct lines **out);
int lines_next(struct lines *in, const char **line, size_t *n); /* *line = NULL at the end */
/* of the line last returned, from 1 */
size_t lines_number(const struct lines *in);
void   lines_close(struct lines *in);

/* The same file without lines: what it begins with, up to 32 KiB and still to be read (n is 0 for
 * an empty file); and the next piece of it, of any size, valid until the next call, n = 0 at the
 * end. */
int lines_head(struct lines *in, const char **bytes, size_t *n);
int lines_piece(struct lines *in, const char **bytes, size_t *n);

#endif
