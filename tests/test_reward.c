/* The negative control: rewards that changed places inside their groups keep every statistic and
 * teach nothing. */
#include "run.h"

#include "base/rng.h"
#include "rl/eval.h"
#include "rl/guidance.h"
#include "rl/outcome.h"
#include "rl/reward.h"

enum { G = 6, GROUPS = 50, STEPS = 200, LETTERS = 6, TEXTS = 4096, HELD_OUT = 1024 };

/* ---- the permutation itself ---- */

static struct rollout rollouts[GROUPS][G];
static struct group   groups[GROUPS];

static double reward_of(int g, int i)
{
	return 10 * g + i * i;
}

static void fill_groups(void)
{
	for (int g = 0; g < GROUPS; g++) {
		groups[g] = (struct group){.id = g, .n = G, .rollouts = rollouts[g]};
		for (int i = 0; i < G; i++)
			rollouts[g][i] =
			        (struct rollout){.reward = reward_of(g, i), .right = i % 2};
	}
}

static void permute(uint64_t seed, uint32_t step)
{
	struct arena a = {0};

	fill_groups();
	assert_ok(reward_permute(groups, GROUPS, seed, step, &a));
	arena_free(&a);
}

static void rewards_stay_in_their_group_and_right_with_its_answer(void **state)
{
	(void)state;
	int moved = 0;

	permute(1, 7);
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < G; i++) {
			int found = 0;
			for (int k = 0; k < G; k++)
				found += rollouts[g][k].reward == reward_of(g, i);
			assert_int_equal(found, 1);
			assert_true(rollouts[g][i].right == i % 2);
			moved += rollouts[g][i].reward != reward_of(g, i);
		}
	assert_true(moved > GROUPS * G / 2);
}

static void the_permutation_depends_on_seed_step_and_group(void **state)
{
	(void)state;
	double first[GROUPS][G];
	int    equal_groups = 0, equal_steps = 0, equal_seeds = 0;

	permute(1, 7);
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < G; i++)
			first[g][i] = rollouts[g][i].reward - reward_of(g, 0);
	for (int g = 1; g < GROUPS; g++)
		equal_groups += !memcmp(first[g], first[g - 1], sizeof first[g]);
	permute(1, 8);
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < G; i++)
			equal_steps += rollouts[g][i].reward - reward_of(g, 0) == first[g][i];
	permute(2, 7);
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < G; i++)
			equal_seeds += rollouts[g][i].reward - reward_of(g, 0) == first[g][i];
	assert_true(equal_groups < 3);
	assert_in_range(equal_steps, 1, GROUPS * G / 3); /* a sixth by chance */
	assert_in_range(equal_seeds, 1, GROUPS * G / 3);
	permute(1, 7);
	for (int g = 0; g < GROUPS; g++)
		for (int i = 0; i < G; i++)
			assert_true(rollouts[g][i].reward - reward_of(g, 0) == first[g][i]);
}

/* Otherwise a right answer would still gain, only more slowly. */
static void on_average_every_answer_gets_the_mean_of_its_group(void **state)
{
	(void)state;
	double sum[G] = {0}, mean = 0, variance = 0;

	for (uint32_t step = 0; step < 400; step++) {
		permute(3, step);
		for (int g = 0; g < GROUPS; g++)
			for (int i = 0; i < G; i++)
				sum[i] += (rollouts[g][i].reward - 10 * g) / (400 * GROUPS);
	}
	for (int i = 0; i < G; i++)
		mean += (double)(i * i) / G;
	for (int i = 0; i < G; i++)
		variance += (i * i - mean) * (i * i - mean) / G;
	for (int i = 0; i < G; i++)
		assert_close(sum[i], mean, 4 * sqrt(variance / (400 * GROUPS)));
}

/* ---- token rewards ---- */

