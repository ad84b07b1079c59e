/* A user's program as the environment of problems: what it says stands in the completions, nothing
 * that it does changes a bit of a run, and its failures cost the verdict of one episode. */
#include "run.h"

/* Tells how many actions there were and how long the line of them is. An action with a 1 in it
 * wins; the later, the less. Asked twice for the same it says the same. With a file "crash" there
 * it removes that and ends, with "deaf" it says that it has no verdict where it would end. */
static const char world[] =
        "while IFS= read -r line; do\n"
        "  if [ -e crash ]; then rm -f crash; exit 3; fi\n"
        "  actions=${line#*'\"actions\": ['}; actions=${actions%%']'*}\n"
        "  turn=${line#*'\"turn\": '}; turn=${turn%%,*}\n"
        "  case ${actions##*', '} in\n"
        "    *1*) if [ -e deaf ]; then echo '{\"error\": \"deaf\"}'; else\n"
        "         echo \"{\\\"observation\\\": \\\"ab\\\", \\\"done\\\": true, \\\"reward\\\": "
        "$((4 - turn)).5, \\\"right\\\": true}\"; fi;;\n"
        "    *) echo \"{\\\"observation\\\": \\\":$turn+${#actions}\\\", \\\"reward\\\": "
        "0.$turn}\";;\n"
        "  esac\n"
        "done\n";

static const char config[] =
        "model:\n"
        "  tokenizer: \"chars:0123456789,:+=\\n\"\n"
        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 96}\n"
        "data:\n"
        "  generate: [{name: sequence, levels: 1-2, count: 30}]\n"
        "  eval_generate: [{name: sequence, levels: 1, count: 24, first: 1000}]\n"
        "task: {reward: environment, environment: {command: sh world.sh, turns: 4, template: "
        "\"{observation}=\"}}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 60}\n"
        "optim: {learning_rate: 1e-2}\n"
        "run: {max_steps: 6, save_steps: 2, save_total_limit: 0, eval_steps: 3, eval_samples: 8, "
        "save_samples: "
        "100000, tensorboard: false}\n";

static void train(const char *folder, const char *settings)
{
	hone_ok("train world.yaml run.output_dir=%s %s", folder, settings);
}

static void assert_same(const char *a, const char *b)
{
	char *x = metrics_without_times(a), *y = metrics_without_times(b);

	for (size_t i = 0; x[i] || y[i]; i++)
		if (x[i] != y[i])
			fail_msg("%s and %s differ: %.80s, %.80s", a, b, x + i, y + i);
	free(x);
	free(y);
	assert_true(same_bytes(in_folder(a, "checkpoint-6/model.safetensors"),
	                       in_folder(b, "checkpoint-6/model.safetensors")));
	assert_true(same_bytes(in_folder(a, "checkpoint-6/optimizer.safetensors"),
	                       in_folder(b, "checkpoint-6/optimizer.safetensors")));
}

static double metric(const char *folder, int step, const char *name)
{
	char  *text = metrics_without_times(folder);
	double value = -1;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *o = json_loads(line, 0, NULL);
		if (json_integer_value(json_object_get(o, "step")) == step &&
		    json_object_get(o, name))
			value = json_number_value(json_object_get(o, name));
		json_decref(o);
	}
	free(text);
	return value;
}

/* ---- what a completion is ---- */

/* Plays the text of a sample again, by the rules of the world above, and returns how many
 * observations it has; *reward is what is due. */
