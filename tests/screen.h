/* screen.h - a command of hone on a terminal, as a person has it, for tests.
 *
 *     screen_run("chat a", 100, "hello\n")    exit status; types the lines, then the end of the
 *                                               input
 *     screen_text                           what the terminal showed: standard output and
 *                                               standard error, and the echo of what was typed */
#ifndef TESTS_SCREEN_H
#define TESTS_SCREEN_H

#include "run.h"

#include <pty.h>
#include <sys/wait.h>

static char screen_text[1 << 20];

/* width: columns; lines: NULL types nothing, not even the end. */
static inline int screen_run(const char *words, int width, const char *lines)
{
	const struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)width};
	char                 command[8192];
	int                  terminal, status;
	size_t               n = 0;
	ssize_t              more;
	pid_t                child;

	snprintf(command, sizeof command, "exec '%s' %s", run_program, words);
	child = forkpty(&terminal, NULL, NULL, &size);
	assert_true(child >= 0);
	if (child == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	if (lines) {
		assert_int_equal(write(terminal, lines, strlen(lines)), (ssize_t)strlen(lines));
		assert_int_equal(write(terminal, "\004", 1), 1);
	}
	while (n + 1 < sizeof screen_text &&
	       (more = read(terminal, screen_text + n, sizeof screen_text - 1 - n)) > 0)
		n += (size_t)more;
	screen_text[n] = 0;
	close(terminal);
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
