/* gguf.h - the GGUF container (llama.cpp's file of a model), versions 2 and 3, little-endian: read
 * with suspicion, written with the same bytes every time.
 *
 *     "GGUF"  u32 version  u64 tensors  u64 values
 *     values     text key, u32 type, then the value; an array: u32 type of its elements, u64 count,
 *                the elements
 *     tensors    text name, u32 number of sides, u64 each side, u32 type, u64 offset
 *     padding up to a multiple of the alignment (general.alignment, else 32), then the data, from
 *                which offsets count
 *
 * A text is a u64 length and its bytes. Nothing is aligned before the data. Of the sides the
 * fastest stands first: a matrix that others call [out x in] has the sides in, out. Data are
 * blocks: `block` numbers in `bytes` bytes (gguf_type_of); a row is whole blocks.
 *
 * gguf_open checks all of it before anything is used, and each count against the bytes that are
 * left before memory is taken for it: no key and no name comes twice, an array holds no arrays, a
 * product of sides fits into 64 bits, tensors lie within the file, aligned, and do not overlap.
 * What a tensor's numbers are is not known here (model/gguf_quant.h). */
#ifndef BASE_GGUF_H
#define BASE_GGUF_H

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

enum gguf_kind { /* of a value; the numbers of the format */
	         GGUF_U8,
	         GGUF_I8,
	         GGUF_U16,
	         GGUF_I16,
	         GGUF_U32,
	         GGUF_I32,
	         GGUF_F32,
	         GGUF_BOOL,
	         GGUF_TEXT,
	         GGUF_ARRAY,
	         GGUF_U64,
	         GGUF_I64,
	         GGUF_F64,
	         GGUF_KINDS,
};

enum { GGUF_SIDES_MAX = 4, GGUF_TYPES = 64 };

struct gguf_type {        /* of a tensor */
	const char *name; /* "Q4_K"; NULL: there is none of this number */
	unsigned    block, bytes;
};
/* NULL when no type has this number */
const struct gguf_type *gguf_type_of(uint32_t type);
int                     gguf_type_find(const char *name, uint32_t *out); /* 0 when there is none */

struct gguf_text { /* not ended by a 0, and it may hold one */
	const char *s;
	size_t      n;
};

struct gguf_value {
	const char    *key;
	enum gguf_kind kind;  /* of an array, that of its elements */
	int            array; /* else count is 1 */
	uint64_t       count;
	size_t         at; /* of the first element in the head */
};

struct gguf_tensor {
	const char *name;
	uint32_t    type; /* gguf_type_of is not NULL */
	int         n_sides;
	uint64_t    sides[GGUF_SIDES_MAX]; /* the fastest first; 1 beyond n_sides */
	uint64_t    count, bytes;          /* product of the sides; of all blocks */
	uint64_t    at;                    /* in the file */
};

struct gguf {
	char               *path;
	int                 fd;
	struct gguf_value  *values;  /* [n_values] by key */
	struct gguf_tensor *tensors; /* [n_tensors] by name */
	size_t              n_values, n_tensors;
	unsigned char      *head;  /* all before the data */
	struct arena        arena; /* holds the rest of the above */
};

/* By its name, x.gguf, or by its first four bytes. */
int gguf_is(const char *path);

int  gguf_open(const char *path, struct gguf *out); /* *out needs no close after an error */
void gguf_close(struct gguf *g);

const struct gguf_value  *gguf_find(const struct gguf *g, const char *key);         /* or NULL */
const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name); /* or NULL */

/* n bytes of a tensor's data from `from` on, which must be there. */
int gguf_read(const struct gguf *g, const struct gguf_tensor *t, uint64_t from, void *out,
              size_t n);

/* Values by key. A key that is missing leaves *out as it is when `required` is 0; what is of
 * another kind, or out of bounds, is ERR_INPUT naming file and key. An int is any whole number of
 * the format, a real any number. */
enum { GGUF_OPTIONAL = 0, GGUF_REQUIRED = 1 };
int gguf_get_int(const struct gguf *g, const char *key, int required, int64_t low, int64_t high,
                 int64_t *out);
/* of an F32 the double with the fewest digits that is rounded to it: 1e-5 comes back as 1e-5 */
int gguf_get_real(const struct gguf *g, const char *key, int required, double *out);
int gguf_get_bool(const struct gguf *g, const char *key, int required, int *out);
/* a copy in `a`; ERR_INPUT where it has a NUL byte in it */
int gguf_get_text(const struct gguf *g, const char *key, int required, struct arena *a,
                  const char **out);
/* NULL when it is missing */
int gguf_get_array(const struct gguf *g, const char *key, int required, enum gguf_kind kind,
                   const struct gguf_value **out);

/* Elements: of whole numbers and F32; the texts of an array, [count] in `a`, borrowed from g. */
int64_t gguf_whole(const struct gguf *g, const struct gguf_value *v, uint64_t i);
float   gguf_float(const struct gguf *g, const struct gguf_value *v, uint64_t i);
int     gguf_texts(const struct gguf *g, const struct gguf_value *v, struct arena *a,
                   struct gguf_text **out);

/* ADDS the value for a person: a text is cut, of an array its kind and count are said. */
void gguf_show(const struct gguf *g, const struct gguf_value *v, struct text *out);

/* ---- writing: values and tensors are told first, then head and data go out in that order ---- */

struct gguf_out { /* begins zeroed */
	struct text values, tensors;
	uint64_t    n_values, n_tensors, bytes; /* of the data, each tensor padded */
};

void gguf_out_u32(struct gguf_out *o, const char *key, uint32_t x);
void gguf_out_f32(struct gguf_out *o, const char *key, float x);
void gguf_out_bool(struct gguf_out *o, const char *key, int x);
void gguf_out_text(struct gguf_out *o, const char *key, const char *s, size_t n);
/* then each of n elements */
void gguf_out_array(struct gguf_out *o, const char *key, enum gguf_kind kind, uint64_t n);
void gguf_out_element(struct gguf_out *o, const void *x, size_t bytes); /* a number */
void gguf_out_element_text(struct gguf_out *o, const char *s, size_t n);
void gguf_out_tensor(struct gguf_out *o, const char *name, uint32_t type, int n_sides,
                     const uint64_t *sides);

int gguf_out_head(const struct gguf_out *o, struct file_out *f);
/* behind the `bytes` bytes of a tensor's data */
int  gguf_out_pad(struct file_out *f, uint64_t bytes);
void gguf_out_free(struct gguf_out *o);

#endif
