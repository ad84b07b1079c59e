/* The front door: what hone says of itself and of its commands. */
#include "run.h"

#include "base/version.h"

static char sources[PATH_MAX];

enum { N_FILES = 40, N_NAMES = 40 };

/* What the parser accepts, read where it is written: each {"--name" of src/cli/FILE.c is an option
 * of the command FILE. */
static struct file_of_options {
	char command[16], name[N_NAMES][40];
	int  n;
} files[N_FILES];
static int n_files;

static void read_source(const char *path, struct file_of_options *f)
{
	size_t size;
	char  *text = read_all(path, &size);

	for (const char *at = text; (at = strstr(at, "{\"--")) != NULL; f->n++) {
		at += 2;
		assert_true(f->n < N_NAMES);
		snprintf(f->name[f->n], sizeof f->name[0], "%.*s", (int)strcspn(at, " \""), at);
	}
	free(text);
}

/* "  NAME ..." of hone --help, for each command. */
static void read_commands(void)
{
	size_t size;
	char  *text = read_all("stdout", &size);

	for (const char *at = text; (at = strstr(at, "\n  ")) != NULL; n_files++) {
		at += 3;
		assert_true(n_files < N_FILES);
		snprintf(files[n_files].command, sizeof files[0].command, "%.*s",
		         (int)strcspn(at, " "), at);
	}
	free(text);
}

static const char *source_of(const char *command)
{
	return !strcmp(command, "sft")          ? "train"
	       : !strcmp(command, "detokenize") ? "tokenize"
	                                        : command;
}

static int read_all_commands(void **state)
{
	(void)state;
	assert_int_equal(hone("--help"), 0);
	read_commands();
	assert_true(n_files > 10);
	for (int i = 0; i < n_files; i++) {
		char path[PATH_MAX + 32];
		snprintf(path, sizeof path, "%s/%.20s.c", sources, source_of(files[i].command));
		read_source(path, &files[i]);
		assert_true(files[i].n > 0);
	}
	return 0;
}

static void nothing_on_stderr(void)
{
	size_t size;
	char  *text = read_all("stderr", &size);

	assert_string_equal(text, "");
	free(text);
}

/* The line "  NAME ...  HELP" of a help; NULL when it is not there. */
static const char *line_of(const char *help, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = help; (at = strstr(at, "\n  --")) != NULL;) {
		at += 3;
		if (!strncmp(at, name, n) && at[n] == ' ')
			return at;
	}
	return NULL;
}

/* A line is the name, what its value is, blanks, and a help of some words. */
static int says_something(const char *line)
{
	const char *end = strchr(line, '\n'), *help = strstr(line, "  ");

	return end && help && help < end && end - help - (long)strspn(help, " ") > 5;
}

static void every_command_has_a_help_that_names_every_option(void **state)
{
	(void)state;
	for (int i = 0; i < n_files; i++) {
		char   usage[64], *help;
		size_t size;
		if (hone("%s --help", files[i].command) != 0)
			fail_msg("hone %s --help fails", files[i].command);
		nothing_on_stderr();
		help = read_all("stdout", &size);
		snprintf(usage, sizeof usage, "hone %.15s ", files[i].command);
		assert_memory_equal(help, usage, strlen(usage));
		assert_non_null(line_of(help, "--help"));
		for (int j = 0; j < files[i].n; j++) {
			const char *line = line_of(help, files[i].name[j]);
			if (!line || !says_something(line))
				fail_msg("hone %s --help does not explain %s", files[i].command,
				         files[i].name[j]);
		}
		free(help);
	}
}

/* Each option that the help names, given with 1 (a flag leaves that word alone): the parser gets as
 * far as the next one. */
static void a_help_names_no_option_that_the_parser_refuses(void **state)
{
	(void)state;
	for (int i = 0; i < n_files; i++) {
		size_t size;
		char  *help, *said;
		hone_ok("%s --help", files[i].command);
		help = read_all("stdout", &size);
		for (const char *at = help; (at = strstr(at, "\n  --")) != NULL;) {
			at += 3;
			if (!strncmp(at, "--help ", 7))
				continue;
			assert_int_equal(hone("%s %.*s 1 --no-such-option", files[i].command,
			                      (int)strcspn(at, " "), at),
			                 2);
			said = read_all("stderr", &size);
			if (!strstr(said, "unknown option --no-such-option"))
				fail_msg("hone %s: %s", files[i].command, said);
			free(said);
		}
		free(help);
	}
}

