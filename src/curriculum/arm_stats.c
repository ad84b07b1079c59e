#include "curriculum/arm_stats.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/real.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_KEPT = 40, NAME_LONGEST = 48, METRIC_NAME = 96 };

int arm_stats_new(const struct arms *arms, struct arm_stats *out)
{
	const char *what = "the statistics of the arms";

	*out = (struct arm_stats){.arms = arms};
	TRY(mem_take((size_t)arms->n, what, &out->probability));
	return mem_take((size_t)arms->n, what, &out->sums);
}

void arm_stats_free(struct arm_stats *s)
{
	mem_free(s->probability);
	mem_free(s->sums);
	*s = (struct arm_stats){0};
}

void arm_stats_clear(struct arm_stats *s)
{
	memset(s->sums, 0, (size_t)s->arms->n * sizeof *s->sums);
}

void arm_stats_observe(struct arm_stats *s, const struct curriculum_outcome *o)
{
	struct arm_sums *sums = &s->sums[s->arms->of[o->item]];

	assert(o->item >= 0 && o->item < s->arms->n_problems);
	assert(isnan(o->accuracy) || (o->accuracy >= 0 && o->accuracy <= 1));
	for (int i = 0; i < o->n_rollouts; i++)
		if (isfinite(o->advantage[i])) {
			sums->completions++;
			sums->advantage += fabs(o->advantage[i]);
		}
	if (isfinite(o->accuracy)) {
		sums->graded += o->n_rollouts;
		sums->accuracy += o->n_rollouts * o->accuracy;
	}
}

/* ---- as metrics ---- */

/* A cut name ends between characters of UTF-8. */
static void show_name(const struct arms *arms, int first, int last, char out[METRIC_NAME])
{
	const char *name = arms->items[first].name;
	int         kept = NAME_KEPT;

	if (first != last) {
		snprintf(out, METRIC_NAME, "arms %d-%d", first + 1, last + 1);
	} else if (strlen(name) <= NAME_LONGEST) {
		snprintf(out, METRIC_NAME, "%s", name);
	} else {
		while (kept > 0 && (name[kept] & 0xc0) == 0x80)
			kept--;
		snprintf(out, METRIC_NAME, "%.*s~%d", kept, name, first + 1);
	}
}

static int arm_stats_add(json_t *metrics, const char *arm, const char *what, double value)
{
	char name[2 * METRIC_NAME];

	snprintf(name, sizeof name, "curriculum/%s%s%s", arm, *arm ? "/" : "", what);
	if (json_object_set_new(metrics, name, json_real(value)) != 0)
		return error_memory("the metrics of the curriculum");
	return OK;
}

/* Adds the arms first .. last under one name: probabilities and counts are sums, the others means
 * over all completions. */
static int add_range(const struct arm_stats *s, int first, int last, int with_probability,
                     json_t *metrics)
{
	struct arm_sums sum = {0};
	double          probability = 0;
	char            name[METRIC_NAME];

	for (int a = first; a <= last; a++) {
		probability += s->probability[a];
		sum.count += s->sums[a].count;
		sum.completions += s->sums[a].completions;
		sum.advantage += s->sums[a].advantage;
		sum.graded += s->sums[a].graded;
		sum.accuracy += s->sums[a].accuracy;
	}
	show_name(s->arms, first, last, name);
	if (with_probability)
		TRY(arm_stats_add(metrics, name, "probability", probability));
	TRY(arm_stats_add(metrics, name, "count", sum.count));
	if (sum.completions > 0)
		TRY(arm_stats_add(metrics, name, "advantage", sum.advantage / sum.completions));
	if (sum.graded > 0)
		TRY(arm_stats_add(metrics, name, "accuracy", sum.accuracy / sum.graded));
	return OK;
}

static double entropy_of(const double *P, int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++) /* H = - sum P ln P, 0 ln 0 being 0 */
		sum -= P[i] > 0 ? P[i] * real_log(P[i]) : 0;
	return sum + 0.0; /* no -0 */
}

int arm_stats_metrics(const struct arm_stats *s, int with_probability, json_t *metrics)
{
	int n = s->arms->n, shown = n < ARM_STATS_SHOWN ? n : ARM_STATS_SHOWN;

	if (with_probability)
		TRY(arm_stats_add(metrics, "", "entropy", entropy_of(s->probability, n)));
	for (int i = 0; i < shown; i++)
		TRY(add_range(s, (int)((int64_t)n * i / shown),
		              (int)((int64_t)n * (i + 1) / shown) - 1, with_probability, metrics));
	return OK;
}
