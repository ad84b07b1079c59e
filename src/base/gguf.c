#include "base/gguf.h"

#include "base/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers are little-endian and read as they are");

enum {
	ALIGNMENT = 32,            /* where the file does not say */
	ALIGNMENT_MAX = 1 << 20,   /* a power of 2 */
	KEY_MAX = 65535,           /* bytes, as the format has it */
	NAME_MAX_BYTES = 255,      /* of a tensor; llama.cpp takes 63 */
	HEAD_MAX = 512 << 20,      /* bytes before the data: a vocabulary takes 10 MB */
	HEAD_FIRST = 1 << 16,      /* bytes read at first; then twice as many each time */
	VALUE_BYTES = 8 + 4 + 1,   /* the least that a value takes, */
	TENSOR_BYTES = 8 + 4 + 20, /* and a tensor: an empty name, one side */
};

static const struct gguf_type gguf_types[GGUF_TYPES] = {
        [0] = {"F32", 1, 4},         [1] = {"F16", 1, 2},         [2] = {"Q4_0", 32, 18},
        [3] = {"Q4_1", 32, 20},      [6] = {"Q5_0", 32, 22},      [7] = {"Q5_1", 32, 24},
        [8] = {"Q8_0", 32, 34},      [9] = {"Q8_1", 32, 40},      [10] = {"Q2_K", 256, 84},
        [11] = {"Q3_K", 256, 110},   [12] = {"Q4_K", 256, 144},   [13] = {"Q5_K", 256, 176},
        [14] = {"Q6_K", 256, 210},   [15] = {"Q8_K", 256, 292},   [16] = {"IQ2_XXS", 256, 66},
        [17] = {"IQ2_XS", 256, 74},  [18] = {"IQ3_XXS", 256, 98}, [19] = {"IQ1_S", 256, 50},
        [20] = {"IQ4_NL", 32, 18},   [21] = {"IQ3_S", 256, 110},  [22] = {"IQ2_S", 256, 82},
        [23] = {"IQ4_XS", 256, 136}, [24] = {"I8", 1, 1},         [25] = {"I16", 1, 2},
        [26] = {"I32", 1, 4},        [27] = {"I64", 1, 8},        [28] = {"F64", 1, 8},
        [29] = {"IQ1_M", 256, 56},   [30] = {"BF16", 1, 2},       [34] = {"TQ1_0", 256, 54},
        [35] = {"TQ2_0", 256, 66},   [39] = {"MXFP4", 32, 17},    [40] = {"NVFP4", 64, 36},
        [41] = {"Q1_0", 128, 18},
};

const struct gguf_type *gguf_type_of(uint32_t type)
{
	return type < GGUF_TYPES && gguf_types[type].name ? &gguf_types[type] : NULL;
}

int gguf_type_find(const char *name, uint32_t *out)
{
	for (*out = 0; *out < GGUF_TYPES; ++*out)
		if (gguf_types[*out].name && !strcmp(gguf_types[*out].name, name))
			return 1;
	return 0;
}

static const struct gguf_kind_row {
	const char *name;
	unsigned    bytes; /* of an element; of a text at least; 0: none stands in an array */
	int         whole, is_signed;
} kinds[GGUF_KINDS] = {
        [GGUF_U8] = {"u8", 1, 1, 0},     [GGUF_I8] = {"i8", 1, 1, 1},
        [GGUF_U16] = {"u16", 2, 1, 0},   [GGUF_I16] = {"i16", 2, 1, 1},
        [GGUF_U32] = {"u32", 4, 1, 0},   [GGUF_I32] = {"i32", 4, 1, 1},
        [GGUF_F32] = {"f32", 4, 0, 1},   [GGUF_BOOL] = {"bool", 1, 0, 0},
        [GGUF_TEXT] = {"text", 8, 0, 0}, [GGUF_ARRAY] = {"array", 0, 0, 0},
        [GGUF_U64] = {"u64", 8, 1, 0},   [GGUF_I64] = {"i64", 8, 1, 1},
        [GGUF_F64] = {"f64", 8, 0, 1},
};

/* ---- the head, byte after byte ---- */

