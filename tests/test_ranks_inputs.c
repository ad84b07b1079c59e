/* Ranks that read other files than the rest are named before the first step, and before the first
 * step after a resume: each stands in a folder of its own, as machines do that share none. */
#include "small_model.h"

#include "run.h"

#include "base/ranks.h"
#include "rl/job_parts.h"

#include <sys/mman.h>
#include <sys/prctl.h>

enum { RANKS = 3 };

static struct outcome {
	int  status;
	char message[1024];
} * outcomes; /* [RANKS] */

static const char job_text[] =
        "model: {path: model}\n"
        "data: {train: train.jsonl, eval: eval.jsonl}\n"
        "task: {reward: numeric}\n"
        "loss: {beta: 0.1}\n"
        "rollout: {num_generations: 2, prompts_per_step: 2, max_completion_length: 4}\n"
        "run: {max_steps: 2, save_steps: 1, eval_steps: 1, tensorboard: false}\n";

/* Rank r in the folder rank-r; the run folder is shared. */
static int start_there(enum job_begin how, struct job *job)
{
	char folder[64], output[PATH_MAX], *here = getcwd(output, sizeof output - 64);

	assert_non_null(here);
	strcat(output, "/shared");
	snprintf(folder, sizeof folder, "rank-%d", ranks_number());
	if (chdir(folder))
		return error_set(ERR_FAILED, "no %s", folder);
	TRY(job_open(JOB_TRAIN, how, "job.yaml", NULL, 0, job));
	job->config.run.output_dir = output;
	TRY(job_start(job, how));
	return how == JOB_RESUME ? OK : job_save(job);
}

static void on_ranks(enum job_begin how)
{
	memset(outcomes, 0, RANKS * sizeof *outcomes);
	fflush(NULL);
	if (fork() == 0) {
		struct job job;
		int        status = ranks_open(RANKS), me = ranks_number();
		if (status == OK)
			status = start_there(how, &job);
		outcomes[me].status = ranks_close(status);
		snprintf(outcomes[me].message, sizeof outcomes[me].message, "%s", error_message());
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
}

static void give_each_rank_its_files(void)
{
	for (int r = 0; r < RANKS; r++) {
		shell("rm -rf rank-%d && mkdir rank-%d && cp -r before/checkpoint-3 "
		      "rank-%d/model && cp job.yaml train.jsonl eval.jsonl rank-%d",
		      r, r, r, r);
	}
}

static const struct difference {
	const char *command, *says; /* in the folder of the rank */
} differences[] = {
        {"sed -i 's/2/3/' train.jsonl", "problems"},
        {"sed -i 's/5/6/' eval.jsonl", "held-out problems"},
        {"rm -r model && cp -r ../other/checkpoint-1 model", "the weights of the reference"},
        {"sed -i 's/max_steps: 2/max_steps: 3/' job.yaml", "the config"},
};

static void a_rank_that_read_other_files_is_named(void **state)
{
	(void)state;
	char wanted[64];

	for (int resumed = 0; resumed < 2; resumed++)
		for (size_t i = 0; i < sizeof differences / sizeof *differences; i++) {
			int odd = (int)i % RANKS;
			shell("rm -rf shared");
			give_each_rank_its_files();
			if (resumed) {
				on_ranks(JOB_NEW);
				assert_int_equal(outcomes[0].status, OK);
			}
			shell("cd rank-%d && %s", odd, differences[i].command);
			on_ranks(resumed ? JOB_RESUME : JOB_NEW);
			snprintf(wanted, sizeof wanted, "rank %d on ", odd);
			for (int r = 0; r < RANKS; r++) {
				if (outcomes[r].status != ERR_INPUT ||
				    !strstr(outcomes[r].message, wanted) ||
				    !strstr(outcomes[r].message, differences[i].says))
					fail_msg("%s%s: rank %d says %s", differences[i].command,
					         resumed ? ", resumed" : "", r,
					         outcomes[r].message);
			}
		}
}

int main(void)
{
	char                    text[2048];
	const struct CMUnitTest tests[] = {TEST(a_rank_that_read_other_files_is_named)};

	run_in_temporary_folder();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	outcomes = mmap(NULL, RANKS * sizeof *outcomes, PROT_READ | PROT_WRITE,
	                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(text, sizeof text,
	         "%sdata: {generate: [{name: sequence, levels: 1-3, count: 30}]}\n"
	         "task: {reward: sequence}\nrollout: {max_completion_length: 6}\n"
	         "run: {max_steps: 3, tensorboard: false}\n",
	         small_model_new);
	write_text("new.yaml", text);
	write_text("job.yaml", job_text);
	write_text("train.jsonl", "{\"prompt\": \"1,2:\", \"answer\": \"1\"}\n"
	                          "{\"prompt\": \"1,3:\", \"answer\": \"4\"}\n");
	write_text("eval.jsonl", "{\"prompt\": \"4,5:\", \"answer\": \"1\"}\n");
	hone_ok("sft new.yaml run.output_dir=before sft.batch_size=4");
	hone_ok("sft new.yaml run.output_dir=other run.max_steps=1 sft.batch_size=4");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
