/* Whole jobs, run as a user runs them: no setting that should only change speed changes a bit, and
 * no interruption does. */
#include "base/json.h"
#include "curriculum/curriculum.h"
#include "rl/job_parts.h"
#include "rl/train.h"
#include "run.h"

enum { KILLS = 10, STEPS = 20 };

static const char config[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 2, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 32}\n"
        "data:\n"
        "  generate: [{name: sequence, levels: 1-3, count: 40}]\n"
        "  eval_generate: [{name: sequence, levels: 2, count: 5, first: 1000}]\n"
        "task: {reward: sequence}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0.05, num_iterations: 2}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-2, num_minibatches: 2}\n"
        "sft: {batch_size: 8}\n"
        "run: {max_steps: 10, save_steps: 3, save_total_limit: 0, eval_steps: 4}\n";

/* The same with a critic: a second network (its advantages edited by shuffled entropies), or a head
 * on the policy's and a controller of beta. */
static const char critic_own[] = "extends: job.yaml\n"
                                 "algorithm: ppo\n"
                                 "loss: {beta: 0}\n"
                                 "critic: {learning_rate: 2e-2, warmup_steps: 1}\n"
                                 "credit: {kind: empg, shuffle: true}\n";
static const char critic_shared[] =
        "extends: job.yaml\n"
        "algorithm: ppo\n"
        "loss: {kl_controller: adaptive, kl_target: 0.001, kl_horizon: 40}\n"
        "critic: {network: shared, learning_rate: 2e-2, warmup_steps: 2, cliprange_value: 0.2}\n";
/* In turns: a warm start of a few steps, so that most actions end, then episodes with a world that
 * answers. */
static const char episodes[] =
        "data:\n"
        "  generate: [{name: nav, levels: 1-2, count: 60}, {name: household, levels: 1, count: "
        "20}]\n"
        "  eval_generate: [{name: nav, levels: 1, count: 5, first: 1000}]\n"
        "task: {reward: environment}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 60}\n"
        "optim: {learning_rate: 1e-2}\n"
        "run: {max_steps: 10, save_steps: 3, save_total_limit: 0, eval_steps: 4}\n";
static const char        episodes_sft[] = "extends: episodes.yaml\n"
                                          "model:\n"
                                          "  tokenizer: chars\n"
                                          "  init: {width: 32, n_layers: 2, n_heads: 2, n_kv_heads: 1, "
                                          "head_width: 16, ff_width: 48,\n"
                                          "         n_positions: 96}\n"
                                          "sft: {batch_size: 8}\n"
                                          "run: {max_steps: 60, save_steps: 0, eval_steps: 0}\n";
static const char        bf16[] = "extends: job.yaml\n"
                                  "compute: {precision: bf16}\n";
static const char *const critics[] = {"critic-own.yaml", "critic-shared.yaml"};

/* ---- helpers ---- */

static const char *file = "job.yaml";

static void run(const char *command, const char *folder, const char *settings)
{
	hone_ok("%s %s run.output_dir=%s %s", command, file, folder, settings);
}

static int same_metrics(const char *a, const char *b)
{
	char *x = metrics_without_times(a), *y = metrics_without_times(b);
	int   same = !strcmp(x, y);

	if (!same)
		print_message("%s:\n%s%s:\n%s", a, x, b, y);
	free(x);
	free(y);
	return same;
}

/* Weights, moments and metrics of two runs after so many steps. */
static void assert_same_run(const char *a, const char *b, int step)
{
	char name[64];

	snprintf(name, sizeof name, "checkpoint-%d/model.safetensors", step);
	assert_true(same_bytes(in_folder(a, name), in_folder(b, name)));
	snprintf(name, sizeof name, "checkpoint-%d/optimizer.safetensors", step);
	assert_true(same_bytes(in_folder(a, name), in_folder(b, name)));
	if (file != critics[0] && file != critics[1]) {
		assert_true(same_metrics(a, b));
		return;
	}
	snprintf(name, sizeof name, "checkpoint-%d/critic.safetensors", step);
	assert_true(same_bytes(in_folder(a, name), in_folder(b, name)));
	assert_true(same_metrics(a, b));
}

/* ---- settings that change speed and memory only ---- */

static void training_meets_the_probabilities_that_sampling_saw(void **state)
{
	(void)state;
	static const char *const settings[] = {"rollout.share_prompt=true rollout.batch_size=1",
	                                       "rollout.share_prompt=true rollout.batch_size=64",
	                                       "rollout.share_prompt=false rollout.batch_size=1",
	                                       "rollout.share_prompt=false rollout.batch_size=64"};
	static const char *const folders[] = {"batch-a", "batch-b", "batch-c", "batch-d"};

	for (int i = 0; i < 4; i++) {
		run("train", folders[i], settings[i]);
		FILE *f = fopen(in_folder(folders[i], "metrics.jsonl"), "r");
		char  line[8192];
		int   n = 0;
		while (fgets(line, sizeof line, f)) {
			json_t *row = json_loads(line, 0, NULL),
			       *difference = json_object_get(
			               row, "sampling/sampling_logp_difference/max");
			if (json_object_get(row, "loss")) {
				assert_true(json_is_number(difference) &&
				            json_number_value(difference) == 0);
				n++;
			}
			json_decref(row);
		}
		fclose(f);
		assert_int_equal(n, 10);
	}
	/* of the weights, too: training computes a shared prompt once, whatever decoding does */
	for (int i = 1; i < 4; i++) {
		assert_same_run(folders[0], folders[i], 10);
		assert_true(same_bytes(in_folder(folders[0], "samples/step-10.jsonl.gz"),
		                       in_folder(folders[i], "samples/step-10.jsonl.gz")));
	}
}

