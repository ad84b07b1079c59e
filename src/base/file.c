#include "base/file.h"

#include "base/error.h"
#include "base/stop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

/* ---- calls that a signal may interrupt ---- */

/* Signals come one by one: a hundred in a row, and not a byte moved, are no signals. */
enum { INTERRUPTIONS_MAX = 100 };

static int again(int *interruptions)
{
	return errno == EINTR && ++*interruptions < INTERRUPTIONS_MAX;
}

static int open_at(int folder, const char *path, int flags)
{
	int interruptions = 0, fd;

	do
		fd = openat(folder, path, flags | O_CLOEXEC, 0666);
	while (fd < 0 && again(&interruptions));
	return fd;
}

ssize_t file_get(int fd, void *out, size_t n)
{
	int     interruptions = 0;
	ssize_t got;

	do
		got = read(fd, out, n);
	while (got < 0 && again(&interruptions));
	stop_progress();
	return got;
}

static int put_all(int fd, const char *p, size_t n)
{
	int interruptions = 0;

	while (n) {
		ssize_t put = write(fd, p, n);
		if (put < 0 && again(&interruptions))
			continue;
		if (put <= 0) {
			errno = put < 0 ? errno : EIO;
			return -1;
		}
		p += put;
		n -= (size_t)put;
		interruptions = 0;
		stop_progress();
	}
	return 0;
}

/* What is written has been synced before: an interrupted close has closed, too. */
static int close_written(int fd)
{
	return close(fd) && errno != EINTR ? -1 : 0;
}

static int sync_fd(int fd)
{
	int interruptions = 0, status;

	do
		status = fsync(fd);
	while (status && again(&interruptions));
	return status;
}

/* ---- reading ---- */

int file_open(const char *path, int *fd, uint64_t *size)
{
	struct stat st;
	int         status;

	/* a pipe without a writer would keep us waiting */
	*fd = open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
	if (*fd < 0)
		return error_system(path, "open it");
	if (fstat(*fd, &st)) {
		status = error_system(path, "look at it");
	} else if (!S_ISREG(st.st_mode)) {
		status = error_set(ERR_INPUT, "%s: not a regular file", path);
	} else {
		*size = (uint64_t)st.st_size;
		return OK;
	}
	close(*fd);
	*fd = -1;
	return status;
}

int file_get_all(const char *path, int fd, void *out, size_t n)
{
	char *p = out;

	while (n) {
		ssize_t got = file_get(fd, p, n);
		if (got < 0)
			return error_system(path, "read it");
		if (got == 0)
			return error_set(ERR_INPUT,
			                 "%s: cannot read it to its end: it became shorter", path);
		p += got;
		n -= (size_t)got;
	}
	return OK;
}

int file_read(const char *path, size_t max, struct bytes *out)
{
	uint64_t n;
	int      fd, status = OK;

	*out = (struct bytes){0};
	TRY(file_open(path, &fd, &n));
	if (n > max)
		status = error_set(ERR_INPUT,
		                   "%s: %zu bytes, more than the %zu that such a file may have",
		                   path, (size_t)n, max);
	if (status == OK)
		status = mem_take((size_t)n + 1, path, &out->data);
	if (status == OK)
		status = file_get_all(path, fd, out->data, (size_t)n);
	close(fd);
	if (status == OK)
		out->n = (size_t)n;
	else
		bytes_free(out);
	return status;
}

int file_head(const char *path, size_t max, char *out, size_t *n)
{
	uint64_t size;
	int      fd, status;

	TRY(file_open(path, &fd, &size));
	*n = size < max ? (size_t)size : max;
	status = file_get_all(path, fd, out, *n);
	close(fd);
	return status;
}

void bytes_free(struct bytes *b)
{
	mem_free(b->data);
	*b = (struct bytes){0};
}

int file_exists(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0;
}

int file_there(const char *path, int *there)
{
	struct stat st;

	*there = stat(path, &st) == 0;
	return *there || errno == ENOENT || errno == ENOTDIR ? OK
	                                                     : error_system(path, "look at it");
}

