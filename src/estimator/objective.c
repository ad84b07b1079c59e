#include "estimator/objective.h"

#include "base/error.h"
#include "base/real.h"
#include "estimator/kl.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* keeps the divergence of a sure token finite, as in verl */
#define SURE_EPS 1e-8
#define SQUASH_MIN 1e-4 /* least g of a squashed ratio, as in the released code of Guide */

enum objective_side { INSIDE, PAST_FLOOR, PAST_CEILING, GUARDED };

struct gain {
	/* slope = dvalue/dx; of a held weight dvalue/dlogp, and value is not used */
	double              value, slope;
	enum objective_side side;
};

/* ---- gains ---- */

static struct gain gain_none(double q, double adv, const struct algorithm *a)
{
	(void)a;
	return (struct gain){q * adv, q * adv, INSIDE};
}

/* min(q A, clip(q) A), case by case:
 *   A > 0:  min(q, 1 + epsilon_high) A   flat once the token is already likelier than the ceiling
 *   A < 0:  max(q, 1 - epsilon) A        flat once the token is already rarer than the floor
 * so a token can be pushed back from outside the interval, never further out of it. For A < 0 and a
 * large q the pull back is itself without bound; delta bounds it. */
static struct gain gain_hard(double q, double adv, const struct algorithm *a)
{
	double ceiling = 1 + a->epsilon_high, floor_ = 1 - a->epsilon;

	if (adv > 0 && q > ceiling)
		return (struct gain){ceiling * adv, 0, PAST_CEILING};
	if (adv < 0 && q < floor_)
		return (struct gain){floor_ * adv, 0, PAST_FLOOR};
	if (adv < 0 && a->delta > 0 && q > a->delta)
		return (struct gain){a->delta * adv, 0, GUARDED};
	return (struct gain){q * adv, q * adv, INSIDE};
}

static struct gain objective_held(double q, double adv, double low, double high)
{
	double              w = fmin(fmax(q, low), high);
	enum objective_side side = q < low ? PAST_FLOOR : q > high ? PAST_CEILING : INSIDE;

	return (struct gain){0, w * adv, side};
}

static struct gain gain_cap(double q, double adv, const struct algorithm *a)
{
	return objective_held(q, adv, 1 - a->epsilon, 1 + a->epsilon_high);
}

static struct gain gain_cap_absolute(double q, double adv, const struct algorithm *a)
{
	return objective_held(q, adv, 1 - a->epsilon, a->epsilon_high);
}

/* At q = 1 the gate g is 1/2 and 4 g (1 - g) is exactly 1. */
static struct gain gain_soft(double q, double adv, const struct algorithm *a)
{
	double tau = adv > 0 ? a->tau_positive : a->tau_negative,
	       g = 1 / (1 + real_exp(-tau * (q - 1)));

	return (struct gain){adv * (4 / tau) * g, adv * (4 * g * (1 - g)) * q, INSIDE};
}

static struct gain gain_taper(double q, double adv, const struct algorithm *a)
{
	return adv >= 0 ? objective_held(q, adv, a->positive_low, a->positive_high)
	                : objective_held(q, adv, a->negative_low, a->negative_high);
}

/* The log-ratio of one token, kept from going further in the direction of its advantage. */
static double limit_log(double d, double adv, const struct algorithm *a)
{
	return adv > 0 ? fmin(d, a->epsilon_high) : adv < 0 ? fmax(d, -a->epsilon) : d;
}

/* q / (q + g): steep for a token that has become rare beside the others of its completion, flat for
 * a likely one. */
static struct gain gain_squash(double q, double adv, const struct algorithm *a)
{
	double g = a->squash, sum = q + g;

	return (struct gain){adv * q / sum, adv * q * g / (sum * sum), INSIDE};
}

static struct gain gain_power(double q, double adv, const struct algorithm *a)
{
	double f = real_pow(q, a->power);

	return (struct gain){adv * f, adv * a->power * f, INSIDE};
}

