#include "rl/bill.h"

#include "base/error.h"
#include "base/ranks.h"
#include "run/checkpoint.h"

#include <assert.h>
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
static int bill_group(const struct job_sampler *s)
{
	int plain = s->config->rollout.num_generations, guided = s->guidance.num_generations;

	if (s->replay.n)
		return s->replay.largest;
	return s->guidance.form == GUIDANCE_MIXED ? plain + guided : bill_larger(plain, guided);
}

/* The most that one update holds: every completion as long as it may be, to the longest prompts. */
static struct policy_load bill_largest_update(enum job_kind kind, const struct job_sampler *s)
{
	const struct job_config *c = s->config;
	int n = bill_group(s), longest = s->longest, prompt, length, inputs, per_tree, trees;
	int minibatches = c->optim.num_minibatches,
	    groups = (c->rollout.prompts_per_step + minibatches - 1) / minibatches;

	if (kind == JOB_SFT)
		return (struct policy_load){c->sft.batch_size * longest, c->sft.batch_size,
		                            c->sft.batch_size, longest, longest};
	length = bill_smaller(c->rollout.max_completion_length, longest - 1);
	prompt = longest - length;
	assert(n > 0 && length > 0 && prompt > 0);
	inputs = length - 1; /* nothing is computed on the last token of a completion */
	per_tree = inputs ? bill_smaller(n, bill_larger(1, (TREE_TOKENS - prompt) / inputs)) : n;
	trees = (n + per_tree - 1) / per_tree; /* of a group */
	return (struct policy_load){.tokens = groups * (trees * prompt + n * inputs),
	                            .trees = groups * trees,
	                            .segments = groups * (trees + n),
	                            .tree = prompt + per_tree * inputs,
	                            .targets = per_tree * length};
}

static size_t bill_models(const struct job_learner *l, struct text *out)
{
	const struct model_shape *shape = &l->model->weights.shape;
	size_t sum = bill_line(out, "model and its packed copies", model_bytes(shape, l->mm, 1));

	if (l->model->adapter)
		sum += bill_line(out, "adapter", adapter_bytes(l->model->adapter, 1));
	if (l->reference && !l->reference->is_view)
		sum += bill_line(out, "reference", model_bytes(shape, l->mm, 0));
	return sum;
}

static size_t bill_decoding(const struct job_learner *l, const struct job_sampler *s,
                            struct text *out)
{
	int slots = s->config->rollout.batch_size;

	return s->decoder ? bill_line(out, "keys, values and logits of decoding",
	                              decoder_bytes(&l->model->weights.shape, l->mm, slots,
	                                            s->longest) +
	                                      decoder_scratch_bytes(l->model, slots, s->longest))
	                  : 0;
}

size_t bill_memory(enum job_kind kind, const struct job_learner *l, const struct job_sampler *s,
                   struct text *out)
{
	struct policy_load load = bill_largest_update(kind, s);
	size_t             sum = bill_models(l, out);

	sum += bill_line(out,
	                 l->policy.options.recompute ? "moments, gradients, layer inputs"
	                                             : "moments, gradients, activations",
	                 policy_bytes(&l->policy, &load));
	if (l->learn.critic)
		sum += bill_line(out, "critic", critic_bytes(&l->critic, &load));
	sum += bill_decoding(l, s, out);
	bill_line(out, "in all, at most", sum);
	return sum;
}

/* Bytes that the job may take. */
static double bill_limit(const struct compute_options *o)
{
	double limit = o->memory_limit_gb * 1e9;

	return limit > 0 ? limit
	                 : (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) /
	                           ranks_here();
}

static void bill_set_recompute(struct job_learner *l, int recompute)
{
	l->policy.options.recompute = recompute;
	l->critic.own.options.recompute = recompute;
}

void bill_plan(enum job_kind kind, const struct job_sampler *s, struct job_learner *l)
{
	const struct compute_options *o = &s->config->compute;
	struct policy_load            load = bill_largest_update(kind, s);
	struct text                   lines = {0};

	l->policy.options.unit_tokens = policy_unit_tokens(&load);
	l->critic.own.options.unit_tokens = policy_unit_tokens(&load);
	bill_set_recompute(l, o->recompute == RECOMPUTE_ON);
	if (o->recompute == RECOMPUTE_AUTO)
		bill_set_recompute(l, (double)bill_memory(kind, l, s, &lines) > bill_limit(o));
	text_free(&lines);
}

