#include "rl/train.h"

#include "base/clock.h"
#include "base/error.h"
#include "rl/loop.h"
#include "rl/step_report.h"

/* updates in a row that may be skipped before the run is called diverged */
enum { SKIPPED_MAX = 5 };

/* Draws P problems, samples and scores their completions. With dynamic sampling, problems whose
 * completions do not differ are replaced by others, up to a number of batches; what was collected
 * by then is used, never duplicated. */
static int train_sample(struct job *job, struct step *s)
{
	const struct rollout_config *o = &job->config.rollout;
	int                          batches_max =
                job->algorithm.dynamic_sampling ? job->config.loss.dynamic_sampling_max_batches : 1;
	int *picked = arena_alloc(&job->step_arena, (size_t)o->prompts_per_step, sizeof *picked);

	if (!picked)
		return ERR_INPUT;
	TRY(groups_new(o->prompts_per_step * batches_max, &job->step_arena, &s->sampled));
	TRY(groups_new(o->prompts_per_step * batches_max, &job->step_arena, &s->guided));
	TRY(groups_new(o->prompts_per_step * batches_max, &job->step_arena, &s->edited));
	TRY(groups_new(o->prompts_per_step, &job->step_arena, &s->used));
	while (s->used.n < o->prompts_per_step && s->stats.batches < batches_max) {
		int first = s->sampled.n;
		s->stats.batches++;
		curriculum_pick(job->curriculum, o->prompts_per_step, picked);
		TRY(step_sample(job, picked, o->prompts_per_step, s));
		TRY(step_guide(job, first, s));
		for (int g = first; g < s->sampled.n && s->used.n < o->prompts_per_step; g++)
			if (!job->algorithm.dynamic_sampling ||
			    group_right_varies(&s->edited.items[g]))
				s->used.items[s->used.n++] = s->edited.items[g];
	}
	return step_observe(job, s);
}

/* The next groups of the recorded ones; the curriculum has no part in it. */
static int replay(struct job *job, struct step *s)
{
	const struct job_config *c = &job->config;

	TRY(groups_new(c->rollout.prompts_per_step, &job->step_arena, &s->used));
	TRY(replay_pick(&job->replay, (uint64_t)c->run.seed, job->step, c->rollout.prompts_per_step,
	                &job->step_arena, &s->used));
	s->sampled = s->used;
	return OK;
}

static int train_collect(struct job *job, struct step *s)
{
	return job->replay.n ? replay(job, s) : train_sample(job, s);
}

static int learn(struct job *job, struct step *s)
{
	s->stats.learning_rate = schedule_at(&job->schedule, job->step);
	if (s->used.n == 0)
		return OK;
	TRY(learn_from(&job->learn,
	               &(struct learn_input){.policy = &job->policy,
	                                     .reference = job->reference,
	                                     .groups = s->used.items,
	                                     .n_groups = s->used.n,
	                                     .step = (uint32_t)job->step,
	                                     .learning_rate = s->stats.learning_rate},
	               &job->step_arena, &s->stats.learn));
	job->skipped_in_a_row = s->stats.learn.update.skipped
	                                ? job->skipped_in_a_row + s->stats.learn.update.skipped
	                                : 0;
	if (job->skipped_in_a_row >= SKIPPED_MAX)
		return error_set(ERR_FAILED,
		                 "step %d: %d updates in a row had a gradient that is not finite; "
		                 "the last good checkpoint stays; lower "
		                 "optim.learning_rate or raise loss.beta",
		                 job->step, job->skipped_in_a_row);
	return OK;
}

/* Read this first. Each call is the main function of the file it is named after. */
static int train_step(struct job *job)
{
	struct step s = {.started = clock_seconds()};

	arena_reset(&job->step_arena); /* everything the previous step allocated dies here */

	/* Act: choose problems, sample G completions of each with today's weights, score them. */
	TRY(train_collect(job, &s));

	/* Learn: who did better than its group, by how much, and which way that moves the
	 * weights. */
	TRY(learn(job, &s));

	/* Remember. */
	job->step++;
	return step_report(job, &s);
}

/* Evaluates, steps, saves, and stops when a signal asks for it (loop.h). */
int train_run(struct job *job)
{
	return loop_run(job, train_step);
}
