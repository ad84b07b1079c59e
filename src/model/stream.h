/* stream.h - one text that a model reads and continues, one token at a time, over many calls.
 *
 *     stream_read    the text is now ids[0..n-1]
 *     stream_next    draws the next token and appends it
 *
 * Keys and values stay. When a new text begins as the old one did, only the rest goes through the
 * model. That changes no bit, because a cached key equals a computed one (docs/architecture.md,
 * rule 3): what is drawn depends on the text, the options, the key and the weights alone, and is
 * the same as in decode.h. */
#ifndef MODEL_STREAM_H
#define MODEL_STREAM_H

#include "base/rng.h"
#include "model/penalty.h"
#include "model/sampling.h"
#include "model/transformer.h"

struct stream;

struct stream_options {
	struct sampling       sampling;
	const struct penalty *penalty; /* NULL: none */
	const int            *ends;    /* [n_ends] ids that end a completion, for the penalty */
	int                   n_ends;
	struct rng_key        key;
};

/* Room for max_tokens tokens of text. */
int  stream_new(const struct model *m, int max_tokens, struct stream **out);
void stream_free(struct stream *s);

/* Makes ids[0..n-1] the text, 0 < n < max_tokens. What stream_next appends from here on is the
 * completion: token t of it uses random number t of the key. Nothing is computed yet. */
void stream_read(struct stream *s, const int *ids, int n);

/* Draws the token that follows the text and appends it; there must be room. ERR_FAILED when the
 * logits are not finite. */
int stream_next(struct stream *s, const struct stream_options *o, int *token);

int stream_length(const struct stream *s); /* tokens of the text */
/* tokens that have gone through the model since stream_new, for tests */
size_t stream_computed(const struct stream *s);

#endif
