#include "rl/learn.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/rng.h"
#include "estimator/kl.h"

#include <math.h>
#include <string.h>

struct flat { /* the rollouts of a batch, row behind row: what examples borrow */
	int n_groups, R, T;
	/* [n_groups+1] group i owns rows group_row[i] .. group_row[i+1]-1 */
	int           *group_row;
	int           *offset;  /* [R+1] */
	unsigned char *trained; /* [T] */
	unsigned char *guided;  /* [R] sampled under another context than it is trained under */
	int            n_guided;
	/* [T] or NULL: tokens of high entropy, which alone have gain and bonus */
	unsigned char   *high;
	struct sequence *sequences;                                 /* [R] */
	float           *logp_old, *logp_ref, *entropy, *advantage; /* [T] */
	/* [T] or NULL, as in struct examples */
	float *weight, *logp_rollout;
	/* [T] or NULL: value_old and value_target */
	float  *value, *target;
	double *reward; /* [R] */
	/* [T] or NULL; read before the groups change places */
	double  *rise;
	int64_t *group; /* [R] */
};

static int flat_alloc(struct flat *f, int n_groups, int R, int T, struct arena *a)
{
	*f = (struct flat){.n_groups = n_groups, .R = R, .T = T};
	f->group_row = arena_alloc(a, (size_t)n_groups + 1, sizeof *f->group_row);
	f->offset = arena_alloc(a, (size_t)R + 1, sizeof *f->offset);
	f->trained = arena_alloc(a, (size_t)T, sizeof *f->trained);
	f->guided = arena_alloc(a, (size_t)R, sizeof *f->guided);
	f->sequences = arena_alloc(a, (size_t)R, sizeof *f->sequences);
	f->logp_old = arena_alloc(a, (size_t)T, sizeof *f->logp_old);
	f->logp_ref = arena_alloc(a, (size_t)T, sizeof *f->logp_ref);
	f->entropy = arena_alloc(a, (size_t)T, sizeof *f->entropy);
	f->advantage = arena_alloc(a, (size_t)T, sizeof *f->advantage);
	f->reward = arena_alloc(a, (size_t)R, sizeof *f->reward);
	f->group = arena_alloc(a, (size_t)R, sizeof *f->group);
	return f->group_row && f->offset && f->trained && f->guided && f->sequences &&
	                       f->logp_old && f->logp_ref && f->entropy && f->advantage &&
	                       f->reward && f->group
	               ? OK
	               : ERR_INPUT;
}

static void flat_add(struct flat *f, int row, const struct rollout *r, int64_t group)
{
	size_t n = (size_t)r->n, at = (size_t)f->offset[row];

	f->offset[row + 1] = f->offset[row] + r->n;
	memcpy(f->trained + at, r->trained, n * sizeof *r->trained);
	memcpy(f->logp_old + at, r->logp, n * sizeof *r->logp);
	memcpy(f->entropy + at, r->entropy, n * sizeof *r->entropy);
	f->sequences[row] =
	        (struct sequence){r->trained_under->ids, r->trained_under->n, r->ids, r->n};
	f->guided[row] = r->sampled_under != r->trained_under;
	f->n_guided += f->guided[row];
	if (f->rise)
		memcpy(f->rise + at, r->rise, n * sizeof *r->rise);
	f->reward[row] = r->reward + r->penalty;
	f->group[row] = group;
}

static int learn_flatten(const struct group *groups, int n_groups, struct arena *a, struct flat *f)
{
	int R = 0, T = 0;

	for (int g = 0; g < n_groups; g++)
		for (int i = 0; i < groups[g].n; i++, R++)
			T += groups[g].rollouts[i].n;
	TRY(flat_alloc(f, n_groups, R, T, a));
	if (R > 0 && groups[0].rollouts[0].rise) {
		f->rise = arena_alloc(a, (size_t)T, sizeof *f->rise);
		if (!f->rise)
			return ERR_INPUT;
	}
	for (int g = 0, row = 0; g < n_groups; g++) {
		for (int i = 0; i < groups[g].n; i++)
			flat_add(f, row++, &groups[g].rollouts[i], groups[g].id);
		f->group_row[g + 1] = row;
	}
	return OK;
}

