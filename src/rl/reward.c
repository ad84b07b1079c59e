#include "rl/reward.h"

#include "base/error.h"
#include "base/rng.h"
#include "base/stop.h"
#include "rl/deal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { PROMPT_END_TOKENS = 32 };

/* A beginning of the completion as verifiers read it: behind what the prompt had begun. */
static int decode(const struct tokenizer *t, const struct problem *p, const int *ids, int n,
                  struct text *out)
{
	text_print(out, "%s", problem_begun(p));
	return tokenizer_decode(t, ids, (size_t)n, 1, out);
}

int reward_text(const struct tokenizer *t, const struct problem *p, struct rollout *r,
                struct arena *a)
{
	struct text text = {0};
	int         status;

	assert(r->ids && r->n > 0);
	status = decode(t, p, r->ids, r->n, &text);

	r->n_text = text.n;
	r->text = NULL;
	if (status == OK)
		status = arena_copy(a, text.data ? text.data : "", text.n, &r->text);
	text_free(&text);
	return status;
}

/* What decides whether the completion is right, whose verdict is there already where it is also a
 * part of the reward. */
static int score_right(const struct reward_spec *reward, const struct reward_spec *judge,
                       const struct problem *p, const struct completion *c,
                       const struct verdict *known, struct score *out)
{
	const struct verifier *wanted = verifier_for(judge, p);
	struct verdict         v;

	for (int i = 0; i < reward->n; i++)
		if (judge->n_common == 1 && reward->verifier[i] == wanted &&
		    (known->part[i].failed || !isnan(known->part[i].reward))) {
			*out = known->part[i];
			return OK;
		}
	TRY(verifier_score(judge, p, c, &v));
	*out = (struct score){
	        .reward = v.reward, .right = v.right, .parsed = v.parsed, .failed = v.failed};
	return OK;
}

struct reward_completions { /* of several groups, as one list */
	int                    n;
	struct rollout       **rollout;    /* [n] */
	const struct problem **problem;    /* [n] */
	struct span           *prompt_end; /* [n] how the model saw its prompt end */
};

/* What stands behind an action without an answer is no completion of the problem: no verifier is
 * asked. */
static int reward_of_failed(const struct reward_spec *reward, struct rollout *r, double *components)
{
	for (int i = 0; i < reward->n; i++)
		components[i] = NAN;
	r->components = components;
	r->n_components = reward->n;
	r->reward = reward->options.on_error == COMMAND_ZERO ? 0 : NAN;
	r->failed = 1;
	r->right = MARK_UNKNOWN;
	return OK;
}

/* One completion; writes the unweighted parts to components [reward->n]. */
static int reward_score_one(const struct reward_spec *reward, const struct reward_spec *judge,
                            const struct reward_completions *all, int at, double *components)
{
	const struct problem   *p = all->problem[at];
	struct rollout         *r = all->rollout[at];
	const struct completion c = {.text = r->text,
	                             .n = r->n_text,
	                             .finished = !r->truncated,
	                             .n_tokens = r->n,
	                             .prompt_end = all->prompt_end[at],
	                             .outcome = &r->outcome};
	struct score            right;
	struct verdict          v;

	if (r->outcome.failed)
		return reward_of_failed(reward, r, components);
	TRY(verifier_score(reward, p, &c, &v));
	r->reward = v.reward;
	for (int i = 0; i < reward->n; i++)
		components[i] = v.part[i].reward;
	r->components = components;
	r->n_components = reward->n;
	r->failed = v.failed;
	TRY(score_right(reward, judge, p, &c, &v, &right));
	r->parsed = right.parsed;
	r->failed |= right.failed;
	r->right = isnan(right.reward) ? MARK_UNKNOWN : right.right ? MARK_RIGHT : MARK_WRONG;
	return OK;
}

/* This rank's completions of the groups. */
static int completions_of(struct group *groups, int n, struct arena *a,
                          struct reward_completions *out)
{
	int i = 0;

