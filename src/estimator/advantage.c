#include "estimator/advantage.h"

#include "base/error.h"
#include "estimator/kl.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Sums of squares of such numbers are finite, and so are their advantages as floats. */
#define REWARD_MAX 1e30

struct advantage_member { /* a row whose value counts */
	int64_t group;
	double  value;
	int     row, length; /* length: trained tokens */
};

struct moments {
	int    n, constant; /* constant: max == min, or fewer than two */
	double mean, std;   /* std unbiased, 0 when constant */
	double by_length;   /* the mean, each value counted by its length; 0 without a token */
	double best, second, nonzero; /* the largest values; how many are not 0 */
};

struct advantage_job {
	const struct algorithm *alg;
	struct batch           *b;
	double                 *outcome; /* [R] A_i; NaN: the row counts nowhere */
	/* [R] dA_i / dR_i; 0 where a deviation of 0 would divide */
	double *share;
	/* [T] what each token is paid before the last; NULL without token rewards */
	double                  *early;
	struct advantage_member *members; /* [n_members] by group, then by value */
	struct advantage_member *scratch; /* [R] of normalise_components */
	double                  *sorted;  /* [R] scratch of sum_sorted */
	int                      n_members;
};

static int advantage_compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int compare_members(const void *a, const void *b)
{
	const struct advantage_member *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return (x->length > y->length) - (x->length < y->length);
}

/* The same bits for any order of x; sorts it. */
static double sum_sorted(double *x, int n)
{
	double s = 0;

	qsort(x, (size_t)n, sizeof *x, advantage_compare_doubles);
	for (int i = 0; i < n; i++)
		s += x[i];
	return s;
}

/* Members come sorted, so that here too the order of the rows leaves no trace. */
static struct moments moments_of(const struct advantage_member *m, int n)
{
	struct moments out = {.n = n, .constant = 1};
	double         sum = 0, square = 0, tokens = 0, by_token = 0;

	for (int i = 0; i < n; i++) {
		sum += m[i].value;
		tokens += m[i].length;
		by_token += m[i].length * m[i].value;
		out.nonzero += m[i].value != 0;
		out.constant &= m[i].value == m[0].value;
	}
	if (n > 0)
		out.mean = sum / n;
	if (tokens > 0)
		out.by_length = by_token / tokens;
	out.best = n > 0 ? m[n - 1].value : 0;
	out.second = n > 1 ? m[n - 2].value : 0;
	if (out.constant)
		return out;
	for (int i = 0; i < n; i++)
		square += (m[i].value - out.mean) * (m[i].value - out.mean);
	out.std = sqrt(square / (n - 1));
	return out;
}

/* ---- values ---- */

static int kl_in_reward(const struct algorithm *alg)
{
	return alg->beta > 0 && alg->kl_placement != KL_IN_LOSS;
}

/* sum_t k_t over the trained tokens; NaN when one of their log-probabilities is not finite. */
static double row_kl(const struct advantage_job *j, int row)
{
	const struct batch *b = j->b;
	double              sum = 0;

	if (!kl_in_reward(j->alg))
		return 0;
	for (int t = b->offset[row]; t < b->offset[row + 1]; t++) {
		if (!b->trained[t])
			continue;
		if (!isfinite(b->logp_old[t]) || !isfinite(b->logp_ref[t]))
			return NAN;
		sum += kl_estimate(j->alg->kl_estimator, b->logp_old[t], b->logp_ref[t]).value;
	}
	return sum;
}

/* The rows whose value can be computed become members, sorted by group and value:
 *
 *     v = R - beta sum_t k_t        or 2 R - 1 for R, with signed_rewards */
static void advantage_collect(struct advantage_job *j, struct advantage_stats *stats)
{
	for (int r = 0; r < j->b->n; r++) {
		double reward = j->b->reward[r], kl = row_kl(j, r);

		j->outcome[r] = NAN;
		if (!(fabs(reward) <= REWARD_MAX) || !isfinite(kl)) {
			stats->invalid++;
			continue;
		}
		stats->rows++;
		stats->reward += reward;
		stats->kl += kl;
		if (j->alg->signed_rewards)
			reward = 2 * reward - 1;
		if (j->alg->kl_placement == KL_IN_REWARD)
			reward -= j->alg->beta * kl;
		j->members[j->n_members++] = (struct advantage_member){j->b->group[r], reward, r,
		                                                       batch_trained(j->b, r)};
	}
	qsort(j->members, (size_t)j->n_members, sizeof *j->members, compare_members);
}

