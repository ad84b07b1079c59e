#include "model/gguf_quant.h"

#include "base/error.h"
#include "model/safetensors.h"

#include <math.h>
#include <string.h>

/* The places of a block, the formulas of gguf_quant.h. */

static float gguf_half(const unsigned char *b)
{
	uint16_t h;

	memcpy(&h, b, sizeof h);
	return float_from_f16(h);
}

static int gguf_signed(unsigned char byte)
{
	return byte < 128 ? byte : byte - 256;
}

/* ---- one number at a time ---- */

static void gguf_quant_f32(const unsigned char *b, float *x)
{
	memcpy(x, b, sizeof *x);
}

static void gguf_quant_f16(const unsigned char *b, float *x)
{
	*x = gguf_half(b);
}

static void gguf_quant_bf16(const unsigned char *b, float *x)
{
	uint16_t h;

	memcpy(&h, b, sizeof h);
	*x = float_from_bf16(h);
}

/* ---- blocks of 32: the low halves of 16 bytes, then the high ones ---- */

static int gguf_nibble(const unsigned char *q, int i)
{
	return i < 16 ? q[i] & 15 : q[i - 16] >> 4;
}

/* The fifth bit of number i: bit i of 4 bytes. */
static int gguf_fifth(const unsigned char *bits, int i)
{
	return bits[i / 8] >> i % 8 & 1;
}

static void gguf_quant_q8_0(const unsigned char *b, float *x)
{
	float d = gguf_half(b);

	for (int i = 0; i < 32; i++)
		x[i] = d * (float)gguf_signed(b[2 + i]);
}

static void gguf_quant_q4_0(const unsigned char *b, float *x)
{
	float d = gguf_half(b);

	for (int i = 0; i < 32; i++)
		x[i] = (float)(gguf_nibble(b + 2, i) - 8) * d;
}

static void gguf_quant_q4_1(const unsigned char *b, float *x)
{
	float d = gguf_half(b), m = gguf_half(b + 2);

	for (int i = 0; i < 32; i++)
		x[i] = d * (float)gguf_nibble(b + 4, i) + m;
}

static void gguf_quant_q5_0(const unsigned char *b, float *x)
{
	float d = gguf_half(b);

	for (int i = 0; i < 32; i++)
		x[i] = (float)((gguf_nibble(b + 6, i) | gguf_fifth(b + 2, i) << 4) - 16) * d;
}

static void gguf_quant_q5_1(const unsigned char *b, float *x)
{
	float d = gguf_half(b), m = gguf_half(b + 2);

	for (int i = 0; i < 32; i++)
		x[i] = d * (float)(gguf_nibble(b + 8, i) | gguf_fifth(b + 4, i) << 4) + m;
}

/* ---- blocks of 256 ---- */

/* Number i of 2 bits each: 128 numbers in 32 bytes, the first 32 of them in the lowest bits. */
static int gguf_pair(const unsigned char *q, int i)
{
	return q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}

/* Number i of 4 bits each: 64 numbers in 32 bytes, the first 32 of them in the low halves. */
static int gguf_half_byte(const unsigned char *q, int i)
{
	return q[i / 64 * 32 + i % 32] >> i % 64 / 32 * 4 & 15;
}

/* Bit i / 32 of byte i % 32. */
static int gguf_plane(const unsigned char *bits, int i)
{
	return bits[i % 32] >> i / 32 & 1;
}

static void gguf_quant_q2_k(const unsigned char *b, float *x)
{
	const unsigned char *scales = b, *q = b + 16;
	float                d = gguf_half(b + 80), m = gguf_half(b + 82);

	for (int i = 0; i < 256; i++)
		x[i] = d * (float)(scales[i / 16] & 15) * (float)gguf_pair(q, i) -
		       m * (float)(scales[i / 16] >> 4);
}

/* 16 scales of 6 bits in 12 bytes: four bits of each in the first eight, two in the last four. */
static int gguf_scale_q3(const unsigned char *scales, int j)
{
	int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;

	return low | (scales[8 + j % 4] >> j / 4 * 2 & 3) << 4;
}

static void gguf_quant_q3_k(const unsigned char *b, float *x)
{
	const unsigned char *high = b, *q = b + 32, *scales = b + 96;
	float                d = gguf_half(b + 108);

	for (int i = 0; i < 256; i++)
		x[i] = d * (float)(gguf_scale_q3(scales, i / 16) - 32) *
		       (float)((gguf_pair(q, i) | gguf_plane(high, i) << 2) - 4);
}

/* 8 pairs s, t of 6 bits in 12 bytes: the first four of each as they are, of the others four bits
 * in the last four bytes and two on top of the first eight. */
static void gguf_scales_k4(const unsigned char *b, int j, float *s, float *t)
{
	*s = (float)(j < 4 ? b[j] & 63 : (b[j + 4] & 15) | b[j - 4] >> 6 << 4);
	*t = (float)(j < 4 ? b[j + 4] & 63 : b[j + 4] >> 4 | b[j] >> 6 << 4);
}

