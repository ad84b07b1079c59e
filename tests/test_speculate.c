/* Speculative decoding: what a guess is, and that a whole run with guesses is the run without
 * them, bit for bit. tests/test_decode.c has the single completions. */
#include "model/draft.h"
#include "rl/earlier.h"
#include "rl/job.h"
#include "rl/step.h"
#include "run.h"

/* ---- guesses ---- */

#define IDS(...) (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int)

struct ids_of {
	const int *ids;
	size_t     n;
};

static void check_guess(struct ids_of prompt, struct ids_of completion, struct ids_of earlier,
                        int most, struct ids_of want)
{
	const struct draft_text t = {prompt.ids,        completion.ids, (int)prompt.n,
	                             (int)completion.n, earlier.ids,    (int)earlier.n};
	int                     out[16];

	assert_int_equal(draft_guess(&t, most, out), want.n);
	if (want.n)
		assert_memory_equal(out, want.ids, want.n * sizeof *out);
}

static void a_guess_is_what_followed_the_last_tokens_before(void **state)
{
	(void)state;
	const struct ids_of none = {NULL, 0};

	/* 3 4 stood in the prompt; 5 6 followed, at most so many */
	check_guess((struct ids_of){IDS(1, 2, 3, 4, 5, 6)}, (struct ids_of){IDS(3, 4)}, none, 2,
	            (struct ids_of){IDS(5, 6)});
	check_guess((struct ids_of){IDS(1, 2, 3, 4, 5, 6)}, (struct ids_of){IDS(3, 4)}, none, 9,
	            (struct ids_of){IDS(5, 6, 3, 4)});
	/* the longer match wins over the newer one, the newer one of equals */
	check_guess((struct ids_of){IDS(7, 3, 4, 5, 8, 3, 4, 6, 7)}, (struct ids_of){IDS(3, 4)},
	            none, 1, (struct ids_of){IDS(5)});
	check_guess((struct ids_of){IDS(3, 4, 5, 8, 3, 4, 6, 7)}, (struct ids_of){IDS(3, 4)}, none,
	            1, (struct ids_of){IDS(6)});
	/* one token is no match */
	check_guess((struct ids_of){IDS(1, 2, 4, 5)}, (struct ids_of){IDS(3, 4)}, none, 4, none);
	check_guess((struct ids_of){IDS(4)}, (struct ids_of){IDS(4)}, none, 4, none);
}

static void a_guess_can_come_from_earlier_completions(void **state)
{
	(void)state;
	const int           S = DRAFT_START;
	const struct ids_of prompt = {IDS(1, 2)};

	/* and ends where that completion ends */
	check_guess(prompt, (struct ids_of){IDS(9, 3, 4)}, (struct ids_of){IDS(S, 3, 4, 5, S, 7)},
	            9, (struct ids_of){IDS(5)});
	/* the text itself comes first, unless the match is longer there */
	check_guess((struct ids_of){IDS(3, 4, 6)}, (struct ids_of){IDS(9, 3, 4)},
	            (struct ids_of){IDS(S, 3, 4, 5)}, 1, (struct ids_of){IDS(6)});
	check_guess((struct ids_of){IDS(3, 4, 6)}, (struct ids_of){IDS(9, 3, 4)},
	            (struct ids_of){IDS(S, 9, 3, 4, 5)}, 1, (struct ids_of){IDS(5)});
	/* a first token is enough where the other completion began with it, too */
	check_guess(prompt, (struct ids_of){IDS(3)}, (struct ids_of){IDS(S, 3, 4, 5)}, 2,
	            (struct ids_of){IDS(4, 5)});
	check_guess(prompt, (struct ids_of){IDS(3)}, (struct ids_of){IDS(S, 8, 3, 4)}, 2,
	            (struct ids_of){NULL, 0});
	/* nothing is guessed across two completions */
	check_guess(prompt, (struct ids_of){IDS(9, 3, 4)}, (struct ids_of){IDS(S, 3, 4, S, 7, 8)},
	            2, (struct ids_of){NULL, 0});
}

static void the_newest_completions_of_a_problem_are_remembered(void **state)
{
	(void)state;
	const int      first[] = {5, 6}, second[] = {7};
	struct rollout r[] = {{.ids = first, .n = 2}, {.ids = second, .n = 1}};
	struct group   g = {.item = 1, .rollouts = r, .n = 2};
	struct earlier e;
	const int      want[] = {DRAFT_START, 5, 6, DRAFT_START, 7};

	assert_ok(earlier_new(3, &e));
	assert_ok(earlier_remember(&e, &g));
	assert_int_equal(e.items[1].n, 5);
	assert_memory_equal(e.items[1].ids, want, sizeof want);
	assert_int_equal(e.items[0].n + e.items[2].n, 0);
	g.n = 1;
	assert_ok(earlier_remember(&e, &g));
	assert_int_equal(e.items[1].n, 3);
	assert_int_equal(e.tokens, 3);
	e.tokens =
	        EARLIER_TOKENS; /* full: others are not taken, and what is there can be replaced */
	g.item = 2;
	assert_ok(earlier_remember(&e, &g));
	assert_int_equal(e.items[2].n, 0);
	g.item = 1;
	assert_ok(earlier_remember(&e, &g));
	assert_int_equal(e.tokens, EARLIER_TOKENS);
	earlier_free(&e);
}

/* ---- whole runs ---- */

