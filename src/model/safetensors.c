#include "model/safetensors.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "tensor data are little-endian and read as they are");

enum {
	LENGTH_BYTES = 8,
	HEADER_MAX = 100000000, /* as in the reference reader */
	BLOCK = 4096,           /* numbers converted at a time */
	PIECE = 1 << 18,        /* numbers read from elsewhere at a time */
};

static const struct {
	const char *name;
	unsigned    bytes;
} types[SAFETENSORS_TYPES] = {
        [SAFETENSORS_F32] = {"F32", 4},         [SAFETENSORS_BF16] = {"BF16", 2},
        [SAFETENSORS_F16] = {"F16", 2},         [SAFETENSORS_F64] = {"F64", 8},
        [SAFETENSORS_F8_E4M3] = {"F8_E4M3", 1}, [SAFETENSORS_F8_E5M2] = {"F8_E5M2", 1},
        [SAFETENSORS_F8_E8M0] = {"F8_E8M0", 1}, [SAFETENSORS_C64] = {"C64", 8},
        [SAFETENSORS_I64] = {"I64", 8},         [SAFETENSORS_I32] = {"I32", 4},
        [SAFETENSORS_I16] = {"I16", 2},         [SAFETENSORS_I8] = {"I8", 1},
        [SAFETENSORS_U64] = {"U64", 8},         [SAFETENSORS_U32] = {"U32", 4},
        [SAFETENSORS_U16] = {"U16", 2},         [SAFETENSORS_U8] = {"U8", 1},
        [SAFETENSORS_BOOL] = {"BOOL", 1},
};

const char *safetensors_type_name(enum safetensors_type type)
{
	return types[type].name;
}

/* ---- numbers: on bits, so that flushing of denormals cannot touch them ---- */

static uint32_t bits_of(float x)
{
	uint32_t u;
	memcpy(&u, &x, sizeof u);
	return u;
}

static float float_of(uint32_t u)
{
	float x;
	memcpy(&x, &u, sizeof x);
	return x;
}

static int is_finite(float x)
{
	return (bits_of(x) & 0x7f800000) != 0x7f800000;
}

/* u / 2^shift to the nearest whole number, ties to even; 0 < shift < 32 */
static uint32_t shift_to_nearest(uint32_t u, int shift)
{
	uint32_t half = (uint32_t)1 << (shift - 1), rest = u & ((half << 1) - 1),
	         whole = u >> shift;

	return whole + (rest > half || (rest == half && (whole & 1)));
}

float float_from_bf16(uint16_t b)
{
	return float_of((uint32_t)b << 16);
}

uint16_t float_to_bf16(float x)
{
	uint32_t u = bits_of(x);

	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40); /* stays a NaN */
	return (uint16_t)shift_to_nearest(u, 16);
}

float float_from_f16(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;

	if (exponent == 31)
		return float_of(sign | 0x7f800000 | fraction << 13);
	if (exponent)
		return float_of(sign | (exponent + 112) << 23 | fraction << 13);
	if (!fraction)
		return float_of(sign);
	for (exponent = 113; !(fraction & 0x400); exponent--)
		fraction <<= 1;
	return float_of(sign | exponent << 23 | (fraction & 0x3ff) << 13);
}

uint16_t float_to_f16(float x)
{
	uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
	int      exponent = (int)(magnitude >> 23) - 112; /* as f16 has it */

	if (magnitude > 0x7f800000)
		return (uint16_t)(sign | 0x7e00);
	if (exponent >= 31)
		return (uint16_t)(sign | 0x7c00);
	/* a carry out of the fraction moves the exponent, up to infinity, as it should */
	if (exponent > 0)
		return (uint16_t)(sign | shift_to_nearest(magnitude - ((uint32_t)112 << 23), 13));
	if (exponent < -10)
		return (uint16_t)sign;
	return (uint16_t)(sign |
	                  shift_to_nearest((magnitude & 0x7fffff) | 0x800000, 14 - exponent));
}

/* ---- the header ---- */

static int type_find(const char *name)
{
	for (int t = 0; t < SAFETENSORS_TYPES; t++)
		if (!strcmp(types[t].name, name))
			return t;
	return -1;
}

/* jansson takes -0 for 0. No number of a valid header has a minus sign. */
static int minus_outside_strings(const char *text, size_t n)
{
	int in_string = 0;

	for (size_t i = 0; i < n; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && text[i] == '-')
			return 1;
	}
	return 0;
}

