/* file.h - reading files whole or line by line, and writing them so that nothing is ever half written.
 *
 * Reading: every size is known and bounded before memory is taken.
 * Writing: bytes go to a hidden name beside the target, are synced, and take the target's name in one step, so a reader (or a
 * crash) sees the old file or the new one. Errors name the file. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/memory.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct bytes {
	char  *data; /* owned; a 0 stands behind the last byte and is not counted */
	size_t n;
};

/* The whole file; refuses more than `max` bytes and anything that is not a regular file. Free with bytes_free. */
int  file_read(const char *path, size_t max, struct bytes *out);
void bytes_free(struct bytes *b);
int  file_head(const char *path, size_t max, char *out, size_t *n); /* its first bytes, at most max; for telling what it is */

/* Writes n bytes under a temporary name in the same folder, fsync, rename, fsync of the folder. */
int file_write(const char *path, const void *data, size_t n);

/* The same for a file that comes in pieces:
 *
 *     TRY(file_begin(path, &f));
 *     return file_finish(&f, write_pieces(&f, ...));        calls file_add
 *
 * file_finish takes the status of the work: OK puts the file in place; anything else removes what was written and is returned. */
enum { FILE_PATH_MAX = 4096 };
struct file_out {
	char path[FILE_PATH_MAX];
	int  fd;
};
int file_begin(const char *path, struct file_out *f);
int file_add(struct file_out *f, const void *data, size_t n);
int file_finish(struct file_out *f, int status);
/* Adds n bytes at the end of a file that is there, or makes it. On error some of them may have arrived: logs know their own length. */
int file_append(const char *path, const void *data, size_t n);

int   file_exists(const char *path); /* anything of that name */
int   file_is_folder(const char *path);
int   file_size(const char *path, uint64_t *out);
int   file_make_folders(const char *path);      /* mkdir -p */
int   file_lock(const char *folder, int *lock); /* ERR_INPUT: another process holds it. It ends with the process, or ... */
void  file_unlock(int *lock);                   /* ... here; a lock of 0 is none */
int   file_remove_folder(const char *path);     /* rm -r; no error when it is not there */
int   file_sync(const char *path);              /* fsync of a file or folder */
int   file_crc32(const char *path, uint64_t *size, uint32_t *crc);      /* zlib's CRC-32 of the whole file */
int   file_truncate(const char *path, uint64_t size);                   /* cuts a log back; error if it is shorter */
char *file_join(struct arena *a, const char *folder, const char *name); /* "folder/name"; NULL when memory is short */

/* ---- lines, from plain or gzip files ----
 *
 *     struct lines *in;
 *     TRY(lines_open("rows.jsonl.gz", 1 << 20, &in));
 *     while (lines_next(in, &line, &n) == OK && line)
 *             ... line[0..n-1], valid until the next call; lines_number(in) for messages
 *
 * gzip is recognised by its first two bytes, not by the name. A line longer than `max` bytes, a broken gzip stream or a cut one is an
 * error, and so is one that expands beyond 16 MiB and 256 times its size: a gzip bomb costs little memory and little time. "\r\n" ends a line as "\n" does; the last line needs no end. */
struct lines;
int    lines_open(const char *path, size_t max, struct lines **out); /* path "-" is standard input, plain only */
int    lines_next(struct lines *in, const char **line, size_t *n);   /* *line = NULL at the end */
size_t lines_number(const struct lines *in);                         /* of the line last returned, from 1 */
void   lines_close(struct lines *in);

/* ---- gzip out ---- */
int file_write_gzip(const char *path, const void *data, size_t n); /* as file_write, compressed; same bytes every time */

/* ---- text that grows ---- */
struct text {
	char  *data; /* owned; a 0 stands behind the last byte once anything was added; NULL when empty */
	size_t n, capacity;
	int    failed; /* an allocation failed: the text is incomplete; check once at the end with text_status */
};
void text_add(struct text *t, const char *s, size_t n);
void text_print(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
int  text_status(const struct text *t);                  /* OK, or the error of the allocation that failed */
int  text_write(const struct text *t, const char *path); /* as file_write; an incomplete text is not written */
void text_free(struct text *t);

#endif
