/* Commands that take a model compute in the precision that they are told, with the bits of a run
 * whose config says the same. */
#include "run.h"

#include "math/machine.h"
#include "math/matmul.h"

static const char config[] =
        "data: {generate: [{name: sequence, count: 12}]}\n"
        "task: {reward: length, verifier: {length: 1-3, length_slack: 4}}\n"
        "curriculum: {kind: sequential}\n"
        "rollout: {num_generations: 64, prompts_per_step: 3, max_completion_length: 24}\n"
        "optim: {learning_rate: 1e-1}\n"
        "run: {max_steps: 2, save_steps: 0}\n";
static const char new_model[] =
        "extends: job.yaml\n"
        "model:\n"
        "  tokenizer: \"chars:0123456789,:+=\"\n"
        "  init: {width: 16, n_layers: 2, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24,"
        " n_positions: 64}\n";

enum { N_PRECISIONS = 3 };
static const struct {
	const char *words, *keys, *file;
} precisions[N_PRECISIONS] = {
        {"", "", "f32.jsonl"},
        {"--precision bf16", "compute.precision=bf16", "bf16.jsonl"},
        {"--precision=bf16 --head-precision=f32",
         "compute.precision=bf16 compute.head_precision=f32", "head.jsonl"},
};

/* What `train` would sample from the model in that precision; the lines behind the header. */
static void collect_in(int precision)
{
	const char *file = precisions[precision].file;

	if (file_exists(file))
		return;
	hone_ok("rollouts job.yaml model.path=first/checkpoint-2 --output %s.all %s", file,
	        precisions[precision].keys);
	shell("tail -n +2 %s.all > %s", file, file);
}

static json_t *next_row(FILE *f)
{
	static char line[1 << 16];

	return fgets(line, sizeof line, f) ? json_loads(line, 0, NULL) : NULL;
}

/* Prompt and completion of each row, as `hone logprobs` reads them. */
static void write_texts(const char *from)
{
	FILE   *in = fopen(from, "r"), *out = fopen("texts", "w");
	json_t *row;

	while ((row = next_row(in)) != NULL) {
		json_t *ids = json_deep_copy(json_object_get(row, "prompt")), *text = json_object();
		json_array_extend(ids, json_object_get(row, "ids"));
		json_object_set_new(text, "ids", ids);
		json_dumpf(text, out, 0);
		fputc('\n', out);
		json_decref(text);
		json_decref(row);
	}
	fclose(in);
	fclose(out);
}

static float number_at(const json_t *row, const char *name, size_t i)
{
	return (float)json_number_value(json_array_get(json_object_get(row, name), i));
}

/* How many log-probs of the rows of a file differ from what stands in the file stdout. */
static int count_differences(const char *sampled, int *n)
{
	FILE   *a = fopen(sampled, "r"), *b = fopen("stdout", "r");
	json_t *x, *y;
	int     different = 0;

	for (*n = 0; (x = next_row(a)) != NULL; json_decref(x), json_decref(y)) {
		size_t before = json_array_size(json_object_get(x, "prompt")) - 1,
		       length = json_array_size(json_object_get(x, "ids"));
		y = next_row(b);
		assert_non_null(y);
		for (size_t i = 0; i < length; i++, ++*n)
			different +=
			        number_at(x, "logp", i) != number_at(y, "logprobs", before + i);
	}
	fclose(a);
	fclose(b);
	return different;
}

static void log_probs_have_the_bits_that_a_run_of_that_precision_recorded(void **state)
{
	(void)state;
	for (int i = 0; i < N_PRECISIONS; i++) {
		collect_in(i);
		write_texts(precisions[i].file);
		for (int j = 0; j < N_PRECISIONS; j++) {
			int n, different;
			hone_ok("logprobs first/checkpoint-2 %s < texts", precisions[j].words);
			different = count_differences(precisions[i].file, &n);
			assert_true(n > 60);
			/* another precision has other bits, or this would show nothing */
			assert_true(i == j ? different == 0 : different > n / 4);
		}
	}
}

