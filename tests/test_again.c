/* hone verify: the steps of a run done again are the same bits, and whatever is not is named. */
#include "run.h"

#include "run/checkpoint.h"

#include <dirent.h>

static const char config[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 2, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 32}\n"
        "data:\n"
        "  train: [problems.jsonl]\n"
        "  eval: [held.jsonl]\n"
        "task: {reward: sequence}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0.05, num_iterations: 2}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-2, num_minibatches: 2}\n"
        "sft: {batch_size: 8}\n"
        "run: {max_steps: 7, save_steps: 3, save_total_limit: 0, eval_steps: 4, tensorboard: "
        "false}\n";
static const char critic[] = "extends: job.yaml\n"
                             "algorithm: ppo\n"
                             "loss: {beta: 0}\n"
                             "critic: {learning_rate: 2e-2, warmup_steps: 1}\n";
/* The tokenizer is that of the model it begins from. */
static const char lora[] = "data: {train: [problems.jsonl], eval: [held.jsonl]}\n"
                           "model: {path: sft/checkpoint-7, lora_r: 2}\n"
                           "task: {reward: sequence}\n"
                           "loss: {beta: 0.05}\n"
                           "rollout: {num_generations: 4, prompts_per_step: 4, "
                           "max_completion_length: 6}\n"
                           "optim: {learning_rate: 1e-2}\n"
                           "run: {max_steps: 7, save_steps: 3, eval_steps: 4}\n";

static const char *const runs[] = {"sft", "train", "critic", "lora"};

static int set_up(void **state)
{
	(void)state;
	write_text("job.yaml", config);
	write_text("critic.yaml", critic);
	write_text("lora.yaml", lora);
	hone_ok("data sequence --count 40 --difficulty 1-3 --seed 1 > problems.jsonl");
	hone_ok("data sequence --count 5 --difficulty 2 --seed 1 --held-out > held.jsonl");
	hone_ok("sft job.yaml run.output_dir=sft");
	hone_ok("train job.yaml run.output_dir=train");
	hone_ok("train critic.yaml run.output_dir=critic");
	hone_ok("train lora.yaml run.output_dir=lora");
	shell("mkdir temporary");
	setenv("TMPDIR", "temporary", 1);
	return 0;
}

/* A copy that a test may spoil. */
static void copy(const char *run)
{
	shell("rm -rf spoilt && cp -r %s spoilt", run);
}

static void assert_finds(int status, const char *what)
{
	int got = hone("verify spoilt");

	if (got != status) {
		size_t n;
		fail_msg("exit status %d, expected %d: %s%s", got, status, read_all("stdout", &n),
		         read_all("stderr", &n));
	}
	assert_says("stderr", what);
	assert_false(file_says("stdout", "identical:"));
}

/* Of train, sft, a critic and an adapter; all steps, and some from a checkpoint. */
static void test_a_run_is_identical_to_itself(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
		hone_ok("verify %s", runs[i]);
		assert_says("stdout", "identical: steps 1 to 7; 7 lines of metrics, 3 evaluations");
		hone_ok("verify %s --steps 7", runs[i]);
		assert_says("stdout", "from the checkpoint of step 6");
		assert_says("stdout", "identical: steps 7 to 7; 1 lines of metrics, 1 evaluations, "
		                      "1 files of samples, 1 checkpoints");
	}
}

/* How a run was made does not matter: by two ranks, in other pieces, stopped and resumed. */
static void test_what_changes_no_bit_is_not_found(void **state)
{
	(void)state;
	hone_ok("train job.yaml run.output_dir=ranks compute.threads=1 --ranks 2");
	hone_ok("train job.yaml run.output_dir=halves run.max_steps=3 run.eval_steps=0");
	hone_ok("train job.yaml run.output_dir=halves --resume");
	hone_ok("verify ranks");
	hone_ok("verify halves compute.micro_batch_tokens=20");
	assert_says("stdout", "identical: steps 1 to 7; 7 lines of metrics");
}

static void test_the_run_is_only_read_and_nothing_stays_behind(void **state)
{
	(void)state;
	shell("find train -type f | sort | xargs cksum > before");
	shell("find train -printf '%%p %%T@\\n' | sort > times-before");
	hone_ok("verify train --steps 2-4");
	shell("find train -type f | sort | xargs cksum | cmp - before");
	shell("find train -printf '%%p %%T@\\n' | sort | cmp - times-before");
	shell("test -z \"$(ls temporary)\"");
}

/* Flips the lowest bit of the last number of a file of checkpoint-6; its manifest is right. */
static void flip_number(const char *file)
{
	char path[256];

	shell("mv spoilt/checkpoint-6 spoilt/checkpoint-6.part");
	snprintf(path, sizeof path, "spoilt/checkpoint-6.part/%s", file);
	flip_byte(path, -4);
	assert_ok(checkpoint_commit("spoilt", 6, (struct checkpoint_limit){0, -1}));
	assert_ok(checkpoint_check("spoilt/checkpoint-6"));
}

