#include "rl/policy.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/stop.h"
#include "rl/critic.h"

#include <assert.h>
#include <math.h>

int policy_new(struct model *m, const struct policy_options *o, struct policy *out)
{
	const struct weights *learned = model_learned(m);

	*out = (struct policy){.model = m, .options = *o};
	if (optimizer_new(learned, &o->optimizer, &out->optimizer) != OK ||
	    gradient_new(learned, 1, &out->gradient) != OK ||
	    tape_new(&m->weights.shape, 1, &out->tape) != OK) {
		policy_free(out);
		return ERR_INPUT;
	}
	return OK;
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
	       kv_cache_bytes(s, 1, 2 * tokens / PAGE_TOKENS + 1) + (head > layers ? head : layers);
}

struct examples examples_part(const struct examples *e, int first, int count)
{
	struct examples part = *e;

	part.rows.offset += first;
	part.rows.n = count;
	part.sequences += first;
	part.guided = e->guided ? e->guided + first : NULL;
	return part;
}

/* ---- micro-batches ---- */

struct policy_pieces { /* examples cut into units; a micro-batch is a run of them */
	const struct examples *e;
	struct unit_range     *units;
	int                    n_units, next; /* next: the first unit that was not computed yet */
	struct head_result     all;           /* [T] of all examples */
	struct packing         batch;         /* the current micro-batch, */
	struct examples        part;          /* its rows, */
	struct head_result     head;          /* their places in `all`, */
	float                 *hidden;        /* and its last hidden states [tokens x D] */
};

static struct head_result result_from(const struct head_result *all, int token)
{
	return (struct head_result){all->logp + token, all->entropy + token, all->lse + token};
}

static int pieces_cut(struct policy *p, const struct examples *e, struct policy_pieces *out)
{
	size_t T = (size_t)e->rows.offset[e->rows.n];

	*out = (struct policy_pieces){.e = e};
	out->all.logp = arena_alloc(&p->scratch, T, sizeof *out->all.logp);
	out->all.entropy = arena_alloc(&p->scratch, T, sizeof *out->all.entropy);
	out->all.lse = arena_alloc(&p->scratch, T, sizeof *out->all.lse);
	if (!out->all.logp || !out->all.entropy || !out->all.lse)
		return ERR_INPUT;
	return packing_plan(e->sequences, e->rows.n, 1, &p->scratch, &out->units, &out->n_units);
}

static int cache_fit(struct policy *p, int n_pages)
{
	if (p->cache.n_pages >= n_pages)
		return OK;
	kv_cache_free(&p->cache);
	return kv_cache_new(&p->model->weights.shape, 1, n_pages, &p->cache);
}

/* Runs the next micro-batch forward: as many whole units as fit, at least one. *more = 0 when none
 * was left. */
static int pieces_forward(struct policy *p, const struct model *m, struct policy_pieces *c,
                          struct tape *tape, int *more)
{
	const struct unit_range *units = c->units + c->next;
	int                      left = c->n_units - c->next, count = 0, tokens = 0, rows = 0;

	*more = left > 0;
	if (!*more)
		return OK;
	while (count < left &&
	       (count == 0 || tokens + units[count].n_tokens <= p->options.micro_batch_tokens)) {
		tokens += units[count].n_tokens;
		rows += units[count++].count;
	}
	TRY(packing_build(c->e->sequences, c->units, c->next, count, 1, &p->scratch, &c->batch));
	TRY(cache_fit(p, c->batch.n_pages));
	c->next += count;
	c->part = examples_part(c->e, units[0].first, rows);
	c->head = result_from(&c->all, c->part.rows.offset[0]);
	c->hidden =
	        arena_alloc(&p->scratch, (size_t)c->batch.n_tokens * (size_t)m->weights.shape.width,
	                    sizeof *c->hidden);
	if (!c->hidden)
		return ERR_INPUT;
	return model_forward(m, &c->batch, &p->cache, tape, &p->scratch, c->hidden);
}

