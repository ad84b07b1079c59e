#include "base/shares.h"

#include <assert.h>
#include <stddef.h>

/* Fills share after share with blocks of `align` items while they fit into `most`; whether all
 * items have a place. */
static int shares_fill(const struct shares_of *s, int parts, uint32_t align, int64_t most,
                       uint32_t *first)
{
	int     part = 0;
	int64_t sum = 0;

	if (first)
		first[0] = 0;
	for (uint32_t at = 0; at < s->n; at += align) {
		int64_t block = 0;
		for (uint32_t i = at; i < at + align && i < s->n; i++)
			block += s->work(s->of, i);
		if (sum + block > most) {
			if (block > most || ++part == parts)
				return 0;
			if (first)
				first[part] = at;
			sum = 0;
		}
		sum += block;
	}
	while (first && part++ < parts)
		first[part] = s->n;
	return 1;
}

int64_t shares_cut(const struct shares_of *s, int parts, uint32_t align, uint32_t *first)
{
	int64_t low = 0, high = 0;

	assert(parts > 0 && align > 0);
	for (uint32_t i = 0; i < s->n; i++)
		high += s->work(s->of, i);
	while (low < high) {
		int64_t middle = low + (high - low) / 2;
		if (shares_fill(s, parts, align, middle, NULL))
			high = middle;
		else
			low = middle + 1;
	}
	if (first)
		shares_fill(s, parts, align, low, first);
	return low;
}

void shares_cut_aligned(const struct shares_of *s, int parts, uint32_t *first)
{
	int64_t  best = shares_cut(s, parts, 1, NULL);
	uint32_t align = 1;

	while (align < s->n)
		align *= 2;
	while (align > 1 && shares_cut(s, parts, align, NULL) > best + best / SHARES_LOSS)
		align /= 2;
	shares_cut(s, parts, align, first);
}
