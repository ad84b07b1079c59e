/* stop.h - whether the work at hand shall be given up. A signal asks (run/signals.h); long work
 * looks between its pieces and unwinds:
 *
 *     for (int i = 0; i < n_layers; i++) {
 *             TRY(stop_check());                  STOPPED passes up like an error; whoever began
 *                                                 the work knows how to undo it
 *             ...
 *
 * From the first change that cannot be undone until the work is whole, stop_hold keeps it going:
 * then stop_check is OK whatever has been asked.
 *
 * Of several ranks (ranks.h) each may be asked by a signal of its own, at another moment. Work
 * between two calls to the others is given up by one rank alone, which tells them in the next call;
 * but no rank may change what the others then do not: so stop_commit stands before that first
 * change, and whether a loop goes on is decided by stop_agreed. */
#ifndef BASE_STOP_H
#define BASE_STOP_H

void stop_ask(void);      /* may be called by a signal handler; there is no way back */
int  stop_asked(void);    /* 1 once somebody has */
void stop_hold(int held); /* 1: what has begun must be finished; 0: it may be given up again */
int  stop_held(void);
/* stop_hold(1), once all ranks came here without having been asked: else STOPPED on all of them.
 * Nothing is asked when it is held already; of a single rank it is stop_hold(1). */
int  stop_commit(void);
void stop_agree(void);  /* of ranks.c: every rank knows that one of them has been asked */
int  stop_agreed(void); /* whether all know; of a single rank as stop_asked */
int  stop_now(void);    /* asked for, and not held off: in parallel loops */
int  stop_check(void);  /* STOPPED then, else OK */

/* Who looks goes on: so stop_now and stop_check are signs of progress, for run/watchdog.h; other
 * work gives one itself. */
void stop_progress(void);
int  stop_progressed(void); /* whether there was one since the last call */

#endif
