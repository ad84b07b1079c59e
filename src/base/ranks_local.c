/* Ranks as processes of one machine: copies of the first one, each pair of which has a socket of
 * its own. The kernel closes the sockets of a process that ends, however it ends, so a lost rank is
 * noticed at once; who waits sleeps in poll(). */
#include "base/ranks_link.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_MS = 3000, GRACE_STEP_MS = 10 }; /* for ranks that end by themselves */

struct ranks_local_page {
	atomic_int            lost; /* the rank that was lost first, or -1 */
	atomic_int            process[RANKS_LOCAL_MAX];
	atomic_uint_least64_t pulse[RANKS_LOCAL_MAX];
};

static struct {
	int   number, count;
	int   socket[RANKS_LOCAL_MAX]; /* to each other rank */
	pid_t child[RANKS_LOCAL_MAX];  /* of the first rank: the others; 0: has been waited for */
	struct ranks_local_page *page; /* shared by all */
	struct ranks_wait        wait;
	char                     why[128];
} ranks_local;

/* ---- the end of a rank ---- */

static void ranks_local_sleep(void)
{
	nanosleep(&(struct timespec){.tv_nsec = GRACE_STEP_MS * 1000000L}, NULL);
}

/* Waits for a child for a while; whether it ended. */
static int ranks_local_ended(int rank, int *status)
{
	for (int ms = 0; ms < GRACE_MS; ms += GRACE_STEP_MS) {
		pid_t pid = waitpid(ranks_local.child[rank], status, WNOHANG);
		if (pid == ranks_local.child[rank]) {
			ranks_local.child[rank] = 0;
			return 1;
		}
		ranks_local_sleep();
	}
	return 0;
}

/* Rank `found` answers no more. It may have ended because another one was lost before; that one was
 * noted down by whoever noticed it first, before it ended in turn. */
static const char *ranks_local_lose(int found, int *lost)
{
	int nobody = -1, status;

	*lost = atomic_compare_exchange_strong(&ranks_local.page->lost, &nobody, found) ? found
	                                                                                : nobody;
	strcpy(ranks_local.why, "it ended");
	if (ranks_local.child[*lost] && ranks_local_ended(*lost, &status)) {
		if (WIFSIGNALED(status))
			snprintf(ranks_local.why, sizeof ranks_local.why, "ended by signal %d, %s",
			         WTERMSIG(status), strsignal(WTERMSIG(status)));
		else
			snprintf(ranks_local.why, sizeof ranks_local.why, "ended with status %d",
			         WEXITSTATUS(status));
	}
	return ranks_local.why;
}

/* ---- sending and receiving ---- */

struct ranks_local_way { /* how far a swap with one other rank is */
	size_t sent, got;
};

/* Moves what can be moved without waiting; 0 when the other end is gone. */
static int ranks_local_move(int fd, const struct ranks_piece *out, const struct ranks_piece *in,
                            struct ranks_local_way *w)
{
	ssize_t n = 0;

