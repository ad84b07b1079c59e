/* From scored groups to updates, in a small model: what minibatches, iterations and steps must not
 * change, and what they must. */
#include "rl/learn.h"

#include "fixture_f1.h"
#include "test.h"

enum { GROUPS = 5, MOST = 4, LONGEST = 6, VOCAB = 13, ITEMS = GROUPS * MOST };
static const int sizes[GROUPS] = {4, 3, 2, 4, 3};

struct world {
	struct matmul       *mm;
	struct model        *model, *reference;
	struct policy        policy;
	struct critic        critic;
	struct learn_options o;
	struct arena         arena; /* of one call of learn_from */
	int                  ids[200];
	struct context       plain[GROUPS], hinted[GROUPS];
	struct rollout       rollouts[GROUPS][MOST];
	struct group         groups[GROUPS];
	float                logp[ITEMS][LONGEST], entropy[ITEMS][LONGEST];
	unsigned char        trained[ITEMS][LONGEST];
	int                  n_groups;
};

static struct model *model_with(struct matmul *mm, uint32_t seed, int backward, int n_positions)
{
	const struct model_shape shape = {.n_layers = 1,
	                                  .width = 12,
	                                  .n_heads = 2,
	                                  .n_kv_heads = 1,
	                                  .head_width = 6,
	                                  .ff_width = 20,
	                                  .n_vocab = VOCAB,
	                                  .n_positions = n_positions,
	                                  .rope_theta = 1e4,
	                                  .norm_eps = 1e-5,
	                                  .bos = -1};
	struct weights           w;
	struct model            *m;

	assert_ok(weights_new(&shape, &w));
	for (size_t i = 0; i < w.n; i++)
		w.data[i] = .3f * (float)rng_normal((struct rng_key){seed, RNG_TEST, 0, 0, 0},
		                                    (uint32_t)i);
	assert_ok(model_new(&w, mm, backward, &m));
	weights_free(&w);
	return m;
}

static struct model *model_of(struct matmul *mm, uint32_t seed, int backward)
{
	return model_with(mm, seed, backward, 64);
}

/* Groups of several sizes, completions of several lengths with untrained tokens inside; group 3 was
 * sampled under a hint. */
static void world_groups(struct world *w)
{
	for (int i = 0; i < 200; i++)
		w->ids[i] = (i * 7 + i * i) % VOCAB;
	for (int g = 0, row = 0; g < GROUPS; g++) {
		w->plain[g] = (struct context){w->ids + g, 9};
		w->hinted[g] = (struct context){w->ids + 40 + g, 12};
		w->groups[g] = (struct group){
		        .id = 100 - g, .item = g, .n = sizes[g], .rollouts = w->rollouts[g]};
		for (int i = 0; i < sizes[g]; i++, row++) {
			int n = 1 + (row * 5 + 3) % LONGEST;
			for (int t = 0; t < n; t++) {
				struct rng_key key = {3, RNG_TEST, 1, (uint32_t)row, (uint32_t)t};
				w->logp[row][t] = -1.5f + (float)rng_normal(key, 0);
				w->entropy[row][t] = 1 + rng_uniform(key, 1);
				w->trained[row][t] = t == 0 || (row + t) % 4 != 3;
			}
			w->rollouts[g][i] = (struct rollout){.sampled_under = g == 3 ? &w->hinted[g]
			                                                             : &w->plain[g],
			                                     .trained_under = &w->plain[g],
			                                     .n = n,
			                                     .ids = w->ids + 60 + 5 * row,
			                                     .trained = w->trained[row],
			                                     .logp = w->logp[row],
			                                     .entropy = w->entropy[row],
			                                     .reward = (row * row + g) % 3 / 2.,
			                                     .sample = (uint32_t)i};
		}
	}
}

