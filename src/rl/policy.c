#include "rl/policy.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/ranks.h"
#include "base/shares.h"
#include "base/stop.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <string.h>

static int policy_take(struct policy *p)
{
	const struct weights *learned = model_learned(p->model);

	TRY(optimizer_new(learned, &p->options.optimizer, &p->optimizer));
	return gradient_new(learned, &p->gradient);
}

int policy_new(struct model *m, const struct policy_options *o, struct policy *out)
{
	int status;

	assert(o->micro_batch_tokens > 0 && o->temperature > 0);
	*out = (struct policy){.model = m, .options = *o};
	status = policy_take(out);
	if (status != OK)
		policy_free(out);
	return status;
}

void policy_free(struct policy *p)
{
	optimizer_free(&p->optimizer);
	gradient_free(&p->gradient);
	tape_free(p->tape);
	kv_cache_free(&p->cache);
	arena_free(&p->scratch);
	*p = (struct policy){0};
}

static int policy_min(int a, int b)
{
	return a < b ? a : b;
}

static int max(int a, int b)
{
	return a > b ? a : b;
}

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Units of a pass: as many as fit, whichever they are, and a power of 2 (gradient.h). */
static uint32_t policy_per_pass(const struct policy_options *o, int unit_tokens)
{
	uint32_t n = 1;

	while (2 * (int64_t)n * unit_tokens <= o->micro_batch_tokens)
		n *= 2;
	return n;
}

int policy_unit_tokens(const struct policy_load *l)
{
	return max(l->tree, policy_min(l->tokens, UNIT_TOKENS));
}

size_t policy_bytes(const struct policy *p, const struct policy_load *l)
{
	const struct model_shape *s = &p->model->weights.shape;
	const struct weights     *learned = model_learned(p->model);
	int                       unit = policy_unit_tokens(l), recompute = p->options.recompute,
	    targets = max(l->targets, policy_min(l->tokens, UNIT_TOKENS));
	struct gradient_units units = {
	        /* two neighbours hold more than UNIT_TOKENS together */
	        .n = (uint32_t)policy_min(l->trees, l->tokens / (UNIT_TOKENS / 2) + 1),
	        .per_pass = policy_per_pass(&p->options, unit)};
	int most = max(unit, policy_min(l->tokens, p->options.micro_batch_tokens)),
	    tokens = (int)(units.per_pass * (int64_t)unit < l->tokens
	                           ? units.per_pass * (int64_t)unit
	                           : l->tokens),
	    piece = recompute ? unit : tokens, largest = max(most, piece);
	/* a segment begins a page of its own */
	struct model_load load = {.recompute = recompute,
	                          .tokens = tokens,
	                          .piece = piece,
	                          .unit = unit,
	                          .pages = piece / PAGE_TOKENS + policy_min(l->segments, piece)};
	size_t            window = max_size(model_window(p->model), head_window(p->model)),
	       head = head_bytes(p->model, targets), layers = model_backward_bytes(p->model, &load),
	       /* the last hidden states and their gradient outlive both */
	        hidden = 2 * (size_t)tokens * (size_t)s->width * sizeof(float);
	int pages = largest / PAGE_TOKENS + policy_min(l->segments, largest);

	return optimizer_bytes(learned) + gradient_bytes(learned, &units, window) +
	       tape_bytes(s, recompute, tokens, piece) +
	       model_cache_bytes(s, p->model->mm, 1, pages) + hidden + max_size(head, layers);
}

/* ---- a batch in pieces ---- */

struct policy_cut {           /* a batch cut into units */
	struct batch       b; /* the caller's, with the columns of this pass beside its own */
	struct sequence   *sequences;     /* [R] */
	struct unit_range *units;         /* [n_units] */
	unsigned char     *silent;        /* [n_units] 1: its coefficients are 0; NULL: not asked */
	int                n_units, next; /* next: the first unit that was not taken yet */
	uint32_t          *share;         /* [ranks + 1] rank r computes share[r] .. share[r+1]-1 */
	float             *lse;           /* [T] of the softmax, beside logp_new and entropy_new */
};

struct policy_piece {                          /* a run of units on its way through the model */
	int            first, count, n_tokens; /* units, all of them silent or none */
	int            is_silent;
	struct batch   part;    /* its rows, */
	struct packing packing; /* what of them is computed, */
	float         *hidden;  /* and its last hidden states [tokens x D] */
};

