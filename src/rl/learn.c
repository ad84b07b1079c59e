#include "rl/learn.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/rng.h"
#include "estimator/covariance.h"
#include "estimator/entropy.h"
#include "estimator/kl.h"
#include "estimator/resample.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct learn {
	struct learn_options     *o;
	const struct learn_input *in;
	struct batch              batch; /* of all groups, in the order of sampling */
	int                       n_groups;
	int                      *group_row; /* [n_groups+1] group i owns rows group_row[i] .. */
	struct arena             *a;
	struct learn_report      *report;
	double                    entropy; /* mean, of the trained tokens as sampled */
};

/* ---- before the updates ---- */

static int learn_begin(struct learn *l)
{
	const struct learn_input *in = l->in;

	*l->report = (struct learn_report){.beta = l->o->algorithm.beta};
	if (l->o->critic)
		critic_begin(l->o->critic, in->step);
	TRY(arena_take(l->a, (size_t)in->n_groups + 1, "the rows of the groups", &l->group_row));
	for (int g = 0; g < in->n_groups; g++)
		l->group_row[g + 1] = l->group_row[g] + in->groups[g].n;
	TRY(batch_of_groups(in->groups, in->n_groups, l->a, &l->batch));
	l->n_groups = in->n_groups;
	l->batch.component_weights = l->o->component_weights;
	return OK;
}

/* The penalty goes back to the records: the diagnosis of the step asks what was trained on. */
static int learn_overlong(struct learn *l)
{
	TRY(overlong_apply(&l->o->algorithm, &l->batch, l->a, &l->report->overlong));
	for (int g = 0, row = 0; g < l->in->n_groups; g++)
		for (int i = 0; i < l->in->groups[g].n; i++)
			l->in->groups[g].rollouts[i].penalty = l->batch.penalty[row++];
	return OK;
}

/* Finds logp_old anew, as the rows are trained and under today's weights: of the guided rows, or of
 * the others. */
static int learn_look_up(struct learn *l, int guided)
{
	struct batch *b = &l->batch;

	assert(b->guided && b->logp_old);
	for (int row = 0, end; row < b->n; row = end) {
		struct batch part;
		for (end = row + 1; end < b->n && b->guided[end] == b->guided[row];)
			end++;
		part = batch_part(b, row, end - row);
		if (b->guided[row] == guided)
			TRY(policy_logprobs(l->in->policy, l->in->policy->model, &part, b->logp_old,
			                    NULL));
	}
	return OK;
}

/* The recorded log-probabilities become those of the rollout, and the old ones are found anew.
 * Guided rows keep theirs, which are those of the hint. */
static int learn_renew(struct learn *l)
{
	struct batch *b = &l->batch;

	assert(b->logp_old && !b->logp_rollout);
	TRY(BATCH_TAKE(b, logp_rollout, l->a));
	memcpy(b->logp_rollout, b->logp_old, (size_t)b->offset[b->n] * sizeof *b->logp_old);
	return learn_look_up(l, 0);
}

static int learn_weight(struct learn *l)
{
	const struct algorithm *alg = &l->o->algorithm;

	if (l->o->plain_denominator)
		TRY(learn_look_up(l, 1));
	if (!token_weight_needed(alg, l->o->stale))
		return OK;
	if (l->o->stale && alg->mismatch != MISMATCH_NONE)
		TRY(learn_renew(l));
	return token_weight_fill(alg, &l->batch, l->a, &l->report->weight);
}

/* What the critic says before anything is learned from the batch. */
static int learn_value(struct learn *l)
{
	double start = clock_seconds();

	if (!l->o->critic)
		return OK;
	TRY(BATCH_TAKE(&l->batch, value, l->a));
	TRY(policy_values(l->o->critic->network, &l->batch, l->batch.value));
	l->report->seconds_values = clock_seconds() - start;
	return OK;
}

static int learn_reference(struct learn *l)
{
	double start = clock_seconds();

	if (!l->in->reference)
		return OK;
	TRY(BATCH_TAKE(&l->batch, logp_ref, l->a));
	TRY(policy_logprobs(l->in->policy, l->in->reference, &l->batch, l->batch.logp_ref, NULL));
	l->report->seconds_reference = clock_seconds() - start;
	return OK;
}

