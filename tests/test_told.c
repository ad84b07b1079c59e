/* What a run tells - on the screen, in metrics.jsonl, in samples - is what happened. */
#include "run.h"

#include "base/file.h"

#include <math.h>

static const char base[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 32}\n"
        "data:\n"
        "  generate: [{name: sequence, levels: 1-3, count: 40}]\n"
        "  eval_generate: [{name: sequence, levels: 2, count: 5}]\n"
        "task: {reward: sequence}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-3}\n"
        "sft: {batch_size: 8}\n"
        "run: {max_steps: 2, eval_steps: 2, logging_steps: 1, save_samples: 100, tensorboard: "
        "false}\n";

/* The number that the last line with it has; NaN when no line has it. */
static double last_metric(const char *folder, const char *name)
{
	FILE  *f = fopen(in_folder(folder, "metrics.jsonl"), "r");
	char   line[16384];
	double value = NAN;

	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		json_t *row = json_loads(line, 0, NULL);
		if (json_is_number(json_object_get(row, name)))
			value = json_number_value(json_object_get(row, name));
		json_decref(row);
	}
	fclose(f);
	return value;
}

static int has_metric(const char *folder, const char *name)
{
	char quoted[100];

	snprintf(quoted, sizeof quoted, "\"%s\":", name);
	return file_says(in_folder(folder, "metrics.jsonl"), quoted);
}

/* ---- the page of a living run ---- */

/* It is there from the first step on, and says that it will change until the run has ended. */
static void while_a_run_lives_its_page_says_so(void **state)
{
	(void)state;
	pid_t pid = hone_start("train base.yaml run.output_dir=lives run.max_steps=100000");

	wait_for_lines(pid, "lives/metrics.jsonl", 4);
	assert_says("lives/report.html", "{\"live\":1,\"last\":100000,\"step\":");
	kill(pid, SIGKILL);
	assert_int_equal(hone_end(pid), 128 + SIGKILL);
	hone_ok("train base.yaml run.output_dir=ended");
	assert_says("ended/report.html", "{\"live\":0,");
}

/* ---- evaluations ---- */

static int says_before(void)
{
	return file_says("stdout", " before, ") || file_says("stdout", " before\n");
}

static void before_is_said_of_the_weights_that_the_run_began_with_alone(void **state)
{
	(void)state;
	hone_ok("train base.yaml run.output_dir=e1");
	assert_says("stdout", "% +- ");
	assert_says("stdout", " before, ");
	assert_says("stdout", " after\n");
	hone_ok("train base.yaml run.output_dir=e2 run.eval_on_start=false run.max_steps=4");
	assert_says("stdout", " at step 2, ");
	assert_false(says_before());
	hone_ok("train base.yaml run.output_dir=e3 run.eval_steps=0 run.max_steps=2 "
	        "run.save_steps=1");
	hone_ok("train base.yaml run.output_dir=e3 --resume run.eval_steps=4 run.max_steps=8");
	assert_says("stdout", " at step 4, ");
	assert_false(says_before());
	/* one evaluation is neither */
	hone_ok("train base.yaml run.output_dir=e4 run.eval_on_start=false");
	assert_says("stdout", "% +- ");
	assert_false(says_before() || file_says("stdout", "at step"));
}

/* The step of the first one is kept in the checkpoint. */
static void before_stays_before_across_a_resume(void **state)
{
	(void)state;
	hone_ok("train base.yaml run.output_dir=e5 run.eval_on_start=false run.save_steps=2 "
	        "run.max_steps=2");
	hone_ok("train base.yaml run.output_dir=e5 --resume run.max_steps=4");
	assert_says("stdout", " at step 2, ");
	hone_ok("train base.yaml run.output_dir=e6 run.save_steps=2");
	hone_ok("train base.yaml run.output_dir=e6 --resume run.max_steps=4");
	assert_says("stdout", " before, ");
}

/* One problem has no standard error: nothing says nan, and the run is saved. */
static void one_held_out_problem_has_no_error_and_nan_stands_nowhere(void **state)
{
	(void)state;
	hone_ok("train base.yaml run.output_dir=one data.eval_generate='[{name: sequence, levels: "
	        "2, count: 5}]' "
	        "data.eval_max_problems=1 run.save_steps=1");
	assert_says("stdout", "on 1 problem\n");
	assert_false(file_says("stdout", "nan") || file_says("stdout", "+-"));
	assert_false(file_says("one/metrics.jsonl", "nan"));
	hone_ok("train base.yaml run.output_dir=one data.eval_generate='[{name: sequence, levels: "
	        "2, count: 5}]' data.eval_max_problems=1 "
	        "--resume run.max_steps=4");
	assert_false(file_says("stdout", "nan") || file_says("stdout", "+-"));
	assert_says("stdout", " before, ");
	hone_ok("eval one data.eval_generate='[{name: sequence, levels: 2, count: 5}]' "
	        "data.eval_max_problems=1");
	assert_false(file_says("stdout", "nan") || file_says("stdout", "+-"));
}

