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

static struct {
	int          number, count;
	MPI_Comm     world;
	MPI_Request *requests; /* [capacity] */
	int          capacity;
	char         why[MPI_MAX_ERROR_STRING + 1];
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
	MPI_Request *more;

	if (n <= ranks_mpi.capacity)
		return NULL;
	more = realloc(ranks_mpi.requests, (size_t)n * sizeof *more);
	if (!more)
		return "out of memory";
	ranks_mpi.requests = more;
	ranks_mpi.capacity = n;
	return NULL;
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
			MPI_Request *request = &ranks_mpi.requests[(*n)++];
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
	int             done = 0;

	for (long looks = 0;; looks++) {
		int code = MPI_Testall(n, ranks_mpi.requests, &done, MPI_STATUSES_IGNORE);
		if (code != MPI_SUCCESS || done)
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
	return ranks_mpi_why(code);
}

static void ranks_mpi_close(int broken)
{
	free(ranks_mpi.requests);
	if (broken)
		MPI_Abort(ranks_mpi.world, 1);
	MPI_Comm_free(&ranks_mpi.world);
	MPI_Finalize();
}

const char *ranks_mpi_open(struct ranks_link *out)
{
	int given, code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given);

	if (code == MPI_SUCCESS)
		code = MPI_Comm_dup(MPI_COMM_WORLD, &ranks_mpi.world);
	if (code == MPI_SUCCESS)
		code = MPI_Comm_set_errhandler(ranks_mpi.world, MPI_ERRORS_RETURN);
	if (code == MPI_SUCCESS)
		code = MPI_Comm_rank(ranks_mpi.world, &ranks_mpi.number);
	if (code == MPI_SUCCESS)
		code = MPI_Comm_size(ranks_mpi.world, &ranks_mpi.count);
	*out = (struct ranks_link){ranks_mpi.number, ranks_mpi.count, ranks_mpi_swap,
	                           ranks_mpi_close};
	return ranks_mpi_why(code);
}
