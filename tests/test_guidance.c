/* Guide: answers given under a hint and learned without it. Numbers of the worked example of
 * arXiv:2506.13923's rules (Guide's released code, and the paper's form as reported). */
#include "estimator/advantage.h"
#include "fixture_f1.h"
#include "rl/job.h"
#include "rl/step.h"
#include "run.h"

static float numerator[] = {-2, -1, -3}, denominator[] = {-0.5f, -0.8f, -1};

/* ---- the rule of guided rows ---- */

static struct algorithm guided_algorithm(enum clip clip, double squash)
{
	struct algorithm a = *algorithm_find("grpo");

	a.beta = 0;
	a.loss_type = SEQUENCE_SUM;
	a.guided_clip = clip;
	a.squash = squash;
	a.squash_percentile = 0.9;
	a.power = 1;
	return a;
}

/* One row of the three tokens with this advantage; its loss, and c. */
static struct objective_stats one_row(const struct algorithm *a, unsigned char guided,
                                      double advantage, float *c)
{
	static int             offset[] = {0, 3};
	static unsigned char   trained[] = {1, 1, 1};
	float                  adv[] = {(float)advantage, (float)advantage, (float)advantage};
	struct batch           b = {.n = 1,
	                            .offset = offset,
	                            .trained = trained,
	                            .logp_new = numerator,
	                            .logp_old = denominator,
	                            .advantage = adv,
	                            .guided = &guided};
	struct totals          totals = {0};
	struct objective_stats s = {0};

	totals_add(&totals, &b);
	assert_ok(eval_into(a, b, &totals, c, NULL, &s));
	return s;
}

static void assert_c(const float *c, double a, double b, double d)
{
	assert_close(c[0], a, 1e-6);
	assert_close(c[1], b, 1e-6);
	assert_close(c[2], d, 1e-6);
}

static void the_squashed_ratio_follows_the_worked_example(void **state)
{
	(void)state;
	struct algorithm percentile = guided_algorithm(CLIP_SQUASH, 0),
	                 constant = guided_algorithm(CLIP_SQUASH, 0.1);
	float c[3];

	assert_close(one_row(&percentile, 1, 1, c).loss, -(0.241812 + 0.539227 + 0.162089), 2e-6);
	assert_c(c, -0.183339, -0.248461, -0.135816);
	one_row(&percentile, 1, 1.499997, c);
	assert_c(c, -0.275008, -0.372691, -0.203724);
	one_row(&percentile, 1, -0.499999, c);
	assert_c(c, 0.091669, 0.124230, 0.067908);
	assert_close(one_row(&constant, 1, 1, c).loss, -(0.690527 + 0.891154 + 0.575074), 2e-6);
	assert_c(c, -0.213699, -0.096998, -0.244364);
}

/* What the paper leaves unclipped: PPO's clip takes the gradient from wrong guided answers, and
 * only from them. */
static void a_hard_clip_silences_wrong_guided_tokens(void **state)
{
	(void)state;
	struct algorithm       hard = guided_algorithm(CLIP_HARD, 0);
	float                  c[3];
	struct objective_stats s = one_row(&hard, 1, 1.499997, c);

	assert_close(s.loss, -(0.334695 + 1.228094 + 0.203003), 2e-6);
	assert_true(c[0] < 0 && c[1] < 0 && c[2] < 0 && s.guided_silent == 0);
	s = one_row(&hard, 1, -0.499999, c);
	assert_close(s.loss, 0.399999 + 0.409365 + 0.399999, 2e-6);
	assert_true(c[0] == 0 && c[1] > 0 && c[2] == 0 && s.guided_silent == 2 &&
	            s.guided_tokens == 3);
}

static void the_mark_of_a_row_chooses_its_rule(void **state)
{
	(void)state;
	struct algorithm a = guided_algorithm(CLIP_SQUASH, 0);
	float            plain[3], guided[3];

	a.clip = CLIP_HARD;
	one_row(&a, 0, -1, plain);
	one_row(&a, 1, -1, guided);
	assert_true(plain[0] == 0 && guided[0] > 0);
}

