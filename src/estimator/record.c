#include "estimator/record.h"

const char *const span_kind_name[SPAN_KINDS] = {"think", "plan", "answer", "turn", "observation"};

const char *mark_name(enum mark m)
{
	return m == MARK_RIGHT ? "true" : m == MARK_WRONG ? "false" : "null";
}

int rollout_generated(const struct rollout *r)
{
	int n = r->n;

	for (int i = 0; i < r->n_spans; i++)
		n -= r->spans[i].kind == SPAN_OBSERVATION ? r->spans[i].count : 0;
	return n;
}

int rollout_is_right(const struct rollout *r)
{
	return r->right == MARK_RIGHT;
}

int group_right_varies(const struct group *g)
{
	int right = 0, wrong = 0;

	for (int i = 0; i < g->n; i++) {
		right += g->rollouts[i].right == MARK_RIGHT;
		wrong += g->rollouts[i].right == MARK_WRONG;
	}
	return right > 0 && wrong > 0;
}
