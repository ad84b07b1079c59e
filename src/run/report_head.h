/* report_head.h - what a run is, at the top of its report: model, data, settings, program, machine,
 * when it was, how long it took, how many tokens a second. */
#ifndef RUN_REPORT_HEAD_H
#define RUN_REPORT_HEAD_H

#include "run/compare.h"

/* ADDS a list of facts and the folded config.yaml. What a run folder does not hold is left out. */
int report_head_add(const struct compare_summary *c, const struct compared_run *run,
                    struct text *out);

#endif
