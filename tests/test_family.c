/* Processes that a program started: whoever left its group, or its parent, ends with it. */
#include "base/family.h"

#include "test.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t start(const char *script)
{
	char *const                words[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
	                                      (char *)(uintptr_t)script, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t          how;
	pid_t                      pid = 0;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP);
	assert_int_equal(family_spawn(&pid, "/bin/sh", &files, &how, words), 0);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&how);
	return pid;
}

/* The number that the script wrote into its file. */
static pid_t child_of(const char *path)
{
	int pid = 0;

	for (int i = 0; i < 3000 && pid == 0; i++) {
		FILE *f = fopen(path, "r");
		if (f && fscanf(f, "%d", &pid) != 1)
			pid = 0;
		if (f)
			fclose(f);
		usleep(10000);
	}
	unlink(path);
	assert_true(pid > 0);
	return (pid_t)pid;
}

static int is_gone(pid_t pid)
{
	return kill(pid, 0) == -1 && errno == ESRCH;
}

static void whoever_leaves_the_group_ends_with_the_program(void **state)
{
	(void)state;
	static const char *const scripts[] = {
	        /* in the group */
	        "sleep 600 & echo $! > family; wait",
	        /* another session */
	        "setsid sleep 600 & echo $! > family; wait",
	        /* and another parent */
	        "(setsid sleep 600 & echo $! > family); wait; sleep 600",
	        /* a grandchild of it */
	        "(setsid sh -c 'sleep 600 & echo $! > family; wait' &); sleep 600",
	        /* without what it inherited */
	        "(setsid sh -c 'env -i sleep 600 & echo $! > family' &); exec sleep 600"};

	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
		pid_t program = start(scripts[i]), child = child_of("family");
		assert_false(is_gone(child));
		assert_true(WIFSIGNALED(family_end(program)));
		assert_true(is_gone(child));
	}
}

/* A shell may have started something and then become this program. */
static void what_was_there_before_and_what_still_runs_is_left_alone(void **state)
{
	(void)state;
	pid_t foreign = *(pid_t *)*state, other = start("sleep 600 & echo $! > family; wait"),
	      grandchild = child_of("family");
	pid_t program = start("setsid sleep 600 & echo $! > family; wait"),
	      child = child_of("family");

	family_end(program);
	assert_true(is_gone(child));
	assert_false(is_gone(foreign));
	assert_false(is_gone(other));
	assert_false(is_gone(grandchild));
	family_end(other);
	assert_true(is_gone(grandchild));
	assert_false(is_gone(foreign));
}

static int fork_foreign(void **state)
{
	static pid_t foreign;

	foreign = fork();
	if (foreign == 0) {
		pause();
		_exit(0);
	}
	*state = &foreign;
	return foreign < 0;
}

static int end_foreign(void **state)
{
	pid_t foreign = *(pid_t *)*state;

	kill(foreign, SIGKILL);
	return waitpid(foreign, NULL, 0) != foreign;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(whoever_leaves_the_group_ends_with_the_program),
	        TEST(what_was_there_before_and_what_still_runs_is_left_alone)};

	return cmocka_run_group_tests(tests, fork_foreign, end_foreign);
}
