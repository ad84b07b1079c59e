/* mixture.h - several sources of problems in fixed shares of what is drawn: which problem stands
 * where.
 *
 *     source     0: 3 problems, weight 1     1: 2 problems, weight 2
 *     share      1/3                         2/3
 *     entries    3                           6 of one pass
 *     order      1 0 1 | 1 0 1 | 1 0 1       spread evenly; problems of a source in their order: 0
 *                                            1 2 and 0 1 0 1 0 1
 *
 * A pass is as short as it can be while every problem stands in it at least once: M = max_s n_s /
 * share_s entries, of which source s has m_s = round(M share_s). A source goes through its problems
 * as often as that takes; where the last time is not a whole one, a permutation keyed (seed,
 * RNG_MIXTURE, source) says which problems it has. The list is made once and depends on sizes,
 * weights and seed alone. Curricula deal from it as from any other list, so that an epoch is one
 * pass, and their state is all that a resume needs. */
#ifndef DATA_MIXTURE_H
#define DATA_MIXTURE_H

#include "base/memory.h"

#include <stdint.h>

enum { MIXTURE_MAX = 1 << 24 };

struct mixture_source { /* both above 0 */
	int    n;       /* problems */
	double weight;
};

struct mixture_entry {
	int source, item; /* item: number of the problem within its source */
};

struct mixture {
	struct mixture_entry *entries; /* [n] in the arena */
	int                   n;
	int                  *count; /* [sources] entries of each */
};

/* ERR_INPUT when a pass would have more than MIXTURE_MAX entries: *largest is then the source that
 * asks for it. */
int mixture_plan(const struct mixture_source *sources, int n_sources, uint64_t seed,
                 struct arena *a, struct mixture *out, int *largest);

#endif
