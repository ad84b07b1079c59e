/* How long a run is and which of its checkpoints stay: passes through the problems, the best one by
 * a number of the log, the end of a run that gets no better, checkpoints of the model alone. */
#include "run.h"

#include <math.h>

static const char config[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 32}\n"
        "data:\n"
        "  generate: [{name: sequence, levels: 1-3, count: 30}]\n"
        "  eval_generate: [{name: sequence, levels: 2, count: 5, first: 1000}]\n"
        "task: {reward: length, eval_reward: sequence, verifier: {length: 1-3, length_slack: 4}}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 5e-2}\n"
        "sft: {batch_size: 7}\n"
        "run: {save_steps: 2, save_total_limit: 1, eval_steps: 1, tensorboard: false}\n";

/* Writes the values of a metric by step, NaN where a line has none; returns the last step. */
enum { STEPS_MAX = 64 };
static int values_of(const char *folder, const char *name, double value[STEPS_MAX])
{
	char *text = metrics_without_times(folder);
	int   last = 0;

	for (int i = 0; i < STEPS_MAX; i++)
		value[i] = NAN;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *row = json_loads(line, 0, NULL), *x = json_object_get(row, name);
		int     step = (int)json_integer_value(json_object_get(row, "step"));
		assert_in_range(step, 0, STEPS_MAX - 1);
		last = step > last ? step : last;
		if (json_is_number(x))
			value[step] = json_number_value(x);
		json_decref(row);
	}
	free(text);
	return last;
}

static int checkpoints(const char *folder, char out[256])
{
	size_t n;
	char  *text;

	shell("ls %s | grep checkpoint- | tr '\\n' ' ' > names", folder);
	text = read_all("names", &n);
	snprintf(out, 256, "%s", text);
	free(text);
	return (int)n;
}

/* ---- how many steps ---- */

static void epochs_become_steps(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		int         steps;
	} cases[] = {{"train best.yaml run.num_train_epochs=1", 8}, /* 30 problems, 4 a step */
	             {"train best.yaml run.num_train_epochs=2", 15},
	             {"train best.yaml run.num_train_epochs=0.4", 3},
	             {"train best.yaml run.num_train_epochs=0.1 rollout.prompts_per_step=1", 3},
	             {"train best.yaml run.num_train_epochs=1e-9", 1},
	             {"train best.yaml run.num_train_epochs=2 run.max_steps=3", 3},
	             {"train best.yaml run.num_train_epochs=0.2 run.max_steps=9", 2},
	             {"train best.yaml run.num_train_epochs=1 data.max_problems=9", 3},
	             {"sft best.yaml run.num_train_epochs=1", 5}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		double value[STEPS_MAX];
		hone_ok("%s run.output_dir=epochs run.eval_steps=0", cases[i].line);
		assert_int_equal(values_of("epochs", "loss", value), cases[i].steps);
		shell("grep -q 'max_steps: %d$' epochs/config.yaml && rm -r epochs",
		      cases[i].steps);
	}
	assert_int_equal(hone("train best.yaml run.num_train_epochs=1e6 "
	                      "'data.generate=[{name: sequence, levels: 1-3, count: 3000}]' "
	                      "rollout.prompts_per_step=1 run.output_dir=epochs"),
	                 2);
	assert_says("stderr", "are 3e+09 steps");
}

/* The rate of a schedule that ends with the run ends with its passes. */
static void schedules_know_the_steps_of_epochs(void **state)
{
	(void)state;
	hone_ok("train best.yaml run.output_dir=a run.num_train_epochs=1 run.eval_steps=0 "
	        "optim.lr_scheduler_type=linear optim.warmup_ratio=0.25");
	hone_ok("train best.yaml run.output_dir=b run.max_steps=8 run.eval_steps=0 "
	        "optim.lr_scheduler_type=linear optim.warmup_ratio=0.25");
	assert_true(
	        same_bytes("a/checkpoint-8/model.safetensors", "b/checkpoint-8/model.safetensors"));
	hone_ok("train best.yaml run.output_dir=a run.num_train_epochs=2 run.eval_steps=0 "
	        "optim.lr_scheduler_type=linear optim.warmup_ratio=0.25 --resume");
	assert_says("stdout", "run.max_steps was 8 and is 15");
	shell("rm -r a b");
}

/* ---- the best, and the end ---- */

/* What best.h says, computed from the log of a run that goes on: the step that is best when so many
 * comparisons in a row were no better, and in *end when that is. */
static int expected(const double *value, int last, int every, int patience, int *end)
{
	int    best = -1, waited = 0;
	double best_value = 0;

	for (*end = every; *end <= last; *end += every) {
		double sum = 0;
		for (int i = *end - every + 1; i <= *end; i++)
			sum += value[i];
		sum /= every;
		if (best < 0 || sum > best_value) {
			best = *end;
			best_value = sum;
			waited = 0;
		} else if (++waited == patience) {
			return best;
		}
	}
	fail_msg("it always gets better");
	return -1;
}

static const struct {
	const char *metric;
	int         every, patience;
} ends[] = {{"eval/mean_length", 1, 2}, {"entropy", 2, 2}, {"rewards/length/mean", 2, 2}};

static const char settings[] = "run.max_steps=40 optim.learning_rate=0.05 "
                               "run.metric_for_best_model=%s run.patience=%d";

