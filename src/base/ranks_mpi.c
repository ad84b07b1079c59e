/* Ranks over MPI: the module hone-mpi.so, which ranks.c opens where a launcher started the process.
 * Nothing else includes MPI, and nothing here calls the rest of the program.
 *
 * Two ranks swap by messages of at most CHUNK bytes, for MPI counts in int. Who waits looks now and
 * then, and sleeps between: MPI's own waiting spins, and would take the core from a rank that
 * works. */
#include "base/ranks_link.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHUNK = 1 << 30, TAG = 1 };
/* looks without a sleep; then sleeps, from the first to the longest */
enum { LOOKS = 200, SLEEP_NS = 20000, SLEEP_MAX_NS = 1000000 };

struct ranks_mpi_beat { /* signs of life between this rank and another */
	MPI_Request        sending, receiving;
	struct ranks_pulse out, in;
};

static struct {
	int                    number, count;
	MPI_Comm               world, life;
	MPI_Request           *requests; /* [capacity] */
	int                   *peer;     /* [capacity] whose request it is */
	int                   *done;     /* [capacity] scratch */
	int                    capacity;
	struct ranks_wait      wait;
	struct ranks_mpi_beat *beats; /* [count]; NULL: two threads may not call MPI at once */
	char                   why[MPI_MAX_ERROR_STRING + 1];
} ranks_mpi;

/* NULL, or what MPI says of the code. */
static const char *ranks_mpi_why(int code)
{
	int n = 0;

	if (code == MPI_SUCCESS)
		return NULL;
	if (MPI_Error_string(code, ranks_mpi.why, &n) != MPI_SUCCESS)
		snprintf(ranks_mpi.why, sizeof ranks_mpi.why, "error %d", code);
	return ranks_mpi.why;
}

static int ranks_mpi_chunks(const struct ranks_piece *p)
{
	int n = 0;

	for (int r = 0; r < ranks_mpi.count; r++)
		n += r == ranks_mpi.number ? 0 : (int)((p[r].n + CHUNK - 1) / CHUNK);
	return n;
}

static const char *ranks_mpi_room(int n)
{
	if (n <= ranks_mpi.capacity)
		return NULL;
	free(ranks_mpi.requests);
	free(ranks_mpi.peer);
	free(ranks_mpi.done);
	ranks_mpi.capacity = n;
	ranks_mpi.requests = malloc((size_t)n * sizeof *ranks_mpi.requests);
	ranks_mpi.peer = malloc((size_t)n * sizeof *ranks_mpi.peer);
	ranks_mpi.done = malloc((size_t)n * sizeof *ranks_mpi.done);
	return ranks_mpi.requests && ranks_mpi.peer && ranks_mpi.done ? NULL : "out of memory";
}

/* Begins the messages of one direction; *n counts the requests. */
static int ranks_mpi_begin(const struct ranks_piece *p, int sends, int *n)
{
	int code = MPI_SUCCESS;

	for (int r = 0; r < ranks_mpi.count; r++)
		for (size_t at = 0; r != ranks_mpi.number && at < p[r].n && code == MPI_SUCCESS;
		     at += CHUNK) {
			char        *data = (char *)p[r].data + at;
			int          size = (int)(p[r].n - at < CHUNK ? p[r].n - at : CHUNK);
			MPI_Request *request = &ranks_mpi.requests[*n];
			ranks_mpi.peer[(*n)++] = r;
			code = sends ? MPI_Isend(data, size, MPI_BYTE, r, TAG, ranks_mpi.world,
			                         request)
			             : MPI_Irecv(data, size, MPI_BYTE, r, TAG, ranks_mpi.world,
			                         request);
		}
	return code;
}

/* All n requests; the longer nothing happens, the longer it sleeps between two looks. */
static int ranks_mpi_wait(int n)
{
	struct timespec pause = {.tv_nsec = SLEEP_NS};
	int             first = 0, some = 0;

	for (long looks = 0;; looks++) {
		int code = MPI_Testsome(n, ranks_mpi.requests, &some, ranks_mpi.done,
		                        MPI_STATUSES_IGNORE);
		ranks_mpi.wait.moves += some > 0;
		while (first < n && ranks_mpi.requests[first] == MPI_REQUEST_NULL)
			first++;
		ranks_mpi.wait.rank = first < n ? ranks_mpi.peer[first] : -1;
		if (code != MPI_SUCCESS || first == n)
			return code;
		if (looks < LOOKS)
			continue;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < SLEEP_MAX_NS)
			pause.tv_nsec += pause.tv_nsec / 8;
	}
}

