#include "base/threads.h"

#include <omp.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static void flush_denormals(void)
{
#if defined(__x86_64__)
	_mm_setcsr(_mm_getcsr() | 0x8040); /* FTZ and DAZ */
#endif
}

void threads_set(int n)
{
	omp_set_dynamic(0);
	omp_set_num_threads(n > 0 ? n : omp_get_num_procs());
#pragma omp parallel
	flush_denormals();
}

int threads_count(void)
{
	return omp_get_max_threads();
}