struct gguf_reader {
	struct gguf *g;
	uint64_t     size;     /* of the file */
	size_t       loaded;   /* bytes of it in g->head, */
	size_t       capacity; /* which has room for these */
	size_t       at;
	uint64_t     alignment;
};

static uint64_t gguf_left(const struct gguf_reader *r)
{
	return r->size - r->at;
}

/* The next n bytes are in the file and in g->head. */
static int gguf_want(struct gguf_reader *r, uint64_t n, const char *what)
{
	uint64_t end, want;

	if (n > gguf_left(r))
		return error_set(
		        ERR_INPUT,
		        "%s takes %llu bytes from %zu on, more than the file has: %llu; is "
		        "it cut off?",
		        what, (unsigned long long)n, r->at, (unsigned long long)r->size);
	end = r->at + n;
	if (end <= r->loaded)
		return OK;
	if (end > HEAD_MAX)
		return error_set(ERR_INPUT, "%s lies beyond the %d bytes that a head may have",
		                 what, HEAD_MAX);
	want = 2 * (uint64_t)r->loaded > end ? 2 * (uint64_t)r->loaded : end;
	want = want < HEAD_FIRST ? HEAD_FIRST : want;
	want = want > r->size ? r->size : want;
	TRY(mem_room(&r->g->head, &r->capacity, (size_t)want, "the head of a GGUF file"));
	TRY(file_get_all(r->g->path, r->g->fd, r->g->head + r->loaded, (size_t)want - r->loaded));
	r->loaded = (size_t)want;
	return OK;
}

static int gguf_take(struct gguf_reader *r, void *out, size_t n, const char *what)
{
	TRY(gguf_want(r, n, what));
	memcpy(out, r->g->head + r->at, n);
	r->at += n;
	return OK;
}

/* Passes over a text, whose bytes are then in the head. */
static int gguf_take_text(struct gguf_reader *r, const char *what, struct gguf_text *out)
{
	uint64_t n;

	TRY(gguf_take(r, &n, sizeof n, what));
	TRY(gguf_want(r, n, what));
	*out = (struct gguf_text){(const char *)r->g->head + r->at, (size_t)n};
	r->at += (size_t)n;
	return OK;
}

/* A key or a tensor's name: a copy, for the head may still move. */
static int gguf_take_name(struct gguf_reader *r, const char *what, size_t most, const char **out)
{
	struct gguf_text t;

	TRY(gguf_take_text(r, what, &t));
	if (t.n == 0 || t.n > most || memchr(t.s, 0, t.n))
		return error_set(ERR_INPUT,
		                 "%s has %zu bytes; it must have 1 to %zu, and no NUL among them",
		                 what, t.n, most);
	return arena_copy(&r->g->arena, t.s, t.n, out);
}

/* ---- values ---- */

/* Passes over the elements: their number is held against the bytes that are left before anything is
 * done `count` times. */
static int gguf_take_elements(struct gguf_reader *r, const struct gguf_value *v)
{
	unsigned bytes = kinds[v->kind].bytes;

	if (v->count > gguf_left(r) / bytes)
		return error_set(ERR_INPUT,
		                 "%llu elements of kind %s in the %llu bytes that are left; is it "
		                 "cut off?",
		                 (unsigned long long)v->count, kinds[v->kind].name,
		                 (unsigned long long)gguf_left(r));
	if (v->kind != GGUF_TEXT) {
		TRY(gguf_want(r, v->count * bytes, "its value"));
		r->at += (size_t)v->count * bytes;
		return OK;
	}
	for (uint64_t i = 0; i < v->count; i++) {
		struct gguf_text t;
		TRY(gguf_take_text(r, "one of its texts", &t));
	}
	return OK;
}

static int gguf_take_kind(struct gguf_reader *r, enum gguf_kind *out)
{
	uint32_t kind;

	TRY(gguf_take(r, &kind, sizeof kind, "its kind"));
	if (kind >= GGUF_KINDS)
		return error_set(ERR_INPUT, "its kind is %" PRIu32 ", and there are %d", kind,
		                 GGUF_KINDS);
	*out = (enum gguf_kind)kind;
	return OK;
}

