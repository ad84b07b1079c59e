/* run.h - for tests that run the program hone itself, as a user does: in a temporary folder, by a
 * line of shell.
 *
 *     run_in_temporary_folder()    at the start of main: makes the folder, goes there, removes it
 *                                  at the end of the process
 *     hone("train a.yaml run.seed=%d", 2)              exit status; what it said stands in the
 *                                                      files stdout and stderr
 *     hone_ok("train a.yaml")      must succeed; in_folder("runs", "a.yaml") is "runs/a.yaml", good
 *                                  for three more calls
 *     pid = hone_start(...); kill(pid, SIGKILL); hone_end(pid)    exit status, or 128 + the signal
 *     that ended it
 *
 * The line stands behind "exec hone" in the shell, so that it may hold quotes and redirections.
 * HONE is defined by the Makefile; the variable HONE_PROGRAM, in its place, names a program for
 * another CPU (scripts/cross). */
#ifndef RUN_H
#define RUN_H

#include "test.h"

#include "base/file.h"
#include "base/json.h"
#include "base/threads.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char  run_folder[PATH_MAX], run_program[PATH_MAX];
static pid_t run_owner;

static inline void run_remove_folder(void)
{
	if (getpid() == run_owner && chdir("/") == 0)
		file_remove_folder(run_folder);
}

static inline void run_in_temporary_folder(void)
{
	const char *parent = getenv("TMPDIR");
	const char *other = getenv("HONE_PROGRAM"), *program = other ? other : HONE;
	char        stacks[16];

	snprintf(run_folder, sizeof run_folder, "%s/hone-test-XXXXXX",
	         parent && *parent ? parent : "/tmp");
	if (!realpath(program, run_program) || !mkdtemp(run_folder) || chdir(run_folder)) {
		fprintf(stderr, "no temporary folder, or no program %s: %s\n", program,
		        strerror(errno));
		exit(1);
	}
	run_owner = getpid();
	atexit(run_remove_folder);
	setenv("OMP_WAIT_POLICY", "passive", 1); /* more threads than cores must not spin */
	/* with both set the program need not start itself again, which costs more than what most
	 * calls do */
	snprintf(stacks, sizeof stacks, "%dM", THREADS_STACK_MIB);
	setenv("OMP_STACKSIZE", stacks, 1);
	setenv("LC_ALL", "C", 1);
}

/* ---- files ---- */

static inline const char *in_folder(const char *folder, const char *name)
{
	static char paths[4][PATH_MAX];
	static int  next;

	next = (next + 1) % 4;
	snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
	return paths[next];
}

/* The whole file with a NUL behind it. The caller frees it. */
static inline char *read_all(const char *path, size_t *n)
{
	struct stat st;
	FILE       *f = fopen(path, "rb");
	char       *data;

	if (!f || fstat(fileno(f), &st))
		fail_msg("%s is not there", path);
	data = malloc((size_t)st.st_size + 1);
	assert_non_null(data);
	*n = fread(data, 1, (size_t)st.st_size, f);
	data[*n] = 0;
	fclose(f);
	return data;
}

/* ---- processes ---- */

static inline void run_shell(const char *line)
{
	if (!freopen("/dev/null", "r", stdin) || !freopen("stdout", "w", stdout) ||
	    !freopen("stderr", "w", stderr))
		_exit(126);
	execl("/bin/sh", "sh", "-c", line, (char *)NULL);
	_exit(127);
}

static inline pid_t run_start(const char *line)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run_shell(line);
	return pid;
}