static void a_run_ends_when_it_gets_no_better(void **state)
{
	(void)state;
	hone_ok("train best.yaml run.output_dir=long run.max_steps=40 optim.learning_rate=0.05");
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		double value[STEPS_MAX];
		char   line[300], names[256], wanted[256];
		int    end, best;

		values_of("long", ends[i].metric, value);
		best = expected(value, 40, ends[i].every, ends[i].patience, &end);
		snprintf(line, sizeof line, settings, ends[i].metric, ends[i].patience);
		hone_ok("train best.yaml run.output_dir=short %s", line);
		assert_int_equal(values_of("short", "loss", value), end);
		assert_says("stdout", "the run ends (run.patience)");
		snprintf(wanted, sizeof wanted, "at step %d, kept as short/checkpoint-%d", best,
		         best);
		assert_says("stdout", wanted);
		checkpoints("short", names);
		snprintf(wanted, sizeof wanted, "checkpoint-%d ", best);
		assert_non_null(strstr(names, wanted));
		/* and stays ended */
		hone_ok("train best.yaml run.output_dir=short %s --resume", line);
		assert_int_equal(values_of("short", "loss", value), end);

		/* killed and resumed at any moment it chooses and ends the same */
		for (int kill_at = 1; kill_at < end; kill_at += 1 + end / 5) {
			double seen[STEPS_MAX];
			pid_t  pid = hone_start("train best.yaml run.output_dir=killed %s", line);
			while (!file_exists("killed/metrics.jsonl") ||
			       values_of("killed", "loss", seen) < kill_at)
				usleep(1000);
			kill(pid, SIGKILL);
			hone_end(pid);
			hone_ok("train best.yaml run.output_dir=killed %s --resume", line);
			assert_int_equal(values_of("killed", "loss", seen), end);
			shell("ls short | grep checkpoint > a; ls killed | grep checkpoint > b; "
			      "cmp a b");
			shell("rm -r killed");
		}
		/* as one that was stopped on purpose, between two comparisons */
		hone_ok("train best.yaml run.output_dir=parts %s run.max_steps=3", line);
		hone_ok("train best.yaml run.output_dir=parts %s --resume", line);
		assert_int_equal(values_of("parts", "loss", value), end);
		shell("ls short | grep checkpoint > a; ls parts | grep checkpoint > b; cmp a b; "
		      "rm -r short parts");
	}
	shell("rm -r long");
}

static void a_number_of_steps_needs_steps_at_which_it_is_compared(void **state)
{
	(void)state;
	assert_int_equal(hone("train best.yaml run.output_dir=none run.save_steps=0 "
	                      "run.metric_for_best_model=reward"),
	                 2);
	assert_says("stderr", "is compared every run.save_steps steps, and that is 0");
	assert_int_equal(hone("train best.yaml run.output_dir=none run.metric_for_best_model="
	                      "rewards/sequence/mean"),
	                 2);
	assert_int_equal(hone("sft best.yaml run.output_dir=none run.metric_for_best_model=reward"),
	                 2);
	assert_false(file_exists("none"));
}

/* ---- the model alone ---- */

static void checkpoints_of_the_model_alone_are_smaller_and_refuse_a_resume(void **state)
{
	(void)state;
	struct stat full, half;

	hone_ok("train best.yaml run.output_dir=whole run.max_steps=2");
	hone_ok("train best.yaml run.output_dir=alone run.max_steps=2 run.save_only_model=true");
	hone_ok("train best.yaml run.output_dir=half run.max_steps=2 run.save_only_model=true "
	        "run.save_dtype=bf16");
	assert_true(same_bytes("whole/checkpoint-2/model.safetensors",
	                       "alone/checkpoint-2/model.safetensors"));
	assert_true(file_exists("whole/checkpoint-2/optimizer.safetensors"));
	assert_false(file_exists("alone/checkpoint-2/optimizer.safetensors"));
	assert_int_equal(stat("alone/checkpoint-2/model.safetensors", &full), 0);
	assert_int_equal(stat("half/checkpoint-2/model.safetensors", &half), 0);
	assert_true(half.st_size < 0.6 * (double)full.st_size);
	assert_int_equal(hone("train best.yaml run.output_dir=alone run.max_steps=4 "
	                      "run.save_only_model=true --resume"),
	                 2);
	assert_says("stderr", "holds the model alone (run.save_only_model)");
	/* which is a model like any other */
	write_text("next.yaml", "model: {path: half}\ndata: {generate: [{name: sequence}]}\n"
	                        "task: {reward: sequence}\nrun: {max_steps: 1, output_dir: next}\n"
	                        "rollout: {num_generations: 4, max_completion_length: 6}\n");
	hone_ok("train next.yaml");
	assert_int_equal(hone("train best.yaml run.output_dir=none run.save_dtype=bf16"), 2);
	shell("rm -rf whole alone half next");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(epochs_become_steps),
	        TEST(schedules_know_the_steps_of_epochs),
	        TEST(a_run_ends_when_it_gets_no_better),
	        TEST(a_number_of_steps_needs_steps_at_which_it_is_compared),
	        TEST(checkpoints_of_the_model_alone_are_smaller_and_refuse_a_resume),
	};

	run_in_temporary_folder();
	write_text("best.yaml", config);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
