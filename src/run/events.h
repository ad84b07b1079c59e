/* events.h - scalars for TensorBoard, in its own event files.
 *
 * A file is a row of records, each framed as   length (8 bytes) | masked CRC-32C of it | protobuf
 * Event | masked CRC-32C of that.
 * Each start of a run opens a file of its own, named by the step it starts from. TensorBoard shows
 * all that it finds, so what a resume will do again is cut off first: no step stands twice. The
 * first value of a tag in a file carries the words of its row (metric_table.h), which TensorBoard
 * shows beside the chart. */
#ifndef RUN_EVENTS_H
#define RUN_EVENTS_H

#include "run/metrics.h"

struct events;
/* Cuts off, or removes, what files of this format in the folder hold behind `step`, also a record
 * that is broken and all behind it. No folder: nothing to do. A step of -1 removes them all. ADDS a
 * line to `caution` when a broken record took steps up to `step` with it. */
int events_cut(const char *folder, int step, struct text *caution);
/* makes the folder; call events_cut before */
int events_open(const char *folder, int step, struct events **out);
/* values that are not finite are left out */
int  events_write(struct events *e, int step, const struct metrics *m);
int  events_sync(const struct events *e);
void events_close(struct events *e); /* NULL is fine */

uint32_t events_crc32c(const void *data, size_t n); /* Castagnoli's polynomial */

#endif