static int learn_advantage(struct learn *l)
{
	assert(!l->o->critic || l->batch.value);
	TRY(advantage_fill(&l->o->algorithm, &l->batch, l->a, &l->report->advantage));
	if (l->o->critic)
		critic_measure(&l->batch, &l->o->critic->stats);
	return OK;
}

static int learn_credit(struct learn *l)
{
	struct rng_key key = {l->o->seed, RNG_CREDIT, l->in->step, 0, 0};

	return credit_apply(&l->o->credit, &l->batch, key, l->a, &l->report->credit);
}

/* Marks what the world wrote. */
static int learn_observe(struct learn *l)
{
	if (!(l->o->algorithm.echo > 0))
		return OK;
	TRY(BATCH_TAKE(&l->batch, observed, l->a));
	for (int g = 0, row = 0; g < l->in->n_groups; g++)
		for (int i = 0; i < l->in->groups[g].n; i++, row++) {
			const struct rollout *r = &l->in->groups[g].rollouts[i];
			for (int s = 0; s < r->n_spans; s++)
				if (r->spans[s].kind == SPAN_OBSERVATION)
					memset(l->batch.observed + l->batch.offset[row] +
					               r->spans[s].first,
					       1, (size_t)r->spans[s].count);
		}
	return OK;
}

/* The rows that are trained on, drawn from the batch; a problem none of whose completions was drawn
 * is no group any more. */
static int learn_resample(struct learn *l)
{
	struct rng_key key = {l->o->seed, RNG_RESAMPLE, l->in->step, 0, 0};
	struct batch   drawn;
	int           *rows;

	if (l->o->algorithm.resample == RESAMPLING_NONE)
		return OK;
	TRY(arena_take(l->a, (size_t)l->batch.n, "the rows that are drawn", &rows));
	resample_rows(&l->o->algorithm, &l->batch, key, rows);
	TRY(batch_permute(&l->batch, rows, l->a, &drawn));
	l->n_groups = 0;
	for (int r = 0; r < drawn.n; r++)
		if (r == 0 || drawn.group[r] != drawn.group[r - 1])
			l->group_row[l->n_groups++] = r;
	l->group_row[l->n_groups] = drawn.n;
	l->batch = drawn;
	return OK;
}

/* sum |A| and the number of trained tokens, which is what every update divides by; the entropy that
 * decides about a bonus for it. */
static void learn_measure(struct learn *l)
{
	const struct batch *b = &l->batch;

	assert(b->trained && b->advantage);
	for (int t = 0; t < b->offset[b->n]; t++) {
		l->report->tokens += b->trained[t];
		l->report->advantage_abs += b->trained[t] ? fabs((double)b->advantage[t]) : 0;
	}
	l->batch.batch_tokens = (int64_t)l->report->tokens;
	l->batch.is_current = !l->o->stale;
	l->entropy = entropy_mean(b);
	if (l->o->algorithm.use_adaptive_entropy)
		l->o->algorithm.entropy_coef =
		        entropy_bonus(&l->o->algorithm, l->o->entropy_coef, l->entropy);
	l->report->entropy_coef = l->o->algorithm.entropy_coef;
}

/* ---- updates ---- */

/* The batch with its groups in the keyed order of this iteration. */
static int learn_shuffle(struct learn *l, int iteration, struct batch *out, int *group_row)
{
	struct rng_key key = {l->o->seed, RNG_SHUFFLE, l->in->step, (uint32_t)iteration, 0};
	int            n = l->n_groups, row = 0;
	uint32_t      *groups;
	int           *rows;

	TRY(arena_take(l->a, (size_t)n, "the order of the groups", &groups));
	TRY(arena_take(l->a, (size_t)l->batch.n, "the order of the rows", &rows));
	rng_permutation(key, (uint32_t)n, groups);
	for (int g = 0; g < n; g++) {
		for (int r = l->group_row[groups[g]]; r < l->group_row[groups[g] + 1]; r++)
			rows[row++] = r;
		group_row[g + 1] = row;
	}
	assert(row == l->batch.n);
	return batch_permute(&l->batch, rows, l->a, out);
}

/* The critic, when there is one, learns from every minibatch; the policy unless the critic warms
 * up. */
