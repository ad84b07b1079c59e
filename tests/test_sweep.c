/* Sweeps: what a file expands to, what is refused, and that no death changes a result. */
#include "run.h"

#include "rl/job_config.h"
#include "run/sweep.h"

static char script[PATH_MAX];

static const char base[] =
        "model: {path: x}\n"
        "data: {generate: [{name: sequence, levels: 1-3, count: 40}],\n"
        "       eval_generate: [{name: sequence, levels: 2, count: 5, first: 1000}]}\n"
        "task: {reward: sequence}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-2}\n"
        "run: {max_steps: 12, save_steps: 2, eval_steps: 4, tensorboard: false}\n";
static const char warm[] = "model:\n"
                           "  tokenizer: chars\n"
                           "  init: {width: 16, n_layers: 2, n_heads: 2, n_kv_heads: 1, "
                           "head_width: 8, ff_width: 24, n_positions: 32}\n"
                           "data: {generate: [{name: sequence, levels: 1-3, count: 40}]}\n"
                           "task: {reward: sequence}\n"
                           "rollout: {max_completion_length: 6}\n"
                           "sft: {batch_size: 8}\n"
                           "run: {max_steps: 4, save_steps: 2, tensorboard: false}\n";

static void read_sweep(const char *text, struct sweep *s)
{
	write_text("s.yaml", text);
	assert_ok(sweep_read(&job_schema, "s.yaml", s));
}

static int has(const struct sweep_run *run, const char *setting)
{
	for (int i = 0; i < run->n; i++)
		if (!strcmp(run->overrides[i], setting))
			return 1;
	return 0;
}

/* ---- the file ---- */

static void arms_times_grid_times_seeds(void **state)
{
	(void)state;
	struct sweep s;

	read_sweep("base: base.yaml\noutput_dir: out\nseeds: 3-4\nset: {run.max_steps: 7}\n"
	           "arms: [{name: a}, {name: b, set: {algorithm: rloo}}]\n"
	           "grid: {optim.learning_rate: [1e-3, 1e-2], loss.epsilon: [0.1, 0.2, 0.3]}\n",
	           &s);
	assert_int_equal(s.n, 2 * 6 * 2);
	assert_int_equal(s.n_before, 0);
	assert_string_equal(s.runs[0].name, "a,learning_rate=1e-3,epsilon=0.1/seed-3");
	assert_string_equal(s.runs[0].folder, "out/a,learning_rate=1e-3,epsilon=0.1/seed-3");
	assert_string_equal(s.runs[11].name, "b,learning_rate=1e-2,epsilon=0.3/seed-3");
	assert_string_equal(s.runs[12].name, "a,learning_rate=1e-3,epsilon=0.1/seed-4");
	assert_true(has(&s.runs[11], "algorithm=rloo") &&
	            has(&s.runs[11], "optim.learning_rate=1e-2"));
	assert_true(has(&s.runs[11], "loss.epsilon=0.3") && has(&s.runs[11], "run.seed=3") &&
	            has(&s.runs[11], "run.max_steps=7"));
	assert_int_equal(s.runs[11].max_steps, 7);
	assert_string_equal(s.runs[11].config, "base.yaml");
	assert_int_equal(sweep_state_of(&s.runs[0]), SWEEP_MISSING);
	sweep_free(&s);
}

static void what_comes_before_gives_the_model_to_what_follows(void **state)
{
	(void)state;
	struct sweep s;

	read_sweep("base: base.yaml\noutput_dir: out\nseeds: [5, 0-1]\n"
	           "before:\n  - {name: one, base: warm.yaml, set: {run.max_steps: 3}}\n  - {name: "
	           "two, command: train, base: base.yaml}\n"
	           "arms: [{name: a, set: {rollout.stop: ['a b', \"x\"], task.rewards: [{name: "
	           "format, weight: 0.5}], task.reward: '',\n"
	           "                       task.verifier.pattern: '{output_dir}/x: y'}}]\n",
	           &s);
	assert_int_equal(s.n_before, 2);
	assert_string_equal(s.before[0].folder, "out/one");
	assert_string_equal(s.before[0].command, "sft");
	assert_int_equal(s.before[0].max_steps, 3);
	assert_true(has(&s.before[1], "model.path=out/one"));
	assert_int_equal(s.n, 3);
	assert_true(has(&s.runs[0], "model.path=out/two") && has(&s.runs[0], "run.seed=5") &&
	            has(&s.runs[2], "run.seed=1"));
	assert_true(has(&s.runs[0], "rollout.stop=[\"a b\", \"x\"]"));
	assert_true(has(&s.runs[0], "task.rewards=[{\"name\": format, \"weight\": 0.5}]"));
	assert_true(has(&s.runs[0], "task.verifier.pattern=out/x: y"));
	sweep_free(&s);
}

