#include "rl/held_out.h"

#include "base/error.h"
#include "rl/step_metrics.h"
#include "rl/step_samples.h"
#include "rl/step_stats.h"

#include <math.h>
#include <string.h>

/* Completions of all held-out problems, and what they say. */
static int held_out_evaluate(const struct job_data *data, const struct job_sampler *sampler,
                             struct arena *a, struct groups *groups, struct eval_results *out)
{
	const struct run_options *c = &data->config->run;
	struct rollout_sampling   r = sampler->rollout;
	int                       n = data->eval.prompts.n;

	r.decode.sampling = (struct sampling){.temperature = (float)c->eval_temperature,
	                                      .top_p = (float)c->eval_top_p};
	r.num_generations = c->eval_samples;
	r.purpose = RNG_EVAL;
	r.lengths = sampler->eval_lengths;
	r.earlier = NULL; /* of other problems */
	TRY(groups_new(n, a, groups));
	TRY(eval_sample(sampler->decoder, &r, &(struct eval_slice){&data->eval.prompts, 0, n},
	                &data->eval_reward, a, groups));
	return eval_groups(groups->items, n, c->eval_k ? c->eval_k : c->eval_samples, a, out);
}

static void add_when(int step, int max_steps, struct text *out)
{
	if (step == 0)
		text_print(out, " before");
	else if (step == max_steps)
		text_print(out, " after");
	else
		text_print(out, " at step %d", step);
}

void held_out_summary(const struct job_record *r, int max_steps, struct text *out)
{
	char text[EVAL_TEXT];

	if (isnan(r->last_eval.mean))
		return;
	text_print(out, "held out: pass@1 ");
	if (!isnan(r->first_eval.mean) && r->first_eval_step != r->last_eval_step) {
		text_print(out, "%s", eval_text(r->first_eval, text));
		add_when(r->first_eval_step, max_steps, out);
		text_print(out, ", ");
	}
	text_print(out, "%s", eval_text(r->last_eval, text));
	add_when(r->last_eval_step, max_steps, out);
}

static int is_due(const struct job_data *data, int step)
{
	const struct run_options *r = &data->config->run;

	if (data->eval.n == 0 || r->eval_steps == 0)
		return 0;
	if (step == 0)
		return r->eval_on_start;
	return step % r->eval_steps == 0 || step == r->max_steps;
}

static int metric_is_there(const struct metrics *m, const char *name)
{
	for (int i = 0; i < m->n; i++)
		if (!strcmp(m->items[i].name, name))
			return 1;
	return 0;
}

static int has_source(const struct problem_set *set, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(set->sources[i].name, name))
			return 1;
	return 0;
}

static int unknown_metric(const struct job_config *c, const struct metrics *m)
{
	struct text names = {0};
	int         status;

	for (int i = 0; i < m->n; i++)
		text_print(&names, "%s%s", i ? ", " : "", m->items[i].name);
	status = error_set(ERR_INPUT,
	                   "%s: run.metric_for_best_model: no evaluation of this run measures "
	                   "\"%s\"; there are: %.1500s",
	                   config_where(&c->base, "run.metric_for_best_model"),
	                   c->run.metric_for_best_model, names.data ? names.data : "");
	text_free(&names);
	return status;
}

/* Whether this step is the best so far: job_save_due then saves it. The first of equals stays; step
 * 0 is the model that is there already. */
static int keep_best(const struct job_config *c, const struct metrics *m, struct job_record *r)
{
	const char *name = c->run.metric_for_best_model;
	double      value = metrics_get(m, name);

	if (!*name)
		return OK;
	if (!metric_is_there(m, name))
		return unknown_metric(c, m);
	if (r->step == 0 || !isfinite(value))
		return OK;
	if (r->best_step < 0 ||
	    (c->run.greater_is_better ? value > r->best_metric : value < r->best_metric)) {
		r->best_step = r->step;
		r->best_metric = value;
	}
	return OK;
}

/* A single problem has no error. */
static void add_pass(struct metrics *m, const char *name, struct eval_mean x)
{
	metrics_add_member(m, "eval/<name>/pass@1", name, x.mean);
	if (!isnan(x.error))
		metrics_add_member(m, "eval/<name>/pass@1_stderr", name, x.error);
}

/* pass@k and maj@n of several completions to a problem. */
static void add_several(const struct eval_result *all, int k, struct metrics *m)
{
	char number[16];

	if (all->n_samples == 1)
		return;
	snprintf(number, sizeof number, "%d", k ? k : all->n_samples);
	if (k != 1)
		metrics_add_member(m, "eval/pass@<k>", number, all->pass_k.mean);
	snprintf(number, sizeof number, "%d", all->n_samples);
	metrics_add_member(m, "eval/maj@<n>", number, all->maj.mean);
}

/* Each file and generator of its own, where there are several; one whose name stood before gets its
 * number behind it. */
static int add_sources(const struct problem_set *set, const struct groups *groups, struct arena *a,
                       struct metrics *m)
{
	for (int i = 0; i < set->n_sources && set->n_sources > 1; i++) {
		const char      *name = set->sources[i].name;
		struct eval_mean pass_1;
		if (has_source(set, i, name))
			TRY(arena_print(a, &name, "%s-%d", name, i + 1));
		TRY(eval_source(groups->items, groups->n, i, a, &pass_1));
		add_pass(m, name, pass_1);
	}
	return OK;
}

/* A line of the log: the whole, each source, each category that is not named like a source. */
static int held_out_log(const struct job_data *data, const struct groups *groups,
                        const struct eval_results *results, struct arena *a, struct job_record *r)
{
	const struct job_config *c = data->config;
	struct metrics           m = {.table = &step_metrics};
	struct step_stats        s = {.step = r->step,
	                              .num_tokens = (double)r->n_tokens,
	                              .eval = results->items[0],
	                              .eval_errors = !isnan(results->items[0].pass_1.error),
	                              .eval_command = data->eval_reward.command != NULL};

	TRY(metric_table_fill(&step_metrics, LINE_EVAL, &c->base, &s, &m));
	add_several(&s.eval, c->run.eval_k, &m);
	TRY(add_sources(&data->eval, groups, a, &m));
	for (int i = 1; i < results->n; i++)
		if (data->eval.n_sources == 1 ||
		    !has_source(&data->eval, data->eval.n_sources, results->items[i].category))
			add_pass(&m, results->items[i].category, results->items[i].pass_1);
	TRY(keep_best(c, &m, r));
	return job_record_write(r, &m);
}

static void held_out_remember(struct eval_mean pass_1, struct job_record *r)
{
	r->last_eval = pass_1;
	r->last_eval_step = r->step;
	if (isnan(r->first_eval.mean)) {
		r->first_eval = pass_1;
		r->first_eval_step = r->step;
	}
}

int held_out_due(const struct job_data *data, const struct job_sampler *sampler,
                 struct job_record *r, struct arena *a)
{
	struct groups       groups;
	struct eval_results results;
	char                text[EVAL_TEXT];
	int                 n;

	if (!is_due(data, r->step))
		return OK;
	arena_reset(a);
	TRY(held_out_evaluate(data, sampler, a, &groups, &results));
	TRY(held_out_log(data, &groups, &results, a, r));
	held_out_remember(results.items[0].pass_1, r);
	n = results.items[0].n_problems;
	progress_say(&r->progress, "step %4d  held out: pass@1 %s on %d problem%s\n", r->step,
	             eval_text(r->last_eval, text), n, n == 1 ? "" : "s");
	return step_samples_write(data->config, sampler->rollout.decode.tokenizer, r->step, &groups,
	                          a);
}
