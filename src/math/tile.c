#include "math/tile.h"

#include <stddef.h>
#include <string.h>

const struct tile_width *tile_width_at(int i)
{
	const struct tile_width *fit[] = {
#if defined(__x86_64__)
		__builtin_cpu_supports("avx512f") ? &tile_avx512 : NULL,
		__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &tile_avx2 : NULL,
#endif
		&tile_plain,
	};
	int n = sizeof fit / sizeof *fit;

	for (int at = 0; at < n; at++)
		if (fit[at] && i-- == 0)
			return fit[at];
	return NULL;
}

static const struct tile_width *tile_chosen; /* NULL: the widest */

void tile_choose(const char *backend)
{
	tile_chosen = NULL;
	for (int i = 0; tile_width_at(i); i++)
		if (strcmp(tile_width_at(i)->name, backend) == 0)
			tile_chosen = tile_width_at(i);
}

const struct tile_width *tile_taken(void)
{
	return tile_chosen ? tile_chosen : tile_width_at(0);
}

void tile_product(const struct tile_product *p, int rows, int columns, int n_k)
{
	tile_taken()->product(p, rows, columns, n_k);
}