	while (w->sent < out->n && (n = send(fd, (const char *)out->data + w->sent,
	                                     out->n - w->sent, MSG_NOSIGNAL)) > 0)
		w->sent += (size_t)n;
	if (n < 0 && errno != EAGAIN && errno != EINTR && w->got == in->n)
		return 0; /* what it sent before it ended is read first */
	n = 1;
	while (w->got < in->n && (n = recv(fd, (char *)in->data + w->got, in->n - w->got, 0)) > 0)
		w->got += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static const char *ranks_local_swap_all(const struct ranks_piece *out, const struct ranks_piece *in,
                                        int *lost)
{
	struct ranks_local_way way[RANKS_LOCAL_MAX] = {{0}};
	struct pollfd          waits[RANKS_LOCAL_MAX];

	for (;;) {
		int n = 0, first = -1;
		for (int r = 0; r < ranks_local.count; r++) {
			int fd = ranks_local.socket[r], wants;
			if (r == ranks_local.number)
				continue;
			if (!ranks_local_move(fd, &out[r], &in[r], &way[r]))
				return ranks_local_lose(r, lost);
			wants = (way[r].got < in[r].n ? POLLIN : 0) |
			        (way[r].sent < out[r].n ? POLLOUT : 0);
			if (wants)
				waits[n++] = (struct pollfd){.fd = fd, .events = (short)wants};
			first = wants && first < 0 ? r : first;
		}
		if (n == 0)
			return NULL;
		ranks_local.wait.moves++;
		ranks_local.wait.rank = first;
		poll(waits, (nfds_t)n, -1); /* a signal wakes it: it looks, and waits again */
	}
}

static const char *ranks_local_swap(const struct ranks_piece *out, const struct ranks_piece *in,
                                    int *lost)
{
	const char *why = ranks_local_swap_all(out, in, lost);

	ranks_local.wait.rank = -1;
	return why;
}

/* ---- signs of life ---- */

static void ranks_local_pulse(const struct ranks_pulse *mine, struct ranks_pulse *all)
{
	uint64_t x;

	_Static_assert(sizeof x == sizeof *mine, "a pulse is written at once");
	memcpy(&x, mine, sizeof x);
	ranks_local.page->pulse[ranks_local.number] = x;
	for (int r = 0; r < ranks_local.count; r++) {
		x = ranks_local.page->pulse[r];
		memcpy(&all[r], &x, sizeof x);
	}
}

/* The kernel closes its sockets, and so the others notice. */
static void ranks_local_end(int rank)
{
	if (rank != ranks_local.number && ranks_local.page->process[rank])
		kill(ranks_local.page->process[rank], SIGKILL);
}

/* ---- opening and closing ---- */

/* The first rank takes the others' ends; those that will not end are killed. */
static void ranks_local_close(int broken)
{
	int status;

	for (int r = 0; r < ranks_local.count; r++)
		if (r != ranks_local.number)
			close(ranks_local.socket[r]);
	for (int r = 1; r < ranks_local.count; r++) {
		if (!ranks_local.child[r])
			continue;
		if (broken && !ranks_local_ended(r, &status))
			kill(ranks_local.child[r], SIGKILL);
		while (ranks_local.child[r] && waitpid(ranks_local.child[r], &status, 0) < 0 &&
		       errno == EINTR)
			;
		ranks_local.child[r] = 0;
	}
}

/* Every pair of ranks gets a socket, before there is more than one process. */
static int ranks_local_pairs(int n, int ends[RANKS_LOCAL_MAX][RANKS_LOCAL_MAX])
{
	for (int a = 0; a < n; a++)
		for (int b = a + 1; b < n; b++) {
			int pair[2];
			if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			               pair))
				return 0;
			ends[a][b] = pair[0];
			ends[b][a] = pair[1];
		}
	return 1;
}

/* This process is rank `number`: the ends of the others are not its. */
static void ranks_local_be(int number, int n, int ends[RANKS_LOCAL_MAX][RANKS_LOCAL_MAX])
{
	ranks_local.number = number;
	for (int a = 0; a < n; a++)
		for (int b = 0; b < n; b++)
			if (a != b && a != number)
				close(ends[a][b]);
	memcpy(ranks_local.socket, ends[number], sizeof ranks_local.socket);
	ranks_local.page->process[number] = getpid();
	ranks_local.wait.rank = -1;
}

static const char *ranks_local_failed(const char *doing)
{
	snprintf(ranks_local.why, sizeof ranks_local.why, "cannot %s: %s", doing, strerror(errno));
	return ranks_local.why;
}

/* The copies begin here. A copy whose first rank ends is asked to stop, so that a verifier which
 * hangs holds nobody. */
static const char *ranks_local_fork(int n, int *number)
{
	pid_t first = getpid();

	*number = 0;
	for (int r = 1; r < n; r++) {
		pid_t pid = fork();
		if (pid < 0)
			return ranks_local_failed("start another process");
		ranks_local.child[r] = pid;
		if (pid == 0) {
			memset(ranks_local.child, 0, sizeof ranks_local.child);
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			if (getppid() != first)
				raise(SIGKILL);
			*number = r;
			return NULL;
		}
	}
	return NULL;
}

const char *ranks_local_open(int n, struct ranks_link *out)
{
	int         ends[RANKS_LOCAL_MAX][RANKS_LOCAL_MAX], number;
	const char *why;

	ranks_local.count = n;
	ranks_local.page = mmap(NULL, sizeof *ranks_local.page, PROT_READ | PROT_WRITE,
	                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ranks_local.page == MAP_FAILED)
		return ranks_local_failed("share a page of memory");
	atomic_init(&ranks_local.page->lost, -1);
	if (!ranks_local_pairs(n, ends))
		return ranks_local_failed("make the sockets between ranks");
	fflush(NULL); /* or every copy would write it once more */
	why = ranks_local_fork(n, &number);
	if (why)
		return why; /* the copies end as this process does */
	ranks_local_be(number, n, ends);
	*out = (struct ranks_link){.number = number,
	                           .count = n,
	                           .swap = ranks_local_swap,
	                           .close = ranks_local_close,
	                           .wait = &ranks_local.wait,
	                           .pulse = ranks_local_pulse,
	                           .end = ranks_local_end};
	return NULL;
}
