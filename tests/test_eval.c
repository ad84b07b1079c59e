/* hone eval: what it counts, what it asks the model, and that nothing but the question changes a
 * figure. */
#include "data/problem.h"
#include "rl/eval.h"
#include "rl/vote.h"
#include "run.h"

#include <string.h>

static char tree[PATH_MAX]; /* the root of the sources */

/* ---- figures ---- */

/* Over all k of n completions of which the first c are right: the share of draws with a right one
 * among them. */
static double by_drawing(int n, int c, int k)
{
	int draws = 0, lucky = 0;

	for (int set = 0; set < 1 << n; set++)
		if (__builtin_popcount((unsigned)set) == k) {
			draws++;
			lucky += (set & ((1 << c) - 1)) != 0;
		}
	return (double)lucky / draws;
}

static void pass_at_k_is_the_share_of_lucky_draws(void **state)
{
	(void)state;
	for (int n = 1; n <= 8; n++)
		for (int c = 0; c <= n; c++)
			for (int k = 1; k <= n; k++)
				assert_close(eval_pass_k(n, c, k), by_drawing(n, c, k), 1e-14);
}

/* Over problems, by the unbiased variance: of shares 0 and 1 the error is sqrt(1/2 / 2). */
static void the_error_of_a_wrong_and_a_right_problem_is_a_half(void **state)
{
	(void)state;
	struct rollout wrong = {.n = 1, .right = MARK_WRONG, .vote = -1},
	               right = {.n = 1, .right = MARK_RIGHT};
	const struct problem p = {.id = "p"};
	const struct group   groups[] = {{.problem = &p, .n = 1, .rollouts = &wrong},
	                                 {.problem = &p, .n = 1, .rollouts = &right}};
	struct arena         a = {0};
	struct eval_results  t;

	assert_ok(eval_groups(groups, 2, 1, &a, &t));
	assert_close(t.items[0].pass_1.mean, .5, 0);
	assert_close(t.items[0].pass_1.error, .5, 1e-15);
	assert_ok(eval_groups(groups, 1, 1, &a, &t));
	assert_true(isnan(t.items[0].pass_1.error));
	arena_free(&a);
}

enum { ANSWERS_MAX = 8 };

/* Groups of answers given as texts; "" stands for one in which nothing was found. */
static struct group group_of(const struct problem *p, const char *const *texts, const double *right,
                             int n)
{
	struct rollout *r = calloc((size_t)n, sizeof *r);

	for (int i = 0; i < n; i++)
		r[i] = (struct rollout){.n = 1,
		                        .text = texts[i],
		                        .n_text = strlen(texts[i]),
		                        .parsed = *texts[i] != 0,
		                        .right = isnan(right[i]) ? MARK_UNKNOWN : right[i] == 1};
	return (struct group){.problem = p, .n = n, .rollouts = r};
}

static void assert_votes(const char *verifier, const char *const *texts, const int *want, int n)
{
	const struct problem p = {.id = "p", .answer = "1"};
	const double         none[ANSWERS_MAX] = {0};
	struct reward_spec   spec;
	struct group         g = group_of(&p, texts, none, n);

	assert_ok(verifier_open(&spec, &verifier, NULL, 1, NULL));
	assert_ok(vote_groups(&spec, &g, 1));
	for (int i = 0; i < n; i++)
		if (g.rollouts[i].vote != want[i])
			fail_msg("%s: answer %d (%s) votes for %d, not %d", verifier, i, texts[i],
			         g.rollouts[i].vote, want[i]);
	verifier_close(&spec);
	free(g.rollouts);
}