static void with_each_seed_a_step_is_drawn_anew_for_each_seed(void **state)
{
	(void)state;
	struct sweep s;

	read_sweep("base: base.yaml\noutput_dir: out\nseeds: [4, 7]\n"
	           "before:\n  - {name: one, base: warm.yaml}\n"
	           "  - {name: warm, base: base.yaml, each_seed: true, set: {run.max_steps: 3, "
	           "rollout.stop: ['a{seed}b{seed}', '{seed}']}}\n"
	           "  - {name: data, command: rollouts, base: base.yaml, each_seed: true}\n"
	           "set: {rollout.source: '{output_dir}/data/seed-{seed}.jsonl.gz'}\n"
	           "arms: [{name: a}]\n",
	           &s);
	assert_int_equal(s.n_before, 5);
	assert_string_equal(s.before[0].name, "one");
	assert_string_equal(s.before[2].name, "warm/seed-7");
	assert_string_equal(s.before[2].folder, "out/warm/seed-7");
	assert_int_equal(s.before[2].max_steps, 3);
	assert_true(has(&s.before[2], "run.seed=7") && has(&s.before[2], "model.path=out/one"));
	assert_true(has(&s.before[2], "rollout.stop=[\"a7b7\", 7]"));
	assert_true(has(&s.before[3], "run.seed=4") &&
	            has(&s.before[3], "model.path=out/warm/seed-4"));
	assert_int_equal(s.n, 2);
	assert_true(has(&s.runs[1], "model.path=out/warm/seed-7") &&
	            has(&s.runs[1], "rollout.source=out/data/seed-7.jsonl.gz"));
	assert_true(has(&s.runs[1], "run.seed=7"));
	assert_int_equal(sweep_state_of(&s.before[4]), SWEEP_MISSING);
	sweep_free(&s);
}

static void a_sweep_without_arms_is_its_base(void **state)
{
	(void)state;
	struct sweep s;

	read_sweep("base: base.yaml\noutput_dir: out\n", &s);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.runs[0].name, "base/seed-0");
	sweep_free(&s);
}