/* What the model computes on: rows that share a prompt and follow each other share its tokens. */
static int sequences_of(const struct batch *b, struct arena *a, struct sequence **out)
{
	TRY(arena_take(a, (size_t)b->n, "the sequences of the batch", out));
	for (int r = 0; r < b->n; r++)
		(*out)[r] = (struct sequence){.prompt = b->prompt[r]->ids,
		                              .n_prompt = b->prompt[r]->n,
		                              .completion = b->id + b->offset[r],
		                              .n_completion = b->offset[r + 1] - b->offset[r]};
	return OK;
}

static int policy_cut(struct policy *p, const struct batch *b, struct policy_cut *out)
{
	assert(b->n > 0 && b->id && b->prompt);
	*out = (struct policy_cut){.b = *b};
	TRY(sequences_of(b, &p->scratch, &out->sequences));
	return packing_plan(out->sequences, b->n, 1, &p->scratch, &out->units, &out->n_units);
}

/* Columns for what the head says of each token. */
static int cut_take_head(struct policy *p, struct policy_cut *c)
{
	TRY(BATCH_TAKE(&c->b, logp_new, &p->scratch));
	TRY(BATCH_TAKE(&c->b, entropy_new, &p->scratch));
	return arena_take(&p->scratch, (size_t)c->b.offset[c->b.n], "sums of the softmax", &c->lse);
}

/* ---- who computes which unit ---- */

struct cut_work { /* of units: a forward pass is 1 a token, a backward pass 2 more */
	const struct policy_cut *c;
	int                      learns;
};

static int64_t cut_work_of(const void *of, uint32_t unit)
{
	const struct cut_work   *w = of;
	const struct policy_cut *c = w->c;
	int                      silent = c->silent && c->silent[unit];

	return (int64_t)c->units[unit].n_tokens * (!w->learns        ? 1
	                                           : !silent         ? 3
	                                           : c->b.is_current ? 0
	                                                             : 1);
}

static int policy_share(struct policy *p, struct policy_cut *c, int learns)
{
	struct cut_work  work = {c, learns};
	struct shares_of shares = {(uint32_t)c->n_units, cut_work_of, &work};

	TRY(arena_take(&p->scratch, (size_t)ranks_count() + 1, "the units of the ranks",
	               &c->share));
	shares_cut_aligned(&shares, ranks_count(), c->share);
	c->next = (int)c->share[ranks_number()];
	return OK;
}

/* The end of this rank's units. */
static int cut_end(const struct policy_cut *c)
{
	return (int)c->share[ranks_number() + 1];
}

/* The tokens of a rank's units in the columns. */
static struct ranks_piece cut_tokens(const struct policy_cut *c, int rank, float *column)
{
	int U = c->n_units, first = (int)c->share[rank], end = (int)c->share[rank + 1],
	    row = first < U ? c->units[first].first : c->b.n,
	    row_end = end < U ? c->units[end].first : c->b.n;
	size_t at = (size_t)c->b.offset[row];

	return (struct ranks_piece){column + at,
	                            ((size_t)c->b.offset[row_end] - at) * sizeof *column};
}

/* All ranks get what each has written of a column; NULL: there is none. */
static int cut_gather(struct policy *p, const struct policy_cut *c, float *column)
{
	struct ranks_piece *out, *in;
	size_t              R = (size_t)ranks_count();
	int                 me = ranks_number();

	if (!column || R == 1)
		return OK;
	TRY(arena_take(&p->scratch, R, "what the ranks computed", &out));
	TRY(arena_take(&p->scratch, R, "what the ranks computed", &in));
	for (int r = 0; r < ranks_count(); r++) {
		in[r] = cut_tokens(c, r, column);
		out[r] = cut_tokens(c, me, column);
	}
	in[me].n = out[me].n = 0;
	return ranks_exchange("the log-probabilities", out, in);
}

/* ---- pieces ---- */

static int cache_fit(struct policy *p, int n_pages)
{
	if (p->cache.n_pages >= n_pages)
		return OK;
	kv_cache_free(&p->cache);
	return model_cache_new(p->model, 1, n_pages, &p->cache);
}