static void threads_and_micro_batches_change_no_bit(void **state)
{
	(void)state;
	static const char *const settings[] = {
	        "compute.threads=2",
	        "compute.threads=3",
	        "compute.threads=8",
	        "compute.micro_batch_tokens=1",
	        "compute.micro_batch_tokens=100 compute.threads=3 compute.recompute=on",
	        "compute.micro_batch_tokens=100000 rollout.batch_size=5"};

	run("train", "plain", "compute.threads=1");
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		run("train", "varied", settings[i]);
		assert_same_run("plain", "varied", 10);
		shell("rm -r varied");
	}
}

static void nor_of_a_critic(void **state)
{
	(void)state;
	static const char *const settings[] = {
	        "compute.threads=3 compute.micro_batch_tokens=1 compute.recompute=on",
	        "compute.micro_batch_tokens=100 compute.threads=2 rollout.batch_size=5"};

	for (int c = 0; c < 2; c++) {
		file = critics[c];
		run("train", "critic-plain", "compute.threads=1");
		for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
			run("train", "critic-varied", settings[i]);
			assert_same_run("critic-plain", "critic-varied", 10);
			shell("rm -r critic-varied");
		}
		shell("rm -r critic-plain");
	}
	file = "job.yaml";
}

/* Several turns an answer, some rewards, and no difference between sampling and training. */
static void assert_steps_of_episodes(const char *path)
{
	FILE  *f = fopen(path, "r");
	char   line[8192];
	double turns = 0, reward = 0;
	int    n = 0;

	while (fgets(line, sizeof line, f)) {
		json_t *row = json_loads(line, 0, NULL);
		if (json_object_get(row, "loss")) {
			assert_close(json_number_value(json_object_get(
			                     row, "sampling/sampling_logp_difference/max")),
			             0, 0);
			turns += json_number_value(json_object_get(row, "completions/mean_turns"));
			reward += json_number_value(json_object_get(row, "reward"));
			n++;
		}
		json_decref(row);
	}
	fclose(f);
	assert_int_equal(n, 10);
	assert_true(turns > 1.5 * n && reward > 0);
}

/* Threads, decode batch, micro-batches, a kill: nothing changes a bit of what is played in turns,
 * and training meets the probabilities that were sampled. */
static void episodes_keep_their_bits_too(void **state)
{
	(void)state;
	static const char *const settings[] = {
	        "compute.threads=3 rollout.batch_size=64 model.path=episodes-warm",
	        "compute.micro_batch_tokens=1 model.path=episodes-warm"};
	pid_t pid;

	file = "episodes-sft.yaml";
	run("sft", "episodes-sft", "");
	file = "episodes.yaml";
	shell("mv episodes-sft/checkpoint-60 episodes-warm");
	run("train", "episodes", "rollout.batch_size=1 model.path=episodes-warm");
	for (int i = 0; i < 2; i++) {
		run("train", "episodes-varied", settings[i]);
		assert_same_run("episodes", "episodes-varied", 10);
		shell("rm -r episodes-varied");
	}
	pid = hone_start(
	        "train episodes.yaml run.output_dir=episodes-varied model.path=episodes-warm");
	wait_for_lines(pid, in_folder("episodes-varied", "metrics.jsonl"), 5);
	kill(pid, SIGKILL);
	hone_end(pid);
	run("train", "episodes-varied", "--resume model.path=episodes-warm");
	assert_same_run("episodes", "episodes-varied", 10);
	assert_steps_of_episodes("episodes/metrics.jsonl");
	file = "job.yaml";
}

static void another_seed_another_rate_give_other_bits(void **state)
{
	(void)state;
	run("train", "seed-0", "");
	run("train", "seed-1", "run.seed=1");
	run("train", "rate", "optim.learning_rate=1.0001e-2");
	assert_false(same_bytes("seed-0/checkpoint-10/model.safetensors",
	                        "seed-1/checkpoint-10/model.safetensors"));
	assert_false(same_bytes("seed-0/checkpoint-10/model.safetensors",
	                        "rate/checkpoint-10/model.safetensors"));
	assert_false(same_bytes("seed-0/checkpoint-3/model.safetensors",
	                        "seed-0/checkpoint-6/model.safetensors"));
}

/* ---- interruptions ---- */

static void killed_anywhere_it_resumes_to_the_same_bits(void **state)
{
	(void)state;
	char folder[32], settings[64];
	int  killed = 0;

	run("train", "whole", "run.max_steps=20");
	for (int i = 0; i < KILLS; i++) {
		snprintf(folder, sizeof folder, "killed-%d", i);
		pid_t pid = hone_start("train %s run.output_dir=%s run.max_steps=%d", file, folder,
		                       STEPS);
		wait_for_lines(pid, in_folder(folder, "metrics.jsonl"), i);
		usleep((useconds_t)(i * 7919 % 4000)); /* not always right behind a line */
		kill(pid, SIGKILL);
		killed += hone_end(pid) == 128 + SIGKILL;

		snprintf(settings, sizeof settings, "--resume run.max_steps=%d compute.threads=%d",
		         STEPS, 1 + i % 3);
		run("train", folder, settings);
		assert_same_run("whole", folder, STEPS);
	}
	assert_true(killed >= KILLS / 2); /* else the machine was too fast for this test */
}

/* The promises above, with products in bf16. */
static void in_bf16_too(void **state)
{
	file = "bf16.yaml";
	shell("rm -r batch-? plain whole killed-*");
	training_meets_the_probabilities_that_sampling_saw(state);
	threads_and_micro_batches_change_no_bit(state);
	killed_anywhere_it_resumes_to_the_same_bits(state);
	assert_false(same_bytes("plain/checkpoint-10/model.safetensors",
	                        "seed-0/checkpoint-10/model.safetensors"));
	file = "job.yaml";
}

/* Every kind of the table, so that a new one is under test: 5 steps and a new process, against 10
 * in one go. */
