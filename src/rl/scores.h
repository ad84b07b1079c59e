/* scores.h - what an evaluation of one model on several files says: a table to read, and JSON to go
 * on with.
 *
 *                              problems            pass@1             pass@8 ...
 *     gsm8k                        1319    62.31% +-  1.10    81.20% +-  1.05 ...
 *     math500                       500 ...
 *       Algebra                     124 ...
 *     mean of 2 files                      ...
 *
 * The columns that follow are maj@8, reward, length and cut, the share of completions that were
 * cut off. A file's categories follow it when it has several. In the mean each file counts the
 * same; its error is sqrt(sum e_i^2) / n.
 *
 * The figures and their errors: eval.h. JSON has them as shares, with the whole curve of
 * pass@k. */
#ifndef RL_SCORES_H
#define RL_SCORES_H

#include "base/file.h"
#include "model/sampling.h"
#include "rl/eval.h"

struct score_set { /* of one file or generator */
	const char         *name;
	const char         *file; /* NULL: generated */
	struct eval_results results;
	int                 n_long; /* problems left out, their prompts being too long */
};

struct scores {
	const char       *model, *task;
	struct sampling   sampling;
	int               samples, k, max_completion_length, seed;
	struct score_set *sets; /* [n] n > 0 */
	int               n;
};

int scores_table(const struct scores *s, struct text *out);
int scores_json(const struct scores *s, struct text *out);

#endif
