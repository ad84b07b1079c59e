/* job_report.h - report.html of a job: while it runs, for those who watch, and at its end.
 *
 * The page of a living run loads itself again (run/report.h). It is written between steps, seldom
 * enough to cost a hundredth of the time, and nothing that happens to it ends a run. */
#ifndef RL_JOB_REPORT_H
#define RL_JOB_REPORT_H

#include "rl/job.h"

/* The last one, of a run that is done or stopped; of several ranks the first one writes. */
int job_report_write(const struct job *job);

/* One more, when it is time. */
void job_report_due(struct job *job);

#endif
