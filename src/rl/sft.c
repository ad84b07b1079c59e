#include "rl/sft.h"

#include "base/clock.h"
#include "base/error.h"
#include "rl/loop.h"
#include "rl/step_metrics.h"
#include "rl/step_report.h"
#include "run/watchdog.h"
#include "world/environment.h"

#include <assert.h>
#include <string.h>

struct sft_completion { /* being tokenized */
	struct ids  ids;
	struct text trained; /* a byte a token */
};

static int sft_add_tokens(const struct job_reader *reader, const char *text, size_t n,
                          int observation, struct sft_completion *out)
{
	const char trained = !observation;

	TRY(tokenizer_encode(reader->tokenizer, text, n, 0, &out->ids));
	while (out->trained.n < out->ids.n && !out->trained.failed)
		text_add(&out->trained, &trained, 1);
	return text_status(&out->trained);
}

static int add_end(const struct job_reader *reader, struct sft_completion *out)
{
	TRY(ids_add(&out->ids, &reader->eos, 1));
	text_add(&out->trained, "\1", 1);
	return text_status(&out->trained);
}

static int add_episode(const struct job_reader *reader, const struct problem *p, const char *text,
                       struct arena *a, struct sft_completion *out)
{
	struct environment        e;
	struct environment_piece *pieces;
	int                       n;

	TRY(environment_open(p, a, &e));
	TRY(environment_read(&e, text, strlen(text), a, &pieces, &n));
	for (int i = 0; i < n; i++)
		TRY(sft_add_tokens(reader, text + pieces[i].first, pieces[i].n,
		                   pieces[i].observation, out));
	return e.done ? OK : add_end(reader, out);
}

static int tokenize_completion(const struct job_reader *reader, const struct problem *p,
                               struct arena *a, struct sft_completion *out)
{
	const char *text = p->n_demonstrations ? p->demonstrations[0] : p->answer;

	if (!text)
		return error_set(
		        ERR_INPUT,
		        "problem %s: it has neither a demonstration nor an answer to learn from%s",
		        p->id,
		        *problem_begun(p) ? "; its prompt ends with the assistant's message, from "
		                            "which a completion goes on: a "
		                            "conversation to learn from stands in a column messages"
		                          : "");
	out->ids.n = out->trained.n = 0;
	if (environment_has(p))
		return add_episode(reader, p, text, a, out);
	TRY(sft_add_tokens(reader, text, strlen(text), 0, out));
	return add_end(reader, out);
}

static int keep_completion(const struct sft_completion *from, struct arena *a, struct worked *out)
{
	int  *ids;
	char *trained;

	assert(from->ids.n > 0 && from->trained.n == from->ids.n);
	TRY(arena_take(a, from->ids.n, "a worked completion", &ids));
	TRY(arena_copy(a, from->trained.data, from->trained.n, &trained));
	memcpy(ids, from->ids.id, from->ids.n * sizeof *ids);
	*out = (struct worked){ids, (const unsigned char *)trained, (int)from->ids.n};
	return OK;
}

/* Where the worked completion of a prompt stands: by its problem, so that prompts may be left out
 * and mixed. */
static struct worked *worked_of(const struct job_data *d, int item)
{
	assert(d->worked && item >= 0 && item < d->train.prompts.n);
	return &d->worked[d->train.prompts.problems[item] - d->train.problems];
}

/* Tokens of prompt and completion where they are too many for the model, else 0. */
static int too_long(const struct job_data *d, int i, int positions,
                    const struct sft_completion *completion, int *out)
{
	int tokens = d->train.prompts.contexts[i].n + (int)completion->ids.n;

	*out = tokens > positions ? tokens : 0;
	if (*out && d->config->data.refuse_long)
		return error_set(ERR_INPUT,
		                 "problem %s: prompt and completion have %d tokens, the model %d "
		                 "positions; leave such problems out with "
		                 "data.overlong_prompts=drop",
		                 d->train.prompts.problems[i]->id, tokens, positions);
	return OK;
}

static int tokenize_all(const struct job_reader *reader, struct job_data *d, int *tokens,
                        int *n_too_long)
{
	int                   status = OK;
	struct sft_completion completion = {0};
	struct arena          scratch = {0};

	for (int i = 0; status == OK && i < d->train.prompts.n; i++) {
		arena_reset(&scratch);
		status = tokenize_completion(reader, d->train.prompts.problems[i], &scratch,
		                             &completion);
		if (status == OK)
			status = too_long(d, i, reader->n_positions, &completion, &tokens[i]);
		if (status == OK)
			status = keep_completion(&completion, &d->arena, worked_of(d, i));
		*n_too_long += tokens[i] > 0;
	}
	ids_free(&completion.ids);
	text_free(&completion.trained);
	arena_free(&scratch);
	return status;
}

