/* A user's own program as a verifier: what it may do wrong, and what then becomes of the
 * answers. */
#include "base/program.h"

#include "run.h"
#include "verify/verifier.h"

#include <errno.h>

/* It obeys the completion: the reward is its own process number, or it misbehaves. */
static const char obedient[] =
        "#!/bin/sh\n"
        "while IFS= read -r line; do\n"
        "  case \"$line\" in\n"
        "  *WAIT*) sleep 60;;\n"
        "  *LINGER*) sleep 60 & echo $! > child; wait;;\n"
        "  *CRASH*) echo a message of its own >&2; exit 3;;\n"
        "  *KILL*) kill -9 $$;;\n"
        "  *GARBAGE*) echo 'not JSON';;\n"
        "  *EMPTY*) echo;;\n"
        "  *LIST*) echo '[1]';;\n"
        "  *TEXT*) echo '{\"reward\": \"1\"}';;\n"
        "  *NONE*) echo '{\"score\": 1}';;\n"
        "  *NAN*) echo '{\"reward\": NaN}';;\n"
        "  *NULL*) echo '{\"reward\": null}';;\n"
        "  *TRUE*) echo '{\"reward\": true}';;\n"
        "  *FALSE*) echo '{\"reward\": false}';;\n"
        "  *HUGE*) echo '{\"reward\": 1e308}';;\n"
        "  *DEEP*) echo '{\"reward\": -1e38}';;\n"
        "  *BOUND*) echo '{\"reward\": -1e6}';;\n"
        "  *BEYOND*) echo '{\"reward\": 1000001}';;\n"
        "  *TWO*) printf '{\"reward\": 1}\\n{\"reward\": 1}\\n';;\n"
        "  *LONG*) head -c 3000000 /dev/zero | tr '\\0' x; echo;;\n"
        "  *HALF*) printf '{\"rew'; sleep 0.1; printf 'ard\": 5}\\n';;\n"
        "  *SMALL*) echo '{\"reward\": 0.99}';;\n"
        "  *ENOUGH*) echo '{\"reward\": 0.5, \"right\": true}';;\n"
        "  *NEVER*) echo '{\"reward\": 2, \"right\": false}';;\n"
        "  *EXCUSE*) echo '{\"error\": \"no idea\"}';;\n"
        "  *UNPARSED*) echo '{\"reward\": 0, \"parsed\": false, \"metrics\": {\"x\": 1}}';;\n"
        "  *LENGTH*) echo \"{\\\"reward\\\": ${#line}}\";;\n"
        "  *) echo \"{\\\"reward\\\": $$}\";;\n"
        "  esac\n"
        "done\n";

static struct verifier_options with(const char *line)
{
	return (struct verifier_options){
	        .command = {
	                .line = line, .timeout = 20, .startup = 20, .workers = 1, .log = "log"}};
}

static struct score ask(const struct reward_spec *spec, const char *text, size_t n)
{
	const struct problem p = {
	        .id = "p",
	        .prompt = "q",
	        .answer = "a",
	        .row = "{\"prompt\": \"q\", \"answer\": \"a\", \"completion\": \"other\"}"};
	const struct completion c = {.text = text, .n = n, .finished = 1, .n_tokens = 3};
	struct verdict          v;

	assert_ok(verifier_score(spec, &p, &c, &v));
	return v.part[0];
}

static double ask_text(const struct reward_spec *spec, const char *text)
{
	return ask(spec, text, strlen(text)).reward;
}

static void open_spec(struct reward_spec *spec, const struct verifier_options *o)
{
	const char *name = "command";

	assert_ok(verifier_open(spec, &name, NULL, 1, o));
}

