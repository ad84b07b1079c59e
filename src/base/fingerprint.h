/* fingerprint.h - a number of 64 bits that tells whether something is still the same: FNV-1a
 * (Fowler, Noll, Vo; draft-eastlake-fnv).
 *
 *     h = FINGERPRINT_EMPTY;  for each byte:  h = (h XOR byte) * (2^40 + 435) mod 2^64
 *
 * It notices chance and mistakes (another file, weights of a later step), not malice: anybody can
 * make two texts with the same fingerprint. The same on every machine of the same byte order. */
#ifndef BASE_FINGERPRINT_H
#define BASE_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

#define FINGERPRINT_EMPTY UINT64_C(0xcbf29ce484222325)

/* What h is once these are added to it. */
uint64_t fingerprint_bytes(uint64_t h, const void *data, size_t n);
/* with its 0, so that "ab" "c" is not "a" "bc"; NULL is no text, which is not "" */
uint64_t fingerprint_text(uint64_t h, const char *s);
/* by their bits, four bytes at a time: models are large */
uint64_t fingerprint_floats(uint64_t h, const float *x, size_t n);

#endif
