/* shim_disk.c - a library that stands between a program and the system (LD_PRELOAD): it writes down
 * what the program does to the files below a folder, or lets one of the calls fail.
 *
 *     DISK_ROOT      the folder, as an absolute path; what is elsewhere is let through
 *     DISK_JOURNAL   each change and each sync is added to this file as a record
 *                    (tests/disk_model.h reads it)
 *     DISK_CALLS     at the end, the number of calls that could have failed goes into this file
 *     DISK_FAIL_AT   the n-th call (from 1) fails, and those behind it: DISK_FAIL_FOR in all
 *                    (default 1, 0: for ever)
 *     DISK_ERRNO     with this errno
 *     DISK_MEMORY    if set, allocations of aligned memory are counted and fail in the place of
 *                    calls
 *     DISK_FREE      what statvfs says is free, in bytes
 *
 * Below the root fsync only says that it has synced: the power that fails is not the machine's, and
 * waiting for a real disk takes most of the time of a test.
 *
 * It takes the calls that the program uses (src/base/file.c), not all there are; test_durable.c
 * checks that the journal leads to the same files as the run did. */
#include "disk_record.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FD_MAX = 1024 };

static char          root[PATH_MAX];
static int           journal = -1, fail_errno, in_memory;
static long          calls, fail_at, fail_for;
static unsigned char below[FD_MAX]; /* whether this descriptor is of a file below the root */

static long number(const char *name, long standard)
{
	const char *value = getenv(name);

	return value && *value ? atol(value) : standard;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("DISK_JOURNAL");

	snprintf(root, sizeof root, "%s", getenv("DISK_ROOT") ? getenv("DISK_ROOT") : "/nowhere");
	if (path)
		journal = (int)syscall(SYS_openat, AT_FDCWD, path,
		                       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	fail_at = number("DISK_FAIL_AT", 0);
	fail_for = number("DISK_FAIL_FOR", 1);
	fail_errno = (int)number("DISK_ERRNO", EIO);
	in_memory = getenv("DISK_MEMORY") != NULL;
}

__attribute__((destructor)) static void end(void)
{
	char text[32];
	int  n = snprintf(text, sizeof text, "%ld\n", calls), fd;

	if (!getenv("DISK_CALLS"))
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, getenv("DISK_CALLS"), O_WRONLY | O_CREAT | O_TRUNC,
	                  0666);
	if (syscall(SYS_write, fd, text, n) != n)
		_exit(99);
}

/* ---- paths ---- */

static const char *path_of(int fd, char *out)
{
	char    link[64];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, out, PATH_MAX - 1);
	out[n > 0 ? n : 0] = 0;
	return out;
}

static void absolute(int folder, const char *path, char *out)
{
	char base[PATH_MAX];

	if (*path == '/')
		snprintf(out, PATH_MAX, "%s", path);
	else if (folder == AT_FDCWD)
		snprintf(out, PATH_MAX, "%.2000s/%.2000s", getcwd(base, sizeof base) ? base : "",
		         path);
	else
		snprintf(out, PATH_MAX, "%.2000s/%.2000s", path_of(folder, base), path);
}

static int is_below(const char *path)
{
	size_t n = strlen(root);

	return !strncmp(path, root, n) && (path[n] == '/' || path[n] == 0);
}

static int known(int fd)
{
	return fd >= 0 && fd < FD_MAX && below[fd];
}

/* ---- failing and recording ---- */

static int count_and_fail(void)
{
	calls++;
	if (!fail_at || calls < fail_at || (fail_for && calls >= fail_at + fail_for))
		return 0;
	errno = fail_errno;
	return 1;
}

static int must_fail(void)
{
	return !in_memory && count_and_fail();
}

static void record(char what, const char *path, const char *to, long at, const void *data, size_t n)
{
	struct disk_record r = {what, (uint32_t)strlen(path) + 1, (uint32_t)strlen(to) + 1,
	                        (uint64_t)at, n};

	if (journal < 0)
		return;
	if (syscall(SYS_write, journal, &r, sizeof r) < 0 ||
	    syscall(SYS_write, journal, path, r.n_path) < 0 ||
	    syscall(SYS_write, journal, to, r.n_to) < 0 ||
	    (n && syscall(SYS_write, journal, data, n) < 0))
		_exit(99);
}

/* ---- the calls ---- */

int openat(int folder, const char *path, int flags, ...)
{
	char        full[PATH_MAX];
	va_list     args;
	int         mode, fd, was;
	struct stat st;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	absolute(folder, path, full);
	if (is_below(full) && must_fail())
		return -1;
	was = syscall(SYS_newfstatat, AT_FDCWD, full, &st, 0) == 0;
	fd = (int)syscall(SYS_openat, folder, path, flags, mode);
	if (fd >= 0 && fd < FD_MAX)
		below[fd] = (unsigned char)is_below(full);
	if (known(fd) && flags & O_CREAT && !was)
		record(DISK_CREATE, full, "", 0, NULL, 0);
	else if (known(fd) && flags & O_TRUNC)
		record(DISK_TRUNCATE, full, "", 0, NULL, 0);
	return fd;
}