static void every_curriculum_resumes_to_the_same_bits(void **state)
{
	(void)state;
	const char *kind;
	char        whole[64], parted[64], settings[200], more[240];

	for (int k = 0; (kind = curriculum_kind_name(k)); k++) {
		snprintf(whole, sizeof whole, "%s-whole", kind);
		snprintf(parted, sizeof parted, "%s-parted", kind);
		snprintf(settings, sizeof settings,
		         "curriculum.kind=%s loss.dynamic_sampling=true "
		         "loss.dynamic_sampling_max_batches=2 run.eval_steps=5 %s",
		         kind, strcmp(kind, "easy_to_hard") ? "" : "curriculum.steps_per_level=4");
		run("train", whole, settings);
		snprintf(more, sizeof more, "%s run.max_steps=5", settings);
		run("train", parted, more);
		snprintf(more, sizeof more, "%s --resume", settings);
		run("train", parted, more);
		assert_same_run(whole, parted, 10);
		assert_says(in_folder(whole, "metrics.jsonl"), "\"curriculum/sequence/2/count\"");
	}
	run("train", "dump-unseen",
	    "curriculum.kind=dump loss.dynamic_sampling=true loss.dynamic_sampling_max_batches=2 "
	    "run.eval_steps=0");
	assert_true(same_bytes("dump-whole/checkpoint-10/model.safetensors",
	                       /* nothing of evaluation steers it */
	                       "dump-unseen/checkpoint-10/model.safetensors"));
	assert_false(same_bytes("sec-whole/checkpoint-10/model.safetensors",
	                        "uniform-whole/checkpoint-10/model.safetensors"));
	assert_int_equal(
	        hone("train job.yaml run.output_dir=sec-whole curriculum.kind=dump --resume"), 2);
	assert_says("stderr", "curriculum.kind: sec -> dump");
}

static void a_run_folder_has_one_writer_and_a_killed_one_leaves_it_free(void **state)
{
	(void)state;
	char  settings[64];
	pid_t pid = hone_start(
	        "train %s run.output_dir=locked run.max_steps=100000 run.save_steps=1", file);

	wait_for_lines(pid, in_folder("locked", "metrics.jsonl"), 2);
	assert_int_equal(hone("train %s run.output_dir=locked run.max_steps=100000 --resume", file),
	                 2);
	assert_says("stderr", "locked: another process is at work there");
	kill(pid, SIGKILL);
	assert_int_equal(hone_end(pid), 128 + SIGKILL);
	snprintf(settings, sizeof settings, "run.max_steps=%d --resume",
	         count_lines("locked/metrics.jsonl") + 2);
	run("train", "locked", settings);
}

static void killed_with_a_critic_it_resumes_to_the_same_bits(void **state)
{
	(void)state;
	int killed = 0;

	for (int c = 0; c < 2; c++) {
		file = critics[c];
		run("train", "critic-whole", "run.max_steps=12");
		/* behind the first, the fifth, the ninth step: in the warm-up of the critic, too */
		for (int i = 0; i < 3; i++) {
			pid_t pid = hone_start("train %s run.output_dir=critic-killed "
			                       "run.max_steps=12 run.save_steps=1",
			                       file);
			wait_for_lines(pid, in_folder("critic-killed", "metrics.jsonl"), 1 + 4 * i);
			kill(pid, SIGKILL);
			killed += hone_end(pid) == 128 + SIGKILL;
			run("train", "critic-killed",
			    i % 2 ? "--resume run.max_steps=12 compute.threads=3"
			          : "--resume run.max_steps=12");
			assert_same_run("critic-whole", "critic-killed", 12);
			shell("rm -r critic-killed");
		}
		shell("rm -r critic-whole");
	}
	file = "job.yaml";
	assert_true(killed >= 3);
}

static void asked_to_stop_it_saves_and_goes_on_later(void **state)
{
	(void)state;
	char  settings[128], name[64];
	pid_t pid = hone_start("train job.yaml run.output_dir=stopped run.max_steps=100000 "
	                       "run.save_steps=0 run.eval_steps=0");
	int   steps;

	wait_for_lines(pid, in_folder("stopped", "metrics.jsonl"), 4);
	kill(pid, SIGTERM);
	assert_int_equal(hone_end(pid), 3);
	assert_says("stdout", "stopped and saved");
	assert_says("stderr", "SIGTERM: ");
	assert_says("stdout", "saved step ");
	steps = count_lines("stopped/metrics.jsonl");
	snprintf(name, sizeof name, "stopped/checkpoint-%d/model.safetensors", steps);
	assert_true(file_exists(name));

	snprintf(settings, sizeof settings, "run.max_steps=%d run.eval_steps=0", steps + 5);
	run("train", "never-stopped", settings);
	snprintf(settings, sizeof settings,
	         "run.max_steps=%d run.eval_steps=0 compute.threads=3 --resume", steps + 5);
	run("train", "stopped", settings);
	assert_same_run("never-stopped", "stopped", steps + 5);
}

static void a_damaged_checkpoint_is_passed_over(void **state)
{
	(void)state;
	static const char *const files[] = {"model.safetensors",  "optimizer.safetensors",
	                                    "trainer_state.json", "manifest.json",
	                                    "config.json",        "tokenizer.json"};

	run("train", "undamaged", "run.max_steps=12");
	run("train", "sound", "run.max_steps=9");
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		shell("cp -r sound damaged");
		char path[128];
		snprintf(path, sizeof path, "damaged/checkpoint-9/%s", files[i]);
		flip_byte(path, -20);
		run("train", "damaged", "run.max_steps=12 --resume");
		assert_says("stdout", "passed over: damaged/checkpoint-9");
		if (strcmp(files[i], "manifest.json") != 0)
			assert_says("stdout",
			            in_folder("passed over: damaged/checkpoint-9", files[i]));
		assert_says("stdout", "resumed from step 6");
		assert_same_run("undamaged", "damaged", 12);
		shell("rm -r damaged");
	}
}

/* A checksum of every name and byte below a folder. */
static unsigned long checksum(const char *folder)
{
	unsigned long sum = 0;
	FILE         *f;

	shell("cd %s && find . -type f -exec cksum {} + | sort | cksum > ../checksum", folder);
	f = fopen("checksum", "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu", &sum), 1);
	fclose(f);
	return sum;
}

