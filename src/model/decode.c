#include "model/decode.h"

#include "base/error.h"
#include "base/threads.h"
#include "model/draft.h"
#include "model/head.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { TRUST_FIRST = 4, TRUST_PAUSE = 8 }; /* tokens of a completion's first guess, at most */
enum { PREFILL_TOKENS = 2048 }; /* texts are read together up to about this many tokens */

struct slot {        /* one running completion */
	int request; /* index, or -1: free */
	/* tokens of prompt and completion that have been through the model: all but the last, and
	 * what was put behind a stop */
	int  n_read;
	int *pages; /* [pages_each] */
	/* speculation: tokens that follow the text in this step; most of them in the next */
	int guess[SPECULATE_ROWS], n_guess, trust, pause;
};

struct prompt { /* the prefilled prompt of a group */
	const int *ids;
	int        n;
	int       *pages;  /* [pages_each] */
	float     *logits; /* [V] after its last token */
};

struct decoder {
	const struct model   *model;
	int                   n_slots, max_tokens, pages_each;
	struct kv_cache       cache;
	struct arena          memory;     /* of what follows, to prompt_logits */
	int                  *page_users; /* [n_pages] how many slots and prompts hold a page */
	int                  *free_pages; /* [n_pages] a stack */
	int                   n_free;
	struct slot          *slots;         /* [n_slots] */
	int                  *page_table;    /* [(n_slots + n_slots + 1) x pages_each] */
	struct candidate     *candidates;    /* [n_slots x V] */
	float                *logits;        /* [decode_rows x V] of the decode step */
	float                *prompt_logits; /* [(n_slots + 1) x V] */
	struct arena          scratch;       /* of one step */
	struct decode_guesses guesses;
};

struct decode_call { /* one call of decode_run */
	struct decoder              *d;
	const struct decode_options *o;
	const struct decode_request *requests;
	struct decode_result        *results;
	int                          n, next; /* requests in all; the first that has not entered */
	/* [n] tokens that a completion had when it last went on; stop texts are looked for from
	 * there on */
	int *piece;
	/* [n_slots + 1] prefilled; the last one may have members still waiting */
	struct prompt *prompts;
	int            n_prompts;
};

/* What a draw did to its completion. Draws run in parallel, and messages belong to threads, so an
 * error waits until decode_settle says it. */
enum decode_drawn { DRAWN_GOES_ON, DRAWN_STOPS, DRAWN_NOT_FINITE, DRAWN_NO_MEMORY };

struct step_room { /* [n_slots] each: of the segments of a step */
	int               *slot_of, *first_row, *right;
	enum decode_drawn *drawn;
};

/* ---- pages ---- */