static int unit_is_silent(const struct policy_cut *c, int unit)
{
	return c->silent && c->silent[unit];
}

/* The next piece: as many units before `end` as fit into `most` tokens, at least one, all of them
 * silent or none. Returns 0 when none was left. */
static int piece_next(struct policy_cut *c, int end, int most, struct policy_piece *out)
{
	int rows = 0;

	*out = (struct policy_piece){.first = c->next,
	                             .is_silent = c->next < end && unit_is_silent(c, c->next)};
	for (; c->next < end && unit_is_silent(c, c->next) == out->is_silent; c->next++) {
		const struct unit_range *unit = &c->units[c->next];
		if (out->count && out->n_tokens + unit->n_tokens > most)
			break;
		out->count++;
		out->n_tokens += unit->n_tokens;
		rows += unit->count;
	}
	if (out->count)
		out->part = batch_part(&c->b, c->units[out->first].first, rows);
	return out->count > 0;
}

/* Runs the piece forward. */
static int piece_forward(struct policy *p, const struct model *m, const struct policy_cut *c,
                         struct policy_piece *piece, struct tape *tape)
{
	size_t width = (size_t)m->weights.shape.width;

	TRY(packing_build(c->sequences, c->units + piece->first, piece->count, 1, &p->scratch,
	                  &piece->packing));
	TRY(cache_fit(p, piece->packing.n_pages));
	TRY(arena_take(&p->scratch, (size_t)piece->n_tokens * width, "hidden states",
	               &piece->hidden));
	return model_forward(m, &piece->packing, &p->cache, tape, &p->scratch, piece->hidden);
}

/* The places of the piece's tokens in the columns. */
static struct head_result piece_head(const struct policy_cut *c, const struct policy_piece *piece)
{
	int first = piece->part.offset[0];

	return (struct head_result){c->b.logp_new + first, c->b.entropy_new + first,
	                            c->lse + first};
}

static struct head_input piece_input(const struct policy *p, const struct model *m,
                                     const struct policy_piece *piece)
{
	return (struct head_input){m, &piece->packing, piece->hidden, p->options.temperature};
}

static int piece_logprobs(struct policy *p, const struct model *m, const struct policy_cut *c,
                          const struct policy_piece *piece)
{
	struct head_input  in = piece_input(p, m, piece);
	struct head_result head = piece_head(c, piece);

	return head_forward(&in, &p->scratch, &head);
}

int policy_logprobs(struct policy *p, const struct model *m, const struct batch *b, float *logp,
                    float *entropy)
{
	struct policy_cut   c;
	struct policy_piece piece;

	arena_reset(&p->scratch);
	TRY(policy_cut(p, b, &c));
	c.b.logp_new = logp;
	c.b.entropy_new = entropy;
	TRY(cut_take_head(p, &c));
	TRY(policy_share(p, &c, 0));
	while (piece_next(&c, cut_end(&c), p->options.micro_batch_tokens, &piece)) {
		struct arena_mark mark = arena_mark(&p->scratch);
		TRY(piece_forward(p, m, &c, &piece, NULL));
		TRY(piece_logprobs(p, m, &c, &piece));
		arena_release(&p->scratch, mark);
	}
	TRY(cut_gather(p, &c, logp));
	return cut_gather(p, &c, entropy);
}

int policy_values(struct policy *p, const struct batch *b, float *value)
{
	struct policy_cut   c;
	struct policy_piece piece;

	assert(p->second.owner);
	arena_reset(&p->scratch);
	TRY(policy_cut(p, b, &c));
	TRY(policy_share(p, &c, 0));
	while (piece_next(&c, cut_end(&c), p->options.micro_batch_tokens, &piece)) {
		struct arena_mark mark = arena_mark(&p->scratch);
		TRY(piece_forward(p, p->model, &c, &piece, NULL));
		p->second.values(p->second.owner, &piece.packing, piece.hidden,
		                 value + piece.part.offset[0]);
		arena_release(&p->scratch, mark);
	}
	return cut_gather(p, &c, value);
}

/* ---- updates ---- */

/* max |logp_new - logp_old| over the trained tokens, as nobody sampled the others; guided rows were
 * sampled under another context. */
