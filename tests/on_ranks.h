/* on_ranks.h - runs a function of a test on several ranks, which are processes of this machine.
 * Each has what the test has, as of then; what it finds wrong, CHECK notes, and the test fails with
 * the rank and the line. */
#ifndef TESTS_ON_RANKS_H
#define TESTS_ON_RANKS_H

#include "test.h"

#include "base/ranks.h"
#include "base/stop.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RANKS_MOST = 8, LINE_MAX_ = 512 };

struct outcome {
	int  status, opened; /* what ranks_close returned; the body ran */
	int  bad;            /* line of the first check that failed */
	int  stopped_at;     /* the call after which stop_agreed was 1 */
	char message[LINE_MAX_];
};
static struct outcome *outcomes; /* [RANKS_MOST] shared by all processes */

#define CHECK(condition) \
	do { \
		if (!(condition) && !outcomes[ranks_number()].bad) \
			outcomes[ranks_number()].bad = __LINE__; \
	} while (0)

static int body_parameter;

static void be_asked(int number)
{
	(void)number;
	stop_ask();
}

static void be_ranks(int n, int (*body)(void))
{
	struct outcome *o;
	int             status;

	signal(SIGTERM, be_asked); /* which copies get when their first rank ends */
	status = ranks_open(n);
	o = &outcomes[ranks_number()];
	o->opened = status == OK;
	if (status == OK)
		status = body();
	o->status = ranks_close(status);
	snprintf(o->message, sizeof o->message, "%s", error_message());
	_exit(0);
}

/* Runs the body on n ranks, until the last of them has ended. */
static void on_ranks(int n, int (*body)(void), int parameter)
{
	memset(outcomes, 0, RANKS_MOST * sizeof *outcomes);
	for (int r = 0; r < n; r++)
		outcomes[r].status = -1;
	body_parameter = parameter;
	fflush(NULL);
	if (fork() == 0)
		be_ranks(n, body);
	while (wait(NULL) > 0)
		; /* the copies, too: a lost rank leaves them to us */
	for (int r = 0; r < n; r++)
		if (outcomes[r].bad)
			fail_msg("rank %d of %d, line %d", r, n, outcomes[r].bad);
}

/* In main, before the first of them. */
static void on_ranks_begin(void)
{
	outcomes = mmap(NULL, RANKS_MOST * sizeof *outcomes, PROT_READ | PROT_WRITE,
	                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcomes == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
		perror("ranks");
		exit(1);
	}
}

#endif
