#include "rl/guidance.h"

#include "base/threads.h"
#include "rl/policy.h"
#include "rl/reward.h"
#include "test.h"
#include "world/environment.h"
#include "world/generator.h"

/* A model that knows nothing, but likes newlines: its episodes have many turns, nearly all of them
 * nonsense. */
enum { KINDS = 3, EACH = 4, N = KINDS * EACH + 1, G = 4, MAX_NEW = 150, POSITIONS = 200 };

#define ALPHABET "\n<>?!+.:-=*0123456789abcdefghkmnorwABCDE "

static struct matmul    *mm;
static struct model     *model;
static struct tokenizer *tokenizer;
static struct arena      arena;
static struct problem    problems[N]; /* the last one has no environment */
static struct prompts    prompts;
static int               all[N];
static float             temperature = 1.5f;
static int               reread, n_stop;
static uint32_t          step = 7;
static const char       *stop[64];

static void make(const char *name, int level, uint32_t index, struct problem *p)
{
	const struct generator *g;

	assert_ok(generator_find(name, &g));
	assert_ok(generator_make(
	        g, &(struct generator_request){.level = level, .seed = 5, .index = index}, &arena,
	        p));
}

static void make_model(void)
{
	const struct matmul_options options = {"auto", "f32", "strict", NULL, NULL};
	struct model_shape          shape = {.n_layers = 2,
	                                     .width = 24,
	                                     .n_heads = 4,
	                                     .n_kv_heads = 2,
	                                     .head_width = 6,
	                                     .ff_width = 40,
	                                     .n_positions = POSITIONS,
	                                     .rope_theta = 10000,
	                                     .norm_eps = 1e-5,
	                                     .bos = -1,
	                                     .n_eos = 1};
	struct weights              w;

	shape.n_vocab = tokenizer_size(tokenizer);
	shape.eos[0] = tokenizer_role(tokenizer, "eos");
	assert_ok(matmul_new(&options, &mm));
	assert_ok(weights_new(&shape, &w));
	weights_init(&w, 5);
	for (size_t i = 0; i < w.n; i++)
		w.data[i] *= 6; /* far from uniform */
	assert_ok(model_new(&w, mm, 0, &model));
}

static int setup(void **state)
{
	(void)state;
	const struct tokenizer_special end = {"eos", "<eos>"};

	threads_set(2);
	/* few characters: one in six tokens or so ends an action */
	assert_ok(tokenizer_chars(ALPHABET, &end, 1, &tokenizer));
	for (int i = 0; i < N - 1; i++)
		make(environment_at(i % KINDS)->name, 4, (uint32_t)i, &problems[i]);
	make("sequence", 3, 0, &problems[N - 1]);
	assert_ok(prompts_render(
	        problems, N,
	        &(struct prompts_options){.tokenizer = tokenizer, .max_prompt_length = 60}, &arena,
	        &prompts));
	for (int i = 0; i < N; i++)
		all[i] = i;
	make_model();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	model_free(model);
	matmul_free(mm);
	tokenizer_free(tokenizer);
	arena_free(&arena);
	return 0;
}

static struct rollout_sampling options(int share)
{
	const struct model_shape *s = &model->weights.shape;

	return (struct rollout_sampling){
	        .decode = {.sampling = {.temperature = temperature, .top_p = 1},
	                   .eos = s->eos,
	                   .n_eos = 1,
	                   .tokenizer = tokenizer,
	                   .piece = tokenizer_piece,
	                   .stop = stop,
	                   .n_stop = n_stop,
	                   .share_prompt = share,
	                   .reread = reread},
	        .num_generations = G,
	        .max_completion_length = MAX_NEW,
	        .n_positions = POSITIONS,
	        .seed = 3,
	        .purpose = RNG_SAMPLE};
}

static void sample(int slots, int share, const int *picked, int n, struct arena *a,
                   struct groups *groups)
{
	const struct rollout_sampling o = options(share);
	struct decoder               *d;

	assert_ok(groups_new(n, a, groups));
	assert_ok(decoder_new(model, slots, POSITIONS, &d));
	assert_ok(rollout_sample(d, &o, &(struct rollout_picks){&prompts, picked, n, step}, a,
	                         groups));
	decoder_free(d);
}