/* Whatever the algorithm does with whole answers, guided ones go token by token and are not
 * masked. */
static void an_algorithm_of_whole_answers_leaves_guided_rows_alone(void **state)
{
	(void)state;
	struct algorithm       a = guided_algorithm(CLIP_SQUASH, 0);
	float                  want[3], c[3];
	struct objective_stats s;

	one_row(&a, 1, -1, want);
	for (int level = LEVEL_NONE; level <= LEVEL_SEQUENCE_SUM; level++) {
		a.importance_sampling_level = (enum level)level;
		a.clip = level == LEVEL_NONE ? CLIP_NONE : CLIP_HARD;
		a.epsilon = a.epsilon_high = 3e-4;
		one_row(&a, 1, -1, c);
		assert_memory_equal(c, want, sizeof c);
	}
	a.off_policy_mask = .1; /* they became rarer by 1.23 nats in the mean */
	s = one_row(&a, 1, -1, c);
	assert_close(s.rows_masked, 0, 0);
	assert_memory_equal(c, want, sizeof c);
	assert_close(one_row(&a, 0, -1, c).rows_masked, 1, 0);
}

/* Finite differences of the loss in each log-probability, with g held where it is. */
static void slopes_agree_with_differences(void **state)
{
	(void)state;
	static int           offset[] = {0, 3};
	static unsigned char trained[] = {1, 1, 1}, guided[] = {1};
	static float         adv[] = {0.7f, -1.2f, 0.4f};
	struct algorithm     rules[] = {
	            guided_algorithm(CLIP_SQUASH, 0), guided_algorithm(CLIP_SQUASH, 0.3),
	            guided_algorithm(CLIP_POWER, 0), guided_algorithm(CLIP_NONE, 0)};

	rules[2].power = 0.5;
	for (int i = 0; i < 4; i++)
		for (int t = 0; t < 3; t++) {
			double loss[2];
			float  c[3], scratch[3], moved[3];
			for (int side = 0; side < 2; side++) {
				struct objective_stats s = {0};
				memcpy(moved, numerator, sizeof moved);
				moved[t] += side ? 0x1p-12f : -0x1p-12f;
				struct batch  b = {.n = 1,
				                   .offset = offset,
				                   .trained = trained,
				                   .logp_new = moved,
				                   .logp_old = denominator,
				                   .advantage = adv,
				                   .guided = guided,
				                   .logp_held = numerator};
				struct totals totals = {.rows = 1, .tokens = 3};
				assert_ok(eval_into(&rules[i], b, &totals, scratch, NULL, &s));
				loss[side] = s.loss;
			}
			struct batch           b = {.n = 1,
			                            .offset = offset,
			                            .trained = trained,
			                            .logp_new = numerator,
			                            .logp_old = denominator,
			                            .advantage = adv,
			                            .guided = guided};
			struct objective_stats s = {0};
			assert_ok(eval_into(&rules[i], b, &(struct totals){.rows = 1, .tokens = 3},
			                    c, NULL, &s));
			assert_close((loss[1] - loss[0]) / 0x1p-11, c[t], 1e-6);
		}
}

/* One-token answers, three symbols, reward 1 for the first: E over pi(.|x+h) of slope x (1[v = 0] -
 * p_v). With the ratio itself that is the expected gradient on policy; squashed it is 5.1 times as
 * long; with the plain denominator, which takes the ratio away, 25 times. */
