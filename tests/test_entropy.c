/* The entropy bonus that comes and goes: its formula, what a run logs of it, and that a resume
 * changes no bit. */
#include "estimator/entropy.h"
#include "run.h"

#include <math.h>

static const struct algorithm adaptive = {.use_adaptive_entropy = 1,
                                          .entropy_target = 0.5,
                                          .entropy_coef_delta = 0.25,
                                          .entropy_coef_min = -0.25,
                                          .entropy_coef_max = 0.75};

static void the_coefficient_follows_the_target(void **state)
{
	(void)state;
	static const struct {
		double coef, entropy, bonus, next;
	} cases[] = {{0, 0.4, 0, 0.25},    {0.5, 0.4, 0.5, 0.75}, {0.75, 0.1, 0.75, 0.75},
	             {0.5, 0.6, 0, 0.25},  {0, 9, 0, -0.25},      {-0.25, 9, 0, -0.25},
	             {0.5, 0.5, 0.5, 0.5}, {0.5, NAN, 0.5, 0.5}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(entropy_bonus(&adaptive, cases[i].coef, cases[i].entropy) ==
		            cases[i].bonus);
		assert_true(entropy_adapt(&adaptive, cases[i].coef, cases[i].entropy) ==
		            cases[i].next);
	}
	assert_true(entropy_adapt(&(struct algorithm){.entropy_target = 1}, 0.5, 0) == 0.5);
	assert_true(entropy_bonus(&(struct algorithm){.entropy_target = 1}, 0.5, 2) == 0.5);
}

static const char config[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 32}\n"
        "data: {generate: [{name: sequence, levels: 1-3, count: 30}]}\n"
        "task: {reward: length, verifier: {length: 1-3, length_slack: 4}}\n"
        "loss: {use_adaptive_entropy: true, entropy_target: 2.2, entropy_coef_delta: 0.1, "
        "entropy_coef_max: 0.25}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 2e-2}\n"
        "run: {max_steps: 20, save_steps: 2, save_total_limit: 0, tensorboard: false}\n";

/* The target lies where the entropy of this run crosses it. */
static void a_run_logs_what_the_formula_says(void **state)
{
	(void)state;
	char  *text;
	double coef = 0;
	int    on = 0, off = 0;

	hone_ok("train e.yaml run.output_dir=whole");
	text = metrics_without_times("whole");
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *o = json_loads(line, 0, NULL);
		double  entropy = json_number_value(json_object_get(o, "entropy")),
		       said = json_number_value(json_object_get(o, "objective/entropy_coef"));
		assert_close(said, entropy <= 2.2 ? coef : 0, 1e-12);
		on += said > 0;
		off += coef > 0 && said == 0;
		coef = fmin(fmax(coef + (entropy < 2.2 ? 0.1 : -0.1), 0), 0.25);
		json_decref(o);
	}
	free(text);
	assert_true(on > 3 && off > 1);
}

static void assert_same(const char *a, const char *b)
{
	char *x = metrics_without_times(a), *y = metrics_without_times(b);

	assert_string_equal(x, y);
	free(x);
	free(y);
	assert_true(same_bytes(in_folder(a, "checkpoint-20/model.safetensors"),
	                       in_folder(b, "checkpoint-20/model.safetensors")));
}

static void a_resumed_run_has_the_coefficient_of_one_that_never_stopped(void **state)
{
	(void)state;
	for (int first = 1; first < 20; first += 6) {
		hone_ok("train e.yaml run.output_dir=parts run.max_steps=%d", first);
		hone_ok("train e.yaml run.output_dir=parts --resume");
		assert_same("whole", "parts");
		shell("rm -r parts");
	}
	for (int lines = 2; lines < 20; lines += 7) {
		pid_t pid = hone_start("train e.yaml run.output_dir=killed");
		while (!file_exists("killed/metrics.jsonl") ||
		       count_lines("killed/metrics.jsonl") < lines)
			usleep(1000);
		kill(pid, SIGKILL);
		hone_end(pid);
		hone_ok("train e.yaml run.output_dir=killed --resume");
		assert_same("whole", "killed");
		shell("rm -r killed");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_coefficient_follows_the_target),
	        TEST(a_run_logs_what_the_formula_says),
	        TEST(a_resumed_run_has_the_coefficient_of_one_that_never_stopped),
	};

	run_in_temporary_folder();
	write_text("e.yaml", config);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