static struct rollout *answer(const struct groups *g, int i)
{
	return &g->items[i / G].rollouts[i % G];
}

static int same_completions(const struct group *a, const struct group *b)
{
	int same = 0;

	for (int i = 0; i < G; i++)
		same += a->rollouts[i].n == b->rollouts[i].n &&
		        !memcmp(a->rollouts[i].ids, b->rollouts[i].ids,
		                (size_t)a->rollouts[i].n * sizeof *a->rollouts[i].ids);
	return same;
}

/* With an environment and without: a step, and a second group of the same step, draw other random
 * numbers. */
static void a_problem_is_answered_otherwise_in_another_step_and_when_it_comes_twice(void **state)
{
	(void)state;
	const int     picked[] = {0, N - 1, 0, N - 1};
	struct arena  a = {0};
	struct groups first, again, next;

	sample(16, 1, picked, 4, &a, &first);
	sample(16, 1, picked, 4, &a, &again);
	step++;
	sample(16, 1, picked, 4, &a, &next);
	step--;
	for (int g = 0; g < 4; g++) {
		assert_int_equal(same_completions(&first.items[g], &again.items[g]), G);
		assert_int_equal(same_completions(&first.items[g], &next.items[g]), 0);
	}
	for (int g = 0; g < 2; g++) {
		assert_int_equal(same_completions(&first.items[g], &first.items[g + 2]), 0);
		assert_int_equal(first.items[g + 2].rollouts[0].sample, G);
	}
	arena_free(&a);
}

/* Under the very same prompt: a guided completion has a key of its own purpose. */
static void guided_completions_draw_numbers_of_their_own(void **state)
{
	(void)state;
	const int                     picked[] = {0, N - 1};
	const struct guidance         g = {.num_generations = G, .hinted = prompts};
	const struct rollout_sampling o = options(1);
	struct arena                  a = {0};
	struct groups                 plain, guided;
	struct decoder               *d;

	sample(16, 1, picked, 2, &a, &plain);
	assert_ok(groups_new(2, &a, &guided));
	assert_ok(decoder_new(model, 16, POSITIONS, &d));
	assert_ok(guidance_sample(&g, d, &o, &(struct rollout_picks){&prompts, picked, 2, step}, &a,
	                          &guided));
	decoder_free(d);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(same_completions(&plain.items[i], &guided.items[i]), 0);
		assert_int_equal(guided.items[i].rollouts[0].source, SOURCE_HINTED);
	}
	arena_free(&a);
}

static void turns_and_observations_take_turns_and_only_turns_are_trained(void **state)
{
	(void)state;
	struct arena  a = {0};
	struct groups g;
	int           turns = 0, by_newline = 0, by_token = 0, stops[STOP_REASONS] = {0};

	sample(16, 1, all, N - 1, &a, &g);
	for (int i = 0; i < (N - 1) * G; i++) {
		const struct rollout *r = answer(&g, i);
		int                   at = 0;
		stops[r->stop]++;
		for (int s = 0; s < r->n_spans; s++) {
			const struct completion_span *span = &r->spans[s];
			assert_int_equal(span->kind, s % 2 ? SPAN_OBSERVATION : SPAN_TURN);
			assert_int_equal(span->first, at);
			assert_true(span->count > 0);
			for (; at < span->first + span->count; at++) {
				assert_int_equal(r->trained[at], span->kind == SPAN_TURN);
				if (span->kind == SPAN_OBSERVATION)
					assert_true(r->logp[at] == 0 && r->entropy[at] == 0);
				else
					assert_true(r->logp[at] < 0 && r->entropy[at] > 0);
			}
			turns += span->kind == SPAN_TURN;
			by_token += span->kind == SPAN_TURN &&
			            r->ids[at - 1] == model->weights.shape.eos[0];
			by_newline += span->kind == SPAN_TURN &&
			              r->ids[at - 1] != model->weights.shape.eos[0];
		}
		assert_int_equal(at, r->n);
		assert_true(r->n > 0 && r->n <= MAX_NEW && r->n + r->sampled_under->n <= POSITIONS);
	}
	print_message("%d turns: %d ended by a newline, %d by an end token; %d episodes ended, %d "
	              "+ %d were cut off\n",
	              turns, by_newline, by_token, stops[STOP_STRING], stops[STOP_LENGTH],
	              stops[STOP_CONTEXT]);
	assert_true(turns > 2 * N * G && by_newline > N && by_token > N && stops[STOP_STRING] > 0 &&
	            stops[STOP_LENGTH] > 0);
	arena_free(&a);
}

