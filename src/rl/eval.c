#include "rl/eval.h"

#include "base/error.h"
#include "rl/reward.h"
#include "rl/step_metrics.h"
#include "rl/step_report.h"
#include "rl/step_samples.h"
#include "rl/vote.h"

#include <math.h>
#include <string.h>

int eval_sample(struct decoder *d, const struct rollout_options *r, const struct prompts *prompts,
                int first, int n, const struct reward_spec *judge, struct arena *a,
                struct groups *groups)
{
	struct group *sampled = groups->items + groups->n;
	int          *picked;

	TRY(arena_take(a, (size_t)n, "the picked problems", &picked));
	for (int i = 0; i < n; i++)
		picked[i] = first + i;
	TRY(rollout_sample(d, r, prompts, picked, n, 0, a, groups));
	TRY(reward_score(judge, judge, r->decode.tokenizer, sampled, n, a));
	return vote_groups(judge, sampled, n);
}

static int eval_sample_all(struct job *job, struct groups *groups, struct tallies *out)
{
	const struct run_options *c = &job->config.run;
	struct rollout_options    r = job->sampler.rollout;
	int                       n = job->data.eval.prompts.n;

	r.decode.sampling = (struct sampling){.temperature = (float)c->eval_temperature,
	                                      .top_p = (float)c->eval_top_p};
	r.num_generations = c->eval_samples;
	r.purpose = RNG_EVAL;
	TRY(groups_new(n, &job->step_arena, groups));
	TRY(eval_sample(job->sampler.decoder, &r, &job->data.eval.prompts, 0, n,
	                &job->data.eval_reward, &job->step_arena, groups));
	return tally_groups(groups->items, n, c->eval_k ? c->eval_k : c->eval_samples,
	                    &job->step_arena, out);
}

static void add_when(const struct job *job, int step, struct text *out)
{
	if (step == 0)
		text_print(out, " before");
	else if (step == job->config.run.max_steps)
		text_print(out, " after");
	else
		text_print(out, " at step %d", step);
}

void eval_summary(const struct job *job, struct text *out)
{
	char text[TALLY_TEXT];

	if (isnan(job->record.last_eval.mean))
		return;
	text_print(out, "held out: pass@1 ");
	if (!isnan(job->record.first_eval.mean) &&
	    job->record.first_eval_step != job->record.last_eval_step) {
		text_print(out, "%s", tally_text(job->record.first_eval, text));
		add_when(job, job->record.first_eval_step, out);
		text_print(out, ", ");
	}
	text_print(out, "%s", tally_text(job->record.last_eval, text));
	add_when(job, job->record.last_eval_step, out);
}

static int is_due(const struct job *job)
{
	const struct run_options *r = &job->config.run;

	if (job->data.eval.n == 0 || r->eval_steps == 0)
		return 0;
	if (job->record.step == 0)
		return r->eval_on_start;
	return job->record.step % r->eval_steps == 0 || job->record.step == r->max_steps;
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

static int unknown_metric(const struct job *job, const struct metrics *m)
{
	struct text names = {0};
	int         status;

	for (int i = 0; i < m->n; i++)
		text_print(&names, "%s%s", i ? ", " : "", m->items[i].name);
	status = error_set(ERR_INPUT,
	                   "%s: run.metric_for_best_model: no evaluation of this run measures "
	                   "\"%s\"; there are: %.1500s",
	                   config_where(&job->config.base, "run.metric_for_best_model"),
	                   job->config.run.metric_for_best_model, names.data ? names.data : "");
	text_free(&names);
	return status;
}

/* Whether this step is the best so far: job_save_due then saves it. The first of equals stays; step
 * 0 is the model that is there already. */
static int keep_best(struct job *job, const struct metrics *m)
{
	const struct run_options *r = &job->config.run;
	double                    value = metrics_get(m, r->metric_for_best_model);

	if (!*r->metric_for_best_model)
		return OK;
	if (!metric_is_there(m, r->metric_for_best_model))
		return unknown_metric(job, m);
	if (job->record.step == 0 || !isfinite(value))
		return OK;
	if (job->record.best_step < 0 || (r->greater_is_better ? value > job->record.best_metric
	                                                       : value < job->record.best_metric)) {
		job->record.best_step = job->record.step;
		job->record.best_metric = value;
	}
	return OK;
}

/* A single problem has no error. */
static void add_pass(struct metrics *m, const char *name, struct tally_mean x)
{
	metrics_add_member(m, "eval/<name>/pass@1", name, x.mean);
	if (!isnan(x.error))
		metrics_add_member(m, "eval/<name>/pass@1_stderr", name, x.error);
}

/* pass@k and maj@n of several completions to a problem. */
static void add_several(const struct tally *all, int k, struct metrics *m)
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
static int add_sources(struct job *job, const struct groups *groups, struct metrics *m)
{
	const struct problem_set *set = &job->data.eval;

	for (int i = 0; i < set->n_sources && set->n_sources > 1; i++) {
		const char       *name = set->sources[i].name;
		struct tally_mean pass_1;
		if (has_source(set, i, name))
			TRY(arena_print(&job->step_arena, &name, "%s-%d", name, i + 1));
		TRY(tally_source(groups->items, groups->n, i, &job->step_arena, &pass_1));
		add_pass(m, name, pass_1);
	}
	return OK;
}

static int log_tallies(struct job *job, const struct groups *groups, const struct tallies *t)
{
	struct metrics    m = {.table = &step_metrics};
	struct step_stats s = {.step = job->record.step,
	                       .num_tokens = (double)job->record.n_tokens,
	                       .eval = t->items[0],
	                       .eval_errors = !isnan(t->items[0].pass_1.error),
	                       .eval_command = job->data.eval_reward.command != NULL};

	TRY(metric_table_fill(&step_metrics, LINE_EVAL, &job->config.base, &s, &m));
	add_several(&s.eval, job->config.run.eval_k, &m);
	TRY(add_sources(job, groups, &m));
	for (int i = 1; i < t->n; i++)
		if (job->data.eval.n_sources == 1 ||
		    !has_source(&job->data.eval, job->data.eval.n_sources, t->items[i].category))
			add_pass(&m, t->items[i].category, t->items[i].pass_1);
	TRY(keep_best(job, &m));
	return job_record_write(&job->record, &m);
}

int eval_due(struct job *job)
{
	struct groups  groups;
	struct tallies t;
	char           text[TALLY_TEXT];

	if (!is_due(job))
		return OK;
	arena_reset(&job->step_arena);
	TRY(eval_sample_all(job, &groups, &t));
	TRY(log_tallies(job, &groups, &t));
	job->record.last_eval = t.items[0].pass_1;
	job->record.last_eval_step = job->record.step;
	if (isnan(job->record.first_eval.mean)) {
		job->record.first_eval = job->record.last_eval;
		job->record.first_eval_step = job->record.step;
	}
	progress_say(&job->record.progress, "step %4d  held out: pass@1 %s on %d problem%s\n",
	             job->record.step, tally_text(job->record.last_eval, text),
	             t.items[0].n_problems, t.items[0].n_problems == 1 ? "" : "s");
	return step_samples_write(&job->config, job->learner.tokenizer, job->record.step, &groups,
	                          &job->step_arena);
}