/* q^k exp(lambda (1 - q)), at most exp(20); a completion that became impossible weighs 0. */
static struct gain gain_gamma(double q, double adv, const struct algorithm *a)
{
	double k = adv >= 0 ? a->vespo_k_pos : a->vespo_k_neg;
	double lambda = adv >= 0 ? a->vespo_lambda_pos : a->vespo_lambda_neg;
	double x = q > 0 ? k * real_log(q) + lambda * (1 - q) : -INFINITY;

	return (struct gain){0, real_exp(fmin(x, 20)) * adv, INSIDE};
}

/* ---- bounds of a token's probability ---- */

static enum objective_side leave_tv(double logp, double old, double adv, const struct algorithm *a)
{
	double d = real_exp(logp) - real_exp(old);

	return adv > 0 && d > a->epsilon_high ? PAST_CEILING
	       : adv < 0 && d < -a->epsilon   ? PAST_FLOOR
	                                      : INSIDE;
}

static enum objective_side leave_binary_kl(double logp, double old, double adv,
                                           const struct algorithm *a)
{
	double p = real_exp(logp), p_old = real_exp(old);
	double divergence = p_old * (old - logp) +
	                    (1 - p_old) * real_log((1 - p_old + SURE_EPS) / (1 - p + SURE_EPS));

	return adv > 0 && divergence > a->epsilon_high && p > p_old ? PAST_CEILING
	       : adv < 0 && divergence > a->epsilon && p < p_old    ? PAST_FLOOR
	                                                            : INSIDE;
}

static const struct clip_rule {
	struct gain (*gain)(double q, double adv, const struct algorithm *a);
	/* of a token's log-ratio, before the sum; or NULL */
	double (*limit)(double d, double adv, const struct algorithm *a);
	/* past which bound a token is, which then has no gain; or NULL */
	enum objective_side (*leave)(double logp, double old, double adv,
	                             const struct algorithm *a);
	int held; /* the ratio is a constant weight on log pi: no gradient goes through it */
} clips[] = {
        [CLIP_NONE] = {.gain = gain_none},
        [CLIP_HARD] = {.gain = gain_hard},
        [CLIP_CAP] = {.gain = gain_cap, .held = 1},
        [CLIP_CAP_ABSOLUTE] = {.gain = gain_cap_absolute, .held = 1},
        [CLIP_LOG] = {.gain = gain_none, .limit = limit_log},
        [CLIP_SOFT] = {.gain = gain_soft},
        [CLIP_TAPER] = {.gain = gain_taper, .held = 1},
        [CLIP_SQUASH] = {.gain = gain_squash},
        [CLIP_POWER] = {.gain = gain_power},
        [CLIP_TV] = {.gain = gain_none, .leave = leave_tv},
        [CLIP_BINARY_KL] = {.gain = gain_none, .leave = leave_binary_kl},
        [CLIP_GAMMA] = {.gain = gain_gamma, .held = 1},
};

/* ---- ratio levels ---- */

static const struct {
	int whole_row; /* the unit is the completion, not the token */
	int mean;      /* x is divided by the tokens of the unit */
	int held;      /* no ratio: a constant weight 1 on log pi */
} levels[] = {
        [LEVEL_NONE] = {0, 0, 1},
        [LEVEL_TOKEN] = {0, 0, 0},
        [LEVEL_SEQUENCE] = {1, 1, 0},
        [LEVEL_SEQUENCE_SUM] = {1, 0, 0},
};

/* ---- weights ---- */

struct group_count { /* of a row */
	int64_t group;
	int     row, tokens;
};

static int objective_by_group(const void *a, const void *b)
{
	const struct group_count *x = a, *y = b;

	return (x->group > y->group) - (x->group < y->group);
}