static const char *ranks_mpi_swap(const struct ranks_piece *out, const struct ranks_piece *in,
                                  int *lost)
{
	const char *why = ranks_mpi_room(ranks_mpi_chunks(out) + ranks_mpi_chunks(in));
	int         n = 0, code;

	(void)lost; /* the launcher notices it */
	if (why)
		return why;
	code = ranks_mpi_begin(in, 0, &n);
	if (code == MPI_SUCCESS)
		code = ranks_mpi_begin(out, 1, &n);
	if (code == MPI_SUCCESS)
		code = ranks_mpi_wait(n);
	ranks_mpi.wait.rank = -1;
	return ranks_mpi_why(code);
}

/* ---- signs of life, by the watchdog's thread ---- */

static void ranks_mpi_listen(struct ranks_mpi_beat *b, int rank)
{
	MPI_Irecv(&b->in, sizeof b->in, MPI_BYTE, rank, TAG, ranks_mpi.life, &b->receiving);
}

/* One that is not through yet waits for the next time: nothing piles up before a rank that is
 * stopped. */
static void ranks_mpi_pulse(const struct ranks_pulse *mine, struct ranks_pulse *all)
{
	all[ranks_mpi.number] = *mine;
	for (int r = 0; r < ranks_mpi.count; r++) {
		struct ranks_mpi_beat *b = &ranks_mpi.beats[r];
		int                    sent = 0, got = 1;
		if (r == ranks_mpi.number)
			continue;
		MPI_Test(&b->sending, &sent, MPI_STATUS_IGNORE);
		if (sent) {
			b->out = *mine;
			MPI_Isend(&b->out, sizeof b->out, MPI_BYTE, r, TAG, ranks_mpi.life,
			          &b->sending);
		}
		while (MPI_Test(&b->receiving, &got, MPI_STATUS_IGNORE) == MPI_SUCCESS && got) {
			all[r] = b->in;
			ranks_mpi_listen(b, r);
		}
	}
}

static void ranks_mpi_end(int rank)
{
	(void)rank;
	MPI_Abort(ranks_mpi.world, 1);
}

static const char *ranks_mpi_open_life(void)
{
	int code = MPI_Comm_dup(ranks_mpi.world, &ranks_mpi.life);

	if (code != MPI_SUCCESS)
		return ranks_mpi_why(code);
	MPI_Comm_set_errhandler(ranks_mpi.life, MPI_ERRORS_RETURN);
	ranks_mpi.beats = calloc((size_t)ranks_mpi.count, sizeof *ranks_mpi.beats);
	if (!ranks_mpi.beats)
		return "out of memory";
	for (int r = 0; r < ranks_mpi.count; r++) {
		ranks_mpi.beats[r].sending = ranks_mpi.beats[r].receiving = MPI_REQUEST_NULL;
		if (r != ranks_mpi.number)
			ranks_mpi_listen(&ranks_mpi.beats[r], r);
	}
	return NULL;
}

static void ranks_mpi_close_life(void)
{
	for (int r = 0; ranks_mpi.beats && r < ranks_mpi.count; r++) {
		struct ranks_mpi_beat *b = &ranks_mpi.beats[r];
		if (b->receiving != MPI_REQUEST_NULL) {
			MPI_Cancel(&b->receiving);
			MPI_Wait(&b->receiving, MPI_STATUS_IGNORE);
		}
		if (b->sending != MPI_REQUEST_NULL)
			MPI_Request_free(&b->sending);
	}
	if (ranks_mpi.beats)
		MPI_Comm_free(&ranks_mpi.life);
	/* the memory of a message that is under way stays */
}

static void ranks_mpi_close(int broken)
{
	free(ranks_mpi.requests);
	free(ranks_mpi.peer);
	free(ranks_mpi.done);
	if (broken)
		MPI_Abort(ranks_mpi.world, 1);
	ranks_mpi_close_life();
	MPI_Comm_free(&ranks_mpi.world);
	MPI_Finalize();
}

const char *ranks_mpi_open(struct ranks_link *out)
{
	int         given, code = MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &given);
	const char *why;

	if (code == MPI_SUCCESS)
		code = MPI_Comm_dup(MPI_COMM_WORLD, &ranks_mpi.world);
	if (code == MPI_SUCCESS)
		code = MPI_Comm_set_errhandler(ranks_mpi.world, MPI_ERRORS_RETURN);
	if (code == MPI_SUCCESS)
		code = MPI_Comm_rank(ranks_mpi.world, &ranks_mpi.number);
	if (code == MPI_SUCCESS)
		code = MPI_Comm_size(ranks_mpi.world, &ranks_mpi.count);
	why = ranks_mpi_why(code);
	if (!why && given >= MPI_THREAD_MULTIPLE)
		why = ranks_mpi_open_life();
	ranks_mpi.wait.rank = -1;
	*out = (struct ranks_link){.number = ranks_mpi.number,
	                           .count = ranks_mpi.count,
	                           .swap = ranks_mpi_swap,
	                           .close = ranks_mpi_close,
	                           .wait = &ranks_mpi.wait,
	                           .pulse = ranks_mpi.beats ? ranks_mpi_pulse : NULL,
	                           .end = ranks_mpi_end};
	return why;
}