static void the_ratio_undoes_the_hint_in_expectation(void **state)
{
	(void)state;
	static int           offset[] = {0, 1};
	static unsigned char trained[] = {1}, guided[] = {1};
	static const double  p[] = {0.02, 0.58, 0.40};
	float                lp = logf(0.02f), lh = logf(0.5f), one = 1, *old[] = {&lh, &lh, &lp};
	struct algorithm     rules[] = {guided_algorithm(CLIP_NONE, 0),
	                                guided_algorithm(CLIP_SQUASH, 0.1),
	                                guided_algorithm(CLIP_NONE, 0)};
	static const double  want[] = {0.0196, 0.1000, 0.4900},
	                    second[] = {-0.0116, -0.0592, -0.2900},
	                    third[] = {-0.0080, -0.0408, -0.2000};

	for (int i = 0; i < 3; i++) {
		struct batch           b = {.n = 1,
		                            .offset = offset,
		                            .trained = trained,
		                            .logp_new = &lp,
		                            .logp_old = old[i],
		                            .advantage = &one,
		                            .guided = guided};
		struct objective_stats s = {0};
		float                  c;
		assert_ok(eval_into(&rules[i], b, &(struct totals){.rows = 1, .tokens = 1}, &c,
		                    NULL, &s));
		assert_close(0.5 * -c * (1 - p[0]), want[i], 6e-5);
		assert_close(0.5 * -c * -p[1], second[i], 6e-5);
		assert_close(0.5 * -c * -p[2], third[i], 6e-5);
	}
}

/* ---- forms ---- */

enum { K = 2, M = 2 };

static struct group group_of(struct rollout *rollouts, const double *accuracy, int n)
{
	for (int i = 0; i < n; i++)
		rollouts[i] = (struct rollout){.right = isnan(accuracy[i]) ? MARK_UNKNOWN
		                                                           : accuracy[i] == 1,
		                               .reward = accuracy[i],
		                               .n = 1,
		                               .sample = (uint32_t)i};
	return (struct group){.id = 7, .item = 3, .n = n, .rollouts = rollouts};
}

/* The advantages of the merged group, one-token answers; returns the number of rows. */
static int merged_advantages(enum guidance_form form, const double *guided_accuracy,
                             float *advantage, int *kept)
{
	static const double wrong[K] = {0, 0};
	struct guidance     g = {.num_generations = M, .form = form};
	struct rollout      a[K], b[M];
	struct group plain = group_of(a, wrong, K), guided = group_of(b, guided_accuracy, M), out;
	struct arena arena = {0};
	static int   offset[] = {0, 1, 2, 3, 4};
	static unsigned char trained[] = {1, 1, 1, 1};
	int64_t              id[K + M];
	double               reward[K + M];

	assert_true(guidance_failed(&g, &plain));
	assert_ok(guidance_merge(&g, &plain, &guided, &arena, &out, kept));
	assert_true(out.id == 7 && out.item == 3);
	for (int i = 0; i < out.n; i++) {
		id[i] = out.id;
		reward[i] = out.rollouts[i].reward;
	}
	struct batch batch = {
	        .n = out.n, .offset = offset, .trained = trained, .group = id, .reward = reward};
	struct advantage_stats stats = {0};
	struct algorithm       grpo = *algorithm_find("grpo");
	grpo.beta = 0;
	assert_ok(advantage_into(&grpo, batch, &arena, advantage, &stats));
	arena_free(&arena);
	return out.n;
}

static void forms_give_the_advantages_of_the_worked_example(void **state)
{
	(void)state;
	static const double half[] = {1, 0}, all[] = {1, 1}, none[] = {0, 0};
	float               adv[K + M];
	int                 kept;

	assert_int_equal(merged_advantages(GUIDANCE_MIXED, half, adv, &kept), 4);
	assert_true(kept);
	assert_close(adv[0], -0.499999, 1e-6);
	assert_close(adv[2], 1.499997, 1e-6);
	assert_close(adv[3], -0.499999, 1e-6);
	assert_int_equal(merged_advantages(GUIDANCE_MIXED, all, adv, &kept), 4);
	assert_close(adv[0], -0.866024, 1e-6);
	assert_close(adv[3], 0.866024, 1e-6);
	assert_int_equal(merged_advantages(GUIDANCE_REPLACE, half, adv, &kept), 2);
	assert_close(adv[0], 0.707106, 1e-6);
	assert_close(adv[1], -0.707106, 1e-6);
	merged_advantages(GUIDANCE_REPLACE, all, adv, &kept);
	assert_false(kept);
	assert_int_equal(merged_advantages(GUIDANCE_MIXIN, half, adv, &kept), 2);
	assert_true(kept && adv[0] > 0 && adv[1] < 0);
	for (int form = GUIDANCE_REPLACE; form <= GUIDANCE_MIXIN; form++) {
		merged_advantages((enum guidance_form)form, none, adv, &kept);
		assert_false(kept);
	}
}

