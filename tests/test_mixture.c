/* Mixtures of sources in fixed shares: the plan, and runs that train on one. */
#include "base/rng.h"
#include "data/mixture.h"
#include "run.h"

enum { SOURCES_MAX = 5, PROBLEMS_MAX = 400 };

static const struct {
	int                   n_sources;
	struct mixture_source sources[SOURCES_MAX];
} cases[] = {
        {2, {{3, 1}, {2, 2}}},
        {2, {{100, 1}, {7, 1}}},
        {3, {{1, 0.2}, {50, 0.3}, {333, 0.5}}},
        {4, {{10, 1}, {10, 2}, {10, 3}, {10, 4}}},
        {1, {{9, 0.1}}},
        {5, {{399, 7}, {1, 0.01}, {2, 0.5}, {80, 3}, {31, 2.49}}},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void plan(int c, uint64_t seed, struct arena *a, struct mixture *m)
{
	int largest;

	assert_ok(mixture_plan(cases[c].sources, cases[c].n_sources, seed, a, m, &largest));
}

static double share(int c, int s)
{
	double sum = 0;

	for (int i = 0; i < cases[c].n_sources; i++)
		sum += cases[c].sources[i].weight;
	return cases[c].sources[s].weight / sum;
}

static void every_source_has_its_share_and_every_problem_its_turn(void **state)
{
	(void)state;
	for (int c = 0; c < N_CASES; c++) {
		struct arena   a = {0};
		struct mixture m;
		int            times[SOURCES_MAX][PROBLEMS_MAX] = {{0}};
		plan(c, 1, &a, &m);
		for (int i = 0; i < m.n; i++)
			times[m.entries[i].source][m.entries[i].item]++;
		for (int s = 0; s < cases[c].n_sources; s++) {
			int sum = 0, low = m.count[s] / cases[c].sources[s].n;
			assert_true(low >= 1);
			for (int k = 0; k < cases[c].sources[s].n; k++) {
				assert_in_range(times[s][k], low, low + 1);
				sum += times[s][k];
			}
			assert_int_equal(sum, m.count[s]);
			assert_true(fabs(m.count[s] - m.n * share(c, s)) <= cases[c].n_sources);
		}
		arena_free(&a);
	}
}

/* So also the order of the list (curriculum sequential) is a mixture. */
static void sources_are_spread_evenly_over_the_pass(void **state)
{
	(void)state;
	for (int c = 0; c < N_CASES; c++) {
		struct arena   a = {0};
		struct mixture m;
		int            so_far[SOURCES_MAX] = {0};
		plan(c, 1, &a, &m);
		for (int i = 0; i < m.n; i++) {
			so_far[m.entries[i].source]++;
			for (int s = 0; s < cases[c].n_sources; s++)
				assert_true(fabs(so_far[s] - (double)m.count[s] * (i + 1) / m.n) <
				            cases[c].n_sources);
		}
		arena_free(&a);
	}
}

static void the_seed_chooses_who_comes_once_more(void **state)
{
	(void)state;
	struct arena   a = {0};
	struct mixture one, same, other;
	size_t         bytes;

	plan(1, 1, &a, &one);
	plan(1, 1, &a, &same);
	plan(1, 2, &a, &other);
	bytes = (size_t)one.n * sizeof *one.entries;
	assert_memory_equal(one.entries, same.entries, bytes);
	assert_int_equal(one.n, other.n);
	assert_true(memcmp(one.entries, other.entries, bytes) != 0);
	arena_free(&a);
}

static void a_pass_without_end_is_refused(void **state)
{
	(void)state;
	struct arena   a = {0};
	struct mixture m;
	int            largest = -1;

	assert_error(mixture_plan((const struct mixture_source[]){{10, 1e6}, {1000, 1e-6}}, 2, 0,
	                          &a, &m, &largest),
	             ERR_INPUT, "more than 16777216 entries");
	assert_int_equal(largest, 1);
	arena_free(&a);
}

/* ---- runs ---- */

static void write_rows(const char *path, const char *letter, int n)
{
	FILE *f = fopen(path, "w");

	for (int i = 0; i < n; i++)
		fprintf(f,
		        "{\"id\": \"%s%d\", \"prompt\": \"%d%d\", \"answer\": \"%d\", "
		        "\"difficulty\": %d}\n",
		        letter, i, i / 10, i % 10, i % 10, i % 3);
	fclose(f);
}

/* How many groups of the rollouts come from problems of that letter. */
static int count_groups(const char *path, char letter)
{
	char  line[65536], quoted[32];
	FILE *f = fopen(path, "r");
	int   n = 0;

	assert_non_null(f);
	snprintf(quoted, sizeof quoted, "\"problem\": \"%c", letter);
	while (fgets(line, sizeof line, f))
		n += strstr(line, quoted) != NULL;
	fclose(f);
	return n;
}

/* Problem "b17" asks "17": its prompt is two ids, each that of "0" and so much more. */
static void assert_asks_its_question(const json_t *row, json_int_t zero)
{
	const json_t *prompt = json_object_get(row, "prompt");
	int           i = atoi(json_string_value(json_object_get(row, "problem")) + 1);

	assert_int_equal(json_integer_value(json_array_get(prompt, 0)) - zero, i / 10);
	assert_int_equal(json_integer_value(json_array_get(prompt, 1)) - zero, i % 10);
}

static void every_place_of_a_mixture_asks_the_question_of_its_problem(void **state)
{
	(void)state;
	char       line[65536];
	json_int_t zero = -1;
	FILE      *f;
	int        n = 0;

	assert_int_equal(hone("rollouts mix.yaml rollout.num_generations=2 "
	                      "rollout.prompts_per_step=9 curriculum.kind=sequential --output "
	                      "asked.jsonl"),
	                 0);
	f = fopen("asked.jsonl", "r");
	for (; fgets(line, sizeof line, f); n++) {
		json_t *row = json_loads(line, 0, NULL);
		if (n == 0)
			zero = -1; /* the header */
		else if (zero < 0 &&
		         !strcmp(json_string_value(json_object_get(row, "problem")) + 1, "0"))
			zero = json_integer_value(
			        json_array_get(json_object_get(row, "prompt"), 0));
		json_decref(row);
	}
	assert_true(zero >= 0);
	rewind(f);
	for (n = 0; fgets(line, sizeof line, f); n++) {
		json_t *row = json_loads(line, 0, NULL);
		if (n)
			assert_asks_its_question(row, zero);
		json_decref(row);
	}
	assert_int_equal(n, 1 + 2 * 45);
	fclose(f);
}

/* 6 problems at weight 1 and 30 at weight 2: a pass has 45 entries, 15 and 30. */
static void a_pass_of_rollouts_has_the_shares_of_the_config(void **state)
{
	(void)state;
	static const char *const orders[] = {"uniform", "sequential"};

	for (int i = 0; i < 2; i++) {
		assert_int_equal(
		        hone("rollouts mix.yaml rollout.num_generations=2 "
		             "rollout.prompts_per_step=9 curriculum.kind=%s --output %s.jsonl",
		             orders[i], orders[i]),
		        0);
		shell("mv %s.jsonl rows.jsonl", orders[i]);
		assert_int_equal(count_groups("rows.jsonl", 'a'), 2 * 15);
		assert_int_equal(count_groups("rows.jsonl", 'b'), 2 * 30);
	}
}

static void every_curriculum_trains_on_a_mixture_and_resumes_to_the_same_bits(void **state)
{
	(void)state;
	static const char *const kinds[] = {"uniform", "sequential", "easy_to_hard", "sec", "dump"};

	for (int i = 0; i < 5; i++) {
		assert_int_equal(
		        hone("train mix.yaml curriculum.kind=%s run.output_dir=%s run.max_steps=6",
		             kinds[i], kinds[i]),
		        0);
		assert_int_equal(hone("train mix.yaml curriculum.kind=%s run.output_dir=%s-2 "
		                      "run.max_steps=3 compute.threads=2",
		                      kinds[i], kinds[i]),
		                 0);
		assert_int_equal(hone("train mix.yaml curriculum.kind=%s run.output_dir=%s-2 "
		                      "run.max_steps=6 --resume",
		                      kinds[i], kinds[i]),
		                 0);
		char one[256], two[256];
		snprintf(one, sizeof one, "%s/checkpoint-6/model.safetensors", kinds[i]);
		snprintf(two, sizeof two, "%s-2/checkpoint-6/model.safetensors", kinds[i]);
		assert_true(same_bytes(one, two));
	}
	assert_says("stdout", "mixture: a pass has few 33.33% (6 problems, each 2.5 times), b "
	                      "66.67% (30 problems, each 1 times)");
}

static void a_config_that_extends_a_mixture_has_it(void **state)
{
	(void)state;
	write_text("child.yaml", "extends: mix.yaml\nrun: {output_dir: child}\n");
	assert_int_equal(hone("train child.yaml"), 0);
	assert_says("child/config.yaml",
	            "train: [{file: a.jsonl, name: few, weight: 1}, {file: b.jsonl, weight: 2}]");
	assert_says("child/data.json", "\"name\": \"few\", \"file\": \"a.jsonl\", \"problems\": 6, "
	                               "\"used\": 6, \"entries\": 15");
	write_text(
	        "other.yaml",
	        "extends: mix.yaml\ndata: {train: [a.jsonl, b.jsonl]}\nrun: {output_dir: other}\n");
	assert_int_equal(hone("train other.yaml"), 0);
	assert_says("other/data.json", "\"problems\": 6, \"used\": 6, \"entries\": 6");
}

static double first_accuracy(const char *log)
{
	char   line[8192];
	double accuracy = NAN;
	FILE  *f = fopen(log, "r");

	while (isnan(accuracy) && fgets(line, sizeof line, f)) {
		json_t *row = json_loads(line, 0, NULL), *value = json_object_get(row, "accuracy");
		accuracy = value ? json_number_value(value) : NAN;
		json_decref(row);
	}
	fclose(f);
	return accuracy;
}

/* Two tasks in one run, each file with its verifier, in training and held out. */
static void files_can_bring_verifiers_of_their_own(void **state)
{
	(void)state;
	json_t *eval;

	write_text("tasks.yaml", "extends: mix.yaml\n"
	                         "data: {train: [a.jsonl, {file: b.jsonl, reward: sequence}], "
	                         "eval: [{file: a.jsonl, reward: numeric}, "
	                         "{file: b.jsonl, reward: sequence}]}\n"
	                         "run: {eval_steps: 2}\n");
	assert_int_equal(
	        hone("train tasks.yaml curriculum.kind=sequential rollout.prompts_per_step=18"), 0);
	assert_says("runs/tasks/metrics.jsonl", "\"rewards/exact/mean\"");
	assert_says("runs/tasks/metrics.jsonl", "\"rewards/sequence/mean\"");
	assert_says("runs/tasks/metrics.jsonl", "eval/pass@1");
	assert_int_equal(hone("eval runs/tasks --samples 2 --output tasks.json"), 0);
	assert_ok(json_read("tasks.json", 1 << 20, &eval));
	assert_int_equal(json_array_size(json_object_get(eval, "files")), 2);
	json_decref(eval);
	/* rows without one of their own: their accuracy is that of task.eval_reward, also where it
	 * is another file's own verifier; the first step has only such */
	assert_int_equal(hone("train tasks.yaml run.output_dir=both task.eval_reward=no_repeat "
	                      "'data.train=[a.jsonl, {file: b.jsonl, "
	                      "reward: no_repeat}]' "
	                      "curriculum.kind=sequential rollout.prompts_per_step=6 "
	                      "rollout.num_generations=16"),
	                 0);
	assert_true(first_accuracy("both/metrics.jsonl") > 0);
	assert_int_equal(hone("train tasks.yaml run.output_dir=wrong 'data.train=[{file: a.jsonl, "
	                      "reward: chess}]'"),
	                 2);
	assert_says("stderr", "the reward of a: no verifier \"chess\"");
	assert_int_equal(hone("train tasks.yaml run.output_dir=fade task.verifier.partial=0.5"), 2);
	assert_says("stderr", "task.verifier.partial is set, but it is read only when");
	assert_int_equal(hone("train mix.yaml run.output_dir=fade task.verifier.ignore_case=true "
	                      "'data.train=[{file: a.jsonl, reward: "
	                      "exact}]' task.reward=numeric"),
	                 0);
}

static void what_cannot_be_mixed_is_said(void **state)
{
	(void)state;
	static const struct {
		const char *settings, *says;
	} wrong[] = {
	        {"data.train='[{file: a.jsonl, weight: 1}, b.jsonl]'",
	         "data.train: b has no weight, but others have"},
	        {"data.generate='[{name: sequence, count: 3}]'", "sequence has no weight"},
	        {"data.train='[{file: a.jsonl, weight: 1e6}, {file: b.jsonl, weight: 1e-6}]'",
	         "data.train: 30 problems of b for its share: one pass over"},
	        {"data.train='[{file: a.jsonl, weight: -1}]'",
	         "data.train[0].weight is -1, outside"},
	        {"data.eval='[{file: a.jsonl, weight: 1}]'",
	         "data.eval[0].weight is not an option"},
	        {"data.train='[{file: a.jsonl, weight: 1}, {file: a.jsonl, weight: 1}]'",
	         "two problems have the id \"a0\": a.jsonl:1 and a.jsonl:1"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(hone("train mix.yaml run.output_dir=wrong %s", wrong[i].settings),
		                 2);
		assert_says("stderr", wrong[i].says);
	}
}

/* Ids and tables go by the name of a file, and many data sets are called test.jsonl. */
static void files_of_one_name_are_told_apart_by_their_folders(void **state)
{
	(void)state;
	static const char *const names[] = {"d1/test", "d2/test",      "other",
	                                    "mine",    "more/d3/test", "less/d3/test"};
	char                     want[64];

	shell("mkdir -p x/d1 x/d2 x/more/d3 x/less/d3");
	for (int i = 0; i < 6; i++)
		write_text(i == 2   ? "x/other.jsonl"
		           : i == 3 ? "x/test.jsonl"
		                    : "x/now",
		           "{\"prompt\": \"1:\", \"answer\": \"1\", \"difficulty\": 1}\n");
	shell("for d in d1 d2 more/d3 less/d3; do cp x/now x/$d/test.jsonl; done");
	assert_int_equal(hone("train mix.yaml run.output_dir=told 'data.train=[x/d1/test.jsonl, "
	                      "x/d2/test.jsonl, x/other.jsonl, {file: "
	                      "x/test.jsonl, "
	                      "name: mine}, x/more/d3/test.jsonl, x/less/d3/test.jsonl]'"),
	                 0);
	for (int i = 0; i < 6; i++) {
		snprintf(want, sizeof want, "\"name\": \"%s\", \"file\": \"x/", names[i]);
		assert_says("told/data.json", want);
	}
	assert_says("told/data.json", "{\"id\": \"d2/test:1\", \"same_as\": \"d1/test:1\"}");
	shell("cp x/now x/test.json");
	assert_int_equal(
	        hone("eval told --data x/test.jsonl --data x/test.json --output told.json"), 0);
	assert_says("told.json", "\"x/test.jsonl\"");
	assert_says("told.json", "\"x/test.json\"");
	assert_int_equal(hone("eval told --data x/test.jsonl --data x/test.jsonl"), 2);
	assert_says("stderr", "the name: of each file of data.train and data.eval");
}

static int write_files(void **state)
{
	(void)state;
	write_rows("a.jsonl", "a", 6);
	write_rows("b.jsonl", "b", 30);
	write_text("mix.yaml", "model:\n  tokenizer: 'chars:0123456789,:'\n"
	                       "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, "
	                       "head_width: 8, ff_width: 24, n_positions: 16}\n"
	                       "data: {train: [{file: a.jsonl, name: few, weight: 1}, {file: "
	                       "b.jsonl, weight: 2}]}\n"
	                       "task: {reward: exact}\nalgorithm: grpo\nloss: {beta: "
	                       "0}\ncurriculum: {categories: difficulty}\n"
	                       "rollout: {num_generations: 4, prompts_per_step: 8, "
	                       "max_completion_length: 2}\noptim: {learning_rate: 1e-2}\n"
	                       "run: {max_steps: 2, save_steps: 0, tensorboard: false}\n");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(every_source_has_its_share_and_every_problem_its_turn),
	        TEST(sources_are_spread_evenly_over_the_pass),
	        TEST(the_seed_chooses_who_comes_once_more),
	        TEST(a_pass_without_end_is_refused),
	        TEST(a_pass_of_rollouts_has_the_shares_of_the_config),
	        TEST(every_place_of_a_mixture_asks_the_question_of_its_problem),
	        TEST(every_curriculum_trains_on_a_mixture_and_resumes_to_the_same_bits),
	        TEST(a_config_that_extends_a_mixture_has_it),
	        TEST(files_can_bring_verifiers_of_their_own),
	        TEST(what_cannot_be_mixed_is_said),
	        TEST(files_of_one_name_are_told_apart_by_their_folders),
	};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, write_files, NULL);
}
