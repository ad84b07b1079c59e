/* report_samples.h - completions of a run's samples folder, for its report.
 *
 *     without the page's script    those of the first and the last kept step, side by side
 *     with it                      of any kept step, by mark, category or words, and the same
 *                                  problem over the steps; given as JSON in a script element
 *
 * How many are given is bounded, so that the page is: the first few of each kept step, where an
 * evaluation asked the same problems at each. Texts are cut so that all of them fit into
 * REPORT_SAMPLES_BYTES. Of many kept steps some are left out, evenly. */
#ifndef RUN_REPORT_SAMPLES_H
#define RUN_REPORT_SAMPLES_H

#include "base/file.h"

enum { REPORT_SAMPLES = 256, REPORT_SAMPLES_BYTES = 300000 };

/* ADDS at most n completions; nothing where none were kept. */
int report_samples_add(const char *folder, int n, struct text *out);

#endif
