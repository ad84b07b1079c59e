#include "rl/job_report.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/ranks.h"
#include "rl/step_metrics.h"
#include "run/report.h"

/* A page of a living run is written at most so often, and takes at most this share of the time. */
#define JOB_REPORT_SECONDS 10.0
#define JOB_REPORT_SHARE 0.01

static int job_report_file(const struct job *job, int last_step)
{
	const char         *runs[] = {job->config.run.output_dir};
	struct report_files files = {
	        .schema = &job_schema, .metrics = &step_metrics, .last_step = last_step};
	struct arena a = {0};
	int          status = file_path(&a, runs[0], "report.html", &files.page);

	if (status == OK)
		status = report_write(runs, 1, &files);
	arena_free(&a);
	return status;
}

int job_report_write(const struct job *job)
{
	return ranks_first() ? job_report_file(job, 0) : OK;
}

void job_report_due(struct job *job)
{
	struct job_record *r = &job->record;
	double             start = clock_seconds();

	if (!ranks_first() || start < r->report_next)
		return;
	(void)job_report_file(job,
	                      job->config.run.max_steps); /* the last page says what is wrong */
	r->report_next = clock_seconds();
	r->report_next += JOB_REPORT_SECONDS + (r->report_next - start) / JOB_REPORT_SHARE;
}