static void no_child_is_left(void)
{
	assert_true(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void one_program_answers_as_long_as_it_behaves(void **state)
{
	(void)state;
	struct verifier_options o = with("./obedient");
	struct reward_spec      spec;
	double                  first;

	open_spec(&spec, &o);
	first = ask_text(&spec, "x");
	assert_true(first > 1);
	for (int i = 0; i < 5; i++)
		assert_close(ask_text(&spec, "y"), first, 0);
	assert_close(ask_text(&spec, "HALF"), 5, 0);
	assert_false(ask(&spec, "UNPARSED", 8).parsed);
	assert_true(ask(&spec, "HALF", 4).right); /* a reward of 5 */
	assert_false(ask(&spec, "SMALL", 5).right);
	assert_true(ask(&spec, "ENOUGH", 6).right);
	assert_false(ask(&spec, "NEVER", 5).right);
	assert_true(ask(&spec, "EXCUSE", 6).failed);
	assert_close(ask_text(&spec, "y"), first, 0);
	verifier_close(&spec);
	no_child_is_left();
}

/* Whichever allocation fails, the question has no verdict and the program no failure. */
static void short_memory_is_neither_a_verdict_nor_a_failure_of_the_program(void **state)
{
	(void)state;
	const struct problem    p = {.id = "p", .prompt = "q", .answer = "a", .row = "{}"};
	const struct completion c = {.text = "x", .n = 1, .finished = 1, .n_tokens = 1};
	struct verifier_options o = with("obedient_in_path");
	struct reward_spec      spec;
	struct verdict          v;
	const char             *name = "command";
	char                    why[PROGRAM_WHY_MAX];
	int                     refused = 0;

	setenv("PATH", ".:/usr/bin:/bin", 1);
	assert_int_equal(symlink("obedient", "obedient_in_path"), 0);
	for (long n = 1;; n++, refused++) {
		int status;
		mem_fail_at(n);
		status = verifier_open(&spec, &name, NULL, 1, &o);
		if (status == OK)
			break;
		assert_memory(status, "");
	}
	for (long n = 1;; n++, refused++) {
		int status;
		mem_fail_at(n);
		status = verifier_score(&spec, &p, &c, &v);
		if (status == OK)
			break;
		assert_memory(status, "");
	}
	mem_fail_at(0);
	assert_false(v.part[0].failed);
	assert_true(v.part[0].reward > 1);
	assert_int_equal(program_failures(spec.command, why), 0);
	assert_true(refused >= 8);
	verifier_close(&spec);
	no_child_is_left();
}

static void what_is_no_answer_is_no_verdict_and_the_next_one_gets_a_new_program(void **state)
{
	(void)state;
	static const char *const wrong[] = {"CRASH", "KILL", "GARBAGE", "EMPTY", "LIST",
	                                    "TEXT",  "NONE", "NAN",     "TWO",   "LONG"};
	struct verifier_options  o = with("./obedient");
	struct reward_spec       spec;
	char                     why[PROGRAM_WHY_MAX];
	double                   before;

	open_spec(&spec, &o);
	before = ask_text(&spec, "x");
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct score s = ask(&spec, wrong[i], strlen(wrong[i]));
		double       after;
		if (!s.failed || !isnan(s.reward))
			fail_msg("%s: earned %g", wrong[i], s.reward);
		assert_int_equal(program_failures(spec.command, why), i + 1);
		after = ask_text(&spec, "x");
		assert_true(after > 1 && after != before);
		before = after;
	}
	assert_non_null(strstr(why, "more than 1048576 bytes"));
	verifier_close(&spec);
	no_child_is_left();
}

/* 1e308 and -1e308 have no mean, 1e38 has no square in single precision. */
static void a_reward_is_a_number_within_bounds_or_no_verdict(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} refused[] = {
	        {"NULL", "\"reward\" is null: no verdict"},
	        {"HUGE", "the reward 1e+308 is beyond +-1e+06: no verdict; scale the rewards"},
	        {"DEEP", "the reward -1e+38 is beyond"},
	        {"BEYOND", "is beyond"}};
	struct verifier_options o = with("./obedient");
	struct reward_spec      spec;
	char                    why[PROGRAM_WHY_MAX];
	double                  first;

	open_spec(&spec, &o);
	first = ask_text(&spec, "x");
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		struct score s = ask(&spec, refused[i].text, strlen(refused[i].text));
		assert_true(s.failed && isnan(s.reward) && !s.right);
		program_failures(spec.command, why);
		if (!strstr(why, refused[i].message))
			fail_msg("%s: \"%s\"", refused[i].text, why);
	}
	assert_close(ask_text(&spec, "BOUND"), -1e6, 0);
	assert_close(ask_text(&spec, "TRUE"), 1, 0);
	assert_true(ask(&spec, "TRUE", 4).right);
	assert_close(ask_text(&spec, "FALSE"), 0, 0);
	assert_false(ask(&spec, "FALSE", 5).failed);
	assert_close(ask_text(&spec, "x"), first, 0); /* it was well all the time */
	verifier_close(&spec);
}