static int play_again(const char *text, int ended, double *reward)
{
	const char *at = text, *end;
	int         turn = 0, observations = 0;
	size_t      actions = 0;

	*reward = 0;
	while (turn < 4 && (*at || ended)) { /* an end token alone is an action, too */
		char seen[64];
		end = strchr(at, '\n');
		if (!end && !ended) /* cut off in the middle of an action */
			return observations;
		end = end ? end : at + strlen(at);
		turn++;
		actions += (size_t)(end - at) + 2 + (turn > 1 ? 2 : 0);
		if (memchr(at, '1', (size_t)(end - at))) {
			*reward = 4 - turn + 0.5;
			/* nothing is put in when all is done */
			assert_true(!*end || !strcmp(end, "\n"));
			return observations;
		}
		*reward = turn / 10.0;
		snprintf(seen, sizeof seen, ":%d+%zu=", turn, actions);
		at = end + (*end != 0);
		if (strncmp(at, seen, strlen(seen)) != 0) { /* no room, or the last turn */
			assert_string_equal(at, "");
			return observations;
		}
		at += strlen(seen);
		observations++;
	}
	return observations;
}

static void what_the_program_says_stands_in_the_completion(void **state)
{
	(void)state;
	int    n = 0, observations = 0, won = 0;
	char  *text, *line, *rest;
	size_t size;

	train("said", "");
	shell("zcat said/samples/step-6.jsonl.gz > samples");
	text = read_all("samples", &size);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		json_t *o = json_loads(line, 0, NULL);
		double  reward;
		observations += play_again(
		        json_string_value(json_object_get(o, "completion")),
		        !strcmp(json_string_value(json_object_get(o, "stop")), "stop"), &reward);
		assert_close(json_number_value(json_object_get(o, "reward")), reward, 1e-9);
		won += reward > 0.49;
		n++;
		json_decref(o);
	}
	free(text);
	assert_true(n >= 16 && observations > n / 2 && won > 0);
	for (int step = 1; step <= 6; step++) {
		assert_true(metric("said", step, "sampling/sampling_logp_difference/max") == 0);
		assert_true(metric("said", step, "completions/mean_turns") > 1);
		assert_true(metric("said", step, "completions/generated_ratio") < 1);
		assert_true(metric("said", step, "reward/command_errors") == 0);
	}
	assert_true(metric("said", 6, "eval/pass@1") > 0);
	hone_ok("eval said --allow-command");
}

/* ---- bits ---- */

static void nothing_about_the_program_changes_a_bit(void **state)
{
	(void)state;
	static const char *const settings[] = {"compute.threads=3 rollout.batch_size=1",
	                                       "rollout.batch_size=5 rollout.share_prompt=false",
	                                       "--ranks 2"};

	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		train("varied", settings[i]);
		assert_same("said", "varied");
		shell("rm -r varied");
	}
	/* it ends in the middle of an episode: a fresh one is asked the same */
	for (int i = 0; i < 3; i++) {
		pid_t pid = hone_start("train world.yaml run.output_dir=varied");
		while (!file_exists("varied/metrics.jsonl") ||
		       count_lines("varied/metrics.jsonl") == 0)
			usleep(1000);
		for (int k = 0; k <= i; k++) {
			int lines;
			write_text("crash", "");
			while (file_exists("crash") && count_lines("varied/metrics.jsonl") < 9)
				usleep(1000);
			lines = count_lines("varied/metrics.jsonl");
			/* the fresh one has answered by then: one that ends at its first
			 * question is not replaced */
			while (count_lines("varied/metrics.jsonl") == lines &&
			       count_lines("varied/metrics.jsonl") < 9)
				usleep(1000);
		}
		assert_int_equal(hone_end(pid), 0);
		shell("rm -f crash");
		assert_same("said", "varied");
		shell("rm -r varied");
	}
}

static void a_killed_run_goes_on_with_the_same_bits(void **state)
{
	(void)state;
	for (int lines = 2; lines <= 6; lines += 2) {
		pid_t pid = hone_start("train world.yaml run.output_dir=killed");
		while (!file_exists("killed/metrics.jsonl") ||
		       count_lines("killed/metrics.jsonl") < lines)
			usleep(1000);
		kill(pid, SIGKILL);
		hone_end(pid);
		train("killed", "--resume");
		assert_same("said", "killed");
		shell("rm -r killed");
	}
}

/* ---- failures ---- */