static void damaged_checkpoints_are_not_absent_ones(void **state)
{
	(void)state;
	unsigned long before;

	run("train", "ruined", "run.max_steps=6");
	shell("truncate -s 100 ruined/checkpoint-*/optimizer.safetensors; cp -r "
	      "ruined/checkpoint-6 ruined/checkpoint-7.part");
	before = checksum("ruined");
	assert_int_equal(hone("train job.yaml run.output_dir=ruined --resume"), 2);
	assert_says("stderr", "all its checkpoints are damaged");
	assert_says("stderr", "ruined/checkpoint-3/optimizer.safetensors: its length or checksum");
	assert_int_equal(hone("train job.yaml run.output_dir=ruined"), 2);
	assert_says("stderr", "ruined holds a run already; add --resume to go on with it, "
	                      "--from-scratch to set it aside");
	assert_true(checksum("ruined") == before);

	/* as a new one; what was there is kept whole */
	run("train", "ruined", "run.max_steps=6 --from-scratch");
	assert_says("stdout", "what was there before is in ruined/old-1");
	run("train", "not-ruined", "run.max_steps=6");
	assert_same_run("not-ruined", "ruined", 6);
	assert_true(checksum("ruined/old-1") == before);
	run("train", "ruined", "run.max_steps=7 --resume");
	assert_says("stdout", "resumed from step 6");
	run("train", "ruined", "run.max_steps=2 --from-scratch --resume"); /* and again */
	assert_true(file_exists("ruined/old-2/checkpoint-7/manifest.json") &&
	            file_exists("ruined/checkpoint-2/manifest.json"));
	assert_true(checksum("ruined/old-1") == before);
	shell("mkdir -p leftover/tensorboard; touch leftover/tensorboard/mine");
	assert_int_equal(hone("train job.yaml run.output_dir=leftover"), 2);
	assert_says("stderr", "leftover holds a run already");
	run("train", "leftover", "run.max_steps=1 --from-scratch");
	assert_true(file_exists("leftover/old-1/tensorboard/mine"));
	run("train", "from-nothing", "run.max_steps=2 --from-scratch");
	assert_false(file_exists("from-nothing/old-1"));
}

static void a_checkpoint_without_its_log_goes_on_and_is_not_begun_upon(void **state)
{
	(void)state;
	run("train", "with-log", "run.max_steps=10");
	shell("mkdir alone; cp -r with-log/checkpoint-6 alone");
	assert_int_equal(hone("train job.yaml run.output_dir=alone"), 2);
	assert_says("stderr", "alone holds a run already");
	run("train", "alone", "--resume");
	assert_says(
	        "stdout",
	        "caution: alone/metrics.jsonl: it is not there; a new one begins behind step 6");
	assert_true(same_bytes("with-log/checkpoint-10/model.safetensors",
	                       "alone/checkpoint-10/model.safetensors"));
	/* steps 7 to 10, evaluations of 8 and 10 */
	assert_int_equal(count_lines("alone/metrics.jsonl"), 4 + 2);
	shell("rm alone/metrics.jsonl"); /* with nothing left to do */
	run("train", "alone", "--resume");
	shell("head -n 3 with-log/metrics.jsonl > alone/metrics.jsonl; rm -r alone/checkpoint-9 "
	      "alone/checkpoint-10");
	run("train", "alone", "--resume");
	assert_says("stdout", "caution: alone/metrics.jsonl: not the ");
	assert_true(same_bytes("with-log/checkpoint-10/model.safetensors",
	                       "alone/checkpoint-10/model.safetensors"));
	assert_int_equal(count_lines("alone/metrics.jsonl"), 3 + 4 + 2);
	assert_int_equal(hone("eval alone"), 0);
	shell("rm alone/metrics.jsonl");
	assert_int_equal(hone("eval alone"), 0); /* a run is known by its checkpoints, too */
}

/* How often each step 0 .. 20 has a record in the event files: field 2 of an Event; behind the
 * frame and field 1. */
static void count_event_steps(const char *folder, int *count)
{
	static const char *const starts[] = {"0000000000", "0000000003", "0000000006",
	                                     "0000000009"};

	memset(count, 0, 21 * sizeof *count);
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		char   path[200], *data;
		size_t n;
		snprintf(path, sizeof path, "%s/tensorboard/events.out.tfevents.%s.hone", folder,
		         starts[i]);
		if (!file_exists(path))
			continue;
		data = read_all(path, &n);
		for (size_t at = 0; at + 16 < n;) {
			uint64_t length;
			memcpy(&length, data + at, sizeof length);
			if (data[at + 12 + 9] == 0x10 && data[at + 12 + 10] <= 20)
				count[(int)data[at + 12 + 10]]++;
			at += 16 + length;
		}
		free(data);
	}
}

static void no_step_stands_twice_after_a_kill(void **state)
{
	(void)state;
	int   count[21];
	pid_t pid = hone_start("train job.yaml run.output_dir=twice run.max_steps=100000 "
	                       "run.save_steps=3 run.eval_steps=0");

	wait_for_lines(pid, in_folder("twice", "metrics.jsonl"), 8);
	kill(pid, SIGKILL);
	hone_end(pid);
	shell("rm -rf twice/checkpoint-9 twice/checkpoint-1?"); /* should it have been that fast */
	shell("mkdir -p twice/samples; touch twice/samples/step-5.jsonl.gz "
	      "twice/samples/step-7.jsonl.gz "
	      "twice/samples/step-7.jsonl.gz.part");
	run("train", "twice", "run.max_steps=11 run.save_steps=3 run.eval_steps=0 --resume");
	assert_says("stdout", "resumed from step 6");
	count_event_steps("twice", count);
	for (int step = 1; step <= 11; step++)
		assert_int_equal(count[step], 1);
	assert_int_equal(count_lines("twice/metrics.jsonl"), 11);
	assert_true(file_exists("twice/samples/step-5.jsonl.gz") &&
	            file_exists("twice/samples/step-11.jsonl.gz"));
	assert_false(file_exists("twice/samples/step-7.jsonl.gz") ||
	             file_exists("twice/samples/step-7.jsonl.gz.part"));
}