/* The trained tokens of each row's group. */
static int count_groups(struct batch *b, struct arena *arena)
{
	struct arena_mark   mark = arena_mark(arena);
	struct group_count *c;

	TRY(arena_take(arena, (size_t)b->n, "the tokens of the groups", &c));
	for (int r = 0; r < b->n; r++)
		c[r] = (struct group_count){b->group[r], r, batch_trained(b, r)};
	qsort(c, (size_t)b->n, sizeof *c, objective_by_group);
	for (int first = 0, end; first < b->n; first = end) {
		int tokens = 0;
		for (end = first; end < b->n && c[end].group == c[first].group; end++)
			tokens += c[end].tokens;
		for (int i = first; i < end; i++)
			b->group_tokens[c[i].row] = tokens;
	}
	arena_release(arena, mark);
	return OK;
}

int objective_prepare(const struct algorithm *a, struct batch *b, struct arena *arena)
{
	if (a->positive_nll > 0) {
		TRY(BATCH_TAKE(b, good, arena));
		for (int r = 0; r < b->n; r++)
			b->good[r] = b->reward[r] > 0;
	}
	if (a->loss_type != PROMPT_MEAN)
		return OK;
	TRY(BATCH_TAKE(b, group_tokens, arena));
	return count_groups(b, arena);
}

/* w of a token of a row. */
double objective_weight(const struct algorithm *a, const struct batch *b,
                        const struct totals *totals, int row)
{
	int    n = batch_trained(b, row);
	double rows = (double)totals->rows,
	       tokens = (double)(totals->batch_tokens ? totals->batch_tokens : totals->tokens);

	switch (a->loss_type) {
	case SEQUENCE_MEAN:
		return 1 / (rows * n);
	case TOKEN_MEAN:
		return (totals->updates ? totals->updates : 1) / tokens;
	case SEQUENCE_SUM:
		return 1 / rows;
	case CONSTANT:
		return 1 / (rows * a->max_completion_length);
	case UPDATE_TOKEN_MEAN:
		return 1 / (double)totals->tokens;
	case TOKEN_SUM:
		return 1;
	case PROMPT_MEAN:
		return 1 / (nearbyint(totals->prompts) * b->group_tokens[row]);
	}
	return 0;
}

static int in_bonus(const struct batch *b, int t)
{
	return b->trained[t] && (!b->high || b->high[t]);
}

void totals_add(struct totals *totals, const struct batch *b)
{
	for (int r = 0; r < b->n; r++) {
		int n = batch_trained(b, r);
		totals->tokens += n;
		totals->rows += n > 0;
		for (int t = b->offset[r]; b->observed && n > 0 && t < b->offset[r + 1]; t++)
			totals->observed += b->observed[t];
		totals->good += b->good && b->good[r] ? n : 0;
		if (b->group_tokens && n > 0)
			totals->prompts += (double)n / b->group_tokens[r];
	}
	for (int t = b->offset[0]; t < b->offset[b->n]; t++)
		totals->high += in_bonus(b, t);
}

/* ---- what is read ---- */

static int kl_in_loss(const struct algorithm *a)
{
	return a->beta > 0 && a->kl_placement == KL_IN_LOSS;
}

static int has_guided(const struct batch *b)
{
	return b->guided && memchr(b->guided, 1, (size_t)b->n);
}

static int reads_old(const struct algorithm *a, const struct batch *b)
{
	return has_guided(b) || a->importance_sampling_level != LEVEL_NONE ||
	       clips[a->clip].limit || a->clip == CLIP_SQUASH ||
	       (a->off_policy_mask > 0 && !b->logp_rollout) || a->proximal > 0 ||
	       (a->use_bias_correction_kl && a->beta > 0);
}

/* The batch without the columns that this algorithm does not read: nobody reads them by mistake,
 * and nobody asks whether their numbers are finite. */
static struct batch objective_view(const struct algorithm *a, const struct batch *b)
{
	struct batch view = *b;

	if (!reads_old(a, b))
		view.logp_old = NULL;
	if (!kl_in_loss(a))
		view.logp_ref = NULL;
	if (!(a->off_policy_mask > 0))
		view.logp_rollout = NULL;
	return view;
}

/* ---- one completion ---- */

