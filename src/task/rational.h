/* rational.h - exact fractions num/den in lowest terms, den > 0, of 64-bit integers. */
#ifndef TASK_RATIONAL_H
#define TASK_RATIONAL_H

#include <stdint.h>

struct rational {
	int64_t num, den;
};

/* *out = a OP b for OP in + - * /. Returns 1; 0 when it divides by zero or no longer fits (then *out stays as it was). */
int rational_apply(char op, struct rational a, struct rational b, struct rational *out);

#endif
