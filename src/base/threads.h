/* threads.h - how many threads, and the state that each of them must share for the same bits.
 *
 * Parallel loops are plain OpenMP over independent items; which thread does an item is free, what
 * is summed in which order is not. So: no reduction clause on floats, no atomics on floats, no
 * split of one row by the number of threads. */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

/* The stack of each thread, whatever ulimit -s says. */
enum { THREADS_STACK_MIB = 8 };

/* n = 0: as many as OMP_NUM_THREADS says, or all cores this process may use. Sets the number of
 * OpenMP's threads and, in every thread, flush-to-zero and denormals-are-zero, on x86-64 and
 * aarch64: some instructions flush anyway, so all of them shall. Call once at the start and after
 * every change of n. ERR_INPUT, and nothing is changed, when the system does not start so many
 * (ulimit -v, ulimit -u); OpenMP alone would end the process. */
int threads_set(int n);
int threads_count(void);
/* of those of n = 0, when so many processes share the cores; at least 1 */
int threads_share(int processes);

#endif
