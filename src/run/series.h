/* series.h - the metrics that a run has logged, one series per name, over its steps.
 *
 * A step that comes again replaces what was logged from there on: the run was taken up from before
 * it. What cannot be drawn (null, text, magnitudes beyond SERIES_LARGEST) is left out. Beside each
 * mean stands its error, where NAME_stderr was logged for the same step. */
#ifndef RUN_SERIES_H
#define RUN_SERIES_H

#include "base/file.h"
#include "run/chart.h"

enum { SERIES_MAX = 1024 };
#define SERIES_LARGEST CHART_LARGEST

struct series {
	char         *name;   /* owned */
	struct point *points; /* [n], owned; x, the step, strictly ascending */
	int           n;
	size_t        capacity;
};

struct series_run {
	const char   *folder; /* borrowed */
	struct series series[SERIES_MAX];
	int           n;
	double        last_step;
};

/* Reads FOLDER/metrics.jsonl into a zeroed struct; on an error too the caller frees it. */
int  series_read(const char *folder, struct series_run *run);
void series_free(struct series_run *run);

/* NULL when it was never logged */
const struct series *series_find(const struct series_run *run, const char *name);

#endif
