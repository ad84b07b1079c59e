/* trainer_state.json of small runs with a critic, one with a fixed KL coefficient of 0 and one
 * whose coefficient moves. What is loaded is within bounds, and saved and loaded again it is the
 * same. A state without a config gets the run's own, so that inputs stay small. */
#include "fuzz.h"

#include "base/json.h"
#include "rl/job_parts.h"

#include <math.h>

static const char yaml[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 8, n_layers: 1, n_heads: 1, n_kv_heads: 1, head_width: 8, ff_width: 8, "
        "n_positions: 32}\n"
        "data: {generate: [{name: sequence, levels: 1-3, count: 6}]}\n"
        "task: {reward: sequence}\n"
        "algorithm: ppo\n"
        "loss: {beta: 0}\n"
        "curriculum: {kind: sec}\n"
        "critic: {network: shared}\n"
        "rollout: {num_generations: 2, prompts_per_step: 2, max_completion_length: 6}\n"
        "compute: {threads: 1, backend: reference}\n"
        "run: {max_steps: 12, tensorboard: false}\n";

static struct run {
	struct job job;
	json_t    *own; /* {"config": ...} */
} runs[2];

static void open_run(struct run *run, int moves)
{
	static const char *const overrides[] = {"loss.beta=0.05", "loss.kl_controller=adaptive"};
	char                    *text;
	json_t                  *state;

	PROMISE(job_open(JOB_TRAIN, JOB_NEW, fuzz_file(1, yaml, strlen(yaml)), overrides,
	                 moves ? 2 : 0, &run->job) == OK);
	PROMISE(job_take_inputs(&run->job.data, &run->job.learner, &run->job.sampler,
	                        &run->job.record) == OK &&
	        run->job.learner.learn.critic && !run->job.learner.reference == !moves);
	PROMISE(job_state_text(&run->job.learner, &run->job.sampler, &run->job.record, &text) ==
	                OK &&
	        json_parse("own", text, strlen(text), &state) == OK);
	run->own = json_pack("{s:O}", "config", json_object_get(state, "config"));
	PROMISE(run->own);
	json_decref(state);
	free(text);
}

static void check_counts(const struct job *job)
{
	static const int64_t most = INT64_C(1) << 53;

	PROMISE(job->record.step >= 0 && job->record.saved_step == job->record.step &&
	        job->record.skipped_in_a_row >= 0 && job->record.skipped_in_a_row <= INT32_MAX / 2);
	PROMISE(job->record.n_tokens >= 0 && job->record.n_tokens <= most &&
	        job->record.log.bytes <= (uint64_t)most);
	PROMISE(job->learner.policy.optimizer.step <= (uint64_t)most &&
	        job->learner.critic.optimizer.step <= (uint64_t)most);
	PROMISE(isfinite(job->learner.learn.algorithm.beta) &&
	        (job->learner.reference ? job->learner.learn.algorithm.beta >= 0
	                                : job->learner.learn.algorithm.beta == 0));
	PROMISE((isfinite(job->record.first_eval.mean) && !isinf(job->record.first_eval.error)) ||
	        (isnan(job->record.first_eval.mean) && isnan(job->record.first_eval.error)));
}

static void save_and_load(struct job *job)
{
	char   *once, *twice;
	json_t *state;

	PROMISE(job_state_text(&job->learner, &job->sampler, &job->record, &once) == OK &&
	        json_parse("again", once, strlen(once), &state) == OK);
	PROMISE(job_state_load(&job->learner, &job->sampler, &job->record, "again", state) == OK &&
	        job_state_text(&job->learner, &job->sampler, &job->record, &twice) == OK);
	PROMISE(!strcmp(once, twice));
	json_decref(state);
	free(once);
	free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct run *run = &runs[n % 2];
	json_t     *state;

	for (int i = 0; i < 2; i++)
		if (!runs[i].own)
			open_run(&runs[i], i);
	if (json_parse("state", (const char *)data, n, &state) != OK)
		return 0;
	if (json_is_object(state) && !json_object_get(state, "config"))
		json_object_update(state, run->own);
	run->job.record.first_eval = (struct eval_mean){NAN, NAN};
	fuzz_forget_message();
	if (job_state_load(&run->job.learner, &run->job.sampler, &run->job.record, "state",
	                   state) == OK) {
		check_counts(&run->job);
		save_and_load(&run->job);
	} else {
		PROMISE(strstr(error_message(), "state"));
	}
	json_decref(state);
	return 0;
}
