/* fixture_f1.h - four answers to one problem, rewards (1, 0, 0, 1), lengths (3, 2, 1, 4), on which
 * every estimator was worked out by hand outside this program. */
#ifndef FIXTURE_F1_H
#define FIXTURE_F1_H

#include "estimator/algorithm.h"
#include "estimator/record.h"

enum { F1_R = 4, F1_T = 10 };
static const int           f1_offset[F1_R + 1] = {0, 3, 5, 6, 10};
static const unsigned char f1_trained[F1_T] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const int64_t       f1_group[F1_R] = {7, 7, 7, 7};
static const double        f1_reward[F1_R] = {1, 0, 0, 1};
static const float         f1_new[F1_T] = {-0.7f, -0.6f,  -1.5f, -1.3f, -1.1f,
                                           -1.6f, -0.25f, -1.3f, -1.0f, -0.2f};
static const float         f1_old[F1_T] = {-1.0f, -0.5f, -2.0f, -0.8f, -1.2f,
                                           -1.6f, -0.3f, -0.9f, -1.4f, -0.2f};
static const float         f1_ref[F1_T] = {-1.1f, -0.4f, -1.8f, -0.9f, -1.0f,
                                           -1.6f, -0.3f, -0.8f, -1.2f, -0.25f};
static const float         f1_rollout[F1_T] = {-1.1f, -0.5f, -3.0f, -0.8f, -1.3f,
                                               -1.6f, -0.3f, -0.9f, -1.4f, -0.2f};

static inline struct rows f1_rows(void)
{
	return (struct rows){F1_R, f1_offset, f1_trained};
}

/* A copy of a row, to be changed. */
static inline struct algorithm f1_algorithm(const char *name)
{
	struct algorithm a = *algorithm_find(name);

	a.max_completion_length = 4;
	return a;
}

#endif