/* Their sizes may differ: a resumed run describes its metrics once more. */
static int count_event_records(const char *folder)
{
	size_t n;
	char  *data =
	        read_all(in_folder(folder, "tensorboard/events.out.tfevents.0000000000.hone"), &n);
	int records = 0;

	for (size_t at = 0; at + 16 < n; records++) {
		uint64_t length;
		memcpy(&length, data + at, sizeof length);
		at += 16 + length;
	}
	free(data);
	return records;
}

/* A run of no steps has a checkpoint of step 0, and its first evaluation behind it. */
static void the_evaluation_of_step_0_stands_once(void **state)
{
	(void)state;
	run("train", "from-0", "run.max_steps=0 run.eval_steps=2");
	run("train", "from-0", "run.max_steps=4 run.eval_steps=2 --resume");
	assert_says("stdout", "resumed from step 0");
	run("train", "at-once", "run.max_steps=4 run.eval_steps=2");
	assert_same_run("at-once", "from-0", 4);
	assert_true(count_event_records("at-once") > 4);
	assert_int_equal(count_event_records("from-0"), count_event_records("at-once"));
}

static void what_a_kill_before_rotation_left_goes_with_the_resume(void **state)
{
	(void)state;
	run("train", "unrotated", "run.save_total_limit=0"); /* 3 6 9 10 */
	shell("cp -r unrotated/checkpoint-10 unrotated/checkpoint-11.part");
	run("train", "unrotated", "run.save_total_limit=2 --resume");
	assert_true(file_exists("unrotated/checkpoint-10") &&
	            file_exists("unrotated/checkpoint-9"));
	assert_false(file_exists("unrotated/checkpoint-6") ||
	             file_exists("unrotated/checkpoint-3"));
	assert_false(file_exists("unrotated/checkpoint-11.part"));
}

static void a_half_written_checkpoint_is_removed(void **state)
{
	(void)state;
	run("train", "half", "run.max_steps=6");
	shell("cp -r half/checkpoint-6 half/checkpoint-7.part; rm "
	      "half/checkpoint-6/optimizer.safetensors");
	run("train", "half", "--resume");
	assert_says("stdout", "resumed from step 3");
	assert_false(file_exists("half/checkpoint-7.part"));
	run("train", "unbroken", "");
	assert_same_run("unbroken", "half", 10);
}

static void a_warm_start_resumes_exactly_too(void **state)
{
	(void)state;
	run("sft", "sft-whole", "compute.threads=1 compute.micro_batch_tokens=40 run.eval_steps=5");
	run("sft", "sft-parts", "compute.threads=3 run.eval_steps=5 run.max_steps=5");
	assert_false(file_exists("sft-parts/checkpoint-10"));
	run("sft", "sft-parts", "compute.threads=2 run.eval_steps=5 --resume");
	assert_same_run("sft-whole", "sft-parts", 10);

	for (int i = 1; i <= 3; i++) {
		pid_t pid = hone_start("sft job.yaml run.output_dir=sft-killed run.eval_steps=5");
		wait_for_lines(pid, in_folder("sft-killed", "metrics.jsonl"), 2 * i);
		kill(pid, SIGKILL);
		hone_end(pid);
		run("sft", "sft-killed", "run.eval_steps=5 --resume");
		assert_same_run("sft-whole", "sft-killed", 10);
		shell("rm -r sft-killed");
	}
}

static void a_finished_run_stays_as_it_is_when_resumed(void **state)
{
	(void)state;
	run("train", "finished", "");
	shell("cp -r finished finished-before");
	run("train", "finished", "--resume");
	assert_same_run("finished-before", "finished", 10);
	assert_true(same_bytes("finished-before/metrics.jsonl", "finished/metrics.jsonl"));
}

/* What no checkpoint holds, and what becomes of it between a run and its resume. */
/* A state of the run at its start with `key` changed, loaded: its status. */
static int load_changed(struct job *job, const char *key, const char *value)
{
	char   *text;
	json_t *state, *other;
	int     status;

	assert_ok(job_state_text(&job->learner, &job->sampler, &job->record, &text));
	assert_ok(json_parse("state", text, strlen(text), &state));
	assert_ok(json_parse("value", value, strlen(value), &other));
	assert_int_equal(json_object_set_new(state, key, other), 0);
	status = job_state_load(&job->learner, &job->sampler, &job->record, "state", state);
	json_decref(state);
	free(text);
	return status;
}

/* Also where the manifest is right: whoever hands on a checkpoint can write that too. */
static void what_a_state_says_stays_within_bounds(void **state)
{
	(void)state;
	static const struct {
		const char *key, *value, *says;
	} refused[] = {
	        {"step", "-1", "step"},
	        {"num_tokens", "9223372036854775807", "num_tokens"},
	        {"optimizer_step", "9223372036854775807", "optimizer_step"},
	        {"metrics_bytes", "9223372036854775807", "metrics_bytes"},
	        {"skipped_in_a_row", "2147483647", "skipped_in_a_row"},
	        {"critic", "{\"head_step\": 0, \"network_step\": 9223372036854775807}",
	         "network_step"},
	        {"beta", "-0.5", "\"beta\" is -0.5"},
	};
	struct job job;

	assert_ok(job_open(JOB_TRAIN, JOB_NEW, "critic-shared.yaml", NULL, 0, &job));
	assert_ok(job_take_inputs(&job.data, &job.learner, &job.sampler, &job.record));
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_error(load_changed(&job, refused[i].key, refused[i].value), ERR_INPUT,
		             refused[i].says);
	for (int i = 0; i < 2; i++) {
		assert_ok(load_changed(&job, "first_eval", i ? "[0.5, \"a\"]" : "[null, 0.5]"));
		assert_true(isnan(job.record.first_eval.mean) &&
		            isnan(job.record.first_eval.error));
	}
	assert_ok(load_changed(&job, "beta", "0.5"));
	assert_close(job.learner.learn.algorithm.beta, 0.5, 0);
	job_close(&job);
	assert_ok(job_open(JOB_TRAIN, JOB_NEW, "critic-own.yaml", NULL, 0,
	                   /* a fixed beta of 0: without a reference another one must not come in */
	                   &job));
	assert_ok(job_take_inputs(&job.data, &job.learner, &job.sampler, &job.record));
	assert_ok(load_changed(&job, "beta", "0.5"));
	assert_null(job.learner.reference);
	assert_close(job.learner.learn.algorithm.beta, 0, 0);
	job_close(&job);
}

