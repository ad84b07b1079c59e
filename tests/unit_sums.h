/* unit_sums.h - gradients of units whose sum shows its order, and the tree by its definition. */
#ifndef TESTS_UNIT_SUMS_H
#define TESTS_UNIT_SUMS_H

#include "base/rng.h"

#include <math.h>

/* Element i of unit u: wide exponents, so that any other order of adding shows. */
static inline float value(uint32_t u, size_t i)
{
	struct rng_key key = {.seed = 1, .purpose = RNG_TEST, .item = u};

	return (float)ldexp(rng_normal(key, (uint32_t)i),
	                    (int)rng_below(key, (uint32_t)(i + (1 << 20)), 30));
}

/* The definition: level by level, node 2i + node 2i+1, an odd last node moves up unchanged. */
static inline float tree_sum(float *node, uint32_t n)
{
	for (; n > 1; n = (n + 1) / 2)
		for (uint32_t i = 0; i < (n + 1) / 2; i++)
			node[i] = 2 * i + 1 < n ? node[2 * i] + node[2 * i + 1] : node[2 * i];
	return n ? node[0] : 0;
}

#endif