/* In the place of two wrong guided answers stand the two wrong plain ones, not one of them twice; a
 * third begins again. */
static void mixed_in_wrong_answers_are_different_ones(void **state)
{
	(void)state;
	static const double plain_right[] = {0, 1, 0}, guided_right[] = {0, 1, 0, 0};
	struct guidance     g = {.num_generations = 4, .form = GUIDANCE_MIXIN};
	struct rollout      a[3], b[4];
	struct group plain = group_of(a, plain_right, 3), guided = group_of(b, guided_right, 4),
	             out;
	struct arena arena = {0};
	int          kept;

	for (int i = 0; i < 4; i++)
		b[i].source = SOURCE_HINTED;
	assert_ok(guidance_merge(&g, &plain, &guided, &arena, &out, &kept));
	assert_true(kept && out.n == 4);
	assert_true(out.rollouts[0].source == SOURCE_OWN && out.rollouts[0].sample == 0);
	assert_true(out.rollouts[1].source == SOURCE_HINTED && out.rollouts[1].sample == 1);
	assert_true(out.rollouts[2].source == SOURCE_OWN && out.rollouts[2].sample == 2);
	assert_true(out.rollouts[3].source == SOURCE_OWN && out.rollouts[3].sample == 0);
	arena_free(&arena);
}

static void only_known_failures_are_helped(void **state)
{
	(void)state;
	struct rollout      r[K];
	static const double half[] = {1, 0}, unknown[] = {0, NAN};
	struct group        g = group_of(r, half, K);
	struct guidance     all_wrong = {.num_generations = M},
	                half_wrong = {.num_generations = M, .trigger_accuracy = 0.5};

	assert_false(guidance_failed(&all_wrong, &g));
	assert_true(guidance_failed(&half_wrong, &g));
	g = group_of(r, unknown, K);
	assert_false(guidance_failed(&half_wrong, &g));
}

/* ---- whole jobs ---- */

static const char job_text[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 2, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 32}\n"
        "data:\n"
        "  generate: [{name: sequence, levels: 1-3, count: 40}]\n"
        "task: {reward: sequence}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0, num_iterations: 2}\n"
        "guidance: {kind: guide, form: mixed, trigger_accuracy: 1, num_guided: 3, template: "
        "'{prompt}?{hint}:'}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-2, num_minibatches: 2}\n"
        "sft: {batch_size: 8}\n"
        "run: {max_steps: 6, save_steps: 3, save_total_limit: 0}\n";

static void run(const char *command, const char *folder, const char *settings)
{
	hone_ok("%s job.yaml run.output_dir=%s %s", command, folder, settings);
}

static int same_weights(const char *a, const char *b)
{
	char x[256], y[256];

	snprintf(x, sizeof x, "%s/checkpoint-6/model.safetensors", a);
	snprintf(y, sizeof y, "%s/checkpoint-6/model.safetensors", b);
	return same_bytes(x, y);
}

static void a_run_in_which_nobody_fails_is_the_run_without_guidance(void **state)
{
	(void)state;
	/* Of the length every answer is right, so no group fails; what is learned is the
	 * sequence. */
	run("train", "unguided",
	    "guidance.kind=guide guidance.trigger_accuracy=0 task.eval_reward=length");
	shell("sed '/^guidance/d' job.yaml > plain.yaml");
	assert_int_equal(hone("train plain.yaml run.output_dir=plain task.eval_reward=length "
	                      "model.tokenizer='chars:,0123456789:?'"),
	                 0);
	run("train", "unguided-2",
	    "guidance.trigger_accuracy=0 task.eval_reward=length "
	    "model.tokenizer='chars:,0123456789:?'");
	assert_true(same_weights("plain", "unguided-2"));
}

