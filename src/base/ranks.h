/* ranks.h - one job as several processes, on one machine or on many, each of which computes the
 * same. The only door to MPI.
 *
 *     hone train CONFIG                   one process: nothing is loaded, every call returns at
 *                                         once
 *     hone train CONFIG --ranks 4         four processes of this machine (ranks_local.c)
 *     mpirun -n 4 hone train CONFIG       what a launcher started, over MPI (ranks_mpi.c, a module
 *                                         that is opened only then)
 *
 * A rank is one of the processes; rank 0, the first one, writes files and speaks. Every rank runs
 * the same program on the same data. What one of them does for all, it gives to all.
 *
 *     TRY(ranks_open(n));                  before the first thread
 *     status = ...                         the job
 *     return ranks_close(status);
 *
 * Lockstep. A job is a sequence of pieces of work, each of which ends with ranks_together. Within
 * one every rank makes the same calls of ranks_agree, ranks_gather and ranks_exchange in the same
 * order; `what` says where the job stands. A rank that cannot go on leaves the piece and brings its
 * error to the ranks_together at the end. Every call begins by telling all others the status of
 * this rank, so they meet that error in the call in which they wait, unwind with it, and are at the
 * end, too: all of them return the same, the error of the lowest rank, or STOPPED where nobody has
 * an error. Nobody waits for a rank that gave up.
 *
 *     rank 0    gather: ERR_INPUT "rank 2 on b: x.jsonl: ..."    ranks_together: the same
 *     rank 1    gather: ERR_INPUT                                ranks_together: the same
 *     rank 2    cannot read: ERR_INPUT "x.jsonl: ..."            ranks_together: the same
 *
 * After an error nothing is sent any more: every call returns it again. ranks_close ends the last
 * piece.
 *
 * A rank that is lost (killed, its machine off) ends all others: ERR_FAILED with a message that
 * names it, from the call at hand and from all later ones. Under MPI it is the launcher that ends
 * them and names it.
 *
 * A signal to one rank reaches all: each call tells the others who was asked to stop (stop.h). From
 * then on stop_agreed() is 1, on all ranks in the same call.
 *
 * Sums of floats are no business of this file: the order of a sum must not depend on the number of
 * ranks, so whoever adds exchanges the summands (a library's all-reduce is not used anywhere). A
 * broadcast is a gather to which one rank gives; a sum or a maximum of integers is a gather and a
 * loop. */
#ifndef BASE_RANKS_H
#define BASE_RANKS_H

#include "base/memory.h"

#include <stdint.h>

enum { RANKS_LOCAL_MAX = 16 }; /* of --ranks; a launcher may start any number */

/* n > 0: this process and n-1 copies of it, made here; it returns in all of them. n = 0: as a
 * launcher started this process, or alone. ERR_INPUT where both are asked for, where a launcher
 * started it and there is no module, where the copies cannot be made, and where the ranks are not
 * the same program. */
int ranks_open(int n);

/* The status of all ranks: OK when all have it. The first of local ranks waits for the others. */
int ranks_close(int status);

int ranks_number(void);
int ranks_count(void);  /* 1 unless ranks_open found more */
int ranks_first(void);  /* whether this is rank 0, which writes */
int ranks_speaks(void); /* whether this is the lowest rank that is not lost: it tells the error */
const char *ranks_name(int rank);                           /* "rank 2 on node-b", for messages */
void        ranks_name_into(int rank, char *out, size_t n); /* the same, for other threads */

/* How many ranks are on this machine, this one too, and how many of them may use the same cores. */
int ranks_here(void);
int ranks_sharing_cores(void);

/* The end of a piece of work: waits until all are here; OK when all came with OK. */
int ranks_together(const char *what, int status);

/* Within one: waits until all are here. */
int ranks_agree(const char *what);

struct ranks_piece {
	void  *data; /* [n] */
	size_t n;    /* bytes */
};

/* Writes in [count]: what each rank gave, in the order of the ranks, in the arena. */
int ranks_gather(const char *what, const void *data, size_t n, struct arena *a,
                 struct ranks_piece *in);

/* All to all: out[r] goes to rank r, in[r] comes from it. in[r].n is known before: what comes must
 * be as long. */
int ranks_exchange(const char *what, const struct ranks_piece *out, const struct ranks_piece *in);

/* ---- signs of life, apart from the calls: for the thread of run/watchdog.h ---- */

int         ranks_waits_for(void); /* the rank that this one waits for just now, or -1 */
const char *ranks_waits_at(void);  /* `what` of the last call; NULL: there was none */
unsigned    ranks_moves(void);     /* another number whenever a part of a message has arrived */

struct ranks_pulse {
	uint16_t count;     /* of this rank's pulses: a new one has another */
	uint16_t quiet;     /* looks of the watchdog since it made progress */
	int16_t  waits_for; /* a rank, or -1 */
	uint16_t phase;     /* the watchdog's */
};

/* Sends this rank's to all, without waiting; writes all [count]: the newest that came of each, and
 * its own. Of a link that cannot do so beside the calls all are 0. */
void ranks_pulse(const struct ranks_pulse *mine, struct ranks_pulse *all);

/* Ends a rank that gives no sign of life, and all others by its loss. Over MPI it does not return;
 * nor does this rank live on then, which of local ranks ends itself. */
void ranks_end(int rank);

#endif