static void mistakes_are_named_with_file_line_and_key(void **state)
{
	(void)state;
#define HEAD "base: base.yaml\noutput_dir: out\n"
	static const struct {
		const char *text, *says;
	} cases[] = {
	        {HEAD "seed: 1\n", "s.yaml:3: seed is not a key of a sweep"},
	        {HEAD "grid: {loss.epsilom: [1]}\n",
	         "s.yaml:3: loss.epsilom is not an option; did you mean loss.epsilon?"},
	        {HEAD "grid: {loss.epsilon: 0.1}\n", "s.yaml:3: grid: loss.epsilon must be a list"},
	        {HEAD "grid: [loss.epsilon]\n", "s.yaml:3: grid is a list"},
	        {HEAD "grid: {loss.epsilon: [0.1, 0.1]}\n", "two arms are called epsilon=0.1"},
	        {HEAD "grid: {loss.epsilon: [0.1, 7]}\n", "loss.epsilon is 7, outside"},
	        {HEAD "arms:\n  - {name: a}\n  - {name: b, sett: {}}\n",
	         "s.yaml:5: sett is not a key of an arm; there are name, base, set"},
	        {HEAD "arms: [{name: a, set: {run.seed: 1}}]\n",
	         "run.seed is given by the sweep itself"},
	        {HEAD "arms: [{name: a, set: {algorithm: ppo2}}]\n",
	         "a/seed-0: command line: algorithm is ppo2"},
	        {HEAD "arms: [{name: a}, {name: a}]\n", "two arms are called a"},
	        {HEAD "arms: [{name: a/b}]\n", "the name a/b becomes a folder"},
	        {HEAD "arms: [{set: {}}]\n", "an arm needs a name"},
	        {HEAD "arms: {name: a}\n", "arms must be a list"},
	        {HEAD "seeds: x\n", "s.yaml:3: seeds must be whole numbers"},
	        {HEAD "seeds: -1\n", "a seed is missing"},
	        {HEAD "seeds: [1, 0-2]\n", "seed 1 stands here for the second time"},
	        {HEAD "seeds: 4-2\n", "end before they begin"},
	        {HEAD "seeds: 0-99999\n", "more than 1000 seeds"},
	        {HEAD "before: {base: warm.yaml, command: eval}\n",
	         "command is eval, but must be sft, train or rollouts"},
	        {HEAD "before: nothere.yaml\n", "nothere.yaml"},
	        {HEAD "before: {base: warm.yaml, each_seed: maybe}\n",
	         "s.yaml:3: each_seed must be true or false"},
	        {HEAD "before: {base: warm.yaml, set: {task.verifier.pattern: '{seed}'}}\n",
	         "{seed} needs each_seed: true"},
	        {HEAD "before:\n  - {name: a, base: warm.yaml, each_seed: true}\n  - {name: b, "
	              "base: warm.yaml}\n",
	         "s.yaml:5: the step b follows a, of which each seed has its own"},
	        {HEAD "before: {name: a, base: warm.yaml}\narms: [{name: a}]\n",
	         "an arm and a step before are called a"},
	        {HEAD "set: {task.reward: \"a\\tb\"}\n", "no tabs"},
	        {"base: base.yaml\noutput_dir: \"out\\nrun\\tmissing\\tx\\ty\\tmerge\"\n",
	         "s.yaml:2: output_dir: a text of a sweep has no tabs"},
	        {"base: \"base.yaml\\n\"\noutput_dir: out\n",
	         "s.yaml:1: base: a text of a sweep has no tabs"},
	        {HEAD "before: \"warm\\t.yaml\"\n",
	         "s.yaml:3: before: a text of a sweep has no tabs"},
	        {"base: base.yaml\noutput_dir: a{output_dir}\nset: {rollout.source: "
	         "'{output_dir}'}\n",
	         "s.yaml:2: output_dir is what {output_dir} stands for"},
	        {"base: base.yaml\n", "a sweep needs an output_dir"},
	        {"output_dir: out\n", "a sweep needs a base"},
	        {"output_dir: out\narms: [{name: a}]\n",
	         "neither the sweep nor the arm a names a base"},
	        {"- a\n", "the file holds a list"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sweep s;
		write_text("s.yaml", cases[i].text);
		assert_error(sweep_read(&job_schema, "s.yaml", &s), ERR_INPUT, cases[i].says);
	}
	assert_int_equal(hone("sweep s.yaml"), 2);
	assert_false(file_exists("out"));
}

/* The file is `before`, `part` n times, and `after`. */
static void assert_refused(const char *before, const char *part, int n, const char *after,
                           const char *says)
{
	struct text  file = {0};
	struct sweep s;

	text_print(&file, "%s", before);
	for (int i = 0; i < n; i++)
		text_print(&file, "%s", part);
	text_print(&file, "%s", after);
	write_text("s.yaml", file.data);
	assert_error(sweep_read(&job_schema, "s.yaml", &s), ERR_INPUT, says);
	text_free(&file);
}

/* A file of a megabyte could ask for gigabytes: in each value the folder many times over, for each
 * combination a name as long as the file. */
static void what_a_file_expands_to_is_bounded(void **state)
{
	(void)state;
	assert_refused("base: base.yaml\noutput_dir: ", "x", 2049, "\n",
	               "s.yaml:2: output_dir has more than 2048 bytes");
	assert_refused(HEAD "set: {rollout.source: '", "{output_dir}", 40000, "'}\n",
	               "rollout.source: a value of a sweep has at most 65536 bytes");
	assert_refused(HEAD "grid: {rollout.source: [", "x", 300, "]}\n",
	               "a name becomes a folder and has at most 200 bytes, not 307");
	assert_refused(HEAD "arms: [{name: ", "x", 201, "}]\n",
	               "a name becomes a folder and has at most 200 bytes, not 201");
}

static void a_lack_of_memory_is_an_error_and_leaks_nothing(void **state)
{
	(void)state;
	struct sweep s;
	int          failures = 0, status = ERR_INPUT;

	write_text("s.yaml", HEAD "before: warm.yaml\nseeds: 0-1\narms: [{name: a, set: "
	                          "{rollout.stop: [a]}}]\ngrid: {loss.epsilon: [0.1]}\n");
	for (long n = 1; n < 1000 && status != OK; n++) {
		mem_fail_at(n);
		status = sweep_read(&job_schema, "s.yaml", &s);
		mem_fail_at(0);
		assert_true(status == OK || status == ERR_MEMORY);
		failures += status != OK;
	}
	assert_int_equal(status, OK);
	assert_true(failures > 2);
	sweep_free(&s);
}

/* ---- the script ---- */

static const char sweep_text[] =
        "base: base.yaml\noutput_dir: %s\nseeds: 0-1\nbefore: warm.yaml\n"
        "arms: [{name: grpo}, {name: control, set: {task.permute_rewards: true}}]\n";

static void write_sweep(const char *path, const char *folder)
{
	char text[1024];

	snprintf(text, sizeof text, sweep_text, folder);
	write_text(path, text);
}

/* In a process group of its own, so that a signal can reach all that it started. */
static pid_t start_script(const char *arguments)
{
	char  line[3 * PATH_MAX];
	pid_t pid;

	snprintf(line, sizeof line, "HONE='%s' exec '%s' %s", run_program, script, arguments);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setpgid(0, 0);
		run_shell(line);
	}
	setpgid(pid, pid);
	return pid;
}