int close(int fd)
{
	int failed = known(fd) && must_fail(), status;

	if (fd >= 0 && fd < FD_MAX)
		below[fd] = 0;
	status = (int)syscall(SYS_close, fd);
	if (failed)
		errno = fail_errno;
	return failed ? -1 : status;
}

DIR *opendir(const char *path)
{
	char full[PATH_MAX];
	int  fd;

	absolute(AT_FDCWD, path, full);
	if (is_below(full) && must_fail())
		return NULL;
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd >= 0 && fd < FD_MAX)
		below[fd] = (unsigned char)is_below(full);
	return fd < 0 ? NULL : fdopendir(fd);
}

struct dirent *readdir(DIR *d)
{
	static struct dirent *(*next)(DIR *);

	if (!next)
		*(void **)(void *)&next = dlsym(RTLD_NEXT, "readdir");
	return known(dirfd(d)) && must_fail() ? NULL : next(d);
}

ssize_t read(int fd, void *p, size_t n)
{
	return known(fd) && must_fail() ? -1 : syscall(SYS_read, fd, p, n);
}

ssize_t write(int fd, const void *p, size_t n)
{
	char    full[PATH_MAX];
	long    at;
	ssize_t put;

	if (!known(fd))
		return syscall(SYS_write, fd, p, n);
	if (must_fail())
		return -1;
	at = syscall(SYS_lseek, fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
	put = syscall(SYS_write, fd, p, n);
	if (put > 0)
		record(DISK_WRITE, path_of(fd, full), "", at, p, (size_t)put);
	return put;
}

int fsync(int fd)
{
	char full[PATH_MAX];

	if (!known(fd))
		return (int)syscall(SYS_fsync, fd);
	if (must_fail())
		return -1;
	record(DISK_SYNC, path_of(fd, full), "", 0, NULL, 0);
	return 0;
}

int truncate(const char *path, off_t size)
{
	char full[PATH_MAX];
	int  status;

	absolute(AT_FDCWD, path, full);
	if (is_below(full) && must_fail())
		return -1;
	status = (int)syscall(SYS_truncate, path, size);
	if (status == 0 && is_below(full))
		record(DISK_TRUNCATE, full, "", size, NULL, 0);
	return status;
}

int rename(const char *from, const char *to)
{
	char full[PATH_MAX], target[PATH_MAX];
	int  status;

	absolute(AT_FDCWD, from, full);
	absolute(AT_FDCWD, to, target);
	if (is_below(full) && must_fail())
		return -1;
	status = (int)syscall(SYS_rename, from, to);
	if (status == 0 && is_below(full))
		record(DISK_RENAME, full, target, 0, NULL, 0);
	return status;
}

int unlinkat(int folder, const char *path, int flags)
{
	char full[PATH_MAX];
	int  status;

	absolute(folder, path, full);
	if (is_below(full) && must_fail())
		return -1;
	status = (int)syscall(SYS_unlinkat, folder, path, flags);
	if (status == 0 && is_below(full))
		record(DISK_REMOVE, full, "", 0, NULL, 0);
	return status;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int mkdir(const char *path, mode_t mode)
{
	char full[PATH_MAX];
	int  status;

	absolute(AT_FDCWD, path, full);
	if (is_below(full) && must_fail())
		return -1;
	status = (int)syscall(SYS_mkdir, path, mode);
	if (status == 0 && is_below(full))
		record(DISK_FOLDER, full, "", 0, NULL, 0);
	return status;
}

static int look(const char *path, struct stat *out, int flags)
{
	char full[PATH_MAX];

	absolute(AT_FDCWD, path, full);
	return is_below(full) && must_fail()
	               ? -1
	               : (int)syscall(SYS_newfstatat, AT_FDCWD, path, out, flags);
}

int stat(const char *path, struct stat *out)
{
	return look(path, out, 0);
}

int lstat(const char *path, struct stat *out)
{
	return look(path, out, AT_SYMLINK_NOFOLLOW);
}

void *aligned_alloc(size_t alignment, size_t n)
{
	static void *(*next)(size_t, size_t);

	if (!next)
		*(void **)(void *)&next = dlsym(RTLD_NEXT, "aligned_alloc");
	return in_memory && count_and_fail() ? NULL : next(alignment, n);
}

int statvfs(const char *path, struct statvfs *out)
{
	static int (*next)(const char *, struct statvfs *);
	char full[PATH_MAX];

	if (!next)
		*(void **)(void *)&next = dlsym(RTLD_NEXT, "statvfs");
	absolute(AT_FDCWD, path, full);
	if (is_below(full) && must_fail())
		return -1;
	if (next(path, out))
		return -1;
	if (is_below(full) && getenv("DISK_FREE")) {
		out->f_frsize = 1;
		out->f_bavail = (fsblkcnt_t)atoll(getenv("DISK_FREE"));
	}
	return 0;
}
