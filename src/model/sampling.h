/* sampling.h - from one row of logits to one token, its log-probability and the entropy of the
 * choice.
 *
 *     p = softmax(z / temperature)
 *     keep      top_k   the k most probable tokens                                    0 or -1: off
 *               top_p   of these, renormalised, the fewest whose sum reaches top_p       1: off
 *                       (arXiv:1904.09751)
 *               min_p   of these, tokens with p >= min_p * the largest p                0: off
 *                       (arXiv:2407.01082)
 *     draw      the first kept token, in order of (p falling, id rising), at which the running sum
 *               exceeds u * (sum of the kept)
 *
 * Without a filter nothing is sorted and the running sum goes by id. Ties go to the smaller id.
 * temperature 0 is greedy: the largest logit.
 *
 * logp and entropy are those of p, the whole distribution at this temperature (greedy: at
 * temperature 1), from the same routine as in training: the filters say which token is drawn, not
 * what is recorded. Pure functions; one random number u in [0, 1) per token. */
#ifndef MODEL_SAMPLING_H
#define MODEL_SAMPLING_H

struct sampling {
	float temperature;
	int   top_k;
	float top_p, min_p;
};

struct sampled {
	int   token;
	float logp, entropy; /* nats */
};

struct candidate { /* scratch of one row */
	float p;
	int   id;
};

/* scratch [V]: of the filters */
void sampling_draw(const struct sampling *s, const float *z, int V, float u,
                   struct candidate *scratch, struct sampled *out);

#endif
