#include "rl/job_parts.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/ranks.h"
#include "base/terminal.h"
#include "base/threads.h"
#include "math/machine.h"
#include "model/generation.h"
#include "rl/bill.h"
#include "rl/job_order.h"
#include "run/watchdog.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

/* ---- opening and closing ---- */

/* The steps of run.num_train_epochs passes: over recorded groups, or over the problems that are
 * left once those that are too long are out; with dynamic sampling a step counts as the problems
 * that it trains on. The schedule of the rates knows the steps from here on. */
static int job_steps(struct job *job)
{
	struct job_config *c = &job->config;
	int problems = job->sampler.replay.n ? job->sampler.replay.n : job->data.train.prompts.n,
	    a_step = job->kind == JOB_SFT ? c->sft.batch_size : c->rollout.prompts_per_step;
	/* 0.1 x 30 is 3, whatever the doubles say */
	double steps = ceil(c->run.num_train_epochs * problems / a_step * (1 - 1e-12));
	char   text[16];

	if (steps == 0 || (config_is_set(&c->base, "run.max_steps") && steps >= c->run.max_steps))
		return OK;
	if (steps > INT_MAX)
		return error_set(ERR_INPUT,
		                 "%s: run.num_train_epochs of %d problems are %g steps, "
		                 "more than there can be; set fewer",
		                 config_where(&c->base, "run.num_train_epochs"), problems, steps);
	snprintf(text, sizeof text, "%.0f", steps);
	TRY(config_set(&c->base, "run.num_train_epochs", "run.max_steps", text));
	return job_learner_schedules(&job->learner);
}

/* Each part takes those that it needs; so there is no other order. */
static int job_open_parts(struct job *job)
{
	struct job_config *c = &job->config;
	struct job_reader  reader;

	TRY(job_data_read(c, &job->data));
	TRY(job_learner_open(job->kind, c, &job->data, &job->learner));
	reader = job_learner_reader(&job->learner);
	reader.progress = &job->record.progress;
	TRY(job_data_render(job->kind, &reader, &job->data));
	TRY(best_check(job->kind, &job->data));
	TRY(job_sampler_open(job->kind, c, &job->data, &job->learner, &job->sampler));
	TRY(job_steps(job));
	TRY(job_learner_replay(&job->sampler.replay, &job->learner));
	bill_plan(job->kind, &job->sampler, &job->learner);
	return bill_check_memory(job->kind, &job->learner, &job->sampler);
}

int job_open(enum job_kind kind, enum job_begin how, const char *config_path,
             const char *const *overrides, int n_overrides, struct job *out)
{
	int status;

	*out = (struct job){.kind = kind};
	TRY(job_config_load(config_path, overrides, n_overrides, &out->config));
	job_record_open(&out->record);
	watchdog_limit(out->config.run.watchdog_seconds);
	status = threads_set(out->config.compute.threads ? out->config.compute.threads
	                                                 : threads_share(ranks_sharing_cores()));
	if (status == OK)
		status = job_order_settle(&out->config, how);
	if (status == OK)
		status = job_open_parts(out);
	if (status != OK)
		job_close(out);
	return status;
}

void job_close(struct job *job)
{
	job_sampler_close(&job->sampler);
	job_learner_close(&job->learner);
	job_data_close(&job->data);
	job_record_close(&job->record);
	config_free(&job->config.base);
	arena_free(&job->step_arena);
	*job = (struct job){0};
}

/* ---- starting ---- */

static void print_replay(const struct replay *r, const struct job_learner *l, FILE *screen)
{
	int P = l->config->rollout.prompts_per_step;

	if (r->n == 0)
		return;
	terminal_print(
	        screen,
	        "replays %s: %d completions in %d groups, %.1f%% of them good; an epoch is %d "
	        "steps%s\n",
	        r->path, r->n_completions, r->n, 100.0 * r->n_good / r->n_completions,
	        (r->n + P - 1) / P,
	        r->other_mu ? "; other weights sampled them, so the run starts off policy" : "");
	if (l->config->loss.positive_share > 0)
		terminal_print(screen,
		               "baseline %.6g, so that good completions make up %g of the weight\n",
		               l->learn.algorithm.baseline_value, l->config->loss.positive_share);
}

/* Training samples by the config alone: a penalty would draw from another distribution than the one
 * that is trained. */
