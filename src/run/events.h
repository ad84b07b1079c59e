/* events.h - scalars for TensorBoard, in its own event files.
 *
 * A file is a row of records, each framed as   length (8 bytes) | masked CRC-32C of it | protobuf Event | masked CRC-32C of that.
 * Each start of a run opens a file of its own, named by the step it starts from; TensorBoard shows the newest value of a step. */
#ifndef RUN_EVENTS_H
#define RUN_EVENTS_H

#include "run/metrics.h"

struct events;
int  events_open(const char *folder, int step, struct events **out);    /* makes the folder */
int  events_write(struct events *e, int step, const struct metrics *m); /* values that are not finite are left out */
void events_close(struct events *e);                                    /* NULL is fine */

uint32_t events_crc32c(const void *data, size_t n); /* Castagnoli's polynomial */

#endif
