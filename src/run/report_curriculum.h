/* report_curriculum.h - the picture of a curriculum: what was sampled over time, beside how each
 * level fares.
 *
 *     sampled              share of the drawn problems that each arm had, stacked, the easiest arm
 *                          at the bottom
 *     held out             pass@1 of each category; those that no arm trains on are dashed
 *     training problems    accuracy of each arm
 *     signal               mean |advantage| of each arm: what sec and dump go by
 *
 * From the metrics curriculum/ARM/{count, accuracy, advantage} (src/curriculum/arm_stats.h; they
 * come in the order of difficulty) and eval/CATEGORY/pass@1. A colour belongs to an arm in all
 * four, cool for easy and warm for hard. What a step says of an arm rests on a few problems, so all
 * but the held-out values are averages over a window of steps centred on each, weighted by the
 * number of problems; the caption tells the width. A line stops where its arm was not sampled
 * within the window. */
#ifndef RUN_REPORT_CURRICULUM_H
#define RUN_REPORT_CURRICULUM_H

#include "base/file.h"
#include "run/series.h"

extern const char report_curriculum_style[]; /* CSS, for the page's <style>, behind chart_style */

/* ADDS a heading and the picture of one run, or nothing when its metrics tell of fewer than two
 * arms. ERR_INPUT: memory. */
int report_curriculum_add(const struct series_run *run, struct text *out);

#endif