static void answers_vote_together_when_the_verifier_takes_one_for_the_other(void **state)
{
	(void)state;
	assert_votes("numeric",
	             (const char *const[]){"It is 1/2.", "", "so #### 0.5", "3",
	                                   "answer: .50\nNot 3.", "3.0"},
	             (const int[]){0, -1, 0, 3, 0, 3}, 6);
	assert_votes("math",
	             (const char *const[]){"\\boxed{\\frac{1}{2}}", "\\boxed{0.5}",
	                                   "\\boxed{(1,2)}", "\\boxed{ (1, 2) }", "\\boxed{x+1}",
	                                   "\\boxed{1+x}"},
	             (const int[]){0, 0, 2, 2, 4, 4}, 6);
	assert_votes("exact",
	             (const char *const[]){"a", "so <answer> a </answer>", "b", "a b", "answer: b"},
	             (const int[]){0, 0, 2, 3, 2}, 5);
}

static void the_first_of_equally_frequent_answers_decides(void **state)
{
	(void)state;
	static const struct {
		const char *text[4];
		double      right[4], maj;
	} cases[] = {
	        /* most votes */
	        {{"7", "8", "8", "9"}, {0, 1, 1, 0}, 1},
	        /* 7 came first */
	        {{"7", "8", "8", "7"}, {0, 1, 1, 0}, 0},
	        /* nothing found, no vote */
	        {{"8", "7", "7", "8"}, {1, 0, 0, 1}, 1},
	        {{"", "", "", "8"}, {0, 0, 0, 1}, 1},
	        {{"", "", "", ""}, {0, 0, 0, 0}, 0},
	};
	const char          *numeric = "numeric";
	const struct problem p = {.id = "p", .answer = "8"};
	struct reward_spec   spec;

	assert_ok(verifier_open(&spec, &numeric, NULL, 1, NULL));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena        a = {0};
		struct group        g = group_of(&p, cases[i].text, cases[i].right, 4);
		struct eval_results t;
		assert_ok(vote_groups(&spec, &g, 1));
		assert_ok(eval_groups(&g, 1, 2, &a, &t));
		assert_close(t.items[0].maj.mean, cases[i].maj, 0);
		assert_int_equal(t.n_curve, 3);
		assert_int_equal(t.curve[1], 2);
		assert_close(t.items[0].curve[1].mean, t.items[0].pass_k.mean, 0);
		assert_close(t.items[0].curve[0].mean, t.items[0].pass_1.mean, 0);
		free(g.rollouts);
		arena_free(&a);
	}
	verifier_close(&spec);
}

/* ---- the command ---- */

static json_t *results(const char *path)
{
	json_t *j;

	assert_ok(json_read(path, 1 << 20, &j));
	return j;
}

static json_t *file_at(json_t *j, size_t i)
{
	json_t *f = json_array_get(json_object_get(j, "files"), i);

	assert_non_null(f);
	return f;
}

static double figure(json_t *j, size_t file, const char *name)
{
	return json_number_value(json_object_get(json_object_get(file_at(j, file), "all"), name));
}

static double last_logged(const char *log)
{
	double logged = NAN;
	char   line[4096];
	FILE  *f = fopen(log, "r");

	while (f && fgets(line, sizeof line, f)) {
		json_t *row = json_loads(line, 0, NULL),
		       *pass = json_object_get(row, "eval/pass@1");
		logged = pass ? json_number_value(pass) : logged;
		json_decref(row);
	}
	fclose(f);
	assert_true(logged > 0 && logged < 1);
	return logged;
}

/* Problems of two sources, one answer each: 0 and 1 of source 0 (mean 1/2, error 1/2), 1 of source
 * 1 (no error), none of source 2. */
static void each_source_has_its_own_figures_and_errors_are_those_of_two_problems(void **state)
{
	(void)state;
	const struct problem p[3] = {{.id = "a"}, {.id = "b"}, {.id = "c", .source = 1}};
	const char          *text = "x";
	const double         wrong = 0, right = 1;
	struct group g[3] = {group_of(&p[0], &text, &wrong, 1), group_of(&p[1], &text, &right, 1),
	                     group_of(&p[2], &text, &right, 1)};
	struct arena a = {0};
	struct eval_mean    m;
	struct eval_results t;
	char                said[EVAL_TEXT];

	assert_ok(eval_source(g, 3, 0, &a, &m));
	assert_close(m.mean, 0.5, 0);
	assert_close(m.error, 0.5, 1e-15);
	assert_string_equal(eval_text(m, said), "50.0% +- 50.0");
	assert_ok(eval_source(g, 3, 1, &a, &m));
	assert_close(m.mean, 1, 0);
	assert_true(isnan(m.error));
	assert_string_equal(eval_text(m, said), "100.0%");
	assert_ok(eval_source(g, 3, 2, &a, &m));
	assert_true(isnan(m.mean));
	assert_ok(eval_groups(g, 2, 1, &a, &t));
	assert_close(t.items[0].pass_1.error, 0.5, 1e-15);
	for (int i = 0; i < 3; i++)
		free(g[i].rollouts);
	arena_free(&a);
}