static int gguf_take_value(struct gguf_reader *r, struct gguf_value *v)
{
	v->count = 1;
	TRY(gguf_take_kind(r, &v->kind));
	v->array = v->kind == GGUF_ARRAY;
	if (v->array) {
		TRY(gguf_take_kind(r, &v->kind));
		if (v->kind == GGUF_ARRAY)
			return error_set(ERR_INPUT, "an array of arrays is not supported");
		TRY(gguf_take(r, &v->count, sizeof v->count, "its count"));
	}
	v->at = r->at;
	return gguf_take_elements(r, v);
}

static int gguf_take_values(struct gguf_reader *r)
{
	struct gguf *g = r->g;

	for (size_t i = 0; i < g->n_values; i++) {
		TRY(gguf_take_name(r, "a key", KEY_MAX, &g->values[i].key));
		if (gguf_take_value(r, &g->values[i]) != OK)
			return error_context("\"%.96s\"", g->values[i].key);
	}
	return OK;
}

static int gguf_compare_keys(const void *a, const void *b)
{
	const struct gguf_value *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static int gguf_sort_values(struct gguf *g)
{
	qsort(g->values, g->n_values, sizeof *g->values, gguf_compare_keys);
	for (size_t i = 1; i < g->n_values; i++)
		if (!strcmp(g->values[i - 1].key, g->values[i].key))
			return error_set(ERR_INPUT, "the key \"%.96s\" comes twice",
			                 g->values[i].key);
	return OK;
}

/* ---- tensors ---- */

static int gguf_take_sides(struct gguf_reader *r, struct gguf_tensor *t)
{
	uint32_t n;

	TRY(gguf_take(r, &n, sizeof n, "its number of sides"));
	if (n < 1 || n > GGUF_SIDES_MAX)
		return error_set(ERR_INPUT, "it has %" PRIu32 " sides; 1 to %d are possible", n,
		                 GGUF_SIDES_MAX);
	t->n_sides = (int)n;
	t->count = 1;
	for (int i = 0; i < GGUF_SIDES_MAX; i++) {
		t->sides[i] = 1;
		if (i < t->n_sides)
			TRY(gguf_take(r, &t->sides[i], sizeof t->sides[i], "a side"));
		if (t->sides[i] == 0)
			return error_set(ERR_INPUT, "side %d is 0", i);
		if (__builtin_mul_overflow(t->count, t->sides[i], &t->count))
			return error_set(ERR_INPUT,
			                 "the product of its sides does not fit into 64 bits");
	}
	return OK;
}

/* Bytes of its data, which are whole blocks in each row. */
static int gguf_take_type(struct gguf_reader *r, struct gguf_tensor *t)
{
	const struct gguf_type *type;

	TRY(gguf_take(r, &t->type, sizeof t->type, "its type"));
	type = gguf_type_of(t->type);
	if (!type)
		return error_set(ERR_INPUT, "its type, %" PRIu32 ", is not known", t->type);
	if (t->sides[0] % type->block)
		return error_set(ERR_INPUT,
		                 "its rows of %llu are no whole blocks of %u, as type %s has them",
		                 (unsigned long long)t->sides[0], type->block, type->name);
	if (__builtin_mul_overflow(t->count / type->block, (uint64_t)type->bytes, &t->bytes))
		return error_set(ERR_INPUT, "its bytes do not fit into 64 bits");
	return OK;
}

static int gguf_take_tensor(struct gguf_reader *r, struct gguf_tensor *t)
{
	TRY(gguf_take_sides(r, t));
	TRY(gguf_take_type(r, t));
	TRY(gguf_take(r, &t->at, sizeof t->at, "its offset"));
	if (t->at % r->alignment)
		return error_set(ERR_INPUT,
		                 "its offset, %llu, is no multiple of the alignment, %llu",
		                 (unsigned long long)t->at, (unsigned long long)r->alignment);
	return OK;
}

static int gguf_compare_places(const void *a, const void *b)
{
	const struct gguf_tensor *x = a, *y = b;

	return x->at != y->at ? (x->at < y->at ? -1 : 1) : strcmp(x->name, y->name);
}

static int gguf_compare_names(const void *a, const void *b)
{
	const struct gguf_tensor *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Offsets become places in the file. Each tensor lies in it, behind the one before it. */
static int gguf_place_tensors(struct gguf *g, uint64_t data, uint64_t size)
{
	uint64_t end = data;

	qsort(g->tensors, g->n_tensors, sizeof *g->tensors, gguf_compare_places);
	for (size_t i = 0; i < g->n_tensors; i++) {
		struct gguf_tensor *t = &g->tensors[i];
		if (data > size || t->at > size - data || t->bytes > size - data - t->at)
			return error_set(ERR_INPUT,
			                 "tensor \"%s\": %llu bytes at offset %llu of the data lie "
			                 "beyond the end of the file; is it cut off?",
			                 t->name, (unsigned long long)t->bytes,
			                 (unsigned long long)t->at);
		t->at += data;
		if (t->at < end)
			return error_set(ERR_INPUT, "tensor \"%s\" begins inside of tensor \"%s\"",
			                 t->name, g->tensors[i - 1].name);
		end = t->at + t->bytes;
	}
	return OK;
}

static int gguf_sort_tensors(struct gguf *g)
{
	qsort(g->tensors, g->n_tensors, sizeof *g->tensors, gguf_compare_names);
	for (size_t i = 1; i < g->n_tensors; i++)
		if (!strcmp(g->tensors[i - 1].name, g->tensors[i].name))
			return error_set(ERR_INPUT, "tensor \"%s\" comes twice",
			                 g->tensors[i].name);
	return OK;
}

static int gguf_take_tensors(struct gguf_reader *r)
{
	struct gguf *g = r->g;
	uint64_t     data;

	for (size_t i = 0; i < g->n_tensors; i++) {
		TRY(gguf_take_name(r, "a tensor's name", NAME_MAX_BYTES, &g->tensors[i].name));
		if (gguf_take_tensor(r, &g->tensors[i]) != OK)
			return error_context("tensor \"%s\"", g->tensors[i].name);
	}
	data = (r->at + r->alignment - 1) / r->alignment * r->alignment;
	TRY(gguf_place_tensors(g, data, r->size));
	return gguf_sort_tensors(g);
}

/* ---- the whole ---- */

static int gguf_take_version(struct gguf_reader *r)
{
	char     magic[4];
	uint32_t version;

	TRY(gguf_take(r, magic, sizeof magic, "the word GGUF"));
	if (memcmp(magic, "GGUF", 4) != 0)
		return error_set(ERR_INPUT, "it does not begin with GGUF; is this another kind of "
		                            "file?");
	TRY(gguf_take(r, &version, sizeof version, "the version"));
	if (version == 2 || version == 3)
		return OK;
	return error_set(ERR_INPUT,
	                 (version & 0xffff) == 0 ? "a big-endian file is not supported"
	                                         : "version %" PRIu32
	                                           " of GGUF is not supported; 2 and 3 are",
	                 version);
}

/* How many there are, which the rest of the file must have room for. */
static int gguf_take_counts(struct gguf_reader *r)
{
	uint64_t     tensors, values;
	struct gguf *g = r->g;

	TRY(gguf_take(r, &tensors, sizeof tensors, "the number of tensors"));
	TRY(gguf_take(r, &values, sizeof values, "the number of values"));
	if (tensors > gguf_left(r) / TENSOR_BYTES || values > gguf_left(r) / VALUE_BYTES)
		return error_set(ERR_INPUT,
		                 "%llu tensors and %llu values in a file of %llu bytes; is it cut "
		                 "off?",
		                 (unsigned long long)tensors, (unsigned long long)values,
		                 (unsigned long long)r->size);
	g->n_values = (size_t)values;
	g->n_tensors = (size_t)tensors;
	TRY(arena_take(&g->arena, g->n_values + 1, "the values of a GGUF file", &g->values));
	return arena_take(&g->arena, g->n_tensors + 1, "the tensors of a GGUF file", &g->tensors);
}

static int gguf_read_head(struct gguf_reader *r)
{
	int64_t alignment = ALIGNMENT;

	TRY(gguf_take_version(r));
	TRY(gguf_take_counts(r));
	TRY(gguf_take_values(r));
	TRY(gguf_sort_values(r->g));
	TRY(gguf_get_int(r->g, "general.alignment", GGUF_OPTIONAL, 1, ALIGNMENT_MAX, &alignment));
	if (alignment & (alignment - 1))
		return error_set(ERR_INPUT, "\"general.alignment\" is %lld, no power of 2",
		                 (long long)alignment);
	r->alignment = (uint64_t)alignment;
	return gguf_take_tensors(r);
}

int gguf_is(const char *path)
{
	size_t n = strlen(path), got;
	char   magic[4];

	if (n > 5 && !strcmp(path + n - 5, ".gguf") && !file_is_folder(path))
		return 1;
	return file_exists(path) && !file_is_folder(path) &&
	       file_head(path, sizeof magic, magic, &got) == OK && got == sizeof magic &&
	       !memcmp(magic, "GGUF", sizeof magic);
}

int gguf_open(const char *path, struct gguf *g)
{
	struct gguf_reader r = {.g = g};
	int                status;

	*g = (struct gguf){.fd = -1};
	status = arena_copy(&g->arena, path, strlen(path), &g->path);
	if (status == OK)
		status = file_open(path, &g->fd, &r.size);
	if (status == OK && gguf_read_head(&r) != OK)
		status = error_context("%s", path);
	if (status != OK)
		gguf_close(g);
	return status;
}

void gguf_close(struct gguf *g)
{
	if (g->fd >= 0)
		close(g->fd);
	mem_free(g->head);
	arena_free(&g->arena);
	*g = (struct gguf){.fd = -1};
}

int gguf_read(const struct gguf *g, const struct gguf_tensor *t, uint64_t from, void *out, size_t n)
{
	assert(from <= t->bytes && n <= t->bytes - from);
	if (lseek(g->fd, (off_t)(t->at + from), SEEK_SET) < 0)
		return error_system(g->path, "read it");
	return file_get_all(g->path, g->fd, out, n);
}

/* ---- what it says ---- */

const struct gguf_value *gguf_find(const struct gguf *g, const char *key)
{
	struct gguf_value wanted = {.key = key};

	return bsearch(&wanted, g->values, g->n_values, sizeof *g->values, gguf_compare_keys);
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name)
{
	struct gguf_tensor wanted = {.name = name};

	return bsearch(&wanted, g->tensors, g->n_tensors, sizeof *g->tensors, gguf_compare_names);
}

int64_t gguf_whole(const struct gguf *g, const struct gguf_value *v, uint64_t i)
{
	const struct gguf_kind_row *k = &kinds[v->kind];
	uint64_t                    x = 0;
	unsigned                    bits = 8 * k->bytes;

	assert(i < v->count && v->kind != GGUF_TEXT);
	memcpy(&x, g->head + v->at + i * k->bytes, k->bytes);
	if (k->is_signed && bits < 64 && x >> (bits - 1) & 1)
		x |= UINT64_MAX << bits;
	return (int64_t)x;
}

float gguf_float(const struct gguf *g, const struct gguf_value *v, uint64_t i)
{
	float x;

	assert(i < v->count && v->kind == GGUF_F32);
	memcpy(&x, g->head + v->at + i * sizeof x, sizeof x);
	return x;
}

int gguf_texts(const struct gguf *g, const struct gguf_value *v, struct arena *a,
               struct gguf_text **out)
{
	const unsigned char *at = g->head + v->at;

	assert(v->kind == GGUF_TEXT);
	TRY(arena_take(a, (size_t)v->count + 1, "the texts of a GGUF file", out));
	for (uint64_t i = 0; i < v->count; i++) {
		uint64_t n;
		memcpy(&n, at, sizeof n);
		(*out)[i] = (struct gguf_text){(const char *)at + sizeof n, (size_t)n};
		at += sizeof n + n;
	}
	return OK;
}

/* The value, NULL when it is missing and may be. */
static int gguf_look(const struct gguf *g, const char *key, int required, int array,
                     const struct gguf_value **out)
{
	*out = gguf_find(g, key);
	if (!*out && required)
		return error_set(ERR_INPUT, "%s: \"%s\" is missing", g->path, key);
	if (*out && (*out)->array != array)
		return error_set(ERR_INPUT, "%s: \"%s\" must be %s", g->path, key,
		                 array ? "an array" : "one value, and is an array");
	return OK;
}

int gguf_get_int(const struct gguf *g, const char *key, int required, int64_t low, int64_t high,
                 int64_t *out)
{
	const struct gguf_value *v;
	int64_t                  x;

	TRY(gguf_look(g, key, required, 0, &v));
	if (!v)
		return OK;
	if (!kinds[v->kind].whole)
		return error_set(ERR_INPUT, "%s: \"%s\" must be a whole number and is of kind %s",
		                 g->path, key, kinds[v->kind].name);
	x = gguf_whole(g, v, 0);
	if (x < low || x > high || (v->kind == GGUF_U64 && x < 0))
		return error_set(ERR_INPUT, "%s: \"%s\" is %lld; it must be between %lld and %lld",
		                 g->path, key, (long long)x, (long long)low, (long long)high);
	*out = x;
	return OK;
}

/* The shortest decimal of x, as a double. */
static double gguf_shortest(float x)
{
	char   digits[40];
	double d = (double)x;

	for (int n = 1; n <= 9; n++) {
		snprintf(digits, sizeof digits, "%.*g", n, (double)x);
		d = strtod(digits, NULL);
		if ((float)d == x)
			break;
	}
	return d;
}

int gguf_get_real(const struct gguf *g, const char *key, int required, double *out)
{
	const struct gguf_value *v;

	TRY(gguf_look(g, key, required, 0, &v));
	if (!v)
		return OK;
	if (v->kind == GGUF_F32)
		*out = gguf_shortest(gguf_float(g, v, 0));
	else if (v->kind == GGUF_F64)
		memcpy(out, g->head + v->at, sizeof *out);
	else if (kinds[v->kind].whole)
		*out = (double)gguf_whole(g, v, 0);
	else
		return error_set(ERR_INPUT, "%s: \"%s\" must be a number and is of kind %s",
		                 g->path, key, kinds[v->kind].name);
	return OK;
}

int gguf_get_bool(const struct gguf *g, const char *key, int required, int *out)
{
	const struct gguf_value *v;

	TRY(gguf_look(g, key, required, 0, &v));
	if (!v)
		return OK;
	if (v->kind != GGUF_BOOL || g->head[v->at] > 1)
		return error_set(ERR_INPUT, "%s: \"%s\" must be true or false", g->path, key);
	*out = g->head[v->at];
	return OK;
}

int gguf_get_text(const struct gguf *g, const char *key, int required, struct arena *a,
                  const char **out)
{
	const struct gguf_value *v;
	struct gguf_text        *t;

	TRY(gguf_look(g, key, required, 0, &v));
	if (!v)
		return OK;
	if (v->kind != GGUF_TEXT)
		return error_set(ERR_INPUT, "%s: \"%s\" must be a text and is of kind %s", g->path,
		                 key, kinds[v->kind].name);
	TRY(gguf_texts(g, v, a, &t));
	if (memchr(t->s, 0, t->n))
		return error_set(ERR_INPUT, "%s: \"%s\" has a NUL byte in it", g->path, key);
	return arena_copy(a, t->s, t->n, out);
}

int gguf_get_array(const struct gguf *g, const char *key, int required, enum gguf_kind kind,
                   const struct gguf_value **out)
{
	TRY(gguf_look(g, key, required, 1, out));
	if (*out && (*out)->kind != kind)
		return error_set(ERR_INPUT, "%s: \"%s\" must hold %s and holds %s", g->path, key,
		                 kinds[kind].name, kinds[(*out)->kind].name);
	return OK;
}

void gguf_show(const struct gguf *g, const struct gguf_value *v, struct text *out)
{
	const int most = 60;
	uint64_t  n;
	double    x;

	if (v->array) {
		text_print(out, "%llu x %s", (unsigned long long)v->count, kinds[v->kind].name);
	} else if (v->kind == GGUF_TEXT) {
		memcpy(&n, g->head + v->at, sizeof n);
		text_print(out, "\"%.*s%s\"", n > (uint64_t)most ? most : (int)n,
		           (const char *)g->head + v->at + sizeof n,
		           n > (uint64_t)most ? "..." : "");
	} else if (v->kind == GGUF_BOOL) {
		text_print(out, g->head[v->at] ? "true" : "false");
	} else if (kinds[v->kind].whole) {
		text_print(out, "%lld", (long long)gguf_whole(g, v, 0));
	} else {
		gguf_get_real(g, v->key, GGUF_REQUIRED, &x);
		text_print(out, "%g", x);
	}
}

/* ---- writing ---- */

static void gguf_add(struct text *t, const void *data, size_t n)
{
	text_add(t, data, n);
}

static void gguf_add_text(struct text *t, const char *s, uint64_t n)
{
	gguf_add(t, &n, sizeof n);
	gguf_add(t, s, (size_t)n);
}

static void gguf_add_key(struct gguf_out *o, const char *key, enum gguf_kind kind)
{
	uint32_t number = (uint32_t)kind;

	gguf_add_text(&o->values, key, strlen(key));
	gguf_add(&o->values, &number, sizeof number);
	o->n_values++;
}

void gguf_out_u32(struct gguf_out *o, const char *key, uint32_t x)
{
	gguf_add_key(o, key, GGUF_U32);
	gguf_add(&o->values, &x, sizeof x);
}

void gguf_out_f32(struct gguf_out *o, const char *key, float x)
{
	gguf_add_key(o, key, GGUF_F32);
	gguf_add(&o->values, &x, sizeof x);
}

void gguf_out_bool(struct gguf_out *o, const char *key, int x)
{
	unsigned char byte = x != 0;

	gguf_add_key(o, key, GGUF_BOOL);
	gguf_add(&o->values, &byte, 1);
}

void gguf_out_text(struct gguf_out *o, const char *key, const char *s, size_t n)
{
	gguf_add_key(o, key, GGUF_TEXT);
	gguf_add_text(&o->values, s, n);
}

void gguf_out_array(struct gguf_out *o, const char *key, enum gguf_kind kind, uint64_t n)
{
	uint32_t number = (uint32_t)kind;

	gguf_add_key(o, key, GGUF_ARRAY);
	gguf_add(&o->values, &number, sizeof number);
	gguf_add(&o->values, &n, sizeof n);
}

void gguf_out_element(struct gguf_out *o, const void *x, size_t bytes)
{
	gguf_add(&o->values, x, bytes);
}

void gguf_out_element_text(struct gguf_out *o, const char *s, size_t n)
{
	gguf_add_text(&o->values, s, n);
}

static uint64_t gguf_padded(uint64_t n)
{
	return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void gguf_out_tensor(struct gguf_out *o, const char *name, uint32_t type, int n_sides,
                     const uint64_t *sides)
{
	const struct gguf_type *t = gguf_type_of(type);
	uint32_t                n = (uint32_t)n_sides;
	uint64_t                count = 1;

	assert(t && n_sides >= 1 && n_sides <= GGUF_SIDES_MAX && sides[0] % t->block == 0);
	gguf_add_text(&o->tensors, name, strlen(name));
	gguf_add(&o->tensors, &n, sizeof n);
	for (int i = 0; i < n_sides; i++) {
		gguf_add(&o->tensors, &sides[i], sizeof sides[i]);
		count *= sides[i];
	}
	gguf_add(&o->tensors, &type, sizeof type);
	gguf_add(&o->tensors, &o->bytes, sizeof o->bytes);
	o->bytes += gguf_padded(count / t->block * t->bytes);
	o->n_tensors++;
}

int gguf_out_pad(struct file_out *f, uint64_t bytes)
{
	static const char zeros[ALIGNMENT] = {0};

	return file_add(f, zeros, (size_t)(gguf_padded(bytes) - bytes));
}

int gguf_out_head(const struct gguf_out *o, struct file_out *f)
{
	const uint32_t version = 3;
	const uint64_t n = 4 + 4 + 8 + 8 + o->values.n + o->tensors.n;

	TRY(text_status(&o->values));
	TRY(text_status(&o->tensors));
	TRY(file_add(f, "GGUF", 4));
	TRY(file_add(f, &version, sizeof version));
	TRY(file_add(f, &o->n_tensors, sizeof o->n_tensors));
	TRY(file_add(f, &o->n_values, sizeof o->n_values));
	TRY(file_add(f, o->values.data, o->values.n));
	TRY(file_add(f, o->tensors.data, o->tensors.n));
	return gguf_out_pad(f, n);
}

void gguf_out_free(struct gguf_out *o)
{
	text_free(&o->values);
	text_free(&o->tensors);
	*o = (struct gguf_out){0};
}
