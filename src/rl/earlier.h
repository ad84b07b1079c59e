/* earlier.h - the newest completions of each problem, for speculative decoding to guess from
 * (model/draft.h). They stay in memory: a resumed run begins without them, which costs speed and
 * changes no bit. When EARLIER_TOKENS are held, other problems are not remembered. */
#ifndef RL_EARLIER_H
#define RL_EARLIER_H

#include "estimator/record.h"

enum { EARLIER_TOKENS = 1 << 22 };

struct earlier {
	struct earlier_group {
		int *ids; /* [n] owned; the completions, DRAFT_START before each */
		int  n;
	} * items; /* [n] by problem */
	int    n;
	size_t tokens; /* held */
};

int  earlier_new(int n_problems, struct earlier *out);
void earlier_free(struct earlier *e); /* one that is all zero, too */

/* Remembers the completions of a group in the place of those of its problem before. */
int earlier_remember(struct earlier *e, const struct group *g);

#endif
