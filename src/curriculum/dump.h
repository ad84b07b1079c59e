/* dump.h - DUMP: an upper-confidence bandit over the advantages of the newest completions of each
 * arm (arXiv:2504.09710).
 *
 *     W_a     |A| of the last `window` completions for problems of arm a; |A|: curriculum.h
 *     L_a   = mean of W_a, 0 while it is empty
 *     UCB_a = L_a + exploration sqrt( 2 ln(n + 1) / (n_a + 1) )
 *     P_a   = softmax(UCB / temperature)_a
 *
 *     n_a, what was seen of arm a so far, and n, of all arms, count
 *         count_prompts = 0    completions, as the authors' released code does; an arm's bonus
 *                              then fades G times sooner
 *         count_prompts = 1    problems, as the paper has it
 *
 * P is uniform at the start; temperature 0 takes the best arm alone. Each problem of a step draws
 * its arm independently, then a uniformly random problem of it, with replacement: a problem may
 * come twice in one step, and an arm never empties. Completions without a usable reward enter
 * neither W_a nor n_a.
 *
 * The released code also feeds the mean reward of held-out problems into the windows; here nothing
 * of them arrives (curriculum.h). State: the windows, the n_a, the number of draws. */
#ifndef CURRICULUM_DUMP_H
#define CURRICULUM_DUMP_H

#include "curriculum/curriculum.h"

extern const struct curriculum_kind curriculum_dump;

double dump_score(double mean, double seen, double seen_all, double exploration); /* UCB_a */

#endif
