#include "rl/policy.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/stop.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static int policy_take(struct policy *p)
{
	const struct weights *learned = model_learned(p->model);

	TRY(optimizer_new(learned, &p->options.optimizer, &p->optimizer));
	TRY(gradient_new(learned, 1, &p->gradient));
	return tape_new(&p->model->weights.shape, 1, &p->tape);
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

size_t policy_bytes(const struct policy *p, const struct policy_load *l)
{
	const struct model_shape *s = &p->model->weights.shape;
	const struct weights     *learned = model_learned(p->model);
	/* two neighbours hold more than UNIT_TOKENS together */
	int    units = policy_min(l->trees, l->tokens / (UNIT_TOKENS / 2) + 1);
	int    unit = max(l->tree, policy_min(l->tokens, UNIT_TOKENS));
	int    tokens = max(unit, policy_min(l->tokens, p->options.micro_batch_tokens));
	int    targets = max(l->targets, policy_min(l->tokens, UNIT_TOKENS));
	size_t head = head_bytes(s, targets, !p->model->adapter),
	       layers = model_backward_bytes(p->model, tokens, unit);

	return optimizer_bytes(learned) + gradient_bytes(learned, units) + tape_bytes(s, tokens) +
	       model_cache_bytes(s, p->model->mm, 1, 2 * tokens / PAGE_TOKENS + 1) +
	       (head > layers ? head : layers);
}

/* ---- micro-batches ---- */

struct policy_pieces {        /* a batch cut into units; a micro-batch is a run of them */
	struct batch       b; /* the caller's, with the columns of this pass beside its own */
	struct sequence   *sequences;     /* [R] */
	struct unit_range *units;         /* [n_units] */
	unsigned char     *silent;        /* [n_units] 1: its coefficients are 0; NULL: not asked */
	int                n_units, next; /* next: the first unit that was not computed yet */
	int                count;         /* units of the current micro-batch, */
	float             *lse;           /* [T] of the softmax, beside logp_new and entropy_new */
	struct packing     packing;       /* what of it is computed, */
	struct batch       part;          /* its rows, */
	float             *hidden;        /* and its last hidden states [tokens x D] */
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

static int pieces_cut(struct policy *p, const struct batch *b, struct policy_pieces *out)
{
	assert(b->n > 0 && b->id && b->prompt);
	*out = (struct policy_pieces){.b = *b};
	TRY(sequences_of(b, &p->scratch, &out->sequences));
	return packing_plan(out->sequences, b->n, 1, &p->scratch, &out->units, &out->n_units);
}

/* Columns for what the head says of each token. */
static int pieces_take_head(struct policy *p, struct policy_pieces *c)
{
	TRY(BATCH_TAKE(&c->b, logp_new, &p->scratch));
	TRY(BATCH_TAKE(&c->b, entropy_new, &p->scratch));
	return arena_take(&p->scratch, (size_t)c->b.offset[c->b.n], "sums of the softmax", &c->lse);
}

static int cache_fit(struct policy *p, int n_pages)
{
	if (p->cache.n_pages >= n_pages)
		return OK;
	kv_cache_free(&p->cache);
	return model_cache_new(p->model, 1, n_pages, &p->cache);
}

static int piece_is_silent(const struct policy_pieces *c)
{
	return c->silent && c->silent[c->next - c->count];
}

/* Moves to the next micro-batch: as many whole units as fit, at least one, all of them silent or
 * none. Returns 0 when none was left. */
static int pieces_next(const struct policy *p, struct policy_pieces *c)
{
	const struct unit_range *units = c->units + c->next;
	int                      left = c->n_units - c->next, count = 0, tokens = 0, rows = 0,
	    most = p->options.micro_batch_tokens;

	while (count < left && (count == 0 || tokens + units[count].n_tokens <= most) &&
	       (!c->silent || c->silent[c->next + count] == c->silent[c->next])) {
		tokens += units[count].n_tokens;
		rows += units[count++].count;
	}
	c->next += count;
	c->count = count;
	if (count)
		c->part = batch_part(&c->b, units[0].first, rows);
	return count > 0;
}

/* Runs the micro-batch forward. */
static int piece_forward(struct policy *p, const struct model *m, struct policy_pieces *c,
                         struct tape *tape)
{
	size_t width = (size_t)m->weights.shape.width;

	TRY(packing_build(c->sequences, c->units + c->next - c->count, c->count, 1, &p->scratch,
	                  &c->packing));
	TRY(cache_fit(p, c->packing.n_pages));
	TRY(arena_take(&p->scratch, (size_t)c->packing.n_tokens * width, "hidden states",
	               &c->hidden));
	return model_forward(m, &c->packing, &p->cache, tape, &p->scratch, c->hidden);
}

/* The places of the micro-batch's tokens in the columns. */
static struct head_result pieces_head(const struct policy_pieces *c)
{
	int first = c->part.offset[0];

	return (struct head_result){c->b.logp_new + first, c->b.entropy_new + first,
	                            c->lse + first};
}

static struct head_input pieces_input(const struct policy *p, const struct model *m,
                                      const struct policy_pieces *c)
{
	return (struct head_input){m, &c->packing, c->hidden, p->options.temperature};
}

static int pieces_logprobs(struct policy *p, const struct model *m, struct policy_pieces *c)
{
	struct head_input  in = pieces_input(p, m, c);
	struct head_result head = pieces_head(c);

	return head_forward(&in, &p->scratch, &head);
}

int policy_logprobs(struct policy *p, const struct model *m, const struct batch *b, float *logp,
                    float *entropy)
{
	struct policy_pieces c;

	arena_reset(&p->scratch);
	TRY(pieces_cut(p, b, &c));
	c.b.logp_new = logp;
	c.b.entropy_new = entropy;
	TRY(pieces_take_head(p, &c));
	while (pieces_next(p, &c)) {
		struct arena_mark mark = arena_mark(&p->scratch);
		TRY(piece_forward(p, m, &c, NULL));
		TRY(pieces_logprobs(p, m, &c));
		arena_release(&p->scratch, mark);
	}
	return OK;
}

int policy_values(struct policy *p, const struct batch *b, float *value)
{
	struct policy_pieces c;

	assert(p->second.owner);
	arena_reset(&p->scratch);
	TRY(pieces_cut(p, b, &c));
	while (pieces_next(p, &c)) {
		struct arena_mark mark = arena_mark(&p->scratch);
		TRY(piece_forward(p, p->model, &c, NULL));
		p->second.values(p->second.owner, &c.packing, c.hidden, value + c.part.offset[0]);
		arena_release(&p->scratch, mark);
	}
	return OK;
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

/* From the objective to d_hidden, which it overwrites. */
static int backward_policy(struct policy *p, const struct update *u, struct policy_pieces *c,
                           float *d_hidden)
{
	const struct head_input  in = pieces_input(p, p->model, c);
	const struct head_result head = pieces_head(c);
	int                      first = c->part.offset[0];
	const struct head_terms  terms = {.c = c->part.c + first,
	                                  .h = c->part.h ? c->part.h + first : NULL};

	TRY(objective_eval(u->alg, &c->part, &u->totals, &u->report->objective));
	return head_backward(&in, &head, &terms, &p->scratch, d_hidden, &p->gradient);
}

/* Losses and backward pass of the micro-batch that was just run forward. */
static int piece_backward(struct policy *p, const struct update *u, struct policy_pieces *c)
{
	size_t width = (size_t)p->model->weights.shape.width;
	float *d_hidden;

	TRY(arena_take(&p->scratch, (size_t)c->packing.n_tokens * width,
	               "gradients of hidden states", &d_hidden));
	if (u->alg)
		TRY(backward_policy(p, u, c, d_hidden));
	if (p->second.owner)
		p->second.backward(p->second.owner, &c->packing, c->hidden, &c->part,
		                   u->totals.tokens, d_hidden);
	if (!u->layers)
		return OK;
	return model_backward(p->model, &c->packing, p->tape, &p->scratch, d_hidden, &p->gradient);
}

/* What sampling recorded stands for what a forward pass would find. */
static void piece_recall(struct policy_pieces *c)
{
	size_t first = (size_t)c->part.offset[0], n = (size_t)c->part.offset[c->part.n] - first;

	memcpy(c->b.logp_new + first, c->b.logp_old + first, n * sizeof(float));
	memcpy(c->b.entropy_new + first, c->b.entropy + first, n * sizeof(float));
}

/* The forward pass of a micro-batch, as far as somebody reads of it. */
static int piece_look(struct policy *p, const struct update *u, struct policy_pieces *c)
{
	if (piece_is_silent(c) && c->b.is_current) {
		piece_recall(c);
		return OK;
	}
	TRY(piece_forward(p, p->model, c, u->layers && !piece_is_silent(c) ? p->tape : NULL));
	return u->alg ? pieces_logprobs(p, p->model, c) : OK;
}

/* A silent micro-batch has its place in the statistics, and zeros in the sum. */
static int piece_silence(struct policy *p, const struct update *u, struct policy_pieces *c)
{
	int first = c->part.offset[0], end = c->part.offset[c->part.n];

	TRY(objective_eval(u->alg, &c->part, &u->totals, &u->report->objective));
	for (int t = first; t < end; t++)
		assert(c->b.c[t] == 0);
	gradient_add_zeros(&p->gradient, model_learned(p->model), (uint32_t)c->count);
	u->report->tokens_silent += end - first;
	return OK;
}

/* All micro-batches, forward and backward; the gradients of their units add up in a fixed tree. */
static int policy_accumulate(struct policy *p, const struct update *u, struct policy_pieces *c)
{
	while (pieces_next(p, c)) {
		struct arena_mark mark = arena_mark(&p->scratch);
		double            start = clock_seconds(), middle;
		TRY(piece_look(p, u, c));
		middle = clock_seconds();
		TRY(piece_is_silent(c) ? piece_silence(p, u, c) : piece_backward(p, u, c));
		u->report->seconds_forward += middle - start;
		u->report->seconds_backward += clock_seconds() - middle;
		arena_release(&p->scratch, mark);
	}
	return OK;
}

/* The sum of the gradients becomes new weights. */
static int apply(struct policy *p, double learning_rate, struct update_report *report)
{
	double                  start = clock_seconds();
	struct optimizer_report o;

	TRY(stop_commit()); /* from here on the step is finished, whatever signal comes */
	gradient_finish(&p->gradient);
	optimizer_step(&p->optimizer, model_learned(p->model), p->gradient.level[0], learning_rate,
	               &o);
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
static int update_take(const struct update *u, struct policy *p, struct policy_pieces *c)
{
	if (!u->alg)
		return OK;
	TRY(pieces_take_head(p, c));
	TRY(BATCH_TAKE(&c->b, c, &p->scratch));
	return u->alg->entropy_coef != 0 ? BATCH_TAKE(&c->b, h, &p->scratch) : OK;
}

/* Which units are silent: all of their rows are, and none is guided, whose recorded log-probability
 * is under the hint. A second head has something to say of every row. */
static int update_find_silent(const struct update *u, const struct policy *p, struct arena *a,
                              struct policy_pieces *c)
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

/* Room and gradients for an update that *u describes, then all micro-batches. */
static int run_update(struct policy *p, const struct batch *b, struct update *u,
                      struct policy_pieces *c)
{
	arena_reset(&p->scratch);
	u->totals = (struct totals){.batch_tokens = b->batch_tokens, .updates = b->updates};
	totals_add(&u->totals, b);
	TRY(pieces_cut(p, b, c));
	TRY(gradient_begin(&p->gradient, (uint32_t)c->n_units));
	TRY(update_take(u, p, c));
	TRY(update_find_silent(u, p, &p->scratch, c));
	if (p->second.owner)
		TRY(p->second.begin(p->second.owner, &c->b, (uint32_t)c->n_units, &p->scratch));
	return policy_accumulate(p, u, c);
}

int policy_update(struct policy *p, const struct algorithm *alg, const struct batch *b,
                  double learning_rate, struct update_report *report)
{
	struct update        u = {.alg = alg, .layers = 1, .report = report};
	struct policy_pieces c;

	TRY(run_update(p, b, &u, &c));
	if (b->logp_old && report->updates == 0)
		report->logp_difference_max = difference_max(&c.b);
	TRY(apply(p, learning_rate, report));
	if (p->second.owner)
		p->second.step(p->second.owner);
	return OK;
}

int policy_update_second(struct policy *p, const struct batch *b, const double *learning_rate,
                         struct update_report *report)
{
	struct update        u = {.layers = learning_rate != NULL, .report = report};
	struct policy_pieces c;

	assert(p->second.owner);
	TRY(run_update(p, b, &u, &c));
	if (learning_rate)
		TRY(apply(p, *learning_rate, report));
	TRY(stop_commit());
	p->second.step(p->second.owner);
	return OK;
}
