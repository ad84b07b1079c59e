/* checkpoint.h - a folder that is there whole or not at all.
 *
 *     begin    checkpoint-N.part, empty
 *     write    the caller puts its files in
 *     commit   manifest.json: {"step", "files": {name: {"bytes", "crc32"}}, "crc32" of all of that}; every file and the folder synced; renamed to
 *              checkpoint-N; the run's folder synced; then, of the ones of earlier steps, the oldest beyond the limit removed
 *
 * A crash at any moment leaves the older checkpoints as they were; what is half written keeps the name .part and is removed at the next start. A checkpoint
 * is valid when its manifest and every length and CRC-32 in it are right. */
#ifndef RUN_CHECKPOINT_H
#define RUN_CHECKPOINT_H

#include "base/file.h"

int checkpoint_begin(const char *run, int step, struct arena *a, char **folder); /* *folder: where to write, in `a` */
int checkpoint_commit(const char *run, int step, int keep);                      /* keep: how many stay, 0 all */

int checkpoint_check(const char *folder); /* OK, or what is wrong with it */

/* The newest valid checkpoint of a run; *folder NULL and *step 0 when there is none. Removes what is half written. `skipped`, when not NULL, gets one
 * line for each newer checkpoint that is not valid, and why. */
int checkpoint_newest(const char *run, struct arena *a, char **folder, int *step, struct text *skipped);

/* A run's folder stands for its newest valid checkpoint; any other folder for itself. *folder in `a`. Changes nothing: the run may be at work. */
int checkpoint_resolve(const char *path, struct arena *a, char **folder);

#endif
