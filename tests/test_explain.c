/* hone explain: the page of a step has the numbers that the step was made of, and is written of
 * nothing but the run's own bits. */
#include "markup.h"
#include "run.h"

enum { COMPLETIONS = 4, BEFORE = 3, STEP = 4 };

/* Rewards differ, as the model writes completions of any length. */
static const char config[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 2, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 32}\n"
        "data: {train: [problems.jsonl]}\n"
        "task: {reward: length, verifier: {length: 1-3}}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-2}\n"
        "run: {max_steps: 6, save_steps: 1, save_total_limit: 0, tensorboard: false}\n";

static int set_up(void **state)
{
	(void)state;
	write_text("job.yaml", config);
	hone_ok("data sequence --count 20 --difficulty 1 --seed 1 > made.jsonl");
	shell("sed 's/\"id\": \"/&<b>\\&/' made.jsonl > problems.jsonl");
	hone_ok("train job.yaml run.output_dir=run");
	return 0;
}

static json_t *numbers_of(const char *page)
{
	static const char begin[] = "<script type=\"application/json\" id=\"rows\">";
	size_t            n;
	char             *text = read_all(page, &n), *at = strstr(text, begin), *end;
	json_t           *root;

	assert_true(is_well_formed(text));
	assert_non_null(at);
	at += strlen(begin);
	end = strstr(at, "</script>");
	assert_ok(json_parse(page, at, (size_t)(end - at), &root));
	free(text);
	return root;
}

static double number(const json_t *row, const char *key, size_t t)
{
	return json_number_value(json_array_get(json_object_get(row, key), t));
}

static json_t *explained(const char *how)
{
	hone_ok("explain run --step %d --output page.html %s", STEP, how);
	assert_says("stdout", "identical to the run; page.html");
	return numbers_of("page.html");
}

/* A = (R - mean) / (std + 1e-6) on every token, c = -A / (rows n), every ratio 1. */
static void the_numbers_are_those_of_the_formula(void **state)
{
	(void)state;
	json_t *root = explained(""), *rows = json_object_get(root, "rows");
	double  mean = 0, square = 0;

	assert_int_equal(json_array_size(rows), COMPLETIONS);
	for (int i = 0; i < COMPLETIONS; i++)
		mean += json_number_value(
		                json_object_get(json_array_get(rows, (size_t)i), "reward")) /
		        COMPLETIONS;
	for (int i = 0; i < COMPLETIONS; i++) {
		double r = json_number_value(
		        json_object_get(json_array_get(rows, (size_t)i), "reward"));
		square += (r - mean) * (r - mean);
	}
	assert_true(square > 0);
	for (int i = 0; i < COMPLETIONS; i++) {
		const json_t *row = json_array_get(rows, (size_t)i);
		size_t        n = json_array_size(json_object_get(row, "ids"));
		double        a = (json_number_value(json_object_get(row, "reward")) - mean) /
		           (sqrt(square / (COMPLETIONS - 1)) + 1e-6);
		assert_int_equal(json_array_size(json_object_get(row, "w")), n);
		assert_close(json_number_value(json_object_get(row, "weight")),
		             1.0 / (4 * COMPLETIONS * (double)n), 1e-6);
		for (size_t t = 0; t < n; t++) {
			assert_close(number(row, "advantage", t), a, 1e-4);
			assert_close(number(row, "ratio", t), 1, 0);
			assert_close(number(row, "c", t), -a / (4 * COMPLETIONS * (double)n), 1e-5);
		}
	}
	assert_says("page.html", "every ratio is exactly 1");
	assert_says("page.html", "&#60;b&#62;&#38;");
	json_decref(root);
}

