/* A job that hangs names its phase and its functions and ends; of several ranks all end, the one
 * that is stopped is named, and a resume gives the bits of a run that never hung. What is slow does
 * not hang. */
#include "rank_process.h"
#include "small_model.h"
#include "walk.h"

#include "base/ranks.h"
#include "base/stop.h"
#include "run/watchdog.h"

#include <pthread.h>
#include <sys/prctl.h>

/* ---- the watchdog alone ---- */

/* Runs the body as one process or as several ranks, until the last of them has ended; what they
 * say stands in the file said. The exit status of the first. */
static int watched(int ranks, int (*body)(void))
{
	pid_t pid;
	int   status;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!freopen("said", "w", stderr) || ranks_open(ranks) != OK ||
		    watchdog_start() != OK)
			_exit(9);
		watchdog_limit(1);
		status = ranks_together("the end", body());
		watchdog_stop();
		status = ranks_close(status);
		if (ranks_speaks() && status != OK)
			fprintf(stderr, "%s\n", error_message());
		fflush(NULL);
		_exit(status == OK ? 0 : 3);
	}
	status = hone_end(pid);
	while (wait(NULL) > 0)
		;
	return status;
}

static volatile int test_never; /* what a loop that hangs looks at */

__attribute__((noinline)) static int test_hangs_here(void)
{
	while (!test_never)
		usleep(10000);
	return ERR_FAILED;
}

static int hang(void)
{
	watchdog_phase(WATCHDOG_JUDGING);
	return test_hangs_here();
}

static void *hang_in_a_thread(void *context)
{
	(void)context;
	test_hangs_here();
	return NULL;
}

static int hang_elsewhere(void)
{
	pthread_t thread;

	watchdog_phase(WATCHDOG_UPDATE);
	if (pthread_create(&thread, NULL, hang_in_a_thread, NULL))
		return ERR_FAILED;
	return pthread_join(thread, NULL) ? ERR_FAILED : OK;
}

static void a_hang_names_phase_and_functions_and_ends(void **state)
{
	(void)state;
	assert_int_equal(watched(1, hang), 1);
	assert_says("said", "hone hangs in judging");
	assert_says("said", "the main one");
	assert_says("said", "test_hangs_here+0x");
	assert_says("said", "--resume");
	assert_int_equal(watched(1, hang_elsewhere), 1);
	assert_says("said", "hone hangs in update");
	assert_says("said", "test_hangs_here+0x");
}

static int be_slow(void)
{
	watchdog_phase(WATCHDOG_SAMPLING);
	for (int i = 0; i < 60; i++) {
		usleep(50000);
		(void)stop_now(); /* as long work does between its pieces */
	}
	return OK;
}

static int be_slow_on_one_rank(void)
{
	return ranks_number() == 1 ? be_slow() : OK;
}

static void what_makes_progress_and_who_waits_for_it_does_not_hang(void **state)
{
	(void)state;
	assert_int_equal(watched(1, be_slow), 0);
	assert_int_equal(watched(3, be_slow_on_one_rank), 0);
	assert_says("said", "rank 0 on ");
	assert_says("said", "s at \"the end\" for rank 1 on ");
	assert_says("said", "which is in sampling");
}

static int hang_on_one_rank(void)
{
	return ranks_number() == 1 ? hang() : OK;
}

static void of_several_ranks_the_one_that_hangs_ends_all(void **state)
{
	(void)state;
	assert_int_equal(watched(3, hang_on_one_rank), 3);
	assert_says("said", "rank 1 on ");
	assert_says("said", " hangs in judging");
	assert_says("said", "test_hangs_here+0x");
	assert_says("said", "is lost: ended with status 1");
}

/* ---- jobs ---- */

static const char job_text[] =
        "data: {generate: [{name: sequence, levels: 1-3, count: 30}]}\n"
        "task: {reward: sequence}\n"
        "algorithm: grpo\n"
        "rollout: {num_generations: 4, prompts_per_step: 5, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-2}\n"
        "run: {max_steps: 8, save_steps: 2, tensorboard: false, watchdog_seconds: 3}\n";

static void a_rank_that_is_stopped_is_named_and_costs_no_bit(void **state)
{
	(void)state;
	char     wanted[64];
	uint64_t whole;

	hone_ok("train new.yaml run.output_dir=whole");
	whole = walk_digest("whole");
	for (int who = 0; who < 3; who++) {
		pid_t pid = hone_start("train new.yaml run.output_dir=cut --ranks 3");
		wait_for_lines(pid, "cut/metrics.jsonl", 1 + 2 * who);
		kill(process_of(pid, who), SIGSTOP);
		assert_int_equal(hone_end(pid), who ? 1 : 128 + SIGKILL);
		while (wait(NULL) > 0)
			; /* the first is killed: its copies are ours */
		snprintf(wanted, sizeof wanted, "rank %d on ", who);
		assert_says("stderr", wanted);
		assert_says("stderr", "gives no sign of life");
		assert_says("stderr", "is lost: ");
		hone_ok("train new.yaml run.output_dir=cut --resume --ranks 2");
		assert_true(walk_digest("cut") == whole);
		shell("rm -r cut");
	}
	shell("rm -r whole");
}

