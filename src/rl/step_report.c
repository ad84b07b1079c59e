#include "rl/step_report.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "rl/diagnose.h"
#include "rl/step_metrics.h"
#include "rl/step_samples.h"
#include "run/events.h"

#include <math.h>

/* ---- numbers that come from several places ---- */

static enum diagnosis step_diagnosis(const struct job *job, const struct step *s)
{
	const struct algorithm *a = &job->algorithm;

	return diagnose_learned(&(struct diagnose_step){
	        .groups = s->sampled.items,
	        .n = s->sampled.n,
	        .n_used = s->used.n,
	        .advantage = s->stats.learn.advantage_abs,
	        .baseline = a->baseline,
	        .kl_in_reward = s->stats.learn.beta > 0 && a->kl_placement != KL_IN_LOSS});
}

static void report_kl(const struct job *job, struct step_stats *x)
{
	if (job->algorithm.kl_placement == KL_IN_LOSS) {
		x->kl = x->learn.update.objective.kl;
		x->kl_tokens = x->learn.update.objective.tokens;
	} else {
		x->kl = x->learn.advantage.kl;
		x->kl_tokens = x->learn.tokens;
	}
}

static int report_complete(struct job *job, struct step *s)
{
	struct step_stats            *x = &s->stats;
	const struct update_report   *u = &x->learn.update;
	const struct objective_stats *o = &u->objective;

	TRY(sampled_stats_of(&s->sampled, &job->step_arena, &x->sampled));
	job->n_tokens += (int64_t)(x->sampled.generated + x->guidance.tokens);
	x->step = job->step;
	x->num_tokens = (double)job->n_tokens;
	x->entropy = x->sampled.entropy;
	x->entropy_tokens = x->sampled.generated;
	x->loss = u->updates ? o->loss / u->updates : 0;
	report_kl(job, x);
	x->clipped = o->clip_low + o->clip_high;
	x->plain_tokens = o->tokens - o->guided_tokens;
	x->value_learning_rate = job->critic.learning_rate;
	x->signal = step_diagnosis(job, s);
	x->seconds = clock_seconds() - s->started;
	return OK;
}

/* ---- numbers by name ---- */

static void report_add_verifiers(const struct job *job, const struct sampled_stats *s,
                                 struct metrics *m)
{
	for (int i = 0; i < job->reward.n; i++) {
		const char *name = job->reward.verifier[i]->name;
		if (s->component[i].n == 0) /* none applied, or replayed from a run with others */
			continue;
		metrics_add_member(m, "rewards/<verifier>/mean", name, s->component[i].mean);
		metrics_add_member(m, "rewards/<verifier>/std", name, s->component[i].deviation);
	}
}

/* Recorded completions come in an order of their own, and the curriculum has no part in it. */
static int report_add_curriculum(const struct job *job, struct metrics *m)
{
	json_t     *o = job->replay.n ? NULL : json_object(), *value;
	const char *name;
	int         status = o ? curriculum_metrics(job->curriculum, o) : ERR_INPUT;

	if (job->replay.n) {
		metrics_add(m, "curriculum/epoch",
		            (double)job->step * job->config.rollout.prompts_per_step /
		                    job->replay.n);
		return OK;
	}
	if (status == OK)
		json_object_foreach(o, name, value) metrics_add(m, name, json_number_value(value));
	json_decref(o);
	return status;
}

/* ---- the screen ---- */

static void report_failures(struct job *job, double failed)
{
	char why[PROGRAM_WHY_MAX];

	if (!(failed > 0))
		return;
	program_failures(job->reward.command ? job->reward.command : job->eval_reward.command, why);
	progress_say(&job->progress, "  step %d: %g completions got no verdict: %s\n", job->step,
	             failed, why);
}

/* What moves the weights of a step without a signal. */
static const char *report_mover(const struct job *job, const struct step_stats *x)
{
	int kl = x->learn.beta > 0, entropy = job->algorithm.entropy_coef != 0;

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

static void report_progress(struct job *job, const struct metrics *m)
{
	static const struct {
		const char *name, *format, *metric;
		double      factor;
	} figures[] = {{"reward", "%.3f", "reward", 1},
	               {"right", "%4.1f%%", "accuracy", 100},
	               {"length", "%5.1f", "completions/mean_length", 1},
	               {"entropy", "%.3f", "entropy", 1},
	               {"grad", "%.3f", "grad_norm", 1}};
	struct text line = {0};

	for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
		report_add_figure(&line, figures[i].name, figures[i].format,
		                  figures[i].factor * metrics_get(m, figures[i].metric));
	text_print(&line, "  %.2f s", metrics_get(m, "step_time"));
	progress_step(&job->progress, job->step, job->config.run.max_steps,
	              line.data ? line.data : "");
	text_free(&line);
	report_failures(job, metrics_get(m, "reward/command_errors"));
}

static void report_diagnosis(struct job *job, const struct step_stats *x)
{
	if (x->signal != SIGNAL_FINE && job->step % job->config.run.logging_steps == 0)
		progress_say(&job->progress, "  no signal in step %d: %s%s\n", job->step,
		             diagnosis_advice((enum diagnosis)x->signal), report_mover(job, x));
}

/* ---- the whole ---- */

int step_log(struct job *job, const struct metrics *m)
{
	TRY(metrics_log_write(&job->log, m));
	return job->events ? events_write(job->events, job->step, m) : OK;
}

int step_report(struct job *job, struct step *s)
{
	struct metrics m = {.table = &step_metrics};

	TRY(report_complete(job, s));
	TRY(metric_table_fill(&step_metrics, LINE_TRAIN, &job->config.base, &s->stats, &m));
	report_add_verifiers(job, &s->stats.sampled, &m);
	TRY(report_add_curriculum(job, &m));
	report_progress(job, &m);
	report_diagnosis(job, &s->stats);
	TRY(step_log(job, &m));
	return job->step == job->config.run.max_steps ? step_samples_write(job, &s->sampled) : OK;
}
