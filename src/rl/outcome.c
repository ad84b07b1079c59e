#include "rl/outcome.h"

#include "base/error.h"

#include <assert.h>
#include <math.h>

#define REWARD_MAX 1e30

static int is_usable(double reward)
{
	return fabs(reward) <= REWARD_MAX;
}

void outcome_advantages(const double *reward, int n, double *advantage)
{
	double low = INFINITY, high = -INFINITY, mean = 0, square = 0;
	int    usable = 0;

	for (int i = 0; i < n; i++)
		if (is_usable(reward[i])) {
			low = fmin(low, reward[i]);
			high = fmax(high, reward[i]);
			mean += reward[i];
			usable++;
		}
	mean /= usable ? usable : 1;
	for (int i = 0; i < n; i++)
		square += is_usable(reward[i]) ? (reward[i] - mean) * (reward[i] - mean) : 0;
	for (int i = 0; i < n; i++) {
		advantage[i] = is_usable(reward[i]) ? 0 : NAN;
		if (is_usable(reward[i]) && low < high && square > 0)
			advantage[i] = fabs(reward[i] - mean) / sqrt(square / (usable - 1));
	}
}

int outcome_of_groups(const struct group *groups, int n, struct arena *a,
                      struct curriculum_outcome **out)
{
	TRY(arena_take(a, (size_t)n, "the outcomes of a step", out));
	for (int g = 0; g < n; g++) {
		int     G = groups[g].n, known = 0, right = 0;
		double *reward, *advantage;
		assert(groups[g].item >= 0); /* what the curriculum counts by */
		TRY(arena_take(a, (size_t)G, "the rewards of a group", &reward));
		TRY(arena_take(a, (size_t)G, "the advantages of a group", &advantage));
		for (int i = 0; i < G; i++) {
			reward[i] = groups[g].rollouts[i].reward;
			known += groups[g].rollouts[i].right != MARK_UNKNOWN;
			right += rollout_is_right(&groups[g].rollouts[i]);
		}
		outcome_advantages(reward, G, advantage);
		(*out)[g] = (struct curriculum_outcome){
		        groups[g].item, G, known ? (double)right / known : NAN, advantage};
	}
	return OK;
}