/* Room for as many floats as there are in an array that may be missing. */
static int floats_like(const float *array, int T, struct arena *a, float **out)
{
	*out = array ? arena_alloc(a, (size_t)T, sizeof **out) : NULL;
	return array && !*out ? ERR_INPUT : OK;
}

/* The same rows with the groups in another order. Everything that updates read is copied. */
static int learn_reorder(const struct flat *f, const uint32_t *order, struct arena *a,
                         struct flat *out)
{
	TRY(flat_alloc(out, f->n_groups, f->R, f->T, a));
	TRY(floats_like(f->weight, f->T, a, &out->weight));
	TRY(floats_like(f->logp_rollout, f->T, a, &out->logp_rollout));
	if (f->high && !(out->high = arena_alloc(a, (size_t)f->T, sizeof *out->high)))
		return ERR_INPUT;
	TRY(floats_like(f->value, f->T, a, &out->value));
	TRY(floats_like(f->target, f->T, a, &out->target));
	for (int g = 0, row = 0; g < f->n_groups; g++) {
		for (int from = f->group_row[order[g]]; from < f->group_row[order[g] + 1];
		     from++, row++) {
			size_t n = (size_t)(f->offset[from + 1] - f->offset[from]),
			       to = (size_t)out->offset[row], at = (size_t)f->offset[from];
			out->offset[row + 1] = out->offset[row] + (int)n;
			out->sequences[row] = f->sequences[from];
			out->guided[row] = f->guided[from];
			out->n_guided += f->guided[from];
			memcpy(out->trained + to, f->trained + at, n * sizeof *f->trained);
			memcpy(out->logp_old + to, f->logp_old + at, n * sizeof *f->logp_old);
			memcpy(out->logp_ref + to, f->logp_ref + at, n * sizeof *f->logp_ref);
			memcpy(out->advantage + to, f->advantage + at, n * sizeof *f->advantage);
			if (f->weight)
				memcpy(out->weight + to, f->weight + at, n * sizeof *f->weight);
			if (f->high)
				memcpy(out->high + to, f->high + at, n * sizeof *f->high);
			if (f->logp_rollout)
				memcpy(out->logp_rollout + to, f->logp_rollout + at,
				       n * sizeof *f->logp_rollout);
			if (f->value) {
				memcpy(out->value + to, f->value + at, n * sizeof *f->value);
				memcpy(out->target + to, f->target + at, n * sizeof *f->target);
			}
		}
		out->group_row[g + 1] = row;
	}
	return OK;
}

static struct examples examples_of(const struct flat *f)
{
	return (struct examples){.rows = {.n = f->R, .offset = f->offset, .trained = f->trained},
	                         .sequences = f->sequences,
	                         .logp_old = f->logp_old,
	                         .logp_ref = f->logp_ref,
	                         .advantage = f->advantage,
	                         .weight = f->weight,
	                         .high = f->high,
	                         .guided = f->n_guided ? f->guided : NULL,
	                         .logp_rollout = f->logp_rollout,
	                         .value_old = f->value,
	                         .value_target = f->target};
}

/* Log-probabilities of the guided or of the other rows, as they are trained and under today's
 * weights. */
static int learn_look_up(struct policy *p, const struct flat *f, int guided, struct arena *a,
                         float *logp)
{
	struct examples e = examples_of(f);
	float          *entropy; /* under today's weights: not asked for */

	TRY(floats_like(logp, f->T, a, &entropy));
	for (int row = 0, end; row < f->R; row = end) {
		struct examples part;
		for (end = row + 1; end < f->R && f->guided[end] == f->guided[row];)
			end++;
		part = examples_part(&e, row, end - row);
		if (f->guided[row] == guided)
			TRY(policy_logprobs(p, p->model, &part, logp, entropy));
	}
	return OK;
}

/* Makes the recorded log-probabilities those of the rollout, and finds the old ones anew. Guided
 * rows keep theirs, which are those of the hint. */