static void messages_say_what_happened_and_where_the_program_spoke(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
	        {"CRASH",
	         "the command \"./obedient\" ended with status 3; its standard error is in log"},
	        {"KILL", "killed by signal 9"},
	        {"GARBAGE", "its reply: not valid JSON"},
	        {"NONE", "\"reward\""},
	        {"TWO", "exactly one line"},
	        {"EXCUSE", "it says: no idea"}};
	struct verifier_options o = with("./obedient");
	struct reward_spec      spec;
	char                    why[PROGRAM_WHY_MAX], *log;
	size_t                  n;

	open_spec(&spec, &o);
	ask_text(&spec, "x");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ask_text(&spec, cases[i].text);
		program_failures(spec.command, why);
		if (!strstr(why, cases[i].message))
			fail_msg("%s: \"%s\"", cases[i].text, why);
	}
	verifier_close(&spec);
	log = read_all("log", &n);
	assert_non_null(strstr(log, "a message of its own"));
	free(log);
}

static void an_answer_that_takes_too_long_is_given_up_with_all_that_was_started(void **state)
{
	(void)state;
	struct verifier_options o = with("./obedient");
	struct reward_spec      spec;
	double                  first;
	char                    path[64], *child;
	size_t                  n;
	int                     gone = 0;

	o.command.timeout = 0.3;
	open_spec(&spec, &o);
	first = ask_text(&spec, "x");
	/* and what it waits for, a child that sleeps, is gone: */
	assert_true(ask(&spec, "LINGER", 6).failed);
	child = read_all("child", &n);
	snprintf(path, sizeof path, "/proc/%d/cmdline", atoi(child));
	free(child);
	/* killed is killed, but the system may need a moment; a zombie has an empty line */
	for (int i = 0; i < 100 && !gone; i++) {
		FILE *f = fopen(path, "r");
		gone = !f || fgetc(f) == EOF;
		if (f)
			fclose(f);
		usleep(20000);
	}
	assert_true(gone);
	assert_true(ask_text(&spec, "x") != first);
	verifier_close(&spec);
	no_child_is_left();
}

static void a_late_answer_is_told_with_the_time_that_it_had(void **state)
{
	(void)state;
	struct verifier_options o = with("./obedient");
	struct reward_spec      spec;
	char                    why[PROGRAM_WHY_MAX];

	o.command.timeout = 0.25;
	o.command.startup = 0.5;
	open_spec(&spec, &o);
	assert_true(ask(&spec, "WAIT", 4).failed);
	program_failures(spec.command, why);
	if (!strstr(why, "gave no reply within 0.75 seconds (the first one of a fresh program has "
	                 "command_startup more)"))
		fail_msg("%s", why);
	verifier_close(&spec);
}

static void count_words(void *context, const char *text)
{
	int *n = context;

	assert_non_null(strstr(text, "waiting for the command \"./obedient\": no reply for"));
	(*n)++;
}

static void who_waits_is_told_so(void **state)
{
	(void)state;
	struct verifier_options o = with("./obedient");
	struct reward_spec      spec;
	int                     n = 0;

	o.command.timeout = 0.5;
	o.command.startup = PROGRAM_PATIENCE;
	o.command.say = count_words;
	o.command.say_context = &n;
	open_spec(&spec, &o);
	assert_true(ask(&spec, "WAIT", 4).failed);
	assert_int_equal(n, 1);
	verifier_close(&spec);
}

/* It was well once, so the rule of four tries does not hold. */
static void a_program_that_hangs_for_good_is_given_up(void **state)
{
	(void)state;
	struct verifier_options o = with("sh hangs.sh");
	struct reward_spec      spec;
	char                    why[PROGRAM_WHY_MAX], *starts;
	int                     alive = 0;
	size_t                  n;

	write_text("hangs.sh", "echo x >> hung\nread a\n[ -e hang ] && sleep 600\ntouch hang\necho "
	                       "'{\"reward\": 1}'\nread a\nsleep 600\n");
	o.command.timeout = 0.1;
	o.command.startup = 0.4;
	/* a slow machine may take longer to start a shell */
	for (int i = 0; i < 50 && !alive; i++) {
		shell("rm -f hang hung");
		open_spec(&spec, &o);
		alive = !ask(&spec, "x", 1).failed;
		if (!alive)
			verifier_close(&spec);
	}
	assert_true(alive);
	for (int i = 0; i < PROGRAM_LATE + 5; i++)
		assert_true(ask(&spec, "x", 1).failed);
	program_failures(spec.command, why);
	assert_non_null(strstr(why, "gave no reply within"));
	starts = read_all("hung", &n);
	assert_int_equal(n, 2 * PROGRAM_LATE);
	free(starts);
	verifier_close(&spec);
	no_child_is_left();
}

