#include "base/rng.h"

#include "base/real.h"

#include <assert.h>
#include <math.h>

/* One block of Philox4x32-10: ten rounds of two 32x32 multiplications, the key bumped by the golden
 * ratio and sqrt(3)-1. */
static void philox(uint64_t seed, const uint32_t counter[4], uint32_t out[4])
{
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
	uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);

	for (int round = 0; round < 10; round++) {
		uint64_t p0 = (uint64_t)0xD2511F53u * c0;
		uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
		c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)p1;
		c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)p0;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void rng_bits(struct rng_key key, uint32_t position, uint32_t out[4])
{
	const uint32_t counter[4] = {position, key.item, key.step,
	                             (uint32_t)key.purpose << 24 | key.sample};

	assert(key.sample < 1u << 24);
	philox(key.seed, counter, out);
}

float rng_uniform(struct rng_key key, uint32_t position)
{
	uint32_t b[4];

	rng_bits(key, position, b);
	return (float)(b[0] >> 8) * 0x1p-24f;
}

double rng_double(struct rng_key key, uint32_t position)
{
	uint32_t b[4];

	rng_bits(key, position, b);
	return (double)(((uint64_t)b[0] << 32 | b[1]) >> 11) * 0x1p-53;
}

double rng_normal(struct rng_key key, uint32_t position)
{
	uint32_t b[4];
	double   u, v;

	rng_bits(key, position, b);
	u = (double)(((uint64_t)b[0] << 32 | b[1]) >> 11) * 0x1p-53;
	v = (double)(((uint64_t)b[2] << 32 | b[3]) >> 11) * 0x1p-53;
	return sqrt(-2.0 * real_log(1 - u)) * real_cos(6.283185307179586 * v); /* 1 - u is exact */
}

uint32_t rng_below(struct rng_key key, uint32_t position, uint32_t n)
{
	uint32_t b[4];

	assert(n > 0);
	rng_bits(key, position, b);
	return (uint32_t)(((uint64_t)b[0] * n) >> 32);
}

void rng_permutation(struct rng_key key, uint32_t n, uint32_t *out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = i;
	for (uint32_t i = n; i-- > 1;) {
		uint32_t j = rng_below(key, i, i + 1), t = out[i];
		out[i] = out[j];
		out[j] = t;
	}
}

uint32_t rng_next_below(struct rng_stream *s, uint32_t n)
{
	return rng_below(s->key, s->position++, n);
}

int64_t rng_next_between(struct rng_stream *s, int64_t low, int64_t high)
{
	assert(low <= high);
	return low + (int64_t)rng_next_below(s, (uint32_t)(high - low + 1));
}

double rng_next_double(struct rng_stream *s)
{
	return rng_double(s->key, s->position++);
}