static void world_new(struct world *w, const char *algorithm)
{
	/* the recorded numbers are made up, so none may stand for one that is not computed */
	const struct policy_options p = {.micro_batch_tokens = 30,
	                                 .computes_zeros = 1,
	                                 .temperature = 1,
	                                 .optimizer = {.beta2 = .9, .epsilon = 1e-8}};
	struct critic_options       c = {
	              .own = 1, .vf_coef = 1, .cliprange_value = .2, .head_std = .3, .seed = 2};
	struct schedule_options s = {.name = "constant", .learning_rate = 0, .total_steps = 10};

	*w = (struct world){.n_groups = GROUPS};
	assert_ok(matmul_new(&(struct matmul_options){"reference", "f32", "strict", NULL, NULL},
	                     &w->mm));
	w->model = model_of(w->mm, 11, 1);
	w->reference = model_of(w->mm, 12, 0);
	assert_ok(policy_new(w->model, &p, &w->policy));
	w->o = (struct learn_options){
	        .algorithm = f1_algorithm(algorithm), .num_minibatches = 1, .seed = 4};
	if (w->o.algorithm.baseline == BASELINE_CRITIC) {
		assert_ok(schedule_new(&s, &c.schedule));
		assert_ok(critic_new(&c, &w->policy, &w->critic));
		w->o.critic = &w->critic;
	}
	world_groups(w);
}

static void world_free(struct world *w)
{
	critic_free(&w->critic);
	policy_free(&w->policy);
	model_free(w->model);
	model_free(w->reference);
	matmul_free(w->mm);
	arena_free(&w->arena);
}

static struct learn_report learn(struct world *w, uint32_t step, double rate)
{
	struct learn_report report;

	arena_reset(&w->arena);
	assert_ok(learn_from(
	        &w->o,
	        &(struct learn_input){.policy = &w->policy,
	                              .reference = w->o.algorithm.beta > 0 ? w->reference : NULL,
	                              .groups = w->groups,
	                              .n_groups = w->n_groups,
	                              .step = step,
	                              .learning_rate = rate},
	        &w->arena, &report));
	return report;
}

/* ---- minibatches ---- */

#define assert_agree(field) assert_close(cut.field, whole.field, 1e-9 * (1 + fabs(whole.field)))

/* At rate 0 nothing moves between the updates: the sums over them are those of the one, and so is
 * the loss of a token mean. Every column of a row enters: a weight, flag or log-probability that
 * followed another row would change it. Returns in how many steps the first update saw other
 * rows. */
static int assert_cut_agrees(struct world *w, int minibatches)
{
	int moved = 0;

	for (uint32_t step = 0; step < 6; step++) {
		struct learn_report whole, cut;
		w->o.num_minibatches = 1;
		whole = learn(w, step, 0);
		w->o.num_minibatches = minibatches;
		cut = learn(w, step, 0);
		assert_int_equal(whole.update.updates,
		                 w->o.critic && w->o.critic->options.warmup_steps ? 0 : 1);
		assert_int_equal(cut.update.updates, whole.update.updates * minibatches);
		assert_agree(update.objective.rows);
		assert_agree(update.objective.tokens);
		assert_agree(update.objective.kl);
		assert_agree(update.objective.entropy);
		assert_agree(update.objective.ratio);
		assert_agree(update.objective.guided_tokens);
		assert_agree(update.objective.guided_ratio);
		assert_agree(update.objective.clip_low);
		assert_agree(update.objective.clip_high);
		assert_agree(update.objective.negative);
		assert_agree(update.objective.negative_weight);
		assert_agree(update.objective.rows_masked);
		assert_agree(critic.tokens);
		assert_agree(critic.loss);
		assert_agree(critic.clipped);
		assert_agree(credit.segments);
		assert_agree(credit.shift);
		assert_agree(advantage_abs);
		assert_close(cut.update.objective.loss / minibatches, whole.update.objective.loss,
		             1e-7);
		moved += cut.update.logp_difference_max != whole.update.logp_difference_max;
	}
	return moved;
}

static void minibatches_hold_every_row_with_its_own_columns(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, "dapo");
	w.o.algorithm.overlong = OVERLONG_KEEP;
	w.o.algorithm.beta = .1;
	w.o.algorithm.guided_clip = CLIP_SQUASH;
	w.o.algorithm.squash_percentile = .3;
	assert_true(learn(&w, 0, 0).update.objective.guided_tokens > 0);
	for (int m = 2; m <= GROUPS; m++)
		/* the first update is not always that of the largest difference */
		assert_true(assert_cut_agrees(&w, m) > 0);
	world_free(&w);
}

static void minibatches_keep_the_weights_of_stale_tokens_and_the_mask_of_rows(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, "dapo");
	w.o.algorithm.overlong = OVERLONG_KEEP;
	w.o.algorithm.guided_clip = CLIP_HARD;
	w.o.algorithm.mismatch = MISMATCH_TOKEN_TRUNCATE;
	w.o.algorithm.off_policy_mask = .2;
	w.o.stale = 1;
	assert_true(learn(&w, 0, 0).update.objective.rows_masked > 0);
	assert_cut_agrees(&w, 2);
	assert_cut_agrees(&w, 3);
	world_free(&w);
}

