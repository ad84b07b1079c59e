#include "rl/vote.h"

#include "base/error.h"

static struct completion completion_of(const struct rollout *r)
{
	return (struct completion){
	        .text = r->text, .n = r->n_text, .finished = !r->truncated, .n_tokens = r->n};
}

static int vote(const struct reward_spec *judge, const struct group *g, int i)
{
	struct completion mine = completion_of(&g->rollouts[i]);

	g->rollouts[i].vote = g->rollouts[i].parsed ? i : -1;
	for (int j = 0; j < i && g->rollouts[i].vote == i; j++) {
		struct completion first = completion_of(&g->rollouts[j]);
		int               same = 0;
		if (g->rollouts[j].vote == j)
			TRY(verifier_same(judge, g->problem, &first, &mine, &same));
		if (same)
			g->rollouts[i].vote = j;
	}
	return OK;
}

static int vote_in(const struct reward_spec *judge, const struct group *g)
{
	for (int i = 0; i < g->n; i++)
		TRY(vote(judge, g, i));
	return OK;
}

int vote_groups(const struct reward_spec *judge, struct group *groups, int n)
{
	int failed = 0;

#pragma omp parallel for schedule(dynamic, 1)
	for (int g = 0; g < n; g++)
		if (vote_in(judge, &groups[g]) != OK) {
#pragma omp critical
			failed = g + 1;
		}
	/* again, in this thread, for its message */
	return failed ? vote_in(judge, &groups[failed - 1]) : OK;
}