static void guided_runs_keep_every_bit_through_threads_microbatches_and_resume(void **state)
{
	(void)state;
	run("train", "whole", "compute.threads=1");
	run("train", "many", "compute.threads=3 compute.micro_batch_tokens=1 rollout.batch_size=2");
	assert_true(same_weights("whole", "many"));
	run("train", "parts", "run.max_steps=3");
	run("train", "parts", "--resume");
	assert_true(same_weights("whole", "parts"));

	FILE *f = fopen("whole/metrics.jsonl", "r");
	char  line[8192];
	int   n = 0;
	while (fgets(line, sizeof line, f)) {
		json_t *row = json_loads(line, 0, NULL);
		assert_non_null(row);
		assert_true(json_number_value(json_object_get(row, "guidance/tokens")) > 0);
		assert_true(json_number_value(json_object_get(row, "guidance/failed_groups")) == 4);
		assert_true(json_number_value(json_object_get(
		                    row, "sampling/sampling_logp_difference/max")) == 0);
		json_decref(row);
		n++;
	}
	fclose(f);
	assert_int_equal(n, 6);
}

static double metric(const char *folder, int step, const char *name)
{
	char   path[256], line[8192];
	FILE  *f;
	double found = NAN;

	snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
	f = fopen(path, "r");
	assert_non_null(f);
	while (isnan(found) && fgets(line, sizeof line, f)) {
		json_t *row = json_loads(line, 0, NULL);
		if (json_integer_value(json_object_get(row, "step")) == step)
			found = json_number_value(json_object_get(row, name));
		json_decref(row);
	}
	fclose(f);
	return found;
}

/* With credit for the format, or for a part, the groups without a right completion are the same
 * ones: those that failed. */
static void partial_credit_hides_no_failed_group(void **state)
{
	(void)state;
	static const char *const credit[] = {"0", "0.5"};
	double                   failed[2], accuracy[2], reward[2];

	for (int i = 0; i < 2; i++) {
		char folder[32];
		snprintf(folder, sizeof folder, "credit-%d", i);
		hone_ok("train job.yaml run.output_dir=%s task.reward=story "
		        "task.verifier.word=never task.verifier.partial=%s "
		        "guidance.trigger_accuracy=0 run.max_steps=1 run.save_steps=0",
		        folder, credit[i]);
		failed[i] = metric(folder, 1, "guidance/failed_groups");
		accuracy[i] = metric(folder, 1, "accuracy");
		reward[i] = metric(folder, 1, "reward");
	}
	assert_true(failed[0] > 0);
	assert_close(failed[1], failed[0], 0);
	assert_close(accuracy[1], accuracy[0], 0);
	assert_true(reward[1] > reward[0]); /* a third for a text that does not repeat itself */
}

/* A program that finds every first answer to a problem wrong, and then every other one right: all
 * groups fail, and their guided ones differ. */
static const char fickle[] =
        "#!/bin/sh\n"
        "while IFS= read -r line; do\n"
        "  id=$(printf %s \"$line\" | sed 's/.*\"id\": *\"\\([^\"]*\\)\".*/\\1/' | tr / _)\n"
        "  n=$(cat \"seen-$id\" 2>/dev/null || echo 0)\n"
        "  echo $((n + 1)) > \"seen-$id\"\n"
        "  echo \"{\\\"reward\\\": $((n >= 4 && n % 2))}\"\n"
        "done\n";

/* Dynamic sampling looks at the groups that guidance left: those that were helped are trained on,
 * and no further batch is drawn. Their tokens count. */