/* One token in each group is of high entropy, so that the mean of the bonus over updates of two
 * groups each is that over all four. */
static void minibatches_keep_the_tokens_of_high_entropy(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, "dapo");
	w.o.algorithm.overlong = OVERLONG_KEEP;
	w.o.algorithm.top_entropy = 1e-9;
	w.o.algorithm.entropy_coef = .3;
	w.n_groups = 4;
	for (int g = 0, row = 0; g < 4; row += sizes[g++])
		w.entropy[row + 1][0] = 9;
	assert_cut_agrees(&w, 2);
	assert_cut_agrees(&w, 4);
	world_free(&w);
}

static void minibatches_keep_values_targets_and_credit(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, "ppo");
	w.o.algorithm.guided_clip = CLIP_HARD;
	w.o.algorithm.loss_type = TOKEN_MEAN;
	w.o.credit = (struct credit_options){.empg = 1, .k = 1.3, .k_bonus = .7, .zeta = .2};
	assert_true(learn(&w, 0, 0).critic.tokens > 20);
	assert_cut_agrees(&w, 2);
	w.o.credit.shuffle = 1;
	assert_cut_agrees(&w, 3);
	world_free(&w);
}

/* ---- keys ---- */

/* Writes which of GROUPS minibatches of one group each comes first: each group's log-probabilities
 * are off by an amount of its own. */
static int first_group(struct world *w, uint32_t step)
{
	double d = learn(w, step, 0).update.logp_difference_max;
	int    g = (int)lround(d / .1) - 1;

	assert_in_range(g, 0, GROUPS - 1);
	return g;
}

static void set_recorded_logp(struct world *w)
{
	float *logp = w->logp[0];

	for (int g = 0, row = 0; g < GROUPS; g++)
		for (int i = 0; i < sizes[g]; i++, row++) {
			struct rollout *r = &w->rollouts[g][i];
			struct group    one = {.n = 1, .rollouts = r};
			struct batch    b;
			logp = w->logp[row];
			r->sampled_under = r->trained_under;
			assert_ok(batch_of_groups(&one, 1, &w->arena, &b));
			assert_ok(policy_logprobs(&w->policy, w->model, &b, logp, NULL));
			logp[0] -= .1f * (float)(g + 1);
		}
}

static void the_order_of_groups_is_another_in_every_step(void **state)
{
	(void)state;
	struct world w;
	int          seen[GROUPS] = {0}, different = 0;

	world_new(&w, "grpo");
	set_recorded_logp(&w);
	w.o.num_minibatches = GROUPS;
	for (uint32_t step = 0; step < 20; step++)
		seen[first_group(&w, step)]++;
	for (int g = 0; g < GROUPS; g++)
		different += seen[g] > 0;
	assert_true(different >= GROUPS - 1);
	assert_int_equal(first_group(&w, 3), first_group(&w, 3));
	world_free(&w);
}

/* At rate 0 the gradient of the last update tells which group came last in the last iteration. */
static void the_order_of_groups_is_another_in_every_iteration(void **state)
{
	(void)state;
	struct world w;
	size_t       n;
	int          same = 0;
	float       *last;

	world_new(&w, "grpo");
	w.o.num_minibatches = GROUPS;
	n = w.model->weights.n;
	last = malloc(n * sizeof *last);
	for (uint32_t step = 0; step < 20; step++) {
		w.o.algorithm.num_iterations = 1;
		learn(&w, step, 0);
		memcpy(last, w.policy.gradient.level[0], n * sizeof *last);
		w.o.algorithm.num_iterations = 2;
		learn(&w, step, 0);
		same += !memcmp(last, w.policy.gradient.level[0], n * sizeof *last);
	}
	assert_true(same < 12); /* a fifth by chance */
	free(last);
	world_free(&w);
}

static void the_shuffle_of_credit_is_another_in_every_step(void **state)
{
	(void)state;
	struct world w;
	double       shift[3];

	world_new(&w, "grpo");
	w.o.credit =
	        (struct credit_options){.empg = 1, .k = 1, .k_bonus = 1, .zeta = .2, .shuffle = 1};
	for (uint32_t step = 0; step < 3; step++)
		shift[step] = learn(&w, step, 0).credit.shift;
	assert_true(shift[0] != shift[1] && shift[1] != shift[2] && shift[0] != shift[2]);
	assert_true(learn(&w, 1, 0).credit.shift == shift[1]);
	world_free(&w);
}