/* Hangs on one question, in one process of all, for longer than the watchdog waits. */
static const char judge[] = "while read -r line; do\n"
                            "  if mkdir hangs 2>/dev/null; then sleep 1000; fi\n"
                            "  echo '{\"reward\": '$((${#line} % 2))'}'\n"
                            "done\n";

static void a_verifier_that_is_slow_within_its_time_out_does_not_hang(void **state)
{
	(void)state;
	write_text("judge.sh", judge);
	for (int ranks = 1; ranks <= 3; ranks += 2) {
		shell("rm -rf hangs judged");
		hone_ok("train new.yaml run.output_dir=judged run.max_steps=2 task.reward=command "
		        "task.verifier.command='sh judge.sh' task.verifier.command_timeout=5 "
		        "task.verifier.command_startup=0 run.watchdog_seconds=2 --ranks %d",
		        ranks);
		assert_true(file_exists("hangs"));
		assert_false(file_says("stderr", "run.watchdog_seconds"));
		assert_says("judged/metrics.jsonl", "\"reward/command_errors\": 1");
	}
	shell("rm -r judged");
}

/* The log of the verifier is a pipe that nobody reads, so no time-out of its own ends its start. */
static void a_verifier_that_never_starts_ends_the_job(void **state)
{
	(void)state;
	static const char settings[] = "train new.yaml run.output_dir=held task.reward=command "
	                               "task.verifier.command='sh judge.sh' run.watchdog_seconds=1";

	shell("mkdir -p hangs");
	for (int ranks = 1; ranks <= 2; ranks++) {
		hone_ok("%s run.max_steps=2 run.watchdog_seconds=60", settings);
		shell("rm -f held/verifier.log && mkfifo held/verifier.log");
		assert_int_equal(hone("%s --resume --ranks %d", settings, ranks), 1);
		assert_says("stderr", " in judging: no progress");
		assert_says("stderr", "stacks");
		/* the child that waits for a reader holds the folder's lock */
		shell("timeout 1 cat held/verifier.log > read; rm held/verifier.log");
		hone_ok("%s --resume run.watchdog_seconds=60", settings);
		shell("rm -r held");
	}
}

/* ---- MPI ---- */

/* Of the ranks under mpirun the one with this number. */
static void stop_rank_of_mpirun(int rank)
{
	shell("for p in /proc/[0-9]*; do grep -qsz 'OMPI_COMM_WORLD_RANK=%d$' $p/environ && "
	      "[ \"$(readlink $p/exe)\" = '%s' ] && kill -STOP ${p#/proc/}; done; true",
	      rank, run_program);
}

static void under_mpirun_it_is_the_same(void **state)
{
	(void)state;
	uint64_t whole;

	if (!getenv("HONE_MPI")) {
		print_message("only under make check, or with HONE_MPI=1\n");
		skip();
	}
	if (system("command -v mpirun mpicc > mpi") != 0) {
		print_message("Open MPI is not installed (openmpi-bin, libopenmpi-dev)\n");
		skip();
	}
	setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
	setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
	hone_ok("train new.yaml run.output_dir=whole");
	whole = walk_digest("whole");
	for (int who = 0; who < 2; who++) {
		char  line[2 * PATH_MAX], wanted[64];
		pid_t pid;
		snprintf(line, sizeof line,
		         "exec mpirun --oversubscribe -n 2 '%s' train new.yaml run.output_dir=cut",
		         run_program);
		pid = run_start(line);
		wait_for_lines(pid, "cut/metrics.jsonl", 3);
		stop_rank_of_mpirun(who);
		assert_int_not_equal(hone_end(pid), 0);
		snprintf(wanted, sizeof wanted, "rank %d on ", who);
		assert_says("stderr", wanted);
		assert_says("stderr", "gives no sign of life");
		hone_ok("train new.yaml run.output_dir=cut --resume");
		assert_true(walk_digest("cut") == whole);
		shell("rm -r cut");
	}
	shell("rm -r whole");
}

int main(void)
{
	char                    text[2048];
	const struct CMUnitTest tests[] = {
	        TEST(a_hang_names_phase_and_functions_and_ends),
	        TEST(what_makes_progress_and_who_waits_for_it_does_not_hang),
	        TEST(of_several_ranks_the_one_that_hangs_ends_all),
	        TEST(a_rank_that_is_stopped_is_named_and_costs_no_bit),
	        TEST(a_verifier_that_is_slow_within_its_time_out_does_not_hang),
	        TEST(a_verifier_that_never_starts_ends_the_job),
	        TEST(under_mpirun_it_is_the_same),
	};

	run_in_temporary_folder();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	snprintf(text, sizeof text, "%s%s", small_model_new, job_text);
	write_text("new.yaml", text);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