static void helped_groups_pass_the_filter_and_their_tokens_count(void **state)
{
	(void)state;
	double answers = 4 * 4;

	write_text("fickle", fickle);
	shell("chmod +x fickle");
	run("train", "helped",
	    "algorithm=dapo task.reward=command task.verifier.command=./fickle "
	    "guidance.form=replace guidance.trigger_accuracy=0 "
	    "guidance.num_guided=4 loss.overlong=keep optim.num_minibatches=1 "
	    "loss.num_iterations=1 compute.threads=1 run.max_steps=1 "
	    "run.save_steps=0");
	assert_close(metric("helped", 1, "guidance/failed_groups"), 4, 0);
	assert_close(metric("helped", 1, "guidance/kept_groups"), 4, 0);
	assert_close(metric("helped", 1, "accuracy"), 0, 0);
	assert_close(metric("helped", 1, "guidance/accuracy"), .5, 0);
	assert_close(metric("helped", 1, "dynamic_sampling/batches"), 1, 0);
	assert_true(metric("helped", 1, "grad_norm") > 0);
	assert_true(metric("helped", 1, "guidance/tokens") >= answers);
	assert_close(metric("helped", 1, "num_tokens"),
	             answers * metric("helped", 1, "completions/mean_length") +
	                     metric("helped", 1, "guidance/tokens"),
	             1e-6);
}

static void an_empty_hint_is_none(void **state)
{
	(void)state;
	write_text("hints.jsonl", "{\"prompt\": \"1,2\", \"answer\": \"9\", \"hint\": "
	                          "\"\"}\n{\"prompt\": \"3,4\", \"answer\": \"9\"}\n"
	                          "{\"prompt\": \"5,6\", \"answer\": \"9\", \"hint\": \"7\"}\n");
	run("train", "empty",
	    "data.generate=[] data.train=hints.jsonl rollout.prompts_per_step=3 "
	    "optim.num_minibatches=1 run.max_steps=1 run.save_steps=0");
	assert_close(metric("empty", 1, "guidance/failed_groups"), 3, 0);
	assert_close(metric("empty", 1, "guidance/without_hint"), 2, 0);
	write_text("hints.jsonl", "{\"prompt\": \"1,2\", \"answer\": \"9\", \"hint\": \"\"}\n");
	assert_int_equal(
	        hone("train job.yaml run.output_dir=none data.generate=[] data.train=hints.jsonl"),
	        2);
	assert_says("stderr", "none of the 1 training problems has a hint");
}

/* The same answers, trained as if nobody had been helped: under the plain denominator every ratio
 * in the only update of a step is 1, bit for bit. */
static void with_the_plain_denominator_guided_answers_pass_for_plain_ones(void **state)
{
	(void)state;
	/* all are right, and all groups kept */
	const char *once = "loss.num_iterations=1 optim.num_minibatches=1 task.eval_reward=length";

	run("train", "hinted", once);
	for (int i = 0; i < 2; i++) {
		char settings[256];
		snprintf(settings, sizeof settings,
		         "%s guidance.denominator=plain compute.micro_batch_tokens=%d", once,
		         i ? 1 : 4096);
		run("train", i ? "plain-2" : "plain-1", settings);
	}
	for (int step = 1; step <= 6; step++) {
		assert_true(metric("plain-1", step, "guidance/kept_groups") == 4);
		assert_true(metric("plain-1", step, "guidance/ratio_mean") == 1);
		assert_true(metric("hinted", step, "guidance/ratio_mean") != 1);
	}
	assert_true(metric("plain-1", 1, "reward") == metric("hinted", 1, "reward"));
	assert_true(same_weights("plain-1", "plain-2"));
	assert_false(same_weights("plain-1", "hinted"));
}

/* A correction of what sampled inexactly finds the old log-probabilities anew, but those of hinted
 * answers must stay those of the hint. */