/* `steps` steps in the folder, in each of which the one update is skipped or not; *in_a_row: as the
 * run counts them. */
static int steps_of_a_sick_run(enum job_begin how, int steps, int sick, int *in_a_row)
{
	const char *const settings[] = {"run.output_dir=sick", "loss.num_iterations=1",
	                                "optim.num_minibatches=1", "run.eval_steps=0"};
	struct job        job;
	int               status;

	assert_ok(job_open(JOB_TRAIN, JOB_NEW, "job.yaml", settings, 4, &job));
	assert_ok(job_start(&job, how));
	job.config.run.max_steps = job.record.step + steps;
	if (sick)
		job.learner.learn.algorithm.entropy_coef = 1e25; /* a gradient beyond all bounds */
	status = train_run(&job);
	*in_a_row = job.record.skipped_in_a_row;
	job_close(&job);
	return status;
}

static void a_resume_says_what_becomes_of_a_schedule_whose_end_moves(void **state)
{
	(void)state;
	static const struct {
		const char *settings, *says;
	} cases[] = {
	        {"optim.lr_scheduler_type=cosine", "caution: run.max_steps was 4 and is 8, so the "
	                                           "schedule (cosine) is another one: the "
	                                           "rate of step 4 was 0.00146447, that of "
	                                           "step 5 is 0.005 and not 0\n"},
	        {"optim.lr_scheduler_type=linear", "that of step 5 is 0.005 and not 0\n"},
	        {"optim.lr_scheduler_type=constant_with_warmup optim.warmup_ratio=0.75",
	         "the rate of step 4 was 0.01, that of step 5 is 0.00666667 and not 0.01; it warms "
	         "up a second time"},
	        {"optim.lr_scheduler_type=constant", NULL},
	        {"optim.lr_scheduler_type=constant_with_warmup optim.warmup_steps=2", NULL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char settings[200];
		snprintf(settings, sizeof settings, "run.max_steps=4 run.eval_steps=0 %s",
		         cases[i].settings);
		run("train", "stretched", settings);
		snprintf(settings, sizeof settings, "run.max_steps=8 run.eval_steps=0 %s --resume",
		         cases[i].settings);
		run("train", "stretched", settings);
		if (cases[i].says)
			assert_says("stdout", cases[i].says);
		assert_int_equal(file_says("stdout", "so the schedule"), cases[i].says != NULL);
		run("train", "stretched", settings); /* nothing has moved now */
		assert_false(file_says("stdout", "so the schedule"));
		shell("rm -r stretched");
	}
}

static void fewer_steps_than_are_done_are_refused(void **state)
{
	(void)state;
	unsigned long before;

	run("train", "done", "run.max_steps=6");
	before = checksum("done");
	assert_int_equal(hone("train job.yaml run.output_dir=done run.max_steps=5 --resume"), 2);
	assert_says("stderr",
	            "6 steps are done, more than the 5 of run.max_steps, and nothing was changed");
	assert_true(checksum("done") == before);
	run("train", "done", "run.max_steps=6 --resume");
}

/* The step whose value of eval/reward is largest or smallest, the first of equals; step 0 does not
 * count. */
static int best_step(const char *folder, const char *name, int greater)
{
	char  *text = metrics_without_times(folder);
	int    best = -1;
	double value = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *row = json_loads(line, 0, NULL), *x = json_object_get(row, name);
		double  v = json_number_value(x);
		if (x && json_integer_value(json_object_get(row, "step")) > 0 &&
		    (best < 0 || (greater ? v > value : v < value))) {
			best = (int)json_integer_value(json_object_get(row, "step"));
			value = v;
		}
		json_decref(row);
	}
	free(text);
	return best;
}

static void the_best_checkpoint_by_a_held_out_metric_stays(void **state)
{
	(void)state;
	static const char settings[] =
	        "optim.learning_rate=0.05 run.save_steps=0 run.save_total_limit=1 run.eval_steps=1 "
	        "run.metric_for_best_model=eval/mean_length";
	char line[300], name[64];
	int  steps[2];

	for (int greater = 0; greater < 2; greater++) {
		snprintf(line, sizeof line, "%s run.greater_is_better=%s", settings,
		         greater ? "true" : "false");
		run("train", "best", line);
		steps[greater] = best_step("best", "eval/mean_length", greater);
		snprintf(name, sizeof name, "best/checkpoint-%d/manifest.json", steps[greater]);
		assert_true(steps[greater] > 0 && file_exists(name) &&
		            file_exists("best/checkpoint-10"));
		shell("ls -d best/checkpoint-* > checkpoints");
		assert_int_equal(count_lines("checkpoints"), steps[greater] == 10 ? 1 : 2);
		snprintf(name, sizeof name, "at step %d, kept as best/checkpoint-%d",
		         steps[greater], steps[greater]);
		assert_says("stdout", name);

		/* and with a resume before it, at it, behind it */
		for (int first = 1; first <= 9; first += 4) {
			char part[340];
			snprintf(part, sizeof part, "%s run.max_steps=%d", line, first);
			run("train", "best-parts", part);
			snprintf(part, sizeof part, "%s --resume", line);
			run("train", "best-parts", part);
			assert_says("stdout", "best in eval/mean_length: ");
			shell("ls best | grep checkpoint > a; ls best-parts | grep checkpoint > b; "
			      "cmp a b && rm -r best-parts");
		}
		shell("rm -r best");
	}
	assert_true(steps[0] != steps[1]);
}

