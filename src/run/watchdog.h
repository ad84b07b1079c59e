/* watchdog.h - a job that hangs says where, and ends; so it does not hold a machine, or of several
 * ranks (base/ranks.h) all of them, for nothing.
 *
 * A thread looks now and then for signs of progress: long work gives one each time that it looks
 * whether it shall stop (base/stop.h), and each call between ranks is one. Where none came for
 * run.watchdog_seconds,
 *
 *     a rank that works       hangs: it writes its phase and its stacks, and ends
 *     a rank that waits       does not hang, for the one it waits for does, or works; but when all
 *                             wait and none makes progress, they end
 *     a rank that is silent   because it is stopped, or its machine is off or cut off, is ended by
 *                             the lowest of the others, which says where that was last
 *
 * and all other ranks end by the loss of that one, with status 1. Nothing is saved; the last
 * checkpoint is whole. After half of that time the lowest rank that waits says for whom, and what
 * that one does.
 *
 * A command that judges (verify/program.h) is a sign of progress for as long as its own time-out
 * lets it think, however long that is.
 *
 * Time is counted in looks of the thread, not by a clock: a machine that slept does not hang.
 * Over MPI the signs of life want MPI_THREAD_MULTIPLE; without it each rank watches itself. */
#ifndef RUN_WATCHDOG_H
#define RUN_WATCHDOG_H

enum watchdog_phase {
	WATCHDOG_OPENING,
	WATCHDOG_SAMPLING,
	WATCHDOG_JUDGING,
	WATCHDOG_UPDATE,
	WATCHDOG_EVALUATION,
	WATCHDOG_SAVING,
	WATCHDOG_REPORT
};

/* Once the ranks are there; it looks from the first watchdog_limit on. The caller's thread is the
 * main one. ERR_INPUT where the system has no thread left. */
int  watchdog_start(void);
void watchdog_stop(void); /* before ranks_close, when all ranks are at the end */

/* 0: never. Where none was started, nothing happens. */
void watchdog_limit(int seconds);

/* What the main thread does from now on. */
void watchdog_phase(enum watchdog_phase p);

#endif
