#include "rl/best.h"

#include "base/error.h"
#include "base/json.h"
#include "rl/held_out.h"
#include "rl/step_metrics.h"

#include <math.h>
#include <string.h>

/* ---- whether it will be logged ---- */

/* A family of the steps has a member where the job has a verifier of that name; those of a
 * curriculum are not compared. */
static int is_verifier(const struct job_data *data, const char *name, size_t n)
{
	for (int i = 0; i < data->reward.n; i++)
		if (strlen(data->reward.verifier[i]->name) == n &&
		    !strncmp(data->reward.verifier[i]->name, name, n))
			return 1;
	return 0;
}

/* Whether the lines of the steps have it. */
static int steps_measure(enum job_kind kind, const struct job_data *data, int *is)
{
	const char              *name = data->config->run.metric_for_best_model, *member;
	const struct metric_row *row = metric_table_find(&step_metrics, name);
	size_t                   n;

	*is = 0;
	if (!row || !(row->lines & (kind == JOB_SFT ? LINE_SFT : LINE_TRAIN)))
		return OK;
	member = metric_table_member(row, name, &n);
	if (member) {
		*is = !strncmp(row->name, "rewards/", 8) && is_verifier(data, member, n);
		return OK;
	}
	return config_when_holds(&data->config->base, row->when, is);
}

/* Rows of the table that stand in the line of an evaluation under this config, families as the
 * table writes them. */
static int name_metrics(const struct job_config *c, struct text *out)
{
	for (int i = 0; i < step_metrics.n; i++) {
		const struct metric_row *row = &step_metrics.rows[i];
		int                      holds;
		if (!(row->lines & LINE_EVAL))
			continue;
		TRY(config_when_holds(&c->base, row->when, &holds));
		if (holds)
			text_print(out, "%s%s", out->n ? ", " : "", row->name);
	}
	return text_status(out);
}

static int unknown_metric(const struct job_config *c)
{
	struct text names = {0};
	int         status = name_metrics(c, &names);

	if (status == OK)
		status = error_set(
		        ERR_INPUT,
		        "%s: run.metric_for_best_model: no line of this run has \"%s\"; of "
		        "evaluations (run.eval_steps) there are: %.1200s; of the steps, those that "
		        "docs/metrics.md lists under these options",
		        config_where(&c->base, "run.metric_for_best_model"),
		        c->run.metric_for_best_model, names.data ? names.data : "");
	text_free(&names);
	return status;
}

int best_check(enum job_kind kind, const struct job_data *data)
{
	const struct run_options *r = &data->config->run;
	int                       is;

	if (!*r->metric_for_best_model)
		return OK;
	TRY(held_out_measures(data, r->metric_for_best_model, &is));
	if (is)
		return OK;
	TRY(steps_measure(kind, data, &is));
	if (!is)
		return unknown_metric(data->config);
	if (r->save_steps == 0)
		return error_set(ERR_INPUT,
		                 "%s: run.metric_for_best_model %s is a number of the steps, which "
		                 "is compared every run.save_steps steps, and that is 0",
		                 config_where(&data->config->base, "run.metric_for_best_model"),
		                 r->metric_for_best_model);
	return OK;
}

/* ---- comparing ---- */

static void best_compare(const struct run_options *o, double value, int step, struct best *b)
{
	int better = b->step < 0 || (o->greater_is_better ? value > b->value : value < b->value);

	b->waited = better ? 0 : b->waited + 1;
	if (better) {
		b->step = step;
		b->value = value;
	}
}

void best_see_evaluation(const struct job_config *c, const struct metrics *m, int step,
                         struct best *b)
{
	double value = metrics_get(m, c->run.metric_for_best_model);

	if (step > 0 && isfinite(value))
		best_compare(&c->run, value, step, b);
}

/* Rows of evaluations that stand in the lines of steps, too, are those of evaluations. */
static int is_of_steps(const struct job_config *c)
{
	const struct metric_row *row =
	        metric_table_find(&step_metrics, c->run.metric_for_best_model);

	return row && !(c->run.eval_steps > 0 && row->lines & LINE_EVAL);
}

void best_see_step(const struct job_config *c, const struct metrics *m, int step, struct best *b)
{
	double value = metrics_get(m, c->run.metric_for_best_model);

	if (c->run.save_steps == 0 || !is_of_steps(c))
		return;
	if (isfinite(value)) {
		b->sum += value;
		b->count++;
	}
	if (step % c->run.save_steps)
		return;
	if (b->count)
		best_compare(&c->run, b->sum / b->count, step, b);
	b->sum = b->count = 0;
}

int best_is_over(const struct run_options *o, const struct best *b)
{
	return o->patience > 0 && b->waited >= o->patience;
}

/* ---- in a checkpoint ---- */

int best_save(const char *metric, const struct best *b, json_t *state)
{
	int bad = 0;

	if (!*metric)
		return OK;
	bad = json_object_set_new(state, "metric_for_best_model", json_string(metric)) |
	      json_object_set_new(state, "best_sum", json_real(b->sum)) |
	      json_object_set_new(state, "best_count", json_integer(b->count)) |
	      json_object_set_new(state, "best_waited", json_integer(b->waited));
	if (b->step >= 0)
		bad |= json_object_set_new(state, "best_metric", json_real(b->value)) |
		       json_object_set_new(state, "best_global_step", json_integer(b->step));
	return bad ? error_memory("trainer_state.json") : OK;
}

int best_load(const char *metric, const char *place, const json_t *state, struct best *b)
{
	const char             *then = NULL;
	const struct json_range counts = json_range(0, INT32_MAX);
	int64_t                 step = -1, waited = 0, count = 0;
	struct best             read = {.step = -1};

	TRY(json_get_text(place, state, "metric_for_best_model", JSON_OPTIONAL, &then));
	if (!then || !*metric || strcmp(metric, then) != 0)
		return OK;
	TRY(json_get_int(place, state, "best_global_step", JSON_OPTIONAL, counts, &step));
	TRY(json_get_int(place, state, "best_waited", JSON_OPTIONAL, counts, &waited));
	TRY(json_get_int(place, state, "best_count", JSON_OPTIONAL, counts, &count));
	TRY(json_get_real(place, state, "best_sum", JSON_OPTIONAL, &read.sum));
	TRY(json_get_real(place, state, "best_metric", step >= 0, &read.value));
	read.step = (int)step;
	read.waited = (int)waited;
	read.count = (int)count;
	*b = read;
	return OK;
}
