/* rank_lines.h - what several ranks (base/ranks.h) say on one screen: each line with the number of
 * the rank that says it.
 *
 *     [2] step    5/70  reward 0.348  ... */
#ifndef RUN_RANK_LINES_H
#define RUN_RANK_LINES_H

#include <stdio.h>

/* A stream whose lines go to `to`, whole, with this rank's number before them. Close it with
 * fclose; ERR_MEMORY. */
int rank_lines_open(FILE *to, FILE **out);

#endif
