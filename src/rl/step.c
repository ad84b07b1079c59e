#include "rl/step.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "math/statistics.h"
#include "rl/outcome.h"
#include "rl/reward.h"
#include "run/events.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static int step_score(struct job *job, struct group *groups, int n)
{
	TRY(reward_score(&job->reward, &job->eval_reward, job->tokenizer, groups, n,
	                 &job->step_arena));
	return job->config.task.token_rewards
	               ? reward_follow(&job->reward, job->tokenizer, groups, n, &job->step_arena)
	               : OK;
}

int step_sample(struct job *job, const int *picked, int n, struct step *s)
{
	int    first = s->sampled.n;
	double start = clock_seconds(), middle;

	TRY(rollout_sample(job->decoder, &job->rollout, &job->train.prompts, picked, n,
	                   (uint32_t)job->step, &job->step_arena, &s->sampled));
	middle = clock_seconds();
	TRY(step_score(job, s->sampled.items + first, s->sampled.n - first));
	if (job->config.task.permute_rewards)
		TRY(reward_permute(s->sampled.items + first, s->sampled.n - first,
		                   (uint64_t)job->config.run.seed, (uint32_t)job->step,
		                   &job->step_arena));
	s->seconds_rollout += middle - start;
	s->seconds_reward += clock_seconds() - middle;
	return OK;
}

/* Guided answers to the failed ones among the sampled groups first ..; *groups [n] says which those
 * are. */
static int sample_guided(struct job *job, int first, struct step *s, int **groups, int *n)
{
	int  left = s->sampled.n - first;
	int *picked = arena_alloc(&job->step_arena, (size_t)left, sizeof *picked);

	*groups = arena_alloc(&job->step_arena, (size_t)left, sizeof **groups);
	*n = 0;
	if (!picked || !*groups)
		return ERR_INPUT;
	for (int g = first; g < s->sampled.n; g++) {
		int item = s->sampled.items[g].item,
		    hint = job->guidance.hinted.contexts[item].n > 0;
		if (!guidance_failed(&job->guidance, &s->sampled.items[g]))
			continue;
		s->guidance.failed++;
		s->guidance.without_hint += !hint;
		if (hint) {
			picked[*n] = item;
			(*groups)[(*n)++] = g;
		}
	}
	if (*n == 0)
		return OK;
	TRY(guidance_sample(&job->guidance, job->decoder, &job->rollout, &job->train.prompts,
	                    picked, *n, (uint32_t)job->step, &job->step_arena, &s->guided));
	return step_score(job, s->guided.items + s->guided.n - *n, *n);
}

static void count_guided(const struct group *g, struct guidance_stats *s)
{
	for (int i = 0; i < g->n; i++) {
		s->answers++;
		s->right += rollout_is_right(&g->rollouts[i]);
		s->tokens += rollout_generated(&g->rollouts[i]);
	}
}

int step_guide(struct job *job, int first, struct step *s)
{
	double start = clock_seconds();
	int    n, kept, *groups;

	for (int g = first; g < s->sampled.n; g++)
		s->edited.items[s->edited.n++] = s->sampled.items[g];
	if (job->guidance.num_generations == 0)
		return OK;
	TRY(sample_guided(job, first, s, &groups, &n));
	for (int i = 0; i < n; i++) {
		const struct group *guided = &s->guided.items[s->guided.n - n + i];
		TRY(guidance_merge(&job->guidance, &s->sampled.items[groups[i]], guided,
		                   &job->step_arena, &s->edited.items[groups[i]], &kept));
		s->guidance.kept += kept;
		count_guided(guided, &s->guidance);
	}
	s->seconds_guidance += clock_seconds() - start;
	return OK;
}

int step_observe(struct job *job, const struct step *s)
{
	struct curriculum_outcome *outcomes;

	TRY(outcome_of_groups(s->sampled.items, s->sampled.n, &job->step_arena, &outcomes));
	curriculum_observe(job->curriculum, outcomes, s->sampled.n);
	return OK;
}

/* ---- metrics ---- */

/* over all sampled completions; rewards as the verifiers gave them, without the penalty of
 * overlong shaping */
