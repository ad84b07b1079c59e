#include "rl/bill.h"

#include "base/error.h"
#include "base/ranks.h"
#include "rl/job_parts.h"

#include <limits.h>
#include <unistd.h>

/* ---- memory ---- */

static double bill_mebibytes(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

static size_t bill_line(struct text *out, const char *what, size_t bytes)
{
	if (bytes)
		text_print(out, "  %-34s %9.1f MiB\n", what, bill_mebibytes(bytes));
	return bytes;
}

static int bill_larger(int a, int b)
{
	return a > b ? a : b;
}

static int bill_smaller(int a, int b)
{
	return a < b ? a : b;
}

/* Completions of the largest group, as it is trained on (guidance.h). */
static int bill_group(const struct job *job)
{
	int plain = job->config.rollout.num_generations,
	    guided = job->sampler.guidance.num_generations;

	if (job->sampler.replay.n)
		return job->sampler.replay.largest;
	return job->sampler.guidance.form == GUIDANCE_MIXED ? plain + guided
	                                                    : bill_larger(plain, guided);
}

/* The most that one update holds: every completion as long as it may be, to the longest prompts. */
static struct policy_load bill_largest_update(const struct job *job)
{
	const struct job_config *c = &job->config;
	int n = bill_group(job), longest = job->sampler.longest, prompt, length, inputs, per_tree,
	    trees;
	int minibatches = c->optim.num_minibatches,
	    groups = (c->rollout.prompts_per_step + minibatches - 1) / minibatches;

	if (job->kind == JOB_SFT)
		return (struct policy_load){c->sft.batch_size * longest, c->sft.batch_size,
		                            c->sft.batch_size, longest, longest};
	length = bill_smaller(c->rollout.max_completion_length, longest - 1);
	prompt = longest - length;
	inputs = length - 1; /* nothing is computed on the last token of a completion */
	per_tree = inputs ? bill_smaller(n, bill_larger(1, (TREE_TOKENS - prompt) / inputs)) : n;
	trees = (n + per_tree - 1) / per_tree; /* of a group */
	return (struct policy_load){.tokens = groups * (trees * prompt + n * inputs),
	                            .trees = groups * trees,
	                            .segments = groups * (trees + n),
	                            .tree = prompt + per_tree * inputs,
	                            .targets = per_tree * length};
}

size_t bill_memory(const struct job *job, struct text *out)
{
	const struct job_config  *c = &job->config;
	const struct model_shape *s = &job->learner.model->weights.shape;
	struct policy_load        load = bill_largest_update(job);
	size_t                    sum = 0;

	sum += bill_line(out, "model, packed twice", model_bytes(s, job->learner.mm, 1));
	sum += bill_line(out, "adapter",
	                 job->learner.model->adapter ? adapter_bytes(job->learner.model->adapter, 1)
	                                             : 0);
	sum += bill_line(out, "reference",
	                 job->learner.reference && !job->learner.reference->is_view
	                         ? model_bytes(s, job->learner.mm, 0)
	                         : 0);
	sum += bill_line(out,
	                 job->learner.policy.options.recompute ? "moments, gradients, layer inputs"
	                                                       : "moments, gradients, activations",
	                 policy_bytes(&job->learner.policy, &load));
	sum += bill_line(out, "critic",
	                 job->learner.learn.critic ? critic_bytes(&job->learner.critic, &load) : 0);
	sum += bill_line(out, "keys, values and logits of decoding",
	                 job->sampler.decoder
	                         ? decoder_bytes(s, job->learner.mm, c->rollout.batch_size,
	                                         job->sampler.longest) +
	                                   decoder_scratch_bytes(job->learner.model,
	                                                         c->rollout.batch_size,
	                                                         job->sampler.longest)
	                         : 0);
	bill_line(out, "in all, at most", sum);
	return sum;
}

/* Bytes that the job may take. */
static double bill_limit(const struct job *job)
{
	double limit = job->config.compute.memory_limit_gb * 1e9;

	return limit > 0 ? limit
	                 : (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) /
	                           ranks_here();
}

static void bill_set_recompute(struct job *job, int recompute)
{
	job->learner.policy.options.recompute = recompute;
	job->learner.critic.own.options.recompute = recompute;
}

void bill_plan(struct job *job)
{
	struct policy_load load = bill_largest_update(job);
	struct text        lines = {0};

	job->learner.policy.options.unit_tokens = policy_unit_tokens(&load);
	job->learner.critic.own.options.unit_tokens = policy_unit_tokens(&load);
	bill_set_recompute(job, job->config.compute.recompute == RECOMPUTE_ON);
	if (job->config.compute.recompute == RECOMPUTE_AUTO)
		bill_set_recompute(job, (double)bill_memory(job, &lines) > bill_limit(job));
	text_free(&lines);
}

int bill_check_memory(const struct job *job)
{
	struct text bill = {0};
	double      limit = bill_limit(job), sum = (double)bill_memory(job, &bill);
	int         status = OK;

	if (sum > limit)
		status = error_set(ERR_INPUT,
		                   "the job may need %.1f GB, more than %.1f GB; lower "
		                   "compute.micro_batch_tokens, rollout.batch_size or "
		                   "the lengths%s:\n%s",
		                   sum * 1e-9, limit * 1e-9,
		                   job->config.compute.recompute == RECOMPUTE_OFF
		                           ? ", or set compute.recompute: auto"
		                           : "",
		                   bill.data);
	text_free(&bill);
	return status;
}

/* ---- disk ---- */

/* Of a step in metrics.jsonl and in the events, and of a token in samples: more than is usual. */
enum { LOG_BYTES = 4096, TOKEN_BYTES = 5, SAMPLE_BYTES = 300 };

struct bill_of_disk {
	uint64_t checkpoint; /* one */
	/* what the run still adds, at most: the checkpoints that are there at once, samples,
	 * logs */
	uint64_t all;
	uint64_t free;
	int      at_once; /* new checkpoints, with the one being written */
};

/* How often the run will still save. */
static int64_t bill_saves(const struct job *job)
{
	const struct run_options *r = &job->config.run;
	int64_t every = r->save_steps, left = (int64_t)r->max_steps - job->record.step, n;

	if (left <= 0)
		return job->record.saved_step == job->record.step ? 0 : 1;
	n = every ? r->max_steps / every - job->record.step / every : 0;
	return n + (every == 0 || r->max_steps % every != 0);
}

static int64_t bill_evaluations(const struct job *job)
{
	const struct run_options *r = &job->config.run;

	return job->data.eval.n == 0 || r->eval_steps == 0
	               ? 1
	               : ((int64_t)r->max_steps - job->record.step) / r->eval_steps + 2;
}

static int bill_measure_disk(const struct job *job, struct bill_of_disk *out)
{
	const struct run_options *r = &job->config.run;
	int64_t saves = bill_saves(job), left = (int64_t)r->max_steps - job->record.step, most;
	int     there;

	TRY(job_checkpoint_bytes(job, &out->checkpoint));
	TRY(file_free_bytes(r->output_dir, &out->free));
	TRY(checkpoint_count(r->output_dir, &there));
	most = (int64_t)r->save_total_limit + 1 + (*r->metric_for_best_model != 0) - there;
	most = r->save_total_limit == 0 || saves < most ? saves : most > 1 ? most : 1;
	out->at_once = (int)(most < INT_MAX ? most : INT_MAX);
	out->all = out->checkpoint * (uint64_t)out->at_once +
	           (uint64_t)(left > 0 ? left : 0) * LOG_BYTES +
	           (uint64_t)bill_evaluations(job) * (uint64_t)r->save_samples *
	                   ((uint64_t)job->sampler.longest * TOKEN_BYTES + SAMPLE_BYTES);
	return OK;
}

int bill_disk(const struct job *job, struct text *out)
{
	struct bill_of_disk bill;

	TRY(bill_measure_disk(job, &bill));
	text_print(out, "  %-34s %9.1f MiB\n", "on disk: a checkpoint",
	           bill_mebibytes(bill.checkpoint));
	text_print(out, "  %-34s %9.1f MiB\n", "on disk: in all, at most",
	           bill_mebibytes(bill.all));
	if (bill.at_once > 0 && bill.checkpoint > bill.free)
		return error_set(ERR_INPUT,
		                 "%s: a checkpoint takes %.1f MiB, but only %.1f MiB are free "
		                 "there; make room, or name another folder with "
		                 "run.output_dir=",
		                 job->config.run.output_dir, bill_mebibytes(bill.checkpoint),
		                 bill_mebibytes(bill.free));
	if (bill.all > bill.free)
		text_print(out,
		           "caution: only %.1f MiB are free in %s, and the run may take %.1f MiB "
		           "more: %d checkpoints at once, samples and "
		           "logs; "
		           "make room, or lower run.save_total_limit\n",
		           bill_mebibytes(bill.free), job->config.run.output_dir,
		           bill_mebibytes(bill.all), bill.at_once);
	return text_status(out);
}
