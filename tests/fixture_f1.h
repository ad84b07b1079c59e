/* fixture_f1.h - four answers to one problem, rewards (1, 0, 0, 1), lengths (3, 2, 1, 4), on which
 * every estimator was worked out by hand outside this program. */
#ifndef FIXTURE_F1_H
#define FIXTURE_F1_H

#include "estimator/advantage.h"
#include "estimator/algorithm.h"
#include "estimator/objective.h"

/* The columns of a batch may be written, so they are no constants; no test writes these. */
#define F1 static __attribute__((unused))
enum { F1_R = 4, F1_T = 10 };
F1 int           f1_offset[F1_R + 1] = {0, 3, 5, 6, 10};
F1 unsigned char f1_trained[F1_T] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
F1 int64_t       f1_group[F1_R] = {7, 7, 7, 7};
F1 double        f1_reward[F1_R] = {1, 0, 0, 1};
F1 float f1_new[F1_T] = {-0.7f, -0.6f, -1.5f, -1.3f, -1.1f, -1.6f, -0.25f, -1.3f, -1.0f, -0.2f};
F1 float f1_old[F1_T] = {-1.0f, -0.5f, -2.0f, -0.8f, -1.2f, -1.6f, -0.3f, -0.9f, -1.4f, -0.2f};
F1 float f1_ref[F1_T] = {-1.1f, -0.4f, -1.8f, -0.9f, -1.0f, -1.6f, -0.3f, -0.8f, -1.2f, -0.25f};
F1 float f1_rollout[F1_T] = {-1.1f, -0.5f, -3.0f, -0.8f, -1.3f, -1.6f, -0.3f, -0.9f, -1.4f, -0.2f};

/* What advantages are estimated from. */
static inline struct batch f1(void)
{
	return (struct batch){.n = F1_R,
	                      .offset = f1_offset,
	                      .trained = f1_trained,
	                      .group = f1_group,
	                      .reward = f1_reward,
	                      .logp_old = f1_old,
	                      .logp_ref = f1_ref};
}

/* A copy of a row, to be changed. */
static inline struct algorithm f1_algorithm(const char *name)
{
	struct algorithm a = *algorithm_find(name);

	a.max_completion_length = 4;
	return a;
}

static inline int advantage_into(const struct algorithm *a, struct batch b, struct arena *scratch,
                                 float *advantage, struct advantage_stats *stats)
{
	b.advantage = advantage;
	return advantage_fill(a, &b, scratch, stats);
}

/* The head terms of a batch into c and h. */
static inline int eval_into(const struct algorithm *a, struct batch b, const struct totals *totals,
                            float *c, float *h, struct objective_stats *stats)
{
	b.c = c;
	b.h = h;
	return objective_eval(a, &b, totals, stats);
}

#endif