/* Before anything is written: the table of metrics knows what an evaluation measures, the config
 * how many completions, and the data which sources and categories. */
static void a_metric_that_nothing_measures_is_refused_at_the_start(void **state)
{
	(void)state;
	static const struct {
		const char *metric;
		int         status;
	} cases[] = {{"eval/pass", 2},           {"eval/pass@2", 2},
	             {"eval/pass@3", 0},         {"eval/maj@3", 0},
	             {"eval/maj@30", 2},         {"reward", 0},
	             {"eval/nothing/pass@1", 2}, {"eval/sequence/pass@1", 0},
	             {"eval/mean_length", 0},    {"eval/sequence-2/pass@1", 0}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(
		        hone("train job.yaml run.output_dir=metric run.max_steps=1 "
		             "run.eval_steps=1 "
		             "run.eval_samples=3 'data.eval_generate=[{name: sequence, count: 2}, "
		             "{name: sequence, seed: 5, count: 2}]' run.metric_for_best_model=%s",
		             cases[i].metric),
		        cases[i].status);
		if (cases[i].status)
			assert_says(
			        "stderr",
			        "there are: step, num_tokens, num_input_tokens_seen, eval/pass@1,");
		assert_int_equal(file_exists("metric/metrics.jsonl"), !cases[i].status);
		shell("rm -rf metric");
	}
}

static void the_bill_of_the_disk_is_what_a_checkpoint_takes(void **state)
{
	(void)state;
	static const struct {
		const char *file, *setting;
	} cases[] = {{"job.yaml", "run.seed=0"},
	             {"critic-own.yaml", "run.seed=1"},
	             {"lora.yaml", "model.lora_r=2"}};

	run("train", "unadapted", "run.max_steps=1");
	shell("sed 's,tokenizer: chars,path: unadapted/checkpoint-1,; /init:/d' job.yaml > "
	      "lora.yaml");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const settings[] = {"run.output_dir=weighed", "run.max_steps=1",
		                                cases[i].setting};
		struct job        job;
		uint64_t          billed;
		long              taken = 0;
		FILE             *f;
		assert_ok(job_open(JOB_TRAIN, JOB_NEW, cases[i].file, settings, 3, &job));
		assert_ok(job_take_inputs(&job.data, &job.learner, &job.sampler, &job.record));
		assert_ok(job_checkpoint_bytes(&job.learner, &job.sampler, &job.record, &billed));
		assert_false(file_exists("weighed"));
		job_close(&job);
		hone_ok("train %s run.output_dir=weighed run.max_steps=1 %s", cases[i].file,
		        cases[i].setting);
		shell("for f in weighed/checkpoint-1/*; do stat -c %%s $f; done | awk '{ n += "
		      "int(($1 + 4095) / 4096) * 4096 } END { print "
		      "n }' > size");
		f = fopen("size", "r");
		assert_non_null(f);
		assert_int_equal(fscanf(f, "%ld", &taken), 1);
		fclose(f);
		/* trainer_state.json has counts in it that grow */
		assert_true(labs(taken - (long)billed) <= 4096);
		shell("rm -r weighed");
	}
}

/* A run whose updates were skipped before its checkpoint was written is not forgiven by a resume:
 * the fifth in a row ends it. */
static void skipped_updates_are_counted_across_a_resume(void **state)
{
	(void)state;
	int in_a_row;

	assert_ok(steps_of_a_sick_run(JOB_NEW, 3, 1, &in_a_row));
	assert_int_equal(in_a_row, 3);
	assert_ok(steps_of_a_sick_run(JOB_RESUME, 1, 1, &in_a_row));
	assert_int_equal(in_a_row, 4);
	shell("cp -r sick sick-4");
	assert_error(steps_of_a_sick_run(JOB_RESUME, 1, 1, &in_a_row), ERR_FAILED,
	             "5 updates in a row");
	shell("rm -r sick; mv sick-4 sick");
	/* a good one ends the count, also for the next resume */
	assert_ok(steps_of_a_sick_run(JOB_RESUME, 1, 0, &in_a_row));
	assert_int_equal(in_a_row, 0);
	assert_ok(steps_of_a_sick_run(JOB_RESUME, 4, 1, &in_a_row));
	assert_int_equal(in_a_row, 4);
}

static void the_first_evaluation_stays_the_first_across_a_resume(void **state)
{
	(void)state;
	struct job job;
	char      *metrics, before[40];
	size_t     n;
	json_t    *row;

	run("train", "evaluated", "run.max_steps=6 optim.learning_rate=0.1 run.eval_steps=3");
	metrics = read_all("evaluated/metrics.jsonl", &n);
	*strchr(metrics, '\n') = 0; /* of step 0 */
	row = json_loads(metrics, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(row, "step")), 0);
	snprintf(before, sizeof before, "pass@1 %.1f%% +- %.1f before",
	         100 * json_number_value(json_object_get(row, "eval/pass@1")),
	         100 * json_number_value(json_object_get(row, "eval/pass@1_stderr")));
	assert_says("stdout", before);
	run("train", "evaluated",
	    "run.max_steps=10 optim.learning_rate=0.1 run.eval_steps=3 --resume");
	assert_says("stdout", before);
	json_decref(row);
	free(metrics);

	assert_ok(job_open(JOB_TRAIN, JOB_NEW, "job.yaml", NULL, 0,
	                   &job)); /* where chance may not agree */
	assert_ok(job_take_inputs(&job.data, &job.learner, &job.sampler, &job.record));
	assert_ok(load_changed(&job, "first_eval", "[0.125, 0.0625]"));
	assert_close(job.record.first_eval.mean, 0.125, 0);
	assert_close(job.record.first_eval.error, 0.0625, 0);
	/* what is written is the first, not the newest */
	job.record.last_eval = (struct eval_mean){0.5, 0.25};
	assert_ok(load_changed(&job, "num_tokens", "0"));
	assert_close(job.record.first_eval.mean, 0.125, 0);
	job_close(&job);
}

