/* provenance.h - which program made which steps of a run, in RUN/provenance.jsonl. A line is
 *
 *     {"from_step": 1, "version": "0.10", "commit": "...", "compiler": "gcc 12.2.0",
 *      "kernels": "avx2 f32 strict (...)", "sums": "f32: ...", "cpu": "..."}
 *
 * and holds up to the next line's from_step. A resume by the same program on the same kind of CPU
 * adds nothing, so the file of a run that one program made is one line, however often it was
 * stopped. A line that cannot be read is left out: a log is no reason not to go on. */
#ifndef RUN_PROVENANCE_H
#define RUN_PROVENANCE_H

#include "base/text.h"

/* This program goes on behind `step`: lines of later steps go, which will be made again. `kernels`:
 * matmul_describe. */
int provenance_write(const char *run, int step, const char *kernels);

/* The name that Linux gives the CPU; its architecture where there is none. */
enum { PROVENANCE_CPU_MAX = 256 };
void provenance_cpu(char *out, size_t room);

/* ADDS ", "version": ..., "cpu": ..." as in a line: members of an object that has begun. */
void provenance_add_program(const char *kernels, struct text *out);

#endif
