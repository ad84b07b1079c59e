/* bf16 by AMX, whose tdpbf16ps is 32 k of the tile order of matmul.h for 16 x 16 results: the even
 * products of a result in one chain of fma from 0, the odd ones in another, their sum added to the
 * result; to nearest even, denormals as zeros, whatever the thread's flags say.
 *
 * A tile of results is 32 rows x 32 columns, four registers of 16 x 16; up to 16 rows take 64
 * columns. The panels of B are those of the vector kernels: a register reads every 32nd word of a
 * column.
 *
 * The system must let a process use these registers (8 KiB to save at each change of threads), so
 * matmul_cpu_has_amx asks for them. A thread gives them back when its share is done. */
#include "math/matmul_tiled.h"

#include "base/error.h"

#if defined(__x86_64__)

#include "math/amx.h"

#include <cpuid.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { AMX_PANEL = 2 * AMX_SIDE };

/* ---- whether there is one ---- */

enum { AMX_ASK = 0x1023 /* ARCH_REQ_XCOMP_PERM */, AMX_DATA = 18 /* XFEATURE_XTILEDATA */ };
enum { AMX_STATES = 3 << 17 }; /* XCR0: the system saves the registers and their shapes */

static int amx_in_cpu(void)
{
	enum { OSXSAVE = 1 << 27, BF16 = 1 << 22, TILE = 1 << 24 };
	unsigned a, b, c, d, low, high;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE))
		return 0;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & AMX_STATES) == AMX_STATES && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
	       (d & BF16) && (d & TILE);
}

int matmul_cpu_has_amx(void)
{
	return amx_in_cpu() && matmul_cpu_has_bf16() &&
	       syscall(SYS_arch_prctl, AMX_ASK, AMX_DATA) == 0;
}

/* ---- the kernel ---- */

/* Where registers read and write the results: C itself, or beside it when it has not all the rows
 * or is to be added to. */
struct amx_results {
	float *at;
	size_t bytes; /* from row to row */
};

static int amx_is_beside(const struct tile *t, enum tile_start start, int height)
{
	return t->rows < height || start == TILE_ADD || start == TILE_ADD_ZERO;
}

/* The rows that C has, from beside, `width` columns. */
static void amx_finish(const struct tile *t, enum tile_start start, int width, const float *beside)
{
	for (int r = 0; r < t->rows; r++, beside += width) {
		float *c = t->c + (size_t)r * t->c_row;
		for (int j = 0; j < width; j += AMX_SIDE) {
			__m512 v = _mm512_loadu_ps(beside + j);
			if (start == TILE_ADD)
				v = _mm512_add_ps(_mm512_loadu_ps(c + j), v);
			if (start == TILE_ADD_ZERO)
				v = _mm512_add_ps(_mm512_setzero_ps(), v);
			_mm512_storeu_ps(c + j, v);
		}
	}
}

static struct amx_results amx_results(const struct tile *t, enum tile_start start, int height,
                                      int width, float *beside)
{
	if (!amx_is_beside(t, start, height))
		return (struct amx_results){t->c, t->c_row * sizeof *t->c};
	if (start == TILE_GO_ON)
		for (int r = 0; r < t->rows; r++)
			memcpy(beside + r * width, t->c + (size_t)r * t->c_row,
			       (size_t)width * sizeof *beside);
	/* the compiler does not know that loading a register reads it */
	__asm__ volatile("" : : "r"(beside) : "memory");
	return (struct amx_results){beside, (size_t)width * sizeof *beside};
}

/* Up to 32 rows, one panel:   0 1   =  4   x  6 7
 *                             2 3      5              */
static void amx_tall(const struct tile *t, enum tile_start start)
{
	enum { HEIGHT = 2 * AMX_SIDE, WIDTH = AMX_PANEL };
	float              beside[HEIGHT * WIDTH];
	struct amx_results c = amx_results(t, start, HEIGHT, WIDTH, beside);
	float             *below = c.at + AMX_SIDE * (c.bytes / sizeof *c.at);
	const size_t       a_bytes = t->a_row * sizeof *t->a, b_bytes = AMX_PANEL * sizeof *t->b;
	const float       *a = t->a, *b = t->b, *a_below = a + AMX_SIDE * t->a_row;

	if (start == TILE_GO_ON) {
		_tile_loadd(0, c.at, c.bytes);
		_tile_loadd(1, c.at + AMX_SIDE, c.bytes);
		_tile_loadd(2, below, c.bytes);
		_tile_loadd(3, below + AMX_SIDE, c.bytes);
	} else {
		_tile_zero(0);
		_tile_zero(1);
		_tile_zero(2);
		_tile_zero(3);
	}
	for (int k = 0; k < t->depth; k += AMX_SIDE, b += AMX_SIDE * AMX_PANEL) {
		_tile_loadd(6, b, b_bytes);
		_tile_loadd(4, a + k, a_bytes);
		_tile_dpbf16ps(0, 4, 6);
		_tile_loadd(7, b + AMX_SIDE, b_bytes);
		_tile_dpbf16ps(1, 4, 7);
		_tile_loadd(5, a_below + k, a_bytes);
		_tile_dpbf16ps(2, 5, 6);
		_tile_dpbf16ps(3, 5, 7);
	}
	_tile_stored(0, c.at, c.bytes);
	_tile_stored(1, c.at + AMX_SIDE, c.bytes);
	_tile_stored(2, below, c.bytes);
	_tile_stored(3, below + AMX_SIDE, c.bytes);
	if (c.at == beside)
		amx_finish(t, start, WIDTH, beside);
}

