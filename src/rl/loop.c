#include "rl/loop.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/ranks.h"
#include "base/stop.h"
#include "rl/held_out.h"
#include "rl/job_ranks.h"
#include "rl/job_report.h"
#include "run/signals.h"
#include "run/watchdog.h"

/* Runs the step; a stopped one leaves the curriculum as it was. */
static int loop_step(struct job *job, int (*step)(struct job *job))
{
	json_t *before;
	int     status;

	TRY(curriculum_save(job->sampler.curriculum, &before));
	stop_hold(0);
	status = ranks_together("a step", step(job));
	stop_hold(0);
	signals_step(job->record.step);
	if (status == STOPPED &&
	    curriculum_load(job->sampler.curriculum, "the step that was given up", before) != OK)
		status = ERR_FAILED;
	json_decref(before);
	return status;
}

static int loop_eval(struct job *job)
{
	int status;

	watchdog_phase(WATCHDOG_EVALUATION);
	status = held_out_due(&job->data, &job->sampler, &job->record, &job->step_arena);

	status = ranks_together("an evaluation", status);
	job->record.eval_missed = status == STOPPED;
	return status;
}

/* Ranks that have drifted apart would write a mixture. */
static int loop_check(struct job *job)
{
	int every = job->config.run.check_steps;

	return every > 0 && job->record.step % every == 0
	               ? job_ranks_check_weights(&job->learner, job->record.step)
	               : OK;
}

static int loop_end(struct job *job)
{
	double start = clock_seconds();
	int    fresh = job->record.saved_step != job->record.step;

	TRY(job_save(job));
	if (signals_stop() && fresh && job->record.screen)
		progress_say(&job->record.progress, "saved step %d in %.1f s\n", job->record.step,
		             clock_seconds() - start);
	return OK;
}

int loop_is_over(const struct job *job)
{
	return job->record.step >= job->config.run.max_steps ||
	       best_is_over(&job->config.run, &job->record.best);
}

/* Says so where the run ends before its last step. */
static void loop_tell_patience(struct job *job)
{
	const struct run_options *o = &job->config.run;
	struct job_record        *r = &job->record;

	if (r->step < o->max_steps && best_is_over(o, &r->best))
		progress_say(&r->progress,
		             "%s was no better than at step %d in %d comparisons: the run ends "
		             "(run.patience)\n",
		             o->metric_for_best_model, r->best.step, r->best.waited);
}

int loop_run(struct job *job, int (*step)(struct job *job))
{
	int status = OK;

	signals_step(job->record.step);
	if ((job->record.step == 0 && job->record.saved_step < 0) || job->record.eval_missed)
		status = loop_eval(job);
	while (status == OK && !loop_is_over(job) && !signals_stop()) {
		status = loop_step(job, step);
		if (status == OK)
			status = loop_check(job);
		if (status == OK)
			status = loop_eval(job);
		if (status == OK)
			status = job_save_due(job);
		if (status == OK)
			job_report_due(job);
	}
	if (status == OK)
		loop_tell_patience(job);
	return status == OK || status == STOPPED ? loop_end(job) : status;
}
