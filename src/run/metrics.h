/* metrics.h - the numbers of a line of the log, in the order in which they were added, and the log
 * that keeps them. What the numbers are: the table of metric_table.h.
 *
 *     metrics.jsonl    one JSON object a line, numbers with all their digits, NaN and infinities as
 *                      null
 *
 * The log knows how many bytes belong to finished steps; a checkpoint keeps that number, and is
 * committed only after those bytes are on the disk. A resume cuts the file back to them. Should
 * they not be there (the file was edited, moved, or a power loss took it from a program that did
 * not sync), the whole lines up to that step stay and the run goes on: a log is no reason not
 * to. */
#ifndef RUN_METRICS_H
#define RUN_METRICS_H

#include "base/file.h"
#include "run/metric_table.h"

#include <stdint.h>

enum { METRICS_MAX = 1024, METRIC_NAME_MAX = 80, METRIC_MEMBER_MAX = 60 };

struct metric {
	char   name[METRIC_NAME_MAX];
	double value;
};
struct metrics {                          /* of one line */
	const struct metric_table *table; /* borrowed */
	int                        n;
	struct metric              items[METRICS_MAX];
};

/* A name without a row in the table is an error of the program, and asserted. Names are the
 * caller's to keep apart; beyond METRICS_MAX nothing is added. */
void metrics_add(struct metrics *m, const char *name, double value);
/* One member of a family: "rewards/<verifier>/mean", "math" adds rewards/math/mean. A member is cut
 * after METRIC_MEMBER_MAX bytes. */
void metrics_add_member(struct metrics *m, const char *family, const char *member, double value);

double metrics_get(const struct metrics *m, const char *name); /* NaN when it is not there */
/* ADDS one object, without a newline */
void metrics_json(const struct metrics *m, struct text *out);

struct metrics_log {
	char    *path;
	uint64_t bytes; /* written so far */
};
/* empty, in the place of what is there */
int metrics_log_new(const char *path, struct metrics_log *out);
/* Goes on behind `step` with the first `bytes` bytes. ADDS a line to `caution` when they were not
 * all there. */
int metrics_log_resume(const char *path, int step, uint64_t bytes, struct text *caution,
                       struct metrics_log *out);
int metrics_log_sync(const struct metrics_log *log);
int metrics_log_write(
        struct metrics_log *log,
        const struct metrics
                *m); /* one line, handed to the system before it returns, or none of it */
void metrics_log_close(struct metrics_log *log);

#endif