static int pieces_logprobs(struct policy *p, const struct model *m, struct policy_pieces *c)
{
	return head_forward(m, &c->batch, c->hidden, p->options.temperature, &p->scratch, &c->head);
}

int policy_logprobs(struct policy *p, const struct model *m, const struct examples *e, float *logp,
                    float *entropy)
{
	struct policy_pieces c;

	arena_reset(&p->scratch);
	TRY(pieces_cut(p, e, &c));
	for (int more = 1; more;) {
		struct arena_mark mark = arena_mark(&p->scratch);
		TRY(pieces_forward(p, m, &c, NULL, &more));
		if (more)
			TRY(pieces_logprobs(p, m, &c));
		arena_release(&p->scratch, mark);
	}
	for (int t = e->rows.offset[0]; t < e->rows.offset[e->rows.n]; t++) {
		logp[t] = c.all.logp[t];
		entropy[t] = c.all.entropy[t];
	}
	return OK;
}

int policy_values(struct policy *p, const struct examples *e, float *value)
{
	struct policy_pieces c;

	assert(p->critic);
	arena_reset(&p->scratch);
	TRY(pieces_cut(p, e, &c));
	for (int more = 1; more;) {
		struct arena_mark mark = arena_mark(&p->scratch);
		TRY(pieces_forward(p, p->model, &c, NULL, &more));
		if (more)
			value_head_forward(&p->critic->head, &c.batch, c.hidden,
			                   value + c.part.rows.offset[0]);
		arena_release(&p->scratch, mark);
	}
	return OK;
}

/* ---- updates ---- */

/* Over the trained tokens: nobody sampled the others. */
static double difference_max(const struct examples *e, const float *logp_new)
{
	double largest = 0;

	for (int r = 0; r < e->rows.n; r++)
		for (int t = e->rows.offset[r];
		     t < e->rows.offset[r + 1] && !(e->guided && e->guided[r]); t++) {
			double d = e->rows.trained[t]
			                   ? fabs((double)logp_new[t] - (double)e->logp_old[t])
			                   : 0;
			largest = d > largest ? d : largest;
		}
	return largest;
}

/* one call of policy_update or policy_fit_values */
struct update {
	const struct algorithm *alg;    /* NULL: the values alone learn */
	struct critic          *critic; /* NULL: there are none */
	int                     layers; /* the network learns, not only the value head */
	/* of all the examples: the divisors of every micro-batch */
	struct totals             totals;
	struct objective_gradient g;               /* [T] */
	float                    *value, *d_value; /* [T] */
	struct update_report     *report;
};

/* From the objective to d_hidden, which it overwrites. */
static int backward_policy(struct policy *p, const struct update *u, struct policy_pieces *c,
                           float *d_hidden)
{
	const struct objective_batch b = {.rows = c->part.rows,
	                                  .logp_new = c->all.logp,
	                                  .logp_old = c->e->logp_old,
	                                  .logp_ref = c->e->logp_ref,
	                                  .entropy = c->all.entropy,
	                                  .advantage = c->e->advantage,
	                                  .weight = c->e->weight,
	                                  .high = c->e->high,
	                                  .guided = c->part.guided,
	                                  .logp_rollout = c->e->logp_rollout};
	int                          first = c->part.rows.offset[0];

	TRY(objective_eval(u->alg, &b, &u->totals, &u->g, &u->report->objective));
	return head_backward(p->model, &c->batch, c->hidden, p->options.temperature, &c->head,
	                     u->g.c + first, u->g.h ? u->g.h + first : NULL, &p->scratch, d_hidden,
	                     &p->gradient);
}

/* Adds what the value loss has to say to d_hidden. */
static void backward_values(const struct update *u, const struct policy_pieces *c, float *d_hidden)
{
	const struct critic_batch b = {c->part.rows, u->value, c->e->value_old, c->e->value_target};
	int                       first = c->part.rows.offset[0];

	value_head_forward(&u->critic->head, &c->batch, c->hidden, u->value + first);
	critic_loss(&u->critic->options, &b, u->totals.tokens, u->d_value, &u->critic->stats);
	value_head_backward(&u->critic->head, &c->batch, c->hidden, u->d_value + first, d_hidden);
}