static void test_one_flipped_bit_of_a_tensor_is_named(void **state)
{
	(void)state;
	copy("train");
	flip_number("model.safetensors");
	assert_finds(1,
	             "step 6: spoilt/checkpoint-6/model.safetensors: tensor \"model.norm.weight\" "
	             "differs in 1 of 16 numbers; number 15 is");
	copy("critic");
	flip_number("critic.safetensors");
	assert_finds(1, "step 6: spoilt/checkpoint-6/critic.safetensors: tensor \"");
	copy("lora");
	flip_number("adapter_model.safetensors");
	assert_finds(1, "step 6: spoilt/checkpoint-6/adapter_model.safetensors: tensor \"");
	copy("sft");
	flip_number("optimizer.safetensors");
	assert_finds(1, "step 6: spoilt/checkpoint-6/optimizer.safetensors: tensor \"");
}

/* Begun from it, the first step that it spoils is. */
static void test_a_flipped_bit_of_the_checkpoint_it_begins_from_is_seen(void **state)
{
	(void)state;
	copy("train");
	shell("mv spoilt/checkpoint-6 spoilt/checkpoint-6.part");
	flip_byte("spoilt/checkpoint-6.part/model.safetensors", -2); /* a large change */
	assert_ok(checkpoint_commit("spoilt", 6, (struct checkpoint_limit){0, -1}));
	assert_int_equal(hone("verify spoilt --steps 7"), 1);
	assert_says("stderr", "step 7: ");
}

static void test_a_damaged_checkpoint_is_named(void **state)
{
	(void)state;
	copy("train");
	flip_byte("spoilt/checkpoint-6/model.safetensors", -4);
	assert_finds(2, "checkpoint-6/model.safetensors: its length or checksum");
}

static void test_an_edited_line_of_metrics_is_named(void **state)
{
	(void)state;
	copy("train");
	shell("sed -i -E '/\"step\": 5/s/\"reward\": [0-9.e-]+/\"reward\": 0.75/' "
	      "spoilt/metrics.jsonl");
	assert_finds(1, "step 5: spoilt/metrics.jsonl: \"reward\" is 0.75, and computed again");
	copy("train");
	shell("sed -i -E 's/\"eval\\/pass@1\": [0-9.e-]+/\"eval\\/pass@1\": 0.9/' "
	      "spoilt/metrics.jsonl");
	assert_finds(1, "step 0: spoilt/metrics.jsonl: \"eval/pass@1\" is 0.9");
	copy("train");
	shell("sed -i '/\"step\": 3,/d' spoilt/metrics.jsonl");
	assert_finds(1, "step 3: spoilt/metrics.jsonl has no line of it");
}

static void test_an_edited_sample_is_named(void **state)
{
	(void)state;
	copy("train");
	shell("cd spoilt/samples && gzip -d step-4.jsonl.gz && "
	      "sed -i '2s/\"completion\": \"/&x/' step-4.jsonl && gzip step-4.jsonl");
	assert_finds(1, "step 4: spoilt/samples/step-4.jsonl.gz:2: \"completion\" is \"x");
}

static void test_another_data_file_is_named(void **state)
{
	(void)state;
	copy("train");
	shell("cp problems.jsonl keep && sed -i '7d' problems.jsonl");
	assert_finds(2, "the training problems or their tokens are not those that the run was "
	                "started with");
	shell("mv keep problems.jsonl && cp held.jsonl keep && sed -i '1d' held.jsonl");
	assert_finds(1, "step 0: spoilt/samples/step-0.jsonl.gz:1: \"problem\" is");
	shell("mv keep held.jsonl");
	hone_ok("verify spoilt --steps 1");
}

static void test_other_settings_are_refused(void **state)
{
	(void)state;
	assert_int_equal(hone("verify train loss.beta=0.1"), 2);
	assert_says("stderr", "loss.beta: 0.05 -> 0.1");
}

static void test_steps_that_were_not_done_are_refused(void **state)
{
	(void)state;
	assert_int_equal(hone("verify train --steps 5-8"), 2);
	assert_says("stderr", "it has done steps 1 to 7, and not 5 to 8");
	assert_int_equal(hone("verify train --steps 5-"), 2);
	assert_int_equal(hone("verify train --steps 0-3"), 2);
	assert_says("stderr", "--steps 0-3: expected two steps");
	assert_int_equal(hone("verify nothing"), 2);
	assert_says("stderr", "expected the folder of a run");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_a_run_is_identical_to_itself),
	        cmocka_unit_test(test_what_changes_no_bit_is_not_found),
	        cmocka_unit_test(test_the_run_is_only_read_and_nothing_stays_behind),
	        cmocka_unit_test(test_one_flipped_bit_of_a_tensor_is_named),
	        cmocka_unit_test(test_a_flipped_bit_of_the_checkpoint_it_begins_from_is_seen),
	        cmocka_unit_test(test_a_damaged_checkpoint_is_named),
	        cmocka_unit_test(test_an_edited_line_of_metrics_is_named),
	        cmocka_unit_test(test_an_edited_sample_is_named),
	        cmocka_unit_test(test_another_data_file_is_named),
	        cmocka_unit_test(test_other_settings_are_refused),
	        cmocka_unit_test(test_steps_that_were_not_done_are_refused),
	};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, set_up, NULL);
}