static inline int hone_end(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define RUN_LINE(line, before, format) \
	do { \
		va_list list_; \
		int     n_ = snprintf(line, sizeof line, "%s exec '%s' ", before, run_program); \
		va_start(list_, format); \
		vsnprintf(line + n_, sizeof line - (size_t)n_, format, list_); \
		va_end(list_); \
	} while (0)

PRINTF_LIKE(1, 2) static inline pid_t hone_start(const char *format, ...)
{
	char line[2 * PATH_MAX];

	RUN_LINE(line, "", format);
	return run_start(line);
}

PRINTF_LIKE(1, 2) static inline int hone(const char *format, ...)
{
	char line[2 * PATH_MAX];

	RUN_LINE(line, "", format);
	return hone_end(run_start(line));
}

/* It may take so many seconds of CPU; then SIGXCPU ends it. */
PRINTF_LIKE(2, 3) static inline int hone_within(int seconds, const char *format, ...)
{
	char line[2 * PATH_MAX], limit[64];

	snprintf(limit, sizeof limit, "ulimit -S -t %d;", seconds);
	RUN_LINE(line, limit, format);
	return hone_end(run_start(line));
}

PRINTF_LIKE(1, 2) static inline void hone_ok(const char *format, ...)
{
	char   line[2 * PATH_MAX];
	int    status;
	size_t n;

	RUN_LINE(line, "", format);
	status = hone_end(run_start(line));
	if (status != 0)
		fail_msg("%s: exit status %d: %s", line, status, read_all("stderr", &n));
}

/* No file may grow beyond so many blocks of 512 bytes: what a full disk does to a program. */
PRINTF_LIKE(2, 3) static inline int hone_on_small_disk(int blocks, const char *format, ...)
{
	char line[2 * PATH_MAX], limit[64];

	snprintf(limit, sizeof limit, "trap '' XFSZ; ulimit -f %d;", blocks);
	RUN_LINE(line, limit, format);
	return hone_end(run_start(line));
}

PRINTF_LIKE(1, 2) static inline void shell(const char *format, ...)
{
	char    line[2 * PATH_MAX];
	va_list list;

	va_start(list, format);
	vsnprintf(line, sizeof line, format, list);
	va_end(list);
	if (system(line) != 0)
		fail_msg("the shell cannot do: %s", line);
}

/* ---- files ---- */

static inline void write_text(const char *path, const char *text)
{
	assert_ok(file_write(path, text, strlen(text)));
}

static inline int file_says(const char *path, const char *part)
{
	size_t n;
	char  *text = read_all(path, &n);
	int    found = strstr(text, part) != NULL;

	free(text);
	return found;
}

#define assert_says(path, part) \
	do { \
		if (!file_says(path, part)) { \
			size_t n_; \
			fail_msg("%s says \"%s\", expected it to mention \"%s\"", path, \
			         read_all(path, &n_), part); \
		} \
	} while (0)

static inline int same_bytes(const char *a, const char *b)
{
	size_t n, m;
	char  *x = read_all(a, &n), *y = read_all(b, &m);
	int    same = n == m && !memcmp(x, y, n);

	free(x);
	free(y);
	return same;
}

static inline void flip_byte(const char *path, long at)
{
	FILE *f = fopen(path, "r+b");
	int   c;

	assert_non_null(f);
	assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
	c = fgetc(f);
	assert_true(c != EOF);
	fseek(f, -1, SEEK_CUR);
	fputc(c ^ 1, f);
	fclose(f);
}

/* Complete lines; 0 while there is no file. */
static inline int count_lines(const char *path)
{
	FILE *f = fopen(path, "rb");
	int   n = 0;

	for (int c; f && (c = fgetc(f)) != EOF;)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

/* Until the file has so many lines. A child that ends without them fails the test; one that is slow
 * does not. */
static inline void wait_for_lines(pid_t child, const char *path, int n)
{
	siginfo_t ended = {0};

	while (count_lines(path) < n) {
		if (waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		    ended.si_pid == child && count_lines(path) < n)
			fail_msg("the run ended before %s had %d lines", path, n);
		usleep(100);
	}
}

/* Whether the clock decides this metric. */
static inline int is_timing(const char *name)
{
	return !strcmp(name, "step_time") || !strncmp(name, "timing_s/", 9) ||
	       !strncmp(name, "tokens_per_second/", 18);
}

/* The lines of metrics.jsonl without what a clock measured. The caller frees them. */
static inline char *metrics_without_times(const char *folder)
{
	FILE  *f = fopen(in_folder(folder, "metrics.jsonl"), "r"), *out;
	char  *line = NULL, *text = NULL;
	size_t capacity = 0, n_text;

	assert_non_null(f);
	out = open_memstream(&text, &n_text);
	while (getline(&line, &capacity, f) > 0) {
		json_t     *row = json_loads(line, 0, NULL);
		const char *key;
		json_t     *value;
		void       *next;
		assert_non_null(row);
		json_object_foreach_safe(row, next, key, value)
		{
			if (is_timing(key))
				json_object_del(row, key);
		}
		json_dumpf(row, out, JSON_REAL_PRECISION(17));
		fputc('\n', out);
		json_decref(row);
	}
	fclose(out);
	fclose(f);
	free(line);
	return text;
}

#endif