int bill_check_memory(enum job_kind kind, const struct job_learner *l, const struct job_sampler *s)
{
	const struct compute_options *o = &s->config->compute;
	struct text                   bill = {0};
	double limit = bill_limit(o), sum = (double)bill_memory(kind, l, s, &bill);
	int    status = OK;

	if (sum > limit)
		status = error_set(
		        ERR_INPUT,
		        "the job may need %.1f GB, more than %.1f GB; lower "
		        "compute.micro_batch_tokens, rollout.batch_size or "
		        "the lengths%s:\n%s",
		        sum * 1e-9, limit * 1e-9,
		        o->recompute == RECOMPUTE_OFF ? ", or set compute.recompute: auto" : "",
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
static int64_t bill_saves(const struct run_options *r, const struct job_record *record)
{
	int64_t every = r->save_steps, left = (int64_t)r->max_steps - record->step, n;

	if (left <= 0)
		return record->saved_step == record->step ? 0 : 1;
	n = every ? r->max_steps / every - record->step / every : 0;
	return n + (every == 0 || r->max_steps % every != 0);
}

static int64_t bill_evaluations(const struct job_data *data, int step)
{
	const struct run_options *r = &data->config->run;

	return data->eval.n == 0 || r->eval_steps == 0
	               ? 1
	               : ((int64_t)r->max_steps - step) / r->eval_steps + 2;
}

static int bill_measure_disk(const struct job_data *data, const struct job_record *record,
                             int longest, uint64_t checkpoint, struct bill_of_disk *out)
{
	const struct run_options *r = &data->config->run;
	int64_t saves = bill_saves(r, record), left = (int64_t)r->max_steps - record->step, most;
	int     there;

	out->checkpoint = checkpoint;
	TRY(file_free_bytes(r->output_dir, &out->free));
	TRY(checkpoint_count(r->output_dir, &there));
	most = (int64_t)r->save_total_limit + 1 + (*r->metric_for_best_model != 0) - there;
	most = r->save_total_limit == 0 || saves < most ? saves : most > 1 ? most : 1;
	out->at_once = (int)(most < INT_MAX ? most : INT_MAX);
	out->all = out->checkpoint * (uint64_t)out->at_once +
	           (uint64_t)(left > 0 ? left : 0) * LOG_BYTES +
	           (uint64_t)bill_evaluations(data, record->step) * (uint64_t)r->save_samples *
	                   ((uint64_t)longest * TOKEN_BYTES + SAMPLE_BYTES);
	return OK;
}

int bill_disk(const struct job_data *data, const struct job_record *record, int longest,
              uint64_t checkpoint, struct text *out)
{
	const char         *run = data->config->run.output_dir;
	struct bill_of_disk bill;

	TRY(bill_measure_disk(data, record, longest, checkpoint, &bill));
	text_print(out, "  %-34s %9.1f MiB\n", "on disk: a checkpoint",
	           bill_mebibytes(bill.checkpoint));
	text_print(out, "  %-34s %9.1f MiB\n", "on disk: in all, at most",
	           bill_mebibytes(bill.all));
	if (bill.at_once > 0 && bill.checkpoint > bill.free)
		return error_set(ERR_INPUT,
		                 "%s: a checkpoint takes %.1f MiB, but only %.1f MiB are free "
		                 "there; make room, or name another folder with "
		                 "run.output_dir=",
		                 run, bill_mebibytes(bill.checkpoint), bill_mebibytes(bill.free));
	if (bill.all > bill.free)
		text_print(out,
		           "caution: only %.1f MiB are free in %s, and the run may take %.1f MiB "
		           "more: %d checkpoints at once, samples and "
		           "logs; "
		           "make room, or lower run.save_total_limit\n",
		           bill_mebibytes(bill.free), run, bill_mebibytes(bill.all), bill.at_once);
	return text_status(out);
}
