#include "rl/train.h"

#include "base/clock.h"
#include "base/error.h"
#include "rl/loop.h"
#include "rl/reference.h"
#include "rl/step_report.h"
#include "run/watchdog.h"

#include <assert.h>

/* updates in a row that may be skipped before the run is called diverged */
enum { SKIPPED_MAX = 5 };

/* Draws P problems, samples and scores their completions. With dynamic sampling, problems whose
 * completions do not differ are replaced by others, up to a number of batches; what was collected
 * by then is used, never duplicated. */
static int train_sample(const struct job_data *data, const struct algorithm *algorithm,
                        struct job_sampler *sampler, struct step *s)
{
	int  P = sampler->config->rollout.prompts_per_step, dynamic = algorithm->dynamic_sampling;
	int  batches_max = dynamic ? algorithm->dynamic_sampling_max_batches : 1;
	int *picked;

	TRY(arena_take(s->arena, (size_t)P, "the picked problems", &picked));
	TRY(groups_new(P * batches_max, s->arena, &s->sampled));
	TRY(groups_new(P * batches_max, s->arena, &s->guided));
	TRY(groups_new(P * batches_max, s->arena, &s->edited));
	TRY(groups_new(P, s->arena, &s->used));
	while (s->used.n < P && s->stats.batches < batches_max) {
		int first = s->sampled.n;
		s->stats.batches++;
		curriculum_pick(sampler->curriculum, P, picked);
		TRY(step_sample(data, sampler, picked, P, s));
		TRY(step_guide(data, sampler, first, s));
		for (int g = first; g < s->sampled.n && s->used.n < P; g++)
			if (!dynamic || group_right_varies(&s->edited.items[g]))
				s->used.items[s->used.n++] = s->edited.items[g];
	}
	return step_observe(sampler, s);
}

/* The next groups of the recorded ones; the curriculum has no part in it. */
static int train_replay(struct job_sampler *sampler, struct step *s)
{
	int P = sampler->config->rollout.prompts_per_step;

	TRY(groups_new(P, s->arena, &s->used));
	TRY(replay_pick(&sampler->replay, sampler->rollout.seed, s->number, P, s->arena, &s->used));
	s->sampled = s->used;
	return OK;
}

static int train_collect(const struct job_data *data, const struct algorithm *algorithm,
                         struct job_sampler *sampler, struct step *s)
{
	return sampler->replay.n ? train_replay(sampler, s)
	                         : train_sample(data, algorithm, sampler, s);
}

static int train_learn(struct job_learner *l, struct step *s)
{
	const struct learn_input in = {.policy = &l->policy,
	                               .reference = l->reference,
	                               .groups = s->used.items,
	                               .n_groups = s->used.n,
	                               .step = (uint32_t)s->number,
	                               .learning_rate = schedule_at(&l->schedule, s->number)};
	double                   start = clock_seconds();

	watchdog_phase(WATCHDOG_UPDATE);
	s->stats.learning_rate = in.learning_rate;
	if (s->used.n)
		TRY(learn_from(&l->learn, &in, s->arena, &s->stats.learn));
	s->stats.seconds_learn = clock_seconds() - start;
	return OK;
}

/* A run whose updates keep being skipped is called diverged. */
static int train_check(const struct step *s, struct job_record *r)
{
	int skipped = s->stats.learn.update.skipped;

	assert(skipped >= 0 && r->step == s->number); /* the step is not counted yet */
	if (s->used.n)
		r->skipped_in_a_row = skipped ? r->skipped_in_a_row + skipped : 0;
	if (r->skipped_in_a_row >= SKIPPED_MAX)
		return error_set(ERR_FAILED,
		                 "step %d: %d updates in a row had a gradient that is not finite; "
		                 "the last good checkpoint stays; lower "
		                 "optim.learning_rate or raise loss.beta",
		                 s->number, r->skipped_in_a_row);
	return OK;
}

/* Read this first. Each call is the main function of the file it is named after. */
int train_step(struct job *job)
{
	struct step s = {
	        .number = job->record.step, .arena = &job->step_arena, .started = clock_seconds()};

	arena_reset(&job->step_arena); /* everything the previous step allocated dies here */

	/* Act: choose problems, sample G completions of each with today's weights, score them. */
	TRY(train_collect(&job->data, &job->learner.learn.algorithm, &job->sampler, &s));

	/* Learn: who did better than its group, by how much, and which way that moves the
	 * weights. */
	TRY(train_learn(&job->learner, &s));
	TRY(train_check(&s, &job->record));

	/* Remember. */
	job->record.step++;
	TRY(reference_follow(&job->config.model.reference_sync, job->learner.model,
	                     job->learner.reference, job->record.step));
	return step_report(job, &s);
}

/* Evaluates, steps, saves, and stops when a signal asks for it (loop.h). */
int train_run(struct job *job)
{
	return loop_run(job, train_step);
}