int file_is_link(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

int file_is_folder(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int file_size(const char *path, uint64_t *out)
{
	struct stat st;

	if (stat(path, &st))
		return error_system(path, "look at it");
	*out = (uint64_t)st.st_size;
	return OK;
}

int file_crc32(const char *path, uint64_t *size, uint32_t *crc)
{
	unsigned char buffer[1 << 13];
	uLong         sum = crc32(0, NULL, 0);
	uint64_t      total = 0, expected;
	ssize_t       got;
	int           fd, status = OK;

	TRY(file_open(path, &fd, &expected));
	while ((got = file_get(fd, buffer, sizeof buffer)) > 0) {
		sum = crc32(sum, buffer, (uInt)got);
		total += (uint64_t)got;
	}
	if (got < 0)
		status = error_system(path, "read it");
	close(fd);
	*size = total;
	*crc = (uint32_t)sum;
	return status;
}

int file_free_bytes(const char *path, uint64_t *out)
{
	struct statvfs st;

	if (statvfs(path, &st))
		return error_system(path, "ask how much room is there");
	/* one that knows no sizes says 0 of 0 */
	*out = st.f_blocks ? (uint64_t)st.f_bavail * st.f_frsize : UINT64_MAX;
	return OK;
}

/* ---- writing ---- */

int file_sync(const char *path)
{
	int fd = open_at(AT_FDCWD, path, O_RDONLY), status = OK;

	if (fd < 0)
		return error_system(path, "open it");
	if (sync_fd(fd))
		status = error_system(path, "sync it to disk");
	close(fd);
	return status;
}

/* The folder that holds `path`, into a buffer of `size` bytes. */
static void folder_of(const char *path, char *out, size_t size)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		snprintf(out, size, ".");
	else
		snprintf(out, size, "%.*s", (int)(slash == path ? 1 : slash - path), path);
}

/* So that a new name in it survives a power loss. A folder that may not be read, and a file system
 * that syncs none, must not stop the work. */
static int sync_folder_of(const char *path)
{
	char folder[FILE_PATH_MAX];
	int  status;

	folder_of(path, folder, sizeof folder);
	status = file_sync(folder);
	return status != OK && (error_cause() == EACCES || error_cause() == EINVAL ||
	                        error_cause() == EOPNOTSUPP)
	               ? OK
	               : status;
}

static void temporary_of(const struct file_out *f, char *out, size_t size)
{
	snprintf(out, size, "%s.part", f->path);
}

static _Thread_local struct {
	int      on;
	uint64_t bytes;
} rehearsal;

void file_rehearse(void)
{
	rehearsal.on = 1;
	rehearsal.bytes = 0;
}

int file_rehearses(void)
{
	return rehearsal.on;
}

uint64_t file_rehearsed(void)
{
	rehearsal.on = 0;
	return rehearsal.bytes;
}

/* A new file always: what lies under the temporary name, a link perhaps, is taken off and not
 * written through. */
int file_begin(const char *path, struct file_out *f)
{
	char temporary[FILE_PATH_MAX + 8];

	if (strlen(path) >= sizeof f->path)
		return error_set(ERR_INPUT, "%.80s...: the path is too long", path);
	snprintf(f->path, sizeof f->path, "%s", path);
	f->fd = -1;
	if (rehearsal.on)
		return OK;
	temporary_of(f, temporary, sizeof temporary);
	f->fd = open_at(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
	if (f->fd < 0 && errno == EEXIST && unlink(temporary) == 0)
		f->fd = open_at(AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
	return f->fd < 0 ? error_system(path, "create it") : OK;
}

int file_add(struct file_out *f, const void *data, size_t n)
{
	if (rehearsal.on) {
		rehearsal.bytes += n;
		return OK;
	}
	return put_all(f->fd, data, n) ? error_system(f->path, "write it") : OK;
}

int file_finish(struct file_out *f, int status)
{
	char temporary[FILE_PATH_MAX + 8];

	if (rehearsal.on) {
		rehearsal.bytes = (rehearsal.bytes + FILE_BLOCK - 1) / FILE_BLOCK * FILE_BLOCK;
		return status;
	}
	temporary_of(f, temporary, sizeof temporary);
	if (status == OK && sync_fd(f->fd))
		status = error_system(f->path, "write it");
	if (close_written(f->fd) && status == OK)
		status = error_system(f->path, "write it");
	if (status == OK && rename(temporary, f->path))
		status = error_system(f->path, "write it");
	if (status == OK)
		return sync_folder_of(f->path);
	unlink(temporary);
	return status;
}

int file_write(const char *path, const void *data, size_t n)
{
	struct file_out f;

	TRY(file_begin(path, &f));
	return file_finish(&f, file_add(&f, data, n));
}

int file_append(const char *path, const void *data, size_t n)
{
	int fd = open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND), status = OK;

	if (fd < 0)
		return error_system(path, "open it");
	if (put_all(fd, data, n))
		status = error_system(path, "write it");
	if (close_written(fd) && status == OK)
		status = error_system(path, "write it");
	return status;
}

int file_write_gzip(const char *path, const void *data, size_t n)
{
	z_stream       z = {0};
	uLong          bound;
	unsigned char *out;
	int            status;

	if (n > UINT32_MAX)
		return error_set(ERR_INPUT, "%s: %zu bytes are too many for one gzip block", path,
		                 n);
	/* +16: gzip header, with no time in it */
	if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return error_memory("packing %s", path);
	bound = deflateBound(&z, (uLong)n);
	status = mem_take(bound, path, &out);
	if (status == OK) {
		z.next_in = (unsigned char *)(uintptr_t)data;
		z.avail_in = (uInt)n;
		z.next_out = out;
		z.avail_out = (uInt)bound;
		status = deflate(&z, Z_FINISH) == Z_STREAM_END
		                 ? file_write(path, out, z.total_out)
		                 : error_set(ERR_FAILED, "%s: zlib failed", path);
	}
	deflateEnd(&z);
	mem_free(out);
	return status;
}

int file_truncate(const char *path, uint64_t size)
{
	uint64_t now;

	TRY(file_size(path, &now));
	if (now < size)
		return error_set(ERR_INPUT, "%s: %llu bytes cannot be cut to %llu", path,
		                 (unsigned long long)now, (unsigned long long)size);
	if (now > size && truncate(path, (off_t)size))
		return error_system(path, "cut it back");
	return now > size ? file_sync(path) : OK;
}

/* ---- folders ---- */

int file_make_folders(const char *path)
{
	char partial[4096];

	if (rehearsal.on)
		return OK;
	if (strlen(path) >= sizeof partial)
		return error_set(ERR_INPUT, "%.80s...: the path is too long", path);
	snprintf(partial, sizeof partial, "%s", path);
	for (char *p = partial + 1;; p++) {
		char end = *p;
		if (end != '/' && end != 0)
			continue;
		*p = 0;
		if (mkdir(partial, 0777) == 0)
			TRY(sync_folder_of(partial));
		else if (errno != EEXIST || !file_is_folder(partial))
			return error_system(partial, "make the folder");
		if (!end)
			return OK;
		*p = '/';
	}
}

int file_lock(const char *folder, int *lock)
{
	int fd = open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY);

	*lock = 0;
	if (fd < 0)
		return error_system(folder, "open it");
	if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		close(fd);
		return error_set(
		        ERR_INPUT,
		        "%s: another process is at work there; wait for it, or name another folder",
		        folder);
	}
	*lock = fd; /* a file system that knows no locks must not stop the work */
	return OK;
}