struct sums {
	double answers, failed, judged, right, length, ended, ended_length, clipped, generated,
	        turns, entropy, groups, constant, group_std;
	double length_min, length_max;
	/* of those that could be computed */
	struct statistics_mean reward, component[REWARD_PARTS];
};

static void step_add_rollout(struct sums *s, const struct rollout *r)
{
	s->answers++;
	s->length += r->n;
	s->length_min = s->answers == 1 || r->n < s->length_min ? r->n : s->length_min;
	s->length_max = r->n > s->length_max ? r->n : s->length_max;
	s->clipped += r->truncated;
	s->ended += !r->truncated;
	s->ended_length += r->truncated ? 0 : r->n;
	s->failed += r->failed;
	s->judged += r->right != MARK_UNKNOWN;
	s->right += rollout_is_right(r);
	s->generated += rollout_generated(r);
	for (int i = 0; i < r->n_spans; i++)
		s->turns += r->spans[i].kind == SPAN_TURN;
	for (int t = 0; t < r->n; t++)
		s->entropy += (double)r->entropy[t];
}

enum { OF_REWARD = -1 };

/* The reward of each completion, or its component i, where it could be computed. */
static int step_values_of(const struct group *g, int i, double *out)
{
	int n = 0;

	for (int k = 0; k < g->n; k++) {
		const struct rollout *r = &g->rollouts[k];
		out[n] = i == OF_REWARD ? r->reward : i < r->n_components ? r->components[i] : NAN;
		n += isfinite(out[n]) != 0;
	}
	return n;
}

static double deviation_or_0(const struct statistics_mean *m)
{
	return m->n > 1 ? m->deviation : 0;
}

static int sums_of(const struct groups *groups, struct arena *a, struct sums *s)
{
	int     most = 1;
	double *x;

	*s = (struct sums){0};
	for (int g = 0; g < groups->n; g++)
		most += groups->items[g].n;
	x = arena_alloc(a, (size_t)most, sizeof *x);
	if (!x)
		return ERR_INPUT;
	for (int i = OF_REWARD; i < REWARD_PARTS; i++) {
		int n = 0;
		for (int g = 0; g < groups->n; g++)
			n += step_values_of(&groups->items[g], i, x + n);
		*(i == OF_REWARD ? &s->reward : &s->component[i]) = statistics_mean(x, n);
	}
	for (int g = 0; g < groups->n; g++) {
		struct statistics_mean m =
		        statistics_mean(x, step_values_of(&groups->items[g], OF_REWARD, x));
		s->groups++;
		s->constant += deviation_or_0(&m) <= 1e-8; /* torch.isclose */
		s->group_std += deviation_or_0(&m);
		for (int i = 0; i < groups->items[g].n; i++)
			step_add_rollout(s, &groups->items[g].rollouts[i]);
	}
	return OK;
}

/* A mean is told where something was counted, and is absent elsewhere. */
static void step_add_mean(struct metrics *m, const char *name, double sum, double n)
{
	if (n > 0)
		metrics_add(m, name, sum / n);
}

/* reward_std is TRL's: over all completions of the step, whatever their group (nanstd(rewards) in
 * its GRPOTrainer 1.16). Its groups alone: reward_group_std. */
static void add_rewards(struct metrics *m, const struct job *job, const struct sums *s)
{
	char name[METRIC_NAME_MAX];

	metrics_add(m, "reward", s->reward.mean);
	metrics_add(m, "reward_std", deviation_or_0(&s->reward));
	metrics_add(m, "reward_group_std", s->group_std / s->groups);
	metrics_add(m, "frac_reward_zero_std", s->constant / s->groups);
	step_add_mean(m, "accuracy", s->right, s->judged);
	metrics_add(m, "reward_invalid", s->answers - s->reward.n);
	if (job->reward.command || job->eval_reward.command)
		metrics_add(m, "reward/command_errors", s->failed);
	for (int i = 0; i < job->reward.n; i++) {
		/* none applied, or replayed from a run with other verifiers */
		if (s->component[i].n == 0)
			continue;
		snprintf(name, sizeof name, "rewards/%s/mean", job->reward.verifier[i]->name);
		metrics_add(m, name, s->component[i].mean);
		snprintf(name, sizeof name, "rewards/%s/std", job->reward.verifier[i]->name);
		metrics_add(m, name, deviation_or_0(&s->component[i]));
	}
}