static void a_resume_refuses_other_problems_and_other_weights_that_stand_still(void **state)
{
	(void)state;
	static const struct {
		const char *file, *settings, *thing, *says;
	} cases[] = {
	        {"job.yaml", "data.generate='[]' data.train=asked.jsonl", "asked.jsonl",
	         "the training problems"},
	        {"on-base.yaml", "model.tokenizer=letters loss.beta=0", "letters",
	         "or their tokens"},
	        {"on-base.yaml", "model.lora_r=2 loss.beta=0", "base-a",
	         "the weights under the adapter"},
	        {"on-base.yaml", "", "base-a", "the weights of the reference"},
	        {"on-base.yaml", "model.path=base-b model.lora_r=2 model.reference=base-a",
	         "base-a", "the weights of the reference"},
	        {"job.yaml", "rollout.source=kept.jsonl loss.beta=0", "kept.jsonl",
	         "the recorded rollouts"},
	};

	hone_ok("data sequence --count 40 --difficulty 1-3 --seed 1 > asked.jsonl");
	run("train", "base", "run.max_steps=2 run.save_steps=1");
	shell("mv base/checkpoint-1 base-a; mv base/checkpoint-2 base-b; mkdir letters; cp "
	      "base-a/tokenizer* letters");
	shell("sed 's/tokenizer: chars/path: base-a/; /init:/d' job.yaml > on-base.yaml");
	hone_ok("rollouts job.yaml --steps 4 --output kept.jsonl");
	/* The other thing differs where a careless eye would not see it. */
	shell("sed '2s/\"answer\": \"\\([0-9]\\)/&,\\1/' asked.jsonl > asked.jsonl-2; cp -r base-b "
	      "base-a-2; sed '5s/\"reward\": "
	      "[0-9.]*/\"reward\": 0.125/' kept.jsonl "
	      "> kept.jsonl-2");
	shell("cp -r letters letters-2; sed -i 's/\"0\": /\"#\": /; s/\"1\": /\"0\": /; s/\"#\": "
	      "/\"1\": /' letters-2/tokenizer.json");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char line[256];
		file = cases[i].file;
		run("train", "started", cases[i].settings);
		shell("cp -r started before; mv %s kept-1; mv %s-2 %s", cases[i].thing,
		      cases[i].thing, cases[i].thing);
		snprintf(line, sizeof line, "%s run.max_steps=12 --resume", cases[i].settings);
		assert_int_equal(hone("train %s run.output_dir=started %s", file, line), 2);
		assert_says("stderr", cases[i].says);
		assert_true(same_bytes("before/metrics.jsonl", "started/metrics.jsonl"));
		shell("mv %s %s-2; mv kept-1 %s", cases[i].thing, cases[i].thing, cases[i].thing);
		run("train", "started", line);
		assert_true(file_exists("started/checkpoint-12"));
		shell("rm -r started before");
	}
	file = "job.yaml";
}

/* Whichever allocation finds no memory: of the config, the problems, the model, the decoder, the
 * curriculum. The first that makes no difference lies behind the last. */
static void a_job_that_finds_no_memory_says_so(void **state)
{
	(void)state;
	struct job job;
	int        n = 0, status;

	do {
		n += 1 + n / 32;
		mem_fail_at(n);
		status = job_open(JOB_TRAIN, JOB_NEW, "job.yaml", NULL, 0, &job);
		mem_fail_at(0);
		if (status != OK)
			assert_memory(status, "");
	} while (status != OK);
	job_close(&job);
	assert_true(n > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(training_meets_the_probabilities_that_sampling_saw),
	        TEST(threads_and_micro_batches_change_no_bit),
	        TEST(nor_of_a_critic),
	        TEST(episodes_keep_their_bits_too),
	        TEST(another_seed_another_rate_give_other_bits),
	        TEST(killed_anywhere_it_resumes_to_the_same_bits),
	        TEST(in_bf16_too),
	        TEST(every_curriculum_resumes_to_the_same_bits),
	        TEST(a_run_folder_has_one_writer_and_a_killed_one_leaves_it_free),
	        TEST(killed_with_a_critic_it_resumes_to_the_same_bits),
	        TEST(asked_to_stop_it_saves_and_goes_on_later),
	        TEST(a_damaged_checkpoint_is_passed_over),
	        TEST(damaged_checkpoints_are_not_absent_ones),
	        TEST(a_checkpoint_without_its_log_goes_on_and_is_not_begun_upon),
	        TEST(no_step_stands_twice_after_a_kill),
	        TEST(the_evaluation_of_step_0_stands_once),
	        TEST(what_a_kill_before_rotation_left_goes_with_the_resume),
	        TEST(a_resume_says_what_becomes_of_a_schedule_whose_end_moves),
	        TEST(fewer_steps_than_are_done_are_refused),
	        TEST(the_best_checkpoint_by_a_held_out_metric_stays),
	        TEST(a_metric_that_nothing_measures_is_refused_at_the_start),
	        TEST(the_bill_of_the_disk_is_what_a_checkpoint_takes),
	        TEST(skipped_updates_are_counted_across_a_resume),
	        TEST(the_first_evaluation_stays_the_first_across_a_resume),
	        TEST(a_half_written_checkpoint_is_removed),
	        TEST(a_warm_start_resumes_exactly_too),
	        TEST(a_finished_run_stays_as_it_is_when_resumed),
	        TEST(what_a_state_says_stays_within_bounds),
	        TEST(a_resume_refuses_other_problems_and_other_weights_that_stand_still),
	        TEST(a_job_that_finds_no_memory_says_so),
	};

	run_in_temporary_folder();
	write_text("job.yaml", config);
	write_text("episodes.yaml", episodes);
	write_text("episodes-sft.yaml", episodes_sft);
	write_text("bf16.yaml", bf16);
	write_text("critic-own.yaml", critic_own);
	write_text("critic-shared.yaml", critic_shared);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
