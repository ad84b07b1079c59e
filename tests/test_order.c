/* The order in which products in bf16 add is part of a run: written down when it begins, kept by
 * whoever goes on with it or reads it, on any CPU. */
#include "run.h"

#include "math/matmul.h"
#include "rl/job_parts.h"

static const char config[] =
        "data: {generate: [{name: sequence, count: 12}]}\n"
        "task: {reward: length, verifier: {length: 1-3, length_slack: 4}}\n"
        "rollout: {num_generations: 8, prompts_per_step: 3, max_completion_length: 16}\n"
        "optim: {learning_rate: 1e-2}\n"
        "compute: {precision: bf16}\n"
        "model:\n"
        "  tokenizer: \"chars:0123456789,:+=\"\n"
        "  init: {width: 40, n_layers: 2, n_heads: 2, n_kv_heads: 1, head_width: 20, ff_width: 56,"
        " n_positions: 64}\n"
        "run: {max_steps: 4, save_steps: 2}\n";

static const char *const orders[] = {"pair", "tile"};

static const char *of_this_cpu(void)
{
	return matmul_order(&(struct matmul_options){.order = "auto"});
}

static const char *line_of(const char *order)
{
	static char line[32];

	snprintf(line, sizeof line, "order: %s\n", order);
	return line;
}

static int same_weights(const char *a, const char *b)
{
	char x[96], y[96];

	snprintf(x, sizeof x, "%s/checkpoint-4/model.safetensors", a);
	snprintf(y, sizeof y, "%s/checkpoint-4/model.safetensors", b);
	return same_bytes(x, y);
}

/* Runs of all four steps, "pair" and "tile". */
static void train_whole(void)
{
	for (int i = 0; i < 2; i++)
		hone_ok("train job.yaml compute.order=%s run.output_dir=%s", orders[i], orders[i]);
}

static void a_new_run_takes_the_order_of_its_cpu_and_writes_it_down(void **state)
{
	(void)state;
	hone_ok("train job.yaml run.output_dir=auto");
	assert_true(file_says("auto/config.yaml", line_of(of_this_cpu())));
	assert_true(same_weights("auto", of_this_cpu()));
	/* or nothing here would show anything */
	assert_false(same_weights("pair", "tile"));
}

static void a_resumed_run_keeps_its_order_whatever_the_cpu_would_take(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		hone_ok("train job.yaml compute.order=%s run.output_dir=part-%s run.max_steps=2",
		        orders[i], orders[i]);
		shell("cp -r part-%s part-%s-other", orders[i], orders[i]);
		hone_ok("train job.yaml run.output_dir=part-%s --resume", orders[i]);
		shell("mv part-%s resumed", orders[i]);
		assert_true(file_says("resumed/config.yaml", line_of(orders[i])));
		assert_true(same_weights("resumed", orders[i]));
		shell("rm -r resumed");
		assert_int_equal(hone("train job.yaml run.output_dir=part-%s-other --resume "
		                      "compute.order=%s",
		                      orders[i], orders[1 - i]),
		                 2);
		assert_says("stderr", "compute.order: ");
	}
}

/* A CPU without AMX goes on by the kernels that it has. */
static void a_run_goes_on_by_any_kernel_with_the_same_bits(void **state)
{
	(void)state;
	static const char *const backends[] = {"reference", "avx2", "avx512", "amx"};

	for (int i = 0; i < 4; i++) {
		char folder[32];
		snprintf(folder, sizeof folder, "by-%s", backends[i]);
		if (hone("train job.yaml compute.order=tile compute.backend=%s run.output_dir=%s "
		         "run.max_steps=2",
		         backends[i], folder) != 0)
			continue; /* not on this CPU */
		hone_ok("train job.yaml compute.backend=%s run.output_dir=%s --resume", backends[i],
		        folder);
		assert_true(same_weights(folder, "tile"));
	}
}

