/* gguf_quant.h - the numbers of a GGUF tensor: blocks to f32, and f32 to Q8_0.
 *
 * In a block of 32 or 256 numbers, q is a small whole number of each, d and m (f16) belong to the
 * block, and in the K types s and t are small whole numbers of each 16 or 32 of its numbers. Each
 * line is computed as it stands, in f32, one rounding an operation:
 *
 *     F32 F16 BF16     as they are
 *     Q8_0             d q                 q: -128 .. 127        (34 bytes for 32)
 *     Q4_0  Q5_0       (q - 8) d           (q - 16) d            (18, 22)
 *     Q4_1  Q5_1       d q + m                                   (20, 24)
 *     Q2_K             (d s) q - m t       s, t: 4 bits          (84 for 256)
 *     Q3_K             (d (s - 32)) (q - 4)                      (110)
 *     Q4_K  Q5_K       (d s) q - m t       s, t: 6 bits          (144, 176)
 *     Q6_K             (d s) (q - 32)      s: -128 .. 127        (210)
 *
 * No product of these is a denormal, so flushing changes nothing. Every other type (IQ..., TQ...,
 * MXFP4) is refused by its name.
 *
 * Q8_0 is written as llama.cpp does: d = max |x| / 127, q = x (1 / d) to the nearest, halves away
 * from 0, d rounded to f16 only where it is stored. */
#ifndef MODEL_GGUF_QUANT_H
#define MODEL_GGUF_QUANT_H

#include "base/gguf.h"

/* OK for a type that can be read, else ERR_INPUT with what to do. `place` stands in the message. */
int gguf_quant_check(const char *place, const struct gguf_tensor *t);

/* n_blocks blocks of this type, which has been checked, into n_blocks x block floats. */
void gguf_quant_read(uint32_t type, const unsigned char *blocks, size_t n_blocks, float *out);

/* F32, F16, BF16 or Q8_0: n numbers, whole blocks, into n / block x bytes bytes. ERR_INPUT with the
 * first index whose number the type cannot hold. */
int gguf_quant_write(uint32_t type, const float *x, size_t n, unsigned char *out);

/* The types that gguf_quant_write knows; 0: another name. */
int gguf_quant_writes(const char *name, uint32_t *type);

#endif