static double difference_max(const struct batch *b)
{
	double largest = 0;

	for (int r = 0; r < b->n; r++)
		for (int t = b->offset[r]; t < b->offset[r + 1]; t++) {
			double d = fabs((double)b->logp_new[t] - (double)b->logp_old[t]);
			if (b->trained[t] && !(b->guided && b->guided[r]) && d > largest)
				largest = d;
		}
	return largest;
}

struct update {                         /* one call of policy_update or policy_update_second */
	const struct algorithm *alg;    /* NULL: the second head alone has a loss */
	int                     layers; /* the network learns, not only the second head */
	struct totals           totals; /* of all rows: the divisors of every micro-batch */
	struct update_report   *report;
};

struct policy_pass {                 /* 2^k units, forward and backward */
	struct policy_piece *pieces; /* [n] that have a backward pass */
	int                  n, n_tokens, largest;
};

/* What sampling recorded stands for what a forward pass would find. */
static void piece_recall(const struct policy_cut *c, const struct policy_piece *piece)
{
	size_t first = (size_t)piece->part.offset[0],
	       n = (size_t)piece->part.offset[piece->part.n] - first;

	assert(c->b.logp_old && c->b.entropy);
	memcpy(c->b.logp_new + first, c->b.logp_old + first, n * sizeof(float));
	memcpy(c->b.entropy_new + first, c->b.entropy + first, n * sizeof(float));
}

/* The coefficients of a piece. The statistics wait until all rows are there (update_measure). */
static int piece_coefficients(const struct update *u, const struct policy_piece *piece)
{
	struct objective_stats ours = {0};

	return objective_eval(u->alg, &piece->part, &u->totals, &ours);
}

/* The gradient counts a silent piece as zeros; what is said of its tokens is found all the same. */
static int piece_pass_by(struct policy *p, const struct update *u, const struct policy_cut *c,
                         struct policy_piece *piece)
{
	struct arena_mark mark = arena_mark(&p->scratch);
	int               first = piece->part.offset[0], end = piece->part.offset[piece->part.n];

	if (c->b.is_current) {
		piece_recall(c, piece);
	} else {
		TRY(piece_forward(p, p->model, c, piece, NULL));
		TRY(piece_logprobs(p, p->model, c, piece));
	}
	TRY(piece_coefficients(u, piece));
	for (int t = first; t < end; t++)
		assert(c->b.c[t] == 0);
	arena_release(&p->scratch, mark);
	return OK;
}

/* The forward pass of a piece, and the loss. */
static int piece_look(struct policy *p, const struct update *u, const struct policy_cut *c,
                      struct policy_piece *piece)
{
	TRY(piece_forward(p, p->model, c, piece, u->layers ? p->tape : NULL));
	if (!u->alg)
		return OK;
	TRY(piece_logprobs(p, p->model, c, piece));
	return piece_coefficients(u, piece);
}

/* Cuts the units before `end` into pieces, one unit each where layers are computed again: then the
 * state of a layer is held for one unit. */
static int pass_cut(struct policy *p, struct policy_cut *c, int end, struct policy_pass *out)
{
	int most = p->options.recompute ? 1 : INT_MAX;

	*out = (struct policy_pass){0};
	TRY(arena_take(&p->scratch, (size_t)(end - c->next), "the pieces of a pass", &out->pieces));
	while (piece_next(c, end, most, &out->pieces[out->n])) {
		const struct policy_piece *piece = &out->pieces[out->n++];
		if (piece->is_silent)
			continue;
		out->n_tokens += piece->n_tokens;
		out->largest = max(out->largest, piece->n_tokens);
	}
	return OK;
}

static int pass_look(struct policy *p, const struct update *u, struct policy_cut *c,
                     struct policy_pass *pass)
{
	int n = 0;

	if (u->layers && pass->n_tokens)
		TRY(tape_begin(p->tape, pass->n_tokens, pass->largest));
	for (int i = 0; i < pass->n; i++) {
		struct policy_piece *piece = &pass->pieces[i];
		if (piece->is_silent) {
			TRY(piece_pass_by(p, u, c, piece));
			continue;
		}
		pass->pieces[n] = *piece;
		TRY(piece_look(p, u, c, &pass->pieces[n++]));
	}
	pass->n = n;
	return OK;
}