/* ---- the critic's first steps ---- */

static void a_warm_up_of_one_step_ends_after_the_first(void **state)
{
	(void)state;
	struct world w;
	float       *before;
	size_t       bytes;

	world_new(&w, "ppo");
	w.o.algorithm.guided_clip = CLIP_HARD;
	w.critic.options.warmup_steps = 1;
	bytes = w.model->weights.n * sizeof *before;
	before = malloc(bytes);
	memcpy(before, w.model->weights.data, bytes);
	assert_int_equal(learn(&w, 0, .01).update.updates, 0);
	assert_memory_equal(before, w.model->weights.data, bytes);
	assert_int_equal(learn(&w, 1, .01).update.updates, 1);
	assert_memory_not_equal(before, w.model->weights.data, bytes);
	free(before);
	world_free(&w);
}

/* ---- what a step reports, and leaves behind ---- */

/* Guided rows were sampled under another context: their difference is no error of sampling. */
static void the_difference_of_log_probabilities_is_that_of_plain_rows(void **state)
{
	(void)state;
	struct world w;

	world_new(&w, "grpo");
	set_recorded_logp(&w);
	for (int g = 0, row = 0; g < GROUPS; g++)
		for (int i = 0; i < sizes[g]; i++, row++) {
			w.logp[row][0] += .1f * (float)(g + 1) + (g == 3 ? 5 : 0);
			w.rollouts[g][i].sampled_under = g == 3 ? &w.hinted[g] : &w.plain[g];
		}
	assert_close(learn(&w, 0, 0).update.logp_difference_max, 0, 1e-6);
	world_free(&w);
}

/* The controller counts completions, not tokens: beta (1 + error rows / horizon). */
static void the_controller_moves_beta_by_the_rows_of_the_step(void **state)
{
	(void)state;
	struct world        w;
	struct learn_report r;
	double              error;

	world_new(&w, "rloo");
	w.o.algorithm.kl_controller = KL_ADAPTIVE;
	w.o.algorithm.kl_target = 1;
	w.o.algorithm.kl_horizon = 1000;
	for (int i = 0; i < sizes[3]; i++)
		w.rollouts[3][i].sampled_under = &w.plain[3];
	r = learn(&w, 0, 0);
	error = fmin(fmax(r.advantage.kl / r.tokens - 1, -.2), .2);
	assert_true(error != 0);
	assert_close(r.beta, .05, 0);
	assert_close(w.o.algorithm.beta, .05 * (1 + error * 16 / 1000), 1e-12);
	world_free(&w);
}

/* ---- what is not computed ---- */

/* Prompts so long that every group is a unit of its own; what sampling recorded is what the model
 * says. In groups 0, 2 and 3 all rewards are equal. */
static void world_of_units(struct world *w, const char *algorithm)
{
	static int                  ids[300];
	const struct policy_options o = {.micro_batch_tokens = 700,
	                                 .temperature = 1,
	                                 .optimizer = {.beta2 = .9, .epsilon = 1e-8}};
	float                      *logp, *entropy;
	struct batch                b;
	struct arena                a = {0};

	world_new(w, algorithm);
	model_free(w->model);
	policy_free(&w->policy);
	w->model = model_with(w->mm, 11, 1, 300);
	assert_ok(policy_new(w->model, &o, &w->policy));
	for (int i = 0; i < 300; i++)
		ids[i] = (i * 5 + i / 7) % VOCAB;
	for (int g = 0; g < GROUPS; g++) {
		w->plain[g] = (struct context){ids + g, 270 + g};
		for (int i = 0; i < sizes[g]; i++) {
			w->rollouts[g][i].sampled_under = &w->plain[g];
			if (g != 1 && g != 4)
				w->rollouts[g][i].reward = g == 0;
		}
	}
	assert_ok(batch_of_groups(w->groups, GROUPS, &a, &b));
	assert_ok(arena_take(&a, (size_t)b.offset[b.n], "test", &logp));
	assert_ok(arena_take(&a, (size_t)b.offset[b.n], "test", &entropy));
	assert_ok(policy_logprobs(&w->policy, w->model, &b, logp, entropy));
	for (int g = 0, row = 0; g < GROUPS; g++)
		for (int i = 0; i < sizes[g]; i++, row++) {
			size_t bytes = (size_t)w->rollouts[g][i].n * sizeof *logp;
			memcpy(w->logp[row], logp + b.offset[row], bytes);
			memcpy(w->entropy[row], entropy + b.offset[row], bytes);
		}
	arena_free(&a);
}