/* Up to 16 rows, two panels:   0 1 2 3   =   4   x   5 6 5 6 */
static void amx_wide(const struct tile *t, enum tile_start start)
{
	enum { HEIGHT = AMX_SIDE, WIDTH = 2 * AMX_PANEL };
	float              beside[HEIGHT * WIDTH];
	struct amx_results c = amx_results(t, start, HEIGHT, WIDTH, beside);
	const size_t       a_bytes = t->a_row * sizeof *t->a, b_bytes = AMX_PANEL * sizeof *t->b;
	const float       *a = t->a, *b = t->b, *next = b + t->b_panel;

	if (start == TILE_GO_ON) {
		_tile_loadd(0, c.at, c.bytes);
		_tile_loadd(1, c.at + AMX_SIDE, c.bytes);
		_tile_loadd(2, c.at + 2 * AMX_SIDE, c.bytes);
		_tile_loadd(3, c.at + 3 * AMX_SIDE, c.bytes);
	} else {
		_tile_zero(0);
		_tile_zero(1);
		_tile_zero(2);
		_tile_zero(3);
	}
	for (int k = 0; k < t->depth; k += AMX_SIDE) {
		_tile_loadd(4, a + k, a_bytes);
		_tile_loadd(5, b, b_bytes);
		_tile_dpbf16ps(0, 4, 5);
		_tile_loadd(6, b + AMX_SIDE, b_bytes);
		_tile_dpbf16ps(1, 4, 6);
		_tile_loadd(5, next, b_bytes);
		_tile_dpbf16ps(2, 4, 5);
		_tile_loadd(6, next + AMX_SIDE, b_bytes);
		_tile_dpbf16ps(3, 4, 6);
		b += AMX_SIDE * AMX_PANEL;
		next += AMX_SIDE * AMX_PANEL;
	}
	_tile_stored(0, c.at, c.bytes);
	_tile_stored(1, c.at + AMX_SIDE, c.bytes);
	_tile_stored(2, c.at + 2 * AMX_SIDE, c.bytes);
	_tile_stored(3, c.at + 3 * AMX_SIDE, c.bytes);
	if (c.at == beside)
		amx_finish(t, start, WIDTH, beside);
}

/* Up to 16 rows, one panel:   0 1   =   4   x   5 6 */
static void amx_small(const struct tile *t, enum tile_start start)
{
	enum { HEIGHT = AMX_SIDE, WIDTH = AMX_PANEL };
	float              beside[HEIGHT * WIDTH];
	struct amx_results c = amx_results(t, start, HEIGHT, WIDTH, beside);
	const size_t       a_bytes = t->a_row * sizeof *t->a, b_bytes = AMX_PANEL * sizeof *t->b;
	const float       *a = t->a, *b = t->b;

	if (start == TILE_GO_ON) {
		_tile_loadd(0, c.at, c.bytes);
		_tile_loadd(1, c.at + AMX_SIDE, c.bytes);
	} else {
		_tile_zero(0);
		_tile_zero(1);
	}
	for (int k = 0; k < t->depth; k += AMX_SIDE, b += AMX_SIDE * AMX_PANEL) {
		_tile_loadd(4, a + k, a_bytes);
		_tile_loadd(5, b, b_bytes);
		_tile_dpbf16ps(0, 4, 5);
		_tile_loadd(6, b + AMX_SIDE, b_bytes);
		_tile_dpbf16ps(1, 4, 6);
	}
	_tile_stored(0, c.at, c.bytes);
	_tile_stored(1, c.at + AMX_SIDE, c.bytes);
	if (c.at == beside)
		amx_finish(t, start, WIDTH, beside);
}

static const struct tile_kernel amx_kernel = {
        .name = "32 x 32",
        .form = TILE_SQUARES,
        .chain = TILE_CHAIN_WORDS,
        .rows = 2 * AMX_SIDE,
        .panel = AMX_PANEL,
        .granule = AMX_SIDE,
        .together = {[1] = 2, [2] = 1},
        .several = {[1] = amx_wide, [2] = amx_tall},
        .one = {[1] = amx_small, [2] = amx_tall},
        .one_packed = {[1] = amx_small, [2] = amx_tall},
        .packing = &matmul_pairs,
        .begin = amx_take,
        .end = amx_give_back,
};

static int amx_open(struct matmul *m)
{
	if (!m->bf16 || !m->in_tiles)
		return error_set(ERR_INPUT,
		                 "compute.backend: amx has bf16 in the tile order alone; choose "
		                 "auto, or compute.precision: bf16 and compute.order: tile");
	return tiled_open(m, &amx_kernel, matmul_cpu_has_amx());
}

const struct matmul_backend matmul_amx = TILED_BACKEND("amx", amx_open);

#else

int matmul_cpu_has_amx(void)
{
	return 0;
}

#endif