/* From the coefficients to d_hidden [tokens of the pass x D], which it overwrites. */
static int pass_backward_head(struct policy *p, const struct policy_cut *c,
                              const struct policy_pass *pass, float *d_hidden)
{
	size_t             width = (size_t)p->model->weights.shape.width;
	struct head_piece *head;

	TRY(arena_take(&p->scratch, (size_t)pass->n, "the pieces of a pass", &head));
	for (int i = 0; i < pass->n; i++) {
		const struct policy_piece *piece = &pass->pieces[i];
		int                        first = piece->part.offset[0];
		head[i] = (struct head_piece){
		        .in = piece_input(p, p->model, piece),
		        .forward = piece_head(c, piece),
		        .terms = {.c = c->b.c + first, .h = c->b.h ? c->b.h + first : NULL},
		        .d_hidden = d_hidden};
		d_hidden += (size_t)piece->n_tokens * width;
	}
	return head_backward(head, pass->n, &p->scratch, &p->gradient);
}

static int pass_backward(struct policy *p, const struct update *u, const struct policy_cut *c,
                         const struct policy_pass *pass)
{
	size_t width = (size_t)p->model->weights.shape.width;
	float *d_hidden, *d;

	TRY(arena_take(&p->scratch, (size_t)pass->n_tokens * width, "gradients of hidden states",
	               &d_hidden));
	if (u->alg)
		TRY(pass_backward_head(p, c, pass, d_hidden));
	d = d_hidden;
	for (int i = 0; i < pass->n && p->second.owner; i++) {
		const struct policy_piece *piece = &pass->pieces[i];
		p->second.backward(p->second.owner, &piece->packing, piece->hidden, &piece->part,
		                   u->totals.tokens, d);
		d += (size_t)piece->n_tokens * width;
	}
	return u->layers ? model_backward(p->model, p->tape, &p->cache, &p->scratch, d_hidden,
	                                  &p->gradient)
	                 : OK;
}

/* One pass, forward and backward. */
static int pass_run(struct policy *p, const struct update *u, struct policy_cut *c)
{
	double             start = clock_seconds(), middle;
	struct policy_pass pass;

	TRY(pass_cut(p, c, (int)p->gradient.end, &pass));
	TRY(pass_look(p, u, c, &pass));
	middle = clock_seconds();
	TRY(pass.n ? pass_backward(p, u, c, &pass) : gradient_add_zeros(&p->gradient));
	u->report->seconds_forward += middle - start;
	u->report->seconds_backward += clock_seconds() - middle;
	return OK;
}

/* All passes; the gradients of their units add up in a fixed tree. */
static int policy_accumulate(struct policy *p, const struct update *u, struct policy_cut *c)
{
	while (c->next < cut_end(c)) {
		struct arena_mark mark = arena_mark(&p->scratch);
		if ((uint32_t)c->next != p->gradient.begin)
			gradient_next_pass(&p->gradient);
		TRY(pass_run(p, u, c));
		arena_release(&p->scratch, mark);
	}
	return OK;
}

/* What is said of all tokens, from the ranks that computed it; then the statistics, row by row. */
static int update_measure(struct policy *p, const struct update *u, const struct policy_cut *c)
{
	TRY(cut_gather(p, c, c->b.logp_new));
	TRY(cut_gather(p, c, c->b.entropy_new));
	TRY(cut_gather(p, c, c->b.value_new));
	for (int i = 0; i < c->n_units; i++) {
		const struct unit_range *unit = &c->units[i];
		if (unit_is_silent(c, i))
			u->report->tokens_silent +=
			        c->b.offset[unit->first + unit->count] - c->b.offset[unit->first];
	}
	if (p->second.owner)
		p->second.measure(p->second.owner, &c->b, u->totals.tokens);
	return u->alg ? objective_eval(u->alg, &c->b, &u->totals, &u->report->objective) : OK;
}