static void
help_is_given_wherever_it_is_asked_for_unless_an_option_before_it_is_unknown(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		int         status;
	} cases[] = {{"train none.yaml --resume --help", 0},
	             {"generate -h", 0},
	             {"merge none --dtype f32 --help none", 0},
	             {"eval none --data none.jsonl --samples 4 --help", 0},
	             {"generate none --prompt --help", 2}, /* the prompt */
	             {"eval --no-such-option --help", 2},
	             {"score --tasks --help", 2}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (hone("%s", cases[i].line) != cases[i].status)
			fail_msg("hone %s: not status %d", cases[i].line, cases[i].status);
		if (cases[i].status == 0)
			nothing_on_stderr();
	}
}

static void an_unknown_option_is_answered_with_the_nearest(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	        {"score --tsak x", "did you mean --task?"},
	        {"eval --helpp", "did you mean --help?"},
	        {"tokenize --special", "did you mean --no-special?"},
	        {"generate --max_tokens=3",
	         "unknown option --max_tokens; did you mean --max-tokens?"}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t size;
		char  *said;
		assert_int_equal(hone("%s", cases[i][0]), 2);
		said = read_all("stderr", &size);
		if (!strstr(said, cases[i][1]))
			fail_msg("hone %s: %s", cases[i][0], said);
		free(said);
	}
}

static void help_says_what_holds_when_an_option_is_not_given(void **state)
{
	(void)state;
	size_t size;
	char  *help;

	hone_ok("data --count 7 --help"); /* not 7 */
	help = read_all("stdout", &size);
	assert_non_null(strstr(help, "(100)\n"));
	assert_null(strstr(help, "(7)"));
	free(help);
}

static void commands_that_take_keys_say_where_they_are_listed(void **state)
{
	(void)state;
	size_t      size;
	const char *listing[] = {"train", "sft"}, *naming[] = {"eval", "rollouts"};

	for (int i = 0; i < 2; i++) {
		char *help;
		hone_ok("%s --help", listing[i]);
		help = read_all("stdout", &size);
		assert_non_null(strstr(help, "\n  optim.learning_rate "));
		free(help);
		hone_ok("%s --help", naming[i]);
		help = read_all("stdout", &size);
		assert_non_null(strstr(help, "hone train --help lists the keys"));
		free(help);
	}
}

/* The example of a help, from "hone" to the end of the line or a redirection. */
static void example_of(int i, char *out, size_t room)
{
	char        before[64];
	size_t      size;
	char       *help;
	const char *at;

	hone_ok("%s --help", files[i].command);
	help = read_all("stdout", &size);
	snprintf(before, sizeof before, "hone %.15s ", files[i].command);
	at = strstr(help, "\nExample:\n    ");
	if (!at || !(at = strstr(at, before)))
		fail_msg("hone %s --help has no example", files[i].command);
	at += strlen("hone ");
	snprintf(out, room, "%.*s", (int)strcspn(at, ">\n"), at);
	free(help);
}

/* The parser takes all of its words but the one that no command knows. */
static void every_example_is_one_that_the_command_takes(void **state)
{
	(void)state;
	for (int i = 0; i < n_files; i++) {
		char   line[400];
		size_t size;
		char  *said;
		example_of(i, line, sizeof line);
		assert_int_equal(hone("%s --no-such-option", line), 2);
		said = read_all("stderr", &size);
		if (!strstr(said, "unknown option --no-such-option"))
			fail_msg("hone %s: %s", line, said);
		free(said);
		for (const char *at = line; (at = strstr(at, "s/"));
		     at++) { /* configs/, experiments/ */
			const char *from = at;
			while (from > line && from[-1] != ' ')
				from--;
			if (!strncmp(from, "configs/", 8) || !strncmp(from, "experiments/", 12))
				shell("test -f '%s/../../%.*s'", sources, (int)strcspn(from, " \n"),
				      from);
		}
	}
}

static void help_of_a_command_is_what_it_says_itself(void **state)
{
	(void)state;
	for (int i = 0; i < n_files; i++) {
		hone_ok("%s --help", files[i].command);
		shell("mv stdout own");
		hone_ok("help %s", files[i].command);
		assert_true(same_bytes("stdout", "own"));
	}
	assert_int_equal(hone("help"), 0);
	assert_int_equal(hone("help nothing"), 2);
	assert_says("stderr", "there is no command \"nothing\"");
}