static void corrections_leave_the_hinted_denominator_alone(void **state)
{
	(void)state;
	run("train", "corrected",
	    "loss.num_iterations=1 optim.num_minibatches=1 task.eval_reward=length "
	    "compute.numerics=fast loss.mismatch=token_truncate");
	for (int step = 1; step <= 6; step++) {
		assert_true(metric("corrected", step, "guidance/kept_groups") == 4);
		assert_true(metric("corrected", step, "guidance/ratio_mean") != 1);
	}
}

/* A step of four problems, sampled and guided; the caller closes the job. */
static void open_guided_step(const char *const *settings, int n_settings, struct job *job,
                             struct step *s)
{
	int picked[] = {0, 1, 2, 3};

	*s = (struct step){.arena = &job->step_arena};
	assert_ok(job_open(JOB_TRAIN, JOB_NEW, "job.yaml", settings, n_settings, job));
	assert_ok(groups_new(4, &job->step_arena, &s->sampled));
	assert_ok(groups_new(4, &job->step_arena, &s->guided));
	assert_ok(groups_new(4, &job->step_arena, &s->edited));
	assert_ok(step_sample(&job->data, &job->sampler, picked, 4, s));
	assert_ok(step_guide(&job->data, &job->sampler, 0, s));
	assert_int_equal(s->guided.n, 4);
}

/* Returns how many of its tokens are trained. */
static int assert_exact_under_its_hint(struct job *job, const struct rollout *r)
{
	enum { MOST = 64 };
	struct rollout hinted = *r;
	struct group   group = {.n = 1, .rollouts = &hinted};
	struct arena   a = {0};
	struct batch   b;
	float          logp[MOST], entropy[MOST];
	int            trained = 0;

	assert_true(r->n <= MOST);
	hinted.trained_under = r->sampled_under;
	assert_ok(batch_of_groups(&group, 1, &a, &b));
	assert_ok(policy_logprobs(&job->learner.policy, job->learner.model, &b, logp, entropy));
	arena_free(&a);
	for (int t = 0; t < r->n; t++) {
		assert_true(!r->trained[t] || !memcmp(&logp[t], &r->logp[t], sizeof *logp));
		assert_true(!r->trained[t] ||
		            !memcmp(&entropy[t], &r->entropy[t], sizeof *entropy));
		trained += r->trained[t];
	}
	return trained;
}

/* In the training context there is no token of the hint, and under the hinted one the recorded
 * log-probabilities come back bit for bit. */
static void guided_answers_are_exact_under_the_hint_and_trained_without_it(void **state)
{
	(void)state;
	struct job  job;
	struct step s;

	open_guided_step(NULL, 0, &job, &s);
	for (int g = 0; g < s.guided.n; g++)
		for (int i = 0; i < s.guided.items[g].n; i++) {
			const struct rollout *r = &s.guided.items[g].rollouts[i];
			const struct context *plain =
			        &job.data.train.prompts.contexts[s.guided.items[g].item];
			assert_ptr_equal(r->trained_under, plain);
			/* ?, the one digit of the hint, : */
			assert_true(r->sampled_under->n == plain->n + 3);
			assert_memory_equal(r->sampled_under->ids, plain->ids,
			                    (size_t)plain->n * sizeof(int));
			assert_int_equal(assert_exact_under_its_hint(&job, r), r->n);
		}
	job_close(&job);
}

/* Episodes, too: every turn of a hinted one is played under the hint, whose tokens are nowhere in
 * what is trained on. */