/* The first group of the file: its key is the one that `hone generate` has. */
static void generated_completions_are_those_that_a_run_of_that_precision_samples(void **state)
{
	(void)state;
	for (int i = 0; i < N_PRECISIONS; i++) {
		collect_in(i);
		shell("head -64 %s | sed 's/.*\"ids\": \\[\\([^]]*\\)\\].*/\\1/; s/,/ /g' > "
		      "sampled-%d",
		      precisions[i].file, i);
		shell("head -1 %s | sed 's/.*\"prompt\": \\[\\([^]]*\\)\\].*/\\1/; s/ //g' > "
		      "prompt",
		      precisions[i].file);
		hone_ok("generate first/checkpoint-2 --ids --seed 0 --samples 64 --max-tokens 24 "
		        "--temperature 1 --prompt-ids $(cat prompt) %s",
		        precisions[i].words);
		shell("cp stdout generated-%d", i);
	}
	for (int i = 0; i < N_PRECISIONS; i++)
		for (int j = 0; j < N_PRECISIONS; j++) {
			char generated[32], sampled[32];
			snprintf(generated, sizeof generated, "generated-%d", i);
			snprintf(sampled, sizeof sampled, "sampled-%d", j);
			/* completions of another precision differ now and then */
			assert_int_equal(same_bytes(generated, sampled), i == j);
		}
}

static void eval_takes_the_precision_as_a_word_or_as_a_key(void **state)
{
	(void)state;
	static const char line[] =
	        "eval first/checkpoint-2 data.eval_generate='[{name: sequence, count: 8}]' "
	        "--task length --max-tokens 12 --samples 4 --completions %s %s";

	for (int i = 0; i < N_PRECISIONS; i++) {
		hone_ok(line, "by-word", precisions[i].words);
		assert_says("stderr", i ? "bf16 strict" : "f32 strict");
		hone_ok(line, "by-key", precisions[i].keys);
		assert_true(same_bytes("by-word", "by-key"));
	}
}

static void the_words_are_checked_as_the_keys_are(void **state)
{
	(void)state;
	static const char *const commands[] = {
	        "logprobs first/checkpoint-2 %s < /dev/null",
	        "generate first/checkpoint-2 --prompt 1 %s",
	        "eval first/checkpoint-2 --data x.jsonl --task length %s"};
	static const struct {
		const char *words, *message;
	} cases[] = {
	        {"--precision f16", "compute.precision is f16, but must be one of f32|bf16"},
	        {"--head-precision f32", "compute.head_precision is set, but it is read only when "
	                                 "compute.precision=bf16"},
	        {"--threads 1x", "compute.threads"},
	};

	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		for (size_t j = 0; j < sizeof cases / sizeof *cases; j++) {
			char line[256];
			snprintf(line, sizeof line, commands[i], cases[j].words);
			assert_int_equal(hone("%s", line), 2);
			assert_says("stderr", cases[j].message);
		}
}

static void training_recommends_bf16_where_the_cpu_has_an_instruction_for_it(void **state)
{
	(void)state;
	hone_ok("train new.yaml run.output_dir=advised");
	assert_int_equal(file_says("stdout", "compute.precision: bf16"),
	                 matmul_cpu_has_amx() || machine_dot_pays());
	hone_ok("train new.yaml run.output_dir=heeded compute.precision=bf16");
	assert_false(file_says("stdout", "compute.precision: bf16"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(log_probs_have_the_bits_that_a_run_of_that_precision_recorded),
	        TEST(generated_completions_are_those_that_a_run_of_that_precision_samples),
	        TEST(eval_takes_the_precision_as_a_word_or_as_a_key),
	        TEST(the_words_are_checked_as_the_keys_are),
	        TEST(training_recommends_bf16_where_the_cpu_has_an_instruction_for_it)};

	run_in_temporary_folder();
	write_text("job.yaml", config);
	write_text("new.yaml", new_model);
	hone_ok("train new.yaml run.output_dir=first");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