/* Problems come again every second step; greedy enough that guesses come true. */
static const char config[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 2, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24,"
        " n_positions: 96}\n"
        "data: {generate: [{name: sequence, count: 6}],"
        " eval_generate: [{name: sequence, count: 8}]}\n"
        "task: {reward: length, verifier: {length: 1-30, length_slack: 40}}\n"
        "algorithm: grpo\n"
        "rollout: {num_generations: 4, prompts_per_step: 3, max_completion_length: 40,"
        " temperature: 0.2, stop: [\"=7\"], batch_size: 4}\n"
        "optim: {learning_rate: 1e-2}\n"
        "run: {max_steps: 8, save_steps: 3, eval_steps: 4, save_samples: 3}\n";

/* The lines of metrics without what the clock put there. */
static char *logged_by(const char *folder)
{
	size_t n;

	shell("sed -E 's/, \"((timing_s|tokens_per_second)\\/[a-z]*|step_time)\": [-+.e0-9]*//g' "
	      "%s/metrics.jsonl > "
	      "logged",
	      folder);
	return read_all("logged", &n);
}

static void assert_same_run(const char *a, const char *b)
{
	char *x = logged_by(a), *y = logged_by(b);

	assert_string_equal(x, y);
	free(x);
	free(y);
	assert_true(same_bytes(in_folder(a, "checkpoint-8/model.safetensors"),
	                       in_folder(b, "checkpoint-8/model.safetensors")));
	assert_true(same_bytes(in_folder(a, "checkpoint-8/optimizer.safetensors"),
	                       in_folder(b, "checkpoint-8/optimizer.safetensors")));
	shell("for f in %s/samples/*.gz; do gzip -dc $f; done > x; "
	      "for f in %s/samples/*.gz; do gzip -dc $f; done > y",
	      a, b);
	assert_true(same_bytes("x", "y"));
}

static const struct {
	const char *name, *settings;
} kinds[] = {{"plain", ""},
             {"bf16", "compute.precision=bf16"},
             {"turns", "task.reward= task.rewards='[{name: environment}, {name: length}]' "
                       "data.generate='[{name: nav, levels: 2, count: 6}]' "
                       "data.eval_generate='[{name: nav, levels: 2, count: 4}]' "
                       "model.init.n_positions=160 rollout.max_completion_length=80"}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static void a_run_with_guesses_is_the_run_without_them(void **state)
{
	(void)state;
	for (int i = 0; i < N_KINDS; i++) {
		char with[32];
		snprintf(with, sizeof with, "%s-with", kinds[i].name);
		hone_ok("train job.yaml run.output_dir=%s %s", kinds[i].name, kinds[i].settings);
		hone_ok("train job.yaml run.output_dir=%s %s rollout.speculate=true", with,
		        kinds[i].settings);
		assert_same_run(kinds[i].name, with);
	}
}

/* Or the runs above would compare nothing. */
static void a_job_guesses_from_the_epoch_before(void **state)
{
	(void)state;
	const char *const     settings[] = {"rollout.speculate=true", "rollout.batch_size=1"};
	const int             picked[] = {0, 1, 2};
	struct decode_guesses first, second;
	struct job            job;
	struct arena          arena = {0};
	struct step           s = {.arena = &arena};

	assert_ok(job_open(JOB_TRAIN, JOB_NEW, "job.yaml", settings, 2, &job));
	assert_ok(groups_new(6, &arena, &s.sampled));
	assert_ok(step_sample(&job.data, &job.sampler, picked, 3, &s));
	first = decoder_guesses(job.sampler.decoder);
	assert_true(job.sampler.earlier.tokens > 3 * 4);
	s.number = 1;
	assert_ok(step_sample(&job.data, &job.sampler, picked, 3, &s));
	second = decoder_guesses(job.sampler.decoder);
	assert_true(first.right > 0 && second.right > first.right);
	arena_free(&arena);
	job_close(&job);
}

/* A resumed run has no earlier completions to guess from, and may be told otherwise. */
static void a_run_with_guesses_that_was_killed_goes_on_with_or_without(void **state)
{
	(void)state;
	for (int with = 0; with < 2; with++) {
		const char *folder = with ? "killed-with" : "killed-without";
		pid_t pid = hone_start("train job.yaml run.output_dir=%s rollout.speculate=true",
		                       folder);
		wait_for_lines(pid, in_folder(folder, "metrics.jsonl"), 5);
		kill(pid, SIGKILL);
		assert_int_equal(hone_end(pid), 128 + SIGKILL);
		hone_ok("train job.yaml run.output_dir=%s rollout.speculate=%s --resume", folder,
		        with ? "true" : "false");
		assert_same_run("plain", folder);
	}
}

static void generate_and_eval_write_the_same_with_guesses(void **state)
{
	(void)state;
	static const char *const lines[] = {
	        "generate plain/checkpoint-8 --prompt 1,2,3: --samples 3 --max-tokens 60 "
	        "--temperature 0.2 %s",
	        "eval plain %s --completions told && cat told"};
	static const char *const guesses[] = {"--speculate", "rollout.speculate=true"};

	for (int i = 0; i < 2; i++) {
		hone_ok(lines[i], "");
		shell("cp stdout without");
		hone_ok(lines[i], guesses[i]);
		assert_true(same_bytes("stdout", "without"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_guess_is_what_followed_the_last_tokens_before),
	        TEST(a_guess_can_come_from_earlier_completions),
	        TEST(the_newest_completions_of_a_problem_are_remembered),
	        TEST(a_job_guesses_from_the_epoch_before),
	        TEST(a_run_with_guesses_is_the_run_without_them),
	        TEST(a_run_with_guesses_that_was_killed_goes_on_with_or_without),
	        TEST(generate_and_eval_write_the_same_with_guesses)};

	run_in_temporary_folder();
	write_text("job.yaml", config);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
