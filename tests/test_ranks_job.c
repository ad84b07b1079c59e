/* One job on several ranks: the same weights, moments, metrics, samples and state for any number of
 * ranks and threads, over resumes on other numbers, losses and signals; what a verifier decided
 * once stays; ranks that have drifted apart are named.
 *
 * Ranks are processes of this machine (--ranks). Under `make check`, and with HONE_MPI=1, the same
 * job runs under mpirun, too. */
#include "rank_process.h"
#include "small_model.h"
#include "walk.h"

#include "base/ranks.h"
#include "rl/job_ranks.h"

#include <sys/mman.h>
#include <sys/prctl.h>

static const char job_text[] =
        "data:\n"
        "  generate: [{name: sequence, levels: 1-3, count: 120}]\n"
        "  eval_generate: [{name: sequence, levels: 1-3, count: 9, seed: 1}]\n"
        "task: {reward: sequence}\n"
        "rollout: {num_generations: 4, prompts_per_step: 60, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-2, num_minibatches: 2}\n"
        "run: {max_steps: 6, save_steps: 2, eval_steps: 2, check_steps: 1, tensorboard: false}\n";

static const struct cell_job {
	const char *name, *settings;
} jobs[] = {
        {"grpo", "train new.yaml algorithm=grpo loss.num_iterations=2 run.tensorboard=true "
                 "rollout.prompts_per_step=110 optim.num_minibatches=1"},
        {"ppo", "train new.yaml optim.num_minibatches=1 algorithm=ppo loss.beta=0.1 "
                "loss.kl_controller=adaptive "
                "loss.kl_placement=reward"},
        {"lora", "train old.yaml model.lora_r=2 optim.num_minibatches=1 algorithm=dapo "
                 "loss.dynamic_sampling_max_batches=3"},
        {"guide-sec", "train old.yaml optim.learning_rate=1e-3 guidance.kind=guide "
                      "guidance.trigger_accuracy=0.5 guidance.template='{prompt}?{hint}:' "
                      "curriculum.kind=sec curriculum.categories='[difficulty]'"},
        {"shared-critic",
         "train new.yaml optim.num_minibatches=1 algorithm=ppo critic.network=shared "
         "critic.warmup_steps=1 critic.learning_rate=1e-2"},
        {"sft", "sft new.yaml sft.batch_size=400"},
};
enum { N_JOBS = sizeof jobs / sizeof *jobs };

/* What a run leaves, and the state of its last checkpoint but for sizes of files and the config. */
static uint64_t digest(const char *folder)
{
	json_t *state =
	        json_load_file(in_folder(folder, "checkpoint-6/trainer_state.json"), 0, NULL);
	char    *text;
	uint64_t h;

	assert_non_null(state);
	json_object_del(state, "metrics_bytes");
	json_object_del(state, "config");
	text = json_dumps(state, JSON_REAL_PRECISION(17) | JSON_SORT_KEYS);
	h = walk_hash(walk_digest(folder), text, strlen(text));
	free(text);
	json_decref(state);
	return h;
}

/* Every job with both precisions, against itself in one process: a few cells of the table, so that
 * each rank, thread and micro-batch occurs; with HONE_MPI=1, all. A micro-batch of 64 tokens is one
 * unit, so that ranks make passes of their own and keep what waits between them; recompute and a
 * micro-batch go to different cells. */
static const int rank_counts[] = {1, 2, 3, 4, 5, 8};
enum { RANK_COUNTS = sizeof rank_counts / sizeof *rank_counts, CELLS = RANK_COUNTS * 2 * 2 };

static void check_cell(const struct cell_job *job, const char *precision, int cell, uint64_t one)
{
	int ranks = rank_counts[cell % RANK_COUNTS], threads = 1 + cell / RANK_COUNTS % 2,
	    small = cell / RANK_COUNTS / 2;

	hone_ok("%s compute.precision=%s run.output_dir=some compute.threads=%d --ranks %d%s",
	        job->settings, precision, threads, ranks,
	        small ? " compute.micro_batch_tokens=64 compute.recompute=on" : "");
	if (digest("some") != one)
		fail_msg("%s in %s on %d ranks of %d threads, micro-batch %s, differs", job->name,
		         precision, ranks, threads, small ? "64" : "all");
	shell("rm -r some");
}