static int pages_for(int n_tokens)
{
	return (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
}

/* Every slot may fill its pages; every prompt being handed out has one partial page of its own; one
 * group may wait with all of its prompt. */
static int pages_in_all(int n_slots, int pages_each)
{
	return n_slots * (pages_each + 1) + pages_each;
}

static int page_take(struct decoder *d)
{
	int page;

	assert(d->n_free > 0);
	page = d->free_pages[--d->n_free];
	d->page_users[page] = 1;
	return page;
}

static void pages_release(struct decoder *d, const int *pages, int n)
{
	for (int i = 0; i < n; i++) {
		assert(d->page_users[pages[i]] > 0 && d->n_free < d->cache.n_pages);
		if (--d->page_users[pages[i]] == 0)
			d->free_pages[d->n_free++] = pages[i];
	}
}

static void pages_reset(struct decoder *d)
{
	d->n_free = 0;
	for (int page = d->cache.n_pages; page-- > 0;) {
		d->page_users[page] = 0;
		d->free_pages[d->n_free++] = page;
	}
}

/* ---- lifetime ---- */

static size_t decode_rows(int n_slots)
{
	return (size_t)(n_slots > SPECULATE_ROWS ? n_slots : SPECULATE_ROWS);
}

static struct decoder decoder_of(int n_slots, int max_tokens)
{
	return (struct decoder){
	        .n_slots = n_slots, .max_tokens = max_tokens, .pages_each = pages_for(max_tokens)};
}

static int decoder_pages(const struct decoder *d)
{
	return pages_in_all(d->n_slots, d->pages_each);
}

/* The pool of pages, the page tables of slots and prompts, and the rows of logits. */
static int decoder_take(const struct model_shape *s, struct arena *a, struct decoder *d)
{
	size_t V = (size_t)s->n_vocab, slots = (size_t)d->n_slots, each = (size_t)d->pages_each,
	       n_pages = (size_t)decoder_pages(d);

	TRY(arena_take(a, n_pages, "the decoder's pages", &d->page_users));
	TRY(arena_take(a, n_pages, "the decoder's pages", &d->free_pages));
	TRY(arena_take(a, (2 * slots + 1) * each, "the decoder's pages", &d->page_table));
	TRY(arena_take(a, slots, "the decoder's slots", &d->slots));
	TRY(arena_take(a, slots * V, "the decoder's candidates", &d->candidates));
	TRY(arena_take(a, decode_rows(d->n_slots) * V, "the decoder's logits", &d->logits));
	return arena_take(a, (slots + 1) * V, "the decoder's logits", &d->prompt_logits);
}

/* All but the cache. */
static size_t decoder_own_bytes(const struct model_shape *s, const struct decoder *d)
{
	struct arena   count = {.counts = 1};
	struct decoder like = *d;
	int            status = decoder_take(s, &count, &like);

	assert(status == OK); /* nothing is allocated */
	return count.used;
}

size_t decoder_bytes(const struct model_shape *s, const struct matmul *mm, int n_slots,
                     int max_tokens)
{
	struct decoder d = decoder_of(n_slots, max_tokens);

	return decoder_own_bytes(s, &d) + model_cache_bytes(s, mm, s->n_layers, decoder_pages(&d));
}

size_t decoder_scratch_bytes(const struct model *m, int n_slots, int max_tokens)
{
	size_t all = (size_t)n_slots * (size_t)max_tokens;
	int    tokens = all < PREFILL_TOKENS ? (int)all : PREFILL_TOKENS,
	    most = tokens > max_tokens ? tokens : max_tokens;

	return model_forward_bytes(m, most) +
	       (size_t)(most + n_slots) * (size_t)m->weights.shape.width * sizeof(float);
}

static int decoder_allocate(const struct model_shape *s, struct decoder *d)
{
	TRY(arena_reserve(&d->memory, decoder_own_bytes(s, d), "the decoder"));
	TRY(decoder_take(s, &d->memory, d));
	TRY(model_cache_new(d->model, s->n_layers, decoder_pages(d), &d->cache));
	for (int i = 0; i < d->n_slots; i++)
		d->slots[i].pages = d->page_table + (size_t)i * (size_t)d->pages_each;
	return OK;
}

int decoder_new(const struct model *m, int n_slots, int max_tokens, struct decoder **out)
{
	struct decoder *d;
	int             status;

	assert(n_slots > 0 && max_tokens > 1);
	*out = NULL;
	TRY(mem_take(1, "the decoder", &d));
	*d = decoder_of(n_slots, max_tokens);
	d->model = m;
	status = decoder_allocate(&m->weights.shape, d);
	if (status == OK)
		*out = d;
	else
		decoder_free(d);
	return status;
}

void decoder_free(struct decoder *d)
{
	if (!d)
		return;
	kv_cache_free(&d->cache);
	arena_free(&d->memory);
	arena_free(&d->scratch);
	mem_free(d);
}

/* ---- one token of one completion ---- */

static int is_eos(const struct decode_options *o, int token)
{
	for (int i = 0; i < o->n_eos; i++)
		if (o->eos[i] == token)
			return 1;
	return 0;
}

/* Whether the text of the piece contains a stop text that ends within its last token; -1 when
 * memory is short. The tail that is looked at is as many tokens as the longest stop text has bytes:
 * each token that matters has at least one byte. */
static int has_stop_text(const struct decode_options *o, const struct decode_result *r, int from)
{
	size_t      longest = 0;
	int         first, found = 0;
	struct text tail = {0};

	for (int i = 0; i < o->n_stop; i++)
		longest = strlen(o->stop[i]) > longest ? strlen(o->stop[i]) : longest;
	if (longest == 0)
		return 0;
	first = r->n - from > (int)longest ? r->n - (int)longest : from;
	for (int i = first; i < r->n; i++) {
		size_t      n;
		const char *piece = o->piece(o->tokenizer, r->ids[i], &n);
		text_add(&tail, piece ? piece : "", n);
	}
	for (int i = 0; i < o->n_stop && tail.n; i++)
		found |= memmem(tail.data, tail.n, o->stop[i], strlen(o->stop[i])) != NULL;
	found = tail.failed ? -1 : found;
	text_free(&tail);
	return found;
}

static void apply_penalty(const struct decode_call *run, const struct decode_request *q,
                          const struct decode_result *r, float *logits, struct candidate *scratch)
{
	const struct decode_options *o = run->o;
	const struct penalty_text    text = {.prompt = q->prompt,
	                                     .completion = r->ids,
	                                     .end = o->eos,
	                                     .n_prompt = q->n_prompt,
	                                     .n_completion = r->n,
	                                     .n_ends = o->n_eos};

	if (o->penalty)
		penalty_apply(o->penalty, &text, run->d->model->weights.shape.n_vocab, logits,
		              scratch);
}

/* Draws the next token of a request from its row of logits, which a penalty changes. */
static enum decode_drawn decode_draw(const struct decode_call *run, int request, float *logits,
                                     struct candidate *scratch)
{
	const struct decode_request *q = &run->requests[request];
	struct decode_result        *r = &run->results[request];
	struct sampled               token;
	int                          found = 0;

	assert(r->n < q->max_new);
	apply_penalty(run, q, r, logits, scratch);
	sampling_draw(&run->o->sampling, logits, run->d->model->weights.shape.n_vocab,
	              rng_uniform(q->key, (uint32_t)r->n), scratch, &token);
	if (!isfinite(token.logp) || !isfinite(token.entropy))
		return DRAWN_NOT_FINITE;
	r->ids[r->n] = token.token;
	r->logp[r->n] = token.logp;
	r->entropy[r->n] = token.entropy;
	r->n++;
	if (run->o->n_stop)
		found = has_stop_text(run->o, r, run->piece[request]);
	if (found < 0)
		return DRAWN_NO_MEMORY;
	if (is_eos(run->o, token.token))
		r->stop = STOP_EOS;
	else if (found)
		r->stop = STOP_STRING;
	else if (r->n == q->max_new)
		r->stop = STOP_LENGTH;
	else
		return DRAWN_GOES_ON;
	return DRAWN_STOPS;
}

static int not_finite(int request)
{
	return error_set(ERR_FAILED,
	                 "request %d: the model's logits are not finite; the weights hold NaN or "
	                 "have diverged",
	                 request);
}

void decode_append(struct decode_result *r, const int *ids, int n)
{
	if (n == 0)
		return;
	memcpy(r->ids + r->n, ids, (size_t)n * sizeof *ids);
	memset(r->logp + r->n, 0, (size_t)n * sizeof *r->logp);
	memset(r->entropy + r->n, 0, (size_t)n * sizeof *r->entropy);
	r->n += n;
}

/* What became of a draw: whether the completion is over, after the listener had its say. */
static int decode_settle(struct decode_call *run, int request, enum decode_drawn drawn, int *over)
{
	const struct decode_listener *l = &run->o->listener;
	struct decode_result         *r = &run->results[request];
	int                           go_on = 0;

	if (drawn == DRAWN_NOT_FINITE)
		return not_finite(request);
	if (drawn == DRAWN_NO_MEMORY)
		return error_memory("the stop texts of request %d", request);
	if (drawn == DRAWN_STOPS && l->stopped)
		TRY(l->stopped(l->context, request, r, &go_on));
	assert(r->n + go_on <= run->requests[request].max_new);
	if (go_on)
		run->piece[request] = r->n;
	*over = drawn == DRAWN_STOPS && !go_on;
	return OK;
}

/* ---- entering ---- */

static int same_prompt(const struct decode_call *run, const struct prompt *p,
                       const struct decode_request *q)
{
	return run->o->share_prompt && p->ids == q->prompt && p->n == q->n_prompt;
}

/* Chooses the prompts that the free slots need next, at most about PREFILL_TOKENS of them. Returns
 * how many requests can enter. The last known prompt may serve the first of them. */
static int plan_prompts(struct decode_call *run, int n_free, int *prompt_of)
{
	int tokens = 0, entering = 0;

	while (entering < n_free && run->next + entering < run->n) {
		const struct decode_request *q = &run->requests[run->next + entering];
		struct prompt *last = run->n_prompts ? &run->prompts[run->n_prompts - 1] : NULL;
		if (!last || !same_prompt(run, last, q)) {
			if (tokens && tokens + q->n_prompt > PREFILL_TOKENS)
				break;
			tokens += q->n_prompt;
			last = &run->prompts[run->n_prompts++];
			last->ids = q->prompt;
			last->n = q->n_prompt;
		}
		prompt_of[entering++] = run->n_prompts - 1;
	}
	return entering;
}

/* Packs the new prompts (from `first` on) into one batch, takes their pages, computes the logits
 * behind each of them. */
static int prefill(struct decode_call *run, int first)
{
	struct decoder *d = run->d;
	struct packing  b = {0};
	size_t          D = (size_t)d->model->weights.shape.width;
	int             n_new = run->n_prompts - first;
	float          *hidden, *last;

	for (int p = first; p < run->n_prompts; p++)
		b.n_tokens += run->prompts[p].n;
	TRY(arena_take(&d->scratch, (size_t)b.n_tokens, "the prompts to prefill", &b.token));
	TRY(arena_take(&d->scratch, (size_t)b.n_tokens, "the prompts to prefill", &b.position));
	TRY(arena_take(&d->scratch, (size_t)n_new, "the prompts to prefill", &b.segments));
	TRY(arena_take(&d->scratch, (size_t)b.n_tokens * D, "the hidden states of decoding",
	               &hidden));
	TRY(arena_take(&d->scratch, (size_t)n_new * D, "the hidden states of decoding", &last));
	b.n_pages = d->cache.n_pages;
	for (int p = first, t = 0; p < run->n_prompts; p++) {
		struct prompt *prompt = &run->prompts[p];
		b.segments[b.n_segments++] = (struct segment){.first = t,
		                                              .count = prompt->n,
		                                              .position = 0,
		                                              .parent = -1,
		                                              .pages = prompt->pages};
		for (int i = 0; i < pages_for(prompt->n); i++)
			prompt->pages[i] = page_take(d);
		for (int i = 0; i < prompt->n; i++, t++) {
			b.token[t] = prompt->ids[i];
			b.position[t] = i;
		}
	}
	TRY(model_forward(d->model, &b, &d->cache, NULL, &d->scratch, hidden));
	for (int i = 0; i < n_new; i++)
		memcpy(last + (size_t)i * D,
		       hidden + (size_t)(b.segments[i].first + b.segments[i].count - 1) * D,
		       D * sizeof *last);
	return head_logits(d->model, n_new, last, run->prompts[first].logits);
}

/* Gives a slot the pages of its prompt: full ones shared, a partial one copied. */
static void fork_pages(struct decoder *d, const struct prompt *p, struct slot *s)
{
	int full = p->n / PAGE_TOKENS;

	for (int i = 0; i < full; i++) {
		s->pages[i] = p->pages[i];
		d->page_users[p->pages[i]]++;
	}
	if (p->n % PAGE_TOKENS) {
		s->pages[full] = page_take(d);
		kv_cache_copy_page(&d->cache, p->pages[full], s->pages[full]);
	}
	s->n_read = p->n;
}

/* Keeps only the last prompt, and that only while the next request still needs it; its pages and
 * logits move to the front. */
static void drop_prompts(struct decode_call *run)
{
	struct prompt *first = run->prompts, *last = run->prompts + run->n_prompts - 1;
	size_t         V = (size_t)run->d->model->weights.shape.n_vocab;
	int            needed = run->n_prompts && run->next < run->n &&
	             same_prompt(run, last, &run->requests[run->next]);

	for (int p = 0; p < run->n_prompts - needed; p++)
		pages_release(run->d, run->prompts[p].pages, pages_for(run->prompts[p].n));
	if (needed && last != first) {
		memcpy(first->pages, last->pages, (size_t)pages_for(last->n) * sizeof *last->pages);
		memcpy(first->logits, last->logits, V * sizeof *last->logits);
		first->ids = last->ids;
		first->n = last->n;
	}
	run->n_prompts = needed;
}

/* Lets waiting requests into free slots; each gets its first token from the logits behind its
 * prompt. A completion that is over with its first token never occupies its slot. */
static int enter(struct decode_call *run, int *prompt_of)
{
	struct decoder *d = run->d;
	size_t          V = (size_t)d->model->weights.shape.n_vocab;
	int             n_free = 0, first_new = run->n_prompts, entering;

	for (int s = 0; s < d->n_slots; s++)
		n_free += d->slots[s].request < 0;
	entering = plan_prompts(run, n_free, prompt_of);
	if (run->n_prompts > first_new)
		TRY(prefill(run, first_new));
	for (int i = 0, s = 0; i < entering; i++) {
		struct prompt *p = &run->prompts[prompt_of[i]];
		int            request = run->next + i, over;
		/* others of the group still need them as they are */
		memcpy(d->logits, p->logits, V * sizeof *p->logits);
		TRY(decode_settle(run, request, decode_draw(run, request, d->logits, d->candidates),
		                  &over));
		if (over)
			continue;
		while (d->slots[s].request >= 0)
			s++;
		d->slots[s].request = request;
		d->slots[s].trust = TRUST_FIRST;
		d->slots[s].pause = 0;
		fork_pages(d, p, &d->slots[s]);
	}
	run->next += entering;
	drop_prompts(run);
	arena_reset(&d->scratch);
	return OK;
}

/* ---- one step of all running completions ---- */

static int text_length(const struct decode_call *run, const struct slot *s)
{
	return run->requests[s->request].n_prompt + run->results[s->request].n;
}

static int decode_token_at(const struct decode_call *run, const struct slot *s, int position)
{
	const struct decode_request *q = &run->requests[s->request];

	return position < q->n_prompt ? q->prompt[position]
	                              : run->results[s->request].ids[position - q->n_prompt];
}

/* Appends what is new in the text of a running completion: its last token, as a rule. */
static void add_segment(const struct decode_call *run, struct slot *s, struct packing *b)
{
	int n = text_length(run, s);

	b->segments[b->n_segments++] = (struct segment){.first = b->n_tokens,
	                                                .count = n - s->n_read,
	                                                .position = s->n_read,
	                                                .parent = -1,
	                                                .pages = s->pages};
	for (int page = pages_for(s->n_read); page < pages_for(n); page++)
		s->pages[page] = page_take(run->d);
	for (; s->n_read < n; s->n_read++, b->n_tokens++) {
		b->token[b->n_tokens] = decode_token_at(run, s, s->n_read);
		b->position[b->n_tokens] = s->n_read;
	}
}

/* The slots that are running, in the order of their requests: completions of a prompt side by side,
 * so that attention reads its pages once for all of them. Returns how many. */
static int slots_by_request(const struct decoder *d, int *slot_of)
{
	int n = 0;

	for (int s = 0; s < d->n_slots; s++) {
		int request = d->slots[s].request, at = n;
		if (request < 0)
			continue;
		for (; at > 0 && d->slots[slot_of[at - 1]].request > request; at--)
			slot_of[at] = slot_of[at - 1];
		slot_of[at] = s;
		n++;
	}
	return n;
}

/* ---- speculation ---- */

/* How many tokens each completion may guess in this step. */
static int guesses_each(const struct decode_call *run, int running)
{
	return run->o->speculate && running ? SPECULATE_ROWS / running - 1 : 0;
}

/* Puts a guess behind the text of a segment that ends with it: there is room for it in the pages,
 * and in the completion for the token that is drawn after it. */
static void add_guess(const struct decode_call *run, struct slot *s, int most, struct packing *b)
{
	const struct decode_request *q = &run->requests[s->request];
	const struct decode_result  *r = &run->results[s->request];
	const struct draft_text      text = {q->prompt, r->ids,     q->n_prompt,
	                                     r->n,      q->earlier, q->n_earlier};
	int                          n = text_length(run, s), left = q->max_new - r->n - 1;

	if (s->trust == 0 && ++s->pause == TRUST_PAUSE)
		s->trust = 1;
	most = most < s->trust ? most : s->trust;
	most = most < left ? most : left;
	s->n_guess = most > 0 ? draft_guess(&text, most, s->guess) : 0;
	for (int page = pages_for(n); page < pages_for(n + s->n_guess); page++)
		s->pages[page] = page_take(run->d);
	for (int i = 0; i < s->n_guess; i++, b->n_tokens++) {
		b->token[b->n_tokens] = s->guess[i];
		b->position[b->n_tokens] = n + i;
	}
	b->segments[b->n_segments - 1].count += s->n_guess;
}

/* Draws after the text and after each token of the guess, until one differs from it or stops.
 * *right: how much of the guess came true. */
static enum decode_drawn decode_draw_along(const struct decode_call *run, const struct slot *s,
                                           float *logits, struct candidate *scratch, int *right)
{
	const struct decode_result *r = &run->results[s->request];
	size_t                      V = (size_t)run->d->model->weights.shape.n_vocab;
	enum decode_drawn           drawn;

	for (*right = 0;; ++*right, logits += V) {
		drawn = decode_draw(run, s->request, logits, scratch);
		if (drawn != DRAWN_GOES_ON || *right == s->n_guess ||
		    r->ids[r->n - 1] != s->guess[*right])
			return drawn;
	}
}

/* What came true has been read, the rest has not. */
static void settle_guess(struct decoder *d, struct slot *s, int right)
{
	int kept = pages_for(s->n_read + right), taken = pages_for(s->n_read + s->n_guess);

	pages_release(d, s->pages + kept, taken - kept);
	s->n_read += right;
	d->guesses.made += s->n_guess;
	d->guesses.right += right;
	if (right == s->n_guess && s->n_guess == s->trust && s->trust < SPECULATE_ROWS)
		s->trust *= 2;
	else if (2 * right < s->n_guess)
		s->trust /= 2;
	s->pause = s->n_guess ? 0 : s->pause;
	s->n_guess = 0;
}

/* ---- a step ---- */

/* The running completions, one segment each, as long as there are not too many tokens; who has much
 * to read may have to wait for a later step. */
static int gather(struct decode_call *run, struct packing *b, int *slot_of)
{
	struct decoder *d = run->d;
	int             room = PREFILL_TOKENS + d->n_slots + d->max_tokens, running, most;

	*b = (struct packing){.n_pages = d->cache.n_pages};
	TRY(arena_take(&d->scratch, (size_t)room, "the tokens of a step", &b->token));
	TRY(arena_take(&d->scratch, (size_t)room, "the tokens of a step", &b->position));
	TRY(arena_take(&d->scratch, (size_t)d->n_slots, "the tokens of a step", &b->segments));
	running = slots_by_request(d, slot_of);
	most = guesses_each(run, running);
	for (int i = 0; i < running && b->n_tokens < room - d->max_tokens; i++) {
		add_segment(run, &d->slots[slot_of[i]], b);
		add_guess(run, &d->slots[slot_of[i]], most, b);
	}
	return OK;
}

/* Moves the hidden states that tokens are drawn after to the front, where they are not there
 * already: behind the text and behind each token of a guess. first_row [n_segments]: of each
 * segment. Returns how many rows. */
static int keep_rows(const struct decode_call *run, const struct packing *b, const int *slot_of,
                     int *first_row, float *hidden)
{
	size_t D = (size_t)run->d->model->weights.shape.width;
	int    n = 0;

	for (int i = 0; i < b->n_segments; i++) {
		int rows = 1 + run->d->slots[slot_of[i]].n_guess,
		    from = b->segments[i].first + b->segments[i].count - rows;
		first_row[i] = n;
		if (from != n)
			memmove(hidden + (size_t)n * D, hidden + (size_t)from * D,
			        (size_t)rows * D * sizeof *hidden);
		n += rows;
	}
	return n;
}

/* One forward pass over what is new in each running completion and over its guess, the logits
 * behind the last tokens, draws. */
static int decode_compute(struct decode_call *run, const struct packing *b, struct step_room *room)
{
	struct decoder *d = run->d;
	size_t          V = (size_t)d->model->weights.shape.n_vocab;
	float          *hidden;
	int             rows;

	TRY(arena_take(&d->scratch, (size_t)b->n_tokens * (size_t)d->model->weights.shape.width,
	               "the hidden states of decoding", &hidden));
	TRY(model_forward(d->model, b, &d->cache, NULL, &d->scratch, hidden));
	rows = keep_rows(run, b, room->slot_of, room->first_row, hidden);
	TRY(head_logits(d->model, rows, hidden, d->logits));
#pragma omp parallel for schedule(static) if (b->n_segments > 1)
	for (int i = 0; i < b->n_segments; i++)
		room->drawn[i] = decode_draw_along(run, &d->slots[room->slot_of[i]],
		                                   d->logits + (size_t)room->first_row[i] * V,
		                                   d->candidates + (size_t)i * V, &room->right[i]);
	return OK;
}

/* One token for every running completion, or several where a guess comes true. Draws run in
 * parallel; what follows from them, in order. */
static int decode_step(struct decode_call *run, struct step_room *room)
{
	struct decoder *d = run->d;
	struct packing  b;

	TRY(gather(run, &b, room->slot_of));
	if (b.n_tokens == 0)
		return OK;
	TRY(decode_compute(run, &b, room));
	for (int i = 0; i < b.n_segments; i++) {
		struct slot *slot = &d->slots[room->slot_of[i]];
		int          over;
		settle_guess(d, slot, room->right[i]);
		TRY(decode_settle(run, slot->request, room->drawn[i], &over));
		if (over || (room->drawn[i] == DRAWN_STOPS && run->o->reread)) {
			pages_release(d, slot->pages, pages_for(slot->n_read));
			slot->n_read = 0;
		}
		if (over)
			slot->request = -1;
	}
	arena_reset(&d->scratch);
	return OK;
}

/* Arrays of every completion in the caller's arena, all slots free, all pages in the pool. */
static int run_start(struct decode_call *run, struct arena *a)
{
	struct decoder *d = run->d;
	size_t          V = (size_t)d->model->weights.shape.n_vocab;

	for (int i = 0; i < run->n; i++) {
		const struct decode_request *q = &run->requests[i];
		struct decode_result        *r = &run->results[i];
		assert(q->n_prompt > 0 && q->max_new > 0 &&
		       q->n_prompt + q->max_new <= d->max_tokens);
		r->n = 0;
		TRY(arena_take(a, (size_t)q->max_new, "a completion", &r->ids));
		TRY(arena_take(a, (size_t)q->max_new, "a completion", &r->logp));
		TRY(arena_take(a, (size_t)q->max_new, "a completion", &r->entropy));
	}
	TRY(arena_take(a, (size_t)run->n, "the completions of a call", &run->piece));
	TRY(arena_take(a, (size_t)d->n_slots + 1, "the prompts of a call", &run->prompts));
	for (int p = 0; p <= d->n_slots; p++) {
		run->prompts[p].pages =
		        d->page_table + (size_t)(d->n_slots + p) * (size_t)d->pages_each;
		run->prompts[p].logits = d->prompt_logits + (size_t)p * V;
	}
	for (int s = 0; s < d->n_slots; s++)
		d->slots[s].request = -1;
	d->guesses = (struct decode_guesses){0};
	pages_reset(d);
	arena_reset(&d->scratch);
	return OK;
}

struct decode_guesses decoder_guesses(const struct decoder *d)
{
	return d->guesses;
}

static int any_running(const struct decoder *d)
{
	for (int s = 0; s < d->n_slots; s++)
		if (d->slots[s].request >= 0)
			return 1;
	return 0;
}

int decode_run(struct decoder *d, const struct decode_options *o,
               const struct decode_request *requests, int n, struct arena *a,
               struct decode_result *results)
{
	struct decode_call run = {.d = d, .o = o, .requests = requests, .results = results, .n = n};
	struct step_room   room;
	int               *prompt_of;

	assert(o->n_stop == 0 || o->piece);
	TRY(run_start(&run, a));
	TRY(arena_take(a, (size_t)d->n_slots, "the decoder's slots", &room.slot_of));
	TRY(arena_take(a, (size_t)d->n_slots, "the decoder's slots", &room.first_row));
	TRY(arena_take(a, (size_t)d->n_slots, "the decoder's slots", &room.right));
	TRY(arena_take(a, (size_t)d->n_slots, "the decoder's slots", &room.drawn));
	TRY(arena_take(a, (size_t)d->n_slots, "the decoder's slots", &prompt_of));
	while (run.next < n || any_running(d)) {
		TRY(enter(&run, prompt_of));
		TRY(decode_step(&run, &room));
	}
	assert(d->n_free == d->cache.n_pages);
	return OK;
}
