/* version.h - which program this is: its version, the commit it was built from, the compiler. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define HONE_VERSION "0.10"

/* main sets it: the Makefile tells it to src/cli/hone.c alone; "unknown" before */
extern const char *version_commit;
extern const char  version_compiler[];

#endif