int sft_open(const struct job_reader *reader, struct job_data *d)
{
	const struct prompts_options o = job_data_prompts(d, reader);
	int                         *tokens, n_too_long = 0;

	TRY(arena_take(&d->arena, (size_t)d->train.prompts.n, "lengths of problems", &tokens));
	TRY(arena_take(&d->arena, (size_t)d->train.n, "the worked completions", &d->worked));
	TRY(tokenize_all(reader, d, tokens, &n_too_long));
	return n_too_long ? problems_leave_out(&o, tokens, &d->arena, &d->train) : OK;
}

/* The prompt of the i-th example of this step: with its hint for a keyed share of those where both
 * have room. */
static const struct context *prompt_of(const struct job_data    *data,
                                       const struct job_sampler *sampler, int step, int item, int i)
{
	struct rng_key key = {sampler->rollout.seed, RNG_HINT, (uint32_t)step, (uint32_t)item,
	                      (uint32_t)i};
	const struct context *hinted = sampler->config->sft.hint_rate > 0
	                                       ? &sampler->guidance.hinted.contexts[item]
	                                       : NULL;

	if (hinted && hinted->n > 0 &&
	    hinted->n + worked_of(data, item)->n <= sampler->rollout.n_positions &&
	    (double)rng_uniform(key, 0) < sampler->config->sft.hint_rate)
		return hinted;
	return &data->train.prompts.contexts[item];
}

/* The worked completions that the curriculum picks, as a batch with advantage 1 on every token that
 * is trained. */
static int sft_batch(const struct job_data *data, const struct job_sampler *sampler, int step,
                     int n, struct arena *a, struct batch *b)
{
	int *picked;

	TRY(arena_take(a, (size_t)n, "the picked problems", &picked));
	curriculum_pick(sampler->curriculum, n, picked);
	TRY(batch_new(n, a, b));
	for (int i = 0; i < n; i++)
		b->offset[i + 1] = b->offset[i] + worked_of(data, picked[i])->n;
	TRY(BATCH_TAKE(b, prompt, a));
	TRY(BATCH_TAKE(b, id, a));
	TRY(BATCH_TAKE(b, trained, a));
	TRY(BATCH_TAKE(b, advantage, a));
	for (int i = 0; i < n; i++) {
		const struct worked *completion = worked_of(data, picked[i]);
		int                  first = b->offset[i];
		b->prompt[i] = prompt_of(data, sampler, step, picked[i], i);
		memcpy(b->id + first, completion->ids, (size_t)completion->n * sizeof *b->id);
		memcpy(b->trained + first, completion->trained, (size_t)completion->n);
	}
	for (int t = 0; t < b->offset[n]; t++)
		b->advantage[t] = 1;
	return OK;
}

/* Tokens of the prompts and completions of a batch. */
static int64_t sft_seen(const struct batch *b)
{
	int64_t n = b->offset[b->n];

	for (int i = 0; i < b->n; i++)
		n += b->prompt[i]->n;
	return n;
}

/* Sums are those of the one update of the step. */
static int sft_report(const struct job_config *c, struct job_record *r, double seconds,
                      double learning_rate, int64_t seen, const struct update_report *u)
{
	struct metrics    m = {.table = &step_metrics};
	struct step_stats s = {.step = r->step,
	                       .seconds = seconds,
	                       .learning_rate = learning_rate,
	                       .loss = u->objective.loss,
	                       .entropy = u->objective.entropy,
	                       .entropy_tokens = u->objective.tokens,
	                       .learn.update = *u,
	                       .learn.tokens = u->objective.tokens,
	                       .seconds_learn = seconds};
	char              line[128];

	r->n_tokens += (int64_t)u->objective.tokens;
	r->n_seen += seen;
	s.num_tokens = (double)r->n_tokens;
	s.num_seen = (double)r->n_seen;
	TRY(metric_table_fill(&step_metrics, LINE_SFT, &c->base, &s, &m));
	best_see_step(c, &m, r->step, &r->best);
	snprintf(line, sizeof line, "loss %.4f  grad %.3f  %.0f tokens/s", s.loss, u->grad_norm,
	         u->objective.tokens / seconds);
	progress_step(&r->progress, r->step, c->run.max_steps, line);
	return job_record_write(r, &m);
}

int sft_step(struct job *job)
{
	const struct job_config *c = &job->config;
	struct job_learner      *l = &job->learner;
	int                      step = job->record.step;
	double                   start = clock_seconds(), rate = schedule_at(&l->schedule, step);
	struct update_report     u = {0};
	struct batch             b;

	watchdog_phase(WATCHDOG_UPDATE);
	arena_reset(&job->step_arena);
	TRY(sft_batch(&job->data, &job->sampler, step, c->sft.batch_size, &job->step_arena, &b));
	TRY(policy_update(&l->policy, &l->learn.algorithm, &b, rate, &u));
	if (u.skipped)
		return error_set(ERR_FAILED,
		                 "step %d: the gradient is not finite; the last good checkpoint "
		                 "stays; lower optim.learning_rate",
		                 step);
	curriculum_observe(job->sampler.curriculum, NULL, 0);
	job->record.step++;
	return sft_report(c, &job->record, clock_seconds() - start, rate, sft_seen(&b), &u);
}

int sft_run(struct job *job)
{
	return loop_run(job, sft_step);
}
