/* metrics.h - the numbers of a step, in the order in which they were added, and the log that keeps them.
 *
 *     metrics.jsonl    one JSON object a line, numbers with all their digits, NaN and infinities as null
 *
 * The log knows how many bytes belong to finished steps; a checkpoint keeps that number, and resume cuts the file back to it. */
#ifndef RUN_METRICS_H
#define RUN_METRICS_H

#include "base/file.h"

#include <stdint.h>

enum { METRICS_MAX = 1024, METRIC_NAME_MAX = 80 };

struct metric {
	char   name[METRIC_NAME_MAX];
	double value;
};
struct metrics {
	int           n;
	struct metric items[METRICS_MAX];
};

void   metrics_add(struct metrics *m, const char *name,
                   double value); /* names are the caller's to keep apart; beyond METRICS_MAX nothing is added */
double metrics_get(const struct metrics *m, const char *name);  /* NaN when it is not there */
void   metrics_json(const struct metrics *m, struct text *out); /* ADDS one object, without a newline */

struct metrics_log {
	char    *path;
	uint64_t bytes; /* written so far */
};
/* Opens path, keeping its first `bytes` bytes (0: a new log). ERR_INPUT when there are fewer. */
int  metrics_log_open(const char *path, uint64_t bytes, struct metrics_log *out);
int  metrics_log_write(struct metrics_log   *log,
                       const struct metrics *m); /* one line, handed to the system before it returns, or none of it */
void metrics_log_close(struct metrics_log *log);

#endif
