#include "base/json.h"
#include "run/checkpoint.h"
#include "run/signals.h"
#include "test.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the test stands between the program and the kernel ----
 *
 * These take the place of libc's functions. The fatal-th call from now on ends the process (a write
 * first writes half), or fails. */

enum { OFF, DIE, FAIL, FAIL_FROM_THERE_ON };
static int  mode, fail_errno = ENOSPC;
static long fatal, calls;
static char journal[1 << 16]; /* one line an operation, when recording */
static int  recording;

static void record(const char *what, const char *path)
{
	size_t n = strlen(journal);
	if (recording)
		snprintf(journal + n, sizeof journal - n, "%s %s\n", what, path);
}

static const char *path_of_fd(int fd)
{
	static char path[300];
	char        link[64];
	ssize_t     n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	path[n > 0 ? n : 0] = 0;
	return path;
}

static int only_data, is_data; /* only_data: count writes and syncs alone */

static int must_fail(void)
{
	if (only_data && !is_data)
		return 0;
	calls++;
	if (mode == OFF || calls < fatal || (calls > fatal && mode != FAIL_FROM_THERE_ON))
		return 0;
	if (mode == DIE)
		_exit(9);
	errno = fail_errno;
	return 1;
}

static int data_must_fail(void)
{
	int failed;

	is_data = 1;
	failed = must_fail();
	is_data = 0;
	return failed;
}

/* Calls that look count only where a test asks for it: those that change things are enough for a
 * death. */
static int looking;

int openat(int folder, const char *path, int flags, ...)
{
	va_list args;
	int     permissions;

	va_start(args, flags);
	permissions = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	return looking && must_fail() ? -1
	                              : (int)syscall(SYS_openat, folder, path, flags, permissions);
}