/* Gold 1,2: its three characters and the end are worth a quarter each. */
static void a_token_is_paid_what_the_reward_rises_by(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double      rise[5];
	} cases[] = {{"1,2E", {.25, .25, .25, .25}},
	             {"1,3E", {.25, .25, 0, 0}},
	             {"2,2E", {0, 0, 0, 0}},
	             {"1,22E", {.25, .25, .25, 0, 0}}};
	enum { N = sizeof cases / sizeof *cases };
	const struct tokenizer_special end = {"eos", "E"};
	const char *const              names[] = {"sequence"};
	const struct problem           problem = {.answer = "1,2"};
	struct verifier_options        options = {0};
	struct reward_spec             spec;
	struct tokenizer              *t;
	struct arena                   a = {0};
	struct rollout                 answer[N];
	struct group                   g = {.problem = &problem, .n = N, .rollouts = answer};
	struct ids                     ids[N] = {0};

	assert_ok(tokenizer_chars("0123,", &end, 1, &t));
	assert_ok(verifier_open(&spec, names, NULL, 1, &options));
	for (int i = 0; i < N; i++) {
		assert_ok(tokenizer_encode(t, cases[i].text, strlen(cases[i].text), 0, &ids[i]));
		answer[i] = (struct rollout){.n = (int)ids[i].n, .ids = ids[i].id};
	}
	assert_ok(reward_score(&spec, &spec, t, &g, 1, &a));
	assert_ok(reward_follow(&spec, t, &g, 1, &a));
	for (int i = 0; i < N; i++)
		for (int k = 0; k < answer[i].n; k++)
			assert_close(answer[i].rise[k], cases[i].rise[k], 1e-12);
	for (int i = 0; i < N; i++)
		ids_free(&ids[i]);
	verifier_close(&spec);
	tokenizer_free(t);
	arena_free(&a);
}

/* ---- how the prompt ended ---- */

/* A template that ends in <think> has opened the block; the model closes it. */
static void a_block_that_the_prompt_has_opened_counts(void **state)
{
	(void)state;
	const struct tokenizer_special special[] = {{"eos", "E"}, {"mask", "<think>"}};
	const char *const              names[] = {"format"};
	static const char *const       ends[] = {"t<think>\n", "t<think>", "t", "t<think>a",
	                                         "<think></think>"};
	enum { N = sizeof ends / sizeof *ends };
	const struct problem          problem = {.id = "p"};
	const struct verifier_options options = {.tags = "think"};
	struct reward_spec            spec;
	struct tokenizer             *t;
	struct ids                    ids = {0}, prompt_ids[N] = {0};
	struct context                prompt[N];
	struct rollout                answer[N];
	struct group                  groups_of_one[N];
	struct arena                  a = {0};

	assert_ok(tokenizer_chars("ahiknt</>\n", special, 2, &t));
	assert_ok(verifier_open(&spec, names, NULL, 1, &options));
	assert_ok(tokenizer_encode(t, "a</think>E", 10, 0, &ids));
	for (int i = 0; i < N; i++) {
		assert_ok(tokenizer_encode(t, ends[i], strlen(ends[i]), 0, &prompt_ids[i]));
		prompt[i] = (struct context){.ids = prompt_ids[i].id, .n = (int)prompt_ids[i].n};
		answer[i] = (struct rollout){.sampled_under = &prompt[i],
		                             .trained_under = &prompt[i],
		                             .n = (int)ids.n,
		                             .ids = ids.id,
		                             .vote = -1};
		groups_of_one[i] =
		        (struct group){.problem = &problem, .n = 1, .rollouts = &answer[i]};
	}
	assert_ok(reward_score(&spec, &spec, t, groups_of_one, N, &a));
	assert_ok(reward_follow(&spec, t, groups_of_one, N, &a));
	for (int i = 0; i < N; i++) {
		assert_close(answer[i].reward, i < 2, 0);
		/* the tag that closes the block */
		assert_close(answer[i].rise[answer[i].n - 2], i < 2, 0);
		ids_free(&prompt_ids[i]);
	}
	ids_free(&ids);
	verifier_close(&spec);
	tokenizer_free(t);
	arena_free(&a);
}

/* Where the assistant's last message is gone on from, it and the completion are one text, and what
 * opened a block before it is no part of that. */