/* The sum of the gradients becomes new weights. */
static int apply(struct policy *p, double learning_rate, struct update_report *report)
{
	double                  start = clock_seconds();
	struct optimizer_report o;

	TRY(stop_commit()); /* from here on the step is finished, whatever signal comes */
	TRY(gradient_finish(&p->gradient));
	TRY(optimizer_step(&p->optimizer, model_learned(p->model), p->gradient.level[0],
	                   learning_rate, &o));
	if (!o.skipped)
		TRY(model_repack(p->model));
	report->updates++;
	report->skipped += o.skipped;
	report->grad_norm = o.grad_norm > report->grad_norm || isnan(o.grad_norm)
	                            ? o.grad_norm
	                            : report->grad_norm;
	report->seconds_optimizer += clock_seconds() - start;
	return OK;
}

/* The columns that an update writes, but for those of the second head. */
static int update_take(const struct update *u, struct policy *p, struct policy_cut *c)
{
	if (!u->alg)
		return OK;
	TRY(cut_take_head(p, c));
	TRY(BATCH_TAKE(&c->b, c, &p->scratch));
	return u->alg->entropy_coef != 0 ? BATCH_TAKE(&c->b, h, &p->scratch) : OK;
}

/* Which units are silent: all of their rows are, and none is guided, whose recorded log-probability
 * is under the hint. A second head has something to say of every row. */
static int update_find_silent(const struct update *u, const struct policy *p, struct arena *a,
                              struct policy_cut *c)
{
	const struct batch *b = &c->b;

	if (!u->alg || p->second.owner || p->options.computes_zeros)
		return OK;
	TRY(arena_take(a, (size_t)c->n_units, "the units without a gradient", &c->silent));
	for (int i = 0; i < c->n_units; i++) {
		const struct unit_range *unit = &c->units[i];
		c->silent[i] = 1;
		for (int r = unit->first; r < unit->first + unit->count; r++)
			c->silent[i] &=
			        !(b->guided && b->guided[r]) && objective_is_silent(u->alg, b, r);
	}
	return OK;
}

/* The passes of an update. */
static struct gradient_units update_units(const struct policy *p, const struct policy_cut *c)
{
	int largest = p->options.unit_tokens;

	for (int i = 0; i < c->n_units; i++)
		largest = max(largest, c->units[i].n_tokens);
	return (struct gradient_units){.n = (uint32_t)c->n_units,
	                               .per_pass = policy_per_pass(&p->options, largest),
	                               .silent = c->silent,
	                               .share = c->share};
}

/* Room and gradients for an update that *u describes, then all passes. */
static int run_update(struct policy *p, const struct batch *b, struct update *u,
                      struct policy_cut *c)
{
	struct gradient_units units;

	arena_reset(&p->scratch);
	u->totals = (struct totals){.batch_tokens = b->batch_tokens, .updates = b->updates};
	totals_add(&u->totals, b);
	TRY(policy_cut(p, b, c));
	TRY(update_take(u, p, c));
	TRY(update_find_silent(u, p, &p->scratch, c));
	TRY(policy_share(p, c, 1));
	units = update_units(p, c);
	TRY(gradient_begin(&p->gradient, &units));
	if (!p->tape)
		TRY(tape_new(&p->model->weights.shape, p->options.recompute, &p->tape));
	if (p->second.owner)
		TRY(p->second.begin(p->second.owner, &c->b, &units, &p->scratch));
	TRY(policy_accumulate(p, u, c));
	return update_measure(p, u, c);
}

int policy_update(struct policy *p, const struct algorithm *alg, const struct batch *b,
                  double learning_rate, struct update_report *report)
{
	struct update     u = {.alg = alg, .layers = 1, .report = report};
	struct policy_cut c;

	assert(p->model->for_backward && b->trained && b->advantage && learning_rate >= 0);
	TRY(run_update(p, b, &u, &c));
	if (b->logp_old && report->updates == 0)
		report->logp_difference_max = difference_max(&c.b);
	if (p->watch.seen)
		TRY(p->watch.seen(p->watch.owner, &c.b));
	TRY(apply(p, learning_rate, report));
	return p->second.owner ? p->second.step(p->second.owner) : OK;
}

int policy_update_second(struct policy *p, const struct batch *b, const double *learning_rate,
                         struct update_report *report)
{
	struct update     u = {.layers = learning_rate != NULL, .report = report};
	struct policy_cut c;

	assert(p->second.owner);
	TRY(run_update(p, b, &u, &c));
	if (learning_rate)
		TRY(apply(p, *learning_rate, report));
	TRY(stop_commit());
	return p->second.step(p->second.owner);
}
