#include "rl/sft.h"

#include "base/clock.h"
#include "base/error.h"
#include "rl/loop.h"
#include "rl/step_metrics.h"
#include "rl/step_report.h"
#include "world/environment.h"

#include <string.h>

struct sft_completion { /* being tokenized */
	struct ids  ids;
	struct text trained; /* a byte a token */
};

static int sft_add_tokens(const struct job *job, const char *text, size_t n, int observation,
                          struct sft_completion *out)
{
	const char trained = !observation;

	TRY(tokenizer_encode(job->tokenizer, text, n, 0, &out->ids));
	while (out->trained.n < out->ids.n && !out->trained.failed)
		text_add(&out->trained, &trained, 1);
	return text_status(&out->trained);
}

static int add_end(const struct job *job, struct sft_completion *out)
{
	TRY(ids_add(&out->ids, &job->model->weights.shape.eos[0], 1));
	text_add(&out->trained, "\1", 1);
	return text_status(&out->trained);
}

static int add_episode(const struct job *job, const struct problem *p, const char *text,
                       struct arena *a, struct sft_completion *out)
{
	struct environment        e;
	struct environment_piece *pieces;
	int                       n;

	TRY(environment_open(p, a, &e));
	TRY(environment_read(&e, text, strlen(text), a, &pieces, &n));
	for (int i = 0; i < n; i++)
		TRY(sft_add_tokens(job, text + pieces[i].first, pieces[i].n, pieces[i].observation,
		                   out));
	return e.done ? OK : add_end(job, out);
}

static int tokenize_completion(const struct job *job, int i, struct arena *a,
                               struct sft_completion *out)
{
	const struct problem *p = job->train.prompts.problems[i];
	const char           *text = p->n_demonstrations ? p->demonstrations[0] : p->answer;

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
		return add_episode(job, p, text, a, out);
	TRY(sft_add_tokens(job, text, strlen(text), 0, out));
	return add_end(job, out);
}

static int keep_completion(const struct sft_completion *from, struct arena *a, struct worked *out)
{
	int  *ids = arena_alloc(a, from->ids.n, sizeof *ids);
	char *trained = arena_text(a, from->trained.data, from->trained.n);

	if (!ids || !trained)
		return ERR_INPUT;
	memcpy(ids, from->ids.id, from->ids.n * sizeof *ids);
	*out = (struct worked){ids, (const unsigned char *)trained, (int)from->ids.n};
	return OK;
}

/* Where the worked completion of a prompt stands: by its problem, so that prompts may be left out
 * and mixed. */
static struct worked *worked_of(const struct job *job, int item)
{
	return &job->worked[job->train.prompts.problems[item] - job->train.problems];
}

/* Tokens of prompt and completion where they are too many for the model, else 0. */
static int too_long(const struct job *job, int i, const struct sft_completion *completion, int *out)
{
	int tokens = job->train.prompts.contexts[i].n + (int)completion->ids.n,
	    positions = job->model->weights.shape.n_positions;

	*out = tokens > positions ? tokens : 0;
	if (*out && job->config.data.refuse_long)
		return error_set(ERR_INPUT,
		                 "problem %s: prompt and completion have %d tokens, the model %d "
		                 "positions; leave such problems out with "
		                 "data.overlong_prompts=drop",
		                 job->train.prompts.problems[i]->id, tokens, positions);
	return OK;
}

static int tokenize_all(struct job *job, int *tokens, int *n_too_long)
{
	int                   status = OK;
	struct sft_completion completion = {0};
	struct arena          scratch = {0};

	for (int i = 0; status == OK && i < job->train.prompts.n; i++) {
		arena_reset(&scratch);
		status = tokenize_completion(job, i, &scratch, &completion);
		if (status == OK)
			status = too_long(job, i, &completion, &tokens[i]);
		if (status == OK)
			status = keep_completion(&completion, &job->arena, worked_of(job, i));
		*n_too_long += tokens[i] > 0;
	}
	ids_free(&completion.ids);
	text_free(&completion.trained);
	arena_free(&scratch);
	return status;
}

