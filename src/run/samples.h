/* samples.h - samples/step-N.jsonl.gz of a run: completions as they were at step N, each file
 * written whole. */
#ifndef RUN_SAMPLES_H
#define RUN_SAMPLES_H

/* the N of a file's name; -1 for any other, also of what is half written */
int samples_step(const char *name);
/* removes those of later steps (they will be made again), and what is half written */
int samples_cut(const char *folder, int step);

#endif
