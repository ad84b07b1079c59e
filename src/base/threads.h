/* threads.h - how many threads, and the state that each of them must share for the same bits.
 *
 * Parallel loops are plain OpenMP over independent items; which thread does an item is free, what
 * is summed in which order is not. So: no reduction clause on floats, no atomics on floats, no
 * split of one row by the number of threads. */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

/* n = 0: all cores this process may use. Sets OpenMP's number of threads and, in every thread,
 * flush-to-zero and denormals-are-zero: some instructions flush anyway, so all of them shall. Call
 * once at the start and after every change of n. */
void threads_set(int n);
int  threads_count(void);

#endif
