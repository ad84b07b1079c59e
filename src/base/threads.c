#include "base/threads.h"

#include "base/error.h"
#include "base/memory.h"

#include <omp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static void flush_denormals(void)
{
#if defined(__x86_64__)
	_mm_setcsr(_mm_getcsr() | 0x8040); /* FTZ and DAZ */
#elif defined(__aarch64__)
	uint64_t control;

	__asm__ volatile("mrs %0, fpcr" : "=r"(control));
	__asm__ volatile("msr fpcr, %0" : : "r"(control | UINT64_C(1) << 24)); /* FZ: both */
#endif
}

static int threads_started = 1; /* so many have been seen to run at once */

static void *wait_at(void *gate)
{
	pthread_mutex_lock(gate);
	pthread_mutex_unlock(gate);
	return NULL;
}

/* Starts n threads beside this one, all there at once, and ends them again; returns how many the
 * system gave. *why: its error. */
static int threads_try(int n, pthread_t *threads, int *why)
{
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	pthread_attr_t  how;
	int             started = 0;

	*why = pthread_attr_init(&how);
	if (*why)
		return 0;
	pthread_attr_setstacksize(&how, (size_t)THREADS_STACK_MIB << 20);
	pthread_mutex_lock(&gate);
	while (started < n && *why == 0) {
		*why = pthread_create(&threads[started], &how, wait_at, &gate);
		started += *why == 0;
	}
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	pthread_attr_destroy(&how);
	return started;
}

static int threads_check(int n)
{
	pthread_t *threads;
	int        given, why = 0;

	if (n <= threads_started)
		return OK;
	TRY(mem_take((size_t)n - 1, "the threads", &threads));
	given = threads_try(n - 1, threads, &why) + 1;
	mem_free(threads);
	if (given < n)
		return error_set(ERR_INPUT,
		                 "the system starts only %d of %d threads: %s; take fewer "
		                 "(compute.threads), or raise ulimit -v and ulimit -u",
		                 given, n, strerror(why));
	threads_started = n;
	return OK;
}

/* What OpenMP would take if it was not told otherwise, as it is read before the first time. */
static int threads_default(void)
{
	static int n;

	if (!n)
		n = getenv("OMP_NUM_THREADS") ? omp_get_max_threads() : omp_get_num_procs();
	return n;
}

int threads_set(int n)
{
	int default_n = threads_default();

	omp_set_dynamic(0);
	n = n > 0 ? n : default_n;
	TRY(threads_check(n));
	omp_set_num_threads(n);
	/* This thread before the others: clang's OpenMP gives them this one's flags when a region
	 * begins, and gives it back its own when the region ends. */
	flush_denormals();
#pragma omp parallel
	flush_denormals();
	return OK;
}

int threads_share(int processes)
{
	int share = threads_default() / processes;

	return share > 0 ? share : 1;
}

int threads_count(void)
{
	return omp_get_max_threads();
}
