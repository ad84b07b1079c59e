/* stop.h - whether the work at hand shall be given up. A signal asks (run/signals.h); long work
 * looks between its pieces and unwinds:
 *
 *     for (int i = 0; i < n_layers; i++) {
 *             TRY(stop_check());                  STOPPED passes up like an error; whoever began
 *                                                 the work knows how to undo it
 *             ...
 *
 * From the first change that cannot be undone until the work is whole, stop_hold keeps it going:
 * then stop_check is OK whatever has been asked. */
#ifndef BASE_STOP_H
#define BASE_STOP_H

void stop_ask(void);      /* may be called by a signal handler; there is no way back */
int  stop_asked(void);    /* 1 once somebody has */
void stop_hold(int held); /* 1: what has begun must be finished; 0: it may be given up again */
int  stop_held(void);
int  stop_now(void);   /* asked for, and not held off: in parallel loops */
int  stop_check(void); /* STOPPED then, else OK */

#endif
