/* compute_options.h - the options of the room compute: with what, and how much at once. None but
 * numerics, precision, order and a library's backend changes a bit of the result. */
#ifndef MATH_COMPUTE_OPTIONS_H
#define MATH_COMPUTE_OPTIONS_H

#include "base/option.h"
#include "math/matmul.h"

enum recompute { RECOMPUTE_AUTO, RECOMPUTE_ON, RECOMPUTE_OFF };

struct compute_options {
	int                   threads; /* 0: all cores */
	struct matmul_options matmul;
	int                   micro_batch_tokens;
	int                   recompute; /* enum recompute: what layers computed, on the way back */
	double                memory_limit_gb; /* 0: what the machine has */
};
extern const struct option_table compute_options_table;

#endif