/* The reward of a member by verifier k; of one without components the only one is its reward. */
static double component_of(const struct advantage_job *j, int row, int k)
{
	return j->b->n_components ? j->b->components[row][k] : j->b->reward[row];
}

/* Adds the standardised rewards by verifier k to the share of each of n members of a group:
 *
 *     weight_k (c_ik - mean_k) / (std_k + advantage_eps) */
static void add_component(struct advantage_job *j, const struct advantage_member *m, int n, int k)
{
	double         weight = j->b->n_components ? j->b->component_weights[k] : 1;
	struct moments of;
	int            valid = 0;

	for (int i = 0; i < n; i++) {
		double c = component_of(j, m[i].row, k);
		if (fabs(c) <= REWARD_MAX)
			j->scratch[valid++] = (struct advantage_member){.value = c};
	}
	qsort(j->scratch, (size_t)valid, sizeof *j->scratch, compare_members);
	of = moments_of(j->scratch, valid);
	for (int i = 0; i < n && !of.constant; i++) {
		double c = component_of(j, m[i].row, k);
		if (fabs(c) <= REWARD_MAX)
			j->share[m[i].row] +=
			        weight * (c - of.mean) / (of.std + j->alg->advantage_eps);
	}
}

/* The values become sums of standardised rewards; members are sorted by them again. */
static void normalise_components(struct advantage_job *j)
{
	int kinds = j->b->n_components ? j->b->n_components : 1;

	for (int i = 0; i < j->n_members; i++)
		j->share[j->members[i].row] = 0;
	for (int i = 0, end; i < j->n_members; i = end) {
		for (end = i + 1;
		     end < j->n_members && j->members[end].group == j->members[i].group; end++)
			;
		for (int k = 0; k < kinds; k++)
			add_component(j, &j->members[i], end - i, k);
	}
	for (int i = 0; i < j->n_members; i++)
		j->members[i].value = j->share[j->members[i].row];
	qsort(j->members, (size_t)j->n_members, sizeof *j->members, compare_members);
}

/* ---- baseline and scale ---- */

double advantage_baseline_for(double p, double wanted)
{
	assert(p >= 0 && p <= 1 && wanted >= 0 && wanted <= 1);
	return (p - wanted) / (p + wanted * (1 - 2 * p));
}

/* v - baseline. Leave one out: v - (sum - v) / (G - 1) = G / (G - 1) (v - mean). */
static double centred(const struct algorithm *alg, double v, const struct moments *group,
                      const struct moments *batch)
{
	switch (alg->baseline) {
	case BASELINE_NONE:
	case BASELINE_CRITIC:
		return v;
	case BASELINE_BATCH:
		return batch->constant ? 0 : v - batch->mean;
	case BASELINE_GROUP:
		return group->constant ? 0 : v - group->mean;
	case BASELINE_CONSTANT:
		return v - alg->baseline_value;
	case BASELINE_LEAVE_ONE_OUT:
		return group->constant ? 0 : (v - group->mean) * group->n / (group->n - 1);
	case BASELINE_GROUP_BY_LENGTH:
		return group->constant ? 0 : v - group->by_length;
	case BASELINE_SECOND_BEST:
		return group->constant || v < group->best ? 0 : v - group->second;
	}
	return 0;
}

/* What centred values are divided by; 0: nothing is to be learned from them. */
static double advantage_scale(const struct algorithm *alg, const struct moments *group,
                              const struct moments *batch)
{
	switch (alg->scale_rewards) {
	case SCALE_NONE:
		return 1;
	case SCALE_GROUP:
		return group->std + alg->advantage_eps;
	case SCALE_BATCH:
		return batch->std + alg->advantage_eps;
	case SCALE_MEAN:
		return fmax(group->mean, 0);
	case SCALE_NONZERO:
		return batch->n > 0 ? batch->nonzero / batch->n : 0;
	}
	return 0;
}

/* Whether the scale is a deviation of 0, which says nothing of how much a reward counts. */
static int scale_is_void(const struct algorithm *alg, const struct moments *group,
                         const struct moments *batch)
{
	return (alg->scale_rewards == SCALE_GROUP && group->std == 0) ||
	       (alg->scale_rewards == SCALE_BATCH && batch->std == 0);
}

/* The outcomes of the n members of one group, and what a change of a reward does to them:
 *
 *     A = (v - baseline) / scale
 *     dA/dR = 1 / scale, scale held
 *
 * times G / (G - 1) with leave_one_out, times 2 with signed_rewards. */