static void hinted_episodes_are_exact_in_every_turn(void **state)
{
	(void)state;
	const char *const settings[] = {"data.generate=[{name: nav, levels: 2, count: 40}]",
	                                "task.reward=environment",
	                                "guidance.template={hint}{prompt}",
	                                "rollout.max_completion_length=60",
	                                "model.init.n_positions=100",
	                                "guidance.num_guided=12"};
	struct job        job;
	struct step       s;
	int               turns = 0, generated = 0;

	open_guided_step(settings, 6, &job, &s);
	for (int g = 0; g < s.guided.n; g++)
		for (int i = 0; i < s.guided.items[g].n; i++) {
			const struct rollout *r = &s.guided.items[g].rollouts[i];
			/* two doors */
			assert_int_equal(r->sampled_under->n, r->trained_under->n + 2);
			assert_memory_equal(r->sampled_under->ids + 2, r->trained_under->ids,
			                    (size_t)r->trained_under->n * sizeof(int));
			generated += assert_exact_under_its_hint(&job, r);
			turns += r->n_spans > 1;
		}
	assert_true(turns > 0);
	/* what the world says costs nothing of the budget */
	assert_true(s.stats.guidance.tokens == generated);
	job_close(&job);
}

static void a_warm_start_sees_hints_at_the_rate_asked_for(void **state)
{
	(void)state;
	run("sft", "never", "sft.hint_rate=0");
	run("sft", "sometimes", "sft.hint_rate=0.5");
	run("sft", "sometimes-2", "sft.hint_rate=0.5 compute.micro_batch_tokens=1");
	run("sft", "always", "sft.hint_rate=1");
	assert_true(same_weights("sometimes", "sometimes-2"));
	assert_false(same_weights("sometimes", "never"));
	assert_false(same_weights("sometimes", "always"));
}

static void senseless_pairs_are_refused_with_the_reason(void **state)
{
	(void)state;
	static const struct {
		const char *settings, *says;
	} table[] = {
	        {"algorithm=rloo loss.beta=0.1", "does not go with loss.kl_placement reward"},
	        {"algorithm=reinforce_pp loss.beta=0.1",
	         "does not go with loss.kl_placement token_reward"},
	        {"loss.beta=0.1 loss.use_bias_correction_kl=true", "use_bias_correction_kl"},
	        {"guidance.form=replace guidance.num_guided=1",
	         "compares guided completions: at least 2"},
	        {"guidance.template={prompt}", "must hold {prompt} and {hint}"},
	        {"guidance.power=2",
	         "guidance.power is set, but it is read only when guidance.clip=power"},
	        {"data.generate=[] data.train=[plain.jsonl]", "has a hint"},
	};

	shell("echo '{\"prompt\": \"1,2:9,1\", \"answer\": \"3\"}' > plain.jsonl");
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		size_t n;
		int    status = hone("train job.yaml run.output_dir=refused %s", table[i].settings);
		if (status != 2 || !file_says("stderr", table[i].says))
			fail_msg("%s: exit status %d: %s", table[i].settings, status,
			         read_all("stderr", &n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_squashed_ratio_follows_the_worked_example),
	        TEST(a_hard_clip_silences_wrong_guided_tokens),
	        TEST(the_mark_of_a_row_chooses_its_rule),
	        TEST(an_algorithm_of_whole_answers_leaves_guided_rows_alone),
	        TEST(mixed_in_wrong_answers_are_different_ones),
	        TEST(helped_groups_pass_the_filter_and_their_tokens_count),
	        TEST(an_empty_hint_is_none),
	        TEST(slopes_agree_with_differences),
	        TEST(the_ratio_undoes_the_hint_in_expectation),
	        TEST(forms_give_the_advantages_of_the_worked_example),
	        TEST(only_known_failures_are_helped),
	        TEST(a_run_in_which_nobody_fails_is_the_run_without_guidance),
	        TEST(guided_runs_keep_every_bit_through_threads_microbatches_and_resume),
	        TEST(partial_credit_hides_no_failed_group),
	        TEST(with_the_plain_denominator_guided_answers_pass_for_plain_ones),
	        TEST(corrections_leave_the_hinted_denominator_alone),
	        TEST(guided_answers_are_exact_under_the_hint_and_trained_without_it),
	        TEST(hinted_episodes_are_exact_in_every_turn),
	        TEST(a_warm_start_sees_hints_at_the_rate_asked_for),
	        TEST(senseless_pairs_are_refused_with_the_reason),
	};

	run_in_temporary_folder();
	write_text("job.yaml", job_text);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
