#include "base/rng.h"
#include "base/threads.h"
#include "estimator/advantage.h"
#include "estimator/kl.h"
#include "fixture_f1.h"
#include "rl/critic.h"
#include "test.h"

#define TOLERANCE 2e-6

/* ---- three tokens, worked out by hand outside this program ---- */

static int           three[] = {0, 3}, four[] = {0, 4};
static unsigned char all[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static int64_t       one_group[] = {1, 1, 1, 1};
static double        one[] = {1};
static float         old[] = {-1.0f, -0.5f, -2.0f, -0.7f}, ref[] = {-1.1f, -0.4f, -1.8f, -0.7f},
             V[] = {0.2f, 0.5f, 0.6f, 0.4f};

static struct algorithm ppo(double lam, double beta, int whiten)
{
	struct algorithm a = f1_algorithm("ppo");

	a.lam = lam;
	a.beta = beta;
	a.whiten = whiten;
	return a;
}

static void fill(const struct algorithm *a, const struct batch *b, float *advantage)
{
	struct arena           scratch = {0};
	struct advantage_stats stats = {0};

	assert_ok(advantage_into(a, *b, &scratch, advantage, &stats));
	arena_free(&scratch);
}

#define assert_all(got, ...) \
	do { \
		const double want_[] = {__VA_ARGS__}; \
		for (size_t i_ = 0; i_ < sizeof want_ / sizeof *want_; i_++) \
			assert_close((got)[i_], want_[i_], TOLERANCE); \
	} while (0)

static void advantages_and_targets_match_the_worked_numbers(void **state)
{
	(void)state;
	float            A[4], target[4];
	struct algorithm a = ppo(.95, .1, 0);
	struct batch     b = {.n = 1,
	                      .offset = three,
	                      .trained = all,
	                      .group = one_group,
	                      .reward = one,
	                      .logp_old = old,
	                      .logp_ref = ref,
	                      .value = V,
	                      .target = target};

	fill(&a, &b, A);
	assert_all(A, 0.77355, 0.509, 0.42);
	assert_all(target, 0.97355, 1.009, 1.02);
	a = ppo(.95, .1, 1);
	fill(&a, &b, A);
	assert_all(A, 1.120383, -.318206, -.802177);
	assert_all(target, 0.97355, 1.009, 1.02); /* taken before whitening */
	a = ppo(1, .1, 0);
	fill(&a, &b, A);
	assert_all(A, 0.82, 0.53, 0.42);
	assert_all(target, 1.02, 1.03, 1.02);
	a = ppo(1, .1, 1);
	fill(&a, &b, A);
	assert_all(A, 1.113048, -.290360, -.822688);

	/* TRL rewards the slot behind the last token: the same, with one token more. */
	a = ppo(.95, .1, 0);
	b.offset = four;
	fill(&a, &b, A);
	assert_all(A, 0.746475, 0.4805, 0.39, 0.6);
}

static void token_rewards_are_paid_where_they_are_earned(void **state)
{
	(void)state;
	double           rise[] = {.25, .5, .25};
	float            A[3], target[3];
	struct algorithm a = ppo(1, 0, 0);
	struct batch     b = {.n = 1,
	                      .offset = three,
	                      .trained = all,
	                      .group = one_group,
	                      .reward = one,
	                      .logp_old = old,
	                      .logp_ref = ref,
	                      .value = V,
	                      .target = target,
	                      .rise = rise};

	fill(&a, &b, A);
	assert_all(A, .8, .25, -.35);
	assert_all(target, 1, .75, .25);
	a.lam = .95;
	fill(&a, &b, A);
	assert_all(A, .804125, .2675, -.35);
	b.value = NULL;
	a = ppo(1, .1, 0); /* beside KL per token: k = .1, -.1, -.2 */
	fill(&a, &b, A);
	assert_all(A, 1.02, .78, .27);
}

/* The loss of the value_new of a batch, and its slope into d. */
static void value_loss(const struct critic_options *o, struct batch b, int64_t tokens, float *d,
                       struct critic_stats *stats)
{
	b.d_value = d;
	critic_loss(o, &b, tokens, stats);
}

static void the_value_loss_matches_the_worked_numbers(void **state)
{
	(void)state;
	float                 v[] = {0.5f, 0.45f, 1.0f}, target[] = {0.97355f, 1.009f, 1.02f};
	struct batch          b = {.n = 1,
	                           .offset = three,
	                           .trained = all,
	                           .value_new = v,
	                           .value = V,
	                           .target = target};
	struct critic_options o = {.own = 1, .cliprange_value = .2};
	struct critic_stats   s = {0};
	float                 d[3];

	value_loss(&o, b, 3, d, &s);
	assert_close(s.loss / 3, .114973, TOLERANCE);
	assert_all(d, 0, -.186333, 0);
	assert_close(s.clipped, 2, 0);
	o.cliprange_value = .5;
	s = (struct critic_stats){0};
	value_loss(&o, b, 3, d, &s);
	assert_close(s.loss / 3, .089522, TOLERANCE);
	assert_all(d, -.157850, -.186333, -.006667);
	assert_close(s.clipped, 0, 0);
	o.cliprange_value = 0; /* no clip */
	s = (struct critic_stats){0};
	value_loss(&o, b, 3, d, &s);
	assert_close(s.loss / 3, .089522, TOLERANCE);
	/* in the joint loss of a shared network */
	o = (struct critic_options){.own = 0, .vf_coef = .1, .cliprange_value = .5};
	value_loss(&o, b, 3, d, &s);
	assert_all(d, -.0157850, -.0186333, -.0006667);
}

static void the_controller_matches_the_worked_numbers(void **state)
{
	(void)state;
	struct algorithm a = ppo(.95, .001, 0);

	assert_close(kl_adapt(&a, .5, 256), .001, 0); /* fixed */
	a.kl_controller = KL_ADAPTIVE;
	assert_close(kl_adapt(&a, .05, 256), .00099488, 1e-12);
	assert_close(kl_adapt(&a, .1, 256), .001, 1e-18);
	assert_close(kl_adapt(&a, .5, 256), .00100512, 1e-12);
	assert_close(kl_adapt(&a, 50, 256), .00100512, 1e-12);
	assert_close(kl_adapt(&a, NAN, 256), .001, 0);
	/* a batch beyond the horizon does not switch the term off */
	assert_true(kl_adapt(&a, 0, 1e9) > 0);
}

/* ---- properties ---- */

static void with_lambda_1_an_advantage_is_the_reward_minus_the_value(void **state)
{
	(void)state;
	float            A[F1_T], target[F1_T];
	struct algorithm a = ppo(1, 0, 0);
	struct batch     b = {.n = F1_R,
	                      .offset = f1_offset,
	                      .trained = f1_trained,
	                      .group = f1_group,
	                      .reward = f1_reward,
	                      .value = f1_new,
	                      .target = target};

	fill(&a, &b, A);
	for (int r = 0; r < F1_R; r++)
		for (int t = f1_offset[r]; t < f1_offset[r + 1]; t++) {
			assert_close(A[t], f1_reward[r] - (double)f1_new[t], 1e-6);
			assert_close(target[t], f1_reward[r], 1e-6);
		}
}

static void a_value_that_is_the_mean_of_the_group_gives_dr_grpo(void **state)
{
	(void)state;
	float            A[F1_T], want[F1_T], half[F1_T];
	struct algorithm a = ppo(1, 0, 0), dr = f1_algorithm("dr_grpo");
	struct batch     b = {.n = F1_R,
	                      .offset = f1_offset,
	                      .trained = f1_trained,
	                      .group = f1_group,
	                      .reward = f1_reward,
	                      .value = half};

	for (int t = 0; t < F1_T; t++)
		half[t] = .5f;
	fill(&a, &b, A);
	fill(&dr, &b, want);
	assert_memory_equal(A, want, sizeof A);
}

/* Observations of an environment: V and A pass them by, and whitening does not see them, whatever
 * stands there. */
static void tokens_that_are_not_trained_might_as_well_not_be_there(void **state)
{
	(void)state;
	static int           offset[] = {0, 6, 10}, offset_short[] = {0, 3, 6};
	static unsigned char trained[] = {1, 0, 0, 1, 1, 0, 0, 1, 1, 1};
	static double        reward[] = {1, .25};
	static const int     kept[] = {0, 3, 4, 7, 8, 9};

	for (int whiten = 0; whiten <= 1; whiten++) {
		float A[10], A_short[6], old_[10], ref_[10], v[10], old_s[6], ref_s[6], v_s[6],
		        target[10], target_s[6];
		struct algorithm a = ppo(.95, .1, whiten);
		struct batch     b = {.n = 2,
		                      .offset = offset,
		                      .trained = trained,
		                      .group = one_group,
		                      .reward = reward,
		                      .logp_old = old_,
		                      .logp_ref = ref_,
		                      .value = v,
		                      .target = target},
		             s = {.n = 2,
		                  .offset = offset_short,
		                  .trained = all,
		                  .group = one_group,
		                  .reward = reward,
		                  .logp_old = old_s,
		                  .logp_ref = ref_s,
		                  .value = v_s,
		                  .target = target_s};

		a.gamma = .9;
		for (int t = 0; t < 10; t++)
			old_[t] = ref_[t] = v[t] = NAN;
		for (int i = 0; i < 6; i++) {
			old_[kept[i]] = old_s[i] = f1_old[i];
			ref_[kept[i]] = ref_s[i] = f1_ref[i];
			v[kept[i]] = v_s[i] = .3f * (float)i - .5f;
		}
		fill(&a, &b, A);
		fill(&a, &s, A_short);
		for (int i = 0; i < 6; i++) {
			assert_true(A[kept[i]] == A_short[i]);
			assert_true(target[kept[i]] == target_s[i]);
		}
		for (int t = 0; t < 10; t++)
			if (!trained[t])
				assert_true(A[t] == 0 && isnan(target[t]));
	}
}

static void a_critic_that_knows_leaves_no_noise_to_whiten(void **state)
{
	(void)state;
	double           equal[] = {1, 1, 1, 1};
	float            A[F1_T], v[F1_T];
	struct algorithm a = ppo(.95, 0, 1);
	struct batch     b = {.n = F1_R,
	                      .offset = f1_offset,
	                      .trained = f1_trained,
	                      .group = f1_group,
	                      .reward = equal,
	                      .value = v};

	for (int t = 0; t < F1_T; t++)
		v[t] = 1 + (float)(t % 3) * 1e-7f;
	fill(&a, &b, A);
	for (int t = 0; t < F1_T; t++)
		assert_true(fabsf(A[t]) < 1e-6f);
}

static void an_uncomputable_reward_teaches_the_critic_nothing(void **state)
{
	(void)state;
	double                reward[] = {1, NAN, 0, 1};
	float                 A[F1_T], target[F1_T], d[F1_T];
	struct algorithm      a = ppo(.95, 0, 1);
	struct batch          b = {.n = F1_R,
	                           .offset = f1_offset,
	                           .trained = f1_trained,
	                           .group = f1_group,
	                           .reward = reward,
	                           .value = f1_new,
	                           .target = target};
	struct critic_options o = {.own = 1};
	struct critic_stats   s = {0};

	fill(&a, &b, A);
	b.value_new = f1_new;
	value_loss(&o, b, F1_T, d, &s);
	for (int t = f1_offset[1]; t < f1_offset[2]; t++)
		assert_true(A[t] == 0 && d[t] == 0);
	assert_close(s.tokens, F1_T - 2, 0);
	assert_true(isfinite(s.loss));
}

static void the_value_gradient_matches_finite_differences(void **state)
{
	(void)state;
	enum { N = 200 };
	static int           offset[] = {0, N};
	static unsigned char trained[N];
	float                v[N], v_old[N], target[N], d[N], unused[N];
	struct batch         b = {.n = 1,
	                          .offset = offset,
	                          .trained = trained,
	                          .value_new = v,
	                          .value = v_old,
	                          .target = target};
	int                  flat = 0;

	for (int t = 0; t < N; t++) {
		struct rng_key key = {7, RNG_TEST, 0, (uint32_t)t, 0};
		trained[t] = t % 5 != 4;
		v[t] = (float)rng_normal(key, 0);
		v_old[t] = v[t] + (float)rng_normal(key, 1) * .3f;
		target[t] = (float)rng_normal(key, 2);
	}
	for (int own = 0; own <= 1; own++) {
		struct critic_options o = {.own = own, .vf_coef = .3, .cliprange_value = .2};
		struct critic_stats   s = {0};
		value_loss(&o, b, N, d, &s);
		for (int t = 0; t < N; t++) {
			struct critic_stats up = {0}, down = {0};
			float               at = v[t], h = 1e-3f;
			if (fabs(fabs((double)v[t] - (double)v_old[t]) - .2) < 2e-3)
				continue; /* a corner */
			v[t] = at + h;
			value_loss(&o, b, N, unused, &up);
			v[t] = at - h;
			value_loss(&o, b, N, unused, &down);
			v[t] = at;
			assert_close(d[t],
			             (own ? 1 : .3) * (up.loss - down.loss) / N / (2 * (double)h),
			             2e-6);
			flat += trained[t] && d[t] == 0;
		}
	}
	assert_true(flat > 20); /* the clip was met */
}

static void explained_variance_says_how_much_was_foretold(void **state)
{
	(void)state;
	static int   offset[] = {0, 4};
	static float target[] = {0, 1, 2, 3}, mean[] = {9, 9, 9, 9}, shifted[] = {5, 6, 7, 8},
	             part[] = {0, 0, 1, 1}, flat[] = {2, 2, 2, 2};
	struct critic_stats s = {0};
	struct batch        b = {.n = 1, .offset = offset, .trained = all};

	b.value = target;
	b.target = target;
	critic_measure(&b, &s);
	assert_close(s.variance_explained, 1, 0);
	b.value = mean;
	b.target = target;
	critic_measure(&b, &s);
	assert_close(s.variance_explained, 0, 0);
	assert_close(s.error / s.measured, (81 + 64 + 49 + 36) / 4., 1e-12);
	b.value = shifted;
	b.target = target;
	critic_measure(&b, &s);
	assert_close(s.variance_explained, 1, 1e-12); /* an offset costs error, not variance */
	b.value = part;
	b.target = target;
	critic_measure(&b, &s);
	/* errors 0 1 1 2: variance 2/4 of 5/4 */
	assert_close(s.variance_explained, 1 - 2. / 5, 1e-12);
	b.value = part;
	b.target = flat;
	critic_measure(&b, &s);
	assert_true(isnan(s.variance_explained));
}

/* ---- in the whole model ---- */

enum { ROWS = 7, TOKENS = 7 * 5 - 6 };
struct learner {
	struct matmul        *mm;
	struct weights        w;
	struct model         *model;
	struct policy         policy;
	struct critic         critic;
	struct algorithm      alg;
	struct context        prompt[ROWS];
	const struct context *prompts[ROWS];
	int                   ids[400], id[64], offset[ROWS + 1];
	unsigned char         trained[TOKENS + ROWS * 5];
	float        logp_old[64], logp_ref[64], advantage[64], value_old[64], value_target[64];
	struct batch b;
};

/* Seven answers to three problems; the prompts are long, so that there are several units. */
static void learner_rows(struct learner *l)
{
	static const int prompts[ROWS] = {0, 0, 0, 1, 1, 2, 2},
	                 lengths[ROWS] = {1, 4, 2, 5, 3, 6, 2};

	for (int i = 0; i < 400; i++)
		l->ids[i] = (i * 7 + i * i) % 13;
	for (int r = 0; r < ROWS; r++) {
		l->prompt[r] = (struct context){l->ids + prompts[r], 300 + prompts[r]};
		l->prompts[r] = &l->prompt[r];
		l->offset[r + 1] = l->offset[r] + lengths[r];
		memcpy(l->id + l->offset[r], l->ids + 20 + 3 * r,
		       (size_t)lengths[r] * sizeof *l->id);
	}
	for (int t = 0; t < l->offset[ROWS]; t++) {
		struct rng_key key = {3, RNG_TEST, 0, (uint32_t)t, 0};
		l->trained[t] = t % 6 != 5;
		l->advantage[t] = (float)rng_normal(key, 0);
		l->value_old[t] = (float)rng_normal(key, 1) * .2f;
		l->value_target[t] = l->value_old[t] + (float)rng_normal(key, 2);
	}
	l->value_target[2] = NAN;
	l->b = (struct batch){.n = ROWS,
	                      .offset = l->offset,
	                      .trained = l->trained,
	                      .prompt = l->prompts,
	                      .id = l->id,
	                      .logp_old = l->logp_old,
	                      .advantage = l->advantage,
	                      .value = l->value_old,
	                      .target = l->value_target};
}

static void learner_new(struct learner *l, int own, int tied)
{
	const struct model_shape    shape = {.n_layers = 2,
	                                     .width = 12,
	                                     .n_heads = 2,
	                                     .n_kv_heads = 1,
	                                     .head_width = 6,
	                                     .ff_width = 20,
	                                     .n_vocab = 13,
	                                     .n_positions = 400,
	                                     .rope_theta = 1e4,
	                                     .norm_eps = 1e-5,
	                                     .tied = tied,
	                                     .bos = -1};
	const struct policy_options o = {.micro_batch_tokens = 100000,
	                                 .temperature = 1.3f,
	                                 .optimizer = optimizer_defaults()};
	struct critic_options       c = {.own = own, .vf_coef = .4, .cliprange_value = .6};
	struct schedule_options     s = {.name = "constant", .learning_rate = 0, .total_steps = 10};

	*l = (struct learner){0};
	assert_ok(
	        matmul_new(&(struct matmul_options){"auto", "f32", "strict", NULL, NULL}, &l->mm));
	assert_ok(weights_new(&shape, &l->w));
	for (size_t i = 0; i < l->w.n; i++)
		l->w.data[i] = .3f * (float)rng_normal((struct rng_key){11, RNG_TEST, 1, 0, 0},
		                                       (uint32_t)i);
	assert_ok(model_new(&l->w, l->mm, 1, &l->model));
	assert_ok(policy_new(l->model, &o, &l->policy));
	assert_ok(schedule_new(&s, &c.schedule));
	assert_ok(critic_new(&c, &l->policy, &l->critic));
	for (size_t i = 0; i < l->critic.head.weights.n; i++)
		l->critic.head.weights.data[i] =
		        .3f *
		        (float)rng_normal((struct rng_key){12, RNG_TEST, 1, 0, 0}, (uint32_t)i);
	l->alg = f1_algorithm("ppo");
	l->alg.entropy_coef = .05;
	learner_rows(l);
	assert_ok(policy_logprobs(&l->policy, l->model, &l->b, l->logp_old, NULL));
	for (int t = 0; t < l->offset[ROWS]; t++)
		l->logp_old[t] += .1f * (float)rng_normal((struct rng_key){13, RNG_TEST, 1, 0, 0},
		                                          (uint32_t)t);
}

static void learner_free(struct learner *l)
{
	critic_free(&l->critic);
	policy_free(&l->policy);
	model_free(l->model);
	weights_free(&l->w);
	matmul_free(l->mm);
}

/* The joint loss at the weights as they are; its gradients are then in level[0]. Rates are 0:
 * nothing moves. */
static double joint_loss(struct learner *l)
{
	struct update_report r = {0};
	int                  tokens = 0;

	for (int i = 0; i < ROWS; i++)
		tokens += batch_trained(&l->b, i);
	critic_begin(&l->critic, 0);
	assert_ok(model_repack(l->model));
	assert_ok(policy_update(&l->policy, &l->alg, &l->b, 0, &r));
	return r.objective.loss + l->critic.options.vf_coef * l->critic.stats.loss / tokens;
}

/* dL along the gradient g of n weights w is its norm. */
static void check_direction(struct learner *l, float *w, const float *g, size_t n, const char *name)
{
	float *direction = malloc(n * sizeof *direction), *before = malloc(n * sizeof *before);
	double norm = 0, up, down, h = 4e-3;

	for (size_t i = 0; i < n; i++)
		norm += (double)g[i] * g[i];
	norm = sqrt(norm);
	assert_true(norm > 1e-4);
	for (size_t i = 0; i < n; i++)
		direction[i] = (float)(g[i] / norm);
	memcpy(before, w, n * sizeof *w);
	for (size_t i = 0; i < n; i++)
		w[i] = before[i] + (float)h * direction[i];
	up = joint_loss(l);
	for (size_t i = 0; i < n; i++)
		w[i] = before[i] - (float)h * direction[i];
	down = joint_loss(l);
	memcpy(w, before, n * sizeof *w);
	if (!(fabs((up - down) / (2 * h) - norm) < 5e-3 * norm + 2e-4))
		fail_msg("%s: %.6g by differences, %.6g by the backward pass", name,
		         (up - down) / (2 * h), norm);
	free(direction);
	free(before);
}

static void a_head_starts_at_0_or_at_random_by_its_seed(void **state)
{
	(void)state;
	enum { WIDTH = 1000 };
	struct value_head zero, a, b, other;
	double            square = 0;

	assert_ok(value_head_new(WIDTH, 0, 3, &zero));
	assert_ok(value_head_new(WIDTH, 0.5, 3, &a));
	assert_ok(value_head_new(WIDTH, 0.5, 3, &b));
	assert_ok(value_head_new(WIDTH, 0.5, 4, &other));
	for (int d = 0; d <= WIDTH; d++) {
		assert_true(zero.weights.data[d] == 0);
		square += (double)a.weights.data[d] * (double)a.weights.data[d];
	}
	assert_close(sqrt(square / WIDTH), 0.5, 0.05);
	assert_true(a.weights.data[WIDTH] == 0); /* the bias */
	assert_memory_equal(a.weights.data, b.weights.data, WIDTH * sizeof(float));
	assert_memory_not_equal(a.weights.data, other.weights.data, WIDTH * sizeof(float));
	value_head_free(&zero);
	value_head_free(&a);
	value_head_free(&b);
	value_head_free(&other);
}

static void the_joint_gradient_matches_finite_differences_in_every_tensor(void **state)
{
	(void)state;
	for (int tied = 0; tied <= 1; tied++) {
		struct learner l;
		float         *g, head[64];
		size_t         n_head;

		learner_new(&l, 0, tied);
		joint_loss(&l);
		assert_true(l.critic.stats.clipped > 0);
		n_head = l.critic.head.weights.n;
		g = malloc(l.model->weights.n * sizeof *g);
		memcpy(g, l.policy.gradient.level[0], l.model->weights.n * sizeof *g);
		memcpy(head, l.critic.head.gradient.level[0], n_head * sizeof *head);
		check_direction(&l, l.critic.head.weights.data, head, n_head, "the value head");
		check_direction(&l, l.critic.head.weights.data + n_head - 1, head + n_head - 1, 1,
		                "the bias of the value head");
		for (int i = 0; i < l.model->weights.n_tensors; i++) {
			const struct tensor *t = &l.model->weights.tensors[i];
			check_direction(&l, l.model->weights.data + t->offset, g + t->offset,
			                t->count, t->name);
		}
		free(g);
		learner_free(&l);
	}
}

static void passes_layers_again_and_threads_change_no_bit_of_the_joint_gradient(void **state)
{
	(void)state;
	const int      sizes[] = {1, 310, 620, 100000};
	struct learner l;
	float         *g, head[64], value[64], values[64];
	double         loss;

	learner_new(&l, 0, 1);
	loss = joint_loss(&l);
	g = malloc(l.model->weights.n * sizeof *g);
	memcpy(g, l.policy.gradient.level[0], l.model->weights.n * sizeof *g);
	memcpy(head, l.critic.head.gradient.level[0], l.critic.head.weights.n * sizeof *head);
	assert_true(l.critic.head.gradient.units.n >= 3);
	assert_ok(policy_values(&l.policy, &l.b, value));
	for (int i = 0; i < 8; i++) {
		threads_set(1 + i % 4);
		l.policy.options.micro_batch_tokens = sizes[i % 4];
		if (i == 4) {
			tape_free(l.policy.tape);
			l.policy.tape = NULL;
			l.policy.options.recompute = 1;
		}
		assert_true(joint_loss(&l) == loss);
		assert_memory_equal(g, l.policy.gradient.level[0], l.model->weights.n * sizeof *g);
		assert_memory_equal(head, l.critic.head.gradient.level[0],
		                    l.critic.head.weights.n * sizeof *head);
		assert_ok(policy_values(&l.policy, &l.b, values));
		assert_memory_equal(value, values, (size_t)l.offset[ROWS] * sizeof *value);
	}
	threads_set(0);
	free(g);
	learner_free(&l);
}

static double value_error(struct learner *l)
{
	float               v[64];
	struct critic_stats s = {0};
	struct batch        b = l->b;

	b.value = v;
	assert_ok(policy_values(l->critic.network, &b, v));
	critic_measure(&b, &s);
	return s.error;
}

static void fit(struct learner *l, int times)
{
	struct update_report r = {0};

	l->critic.options.schedule.peak = 1e-2;
	l->critic.options.cliprange_value = 0;
	critic_begin(&l->critic, 0);
	for (int i = 0; i < times; i++)
		assert_ok(critic_update(&l->critic, &l->b, &r));
	assert_close(l->critic.stats.updates, times, 0);
}

/* With layers of its own it learns more than the head alone does; states that several answers share
 * keep an error. */
static void a_critic_learns_its_targets_and_the_policy_stays(void **state)
{
	(void)state;
	for (int own = 0; own <= 1; own++) {
		struct learner l;
		double         before, after;
		float         *w;

		learner_new(&l, own, 0);
		w = malloc(l.model->weights.n * sizeof *w);
		memcpy(w, l.model->weights.data, l.model->weights.n * sizeof *w);
		before = value_error(&l);
		fit(&l, own ? 150 : 60);
		after = value_error(&l);
		assert_true(after < (own ? .65 : .9) * before);
		assert_memory_equal(w, l.model->weights.data, l.model->weights.n * sizeof *w);
		if (own)
			assert_memory_not_equal(w, l.critic.model->weights.data,
			                        l.model->weights.n * sizeof *w);
		free(w);
		learner_free(&l);
	}
}

static void what_is_saved_comes_back_to_the_bit(void **state)
{
	(void)state;
	char folder[] = "/tmp/hone-test-XXXXXX", path[64];

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/critic.safetensors", folder);
	for (int own = 0; own <= 1; own++) {
		struct learner a, b;

		learner_new(&a, own, 1);
		learner_new(&b, own, 1);
		fit(&a, 3);
		assert_ok(critic_save(&a.critic, path));
		assert_true(value_error(&a) != value_error(&b));
		assert_ok(critic_load(&b.critic, path));
		b.critic.optimizer.step = a.critic.optimizer.step;
		b.critic.own.optimizer.step = a.critic.own.optimizer.step;
		assert_true(value_error(&a) == value_error(&b));
		fit(&a, 2);
		fit(&b, 2);
		assert_true(value_error(&a) == value_error(&b));
		learner_free(&b);
		learner_new(&b, !own, 1);
		if (own)
			assert_ok(critic_load(&b.critic, path)); /* a shared head reads its part */
		else
			assert_error(critic_load(&b.critic, path), ERR_INPUT,
			             "is it of another critic?");
		learner_free(&a);
		learner_free(&b);
	}
	remove(path);
	remove(folder);
}

TEST_MAIN(TEST(advantages_and_targets_match_the_worked_numbers),
          TEST(token_rewards_are_paid_where_they_are_earned),
          TEST(the_value_loss_matches_the_worked_numbers),
          TEST(the_controller_matches_the_worked_numbers),
          TEST(with_lambda_1_an_advantage_is_the_reward_minus_the_value),
          TEST(a_value_that_is_the_mean_of_the_group_gives_dr_grpo),
          TEST(tokens_that_are_not_trained_might_as_well_not_be_there),
          TEST(a_critic_that_knows_leaves_no_noise_to_whiten),
          TEST(an_uncomputable_reward_teaches_the_critic_nothing),
          TEST(the_value_gradient_matches_finite_differences),
          TEST(explained_variance_says_how_much_was_foretold),
          TEST(a_head_starts_at_0_or_at_random_by_its_seed),
          TEST(the_joint_gradient_matches_finite_differences_in_every_tensor),
          TEST(passes_layers_again_and_threads_change_no_bit_of_the_joint_gradient),
          TEST(a_critic_learns_its_targets_and_the_policy_stays),
          TEST(what_is_saved_comes_back_to_the_bit))
