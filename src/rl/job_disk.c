/* What a run takes on the disk, before it takes it. */
#include "rl/job_parts.h"

#include "base/error.h"

#include <limits.h>

/* Of a step in metrics.jsonl and in the events, and of a token in samples: more than is usual. */
enum { LOG_BYTES = 4096, TOKEN_BYTES = 5, SAMPLE_BYTES = 300 };

struct disk_bill {
	uint64_t checkpoint; /* one */
	/* what the run still adds, at most: the checkpoints that are there at once, samples,
	 * logs */
	uint64_t all;
	uint64_t free;
	int      at_once; /* new checkpoints, with the one being written */
};

/* How often the run will still save. */
static int64_t count_saves(const struct job *job)
{
	const struct run_options *r = &job->config.run;
	int64_t every = r->save_steps, left = (int64_t)r->max_steps - job->step, n;

	if (left <= 0)
		return job->saved_step == job->step ? 0 : 1;
	n = every ? r->max_steps / every - job->step / every : 0;
	return n + (every == 0 || r->max_steps % every != 0);
}

static int64_t count_evaluations(const struct job *job)
{
	const struct run_options *r = &job->config.run;

	return job->eval.n == 0 || r->eval_steps == 0
	               ? 1
	               : ((int64_t)r->max_steps - job->step) / r->eval_steps + 2;
}

static int make_bill(const struct job *job, struct disk_bill *out)
{
	const struct run_options *r = &job->config.run;
	int64_t saves = count_saves(job), left = (int64_t)r->max_steps - job->step, most;
	int     there;

	TRY(job_checkpoint_bytes(job, &out->checkpoint));
	TRY(file_free_bytes(r->output_dir, &out->free));
	TRY(checkpoint_count(r->output_dir, &there));
	most = (int64_t)r->save_total_limit + 1 + (*r->metric_for_best_model != 0) - there;
	most = r->save_total_limit == 0 || saves < most ? saves : most > 1 ? most : 1;
	out->at_once = (int)(most < INT_MAX ? most : INT_MAX);
	out->all = out->checkpoint * (uint64_t)out->at_once +
	           (uint64_t)(left > 0 ? left : 0) * LOG_BYTES +
	           (uint64_t)count_evaluations(job) * (uint64_t)r->save_samples *
	                   ((uint64_t)job_longest_sequence(job) * TOKEN_BYTES + SAMPLE_BYTES);
	return OK;
}

static double mebibytes(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

int job_check_disk(const struct job *job, struct text *out)
{
	struct disk_bill bill;

	TRY(make_bill(job, &bill));
	text_print(out, "  %-34s %9.1f MiB\n", "on disk: a checkpoint", mebibytes(bill.checkpoint));
	text_print(out, "  %-34s %9.1f MiB\n", "on disk: in all, at most", mebibytes(bill.all));
	if (bill.at_once > 0 && bill.checkpoint > bill.free)
		return error_set(ERR_INPUT,
		                 "%s: a checkpoint takes %.1f MiB, but only %.1f MiB are free "
		                 "there; make room, or name another folder with "
		                 "run.output_dir=",
		                 job->config.run.output_dir, mebibytes(bill.checkpoint),
		                 mebibytes(bill.free));
	if (bill.all > bill.free)
		text_print(out,
		           "caution: only %.1f MiB are free in %s, and the run may take %.1f MiB "
		           "more: %d checkpoints at once, samples and "
		           "logs; "
		           "make room, or lower run.save_total_limit\n",
		           mebibytes(bill.free), job->config.run.output_dir, mebibytes(bill.all),
		           bill.at_once);
	return text_status(out);
}