static void gguf_quant_q4_k(const unsigned char *b, float *x)
{
	float d = gguf_half(b), m = gguf_half(b + 2), s, t;

	for (int i = 0; i < 256; i++) {
		gguf_scales_k4(b + 4, i / 32, &s, &t);
		x[i] = d * s * (float)gguf_half_byte(b + 16, i) - m * t;
	}
}

static void gguf_quant_q5_k(const unsigned char *b, float *x)
{
	float d = gguf_half(b), m = gguf_half(b + 2), s, t;

	for (int i = 0; i < 256; i++) {
		int q = gguf_half_byte(b + 48, i) | gguf_plane(b + 16, i) << 4;
		gguf_scales_k4(b + 4, i / 32, &s, &t);
		x[i] = d * s * (float)q - m * t;
	}
}

/* The low four bits of 128 numbers in 64 bytes: 64 numbers in the low halves, 64 in the high
 * ones. */
static void gguf_quant_q6_k(const unsigned char *b, float *x)
{
	const unsigned char *high = b + 128, *scales = b + 192;
	float                d = gguf_half(b + 208);

	for (int i = 0; i < 256; i++) {
		int low = b[i / 128 * 64 + i % 64] >> i % 128 / 64 * 4 & 15;
		x[i] = d * (float)gguf_signed(scales[i / 16]) *
		       (float)((low | gguf_pair(high, i) << 4) - 32);
	}
}

/* ---- numbers to blocks ---- */

static int gguf_to_f32(const float *x, unsigned char *b)
{
	memcpy(b, x, sizeof *x);
	return 1;
}

static int gguf_to_f16(const float *x, unsigned char *b)
{
	uint16_t h = float_to_f16(*x);

	memcpy(b, &h, sizeof h);
	return isfinite(float_from_f16(h));
}

static int gguf_to_bf16(const float *x, unsigned char *b)
{
	uint16_t h = float_to_bf16(*x);

	memcpy(b, &h, sizeof h);
	return isfinite(float_from_bf16(h));
}

static int gguf_to_q8_0(const float *x, unsigned char *b)
{
	float    most = 0, d, inverse;
	uint16_t h;

	for (int i = 0; i < 32; i++)
		most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
	d = most / 127;
	inverse = d != 0 ? 1 / d : 0;
	h = float_to_f16(d);
	memcpy(b, &h, sizeof h);
	for (int i = 0; i < 32; i++)
		b[2 + i] = (unsigned char)(int)roundf(x[i] * inverse);
	return isfinite(float_from_f16(h));
}

/* ---- the table ---- */

static const struct gguf_quant_row {
	const char *name; /* of gguf_type_of */
	void (*read)(const unsigned char *block, float *x);
	int (*write)(const float *x, unsigned char *block); /* 0: a number does not fit */
} rows[] = {
        {"F32", gguf_quant_f32, gguf_to_f32},    {"F16", gguf_quant_f16, gguf_to_f16},
        {"BF16", gguf_quant_bf16, gguf_to_bf16}, {"Q8_0", gguf_quant_q8_0, gguf_to_q8_0},
        {"Q4_0", gguf_quant_q4_0, NULL},         {"Q4_1", gguf_quant_q4_1, NULL},
        {"Q5_0", gguf_quant_q5_0, NULL},         {"Q5_1", gguf_quant_q5_1, NULL},
        {"Q2_K", gguf_quant_q2_k, NULL},         {"Q3_K", gguf_quant_q3_k, NULL},
        {"Q4_K", gguf_quant_q4_k, NULL},         {"Q5_K", gguf_quant_q5_k, NULL},
        {"Q6_K", gguf_quant_q6_k, NULL},
};

static const struct gguf_quant_row *gguf_quant_find(uint32_t type)
{
	const char *name = gguf_type_of(type)->name;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

int gguf_quant_check(const char *place, const struct gguf_tensor *t)
{
	if (gguf_quant_find(t->type))
		return OK;
	return error_set(ERR_INPUT,
	                 "%s: tensor \"%s\" has type %s, which is not supported; take a file in "
	                 "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1 or Q2_K to Q6_K",
	                 place, t->name, gguf_type_of(t->type)->name);
}

void gguf_quant_read(uint32_t type, const unsigned char *blocks, size_t n_blocks, float *out)
{
	const struct gguf_type      *t = gguf_type_of(type);
	const struct gguf_quant_row *row = gguf_quant_find(type);

	for (size_t i = 0; i < n_blocks; i++)
		row->read(blocks + i * t->bytes, out + i * t->block);
}

int gguf_quant_write(uint32_t type, const float *x, size_t n, unsigned char *out)
{
	const struct gguf_type      *t = gguf_type_of(type);
	const struct gguf_quant_row *row = gguf_quant_find(type);

	for (size_t i = 0; i < n / t->block; i++)
		if (!row->write(x + i * t->block, out + i * t->bytes))
			return error_set(ERR_INPUT,
			                 "number %zu or one of the %u from there on is too large "
			                 "for type %s",
			                 i * t->block, t->block, t->name);
	return OK;
}

int gguf_quant_writes(const char *name, uint32_t *type)
{
	return gguf_type_find(name, type) && gguf_quant_find(*type) &&
	       gguf_quant_find(*type)->write;
}