static int run_script(const char *arguments)
{
	return hone_end(start_script(arguments));
}

static void assert_same_sweep(const char *a, const char *b)
{
	static const char *const runs[] = {"grpo/seed-0", "grpo/seed-1", "control/seed-0",
	                                   "control/seed-1"};
	char                     x[256], y[256];

	for (int i = 0; i < 4; i++) {
		snprintf(x, sizeof x, "%s/%s/checkpoint-12/model.safetensors", a, runs[i]);
		snprintf(y, sizeof y, "%s/%s/checkpoint-12/model.safetensors", b, runs[i]);
		assert_true(same_bytes(x, y));
		snprintf(x, sizeof x, "%s/%s/checkpoint-12/optimizer.safetensors", a, runs[i]);
		snprintf(y, sizeof y, "%s/%s/checkpoint-12/optimizer.safetensors", b, runs[i]);
		assert_true(same_bytes(x, y));
		snprintf(x, sizeof x, "%s/%s/metrics.jsonl", a, runs[i]);
		snprintf(y, sizeof y, "%s/%s/metrics.jsonl", b, runs[i]);
		assert_int_equal(count_lines(x), count_lines(y));
	}
}

static void it_runs_all_once_and_then_nothing(void **state)
{
	(void)state;
	char  *first, *second;
	size_t n;

	write_sweep("whole.yaml", "whole");
	assert_int_equal(run_script("whole.yaml --dry-run"), 0);
	assert_says("stdout", "missing   control/seed-1");
	assert_false(file_exists("whole"));
	assert_int_equal(run_script("whole.yaml --jobs 2"), 0);
	assert_says("stdout", "grpo/seed-0: starts");
	assert_says("stdout", "| control");
	assert_says("stdout", "Too few seeds");
	first = read_all("whole/summary.json", &n);
	assert_int_equal(run_script("whole.yaml --jobs 3"), 0);
	assert_says("stdout", "grpo/seed-0: finished already");
	assert_false(file_says("stdout", "starts") || file_says("stdout", "resumes"));
	second = read_all("whole/summary.json", &n);
	assert_string_equal(first, second);
	free(first);
	free(second);
	assert_int_equal(run_script("whole.yaml --dry-run"), 0);
	assert_says("stdout", "finished  control/seed-1");
	assert_false(same_bytes("whole/grpo/seed-0/checkpoint-12/model.safetensors",
	                        "whole/control/seed-0/checkpoint-12/model.safetensors"));
}