struct objective_job {
	const struct algorithm *a;
	const struct batch     *b; /* what the algorithm reads of it: the rest is NULL */

	/* Of the row at hand: */
	int                     guided; /* sampled under another context than it is trained under */
	const struct clip_rule *clip;
	enum level              level;
	int                     held;
	double                  weight, bonus; /* of a token in the loss; of its entropy */
	double                  nll;           /* of its -logp, as one of a good completion */
	int                     masked;        /* too far off policy: no gain */
	struct objective_stats  row;           /* until its end, loss is without weight and bonus */
	double                  praise;        /* sum of the entropies in the bonus */
	double                  logp;          /* sum of logp_new */
	struct algorithm        with_g;        /* *a with g of this row; see choose_rule */
};

struct objective_unit { /* tokens first .. last-1 that share one ratio */
	int    first, last;
	double q;
	double f; /* dx/dlogp, 0 where x was clamped */
};

static double log_ratio(const struct objective_job *j, int t)
{
	const float *logp = j->held && j->b->logp_held ? j->b->logp_held : j->b->logp_new;

	return (double)logp[t] - j->b->logp_old[t];
}

/* As it enters the sum; it moves with logp_new only where the two are equal. */
static double limited_log_ratio(const struct objective_job *j, int t)
{
	double d = log_ratio(j, t);

	return j->clip->limit ? j->clip->limit(d, j->b->advantage[t], j->a) : d;
}

static enum objective_side limited_side(double d, double limited)
{
	return limited < d ? PAST_CEILING : limited > d ? PAST_FLOOR : INSIDE;
}

/* The ratio of a unit, and how it moves with each of its tokens:
 *
 *     x = f sum (logp_new - logp_old), kept in -20 .. 20        q = exp(x)        dx/dlogp = f
 *
 * where f is 1, or 1/n with level sequence. */
static struct objective_unit unit_of(struct objective_job *j, int first, int last)
{
	enum level level = j->level;
	double     sum = 0, x, f;
	int        n = 0;

	if (level == LEVEL_NONE)
		return (struct objective_unit){first, last, 1, 0};
	for (int t = first; t < last; t++)
		if (j->b->trained[t]) {
			sum += limited_log_ratio(j, t);
			n++;
		}
	f = levels[level].mean ? 1.0 / n : 1.0;
	x = log_ratio_clamp(f * sum);
	if (x != f * sum) {
		j->row.clamped += n;
		/* a weight has no derivative to protect: a completion that became impossible
		 * weighs 0 */
		if (j->held && x > f * sum)
			x = f * sum;
		f = 0;
	}
	return (struct objective_unit){first, last, real_exp(x), f};
}

/* One token into the statistics of its row. */
static void objective_count(struct objective_job *j, double q, double adv, struct gain g)
{
	j->row.tokens++;
	if (j->guided) {
		j->row.guided_tokens++;
		j->row.guided_ratio += q;
		j->row.guided_silent += adv != 0 && g.slope == 0;
	} else {
		j->row.ratio += q;
		j->row.ratio_max = fmax(j->row.ratio_max, q);
	}
	j->row.clip_low += g.side == PAST_FLOOR;
	j->row.clip_high += g.side == PAST_CEILING;
	j->row.guarded += g.side == GUARDED;
	if (adv < 0) {
		j->row.negative++;
		j->row.negative_weight += g.slope / adv;
	}
}

static int is_chosen(const struct objective_job *j, int t, enum covariance by)
{
	return j->b->chosen && j->b->chosen[t] && j->a->covariance == by;
}

/* W of a token. */
static double gain_weight(const struct objective_job *j, int t)
{
	return j->masked || is_chosen(j, t, COVARIANCE_CLIP) ? 0
	       : j->b->weight                                ? (double)j->b->weight[t]
	                                                     : 1;
}

/* The gain of one token at the ratio of its unit, W included. Where its log-ratio was limited it is
 * the token that stands still, not the unit. */
