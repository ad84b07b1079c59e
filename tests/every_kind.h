/* every_kind.h - a shape as a kind may have it: every part that its config.json can ask for is
 * there, with numbers that show. */
#ifndef TESTS_EVERY_KIND_H
#define TESTS_EVERY_KIND_H

#include "model/kind.h"

#include <string.h>

/* window: of the layers that are local; of two layers one is where the kind allows that. */
static inline void as_kind(struct model_shape *s, enum model_kind kind, int window)
{
	s->kind = kind;
	s->scales = (struct model_scales){0};
	s->window = 0;
	s->local_theta = 0;
	memset(s->layers, 0, sizeof s->layers);
	if (kind_has(s, PART_SCALES))
		s->scales = (struct model_scales){
		        .embedding = 1.5, .residual = 0.625, .score = 0.75, .logit_divisor = 2};
	if (kind_has(s, PART_CAPS))
		s->scales = (struct model_scales){.query_width = 7};
	if (kind == MODEL_GEMMA2) {
		s->scales.score_cap = 1.5;
		s->scales.logit_cap = 2.5;
	}
	if (kind == MODEL_GEMMA3)
		s->local_theta = 30;
	if (kind_has(s, PART_WINDOW))
		s->window = window;
	for (int i = 0; i < s->n_layers; i++) {
		int local = kind_has(s, PART_WINDOW) && (!kind_of(s)->lists_layers || i % 2 == 0);
		s->layers[i] =
		        (unsigned char)((local ? LAYER_LOCAL : 0) |
		                        (kind_has(s, PART_NOPE) && i % 2 ? LAYER_UNTURNED : 0));
	}
}

#endif