static void settle_group(struct advantage_job *j, const struct advantage_member *m, int n,
                         const struct moments *batch, struct advantage_stats *stats)
{
	struct moments group = moments_of(m, n);
	double         scale = advantage_scale(j->alg, &group, batch);
	int            is_void = scale == 0 || scale_is_void(j->alg, &group, batch);
	double of_others = j->alg->baseline == BASELINE_LEAVE_ONE_OUT && n > 1 ? n / (n - 1.0) : 1;

	assert(n > 0 && m[0].group == m[n - 1].group);
	for (int i = 0; i < n; i++) {
		double x = centred(j->alg, m[i].value, &group, batch);
		j->outcome[m[i].row] = x == 0 || scale == 0 ? 0 : x / scale;
		j->share[m[i].row] =
		        is_void ? 0 : (j->alg->signed_rewards ? 2 : 1) * of_others / scale;
	}
	stats->groups++;
	stats->groups_constant += group.constant;
	stats->groups_lone += n == 1;
	stats->group_std += group.std;
}

/* The token reward of a row at place k; 0 behind its end. */
static double rise_at(const struct advantage_job *j, int row, int k)
{
	int t = j->b->offset[row] + k;

	return t < j->b->offset[row + 1] && j->b->trained[t] ? j->b->rise[t] : 0;
}

static double mean_rise(const struct advantage_job *j, const struct advantage_member *m, int n,
                        int k)
{
	for (int i = 0; i < n; i++)
		j->sorted[i] = rise_at(j, m[i].row, k);
	qsort(j->sorted, (size_t)n, sizeof *j->sorted, advantage_compare_doubles);
	return j->sorted[0] == j->sorted[n - 1] ? j->sorted[0] : sum_sorted(j->sorted, n) / n;
}

/* Token rewards of the n rows that share a baseline, which is taken place by place:
 *
 *     early_ik = dA_i/dR_i (d_ik - mean_j d_jk)
 *
 * No mean is taken where every row is its own baseline. */
static void pay_early(struct advantage_job *j, const struct advantage_member *m, int n)
{
	const int *offset = j->b->offset;
	int own = j->alg->baseline == BASELINE_NONE || j->alg->baseline == BASELINE_CONSTANT ||
	          j->alg->baseline == BASELINE_CRITIC;

	for (int k = 0, running = n; running > 0; k++) {
		double mean = own ? 0 : mean_rise(j, m, n, k);
		running = 0;
		for (int i = 0; i < n; i++) {
			int row = m[i].row, t = offset[row] + k;
			if (t >= offset[row + 1])
				continue;
			j->early[t] = j->share[row] * (rise_at(j, row, k) - mean);
			running++;
		}
	}
}

/* Outcomes group by group; with baseline batch the token rewards of all rows share one mean. */
static void advantage_settle(struct advantage_job *j, struct advantage_stats *stats)
{
	struct moments batch = moments_of(j->members, j->n_members);

	for (int i = 0, end; i < j->n_members; i = end) {
		for (end = i + 1;
		     end < j->n_members && j->members[end].group == j->members[i].group; end++)
			;
		settle_group(j, &j->members[i], end - i, &batch, stats);
		if (j->early && j->alg->baseline != BASELINE_BATCH)
			pay_early(j, &j->members[i], end - i);
	}
	if (j->early && j->alg->baseline == BASELINE_BATCH)
		pay_early(j, j->members, j->n_members);
}

/* ---- over the tokens ---- */

/* What the reward of a token loses: beta k_t. */
static double token_penalty(const struct advantage_job *j, int t)
{
	if (!kl_in_reward(j->alg) || j->alg->kl_placement != KL_IN_TOKEN_REWARD)
		return 0;
	return j->alg->beta *
	       kl_estimate(j->alg->kl_estimator, j->b->logp_old[t], j->b->logp_ref[t]).value;
}

/* What the tokens of a row before the last trained one are paid. */
static double paid_before(const struct advantage_job *j, int row, int last)
{
	double sum = 0;

	for (int t = j->b->offset[row]; j->early && t < last; t++)
		sum += j->b->trained[t] ? j->early[t] : 0;
	return sum;
}

/* From the last trained token backwards:
 *
 *     A_t = q_t + gamma V_t+1 - V_t + gamma lam A_t+1        ret_t = A_t + V_t
 *
 * Without a critic V is 0 and lam 1: what is added is exactly 0. */