static void help_with_a_word_lists_the_keys_that_mention_it(void **state)
{
	(void)state;
	hone_ok("train --help lora");
	shell("test $(wc -l < stdout) -ge 4 && test $(grep -ci lora stdout) -eq $(wc -l < stdout)");
	assert_says("stdout", "\n  model.lora_r ");
	hone_ok("train --help LORA");
	assert_says("stdout", "\n  model.lora_r ");
	assert_int_equal(hone("train --help nonesuch"), 2);
	assert_says("stderr", "no option of a config mentions \"nonesuch\"");
}

static void pages_and_completions_are_made_of_the_same_words(void **state)
{
	(void)state;
	shell("'%s/../../scripts/install-pages' '%s' \"$PWD/share\"", sources, run_program);
	for (int i = 0; i < n_files; i++)
		for (int j = 0; j < files[i].n; j++) {
			const char *name = files[i].name[j];
			shell("sed 's/\\\\-/-/g' share/man/man1/hone-%s.1 | grep -q -e '^.B %s'",
			      files[i].command, name);
			shell("sed -n '/^\t%s)/,/;;/p' share/bash-completion/completions/hone | "
			      "grep "
			      "-q -e ' %s[ \"]'",
			      files[i].command, name);
			shell("sed -n '/^\t%s)/,/;;/p' share/zsh/site-functions/_hone | grep -q -e "
			      "\"'%s.\"",
			      files[i].command, name);
		}
	assert_says("share/man/man1/hone-train.1", "\n.B optim.learning_rate\n");
	shell("test -f share/hone/configs/addition/demo.yaml -a -f share/doc/hone/docs/options.md");
	if (system("command -v groff > /dev/null") == 0)
		shell("cat share/man/man1/*.1 | groff -man -Tutf8 -ww 2>&1 > /dev/null | (! grep "
		      ".)");
}

static void bash_completes(const char *words, const char *expected)
{
	shell("bash -c '. share/bash-completion/completions/hone; compopt() { :; }; "
	      "COMP_WORDS=(hone %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _hone; echo "
	      "${COMPREPLY[*]}' > completed",
	      words);
	if (!file_says("completed", expected)) {
		size_t n;
		fail_msg("hone %s: %s", words, read_all("completed", &n));
	}
}

static void bash_completes_commands_options_and_keys(void **state)
{
	(void)state;
	bash_completes("ch", "chat\n");
	bash_completes("chat a --wi", "--with\n");
	bash_completes("help cha", "chat\n");
	bash_completes("train a.yaml run.max_s", "run.max_steps=\n");
	bash_completes("data run.max_s", "\n");
	shell("test \"$(cat completed)\" = ''");
}

static void version_says_which_program_this_is(void **state)
{
	(void)state;
	size_t size;
	char  *text;

	assert_int_equal(hone("--version"), 0);
	nothing_on_stderr();
	text = read_all("stdout", &size);
	assert_memory_equal(text, "hone " HONE_VERSION "\ncommit ",
	                    strlen("hone " HONE_VERSION "\ncommit "));
	assert_non_null(strstr(text, "\ncompiler "));
	assert_non_null(strstr(text, "\nmatrix products "));
	assert_non_null(strstr(text, "\ncpu "));
	assert_non_null(strstr(text, "\nsums f32: k ascending; bf16: k in pairs"));
	assert_null(strstr(text, "commit \n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(every_command_has_a_help_that_names_every_option),
	        TEST(a_help_names_no_option_that_the_parser_refuses),
	        TEST(help_is_given_wherever_it_is_asked_for_unless_an_option_before_it_is_unknown),
	        TEST(an_unknown_option_is_answered_with_the_nearest),
	        TEST(help_says_what_holds_when_an_option_is_not_given),
	        TEST(commands_that_take_keys_say_where_they_are_listed),
	        TEST(every_example_is_one_that_the_command_takes),
	        TEST(help_of_a_command_is_what_it_says_itself),
	        TEST(help_with_a_word_lists_the_keys_that_mention_it),
	        TEST(pages_and_completions_are_made_of_the_same_words),
	        TEST(bash_completes_commands_options_and_keys),
	        TEST(version_says_which_program_this_is),
	};

	if (!realpath("src/cli", sources))
		return 1;
	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, read_all_commands, NULL);
}
