/* schedule.h - the learning rate of a step: a closed form of the step, so there is nothing to save.
 *
 *     rate(t) = peak * f(t)     t = 0 for the first step, W warm-up steps, S steps in all
 *
 *     t < W    f = t / W                                       (not for `constant`)
 *     t >= W   with progress p = (t - W) / max(1, S - W), at most 1:
 *
 *     name                   f
 *     constant               1
 *     constant_with_warmup   1
 *     linear                 1 - p
 *     cosine                 (1 + cos(pi p)) / 2               SGDR (arXiv:1608.03983) without
 *                                                              restarts
 *     cosine_with_min_lr     m + (1 - m) (1 + cos(pi p)) / 2   m = min_lr_rate
 *
 * Names and values as in transformers' get_scheduler; so the first step of a warm-up has rate 0.
 * Adding one = one row in schedule.c. */
#ifndef MODEL_SCHEDULE_H
#define MODEL_SCHEDULE_H

#include <stdint.h>

struct schedule_options {
	const char *name;
	double      learning_rate; /* the peak */
	int         warmup_steps;  /* 0: ceil(warmup_ratio * total_steps) */
	double      warmup_ratio;  /* [0, 1] */
	double      min_lr_rate;   /* [0, 1]; cosine_with_min_lr only */
	int64_t     total_steps;
};

struct schedule_row; /* static */
struct schedule {
	const struct schedule_row *row;
	double                     peak, min_lr_rate;
	int64_t                    warmup, total;
};

/* ERR_INPUT for an unknown name (the message lists the known ones) and for values out of range. */
const char *schedule_name(int i); /* of row i; NULL past the last */

int    schedule_new(const struct schedule_options *o, struct schedule *out);
double schedule_at(const struct schedule *s, int64_t step);
/* the same rate at every step */
int schedule_same(const struct schedule *a, const struct schedule *b);

#endif
