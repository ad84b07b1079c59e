#include "rl/step.h"

#include "base/clock.h"
#include "base/error.h"
#include "rl/outcome.h"
#include "rl/reward.h"
#include "run/watchdog.h"

#include <assert.h>

/* What this rank's completions are worth; then all ranks have all of them. */
static int step_score(const struct job_data *data, const struct job_sampler *sampler,
                      struct group *groups, int n, struct arena *a)
{
	const struct tokenizer *t = sampler->rollout.decode.tokenizer;

	watchdog_phase(WATCHDOG_JUDGING);
	TRY(reward_score(&data->reward, &data->eval_reward, t, groups, n, a));
	if (data->config->task.token_rewards)
		TRY(reward_follow(&data->reward, t, groups, n, a));
	TRY(deal_gather(sampler->rollout.lengths, groups, n, a));
	return reward_check(&data->reward, &data->eval_reward, groups, n);
}

int step_sample(const struct job_data *data, const struct job_sampler *sampler, const int *picked,
                int n, struct step *s)
{
	struct rollout_picks picks = {&data->train.prompts, picked, n, (uint32_t)s->number};
	int                  first = s->sampled.n;
	double               start = clock_seconds(), middle;

	assert(n > 0 && sampler->replay.n == 0);
	watchdog_phase(WATCHDOG_SAMPLING);
	TRY(rollout_sample(sampler->decoder, &sampler->rollout, &picks, s->arena, &s->sampled));
	middle = clock_seconds();
	TRY(step_score(data, sampler, s->sampled.items + first, s->sampled.n - first, s->arena));
	if (data->config->task.permute_rewards)
		TRY(reward_permute(s->sampled.items + first, s->sampled.n - first,
		                   (uint64_t)data->config->run.seed, (uint32_t)s->number,
		                   s->arena));
	s->stats.seconds_rollout += middle - start;
	s->stats.seconds_reward += clock_seconds() - middle;
	return OK;
}

/* Guided completions for the failed ones among the sampled groups first ..; *groups [n] says which
 * those are. */
static int sample_guided(const struct job_data *data, const struct job_sampler *sampler, int first,
                         struct step *s, int **groups, int *n)
{
	struct rollout_picks picks;
	int                  left = s->sampled.n - first, *picked;

	*n = 0;
	TRY(arena_take(s->arena, (size_t)left, "the problems to guide", &picked));
	TRY(arena_take(s->arena, (size_t)left, "the groups to guide", groups));
	for (int g = first; g < s->sampled.n; g++) {
		int item = s->sampled.items[g].item,
		    hint = sampler->guidance.hinted.contexts[item].n > 0;
		if (!guidance_failed(&sampler->guidance, &s->sampled.items[g]))
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
	picks = (struct rollout_picks){&data->train.prompts, picked, *n, (uint32_t)s->number};
	watchdog_phase(WATCHDOG_SAMPLING);
	TRY(guidance_sample(&sampler->guidance, sampler->decoder, &sampler->rollout, &picks,
	                    s->arena, &s->guided));
	return step_score(data, sampler, s->guided.items + s->guided.n - *n, *n, s->arena);
}

static void count_guided(const struct group *g, struct guidance_stats *s)
{
	for (int i = 0; i < g->n; i++) {
		s->completions++;
		s->right += rollout_is_right(&g->rollouts[i]);
		s->tokens += rollout_generated(&g->rollouts[i]);
		s->seen += g->rollouts[i].n + g->rollouts[i].sampled_under->n;
	}
}

int step_guide(const struct job_data *data, const struct job_sampler *sampler, int first,
               struct step *s)
{
	double start = clock_seconds();
	int    n, kept, *groups;

	assert(first == s->edited.n && s->sampled.n <= s->edited.capacity);
	for (int g = first; g < s->sampled.n; g++)
		s->edited.items[s->edited.n++] = s->sampled.items[g];
	if (sampler->guidance.num_generations == 0)
		return OK;
	TRY(sample_guided(data, sampler, first, s, &groups, &n));
	for (int i = 0; i < n; i++) {
		const struct group *guided = &s->guided.items[s->guided.n - n + i];
		TRY(guidance_merge(&sampler->guidance, &s->sampled.items[groups[i]], guided,
		                   s->arena, &s->edited.items[groups[i]], &kept));
		s->stats.guidance.kept += kept;
		count_guided(guided, &s->stats.guidance);
	}
	s->stats.seconds_guidance += clock_seconds() - start;
	return OK;
}

int step_observe(struct job_sampler *sampler, const struct step *s)
{
	struct curriculum_outcome *outcomes;

	TRY(outcome_of_groups(s->sampled.items, s->sampled.n, s->arena, &outcomes));
	curriculum_observe(sampler->curriculum, outcomes, s->sampled.n);
	return OK;
}