/* The state of a run in that order, as a program wrote it that knew of none, loaded: its status. */
static int load_without_order(const char *order)
{
	char        setting[64], line[32], *text, *then, *at;
	const char *settings[] = {"run.output_dir=older", setting};
	struct job  job;
	json_t     *state;
	int         status;

	snprintf(setting, sizeof setting, "compute.order=%s", order);
	snprintf(line, sizeof line, "  order: %s\n", order);
	assert_ok(job_open(JOB_TRAIN, JOB_NEW, "job.yaml", settings, 2, &job));
	assert_ok(job_take_inputs(&job.data, &job.learner, &job.sampler, &job.record));
	assert_ok(job_state_text(&job.learner, &job.sampler, &job.record, &text));
	assert_ok(json_parse("state", text, strlen(text), &state));
	then = strdup(json_string_value(json_object_get(state, "config")));
	at = strstr(then, line);
	assert_non_null(at);
	memmove(at, at + strlen(line), strlen(at + strlen(line)) + 1);
	assert_int_equal(json_object_set_new(state, "config", json_string(then)), 0);
	status = job_state_load(&job.learner, &job.sampler, &job.record, "state", state);
	json_decref(state);
	free(then);
	free(text);
	job_close(&job);
	return status;
}

static void a_checkpoint_that_names_no_order_is_one_of_pairs(void **state)
{
	(void)state;
	assert_ok(load_without_order("pair"));
	assert_error(load_without_order("tile"), ERR_INPUT, "compute.order: pair -> tile");
}

/* A run that is killed before its first checkpoint begins again as it began. */
static void a_resume_without_a_checkpoint_takes_the_order_of_the_cpu(void **state)
{
	(void)state;
	hone_ok("train job.yaml run.output_dir=nothing --resume");
	assert_true(file_says("nothing/config.yaml", line_of(of_this_cpu())));
}

static void several_ranks_have_the_order_and_the_bits_of_one(void **state)
{
	(void)state;
	hone_ok("train job.yaml run.output_dir=ranks --ranks 2");
	assert_true(same_weights("ranks", of_this_cpu()));
}

static void commands_read_a_run_in_its_own_order(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		for (int j = 0; j < 2; j++) {
			shell("echo '{\"ids\": [1,2,3,4,5,6,7,8,9,1,3,5,7]}' > text");
			hone_ok("logprobs %s --precision bf16 --order %s < text", orders[i],
			        orders[j]);
			shell("cp stdout in-%s", orders[j]);
		}
		hone_ok("logprobs %s --precision bf16 < text", orders[i]);
		assert_true(same_bytes("stdout", i ? "in-tile" : "in-pair"));
		assert_false(same_bytes("in-tile", "in-pair"));
		hone_ok("eval %s/checkpoint-2 data.eval_generate='[{name: sequence, count: 8}]' "
		        "--task length --max-tokens 12 --precision bf16",
		        orders[i]);
		assert_int_equal(file_says("stderr", "tile order"), i);
	}
	hone_ok("logprobs tile < text");
}

static void an_order_is_for_bf16_alone_and_must_be_one_of_two(void **state)
{
	(void)state;
	assert_int_equal(hone("train job.yaml compute.order=tile compute.precision=f32 "
	                      "run.output_dir=none"),
	                 2);
	assert_says("stderr", "compute.order is set, but it is read only when");
	assert_int_equal(hone("train job.yaml compute.order=rows run.output_dir=none"), 2);
	assert_says("stderr", "must be one of auto|pair|tile");
	assert_int_equal(hone("train job.yaml compute.order=pair compute.backend=amx "
	                      "run.output_dir=none"),
	                 2);
	assert_says("stderr", "amx has bf16 in the tile order alone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_new_run_takes_the_order_of_its_cpu_and_writes_it_down),
	        TEST(a_resumed_run_keeps_its_order_whatever_the_cpu_would_take),
	        TEST(a_run_goes_on_by_any_kernel_with_the_same_bits),
	        TEST(a_checkpoint_that_names_no_order_is_one_of_pairs),
	        TEST(a_resume_without_a_checkpoint_takes_the_order_of_the_cpu),
	        TEST(several_ranks_have_the_order_and_the_bits_of_one),
	        TEST(commands_read_a_run_in_its_own_order),
	        TEST(an_order_is_for_bf16_alone_and_must_be_one_of_two)};

	run_in_temporary_folder();
	write_text("job.yaml", config);
	train_whole();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