/* log p of the completion's tokens by hone logprobs under a checkpoint. */
static void assert_logprobs(const json_t *root, const char *key, int checkpoint)
{
	const json_t *prompt = json_object_get(root, "prompt");

	for (size_t i = 0; i < COMPLETIONS; i++) {
		const json_t *row = json_array_get(json_object_get(root, "rows"), i),
		             *ids = json_object_get(row, "ids");
		json_t *all = json_deep_copy(prompt), *in, *out;
		char   *text;
		size_t  n, n_prompt = json_array_size(prompt);
		json_array_extend(all, (json_t *)(uintptr_t)ids);
		in = json_pack("{s:o}", "ids", all);
		assert_int_equal(json_dump_file(in, "ids.jsonl", 0), 0);
		hone_ok("logprobs run/checkpoint-%d < ids.jsonl", checkpoint);
		text = read_all("stdout", &n);
		assert_ok(json_parse("stdout", text, n, &out));
		for (size_t t = 0; t < json_array_size(ids); t++)
			assert_close(number(out, "logprobs", n_prompt - 1 + t), number(row, key, t),
			             1e-5);
		json_decref(in);
		json_decref(out);
		free(text);
	}
}

static void before_and_after_are_the_checkpoints_log_probabilities(void **state)
{
	(void)state;
	json_t *root = explained("--group 2");

	assert_logprobs(root, "logp", BEFORE);
	assert_logprobs(root, "after", STEP);
	json_decref(root);
}

/* The same page from the first weights as from a checkpoint, and of any number of threads. */
static void where_it_begins_and_threads_change_nothing(void **state)
{
	(void)state;
	json_t *one = explained("--group 3"), *other;

	shell("mkdir -p aside && mv run/checkpoint-* aside");
	other = explained("--group 3 compute.threads=1 compute.micro_batch_tokens=16");
	shell("mv aside/checkpoint-* run");
	assert_true(json_equal(one, other));
	json_decref(one);
	json_decref(other);
}

/* Several updates of shuffled minibatches, a KL term, a critic, no ratio, a whole completion's. */
static void other_algorithms_are_explained(void **state)
{
	(void)state;
	static const char *const settings[] = {
	        "loss.beta=0.1 loss.num_iterations=2 optim.num_minibatches=2",
	        "algorithm=rloo loss.beta=0",
	        "algorithm=gspo",
	        "algorithm=reinforce_pp loss.beta=0",
	        "algorithm=ppo loss.beta=0 critic.warmup_steps=1",
	        "algorithm=dr_grpo",
	        "algorithm=cispo"};

	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		json_t *root;
		hone_ok("train job.yaml run.output_dir=other-%zu run.max_steps=3 %s", i,
		        settings[i]);
		hone_ok("explain other-%zu --step 3 --output other.html", i);
		root = numbers_of("other.html");
		assert_int_equal(json_array_size(json_object_get(root, "rows")), COMPLETIONS);
		json_decref(root);
	}
	assert_int_equal(hone("explain other-4 --step 1 --output none.html"), 2);
	assert_says("stderr", "did not update the policy: its critic warms up");
	assert_false(file_exists("none.html"));
}

static void of_a_run_that_says_something_else_no_page_is_written(void **state)
{
	(void)state;
	shell("cp -r run edited && sed -i -E '/\"step\": 4/s/\"reward\": [0-9.e-]+/\"reward\": "
	      "0.9/' "
	      "edited/metrics.jsonl");
	assert_int_equal(hone("explain edited --step 4 --output none.html"), 1);
	assert_says("stderr",
	            "step 4: edited/metrics.jsonl: \"reward\" is 0.9, and computed again");
	assert_false(file_exists("none.html"));
}

static void what_is_not_there_is_refused(void **state)
{
	(void)state;
	assert_int_equal(hone("explain run --step 7"), 2);
	assert_says("stderr", "it has done steps 1 to 6");
	assert_int_equal(hone("explain run --step 2 --group 5"), 2);
	assert_says("stderr", "step 2 trained on 4 groups; --group goes from 1 to 4");
	assert_int_equal(hone("explain run"), 2);
	hone_ok("sft job.yaml run.output_dir=taught run.max_steps=2");
	assert_int_equal(hone("explain taught --step 1"), 2);
	assert_says("stderr", "a run of hone sft has no groups");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_numbers_are_those_of_the_formula),
	        cmocka_unit_test(before_and_after_are_the_checkpoints_log_probabilities),
	        cmocka_unit_test(where_it_begins_and_threads_change_nothing),
	        cmocka_unit_test(other_algorithms_are_explained),
	        cmocka_unit_test(of_a_run_that_says_something_else_no_page_is_written),
	        cmocka_unit_test(what_is_not_there_is_refused),
	};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, set_up, NULL);
}