static void spread_row(const struct advantage_job *j, int row)
{
	const struct batch *b = j->b;
	int                 critic = j->alg->baseline == BASELINE_CRITIC;
	const float        *value = critic ? b->value : NULL;
	double              gamma = j->alg->gamma, lam = critic ? j->alg->lam : 1;
	double              next = 0, next_value = 0;
	int                 last = -1;

	for (int t = b->offset[row + 1] - 1; t >= b->offset[row]; t--) {
		double v, q;

		b->advantage[t] = 0;
		if (critic)
			b->target[t] = NAN;
		if (!b->trained[t] || isnan(j->outcome[row]))
			continue;
		if (last < 0) {
			last = t;
			q = j->outcome[row] - paid_before(j, row, t);
		} else {
			q = j->early ? j->early[t] : 0;
		}
		v = value ? (double)value[t] : 0;
		next = q - token_penalty(j, t) + gamma * next_value - v + gamma * lam * next;
		next_value = v;
		b->advantage[t] = (float)next;
		if (critic)
			b->target[t] = (float)(next + v);
	}
}

/* ---- whitening ---- */

static double advantage_row_sum(const struct advantage_job *j, int row, double mean, int power)
{
	const struct batch *b = j->b;
	double              sum = 0;

	for (int t = b->offset[row]; t < b->offset[row + 1]; t++)
		if (b->trained[t] && !isnan(j->outcome[row])) {
			double x = b->advantage[t] - mean;
			sum += power == 2 ? x * x : x;
		}
	return sum;
}

/* Sum over the counted tokens of (A - mean)^power, whatever the order of the rows. */
static double token_sum(const struct advantage_job *j, double mean, int power)
{
	for (int r = 0; r < j->b->n; r++)
		j->sorted[r] = advantage_row_sum(j, r, mean, power);
	return sum_sorted(j->sorted, j->b->n);
}

static int64_t count_tokens(const struct advantage_job *j)
{
	int64_t n = 0;

	for (int r = 0; r < j->b->n; r++)
		if (!isnan(j->outcome[r]))
			n += batch_trained(j->b, r);
	return n;
}

/* A <- (A - mean) / sqrt(var + 1e-8), or A - mean where var < 1e-8. Equal floats add up and divide
 * exactly in double, so a batch of equal tokens comes out exactly 0. */
static void whiten(const struct advantage_job *j)
{
	const struct batch *b = j->b;
	double              n = (double)count_tokens(j), mean = n > 0 ? token_sum(j, 0, 1) / n : 0;
	double              var = n > 1 ? token_sum(j, mean, 2) / (n - 1) : 0;
	double              deviation = var < 1e-8 ? 1 : sqrt(var + 1e-8);

	for (int r = 0; r < b->n; r++)
		for (int t = b->offset[r]; t < b->offset[r + 1]; t++)
			if (b->trained[t] && !isnan(j->outcome[r]))
				b->advantage[t] = (float)((b->advantage[t] - mean) / deviation);
}

/* ---- all of it ---- */

/* Scratch, then the three steps of the header: values and outcomes of rows, tokens, whitening. */
static int advantage_run(struct advantage_job *j, struct arena *a, struct advantage_stats *stats)
{
	size_t n = (size_t)j->b->n;

	TRY(arena_take(a, n, "the outcomes of the rows", &j->outcome));
	TRY(arena_take(a, n, "the outcomes of the rows", &j->share));
	TRY(arena_take(a, n, "the rows by group", &j->members));
	TRY(arena_take(a, n, "the rows by group", &j->scratch));
	TRY(arena_take(a, n, "the rows by group", &j->sorted));
	if (j->b->rise)
		TRY(arena_take(a, (size_t)j->b->offset[n], "token rewards", &j->early));
	advantage_collect(j, stats);
	if (j->alg->multi_objective_aggregation == NORMALIZE_THEN_SUM)
		normalise_components(j);
	advantage_settle(j, stats);
	for (int r = 0; r < j->b->n; r++)
		spread_row(j, r);
	if (j->alg->whiten)
		whiten(j);
	return OK;
}

int advantage_fill(const struct algorithm *alg, struct batch *b, struct arena *a,
                   struct advantage_stats *stats)
{
	struct advantage_job j = {.alg = alg, .b = b};
	struct arena_mark    mark;
	int                  status;

	assert(alg->gamma >= 0 && alg->gamma <= 1 && alg->lam >= 0 && alg->lam <= 1);
	assert(!kl_in_reward(alg) || (b->logp_old && b->logp_ref));
	TRY(batch_check(b));
	TRY(BATCH_TAKE(b, advantage, a));
	if (alg->baseline == BASELINE_CRITIC)
		TRY(BATCH_TAKE(b, target, a));
	mark = arena_mark(a);
	status = advantage_run(&j, a, stats);
	arena_release(a, mark);
	return status;
}
