/* Signals, sent to whole jobs as users, terminals and schedulers send them: the run stops and
 * saves, and goes on to the bits of one that never stopped. */
#include "run.h"

#include <time.h>

static const char *const configs[] = {"grpo.yaml", "ppo.yaml", "sft.yaml"};

/* Evaluation in every second step, several updates a step, curricula with a memory. */
static const char grpo[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 32, n_layers: 2, n_heads: 2, n_kv_heads: 1, head_width: 16, ff_width: 48, "
        "n_positions: 48}\n"
        "data:\n"
        "  generate: [{name: sequence, levels: 1-3, count: 40}]\n"
        "  eval_generate: [{name: sequence, levels: 2, count: 20, first: 1000}]\n"
        "task: {reward: sequence}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0.05, num_iterations: 2}\n"
        "curriculum: {kind: sec}\n"
        "rollout: {num_generations: 4, prompts_per_step: 8, max_completion_length: 16}\n"
        "optim: {learning_rate: 1e-2, num_minibatches: 2}\n"
        "run: {max_steps: 8, save_steps: 3, save_total_limit: 0, eval_steps: 2}\n";
static const char ppo[] = "extends: grpo.yaml\n"
                          "algorithm: ppo\n"
                          "loss: {beta: 0}\n"
                          "curriculum: {kind: dump}\n"
                          "critic: {learning_rate: 2e-2, warmup_steps: 1}\n";
static const char sft[] = "extends: grpo.yaml\n"
                          "curriculum: {kind: uniform}\n"
                          "sft: {batch_size: 16}\n"
                          "run: {max_steps: 40, eval_steps: 10}\n";

static const char *command_of(const char *config)
{
	return config == configs[2] ? "sft" : "train";
}

static int steps_of(const char *config)
{
	return config == configs[2] ? 40 : 8;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void assert_same_end(const char *a, const char *b, const char *config)
{
	static const char *const files[] = {"model.safetensors", "optimizer.safetensors",
	                                    "critic.safetensors"};
	char                     name[64], *x, *y;

	for (int i = 0; i < 2 + (config == configs[1]); i++) {
		snprintf(name, sizeof name, "checkpoint-%d/%s", steps_of(config), files[i]);
		if (!same_bytes(in_folder(a, name), in_folder(b, name)))
			fail_msg("%s: another %s than without signals", config, name);
	}
	x = metrics_without_times(a);
	y = metrics_without_times(b);
	assert_string_equal(x, y);
	free(x);
	free(y);
}

/* One call that gets the signal after so many seconds; its exit status. */
static int interrupted(const char *config, const char *folder, int number, double seconds)
{
	pid_t pid =
	        hone_start("%s %s run.output_dir=%s --resume", command_of(config), config, folder);

	usleep((useconds_t)(seconds * 1e6));
	kill(pid, number);
	return hone_end(pid);
}

/* Each call gets a little further, or not even that: the moments lie anywhere in steps, evaluations
 * and savings, and before the first step. */
static void a_signal_at_any_moment_costs_no_bit(void **state)
{
	(void)state;
	static const int signals[] = {SIGTERM, SIGHUP, SIGUSR1, SIGINT, SIGUSR2};
	int              saved = 0;

	for (int c = 0; c < 3; c++) {
		double start = now(), whole;
		hone_ok("%s %s run.output_dir=whole", command_of(configs[c]), configs[c]);
		whole = now() - start;
		/* on a busy machine many come too early or too late to be saved: then more */
		for (int round = 0; round < 2 || (saved < 7 * (c + 1) && round < 8); round++) {
			for (int k = 0; k < 10; k++) {
				int number = signals[k % 5],
				    status = interrupted(configs[c], "cut", number,
				                         whole * (k + 0.5 + round * 0.125) / 20);
				/* the last: before the job had begun */
				if (status != 3 && status != 0 && status != 128 + number)
					fail_msg("%s, signal %d: exit status %d", configs[c],
					         number, status);
				saved += status == 3;
			}
			hone_ok("%s %s run.output_dir=cut --resume compute.threads=2",
			        command_of(configs[c]), configs[c]);
			assert_same_end("whole", "cut", configs[c]);
			shell("rm -r cut");
		}
		shell("rm -r whole");
	}
	assert_true(saved >= 20);
}

/* The verifier sends the signal when it has judged so many: within the acting of the second step,
 * and then it hangs. */
static const char judge[] =
        "n=0\n"
        "while read -r line; do\n"
        "  n=$((n + 1))\n"
        "  if [ $n -eq 40 ] && [ ! -e asked ]; then touch asked; kill -%s $PPID; sleep 1000; fi\n"
        "  echo '{\"reward\": '$((n %% 2))'}'\n"
        "done\n";

static void a_step_without_an_update_is_given_up_though_its_verifier_hangs(void **state)
{
	(void)state;
	char text[512];

	snprintf(text, sizeof text, judge, "USR1");
	write_text("judge.sh", text);
	write_text("judged.yaml", "extends: grpo.yaml\ntask: {reward: command, verifier: {command: "
	                          "'sh judge.sh', command_workers: 1, "
	                          "command_timeout: 900}}\n"
	                          "run: {max_steps: 4, save_steps: 0}\n");
	assert_int_equal(hone("train judged.yaml run.output_dir=judged task.eval_reward=sequence "
	                      "run.eval_steps=0"),
	                 3);
	assert_says("stderr", "SIGUSR1: saving step 1");
	assert_says("stdout", "stopped and saved: step 1 of 4");
	assert_true(file_exists("judged/checkpoint-1/model.safetensors"));
	assert_false(file_exists("judged/checkpoint-2"));
	assert_int_equal(count_lines("judged/metrics.jsonl"), 1);
}

static void a_hangup_is_ignored_where_it_was_and_may_come_twice(void **state)
{
	(void)state;
	pid_t pid;

	shell("trap '' HUP; '%s' train grpo.yaml run.output_dir=nohup > nohup.out 2>&1 & sleep "
	      "0.2; kill -HUP $!; wait $!",
	      run_program);
	assert_true(file_exists("nohup/checkpoint-8/model.safetensors"));
	pid = hone_start(
	        "train grpo.yaml run.output_dir=twice run.max_steps=100000 run.eval_steps=0");
	wait_for_lines(pid, "twice/metrics.jsonl", 2);
	for (int i = 0; i < 20; i++) {
		kill(pid, SIGHUP);
		kill(pid, SIGUSR1);
	}
	assert_int_equal(hone_end(pid), 3);
}

static void a_reader_that_leaves_ends_no_run(void **state)
{
	(void)state;
	shell("{ '%s' train grpo.yaml run.output_dir=piped 2> stderr; echo $? > status; } | true",
	      run_program);
	assert_true(file_exists("piped/checkpoint-8/model.safetensors"));
	assert_says("stderr", "cannot write to standard output");
	assert_says("status", "2");
}

/* The first thread and those of OpenMP have stacks of their own size, and no bit hangs on it. */
static void a_small_stack_ends_no_run(void **state)
{
	(void)state;
	hone_ok("train ppo.yaml run.output_dir=usual run.max_steps=2 run.eval_steps=0");
	shell("ulimit -s 256; unset OMP_STACKSIZE; '%s' train ppo.yaml run.output_dir=small "
	      "run.max_steps=2 "
	      "run.eval_steps=0 > stdout 2> stderr",
	      run_program);
	assert_true(same_bytes("usual/checkpoint-2/model.safetensors",
	                       "small/checkpoint-2/model.safetensors"));
}

static void a_bound_on_files_is_an_error(void **state)
{
	(void)state;
	shell("ulimit -f 20; '%s' train grpo.yaml run.output_dir=bound run.max_steps=1 > stdout 2> "
	      "stderr; echo $? > status",
	      run_program);
	assert_says("status", "2");
	assert_says("stderr", "bound/");
}

/* Whatever the room for memory and stacks of threads is (ulimit -v, in KiB), the program does its
 * work, says what it lacks, or is not loaded by the system (127); it neither hangs nor crashes. */
static void a_bound_on_memory_is_an_error_and_no_hang(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__)
	skip(); /* it needs terabytes of addresses */
#endif
	int refused = 0, status = 0;

	for (int room = 10000; room <= 300000; room += 5000 + (room >= 60000) * 45000) {
		shell("rm -rf room; (ulimit -v %d; timeout -s KILL 60 '%s' train grpo.yaml "
		      "run.output_dir=room run.max_steps=1 compute.threads=2 > stdout 2> stderr); "
		      "echo $? > status",
		      room, run_program);
		status = atoi(read_all("status", &(size_t){0}));
		if (status == 2)
			assert_says("stderr", "hone train: ");
		else if (status != 0 && status != 127)
			fail_msg("ulimit -v %d: exit status %d", room, status);
		refused += status == 2;
	}
	assert_int_equal(status, 0);
	assert_true(refused > 0);
}

/* An end of the last step's evaluation is made up for, and then the run is done. */
static void a_stop_when_all_is_done_is_no_stop(void **state)
{
	(void)state;
	hone_ok("train grpo.yaml run.output_dir=done run.max_steps=1 run.eval_steps=0");
	hone_ok("train grpo.yaml run.output_dir=done run.max_steps=1 run.eval_steps=0 --resume");
	assert_says("stdout", "done: step 1 of 1");
}

static int setup(void **state)
{
	(void)state;
	run_in_temporary_folder();
	write_text("grpo.yaml", grpo);
	write_text("ppo.yaml", ppo);
	write_text("sft.yaml", sft);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_signal_at_any_moment_costs_no_bit),
	        TEST(a_step_without_an_update_is_given_up_though_its_verifier_hangs),
	        TEST(a_hangup_is_ignored_where_it_was_and_may_come_twice),
	        TEST(a_reader_that_leaves_ends_no_run),
	        TEST(a_small_stack_ends_no_run),
	        TEST(a_bound_on_files_is_an_error),
	        TEST(a_bound_on_memory_is_an_error_and_no_hang),
	        TEST(a_stop_when_all_is_done_is_no_stop),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
