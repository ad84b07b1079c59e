/* Runs, configs and data that somebody else made: what they may not do. */
#include "base/terminal.h"
#include "screen.h"

static const char config[] =
        "model:\n"
        "  tokenizer: 'chars:abcd='\n"
        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 16}\n"
        "data: {train: train.jsonl, eval: train.jsonl}\n"
        "task: {reward: command, verifier: {command: 'sh judge.sh', command_workers: 1}}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0}\n"
        "rollout: {num_generations: 4, prompts_per_step: 2, max_completion_length: 3}\n"
        "run: {output_dir: out, max_steps: 1, eval_steps: 0, save_steps: 1, tensorboard: false}\n";

/* ---- programs ---- */

static void a_strangers_program_is_shown_and_not_run_without_leave(void **state)
{
	(void)state;
	static const char *const strange[] = {
	        "train mine.yaml run.output_dir=a",
	        "rollouts mine.yaml --steps 1 --output a.jsonl",
	        "sft mine.yaml run.output_dir=a",
	        "eval own --max-tokens 3",
	        "eval own/checkpoint-1 --max-tokens 3",
	        "train m.yaml run.output_dir=a" /* extends m.yaml.yml */};

	/* whoever names the file himself */
	assert_int_equal(hone("train theirs.yaml run.output_dir=own"), 0);
	shell("rm -f asked");
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
		assert_int_equal(hone("%s", strange[i]), 2);
		shell("grep -q 'and you did not name that file: it would run the program' stderr");
		shell("grep -q 'sh judge.sh' stderr && grep -q -e '--allow-command' stderr");
		shell("test ! -e asked && test ! -e a && test ! -e a.jsonl");
	}
}

static void leave_is_given_by_an_option_or_by_naming_the_program(void **state)
{
	(void)state;
	static const char *const fine[] = {
	        "train mine.yaml run.output_dir=b --allow-command",
	        "rollouts mine.yaml --steps 1 --output b.jsonl --allow-command",
	        "eval own --max-tokens 3 --allow-command",
	        "eval own --max-tokens 3 --command 'sh judge.sh'",
	        "eval own --max-tokens 3 --config theirs.yaml",
	        "eval trained.yaml --max-tokens 3",
	        "train mine.yaml run.output_dir=c 'task.verifier.command=sh judge.sh'"};

	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
		shell("rm -f asked");
		assert_int_equal(hone("%s", fine[i]), 0);
		shell("test -e asked");
		if (strstr(fine[i], "--allow-command"))
			shell("grep -q 'runs the program sh judge.sh' stderr");
	}
	/* the run's program is not asked */
	assert_int_equal(hone("eval own --max-tokens 3 --task exact"), 0);
}

/* ---- configs ---- */

static void a_config_that_extends_another_file_says_nothing_of_it(void **state)
{
	(void)state;
	static const char *const targets[] = {"secret", "/etc/passwd", "secret.txt", "link.yaml"};

	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		char text[64];
		snprintf(text, sizeof text, "extends: %s\n", targets[i]);
		write_text("bad.yaml", text);
		assert_int_equal(hone("train bad.yaml"), 2);
		shell("grep -q 'a config.s name ends in .yaml or .yml' stderr && ! grep -q -e "
		      "hunter2 -e root: stderr stdout");
	}
	write_text("good.yaml", "extends: theirs.yml\n");
	assert_int_equal(hone("train good.yaml run.output_dir=d --allow-command"), 0);
}

/* ---- folders ---- */

static void a_folder_that_is_no_run_is_not_written_into(void **state)
{
	(void)state;
	shell("mkdir home && echo mine > home/config.yaml && echo letter > home/letter.txt && ls "
	      "-la --time-style=full-iso home > before");
	assert_int_equal(hone("train theirs.yaml run.output_dir=home"), 2);
	shell("grep -q 'home holds letter.txt and no run' stderr && ls -la --time-style=full-iso "
	      "home | cmp - before");
	assert_int_equal(hone("train theirs.yaml run.output_dir=home --from-scratch"), 2);
	shell("ls -la --time-style=full-iso home | cmp - before");
	assert_int_equal(hone("train theirs.yaml run.output_dir=home --resume"), 2);
	shell("ls -la --time-style=full-iso home | cmp - before");
	/* a run that was killed before its first line */
	shell("mkdir empty begun && touch begun/config.yaml begun/.hidden");
	assert_int_equal(hone("train theirs.yaml run.output_dir=empty"), 0);
	assert_int_equal(hone("train theirs.yaml run.output_dir=begun"), 0);
	shell("touch empty/notes.txt"); /* a run that somebody takes notes in */
	assert_int_equal(hone("train theirs.yaml run.output_dir=empty run.max_steps=2 --resume"),
	                 0);
}

/* ---- the terminal ---- */

