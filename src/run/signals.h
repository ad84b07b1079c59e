/* signals.h - signals that ask a job to save and stop.
 *
 *     INT TERM          stop; the same one again ends the process at once
 *     HUP USR1 USR2     stop (a closed terminal, Slurm's --signal); again: nothing, for they often
 *                       come in pairs
 *     PIPE              nothing: who reads our output may leave
 *
 * INT and HUP stay ignored where they were (nohup, a job in the background of a script). The
 * handler says at once on standard error which step will be saved; computation looks at the request
 * often (base/stop.h) and gives up the step, or finishes it where an update has been applied. */
#ifndef RUN_SIGNALS_H
#define RUN_SIGNALS_H

void signals_catch(void);
void signals_step(int done); /* steps that are done, for the message */
int  signals_stop(void);     /* 1 once one has come, and all ranks know (base/ranks.h) */

#endif
