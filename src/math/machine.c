#include "math/machine.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"
#include "math/matmul.h"

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include "math/amx.h"
#endif

enum { MACHINE_TRIES = 5 };
static const double machine_try_seconds = 5e-3;

/* ---- instructions ---- */

/* A loop of `turns` turns over CHAINS sums, more than the instruction's latency needs. The sums
 * never leave their registers: SUM keeps the compiler from computing them beforehand, or not at
 * all. Returns nothing that matters. */
#define MACHINE_LOOP(name, target, vector, CHAINS, zero, operand, step) \
	target static void name(long turns) \
	{ \
		vector sum[CHAINS], a = operand, b = operand; \
\
		_Pragma("GCC unroll 32") for (int i = 0; i < CHAINS; i++) sum[i] = zero; \
		for (long turn = 0; turn < turns; turn++) \
			_Pragma("GCC unroll 32") for (int i = 0; i < CHAINS; i++) \
			{ \
				sum[i] = step; \
				__asm__ volatile("" : "+" MACHINE_REGISTER(sum[i])); \
			} \
	}

#if defined(__x86_64__)
#define MACHINE_REGISTER(x) "v"(x)
#define MACHINE_FOR(features) __attribute__((target(features)))
MACHINE_LOOP(loop_fma512, MACHINE_FOR("avx512f"), __m512, 24, _mm512_setzero_ps(),
             _mm512_set1_ps(0.5f), _mm512_fmadd_ps(sum[i], a, b))
MACHINE_LOOP(loop_fma256, MACHINE_FOR("avx2,fma"), __m256, 12, _mm256_setzero_ps(),
             _mm256_set1_ps(0.5f), _mm256_fmadd_ps(sum[i], a, b))
MACHINE_LOOP(loop_dot512, MACHINE_FOR("avx512f,avx512bf16"), __m512, 24, _mm512_setzero_ps(),
             _mm512_setzero_ps(), _mm512_dpbf16_ps(sum[i], (__m512bh)a, (__m512bh)b))
MACHINE_FOR("amx-tile,amx-bf16") static void loop_amx(long turns)
{
	amx_take(); /* all zeros */
	for (long turn = 0; turn < turns; turn++) {
		_tile_dpbf16ps(0, 4, 6);
		_tile_dpbf16ps(1, 4, 7);
		_tile_dpbf16ps(2, 5, 6);
		_tile_dpbf16ps(3, 5, 7);
	}
	amx_give_back();
}
MACHINE_LOOP(loop_plain, , __m128, 12, _mm_setzero_ps(), _mm_set1_ps(0.5f),
             _mm_add_ps(_mm_mul_ps(sum[i], a), b))
#else
#define MACHINE_REGISTER(x) "m"(x)
typedef float machine_four __attribute__((vector_size(16)));
#define MACHINE_HALF ((machine_four){0.5f, 0.5f, 0.5f, 0.5f})
MACHINE_LOOP(loop_plain, , machine_four, 12, (machine_four){0}, MACHINE_HALF, sum[i] * a + b)
#endif

struct machine_loop {
	void (*run)(long turns);
	double flops; /* of a turn */
};

static double machine_cpu_seconds(void) /* of this thread */
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double machine_seconds(const struct machine_loop *l, long turns)
{
	double start = machine_cpu_seconds();

	l->run(turns);
	return machine_cpu_seconds() - start;
}

/* The sum of what the threads reach while all of them work. */
static double machine_rate(const struct machine_loop *l)
{
	long   turns = 1000;
	double best = 0;

	while (machine_seconds(l, turns) < machine_try_seconds)
		turns *= 2;
	for (int i = 0; i < MACHINE_TRIES; i++) {
		double rate = 0;
#pragma omp parallel
		{
			double seconds = machine_seconds(l, turns);
#pragma omp critical(machine)
			rate += (double)turns * l->flops / seconds;
		}
		best = rate > best ? rate : best;
	}
	return best;
}