static void add_completions(struct metrics *m, const struct sums *s)
{
	metrics_add(m, "completions/mean_length", s->length / s->answers);
	metrics_add(m, "completions/min_length", s->length_min);
	metrics_add(m, "completions/max_length", s->length_max);
	metrics_add(m, "completions/clipped_ratio", s->clipped / s->answers);
	metrics_add(m, "completions/mean_terminated_length",
	            s->ended > 0 ? s->ended_length / s->ended : 0);
	if (s->turns > 0) {
		metrics_add(m, "completions/mean_turns", s->turns / s->answers);
		metrics_add(m, "completions/generated_ratio", s->generated / s->length);
	}
	metrics_add(m, "entropy", s->entropy / s->generated);
}

static void add_weights(struct metrics *m, const struct job *job,
                        const struct token_weight_stats *w)
{
	if (job->algorithm.top_entropy < 1)
		step_add_mean(m, "top_entropy/left_out", w->low_entropy, w->tokens);
	if (job->algorithm.mismatch == MISMATCH_NONE)
		return;
	step_add_mean(m, "mismatch/weight_mean", w->weight, w->tokens);
	step_add_mean(m, "mismatch/masked", w->masked, w->tokens);
	step_add_mean(m, "mismatch/kl", w->distance, w->tokens);
}

static void add_credit(struct metrics *m, const struct job *job, const struct credit_stats *c)
{
	if (!job->learn.credit.empg)
		return;
	step_add_mean(m, "credit/segments", c->segments, c->rows);
	metrics_add(m, "credit/entropy_min", c->entropy_min);
	metrics_add(m, "credit/entropy_mean", c->entropy_mean);
	metrics_add(m, "credit/entropy_max", c->entropy_max);
	metrics_add(m, "credit/g_min", c->g_min);
	metrics_add(m, "credit/g_max", c->g_max);
	metrics_add(m, "credit/bonus_mean", c->bonus);
	metrics_add(m, "credit/shift", c->shift);
	metrics_add(m, "credit/rows_zero_variance", c->rows_zero);
}

static void add_critic(struct metrics *m, const struct job *job, const struct critic_stats *c)
{
	if (!job->learn.critic)
		return;
	step_add_mean(m, "loss/value_avg", c->loss, c->tokens);
	step_add_mean(m, "val/clipfrac_avg", c->clipped, c->tokens);
	step_add_mean(m, "val/vpred", c->value, c->measured);
	step_add_mean(m, "val/returns_mean", c->target, c->measured);
	step_add_mean(m, "val/error", c->error, c->measured);
	metrics_add(m, "val/var_explained", c->variance_explained);
	metrics_add(m, "val/grad_norm", c->grad_norm);
	metrics_add(m, "val/learning_rate", job->critic.learning_rate);
}

static enum diagnosis diagnosis_of(const struct job *job, const struct step *s)
{
	const struct algorithm *a = &job->algorithm;

	return diagnose_learned(&(struct diagnose_step){
	        .groups = s->sampled.items,
	        .n = s->sampled.n,
	        .n_used = s->used.n,
	        .advantage = s->learn.advantage_abs,
	        .baseline = a->baseline,
	        .kl_in_reward = s->learn.beta > 0 && a->kl_placement != KL_IN_LOSS});
}

