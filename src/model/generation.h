/* generation.h - generation_config.json: how the makers of a model want it to be sampled.
 *
 *     do_sample             missing: false, greedy, as in transformers; so is a folder without the
 *                           file
 *     temperature, top_k, top_p, min_p                      (sampling.h); 0 for the temperature:
 *                                                           greedy
 *     repetition_penalty, no_repeat_ngram_size, ...         (penalty.h)
 *     num_beams, typical_p, ...                             not done here: named, so that a caution
 *                                                           can say so
 *
 * The ids that end a completion stand in the same file; folder.h reads them. */
#ifndef MODEL_GENERATION_H
#define MODEL_GENERATION_H

#include "base/json.h"
#include "model/penalty.h"

struct generation { /* what the pointers lead to lies in the arena of the call */
	int            do_sample;
	double         temperature, top_p, min_p;
	int            top_k;
	struct penalty penalty;
	/* "num_beams, typical_p": settings that change what is drawn and that we do not have; "" */
	const char *not_done;
};

/* Writes *out whole; what the file does not say is greedy at temperature 1 without a filter. Errors
 * name the file and each value that is out of range. No error when there is no such file. */
int generation_read(const char *folder, struct arena *a, struct generation *out);

/* Below 1e-6 the largest logit is drawn anyway and z / t overflows, so that is greedy as well:
 * 0. */
float generation_temperature(double t);

/* greedy is temperature 0 */
struct sampling generation_sampling(const struct generation *g);

/* The file itself: *path in the arena, *out owned by the caller, NULL when there is none. */
int generation_open(const char *folder, struct arena *a, const char **path, json_t **out);

#endif