static void any_number_of_ranks_and_threads_gives_the_same_bits(void **state)
{
	(void)state;
	static const char *const precisions[] = {"f32", "bf16"};
	int                      all = getenv("HONE_MPI") != NULL, next = 1;

	for (int j = 0; j < N_JOBS; j++)
		for (int p = 0; p < 2; p++) {
			uint64_t one;
			hone_ok("%s compute.precision=%s run.output_dir=one compute.threads=1",
			        jobs[j].settings, precisions[p]);
			one = digest("one");
			for (int cell = 0; cell < CELLS && all; cell++)
				check_cell(&jobs[j], precisions[p], cell, one);
			for (int n = 0; n < 2 && !all; n++, next += 5)
				check_cell(&jobs[j], precisions[p], next % CELLS, one);
			shell("rm -r one");
		}
}

/* More ranks than problems and units; recorded completions, turns and token rewards. */
static void whatever_is_learned_from_may_be_dealt(void **state)
{
	(void)state;
	static const char *const settings[] = {
	        "train new.yaml task.token_rewards=true rollout.prompts_per_step=2",
	        "sft new.yaml sft.batch_size=8", "train new.yaml rollout.source=recorded.jsonl"};

	hone_ok("rollouts new.yaml --steps 4 --output recorded.jsonl run.seed=7");
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		hone_ok("%s run.output_dir=one", settings[i]);
		hone_ok("%s run.output_dir=some --ranks 3", settings[i]);
		assert_true(digest("one") == digest("some"));
		shell("rm -r one some");
	}
}

/* With a critic of its own, so that all of its moments are gathered and read again, too. */
static void a_run_goes_on_with_any_other_number_of_ranks(void **state)
{
	(void)state;
	static const int ranks[] = {4, 3, 1, 8};
	uint64_t         whole;

	hone_ok("%s run.output_dir=whole run.max_steps=8", jobs[1].settings);
	whole = digest("whole");
	for (int i = 0; i < 4; i++)
		hone_ok("%s run.output_dir=parts run.max_steps=%d --ranks %d %s", jobs[1].settings,
		        2 * (i + 1), ranks[i], i ? "--resume" : "");
	assert_true(digest("parts") == whole);
	shell("rm -r whole parts");
}

/* ---- the end of one rank ---- */

static int lines_of(const char *path)
{
	size_t n;
	int    lines = 0;
	char  *text;

	if (!file_exists(path))
		return 0;
	text = read_all(path, &n);
	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	free(text);
	return lines;
}

/* Sends the signal to one rank once the log has so many lines, and some time into the step behind
 * them; the exit status of the first. */
static int end_one(const char *settings, int ranks, int rank, int number, int lines)
{
	static unsigned moment;

	pid_t pid = hone_start("%s run.output_dir=cut run.tensorboard=false --ranks %d", settings,
	                       ranks);

	while (lines_of("cut/metrics.jsonl") < lines && waitpid(pid, NULL, WNOHANG) == 0)
		usleep(500);
	usleep(moment++ * 7919 % 20000);
	kill(process_of(pid, rank), number);
	return hone_end(pid);
}

static void a_lost_rank_ends_the_run_and_costs_no_bit(void **state)
{
	(void)state;
	char     wanted[64];
	uint64_t whole;

	hone_ok("%s run.tensorboard=false run.output_dir=whole", jobs[3].settings);
	whole = digest("whole");
	for (int i = 0; i < (getenv("HONE_MPI") ? 20 : 6); i++) {
		int who = i % 3, status = end_one(jobs[3].settings, 3, who, SIGKILL, 1 + i % 4);
		assert_int_equal(status, who ? 1 : 128 + SIGKILL);
		snprintf(wanted, sizeof wanted, "rank %d on ", who);
		if (who) {
			assert_says("stderr", wanted);
			assert_says("stderr", "is lost: ended by signal 9");
		}
		hone_ok("%s run.tensorboard=false run.output_dir=cut --resume --ranks %d",
		        jobs[3].settings, 1 + (i + 1) % 4);
		assert_true(digest("cut") == whole);
		shell("rm -r cut");
	}
	shell("rm -r whole");
}