static void a_block_that_the_completion_was_begun_with_counts_once(void **state)
{
	(void)state;
	const struct tokenizer_special special[] = {{"eos", "E"}, {"mask", "<think>"}};
	const char *const              names[] = {"format"};
	static const struct {
		const char *begun, *prompt;
		double      reward;
	} cases[] = {{"<think>\n", "t<think>\n", 1},
	             {"<think>a", "t<think>a", 1},
	             {"a", "t<think>a", 1},
	             {"a", "ta", 0},
	             {"<think>a</think>", "t<think>a</think>", 0}};
	const struct verifier_options options = {.tags = "think"};
	struct reward_spec            spec;
	struct tokenizer             *t;
	struct ids                    ids = {0};
	struct arena                  a = {0};

	assert_ok(tokenizer_chars("ahiknt</>\n", special, 2, &t));
	assert_ok(verifier_open(&spec, names, NULL, 1, &options));
	assert_ok(tokenizer_encode(t, "a</think>E", 10, 0, &ids));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct message m[] = {{.role = "user", .content = "t"},
		                            {.role = "assistant", .content = cases[i].begun}};
		const struct problem problem = {.id = "p", .messages = m, .n_messages = 2};
		struct ids           prompt_ids = {0};
		struct context       prompt;
		struct rollout       answer;
		struct group         g = {.problem = &problem, .n = 1, .rollouts = &answer};
		assert_ok(tokenizer_encode(t, cases[i].prompt, strlen(cases[i].prompt), 0,
		                           &prompt_ids));
		prompt = (struct context){.ids = prompt_ids.id, .n = (int)prompt_ids.n};
		answer = (struct rollout){.sampled_under = &prompt,
		                          .trained_under = &prompt,
		                          .n = (int)ids.n,
		                          .ids = ids.id,
		                          .vote = -1};
		assert_ok(reward_score(&spec, &spec, t, &g, 1, &a));
		assert_close(answer.reward, cases[i].reward, 0);
		ids_free(&prompt_ids);
	}
	ids_free(&ids);
	verifier_close(&spec);
	tokenizer_free(t);
	arena_free(&a);
}

/* ---- right ---- */

/* TinyZero's published reward: 0.1 for a formula that is well formed and wrong. */
static void credit_for_the_format_leaves_a_group_failed(void **state)
{
	(void)state;
	static const char *const       text[] = {"4+1E", "4-1E", "4+E", "E", "4*1E"};
	static const double            want[] = {.1, .1, 0, 0, 1};
	const char *const              names[] = {"countdown"};
	const struct tokenizer_special end = {"eos", "E"};
	const struct problem           problem = {.row = "{\"numbers\": [4, 1], \"target\": 4}"};
	const struct guidance          guide = {.num_generations = 4};
	struct verifier_options        options = {.format_score = .1};
	struct reward_spec             spec;
	struct tokenizer              *t;
	struct arena                   a = {0};
	struct rollout                 answer[5];
	struct group                   g = {.problem = &problem, .n = 5, .rollouts = answer};
	struct curriculum_outcome     *outcome;
	struct eval_results            results;
	struct ids                     ids[5] = {0};

	assert_ok(tokenizer_chars("0123456789+-*", &end, 1, &t));
	assert_ok(verifier_open(&spec, names, NULL, 1, &options));
	for (int i = 0; i < 5; i++) {
		assert_ok(tokenizer_encode(t, text[i], strlen(text[i]), 0, &ids[i]));
		answer[i] = (struct rollout){.n = (int)ids[i].n, .ids = ids[i].id, .vote = -1};
	}
	assert_ok(reward_score(&spec, &spec, t, &g, 1, &a));
	for (int i = 0; i < 5; i++) {
		assert_close(answer[i].reward, want[i], 0);
		assert_int_equal(answer[i].right, want[i] == 1 ? MARK_RIGHT : MARK_WRONG);
	}
	assert_true(group_right_varies(&g));
	assert_false(guidance_failed(&guide, &g));
	g.n = 4; /* .1 .1 0 0 */
	assert_false(group_right_varies(&g));
	assert_true(guidance_failed(&guide, &g));
	assert_ok(outcome_of_groups(&g, 1, &a, &outcome));
	assert_close(outcome->accuracy, 0, 0);
	/* SEC and DUMP go by the reward, as published */
	assert_close(outcome->advantage[0], .05 / sqrt(.01 / 3), 1e-12);
	assert_ok(eval_groups(&g, 1, 4, &a, &results));
	assert_close(results.items[0].pass_k.mean, 0, 0);
	assert_close(results.items[0].reward.mean, .05, 1e-12);
	for (int i = 0; i < 5; i++)
		ids_free(&ids[i]);
	verifier_close(&spec);
	tokenizer_free(t);
	arena_free(&a);
}

