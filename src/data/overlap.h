/* overlap.h - the same question twice: within a set of problems, and between those that are learned
 * and those that are held out.
 *
 *     question     the prompt as the row has it, before data.prompt_template; of messages the
 *                  contents of all but the system's, a newline between two
 *     normalised   ASCII letters small; each run of white space one blank; none at the ends.
 *                  Nothing else: "2+2?" and "2 + 2?" are two questions, and so is one with an
 *                  instruction of its row behind it: likeness.h finds those
 *     compared by  128 bits of FNV-1a (Fowler, Noll, Vo; draft-eastlake-fnv) of the normalised
 *                  text: among 10^6 questions the chance that any two different ones agree is below
 *                  10^-26
 *
 * Linear in the bytes, plus one sort: 100,000 problems take a fraction of a second. */
#ifndef DATA_OVERLAP_H
#define DATA_OVERLAP_H

#include "base/memory.h"
#include "data/problem.h"

/* Writes p->question from the prompt or the messages at hand. A problem that nobody marked is like
 * no other. */
void overlap_mark(struct problem *p);

struct overlap { /* a problem that asks what another one asks */
	const struct problem *problem, *same_as;
};

struct overlaps {
	struct overlap *items; /* [n] in the order of the problems */
	int             n;
};

/* The problems that ask what an earlier one of the set asks; same_as is the first of them. */
int overlap_within(const struct problem *p, int n, struct arena *a, struct overlaps *out);

/* The held-out problems whose question is trained on; same_as is the first training problem with
 * it. */
int overlap_between(const struct problem *train, int n_train, const struct problem *held_out,
                    int n_held_out, struct arena *a, struct overlaps *out);

#endif