double machine_fma(void)
{
	const struct machine_loop plain = {loop_plain, 2.0 * 4 * 12};
#if defined(__x86_64__)
	const struct machine_loop wide = {loop_fma512, 2.0 * 16 * 24},
	                          half = {loop_fma256, 2.0 * 8 * 12};

	if (__builtin_cpu_supports("avx512f"))
		return machine_rate(&wide);
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return machine_rate(&half);
#endif
	return machine_rate(&plain);
}

double machine_share(void)
{
	const long turns = 1000000;
	double     start = clock_seconds(), computed = 0;

#pragma omp parallel
	{
		double seconds = machine_seconds(&(struct machine_loop){loop_plain, 0}, turns);
#pragma omp critical(machine)
		computed += seconds;
	}
	computed /= (clock_seconds() - start) * threads_count();
	return computed < 1 ? computed : 1;
}

double machine_amx(void)
{
#if defined(__x86_64__)
	const struct machine_loop amx = {loop_amx, 4 * 2.0 * 16 * 16 * 32};

	if (matmul_cpu_has_amx())
		return machine_rate(&amx);
#endif
	return 0;
}

double machine_dot(void)
{
#if defined(__x86_64__)
	const struct machine_loop dot = {loop_dot512, 2.0 * 32 * 24};

	if (matmul_cpu_has_bf16())
		return machine_rate(&dot);
#endif
	return 0;
}

#if defined(__x86_64__)
/* Lowers *least to what a short try takes: nobody else runs in one of several. */
static void machine_try(void (*run)(long turns), double *least)
{
	double start = clock_seconds(), seconds;

	run(400);
	seconds = clock_seconds() - start;
	*least = seconds < *least ? seconds : *least;
}
#endif

int machine_dot_pays(void)
{
#if defined(__x86_64__)
	double dot = 1, fma = 1; /* seconds for as many instructions of both */

	for (int i = 0; i < 16 && matmul_cpu_has_bf16(); i++) {
		machine_try(loop_dot512, &dot);
		machine_try(loop_fma512, &fma);
	}
	return dot < 2 * fma && matmul_cpu_has_bf16();
#else
	return 0;
#endif
}

/* ---- memory ---- */

/* Sums of n words in eight chains: so many reads are on their way at once. */
static uint64_t machine_sum(const uint64_t *x, size_t n)
{
	uint64_t sum[8] = {0}, all = 0;

	for (size_t i = 0; i + 8 <= n; i += 8)
		for (int j = 0; j < 8; j++)
			sum[j] += x[i + (size_t)j];
	for (int j = 0; j < 8; j++)
		all += sum[j];
	return all;
}

/* Each thread reads a stretch of its own. The sum goes where the compiler must leave it. */
static double machine_read_once(const uint64_t *x, size_t n)
{
	int               threads = threads_count();
	size_t            each = n / (size_t)threads;
	volatile uint64_t sink = 0;
	double            rate = 0;

#pragma omp parallel for schedule(static)
	for (int t = 0; t < threads; t++) {
		double   start = machine_cpu_seconds();
		uint64_t sum = machine_sum(x + (size_t)t * each, each);
#pragma omp critical(machine)
		{
			sink += sum;
			rate += (double)(each * sizeof *x) / (machine_cpu_seconds() - start);
		}
	}
	return rate;
}

int machine_read(size_t bytes, double *rate)
{
	size_t    n = bytes / sizeof(uint64_t);
	uint64_t *x;

	TRY(mem_take(n, "the measurement of memory", &x));
#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < n; i++)
		x[i] = i; /* or all pages would be the one page of zeros */
	*rate = 0;
	for (int i = 0; i < MACHINE_TRIES; i++) {
		double once = machine_read_once(x, n);
		*rate = once > *rate ? once : *rate;
	}
	mem_free(x);
	return OK;
}