static int parse_metadata(const json_t *metadata)
{
	const char *key;
	json_t     *value;

	if (json_is_null(metadata)) /* some writers put it there */
		return OK;
	if (!json_is_object(metadata))
		return error_set(ERR_INPUT, "__metadata__ is not an object");
	json_object_foreach(
	        (json_t *)(uintptr_t)metadata, key,
	        value) if (!json_is_string(value)) return error_set(ERR_INPUT,
	                                                            "__metadata__: the value of "
	                                                            "\"%.96s\" is not a string",
	                                                            key);
	return OK;
}

static int parse_whole(const json_t *v, const char *what, uint64_t *out)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return error_set(ERR_INPUT, "%s holds something that is not a whole number", what);
	*out = (uint64_t)json_integer_value(v);
	return OK;
}

static int parse_type(const json_t *o, enum safetensors_type *out)
{
	const char *name = NULL;
	int         type;

	TRY(json_get_text("entry", o, "dtype", JSON_REQUIRED, &name));
	type = type_find(name);
	if (type < 0)
		return error_set(ERR_INPUT, "the dtype \"%.32s\" is not known", name);
	*out = (enum safetensors_type)type;
	return OK;
}

/* The product of the shape decides how much is read, so it may not overflow. */
static int parse_dims(const json_t *o, struct arena *a, struct safetensors_entry *e)
{
	const json_t *list = json_object_get(o, "shape");
	size_t        n = json_array_size(list);
	uint64_t     *dims;

	if (!json_is_array(list))
		return error_set(ERR_INPUT, "\"shape\" is not a list");
	TRY(arena_take(a, n, "the shape of a tensor", &dims));
	e->count = 1;
	for (size_t i = 0; i < n; i++) {
		TRY(parse_whole(json_array_get(list, i), "\"shape\"", &dims[i]));
		if (__builtin_mul_overflow(e->count, dims[i], &e->count))
			return error_set(ERR_INPUT,
			                 "the product of its shape does not fit into 64 bits");
	}
	e->n_dims = (int)n;
	e->dims = dims;
	return OK;
}

/* The bytes must be what shape and type ask for. */
static int parse_offsets(const json_t *o, struct safetensors_entry *e)
{
	const json_t *list = json_object_get(o, "data_offsets");
	uint64_t      bytes;

	if (!json_is_array(list) || json_array_size(list) != 2)
		return error_set(ERR_INPUT, "\"data_offsets\" is not a list of two numbers");
	TRY(parse_whole(json_array_get(list, 0), "\"data_offsets\"", &e->begin));
	TRY(parse_whole(json_array_get(list, 1), "\"data_offsets\"", &e->end));
	if (e->begin > e->end)
		return error_set(ERR_INPUT, "its data end before they begin");
	if (__builtin_mul_overflow(e->count, (uint64_t)types[e->type].bytes, &bytes) ||
	    bytes != e->end - e->begin)
		return error_set(
		        ERR_INPUT,
		        "its data have %llu bytes, its shape wants %llu numbers of type %s",
		        (unsigned long long)(e->end - e->begin), (unsigned long long)e->count,
		        types[e->type].name);
	return OK;
}

static int parse_entry(const char *name, const json_t *o, struct arena *a,
                       struct safetensors_entry *e)
{
	if (!json_is_object(o))
		return error_set(ERR_INPUT, "its entry is not an object");
	TRY(arena_copy(a, name, strlen(name), &e->name));
	TRY(parse_type(o, &e->type));
	TRY(parse_dims(o, a, e));
	return parse_offsets(o, e);
}

static int parse_members(struct safetensors *s, json_t *header)
{
	const char *name;
	json_t     *value;

	TRY(arena_take(&s->arena, json_object_size(header), "the tensors of a file", &s->entries));
	json_object_foreach(header, name, value)
	{
		if (!strcmp(name, "__metadata__"))
			TRY(parse_metadata(value));
		else if (parse_entry(name, value, &s->arena, &s->entries[s->n++]) != OK)
			return error_context("tensor \"%.96s\"", name);
	}
	return OK;
}