static struct gain token_gain(const struct objective_job *j, double q, int t)
{
	struct gain g = j->clip->gain(q, j->b->advantage[t], j->a);
	double      w = gain_weight(j, t);

	if (j->clip->leave) {
		g.side = j->clip->leave(j->b->logp_new[t], j->b->logp_old[t], j->b->advantage[t],
		                        j->a);
		w = g.side == INSIDE ? w : 0;
	}
	g.value *= w;
	g.slope *= w;
	if (j->clip->limit)
		g.side = limited_side(log_ratio(j, t), limited_log_ratio(j, t));
	return g;
}

/* Adds -gain of the unit to the row's loss; returns the sum of its slopes: every token of the unit
 * moves the ratio, and with it the gain of all. */
static double unit_gain(struct objective_job *j, const struct objective_unit *u)
{
	double slope = 0;

	for (int t = u->first; t < u->last; t++) {
		struct gain g;

		if (!j->b->trained[t])
			continue;
		g = token_gain(j, u->q, t);
		j->row.loss -= j->held ? g.slope * j->b->logp_new[t] : g.value;
		slope += g.slope;
		objective_count(j, u->q, j->b->advantage[t], g);
	}
	return slope;
}

/* What the KL term of a unit is multiplied by, and what each of its tokens adds to the slope by
 * moving that factor. */
struct kl_factor {
	double q, shared;
};

static struct kl kl_of(const struct objective_job *j, int t)
{
	return kl_estimate(j->a->kl_estimator, j->b->logp_new[t], j->b->logp_ref[t]);
}

/* L has beta q sum_s k_s over the unit:  d/dlogp_t = beta (q dk_t/dlogp_t + f q sum_s k_s),  q =
 * exp(f sum (logp_new - logp_old)). */
static struct kl_factor unit_kl(const struct objective_job *j, int first, int last)
{
	double f = 1, sum = 0, kl = 0, x, q;
	int    n = 0;

	if (!j->a->use_bias_correction_kl)
		return (struct kl_factor){1, 0};
	for (int t = first; t < last; t++)
		if (j->b->trained[t]) {
			sum += (double)j->b->logp_new[t] - j->b->logp_old[t];
			kl += kl_of(j, t).value;
			n++;
		}
	if (levels[j->level].mean)
		f = 1.0 / n;
	x = log_ratio_clamp(f * sum);
	q = real_exp(x);
	return (struct kl_factor){q, x == f * sum ? f * q * kl : 0};
}

/* Adds the KL term of one token to the row; returns its slope. */
static double token_kl(struct objective_job *j, const struct kl_factor *factor, int t)
{
	struct kl k = kl_of(j, t);

	j->row.kl += factor->q * k.value;
	j->row.loss += j->a->beta * factor->q * k.value;
	return j->a->beta * (factor->q * k.slope + factor->shared);
}

/* Adds to the row what pulls a token back to the policy that sampled it; returns its slope. */
static double token_pull(struct objective_job *j, int t)
{
	double held = is_chosen(j, t, COVARIANCE_KL) ? j->a->covariance_coef : 0;
	double near = j->a->proximal, slope = 0;

	if (near > 0) {
		struct kl k = kl_estimate(KL_K2, j->b->logp_new[t], j->b->logp_old[t]);
		j->row.loss += near * k.value;
		slope += near * k.slope;
	}
	if (held > 0) {
		struct kl k = kl_estimate(KL_ABS, j->b->logp_new[t], j->b->logp_old[t]);
		j->row.loss += held * k.value;
		slope += held * k.slope;
	}
	return slope;
}

static void token_entropy(struct objective_job *j, int t)
{
	int counts = in_bonus(j->b, t);

	if (j->b->entropy_new) {
		j->row.entropy += j->b->entropy_new[t];
		j->praise += counts ? (double)j->b->entropy_new[t] : 0;
	}
	if (j->b->h)
		j->b->h[t] = counts ? (float)-j->bonus : 0;
}