static void a_run_is_evaluated_as_it_evaluates_itself(void **state)
{
	(void)state;
	json_t *j;
	double  logged = last_logged("run/metrics.jsonl");

	assert_int_equal(hone("eval run --output whole.json"), 0);
	j = results("whole.json");
	assert_close(figure(j, 0, "pass@1"), logged, 0);
	assert_int_equal(json_integer_value(json_object_get(j, "samples")), 4);
	assert_string_equal(json_string_value(json_object_get(j, "task")), "exact");
	json_decref(j);
	assert_int_equal(hone("eval run/checkpoint-60 --output checkpoint.json"), 0);
	j = results("checkpoint.json");
	assert_close(figure(j, 0, "pass@1"), logged, 0);
	json_decref(j);
}

/* A run samples its held-out answers by its own keys, whatever the generation_config.json of the
 * model that it started from says. */
static void a_run_on_a_model_with_habits_is_too(void **state)
{
	(void)state;
	json_t *j;

	shell("cp -r model habits && sed -i 's/{/{\"top_k\": 1, /' habits/generation_config.json");
	write_text("adapter.yaml", "model: {path: habits, lora_r: 2}\ndata: {train: train.jsonl, "
	                           "eval: first.jsonl, prompt_template: '{prompt}='}\n"
	                           "task: {reward: exact}\nrollout: {max_completion_length: 2}\n"
	                           "run: {max_steps: 1, save_steps: 0, eval_steps: 1, "
	                           "eval_samples: 4, tensorboard: false}\n");
	assert_int_equal(hone("sft adapter.yaml run.output_dir=adapter"), 0);
	assert_int_equal(hone("eval adapter --output adapter.json"), 0);
	assert_says("stderr", "sampling: temperature 1, top_k 0");
	j = results("adapter.json");
	assert_close(figure(j, 0, "pass@1"), last_logged("adapter/metrics.jsonl"), 0);
	json_decref(j);
	assert_int_equal(hone("eval habits --data first.jsonl --task exact"), 0);
	assert_says("stderr", "top_k 1");
}

static void threads_and_slots_and_other_files_change_no_bit(void **state)
{
	(void)state;
	json_t *both, *alone;

	assert_int_equal(hone("eval run compute.threads=1 rollout.batch_size=1 --output a.json "
	                      "--completions a.jsonl"),
	                 0);
	assert_int_equal(hone("eval run compute.threads=3 rollout.batch_size=17 --output b.json "
	                      "--completions b.jsonl"),
	                 0);
	assert_true(same_bytes("a.json", "b.json"));
	assert_true(same_bytes("a.jsonl", "b.jsonl"));
	assert_int_equal(hone("eval run --data first.jsonl --data second.jsonl --output both.json"),
	                 0);
	assert_int_equal(hone("eval run --data second.jsonl --output second.json"), 0);
	both = results("both.json");
	alone = results("second.json");
	assert_string_equal(json_string_value(json_object_get(file_at(both, 1), "name")), "second");
	assert_true(json_equal(file_at(both, 1), file_at(alone, 0)));
	assert_close(json_number_value(json_object_get(json_object_get(both, "mean"), "pass@1")),
	             (figure(both, 0, "pass@1") + figure(both, 1, "pass@1")) / 2, 1e-15);
	assert_null(json_object_get(alone, "mean"));
	json_decref(both);
	json_decref(alone);
}

