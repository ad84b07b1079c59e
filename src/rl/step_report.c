#include "rl/step_report.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "rl/diagnose.h"
#include "rl/reward.h"
#include "rl/step_metrics.h"
#include "rl/step_samples.h"
#include "run/events.h"

#include <math.h>

/* ---- numbers that come from several places ---- */

static enum diagnosis step_diagnosis(const struct algorithm *a, const struct step *s)
{
	return diagnose_learned(&(struct diagnose_step){
	        .groups = s->sampled.items,
	        .n = s->sampled.n,
	        .n_used = s->used.n,
	        .advantage = s->stats.learn.advantage_abs,
	        .baseline = a->baseline,
	        .kl_in_reward = s->stats.learn.beta > 0 && a->kl_placement != KL_IN_LOSS});
}

static void report_kl(const struct algorithm *a, struct step_stats *x)
{
	if (a->kl_placement == KL_IN_LOSS) {
		x->kl = x->learn.update.objective.kl;
		x->kl_tokens = x->learn.update.objective.tokens;
	} else {
		x->kl = x->learn.advantage.kl;
		x->kl_tokens = x->learn.tokens;
	}
}

static int report_complete(const struct job_learner *l, struct job_record *r, struct step *s)
{
	struct step_stats            *x = &s->stats;
	const struct update_report   *u = &x->learn.update;
	const struct objective_stats *o = &u->objective;

	TRY(sampled_stats_of(&s->sampled, s->arena, &x->sampled));
	r->n_tokens += (int64_t)(x->sampled.generated + x->guidance.tokens);
	r->n_seen += (int64_t)(x->sampled.seen + x->guidance.seen);
	x->step = r->step;
	x->num_tokens = (double)r->n_tokens;
	x->num_seen = (double)r->n_seen;
	x->entropy = x->sampled.entropy;
	x->entropy_tokens = x->sampled.generated;
	x->loss = u->updates ? o->loss / u->updates : 0;
	report_kl(&l->learn.algorithm, x);
	x->clipped = o->clip_low + o->clip_high;
	x->plain_tokens = o->tokens - o->guided_tokens;
	x->value_learning_rate = l->critic.learning_rate;
	x->signal = step_diagnosis(&l->learn.algorithm, s);
	x->seconds = clock_seconds() - s->started;
	return OK;
}

/* ---- numbers by name ---- */

static void report_add_verifiers(const struct reward_spec *reward, const struct sampled_stats *s,
                                 struct metrics *m)
{
	for (int i = 0; i < reward->n; i++) {
		const char *name = reward->verifier[i]->name;
		if (s->component[i].n == 0) /* none applied, or replayed from a run with others */
			continue;
		metrics_add_member(m, "rewards/<verifier>/mean", name, s->component[i].mean);
		metrics_add_member(m, "rewards/<verifier>/std", name, s->component[i].deviation);
	}
}

/* Recorded completions come in an order of their own, and the curriculum has no part in it. */
static int report_add_curriculum(const struct job_sampler *sampler, int step, struct metrics *m)
{
	json_t     *o, *value;
	const char *name;
	int         status;

	if (sampler->replay.n) {
		metrics_add(m, "curriculum/epoch",
		            (double)step * sampler->config->rollout.prompts_per_step /
		                    sampler->replay.n);
		return OK;
	}
	o = json_object();
	status = o ? curriculum_metrics(sampler->curriculum, o)
	           : error_memory("the metrics of the curriculum");
	if (status == OK)
		json_object_foreach(o, name, value) metrics_add(m, name, json_number_value(value));
	json_decref(o);
	return status;
}

/* ---- the screen ---- */

static void report_failures(const struct job_data *data, struct job_record *r, double failed)
{
	char why[PROGRAM_WHY_MAX];

	if (!(failed > 0))
		return;
	program_failures(reward_program(&data->reward, &data->eval_reward), why);
	progress_say(&r->progress, "  step %d: %g completions got no verdict: %s\n", r->step,
	             failed, *why ? why : "another rank knows why");
}

/* What moves the weights of a step without a signal. */
static const char *report_mover(const struct algorithm *a, const struct step_stats *x)
{
	int kl = x->learn.beta > 0, entropy = a->entropy_coef != 0;

	if (x->learn.update.updates == 0 || (!kl && !entropy))
		return "";
	return kl && entropy ? "; only the KL term and the entropy bonus move the weights"
	       : kl          ? "; only the KL term (loss.beta) moves the weights"
	                     : "; only the entropy bonus (loss.entropy_coef) moves the weights";
}

static void report_add_figure(struct text *t, const char *name, const char *format, double value)
{
	text_print(t, "%s%s ", t->n ? "  " : "", name);
	if (isfinite(value))
		text_print(t, format, value);
	else
		text_print(t, "-");
}

static void report_progress(const struct job_data *data, struct job_record *r,
                            const struct metrics *m)
{
	static const struct {
		const char *name, *format, *metric;
		double      factor;
	} figures[] = {{"reward", "%.3f", "reward", 1},
	               {"right", "%4.1f%%", "accuracy", 100},
	               {"length", "%5.1f", "completions/mean_length", 1},
	               {"entropy", "%.3f", "entropy", 1},
	               {"grad", "%.3f", "grad_norm", 1},
	               {"sampled", "%.0f/s", "tokens_per_second/rollout", 1},
	               {"trained", "%.0f/s", "tokens_per_second/training", 1}};
	struct text line = {0};

	for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
		report_add_figure(&line, figures[i].name, figures[i].format,
		                  figures[i].factor * metrics_get(m, figures[i].metric));
	text_print(&line, "  %.2f s", metrics_get(m, "step_time"));
	progress_step(&r->progress, r->step, data->config->run.max_steps,
	              line.data ? line.data : "");
	text_free(&line);
	report_failures(data, r, metrics_get(m, "reward/command_errors"));
}

static void report_diagnosis(const struct job_learner *l, struct job_record *r,
                             const struct step_stats *x)
{
	if (x->signal != SIGNAL_FINE && r->step % l->config->run.logging_steps == 0)
		progress_say(&r->progress, "  no signal in step %d: %s%s\n", r->step,
		             diagnosis_advice((enum diagnosis)x->signal),
		             report_mover(&l->learn.algorithm, x));
}

/* ---- the whole ---- */

int step_report(struct job *job, struct step *s)
{
	struct metrics m = {.table = &step_metrics};

	TRY(report_complete(&job->learner, &job->record, s));
	TRY(metric_table_fill(&step_metrics, LINE_TRAIN, &job->config.base, &s->stats, &m));
	report_add_verifiers(&job->data.reward, &s->stats.sampled, &m);
	TRY(report_add_curriculum(&job->sampler, job->record.step, &m));
	best_see_step(&job->config, &m, job->record.step, &job->record.best);
	report_progress(&job->data, &job->record, &m);
	report_diagnosis(&job->learner, &job->record, &s->stats);
	TRY(job_record_write(&job->record, &m));
	if (job->record.step < job->config.run.max_steps)
		return OK;
	return step_samples_write(&(struct step_samples){.config = &job->config,
	                                                 .tokenizer = job->learner.tokenizer,
	                                                 .reward = &job->data.reward,
	                                                 .step = job->record.step},
	                          &s->sampled, s->arena);
}
