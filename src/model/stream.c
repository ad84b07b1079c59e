#include "model/stream.h"

#include "base/error.h"
#include "model/head.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { STREAM_TOKENS = 512 }; /* tokens that are read in one pass */

struct stream {
	const struct model *model;
	struct kv_cache     cache;
	int                 max_tokens;
	int                *ids, *position, *pages; /* [max_tokens], [max_tokens], [their pages] */
	/* tokens of the text; those of them that were given; those with keys and values */
	int               n, n_given, n_read;
	size_t            computed;
	float            *logits;     /* [V] behind token n_read - 1 */
	struct candidate *candidates; /* [V] */
	struct arena      scratch;    /* of one pass */
};

static int stream_allocate(struct stream *s)
{
	size_t V = (size_t)s->model->weights.shape.n_vocab, T = (size_t)s->max_tokens;
	int    n_pages = (s->max_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;

	TRY(mem_take(T, "the text", &s->ids));
	TRY(mem_take(T, "the text", &s->position));
	TRY(mem_take((size_t)n_pages, "the pages of the text", &s->pages));
	TRY(mem_take(V, "the logits", &s->logits));
	TRY(mem_take(V, "the logits", &s->candidates));
	TRY(model_cache_new(s->model, s->model->weights.shape.n_layers, n_pages, &s->cache));
	for (int i = 0; i < s->max_tokens; i++)
		s->position[i] = i;
	for (int i = 0; i < n_pages; i++)
		s->pages[i] = i;
	return OK;
}

int stream_new(const struct model *m, int max_tokens, struct stream **out)
{
	struct stream *s;
	int            status;

	assert(max_tokens > 1);
	*out = NULL;
	TRY(mem_take(1, "the text", &s));
	s->model = m;
	s->max_tokens = max_tokens;
	status = stream_allocate(s);
	if (status == OK)
		*out = s;
	else
		stream_free(s);
	return status;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	kv_cache_free(&s->cache);
	mem_free(s->ids);
	mem_free(s->position);
	mem_free(s->pages);
	mem_free(s->logits);
	mem_free(s->candidates);
	arena_free(&s->scratch);
	mem_free(s);
}

void stream_read(struct stream *s, const int *ids, int n)
{
	int same = 0;

	assert(n > 0 && n < s->max_tokens);
	while (same < n && same < s->n_read && s->ids[same] == ids[same])
		same++;
	memcpy(s->ids, ids, (size_t)n * sizeof *ids);
	/* the last token is read again at least: a penalty may have changed the logits behind it */
	s->n_read = same < n ? same : n - 1;
	s->n = s->n_given = n;
}

/* One pass over tokens n_read .. n_read + n - 1, which see the keys before them; then the logits
 * behind the last of them. */
static int stream_pass(struct stream *s, int n)
{
	size_t         D = (size_t)s->model->weights.shape.width;
	struct segment segment = {
	        .count = n, .position = s->n_read, .parent = -1, .pages = s->pages};
	struct packing b = {.n_tokens = n,
	                    .n_segments = 1,
	                    .token = s->ids + s->n_read,
	                    .position = s->position + s->n_read,
	                    .segments = &segment,
	                    .n_pages = s->cache.n_pages};
	float         *hidden;
	int            status;

	TRY(arena_take(&s->scratch, (size_t)n * D, "the hidden states of a text", &hidden));
	status = model_forward(s->model, &b, &s->cache, NULL, &s->scratch, hidden);
	if (status == OK)
		status = head_logits(s->model, 1, hidden + (size_t)(n - 1) * D, s->logits);
	arena_reset(&s->scratch);
	s->n_read += n;
	s->computed += (size_t)n;
	return status;
}

int stream_next(struct stream *s, const struct stream_options *o, int *token)
{
	int                       V = s->model->weights.shape.n_vocab;
	const struct penalty_text text = {.prompt = s->ids,
	                                  .completion = s->ids + s->n_given,
	                                  .end = o->ends,
	                                  .n_prompt = s->n_given,
	                                  .n_completion = s->n - s->n_given,
	                                  .n_ends = o->n_ends};
	struct sampled            drawn;

	assert(s->n > 0 && s->n < s->max_tokens);
	while (s->n_read < s->n)
		TRY(stream_pass(s, s->n - s->n_read < STREAM_TOKENS ? s->n - s->n_read
		                                                    : STREAM_TOKENS));
	if (o->penalty)
		penalty_apply(o->penalty, &text, V, s->logits, s->candidates);
	sampling_draw(&o->sampling, s->logits, V,
	              rng_uniform(o->key, (uint32_t)(s->n - s->n_given)), s->candidates, &drawn);
	if (!isfinite(drawn.logp) || !isfinite(drawn.entropy))
		return error_set(ERR_FAILED, "the model's logits are not finite; the weights hold "
		                             "NaN or have diverged");
	s->ids[s->n++] = *token = drawn.token;
	return OK;
}

int stream_length(const struct stream *s)
{
	return s->n;
}

size_t stream_computed(const struct stream *s)
{
	return s->computed;
}