static void control_characters_are_shown_not_sent(void **state)
{
	(void)state;
	static const struct {
		const char *text, *shown;
	} cases[] = {{"plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\n\tx",
	              "plain \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\n\tx"},
	             {"\033[31mred\007\r\b\x7F", "\\x1b[31mred\\x07\\x0d\\x08\\x7f"},
	             {"\xC2\x9B"
	              "31m",
	              "\\xc2\\x9b31m"},
	             {"\x9B"
	              "31m \xFF \xC3",
	              "\\x9b31m \\xff \\xc3"},
	             {"\xE2\x80\xAE"
	              "evil \xE2\x81\xA6",
	              "\\xe2\\x80\\xaeevil \\xe2\\x81\\xa6"},
	             {"\xC0\x9B \xE0\x80\x9B", "\\xc0\\x9b \\xe0\\x80\\x9b"}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct text t = {0};
		terminal_show(&t, cases[i].text, strlen(cases[i].text));
		assert_ok(text_status(&t));
		assert_string_equal(t.data, cases[i].shown);
		text_free(&t);
	}
}

static void ids_categories_paths_and_messages_reach_no_terminal_raw(void **state)
{
	(void)state;
	static const char *const commands[] = {
	        "inspect evil.jsonl",
	        "inspect evil.jsonl --id \"$(printf 'i\\033[31md')\"",
	        "eval own --data evil.jsonl --task exact --max-tokens 3 --limit 2",
	        "inspect \"$(printf 'e\\033[31m.jsonl')\"",
	        "eval own --data \"$(printf 'e\\033[31m.jsonl')\" --task exact --max-tokens 3 "
	        "--limit 2",
	        "inspect \"$(printf 'no\\033[31m')\"",
	        "train \"$(printf 'no\\033[31m')\"",
	        "\"$(printf 'no\\033[31m')\"",
	        "train theirs.yaml data.train=evil.jsonl data.eval= task.reward=numeric "
	        "run.output_dir=\"$(printf 'e\\033[31m')\"",
	        "train theirs.yaml data.train=evil.jsonl task.reward=exact run.output_dir=e",
	        "score --task numeric < evil.jsonl",
	        "generate own --prompt \"$(printf 'a\\033[31m')\""};
	const char *const out = screen_text;

	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		screen_run(commands[i], 80, NULL);
		assert_true(strlen(out) > 0);
		for (const char *at = out; (at = strchr(at, '\033')); at++)
			if (strncmp(at, "\033[K", 3)) /* the progress bar's own */
				fail_msg("%s: %.200s", commands[i], at > out + 60 ? at - 60 : out);
		if (strstr(out, "\xC2\x9B") || strchr(out, '\007'))
			fail_msg("%s: %s", commands[i], out);
	}
}

static void write_files(void)
{
	write_text("judge.sh",
	           "while read -r line; do echo x >> asked; echo '{\"reward\": 1}'; done\n");
	write_text("theirs.yaml", config);
	write_text("theirs.yml", config);
	write_text("trained.yaml", "model: {path: own}\ndata: {eval: train.jsonl}\ntask: {reward: "
	                           "command, verifier: {command: 'sh judge.sh'}}\n");
	write_text("mine.yaml", "extends: theirs.yaml\nrun: {seed: 3}\n");
	write_text("m.yaml.yml", config);
	write_text("m.yaml", "extends: m.yaml.yml\n");
	write_text("secret", "password: hunter2\n");
	write_text("secret.txt", "password: hunter2\n");
	write_text("train.jsonl", "{\"prompt\": \"ab=\", \"answer\": \"a\"}\n{\"prompt\": \"ba=\", "
	                          "\"answer\": \"b\"}\n{\"prompt\": "
	                          "\"cd=\", \"answer\": \"c\"}\n");
	write_text("evil.jsonl", "{\"prompt\": \"ab=\", \"answer\": \"a\", \"completion\": \"7\", "
	                         "\"id\": \"i\\u001b[31md\", \"category\": "
	                         "\"c\\u001b]0;title\\u0007\"}\n"
	                         "{\"prompt\": \"bb=\", \"answer\": \"\\u009b31m\", "
	                         "\"completion\": \"7\", \"id\": \"j\\u009b31m\", "
	                         "\"category\": \"\\u001b[2J\"}\n"
	                         "{\"prompt\": \"ab=\", \"answer\": \"b\", \"completion\": \"7\", "
	                         "\"id\": \"k\\u001b[31m\", \"category\": "
	                         "\"\\u001b[2J\"}\n");
	shell("cp evil.jsonl \"$(printf 'e\\033[31m.jsonl')\"");
	shell("ln -s secret link.yaml");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_strangers_program_is_shown_and_not_run_without_leave),
	        TEST(leave_is_given_by_an_option_or_by_naming_the_program),
	        TEST(a_config_that_extends_another_file_says_nothing_of_it),
	        TEST(a_folder_that_is_no_run_is_not_written_into),
	        TEST(control_characters_are_shown_not_sent),
	        TEST(ids_categories_paths_and_messages_reach_no_terminal_raw)};

	run_in_temporary_folder();
	write_files();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