int sft_open(struct job *job)
{
	const struct prompts_options o = problems_prompts(&job->config, job->tokenizer,
	                                                  job->model->weights.shape.n_positions);
	int *tokens = arena_alloc(&job->arena, (size_t)job->train.prompts.n, sizeof *tokens),
	    n_too_long = 0;

	job->worked = arena_alloc(&job->arena, (size_t)job->train.n, sizeof *job->worked);
	if (!job->worked || !tokens)
		return ERR_INPUT;
	TRY(tokenize_all(job, tokens, &n_too_long));
	return n_too_long ? problems_leave_out(&o, tokens, &job->arena, &job->train) : OK;
}

/* The prompt of the i-th example of this step: with its hint for a keyed share of those where both
 * have room. */
static const struct context *prompt_of(const struct job *job, int item, int i)
{
	struct rng_key        key = {(uint64_t)job->config.run.seed, RNG_HINT, (uint32_t)job->step,
	                             (uint32_t)item, (uint32_t)i};
	const struct context *hinted =
	        job->config.sft.hint_rate > 0 ? &job->guidance.hinted.contexts[item] : NULL;

	if (hinted && hinted->n > 0 &&
	    hinted->n + worked_of(job, item)->n <= job->model->weights.shape.n_positions &&
	    (double)rng_uniform(key, 0) < job->config.sft.hint_rate)
		return hinted;
	return &job->train.prompts.contexts[item];
}

/* The picked worked completions as a batch with advantage 1 on every token that is trained. */
static int sft_batch(struct job *job, const int *picked, int n, struct batch *b)
{
	struct arena *a = &job->step_arena;

	TRY(batch_new(n, a, b));
	for (int i = 0; i < n; i++)
		b->offset[i + 1] = b->offset[i] + worked_of(job, picked[i])->n;
	TRY(BATCH_TAKE(b, prompt, a));
	TRY(BATCH_TAKE(b, id, a));
	TRY(BATCH_TAKE(b, trained, a));
	TRY(BATCH_TAKE(b, advantage, a));
	for (int i = 0; i < n; i++) {
		const struct worked *completion = worked_of(job, picked[i]);
		int                  first = b->offset[i];
		b->prompt[i] = prompt_of(job, picked[i], i);
		memcpy(b->id + first, completion->ids, (size_t)completion->n * sizeof *b->id);
		memcpy(b->trained + first, completion->trained, (size_t)completion->n);
	}
	for (int t = 0; t < b->offset[n]; t++)
		b->advantage[t] = 1;
	return OK;
}

/* Sums are those of the one update of the step. */
static int sft_report(struct job *job, double seconds, double learning_rate,
                      const struct update_report *u)
{
	struct metrics    m = {.table = &step_metrics};
	struct step_stats s = {.step = job->step,
	                       .seconds = seconds,
	                       .learning_rate = learning_rate,
	                       .loss = u->objective.loss,
	                       .entropy = u->objective.entropy,
	                       .entropy_tokens = u->objective.tokens,
	                       .learn.update = *u};
	char              line[128];

	job->n_tokens += (int64_t)u->objective.tokens;
	s.num_tokens = (double)job->n_tokens;
	TRY(metric_table_fill(&step_metrics, LINE_SFT, &job->config.base, &s, &m));
	snprintf(line, sizeof line, "loss %.4f  grad %.3f  %.0f tokens/s", s.loss, u->grad_norm,
	         u->objective.tokens / seconds);
	progress_step(&job->progress, job->step, job->config.run.max_steps, line);
	return step_log(job, &m);
}

static int sft_step(struct job *job)
{
	int    n = job->config.sft.batch_size, *picked;
	double start = clock_seconds(), learning_rate = schedule_at(&job->schedule, job->step);
	struct update_report u = {0};
	struct batch         b;

	arena_reset(&job->step_arena);
	picked = arena_alloc(&job->step_arena, (size_t)n, sizeof *picked);
	if (!picked)
		return ERR_INPUT;
	curriculum_pick(job->curriculum, n, picked);
	TRY(sft_batch(job, picked, n, &b));
	TRY(policy_update(&job->policy, &job->algorithm, &b, learning_rate, &u));
	if (u.skipped)
		return error_set(ERR_FAILED,
		                 "step %d: the gradient is not finite; the last good checkpoint "
		                 "stays; lower optim.learning_rate",
		                 job->step);
	curriculum_observe(job->curriculum, NULL, 0);
	job->step++;
	return sft_report(job, clock_seconds() - start, learning_rate, &u);
}

int sft_run(struct job *job)
{
	return loop_run(job, sft_step);
}