static void a_signal_to_one_rank_saves_and_stops_all(void **state)
{
	(void)state;
	uint64_t whole;

	hone_ok("%s run.tensorboard=false run.output_dir=whole", jobs[0].settings);
	whole = digest("whole");
	for (int i = 0; i < 6; i++) {
		int status = end_one(jobs[0].settings, 3, i % 3, SIGUSR1, 1 + i);
		assert_true(status == 3 || (status == 0 && i > 2)); /* it may be done before */
		hone_ok("%s run.tensorboard=false run.output_dir=cut --resume --ranks 2",
		        jobs[0].settings);
		assert_true(digest("cut") == whole);
		shell("rm -r cut");
	}
	shell("rm -r whole");
}

/* ---- errors ---- */

static void an_error_of_all_ranks_is_told_once(void **state)
{
	(void)state;
	size_t n;
	char  *text;

	assert_int_equal(hone("train new.yaml run.sede=1 --ranks 4"), 2);
	text = read_all("stderr", &n);
	assert_non_null(strstr(text, "run.sede"));
	assert_null(strstr(strstr(text, "run.sede") + 1, "hone train:"));
	free(text);
	assert_int_equal(hone("train new.yaml --ranks 17"), 2);
	assert_says("stderr", "at most 16");
	shell("mkdir -p held/checkpoint-1");
	assert_int_equal(hone("train new.yaml run.output_dir=held --ranks 3"), 2);
	text = read_all("stderr", &n); /* and nobody says that another rank was lost */
	assert_non_null(strstr(text, "holds a run already"));
	assert_null(strstr(strstr(text, "hone train:") + 1, "hone train:"));
	free(text);
	shell("rm -r held");
}

/* ---- verifiers ---- */

/* Logs each question; hangs on one of them, in one process of all. */
static const char judge[] = "while read -r line; do\n"
                            "  echo \"$line\" >> questions\n"
                            "  case $line in *'\"tokens\": 6'*|*'\"tokens\":6'*)\n"
                            "    if mkdir hangs 2>/dev/null; then sleep 1000; fi;; esac\n"
                            "  echo '{\"reward\": '$((${#line} % 2))'}'\n"
                            "done\n";

static double sum_of(const char *log, const char *name)
{
	FILE  *f = fopen(log, "r");
	char  *line = NULL;
	size_t capacity = 0;
	double sum = 0;

	assert_non_null(f);
	while (getline(&line, &capacity, f) > 0) {
		json_t *row = json_loads(line, 0, NULL);
		sum += json_number_value(json_object_get(row, name));
		json_decref(row);
	}
	free(line);
	fclose(f);
	return sum;
}

/* Were it asked again, by whichever rank, the second reply would be another one: then the ranks
 * would learn from different rewards, which run.check_steps=1 notices. */
static void a_verdict_that_was_late_is_late_on_all_ranks(void **state)
{
	(void)state;
	write_text("judge.sh", judge);
	write_text("judged.yaml",
	           "extends: new.yaml\n"
	           "rollout: {prompts_per_step: 5}\n"
	           "task: {reward: command, verifier: {command: 'sh judge.sh', command_timeout: 1, "
	           "command_workers: 1}}\n"
	           "run: {max_steps: 3, save_steps: 0, eval_steps: 0}\n");
	hone_ok("train judged.yaml run.output_dir=judged task.eval_reward=command --ranks 3");
	assert_true(sum_of("judged/metrics.jsonl", "reward/command_errors") == 1);
	/* 3 steps of 5 problems with 4 completions, each asked about once */
	assert_int_equal(lines_of("questions"), 60);
}

/* ---- ranks that are not alike ---- */

static struct outcome {
	int  status;
	char message[512];
} * outcomes;

/* Rank `odd` reads other problems, or has one other bit in a tensor. */
enum difference { OTHER_PROBLEMS, OTHER_WEIGHT };
struct odd_rank {
	int             rank;
	enum difference how;
};