/* Two steps of so many minibatches and iterations; reports in r[2]. Returns the weights. */
struct how {
	int computes_zeros, minibatches, iterations;
	int micro_batch_tokens, recompute;
};

static float *learn_two_steps(const char *algorithm, const struct how *how, struct learn_report *r)
{
	struct world w;
	float       *weights;

	world_of_units(&w, algorithm);
	w.policy.options.computes_zeros = how->computes_zeros;
	w.policy.options.micro_batch_tokens = how->micro_batch_tokens;
	w.policy.options.recompute = how->recompute;
	w.o.num_minibatches = how->minibatches;
	w.o.algorithm.num_iterations = how->iterations;
	for (uint32_t step = 0; step < 2; step++) {
		w.o.stale = step == 1; /* what was recorded is not today's then */
		r[step] = learn(&w, step, .05);
		r[step].update.seconds_forward = r[step].update.seconds_backward =
		        r[step].update.seconds_optimizer = 0;
	}
	weights = malloc(w.model->weights.n * sizeof *weights);
	memcpy(weights, w.model->weights.data, w.model->weights.n * sizeof *weights);
	world_free(&w);
	return weights;
}

/* Groups of equal rewards have no gradient. Leaving them out changes no bit of the weights, nor of
 * what is reported: ratios, entropies, the difference to sampling. */
static void groups_without_a_gradient_are_left_out_and_change_no_bit(void **state)
{
	(void)state;
	static const char *const names[] = {"grpo", "dapo", "gspo", "sapo"};

	for (int i = 0; i < 4; i++)
		for (int cut = 1; cut <= 3; cut++) {
			struct learn_report left_out[2], computed[2];
			struct how          all = {1, cut, 1 + cut % 2, 700, 0},
			           some = {0, cut, 1 + cut % 2, 350 << (i + cut) % 4, i % 2};
			float *x = learn_two_steps(names[i], &some, left_out),
			      *y = learn_two_steps(names[i], &all, computed);
			struct world w;
			world_of_units(&w, names[i]);
			assert_memory_equal(x, y, w.model->weights.n * sizeof *x);
			assert_true(memcmp(x, w.model->weights.data,
			                   w.model->weights.n * sizeof *x) != 0);
			world_free(&w);
			for (int step = 0; step < 2; step++) {
				assert_true(left_out[step].update.tokens_silent > 0);
				assert_int_equal(computed[step].update.tokens_silent, 0);
				left_out[step].update.tokens_silent = 0;
				assert_memory_equal(&left_out[step].update, &computed[step].update,
				                    sizeof left_out[step].update);
			}
			free(x);
			free(y);
		}
}

/* Terms without an advantage: then nothing is left out. */
static void divergence_and_entropy_are_learned_from_every_group(void **state)
{
	(void)state;
	struct world w;

	for (int i = 0; i < 2; i++) {
		world_of_units(&w, "grpo");
		if (i) {
			w.o.algorithm.entropy_coef = .1;
		} else {
			model_free(w.reference);
			w.reference = model_with(w.mm, 12, 0, 300);
			w.o.algorithm.beta = .1;
		}
		assert_int_equal(learn(&w, 0, .05).update.tokens_silent, 0);
		world_free(&w);
	}
}

TEST_MAIN(TEST(the_difference_of_log_probabilities_is_that_of_plain_rows),
          TEST(the_controller_moves_beta_by_the_rows_of_the_step),
          TEST(minibatches_hold_every_row_with_its_own_columns),
          TEST(minibatches_keep_the_weights_of_stale_tokens_and_the_mask_of_rows),
          TEST(minibatches_keep_the_tokens_of_high_entropy),
          TEST(minibatches_keep_values_targets_and_credit),
          TEST(the_order_of_groups_is_another_in_every_step),
          TEST(the_order_of_groups_is_another_in_every_iteration),
          TEST(the_shuffle_of_credit_is_another_in_every_step),
          TEST(a_warm_up_of_one_step_ends_after_the_first),
          TEST(groups_without_a_gradient_are_left_out_and_change_no_bit),
          TEST(divergence_and_entropy_are_learned_from_every_group))
