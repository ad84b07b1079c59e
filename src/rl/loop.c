#include "rl/loop.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/stop.h"
#include "rl/eval.h"
#include "run/signals.h"

/* Runs the step; a stopped one leaves the curriculum as it was. */
static int loop_step(struct job *job, int (*step)(struct job *job))
{
	json_t *before;
	int     status;

	TRY(curriculum_save(job->curriculum, &before));
	stop_hold(0);
	status = step(job);
	stop_hold(0);
	signals_step(job->step);
	if (status == STOPPED &&
	    curriculum_load(job->curriculum, "the step that was given up", before) != OK)
		status = ERR_FAILED;
	json_decref(before);
	return status;
}

static int loop_eval(struct job *job)
{
	int status = eval_due(job);

	job->eval_missed = status == STOPPED;
	return status;
}

static int loop_end(struct job *job)
{
	double start = clock_seconds();
	int    fresh = job->saved_step != job->step;

	TRY(job_save(job));
	if (signals_stop() && fresh && job->screen)
		progress_say(&job->progress, "saved step %d in %.1f s\n", job->step,
		             clock_seconds() - start);
	return OK;
}

int loop_run(struct job *job, int (*step)(struct job *job))
{
	int status = OK;

	signals_step(job->step);
	if ((job->step == 0 && job->saved_step < 0) || job->eval_missed)
		status = loop_eval(job);
	while (status == OK && job->step < job->config.run.max_steps && !signals_stop()) {
		status = loop_step(job, step);
		if (status == OK)
			status = loop_eval(job);
		if (status == OK)
			status = job_save_due(job);
	}
	return status == OK || status == STOPPED ? loop_end(job) : status;
}
