/* decode.h - many completions at once, each the same whatever else is in the batch.
 *
 * A decoder has a fixed number of slots. Requests wait in a queue; a request enters a free slot,
 * gets one token a step, and leaves when it ends, so that the batch stays full until the queue is
 * empty:
 *
 *     queue  r5 r6 r7 ...     slots  | r0 | r1 | r2 | r4 |     r3 has ended; r4 took its place
 *
 * Requests that follow each other with the same prompt pointer form a group: the prompt is
 * prefilled once, its full pages of keys and values are shared, the last partial page is copied for
 * each completion. The row of logits after the prompt serves every first token.
 *
 * A completion that stops may go on behind tokens that nobody sampled, what a world answers to an
 * action (rl/episode.h): whoever listens to stops puts them there. The completion stays in its slot
 * and keeps its pages; the next step reads only what is new, in the same pass in which the others
 * get their next token.
 *
 * Speculation (decode_options.speculate): where few completions run, reading the weights is what a
 * step costs, and a few rows more are nearly free. Then a completion's newest token is followed by
 * a guess (draft.h); after each of its tokens, in order, one is drawn, until one differs from the
 * guess or stops. What stands behind it in the pages is overwritten by the next step. At most
 * SPECULATE_ROWS rows are computed in such a step; guesses grow while they come true, shrink while
 * they do not, and pause when none does. No bit of a result depends on them.
 *
 * What a request produces depends on its prompt, its options, its random key and the weights alone:
 * rows of every product are independent (matmul.h), attention sees the completion's own pages
 * (attention.h), token t uses random number t of the request's key. */
#ifndef MODEL_DECODE_H
#define MODEL_DECODE_H

#include "base/ending.h"
#include "base/rng.h"
#include "model/penalty.h"
#include "model/sampling.h"
#include "model/transformer.h"

struct tokenizer; /* of the room text, which this one does not know */

struct decode_result { /* arrays of max_new, in the arena of the call */
	int *ids;
	/* [n] of each token, as sampled; 0 where nobody sampled it */
	float           *logp, *entropy;
	int              n; /* > 0 */
	enum stop_reason stop;
};

struct decode_listener {
	/* Called at every stop of a completion, in no order among completions. May put tokens
	 * behind it (decode_append) and change its stop; sets *go_on, 0 before, to have more
	 * sampled, for which there must be room for one token at least. NULL: every stop is the
	 * end. */
	int (*stopped)(void *context, int request, struct decode_result *r, int *go_on);
	void *context;
};

struct decode_options {
	struct sampling       sampling;
	const struct penalty *penalty; /* NULL: none, as in training */
	/* [n_eos] ids that end a completion; the id itself belongs to the completion */
	const int *eos;
	int        n_eos;
	/* [n_stop] texts that stop a completion once what was sampled since its last stop contains
	 * one */
	const char *const *stop;
	int                n_stop;
	const struct tokenizer
	        /* what stop texts are looked for in: the bytes piece(tokenizer, id, &n) of each
	         * token; NULL without them */
	        *tokenizer;
	const char *(*piece)(const struct tokenizer *tokenizer, int id, size_t *n);
	int                    share_prompt; /* 0: every request prefills its own prompt (tests) */
	struct decode_listener listener;
	/* a completion that goes on is read again from its start, as if no page had been kept
	 * (tests) */
	int reread;
	int speculate; /* changes speed alone */
};

enum { SPECULATE_ROWS = 16 };

struct decode_request {
	const int     *prompt; /* [n_prompt] n_prompt > 0 */
	int            n_prompt;
	int            max_new; /* > 0; the completion is cut off here */
	struct rng_key key;
	/* [n_earlier] other completions of the prompt, DRAFT_START before each, to guess from
	 * (draft.h); NULL: none */
	const int *earlier;
	int        n_earlier;
};

struct decoder;
/* n_slots sequences at once, each of at most max_tokens (prompt and completion). The cache is one
 * allocation, all else another. decoder_bytes counts both, with the function that takes them. */
int    decoder_new(const struct model *m, int n_slots, int max_tokens, struct decoder **out);
void   decoder_free(struct decoder *d);
size_t decoder_bytes(const struct model_shape *s, const struct matmul *mm, int n_slots,
                     int max_tokens);
/* What decode_run takes beside it, at most: the forward pass of prompts that enter together. */
size_t decoder_scratch_bytes(const struct model *m, int n_slots, int max_tokens);

/* Completes all n requests; results [n] in their order. ERR_FAILED with the request named when a
 * row of logits is not finite; or the listener's error. */
int decode_run(struct decoder *d, const struct decode_options *o,
               const struct decode_request *requests, int n, struct arena *a,
               struct decode_result *results);

/* Of the last call: tokens that were guessed, and those of them that came true. */
struct decode_guesses {
	long made, right;
};
struct decode_guesses decoder_guesses(const struct decoder *d);

/* For listeners: n tokens of which the model drew none. There must be room for them. */
void decode_append(struct decode_result *r, const int *ids, int n);

#endif
