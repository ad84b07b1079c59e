/* sec.h - Self-Evolving Curriculum: a bandit whose reward is how much there is to learn from an arm
 * now (arXiv:2505.14970).
 *
 *     r_a = mean of |A| over all completions for problems of arm a in this step; |A|: curriculum.h
 *     Q_a <- (1 - alpha) Q_a + alpha r_a,  Q_a = 0 at the start
 *     P_a = softmax(Q / temperature)_a
 *
 *     an arm without a usable completion in the step
 *         keep_unsampled = 0   r_a = 0, so that it decays towards 0, as the authors' released code
 *                              does
 *         keep_unsampled = 1   Q_a stays, the textbook's TD(0)
 *
 * |A| is largest where about half of the completions are right (binary rewards, m of them right: 2
 * sqrt((G-1)/G) sqrt(m(1-m))), and 0 where all are equal.
 *
 * Each problem of a step draws its arm independently, then takes the next problem of that arm's own
 * shuffled pass (deck.h): none comes twice before all of the arm were there. An arm that is used up
 * begins its next pass by itself. (The released code refills all arms as soon as one runs short,
 * which brings the problems of small arms back more often.) State: Q, the passes' positions, the
 * number of draws. */
#ifndef CURRICULUM_SEC_H
#define CURRICULUM_SEC_H

#include "curriculum/curriculum.h"

extern const struct curriculum_kind curriculum_sec;

/* One update of all arms; mean [n] is NaN for an arm without a completion in the step. */
void sec_update(double alpha, int keep_unsampled, const double *mean, int n, double *Q);

#endif