static void score(struct groups *g, struct arena *a)
{
	const char        *name = "environment";
	struct reward_spec spec;

	assert_ok(verifier_open(&spec, &name, NULL, 1, NULL));
	assert_ok(reward_score(&spec, &spec, tokenizer, g->items, g->n, a));
	verifier_close(&spec);
}

/* The text alone, played again, gives the same observations in the same places, and knows whether
 * the episode came to its end. */
static void the_text_of_an_episode_plays_again(void **state)
{
	(void)state;
	struct arena  a = {0};
	struct groups g;

	sample(16, 1, all, N - 1, &a, &g);
	score(&g, &a);
	for (int i = 0; i < g.n * G; i++) {
		const struct rollout     *r = answer(&g, i);
		struct environment        e;
		struct environment_piece *pieces;
		int                       n, observations = 0, seen = 0;
		assert_ok(environment_open(g.items[i / G].problem, &a, &e));
		assert_ok(environment_read(&e, r->text, r->n_text, &a, &pieces, &n));
		for (int p = 0; p < n; p++)
			observations += pieces[p].observation;
		/* the last may be a newline alone, behind an end token */
		for (int s = 0; s < r->n_spans; s++)
			seen += r->spans[s].kind == SPAN_OBSERVATION && !(r->spans[s].count == 1);
		assert_int_equal(observations, seen);
		assert_int_equal(e.done, r->stop == STOP_STRING);
		assert_int_equal(r->parsed, r->stop == STOP_STRING);
		assert_close(r->reward, e.reward, 0);
	}
	arena_free(&a);
}

static void training_meets_the_probabilities_of_every_turn(void **state)
{
	(void)state;
	struct arena          a = {0};
	struct groups         g;
	struct policy         p;
	struct policy_options o = {.optimizer = {.epsilon = 1e-8, .beta1 = 0.9, .beta2 = 0.99},
	                           .micro_batch_tokens = 300,
	                           .temperature = 1.5f};
	int                   trained = 0;

	sample(16, 1, all, N - 1, &a, &g);
	assert_ok(policy_new(model, &o, &p));
	for (int i = 0; i < g.n * G; i++) {
		struct rollout *r = answer(&g, i);
		struct group    one = {.n = 1, .rollouts = r};
		struct batch    b;
		float           logp[MAX_NEW], entropy[MAX_NEW];
		assert_ok(batch_of_groups(&one, 1, &a, &b));
		assert_ok(policy_logprobs(&p, model, &b, logp, entropy));
		for (int t = 0; t < r->n; t++)
			if (r->trained[t]) {
				assert_memory_equal(&logp[t], &r->logp[t], sizeof *logp);
				assert_memory_equal(&entropy[t], &r->entropy[t], sizeof *logp);
				trained++;
			}
	}
	assert_true(trained > 1000);
	policy_free(&p);
	arena_free(&a);
}

static void assert_same(const struct rollout *x, const struct rollout *y)
{
	assert_int_equal(x->n, y->n);
	assert_int_equal(x->stop, y->stop);
	assert_memory_equal(x->ids, y->ids, (size_t)x->n * sizeof *x->ids);
	assert_memory_equal(x->logp, y->logp, (size_t)x->n * sizeof *x->logp);
	assert_memory_equal(x->entropy, y->entropy, (size_t)x->n * sizeof *x->entropy);
	assert_memory_equal(x->trained, y->trained, (size_t)x->n);
}