	*out = (struct reward_completions){0};
	for (int g = 0; g < n; g++)
		out->n += deal_is_mine(&groups[g]) ? groups[g].n : 0;
	TRY(arena_take(a, (size_t)out->n, "the completions to score", &out->rollout));
	TRY(arena_take(a, (size_t)out->n, "the problems of the completions", &out->problem));
	for (int g = 0; g < n; g++)
		for (int k = 0; k < groups[g].n && deal_is_mine(&groups[g]); k++, i++) {
			out->rollout[i] = &groups[g].rollouts[k];
			out->problem[i] = groups[g].problem;
		}
	return OK;
}

/* Bytes of the prompt's end before what it has begun of the completion, which stands in the
 * completion's text; 0 where that is not found there. */
static size_t before_begun(const struct text *t, const char *begun)
{
	size_t n = strlen(begun);

	return t->n >= n && (n == 0 || !memcmp(t->data + t->n - n, begun, n)) ? t->n - n : 0;
}

/* The text of the last tokens of a prompt, special ones too: a template may end in <think>. */
static int read_prompt_end(const struct tokenizer *t, const struct context *prompt,
                           const struct problem *p, struct arena *a, struct span *out)
{
	struct text text = {0};
	int         n = prompt->n < PROMPT_END_TOKENS ? prompt->n : PROMPT_END_TOKENS;
	int         status = tokenizer_decode(t, prompt->ids + prompt->n - n, (size_t)n, 0, &text);
	size_t      end = before_begun(&text, problem_begun(p)),
	       from = end > PROMPT_END_MAX ? end - PROMPT_END_MAX : 0;

	*out = (struct span){"", end - from};
	if (status == OK && end)
		status = arena_copy(a, text.data + from, end - from, &out->s);
	text_free(&text);
	return status;
}

/* Completions that share a prompt stand together. */
static int read_prompt_ends(const struct tokenizer *t, struct arena *a,
                            struct reward_completions *all)
{
	TRY(arena_take(a, (size_t)all->n, "the ends of the prompts", &all->prompt_end));
	for (int i = 0; i < all->n; i++) {
		const struct context *prompt = all->rollout[i]->sampled_under;
		all->prompt_end[i] = (struct span){"", 0};
		if (i && prompt == all->rollout[i - 1]->sampled_under)
			all->prompt_end[i] = all->prompt_end[i - 1];
		else if (prompt)
			TRY(read_prompt_end(t, prompt, all->problem[i], a, &all->prompt_end[i]));
	}
	return OK;
}

int reward_score(const struct reward_spec *reward, const struct reward_spec *judge,
                 const struct tokenizer *t, struct group *groups, int n, struct arena *a)
{
	struct reward_completions all;
	double                   *components;
	int                       failed = 0;

	TRY(completions_of(groups, n, a, &all));
	TRY(read_prompt_ends(t, a, &all));
	TRY(arena_take(a, (size_t)all.n * (size_t)reward->n, "the parts of the rewards",
	               &components));
	for (int i = 0; i < all.n; i++)
		TRY(reward_text(t, all.problem[i], all.rollout[i], a));
#pragma omp parallel for schedule(dynamic, 1)
	for (int i = 0; i < all.n; i++)
		if (!stop_now() &&
		    reward_score_one(reward, judge, &all, i,
		                     components + (size_t)i * (size_t)reward->n) != OK) {
#pragma omp critical
			failed = i + 1;
		}
	TRY(stop_check());
	if (failed) /* again, in this thread, for its message */
		return reward_score_one(reward, judge, &all, failed - 1, components);
	return OK;
}

static void reward_count_failed(const struct group *g, int *failed, int *n)
{
	for (int i = 0; i < g->n; i++)
		*failed += g->rollouts[i].failed;
	*n += g->n;
}

