/* signals.h - SIGINT and SIGTERM ask the job to finish its step, save and stop; the second one ends it at once. */
#ifndef RUN_SIGNALS_H
#define RUN_SIGNALS_H

void signals_catch(void);
int  signals_stop(void); /* 1 once one has come */

#endif
