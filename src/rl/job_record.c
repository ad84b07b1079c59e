#include "rl/job_record.h"

#include "base/error.h"
#include "base/file.h"
#include "base/ranks.h"

#include <math.h>

void job_record_open(struct job_record *out)
{
	*out = (struct job_record){.first_eval = {NAN, NAN},
	                           .last_eval = {NAN, NAN},
	                           .saved_step = -1,
	                           .best.step = -1};
}

void job_record_close(struct job_record *r)
{
	metrics_log_close(&r->log);
	file_unlock(&r->run_lock);
	events_close(r->events);
	arena_free(&r->arena);
	*r = (struct job_record){0};
}

int job_record_write(struct job_record *r, const struct metrics *m)
{
	if (!ranks_first())
		return OK;
	TRY(metrics_log_write(&r->log, m));
	return r->events ? events_write(r->events, r->step, m) : OK;
}
