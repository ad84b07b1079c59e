/* safetensors.h - one file of named tensors, read with suspicion and written with the same bytes
 * every time.
 *
 *     8 bytes   n, little-endian
 *     n bytes   JSON: {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3],
 *               "data_offsets": [0, 24]}, ...}
 *     the rest  the data; offsets count from its first byte
 *
 * safetensors_open checks every rule of the format before anything is used: the length lies inside
 * the file, the header is one JSON object without a key twice, a shape is a list of whole numbers
 * whose product times the size of the type is the size of the data, and the tensors cover the data
 * with neither a hole nor an overlap. Tensor data are read from the file when they are asked for.
 *
 * Numbers are converted by their bits: BF16 and F16 to f32 exactly, f32 to BF16 and F16 to the
 * nearest, ties to even. */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include "base/memory.h"

#include <stddef.h>
#include <stdint.h>

/* Types that can be listed; the first three can be read and written. */
enum safetensors_type {
	SAFETENSORS_F32,
	SAFETENSORS_BF16,
	SAFETENSORS_F16,
	SAFETENSORS_F64,
	SAFETENSORS_F8_E4M3,
	SAFETENSORS_F8_E5M2,
	SAFETENSORS_F8_E8M0,
	SAFETENSORS_C64,
	SAFETENSORS_I64,
	SAFETENSORS_I32,
	SAFETENSORS_I16,
	SAFETENSORS_I8,
	SAFETENSORS_U64,
	SAFETENSORS_U32,
	SAFETENSORS_U16,
	SAFETENSORS_U8,
	SAFETENSORS_BOOL,
	SAFETENSORS_TYPES,
};
const char *safetensors_type_name(enum safetensors_type type); /* "BF16" */

/* ---- reading ---- */

struct safetensors_entry {
	const char           *name;
	enum safetensors_type type;
	int                   n_dims;
	const uint64_t       *dims;       /* [n_dims] */
	uint64_t              count;      /* product of dims; 1 for a scalar */
	uint64_t              begin, end; /* bytes, within the data */
};

struct safetensors {
	char                     *path;
	int                       fd;
	uint64_t                  data_at; /* where the data begin in the file */
	struct safetensors_entry *entries; /* [n] in the order of their data */
	size_t                    n;
	struct arena              arena; /* holds all of the above */
};

/* *out needs no close after an error */
int  safetensors_open(const char *path, struct safetensors *out);
void safetensors_close(struct safetensors *s);

/* or NULL */
const struct safetensors_entry *safetensors_find(const struct safetensors *s, const char *name);

/* Writes e->count floats to out. ERR_INPUT for a type that is not F32, BF16 or F16. */
int safetensors_read(const struct safetensors *s, const struct safetensors_entry *e, float *out);

/* ---- writing ---- */

enum { SAFETENSORS_DIMS_MAX = 4 };

struct safetensors_item {
	const char  *name;
	int          n_dims;
	uint64_t     dims[SAFETENSORS_DIMS_MAX];
	const float *data; /* [product of dims] borrowed; NULL: they are read, piece by piece, */
	/* n of them from `first` on, when their place in the file comes; as F32 alone */
	int (*read)(const void *owner, size_t first, size_t n, float *out);
	const void *owner;
};

/* Sorts the items by name and writes them as `type` (F32, BF16, F16), under a temporary name until
 * all is on disk. Data go out in small pieces: no second copy of a tensor is made. A finite number
 * that `type` cannot hold is an error naming tensor and index. */
int safetensors_write(const char *path, enum safetensors_type type, struct safetensors_item *items,
                      size_t n);

/* Reads what safetensors_write would read of these items, in the same pieces and order, and writes
 * nothing: for ranks whose part of the data another one writes. */
int safetensors_follow(struct safetensors_item *items, size_t n);

/* ---- numbers ---- */

float    float_from_bf16(uint16_t b);
float    float_from_f16(uint16_t h);
uint16_t float_to_bf16(float x);
uint16_t float_to_f16(float x);

#endif