static int renew(struct policy *p, struct flat *f, struct arena *a)
{
	f->logp_rollout = f->logp_old;
	TRY(floats_like(f->logp_rollout, f->T, a, &f->logp_old));
	memcpy(f->logp_old, f->logp_rollout, (size_t)f->T * sizeof *f->logp_old);
	return learn_look_up(p, f, 0, a, f->logp_old);
}

static int weigh(struct policy *p, const struct learn_options *o, struct flat *f, struct arena *a,
                 struct learn_report *report)
{
	struct token_weight_batch b;

	if (!token_weight_needed(&o->algorithm, o->stale))
		return OK;
	if (o->stale && o->algorithm.mismatch != MISMATCH_NONE)
		TRY(renew(p, f, a));
	b = (struct token_weight_batch){.rows = examples_of(f).rows,
	                                .logp_old = f->logp_old,
	                                .logp_rollout =
	                                        f->logp_rollout ? f->logp_rollout : f->logp_old,
	                                .entropy = f->entropy};
	f->weight = arena_alloc(a, (size_t)f->T, sizeof *f->weight);
	f->high =
	        o->algorithm.top_entropy < 1 ? arena_alloc(a, (size_t)f->T, sizeof *f->high) : NULL;
	if (!f->weight || (o->algorithm.top_entropy < 1 && !f->high))
		return ERR_INPUT;
	return token_weight_fill(&o->algorithm, &b, a, f->weight, f->high, &report->weight);
}

/* What the critic says before anything is learned from the batch. */
static int learn_judge(const struct learn_options *o, struct flat *f, struct arena *a,
                       struct learn_report *report)
{
	struct examples e = examples_of(f);
	double          start = clock_seconds();

	if (!o->critic)
		return OK;
	f->value = arena_alloc(a, (size_t)f->T, sizeof *f->value);
	f->target = arena_alloc(a, (size_t)f->T, sizeof *f->target);
	if (!f->value || !f->target)
		return ERR_INPUT;
	TRY(policy_values(o->critic->network, &e, f->value));
	report->seconds_values = clock_seconds() - start;
	return OK;
}

static int estimate(struct policy *p, const struct learn_options *o, const struct model *reference,
                    struct flat *f, struct arena *a, struct learn_report *report)
{
	struct examples        e = examples_of(f);
	struct advantage_batch b = {.rows = e.rows,
	                            .group = f->group,
	                            .reward = f->reward,
	                            .rise = f->rise,
	                            .logp_old = f->logp_old,
	                            .logp_ref = f->logp_ref,
	                            .value = f->value,
	                            .target = f->target};
	double                 start = clock_seconds();
	float                 *scratch; /* entropies under the reference: not asked for */

	TRY(floats_like(reference ? f->entropy : NULL, f->T, a, &scratch));
	if (reference)
		TRY(policy_logprobs(p, reference, &e, f->logp_ref, scratch));
	report->seconds_reference = clock_seconds() - start;
	TRY(advantage_fill(&o->algorithm, &b, a, f->advantage, &report->advantage));
	if (o->critic)
		critic_measure(&(struct critic_batch){e.rows, f->value, f->value, f->target},
		               &o->critic->stats);
	return OK;
}

/* The advantages of the segments of an answer, edited by their entropies as sampled. */
static int learn_assign(const struct learn_options *o, const struct flat *f, uint32_t step,
                        struct arena *a, struct learn_report *report)
{
	struct credit_batch b = {.rows = examples_of(f).rows,
	                         .group = f->group,
	                         .reward = f->reward,
	                         .entropy = f->entropy};
	unsigned char      *end;

	if (o->credit.empg && o->credit.line_end) {
		b.segment_end = end = arena_alloc(a, (size_t)f->T, sizeof *end);
		if (!end)
			return ERR_INPUT;
		for (int r = 0; r < f->R; r++)
			for (int t = f->offset[r]; t < f->offset[r + 1]; t++)
				end[t] =
				        o->credit
				                .line_end[f->sequences[r].answer[t - f->offset[r]]];
	}
	return credit_apply(&o->credit, &b, (struct rng_key){o->seed, RNG_CREDIT, step, 0, 0}, a,
	                    f->advantage, &report->credit);
}