/* Losses and backward pass of the micro-batch that was just run forward. */
static int piece_backward(struct policy *p, const struct update *u, struct policy_pieces *c)
{
	float *d_hidden = arena_alloc(
	        &p->scratch, (size_t)c->batch.n_tokens * (size_t)p->model->weights.shape.width,
	        sizeof *d_hidden);

	if (!d_hidden)
		return ERR_INPUT;
	if (u->alg)
		TRY(backward_policy(p, u, c, d_hidden));
	if (u->critic)
		backward_values(u, c, d_hidden);
	return u->layers ? model_backward(p->model, &c->batch, p->tape, &p->scratch, d_hidden,
	                                  &p->gradient)
	                 : OK;
}

static int policy_accumulate(struct policy *p, const struct update *u, struct policy_pieces *c)
{
	for (int more = 1; more;) {
		struct arena_mark mark = arena_mark(&p->scratch);
		double            start = clock_seconds(), middle;
		TRY(pieces_forward(p, p->model, c, u->layers ? p->tape : NULL, &more));
		if (more && u->alg)
			TRY(pieces_logprobs(p, p->model, c));
		middle = clock_seconds();
		if (more)
			TRY(piece_backward(p, u, c));
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

	stop_hold(1); /* from here on the step is finished, whatever signal comes */
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

/* Room and gradients for an update that *u describes, then all micro-batches. */
static int run_update(struct policy *p, const struct examples *e, struct update *u,
                      struct policy_pieces *c)
{
	size_t T = (size_t)e->rows.offset[e->rows.n];

	arena_reset(&p->scratch);
	u->totals = (struct totals){.batch_tokens = e->batch_tokens, .updates = e->updates};
	totals_add(&u->totals, &e->rows, e->high);
	TRY(pieces_cut(p, e, c));
	TRY(gradient_begin(&p->gradient, (uint32_t)c->n_units));
	if (u->alg) {
		u->g.c = arena_alloc(&p->scratch, T, sizeof *u->g.c);
		u->g.h = u->alg->entropy_coef != 0 ? arena_alloc(&p->scratch, T, sizeof *u->g.h)
		                                   : NULL;
		if (!u->g.c || (u->alg->entropy_coef != 0 && !u->g.h))
			return ERR_INPUT;
	}
	if (u->critic) {
		TRY(gradient_begin(&u->critic->head.gradient, (uint32_t)c->n_units));
		u->value = arena_alloc(&p->scratch, T, sizeof *u->value);
		u->d_value = arena_alloc(&p->scratch, T, sizeof *u->d_value);
		if (!u->value || !u->d_value)
			return ERR_INPUT;
	}
	return policy_accumulate(p, u, c);
}

int policy_update(struct policy *p, const struct algorithm *alg, const struct examples *e,
                  double learning_rate, struct update_report *report)
{
	struct update        u = {.alg = alg, .critic = p->critic, .layers = 1, .report = report};
	struct policy_pieces c;

	TRY(run_update(p, e, &u, &c));
	if (e->logp_old && report->updates == 0)
		report->logp_difference_max = difference_max(e, c.all.logp);
	TRY(apply(p, learning_rate, report));
	if (p->critic)
		critic_step(p->critic);
	return OK;
}

int policy_fit_values(struct policy *p, const struct examples *e, struct update_report *report)
{
	struct update u = {.critic = p->critic, .layers = p == &p->critic->own, .report = report};
	struct policy_pieces c;

	TRY(run_update(p, e, &u, &c));
	if (u.layers)
		TRY(apply(p, p->critic->learning_rate, report));
	stop_hold(1);
	critic_step(p->critic);
	return OK;
}