static void an_episode_does_not_depend_on_what_else_is_played(void **state)
{
	(void)state;
	static const int slots[] = {1, 64}, threads[] = {1, 3};
	struct arena     a = {0};
	struct groups    g, other;

	sample(16, 1, all, N, &a, &g); /* a problem without an environment among them */
	assert_int_equal(answer(&g, (N - 1) * G)->n_spans, 0);
	for (int v = 0; v < 2; v++) {
		threads_set(threads[v]);
		sample(slots[v], v, all, N, &a, &other);
		for (int i = 0; i < N * G; i++)
			assert_same(answer(&g, i), answer(&other, i));
	}
	threads_set(2);
	for (int p = 0; p < N; p++) {
		sample(3, 0, &all[p], 1, &a, &other);
		for (int i = 0; i < G; i++)
			assert_same(answer(&g, p * G + i), answer(&other, i));
	}
	arena_free(&a);
}

static void an_episode_is_the_same_with_pages_kept_or_every_turn_read_anew(void **state)
{
	(void)state;
	struct arena  a = {0};
	struct groups kept, anew;
	int           later_turns = 0;

	sample(16, 1, all, N - 1, &a, &kept);
	reread = 1;
	sample(16, 1, all, N - 1, &a, &anew);
	reread = 0;
	score(&kept, &a);
	score(&anew, &a);
	for (int i = 0; i < (N - 1) * G; i++) {
		assert_same(answer(&kept, i), answer(&anew, i));
		assert_memory_equal(&answer(&kept, i)->reward, &answer(&anew, i)->reward,
		                    sizeof(double));
		later_turns += answer(&kept, i)->n_spans > 2;
	}
	assert_true(later_turns > N);
	arena_free(&a);
}

/* Every '>' and what may follow it is a stop text: a turn would end at once if it were read
 * together with the observation before it. */
static void a_stop_text_does_not_begin_in_an_observation(void **state)
{
	(void)state;
	struct arena  a = {0};
	struct groups g;
	int           later_turns = 0, long_ones = 0;

	for (const char *c = ALPHABET; *c; c++)
		assert_ok(arena_print(&a, &stop[n_stop++], ">%c", *c));
	sample(16, 1, all, N - 1, &a, &g);
	n_stop = 0;
	for (int i = 0; i < g.n * G; i++)
		for (int s = 2; s < answer(&g, i)->n_spans; s += 2) {
			later_turns++;
			long_ones += answer(&g, i)->spans[s].count > 1;
		}
	assert_true(later_turns > N && long_ones * 2 > later_turns);
	arena_free(&a);
}

/* So hot that every token is as likely as another: if turns began their random numbers anew, all
 * turns of an episode would be alike. */
static void turns_share_no_random_numbers(void **state)
{
	(void)state;
	struct arena  a = {0};
	struct groups g;
	int           pairs = 0, alike = 0;

	temperature = 1e4f;
	sample(16, 1, all, N - 1, &a, &g);
	temperature = 1.5f;
	for (int i = 0; i < g.n * G; i++) {
		const struct rollout *r = answer(&g, i);
		for (int s = 2; s < r->n_spans; s += 2) {
			int n = r->spans[s].count < r->spans[0].count ? r->spans[s].count
			                                              : r->spans[0].count;
			if (n < 3)
				continue;
			pairs++;
			alike += !memcmp(r->ids, r->ids + r->spans[s].first,
			                 (size_t)n * sizeof *r->ids);
		}
	}
	assert_true(pairs > 50);
	assert_true(alike * 10 < pairs);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_problem_is_answered_otherwise_in_another_step_and_when_it_comes_twice),
	        TEST(guided_completions_draw_numbers_of_their_own),
	        TEST(turns_and_observations_take_turns_and_only_turns_are_trained),
	        TEST(the_text_of_an_episode_plays_again),
	        TEST(training_meets_the_probabilities_of_every_turn),
	        TEST(an_episode_does_not_depend_on_what_else_is_played),
	        TEST(an_episode_is_the_same_with_pages_kept_or_every_turn_read_anew),
	        TEST(a_stop_text_does_not_begin_in_an_observation),
	        TEST(turns_share_no_random_numbers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
