/* step_metrics.h - the table of all metrics of training, SFT and evaluation, over struct step_stats
 * (rl/step_stats.h). What a row says: run/metric_table.h. */
#ifndef RL_STEP_METRICS_H
#define RL_STEP_METRICS_H

#include "run/metric_table.h"

/* Kinds of lines: a step of hone train, a step of hone sft, an evaluation in either. */
enum step_line { LINE_TRAIN = 1, LINE_SFT = 2, LINE_EVAL = 4 };

extern const struct metric_table step_metrics;

void step_metrics_markdown(struct text *out); /* ADDS docs/metrics.md */

#endif
