/* report.h - the curves and completions of one or several runs as one HTML file that needs nothing
 * else.
 *
 *     several runs: the arms they belong to, their means and differences with intervals, curves
 *     with bands (run/compare.h)
 *     a row per run: last values, held-out pass@1 at the start and at the end with its standard
 *     error
 *     the charts of the table of metrics (run/report_charts.h)
 *     for each of up to 8 runs, completions from its first and its last file of samples, marked
 *     right or wrong
 *
 * The page has no script, asks no network (its Content-Security-Policy forbids both) and follows
 * the reader's light or dark scheme. Everything that comes from a run is escaped. */
#ifndef RUN_REPORT_H
#define RUN_REPORT_H

#include "base/file.h"
#include "run/metric_table.h"
#include "run/schema.h"

struct report_files {
	const char  *page;     /* path of the HTML file */
	const char  *json;     /* path of the comparison's numbers; or NULL */
	struct text *markdown; /* ADDS the comparison as Markdown tables; or NULL */

	const struct schema       *schema;  /* which options make an arm */
	const struct metric_table *metrics; /* which charts there are, and their captions */
};

/* Reads RUN/metrics.jsonl, RUN/config.yaml and RUN/samples/step-N.jsonl.gz of n run folders and
 * writes the files. ERR_INPUT when a run has no metrics.jsonl, or a line of it cannot be read; the
 * page then stays as it was. */
int report_write(const char *const *runs, int n, const struct report_files *files);

#endif