static void another_seed_gives_other_answers(void **state)
{
	(void)state;
	assert_int_equal(hone("eval run --seed 1 --completions one.jsonl"), 0);
	assert_int_equal(hone("eval run --seed 2 --completions two.jsonl"), 0);
	assert_false(same_bytes("one.jsonl", "two.jsonl"));
}

static void a_config_brings_its_template_files_and_verifier(void **state)
{
	(void)state;
	json_t *with, *without;

	assert_int_equal(hone("eval run/checkpoint-60 --config job.yaml --output with.json"), 0);
	with = results("with.json");
	assert_string_equal(json_string_value(json_object_get(file_at(with, 0), "file")),
	                    "first.jsonl");
	assert_true(figure(with, 0, "pass@1") > 0.5);
	assert_int_equal(hone("eval run/checkpoint-60 --config job.yaml --template '{prompt}' "
	                      "--output without.json"),
	                 0);
	without = results("without.json");
	/* the sign that the model knows is not there */
	assert_true(figure(without, 0, "pass@1") < figure(with, 0, "pass@1"));
	assert_int_equal(hone("eval job.yaml 'model.path=run' --output direct.json"), 2);
	assert_says("stderr", "model.init.width is set, but it is read only when model.path=");
	json_decref(with);
	json_decref(without);
}

static void categories_and_errors_are_in_the_table_and_in_the_file(void **state)
{
	(void)state;
	json_t *j, *c;
	int     n = 0;

	assert_int_equal(hone("eval run --samples 8 --k 2 --output c.json"), 0);
	assert_says("stdout", "pass@2");
	assert_says("stdout", "maj@8");
	assert_says("stdout", "  odd ");
	j = results("c.json");
	assert_int_equal(json_integer_value(json_object_get(j, "k")), 2);
	for (size_t i = 0; (c = json_array_get(json_object_get(file_at(j, 0), "categories"), i));
	     i++) {
		n += (int)json_integer_value(json_object_get(c, "problems"));
		assert_true(json_is_real(json_object_get(c, "pass@1_stderr")));
		assert_true(json_object_get(json_object_get(c, "curve"), "8") != NULL);
	}
	assert_int_equal(n, json_integer_value(json_object_get(
	                            json_object_get(file_at(j, 0), "all"), "problems")));
	json_decref(j);
}

