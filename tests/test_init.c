/* Models of published shapes as a user makes them, and how generate and eval sample where nobody
 * says it. */
#include "run.h"

#define SMALL "init --like SmolLM2-135M --layers 1 --tokenizer good/checkpoint-1 "

static void a_random_model_of_a_published_shape_can_be_used_at_once(void **state)
{
	(void)state;
	assert_int_equal(hone(SMALL "made --seed 3"), 0);
	assert_int_equal(hone("inspect made"), 0);
	assert_says("stdout", "llama, layers 1, width 576, heads 9 (3 key/value) of 64, "
	                      "feed-forward 1536, vocabulary 49152, positions 8192, tied");
	assert_int_equal(hone("generate made --prompt 1,2: --max-tokens 3 --ids"), 0);
	shell("test $(wc -w < stdout) -ge 1");
}

static void another_seed_gives_other_weights(void **state)
{
	(void)state;
	assert_int_equal(hone(SMALL "other --seed 4"), 0);
	shell("! cmp -s made/model.safetensors other/model.safetensors");
	shell("cmp made/config.json other/config.json");
}

static void the_end_of_the_tokenizer_ends_a_completion(void **state)
{
	(void)state;
	size_t n;
	char  *end = read_all("good/checkpoint-1/generation_config.json", &n);

	assert_says("made/generation_config.json", strstr(end, "\"eos_token_id\""));
	free(end);
}

static void what_is_wrong_is_said_and_nothing_is_written(void **state)
{
	(void)state;
	static const struct {
		const char *line, *part;
	} table[] = {
	        {"init", "usage: hone init"},
	        {"init new", "usage: hone init"},
	        {"init --like GPT-2 new", "no shape \"GPT-2\"; there are: SmolLM2-135M, "
	                                  "Qwen2.5-0.5B, Qwen3-0.6B, Llama-3.2-1B"},
	        {"init --like Qwen3-0.6B new --dtype int8", "--dtype wants"},
	        {"init --like Qwen3-0.6B new --layers 2000", "num_hidden_layers is 2000"},
	        {"init --like Qwen3-0.6B new --tokenizer nowhere", "nowhere"},
	        {SMALL "made", "made/config.json is there already"},
	        {"init --like SmolLM2-135M --layers 1 /dev/null/x", "/dev/null"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		assert_int_equal(hone("%s", table[i].line), 2);
		assert_says("stderr", table[i].part);
		assert_false(file_exists("new"));
	}
}

/* Four samples as one line of ids each, with this generation_config.json. */
static char *samples(const char *config, const char *options)
{
	size_t n;

	write_text("plain/generation_config.json", config);
	assert_int_equal(
	        hone("generate plain --prompt 1,2: --ids --samples 4 --max-tokens 8 %s", options),
	        0);
	return read_all("stdout", &n);
}

static void assert_samples(const char *config, const char *options, const char *same_as)
{
	char *got = samples(config, options), *want = samples("{}", same_as);

	if (strcmp(got, want))
		fail_msg("%s with %s is not as %s:\n%s\n%s", config, options, same_as, got, want);
	free(got);
	free(want);
}

static void assert_samples_differ(const char *config)
{
	char *got = samples(config, "--samples 1"), *plain = samples("{}", "--samples 1");

	if (!strcmp(got, plain))
		fail_msg("%s changes nothing: %s", config, got);
	free(got);
	free(plain);
}

static void sampling_is_as_generation_config_says_until_the_command_line_does(void **state)
{
	(void)state;
	shell("cp -r good/checkpoint-1 plain && rm plain/manifest.json");
	assert_samples("{\"do_sample\": true, \"temperature\": 3}", "", "--temperature 3");
	assert_samples("{\"do_sample\": true, \"top_p\": 0.2}", "", "--temperature 1 --top-p 0.2");
	assert_samples("{\"do_sample\": true, \"top_k\": 2}", "", "--temperature 1 --top-k 2");
	assert_samples("{\"top_k\": 2, \"temperature\": 3}", "--top-k 0 --temperature 1",
	               "--temperature 1");
	assert_samples("{\"temperature\": 3}", "", "--temperature 0");
	assert_samples("{\"do_sample\": false}", "--temperature 2", "--temperature 2");
	assert_samples("{\"do_sample\": true, \"temperature\": 0}", "", "--temperature 1e-300");
	char *warm = samples("{\"do_sample\": true}", ""),
	     *hot = samples("{\"do_sample\": true, \"temperature\": 3}", "");
	assert_string_not_equal(warm, hot);
	free(warm);
	free(hot);
}

static void penalties_of_the_model_change_what_is_generated(void **state)
{
	(void)state;
	char *ids = samples("{}", "--samples 1"), *first = ids;
	char  config[128];

	snprintf(config, sizeof config, "{\"begin_suppress_tokens\": [%d]}", atoi(first));
	assert_samples_differ(config);
	snprintf(config, sizeof config, "{\"suppress_tokens\": [%d]}", atoi(first));
	assert_samples_differ(config);
	assert_samples_differ("{\"repetition_penalty\": 1000}");
	assert_samples_differ("{\"no_repeat_ngram_size\": 1}");
	free(samples("{\"num_beams\": 4}", "--samples 1"));
	assert_says("stderr", "it is left out: num_beams");
	free(ids);
}

static void greedy_samples_of_one_prompt_come_with_a_caution(void **state)
{
	(void)state;
	free(samples("{}", ""));
	assert_says("stderr", "temperature 0 is greedy, so the 4 samples");
	free(samples("{\"do_sample\": true}", ""));
	assert_false(file_says("stderr", "greedy"));
}

static void eval_says_how_it_sampled(void **state)
{
	(void)state;
	write_text("rows.jsonl", "{\"prompt\": \"1,2:\", \"answer\": \"3\"}\n");
	write_text("plain/generation_config.json",
	           "{\"do_sample\": true, \"temperature\": 0.5, \"top_k\": 2, \"top_p\": 0.75, "
	           "\"repetition_penalty\": 1.5}");
	assert_int_equal(hone("eval plain --data rows.jsonl --task numeric --max-tokens 4"), 0);
	assert_says(
	        "stderr",
	        "sampling: temperature 0.5, top_k 2, top_p 0.75, min_p 0, repetition_penalty 1.5");
	assert_int_equal(
	        hone("eval plain --data rows.jsonl --task numeric --max-tokens 4 --temperature 0"),
	        0);
	assert_says("stderr", "sampling: temperature 0, top_k 2");
}

static int make_small(void **state)
{
	(void)state;
	write_text("good.yaml", "model:\n"
	                        "  tokenizer: \"chars:0123456789,:+=\"\n"
	                        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, "
	                        "head_width: 8, ff_width: 24, n_positions: 32}\n"
	                        "data: {generate: [{name: sequence, count: 10}]}\ntask: {reward: "
	                        "sequence}\nsft: {batch_size: 4}\nrollout: "
	                        "{max_completion_length: 8}\nrun: {max_steps: 1}\n");
	return hone("sft good.yaml run.output_dir=good");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_random_model_of_a_published_shape_can_be_used_at_once),
	        TEST(another_seed_gives_other_weights),
	        TEST(the_end_of_the_tokenizer_ends_a_completion),
	        TEST(what_is_wrong_is_said_and_nothing_is_written),
	        TEST(sampling_is_as_generation_config_says_until_the_command_line_does),
	        TEST(penalties_of_the_model_change_what_is_generated),
	        TEST(greedy_samples_of_one_prompt_come_with_a_caution),
	        TEST(eval_says_how_it_sampled),
	};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, make_small, NULL);
}