static int open_differently(const struct odd_rank *odd, struct job *job)
{
	const char *overrides[] = {"run.seed=0"};
	int         differs = ranks_number() == odd->rank;

	if (differs && odd->how == OTHER_PROBLEMS)
		overrides[0] = "data.generate=[{name: sequence, levels: 1-3, count: 121}]";
	TRY(job_open(JOB_TRAIN, JOB_NEW, "new.yaml", overrides, 1, job));
	job->config.run.output_dir = "odd";
	if (differs && odd->how == OTHER_WEIGHT)
		job->learner.model->weights.data[job->learner.model->weights.norm_final.gain] +=
		        1e-6f;
	return job_start(job, JOB_NEW);
}

static void start_odd(const struct odd_rank *odd)
{
	struct job job;
	int        status = ranks_open(3), me = ranks_number();

	if (status == OK)
		status = open_differently(odd, &job);
	outcomes[me].status = ranks_close(status);
	snprintf(outcomes[me].message, sizeof outcomes[me].message, "%s", error_message());
	_exit(0);
}

static void a_rank_that_differs_is_named(void **state)
{
	(void)state;
	static const char *const tensors[] = {"(the config)", "bits in model.norm.weight"};
	char                     wanted[64];

	for (int i = 0; i < 6; i++) {
		struct odd_rank odd = {i % 3, (enum difference)(i / 3)};
		memset(outcomes, 0, 3 * sizeof *outcomes);
		fflush(NULL);
		if (fork() == 0)
			start_odd(&odd);
		while (wait(NULL) > 0)
			;
		snprintf(wanted, sizeof wanted, "rank %d on ", odd.rank);
		for (int r = 0; r < 3; r++) {
			assert_true(outcomes[r].status != OK);
			assert_non_null(strstr(outcomes[r].message, wanted));
			assert_non_null(strstr(outcomes[r].message, tensors[odd.how]));
		}
		shell("rm -rf odd");
	}
}

/* ---- MPI ---- */

static void mpirun_gives_the_same_bits(void **state)
{
	(void)state;
	if (!getenv("HONE_MPI")) {
		print_message("only under make check, or with HONE_MPI=1\n");
		skip();
	}
	if (system("command -v mpirun mpicc > mpi") != 0) {
		print_message("Open MPI is not installed (openmpi-bin, libopenmpi-dev)\n");
		skip();
	}
	hone_ok("%s run.output_dir=one", jobs[3].settings);
	setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
	setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
	for (int n = 1; n <= 4; n++) {
		shell("mpirun --oversubscribe -n %d '%s' %s run.output_dir=some > stdout 2> stderr",
		      n, run_program, jobs[3].settings);
		assert_true(digest("one") == digest("some"));
		shell("rm -r some");
	}
	/* an error of one rank ends all, in time */
	shell("timeout 100 mpirun --oversubscribe -n 3 '%s' %s run.output_dir=one > stdout 2> "
	      "stderr; test $? = 2",
	      run_program, jobs[3].settings);
	assert_says("stderr", "one holds a run already");
	shell("rm -r one");
}

int main(void)
{
	char                    text[2048];
	const struct CMUnitTest tests[] = {
	        TEST(any_number_of_ranks_and_threads_gives_the_same_bits),
	        TEST(whatever_is_learned_from_may_be_dealt),
	        TEST(a_run_goes_on_with_any_other_number_of_ranks),
	        TEST(a_lost_rank_ends_the_run_and_costs_no_bit),
	        TEST(a_signal_to_one_rank_saves_and_stops_all),
	        TEST(an_error_of_all_ranks_is_told_once),
	        TEST(a_verdict_that_was_late_is_late_on_all_ranks),
	        TEST(a_rank_that_differs_is_named),
	        TEST(mpirun_gives_the_same_bits),
	};

	run_in_temporary_folder();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	outcomes = mmap(NULL, 3 * sizeof *outcomes, PROT_READ | PROT_WRITE,
	                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(text, sizeof text, "%s%s", small_model_new, job_text);
	write_text("new.yaml", text);
	snprintf(text, sizeof text, "%s%s", small_model_old, job_text);
	write_text("old.yaml", text);
	hone_ok("sft new.yaml sft.batch_size=16 sft.hint_rate=0.5 "
	        "guidance.template='{prompt}?{hint}:' run.max_steps=200 run.output_dir=before "
	        "run.eval_steps=0 run.save_steps=0");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
