/* Algorithms, guidance, credit and curricula go together by config alone, and resume to the same
 * bits. */
#include "run.h"

static const char job_text[] =
        "model:\n"
        "  tokenizer: 'chars:,0123456789:?'\n"
        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 32}\n"
        "data:\n"
        "  generate: [{name: sequence, levels: 1-3, count: 30}]\n"
        "task: {reward: sequence}\n"
        "loss: {beta: 0}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-2}\n"
        "run: {max_steps: 2, save_steps: 2, save_total_limit: 0, tensorboard: false}\n";

static const char *const algorithms[] = {"algorithm=grpo",
                                         "algorithm=dapo loss.dynamic_sampling_max_batches=2",
                                         "algorithm=gspo", "algorithm=ppo"};
static const char *const guidances[] = {
        "", "guidance.kind=guide guidance.form=mixed guidance.template='{prompt}?{hint}:'",
        "guidance.kind=guide guidance.trigger_accuracy=1 guidance.template='{prompt}?{hint}:'"};
static const char *const credits[] = {
        "", "credit.kind=empg", "credit.kind=empg credit.zero_variance=zero credit.shuffle=true"};
static const char *const curricula[] = {"", "curriculum.kind=sec", "curriculum.kind=dump"};

/* The i-th of all combinations, as settings. */
static void settings_of(int i, char *out, size_t size)
{
	snprintf(out, size, "%s %s %s %s", algorithms[i % 4], guidances[i / 4 % 3],
	         credits[i / 12 % 3], curricula[i / 36 % 3]);
}

static void run(const char *folder, int steps, const char *settings, const char *more)
{
	hone_ok("train job.yaml run.output_dir=%s run.max_steps=%d %s %s", folder, steps, settings,
	        more);
}

/* Every pair of parts meets: of the 108 combinations those whose number is a multiple of 5, which
 * is prime to all the counts. */
static void parts_of_every_kind_run_together(void **state)
{
	(void)state;
	for (int i = 0; i < 108; i += 5) {
		char settings[512], folder[32];
		settings_of(i, settings, sizeof settings);
		snprintf(folder, sizeof folder, "run-%d", i);
		run(folder, 2, settings, "");
		assert_int_equal(count_lines(in_folder(folder, "metrics.jsonl")), 2);
	}
}

/* Interrupted after two steps and gone on with other threads and micro-batches, against four in one
 * go. */
static void combinations_resume_to_the_same_bits(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		char settings[512], whole[32], parts[32];
		settings_of(i + 4 * (1 + i % 2) + 12 * (1 + i % 2) + 36 * (1 + i % 2), settings,
		            sizeof settings);
		snprintf(whole, sizeof whole, "whole-%d", i);
		snprintf(parts, sizeof parts, "parts-%d", i);
		run(whole, 4, settings, "");
		run(parts, 2, settings, "");
		run(parts, 4, settings,
		    "--resume compute.threads=3 compute.micro_batch_tokens=1 "
		    "compute.recompute=on");
		assert_true(same_bytes(in_folder(whole, "checkpoint-4/model.safetensors"),
		                       in_folder(parts, "checkpoint-4/model.safetensors")));
		assert_true(same_bytes(in_folder(whole, "checkpoint-4/optimizer.safetensors"),
		                       in_folder(parts, "checkpoint-4/optimizer.safetensors")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(parts_of_every_kind_run_together),
	                                   TEST(combinations_resume_to_the_same_bits)};

	run_in_temporary_folder();
	write_text("job.yaml", job_text);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