DIR *opendir(const char *path)
{
	int fd = looking && must_fail() ? -1
	                                : (int)syscall(SYS_openat, AT_FDCWD, path,
	                                               O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	return fd < 0 ? NULL : fdopendir(fd);
}

struct dirent *readdir(DIR *d)
{
	static struct dirent *(*next)(DIR *);

	if (!next)
		*(void **)(void *)&next = dlsym(RTLD_NEXT, "readdir");
	return looking && must_fail() ? NULL : next(d);
}

ssize_t read(int fd, void *p, size_t n)
{
	return looking && must_fail() ? -1 : syscall(SYS_read, fd, p, n);
}

ssize_t write(int fd, const void *p, size_t n)
{
	if (fd > 2 && mode == DIE && calls + 1 == fatal)
		syscall(SYS_write, fd, p, n / 2);
	if (fd > 2 && data_must_fail())
		return -1;
	return syscall(SYS_write, fd, p, n);
}

int fsync(int fd)
{
	record("fsync", path_of_fd(fd));
	return data_must_fail() ? -1 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
	record("rename", to);
	return must_fail() ? -1 : (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path)
{
	return must_fail() ? -1 : (int)syscall(SYS_unlink, path);
}

int unlinkat(int folder, const char *path, int flags)
{
	return must_fail() ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
}

int mkdir(const char *path, mode_t permissions)
{
	return must_fail() ? -1 : (int)syscall(SYS_mkdir, path, permissions);
}

/* ---- a run that saves ---- */

static char         run[64];
static struct arena arena;

static int make_run(void **state)
{
	(void)state;
	snprintf(run, sizeof run, "/tmp/hone-test-checkpoint-%d", (int)getpid());
	mode = OFF;
	looking = only_data = 0;
	fail_errno = ENOSPC;
	file_remove_folder(run);
	return file_make_folders(run);
}

static int remove_run(void **state)
{
	(void)state;
	mode = OFF;
	looking = 0;
	arena_free(&arena);
	return file_remove_folder(run);
}

static int write_in(const char *folder, const char *name, int step)
{
	char path[300], content[1000];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	memset(content, 'a' + step % 26, sizeof content);
	return file_write(path, content, sizeof content);
}

static int save(int step, int keep)
{
	char *part;

	TRY(checkpoint_begin(run, step, &arena, &part));
	if (write_in(part, "model.safetensors", step) != OK ||
	    write_in(part, "optimizer.safetensors", step) != OK)
		return checkpoint_abandon(part, ERR_INPUT);
	return checkpoint_commit(run, step, (struct checkpoint_limit){keep, -1});
}

/* A text of the arena. */
static char *printed(const char *format, ...)
{
	char    text[FILE_PATH_MAX], *out;
	va_list args;

	va_start(args, format);
	assert_true(vsnprintf(text, sizeof text, format, args) < (int)sizeof text);
	va_end(args);
	assert_ok(arena_copy(&arena, text, strlen(text), &out));
	return out;
}

static const char *in_run(const char *name)
{
	return printed("%s/%s", run, name);
}

static int newest(struct text *skipped)
{
	char *path;
	int   step;

	assert_ok(checkpoint_newest(run, &arena, &path, &step, skipped));
	if (path) {
		struct bytes b;
		assert_ok(file_read(printed("%s/model.safetensors", path), 5000, &b));
		assert_int_equal(b.n, 1000);
		assert_int_equal(b.data[999], 'a' + step % 26);
		bytes_free(&b);
	}
	return path ? step : -1;
}

static int count_checkpoints(const char *suffix)
{
	int n = 0;

	for (int step = 0; step < 20; step++)
		n += file_exists(in_run(printed("checkpoint-%d%s", step, suffix)));
	return n;
}

static void the_newest_checkpoint_is_found_and_old_ones_go(void **state)
{
	(void)state;
	assert_int_equal(newest(NULL), -1);
	for (int step = 8; step <= 11; step++) {
		assert_ok(save(step, 2));
		assert_int_equal(newest(NULL), step);
	}
	assert_true(file_exists(in_run("checkpoint-10")));
	assert_false(file_exists(in_run("checkpoint-9")));
	assert_ok(save(12, 0));
	assert_true(file_exists(in_run("checkpoint-10")));
}

static void names_that_are_almost_checkpoints_are_left_alone(void **state)
{
	(void)state;

	assert_ok(save(3, 1));
	assert_ok(file_make_folders(in_run("checkpoint-04")));
	assert_ok(file_make_folders(in_run("checkpoint-9x")));
	assert_ok(file_make_folders(in_run("checkpoint-")));
	assert_ok(file_make_folders(in_run("my-checkpoint-9.part")));
	assert_ok(save(5, 1));
	assert_int_equal(newest(NULL), 5);
	assert_true(file_exists(in_run("checkpoint-04")));
	assert_true(file_exists(in_run("my-checkpoint-9.part")));
	assert_false(file_exists(in_run("checkpoint-3")));
}

static void flip(const char *path, long at)
{
	FILE *f = fopen(path, "r+");
	int   c;

	assert_non_null(f);
	fseek(f, at, SEEK_SET);
	c = fgetc(f);
	fseek(f, at, SEEK_SET);
	fputc(c ^ 0x10, f);
	fclose(f);
}

static void one_changed_byte_anywhere_is_noticed(void **state)
{
	(void)state;
	const char *names[] = {"model.safetensors", "optimizer.safetensors", "manifest.json"};

	assert_ok(save(1, 0));
	assert_ok(save(2, 0));
	for (int i = 0; i < 3; i++) {
		const char *path = in_run(printed("checkpoint-2/%s", names[i]));
		uint64_t    size;
		assert_ok(file_size(path, &size));
		for (long at = 0; at < (long)size; at += i == 2 ? 1 : 37) {
			struct text skipped = {0};
			flip(path, at);
			assert_int_equal(newest(&skipped), 1);
			assert_non_null(strstr(skipped.data, i == 2 ? "checkpoint-2" : names[i]));
			flip(path, at);
			text_free(&skipped);
		}
	}
	assert_int_equal(newest(NULL), 2);
}

static void a_missing_or_cut_checkpoint_is_passed_over_with_its_reason(void **state)
{
	(void)state;
	struct text skipped = {0};

	for (int step = 1; step <= 5; step++)
		assert_ok(save(step, 0));
	assert_ok(file_truncate(in_run("checkpoint-5/manifest.json"), 40));
	assert_int_equal(unlink(in_run("checkpoint-4/model.safetensors")), 0);
	assert_ok(file_truncate(in_run("checkpoint-3/model.safetensors"), 999));
	assert_ok(file_make_folders(in_run("checkpoint-6")));
	assert_int_equal(newest(&skipped), 2);
	assert_non_null(strstr(skipped.data, "checkpoint-6/manifest.json: cannot open it"));
	assert_non_null(strstr(skipped.data, "checkpoint-5/manifest.json: not valid JSON"));
	assert_non_null(strstr(skipped.data, "checkpoint-4/model.safetensors: cannot open it"));
	assert_non_null(strstr(skipped.data,
	                       "checkpoint-3/model.safetensors: its length or checksum is "
	                       "not the one in manifest.json; the checkpoint is damaged"));
	text_free(&skipped);
}

static void
a_broken_checkpoint_of_the_same_step_is_replaced_and_later_ones_do_not_push_it_out(void **state)
{
	(void)state;

	assert_ok(save(4, 1));
	assert_ok(save(6, 2));
	flip(in_run("checkpoint-6/model.safetensors"), 5);
	assert_ok(save(5, 1)); /* the run that resumed from 4 */
	assert_int_equal(newest(NULL), 5);
	assert_ok(save(6, 1));
	assert_int_equal(newest(NULL), 6);
	assert_false(file_exists(in_run("checkpoint-5")));
}

static void a_damaged_checkpoint_takes_no_place_from_a_whole_one(void **state)
{
	(void)state;

	assert_ok(save(1, 2));
	assert_ok(save(3, 2));
	assert_ok(file_truncate(in_run("checkpoint-3/model.safetensors"), 10));
	assert_ok(save(2, 2)); /* resumed from 1, and saves at other steps */
	assert_ok(save(4, 2));
	assert_true(file_exists(in_run("checkpoint-3")) && file_exists(in_run("checkpoint-2")));
	assert_ok(save(5, 2));
	assert_int_equal(count_checkpoints(""), 2);
	flip(in_run("checkpoint-5/model.safetensors"), 5);
	assert_int_equal(newest(NULL), 4);
}

static void a_checkpoint_that_is_there_and_whole_stays(void **state)
{
	(void)state;
	struct stat before, after;

	assert_ok(save(4, 1));
	assert_int_equal(stat(in_run("checkpoint-4/model.safetensors"), &before), 0);
	assert_ok(save(4, 1));
	assert_int_equal(stat(in_run("checkpoint-4/model.safetensors"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_false(file_exists(in_run("checkpoint-4.part")));
}

static void looking_at_a_run_leaves_its_unfinished_checkpoint_alone(void **state)
{
	(void)state;
	char *part, *found;

	assert_ok(save(3, 1));
	assert_ok(file_write(in_run("metrics.jsonl"), "", 0));
	assert_ok(checkpoint_begin(run, 4, &arena, &part));
	assert_ok(write_in(part, "model.safetensors", 4));
	/* as hone eval RUN does while the run goes on */
	assert_ok(checkpoint_resolve(run, &arena, &found));
	assert_string_equal(found, in_run("checkpoint-3"));
	assert_ok(checkpoint_commit(run, 4, (struct checkpoint_limit){1, -1}));
	assert_int_equal(newest(NULL), 4);
}

/* ---- what cannot be read is not damaged, and what is damaged is not absent ---- */

/* Names and bytes of everything in the run, as one number. */
static unsigned long run_bytes(void)
{
	char          line[300];
	unsigned long sum = 0;
	FILE         *out;

	snprintf(line, sizeof line, "cd %s && find . -type f -exec cksum {} + | sort | cksum", run);
	out = popen(line, "r");
	assert_non_null(out);
	assert_int_equal(fscanf(out, "%lu", &sum), 1);
	pclose(out);
	return sum;
}

static void when_all_are_damaged_nothing_is_begun_and_nothing_touched(void **state)
{
	(void)state;
	char         *path, *part;
	int           step;
	unsigned long before;

	assert_ok(save(1, 0));
	assert_ok(save(2, 0));
	assert_ok(checkpoint_begin(run, 3, &arena, &part));
	assert_ok(write_in(part, "model.safetensors", 3));
	flip(in_run("checkpoint-1/model.safetensors"), 5);
	assert_ok(file_truncate(in_run("checkpoint-2/optimizer.safetensors"), 100));
	before = run_bytes();
	assert_error(checkpoint_newest(run, &arena, &path, &step, NULL), ERR_INPUT,
	             "all its checkpoints are damaged");
	assert_non_null(strstr(error_message(), "--from-scratch"));
	assert_non_null(
	        strstr(error_message(), "checkpoint-1/model.safetensors: its length or checksum"));
	assert_non_null(strstr(error_message(),
	                       "checkpoint-2/optimizer.safetensors: its length or checksum"));
	assert_true(run_bytes() == before);
	assert_ok(checkpoint_count(run, &step));
	assert_int_equal(step, 2);
}

/* Every call that looks, at every moment, for every reason: either the newest is found or the
 * reason is said. */
static void what_cannot_be_read_now_is_neither_passed_over_nor_taken_for_absent(void **state)
{
	(void)state;
	static const int reasons[] = {EIO, EMFILE, ENOMEM, EACCES};
	int              refused = 0, tried = 0;
	unsigned long    before;

	assert_ok(save(1, 0));
	assert_ok(save(2, 0));
	before = run_bytes();
	for (int i = 0; i < 4; i++)
		for (fatal = 1;; fatal++) {
			struct text skipped = {0};
			char       *path;
			int         step, status;
			calls = 0;
			fail_errno = reasons[i];
			mode = FAIL;
			looking = 1;
			status = checkpoint_newest(run, &arena, &path, &step, &skipped);
			looking = 0;
			mode = OFF;
			assert_int_equal(skipped.n, 0);
			if (calls < fatal) {
				assert_ok(status);
				break;
			}
			tried++;
			refused += status != OK;
			if (status == OK)
				assert_int_equal(step, 2);
			else if (reasons[i] == ENOMEM)
				assert_memory(status, run);
			else
				assert_error(status, ERR_INPUT, strerror(reasons[i]));
			assert_null(status == OK ? NULL : strstr(error_message(), "damaged"));
			assert_null(reasons[i] == ENOMEM
			                    ? strstr(error_message(), "cannot read checkpoint")
			                    : NULL);
		}
	assert_true(tried >= 4 * 8 && refused == tried);
	assert_true(run_bytes() == before);
}

static void memory_that_is_short_is_called_that(void **state)
{
	(void)state;
	int n = 0;

	assert_ok(save(1, 0));
	assert_ok(save(2, 0));
	for (long at = 1;; at++) {
		char *path;
		int   step, status;
		arena_free(&arena);
		mem_fail_at(at);
		status = checkpoint_newest(run, &arena, &path, &step, NULL);
		if (status == OK) {
			mem_fail_at(0);
			assert_int_equal(step, 2);
			break;
		}
		n++;
		assert_memory(status, "");
	}
	assert_true(n >= 2);
}

static void a_link_whose_disk_is_away_is_not_damaged(void **state)
{
	(void)state;
	char *path;
	int   step;

	assert_ok(save(1, 0));
	assert_int_equal(symlink("/nowhere/checkpoint-2", in_run("checkpoint-2")), 0);
	assert_error(checkpoint_newest(run, &arena, &path, &step, NULL), ERR_INPUT,
	             "cannot read checkpoint-2");
}

/* ---- links ---- */

static void removing_takes_links_off_and_leaves_what_they_lead_to(void **state)
{
	(void)state;
	char *part;

	assert_ok(file_make_folders(in_run("precious/deep")));
	assert_ok(write_in(in_run("precious"), "thesis", 1));
	assert_int_equal(symlink("precious", in_run("checkpoint-1.part")), 0);
	assert_ok(checkpoint_begin(run, 1, &arena, &part)); /* where a link of that name stands */
	assert_true(file_exists(in_run("precious/thesis")));
	assert_false(file_is_link(part));
	assert_int_equal(symlink("../precious", printed("%s/inside", part)), 0);
	assert_int_equal(symlink("../precious/thesis", printed("%s/model.safetensors.part", part)),
	                 0);
	/* under whose temporary name a link stands */
	assert_ok(write_in(part, "model.safetensors", 7));
	assert_ok(file_remove_folder(part));
	assert_false(file_exists(part));
	assert_int_equal(symlink("precious", in_run("link")), 0);
	assert_ok(file_remove_folder(in_run("link/")));
	assert_false(file_is_link(in_run("link")));
	assert_true(file_exists(in_run("precious/deep")));
	struct bytes b;
	assert_ok(file_read(in_run("precious/thesis"), 5000, &b));
	assert_int_equal(b.n, 1000);
	assert_int_equal(b.data[0], 'a' + 1);
	bytes_free(&b);
}

static void a_checkpoint_that_was_moved_away_and_linked_back_survives_rotation(void **state)
{
	(void)state;

	assert_ok(save(1, 1));
	assert_int_equal(rename(in_run("checkpoint-1"), in_run("elsewhere")), 0);
	assert_int_equal(symlink("elsewhere", in_run("checkpoint-1")), 0);
	assert_int_equal(newest(NULL), 1);
	for (int step = 2; step <= 4; step++)
		assert_ok(save(step, 1));
	assert_false(file_exists(in_run("checkpoint-3")));
	assert_ok(checkpoint_check(in_run("elsewhere")));
	assert_ok(checkpoint_check(in_run("checkpoint-1")));
}

static void the_best_checkpoint_survives_rotation_until_another_is_best(void **state)
{
	(void)state;
	char *part;

	for (int step = 1; step <= 5; step++) {
		assert_ok(checkpoint_begin(run, step, &arena, &part));
		assert_ok(write_in(part, "model.safetensors", step));
		assert_ok(checkpoint_commit(run, step,
		                            (struct checkpoint_limit){1, step < 4 ? 2 : 4}));
		assert_int_equal(file_exists(in_run("checkpoint-2")), step == 2 || step == 3);
	}
	assert_true(file_exists(in_run("checkpoint-4")) && file_exists(in_run("checkpoint-5")));
	assert_int_equal(count_checkpoints(""), 2);
}

static void a_signal_at_every_call_is_an_error_not_a_loop(void **state)
{
	(void)state;
	static const int looks[] = {0, 1};

	assert_ok(save(1, 0));
	for (int i = 0; i < 2; i++) {
		fatal = 1;
		calls = 0;
		fail_errno = EINTR;
		mode = FAIL_FROM_THERE_ON;
		looking = looks[i];
		int status = save(2, 0);
		mode = OFF;
		looking = 0;
		assert_int_equal(status, ERR_INPUT);
		assert_non_null(strstr(error_message(), "Interrupted"));
		assert_true(calls < 5000);
	}
	only_data = 1; /* one by one they are no error */
	for (fatal = 1, calls = fatal; calls >= fatal; fatal++) {
		calls = 0;
		mode = FAIL;
		assert_ok(save(3, 0));
		mode = OFF;
		assert_ok(file_remove_folder(in_run("checkpoint-3")));
	}
	assert_true(fatal > 10);
}

/* Four saves; *done is the last step whose commit returned OK. */
static int save_four(volatile int *done)
{
	for (int step = 1; step <= 4; step++) {
		TRY(save(step, 2));
		*done = step;
	}
	return OK;
}

static void death_at_any_operation_loses_nothing_that_was_reported_saved(void **state)
{
	volatile int *done =
	        mmap(NULL, sizeof *done, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int  unused;
	long total;

	calls = 0;
	assert_ok(save_four(&unused));
	total = calls;
	assert_true(total > 60);
	for (long k = 1; k <= total; k++) {
		pid_t child;
		int   status;
		int   found;
		make_run(state);
		*done = -1;
		child = fork();
		if (child == 0) {
			mode = DIE;
			fatal = k;
			calls = 0;
			save_four(done);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(WEXITSTATUS(status), 9);
		found = newest(NULL);
		if (found < *done)
			fail_msg("died at operation %ld of %ld: step %d was saved, %d found", k,
			         total, *done, found);
		/* as a resume does */
		assert_ok(checkpoint_tidy(run, found, (struct checkpoint_limit){2, -1}));
		assert_true(count_checkpoints("") <= 2 && count_checkpoints(".part") == 0);
		assert_ok(save(5, 2)); /* and the run goes on */
		assert_int_equal(newest(NULL), 5);
	}
	munmap((void *)(uintptr_t)done, sizeof *done);
}

static void a_full_disk_at_any_operation_is_an_error_and_loses_nothing(void **state)
{
	int  done = -1;
	long total;
	int  refused = 0;

	calls = 0;
	assert_ok(save_four(&done));
	total = calls;
	for (long k = 1; k <= total; k++) {
		int status;
		make_run(state);
		done = -1;
		calls = 0;
		fatal = k;
		mode = FAIL;
		status = save_four(&done);
		mode = OFF;
		if (status != OK)
			assert_non_null(strstr(error_message(), "No space left"));
		/* the room is needed; only what rotation was at may be left */
		for (int step = done + 1; step <= 4; step++)
			assert_false(file_exists(in_run(printed("checkpoint-%d.part", step))));
		refused += status != OK;
		assert_true(newest(NULL) >= done);
		assert_ok(save(5, 2));
		assert_int_equal(newest(NULL), 5);
	}
	assert_true(refused > total / 2); /* mkdir of a folder that exists may fail unnoticed */
}

/* Where this was done for the first time behind `after`; the test fails when it never was. */
static long when_after(long after, const char *what, const char *path)
{
	char       *line = printed("%s %s%s%s\n", what, run, *path ? "/" : "", path);
	const char *at = strstr(journal + after, line);

	if (!at)
		fail_msg("%s was never done: %s", line, journal + after);
	return at - journal;
}

/* For the last time. */
static long when(const char *what, const char *path)
{
	char *line = printed("%s %s%s%s\n", what, run, *path ? "/" : "", path);
	long  at = when_after(0, what, path);

	for (const char *next; (next = strstr(journal + at + 1, line));)
		at = next - journal;
	return at;
}

static void everything_is_on_the_disk_before_it_gets_its_name_and_older_ones_go_last(void **state)
{
	(void)state;
	long named, synced;

	assert_ok(save(1, 1));
	recording = 1;
	assert_ok(save(2, 1));
	recording = 0;
	named = when("rename", "checkpoint-2");
	assert_true(when("fsync", "checkpoint-2.part/model.safetensors") <
	            when("fsync", "checkpoint-2.part/manifest.json.part"));
	assert_true(when("fsync", "checkpoint-2.part/optimizer.safetensors") <
	            when("fsync", "checkpoint-2.part/manifest.json.part"));
	assert_true(when("fsync", "checkpoint-2.part/manifest.json.part") <
	            when("rename", "checkpoint-2.part/manifest.json"));
	assert_true(when("rename", "checkpoint-2.part/manifest.json") <
	            when("fsync", "checkpoint-2.part"));
	assert_true(when("fsync", "checkpoint-2.part") < named);
	synced = when_after(named, "fsync", "");
	assert_true(synced < when("rename", "checkpoint-1.part"));
}

static void the_first_signal_asks_and_the_second_kills(void **state)
{
	(void)state;
	pid_t child;
	int   status;

	child = fork();
	if (child == 0) {
		signals_catch();
		raise(SIGINT);
		if (!signals_stop())
			_exit(1);
		raise(SIGINT);
		_exit(2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

#define RUN_TEST(f) cmocka_unit_test_setup_teardown(f, make_run, remove_run)
TEST_MAIN(
        RUN_TEST(the_newest_checkpoint_is_found_and_old_ones_go),
        RUN_TEST(names_that_are_almost_checkpoints_are_left_alone),
        RUN_TEST(when_all_are_damaged_nothing_is_begun_and_nothing_touched),
        RUN_TEST(what_cannot_be_read_now_is_neither_passed_over_nor_taken_for_absent),
        RUN_TEST(memory_that_is_short_is_called_that),
        RUN_TEST(a_link_whose_disk_is_away_is_not_damaged),
        RUN_TEST(removing_takes_links_off_and_leaves_what_they_lead_to),
        RUN_TEST(a_checkpoint_that_was_moved_away_and_linked_back_survives_rotation),
        RUN_TEST(the_best_checkpoint_survives_rotation_until_another_is_best),
        RUN_TEST(a_signal_at_every_call_is_an_error_not_a_loop),
        RUN_TEST(one_changed_byte_anywhere_is_noticed),
        RUN_TEST(a_missing_or_cut_checkpoint_is_passed_over_with_its_reason),
        RUN_TEST(
                a_broken_checkpoint_of_the_same_step_is_replaced_and_later_ones_do_not_push_it_out),
        RUN_TEST(looking_at_a_run_leaves_its_unfinished_checkpoint_alone),
        RUN_TEST(a_checkpoint_that_is_there_and_whole_stays),
        RUN_TEST(a_damaged_checkpoint_takes_no_place_from_a_whole_one),
        RUN_TEST(death_at_any_operation_loses_nothing_that_was_reported_saved),
        RUN_TEST(a_full_disk_at_any_operation_is_an_error_and_loses_nothing),
        RUN_TEST(everything_is_on_the_disk_before_it_gets_its_name_and_older_ones_go_last),
        TEST(the_first_signal_asks_and_the_second_kills))
