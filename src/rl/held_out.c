#include "rl/held_out.h"

#include "base/error.h"
#include "rl/step_metrics.h"
#include "rl/step_samples.h"
#include "rl/step_stats.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Completions of all held-out problems, and what they say. */
static int held_out_evaluate(const struct job_data *data, const struct job_sampler *sampler,
                             struct arena *a, struct groups *groups, struct eval_results *out)
{
	const struct run_options *c = &data->config->run;
	struct rollout_sampling   r = sampler->rollout;
	int                       n = data->eval.prompts.n;

	assert(n > 0 && sampler->decoder);
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

static int has_source(const struct problem_set *set, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(set->sources[i].name, name))
			return 1;
	return 0;
}

/* Of a source; one whose name stood before gets its number behind it. */
static int source_name(const struct problem_set *set, int i, struct arena *a, const char **out)
{
	*out = set->sources[i].name;
	return has_source(set, i, *out) ? arena_print(a, out, "%s-%d", *out, i + 1) : OK;
}

/* ---- what an evaluation measures ---- */

struct held_out_member { /* of a family: what stands for the part in angle brackets */
	const char *text;
	size_t      n;
};

static int is_member_number(struct held_out_member m, int number)
{
	char text[16];

	snprintf(text, sizeof text, "%d", number);
	return strlen(text) == m.n && !strncmp(text, m.text, m.n);
}

static int is_member_text(struct held_out_member m, const char *text)
{
	return text && strlen(text) == m.n && !strncmp(text, m.text, m.n);
}

/* A source where there are several, or a category where problems have different ones. */
static int is_part(const struct problem_set *set, struct held_out_member m, struct arena *a,
                   int *is)
{
	int of_it = 0, others = 0;

	for (int i = 0; i < set->n_sources && set->n_sources > 1 && !*is; i++) {
		const char *name;
		TRY(source_name(set, i, a, &name));
		*is = is_member_text(m, name);
	}
	for (int i = 0; i < set->prompts.n; i++) {
		const char *category = set->prompts.problems[i]->category;
		of_it += is_member_text(m, category);
		others += category && !is_member_text(m, category);
	}
	*is = *is || (of_it && others);
	return OK;
}

/* Whether an evaluation will measure this member of the family. */
static int is_measured(const struct job_data *data, const struct metric_row *row,
                       struct held_out_member m, struct arena *a, int *is)
{
	const struct run_options *r = &data->config->run;
	int                       k = r->eval_k ? r->eval_k : r->eval_samples;

	*is = 0;
	if (!strcmp(row->name, "eval/pass@<k>"))
		*is = r->eval_samples > 1 && is_member_number(m, k);
	else if (!strcmp(row->name, "eval/maj@<n>"))
		*is = r->eval_samples > 1 && is_member_number(m, r->eval_samples);
	else
		return is_part(&data->eval, m, a, is);
	return OK;
}

int held_out_measures(const struct job_data *data, const char *name, int *is)
{
	const struct metric_row *row = metric_table_find(&step_metrics, name);
	struct held_out_member   m;
	struct arena             a = {0};
	int                      status;

	*is = 0;
	if (data->eval.n == 0 || data->config->run.eval_steps == 0)
		return OK;
	if (!row || !(row->lines & LINE_EVAL))
		return OK;
	m.text = metric_table_member(row, name, &m.n);
	status = m.text ? is_measured(data, row, m, &a, is)
	                : config_when_holds(&data->config->base, row->when, is);
	arena_free(&a);
	return status;
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

/* Each file and generator of its own, where there are several. */
static int add_sources(const struct problem_set *set, const struct groups *groups, struct arena *a,
                       struct metrics *m)
{
	for (int i = 0; i < set->n_sources && set->n_sources > 1; i++) {
		const char      *name;
		struct eval_mean pass_1;
		TRY(source_name(set, i, a, &name));
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
	                              .num_seen = (double)r->n_seen,
	                              .eval = results->items[0],
	                              .eval_errors = !isnan(results->items[0].pass_1.error),
	                              .eval_command = data->eval_reward.command || data->world};

	TRY(metric_table_fill(&step_metrics, LINE_EVAL, &c->base, &s, &m));
	add_several(&s.eval, c->run.eval_k, &m);
	TRY(add_sources(&data->eval, groups, a, &m));
	for (int i = 1; i < results->n; i++)
		if (data->eval.n_sources == 1 ||
		    !has_source(&data->eval, data->eval.n_sources, results->items[i].category))
			add_pass(&m, results->items[i].category, results->items[i].pass_1);
	best_see_evaluation(c, &m, r->step, &r->best);
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
	return step_samples_write(
	        &(struct step_samples){.config = data->config,
	                               .tokenizer = sampler->rollout.decode.tokenizer,
	                               .reward = &data->eval_reward,
	                               .step = r->step},
	        &groups, a);
}