static void each_held_out_file_has_its_own_figure(void **state)
{
	(void)state;
	write_text("x.jsonl", "{\"prompt\": \"1,2:9,1\", \"answer\": \"3\"}\n");
	write_text("y.jsonl", "{\"prompt\": \"1,3:9,1\", \"answer\": \"5\"}\n{\"prompt\": "
	                      "\"2,4:9,1\", \"answer\": \"6\"}\n");
	hone_ok("train base.yaml run.output_dir=files data.eval_generate='[{name: sequence, "
	        "levels: 2, count: 3}]' data.eval='[x.jsonl, "
	        "y.jsonl]'");
	assert_true(has_metric("files", "eval/x/pass@1") && has_metric("files", "eval/y/pass@1"));
	assert_true(has_metric("files", "eval/sequence/pass@1") &&
	            has_metric("files", "eval/y/pass@1_stderr"));
	hone_ok("train base.yaml run.output_dir=file");
	assert_false(has_metric("file", "eval/sequence/pass@1"));
}

/* ---- metrics ---- */

static void write_verifier(void)
{
	write_text("v.sh", "case $1 in\n"
	                   "third) n=0; while read -r line; do n=$((n + 1)); echo "
	                   "\"{\\\"reward\\\": $((n % 3))}\"; done ;;\n"
	                   "length) while read -r line; do echo \"{\\\"reward\\\": $((${#line} % "
	                   "3))}\"; done ;;\n"
	                   "const) while read -r line; do echo '{\"reward\": 0.3}'; done ;;\n"
	                   "esac\n");
}

/* The one worker gives 1 2 0 1 2 0 ... to the 16 completions, in whatever order: six of 1, five of
 * 2, five of 0. As in TRL 1.16 reward_std is over all of them, whatever their group. */
static void reward_std_is_that_of_all_completions(void **state)
{
	(void)state;
	double sum = 6 + 10, square = 6 + 20, deviation = sqrt((square - sum * sum / 16) / 15);

	write_verifier();
	hone_ok("train base.yaml run.output_dir=std task.reward=command task.verifier.command='sh "
	        "v.sh third' "
	        "task.verifier.command_workers=1 "
	        "run.max_steps=1 run.eval_steps=0");
	assert_close(last_metric("std", "reward"), sum / 16, 1e-12);
	assert_close(last_metric("std", "reward_std"), deviation, 1e-12);
	assert_close(last_metric("std", "rewards/command/std"), deviation, 1e-12);
	assert_true(last_metric("std", "reward_group_std") > 0 &&
	            last_metric("std", "reward_group_std") != deviation);
}

static void a_constant_reward_and_what_moves_the_weights_are_named(void **state)
{
	(void)state;
	const char *constant = "task.reward=command task.verifier.command='sh v.sh const' "
	                       "run.eval_steps=0 run.max_steps=2";

	hone_ok("train base.yaml run.output_dir=c0 %s", constant);
	assert_says("stdout", "no signal in step 1: every completion has the same reward");
	assert_false(file_says("stdout", "only the KL"));
	hone_ok("train base.yaml run.output_dir=c1 loss.beta=0.1 %s", constant);
	assert_says("stdout", "; only the KL term (loss.beta) moves the weights");
	hone_ok("train base.yaml run.output_dir=c2 loss.entropy_coef=0.1 %s", constant);
	assert_says("stdout", "; only the entropy bonus (loss.entropy_coef) moves the weights");
	hone_ok("train base.yaml run.output_dir=c3 algorithm=reinforce loss.baseline=constant "
	        "loss.baseline_value=0 %s",
	        constant);
	assert_false(file_says("stdout", "no signal"));
}

/* A step whose groups dynamic sampling all rejects updates nothing: no ratio, no clip, no
 * difference is counted. */
static void what_counts_nothing_is_absent(void **state)
{
	(void)state;
	hone_ok("train base.yaml run.output_dir=none loss.dynamic_sampling=true "
	        "loss.dynamic_sampling_max_batches=1 task.reward=command "
	        "task.verifier.command='sh v.sh const' run.eval_steps=0 run.max_steps=1");
	assert_true(last_metric("none", "updates") == 0);
	assert_false(file_says("none/metrics.jsonl", "\"ratio/") ||
	             file_says("none/metrics.jsonl", "\"clip_ratio/"));
	assert_false(has_metric("none", "sampling/sampling_logp_difference/max") ||
	             has_metric("none", "advantage/abs_mean"));
	hone_ok("train base.yaml run.output_dir=some run.max_steps=1");
	assert_close(last_metric("some", "ratio/mean"), 1, 0);
}