/* A completion without a verdict is neither right nor wrong: the share is over the others. */
static void the_accuracy_of_a_group_is_over_what_was_judged(void **state)
{
	(void)state;
	struct rollout             r[3] = {{.reward = 1, .right = MARK_RIGHT},
	                                   {.reward = NAN, .right = MARK_UNKNOWN},
	                                   {.right = MARK_WRONG}};
	const struct group         g = {.n = 3, .rollouts = r};
	struct arena               a = {0};
	struct curriculum_outcome *out;

	assert_ok(outcome_of_groups(&g, 1, &a, &out));
	assert_close(out->accuracy, .5, 0);
	assert_true(isnan(out->advantage[1]) && out->n_rollouts == 3);
	r[0].right = r[2].right = MARK_UNKNOWN;
	assert_ok(outcome_of_groups(&g, 1, &a, &out));
	assert_true(isnan(out->accuracy));
	arena_free(&a);
}

/* The order and the weights of task.rewards do not matter; task.eval_reward does. */
static void of_several_rewards_the_judge_says_what_is_right(void **state)
{
	(void)state;
	const char *const names[] = {"length", "exact"}, *const judge_name = "ends";
	const struct tokenizer_special end = {"eos", "E"};
	const struct problem           problem = {.answer = "12"};
	const double                   weights[] = {4, .5};
	struct verifier_options        options = {.length.low = 1, .length.high = 3};
	struct reward_spec             spec, judge;
	struct tokenizer              *t;
	struct arena                   a = {0};
	struct rollout                 answer[2];
	struct group                   g = {.problem = &problem, .n = 2, .rollouts = answer};
	struct ids                     ids[2] = {0};

	assert_ok(tokenizer_chars("123.", &end, 1, &t));
	assert_ok(verifier_open(&spec, names, weights, 2, &options));
	assert_ok(verifier_open(&judge, &judge_name, NULL, 1, &options));
	assert_ok(tokenizer_encode(t, "12E", 3, 0, &ids[0]));
	assert_ok(tokenizer_encode(t, "3.E", 3, 0, &ids[1]));
	for (int i = 0; i < 2; i++)
		answer[i] = (struct rollout){.n = 3, .ids = ids[i].id};
	assert_ok(reward_score(&spec, &spec, t, &g, 1, &a));
	assert_true(answer[0].reward == 4.5 && answer[1].reward == 4);
	assert_true(answer[0].right == MARK_RIGHT && answer[1].right == MARK_WRONG);
	assert_ok(reward_score(&spec, &judge, t, &g, 1, &a));
	assert_true(answer[0].reward == 4.5 && answer[1].reward == 4);
	assert_true(answer[0].right == MARK_WRONG && answer[1].right == MARK_RIGHT);
	for (int i = 0; i < 2; i++)
		ids_free(&ids[i]);
	verifier_close(&spec);
	verifier_close(&judge);
	tokenizer_free(t);
	arena_free(&a);
}

/* ---- X16: a whole run ---- */

static const char config[] =
        "model:\n"
        "  tokenizer: 'chars:abcd='\n"
        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 16}\n"
        "data: {train: train.jsonl, eval: eval.jsonl}\n"
        "task: {reward: exact}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0}\n"
        "rollout: {num_generations: 8, prompts_per_step: 8, max_completion_length: 1}\n"
        "optim: {learning_rate: 1e-3}\n"
        "run: {max_steps: 200, save_steps: 0, eval_steps: 200, seed: 1, tensorboard: false}\n";

/* All texts of six letters out of four, in a mixed order: the last letter is to be said again.
 * Random weights are right one time in eight. */
