/* report_charts.h - the charts of a report: one for each title in the table of metrics
 * (metric_table.h) of which a run logged something, in the order of the table, with captions from
 * there.
 *
 *     one run         a colour per part
 *     several runs    a colour per run, a dash per part
 *     arms            where arms have several runs: a line and a band per arm (run/compare.h), and
 *                     a chart per part. Those that stand beside the tables of arms are left out */
#ifndef RUN_REPORT_CHARTS_H
#define RUN_REPORT_CHARTS_H

#include "run/compare.h"
#include "run/metric_table.h"

int report_charts_add(const struct metric_table *t, const struct series_run *runs, int n,
                      struct compare_summary *c, struct text *out);

#endif
