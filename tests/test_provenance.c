/* A run folder says which program made which steps. */
#include "run.h"

#include "base/version.h"
#include "run/provenance.h"

static const char job[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 32}\n"
        "data: {generate: [{name: sequence, levels: 1, count: 20}]}\n"
        "task: {reward: sequence}\n"
        "loss: {beta: 0}\n"
        "rollout: {num_generations: 2, prompts_per_step: 2, max_completion_length: 4}\n"
        "run: {max_steps: 4, save_steps: 2, output_dir: run, tensorboard: false}\n";

/* The program `commit` goes on in the folder run behind `step`. */
static void go_on(const char *commit, int step)
{
	version_commit = commit;
	assert_ok(provenance_write("run", step, "plain"));
}

/* "1 one, 5 two": from which step on the lines of run/provenance.jsonl name which commit. */
static void assert_made_by(const char *expected)
{
	char        got[200] = "";
	size_t      n;
	char       *text = read_all("run/provenance.jsonl", &n), *end;
	const char *at = text;

	for (; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		json_t     *line;
		int64_t     from = 0;
		const char *commit = "";
		size_t      used = strlen(got);
		assert_ok(json_parse("line", at, (size_t)(end - at), &line));
		assert_ok(json_get_int("line", line, "from_step", JSON_REQUIRED,
		                       json_range(1, INT64_MAX), &from));
		assert_ok(json_get_text("line", line, "commit", JSON_REQUIRED, &commit));
		snprintf(got + used, sizeof got - used, "%s%lld %s", used ? ", " : "",
		         (long long)from, commit);
		json_decref(line);
	}
	assert_string_equal(at, "");
	assert_string_equal(got, expected);
	free(text);
}

static int new_folder(void **state)
{
	(void)state;
	assert_ok(file_remove_folder("run"));
	return file_make_folders("run");
}

static void one_program_is_one_line_however_often_it_is_stopped(void **state)
{
	(void)state;
	go_on("one", 0);
	go_on("one", 0);
	go_on("one", 7);
	assert_made_by("1 one");
}

static void another_program_begins_behind_the_last_step_that_stays(void **state)
{
	(void)state;
	go_on("one", 0);
	go_on("two", 4);
	assert_made_by("1 one, 5 two");
	go_on("three", 6);
	assert_made_by("1 one, 5 two, 7 three");
	go_on("one", 8);
	assert_made_by("1 one, 5 two, 7 three, 9 one");
}

static void steps_that_are_made_again_are_the_new_program_s(void **state)
{
	(void)state;
	go_on("one", 0);
	go_on("two", 4);
	go_on("three", 4);
	assert_made_by("1 one, 5 three");
	go_on("one", 4);
	assert_made_by("1 one");
	go_on("two", 0);
	assert_made_by("1 two");
}

static void other_kernels_are_another_program(void **state)
{
	(void)state;
	go_on("one", 0);
	assert_ok(provenance_write("run", 4, "other"));
	assert_made_by("1 one, 5 one");
	assert_says("run/provenance.jsonl", "\"kernels\": \"other\"");
}

static void a_line_that_says_nothing_is_left_out_and_the_others_stay(void **state)
{
	(void)state;
	static const char *const lines[] = {"",
	                                    "[]",
	                                    "{}",
	                                    "{\"from_step\": \"1\"}",
	                                    "{\"from_step\": 0}",
	                                    "{\"from_step\": 1, \"comm",
	                                    "\\377"};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		go_on("one", 0);
		go_on("two", 4);
		shell("printf '%s\n' '%s' >> run/provenance.jsonl", i % 2 ? "%s" : "%b", lines[i]);
		go_on("two", 6);
		assert_made_by("1 one, 5 two");
	}
}

static void a_file_of_something_else_makes_way(void **state)
{
	(void)state;
	shell("truncate -s 2M run/provenance.jsonl");
	go_on("one", 4);
	assert_made_by("5 one");
}

/* The commit that the Makefile told the program, and no other. */
static void a_run_and_its_resume_name_the_program_that_version_names(void **state)
{
	(void)state;
	char   expected[200], commit[100];
	size_t n;
	char  *told;

	shell("cp \"$(dirname '%s')/commit\" told", run_program);
	told = read_all("told", &n);
	snprintf(commit, sizeof commit, "%.*s", (int)strcspn(told, "\n"), told);
	free(told);
	write_text("job.yaml", job);
	hone_ok("train job.yaml run.max_steps=2");
	shell("cp run/provenance.jsonl first");
	hone_ok("train job.yaml --resume");
	assert_true(same_bytes("first", "run/provenance.jsonl"));
	assert_says("first", "\"version\": \"" HONE_VERSION "\"");
	assert_says("first", "\"cpu\": \"");
	assert_says("first", "\"sums\": \"f32: k ascending");
	for (int step = 2; step <= 4; step += 2) { /* each checkpoint names it, too */
		snprintf(expected, sizeof expected, "run/checkpoint-%d/trainer_state.json", step);
		assert_says(expected, "\"program\": {");
		assert_says(expected, commit);
		assert_says(expected, "\"sums\": \"f32: k ascending");
	}
	snprintf(expected, sizeof expected, "1 %s", commit);
	assert_made_by(expected);
	snprintf(expected, sizeof expected, "\ncommit %s\n", commit);
	hone_ok("--version");
	assert_says("stdout", expected);
}

static void a_run_that_goes_on_after_another_program_says_so(void **state)
{
	(void)state;
	write_text("job.yaml", job);
	hone_ok("train job.yaml run.max_steps=2");
	shell("sed -i 's/\"version\": \"[^\"]*\"/\"version\": \"0\"/' run/provenance.jsonl");
	hone_ok("train job.yaml --resume");
	assert_int_equal(count_lines("run/provenance.jsonl"), 2);
	assert_says("run/provenance.jsonl", "{\"from_step\": 1, \"version\": \"0\"");
	assert_says("run/provenance.jsonl",
	            "\n{\"from_step\": 3, \"version\": \"" HONE_VERSION "\"");
	hone_ok("train job.yaml --from-scratch");
	assert_int_equal(count_lines("run/provenance.jsonl"), 1);
	assert_int_equal(count_lines("run/old-1/provenance.jsonl"), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(one_program_is_one_line_however_often_it_is_stopped,
	                               new_folder),
	        cmocka_unit_test_setup(another_program_begins_behind_the_last_step_that_stays,
	                               new_folder),
	        cmocka_unit_test_setup(steps_that_are_made_again_are_the_new_program_s, new_folder),
	        cmocka_unit_test_setup(other_kernels_are_another_program, new_folder),
	        cmocka_unit_test_setup(a_line_that_says_nothing_is_left_out_and_the_others_stay,
	                               new_folder),
	        cmocka_unit_test_setup(a_file_of_something_else_makes_way, new_folder),
	        cmocka_unit_test_setup(a_run_and_its_resume_name_the_program_that_version_names,
	                               new_folder),
	        cmocka_unit_test_setup(a_run_that_goes_on_after_another_program_says_so,
	                               new_folder),
	};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
