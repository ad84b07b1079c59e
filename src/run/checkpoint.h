/* checkpoint.h - a folder that is there whole or not at all.
 *
 *     begin    checkpoint-N.part, empty
 *     write    the caller puts its files in
 *     commit   manifest.json: {"step", "files": {name: {"bytes", "crc32"}}, "crc32" of all of
 *              that}; every file and the folder synced; renamed to checkpoint-N; the run's folder
 *              synced; then, of the ones of earlier steps, the oldest beyond the limit removed
 *
 * A crash or a power loss at any moment leaves the older checkpoints as they were; what is half
 * written keeps the name .part. A checkpoint is valid when its manifest and every length and CRC-32
 * in it are right.
 *
 * Three things can be wrong with one, and they are not the same: it is *damaged* (its content is
 * wrong or gone, and will be tomorrow), the system *cannot read* it now, or memory is short. Only a
 * damaged one is passed over; what cannot be read may be whole, and a run that began again beside
 * it would lose work. */
#ifndef RUN_CHECKPOINT_H
#define RUN_CHECKPOINT_H

#include "base/file.h"

/* What rotation leaves: the newest `keep` (0: all), and that of step `best` (-1: none). A
 * checkpoint that was moved away and linked back is never removed and counts for nothing. */
struct checkpoint_limit {
	int keep, best;
};

/* *folder: where to write, in `a` */
int checkpoint_begin(const char *run, int step, struct arena *a, char **folder);
/* an error before it has its name removes it */
int checkpoint_commit(const char *run, int step, struct checkpoint_limit limit);
/* removes it; the status and its message stay */
int checkpoint_abandon(const char *folder, int status);

int checkpoint_check(const char *folder); /* OK, or what is wrong with it */

/* The newest valid checkpoint of a run; *folder NULL and *step 0 when there is no checkpoint-N at
 * all. Touches nothing. `skipped`, when not NULL, gets one line for each newer checkpoint that is
 * damaged, and why. ERR_INPUT when one as new cannot be read, or when all are damaged. */
int checkpoint_newest(const char *run, struct arena *a, char **folder, int *step,
                      struct text *skipped);
/* The same of those up to step `most`. */
int checkpoint_until(const char *run, int most, struct arena *a, char **folder, int *step,
                     struct text *skipped);

/* Once a run has resumed from `step`: removes what was half written, and what a kill kept rotation
 * from removing. */
int checkpoint_tidy(const char *run, int step, struct checkpoint_limit limit);

/* how many of the name checkpoint-N are there, valid or not */
int checkpoint_count(const char *run, int *n);

/* A run's folder stands for its newest valid checkpoint; any other folder, or a GGUF file, for
 * itself. *folder in `a`. Changes nothing: the run may be at work. */
int checkpoint_resolve(const char *path, struct arena *a, char **folder);

#endif