void file_unlock(int *lock)
{
	if (*lock > 0)
		close(*lock);
	*lock = 0;
}

static int remove_at(int folder, const char *name, const char *path);

/* Removes what is in an open folder; `path` stands in messages. Takes fd over. */
static int remove_entries(int fd, const char *path)
{
	DIR           *d = fdopendir(fd);
	struct dirent *entry;
	int            status = OK;

	if (!d) {
		status = error_system(path, "open the folder");
		close(fd);
		return status;
	}
	while (status == OK && (errno = 0, entry = readdir(d))) {
		char inner[FILE_PATH_MAX];
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
		status = remove_at(fd, entry->d_name, inner);
	}
	if (status == OK && errno)
		status = error_system(path, "read the folder");
	closedir(d);
	return status;
}

/* Removes one name of an open folder: a folder with all that is in it, anything else, links among
 * them, as it stands there. Nothing is reached by a path of more than one name, so that no link can
 * lead elsewhere, not even one that is put there meanwhile. */
static int remove_at(int folder, const char *name, const char *path)
{
	int fd = open_at(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

	if (fd >= 0)
		TRY(remove_entries(fd, path));
	else if (errno == ENOENT)
		return OK;
	else if (errno != ENOTDIR && errno != ELOOP)
		return error_system(path, "open the folder");
	return unlinkat(folder, name, fd >= 0 ? AT_REMOVEDIR : 0) ? error_system(path, "remove it")
	                                                          : OK;
}

int file_remove_folder(const char *path)
{
	char   name[FILE_PATH_MAX];
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/') /* "link/" would be what the link leads to */
		n--;
	if (n >= sizeof name)
		return error_set(ERR_INPUT, "%.80s...: the path is too long", path);
	snprintf(name, sizeof name, "%.*s", (int)n, path);
	return remove_at(AT_FDCWD, name, name);
}

int file_path_text(struct arena *a, const char *folder, const char *name, void *out)
{
	size_t n = strlen(folder);

	return arena_print_text(a, out, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/",
	                        name);
}