/* Killed with its hone, or alone: then hone lives on, and the next script waits for it instead of
 * writing beside it. */
static void killed_at_any_time_the_same_command_completes_it_to_the_same_bits(void **state)
{
	(void)state;
	int killed = 0;

	for (int i = 0; i < 6; i++) {
		char  folder[32], path[64], arguments[128];
		pid_t pid;
		snprintf(folder, sizeof folder, "killed-%d", i);
		snprintf(path, sizeof path, "killed-%d.yaml", i);
		snprintf(arguments, sizeof arguments, "%s --jobs %d", path, 1 + i % 2);
		write_sweep(path, folder);
		pid = start_script(arguments);
		usleep((useconds_t)(30000 + 45000 * i));
		if (i % 3 == 2)
			kill(pid, SIGKILL); /* the script alone */
		else
			kill(-pid, SIGKILL); /* and everything that it started */
		killed += hone_end(pid) == 128 + SIGKILL;
		assert_int_equal(run_script(arguments), 0);
		assert_same_sweep("whole", folder);
	}
	assert_true(killed >= 3); /* else the machine was too fast for this test */
}

static void a_run_that_fails_is_named_and_the_others_go_on(void **state)
{
	(void)state;
	write_text("bad.yaml",
	           "base: base.yaml\noutput_dir: bad\nbefore: warm.yaml\n"
	           "arms: [{name: broken, set: {model.path: nowhere}}, {name: good}]\n");
	assert_int_equal(run_script("bad.yaml"), 1);
	assert_says("stdout", "broken/seed-0: exit status 2");
	assert_says("stdout", "nowhere");
	assert_true(file_exists("bad/good/seed-0/checkpoint-12"));
}

static void a_data_set_of_rollouts_is_made_once_and_replayed_by_all(void **state)
{
	(void)state;
	write_text("replay.yaml", "base: base.yaml\noutput_dir: replay\nseeds: 0-1\n"
	                          "before:\n  - {name: warm, base: warm.yaml}\n  - {name: data, "
	                          "command: rollouts, base: base.yaml}\n"
	                          "set: {rollout.source: '{output_dir}/data.jsonl.gz'}\n"
	                          "arms: [{name: topr, set: {algorithm: topr}}, {name: grpo}]\n");
	assert_int_equal(run_script("replay.yaml"), 0);
	assert_true(file_exists("replay/data.jsonl.gz") &&
	            file_exists("replay/topr/seed-1/checkpoint-12"));
	assert_int_equal(run_script("replay.yaml"), 0);
	assert_says("stdout", "data: finished already");
}

/* Five seeds, five warm starts, five data sets; the runs of an arm are one arm all the same. */
static void each_seed_has_its_own_warm_start_and_data(void **state)
{
	(void)state;
	write_text("each.yaml",
	           "base: base.yaml\noutput_dir: each\nseeds: 0-4\n"
	           "before:\n  - {name: warm, base: warm.yaml, each_seed: true, set: "
	           "{data.generate: [{name: sequence, "
	           "levels: 1-3, count: 40, seed: '{seed}'}]}}\n"
	           "  - {name: data, command: rollouts, base: base.yaml, each_seed: true}\n"
	           "set: {rollout.source: '{output_dir}/data/seed-{seed}.jsonl.gz'}\n"
	           "arms: [{name: topr, set: {algorithm: topr}}, {name: grpo}]\n");
	assert_int_equal(run_script("each.yaml --only topr/seed-3"), 0);
	assert_true(file_exists("each/warm/seed-3/checkpoint-4") &&
	            file_exists("each/topr/seed-3/checkpoint-12"));
	assert_false(file_exists("each/warm/seed-2") || file_exists("each/grpo"));
	assert_int_equal(run_script("each.yaml --jobs 2"), 0);
	assert_says("stdout", "warm/seed-3: finished already");
	assert_says("stdout", "data/seed-4: starts");
	assert_says("stdout", "| topr | 5 |");
	assert_says("stdout", "| grpo | 5 |");
	assert_false(same_bytes("each/warm/seed-0/checkpoint-4/model.safetensors",
	                        "each/warm/seed-1/checkpoint-4/model.safetensors"));
	assert_false(same_bytes("each/data/seed-0.jsonl.gz", "each/data/seed-1.jsonl.gz"));
	shell("test $(grep -c '\"a\": \"grpo\", \"b\": \"topr\", .*\"seeds\": 5' "
	      "each/summary.json) -ge 2");
}

