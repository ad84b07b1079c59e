#include "model/blocks.h"

#include <assert.h>

struct block blocks_next(uint64_t first, uint64_t end)
{
	uint64_t size = UINT64_C(1) << (63 - __builtin_clzll(end - first)), most = first & -first;

	assert(first < end);
	return (struct block){first, first && most < size ? most : size};
}

int blocks_count(uint64_t first, uint64_t end)
{
	int n = 0;

	for (; first < end; n++)
		first += blocks_next(first, end).size;
	return n;
}

uint64_t blocks_end(uint32_t end, uint32_t n)
{
	uint64_t all = 1;

	assert(end <= n);
	while (all < n)
		all *= 2;
	return end == n ? all : end;
}

int blocks_meet(const struct block *a, const struct block *b)
{
	return a->size == b->size && a->first % (2 * a->size) == 0;
}
