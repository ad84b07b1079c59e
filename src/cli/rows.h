/* rows.h - plumbing for scripts: JSON objects in, one a line on standard input; one JSON object out
 * for each, in order. A row that cannot be used becomes {"error": message, "line": number}; the
 * others go on, and the status at the end is ERR_INPUT. Where memory is short or a signal asks for
 * an end, no row is to blame: that is the status, and nothing is written for the row at hand. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "base/json.h"
#include "data/problem.h"

/* Writes members of the reply to *out ("\"ids\": [1, 2]"), without the braces. `place` names the
 * row in messages. */
typedef int rows_reply(void *context, const char *place, const json_t *row, struct text *out);

int rows_run(rows_reply *reply, void *context);

/* The array of token ids under "ids": each in 0 .. n_vocab-1. Allocated in `a`. */
int rows_get_ids(const char *place, const json_t *row, int n_vocab, struct arena *a, int **ids,
                 int *n);

/* A line on standard output that dataset.h reads as the same problem. */
int rows_print_problem(const struct problem *p);

#endif