struct program *reward_program(const struct reward_spec *reward, const struct reward_spec *judge)
{
	return reward->command  ? reward->command
	       : judge->command ? judge->command
	                        : reward->options.world;
}

/* Which rank's command failed knows why. */
int reward_check(const struct reward_spec *reward, const struct reward_spec *judge,
                 const struct group *groups, int n_groups)
{
	struct program *c = reward_program(reward, judge);
	char            why[PROGRAM_WHY_MAX];
	int             failed = 0, mine = 0, n = 0, n_mine = 0;

	for (int g = 0; g < n_groups; g++) {
		reward_count_failed(&groups[g], &failed, &n);
		if (deal_is_mine(&groups[g]))
			reward_count_failed(&groups[g], &mine, &n_mine);
	}
	if (!c || mine == 0 || (failed < n && reward->options.on_error != COMMAND_STOP))
		return OK;
	program_failures(c, why);
	return error_set(ERR_FAILED, "%d of %d completions got no verdict: %s", failed, n, why);
}

/* Writes rise [n]. The reward of the whole completion is known: only its beginnings are scored. */
static int reward_follow_one(const struct reward_spec *reward, const struct tokenizer *t,
                             const struct reward_completions *all, int at, double *rise)
{
	const struct problem *p = all->problem[at];
	const struct rollout *r = all->rollout[at];
	double                before = 0;
	struct text           text = {0};
	int                   status = OK;

	for (int n = 0; status == OK && n <= r->n && !stop_now(); n++) {
		struct verdict v = {.reward = r->reward};
		text.n = 0;
		if (n < r->n)
			status = decode(t, p, r->ids, n, &text);
		if (n < r->n && status == OK)
			status = verifier_score(
			        reward, p,
			        &(struct completion){.text = text.data ? text.data : "",
			                             .n = text.n,
			                             .n_tokens = n,
			                             .prompt_end = all->prompt_end[at]},
			        &v);
		if (!isfinite(v.reward))
			v.reward = before;
		if (n > 0)
			rise[n - 1] = v.reward - before;
		before = v.reward;
	}
	text_free(&text);
	return status;
}

int reward_follow(const struct reward_spec *reward, const struct tokenizer *t, struct group *groups,
                  int n, struct arena *a)
{
	struct reward_completions all;
	double                  **rise;
	int                       failed = 0;

	TRY(completions_of(groups, n, a, &all));
	TRY(read_prompt_ends(t, a, &all));
	TRY(arena_take(a, (size_t)all.n, "what the tokens earn", &rise));
	for (int i = 0; i < all.n; i++) {
		TRY(arena_take(a, (size_t)all.rollout[i]->n, "what the tokens earn", &rise[i]));
		all.rollout[i]->rise = rise[i];
	}
#pragma omp parallel for schedule(dynamic, 1)
	for (int i = 0; i < all.n; i++)
		if (reward_follow_one(reward, t, &all, i, rise[i]) != OK) {
#pragma omp critical
			failed = i + 1;
		}
	TRY(stop_check());
	if (failed) /* again, in this thread, for its message */
		return reward_follow_one(reward, t, &all, failed - 1, rise[failed - 1]);
	return OK;
}

int reward_permute(struct group *groups, int n, uint64_t seed, uint32_t step, struct arena *a)
{
	for (int g = 0; g < n; g++) {
		const struct rng_key key = {seed, RNG_PERMUTE, step, (uint32_t)groups[g].id, 0};
		size_t               G = (size_t)groups[g].n;
		uint32_t            *order;
		double              *reward;
		TRY(arena_take(a, G, "an order of the rewards", &order));
		TRY(arena_take(a, G, "the rewards of a group", &reward));
		rng_permutation(key, (uint32_t)G, order);
		for (size_t i = 0; i < G; i++)
			reward[i] = groups[g].rollouts[order[i]].reward;
		for (size_t i = 0; i < G; i++)
			groups[g].rollouts[i].reward = reward[i];
	}
	return OK;
}