static int compare_places(const void *a, const void *b)
{
	const struct safetensors_entry *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	if (x->end != y->end)
		return x->end < y->end ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Sorts the entries by place; each must begin where the one before it ends, the last one end with
 * the file. */
static int check_cover(struct safetensors *s, uint64_t data_bytes)
{
	uint64_t at = 0;

	qsort(s->entries, s->n, sizeof *s->entries, compare_places);
	for (size_t i = 0; i < s->n; i++) {
		const struct safetensors_entry *e = &s->entries[i];
		if (e->begin != at)
			return error_set(ERR_INPUT,
			                 "tensor \"%.96s\": its data begin at %llu, %s at %llu",
			                 e->name, (unsigned long long)e->begin,
			                 e->begin < at ? "inside a tensor that ends"
			                               : "behind a hole that begins",
			                 (unsigned long long)at);
		at = e->end;
	}
	if (at != data_bytes)
		return error_set(ERR_INPUT,
		                 "the tensors take %llu bytes, the file holds %llu; is it cut off?",
		                 (unsigned long long)at, (unsigned long long)data_bytes);
	return OK;
}

static int parse_header(struct safetensors *s, const char *text, size_t n, uint64_t data_bytes)
{
	json_t *header;
	int     status;

	if (text[0] != '{' || minus_outside_strings(text, n))
		return error_set(ERR_INPUT, "the header is not what a safetensors file has; is "
		                            "this another kind of file?");
	TRY(json_parse("header", text, n, &header));
	status = parse_members(s, header);
	json_decref(header);
	if (status != OK)
		return status;
	return check_cover(s, data_bytes);
}

/* ---- reading ---- */

static int read_at(const struct safetensors *s, uint64_t at, void *out, size_t n)
{
	if (lseek(s->fd, (off_t)at, SEEK_SET) < 0)
		return error_system(s->path, "read it");
	return file_get_all(s->path, s->fd, out, n);
}

/* Eight bytes of length, then JSON: both are checked against the size of the file before memory
 * is taken. */
static int safetensors_read_header(struct safetensors *s)
{
	uint64_t size = 0, n;
	char    *text;
	int      status;

	TRY(file_open(s->path, &s->fd, &size));
	if (size < LENGTH_BYTES)
		return error_set(
		        ERR_INPUT,
		        "%s: %llu bytes are too few for a safetensors file; is it cut off?",
		        s->path, (unsigned long long)size);
	TRY(read_at(s, 0, &n, sizeof n));
	if (n == 0 || n > HEADER_MAX || n > size - LENGTH_BYTES)
		return error_set(ERR_INPUT,
		                 "%s: a header of %llu bytes in a file of %llu; is it cut off, or "
		                 "another kind of file?",
		                 s->path, (unsigned long long)n, (unsigned long long)size);
	TRY(mem_take(n, s->path, &text));
	s->data_at = LENGTH_BYTES + n;
	status = read_at(s, LENGTH_BYTES, text, n);
	if (status == OK && parse_header(s, text, n, size - s->data_at) != OK)
		status = error_context("%s", s->path);
	mem_free(text);
	return status;
}

int safetensors_open(const char *path, struct safetensors *s)
{
	int status;

	*s = (struct safetensors){.fd = -1};
	status = arena_copy(&s->arena, path, strlen(path), &s->path);
	if (status == OK)
		status = safetensors_read_header(s);
	if (status != OK)
		safetensors_close(s);
	return status;
}

void safetensors_close(struct safetensors *s)
{
	if (s->fd >= 0)
		close(s->fd);
	arena_free(&s->arena);
	*s = (struct safetensors){.fd = -1};
}

const struct safetensors_entry *safetensors_find(const struct safetensors *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->entries[i].name, name))
			return &s->entries[i];
	return NULL;
}

static int read_16_bits(const struct safetensors *s, const struct safetensors_entry *e,
                        float (*convert)(uint16_t), float                           *out)
{
	uint16_t block[BLOCK];

	for (uint64_t first = 0; first < e->count; first += BLOCK) {
		size_t n = e->count - first < BLOCK ? (size_t)(e->count - first) : BLOCK;
		TRY(read_at(s, s->data_at + e->begin + 2 * first, block, 2 * n));
		for (size_t i = 0; i < n; i++)
			out[first + i] = convert(block[i]);
	}
	return OK;
}

int safetensors_read(const struct safetensors *s, const struct safetensors_entry *e, float *out)
{
	switch (e->type) {
	case SAFETENSORS_F32:
		return read_at(s, s->data_at + e->begin, out, (size_t)(e->end - e->begin));
	case SAFETENSORS_BF16:
		return read_16_bits(s, e, float_from_bf16, out);
	case SAFETENSORS_F16:
		return read_16_bits(s, e, float_from_f16, out);
	default:
		return error_set(
		        ERR_INPUT,
		        "%s: tensor \"%.96s\" has type %s; convert the model to F32, BF16 or F16",
		        s->path, e->name, types[e->type].name);
	}
}

/* ---- writing ---- */

static uint64_t item_count(const struct safetensors_item *item)
{
	uint64_t n = 1;

	for (int i = 0; i < item->n_dims; i++)
		n *= item->dims[i];
	return n;
}

