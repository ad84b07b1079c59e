/* rope.h - the frequencies of the rotary positions (arXiv:2104.09864) and how models for long texts
 * slow them down. With i = 0 .. E/2-1:
 *
 *     plain     f_i = theta^(-2i/E)
 *     linear    f_i / factor
 *               (arXiv:2306.15595)
 *     llama3    by the wavelength w = 2 pi / f_i against the old context length C
 *               (arXiv:2407.21783, 3.2)
 *                   w < C / high            f_i
 *                   w > C / low             f_i / factor
 *                   between them            (1 - s) f_i / factor + s f_i,   s = (C / w - low) /
 *                                           (high - low)
 *
 * Rounded to float after each operation, as in the models' own training code. */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include "model/shape.h"

void rope_frequencies(const struct model_shape *s, float *out /* [E/2] */);

/* ERR_INPUT with the name that config.json has for a number that makes no sense. */
int rope_check(const struct model_shape *s);

#endif
