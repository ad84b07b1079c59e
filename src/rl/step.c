#include "rl/step.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "rl/outcome.h"
#include "rl/reward.h"
#include "run/events.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static int score(struct job *job, struct group *groups, int n)
{
	TRY(reward_score(&job->reward, &job->eval_reward, job->tokenizer, groups, n, &job->step_arena));
	return job->config.task.token_rewards ? reward_follow(&job->reward, job->tokenizer, groups, n, &job->step_arena) : OK;
}

int step_sample(struct job *job, const int *picked, int n, struct step *s)
{
	int    first = s->sampled.n;
	double start = clock_seconds(), middle;

	TRY(rollout_sample(job->decoder, &job->rollout, &job->train.prompts, picked, n, (uint32_t)job->step, &job->step_arena,
	                   &s->sampled));
	middle = clock_seconds();
	TRY(score(job, s->sampled.items + first, s->sampled.n - first));
	if (job->config.task.permute_rewards)
		TRY(reward_permute(s->sampled.items + first, s->sampled.n - first, (uint64_t)job->config.run.seed, (uint32_t)job->step,
		                   &job->step_arena));
	s->seconds_rollout += middle - start;
	s->seconds_reward += clock_seconds() - middle;
	return OK;
}

/* Guided answers to the failed ones among the sampled groups first ..; *groups [n] says which those are. */
static int sample_guided(struct job *job, int first, struct step *s, int **groups, int *n)
{
	int  left = s->sampled.n - first;
	int *picked = arena_alloc(&job->step_arena, (size_t)left, sizeof *picked);

	*groups = arena_alloc(&job->step_arena, (size_t)left, sizeof **groups);
	*n = 0;
	if (!picked || !*groups)
		return ERR_INPUT;
	for (int g = first; g < s->sampled.n; g++) {
		int item = s->sampled.items[g].item, hint = job->guidance.hinted.contexts[item].n > 0;
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
	TRY(guidance_sample(&job->guidance, job->decoder, &job->rollout, &job->train.prompts, picked, *n, (uint32_t)job->step,
	                    &job->step_arena, &s->guided));
	return score(job, s->guided.items + s->guided.n - *n, *n);
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
		TRY(guidance_merge(&job->guidance, &s->sampled.items[groups[i]], guided, &job->step_arena, &s->edited.items[groups[i]],
		                   &kept));
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

struct sums { /* over all sampled answers */
	double answers, failed, judged, valid, reward, square, right, length, ended, ended_length, clipped, generated, turns, entropy,
	        groups, constant, group_std;
	double length_min, length_max;
	double component[REWARD_PARTS], component_n[REWARD_PARTS], component_square[REWARD_PARTS];
};

static void add_rollout(struct sums *s, const struct rollout *r)
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
	if (isfinite(r->reward)) {
		s->valid++;
		s->reward += r->reward;
	}
	s->generated += rollout_generated(r);
	for (int i = 0; i < r->n_spans; i++)
		s->turns += r->spans[i].kind == SPAN_TURN;
	for (int t = 0; t < r->n; t++)
		s->entropy += (double)r->entropy[t];
	for (int i = 0; i < r->n_components; i++)
		if (isfinite(r->components[i])) {
			s->component[i] += r->components[i];
			s->component_square[i] += r->components[i] * r->components[i];
			s->component_n[i]++;
		}
}

/* Standard deviation (n - 1) of the valid rewards of a group; 0 for fewer than two. */
static double group_deviation(const struct group *g)
{
	double mean = 0, square = 0;
	int    n = 0;

	for (int i = 0; i < g->n; i++)
		if (isfinite(g->rollouts[i].reward)) {
			mean += g->rollouts[i].reward;
			n++;
		}
	mean /= n ? n : 1;
	for (int i = 0; i < g->n; i++)
		if (isfinite(g->rollouts[i].reward))
			square += (g->rollouts[i].reward - mean) * (g->rollouts[i].reward - mean);
	return n > 1 ? sqrt(square / (n - 1)) : 0;
}

static struct sums sums_of(const struct groups *groups)
{
	struct sums s = {0};

	for (int g = 0; g < groups->n; g++) {
		double deviation = group_deviation(&groups->items[g]);
		s.groups++;
		s.constant += deviation == 0;
		s.group_std += deviation;
		for (int i = 0; i < groups->items[g].n; i++)
			add_rollout(&s, &groups->items[g].rollouts[i]);
	}
	return s;
}

static void add_rewards(struct metrics *m, const struct job *job, const struct sums *s)
{
	char name[METRIC_NAME_MAX];

	metrics_add(m, "reward", s->reward / s->valid);
	metrics_add(m, "reward_std", s->group_std / s->groups);
	metrics_add(m, "frac_reward_zero_std", s->constant / s->groups);
	metrics_add(m, "accuracy", s->right / s->judged);
	metrics_add(m, "reward_invalid", s->answers - s->valid);
	if (job->reward.command || job->eval_reward.command)
		metrics_add(m, "reward/command_errors", s->failed);
	for (int i = 0; i < job->reward.n; i++) {
		double n = s->component_n[i], mean = s->component[i] / n;
		if (n == 0) /* none applied, or replayed from a run with other verifiers */
			continue;
		snprintf(name, sizeof name, "rewards/%s/mean", job->reward.verifier[i]->name);
		metrics_add(m, name, mean);
		snprintf(name, sizeof name, "rewards/%s/std", job->reward.verifier[i]->name);
		metrics_add(m, name, n > 1 ? sqrt(fmax(0, (s->component_square[i] - n * mean * mean) / (n - 1))) : 0);
	}
}

static void add_completions(struct metrics *m, const struct sums *s)
{
	metrics_add(m, "completions/mean_length", s->length / s->answers);
	metrics_add(m, "completions/min_length", s->length_min);
	metrics_add(m, "completions/max_length", s->length_max);
	metrics_add(m, "completions/clipped_ratio", s->clipped / s->answers);
	metrics_add(m, "completions/mean_terminated_length", s->ended > 0 ? s->ended_length / s->ended : 0);
	if (s->turns > 0) {
		metrics_add(m, "completions/mean_turns", s->turns / s->answers);
		metrics_add(m, "completions/generated_ratio", s->generated / s->length);
	}
	metrics_add(m, "entropy", s->entropy / s->generated);
}

static void add_weights(struct metrics *m, const struct job *job, const struct token_weight_stats *w)
{
	double tokens = w->tokens > 0 ? w->tokens : 1;

	if (job->algorithm.top_entropy < 1)
		metrics_add(m, "top_entropy/left_out", w->low_entropy / tokens);
	if (job->algorithm.mismatch == MISMATCH_NONE)
		return;
	metrics_add(m, "mismatch/weight_mean", w->tokens > 0 ? w->weight / tokens : 1);
	metrics_add(m, "mismatch/masked", w->masked / tokens);
	metrics_add(m, "mismatch/kl", w->distance / tokens);
}

static void add_credit(struct metrics *m, const struct job *job, const struct credit_stats *c)
{
	if (!job->learn.credit.empg)
		return;
	metrics_add(m, "credit/segments", c->rows > 0 ? c->segments / c->rows : 0);
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
	double tokens = c->tokens > 0 ? c->tokens : 1, measured = c->measured > 0 ? c->measured : 1;

	if (!job->learn.critic)
		return;
	metrics_add(m, "loss/value_avg", c->loss / tokens);
	metrics_add(m, "val/clipfrac_avg", c->clipped / tokens);
	metrics_add(m, "val/vpred", c->value / measured);
	metrics_add(m, "val/returns_mean", c->target / measured);
	metrics_add(m, "val/error", c->error / measured);
	metrics_add(m, "val/var_explained", c->variance_explained);
	metrics_add(m, "val/grad_norm", c->grad_norm);
	metrics_add(m, "val/learning_rate", job->critic.learning_rate);
}

static void add_learning(struct metrics *m, const struct job *job, const struct step *s)
{
	const struct learn_report    *l = &s->learn;
	const struct objective_stats *o = &l->update.objective;
	double                        tokens = o->tokens > 0 ? o->tokens : 1, plain = o->tokens - o->guided_tokens;

	metrics_add(m, "loss", l->update.updates ? o->loss / l->update.updates : 0);
	if (job->reference)
		metrics_add(m, "kl",
		            job->algorithm.kl_placement == KL_IN_LOSS ? o->kl / tokens : l->advantage.kl / (l->tokens > 0 ? l->tokens : 1));
	metrics_add(m, "clip_ratio/low_mean", o->clip_low / tokens);
	metrics_add(m, "clip_ratio/high_mean", o->clip_high / tokens);
	metrics_add(m, "clip_ratio/region_mean", (o->clip_low + o->clip_high) / tokens);
	metrics_add(m, "ratio/mean", o->ratio / (plain > 0 ? plain : 1));
	metrics_add(m, "ratio/max", o->ratio_max);
	if (o->negative > 0)
		metrics_add(m, "ratio/negative_weight_mean", o->negative_weight / o->negative);
	if (job->algorithm.off_policy_mask > 0)
		metrics_add(m, "mismatch/rows_masked", o->rows_masked);
	add_weights(m, job, &l->weight);
	add_credit(m, job, &l->credit);
	add_critic(m, job, &l->critic);
	if (job->algorithm.kl_controller == KL_ADAPTIVE)
		metrics_add(m, "objective/kl_coef", l->beta);
	metrics_add(m, "advantage/abs_mean", l->advantage_abs / (l->tokens > 0 ? l->tokens : 1));
	metrics_add(m, "grad_norm", l->update.grad_norm);
	metrics_add(m, "learning_rate", s->learning_rate);
	metrics_add(m, "updates", l->update.updates);
	metrics_add(m, "updates_skipped", l->update.skipped);
	metrics_add(m, "rows_skipped", o->rows_skipped);
	metrics_add(m, "sampling/sampling_logp_difference/max", l->update.logp_difference_max);
	metrics_add(m, "overlong/masked", l->overlong.masked);
	metrics_add(m, "overlong/shaped", l->overlong.shaped);
	metrics_add(m, "dynamic_sampling/batches", s->batches);
	metrics_add(m, "signal/problem", s->diagnosis);
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
	metrics_add(m, "guidance/accuracy", g->answers > 0 ? g->right / g->answers : 0);
	metrics_add(m, "guidance/tokens", g->tokens);
	metrics_add(m, "guidance/ratio_mean", o->guided_tokens > 0 ? o->guided_ratio / o->guided_tokens : 1);
	metrics_add(m, "guidance/silent", o->guided_tokens > 0 ? o->guided_silent / o->guided_tokens : 0);
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
		metrics_add(m, "curriculum/epoch", (double)job->step * job->config.rollout.prompts_per_step / job->replay.n);
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
	progress_say(&job->progress, "  step %d: %g answers got no verdict: %s\n", job->step, failed, why);
}

static void tell(struct job *job, const struct step *s, const struct metrics *m)
{
	char line[256];

	snprintf(line, sizeof line, "reward %.3f  right %4.1f%%  length %5.1f  entropy %.3f  grad %.3f  %.2f s", metrics_get(m, "reward"),
	         100 * metrics_get(m, "accuracy"), metrics_get(m, "completions/mean_length"), metrics_get(m, "entropy"),
	         metrics_get(m, "grad_norm"), metrics_get(m, "step_time"));
	progress_step(&job->progress, job->step, job->config.run.max_steps, line);
	tell_failures(job, metrics_get(m, "reward/command_errors"));
	if (s->diagnosis != SIGNAL_FINE && job->step % job->config.run.logging_steps == 0)
		progress_say(&job->progress, "  no signal in step %d: %s\n", job->step, diagnosis_advice(s->diagnosis));
}

int step_report(struct job *job, const struct step *s)
{
	struct metrics m = {0};
	struct sums    sums = sums_of(&s->sampled);

	job->n_tokens += (int64_t)(sums.generated + s->guidance.tokens);
	metrics_add(&m, "step", job->step);
	add_rewards(&m, job, &sums);
	add_completions(&m, &sums);
	add_learning(&m, job, s);
	add_guidance(&m, job, s);
	metrics_add(&m, "num_tokens", (double)job->n_tokens);
	TRY(add_curriculum(&m, job));
	add_timing(&m, s);
	tell(job, s, &m);
	TRY(metrics_log_write(&job->log, &m));
	if (job->events)
		TRY(events_write(job->events, job->step, &m));
	return job->step == job->config.run.max_steps ? step_write_samples(job, &s->sampled) : OK;
}

/* ---- samples ---- */

static void add_sample(struct text *t, int step, const struct group *g, const struct rollout *r)
{
	text_print(t, "{\"step\": %d, \"problem\": ", step);
	json_add_string(t, g->problem->id, strlen(g->problem->id));
	text_print(t, ", \"prompt\": ");
	json_add_string(t, g->problem->prompt ? g->problem->prompt : "", g->problem->prompt ? strlen(g->problem->prompt) : 0);
	text_print(t, ", \"completion\": ");
	json_add_string(t, r->text, r->n_text);
	if (g->problem->answer) {
		text_print(t, ", \"answer\": ");
		json_add_string(t, g->problem->answer, strlen(g->problem->answer));
	}
	text_print(t, ", \"reward\": ");
	json_add_real(t, r->reward);
	text_print(t, ", \"right\": %s, \"tokens\": %d, \"stop\": \"%s\"}\n", mark_name(r->right), r->n, stop_reason_name[r->stop]);
}

int step_write_samples(struct job *job, const struct groups *groups)
{
	struct text t = {0};
	int         left = job->config.run.save_samples, status;
	char       *folder = file_join(&job->step_arena, job->config.run.output_dir, "samples");
	char       *path = folder ? arena_format(&job->step_arena, "%s/step-%d.jsonl.gz", folder, job->step) : NULL;

	if (left == 0)
		return OK;
	if (!path)
		return ERR_INPUT;
	for (int g = 0; g < groups->n && left > 0; g++, left--) /* the first answer to each problem: variety says more than repetition */
		add_sample(&t, job->step, &groups->items[g], &groups->items[g].rollouts[0]);
	status = text_status(&t);
	if (status == OK)
		status = file_make_folders(folder);
	if (status == OK)
		status = file_write_gzip(path, t.data, t.n);
	text_free(&t);
	return status;
}