static void write_problems(void)
{
	FILE *train = fopen("train.jsonl", "w"), *eval = fopen("eval.jsonl", "w");

	assert_true(train && eval);
	for (int i = 0; i < TEXTS; i++) {
		char text[LETTERS + 1] = "";
		int  x = i * 2641 % TEXTS; /* odd, so every text once */
		for (int k = 0; k < LETTERS; k++, x /= 4)
			text[k] = "abcd"[x % 4];
		fprintf(i < TEXTS - HELD_OUT ? train : eval,
		        "{\"prompt\": \"%s=\", \"answer\": \"%c\"}\n", text, text[LETTERS - 1]);
	}
	fclose(train);
	fclose(eval);
}

struct held_out {
	double mean, error;
};

static struct held_out held_out_at(const char *folder, int step)
{
	char            path[64], line[8192];
	struct held_out h = {NAN, NAN};
	FILE           *f;

	snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		json_t *row = json_loads(line, 0, NULL),
		       *mean = json_object_get(row, "eval/pass@1");
		if (mean && json_integer_value(json_object_get(row, "step")) == step)
			h = (struct held_out){
			        json_number_value(mean),
			        json_number_value(json_object_get(row, "eval/pass@1_stderr"))};
		json_decref(row);
	}
	fclose(f);
	assert_true(isfinite(h.mean) && h.error > 0);
	return h;
}

/* The rise of held-out accuracy over the run, in standard errors of a difference. */
static double rise(const char *folder)
{
	struct held_out before = held_out_at(folder, 0), after = held_out_at(folder, STEPS);

	print_message("%s: %.3f -> %.3f\n", folder, before.mean, after.mean);
	return (after.mean - before.mean) / hypot(before.error, after.error);
}

static void permuted_rewards_teach_nothing_and_the_same_job_without_learns(void **state)
{
	(void)state;
	write_problems();
	write_text("job.yaml", config);
	assert_int_equal(hone("train job.yaml run.output_dir=control task.permute_rewards=true"),
	                 0);
	assert_int_equal(hone("train job.yaml run.output_dir=plain"), 0);
	assert_true(rise("plain") > 10);
	assert_true(fabs(rise("control")) <= 2);
}

/* The rises belong to the answer, the permuted reward does not: the control would learn. */
static void token_rewards_beside_permuted_ones_are_refused(void **state)
{
	(void)state;
	write_problems();
	write_text("job.yaml", config);
	assert_int_equal(hone("train job.yaml run.output_dir=both task.permute_rewards=true "
	                      "task.token_rewards=true"),
	                 2);
	assert_true(file_says("stderr", "task.token_rewards pays"));
}

static void threads_change_no_bit_of_a_run_with_token_rewards(void **state)
{
	(void)state;
	const char *line = "train job.yaml task.reward=sequence task.token_rewards=true "
	                   "rollout.max_completion_length=3 run.max_steps=4 "
	                   "run.output_dir=t%d compute.threads=%d";

	write_problems();
	write_text("job.yaml", config);
	assert_int_equal(hone(line, 1, 1), 0);
	assert_int_equal(hone(line, 3, 3), 0);
	assert_true(same_bytes("t1/checkpoint-4/model.safetensors",
	                       "t3/checkpoint-4/model.safetensors"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(rewards_stay_in_their_group_and_right_with_its_answer),
	        TEST(the_permutation_depends_on_seed_step_and_group),
	        TEST(on_average_every_answer_gets_the_mean_of_its_group),
	        TEST(a_token_is_paid_what_the_reward_rises_by),
	        TEST(a_block_that_the_prompt_has_opened_counts),
	        TEST(a_block_that_the_completion_was_begun_with_counts_once),
	        TEST(credit_for_the_format_leaves_a_group_failed),
	        TEST(of_several_rewards_the_judge_says_what_is_right),
	        TEST(the_accuracy_of_a_group_is_over_what_was_judged),
	        TEST(token_rewards_beside_permuted_ones_are_refused),
	        TEST(threads_change_no_bit_of_a_run_with_token_rewards),
	        TEST(permuted_rewards_teach_nothing_and_the_same_job_without_learns)};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