/* It dies after every second answer, as programs do that leak. */
static void state_that_an_earlier_answer_left_behind_decides_nothing(void **state)
{
	(void)state;
	struct verifier_options o = with("sh twice.sh");
	struct reward_spec      spec;
	char                    why[PROGRAM_WHY_MAX];

	write_text("twice.sh",
	           "read a; echo '{\"reward\": 1}'; read a; echo '{\"reward\": 1}'; read a\n");
	open_spec(&spec, &o);
	for (int i = 0; i < 7; i++)
		assert_close(ask_text(&spec, "x"), 1, 0);
	assert_int_equal(program_failures(spec.command, why), 0);
	verifier_close(&spec);
	no_child_is_left();
}

static void a_program_that_was_killed_between_two_answers_is_replaced_unnoticed(void **state)
{
	(void)state;
	struct verifier_options o = with("./obedient");
	struct reward_spec      spec;
	char                    why[PROGRAM_WHY_MAX];
	double                  first;

	open_spec(&spec, &o);
	first = ask_text(&spec, "x");
	assert_int_equal(kill((pid_t)first, SIGKILL), 0);
	assert_true(ask_text(&spec, "x") != first);
	assert_int_equal(program_failures(spec.command, why), 0);
	verifier_close(&spec);
	no_child_is_left();
}

static void a_broken_program_is_soon_not_asked_any_more(void **state)
{
	(void)state;
	struct verifier_options o = with("sh -c 'echo x >> starts; exit 1'");
	struct reward_spec      spec;
	char                    why[PROGRAM_WHY_MAX], *starts;
	size_t                  n;

	open_spec(&spec, &o);
	for (int i = 0; i < 20; i++)
		assert_true(ask(&spec, "x", 1).failed);
	starts = read_all("starts", &n);
	assert_int_equal(n, 2 * PROGRAM_TRIES);
	free(starts);
	assert_int_equal(program_failures(spec.command, why), PROGRAM_TRIES);
	verifier_close(&spec);
}

static void any_bytes_reach_the_program_as_one_line_of_text(void **state)
{
	(void)state;
	enum { N = 300000 };
	struct verifier_options o = with("./obedient");
	struct reward_spec      spec;
	char                   *text = malloc(N);
	double                  length;

	open_spec(&spec, &o);
	memset(text, 'x', N);
	memcpy(text, "LENGTH", 6);
	length = ask(&spec, text, N).reward; /* more than a pipe holds */
	assert_true(length > N && length < N + 200);
	memset(text + 6, '\n', N - 6);
	/* \n */
	assert_close(ask(&spec, text, N).reward, length + N - 6, 0);
	/* \u0000, U+FFFD, \n */
	assert_close(ask(&spec, "LENGTH\0\xff\n", 9).reward, length - N + 6 + 6 + 3 + 2, 3);
	verifier_close(&spec);
	free(text);
}

static void the_question_holds_the_row_and_the_completion_once(void **state)
{
	(void)state;
	struct verifier_options o = with("sh keep.sh");
	struct reward_spec      spec;
	json_t                 *question;
	char                   *line;
	size_t                  n;

	write_text("keep.sh", "while IFS= read -r line; do printf '%s\\n' \"$line\" > question; "
	                      "echo '{\"reward\": 1}'; done\n");
	open_spec(&spec, &o);
	ask_text(&spec, "the text");
	verifier_close(&spec);
	line = read_all("question", &n);
	assert_ok(json_parse("question", line, n - 1, &question));
	assert_string_equal(json_string_value(json_object_get(question, "completion")), "the text");
	assert_string_equal(json_string_value(json_object_get(question, "id")), "p");
	assert_string_equal(json_string_value(json_object_get(question, "prompt")), "q");
	assert_string_equal(json_string_value(json_object_get(question, "answer")), "a");
	assert_true(json_is_true(json_object_get(question, "finished")));
	assert_int_equal(json_integer_value(json_object_get(question, "tokens")), 3);
	json_decref(question);
	free(line);
}

