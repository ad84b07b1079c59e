#include "rl/eval.h"

#include "base/error.h"
#include "rl/reward.h"
#include "rl/step.h"
#include "rl/vote.h"
#include "run/events.h"

#include <math.h>
#include <string.h>

int eval_answer(struct decoder *d, const struct rollout_options *r, const struct prompts *prompts, int first, int n,
                const struct reward_spec *judge, struct arena *a, struct groups *groups)
{
	int          *picked = arena_alloc(a, (size_t)n, sizeof *picked);
	struct group *answered = groups->items + groups->n;

	if (!picked)
		return ERR_INPUT;
	for (int i = 0; i < n; i++)
		picked[i] = first + i;
	TRY(rollout_sample(d, r, prompts, picked, n, 0, a, groups));
	TRY(reward_score(judge, judge, r->decode.tokenizer, answered, n, a));
	return vote_groups(judge, answered, n);
}

static int answer_all(struct job *job, struct groups *groups, struct tallies *out)
{
	const struct config_run *c = &job->config.run;
	struct rollout_options   r = job->rollout;
	int                      n = job->eval.prompts.n;

	r.decode.sampling = (struct sampling){.temperature = (float)c->eval_temperature, .top_p = (float)c->eval_top_p};
	r.num_generations = c->eval_samples;
	r.purpose = RNG_EVAL;
	TRY(groups_new(n, &job->step_arena, groups));
	TRY(eval_answer(job->decoder, &r, &job->eval.prompts, 0, n, &job->eval_reward, &job->step_arena, groups));
	return tally_groups(groups->items, n, c->eval_k ? c->eval_k : c->eval_samples, &job->step_arena, out);
}

static int is_due(const struct job *job)
{
	const struct config_run *r = &job->config.run;

	if (job->eval.n == 0 || r->eval_steps == 0)
		return 0;
	if (job->step == 0)
		return r->eval_on_start;
	return job->step % r->eval_steps == 0 || job->step == r->max_steps;
}

static int metric_is_there(const struct metrics *m, const char *name)
{
	for (int i = 0; i < m->n; i++)
		if (!strcmp(m->items[i].name, name))
			return 1;
	return 0;
}

static int unknown_metric(const struct job *job, const struct metrics *m)
{
	struct text names = {0};
	int         status;

	for (int i = 0; i < m->n; i++)
		text_print(&names, "%s%s", i ? ", " : "", m->items[i].name);
	status = error_set(ERR_INPUT, "%s: run.metric_for_best_model: no evaluation of this run measures \"%s\"; there are: %.1500s",
	                   config_where(&job->config, "run.metric_for_best_model"), job->config.run.metric_for_best_model,
	                   names.data ? names.data : "");
	text_free(&names);
	return status;
}

/* Whether this step is the best so far: job_save_due then saves it. The first of equals stays; step 0 is the model that is there
 * already. */
static int keep_best(struct job *job, const struct metrics *m)
{
	const struct config_run *r = &job->config.run;
	double                   value = metrics_get(m, r->metric_for_best_model);

	if (!*r->metric_for_best_model)
		return OK;
	if (!metric_is_there(m, r->metric_for_best_model))
		return unknown_metric(job, m);
	if (job->step == 0 || isnan(value))
		return OK;
	if (job->best_step < 0 || (r->greater_is_better ? value > job->best_metric : value < job->best_metric)) {
		job->best_step = job->step;
		job->best_metric = value;
	}
	return OK;
}

static int log_tallies(struct job *job, const struct tallies *t)
{
	struct metrics      m = {0};
	const struct tally *all = &t->items[0];
	char                name[METRIC_NAME_MAX];

	metrics_add(&m, "step", job->step);
	metrics_add(&m, "eval/pass@1", all->pass_1.mean);
	metrics_add(&m, "eval/pass@1_stderr", all->pass_1.error);
	if (all->n_samples > 1) {
		snprintf(name, sizeof name, "eval/pass@%d", job->config.run.eval_k ? job->config.run.eval_k : all->n_samples);
		metrics_add(&m, name, all->pass_k.mean);
		snprintf(name, sizeof name, "eval/maj@%d", all->n_samples);
		metrics_add(&m, name, all->maj.mean);
	}
	if (job->eval_reward.command)
		metrics_add(&m, "eval/unjudged", all->n_unjudged);
	metrics_add(&m, "eval/reward", all->reward.mean);
	metrics_add(&m, "eval/mean_length", all->length);
	metrics_add(&m, "eval/clipped_ratio", all->truncated);
	for (int i = 1; i < t->n; i++) {
		snprintf(name, sizeof name, "eval/%s/pass@1", t->items[i].category);
		metrics_add(&m, name, t->items[i].pass_1.mean);
		snprintf(name, sizeof name, "eval/%s/pass@1_stderr", t->items[i].category);
		metrics_add(&m, name, t->items[i].pass_1.error);
	}
	metrics_add(&m, "num_tokens", (double)job->n_tokens);
	TRY(keep_best(job, &m));
	TRY(metrics_log_write(&job->log, &m));
	return job->events ? events_write(job->events, job->step, &m) : OK;
}

int eval_due(struct job *job)
{
	struct groups  groups;
	struct tallies t;

	if (!is_due(job))
		return OK;
	arena_reset(&job->step_arena);
	TRY(answer_all(job, &groups, &t));
	TRY(log_tallies(job, &t));
	job->last_eval = t.items[0].pass_1;
	if (isnan(job->first_eval.mean))
		job->first_eval = t.items[0].pass_1;
	progress_say(&job->progress, "step %4d  held out: pass@1 %.1f%% +- %.1f on %d problems\n", job->step, 100 * t.items[0].pass_1.mean,
	             100 * t.items[0].pass_1.error, t.items[0].n_problems);
	return step_write_samples(job, &groups);
}
