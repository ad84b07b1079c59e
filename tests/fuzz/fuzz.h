/* fuzz.h - what the fuzz targets share.
 *
 * A target is one file, fuzz_NAME.c, with one function that reads bytes as a stranger's file and
 * states what must hold beyond "it does not crash":
 *
 *     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
 *     {
 *             if (safetensors_open(fuzz_file(0, data, n), &s) == OK)
 *                     ... PROMISE(what was written is what was read) ...
 *
 * `make fuzz T=NAME RUNS=n` runs it under ASan and UBSan; tests/fuzz/corpus/NAME holds its seeds,
 * NAME.dict its words. docs/hostile-files.md lists the targets and how long each has run. An input
 * that was a finding becomes a test of the reader and a seed. */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int         LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
const char *__asan_default_options(void);

/* Small quarantine and short stacks: three times the executions a second, and the memory of freed
 * blocks does not count as a reader's appetite. */
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=1:malloc_context_size=6:allocator_release_to_os_interval_ms=-1";
}

#define PROMISE(held) \
	do { \
		if (!(held)) { \
			fprintf(stderr, "%s:%d: broken promise: %s (last message: %s)\n", \
			        __FILE__, __LINE__, #held, error_message()); \
			abort(); \
		} \
	} while (0)

/* So that the message of an earlier input is not taken for one of this input. */
static inline void fuzz_forget_message(void)
{
	error_set(OK, "%s", "");
}

/* The shape of a model of a few weights, for targets that include model/shape.h. */
/* clang-format off */
#define FUZZ_SHAPE(ff) \
	{.n_layers = 1, .width = 2, .n_heads = 1, .n_kv_heads = 1, .head_width = 2, .ff_width = (ff), .n_vocab = 3, .n_positions = 4, \
	 .rope_theta = 10000, .norm_eps = 1e-6, .tied = 1, .bos = -1}
/* clang-format on */

/* ---- files in memory ---- */

enum { FUZZ_SLOTS = 8, FUZZ_FD = 100 };

/* A file that holds these bytes, until the next call for its slot. The path is always the same
 * one. */
static inline const char *fuzz_file(int slot, const void *data, size_t n)
{
	static char path[FUZZ_SLOTS][32];
	int         fd = FUZZ_FD + slot;

	if (!*path[slot]) {
		int made = memfd_create("fuzz", 0);
		PROMISE(made >= 0 && dup2(made, fd) == fd && close(made) == 0);
		snprintf(path[slot], sizeof path[slot], "/proc/self/fd/%d", fd);
	}
	PROMISE(ftruncate(fd, 0) == 0 && pwrite(fd, data, n, 0) == (ssize_t)n);
	return path[slot];
}

/* A folder for files that a reader wants side by side; removed at the end. */
static char fuzz_folder_path[64];

static inline void fuzz_remove_folder(void)
{
	file_remove_folder(fuzz_folder_path);
}

static inline const char *fuzz_folder(void)
{
	if (!*fuzz_folder_path) {
		snprintf(fuzz_folder_path, sizeof fuzz_folder_path, "%s/hone-fuzz-XXXXXX",
		         access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		PROMISE(mkdtemp(fuzz_folder_path));
		atexit(fuzz_remove_folder);
	}
	return fuzz_folder_path;
}

static inline const char *fuzz_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
	return path;
}

/* NAME in the folder stands for the slot's file from now on. */
static inline void fuzz_link(const char *name, int slot)
{
	char target[32];

	snprintf(target, sizeof target, "/proc/self/fd/%d", FUZZ_FD + slot);
	PROMISE(symlink(target, fuzz_path(name)) == 0);
}

/* ---- inputs of several parts ---- */

/* The bytes up to the next NUL, or the rest; *data and *n move behind it. */
struct fuzz_part {
	const char *s;
	size_t      n;
};
static inline struct fuzz_part fuzz_next(const uint8_t **data, size_t *n)
{
	const uint8_t   *end = *n ? memchr(*data, 0, *n) : NULL;
	struct fuzz_part part = {(const char *)*data, end ? (size_t)(end - *data) : *n};
	size_t           gone = part.n + (end != NULL);

	if (gone)
		*data += gone;
	*n -= gone;
	return part;
}

/* An owned copy with a 0 behind it, exactly as long as it must be: one byte too far is seen. */
static inline char *fuzz_text(struct fuzz_part part)
{
	char *s = malloc(part.n + 1);

	PROMISE(s);
	if (part.n)
		memcpy(s, part.s, part.n);
	s[part.n] = 0;
	return s;
}

#endif
