/* bf16.h - bfloat16: sign, exponent and the first 7 bits of the fraction of an f32, its upper half.
 *
 * Widening is exact. Rounding is to nearest, ties to even, of the bits; NaN stays NaN. Products
 * flush denormals, as the instructions for bf16 do (matmul.h); files keep them. */
#ifndef MATH_BF16_H
#define MATH_BF16_H

#include <stdint.h>
#include <string.h>

static inline float bf16_widen(uint16_t b)
{
	uint32_t bits = (uint32_t)b << 16;
	float    x;

	memcpy(&x, &bits, sizeof x);
	return x;
}

static inline uint16_t bf16_round(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	return (bits & 0x7fffffff) > 0x7f800000
	               ? (uint16_t)(bits >> 16 | 0x40) /* or a NaN could become infinite */
	               : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* An operand of a product: rounded, a denormal as a zero of its sign. */
static inline uint16_t bf16_operand(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	return bits & 0x7f800000 ? bf16_round(x) : (uint16_t)(bits >> 16 & 0x8000);
}

#endif
