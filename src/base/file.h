/* file.h - files and folders: read whole, and written so that nothing is ever half written.
 *
 * Reading: every size is known and bounded before memory is taken. Writing: bytes go to a hidden
 * name beside the target, are synced, and take the target's name in one step, so a reader (or a
 * crash, or a power loss) sees the old file or the new one. The name of a new folder is synced,
 * too. Removing: a link is taken off, never followed. Errors name the file; error_cause() tells
 * what the system refused from what is wrong with the content. A call that signals interrupt is
 * made again, a hundred times. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/lines.h"
#include "base/memory.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct bytes {
	char  *data; /* owned; a 0 stands behind the last byte and is not counted */
	size_t n;
};

/* The whole file; refuses more than `max` bytes and anything that is not a regular file. Free with
 * bytes_free. */
int  file_read(const char *path, size_t max, struct bytes *out);
void bytes_free(struct bytes *b);
/* its first bytes, at most max; for telling what it is */
int file_head(const char *path, size_t max, char *out, size_t *n);

/* For readers of their own: a regular file, open; n bytes from where it stands; as read(). */
int     file_open(const char *path, int *fd, uint64_t *size);
int     file_get_all(const char *path, int fd, void *out, size_t n);
ssize_t file_get(int fd, void *out, size_t n);

/* Writes n bytes under a temporary name in the same folder, fsync, rename, fsync of the folder. */
int file_write(const char *path, const void *data, size_t n);

/* The same for a file that comes in pieces:
 *
 *     TRY(file_begin(path, &f));
 *     return file_finish(&f, write_pieces(&f, ...));        calls file_add
 *
 * file_finish takes the status of the work: OK puts the file in place; anything else removes what
 * was written and is returned. */
enum { FILE_PATH_MAX = 4096 };
struct file_out {
	char path[FILE_PATH_MAX];
	int  fd;
};
int file_begin(const char *path, struct file_out *f);
int file_add(struct file_out *f, const void *data, size_t n);
int file_finish(struct file_out *f, int status);
/* Between the two, file_write, file_begin and what calls them write nothing: the bytes are counted,
 * as whole blocks for each file, and folders are not made. So what something will take on the disk
 * is known from the code that writes it. */
enum { FILE_BLOCK = 4096 };
void     file_rehearse(void);
int      file_rehearses(void); /* then data that cost time need not be there, only their length */
uint64_t file_rehearsed(void);

/* Adds n bytes at the end of a file that is there, or makes it; not synced. On error some of them
 * may have arrived: logs know their own length. */
int file_append(const char *path, const void *data, size_t n);
int file_sync(const char *path); /* fsync of a file or folder */
/* cuts a log back, on the disk too; error if it is shorter */
int file_truncate(const char *path, uint64_t size);

/* ERR_INPUT where it cannot be told: then nothing may be begun in its place */
int file_there(const char *path, int *there);
/* anything of that name that can be seen; for what only reads */
int file_exists(const char *path);
int file_is_folder(const char *path);
int file_is_link(const char *path);
int file_size(const char *path, uint64_t *out);
/* zlib's CRC-32 of the whole file */
int file_crc32(const char *path, uint64_t *size, uint32_t *crc);
/* for this user, on the disk of an existing path */
int file_free_bytes(const char *path, uint64_t *out);

int file_make_folders(const char *path); /* mkdir -p; what is new is synced */
/* ERR_INPUT: another process holds it. It ends with the process, or ... */
int  file_lock(const char *folder, int *lock);
void file_unlock(int *lock); /* ... here; a lock of 0 is none */
/* rm -r of a folder, a file or a link; no error when it is not there */
int file_remove_folder(const char *path);
/* *out, a char * or const char *, = "folder/name" */
#define file_path(a, folder, name, out) file_path_text((a), (folder), (name), MEM_TEXT(out))
MEM_CHECKED int file_path_text(struct arena *a, const char *folder, const char *name, void *out);

/* ---- gzip out ---- */
/* as file_write, compressed; same bytes every time */
int file_write_gzip(const char *path, const void *data, size_t n);

#endif
