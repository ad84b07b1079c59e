#include "rl/explain.h"

#include "base/error.h"
#include "rl/train.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- what is looked at ---- */

static int explain_take(struct arena *a, int n, const char *what, float **out)
{
	return arena_take(a, (size_t)n, what, out);
}

static int explain_copy(struct arena *a, const float *from, int n, const char *what,
                        const float **out)
{
	float *to;

	TRY(explain_take(a, n, what, &to));
	memcpy(to, from, (size_t)n * sizeof *to);
	*out = to;
	return OK;
}

/* The first group that has something to compare, from 1 on; where none has, the first. */
static int explain_choose(const struct learn_input *in)
{
	for (int g = 0; g < in->n_groups; g++)
		for (int i = 1; i < in->groups[g].n; i++)
			if (in->groups[g].rollouts[i].reward != in->groups[g].rollouts[0].reward)
				return g + 1;
	return 1;
}

/* Before the updates: the groups, and the rewards of all. */
static int explain_groups(void *owner, const struct learn_input *in, const struct batch *b)
{
	struct explained *x = owner;
	double            sum = 0, square = 0;

	x->n_groups = in->n_groups;
	x->learning_rate = in->learning_rate;
	x->number = x->number ? x->number : explain_choose(in);
	if (x->number > in->n_groups)
		return error_set(ERR_INPUT,
		                 "step %d trained on %d groups; --group goes from 1 to %d", x->step,
		                 in->n_groups, in->n_groups);
	x->group = &in->groups[x->number - 1];
	for (int r = 0; r < b->n; r++)
		if (isfinite(b->reward[r])) {
			sum += b->reward[r];
			x->batch_rows++;
		}
	x->batch_mean = sum / x->batch_rows;
	for (int r = 0; r < b->n; r++)
		if (isfinite(b->reward[r]))
			square += (b->reward[r] - x->batch_mean) * (b->reward[r] - x->batch_mean);
	x->batch_deviation = x->batch_rows > 1 ? sqrt(square / (x->batch_rows - 1)) : 0;
	return OK;
}

/* The ratio of a token, or of its completion, at the log-probabilities of this update. */
static double explain_ratio(const struct algorithm *a, const struct batch *b, int row, int token)
{
	int    first = b->offset[row], last = b->offset[row + 1], n = 0;
	double sum = 0;

	if (a->importance_sampling_level == LEVEL_NONE || !b->logp_old)
		return NAN;
	if (a->importance_sampling_level == LEVEL_TOKEN)
		return exp((double)b->logp_new[token] - b->logp_old[token]);
	for (int t = first; t < last; t++)
		if (b->trained[t]) {
			sum += (double)b->logp_new[t] - b->logp_old[t];
			n++;
		}
	return exp(a->importance_sampling_level == LEVEL_SEQUENCE ? sum / n : sum);
}

static int explain_row(struct explained *x, const struct batch *b, int row,
                       struct explained_row *out)
{
	struct arena *a = &x->again.arena;
	int           first = b->offset[row], n = b->offset[row + 1] - first;
	float        *ratio;

	out->reward = b->reward[row];
	out->penalty = b->penalty ? b->penalty[row] : 0;
	out->trained = batch_trained(b, row);
	out->weight = out->trained ? objective_weight(&x->algorithm, b, &x->totals, row) : 0;
	TRY(explain_copy(a, b->advantage + first, n, "advantages", &out->advantage));
	TRY(explain_copy(a, b->c + first, n, "coefficients", &out->c));
	if (b->logp_ref)
		TRY(explain_copy(a, b->logp_ref + first, n, "the reference", &out->reference));
	if (b->weight)
		TRY(explain_copy(a, b->weight + first, n, "weights of tokens", &out->gain));
	TRY(explain_take(a, n, "ratios", &ratio));
	for (int t = 0; t < n; t++)
		ratio[t] = (float)explain_ratio(&x->algorithm, b, row, first + t);
	out->ratio = ratio;
	return OK;
}

/* In an update, before the weights change. The rows of a group stand in their order, wherever the
 * group was shuffled to. */
static int explain_update(void *owner, const struct batch *b)
{
	struct explained *x = owner;
	int               k = 0;

	for (int r = 0; r < b->n && b->group[r] != x->group->id; r++)
		k = r + 1;
	if (k == b->n)
		return OK;
	if (x->updates++)
		return OK;
	x->totals = (struct totals){.batch_tokens = b->batch_tokens, .updates = b->updates};
	totals_add(&x->totals, b);
	TRY(arena_take(&x->again.arena, (size_t)x->group->n, "the rows of a group", &x->rows));
	for (int i = 0; i < x->group->n; i++) {
		assert(b->group[k + i] == x->group->id);
		TRY(explain_row(x, b, k + i, &x->rows[i]));
	}
	return OK;
}

/* ---- afterwards ---- */

/* The log-probabilities of the group under the new weights. */
static int explain_after(struct explained *x, struct job *job)
{
	struct arena *a = &x->again.arena;
	struct batch  b;
	float        *logp;

	TRY(batch_of_groups(x->group, 1, a, &b));
	TRY(explain_take(a, b.offset[b.n], "log-probabilities afterwards", &logp));
	TRY(policy_logprobs(&job->learner.policy, job->learner.model, &b, logp, NULL));
	for (int i = 0; i < x->group->n; i++) {
		x->rows[i].rollout = &x->group->rollouts[i];
		x->rows[i].after = logp + b.offset[i];
	}
	return OK;
}

/* Up to the step as ever; that one with somebody who looks. */
static int explain_step(struct job *job)
{
	struct explained   *x = (struct explained *)job;
	struct job_learner *l = &job->learner;

	if (job->record.step != x->step - 1)
		return train_step(job);
	x->algorithm = l->learn.algorithm;
	l->learn.watch = (struct learn_watch){x, explain_groups};
	l->policy.watch = (struct policy_watch){x, explain_update};
	TRY(train_step(job));
	l->learn.watch = (struct learn_watch){0};
	l->policy.watch = (struct policy_watch){0};
	if (!x->group)
		return error_set(ERR_INPUT, "step %d trained on no group", x->step);
	if (!x->updates)
		return error_set(ERR_INPUT,
		                 "step %d did not update the policy: its critic warms up "
		                 "(critic.warmup_steps)",
		                 x->step);
	TRY(explain_after(x, job));
	return explain_page(x);
}

int explain_run(struct explained *out, int step, int number)
{
	out->step = step;
	out->number = number;
	if (out->again.log.kind != JOB_TRAIN)
		return error_set(ERR_INPUT, "%s: a run of hone sft has no groups to explain",
		                 out->again.run);
	out->again.step = explain_step;
	TRY(job_again_start(&out->again, &step, step));
	return job_again_run(&out->again);
}
