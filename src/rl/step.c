#include "rl/step.h"

#include "base/clock.h"
#include "base/error.h"
#include "rl/outcome.h"
#include "rl/reward.h"

static int step_score(struct job *job, struct group *groups, int n)
{
	TRY(reward_score(&job->reward, &job->eval_reward, job->tokenizer, groups, n,
	                 &job->step_arena));
	return job->config.task.token_rewards
	               ? reward_follow(&job->reward, job->tokenizer, groups, n, &job->step_arena)
	               : OK;
}

int step_sample(struct job *job, const int *picked, int n, struct step *s)
{
	int    first = s->sampled.n;
	double start = clock_seconds(), middle;

	TRY(rollout_sample(job->decoder, &job->rollout, &job->train.prompts, picked, n,
	                   (uint32_t)job->step, &job->step_arena, &s->sampled));
	middle = clock_seconds();
	TRY(step_score(job, s->sampled.items + first, s->sampled.n - first));
	if (job->config.task.permute_rewards)
		TRY(reward_permute(s->sampled.items + first, s->sampled.n - first,
		                   (uint64_t)job->config.run.seed, (uint32_t)job->step,
		                   &job->step_arena));
	s->stats.seconds_rollout += middle - start;
	s->stats.seconds_reward += clock_seconds() - middle;
	return OK;
}

/* Guided completions for the failed ones among the sampled groups first ..; *groups [n] says which
 * those are. */
static int sample_guided(struct job *job, int first, struct step *s, int **groups, int *n)
{
	int  left = s->sampled.n - first;
	int *picked = arena_alloc(&job->step_arena, (size_t)left, sizeof *picked);

	*groups = arena_alloc(&job->step_arena, (size_t)left, sizeof **groups);
	*n = 0;
	if (!picked || !*groups)
		return ERR_INPUT;
	for (int g = first; g < s->sampled.n; g++) {
		int item = s->sampled.items[g].item,
		    hint = job->guidance.hinted.contexts[item].n > 0;
		if (!guidance_failed(&job->guidance, &s->sampled.items[g]))
			continue;
		s->stats.guidance.failed++;
		s->stats.guidance.without_hint += !hint;
		if (hint) {
			picked[*n] = item;
			(*groups)[(*n)++] = g;
		}
	}
	if (*n == 0)
		return OK;
	TRY(guidance_sample(&job->guidance, job->decoder, &job->rollout, &job->train.prompts,
	                    picked, *n, (uint32_t)job->step, &job->step_arena, &s->guided));
	return step_score(job, s->guided.items + s->guided.n - *n, *n);
}

static void count_guided(const struct group *g, struct guidance_stats *s)
{
	for (int i = 0; i < g->n; i++) {
		s->completions++;
		s->right += rollout_is_right(&g->rollouts[i]);
		s->tokens += rollout_generated(&g->rollouts[i]);
	}
}

int step_guide(struct job *job, int first, struct step *s)
{
	double start = clock_seconds();
	int    n, kept, *groups;

	for (int g = first; g < s->sampled.n; g++)
		s->edited.items[s->edited.n++] = s->sampled.items[g];
	if (job->guidance.num_generations == 0)
		return OK;
	TRY(sample_guided(job, first, s, &groups, &n));
	for (int i = 0; i < n; i++) {
		const struct group *guided = &s->guided.items[s->guided.n - n + i];
		TRY(guidance_merge(&job->guidance, &s->sampled.items[groups[i]], guided,
		                   &job->step_arena, &s->edited.items[groups[i]], &kept));
		s->stats.guidance.kept += kept;
		count_guided(guided, &s->stats.guidance);
	}
	s->stats.seconds_guidance += clock_seconds() - start;
	return OK;
}

int step_observe(struct job *job, const struct step *s)
{
	struct curriculum_outcome *outcomes;

	TRY(outcome_of_groups(s->sampled.items, s->sampled.n, &job->step_arena, &outcomes));
	curriculum_observe(job->curriculum, outcomes, s->sampled.n);
	return OK;
}