static void a_warm_start_that_fails_is_named_before_any_run(void **state)
{
	(void)state;
	write_text("cold.yaml", "base: base.yaml\noutput_dir: cold\nseeds: 0-1\n"
	                        "before:\n  - {name: warm, base: base.yaml, command: train, "
	                        "each_seed: true, set: {model.path: nowhere}}\n");
	assert_int_equal(run_script("cold.yaml"), 1);
	assert_says("stdout", "warm/seed-1: exit status 2");
	assert_false(file_exists("cold/base"));
}

/* ---- Slurm ---- */

/* sbatch runs a job at once, unless one that it waits for failed; srun starts the ranks that are
 * asked for; scontrol notes what went back into the queue. */
static const char fake_sbatch[] =
        "#!/bin/sh\n"
        "after=\n"
        "for word; do case $word in --dependency=*) after=${word##*:};; esac; done\n"
        "id=$(($(ls jobs | wc -l) + 1))\n"
        "if [ -n \"$after\" ] && [ \"$(cat jobs/$after)\" != 0 ]; then echo 9 > jobs/$id\n"
        "else SLURM_JOB_ID=$id sh \"$word\" >> job-output 2>&1; echo $? > jobs/$id; fi\n"
        "echo \"$id $word\" >> order\n"
        "echo \"$id;cluster\"\n";
static const char fake_srun[] =
        "#!/bin/sh\n"
        "while :; do case $1 in --ntasks=*) n=${1#*=};; --*) ;; *) break;; esac; shift; done\n"
        "[ $n = 1 ] || set -- \"$@\" --ranks $n\n"
        "exec \"$@\"\n";

static void write_program(const char *path, const char *text)
{
	write_text(path, text);
	assert_int_equal(chmod(path, 0755), 0);
}

static void with_fake_slurm(void)
{
	char path[2 * PATH_MAX], here[PATH_MAX];

	shell("rm -rf slurm && mkdir -p slurm jobs && rm -f jobs/* order requeued");
	write_program("slurm/sbatch", fake_sbatch);
	write_program("slurm/srun", fake_srun);
	write_program("slurm/scontrol", "#!/bin/sh\necho $1 $2 >> requeued\n");
	assert_non_null(getcwd(here, sizeof here));
	if (!strstr(getenv("PATH"), here)) {
		snprintf(path, sizeof path, "%s/slurm:%s", here, getenv("PATH"));
		setenv("PATH", path, 1);
	}
}

static void jobs_of_slurm_give_what_the_sweep_gives(void **state)
{
	(void)state;
	static const char job[] = "ranked/slurm/control/seed-1.sbatch";

	with_fake_slurm();
	write_sweep("ranked.yaml", "ranked");
	assert_int_equal(run_script("ranked.yaml --slurm --ranks 3 --cpus 8 --partition big --time "
	                            "1:00:00"),
	                 0);
	assert_says("stdout", "ranked/slurm: 5 jobs of 3 ranks with 8 CPUs each");
	assert_false(file_exists("order")); /* nothing was submitted */
	assert_says(job, "#SBATCH --ntasks=3\n");
	assert_says(job, "#SBATCH --cpus-per-task=8\n");
	assert_says(job, "#SBATCH --partition=big\n");
	assert_says(job, "#SBATCH --time=1:00:00\n");
	assert_says(job, " train 'base.yaml' ");
	shell("ranked/slurm/submit > stdout");
	assert_same_sweep("whole", "ranked");
	assert_says("order", "1 "); /* what comes before is first */
	shell("head -n 1 order | grep -q before.sbatch && test $(wc -l < order) = 5");
	assert_int_equal(run_script("ranked.yaml --submit"), 0); /* all is there */
	shell("test $(wc -l < order) = 5");
	assert_int_equal(run_script("ranked.yaml"), 0);
	assert_says("stdout", "grpo/seed-0: finished already");
	assert_int_equal(run_script("ranked.yaml --ranks 2"), 2);
	assert_int_equal(run_script("ranked.yaml --slurm --ranks 0"), 2);
	assert_int_equal(run_script("ranked.yaml --only nothing/seed-0"), 2);
	assert_int_equal(run_script("ranked.yaml --jobs 0"), 2);
}

