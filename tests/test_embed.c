/* The library for programs that embed hone, as an installed one is: the example of examples/, which
 * knows its header alone. */
#include "run.h"

static char example[PATH_MAX];

static int run_example(const char *arguments)
{
	char line[PATH_MAX + 200];

	snprintf(line, sizeof line, "%s %s", example, arguments);
	return hone_end(run_start(line));
}

static double figure(const char *text, int step, const char *name)
{
	char   wanted[32];
	char  *at;
	double value;

	snprintf(wanted, sizeof wanted, "step %d ", step);
	at = strstr(text, wanted);
	assert_non_null(at);
	at = strstr(at, name);
	assert_non_null(at);
	assert_int_equal(sscanf(at + strlen(name), "%lf", &value), 1);
	return value;
}

/* Each step of the example compares the log-probabilities as sampled with those asked for. */
static void the_example_learns_and_is_exact(void **state)
{
	(void)state;
	size_t n, m;
	char  *text, *again;

	assert_int_equal(run_example("runs/warm '1,2:9,1' 3"), 0);
	text = read_all("stdout", &n);
	for (int step = 0; step < 24; step++)
		assert_true(figure(text, step, "difference ") == 0);
	assert_true(figure(text, 23, "reward ") > figure(text, 0, "reward ") + 0.3);
	/* the same calls, the same bits, whatever the threads */
	shell("OMP_NUM_THREADS=1 %s runs/warm '1,2:9,1' 3 > again", example);
	again = read_all("again", &m);
	assert_string_equal(text, again);
	free(text);
	free(again);
}

static void errors_are_told_in_words(void **state)
{
	(void)state;
	assert_int_not_equal(run_example("nowhere '1' 3"), 0);
	assert_says("stderr", "embed: nowhere");
	assert_int_not_equal(run_example("runs/warm '' 3"), 0);
	assert_says("stderr", "has no token");
	assert_int_not_equal(run_example("runs/warm '1,2:9,1' three"), 0);
}

/* Who links it shares no name with it but those of the header. */
static void the_library_has_the_names_of_its_header_alone(void **state)
{
	(void)state;
	size_t n;
	char  *names;

	shell("nm -g --defined-only %s | awk 'NF == 3 && $3 !~ /^\\./ { print $3 }' | sort > names",
	      LIBRARY);
	names = read_all("names", &n);
	assert_string_equal(names,
	                    "hone_decode\nhone_encode\nhone_error\nhone_free\nhone_load\n"
	                    "hone_logprobs\nhone_sample\nhone_save\nhone_score\nhone_step\n");
	free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_example_learns_and_is_exact),
	        TEST(errors_are_told_in_words),
	        TEST(the_library_has_the_names_of_its_header_alone),
	};

	if (!realpath(EXAMPLE, example)) {
		perror(EXAMPLE);
		return 1;
	}
	run_in_temporary_folder();
	write_text("warm.yaml",
	           "model:\n"
	           "  tokenizer: chars\n"
	           "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, "
	           "ff_width: 24, n_positions: 48}\n"
	           "data: {generate: [{name: sequence, levels: 1, count: 200}]}\n"
	           "task: {reward: sequence}\n"
	           "rollout: {max_completion_length: 16}\n"
	           "sft: {batch_size: 16}\n"
	           "optim: {learning_rate: 1e-2}\n"
	           "run: {max_steps: 150, save_steps: 0, tensorboard: false}\n");
	hone_ok("sft warm.yaml");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