/* The terms of the tokens of one unit, from the slopes of its gains s_t = dgain_t/dx:
 *
 *     c_t = w (beta dk_t/dlogp_t - f sum_s s_s)        every token of the unit moves the ratio
 *     c_t = w (beta dk_t/dlogp_t - s_t)                where the ratio is held as a weight on logp
 *
 * A token whose own log-ratio was limited stands still: its slope is 0. Pulls have their own. */
static void eval_unit(struct objective_job *j, int first, int last)
{
	struct objective_unit u = unit_of(j, first, last);
	double                shared = u.f * unit_gain(j, &u);
	int                   has_kl = kl_in_loss(j->a);
	struct kl_factor      kl = has_kl ? unit_kl(j, first, last) : (struct kl_factor){0};

	for (int t = first; t < last; t++) {
		double slope = shared;

		if (!j->b->trained[t])
			continue;
		if (j->held)
			slope = token_gain(j, u.q, t).slope;
		else if (j->clip->limit && limited_log_ratio(j, t) != log_ratio(j, t))
			slope = 0;
		slope = (has_kl ? token_kl(j, &kl, t) : 0) + token_pull(j, t) - slope;
		j->logp += j->nll > 0 ? j->b->logp_new[t] : 0;
		j->b->c[t] = (float)(j->weight * slope - j->nll);
		token_entropy(j, t);
	}
}

/* A bad completion that the policy would hardly write any more (DeepSeek-V3.2):
 *
 *     sum_t A_t < 0    and    mean_t (logp_rollout - logp_new) > off_policy_mask */
static int off_policy(const struct objective_job *j, int first, int last)
{
	const float *rollout = j->b->logp_rollout ? j->b->logp_rollout : j->b->logp_old;
	double       adv = 0, d = 0;
	int          n = 0;

	for (int t = first; j->a->off_policy_mask > 0 && !j->guided && t < last; t++)
		if (j->b->trained[t]) {
			adv += j->b->advantage[t];
			d += (double)rollout[t] - j->b->logp_new[t];
			n++;
		}
	return adv < 0 && d > n * j->a->off_policy_mask;
}