static void measure_advantage(const struct flat *f, struct learn_report *report)
{
	for (int t = 0; t < f->T; t++) {
		report->tokens += f->trained[t];
		report->advantage_abs += f->trained[t] ? fabs((double)f->advantage[t]) : 0;
	}
}

/* The critic, when there is one, learns from every minibatch; the policy unless the critic warms
 * up. */
static int update(struct policy *p, const struct learn_options *o, const struct examples *part,
                  uint32_t step, double learning_rate, struct learn_report *report)
{
	struct critic       *critic = o->critic;
	int                  warms_up = critic && critic_warms_up(critic, step);
	struct update_report fit = {0};

	if (critic && (critic->network != p || warms_up)) {
		TRY(policy_fit_values(critic->network, part, &fit));
		critic->stats.skipped += fit.skipped;
		critic->stats.grad_norm = fmax(critic->stats.grad_norm, fit.grad_norm);
		report->seconds_values +=
		        fit.seconds_forward + fit.seconds_backward + fit.seconds_optimizer;
	}
	return warms_up ? OK
	                : policy_update(p, &o->algorithm, part, learning_rate, &report->update);
}

/* One pass over the batch: whole groups, cut into minibatches as evenly as they go. */
static int iterate(struct policy *p, const struct learn_options *o, const struct flat *f,
                   uint32_t step, double learning_rate, struct learn_report *report)
{
	struct examples all = examples_of(f);
	int             M = o->num_minibatches < f->n_groups ? o->num_minibatches : f->n_groups;

	all.batch_tokens = (int64_t)report->tokens;
	all.updates = M;
	for (int m = 0; m < M; m++) {
		int first = f->group_row[f->n_groups * m / M],
		    end = f->group_row[f->n_groups * (m + 1) / M];
		struct examples part = examples_part(&all, first, end - first);
		TRY(update(p, o, &part, step, learning_rate, report));
	}
	return OK;
}

int learn_from(struct policy *p, struct learn_options *o, const struct model *reference,
               struct group *groups, int n_groups, uint32_t step, double learning_rate,
               struct arena *a, struct learn_report *report)
{
	struct flat flat, shuffled;
	uint32_t   *order = arena_alloc(a, (size_t)n_groups, sizeof *order);

	*report = (struct learn_report){.beta = o->algorithm.beta};
	if (o->critic)
		critic_begin(o->critic, step);
	if (!order)
		return ERR_INPUT;
	for (int g = 0; g < n_groups; g++)
		for (int i = 0; i < groups[g].n; i++)
			overlong_apply(&o->algorithm, &groups[g].rollouts[i], &report->overlong);
	TRY(learn_flatten(groups, n_groups, a, &flat));
	if (o->plain_denominator)
		TRY(learn_look_up(p, &flat, 1, a, flat.logp_old));
	TRY(weigh(p, o, &flat, a, report));
	TRY(learn_judge(o, &flat, a, report));
	TRY(estimate(p, o, reference, &flat, a, report));
	TRY(learn_assign(o, &flat, step, a, report));
	measure_advantage(&flat, report);
	for (int i = 0; i < o->algorithm.num_iterations; i++) {
		struct arena_mark mark = arena_mark(a);
		if (o->num_minibatches > 1) {
			rng_permutation(
			        (struct rng_key){o->seed, RNG_SHUFFLE, step, (uint32_t)i, 0},
			        (uint32_t)n_groups, order);
			TRY(learn_reorder(&flat, order, a, &shuffled));
		}
		TRY(iterate(p, o, o->num_minibatches > 1 ? &shuffled : &flat, step, learning_rate,
		            report));
		arena_release(a, mark);
	}
	if (o->critic) {
		report->critic = o->critic->stats;
		report->update.skipped = (int)fmax(report->update.skipped, report->critic.skipped);
	}
	o->algorithm.beta = kl_adapt(&o->algorithm, report->advantage.kl / report->tokens,
	                             report->advantage.rows);
	return OK;
}