static void threads_share_the_programs(void **state)
{
	(void)state;
	enum { N = 60 };
	struct verifier_options o = with("./obedient");
	struct reward_spec      spec;
	struct score            s[N];

	o.command.workers = 3;
	open_spec(&spec, &o);
#pragma omp parallel for schedule(dynamic, 1) num_threads(6)
	for (int i = 0; i < N; i++) {
		const char *text = i % 10 == 3 ? "CRASH" : i % 2 ? "HALF" : "UNPARSED";
		s[i] = ask(&spec, text, strlen(text));
	}
	for (int i = 0; i < N; i++) {
		assert_int_equal(s[i].failed, i % 10 == 3);
		if (!s[i].failed)
			assert_close(s[i].reward, i % 2 ? 5 : 0, 0);
	}
	verifier_close(&spec);
	no_child_is_left();
}

static void a_command_that_cannot_be_run_is_refused_at_once(void **state)
{
	(void)state;
	static const struct {
		const char *line, *message;
	} cases[] = {{"", "needs the program to run"},
	             {"  ", "the command is empty"},
	             {"no-such-program-here --x", "\"no-such-program-here\" is not in PATH"},
	             {"./missing", "\"./missing\" does not exist"},
	             {"./plain", "is not executable"},
	             {"sh -c 'open", "a quote that does not end"}};
	const char        *name = "command";
	struct reward_spec spec;

	write_text("plain", "text");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct verifier_options o = with(cases[i].line);
		assert_error(verifier_open(&spec, &name, NULL, 1, &o), ERR_INPUT, cases[i].message);
	}
}

/* ---- in the commands of hone ---- */

static const char config[] =
        "model:\n"
        "  tokenizer: 'chars:abcd='\n"
        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 16}\n"
        "data: {train: train.jsonl, eval: train.jsonl}\n"
        "task: {reward: command, verifier: {command: 'sh judge.sh'}}\n"
        "loss: {beta: 0}\n"
        "rollout: {num_generations: 8, prompts_per_step: 4, max_completion_length: 3}\n"
        "optim: {learning_rate: 1e-2}\n"
        "run: {max_steps: 4, save_steps: 2, eval_steps: 0, seed: 1, tensorboard: false}\n";

/* Right is what begins with an a. Nothing can be said about what has a d in it. */
static const char judge[] = "while IFS= read -r line; do\n"
                            "  echo x >> asked\n"
                            "  text=${line#*'\"completion\": \"'}; text=${text%%'\"'*}\n"
                            "  case \"$text\" in *d*) echo oops;; a*) echo '{\"reward\": 1}';; *) "
                            "echo '{\"reward\": 0}';; esac\n"
                            "done\n";

static double metric(const char *folder, const char *name)
{
	char   path[64], *text, *line;
	size_t n;
	double sum = 0;
	int    found = 0;

	snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
	text = read_all(path, &n);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *row = json_loads(line, 0, NULL), *v = json_object_get(row, name);
		if (json_is_number(v)) {
			sum += json_number_value(v);
			found = 1;
		}
		json_decref(row);
	}
	free(text);
	assert_true(found);
	return sum;
}

static int lines_of(const char *path)
{
	size_t n;
	char  *text = read_all(path, &n);
	int    lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	free(text);
	return lines;
}

static void a_run_counts_answers_without_verdict_and_leaves_them_out(void **state)
{
	(void)state;
	double failed;

	shell("rm -f asked");
	assert_int_equal(hone("train command.yaml run.output_dir=whole compute.threads=3 "
	                      "task.verifier.command_workers=2"),
	                 0);
	failed = metric("whole", "reward/command_errors");
	assert_true(failed > 0 && failed < 4 * 32);
	assert_close(metric("whole", "reward_invalid"), failed, 0);
	/* once each, for reward and accuracy; twice where the program then was replaced */
	assert_true(lines_of("asked") >= 4 * 32);
	assert_true(lines_of("asked") <= 4 * 32 + (int)failed);
	shell("grep -q 'completions got no verdict: the command \"sh judge.sh\": its reply' "
	      "stdout stderr");
}

static void a_resumed_run_is_the_uninterrupted_one(void **state)
{
	(void)state;
	assert_int_equal(
	        hone("train command.yaml run.output_dir=parts compute.threads=1 run.max_steps=2"),
	        0);
	assert_int_equal(hone("train command.yaml run.output_dir=parts compute.threads=1 "
	                      "run.max_steps=4 --resume"),
	                 0);
	shell("cmp whole/checkpoint-4/model.safetensors parts/checkpoint-4/model.safetensors");
}

