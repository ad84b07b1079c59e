/* findings.h - what there is to say of the data before a run starts.
 *
 *     shares            of a weighted mixture: how often a pass has the problems of each source
 *     over-long         prompts that were left out, with their tokens
 *     first prompt      exactly as the model gets it
 *     little room       prompts that leave less of the model's positions than a completion may take
 *     unreadable        problems that were left out, with what the verifier said of their gold
 *     duplicates        training problems whose question another one before them has
 *                       (data/overlap.h)
 *     contamination     held-out problems whose question is trained on
 *     likenesses        held-out problems whose question stands almost word for word in a training
 *                       problem (data/likeness.h)
 *
 * The screen gets what is remarkable, with the first few ids; data.json in the run folder gets all
 * of it. */
#ifndef RL_FINDINGS_H
#define RL_FINDINGS_H

#include "data/likeness.h"
#include "data/overlap.h"
#include "rl/problems.h"

struct findings {
	const struct problem_set *train, *eval;
	struct overlaps           twice, contaminated;
	struct likenesses         alike;
};

/* Everything is borrowed from the sets and the arena. */
int findings_collect(const struct problem_set *train, const struct problem_set *eval,
                     struct arena *a, struct findings *out);

int findings_lines(const struct findings *f, struct text *out);
int findings_json(const struct findings *f, struct text *out);

#endif
