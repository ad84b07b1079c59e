#include "base/fingerprint.h"

#include <string.h>

static uint64_t fingerprint_mix(uint64_t h, uint64_t x)
{
	return (h ^ x) * UINT64_C(0x100000001b3);
}

uint64_t fingerprint_bytes(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		h = fingerprint_mix(h, p[i]);
	return h;
}

uint64_t fingerprint_text(uint64_t h, const char *s)
{
	return s ? fingerprint_bytes(h, s, strlen(s) + 1) : fingerprint_mix(h, 256);
}

uint64_t fingerprint_floats(uint64_t h, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, &x[i], sizeof bits);
		h = fingerprint_mix(h, bits);
	}
	return h;
}
