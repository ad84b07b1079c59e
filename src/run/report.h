/* report.h - the curves and completions of one or several runs as one HTML file that needs nothing
 * else.
 *
 *     one run: what it is of (run/report_head.h)
 *     several runs: first the arms against the baseline, as a forest plot, then their means and
 *     curves with bands, all other pairs folded away (run/compare.h)
 *     a row per run: last values, held-out pass@1 at the start and at the end with its standard
 *     error
 *     the charts of the table of metrics (run/report_charts.h)
 *     for each of up to 8 runs, completions of its kept steps (run/report_samples.h)
 *
 * The page is whole without its script, which adds (report.js): steps, tokens or time as the
 * horizontal axis, smoothing, logarithmic scale, zoom, values under the cursor and by keyboard,
 * CSV, samples by step, mark and category. It asks no network (its Content-Security-Policy forbids
 * it), follows the reader's light or dark scheme, prints, and stays below 1 MB for a run of 1,000
 * steps. The page of a run that lives loads itself again every few seconds, as it is written again
 * while the run goes on. Everything that comes from a run is escaped. */
#ifndef RUN_REPORT_H
#define RUN_REPORT_H

#include "base/file.h"
#include "run/compare.h"
#include "run/metric_table.h"
#include "run/schema.h"

struct report_files {
	const char  *page;     /* path of the HTML file */
	const char  *json;     /* path of the comparison's numbers; or NULL */
	struct text *markdown; /* ADDS the comparison as Markdown tables; or NULL */

	const struct schema       *schema;  /* which options make an arm */
	const struct metric_table *metrics; /* which charts there are, and their captions */

	struct compare_question question;  /* what is asked of several runs */
	int                     samples;   /* completions in the page; 0: REPORT_SAMPLES */
	int                     last_step; /* that a living run will do; 0: it lives no more */
};

/* Reads RUN/metrics.jsonl, RUN/config.yaml and RUN/samples/step-N.jsonl.gz of n run folders and
 * writes the files. ERR_INPUT when a run has no metrics.jsonl, or a line of it cannot be read; the
 * page then stays as it was. */
int report_write(const char *const *runs, int n, const struct report_files *files);

#endif