static void an_episode_without_a_verdict_counts_nowhere(void **state)
{
	(void)state;
	double failed, right;

	write_text("deaf", "");
	train("deaf-run", "run.max_steps=2 run.eval_steps=0");
	failed = metric("deaf-run", 1, "reward/command_errors");
	right = metric("deaf-run", 1, "accuracy");
	assert_true(failed >= 1 && failed < 16 && right == 0);
	assert_true(metric("deaf-run", 1, "reward_invalid") == failed);
	train("zero", "run.max_steps=2 run.eval_steps=0 task.verifier.command_on_error=zero");
	assert_true(metric("zero", 1, "reward/command_errors") == failed);
	assert_true(metric("zero", 1, "reward_invalid") == 0);
	assert_int_equal(hone("train world.yaml run.output_dir=stop run.eval_steps=0 "
	                      "task.verifier.command_on_error=stop"),
	                 1);
	assert_says("stderr", "completions got no verdict");
	assert_says("stderr", "it says: deaf");
	shell("rm -rf deaf deaf-run zero stop");
}

/* None of these is an observation; each is told, and the run ends because none has a verdict. */
static void replies_that_are_none_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *reply, *says;
	} cases[] = {{"nonsense", "its reply"},
	             {"[1]", "its reply"},
	             {"{\"observation\": 3}", "observation"},
	             {"{\"observation\": \"a\", \"done\": \"yes\"}", "done"},
	             {"{\"reward\": null}", "null"},
	             {"{\"reward\": 1e300}", "beyond"},
	             {"{\"observation\": \"\\u0000\"}", "its reply"}};
	char script[300];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(script, sizeof script,
		         "while read -r line; do printf '%%s\\n' '%s'; done\n", cases[i].reply);
		write_text("bad.sh", script);
		assert_int_equal(hone("train world.yaml run.output_dir=bad run.eval_steps=0 "
		                      "run.max_steps=1 "
		                      "task.verifier.command_on_error=stop "
		                      "'task.environment.command=sh bad.sh'"),
		                 1);
		assert_says("stderr", cases[i].says);
		shell("rm -rf bad");
	}
	/* too long for the completion: the episode is cut off, as a completion is */
	write_text("bad.sh", "while read -r line; do head -c 100000 /dev/zero | tr '\\0' 1 | sed "
	                     "'s/.*/{\"observation\": \"&\"}/'; echo; done\n");
	hone_ok("train world.yaml run.output_dir=bad run.eval_steps=0 run.max_steps=1 "
	        "'task.environment.command=sh bad.sh'");
	assert_true(metric("bad", 1, "completions/clipped_ratio") > 0.3);
	shell("rm -rf bad");
}

static void settings_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *line, *says;
	} cases[] = {
	        {"train world.yaml task.environment.template=x", "without {observation}"},
	        {"train world.yaml task.token_rewards=true", "task.token_rewards"},
	        {"train world.yaml 'task.environment.command=no-such-program x'", "not in PATH"},
	        {"train far.yaml", "Give --allow-command"},
	        {"train plain.yaml task.environment.turns=3", "task.environment.command"}};

	write_text("far.yaml", "extends: world.yaml\n");
	write_text("plain.yaml", "data: {generate: [{name: sequence}]}\ntask: {reward: "
	                         "sequence}\n");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(hone("%s run.output_dir=refused", cases[i].line), 2);
		assert_says("stderr", cases[i].says);
		assert_false(file_exists("refused/metrics.jsonl"));
	}
	hone_ok("train far.yaml --allow-command run.output_dir=refused run.max_steps=1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_the_program_says_stands_in_the_completion),
	        TEST(nothing_about_the_program_changes_a_bit),
	        TEST(a_killed_run_goes_on_with_the_same_bits),
	        TEST(an_episode_without_a_verdict_counts_nowhere),
	        TEST(replies_that_are_none_are_refused),
	        TEST(settings_that_make_no_sense_are_refused),
	};

	run_in_temporary_folder();
	write_text("world.yaml", config);
	write_text("world.sh", world);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
