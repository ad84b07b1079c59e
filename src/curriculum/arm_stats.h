/* arm_stats.h - what was drawn of each arm in a step, and what came of it, as metrics.
 *
 *     curriculum/ARM/probability    with which each draw of the step took the arm; only for
 *                                   curricula that have such a number
 *     curriculum/ARM/count          problems of it that were drawn in the step
 *     curriculum/ARM/advantage      mean |A| over the completions for them; |A|: curriculum.h
 *     curriculum/ARM/accuracy       mean over the completions for them
 *     curriculum/entropy            of the probabilities, in nats: exp of it is the number of arms
 *                                   in use
 *
 * Advantage and accuracy of an arm are absent in a step in which it had no completion. ARM is the
 * name; beyond 48 bytes it is cut and its number added ("~17"). Beyond ARM_STATS_SHOWN arms,
 * neighbours in the order of arms.h (by difficulty) are shown as one, "arms 1-625": the metrics
 * stay bounded and nothing is lost. Probabilities and counts are sums, so they still add up to the
 * whole; the others are means over all completions. */
#ifndef CURRICULUM_ARM_STATS_H
#define CURRICULUM_ARM_STATS_H

#include "curriculum/arms.h"

enum { ARM_STATS_SHOWN = 16 };

struct arm_sums {
	double count, completions, advantage, graded, accuracy;
};

struct arm_stats {
	const struct arms *arms;
	double            *probability; /* [arms] */
	struct arm_sums   *sums;        /* [arms] */
};

/* after an error, too, arm_stats_free(out) is due */
int  arm_stats_new(const struct arms *arms, struct arm_stats *out);
void arm_stats_free(struct arm_stats *s);
void arm_stats_clear(struct arm_stats *s);
void arm_stats_observe(struct arm_stats *s, const struct curriculum_outcome *o);
int  arm_stats_metrics(const struct arm_stats *s, int with_probability, json_t *metrics); /* ADDS */

#endif
