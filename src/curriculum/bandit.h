/* bandit.h - what sec and dump share: scores of arms become probabilities, and keyed chance draws
 * an arm.
 *
 *     P_a = softmax(score / temperature)_a           bandit_settle, once after scores changed:
 *                                                    O(arms)
 *     arm of draw d: the first a with  u_d < P_0 + ... + P_a,  u_d keyed (seed, RNG_CURRICULUM, d)
 *                                                              bandit_draw: O(log arms)
 *
 * The number of draws so far is state; scores are the method's. */
#ifndef CURRICULUM_BANDIT_H
#define CURRICULUM_BANDIT_H

#include "curriculum/arms.h"

struct bandit {
	const struct arms *arms;
	uint64_t           seed;
	double             temperature;
	/* [arms] score: set by the method; up_to: cumulated probabilities */
	double *score, *probability, *up_to;
	int64_t draws;
	int     settled; /* probability and up_to belong to score */
};

/* all scores 0; after an error, too, bandit_free(out) is due */
int  bandit_new(const struct curriculum_problems *p, struct bandit *out);
void bandit_free(struct bandit *b);
/* the method sets settled = 0 when it changed a score */
void bandit_settle(struct bandit *b);
int  bandit_draw(struct bandit *b); /* an arm */
/* a number in [0, n), keyed like the draw before it */
int  bandit_below(const struct bandit *b, int n);
void bandit_probabilities(struct bandit *b, double *P /* [arms] */);

int bandit_save(const struct bandit *b, json_t *object); /* "draws" and, of the arms, their hash */
int bandit_load(struct bandit *b, const char *place, const json_t *object);

#endif
