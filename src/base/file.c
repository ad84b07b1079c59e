#include "base/file.h"

#include "base/error.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static int fail(const char *path, const char *doing)
{
	return error_set(ERR_INPUT, "%s: cannot %s: %s", path, doing, strerror(errno));
}

/* ---- reading ---- */

static int open_regular(const char *path, int *out, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer would keep us waiting */

	*out = fd;
	if (fd < 0)
		return fail(path, "open it");
	if (fstat(fd, st) || !S_ISREG(st->st_mode)) {
		close(fd);
		return error_set(ERR_INPUT, "%s: not a regular file", path);
	}
	return OK;
}

static int read_all(int fd, char *p, size_t n)
{
	while (n) {
		ssize_t got = read(fd, p, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int file_read(const char *path, size_t max, struct bytes *out)
{
	struct stat st;
	int         fd;
	size_t      n;

	*out = (struct bytes){0};
	TRY(open_regular(path, &fd, &st));
	n = (size_t)st.st_size;
	if (n > max) {
		close(fd);
		return error_set(ERR_INPUT, "%s: %zu bytes, more than the %zu that such a file may have", path, n, max);
	}
	out->data = mem_alloc(n + 1, 1, path);
	if (!out->data || read_all(fd, out->data, n)) {
		int status = out->data ? fail(path, "read it to its end") : ERR_INPUT;
		bytes_free(out);
		close(fd);
		return status;
	}
	out->n = n;
	close(fd);
	return OK;
}

int file_head(const char *path, size_t max, char *out, size_t *n)
{
	struct stat st;
	int         fd, bad;

	TRY(open_regular(path, &fd, &st));
	*n = (size_t)st.st_size < max ? (size_t)st.st_size : max;
	bad = read_all(fd, out, *n);
	close(fd);
	return bad ? fail(path, "read it") : OK;
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

int file_is_folder(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int file_size(const char *path, uint64_t *out)
{
	struct stat st;

	if (stat(path, &st))
		return fail(path, "look at it");
	*out = (uint64_t)st.st_size;
	return OK;
}

int file_crc32(const char *path, uint64_t *size, uint32_t *crc)
{
	unsigned char buffer[1 << 16];
	struct stat   st;
	uLong         sum = crc32(0, NULL, 0);
	uint64_t      total = 0;
	ssize_t       got;
	int           fd;

	TRY(open_regular(path, &fd, &st));
	while ((got = read(fd, buffer, sizeof buffer)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			close(fd);
			return fail(path, "read it");
		}
		sum = crc32(sum, buffer, (uInt)got);
		total += (uint64_t)got;
	}
	close(fd);
	*size = total;
	*crc = (uint32_t)sum;
	return OK;
}

/* ---- writing ---- */

int file_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail(path, "open it");
	if (fsync(fd)) {
		close(fd);
		return fail(path, "sync it to disk");
	}
	close(fd);
	return OK;
}

/* The folder that holds `path`, into a buffer of PATH_MAX bytes. */
static void folder_of(const char *path, char *out, size_t size)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		snprintf(out, size, ".");
	else
		snprintf(out, size, "%.*s", (int)(slash == path ? 1 : slash - path), path);
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t put = write(fd, p, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

static void temporary_of(const struct file_out *f, char *out, size_t size)
{
	snprintf(out, size, "%s.part", f->path);
}

int file_begin(const char *path, struct file_out *f)
{
	char temporary[FILE_PATH_MAX + 8];

	if (strlen(path) >= sizeof f->path)
		return error_set(ERR_INPUT, "%.80s...: the path is too long", path);
	snprintf(f->path, sizeof f->path, "%s", path);
	temporary_of(f, temporary, sizeof temporary);
	f->fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return f->fd < 0 ? fail(path, "create it") : OK;
}

int file_add(struct file_out *f, const void *data, size_t n)
{
	return write_all(f->fd, data, n) ? fail(f->path, "write it") : OK;
}

int file_finish(struct file_out *f, int status)
{
	char folder[FILE_PATH_MAX], temporary[FILE_PATH_MAX + 8];

	folder_of(f->path, folder, sizeof folder);
	temporary_of(f, temporary, sizeof temporary);
	if (status == OK && fsync(f->fd))
		status = fail(f->path, "write it");
	if (close(f->fd) && status == OK)
		status = fail(f->path, "write it");
	if (status == OK && rename(temporary, f->path))
		status = fail(f->path, "write it");
	if (status == OK)
		return file_sync(folder);
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
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666), status = OK;

	if (fd < 0)
		return fail(path, "open it");
	if (write_all(fd, data, n))
		status = fail(path, "write it");
	if (close(fd) && status == OK)
		status = fail(path, "write it");
	return status;
}

int file_write_gzip(const char *path, const void *data, size_t n)
{
	z_stream       z = {0};
	uLong          bound;
	unsigned char *out;
	int            status;

	if (n > UINT32_MAX)
		return error_set(ERR_INPUT, "%s: %zu bytes are too many for one gzip block", path, n);
	if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) /* +16: gzip header, with no time in it */
		return error_set(ERR_INPUT, "%s: zlib has no memory", path);
	bound = deflateBound(&z, (uLong)n);
	out = mem_alloc(bound, 1, path);
	if (!out) {
		deflateEnd(&z);
		return ERR_INPUT;
	}
	z.next_in = (unsigned char *)(uintptr_t)data;
	z.avail_in = (uInt)n;
	z.next_out = out;
	z.avail_out = (uInt)bound;
	status =
	        deflate(&z, Z_FINISH) == Z_STREAM_END ? file_write(path, out, z.total_out) : error_set(ERR_FAILED, "%s: zlib failed", path);
	deflateEnd(&z);
	mem_free(out);
	return status;
}

int file_truncate(const char *path, uint64_t size)
{
	uint64_t now;

	TRY(file_size(path, &now));
	if (now < size)
		return error_set(ERR_INPUT, "%s: %llu bytes, but the checkpoint knows of %llu; was it edited?", path,
		                 (unsigned long long)now, (unsigned long long)size);
	if (now > size && truncate(path, (off_t)size))
		return fail(path, "cut it back");
	return OK;
}

int file_make_folders(const char *path)
{
	char partial[4096];

	if (strlen(path) >= sizeof partial)
		return error_set(ERR_INPUT, "%.80s...: the path is too long", path);
	snprintf(partial, sizeof partial, "%s", path);
	for (char *p = partial + 1;; p++) {
		char end = *p;
		if (end != '/' && end != 0)
			continue;
		*p = 0;
		if (mkdir(partial, 0777) && (errno != EEXIST || !file_is_folder(partial)))
			return fail(partial, "make the folder");
		if (!end)
			return OK;
		*p = '/';
	}
}

int file_lock(const char *folder, int *lock)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*lock = 0;
	if (fd < 0)
		return fail(folder, "open it");
	if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		close(fd);
		return error_set(ERR_INPUT, "%s: another process is at work there; wait for it, or name another folder", folder);
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

int file_remove_folder(const char *path)
{
	DIR           *folder = opendir(path);
	struct dirent *entry;
	int            status = OK;

	if (!folder)
		return errno == ENOENT ? OK : fail(path, "open the folder");
	while (status == OK && (entry = readdir(folder))) {
		char        inner[4096];
		struct stat st;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
		if (lstat(inner, &st))
			status = fail(inner, "look at it");
		else if (S_ISDIR(st.st_mode))
			status = file_remove_folder(inner);
		else if (unlink(inner))
			status = fail(inner, "remove it");
	}
	closedir(folder);
	if (status == OK && rmdir(path))
		return fail(path, "remove the folder");
	return status;
}

char *file_join(struct arena *a, const char *folder, const char *name)
{
	size_t n = strlen(folder);

	return arena_format(a, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
}

/* ---- lines ---- */

/* Text shrinks to a tenth or a thirtieth; deflate could go to a thousandth. */
enum { EXPANSION_MAX = 256, EXPANSION_FREE = 16 << 20 };

struct lines {
	char         *path;
	int           fd, gzip, at_end;
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
	ssize_t got;

	do
		got = read(l->fd, l->in, sizeof l->in);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return fail(l->path, "read it");
	l->in_n = (size_t)got;
	l->in_at = 0;
	return OK;
}

static int lines_open_fd(struct lines *l)
{
	struct stat st;

	if (!strcmp(l->path, "-"))
		l->fd = STDIN_FILENO;
	else
		TRY(open_regular(l->path, &l->fd, &st));
	TRY(lines_fill_in(l));
	l->gzip = l->fd != STDIN_FILENO && l->in_n >= 2 && l->in[0] == 0x1f && l->in[1] == 0x8b;
	if (l->gzip && inflateInit2(&l->z, 15 + 16) != Z_OK) {
		l->gzip = 0;
		return error_set(ERR_INPUT, "%s: zlib has no memory", l->path);
	}
	return OK;
}

int lines_open(const char *path, size_t max, struct lines **out)
{
	struct lines *l = mem_alloc(1, sizeof *l, path);
	int           status;

	*out = NULL;
	if (!l)
		return ERR_INPUT;
	l->fd = -1;
	l->max = max;
	l->path = mem_text(path, strlen(path));
	status = l->path ? lines_open_fd(l) : ERR_INPUT;
	if (status != OK)
		lines_close(l);
	else
		*out = l;
	return status;
}

/* Decompresses until at least one byte comes out, or the stream ends. Members may follow one another (cat a.gz b.gz), with zeros
 * behind each, as writers of whole blocks leave them. */
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
					return error_set(ERR_INPUT, "%s: the gzip stream is cut off; copy the file again", l->path);
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
			return error_set(ERR_INPUT, "%s: broken gzip stream near line %zu (%s)", l->path, l->number + 1,
			                 l->z.msg ? l->z.msg : "bad data");
	}
	l->out_n = sizeof l->out - l->z.avail_out;
	l->out_at = 0;
	l->expanded += l->out_n;
	if (l->expanded > EXPANSION_FREE && l->expanded / EXPANSION_MAX > l->stored)
		return error_set(ERR_INPUT,
		                 "%s: near line %zu it has grown to more than %d times its size; if it is no gzip bomb, unpack it first",
		                 l->path, l->number, EXPANSION_MAX);
	return OK;
}

static int lines_fill_out(struct lines *l)
{
	if (l->gzip)
		return lines_inflate(l);
	if (l->in_at == l->in_n)
		TRY(lines_fill_in(l));
	memcpy(l->out, l->in + l->in_at, l->in_n - l->in_at);
	l->out_n = l->in_n - l->in_at;
	l->out_at = 0;
	l->in_at = l->in_n;
	return OK;
}

static int line_add(struct lines *l, size_t have, const char *p, size_t n)
{
	if (have + n > l->max)
		return error_set(ERR_INPUT, "%s:%zu: the line is longer than %zu bytes", l->path, l->number, l->max);
	if (have + n + 1 > l->line_capacity) {
		size_t want = 2 * (have + n + 1);
		char  *q = mem_grow(l->line, have, want, 1, l->path);
		if (!q)
			return ERR_INPUT;
		l->line = q;
		l->line_capacity = want;
	}
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

		if (l->out_at == l->out_n)
			TRY(lines_fill_out(l));
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

/* ---- text ---- */

static int text_reserve(struct text *t, size_t more)
{
	size_t want = t->capacity ? t->capacity : 256;
	char  *p;

	if (t->n + more + 1 <= t->capacity)
		return 1;
	while (want < t->n + more + 1)
		want *= 2;
	p = t->failed ? NULL : mem_grow(t->data, t->n + (t->data != NULL), want, 1, "a text");
	if (!p) {
		t->failed = 1;
		return 0;
	}
	t->data = p;
	t->capacity = want;
	return 1;
}

void text_add(struct text *t, const char *s, size_t n)
{
	if (!text_reserve(t, n))
		return;
	memcpy(t->data + t->n, s, n);
	t->n += n;
	t->data[t->n] = 0;
}

void text_print(struct text *t, const char *format, ...)
{
	va_list args, again;
	int     n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(n >= 0);
	if (text_reserve(t, (size_t)n)) {
		vsnprintf(t->data + t->n, (size_t)n + 1, format, again);
		t->n += (size_t)n;
	}
	va_end(again);
}

int text_status(const struct text *t)
{
	return t->failed ? ERR_INPUT : OK;
}

int text_write(const struct text *t, const char *path)
{
	TRY(text_status(t));
	return file_write(path, t->data, t->n);
}

void text_free(struct text *t)
{
	mem_free(t->data);
	*t = (struct text){0};
}
