/* diagnose.h - why a batch teaches nothing, in words that say what to change.
 *
 * A batch whose advantages are all 0 moves no weight. That has few causes, and each has a cure: */
#ifndef RL_DIAGNOSE_H
#define RL_DIAGNOSE_H

#include "rl/record.h"

enum diagnosis {
	SIGNAL_FINE,
	SIGNAL_ALL_RIGHT,      /* every answer has the best reward: harder problems */
	SIGNAL_ALL_TRUNCATED,  /* every answer was cut off: more room, or a warm start that teaches to end */
	SIGNAL_NOTHING_PARSED, /* no answer in the expected form was found: the format, or a warm start */
	SIGNAL_ALL_WRONG,      /* answers were found and none is right: easier problems, more samples, a warm start */
	SIGNAL_ALL_EQUAL,      /* equal rewards within every group for another reason */
	SIGNAL_INVALID,        /* no reward could be computed */
	SIGNAL_NOTHING_REACHED /* every answer was cut off, and by then none had the expected form: what a random model gives */
};

/* Over the groups of a step, after rewards. */
enum diagnosis diagnose(const struct group *groups, int n);

const char *diagnosis_advice(enum diagnosis d); /* one line; static */

#endif
