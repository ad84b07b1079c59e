/* rng.h - random numbers keyed by what they are for. No generator has state.
 *
 * A number is a function of (seed, purpose, step, item, sample, position) and of nothing else: not
 * of the order of calls, the batch, the thread or the rank. So sampling does not depend on
 * scheduling, and resume has nothing to restore. Philox4x32-10 (Salmon et al. 2011, "Parallel
 * random numbers: as easy as 1, 2, 3"); its known-answer vectors are in the tests.
 *
 *     key (64 bits)      seed
 *     counter word 0     position
 *     counter word 1     item       problem id, tensor index, ...
 *     counter word 2     step
 *     counter word 3     purpose in the upper 8 bits, sample in the lower 24 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

enum rng_purpose {
	RNG_TEST,
	RNG_INIT,
	RNG_SAMPLE,
	RNG_ORDER,
	RNG_CURRICULUM,
	RNG_GENERATE,
	RNG_EVAL,
	RNG_SHUFFLE,
	RNG_BOOTSTRAP,
	RNG_PERMUTE,
	RNG_REPLAY,
	RNG_CREDIT,
	RNG_GUIDE,
	RNG_HINT,
	RNG_ADAPTER,
	RNG_MIXTURE,
	RNG_HELD_OUT,
	RNG_COVARIANCE,
	RNG_RESAMPLE
};

struct rng_key {
	uint64_t         seed;
	enum rng_purpose purpose;
	uint32_t         step, item, sample; /* sample < 2^24 */
};

void rng_bits(struct rng_key key, uint32_t position, uint32_t out[4]); /* 128 random bits */
/* in [0, 1), multiples of 2^-24 */
float rng_uniform(struct rng_key key, uint32_t position);
/* in [0, 1), multiples of 2^-53 */
double rng_double(struct rng_key key, uint32_t position);
/* mean 0, variance 1 (Box-Muller) */
double rng_normal(struct rng_key key, uint32_t position);
/* in [0, n), n > 0; bias below n / 2^32 */
uint32_t rng_below(struct rng_key key, uint32_t position, uint32_t n);
/* Fisher-Yates; out[n] */
void rng_permutation(struct rng_key key, uint32_t n, uint32_t *out);

/* For code that draws a varying number of values (a puzzle generator): a key and a position that
 * moves on. */
struct rng_stream {
	struct rng_key key;
	uint32_t       position;
};
uint32_t rng_next_below(struct rng_stream *s, uint32_t n);
/* inclusive; high - low < 2^32 - 1 */
int64_t rng_next_between(struct rng_stream *s, int64_t low, int64_t high);
double  rng_next_double(struct rng_stream *s);

#endif