static void stop_and_zero_do_what_they_say(void **state)
{
	(void)state;
	assert_int_equal(
	        hone("train command.yaml run.output_dir=stop task.verifier.command_on_error=stop"),
	        1);
	shell("grep -q 'completions got no verdict: the command' stderr");
	assert_int_equal(
	        hone("train command.yaml run.output_dir=zero task.verifier.command_on_error=zero"),
	        0);
	assert_close(metric("zero", "reward_invalid"), 0, 0);
	assert_true(metric("zero", "reward/command_errors") > 0);
}

static void a_run_without_any_verdict_ends(void **state)
{
	(void)state;
	assert_int_equal(hone("train command.yaml run.output_dir=none task.verifier.command='sh -c "
	                      "\"echo hopeless >&2; exit 7\"'"),
	                 1);
	shell("grep -q '32 of 32 completions got no verdict' stderr && grep -q 'status 7' stderr "
	      "&& grep -q none/verifier.log stderr");
	shell("grep -q hopeless none/verifier.log");
	assert_int_equal(
	        hone("train command.yaml run.output_dir=lost task.verifier.command=./lost"), 2);
	shell("grep -q '\"./lost\" does not exist' stderr");
	assert_int_equal(hone("train command.yaml run.output_dir=tokens task.token_rewards=true"),
	                 2);
	shell("grep -q 'every beginning of every completion' stderr");
}

static void score_and_eval_ask_the_program_too(void **state)
{
	(void)state;
	write_text("rows.jsonl", "{\"completion\": \"ab\", \"answer\": \"a\"}\n{\"completion\": "
	                         "\"d\"}\n{\"completion\": \"b\"}\n");
	assert_int_equal(hone("score --task command --command 'sh judge.sh' < rows.jsonl"), 2);
	shell("grep -c '\"reward\": 1,' stdout | grep -q 1 && grep -q '\"line\": 2, \"error\": "
	      "\"line 2: the command' stdout && grep -q "
	      "'\"reward\": 0,' stdout");
	assert_int_equal(hone("score --task command < rows.jsonl"), 2);
	assert_int_equal(hone("eval whole --data train.jsonl --task command --command 'sh "
	                      "judge.sh' --max-tokens 3 --samples 2 --output "
	                      "scores.json"),
	                 0);
	shell("grep -q '\"unjudged\": [1-9]' scores.json && grep -q 'problems left out: the "
	      "command had no verdict' stderr");
}

static void write_files(void)
{
	FILE *f = fopen("train.jsonl", "w");

	for (int i = 0; i < 16; i++)
		fprintf(f, "{\"prompt\": \"%c%c=\", \"answer\": \"a\"}\n", "abcd"[i % 4],
		        "abcd"[i / 4]);
	fclose(f);
	write_text("obedient", obedient);
	chmod("obedient", 0755);
	write_text("judge.sh", judge);
	write_text("command.yaml", config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(one_program_answers_as_long_as_it_behaves),
	        TEST(short_memory_is_neither_a_verdict_nor_a_failure_of_the_program),
	        TEST(what_is_no_answer_is_no_verdict_and_the_next_one_gets_a_new_program),
	        TEST(messages_say_what_happened_and_where_the_program_spoke),
	        TEST(an_answer_that_takes_too_long_is_given_up_with_all_that_was_started),
	        TEST(a_reward_is_a_number_within_bounds_or_no_verdict),
	        TEST(a_late_answer_is_told_with_the_time_that_it_had),
	        TEST(who_waits_is_told_so),
	        TEST(a_program_that_hangs_for_good_is_given_up),
	        TEST(state_that_an_earlier_answer_left_behind_decides_nothing),
	        TEST(a_program_that_was_killed_between_two_answers_is_replaced_unnoticed),
	        TEST(a_broken_program_is_soon_not_asked_any_more),
	        TEST(any_bytes_reach_the_program_as_one_line_of_text),
	        TEST(the_question_holds_the_row_and_the_completion_once),
	        TEST(threads_share_the_programs),
	        TEST(a_command_that_cannot_be_run_is_refused_at_once),
	        TEST(a_run_counts_answers_without_verdict_and_leaves_them_out),
	        TEST(a_resumed_run_is_the_uninterrupted_one),
	        TEST(stop_and_zero_do_what_they_say),
	        TEST(a_run_without_any_verdict_ends),
	        TEST(score_and_eval_ask_the_program_too)};

	run_in_temporary_folder();
	write_files();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