static int learn_minibatch(struct learn *l, const struct batch *part)
{
	struct policy       *p = l->in->policy;
	struct critic       *critic = l->o->critic;
	int                  warms_up = critic && critic_warms_up(critic, l->in->step);
	struct update_report fit = {0};

	assert(part->n > 0 && part->advantage);
	if (critic && (critic->network != p || warms_up)) {
		TRY(critic_update(critic, part, &fit));
		critic->stats.skipped += fit.skipped;
		critic->stats.grad_norm = fmax(critic->stats.grad_norm, fit.grad_norm);
		l->report->seconds_values +=
		        fit.seconds_forward + fit.seconds_backward + fit.seconds_optimizer;
	}
	if (warms_up)
		return OK;
	TRY(policy_update(p, &l->o->algorithm, part, l->in->learning_rate, &l->report->update));
	l->batch.is_current = 0;
	return OK;
}

/* The tokens of an update that its loss treats apart, by what the weights at hand say of them: what
 * sampling recorded, unless there was an update since. */
static int learn_choose(struct learn *l, const struct batch *part, struct rng_key key)
{
	struct policy *p = l->in->policy;
	float         *logp = part->logp_old;

	if (l->o->algorithm.covariance == COVARIANCE_NONE)
		return OK;
	if (!part->is_current) {
		TRY(arena_take(l->a, (size_t)part->offset[part->n],
		               "log-probabilities before the update", &logp));
		TRY(policy_logprobs(p, p->model, part, logp, NULL));
	}
	return covariance_choose(&l->o->algorithm, part, logp, key, l->a);
}

/* One pass over the batch: whole groups, cut into minibatches as evenly as they go. */
static int learn_iterate(struct learn *l, int iteration)
{
	int          n = l->n_groups, M = l->o->num_minibatches < n ? l->o->num_minibatches : n;
	int         *group_row = l->group_row;
	struct batch b = l->batch;

	if (l->o->num_minibatches > 1) {
		TRY(arena_take(l->a, (size_t)n + 1, "the rows of the groups", &group_row));
		TRY(learn_shuffle(l, iteration, &b, group_row));
	}
	if (l->o->algorithm.covariance != COVARIANCE_NONE)
		TRY(BATCH_TAKE(&b, chosen, l->a));
	b.updates = M;
	for (int m = 0; m < M; m++) {
		int          first = group_row[n * m / M], end = group_row[n * (m + 1) / M];
		struct batch part = batch_part(&b, first, end - first);
		part.is_current = l->batch.is_current;
		TRY(learn_choose(l, &part,
		                 (struct rng_key){l->o->seed, RNG_COVARIANCE, l->in->step,
		                                  (uint32_t)iteration, (uint32_t)m}));
		TRY(learn_minibatch(l, &part));
	}
	return OK;
}

static int learn_update(struct learn *l)
{
	for (int i = 0; i < l->o->algorithm.num_iterations; i++) {
		struct arena_mark mark = arena_mark(l->a);
		TRY(learn_iterate(l, i));
		arena_release(l->a, mark);
	}
	return OK;
}

static void learn_end(struct learn *l)
{
	struct learn_report *r = l->report;

	l->o->entropy_coef = entropy_adapt(&l->o->algorithm, l->o->entropy_coef, l->entropy);
	if (l->o->critic) {
		r->critic = l->o->critic->stats;
		r->update.skipped = (int)fmax(r->update.skipped, r->critic.skipped);
	}
	l->o->algorithm.beta =
	        kl_adapt(&l->o->algorithm, r->advantage.kl / r->tokens, r->advantage.rows);
}

/* Each call writes columns of the batch that the next ones read. */
int learn_from(struct learn_options *o, const struct learn_input *in, struct arena *a,
               struct learn_report *report)
{
	struct learn l = {.o = o, .in = in, .a = a, .report = report};

	assert(in->n_groups > 0 && o->num_minibatches > 0 && in->learning_rate >= 0);
	TRY(learn_begin(&l));
	TRY(learn_overlong(&l));
	TRY(learn_weight(&l));
	TRY(learn_value(&l));
	TRY(learn_reference(&l));
	TRY(learn_advantage(&l));
	TRY(learn_credit(&l));
	TRY(learn_observe(&l));
	TRY(learn_resample(&l));
	TRY(objective_prepare(&o->algorithm, &l.batch, a));
	learn_measure(&l);
	if (o->watch.seen)
		TRY(o->watch.seen(o->watch.owner, in, &l.batch));
	TRY(learn_update(&l));
	learn_end(&l);
	return OK;
}