/* Penalties of overlong shaping move what is trained on, and no reward that is told: the run
 * without shaping tells the same in its first step. */
static void rewards_are_told_as_the_verifiers_gave_them(void **state)
{
	(void)state;
	const char *o =
	        "task.reward=command task.verifier.command='sh v.sh length' run.eval_steps=0 "
	        "run.max_steps=1 loss.dynamic_sampling=true loss.dynamic_sampling_max_batches=2";

	hone_ok("train base.yaml run.output_dir=plain %s", o);
	hone_ok("train base.yaml run.output_dir=shaped loss.overlong=shape loss.overlong_buffer=5 "
	        "loss.overlong_penalty=2 %s",
	        o);
	assert_true(last_metric("shaped", "overlong/shaped") > 0);
	assert_close(last_metric("shaped", "reward"), last_metric("plain", "reward"), 0);
	assert_close(last_metric("shaped", "reward_std"), last_metric("plain", "reward_std"), 0);
	shell("for run in plain shaped; do gzip -dc $run/samples/step-1.jsonl.gz > $run.jsonl; "
	      "done");
	assert_true(count_lines("plain.jsonl") > 3 && same_bytes("shaped.jsonl", "plain.jsonl"));
}

static void prompts_that_leave_little_room_are_named_before_the_first_step(void **state)
{
	(void)state;
	write_text("long.jsonl",
	           "{\"prompt\": \"1,2:9,1\", \"answer\": \"3\"}\n"
	           "{\"prompt\": \"1,2:9,1,1,2:9,1,1,2:9,1,1,2\", \"answer\": \"3\"}\n");
	hone_ok("train base.yaml run.output_dir=room data.generate=[] data.train=long.jsonl "
	        "run.max_steps=1 rollout.prompts_per_step=2");
	assert_says("stdout",
	            "caution: 1 of 2 training prompts leave less than "
	            "rollout.max_completion_length = 6 tokens of the model's 32 positions, "
	            "at least 5");
	assert_false(file_says("stdout", "held-out prompts leave"));
}

/* ---- samples ---- */

static void samples_show_the_prompt_of_a_chat_as_the_model_read_it(void **state)
{
	(void)state;
	hone_ok("sft base.yaml run.output_dir=warm run.eval_steps=0 run.max_steps=1");
	shell("cp -r warm/checkpoint-1 bare && rm bare/manifest.json");
	write_text("bare/chat_template.jinja",
	           "{% for m in messages %}{{ m.content }}:{% endfor %}");
	write_text(
	        "chat.jsonl",
	        "{\"messages\": [{\"role\": \"user\", \"content\": \"1,2\"}], \"answer\": \"3\"}\n"
	        "{\"prompt\": [{\"role\": \"user\", \"content\": \"2,4\"}], \"answer\": \"3\"}\n");
	shell("sed -n 2p chat.jsonl > one.jsonl");
	hone_ok("train chat.yaml run.output_dir=chat");
	shell("gzip -dc chat/samples/step-1.jsonl.gz > shown");
	assert_says("shown", "\"prompt\": \"2,4:\"");
	assert_says("chat/report.html", "<pre>2,4:</pre>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(while_a_run_lives_its_page_says_so),
	        TEST(before_is_said_of_the_weights_that_the_run_began_with_alone),
	        TEST(before_stays_before_across_a_resume),
	        TEST(one_held_out_problem_has_no_error_and_nan_stands_nowhere),
	        TEST(each_held_out_file_has_its_own_figure),
	        TEST(reward_std_is_that_of_all_completions),
	        TEST(a_constant_reward_and_what_moves_the_weights_are_named),
	        TEST(what_counts_nothing_is_absent),
	        TEST(rewards_are_told_as_the_verifiers_gave_them),
	        TEST(prompts_that_leave_little_room_are_named_before_the_first_step),
	        TEST(samples_show_the_prompt_of_a_chat_as_the_model_read_it)};

	run_in_temporary_folder();
	write_text("base.yaml", base);
	write_text("chat.yaml", "model: {path: bare}\ndata: {train: one.jsonl}\ntask: {reward: "
	                        "exact}\nalgorithm: grpo\n"
	                        "loss: {beta: 0}\nrollout: {num_generations: 4, prompts_per_step: "
	                        "1, max_completion_length: 6}\n"
	                        "run: {max_steps: 1, save_steps: 0, tensorboard: false}\n");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