/* Seeds with a warm start and data of their own: a run waits for those of its seed. */
static void a_job_waits_for_the_steps_of_its_seed(void **state)
{
	(void)state;
	with_fake_slurm();
	write_text("steps.yaml",
	           "base: base.yaml\noutput_dir: steps\nseeds: 0-1\n"
	           "before:\n  - {name: warm, base: warm.yaml, each_seed: true}\n"
	           "  - {name: data, command: rollouts, base: base.yaml, each_seed: true}\n"
	           "set: {rollout.source: '{output_dir}/data/seed-{seed}.jsonl.gz'}\n"
	           "arms: [{name: topr, set: {algorithm: topr}}]\n");
	assert_int_equal(run_script("steps.yaml --submit --ranks 2"), 0);
	assert_says("stdout", "2 warm/seed-1\n");
	assert_says("stdout", "4 data/seed-1, after 2\n");
	assert_says("stdout", "6 topr/seed-1, after 4\n");
	assert_says("steps/slurm/data/seed-0.sbatch", "#SBATCH --ntasks=1\n");
	assert_true(file_exists("steps/topr/seed-1/checkpoint-12"));
}

/* Killed, or stopped and saved: the same jobs go on to the same bits. A job that saved goes back
 * into the queue; those behind one that failed do not run. */
static void jobs_that_died_go_on(void **state)
{
	(void)state;
	pid_t pid;

	with_fake_slurm();
	write_sweep("died.yaml", "died");
	assert_int_equal(run_script("died.yaml --slurm --ranks 2"), 0);
	for (int i = 0; i < 2; i++) {
		const char *log =
		        i ? "died/control/seed-0/metrics.jsonl" : "died/grpo/seed-0/metrics.jsonl";
		pid = run_start("setsid sh -c 'echo $$ > leader; exec died/slurm/submit'");
		wait_for_lines(pid, log, 2);
		shell("kill -%s -$(cat leader)", i ? "USR1" : "KILL");
		hone_end(pid);
		shell("while kill -0 -$(cat leader) 2> none; do sleep 0.05; done");
	}
	assert_int_equal(run_script("died.yaml --submit"), 0);
	assert_same_sweep("whole", "died");

	with_fake_slurm();
	write_text("cold.yaml", "base: base.yaml\noutput_dir: cold-jobs\n"
	                        "before: {name: warm, base: base.yaml, command: train, set: "
	                        "{model.path: nowhere}}\n");
	assert_int_equal(run_script("cold.yaml --submit"), 0);
	shell("test \"$(cat jobs/1 jobs/2 | tr '\\n' ' ')\" = '2 9 '");
}

/* What hone does when Slurm's time is nearly over: it saves, and the job asks to come again. */
static void a_job_whose_time_is_over_goes_back_into_the_queue(void **state)
{
	(void)state;
	pid_t pid;

	with_fake_slurm();
	write_sweep("over.yaml", "over");
	assert_int_equal(run_script("over.yaml --slurm"), 0);
	shell("sh over/slurm/before.sbatch > before.out 2>&1");
	write_program("slurm/srun", "#!/bin/sh\nexit 3\n");
	pid = run_start("SLURM_JOB_ID=77 sh over/slurm/grpo/seed-0.sbatch");
	assert_int_equal(hone_end(pid), 3);
	assert_says("requeued", "requeue 77");
}

/* ---- experiments ---- */

/* Texts of six letters; the last one is to be said again. A tiny model learns it from random
 * weights within some dozen steps. */
static void write_letters(void)
{
	FILE *train = fopen("r/train.jsonl", "w"), *eval = fopen("r/eval.jsonl", "w");

	assert_true(train && eval);
	for (int i = 0; i < 4096; i++) {
		char text[7] = "";
		int  x = i * 2641 % 4096;
		for (int k = 0; k < 6; k++, x /= 4)
			text[k] = "abcd"[x % 4];
		fprintf(i < 3072 ? train : eval, "{\"prompt\": \"%s=\", \"answer\": \"%c\"}\n",
		        text, text[5]);
	}
	fclose(train);
	fclose(eval);
}