static void add_learning(struct metrics *m, const struct job *job, const struct step *s)
{
	const struct learn_report    *l = &s->learn;
	const struct objective_stats *o = &l->update.objective;
	double                        plain = o->tokens - o->guided_tokens;

	metrics_add(m, "loss", l->update.updates ? o->loss / l->update.updates : 0);
	if (job->reference && job->algorithm.kl_placement == KL_IN_LOSS)
		step_add_mean(m, "kl", o->kl, o->tokens);
	else if (job->reference)
		step_add_mean(m, "kl", l->advantage.kl, l->tokens);
	step_add_mean(m, "clip_ratio/low_mean", o->clip_low, o->tokens);
	step_add_mean(m, "clip_ratio/high_mean", o->clip_high, o->tokens);
	step_add_mean(m, "clip_ratio/region_mean", o->clip_low + o->clip_high, o->tokens);
	step_add_mean(m, "ratio/mean", o->ratio, plain);
	if (plain > 0)
		metrics_add(m, "ratio/max", o->ratio_max);
	step_add_mean(m, "ratio/negative_weight_mean", o->negative_weight, o->negative);
	if (job->algorithm.off_policy_mask > 0)
		metrics_add(m, "mismatch/rows_masked", o->rows_masked);
	add_weights(m, job, &l->weight);
	add_credit(m, job, &l->credit);
	add_critic(m, job, &l->critic);
	if (job->algorithm.kl_controller == KL_ADAPTIVE)
		metrics_add(m, "objective/kl_coef", l->beta);
	step_add_mean(m, "advantage/abs_mean", l->advantage_abs, l->tokens);
	metrics_add(m, "grad_norm", l->update.grad_norm);
	metrics_add(m, "learning_rate", s->learning_rate);
	metrics_add(m, "updates", l->update.updates);
	metrics_add(m, "updates_skipped", l->update.skipped);
	metrics_add(m, "rows_skipped", o->rows_skipped);
	if (o->tokens > 0)
		metrics_add(m, "sampling/sampling_logp_difference/max",
		            l->update.logp_difference_max);
	metrics_add(m, "overlong/masked", l->overlong.masked);
	metrics_add(m, "overlong/shaped", l->overlong.shaped);
	metrics_add(m, "dynamic_sampling/batches", s->batches);
	metrics_add(m, "signal/problem", diagnosis_of(job, s));
}

static void add_guidance(struct metrics *m, const struct job *job, const struct step *s)
{
	const struct guidance_stats  *g = &s->guidance;
	const struct objective_stats *o = &s->learn.update.objective;

	if (job->guidance.num_generations == 0)
		return;
	metrics_add(m, "guidance/failed_groups", g->failed);
	metrics_add(m, "guidance/without_hint", g->without_hint);
	metrics_add(m, "guidance/kept_groups", g->kept);
	step_add_mean(m, "guidance/accuracy", g->right, g->answers);
	metrics_add(m, "guidance/tokens", g->tokens);
	step_add_mean(m, "guidance/ratio_mean", o->guided_ratio, o->guided_tokens);
	step_add_mean(m, "guidance/silent", o->guided_silent, o->guided_tokens);
	metrics_add(m, "timing_s/guidance", s->seconds_guidance);
}

static void add_timing(struct metrics *m, const struct step *s)
{
	const struct update_report *u = &s->learn.update;

	metrics_add(m, "step_time", clock_seconds() - s->started);
	metrics_add(m, "timing_s/rollout", s->seconds_rollout);
	metrics_add(m, "timing_s/reward", s->seconds_reward);
	metrics_add(m, "timing_s/reference", s->learn.seconds_reference);
	if (s->learn.seconds_values > 0)
		metrics_add(m, "timing_s/values", s->learn.seconds_values);
	metrics_add(m, "timing_s/forward", u->seconds_forward);
	metrics_add(m, "timing_s/backward", u->seconds_backward);
	metrics_add(m, "timing_s/optimizer", u->seconds_optimizer);
}

/* Recorded answers come in an order of their own, and the curriculum has no part in it. */
static int add_curriculum(struct metrics *m, const struct job *job)
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

static void tell_failures(struct job *job, double failed)
{
	char why[PROGRAM_WHY_MAX];

	if (!(failed > 0))
		return;
	program_failures(job->reward.command ? job->reward.command : job->eval_reward.command, why);
	progress_say(&job->progress, "  step %d: %g answers got no verdict: %s\n", job->step,
	             failed, why);
}

/* What moves the weights of a step without a signal. */
static const char *mover(const struct job *job, const struct step *s)
{
	int kl = s->learn.beta > 0, entropy = job->algorithm.entropy_coef != 0;

	if (s->learn.update.updates == 0 || (!kl && !entropy))
		return "";
	return kl && entropy ? "; only the KL term and the entropy bonus move the weights"
	       : kl          ? "; only the KL term (loss.beta) moves the weights"
	                     : "; only the entropy bonus (loss.entropy_coef) moves the weights";
}

static void add_figure(struct text *t, const char *name, const char *format, double value)
{
	text_print(t, "%s%s ", t->n ? "  " : "", name);
	if (isfinite(value))
		text_print(t, format, value);
	else
		text_print(t, "-");
}

