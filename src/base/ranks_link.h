/* ranks_link.h - how ranks reach each other: what ranks.c needs of a transport, and no more. For
 * ranks*.c only.
 *
 * A module (ranks_mpi.c) is compiled without the rest of the program, so that nothing here calls
 * it: an error is a text that the link owns, NULL is none. */
#ifndef BASE_RANKS_LINK_H
#define BASE_RANKS_LINK_H

#include "base/ranks.h"

#include <stdatomic.h>

struct ranks_wait {        /* what a swap shows of itself to another thread */
	atomic_int  rank;  /* for which it waits, or -1 */
	atomic_uint moves; /* of parts of messages */
};

struct ranks_link {
	int number, count;

	/* Sends out[r] to every other rank r and fills in[r] from it. Waits, without spinning,
	 * until all is done. *lost: the rank that is there no more; -1 where that is not known. */
	const char *(*swap)(const struct ranks_piece *out, const struct ranks_piece *in, int *lost);

	/* broken: the link failed, so others may be waiting for ever; they are ended. */
	void (*close)(int broken);

	struct ranks_wait *wait;

	/* As ranks_pulse and ranks_end, from another thread; pulse is NULL where the link
	 * cannot. */
	void (*pulse)(const struct ranks_pulse *mine, struct ranks_pulse *all);
	void (*end)(int rank);
};

const char *ranks_local_open(int n, struct ranks_link *out);

/* the module's one function */
#define RANKS_MPI_OPEN "ranks_mpi_open"
const char         *ranks_mpi_open(struct ranks_link *out);
typedef const char *ranks_module_open(struct ranks_link *out);

#endif
