/* report.h - the curves and answers of one or several runs as one HTML file that needs nothing else.
 *
 *     a row per run: last values, held-out pass@1 at the start and at the end with its standard error
 *     a chart per metric that any of the runs logged, and one of where the time went
 *     for each run, answers from its first and its last file of samples, marked right or wrong
 *
 * The page has no script, asks no network (its Content-Security-Policy forbids both) and follows the reader's light or dark scheme.
 * Everything that comes from a run is escaped. */
#ifndef RUN_REPORT_H
#define RUN_REPORT_H

/* Reads RUN/metrics.jsonl and RUN/samples/step-N.jsonl.gz of n run folders and writes the page. ERR_INPUT when a run has no metrics.jsonl, or
 * a line of it cannot be read; the page at `path` then stays as it was. */
int report_write(const char *const *runs, int n, const char *path);

#endif
