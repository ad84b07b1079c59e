#include "math/tile.h"

#include <stddef.h>

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

void tile_product(const struct tile_product *p, int rows, int columns, int n_k)
{
	tile_width_at(0)->product(p, rows, columns, n_k);
}
