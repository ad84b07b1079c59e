#include "rl/reward.h"

#include "base/error.h"
#include "base/rng.h"
#include "task/span.h"

#include <math.h>
#include <string.h>

int reward_text(const struct tokenizer *t, struct rollout *r, struct arena *a)
{
	struct text text = {0};
	int         status = tokenizer_decode(t, r->ids, (size_t)r->n, 1, &text);

	r->n_text = text.n;
	r->text = status == OK ? arena_text(a, text.data ? text.data : "", text.n) : NULL;
	text_free(&text);
	if (status == OK && !r->text)
		return ERR_INPUT;
	return status;
}

static int keep_answer(struct rollout *r, struct arena *a)
{
	struct span whole = {r->text, r->n_text}, answer;

	span_answer(whole, &answer);
	answer = span_trim(answer);
	r->answer = r->parsed ? arena_text(a, answer.s, answer.n) : NULL;
	return r->parsed && !r->answer ? ERR_INPUT : OK;
}

/* One answer; writes the unweighted parts to components [reward->n]. */
static int score(const struct reward_spec *reward, const struct reward_spec *accuracy, const struct problem *p, struct rollout *r,
                 double *components)
{
	const struct completion c = {.text = r->text, .n = r->n_text, .finished = !r->truncated, .n_tokens = r->n};
	struct verdict          v;

	TRY(verifier_score(reward, p, &c, &v));
	r->reward = v.reward;
	for (int i = 0; i < reward->n; i++)
		components[i] = v.part[i].reward;
	r->components = components;
	r->n_components = reward->n;
	TRY(verifier_score(accuracy, p, &c, &v));
	r->parsed = v.parsed;
	r->accuracy = isnan(v.reward) ? v.reward : fmin(fmax(v.reward, 0), 1);
	return OK;
}

int reward_score(const struct reward_spec *reward, const struct reward_spec *accuracy, const struct tokenizer *t, struct group *groups,
                 int n, struct arena *a)
{
	int              n_rows = 0, row = 0;
	struct rollout **rows;
	struct group   **of;
	double          *components;
	int              failed = OK;

	for (int g = 0; g < n; g++)
		n_rows += groups[g].n;
	rows = arena_alloc(a, (size_t)n_rows, sizeof *rows);
	of = arena_alloc(a, (size_t)n_rows, sizeof *of);
	components = arena_alloc(a, (size_t)n_rows * (size_t)reward->n, sizeof *components);
	if (!rows || !of || !components)
		return ERR_INPUT;
	for (int g = 0; g < n; g++)
		for (int i = 0; i < groups[g].n; i++, row++) {
			rows[row] = &groups[g].rollouts[i];
			of[row] = &groups[g];
			TRY(reward_text(t, rows[row], a));
		}
#pragma omp parallel for schedule(dynamic, 1)
	for (int i = 0; i < n_rows; i++)
		if (score(reward, accuracy, of[i]->problem, rows[i], components + (size_t)i * (size_t)reward->n) != OK) {
#pragma omp critical
			failed = i + 1;
		}
	if (failed) /* again, in this thread, for its message */
		return score(reward, accuracy, of[failed - 1]->problem, rows[failed - 1], components);
	for (int i = 0; i < n_rows; i++)
		TRY(keep_answer(rows[i], a));
	return OK;
}

int reward_permute(struct group *groups, int n, uint64_t seed, uint32_t step, struct arena *a)
{
	for (int g = 0; g < n; g++) {
		const struct rng_key key = {seed, RNG_PERMUTE, step, (uint32_t)groups[g].id, 0};
		size_t               G = (size_t)groups[g].n;
		uint32_t            *order = arena_alloc(a, G, sizeof *order);
		double              *reward = arena_alloc(a, G, sizeof *reward);
		if (!order || !reward)
			return ERR_INPUT;
		rng_permutation(key, (uint32_t)G, order);
		for (size_t i = 0; i < G; i++)
			reward[i] = groups[g].rollouts[order[i]].reward;
		for (size_t i = 0; i < G; i++)
			groups[g].rollouts[i].reward = reward[i];
	}
	return OK;
}