static int compare_names(const void *a, const void *b)
{
	const struct safetensors_item *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Offsets in the order of the items, padded with spaces to 8 bytes, as the library writes it. */
static void format_header(struct text *t, enum safetensors_type type,
                          const struct safetensors_item *items, size_t n)
{
	uint64_t at = 0;

	text_print(t, "{\"__metadata__\":{\"format\":\"pt\"}");
	for (size_t i = 0; i < n; i++) {
		uint64_t end = at + item_count(&items[i]) * types[type].bytes;
		text_add(t, ",", 1);
		json_add_string(t, items[i].name, strlen(items[i].name));
		text_print(t, ":{\"dtype\":\"%s\",\"shape\":[", types[type].name);
		for (int d = 0; d < items[i].n_dims; d++)
			text_print(t, "%s%llu", d ? "," : "", (unsigned long long)items[i].dims[d]);
		text_print(t, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
		           (unsigned long long)end);
		at = end;
	}
	text_add(t, "}", 1);
	while (t->n % 8 && !t->failed)
		text_add(t, " ", 1);
}

static int write_header(struct file_out *f, enum safetensors_type type,
                        const struct safetensors_item *items, size_t n)
{
	struct text t = {0};
	uint64_t    length;
	int         status;

	format_header(&t, type, items, n);
	length = t.n;
	status = text_status(&t);
	if (status == OK)
		status = file_add(f, &length, sizeof length);
	if (status == OK)
		status = file_add(f, t.data, t.n);
	text_free(&t);
	return status;
}

/* A finite number that would become infinite is an error, and not a silent loss. */
static int write_16_bits(struct file_out *f, enum safetensors_type type,
                         const struct safetensors_item *item)
{
	uint16_t (*to)(float) = type == SAFETENSORS_BF16 ? float_to_bf16 : float_to_f16;
	float (*from)(uint16_t) = type == SAFETENSORS_BF16 ? float_from_bf16 : float_from_f16;
	uint16_t block[BLOCK];
	uint64_t count = item_count(item);

	for (uint64_t first = 0; first < count; first += BLOCK) {
		size_t n = count - first < BLOCK ? (size_t)(count - first) : BLOCK;
		for (size_t i = 0; i < n; i++) {
			float x = item->data[first + i];
			block[i] = to(x);
			if (is_finite(x) && !is_finite(from(block[i])))
				return error_set(ERR_INPUT,
				                 "%s: tensor \"%.96s\"[%llu] is %g, too large for "
				                 "%s; write F32 instead",
				                 f->path, item->name,
				                 (unsigned long long)(first + i), (double)x,
				                 types[type].name);
		}
		TRY(file_add(f, block, 2 * n));
	}
	return OK;
}

/* Data that are elsewhere come in pieces; f NULL: they are not kept. A rehearsal asks for none. */
static int write_read(struct file_out *f, const struct safetensors_item *item, float *piece)
{
	size_t count = (size_t)item_count(item);

	for (size_t first = 0; first < count; first += PIECE) {
		size_t n = count - first < PIECE ? count - first : PIECE;
		if (!file_rehearses())
			TRY(item->read(item->owner, first, n, piece));
		if (f)
			TRY(file_add(f, piece, n * sizeof *piece));
	}
	return OK;
}

static int write_all_read(struct file_out *f, const struct safetensors_item *item)
{
	float *piece;
	int    status;

	TRY(mem_take(PIECE, "a piece of a tensor", &piece));
	status = write_read(f, item, piece);
	mem_free(piece);
	return status;
}

int safetensors_follow(struct safetensors_item *items, size_t n)
{
	qsort(items, n, sizeof *items, compare_names);
	for (size_t i = 0; i < n; i++)
		if (!items[i].data)
			TRY(write_all_read(NULL, &items[i]));
	return OK;
}

static int safetensors_write_all(struct file_out *f, enum safetensors_type type,
                                 const struct safetensors_item *items, size_t n)
{
	TRY(write_header(f, type, items, n));
	for (size_t i = 0; i < n; i++) {
		assert(items[i].data || type == SAFETENSORS_F32);
		if (!items[i].data)
			TRY(write_all_read(f, &items[i]));
		else if (type == SAFETENSORS_F32)
			TRY(file_add(f, items[i].data,
			             (size_t)item_count(&items[i]) * sizeof *items[i].data));
		else
			TRY(write_16_bits(f, type, &items[i]));
	}
	return OK;
}

int safetensors_write(const char *path, enum safetensors_type type, struct safetensors_item *items,
                      size_t n)
{
	struct file_out f;

	assert(type == SAFETENSORS_F32 || type == SAFETENSORS_BF16 || type == SAFETENSORS_F16);
	qsort(items, n, sizeof *items, compare_names);
	TRY(file_begin(path, &f));
	return file_finish(&f, safetensors_write_all(&f, type, items, n));
}
