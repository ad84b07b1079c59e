/* machine.h - what this CPU and its memory can do at most: the yardsticks of `hone bench`.
 *
 *     fma      a loop of nothing but fused multiply-adds in f32, operands in registers, in the
 *              widest vectors that the CPU has (AVX-512, AVX2, else plain C)
 *     dot      the same of AVX512-BF16's vdpbf16ps: two products in bf16 added in f32
 *     amx      the same of AMX's tdpbf16ps
 *     read     a sum over a block of memory, once through
 *
 * One multiplication and one addition are 2 FLOP. Each is the sum of what the threads of
 * base/threads.h reach at the same time, the best of several tries. The threads' own CPU time
 * counts, so other programs on the same cores do not lower it; they do lower what memory gives. */
#ifndef MATH_MACHINE_H
#define MATH_MACHINE_H

#include <stddef.h>

/* FLOP/s */
double machine_fma(void);
double machine_amx(void); /* 0: none, or the system lets nobody use it (matmul_cpu_has_amx) */
double machine_dot(void); /* 0: the CPU has no such instruction (matmul_cpu_has_bf16) */

/* Whether vdpbf16ps does more products than two fma in the same time. Zen 4 and 5 start as many of
 * it as of fma; Intel's CPUs so far one where they start four fma, and there bf16 is faster by
 * widening. Measured in less than a millisecond, because no CPU says it of itself; what is measured
 * lies so far apart (1 and 4) that a busy machine does not change the answer, and no bit hangs on
 * it. */
int machine_dot_pays(void);

/* The share of these cores that other programs leave to this one, at the moment: 0..1. */
double machine_share(void);

/* Bytes a second. The block should be several times as large as the last cache. */
int machine_read(size_t bytes, double *rate);

#endif
