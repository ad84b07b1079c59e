/* progress.h - how far a run is, told to a person.
 *
 * On a terminal the newest step is one line that rewrites itself, cut to the width of the window:
 *
 *     [########............]  42/100  1:09 left  reward 0.513  right 51.3%  ...
 *
 * Elsewhere (a file, a pipe) a step is a plain line, every so many steps and the last one always.
 * Whatever else a run says while it steps goes through progress_say, which takes the bar off first.
 *
 * The time left is (steps left) x (mean time of a step of this process): evaluations and
 * checkpoints are part of that mean, and what a run did before it was resumed is not. */
#ifndef RUN_PROGRESS_H
#define RUN_PROGRESS_H

#include <stdio.h>

struct progress {
	FILE  *out; /* borrowed; NULL: nothing is said */
	int    terminal, every, first, drawn;
	double started;
};

/* The run stands at `step` and starts now; a plain line comes every `every` steps. */
void progress_open(struct progress *p, FILE *out, int every, int step);

/* Step `step` of `last` is done; `text` says what came of it. */
void progress_step(struct progress *p, int step, int last, const char *text);

__attribute__((format(printf, 2, 3))) void progress_say(struct progress *p, const char *format,
                                                        ...);

/* Leaves the bar behind as a line of its own. */
void progress_close(struct progress *p);

#endif