static void print_penalties(const char *model_folder, FILE *screen)
{
	struct generation g;
	struct arena      a = {0};
	struct text       names = {0};

	if (model_folder && generation_read(model_folder, &a, &g) == OK) {
		penalty_print(&g.penalty, &names);
		if (*g.not_done)
			text_print(&names, ", %s", g.not_done);
	}
	if (names.n)
		terminal_print(screen,
		               "caution: generation_config.json asks for %s; training leaves it "
		               "out, for what is sampled must be what is "
		               "trained\n",
		               names.data + 2);
	text_free(&names);
	arena_free(&a);
}

/* Twice as many products in the same time, by AMX many times as many, at the price of their
 * rounding. */
static void print_precision(const struct matmul *mm, FILE *screen)
{
	int amx = matmul_cpu_has_amx();

	if (!matmul_is_bf16(mm) && (amx || machine_dot_pays()))
		terminal_print(screen,
		               "this CPU has an instruction for products in bf16; set "
		               "compute.precision: bf16 for %s the speed\n",
		               amx ? "several times" : "about twice");
}

/* Prompts that leave less room than rollout.max_completion_length: there the context cuts, and
 * raising that option helps nothing. */
static void job_add_room(const struct rollout_sampling *o, const char *what,
                         const struct prompts *p, struct text *out)
{
	int n_positions = o->n_positions, most = o->max_completion_length, n = 0,
	    least = n_positions;

	for (int i = 0; i < p->n; i++) {
		int room = n_positions - p->contexts[i].n;
		n += room < most;
		least = room < least ? room : least;
	}
	if (n)
		text_print(out,
		           "caution: %d of %d %s prompts leave less than "
		           "rollout.max_completion_length = %d tokens of the model's %d "
		           "positions, "
		           "at least %d\n",
		           n, p->n, what, most, n_positions, least);
}

static void print_start(const struct job *job, const char *disk)
{
	const struct job_learner *l = &job->learner;
	const struct job_sampler *s = &job->sampler;
	FILE                     *screen = job->record.screen;
	struct text               bill = {0}, data = {0};

	if (!screen)
		return;
	bill_memory(job->kind, l, s, &bill);
	findings_lines(&job->data.findings, &data);
	if (job->kind == JOB_TRAIN && s->replay.n == 0)
		job_add_room(&s->rollout, "training", &job->data.train.prompts, &data);
	if (job->config.run.eval_steps)
		job_add_room(&s->rollout, "held-out", &job->data.eval.prompts, &data);
	terminal_print(screen, "%s, ", matmul_describe(l->mm));
	if (ranks_count() > 1)
		terminal_print(screen, "%d ranks of ", ranks_count());
	terminal_print(screen, "%d threads; %.2fM parameters", threads_count(),
	               (double)l->model->weights.n * 1e-6);
	if (l->model->adapter)
		terminal_print(screen, " stand still, %.2fM of the adapter learn",
		               (double)l->model->adapter->weights.n * 1e-6);
	terminal_print(screen, "; %d problems, %d held out; into %s\n%s%s%s",
	               job->data.train.n - job->data.train.prompts.n_long, job->data.eval.prompts.n,
	               job->config.run.output_dir, data.data ? data.data : "", bill.data,
	               disk ? disk : "");
	if (ranks_count() > 1)
		terminal_print(screen, "  each of %d ranks takes at most that much memory\n",
		               ranks_count());
	print_precision(l->mm, screen);
	print_replay(&s->replay, l, screen);
	print_penalties(l->model_folder, screen);
	if (algorithm_caution(&l->learn.algorithm))
		terminal_print(screen, "caution: %s\n", algorithm_caution(&l->learn.algorithm));
	text_free(&bill);
	text_free(&data);
}

/* The bill of the disk, then the files of the run. */
static int job_start_folder(struct job *job, struct text *disk)
{
	uint64_t checkpoint;

	TRY(job_checkpoint_bytes(&job->learner, &job->sampler, &job->record, &checkpoint));
	TRY(bill_disk(&job->data, &job->record, job->sampler.longest, checkpoint, disk));
	return job_folder_open(&job->data, &job->learner, &job->record);
}

int job_start(struct job *job, enum job_begin how)
{
	struct text disk = {0};
	int         status = OK;

	TRY(job_folder_begin(job, how));
	if (ranks_first())
		status = job_start_folder(job, &disk);
	if (status == OK)
		print_start(job, disk.data);
	text_free(&disk);
	TRY(status);
	progress_open(&job->record.progress, job->record.screen, job->config.run.logging_steps,
	              job->record.step);
	return OK;
}