static void claims_are_judged_by_the_rule_and_by_nothing_else(void **state)
{
	(void)state;
	shell("mkdir -p r/scripts r/experiments && cp '%s' '%.*s/reproduce' r/scripts && ln -s "
	      "'%s' r/hone",
	      script, (int)(strrchr(script, '/') - script), script, run_program);
	write_letters();
	write_text("r/letters.yaml",
	           "model:\n  tokenizer: 'chars:abcd='\n"
	           "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, "
	           "ff_width: 24, n_positions: 16}\n"
	           "data: {train: train.jsonl, eval: eval.jsonl}\ntask: {reward: exact}\nloss: "
	           "{beta: 0}\n"
	           "rollout: {num_generations: 8, prompts_per_step: 8, max_completion_length: 1}\n"
	           "optim: {learning_rate: 2e-3}\n"
	           "run: {max_steps: 50, save_steps: 0, eval_steps: 10, tensorboard: false, "
	           "save_samples: 0}\n");
	write_text("r/experiments/letters.yaml",
	           "# Letters.\n# minutes: 1\n# primary: final\n# claim: grpo above control\n# "
	           "claim: control below grpo\n"
	           "# claim: control above grpo\n# claim: grpo above nothing\n"
	           "base: letters.yaml\noutput_dir: runs/letters\nseeds: 0-4\n"
	           "arms: [{name: grpo}, {name: control, set: {task.permute_rewards: true}}]\n");
	shell("r/scripts/reproduce letters --jobs 2 >told 2>said");
	assert_says("told", "about 1 minutes");
	assert_says("told", "| grpo above control | final | +");
	assert_says("told", "| control below grpo | final | -");
	shell("test $(grep -c 'sign reproduced' told) = 2");
	shell("grep -q 'control above grpo .* not reproduced' told");
	assert_says("told", "| grpo above nothing | final | - | no such pair |");
	assert_says("r/runs/letters/result.md", "10 runs");
	write_text("r/experiments/letters.yaml",
	           "# Letters.\n# minutes: 1\n# primary: final\n# claim: grpo above control\n"
	           "base: letters.yaml\noutput_dir: runs/letters\nseeds: 0-3\n"
	           "arms: [{name: grpo}, {name: control, set: {task.permute_rewards: true}}]\n");
	shell("r/scripts/reproduce all >told 2>said");
	shell("grep -q 'grpo above control .* too few seeds' told");
	shell("! r/scripts/reproduce nothing 2>said");
	assert_says("said", "there is no experiments/nothing.yaml");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(arms_times_grid_times_seeds),
	        TEST(what_comes_before_gives_the_model_to_what_follows),
	        TEST(with_each_seed_a_step_is_drawn_anew_for_each_seed),
	        TEST(a_sweep_without_arms_is_its_base),
	        TEST(mistakes_are_named_with_file_line_and_key),
	        TEST(what_a_file_expands_to_is_bounded),
	        TEST(a_lack_of_memory_is_an_error_and_leaks_nothing),
	        TEST(it_runs_all_once_and_then_nothing),
	        TEST(killed_at_any_time_the_same_command_completes_it_to_the_same_bits),
	        TEST(a_run_that_fails_is_named_and_the_others_go_on),
	        TEST(a_data_set_of_rollouts_is_made_once_and_replayed_by_all),
	        TEST(each_seed_has_its_own_warm_start_and_data),
	        TEST(a_warm_start_that_fails_is_named_before_any_run),
	        TEST(jobs_of_slurm_give_what_the_sweep_gives),
	        TEST(a_job_waits_for_the_steps_of_its_seed),
	        TEST(jobs_that_died_go_on),
	        TEST(a_job_whose_time_is_over_goes_back_into_the_queue),
	        TEST(claims_are_judged_by_the_rule_and_by_nothing_else)};

	if (!realpath("scripts/sweep", script)) {
		perror("scripts/sweep; run the tests from the root of the tree");
		return 1;
	}
	run_in_temporary_folder();
	write_text("base.yaml", base);
	write_text("warm.yaml", warm);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