static void tell(struct job *job, const struct metrics *m)
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
		add_figure(&line, figures[i].name, figures[i].format,
		           figures[i].factor * metrics_get(m, figures[i].metric));
	text_print(&line, "  %.2f s", metrics_get(m, "step_time"));
	progress_step(&job->progress, job->step, job->config.run.max_steps,
	              line.data ? line.data : "");
	text_free(&line);
	tell_failures(job, metrics_get(m, "reward/command_errors"));
}

static void tell_diagnosis(struct job *job, const struct step *s)
{
	enum diagnosis d = diagnosis_of(job, s);

	if (d != SIGNAL_FINE && job->step % job->config.run.logging_steps == 0)
		progress_say(&job->progress, "  no signal in step %d: %s%s\n", job->step,
		             diagnosis_advice(d), mover(job, s));
}

int step_report(struct job *job, const struct step *s)
{
	struct metrics m = {0};
	struct sums    sums;

	TRY(sums_of(&s->sampled, &job->step_arena, &sums));
	job->n_tokens += (int64_t)(sums.generated + s->guidance.tokens);
	metrics_add(&m, "step", job->step);
	add_rewards(&m, job, &sums);
	add_completions(&m, &sums);
	add_learning(&m, job, s);
	add_guidance(&m, job, s);
	metrics_add(&m, "num_tokens", (double)job->n_tokens);
	TRY(add_curriculum(&m, job));
	add_timing(&m, s);
	tell(job, &m);
	tell_diagnosis(job, s);
	TRY(metrics_log_write(&job->log, &m));
	if (job->events)
		TRY(events_write(job->events, job->step, &m));
	return job->step == job->config.run.max_steps ? step_write_samples(job, &s->sampled) : OK;
}

/* ---- samples ---- */

static void add_context(struct text *t, const struct tokenizer *tokenizer, const struct context *c)
{
	struct text prompt = {0};

	if (tokenizer_decode(tokenizer, c->ids, (size_t)c->n, 0, &prompt) != OK)
		t->failed = 1;
	json_add_string(t, prompt.data ? prompt.data : "", prompt.n);
	text_free(&prompt);
}

static void step_add_sample(struct text *t, const struct tokenizer *tokenizer, int step,
                            const struct group *g, const struct rollout *r)
{
	text_print(t, "{\"step\": %d, \"problem\": ", step);
	json_add_string(t, g->problem->id, strlen(g->problem->id));
	text_print(t, ", \"prompt\": ");
	if (g->problem->prompt)
		json_add_string(t, g->problem->prompt, strlen(g->problem->prompt));
	else /* of messages: as the chat template wrote them */
		add_context(t, tokenizer, r->sampled_under);
	text_print(t, ", \"completion\": ");
	json_add_string(t, r->text, r->n_text);
	if (g->problem->answer) {
		text_print(t, ", \"answer\": ");
		json_add_string(t, g->problem->answer, strlen(g->problem->answer));
	}
	text_print(t, ", \"reward\": ");
	json_add_real(t, r->reward);
	text_print(t, ", \"right\": %s, \"tokens\": %d, \"stop\": \"%s\"}\n", mark_name(r->right),
	           r->n, stop_reason_name[r->stop]);
}

int step_write_samples(struct job *job, const struct groups *groups)
{
	struct text t = {0};
	int         left = job->config.run.save_samples, status;
	char       *folder = file_join(&job->step_arena, job->config.run.output_dir, "samples");
	char       *path =
                folder ? arena_format(&job->step_arena, "%s/step-%d.jsonl.gz", folder, job->step)
	                     : NULL;

	if (left == 0)
		return OK;
	if (!path)
		return ERR_INPUT;
	/* the first answer to each problem: variety says more than repetition */
	for (int g = 0; g < groups->n && left > 0; g++, left--)
		step_add_sample(&t, job->tokenizer, job->step, &groups->items[g],
		                &groups->items[g].rollouts[0]);
	status = text_status(&t);
	if (status == OK)
		status = file_make_folders(folder);
	if (status == OK)
		status = file_write_gzip(path, t.data, t.n);
	text_free(&t);
	return status;
}