static int compare_floats(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* The percentile of the ratios of the row's trained tokens, interpolated linearly, at least
 * SQUASH_MIN. Their order is found in the row's place in c, which is written only later:
 * nothing is allocated here. */
static double squash_of_row(const struct objective_job *j, double percentile, int first, int last)
{
	float *q = j->b->c + first;
	int    n = 0, low;
	double at;

	for (int t = first; t < last; t++)
		if (j->b->trained[t]) {
			const float *logp = j->b->logp_held ? j->b->logp_held : j->b->logp_new;
			q[n++] = (float)real_exp(
			        log_ratio_clamp((double)logp[t] - j->b->logp_old[t]));
		}
	qsort(q, (size_t)n, sizeof *q, compare_floats);
	at = percentile * (n - 1);
	low = (int)at < n - 1 ? (int)at : n - 1;
	at = low + 1 < n ? q[low] + (at - low) * ((double)q[low + 1] - q[low]) : q[low];
	memset(q, 0, (size_t)(last - first) * sizeof *q);
	return fmax(at, SQUASH_MIN);
}

/* Plain rows follow the algorithm. Guided ones have a ratio that is not 1 before any update: token
 * by token, kept in bounds in their own way. */
static void choose_rule(struct objective_job *j, const struct algorithm *a, int row)
{
	j->guided = j->b->guided && j->b->guided[row];
	j->clip = &clips[j->guided ? a->guided_clip : a->clip];
	j->level = j->guided ? LEVEL_TOKEN : a->importance_sampling_level;
	j->held = j->clip->held || levels[j->level].held;
	j->a = a;
	if (j->clip->gain == gain_squash && a->squash == 0) {
		j->with_g = *a;
		j->with_g.squash = squash_of_row(j, a->squash_percentile, j->b->offset[row],
		                                 j->b->offset[row + 1]);
		j->a = &j->with_g;
	}
}

static void eval_row(struct objective_job *j, int first, int last)
{
	int step = levels[j->level].whole_row ? last - first : 1;

	for (int t = first; t < last; t += step)
		if (step > 1 || j->b->trained[t])
			eval_unit(j, t, t + step);
}

/* All are sums of doubles, but for the largest ratio. */
static void objective_add_stats(struct objective_stats *s, const struct objective_stats *row)
{
	double        ratio_max = fmax(s->ratio_max, row->ratio_max);
	double       *to = (double *)s;
	const double *from = (const double *)row;

	for (size_t i = 0; i < sizeof *s / sizeof *to; i++)
		to[i] += from[i];
	s->ratio_max = ratio_max;
}

/* What the world wrote, as a model of the world learns it: writes c, returns the loss. */
static double add_echo(struct objective_job *j, double coefficient, int first, int last)
{
	double logp = 0;

	for (int t = first; t < last; t++)
		if (j->b->observed[t] && !j->b->trained[t]) {
			logp += j->b->logp_new[t];
			j->b->c[t] = (float)-coefficient;
		}
	return -coefficient * logp;
}

/* Coefficients and statistics of one row with n trained tokens. */
static void objective_add_row(struct objective_job *j, const struct algorithm *a, int row,
                              const struct totals *totals, struct objective_stats *stats)
{
	int first = j->b->offset[row], last = j->b->offset[row + 1], n = batch_trained(j->b, row);
	double echo = 0;

	assert(totals->rows > 0 && totals->tokens >= n);
	j->weight = objective_weight(a, j->b, totals, row);
	j->bonus = totals->high > 0 ? a->entropy_coef / (double)totals->high : 0;
	j->nll =
	        a->positive_nll > 0 && j->b->good[row] ? a->positive_nll / (double)totals->good : 0;
	j->row = (struct objective_stats){.rows = 1};
	j->praise = j->logp = 0;
	choose_rule(j, a, row);
	j->masked = off_policy(j, first, last);
	j->row.rows_masked = j->masked;
	eval_row(j, first, last);
	if (a->echo > 0 && totals->observed > 0)
		echo = add_echo(j, a->echo / (double)totals->observed, first, last);
	j->row.loss = echo + j->weight * j->row.loss - j->bonus * j->praise - j->nll * j->logp;
	objective_add_stats(stats, &j->row);
}

static void objective_clear(const struct batch *b)
{
	size_t first = (size_t)b->offset[0], n = (size_t)b->offset[b->n] - first;

	memset(b->c + first, 0, n * sizeof *b->c);
	if (b->h)
		memset(b->h + first, 0, n * sizeof *b->h);
}

int objective_is_silent(const struct algorithm *a, const struct batch *b, int row)
{
	if (a->entropy_coef != 0 || (a->beta != 0 && a->kl_placement == KL_IN_LOSS) ||
	    a->proximal > 0 || a->covariance == COVARIANCE_KL ||
	    (a->positive_nll > 0 && b->good[row]))
		return 0;
	for (int t = b->offset[row]; t < b->offset[row + 1]; t++)
		if ((b->trained[t] && b->advantage[t] != 0) || (a->echo > 0 && b->observed[t]))
			return 0;
	return 1;
}

int objective_eval(const struct algorithm *a, const struct batch *b, const struct totals *totals,
                   struct objective_stats *stats)
{
	const struct batch   view = objective_view(a, b);
	struct objective_job j = {.a = a, .b = &view};

	assert(b->logp_new && b->advantage && b->c);
	assert(a->entropy_coef == 0 || (b->entropy_new && b->h));
	assert(a->squash_percentile >= 0 && a->squash_percentile <= 1);
	TRY(batch_check(b));
	objective_clear(b);
	for (int r = 0; r < b->n; r++) {
		if (batch_trained(b, r) == 0)
			continue;
		if (batch_is_finite(&view, r, BATCH_OBJECTIVE))
			objective_add_row(&j, a, r, totals, stats);
		else
			stats->rows_skipped++;
	}
	return OK;
}
