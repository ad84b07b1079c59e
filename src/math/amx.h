/* amx.h - the registers of AMX: eight squares of 16 rows x 16 words. A thread takes them before its
 * first instruction and gives them back behind its last one, or each change of threads has 8 KiB to
 * save. Whether there are any: matmul_cpu_has_amx. */
#ifndef MATH_AMX_H
#define MATH_AMX_H

#include <immintrin.h>
#include <stdint.h>

enum { AMX_SIDE = 16 };

#define AMX_EIGHT(x) \
	{ \
		x, x, x, x, x, x, x, x \
	}
#define AMX_INLINE static inline __attribute__((target("amx-tile")))

/* Of all eight: 16 rows of 64 bytes. */
static const struct {
	uint8_t  palette, first_row, zeros[14];
	uint16_t row_bytes[16];
	uint8_t  rows[16];
} amx_shapes = {.palette = 1, .row_bytes = AMX_EIGHT(4 * AMX_SIDE), .rows = AMX_EIGHT(AMX_SIDE)};

AMX_INLINE void amx_take(void)
{
	_tile_loadconfig(&amx_shapes);
}

AMX_INLINE void amx_give_back(void)
{
	_tile_release();
}

#endif