static void mistakes_are_said_before_any_work(void **state)
{
	(void)state;
	static const struct {
		const char *line, *says;
	} cases[] = {
	        {"eval", "usage: hone eval"},
	        {"eval run --data", "--data wants a value"},
	        {"eval run/checkpoint-60 --config job.yaml --data nowhere.jsonl",
	         "nowhere.jsonl: cannot open it"},
	        {"eval run --samples 2 --k 4",
	         "run.eval_k (4) must be at most run.eval_samples (2)"},
	        {"eval run --samples 0", "run.eval_samples is 0, outside 1"},
	        {"eval run --task exakt", "no verifier \"exakt\""},
	        {"eval run --output nowhere/x.json", "there is no folder nowhere"},
	        {"eval run --sample 3", "did you mean --samples?"},
	        {"eval job.yaml", "model.path is empty"},
	        {"eval model --task exact", "nothing to evaluate on"},
	        {"eval model --data first.jsonl", "which verifier?"},
	        {"eval job.yaml --config job.yaml", "not a folder"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(hone("%s", cases[i].line), 2);
		assert_says("stderr", cases[i].says);
	}
}

/* The shapes of GSM8K (a worked solution that ends in #### N), of MATH-500, and of AIME (a boxed
 * integer). */
static void the_mathematics_config_reads_the_published_shapes(void **state)
{
	(void)state;
	json_t *j;

	write_text("gsm8k.jsonl", "{\"question\": \"2 apples and 3?\", \"answer\": \"2 + 3 = "
	                          "<<2+3=5>>5\\n#### 5\"}\n");
	write_text(
	        "math500.jsonl",
	        "{\"problem\": \"Find $1/2$.\", \"solution\": \"It is $\\\\boxed{\\\\frac12}$.\", "
	        "\"answer\": \"\\\\frac{1}{2}\", "
	        "\"subject\": \"Algebra\", \"level\": 1, \"unique_id\": \"test/algebra/1.json\"}\n"
	        "{\"problem\": \"Find $x$.\", \"solution\": \"$\\\\boxed{y}$\", \"answer\": \"y\", "
	        "\"subject\": \"Number Theory\", "
	        "\"level\": 5, \"unique_id\": \"test/number_theory/2.json\"}\n");
	write_text("aime24.jsonl",
	           "{\"problem\": \"Find $m+n$.\", \"answer\": \"\\\\boxed{204}\"}\n");
	assert_int_equal(
	        hone("eval %s/data/models/stories260k --config %s/configs/math/eval-math.yaml "
	             "--data gsm8k.jsonl --data math500.jsonl "
	             "--data aime24.jsonl --max-tokens 8 --output math.json "
	             "data.category_column=subject",
	             tree, tree),
	        0);
	j = results("math.json");
	assert_int_equal(json_array_size(json_object_get(j, "files")), 3);
	assert_int_equal(json_array_size(json_object_get(file_at(j, 1), "categories")), 2);
	assert_string_equal(json_string_value(json_object_get(j, "task")), "math");
	assert_int_equal(
	        json_integer_value(json_object_get(json_object_get(j, "mean"), "problems")), 4);
	json_decref(j);
}

/* A small model that has learned to say the last letter of its prompt again, most of the time. */
static int make_run(void **state)
{
	(void)state;
	FILE *first = fopen("first.jsonl", "w"), *second = fopen("second.jsonl", "w"),
	     *train = fopen("train.jsonl", "w");

	for (int i = 0; i < 256; i++) {
		char text[5] = {"abcd"[i % 4], "abcd"[i / 4 % 4], "abcd"[i / 16 % 4],
		                "abcd"[i / 64 % 4], 0};
		fprintf(i % 4 == 0   ? first
		        : i % 4 == 1 ? second
		                     : train,
		        "{\"prompt\": \"%s\", \"answer\": \"%c\", \"category\": \"%s\"}\n", text,
		        text[3], i / 4 % 2 ? "odd" : "even");
	}
	fclose(first);
	fclose(second);
	fclose(train);
	write_text("job.yaml",
	           "model:\n  tokenizer: 'chars:abcd='\n"
	           "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, "
	           "ff_width: 24, n_positions: 16}\n"
	           "data: {train: train.jsonl, eval: first.jsonl, prompt_template: '{prompt}='}\n"
	           "task: {reward: exact}\nrollout: {max_completion_length: 2}\noptim: "
	           "{learning_rate: 1e-2}\n"
	           "sft: {batch_size: 32}\n"
	           "run: {max_steps: 60, save_steps: 0, eval_steps: 60, eval_samples: 4, seed: 1, "
	           "tensorboard: false}\n");
	if (hone("sft job.yaml run.output_dir=run"))
		return 1;
	shell("cp -r run/checkpoint-60 model");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(pass_at_k_is_the_share_of_lucky_draws),
	        TEST(the_error_of_a_wrong_and_a_right_problem_is_a_half),
	        TEST(answers_vote_together_when_the_verifier_takes_one_for_the_other),
	        TEST(the_first_of_equally_frequent_answers_decides),
	        TEST(each_source_has_its_own_figures_and_errors_are_those_of_two_problems),
	        TEST(a_run_is_evaluated_as_it_evaluates_itself),
	        TEST(a_run_on_a_model_with_habits_is_too),
	        TEST(threads_and_slots_and_other_files_change_no_bit),
	        TEST(another_seed_gives_other_answers),
	        TEST(a_config_brings_its_template_files_and_verifier),
	        TEST(categories_and_errors_are_in_the_table_and_in_the_file),
	        TEST(mistakes_are_said_before_any_work),
	        TEST(the_mathematics_config_reads_the_published_shapes),
	};

	if (!realpath(".", tree))
		return 1;
	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, make_run, NULL);
}
